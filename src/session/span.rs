//! The end of a session that nothing renews: who showed a certificate in the handshake shows no other on the same
//! connection. What was asked in time is answered; what comes later is not taken, and the connection ends once nothing is
//! unanswered, so that the client comes again and nothing was lost.

use super::machine::{Machine, Now, Outputs};
use crate::model::{CloseReason, Timestamp};

/// How long a session lasts at most.
pub(super) struct Span {
    ends: Timestamp,
    /// Whether that was noticed: it is waited for no longer.
    is_over: bool,
}

/// What is told of the end.
pub(super) const OVER: &str =
    "`listeners[].max_session` is over; a certificate is shown once, so the client has to connect again";

impl Machine {
    /// The session ends then, whatever the client does; `None` = never by itself.
    #[must_use]
    pub fn lasting_until(mut self, ends: Option<Timestamp>) -> Self {
        self.span = ends.map(|ends| Span { ends, is_over: false });
        self
    }

    /// When the session ends, if that is to come.
    pub(super) fn span_ends(&self) -> Option<Timestamp> {
        self.span.as_ref().filter(|span| !span.is_over).map(|span| span.ends)
    }

    /// Whether the session is over.
    pub(super) fn is_over(&self) -> bool {
        self.span.as_ref().is_some_and(|span| span.is_over)
    }

    /// Looks at the clock.
    pub(super) fn check_span(&mut self, now: Now) {
        if let Some(span) = &mut self.span {
            span.is_over |= now.wall >= span.ends;
        }
    }

    /// Closes when the session is over and nothing is unanswered.
    pub(super) fn end_span(&mut self, out: &mut Outputs) {
        if self.is_over() && self.closing.is_none() && self.is_idle() {
            out.detail = Some(OVER.to_owned());
            self.close(CloseReason::SessionExpired);
        }
    }
}

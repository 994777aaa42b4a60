//! When a connection has to be looked at although nothing happens, and when its client's patience ends.

use super::Link;
use crate::model::{CloseReason, Timestamp};
use crate::session::{Bound, Now, World};
use crate::telemetry::Pause;
use std::future::Future as _;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::io::Interest;
use tokio::sync::watch;
use tokio::time::Instant;

/// Longer than any connection lives.
const FAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// When the clock alone makes work, as last seen, and when that is on the clock of timers.
#[derive(Default)]
pub(super) struct Edges {
    seen: [Option<Timestamp>; 2],
    first: Option<Instant>,
}

impl Link<'_> {
    /// When something has to be looked at although nothing happens.
    pub(super) fn deadline(&mut self) -> Instant {
        let seen = [self.machine.next_edge(), self.recorder.due()];
        if seen != self.edges.seen {
            let (now, at) = (Instant::now(), self.shared.now());
            let first = seen.into_iter().flatten().map(|edge| now + until(edge, at)).min();
            self.edges = Edges { seen, first };
        }
        let times = &self.door.times;
        let patience = if self.awaits_rest() { times.frame } else { times.idle };
        // Patience that is too long for the clock never ends.
        let patience = self.heard.checked_add(patience);
        let drained = self.draining.and_then(|since| since.checked_add(self.last_wait()));
        let renewed = self.renewal_left().and_then(|left| Instant::now().checked_add(left));
        let first =
            [patience, drained, renewed, self.broker_login_deadline(), self.edges.first].into_iter().flatten().min();
        first.unwrap_or_else(|| self.heard + FAR)
    }

    /// How much longer the login again may take that is under way: from beginning to end as long as a first login.
    fn renewal_left(&self) -> Option<Duration> {
        let since = self.machine.renews_since()?;
        let taken = Duration::from_micros(self.shared.now().micros.saturating_sub(since));
        Some(self.door.login.timeout.saturating_sub(taken))
    }

    /// Whether a request has begun to arrive and more of it would be read.
    pub(super) fn awaits_rest(&self) -> bool {
        self.machine.in_frame() && self.reads_client()
    }

    /// A client's patience counts from when it is read again: what it could not send before was not its fault.
    pub(super) fn note_reading(&mut self) {
        let reads = self.reads_client();
        if reads && !self.reading {
            self.heard = Instant::now();
        }
        let bound = if reads { None } else { self.machine.held_by() };
        if let Some(bound) = bound.filter(|bound| self.paused != Some(*bound)) {
            self.door.metrics.paused(match bound {
                Bound::InFlight => Pause::InFlight,
                Bound::UpstreamAhead => Pause::UpstreamAhead,
                Bound::Answers => Pause::Answers,
            });
        }
        self.paused = bound;
        self.reading = reads;
    }

    /// The process stops: nothing more is judged; what is unanswered is waited for, but not so long that the end of the
    /// connection could no longer be written to the audit.
    pub(super) fn drain(&mut self) -> Option<CloseReason> {
        let since = *self.draining.get_or_insert_with(Instant::now);
        self.machine.finish();
        let done = self.machine.is_idle() && self.machine.to_client.is_empty();
        (done || since.elapsed() >= self.last_wait()).then_some(CloseReason::Drain)
    }

    /// How long answers are waited for in a stop: most of `shutdown.drain`.
    fn last_wait(&self) -> Duration {
        self.door.times.drain - self.door.times.drain / 8
    }

    /// Whether a client that is not read has ended its side, as far as the socket knows.
    fn has_left(&self) -> bool {
        let ready = pin!(self.client.incoming().ready(Interest::READABLE));
        match ready.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(ready)) => !self.reading && ready.is_read_closed(),
            Poll::Ready(Err(_)) | Poll::Pending => false,
        }
    }

    pub(super) fn overdue(&mut self) -> Option<CloseReason> {
        self.recorder.flush(self.shared.now().wall);
        if self.renewal_left() == Some(Duration::ZERO) {
            // Without an answer: after one that says so, clients would not come again.
            self.detail = Some("the login again took longer than `limits.login_timeout`".to_owned());
            return Some(CloseReason::LoginTimeout);
        }
        if self.broker_login_is_late() {
            return Some(CloseReason::UpstreamLogin);
        }
        let times = &self.door.times;
        if self.awaits_rest() {
            return (self.heard.elapsed() >= times.frame).then_some(CloseReason::FrameTimeout);
        }
        let idle = self.machine.is_idle() && self.heard.elapsed() >= times.idle;
        if !idle && self.heard.elapsed() >= times.idle {
            if self.has_left() {
                return Some(CloseReason::ClientEof);
            }
            // Something is unanswered: look again when it may have been.
            self.heard = Instant::now();
        }
        idle.then_some(CloseReason::Idle)
    }
}

fn until(edge: Timestamp, now: Now) -> Duration {
    Duration::from_millis(u64::try_from(edge.millis_since(now.wall)).unwrap_or(0))
}

/// Ends when the world has changed, or will no longer.
pub(super) async fn moved(mut worlds: watch::Receiver<World>) -> watch::Receiver<World> {
    // Who is told looks at its own receiver, which also knows when there will be no further world.
    let _ = worlds.changed().await;
    worlds
}

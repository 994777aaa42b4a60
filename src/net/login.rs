//! The login of one connection: reads frames, has passwords checked where that holds nobody up, sends the answers.

mod check;
mod talk;

use super::dial::NotDialled;
use super::shared::{Door, Shared};
use super::socket::Socket;
use crate::audit::ConnectionRecorder;
use crate::identity::certificate::Certificate;
use crate::model::{CloseReason, Connection, Mechanism, Subject, Timestamp, Verified};
use crate::session::{Login, Mechanisms, Standing};
use crate::telemetry::LoginOutcome;
use crate::tls::Stream;
use bytes::BytesMut;
pub use check::checks;
pub(super) use check::{Asks, Check, verify};
use rand::Rng as _;
use std::sync::Arc;
use std::time::Duration;
use talk::Talk;

/// A login that succeeded, and what the client sent meanwhile.
pub(super) struct LoggedIn {
    pub(super) subject: Verified<Subject>,
    /// What the login holds by.
    pub(super) standing: Option<Standing>,
    /// When the session ends that nothing renews.
    pub(super) ends: Option<Timestamp>,
    /// As audit events name it.
    pub(super) mechanism: Arc<str>,
    pub(super) software: Option<(Arc<str>, Arc<str>)>,
    pub(super) left_over: BytesMut,
    /// The connection to the broker where the client is logged in, if it logged in there by itself.
    pub(super) upstream: Option<Stream>,
}

impl LoggedIn {
    /// Without a word of the client.
    pub(super) fn at_once(subject: Verified<Subject>, mechanism: Arc<str>) -> Self {
        let (standing, ends, software, upstream) = (None, None, None, None);
        Self { subject, standing, ends, mechanism, software, left_over: BytesMut::new(), upstream }
    }
}

/// A login that did not.
pub(super) struct NotLoggedIn {
    pub(super) reason: CloseReason,
    pub(super) detail: String,
}

impl NotLoggedIn {
    /// Whether the client went away by itself.
    fn is_by_leaving(&self) -> bool {
        matches!(self.reason, CloseReason::ClientEof | CloseReason::ClientReset)
    }
}

impl From<NotDialled> for NotLoggedIn {
    fn from(NotDialled { reason, detail }: NotDialled) -> Self {
        Self { reason, detail }
    }
}

/// Leads one login to its end, within `limits.login_timeout`.
pub(super) async fn log_in(
    client: &mut Socket,
    mechanisms: Mechanisms,
    facts: &Connection,
    shared: &Shared,
    door: &Door,
    recorder: &mut ConnectionRecorder,
) -> Result<LoggedIn, NotLoggedIn> {
    let address = facts.host.source();
    let login = Login::new(mechanisms.clone(), facts.broker);
    let login = if door.relays() { login.relayed() } else { login };
    let mut heard = false;
    let outcome = if shared.failures.too_many(address, door.login.per_minute) {
        door.metrics.login(LoginOutcome::Failed);
        Err(too_many())
    } else {
        let (inbound, heard) = (BytesMut::new(), &mut heard);
        let talk = Talk { mechanisms, client, facts, shared, door, recorder, inbound, heard };
        match tokio::time::timeout(door.login.timeout, talk.lead(login)).await {
            Ok(outcome) => outcome,
            Err(_) => {
                let detail = "no principal known within `limits.login_timeout`".to_owned();
                Err(NotLoggedIn { reason: CloseReason::LoginTimeout, detail })
            }
        }
    };
    // Balancers look in that way every few seconds, from each of their nodes: no login was tried, and what they would add to the
    // audit hides those that were. The metric counts them, and the log tells them at debug.
    let only_looked_in = !heard && outcome.as_ref().is_err_and(NotLoggedIn::is_by_leaving);
    if !only_looked_in {
        note(&outcome, shared, door, recorder);
    }
    outcome
}

/// Tells how a login ended; one that failed is counted where it fails.
fn note(outcome: &Result<LoggedIn, NotLoggedIn>, shared: &Shared, door: &Door, recorder: &mut ConnectionRecorder) {
    let now = shared.now().wall;
    match outcome {
        Ok(logged_in) => {
            door.metrics.login(LoginOutcome::Succeeded);
            let subject = logged_in.subject.get();
            recorder.opened(subject, dropped_groups(subject, door).as_deref(), now);
        }
        Err(NotLoggedIn { reason, detail }) => recorder.refused(None, *reason, Some(detail), now),
    }
}

/// What the audit says of a login that claims groups which are the policy's to fill (threat 24).
pub(super) fn dropped_groups(subject: &Subject, door: &Door) -> Option<String> {
    let snapshot = Arc::clone(&door.worlds.borrow().snapshot);
    let dropped: Vec<&str> = snapshot.dropped_groups(subject).collect();
    door.metrics.dropped_groups.inc_by(dropped.len() as u64);
    let words = || format!("claimed groups that the policy declares do not count: `{}`", dropped.join("`, `"));
    (!dropped.is_empty()).then(words)
}

/// Whether who is proved may be connected here.
fn admit(
    subject: Verified<Subject>,
    facts: &Connection,
    shared: &Shared,
    door: &Door,
) -> Result<Verified<Subject>, NotLoggedIn> {
    let now = shared.now().wall;
    let (principal, snapshot) = (&subject.get().principal, door.worlds.borrow().snapshot.clone());
    if !door.super_users && snapshot.names_super(principal) {
        let detail = format!("principal {principal} is a super user or operator, which this listener does not admit");
        return Err(NotLoggedIn { reason: CloseReason::SuperUserListener, detail });
    }
    if !snapshot.gate(subject.get(), &facts.host, now).is_allowed() {
        let detail = format!("principal {principal} holds no role with clusters.connect");
        return Err(NotLoggedIn { reason: CloseReason::NotConnectedRole, detail });
    }
    Ok(subject)
}

/// The login of who has shown a certificate in the handshake.
pub(super) fn by_certificate(
    shown: Option<&[u8]>,
    facts: &Connection,
    shared: &Shared,
    door: &Door,
    recorder: &mut ConnectionRecorder,
) -> Result<LoggedIn, NotLoggedIn> {
    let failed = |detail: String| NotLoggedIn { reason: CloseReason::LoginFailed, detail };
    let proved = || {
        let shown = shown.ok_or_else(|| failed("the client showed no certificate".to_owned()))?;
        let certificate = Certificate::read(shown)
            .map_err(|error| failed(format!("the client's certificate cannot be read: {error}")))?;
        let login = shared.names.login(&certificate).map_err(|error| failed(error.to_string()))?;
        let subject = admit(login.subject(door.super_users), facts, shared, door)?;
        // The certificate's own end is watched over with the lists and authorities.
        let ends = door.max_session.map(|most| shared.now().wall.plus(spread(most)));
        Ok(LoggedIn { ends, ..LoggedIn::at_once(subject, Arc::clone(&facts.mechanism)) })
    };
    let outcome = proved();
    if outcome.is_err() {
        count_failure(facts, shared, door);
    }
    note(&outcome, shared, door, recorder);
    outcome
}

/// Connections that were opened together are not to end together, as after a start of the proxy: clients that log in again
/// see to that by themselves, those by certificate have to connect anew.
fn spread(most: Duration) -> Duration {
    most.mul_f64(rand::rng().random_range(0.8..=1.0))
}

fn count_failure(facts: &Connection, shared: &Shared, door: &Door) {
    door.metrics.login(LoginOutcome::Failed);
    shared.failures.count(facts.host.source());
}

/// How a client says who it is, as audit events name it.
fn named(facts: &Connection, mechanism: Mechanism) -> Arc<str> {
    format!("{}/{}", facts.mechanism, mechanism.name()).into()
}

pub(super) const TOO_MANY: &str = "more failed logins from this address than `limits.failed_logins.per_minute`";

fn too_many() -> NotLoggedIn {
    NotLoggedIn { reason: CloseReason::LoginFailed, detail: TOO_MANY.to_owned() }
}

/// What a listener asks of a login.
#[derive(Copy, Clone, Debug)]
pub struct LoginLimits {
    /// From the end of the handshake to a known principal.
    pub timeout: Duration,
    /// The largest frame before that, in bytes.
    pub frame: usize,
    /// How long the answer to a failed login is held back.
    pub delay: Duration,
    /// Failed logins of one address in a minute, beyond which it is turned away.
    pub per_minute: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_of_one_length_end_one_after_the_other_and_none_too_late() {
        let most = Duration::from_secs(3600);
        let ends: std::collections::BTreeSet<Duration> = (0..100).map(|_| spread(most)).collect();
        assert!(ends.len() > 90 && ends.iter().all(|end| (most * 8 / 10..=most).contains(end)), "{ends:?}");
        let [first, last] = [ends.first(), ends.last()].map(|end| end.unwrap().as_secs());
        assert!(last - first > 360, "from {first} to {last} s");
    }
}

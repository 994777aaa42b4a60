//! The login of one connection: reads frames, has passwords checked where that holds nobody up, sends the answers.

use super::connection::of_client;
use super::dial::NotDialled;
use super::failures::Place;
use super::relay::Relay;
use super::shared::{Door, Shared};
use super::socket::Socket;
use crate::audit::ConnectionRecorder;
use crate::identity::certificate::Certificate;
use crate::identity::sasl::{Against, Exchange, Turn};
use crate::model::{CloseReason, Connection, Mechanism, Subject, Timestamp, Verified};
use crate::session::{Checked, Login, LoginStep, LoginVerdict, Mechanisms, Outbox, Standing, close_reason};
use crate::telemetry::LoginOutcome;
use crate::tls::Stream;
use crate::wire::Rope;
use crate::wire::frame::SIZE_LEN;
use bytes::{Bytes, BytesMut};
use rand::Rng as _;
use rand::distr::{Alphanumeric, SampleString as _};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

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

/// Characters of a server's nonce; each holds almost 6 bits.
const NONCE: usize = 32;

/// How a client says who it is, as audit events name it.
fn named(facts: &Connection, mechanism: Mechanism) -> Arc<str> {
    format!("{}/{}", facts.mechanism, mechanism.name()).into()
}

pub(super) const TOO_MANY: &str = "more failed logins from this address than `limits.failed_logins.per_minute`";

fn too_many() -> NotLoggedIn {
    NotLoggedIn { reason: CloseReason::LoginFailed, detail: TOO_MANY.to_owned() }
}

/// Does a check when its turn has come, unless it is no longer worth it by then. It keeps its place until it has ended, also
/// when nobody waits for it any more: who gives up early must not make room for more checks than there are cores.
async fn checked<T: Send + 'static>(
    checks: &Arc<Semaphore>,
    is_worth_it: impl Fn() -> bool,
    check: impl FnOnce() -> T + Send + 'static,
) -> Option<Result<T, tokio::task::JoinError>> {
    // The semaphore is never closed.
    let place = Arc::clone(checks).acquire_owned().await.ok();
    if !is_worth_it() {
        return None;
    }
    let checking = tokio::task::spawn_blocking(move || {
        let result = check();
        drop(place);
        result
    });
    Some(checking.await)
}

/// Room for what one read of a login may bring.
const READ: usize = 4096;

/// Who asks for a check.
#[derive(Copy, Clone)]
pub(super) struct Asks<'a> {
    pub(super) shared: &'a Shared,
    pub(super) door: &'a Door,
    pub(super) address: IpAddr,
}

/// Checks a message where it holds no other connection up; `again`: of a client that is logged in. Gives the exchange back
/// unless it is over; nothing at all of a first login from an address where too many failed meanwhile. How often others
/// failed from there is nothing to who is logged in: a client fails once in each of its connections, and many may share an
/// address.
pub(super) async fn verify(
    Asks { shared, door, address }: Asks<'_>,
    mut exchange: Exchange,
    message: Bytes,
    again: bool,
) -> Option<(Option<Exchange>, Checked)> {
    let mechanism = exchange.mechanism();
    let (failures, most) = (&shared.failures, door.login.per_minute);
    let is_worth_it = || again || !failures.too_many(address, most);
    let costly = exchange.is_costly();
    // Whether a key that the message needs was asked for.
    let mut asked = false;
    loop {
        let (users, tokens) = (Arc::clone(&door.worlds.borrow().users), shared.issuers.tokens());
        let (now, nonce) = (shared.now().wall, Alphanumeric.sample_string(&mut rand::rng(), NONCE));
        let message = message.clone();
        let check = move || {
            let turn = exchange.take(&message, &Against { users: &users, tokens: &tokens, asked, nonce: &nonce, now });
            (exchange, turn)
        };
        let checked = if costly {
            checked(&shared.checks, is_worth_it, check).await
        } else {
            // Some hashes, or a signature: less than to ask another thread.
            is_worth_it().then(|| Ok(check()))
        };
        return Some(match checked? {
            Err(error) => (None, Checked::Failed { told: "the proxy failed".to_owned(), detail: error.to_string() }),
            Ok((exchange, Ok(Turn::Challenge(bytes)))) => (Some(exchange), Checked::Challenge(bytes)),
            Ok((_, Ok(Turn::Proved { login, last }))) => (None, Checked::Proved { login, last, lifetime: None }),
            Ok((under_way, Ok(Turn::Wants(wanted)))) => match shared.issuers.ask(wanted).await {
                Ok(()) => {
                    (exchange, asked) = (under_way, true);
                    continue;
                }
                Err(detail) => {
                    // The client learns nothing, but it is a login that did not come about.
                    let outcome = if again { LoginOutcome::RenewalFailed } else { LoginOutcome::Failed };
                    door.metrics.login(outcome);
                    (None, Checked::Lost { reason: CloseReason::KeysUnavailable, detail })
                }
            },
            Ok((_, Err(error))) => {
                (None, Checked::Failed { told: error.told(mechanism, again), detail: error.to_string() })
            }
        });
    }
}

/// Who checks the messages of a login.
pub(super) enum Check {
    /// Nothing was agreed yet, or it is over.
    Nothing,
    /// The proxy.
    Here(Exchange),
    /// A broker.
    Broker(Box<Relay>),
}

impl Check {
    /// The check under way, or one that begins.
    pub(super) fn or_begin(self, mechanism: Mechanism) -> Exchange {
        match self {
            Self::Here(exchange) => exchange,
            Self::Broker(_) | Self::Nothing => Exchange::new(mechanism),
        }
    }

    /// As [`Exchange::claim`]; by this mechanism if nothing has begun.
    fn claim(&self, mechanism: Mechanism, message: &[u8]) -> Option<String> {
        match self {
            Self::Here(exchange) => exchange.claim(message),
            Self::Broker(relay) => relay.claim(message),
            Self::Nothing => Exchange::new(mechanism).claim(message),
        }
    }

    /// As [`Exchange::refused`], in words.
    pub(super) fn refused(&self) -> Option<String> {
        match self {
            Self::Here(exchange) => exchange.refused().map(ToString::to_string),
            Self::Broker(relay) => relay.refused(),
            Self::Nothing => None,
        }
    }
}

struct Talk<'a> {
    mechanisms: Mechanisms,
    client: &'a mut Socket,
    facts: &'a Connection,
    shared: &'a Shared,
    door: &'a Door,
    recorder: &'a mut ConnectionRecorder,
    inbound: BytesMut,
    /// Whether the client has said anything.
    heard: &'a mut bool,
}

impl<'a> Talk<'a> {
    async fn lead(mut self, mut login: Login) -> Result<LoggedIn, NotLoggedIn> {
        // A client that comes before the cluster was reached waits; what it may ask depends on the brokers.
        self.shared.cluster.reached(self.door.dialler.connect_timeout).await;
        let (mut check, mut claimed) = (Check::Nothing, None);
        loop {
            let refused = check.refused();
            let frame = match (self.frame(&login).await, &refused) {
                (Ok(frame), _) => frame,
                // It knew enough.
                (Err(lost), Some(detail)) if lost.is_by_leaving() => {
                    return Err(NotLoggedIn { reason: CloseReason::LoginFailed, detail: detail.clone() });
                }
                (Err(lost), _) => return Err(lost),
            };
            let step = match login.take(&frame, &self.shared.cluster.topology()) {
                LoginStep::Shake(mechanism) => {
                    self.recorder.authenticates_by(named(self.facts, mechanism));
                    let (relay, shook) = Relay::open(self.shared, self.door, self.facts.broker, mechanism).await?;
                    check = Check::Broker(Box::new(relay));
                    login.shaken(&shook)
                }
                step => step,
            };
            match step {
                LoginStep::Answer(rope) => {
                    self.send(rope).await?;
                    if let (Check::Nothing, Some(mechanism)) = (&check, login.mechanism()) {
                        self.recorder.authenticates_by(named(self.facts, mechanism));
                        check = Check::Here(Exchange::new(mechanism));
                    }
                }
                LoginStep::Close { answer, reason, detail } => {
                    if reason == CloseReason::LoginFailed {
                        self.count_failure();
                    }
                    return self.part(answer, NotLoggedIn { reason, detail }).await;
                }
                LoginStep::Verify(message) => {
                    // There is no message before a mechanism.
                    let Some(mechanism) = login.mechanism() else { continue };
                    claimed = check.claim(mechanism, &message).or(claimed);
                    let Some((checked, place)) = self.check(&mut check, message).await? else {
                        // Without an answer, as where it came later: clients take an error for the end, and a closed
                        // connection for one to try again. The failure may be another's with whom it shares the address.
                        self.door.metrics.login(LoginOutcome::Failed);
                        return Err(too_many());
                    };
                    if check.refused().is_some() {
                        // At once, as below.
                        self.count_failure();
                    }
                    let (verdict, proved, failed) = match checked {
                        Checked::Challenge(bytes) => (LoginVerdict::Challenge(bytes), None, None),
                        Checked::Lost { reason, detail } => return Err(NotLoggedIn { reason, detail }),
                        // Only of a client that is logged in.
                        Checked::Shaken(_) | Checked::Vouched(..) => continue,
                        Checked::Failed { told, detail } => (
                            LoginVerdict::Failed(told),
                            None,
                            Some(NotLoggedIn { reason: CloseReason::LoginFailed, detail }),
                        ),
                        Checked::Refused(answered) => (LoginVerdict::Refused(answered), None, None),
                        Checked::Proved { login, last, lifetime: of_broker } => {
                            match self.admit(login.subject(self.door.super_users)) {
                                Ok(subject) => {
                                    let (most, offered) = ([self.door.max_session, of_broker], self.mechanisms.clone());
                                    let (standing, lifetime) =
                                        Standing::new(&login, mechanism, offered, most, self.shared.now());
                                    let standing = match check {
                                        Check::Broker(_) => standing.relayed(of_broker.is_some()),
                                        Check::Here(_) | Check::Nothing => standing,
                                    };
                                    (LoginVerdict::Proved { last, lifetime }, Some((subject, standing)), None)
                                }
                                Err(refused) => (LoginVerdict::Failed(refused.detail.clone()), None, Some(refused)),
                            }
                        }
                    };
                    if refused.is_none() && matches!(verdict, LoginVerdict::Failed(_) | LoginVerdict::Refused(_)) {
                        // At once: who leaves without waiting for the answer, or tries many at a time, has failed too.
                        self.count_failure();
                    }
                    drop(place);
                    match login.verified(verdict) {
                        LoginStep::Answer(rope) => self.send(rope).await?,
                        LoginStep::Close { answer, reason, detail } => {
                            // As Kafka's `connection.failed.authentication.delay.ms`: guessing is slow.
                            tokio::time::sleep(self.door.login.delay).await;
                            let mut failed = failed.unwrap_or(NotLoggedIn { reason, detail });
                            if let (CloseReason::LoginFailed, Some(name)) = (failed.reason, &claimed) {
                                failed.detail = format!("{}, as `{name}`", failed.detail);
                            }
                            return self.part(answer, failed).await;
                        }
                        LoginStep::Verify(_) | LoginStep::Shake(_) => {}
                    }
                    if let Some((subject, standing)) = proved {
                        let (mechanism, software) = (named(self.facts, mechanism), login.software);
                        let upstream = match check {
                            Check::Broker(relay) => Some(relay.into_stream()),
                            Check::Here(_) | Check::Nothing => None,
                        };
                        let (standing, left_over) = (Some(standing), self.inbound);
                        let ends = None;
                        return Ok(LoggedIn { subject, standing, ends, mechanism, software, left_over, upstream });
                    }
                }
                // The broker was asked.
                LoginStep::Shake(_) => {}
            }
        }
    }

    /// Checks a message; nothing if too many failed from the address meanwhile. Who asks a broker keeps its place until the
    /// outcome is counted.
    async fn check(
        &self,
        check: &mut Check,
        message: Bytes,
    ) -> Result<Option<(Checked, Option<Place<'a>>)>, NotLoggedIn> {
        let address = self.facts.host.source();
        match std::mem::replace(check, Check::Nothing) {
            Check::Here(under_way) => {
                let asks = Asks { shared: self.shared, door: self.door, address };
                let Some((under_way, checked)) = verify(asks, under_way, message, false).await else { return Ok(None) };
                *check = under_way.map_or(Check::Nothing, Check::Here);
                Ok(Some((checked, None)))
            }
            Check::Broker(mut relay) => {
                let most = self.door.login.per_minute;
                let place = match relay.mechanism() {
                    Mechanism::Password(_) => Some(self.shared.failures.place(address, most).await),
                    // Nobody guesses a token, and its provider may have to be asked for a key.
                    Mechanism::OAuthBearer => None,
                };
                if self.shared.failures.too_many(address, most) {
                    return Ok(None);
                }
                let asks = Asks { shared: self.shared, door: self.door, address };
                let checked = relay.check(asks, message, None).await;
                *check = Check::Broker(relay);
                Ok(checked.map(|checked| (checked, place)))
            }
            Check::Nothing => {
                let detail = "a message after the login was over".to_owned();
                Err(NotLoggedIn { reason: CloseReason::LoginFailed, detail })
            }
        }
    }

    fn admit(&self, subject: Verified<Subject>) -> Result<Verified<Subject>, NotLoggedIn> {
        admit(subject, self.facts, self.shared, self.door)
    }

    async fn frame(&mut self, login: &Login) -> Result<Bytes, NotLoggedIn> {
        loop {
            match login.frame_size(&self.inbound, self.door.login.frame) {
                Ok(Some(size)) if self.inbound.len() >= SIZE_LEN + size => {
                    return Ok(self.inbound.split_to(SIZE_LEN + size).freeze().slice(SIZE_LEN..));
                }
                Ok(_) => {}
                Err(error) => return Err(NotLoggedIn { reason: close_reason(&error), detail: error.to_string() }),
            }
            let lost = |reason| NotLoggedIn { reason, detail: "the client left before its login".to_owned() };
            self.inbound.reserve(READ);
            match self.client.read(&mut self.inbound, usize::MAX).await {
                Ok(0) => return Err(lost(CloseReason::ClientEof)),
                Ok(n) => {
                    *self.heard = true;
                    self.door.metrics.received.inc_by(n as u64);
                }
                Err(error) => {
                    let (reason, words) = of_client(&error);
                    return Err(words.map_or_else(|| lost(reason), |detail| NotLoggedIn { reason, detail }));
                }
            }
        }
    }

    async fn send(&mut self, rope: Rope) -> Result<(), NotLoggedIn> {
        let mut outbox = Outbox::default();
        outbox.push_rope(rope);
        let lost =
            |_| NotLoggedIn { reason: CloseReason::ClientReset, detail: "the client left before its login".to_owned() };
        let written = self.client.flush_all(&mut outbox).await.map_err(lost)?;
        self.door.metrics.sent.inc_by(written as u64);
        Ok(())
    }

    fn count_failure(&self) {
        count_failure(self.facts, self.shared, self.door);
    }

    async fn part(&mut self, last: Option<Rope>, failed: NotLoggedIn) -> Result<LoggedIn, NotLoggedIn> {
        if let Some(rope) = last {
            // Who has left by now has not been let in for all that.
            let _ = self.send(rope).await;
        }
        Err(failed)
    }
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

/// What password checks share: one at once for every two cores, so that a storm of logins leaves requests the others. With
/// one core they share it.
pub fn checks() -> Arc<Semaphore> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    Arc::new(Semaphore::new((cores / 2).max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[tokio::test]
    async fn a_check_that_nobody_waits_for_keeps_its_place_until_it_ends() {
        let checks = Arc::new(Semaphore::new(1));
        let (go_on, waits) = mpsc::channel::<()>();
        let (says, begun) = mpsc::channel();
        let check = checked(
            &checks,
            || true,
            move || {
                says.send(()).unwrap();
                waits.recv()
            },
        );
        assert!(tokio::time::timeout(Duration::ZERO, check).await.is_err(), "its login gave up");
        begun.recv().unwrap();
        assert_eq!(checks.available_permits(), 0);
        go_on.send(()).unwrap();
        let next = checked(&checks, || true, || 7).await;
        assert!(matches!(next, Some(Ok(7))), "then the next has its turn");
    }

    #[test]
    fn sessions_of_one_length_end_one_after_the_other_and_none_too_late() {
        let most = Duration::from_secs(3600);
        let ends: std::collections::BTreeSet<Duration> = (0..100).map(|_| spread(most)).collect();
        assert!(ends.len() > 90 && ends.iter().all(|end| (most * 8 / 10..=most).contains(end)), "{ends:?}");
        let [first, last] = [ends.first(), ends.last()].map(|end| end.unwrap().as_secs());
        assert!(last - first > 360, "from {first} to {last} s");
    }

    #[tokio::test]
    async fn a_check_whose_address_failed_too_often_meanwhile_is_not_made() {
        let checks = Arc::new(Semaphore::new(1));
        let never = || panic!("it is made");
        assert!(checked(&checks, || false, never).await.is_none());
        assert_eq!(checks.available_permits(), 1);
    }
}

//! The talk with a client until it is logged in: frames in, answers out, each message checked.

use super::check::{Asks, Check, verify};
use super::{LoggedIn, NotLoggedIn, admit, count_failure, named, too_many};
use crate::audit::ConnectionRecorder;
use crate::identity::sasl::Exchange;
use crate::model::{CloseReason, Connection, Mechanism, Subject, Verified};
use crate::net::connection::of_client;
use crate::net::failures::Place;
use crate::net::relay::Relay;
use crate::net::shared::{Door, Shared};
use crate::net::socket::Socket;
use crate::session::{Checked, Login, LoginStep, LoginVerdict, Mechanisms, Outbox, Standing, close_reason};
use crate::telemetry::LoginOutcome;
use crate::wire::Rope;
use crate::wire::frame::SIZE_LEN;
use bytes::{Bytes, BytesMut};

/// Room for what one read of a login may bring.
const READ: usize = 4096;

/// One login under way.
pub(super) struct Talk<'a> {
    pub(super) mechanisms: Mechanisms,
    pub(super) client: &'a mut Socket,
    pub(super) facts: &'a Connection,
    pub(super) shared: &'a Shared,
    pub(super) door: &'a Door,
    pub(super) recorder: &'a mut ConnectionRecorder,
    pub(super) inbound: BytesMut,
    /// Whether the client has said anything.
    pub(super) heard: &'a mut bool,
}

impl<'a> Talk<'a> {
    /// Leads it to its end.
    pub(super) async fn lead(mut self, mut login: Login) -> Result<LoggedIn, NotLoggedIn> {
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

//! How long a login holds: until its lifetime is over, unless the client logs in again on the same connection (KIP-368),
//! and until the users file no longer has what was proved.
//!
//! Source: `SaslServerAuthenticator.reauthenticate` and `ReauthInfo`, `KafkaChannel.maybeBeginServerReauthentication` and
//! `.serverAuthenticationSessionExpired`, `SocketServer.Processor.processCompletedReceives`, Kafka 4.3. A login again
//! keeps principal and mechanism. What is asked before it is answered before it, as brokers answer one request at a time.

use super::login::{Answered, Login, LoginStep, LoginVerdict, Mechanisms, Shook};
use super::machine::{Limits, Machine, Now, Outputs, Wait};
use super::relay::{Checks, Relaying};
use crate::identity;
use crate::identity::users::Credential;
use crate::model::{CloseReason, Mechanism, Principal, Timestamp};
use crate::wire::frame::{FrameError, request_size};
use crate::wire::{ApiKey, ErrorCode, Rope};
use bytes::Bytes;
use std::fmt;
use std::time::Duration;

/// Who logs in again sooner is answered as where nobody can (`KafkaChannel.MIN_REAUTH_INTERVAL_ONE_SECOND_NANOS`).
const LEAST_INTERVAL: u64 = 1_000_000;

/// How long records may still come for a Fetch that waited when its client's token ended, in milliseconds. Clients log in
/// again behind such a Fetch, which by default waits half a second; and may let one wait for weeks.
const LINGER: i64 = 10_000;

/// What is told where nobody logged in again: when a token had ended, and else.
const TOKEN_ENDED: &str = "the token has expired, and the client did not log in again";
const SESSION_ENDED: &str =
    "`listeners[].max_session` is over, or the time of the user, and the client did not log in again";

/// What a login by SASL holds by.
pub struct Standing {
    pub(super) mechanism: Mechanism,
    offered: Mechanisms,
    pub(super) checks: Checks,
    /// The longest that a login holds; `None` = no bound.
    most: Option<Duration>,
    credential: Option<Credential>,
    expires: Option<Timestamp>,
    /// When the lifetime that the client was told is over, in microseconds of the shell's clock.
    ends: Option<u64>,
    /// Whether that is the end of a token, and no other.
    of_token: bool,
    /// When the last login again began.
    begun: Option<u64>,
    /// Whether it was looked up in the users in force.
    looked_up: bool,
    /// Whether the end of what was proved has come, and the connection was kept for a login again.
    lapsed: bool,
    pub(super) again: Option<Login>,
}

/// What came of a message that was checked ([`Outputs::check`]).
pub enum Checked {
    /// What a broker answers to the handshake.
    Shaken(Shook),
    /// The client has to answer this.
    Challenge(Vec<u8>),
    /// It is proved who the client is.
    Proved {
        /// Who.
        login: identity::Login,
        /// The mechanism's last message.
        last: Vec<u8>,
        /// For how long a broker agrees, where one was asked; `None` = for ever.
        lifetime: Option<Duration>,
    },
    /// The login failed.
    Failed {
        /// For the client.
        told: String,
        /// For the operator.
        detail: String,
    },
    /// A token was found good here; this message takes it to the broker.
    Vouched(identity::Login, Bytes),
    /// A broker refused the login.
    Refused(Answered),
    /// It cannot be told now, by no fault of the client's: it is to try again, as after any lost connection.
    Lost {
        /// Why the connection ends.
        reason: CloseReason,
        /// For the operator.
        detail: String,
    },
}

impl Checked {
    /// Whether the login is over without a proof.
    pub fn is_failure(&self) -> bool {
        match self {
            Self::Failed { .. } | Self::Refused(_) => true,
            Self::Shaken(_) | Self::Challenge(_) | Self::Proved { .. } | Self::Vouched(..) | Self::Lost { .. } => false,
        }
    }

    /// For a login again: fails if it proves somebody else than who is connected.
    #[must_use]
    pub fn of_same(self, before: &Principal) -> Self {
        match self {
            Self::Proved { login, .. } | Self::Vouched(login, _) if login.principal.get() != before => {
                Self::other(before, login.principal.get())
            }
            other => other,
        }
    }

    /// Whether another message of the same login may follow.
    pub fn goes_on(&self) -> bool {
        match self {
            Self::Shaken(shook) => shook.code == ErrorCode::NONE,
            Self::Challenge(_) => true,
            Self::Proved { .. } | Self::Vouched(..) | Self::Failed { .. } | Self::Refused(_) | Self::Lost { .. } => {
                false
            }
        }
    }

    /// For a login again, before it is checked: fails if the client says that it is somebody else than who is connected.
    /// Nothing is learned of that one's password then: a connection is not a further guess at it.
    pub fn of_other(claim: Option<&str>, before: &Principal) -> Option<Self> {
        let claimed = Principal::user(claim?);
        (claimed != *before).then(|| Self::other(before, &claimed))
    }

    fn other(before: &Principal, after: &Principal) -> Self {
        let name = |p: &Principal| format!("{}.{}", p.kind(), p.name());
        let (before, after) = (name(before), name(after));
        let told = format!("Cannot change principals during re-authentication from {before}: {after}");
        Self::Failed { detail: told.clone(), told }
    }
}

impl fmt::Debug for Checked {
    /// Without what a mechanism says, which may be a proof or a token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shaken(shook) => f.debug_tuple("Shaken").field(shook).finish(),
            Self::Challenge(_) => f.write_str("Challenge(…)"),
            Self::Proved { login, lifetime, .. } => {
                let principal = login.principal.get();
                f.debug_struct("Proved")
                    .field("principal", principal)
                    .field("lifetime", lifetime)
                    .finish_non_exhaustive()
            }
            Self::Vouched(login, _) => write!(f, "Vouched({:?}, …)", login.principal.get()),
            Self::Failed { detail, .. } => f.debug_tuple("Failed").field(detail).finish(),
            Self::Refused(answered) => f.debug_tuple("Refused").field(answered).finish(),
            Self::Lost { reason, detail } => f.debug_tuple("Lost").field(reason).field(detail).finish(),
        }
    }
}

/// The longest lifetime that is told: clients count it in nanoseconds, in 64 bits.
const LONGEST_TOLD: Duration = Duration::from_secs(365 * 24 * 3600);

/// How long a login holds that lasts at most so long, as the listener and a broker say, and is somebody's whose password
/// ends then.
fn lifetime(most: [Option<Duration>; 2], expires: Option<Timestamp>, now: Timestamp) -> Option<Duration> {
    let left = expires.map(|end| Duration::from_millis(u64::try_from(end.millis_since(now)).unwrap_or(0)));
    most.into_iter().chain([left]).flatten().min()
}

/// A lifetime as SaslAuthenticate tells it: 0 is none, so one that is over already is the shortest there is.
fn told(lifetime: Option<Duration>) -> i64 {
    lifetime.map_or(0, |lifetime| i64::try_from(lifetime.min(LONGEST_TOLD).as_millis()).unwrap_or(i64::MAX).max(1))
}

impl Standing {
    /// What this login, made now, holds by, and its lifetime for the client in milliseconds; 0 = it has none.
    /// `of_broker`: for how long the broker agrees that checked it.
    pub fn new(
        login: &identity::Login,
        mechanism: Mechanism,
        offered: Mechanisms,
        [most, of_broker]: [Option<Duration>; 2],
        now: Now,
    ) -> (Self, i64) {
        let mut standing = Self {
            mechanism,
            offered,
            checks: Checks::Here,
            most,
            credential: None,
            expires: None,
            ends: None,
            of_token: false,
            begun: None,
            looked_up: false,
            lapsed: false,
            again: None,
        };
        let told = standing.renew(login, of_broker, now);
        (standing, told)
    }

    /// A broker checked the login; `timed`: it gave it a time, and so takes a login again.
    #[must_use]
    pub fn relayed(self, timed: bool) -> Self {
        Self { checks: if timed { Checks::Pipe(None) } else { Checks::Beside }, ..self }
    }

    fn renew(&mut self, login: &identity::Login, of_broker: Option<Duration>, now: Now) -> i64 {
        let most = [self.most, of_broker];
        let lifetime_of = |expires| lifetime(most, expires, now.wall);
        let lifetime = lifetime_of(login.expires);
        self.of_token = login.credential.is_none() && lifetime != lifetime_of(None);
        self.credential.clone_from(&login.credential);
        self.expires = login.expires;
        self.ends = lifetime.map(|l| now.micros.saturating_add(u64::try_from(l.as_micros()).unwrap_or(u64::MAX)));
        (self.looked_up, self.lapsed) = (false, false);
        told(lifetime)
    }
}

impl Machine {
    /// What the login holds by; without it for ever.
    #[must_use]
    pub fn logged_in(mut self, standing: Option<Standing>) -> Self {
        self.standing = standing;
        self
    }

    /// Whether the next request is a handshake.
    fn shakes(&self) -> bool {
        let key = self.from_client.get(4..6).and_then(|bytes| <[u8; 2]>::try_from(bytes).ok()).map(i16::from_be_bytes);
        key == Some(ApiKey::SASL_HANDSHAKE.0)
    }

    /// The size of the next request, once it is there. What belongs to a login is bounded as in a first one, before it is
    /// gathered: no policy has a say in it (`SaslServerAuthenticator` reads at most `sasl.server.max.receive.size`).
    pub(super) fn next_size(&self) -> Result<Option<usize>, FrameError> {
        let Limits { frame, login_frame, .. } = self.limits;
        match &self.standing {
            Some(Standing { again: Some(again), .. }) => again.frame_size(&self.from_client, login_frame),
            Some(_) if self.shakes() => request_size(&self.from_client, login_frame),
            Some(_) | None => request_size(&self.from_client, frame),
        }
    }

    /// Whether the next request begins a login again.
    pub(super) fn begins_renewal(&self, now: Now) -> bool {
        let Some(standing) = &self.standing else { return false };
        standing.ends.is_some()
            && self.shakes()
            && standing.begun.is_none_or(|begun| now.micros.saturating_sub(begun) >= LEAST_INTERVAL)
    }

    /// Whether a login again is under way.
    pub(super) fn renews(&self) -> bool {
        self.standing.as_ref().is_some_and(|standing| standing.again.is_some())
    }

    /// When the login again began that is under way, in microseconds of the shell's clock.
    pub fn renews_since(&self) -> Option<u64> {
        self.standing.as_ref().filter(|standing| standing.again.is_some()).and_then(|standing| standing.begun)
    }

    /// What is over, if the login's lifetime is, by the clock that it was counted with, or the end of what was proved has come
    /// by that on the wall: the first stands still while its host does.
    pub(super) fn has_expired(&self, now: Now) -> Option<(CloseReason, &'static str)> {
        let standing = self.standing.as_ref()?;
        let is_over = standing.lapsed || standing.ends.is_some_and(|ends| now.micros > ends);
        let past = standing.credential.is_none() && standing.expires.is_some_and(|end| now.wall >= end);
        is_over.then_some(if past || standing.of_token {
            (CloseReason::TokenExpired, TOKEN_ENDED)
        } else {
            (CloseReason::SessionExpired, SESSION_ENDED)
        })
    }

    /// Takes a frame, without its length, of a login again; the first one begins it.
    pub(super) fn renew(&mut self, frame: &Bytes, now: Now, out: &mut Outputs) {
        let Some(standing) = &mut self.standing else { return };
        let broker = self.connection.broker;
        let again = standing.again.get_or_insert_with(|| {
            standing.begun = Some(now.micros);
            let again = Login::again(standing.offered.clone(), broker, standing.mechanism);
            if matches!(standing.checks, Checks::Here) { again } else { again.relayed() }
        });
        let step = again.take(frame, &self.world.topology);
        self.renewal_step(step, out);
    }

    /// The next instant at which the login ends by itself.
    pub(super) fn standing_ends(&self) -> Option<Timestamp> {
        let standing = self.standing.as_ref()?;
        match standing.lapsed {
            false => standing.expires,
            // Else no timer is to ring for it.
            true => standing.expires.filter(|_| self.waits_at_the_end()).map(|end| end.plus_millis(LINGER)),
        }
    }

    /// Takes what a message came to.
    pub(super) fn checked(&mut self, checked: Checked, now: Now, out: &mut Outputs) {
        if !matches!(self.wait, Wait::Renewal | Wait::Settling) {
            return;
        }
        self.wait = Wait::Nothing;
        let checked = match checked {
            Checked::Shaken(shook) => return self.shaken(&shook, out),
            Checked::Vouched(login, message) => return self.vouched(login, message, out),
            Checked::Lost { reason, detail } => {
                out.detail = Some(detail);
                return self.close(reason);
            }
            checked => checked,
        };
        let Some(standing) = &mut self.standing else { return };
        let Some(mut again) = standing.again.take() else { return };
        // The shell asked this before, to answer as late as where the password is wrong.
        let (verdict, detail) = match checked.of_same(&self.subject.get().principal) {
            Checked::Challenge(bytes) => (LoginVerdict::Challenge(bytes), None),
            // Taken above.
            Checked::Shaken(_) | Checked::Vouched(..) | Checked::Lost { .. } => return,
            Checked::Failed { told, detail } => (LoginVerdict::Failed(told), Some(detail)),
            Checked::Refused(answered) => {
                let detail = answered.words();
                (LoginVerdict::Refused(answered), Some(detail))
            }
            Checked::Proved { login, last, lifetime } => {
                let lifetime = standing.renew(&login, lifetime, now);
                self.subject = login.subject(self.subject.get().may_be_super);
                self.generation += 1;
                out.renewed = true;
                (LoginVerdict::Proved { last, lifetime }, None)
            }
        };
        let over = matches!(verdict, LoginVerdict::Proved { .. });
        let step = again.verified(verdict);
        if !over && let Some(standing) = &mut self.standing {
            standing.again = Some(again);
        }
        self.renewal_step(step, out);
        if detail.is_some() {
            out.detail = detail;
        }
    }

    pub(super) fn renewal_step(&mut self, step: LoginStep, out: &mut Outputs) {
        let answer = match step {
            LoginStep::Answer(rope) => Some(rope),
            LoginStep::Shake(mechanism) => {
                self.relay(Relaying::Shake(mechanism), out);
                None
            }
            LoginStep::Verify(message) => {
                self.relay(Relaying::Message(message), out);
                None
            }
            LoginStep::Close { answer, reason, detail } => {
                out.detail = Some(detail);
                self.close(reason);
                answer
            }
        };
        for chunk in answer.into_iter().flat_map(Rope::into_chunks) {
            self.to_client.push(chunk);
        }
    }

    /// Looks the login up in the users in force: closes when it would fail now, and takes over the user's groups.
    pub(super) fn check_standing(&mut self, now: Now, out: &mut Outputs) {
        let Some(standing) = &mut self.standing else { return };
        let over = standing.expires.is_some_and(|end| now.wall >= end);
        if standing.looked_up && !over {
            return;
        }
        standing.looked_up = true;
        let Some(credential) = &standing.credential else { return self.check_end(now, out) };
        match self.world.users.holds(credential, now.wall) {
            Ok(login) => {
                standing.expires = login.expires;
                if self.subject.get().groups != login.groups {
                    self.subject = login.subject(self.subject.get().may_be_super);
                    self.generation += 1;
                }
            }
            Err(ended) => {
                out.detail = Some(ended.to_string());
                self.close(CloseReason::LoginRevoked);
            }
        }
    }

    /// What was proved holds by nothing but its end (a token). As at a broker, who logs in again goes on, who asks
    /// something first is closed, and what was asked before is answered, which for a member of a group may take minutes. But
    /// records for which a client waits as long as it likes are not given much later, and what waits here is not written.
    fn check_end(&mut self, now: Now, out: &mut Outputs) {
        let waits = self.waits_at_the_end();
        let Some(standing) = &mut self.standing else { return };
        let Some(end) = standing.expires.filter(|end| now.wall >= *end) else { return };
        standing.lapsed = true;
        if waits && now.wall >= end.plus_millis(LINGER) {
            out.detail = Some(TOKEN_ENDED.to_owned());
            self.close(CloseReason::TokenExpired);
        }
    }

    fn waits_at_the_end(&self) -> bool {
        self.inflight.waits_for_records() || self.is_waiting() || self.held.is_some()
    }

    /// Other users are in force.
    pub(super) fn users_changed(&mut self) {
        if let Some(standing) = &mut self.standing {
            standing.looked_up = false;
        }
    }
}

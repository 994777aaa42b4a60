//! Logins on a connection that is open: the client's again, checked here, down the pipe or beside it, and the proxy's at the
//! broker. The shell's part is played by chance; what it makes of a broker's answers is made by the code that it uses.

use super::Run;
use super::client::Due;
use super::dice::Dice;
use crate::allocator::live;
use crate::messages::{Style, Subject, message};
use crate::stage::END;
use bytes::Bytes;
use kordon::cluster::credentials::{Ask, Credentials, Exchange, Next};
use kordon::config::{PasswordMechanism, Secret, SecretSource, TokenSource, UpstreamSasl};
use kordon::identity::sasl::{self, Against, Relayed, Turn};
use kordon::identity::tokens::Tokens;
use kordon::identity::users::{User, Users};
use kordon::identity::{self, fixed};
use kordon::model::{CloseReason, Mechanism, Principal, Timestamp};
use kordon::session::{
    Answered, BrokerLoginStep, BrokerLoginTurn, Checked, Input, Machine, Now, Relaying, Shook, Standing,
};
use kordon::wire::header::RequestHeader;
use kordon::wire::schema::{produce, sasl_authenticate, sasl_handshake};
use kordon::wire::{ApiKey, ErrorCode, Node, Value, api};
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// What logs the proxy in: no client may read it.
const PASSWORD: &str = "what the proxy is known by: 4f1d";
const TOKEN: &str = "e30.e30.dGhlIHByb3h5";
/// The longest answer that is taken in a login, without its length.
const LONGEST: usize = 64 * 1024;
/// How long records may still come for what was asked before a token ended, in milliseconds.
const LINGER: i64 = 10_000;

static CREDENTIALS: LazyLock<[Arc<Credentials>; 3]> = LazyLock::new(|| {
    let given = |text: &str| Secret(SecretSource::Given(text.to_owned()));
    let by = |mechanism| {
        let (username, password) = ("kordon".to_owned(), given(PASSWORD));
        Arc::new(Credentials::new(UpstreamSasl::Password { mechanism, username, password }))
    };
    let token = Credentials::new(UpstreamSasl::Token {
        source: TokenSource::Given(given(TOKEN)),
        principal_claim: "sub".to_owned(),
    });
    [by(PasswordMechanism::Plain), by(PasswordMechanism::ScramSha256), Arc::new(token)]
});
/// Whom the broker knows.
static USERS: LazyLock<Users> =
    LazyLock::new(|| Users::new(vec![User::with_password("kordon", PASSWORD, b"a salt of kordon", 4096)]));

/// Where the client's logins are checked.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Checks {
    /// It has none.
    Nowhere,
    Here,
    Pipe,
    Beside,
}

/// The proxy's login at the broker.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Own {
    Holds,
    Until(u64),
    UnderWay,
}

/// When a client's login ends: in microseconds of the clock that never goes back, and on the wall.
type Ends = (Option<u64>, Option<i64>);

/// What is known of the logins of one connection.
pub(super) struct Logins {
    checks: Checks,
    pub(super) mechanism: Mechanism,
    most: Option<Duration>,
    ends: Ends,
    own: Own,
    credentials: Arc<Credentials>,
    /// What the shell has to do.
    turn: Option<BrokerLoginTurn>,
    check: Option<(Mechanism, Bytes)>,
    relay: Option<Relaying>,
    /// What it has under way.
    exchange: Option<Exchange>,
    beside: Option<Relayed>,
    server: Option<sasl::Exchange>,
    /// What it had asked of the broker, until that is written.
    asked: Option<(ApiKey, i16, Node)>,
    /// Whether it says now that the broker knows the proxy.
    done: bool,
    /// For which reason it gave a login up.
    lost: Option<CloseReason>,
    /// Whether a request was taken and is not written.
    holds: bool,
    /// Requests that were written in this step, but for those that follow from an answer.
    fresh: usize,
    /// The ids of requests that are at the broker.
    there: Vec<i32>,
}

/// What was so before a step.
pub(super) struct Before {
    late: bool,
    own_is_late: bool,
    renews: bool,
    holds: bool,
    done: bool,
    /// When the login ends that is told to be proved in this step.
    proves: Option<Ends>,
}

impl Logins {
    /// Logins by chance, what the client's holds by, and when the proxy's is due.
    pub(super) fn begin(dice: &mut Dice<'_>) -> (Self, Option<Standing>, Option<u64>) {
        let checks = dice.of(&[Checks::Here, Checks::Pipe, Checks::Beside, Checks::Nowhere, Checks::Here]);
        let mechanism = dice.of(&Mechanism::EVERY);
        let most = dice.of(&[Some(5_000), Some(20_000), Some(1), None]).map(Duration::from_millis);
        // Brokers that take logins again down the pipe have given the first a time.
        let of_broker = (checks == Checks::Pipe).then(|| Duration::from_millis(dice.of(&[4_000, 60_000])));
        let who = alice(dice, 0);
        // A client that logs in by itself is at the broker what it is here.
        let due =
            dice.of(&[Some(0), Some(2_000_000), None]).filter(|_| matches!(checks, Checks::Nowhere | Checks::Here));
        let now = Now { wall: Timestamp(0), micros: 0 };
        let standing = (checks != Checks::Nowhere).then(|| {
            let standing = Standing::new(&who, mechanism, Mechanism::EVERY.into(), [most, of_broker], now).0;
            if checks == Checks::Here { standing } else { standing.relayed(checks == Checks::Pipe) }
        });
        let credentials = Arc::clone(&CREDENTIALS[dice.below(3)]);
        let mut logins = Self {
            checks,
            mechanism,
            most,
            ends: (None, None),
            own: due.map_or(Own::Holds, Own::Until),
            credentials,
            turn: None,
            check: None,
            relay: None,
            exchange: None,
            beside: None,
            server: None,
            asked: None,
            done: false,
            lost: None,
            holds: false,
            fresh: 0,
            there: Vec::new(),
        };
        if standing.is_some() {
            logins.ends = logins.ends_of(&who, of_broker, now);
        }
        (logins, standing, due)
    }

    /// When a login ends that is made now.
    fn ends_of(&self, login: &identity::Login, of_broker: Option<Duration>, now: Now) -> Ends {
        let expires = login.expires.map(|end| end.0);
        let left = expires.map(|end| Duration::from_millis((end - now.wall.0).max(0) as u64));
        let life = [self.most, of_broker, left].into_iter().flatten().min();
        (life.map(|life| now.micros.saturating_add(life.as_micros().try_into().unwrap_or(u64::MAX))), expires)
    }

    fn is_late(&self, now: Now) -> bool {
        let (ends, expires) = self.ends;
        ends.is_some_and(|ends| now.micros > ends) || expires.is_some_and(|end| now.wall.0 >= end)
    }

    /// Whether a token ended so long ago that nothing is waited for any more.
    fn is_over(&self, wall: i64) -> bool {
        self.ends.1.is_some_and(|end| wall >= end + LINGER)
    }

    /// What is so before a step.
    pub(super) fn before(&mut self, input: &Input, machine: &Machine, now: Now) -> Before {
        self.fresh = 0;
        let proves = match input {
            Input::Checked(Checked::Proved { login, lifetime, .. }) => Some(self.ends_of(login, *lifetime, now)),
            _ => None,
        };
        let own_is_late = match self.own {
            Own::Holds => false,
            Own::Until(due) => now.micros >= due,
            Own::UnderWay => true,
        };
        Before {
            late: self.is_late(now),
            own_is_late,
            renews: machine.renews_since().is_some(),
            holds: self.holds && !self.is_over(now.wall.0),
            done: self.done,
            proves,
        }
    }

    /// A request is written to the broker; `front`: the id of the client's oldest unanswered one.
    pub(super) fn writes(&mut self, header: &RequestHeader<'_>, node: &Node, front: Option<i32>, said: &[Vec<u8>]) {
        let (key, id) = (header.key, header.correlation_id);
        if key != ApiKey::SASL_HANDSHAKE && key != ApiKey::SASL_AUTHENTICATE {
            // What follows from an answer belongs to a request that is there.
            if front != Some(id) || !self.there.contains(&id) {
                self.fresh += 1;
                if key != ApiKey::PRODUCE || node.i16(produce::request::ACKS) != 0 {
                    self.there.push(id);
                }
            }
            return;
        }
        assert_eq!(id, 0, "no request of the client is meant");
        if let Some((asked, version, body)) = self.asked.take() {
            assert!(self.own == Own::UnderWay, "a login that nobody began");
            assert!((key, header.version) == (asked, version) && *node == body, "it was to say {asked} {body:?}");
            return;
        }
        assert_eq!(self.checks, Checks::Pipe, "a message of a login goes to the broker: {key}");
        if key == ApiKey::SASL_HANDSHAKE {
            let asked = node.str(sasl_handshake::request::MECHANISM);
            assert_eq!(asked, self.mechanism.name(), "another mechanism than before");
            return;
        }
        let bytes = node.bytes(sasl_authenticate::request::AUTH_BYTES).expect("a message");
        assert!(said.iter().any(|said| said[..] == bytes[..]), "the client has not said so");
        if self.mechanism == Mechanism::PLAIN {
            let name = bytes.split(|byte| *byte == 0).nth(1);
            assert_eq!(name, Some(&b"alice"[..]), "the broker is asked for another");
        }
    }

    /// The client got the answer to its oldest request.
    pub(super) fn answered(&mut self, id: i32, answer: &[u8]) {
        if let Some(at) = self.there.iter().position(|there| *there == id) {
            self.there.remove(at);
        }
        for secret in [PASSWORD, TOKEN] {
            let tells = answer.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!tells, "a client is told what the proxy is known by");
        }
    }

    /// Records reach the client that began to do so then.
    pub(super) fn gives_records(&self, wall: i64) {
        assert!(!self.is_over(wall), "records long after the end {:?} of the token", self.ends);
    }
}

/// Alice, as a login names her that is made then: with an end, or without.
fn alice(dice: &mut Dice<'_>, wall: i64) -> identity::Login {
    let expires = dice.of(&[None, None, Some(5), Some(3_000), Some(END), Some(-1)]).map(|more| Timestamp(wall + more));
    identity::Login { expires, ..fixed::login(&Principal::user("alice")) }
}

fn bob() -> identity::Login {
    fixed::login(&Principal::user("bob"))
}

/// What comes of a future that has nothing to wait for.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => panic!("it waits"),
    }
}

/// What a broker answers to a login, more or less; `server`: what it is about.
pub(super) fn answer(
    (key, version): (ApiKey, i16),
    asked: &Node,
    server: &mut Option<sasl::Exchange>,
    dice: &mut Dice<'_>,
) -> Node {
    let by_chance = |dice: &mut Dice<'_>| {
        let subject = Subject { api: api(key).expect("it is known"), response: true, version };
        message(subject, Style::Random, dice.seed())
    };
    if key == ApiKey::SASL_HANDSHAKE {
        use sasl_handshake::response::{ERROR_CODE, MECHANISMS};
        let name = asked.str(sasl_handshake::request::MECHANISM);
        *server = Mechanism::EVERY.into_iter().find(|one| one.name() == name).map(sasl::Exchange::new);
        let offered = match dice.below(40) {
            39 => vec![Value::from("M"); 3_000],
            _ => Mechanism::EVERY.iter().map(|one| Value::from(one.name())).collect(),
        };
        let node = Node::response(key).with(MECHANISMS, offered);
        return match dice.below(12) {
            8 => node.with(ERROR_CODE, ErrorCode::UNSUPPORTED_SASL_MECHANISM),
            9 => node.with(ERROR_CODE, ErrorCode::ILLEGAL_SASL_STATE),
            10 => node.with(ERROR_CODE, dice.below(200) as i16 - 2),
            11 => by_chance(dice),
            _ => node,
        };
    }
    use sasl_authenticate::response::{AUTH_BYTES, ERROR_CODE, ERROR_MESSAGE, SESSION_LIFETIME_MS};
    let node = Node::response(key).with(SESSION_LIFETIME_MS, dice.of(&[0, 4_000, 60_000, 1, -1, i64::MAX]));
    match dice.below(12) {
        8 => node.with(ERROR_CODE, ErrorCode::SASL_AUTHENTICATION_FAILED).with(ERROR_MESSAGE, "no, says the broker"),
        9 => node.with(AUTH_BYTES, Bytes::from_static(dice.of(&[&b"v="[..], b"e=no", b"{}", b"\0", b"r=,s=,i=4096"]))),
        10 => node.with(AUTH_BYTES, Bytes::from(vec![b'v'; dice.of(&[3_000, 60_000, LONGEST])])),
        11 => by_chance(dice),
        _ => node.with(AUTH_BYTES, honest(asked, server)),
    }
}

/// What a broker says that knows `kordon`, and believes everybody else.
fn honest(asked: &Node, server: &mut Option<sasl::Exchange>) -> Bytes {
    let message = asked.bytes(sasl_authenticate::request::AUTH_BYTES).cloned().unwrap_or_default();
    let mechanism = server.as_ref().map(sasl::Exchange::mechanism);
    let scram = matches!(mechanism, Some(Mechanism::SCRAM_SHA_256 | Mechanism::SCRAM_SHA_512));
    let Some(server) = server.as_mut().filter(|_| scram) else { return Bytes::new() };
    let tokens = Tokens::new(Vec::new());
    let nonce = "nonce-of-the-broker";
    match server.take(&message, &Against { users: &USERS, tokens: &tokens, asked: true, nonce, now: Timestamp(0) }) {
        Ok(Turn::Challenge(bytes) | Turn::Proved { last: bytes, .. }) => bytes.into(),
        Ok(Turn::Wants(_)) | Err(_) if message.starts_with(b"n") => Bytes::from_static(b"r=nonce+,s=c2FsdA==,i=4096"),
        Ok(Turn::Wants(_)) | Err(_) => Bytes::from_static(b"v=proof"),
    }
}

/// Whether an answer in a login is longer than any that is taken.
pub(super) fn is_too_long(bytes: &[u8]) -> bool {
    bytes.len() > LONGEST + 4
}

impl Run<'_> {
    /// The same, of a client that logs in again, or at a broker where the proxy does.
    pub(super) fn with_logins(mut self) -> Self {
        LazyLock::force(&USERS);
        LazyLock::force(&CREDENTIALS);
        let before = live();
        let (logins, standing, due) = Logins::begin(&mut self.dice);
        self.machine = self.machine.take().map(|machine| machine.logged_in(standing));
        self.machine().broker_knows_until(due);
        self.logins = Some(Box::new(logins));
        self.held += live() - before;
        self
    }

    /// Holds what came of a step against what was so before it.
    pub(super) fn look_at_logins(&mut self, before: &Before, now: Now) {
        let waits = self.book.waiting.is_some() || self.looks_up;
        let machine = self.machine.as_ref().expect("it lives until the end");
        let (Some(logins), out) = (self.logins.as_mut(), &mut self.out) else { return };
        assert_eq!(machine.subject().principal.as_str(), "User:alice", "somebody else is let in");
        if std::mem::take(&mut out.renewed) {
            logins.ends = before.proves.expect("nothing was proved");
        } else if before.late {
            assert!(logins.fresh <= usize::from(before.holds), "a request past the end {:?} of its login", logins.ends);
        }
        if before.renews && machine.renews_since().is_some() {
            assert_eq!(logins.fresh, 0, "a request in the middle of the client's login");
        }
        if before.own_is_late && !before.done {
            assert_eq!(logins.fresh, 0, "a request to a broker that no longer knows the proxy: {:?}", logins.own);
        }
        if let Some(turn) = out.broker_login.take() {
            assert!(logins.turn.is_none() && logins.asked.is_none(), "two steps at once");
            match turn {
                BrokerLoginTurn::Begin => {
                    assert!(matches!(logins.own, Own::Until(due) if now.micros >= due), "{:?}", logins.own);
                    assert!(logins.there.is_empty(), "a login before {:?} is answered", logins.there);
                    logins.own = Own::UnderWay;
                }
                BrokerLoginTurn::Answered(_) => assert_eq!(logins.own, Own::UnderWay),
            }
            logins.turn = Some(turn);
        }
        assert!(machine.broker_login_since().is_none() || logins.own == Own::UnderWay || machine.closing().is_some());
        if let Some(check) = out.check.take() {
            assert_eq!(logins.checks, Checks::Here);
            assert!(logins.check.is_none(), "two checks at once");
            let said = self.client.said.iter().any(|said| said[..] == check.1[..]);
            assert!(said || self.client.raw, "the client has not said so");
            logins.check = Some(check);
        }
        if let Some(relay) = out.relay.take() {
            let right = match &relay {
                Relaying::Shake(_) | Relaying::Message(_) => logins.checks == Checks::Beside,
                Relaying::Vouch(..) | Relaying::Settle(_) => logins.checks == Checks::Pipe,
            };
            assert!(right && logins.relay.is_none(), "{relay:?} where logins are checked {:?}", logins.checks);
            logins.relay = Some(relay);
        }
        logins.holds = waits || (logins.holds && machine.holds_request());
    }

    /// Something happens to logins.
    pub(super) fn logins_step(&mut self) {
        let Some(mechanism) = self.logins.as_ref().map(|logins| logins.mechanism) else { return };
        match self.dice.below(10) {
            0..3 => {
                let (cap, bad) = (self.knobs.limits.frame, self.knobs.bad_client);
                self.client.log_in(&mut self.dice, mechanism, cap, bad);
            }
            3..7 => drop(self.shell(true)),
            7 => {
                self.time_goes_by();
                self.input(Input::Tick);
            }
            // No timer rings, as where the host was suspended.
            8 => self.time_goes_by(),
            _ => self.says_unasked(),
        }
    }

    fn time_goes_by(&mut self) {
        let millis = self.dice.of(&[900, 1_200, 6_000, 15_000]);
        self.wall += millis;
        self.micros += 1_000 * millis as u64;
    }

    /// The shell does one thing that it was asked for. Whether there was one.
    pub(super) fn shell(&mut self, by_chance: bool) -> bool {
        if self.ended.is_some() {
            return false;
        }
        let before = live();
        let Some(mut logins) = self.logins.take() else { return false };
        let input = if logins.turn.is_some() {
            Some(self.at_the_broker(&mut logins, by_chance))
        } else if let Some((mechanism, _)) = logins.check.take() {
            // The exchange of the mechanism has targets of its own.
            Some(Input::Checked(self.checked(&mut logins, mechanism, by_chance)))
        } else {
            logins.relay.take().map(|relay| Input::Checked(self.relayed(&mut logins, relay, by_chance)))
        };
        self.logins = Some(logins);
        self.held += live() - before;
        let Some(input) = input else { return false };
        if let (Some(logins), Input::BrokerLogin(BrokerLoginStep::Ask { key, version, body })) =
            (&mut self.logins, &input)
        {
            logins.asked = Some((*key, *version, body.clone()));
        }
        let next = match &input {
            Input::BrokerLogin(BrokerLoginStep::Done(until)) => Some(until.map_or(Own::Holds, Own::Until)),
            _ => None,
        };
        if let Some(logins) = &mut self.logins {
            logins.done = next.is_some();
        }
        self.input(input);
        if let (Some(logins), Some(next)) = (&mut self.logins, next) {
            (logins.own, logins.done) = (next, false);
        }
        true
    }

    fn at_the_broker(&mut self, logins: &mut Logins, by_chance: bool) -> Input {
        let chance = if by_chance { self.dice.below(16) } else { 0 };
        let step = match (logins.turn.take(), chance) {
            (None, _) => BrokerLoginStep::Done(None),
            (_, 14) => BrokerLoginStep::Failed("there is no secret".to_owned()),
            (_, 15) => BrokerLoginStep::Done(None),
            (Some(BrokerLoginTurn::Begin), _) => {
                let version = self.dice.below(3) as i16;
                let (exchange, ask) =
                    at_once(Arc::clone(&logins.credentials).begin(version)).expect("there is a secret");
                logins.exchange = Some(exchange);
                asks(ask)
            }
            (Some(BrokerLoginTurn::Answered(answer)), _) => {
                let exchange = logins.exchange.as_mut().expect("one is under way");
                match exchange.take(&answer) {
                    Ok(Next::Ask(ask)) => asks(ask),
                    Ok(Next::Done(life)) => {
                        let life = life.filter(|_| by_chance).map(|life| life.as_micros().min(1 << 60) as u64);
                        BrokerLoginStep::Done(life.map(|life| self.micros + life.max(1_100_000)))
                    }
                    Err(failure) => BrokerLoginStep::Failed(failure.to_string()),
                }
            }
        };
        Input::BrokerLogin(step)
    }

    /// What the proxy finds of a message.
    fn checked(&mut self, logins: &mut Logins, mechanism: Mechanism, by_chance: bool) -> Checked {
        assert_eq!(mechanism, logins.mechanism);
        let last = b"v=".to_vec();
        let lifetime = None;
        match if by_chance { self.dice.below(8) } else { 0 } {
            3 | 4 => Checked::Challenge(b"r=nonce+,s=c2FsdA==,i=4096".to_vec()),
            5 => failed(),
            6 => Checked::Proved { login: bob(), last, lifetime },
            7 => logins.lose(CloseReason::KeysUnavailable),
            _ => Checked::Proved { login: alice(&mut self.dice, self.wall), last, lifetime },
        }
    }

    /// What comes of a message that is passed on, or was.
    fn relayed(&mut self, logins: &mut Logins, relay: Relaying, by_chance: bool) -> Checked {
        let chance = if by_chance { self.dice.below(10) } else { 0 };
        match relay {
            // The broker has decided.
            Relaying::Settle(checked) => checked,
            _ if chance == 9 => logins.lose(CloseReason::UpstreamClosed),
            Relaying::Vouch(..) if chance == 8 => failed(),
            Relaying::Vouch(..) if chance == 7 => Checked::Challenge(b"{\"status\":\"invalid_token\"}".to_vec()),
            Relaying::Vouch(_, message) if chance == 6 => Checked::Vouched(bob(), message),
            Relaying::Vouch(_, message) => Checked::Vouched(alice(&mut self.dice, self.wall), message),
            Relaying::Shake(mechanism) => {
                logins.beside = Some(Relayed::new(mechanism));
                let ask = Shook::ask(mechanism);
                let shook = answer((ApiKey::SASL_HANDSHAKE, 1), &ask, &mut logins.server, &mut self.dice);
                Checked::Shaken(Shook::read(&shook))
            }
            Relaying::Message(message) => {
                let Some(relayed) = &mut logins.beside else { return failed() };
                let before = Principal::user("alice");
                if relayed.wants_voucher() {
                    relayed.vouched(if chance == 8 { bob() } else { alice(&mut self.dice, self.wall) });
                }
                if let Some(stopped) = Answered::stopped(relayed, &message, Some(&before)) {
                    return stopped;
                }
                let ask = Answered::ask(message);
                let said = answer((ApiKey::SASL_AUTHENTICATE, 2), &ask, &mut logins.server, &mut self.dice);
                Answered::read(&said).judged(relayed, true)
            }
        }
    }

    /// The shell says what nobody has asked it for.
    fn says_unasked(&mut self) {
        let Some(logins) = &self.logins else { return };
        if logins.turn.is_some() || logins.check.is_some() || logins.relay.is_some() {
            return;
        }
        let before = live();
        let input = match self.dice.below(5) {
            0 => Input::BrokerLogin(BrokerLoginStep::Done(None)),
            1 => Input::BrokerLogin(BrokerLoginStep::Failed("not now".to_owned())),
            2 => Input::Checked(Checked::Proved { login: bob(), last: Vec::new(), lifetime: None }),
            3 => Input::Checked(Checked::Vouched(bob(), Bytes::from_static(b"n,,"))),
            _ => Input::Checked(failed()),
        };
        self.held += live() - before;
        self.input(input);
    }

    /// Whether logins may end a connection so.
    pub(super) fn logins_end_it(&self, reason: CloseReason) -> bool {
        let Some(logins) = &self.logins else { return false };
        let now = Now { wall: Timestamp(self.wall), micros: self.micros };
        match reason {
            // What is asked may be taken for a token without headers, and the other way round.
            _ if self.client.raw => true,
            // Behind a handshake nothing else is taken, and its messages have a bound of their own.
            CloseReason::LoginFailed
            | CloseReason::MalformedRequest
            | CloseReason::FrameMalformed
            | CloseReason::FrameTooLarge => self.client.shook,
            CloseReason::SessionExpired | CloseReason::TokenExpired => logins.is_late(now),
            CloseReason::UpstreamLogin => logins.own == Own::UnderWay,
            other => logins.lost == Some(other),
        }
    }

    /// The id of the client's oldest unanswered request.
    pub(super) fn front_id(&self) -> Option<i32> {
        self.client.due.iter().find_map(|due| match due {
            Due::Answer { id, .. } => Some(*id),
            Due::Silence | Due::End => None,
        })
    }
}

impl Logins {
    fn lose(&mut self, reason: CloseReason) -> Checked {
        self.lost = Some(reason);
        Checked::Lost { reason, detail: "it cannot be told now".to_owned() }
    }
}

fn asks(Ask { key, version, body }: Ask) -> BrokerLoginStep {
    BrokerLoginStep::Ask { key, version, body }
}

fn failed() -> Checked {
    Checked::Failed { told: "no".to_owned(), detail: "no".to_owned() }
}

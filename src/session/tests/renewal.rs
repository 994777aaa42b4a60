//! Logins again on the same connection, and ends of logins.

use super::*;
use crate::identity::{self, users::User, users::Users};
use crate::model::Mechanism;
use crate::wire::schema::{sasl_authenticate, sasl_handshake};
use std::time::Duration;

const SECOND: u64 = 1_000_000;
const OFFERED: [Mechanism; 2] = [Mechanism::SCRAM_SHA_512, Mechanism::PLAIN];

fn user(change: impl Fn(&mut User)) -> User {
    let mut user = User::with_password("alice", "secret", b"salt-of-alice", 4096);
    change(&mut user);
    user
}

fn login(user: User) -> identity::Login {
    let name = user.name.clone();
    Users::new(vec![user]).verify_password(&name, "secret", Timestamp(0)).unwrap()
}

fn proved(login: identity::Login) -> Checked {
    Checked::Proved { login, last: Vec::new(), lifetime: None }
}

fn handshake(mechanism: &str) -> Node {
    Node::request(ApiKey::SASL_HANDSHAKE).with(sasl_handshake::request::MECHANISM, mechanism)
}

fn token() -> Node {
    Node::request(ApiKey::SASL_AUTHENTICATE)
        .with(sasl_authenticate::request::AUTH_BYTES, Bytes::from_static(b"\0alice\0secret"))
}

impl Stage {
    /// A stage whose client is alice by PLAIN, for five seconds.
    fn logged_in(rules: &str) -> Self {
        Self::logged_in_as(rules, user(|_| {}))
    }

    fn logged_in_as(rules: &str, who: User) -> Self {
        let mut stage = Self::new(rules);
        let now = Now { wall: Timestamp(0), micros: 0 };
        let most = Some(Duration::from_secs(5));
        let login = login(who.clone());
        let (standing, told) = Standing::new(&login, Mechanism::PLAIN, OFFERED.into(), [most, None], now);
        assert!(told == 5_000 || who.expires.is_some());
        stage.machine = stage.machine.logged_in(Some(standing));
        stage.users(rules, vec![who]);
        stage
    }

    fn users(&mut self, rules: &str, users: Vec<User>) {
        self.input(Input::World(World { users: Arc::new(Users::new(users)), ..world(rules, topology()) }));
    }

    /// Shakes hands and sends a password; what is to be checked.
    fn begin(&mut self) -> Option<(Mechanism, Bytes)> {
        self.ask(ApiKey::SASL_HANDSHAKE, 1, 70, &handshake("PLAIN"));
        let shaken = self.at_client(ApiKey::SASL_HANDSHAKE, 1);
        assert!(matches!(shaken.as_slice(), [(70, node)] if node.i16(sasl_handshake::response::ERROR_CODE) == 0));
        self.ask(ApiKey::SASL_AUTHENTICATE, 2, 71, &token());
        self.out.check.take()
    }

    fn told(&mut self) -> Node {
        let mut told = self.at_client(ApiKey::SASL_AUTHENTICATE, 2);
        assert!(matches!(told.as_slice(), [(71, _)]), "{told:?}");
        told.remove(0).1
    }
}

#[test]
fn who_is_past_the_lifetime_is_closed_at_the_next_request() {
    let mut stage = Stage::logged_in(OPEN);
    stage.micros = 5 * SECOND - 10;
    stage.ask(ApiKey::PRODUCE, 9, 1, &produce(&["open"], -1));
    assert_eq!(stage.at_broker().len(), 1);
    stage.micros = 6 * SECOND;
    stage.input(Input::Tick);
    assert_eq!(stage.machine.closing(), None, "nothing was asked");
    stage.ask(ApiKey::PRODUCE, 9, 2, &produce(&["open"], -1));
    assert!(stage.at_broker().is_empty());
    stage.broker(ApiKey::PRODUCE, 9, 1, &acknowledged("open"));
    assert_eq!(stage.at_client(ApiKey::PRODUCE, 9).len(), 1, "what was asked in time is answered");
    assert_eq!(stage.machine.closing(), Some(CloseReason::SessionExpired));
}

#[test]
fn a_login_again_prolongs_the_session_behind_what_was_asked_before() {
    let mut stage = Stage::logged_in(OPEN);
    stage.micros = 4 * SECOND;
    stage.ask(ApiKey::PRODUCE, 9, 1, &produce(&["open"], -1));
    stage.ask(ApiKey::SASL_HANDSHAKE, 1, 70, &handshake("PLAIN"));
    assert!(stage.at_client(ApiKey::SASL_HANDSHAKE, 1).is_empty(), "the answer before it is due");
    stage.broker(ApiKey::PRODUCE, 9, 1, &acknowledged("open"));
    let sent: Vec<Bytes> = frames(&drained(&mut stage.machine.to_client)).collect();
    assert_eq!(sent.len(), 2);
    stage.ask(ApiKey::SASL_AUTHENTICATE, 2, 71, &token());
    let (mechanism, message) = stage.out.check.take().expect("a check");
    assert_eq!((mechanism, &message[..]), (Mechanism::PLAIN, &b"\0alice\0secret"[..]));
    // Nothing goes on before it is known.
    stage.ask(ApiKey::PRODUCE, 9, 2, &produce(&["open"], -1));
    assert!(stage.at_broker().len() == 1 && !stage.out.renewed);
    stage.micros = 10 * SECOND;
    stage.input(Input::Checked(proved(login(user(|_| {})))));
    assert!(stage.out.renewed);
    let told = stage.told();
    assert_eq!(told.i16(sasl_authenticate::response::ERROR_CODE), 0);
    assert_eq!(told.int(sasl_authenticate::response::SESSION_LIFETIME_MS), 5_000);
    assert_eq!(stage.at_broker().len(), 1, "and then what waited");
    assert_eq!(stage.machine.closing(), None);
}

#[test]
fn threat_24_a_login_again_keeps_the_principal_and_replaces_the_groups() {
    let rules = "acls:\n  - { allow: [Write], principals: [\"Group:devs\"], resources: [\"topic:open\"] }\n";
    let mut stage = Stage::logged_in(rules);
    stage.ask(ApiKey::PRODUCE, 9, 1, &produce(&["open"], -1));
    assert!(stage.at_broker().is_empty());
    drained(&mut stage.machine.to_client);
    stage.begin().expect("a check");
    let devs = user(|user| user.set_groups(["devs"]));
    stage.users(rules, vec![devs.clone()]);
    stage.input(Input::Checked(proved(login(devs.clone()))));
    stage.told();
    stage.ask(ApiKey::PRODUCE, 9, 2, &produce(&["open"], -1));
    assert_eq!(stage.at_broker().len(), 1);

    let mut stage = Stage::logged_in(rules);
    stage.begin().expect("a check");
    let other = User { name: "a.b".into(), ..devs };
    stage.input(Input::Checked(proved(login(other))));
    let told = stage.told();
    assert_eq!(told.i16(sasl_authenticate::response::ERROR_CODE), 58);
    let text = "Cannot change principals during re-authentication from User.alice: User.a.b";
    assert_eq!(told.str(sasl_authenticate::response::ERROR_MESSAGE), text);
    assert_eq!(stage.machine.closing(), Some(CloseReason::LoginFailed));
    assert_eq!(stage.machine.subject().principal, Principal::user("alice"));
}

#[test]
fn a_failed_login_again_ends_the_connection() {
    let mut stage = Stage::logged_in(OPEN);
    stage.begin().expect("a check");
    let (told, detail) = ("no".to_owned(), "why".to_owned());
    stage.input(Input::Checked(Checked::Failed { told, detail }));
    assert_eq!(stage.told().i16(sasl_authenticate::response::ERROR_CODE), 58);
    assert_eq!((stage.machine.closing(), stage.out.detail.as_deref()), (Some(CloseReason::LoginFailed), Some("why")));
}

#[test]
fn a_login_again_may_take_several_messages() {
    let mut stage = Stage::logged_in(OPEN);
    stage.begin().expect("a check");
    stage.input(Input::Checked(Checked::Challenge(b"c".to_vec())));
    assert_eq!(stage.told().bytes(sasl_authenticate::response::AUTH_BYTES).unwrap(), &Bytes::from_static(b"c"));
    stage.ask(ApiKey::PRODUCE, 9, 2, &produce(&["open"], -1));
    assert!(stage.at_broker().is_empty());
    assert_eq!(stage.machine.closing(), Some(CloseReason::LoginFailed), "nothing else goes in between");
}

#[test]
fn who_logs_in_again_within_a_second_or_without_a_lifetime_is_told_that_nobody_can() {
    let told = |stage: &mut Stage| {
        stage.ask(ApiKey::SASL_HANDSHAKE, 1, 80, &handshake("PLAIN"));
        stage.at_client(ApiKey::SASL_HANDSHAKE, 1)[0].1.i16(sasl_handshake::response::ERROR_CODE)
    };
    let mut stage = Stage::logged_in(OPEN);
    stage.begin().expect("a check");
    stage.input(Input::Checked(proved(login(user(|_| {})))));
    stage.told();
    assert_eq!(told(&mut stage), 34);
    stage.micros += SECOND;
    assert_eq!(told(&mut stage), 0);
    assert_eq!(told(&mut Stage::new(OPEN)), 34);
}

#[test]
fn threat_24_who_could_not_log_in_again_is_closed_at_once() {
    let changed: [(&str, Vec<User>); 4] = [
        ("removed", Vec::new()),
        ("disabled", vec![user(|user| user.disabled = true)]),
        ("expired", vec![user(|user| user.expires = Some(Timestamp(0)))]),
        ("another password", vec![user(|user| user.set_password("secret", b"another salt", 4096))]),
    ];
    for (what, users) in changed {
        let mut stage = Stage::logged_in(OPEN);
        stage.ask(ApiKey::PRODUCE, 9, 1, &produce(&["open"], -1));
        stage.at_broker();
        stage.users(OPEN, users);
        assert_eq!(stage.machine.closing(), Some(CloseReason::LoginRevoked), "{what}");
        assert!(stage.out.detail.as_deref().unwrap().contains(what), "{:?}", stage.out.detail);
        stage.broker(ApiKey::PRODUCE, 9, 1, &acknowledged("open"));
        assert!(stage.at_client(ApiKey::PRODUCE, 9).is_empty(), "nothing more goes out");
    }
}

#[test]
fn a_user_who_expires_is_closed_by_the_clock_and_told_so_before() {
    let ends = user(|user| user.expires = Some(Timestamp(3_000)));
    let mut stage = Stage::logged_in_as(OPEN, ends.clone());
    assert_eq!(stage.machine.next_edge(), Some(Timestamp(3_000)));
    stage.begin().expect("a check");
    stage.input(Input::Checked(proved(login(ends))));
    assert_eq!(stage.told().int(sasl_authenticate::response::SESSION_LIFETIME_MS), 3_000);
    stage.wall = 2_999;
    stage.input(Input::Tick);
    assert_eq!(stage.machine.closing(), None);
    stage.wall = 3_000;
    stage.input(Input::Tick);
    assert_eq!(stage.machine.closing(), Some(CloseReason::LoginRevoked));
}

#[test]
fn groups_that_change_in_the_file_count_at_once() {
    let rules = "acls:\n  - { allow: [Write], principals: [\"Group:devs\"], resources: [\"topic:open\"] }\n";
    let devs = user(|user| user.set_groups(["devs"]));
    let mut stage = Stage::logged_in_as(rules, devs);
    stage.ask(ApiKey::PRODUCE, 9, 1, &produce(&["open"], -1));
    assert_eq!(stage.at_broker().len(), 1);
    stage.users(rules, vec![user(|_| {})]);
    stage.ask(ApiKey::PRODUCE, 9, 2, &produce(&["open"], -1));
    assert!(stage.at_broker().is_empty());
}

#[test]
fn messages_of_a_login_again_are_bounded_before_they_are_gathered() {
    const BOUND: usize = 1 << 10;
    let head = |size: usize, rest: &[u8]| [&u32::try_from(size).unwrap().to_be_bytes(), rest].concat();
    let (handshake_key, produce_key) = ([0, 17], [0, 0]);
    for (size, ends) in [(BOUND, None), (BOUND + 1, Some(CloseReason::FrameTooLarge))] {
        let mut stage = Stage::logged_in(OPEN);
        stage.client(&head(size, &handshake_key));
        assert_eq!(stage.machine.closing(), ends, "the handshake of {size} bytes");
        let mut stage = Stage::logged_in(OPEN);
        stage.ask(ApiKey::SASL_HANDSHAKE, 1, 70, &handshake("PLAIN"));
        stage.client(&head(size, &[]));
        assert_eq!(stage.machine.closing(), ends, "the token of {size} bytes");
    }
    let mut stage = Stage::logged_in(OPEN);
    stage.client(&head(BOUND + 1, &produce_key));
    assert_eq!(stage.machine.closing(), None, "a request is none");
    // Nor is one that comes while the last message is being checked.
    let mut stage = Stage::logged_in(OPEN);
    assert!(stage.begin().is_some());
    stage.client(&head(BOUND + 1, &produce_key));
    stage.input(Input::Checked(proved(login(user(|_| {})))));
    assert_eq!(stage.told().i16(sasl_authenticate::response::ERROR_CODE), 0);
    assert!(stage.machine.closing().is_none() && stage.machine.wants_client());
}

#[test]
fn a_token_without_headers_may_be_shorter_than_any_request() {
    for token in [&b"\0al\0pw"[..], b""] {
        let mut stage = Stage::logged_in(OPEN);
        stage.ask(ApiKey::SASL_HANDSHAKE, 0, 70, &handshake("PLAIN"));
        stage.client(&[&u32::try_from(token.len()).unwrap().to_be_bytes(), token].concat());
        assert_eq!(stage.out.check.take(), Some((Mechanism::PLAIN, Bytes::from_static(token))));
    }
}

#[test]
fn a_mutation_whose_event_is_durable_when_the_login_ends_is_not_written() {
    let mut stage = Stage::logged_in_as(OPEN, user(|user| user.expires = Some(Timestamp(3_000))));
    stage.book.token = Some(5);
    stage.ask(ApiKey::CREATE_TOPICS, 7, 1, &creation("open-new"));
    stage.wall = 3_000;
    stage.input(Input::Durable(DurableToken(5)));
    assert!(stage.at_broker().is_empty());
    assert_eq!(stage.machine.closing(), Some(CloseReason::LoginRevoked));
    assert_eq!(stage.machine.unanswered(), 0, "it never got as far");
}

#[test]
fn what_has_not_left_when_the_login_ends_is_dropped_both_ways() {
    let mut stage = Stage::logged_in(OPEN);
    stage.ask(ApiKey::PRODUCE, 9, 1, &produce(&["open"], -1));
    stage.at_broker();
    stage.broker(ApiKey::PRODUCE, 9, 1, &acknowledged("open"));
    stage.ask(ApiKey::PRODUCE, 9, 2, &produce(&["open"], -1));
    assert!(!stage.machine.to_client.is_empty() && !stage.machine.to_broker.is_empty(), "neither side reads");
    stage.users(OPEN, Vec::new());
    assert_eq!(stage.machine.closing(), Some(CloseReason::LoginRevoked));
    assert!(stage.machine.to_client.is_empty() && stage.machine.to_broker.is_empty());
    // What the shell had still under way changes nothing.
    stage.input(Input::Checked(proved(login(user(|_| {})))));
    stage.broker(ApiKey::PRODUCE, 9, 2, &acknowledged("open"));
    assert!(stage.machine.to_client.is_empty() && stage.machine.to_broker.is_empty());
}

#[test]
fn a_lifetime_is_told_as_a_year_at_most() {
    let ends = user(|user| user.expires = Some(Timestamp(i64::MAX)));
    let now = Now { wall: Timestamp(0), micros: 0 };
    for most in [None, Some(Duration::MAX)] {
        let (_, told) = Standing::new(&login(ends.clone()), Mechanism::PLAIN, OFFERED.into(), [most, None], now);
        assert_eq!(told, 365 * 24 * 3600 * 1000, "clients multiply it by a million, in 64 bits");
    }
}

#[test]
fn it_is_known_since_when_a_login_again_is_under_way() {
    let mut stage = Stage::logged_in(OPEN);
    assert_eq!(stage.machine.renews_since(), None);
    stage.begin().expect("a check");
    let since = stage.machine.renews_since().expect("it began");
    assert!(since > 0 && since < stage.micros, "with the handshake");
    stage.input(Input::Checked(proved(login(user(|_| {})))));
    assert_eq!(stage.machine.renews_since(), None);
}

/// A login by a token that ends after three seconds.
fn bearer() -> identity::Login {
    identity::Login { credential: None, expires: Some(Timestamp(3_000)), ..login(user(|_| {})) }
}

impl Stage {
    fn with_token() -> Self {
        let mut stage = Self::new(OPEN);
        let now = Now { wall: Timestamp(0), micros: 0 };
        let (standing, told) = Standing::new(&bearer(), Mechanism::PLAIN, OFFERED.into(), [None, None], now);
        assert_eq!(told, 3_000, "without `max_session` too");
        stage.machine = stage.machine.logged_in(Some(standing));
        stage
    }

    fn at_the_end(&mut self) {
        assert_eq!(self.machine.next_edge(), Some(Timestamp(3_000)));
        (self.wall, self.micros) = (3_000, 3 * SECOND + 10);
        self.input(Input::Tick);
    }
}

#[test]
fn at_the_end_of_a_token_what_was_asked_is_answered_and_nothing_else_but_a_login_again() {
    let mut stage = Stage::with_token();
    stage.ask(ApiKey::PRODUCE, 9, 1, &produce(&["open"], -1));
    stage.at_broker();
    stage.at_the_end();
    assert_eq!(
        (stage.machine.closing(), stage.machine.next_edge()),
        (None, None),
        "and no timer rings again and again"
    );
    stage.broker(ApiKey::PRODUCE, 9, 1, &acknowledged("open"));
    assert_eq!(stage.at_client(ApiKey::PRODUCE, 9).len(), 1);
    stage.begin().expect("a check");
    let next = identity::Login { expires: Some(Timestamp(9_000)), ..bearer() };
    stage.input(Input::Checked(proved(next)));
    assert_eq!(stage.told().int(sasl_authenticate::response::SESSION_LIFETIME_MS), 6_000);
    assert_eq!(stage.machine.next_edge(), Some(Timestamp(9_000)));
    stage.ask(ApiKey::PRODUCE, 9, 2, &produce(&["open"], -1));
    assert_eq!(stage.at_broker().len(), 1);

    let mut stage = Stage::with_token();
    stage.at_the_end();
    stage.ask(ApiKey::PRODUCE, 9, 1, &produce(&["open"], -1));
    assert!(stage.at_broker().is_empty());
    assert_eq!(stage.machine.closing(), Some(CloseReason::TokenExpired));
}

#[test]
fn a_token_ends_by_the_wall_too_where_the_host_was_suspended_or_its_clock_set() {
    let mut stage = Stage::with_token();
    (stage.wall, stage.micros) = (3_000, SECOND);
    stage.begin().expect("a login again is taken all the same");
    let mut stage = Stage::with_token();
    (stage.wall, stage.micros) = (3_000, SECOND);
    stage.ask(ApiKey::PRODUCE, 9, 1, &produce(&["open"], -1));
    assert!(stage.at_broker().is_empty());
    assert_eq!(stage.machine.closing(), Some(CloseReason::TokenExpired));
}

#[test]
fn records_that_a_client_waits_for_are_not_given_long_after_the_end_of_its_token() {
    let mut stage = Stage::with_token();
    stage.ask(ApiKey::FETCH, 12, 1, &fetch_of(&["open"], (0, -1)));
    assert_eq!(stage.at_broker().len(), 1);
    // A login again behind it changes nothing.
    stage.ask(ApiKey::SASL_HANDSHAKE, 1, 70, &handshake("PLAIN"));
    stage.at_the_end();
    assert_eq!((stage.machine.closing(), stage.machine.next_edge()), (None, Some(Timestamp(13_000))));
    stage.wall = 12_999;
    stage.input(Input::Tick);
    assert_eq!(stage.machine.closing(), None);
    stage.wall = 13_000;
    stage.input(Input::Tick);
    assert_eq!(stage.machine.closing(), Some(CloseReason::TokenExpired));
    assert_eq!(stage.out.detail.as_deref(), Some("the token has expired, and the client did not log in again"));
}

#[test]
fn long_after_the_end_of_a_token_nothing_that_waited_goes_either_way_whatever_comes_first() {
    let mut stage = Stage::with_token();
    stage.ask(ApiKey::FETCH, 12, 1, &fetch_of(&["open"], (0, -1)));
    // As where the host was suspended: no timer rang before the records are there.
    stage.wall = 13_000;
    stage.broker(ApiKey::FETCH, 12, 1, &fetched(&["open"], 0, 10));
    assert_eq!(stage.machine.closing(), Some(CloseReason::TokenExpired));
    assert!(stage.at_client(ApiKey::FETCH, 12).is_empty());

    let mut stage = Stage::with_token();
    stage.book.token = Some(7);
    stage.ask(ApiKey::CREATE_TOPICS, 7, 1, &creation("open-new"));
    stage.wall = 13_000;
    stage.input(Input::Durable(DurableToken(7)));
    assert_eq!(stage.machine.closing(), Some(CloseReason::TokenExpired));
    assert!(stage.at_broker().is_empty());
}

#[test]
fn a_login_again_that_is_under_way_at_the_end_of_a_token_is_waited_for() {
    let mut stage = Stage::with_token();
    stage.begin().expect("a check");
    stage.at_the_end();
    assert_eq!((stage.machine.closing(), stage.machine.next_edge()), (None, None));
    let detail = "the issuer is away".to_owned();
    stage.input(Input::Checked(Checked::Lost { reason: CloseReason::KeysUnavailable, detail: detail.clone() }));
    assert_eq!((stage.machine.closing(), stage.out.detail.take()), (Some(CloseReason::KeysUnavailable), Some(detail)));
    assert!(stage.at_client(ApiKey::SASL_AUTHENTICATE, 2).is_empty(), "as a lost connection, for it to try again");
}

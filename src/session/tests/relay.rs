//! Logins again that a broker checks.

use super::*;
use crate::identity;
use crate::identity::sasl::Relayed;
use crate::model::{Mechanism, PasswordMechanism};
use crate::session::{Answered, Checked, Relaying, Shook, Standing};
use crate::wire::schema::{sasl_authenticate, sasl_handshake};
use std::time::Duration;

const SECOND: u64 = 1_000_000;
const ALICE: &[u8] = b"\0alice\0secret";

fn alice() -> identity::Login {
    let mut relayed = Relayed::new(Mechanism::PLAIN);
    relayed.sent(ALICE).unwrap();
    relayed.answered(b"").unwrap().unwrap()
}

fn handshake() -> Node {
    Shook::ask(Mechanism::PLAIN)
}

fn shook(code: i16) -> Node {
    let node = Node::response(ApiKey::SASL_HANDSHAKE).with(sasl_handshake::response::ERROR_CODE, code);
    node.with(sasl_handshake::response::MECHANISMS, vec![crate::wire::Value::from("PLAIN")])
}

fn token(message: &'static [u8]) -> Node {
    Answered::ask(Bytes::from_static(message))
}

fn answered(code: i16, lifetime: i64) -> Node {
    use sasl_authenticate::response::{AUTH_BYTES, ERROR_CODE, ERROR_MESSAGE, SESSION_LIFETIME_MS};
    let node = Node::response(ApiKey::SASL_AUTHENTICATE).with(ERROR_CODE, code).with(SESSION_LIFETIME_MS, lifetime);
    let text = if code == 0 { crate::wire::Value::Null } else { "in the broker's words".into() };
    node.with(AUTH_BYTES, Bytes::new()).with(ERROR_MESSAGE, text)
}

impl Stage {
    /// A stage whose client is alice by PLAIN, for five seconds by the proxy and for this many by the broker.
    fn relayed(of_broker: Option<u32>) -> Self {
        Self::relayed_by(Mechanism::PLAIN, of_broker)
    }

    fn relayed_by(mechanism: Mechanism, of_broker: Option<u32>) -> Self {
        let mut stage = Self::new(OPEN);
        let now = Now { wall: Timestamp(0), micros: 0 };
        let most = [Some(Duration::from_secs(5)), of_broker.map(|secs| Duration::from_secs(secs.into()))];
        let (standing, told) = Standing::new(&alice(), mechanism, [mechanism].into(), most, now);
        assert_eq!(told, 1000 * i64::from(of_broker.unwrap_or(5).min(5)));
        stage.machine = stage.machine.logged_in(Some(standing.relayed(of_broker.is_some())));
        stage
    }

    /// Shakes hands, as far as the broker sees it.
    fn shakes(&mut self) {
        self.ask(ApiKey::SASL_HANDSHAKE, 1, 70, &handshake());
        let asked = self.at_broker();
        assert!(matches!(asked.as_slice(), [(ApiKey::SASL_HANDSHAKE, 0, _)]), "{asked:?}");
        assert!(self.machine.to_client.is_empty(), "the broker was not heard yet");
    }

    /// Sends a message that goes on to the broker, and has it answered.
    fn says(&mut self, message: &'static [u8], answer: &Node) {
        self.shakes();
        self.broker(ApiKey::SASL_HANDSHAKE, 1, 0, &shook(0));
        assert_eq!(self.at_client(ApiKey::SASL_HANDSHAKE, 1)[0].0, 70);
        self.ask(ApiKey::SASL_AUTHENTICATE, 2, 71, &token(message));
        let asked = self.at_broker();
        let [(ApiKey::SASL_AUTHENTICATE, 0, request)] = &asked[..] else { panic!("{asked:?}") };
        assert_eq!(request.bytes(sasl_authenticate::request::AUTH_BYTES).unwrap(), message);
        self.broker(ApiKey::SASL_AUTHENTICATE, 2, 0, answer);
        assert!(self.machine.to_client.is_empty() && !self.machine.wants_broker());
    }

    fn settles(&mut self) -> Checked {
        match self.out.relay.take() {
            Some(Relaying::Settle(checked)) => checked,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_login_again_goes_on_to_the_broker_in_the_order_of_the_pipe() {
    let mut stage = Stage::relayed(Some(4));
    stage.micros = 3 * SECOND;
    stage.ask(ApiKey::PRODUCE, 9, 1, &produce(&["open"], -1));
    assert_eq!(stage.at_broker().len(), 1);
    stage.ask(ApiKey::SASL_HANDSHAKE, 1, 70, &handshake());
    assert!(stage.at_broker().is_empty(), "what was asked before is not answered yet");
    stage.broker(ApiKey::PRODUCE, 9, 1, &acknowledged("open"));
    assert!(matches!(stage.at_broker()[..], [(ApiKey::SASL_HANDSHAKE, 0, _)]));
    drained(&mut stage.machine.to_client);
    stage.ask(ApiKey::PRODUCE, 9, 2, &produce(&["open"], -1));
    assert!(stage.at_broker().is_empty(), "a broker takes nothing else now");
    stage.broker(ApiKey::SASL_HANDSHAKE, 1, 0, &shook(0));
    assert_eq!(stage.machine.closing(), Some(CloseReason::LoginFailed), "nor does the proxy");

    let mut stage = Stage::relayed(Some(4));
    stage.micros = 3 * SECOND;
    stage.says(ALICE, &answered(0, 3_000));
    stage.ask(ApiKey::PRODUCE, 9, 2, &produce(&["open"], -1));
    let checked = stage.settles();
    stage.input(Input::Checked(checked));
    let told = stage.at_client(ApiKey::SASL_AUTHENTICATE, 2);
    assert_eq!(told[0].1.int(sasl_authenticate::response::SESSION_LIFETIME_MS), 3_000, "the sooner of both ends");
    assert!(stage.out.renewed && stage.machine.wants_broker());
    assert!(matches!(stage.at_broker()[..], [(ApiKey::PRODUCE, 2, _)]), "and then what waited");
}

#[test]
fn a_refused_login_again_is_told_in_the_brokers_words_before_its_end() {
    let mut stage = Stage::relayed(Some(4));
    stage.says(b"\0alice\0wrong", &answered(58, 0));
    let checked = stage.settles();
    assert!(checked.is_failure());
    stage.input(Input::Checked(checked));
    assert_eq!(stage.machine.closing(), Some(CloseReason::LoginFailed));
    let told = stage.at_client(ApiKey::SASL_AUTHENTICATE, 2);
    assert_eq!(told[0].1.str(sasl_authenticate::response::ERROR_MESSAGE), "in the broker's words");
    assert!(stage.out.detail.as_deref().unwrap().contains("the broker refused the login: "));
}

#[test]
fn threat_24_a_login_again_in_anothers_name_goes_to_no_broker() {
    let scram = Mechanism::Password(PasswordMechanism::ScramSha512);
    let messages: [(_, &[u8]); 2] = [(Mechanism::PLAIN, b"\0bob\0secret"), (scram, b"n,,n=bob,r=nonce")];
    for (mechanism, message) in messages {
        let mut stage = Stage::relayed_by(mechanism, Some(4));
        stage.ask(ApiKey::SASL_HANDSHAKE, 1, 70, &Shook::ask(mechanism));
        assert_eq!(stage.at_broker().len(), 1);
        stage.broker(ApiKey::SASL_HANDSHAKE, 1, 0, &shook(0));
        drained(&mut stage.machine.to_client);
        stage.ask(ApiKey::SASL_AUTHENTICATE, 2, 71, &token(message));
        assert!(stage.at_broker().is_empty(), "whether that is bob's password is not found out");
        let checked = stage.settles();
        assert!(checked.is_failure(), "and counted");
        stage.input(Input::Checked(checked));
        assert_eq!(stage.machine.closing(), Some(CloseReason::LoginFailed));
        let told = stage.at_client(ApiKey::SASL_AUTHENTICATE, 2);
        let words = "Cannot change principals during re-authentication from User.alice: User.bob";
        assert_eq!(told[0].1.str(sasl_authenticate::response::ERROR_MESSAGE), words);
        assert_eq!(stage.machine.subject().principal.as_str(), "User:alice");
    }
}

#[test]
fn who_is_proved_to_be_another_is_not_taken_for_it_whoever_checked_that() {
    let mut stage = Stage::relayed(None);
    stage.ask(ApiKey::SASL_HANDSHAKE, 1, 70, &handshake());
    stage.input(Input::Checked(Checked::Shaken(Shook::read(&shook(0)))));
    drained(&mut stage.machine.to_client);
    stage.ask(ApiKey::SASL_AUTHENTICATE, 2, 71, &token(ALICE));
    let mut relayed = Relayed::new(Mechanism::PLAIN);
    relayed.sent(b"\0bob\0secret").unwrap();
    let login = relayed.answered(b"").unwrap().unwrap();
    stage.input(Input::Checked(Checked::Proved { login, last: Vec::new(), lifetime: None }));
    assert_eq!(stage.machine.closing(), Some(CloseReason::LoginFailed));
    assert_eq!(stage.machine.subject().principal.as_str(), "User:alice");
}

#[test]
fn a_connection_beside_is_kept_only_while_a_login_goes_on_there() {
    for (code, goes_on) in [(0, true), (33, false), (34, false)] {
        assert_eq!(Checked::Shaken(Shook::read(&shook(code))).goes_on(), goes_on, "{code}");
    }
    assert!(Checked::Challenge(Vec::new()).goes_on());
    assert!(!Checked::Refused(Answered::read(&answered(58, 0))).goes_on());
}

#[test]
fn what_a_mechanism_says_is_not_shown() {
    let (secret, bytes) = (b"\0alice\0hunter2".to_vec(), format!("{:?}", b"hunter2"));
    for text in [
        format!("{:?}", Relaying::Message(secret.clone().into())),
        format!("{:?}", Relaying::Vouch(Mechanism::OAuthBearer, secret.clone().into())),
        format!("{:?}", Checked::Vouched(alice(), secret.clone().into())),
        format!("{:?}", Relaying::Settle(Checked::Challenge(secret.clone()))),
        format!("{:?}", Checked::Proved { login: alice(), last: secret.clone(), lifetime: None }),
    ] {
        let digits = bytes.trim_matches(['[', ']']);
        assert!(!text.contains("hunter2") && !text.contains(digits), "{text}");
    }
}

#[test]
fn threat_32_what_could_name_another_does_not_go_on_in_a_login_again_either() {
    let mut stage = Stage::relayed(Some(4));
    stage.shakes();
    stage.broker(ApiKey::SASL_HANDSHAKE, 1, 0, &shook(0));
    stage.ask(ApiKey::SASL_AUTHENTICATE, 2, 71, &token(b"\0*\0secret"));
    assert!(stage.at_broker().is_empty());
    assert!(stage.settles().is_failure());
}

#[test]
fn a_login_again_that_the_broker_has_no_use_for_leaves_the_client_logged_in() {
    let mut stage = Stage::relayed(Some(4));
    stage.shakes();
    stage.broker(ApiKey::SASL_HANDSHAKE, 1, 0, &shook(34));
    assert_eq!(stage.at_client(ApiKey::SASL_HANDSHAKE, 1)[0].1.i16(sasl_handshake::response::ERROR_CODE), 34);
    stage.ask(ApiKey::PRODUCE, 9, 2, &produce(&["open"], -1));
    assert_eq!((stage.at_broker().len(), stage.machine.closing()), (1, None));
}

#[test]
fn where_only_the_proxy_gives_a_time_the_login_again_goes_beside_the_connection() {
    let mut stage = Stage::relayed(None);
    stage.ask(ApiKey::SASL_HANDSHAKE, 1, 70, &handshake());
    assert!(matches!(stage.out.relay.take(), Some(Relaying::Shake(Mechanism::PLAIN))));
    stage.input(Input::Checked(Checked::Shaken(Shook::read(&shook(0)))));
    assert_eq!(stage.at_client(ApiKey::SASL_HANDSHAKE, 1)[0].0, 70);
    stage.ask(ApiKey::SASL_AUTHENTICATE, 2, 71, &token(ALICE));
    assert!(matches!(stage.out.relay.take(), Some(Relaying::Message(message)) if message == ALICE));
    assert!(stage.at_broker().is_empty(), "its broker would take none");
    stage.micros = 4 * SECOND;
    stage.input(Input::Checked(Checked::Proved { login: alice(), last: Vec::new(), lifetime: None }));
    let told = stage.at_client(ApiKey::SASL_AUTHENTICATE, 2);
    assert_eq!(told[0].1.int(sasl_authenticate::response::SESSION_LIFETIME_MS), 5_000);

    let mut stage = Stage::relayed(None);
    stage.ask(ApiKey::SASL_HANDSHAKE, 1, 70, &handshake());
    let (reason, detail) = (CloseReason::UpstreamUnreachable, "away".to_owned());
    stage.input(Input::Checked(Checked::Lost { reason, detail }));
    assert_eq!(
        (stage.machine.closing(), stage.machine.to_client.is_empty()),
        (Some(reason), true),
        "clients try again"
    );
}

#[test]
fn a_broker_that_says_something_else_in_a_login_again_ends_the_connection() {
    for (correlation_id, is_short) in [(1, false), (0, true)] {
        let mut stage = Stage::relayed(Some(4));
        stage.shakes();
        let frame = message::response_frame(ApiKey::SASL_HANDSHAKE, 1, correlation_id, &shook(0)).into_bytes();
        let size = if is_short { [0, 0, 0, 5] } else { frame[..4].try_into().unwrap() };
        stage.machine.from_broker.extend_from_slice(&size);
        stage.machine.from_broker.extend_from_slice(&frame[4..]);
        assert!(stage.try_input(Input::Broker).is_err());
    }
    let mut stage = Stage::relayed(Some(4));
    stage.shakes();
    let frame = message::response_frame(ApiKey::SASL_HANDSHAKE, 1, 0, &shook(0)).into_bytes();
    for byte in &frame {
        assert!(stage.machine.to_client.is_empty());
        stage.machine.from_broker.extend_from_slice(&[*byte]);
        stage.input(Input::Broker);
    }
    assert_eq!(stage.at_client(ApiKey::SASL_HANDSHAKE, 1).len(), 1, "byte by byte");
    stage.ask(ApiKey::SASL_AUTHENTICATE, 2, 71, &token(ALICE));
    stage.input(Input::BrokerEnd);
    assert_eq!(stage.machine.closing(), Some(CloseReason::UpstreamClosed));
}

#[test]
fn a_token_goes_on_in_a_login_again_once_it_was_found_good_here() {
    let begun = || {
        let mut stage = Stage::relayed_by(Mechanism::OAuthBearer, Some(4));
        stage.ask(ApiKey::SASL_HANDSHAKE, 1, 70, &Shook::ask(Mechanism::OAuthBearer));
        assert_eq!(stage.at_broker().len(), 1);
        stage.broker(ApiKey::SASL_HANDSHAKE, 1, 0, &shook(0));
        drained(&mut stage.machine.to_client);
        stage.ask(ApiKey::SASL_AUTHENTICATE, 2, 71, &token(b"a token"));
        let Some(Relaying::Vouch(Mechanism::OAuthBearer, message)) = stage.out.relay.take() else { panic!("no look") };
        assert!(stage.at_broker().is_empty(), "not before");
        (stage, message)
    };
    let (mut stage, message) = begun();
    stage.input(Input::Checked(Checked::Vouched(alice(), message)));
    let asked = stage.at_broker();
    let [(ApiKey::SASL_AUTHENTICATE, 0, request)] = &asked[..] else { panic!("{asked:?}") };
    assert_eq!(request.bytes(sasl_authenticate::request::AUTH_BYTES).unwrap(), &b"a token"[..]);
    stage.broker(ApiKey::SASL_AUTHENTICATE, 2, 0, &answered(0, 3_000));
    let checked = stage.settles();
    stage.input(Input::Checked(checked));
    assert!(stage.out.renewed);

    // Refused here: the broker, which waits for a message, is told nothing.
    let (mut stage, _) = begun();
    let (told, detail) = ("no".to_owned(), "why".to_owned());
    stage.input(Input::Checked(Checked::Failed { told, detail }));
    assert!(stage.at_broker().is_empty());
    assert_eq!(stage.machine.closing(), Some(CloseReason::LoginFailed));
}

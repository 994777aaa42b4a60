//! Logins again of the proxy at the broker.

use super::*;
use crate::wire::schema::{sasl_authenticate, sasl_handshake};

const SECOND: u64 = 1_000_000;

fn handshake() -> BrokerLoginStep {
    let body = Node::request(ApiKey::SASL_HANDSHAKE).with(sasl_handshake::request::MECHANISM, "PLAIN");
    BrokerLoginStep::Ask { key: ApiKey::SASL_HANDSHAKE, version: 1, body }
}

fn message() -> BrokerLoginStep {
    let bytes = Bytes::from_static(b"\0kordon\0secret");
    let body = Node::request(ApiKey::SASL_AUTHENTICATE).with(sasl_authenticate::request::AUTH_BYTES, bytes);
    BrokerLoginStep::Ask { key: ApiKey::SASL_AUTHENTICATE, version: 2, body }
}

impl Stage {
    /// A stage whose broker knows the proxy for five seconds.
    fn known() -> Self {
        let mut stage = Self::new(OPEN);
        stage.machine.broker_knows_until(Some(5 * SECOND));
        stage
    }

    fn keys(&mut self) -> Vec<(ApiKey, i32)> {
        self.at_broker().into_iter().map(|(key, correlation, _)| (key, correlation)).collect()
    }

    fn turn(&mut self) -> Option<BrokerLoginTurn> {
        self.out.broker_login.take()
    }

    /// Leads the exchange up to its last answer.
    fn exchange(&mut self) {
        assert!(matches!(self.turn(), Some(BrokerLoginTurn::Begin)));
        self.input(Input::BrokerLogin(handshake()));
        assert_eq!(self.keys(), [(ApiKey::SASL_HANDSHAKE, 0)]);
        self.broker(ApiKey::SASL_HANDSHAKE, 1, 0, &Node::response(ApiKey::SASL_HANDSHAKE));
        assert!(matches!(self.turn(), Some(BrokerLoginTurn::Answered(_))));
        self.input(Input::BrokerLogin(message()));
        assert_eq!(self.keys(), [(ApiKey::SASL_AUTHENTICATE, 0)]);
        let answer =
            Node::response(ApiKey::SASL_AUTHENTICATE).with(sasl_authenticate::response::SESSION_LIFETIME_MS, 9);
        self.broker(ApiKey::SASL_AUTHENTICATE, 2, 0, &answer);
        let Some(BrokerLoginTurn::Answered(answer)) = self.turn() else { panic!() };
        assert_eq!(answer.int(sasl_authenticate::response::SESSION_LIFETIME_MS), 9);
    }
}

#[test]
fn a_login_at_the_broker_waits_for_what_was_asked_and_lets_nothing_in_between() {
    let mut stage = Stage::known();
    stage.ask(ApiKey::PRODUCE, 9, 1, &produce(&["open"], -1));
    stage.ask(ApiKey::PRODUCE, 9, 2, &produce(&["open"], -1));
    assert_eq!(stage.keys().len(), 2);
    assert_eq!(stage.machine.broker_login_edge(), Some(5 * SECOND));
    stage.micros = 5 * SECOND;
    stage.ask(ApiKey::PRODUCE, 9, 3, &produce(&["open"], -1));
    assert_eq!(stage.machine.broker_login_edge(), None, "no timer rings for what waits");
    stage.broker(ApiKey::PRODUCE, 9, 1, &acknowledged("open"));
    assert!(stage.turn().is_none() && stage.keys().is_empty(), "one is unanswered");
    stage.broker(ApiKey::PRODUCE, 9, 2, &acknowledged("open"));
    stage.ask(ApiKey::PRODUCE, 9, 4, &produce(&["open"], -1));
    stage.exchange();
    assert!(stage.machine.broker_login_since().is_some() && !stage.machine.is_idle());
    stage.input(Input::BrokerLogin(BrokerLoginStep::Done(Some(9 * SECOND))));
    assert_eq!(stage.keys(), [(ApiKey::PRODUCE, 3), (ApiKey::PRODUCE, 4)]);
    assert_eq!(stage.machine.broker_login_edge(), Some(9 * SECOND));
    stage.broker(ApiKey::PRODUCE, 9, 3, &acknowledged("open"));
    assert_eq!(stage.at_client(ApiKey::PRODUCE, 9).len(), 3);
    assert_eq!(stage.machine.closing(), None);
}

#[test]
fn a_request_whose_event_becomes_durable_when_the_login_is_due_waits_for_it() {
    let mut stage = Stage::known();
    stage.book.token = Some(7);
    stage.ask(ApiKey::PRODUCE, 9, 1, &produce(&["open"], -1));
    stage.micros = 5 * SECOND;
    stage.book.token = None;
    stage.input(Input::Durable(DurableToken(7)));
    stage.exchange();
    stage.input(Input::BrokerLogin(BrokerLoginStep::Done(None)));
    assert_eq!(stage.keys(), [(ApiKey::PRODUCE, 1)]);
}

#[test]
fn a_request_whose_event_becomes_durable_in_a_drain_is_written_though_the_login_is_due_that_nobody_begins() {
    let mut stage = Stage::known();
    stage.book.token = Some(7);
    stage.ask(ApiKey::PRODUCE, 9, 1, &produce(&["open"], -1));
    stage.micros = 5 * SECOND;
    stage.machine.finish();
    stage.input(Input::Durable(DurableToken(7)));
    assert!(stage.out.broker_login.is_none());
    assert_eq!(stage.keys(), [(ApiKey::PRODUCE, 1)]);
    assert!(!stage.machine.is_idle(), "its answer is waited for");
}

#[test]
fn a_connection_that_rests_is_logged_in_again_too() {
    let mut stage = Stage::known();
    stage.micros = 5 * SECOND - 2;
    stage.input(Input::Tick);
    assert!(stage.turn().is_none());
    stage.input(Input::Tick);
    stage.exchange();
    stage.input(Input::BrokerLogin(BrokerLoginStep::Done(None)));
    stage.micros = 500 * SECOND;
    stage.input(Input::Tick);
    assert!(stage.turn().is_none() && stage.machine.is_idle());
}

#[test]
fn an_answer_that_is_half_through_is_finished_first() {
    let mut stage = Stage::known();
    stage.ask(ApiKey::PRODUCE, 9, 1, &produce(&["open"], -1));
    let frame = message::response_frame(ApiKey::PRODUCE, 9, 1, &acknowledged("open")).into_bytes();
    let (first, rest) = frame.split_at(frame.len() - 1);
    stage.machine.from_broker.extend_from_slice(first);
    stage.input(Input::Broker);
    stage.micros = 5 * SECOND;
    stage.input(Input::Tick);
    assert!(stage.turn().is_none());
    stage.machine.from_broker.extend_from_slice(rest);
    stage.input(Input::Broker);
    assert!(matches!(stage.turn(), Some(BrokerLoginTurn::Begin)));
}

#[test]
fn a_login_that_fails_ends_the_connection_and_what_waited_is_not_asked() {
    let mut stage = Stage::known();
    stage.micros = 5 * SECOND;
    stage.ask(ApiKey::PRODUCE, 9, 1, &produce(&["open"], -1));
    stage.exchange();
    stage.input(Input::BrokerLogin(BrokerLoginStep::Failed("no".into())));
    assert_eq!(stage.machine.closing(), Some(CloseReason::UpstreamLogin));
    assert_eq!(stage.out.detail.as_deref(), Some("no"));
    assert!(stage.keys().is_empty());

    let mut stage = Stage::known();
    stage.micros = 5 * SECOND;
    stage.input(Input::Tick);
    stage.input(Input::BrokerLogin(handshake()));
    stage.input(Input::BrokerEnd);
    assert_eq!(stage.machine.closing(), Some(CloseReason::UpstreamLogin), "an end says no too");
}

#[test]
fn what_is_no_answer_in_a_login_is_none() {
    for (asked, correlation) in [(false, 0), (true, 7)] {
        let mut stage = Stage::known();
        stage.micros = 5 * SECOND;
        stage.input(Input::Tick);
        if asked {
            stage.input(Input::BrokerLogin(handshake()));
        }
        let answer = Node::response(ApiKey::SASL_HANDSHAKE);
        let frame = message::response_frame(ApiKey::SASL_HANDSHAKE, 1, correlation, &answer).into_bytes();
        stage.machine.from_broker.extend_from_slice(&frame);
        let expected = if asked { 0 } else { -1 };
        let error = SessionError::UpstreamSentCorrelation { got: correlation, expected };
        assert_eq!(stage.try_input(Input::Broker), Err(error));
    }
}

#[test]
fn a_client_that_has_left_is_not_waited_for() {
    let mut stage = Stage::known();
    stage.ask(ApiKey::PRODUCE, 9, 1, &produce(&["open"], -1));
    stage.keys();
    stage.input(Input::ClientEnd);
    stage.micros = 5 * SECOND;
    stage.input(Input::Tick);
    assert!(stage.turn().is_none());
    assert_eq!(stage.machine.closing(), Some(CloseReason::ClientEof));
}

use super::*;
use crate::enforce::Broker;
use crate::wire::Versions;
use crate::wire::schema::api_versions::response as versions;
use crate::wire::schema::sasl_handshake::response as shaken;

fn topology() -> Topology {
    let served = [ApiKey::API_VERSIONS, ApiKey::SASL_HANDSHAKE, ApiKey::SASL_AUTHENTICATE, ApiKey::PRODUCE]
        .into_iter()
        .map(|key| (key, Versions::new(0, 4)))
        .collect();
    let broker = Broker { id: 1, host: "broker".into(), port: 9092, rack: None, versions: served };
    Topology { brokers: [(1, broker)].into(), ..Topology::default() }
}

fn frame(key: ApiKey, version: i16, node: &Node) -> Bytes {
    message::request_frame(key, version, 7, Some("c"), node).into_bytes().slice(4..)
}

fn login() -> Login {
    Login::new([Mechanism::PLAIN, Mechanism::SCRAM_SHA_512].into(), Some(1))
}

fn answered(step: LoginStep, key: ApiKey, version: i16) -> Node {
    match step {
        LoginStep::Answer(rope) | LoginStep::Close { answer: Some(rope), .. } => {
            let (correlation_id, node) = message::decode_response(key, version, &rope.into_bytes().slice(4..)).unwrap();
            assert_eq!(correlation_id, 7);
            node
        }
        LoginStep::Verify(_) | LoginStep::Shake(_) => panic!("something to ask, not an answer"),
        LoginStep::Close { answer: None, reason, detail } => panic!("closed: {reason}: {detail}"),
    }
}

fn handshake(mechanism: &str, version: i16) -> Bytes {
    frame(ApiKey::SASL_HANDSHAKE, version, &Node::request(ApiKey::SASL_HANDSHAKE).with(handshake::MECHANISM, mechanism))
}

fn token(bytes: &'static [u8]) -> Bytes {
    token_of(2, bytes)
}

fn token_of(version: i16, bytes: &'static [u8]) -> Bytes {
    let node = Node::request(ApiKey::SASL_AUTHENTICATE).with(authenticate::AUTH_BYTES, Bytes::from_static(bytes));
    frame(ApiKey::SASL_AUTHENTICATE, version, &node)
}

/// The mechanisms that are offered to who asks for one that it cannot have; `why` is told to the operator.
fn offered(mechanism: &str, version: i16, why: &str) -> Vec<String> {
    let step = login().take(&handshake(mechanism, version), &topology());
    assert!(matches!(&step, LoginStep::Close { detail, .. } if detail.contains(why)));
    let said = answered(step, ApiKey::SASL_HANDSHAKE, version);
    assert_eq!(said.i16(shaken::ERROR_CODE), 33);
    said.strs(shaken::MECHANISMS).map(str::to_owned).collect()
}

fn proved(last: &[u8], lifetime: i64) -> LoginVerdict {
    LoginVerdict::Proved { last: last.to_vec(), lifetime }
}

#[test]
fn versions_handshake_and_token_lead_to_a_login() {
    let (mut login, topology) = (login(), topology());
    let ask = frame(ApiKey::API_VERSIONS, 0, &Node::request(ApiKey::API_VERSIONS));
    let listed = answered(login.take(&ask, &topology), ApiKey::API_VERSIONS, 0);
    assert!(listed.nodes(versions::API_KEYS).len() >= 2);
    let agreed = answered(login.take(&handshake("PLAIN", 1), &topology), ApiKey::SASL_HANDSHAKE, 1);
    assert_eq!(agreed.i16(shaken::ERROR_CODE), 0);
    assert!(matches!(login.take(&token(b"\0a\0b"), &topology), LoginStep::Verify(m) if m == "\0a\0b"));
    let done = answered(login.verified(proved(b"", 0)), ApiKey::SASL_AUTHENTICATE, 2);
    assert_eq!((done.i16(authenticated::ERROR_CODE), done.bytes(authenticated::AUTH_BYTES).unwrap().len()), (0, 0));
}

#[test]
fn a_wrong_password_is_told_and_ends_the_connection() {
    let (mut login, topology) = (login(), topology());
    let _ = login.take(&handshake("PLAIN", 1), &topology);
    let _ = login.take(&token(b"\0a\0b"), &topology);
    let step = login.verified(LoginVerdict::Failed("Authentication failed: Invalid username or password".into()));
    assert!(matches!(&step, LoginStep::Close { reason: CloseReason::LoginFailed, .. }));
    let said = answered(step, ApiKey::SASL_AUTHENTICATE, 2);
    assert_eq!(said.i16(authenticated::ERROR_CODE), 58);
    assert_eq!(said.str(authenticated::ERROR_MESSAGE), "Authentication failed: Invalid username or password");
}

#[test]
fn a_mechanism_that_is_not_offered_is_answered_with_those_that_are() {
    assert_eq!(offered("GSSAPI", 1, "`GSSAPI`"), ["PLAIN", "SCRAM-SHA-512"]);
}

#[test]
fn tokens_after_a_handshake_of_version_0_have_no_header() {
    let (mut login, topology) = (login(), topology());
    let _ = login.take(&handshake("PLAIN", 0), &topology);
    assert!(matches!(login.take(&Bytes::from_static(b"\0a\0b"), &topology), LoginStep::Verify(_)));
    assert!(
        matches!(login.verified(proved(b"", 0)), LoginStep::Answer(rope) if rope.clone().into_bytes() == [0u8; 4][..])
    );
}

#[test]
fn nothing_else_is_served_before_the_login() {
    for early in [frame(ApiKey::METADATA, 9, &Node::request(ApiKey::METADATA)), token(b"\0a\0b")] {
        let step = login().take(&early, &topology());
        assert!(matches!(step, LoginStep::Close { answer: None, reason: CloseReason::LoginFailed, .. }));
    }
}

#[test]
fn a_challenge_asks_for_another_message() {
    let (mut login, topology) = (login(), topology());
    assert_eq!(login.mechanism(), None);
    let _ = login.take(&handshake("SCRAM-SHA-512", 1), &topology);
    assert_eq!(login.mechanism(), Some(Mechanism::SCRAM_SHA_512));
    for (verdict, said) in [(LoginVerdict::Challenge(b"c".to_vec()), "c"), (proved(b"p", 0), "p")] {
        assert!(matches!(login.take(&token(b"m"), &topology), LoginStep::Verify(m) if m == "m"));
        let answer = answered(login.verified(verdict), ApiKey::SASL_AUTHENTICATE, 2);
        assert_eq!(
            (answer.i16(authenticated::ERROR_CODE), answer.bytes(authenticated::AUTH_BYTES).unwrap()),
            (0, &Bytes::from(said))
        );
    }
    let more = login.take(&token(b"m"), &topology);
    assert!(matches!(more, LoginStep::Close { answer: None, .. }), "the login is over");
}

#[test]
fn scram_needs_headers() {
    assert_eq!(offered("SCRAM-SHA-512", 0, "needs SaslHandshake version 1"), ["PLAIN"]);
}

#[test]
fn the_lifetime_is_told_from_version_1_on() {
    for (version, expected) in [(0, 0), (1, 5_000), (2, 5_000)] {
        let (mut login, topology) = (login(), topology());
        let _ = login.take(&handshake("PLAIN", 1), &topology);
        let _ = login.take(&token_of(version, b"m"), &topology);
        let said = answered(login.verified(proved(b"", 5_000)), ApiKey::SASL_AUTHENTICATE, version);
        assert_eq!(said.int(authenticated::SESSION_LIFETIME_MS), expected, "version {version}");
    }
}

#[test]
fn threat_24_a_login_again_keeps_its_mechanism() {
    let mut login = Login::again(login().mechanisms, Some(1), Mechanism::SCRAM_SHA_512);
    let agreed = answered(login.take(&handshake("PLAIN", 1), &topology()), ApiKey::SASL_HANDSHAKE, 1);
    assert_eq!(agreed.i16(shaken::ERROR_CODE), 0, "as a broker answers it");
    let step = login.take(&token(b"\0a\0b"), &topology());
    let text = "SASL mechanism 'PLAIN' requested by client is not supported for re-authentication of mechanism 'SCRAM-SHA-512'";
    assert!(matches!(step, LoginStep::Close { answer: None, detail, .. } if detail == text));
    let mut login = Login::again(login.mechanisms, Some(1), Mechanism::SCRAM_SHA_512);
    let step = login.take(&handshake("GSSAPI", 1), &topology());
    assert!(matches!(step, LoginStep::Close { answer: None, .. }), "as a broker");
}

fn agreed() -> Shook {
    Shook { code: ErrorCode::NONE, offered: vec!["GSSAPI".into(), "PLAIN".into()] }
}

#[test]
fn a_login_that_is_relayed_asks_the_broker_for_the_mechanism_and_tells_what_both_offer() {
    let (mut login, topology) = (login().relayed(), topology());
    assert!(matches!(login.take(&handshake("PLAIN", 1), &topology), LoginStep::Shake(Mechanism::PLAIN)));
    assert!(matches!(login.take(&token(b"m"), &topology), LoginStep::Close { .. }), "a token before the answer");
    let said = answered(login.shaken(&agreed()), ApiKey::SASL_HANDSHAKE, 1);
    assert_eq!(said.i16(shaken::ERROR_CODE), 0);
    assert_eq!(said.strs(shaken::MECHANISMS).collect::<Vec<_>>(), ["PLAIN"]);
    assert!(matches!(login.take(&token(b"m"), &topology), LoginStep::Verify(message) if message == "m"));
}

#[test]
fn threat_32_a_login_that_is_relayed_has_a_handshake_of_version_1_and_a_mechanism_that_is_offered() {
    for (mechanism, version) in [("PLAIN", 0), ("SCRAM-SHA-512", 0), ("GSSAPI", 1), ("SCRAM-SHA-256", 1)] {
        let step = login().relayed().take(&handshake(mechanism, version), &topology());
        assert!(matches!(&step, LoginStep::Close { reason: CloseReason::LoginFailed, .. }), "{mechanism} {version}");
        let said = answered(step, ApiKey::SASL_HANDSHAKE, version);
        assert_eq!(said.i16(shaken::ERROR_CODE), 33);
        let offered: Vec<_> = said.strs(shaken::MECHANISMS).collect();
        assert_eq!(offered, if version == 0 { vec![] } else { vec!["PLAIN", "SCRAM-SHA-512"] });
    }
}

#[test]
fn what_a_broker_refuses_the_client_is_told_and_the_operator_why() {
    for (code, detail) in [
        (ErrorCode::UNSUPPORTED_SASL_MECHANISM, "the broker does not offer PLAIN but GSSAPI, X\\n: see"),
        (ErrorCode::ILLEGAL_SASL_STATE, "the broker's listener has no login"),
        (ErrorCode(-1), "the broker refused PLAIN: UNKNOWN_SERVER_ERROR"),
    ] {
        let (mut login, topology) = (login().relayed(), topology());
        let _ = login.take(&handshake("PLAIN", 1), &topology);
        let step = login.shaken(&Shook { code, offered: vec!["GSSAPI".into(), "X\n".into()] });
        assert!(matches!(&step, LoginStep::Close { detail: told, .. } if told.starts_with(detail)), "{detail}");
        assert_eq!(answered(step, ApiKey::SASL_HANDSHAKE, 1).i16(shaken::ERROR_CODE), code.0);
    }
    let (mut login, topology) = (login().relayed(), topology());
    let _ = login.take(&handshake("PLAIN", 1), &topology);
    let _ = login.shaken(&agreed());
    let _ = login.take(&token(b"m"), &topology);
    let (code, text) = (ErrorCode::SASL_AUTHENTICATION_FAILED, Some(format!("no\n{}", "x".repeat(1000))));
    let step =
        login.verified(LoginVerdict::Refused(Answered { code, text: text.clone(), bytes: Bytes::new(), lifetime: 0 }));
    let LoginStep::Close { reason: CloseReason::LoginFailed, detail, .. } = &step else { panic!("not closed") };
    assert!(detail.starts_with("the broker refused the login: no\\nxxx") && detail.len() < 300, "{detail}");
    let said = answered(step, ApiKey::SASL_AUTHENTICATE, 2);
    assert_eq!(said.i16(authenticated::ERROR_CODE), code.0);
    assert_eq!(said.opt_str(authenticated::ERROR_MESSAGE), text.as_deref(), "in the broker's own words");
}

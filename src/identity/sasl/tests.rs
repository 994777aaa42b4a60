//! Logins by tokens, as a whole.

use super::*;
use crate::identity::tokens::mint::{Signer, jwks};
use crate::identity::tokens::{Issuer, KeySet, WantedKey};
use crate::model::TokenAlgorithm;
use serde_json::json;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

static SIGNER: LazyLock<Signer> = LazyLock::new(|| Signer::new("k1", "ES256"));
const IDP: &str = "https://idp";

fn tokens(known: bool) -> Tokens {
    let tokens = Tokens::new(vec![Issuer {
        name: IDP.into(),
        audience: vec!["kafka".to_owned()],
        algorithms: vec![TokenAlgorithm::Es256],
        principal_claim: "sub".to_owned(),
        groups_claim: "groups".to_owned(),
        merge_groups: false,
        clock_skew: Duration::ZERO,
    }]);
    let keys = || Arc::new(KeySet::parse(jwks(&[&SIGNER]).as_bytes()).unwrap());
    if known { tokens.with_keys(0, Some(keys())) } else { tokens }
}

fn message(authorization_id: &str, exp: i64) -> Vec<u8> {
    let token = SIGNER.token(&json!({ "iss": IDP, "aud": "kafka", "sub": "alice", "exp": exp }));
    format!("n,{authorization_id},\x01auth=Bearer {token}\x01\x01").into_bytes()
}

fn take(exchange: &mut Exchange, message: &[u8], known: bool, asked: bool) -> Result<Turn, LoginError> {
    let (users, tokens) = (Users::default(), tokens(known));
    exchange.take(message, &Against { users: &users, tokens: &tokens, asked, nonce: "", now: Timestamp(0) })
}

#[test]
fn a_token_proves_its_bearer_in_one_message() {
    for id in ["", "a=alice"] {
        let turn = take(&mut Exchange::new(Mechanism::OAuthBearer), &message(id, 60), true, false);
        assert!(
            matches!(turn, Ok(Turn::Proved { login, last }) if last.is_empty() && login.expires == Some(Timestamp(60_000)))
        );
    }
}

#[test]
fn a_token_that_is_not_taken_is_refused_in_two_steps_as_kafka_does() {
    let mut exchange = Exchange::new(Mechanism::OAuthBearer);
    let turn = take(&mut exchange, &message("", -60), true, false);
    assert!(matches!(turn, Ok(Turn::Challenge(told)) if told == br#"{"status":"invalid_token"}"#));
    assert!(matches!(exchange.refused(), Some(TokenError::Expired(_))), "known before the client says it has seen it");
    let error = take(&mut exchange, b"\x01", true, false).err().unwrap();
    assert_eq!(error.told(Mechanism::OAuthBearer, false), r#"{"status":"invalid_token"}"#);
    assert!(error.to_string().starts_with("OAUTHBEARER: the token expired at 1969-"), "{error}");
    assert_eq!(take(&mut exchange, b"\x01", true, false).err(), Some(LoginError::PeerSentMore));
    // Another token is not another login.
    let mut exchange = Exchange::new(Mechanism::OAuthBearer);
    let _ = take(&mut exchange, &message("", -60), true, false);
    assert_eq!(take(&mut exchange, &message("", 60), true, false).err(), Some(LoginError::PeerSentMore));
}

#[test]
fn who_asks_to_be_somebody_else_is_told_so_and_malformed_messages_are_not_explained() {
    let error = take(&mut Exchange::new(Mechanism::OAuthBearer), &message("a=bob", 60), true, false).err().unwrap();
    let text = "Authentication failed: Client requested an authorization id (bob) that is different from the token's principal name (alice)";
    assert_eq!(error.told(Mechanism::OAuthBearer, false), text);
    for bad in [&b""[..], b"\x01", b"\0alice\0secret"] {
        let error = take(&mut Exchange::new(Mechanism::OAuthBearer), bad, true, false).err().unwrap();
        assert_eq!(
            error.told(Mechanism::OAuthBearer, false),
            "Authentication failed during authentication due to invalid credentials with SASL mechanism OAUTHBEARER"
        );
    }
}

#[test]
fn a_message_whose_key_is_not_there_is_taken_again_once_it_was_asked_for() {
    let mut exchange = Exchange::new(Mechanism::OAuthBearer);
    assert!(matches!(
        take(&mut exchange, &message("", 60), false, false),
        Ok(Turn::Wants(Wanted { issuer: 0, key: WantedKey::Any }))
    ));
    assert!(exchange.refused().is_none());
    assert!(matches!(take(&mut exchange, &message("", 60), true, true), Ok(Turn::Proved { .. })));
    let mut exchange = Exchange::new(Mechanism::OAuthBearer);
    assert!(matches!(take(&mut exchange, &message("", 60), false, true), Ok(Turn::Challenge(_))));
    assert!(matches!(exchange.refused(), Some(TokenError::NoKeys(_))));
}

#[test]
fn the_name_that_a_first_message_claims_is_fit_to_be_told() {
    let plain = |message: &[u8]| Exchange::new(Mechanism::PLAIN).claim(message);
    let scram = || Exchange::new(Mechanism::Password(PasswordMechanism::ScramSha256));
    assert_eq!(plain(b"bob\0alice\0x").as_deref(), Some("alice"));
    assert_eq!(scram().claim(b"n,,n=a=2Cb,r=nonce").as_deref(), Some("a,b"));
    let long = [&b"\0"[..], &[b'a'; 256], b"\0x"].concat();
    for message in [&b""[..], b"alice", b"\0\0x", b"\0a\nb\0x", b"\0*\0x", &long] {
        assert_eq!(plain(message), None, "{}", message.escape_ascii());
    }
    assert_eq!(scram().claim(b"y,,n=alice,r=nonce"), None);
    assert_eq!(Exchange::new(Mechanism::OAuthBearer).claim(b"\0alice\0x"), None);
}

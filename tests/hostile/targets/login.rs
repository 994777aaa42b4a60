//! Frames before a login is complete, and the messages of each mechanism.

use crate::allocator::within;
use crate::input::{Input, damage};
use crate::messages::{Style, Subject, message};
use crate::mint::{Signer, jwks};
use crate::stage;
use bytes::Bytes;
use kordon::cluster::login::{Proving, Salted, Scram, plain};
use kordon::identity::sasl::{Against, Exchange, Relayed, Turn};
use kordon::identity::tokens::{Issuer, KeySet, Tokens};
use kordon::identity::users::{User, Users};
use kordon::model::{Mechanism, PasswordMechanism, Timestamp, TokenAlgorithm};
use kordon::session::{Login, LoginStep, LoginVerdict};
use kordon::wire::header::request_header;
use kordon::wire::schema::{sasl_authenticate, sasl_handshake};
use kordon::wire::{ApiKey, Node, api, message as frame};
use serde_json::json;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

/// What a login takes at the most, and for each byte of a message: it is kept and repeated.
const FLAT: usize = 64 * 1024;
const PER_BYTE: usize = 4096;
/// The number of every request here.
const ID: i32 = 7;
const PASSWORD: &str = "a password that no search finds: 7c1e5f0a";
const LEAST: u32 = 4096;

/// Two users. One has a password that can be proved; hashed once, that of the other, as nobody proves it here.
static USERS: LazyLock<Users> = LazyLock::new(|| {
    let bob = User::with_password("bob", PASSWORD, b"a salt of bob", 1);
    Users::new(vec![User::with_password("alice", PASSWORD, b"a salt of alice.", LEAST), bob])
});
/// Deriving is what a client's login costs; it is paid once.
static SALTED: LazyLock<[Salted; 3]> = LazyLock::new(Default::default);

/// Who signs a token of alice's, and one of bob's that has ended.
static SIGNER: LazyLock<Signer> = LazyLock::new(|| Signer::new("k1", "ES256"));
static MINTED: LazyLock<[String; 2]> = LazyLock::new(|| {
    let token = |sub: &str, exp: i64| {
        SIGNER.token(&json!({ "iss": "https://idp", "aud": ["kafka"], "sub": sub, "exp": exp, "groups": ["devs"] }))
    };
    [token("alice", 60), token("bob", -60)]
});
static TOKENS: LazyLock<Tokens> = LazyLock::new(|| {
    let issuer = Issuer {
        name: "https://idp".into(),
        audience: vec!["kafka".to_owned()],
        algorithms: vec![TokenAlgorithm::Rs256, TokenAlgorithm::Es256],
        principal_claim: "sub".to_owned(),
        groups_claim: "groups".to_owned(),
        merge_groups: false,
        clock_skew: Duration::ZERO,
    };
    let keys = KeySet::parse(jwks(&[&SIGNER]).as_bytes()).expect("a set");
    Tokens::new(vec![issuer]).with_keys(0, Some(Arc::new(keys)))
});

/// A client that knows the password of alice, or has a token of hers, until its messages are damaged.
#[derive(Default)]
struct Client {
    scram: Option<Scram>,
    proving: Option<Proving>,
    challenge: Option<Vec<u8>>,
    /// Whether it said anything else than alice would.
    lied: bool,
}

impl Client {
    fn message(&mut self, mechanism: Mechanism, input: &mut Input<'_>) -> Vec<u8> {
        let mut honest = match mechanism {
            Mechanism::Password(mechanism) => self.password(mechanism, input),
            Mechanism::OAuthBearer => {
                let which = input.below(2);
                self.lied |= which != 0;
                format!("n,,\x01auth=Bearer {}\x01\x01", MINTED[which]).into_bytes()
            }
        };
        let before = honest.clone();
        let most = input.below(4);
        damage(&mut honest, input, most);
        self.lied |= honest != before && !is_the_same(mechanism, &honest);
        honest
    }

    fn password(&mut self, mechanism: PasswordMechanism, input: &mut Input<'_>) -> Vec<u8> {
        match (mechanism, self.scram.take(), &self.challenge) {
            (PasswordMechanism::Plain, _, _) => {
                // A check costs milliseconds: seldom.
                let known = input.one_in(64);
                self.lied |= !known;
                if known { plain("alice", PASSWORD) } else { plain("bob", "password") }
            }
            (_, Some(scram), Some(challenge)) => match scram.prove(challenge, &SALTED[mechanism as usize]) {
                Ok((proving, last)) => {
                    self.proving = Some(proving);
                    last
                }
                Err(_) => {
                    self.lied = true;
                    Vec::new()
                }
            },
            _ => {
                let name = ["alice", "alice", "bob", "nobody", "a=b,c"][input.below(5)];
                self.lied |= name != "alice";
                let (scram, first) = Scram::begin(mechanism, name, PASSWORD.to_owned(), "nonce-of-the-client");
                self.scram = Some(scram);
                first
            }
        }
    }
}

/// Whether a damaged message still holds the token of alice: what is around it proves nothing.
fn is_the_same(mechanism: Mechanism, message: &[u8]) -> bool {
    let token = MINTED[0].as_bytes();
    mechanism == Mechanism::OAuthBearer && message.windows(token.len()).any(|window| window == token)
}

pub(super) fn login(data: &[u8]) {
    let mut input = Input(data);
    let (topology, mut client) = (stage::world_of(1).topology, Client::default());
    LazyLock::force(&USERS);
    LazyLock::force(&TOKENS);
    LazyLock::force(&MINTED);
    let mut login = Login::new(Mechanism::EVERY.into(), Some(1));
    let mut exchange: Option<Exchange> = None;
    // The same login, as if the exchange were a broker's that it goes on to; tokens do not.
    let mut relayed: Option<Relayed> = None;
    while !input.is_empty() {
        let bytes = match input.below(4) {
            0 => {
                let len = input.below(64);
                input.take(len).to_vec()
            }
            1 => random_request(&mut input),
            _ => {
                // An honest step, as far as it was honest before.
                let node = match login.mechanism() {
                    None => {
                        let mechanism = Mechanism::EVERY[input.below(4)];
                        Node::request(ApiKey::SASL_HANDSHAKE).with(sasl_handshake::request::MECHANISM, mechanism.name())
                    }
                    Some(mechanism) => {
                        let message = client.message(mechanism, &mut input);
                        Node::request(ApiKey::SASL_AUTHENTICATE)
                            .with(sasl_authenticate::request::AUTH_BYTES, Bytes::from(message))
                    }
                };
                let (key, version) = match login.mechanism() {
                    None => (ApiKey::SASL_HANDSHAKE, 1),
                    Some(_) => (ApiKey::SASL_AUTHENTICATE, input.below(3) as i16),
                };
                frame::request_frame(key, version, ID, None, &node).into_bytes().split_off(4).to_vec()
            }
        };
        let bytes = Bytes::from(bytes);
        let step = within(FLAT, PER_BYTE, bytes.len(), || login.take(&bytes, &topology));
        match step {
            LoginStep::Answer(rope) => {
                assert!(rope.len() >= 8, "an answer without a header");
                let shaken = request_header(&bytes).is_ok_and(|header| header.key == ApiKey::SASL_HANDSHAKE);
                assert!(login.mechanism().is_none() || exchange.is_some() || shaken);
                if let (None, Some(mechanism)) = (&exchange, login.mechanism()) {
                    exchange = Some(Exchange::new(mechanism));
                    relayed = matches!(mechanism, Mechanism::Password(_)).then(|| Relayed::new(mechanism));
                }
            }
            LoginStep::Shake(_) => panic!("no broker takes part"),
            LoginStep::Verify(message) => {
                let exchange = exchange.as_mut().expect("a password was looked at before a mechanism was agreed");
                let mut relayed = relayed.as_mut();
                let sent =
                    relayed.as_mut().map(|relayed| within(FLAT, PER_BYTE, message.len(), || relayed.sent(&message)));
                let against = Against {
                    users: &USERS,
                    tokens: &TOKENS,
                    asked: false,
                    nonce: "nonce-of-the-proxy",
                    now: Timestamp(0),
                };
                let take = || exchange.take(&message, &against);
                let verdict = match within(FLAT, PER_BYTE, message.len(), take) {
                    Ok(Turn::Challenge(bytes)) => {
                        // Names that no user of the file can have are refused there.
                        if let Some(relayed) = relayed {
                            if sent != Some(Ok(())) {
                                return;
                            }
                            assert_eq!(relayed.answered(&bytes), Ok(None), "a challenge proves nobody");
                        }
                        client.challenge = Some(bytes.clone());
                        LoginVerdict::Challenge(bytes)
                    }
                    Ok(Turn::Proved { login: who, last }) => {
                        assert!(!client.lied, "let in without the password");
                        assert_eq!(who.principal.get().as_str(), "User:alice");
                        if let Some((relayed, sent)) = relayed.zip(sent) {
                            let learned = sent.and_then(|()| relayed.answered(&last));
                            let learned = learned.map(|login| login.map(|login| login.principal));
                            assert_eq!(learned, Ok(Some(who.principal.clone())), "who goes by is who is proved");
                        }
                        if let Some(proving) = client.proving.take() {
                            assert_eq!(proving.finish(&last), Ok(()), "the proxy proves itself");
                        }
                        let step = login.verified(LoginVerdict::Proved { last, lifetime: 0 });
                        assert!(matches!(step, LoginStep::Answer(_)));
                        return;
                    }
                    Ok(Turn::Wants(_)) => {
                        // Where the shell would ask the issuer, which has no other key.
                        return;
                    }
                    Err(error) => {
                        let told = error.told(exchange.mechanism(), false);
                        let step = login.verified(LoginVerdict::Failed(told));
                        assert!(matches!(step, LoginStep::Close { .. }), "a failed login ends");
                        return;
                    }
                };
                assert!(matches!(login.verified(verdict), LoginStep::Answer(_)));
            }
            LoginStep::Close { answer, .. } => {
                assert!(answer.is_none_or(|rope| rope.len() >= 8));
                return;
            }
        }
    }
}

fn random_request(input: &mut Input<'_>) -> Vec<u8> {
    let key = [ApiKey::API_VERSIONS, ApiKey::SASL_HANDSHAKE, ApiKey::SASL_AUTHENTICATE][input.below(3)];
    let api = api(key).unwrap();
    let versions = usize::try_from(api.versions.max - api.versions.min + 1).unwrap();
    let version = api.versions.min + input.below(versions) as i16;
    let mut node = message(Subject { api, response: false, version }, Style::Random, u64::from(input.u32()));
    if key == ApiKey::SASL_HANDSHAKE && input.one_in(2) {
        let mechanism = Mechanism::EVERY[input.below(4)];
        node.set(sasl_handshake::request::MECHANISM, mechanism.name());
    }
    let mut bytes = frame::request_frame(key, version, ID, None, &node).into_bytes().split_off(4).to_vec();
    let most = input.below(3);
    damage(&mut bytes, input, most);
    bytes
}

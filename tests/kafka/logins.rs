//! Logins with SCRAM, by real clients and by a client that says what it is told to, and as a broker answers them.

use bytes::Bytes;
use kordon::cluster::login::{Salted, Scram};
use kordon::model::{Mechanism, PasswordMechanism};
use kordon::wire::schema::{sasl_authenticate, sasl_handshake};
use kordon::wire::{ApiKey, ErrorCode, Node};
use serde_json::{Value, json};
use std::net::TcpStream;
use std::sync::OnceLock;

use crate::support::audit::Event;
use crate::support::cluster::{Cluster, Options, SASL_PASSWORD, SASL_USER, SCRAM, classes};
use crate::support::fetch::Jars;
use crate::support::idp::{AUDIENCE, Idp};
use crate::support::java::Java;
use crate::support::node::kafkajs;
use crate::support::people::{self, authenticate, handshake, java_login, java_send, known, librdkafka_login};
use crate::support::proxy::{Kordon, Setup, Upstream};
use crate::support::python::librdkafka;
use crate::support::raw::{End, Raw};
use crate::support::{needs, scratch, soon, unique};

pub const MECHANISMS: [PasswordMechanism; 2] = [PasswordMechanism::ScramSha256, PasswordMechanism::ScramSha512];
const POLICY: &str = "version: 1
default: deny
acls:
  - { allow: [All], principals: [\"User:alice\"], resources: [\"*\"] }
end: true
";
pub const PEOPLE: [(&str, &str); 2] = [("alice", "alice-secret"), ("bob", "bob-secret")];
/// Whose message is shorter than any request.
const SHORT: (&str, &str) = ("al", "pw");
const SCRAMS: &str = "identity: sasl\n    sasl: { mechanisms: [SCRAM-SHA-512, SCRAM-SHA-256] }";

/// A broker that knows `alice` and the proxy by SCRAM. One: what it says of a login does not depend on their number. It
/// authorizes whom it knows by another name than the proxy's, and makes delegation tokens.
pub fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| {
        let mut properties = SCRAM.map(|(key, value)| (key, value.to_owned())).to_vec();
        properties[0].1.push_str(",OAUTHBEARER");
        properties.extend([
            known(&[&[(SASL_USER, SASL_PASSWORD), SHORT], &PEOPLE[..]].concat()),
            // Not for SCRAM, by which the proxy logs in here.
            ("listener.name.sasl.plain.connections.max.reauth.ms", "3000".to_owned()),
            ("authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer".to_owned()),
            ("super.users", format!("User:ANONYMOUS;User:{SASL_USER}")),
            ("delegation.token.secret.key", "of-tests".to_owned()),
        ]);
        let keys = scratch(&unique("issuer")).join("keys.json");
        std::fs::write(&keys, issuer().key_set()).expect("keys");
        let url = format!("file://{}", keys.display());
        properties.extend([
            ("listener.name.sasl.oauthbearer.sasl.jaas.config", format!("{BEARER}.OAuthBearerLoginModule required;")),
            (
                "listener.name.sasl.oauthbearer.sasl.server.callback.handler.class",
                format!("{BEARER}.OAuthBearerValidatorCallbackHandler"),
            ),
            ("listener.name.sasl.oauthbearer.sasl.oauthbearer.jwks.endpoint.url", url.clone()),
            ("listener.name.sasl.oauthbearer.sasl.oauthbearer.expected.issuer", issuer().issuer()),
            ("listener.name.sasl.oauthbearer.sasl.oauthbearer.expected.audience", AUDIENCE.to_owned()),
        ]);
        let mut jvm = classes(Jars::Kafka431);
        jvm.push(format!("-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls={url}"));
        let cluster = Cluster::start(Options { nodes: 1, properties, jvm, ..Options::default() });
        for (name, password) in [(SASL_USER, SASL_PASSWORD), ("alice", "alice-secret")] {
            cluster.know_by_scram(name, password);
        }
        cluster
    })
}

const BEARER: &str = "org.apache.kafka.common.security.oauthbearer";

/// Whose tokens that broker takes, for [`AUDIENCE`] alone.
pub fn issuer() -> &'static Idp {
    static ISSUER: OnceLock<Idp> = OnceLock::new();
    ISSUER.get_or_init(|| Idp::start("k1"))
}

/// Where clients log in at its broker.
pub fn cluster_itself() -> String {
    format!("127.0.0.1:{}", cluster().node(1).sasl)
}

/// How many logins at the listener `people` ended so.
pub fn count(kordon: &Kordon<'_>, outcome: &str) -> f64 {
    kordon.metrics().sum("kordon_logins_total", &[("listener", "people"), ("outcome", outcome)])
}

fn setup(upstream: Upstream) -> Setup<'static> {
    Kordon::before(cluster())
        .upstream(upstream)
        .listener("people", SCRAMS)
        .users(&PEOPLE)
        .policy(POLICY)
        .expects("`cluster.own` is null")
}

#[test]
fn clients_log_in_with_scram_and_a_wrong_password_is_refused_in_their_own_words() {
    needs!(Java, Python, Node);
    for (mechanism, upstream) in [("SCRAM-SHA-256", "SCRAM-SHA-512"), ("SCRAM-SHA-512", "SCRAM-SHA-256")] {
        let kordon = setup(Upstream::Scram(upstream)).start();
        let (at, topic) = (kordon.at("people"), unique("scram"));
        cluster().create_topic(&topic, 1, &[]);
        for java in [Java::newest(), Java::same()] {
            let send = |name: &str, password: &str| {
                java_send(java, at, &topic, &java_login(mechanism, name, password), "java")
            };
            assert_eq!(send("alice", "alice-secret"), None, "{mechanism}");
            for (name, password) in [("alice", "bob-secret"), ("nobody", "alice-secret"), ("alice,", "alice-secret")] {
                assert_eq!(send(name, password).as_deref(), Some("SaslAuthenticationException"), "{mechanism} {name}");
            }
            // The login says who it is: bob is somebody else.
            assert_eq!(send("bob", "bob-secret").as_deref(), Some("TopicAuthorizationException"), "{mechanism}");
        }
        let send = |name: &str, password: &str| -> Value {
            let mut config = librdkafka_login(mechanism, name, password);
            config["message.timeout.ms"] = json!(5000);
            librdkafka(&json!({
                "op": "produce", "at": at, "topic": topic, "values": ["librdkafka"], "config": config,
                "client_errors": true,
            }))
            .expect("an outcome")
        };
        assert_eq!(send("alice", "alice-secret")["ok"], 1, "{mechanism}");
        for name in ["alice", "nobody"] {
            let wrong = send(name, "wrong");
            let told = wrong["client_errors"].as_array().expect("errors");
            assert!(wrong["ok"] == 0 && told.contains(&json!("_AUTHENTICATION")), "{mechanism}: {wrong}");
        }
        let send = |password: &str| {
            let sasl = json!({ "mechanism": mechanism.to_lowercase(), "username": "alice", "password": password });
            let config = json!({ "sasl": sasl });
            kafkajs(&json!({ "op": "produce", "at": at, "topic": topic, "values": ["kafkajs"], "config": config }))
        };
        send("alice-secret").expect("a batch");
        let wrong = send("wrong").expect_err("a refusal");
        assert!(wrong.to_string().contains("SASL"), "{mechanism}: {wrong}");
        let read = Java::newest().consumer(&cluster().direct(), &[]);
        let read = read.assign(&[(&topic, 0)]).values(4);
        assert_eq!(read, ["java", "java", "librdkafka", "kafkajs"], "{mechanism}");
    }
}

/// A client that has agreed on a mechanism.
pub fn shaken(address: &str, mechanism: impl Into<Mechanism>) -> Raw {
    let mut raw = Raw::connect(address);
    shake(&mut raw, mechanism);
    raw
}

pub fn shake(raw: &mut Raw, mechanism: impl Into<Mechanism>) {
    let mechanism = mechanism.into();
    let answer = raw.ask(ApiKey::SASL_HANDSHAKE, 1, &handshake(mechanism.name()));
    assert_eq!(answer.i16(sasl_handshake::response::ERROR_CODE), 0, "{answer:?}");
}

/// What a message is answered, or what went wrong.
pub fn authenticated(raw: &mut Raw, version: i16, message: &Node) -> Result<Node, (ErrorCode, String)> {
    use sasl_authenticate::response::{ERROR_CODE, ERROR_MESSAGE};
    let answer = raw.ask(ApiKey::SASL_AUTHENTICATE, version, message);
    match ErrorCode(answer.i16(ERROR_CODE)) {
        ErrorCode::NONE => Ok(answer),
        code => Err((code, answer.str(ERROR_MESSAGE).to_owned())),
    }
}

/// The bytes that are answered to a message, or what went wrong.
pub fn say(raw: &mut Raw, message: impl Into<Bytes>) -> Result<Vec<u8>, (ErrorCode, String)> {
    let answer = authenticated(raw, 2, &authenticate(message))?;
    Ok(answer.bytes(sasl_authenticate::response::AUTH_BYTES).expect("bytes").to_vec())
}

/// What becomes of a login whose messages are changed on the way.
pub fn outcome(
    address: &str,
    mechanism: PasswordMechanism,
    (name, password): (&str, &str),
    first: impl Fn(String) -> String,
    last: impl Fn(String) -> String,
) -> Result<(), (ErrorCode, String)> {
    let mut raw = shaken(address, mechanism);
    let talk = |raw: &mut Raw| {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        let (scram, message) = Scram::begin(mechanism, name, password.to_owned(), "nonce");
        let challenge = say(raw, first(text(message)))?;
        let (proving, message) = scram.prove(&challenge, &Salted::default()).expect("a challenge");
        let proof = say(raw, last(text(message)))?;
        proving.finish(&proof).expect("a server that knows the keys");
        Ok(())
    };
    let outcome = talk(&mut raw);
    if outcome.is_err() {
        assert_eq!(raw.end(), End::Closed, "a failed login ends the connection");
    }
    outcome
}

#[test]
fn failed_logins_with_scram_are_answered_as_a_broker_answers_them() {
    needs!(Java);
    let kordon = setup(Upstream::Gated).start();
    let (us, broker) = (kordon.at("people"), cluster_itself());
    let same = |text: String| text;
    for mechanism in MECHANISMS {
        let both = |who: (&str, &str), first: &dyn Fn(String) -> String, last: &dyn Fn(String) -> String| {
            [us, &broker].map(|at| outcome(at, mechanism, who, first, last))
        };
        assert_eq!(both(("alice", "alice-secret"), &same, &same), [Ok(()), Ok(())]);
        let text = format!(
            "Authentication failed during authentication due to invalid credentials with SASL mechanism {}",
            mechanism.name()
        );
        let refused = Err((ErrorCode::SASL_AUTHENTICATION_FAILED, text));
        let alice = ("alice", "alice-secret");
        for who in [("alice", "wrong"), ("nobody", "alice-secret")] {
            let outcomes = both(who, &same, &same);
            assert_eq!(outcomes, [refused.clone(), refused.clone()], "{who:?}");
        }
        for (from, to) in [("n,,", "y,,"), ("n,,n=", "n,,x="), (",r=", ",r=,r="), ("n=alice", "n=a=lice")] {
            let outcomes = both(alice, &|text| text.replacen(from, to, 1), &same);
            assert_eq!(outcomes, [refused.clone(), refused.clone()], "first message with {to}");
        }
        let forged = |text: String| {
            let at = text.find(",p=").expect("a proof") + 3;
            let other = if text[at..].starts_with('A') { "B" } else { "A" };
            format!("{}{other}{}", &text[..at], &text[at + 1..])
        };
        assert_eq!(both(alice, &same, &forged), [refused.clone(), refused.clone()]);
        for (from, to) in [("r=nonce", "r=other"), ("c=biws", "c=!"), (",p=", "p=")] {
            let outcomes = both(alice, &same, &|text| text.replacen(from, to, 1));
            assert_eq!(outcomes, [refused.clone(), refused.clone()], "last message with {to}");
        }
        let other = both(alice, &|text| text.replacen("n,,", "n,a=bob,", 1), &same);
        let told = "Authentication failed: Client requested an authorization id that is different from username";
        assert_eq!(other[1], Err((ErrorCode::SASL_AUTHENTICATION_FAILED, told.to_owned())));
        assert_eq!(other[0], refused, "who does not prove the header learns nothing of it");
        // A broker ignores what it does not know and what no proof covers; here it is refused.
        let extended = outcome(us, mechanism, alice, same, |text| text.replacen(",p=", ",a=b,p=", 1));
        assert_eq!(extended, refused);
        // threat_32: a name that is a token's id would be somebody else's; brokers without tokens say the same.
        let token = both(alice, &|text| text + ",tokenauth=true", &same);
        assert_eq!(token, [refused.clone(), refused.clone()]);
    }
}

#[test]
fn who_does_not_exist_is_led_through_the_same_exchange_and_nothing_secret_is_told() {
    needs!(Java);
    let mut kordon = setup(Upstream::Gated).env("KORDON_LOG", "trace").start();
    // A balancer that looks whether somebody listens.
    for _ in 0..3 {
        drop(TcpStream::connect(kordon.at("people")).expect("a listener"));
    }
    let left = |reason| kordon.metrics().sum("kordon_connections_closed_total", &[("reason", reason)]);
    soon("they are counted", || left("client_eof") + left("client_reset") == 3.0);
    let challenge = |kordon: &Kordon<'_>, name: &str| {
        let mut raw = shaken(kordon.at("people"), PasswordMechanism::ScramSha512);
        let told = say(&mut raw, format!("n,,n={name},r=nonce")).expect("a challenge");
        let told = String::from_utf8(told).expect("text");
        let [nonce, salt, iterations]: [String; 3] =
            told.split(',').map(str::to_owned).collect::<Vec<_>>().try_into().expect("three fields");
        assert!(nonce.starts_with("r=nonce") && nonce.len() > "r=nonce".len() + 20, "{nonce}");
        (salt, iterations)
    };
    let [alice, nobody] = ["alice", "nobody"].map(|name| challenge(&kordon, name));
    assert_eq!((alice.0.len(), &alice.1), (nobody.0.len(), &nobody.1));
    assert_eq!(nobody, challenge(&kordon, "nobody"));
    assert_ne!(nobody.0, challenge(&kordon, "somebody").0);

    let at = kordon.at("people").to_owned();
    let fails = |name: &str| {
        let sent = outcome(&at, PasswordMechanism::ScramSha512, (name, "hunter2"), |text| text, |text| text);
        assert!(sent.is_err());
    };
    fails("alice");
    fails("nobody");
    outcome(&at, PasswordMechanism::ScramSha512, ("alice", "alice-secret"), |text| text, |text| text).expect("a login");
    let mut audit = kordon.audit();
    let refused = audit.wait("a refused login", |e| e.text("/connectionInfo/reason") == "login_failed");
    assert_eq!(refused.text("/authenticationInfo/mechanism"), "SASL_PLAINTEXT/SCRAM-SHA-512");
    assert_eq!(refused.text("/connectionInfo/action"), "refused");
    for name in ["alice", "nobody"] {
        let said = format!("invalid user credentials, as `{name}`");
        audit.wait("whose password was tried", |e| e.text("/connectionInfo/detail").ends_with(&said));
    }
    let opened = audit.wait("a login", |e| e.principal() == "User:alice");
    assert_eq!(opened.text("/authenticationInfo/mechanism"), "SASL_PLAINTEXT/SCRAM-SHA-512");
    soon("the metrics", || (count(&kordon, "succeeded"), count(&kordon, "failed")) == (1.0, 2.0));
    soon("who began a login and left is told, who said nothing is not", || {
        let left = |e: &&Event| e.text("/connectionInfo/detail") == "the client left before its login";
        match audit.read().iter().filter(left).count() {
            4 => Ok(()),
            n => Err(n),
        }
    });
    let told = audit.read().iter().map(|e| e.json.to_string()).collect::<String>();
    kordon.terminate();
    for text in [kordon.log(), told] {
        for secret in ["hunter2", "alice-secret", SASL_PASSWORD, "p=", &nobody.0[2..], &alice.0[2..]] {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
    }
}

#[test]
fn handshakes_of_version_0_are_for_plain_alone() {
    needs!(Java);
    let kordon = setup(Upstream::Gated).start();
    let mut raw = Raw::connect(kordon.at("people"));
    let answer = raw.ask(ApiKey::SASL_HANDSHAKE, 0, &handshake("SCRAM-SHA-512"));
    assert_eq!(ErrorCode(answer.i16(sasl_handshake::response::ERROR_CODE)), ErrorCode::UNSUPPORTED_SASL_MECHANISM);
    assert_eq!(raw.end(), End::Closed);
}

#[test]
fn tokens_behind_a_handshake_of_version_0_may_be_shorter_than_any_request() {
    needs!(Java);
    let kordon = Kordon::before(cluster()).listener("people", people::PLAIN).users(&[SHORT]).start();
    for at in [kordon.at("people").to_owned(), cluster_itself()] {
        for (token, is_good) in [(&b"\0al\0pw"[..], true), (b"\0al\0px", false), (b"", false)] {
            let mut raw = Raw::connect(&at);
            let answer = raw.ask(ApiKey::SASL_HANDSHAKE, 0, &handshake("PLAIN"));
            assert_eq!(answer.i16(sasl_handshake::response::ERROR_CODE), 0, "{at}");
            raw.send_bytes(&[&u32::try_from(token.len()).expect("a size").to_be_bytes(), token].concat());
            if is_good {
                assert_eq!(raw.read_frame().expect("an answer").as_deref(), Some(&b""[..]), "{at}");
                raw.metadata(Some(&[]));
            } else {
                assert!(raw.ended_silently(), "{at}: {token:?}");
            }
        }
    }
    assert_eq!(count(&kordon, "failed"), 2.0, "they are logins that failed, not frames that are malformed");
}

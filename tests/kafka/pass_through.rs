//! Logins that go on to the brokers (`identity: pass_through`): the client's own principal there, and the broker's own words.

use bytes::Bytes;
use kordon::model::Mechanism;
use kordon::wire::schema::{create_acls, produce, sasl_handshake};
use kordon::wire::{ApiKey, ErrorCode, Node};
use serde_json::json;
use std::time::{Duration, Instant};

use crate::logins::{MECHANISMS, PEOPLE, authenticated, cluster, cluster_itself, issuer, outcome, say, shake, shaken};
use crate::renewals::PLAIN;
use crate::support::audit::Event;
use crate::support::certificates::Authority;
use crate::support::cluster::{Cluster, SASL_PASSWORD};
use crate::support::java::Java;
use crate::support::node::kafkajs;
use crate::support::people::{self, authenticate, handshake, java_login, java_send, librdkafka_login};
use crate::support::proxy::{Kordon, OPEN, Setup, Upstream, cli};
use crate::support::python::librdkafka;
use crate::support::raw::{End, Raw, batch, produce_request, produced, request_of};
use crate::support::{needs, scratch, soon, throughout, unique};
use crate::tls_clients::{at, tls};

const PASSES: &str =
    "identity: pass_through\n    sasl: { mechanisms: [PLAIN, SCRAM-SHA-256, SCRAM-SHA-512], without_tls: true }";

/// A proxy that passes logins on and lets them hold so long.
pub fn setup(max_session: &str) -> Setup<'static> {
    Kordon::before(cluster())
        .upstream(Upstream::Scram("SCRAM-SHA-512"))
        .listener("people", &format!("{PASSES}\n    max_session: {max_session}"))
        .expects("passes logins on to the brokers")
}

fn broker() -> String {
    format!("127.0.0.1:{}", cluster().node(1).sasl)
}

/// Lets a user do things at the broker, by Kafka's codes of operations.
pub fn allow(user: &str, topic: &str, operations: &[i8]) {
    let acl = |operation: &i8| {
        json!({
            "ResourceType": 2, "ResourceName": topic, "ResourcePatternType": 3, "Principal": format!("User:{user}"),
            "Host": "*", "Operation": operation, "PermissionType": 3,
        })
    };
    let acls: Vec<_> = operations.iter().map(acl).collect();
    let request = request_of(ApiKey::CREATE_ACLS, &json!({ "Creations": acls }));
    let answer = Raw::connect(&cluster().direct()).ask(ApiKey::CREATE_ACLS, 3, &request);
    for result in answer.nodes(create_acls::response::RESULTS) {
        assert_eq!(result.i16(create_acls::response::acl_creation_result::ERROR_CODE), 0, "{answer:?}");
    }
}

const READ: i8 = 3;
pub const WRITE: i8 = 4;

fn log_in(kordon: &Kordon<'_>, name: &str) -> Raw {
    let mut raw = shaken(&kordon.broker("people", 1), PLAIN);
    say(&mut raw, format!("\0{name}\0{name}-secret")).expect("a login");
    raw
}

fn counted(kordon: &Kordon<'_>, outcome: &str) -> f64 {
    kordon.metrics().sum("kordon_logins_total", &[("listener", "people"), ("outcome", outcome)])
}

#[test]
fn clients_log_in_at_the_brokers_and_what_either_side_denies_is_denied() {
    needs!(Java, Python, Node);
    let [both, theirs, ours] = ["both", "theirs", "ours"].map(unique);
    cluster().create_topics(&[&both, &theirs, &ours], 1, &[]);
    for topic in [&both, &ours] {
        allow("alice", topic, &[READ, WRITE]);
    }
    let policy = format!(
        "version: 1\ndefault: deny\nacls:\n  - {{ allow: [All], principals: [\"User:alice\"], resources: [\"*\"] }}\n  \
         - {{ deny: [Write], principals: [\"User:alice\"], resources: [\"topic:{ours}\"] }}\nend: true\n"
    );
    let kordon = setup("1h").policy(&policy).start();
    let at = kordon.at("people");
    for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
        let send = |topic: &str, password: &str| {
            java_send(Java::newest(), at, topic, &java_login(mechanism, "alice", password), "java")
        };
        assert_eq!(send(&both, "alice-secret"), None, "{mechanism}");
        assert_eq!(send(&both, "bob-secret").as_deref(), Some("SaslAuthenticationException"), "{mechanism}");
        for topic in [&theirs, &ours] {
            assert_eq!(send(topic, "alice-secret").as_deref(), Some("TopicAuthorizationException"), "{mechanism}");
        }
    }
    for (mechanism, topic, sent) in [("PLAIN", &both, 1), ("SCRAM-SHA-256", &both, 1), ("SCRAM-SHA-512", &theirs, 0)] {
        let mut config = librdkafka_login(mechanism, "alice", "alice-secret");
        config["message.timeout.ms"] = json!(10_000);
        let outcome = librdkafka(&json!({
            "op": "produce", "at": at, "topic": topic, "values": ["librdkafka"], "config": config,
        }))
        .expect("an outcome");
        assert_eq!(outcome["ok"], sent, "{mechanism}: {outcome}");
    }
    let sasl = |password: &str| json!({ "mechanism": "scram-sha-512", "username": "alice", "password": password });
    let send = |password: &str| {
        let config = json!({ "sasl": sasl(password) });
        kafkajs(&json!({ "op": "produce", "at": at, "topic": both, "values": ["kafkajs"], "config": config }))
    };
    send("alice-secret").expect("a batch");
    assert!(send("wrong").expect_err("a refusal").to_string().contains("SASL"));
    let login = java_login("SCRAM-SHA-512", "alice", "alice-secret");
    let settings: Vec<(&str, &str)> = login.iter().map(|(k, v)| (*k, v.as_str())).collect();
    let read = Java::newest().consumer(at, &settings);
    let read = read.assign(&[(&both, 0)]).values(6);
    assert_eq!(read, ["java", "java", "java", "librdkafka", "librdkafka", "kafkajs"]);

    let request = produce_request(1, &[(&theirs, &batch(&[b"x"]))]);
    let answer = log_in(&kordon, "alice").ask(ApiKey::PRODUCE, 9, &request);
    assert_eq!(produced(&answer)[0].1, ErrorCode::TOPIC_AUTHORIZATION_FAILED);
    let sent = |topic: &str, granted: bool| {
        let topic = topic.to_owned();
        move |e: &Event| e.method() == "kafka.Produce" && e.on(&topic) && e.granted() == granted
    };
    let mut audit = kordon.audit();
    let denied = audit.wait("what the proxy denied", sent(&ours, false));
    assert_eq!(denied.principal(), "User:alice");
    // What the broker makes of it is not the proxy's decision.
    let allowed = audit.wait("what the broker denied", sent(&theirs, true));
    assert_eq!(allowed.text("/authenticationInfo/mechanism"), "SASL_PLAINTEXT/PLAIN");
}

#[test]
fn logins_pass_through_with_tls_on_both_sides() {
    needs!(Java, Python, Node);
    let cluster = Cluster::secured();
    cluster.know_by_scram("alice", "alice-secret");
    let authority = Authority::new(&scratch(&unique("passed")), "listeners");
    let sasl = "identity: pass_through\n    sasl: { mechanisms: [PLAIN, SCRAM-SHA-512] }";
    let kordon = Kordon::before(cluster)
        .upstream(Upstream::ScramTls("SCRAM-SHA-512"))
        .listener("people", &format!("{}{sasl}", tls(&authority.server(), "")))
        .expects("passes logins on to the brokers")
        .start();
    let (at, topic, ca) = (at(&kordon, "people"), unique("passed"), authority.file());
    cluster.create_topic(&topic, 1, &[]);
    let ca = ca.to_str().expect("a path");
    let java = |password: &str| {
        let mut login = java_login("SCRAM-SHA-512", "alice", password).to_vec();
        login.retain(|(key, _)| *key != "security.protocol");
        login.extend([
            ("security.protocol", "SASL_SSL".to_owned()),
            ("ssl.truststore.type", "PEM".to_owned()),
            ("ssl.truststore.location", ca.to_owned()),
        ]);
        java_send(Java::newest(), &at, &topic, &login, "java")
    };
    assert_eq!(java("alice-secret"), None);
    assert_eq!(java("wrong").as_deref(), Some("SaslAuthenticationException"));
    let mut config = librdkafka_login("SCRAM-SHA-512", "alice", "alice-secret");
    config["security.protocol"] = json!("sasl_ssl");
    config["ssl.ca.location"] = json!(ca);
    let command = json!({ "op": "produce", "at": at, "topic": topic, "values": ["librdkafka"], "config": config });
    assert_eq!(librdkafka(&command).expect("an outcome")["ok"], 1);
    let sasl = json!({ "mechanism": "scram-sha-512", "username": "alice", "password": "alice-secret" });
    let config = json!({ "sasl": sasl, "ssl": { "ca": [authority.pem()] } });
    kafkajs(&json!({ "op": "produce", "at": at, "topic": topic, "values": ["kafkajs"], "config": config }))
        .expect("a batch");
    let read = Java::newest().consumer(&cluster.direct(), &[]);
    assert_eq!(read.assign(&[(&topic, 0)]).values(3), ["java", "librdkafka", "kafkajs"]);
    let event = kordon.audit().wait("what was written", |e| e.method() == "kafka.Produce" && e.on(&topic));
    assert_eq!(
        (event.principal(), event.text("/authenticationInfo/mechanism")),
        ("User:alice", "SASL_SSL/SCRAM-SHA-512")
    );
}

#[test]
fn brokers_throttle_the_client_and_not_the_proxy() {
    needs!(Java);
    let topic = unique("quota");
    cluster().create_topic(&topic, 1, &[]);
    allow("bob", &topic, &[WRITE]);
    let kordon = setup("1h").start();
    let quota = json!({ "Entries": [{
        "Entity": [{ "EntityType": "user", "EntityName": "bob" }],
        "Ops": [{ "Key": "producer_byte_rate", "Value": 10.0, "Remove": false }],
    }] });
    let quota = request_of(ApiKey::ALTER_CLIENT_QUOTAS, &quota);
    Raw::connect(&cluster().direct()).ask(ApiKey::ALTER_CLIENT_QUOTAS, 1, &quota);
    soon("bob is throttled", || {
        let answer = log_in(&kordon, "bob").ask(ApiKey::PRODUCE, 9, &produce_request(1, &[(&topic, &[b'x'; 500])]));
        assert_eq!(produced(&answer)[0].1, ErrorCode::NONE);
        answer.i32(produce::response::THROTTLE_TIME_MS) > 0
    });
}

#[test]
fn clients_log_in_again_at_the_brokers_and_lose_nothing() {
    needs!(Java);
    let topic = unique("again");
    cluster().create_topic(&topic, 1, &[]);
    allow("alice", &topic, &[READ, WRITE]);
    // Sooner than the broker has it for PLAIN; for SCRAM it has no end.
    let kordon = setup("2s").start();
    let (at, begun) = (kordon.at("people"), counted(&kordon, "renewed"));
    let logins = ["PLAIN", "SCRAM-SHA-512"].map(|mechanism| java_login(mechanism, "alice", "alice-secret"));
    let settings = logins.each_ref().map(|login| login.each_ref().map(|(k, v)| (*k, v.as_str())));
    let producers = settings.each_ref().map(|login| Java::newest().producer(at, login));
    let consumers = settings.each_ref().map(|login| Java::newest().consumer(at, login));
    for consumer in &consumers {
        consumer.assign(&[(&topic, 0)]).run();
    }
    let mut sent = 0;
    throughout("records go through", Duration::from_secs(6), || {
        sent += producers.len();
        producers.iter().all(|producer| producer.send(&topic, &["java"]).ok == 1)
    });
    for consumer in &consumers {
        let events = || consumer.events(0);
        soon("all is read", || events().iter().filter(|e| e["type"] == "record").count() == sent);
        assert!(events().iter().all(|e| e["type"] != "error"), "{:?}", events());
    }
    assert!(counted(&kordon, "renewed") >= begun + 8.0, "{} logins again", counted(&kordon, "renewed"));
    assert_eq!((counted(&kordon, "failed"), counted(&kordon, "renewal_failed")), (0.0, 0.0));
    let closed = |reason| kordon.metrics().sum("kordon_connections_closed_total", &[("reason", reason)]);
    assert_eq!((closed("session_expired"), closed("upstream_closed")), (0.0, 0.0));
}

/// The answers to these messages, as they come over the wire, and how the connection ends.
fn frames(address: &str, mechanism: impl Into<Mechanism>, messages: &[&[u8]]) -> (Vec<Bytes>, Option<End>) {
    let mut raw = shaken(address, mechanism);
    let mut frames = Vec::new();
    for message in messages {
        raw.send(ApiKey::SASL_AUTHENTICATE, 2, &authenticate(message.to_vec()));
        frames.extend(raw.read_frame().expect("an answer"));
    }
    (frames, Some(raw.end()))
}

#[test]
fn failed_logins_are_answered_byte_by_byte_as_the_broker_answers_them() {
    needs!(Java);
    let kordon = setup("1h").start();
    let (us, broker) = (kordon.at("people").to_owned(), broker());
    let plain: [&[u8]; 10] = [
        b"\0alice\0wrong",
        b"\0nobody\0alice-secret",
        b"bob\0alice\0alice-secret",
        b"bob\0alice\0wrong",
        b"\0alice\0",
        b"\0\0secret",
        b"alice\0alice-secret",
        b"\0alice\0alice-secret\0",
        b"alice",
        b"\0*\0secret",
    ];
    for message in plain {
        let [ours, theirs] = [&us, &broker].map(|at| frames(at, PLAIN, &[message]));
        let text = message.escape_ascii();
        // That no user may be called so here is not told.
        let hidden = message == b"\0*\0secret";
        assert!(hidden || ours == theirs, "{text}: {ours:?}, and the broker {theirs:?}");
        assert_eq!((ours.0.len(), ours.1), (1, Some(End::Closed)), "{text}");
    }
    let same = |text: String| text;
    for mechanism in MECHANISMS {
        let first: [&[u8]; 5] = [b"", b"y,,n=alice,r=n", b"n,,n=a=lice,r=n", b"n,,n=nobody,r=n", b"n,,n=alice,r="];
        for message in first {
            let [ours, theirs] = [&us, &broker].map(|at| frames(at, mechanism, &[message]));
            assert_eq!(ours, theirs, "{}", message.escape_ascii());
        }
        let both = |who: (&str, &str), first: &dyn Fn(String) -> String, last: &dyn Fn(String) -> String| {
            let [ours, theirs] = [&us, &broker].map(|at| outcome(at, mechanism, who, first, last));
            assert_eq!(ours, theirs, "{who:?}");
            ours
        };
        let alice = ("alice", "alice-secret");
        assert_eq!(both(alice, &same, &same), Ok(()));
        for (from, to) in [("r=nonce", "r=other"), ("c=biws", "c=!"), (",p=", "p="), (",p=", ",p=AA")] {
            assert!(both(alice, &same, &|text| text.replacen(from, to, 1)).is_err(), "{to}");
        }
        assert!(both(("alice", "wrong"), &same, &same).is_err());
        let other = both(alice, &|text| text.replacen("n,,", "n,a=bob,", 1), &same);
        let told = "Authentication failed: Client requested an authorization id that is different from username";
        assert_eq!(other, Err((ErrorCode::SASL_AUTHENTICATION_FAILED, told.to_owned())));
        // threat_32: the name would be a token's id.
        assert!(both(alice, &|text| text + ",tokenauth=true", &same).is_err());
    }
}

#[test]
fn threat_32_old_handshakes_and_mechanisms_that_are_not_offered_reach_no_broker() {
    needs!(Java);
    let kordon = setup("1h").start();
    let tap = kordon.tap();
    let mut raw = Raw::connect(kordon.at("people"));
    raw.ask(ApiKey::API_VERSIONS, 0, &Node::request(ApiKey::API_VERSIONS));
    for (mechanism, version) in [("PLAIN", 0), ("SCRAM-SHA-512", 0), ("GSSAPI", 1), ("OAUTHBEARER", 1)] {
        let mut raw = Raw::connect(kordon.at("people"));
        let answer = raw.ask(ApiKey::SASL_HANDSHAKE, version, &handshake(mechanism));
        let told = ErrorCode(answer.i16(sasl_handshake::response::ERROR_CODE));
        assert_eq!(told, ErrorCode::UNSUPPORTED_SASL_MECHANISM, "{mechanism}");
        let offered: Vec<_> = answer.strs(sasl_handshake::response::MECHANISMS).collect();
        assert_eq!(offered.len(), if version == 0 { 0 } else { 3 }, "{offered:?}");
        assert_eq!(raw.end(), End::Closed);
    }
    assert!(tap.requests(ApiKey::SASL_HANDSHAKE).is_empty(), "nobody was dialled");
    shake(&mut raw, PLAIN);
    assert_eq!(tap.requests(ApiKey::SASL_HANDSHAKE).len(), 1, "from here on a broker takes part");
}

#[test]
fn mechanisms_that_brokers_do_not_offer_are_told_before_clients_meet_them() {
    needs!(Java);
    let check = |kordon: &Kordon<'_>| cli(&["check", "--connect", "--config", kordon.config_path().to_str().unwrap()]);
    let told = check(&setup("1h").start());
    assert_eq!(told.code, 0, "{}{}", told.out, told.err);
    assert!(told.err.contains("warning: ") && told.err.contains("passes logins on to the brokers"), "{}", told.err);
    // The brokers' plaintext listener.
    let own = Kordon::before(cluster()).listener("people", PASSES).expects("passes logins on to the brokers").start();
    let told = check(&own);
    let words = "PLAIN does not get as far as the brokers: broker 1: the broker's listener has no login";
    assert!(told.code == 2 && told.err.contains(words), "{}{}", told.out, told.err);
    let answer = Raw::connect(own.at("people")).ask(ApiKey::SASL_HANDSHAKE, 1, &handshake("PLAIN"));
    let told = ErrorCode(answer.i16(sasl_handshake::response::ERROR_CODE));
    assert_eq!(told, ErrorCode::ILLEGAL_SASL_STATE, "as that broker answers it");
    own.await_log("the broker's listener has no login");
}

#[test]
fn threat_02_delegation_tokens_belong_to_the_client() {
    use kordon::wire::schema::{create_delegation_token as create, describe_delegation_token as describe};
    needs!(Java);
    let kordon = setup("1h").start();
    let (mut alice, mut bob) = (log_in(&kordon, "alice"), log_in(&kordon, "bob"));
    let key = ApiKey::CREATE_DELEGATION_TOKEN;
    let made = alice.ask(key, 3, &request_of(key, &json!({ "Renewers": [], "MaxLifetimeMs": 3_600_000 })));
    assert_eq!(made.i16(create::response::ERROR_CODE), 0, "{made:?}");
    assert_eq!(made.str(create::response::PRINCIPAL_NAME), "alice");
    let (id, hmac) =
        (made.str(create::response::TOKEN_ID), made.bytes(create::response::HMAC).expect("an hmac").clone());
    let for_bob =
        json!({ "Renewers": [], "MaxLifetimeMs": -1, "OwnerPrincipalType": "User", "OwnerPrincipalName": "bob" });
    let refused = alice.ask(key, 3, &request_of(key, &for_bob));
    let refused = ErrorCode(refused.i16(create::response::ERROR_CODE));
    assert_eq!(refused, ErrorCode::DELEGATION_TOKEN_AUTHORIZATION_FAILED, "the broker has no such right for alice");
    let shown = |raw: &mut Raw| {
        let key = ApiKey::DESCRIBE_DELEGATION_TOKEN;
        let answer = raw.ask(key, 3, &request_of(key, &json!({ "Owners": null })));
        let all = answer.nodes(describe::response::TOKENS).iter();
        all.map(|one| one.str(describe::response::described_delegation_token::TOKEN_ID).to_owned()).collect::<Vec<_>>()
    };
    soon("it is shown to its owner", || shown(&mut alice).iter().any(|shown| shown == id));
    assert!(shown(&mut bob).is_empty());

    for (key, period) in
        [(ApiKey::RENEW_DELEGATION_TOKEN, "RenewPeriodMs"), (ApiKey::EXPIRE_DELEGATION_TOKEN, "ExpiryTimePeriodMs")]
    {
        let mut request = request_of(key, &json!({ period: -1 }));
        request.set(request.def().find("Hmac").expect("a field"), hmac.clone());
        let answer = alice.ask(key, 2, &request);
        assert_eq!(answer.int(answer.def().find("ErrorCode").expect("a field")), 0, "{answer:?}");
    }
    soon("it is gone", || shown(&mut alice).is_empty());
    let mut audit = kordon.audit();
    for api in ["Create", "Renew", "Expire"] {
        let method = format!("kafka.{api}DelegationToken");
        let told = audit.wait(api, |e| e.method() == method && e.granted());
        assert!(told.on("User:alice") && told.operation() == "CreateTokens", "{told:?}");
    }
    let told = audit.read().iter().map(|e| e.json.to_string()).collect::<String>() + &kordon.log();
    let secret = base64::prelude::Engine::encode(&base64::prelude::BASE64_STANDARD, &hmac);
    assert!(!told.contains(&secret), "the token's secret");
}

#[test]
fn failures_are_counted_delayed_and_told_and_nothing_secret_is() {
    needs!(Java);
    let policy = OPEN.replace("default:", "super_users: [\"User:bob\"]\ndefault:");
    let mut kordon = setup("1h")
        .policy(&policy)
        .config("limits: { failed_logins: { delay: 1s, per_minute: 4 } }")
        .env("KORDON_LOG", "trace")
        .start();
    let at = kordon.at("people").to_owned();
    let mut alice = log_in(&kordon, "alice");
    alice.metadata(Some(&[]));
    outcome(&at, MECHANISMS[1], PEOPLE[0], |text| text, |text| text).expect("a login");
    let mut raw = shaken(&at, PLAIN);
    let begun = Instant::now();
    raw.send(ApiKey::SASL_AUTHENTICATE, 2, &people::plain("alice", "hunter2"));
    soon("it is counted before it is answered", || counted(&kordon, "failed") == 1.0);
    assert!(matches!(raw.read_frame(), Ok(Some(_))), "an error");
    assert!(begun.elapsed() >= Duration::from_secs(1));
    // Who is proved, and must not be here.
    let refused = say(&mut shaken(&at, PLAIN), "\0bob\0bob-secret").expect_err("a refusal");
    assert!(refused.1.contains("super user or operator, which this listener does not admit"), "{refused:?}");
    outcome(&at, MECHANISMS[0], ("alice", "hunter2"), |text| text, |text| text).expect_err("a refusal");
    let late = shaken(&at, PLAIN);
    say(&mut shaken(&at, PLAIN), "\0alice\0hunter2").expect_err("a refusal");
    assert!(Raw::connect(&at).ended_silently(), "also with the right password");
    let mut late = late;
    late.send(ApiKey::SASL_AUTHENTICATE, 2, &people::plain("alice", "alice-secret"));
    assert!(late.ended_silently(), "clients try again");
    assert_eq!((counted(&kordon, "succeeded"), counted(&kordon, "failed")), (2.0, 6.0));

    let mut audit = kordon.audit();
    let told = |reason: &'static str, detail: &'static str| {
        move |e: &Event| e.text("/connectionInfo/reason") == reason && e.text("/connectionInfo/detail").contains(detail)
    };
    let wrong = audit.wait("a refused login", told("login_failed", "the broker refused the login: "));
    assert_eq!(wrong.text("/authenticationInfo/mechanism"), "SASL_PLAINTEXT/PLAIN");
    assert!(wrong.text("/connectionInfo/detail").ends_with(", as `alice`"), "{wrong:?}");
    audit.wait("a super user", told("super_user_listener", "User:bob"));
    audit.wait("too many", told("login_failed", "`limits.failed_logins.per_minute`"));
    let opened = audit.wait("a login", |e| e.principal() == "User:alice");
    assert_eq!(opened.text("/connectionInfo/action"), "opened");
    let told = audit.read().iter().map(|e| e.json.to_string()).collect::<String>();
    kordon.terminate();
    for text in [kordon.log(), told] {
        for secret in ["hunter2", "alice-secret", "bob-secret", SASL_PASSWORD, "p=", "biws"] {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
    }
}

#[test]
fn tokens_that_are_good_here_go_on_and_count_where_the_broker_takes_them() {
    use crate::tokens::{BEARER, holds, java_login, log_in, message};
    needs!(Java, Python, Node);
    let topic = unique("bearer");
    cluster().create_topic(&topic, 1, &[]);
    allow("alice", &topic, &[WRITE]);
    allow("bob", &topic, &[WRITE]);
    let (idp, broker) = (issuer(), cluster_itself());
    // One audience more than the broker has.
    let entry = idp.entry("").replace("audience: [kafka]", "audience: [kafka, other]");
    let policy = "version: 1\ndefault: deny\nacls:\n  - { allow: [All], principals: [\"Group:devs\", \"User:bob\"], resources: [\"*\"] }\nend: true\n";
    let sasl =
        "identity: pass_through\n    sasl: { mechanisms: [OAUTHBEARER], without_tls: true }\n    max_session: 1h";
    let kordon = Kordon::before(cluster())
        .upstream(Upstream::Scram("SCRAM-SHA-512"))
        .listener("people", sasl)
        .policy(policy)
        .config(&format!("tokens: [{entry}]"))
        .config("log: { level: trace }")
        .expects("passes logins on to the brokers")
        .start();
    let at = kordon.broker("people", 1);
    let token = |name: &str, claims: serde_json::Value| idp.token(name, &claims);
    let write =
        |raw: &mut Raw| produced(&raw.ask(ApiKey::PRODUCE, 9, &produce_request(-1, &[(&topic, &batch(&[b"x"]))])))[0].1;
    // The group is the token's, and counts here; the name counts at the broker.
    for (name, groups, outcome) in [
        ("alice", json!(["devs"]), ErrorCode::NONE),
        ("alice", json!([]), ErrorCode::TOPIC_AUTHORIZATION_FAILED),
        ("carol", json!(["devs"]), ErrorCode::TOPIC_AUTHORIZATION_FAILED),
    ] {
        let mut raw = shaken(&at, BEARER);
        let lifetime = log_in(&mut raw, &token(name, json!({ "groups": groups })));
        assert!((3_500_000..=3_600_000).contains(&lifetime), "{lifetime}");
        assert_eq!(write(&mut raw), outcome, "{name} {groups}");
    }
    let login = java_login(idp, "alice");
    let sent = java_send(Java::newest(), kordon.at("people"), &topic, &login, "java");
    assert_eq!(sent.as_deref(), Some("TopicAuthorizationException"), "its provider gives no groups");

    // Other libraries, which get their tokens from the provider, or have one.
    let mut config = crate::tokens::librdkafka_login(idp, "bob");
    config["message.timeout.ms"] = json!(10_000);
    let all = kordon.at("people");
    let sent = librdkafka(&json!({ "op": "produce", "at": all, "topic": topic, "values": ["x"], "config": config }));
    assert_eq!(sent.expect("an outcome")["ok"], 1);
    let js = |groups: &[&str]| {
        let token = token("alice", json!({ "groups": groups }));
        let config = json!({ "sasl": { "mechanism": "oauthbearer", "token": token } });
        let values = ["kafkajs"];
        kafkajs(
            &json!({ "op": "produce", "at": all, "topic": topic, "values": values, "config": config, "retries": 0 }),
        )
    };
    js(&["devs"]).expect("a batch");
    assert!(js(&[]).expect_err("a refusal").to_string().contains("TOPIC_AUTHORIZATION_FAILED"));

    // Refused here, as the broker would, which is not asked; or by the broker alone.
    let tap = kordon.tap();
    let seen = || tap.requests(ApiKey::SASL_AUTHENTICATE).len();
    let failed = counted(&kordon, "failed");
    for (n, (claims, goes_on)) in
        [(json!({ "exp": 1 }), 0), (json!({ "iss": "else" }), 0), (json!({ "aud": "other" }), 2)]
            .into_iter()
            .enumerate()
    {
        let message = format!("n,,\x01auth=Bearer {}\x01\x01", token("alice", claims));
        let before = seen();
        let [ours, theirs] = [&at, &broker].map(|at| frames(at, BEARER, &[message.as_bytes(), b"\x01"]));
        assert_eq!(ours, theirs, "{n}");
        assert_eq!(seen() - before, goes_on, "{n}");
        assert_eq!(counted(&kordon, "failed"), failed + n as f64 + 1.0, "each once");
    }

    // Again: another token of the same user, whose groups are new; and one of somebody else.
    let mut raw = shaken(&at, BEARER);
    log_in(&mut raw, &token("alice", json!({ "groups": [] })));
    assert_eq!(write(&mut raw), ErrorCode::TOPIC_AUTHORIZATION_FAILED);
    assert_eq!(handshake_again(&mut raw), 0);
    log_in(&mut raw, &token("alice", json!({ "groups": ["devs"] })));
    assert_eq!(write(&mut raw), ErrorCode::NONE);
    assert_eq!(counted(&kordon, "renewed"), 1.0);
    let mut raw = shaken(&at, BEARER);
    log_in(&mut raw, &token("alice", json!({ "groups": ["devs"] })));
    assert_eq!(handshake_again(&mut raw), 0);
    let other = authenticated(&mut raw, 2, &message(&token("bob", json!({})))).expect_err("a refusal");
    assert!(other.1.starts_with("Cannot change principals during re-authentication"), "{other:?}");
    assert_eq!(raw.end(), End::Closed);
    assert!(!holds(&kordon.log(), &token("alice", json!({ "groups": ["devs"] }))));
}

fn handshake_again(raw: &mut Raw) -> i16 {
    raw.ask(ApiKey::SASL_HANDSHAKE, 1, &handshake("OAUTHBEARER")).i16(sasl_handshake::response::ERROR_CODE)
}

#[test]
fn who_tries_many_passwords_at_once_tries_no_more_than_may_fail() {
    needs!(Java);
    let kordon = setup("1h").config("limits: { failed_logins: { delay: 0ms, per_minute: 4 } }").start();
    let tap = kordon.tap();
    let mut guesses: Vec<Raw> = (0..30).map(|_| shaken(kordon.at("people"), PLAIN)).collect();
    for raw in &mut guesses {
        raw.send(ApiKey::SASL_AUTHENTICATE, 2, &people::plain("alice", "hunter2"));
    }
    // Or none at all: only who was asked about at a broker is answered.
    let answered: usize = guesses.iter_mut().map(|raw| usize::from(matches!(raw.read_frame(), Ok(Some(_))))).sum();
    let asked = tap.requests(ApiKey::SASL_AUTHENTICATE).len();
    // Those that were under way when the fourth failed came to their end.
    assert!((4..8).contains(&asked) && answered == asked, "{asked} asked, {answered} answered");
}

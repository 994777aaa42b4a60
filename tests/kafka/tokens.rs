//! Logins with tokens: by real clients that get them from a provider, by a client that says what it is told to, and what
//! becomes of them when the provider's keys change or it is away.

use kordon::model::Mechanism;
use kordon::wire::schema::sasl_authenticate::response::{AUTH_BYTES, SESSION_LIFETIME_MS};
use kordon::wire::{ApiKey, ErrorCode, Node};
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::logins::{authenticated, cluster, shake};
use crate::support::certificates::{Authority, over};
use crate::support::idp::{AUDIENCE, Fault, Idp, seconds};
use crate::support::java::Java;
use crate::support::node::kafkajs;
use crate::support::people::{authenticate, java_send};
use crate::support::proxy::{Kordon, Setup, cli};
use crate::support::python::librdkafka;
use crate::support::raw::{End, Raw, produce_request, produced};
use crate::support::{eventually, needs, scratch, soon, throughout, unique};

pub const BEARER: Mechanism = Mechanism::OAuthBearer;
const TOKENS: &str = "identity: sasl\n    sasl: { mechanisms: [OAUTHBEARER], without_tls: true }";
const INVALID: &str = r#"{"status":"invalid_token"}"#;
/// `devs` write; `owners`, whom the policy itself lists, too: a token cannot make anybody one of them.
const POLICY: &str = "version: 1
default: deny
groups: { owners: [\"User:carol\"] }
acls:
  - { allow: [All], principals: [\"Group:devs\", \"Group:owners\"], resources: [\"*\"] }
end: true
";

fn setup(tokens: &[String]) -> Setup<'static> {
    Kordon::before(cluster())
        .listener("tokens", TOKENS)
        .policy(POLICY)
        .config(&format!("tokens: [{}]", tokens.join(", ")))
        // Where tokens would stand, if anywhere.
        .config("log: { level: trace }")
}

/// What a Java client needs to get tokens from a provider and to log in with them.
pub fn java_login(idp: &Idp, name: &str) -> Vec<(&'static str, String)> {
    let module = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule";
    vec![
        ("security.protocol", "SASL_PLAINTEXT".to_owned()),
        ("sasl.mechanism", "OAUTHBEARER".to_owned()),
        ("sasl.jaas.config", format!("{module} required clientId=\"{name}\" clientSecret=\"{name}-secret\";")),
        (
            "sasl.login.callback.handler.class",
            "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginCallbackHandler".to_owned(),
        ),
        ("sasl.oauthbearer.token.endpoint.url", idp.tokens()),
        ("sasl.login.refresh.window.factor", "0.6".to_owned()),
    ]
}

/// What librdkafka needs for the same.
pub fn librdkafka_login(idp: &Idp, name: &str) -> Value {
    json!({
        "security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "OAUTHBEARER", "sasl.oauthbearer.method": "oidc",
        "sasl.oauthbearer.client.id": name, "sasl.oauthbearer.client.secret": format!("{name}-secret"),
        "sasl.oauthbearer.token.endpoint.url": idp.tokens(),
    })
}

/// A client that has agreed on tokens.
fn shaken(at: &str) -> Raw {
    let mut raw = Raw::connect(at);
    shake(&mut raw, BEARER);
    raw
}

pub fn message(token: &str) -> Node {
    authenticate(format!("n,,\x01auth=Bearer {token}\x01\x01"))
}

/// Logs in with a token, and gives the lifetime that is told.
#[track_caller]
pub fn log_in(raw: &mut Raw, token: &str) -> i64 {
    authenticated(raw, 2, &message(token)).expect("a login").int(SESSION_LIFETIME_MS)
}

/// Whether this client may write, as its token's groups say.
#[track_caller]
fn may_write(raw: &mut Raw, topic: &str) -> bool {
    let answer = raw.ask(ApiKey::PRODUCE, 9, &produce_request(-1, &[(topic, b"raw")]));
    match produced(&answer)[0].1 {
        ErrorCode::NONE => true,
        ErrorCode::TOPIC_AUTHORIZATION_FAILED => false,
        other => panic!("{other:?}"),
    }
}

/// Sends a token that is not taken: refused in two steps, as a broker does, and closed.
#[track_caller]
fn refused(at: &str, token: &str) {
    let mut raw = shaken(at);
    let answer = authenticated(&mut raw, 2, &message(token)).expect("a challenge");
    assert_eq!(answer.bytes(AUTH_BYTES).expect("bytes"), INVALID.as_bytes());
    let told = authenticated(&mut raw, 2, &authenticate("\x01")).expect_err("a refusal");
    assert_eq!(told, (ErrorCode::SASL_AUTHENTICATION_FAILED, INVALID.to_owned()));
    assert_eq!(raw.end(), End::Closed);
}

/// Whether a login with a token is put off: closed without an answer.
fn put_off(at: &str, token: &str) -> bool {
    let mut raw = shaken(at);
    raw.send(ApiKey::SASL_AUTHENTICATE, 2, &message(token));
    raw.ended_silently()
}

/// Whether the log holds anything of a token: its last part lets nobody in without the rest, but nothing else is like it.
pub fn holds(log: &str, token: &str) -> bool {
    token.split('.').any(|part| !part.is_empty() && log.contains(part))
}

#[test]
fn clients_get_tokens_from_a_provider_and_log_in_with_them() {
    needs!(Java, Python, Node);
    let idp = Idp::start("k1");
    idp.gives(&["devs"], 3600);
    let kordon = setup(&[idp.entry("")]).start();
    let (at, topic) = (kordon.at("tokens"), unique("tokens"));
    cluster().create_topic(&topic, 1, &[]);
    let rdkafka = |name: &str| {
        let mut config = librdkafka_login(&idp, name);
        config["message.timeout.ms"] = json!(5000);
        let asked = json!({
            "op": "produce", "at": at, "topic": topic, "values": ["librdkafka"], "config": config, "client_errors": true,
        });
        librdkafka(&asked).expect("an outcome")
    };
    let js = |token: &str| {
        let config = json!({ "sasl": { "mechanism": "oauthbearer", "token": token } });
        let values = ["kafkajs"];
        kafkajs(&json!({ "op": "produce", "at": at, "topic": topic, "values": values, "config": config, "retries": 0 }))
    };
    for java in [Java::newest(), Java::same()] {
        assert_eq!(java_send(java, at, &topic, &java_login(&idp, "alice"), "java"), None);
        let bob = java_send(java, at, &topic, &java_login(&idp, "bob"), "java");
        assert_eq!(bob.as_deref(), Some("TopicAuthorizationException"), "who is in no group");
    }
    assert_eq!(rdkafka("alice")["ok"], 1);
    js(&idp.token("alice", &json!({}))).expect("a batch");
    let read = Java::newest().consumer(&cluster().direct(), &[]);
    assert_eq!(read.assign(&[(&topic, 0)]).values(4), ["java", "java", "librdkafka", "kafkajs"]);
    let event =
        kordon.audit().wait("what alice wrote", |e| e.principal() == "User:alice" && e.on(&topic) && e.granted());
    assert_eq!(event.text("/authenticationInfo/mechanism"), "SASL_PLAINTEXT/OAUTHBEARER", "{event:?}");

    // Meant for somebody else.
    idp.aims_at("elsewhere");
    for java in [Java::newest(), Java::same()] {
        let refused = java_send(java, at, &topic, &java_login(&idp, "alice"), "java");
        assert_eq!(refused.as_deref(), Some("SaslAuthenticationException"));
    }
    let wrong = rdkafka("alice");
    let told = wrong["client_errors"].as_array().expect("errors");
    assert!(wrong["ok"] == 0 && told.contains(&json!("_AUTHENTICATION")), "{wrong}");
    let token = idp.token("alice", &json!({}));
    // It takes the first step of a refusal for the end of a login, and is closed when it goes on.
    js(&token).expect_err("a refusal");
    kordon.await_log(&format!("the token's `aud` holds none of `tokens[].audience` of issuer `{}`", idp.issuer()));
    assert!(!holds(&kordon.log(), &token) && !kordon.log().contains("alice-secret"));
}

#[test]
fn tokens_that_are_not_good_are_refused_as_a_broker_refuses_them() {
    needs!(Java);
    let (idp, other) = (Idp::start("k1"), Idp::start("k1"));
    idp.gives(&["devs"], 3600);
    let file = format!(
        "{{ issuer: filed, audience: [{AUDIENCE}], jwks_file: keys.json, clock_skew: 0s, groups_claim: realm.roles }}"
    );
    let tokens = [idp.entry(", clock_skew: 1s"), file];
    let kordon = setup(&tokens)
        .file("keys.json", &other.key_set())
        .expects("token issuer refused")
        .expects("keys.json: it is no JWK Set")
        .start();
    let (at, topic) = (kordon.broker("tokens", 1), unique("refused"));
    cluster().create_topic(&topic, 1, &[]);
    let at = at.as_str();
    let none = |header: Value| idp.token_of("alice", &json!({}), Some(&header));
    let unsigned = |token: String| format!("{}.", token.rsplit_once('.').expect("three parts").0);
    for (token, why) in [
        (idp.token("alice", &json!({ "iss": "https://elsewhere" })), "`iss` is `https://elsewhere`"),
        (idp.token("alice", &json!({ "aud": ["connect"] })), "`aud` holds none"),
        (idp.token("alice", &json!({ "exp": seconds() - 60 })), "the token expired at"),
        (idp.token("alice", &json!({ "exp": null })), "`exp` is missing"),
        (idp.token("alice", &json!({ "nbf": seconds() + 60 })), "is not valid before"),
        (idp.token("*", &json!({})), "is \"*\", which is not a name"),
        (idp.token("alice", &json!({ "groups": [7] })), "is no text and no list of texts"),
        (other.token("alice", &json!({ "iss": idp.issuer() })), "the token's signature is wrong"),
        (none(json!({ "alg": "ES256", "kid": "k1", "crit": ["exp"] })), "holds `crit`"),
        (none(json!({ "alg": "HS256", "kid": "k1" })), "`alg` is `HS256`"),
        (none(json!({ "alg": "ES384", "kid": "k1" })), "`alg` is `ES384`"),
        (none(json!({ "alg": "ES256", "kid": "k1", "typ": "logout+jwt" })), "`typ` is `logout+jwt`"),
        (none(json!({ "alg": "ES256", "kid": "unknown" })), "has no key `unknown`"),
        (unsigned(none(json!({ "alg": "none" }))), "`alg` is `none`"),
        (unsigned(none(json!({ "alg": "ES256", "kid": "k1" }))), "the token's signature is wrong"),
        ("hunter2".to_owned(), "is no signed JWT"),
    ] {
        refused(at, &token);
        let told = kordon.audit().wait(why, |e| e.text("/connectionInfo/detail").contains(why));
        assert_eq!(told.text("/connectionInfo/reason"), "login_failed");
        assert!(!holds(&kordon.log(), &token), "{why}");
    }
    let failed = || kordon.metrics().sum("kordon_logins_total", &[("listener", "tokens"), ("outcome", "failed")]);
    let before = failed();
    assert_eq!(before, 16.0, "each is counted once");
    // Whoever leaves at the first word has failed too.
    let mut raw = shaken(at);
    authenticated(&mut raw, 2, &message(&idp.token("alice", &json!({ "exp": 1 })))).expect("a challenge");
    drop(raw);
    soon("it is counted", || failed() == before + 1.0);
    kordon.audit().wait("its event", |e| e.text("/connectionInfo/detail").contains("expired at 1970-01-01T00:00:01"));
    // Who asks to be somebody else, and a message that is none.
    let good = idp.token("alice", &json!({}));
    for (sent, told) in [
        (
            format!("n,a=bob,\x01auth=Bearer {good}\x01\x01"),
            "Authentication failed: Client requested an authorization id (bob) that is different from the token's principal name (alice)",
        ),
        (
            format!("n,,auth=Bearer {good}"),
            "Authentication failed during authentication due to invalid credentials with SASL mechanism OAUTHBEARER",
        ),
    ] {
        let mut raw = shaken(at);
        let refusal = authenticated(&mut raw, 2, &authenticate(sent)).expect_err("a refusal");
        assert_eq!(refusal, (ErrorCode::SASL_AUTHENTICATION_FAILED, told.to_owned()));
    }
    let mut raw = shaken(at);
    let lifetime = log_in(&mut raw, &good);
    assert!((3_500_000..=3_600_000).contains(&lifetime), "a token's end and not an hour: {lifetime}");
    assert!(may_write(&mut raw, &topic));

    // The other issuer's keys are in a file.
    let filed = |idp: &Idp| {
        idp.token("dave", &json!({ "iss": "filed", "groups": null, "realm": { "roles": ["devs", "owners"] } }))
    };
    assert!(may_write(
        &mut {
            let mut raw = shaken(at);
            log_in(&mut raw, &filed(&other));
            raw
        },
        &topic
    ));
    refused(at, &filed(&idp));
    let path = kordon.dir().join("keys.json");
    std::fs::write(&path, "{}").expect("keys");
    kordon.await_log("keys of a token issuer refused: those in force stay");
    log_in(&mut shaken(at), &filed(&other));
    std::fs::write(&path, idp.key_set()).expect("keys");
    kordon.await_log("keys of a token issuer reloaded");
    log_in(&mut shaken(at), &filed(&idp));
    refused(at, &filed(&other));

    let config = kordon.config_path().display().to_string();
    let told = cli(&["check", "--config", &config]).ok();
    assert!(told.contains(&format!("tokens of {}: keys at {}", idp.issuer(), idp.keys())), "{told}");
    std::fs::write(&path, "{}").expect("keys");
    let told = cli(&["check", "--config", &config]);
    assert!(told.code == 2 && told.says("keys.json: it is no JWK Set"), "{told:?}");
    std::fs::write(&path, idp.key_set()).expect("keys");
}

#[test]
fn threat_24_a_login_again_with_a_token_keeps_the_principal_and_replaces_its_groups() {
    needs!(Java);
    let idp = Idp::start("k1");
    let kordon = setup(&[idp.entry(", clock_skew: 0s")]).start();
    let (at, topic) = (kordon.broker("tokens", 1), unique("groups"));
    cluster().create_topic(&topic, 1, &[]);
    let with = |name: &str, groups: Value| idp.token(name, &json!({ "groups": groups }));
    let again = |raw: &mut Raw, token: &str| {
        shake(raw, BEARER);
        authenticated(raw, 2, &message(token))
    };
    let connected = || {
        let mut raw = shaken(&at);
        log_in(&mut raw, &with("alice", json!(["devs"])));
        raw
    };
    let mut raw = connected();
    assert!(may_write(&mut raw, &topic));
    again(&mut raw, &with("alice", json!(["ops"]))).expect("a login again");
    assert!(!may_write(&mut raw, &topic), "no longer one of devs");
    // What the policy declares is the policy's.
    let mut owner = shaken(&at);
    log_in(&mut owner, &with("mallory", json!(["owners"])));
    assert!(!may_write(&mut owner, &topic), "who is an owner the policy says");
    let told = kordon.audit().wait("the login", |e| e.principal() == "User:mallory");
    let dropped = "claimed groups that the policy declares do not count: `owners`";
    assert_eq!((told.text("/connectionInfo/action"), told.text("/connectionInfo/detail")), ("opened", dropped));
    assert_eq!(kordon.metrics().sum("kordon_dropped_groups_total", &[("listener", "tokens")]), 1.0);

    let mut raw = connected();
    let (code, told) = again(&mut raw, &with("bob", json!(["devs"]))).expect_err("a refusal");
    assert_eq!(code, ErrorCode::SASL_AUTHENTICATION_FAILED);
    assert_eq!(told, "Cannot change principals during re-authentication from User.alice: User.bob");
    assert_eq!(raw.end(), End::Closed);
    let mut raw = connected();
    let answer = again(&mut raw, &idp.token("alice", &json!({ "exp": 1 }))).expect("a challenge");
    assert_eq!(answer.bytes(AUTH_BYTES).expect("bytes"), INVALID.as_bytes());
    assert_eq!(authenticated(&mut raw, 2, &authenticate("\x01")).expect_err("a refusal").1, INVALID);
    assert_eq!(raw.end(), End::Closed);
    let of = |outcome| kordon.metrics().sum("kordon_logins_total", &[("listener", "tokens"), ("outcome", outcome)]);
    assert_eq!((of("renewed"), of("renewal_failed"), of("failed")), (1.0, 2.0, 0.0));

    // At its end: who asks something is closed, who waits for something too, and who logs in again goes on.
    let ends = seconds() + 3;
    let short = idp.token("alice", &json!({ "groups": ["devs"], "exp": ends }));
    let [mut asks, mut waits, mut renews] = [(); 3].map(|()| {
        let mut raw = shaken(&at);
        let told = log_in(&mut raw, &short);
        assert!((1..=3000).contains(&told), "{told}");
        raw
    });
    let (id, _) = Raw::connect(&cluster().direct()).topic(&topic, 0);
    let mut spec = crate::support::raw::FetchSpec::of(&topic, id, 1);
    spec.wait = Duration::from_secs(60);
    waits.send(ApiKey::FETCH, 12, &spec.request());
    soon("the end", || seconds() > ends);
    again(&mut renews, &with("alice", json!(["devs"]))).expect("late, and as at a broker not too late");
    renews.ask(ApiKey::API_VERSIONS, 0, &Node::request(ApiKey::API_VERSIONS));
    asks.send(ApiKey::API_VERSIONS, 0, &Node::request(ApiKey::API_VERSIONS));
    assert!(asks.ended_silently());
    waits.patience(Duration::from_secs(20));
    assert!(waits.ended_silently(), "with nothing asked, within its own wait");
    assert!(seconds() - ends >= 10);
    let told = kordon.audit().wait("the end", |e| e.text("/connectionInfo/detail").contains("the token has expired"));
    assert_eq!((told.principal(), told.text("/connectionInfo/reason")), ("User:alice", "token_expired"));
}

#[test]
fn keys_change_and_the_provider_is_away_for_less_and_for_more_than_they_last() {
    needs!(Java);
    let (calm, busy) = (Idp::start("k1"), Idp::start("k1"));
    for idp in [&calm, &busy] {
        idp.gives(&["devs"], 3600);
    }
    let entries = [calm.entry(", jwks_refresh: 1h"), busy.entry(", jwks_refresh: 1s, jwks_max_age: 5s")];
    let mut kordon = setup(&entries).expects("keys of a token issuer").start();
    let at = kordon.broker("tokens", 1);
    let good = |idp: &Idp| idp.token("alice", &json!({}));
    let of = |kordon: &Kordon<'_>, name: &str, idp: &Idp| kordon.metrics().sum(name, &[("issuer", &idp.issuer())]);
    assert_eq!((calm.asked_for_keys(), of(&kordon, "kordon_token_keys", &calm)), (1, 1.0), "before it was ready");
    let old = good(&calm);

    // A key that is not known is asked for at once, and then not for every token that names one.
    calm.rotate("k2");
    log_in(&mut shaken(&at), &good(&calm));
    assert_eq!((calm.asked_for_keys(), of(&kordon, "kordon_token_keys", &calm)), (2, 2.0));
    log_in(&mut shaken(&at), &old);
    let unknown = |kid: &str| calm.token_of("alice", &json!({}), Some(&json!({ "alg": "ES256", "kid": kid })));
    for kid in ["k3", "k4", "k3"] {
        assert!(put_off(&at, &unknown(kid)), "{kid} may be there by now");
    }
    assert_eq!(calm.asked_for_keys(), 2);
    // One that changed under its name is asked for too, and what the former has signed is nothing any more.
    let former = good(&calm);
    calm.replace();
    log_in(&mut shaken(&at), &good(&calm));
    assert_eq!(calm.asked_for_keys(), 3);
    refused(&at, &former);
    log_in(&mut shaken(&at), &good(&calm));

    // Away for less than keys last: logins go on.
    busy.fails(Some(Fault::Away));
    kordon.await_log("keys of a token issuer cannot be had: those that are known count until `jwks_max_age` is over");
    let begun = Instant::now();
    throughout("logins go on", Duration::from_secs(1), || {
        log_in(&mut shaken(&at), &good(&busy));
        true
    });
    // By a key that it has had since, they are put off and not refused.
    let known = good(&busy);
    busy.rotate("k2");
    assert!(put_off(&at, &good(&busy)));
    busy.fails(None);
    soon("it answers again", || kordon.log().contains("keys of a token issuer are known again"));
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    log_in(&mut shaken(&at), &good(&busy));
    log_in(&mut shaken(&at), &known);

    // For more: nothing is believed, and whoever logs in is to come again.
    let mut connected = shaken(&at);
    log_in(&mut connected, &known);
    busy.fails(Some(Fault::Broken));
    eventually("the keys are given up", Duration::from_secs(12), || {
        kordon.log().contains("keys of a token issuer are older than `jwks_max_age`")
    });
    assert!(put_off(&at, &known) && put_off(&at, &good(&busy)));
    assert_eq!(of(&kordon, "kordon_token_keys", &busy), 0.0);
    log_in(&mut shaken(&at), &old);
    connected.ask(ApiKey::API_VERSIONS, 0, &Node::request(ApiKey::API_VERSIONS));
    let told = kordon.audit().wait("a login put off", |e| {
        e.text("/connectionInfo/reason") == "keys_unavailable"
            && e.text("/connectionInfo/detail").contains("status 503")
    });
    assert!(told.text("/connectionInfo/detail").contains(&busy.issuer()), "{told:?}");
    busy.fails(Some(Fault::Garbage));
    kordon.await_log("it is no JWK Set");
    busy.fails(None);
    soon("it is back", || !put_off(&at, &known));
    let asked = |outcome| {
        let labels = [("issuer", busy.issuer()), ("outcome", outcome)];
        let labels = labels.each_ref().map(|(k, v)| (*k, v.as_str()));
        kordon.metrics().sum("kordon_token_key_requests_total", &labels)
    };
    assert!(asked("succeeded".to_owned()) >= 3.0 && asked("failed".to_owned()) >= 3.0);
    let log = kordon.log();
    let warned = log.lines().filter(|line| line.contains("WARN") && line.contains("keys of a token issuer"));
    assert_eq!(warned.count(), 2, "one an outage");

    // A provider that is away does not keep the proxy from starting.
    calm.fails(Some(Fault::Away));
    assert_eq!(kordon.terminate(), Some(0));
    kordon.begin();
    kordon.await_ready();
    assert!(put_off(&at, &old));
    log_in(&mut shaken(&at), &good(&busy));
}

#[test]
fn an_issuer_is_asked_where_its_certificate_is_of_an_authority_that_is_named_for_it() {
    needs!(Java);
    let dir = scratch(&unique("issuers"));
    let [theirs, others] = ["theirs", "others"].map(|name| Authority::new(&dir.join(name), name));
    let (idp, stranger) = (Idp::secured("k1", Some(&theirs.server())), Idp::secured("k1", Some(&others.server())));
    for idp in [&idp, &stranger] {
        idp.gives(&["devs"], 3600);
    }
    // What the second entry names is not who has signed.
    let named = dir.join("named.pem");
    over(&named, theirs.pem());
    let ca = |file: &Path| format!(", ca: {}", file.display());
    let kordon = setup(&[idp.entry(&ca(&theirs.file())), stranger.entry(&ca(&named))])
        .expects("keys of a token issuer cannot be had")
        .start();
    let at = kordon.broker("tokens", 1);
    log_in(&mut shaken(&at), &idp.token("alice", &json!({})));
    let token = stranger.token("alice", &json!({}));
    assert!(put_off(&at, &token));
    let why = "no authority that is trusted (`ca`) signed its certificate";
    kordon.audit().wait("why", |e| e.text("/connectionInfo/detail").contains(why));
    let check = || cli(&["check", "--connect", "--config", kordon.config_path().to_str().expect("a path")]);
    let told = check();
    assert!(told.out.contains(&format!("tokens of {}: 1 keys", idp.issuer())), "{}", told.out);
    assert!(told.code == 2 && told.err.contains(why) && told.err.contains(&stranger.issuer()), "{}", told.err);
    over(&named, others.pem());
    soon("the file is read for each request", || !put_off(&at, &token));
    assert_eq!(check().code, 0);
    std::fs::write(&named, "none").expect("a file");
    let told = check();
    assert!(
        told.code == 2 && told.err.contains("`tokens[1].ca`: `") && told.err.contains("holds no certificate"),
        "{}",
        told.err
    );
}

#[test]
fn a_consumer_goes_on_through_ends_of_tokens_new_keys_and_an_outage_and_loses_nothing() {
    needs!(Java, Python);
    let idp = Idp::start("k1");
    idp.gives(&["devs"], 4);
    let kordon = setup(&[idp.entry(", jwks_refresh: 1s, jwks_max_age: 1h")]).expects("keys of a token issuer").start();
    let (at, topic) = (kordon.at("tokens"), unique("flow"));
    cluster().create_topic(&topic, 1, &[]);
    let login = java_login(&idp, "alice");
    let mut settings: Vec<(&str, &str)> = login.iter().map(|(k, v)| (*k, v.as_str())).collect();
    let producer = Java::newest().producer(at, &settings);
    let group = unique("flow");
    settings.extend([("group.id", group.as_str()), ("auto.offset.reset", "earliest")]);
    let consumer = Java::newest().consumer(at, &settings);
    consumer.subscribe(&[&topic]).run();
    let of = |outcome| kordon.metrics().sum("kordon_logins_total", &[("listener", "tokens"), ("outcome", outcome)]);
    let closed = |reason| kordon.metrics().sum("kordon_connections_closed_total", &[("reason", reason)]);
    let begun = Instant::now();
    let mut sent: Vec<String> = Vec::new();
    let (mut rotated, mut away, mut back) = (false, false, false);
    throughout("records go through", Duration::from_secs(12), || {
        let since = begun.elapsed();
        if since > Duration::from_secs(3) && !std::mem::replace(&mut rotated, true) {
            idp.rotate("k2");
        }
        if since > Duration::from_secs(6) && !std::mem::replace(&mut away, true) {
            idp.fails(Some(Fault::Away));
        }
        if since > Duration::from_secs(9) && !std::mem::replace(&mut back, true) {
            idp.fails(None);
        }
        sent.push(format!("record {}", sent.len()));
        let outcome = producer.send(&topic, &[sent.last().expect("one")]);
        if outcome.ok == 1 { Ok(()) } else { Err(format!("{outcome:?}")) }
    });
    let values = || -> Vec<String> {
        let text = |e: &Value| e["value"].as_str().map(str::to_owned);
        consumer.events(0).iter().filter_map(text).collect()
    };
    soon("everything was read", || values().len() >= sent.len());
    assert_eq!(values(), sent, "in order, each once");
    assert!(consumer.events(0).iter().all(|e| e["type"] != "error"), "{:?}", consumer.events(0));
    assert!(of("renewed") >= 4.0, "{}", of("renewed"));
    assert_eq!((of("failed"), of("renewal_failed")), (0.0, 0.0));
    assert!(idp.asked_for_tokens() >= 4);
    kordon
        .audit()
        .wait("a login again", |e| e.text("/connectionInfo/action") == "renewed" && e.principal() == "User:alice");

    let before = of("renewed");
    let read = librdkafka(&json!({
        "op": "consume", "at": at, "topics": [topic], "group": unique("group"), "count": 1_000_000, "timeout": 7,
        "config": librdkafka_login(&idp, "alice"),
    }))
    .expect("an outcome");
    assert!(read["errors"] == json!({}) && read["values"].as_array().is_some_and(|v| v.len() == sent.len()), "{read}");
    assert!(of("renewed") > before, "librdkafka logs in again");
    assert_eq!((closed("keys_unavailable"), closed("session_expired")), (0.0, 0.0));
    // A client that comes in with the last of its token has a tenth of what is left to log in again: who is late is
    // closed, as by a broker, and comes again. Those are the few.
    assert!(closed("token_expired") < of("renewed") / 2.0, "{} of {}", closed("token_expired"), of("renewed"));
}

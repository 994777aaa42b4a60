//! Sessions that end: their lifetime with logins again (KIP-368), beside a broker's, and users who change.

use kordon::model::PasswordMechanism;
use kordon::wire::schema::{sasl_authenticate, sasl_handshake};
use kordon::wire::{ApiKey, ErrorCode, Node};
use serde_json::json;
use std::time::{Duration, Instant};

use crate::logins::{PEOPLE, authenticated, cluster, cluster_itself, count, shake};
use crate::pass_through;
use crate::support::java::Java;
use crate::support::people::{self, java_login, librdkafka_login, user, user_with};
use crate::support::proxy::Kordon;
use crate::support::python::librdkafka;
use crate::support::raw::{End, FetchSpec, Raw, produce_request, produced};
use crate::support::{needs, soon, unique};

pub const PLAIN: PasswordMechanism = PasswordMechanism::Plain;

fn start(lifetime: &str) -> Kordon<'static> {
    let sasl = "identity: sasl\n    sasl: { mechanisms: [PLAIN, SCRAM-SHA-512], without_tls: true }";
    Kordon::before(cluster()).listener("people", &format!("{sasl}\n    max_session: {lifetime}")).users(&PEOPLE).start()
}

/// Sends a name and a password; the lifetime that is told, or what went wrong.
pub fn tell(raw: &mut Raw, version: i16, name: &str, password: &str) -> Result<i64, (ErrorCode, String)> {
    let answer = authenticated(raw, version, &people::plain(name, password))?;
    Ok(answer.int(sasl_authenticate::response::SESSION_LIFETIME_MS))
}

pub fn log_in(address: &str, name: &str) -> Raw {
    let mut raw = Raw::connect(address);
    shake(&mut raw, PLAIN);
    tell(&mut raw, 2, name, &format!("{name}-secret")).expect("a login");
    raw
}

/// What a handshake is answered.
pub fn handshake(raw: &mut Raw, mechanism: &str) -> i16 {
    raw.ask(ApiKey::SASL_HANDSHAKE, 1, &people::handshake(mechanism)).i16(sasl_handshake::response::ERROR_CODE)
}

/// Whether a request is still answered.
pub fn is_served(raw: &mut Raw) -> bool {
    raw.send(ApiKey::API_VERSIONS, 0, &Node::request(ApiKey::API_VERSIONS));
    matches!(raw.read_frame(), Ok(Some(_)))
}

#[test]
fn sessions_last_and_logins_again_are_answered_as_a_broker_answers_them() {
    needs!(Java);
    let kordon = start("3s");
    // The broker's own three seconds.
    let passing = pass_through::setup("1h").start();
    for at in [kordon.at("people").to_owned(), passing.at("people").to_owned(), cluster_itself()] {
        let begun = Instant::now();
        let mut lives: Vec<Raw> = [(0, 0), (1, 3000), (2, 3000)]
            .map(|(version, lifetime)| {
                let mut raw = Raw::connect(&at);
                shake(&mut raw, PLAIN);
                assert_eq!(tell(&mut raw, version, "alice", "alice-secret"), Ok(lifetime), "{at} v{version}");
                raw
            })
            .into();
        let mut again = log_in(&at, "alice");
        assert_eq!(handshake(&mut again, "PLAIN"), 0, "{at}");
        assert_eq!(tell(&mut again, 2, "alice", "alice-secret"), Ok(3000), "{at}");
        assert_eq!(handshake(&mut again, "PLAIN"), 34, "{at}: not twice within a second");
        assert!(is_served(&mut again), "{at}");

        let refused = |text: &str| Err((ErrorCode::SASL_AUTHENTICATION_FAILED, text.to_owned()));
        for (name, password, told) in [
            ("alice", "wrong", "Authentication failed: Invalid username or password"),
            ("bob", "bob-secret", "Cannot change principals during re-authentication from User.alice: User.bob"),
        ] {
            let mut raw = log_in(&at, "alice");
            assert_eq!(handshake(&mut raw, "PLAIN"), 0, "{at}");
            assert_eq!(tell(&mut raw, 2, name, password), refused(told), "{at}");
            assert_eq!(raw.end(), End::Closed, "{at} {name}");
        }
        if at != cluster_itself() {
            let mut raw = log_in(&at, "alice");
            assert_eq!(handshake(&mut raw, "PLAIN"), 0, "{at}");
            let told = "Cannot change principals during re-authentication from User.alice: User.bob";
            assert_eq!(tell(&mut raw, 2, "bob", "wrong"), refused(told), "{at}: as for the right password");
        }
        let mut raw = log_in(&at, "alice");
        assert_eq!(handshake(&mut raw, "SCRAM-SHA-512"), 0, "{at}: told at the next message");
        raw.send(ApiKey::SASL_AUTHENTICATE, 2, &people::authenticate("n,,n=alice,r=nonce"));
        assert!(raw.ended_silently(), "{at}: without a word");
        let mut raw = log_in(&at, "alice");
        raw.send(ApiKey::SASL_HANDSHAKE, 1, &people::handshake("GSSAPI"));
        assert!(raw.ended_silently(), "{at}: without a word");

        // Those that did not log in again, whether they could or not.
        for raw in &mut lives {
            soon("a session that is over is closed at its next request", || !is_served(raw));
            assert!(begun.elapsed() >= Duration::from_millis(2990), "{at}: too early");
        }
    }
    kordon.audit().wait("the end", |e| e.text("/connectionInfo/reason") == "session_expired");
    for kordon in [&kordon, &passing] {
        kordon.audit().wait("a login again", |e| e.text("/connectionInfo/action") == "renewed");
        let of = |outcome| count(kordon, outcome);
        assert_eq!((of("renewed"), of("renewal_failed"), of("failed")), (1.0, 5.0, 0.0));
    }
}

#[test]
fn clients_that_can_log_in_again_go_on_beyond_the_lifetime() {
    needs!(Java, Python);
    let kordon = start("2s");
    let (at, topic) = (kordon.at("people"), unique("renewed"));
    cluster().create_topic(&topic, 1, &[]);
    let of = |outcome| count(&kordon, outcome);
    for java in [Java::newest(), Java::same()] {
        let config = java_login("SCRAM-SHA-512", "alice", "alice-secret");
        let settings: Vec<(&str, &str)> = config.iter().map(|(k, v)| (*k, v.as_str())).collect();
        let producer = java.producer(at, &settings);
        let before = of("renewed");
        soon("the client logs in again and again", || {
            assert_eq!(producer.send(&topic, &["java"]).error(), None);
            of("renewed") >= before + 2.0
        });
    }
    let before = of("renewed");
    let read = librdkafka(&json!({
        "op": "consume", "at": at, "topics": [topic], "group": unique("group"), "count": 1_000_000, "timeout": 6,
        "config": librdkafka_login("SCRAM-SHA-512", "alice", "alice-secret"),
    }))
    .expect("an outcome");
    assert!(read["errors"] == json!({}) && read["values"].as_array().is_some_and(|v| !v.is_empty()), "{read}");
    assert!(of("renewed") > before, "librdkafka logs in again");
    assert_eq!((of("failed"), of("renewal_failed")), (0.0, 0.0));
    let closed = |reason| kordon.metrics().sum("kordon_connections_closed_total", &[("reason", reason)]);
    assert_eq!((closed("session_expired"), closed("login_revoked")), (0.0, 0.0));
}

#[test]
fn threat_24_who_could_not_log_in_any_more_is_closed_within_a_second_of_the_reload() {
    needs!(Java);
    let kordon = start("1h");
    let (at, topic) = (kordon.broker("people", 1), unique("revoked"));
    cluster().create_topic(&topic, 1, &[]);
    let file = kordon.dir().join("users.yaml");
    let (id, _) = Raw::connect(&cluster().direct()).topic(&topic, 0);
    let mut bob = log_in(&at, "bob");
    let change = |what: &str| match what {
        "another password" => user("passwd", "alice", &file, "alice-secret"),
        "was removed" => user_with("remove", "alice", &file, &[], ""),
        "was disabled" => {
            let text = std::fs::read_to_string(&file).expect("the users file");
            let at = text.find("  - name: \"alice\"\n").expect("alice") + "  - name: \"alice\"\n".len();
            let text = format!("{}    disabled: true\n{}", &text[..at], &text[at..]);
            std::fs::write(&file, text).expect("the users file");
        }
        _ => unreachable!(),
    };
    let opened = |kordon: &Kordon<'_>| kordon.log().matches("users reloaded").count();
    for what in ["another password", "was removed", "was disabled"] {
        if what == "was disabled" {
            let before = opened(&kordon);
            user("add", "alice", &file, "alice-secret");
            soon("alice is back", || opened(&kordon) > before);
        }
        let before = opened(&kordon);
        let (mut idle, mut busy) = (log_in(&at, "alice"), log_in(&at, "alice"));
        let mut spec = FetchSpec::of(&topic, id, 0);
        spec.wait = Duration::from_secs(25);
        busy.send(ApiKey::FETCH, 12, &spec.request());
        change(what);
        soon("the file is taken over", || opened(&kordon) > before);
        let reloaded = Instant::now();
        assert!(idle.ended_silently() && busy.ended_silently(), "{what}");
        assert!(reloaded.elapsed() < Duration::from_secs(1), "{what}: {:?}", reloaded.elapsed());
        let told = kordon.audit().wait("the end", |e| {
            e.text("/connectionInfo/reason") == "login_revoked" && e.text("/connectionInfo/detail").contains(what)
        });
        assert_eq!((told.principal(), told.text("/connectionInfo/action")), ("User:alice", "closed"));
    }
    let answer = bob.ask(ApiKey::PRODUCE, 9, &produce_request(-1, &[(&topic, b"bob")]));
    assert_eq!(produced(&answer)[0].1, ErrorCode::NONE, "bob is still bob");

    // The clock alone ends it too.
    user_with("remove", "alice", &file, &[], "");
    let end = chrono::Utc::now() + Duration::from_secs(4);
    let expires = end.to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
    let before = opened(&kordon);
    user_with("add", "alice", &file, &["--expires", &expires, "--password-stdin"], "alice-secret\n");
    soon("alice is back", || opened(&kordon) > before);
    let mut raw = log_in(&at, "alice");
    assert!(raw.ended_silently(), "with nothing asked");
    let late = chrono::Utc::now() - end;
    assert!((0..1000).contains(&late.num_milliseconds()), "{late}");
    kordon.audit().wait("the end", |e| e.text("/connectionInfo/detail").contains("expired"));
}

//! Brokers and the proxy itself come and go under running clients; logins at the proxy and of the proxy.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;

use crate::support::cluster::{Cluster, Options};
use crate::support::java::{Java, Producer};
use crate::support::node::kafkajs;
use crate::support::people::{PLAIN, java_login, java_send, librdkafka_login, user};
use crate::support::proxy::{Kordon, Upstream};
use crate::support::python::librdkafka;
use crate::support::{eventually, needs, soon, unique};

/// Sends one record after the other while `meanwhile` runs, which is given the number of those acknowledged so far.
/// Every record must be acknowledged, and be in the topic once, in order.
#[track_caller]
fn under_traffic(cluster: &Cluster, producer: &Producer, topic: &str, meanwhile: impl FnOnce(&AtomicUsize)) {
    let (stop, sent) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let traffic = scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let next = sent.load(Ordering::Relaxed).to_string();
                let outcome = producer.send(topic, &[&next]);
                assert_eq!(outcome.ok, 1, "record {next}: {outcome:?}");
                sent.fetch_add(1, Ordering::Relaxed);
            }
        });
        goes_on(&sent);
        // also when a check fails: a thread that goes on for ever would keep the scope from ending
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| meanwhile(&sent)));
        stop.store(true, Ordering::Relaxed);
        let sending = traffic.join();
        if let Err(failure) = done {
            std::panic::resume_unwind(failure);
        }
        sending.expect("every record is acknowledged");
    });
    let count = sent.load(Ordering::Relaxed);
    let reader = Java::newest().consumer(&cluster.direct(), &[]);
    let values = reader.assign(&[(topic, 0)]).values(count);
    let expected: Vec<String> = (0..count).map(|n| n.to_string()).collect();
    assert_eq!(values, expected, "each record once and in order");
}

/// Waits until further records are acknowledged.
#[track_caller]
fn goes_on(sent: &AtomicUsize) {
    let from = sent.load(Ordering::Relaxed);
    eventually("the producer goes on", Duration::from_secs(60), || sent.load(Ordering::Relaxed) > from + 10);
}

#[test]
fn a_producer_and_a_consumer_go_on_while_brokers_restart() {
    needs!(Java);
    let properties = vec![("default.replication.factor", "3".to_owned())];
    let cluster = Cluster::start(Options { properties, ..Options::default() });
    let topic = cluster.topic("moving", 1);
    let kordon = Kordon::before(&cluster).person("anybody").expects("WARN").expects("ERROR").start();
    let at = kordon.at("anybody");
    let java = Java::newest();
    let group = unique("group");
    let consumer = java.consumer(at, &[("group.id", &group)]);
    consumer.subscribe(&[&topic]).run();
    let producer = java.producer(at, &[("acks", "all"), ("retry.backoff.ms", "50")]);
    let admin = cluster.admin();
    under_traffic(&cluster, &producer, &topic, |sent| {
        // as an operator does: the leader moves away before the broker ends, and another broker leads
        let first = admin.leader(&topic, 0);
        cluster.stop_node(first);
        goes_on(sent);
        assert_ne!(admin.leader(&topic, 0), first);
        cluster.start_node(first);
        goes_on(sent);
        // as a crash does
        let second = admin.leader(&topic, 0);
        cluster.kill_node(second);
        // told before a client has to meet it
        kordon.await_log("a broker can no longer be reached");
        goes_on(sent);
        cluster.start_node(second);
        goes_on(sent);
        let last = (sent.load(Ordering::Relaxed) - 1).to_string();
        eventually("the consumer goes on", Duration::from_secs(60), || consumer.has(&last));
    });
}

#[test]
fn a_restarted_proxy_serves_a_client_that_never_bootstraps_again() {
    needs!(Java);
    let cluster = Cluster::shared();
    let topic = cluster.topic("restarted", 1);
    let mut kordon = Kordon::before(cluster).person("anybody").start();
    let settings = [("metadata.recovery.strategy", "none"), ("retry.backoff.ms", "50"), ("acks", "all")];
    let producer = Java::newest().producer(kordon.at("anybody"), &settings);
    under_traffic(cluster, &producer, &topic, |sent| {
        assert_eq!(kordon.terminate(), Some(0));
        kordon.begin();
        kordon.await_ready();
        goes_on(sent);
        kordon.kill();
        kordon.begin();
        kordon.await_ready();
        goes_on(sent);
    });
}

/// alice may do everything with `open-*`, bob and carol nothing.
const POLICY: &str = r#"version: 1
default: deny
acls:
  - { allow: [All], principals: ["User:alice"], resources: ["topic:open-*", "group:*"] }
end: true
"#;

fn login(password: &str) -> [(&'static str, String); 3] {
    java_login("PLAIN", "alice", password)
}

#[test]
fn clients_log_in_with_a_password_and_a_wrong_one_is_refused_in_their_own_words() {
    needs!(Java, Python, Node);
    let cluster = Cluster::shared();
    let topic = cluster.topic("open-login", 1);
    let kordon = Kordon::before(cluster)
        .listener("people", PLAIN)
        .users(&[("alice", "alice-secret"), ("bob", "bob-secret")])
        .policy(POLICY)
        .start();
    let at = kordon.at("people");
    const WRONG: Option<&str> = Some("SaslAuthenticationException");
    const REFUSED: Option<&str> = Some("TopicAuthorizationException");
    for java in [Java::newest(), Java::same()] {
        let send =
            |name: &str, password: &str| java_send(java, at, &topic, &java_login("PLAIN", name, password), "one");
        assert_eq!(send("alice", "alice-secret"), None);
        assert_eq!(send("alice", "bob-secret").as_deref(), WRONG);
        assert_eq!(send("nobody", "alice-secret").as_deref(), WRONG);
        // The login says who it is: bob is somebody else.
        assert_eq!(send("bob", "bob-secret").as_deref(), REFUSED);
    }

    let send = |password: &str| {
        let mut config = librdkafka_login("PLAIN", "alice", password);
        config["message.timeout.ms"] = json!(5000);
        librdkafka(&json!({
            "op": "produce", "at": at, "topic": topic, "values": ["two"], "config": config, "client_errors": true,
        }))
        .expect("an outcome")
    };
    assert_eq!(send("alice-secret")["ok"], 1);
    let wrong = send("wrong");
    let told = wrong["client_errors"].as_array().expect("errors");
    assert!(wrong["ok"] == 0 && told.contains(&json!("_AUTHENTICATION")), "{wrong}");

    let send = |password: &str| {
        let sasl = json!({ "sasl": { "mechanism": "plain", "username": "alice", "password": password } });
        kafkajs(&json!({ "op": "produce", "at": at, "topic": topic, "values": ["three"], "config": sasl }))
    };
    send("alice-secret").expect("a batch");
    let wrong = send("wrong").expect_err("a refusal");
    assert!(wrong.to_string().contains("SASL"), "{wrong}");

    let read = Java::newest().consumer(&cluster.direct(), &[]);
    assert_eq!(read.assign(&[(&topic, 0)]).values(4), ["one", "one", "two", "three"]);
}

#[test]
fn a_changed_users_file_counts_for_the_next_login() {
    needs!(Java);
    let cluster = Cluster::shared();
    let topic = cluster.topic("open-users", 1);
    let kordon =
        Kordon::before(cluster).listener("people", PLAIN).users(&[("bob", "bob-secret")]).policy(POLICY).start();
    let (at, java, file) = (kordon.at("people"), Java::newest(), kordon.dir().join("users.yaml"));
    let send = |password: &str| java_send(java, at, &topic, &login(password), "one");
    assert_eq!(send("one-secret").as_deref(), Some("SaslAuthenticationException"));
    user("add", "alice", &file, "one-secret");
    soon("a new user logs in", || send("one-secret").is_none());
    let login = login("one-secret");
    let settings: Vec<(&str, &str)> = login.iter().map(|(k, v)| (*k, v.as_str())).collect();
    let connected = java.producer(at, &settings);
    assert_eq!(connected.send(&topic, &["before"]).ok, 1);
    user("passwd", "alice", &file, "two-secret");
    soon("the new password counts", || send("two-secret").is_none());
    assert_eq!(send("one-secret").as_deref(), Some("SaslAuthenticationException"), "the old one counts no more");
}

#[test]
fn the_proxy_logs_in_at_the_brokers() {
    needs!(Java, Python);
    let cluster = Cluster::shared();
    let topic = cluster.topic("open-upstream", 3);
    let kordon =
        Kordon::before(cluster).person("alice").policy(POLICY).upstream(Upstream::Sasl).expects("cluster.own").start();
    let at = kordon.at("alice");
    let sent = Java::newest().producer(at, &[]).send(&topic, &["a", "b"]);
    assert_eq!(sent.ok, 2, "{sent:?}");
    let read = librdkafka(&json!({
        "op": "consume", "at": at, "topics": [topic], "group": unique("group"), "count": 2,
    }))
    .expect("an outcome");
    assert_eq!(read["values"].as_array().map(Vec::len), Some(2), "{read}");
    let denied = Java::newest().producer(at, &[("enable.idempotence", "false")]).send("hidden", &["no"]);
    assert_eq!(denied.error(), Some("TopicAuthorizationException"));
}

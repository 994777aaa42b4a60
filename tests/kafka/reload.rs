//! A policy takes effect on the connections that are open: however its file is replaced, whatever stands in it, a hundred
//! times over, and by the clock alone.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kordon::model::Timestamp;
use kordon::wire::schema::fetch::request::SESSION_ID;
use kordon::wire::{ApiKey, ErrorCode};
use serde_json::Value;

use crate::support::cluster::Cluster;
use crate::support::gate::Way;
use crate::support::java::{Consumer, Java};
use crate::support::proxy::{Kordon, revision_of};
use crate::support::raw::{Raw, fetched, produce_request, produced};
use crate::support::{eventually, needs, process, say, soon, throughout};

/// A policy with these further lines.
fn policy(lines: &str) -> String {
    format!(
        "version: 1\ndefault: deny\nacls:\n  - {{ allow: [Describe], principals: [\"User:*\"], resources: [\"*\"] }}\n{lines}end: true\n"
    )
}

fn writing(topic: &str) -> String {
    policy(&format!("  - {{ allow: [Write], principals: [\"User:alice\"], resources: [\"topic:{topic}\"] }}\n"))
}

/// A connection that stays open, and what one Produce on it is told.
struct Writer {
    raw: Raw,
    topic: String,
}

impl Writer {
    fn open(kordon: &Kordon, topic: &str) -> Writer {
        let (_, leader) = Raw::connect(kordon.at("alice")).topic(topic, 0);
        Writer { raw: Raw::connect(&kordon.broker("alice", leader)), topic: topic.to_owned() }
    }

    #[track_caller]
    fn write(&mut self) -> ErrorCode {
        let request = produce_request(-1, &[(&self.topic, b"x")]);
        produced(&self.raw.ask(ApiKey::PRODUCE, 9, &request))[0].1
    }
}

const DENIED: ErrorCode = ErrorCode::TOPIC_AUTHORIZATION_FAILED;

#[test]
fn a_saved_renamed_or_linked_policy_is_in_force_on_the_open_connection() {
    needs!(Java);
    let cluster = Cluster::shared();
    let topic = cluster.topic("reload", 1);
    let (may, may_not) = (writing(&topic), policy(""));
    let mut kordon = Kordon::before(cluster).person("alice").policy(&may).start();
    let mut writer = Writer::open(&kordon, &topic);
    assert_eq!(writer.write(), ErrorCode::NONE);
    // saved in place
    std::fs::write(kordon.policy_path(), &may_not).expect("save");
    kordon.await_policy(&may_not);
    assert_eq!(writer.write(), DENIED);
    // renamed over
    kordon.write_policy(&may);
    assert_eq!(writer.write(), ErrorCode::NONE);
    // removed and written anew, as some editors do; nothing changes while there is none
    kordon.expects("policy unreadable");
    std::fs::remove_file(kordon.policy_path()).expect("remove");
    kordon.await_log("policy unreadable");
    assert_eq!(writer.write(), ErrorCode::NONE);
    std::fs::write(kordon.policy_path(), &may_not).expect("save");
    kordon.await_policy(&may_not);
    assert_eq!(writer.write(), DENIED);

    // as Kubernetes mounts a ConfigMap: the file is a link through `..data`, which is swapped
    let volume = |name: &str, text: &str| {
        let dir = kordon.dir().join(name);
        std::fs::create_dir(&dir).expect("volume");
        std::fs::write(dir.join("policy.yaml"), text).expect("policy");
    };
    let link = |to: &str, at: &str| {
        let fresh = kordon.dir().join("fresh-link");
        std::os::unix::fs::symlink(to, &fresh).expect("link");
        std::fs::rename(&fresh, kordon.dir().join(at)).expect("swap");
    };
    volume("..2026_11_22_1", &may);
    link("..2026_11_22_1", "..data");
    link("..data/policy.yaml", "policy.yaml");
    kordon.await_policy(&may);
    assert_eq!(writer.write(), ErrorCode::NONE);
    for (round, text, expected) in [(2, &may_not, DENIED), (3, &may, ErrorCode::NONE), (4, &may_not, DENIED)] {
        volume(&format!("..2026_11_22_{round}"), text);
        link(&format!("..2026_11_22_{round}"), "..data");
        std::fs::remove_dir_all(kordon.dir().join(format!("..2026_11_22_{}", round - 1))).expect("old volume");
        kordon.await_policy(text);
        assert_eq!(writer.write(), expected, "swap {round}");
    }
    let opened = kordon.metrics().sum("kordon_connections_opened_total", &[("listener", "alice")]);
    assert_eq!(opened, 2.0, "the connection that asked for the leader, and the writer's");
}

#[test]
fn sighup_forces_a_look() {
    needs!(Java);
    let cluster = Cluster::shared();
    let topic = cluster.topic("reload", 1);
    let (may, may_not) = (writing(&topic), policy(""));
    let kordon = Kordon::before(cluster).person("alice").policy(&may).start();
    // A link in the middle of a chain is swapped: neither the directory that the path names nor the one where its links
    // end tells of it, and the slow look comes every ten seconds only.
    let in_dir = |name: &str| kordon.dir().join(name);
    let link = |to: &str, at: &str| {
        std::os::unix::fs::symlink(to, in_dir("fresh-link")).expect("link");
        std::fs::rename(in_dir("fresh-link"), in_dir(at)).expect("swap");
    };
    for (dir, text) in [("one", &may), ("two", &may_not)] {
        std::fs::create_dir(in_dir(dir)).expect("directory");
        std::fs::write(in_dir(dir).join("policy.yaml"), text).expect("policy");
    }
    std::fs::create_dir(in_dir("middle")).expect("directory");
    link("../one/policy.yaml", "middle/policy.yaml");
    link("middle/policy.yaml", "policy.yaml");
    let mut writer = Writer::open(&kordon, &topic);
    assert_eq!(writer.write(), ErrorCode::NONE);
    link("../two/policy.yaml", "middle/policy.yaml");
    kordon.signal("HUP");
    eventually("the policy after the signal", Duration::from_secs(5), || {
        let in_force = kordon.metrics().label("kordon_policy_info", "revision").unwrap_or_default().to_owned();
        in_force.starts_with(&revision_of(&may_not))
    });
    assert_eq!(writer.write(), DENIED);
    // With nothing new in the file the signal changes nothing and ends nothing.
    for _ in 0..5 {
        kordon.signal("HUP");
    }
    assert_eq!(writer.write(), DENIED);
    kordon.write_policy(&may);
    assert_eq!(writer.write(), ErrorCode::NONE);
}

#[test]
fn threat_37_a_broken_or_half_written_file_leaves_the_old_one_in_force_and_everybody_is_told() {
    needs!(Java);
    let cluster = Cluster::shared();
    let topic = cluster.topic("reload", 1);
    // alice may write, but for a deny: what is cut off the end of such a file opens the topic
    let deny = "  - { deny: [Write], principals: [\"User:alice\"], resources: [\"topic:reload-*\"] }\n";
    let allow = "  - { allow: [All], principals: [\"User:*\"], resources: [\"*\"] }\n";
    let whole = policy(&format!("{allow}{deny}"));
    let mut kordon = Kordon::before(cluster).person("alice").policy(&whole).start();
    kordon.expects("policy.yaml");
    let mut writer = Writer::open(&kordon, &topic);
    assert_eq!(writer.write(), DENIED);
    let cut = |at: &str| whole[..whole.find(at).expect("a place to cut")].to_owned();
    let broken = [
        ("cut before the deny", cut("  - { deny")),
        ("cut before its end", cut("end: true")),
        ("cut within a line", cut("principals: [\"User:alice\"]")),
        ("empty", String::new()),
        ("no YAML", "version: 1\nacls: [\n".to_owned()),
        ("an unknown key", whole.replace("resources", "ressources")),
        ("an unknown operation", whole.replace("[Write]", "[Wriet]")),
        ("invalid UTF-8", "version: 1\n".to_owned()),
    ];
    for (i, (what, text)) in broken.iter().enumerate() {
        let bytes = if *what == "invalid UTF-8" { vec![0xff, 0xfe, 0x00] } else { text.clone().into_bytes() };
        std::fs::write(kordon.policy_path(), bytes).expect("save");
        soon(what, || match kordon.metrics().sum("kordon_reloads_total", &[("outcome", "refused")]) {
            n if n == (i + 1) as f64 => Ok(()),
            n => Err(format!("{n} refused files")),
        });
        assert_eq!(writer.write(), DENIED, "{what}");
        let in_force = kordon.metrics().label("kordon_policy_info", "revision").unwrap_or_default().to_owned();
        assert!(in_force.starts_with(&revision_of(&whole)), "{what}: {in_force}");
    }
    assert!(kordon.log().contains("policy.yaml:5:"), "the log names line and column");
    let (status, told) = kordon.http("/readyz").expect("an answer");
    assert_eq!(status, 200, "no reason to take traffic away");
    assert!(told.starts_with("ready\n") && told.contains("policy file refused"), "{told}");
    let mut audit = kordon.audit();
    audit.wait("the refusal in the audit", |e| e.kind() == "policy" && e.json.to_string().contains("refused"));
    // A file that drops a deny loads, and the audit tells which.
    let without = policy(allow);
    kordon.write_policy(&without);
    assert_eq!(writer.write(), ErrorCode::NONE);
    assert_eq!(kordon.http("/readyz").expect("an answer").1, "ready\n");
    audit
        .wait("the dropped deny in the audit", |e| e.kind() == "policy" && e.json.to_string().contains("deny dropped"));
}

/// Rules enough that a snapshot that is not freed is seen in the memory.
fn thick(topic: &str, round: usize) -> String {
    use std::fmt::Write as _;
    let mut lines =
        format!("  - {{ allow: [Read, Write], principals: [\"User:alice\"], resources: [\"topic:{topic}\"] }}\n");
    for i in 0..500 {
        let _ = writeln!(
            lines,
            "  - {{ allow: [Read], principals: [\"User:person-{i}-{round}\"], resources: [\"topic:team-{i}-*\", \"group:team-{i}\"] }}"
        );
    }
    policy(&lines)
}

#[test]
fn a_hundred_reloads_keep_connections_sessions_and_memory() {
    needs!(Java);
    let cluster = Cluster::shared();
    let topic = cluster.topic("reload", 1);
    let kordon = Kordon::before(cluster).person("alice").policy(&thick(&topic, 0)).start();
    let consumer = Java::newest().consumer(kordon.at("alice"), &[("metadata.max.age.ms", "3600000")]);
    consumer.assign(&[(&topic, 0)]).run();
    let producer = Java::newest().producer(kordon.at("alice"), &[("metadata.max.age.ms", "3600000")]);
    assert_eq!(producer.send(&topic, &["first"]).ok, 1);
    soon("the first record", || consumer.has("first"));
    let mut writer = Writer::open(&kordon, &topic);
    writer.write();
    let opened = || kordon.metrics().sum("kordon_connections_opened_total", &[]);
    let (clients, connections) = (opened(), consumer.metric("connection-creation-total"));
    let tap = kordon.tap();
    let sessions = || -> Vec<(u64, i32)> {
        let mut all: Vec<_> =
            tap.requests(ApiKey::FETCH).iter().map(|f| (f.connection, f.request().i32(SESSION_ID))).collect();
        all.sort_unstable();
        all.dedup();
        all
    };
    let (mut early, mut late) = (0, 0);
    for round in 1..=100 {
        kordon.write_policy(&thick(&topic, round));
        if round % 10 == 0 {
            assert_eq!(writer.write(), ErrorCode::NONE);
            let text = format!("after {round}");
            assert_eq!(producer.send(&topic, &[&text]).ok, 1);
            soon("a record after reloads", || consumer.has(&text));
        }
        let memory = kordon.memory();
        if round <= 20 { early = early.max(memory) } else { late = late.max(memory) }
    }
    assert_eq!(opened(), clients, "nobody connected again");
    assert_eq!(consumer.metric("connection-creation-total"), connections);
    let seen = sessions();
    assert!(seen.len() == 1 && seen[0].1 != 0, "one connection, one session, throughout: {seen:?}");
    let refused = tap
        .frames()
        .iter()
        .filter(|f| f.way == Way::FromBroker && f.api == ApiKey::FETCH.0)
        .filter(|f| fetched(&f.answer()).error != ErrorCode::NONE)
        .count();
    assert_eq!((refused, errors(&consumer)), (0, 0));
    assert_eq!(kordon.metrics().sum("kordon_reloads_total", &[("outcome", "loaded")]), 100.0);
    let mb = |bytes: u64| bytes as f64 / 1_048_576.0;
    say(format!(
        "100 reloads of 501 rules: peak of rounds 1-20 {:.1} MB, of 21-100 {:.1} MB, at the end {:.1} MB",
        mb(early),
        mb(late),
        mb(process::resident(kordon.pid()))
    ));
    assert!(late < early + 3 * 1_048_576, "memory grows with reloads: {early} then {late}");
}

fn errors(consumer: &Consumer) -> usize {
    consumer.events(0).iter().filter(|e| e["type"] == "error").count()
}

fn refused(consumer: &Consumer, from: usize) -> bool {
    consumer.events(from).iter().any(|e: &Value| e["error"] == "TopicAuthorizationException")
}

fn now() -> Timestamp {
    Timestamp(SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_millis() as i64)
}

#[test]
fn a_grant_flips_a_running_consumer_by_the_clock_alone_without_reconnecting() {
    needs!(Java);
    let cluster = Cluster::shared();
    let topic = cluster.topic("reload", 1);
    let kordon = Kordon::before(cluster).person("alice").policy(&policy("")).start();
    let direct = Java::newest().producer(&cluster.direct(), &[]);
    let consumer = Java::newest().consumer(kordon.at("alice"), &[]);
    let producer = Java::newest().producer(kordon.at("alice"), &[("enable.idempotence", "false")]);
    consumer.assign(&[(&topic, 0)]).run();
    soon("the refusal", || refused(&consumer, 0));
    let connections =
        || (consumer.metric("connection-creation-total"), kordon.metrics().sum("kordon_connections_opened_total", &[]));
    // begins in two seconds, ends three later
    let (begin, end) = (now().plus_millis(2_000), now().plus_millis(5_000));
    let grant = format!(
        "grants:\n  - {{ id: INC-1, allow: [Read, Write], principals: [\"User:alice\"], resources: [\"topic:{topic}\"], not_before: \"{begin}\", not_after: \"{end}\", reason: test }}\n"
    );
    direct.send(&topic, &["one"]);
    kordon.write_policy(&policy(&grant));
    let revision = kordon.metrics().label("kordon_policy_info", "revision").map(str::to_owned);
    if now() < begin {
        assert!(!consumer.has("one"), "not yet");
    }
    soon("the record, when the grant begins", || consumer.has("one"));
    assert!(now() >= begin);
    let opened = connections();
    assert!(now() < end, "the machine is too slow for this test");
    assert_eq!(producer.send(&topic, &["two"]).ok, 1);
    soon("a record under the grant", || consumer.has("two"));
    let opened = (opened.0, opened.1.max(connections().1));
    soon("the end", || now() >= end);
    let from = consumer.events(0).len();
    direct.send(&topic, &["three"]);
    assert_eq!(producer.send(&topic, &["no"]).error(), Some("TopicAuthorizationException"));
    soon("the refusal, when the grant ends", || refused(&consumer, from));
    throughout("the record stays away", Duration::from_millis(700), || !consumer.has("three"));
    assert_eq!(
        kordon.metrics().label("kordon_policy_info", "revision").map(str::to_owned),
        revision,
        "by the clock alone"
    );
    // A policy that allows it brings the consumer back where it was.
    let may =
        policy(&format!("  - {{ allow: [Read], principals: [\"User:alice\"], resources: [\"topic:{topic}\"] }}\n"));
    kordon.write_policy(&may);
    soon("what was held back", || consumer.has("three"));
    assert_eq!(connections(), opened, "without reconnecting");
    let mut audit = kordon.audit();
    audit.wait("a decision under the grant", |e| e.granted() && e.reason() == "GRANT_ALLOW" && e.on(&topic));
    audit.wait("the denial after its end", |e| !e.granted() && e.reason() == "GRANT_EXPIRED" && e.on(&topic));
    audit.wait("the denial before its begin", |e| !e.granted() && e.on(&topic) && e.reason() != "GRANT_EXPIRED");
}

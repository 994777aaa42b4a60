//! Rights that end while they are used: in a group of either protocol, in a transaction, under a fetch that waits at the
//! broker. Taken by the policy file, by a deny that is made over the protocol, by the removal of the ACL that gave them.
//! No record produced afterwards arrives, asserted on offsets; the other topics of the same session keep flowing.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::fetch_sessions::{Scene, answered, asked, scene, waiting_fetch, withheld};
use crate::support::cluster::Cluster;
use crate::support::java::{Admin, Consumer, Java, Producer};
use crate::support::proxy::Kordon;
use crate::support::python::Live;
use crate::support::{needs, soon, throughout, unique};

/// How a right is taken.
#[derive(Clone, Copy, Debug, PartialEq)]
enum By {
    /// Another policy file.
    File,
    /// CreateAcls of a deny, through the proxy.
    Deny,
    /// DeleteAcls of the allow, through the proxy.
    Delete,
}

const EVERY: [By; 3] = [By::File, By::Deny, By::Delete];

/// alice may do all with `mine-*`, groups and transactional ids, and describe `ours-*`; root hands out the rest.
fn policy(more: &str) -> String {
    format!(
        "version: 1\ndefault: deny\nsuper_users: [\"User:root\"]\nacls:\n  \
         - {{ allow: [All], principals: [\"User:alice\"], resources: [\"topic:mine-*\", \"group:*\", \"transactional_id:*\"] }}\n  \
         - {{ allow: [Describe], principals: [\"User:alice\"], resources: [\"topic:ours-*\"] }}\n{more}end: true\n"
    )
}

/// A proxy, and a right of alice's that comes and goes.
struct Right {
    kordon: Kordon<'static>,
    root: Admin,
    by: By,
    given: String,
    acl: [Value; 3],
}

impl Right {
    /// The right to `operation` on `topic:ours-`, say; it is there from the start.
    fn new(by: By, kind: &str, prefix: &str, operation: &str) -> Right {
        let what = format!("{}:{prefix}*", kind.to_lowercase());
        let title: String = [&operation[..1], &operation[1..].to_lowercase()].concat();
        let given =
            policy(&format!("  - {{ allow: [{title}], principals: [\"User:alice\"], resources: [\"{what}\"] }}\n"));
        let setup = Kordon::before(Cluster::shared()).super_person("root").person("alice");
        let setup = setup.policy(&if by == By::Delete { policy("") } else { given.clone() });
        let kordon = if by == By::File { setup } else { setup.state(&unique("kordon.state")) }.start();
        let root = Java::newest().admin(kordon.at("root"));
        let right = Right { kordon, root, by, given, acl: [json!(kind), json!(prefix), json!(operation)] };
        if by == By::Delete {
            right.restore();
        }
        right
    }

    fn ask(&self, op: &str, permission: &str) {
        let [kind, prefix, operation] = &self.acl;
        let acl = json!([kind, prefix, "PREFIXED", "User:alice", "*", operation, permission]);
        let told = self.root.ask(op, json!({ "acls": [acl] })).unwrap_or_else(|e| panic!("{op}: {e}"));
        assert!(!told.to_string().contains("error"), "{op}: {told}");
    }

    /// Takes it. In force when this returns.
    fn revoke(&self) {
        match self.by {
            By::File => self.kordon.write_policy(&policy("")),
            By::Deny => self.ask("createAcls", "DENY"),
            By::Delete => self.ask("deleteAcls", "ALLOW"),
        }
    }

    /// Gives it back.
    fn restore(&self) {
        match self.by {
            By::File => self.kordon.write_policy(&self.given),
            By::Deny => self.ask("deleteAcls", "DENY"),
            By::Delete => self.ask("createAcls", "ALLOW"),
        }
    }

    fn at(&self) -> &str {
        self.kordon.at("alice")
    }
}

/// A member of a group that polls by itself.
trait Member {
    /// What it saw so far.
    fn events(&mut self) -> Vec<Value>;

    /// Offsets of the records of a topic that it was given.
    fn offsets(&mut self, topic: &str) -> Vec<i64> {
        let all = self.events();
        let of = |e: &&Value| e["type"] == "record" && e["topic"] == topic;
        all.iter().filter(of).filter_map(|e| e["offset"].as_i64()).collect()
    }

    /// Whether it was told that something is refused.
    fn refused(&mut self) -> bool {
        let refusals = ["TopicAuthorizationException", "TOPIC_AUTHORIZATION_FAILED"];
        self.events().iter().any(|e| refusals.iter().any(|r| e["error"] == *r))
    }
}

impl Member for Consumer {
    fn events(&mut self) -> Vec<Value> {
        Consumer::events(self, 0)
    }
}

struct Librdkafka {
    live: Live,
    h: Value,
}

impl Member for Librdkafka {
    fn events(&mut self) -> Vec<Value> {
        let told = self.live.ask("events", json!({ "h": self.h })).expect("events");
        told.as_array().cloned().unwrap_or_default()
    }
}

/// A fetch of half a minute.
const POLL: &str = "30000";

fn java_member(at: &str, protocol: &str, topics: &[&str]) -> Box<dyn Member> {
    let group = unique("group");
    let settings = [
        ("group.id", group.as_str()),
        ("group.protocol", protocol),
        ("fetch.max.wait.ms", POLL),
        ("request.timeout.ms", "60000"),
        ("default.api.timeout.ms", "60000"),
    ];
    let consumer = Java::newest().consumer(at, &settings);
    consumer.subscribe(topics).run();
    Box::new(consumer)
}

fn librdkafka_member(at: &str, protocol: &str, topics: &[&str]) -> Box<dyn Member> {
    let mut live = Live::start();
    let config = json!({
        "bootstrap.servers": at, "group.id": unique("group"), "group.protocol": protocol, "fetch.wait.max.ms": 30000,
        "fetch.error.backoff.ms": 100,
    });
    let h = live.ask("member", json!({ "config": config, "topics": topics })).expect("a member");
    Box::new(Librdkafka { live, h })
}

type Join = fn(&str, &str, &[&str]) -> Box<dyn Member>;

/// The fetch of a member waits at the broker; then the right ends; then the record is produced: it does not arrive, the
/// other topic flows on, and with the right the record comes.
fn revoked_under_a_member(right: &Right, scene: &Scene, join: Join, protocol: &str, what: &str) {
    let (ours, mine) = (&scene.names[0], &scene.names[1]);
    let put = |topic: &str, value: &str| {
        let sent = scene.producer.send(topic, &[value]);
        assert_eq!(sent.ok, 1, "{sent:?}");
        sent.offsets[0].1
    };
    let tap = right.kordon.tap();
    let mut member = join(right.at(), protocol, &[ours, mine]);
    let (mut last, mut put_at) = ([-1, -1], None::<Instant>);
    let waits = soon(&format!("a fetch of both topics waits where they end ({what})"), || {
        // A client that learned one topic's offset first may wait for that one alone, and for as long as a fetch may: then
        // new records make it fetch both.
        if put_at.is_none_or(|at| at.elapsed() > Duration::from_secs(3)) {
            last = [put(ours, "before"), put(mine, "before")];
            put_at = Some(Instant::now());
        }
        let read = member.offsets(ours).contains(&last[0]) && member.offsets(mine).contains(&last[1]);
        // not a fetch of the proxy's own, who reads its state, nor one that is on its way with records
        let ends = last.map(|offset| Some(offset + 1));
        waiting_fetch(&tap, |f| asked(&tap, f, scene) == ends).filter(|_| read)
    });
    right.revoke();
    assert!(!answered(&tap, &waits), "the fetch waits at the broker still ({what})");
    let secret = put(ours, "secret");
    soon("the broker's answer", || answered(&tap, &waits));
    for _ in 0..3 {
        let next = put(mine, "on");
        soon(&format!("the other topic flows on ({what})"), || member.offsets(mine).contains(&next));
    }
    soon(&format!("the refusal ({what})"), || member.refused());
    let more = put(ours, "secret too");
    throughout(&format!("nothing of the topic arrives ({what})"), Duration::from_millis(700), || {
        member.offsets(ours).iter().all(|offset| *offset < secret)
    });
    right.restore();
    soon(&format!("what was withheld ({what})"), || {
        // librdkafka fetches what it may have again only after the fetch that waits now
        put(mine, "wake");
        member.offsets(ours).contains(&more)
    });
    let mut told = member.offsets(ours);
    told.dedup();
    assert!(told.windows(2).all(|w| w[0] < w[1]), "in order, none lost: {told:?}");
    assert!(told.contains(&secret), "{told:?}");
}

fn full() -> bool {
    std::env::var("KORDON_TEST").is_ok_and(|v| v == "full")
}

fn member_loses_its_topic(by: By) {
    let scene = scene(Cluster::shared(), &["ours", "mine"]);
    let right = Right::new(by, "TOPIC", "ours-", "READ");
    let clients: [(&str, Join); 2] = [("Java", java_member), ("librdkafka", librdkafka_member)];
    for (client, join) in clients {
        for protocol in ["classic", "consumer"] {
            // one protocol for each client where what is new is only how the ACL ends
            let new = (client == "Java") == (protocol == "consumer");
            if by == By::Delete && !new && !full() {
                continue;
            }
            revoked_under_a_member(&right, &scene, join, protocol, &format!("{client}, {protocol}, {by:?}"));
        }
    }
}

#[test]
fn a_member_of_a_group_loses_a_topic_by_another_policy_file_and_keeps_the_other() {
    needs!(Java, Python);
    member_loses_its_topic(By::File);
}

#[test]
fn a_member_of_a_group_loses_a_topic_by_a_deny_made_over_the_protocol_and_keeps_the_other() {
    needs!(Java, Python);
    member_loses_its_topic(By::Deny);
}

#[test]
fn a_member_of_a_group_loses_a_topic_by_the_removal_of_an_acl_and_keeps_the_other() {
    needs!(Java, Python);
    member_loses_its_topic(By::Delete);
}

#[test]
fn a_record_produced_after_an_acl_took_the_right_does_not_arrive_in_a_waiting_fetch() {
    needs!(Java);
    let scene = scene(Cluster::shared(), &["ours", "mine"]);
    for by in [By::Deny, By::Delete] {
        let right = Right::new(by, "TOPIC", "ours-", "READ");
        for (i, (version, session)) in [(6, false), (12, true), (17, true), (17, false)].into_iter().enumerate() {
            if i > 0 {
                right.restore();
            }
            withheld(&right.kordon, &scene, version, session, || right.revoke());
        }
    }
}

/// Where partition 0 of a topic ends.
fn end_of(topic: &str) -> i64 {
    let admin = Cluster::shared().admin();
    let told = admin.ask("listOffsets", json!({ "partitions": [[topic, 0]] })).expect("offsets");
    told[format!("{topic}-0")]["ok"].as_i64().expect("an offset")
}

/// What a reader of committed records is given of a topic that ends at `end`.
fn committed(topic: &str, end: i64) -> Vec<String> {
    let reader = Java::newest().consumer(&Cluster::shared().direct(), &[("isolation.level", "read_committed")]);
    reader.assign(&[(topic, 0)]);
    let mut values = Vec::new();
    soon(&format!("the end of `{topic}`"), || {
        let records = reader.poll(1, Duration::from_millis(200)).expect("a poll");
        values.extend(records.iter().filter_map(|r| r["value"].as_str().map(str::to_owned)));
        let at = reader.ask("position", json!({ "partitions": [[topic, 0]] })).expect("a position");
        at[format!("{topic}-0")].as_i64() >= Some(end)
    });
    values
}

/// A transactional producer of some client; failures by the names that client has for them.
trait Transactional {
    fn begin(&mut self);
    fn send(&mut self, topic: &str, value: &str) -> Result<i64, String>;
    fn offsets(&mut self, group: &str, topic: &str) -> Result<(), String>;
    fn commit(&mut self) -> Result<(), String>;
    fn abort(&mut self) -> Result<(), String>;
}

struct JavaProducer {
    at: String,
    producer: Producer,
}

impl Transactional for JavaProducer {
    fn begin(&mut self) {
        self.producer.begin().expect("a transaction");
    }
    fn send(&mut self, topic: &str, value: &str) -> Result<i64, String> {
        let sent = self.producer.send(topic, &[value]);
        sent.offsets.first().map(|o| o.1).ok_or_else(|| sent.error().unwrap_or_default().to_owned())
    }
    fn offsets(&mut self, group: &str, topic: &str) -> Result<(), String> {
        let reader = Java::newest().consumer(&self.at, &[("group.id", group)]);
        self.producer.send_offset(&reader, topic, 0, 1).map_err(|e| e.class)
    }
    fn commit(&mut self) -> Result<(), String> {
        self.producer.commit().map_err(|e| e.class)
    }
    fn abort(&mut self) -> Result<(), String> {
        self.producer.abort().map_err(|e| e.class)
    }
}

struct LibrdkafkaProducer {
    at: String,
    live: Live,
    h: Value,
}

impl LibrdkafkaProducer {
    fn ask(&mut self, op: &str, mut args: Value) -> Result<Value, String> {
        args["h"] = self.h.clone();
        self.live.ask(op, args).map_err(|e| e.class)
    }
}

impl Transactional for LibrdkafkaProducer {
    fn begin(&mut self) {
        self.ask("begin", json!({})).expect("a transaction");
    }
    fn send(&mut self, topic: &str, value: &str) -> Result<i64, String> {
        self.ask("send", json!({ "topic": topic, "value": value })).map(|v| v.as_i64().unwrap_or(-1))
    }
    fn offsets(&mut self, group: &str, topic: &str) -> Result<(), String> {
        let config = json!({ "bootstrap.servers": self.at });
        self.ask("offsets", json!({ "config": config, "group": group, "topic": topic, "offset": 1 })).map(drop)
    }
    fn commit(&mut self) -> Result<(), String> {
        self.ask("commit", json!({})).map(drop)
    }
    fn abort(&mut self) -> Result<(), String> {
        self.ask("abort", json!({})).map(drop)
    }
}

fn java_producer(at: &str) -> Box<dyn Transactional> {
    let producer = Java::newest().producer(at, &[("transactional.id", &unique("tx"))]);
    producer.init().expect("a producer id");
    Box::new(JavaProducer { at: at.to_owned(), producer })
}

fn librdkafka_producer(at: &str) -> Box<dyn Transactional> {
    let mut live = Live::start();
    let config = json!({ "bootstrap.servers": at, "transactional.id": unique("tx") });
    let h = live.ask("producer", json!({ "config": config })).expect("a producer");
    live.ask("init", json!({ "h": h })).expect("a producer id");
    Box::new(LibrdkafkaProducer { at: at.to_owned(), live, h })
}

type Open = fn(&str) -> Box<dyn Transactional>;

const PRODUCERS: [(&str, Open); 2] = [("Java", java_producer), ("librdkafka", librdkafka_producer)];

#[test]
fn a_topic_revoked_in_a_transaction_takes_no_more_and_nothing_of_it_is_committed() {
    needs!(Java, Python);
    let cluster = Cluster::shared();
    for by in EVERY {
        let right = Right::new(by, "TOPIC", "ours-", "WRITE");
        for (client, open) in PRODUCERS {
            let (ours, mine) = (unique("ours"), unique("mine"));
            cluster.create_topics(&[&ours, &mine], 1, &[]);
            let mut producer = open(right.at());
            producer.begin();
            assert_eq!(producer.send(&mine, "lost"), Ok(0), "{client}, {by:?}");
            assert_eq!(producer.send(&ours, "lost"), Ok(0), "{client}, {by:?}");
            right.revoke();
            let refused = producer.send(&ours, "refused").expect_err("the right has ended");
            assert!(REFUSED_TOPIC.contains(&refused.as_str()), "{client}, {by:?}: {refused}");
            assert_ne!(producer.commit(), Ok(()), "{client}, {by:?}");
            assert_eq!(producer.abort(), Ok(()), "{client}, {by:?}");
            // one record and the marker of its end: what was refused is not in the log
            soon("the marker", || end_of(&ours) == 2 && end_of(&mine) == 2);
            assert_eq!((committed(&ours, 2), committed(&mine, 2)), (vec![], vec![]), "{client}, {by:?}");
            // the producer goes on with what it may do
            producer.begin();
            assert_eq!(producer.send(&mine, "kept"), Ok(2), "{client}, {by:?}");
            assert_eq!(producer.commit(), Ok(()), "{client}, {by:?}");
            soon("the marker", || end_of(&mine) == 4);
            assert_eq!((committed(&ours, 2), committed(&mine, 4)), (vec![], vec!["kept".to_owned()]), "{client}");
            right.restore();
        }
    }
}

const REFUSED_TOPIC: [&str; 2] = ["TopicAuthorizationException", "TOPIC_AUTHORIZATION_FAILED"];
const REFUSED_GROUP: [&str; 2] = ["GroupAuthorizationException", "GROUP_AUTHORIZATION_FAILED"];
const REFUSED_ID: [&str; 2] = ["TransactionalIdAuthorizationException", "TRANSACTIONAL_ID_AUTHORIZATION_FAILED"];

#[test]
fn a_group_or_a_transactional_id_revoked_in_a_transaction_commits_nothing() {
    needs!(Java, Python);
    let cluster = Cluster::shared();
    let offset = |group: &str| {
        let told = cluster.admin().ask("groupOffsets", json!({ "group": group })).expect("offsets");
        told.as_object().is_some_and(|all| all.values().any(Value::is_number))
    };
    let groups = Right::new(By::Deny, "GROUP", "group-", "READ");
    let ids = Right::new(By::Deny, "TRANSACTIONAL_ID", "tx-", "WRITE");
    for (client, open) in PRODUCERS {
        let (mine, group) = (unique("mine"), unique("group-g"));
        cluster.create_topics(&[&mine], 1, &[]);
        let mut producer = open(groups.at());
        producer.begin();
        assert_eq!(producer.send(&mine, "lost"), Ok(0), "{client}");
        assert_eq!(producer.offsets(&group, &mine), Ok(()), "{client}");
        groups.revoke();
        let refused = producer.offsets(&group, &mine).expect_err("the right has ended");
        assert!(REFUSED_GROUP.contains(&refused.as_str()), "{client}: {refused}");
        assert_eq!(producer.abort(), Ok(()), "{client}");
        soon("the marker", || end_of(&mine) == 2);
        assert_eq!((committed(&mine, 2), offset(&group)), (vec![], false), "{client}");
        groups.restore();

        // Without its transactional id a producer can end nothing: who may use the id again aborts what is left.
        let mine = unique("mine");
        cluster.create_topics(&[&mine], 1, &[]);
        let mut producer = open(ids.at());
        producer.begin();
        assert_eq!(producer.send(&mine, "lost"), Ok(0), "{client}");
        ids.revoke();
        let refused = producer.send(&mine, "refused").expect_err("the right has ended");
        assert!(REFUSED_ID.contains(&refused.as_str()), "{client}: {refused}");
        assert_ne!(producer.commit(), Ok(()), "{client}");
        assert_eq!(end_of(&mine), 1, "{client}: the refused record is not in the log");
        ids.restore();
        assert_eq!(committed(&mine, 0), Vec::<String>::new(), "{client}");
    }
}

#[test]
fn a_group_revoked_under_its_member_takes_no_offsets_any_more() {
    needs!(Java);
    let cluster = Cluster::shared();
    let right = Right::new(By::Deny, "GROUP", "group-", "READ");
    let topic = cluster.topic("mine", 1);
    let producer = Java::newest().producer(&cluster.direct(), &[]);
    for protocol in ["classic", "consumer"] {
        let group = unique("group-m");
        let settings = [("group.id", group.as_str()), ("group.protocol", protocol), ("auto.offset.reset", "latest")];
        let member = Java::newest().consumer(right.at(), &settings);
        member.subscribe(&[&topic]);
        let offset = || {
            let told = cluster.admin().ask("groupOffsets", json!({ "group": group })).expect("offsets");
            told[format!("{topic}-0")].as_i64()
        };
        // at the end of the topic before the record is there
        soon("an assignment", || {
            member.poll(1, Duration::from_millis(100)).expect("a poll");
            let held = member.ask("assignment", json!({})).expect("an assignment");
            held.as_array().is_some_and(|all| !all.is_empty())
        });
        member.ask("position", json!({ "partitions": [[topic, 0]] })).expect("a position");
        let first = producer.send(&topic, &["first"]).offsets[0].1;
        assert_eq!(member.values(1), ["first"]);
        member.commit().expect("a commit");
        assert_eq!(offset(), Some(first + 1), "{protocol}");
        producer.send(&topic, &["second"]);
        assert_eq!(member.values(1), ["second"]);
        right.revoke();
        let refused = member.commit().expect_err("the right has ended");
        assert_eq!(refused.class, "GroupAuthorizationException", "{protocol}: {refused}");
        if protocol == "consumer" {
            // the classic client keeps to itself that heartbeats are refused
            let told = soon("the heartbeat is refused", || member.poll(1, Duration::from_millis(200)).err());
            assert_eq!(told.class, "GroupAuthorizationException", "{told}");
        }
        assert_eq!(offset(), Some(first + 1), "{protocol}");
        right.restore();
        let next = Java::newest().consumer(right.at(), &settings);
        assert_eq!(next.assign(&[(&topic, 0)]).values(1), ["second"], "{protocol}: from what was committed");
    }
}

//! Share groups through the proxy: stock members, the tools, and sessions that belong to their connection and end with the
//! right, also while a fetch waits at the broker.

use std::time::Duration;

use kordon::model::TopicId;
use kordon::wire::schema::share_fetch::request::{self as req, fetch_partition, fetch_topic};
use kordon::wire::schema::share_fetch::response::{
    self as res, acquired_records, partition_data, share_fetchable_topic_response as told,
};
use kordon::wire::{ApiKey, ErrorCode, Node};
use serde_json::json;

use crate::support::cluster::Cluster;
use crate::support::gate::Way;
use crate::support::java::Java;
use crate::support::proxy::Kordon;
use crate::support::raw::Raw;
use crate::support::tools::{at, console};
use crate::support::{needs, soon, unique};

const KEY: ApiKey = ApiKey::SHARE_FETCH;

/// Everybody may read topics and groups that begin with these words.
fn reading(words: &[&str]) -> String {
    let rule = |word: &&str| {
        format!(
            "  - {{ allow: [Read], principals: [\"User:*\"], resources: [\"topic:{word}*\", \"group:{word}*\"] }}\n"
        )
    };
    let rules: Vec<String> = words.iter().map(rule).collect();
    format!("version: 1\ndefault: deny\nacls:\n{}end: true\n", rules.concat())
}

/// A share group that begins with the first record.
fn group(cluster: &Cluster, word: &str) -> String {
    let group = unique(word);
    let set = json!({ "resource": ["GROUP", group], "set": { "share.auto.offset.reset": "earliest" } });
    cluster.admin().ask("alterConfigs", set).expect("a setting of the group");
    group
}

#[test]
fn a_stock_share_group_shares_what_it_may_read_and_nothing_else() {
    needs!(Java);
    let cluster = Cluster::shared();
    let secret = cluster.topic("secret", 1);
    let producer = Java::newest().producer(&cluster.direct(), &[]);
    let kordon = Kordon::before(cluster).person("alice").policy(&reading(&["mine-"])).start();
    let at = kordon.at("alice");
    let mut mine = String::new();
    for java in [Java::newest(), Java::same()] {
        mine = unique("mine");
        cluster.create_topic(&mine, 1, &[]);
        assert_eq!(producer.send(&mine, &["one", "two"]).ok, 2);
        let id = group(cluster, "mine");
        let member = java.share(at, &[("group.id", &id), ("share.acknowledgement.mode", "explicit")]);
        member.subscribe(&[&mine]);
        let records = member.poll_with(json!({ "count": 2, "acknowledge": "ACCEPT" })).expect("records");
        assert_eq!(records.iter().map(|r| r["value"].as_str().unwrap()).collect::<Vec<_>>(), ["one", "two"]);
        assert_eq!(member.commit().expect("a commit"), json!({ mine.clone(): "" }));
        drop(member);
        let next = java.share(at, &[("group.id", &id)]);
        assert_eq!(producer.send(&mine, &["three"]).ok, 1);
        assert_eq!(next.subscribe(&[&mine]).values(1), ["three"], "what was accepted does not come again");
    }
    let denied = Java::newest().share(at, &[("group.id", &unique("mine"))]);
    let error = denied.subscribe(&[&secret]).poll(1, Duration::from_secs(20)).expect_err("it may not be described");
    assert_eq!(error.class, "TopicAuthorizationException", "{error}");
    let denied = Java::newest().share(at, &[("group.id", &unique("other"))]);
    let error = denied.subscribe(&[&mine]).poll(1, Duration::from_secs(20)).expect_err("not this group");
    assert_eq!(error.class, "GroupAuthorizationException", "{error}");
}

#[test]
fn the_tools_of_share_groups_work_and_show_what_may_be_described() {
    needs!(Java);
    let cluster = Cluster::shared();
    let (mine, secret) = (unique("mine"), unique("secret"));
    cluster.create_topics(&[&mine, &secret], 1, &[]);
    Java::newest().producer(&cluster.direct(), &[]).send(&mine, &["one", "two"]);
    let policy = "version: 1\ndefault: deny\nacls:\n  - { allow: [Read, Delete], principals: [\"User:*\"], resources: [\"topic:mine-*\", \"group:mine-*\"] }\nend: true\n";
    let kordon = Kordon::before(cluster).person("alice").policy(policy).start();
    let (us, id) = (kordon.at("alice"), group(cluster, "mine"));
    let out = console(
        "kafka-console-share-consumer",
        &["--bootstrap-server", us, "--topic", &mine, "--group", &id, "--max-messages", "2"],
    );
    assert_eq!(out.ok().lines().collect::<Vec<_>>(), ["one", "two"]);
    let tool = "kafka-share-groups";
    let shown = at(tool, us, &["--describe", "--group", &id]).ok();
    assert!(shown.contains(&mine), "{shown}");
    let reset = ["--reset-offsets", "--group", &id, "--topic", &mine, "--to-earliest", "--execute"];
    let out = at(tool, us, &reset).ok();
    assert!(out.contains(&mine), "{out}");
    let again = Java::newest().share(us, &[("group.id", &id)]);
    assert_eq!(again.subscribe(&[&mine]).values(2), ["one", "two"], "from the beginning");
    drop(again);
    let delete = ["--delete-offsets", "--group", &id, "--topic", &mine];
    soon("the offsets are deleted", || at(tool, us, &delete).says("Successful"));
    let denied = at(tool, us, &["--describe", "--group", "other"]);
    assert!(denied.says("Group authorization failed") || denied.says("GroupAuthorizationException"), "{denied:?}");
}

/// Sees to it that the coordinator knows that the group reads these topics: a member came, took their first record, left.
fn taken_up(cluster: &Cluster, group: &str, topics: &[&str]) {
    let producer = Java::newest().producer(&cluster.direct(), &[]);
    for topic in topics {
        assert_eq!(producer.send(topic, &["zero"]).ok, 1);
    }
    let member = Java::newest().share(&cluster.direct(), &[("group.id", group)]);
    assert_eq!(member.subscribe(topics).values(topics.len()), vec!["zero"; topics.len()]);
    member.commit().expect("a commit");
}

/// A topic of one partition with its id and leader.
fn topic(cluster: &Cluster, word: &str, leader: Option<i32>) -> (String, TopicId, i32) {
    let mut direct = Raw::connect(&cluster.direct());
    loop {
        let name = unique(word);
        cluster.create_topic(&name, 1, &[]);
        let (id, led) = direct.topic(&name, 0);
        if leader.is_none_or(|leader| leader == led) {
            return (name, id, led);
        }
    }
}

fn request(group: &str, member: &str, epoch: i32, topics: &[TopicId], wait: Duration) -> Node {
    let mut request = Node::request(KEY)
        .with(req::GROUP_ID, group)
        .with(req::MEMBER_ID, member)
        .with(req::SHARE_SESSION_EPOCH, epoch)
        .with(req::MAX_WAIT_MS, wait.as_millis() as i32)
        .with(req::MIN_BYTES, 1)
        .with(req::MAX_BYTES, i32::MAX)
        .with(req::MAX_RECORDS, 500)
        .with(req::BATCH_SIZE, 500);
    for id in topics {
        let mut topic = request.child(req::TOPICS).with(fetch_topic::TOPIC_ID, *id);
        let partition = topic.child(fetch_topic::PARTITIONS).with(fetch_partition::PARTITION_INDEX, 0);
        topic.push(fetch_topic::PARTITIONS, partition);
        request.push(req::TOPICS, topic);
    }
    request
}

/// First and last offset, delivery count.
type Acquired = (i64, i64, i16);

/// The error of the answer; topic, error and what was acquired of its partitions.
#[derive(Debug, PartialEq)]
struct Shared {
    error: ErrorCode,
    topics: Vec<(TopicId, ErrorCode, Vec<Acquired>)>,
}

fn shared(answer: &Node) -> Shared {
    let mut topics = Vec::new();
    for topic in answer.nodes(res::RESPONSES) {
        for p in topic.nodes(told::PARTITIONS) {
            let acquired = p.nodes(partition_data::ACQUIRED_RECORDS).iter().map(|a| {
                let offsets = (a.int(acquired_records::FIRST_OFFSET), a.int(acquired_records::LAST_OFFSET));
                (offsets.0, offsets.1, a.i16(acquired_records::DELIVERY_COUNT))
            });
            topics.push((topic.uuid(told::TOPIC_ID), ErrorCode(p.i16(partition_data::ERROR_CODE)), acquired.collect()));
        }
    }
    Shared { error: ErrorCode(answer.i16(res::ERROR_CODE)), topics }
}

const SHORT: Duration = Duration::from_millis(200);
const LONG: Duration = Duration::from_secs(25);

#[test]
fn threat_01_a_share_session_is_known_only_to_the_connection_that_opened_it() {
    needs!(Java);
    let cluster = Cluster::shared();
    let (_, id, leader) = topic(cluster, "mine", None);
    let kordon = Kordon::before(cluster).person("alice").person("bob").policy(&reading(&["mine-"])).start();
    let (group, member) = (unique("mine"), "AAAAAAAAAAAAAAAAAAAAAQ");
    let mut alice = Raw::connect(&kordon.broker("alice", leader));
    let opened = shared(&alice.ask(KEY, 2, &request(&group, member, 0, &[id], SHORT)));
    assert_eq!(opened.error, ErrorCode::NONE, "{opened:?}");
    let tap = kordon.tap();
    for who in ["alice", "bob"] {
        let mut other = Raw::connect(&kordon.broker(who, leader));
        for epoch in [1, 2, -1] {
            let told = shared(&other.ask(KEY, 2, &request(&group, member, epoch, &[], SHORT)));
            assert_eq!(told, Shared { error: ErrorCode::SHARE_SESSION_NOT_FOUND, topics: vec![] }, "{who}, {epoch}");
        }
    }
    assert!(tap.requests(KEY).is_empty(), "none of it reached a broker");
    let told = shared(&alice.ask(KEY, 2, &request(&group, member, 1, &[], SHORT)));
    assert_eq!(told.error, ErrorCode::NONE, "hers goes on");
}

#[test]
fn a_right_that_ends_takes_its_topic_out_of_a_share_session_and_the_others_go_on() {
    needs!(Java);
    let cluster = Cluster::shared();
    let (mine, mine_id, leader) = topic(cluster, "mine", None);
    let (ours, ours_id, _) = topic(cluster, "ours", Some(leader));
    let kordon = Kordon::before(cluster).person("alice").policy(&reading(&["mine-", "ours-"])).start();
    let producer = Java::newest().producer(&cluster.direct(), &[]);
    let (group, member) = (group(cluster, "mine"), "AAAAAAAAAAAAAAAAAAAAAQ");
    taken_up(cluster, &group, &[&mine, &ours]);
    let mut raw = Raw::connect(&kordon.broker("alice", leader));
    let mut epoch = 0;
    let mut next = |raw: &mut Raw, topics: &[TopicId]| {
        let told = shared(&raw.ask(KEY, 2, &request(&group, member, epoch, topics, SHORT)));
        assert_eq!(told.error, ErrorCode::NONE, "{told:?}");
        epoch += 1;
        told.topics
    };
    let mut seen = next(&mut raw, &[mine_id, ours_id]);
    producer.send(&mine, &["one"]);
    producer.send(&ours, &["one"]);
    // The first acquisition of a partition may take more than one fetch.
    soon("both records", || {
        seen.extend(next(&mut raw, &[]));
        [mine_id, ours_id].iter().all(|id| seen.iter().any(|t| t.0 == *id && t.2 == [(1, 1, 1)]))
    });
    kordon.write_policy(&reading(&["mine-"]));
    producer.send(&ours, &["no"]);
    producer.send(&mine, &["yes"]);
    let mut seen = Vec::new();
    soon("the record that may be read", || {
        seen.extend(next(&mut raw, &[]));
        seen.iter().any(|t| t.0 == mine_id && t.2 == [(2, 2, 1)])
    });
    let of_ours: Vec<_> = seen.iter().filter(|t| t.0 == ours_id).collect();
    assert!(!of_ours.is_empty());
    for told in of_ours {
        assert_eq!((told.1, &told.2), (ErrorCode::TOPIC_AUTHORIZATION_FAILED, &vec![]), "offset 2 must not arrive");
    }
    kordon.write_policy(&reading(&["mine-", "ours-"]));
    let mut seen = Vec::new();
    soon("it comes back with its right", || {
        seen.extend(next(&mut raw, &[]));
        seen.iter().any(|t| t.0 == ours_id && t.2 == [(2, 2, 1)])
    });
}

#[test]
fn threat_35_a_topic_that_lost_its_right_while_a_share_fetch_waited_is_withheld_and_its_records_given_back() {
    needs!(Java);
    let cluster = Cluster::shared();
    let (mine, mine_id, leader) = topic(cluster, "mine", None);
    let (ours, ours_id, _) = topic(cluster, "ours", Some(leader));
    let kordon = Kordon::before(cluster).person("alice").policy(&reading(&["mine-", "ours-"])).start();
    let (group, member) = (group(cluster, "mine"), "AAAAAAAAAAAAAAAAAAAAAQ");
    taken_up(cluster, &group, &[&mine, &ours]);
    let producer = Java::newest().producer(&cluster.direct(), &[]);
    let mut raw = Raw::connect(&kordon.broker("alice", leader));
    raw.patience(LONG);
    let opened = shared(&raw.ask(KEY, 2, &request(&group, member, 0, &[mine_id, ours_id], SHORT)));
    assert_eq!(opened.error, ErrorCode::NONE, "{opened:?}");
    let tap = kordon.tap();
    raw.send(KEY, 2, &request(&group, member, 1, &[], LONG));
    tap.wait("the fetch leaves for the broker", |f| f.way == Way::ToBroker && f.api == KEY.0);
    kordon.write_policy(&reading(&["mine-"]));
    assert_eq!(producer.send(&ours, &["secret"]).ok, 1);
    let refused = (ours_id, ErrorCode::TOPIC_AUTHORIZATION_FAILED, vec![]);
    let told = shared(&raw.receive());
    assert_eq!(told, Shared { error: ErrorCode::NONE, topics: vec![refused.clone()] });
    let of_broker = tap.answers(KEY);
    let acquired = of_broker.iter().any(|f| shared(&f.answer()).topics.iter().any(|t| t.2 == [(1, 1, 1)]));
    assert!(acquired, "the broker had acquired the record for the member");
    // The same session goes on with what may be read, and what was acquired of the other goes back with its next fetch:
    // another member gets it then, not when the lock of the first runs out, its delivery count raised.
    assert_eq!(producer.send(&mine, &["open"]).ok, 1);
    let mut epoch = 1;
    soon("the record that may be read", || {
        epoch += 1;
        let told = shared(&raw.ask(KEY, 2, &request(&group, member, epoch, &[], SHORT)));
        assert_eq!(told.error, ErrorCode::NONE);
        assert_eq!(told.topics.iter().filter(|t| t.0 == ours_id).collect::<Vec<_>>(), [&refused]);
        told.topics.iter().any(|t| t.0 == mine_id && t.2 == [(1, 1, 1)])
    });
    let mut other = Raw::connect(&format!("127.0.0.1:{}", cluster.node(leader).direct));
    let (mut epoch, begin) = (0, std::time::Instant::now());
    soon("the record for another member", || {
        let topics: &[TopicId] = if epoch == 0 { &[ours_id] } else { &[] };
        let told = shared(&other.ask(KEY, 2, &request(&group, "AAAAAAAAAAAAAAAAAAAAAg", epoch, topics, SHORT)));
        epoch += 1;
        told.topics.iter().any(|t| t.2 == [(1, 1, 2)])
    });
    assert!(begin.elapsed() < Duration::from_secs(20), "the lock is 30 s");
}

#[test]
fn threat_35_a_share_fetch_whose_group_lost_its_right_while_it_waited_is_withheld_and_its_records_released() {
    needs!(Java);
    let cluster = Cluster::shared();
    let (mine, id, leader) = topic(cluster, "mine", None);
    let kordon = Kordon::before(cluster).person("alice").policy(&reading(&["mine-"])).start();
    let (group, member) = (group(cluster, "mine"), "AAAAAAAAAAAAAAAAAAAAAQ");
    taken_up(cluster, &group, &[&mine]);
    let producer = Java::newest().producer(&cluster.direct(), &[]);
    let mut raw = Raw::connect(&kordon.broker("alice", leader));
    raw.patience(LONG);
    let opened = shared(&raw.ask(KEY, 2, &request(&group, member, 0, &[id], SHORT)));
    assert_eq!(opened.error, ErrorCode::NONE, "{opened:?}");
    let tap = kordon.tap();
    raw.send(KEY, 2, &request(&group, member, 1, &[], LONG));
    tap.wait("the fetch leaves for the broker", |f| f.way == Way::ToBroker && f.api == KEY.0);
    let topic_alone = "version: 1\ndefault: deny\nacls:\n  - { allow: [Read], principals: [\"User:*\"], resources: [\"topic:mine-*\"] }\nend: true\n";
    kordon.write_policy(topic_alone);
    assert_eq!(producer.send(&mine, &["secret"]).ok, 1);
    let told = shared(&raw.receive());
    assert_eq!(told, Shared { error: ErrorCode::GROUP_AUTHORIZATION_FAILED, topics: vec![] });
    // The session is closed at the broker: another member gets the record at once.
    let mut other = Raw::connect(&format!("127.0.0.1:{}", cluster.node(leader).direct));
    let (mut epoch, begin) = (0, std::time::Instant::now());
    soon("the record for another member", || {
        let topics: &[TopicId] = if epoch == 0 { &[id] } else { &[] };
        let told = shared(&other.ask(KEY, 2, &request(&group, "AAAAAAAAAAAAAAAAAAAAAg", epoch, topics, SHORT)));
        epoch += 1;
        told.topics.iter().any(|t| t.2 == [(1, 1, 2)])
    });
    assert!(begin.elapsed() < Duration::from_secs(20), "the lock is 30 s");
}

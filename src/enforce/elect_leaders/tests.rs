use super::*;
use crate::enforce::testing::{AUDIT, Bench, STATE, answer, finished, forwarded, rewritten};
use crate::wire::Value;
use crate::wire::schema::metadata::request as metadata_req;

const METADATA: (ApiKey, i16) = (ApiKey::METADATA, 12);
const KEY: ApiKey = ApiKey::ELECT_LEADERS;
const ELECTOR: &str = r#"{ allow: [LeadersElect], principals: ["User:alice"], resources: ["cluster"] }"#;

fn named(topics: &[&str]) -> Node {
    let of = |name: &&str| Node::new(&topic::THIS).with(topic::TOPIC, *name).with(topic::PARTITIONS, vec![0, 1]);
    Node::request(KEY).with(req::TOPIC_PARTITIONS, topics.iter().map(of).collect::<Vec<_>>())
}

fn told(rows: &[(&str, &[i64])]) -> Node {
    let of = |(name, errors): &(&str, &[i64])| {
        let rows: Vec<Node> = (0..)
            .zip(*errors)
            .map(|(id, error)| {
                Node::new(&partition_result::THIS)
                    .with(partition_result::PARTITION_ID, id)
                    .with(partition_result::ERROR_CODE, *error)
            })
            .collect();
        Node::new(&result::THIS).with(result::TOPIC, *name).with(result::PARTITION_RESULT, rows)
    };
    Node::response(KEY).with(res::REPLICA_ELECTION_RESULTS, rows.iter().map(of).collect::<Vec<_>>())
}

/// Topic, partition, error.
fn results(answer: &Node) -> Vec<(String, i64, i64)> {
    let mut all = Vec::new();
    for topic in answer.nodes(res::REPLICA_ELECTION_RESULTS) {
        for row in topic.nodes(result::PARTITION_RESULT) {
            let (id, error) = (row.int(partition_result::PARTITION_ID), row.int(partition_result::ERROR_CODE));
            all.push((topic.str(result::TOPIC).to_owned(), id, error));
        }
    }
    all
}

#[test]
fn whoever_may_elect_leaders_elects_them() {
    for version in 0..=2 {
        let mut bench = Bench::acls(&[ELECTOR]);
        forwarded(bench.judge(&ElectLeaders, KEY, version, &named(&["orders"])));
        assert_eq!(bench.decided(), ["Alter cluster:kafka-cluster allowed"]);
        let arguments = bench.trail.arguments.unwrap();
        assert_eq!(arguments, r#"{"electionType":"preferred","topics":[{"name":"orders","partitions":[0,1]}]}"#);
    }
}

#[test]
fn threat_04_no_leader_of_the_proxys_own_topics_is_elected_by_name() {
    let mut bench = Bench::acls(&[]).user("root");
    let (sent, then) = rewritten(bench.judge(&ElectLeaders, KEY, 2, &named(&[AUDIT, "orders"])));
    assert_eq!(sent, named(&["orders"]));
    let all = finished(bench.complete(then, KEY, 2, &told(&[("orders", &[0])])), KEY, 2);
    let of = |name: &str, id: i64, error: i64| (name.to_owned(), id, error);
    assert_eq!(results(&all), [of("orders", 0, 0), of(AUDIT, 0, 29), of(AUDIT, 1, 29)]);
    let whole = answer(bench.judge(&ElectLeaders, KEY, 2, &named(&[STATE])), KEY, 2);
    assert_eq!(results(&whole), [of(STATE, 0, 29), of(STATE, 1, 29)]);
}

#[test]
fn threat_04_all_partitions_are_all_but_those_of_the_proxys_own_topics() {
    for version in 0..=2 {
        let mut bench = Bench::acls(&[ELECTOR]);
        let all = Node::request(KEY).with(req::TOPIC_PARTITIONS, Value::Null).with(req::TIMEOUT_MS, 77);
        let verdict = bench.judge(&ElectLeaders, KEY, version, &all);
        let Verdict::Ask { key, version: asked, body, then: Then::Alone(then), .. } = verdict else {
            panic!("no question")
        };
        assert_eq!((key, asked), METADATA);
        assert!(body.is_null(metadata_req::TOPICS) && !body.bool(metadata_req::ALLOW_AUTO_TOPIC_CREATION));
        let topics = ["orders", AUDIT, STATE].map(|name| {
            let partitions =
                [0, 1].map(|id| Node::new(&known_partition::THIS).with(known_partition::PARTITION_INDEX, id));
            Node::new(&known_topic::THIS)
                .with(known_topic::NAME, name)
                .with(known_topic::PARTITIONS, partitions.to_vec())
        });
        let known = Node::response(ApiKey::METADATA).with(metadata::TOPICS, topics.to_vec());
        let next = bench.complete_for(KEY, then, METADATA, &known);
        let Completed::Ask { key, version: second, body, then, .. } = next else { panic!("no election") };
        assert_eq!((key, second), (KEY, version));
        assert_eq!(body, named(&["orders"]).with(req::TIMEOUT_MS, 77));
        // 84: ELECTION_NOT_NEEDED.
        let answered = told(&[("orders", &[84, 80]), ("pay", &[84])]);
        let shown = finished(bench.complete_with(then, KEY, version, &answered), KEY, version);
        assert_eq!(results(&shown), [("orders".to_owned(), 1, 80)]);
        assert_eq!(shown.nodes(res::REPLICA_ELECTION_RESULTS).len(), 2, "a topic without results is told all the same");
    }
}

#[test]
fn an_election_of_an_unknown_kind_fails_without_a_partition_where_all_are_meant() {
    let all = Node::request(KEY).with(req::TOPIC_PARTITIONS, Value::Null).with(req::ELECTION_TYPE, 7i8);
    let told = answer(Bench::acls(&[ELECTOR]).judge(&ElectLeaders, KEY, 2, &all), KEY, 2);
    assert_eq!(told, Node::response(KEY).with(res::ERROR_CODE, 42i16));
}

#[test]
fn where_there_is_nothing_but_the_proxys_own_topics_nothing_is_elected() {
    let mut bench = Bench::acls(&[]).user("root");
    let all = Node::request(KEY).with(req::TOPIC_PARTITIONS, Value::Null);
    let Verdict::Ask { then: Then::Alone(then), .. } = bench.judge(&ElectLeaders, KEY, 2, &all) else {
        panic!("no question")
    };
    let known = Node::response(ApiKey::METADATA);
    let shown = finished(bench.complete_for(KEY, then, METADATA, &known), KEY, 2);
    assert!(results(&shown).is_empty());
}

#[test]
fn nothing_is_elected_once_the_right_ended_while_the_partitions_were_asked_for() {
    let mut bench = Bench::acls(&[ELECTOR]);
    let all = Node::request(KEY).with(req::TOPIC_PARTITIONS, Value::Null);
    let Verdict::Ask { then: Then::Alone(then), .. } = bench.judge(&ElectLeaders, KEY, 2, &all) else {
        panic!("no question")
    };
    let rows = vec![Node::new(&known_partition::THIS)];
    let orders = Node::new(&known_topic::THIS).with(known_topic::NAME, "orders").with(known_topic::PARTITIONS, rows);
    let known = Node::response(ApiKey::METADATA).with(metadata::TOPICS, vec![orders]);
    let mut bench = bench.now_with(&[]);
    let told = finished(bench.complete_for(KEY, then, METADATA, &known), KEY, 2);
    assert_eq!((told.i16(res::ERROR_CODE), results(&told).len()), (31, 0));
    assert_eq!(bench.decided(), ["Alter cluster:kafka-cluster allowed", "Alter cluster:kafka-cluster denied"]);
}

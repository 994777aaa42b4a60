use super::*;
use crate::enforce::testing::{AUDIT, Bench, STATE, answer, finished, forwarded, rewritten};

const KEY: ApiKey = ApiKey::LIST_OFFSETS;
const DESCRIBE_A: &str = r#"{ allow: [Describe], principals: ["User:alice"], resources: ["topic:a*"] }"#;

fn request(topics: &[&str]) -> Node {
    let mut request = Node::request(KEY).with(req::REPLICA_ID, -1);
    for name in topics {
        let mut topic = request.child(req::TOPICS).with(req_topic::NAME, *name);
        for index in [0, 7] {
            let partition = topic.child(req_topic::PARTITIONS).with(req_partition::PARTITION_INDEX, index);
            topic.push(req_topic::PARTITIONS, partition);
        }
        request.push(req::TOPICS, topic);
    }
    request
}

fn told(answer: &Node) -> Vec<(String, Vec<[i64; 5]>)> {
    let row = |p: &Node| {
        [
            res_partition::PARTITION_INDEX,
            res_partition::ERROR_CODE,
            res_partition::TIMESTAMP,
            res_partition::OFFSET,
            res_partition::LEADER_EPOCH,
        ]
        .map(|field| p.int(field))
    };
    let rows = |t: &Node| t.nodes(res_topic::PARTITIONS).iter().map(row).collect();
    answer.nodes(res::TOPICS).iter().map(|t| (t.str(res_topic::NAME).to_owned(), rows(t))).collect()
}

fn denied(name: &str) -> (String, Vec<[i64; 5]>) {
    (name.to_owned(), vec![[0, 29, -1, -1, -1], [7, 29, -1, -1, -1]])
}

#[test]
fn allowed_topics_go_on_as_they_are() {
    for version in 1..=11 {
        let verdict = Bench::acls(&[DESCRIBE_A]).judge(&ListOffsets, KEY, version, &request(&["a1", "a2"]));
        assert!(matches!(forwarded(verdict), Then::Stream));
    }
}

#[test]
fn denied_topics_never_reach_the_broker_and_are_answered_last() {
    for version in 1..=11 {
        let mut bench = Bench::acls(&[DESCRIBE_A]);
        let (sent, then) = rewritten(bench.judge(&ListOffsets, KEY, version, &request(&["x", "a1", "y"])));
        assert_eq!(sent.nodes(req::TOPICS).len(), 1);
        let mut broker = Node::response(KEY);
        let topic = broker.child(res::TOPICS).with(res_topic::NAME, "a1");
        broker.push(res::TOPICS, topic);
        let told = told(&finished(bench.complete(then, KEY, version, &broker), KEY, version));
        assert_eq!(told, [("a1".to_owned(), vec![]), denied("x"), denied("y")]);
    }
}

#[test]
fn nothing_goes_to_the_broker_when_all_is_denied_or_nothing_asked() {
    let mut bench = Bench::acls(&[]);
    let all = answer(bench.judge(&ListOffsets, KEY, 7, &request(&["x"])), KEY, 7);
    assert_eq!(told(&all), [denied("x")]);
    let none = answer(bench.judge(&ListOffsets, KEY, 7, &request(&[])), KEY, 7);
    assert!(told(&none).is_empty());
}

#[test]
fn threat_04_the_state_topic_is_refused_to_a_super_user() {
    let mut bench = Bench::acls(&[]).user("root");
    let all = answer(bench.judge(&ListOffsets, KEY, 7, &request(&[STATE, AUDIT])), KEY, 7);
    assert_eq!(told(&all), [denied(STATE), denied(AUDIT)]);
}

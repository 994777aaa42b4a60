use super::*;
use crate::enforce::testing::{AUDIT, Bench, STATE, answer, finished, forwarded, rewritten};

const KEY: ApiKey = ApiKey::OFFSET_FOR_LEADER_EPOCH;
const DESCRIBE_A: &str = r#"{ allow: [Describe], principals: ["User:alice"], resources: ["topic:a"] }"#;
const FOLLOWER: &str = r#"{ allow: [ClusterAction], principals: ["User:alice"], resources: ["cluster"] }"#;

fn request(topics: &[&str]) -> Node {
    let mut request = Node::request(KEY);
    for name in topics {
        let mut topic = request.child(req::TOPICS).with(req_topic::TOPIC, *name);
        let partition = topic.child(req_topic::PARTITIONS).with(req_partition::PARTITION, 4);
        topic.push(req_topic::PARTITIONS, partition);
        request.push(req::TOPICS, topic);
    }
    request
}

fn told(answer: &Node) -> Vec<(String, Vec<[i64; 4]>)> {
    let row = |p: &Node| {
        [res_partition::PARTITION, res_partition::ERROR_CODE, res_partition::LEADER_EPOCH, res_partition::END_OFFSET]
            .map(|field| p.int(field))
    };
    let rows = |t: &Node| t.nodes(res_topic::PARTITIONS).iter().map(row).collect();
    answer.nodes(res::TOPICS).iter().map(|t| (t.str(res_topic::TOPIC).to_owned(), rows(t))).collect()
}

fn denied(name: &str) -> (String, Vec<[i64; 4]>) {
    (name.to_owned(), vec![[4, 29, -1, -1]])
}

#[test]
fn describe_lets_a_consumer_ask_and_the_rest_is_answered_last() {
    for version in 2..=4 {
        let mut bench = Bench::acls(&[DESCRIBE_A]);
        let (sent, then) = rewritten(bench.judge(&OffsetForLeaderEpoch, KEY, version, &request(&["x", "a"])));
        assert_eq!(sent.nodes(req::TOPICS).len(), 1);
        let mut broker = Node::response(KEY);
        let topic = broker.child(res::TOPICS).with(res_topic::TOPIC, "a");
        broker.push(res::TOPICS, topic);
        let told = told(&finished(bench.complete(then, KEY, version, &broker), KEY, version));
        assert_eq!(told, [("a".to_owned(), vec![]), denied("x")]);
        let all = Bench::acls(&[DESCRIBE_A]).judge(&OffsetForLeaderEpoch, KEY, version, &request(&["a"]));
        assert!(matches!(forwarded(all), Then::Stream));
    }
}

#[test]
fn cluster_action_grants_every_topic() {
    let verdict = Bench::acls(&[FOLLOWER]).judge(&OffsetForLeaderEpoch, KEY, 4, &request(&["x", "y"]));
    assert!(matches!(forwarded(verdict), Then::Stream));
}

#[test]
fn threat_04_cluster_action_does_not_grant_the_proxys_own_topics() {
    let mut bench = Bench::acls(&[FOLLOWER]);
    let (sent, then) = rewritten(bench.judge(&OffsetForLeaderEpoch, KEY, 4, &request(&[STATE, "x", AUDIT])));
    assert_eq!(sent.nodes(req::TOPICS).len(), 1);
    let told = told(&finished(bench.complete(then, KEY, 4, &Node::response(KEY)), KEY, 4));
    assert_eq!(told, [denied(STATE), denied(AUDIT)]);
}

#[test]
fn nothing_goes_to_the_broker_when_all_is_denied() {
    let mut bench = Bench::acls(&[]);
    let all = answer(bench.judge(&OffsetForLeaderEpoch, KEY, 3, &request(&["x"])), KEY, 3);
    assert_eq!(told(&all), [denied("x")]);
    assert_eq!(bench.decided(), ["ClusterAction cluster:kafka-cluster denied?", "Describe topic:x denied"]);
}

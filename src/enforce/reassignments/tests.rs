use super::*;
use crate::enforce::testing::{AUDIT, Bench, STATE, answer, finished, forwarded, rewritten};

const MOVE: ApiKey = ApiKey::ALTER_PARTITION_REASSIGNMENTS;
const LIST: ApiKey = ApiKey::LIST_PARTITION_REASSIGNMENTS;
const MOVER: &str = r#"{ allow: [ReplicasAlter], principals: ["User:alice"], resources: ["cluster"] }"#;

fn request(topics: &[&str]) -> Node {
    let of = |name: &&str| {
        let one = Node::new(&partition::THIS).with(partition::PARTITION_INDEX, 5).with(partition::REPLICAS, vec![2, 1]);
        Node::new(&topic::THIS).with(topic::NAME, *name).with(topic::PARTITIONS, vec![one])
    };
    Node::request(MOVE).with(req::TOPICS, topics.iter().map(of).collect::<Vec<_>>())
}

fn results(answer: &Node) -> Vec<(String, i64, i64)> {
    let of = |topic: &Node| {
        let row = &topic.nodes(result::PARTITIONS)[0];
        let (index, error) = (row.int(partition_result::PARTITION_INDEX), row.int(partition_result::ERROR_CODE));
        (topic.str(result::NAME).to_owned(), index, error)
    };
    answer.nodes(res::RESPONSES).iter().map(of).collect()
}

#[test]
fn whoever_may_move_replicas_moves_them() {
    for version in [0, 1] {
        let mut bench = Bench::acls(&[MOVER]);
        forwarded(bench.judge(&AlterPartitionReassignments, MOVE, version, &request(&["orders"])));
        assert_eq!(bench.decided(), ["Alter cluster:kafka-cluster allowed"]);
        assert_eq!(
            bench.trail.arguments.as_deref(),
            Some(r#"{"topics":[{"name":"orders","partitions":[{"partition":5,"replicas":[2,1]}]}]}"#)
        );
    }
}

#[test]
fn threat_04_the_proxys_own_topics_are_not_moved_whoever_asks() {
    let mut bench = Bench::acls(&[]).user("root");
    let (sent, then) = rewritten(bench.judge(&AlterPartitionReassignments, MOVE, 1, &request(&["orders", AUDIT])));
    assert_eq!(sent, request(&["orders"]));
    let row = Node::new(&partition_result::THIS).with(partition_result::PARTITION_INDEX, 5);
    let served = Node::new(&result::THIS).with(result::NAME, "orders").with(result::PARTITIONS, vec![row]);
    let told = Node::response(MOVE).with(res::RESPONSES, vec![served]);
    let all = finished(bench.complete(then, MOVE, 1, &told), MOVE, 1);
    assert_eq!(results(&all), [("orders".to_owned(), 5, 0), (AUDIT.to_owned(), 5, 29)]);
    let whole = answer(bench.judge(&AlterPartitionReassignments, MOVE, 1, &request(&[STATE])), MOVE, 1);
    assert_eq!((results(&whole), whole.int(res::ERROR_CODE)), (vec![(STATE.to_owned(), 5, 29)], 0));
}

fn listed(bench: &mut Bench, asked: &Node) -> Vec<String> {
    let then = forwarded(bench.judge(&ListPartitionReassignments, LIST, 0, asked));
    let topics =
        ["orders", "secret", AUDIT, STATE].map(|name| Node::new(&list_result::THIS).with(list_result::NAME, name));
    let told = Node::response(LIST).with(list::TOPICS, topics.to_vec());
    let shown = finished(bench.complete(then, LIST, 0, &told), LIST, 0);
    shown.nodes(list::TOPICS).iter().map(|t| t.str(list_result::NAME).to_owned()).collect()
}

#[test]
fn threat_04_threat_36_a_listing_leaves_out_the_proxys_topics_and_by_cluster_read_the_hidden_ones() {
    let describe = r#"{ allow: [Describe], principals: ["User:alice"], resources: ["cluster"] }"#;
    assert_eq!(listed(&mut Bench::acls(&[describe]), &Node::request(LIST)), ["orders", "secret"]);
    let mut bench = Bench::policy(
        "connect_gate: open\nbindings:\n  - { roles: [viewer], principals: [\"User:alice\"], resources: [cluster, \"topic:ord*\"] }\n",
    );
    assert_eq!(listed(&mut bench, &Node::request(LIST)), ["orders"]);
    let named = Node::new(&list_topic::THIS).with(list_topic::NAME, AUDIT);
    listed(&mut bench, &Node::request(LIST).with(list_req::TOPICS, vec![named]));
    assert!(bench.decided().contains(&format!("Describe topic:{AUDIT} denied")), "{:?}", bench.decided());
}

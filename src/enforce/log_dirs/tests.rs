use super::*;
use crate::enforce::testing::{AUDIT, Bench, STATE, answer, finished, forwarded, rewritten};

const MOVE: ApiKey = ApiKey::ALTER_REPLICA_LOG_DIRS;
const LIST: ApiKey = ApiKey::DESCRIBE_LOG_DIRS;
const MOVER: &str = r#"{ allow: [ReplicasAlter], principals: ["User:alice"], resources: ["cluster"] }"#;

fn request(dirs: &[(&str, &[&str])]) -> Node {
    let of = |(path, topics): &(&str, &[&str])| {
        let named = |name: &&str| Node::new(&topic::THIS).with(topic::NAME, *name).with(topic::PARTITIONS, vec![3]);
        Node::new(&dir::THIS).with(dir::PATH, *path).with(dir::TOPICS, topics.iter().map(named).collect::<Vec<_>>())
    };
    Node::request(MOVE).with(req::DIRS, dirs.iter().map(of).collect::<Vec<_>>())
}

fn results(answer: &Node) -> Vec<(String, i64)> {
    let of = |topic: &Node| {
        let row = &topic.nodes(result::PARTITIONS)[0];
        (topic.str(result::TOPIC_NAME).to_owned(), row.int(partition_result::ERROR_CODE))
    };
    answer.nodes(res::RESULTS).iter().map(of).collect()
}

#[test]
fn whoever_may_move_replicas_moves_them() {
    for version in [1, 2] {
        let mut bench = Bench::acls(&[MOVER]);
        forwarded(bench.judge(&AlterReplicaLogDirs, MOVE, version, &request(&[("/data/b", &["orders"])])));
        assert_eq!(bench.decided(), ["Alter cluster:kafka-cluster allowed"]);
        assert_eq!(
            bench.trail.arguments.as_deref(),
            Some(r#"{"dirs":[{"path":"/data/b","topics":[{"name":"orders","partitions":[3]}]}]}"#)
        );
    }
}

#[test]
fn threat_04_the_proxys_own_topics_stay_where_they_are() {
    let mut bench = Bench::acls(&[]).user("root");
    let asked = request(&[("/b", &["orders", AUDIT]), ("/c", &[STATE])]);
    let (sent, then) = rewritten(bench.judge(&AlterReplicaLogDirs, MOVE, 2, &asked));
    assert_eq!(sent, request(&[("/b", &["orders"])]));
    let served = Node::new(&result::THIS)
        .with(result::TOPIC_NAME, "orders")
        .with(result::PARTITIONS, vec![Node::new(&partition_result::THIS).with(partition_result::PARTITION_INDEX, 3)]);
    let told = Node::response(MOVE).with(res::RESULTS, vec![served]);
    let all = results(&finished(bench.complete(then, MOVE, 2, &told), MOVE, 2));
    assert_eq!(all, [("orders".to_owned(), 0), (AUDIT.to_owned(), 29), (STATE.to_owned(), 29)]);
    let whole = answer(bench.judge(&AlterReplicaLogDirs, MOVE, 2, &request(&[("/b", &[AUDIT])])), MOVE, 2);
    assert_eq!(results(&whole), [(AUDIT.to_owned(), 29)]);
}

/// The topics that are shown of a broker that has four.
fn listed(bench: &mut Bench, version: i16, asked: &Node) -> Vec<String> {
    let then = forwarded(bench.judge(&DescribeLogDirs, LIST, version, asked));
    let topics =
        ["orders", "secret", AUDIT, STATE].map(|name| Node::new(&list_topic::THIS).with(list_topic::NAME, name));
    let directory = Node::new(&list_dir::THIS).with(list_dir::LOG_DIR, "/data").with(list_dir::TOPICS, topics.to_vec());
    let told = Node::response(LIST).with(list::RESULTS, vec![directory]);
    let shown = finished(bench.complete(then, LIST, version, &told), LIST, version);
    shown.nodes(list::RESULTS)[0].nodes(list_dir::TOPICS).iter().map(|t| t.str(list_topic::NAME).to_owned()).collect()
}

#[test]
fn whoever_may_describe_the_cluster_sees_directories_without_the_proxys_topics() {
    let describe = r#"{ allow: [Describe], principals: ["User:alice"], resources: ["cluster"] }"#;
    for version in 1..=5 {
        let mut bench = Bench::acls(&[describe]);
        assert_eq!(listed(&mut bench, version, &Node::request(LIST)), ["orders", "secret"]);
        assert_eq!(bench.decided(), ["Describe cluster:kafka-cluster allowed"]);
    }
    assert_eq!(listed(&mut Bench::acls(&[]).user("root"), 5, &Node::request(LIST)), ["orders", "secret"]);
    let mut bench = Bench::acls(&[describe]);
    let named = Node::new(&asked_topic::THIS).with(asked_topic::TOPIC, STATE);
    listed(&mut bench, 4, &Node::request(LIST).with(list_req::TOPICS, vec![named]));
    assert!(bench.decided().contains(&format!("Describe topic:{STATE} denied")), "{:?}", bench.decided());
}

#[test]
fn threat_36_cluster_read_shows_directories_of_topics_that_may_be_described() {
    let mut bench = Bench::policy(
        "connect_gate: open\nbindings:\n  - { roles: [viewer], principals: [\"User:alice\"], resources: [cluster, \"topic:ord*\"] }\n",
    );
    assert_eq!(listed(&mut bench, 4, &Node::request(LIST)), ["orders"]);
    assert!(bench.decided().contains(&"Describe topic:secret denied?".to_owned()), "{:?}", bench.decided());
}

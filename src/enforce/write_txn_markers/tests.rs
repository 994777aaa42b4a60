use super::*;
use crate::enforce::testing::{AUDIT, Bench, STATE, answer, finished, forwarded, rewritten};

const KEY: ApiKey = ApiKey::WRITE_TXN_MARKERS;
const ALTER: &str = r#"{ allow: [Alter], principals: ["User:alice"], resources: ["cluster"] }"#;
const BROKER: &str = r#"{ allow: [ClusterAction], principals: ["User:alice"], resources: ["cluster"] }"#;

fn request(markers: &[(i64, &[&str])]) -> Node {
    let of = |(id, topics): &(i64, &[&str])| {
        let named =
            |name: &&str| Node::new(&topic::THIS).with(topic::NAME, *name).with(topic::PARTITION_INDEXES, vec![0, 1]);
        Node::new(&marker::THIS)
            .with(marker::PRODUCER_ID, *id)
            .with(marker::TOPICS, topics.iter().map(named).collect::<Vec<_>>())
    };
    Node::request(KEY).with(req::MARKERS, markers.iter().map(of).collect::<Vec<_>>())
}

/// Producer, topic, and the errors of its partitions.
fn results(answer: &Node) -> Vec<(i64, String, Vec<i64>)> {
    let mut all = Vec::new();
    for row in answer.nodes(res::MARKERS) {
        for topic in row.nodes(result::TOPICS) {
            let errors = topic.nodes(topic_result::PARTITIONS).iter().map(|p| p.int(partition_result::ERROR_CODE));
            all.push((row.int(result::PRODUCER_ID), topic.str(topic_result::NAME).to_owned(), errors.collect()));
        }
    }
    all
}

#[test]
fn alter_or_cluster_action_lets_markers_through() {
    for version in [1, 2] {
        for (acl, asked) in [
            (ALTER, vec!["Alter cluster:kafka-cluster allowed"]),
            (BROKER, vec!["Alter cluster:kafka-cluster denied?", "ClusterAction cluster:kafka-cluster allowed"]),
        ] {
            let mut bench = Bench::acls(&[acl]);
            forwarded(bench.judge(&WriteTxnMarkers, KEY, version, &request(&[(7, &["orders"])])));
            assert_eq!(bench.decided(), asked);
        }
    }
}

#[test]
fn threat_04_markers_of_the_proxys_own_topics_are_refused_by_name_and_the_others_served() {
    let mut bench = Bench::acls(&[]).user("root");
    let asked = request(&[(7, &["orders", AUDIT]), (8, &[STATE]), (9, &["pay"])]);
    let (sent, then) = rewritten(bench.judge(&WriteTxnMarkers, KEY, 1, &asked));
    assert_eq!(sent, request(&[(7, &["orders"]), (9, &["pay"])]));
    let served = |id: i64, name: &str| {
        let row = Node::new(&topic_result::THIS).with(topic_result::NAME, name);
        Node::new(&result::THIS).with(result::PRODUCER_ID, id).with(result::TOPICS, vec![row])
    };
    let told = Node::response(KEY).with(res::MARKERS, vec![served(9, "pay"), served(7, "orders")]);
    let all = results(&finished(bench.complete(then, KEY, 1, &told), KEY, 1));
    let of = |id: i64, name: &str, errors: &[i64]| (id, name.to_owned(), errors.to_vec());
    let refused = [29, 29];
    assert_eq!(all, [of(9, "pay", &[]), of(7, "orders", &[]), of(7, AUDIT, &refused), of(8, STATE, &refused)]);
    let whole = answer(bench.judge(&WriteTxnMarkers, KEY, 1, &request(&[(8, &[STATE])])), KEY, 1);
    assert_eq!(results(&whole), [of(8, STATE, &refused)]);
}

#[test]
fn a_denial_has_each_producer_once_with_its_last_marker_and_no_topic_without_partitions() {
    for version in [1, 2] {
        let mut asked = request(&[(7, &["orders"]), (8, &["pay"]), (7, &["late", "bare", "late"])]);
        for bare in asked.nodes_mut(req::MARKERS).iter_mut().flat_map(|marker| marker.nodes_mut(marker::TOPICS)) {
            if bare.str(topic::NAME) == "bare" {
                bare.set(topic::PARTITION_INDEXES, Vec::<i32>::new());
            }
        }
        let refused = answer(Bench::acls(&[]).judge(&WriteTxnMarkers, KEY, version, &asked), KEY, version);
        let of = |id: i64, name: &str| (id, name.to_owned(), vec![31, 31]);
        assert_eq!(results(&refused), [of(7, "late"), of(8, "pay")]);
        assert_eq!(refused.nodes(res::MARKERS).len(), 2);
    }
}

#[test]
fn the_audit_is_told_which_transactions_end_and_how() {
    let mut bench = Bench::acls(&[ALTER]);
    forwarded(bench.judge(&WriteTxnMarkers, KEY, 1, &request(&[(7, &["orders"])])));
    assert_eq!(
        bench.trail.arguments.as_deref(),
        Some(r#"{"markers":[{"end":"abort","producerId":7,"topics":[{"name":"orders","partitions":[0,1]}]}]}"#)
    );
}

use super::*;
use crate::enforce::testing::{AUDIT, Bench, answer, finished, forwarded, id, rewritten};

fn bench(acls: &[(&str, &str)]) -> Bench {
    let acls: Vec<String> = acls
        .iter()
        .map(|(operation, resource)| {
            format!(r#"{{ allow: [{operation}], principals: ["User:alice"], resources: ["{resource}"] }}"#)
        })
        .collect();
    Bench::acls(&acls.iter().map(String::as_str).collect::<Vec<_>>())
}

const WRITE_X: (&str, &str) = ("Write", "transactional_id:t1");
const READ_G: (&str, &str) = ("Read", "group:g1");

fn error(refused: &Node) -> i64 {
    refused.int(refused.def().find("ErrorCode").unwrap())
}

#[test]
fn offsets_join_a_transaction_with_both_rights() {
    use add_offsets_to_txn::request as req;
    let key = ApiKey::ADD_OFFSETS_TO_TXN;
    let request = Node::request(key).with(req::TRANSACTIONAL_ID, "t1").with(req::GROUP_ID, "g1");
    for version in 0..=4 {
        forwarded(bench(&[WRITE_X, READ_G]).judge(&AddOffsetsToTxn, key, version, &request));
        let mut no_group = bench(&[WRITE_X]);
        assert_eq!(error(&answer(no_group.judge(&AddOffsetsToTxn, key, version, &request), key, version)), 30);
        assert_eq!(no_group.decided(), ["Write transactional_id:t1 allowed", "Read group:g1 denied"]);
        let mut no_id = bench(&[READ_G]);
        assert_eq!(error(&answer(no_id.judge(&AddOffsetsToTxn, key, version, &request), key, version)), 53);
        assert_eq!(no_id.decided(), ["Write transactional_id:t1 denied"]);
    }
}

#[test]
fn a_transaction_ends_with_write_on_its_id() {
    use end_txn::{request as req, response as res};
    let key = ApiKey::END_TXN;
    let request = Node::request(key).with(req::TRANSACTIONAL_ID, "t1");
    for version in 0..=5 {
        forwarded(bench(&[WRITE_X]).judge(&EndTxn, key, version, &request));
        let refused = answer(bench(&[]).judge(&EndTxn, key, version, &request), key, version);
        assert_eq!(error(&refused), 53);
        assert_eq!((refused.int(res::PRODUCER_ID), refused.int(res::PRODUCER_EPOCH)), (-1, -1));
    }
}

const KEY: ApiKey = ApiKey::TXN_OFFSET_COMMIT;
const MEMBER: i32 = 4;

fn commit(generation: i32, topics: &[(&str, u8)]) -> Node {
    let mut request = Node::request(KEY)
        .with(req::TRANSACTIONAL_ID, "t1")
        .with(req::GROUP_ID, "g1")
        .with(req::GENERATION_ID_OR_MEMBER_EPOCH, generation);
    for (name, number) in topics {
        let mut node = request.child(req::TOPICS).with(topic::NAME, *name).with(topic::TOPIC_ID, id(*number));
        let part =
            node.child(topic::PARTITIONS).with(partition::PARTITION_INDEX, 3).with(partition::COMMITTED_OFFSET, 9);
        node.push(topic::PARTITIONS, part);
        request.push(req::TOPICS, node);
    }
    request
}

/// A topic by name and id, with index and error of its partitions.
type Told = (String, u8, Vec<(i64, i64)>);

fn told(answer: &Node) -> Vec<Told> {
    let row = |p: &Node| (p.int(answer_partition::PARTITION_INDEX), p.int(answer_partition::ERROR_CODE));
    let rows = |t: &Node| t.nodes(answer_topic::PARTITIONS).iter().map(row).collect();
    let topics = answer.nodes(res::TOPICS).iter();
    topics.map(|t| (t.str(answer_topic::NAME).to_owned(), t.uuid(answer_topic::TOPIC_ID).0[0], rows(t))).collect()
}

fn served(name: &str, number: u8) -> Node {
    let mut answer = Node::response(KEY);
    let node = answer.child(res::TOPICS).with(answer_topic::NAME, name).with(answer_topic::TOPIC_ID, id(number));
    answer.push(res::TOPICS, node);
    answer
}

#[test]
fn a_commit_in_a_transaction_needs_id_group_and_topic_in_this_order() {
    for version in 0..=5 {
        let request = commit(MEMBER, &[("a1", 0), ("x", 0)]);
        let whole = |error| vec![("a1".to_owned(), 0, vec![(3, error)]), ("x".to_owned(), 0, vec![(3, error)])];
        let refused = answer(bench(&[READ_G]).judge(&TxnOffsetCommit, KEY, version, &request), KEY, version);
        assert_eq!(told(&refused), whole(53));
        let refused = answer(bench(&[WRITE_X]).judge(&TxnOffsetCommit, KEY, version, &request), KEY, version);
        assert_eq!(told(&refused), whole(30));
        let mut bench = bench(&[WRITE_X, READ_G, ("Read", "topic:a*")]);
        let (sent, then) = rewritten(bench.judge(&TxnOffsetCommit, KEY, version, &request));
        assert_eq!(sent.nodes(req::TOPICS).len(), 1);
        let answer = finished(bench.complete(then, KEY, version, &served("a1", 0)), KEY, version);
        assert_eq!(told(&answer), [("x".to_owned(), 0, vec![(3, 29)]), ("a1".to_owned(), 0, vec![])]);
    }
}

#[test]
fn ids_are_looked_up_once_and_then_unknown() {
    let mut bench = bench(&[WRITE_X, READ_G, ("Read", "topic:a*")]).topics(&["a1"]);
    let request = commit(MEMBER, &[("", 1), ("", 9)]);
    assert!(matches!(bench.judge(&TxnOffsetCommit, KEY, 6, &request), Verdict::Probe(ids) if ids == [id(9)]));
    bench.looked_up = true;
    let (_, then) = rewritten(bench.judge(&TxnOffsetCommit, KEY, 6, &request));
    let answer = finished(bench.complete(then, KEY, 6, &served("", 1)), KEY, 6);
    assert_eq!(told(&answer), [(String::new(), 9, vec![(3, 100)]), (String::new(), 1, vec![])]);
}

#[test]
fn threat_25_a_commit_in_a_transaction_without_a_generation_is_the_admin_form() {
    for version in 0..=5 {
        // Before version 3 there is no generation on the wire.
        for generation in [-1, -7, if version < 3 { MEMBER } else { -1 }] {
            let mut bench = bench(&[WRITE_X, ("OffsetsWrite", "group:g1"), ("Describe", "topic:a*")]);
            forwarded(bench.judge(&TxnOffsetCommit, KEY, version, &commit(generation, &[("a1", 0)])));
            assert_eq!(bench.trail.category, Some(Category::GroupWrite));
            assert!(bench.trail.arguments.is_some());
        }
    }
    let mut bench = bench(&[WRITE_X, ("OffsetsWrite", "group:g1"), ("Describe", "topic:a*")]);
    let refused = answer(bench.judge(&TxnOffsetCommit, KEY, 5, &commit(MEMBER, &[("a1", 0)])), KEY, 5);
    assert_eq!(told(&refused), [("a1".to_owned(), 0, vec![(3, 30)])]);
    assert_eq!(bench.trail.category, None);
}

#[test]
fn threat_04_offsets_of_own_topics_are_not_set_in_a_transaction() {
    let mut bench = bench(&[WRITE_X, READ_G, ("All", "topic:*")]);
    let refused = answer(bench.judge(&TxnOffsetCommit, KEY, 5, &commit(MEMBER, &[(AUDIT, 0)])), KEY, 5);
    assert_eq!(told(&refused), [(AUDIT.to_owned(), 0, vec![(3, 29)])]);
}

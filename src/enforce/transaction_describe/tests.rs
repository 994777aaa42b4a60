use super::*;
use crate::enforce::testing::{AUDIT, Bench, answer, finished, forwarded, rewritten};

const KEY: ApiKey = ApiKey::DESCRIBE_TRANSACTIONS;
const LIST: ApiKey = ApiKey::LIST_TRANSACTIONS;
const DESCRIBE_T: &str = r#"{ allow: [Describe], principals: ["User:alice"], resources: ["transactional_id:t*"] }"#;
const DESCRIBE_A: &str = r#"{ allow: [Describe], principals: ["User:alice"], resources: ["topic:a*"] }"#;

fn request(ids: &[&str]) -> Node {
    Node::request(KEY).with(req::TRANSACTIONAL_IDS, ids.to_vec())
}

fn served(ids: &[&str], topics: &[&str]) -> Node {
    let mut answer = Node::response(KEY);
    for id in ids {
        let mut entry = answer.child(res::TRANSACTION_STATES).with(state::TRANSACTIONAL_ID, *id);
        entry.set(state::TRANSACTION_STATE, "Ongoing");
        for name in topics {
            let topic = entry.child(state::TOPICS).with(topic_data::TOPIC, *name);
            entry.push(state::TOPICS, topic);
        }
        answer.push(res::TRANSACTION_STATES, entry);
    }
    answer
}

fn told(answer: &Node) -> Vec<(&str, i64, Vec<&str>)> {
    let entries = answer.nodes(res::TRANSACTION_STATES).iter();
    entries
        .map(|e| {
            let topics = e.nodes(state::TOPICS).iter().map(|t| t.str(topic_data::TOPIC)).collect();
            (e.str(state::TRANSACTIONAL_ID), e.int(state::ERROR_CODE), topics)
        })
        .collect()
}

#[test]
fn ids_keep_their_order_and_hidden_topics_are_left_out() {
    let mut bench = Bench::acls(&[DESCRIBE_T, DESCRIBE_A]);
    let request = request(&["x", "t1", "y", "t2", "t1", "x"]);
    let (sent, then) = rewritten(bench.judge(&DescribeTransactions, KEY, 0, &request));
    assert_eq!(sent.strs(req::TRANSACTIONAL_IDS).collect::<Vec<_>>(), ["t1", "t2", "t1"]);
    // Kafka answers in the order of the request; ours does not depend on it.
    let broker = served(&["t2", "t1", "t1"], &["a1", "x", AUDIT, "a2"]);
    let answer = finished(bench.complete(then, KEY, 0, &broker), KEY, 0);
    let denied = |id| (id, 53, vec![]);
    let allowed = |id| (id, 0, vec!["a1", "a2"]);
    // An id named twice is answered twice.
    assert_eq!(told(&answer), [denied("x"), allowed("t1"), denied("y"), allowed("t2"), allowed("t1"), denied("x")]);
    assert_eq!(
        format!("{:?}", answer.nodes(res::TRANSACTION_STATES)[0]),
        r#"TransactionState { ErrorCode: 53, TransactionalId: "x" }"#
    );
}

#[test]
fn topics_are_filtered_also_where_every_id_is_allowed() {
    let mut bench = Bench::acls(&[DESCRIBE_T]);
    let then = forwarded(bench.judge(&DescribeTransactions, KEY, 0, &request(&["t1"])));
    let answer = finished(bench.complete(then, KEY, 0, &served(&["t1"], &["a1"])), KEY, 0);
    assert_eq!(told(&answer), [("t1", 0, vec![])]);
}

#[test]
fn nothing_goes_to_the_broker_when_every_id_is_denied_or_none_is_asked() {
    let mut bench = Bench::acls(&[]);
    let refused = answer(bench.judge(&DescribeTransactions, KEY, 0, &request(&["t1", "x", "t1"])), KEY, 0);
    assert_eq!(told(&refused), [("t1", 53, vec![]), ("x", 53, vec![]), ("t1", 53, vec![])]);
    let none = answer(bench.judge(&DescribeTransactions, KEY, 0, &request(&[])), KEY, 0);
    assert!(told(&none).is_empty());
}

#[test]
fn a_list_holds_what_may_be_described_and_its_unknown_filters() {
    for version in 0..=2 {
        let mut bench = Bench::acls(&[DESCRIBE_T]);
        let then = forwarded(bench.judge(&ListTransactions, LIST, version, &Node::request(LIST)));
        let mut broker = Node::response(LIST).with(list::UNKNOWN_STATE_FILTERS, vec!["Odd"]);
        for id in ["t1", "x", "t2"] {
            let entry = broker.child(list::TRANSACTION_STATES).with(list::transaction_state::TRANSACTIONAL_ID, id);
            broker.push(list::TRANSACTION_STATES, entry);
        }
        let answer = finished(bench.complete(then, LIST, version, &broker), LIST, version);
        let entries = answer.nodes(list::TRANSACTION_STATES).iter();
        let ids: Vec<&str> = entries.map(|e| e.str(list::transaction_state::TRANSACTIONAL_ID)).collect();
        assert_eq!(ids, ["t1", "t2"]);
        assert_eq!(answer.strs(list::UNKNOWN_STATE_FILTERS).collect::<Vec<_>>(), ["Odd"]);
        assert!(bench.trail.records().iter().all(|r| r.probe));
    }
}

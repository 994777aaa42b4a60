use super::*;
use crate::enforce::testing::{AUDIT, Bench, STATE, answer, finished, forwarded, kind, rewritten};

const KEY: ApiKey = ApiKey::DESCRIBE_TOPIC_PARTITIONS;
const READ_A: &str = r#"{ allow: [Read], principals: ["User:alice"], resources: ["topic:a*"] }"#;

fn request(names: &[&str], cursor: Option<(&str, i32)>) -> Node {
    let mut request = Node::request(KEY);
    for name in names {
        request.push(req::TOPICS, Node::new(&topic_request::THIS).with(topic_request::NAME, *name));
    }
    if let Some((name, partition)) = cursor {
        let cursor = Node::new(&req_cursor::THIS)
            .with(req_cursor::TOPIC_NAME, name)
            .with(req_cursor::PARTITION_INDEX, partition);
        request.set(req::CURSOR, cursor);
    }
    request
}

fn broker(topics: &[(&str, i16)], next: Option<&str>) -> Node {
    let mut answer = Node::response(KEY);
    for (name, error) in topics {
        let topic = row(ErrorCode(*error), name).with(res_topic::TOPIC_AUTHORIZED_OPERATIONS, 3576);
        answer.push(res::TOPICS, topic);
    }
    if let Some(name) = next {
        answer.set(res::NEXT_CURSOR, Node::new(&res_cursor::THIS).with(res_cursor::TOPIC_NAME, name));
    }
    answer
}

fn names(request: &Node) -> Vec<&str> {
    request.nodes(req::TOPICS).iter().map(|topic| topic.str(topic_request::NAME)).collect()
}

/// Name, error and bits of each topic.
fn told(answer: &Node) -> Vec<(String, i64, i64)> {
    let one = |t: &Node| {
        let (error, bits) = (t.int(res_topic::ERROR_CODE), t.int(res_topic::TOPIC_AUTHORIZED_OPERATIONS));
        (t.str(res_topic::NAME).to_owned(), error, bits)
    };
    answer.nodes(res::TOPICS).iter().map(one).collect()
}

fn next(answer: &Node) -> Option<&str> {
    answer.strct(res::NEXT_CURSOR).map(|cursor| cursor.str(res_cursor::TOPIC_NAME))
}

const NONE: i64 = i32::MIN as i64;

fn denied(name: &str) -> (String, i64, i64) {
    (name.to_owned(), 29, NONE)
}

fn seen(name: &str) -> (String, i64, i64) {
    (name.to_owned(), 0, 264)
}

#[test]
fn named_topics_are_split_and_bits_are_ours() {
    let mut bench = Bench::acls(&[READ_A]);
    let (sent, then) = rewritten(bench.judge(&DescribeTopicPartitions, KEY, 0, &request(&["b", "a2", "a1"], None)));
    assert_eq!(names(&sent), ["a1", "a2"]);
    let answer = finished(bench.complete(then, KEY, 0, &broker(&[("a1", 0), ("a2", 0)], None)), KEY, 0);
    assert_eq!(told(&answer), [seen("a1"), seen("a2"), denied("b")]);
    let _ = forwarded(bench.judge(&DescribeTopicPartitions, KEY, 0, &request(&["a1"], None)));
}

#[test]
fn denied_names_stand_on_every_page_up_to_their_own() {
    let mut bench = Bench::acls(&[READ_A]);
    let names = ["a1", "aa", "b", "0", "a3"];
    let acl = [READ_A, r#"{ deny: [Describe], principals: ["User:alice"], resources: ["topic:aa"] }"#];
    let (_, then) = rewritten(bench.judge(&DescribeTopicPartitions, KEY, 0, &request(&names, None)));
    drop(then);
    let mut bench = Bench::acls(&acl);
    let (_, then) = rewritten(bench.judge(&DescribeTopicPartitions, KEY, 0, &request(&names, None)));
    let page = finished(bench.complete(then, KEY, 0, &broker(&[("a1", 0)], Some("a3"))), KEY, 0);
    let all = vec![seen("a1"), denied("0"), denied("aa"), denied("b")];
    assert_eq!((told(&page), next(&page)), (all, Some("a3")));
    let (sent, then) = rewritten(bench.judge(&DescribeTopicPartitions, KEY, 0, &request(&names, Some(("a3", 0)))));
    assert_eq!((self::names(&sent), sent.is_null(req::CURSOR)), (vec!["a3"], false));
    let page = finished(bench.complete(then, KEY, 0, &broker(&[("a3", 0)], None)), KEY, 0);
    assert_eq!(told(&page), [seen("a3"), denied("aa"), denied("b")]);
}

#[test]
fn a_cursor_at_a_denied_topic_goes_on_at_the_next_one() {
    let mut bench = Bench::acls(&[READ_A]);
    let verdict = bench.judge(&DescribeTopicPartitions, KEY, 0, &request(&["Z", "a1"], Some(("Z", 5))));
    let (sent, _) = rewritten(verdict);
    assert_eq!((names(&sent), sent.is_null(req::CURSOR)), (vec!["a1"], true));
}

#[test]
fn a_cursor_that_is_not_among_the_names_or_negative_is_invalid() {
    for (cursor, topics) in [(("a2", 0), &["a1"][..]), (("a1", -1), &["a1"])] {
        let mut bench = Bench::acls(&[READ_A]);
        let told = told(&answer(bench.judge(&DescribeTopicPartitions, KEY, 0, &request(topics, Some(cursor))), KEY, 0));
        assert_eq!(told, [("a1".to_owned(), 42, NONE)]);
        assert!(bench.decided().is_empty());
    }
}

#[test]
fn threat_36_all_topics_are_asked_for_by_permitted_name() {
    let mut bench = Bench::acls(&[READ_A]).topics(&["b", "a2", STATE, AUDIT, "a1", "zz"]).fresh();
    let (sent, then) = rewritten(bench.judge(&DescribeTopicPartitions, KEY, 0, &request(&[], None)));
    assert_eq!(names(&sent), ["a1", "a2"]);
    // A cursor or topic that was not asked for is not passed on, whatever the broker says.
    let page = finished(bench.complete(then, KEY, 0, &broker(&[("a1", 0), ("b", 0)], Some("zz"))), KEY, 0);
    assert_eq!((told(&page), next(&page)), (vec![seen("a1")], None));
    assert!(bench.decided().iter().all(|line| line.ends_with('?')));
}

#[test]
fn threat_36_pages_of_all_topics_go_on_from_the_cursor_among_permitted_names() {
    let mut bench = Bench::acls(&[READ_A]).topics(&["a1", "b", "a2", "a3"]).fresh();
    let all = |cursor| request(&[], Some(cursor));
    let (sent, then) = rewritten(bench.judge(&DescribeTopicPartitions, KEY, 0, &all(("a2", 3))));
    assert_eq!((names(&sent), sent.is_null(req::CURSOR)), (vec!["a2", "a3"], false));
    let page = finished(bench.complete(then, KEY, 0, &broker(&[("a2", 0)], Some("a3"))), KEY, 0);
    assert_eq!((told(&page), next(&page)), (vec![seen("a2")], Some("a3")));
    // The cursor's topic was deleted, or its right has ended.
    let (sent, _) = rewritten(bench.judge(&DescribeTopicPartitions, KEY, 0, &all(("a25", 3))));
    assert_eq!((names(&sent), sent.is_null(req::CURSOR)), (vec!["a3"], true));
}

#[test]
fn of_all_topics_one_that_was_deleted_since_is_none() {
    let mut bench = Bench::acls(&[READ_A]).topics(&["a1", "a2"]).fresh();
    let (_, then) = rewritten(bench.judge(&DescribeTopicPartitions, KEY, 0, &request(&[], None)));
    let page = finished(bench.complete(then, KEY, 0, &broker(&[("a1", 3), ("a2", 0)], None)), KEY, 0);
    assert_eq!(told(&page), [seen("a2")]);
}

#[test]
fn nothing_goes_to_the_broker_when_nothing_is_permitted() {
    let mut bench = Bench::acls(&[]).topics(&["a1"]).fresh();
    let all = answer(bench.judge(&DescribeTopicPartitions, KEY, 0, &request(&[], None)), KEY, 0);
    assert!(told(&all).is_empty() && next(&all).is_none());
    let named = answer(bench.judge(&DescribeTopicPartitions, KEY, 0, &request(&["b", "b", "a1"], None)), KEY, 0);
    assert_eq!(told(&named), [denied("a1"), denied("b")]);
}

#[test]
fn all_topics_are_looked_up_so_that_a_new_one_is_among_them() {
    let mut bench = Bench::acls(&[READ_A]).topics(&["a1"]);
    match bench.judge(&DescribeTopicPartitions, KEY, 0, &request(&[], None)) {
        Verdict::Probe(ids) => assert_eq!(ids, [TopicId::ZERO]),
        other => panic!("{}", kind(&other)),
    }
}

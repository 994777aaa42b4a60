use super::*;
use crate::enforce::testing::{AUDIT, Bench, answer, finished, forwarded, rewritten};

const KEY: ApiKey = ApiKey::DESCRIBE_PRODUCERS;
const READ_A: &str = r#"{ allow: [Read], principals: ["User:alice"], resources: ["topic:a*"] }"#;

fn request(topics: &[&str]) -> Node {
    let mut request = Node::request(KEY);
    for name in topics {
        let node = request.child(req::TOPICS).with(topic::NAME, *name).with(topic::PARTITION_INDEXES, vec![0i32, 4]);
        request.push(req::TOPICS, node);
    }
    request
}

type Told<'a> = (&'a str, Vec<(i64, i64, Option<&'a str>)>);

fn told(answer: &Node) -> Vec<Told<'_>> {
    let row = |p: &'_ Node| (p.int(partition::PARTITION_INDEX), p.int(partition::ERROR_CODE));
    let topics = answer.nodes(res::TOPICS).iter();
    topics
        .map(|t| {
            let rows = t.nodes(answer_topic::PARTITIONS).iter();
            let rows = rows.map(|p| (row(p).0, row(p).1, p.opt_str(partition::ERROR_MESSAGE))).collect();
            (t.str(answer_topic::NAME), rows)
        })
        .collect()
}

fn failed<'a>(name: &'a str, error: i64, why: &'a str) -> Told<'a> {
    (name, vec![(0, error, Some(why)), (4, error, Some(why))])
}

const DENIED: &str = "Topic authorization failed.";

#[test]
fn topics_keep_their_order_whatever_mixture_is_permitted() {
    let mut bench = Bench::acls(&[READ_A]);
    let (sent, then) = rewritten(bench.judge(&DescribeProducers, KEY, 0, &request(&["x", "a1", "y", "a2", "z"])));
    assert_eq!(sent.nodes(req::TOPICS).len(), 2);
    let mut broker = Node::response(KEY);
    for name in ["a1", "a2"] {
        let node = broker.child(res::TOPICS).with(answer_topic::NAME, name);
        broker.push(res::TOPICS, node);
    }
    let answer = finished(bench.complete(then, KEY, 0, &broker), KEY, 0);
    let expected =
        [failed("x", 29, DENIED), ("a1", vec![]), failed("y", 29, DENIED), ("a2", vec![]), failed("z", 29, DENIED)];
    assert_eq!(told(&answer), expected);
}

#[test]
fn allowed_topics_go_on_and_nothing_does_when_all_is_denied_or_none_asked() {
    forwarded(Bench::acls(&[READ_A]).judge(&DescribeProducers, KEY, 0, &request(&["a1"])));
    let mut bench = Bench::acls(&[r#"{ allow: [Describe], principals: ["User:alice"], resources: ["topic:*"] }"#]);
    let refused = answer(bench.judge(&DescribeProducers, KEY, 0, &request(&["a1"])), KEY, 0);
    assert_eq!(told(&refused), [failed("a1", 29, DENIED)]);
    assert!(told(&answer(bench.judge(&DescribeProducers, KEY, 0, &request(&[])), KEY, 0)).is_empty());
}

#[test]
fn a_name_that_no_topic_can_have_fails_with_17_before_anybody_is_asked() {
    let long = "a".repeat(250);
    let cases = [
        ("", "the empty string is not allowed".to_owned()),
        ("..", "'..' is not allowed".to_owned()),
        (&long, format!("the length of '{long}' is longer than the max allowed length 249")),
        ("a/b", "'a/b' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'".to_owned()),
    ];
    for (name, why) in cases {
        let mut bench = Bench::acls(&[]);
        let refused = answer(bench.judge(&DescribeProducers, KEY, 0, &request(&[name])), KEY, 0);
        assert_eq!(told(&refused), [failed(name, 17, &format!("Topic name is invalid: {why}"))]);
        assert!(bench.trail.is_empty());
    }
    assert_eq!(why_illegal("a.b_C-9"), None);
}

#[test]
fn threat_04_own_topics_are_refused_to_super_users() {
    let mut bench = Bench::acls(&[]).user("root");
    let refused = answer(bench.judge(&DescribeProducers, KEY, 0, &request(&[AUDIT])), KEY, 0);
    assert_eq!(told(&refused), [failed(AUDIT, 29, DENIED)]);
}

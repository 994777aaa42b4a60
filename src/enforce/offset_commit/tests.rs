use super::*;
use crate::enforce::rule::Then;
use crate::enforce::testing::{AUDIT, Bench, STATE, answer, finished, forwarded, id, rewritten};
use crate::wire::Node;

const KEY: ApiKey = ApiKey::OFFSET_COMMIT;
const READ_G: &str = r#"{ allow: [Read], principals: ["User:alice"], resources: ["group:g1"] }"#;
const READ_A: &str = r#"{ allow: [Read], principals: ["User:alice"], resources: ["topic:a*"] }"#;
const DESCRIBE_A: &str = r#"{ allow: [Describe], principals: ["User:alice"], resources: ["topic:a*"] }"#;
const OFFSETS: &str = r#"{ allow: [OffsetsWrite], principals: ["User:alice"], resources: ["group:g1"] }"#;
const MEMBER: i32 = 5;

fn named(generation: i32, topics: &[&str]) -> Node {
    commit(generation, topics.iter().map(|name| (*name, 0)))
}

fn by_id(generation: i32, topics: &[u8]) -> Node {
    commit(generation, topics.iter().map(|number| ("", *number)))
}

fn commit<'a>(generation: i32, topics: impl Iterator<Item = (&'a str, u8)>) -> Node {
    let mut request = Node::request(KEY)
        .with(req::GROUP_ID, "g1")
        .with(req::MEMBER_ID, "m1")
        .with(req::GENERATION_ID_OR_MEMBER_EPOCH, generation);
    for (name, number) in topics {
        let mut node = request.child(req::TOPICS).with(topic::NAME, name).with(topic::TOPIC_ID, id(number));
        for index in [0, 3] {
            let part = node
                .child(topic::PARTITIONS)
                .with(partition::PARTITION_INDEX, index)
                .with(partition::COMMITTED_OFFSET, 40 + i64::from(index));
            node.push(topic::PARTITIONS, part);
        }
        request.push(req::TOPICS, node);
    }
    request
}

/// A topic by name and id, with index and error of its partitions.
type Told = (String, u8, Vec<(i64, i64)>);

fn told(answer: &Node) -> Vec<Told> {
    let row = |p: &Node| (p.int(answer_partition::PARTITION_INDEX), p.int(answer_partition::ERROR_CODE));
    answer
        .nodes(res::TOPICS)
        .iter()
        .map(|t| {
            let rows = t.nodes(answer_topic::PARTITIONS).iter().map(row).collect();
            (t.str(answer_topic::NAME).to_owned(), t.uuid(answer_topic::TOPIC_ID).0[0], rows)
        })
        .collect()
}

fn failed(name: &str, number: u8, error: i64) -> Told {
    (name.to_owned(), number, vec![(0, error), (3, error)])
}

fn served(topics: &[(&str, u8)]) -> Node {
    let mut answer = Node::response(KEY);
    for (name, number) in topics {
        let mut node =
            answer.child(res::TOPICS).with(answer_topic::NAME, *name).with(answer_topic::TOPIC_ID, id(*number));
        for index in [0, 3] {
            let part = node.child(answer_topic::PARTITIONS).with(answer_partition::PARTITION_INDEX, index);
            node.push(answer_topic::PARTITIONS, part);
        }
        answer.push(res::TOPICS, node);
    }
    answer
}

#[test]
fn a_member_commits_what_it_may_read() {
    for version in 2..=9 {
        let mut bench = Bench::acls(&[READ_G, READ_A]);
        assert!(matches!(
            forwarded(bench.judge(&OffsetCommit, KEY, version, &named(MEMBER, &["a1", "a2"]))),
            Then::Stream
        ));
        assert_eq!(bench.decided(), ["Read group:g1 allowed", "Read topic:a1 allowed", "Read topic:a2 allowed"]);
        assert_eq!((bench.trail.category, bench.trail.arguments.clone()), (None, None));
    }
}

#[test]
fn a_denied_group_fails_every_partition_with_30_and_asks_no_topic() {
    for version in 2..=9 {
        let mut bench = Bench::acls(&[READ_A]);
        let refused = answer(bench.judge(&OffsetCommit, KEY, version, &named(MEMBER, &["x", "a1"])), KEY, version);
        assert_eq!(told(&refused), [failed("x", 0, 30), failed("a1", 0, 30)]);
        assert_eq!(bench.decided(), ["Read group:g1 denied"]);
    }
}

#[test]
fn a_denied_topic_never_reaches_the_broker_and_stands_first() {
    for version in 2..=9 {
        let mut bench = Bench::acls(&[READ_G, READ_A]);
        let request = named(MEMBER, &["a1", "x", "a2", "x"]);
        let (sent, then) = rewritten(bench.judge(&OffsetCommit, KEY, version, &request));
        assert_eq!(sent.nodes(req::TOPICS).len(), 2);
        let broker = served(&[("a1", 0), ("a2", 0)]);
        let told = told(&finished(bench.complete(then, KEY, version, &broker), KEY, version));
        let twice = ("x".to_owned(), 0, vec![(0, 29), (3, 29), (0, 29), (3, 29)]);
        assert_eq!(told, [twice, failed("a1", 0, 0), failed("a2", 0, 0)], "a topic named twice is answered once");
    }
}

#[test]
fn nothing_goes_to_the_broker_when_every_topic_is_denied() {
    let mut bench = Bench::acls(&[READ_G, DESCRIBE_A]);
    let refused = answer(bench.judge(&OffsetCommit, KEY, 9, &named(MEMBER, &["a1"])), KEY, 9);
    assert_eq!(told(&refused), [failed("a1", 0, 29)]);
}

#[test]
fn ids_are_looked_up_once_and_then_unknown() {
    let mut bench = Bench::acls(&[READ_G, READ_A]).topics(&["a1", "x"]);
    let request = by_id(MEMBER, &[1, 2, 9]);
    assert!(matches!(bench.judge(&OffsetCommit, KEY, 10, &request), Verdict::Probe(ids) if ids == [id(9)]));
    bench.looked_up = true;
    let (sent, then) = rewritten(bench.judge(&OffsetCommit, KEY, 10, &request));
    assert_eq!(sent.nodes(req::TOPICS).len(), 1);
    let told = told(&finished(bench.complete(then, KEY, 10, &served(&[("", 1)])), KEY, 10));
    assert_eq!(told, [failed("", 2, 29), failed("", 9, 100), failed("", 1, 0)]);
}

#[test]
fn threat_25_any_negative_generation_is_the_admin_form_and_its_arguments_are_recorded() {
    for generation in [-1, -5, i32::MIN] {
        let mut bench = Bench::acls(&[OFFSETS, DESCRIBE_A]);
        forwarded(bench.judge(&OffsetCommit, KEY, 9, &named(generation, &["a1"])));
        assert_eq!(bench.trail.category, Some(Category::GroupWrite));
        assert_eq!(
            bench.trail.arguments.as_deref(),
            Some(
                r#"{"group":"g1","topics":[{"name":"a1","partitions":[{"index":0,"offset":40},{"index":3,"offset":43}]}]}"#
            )
        );
    }
    let mut bench = Bench::acls(&[OFFSETS, DESCRIBE_A]);
    let refused = answer(bench.judge(&OffsetCommit, KEY, 9, &named(0, &["a1"])), KEY, 9);
    assert_eq!(told(&refused), [failed("a1", 0, 30)], "a member's commit needs Read");
}

#[test]
fn threat_26_offsets_write_asks_for_describe_of_topics_and_read_does_not_change() {
    let mut bench = Bench::acls(&[OFFSETS, DESCRIBE_A]);
    let (_, _) = rewritten(bench.judge(&OffsetCommit, KEY, 9, &named(-1, &["a1", "hidden"])));
    assert_eq!(bench.decided(), ["Read group:g1 allowed", "Describe topic:a1 allowed", "Describe topic:hidden denied"]);
    let mut bench = Bench::acls(&[READ_G, DESCRIBE_A]);
    let refused = answer(bench.judge(&OffsetCommit, KEY, 9, &named(-1, &["a1"])), KEY, 9);
    assert_eq!(told(&refused), [failed("a1", 0, 29)], "Read on the group leaves the topics at Read");
}

#[test]
fn threat_26_a_deny_of_read_on_the_group_denies_offsets_write() {
    let deny = r#"{ deny: [Read], principals: ["User:alice"], resources: ["group:g1"] }"#;
    let mut bench = Bench::acls(&[OFFSETS, DESCRIBE_A, deny]);
    let refused = answer(bench.judge(&OffsetCommit, KEY, 9, &named(-1, &["a1"])), KEY, 9);
    assert_eq!(told(&refused), [failed("a1", 0, 30)]);
}

#[test]
fn threat_04_offsets_of_own_topics_are_for_those_who_may_read_them_by_name() {
    let all = r#"{ allow: [All], principals: ["User:alice"], resources: ["topic:*"] }"#;
    for topics in [[AUDIT], [STATE]] {
        for user in ["alice", "root"] {
            let mut bench = Bench::acls(&[READ_G, all]).user(user);
            let refused = answer(bench.judge(&OffsetCommit, KEY, 9, &named(MEMBER, &topics)), KEY, 9);
            assert_eq!(told(&refused), [failed(topics[0], 0, 29)], "{user}");
        }
    }
    let literal = format!(r#"{{ allow: [Read], principals: ["User:alice"], resources: ["topic:{AUDIT}"] }}"#);
    forwarded(Bench::acls(&[READ_G, &literal]).judge(&OffsetCommit, KEY, 9, &named(MEMBER, &[AUDIT])));
}

use super::*;
use crate::enforce::testing::{AUDIT, Bench, answer, finished, forwarded, rewritten};

fn acl(operation: &str, resource: &str) -> String {
    format!(r#"{{ allow: [{operation}], principals: ["User:alice"], resources: ["{resource}"] }}"#)
}

fn bench(acls: &[(&str, &str)]) -> Bench {
    let acls: Vec<String> = acls.iter().map(|(operation, resource)| acl(operation, resource)).collect();
    Bench::acls(&acls.iter().map(String::as_str).collect::<Vec<_>>())
}

const DELETE_GROUPS: ApiKey = ApiKey::DELETE_GROUPS;

fn delete(ids: &[&str]) -> Node {
    Node::request(DELETE_GROUPS).with(req::GROUPS_NAMES, ids.to_vec())
}

fn results(answer: &Node) -> Vec<(&str, i64)> {
    answer.nodes(res::RESULTS).iter().map(|r| (r.str(result::GROUP_ID), r.int(result::ERROR_CODE))).collect()
}

#[test]
fn denied_groups_never_reach_the_broker_stand_last_and_doubles_are_answered_once() {
    for version in 0..=3 {
        let mut bench = bench(&[("Delete", "group:g*")]);
        let request = delete(&["x", "g1", "x", "g2", "g1"]);
        let (sent, then) = rewritten(bench.judge(&DeleteGroups, DELETE_GROUPS, version, &request));
        assert_eq!(sent.strs(req::GROUPS_NAMES).collect::<Vec<_>>(), ["g1", "g2"]);
        let mut broker = Node::response(DELETE_GROUPS);
        for id in ["g1", "g2"] {
            let node = broker.child(res::RESULTS).with(result::GROUP_ID, id).with(result::ERROR_CODE, 68);
            broker.push(res::RESULTS, node);
        }
        let answer = finished(bench.complete(then, DELETE_GROUPS, version, &broker), DELETE_GROUPS, version);
        assert_eq!(results(&answer), [("g1", 68), ("g2", 68), ("x", 30)]);
        assert!(answer.nodes(res::RESULTS)[2].is_null(result::ERROR_MESSAGE));
        assert_eq!(bench.trail.arguments.as_deref(), Some(r#"{"groups":["x","g1","x","g2","g1"]}"#));
    }
}

#[test]
fn groups_that_may_be_deleted_go_on_and_offsets_write_is_not_enough() {
    let mut allowed = bench(&[("Delete", "group:g1")]);
    forwarded(allowed.judge(&DeleteGroups, DELETE_GROUPS, 3, &delete(&["g1", "g1"])));
    let mut offsets = bench(&[("OffsetsWrite", "group:g1")]);
    let refused = answer(offsets.judge(&DeleteGroups, DELETE_GROUPS, 3, &delete(&["g1"])), DELETE_GROUPS, 3);
    assert_eq!(results(&refused), [("g1", 30)]);
}

mod offsets {
    use super::*;
    use crate::wire::schema::offset_delete::request::{
        self as req, offset_delete_request_partition as partition, offset_delete_request_topic as topic,
    };
    use crate::wire::schema::offset_delete::response::{
        self as res, offset_delete_response_partition as answer_partition, offset_delete_response_topic as answer_topic,
    };

    const KEY: ApiKey = ApiKey::OFFSET_DELETE;

    fn request(topics: &[&str]) -> Node {
        let mut request = Node::request(KEY).with(req::GROUP_ID, "g1");
        for name in topics {
            let mut node = request.child(req::TOPICS).with(topic::NAME, *name);
            let part = node.child(topic::PARTITIONS).with(partition::PARTITION_INDEX, 3);
            node.push(topic::PARTITIONS, part);
            request.push(req::TOPICS, node);
        }
        request
    }

    fn served(error: i16, topics: &[&str]) -> Node {
        let mut answer = Node::response(KEY).with(res::ERROR_CODE, error);
        for name in topics {
            let node = answer.child(res::TOPICS).with(answer_topic::NAME, *name);
            answer.push(res::TOPICS, node);
        }
        answer
    }

    /// A topic, with index and error of its partitions.
    type Told<'a> = (&'a str, Vec<(i64, i64)>);

    fn told(answer: &Node) -> (i64, Vec<Told<'_>>) {
        let row = |p: &Node| (p.int(answer_partition::PARTITION_INDEX), p.int(answer_partition::ERROR_CODE));
        let topics = answer.nodes(res::TOPICS).iter();
        let topics =
            topics.map(|t| (t.str(answer_topic::NAME), t.nodes(answer_topic::PARTITIONS).iter().map(row).collect()));
        (answer.int(res::ERROR_CODE), topics.collect())
    }

    #[test]
    fn a_denied_group_fails_as_a_whole() {
        let mut bench = bench(&[("Read", "group:g1"), ("Read", "topic:*")]);
        let refused = answer(bench.judge(&OffsetDelete, KEY, 0, &request(&["a1"])), KEY, 0);
        assert_eq!(told(&refused), (30, vec![]));
        assert_eq!(bench.decided(), ["Delete group:g1 denied"]);
    }

    #[test]
    fn denied_topics_stand_first_unless_the_coordinator_refuses_the_group() {
        for (error, expected) in [(0, vec![("x", vec![(3, 29)]), ("a1", vec![])]), (69, vec![])] {
            let mut bench = bench(&[("Delete", "group:g1"), ("Read", "topic:a*")]);
            let (sent, then) = rewritten(bench.judge(&OffsetDelete, KEY, 0, &request(&["a1", "x"])));
            assert_eq!(sent.nodes(req::TOPICS).len(), 1);
            let broker = served(error, if error == 0 { &["a1"] } else { &[] });
            let answer = finished(bench.complete(then, KEY, 0, &broker), KEY, 0);
            assert_eq!(told(&answer), (i64::from(error), expected));
            assert_eq!(
                bench.trail.arguments.as_deref(),
                Some(
                    r#"{"group":"g1","topics":[{"name":"a1","partitions":[{"index":3}]},{"name":"x","partitions":[{"index":3}]}]}"#
                )
            );
        }
    }

    #[test]
    fn threat_26_offsets_write_stands_in_for_delete_and_asks_for_describe_of_topics() {
        let mut allowed = bench(&[("OffsetsWrite", "group:g1"), ("Describe", "topic:a*")]);
        forwarded(allowed.judge(&OffsetDelete, KEY, 0, &request(&["a1"])));
        assert_eq!(allowed.decided(), ["Delete group:g1 allowed", "Describe topic:a1 allowed"]);
        assert_eq!(allowed.trail.records()[0].decision.right(), Some("OffsetsWrite"));
        let mut plain = bench(&[("Delete", "group:g1"), ("Describe", "topic:a*")]);
        let (sent, then) = rewritten(plain.judge(&OffsetDelete, KEY, 0, &request(&["a1"])));
        assert!(sent.nodes(req::TOPICS).is_empty());
        let refused = finished(plain.complete(then, KEY, 0, &served(0, &[])), KEY, 0);
        assert_eq!(told(&refused), (0, vec![("a1", vec![(3, 29)])]));
    }

    #[test]
    fn threat_04_offsets_of_own_topics_are_not_deleted() {
        let mut bench = bench(&[("All", "*")]).user("root");
        let (sent, then) = rewritten(bench.judge(&OffsetDelete, KEY, 0, &request(&[AUDIT])));
        assert!(sent.nodes(req::TOPICS).is_empty());
        let refused = finished(bench.complete(then, KEY, 0, &served(0, &[])), KEY, 0);
        assert_eq!(told(&refused), (0, vec![(AUDIT, vec![(3, 29)])]));
    }

    #[test]
    fn that_there_is_no_such_group_is_told_also_where_every_topic_is_denied() {
        let mut bench = bench(&[("Delete", "group:g1")]);
        let (_, then) = rewritten(bench.judge(&OffsetDelete, KEY, 0, &request(&["x"])));
        let answer = finished(bench.complete(then, KEY, 0, &served(69, &[])), KEY, 0);
        assert_eq!(told(&answer), (69, vec![]));
    }
}

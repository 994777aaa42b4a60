use super::*;
use crate::enforce::testing::{AUDIT, Bench, STATE, answer, finished, forwarded, id, rewritten};

const DESCRIBE_G: &str = r#"{ allow: [Describe], principals: ["User:alice"], resources: ["group:g*"] }"#;
const READ_G: &str = r#"{ allow: [Read], principals: ["User:alice"], resources: ["group:g1"] }"#;
const DELETE_G: &str = r#"{ allow: [Delete], principals: ["User:alice"], resources: ["group:g1"] }"#;
const WRITES_G: &str = r#"{ allow: [OffsetsWrite], principals: ["User:alice"], resources: ["group:g1"] }"#;
const READ_A: &str = r#"{ allow: [Read], principals: ["User:alice"], resources: ["topic:a*"] }"#;
const DESCRIBE_A: &str = r#"{ allow: [Describe], principals: ["User:alice"], resources: ["topic:a*"] }"#;

mod describing {
    use super::*;
    use describe::request::{
        self as req, describe_share_group_offsets_request_group as asked,
        describe_share_group_offsets_request_topic as wanted,
    };
    use describe::response::{
        self as res, describe_share_group_offsets_response_group as told,
        describe_share_group_offsets_response_partition as partition,
        describe_share_group_offsets_response_topic as topic,
    };

    const KEY: ApiKey = ApiKey::DESCRIBE_SHARE_GROUP_OFFSETS;

    fn request(groups: &[(&str, Option<&[&str]>)]) -> Node {
        let mut request = Node::request(KEY);
        for (group, topics) in groups {
            let mut node = request.child(req::GROUPS).with(asked::GROUP_ID, *group);
            match topics {
                None => node.set(asked::TOPICS, Value::Null),
                Some(names) => {
                    for name in *names {
                        let topic = node
                            .child(asked::TOPICS)
                            .with(wanted::TOPIC_NAME, *name)
                            .with(wanted::PARTITIONS, Value::Ints(vec![0]));
                        node.push(asked::TOPICS, topic);
                    }
                }
            }
            request.push(req::GROUPS, node);
        }
        request
    }

    fn broker(groups: &[(&str, i16, &[&str])]) -> Node {
        let mut answer = Node::response(KEY);
        for (group, error, topics) in groups {
            let mut node = answer.child(res::GROUPS).with(told::GROUP_ID, *group).with(told::ERROR_CODE, *error);
            for name in *topics {
                let mut entry = node.child(told::TOPICS).with(topic::TOPIC_NAME, *name).with(topic::TOPIC_ID, id(1));
                let served = entry.child(topic::PARTITIONS).with(partition::START_OFFSET, 5i64);
                entry.push(topic::PARTITIONS, served);
                node.push(told::TOPICS, entry);
            }
            answer.push(res::GROUPS, node);
        }
        answer
    }

    /// Name, error, offset.
    type Topic = (String, i64, i64);

    /// Group and its error; of its topics name, error, offset.
    fn shown(answer: &Node) -> Vec<(String, i64, Vec<Topic>)> {
        let of = |entry: &Node| {
            let p = &entry.nodes(topic::PARTITIONS)[0];
            (entry.str(topic::TOPIC_NAME).to_owned(), p.int(partition::ERROR_CODE), p.int(partition::START_OFFSET))
        };
        let group = |g: &Node| {
            let topics = g.nodes(told::TOPICS).iter().map(of).collect();
            (g.str(told::GROUP_ID).to_owned(), g.int(told::ERROR_CODE), topics)
        };
        answer.nodes(res::GROUPS).iter().map(group).collect()
    }

    fn row(name: &str, error: i64, offset: i64) -> (String, i64, i64) {
        (name.to_owned(), error, offset)
    }

    #[test]
    fn groups_and_topics_are_refused_each_at_its_place() {
        for version in 0..=1 {
            let mut bench = Bench::acls(&[DESCRIBE_G, DESCRIBE_A]);
            let request = request(&[("x", None), ("g1", Some(&["b", "a1"])), ("g2", Some(&["b"]))]);
            let (sent, then) = rewritten(bench.judge(&DescribeShareGroupOffsets, KEY, version, &request));
            assert_eq!(sent, super::describing::request(&[("g1", Some(&["a1"])), ("g2", Some(&[]))]));
            let broker = broker(&[("g1", 0, &["a1"]), ("g2", 16, &[])]);
            let answer = finished(bench.complete(then, KEY, version, &broker), KEY, version);
            assert_eq!(
                shown(&answer),
                [
                    ("x".to_owned(), 30, vec![]),
                    ("g1".to_owned(), 0, vec![row("a1", 0, 5), row("b", 29, -1)]),
                    ("g2".to_owned(), 16, vec![]),
                ]
            );
            let refused = &answer.nodes(res::GROUPS)[1].nodes(told::TOPICS)[1];
            assert!(refused.uuid(topic::TOPIC_ID).is_zero(), "not even its id is shown");
            assert_eq!(
                refused.nodes(topic::PARTITIONS)[0].str(partition::ERROR_MESSAGE),
                "Topic authorization failed."
            );
        }
    }

    #[test]
    fn a_listing_leaves_out_what_may_not_be_described() {
        let mut bench = Bench::acls(&[DESCRIBE_G, DESCRIBE_A]);
        let then = forwarded(bench.judge(&DescribeShareGroupOffsets, KEY, 1, &request(&[("g1", None)])));
        let answer = finished(bench.complete(then, KEY, 1, &broker(&[("g1", 0, &["a1", "b", AUDIT])])), KEY, 1);
        assert_eq!(shown(&answer), [("g1".to_owned(), 0, vec![row("a1", 0, 5)])]);
        assert!(bench.decided().contains(&"Describe topic:b denied?".to_owned()));
    }

    #[test]
    fn what_is_all_allowed_streams_and_what_is_all_denied_stays_here() {
        let mut bench = Bench::acls(&[DESCRIBE_G, DESCRIBE_A]);
        let verdict = bench.judge(&DescribeShareGroupOffsets, KEY, 1, &request(&[("g1", Some(&["a1"]))]));
        assert!(matches!(forwarded(verdict), Then::Stream));
        let verdict =
            Bench::acls(&[]).judge(&DescribeShareGroupOffsets, KEY, 1, &request(&[("g1", None), ("x", None)]));
        let told = shown(&answer(verdict, KEY, 1));
        assert_eq!(told, [("g1".to_owned(), 30, vec![]), ("x".to_owned(), 30, vec![])]);
    }
}

fn request(shape: &Changing, names: &[&str]) -> Node {
    let mut request = Node::request(shape.api).with(shape.group, "g1");
    for name in names {
        let mut topic = request.child(shape.topics).with(shape.name, *name);
        if shape.api == ApiKey::ALTER_SHARE_GROUP_OFFSETS {
            use alter::request::alter_share_group_offsets_request_topic as asked;
            let partition = topic.child(asked::PARTITIONS);
            topic.push(asked::PARTITIONS, partition);
        }
        request.push(shape.topics, topic);
    }
    request
}

fn both() -> [(&'static Changing, &'static str); 2] {
    [(&ALTER, READ_G), (&DELETE, DELETE_G)]
}

#[test]
fn the_group_is_asked_first_and_its_refusal_has_a_text() {
    for (shape, _) in both() {
        let mut bench = Bench::acls(&[READ_A, DESCRIBE_G]);
        let refused = answer(bench.judge(shape, shape.api, 0, &request(shape, &["a1"])), shape.api, 0);
        assert_eq!((refused.int(shape.error), refused.str(shape.message)), (30, "Group authorization failed."));
        assert_eq!(bench.decided(), [format!("{} group:g1 denied", shape.operation)]);
    }
}

#[test]
fn denied_topics_never_reach_the_broker_and_stand_first() {
    for (shape, group) in both() {
        let mut bench = Bench::acls(&[group, READ_A]).topics(&["a1", "b"]).fresh();
        let (sent, then) = rewritten(bench.judge(shape, shape.api, 0, &request(shape, &["a1", "b", AUDIT])));
        assert_eq!(sent, request(shape, &["a1"]));
        let broker = Node::response(shape.api);
        let served = broker.child(shape.answer_topics);
        let name = served.def().find("TopicName").unwrap();
        let broker = broker.with(shape.answer_topics, vec![served.with(name, "a1")]);
        let answer = finished(bench.complete(then, shape.api, 0, &broker), shape.api, 0);
        let names: Vec<_> = answer.nodes(shape.answer_topics).iter().map(|t| t.str(name).to_owned()).collect();
        assert_eq!(names, ["b", AUDIT, "a1"]);
        let refused = format!("{:?}", answer.nodes(shape.answer_topics)[0]);
        assert!(refused.contains("ErrorCode: 29, ErrorMessage: \"Topic authorization failed.\""), "{refused}");
        // As in Kafka: altering shows the id of a topic that exists, deleting shows none.
        assert_eq!(refused.contains("TopicId"), shape.api == ApiKey::ALTER_SHARE_GROUP_OFFSETS, "{refused}");
    }
}

#[test]
fn threat_04_the_id_of_an_own_topic_is_neither_told_nor_looked_up() {
    use alter::response::{self as res, alter_share_group_offsets_response_topic as topic};
    // Whether the topology holds the topic or not.
    for bench in [Bench::acls(&[READ_G, READ_A]).topics(&["a1", AUDIT, STATE, "b"]), Bench::acls(&[READ_G, READ_A])] {
        let mut bench = bench;
        let (sent, then) = rewritten(bench.judge(&ALTER, ALTER.api, 0, &request(&ALTER, &["a1", AUDIT, STATE])));
        assert_eq!(sent, request(&ALTER, &["a1"]));
        let answer = finished(bench.complete(then, ALTER.api, 0, &Node::response(ALTER.api)), ALTER.api, 0);
        let told = answer.nodes(res::RESPONSES).iter();
        let told: Vec<_> = told.map(|t| (t.str(topic::TOPIC_NAME), t.uuid(topic::TOPIC_ID))).collect();
        assert_eq!(told, [(AUDIT, TopicId::ZERO), (STATE, TopicId::ZERO)]);
    }
}

#[test]
fn refused_topics_stand_among_those_that_the_broker_does_not_know_as_they_were_asked_for() {
    use alter::response::{
        self as res, alter_share_group_offsets_response_partition as partition,
        alter_share_group_offsets_response_topic as topic,
    };
    let told = |name: &str, errors: &[i16]| {
        let rows: Vec<Node> =
            errors.iter().map(|code| Node::new(&partition::THIS).with(partition::ERROR_CODE, *code)).collect();
        Node::new(&topic::THIS).with(topic::TOPIC_NAME, name).with(topic::PARTITIONS, rows)
    };
    let mut bench = Bench::acls(&[READ_G, READ_A]).fresh();
    let asked = request(&ALTER, &["x", "a-gone", "y", "a1", "a2", "a-gone-too", "z"]);
    let (_, then) = rewritten(bench.judge(&ALTER, ALTER.api, 0, &asked));
    // What it knows comes behind, in its own order, whatever became of the partitions.
    let broker = [told("a-gone", &[3]), told("a-gone-too", &[3, 3]), told("a2", &[0, 3]), told("a1", &[0])];
    let broker = Node::response(ALTER.api).with(res::RESPONSES, broker.to_vec());
    let answer = finished(bench.complete(then, ALTER.api, 0, &broker), ALTER.api, 0);
    let names: Vec<_> = answer.nodes(res::RESPONSES).iter().map(|t| t.str(topic::TOPIC_NAME)).collect();
    assert_eq!(names, ["x", "a-gone", "y", "a-gone-too", "z", "a2", "a1"]);
}

#[test]
fn an_error_of_the_whole_answer_stands_alone() {
    for (shape, group) in both() {
        let mut bench = Bench::acls(&[group, READ_A]).fresh();
        let (_, then) = rewritten(bench.judge(shape, shape.api, 0, &request(shape, &["a1", "b"])));
        let failed = Node::response(shape.api).with(shape.error, 16i16);
        assert_eq!(finished(bench.complete(then, shape.api, 0, &failed), shape.api, 0), failed);
    }
}

#[test]
fn offsets_write_stands_in_and_then_describe_is_enough() {
    for (shape, _) in both() {
        let mut bench = Bench::acls(&[WRITES_G, DESCRIBE_A]);
        assert!(matches!(forwarded(bench.judge(shape, shape.api, 0, &request(shape, &["a1"]))), Then::Stream));
        assert!(bench.decided().contains(&"Describe topic:a1 allowed".to_owned()));
        let arguments = bench.trail.arguments.clone().unwrap();
        assert!(arguments.contains(r#""group":"g1""#) && arguments.contains(r#""name":"a1""#), "{arguments}");
    }
}

#[test]
fn partitions_of_denied_topics_are_gathered_by_name_and_the_id_of_a_young_topic_is_told() {
    use alter::request::{self as req, alter_share_group_offsets_request_topic as asked};
    use alter::response::{self as res, alter_share_group_offsets_response_topic as topic};
    let mut twice = request(&ALTER, &["b", "c", "b"]);
    twice.nodes_mut(req::TOPICS)[1].nodes_mut(asked::PARTITIONS).clear();
    let mut bench = Bench::acls(&[READ_G, READ_A]);
    let Verdict::Probe(ids) = bench.judge(&ALTER, ALTER.api, 0, &twice) else { panic!("not looked up") };
    assert_eq!(ids, [TopicId::ZERO]);
    let mut bench = bench.topics(&["b"]).fresh();
    let (_, then) = rewritten(bench.judge(&ALTER, ALTER.api, 0, &twice));
    let answer = finished(bench.complete(then, ALTER.api, 0, &Node::response(ALTER.api)), ALTER.api, 0);
    let told = answer.nodes(res::RESPONSES).iter();
    let told: Vec<_> =
        told.map(|t| (t.str(topic::TOPIC_NAME), t.uuid(topic::TOPIC_ID), t.nodes(topic::PARTITIONS).len())).collect();
    assert_eq!(told, [("b", id(1), 2)]);
    // Deleting tells no ids: nothing is looked up, and each is answered.
    let mut bench = Bench::acls(&[DELETE_G]);
    rewritten(bench.judge(&DELETE, DELETE.api, 0, &request(&DELETE, &["b", "b"])));
}

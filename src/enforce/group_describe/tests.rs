use super::*;
use crate::enforce::testing::{AUDIT, Bench, answer, finished, forwarded, rewritten};
use crate::wire::schema::consumer_group_describe::response::{assignment, member, topic_partitions};

const DESCRIBE_G: &str = r#"{ allow: [Describe], principals: ["User:alice"], resources: ["group:g*"] }"#;
const DESCRIBE_A: &str = r#"{ allow: [Describe], principals: ["User:alice"], resources: ["topic:a*"] }"#;
const MIN: i64 = -2_147_483_648;

const DESCRIBE: i64 = 256;
const EVERYTHING: i64 = 3400;

fn every() -> [(&'static GroupDescribe, i16, i16); 4] {
    [
        (&DESCRIBE_GROUPS, 0, 6),
        (&CONSUMER_GROUP_DESCRIBE, 0, 1),
        (&SHARE_GROUP_DESCRIBE, 1, 1),
        (&STREAMS_GROUP_DESCRIBE, 0, 1),
    ]
}

fn request(shape: &GroupDescribe, ids: &[&str], include: bool) -> Node {
    Node::request(shape.api).with(shape.ids, ids.to_vec()).with(shape.include, include)
}

fn served(shape: &GroupDescribe, groups: &[(&str, i16)]) -> Node {
    let mut answer = Node::response(shape.api);
    for (id, error) in groups {
        let group = answer.child(shape.groups).with(shape.id, *id).with(shape.error, *error);
        answer.push(shape.groups, group);
    }
    answer
}

fn told(shape: &GroupDescribe, answer: &Node) -> Vec<(String, i64, i64)> {
    let row = |g: &Node| (g.str(shape.id).to_owned(), g.int(shape.error), g.int(shape.operations));
    answer.nodes(shape.groups).iter().map(row).collect()
}

fn row(id: &str, error: i64, operations: i64) -> (String, i64, i64) {
    (id.to_owned(), error, operations)
}

#[test]
fn denied_groups_never_reach_the_broker_hold_nothing_and_stand_first() {
    for (shape, min, max) in every() {
        for version in min..=max {
            let mut bench = Bench::acls(&[DESCRIBE_G]);
            let request = request(shape, &["g1", "x", "g2", "y"], false);
            let (sent, then) = rewritten(bench.judge(shape, shape.api, version, &request));
            assert_eq!(sent.strs(shape.ids).collect::<Vec<_>>(), ["g1", "g2"]);
            let broker = served(shape, &[("g1", 0), ("g2", 16)]);
            let answer = finished(bench.complete(then, shape.api, version, &broker), shape.api, version);
            assert_eq!(
                told(shape, &answer),
                [row("x", 30, MIN), row("y", 30, MIN), row("g1", 0, MIN), row("g2", 16, MIN)]
            );
            let refused = format!("{:?}", answer.nodes(shape.groups)[0]);
            assert_eq!(refused, r#"DescribedGroup { ErrorCode: 30, GroupId: "x" }"#, "{version}");
        }
    }
}

#[test]
fn nothing_goes_to_the_broker_when_all_is_denied_or_nothing_asked() {
    for (shape, _, max) in every() {
        let mut bench = Bench::acls(&[]);
        let all = answer(bench.judge(shape, shape.api, max, &request(shape, &["g1", "g1"], true)), shape.api, max);
        assert_eq!(told(shape, &all), [row("g1", 30, MIN), row("g1", 30, MIN)]);
        let none = answer(bench.judge(shape, shape.api, max, &request(shape, &[], true)), shape.api, max);
        assert_eq!(told(shape, &none), []);
    }
}

#[test]
fn the_bit_field_is_ours_and_only_where_the_group_has_no_error() {
    for (acl, bits) in [
        (DESCRIBE_G, DESCRIBE),
        (r#"{ allow: [All], principals: ["User:alice"], resources: ["group:*"] }"#, EVERYTHING),
    ] {
        for (shape, _, max) in every() {
            let mut bench = Bench::acls(&[acl]);
            let then = forwarded(bench.judge(shape, shape.api, max, &request(shape, &["g1", "g2"], true)));
            let mut broker = served(shape, &[("g1", 0), ("g2", 69)]);
            // The broker's own set is that of the proxy's principal.
            broker.nodes_mut(shape.groups)[0].set(shape.operations, 3400);
            let answer = finished(bench.complete(then, shape.api, max, &broker), shape.api, max);
            assert_eq!(told(shape, &answer), [row("g1", 0, bits), row("g2", 69, MIN)]);
        }
    }
}

#[test]
fn classic_groups_without_the_bit_field_go_through_as_they_arrive() {
    for (version, include) in [(0, true), (2, true), (6, false)] {
        let verdict = Bench::acls(&[DESCRIBE_G]).judge(
            &DESCRIBE_GROUPS,
            ApiKey::DESCRIBE_GROUPS,
            version,
            &request(&DESCRIBE_GROUPS, &["g1"], include),
        );
        assert!(matches!(forwarded(verdict), Then::Stream), "{version}");
    }
}

fn with_topics(group: &str, assigned: &[&str], target: &[&str]) -> Node {
    use consumer_group_describe::response::{self as res, described_group};
    let answer = Node::response(ApiKey::CONSUMER_GROUP_DESCRIBE);
    let blank = answer.child(res::GROUPS);
    let member = blank.child(described_group::MEMBERS);
    let assignment = |field, topics: &[&str]| {
        let mut node = member.child(field);
        for name in topics {
            let topic = node.child(assignment::TOPIC_PARTITIONS).with(topic_partitions::TOPIC_NAME, *name);
            node.push(assignment::TOPIC_PARTITIONS, topic);
        }
        node
    };
    let member = member
        .clone()
        .with(member::ASSIGNMENT, assignment(member::ASSIGNMENT, assigned))
        .with(member::TARGET_ASSIGNMENT, assignment(member::TARGET_ASSIGNMENT, target));
    blank.with(described_group::GROUP_ID, group).with(described_group::MEMBERS, vec![member])
}

#[test]
fn a_group_with_a_hidden_topic_in_an_assignment_is_refused_and_blank() {
    use consumer_group_describe::response as res;
    let shape = &CONSUMER_GROUP_DESCRIBE;
    for version in 0..=1 {
        let mut bench = Bench::acls(&[DESCRIBE_G, DESCRIBE_A]);
        let request = request(shape, &["g1", "g2", "g3", "g4"], true);
        let then = forwarded(bench.judge(shape, shape.api, version, &request));
        let groups = vec![
            with_topics("g1", &["a1"], &["a2"]),
            with_topics("g2", &["x"], &[]),
            with_topics("g3", &["a1"], &["x", "a2"]),
            with_topics("g4", &[AUDIT], &[]),
        ];
        let broker = Node::response(shape.api).with(res::GROUPS, groups);
        let answer = finished(bench.complete(then, shape.api, version, &broker), shape.api, version);
        assert_eq!(
            told(shape, &answer),
            [row("g1", 0, DESCRIBE), row("g2", 29, MIN), row("g3", 29, MIN), row("g4", 29, MIN)]
        );
        assert_eq!(
            format!("{:?}", answer.nodes(shape.groups)[1]),
            r#"DescribedGroup { ErrorCode: 29, ErrorMessage: "The group has described topic(s) that the client is not authorized to describe.", GroupId: "g2" }"#
        );
        let asked = bench.decided().iter().filter(|line| line.contains("topic:x")).count();
        assert_eq!(asked, 1, "a topic is asked for once");
    }
}

#[test]
fn a_share_group_with_a_hidden_topic_is_refused_and_blank() {
    use share_group_describe::response::{self as res, assignment, described_group as group, member, topic_partitions};
    let shape = &SHARE_GROUP_DESCRIBE;
    let with = |id: &str, names: &[&str]| {
        let blank = Node::response(shape.api).child(res::GROUPS);
        let member = blank.child(group::MEMBERS);
        let mut assigned = member.child(member::ASSIGNMENT);
        for name in names {
            let topic = assigned.child(assignment::TOPIC_PARTITIONS).with(topic_partitions::TOPIC_NAME, *name);
            assigned.push(assignment::TOPIC_PARTITIONS, topic);
        }
        blank.with(group::GROUP_ID, id).with(group::MEMBERS, vec![member.with(member::ASSIGNMENT, assigned)])
    };
    let mut bench = Bench::acls(&[DESCRIBE_G, DESCRIBE_A]);
    let then = forwarded(bench.judge(shape, shape.api, 1, &request(shape, &["g1", "g2"], false)));
    let broker = Node::response(shape.api).with(res::GROUPS, vec![with("g1", &["a1"]), with("g2", &["a1", "x"])]);
    let answer = finished(bench.complete(then, shape.api, 1, &broker), shape.api, 1);
    assert_eq!(told(shape, &answer), [row("g1", 0, MIN), row("g2", 29, MIN)]);
    assert_eq!(answer.nodes(res::GROUPS)[0], with("g1", &["a1"]));
    assert_eq!(
        format!("{:?}", answer.nodes(res::GROUPS)[1]),
        r#"DescribedGroup { ErrorCode: 29, ErrorMessage: "The group has described topic(s) that the client is not authorized to describe.", GroupId: "g2" }"#
    );
}

#[test]
fn a_streams_group_with_a_hidden_topic_anywhere_in_its_topology_is_refused_and_blank() {
    use streams_group_describe::response::{
        self as res, described_group as group, subtopology, topic_info, topology, topology_description as description,
        topology_description_global_store as store, topology_description_node as node,
        topology_description_subtopology as part,
    };
    let shape = &STREAMS_GROUP_DESCRIBE;
    let blank = Node::response(shape.api).child(res::GROUPS).with(group::GROUP_ID, "g1");
    let in_topology = |field, name: &str| {
        let graph = blank.child(group::TOPOLOGY);
        let mut sub = graph.child(topology::SUBTOPOLOGIES);
        if field == subtopology::SOURCE_TOPICS || field == subtopology::REPARTITION_SINK_TOPICS {
            sub.set(field, vec![name]);
        } else {
            let info = sub.child(field).with(topic_info::NAME, name);
            sub.push(field, info);
        }
        blank.clone().with(group::TOPOLOGY, graph.with(topology::SUBTOPOLOGIES, vec![sub]))
    };
    let in_description = |place: usize, name: &str| {
        let told = blank.child(group::TOPOLOGY_DESCRIPTION);
        let own = Node::new(&node::THIS);
        let own = if place.is_multiple_of(2) {
            own.with(node::SINK_TOPIC, name)
        } else {
            own.with(node::SOURCE_TOPICS, vec![name])
        };
        let told = if place < 2 {
            let sub = told.child(description::SUBTOPOLOGIES).with(part::NODES, vec![own]);
            told.with(description::SUBTOPOLOGIES, vec![sub])
        } else {
            let field = if place < 4 { store::SOURCE } else { store::PROCESSOR };
            let global = told.child(description::GLOBAL_STORES).with(field, own);
            told.with(description::GLOBAL_STORES, vec![global])
        };
        blank.clone().with(group::TOPOLOGY_DESCRIPTION, told)
    };
    let places = |name: &str| {
        let fields = [
            subtopology::SOURCE_TOPICS,
            subtopology::REPARTITION_SINK_TOPICS,
            subtopology::REPARTITION_SOURCE_TOPICS,
            subtopology::STATE_CHANGELOG_TOPICS,
        ];
        let all = fields.map(|field| in_topology(field, name)).into_iter();
        all.chain((0..6).map(|place| in_description(place, name))).collect::<Vec<_>>()
    };
    let mut bench = Bench::acls(&[DESCRIBE_G, DESCRIBE_A]);
    for (name, error) in [("a1", 0), ("x", 29), (AUDIT, 29)] {
        for shown in places(name) {
            let then = forwarded(bench.judge(shape, shape.api, 1, &request(shape, &["g1"], false)));
            let broker = Node::response(shape.api).with(res::GROUPS, vec![shown.clone()]);
            let answer = finished(bench.complete(then, shape.api, 1, &broker), shape.api, 1);
            assert_eq!(told(shape, &answer), [row("g1", error, MIN)], "{shown:?}");
            if error != 0 {
                let refused = blank.clone().with(group::ERROR_CODE, 29i16).with(
                    group::ERROR_MESSAGE,
                    "The described group uses topics that the client is not authorized to describe.",
                );
                assert_eq!(answer.nodes(res::GROUPS)[0], refused);
            }
        }
    }
}

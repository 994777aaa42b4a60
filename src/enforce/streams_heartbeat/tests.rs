use super::*;
use crate::enforce::testing::{AUDIT, Bench, answer, finished, kind};
use crate::wire::Value;

const KEY: ApiKey = ApiKey::STREAMS_GROUP_HEARTBEAT;
const READ_G: &str = r#"{ allow: [Read], principals: ["User:alice"], resources: ["group:g1"] }"#;
const DESCRIBE_A: &str = r#"{ allow: [Describe], principals: ["User:alice"], resources: ["topic:a*"] }"#;
const CREATE_APP: &str = r#"{ allow: [Create], principals: ["User:alice"], resources: ["topic:app-*"] }"#;
const CREATE_C: &str = r#"{ allow: [Create], principals: ["User:alice"], resources: ["cluster"] }"#;
const APP: [&str; 3] = [READ_G, DESCRIBE_A, CREATE_APP];

fn heartbeat(epoch: i32) -> Node {
    Node::request(KEY).with(req::GROUP_ID, "g1").with(req::MEMBER_ID, "m1").with(req::MEMBER_EPOCH, epoch)
}

/// Source topics, repartition topics that are written, those that are read, changelogs, patterns.
#[derive(Default)]
struct Uses<'a> {
    sources: &'a [&'a str],
    sinks: &'a [&'a str],
    repartitions: &'a [&'a str],
    changelogs: &'a [&'a str],
    patterns: &'a [&'a str],
}

fn joining(uses: &Uses<'_>) -> Node {
    let request = heartbeat(0);
    let graph = request.child(req::TOPOLOGY);
    let mut sub = graph
        .child(topology::SUBTOPOLOGIES)
        .with(subtopology::SOURCE_TOPICS, uses.sources.to_vec())
        .with(subtopology::REPARTITION_SINK_TOPICS, uses.sinks.to_vec())
        .with(subtopology::SOURCE_TOPIC_REGEX, uses.patterns.to_vec());
    for (field, names) in [
        (subtopology::REPARTITION_SOURCE_TOPICS, uses.repartitions),
        (subtopology::STATE_CHANGELOG_TOPICS, uses.changelogs),
    ] {
        for name in names {
            let topic = sub.child(field).with(topic_info::NAME, *name);
            sub.push(field, topic);
        }
    }
    request.with(req::TOPOLOGY, graph.with(topology::SUBTOPOLOGIES, vec![sub]))
}

fn app() -> Node {
    joining(&Uses {
        sources: &["a1"],
        sinks: &["app-repartition"],
        repartitions: &["app-repartition"],
        changelogs: &["app-changelog"],
        patterns: &[],
    })
}

fn goes_on(bench: &mut Bench, request: &Node) -> bool {
    match bench.judge(&StreamsGroupHeartbeat, KEY, 1, request) {
        Verdict::Forward(..) => true,
        Verdict::Answer(_) => false,
        other => panic!("{}", kind(&other)),
    }
}

/// Error and text.
fn refusal(bench: &mut Bench, request: &Node) -> (i64, String) {
    let refused = answer(bench.judge(&StreamsGroupHeartbeat, KEY, 1, request), KEY, 1);
    (refused.int(res::ERROR_CODE), refused.str(res::ERROR_MESSAGE).to_owned())
}

#[test]
fn an_entitled_application_joins_stays_and_leaves() {
    for acls in [&APP[..], &[READ_G, DESCRIBE_A, CREATE_C]] {
        let mut bench = Bench::acls(acls);
        assert!(goes_on(&mut bench, &app()));
        assert_eq!(bench.trail.category, Some(Category::TopicWrite), "the broker may create topics");
        assert!(bench.trail.arguments.as_ref().is_some_and(|a| a.contains("app-changelog")));
        assert!(goes_on(&mut bench, &heartbeat(1)) && goes_on(&mut bench, &heartbeat(2)));
        assert!(goes_on(&mut bench, &heartbeat(-1)), "leaving needs no topology");
        assert_eq!(refusal(&mut bench, &heartbeat(3)).0, 110, "it is gone");
    }
}

#[test]
fn the_group_is_asked_first_then_what_is_wrong_then_every_topic() {
    let mut bench = Bench::acls(&[DESCRIBE_A, CREATE_APP]);
    assert_eq!(refusal(&mut bench, &app()).0, 30);
    assert_eq!(bench.decided(), ["Read group:g1 denied"]);
    let internal = joining(&Uses { sources: &["x", "__consumer_offsets"], ..Uses::default() });
    assert_eq!(
        refusal(&mut Bench::acls(&APP), &internal),
        (130, "Use of Kafka internal topics __consumer_offsets in a Kafka Streams topology is prohibited.".into())
    );
    let illegal = joining(&Uses { sources: &["x", "a b"], ..Uses::default() });
    assert_eq!(refusal(&mut Bench::acls(&APP), &illegal), (130, "Topic names a b are not valid topic names.".into()));
    for uses in [
        Uses { sources: &["a1", "x"], ..Uses::default() },
        Uses { sinks: &["x"], ..Uses::default() },
        Uses { repartitions: &["x"], ..Uses::default() },
        Uses { changelogs: &["x"], ..Uses::default() },
        Uses { sources: &[AUDIT], ..Uses::default() },
    ] {
        assert_eq!(refusal(&mut Bench::acls(&APP), &joining(&uses)), (29, String::new()));
    }
}

#[test]
fn threat_06_without_create_on_every_internal_topic_nothing_reaches_the_broker() {
    let mut bench = Bench::acls(&[READ_G, DESCRIBE_A]);
    assert_eq!(
        refusal(&mut bench, &app()),
        (29, "Unauthorized to CREATE on topics app-changelog, app-repartition.".into())
    );
    // One of them is one too many; a topic that is only read or written needs none.
    let mut bench = Bench::acls(&APP);
    let other = joining(&Uses { repartitions: &["app-x"], changelogs: &["a-changelog"], ..Uses::default() });
    assert_eq!(refusal(&mut bench, &other), (29, "Unauthorized to CREATE on topics a-changelog.".into()));
    assert_eq!(refusal(&mut bench, &heartbeat(1)).0, 110, "and its later heartbeats are nobody's");
    assert!(goes_on(&mut Bench::acls(&[READ_G, DESCRIBE_A]), &joining(&Uses { sources: &["a1"], ..Uses::default() })));
}

#[test]
fn threat_06_a_heartbeat_without_a_topology_goes_on_only_where_its_topology_did() {
    let mut bench = Bench::acls(&APP);
    assert_eq!(refusal(&mut bench, &heartbeat(1)), (110, String::new()));
    assert_eq!(refusal(&mut bench, &heartbeat(0)).0, 42, "who joins says what it does");
    assert!(goes_on(&mut bench, &app()));
    assert_eq!(refusal(&mut bench, &heartbeat(1).with(req::MEMBER_ID, "m2")).0, 110);
    assert!(goes_on(&mut bench, &heartbeat(1)));
    // The rights are asked for anew.
    for acls in [&[READ_G, DESCRIBE_A][..], &[READ_G, CREATE_APP]] {
        bench = bench.now_with(acls);
        assert_eq!(refusal(&mut bench, &heartbeat(2)).0, 29, "{acls:?}");
    }
    bench = bench.now_with(&APP);
    assert!(goes_on(&mut bench, &heartbeat(2)));
}

#[test]
fn threat_22_a_topology_with_a_pattern_of_source_topics_is_refused_as_kafka_refuses_it() {
    let all = r#"{ allow: [All], principals: ["User:alice"], resources: ["*"] }"#;
    let pattern = joining(&Uses { sources: &["a1"], patterns: &["a.*"], ..Uses::default() });
    for bench in [Bench::acls(&[all]), Bench::acls(&[]).user("root")] {
        let mut bench = bench;
        assert_eq!(
            refusal(&mut bench, &pattern),
            (42, "Regular expressions for source topics are not supported yet.".into())
        );
        assert_eq!(refusal(&mut bench, &heartbeat(1)).0, 110);
    }
}

#[test]
fn what_members_have_is_shown_without_topics_that_may_not_be_described() {
    let told = |names: &[&str]| {
        let answer = Node::response(KEY).with(res::MEMBER_ID, "m1");
        let mut endpoint = answer.child(res::PARTITIONS_BY_USER_ENDPOINT);
        for field in [endpoint_to_partitions::ACTIVE_PARTITIONS, endpoint_to_partitions::STANDBY_PARTITIONS] {
            for name in names {
                let topic = endpoint
                    .child(field)
                    .with(topic_partition::TOPIC, *name)
                    .with(topic_partition::PARTITIONS, Value::Ints(vec![0]));
                endpoint.push(field, topic);
            }
        }
        answer.with(res::PARTITIONS_BY_USER_ENDPOINT, vec![endpoint])
    };
    let mut bench = Bench::acls(&APP);
    for (broker, shown) in [(told(&["a1", "x"]), told(&["a1"])), (told(&[]), told(&[]))] {
        let Verdict::Forward(_, then) = bench.judge(&StreamsGroupHeartbeat, KEY, 1, &app()) else { panic!("refused") };
        assert_eq!(finished(bench.complete(then, KEY, 1, &broker), KEY, 1), shown);
    }
    let plain = Node::response(KEY).with(res::MEMBER_ID, "m1").with(res::PARTITIONS_BY_USER_ENDPOINT, Value::Null);
    let Verdict::Forward(_, then) = bench.judge(&StreamsGroupHeartbeat, KEY, 0, &app()) else { panic!("refused") };
    assert_eq!(finished(bench.complete(then, KEY, 0, &plain), KEY, 0), plain, "null stays null");
}

#[test]
fn a_status_that_names_a_topic_of_which_a_member_may_not_know_says_something_else() {
    use crate::wire::schema::streams_group_heartbeat::response::status;
    let told = |detail: &str| {
        let one = Node::new(&status::THIS).with(status::STATUS_CODE, 2i8).with(status::STATUS_DETAIL, detail);
        Node::response(KEY).with(res::MEMBER_ID, "m1").with(res::STATUS, vec![one])
    };
    let mut bench = Bench::acls(&APP).topics(&["a1", "x", "app-changelog"]);
    for (broker, shown) in [
        // Its own, one that it may describe, none that exists, a topic that it may not know of.
        ("Internal topics are missing: [app-changelog, app-repartition]", None),
        ("Following topics do not have the same number of partitions: [{a1=1, app-changelog=3}]", None),
        ("Source topics gone are missing.", None),
        ("Number of partitions [1] of repartition topic [x] doesn't match", Some(OF_OTHERS)),
        ("Existing internal topic x.", Some(OF_OTHERS)),
    ] {
        let Verdict::Forward(_, then) = bench.judge(&StreamsGroupHeartbeat, KEY, 1, &app()) else { panic!("refused") };
        let answer = finished(bench.complete(then, KEY, 1, &told(broker)), KEY, 1);
        assert_eq!(answer, told(shown.unwrap_or(broker)), "{broker}");
    }
}

#[test]
fn topologies_of_a_connection_are_bounded() {
    let mut bench = Bench::acls(&APP);
    for number in 0..200 {
        goes_on(&mut bench, &app().with(req::MEMBER_ID, format!("m{number}").as_str()));
    }
    assert_eq!(bench.memory.topologies.by_member.len(), MAX_MEMBERS);
    let names: Vec<String> = (0..=MAX_TOPICS).map(|number| format!("a{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    assert_eq!(refusal(&mut bench, &joining(&Uses { sources: &names, ..Uses::default() })).0, 130);
}

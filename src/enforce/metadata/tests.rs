use super::*;
use crate::enforce::testing::{AUDIT, Bench, STATE, answer, finished, forwarded, id, kind, rewritten, round_trip};

const KEY: ApiKey = ApiKey::METADATA;
const DESCRIBE_A: &str = r#"{ allow: [Describe], principals: ["User:alice"], resources: ["topic:a*"] }"#;
const CREATE_A: &str = r#"{ allow: [Create], principals: ["User:alice"], resources: ["topic:a-new"] }"#;
const CREATE_C: &str = r#"{ allow: [Create], principals: ["User:alice"], resources: ["cluster"] }"#;

fn named(names: &[&str]) -> Node {
    let mut request = Node::request(KEY).with(req::TOPICS, Vec::<Node>::new());
    for name in names {
        let topic = request.child(req::TOPICS).with(req_topic::NAME, *name);
        request.push(req::TOPICS, topic);
    }
    request
}

fn pairs(pairs: &[(Option<&str>, TopicId)]) -> Node {
    let mut request = named(&[]);
    for (name, id) in pairs {
        let topic = request.child(req::TOPICS).with(req_topic::NAME, *name).with(req_topic::TOPIC_ID, *id);
        request.push(req::TOPICS, topic);
    }
    request
}

fn every() -> Node {
    Node::request(KEY).with(req::TOPICS, None::<&str>)
}

/// A broker's answer with these topics: name, error.
fn broker(topics: &[(&str, i16)]) -> Node {
    let mut answer = Node::response(KEY).with(res::CLUSTER_ID, "cluster-1").with(res::CONTROLLER_ID, 2);
    for id in [1, 2] {
        let host = format!("broker-{id}.internal");
        let broker = Node::new(&res_broker::THIS)
            .with(res_broker::NODE_ID, id)
            .with(res_broker::HOST, host)
            .with(res_broker::PORT, 9092)
            .with(res_broker::RACK, "r1");
        answer.push(res::BROKERS, broker);
    }
    for (name, error) in topics {
        let id = if *error == 0 { id(9) } else { TopicId::ZERO };
        let topic = row(ErrorCode(*error), Some(name), id).with(res_topic::TOPIC_AUTHORIZED_OPERATIONS, 3576);
        answer.push(res::TOPICS, topic);
    }
    answer
}

fn told(answer: &Node) -> Vec<(i64, Option<&str>, TopicId)> {
    let row = |t| Node::int(t, res_topic::ERROR_CODE);
    answer
        .nodes(res::TOPICS)
        .iter()
        .map(|t| (row(t), t.opt_str(res_topic::NAME), t.uuid(res_topic::TOPIC_ID)))
        .collect()
}

/// Name and error of each topic of an answer.
fn errors(answer: &Node) -> Vec<(String, i64)> {
    answer
        .nodes(res::TOPICS)
        .iter()
        .map(|t| (t.str(res_topic::NAME).to_owned(), t.int(res_topic::ERROR_CODE)))
        .collect()
}

fn names(request: &Node) -> Vec<&str> {
    request.nodes(req::TOPICS).iter().map(|t| t.str(req_topic::NAME)).collect()
}

fn pair(name: &str, error: i64) -> (String, i64) {
    (name.to_owned(), error)
}

#[test]
fn addresses_are_told_ones_and_the_controller_is_one_of_them_or_none() {
    for version in 0..=13 {
        let mut bench = Bench::acls(&[]);
        let then = forwarded(bench.judge(&Metadata, KEY, version, &if version == 0 { named(&[]) } else { every() }));
        let told = finished(bench.complete(then, KEY, version, &broker(&[])), KEY, version);
        let brokers = told.nodes(res::BROKERS);
        assert_eq!(brokers.len(), 1);
        assert_eq!((brokers[0].str(res_broker::HOST), brokers[0].int(res_broker::PORT)), ("proxy.example", 19_001));
        assert_eq!(told.int(res::CONTROLLER_ID), -1);
        assert_eq!(bench.unmapped, [2]);
    }
}

#[test]
fn of_all_topics_those_without_describe_and_our_own_are_left_out_silently() {
    for version in 0..=13 {
        let mut bench = Bench::acls(&[DESCRIBE_A]);
        let request = if version == 0 { named(&[]) } else { every() };
        let then = forwarded(bench.judge(&Metadata, KEY, version, &request));
        let all = broker(&[("a1", 0), ("b", 0), (STATE, 0), (AUDIT, 0), ("a2", 0)]);
        let told = finished(bench.complete(then, KEY, version, &all), KEY, version);
        assert_eq!(errors(&told), [pair("a1", 0), pair("a2", 0)]);
        assert!(bench.decided().iter().all(|line| line.ends_with('?')), "{:?}", bench.decided());
    }
    let mut bench = Bench::acls(&[]).user("root");
    let then = forwarded(bench.judge(&Metadata, KEY, 12, &every()));
    let told = finished(bench.complete(then, KEY, 12, &broker(&[("b", 0), (STATE, 0)])), KEY, 12);
    assert_eq!(errors(&told), [pair("b", 0)]);
}

#[test]
fn an_empty_list_is_no_topic_from_version_1_on() {
    for version in 1..=13 {
        let mut bench = Bench::acls(&[]);
        let then = forwarded(bench.judge(&Metadata, KEY, version, &named(&[])));
        let told = finished(bench.complete(then, KEY, version, &broker(&[])), KEY, version);
        assert_eq!((told.nodes(res::TOPICS).len(), told.nodes(res::BROKERS).len()), (0, 1));
    }
}

#[test]
fn a_denied_name_never_reaches_the_broker_and_gets_29_with_nothing_else() {
    for version in 4..=13 {
        let mut bench = Bench::acls(&[DESCRIBE_A]);
        let request = named(&["b", "a1", "b", "c"]).with(req::ALLOW_AUTO_TOPIC_CREATION, false);
        let (sent, then) = rewritten(bench.judge(&Metadata, KEY, version, &request));
        assert_eq!(names(&sent), ["a1"]);
        let told = finished(bench.complete(then, KEY, version, &broker(&[("a1", 0)])), KEY, version);
        assert_eq!(errors(&told), [pair("a1", 0), pair("b", 29), pair("c", 29)]);
        let denied = &told.nodes(res::TOPICS)[1];
        assert_eq!(denied, &row(ErrorCode::TOPIC_AUTHORIZATION_FAILED, Some("b"), TopicId::ZERO));
    }
}

#[test]
fn where_every_name_is_denied_only_brokers_are_asked_for() {
    for version in 0..=13 {
        let mut bench = Bench::acls(&[]);
        let (sent, asked, then) = match bench.judge(&Metadata, KEY, version, &named(&["b"])) {
            Verdict::Rewrite(_, node, then) => (node, version, then),
            Verdict::Ask { key: KEY, version, body, then, .. } => (body, version, then),
            other => panic!("{}", kind(&other)),
        };
        // An empty list of version 0 would be all topics.
        assert_eq!((names(&sent).len(), asked > 0, sent.is_null(req::TOPICS)), (0, true, false));
        let told = finished(bench.complete(then, KEY, asked, &broker(&[])), KEY, version);
        assert_eq!((errors(&told), told.nodes(res::BROKERS).len()), (vec![pair("b", 29)], 1));
    }
}

#[test]
fn what_the_broker_adds_to_the_names_asked_for_is_not_shown() {
    let mut bench = Bench::acls(&[DESCRIBE_A]);
    let request = named(&["a1"]).with(req::ALLOW_AUTO_TOPIC_CREATION, false);
    let then = forwarded(bench.judge(&Metadata, KEY, 9, &request));
    let told = finished(bench.complete(then, KEY, 9, &broker(&[("a1", 0), ("secret", 0)])), KEY, 9);
    assert_eq!(errors(&told), [pair("a1", 0)]);
}

#[test]
fn ids_are_resolved_unknown_ones_are_looked_up_once_and_denied_ones_have_no_name() {
    let mut bench = Bench::acls(&[DESCRIBE_A]).topics(&["a1", "b"]);
    let request = pairs(&[(None, id(2)), (None, id(77)), (None, id(1))]);
    match bench.judge(&Metadata, KEY, 12, &request) {
        Verdict::Probe(ids) => assert_eq!(ids, [id(77)]),
        other => panic!("{}", kind(&other)),
    }
    bench.looked_up = true;
    let (sent, then) = rewritten(bench.judge(&Metadata, KEY, 12, &request));
    let ids: Vec<_> = sent.nodes(req::TOPICS).iter().map(|t| t.uuid(req_topic::TOPIC_ID)).collect();
    assert_eq!(ids, [id(1)]);
    let mut all = broker(&[]);
    all.push(res::TOPICS, row(ErrorCode::NONE, Some("a1"), id(1)));
    let answer = finished(bench.complete(then, KEY, 12, &all), KEY, 12);
    assert_eq!(told(&answer), [(100, None, id(77)), (0, Some("a1"), id(1)), (29, None, id(2))]);
}

#[test]
fn ids_alone_that_are_all_allowed_go_on_as_they_are() {
    let mut bench = Bench::acls(&[DESCRIBE_A]).topics(&["a1"]);
    let _ = forwarded(bench.judge(&Metadata, KEY, 13, &pairs(&[(None, id(1))])));
}

#[test]
fn threat_19_a_name_beside_an_id_does_not_speak_for_the_id() {
    // The broker reads the id and ignores the name.
    let mut bench = Bench::acls(&[DESCRIBE_A]).topics(&["secret", "a1"]);
    let (sent, then) = rewritten(bench.judge(&Metadata, KEY, 12, &pairs(&[(Some("a1"), id(1))])));
    assert!(sent.nodes(req::TOPICS).is_empty());
    let answer = finished(bench.complete(then, KEY, 12, &broker(&[])), KEY, 12);
    assert_eq!(told(&answer), [(29, None, id(1))]);
    assert_eq!(bench.decided(), ["Describe topic:secret denied"]);

    let mut bench = Bench::acls(&[DESCRIBE_A]).topics(&["secret", "a1"]);
    let (sent, _) = rewritten(bench.judge(&Metadata, KEY, 13, &pairs(&[(Some("secret"), id(2))])));
    let sent = &sent.nodes(req::TOPICS)[0];
    assert_eq!((sent.opt_str(req_topic::NAME), sent.uuid(req_topic::TOPIC_ID)), (None, id(2)));
}

#[test]
fn threat_19_names_are_ignored_once_any_entry_has_an_id() {
    let mut bench = Bench::acls(&[DESCRIBE_A]).topics(&["a1", "a2"]);
    let request = pairs(&[(Some("a2"), TopicId::ZERO), (None, id(1)), (Some("secret"), TopicId::ZERO)]);
    let (sent, then) = rewritten(bench.judge(&Metadata, KEY, 12, &request));
    assert_eq!(sent.nodes(req::TOPICS).len(), 1);
    let mut all = broker(&[]);
    all.push(res::TOPICS, row(ErrorCode::NONE, Some("a1"), id(1)));
    let answer = finished(bench.complete(then, KEY, 12, &all), KEY, 12);
    assert_eq!(told(&answer), [(0, Some("a1"), id(1))]);
}

#[test]
fn threat_19_ids_and_null_names_are_invalid_in_versions_10_and_11() {
    for version in [10, 11] {
        for (name, topic) in [(Some("a1"), id(1)), (None, id(1)), (None, TopicId::ZERO)] {
            let mut bench = Bench::acls(&[DESCRIBE_A]).topics(&["a1"]);
            let verdict = bench.judge(&Metadata, KEY, version, &pairs(&[(Some("a2"), TopicId::ZERO), (name, topic)]));
            let answer = answer(verdict, KEY, version);
            assert_eq!(told(&answer), [(42, Some("a2"), TopicId::ZERO), (42, Some(name.unwrap_or("")), topic)]);
            assert!(answer.nodes(res::BROKERS).is_empty() && bench.decided().is_empty());
        }
    }
}

#[test]
fn an_entry_that_names_nothing_fails_the_request_as_kafka_fails() {
    let verdict = Bench::acls(&[DESCRIBE_A]).judge(&Metadata, KEY, 12, &pairs(&[(None, TopicId::ZERO)]));
    assert_eq!(told(&answer(verdict, KEY, 12)), [(-1, Some(""), TopicId::ZERO)]);
}

/// The request that goes upstream, whichever verdict carries it: version, flag, names.
fn upstream(verdict: Verdict, version: i16, request: &Node) -> (i16, bool, Vec<String>, Then) {
    let (version, node, then) = match verdict {
        Verdict::Forward(_, then) => (version, request.clone(), then),
        Verdict::Rewrite(_, node, then) => (version, node, then),
        Verdict::Ask { version, body, then, .. } => (version, body, then),
        other => panic!("{}", kind(&other)),
    };
    let flag = version < 4 || node.bool(req::ALLOW_AUTO_TOPIC_CREATION);
    (version, flag, names(&node).into_iter().map(str::to_owned).collect(), then)
}

#[test]
fn threat_31_the_flag_goes_up_only_where_create_is_held_on_everything_named() {
    for version in 0..=13 {
        let request = named(&["a1", "a-new"]);
        // Even where the cache says that both exist.
        for topics in [&["a1", "a-new"][..], &["a1"], &[]] {
            let flag = |acls: &[&str]| {
                let mut bench = Bench::acls(acls).topics(topics);
                let verdict = bench.judge(&Metadata, KEY, version, &request);
                upstream(verdict, version, &request).1
            };
            assert!(!flag(&[DESCRIBE_A]), "version {version}");
            assert!(!flag(&[DESCRIBE_A, CREATE_A]), "version {version}");
            assert!(flag(&[DESCRIBE_A, CREATE_C]), "version {version}");
        }
    }
}

#[test]
fn threat_31_missing_names_with_create_are_asked_for_again_and_the_others_get_29() {
    for version in 0..=13 {
        let request = named(&["a1", "a-new", "a-no"]).with(req::INCLUDE_TOPIC_AUTHORIZED_OPERATIONS, version >= 8);
        let mut bench = Bench::acls(&[DESCRIBE_A, CREATE_A]).topics(&["a1"]);
        let verdict = bench.judge(&Metadata, KEY, version, &request);
        let (asked, flag, sent, then) = upstream(verdict, version, &request);
        assert_eq!((asked, flag), (version.max(4), false));
        assert_eq!(sent, ["a1", "a-new", "a-no"]);
        assert!(matches!(then, Then::Alone(_)));
        let first = broker(&[("a1", 0), ("a-new", 3), ("a-no", 3)]);
        let Completed::Ask { key, version: second_version, body, then, .. } = bench.complete(then, KEY, asked, &first)
        else {
            panic!("does not ask again");
        };
        assert_eq!((key, second_version, names(&body)), (KEY, asked, vec!["a-new"]));
        assert!(body.bool(req::ALLOW_AUTO_TOPIC_CREATION));
        let second = round_trip(KEY, second_version, &broker(&[("a-new", 5)]));
        let told = finished(bench.complete_with(then, KEY, second_version, &second), KEY, version);
        assert_eq!(errors(&told), [pair("a1", 0), pair("a-new", 5), pair("a-no", 29)]);
        if version >= 8 {
            let bits: Vec<_> =
                told.nodes(res::TOPICS).iter().map(|t| t.int(res_topic::TOPIC_AUTHORIZED_OPERATIONS)).collect();
            assert_eq!(bits, [256, 256 + 32, i64::from(i32::MIN)]);
        }
        assert_eq!(bench.trail.category, Some(Category::TopicWrite), "a Metadata that creates is a mutation");
        assert_eq!(bench.trail.arguments.as_deref(), Some(r#"{"topics":["a-new"]}"#));
        let decided = bench.decided();
        assert!(decided.contains(&"Create topic:a-new allowed".to_owned()), "{decided:?}");
        assert!(decided.contains(&"Create topic:a-no denied".to_owned()), "{decided:?}");
        assert!(!decided.iter().any(|line| line.contains("Create topic:a1")), "{decided:?}");
        // Once for the choice of the flag, where a name seemed missing, and once for all names that were.
        assert_eq!(decided.iter().filter(|line| line.starts_with("Create cluster")).count(), 2, "{decided:?}");
    }
}

#[test]
fn threat_31_nothing_is_created_for_whom_describe_is_missing() {
    let mut bench = Bench::acls(&[CREATE_C]);
    let request = named(&["a-new"]);
    let (_, _, sent, then) = upstream(bench.judge(&Metadata, KEY, 12, &request), 12, &request);
    assert!(sent.is_empty());
    let told = finished(bench.complete(then, KEY, 12, &broker(&[])), KEY, 12);
    assert_eq!(errors(&told), [pair("a-new", 29)]);
}

#[test]
fn threat_04_our_own_topics_are_not_created_by_a_super_user() {
    let auditor = r#"{ allow: [Read, Create], principals: ["User:alice"], resources: ["topic:kordon.audit"] }"#;
    let mut bench = Bench::acls(&[auditor, CREATE_C, DESCRIBE_A]);
    let request = named(&[AUDIT, STATE, "a1"]);
    let (_, flag, sent, then) = upstream(bench.judge(&Metadata, KEY, 12, &request), 12, &request);
    assert_eq!((flag, sent.as_slice()), (false, &[AUDIT.to_owned(), "a1".to_owned()][..]));
    let told = finished(bench.complete(then, KEY, 12, &broker(&[(AUDIT, 3), ("a1", 0)])), KEY, 12);
    assert_eq!(errors(&told), [pair(AUDIT, 29), pair("a1", 0), pair(STATE, 29)]);
}

#[test]
fn a_client_that_forbids_creation_sees_missing_topics_as_missing() {
    let request = named(&["a-new"]).with(req::ALLOW_AUTO_TOPIC_CREATION, false);
    let mut bench = Bench::acls(&[DESCRIBE_A]);
    let then = forwarded(bench.judge(&Metadata, KEY, 12, &request));
    let told = finished(bench.complete(then, KEY, 12, &broker(&[("a-new", 3)])), KEY, 12);
    assert_eq!(errors(&told), [pair("a-new", 3)]);
}

#[test]
fn brokers_that_create_nothing_say_so_themselves() {
    let mut bench = Bench::acls(&[DESCRIBE_A]);
    bench.topology.auto_create_off = true;
    let (_, then) = rewritten(bench.judge(&Metadata, KEY, 12, &named(&["a-new"])));
    let told = finished(bench.complete(then, KEY, 12, &broker(&[("a-new", 3)])), KEY, 12);
    assert_eq!(errors(&told), [pair("a-new", 3)]);
}

#[test]
fn an_illegal_name_is_not_asked_for_again() {
    for (acls, error) in [
        (&[DESCRIBE_A][..], 29),
        (&[DESCRIBE_A, r#"{ allow: [Create], principals: ["User:alice"], resources: ["topic:*"] }"#], 17),
    ] {
        let mut bench = Bench::acls(acls);
        let (_, then) = rewritten(bench.judge(&Metadata, KEY, 12, &named(&["a b"])));
        let told = finished(bench.complete(then, KEY, 12, &broker(&[("a b", 17)])), KEY, 12);
        assert_eq!(errors(&told), [pair("a b", error)]);
    }
}

#[test]
fn an_internal_topic_that_may_not_be_created_is_called_internal() {
    let all = r#"{ allow: [Describe], principals: ["User:alice"], resources: ["topic:*"] }"#;
    let mut bench = Bench::acls(&[all]);
    let (_, then) = rewritten(bench.judge(&Metadata, KEY, 12, &named(&["__consumer_offsets"])));
    let told = finished(bench.complete(then, KEY, 12, &broker(&[("__consumer_offsets", 3)])), KEY, 12);
    assert!(told.nodes(res::TOPICS)[0].bool(res_topic::IS_INTERNAL));
}

#[test]
fn bit_fields_are_ours() {
    for version in 8..=13 {
        for asked in [false, true] {
            let acl = r#"{ allow: [Read], principals: ["User:alice"], resources: ["topic:a1"] }"#;
            let mut bench = Bench::acls(&[acl]);
            let mut request = named(&["a1", "b"]).with(req::ALLOW_AUTO_TOPIC_CREATION, false);
            request.set(req::INCLUDE_TOPIC_AUTHORIZED_OPERATIONS, asked);
            request.set(req::INCLUDE_CLUSTER_AUTHORIZED_OPERATIONS, asked);
            let (_, then) = rewritten(bench.judge(&Metadata, KEY, version, &request));
            let told = finished(bench.complete(then, KEY, version, &broker(&[("a1", 0)])), KEY, version);
            let bits: Vec<_> =
                told.nodes(res::TOPICS).iter().map(|t| t.int(res_topic::TOPIC_AUTHORIZED_OPERATIONS)).collect();
            let none = i64::from(i32::MIN);
            assert_eq!(bits, if asked { [264, none] } else { [none, none] });
            let cluster = if asked && version <= 10 { 0 } else { none };
            assert_eq!(told.int(res::CLUSTER_AUTHORIZED_OPERATIONS), cluster, "version {version}");
        }
    }
}

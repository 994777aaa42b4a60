use super::*;
use crate::enforce::testing::{AUDIT, Bench, STATE, answer, finished, forwarded, id, kind, rewritten};

const KEY: ApiKey = ApiKey::DELETE_TOPICS;
const DELETE_A: &str = r#"{ allow: [Delete], principals: ["User:alice"], resources: ["topic:a*"] }"#;
/// The policy file knows no Delete on the cluster, as `kafka-acls.sh` knows none; `All` holds it.
const DELETE_C: &str = r#"{ allow: [All], principals: ["User:alice"], resources: ["cluster"] }"#;
const DESCRIBE_D: &str = r#"{ allow: [Describe], principals: ["User:alice"], resources: ["topic:d*"] }"#;

type Pair<'a> = (Option<&'a str>, TopicId);

fn request(version: i16, names: &[&str]) -> Node {
    if version < 6 {
        return Node::request(KEY).with(req::TOPIC_NAMES, names.to_vec());
    }
    pairs(&names.iter().map(|name| (Some(*name), TopicId::ZERO)).collect::<Vec<_>>())
}

fn pairs(pairs: &[Pair<'_>]) -> Node {
    let mut request = Node::request(KEY);
    for (name, id) in pairs {
        let topic = Node::new(&req_topic::THIS).with(req_topic::NAME, *name).with(req_topic::TOPIC_ID, *id);
        request.push(req::TOPICS, topic);
    }
    request
}

fn broker(rows: &[(Option<&str>, TopicId, i16)]) -> Node {
    let rows = rows.iter().map(|(name, id, error)| row(*name, *id, ErrorCode(*error))).collect::<Vec<_>>();
    Node::response(KEY).with(res::RESPONSES, rows)
}

fn told(answer: &Node) -> Vec<(Option<String>, TopicId, i64)> {
    let one = |t: &Node| {
        (t.opt_str(res_topic::NAME).map(str::to_owned), t.uuid(res_topic::TOPIC_ID), t.int(res_topic::ERROR_CODE))
    };
    answer.nodes(res::RESPONSES).iter().map(one).collect()
}

fn messages(answer: &Node) -> Vec<&str> {
    answer.nodes(res::RESPONSES).iter().map(|t| t.str(res_topic::ERROR_MESSAGE)).collect()
}

fn sent_names(version: i16, request: &Node) -> Vec<&str> {
    if version < 6 {
        return request.strs(req::TOPIC_NAMES).collect();
    }
    request.nodes(req::TOPICS).iter().map(|topic| topic.str(req_topic::NAME)).collect()
}

fn by_name(name: &str, error: i64) -> (Option<String>, TopicId, i64) {
    (Some(name.to_owned()), TopicId::ZERO, error)
}

#[test]
fn describe_decides_what_a_name_reveals() {
    for version in 1..=6 {
        let mut bench = Bench::acls(&[DELETE_A, DESCRIBE_D]).topics(&["a1", "d-is", "x"]).fresh();
        let names = ["x", "a1", "d-is", "d-is-not", "x-is-not"];
        let (sent, then) = rewritten(bench.judge(&DeleteTopics, KEY, version, &request(version, &names)));
        assert_eq!(sent_names(version, &sent), ["a1"]);
        let broker = broker(&[(Some("a1"), TopicId::ZERO, 0)]);
        let answer = finished(bench.complete(then, KEY, version, &broker), KEY, version);
        let expected = [("a1", 0), ("x", 29), ("d-is", 29), ("d-is-not", 3), ("x-is-not", 29)];
        assert_eq!(told(&answer), expected.map(|(name, error)| by_name(name, error)));
        if version >= 5 {
            let text = ErrorCode::TOPIC_AUTHORIZATION_FAILED.message();
            assert_eq!(messages(&answer)[1..3], [text, text]);
        }
    }
}

#[test]
fn delete_on_the_cluster_grants_every_topic_by_name_and_id() {
    let mut bench = Bench::acls(&[DELETE_C, DESCRIBE_D]).topics(&["d", "x"]);
    let _ = forwarded(bench.judge(&DeleteTopics, KEY, 6, &pairs(&[(None, id(2))])));
    let _ = forwarded(bench.judge(&DeleteTopics, KEY, 5, &request(5, &["d", "x"])));
}

#[test]
fn which_topics_there_are_is_looked_up_before_a_name_is_told_to_be_absent() {
    let mut bench = Bench::acls(&[DESCRIBE_D]);
    match bench.judge(&DeleteTopics, KEY, 5, &request(5, &["d-new"])) {
        Verdict::Probe(ids) => assert_eq!(ids, [TopicId::ZERO]),
        other => panic!("{}", kind(&other)),
    }
}

#[test]
fn by_id_the_name_is_shown_with_describe_only() {
    let mut bench = Bench::acls(&[DELETE_A, DESCRIBE_D]).topics(&["a1", "d", "x"]);
    let ids = [(None, id(3)), (None, id(2)), (None, id(1)), (None, id(77))];
    match bench.judge(&DeleteTopics, KEY, 6, &pairs(&ids)) {
        Verdict::Probe(unknown) => assert_eq!(unknown, [id(77)]),
        other => panic!("{}", kind(&other)),
    }
    bench.looked_up = true;
    let (sent, then) = rewritten(bench.judge(&DeleteTopics, KEY, 6, &pairs(&ids)));
    let sent: Vec<_> = sent.nodes(req::TOPICS).iter().map(|topic| topic.uuid(req_topic::TOPIC_ID)).collect();
    assert_eq!(sent, [id(1)]);
    let broker = broker(&[(Some("a1"), id(1), 0)]);
    let answer = finished(bench.complete(then, KEY, 6, &broker), KEY, 6);
    assert_eq!(
        told(&answer),
        [(Some("a1".into()), id(1), 0), (None, id(3), 29), (Some("d".into()), id(2), 29), (None, id(77), 100),]
    );
    assert_eq!(messages(&answer)[3], "This server does not host this topic ID.");
}

#[test]
fn malformed_entries_are_refused_before_anybody_is_asked() {
    let mut bench = Bench::acls(&[]).user("root").topics(&["a", "b"]);
    let entries = [
        (None, TopicId::ZERO),
        (Some("a"), id(1)),
        (Some("twice"), TopicId::ZERO),
        (None, id(2)),
        (Some("twice"), TopicId::ZERO),
        (None, id(2)),
    ];
    let answer = answer(bench.judge(&DeleteTopics, KEY, 6, &pairs(&entries)), KEY, 6);
    let told = told(&answer);
    assert_eq!(
        told,
        [
            (None, TopicId::ZERO, 42),
            (Some("a".into()), id(1), 42),
            (Some("twice".into()), TopicId::ZERO, 42),
            (None, id(2), 42),
        ]
    );
    assert_eq!(
        messages(&answer),
        [
            "Neither topic name nor id were specified.",
            "You may not specify both topic name and topic id.",
            "Duplicate topic name.",
            "Duplicate topic id.",
        ]
    );
}

#[test]
fn threat_19_an_entry_with_name_and_id_is_never_sent_on() {
    let mut bench = Bench::acls(&[DELETE_A]).topics(&["a1", "secret"]);
    let entries = [(Some("a1"), id(2)), (Some("a1"), TopicId::ZERO), (None, id(1))];
    let (sent, _) = rewritten(bench.judge(&DeleteTopics, KEY, 6, &pairs(&entries)));
    let sent: Vec<_> =
        sent.nodes(req::TOPICS).iter().map(|t| (t.opt_str(req_topic::NAME), t.uuid(req_topic::TOPIC_ID))).collect();
    assert_eq!(sent, [(Some("a1"), TopicId::ZERO), (None, id(1))]);
}

#[test]
fn threat_04_nobody_deletes_the_proxys_own_topics_by_name_or_id() {
    for (user, acls) in [("root", &[][..]), ("alice", &[DELETE_C, DELETE_A])] {
        let mut bench = Bench::acls(acls).user(user).topics(&[STATE, AUDIT, "a"]);
        let entries = [
            (None, id(1)),
            (None, id(2)),
            (Some("a"), TopicId::ZERO),
            (Some(STATE), TopicId::ZERO),
            (Some(AUDIT), TopicId::ZERO),
        ];
        let (sent, then) = rewritten(bench.judge(&DeleteTopics, KEY, 6, &pairs(&entries)));
        assert_eq!(sent_names(6, &sent), ["a"]);
        let told = told(&finished(bench.complete(then, KEY, 6, &broker(&[])), KEY, 6));
        assert_eq!(told.iter().map(|row| row.2).collect::<Vec<_>>(), [29; 4]);
        for version in 1..6 {
            let (sent, _) =
                rewritten(bench.judge(&DeleteTopics, KEY, version, &request(version, &["a", AUDIT, STATE])));
            assert_eq!(sent_names(version, &sent), ["a"]);
        }
    }
}

#[test]
fn what_was_asked_for_is_in_the_arguments() {
    let mut bench = Bench::acls(&[]).topics(&["a"]);
    let _ = bench.judge(&DeleteTopics, KEY, 6, &pairs(&[(Some("x"), TopicId::ZERO), (None, id(1))]));
    let read: serde_json::Value = serde_json::from_str(bench.trail.arguments.as_deref().unwrap()).unwrap();
    let id = "01010101-0101-0101-0101-010101010101";
    assert_eq!(
        read,
        json!({ "topics": [{ "name": "x", "id": null }, { "name": "a", "id": id }] }),
        "with the name of the id"
    );
    let _ = bench.judge(&DeleteTopics, KEY, 1, &request(1, &["x"]));
    assert_eq!(bench.trail.arguments.as_deref(), Some(r#"{"topics":[{"name":"x"}]}"#));
}

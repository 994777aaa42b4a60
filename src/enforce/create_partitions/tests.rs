use super::*;
use crate::enforce::testing::{AUDIT, Bench, STATE, answer, finished, forwarded, rewritten};

const KEY: ApiKey = ApiKey::CREATE_PARTITIONS;
const ALTER_A: &str = r#"{ allow: [Alter], principals: ["User:alice"], resources: ["topic:a*"] }"#;

fn request(names: &[&str]) -> Node {
    let mut request = Node::request(KEY);
    for name in names {
        let topic = Node::new(&req_topic::THIS)
            .with(req_topic::NAME, *name)
            .with(req_topic::COUNT, 9)
            .with(req_topic::ASSIGNMENTS, None::<&str>);
        request.push(req::TOPICS, topic);
    }
    request
}

fn told(answer: &Node) -> Vec<(String, i64, Option<String>)> {
    let message = |t: &Node| t.opt_str(res_topic::ERROR_MESSAGE).map(str::to_owned);
    let one = |t: &Node| (t.str(res_topic::NAME).to_owned(), t.int(res_topic::ERROR_CODE), message(t));
    answer.nodes(res::RESULTS).iter().map(one).collect()
}

#[test]
fn each_topic_needs_alter_and_a_denial_has_no_text() {
    for version in 0..=3 {
        let mut bench = Bench::acls(&[ALTER_A]);
        let (sent, then) = rewritten(bench.judge(&CreatePartitions, KEY, version, &request(&["b", "a"])));
        assert_eq!((sent.nodes(req::TOPICS).len(), sent.nodes(req::TOPICS)[0].str(req_topic::NAME)), (1, "a"));
        assert!(sent.nodes(req::TOPICS)[0].is_null(req_topic::ASSIGNMENTS));
        let broker = Node::response(KEY).with(res::RESULTS, vec![row("a", ErrorCode::NONE)]);
        let told = told(&finished(bench.complete(then, KEY, version, &broker), KEY, version));
        assert_eq!(told, [("b".into(), 29, None), ("a".into(), 0, None)]);
        let _ = forwarded(bench.judge(&CreatePartitions, KEY, version, &request(&["a"])));
    }
}

#[test]
fn a_name_given_twice_is_refused_before_anybody_is_asked() {
    let mut bench = Bench::acls(&[]);
    let told = told(&answer(bench.judge(&CreatePartitions, KEY, 3, &request(&["b", "b"])), KEY, 3));
    assert_eq!(told, [("b".into(), 42, Some("Duplicate topic name.".into()))]);
    assert!(bench.decided().is_empty());
    assert_eq!(
        bench.trail.arguments.as_deref(),
        Some(r#"{"topics":[{"count":9,"name":"b"},{"count":9,"name":"b"}],"validateOnly":false}"#)
    );
}

#[test]
fn threat_04_the_proxys_own_topics_keep_their_partitions() {
    let mut bench = Bench::acls(&[]).user("root");
    let told = told(&answer(bench.judge(&CreatePartitions, KEY, 3, &request(&[STATE, AUDIT])), KEY, 3));
    assert_eq!(told, [(STATE.into(), 29, None), (AUDIT.into(), 29, None)]);
}

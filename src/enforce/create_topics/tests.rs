use super::*;
use crate::enforce::testing::{AUDIT, Bench, STATE, answer, finished, forwarded, id, rewritten};
use crate::wire::schema::create_topics::response::creatable_topic_configs as res_config;

const KEY: ApiKey = ApiKey::CREATE_TOPICS;
const CREATE_A: &str = r#"{ allow: [Create], principals: ["User:alice"], resources: ["topic:a*"] }"#;
const CREATE_C: &str = r#"{ allow: [Create], principals: ["User:alice"], resources: ["cluster"] }"#;
const CONFIGS_A1: &str = r#"{ allow: [DescribeConfigs], principals: ["User:alice"], resources: ["topic:a1"] }"#;

fn request(names: &[&str]) -> Node {
    let mut request = Node::request(KEY);
    for name in names {
        let config = Node::new(&req_config::THIS).with(req_config::NAME, "retention.ms").with(req_config::VALUE, "5");
        let topic = Node::new(&req_topic::THIS)
            .with(req_topic::NAME, *name)
            .with(req_topic::NUM_PARTITIONS, 3)
            .with(req_topic::REPLICATION_FACTOR, 1i16)
            .with(req_topic::CONFIGS, vec![config]);
        request.push(req::TOPICS, topic);
    }
    request
}

fn created(names: &[&str]) -> Node {
    let mut answer = Node::response(KEY);
    for name in names {
        let config = Node::new(&res_config::THIS).with(res_config::NAME, "retention.ms").with(res_config::VALUE, "5");
        let topic = Node::new(&res_topic::THIS)
            .with(res_topic::NAME, *name)
            .with(res_topic::TOPIC_ID, id(3))
            .with(res_topic::ERROR_MESSAGE, None::<&str>)
            .with(res_topic::NUM_PARTITIONS, 3)
            .with(res_topic::REPLICATION_FACTOR, 1i16)
            .with(res_topic::CONFIGS, vec![config]);
        answer.push(res::TOPICS, topic);
    }
    answer
}

/// Name, error, text, partitions, replicas, configs, error of the configs.
type Told = (String, i64, Option<String>, i64, i64, usize, i64);

fn told(answer: &Node) -> Vec<Told> {
    let one = |t: &Node| {
        (
            t.str(res_topic::NAME).to_owned(),
            t.int(res_topic::ERROR_CODE),
            t.opt_str(res_topic::ERROR_MESSAGE).map(str::to_owned),
            t.int(res_topic::NUM_PARTITIONS),
            t.int(res_topic::REPLICATION_FACTOR),
            t.nodes(res_topic::CONFIGS).len(),
            t.int(res_topic::TOPIC_CONFIG_ERROR_CODE),
        )
    };
    answer.nodes(res::TOPICS).iter().map(one).collect()
}

fn refused(name: &str, error: i64, message: &str) -> Told {
    (name.to_owned(), error, Some(message.to_owned()), -1, -1, 0, 0)
}

fn names(request: &Node) -> Vec<&str> {
    request.nodes(req::TOPICS).iter().map(|topic| topic.str(req_topic::NAME)).collect()
}

#[test]
fn names_without_create_never_reach_the_broker() {
    for version in 2..=7 {
        let mut bench = Bench::acls(&[CREATE_A]);
        let (sent, then) = rewritten(bench.judge(&CreateTopics, KEY, version, &request(&["b", "a1"])));
        assert_eq!(names(&sent), ["a1"]);
        let told = told(&finished(bench.complete(then, KEY, version, &created(&["a1"])), KEY, version));
        assert_eq!(told[0].1, 0);
        assert_eq!(told[1], refused("b", 29, "Authorization failed."));
    }
}

#[test]
fn create_on_the_cluster_grants_every_name() {
    let mut bench = Bench::acls(&[CREATE_C]);
    let _ = forwarded(bench.judge(&CreateTopics, KEY, 7, &request(&["a", "b"])));
    assert_eq!(bench.decided(), ["Create cluster:kafka-cluster allowed"]);
}

#[test]
fn details_need_describe_configs_which_create_does_not_imply() {
    for version in 5..=7 {
        let mut bench = Bench::acls(&[CREATE_C, CONFIGS_A1]);
        let then = forwarded(bench.judge(&CreateTopics, KEY, version, &request(&["a1", "a2"])));
        let answer = finished(bench.complete(then, KEY, version, &created(&["a1", "a2"])), KEY, version);
        assert_eq!(told(&answer), [("a1".into(), 0, None, 3, 1, 1, 0), ("a2".into(), 0, None, -1, -1, 0, 29)]);
        assert_eq!(answer.nodes(res::TOPICS)[1].uuid(res_topic::TOPIC_ID).is_zero(), version < 7);
    }
}

#[test]
fn a_topic_that_failed_for_another_reason_keeps_its_answer() {
    let mut bench = Bench::acls(&[CREATE_C]);
    let then = forwarded(bench.judge(&CreateTopics, KEY, 7, &request(&["a1"])));
    let mut broker = Node::response(KEY);
    broker.push(res::TOPICS, row("a1", ErrorCode::TOPIC_ALREADY_EXISTS, "Topic 'a1' already exists."));
    assert_eq!(finished(bench.complete(then, KEY, 7, &broker), KEY, 7), broker);
}

#[test]
fn duplicates_and_the_metadata_topic_are_refused_before_anybody_is_asked() {
    let mut bench = Bench::acls(&[]).user("root");
    let names = ["twice", CLUSTER_METADATA, "twice", "twice"];
    let told = told(&answer(bench.judge(&CreateTopics, KEY, 4, &request(&names)), KEY, 4));
    let prohibited = "Creation of internal topic __cluster_metadata is prohibited.";
    assert_eq!(told, [refused("twice", 42, "Duplicate topic name."), refused(CLUSTER_METADATA, 42, prohibited)]);
}

#[test]
fn threat_04_create_on_the_cluster_does_not_grant_the_proxys_own_topics() {
    for user in ["root", "alice"] {
        let mut bench = Bench::acls(&[CREATE_C]).user(user);
        let (sent, then) = rewritten(bench.judge(&CreateTopics, KEY, 7, &request(&[STATE, "a", AUDIT])));
        assert_eq!(names(&sent), ["a"]);
        let told = told(&finished(bench.complete(then, KEY, 7, &created(&["a"])), KEY, 7));
        assert_eq!(
            told[1..],
            [refused(STATE, 29, "Authorization failed."), refused(AUDIT, 29, "Authorization failed.")]
        );
    }
}

#[test]
fn what_was_asked_for_is_in_the_arguments() {
    let mut bench = Bench::acls(&[]);
    let _ = bench.judge(&CreateTopics, KEY, 7, &request(&["a"]).with(req::VALIDATE_ONLY, true));
    let arguments: serde_json::Value = serde_json::from_str(bench.trail.arguments.as_deref().unwrap()).unwrap();
    let config = json!({ "name": "retention.ms", "value": "5" });
    let topic = json!({
        "name": "a", "numPartitions": 3, "replicationFactor": 1, "assignments": 0, "configs": [config],
    });
    assert_eq!(arguments, json!({ "topics": [topic], "validateOnly": true }));
}

#[test]
fn threat_04_a_name_that_collides_with_an_own_topic_does_not_tell_it() {
    let ours = AUDIT.replace('.', "_");
    let text = |other: &str| format!("Topic '{ours}' collides with existing topic: {other}.");
    let mut bench = Bench::acls(&[r#"{ allow: [Create], principals: ["User:alice"], resources: ["cluster"] }"#]);
    for (collides, shown) in [
        (text(AUDIT), ErrorCode::INVALID_TOPIC_EXCEPTION.message().to_owned()),
        (text("kordon.other"), text("kordon.other")),
    ] {
        let then = forwarded(bench.judge(&CreateTopics, KEY, 7, &request(&[&ours])));
        let failed = Node::new(&res_topic::THIS)
            .with(res_topic::NAME, ours.as_str())
            .with(res_topic::ERROR_CODE, ErrorCode::INVALID_TOPIC_EXCEPTION)
            .with(res_topic::ERROR_MESSAGE, collides.as_str());
        let broker = Node::response(KEY).with(res::TOPICS, vec![failed]);
        let answer = finished(bench.complete(then, KEY, 7, &broker), KEY, 7);
        assert_eq!(told(&answer)[0].2, Some(shown));
    }
}

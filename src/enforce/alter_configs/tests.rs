use super::*;
use crate::enforce::testing::{AUDIT, Bench, STATE, answer, finished, forwarded, rewritten};

const OLD: ApiKey = ApiKey::ALTER_CONFIGS;
const NEW: ApiKey = ApiKey::INCREMENTAL_ALTER_CONFIGS;
const TOPIC_A: &str = r#"{ allow: [AlterConfigs], principals: ["User:alice"], resources: ["topic:a*"] }"#;
const GROUP_G: &str = r#"{ allow: [AlterConfigs], principals: ["User:alice"], resources: ["group:g"] }"#;
const CLUSTER: &str = r#"{ allow: [AlterConfigs], principals: ["User:alice"], resources: ["cluster"] }"#;
const EDITOR: &str =
    "bindings:\n  - { roles: [clusterEditor], principals: [\"User:alice\"], resources: [\"cluster\"] }\n";

/// A resource to alter: type, name, configs.
type Resource<'a> = (i8, &'a str, &'a [(&'a str, i8, Option<&'a str>)]);

fn rule(key: ApiKey) -> &'static AlterConfigs {
    if key == OLD { &LEGACY } else { &INCREMENTAL }
}

fn request(key: ApiKey, resources: &[Resource<'_>]) -> Node {
    let rule = rule(key);
    let mut request = Node::request(key);
    for (kind, name, configs) in resources {
        let mut resource = request.child(rule.resources).with(rule.kind, *kind).with(rule.name, *name);
        for (name, operation, value) in *configs {
            let mut config = resource.child(rule.configs).with(rule.config_name, *name).with(rule.config_value, *value);
            if let Some(field) = rule.operation {
                config.set(field, *operation);
            }
            resource.push(rule.configs, config);
        }
        request.push(rule.resources, resource);
    }
    request
}

fn told(key: ApiKey, answer: &Node) -> Vec<(i64, String, i64, Option<String>)> {
    let (rule, message) = (rule(key), |t: &Node| t.opt_str(rule(key).row.message).map(str::to_owned));
    let one = |t: &Node| (t.int(rule.row.kind), t.str(rule.row.name).to_owned(), t.int(rule.row.error), message(t));
    answer.nodes(rule.responses).iter().map(one).collect()
}

/// The error and text of the one resource of an answer made here.
fn refusal(bench: &mut Bench, key: ApiKey, resource: Resource<'_>) -> (i64, Option<String>) {
    let version = if key == OLD { 2 } else { 1 };
    let told = told(key, &answer(bench.judge(rule(key), key, version, &request(key, &[resource])), key, version));
    assert_eq!(told.len(), 1);
    (told[0].2, told[0].3.clone())
}

fn text(error: ErrorCode) -> (i64, Option<String>) {
    (error.0.into(), Some(error.message().to_owned()))
}

fn invalid(text: &str) -> (i64, Option<String>) {
    (42, Some(text.to_owned()))
}

const SET: &[(&str, i8, Option<&str>)] = &[("retention.ms", 0, Some("5"))];

#[test]
fn answers_keep_the_order_of_the_request_and_denied_resources_never_leave() {
    for (key, version) in [(OLD, 0), (OLD, 1), (OLD, 2), (NEW, 0), (NEW, 1)] {
        let mut bench = Bench::acls(&[TOPIC_A, GROUP_G]);
        let all = [(2, "x", SET), (2, "a1", SET), (32, "y", SET), (32, "g", SET), (16, "m", SET)];
        let (sent, then) = rewritten(bench.judge(rule(key), key, version, &request(key, &all)));
        let names: Vec<_> = sent.nodes(rule(key).resources).iter().map(|r| r.str(rule(key).name)).collect();
        assert_eq!(names, ["a1", "g"]);
        let mut broker = Node::response(key);
        for (kind, name) in [(2i8, "a1"), (32, "g")] {
            let row = broker.child(rule(key).responses).with(rule(key).row.kind, kind).with(rule(key).row.name, name);
            broker.push(rule(key).responses, row.with(rule(key).row.message, None::<&str>));
        }
        let told = told(key, &finished(bench.complete(then, key, version, &broker), key, version));
        let row = |kind, name: &str, (error, text)| (kind, name.to_owned(), error, text);
        assert_eq!(
            told,
            [
                row(2, "x", text(ErrorCode::TOPIC_AUTHORIZATION_FAILED)),
                row(2, "a1", (0, None)),
                row(32, "y", text(ErrorCode::GROUP_AUTHORIZATION_FAILED)),
                row(32, "g", (0, None)),
                row(16, "m", text(ErrorCode::CLUSTER_AUTHORIZATION_FAILED)),
            ]
        );
        assert!(matches!(
            forwarded(bench.judge(rule(key), key, version, &request(key, &[(2, "a", SET)]))),
            Then::Stream
        ));
    }
}

#[test]
fn what_is_malformed_is_refused_before_anybody_is_asked() {
    let mut bench = Bench::acls(&[]);
    for key in [OLD, NEW] {
        let twice = [(2, "a", SET), (2, "b", SET), (2, "a", SET)];
        let all = told(key, &answer(bench.judge(rule(key), key, 1, &request(key, &twice)), key, 1));
        assert_eq!(all.iter().map(|row| row.2).collect::<Vec<_>>(), [42, 29, 42]);
        assert_eq!(all[0].3.as_deref(), Some("Each resource must appear at most once."));
        bench.trail.clear();
        let (a, b) = (("a", 0, None), ("b", 3, None));
        assert_eq!(refusal(&mut bench, key, (2, "t", &[a, b])), invalid("Null value not supported for : a, b"));
        let twice: Resource<'_> = (2, "t", &[("a", 0, Some("1")), ("a", 1, Some("2"))]);
        assert_eq!(refusal(&mut bench, key, twice), invalid("Error due to duplicate config keys"));
        for code in [0, 1, 3, 64, -2] {
            assert_eq!(refusal(&mut bench, key, (code, "t", SET)), invalid(&format!("Unknown resource type {code}")));
        }
        assert_eq!(
            refusal(&mut bench, key, (4, "2", SET)),
            invalid("Unexpected broker id, expected 1, but received 2")
        );
        assert_eq!(refusal(&mut bench, key, (4, "b", SET)), invalid("Node id must be an integer, but it is: b"));
    }
    assert_eq!(refusal(&mut bench, OLD, (8, "1", SET)), invalid("Unknown resource type 8"));
    assert_eq!(refusal(&mut bench, NEW, (4, "", &[("a", 9, Some("1"))])), invalid("Unknown operations type 9"));
    assert!(bench.decided().is_empty(), "{:?}", bench.decided());
    // DELETE needs no value.
    assert_eq!(refusal(&mut bench, NEW, (2, "t", &[("a", 1, None)])), text(ErrorCode::TOPIC_AUTHORIZATION_FAILED));
}

#[test]
fn loggers_are_denied_without_text_and_brokers_with() {
    let mut bench = Bench::acls(&[]);
    assert_eq!(refusal(&mut bench, NEW, (8, "1", SET)), (31, None));
    assert_eq!(refusal(&mut bench, NEW, (4, "1", SET)), text(ErrorCode::CLUSTER_AUTHORIZATION_FAILED));
    assert_eq!(refusal(&mut bench, OLD, (4, "", SET)), text(ErrorCode::CLUSTER_AUTHORIZATION_FAILED));
}

const EVIL: &[(&str, i8, Option<&str>)] =
    &[("log.retention.ms", 0, Some("5")), ("listeners", 0, Some("EVIL://0.0.0.0:9999"))];
const GOOD: &[(&str, i8, Option<&str>)] = &[("log.retention.ms", 0, Some("5")), ("num.io.threads", 1, None)];
const UNKNOWN: &[(&str, i8, Option<&str>)] = &[("listener.name.evil.ssl.truststore.certificates", 0, Some("pem"))];

#[test]
fn threat_03_clusters_update_changes_safe_broker_configs_only() {
    for policy in [EDITOR, "operators: [\"User:alice\"]\n"] {
        let mut bench = Bench::policy(policy);
        for bad in [EVIL, UNKNOWN] {
            for name in ["", "1"] {
                let expected = text(ErrorCode::CLUSTER_AUTHORIZATION_FAILED);
                assert_eq!(refusal(&mut bench, NEW, (4, name, bad)), expected, "{policy}");
            }
        }
        assert!(bench.decided().iter().all(|line| line.ends_with("denied")), "{:?}", bench.decided());
        let _ = forwarded(bench.judge(&INCREMENTAL, NEW, 1, &request(NEW, &[(4, "", GOOD)])));
    }
}

#[test]
fn threat_03_the_old_api_would_reset_what_it_does_not_name() {
    let mut bench = Bench::policy(EDITOR);
    let one: Resource<'_> = (4, "", &[("log.retention.ms", 0, Some("5"))]);
    assert_eq!(refusal(&mut bench, OLD, one), text(ErrorCode::CLUSTER_AUTHORIZATION_FAILED));
}

#[test]
fn threat_03_super_users_and_holders_of_kafkas_own_operation_change_all() {
    for mut bench in [Bench::acls(&[]).user("root"), Bench::acls(&[CLUSTER])] {
        for key in [OLD, NEW] {
            let _ = forwarded(bench.judge(rule(key), key, 1, &request(key, &[(4, "", EVIL)])));
        }
    }
}

#[test]
fn threat_04_the_configs_of_the_proxys_own_topics_stay() {
    let mut bench = Bench::acls(&[]).user("root");
    for key in [OLD, NEW] {
        for topic in [STATE, AUDIT] {
            assert_eq!(refusal(&mut bench, key, (2, topic, SET)), text(ErrorCode::TOPIC_AUTHORIZATION_FAILED));
        }
    }
}

#[test]
fn arguments_hold_no_value_that_may_be_secret() {
    let mut bench = Bench::acls(&[]);
    let secret: &[_] = &[("ssl.keystore.password", 0, Some("hunter2")), ("num.io.threads", 0, Some("9"))];
    let _ = bench.judge(&INCREMENTAL, NEW, 1, &request(NEW, &[(4, "1", secret), (2, "t", SET), (99, "u", SET)]));
    let read: Json = serde_json::from_str(bench.trail.arguments.as_deref().unwrap()).unwrap();
    let retention = |value: &str| json!([{ "name": "retention.ms", "value": value, "operation": "set" }]);
    assert_eq!(
        read,
        json!({
            "resources": [
                { "type": "broker", "name": "1", "configs": [
                    { "name": "ssl.keystore.password", "value": "(hidden)", "operation": "set" },
                    { "name": "num.io.threads", "value": "9", "operation": "set" },
                ] },
                { "type": "topic", "name": "t", "configs": retention("5") },
                { "type": "unknown", "name": "u", "configs": retention("(hidden)") },
            ],
            "validateOnly": false,
        })
    );
}

#[test]
fn an_unknown_operation_fails_what_the_controller_gets_and_loggers_are_set_all_the_same() {
    const ODD: &[(&str, i8, Option<&str>)] = &[("retention.ms", 9, Some("5"))];
    let errors = |all: Vec<(i64, String, i64, Option<String>)>| all.iter().map(|row| row.2).collect::<Vec<_>>();
    let all = [(2, "x", SET), (8, "1", SET), (2, "a", ODD), (2, "ab", SET), (99, "u", SET)];
    let asked = request(NEW, &all);
    // A denied logger keeps its error: its broker answers for it.
    let mut bench = Bench::acls(&[TOPIC_A]);
    let told_here = told(NEW, &answer(bench.judge(&INCREMENTAL, NEW, 1, &asked), NEW, 1));
    assert_eq!(errors(told_here), [-1, 31, -1, -1, 42]);
    let mut bench = Bench::acls(&[TOPIC_A, CLUSTER]);
    let (sent, then) = rewritten(bench.judge(&INCREMENTAL, NEW, 1, &asked));
    assert_eq!(sent, request(NEW, &[(8, "1", SET)]));
    let broker = Node::response(NEW);
    let row = broker.child(INCREMENTAL.responses).with(INCREMENTAL.row.kind, 8i8).with(INCREMENTAL.row.name, "1");
    let broker = broker.with(INCREMENTAL.responses, vec![row]);
    let told_all = told(NEW, &finished(bench.complete(then, NEW, 1, &broker), NEW, 1));
    assert_eq!(errors(told_all), [-1, 0, -1, -1, 42]);
    // Where nothing is refused the brokers judge it all, their own resources first.
    let mut bench = Bench::acls(&[TOPIC_A, CLUSTER]);
    let asked = request(NEW, &[(4, "1", SET), (2, "a", ODD)]);
    assert!(matches!(bench.judge(&INCREMENTAL, NEW, 1, &asked), Verdict::Forward(..)));
}

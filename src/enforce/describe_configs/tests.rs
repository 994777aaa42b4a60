use super::*;
use crate::enforce::testing::{AUDIT, Bench, STATE, answer, finished, forwarded, rewritten};

const KEY: ApiKey = ApiKey::DESCRIBE_CONFIGS;
const CLUSTER: &str = r#"{ allow: [DescribeConfigs], principals: ["User:alice"], resources: ["cluster"] }"#;
const TOPIC_A: &str = r#"{ allow: [AlterConfigs], principals: ["User:alice"], resources: ["topic:a"] }"#;
const GROUP_G: &str = r#"{ allow: [DescribeConfigs], principals: ["User:alice"], resources: ["group:g"] }"#;

fn request(resources: &[(i8, &str)]) -> Node {
    let mut request = Node::request(KEY);
    for (kind, name) in resources {
        let resource = Node::new(&req_resource::THIS)
            .with(req_resource::RESOURCE_TYPE, *kind)
            .with(req_resource::RESOURCE_NAME, *name)
            .with(req_resource::CONFIGURATION_KEYS, None::<&str>);
        request.push(req::RESOURCES, resource);
    }
    request
}

fn told(answer: &Node) -> Vec<(i64, String, i64, Option<String>)> {
    let message = |t: &Node| t.opt_str(res_result::ERROR_MESSAGE).map(str::to_owned);
    let one = |t: &Node| {
        let name = t.str(res_result::RESOURCE_NAME).to_owned();
        (t.int(res_result::RESOURCE_TYPE), name, t.int(res_result::ERROR_CODE), message(t))
    };
    answer.nodes(res::RESULTS).iter().map(one).collect()
}

fn denied(kind: i64, name: &str, error: ErrorCode) -> (i64, String, i64, Option<String>) {
    (kind, name.to_owned(), error.0.into(), Some(error.message().to_owned()))
}

#[test]
fn each_type_has_its_own_denial_and_denied_ones_come_last() {
    let all = [(2, "x"), (32, "g"), (4, "1"), (8, "1"), (16, "m"), (2, "a"), (32, "y")];
    for version in 1..=4 {
        let mut bench = Bench::acls(&[TOPIC_A, GROUP_G]);
        let (sent, then) = rewritten(bench.judge(&DescribeConfigs, KEY, version, &request(&all)));
        let sent: Vec<_> = sent.nodes(req::RESOURCES).iter().map(|r| r.str(req_resource::RESOURCE_NAME)).collect();
        assert_eq!(sent, ["g", "a"]);
        let told = told(&finished(bench.complete(then, KEY, version, &Node::response(KEY)), KEY, version));
        let (topic, group, cluster) = (
            ErrorCode::TOPIC_AUTHORIZATION_FAILED,
            ErrorCode::GROUP_AUTHORIZATION_FAILED,
            ErrorCode::CLUSTER_AUTHORIZATION_FAILED,
        );
        let brokers = [denied(4, "1", cluster), denied(8, "1", cluster), denied(16, "m", cluster)];
        assert_eq!(told[0], denied(2, "x", topic));
        assert_eq!(told[1..4], brokers);
        assert_eq!(told[4..], [denied(32, "y", group)]);
    }
}

#[test]
fn an_unknown_type_fails_every_resource() {
    let mut bench = Bench::acls(&[]).user("root");
    let told = told(&answer(bench.judge(&DescribeConfigs, KEY, 4, &request(&[(2, "a"), (1, "b")])), KEY, 4));
    let error = ErrorCode::INVALID_REQUEST;
    assert_eq!(told, [denied(2, "a", error), denied(1, "b", error)]);
    assert!(bench.decided().is_empty());
}

fn config(name: &str, value: Option<&str>, synonyms: &[(&str, &str)]) -> Node {
    let synonym = |(name, value): &(&str, &str)| {
        Node::new(&res_synonym::THIS).with(res_synonym::NAME, *name).with(res_synonym::VALUE, *value)
    };
    Node::new(&res_config::THIS)
        .with(res_config::NAME, name)
        .with(res_config::VALUE, value)
        .with(res_config::SYNONYMS, synonyms.iter().map(synonym).collect::<Vec<_>>())
}

#[test]
fn addresses_of_brokers_are_blank_for_everybody() {
    let own = "PLAINTEXT://broker-1.internal:9092";
    for user in ["alice", "root"] {
        for version in 1..=4 {
            let mut bench = Bench::acls(&[CLUSTER]).user(user);
            let then = forwarded(bench.judge(&DescribeConfigs, KEY, version, &request(&[(4, "1")])));
            let result = Node::new(&res_result::THIS)
                .with(res_result::RESOURCE_TYPE, 4i8)
                .with(res_result::RESOURCE_NAME, "1")
                .with(
                    res_result::CONFIGS,
                    vec![
                        config("advertised.listeners", Some(own), &[("listeners", own)]),
                        config("listeners", Some(own), &[("listeners", own)]),
                        config("controller.quorum.voters", Some("1@broker-1.internal:9093"), &[]),
                        config("zookeeper.connect", None, &[]),
                        config("log.dirs", Some("/data"), &[("log.dir", "/tmp")]),
                    ],
                );
            let broker = Node::response(KEY).with(res::RESULTS, vec![result]);
            let told = finished(bench.complete(then, KEY, version, &broker), KEY, version);
            let configs = told.nodes(res::RESULTS)[0].nodes(res_result::CONFIGS);
            let values: Vec<_> = configs.iter().map(|c| c.opt_str(res_config::VALUE)).collect();
            assert_eq!(values, [Some(""), Some(""), Some(""), None, Some("/data")]);
            let synonyms =
                |c: &Node| c.nodes(res_config::SYNONYMS).iter().map(|s| s.str(res_synonym::VALUE).to_owned()).collect();
            let synonyms: Vec<Vec<String>> = configs.iter().map(synonyms).collect();
            assert_eq!(synonyms, [vec![""], vec![""], vec![], vec![], vec!["/tmp"]]);
        }
    }
}

#[test]
fn without_brokers_the_answer_is_not_looked_at() {
    let mut bench = Bench::acls(&[TOPIC_A, CLUSTER]);
    let verdict = bench.judge(&DescribeConfigs, KEY, 4, &request(&[(2, "a"), (16, "m"), (8, "1")]));
    assert!(matches!(forwarded(verdict), Then::Stream));
}

#[test]
fn threat_04_the_state_topic_shows_no_configs_to_a_super_user() {
    let mut bench = Bench::acls(&[]).user("root");
    let told = told(&answer(bench.judge(&DescribeConfigs, KEY, 4, &request(&[(2, STATE), (2, AUDIT)])), KEY, 4));
    assert_eq!(told.iter().map(|row| row.2).collect::<Vec<_>>(), [29, 29]);
}

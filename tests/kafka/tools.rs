//! The command line tools of a Kafka release: through the proxy they print what they print at the broker, and who is
//! refused reads Kafka's own exception. The tools run within the driver's JVM, but for those whose own process matters.

use std::collections::BTreeSet;

use crate::support::cluster::Cluster;
use crate::support::java::Java;
use crate::support::proxy::{Kordon, Setup};
use crate::support::tools::{at, console, lines, refused, same};
use crate::support::{needs, scratch, soon, unique};

/// anybody may do everything; nobody may do nothing; reader may only describe topics.
const POLICY: &str = r#"version: 1
default: deny
acls:
  - { allow: [All], principals: ["User:anybody"], resources: ["*"] }
  - { allow: [Describe], principals: ["User:reader"], resources: ["topic:tool-*", "group:tool-*"] }
end: true
"#;

fn people(cluster: &Cluster) -> Setup<'_> {
    Kordon::before(cluster).person("anybody").person("reader").person("nobody").policy(POLICY)
}

const TOPIC_REFUSED: &str = "TopicAuthorizationException";
const GROUP_REFUSED: &str = "GroupAuthorizationException";
const CLUSTER_REFUSED: &str = "ClusterAuthorizationException";

#[test]
fn kafka_topics() {
    needs!(Java);
    let cluster = Cluster::shared();
    let kordon = people(cluster).start();
    let (us, broker, topic) = (kordon.at("anybody"), cluster.direct(), unique("tool-topics"));
    let tool = "kafka-topics";
    let create = ["--create", "--topic", &topic, "--partitions", "2", "--config", "retention.ms=60000"];
    let made = at(tool, us, &create).ok();
    assert!(made.contains(&format!("Created topic {topic}.")), "{made}");
    soon("every broker knows the topic", || cluster.admin().topics().is_ok_and(|t| t.contains(&topic)));
    let told = same(tool, us, &broker, &["--describe", "--topic", &topic]);
    assert!(told.iter().any(|l| l.contains("retention.ms=60000")) && told.len() == 3, "{told:?}");
    at(tool, us, &["--alter", "--topic", &topic, "--partitions", "3"]).ok();
    let listed = lines(at(tool, us, &["--list", "--topic", &topic]));
    assert_eq!(listed, [topic.as_str()]);
    // it prints the message of the exception, and logs its class
    let message = "Topic authorization failed.";
    refused(tool, kordon.at("reader"), &["--delete", "--topic", &topic], message);
    refused(tool, kordon.at("reader"), &["--alter", "--topic", &topic, "--partitions", "9"], message);
    // of this one the message does not tell which it is
    let (nobody, unknown) = (kordon.at("nobody"), unique("tool-no"));
    let no = console(tool, &["--bootstrap-server", nobody, "--create", "--topic", &unknown]);
    assert!(no.says(TOPIC_REFUSED), "{no:?}");
    assert_eq!(lines(at(tool, kordon.at("nobody"), &["--list"])), Vec::<String>::new());
    let count = same(tool, us, &broker, &["--describe", "--topic", &topic]).len();
    assert_eq!(count, 4, "one line, and one for each of three partitions");
    at(tool, us, &["--delete", "--topic", &topic]).ok();
    soon("the topic is gone", || cluster.admin().topics().is_ok_and(|t| !t.contains(&topic)));
}

#[test]
fn kafka_configs() {
    needs!(Java);
    let cluster = Cluster::shared();
    let kordon = people(cluster).start();
    let (us, broker, topic) = (kordon.at("anybody"), cluster.direct(), unique("tool-configs"));
    cluster.create_topic(&topic, 1, &[]);
    let tool = "kafka-configs";
    let of = ["--entity-type", "topics", "--entity-name", topic.as_str()];
    let alter = |config| [&of[..], &["--alter", "--add-config", config][..]].concat();
    at(tool, us, &alter("retention.ms=70000,cleanup.policy=[compact,delete]")).ok();
    let describe = [&of[..], &["--describe"][..]].concat();
    soon("the brokers know the change", || {
        let told = cluster.admin().ask("describeConfigs", serde_json::json!({ "resources": [["TOPIC", topic]] }));
        told.is_ok_and(|t| t.to_string().contains("\"70000\""))
    });
    let told = same(tool, us, &broker, &describe);
    assert!(told.iter().any(|l| l.contains("retention.ms=70000")), "{told:?}");
    // A broker's own addresses are for nobody who comes through the proxy; all else is told as it is.
    let brokers = ["--entity-type", "brokers", "--entity-name", "1", "--describe", "--all"];
    let addresses = ["  advertised.listeners=", "  listeners=", "  controller.quorum.voters="];
    let others = |all: Vec<String>| -> Vec<String> {
        all.into_iter().filter(|l| !addresses.iter().any(|a| l.starts_with(a))).collect()
    };
    let told = lines(at(tool, us, &brokers));
    for node in cluster.nodes() {
        for port in [node.direct, node.gated, node.gate, node.sasl, node.gate_sasl] {
            assert!(!told.iter().any(|l| l.contains(&format!(":{port}"))), "port {port} of a broker is told: {told:?}");
        }
    }
    assert!(told.len() > 100);
    assert_eq!(others(told), others(lines(at(tool, &broker, &brokers))));
    refused(tool, kordon.at("reader"), &alter("retention.ms=1"), TOPIC_REFUSED);
    refused(tool, kordon.at("reader"), &describe, TOPIC_REFUSED);
    let brokers = ["--entity-type", "brokers", "--entity-name", "1", "--describe"];
    refused(tool, kordon.at("reader"), &brokers, CLUSTER_REFUSED);
}

#[test]
fn kafka_consumer_groups() {
    needs!(Java);
    let cluster = Cluster::shared();
    let kordon = people(cluster).start();
    let (us, broker) = (kordon.at("anybody"), cluster.direct());
    let (topic, group) = (unique("tool-groups"), unique("tool-group"));
    cluster.create_topic(&topic, 2, &[]);
    let java = Java::newest();
    for partition in [0, 1] {
        let args = serde_json::json!({ "topic": topic, "partition": partition, "values": ["a", "b"] });
        assert_eq!(java.producer(&broker, &[]).send_with(args).ok, 2);
    }
    {
        let consumer = java.consumer(us, &[("group.id", &group)]);
        consumer.subscribe(&[&topic]).values(4);
        consumer.commit().expect("a commit");
    }
    let tool = "kafka-consumer-groups";
    soon("the group is empty", || {
        let told = cluster.admin().ask("describeGroups", serde_json::json!({ "groups": [group] }));
        told.is_ok_and(|t| t[&group]["ok"]["state"] == "Empty")
    });
    let told = same(tool, us, &broker, &["--describe", "--group", &group]);
    assert!(told.iter().filter(|l| l.contains(&topic)).count() == 2, "{told:?}");
    // The coordinator is told by the proxy's own address, which is the only difference.
    let state = lines(at(tool, us, &["--describe", "--group", &group, "--state"]));
    let coordinator =
        cluster.nodes().iter().find(|n| state.iter().any(|l| l.contains(&kordon.broker("anybody", n.id))));
    assert!(coordinator.is_some() && state.iter().any(|l| l.contains("Empty")), "{state:?}");
    let ours: BTreeSet<String> = lines(at(tool, us, &["--list"])).into_iter().collect();
    assert!(ours.contains(&group), "{ours:?}");
    assert_eq!(lines(at(tool, kordon.at("nobody"), &["--list"])), Vec::<String>::new());

    let reset = ["--reset-offsets", "--group", &group, "--topic", &topic, "--to-earliest", "--execute"];
    refused(tool, kordon.at("reader"), &reset, "AuthorizationException");
    let told = at(tool, us, &reset).ok();
    assert!(told.contains(&topic), "{told}");
    let offsets = cluster.admin().ask("groupOffsets", serde_json::json!({ "group": group })).expect("offsets");
    assert!(offsets.as_object().expect("offsets").values().all(|o| o == 0), "{offsets}");
    let delete_offsets = ["--delete-offsets", "--group", &group, "--topic", &topic];
    refused(tool, kordon.at("reader"), &delete_offsets, "uthoriz");
    at(tool, us, &delete_offsets).ok();
    let offsets = cluster.admin().ask("groupOffsets", serde_json::json!({ "group": group })).expect("offsets");
    assert_eq!(offsets, serde_json::json!({}));
    refused(tool, kordon.at("reader"), &["--delete", "--group", &group], GROUP_REFUSED);
    refused(tool, kordon.at("nobody"), &["--describe", "--group", &group], GROUP_REFUSED);
    java.admin(&broker)
        .ask("alterGroupOffsets", serde_json::json!({ "group": group, "partitions": [[topic, 0]], "offset": 1 }))
        .expect("offsets");
    let told = at(tool, us, &["--delete", "--group", &group]).ok();
    assert!(told.contains("was successful"), "{told}");
}

#[test]
fn offsets_and_records() {
    needs!(Java);
    let cluster = Cluster::shared();
    let kordon = people(cluster).start();
    let (us, broker, topic) = (kordon.at("anybody"), cluster.direct(), unique("tool-offsets"));
    cluster.create_topic(&topic, 2, &[]);
    let args = serde_json::json!({ "topic": topic, "partition": 0, "count": 20, "size": 10 });
    assert_eq!(Java::newest().producer(&broker, &[]).send_with(args).ok, 20);
    let told = same("kafka-get-offsets", us, &broker, &["--topic", &topic]);
    let sum: u64 = told.iter().filter_map(|l| l.rsplit(':').next()?.parse::<u64>().ok()).sum();
    assert_eq!(sum, 20, "{told:?}");
    // It asks for topics first, and a hidden one is not there.
    refused("kafka-get-offsets", kordon.at("nobody"), &["--topic", &topic], "Could not match any topic-partitions");

    let json = scratch("tools").join(format!("{topic}.json"));
    let text = format!("{{\"partitions\":[{{\"topic\":\"{topic}\",\"partition\":0,\"offset\":1}}],\"version\":1}}");
    std::fs::write(&json, text).expect("offsets file");
    let file = json.display().to_string();
    refused("kafka-delete-records", kordon.at("reader"), &["--offset-json-file", &file], TOPIC_REFUSED);
    let told = at("kafka-delete-records", us, &["--offset-json-file", &file]).ok();
    assert!(told.contains(&format!("partition: {topic}-0")) && told.contains("low_watermark: 1"), "{told}");
    let told = same("kafka-get-offsets", us, &broker, &["--topic", &topic, "--time", "earliest"]);
    assert!(told.contains(&format!("{topic}:0:1")), "{told:?}");
}

#[test]
fn the_cluster_and_its_versions() {
    needs!(Java);
    let cluster = Cluster::shared();
    let kordon = people(cluster).start();
    let (us, broker) = (kordon.at("anybody"), cluster.direct());
    let told = same("kafka-cluster", us, &broker, &["cluster-id"]);
    assert!(told.iter().any(|l| l.contains(&cluster.id)), "{told:?}");
    // Every node is named by its address at the proxy, with the APIs that are served.
    let told = at("kafka-broker-api-versions", us, &[]).ok();
    for node in cluster.nodes() {
        let head = format!("{} (id: {} rack: null isFenced: false) -> (", kordon.broker("anybody", node.id), node.id);
        assert!(told.contains(&head), "no `{head}`:\n{told}");
    }
    for served in ["Produce(0): 0 to 1", "Fetch(1): 4 to 1", "CreateAcls(30): 1 to 3"] {
        assert!(told.contains(served), "{served}:\n{told}");
    }
    // Nothing else is left out (`cluster.client_telemetry: none`).
    let left_out: Vec<_> = told.lines().filter(|l| l.contains("UNSUPPORTED")).map(str::trim).collect();
    let telemetry = |l: &&str| l.starts_with("GetTelemetrySubscriptions(71)") || l.starts_with("PushTelemetry(72)");
    assert!(left_out.iter().all(telemetry), "{left_out:?}");
}

#[test]
fn kafka_transactions() {
    needs!(Java);
    let cluster = Cluster::shared();
    let kordon = people(cluster).start();
    let (us, broker) = (kordon.at("anybody"), cluster.direct());
    let (topic, id) = (unique("tool-tx"), unique("tool-tx-id"));
    cluster.create_topic(&topic, 1, &[]);
    let producer = Java::newest().producer(us, &[("transactional.id", &id)]);
    producer.init().expect("a producer id");
    producer.begin().expect("a transaction");
    assert_eq!(producer.send(&topic, &["a"]).ok, 1);
    producer.commit().expect("a commit");
    let tool = "kafka-transactions";
    let ours = |told: Vec<String>| -> Vec<String> { told.into_iter().filter(|l| l.contains(&id)).collect() };
    soon("the transaction is complete", || {
        let told = cluster.admin().ask("describeTransactions", serde_json::json!({ "ids": [id] }));
        told.is_ok_and(|t| t[&id]["ok"]["state"] == "CompleteCommit" || t[&id]["ok"]["state"] == "COMPLETE_COMMIT")
    });
    let listed = ours(lines(at(tool, us, &["list"])));
    assert_eq!((listed.len(), &listed), (1, &ours(lines(at(tool, &broker, &["list"])))));
    let describe = ["describe", "--transactional-id", id.as_str()];
    // The last column is how long the transaction takes, as of now.
    let described = |address: &str| -> Vec<String> {
        let told = ours(lines(at(tool, address, &describe)));
        told.iter().filter_map(|l| l.rsplit_once('\t')).map(|(all, _)| all.to_owned()).collect()
    };
    let told = described(us);
    assert_eq!((told.len(), &told), (1, &described(&broker)));
    let of = ["describe-producers", "--topic", topic.as_str(), "--partition", "0"];
    assert_eq!(same(tool, us, &broker, &of).len(), 2);
    assert_eq!(ours(lines(at(tool, kordon.at("nobody"), &["list"]))), Vec::<String>::new());
    // the tool prints the message of the exception, and not its class
    let message = "failed due to authorization failure";
    refused(tool, kordon.at("nobody"), &describe, message);
}

#[test]
fn performance_and_console_tools() {
    needs!(Java);
    let cluster = Cluster::shared();
    let kordon = people(cluster).start();
    let (us, topic) = (kordon.at("anybody"), unique("tool-perf"));
    cluster.create_topic(&topic, 3, &[]);
    let produce = |at: &str| {
        console(
            "kafka-producer-perf-test",
            &["--topic", &topic, "--num-records", "20000", "--record-size", "200", "--throughput", "-1"]
                .into_iter()
                .chain(["--producer-props", &format!("bootstrap.servers={at}")])
                .collect::<Vec<_>>(),
        )
    };
    let told = produce(us).ok();
    assert!(told.contains("20000 records sent"), "{told}");
    let no = produce(kordon.at("reader"));
    assert!(no.says(TOPIC_REFUSED) || no.says(CLUSTER_REFUSED), "{no:?}");
    let consume = ["--topic", &topic, "--messages", "20000", "--timeout", "60000"];
    let told = console("kafka-consumer-perf-test", &[&consume[..], &["--bootstrap-server", us]].concat()).ok();
    let last = told.lines().last().unwrap_or_default();
    let count: u64 = last.split(',').nth(4).and_then(|n| n.trim().parse().ok()).unwrap_or(0);
    assert!(count >= 20_000, "{told}");
    let args = ["--topic", &topic, "--from-beginning", "--max-messages", "1", "--timeout-ms", "20000"];
    let no = console("kafka-console-consumer", &[&args[..], &["--bootstrap-server", kordon.at("reader")]].concat());
    assert!(no.says("AuthorizationException"), "{no:?}");
}

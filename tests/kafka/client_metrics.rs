//! Metrics of clients (KIP-714) through the proxy, to a broker that takes them.

use std::process::Command;

use serde_json::json;

use crate::support::cluster::{Cluster, Options};
use crate::support::fetch::{Jars, run};
use crate::support::java::Java;
use crate::support::proxy::Kordon;
use crate::support::{needs, scratch, soon, unique};

/// What a broker needs to take them: a line for each push, in a file.
const RECEIVER: &str = r#"
import java.io.*;
import java.util.*;
import org.apache.kafka.common.metrics.*;
import org.apache.kafka.server.telemetry.*;

public class Receiver implements MetricsReporter, ClientTelemetry {
    public void configure(Map<String, ?> configs) {}
    public void init(List<KafkaMetric> metrics) {}
    public void metricChange(KafkaMetric metric) {}
    public void metricRemoval(KafkaMetric metric) {}
    public void close() {}
    public ClientTelemetryReceiver clientReceiver() {
        return (context, payload) -> {
            try (Writer out = new FileWriter(System.getProperty("received"), true)) {
                out.write(payload.clientInstanceId() + " " + payload.data().remaining() + "\n");
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        };
    }
}
"#;

/// One broker of its own: what brokers take is a setting of theirs, and clients of other tests would push too.
#[test]
fn a_broker_that_takes_metrics_of_clients_gets_them_through_the_proxy() {
    needs!(Java);
    let dir = scratch(&unique("receiver"));
    let (source, received) = (dir.join("Receiver.java"), dir.join("received"));
    std::fs::write(&source, RECEIVER).expect("source of the receiver");
    let mut javac = Command::new("javac");
    javac.args(["-nowarn", "-cp", &Jars::Kafka431.classpath(), "-d"]).arg(&dir).arg(&source);
    run(javac, "javac", "openjdk-17-jdk-headless");
    let cluster = Cluster::start(Options {
        nodes: 1,
        properties: vec![("metric.reporters", "Receiver".to_owned())],
        jvm: vec![format!("-Dreceived={}", received.display())],
        classes: Some(dir),
        ..Options::default()
    });
    let metrics = json!({ "interval.ms": "100", "metrics": "org.apache.kafka.producer." });
    let subscription = json!({ "resource": ["CLIENT_METRICS", "all"], "set": metrics });
    cluster.admin().ask("alterConfigs", subscription).expect("a subscription");
    let topic = cluster.topic("mine", 1);
    let policy = "version: 1\ndefault: deny\nacls:\n  - { allow: [Write], principals: [\"User:*\"], resources: [\"topic:mine-*\"] }\nend: true\n";
    let setup = Kordon::before(&cluster).person("alice").policy(policy);
    let kordon = setup.cluster_keys("client_telemetry: forward").start();
    let producer = Java::newest().producer(kordon.at("alice"), &[("enable.metrics.push", "true")]);
    assert_eq!(producer.send(&topic, &["one"]).ok, 1);
    soon("a broker has metrics of the client", || {
        let lines = std::fs::read_to_string(&received).unwrap_or_default();
        lines.lines().any(|line| line.split(' ').nth(1).is_some_and(|bytes| bytes.parse().is_ok_and(|n: u32| n > 100)))
    });
}

//! Kafka Streams with `group.protocol=streams`: an entitled application runs, one without CREATE makes no topic.

use kordon::wire::ApiKey;
use serde_json::json;

use crate::support::cluster::Cluster;
use crate::support::java::Java;
use crate::support::proxy::Kordon;
use crate::support::tools::at;
use crate::support::{needs, soon, unique};

const PROTOCOL: (&str, &str) = ("group.protocol", "streams");

/// alice has an application: its topics, its group, and CREATE on its internal topics if `create`.
fn policy(create: bool) -> String {
    let create = if create {
        "  - { allow: [Create, Read, Write], principals: [\"User:alice\"], resources: [\"topic:app-*\"] }\n"
    } else {
        "  - { allow: [Read, Write], principals: [\"User:alice\"], resources: [\"topic:app-*\"] }\n"
    };
    format!(
        "version: 1\ndefault: deny\nacls:\n  - {{ allow: [Read, Write], principals: [\"User:alice\"], resources: [\"topic:in-*\", \"topic:out-*\", \"group:app-*\"] }}\n  - {{ allow: [IdempotentWrite], principals: [\"User:alice\"], resources: [\"cluster\"] }}\n{create}end: true\n"
    )
}

#[test]
fn an_entitled_streams_application_runs_in_a_streams_group() {
    needs!(Java);
    let cluster = Cluster::shared();
    let (input, output, app) = (unique("in"), unique("out"), unique("app"));
    cluster.create_topics(&[&input, &output], 2, &[]);
    let kordon = Kordon::before(cluster).person("alice").policy(&policy(true)).start();
    let (java, us) = (Java::same(), kordon.at("alice"));
    assert_eq!(java.producer(us, &[]).send(&input, &["a", "a"]).ok, 2);
    let tap = kordon.tap();
    let streams = java.streams(us, &app, &input, &output, &[PROTOCOL]);
    let consumer = java.consumer(&cluster.direct(), &[("group.id", &unique("group"))]);
    assert_eq!(consumer.subscribe(&[&output]).values(2), ["1", "2"]);
    // a partition that has its task is served while others still get theirs
    soon("the application runs", || streams.state() == "RUNNING");
    assert!(!tap.requests(ApiKey::STREAMS_GROUP_HEARTBEAT).is_empty(), "by the new protocol");
    let shown = at("kafka-streams-groups", us, &["--describe", "--group", &app]).ok();
    assert!(shown.contains(&input) || shown.contains(&app), "{shown}");
}

#[test]
fn threat_06_a_streams_application_without_create_makes_no_topic_and_loses_it_with_the_right() {
    needs!(Java);
    let cluster = Cluster::shared();
    let (input, output, app) = (unique("in"), unique("out"), unique("app"));
    cluster.create_topics(&[&input, &output], 2, &[]);
    let kordon = Kordon::before(cluster).person("alice").policy(&policy(false)).start();
    let (java, at) = (Java::same(), kordon.at("alice"));
    let tap = kordon.tap();
    let streams = java.streams(at, &app, &input, &output, &[PROTOCOL]);
    soon("the application fails", || ["ERROR", "PENDING_ERROR", "NOT_RUNNING"].contains(&streams.state().as_str()));
    // That a member leaves may reach the broker: it says so in a few words. A topology is much longer.
    let reached = tap.requests(ApiKey::STREAMS_GROUP_HEARTBEAT);
    assert!(reached.iter().all(|f| f.length < 256), "no topology reached the broker: {reached:?}");
    let topics = cluster.admin().ask("listTopics", json!({})).expect("topics").to_string();
    assert!(!topics.contains(&app), "{topics}");
    drop(streams);
    // With the right it runs; without it the next heartbeat does not go on.
    kordon.write_policy(&policy(true));
    let streams = java.streams(at, &app, &input, &output, &[PROTOCOL]);
    soon("the application runs", || streams.state() == "RUNNING");
    kordon.write_policy(&policy(false));
    soon("the application fails", || ["ERROR", "PENDING_ERROR", "NOT_RUNNING"].contains(&streams.state().as_str()));
}

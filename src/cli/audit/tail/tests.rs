use super::*;
use crate::cluster::batch::{Builder, Record, Stamp};
use crate::cluster::topic::{Cleanup, TopicSpec, ensure};
use crate::demo::broker::{Broker, Settings};
use crate::wire::schema::produce::request as produce;
use bytes::Bytes;
use clap::Parser;
use serde_json::json;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    tail: Tail,
}

fn tail(arguments: &[&str]) -> Tail {
    Line::try_parse_from(["kordon"].iter().chain(arguments)).unwrap().tail
}

#[test]
fn events_are_chosen_by_outcome_and_principal() {
    let event = |principal: &str, granted: bool| json!({ "data": { "authenticationInfo": { "principal": principal }, "authorizationInfo": { "granted": granted } } });
    assert!(tail(&[]).wants(&json!({})));
    assert!(tail(&["--denied"]).wants(&event("User:a", false)));
    assert!(!tail(&["--denied"]).wants(&event("User:a", true)));
    assert!(!tail(&["--denied"]).wants(&json!({})));
    assert!(tail(&["--principal", "User:a"]).wants(&event("User:a", true)));
    assert!(!tail(&["--principal", "User:a"]).wants(&event("User:b", true)));
}

#[test]
fn brokers_can_be_named_without_a_configuration() {
    let (cluster, topic) = tail(&["--bootstrap-server", "k1:9092", "--bootstrap-server", "[::1]:1"]).source().unwrap();
    assert_eq!(cluster.bootstrap[1], HostPort { host: "::1".into(), port: 1 });
    assert_eq!(topic, "kordon.audit");
    let wrong = tail(&["--bootstrap-server", "k1"]).source().unwrap_err();
    assert_eq!(wrong, Failure::Bad("`k1` is no host and port: write them as in `kafka-1:9092`".into()));
}

const TOPIC: &str = "kordon.audit";

/// A broker that holds an audit topic of two partitions.
async fn topic() -> (Broker, config::Cluster, Cluster) {
    let broker = Broker::start(Settings::default()).await.unwrap();
    let addr = broker.addr();
    let config = config::Cluster::plain("c", vec![HostPort { host: addr.ip().to_string(), port: addr.port() }]);
    let cluster = online::reach(&config).await.unwrap();
    let cleanup = Cleanup::Delete { retention: None };
    let spec = TopicSpec { name: TOPIC.into(), create: true, partitions: 2, replication_factor: Some(1), cleanup };
    ensure(&cluster, &spec, |_| {}).await.unwrap();
    (broker, config, cluster)
}

async fn write(cluster: &Cluster, partition: i32, values: &[String]) {
    let mut batch = Builder::default();
    for value in values {
        batch.push(Record { timestamp: 0, key: None, value: Some(value.as_bytes()), headers: &[] });
    }
    let records = Bytes::from(batch.finish(Stamp { producer: -1, epoch: -1, sequence: -1 }));
    let mut request = Node::request(ApiKey::PRODUCE).with(produce::ACKS, -1_i16).with(produce::TIMEOUT_MS, 1000);
    let mut data = request.child(produce::TOPIC_DATA).with(produce::topic_produce_data::NAME, TOPIC);
    let part = data
        .child(produce::topic_produce_data::PARTITION_DATA)
        .with(produce::partition_produce_data::INDEX, partition)
        .with(produce::partition_produce_data::RECORDS, records);
    data.push(produce::topic_produce_data::PARTITION_DATA, part);
    request.push(produce::TOPIC_DATA, data);
    cluster.any_link().unwrap().call_at_most(ApiKey::PRODUCE, BY_NAME, &request).await.unwrap();
}

fn event(principal: &str, granted: bool) -> String {
    json!({
        "type": "kordon.authorization.v1", "time": "T", "subject": "topic:t",
        "data": {
            "methodName": "kafka.Fetch", "authenticationInfo": { "principal": principal },
            "authorizationInfo": { "granted": granted, "operation": "Read", "reason": "r", "reasonCode": "C" },
        },
    })
    .to_string()
}

async fn printed(tail: &Tail, config: &config::Cluster) -> Vec<String> {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let done = tail.follow(config, TOPIC, &mut out, &mut err);
    tokio::time::timeout(Duration::from_secs(20), done).await.expect("the end was not found").unwrap();
    String::from_utf8(out).unwrap().lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn every_event_of_every_partition_is_printed_up_to_the_end() {
    let (_broker, config, cluster) = topic().await;
    write(&cluster, 0, &[event("User:a", true), event("User:b", false)]).await;
    write(&cluster, 1, &[event("User:c", true), "no json".into()]).await;
    write(&cluster, 0, &[event("User:d", true)]).await;
    let mut lines = printed(&tail(&["--from-beginning", "--until-end"]), &config).await;
    lines.sort();
    let line = |word: &str, who: &str| format!("T {word} User:{who} Read topic:t in kafka.Fetch: r (C)");
    let event_lines = [
        "no event: no json".to_owned(),
        line("DENIED", "b"),
        line("allowed", "a"),
        line("allowed", "c"),
        line("allowed", "d"),
    ];
    assert_eq!(lines.len(), 5, "{lines:#?}");
    for wanted in &event_lines {
        assert!(lines.contains(wanted), "{wanted}: {lines:#?}");
    }
    assert_eq!(printed(&tail(&["--from-beginning", "--until-end", "--denied"]), &config).await, [line("DENIED", "b")]);
    let whole = printed(&tail(&["--from-beginning", "--until-end", "--json", "--principal", "User:d"]), &config).await;
    assert_eq!(whole, [event("User:d", true)], "the very bytes");
    assert_eq!(printed(&tail(&["--until-end"]), &config).await, [""; 0], "without --from-beginning: what comes");
}

#[tokio::test]
async fn a_topic_that_is_not_there_is_told() {
    let (_broker, config, _) = topic().await;
    let failure = tail(&["--until-end"]).follow(&config, "other", &mut Vec::new(), &mut Vec::new()).await.unwrap_err();
    assert_eq!(failure, Failure::Failed("cannot read topic `other`: UNKNOWN_TOPIC_OR_PARTITION".into()));
}

#[tokio::test]
async fn a_cluster_that_is_not_there_is_told() {
    let config = config::Cluster {
        connect_timeout: Duration::from_millis(200),
        request_timeout: Duration::from_millis(200),
        ..config::Cluster::plain("c", vec![HostPort { host: "127.0.0.1".into(), port: 1 }])
    };
    let failure = tail(&[]).follow(&config, TOPIC, &mut Vec::new(), &mut Vec::new()).await.unwrap_err();
    assert!(matches!(&failure, Failure::Failed(text) if text.starts_with("cannot reach cluster `c`: ")), "{failure:?}");
}

//! The tools of cluster administration: what they print through the proxy is what they print at the broker, who is refused
//! reads Kafka's own exception, and what is the proxy's own is left alone. The tools run within the driver's JVM.

use crate::support::audit::Event;
use crate::support::cluster::Cluster;
use crate::support::java::Java;
use crate::support::people::{PLAIN, java_login};
use crate::support::proxy::{Kordon, Setup};
use crate::support::tools::{at, lines, refused, same};
use crate::support::{needs, scratch, soon, unique};
use serde_json::{Value as Json, json};

/// anybody may do everything, root is a super user, sre an operator, nobody nothing; viewer, editor as their roles say.
const POLICY: &str = r#"version: 1
default: deny
connect_gate: open
super_users: ["User:root"]
operators: ["User:sre"]
acls:
  - { allow: [All], principals: ["User:anybody"], resources: ["*"] }
bindings:
  - { roles: [viewer], principals: ["User:viewer"], resources: ["cluster", "topic:seen-*", "group:seen-*"] }
  - { roles: [clusterEditor], principals: ["User:editor"], resources: ["cluster", "topic:seen-*"] }
end: true
"#;

const CLUSTER_REFUSED: &str = "ClusterAuthorizationException";
/// Where a tool prints the message of the exception and not its class.
const CLUSTER_MESSAGE: &str = "Cluster authorization failed.";

fn people(cluster: &Cluster) -> Setup<'_> {
    let some = Kordon::before(cluster).person("anybody").person("viewer").person("editor").person("nobody");
    some.super_person("root").super_person("sre").policy(POLICY)
}

/// The directories that `kafka-log-dirs` prints: topics by name, of all brokers.
#[track_caller]
fn topics_in_log_dirs(address: &str) -> Vec<String> {
    let told = at("kafka-log-dirs", address, &["--describe"]).ok();
    let told: Json = told.lines().rev().find_map(|line| serde_json::from_str(line).ok()).expect("JSON");
    let mut topics = Vec::new();
    for broker in told["brokers"].as_array().expect("brokers") {
        for dir in broker["logDirs"].as_array().expect("directories") {
            let named = |p: &Json| p["partition"].as_str().and_then(|p| p.rsplit_once('-')).map(|(t, _)| t.to_owned());
            topics.extend(dir["partitions"].as_array().expect("partitions").iter().filter_map(named));
        }
    }
    topics.sort();
    topics.dedup();
    topics
}

#[test]
fn threat_18_quotas_and_logins_of_others_are_changed_and_the_proxys_own_by_nobody() {
    needs!(Java);
    let cluster = Cluster::shared();
    let kordon = people(cluster).start();
    let (us, broker, user) = (kordon.at("anybody"), cluster.direct(), unique("quota-user"));
    let tool = "kafka-configs";
    let of = |kind: &'static str, who: &[&'static str]| [&["--entity-type", kind][..], who].concat();
    let rate = ["--alter", "--add-config", "producer_byte_rate=1000000"];
    let named = ["--entity-type", "users", "--entity-name", user.as_str()];
    at(tool, us, &[&named[..], &rate[..]].concat()).ok();
    at(tool, kordon.at("editor"), &[&named[..], &["--alter", "--add-config", "request_percentage=90"][..]].concat())
        .ok();
    at(
        tool,
        us,
        &[&named[..], &["--alter", "--add-config", "SCRAM-SHA-256=[iterations=4096,password=pw]"][..]].concat(),
    )
    .ok();
    let describe = [&named[..], &["--describe"][..]].concat();
    soon("the broker tells of both", || {
        let told = lines(at(tool, &broker, &describe));
        told.iter().any(|l| l.contains("request_percentage=90.0")) && told.iter().any(|l| l.contains("iterations=4096"))
    });
    same(tool, us, &broker, &describe);
    refused(tool, kordon.at("editor"), &describe, CLUSTER_REFUSED);
    refused(tool, kordon.at("nobody"), &describe, CLUSTER_REFUSED);
    for who in ["nobody", "viewer"] {
        refused(tool, kordon.at(who), &[&named[..], &rate[..]].concat(), CLUSTER_REFUSED);
    }
    for who in ["editor", "sre"] {
        let change = [&named[..], &["--alter", "--delete-config", "SCRAM-SHA-256"][..]].concat();
        refused(tool, kordon.at(who), &change, CLUSTER_REFUSED);
    }
    // What the proxy's own traffic falls under: its user at the brokers is ANONYMOUS here.
    let own = [
        of("users", &["--entity-name", "ANONYMOUS"]),
        of("users", &["--entity-default"]),
        of("clients", &["--entity-default"]),
        of("clients", &["--entity-name", "kordon"]),
        [of("clients", &["--entity-name", "some-app"]), of("users", &["--entity-name", "ANONYMOUS"])].concat(),
    ];
    for own in own {
        refused(tool, kordon.at("root"), &[&own[..], &rate[..]].concat(), CLUSTER_REFUSED);
    }
    let connections = ["--alter", "--add-config", "connection_creation_rate=1"];
    let ips = of("ips", &["--entity-default"]);
    refused(tool, kordon.at("root"), &[&ips[..], &connections[..]].concat(), CLUSTER_REFUSED);
    let login = of("users", &["--entity-name", "ANONYMOUS"]);
    let password = ["--alter", "--add-config", "SCRAM-SHA-256=[iterations=4096,password=pw]"];
    refused(tool, kordon.at("root"), &[&login[..], &password[..]].concat(), CLUSTER_REFUSED);
    assert_eq!(lines(at(tool, &broker, &[&login[..], &["--describe"][..]].concat())), Vec::<String>::new());
    let mut audit = kordon.audit();
    let login = audit.wait("the new login", |e| e.method() == "kafka.AlterUserScramCredentials" && e.granted());
    let told = login.json.to_string();
    assert!(told.contains(&user) && told.contains("SCRAM-SHA-256"), "{told}");
    assert!(!told.to_lowercase().contains("salt"), "secrets are in no event: {told}");
    audit
        .wait("the quota of the proxy's own", |e| e.method() == "kafka.AlterClientQuotas" && e.reason() == "PROTECTED");
    let gone = "producer_byte_rate,request_percentage";
    at(tool, us, &[&named[..], &["--alter", "--delete-config", gone][..]].concat()).ok();
    at(tool, us, &[&named[..], &["--alter", "--delete-config", "SCRAM-SHA-256"][..]].concat()).ok();
}

#[test]
fn threat_04_leaders_replicas_and_transactions_of_others_are_moved_and_ended_and_the_proxys_own_by_nobody() {
    needs!(Java);
    let cluster = Cluster::shared();
    let kordon = people(cluster).start();
    let (us, broker) = (kordon.at("anybody"), cluster.direct());
    let (topic, hidden, own) = (unique("seen-moved"), unique("hidden-moved"), kordon.audit_topic().to_owned());
    cluster.create_topics(&[&topic, &hidden], 1, &[]);
    let (admin, dir) = (cluster.admin(), scratch(&unique("reassign")));
    let plan = |topic: &str, replicas: &[i32]| -> String {
        let path = dir.join(format!("{topic}.json"));
        let plan = json!({ "version": 1, "partitions": [{ "topic": topic, "partition": 0, "replicas": replicas }] });
        std::fs::write(&path, plan.to_string()).expect("a plan");
        path.display().to_string()
    };
    let tool = "kafka-reassign-partitions";
    let leader = admin.leader(&topic, 0);
    let next = leader % 3 + 1;
    let replicas = [next, leader];
    let file = plan(&topic, &replicas);
    at(tool, kordon.at("editor"), &["--execute", "--reassignment-json-file", &file]).ok();
    soon("the replicas are where they should be", || {
        at(tool, us, &["--verify", "--reassignment-json-file", &file]).says("is completed")
    });
    assert_eq!(lines(at(tool, us, &["--list"])), lines(at(tool, &broker, &["--list"])));
    for who in ["nobody", "viewer"] {
        let ran = at(tool, kordon.at(who), &["--execute", "--reassignment-json-file", &file]);
        assert!(ran.code != 0 && (ran.says("uthoriz")), "{ran:?}");
    }
    let ran = at(tool, kordon.at("root"), &["--execute", "--reassignment-json-file", &plan(&own, &[1])]);
    assert!(ran.code != 0, "{ran:?}");

    let tool = "kafka-leader-election";
    let elect = ["--election-type", "preferred", "--topic", topic.as_str(), "--partition", "0"];
    at(tool, kordon.at("editor"), &elect).ok();
    soon("the first replica leads", || admin.leader(&topic, 0) == next);
    let unauthorized = "Not authorized to perform leader election";
    refused(tool, kordon.at("viewer"), &elect, unauthorized);
    let all = ["--election-type", "preferred", "--all-topic-partitions"];
    assert!(!at(tool, us, &all).ok().contains(&own), "the proxy's own topic takes no part");
    refused(tool, kordon.at("nobody"), &all, unauthorized);
    refused(tool, kordon.at("root"), &["--election-type", "preferred", "--topic", &own, "--partition", "0"], "uthoriz");

    let shown = topics_in_log_dirs(us);
    assert!(shown.contains(&topic) && shown.contains(&hidden));
    assert!(topics_in_log_dirs(&broker).contains(&own) && !shown.contains(&own), "the proxy's own is in no directory");
    // threat_36: the role shows what it lets him describe.
    let of_viewer = topics_in_log_dirs(kordon.at("viewer"));
    assert!(of_viewer.contains(&topic) && of_viewer.iter().all(|t| t.starts_with("seen-")), "{of_viewer:?}");
    refused("kafka-log-dirs", kordon.at("nobody"), &["--describe"], CLUSTER_REFUSED);

    // A transaction that nobody ends.
    let producer = Java::newest().producer(&broker, &[("transactional.id", &unique("seen-tx"))]);
    producer.init().expect("a producer id");
    producer.begin().expect("a transaction");
    assert_eq!(producer.send(&topic, &["open"]).ok, 1);
    let tool = "kafka-transactions";
    let abort = ["abort", "--topic", topic.as_str(), "--partition", "0", "--start-offset", "0"];
    refused(tool, kordon.at("nobody"), &abort, "uthoriz");
    at(tool, us, &abort).ok();
    let consumer = Java::newest().consumer(&broker, &[("isolation.level", "read_committed")]);
    Java::newest().producer(&broker, &[]).send(&topic, &["after"]);
    assert_eq!(consumer.assign(&[(&topic, 0)]).values(1), ["after"], "what is behind an open transaction is not read");
}

#[test]
fn the_quorum_features_brokers_metrics_and_tokens() {
    needs!(Java);
    let cluster = Cluster::shared();
    let kordon = people(cluster)
        .listener("logins", &format!("{PLAIN}\n    super_users: true"))
        .users(&[("root", "root-secret")])
        .start();
    let (us, broker) = (kordon.at("anybody"), cluster.direct());

    let tool = "kafka-metadata-quorum";
    let status = at(tool, kordon.at("viewer"), &["describe", "--status"]).ok();
    assert!(
        status.contains(&format!("ClusterId:              {}", cluster.id)) && status.contains("CurrentVoters:"),
        "{status}"
    );
    for node in cluster.nodes() {
        assert!(!status.contains(&format!(":{}", node.direct - 1)), "where a controller listens: {status}");
    }
    assert!(at(tool, us, &["describe", "--replication"]).ok().lines().count() >= 4);
    let directory = "AAAAAAAAAAAAAAAAAAAAAQ";
    let remove = ["remove-controller", "--controller-id", "9", "--controller-directory-id", directory];
    for who in ["nobody", "viewer", "editor"] {
        refused(tool, kordon.at(who), &remove, CLUSTER_MESSAGE);
    }
    let of = |address: &str| at(tool, address, &remove).err;
    assert_eq!(of(us), of(&broker), "a quorum of fixed voters has none to remove");

    let tool = "kafka-features";
    // But for the age of the metadata, which is another every half second.
    let of = |address: &str| -> Vec<String> {
        let told = lines(at(tool, address, &["describe"]));
        told.iter().filter_map(|l| l.rsplit_once("Epoch:")).map(|(all, _)| all.to_owned()).collect()
    };
    assert_eq!(of(us), of(&broker));
    assert!(of(us).len() > 5);
    let upgrade = ["upgrade", "--feature", "metadata.version=999"];
    refused(tool, kordon.at("nobody"), &upgrade, CLUSTER_MESSAGE);
    let of = |address: &str| {
        let ran = at(tool, address, &upgrade);
        (ran.code, ran.out, ran.err)
    };
    assert_eq!(of(us), of(&broker));

    let tool = "kafka-cluster";
    for who in ["nobody", "viewer", "editor"] {
        refused(tool, kordon.at(who), &["unregister", "--id", "99"], CLUSTER_MESSAGE);
    }
    let of = |address: &str| at(tool, address, &["unregister", "--id", "99"]);
    let (ours, theirs) = (of(us), of(&broker));
    assert_eq!((ours.code, &ours.out), (theirs.code, &theirs.out));
    assert_eq!(of(kordon.at("sre")).out, theirs.out, "an operator may");

    let (tool, name) = ("kafka-client-metrics", unique("seen-metrics"));
    let named = |more: &[&'static str]| -> Vec<String> {
        more.iter().map(|s| (*s).to_owned()).chain(["--name".to_owned(), name.clone()]).collect()
    };
    let run = |address: &str, args: &[String]| at(tool, address, &args.iter().map(String::as_str).collect::<Vec<_>>());
    run(us, &named(&["--alter", "--metrics", "org.apache.kafka.producer.", "--interval", "30000"])).ok();
    soon("the brokers know the subscription", || {
        (1..=3).all(|id| {
            let at_broker = format!("127.0.0.1:{}", cluster.node(id).direct);
            at(tool, &at_broker, &["--list"]).says(&name)
        })
    });
    assert!(at(tool, kordon.at("viewer"), &["--list"]).ok().contains(&name));
    assert_eq!(lines(run(us, &named(&["--describe"]))), lines(run(&broker, &named(&["--describe"]))));
    refused(tool, kordon.at("nobody"), &["--list"], "uthoriz");
    run(us, &named(&["--delete"])).ok();

    // threat_02: tokens are off, and told in the words for each kind of connection.
    let tool = "kafka-delegation-tokens";
    let properties = scratch(&unique("tokens")).join("client.properties");
    let command = properties.display().to_string();
    let create = ["--create", "--max-life-time-period", "-1", "--command-config", command.as_str()];
    std::fs::write(&properties, "").expect("properties");
    refused(tool, kordon.at("root"), &create, "Delegation Token requests are not allowed on PLAINTEXT");
    let login: String =
        java_login("PLAIN", "root", "root-secret").map(|(key, value)| format!("{key}={value}\n")).concat();
    std::fs::write(&properties, login).expect("properties");
    refused(tool, kordon.at("logins"), &create, "Delegation Token feature is not enabled.");
    let describe = ["--describe", "--command-config", command.as_str()];
    refused(tool, kordon.at("logins"), &describe, "Delegation Token feature is not enabled.");
    let event = |e: &Event| e.method() == "kafka.CreateDelegationToken" && e.operation() == "CreateTokens";
    let told = kordon.audit().wait("the token that was not made", event);
    assert!(!told.granted() && told.on("User:root") && told.reason() == "UNSUPPORTED_API", "{told:?}");
}

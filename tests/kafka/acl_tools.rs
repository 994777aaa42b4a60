//! Kafka's own tools for ACLs through the proxy, in front of brokers that have no authorizer.

use std::time::Duration;

use kordon::wire::ApiKey;
use serde_json::json;

use crate::support::audit::Event;
use crate::support::cluster::Cluster;
use crate::support::java::Java;
use crate::support::proxy::{Kordon, Setup, cli};
use crate::support::raw::{Raw, produce_request, produced};
use crate::support::tools::{Ran, at};
use crate::support::{eventually, needs, soon, unique};

/// The tool as `User:who`.
fn acls(kordon: &Kordon<'_>, who: &str, args: &[&str]) -> Ran {
    at("kafka-acls", kordon.at(who), args)
}

/// What `--list` shows to `User:admin`, without the words around it: resource lines, and entries below them, sorted.
fn listed(kordon: &Kordon<'_>, args: &[&str]) -> Vec<String> {
    let mut all = vec!["--list"];
    all.extend(args);
    entries(&acls(kordon, "admin", &all).ok())
}

/// `TYPE:PATTERN:name principal ALLOW READ host`, sorted, of what the tool prints.
fn entries(out: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut resource = String::new();
    let part = |line: &str, key: &str| {
        let from = line.find(key)? + key.len();
        let rest = &line[from..];
        Some(rest[..rest.find([',', ')'])?].to_owned())
    };
    for line in out.lines() {
        if line.contains("ResourcePattern(") {
            let name = part(line, "name=").unwrap();
            let (kind, pattern) = (part(line, "resourceType=").unwrap(), part(line, "patternType=").unwrap());
            resource = format!("{kind}:{pattern}:{name}");
        } else if line.trim_start().starts_with("(principal=") {
            let of = |key: &str| part(line, key).unwrap();
            let (who, host) = (of("principal="), of("host="));
            found.push(format!("{resource} {who} {} {} {host}", of("permissionType="), of("operation=")));
        }
    }
    found.sort();
    found
}

/// A proxy whose policy lets `User:admin` do what Kafka asks for on the cluster, with ACLs kept in a topic of its own.
fn administered<'c>(cluster: &'c Cluster, state: &str) -> Setup<'c> {
    let policy = "version: 1\ndefault: deny\nacls:\n  \
                  - { allow: [Alter, Describe], principals: [\"User:admin\"], resources: [cluster] }\nend: true\n";
    Kordon::before(cluster).person("admin").person("alice").person("bob").policy(policy).state(state)
}

/// The error of one produce to a topic as `User:who`, by a raw request to the broker that leads it.
fn writes(kordon: &Kordon<'_>, who: &str, topic: &str, leader: i32) -> i16 {
    let mut raw = Raw::connect(&kordon.broker(who, leader));
    produced(&raw.ask(ApiKey::PRODUCE, 9, &produce_request(-1, &[(topic, b"x")])))[0].1.0
}

fn leader(cluster: &Cluster, topic: &str) -> i32 {
    Raw::connect(&cluster.direct()).topic(topic, 0).1
}

#[test]
fn kafka_acls_adds_lists_and_removes() {
    needs!(Java);
    let cluster = Cluster::shared();
    let (state, topic) = (unique("state"), unique("tools"));
    cluster.create_topic(&topic, 1, &[]);
    let at = leader(cluster, &topic);
    let kordon = administered(cluster, &state).start();
    assert_eq!(writes(&kordon, "alice", &topic, at), 29);
    let file = [
        "CLUSTER:LITERAL:kafka-cluster User:admin ALLOW ALTER *",
        "CLUSTER:LITERAL:kafka-cluster User:admin ALLOW DESCRIBE *",
    ];
    assert_eq!(listed(&kordon, &[]), file, "what the policy file says is shown");

    let out = acls(
        &kordon,
        "admin",
        &["--add", "--allow-principal", "User:alice", "--operation", "Write", "--topic", &topic],
    )
    .ok();
    assert!(out.contains("User:alice") && out.contains("WRITE"), "{out}");
    assert_eq!(writes(&kordon, "alice", &topic, at), 0, "in force when the tool has ended");
    assert_eq!(listed(&kordon, &["--topic", &topic]), [format!("TOPIC:LITERAL:{topic} User:alice ALLOW WRITE *")]);

    // The forms for programs, in one: with a transactional id, and with what an idempotent producer needed.
    let args = [
        "--add",
        "--allow-principal",
        "User:bob",
        "--producer",
        "--idempotent",
        "--topic",
        "orders",
        "--transactional-id",
        "tx",
        "--consumer",
        "--group",
        "g",
    ];
    acls(&kordon, "admin", &args).ok();
    let bobs = [
        "CLUSTER:LITERAL:kafka-cluster User:bob ALLOW IDEMPOTENT_WRITE *",
        "GROUP:LITERAL:g User:bob ALLOW READ *",
        "TOPIC:LITERAL:orders User:bob ALLOW CREATE *",
        "TOPIC:LITERAL:orders User:bob ALLOW DESCRIBE *",
        "TOPIC:LITERAL:orders User:bob ALLOW READ *",
        "TOPIC:LITERAL:orders User:bob ALLOW WRITE *",
        "TRANSACTIONAL_ID:LITERAL:tx User:bob ALLOW DESCRIBE *",
        "TRANSACTIONAL_ID:LITERAL:tx User:bob ALLOW WRITE *",
    ];
    assert_eq!(listed(&kordon, &["--principal", "User:bob"]), bobs);

    let deny = [
        "--add",
        "--deny-principal",
        "Group:guests",
        "--deny-host",
        "10.0.0.1",
        "--topic",
        "pre",
        "--resource-pattern-type",
        "prefixed",
    ];
    acls(&kordon, "admin", &deny).ok();
    let denied = ["TOPIC:PREFIXED:pre Group:guests DENY ALL 10.0.0.1"];
    assert_eq!(listed(&kordon, &["--topic", "prefix", "--resource-pattern-type", "match"]), denied);
    assert!(listed(&kordon, &["--topic", "prefix"]).is_empty());

    let args = ["--remove", "--force", "--allow-principal", "User:alice", "--operation", "Write", "--topic", &topic];
    acls(&kordon, "admin", &args).ok();
    assert_eq!(writes(&kordon, "alice", &topic, at), 29, "out of force when the tool has ended");
    acls(&kordon, "admin", &["--remove", "--force", "--topic", "orders"]).ok();
    let left = listed(&kordon, &["--principal", "User:bob"]);
    assert_eq!(left, [bobs[0], bobs[1], bobs[6], bobs[7]], "all on the topic and nothing else");

    for args in [&["--list"][..], &["--add", "--allow-principal", "User:alice", "--cluster", "--operation", "All"]] {
        let refused = acls(&kordon, "alice", args);
        assert!(refused.says("ClusterAuthorizationException") && refused.code != 0, "{refused:?}");
    }
    let of_the_file = acls(
        &kordon,
        "admin",
        &["--remove", "--force", "--cluster", "--allow-principal", "User:admin", "--operation", "Alter"],
    );
    assert!(
        of_the_file.says("this acl stands in the policy file at policy.yaml:4: remove it there"),
        "{of_the_file:?}"
    );

    // The tool looks before it adds, and is refused there already.
    let alices = json!({ "acls": [["CLUSTER", "kafka-cluster", "LITERAL", "User:alice", "*", "ALL", "ALLOW"]] });
    let refused = Java::newest().admin(kordon.at("alice")).ask("createAcls", alices).unwrap();
    assert_eq!(refused["kafka-cluster"]["error"], "ClusterAuthorizationException", "{refused}");

    let mut audit = kordon.audit();
    let created = |e: &Event, granted: bool| e.method() == "kafka.CreateAcls" && e.granted() == granted;
    let event = audit.wait("the creation", |e| created(e, true));
    let acl = &event.json["data"]["request"]["acls"][0];
    assert_eq!(
        (&acl["name"], &acl["principal"], &acl["operation"]),
        (&json!(topic), &json!("User:alice"), &json!("WRITE"))
    );
    let event = audit.wait("the refused attempt", |e| created(e, false));
    assert_eq!((event.principal(), event.reason()), ("User:alice", "NO_MATCH"));
    assert_eq!(event.json["data"]["request"]["acls"][0]["operation"], "ALL", "what was tried is told");
    let id = json!(format!("state:topic:LITERAL:{topic} User:alice ALLOW WRITE *"));
    let by = |e: &Event| e.json["data"]["authorizationInfo"]["matched"][0]["id"] == id;
    assert_eq!(audit.wait("a decision by the acl", by).reason(), "ACL_ALLOW");
}

#[test]
fn the_managed_kafka_guide_works_line_by_line_and_after_a_restart() {
    needs!(Java);
    let cluster = Cluster::shared();
    let (state, topic, open) = (unique("state"), unique("guide"), unique("open"));
    cluster.create_topics(&[&topic, &open], 1, &[]);
    // allow.everyone.if.no.acl.found=true: as the guide's clusters are made.
    let everyone = "version: 1\ndefault: allow_if_no_acl\nend: true\n";
    let people = ["admin", "reader", "writer", "other"];
    let setup = people.iter().fold(Kordon::before(cluster), |setup, who| setup.person(who));
    let mut kordon = setup.policy(everyone).state(&state).start();
    let java = Java::newest();
    let (at, at_open) = (leader(cluster, &topic), leader(cluster, &open));

    // Nothing is set, so that everybody may; the first to be set is who sets.
    acls(&kordon, "other", &["--list"]).ok();
    acls(&kordon, "admin", &["--add", "--allow-principal", "User:admin", "--operation", "All", "--cluster"]).ok();
    assert!(acls(&kordon, "other", &["--list"]).says("ClusterAuthorizationException"));
    assert_eq!(listed(&kordon, &[]), ["CLUSTER:LITERAL:kafka-cluster User:admin ALLOW ALL *"]);
    assert_eq!(writes(&kordon, "other", &topic, at), 0, "no acl is about the topic");

    // Allow read, with the groups that a consumer needs.
    acls(
        &kordon,
        "admin",
        &["--add", "--allow-principal", "User:reader", "--operation", "Read", "--topic", &topic, "--group", "*"],
    )
    .ok();
    let consumer = java.consumer(kordon.at("reader"), &[("group.id", &unique("group"))]);
    assert_eq!(consumer.subscribe(&[&topic]).values(1), ["x"]);
    assert_eq!([writes(&kordon, "other", &topic, at), writes(&kordon, "reader", &topic, at)], [29, 29]);

    // Allow write.
    acls(&kordon, "admin", &["--add", "--allow-principal", "User:writer", "--operation", "Write", "--topic", &topic])
        .ok();
    let producer = java.producer(kordon.at("writer"), &[]);
    assert_eq!(producer.send(&topic, &["from the writer"]).ok, 1);
    assert_eq!(consumer.values(1), ["from the writer"]);

    // Deny what changes the topic, to somebody who may do all with it.
    acls(&kordon, "admin", &["--add", "--allow-principal", "User:writer", "--operation", "All", "--topic", &topic])
        .ok();
    let change = || {
        let admin = java.admin(kordon.at("writer"));
        let grown = admin.ask("createPartitions", json!({ "topic": topic, "count": 2 }));
        let altered =
            admin.ask("alterConfigs", json!({ "resource": ["TOPIC", topic], "set": { "retention.ms": "3600000" } }));
        (format!("{grown:?}"), format!("{altered:?}"))
    };
    let args = [
        "--add",
        "--deny-principal",
        "User:writer",
        "--operation",
        "Alter",
        "--operation",
        "AlterConfigs",
        "--operation",
        "Delete",
        "--topic",
        &topic,
    ];
    acls(&kordon, "admin", &args).ok();
    let (grown, altered) = change();
    assert!(
        grown.contains("TopicAuthorizationException") && altered.contains("TopicAuthorizationException"),
        "{grown} {altered}"
    );
    let gone = java.admin(kordon.at("writer")).ask("deleteTopics", json!({ "topics": [topic] }));
    assert!(format!("{gone:?}").contains("TopicAuthorizationException"), "{gone:?}");
    assert_eq!(producer.send(&topic, &["still"]).ok, 1, "and nothing else is denied");

    // allow.everyone.if.no.acl.found=false.
    assert_eq!(writes(&kordon, "other", &open, at_open), 0);
    kordon.write_policy("version: 1\ndefault: deny\nend: true\n");
    assert_eq!(writes(&kordon, "other", &open, at_open), 29);
    assert_eq!(producer.send(&topic, &["by acl"]).ok, 1);

    let before = listed(&kordon, &[]);
    assert_eq!(before.len(), 8, "{before:?}");
    assert_eq!(kordon.terminate(), Some(0));
    kordon.begin();
    kordon.await_ready();
    assert_eq!(listed(&kordon, &[]), before, "after a restart");
    assert_eq!([writes(&kordon, "writer", &topic, at), writes(&kordon, "other", &topic, at)], [0, 29]);
    let explained = cli(&[
        "explain",
        "--config",
        &kordon.config_path().display().to_string(),
        "--principal",
        "User:writer",
        "--operation",
        "Write",
        "--resource",
        &format!("topic:{topic}"),
    ]);
    assert!(explained.says("by the policy file alone"), "{explained:?}");
}

#[test]
fn acls_made_through_one_proxy_hold_at_the_other_and_admin_clients_change_them() {
    needs!(Java);
    let cluster = Cluster::shared();
    let (state, topic) = (unique("state"), unique("replica"));
    cluster.create_topic(&topic, 1, &[]);
    let at = leader(cluster, &topic);
    let first = administered(cluster, &state).start();
    let second = administered(cluster, &state).start();

    let admin = Java::newest().admin(first.at("admin"));
    let alices = ["TOPIC", &topic, "LITERAL", "User:alice", "*", "WRITE", "ALLOW"];
    let bad = ["TOPIC", "bad", "LITERAL", "alice", "*", "WRITE", "ALLOW"];
    let made = admin.ask("createAcls", json!({ "acls": [alices, bad] })).unwrap();
    assert_eq!(made["bad"]["error"], "InvalidRequestException", "{made}");
    eventually("the second proxy serves alice", Duration::from_secs(5), || writes(&second, "alice", &topic, at) == 0);
    let all = admin.ask("describeAcls", json!({})).unwrap();
    assert_eq!(all.as_array().map(Vec::len), Some(3), "{all}");
    let gone = admin.ask(
        "deleteAcls",
        json!({ "acls": [alices, ["CLUSTER", "kafka-cluster", "LITERAL", "User:admin", "*", "ALTER", "ALLOW"]] }),
    );
    let mut gone: Vec<String> = serde_json::from_value(gone.unwrap()).unwrap();
    gone.sort();
    assert_eq!(gone, ["PolicyViolationException", topic.as_str()]);
    assert_eq!(writes(&first, "alice", &topic, at), 29);
    soon("the second proxy refuses alice", || writes(&second, "alice", &topic, at) == 29);
    let refused = Java::newest().admin(second.at("alice")).ask("describeAcls", json!({})).unwrap_err();
    assert_eq!(refused.class, "ClusterAuthorizationException");
}

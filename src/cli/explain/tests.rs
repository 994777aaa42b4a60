use super::*;
use clap::Parser;
use proptest::prelude::*;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    explain: Explain,
}

const POLICY: &str = "\
version: 1
default: deny
super_users: [\"User:root\"]
groups:
  devs: [\"User:alice\"]
acls:
  - { allow: [Read], principals: [\"Group:devs\"], resources: [\"topic:tx_*\"], hosts: [\"10.0.0.0/8\", \"127.0.0.1\"] }
  - { deny: [Read], principals: [\"Group:guests\"], resources: [\"topic:tx_secret\"] }
bindings:
  - { roles: [consumerGroupEditor], principals: [\"User:olga\"], resources: [\"group:trade_*\"] }
end: true
";

fn explain(arguments: &[&str]) -> Result<String, Failure> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("policy.yaml");
    std::fs::write(&file, POLICY).unwrap();
    let file = file.to_str().unwrap();
    let fixed = ["kordon", "--policy", file, "--at", "2026-11-22T00:00:00Z"];
    let line = Line::try_parse_from(fixed.iter().chain(arguments)).map_err(|e| Failure::Bad(e.to_string()))?;
    let mut out = Vec::new();
    line.explain.run(&mut out, &mut Vec::new())?;
    Ok(String::from_utf8(out).unwrap())
}

fn bad(arguments: &[&str]) -> String {
    match explain(arguments) {
        Err(Failure::Bad(text)) => text,
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_resource_is_one_line_with_its_reason() {
    let text = explain(&[
        "--principal",
        "User:alice",
        "--operation",
        "read",
        "--resource",
        "topic:tx_1",
        "--resource",
        "topic:other",
    ])
    .unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "allowed: User:alice Read on topic:tx_1 in Fetch: acl `policy.yaml:7` allows");
    assert_eq!(lines[1], "  acl `policy.yaml:7`: allow [Read] for `Group:devs` on `topic:tx_*`: applies");
    assert!(lines[2].starts_with("denied: User:alice Read on topic:other in Fetch: no rule allows this"), "{text}");
    assert!(
        lines[3].starts_with("policy revision ")
            && lines[3].ends_with("@-, host 127.0.0.1, at 2026-11-22T00:00:00.000Z"),
        "{text}"
    );
}

#[test]
fn groups_of_the_login_host_and_super_users_count() {
    let base = ["--operation", "Read", "--resource", "topic:tx_secret", "--principal"];
    let word = |more: &[&str]| {
        let text = explain(&[&base[..], more].concat()).unwrap();
        text.split(':').next().unwrap().to_owned()
    };
    assert_eq!(word(&["User:alice"]), "allowed");
    assert_eq!(word(&["User:alice", "--member-of", "guests"]), "denied");
    assert_eq!(word(&["User:alice", "--host", "192.0.2.1"]), "denied");
    assert_eq!(word(&["User:carol", "--member-of", "Group:devs"]), "allowed");
    assert_eq!(word(&["User:root"]), "denied");
    assert_eq!(word(&["User:root", "--super-users"]), "allowed");
}

#[test]
fn a_virtual_operation_is_asked_in_its_api_and_form() {
    let text =
        explain(&["--principal", "User:olga", "--operation", "OffsetsWrite", "--resource", "group:trade_b2"]).unwrap();
    assert!(text.starts_with("allowed: User:olga Read on group:trade_b2 in OffsetCommit: "), "{text}");
    assert!(text.lines().next().unwrap().ends_with(", as `OffsetsWrite`"), "{text}");
    let text = explain(&["--principal", "User:olga", "--operation", "Read", "--resource", "group:trade_b2"]).unwrap();
    assert!(text.starts_with("denied: User:olga Read on group:trade_b2 in JoinGroup: "), "{text}");
}

#[test]
fn json_has_the_names_of_the_audit() {
    let text =
        explain(&["--json", "--principal", "User:alice", "--operation", "Read", "--resource", "topic:tx_1"]).unwrap();
    let value: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["granted"], true);
    assert_eq!(value["reasonCode"], "ACL_ALLOW");
    assert_eq!(
        value["matched"][0],
        json!({ "kind": "acl", "id": "policy.yaml:7", "effect": "allow", "role": null, "expires": null })
    );
    assert_eq!(value["resource"], json!({ "type": "Topic", "name": "tx_1" }));
    assert_eq!(text.lines().count(), 1);
}

#[test]
fn bad_questions_say_what_to_ask() {
    let ask = |operation: &str, resource: &str| {
        bad(&["--principal", "User:a", "--operation", operation, "--resource", resource])
    };
    assert_eq!(ask("Raed", "topic:t"), "`Raed` is not an operation, did you mean `Read`?");
    assert_eq!(
        ask("Write", "group:g"),
        "operation `Write` means nothing on a group: ask for Read, Delete, Describe, DescribeConfigs, AlterConfigs"
    );
    assert_eq!(ask("OffsetsWrite", "topic:t"), "operation `OffsetsWrite` is one on a group, not on a topic");
    assert_eq!(
        ask("Read", "topics:t"),
        "`topics:t` is not a resource, did you mean `topic`?: write `TYPE:NAME`, as in `topic:orders`"
    );
    assert_eq!(ask("Read", "topic"), "resource `topic` has no name: write `topic:NAME`");
    assert_eq!(ask("Read", "topic:tx_*"), "resource `topic:tx_*` is a pattern: ask for one topic, as clients do");
    assert_eq!(
        bad(&["--principal", "User:a", "--operation", "Read", "--resource", "topic:t", "--api", "Fetsch"]),
        "`Fetsch` is not an API of Kafka, did you mean `Fetch`?"
    );
    assert!(
        bad(&["--principal", "alice", "--operation", "Read", "--resource", "topic:t"]).contains("write `User:alice`")
    );
}

#[test]
fn every_operation_has_an_api_and_every_virtual_one_means_something_there() {
    for kind in ResourceType::EVERY {
        for operation in Operation::asked_on(kind).iter() {
            assert_ne!(usual_api(kind, operation).name(), "Unknown");
        }
    }
    for right in Right::EVERY {
        let Asked { operation, .. } = as_virtual(right);
        assert!(Operation::supported_by(right.kind()).contains(operation), "{right:?}");
    }
}

proptest! {
    /// The command has no rules of its own: it prints what the policy decides.
    #[test]
    fn the_command_says_what_the_policy_decides(
        user in "(alice|olga|root|carol)", guest: bool, admitted: bool, inside: bool,
        name in "(tx_1|tx_secret|other|trade_b2)",
        (kind, operation) in prop::sample::select(ResourceType::EVERY.into_iter().filter(|k| *k != ResourceType::Cluster)
            .flat_map(|k| Operation::supported_by(k).iter().map(move |o| (k, o))).collect::<Vec<_>>()),
    ) {
        let now: Timestamp = "2026-11-22T00:00:00Z".parse().unwrap();
        let settings = Settings { own_topics: OwnTopics::default(), now, ..Settings::default() };
        let snapshot = Snapshot::load(POLICY.as_bytes(), "policy.yaml", &settings).unwrap().snapshot;
        let host: IpAddr = if inside { "10.1.2.3" } else { "192.0.2.1" }.parse().unwrap();
        let groups: Vec<Arc<str>> = if guest { vec!["guests".into()] } else { vec![] };
        let subject = Subject { principal: Principal::user(&user), groups: groups.into(), may_merge: true, may_be_super: admitted };
        let decision = snapshot.decide(&Query {
            subject: &subject, operation, resource: Resource::new(kind, &name), api: usual_api(kind, operation),
            host: &Host::new(host), now, use_: Use::Normal,
        });

        let (principal, host) = (format!("User:{user}"), host.to_string());
        let resource = format!("{}:{name}", kind.policy_word());
        let mut line = vec!["--json", "--principal", &principal, "--operation", operation.name(), "--resource", &resource, "--host", &host];
        if guest { line.extend(["--member-of", "guests"]); }
        if admitted { line.push("--super-users"); }
        let said: Value = serde_json::from_str(&explain(&line).unwrap()).unwrap();
        prop_assert_eq!(&said["granted"], &json!(decision.is_allowed()));
        prop_assert_eq!(&said["reason"], &json!(decision.reason()));
        prop_assert_eq!(&said["reasonCode"], &json!(decision.code().as_str()));
    }
}

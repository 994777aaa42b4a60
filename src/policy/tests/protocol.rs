//! ACLs of the protocol, compiled with the file: decided as Kafka's authorizer decides them.

use super::{Ask, loaded, who};
use crate::model::{Operation, PatternType, ResourceType};
use crate::policy::{AclBinding, AclSet, Permission, ReasonCode, Snapshot};
use crate::wire::ApiKey;
use proptest::prelude::*;
use std::sync::Arc;

fn with(file: &str, lines: &[&str]) -> Arc<Snapshot> {
    loaded(file).source.snapshot(&AclSet::new(lines.iter().map(|l| AclBinding::read(l)), Some(17)))
}

fn only(lines: &[&str]) -> Arc<Snapshot> {
    with("version: 1\n", lines)
}

fn reads(policy: &Snapshot, who: &Ask, topic: &str) -> bool {
    who.topic(policy, Operation::Read, topic).is_allowed()
}

#[test]
fn the_revision_names_file_and_state() {
    let loaded = loaded("version: 1\n");
    let text = loaded.snapshot.revision().as_str().to_owned();
    let (file, none) = text.split_once('@').unwrap();
    assert_eq!(none, "-");
    let at = |offset| loaded.source.snapshot(&AclSet::new([], offset)).revision().as_str().to_owned();
    assert_eq!([at(Some(4711)), at(None)], [format!("{file}@4711"), format!("{file}@-")]);
    let of = |line: &str| {
        loaded.source.snapshot(&AclSet::new([AclBinding::read(line)], None)).revision().as_str().to_owned()
    };
    let one = of("topic:LITERAL:a User:b ALLOW READ *");
    assert!(one.starts_with(&format!("{file}@acls-")) && one.len() == file.len() + "@acls-01234567".len(), "{one}");
    assert_eq!(one, of("topic:LITERAL:a User:b ALLOW READ *"), "on every replica the same");
    assert_ne!(one, of("topic:LITERAL:a User:b DENY READ *"));
}

#[test]
fn an_acl_of_the_protocol_allows_and_the_decision_names_it() {
    let policy = only(&["topic:LITERAL:orders User:alice ALLOW READ *", "topic:PREFIXED:tx_ User:bob DENY ALL *"]);
    let decision = who("User:alice").topic(&policy, Operation::Describe, "orders");
    assert_eq!(decision.reason(), "acl `state:topic:LITERAL:orders User:alice ALLOW READ *` allows");
    assert_eq!(decision.code(), ReasonCode::AclAllow);
    let decision = who("User:bob").topic(&policy, Operation::Write, "tx_1");
    assert_eq!(decision.matched().unwrap().id.as_ref(), "state:topic:PREFIXED:tx_ User:bob DENY ALL *");
    assert_eq!(decision.code(), ReasonCode::ExplicitDeny);
    assert_eq!(policy.protocol_acls().len(), 2);
}

#[test]
fn what_somebody_wrote_into_an_acl_does_not_fill_the_events_that_it_decides() {
    let line = format!("topic:LITERAL:* User:{} ALLOW READ *", "é".repeat(30_000));
    let asker = who(&format!("User:{}", "é".repeat(30_000)));
    let decision = asker.topic(&only(&[&line]), Operation::Read, "t");
    let id = &decision.matched().unwrap().id;
    assert!(decision.is_allowed() && id.chars().count() == 1_001 && id.starts_with("state:topic:LITERAL:* User:éé"));
}

#[test]
fn a_deny_wins_from_either_side() {
    let file = "version: 1\nacls:\n  - { deny: [Read], principals: ['User:a'], resources: ['topic:x'] }\n  \
                - { allow: [Read], principals: ['User:a'], resources: ['topic:y'] }\nend: true\n";
    let policy = with(file, &["topic:LITERAL:* User:a ALLOW READ *", "topic:LITERAL:y User:* DENY READ *"]);
    assert!(!reads(&policy, &who("User:a"), "x") && !reads(&policy, &who("User:a"), "y"));
    assert!(reads(&policy, &who("User:a"), "z"));
}

#[test]
fn everybody_is_everybody_and_a_group_is_its_members_and_whoever_is_called_so() {
    let policy = only(&["topic:LITERAL:open User:* ALLOW READ *", "topic:LITERAL:team Group:g ALLOW READ *"]);
    for principal in ["User:a", "Group:g", "Service:a", "User:ANONYMOUS"] {
        assert!(reads(&policy, &who(principal), "open"), "{principal}");
    }
    assert!(reads(&policy, &who("User:a").groups(&["g"]), "team"), "a claimed group");
    assert!(reads(&policy, &who("Group:g"), "team"), "a principal of that name");
    assert!(!reads(&policy, &who("User:g"), "team") && !reads(&policy, &who("User:a"), "team"));
    let file = "version: 1\ngroups: { g: ['User:member'] }\n";
    let policy = with(file, &["topic:LITERAL:team Group:g ALLOW READ *", "topic:LITERAL:all Group:* ALLOW READ *"]);
    assert!(reads(&policy, &who("User:member"), "team"), "a member by the file");
    assert!(!reads(&policy, &who("User:member"), "all"), "`Group:*` is a name like any other");
}

#[test]
fn what_makes_no_sense_is_there_and_matches_nothing_more() {
    let policy = only(&[
        "cluster:LITERAL:kafka-cluster User:a ALLOW WRITE *",
        "cluster:PREFIXED:kafka-cluster User:p ALLOW ALTER *",
        "topic:LITERAL:t User: ALLOW READ *",
        "topic:LITERAL:t : ALLOW READ *",
        "topic:LITERAL:t User:name ALLOW READ localhost",
        "topic:LITERAL:t User:short ALLOW READ ::1",
        "topic:LITERAL:a/b User:a ALLOW READ *",
        "topic:PREFIXED:* User:a ALLOW READ *",
    ]);
    let a = who("User:a");
    assert!(!a.cluster(&policy, Operation::Alter).is_allowed() && !a.cluster(&policy, Operation::Create).is_allowed());
    assert!(a.cluster(&policy, Operation::Describe).is_allowed(), "Write implies Describe, whatever the type");
    assert!(who("User:p").cluster(&policy, Operation::Alter).is_allowed(), "its prefix is a prefix of its name");
    assert!(!reads(&policy, &a, "t") && !reads(&policy, &who("User:name").from("127.0.0.1"), "t"));
    assert!(!reads(&policy, &who("User:short").from("::1"), "t"));
    assert!(reads(&policy, &a, "a/b"), "an illegal name is authorized before it is looked at");
    assert!(reads(&policy, &a, "*x") && !reads(&policy, &a, "x"), "a prefix `*` is no wildcard");
    assert!(reads(&policy, &who("User:"), "t") && reads(&policy, &who(":"), "t"), "exact texts match");
}

#[test]
fn threat_40_a_network_in_a_protocol_acl_has_no_force() {
    let policy = only(&["topic:LITERAL:t User:a ALLOW READ 10.0.0.0/8", "topic:LITERAL:u User:a ALLOW READ 10.0.0.1"]);
    let a = who("User:a").from("10.0.0.1");
    assert!(!reads(&policy, &a, "t") && reads(&policy, &a, "u"));
    assert!(!reads(&policy, &who("User:a").from("10.0.0.2"), "u"));
}

#[test]
fn threat_10_an_acl_of_the_protocol_closes_what_it_names() {
    let file = "version: 1\ndefault: allow_if_no_acl\nend: true\n";
    let a = who("User:a");
    assert!(reads(&with(file, &[]), &a, "t"));
    for closes in [
        "topic:LITERAL:t User:other ALLOW READ 10.9.9.9",
        "topic:PREFIXED:t User:other DENY WRITE *",
        "topic:LITERAL:* User:other ALLOW DESCRIBE *",
    ] {
        let policy = with(file, &[closes]);
        assert!(!reads(&policy, &a, "t"), "{closes}");
        assert!(a.group(&policy, Operation::Read, "t").is_allowed(), "another type: {closes}");
    }
    assert!(reads(&with(file, &["topic:LITERAL:s User:other ALLOW READ *"]), &a, "t"));
}

#[test]
fn threat_20_an_acl_on_the_state_topic_never_opens_it() {
    let lines: Vec<String> = [("LITERAL", "kordon.state"), ("PREFIXED", "kordon"), ("LITERAL", "*")]
        .iter()
        .flat_map(|(how, name)| ["User:a", "User:*"].map(|p| format!("topic:{how}:{name} {p} ALLOW ALL *")))
        .collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let policy = with("version: 1\nsuper_users: ['User:root']\n", &lines);
    for principal in ["User:a", "User:root", "User:other"] {
        for operation in Operation::EVERY {
            let decision = who(principal).topic(&policy, operation, "kordon.state");
            assert_eq!(decision.code(), ReasonCode::Protected, "{principal} {operation}");
        }
    }
    assert!(!reads(&with("version: 1\n", &["topic:LITERAL:* User:a ALLOW ALL *"]), &who("User:a"), "kordon.audit"));
}

#[test]
fn super_users_pass_and_user_star_is_no_super_user() {
    let policy = with("version: 1\nsuper_users: ['User:root']\n", &["topic:LITERAL:* User:* DENY ALL *"]);
    assert!(reads(&policy, &who("User:root"), "t"));
    assert!(!reads(&policy, &who("User:*"), "t"));
}

#[test]
fn write_on_any_topic_is_kafkas_walk() {
    let any = |lines: &[&str]| who("User:a").any(&only(lines), Operation::Write).is_allowed();
    assert!(any(&["topic:LITERAL:hardcode User:a ALLOW WRITE *"]), "the name that Kafka asks about first");
    assert!(any(&["topic:PREFIXED:x User:a ALLOW WRITE *"]));
    assert!(!any(&["topic:PREFIXED:xy User:a ALLOW WRITE *", "topic:PREFIXED:x User:* DENY WRITE *"]));
    assert!(any(&["topic:PREFIXED:x User:a ALLOW WRITE *", "topic:PREFIXED:xy User:a DENY ALL *"]));
    assert!(any(&["topic:LITERAL:* User:a ALLOW WRITE *", "topic:PREFIXED:x User:a DENY WRITE *"]));
    assert!(!any(&["topic:PREFIXED:x User:a ALLOW WRITE *", "topic:LITERAL:* User:* DENY WRITE *"]));
    assert!(!any(&["topic:PREFIXED:x User:a ALLOW WRITE 10.9.9.9"]));
}

#[test]
fn tools_are_shown_of_the_file_what_kafka_can_express() {
    let file = "version: 1
groups: { devs: ['User:x'] }
acls:
  - { allow: [Read, OffsetsWrite], principals: ['User:a', 'Group:devs'], resources: ['group:g', 'topic:tx_*'] }
  - { deny: [All], principals: ['User:*'], resources: ['cluster'], hosts: ['10.0.0.1', '10.0.0.0/8'] }
  - { allow: [Read], principals: ['User:b'], resources: ['topic:*'], except: ['User:c'] }
  - { allow: [Read], principals: ['User:b'], resources: ['topic:*'], apis: [Fetch] }
  - { allow: [Read], principals: ['User:b'], resources: ['topic:*'], not_after: 2027-01-01T00:00:00Z }
bindings:
  - { roles: [viewer], principals: ['User:v'], resources: ['*'] }
end: true
";
    let policy = with(file, &["topic:LITERAL:p User:p ALLOW READ *"]);
    let shown: Vec<String> =
        policy.shown_acls().map(|(acl, place)| format!("{acl} ({})", place.unwrap_or("made by a tool"))).collect();
    let expected = [
        "topic:PREFIXED:tx_ Group:devs ALLOW READ * (policy.yaml:4)",
        "topic:PREFIXED:tx_ User:a ALLOW READ * (policy.yaml:4)",
        "group:LITERAL:g Group:devs ALLOW READ * (policy.yaml:4)",
        "group:LITERAL:g User:a ALLOW READ * (policy.yaml:4)",
        "cluster:LITERAL:kafka-cluster User:* DENY ALL 10.0.0.1 (policy.yaml:5)",
        "topic:LITERAL:p User:p ALLOW READ * (made by a tool)",
    ];
    assert_eq!(shown, expected);
}

/// What `StandardAuthorizer` decides, rule by rule (kafka-authorization 3.1 to 3.5).
fn kafka(open: bool, acls: &[AclBinding], who: &Ask, op: Operation, kind: ResourceType, name: &str) -> bool {
    use Operation as O;
    let about: Vec<&AclBinding> = acls
        .iter()
        .filter(|a| a.kind == kind)
        .filter(|a| match a.pattern {
            PatternType::Literal => a.name == name || a.name == "*",
            PatternType::Prefixed => name.starts_with(&a.name),
        })
        .collect();
    let speaks = |a: &&&AclBinding| {
        let groups = who.subject.groups.iter().any(|g| a.principal == format!("Group:{g}"));
        (a.principal == "User:*" || a.principal == who.subject.principal.as_str() || groups)
            && (a.host == "*" || Some(a.host.as_str()) == who.host.text())
    };
    let allows = |a: &&AclBinding| {
        a.operation == O::All
            || a.operation == op
            || (op == O::Describe && matches!(a.operation, O::Read | O::Write | O::Delete | O::Alter))
            || (op == O::DescribeConfigs && a.operation == O::AlterConfigs)
    };
    let denies = |a: &&AclBinding| a.operation == O::All || a.operation == op;
    let of = |permission| about.iter().filter(speaks).copied().filter(move |a| a.permission == permission);
    if of(Permission::Deny).any(|a| denies(&a)) {
        false
    } else if of(Permission::Allow).any(|a| allows(&a)) {
        true
    } else {
        open && about.is_empty()
    }
}

/// What `Authorizer.authorizeByResourceType` says (kafka-authorization 3.6).
fn kafka_any(open: bool, acls: &[AclBinding], who: &Ask, op: Operation) -> bool {
    if kafka(open, acls, who, op, ResourceType::Topic, "hardcode") {
        return true;
    }
    let speaks = |a: &&AclBinding| {
        let groups = who.subject.groups.iter().any(|g| a.principal == format!("Group:{g}"));
        a.kind == ResourceType::Topic
            && (a.host == "*" || Some(a.host.as_str()) == who.host.text())
            && (a.principal == "User:*" || a.principal == who.subject.principal.as_str() || groups)
            && (a.operation == op || a.operation == Operation::All)
    };
    let of = |permission, pattern| {
        let names = acls.iter().filter(speaks).filter(move |a| a.permission == permission && a.pattern == pattern);
        names.map(|a| a.name.as_str()).collect::<Vec<_>>()
    };
    use PatternType::{Literal, Prefixed};
    let (denied, denied_prefixes) = (of(Permission::Deny, Literal), of(Permission::Deny, Prefixed));
    let (allowed, allowed_prefixes) = (of(Permission::Allow, Literal), of(Permission::Allow, Prefixed));
    if denied.contains(&"*") {
        return false;
    }
    let under = |name: &str| denied_prefixes.iter().any(|prefix| name.starts_with(prefix));
    allowed.contains(&"*")
        || allowed.iter().any(|name| !denied.contains(name) && !under(name))
        || allowed_prefixes.iter().any(|prefix| !under(prefix))
}

fn bindings() -> impl Strategy<Value = AclBinding> {
    let pattern = prop::sample::select(vec![PatternType::Literal, PatternType::Prefixed]);
    let principal = prop::sample::select(vec!["User:a", "User:*", "Group:g", "Group:*", "User:", ":", "Service:a"]);
    let host = prop::sample::select(vec!["*", "*", "10.0.0.1", "10.0.0.2", "10.0.0.0/8", "", "localhost"]);
    let permission = prop::sample::select(vec![Permission::Allow, Permission::Allow, Permission::Deny]);
    let kind = prop::sample::select(vec![ResourceType::Topic, ResourceType::Group, ResourceType::User]);
    let parts =
        (kind, pattern, "[ab]{1,3}|\\*", principal, host, prop::sample::select(&Operation::EVERY[..]), permission);
    parts.prop_map(|(kind, pattern, name, principal, host, operation, permission)| {
        let (principal, host) = (principal.to_owned(), host.to_owned());
        AclBinding { kind, pattern, name, principal, host, operation, permission }
    })
}

proptest! {
    #[test]
    fn acls_of_the_protocol_decide_as_in_kafka(
        open: bool,
        acls in prop::collection::vec(bindings(), 0..10),
        principal in prop::sample::select(vec!["User:a", "User:b", "Group:g", "Service:a", "User:", "User:*"]),
        groups in prop::sample::subsequence(vec!["g", "h"], 0..=2),
        op in prop::sample::select(&Operation::EVERY[..]),
        kind in prop::sample::select(vec![ResourceType::Topic, ResourceType::Group, ResourceType::User]),
        name in "[ab]{0,4}|\\*",
        host in prop::sample::select(vec!["10.0.0.1", "10.0.0.2", "10.0.0.3"]),
    ) {
        let default = if open { "allow_if_no_acl" } else { "deny" };
        let source = loaded(&format!("version: 1\ndefault: {default}\nend: true\n")).source;
        let policy = source.snapshot(&AclSet::new(acls.clone(), Some(1)));
        let asker = who(principal).groups(&groups).from(host).api(ApiKey::METADATA);
        let decision = asker.ask(&policy, op, kind, &name);
        prop_assert_eq!(decision.is_allowed(), kafka(open, &acls, &asker, op, kind, &name), "{}", decision.reason());
    }

    #[test]
    fn any_topic_is_decided_as_in_kafka(
        open: bool,
        acls in prop::collection::vec(bindings(), 0..8),
        principal in prop::sample::select(vec!["User:a", "User:b", "Group:g"]),
        groups in prop::sample::subsequence(vec!["g", "h"], 0..=2),
        op in prop::sample::select(vec![Operation::Write, Operation::Read, Operation::Describe]),
    ) {
        let default = if open { "allow_if_no_acl" } else { "deny" };
        let source = loaded(&format!("version: 1\ndefault: {default}\nend: true\n")).source;
        let policy = source.snapshot(&AclSet::new(acls.clone(), Some(1)));
        let asker = who(principal).groups(&groups).from("10.0.0.1");
        prop_assert_eq!(asker.any(&policy, op).is_allowed(), kafka_any(open, &acls, &asker, op));
    }
}

//! The order of the steps, and what each of them says.

use super::{Ask, load, who};
use crate::model::{Operation as O, ResourceType, Timestamp};
use crate::policy::{EvidenceKind, Miss, Protection, ReasonCode, Use};
use crate::wire::ApiKey;

#[test]
fn intervals_are_half_open() {
    let policy = load(
        "version: 1\nacls:\n  - { allow: [Read], principals: ['User:a'], resources: ['topic:t'], \
         not_before: 2026-11-22T08:00:00Z, not_after: 2026-11-22T10:00:00Z }\n",
    );
    let at = |t: &str| who("User:a").at(t).topic(&policy, O::Read, "t");
    assert_eq!(at("2026-11-22T07:59:59.999Z").code(), ReasonCode::NotYetValid);
    assert_eq!(at("2026-11-22T08:00:00Z").code(), ReasonCode::AclAllow);
    assert_eq!(at("2026-11-22T09:59:59.999Z").code(), ReasonCode::AclAllow);
    let late = at("2026-11-22T10:00:00Z");
    assert_eq!((late.code(), late.miss()), (ReasonCode::NoMatch, Some(Miss::NoLonger)));
    assert_eq!(late.reason(), "no rule allows this: acl `policy.yaml:3` did, until 2026-11-22T10:00:00.000Z");
}

#[test]
fn next_edge_is_the_next_begin_or_end() {
    let policy = load(
        "version: 1\nacls:\n  - { allow: [Read], principals: ['User:a'], resources: ['topic:t'], \
         not_before: 2026-11-22T08:00:00Z, not_after: 2026-11-22T10:00:00Z }\n\
         grants: [{ id: g, allow: [Read], principals: ['User:a'], resources: ['topic:t'], not_after: 2026-11-22T09:30:00Z }]\n",
    );
    let edge = |t: &str| policy.next_edge(t.parse().unwrap()).map(|t| t.to_string());
    assert_eq!(edge("2026-11-22T07:00:00Z").as_deref(), Some("2026-11-22T08:00:00.000Z"));
    assert_eq!(edge("2026-11-22T08:00:00Z").as_deref(), Some("2026-11-22T09:30:00.000Z"));
    assert_eq!(edge("2026-11-22T09:30:00Z").as_deref(), Some("2026-11-22T10:00:00.000Z"));
    assert_eq!(edge("2026-11-22T10:00:00Z"), None);
}

const GRANTS: &str = "version: 1
grants:
  - { id: INC-1, allow: [Read], principals: ['Group:devs'], resources: ['topic:tx_*'], not_after: 2026-11-22T10:00:00Z, reason: poison }
  - { id: INC-2, allow: [Write], principals: ['User:a'], resources: ['topic:tx_*'], not_after: 2026-11-22T10:00:00Z }
groups: { devs: ['User:a'] }
revoked: [INC-2]
";

#[test]
fn a_grant_allows_until_its_end_and_a_revoked_one_never() {
    let policy = load(GRANTS);
    let a = who("User:a");
    let now = a.topic(&policy, O::Read, "tx_1");
    assert_eq!((now.code(), &*now.evidence().id), (ReasonCode::GrantAllow, "INC-1"));
    assert_eq!(now.reason(), "temporary grant `INC-1` (poison), 1h0m left");
    assert_eq!(now.matched().map(|e| e.kind), Some(EvidenceKind::Grant));
    let late = a.clone().at("2026-11-22T10:00:00Z").topic(&policy, O::Read, "tx_1");
    assert_eq!(late.code(), ReasonCode::GrantExpired);
    assert!(late.permit().is_none() && late.matched().is_none());
    assert_eq!(a.topic(&policy, O::Write, "tx_1").code(), ReasonCode::GrantRevoked);
    assert_eq!(who("User:b").topic(&policy, O::Write, "tx_1").code(), ReasonCode::NoMatch);
}

#[test]
fn a_permanent_allow_is_told_before_a_grant() {
    let policy = load(
        "version: 1\ngrants: [{ id: g, allow: [Read], principals: ['User:a'], resources: ['topic:t'], not_after: 2027-01-01T00:00:00Z }]\n\
         bindings: [{ roles: [consumer], principals: ['User:a'], resources: ['topic:t', 'group:g'] }]\n",
    );
    let d = who("User:a").topic(&policy, O::Read, "t");
    assert_eq!((d.code(), d.evidence().role.as_deref()), (ReasonCode::PolicyAllow, Some("consumer")));
    assert_eq!(d.reason(), "role `consumer` bound at `policy.yaml:3` allows");
}

#[test]
fn the_nearest_miss_is_told() {
    let policy = load(
        "version: 1\nacls:\n\
         \x20 - { allow: [Read], principals: ['User:a'], resources: ['topic:host'], hosts: ['10.9.0.0/16'] }\n\
         \x20 - { allow: [Read], principals: ['User:*'], resources: ['topic:except'], except: ['User:a'] }\n\
         \x20 - { allow: [Read], principals: ['User:a'], resources: ['topic:api'], apis: [Fetch] }\n\
         \x20 - { allow: [Describe], principals: ['User:a'], resources: ['topic:see'] }\n\
         \x20 - { allow: [Read], principals: ['User:a'], resources: ['topic:two'], apis: [Fetch], hosts: ['10.9.0.0/16'] }\n",
    );
    let miss = |topic| who("User:a").topic(&policy, O::Read, topic).miss();
    assert_eq!(miss("host"), Some(Miss::OtherHost));
    assert_eq!(miss("except"), Some(Miss::Excepted));
    assert_eq!(miss("api"), Some(Miss::OtherApi));
    assert_eq!(miss("see"), Some(Miss::DescribeOnly));
    assert_eq!(miss("two"), None, "what misses twice is not near");
    assert_eq!(miss("none"), None);
    let reason = who("User:a").topic(&policy, O::Read, "see").reason();
    assert_eq!(reason, "no rule allows this: acl `policy.yaml:6` allows Describe only");
}

#[test]
fn apis_narrow_a_rule() {
    let policy = load(
        "version: 1\nacls: [{ allow: [Read], principals: ['User:a'], resources: ['topic:t'], apis: [Fetch, ListOffsets] }]\n",
    );
    assert!(who("User:a").api(ApiKey::FETCH).topic(&policy, O::Read, "t").is_allowed());
    assert!(!who("User:a").api(ApiKey::OFFSET_COMMIT).topic(&policy, O::Read, "t").is_allowed());
}

#[test]
fn except_takes_principals_out_of_that_rule_only() {
    let policy = load(
        "version: 1\ngroups: { contractors: ['User:c', 'User:d'], cleared: ['User:d'] }\nacls:\n\
         \x20 - { allow: [Read], principals: ['User:*'], resources: ['topic:*'] }\n\
         \x20 - { deny: [All], principals: ['Group:contractors'], except: ['Group:cleared'], resources: ['topic:pii.*'] }\n\
         \x20 - { deny: [All], principals: ['User:d'], resources: ['topic:pii.x'] }\nend: true\n",
    );
    assert_eq!(who("User:c").topic(&policy, O::Read, "pii.a").code(), ReasonCode::ExplicitDeny);
    assert_eq!(who("User:d").topic(&policy, O::Read, "pii.a").code(), ReasonCode::AclAllow);
    assert_eq!(who("User:d").topic(&policy, O::Read, "pii.x").code(), ReasonCode::ExplicitDeny);
    assert!(who("User:c").topic(&policy, O::Read, "piixa").is_allowed(), "the dot is a dot");
}

#[test]
fn groups_come_from_the_file_and_from_the_identity_source() {
    let policy = load(
        "version: 1\ngroups: { devs: ['User:a'] }\n\
         acls: [{ allow: [Read], principals: ['Group:devs', 'Group:idp'], resources: ['topic:t'] }]\n",
    );
    let read = |ask: Ask| ask.topic(&policy, O::Read, "t").is_allowed();
    assert!(read(who("User:a")));
    assert!(!read(who("User:b")));
    assert!(read(who("User:b").groups(&["idp"])));
    assert!(read(who("User:b").groups(&["devs"])), "of the users file, which is the operator's as the policy is");
    assert!(read(who("Group:devs")), "a principal of that very name");
    assert!(policy.declares_group("devs") && !policy.declares_group("idp"));
}

#[test]
fn threat_24_a_claim_of_a_group_that_the_policy_declares_counts_only_from_a_source_that_may_merge() {
    let policy = load(
        "version: 1\ngroups: { owners: ['User:a'], none: [] }\nacls:\n\
         \x20 - { allow: [All], principals: ['Group:owners', 'Group:none'], resources: ['topic:t'] }\n\
         \x20 - { allow: [Read], principals: ['Group:idp'], resources: ['topic:t'] }\n",
    );
    let write = |ask: Ask| ask.topic(&policy, O::Write, "t").is_allowed();
    for group in ["owners", "none"] {
        assert!(write(who("User:b").groups(&[group])), "{group}");
        let claims = who("User:b").claims(&[group]);
        assert!(!policy.is_member(&claims.subject, group), "{group}");
        assert_eq!(policy.dropped_groups(&claims.subject).collect::<Vec<_>>(), [group]);
        assert_eq!(policy.dropped_groups(&who("User:b").groups(&[group]).subject).count(), 0, "it may merge");
        assert!(!write(claims), "{group}");
    }
    assert!(write(who("User:a").claims(&["idp"])), "a member by the file stays one");
    assert!(who("User:b").claims(&["owners", "idp"]).topic(&policy, O::Read, "t").is_allowed(), "other claims count");
    // As soon as another policy is in force the claim counts by that one.
    let without = load("version: 1\nacls: [{ allow: [All], principals: ['Group:owners'], resources: ['topic:t'] }]\n");
    assert!(who("User:b").claims(&["owners"]).topic(&without, O::Write, "t").is_allowed());
}

#[test]
fn somebody_in_very_many_groups_is_in_all_of_them() {
    let policy = load("version: 1\nacls: [{ allow: [Read], principals: ['Group:g99'], resources: ['topic:t'] }]\n");
    let names: Vec<String> = (0..100).map(|n| format!("g{n}")).collect();
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    assert!(who("User:a").groups(&all).topic(&policy, O::Read, "t").is_allowed());
    let rules: String = names
        .iter()
        .map(|g| format!("  - {{ allow: [Read], principals: ['Group:{g}'], resources: ['topic:{g}'] }}\n"))
        .collect();
    let policy = load(&format!("version: 1\nacls:\n{rules}"));
    let ask = who("User:a").groups(&all);
    assert!(names.iter().all(|g| ask.topic(&policy, O::Read, g).is_allowed()));
}

#[test]
fn the_gate_stands_before_rules_and_super_users_and_operators_pass() {
    let policy = load(
        "version: 1\nconnect_gate: required\nsuper_users: ['User:root']\noperators: ['User:op']\n\
         bindings:\n  - { roles: [client], principals: ['User:a'], not_after: 2026-11-22T10:00:00Z }\n\
         acls: [{ allow: [All], principals: ['User:*'], resources: ['*'] }]\n",
    );
    assert!(who("User:a").topic(&policy, O::Read, "t").is_allowed());
    assert_eq!(who("User:b").topic(&policy, O::Read, "t").code(), ReasonCode::NotConnectedRole);
    for p in ["User:root", "User:op"] {
        assert!(who(p).topic(&policy, O::Describe, "t").is_allowed(), "{p}");
    }
    let gate = |ask: Ask| policy.gate(&ask.subject, &ask.host, ask.now);
    assert!(gate(who("User:a")).is_allowed() && gate(who("User:root")).is_allowed());
    assert_eq!(gate(who("User:b")).reason(), "no role with clusters.connect is in force");
    let ended = gate(who("User:a").at("2026-11-22T10:00:00Z"));
    assert_eq!((ended.code(), ended.miss()), (ReasonCode::NotConnectedRole, Some(Miss::NoLonger)));
    assert!(!gate(who("User:root").not_super()).is_allowed());
}

#[test]
fn an_open_gate_lets_everybody_in() {
    let policy = load("version: 1\nconnect_gate: open\n");
    let ask = who("User:b");
    let gate = policy.gate(&ask.subject, &ask.host, ask.now);
    assert!(gate.is_allowed());
    assert_eq!(gate.evidence().kind, EvidenceKind::Gate);
}

#[test]
fn super_users_count_only_where_the_listener_admits_them() {
    let policy = load("version: 1\nsuper_users: ['User:root']\noperators: ['User:op']\n");
    assert!(who("User:root").topic(&policy, O::Write, "t").is_allowed());
    assert!(!who("User:root").not_super().topic(&policy, O::Write, "t").is_allowed());
    for (p, named) in [("User:root", true), ("User:op", true), ("User:a", false)] {
        assert_eq!(policy.names_super(&p.parse().unwrap()), named, "{p}");
    }
}

#[test]
fn a_quarantine_denies_super_users_until_its_end_or_until_it_is_revoked() {
    let yaml = "version: 1\nsuper_users: ['User:root']\ngrants:\n  - { id: q-1, deny: [All], principals: ['User:root'], \
                resources: ['*'], not_after: 2026-11-22T10:00:00Z, reason: stolen key }\nend: true\n";
    let d = who("User:root").topic(&load(yaml), O::Read, "t");
    assert_eq!((d.code(), d.reason().as_str()), (ReasonCode::Quarantine, "quarantine `q-1` (stolen key), 1h0m left"));
    assert!(who("User:root").at("2026-11-22T10:00:00Z").topic(&load(yaml), O::Read, "t").is_allowed());
    let revoked = load(&yaml.replace("end: true", "revoked: [q-1]\nend: true"));
    assert!(who("User:root").topic(&revoked, O::Read, "t").is_allowed());
}

#[test]
fn a_denied_deny_wins_over_a_grant() {
    let policy = load(
        "version: 1\nacls: [{ deny: [Read], principals: ['User:a'], resources: ['topic:t'] }]\n\
         grants: [{ id: g, allow: [Read], principals: ['User:a'], resources: ['topic:t'], not_after: 2027-01-01T00:00:00Z }]\nend: true\n",
    );
    assert_eq!(who("User:a").topic(&policy, O::Read, "t").code(), ReasonCode::ExplicitDeny);
}

#[test]
fn own_topics_are_known_by_name() {
    let policy = load("version: 1\n");
    assert_eq!(policy.protects("kordon.state"), Protection::State);
    assert_eq!(policy.protects("kordon.audit"), Protection::Audit);
    assert_eq!(policy.protects("kordon.audit2"), Protection::No);
    assert_eq!(policy.protected(Timestamp(0)).code(), ReasonCode::Protected);
}

#[test]
fn the_same_rule_is_one_cause() {
    let policy = load(
        "version: 1\nacls:\n  - { allow: [Read], principals: ['User:a'], resources: ['topic:t*'] }\n  - { allow: [Read], principals: ['User:a'], resources: ['topic:u'] }\n",
    );
    let a = who("User:a");
    let read = |t| a.topic(&policy, O::Read, t);
    assert!(read("t1").same_cause(&read("t2")));
    assert!(!read("t1").same_cause(&read("u")));
    assert!(!read("t1").same_cause(&read("v")));
    assert!(read("v").same_cause(&read("w")));
}

#[test]
fn virtual_operations_count_in_their_apis_only() {
    let policy = load(
        "version: 1\nacls: [{ allow: [AclsRead, LeadersElect, RecordsDelete], principals: ['User:a'], resources: ['*'] }]\n",
    );
    let a = |api| who("User:a").api(api);
    assert_eq!(a(ApiKey::DESCRIBE_ACLS).cluster(&policy, O::Describe).right(), Some("AclsRead"));
    assert!(!a(ApiKey::LIST_GROUPS).cluster(&policy, O::Describe).is_allowed());
    assert!(a(ApiKey::ELECT_LEADERS).cluster(&policy, O::Alter).is_allowed());
    assert!(!a(ApiKey::CREATE_ACLS).cluster(&policy, O::Alter).is_allowed());
    assert!(a(ApiKey::DELETE_RECORDS).topic(&policy, O::Delete, "t").is_allowed());
    assert!(!a(ApiKey::DELETE_TOPICS).topic(&policy, O::Delete, "t").is_allowed());
}

#[test]
fn a_kafka_operation_is_told_before_a_narrower_virtual_one() {
    let policy = load(
        "version: 1\nacls: [{ allow: [ClusterRead], principals: ['User:a'], resources: [cluster] }, { allow: [Describe], principals: ['User:a'], resources: [cluster] }]\n",
    );
    let d = who("User:a").api(ApiKey::DESCRIBE_LOG_DIRS).cluster(&policy, O::Describe);
    assert_eq!((d.is_allowed(), d.right()), (true, None), "nothing is filtered for who may describe the cluster");
}

#[test]
fn follower_fetches_of_audit_topics_are_never_free() {
    let policy = load("version: 1\nbindings: [{ roles: [auditor], principals: ['User:siem'], resources: ['*'] }]\n");
    let siem = who("User:siem").api(ApiKey::FETCH);
    assert!(siem.ask(&policy, O::Read, ResourceType::Topic, "kordon.audit").is_allowed());
    let follower = siem.form(Use::Follower).topic(&policy, O::Read, "kordon.audit");
    assert_eq!(follower.code(), ReasonCode::Protected);
}

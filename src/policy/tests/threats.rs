//! Threats of `threats.md` that the policy closes, by number.

use super::{acls, load, loaded, problems, who};
use crate::model::Operation as O;
use crate::policy::decision::Effect;
use crate::policy::{Hosts, ReasonCode, Use};
use crate::wire::ApiKey;

#[test]
fn threat_04_own_topics_are_closed_to_super_users_and_to_every_operation() {
    let policy = load(
        "version: 1\nsuper_users: ['User:root']\nacls: [{ allow: [All], principals: ['User:a'], resources: ['*', 'topic:kordon.state'] }]\n",
    );
    for p in ["User:root", "User:a"] {
        for op in O::EVERY {
            for topic in ["kordon.state", "kordon.audit"] {
                let d = who(p).api(ApiKey::DELETE_TOPICS).topic(&policy, op, topic);
                assert_eq!(d.code(), ReasonCode::Protected, "{p} {op} {topic}");
            }
        }
    }
    assert!(who("User:root").topic(&policy, O::Delete, "kordon.audit2").is_allowed());
}

#[test]
fn threat_04_who_may_read_an_audit_topic_may_do_nothing_else_with_it() {
    let policy =
        load("version: 1\nacls: [{ allow: [All], principals: ['User:siem'], resources: ['topic:kordon.audit'] }]\n");
    let asked = |api, operation| who("User:siem").api(api).topic(&policy, operation, "kordon.audit");
    assert!(asked(ApiKey::FETCH, O::Read).is_allowed());
    for (api, operation) in [
        (ApiKey::FETCH, O::Write),
        (ApiKey::TXN_OFFSET_COMMIT, O::Read),
        (ApiKey::OFFSET_DELETE, O::Read),
        (ApiKey::SHARE_FETCH, O::Read),
        (ApiKey::SHARE_ACKNOWLEDGE, O::Read),
        (ApiKey::DESCRIBE_CONFIGS, O::Describe),
        (ApiKey::PRODUCE, O::Write),
        (ApiKey::DELETE_RECORDS, O::Delete),
    ] {
        assert_eq!(asked(api, operation).code(), ReasonCode::Protected, "{operation} in {}", api.name());
    }
}

#[test]
fn threat_05_operators_are_denied_data_broker_rights_acls_and_credentials_whatever_allows() {
    let policy = load(
        "version: 1\noperators: ['User:op']\nacls: [{ allow: [All], principals: ['User:op'], resources: ['*'] }]\n",
    );
    let op = who("User:op");
    let denied = |d: crate::policy::Decision| !d.is_allowed() && d.code() == ReasonCode::Operator;
    assert!(denied(op.clone().api(ApiKey::FETCH).topic(&policy, O::Read, "t")));
    assert!(denied(op.clone().api(ApiKey::PRODUCE).topic(&policy, O::Write, "t")));
    assert!(denied(op.clone().api(ApiKey::FETCH).form(Use::Follower).topic(&policy, O::Read, "t")));
    assert!(denied(op.clone().api(ApiKey::FETCH).cluster(&policy, O::ClusterAction)));
    for (api, operation) in [
        (ApiKey::DESCRIBE_ACLS, O::Describe),
        (ApiKey::CREATE_ACLS, O::Alter),
        (ApiKey::DELETE_ACLS, O::Alter),
        (ApiKey::ALTER_USER_SCRAM_CREDENTIALS, O::Alter),
        (ApiKey::DESCRIBE_USER_SCRAM_CREDENTIALS, O::Describe),
    ] {
        assert!(denied(op.clone().api(api).cluster(&policy, operation)), "{api}");
    }
    let configs = op.clone().api(ApiKey::INCREMENTAL_ALTER_CONFIGS).cluster(&policy, O::AlterConfigs);
    assert_eq!((configs.is_allowed(), configs.right()), (true, Some("BrokerConfigsWrite")), "the safe set only");
    assert!(op.clone().topic(&policy, O::Delete, "t").is_allowed());
    let commit = op.api(ApiKey::OFFSET_COMMIT).form(Use::AdminCommit).group(&policy, O::Read, "g");
    assert_eq!((commit.is_allowed(), commit.right()), (true, Some("OffsetsWrite")));
}

#[test]
fn threat_10_an_acl_that_ends_never_opens_a_topic() {
    let acl = |bounds: &str| {
        load(&format!(
            "version: 1\ndefault: allow_if_no_acl\nacls: [{{ allow: [Read], principals: ['User:a'], resources: ['topic:payroll']{bounds} }}]\nend: true\n"
        ))
    };
    for bounds in [
        "",
        ", not_after: 2026-11-22T09:00:00Z",
        ", not_before: 2027-01-01T00:00:00Z",
        ", hosts: ['10.9.9.9']",
        ", apis: [Produce]",
        ", except: ['User:b']",
    ] {
        let policy = acl(bounds);
        assert!(!who("User:b").topic(&policy, O::Read, "payroll").is_allowed(), "{bounds}");
        assert!(who("User:b").topic(&policy, O::Read, "other").is_allowed(), "{bounds}");
    }
}

#[test]
fn threat_10_a_time_bound_acl_with_that_default_is_warned_about() {
    let yaml = "version: 1\ndefault: allow_if_no_acl\nacls:\n  - { allow: [Read], principals: ['User:a'], resources: ['topic:t'], not_after: 2027-01-01T00:00:00Z }\nend: true\n";
    let told = super::warnings(yaml);
    let closes = "dir/policy.yaml:4:5: with `default: allow_if_no_acl` an acl closes";
    assert!(told.iter().any(|told| told.starts_with(closes)), "{told:?}");
    assert!(super::warnings(&yaml.replace("allow_if_no_acl", "deny")).is_empty());
}

#[test]
fn a_cluster_that_no_acl_is_about_is_warned_of_where_it_is_everybodys() {
    let yaml = |default: &str, resource: &str| {
        format!(
            "version: 1\ndefault: {default}\nacls: [{{ allow: [Alter], principals: ['User:a'], resources: ['{resource}'] }}]\nend: true\n"
        )
    };
    let told = super::warnings(&yaml("allow_if_no_acl", "topic:t"));
    assert!(told.len() == 1 && told[0].contains("no acl about the cluster"), "{told:?}");
    assert!(who("User:b").cluster(&load(&yaml("allow_if_no_acl", "topic:t")), O::Alter).is_allowed(), "it is true");
    for quiet in [yaml("deny", "topic:t"), yaml("allow_if_no_acl", "cluster"), yaml("allow_if_no_acl", "*")] {
        assert_eq!(super::warnings(&quiet), [""; 0], "{quiet}");
    }
}

#[test]
fn threat_10_bindings_and_grants_close_nothing() {
    let policy = load(
        "version: 1\ndefault: allow_if_no_acl\n\
         bindings: [{ roles: [consumer], principals: ['User:a'], resources: ['topic:t', 'group:*'] }]\n\
         grants: [{ id: g, allow: [All], principals: ['User:a'], resources: ['*'], not_after: 2027-01-01T00:00:00Z }]\nend: true\n",
    );
    assert_eq!(who("User:b").topic(&policy, O::Read, "t").code(), ReasonCode::DefaultAllow);
    assert_eq!(who("User:b").group(&policy, O::Read, "g").code(), ReasonCode::DefaultAllow);
}

#[test]
fn threat_11_the_api_of_a_request_is_part_of_the_question() {
    let policy =
        load("version: 1\nbindings: [{ roles: [clusterEditor], principals: ['User:a'], resources: [cluster] }]\n");
    let alter = |api| who("User:a").api(api).cluster(&policy, O::Alter).is_allowed();
    assert!(alter(ApiKey::ALTER_PARTITION_REASSIGNMENTS) && alter(ApiKey::ELECT_LEADERS));
    assert!(
        !alter(ApiKey::CREATE_ACLS)
            && !alter(ApiKey::ALTER_USER_SCRAM_CREDENTIALS)
            && !alter(ApiKey::UNREGISTER_BROKER)
    );
}

#[test]
fn threat_20_the_audit_topic_opens_to_its_literal_name_and_to_auditors_only() {
    let policy = load(
        "version: 1\nconnect_gate: open\nsuper_users: ['User:root']\ndefault: allow_if_no_acl\n\
         bindings:\n  - { roles: [auditor], principals: ['User:siem'], resources: ['*'] }\n\
         \x20 - { roles: [inspector], principals: ['User:insp'], resources: ['*'] }\n\
         acls:\n  - { allow: [All], principals: ['User:star'], resources: ['topic:*'] }\n\
         \x20 - { allow: [All], principals: ['User:prefix'], resources: ['topic:kordon.*'] }\n\
         \x20 - { allow: [Read], principals: ['User:named'], resources: ['topic:kordon.audit', 'topic:kordon.state'] }\nend: true\n",
    );
    let read = |p: &str, topic| who(p).api(ApiKey::FETCH).topic(&policy, O::Read, topic).is_allowed();
    for p in ["User:siem", "User:named"] {
        assert!(read(p, "kordon.audit"), "{p}");
        assert!(!read(p, "kordon.state"), "the state topic is invisible: {p}");
        for (api, op) in [
            (ApiKey::METADATA, O::Describe),
            (ApiKey::LIST_OFFSETS, O::Describe),
            (ApiKey::OFFSET_COMMIT, O::Read),
            (ApiKey::OFFSET_FETCH, O::Describe),
            (ApiKey::OFFSET_FOR_LEADER_EPOCH, O::Describe),
            (ApiKey::CONSUMER_GROUP_HEARTBEAT, O::Describe),
        ] {
            assert!(who(p).api(api).topic(&policy, op, "kordon.audit").is_allowed(), "{p} {api}");
        }
        for (api, op) in [
            (ApiKey::PRODUCE, O::Write),
            (ApiKey::DELETE_RECORDS, O::Delete),
            (ApiKey::DESCRIBE_CONFIGS, O::DescribeConfigs),
        ] {
            assert!(!who(p).api(api).topic(&policy, op, "kordon.audit").is_allowed(), "{p} {api}");
        }
    }
    for p in ["User:insp", "User:star", "User:prefix", "User:root", "User:nobody"] {
        assert!(!read(p, "kordon.audit") && !read(p, "kordon.state"), "{p}");
    }
    assert!(who("User:siem").group(&policy, O::Read, "kordon-audit-1").is_allowed());
}

#[test]
fn threat_20_a_deny_still_counts_for_who_names_the_audit_topic() {
    let policy = acls("deny", &["allow User:a Read topic:kordon.audit", "deny User:a Read topic:*"]);
    assert_eq!(
        who("User:a").api(ApiKey::FETCH).topic(&policy, O::Read, "kordon.audit").code(),
        ReasonCode::ExplicitDeny
    );
}

#[test]
fn threat_23_a_quarantine_denies_super_users_and_operators() {
    let policy = load(
        "version: 1\nsuper_users: ['User:root']\noperators: ['User:op']\ngrants: [{ id: q, deny: [All], \
         principals: ['User:root', 'User:op'], resources: ['topic:t'], not_after: 2027-01-01T00:00:00Z }]\nend: true\n",
    );
    for p in ["User:root", "User:op"] {
        assert_eq!(who(p).topic(&policy, O::Describe, "t").code(), ReasonCode::Quarantine, "{p}");
        assert!(who(p).topic(&policy, O::Describe, "u").is_allowed(), "{p}");
    }
    let everybody = problems(
        "version: 1\ngrants: [{ id: q, deny: [All], principals: ['User:*'], resources: ['*'], not_after: 2027-01-01T00:00:00Z }]\nend: true\n",
    );
    assert!(everybody[0].contains("cannot name `User:*`"), "{everybody:?}");
    let endless =
        problems("version: 1\ngrants: [{ id: q, deny: [All], principals: ['User:a'], resources: ['*'] }]\nend: true\n");
    assert!(endless[0].contains("a grant has an end"), "{endless:?}");
}

/// `OffsetsWrite` on the group, nothing else.
fn offsets(extra: &str) -> std::sync::Arc<crate::policy::Snapshot> {
    load(&format!(
        "version: 1\nacls:\n  - {{ allow: [OffsetsWrite], principals: ['User:a'], resources: ['group:g'] }}\n{extra}end: true\n"
    ))
}

#[test]
fn threat_25_any_commit_in_the_admin_form_needs_the_right_and_others_do_not_get_it() {
    let policy = offsets("");
    let commit = |api, form| who("User:a").api(api).form(form).group(&policy, O::Read, "g").right();
    assert_eq!(commit(ApiKey::OFFSET_COMMIT, Use::AdminCommit), Some("OffsetsWrite"));
    assert_eq!(commit(ApiKey::TXN_OFFSET_COMMIT, Use::AdminCommit), Some("OffsetsWrite"));
    assert_eq!(commit(ApiKey::OFFSET_COMMIT, Use::Normal), None);
    for api in [ApiKey::JOIN_GROUP, ApiKey::SYNC_GROUP, ApiKey::HEARTBEAT, ApiKey::CONSUMER_GROUP_HEARTBEAT] {
        assert!(
            !who("User:a").api(api).group(&policy, O::Read, "g").is_allowed(),
            "{api}: neither joining nor fetching"
        );
    }
}

#[test]
fn threat_26_denies_of_read_offsets_write_or_all_meet_offsets_write() {
    let delete =
        |policy: &crate::policy::Snapshot| who("User:a").api(ApiKey::OFFSET_DELETE).group(policy, O::Delete, "g");
    let commit = |policy: &crate::policy::Snapshot| {
        who("User:a").api(ApiKey::OFFSET_COMMIT).form(Use::AdminCommit).group(policy, O::Read, "g")
    };
    assert!(delete(&offsets("")).is_allowed() && commit(&offsets("")).is_allowed());
    for op in ["Read", "OffsetsWrite", "All"] {
        let policy = offsets(&format!("  - {{ deny: [{op}], principals: ['User:a'], resources: ['group:g*'] }}\n"));
        assert_eq!(delete(&policy).code(), ReasonCode::ExplicitDeny, "{op}");
        assert_eq!(commit(&policy).code(), ReasonCode::ExplicitDeny, "{op}");
    }
    let policy = offsets("  - { deny: [Describe], principals: ['User:a'], resources: ['group:g'] }\n");
    assert!(delete(&policy).is_allowed() && commit(&policy).is_allowed());
}

#[test]
fn threat_26_kafkas_own_rights_keep_kafkas_demands() {
    let policy = acls(
        "deny",
        &[
            "allow User:a Read,Delete group:g",
            "allow User:b All group:g",
            "allow User:c Delete group:g",
            "deny User:c Read group:g",
        ],
    );
    for p in ["User:a", "User:b"] {
        let d = who(p).api(ApiKey::OFFSET_COMMIT).form(Use::AdminCommit).group(&policy, O::Read, "g");
        assert_eq!((d.is_allowed(), d.right()), (true, None), "topics keep their demand: {p}");
    }
    let d = who("User:c").api(ApiKey::OFFSET_DELETE).group(&policy, O::Delete, "g");
    assert_eq!((d.is_allowed(), d.right()), (true, None), "in Kafka a deny of Read does not touch Delete");
    let both = offsets("  - { allow: [Read], principals: ['User:a'], resources: ['group:*'] }\n");
    let d = who("User:a").api(ApiKey::OFFSET_COMMIT).form(Use::AdminCommit).group(&both, O::Read, "g");
    assert_eq!(d.right(), Some("OffsetsWrite"), "an allow takes nothing from another");
}

#[test]
fn threat_27_the_gate_does_not_fall_open_when_its_last_binding_ends() {
    let policy = load(
        "version: 1\nconnect_gate: required\nbindings: [{ roles: [client], principals: ['User:a'], not_after: 2026-11-22T08:00:00Z }]\n\
         acls: [{ allow: [All], principals: ['User:*'], resources: ['*'] }]\n",
    );
    for p in ["User:a", "User:b"] {
        assert_eq!(who(p).topic(&policy, O::Read, "t").code(), ReasonCode::NotConnectedRole, "{p}");
        assert_eq!(who(p).any(&policy, O::Write).code(), ReasonCode::NotConnectedRole, "{p}");
    }
    let none = load("version: 1\nconnect_gate: required\n");
    assert_eq!(who("User:a").topic(&none, O::Read, "t").code(), ReasonCode::NotConnectedRole);
}

#[test]
fn threat_27_the_gate_is_never_inferred() {
    for roles in ["client", "admin", "roles/managedkafka.client"] {
        let e = problems(&format!(
            "version: 1\nbindings: [{{ roles: [{roles}], principals: ['User:a'], resources: ['*'] }}]\n"
        ));
        assert!(e.iter().any(|e| e.contains("`connect_gate` is missing")), "{roles}: {e:?}");
    }
    let e = problems("version: 1\nroles: { in: { permissions: [clusters.connect] } }\n");
    assert!(e.iter().any(|e| e.contains("`connect_gate` is missing")), "declared and not bound: {e:?}");
}

#[test]
fn threat_36_a_role_gives_only_the_types_that_its_binding_names() {
    let policy = load(
        "version: 1\nbindings: [{ roles: [producer, consumer], principals: ['User:a'], resources: ['topic:orders'] }]\n",
    );
    let a = who("User:a");
    assert!(!a.ask(&policy, O::Write, crate::model::ResourceType::TransactionalId, "x").is_allowed());
    assert!(!a.group(&policy, O::Read, "g").is_allowed());
    assert!(a.topic(&policy, O::Write, "orders").is_allowed());
}

#[test]
fn threat_37_a_half_written_file_is_refused() {
    let whole = "version: 1\ndefault: deny\nacls:\n  - { allow: [All], principals: ['User:*'], resources: ['topic:*'] }\n  \
                 - { deny: [All], principals: ['User:a'], resources: ['topic:pii.*'] }\ngrants: []\nend: true\n";
    load(whole);
    // Cut at every line end that still holds the deny: refused.
    for (end, _) in whole.match_indices('\n') {
        let cut = &whole[..=end];
        if cut.len() < whole.len() && cut.contains("deny: [All]") {
            assert!(problems(cut)[0].contains("`end: true` is missing"), "{cut}");
        }
    }
    let open = "version: 1\ndefault: allow_if_no_acl\nacls: []\n";
    assert!(problems(open)[0].contains("with `default: allow_if_no_acl`"));
    assert!(problems("version: 1\nend: true\nacls: []\n")[0].contains("must be the last key"));
    assert!(problems("version: 1\nend: false\n")[0].contains("`end` must be true"));
}

#[test]
fn threat_37_a_load_that_drops_denies_says_which() {
    let before = load(
        "version: 1\nconnect_gate: required\nacls:\n  - { deny: [All], principals: ['User:a'], resources: ['topic:pii.*'], hosts: ['10.0.0.0/8'] }\n  \
         - { allow: [Read], principals: ['User:b'], resources: ['topic:t'] }\nend: true\n",
    );
    let after = load(
        "version: 1\nacls:\n  - { allow: [Read, Write], principals: ['User:b'], resources: ['topic:t'] }\nend: true\n",
    );
    let changes = after.changes_since(&before);
    assert_eq!(
        changes.denies_dropped,
        ["connect_gate required", "deny [All] for [User:a] on [topic:pii.*] from [10.0.0.0/8]"]
    );
    assert_eq!(changes.removed, ["allow [Read] for [User:b] on [topic:t]"]);
    assert_eq!(changes.added, ["allow [Read, Write] for [User:b] on [topic:t]"]);
    assert!(before.changes_since(&before).is_empty());
    let whole = |text: &str| loaded(text).source.proves_whole();
    assert!(whole("version: 1\nend: true\n") && !whole("version: 1\n"));
    assert_ne!(before.revision(), after.revision());
}

#[test]
fn threat_40_networks_count_in_rules_of_the_file_and_in_no_acl_of_the_protocol() {
    let policy = acls("deny", &["allow User:a Read topic:t from 10.0.0.0/8"]);
    assert!(who("User:a").from("10.200.0.1").topic(&policy, O::Read, "t").is_allowed());
    assert!(!who("User:a").from("11.0.0.1").topic(&policy, O::Read, "t").is_allowed());
    assert!(!Hosts::of_protocol_acl("10.0.0.0/8").contain(&who("User:a").from("10.200.0.1").host, Effect::Allow));
}

#[test]
fn threat_13_a_grant_under_which_rights_can_be_made_says_that_they_stay() {
    let grant = |gives: &str, resource: &str| {
        let yaml = format!(
            "version: 1\ngrants:\n  - {{ id: G-1, {gives}, principals: ['User:a'], resources: ['{resource}'], \
             not_after: 2027-01-01T00:00:00Z }}\nend: true\n"
        );
        let told = super::warnings(&yaml);
        let told = told.iter().find_map(|w| w.strip_suffix(" that are made under this grant stay when it ends"));
        told.map(|told| told.rsplit_once(": ").map_or(told, |(_, what)| what).to_owned()).unwrap_or_default()
    };
    assert_eq!(grant("allow: [ACL_EDIT]", "cluster"), "acls");
    assert_eq!(grant("roles: [aclEditor]", "*"), "acls");
    assert_eq!(grant("roles: [aclEditor]", "topic:t"), "acls", "those within it");
    assert_eq!(grant("allow: [Alter]", "cluster"), "acls, credentials at the brokers");
    assert_eq!(grant("allow: [CredentialsWrite]", "cluster"), "credentials at the brokers");
    assert_eq!(grant("allow: [AlterConfigs]", "cluster"), "configs of brokers, quotas");
    assert_eq!(grant("roles: [clusterEditor]", "*"), "configs of brokers, quotas");
    assert_eq!(grant("allow: [All]", "*"), "acls, credentials at the brokers, configs of brokers, quotas");
    for (gives, on) in [("allow: [All]", "topic:t"), ("roles: [viewer]", "*"), ("allow: [AlterConfigs]", "topic:t")] {
        assert_eq!(grant(gives, on), "", "{gives} on {on}");
    }
}

//! The file: what is refused, with which words, at which place.

use super::{load, problems, warnings, who};
use crate::model::Operation as O;

#[test]
fn every_fault_is_told_in_one_go_in_the_order_of_the_file() {
    let e = problems(
        "version: 2
defualt: deny
connect_gate: on
super_users: ['root', 'User:*']
groups: { devs: [alice, 'Group:x'] }
acls:
  - { allow: [Raed], principals: ['User:a'], resources: ['topc:x'] }
  - { allow: [Write], principals: ['User:a'], resources: ['group:g'] }
  - { allow: [Read], deny: [Read], principals: [], resources: ['topic:t'], hosts: ['::1'] }
  - { principals: ['User:a'], resources: ['topic:t'], not_before: 2026-01-02T00:00:00Z, not_after: 2026-01-01 }
",
    );
    assert_eq!(
        e,
        [
            "policy.yaml:1:10: `version` must be 1",
            "policy.yaml:2:1: `defualt` is not a known key, did you mean `default`?",
            "policy.yaml:3:15: `connect_gate` cannot be `on`: write `required` or `open`",
            "policy.yaml:4:15: principal `root` has no colon between type and name: write `User:root` or `Group:root`",
            "policy.yaml:4:23: `User:*` cannot stand in `super_users`: it lists exact names of users",
            "policy.yaml:5:18: principal `alice` has no colon between type and name: write `User:alice` or `Group:alice`",
            "policy.yaml:5:25: `Group:x` cannot be a member: groups list exact names of users",
            "policy.yaml:7:15: `Raed` is not an operation, did you mean `Read`?",
            "policy.yaml:7:58: `topc` is not a type of resource, did you mean `topic`?",
            "policy.yaml:8:15: `Write` means nothing on the listed resources: it is an operation on `topic`, `transactional_id`",
            "policy.yaml:9:5: `allow` and `deny` stand together: write one entry for each",
            "policy.yaml:9:48: `acls[2].principals` is empty, so that the entry does nothing: fill it, or remove the entry",
            "policy.yaml:9:84: host `::1` can never match Kafka's text of that address: write `0:0:0:0:0:0:0:1`",
            "policy.yaml:10:5: what the entry gives is missing: write `allow` or `deny`",
            "policy.yaml:10:100: `acls[3].not_after`: `2026-01-01` is not an instant: write RFC 3339 with an offset, as in `2026-11-22T09:00:00Z`",
        ]
    );
}

#[test]
fn what_later_versions_serve_is_refused_by_name() {
    let e = problems(
        "version: 1
acls:
  - { allow: [Read], principals: ['User:a'], resources: ['topic:t'], condition: \"true\" }
  - { stage: [Delete], principals: ['User:a'], resources: ['topic:t'] }
staging: []
temporary_access: {}
",
    );
    for part in [
        "`acls[0].condition` is not served",
        "`acls[1].stage` is not served",
        "`staging` is not served",
        "`temporary_access` is not served",
    ] {
        assert!(e.iter().any(|e| e.contains(part)), "{part}: {e:?}");
    }
}

#[test]
fn grants_need_an_id_and_an_end_and_ids_are_unique() {
    let grant = |fields: &str| {
        format!(
            "version: 1\ngrants:\n  - {{ allow: [Read], principals: ['User:a'], resources: ['topic:t']{fields} }}\n"
        )
    };
    let e = problems(&grant(""));
    assert!(e[0].contains("`grants[0].id` is missing") && e[1].contains("`grants[0].not_after` is missing"), "{e:?}");
    let twice = grant(", id: g, not_after: 2027-01-01T00:00:00Z")
        + "  - { id: g, allow: [Read], principals: ['User:a'], resources: ['topic:t'], not_after: 2027-01-01T00:00:00Z }\n";
    assert_eq!(problems(&twice), ["policy.yaml:4:11: grant `g` stands twice, first in line 3"]);
}

#[test]
fn bounds_that_never_hold_are_refused() {
    let e = problems(
        "version: 1\nacls: [{ allow: [Read], principals: ['User:a'], resources: ['topic:t'], not_before: 2027-01-01T00:00:00Z, not_after: 2027-01-01T00:00:00Z }]\n",
    );
    assert!(e[0].contains("`acls[0]` never holds"), "{e:?}");
}

#[test]
fn an_ended_grant_is_a_warning() {
    let w = warnings(
        "version: 1\ngrants:\n  - { id: g, allow: [Read], principals: ['User:a'], resources: ['topic:t'], not_after: 2026-11-22T09:00:00Z }\nrevoked: [x]\nend: true\n",
    );
    assert_eq!(
        w,
        [
            "dir/policy.yaml:3:5: grant `g` has ended, at 2026-11-22T09:00:00.000Z: remove it when it is no longer needed",
            "dir/policy.yaml:4:11: no grant of this file has the id `x`",
        ]
    );
}

#[test]
fn suspicious_entries_are_warned_about() {
    let w = warnings(
        "version: 1\ngroups: { devs: ['User:a'] }\nacls:\n  - { allow: [Read, locations.get], principals: ['Group:dev', 'User:al*'], resources: ['topic:t', cluster] }\n",
    );
    for part in [
        "`end: true` is missing",
        "group `dev` is not declared in this file, did you mean `devs`?",
        "principal `User:al*` is this very name",
        "no listed operation means anything on `cluster`",
        "`locations.get` lets nothing through",
    ] {
        assert!(w.iter().any(|w| w.contains(part)), "{part}: {w:?}");
    }
}

#[test]
fn principals_of_types_that_no_client_has_are_refused_for_a_deny_of_one_closes_nothing() {
    let e = problems(
        "version: 1
super_users: ['user:root']
groups: { devs: ['Usr:a'] }
acls:
  - { deny: [All], principals: ['user:mallory', 'Service:x', ':y'], except: ['group:z'], resources: ['topic:t'] }
end: true
",
    );
    let told = ["2:15: principal `user:root`", "3:18: principal `Usr:a`"].into_iter().chain([
        "5:33: principal `user:mallory`",
        "5:49: principal `Service:x`",
        "5:62: principal `:y`",
        "5:78: principal `group:z`",
    ]);
    let told = told.map(|told| format!("policy.yaml:{told} can never match: write `User:NAME` or `Group:NAME`"));
    assert_eq!(e, told.collect::<Vec<_>>());
}

#[test]
fn space_at_the_edge_of_a_name_is_worth_a_warning() {
    let w = warnings(
        "version: 1\nacls: [{ allow: [Read], principals: ['User: alice'], resources: ['group: g', 'topic:t'] }]\nend: true\n",
    );
    let very = "is this very name, with the space at its beginning or end";
    assert_eq!(
        w,
        [
            format!("dir/policy.yaml:2:38: principal `User: alice` {very}"),
            format!("dir/policy.yaml:2:66: resource `group: g` {very}"),
        ]
    );
}

#[test]
fn what_is_no_policy_is_told() {
    let first = |bytes: &[u8]| super::super::Snapshot::load(bytes, "p", &super::settings()).unwrap_err()[0].to_string();
    assert_eq!(first(b""), "p:1:1: the file must be a mapping of keys to values, but is null");
    assert_eq!(first(b"version: 1\n\xff"), "p: not UTF-8 after byte 11: save it as UTF-8");
    assert!(first(b"a: [1").starts_with("p:"));
    assert!(first(b"acls: []\n").contains("`version` is missing"));
}

#[test]
fn connect_is_no_operation_on_a_resource() {
    let e = problems("version: 1\nacls: [{ allow: [clusters.connect], principals: ['User:a'], resources: ['*'] }]\n");
    assert!(e[0].contains("give it by a role in `bindings`"), "{e:?}");
}

#[test]
fn a_name_that_ends_in_a_star_can_be_written() {
    let policy = load(
        "version: 1\nacls: [{ allow: [Read], principals: ['User:a'], resources: [{ type: group, name: \"a*\", pattern: literal }] }]\n",
    );
    assert!(who("User:a").group(&policy, O::Read, "a*").is_allowed());
    assert!(!who("User:a").group(&policy, O::Read, "ab").is_allowed());
    let e = problems(
        "version: 1\nacls: [{ allow: [Read], principals: ['User:a'], resources: [{ type: group, nam: x, pattern: prefix }] }]\n",
    );
    for part in ["did you mean `name`?", "`acls[0].resources[0].name` is missing", "did you mean `prefixed`?"] {
        assert!(e.iter().any(|e| e.contains(part)), "{part}: {e:?}");
    }
}

#[test]
fn the_revision_is_the_hash_of_the_file() {
    // sha256("version: 1\n")
    assert_eq!(load("version: 1\n").revision().as_str().len(), "9f2c01ab77de@-".len());
    assert_eq!(load("version: 1\n").revision(), load("version: 1\n").revision());
    assert_ne!(load("version: 1\n").revision(), load("version: 1\n# x\n").revision());
}

#[test]
fn the_example_loads_and_says_what_its_comments_say() {
    let bytes = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/config/policy.yaml")).unwrap();
    let loaded = super::super::Snapshot::load(&bytes, "config/policy.yaml", &super::settings()).unwrap();
    let warnings: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
    assert!(warnings.is_empty(), "{warnings:?}");
    let policy = loaded.snapshot;
    let (alice, bob, carol) = (who("User:alice"), who("User:bob"), who("User:carol"));
    assert!(alice.topic(&policy, O::Write, "orders").is_allowed());
    assert!(alice.topic(&policy, O::Read, "orders").is_allowed());
    assert!(bob.topic(&policy, O::Read, "orders").is_allowed());
    assert!(!bob.topic(&policy, O::Write, "orders").is_allowed());
    assert!(bob.group(&policy, O::Read, "dev-bob").is_allowed());
    assert!(alice.topic(&policy, O::Create, "dev-1").is_allowed());
    assert!(!alice.topic(&policy, O::Read, "pii.customers").is_allowed());
    assert!(!carol.topic(&policy, O::Describe, "orders").is_allowed());
}

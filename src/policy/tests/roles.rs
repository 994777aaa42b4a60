//! Roles and bindings.

use super::{load, problems, warnings, who};
use crate::model::{Operation as O, ResourceType};
use crate::policy::ReasonCode;
use crate::wire::ApiKey;

#[test]
fn a_binding_gives_only_the_types_that_its_resources_name() {
    let policy =
        load("version: 1\nbindings: [{ roles: [topicEditor], principals: ['User:a'], resources: ['topic:dev-*'] }]\n");
    let a = who("User:a");
    assert_eq!(a.topic(&policy, O::Create, "dev-1").code(), ReasonCode::PolicyAllow);
    assert!(a.topic(&policy, O::Describe, "dev-1").is_allowed());
    assert!(!a.topic(&policy, O::Read, "dev-1").is_allowed());
    assert!(!a.topic(&policy, O::Create, "prod-1").is_allowed());
    assert!(!a.group(&policy, O::Describe, "g").is_allowed(), "viewer is part of topicEditor, but no group is named");
    assert!(!a.clone().api(ApiKey::DESCRIBE_CLUSTER).cluster(&policy, O::Describe).is_allowed());
}

#[test]
fn own_resources_and_the_bindings_must_match() {
    let policy = load(
        "version: 1\nroles:\n  trade:\n    includes: [viewer]\n    permissions: [consumerGroups.update]\n    rules:\n\
         \x20     - { allow: [Read], resources: ['topic:tx_*'] }\n\
         bindings:\n  - { roles: [trade], principals: ['User:a'], resources: ['topic:tx_trade*', 'topic:other', 'group:trade_*'] }\n",
    );
    let a = who("User:a");
    assert!(a.topic(&policy, O::Read, "tx_trade1").is_allowed());
    assert!(!a.topic(&policy, O::Read, "tx_1").is_allowed(), "not in the binding");
    assert!(!a.topic(&policy, O::Read, "other").is_allowed(), "not in the role's rule");
    assert!(a.topic(&policy, O::Describe, "other").is_allowed(), "viewer, on the binding's resources");
    assert!(a.group(&policy, O::AlterConfigs, "trade_1").is_allowed());
}

#[test]
fn roles_are_found_with_and_without_their_prefixes() {
    let policy = load(
        "version: 1\nbindings: [{ roles: [roles/managedkafka.viewer], principals: ['User:a'], resources: ['*'] }]\n",
    );
    assert!(who("User:a").topic(&policy, O::Describe, "t").is_allowed());
    assert_eq!(who("User:a").topic(&policy, O::Describe, "t").evidence().role.as_deref(), Some("viewer"));
}

#[test]
fn unknown_and_cyclic_roles_are_refused() {
    let e = problems("version: 1\nbindings: [{ roles: [veiwer], principals: ['User:a'], resources: ['*'] }]\n");
    assert_eq!(e, ["policy.yaml:2:22: role `veiwer` does not exist, did you mean `viewer`?"]);
    let e = problems("version: 1\nroles:\n  a: { includes: [b] }\n  b: { includes: [c] }\n  c: { includes: [a] }\n");
    assert_eq!(e, ["policy.yaml:5:19: roles include each other in a circle: `a` → `b` → `c` → `a`"]);
    let e = problems("version: 1\nroles:\n  viewer: { permissions: [topics.get] }\n");
    assert!(e[0].contains("predefined"), "{e:?}");
}

#[test]
fn resources_are_required_but_for_the_gate_alone() {
    let e =
        problems("version: 1\nconnect_gate: open\nbindings: [{ roles: [client, viewer], principals: ['User:a'] }]\n");
    assert!(e[0].contains("`resources` is missing: role `viewer`"), "{e:?}");
    load(
        "version: 1\nconnect_gate: open\nroles: { in: { permissions: [clusters.connect] } }\nbindings: [{ roles: [client, in], principals: ['User:a'] }]\n",
    );
}

#[test]
fn a_role_that_gives_nothing_on_the_resources_is_refused_and_an_unused_resource_is_told() {
    let e =
        problems("version: 1\nbindings: [{ roles: [inspector], principals: ['User:a'], resources: ['group:g'] }]\n");
    assert_eq!(e, ["policy.yaml:2:22: role `inspector` gives nothing on the listed resources"]);
    let w = warnings(
        "version: 1\nbindings: [{ roles: [inspector], principals: ['User:a'], resources: ['topic:t', 'group:g'] }]\nend: true\n",
    );
    assert_eq!(w, ["dir/policy.yaml:2:81: none of the roles gives anything on `group:g`"]);
}

#[test]
fn producer_and_consumer_do_what_clients_need() {
    let policy = load(
        "version: 1\nbindings:\n  - { roles: [producer], principals: ['User:p'], resources: ['topic:t', cluster, 'transactional_id:p-*'] }\n\
         \x20 - { roles: [consumer], principals: ['User:c'], resources: ['topic:t', 'group:g'] }\n",
    );
    let (p, c) = (who("User:p"), who("User:c"));
    assert!(p.topic(&policy, O::Write, "t").is_allowed() && !p.topic(&policy, O::Read, "t").is_allowed());
    assert!(p.cluster(&policy, O::IdempotentWrite).is_allowed());
    assert!(p.ask(&policy, O::Write, ResourceType::TransactionalId, "p-1").is_allowed());
    assert!(!p.ask(&policy, O::Write, ResourceType::TransactionalId, "q").is_allowed());
    assert!(c.topic(&policy, O::Read, "t").is_allowed() && c.group(&policy, O::Read, "g").is_allowed());
    assert!(!c.topic(&policy, O::Write, "t").is_allowed());
}

#[test]
fn a_grant_may_give_roles_but_not_the_gate() {
    let yaml = "version: 1\nconnect_gate: required\ngrants: [{ id: g, roles: [admin], principals: ['User:a'], resources: ['topic:t'], not_after: 2027-01-01T00:00:00Z }]\nend: true\n";
    let policy = load(yaml);
    assert_eq!(who("User:a").topic(&policy, O::Describe, "t").code(), ReasonCode::NotConnectedRole);
    assert!(warnings(yaml).iter().any(|w| w.contains("a grant does not open the connect gate")));
    let policy = load(&yaml.replace("required", "open"));
    assert_eq!(who("User:a").topic(&policy, O::Describe, "t").code(), ReasonCode::GrantAllow);
}

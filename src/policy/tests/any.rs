//! `authorizeByResourceType`: Kafka's cases (`BaseAuthorizerTest.testAuthorizeByResourceType*`, kafka-authorization 3.6).

use super::{acls, load, who};
use crate::model::Operation as O;
use crate::policy::ReasonCode;

fn write(default: &str, lines: &[&str]) -> bool {
    who("User:a").any(&acls(default, lines), O::Write).is_allowed()
}

#[test]
fn without_acls_the_default_decides() {
    assert!(!write("deny", &[]));
    assert!(write("allow_if_no_acl", &[]));
}

#[test]
fn any_allow_by_name_prefix_or_star_suffices() {
    assert!(write("deny", &["allow User:a Write topic:t"]));
    assert!(write("deny", &["allow User:a Write topic:t*"]));
    assert!(write("deny", &["allow User:a All topic:t"]));
    assert!(write("deny", &["allow User:* Write topic:*"]));
    assert!(!write("deny", &["allow User:b Write topic:*"]));
    assert!(!write("deny", &["allow User:a Read topic:t", "allow User:a All group:t"]));
}

#[test]
fn nothing_is_implied() {
    let policy = acls("deny", &["allow User:a Read topic:t"]);
    assert!(!who("User:a").any(&policy, O::Describe).is_allowed());
    assert!(who("User:a").any(&policy, O::Read).is_allowed());
}

#[test]
fn hosts_count() {
    let policy = acls("deny", &["allow User:a Write topic:t from 10.0.0.9"]);
    assert!(!who("User:a").any(&policy, O::Write).is_allowed());
    assert!(who("User:a").from("10.0.0.9").any(&policy, O::Write).is_allowed());
}

#[test]
fn a_deny_of_the_very_pattern_or_of_a_prefix_of_it_takes_it_away() {
    assert!(!write("deny", &["allow User:a Write topic:t", "deny User:a Write topic:t"]));
    assert!(!write("deny", &["allow User:a Write topic:foobar", "deny User:a All topic:foo*"]));
    assert!(!write("deny", &["allow User:a Write topic:foo*", "deny User:* Write topic:foo*"]));
    assert!(!write("deny", &["allow User:a Write topic:foobar*", "deny User:a Write topic:foo*"]));
}

#[test]
fn an_unrelated_deny_does_not() {
    assert!(write("deny", &["allow User:a Write topic:t", "deny User:a Write topic:u"]));
    assert!(write("deny", &["allow User:a Write topic:foo*", "deny User:a Write topic:foobar*"]));
    assert!(
        write("deny", &["allow User:a Write topic:foo*", "deny User:a Write topic:foo"]),
        "a denied literal never cancels a prefix"
    );
    assert!(write("deny", &["allow User:a Write topic:t", "deny User:a Read topic:t"]));
    assert!(write("deny", &["allow User:a Write topic:t", "deny User:b Write topic:*"]));
    assert!(write("deny", &["allow User:a Write topic:t", "deny User:a Read group:*"]));
}

#[test]
fn a_denied_star_ends_it_and_an_allowed_star_outlives_prefixes() {
    assert!(!write("deny", &["allow User:a Write topic:t", "deny User:a Write topic:*"]));
    assert!(write("deny", &["allow User:a Write topic:*", "deny User:a Write topic:foo*"]));
}

#[test]
fn an_acl_on_a_topic_called_hardcode_counts_as_in_kafka() {
    assert!(write("deny", &["allow User:a Write topic:hardcode"]));
    assert!(!write("allow_if_no_acl", &["allow User:b Read topic:hard*"]), "although every real topic is writable");
    assert!(write("allow_if_no_acl", &["allow User:b Read topic:soft*"]));
}

#[test]
fn super_users_have_access_and_operators_have_not() {
    let policy = load("version: 1\nsuper_users: ['User:root']\noperators: ['User:op']\n");
    assert_eq!(who("User:root").any(&policy, O::Write).code(), ReasonCode::SuperUser);
    let op = who("User:op").any(&policy, O::Write);
    assert!(!op.is_allowed() && op.code() == ReasonCode::Operator);
    assert!(!who("User:root").not_super().any(&policy, O::Write).is_allowed());
}

#[test]
fn bindings_grants_and_time_bounds_count() {
    let policy = load(
        "version: 1\n\
         bindings: [{ roles: [producer], principals: ['User:a'], resources: ['topic:x*'] }]\n\
         grants: [{ id: g, allow: [Write], principals: ['User:b'], resources: ['topic:y'], not_after: 2026-11-22T10:00:00Z }]\n",
    );
    assert_eq!(who("User:a").any(&policy, O::Write).code(), ReasonCode::PolicyAllow);
    assert_eq!(who("User:b").any(&policy, O::Write).code(), ReasonCode::GrantAllow);
    assert!(!who("User:b").at("2026-11-22T10:00:00Z").any(&policy, O::Write).is_allowed());
}

#[test]
fn a_quarantine_on_every_topic_holds_back_super_users_and_one_on_some_does_not() {
    let with = |resource: &str| {
        load(&format!(
            "version: 1\nsuper_users: ['User:root']\ngrants: [{{ id: q, deny: [All], principals: ['User:root'], \
             resources: ['{resource}'], not_after: 2026-11-22T10:00:00Z }}]\nend: true\n"
        ))
    };
    assert_eq!(who("User:root").any(&with("*"), O::Write).code(), ReasonCode::Quarantine);
    assert_eq!(who("User:root").any(&with("topic:h*"), O::Write).code(), ReasonCode::SuperUser);
}

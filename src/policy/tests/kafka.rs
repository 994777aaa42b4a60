//! Kafka's cases: `StandardAuthorizerTest`, `AuthorizerTest`, `BaseAuthorizerTest`, 4.1 (kafka-authorization 3 and 4).

use super::{acls, load, who};
use crate::model::Operation as O;
use crate::policy::ReasonCode;
use crate::wire::ApiKey;

fn allowed(default: &str, lines: &[&str], principal: &str, op: O, topic: &str) -> bool {
    who(principal).topic(&acls(default, lines), op, topic).is_allowed()
}

fn deny(lines: &[&str], principal: &str, op: O, topic: &str) -> bool {
    allowed("deny", lines, principal, op, topic)
}

#[test]
fn no_acl_means_the_default() {
    assert!(!allowed("deny", &[], "User:a", O::Read, "t"));
    assert!(allowed("allow_if_no_acl", &[], "User:a", O::Read, "t"));
}

#[test]
fn deny_takes_precedence_whatever_the_lengths_and_the_order() {
    for lines in [
        ["allow User:a All topic:foobar", "deny User:a All topic:foo*"],
        ["deny User:a All topic:foo*", "allow User:a All topic:foobar"],
        ["allow User:a All topic:foobar*", "deny User:a All topic:*"],
        ["allow User:* All topic:*", "deny User:a Read topic:foobar"],
    ] {
        assert!(!deny(&lines, "User:a", O::Read, "foobar"), "{lines:?}");
    }
}

#[test]
fn deny_of_all_denies_every_operation_and_allow_of_all_allows_it() {
    let policy = acls("deny", &["allow User:a All topic:t", "deny User:b All topic:t", "allow User:b All topic:*"]);
    for op in O::EVERY {
        assert!(who("User:a").topic(&policy, op, "t").is_allowed(), "{op}");
        assert_eq!(who("User:b").topic(&policy, op, "t").code(), ReasonCode::ExplicitDeny, "{op}");
    }
}

#[test]
fn implications_of_allow() {
    // (granted, what it lets through beside itself)
    let cases = [
        (O::Read, vec![O::Describe]),
        (O::Write, vec![O::Describe]),
        (O::Delete, vec![O::Describe]),
        (O::Alter, vec![O::Describe]),
        (O::AlterConfigs, vec![O::DescribeConfigs]),
        (O::Create, vec![]),
        (O::Describe, vec![]),
        (O::DescribeConfigs, vec![]),
    ];
    for (granted, implied) in cases {
        let policy = acls("deny", &[&format!("allow User:a {granted} topic:t")]);
        for op in O::EVERY {
            let expected = op == granted || implied.contains(&op);
            assert_eq!(who("User:a").topic(&policy, op, "t").is_allowed(), expected, "{granted} → {op}");
        }
    }
}

#[test]
fn a_deny_never_implies() {
    let lines = ["allow User:a Read topic:t", "deny User:a Describe topic:t"];
    assert!(deny(&lines, "User:a", O::Read, "t"), "read without describe");
    assert!(!deny(&lines, "User:a", O::Describe, "t"));
    let lines = ["deny User:a Read topic:t", "allow User:a Describe topic:t"];
    assert!(deny(&lines, "User:a", O::Describe, "t"));
}

#[test]
fn implication_does_not_mind_the_type_of_the_resource() {
    let policy = acls("deny", &["allow User:a Alter cluster", "allow User:a Write transactional_id:x"]);
    assert!(who("User:a").cluster(&policy, O::Describe).is_allowed());
    let kind = crate::model::ResourceType::TransactionalId;
    assert!(who("User:a").ask(&policy, O::Describe, kind, "x").is_allowed());
}

#[test]
fn user_star_matches_principals_of_any_type_and_group_star_is_a_name() {
    let lines = ["allow User:* Read topic:t", "allow Group:* Write topic:t"];
    assert!(deny(&lines, "User:x", O::Read, "t"));
    assert!(deny(&lines, "Service:x", O::Read, "t"));
    assert!(!deny(&lines, "Group:x", O::Write, "t"));
    assert!(deny(&lines, "Group:*", O::Write, "t"));
}

#[test]
fn principals_are_compared_exactly_and_split_at_the_first_colon() {
    let lines = ["allow User:a:b Read topic:t"];
    assert!(deny(&lines, "User:a:b", O::Read, "t"));
    assert!(!deny(&lines, "User:a", O::Read, "t"));
    assert!(!deny(&lines, "user:a:b", O::Read, "t"));
    assert!(!deny(&lines, "User:A:b", O::Read, "t"));
}

#[test]
fn prefixes_are_case_sensitive_and_a_prefix_star_is_no_wildcard() {
    assert!(deny(&["allow User:a Read topic:foo*"], "User:a", O::Read, "foo"));
    assert!(deny(&["allow User:a Read topic:foo*"], "User:a", O::Read, "foobar"));
    assert!(!deny(&["allow User:a Read topic:foo*"], "User:a", O::Read, "Foobar"));
    assert!(!deny(&["allow User:a Read topic:foo*"], "User:a", O::Read, "fo"));
    let policy = acls("deny", &["allow User:a Read group:prefixed:*"]);
    assert!(!who("User:a").group(&policy, O::Read, "g").is_allowed());
    assert!(who("User:a").group(&policy, O::Read, "*g").is_allowed());
}

#[test]
fn a_prefix_cuts_between_bytes_of_a_character_without_harm() {
    let policy = acls("deny", &["allow User:a Read group:a*", "allow User:a Read group:é*"]);
    assert!(who("User:a").group(&policy, O::Read, "éa").is_allowed());
    assert!(!who("User:a").group(&policy, O::Read, "ê").is_allowed());
    assert!(!who("User:a").group(&policy, O::Read, "").is_allowed(), "an empty name is a name");
}

#[test]
fn other_types_of_resource_are_not_touched() {
    let policy = acls("deny", &["allow User:a Read topic:*"]);
    assert!(!who("User:a").group(&policy, O::Read, "x").is_allowed());
    assert!(!who("User:a").cluster(&policy, O::Read).is_allowed());
}

#[test]
fn hosts_are_compared_as_text() {
    let policy = acls(
        "deny",
        &[
            "allow User:a Read topic:t from 10.0.0.1",
            "deny User:a Read topic:t from 10.0.0.2",
            "allow User:b Read topic:t from 0:0:0:0:0:0:0:1",
        ],
    );
    let read = |ask: super::Ask| ask.topic(&policy, O::Read, "t").code();
    assert_eq!(read(who("User:a").from("10.0.0.1")), ReasonCode::AclAllow);
    assert_eq!(read(who("User:a").from("::ffff:10.0.0.1")), ReasonCode::AclAllow);
    assert_eq!(read(who("User:a").from("10.0.0.2")), ReasonCode::ExplicitDeny);
    assert_eq!(read(who("User:a").from("10.0.0.3")), ReasonCode::NoMatch);
    assert_eq!(read(who("User:b").from("::1")), ReasonCode::AclAllow);
}

#[test]
fn super_users_are_exact_names_and_beat_denies() {
    let policy = load(
        "version: 1\nsuper_users: ['User:root', 'User:x:y']\n\
         acls: [{ deny: [All], principals: ['User:*'], resources: ['*'] }]\nend: true\n",
    );
    assert!(who("User:root").topic(&policy, O::Write, "t").is_allowed());
    assert!(who("User:x:y").topic(&policy, O::Write, "t").is_allowed());
    assert!(!who("User:Root").topic(&policy, O::Write, "t").is_allowed());
    assert!(!who("Other:root").topic(&policy, O::Write, "t").is_allowed());
}

#[test]
fn an_acl_for_somebody_else_closes_the_name_and_only_the_name() {
    let lines = ["allow User:b Describe topic:foo*", "allow User:b Read group:*"];
    let policy = acls("allow_if_no_acl", &lines);
    let a = who("User:a");
    assert!(!a.topic(&policy, O::Read, "foobar").is_allowed());
    assert!(a.topic(&policy, O::Read, "bar").is_allowed(), "a fresh topic stays open");
    assert!(!a.group(&policy, O::Read, "any").is_allowed(), "one acl on * closes the type");
    assert!(a.cluster(&policy, O::Alter).is_allowed(), "other types are untouched");
    assert_eq!(who("User:b").topic(&policy, O::Read, "foobar").code(), ReasonCode::NoMatch);
    assert!(!who("User:a").topic(&acls("allow_if_no_acl", &["deny User:b Read topic:t"]), O::Read, "t").is_allowed());
}

#[test]
fn decisions_among_many_acls() {
    let lines: Vec<String> = (0..500)
        .flat_map(|n| {
            [format!("allow User:u{} Read topic:t{n}", n % 7), format!("deny User:u{} Read topic:t{n}5*", n % 3)]
        })
        .collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let policy = acls("deny", &lines);
    assert!(who("User:u5").topic(&policy, O::Read, "t5").is_allowed());
    assert!(!who("User:u4").topic(&policy, O::Read, "t5").is_allowed());
    assert_eq!(
        who("User:u1").topic(&policy, O::Read, "t155").code(),
        ReasonCode::ExplicitDeny,
        "t155 is 22*7+1, t15 denies u0"
    );
}

/// kafka-acls.sh does not create it, the AdminClient does, and brokers ask for it in DeleteTopics.
#[test]
fn delete_on_the_cluster_can_be_given_and_star_alone_does_not_give_it() {
    let given = |rule: &str| {
        let policy = load(&format!("version: 1\nacls:\n  - {rule}\nend: true\n"));
        who("User:a").api(ApiKey::DELETE_TOPICS).cluster(&policy, O::Delete).is_allowed()
    };
    assert!(given("{ allow: [Delete], principals: ['User:a'], resources: [cluster] }"));
    assert!(!given("{ allow: [Delete], principals: ['User:a'], resources: ['*'] }"));
    assert!(given("{ allow: [All], principals: ['User:a'], resources: ['*'] }"));
    let all = "{ allow: [All], principals: ['User:a'], resources: ['*'] }";
    for denied in ["cluster", "'*'"] {
        assert!(!given(&format!("{all}\n  - {{ deny: [Delete], principals: ['User:a'], resources: [{denied}] }}")));
    }
}

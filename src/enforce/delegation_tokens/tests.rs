use super::*;
use crate::enforce::table;
use crate::enforce::testing::{Bench, answer};

const TOKENS: [ApiKey; 4] = [
    ApiKey::CREATE_DELEGATION_TOKEN,
    ApiKey::RENEW_DELEGATION_TOKEN,
    ApiKey::EXPIRE_DELEGATION_TOKEN,
    ApiKey::DESCRIBE_DELEGATION_TOKEN,
];

/// The answer to a token for `owner` (`None`: for oneself), renewed by a principal of this type.
fn create(bench: &mut Bench, version: i16, owner: Option<&str>, renewed_by: &str) -> String {
    let other = Node::new(&renewer::THIS).with(renewer::PRINCIPAL_TYPE, renewed_by).with(renewer::PRINCIPAL_NAME, "x");
    let mut request = Node::request(TOKENS[0]).with(create_req::RENEWERS, vec![other]);
    if let Some(owner) = owner {
        request.set(create_req::OWNER_PRINCIPAL_TYPE, "User");
        request.set(create_req::OWNER_PRINCIPAL_NAME, owner);
    }
    format!("{:?}", answer(bench.judge(&CreateDelegationToken, TOKENS[0], version, &request), TOKENS[0], version))
}

#[test]
fn threat_02_delegation_tokens_are_off_for_everybody_and_never_forwarded() {
    let all = r#"{ allow: [All], principals: ["User:alice"], resources: ["*"] }"#;
    for key in TOKENS {
        let row = table::find(key).unwrap();
        assert!(row.advertised, "a broker without tokens tells of them too");
        for version in row.versions.min..=row.versions.max {
            for user in ["alice", "root"] {
                let mut bench = Bench::acls(&[all]).user(user);
                let refused = answer(bench.judge(row.rule, key, version, &Node::request(key)), key, version);
                assert_eq!(refused.int(refused.def().find("ErrorCode").unwrap()), 61, "{key} {version} {user}");
                let records = bench.trail.records();
                assert!(records.iter().all(|r| r.decision.code() == ReasonCode::UnsupportedApi), "{key}");
                assert!(!records.is_empty() && bench.trail.arguments.is_some());
            }
        }
    }
}

#[test]
fn a_connection_that_could_not_make_tokens_is_told_so_first() {
    for key in TOKENS {
        let row = table::find(key).unwrap();
        for version in row.versions.min..=row.versions.max {
            let mut bench = Bench::acls(&[]);
            bench.connection.mechanism = "PLAINTEXT".into();
            let refused = answer(bench.judge(row.rule, key, version, &Node::request(key)), key, version);
            assert_eq!(refused.int(refused.def().find("ErrorCode").unwrap()), 64, "{key} {version}");
        }
    }
}

#[test]
fn a_refusal_has_the_form_of_whoever_refuses_in_kafka() {
    let mut bench = Bench::acls(&[]);
    assert_eq!(
        create(&mut bench, 3, None, "User"),
        "CreateDelegationTokenResponse { ErrorCode: 61, PrincipalType: \"User\", PrincipalName: \"alice\", \
         TokenRequesterPrincipalType: \"User\", TokenRequesterPrincipalName: \"alice\" }"
    );
    assert_eq!(bench.decided(), ["CreateTokens user:User:alice denied"]);
    assert_eq!(
        create(&mut Bench::acls(&[]), 3, Some("bob"), "Group"),
        "CreateDelegationTokenResponse { ErrorCode: 65, PrincipalType: \"User\", PrincipalName: \"bob\", \
         TokenRequesterPrincipalType: \"User\", TokenRequesterPrincipalName: \"alice\", IssueTimestampMs: -1, \
         ExpiryTimestampMs: -1, MaxTimestampMs: -1 }"
    );
    let may = r#"{ allow: [CreateTokens], principals: ["User:alice"], resources: ["user:User:bob"] }"#;
    assert!(create(&mut Bench::acls(&[may]), 3, Some("bob"), "Group").contains("ErrorCode: 67"));
    assert!(create(&mut Bench::acls(&[may]), 3, Some("bob"), "User").contains("ErrorCode: 61"));
    assert!(create(&mut Bench::acls(&[]), 1, None, "Group").contains("ErrorCode: 67"), "one's own needs no right");
}

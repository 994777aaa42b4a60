use super::*;
use crate::enforce::table;
use crate::enforce::testing::{Bench, answer, finished, forwarded};

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

/// A bench whose client logged in at the broker by itself.
fn relayed(entries: &[&str]) -> Bench {
    let mut bench = Bench::acls(entries);
    bench.connection.relayed = true;
    bench
}

fn judged(bench: &mut Bench, key: ApiKey, version: i16, request: &Node) -> Verdict {
    let row = table::find(key).unwrap();
    bench.judge(row.rule, key, version, request)
}

fn owned_by(owner: &str) -> Node {
    let user = Node::request(TOKENS[0]).with(create_req::OWNER_PRINCIPAL_TYPE, "User");
    user.with(create_req::OWNER_PRINCIPAL_NAME, owner)
}

#[test]
fn who_logs_in_at_the_broker_has_tokens_of_its_own_there() {
    for key in TOKENS {
        let row = table::find(key).unwrap();
        for version in row.versions.min..=row.versions.max {
            let mut bench = relayed(&[]);
            let verdict = judged(&mut bench, key, version, &Node::request(key));
            assert!(matches!(verdict, Verdict::Forward(..)), "{key} {version}");
            let [record] = bench.trail.records() else { panic!("{key}: {:?}", bench.decided()) };
            assert!(record.decision.is_allowed() && record.names.iter().eq(["User:alice"]));
            assert!(bench.trail.arguments.is_some(), "{key}");
        }
    }
    let hmac =
        Node::request(TOKENS[1]).with(renew_delegation_token::request::HMAC, bytes::Bytes::from_static(b"hunter2"));
    let mut bench = relayed(&[]);
    let _ = judged(&mut bench, TOKENS[1], 2, &hmac);
    assert_eq!(bench.trail.arguments.as_deref(), Some("{\"periodMs\":0}"), "the HMAC is a secret");
}

#[test]
fn tokens_of_others_need_the_right_and_what_is_denied_is_denied_for_oneself() {
    let goes_on = |entries: &[&str], owner: &str| {
        matches!(judged(&mut relayed(entries), TOKENS[0], 3, &owned_by(owner)), Verdict::Forward(..))
    };
    assert!(goes_on(&[], "alice") && !goes_on(&[], "bob"));
    assert!(goes_on(
        &[r#"{ allow: [CreateTokens], principals: ["User:alice"], resources: ["user:User:bob"] }"#],
        "bob"
    ));
    let mut bench = relayed(&[]);
    let refused = answer(judged(&mut bench, TOKENS[0], 3, &owned_by("bob")), TOKENS[0], 3);
    assert_eq!(refused.int(refused.def().find("ErrorCode").unwrap()), 65);
    assert_eq!(bench.decided(), ["CreateTokens user:User:bob denied"]);

    let none = r#"{ deny: [CreateTokens, DescribeTokens], principals: ["User:*"], resources: ["user:*"] }"#;
    for key in TOKENS {
        let row = table::find(key).unwrap();
        let mut bench = relayed(&[none]);
        let refused = answer(judged(&mut bench, key, row.versions.max, &Node::request(key)), key, row.versions.max);
        assert_eq!(refused.int(refused.def().find("ErrorCode").unwrap()), 65, "{key}");
        assert!(bench.trail.records().iter().all(|record| !record.decision.is_allowed()));
    }
}

#[test]
fn threat_02_of_the_tokens_that_a_broker_shows_one_sees_ones_own_and_those_that_one_may() {
    use describe_delegation_token::response::{
        TOKENS as ALL, described_delegation_token as token, described_delegation_token_renewer as renews,
    };
    let one = |id: &str, owner: &str, requester: &str, renewer: &str| {
        let renewer =
            Node::new(&renews::THIS).with(renews::PRINCIPAL_TYPE, "User").with(renews::PRINCIPAL_NAME, renewer);
        Node::new(&token::THIS)
            .with(token::TOKEN_ID, id)
            .with(token::PRINCIPAL_TYPE, "User")
            .with(token::PRINCIPAL_NAME, owner)
            .with(token::TOKEN_REQUESTER_PRINCIPAL_TYPE, "User")
            .with(token::TOKEN_REQUESTER_PRINCIPAL_NAME, requester)
            .with(token::RENEWERS, vec![renewer])
    };
    let told = vec![
        one("own", "alice", "alice", "x"),
        one("requested", "bob", "alice", "x"),
        one("renewable", "bob", "bob", "alice"),
        one("named", "bob", "bob", "x"),
        one("of-carol", "carol", "carol", "x"),
        one("hidden", "bob", "bob", "x"),
    ];
    let rights = [
        r#"{ allow: [Describe], principals: ["User:alice"], resources: ["delegation_token:named"] }"#,
        r#"{ allow: [DescribeTokens], principals: ["User:alice"], resources: ["user:User:carol"] }"#,
    ];
    let mut bench = relayed(&rights);
    let key = TOKENS[3];
    let then = forwarded(judged(&mut bench, key, 3, &Node::request(key)));
    let answer = finished(bench.complete(then, key, 3, &Node::response(key).with(ALL, told)), key, 3);
    let shown: Vec<_> = answer.nodes(ALL).iter().map(|one| one.str(token::TOKEN_ID)).collect();
    assert_eq!(shown, ["own", "requested", "renewable", "named", "of-carol"]);
}

use super::*;
use crate::enforce::testing::{Bench, answer, finished, forwarded, kind, rewritten};
use bytes::Bytes;

const KEY: ApiKey = ApiKey::ALTER_USER_SCRAM_CREDENTIALS;
const WRITER: &str = r#"{ allow: [CredentialsWrite], principals: ["User:alice"], resources: ["cluster"] }"#;

fn request(deleted: &[&str], changed: &[&str]) -> Node {
    let deleted =
        deleted.iter().map(|user| Node::new(&deletion::THIS).with(deletion::NAME, *user).with(deletion::MECHANISM, 1));
    let changed = changed.iter().map(|user| {
        Node::new(&upsertion::THIS)
            .with(upsertion::NAME, *user)
            .with(upsertion::MECHANISM, 2)
            .with(upsertion::ITERATIONS, 8192)
            .with(upsertion::SALT, Bytes::from_static(b"salt-secret"))
            .with(upsertion::SALTED_PASSWORD, Bytes::from_static(b"password-secret"))
    });
    Node::request(KEY)
        .with(req::DELETIONS, deleted.collect::<Vec<_>>())
        .with(req::UPSERTIONS, changed.collect::<Vec<_>>())
}

fn rows(answer: &Node) -> Vec<(String, i64)> {
    let of = |row: &Node| (row.str(result::USER).to_owned(), row.int(result::ERROR_CODE));
    answer.nodes(res::RESULTS).iter().map(of).collect()
}

#[test]
fn whoever_may_change_credentials_changes_them_and_the_audit_learns_no_secret() {
    let mut bench = Bench::acls(&[WRITER]);
    forwarded(bench.judge(&AlterUserScramCredentials, KEY, 0, &request(&["bob"], &["carol"])));
    assert_eq!(bench.decided(), ["Alter cluster:kafka-cluster allowed"]);
    assert_eq!(
        bench.trail.arguments.as_deref(),
        Some(concat!(
            r#"{"deletions":[{"mechanism":"SCRAM-SHA-256","user":"bob"}],"#,
            r#""upsertions":[{"iterations":8192,"mechanism":"SCRAM-SHA-512","user":"carol"}]}"#
        ))
    );
}

#[test]
fn users_are_refused_once_each_and_sorted() {
    let refused = answer(
        Bench::acls(&[]).judge(&AlterUserScramCredentials, KEY, 0, &request(&["dora", "bob"], &["carol", "bob"])),
        KEY,
        0,
    );
    assert_eq!(rows(&refused), ["bob", "carol", "dora"].map(|user| (user.to_owned(), 31)));
}

#[test]
fn threat_18_the_proxys_own_logins_are_changed_by_nobody_through_it() {
    for user in ["alice", "root"] {
        let mut bench = Bench::acls(&[WRITER]).user(user);
        let own = "kordon-upstream";
        let (sent, then) = rewritten(bench.judge(&AlterUserScramCredentials, KEY, 0, &request(&[own], &["bob", own])));
        assert_eq!(sent, request(&[], &["bob"]));
        let told = Node::response(KEY).with(res::RESULTS, vec![Node::new(&result::THIS).with(result::USER, "bob")]);
        let all = rows(&finished(bench.complete(then, KEY, 0, &told), KEY, 0));
        assert_eq!(all, [("bob".to_owned(), 0), (own.to_owned(), 31)]);
        assert!(bench.trail.records().iter().any(|r| r.decision.code() == ReasonCode::Protected));
        let mut bench = Bench::acls(&[WRITER]).user(user);
        let whole = bench.judge(&AlterUserScramCredentials, KEY, 0, &request(&[own], &[]));
        assert_eq!(rows(&answer(whole, KEY, 0)), [(own.to_owned(), 31)]);
        assert_eq!(bench.decided(), ["Alter cluster:kafka-cluster denied"], "nothing is granted of it");
    }
}

#[test]
fn threat_05_operators_and_viewers_neither_see_nor_change_credentials() {
    let see = ApiKey::DESCRIBE_USER_SCRAM_CREDENTIALS;
    let viewer =
        "connect_gate: open\nbindings:\n  - { roles: [viewer], principals: [\"User:alice\"], resources: [\"*\"] }\n";
    for policy in ["operators: [\"User:alice\"]\n", viewer] {
        let mut bench = Bench::policy(policy);
        assert_eq!(kind(&bench.judge(&DescribeUserScramCredentials, see, 0, &Node::request(see))), "answer");
        assert_eq!(kind(&bench.judge(&AlterUserScramCredentials, KEY, 0, &request(&["bob"], &[]))), "answer");
    }
    let reader = r#"{ allow: [CredentialsRead], principals: ["User:alice"], resources: ["cluster"] }"#;
    let mut bench = Bench::acls(&[reader]);
    forwarded(bench.judge(&DescribeUserScramCredentials, see, 0, &Node::request(see)));
    assert_eq!(kind(&bench.judge(&AlterUserScramCredentials, KEY, 0, &request(&["bob"], &[]))), "answer");
}

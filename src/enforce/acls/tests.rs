//! The three rules on raw requests: who may, what is refused with which text, what is asked of the store of ACLs.

use super::{CreateAcls, DeleteAcls, DescribeAcls};
use crate::enforce::rule::{Changing, Complete, Rule, Then, Verdict};
use crate::enforce::testing::{Bench, answer, finished, kind, round_trip};
use crate::model::CloseReason;
use crate::policy::{AclBinding, AclChange, AclChanged, AclFilter, ChangeRefused, ProtocolAcls, ReasonCode};
use crate::wire::schema::{create_acls, delete_acls, describe_acls};
use crate::wire::{ApiKey, ErrorCode, Node, Scan, message};
use serde_json::Value;

const VERSIONS: [i16; 3] = [1, 2, 3];

/// `alice` may do what Kafka asks for on the cluster.
const ALTER: &str = "acls:\n  - { allow: [Alter], principals: [\"User:alice\"], resources: [\"cluster\"] }\n";
/// `alice` edits the ACLs on `tx_*` and on groups `trade_*`.
const BOUND: &str = "bindings:\n  - { roles: [aclEditor], principals: [\"User:alice\"], resources: [\"topic:tx_*\", \"group:trade_*\"] }\n";

/// An ACL as it is on the wire: type, name, pattern, principal, host, operation, permission.
type Raw<'a> = (i8, &'a str, i8, &'a str, &'a str, i8, i8);

fn creations(acls: &[Raw<'_>]) -> Node {
    use create_acls::request::{self as req, acl_creation as acl};
    let mut node = Node::request(ApiKey::CREATE_ACLS);
    for (kind, name, pattern, principal, host, operation, permission) in acls.iter().copied() {
        let row = node
            .child(req::CREATIONS)
            .with(acl::RESOURCE_TYPE, i64::from(kind))
            .with(acl::RESOURCE_NAME, name)
            .with(acl::RESOURCE_PATTERN_TYPE, i64::from(pattern))
            .with(acl::PRINCIPAL, principal)
            .with(acl::HOST, host)
            .with(acl::OPERATION, i64::from(operation))
            .with(acl::PERMISSION_TYPE, i64::from(permission));
        node.push(req::CREATIONS, row);
    }
    node
}

/// A filter as it is on the wire.
type RawFilter<'a> = (i8, Option<&'a str>, i8, Option<&'a str>, Option<&'a str>, i8, i8);

const EVERYTHING: RawFilter<'static> = (1, None, 1, None, None, 1, 1);

fn deletions(filters: &[RawFilter<'_>]) -> Node {
    use delete_acls::request::{self as req, delete_acls_filter as filter};
    let mut node = Node::request(ApiKey::DELETE_ACLS);
    for (kind, name, pattern, principal, host, operation, permission) in filters.iter().copied() {
        let row = node
            .child(req::FILTERS)
            .with(filter::RESOURCE_TYPE_FILTER, i64::from(kind))
            .with(filter::RESOURCE_NAME_FILTER, name)
            .with(filter::PATTERN_TYPE_FILTER, i64::from(pattern))
            .with(filter::PRINCIPAL_FILTER, principal)
            .with(filter::HOST_FILTER, host)
            .with(filter::OPERATION, i64::from(operation))
            .with(filter::PERMISSION_TYPE, i64::from(permission));
        node.push(req::FILTERS, row);
    }
    node
}

fn description((kind, name, pattern, principal, host, operation, permission): RawFilter<'_>) -> Node {
    use describe_acls::request as req;
    Node::request(ApiKey::DESCRIBE_ACLS)
        .with(req::RESOURCE_TYPE_FILTER, i64::from(kind))
        .with(req::RESOURCE_NAME_FILTER, name)
        .with(req::PATTERN_TYPE_FILTER, i64::from(pattern))
        .with(req::PRINCIPAL_FILTER, principal)
        .with(req::HOST_FILTER, host)
        .with(req::OPERATION, i64::from(operation))
        .with(req::PERMISSION_TYPE, i64::from(permission))
}

fn create(bench: &mut Bench, version: i16, acls: &[Raw<'_>]) -> Verdict {
    bench.judge(&CreateAcls, ApiKey::CREATE_ACLS, version, &creations(acls))
}

fn delete(bench: &mut Bench, version: i16, filters: &[RawFilter<'_>]) -> Verdict {
    bench.judge(&DeleteAcls, ApiKey::DELETE_ACLS, version, &deletions(filters))
}

fn describe(bench: &mut Bench, version: i16, filter: RawFilter<'_>) -> Verdict {
    bench.judge(&DescribeAcls, ApiKey::DESCRIBE_ACLS, version, &description(filter))
}

fn changed(verdict: Verdict) -> (AclChange, Box<dyn Changing>) {
    match verdict {
        Verdict::Change { change, then, .. } => (change, then),
        other => panic!("{}", kind(&other)),
    }
}

/// Code and text of each result.
fn results(node: &Node) -> Vec<(i16, Option<String>)> {
    use create_acls::response::{RESULTS, acl_creation_result as r};
    let text = |row: &Node| row.opt_str(r::ERROR_MESSAGE).map(str::to_owned);
    node.nodes(RESULTS).iter().map(|row| (row.i16(r::ERROR_CODE), text(row))).collect()
}

/// Code and text of each filter's result, and its matches as `code name text`.
fn filter_results(node: &Node) -> Vec<(i16, Option<String>, Vec<String>)> {
    use delete_acls::response::{FILTER_RESULTS, delete_acls_filter_result as r, delete_acls_matching_acl as m};
    let matches = |row: &Node| {
        let of = |m: &Node| {
            format!(
                "{} {} {}",
                m.i16(m::ERROR_CODE),
                m.str(m::RESOURCE_NAME),
                m.opt_str(m::ERROR_MESSAGE).unwrap_or("-")
            )
        };
        row.nodes(r::MATCHING_ACLS).iter().map(of).collect::<Vec<_>>()
    };
    let rows = node.nodes(FILTER_RESULTS).iter();
    rows.map(|row| (row.i16(r::ERROR_CODE), row.opt_str(r::ERROR_MESSAGE).map(str::to_owned), matches(row))).collect()
}

/// The ACLs of a DescribeAcls answer as `name principal`, with a bar between resources.
fn shown(node: &Node) -> Vec<String> {
    use describe_acls::response::{self as res, acl_description as a, describe_acls_resource as r};
    assert_eq!((node.i16(res::ERROR_CODE), node.opt_str(res::ERROR_MESSAGE)), (0, Some("")));
    let row = |row: &Node| {
        let acls: Vec<&str> = row.nodes(r::ACLS).iter().map(|acl| acl.str(a::PRINCIPAL)).collect();
        format!("{} {}", row.str(r::RESOURCE_NAME), acls.join(","))
    };
    node.nodes(res::RESOURCES).iter().map(row).collect()
}

const ORDERS: Raw<'static> = (2, "orders", 3, "User:bob", "*", 3, 3);

fn denied_text() -> Option<String> {
    Some(ErrorCode::CLUSTER_AUTHORIZATION_FAILED.message().to_owned())
}

#[test]
fn without_the_right_on_the_cluster_each_result_is_refused() {
    for version in VERSIONS {
        let mut bench = Bench::acls(&[]);
        let node = answer(create(&mut bench, version, &[ORDERS, ORDERS]), ApiKey::CREATE_ACLS, version);
        assert_eq!(results(&node), [(31, denied_text()), (31, denied_text())]);
        let node = answer(delete(&mut bench, version, &[EVERYTHING, EVERYTHING]), ApiKey::DELETE_ACLS, version);
        assert_eq!(filter_results(&node), [(31, denied_text(), Vec::new()), (31, denied_text(), Vec::new())]);
        let node = answer(describe(&mut bench, version, EVERYTHING), ApiKey::DESCRIBE_ACLS, version);
        use describe_acls::response as res;
        assert_eq!(node.i16(res::ERROR_CODE), 31);
        assert_eq!(node.opt_str(res::ERROR_MESSAGE).map(str::to_owned), denied_text());
        assert!(node.nodes(res::RESOURCES).is_empty());
        let decided = bench.decided();
        assert_eq!(
            decided,
            [
                "Alter cluster:kafka-cluster denied",
                "Alter cluster:kafka-cluster denied",
                "Describe cluster:kafka-cluster denied"
            ]
        );
    }
}

#[test]
fn what_is_created_goes_to_the_store_and_succeeds_once_it_is_in_force() {
    for version in VERSIONS {
        let mut bench = Bench::policy(ALTER);
        let (change, then) =
            changed(create(&mut bench, version, &[ORDERS, (3, "g", 4, "Group:devs", "10.0.0.1", 2, 2)]));
        let expected = ["topic:LITERAL:orders User:bob ALLOW READ *", "group:PREFIXED:g Group:devs DENY ALL 10.0.0.1"];
        assert_eq!(change, AclChange::Create(expected.map(AclBinding::read).to_vec()));
        let node = round_trip(ApiKey::CREATE_ACLS, version, &then.answer(Ok(AclChanged::Created)));
        assert_eq!(results(&node), [(0, Some(String::new())), (0, Some(String::new()))]);
        assert_eq!(bench.decided(), ["Alter cluster:kafka-cluster allowed"]);
    }
}

#[test]
fn what_cannot_be_created_says_kafkas_texts_and_the_rest_is() {
    let invalid = |text: &str| (42, Some(text.to_owned()));
    let cases: [(Raw<'_>, (i16, Option<String>)); 8] = [
        (
            (4, "other", 3, "User:a", "*", 3, 3),
            invalid("The only valid name for the CLUSTER resource is kafka-cluster"),
        ),
        ((2, "", 3, "User:a", "*", 3, 3), invalid("Invalid empty resource name")),
        ((77, "t", 3, "User:a", "*", 3, 3), invalid("Invalid resourceType UNKNOWN")),
        ((2, "t", 77, "User:a", "*", 3, 3), invalid("Invalid patternType UNKNOWN")),
        ((2, "t", 3, "User:a", "*", 77, 3), invalid("Invalid operation UNKNOWN")),
        ((2, "t", 3, "User:a", "*", 3, -1), invalid("Invalid permissionType UNKNOWN")),
        (
            (2, "t", 3, "alice", "*", 3, 3),
            invalid(
                "Could not parse principal from `alice` (no colon is present separating the principal type from the \
                 principal name)",
            ),
        ),
        ((4, "", 3, "User:a", "*", 3, 3), invalid("The only valid name for the CLUSTER resource is kafka-cluster")),
    ];
    let mut asked: Vec<Raw<'_>> = cases.iter().map(|(acl, _)| *acl).collect();
    asked.push(ORDERS);
    let (change, then) = changed(create(&mut Bench::policy(ALTER), 3, &asked));
    assert_eq!(change, AclChange::Create(vec![AclBinding::read("topic:LITERAL:orders User:bob ALLOW READ *")]));
    let mut expected: Vec<_> = cases.iter().map(|(_, fault)| fault.clone()).collect();
    expected.push((0, Some(String::new())));
    assert_eq!(results(&then.answer(Ok(AclChanged::Created))), expected);
    for (acl, fault) in cases {
        let node = answer(create(&mut Bench::policy(ALTER), 3, &[acl]), ApiKey::CREATE_ACLS, 3);
        assert_eq!(results(&node), [fault], "nothing is left to be done: {acl:?}");
    }
}

#[test]
fn what_makes_no_sense_is_created_as_in_kafka() {
    let odd: [Raw<'_>; 6] = [
        (4, "kafka-cluster", 3, "User:a", "*", 4, 3),
        (4, "kafka-cluster", 4, "User:a", "*", 7, 3),
        (2, "t", 3, ":", "localhost", 3, 3),
        (2, "t", 3, "User:", "", 3, 3),
        (2, "a b/c", 3, "Group:x", "10.0.0.0/8", 3, 3),
        (7, "User:alice", 3, "User:a", "*", 13, 3),
    ];
    let (change, then) = changed(create(&mut Bench::policy(ALTER), 3, &odd));
    assert!(matches!(change, AclChange::Create(acls) if acls.len() == 6));
    assert!(results(&then.answer(Ok(AclChanged::Created))).iter().all(|(code, _)| *code == 0));
}

#[test]
fn a_code_that_only_filters_have_fails_the_request_and_one_that_nothing_has_closes() {
    for at in 0..4 {
        let mut acl = ORDERS;
        let with = |acl: &mut Raw<'_>, code: i8| match at {
            0 => acl.0 = code,
            1 => acl.2 = code,
            2 => acl.5 = code,
            _ => acl.6 = code,
        };
        with(&mut acl, 1);
        let node = answer(create(&mut Bench::policy(ALTER), 2, &[ORDERS, acl]), ApiKey::CREATE_ACLS, 2);
        assert_eq!(results(&node), [(-1, None), (-1, None)], "{at}");
        with(&mut acl, 0);
        let verdict = create(&mut Bench::acls(&[]), 2, &[ORDERS, acl]);
        assert!(matches!(verdict, Verdict::Refuse(CloseReason::MalformedRequest)), "{at}");
        let mut filter = EVERYTHING;
        match at {
            0 => filter.0 = 0,
            1 => filter.2 = 0,
            2 => filter.5 = 0,
            _ => filter.6 = 0,
        }
        let verdict = delete(&mut Bench::policy(ALTER), 2, &[EVERYTHING, filter]);
        assert!(matches!(verdict, Verdict::Refuse(CloseReason::MalformedRequest)), "{at}");
        let verdict = describe(&mut Bench::policy(ALTER), 2, filter);
        assert!(matches!(verdict, Verdict::Refuse(CloseReason::MalformedRequest)), "{at}");
    }
    let match_pattern = (2, "orders", 2, "User:bob", "*", 3, 3);
    let node = answer(create(&mut Bench::policy(ALTER), 1, &[match_pattern]), ApiKey::CREATE_ACLS, 1);
    assert_eq!(results(&node), [(-1, None)]);
}

#[test]
fn a_store_that_does_not_answer_fails_what_waited_for_it_and_nothing_else() {
    let refused = || ChangeRefused { code: ErrorCode::REQUEST_TIMED_OUT, message: "no broker answers".to_owned() };
    let (_, then) = changed(create(&mut Bench::policy(ALTER), 3, &[ORDERS, (2, "", 3, "User:a", "*", 3, 3)]));
    let timed_out = (7, Some("no broker answers".to_owned()));
    let expected = [timed_out.clone(), (42, Some("Invalid empty resource name".to_owned()))];
    assert_eq!(results(&then.answer(Err(refused()))), expected);
    let (_, then) = changed(delete(&mut Bench::policy(ALTER), 3, &[EVERYTHING, (77, None, 3, None, None, 1, 1)]));
    let expected = [(7, timed_out.1, Vec::new()), (42, Some("Unknown patternFilter.".to_owned()), Vec::new())];
    assert_eq!(filter_results(&then.answer(Err(refused()))), expected);
}

#[test]
fn filters_that_hold_unknown_codes_fail_alone() {
    let filters =
        [(2, None, 77, None, None, 1, 1), EVERYTHING, (1, None, 1, None, None, 99, 1), (1, None, 1, None, None, 1, -7)];
    let (change, then) = changed(delete(&mut Bench::policy(ALTER), 1, &filters));
    assert_eq!(change, AclChange::Delete(vec![AclFilter::ANY]));
    let gone = AclBinding::read("topic:LITERAL:x User:a ALLOW READ *");
    let node = round_trip(ApiKey::DELETE_ACLS, 1, &then.answer(Ok(AclChanged::Deleted(vec![vec![gone]]))));
    let fault = |text: &str| (42, Some(text.to_owned()), Vec::new());
    let results = filter_results(&node);
    assert_eq!(results[0], fault("Unknown patternFilter."));
    // ALTER on the cluster comes from the policy file, which the filter finds as well.
    let file = "44 kafka-cluster this acl stands in the policy file at policy.yaml:5: remove it there";
    assert_eq!(results[1], (0, None, vec!["0 x -".to_owned(), file.to_owned()]));
    assert_eq!((&results[2], &results[3]), (&fault("Unknown entryFilter."), &fault("Unknown entryFilter.")));
    let node =
        answer(describe(&mut Bench::policy(ALTER), 3, (77, None, 1, None, None, 1, 1)), ApiKey::DESCRIBE_ACLS, 3);
    assert!(shown(&node).is_empty(), "an unknown code finds nothing");
}

#[test]
fn an_acl_of_two_filters_is_in_both_results() {
    let filters =
        [(2, Some("t"), 3, None, None, 1, 1), (1, None, 1, Some("User:a"), None, 1, 1), (3, None, 1, None, None, 1, 1)];
    let (_, then) = changed(delete(&mut Bench::policy(ALTER), 3, &filters));
    let acl = || vec![AclBinding::read("topic:LITERAL:t User:a ALLOW READ *")];
    let results = filter_results(&then.answer(Ok(AclChanged::Deleted(vec![acl(), acl(), Vec::new()]))));
    let one = (0, None, vec!["0 t -".to_owned()]);
    assert_eq!(results, [one.clone(), one, (0, None, Vec::new())]);
}

#[test]
fn acls_are_shown_by_resource_with_those_of_the_file() {
    let made = [
        "topic:LITERAL:t User:a ALLOW READ *",
        "topic:LITERAL:t User:b DENY WRITE *",
        "topic:PREFIXED:t User:a ALLOW READ *",
        "group:LITERAL:t User:a ALLOW READ *",
        "cluster:LITERAL:kafka-cluster User:alice ALLOW ALTER *",
    ];
    for version in VERSIONS {
        let mut bench = Bench::protocol(ProtocolAcls::State, ALTER, &made);
        let all = |bench: &mut Bench, filter| {
            shown(&answer(describe(bench, version, filter), ApiKey::DESCRIBE_ACLS, version))
        };
        let everything = all(&mut bench, EVERYTHING);
        assert_eq!(everything, ["t User:a,User:b", "t User:a", "t User:a", "kafka-cluster User:alice"], "each once");
        assert_eq!(all(&mut bench, (2, Some("t"), 3, None, None, 1, 1)), ["t User:a,User:b"]);
        assert_eq!(all(&mut bench, (2, Some("table"), 2, None, None, 1, 1)), ["t User:a"], "what affects a topic");
        assert_eq!(all(&mut bench, (1, None, 1, Some("User:b"), None, 1, 1)), ["t User:b"]);
    }
}

#[test]
fn who_edits_acls_on_some_resources_sees_and_changes_what_lies_within() {
    let made = [
        "topic:LITERAL:tx_a User:a ALLOW READ *",
        "topic:PREFIXED:tx_ User:b ALLOW READ *",
        "topic:LITERAL:* User:c ALLOW READ *",
        "topic:PREFIXED:tx User:d ALLOW READ *",
        "group:LITERAL:tx_a User:e ALLOW READ *",
    ];
    let bench = || Bench::protocol(ProtocolAcls::State, BOUND, &made);
    let node = answer(describe(&mut bench(), 3, EVERYTHING), ApiKey::DESCRIBE_ACLS, 3);
    assert_eq!(shown(&node), ["tx_a User:a", "tx_ User:b"]);
    let (change, then) = changed(delete(&mut bench(), 3, &[EVERYTHING]));
    let within = [0, 1].map(|i| AclFilter::exactly(&AclBinding::read(made[i])));
    assert_eq!(change, AclChange::Delete(within.to_vec()));
    let removed = [0, 1].map(|i| vec![AclBinding::read(made[i])]).to_vec();
    let gone = filter_results(&then.answer(Ok(AclChanged::Deleted(removed))));
    assert_eq!(gone, [(0, None, vec!["0 tx_a -".to_owned(), "0 tx_ -".to_owned()])]);

    let asked = [
        (2, "tx_new", 3, "User:bob", "*", 3, 3),
        (2, "tx", 4, "User:bob", "*", 3, 3),
        (3, "trade_1", 3, "User:bob", "*", 3, 3),
        (4, "kafka-cluster", 3, "User:alice", "*", 7, 3),
        (2, "*", 3, "User:alice", "*", 2, 3),
    ];
    let mut bench = bench();
    let (change, then) = changed(create(&mut bench, 3, &asked));
    assert!(matches!(change, AclChange::Create(acls) if acls.iter().map(|a| &*a.name).eq(["tx_new", "trade_1"])));
    let codes: Vec<i16> = results_codes(&results(&then.answer(Ok(AclChanged::Created))));
    assert_eq!(codes, [0, 31, 0, 31, 31]);
    let decided = bench.decided();
    assert!(decided.contains(&"Alter topic:tx_new allowed".to_owned()), "{decided:?}");
    assert!(decided.contains(&"Alter cluster:kafka-cluster denied".to_owned()), "{decided:?}");
    let right = bench.trail.records().iter().find(|r| r.decision.is_allowed()).and_then(|r| r.decision.right());
    assert_eq!(right, Some("AclsWrite"));
}

fn results_codes(results: &[(i16, Option<String>)]) -> Vec<i16> {
    results.iter().map(|(code, _)| *code).collect()
}

#[test]
fn a_deny_takes_its_resources_out_of_an_editors_reach() {
    let denies =
        format!("{BOUND}acls:\n  - {{ deny: [All], principals: [\"User:alice\"], resources: [\"topic:tx_pay*\"] }}\n");
    let asked = [
        (2, "tx_a", 3, "User:b", "*", 3, 3),
        (2, "tx_payroll", 3, "User:b", "*", 3, 3),
        (2, "tx_", 4, "User:b", "*", 3, 3),
    ];
    let (change, _) = changed(create(&mut Bench::policy(&denies), 3, &asked));
    assert!(matches!(change, AclChange::Create(acls) if acls.len() == 1), "the prefix holds what is denied");
    let cluster =
        format!("{BOUND}acls:\n  - {{ deny: [Alter], principals: [\"User:*\"], resources: [\"cluster\"] }}\n");
    let node = answer(create(&mut Bench::policy(&cluster), 3, &[asked[0]]), ApiKey::CREATE_ACLS, 3);
    assert_eq!(results(&node), [(31, denied_text())]);
}

#[test]
fn a_viewer_sees_and_changes_nothing() {
    let viewer = "bindings:\n  - { roles: [aclViewer], principals: [\"User:alice\"], resources: [\"*\"] }\n";
    let mut bench = Bench::protocol(ProtocolAcls::State, viewer, &["topic:LITERAL:t User:a ALLOW READ *"]);
    assert_eq!(shown(&answer(describe(&mut bench, 3, EVERYTHING), ApiKey::DESCRIBE_ACLS, 3)), ["t User:a"]);
    let node = answer(create(&mut bench, 3, &[ORDERS]), ApiKey::CREATE_ACLS, 3);
    assert_eq!(results(&node), [(31, denied_text())]);
    let node = answer(delete(&mut bench, 3, &[EVERYTHING]), ApiKey::DELETE_ACLS, 3);
    assert_eq!(filter_results(&node)[0].0, 31);
}

#[test]
fn disabled_is_a_broker_without_an_authorizer() {
    let mut bench = Bench::protocol(ProtocolAcls::Disabled, ALTER, &[]);
    let text = |text: &str| Some(text.to_owned());
    let node = answer(create(&mut bench, 3, &[ORDERS, ORDERS]), ApiKey::CREATE_ACLS, 3);
    let disabled = (54, text("No Authorizer is configured."));
    assert_eq!(results(&node), [disabled.clone(), disabled]);
    let node = answer(delete(&mut bench, 3, &[EVERYTHING]), ApiKey::DELETE_ACLS, 3);
    assert_eq!(filter_results(&node), [(54, text("No Authorizer is configured."), Vec::new())]);
    let node = answer(describe(&mut bench, 3, EVERYTHING), ApiKey::DESCRIBE_ACLS, 3);
    use describe_acls::response as res;
    assert_eq!(
        (node.i16(res::ERROR_CODE), node.opt_str(res::ERROR_MESSAGE)),
        (54, Some("No Authorizer is configured on the broker"))
    );
    let node =
        answer(create(&mut Bench::protocol(ProtocolAcls::Disabled, "", &[]), 3, &[ORDERS]), ApiKey::CREATE_ACLS, 3);
    assert_eq!(results(&node), [(31, denied_text())], "who may not is not told");
}

#[test]
fn threat_21_acls_of_the_cluster_that_name_the_proxy_need_a_super_user() {
    let asked: Vec<Raw<'_>> = ["User:kordon", "User:*", "User:ANONYMOUS", "User:bob"]
        .map(|principal| (2, "t", 3, principal, "*", 3, 3))
        .to_vec();
    let (change, then) = changed(create(&mut Bench::protocol(ProtocolAcls::Cluster, ALTER, &[]), 3, &asked));
    assert!(matches!(change, AclChange::Create(acls) if acls.len() == 1 && acls[0].principal == "User:bob"));
    let results = results(&then.answer(Ok(AclChanged::Created)));
    assert_eq!(results_codes(&results), [31, 31, 31, 0]);
    let text = "acls of the cluster that name `User:kordon` can only be changed by a super user of the proxy";
    assert_eq!(results[0].1.as_deref(), Some(text));
    let root = &mut Bench::protocol(ProtocolAcls::Cluster, "", &[]).user("root");
    assert!(matches!(changed(create(root, 3, &asked)).0, AclChange::Create(acls) if acls.len() == 4));
    let state = &mut Bench::policy(ALTER);
    assert!(
        matches!(changed(create(state, 3, &asked)).0, AclChange::Create(acls) if acls.len() == 4),
        "the proxy's own"
    );

    // Whom a token at the brokers names is known later than the policy.
    let of_token: [Raw<'_>; 1] = [(2, "t", 3, "User:kordon-upstream", "*", 3, 2)];
    let verdict = create(&mut Bench::protocol(ProtocolAcls::Cluster, ALTER, &[]), 3, &of_token);
    let refused = self::results(&answer(verdict, ApiKey::CREATE_ACLS, 3));
    assert_eq!(results_codes(&refused), [31]);

    let made = [
        "topic:LITERAL:a User:* DENY ALL *",
        "topic:LITERAL:b User:bob ALLOW READ *",
        "topic:LITERAL:c User:kordon ALLOW ALL *",
        "topic:LITERAL:d User:kordon-upstream ALLOW ALL *",
    ];
    let bench = || {
        Bench::protocol(
            ProtocolAcls::Cluster,
            "acls:\n  - { allow: [AclsWrite], principals: [\"User:alice\"], resources: [\"cluster\"] }\n",
            &made,
        )
    };
    let (change, then) = changed(delete(&mut bench(), 3, &[EVERYTHING]));
    assert_eq!(change, AclChange::Delete(vec![AclFilter::exactly(&AclBinding::read(made[1]))]));
    let removed = vec![vec![AclBinding::read(made[1])]];
    let (code, _, matches) = filter_results(&then.answer(Ok(AclChanged::Deleted(removed)))).remove(0);
    assert_eq!((code, matches.len(), &*matches[0]), (0, 4, "0 b -"));
    for (told, begins) in matches[1..].iter().zip(["31 a ", "31 c ", "31 d "]) {
        assert!(told.starts_with(begins), "{matches:?}");
    }
    let bobs = (1, None, 1, Some("User:bob"), None, 1, 1);
    let (change, _) = changed(delete(&mut bench(), 3, &[bobs]));
    assert!(matches!(change, AclChange::Delete(filters) if filters[0].name.is_none()), "goes on as it is");
    let (change, _) = changed(delete(&mut bench().user("root"), 3, &[EVERYTHING]));
    assert_eq!(change, AclChange::Delete(vec![AclFilter::ANY]));
}

#[test]
fn acls_of_the_cluster_are_described_by_the_cluster_with_those_of_the_file() {
    let reads = "acls:\n  - { allow: [AclsRead], principals: [\"User:alice\"], resources: [\"cluster\"] }\n";
    let theirs = |state: &str| {
        let mut bench = Bench::protocol(
            ProtocolAcls::State,
            "bindings:\n  - { roles: [aclViewer], principals: [\"User:alice\"], resources: [\"*\"] }\n",
            &[state, "topic:LITERAL:z User:z ALLOW READ *"],
        );
        answer(describe(&mut bench, 2, EVERYTHING), ApiKey::DESCRIBE_ACLS, 2)
    };
    let verdict = describe(&mut Bench::protocol(ProtocolAcls::Cluster, reads, &[]), 2, EVERYTHING);
    let Verdict::Forward(_, Then::Complete(then)) = verdict else { panic!() };
    assert!(
        !wants(&*then, &theirs("topic:LITERAL:t User:a ALLOW READ *")),
        "nothing in the file that Kafka can express"
    );
    let both = "acls:\n  - { allow: [Read], principals: [\"User:f\"], resources: [\"topic:t\"] }\nbindings:\n  - { roles: [aclViewer], principals: [\"User:alice\"], resources: [\"*\"] }\n";
    let mut bench = Bench::protocol(ProtocolAcls::Cluster, both, &[]);
    let Verdict::Forward(_, then) = describe(&mut bench, 2, EVERYTHING) else { panic!() };
    let node = finished(
        bench.complete(then, ApiKey::DESCRIBE_ACLS, 2, &theirs("topic:LITERAL:t User:a ALLOW READ *")),
        ApiKey::DESCRIBE_ACLS,
        2,
    );
    assert_eq!(shown(&node), ["t User:a,User:f", "z User:z"]);
    let mut bench = Bench::protocol(ProtocolAcls::Cluster, BOUND, &[]);
    let Verdict::Forward(_, then) = describe(&mut bench, 2, EVERYTHING) else { panic!() };
    let node = finished(
        bench.complete(then, ApiKey::DESCRIBE_ACLS, 2, &theirs("topic:LITERAL:tx_1 User:a ALLOW READ *")),
        ApiKey::DESCRIBE_ACLS,
        2,
    );
    assert_eq!(shown(&node), ["tx_1 User:a"], "only what lies within");
}

/// Whether an answer is looked at before it goes to the client.
fn wants(then: &dyn Complete, answer: &Node) -> bool {
    let bytes = message::response_frame(ApiKey::DESCRIBE_ACLS, 2, 1, answer).into_bytes().slice(9..);
    let mut scan = Scan::new();
    then.wants(scan.read(crate::wire::api(ApiKey::DESCRIBE_ACLS).unwrap().response, 2, &bytes).unwrap())
}

#[test]
fn threat_07_an_error_of_the_cluster_passes_without_the_addresses_in_its_text() {
    use describe_acls::response as res;
    let reads = "acls:\n  - { allow: [AclsRead], principals: [\"User:alice\"], resources: [\"cluster\"] }\n";
    let both = "acls:\n  - { allow: [Describe], principals: [\"User:alice\"], resources: [\"cluster\"] }\n";
    let dump = "Request Request(processor=1, connectionId=10.1.2.3:9092-10.0.0.9:40000-7) is not authorized.";
    for policy in [reads, both] {
        for (text, told) in [(dump, ErrorCode::SECURITY_DISABLED.message()), ("No Authorizer", "No Authorizer")] {
            let mut bench = Bench::protocol(ProtocolAcls::Cluster, policy, &[]);
            let Verdict::Forward(_, then) = describe(&mut bench, 2, EVERYTHING) else { panic!() };
            let failed = Node::response(ApiKey::DESCRIBE_ACLS)
                .with(res::ERROR_CODE, ErrorCode::SECURITY_DISABLED)
                .with(res::ERROR_MESSAGE, text);
            let node = finished(bench.complete(then, ApiKey::DESCRIBE_ACLS, 2, &failed), ApiKey::DESCRIBE_ACLS, 2);
            assert_eq!((node.i16(res::ERROR_CODE), node.str(res::ERROR_MESSAGE)), (54, told));
            assert!(node.nodes(res::RESOURCES).is_empty(), "the file's ACLs do not stand beside an error");
        }
    }
    let refused = || ChangeRefused { code: ErrorCode::UNKNOWN_SERVER_ERROR, message: dump.to_owned() };
    let (_, then) = changed(create(&mut Bench::policy(ALTER), 3, &[ORDERS]));
    let told = ErrorCode::UNKNOWN_SERVER_ERROR.message().to_owned();
    assert_eq!(results(&then.answer(Err(refused()))), [(-1, Some(told.clone()))]);
    let (_, then) = changed(delete(&mut Bench::policy(ALTER), 3, &[EVERYTHING]));
    assert_eq!(filter_results(&then.answer(Err(refused()))), [(-1, Some(told), Vec::new())]);
}

fn told(bench: &Bench) -> Value {
    serde_json::from_str(bench.trail.arguments.as_deref().unwrap()).unwrap()
}

#[test]
fn threat_05_what_the_caller_gives_himself_stands_first_in_the_event() {
    for (principal, own) in [("User:alice", true), ("User:*", true), ("Group:devs", true), ("User:bob", false)] {
        let mut bench = Bench::policy(ALTER).in_group("devs");
        let mut acls = vec![ORDERS; 500];
        acls.push((4, "kafka-cluster", 3, principal, "*", 2, 3));
        changed(create(&mut bench, 3, &acls));
        let told = told(&bench);
        assert_eq!((told["truncated"].as_bool(), told["count"].as_u64()), (Some(true), Some(501)));
        let first = serde_json::json!({ "type": "cluster", "name": "kafka-cluster", "pattern": "LITERAL",
            "principal": principal, "host": "*", "operation": "ALL", "permission": "ALLOW" });
        assert_eq!(told["acls"][0] == first, own, "{principal}: {}", told["acls"][0]);
    }
    let made: Vec<String> = (0..200).map(|n| format!("topic:LITERAL:t{n} User:bob ALLOW READ *")).collect();
    let mut made: Vec<&str> = made.iter().map(String::as_str).collect();
    made.push("topic:LITERAL:zz User:alice DENY ALL *");
    let mut bench = Bench::protocol(ProtocolAcls::State, ALTER, &made);
    changed(delete(&mut bench, 3, &[EVERYTHING]));
    let told = told(&bench);
    assert_eq!(told["matches"][0]["name"], "zz", "a deny that held the caller back");
    assert_eq!((told["matchCount"].as_u64(), told["filterCount"].as_u64()), (Some(201), Some(1)));
    let mut bench = Bench::protocol(ProtocolAcls::State, "acls: []\n", &made);
    assert!(matches!(delete(&mut bench, 3, &[EVERYTHING]), Verdict::Answer(_)));
    let told = self::told(&bench);
    assert_eq!(told["filters"].as_array().map(Vec::len), Some(1), "what was tried is told");
    assert_eq!(told["matches"].as_array().map(Vec::len), Some(0), "what it would have met is not looked for");
    assert_eq!(told["filters"][0]["type"], Value::Null);
}

#[test]
fn a_denied_attempt_is_told_with_its_arguments() {
    let mut bench = Bench::acls(&[]);
    create(&mut bench, 3, &[(77, "t", 2, "User:alice", "*", 99, 3)]);
    let told = told(&bench);
    let expected = serde_json::json!({ "type": 77, "name": "t", "pattern": "MATCH", "principal": "User:alice", "host": "*", "operation": 99, "permission": "ALLOW" });
    assert_eq!(told["acls"][0], expected);
}

#[test]
fn threat_05_operators_touch_no_acls() {
    let operator = "operators: [\"User:alice\"]\n";
    let mut bench = Bench::policy(&format!("{operator}{ALTER}"));
    let node = answer(create(&mut bench, 3, &[ORDERS]), ApiKey::CREATE_ACLS, 3);
    assert_eq!(results(&node), [(31, denied_text())]);
    assert_eq!(bench.trail.records()[0].decision.code(), ReasonCode::Operator);
}

#[test]
fn as_many_acls_as_a_controller_takes_at_once() {
    let names: Vec<String> = (0..=10_000).map(|n| format!("topic:LITERAL:t{n} User:bob ALLOW READ *")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let node = answer(
        delete(
            &mut Bench::protocol(ProtocolAcls::State, ALTER, &names),
            3,
            &[EVERYTHING, (3, None, 1, None, None, 1, 1)],
        ),
        ApiKey::DELETE_ACLS,
        3,
    );
    let fault = (42, Some("Cannot remove more than 10000 acls in a single delete operation.".to_owned()), Vec::new());
    assert_eq!(filter_results(&node), [fault.clone(), fault]);
    assert_eq!(
        kind(&delete(&mut Bench::protocol(ProtocolAcls::State, ALTER, &names[1..]), 3, &[EVERYTHING])),
        "change"
    );
    let verdict = create(&mut Bench::policy(ALTER), 3, &vec![ORDERS; 10_001]);
    let node = answer(verdict, ApiKey::CREATE_ACLS, 3);
    assert_eq!(results(&node)[10_000].0, 44);
}

#[test]
fn matches_that_are_judged_one_by_one_are_bounded_however_often_filters_name_them() {
    let names: Vec<String> = (0..1_000).map(|n| format!("topic:LITERAL:tx_{n} User:bob ALLOW READ *")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let deleted = |policy: &str, filters: usize| {
        let mut bench = Bench::protocol(ProtocolAcls::State, policy, &names);
        delete(&mut bench, 3, &vec![(2, None, 1, None, None, 1, 1); filters])
    };
    assert_eq!(kind(&deleted(BOUND, 100)), "change");
    let node = answer(deleted(BOUND, 101), ApiKey::DELETE_ACLS, 3);
    let text = "the filters match acls more than 100000 times: send fewer at once";
    assert_eq!(filter_results(&node), vec![(42, Some(text.to_owned()), Vec::new()); 101]);
    assert_eq!(kind(&deleted(ALTER, 101)), "change", "whoever may remove all of them has none of them named");
}

#[test]
fn filters_are_held_against_acls_so_often_and_no_more() {
    let names: Vec<String> = (0..10_000).map(|n| format!("topic:LITERAL:tx_{n} User:bob ALLOW READ *")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut bench = Bench::protocol(ProtocolAcls::State, BOUND, &names);
    let node = answer(delete(&mut bench, 3, &vec![(3, None, 1, None, None, 1, 1); 10_001]), ApiKey::DELETE_ACLS, 3);
    let text = "10001 filters are too many for the acls that there are: send fewer at once";
    assert_eq!(filter_results(&node)[10_000], (42, Some(text.to_owned()), Vec::new()));
    assert_eq!(told(&bench)["filterCount"], 10_001, "what was tried is told");
    assert_eq!(bench.decided(), ["Alter cluster:kafka-cluster allowed"]);
}

#[test]
fn nothing_asked_is_nothing_done() {
    let node = answer(create(&mut Bench::policy(ALTER), 3, &[]), ApiKey::CREATE_ACLS, 3);
    assert!(results(&node).is_empty());
    let node = answer(delete(&mut Bench::policy(ALTER), 3, &[]), ApiKey::DELETE_ACLS, 3);
    assert!(filter_results(&node).is_empty());
}

#[test]
fn the_three_rows_are_told_to_clients() {
    use crate::enforce::table::find;
    let rules: [(ApiKey, &dyn Rule); 3] = [
        (ApiKey::DESCRIBE_ACLS, &DescribeAcls),
        (ApiKey::CREATE_ACLS, &CreateAcls),
        (ApiKey::DELETE_ACLS, &DeleteAcls),
    ];
    for (key, _) in rules {
        let row = find(key).unwrap();
        assert!(row.advertised && (row.versions.min, row.versions.max) == (1, 3), "{key}");
    }
}

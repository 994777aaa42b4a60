use super::*;
use crate::enforce::rule::Then;
use crate::enforce::testing::{Bench, answer, forwarded, kind};
use crate::wire::schema::add_raft_voter::{request as voter, request::listener, response as added};
use crate::wire::schema::update_features::request::{self as features, feature_update_key as update};

const ALTER: &str = r#"{ allow: [Alter], principals: ["User:alice"], resources: ["cluster"] }"#;
const EVERY: [(&dyn Rule, ApiKey, i16); 5] = [
    (&UPDATE_FEATURES, ApiKey::UPDATE_FEATURES, 2),
    (&UNREGISTER_BROKER, ApiKey::UNREGISTER_BROKER, 0),
    (&ADD_RAFT_VOTER, ApiKey::ADD_RAFT_VOTER, 1),
    (&REMOVE_RAFT_VOTER, ApiKey::REMOVE_RAFT_VOTER, 0),
    (&UNREGISTER_CONTROLLER, ApiKey::UNREGISTER_CONTROLLER, 0),
];

#[test]
fn whoever_may_alter_the_cluster_is_served_and_his_change_is_told_to_the_audit() {
    for (rule, key, version) in EVERY {
        let mut bench = Bench::acls(&[ALTER]);
        let then = forwarded(bench.judge(rule, key, version, &Node::request(key)));
        assert!(matches!(then, Then::Complete(_)), "texts of brokers are looked at");
        assert_eq!(bench.decided(), ["Alter cluster:kafka-cluster allowed"], "{key}");
        assert!(bench.trail.arguments.as_ref().is_some_and(|told| told.len() > 2), "{key}");
    }
}

#[test]
fn a_right_to_unregister_brokers_lets_nothing_else_through() {
    let only = r#"{ allow: [BrokersUnregister], principals: ["User:alice"], resources: ["cluster"] }"#;
    for (rule, key, version) in EVERY {
        let verdict = Bench::acls(&[only]).judge(rule, key, version, &Node::request(key));
        let expected = if key == ApiKey::UNREGISTER_BROKER { "forward" } else { "answer" };
        assert_eq!(kind(&verdict), expected, "{key}");
    }
}

#[test]
fn threat_05_operators_change_the_cluster_but_bring_no_voter_into_its_quorum() {
    for (rule, key, version) in EVERY {
        let mut bench = Bench::policy("operators: [\"User:alice\"]\n");
        let expected = if key == ApiKey::ADD_RAFT_VOTER { "answer" } else { "forward" };
        assert_eq!(kind(&bench.judge(rule, key, version, &Node::request(key))), expected, "{key}");
    }
}

#[test]
fn a_voter_with_a_blank_listener_is_refused_before_it_ends_the_controller() {
    let key = ApiKey::ADD_RAFT_VOTER;
    let ask = |acls: &[&str], version: i16, names: &[&str]| {
        let of = |name: &&str| Node::new(&listener::THIS).with(listener::NAME, *name).with(listener::PORT, 9093);
        let request = Node::request(key).with(voter::LISTENERS, names.iter().map(of).collect::<Vec<_>>());
        Bench::acls(acls).judge(&ADD_RAFT_VOTER, key, version, &request)
    };
    for version in [0, 1] {
        for name in ["", " ", "\t\u{1}"] {
            let refused = answer(ask(&[ALTER], version, &["CONTROLLER", name]), key, version);
            assert_eq!(refused.int(added::ERROR_CODE), 42, "{name:?}");
            assert!(refused.str(added::ERROR_MESSAGE).contains("blank"));
            let denied = answer(ask(&[], version, &[name]), key, version);
            assert_eq!(denied.int(added::ERROR_CODE), 31, "who may not is told nothing else");
        }
        forwarded(ask(&[ALTER], version, &["CONTROLLER", " x"]));
    }
}

#[test]
fn what_a_feature_becomes_is_told_in_every_version() {
    let of = |version: i16, one: Node| {
        let mut bench = Bench::acls(&[ALTER]);
        let request = Node::request(ApiKey::UPDATE_FEATURES).with(features::FEATURE_UPDATES, vec![one]);
        forwarded(bench.judge(&UPDATE_FEATURES, ApiKey::UPDATE_FEATURES, version, &request));
        bench.trail.arguments.unwrap()
    };
    let one = || Node::new(&update::THIS).with(update::FEATURE, "group.version").with(update::MAX_VERSION_LEVEL, 1);
    assert_eq!(
        of(0, one().with(update::ALLOW_DOWNGRADE, true)),
        r#"{"features":[{"feature":"group.version","level":1,"upgradeType":2}],"validateOnly":false}"#
    );
    assert!(of(2, one().with(update::UPGRADE_TYPE, 3)).contains("\"upgradeType\":3"));
}

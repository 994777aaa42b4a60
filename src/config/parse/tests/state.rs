//! `policy` and `state`.

use super::*;

#[test]
fn a_state_topic_that_nobody_remembers_is_worth_a_warning() {
    let warnings = well(&[]).warnings();
    assert!(warnings.len() == 1 && warnings[0].starts_with("`state.genesis` is null"), "{warnings:?}");
    assert_eq!(well(&[("#root", "state: { genesis: 0b6e-1 }")]).warnings(), [""; 0]);
}

#[test]
fn the_state_and_its_mode_are_read() {
    let config = well(&[
        ("policy.yaml }", "policy.yaml, protocol_acls: cluster, acl_poll: 1s }"),
        ("#root", "state: { topic: s, create: false, replication_factor: 2, genesis: g-1, max_staleness: 5s }"),
    ]);
    assert_eq!((config.policy.protocol_acls, config.policy.acl_poll), (ProtocolAcls::Cluster, Duration::from_secs(1)));
    let (topic, genesis) = ("s".to_owned(), Some("g-1".to_owned()));
    let max_staleness = Duration::from_secs(5);
    assert_eq!(config.state, State { topic, create: false, replication_factor: Some(2), genesis, max_staleness });
    assert!(fault(&[("policy.yaml }", "policy.yaml, protocol_acls: on }")]).contains("`policy.protocol_acls`"));
    assert!(fault(&[("#root", "state: { max_staleness: 1ms }")]).contains("`state.max_staleness`"));
    let both = fault(&[("#root", "state: { topic: kordon.audit }")]);
    assert!(both.ends_with("`state.topic` and an audit topic are both `kordon.audit`: name two"), "{both}");
}

use super::*;
use crate::enforce::testing::{Bench, finished, forwarded};

const KEY: ApiKey = ApiKey::LIST_GROUPS;

fn served(ids: &[&str]) -> Node {
    let mut answer = Node::response(KEY);
    for id in ids {
        let entry = answer.child(res::GROUPS).with(group::GROUP_ID, *id);
        answer.push(res::GROUPS, entry);
    }
    answer
}

#[test]
fn who_may_describe_the_cluster_sees_every_group() {
    for right in ["Describe", "GroupsListAll"] {
        let acl = format!(r#"{{ allow: [{right}], principals: ["User:alice"], resources: ["cluster"] }}"#);
        let mut bench = Bench::acls(&[&acl]);
        let verdict = bench.judge(&ListGroups, KEY, 5, &Node::request(KEY));
        assert!(matches!(forwarded(verdict), Then::Stream));
        assert_eq!(bench.decided(), ["Describe cluster:kafka-cluster allowed"]);
    }
}

#[test]
fn others_see_what_they_may_describe_without_an_error() {
    for version in 0..=5 {
        let mut bench = Bench::acls(&[r#"{ allow: [Read], principals: ["User:alice"], resources: ["group:g*"] }"#]);
        let then = forwarded(bench.judge(&ListGroups, KEY, version, &Node::request(KEY)));
        let answer = finished(bench.complete(then, KEY, version, &served(&["g1", "x", "", "g2"])), KEY, version);
        let seen: Vec<&str> = answer.nodes(res::GROUPS).iter().map(|g| g.str(group::GROUP_ID)).collect();
        assert_eq!(seen, ["g1", "g2"]);
        assert_eq!(answer.int(res::ERROR_CODE), 0);
        assert!(bench.trail.records().iter().all(|r| r.probe), "a filter is no decision");
    }
}

#[test]
fn threat_36_cluster_read_does_not_show_every_group() {
    let acl = r#"{ allow: [ClusterRead], principals: ["User:alice"], resources: ["cluster"] }"#;
    let mut bench = Bench::acls(&[acl]);
    let then = forwarded(bench.judge(&ListGroups, KEY, 5, &Node::request(KEY)));
    assert!(finished(bench.complete(then, KEY, 5, &served(&["g1"])), KEY, 5).nodes(res::GROUPS).is_empty());
}

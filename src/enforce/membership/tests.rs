use super::*;
use crate::enforce::testing::{Bench, answer, forwarded};

const GROUP_30: i64 = 30;

fn allowed() -> Bench {
    Bench::acls(&[r#"{ allow: [Read], principals: ["User:alice"], resources: ["group:g1"] }"#])
}

fn asks(group: &str) -> Vec<(ApiKey, i16, &'static dyn Rule, Node)> {
    use crate::wire::schema::{heartbeat, join_group, leave_group, sync_group};
    let join = Node::request(ApiKey::JOIN_GROUP)
        .with(join_group::request::GROUP_ID, group)
        .with(join_group::request::MEMBER_ID, "m1");
    let beat = Node::request(ApiKey::HEARTBEAT).with(heartbeat::request::GROUP_ID, group);
    let leave = Node::request(ApiKey::LEAVE_GROUP).with(leave_group::request::GROUP_ID, group);
    let sync = Node::request(ApiKey::SYNC_GROUP)
        .with(sync_group::request::GROUP_ID, group)
        .with(sync_group::request::PROTOCOL_TYPE, "consumer")
        .with(sync_group::request::PROTOCOL_NAME, "range");
    vec![
        (ApiKey::JOIN_GROUP, 9, &JoinGroup, join),
        (ApiKey::HEARTBEAT, 4, &Heartbeat, beat),
        (ApiKey::LEAVE_GROUP, 5, &LeaveGroup, leave),
        (ApiKey::SYNC_GROUP, 5, &SyncGroup, sync),
    ]
}

#[test]
fn members_need_read_on_the_group_in_every_version() {
    for (key, max, rule, request) in asks("g1") {
        for version in 0..=max {
            let mut bench = allowed();
            assert!(matches!(forwarded(bench.judge(rule, key, version, &request)), Then::Stream));
            assert_eq!(bench.decided(), ["Read group:g1 allowed"], "{key} {version}");
        }
    }
    for (key, max, rule, request) in asks("g2") {
        for version in 0..=max {
            let mut bench = allowed();
            let refused = answer(bench.judge(rule, key, version, &request), key, version);
            let error = refused.def().find("ErrorCode").unwrap();
            assert_eq!(refused.int(error), GROUP_30, "{key} {version}");
            assert_eq!(bench.decided(), ["Read group:g2 denied"]);
        }
    }
}

#[test]
fn describe_on_the_group_is_not_enough_and_the_empty_group_is_a_name() {
    let mut bench = Bench::acls(&[r#"{ allow: [Describe], principals: ["User:alice"], resources: ["group:*"] }"#]);
    for (key, max, rule, request) in asks("") {
        answer(bench.judge(rule, key, max, &request), key, max);
    }
    assert_eq!(bench.decided(), ["Read group: denied"; 4]);
}

#[test]
fn a_refused_join_echoes_nothing() {
    use crate::wire::schema::join_group::response as res;
    let (key, _, rule, request) = asks("g2").remove(0);
    for version in 0..=9 {
        let refused = answer(allowed().judge(rule, key, version, &request), key, version);
        assert_eq!(refused.int(res::GENERATION_ID), -1);
        assert_eq!((refused.str(res::MEMBER_ID), refused.str(res::LEADER)), ("", ""));
        assert_eq!(refused.opt_str(res::PROTOCOL_NAME), if version >= 7 { None } else { Some("") }, "{version}");
        assert!(refused.is_null(res::PROTOCOL_TYPE) && refused.nodes(res::MEMBERS).is_empty());
    }
}

#[test]
fn a_refused_sync_has_no_assignment_and_null_protocols() {
    use crate::wire::schema::sync_group::response as res;
    let (key, max, rule, request) = asks("g2").remove(3);
    let refused = answer(allowed().judge(rule, key, max, &request), key, max);
    assert!(refused.is_null(res::PROTOCOL_TYPE) && refused.is_null(res::PROTOCOL_NAME));
    assert_eq!(refused.bytes(res::ASSIGNMENT).unwrap().len(), 0);
}

#[test]
fn a_sync_without_protocol_fails_with_23_before_anybody_is_asked() {
    use crate::wire::schema::sync_group::{request as req, response as res};
    for field in [req::PROTOCOL_TYPE, req::PROTOCOL_NAME] {
        let (key, _, rule, request) = asks("g2").remove(3);
        let mut bench = allowed();
        let refused = answer(bench.judge(rule, key, 5, &request.with(field, Value::Null)), key, 5);
        assert_eq!(refused.int(res::ERROR_CODE), 23);
        assert!(bench.trail.is_empty());
    }
    let (key, _, rule, request) = asks("g2").remove(3);
    let early = request.with(req::PROTOCOL_TYPE, Value::Null);
    assert_eq!(answer(allowed().judge(rule, key, 4, &early), key, 4).int(res::ERROR_CODE), GROUP_30);
}

fn leave(members: &[(&str, Option<&str>)]) -> Node {
    use crate::wire::schema::leave_group::request::{self as req, member_identity as member};
    let mut request = Node::request(ApiKey::LEAVE_GROUP).with(req::GROUP_ID, "g1");
    for (id, instance) in members {
        let node = request.child(req::MEMBERS).with(member::MEMBER_ID, *id).with(member::GROUP_INSTANCE_ID, *instance);
        request.push(req::MEMBERS, node);
    }
    request
}

#[test]
fn offsets_write_removes_members_and_does_not_join() {
    let grant = [r#"{ allow: [OffsetsWrite], principals: ["User:alice"], resources: ["group:g1"] }"#];
    let mut bench = Bench::acls(&grant);
    forwarded(bench.judge(&LeaveGroup, ApiKey::LEAVE_GROUP, 5, &leave(&[("", Some("i1")), ("m2", None)])));
    let record = &bench.trail.records()[0];
    assert_eq!(record.decision.right(), Some("OffsetsWrite"));
    let arguments = bench.trail.arguments.clone().unwrap();
    assert_eq!(
        arguments,
        r#"{"group":"g1","members":[{"instance":"i1","member":""},{"instance":null,"member":"m2"}]}"#
    );
    for (key, max, rule, request) in asks("g1") {
        let verdict = Bench::acls(&grant).judge(rule, key, max, &request);
        assert_eq!(matches!(verdict, Verdict::Forward(..)), key == ApiKey::LEAVE_GROUP, "{key}");
    }
}

#[test]
fn a_member_that_leaves_by_itself_has_no_arguments() {
    let mut bench = allowed();
    forwarded(bench.judge(&LeaveGroup, ApiKey::LEAVE_GROUP, 5, &leave(&[("m1", None)])));
    assert_eq!(bench.trail.arguments, None);
}

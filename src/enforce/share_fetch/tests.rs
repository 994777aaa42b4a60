use super::*;
use crate::enforce::testing::{AUDIT, Bench, answer, id, kind, round_trip};
use crate::wire::schema::share_fetch::request::acknowledgement_batch;
use crate::wire::schema::share_fetch::response::{partition_data, share_fetchable_topic_response as told_topic};

const KEY: ApiKey = ApiKey::SHARE_FETCH;
const READ_G: &str = r#"{ allow: [Read], principals: ["User:alice"], resources: ["group:g1"] }"#;
const READ_A: &str = r#"{ allow: [Read], principals: ["User:alice"], resources: ["topic:a*"] }"#;
const TOPICS: [&str; 4] = ["a1", "a2", "x", AUDIT];

/// Topic, partitions, and whether acknowledgements come with them.
type Asked<'a> = (u8, &'a [i32], bool);

fn request(epoch: i32, topics: &[Asked<'_>], forgotten: &[(u8, &[i32])]) -> Node {
    let mut request =
        Node::request(KEY).with(req::GROUP_ID, "g1").with(req::MEMBER_ID, "m1").with(req::SHARE_SESSION_EPOCH, epoch);
    for (number, partitions, acknowledges) in topics {
        let mut topic = request.child(req::TOPICS).with(fetch_topic::TOPIC_ID, id(*number));
        for index in *partitions {
            let mut partition = topic.child(fetch_topic::PARTITIONS).with(fetch_partition::PARTITION_INDEX, *index);
            if *acknowledges {
                let batch = partition
                    .child(fetch_partition::ACKNOWLEDGEMENT_BATCHES)
                    .with(acknowledgement_batch::LAST_OFFSET, 9i64)
                    .with(acknowledgement_batch::ACKNOWLEDGE_TYPES, Value::Ints(vec![1]));
                partition.push(fetch_partition::ACKNOWLEDGEMENT_BATCHES, batch);
            }
            topic.push(fetch_topic::PARTITIONS, partition);
        }
        request.push(req::TOPICS, topic);
    }
    for (number, partitions) in forgotten {
        let topic = request
            .child(req::FORGOTTEN_TOPICS_DATA)
            .with(forgotten_topic::TOPIC_ID, id(*number))
            .with(forgotten_topic::PARTITIONS, Value::Ints(partitions.iter().map(|p| i64::from(*p)).collect()));
        request.push(req::FORGOTTEN_TOPICS_DATA, topic);
    }
    request
}

/// Asks for leases to be renewed, and for no records.
fn renewing(request: Node) -> Node {
    request.with(req::IS_RENEW_ACK, true).with(req::MAX_BYTES, 0)
}

/// What goes on of a request, `None` where it goes on as it is; and the plan.
fn sent(bench: &mut Bench, version: i16, request: &Node) -> (Option<Node>, SharePlan) {
    match bench.judge(&ShareFetch, KEY, version, request) {
        Verdict::Forward(_, Then::Share(plan)) => (None, plan),
        Verdict::Rewrite(_, node, Then::Share(plan)) => {
            let mut out = crate::wire::Rope::new();
            let def = crate::wire::api(KEY).unwrap().request;
            crate::wire::encode(def, version, &node, &mut out);
            (Some(crate::wire::decode(def, version, &out.into_bytes()).unwrap()), plan)
        }
        other => panic!("{}", kind(&other)),
    }
}

/// As the broker answers: the denied topics that are added, `(topic, partition, error, acknowledge error)`.
fn takes(bench: &mut Bench, plan: SharePlan, error: i16) -> Vec<(u8, i32, i16, i16)> {
    let denied = plan.answered(ErrorCode(error), &mut bench.memory.share);
    let answer = round_trip(KEY, 2, &Node::response(KEY).with(res::RESPONSES, denied));
    let mut told = Vec::new();
    for topic in answer.nodes(res::RESPONSES) {
        for p in topic.nodes(told_topic::PARTITIONS) {
            assert_eq!(p.bytes(partition_data::RECORDS).map(bytes::Bytes::len), Some(0), "no records, not null");
            assert!(p.is_null(partition_data::ERROR_MESSAGE) && p.is_null(partition_data::ACKNOWLEDGE_ERROR_MESSAGE));
            let errors = (p.i16(partition_data::ERROR_CODE), p.i16(partition_data::ACKNOWLEDGE_ERROR_CODE));
            told.push((
                topic.uuid(told_topic::TOPIC_ID).0[0],
                p.i32(partition_data::PARTITION_INDEX),
                errors.0,
                errors.1,
            ));
        }
    }
    told
}

fn error(bench: &mut Bench, request: &Node) -> i64 {
    let refused = answer(bench.judge(&ShareFetch, KEY, 2, request), KEY, 2);
    assert!(refused.nodes(res::RESPONSES).is_empty() && refused.is_null(res::ERROR_MESSAGE));
    refused.int(res::ERROR_CODE)
}

fn reader() -> Bench {
    Bench::acls(&[READ_G, READ_A]).topics(&TOPICS)
}

#[test]
fn a_session_whose_topics_are_all_allowed_goes_on_as_it_is() {
    for version in [1, 2] {
        let mut bench = reader();
        for (epoch, topics, forgotten) in [
            (0, &[(1, &[0, 1][..], false)][..], &[][..]),
            (1, &[(2, &[0], false)], &[]),
            (2, &[(1, &[0], true)], &[(2, &[0][..])]),
            (3, &[], &[]),
        ] {
            let (changed, plan) = sent(&mut bench, version, &request(epoch, topics, forgotten));
            assert_eq!(changed, None, "epoch {epoch}");
            assert_eq!(takes(&mut bench, plan, 0), [], "epoch {epoch}");
        }
        let member = Member { group: "g1".into(), id: "m1".into() };
        assert_eq!(bench.memory.share.of(&member).unwrap().topics().collect::<Vec<_>>(), [id(1)]);
        let (changed, plan) = sent(&mut bench, version, &request(-1, &[(1, &[0], true)], &[]));
        assert_eq!((changed, takes(&mut bench, plan, 0)), (None, vec![]));
        assert!(bench.memory.share.of(&member).is_none(), "the last epoch ends it");
    }
}

#[test]
fn a_denied_group_is_refused_as_a_whole_and_asked_about_nothing_else() {
    let mut bench = Bench::acls(&[READ_A]).topics(&TOPICS);
    assert_eq!(error(&mut bench, &request(0, &[(1, &[0], false)], &[])), 30);
    assert_eq!(bench.decided(), ["Read group:g1 denied"]);
    let nobody = request(0, &[], &[]).with(req::GROUP_ID, Value::Null);
    assert_eq!(error(&mut reader(), &nobody), 42);
}

#[test]
fn the_form_is_looked_at_behind_the_right_on_the_group_and_before_session_and_topics() {
    let long = "\u{e9}".repeat(37);
    let member = |id: Value| request(1, &[(3, &[0], false)], &[]).with(req::MEMBER_ID, id);
    let renews = renewing(request(1, &[(3, &[0], true)], &[]));
    for wrong in [
        member(Value::Null),
        member("".into()),
        member(long.as_str().into()),
        renews.clone().with(req::MIN_BYTES, 1),
        renews.clone().with(req::MAX_BYTES, 1),
        renews.clone().with(req::MAX_RECORDS, 1),
        renews.clone().with(req::MAX_WAIT_MS, 1),
        // Nothing was acquired before the session is opened; the denied topic alone says so, and never goes on.
        request(0, &[(1, &[0], false), (3, &[0], true)], &[]),
    ] {
        assert_eq!(error(&mut reader(), &wrong), 42, "{wrong:?}");
        assert_eq!(error(&mut Bench::acls(&[READ_A]).topics(&TOPICS), &wrong), 30, "{wrong:?}");
    }
    assert_eq!(error(&mut reader(), &renews), 122, "no records are asked for");
    // Any other id is one.
    for id in ["nobody", &long[..72]] {
        assert_eq!(error(&mut reader(), &member(id.into())), 122);
    }
}

#[test]
fn threat_01_a_share_session_is_known_only_to_the_connection_that_saw_it_made() {
    let mut bench = reader();
    for epoch in [1, 7, -1] {
        assert_eq!(error(&mut bench, &request(epoch, &[], &[])), 122, "epoch {epoch}");
        assert!(bench.decided().contains(&"Read group:g1 denied".to_owned()), "it is recorded");
    }
    let (_, plan) = sent(&mut bench, 2, &request(0, &[(1, &[0], false)], &[]));
    takes(&mut bench, plan, 0);
    // Of another member, or of a group of another name, nothing is known here.
    assert_eq!(error(&mut bench, &request(1, &[], &[]).with(req::MEMBER_ID, "m2")), 122);
    assert_eq!(sent(&mut bench, 2, &request(1, &[], &[])).0, None);
}

#[test]
fn a_request_that_the_broker_refuses_leaves_no_session() {
    let mut bench = reader();
    let (_, plan) = sent(&mut bench, 2, &request(0, &[(1, &[0], false)], &[]));
    takes(&mut bench, plan, 0);
    // A wrong epoch: the broker has not forgotten what this one forgets, so neither may the proxy.
    let (_, plan) = sent(&mut bench, 2, &request(9, &[], &[(1, &[0])]));
    assert_eq!(takes(&mut bench, plan, 123), []);
    assert_eq!(error(&mut bench, &request(1, &[], &[])), 122);
}

#[test]
fn threat_01_denied_topics_and_ids_without_a_name_never_enter_the_brokers_session() {
    let mut bench = reader();
    bench.looked_up = true;
    let asked = request(0, &[(3, &[0, 1], false), (1, &[0], false), (9, &[5], false), (4, &[0], false)], &[]);
    let (changed, plan) = sent(&mut bench, 2, &asked);
    assert_eq!(changed, Some(request(0, &[(1, &[0], false)], &[])));
    let denied = [(3, 0, 29, 0), (3, 1, 29, 0), (4, 0, 29, 0), (9, 5, 100, 0)];
    assert_eq!(takes(&mut bench, plan, 0), denied);
    // They are in the client's session: each fetch says so again, and nothing of it reaches the broker.
    for epoch in [1, 2] {
        let (changed, plan) = sent(&mut bench, 2, &request(epoch, &[], &[]));
        assert_eq!(changed, Some(request(epoch, &[], &[])));
        assert_eq!(takes(&mut bench, plan, 0), denied);
    }
    let (_, plan) = sent(&mut bench, 2, &request(3, &[], &[(3, &[0, 1]), (4, &[0]), (9, &[5])]));
    assert_eq!(takes(&mut bench, plan, 0), []);
    // An answer that fails as a whole holds nothing else.
    let (_, plan) = sent(&mut bench, 2, &request(4, &[(3, &[0], false)], &[]));
    assert_eq!(takes(&mut bench, plan, 123), []);
}

#[test]
fn threat_01_what_the_request_that_opens_a_session_forgets_is_in_it() {
    let mut bench = reader();
    let opening = request(0, &[(1, &[0], false), (3, &[0], false)], &[(1, &[0]), (3, &[0])]);
    let (_, plan) = sent(&mut bench, 2, &opening);
    assert_eq!(takes(&mut bench, plan, 0), [(3, 0, 29, 0)]);
    let mut bench = bench.now_with(&[READ_G]);
    let (changed, plan) = sent(&mut bench, 2, &request(1, &[], &[]));
    assert_eq!(changed, Some(request(1, &[], &[(1, &[0])])), "the broker has it");
    assert_eq!(takes(&mut bench, plan, 0), [(1, 0, 29, 0), (3, 0, 29, 0)]);
}

#[test]
fn nothing_that_is_allowed_still_opens_a_session() {
    let mut bench = Bench::acls(&[READ_G]).topics(&TOPICS);
    let (changed, plan) = sent(&mut bench, 2, &request(0, &[(1, &[0], false)], &[]));
    assert_eq!(changed, Some(request(0, &[], &[])));
    assert_eq!(takes(&mut bench, plan, 0), [(1, 0, 29, 0)]);
}

#[test]
fn an_id_is_looked_up_once_and_then_unknown() {
    let mut bench = reader();
    let asked = request(0, &[(9, &[0], false)], &[]);
    match bench.judge(&ShareFetch, KEY, 2, &asked) {
        Verdict::Probe(ids) => assert_eq!(ids, [id(9)]),
        other => panic!("{}", kind(&other)),
    }
    bench.looked_up = true;
    let (_, plan) = sent(&mut bench, 2, &asked);
    assert_eq!(takes(&mut bench, plan, 0), [(9, 0, 100, 0)]);
    // In the session it is not looked up at every fetch.
    bench.looked_up = false;
    let (_, plan) = sent(&mut bench, 2, &request(1, &[], &[]));
    assert_eq!(takes(&mut bench, plan, 0), [(9, 0, 100, 0)]);
}

#[test]
fn acknowledgements_of_a_denied_topic_fail_in_their_own_field() {
    let mut bench = reader();
    let (_, plan) = sent(&mut bench, 2, &request(0, &[(1, &[0], false), (3, &[0, 1], false)], &[]));
    takes(&mut bench, plan, 0);
    // With a fetch; with one that forgets the partition; when only leases are renewed; with the last of a session.
    let (changed, plan) = sent(&mut bench, 2, &request(1, &[(1, &[0], true), (3, &[0], true)], &[]));
    assert_eq!(changed, Some(request(1, &[(1, &[0], true)], &[])));
    assert_eq!(takes(&mut bench, plan, 0), [(3, 0, 29, 29), (3, 1, 29, 0)]);
    let (_, plan) = sent(&mut bench, 2, &request(2, &[(3, &[0], true)], &[(3, &[0])]));
    assert_eq!(takes(&mut bench, plan, 0), [(3, 0, 0, 29), (3, 1, 29, 0)]);
    let (_, plan) = sent(&mut bench, 2, &renewing(request(3, &[(3, &[1], true)], &[])));
    assert_eq!(takes(&mut bench, plan, 0), [(3, 1, 0, 29)]);
    // Where anything is acknowledged, also of what is named beside it, each time in one place.
    let (changed, plan) = sent(&mut bench, 2, &request(-1, &[(3, &[0], false), (3, &[1], true)], &[]));
    assert_eq!(changed, Some(request(-1, &[], &[])));
    assert_eq!(takes(&mut bench, plan, 0), [(3, 0, 0, 29), (3, 1, 0, 29)]);
}

#[test]
fn what_is_malformed_of_a_denied_topic_says_so_and_what_has_no_name_says_that() {
    let mut bench = reader();
    bench.looked_up = true;
    let (_, plan) = sent(&mut bench, 2, &request(0, &[(1, &[0], false)], &[]));
    takes(&mut bench, plan, 0);
    let mut asked = request(1, &[(3, &[0, 1], true), (9, &[0], true)], &[]);
    for topic in asked.nodes_mut(req::TOPICS) {
        let partition = &mut topic.nodes_mut(fetch_topic::PARTITIONS)[0];
        partition.nodes_mut(fetch_partition::ACKNOWLEDGEMENT_BATCHES)[0]
            .set(acknowledgement_batch::FIRST_OFFSET, 10i64);
    }
    let (changed, plan) = sent(&mut bench, 2, &asked);
    assert_eq!(changed, Some(request(1, &[], &[])));
    assert_eq!(takes(&mut bench, plan, 0), [(3, 0, 29, 42), (3, 1, 29, 29), (9, 0, 100, 100)]);
}

#[test]
fn a_topic_leaves_the_brokers_session_with_its_right_and_comes_back_with_it() {
    let x = r#"{ allow: [Read], principals: ["User:alice"], resources: ["topic:x"] }"#;
    let (may, may_not) = (&[READ_G, READ_A, x][..], &[READ_G, READ_A][..]);
    let mut bench = Bench::acls(may).topics(&TOPICS);
    let (changed, plan) = sent(&mut bench, 2, &request(0, &[(1, &[0], false), (3, &[0, 2], false)], &[]));
    assert_eq!((changed, takes(&mut bench, plan, 0)), (None, vec![]));
    bench = bench.now_with(may_not);
    let (changed, plan) = sent(&mut bench, 2, &request(1, &[(3, &[4], false)], &[]));
    assert_eq!(changed, Some(request(1, &[], &[(3, &[0, 2])])));
    assert_eq!(takes(&mut bench, plan, 0), [(3, 0, 29, 0), (3, 2, 29, 0), (3, 4, 29, 0)]);
    let (changed, plan) = sent(&mut bench, 2, &request(2, &[], &[(3, &[2])]));
    assert_eq!(changed, Some(request(2, &[], &[(3, &[2])])), "what is gone is not forgotten again");
    takes(&mut bench, plan, 0);
    bench = bench.now_with(may);
    let (changed, plan) = sent(&mut bench, 2, &request(3, &[(3, &[4, 5], false)], &[]));
    assert_eq!(changed, Some(request(3, &[(3, &[4, 5], false), (3, &[0], false)], &[])));
    assert_eq!(takes(&mut bench, plan, 0), []);
    assert_eq!(sent(&mut bench, 2, &request(4, &[], &[])).0, None, "all is as it was");
}

#[test]
fn a_request_may_be_judged_twice() {
    let mut bench = reader();
    let (_, plan) = sent(&mut bench, 2, &request(0, &[(1, &[0], false), (3, &[0], false)], &[]));
    takes(&mut bench, plan, 0);
    let again = request(1, &[(2, &[0], false)], &[(3, &[0])]);
    let first = sent(&mut bench, 2, &again);
    let second = sent(&mut bench, 2, &again);
    assert_eq!(first.0, second.0);
    assert_eq!(first.1.next, second.1.next);
}

#[test]
fn threat_28_a_session_holds_so_many_partitions_and_no_more() {
    let mut bench = reader();
    let many: Vec<i32> = (0..10_001).collect();
    assert_eq!(error(&mut bench, &request(0, &[(1, &many, false)], &[])), 133);
    let (_, plan) = sent(&mut bench, 2, &request(0, &[(1, &many[1..], false)], &[]));
    takes(&mut bench, plan, 0);
    assert_eq!(error(&mut bench, &request(1, &[(2, &[0], false)], &[])), 133);
    // Also of denied topics: they are remembered.
    assert_eq!(error(&mut bench, &request(1, &[(3, &[0], false)], &[])), 133);
}

#[test]
fn a_poll_that_changes_nothing_copies_no_session() {
    for bench in [reader(), Bench::acls(&[READ_G]).topics(&TOPICS)] {
        let mut bench = bench;
        let (_, plan) = sent(&mut bench, 2, &request(0, &[(1, &[0, 1], false), (2, &[0], false)], &[]));
        takes(&mut bench, plan, 0);
        for asked in [request(1, &[], &[]), request(2, &[(1, &[1], true)], &[])] {
            let (_, plan) = sent(&mut bench, 2, &asked);
            let member = plan.member.clone();
            let before = Arc::clone(bench.memory.share.of(&member).unwrap());
            takes(&mut bench, plan, 0);
            assert!(Arc::ptr_eq(&before, bench.memory.share.of(&member).unwrap()));
        }
        let (_, plan) = sent(&mut bench, 2, &request(3, &[(1, &[2], false)], &[(2, &[0])]));
        let member = plan.member.clone();
        takes(&mut bench, plan, 0);
        let session = bench.memory.share.of(&member).unwrap();
        assert_eq!((session.len(), session.holds(id(1), 0..3), session.holds(id(2), 0..1)), (3, true, false));
    }
}

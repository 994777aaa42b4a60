use super::*;
use crate::enforce::share_session::ShareSession;
use crate::enforce::testing::{Bench, answer, finished, id, kind};
use std::sync::Arc;

const KEY: ApiKey = ApiKey::SHARE_ACKNOWLEDGE;
const READ_G: &str = r#"{ allow: [Read], principals: ["User:alice"], resources: ["group:g1"] }"#;
const READ_A: &str = r#"{ allow: [Read], principals: ["User:alice"], resources: ["topic:a*"] }"#;

fn request(epoch: i32, topics: &[u8]) -> Node {
    let mut request =
        Node::request(KEY).with(req::GROUP_ID, "g1").with(req::MEMBER_ID, "m1").with(req::SHARE_SESSION_EPOCH, epoch);
    for number in topics {
        let mut topic = request.child(req::TOPICS).with(acknowledge_topic::TOPIC_ID, id(*number));
        let partition = topic.child(acknowledge_topic::PARTITIONS).with(acknowledge_partition::PARTITION_INDEX, 3);
        topic.push(acknowledge_topic::PARTITIONS, partition);
        request.push(req::TOPICS, topic);
    }
    request
}

fn bench(acls: &[&str]) -> Bench {
    let mut bench = Bench::acls(acls).topics(&["a1", "x"]);
    let member = Member { group: "g1".into(), id: "m1".into() };
    bench.memory.share.holds(member, Arc::new(ShareSession::default()));
    bench
}

fn told(answer: &Node) -> Vec<(u8, i64, i64)> {
    let of = |topic: &Node| -> Vec<(u8, i64, i64)> {
        let number = topic.uuid(told_topic::TOPIC_ID).0[0];
        let partitions = topic.nodes(told_topic::PARTITIONS).iter();
        partitions
            .map(|p| (number, p.int(partition_data::PARTITION_INDEX), p.int(partition_data::ERROR_CODE)))
            .collect()
    };
    answer.nodes(res::RESPONSES).iter().flat_map(of).collect()
}

#[test]
fn a_denied_group_or_an_unknown_session_is_refused_as_a_whole() {
    let error = |bench: &mut Bench, request: &Node| {
        answer(bench.judge(&ShareAcknowledge, KEY, 2, request), KEY, 2).int(res::ERROR_CODE)
    };
    assert_eq!(error(&mut bench(&[READ_A]), &request(1, &[1])), 30);
    assert_eq!(error(&mut bench(&[READ_G, READ_A]), &request(0, &[1])), 123);
    let strange = request(1, &[1]).with(req::MEMBER_ID, "m2");
    assert_eq!(error(&mut bench(&[READ_G, READ_A]), &strange), 122);
    assert_eq!(error(&mut Bench::acls(&[READ_G]), &request(-1, &[])), 122);
    // What is no id of a member is found out before the epoch and the session.
    for (epoch, id) in [(0, ""), (1, ""), (-1, "0123456789012345678901234567890123456")] {
        let wrong = request(epoch, &[2]).with(req::MEMBER_ID, id);
        assert_eq!(error(&mut bench(&[READ_G, READ_A]), &wrong), 42, "epoch {epoch}");
        assert_eq!(error(&mut bench(&[READ_A]), &wrong), 30, "epoch {epoch}");
    }
}

#[test]
fn denied_topics_never_reach_the_broker_and_are_answered_with_the_rest() {
    for version in [1, 2] {
        let mut bench = bench(&[READ_G, READ_A]);
        bench.looked_up = true;
        let (sent, then) = match bench.judge(&ShareAcknowledge, KEY, version, &request(1, &[2, 1, 9])) {
            Verdict::Rewrite(_, sent, then) => (sent, then),
            other => panic!("{}", kind(&other)),
        };
        assert_eq!(sent, request(1, &[1]));
        let served = refused(request(1, &[1]).nodes(req::TOPICS), &Decided::default(), version, false);
        let broker = Node::response(KEY).with(res::RESPONSES, served);
        let answer = finished(bench.complete(then, KEY, version, &broker), KEY, version);
        assert_eq!(told(&answer), [(1, 3, 100), (2, 3, 29), (9, 3, 100)]);
        // With nothing left the session's epoch still moves on.
        let verdict = bench.judge(&ShareAcknowledge, KEY, version, &request(2, &[2]));
        assert!(matches!(verdict, Verdict::Rewrite(_, node, Then::Alone(_)) if node == request(2, &[])));
    }
}

#[test]
fn of_a_denied_topic_the_form_comes_first_and_each_partition_stands_once() {
    use crate::wire::schema::share_acknowledge::request::acknowledgement_batch as batch;
    let mut asked = request(1, &[1]);
    // Topic, partition, and the first offset of a batch that ends with 5. What is said last of a partition counts.
    for (number, index, first) in [(2, 0, 9), (2, 1, 0), (2, 1, 9), (2, 2, 9), (2, 2, 0), (9, 0, 9)] {
        let one = Node::new(&batch::THIS)
            .with(batch::FIRST_OFFSET, i64::from(first))
            .with(batch::LAST_OFFSET, 5i64)
            .with(batch::ACKNOWLEDGE_TYPES, crate::wire::Value::Ints(vec![1]));
        let partition = Node::new(&acknowledge_partition::THIS)
            .with(acknowledge_partition::PARTITION_INDEX, index)
            .with(acknowledge_partition::ACKNOWLEDGEMENT_BATCHES, vec![one]);
        let topic = Node::new(&acknowledge_topic::THIS)
            .with(acknowledge_topic::TOPIC_ID, id(number))
            .with(acknowledge_topic::PARTITIONS, vec![partition]);
        asked.push(req::TOPICS, topic);
    }
    let mut bench = bench(&[READ_G, READ_A]);
    bench.looked_up = true;
    let (_, then) = match bench.judge(&ShareAcknowledge, KEY, 2, &asked) {
        Verdict::Rewrite(_, sent, then) => (sent, then),
        other => panic!("{}", kind(&other)),
    };
    let answer = finished(bench.complete(then, KEY, 2, &Node::response(KEY)), KEY, 2);
    assert_eq!(told(&answer), [(2, 0, 42), (2, 1, 42), (2, 2, 29), (9, 0, 100)]);
}

#[test]
fn a_session_ends_with_its_last_epoch_or_with_an_error() {
    let member = Member { group: "g1".into(), id: "m1".into() };
    for (epoch, error, left) in [(1, 0, true), (-1, 0, false), (1, 123, false)] {
        let mut bench = bench(&[READ_G, READ_A]);
        let Verdict::Forward(_, then) = bench.judge(&ShareAcknowledge, KEY, 2, &request(epoch, &[1])) else {
            panic!("not forwarded");
        };
        finished(bench.complete(then, KEY, 2, &Node::response(KEY).with(res::ERROR_CODE, error)), KEY, 2);
        assert_eq!(bench.memory.share.of(&member).is_some(), left, "epoch {epoch}, error {error}");
    }
}

#[test]
fn addresses_are_the_proxys_own() {
    let mut bench = bench(&[READ_G, READ_A]);
    let Verdict::Forward(_, then) = bench.judge(&ShareAcknowledge, KEY, 2, &request(1, &[1])) else {
        panic!("not forwarded");
    };
    let mut broker = Node::response(KEY);
    for node in [1, 2] {
        let endpoint = broker
            .child(res::NODE_ENDPOINTS)
            .with(node_endpoint::NODE_ID, node)
            .with(node_endpoint::HOST, "broker.internal")
            .with(node_endpoint::PORT, 9092);
        broker.push(res::NODE_ENDPOINTS, endpoint);
    }
    let answer = finished(bench.complete(then, KEY, 2, &broker), KEY, 2);
    let told: Vec<_> = answer.nodes(res::NODE_ENDPOINTS).iter().map(|n| n.str(node_endpoint::HOST)).collect();
    assert_eq!(told, ["proxy.example"]);
    assert_eq!(bench.unmapped, [2]);
}

//! Share sessions through the machine.

use super::*;
use crate::wire::Value;
use crate::wire::schema::share_acknowledge::request as release;
use crate::wire::schema::share_fetch::request::{
    self as req, acknowledgement_batch, fetch_partition, fetch_topic, forgotten_topic,
};
use crate::wire::schema::share_fetch::response::share_fetchable_topic_response as told;
use crate::wire::schema::share_fetch::response::{self as res, acquired_records, node_endpoint, partition_data};

const KEY: ApiKey = ApiKey::SHARE_FETCH;
const RULES: &str =
    "acls:\n  - { allow: [Read], principals: [\"User:alice\"], resources: [\"topic:open*\", \"group:g\"] }\n";
const NO_TOPIC: &str = "acls:\n  - { allow: [Read], principals: [\"User:alice\"], resources: [\"group:g\"] }\n";
const NO_GROUP: &str = "acls:\n  - { allow: [Read], principals: [\"User:alice\"], resources: [\"topic:open\"] }\n";

fn request(epoch: i32, ids: &[u8]) -> Node {
    let mut request =
        Node::request(KEY).with(req::GROUP_ID, "g").with(req::MEMBER_ID, "m").with(req::SHARE_SESSION_EPOCH, epoch);
    for id in ids {
        let mut topic = request.child(req::TOPICS).with(fetch_topic::TOPIC_ID, TopicId([*id; 16]));
        let partition = topic.child(fetch_topic::PARTITIONS).with(fetch_partition::PARTITION_INDEX, 0);
        topic.push(fetch_topic::PARTITIONS, partition);
        request.push(req::TOPICS, topic);
    }
    request
}

fn records(bytes: usize) -> Node {
    let mut answer = Node::response(KEY);
    let mut topic = answer.child(res::RESPONSES).with(told::TOPIC_ID, TopicId([1; 16]));
    let partition = topic.child(told::PARTITIONS).with(partition_data::RECORDS, Bytes::from(vec![7; bytes]));
    topic.push(told::PARTITIONS, partition);
    answer.push(res::RESPONSES, topic);
    answer
}

fn endpoint(answer: &mut Node, host: &str) {
    let endpoint = answer
        .child(res::NODE_ENDPOINTS)
        .with(node_endpoint::NODE_ID, 1)
        .with(node_endpoint::HOST, host)
        .with(node_endpoint::PORT, 9092);
    answer.push(res::NODE_ENDPOINTS, endpoint);
}

/// Topic and error of every partition.
fn errors(answer: &Node) -> Vec<(u8, i16)> {
    let of = |topic: &Node| -> Vec<(u8, i16)> {
        let id = topic.uuid(told::TOPIC_ID).0[0];
        topic.nodes(told::PARTITIONS).iter().map(|p| (id, p.i16(partition_data::ERROR_CODE))).collect()
    };
    answer.nodes(res::RESPONSES).iter().flat_map(of).collect()
}

#[test]
fn nothing_behind_a_share_fetch_is_written_before_its_answer_begins() {
    let mut stage = Stage::new(RULES);
    stage.ask(KEY, 2, 1, &request(0, &[1]));
    stage.ask(KEY, 2, 2, &request(1, &[]));
    assert_eq!(stage.at_broker().len(), 1, "what the session holds is known with the answer");
    stage.broker(KEY, 2, 1, &records(10));
    assert_eq!(stage.at_broker(), [(KEY, 2, request(1, &[]))]);
    stage.broker(KEY, 2, 2, &records(20));
    assert_eq!(stage.at_client(KEY, 2), [(1, records(10)), (2, records(20))]);
    assert!(stage.machine.is_idle());
}

#[test]
fn a_client_that_ends_while_its_share_fetch_waits_is_not_waited_for() {
    let mut stage = Stage::new(RULES);
    stage.ask(KEY, 2, 1, &request(0, &[1]));
    stage.at_broker();
    stage.input(Input::ClientEnd);
    assert_eq!(stage.machine.closing(), Some(CloseReason::ClientEof));
}

#[test]
fn threat_35_a_withheld_share_fetch_is_released_at_the_broker() {
    // The group may not be read any more; or a topic, and what would have to be cut is too large to be held.
    let of_group = (NO_GROUP, ErrorCode::GROUP_AUTHORIZATION_FAILED);
    let of_topic = (NO_TOPIC, ErrorCode::SHARE_SESSION_NOT_FOUND);
    for ((rules, error), sizes) in
        [(of_group, &[(1, 100), (2, 3 << 20)][..]), (of_topic, &[(1, 3 << 20), (2, 3 << 20)])]
    {
        for &(version, bytes) in sizes {
            let mut stage = Stage::new(RULES);
            stage.machine.limits.response_in_memory = 2 << 20;
            stage.ask(KEY, version, 1, &request(0, &[1]));
            stage.ask(KEY, version, 2, &request(1, &[]));
            stage.at_broker();
            stage.policy(rules);
            let frame = message::response_frame(KEY, version, 1, &records(bytes)).into_bytes();
            let mut most = 0;
            for piece in frame.chunks(9_001) {
                stage.machine.from_broker.extend_from_slice(piece);
                stage.input(Input::Broker);
                most = most.max(stage.machine.from_broker.len());
            }
            assert!(most < 20_000, "dropped as it comes: {most}");
            assert!(stage.at_client(KEY, version).is_empty(), "not before the records are released");
            let release = Node::request(ApiKey::SHARE_ACKNOWLEDGE)
                .with(release::GROUP_ID, "g")
                .with(release::MEMBER_ID, "m")
                .with(release::SHARE_SESSION_EPOCH, -1);
            assert_eq!(stage.at_broker(), [(ApiKey::SHARE_ACKNOWLEDGE, 1, release)]);
            stage.broker(ApiKey::SHARE_ACKNOWLEDGE, version, 1, &Node::response(ApiKey::SHARE_ACKNOWLEDGE));
            let told = stage.at_client(KEY, version);
            assert_eq!(told[0], (1, Node::response(KEY).with(res::ERROR_CODE, error)), "version {version}");
            // The session is gone: the one behind it continues nothing.
            assert_eq!((told[1].0, told[1].1.i16(res::ERROR_CODE)), (2, error.0));
            assert!(stage.at_broker().is_empty() && stage.machine.is_idle());
            assert!(stage.book.lines.iter().any(|(key, _, allowed)| *key == KEY && !allowed), "it is recorded");
        }
    }
}

/// The two topics of a session: `open` with the id 1, `other` with the id 2.
fn two_topics() -> Topology {
    let mut topology = topology();
    let name: Arc<str> = "other".into();
    topology.names.insert(TopicId([2; 16]), Arc::clone(&name));
    topology.ids.insert(name, TopicId([2; 16]));
    topology
}

/// A row of an answer: topic, error, error of acknowledgements, bytes of records, ranges acquired.
type Row = (u8, i16, i16, usize, Vec<(i64, i64)>);

fn answer(rows: &[Row]) -> Node {
    let mut answer = Node::response(KEY);
    for (id, error, acknowledged, bytes, acquired) in rows {
        let mut topic = answer.child(res::RESPONSES).with(told::TOPIC_ID, TopicId([*id; 16]));
        let mut partition = topic
            .child(told::PARTITIONS)
            .with(partition_data::ERROR_CODE, *error)
            .with(partition_data::ACKNOWLEDGE_ERROR_CODE, *acknowledged)
            .with(partition_data::RECORDS, Bytes::from(vec![*id; *bytes]));
        for (first, last) in acquired {
            let range = partition
                .child(partition_data::ACQUIRED_RECORDS)
                .with(acquired_records::FIRST_OFFSET, *first)
                .with(acquired_records::LAST_OFFSET, *last);
            partition.push(partition_data::ACQUIRED_RECORDS, range);
        }
        topic.push(told::PARTITIONS, partition);
        answer.push(res::RESPONSES, topic);
    }
    answer
}

/// What gives ranges of the other topic back, with a fetch.
fn giving_back(epoch: i32, ranges: &[(i64, i64)]) -> Node {
    let mut request = request(epoch, &[2]);
    let partition = &mut request.nodes_mut(req::TOPICS)[0].nodes_mut(fetch_topic::PARTITIONS)[0];
    for (first, last) in ranges {
        let batch = Node::new(&acknowledgement_batch::THIS)
            .with(acknowledgement_batch::FIRST_OFFSET, *first)
            .with(acknowledgement_batch::LAST_OFFSET, *last)
            .with(acknowledgement_batch::ACKNOWLEDGE_TYPES, Value::Ints(vec![2]));
        partition.push(fetch_partition::ACKNOWLEDGEMENT_BATCHES, batch);
    }
    request
}

fn forgetting(mut request: Node) -> Node {
    let topic = request
        .child(req::FORGOTTEN_TOPICS_DATA)
        .with(forgotten_topic::TOPIC_ID, TopicId([2; 16]))
        .with(forgotten_topic::PARTITIONS, Value::Ints(vec![0]));
    request.push(req::FORGOTTEN_TOPICS_DATA, topic);
    request
}

#[test]
fn threat_35_an_answer_is_told_without_the_topic_that_lost_its_right_and_the_next_fetch_gives_its_records_back() {
    const BOTH: &str =
        "acls:\n  - { allow: [Read], principals: [\"User:alice\"], resources: [\"topic:o*\", \"group:g\"] }\n";
    for (version, bytes) in [(1, 100), (2, 100), (2, 3 << 20)] {
        let policy = |stage: &mut Stage, rules| stage.input(Input::World(world(rules, two_topics())));
        let mut stage = Stage::new(BOTH);
        policy(&mut stage, BOTH);
        stage.ask(KEY, version, 1, &request(0, &[1, 2]));
        stage.ask(KEY, version, 2, &request(1, &[]));
        assert_eq!(stage.at_broker(), [(KEY, 1, request(0, &[1, 2]))]);
        policy(&mut stage, RULES);
        // What was acquired stands in no order; acknowledgements of the past were taken.
        let rows = [(1, 0, 0, bytes, vec![(0, 9)]), (2, 0, 121, bytes, vec![(7, 9), (5, 6)])];
        let frame = message::response_frame(KEY, version, 1, &answer(&rows)).into_bytes();
        for piece in frame.chunks(100_003) {
            stage.machine.from_broker.extend_from_slice(piece);
            stage.input(Input::Broker);
        }
        let told = [(1, 0, 0, bytes, vec![(0, 9)]), (2, 29, 121, 0, vec![])];
        assert_eq!(stage.at_client(KEY, version), [(1, answer(&told))], "version {version}");
        assert!(stage.book.lines.contains(&(KEY, "other".to_owned(), false)), "it is recorded");
        // The fetch behind it waited for that.
        assert_eq!(stage.at_broker(), [(KEY, 2, forgetting(giving_back(1, &[(5, 6), (7, 9)])))]);
        // What comes of it is not the client's business.
        let rows = [(1, 0, 0, 5, vec![]), (2, 0, 121, 0, vec![])];
        stage.broker(KEY, version, 2, &answer(&rows));
        let told = [(1, 0, 0, 5, vec![]), (2, 29, 0, 0, vec![])];
        assert_eq!(stage.at_client(KEY, version), [(2, answer(&told))], "version {version}");
        // It comes back with its right, and nothing is given back twice.
        policy(&mut stage, BOTH);
        stage.ask(KEY, version, 3, &request(2, &[]));
        assert_eq!(stage.at_broker(), [(KEY, 3, request(2, &[2]))]);
        stage.broker(KEY, version, 3, &answer(&[(2, 0, 0, 5, vec![(5, 6)])]));
        assert_eq!(stage.at_client(KEY, version), [(3, answer(&[(2, 0, 0, 5, vec![(5, 6)])]))]);
        assert!(stage.machine.is_idle());
    }
}

#[test]
fn threat_35_records_that_were_not_given_are_given_back_also_when_the_right_is_there_again() {
    let mut stage = Stage::new(RULES);
    stage.ask(KEY, 2, 1, &request(0, &[1]));
    stage.at_broker();
    stage.policy(NO_TOPIC);
    stage.broker(KEY, 2, 1, &answer(&[(1, 0, 0, 9, vec![(3, 4)])]));
    assert_eq!(stage.at_client(KEY, 2), [(1, answer(&[(1, 29, 0, 0, vec![])]))]);
    stage.policy(RULES);
    let ours = giving_back(1, &[(3, 4)]);
    let with_id = |mut node: Node| {
        node.nodes_mut(req::TOPICS)[0].set(fetch_topic::TOPIC_ID, TopicId([1; 16]));
        node
    };
    stage.ask(KEY, 2, 2, &request(1, &[]));
    assert_eq!(stage.at_broker(), [(KEY, 2, with_id(ours))]);
    // An acknowledgement that the client did not make has no error for it.
    stage.broker(KEY, 2, 2, &answer(&[(1, 0, 121, 9, vec![(3, 4)])]));
    assert_eq!(stage.at_client(KEY, 2), [(2, answer(&[(1, 0, 0, 9, vec![(3, 4)])]))]);
    stage.ask(KEY, 2, 3, &request(2, &[]));
    assert_eq!(stage.at_broker(), [(KEY, 3, request(2, &[]))]);
}

#[test]
fn what_a_client_acknowledges_itself_goes_on_without_what_was_not_given() {
    let mut stage = Stage::new(RULES);
    stage.ask(KEY, 2, 1, &request(0, &[1]));
    stage.at_broker();
    stage.policy(NO_TOPIC);
    stage.broker(KEY, 2, 1, &answer(&[(1, 0, 0, 9, vec![(3, 4)])]));
    stage.at_client(KEY, 2);
    stage.policy(RULES);
    let mut own = giving_back(1, &[(0, 1)]);
    own.nodes_mut(req::TOPICS)[0].set(fetch_topic::TOPIC_ID, TopicId([1; 16]));
    stage.ask(KEY, 2, 2, &own);
    assert_eq!(stage.at_broker(), [(KEY, 2, own)], "one failure would fail both");
    let failed = answer(&[(1, 0, 121, 0, vec![])]);
    stage.broker(KEY, 2, 2, &failed);
    assert_eq!(stage.at_client(KEY, 2), [(2, failed)], "its own error is told");
    // Later the broker might have acquired them for the member again: they wait for their lock.
    stage.ask(KEY, 2, 3, &request(2, &[]));
    assert_eq!(stage.at_broker(), [(KEY, 3, request(2, &[]))]);
}

#[test]
fn an_answer_that_waited_while_nothing_it_holds_changed_goes_through() {
    let mut stage = Stage::new(RULES);
    stage.ask(KEY, 2, 1, &request(0, &[1]));
    stage.policy(&format!("{RULES}  - {{ allow: [Read], principals: [\"User:bob\"], resources: [\"topic:x\"] }}\n"));
    stage.broker(KEY, 2, 1, &records(10));
    assert_eq!(stage.at_client(KEY, 2), [(1, records(10))]);
}

#[test]
fn threat_35_a_large_share_answer_streams_merged_and_without_the_brokers_address() {
    // A long name leaves room for the told one; from a short one nothing is left.
    for (host, told) in [("broker-1.internal", Some("proxy.example")), ("b1", None)] {
        let mut stage = Stage::new(RULES);
        stage.ask(KEY, 2, 1, &request(0, &[1, 9]));
        assert_eq!(stage.out.lookups, [TopicId([9; 16])]);
        stage.input(Input::LookedUp(Arc::new(topology())));
        assert_eq!(stage.at_broker(), [(KEY, 1, request(0, &[1]))]);
        let mut answer = records(3 << 20);
        endpoint(&mut answer, host);
        let frame = message::response_frame(KEY, 2, 1, &answer).into_bytes();
        let (mut seen, mut most) = (Vec::new(), 0);
        for piece in frame.chunks(10_007) {
            stage.machine.from_broker.extend_from_slice(piece);
            stage.input(Input::Broker);
            most = most.max(stage.machine.from_broker.len());
            seen.extend_from_slice(&drained(&mut stage.machine.to_client));
        }
        assert!(most < 20_000, "the answer was gathered: {most} bytes");
        assert!(host == "b1" || !seen.windows(host.len()).any(|w| w == host.as_bytes()));
        let (_, merged) = message::decode_response(KEY, 2, &Bytes::from(seen).slice(4..)).unwrap();
        assert_eq!(errors(&merged), [(1, 0), (9, 100)]);
        let hosts: Vec<&str> = merged.nodes(res::NODE_ENDPOINTS).iter().map(|n| n.str(node_endpoint::HOST)).collect();
        assert_eq!(hosts, told.into_iter().collect::<Vec<_>>());
        assert!(stage.machine.is_idle());
    }
}

#[test]
fn a_small_share_answer_has_the_told_addresses() {
    let mut stage = Stage::new(RULES);
    stage.ask(KEY, 2, 1, &request(0, &[1]));
    let mut answer = records(10);
    endpoint(&mut answer, "b1");
    stage.broker(KEY, 2, 1, &answer);
    let (_, told) = stage.at_client(KEY, 2).remove(0);
    assert_eq!(told.nodes(res::NODE_ENDPOINTS)[0].str(node_endpoint::HOST), "proxy.example");
}

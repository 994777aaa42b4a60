mod share;

use super::*;
use crate::enforce::{Broker, DurableToken, Recorder, RequestFacts, Routes, Topology, Trail};
use crate::model::{Category, CloseReason, Connection, Host, Principal, Subject, Timestamp, TopicId, Verified};
use crate::policy::{OwnTopics, ProtocolAcls, Settings, Snapshot};
use crate::wire::schema::{create_topics, fetch, produce};
use crate::wire::{ApiKey, ErrorCode, Node, message};
use bytes::Bytes;
use std::sync::Arc;

mod broker_login;
mod changes;
mod memory;
mod relay;
mod renewal;
mod sessions;
mod span;

/// Writes down what was decided; has room or not; asks for durability or not.
#[derive(Default)]
struct Book {
    full: bool,
    token: Option<u64>,
    lines: Vec<(ApiKey, String, bool)>,
    category: Option<Category>,
}

impl Recorder for Book {
    fn has_room(&self) -> bool {
        !self.full
    }

    fn record(&mut self, request: &RequestFacts<'_>, trail: &Trail) -> Option<DurableToken> {
        self.category = Some(request.category);
        for record in trail.records() {
            for name in record.names.iter() {
                self.lines.push((request.key, name.to_owned(), record.decision.is_allowed()));
            }
        }
        self.token.map(DurableToken)
    }
}

/// A machine between a client and a broker that the test plays.
struct Stage {
    machine: Machine,
    book: Book,
    out: Outputs,
    micros: u64,
    wall: i64,
}

const OPEN: &str =
    "acls:\n  - { allow: [Read, Write, Create], principals: [\"User:alice\"], resources: [\"topic:open*\"] }\n";

fn snapshot(rules: &str) -> Arc<Snapshot> {
    let text = format!("version: 1\ndefault: deny\n{rules}end: true\n");
    let settings =
        Settings { own_topics: OwnTopics::default(), protocol_acls: ProtocolAcls::State, ..Settings::default() };
    Snapshot::load(text.as_bytes(), "policy.yaml", &settings).unwrap_or_else(|p| panic!("{p:#?}")).snapshot
}

fn world(rules: &str, topology: Topology) -> World {
    let routes = Routes::new([(1, (Arc::from("proxy.example"), 19_001))]);
    World { snapshot: snapshot(rules), topology: Arc::new(topology), routes: Arc::new(routes), users: Arc::default() }
}

fn topology() -> Topology {
    let versions = crate::wire::apis().iter().map(|api| (api.key, api.versions)).collect();
    let broker = Broker { id: 1, host: "broker-1.internal".into(), port: 9092, rack: None, versions };
    let name: Arc<str> = "open".into();
    Topology {
        brokers: [(1, broker)].into(),
        names: [(TopicId([1; 16]), Arc::clone(&name))].into(),
        ids: [(name, TopicId([1; 16]))].into(),
        ..Topology::default()
    }
}

impl Stage {
    fn new(rules: &str) -> Self {
        Self::with(rules, 16)
    }

    fn with(rules: &str, ahead_requests: usize) -> Self {
        let connection = Connection {
            session_id: "s-1".into(),
            listener: "test".into(),
            host: Host::new([127, 0, 0, 1].into()),
            port: 1,
            mechanism: "PLAINTEXT".into(),
            broker: Some(1),
            relayed: false,
        };
        let subject =
            Subject { principal: Principal::user("alice"), groups: [].into(), may_merge: true, may_be_super: false };
        let limits = Limits {
            frame: 1 << 20,
            login_frame: 1 << 10,
            in_flight: 512,
            ahead_requests,
            ahead_bytes: 1 << 23,
            response_in_memory: 1 << 26,
        };
        let machine = Machine::new(Arc::new(connection), Verified::proved(subject), world(rules, topology()), limits);
        let mut stage = Self { machine, book: Book::default(), out: Outputs::default(), micros: 0, wall: 0 };
        stage.input(Input::BrokerReady);
        stage
    }

    fn try_input(&mut self, input: Input) -> Result<(), SessionError> {
        self.micros += 1;
        let now = Now { wall: Timestamp(self.wall), micros: self.micros };
        self.machine.handle(input, now, &mut self.book, &mut self.out)
    }

    fn input(&mut self, input: Input) {
        self.try_input(input).unwrap();
    }

    fn policy(&mut self, rules: &str) {
        self.input(Input::World(world(rules, topology())));
    }

    fn client(&mut self, bytes: &[u8]) {
        self.machine.from_client.extend_from_slice(bytes);
        self.input(Input::Client);
    }

    fn ask(&mut self, key: ApiKey, version: i16, correlation_id: i32, request: &Node) {
        let frame = message::request_frame(key, version, correlation_id, Some("tests"), request).into_bytes();
        self.client(&frame);
    }

    fn broker(&mut self, key: ApiKey, version: i16, correlation_id: i32, answer: &Node) {
        let frame = message::response_frame(key, version, correlation_id, answer).into_bytes();
        self.machine.from_broker.extend_from_slice(&frame);
        self.input(Input::Broker);
    }

    /// What the broker was sent since the last look.
    fn at_broker(&mut self) -> Vec<(ApiKey, i32, Node)> {
        frames(&drained(&mut self.machine.to_broker))
            .map(|frame| {
                let (header, node) = message::decode_request(&frame).unwrap();
                (header.key, header.correlation_id, node)
            })
            .collect()
    }

    /// What the client was sent since the last look.
    fn at_client(&mut self, key: ApiKey, version: i16) -> Vec<(i32, Node)> {
        frames(&drained(&mut self.machine.to_client))
            .map(|frame| message::decode_response(key, version, &frame).unwrap())
            .collect()
    }
}

fn drained(outbox: &mut Outbox) -> Bytes {
    let mut all = Vec::new();
    while !outbox.is_empty() {
        let mut slices = [std::io::IoSlice::new(&[]); 8];
        let filled = outbox.slices(&mut slices);
        let written: Vec<u8> = slices[..filled].iter().flat_map(|slice| slice.to_vec()).collect();
        outbox.advance(written.len());
        all.extend(written);
    }
    all.into()
}

fn frames(bytes: &Bytes) -> impl Iterator<Item = Bytes> {
    let mut rest = bytes.clone();
    std::iter::from_fn(move || {
        (!rest.is_empty()).then(|| {
            let size = usize::try_from(i32::from_be_bytes(rest[..4].try_into().unwrap())).unwrap();
            let frame = rest.slice(4..4 + size);
            rest = rest.slice(4 + size..);
            frame
        })
    })
}

fn produce(topics: &[&str], acks: i16) -> Node {
    use produce::request::{self as req, partition_produce_data, topic_produce_data};
    let mut node = Node::request(ApiKey::PRODUCE).with(req::ACKS, acks);
    for name in topics {
        let mut topic = node.child(req::TOPIC_DATA).with(topic_produce_data::NAME, *name);
        let partition = topic
            .child(topic_produce_data::PARTITION_DATA)
            .with(partition_produce_data::RECORDS, Bytes::from_static(&[0; 61]));
        topic.push(topic_produce_data::PARTITION_DATA, partition);
        node.push(req::TOPIC_DATA, topic);
    }
    node
}

fn creation(topic: &str) -> Node {
    use create_topics::request::{self as req, creatable_topic};
    let mut node = Node::request(ApiKey::CREATE_TOPICS);
    node.push(req::TOPICS, node.child(req::TOPICS).with(creatable_topic::NAME, topic));
    node
}

fn produced(node: &Node) -> Vec<(String, i16)> {
    use produce::response::{self as res, partition_produce_response, topic_produce_response};
    let errors = |topic: &Node| {
        let partitions = topic.nodes(topic_produce_response::PARTITION_RESPONSES);
        partitions.iter().map(|p| p.i16(partition_produce_response::ERROR_CODE)).collect::<Vec<_>>()
    };
    let topics = node.nodes(res::RESPONSES).iter();
    topics.flat_map(|t| errors(t).into_iter().map(|e| (t.str(topic_produce_response::NAME).to_owned(), e))).collect()
}

fn acknowledged(topic: &str) -> Node {
    use produce::response::{self as res, topic_produce_response};
    let mut node = Node::response(ApiKey::PRODUCE);
    let mut element = node.child(res::RESPONSES).with(topic_produce_response::NAME, topic);
    let partition = element.child(topic_produce_response::PARTITION_RESPONSES);
    element.push(topic_produce_response::PARTITION_RESPONSES, partition);
    node.push(res::RESPONSES, element);
    node
}

fn fetch_of(names: &[&str], session: (i32, i32)) -> Node {
    use fetch::request::{self as req, fetch_topic};
    let mut node = Node::request(ApiKey::FETCH).with(req::SESSION_ID, session.0).with(req::SESSION_EPOCH, session.1);
    for name in names {
        let mut topic = node.child(req::TOPICS).with(fetch_topic::TOPIC, *name);
        let partition = topic.child(fetch_topic::PARTITIONS);
        topic.push(fetch_topic::PARTITIONS, partition);
        node.push(req::TOPICS, topic);
    }
    node
}

fn fetched(names: &[&str], session: i32, records: usize) -> Node {
    use fetch::response::{self as res, fetchable_topic_response, partition_data};
    let mut node = Node::response(ApiKey::FETCH).with(res::SESSION_ID, session);
    for name in names {
        let mut topic = node.child(res::RESPONSES).with(fetchable_topic_response::TOPIC, *name);
        let partition = topic
            .child(fetchable_topic_response::PARTITIONS)
            .with(partition_data::RECORDS, Bytes::from(vec![7; records]));
        topic.push(fetchable_topic_response::PARTITIONS, partition);
        node.push(res::RESPONSES, topic);
    }
    node
}

fn fetch_errors(node: &Node) -> Vec<(String, i16)> {
    use fetch::response::{self as res, fetchable_topic_response, partition_data};
    let topics = node.nodes(res::RESPONSES).iter();
    topics
        .flat_map(|t| {
            let partitions = t.nodes(fetchable_topic_response::PARTITIONS).iter();
            partitions.map(|p| (t.str(fetchable_topic_response::TOPIC).to_owned(), p.i16(partition_data::ERROR_CODE)))
        })
        .collect()
}

#[test]
fn answers_leave_in_the_order_of_the_requests() {
    let mut stage = Stage::new(OPEN);
    stage.ask(ApiKey::PRODUCE, 9, 1, &produce(&["open"], 1));
    stage.ask(ApiKey::PRODUCE, 9, 2, &produce(&["closed"], 1));
    stage.ask(ApiKey::PRODUCE, 9, 3, &produce(&["open"], 1));
    assert!(stage.machine.to_client.is_empty(), "the refusal must not overtake the first answer");
    let sent: Vec<i32> = stage.at_broker().into_iter().map(|(_, id, _)| id).collect();
    assert_eq!(sent, [1, 3]);
    stage.broker(ApiKey::PRODUCE, 9, 1, &acknowledged("open"));
    let answers = stage.at_client(ApiKey::PRODUCE, 9);
    assert_eq!(answers.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(produced(&answers[1].1), [("closed".to_owned(), 29)]);
    stage.broker(ApiKey::PRODUCE, 9, 3, &acknowledged("open"));
    assert_eq!(stage.at_client(ApiKey::PRODUCE, 9).len(), 1);
    assert!(stage.machine.is_idle());
}

#[test]
fn a_mixed_produce_serves_its_allowed_part() {
    let mut stage = Stage::new(OPEN);
    stage.ask(ApiKey::PRODUCE, 9, 1, &produce(&["closed", "open"], -1));
    let sent = stage.at_broker();
    let names = |node: &Node| {
        let topics = node.nodes(produce::request::TOPIC_DATA).iter();
        topics.map(|t| t.str(produce::request::topic_produce_data::NAME).to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(&sent[0].2), ["open"]);
    stage.broker(ApiKey::PRODUCE, 9, 1, &acknowledged("open"));
    let mut errors = produced(&stage.at_client(ApiKey::PRODUCE, 9)[0].1);
    errors.sort();
    assert_eq!(errors, [("closed".to_owned(), 29), ("open".to_owned(), 0)]);
}

#[test]
fn acks_0_to_a_denied_topic_closes_behind_the_allowed_part() {
    let mut stage = Stage::new(OPEN);
    stage.ask(ApiKey::PRODUCE, 9, 1, &produce(&["open", "closed"], 0));
    assert_eq!(stage.at_broker().len(), 1);
    assert_eq!(stage.machine.closing(), Some(CloseReason::Acks0Denied));
    assert!(stage.machine.to_client.is_empty());
}

#[test]
fn acks_0_has_no_answer_and_holds_no_place() {
    let mut stage = Stage::new(OPEN);
    stage.ask(ApiKey::PRODUCE, 9, 1, &produce(&["open"], 0));
    assert_eq!((stage.at_broker().len(), stage.machine.is_idle()), (1, true));
}

#[test]
fn threat_34_a_request_is_judged_when_it_is_written_to_the_broker() {
    let mut stage = Stage::with(OPEN, 1);
    stage.ask(ApiKey::PRODUCE, 9, 1, &produce(&["open"], 1));
    stage.ask(ApiKey::PRODUCE, 9, 2, &produce(&["open"], 1));
    assert_eq!(stage.at_broker().len(), 1, "one request may be ahead");
    stage.policy("");
    stage.broker(ApiKey::PRODUCE, 9, 1, &acknowledged("open"));
    assert!(stage.at_broker().is_empty(), "the right ended before the second was written");
    let answers = stage.at_client(ApiKey::PRODUCE, 9);
    assert_eq!(produced(&answers[1].1), [("open".to_owned(), 29)]);
}

#[test]
fn a_right_ends_by_the_clock_for_the_next_request() {
    let rules = "acls:\n  - { allow: [Write], principals: [\"User:alice\"], resources: [\"topic:open\"], not_after: \"1970-01-01T00:00:01Z\" }\n";
    let mut stage = Stage::new(rules);
    assert_eq!(stage.machine.next_edge(), Some(Timestamp(1000)));
    stage.wall = 999;
    stage.ask(ApiKey::PRODUCE, 9, 1, &produce(&["open"], 0));
    assert_eq!(stage.at_broker().len(), 1);
    stage.wall = 1000;
    stage.ask(ApiKey::PRODUCE, 9, 2, &produce(&["open"], 1));
    assert_eq!(produced(&stage.at_client(ApiKey::PRODUCE, 9)[0].1), [("open".to_owned(), 29)]);
}

#[test]
fn a_waiting_fetch_is_judged_again_at_its_first_byte() {
    for version in [4, 12] {
        let mut stage = Stage::new(OPEN);
        stage.ask(ApiKey::FETCH, version, 1, &fetch_of(&["open"], (0, -1)));
        assert_eq!(stage.at_broker().len(), 1);
        stage.policy("");
        stage.broker(ApiKey::FETCH, version, 1, &fetched(&["open"], 0, 5000));
        let (_, answer) = stage.at_client(ApiKey::FETCH, version).remove(0);
        if version < 7 {
            assert_eq!(fetch_errors(&answer), [("open".to_owned(), 29)]);
        } else {
            assert_eq!(answer.i16(fetch::response::ERROR_CODE), ErrorCode::FETCH_SESSION_ID_NOT_FOUND.0);
            assert!(fetch_errors(&answer).is_empty());
        }
        assert_eq!(stage.book.lines.last(), Some(&(ApiKey::FETCH, "open".to_owned(), false)));
    }
}

#[test]
fn threat_01_a_session_belongs_to_the_connection_that_saw_it_created() {
    let mut stage = Stage::new(OPEN);
    stage.ask(ApiKey::FETCH, 12, 1, &fetch_of(&[], (4711, 3)));
    assert!(stage.at_broker().is_empty(), "an unknown session is not forwarded");
    let (_, answer) = stage.at_client(ApiKey::FETCH, 12).remove(0);
    assert_eq!(answer.i16(fetch::response::ERROR_CODE), 70);

    stage.ask(ApiKey::FETCH, 12, 2, &fetch_of(&["open"], (0, 0)));
    stage.broker(ApiKey::FETCH, 12, 2, &fetched(&["open"], 4711, 10));
    stage.ask(ApiKey::FETCH, 12, 3, &fetch_of(&[], (4711, 1)));
    assert_eq!(stage.at_broker().len(), 2, "its own session continues");
    stage.broker(ApiKey::FETCH, 12, 3, &fetched(&[], 4711, 0));
    stage.at_client(ApiKey::FETCH, 12);

    stage.policy("");
    stage.ask(ApiKey::FETCH, 12, 4, &fetch_of(&[], (4711, 2)));
    assert!(stage.at_broker().is_empty(), "a topic of the session is no longer allowed");
    assert_eq!(stage.at_client(ApiKey::FETCH, 12)[0].1.i16(fetch::response::ERROR_CODE), 70);
}

#[test]
fn a_full_fetch_with_a_denied_topic_goes_on_without_a_session() {
    let mut stage = Stage::new(OPEN);
    stage.ask(ApiKey::FETCH, 12, 1, &fetch_of(&["closed", "open"], (0, 0)));
    let (_, _, sent) = stage.at_broker().remove(0);
    assert_eq!((sent.i32(fetch::request::SESSION_ID), sent.i32(fetch::request::SESSION_EPOCH)), (0, -1));
    assert_eq!(sent.nodes(fetch::request::TOPICS).len(), 1);
    stage.broker(ApiKey::FETCH, 12, 1, &fetched(&["open"], 0, 10));
    let errors = fetch_errors(&stage.at_client(ApiKey::FETCH, 12)[0].1);
    assert_eq!(errors, [("open".to_owned(), 0), ("closed".to_owned(), 29)]);
}

#[test]
fn threat_35_a_large_fetch_answer_streams_merged_and_without_the_brokers_address() {
    use fetch::response::{self as res, node_endpoint};
    let mut stage = Stage::new(OPEN);
    let mut request = fetch_of(&[], (0, -1));
    for (id, name) in [(1u8, "open"), (9, "")] {
        use fetch::request::{self as req, fetch_topic};
        let mut topic = request.child(req::TOPICS).with(fetch_topic::TOPIC_ID, TopicId([id; 16]));
        let _ = name;
        let partition = topic.child(fetch_topic::PARTITIONS);
        topic.push(fetch_topic::PARTITIONS, partition);
        request.push(req::TOPICS, topic);
    }
    stage.ask(ApiKey::FETCH, 16, 1, &request);
    assert_eq!(stage.out.lookups, [TopicId([9; 16])], "an unknown id is looked up");
    stage.out.lookups.clear();
    stage.input(Input::LookedUp(Arc::new(topology())));
    assert!(stage.out.lookups.is_empty(), "and only once");
    assert_eq!(stage.at_broker().len(), 1);

    let mut answer = fetched(&["open"], 0, 3 << 20);
    for topic in answer.nodes_mut(res::RESPONSES) {
        topic.set(res::fetchable_topic_response::TOPIC_ID, TopicId([1; 16]));
    }
    let endpoint = answer
        .child(res::NODE_ENDPOINTS)
        .with(node_endpoint::NODE_ID, 1)
        .with(node_endpoint::HOST, "broker-1.internal")
        .with(node_endpoint::PORT, 9092);
    answer.push(res::NODE_ENDPOINTS, endpoint);
    let frame = message::response_frame(ApiKey::FETCH, 16, 1, &answer).into_bytes();
    let (mut seen, mut most) = (Vec::new(), 0);
    for piece in frame.chunks(10_007) {
        stage.machine.from_broker.extend_from_slice(piece);
        stage.input(Input::Broker);
        most = most.max(stage.machine.from_broker.len());
        seen.extend_from_slice(&drained(&mut stage.machine.to_client));
    }
    assert!(most < 20_000, "the answer was gathered: {most} bytes");
    let text = b"broker-1.internal";
    assert!(!seen.windows(text.len()).any(|w| w == text), "the broker's address is in the answer");
    let (_, merged) = message::decode_response(ApiKey::FETCH, 16, &Bytes::from(seen).slice(4..)).unwrap();
    let errors: Vec<i16> = fetch_errors(&merged).into_iter().map(|(_, error)| error).collect();
    assert_eq!(errors, [0, ErrorCode::UNKNOWN_TOPIC_ID.0]);
    assert_eq!(merged.nodes(res::NODE_ENDPOINTS)[0].str(node_endpoint::HOST), "proxy.example");
    assert!(stage.machine.is_idle());
}

#[test]
fn threat_34_a_waiting_answer_is_judged_for_topics_that_its_session_has_forgotten_since() {
    const BOTH: &str = "acls:\n  - { allow: [Read], principals: [\"User:alice\"], resources: [\"topic:open*\"] }\n";
    const REST: &str = "acls:\n  - { allow: [Read], principals: [\"User:alice\"], resources: [\"topic:open-b\"] }\n";
    use fetch::request::{self as req, forgotten_topic};
    let mut stage = Stage::new(BOTH);
    stage.ask(ApiKey::FETCH, 12, 1, &fetch_of(&["open-a", "open-b"], (0, 0)));
    stage.broker(ApiKey::FETCH, 12, 1, &fetched(&["open-a", "open-b"], 4711, 1));
    stage.ask(ApiKey::FETCH, 12, 2, &fetch_of(&[], (4711, 1)));
    let mut forgets = fetch_of(&[], (4711, 2));
    let topic = forgets.child(req::FORGOTTEN_TOPICS_DATA).with(forgotten_topic::TOPIC, "open-a");
    forgets.push(req::FORGOTTEN_TOPICS_DATA, topic.with(forgotten_topic::PARTITIONS, vec![0_i32]));
    stage.ask(ApiKey::FETCH, 12, 3, &forgets);
    stage.at_client(ApiKey::FETCH, 12);
    stage.policy(REST);
    stage.broker(ApiKey::FETCH, 12, 2, &fetched(&["open-a"], 4711, 5000));
    let (_, answer) = stage.at_client(ApiKey::FETCH, 12).remove(0);
    assert_eq!(answer.i16(fetch::response::ERROR_CODE), ErrorCode::FETCH_SESSION_ID_NOT_FOUND.0);
    assert!(fetch_errors(&answer).is_empty(), "the records of the first fetch are not his to see");
}

#[test]
fn what_a_session_forgot_counts_for_nothing_once_its_answers_are_there() {
    const BOTH: &str = "acls:\n  - { allow: [Read], principals: [\"User:alice\"], resources: [\"topic:open*\"] }\n";
    const REST: &str = "acls:\n  - { allow: [Read], principals: [\"User:alice\"], resources: [\"topic:open-b\"] }\n";
    use fetch::request::{self as req, forgotten_topic};
    let mut stage = Stage::new(BOTH);
    stage.ask(ApiKey::FETCH, 12, 1, &fetch_of(&["open-a", "open-b"], (0, 0)));
    stage.broker(ApiKey::FETCH, 12, 1, &fetched(&["open-a", "open-b"], 4711, 1));
    let mut forgets = fetch_of(&[], (4711, 1));
    let topic = forgets.child(req::FORGOTTEN_TOPICS_DATA).with(forgotten_topic::TOPIC, "open-a");
    forgets.push(req::FORGOTTEN_TOPICS_DATA, topic.with(forgotten_topic::PARTITIONS, vec![0_i32]));
    stage.ask(ApiKey::FETCH, 12, 2, &forgets);
    stage.at_client(ApiKey::FETCH, 12);
    stage.policy(REST);
    stage.broker(ApiKey::FETCH, 12, 2, &fetched(&["open-b"], 4711, 5000));
    let (_, answer) = stage.at_client(ApiKey::FETCH, 12).remove(0);
    assert_eq!(fetch_errors(&answer), [("open-b".to_owned(), 0)]);
}

#[test]
fn an_answer_may_arrive_in_any_pieces() {
    for version in [4, 11, 12, 16] {
        let frame = message::response_frame(ApiKey::FETCH, version, 1, &fetched(&["open"], 0, 5)).into_bytes();
        for cut in 1..frame.len() {
            let mut stage = Stage::new(OPEN);
            let mut request = fetch_of(&["open"], (0, -1));
            for topic in request.nodes_mut(fetch::request::TOPICS) {
                topic.set(fetch::request::fetch_topic::TOPIC_ID, TopicId([1; 16]));
            }
            stage.ask(ApiKey::FETCH, version, 1, &request);
            for piece in [&frame[..cut], &frame[cut..]] {
                stage.machine.from_broker.extend_from_slice(piece);
                stage.input(Input::Broker);
            }
            assert_eq!(drained(&mut stage.machine.to_client), frame, "version {version} cut at {cut}");
        }
    }
}

#[test]
fn a_client_that_does_not_read_its_answers_is_not_read() {
    let mut stage = Stage::new(OPEN);
    let topics: Vec<String> = (0..2_000).map(|n| format!("closed-{n}")).collect();
    let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
    let mut sent = 0;
    while stage.machine.wants_client() {
        sent += 1;
        assert!(sent < 100, "{} bytes wait for a client that does not read", stage.machine.to_client.len());
        stage.ask(ApiKey::PRODUCE, 9, sent, &produce(&topics, 1));
    }
    drained(&mut stage.machine.to_client);
    assert!(stage.machine.wants_client());
}

#[test]
fn answers_made_here_are_bounded_while_they_wait_for_their_turn() {
    let mut stage = Stage::new(OPEN);
    stage.ask(ApiKey::PRODUCE, 9, 1, &produce(&["open"], 1));
    let topics: Vec<String> = (0..2_000).map(|n| format!("closed-{n}")).collect();
    let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
    for correlation_id in 2..100 {
        stage.ask(ApiKey::PRODUCE, 9, correlation_id, &produce(&topics, 1));
    }
    assert!(stage.machine.unanswered() < 20, "{} answers wait", stage.machine.unanswered());
    let one = stage.machine.unanswered();
    stage.broker(ApiKey::PRODUCE, 9, 1, &acknowledged("open"));
    assert!(stage.at_client(ApiKey::PRODUCE, 9).len() > one, "and go on when their turn has come");
}

#[test]
fn a_connection_is_not_idle_while_an_answer_is_on_its_way_through() {
    let mut stage = Stage::new(OPEN);
    stage.ask(ApiKey::FETCH, 12, 1, &fetch_of(&["open"], (0, -1)));
    let frame = message::response_frame(ApiKey::FETCH, 12, 1, &fetched(&["open"], 0, 5_000)).into_bytes();
    stage.machine.from_broker.extend_from_slice(&frame[..1_000]);
    stage.input(Input::Broker);
    drained(&mut stage.machine.to_client);
    assert!(!stage.machine.is_idle(), "a stop would cut it");
    stage.machine.from_broker.extend_from_slice(&frame[1_000..]);
    stage.input(Input::Broker);
    assert!(stage.machine.is_idle());
}

#[test]
fn a_step_that_waits_for_bytes_to_leave_says_so() {
    let mut stage = Stage::new(OPEN);
    let frame = |id| {
        let mut request = produce(&["open"], 0);
        use produce::request::{TOPIC_DATA, partition_produce_data, topic_produce_data};
        for topic in request.nodes_mut(TOPIC_DATA) {
            for partition in topic.nodes_mut(topic_produce_data::PARTITION_DATA) {
                partition.set(partition_produce_data::RECORDS, Bytes::from(vec![0; 300_000]));
            }
        }
        message::request_frame(ApiKey::PRODUCE, 9, id, Some("tests"), &request).into_bytes()
    };
    stage.client(&[frame(1), frame(2)].concat());
    assert!(stage.machine.waits_for_write(), "the second request is not written before the first has left");
    assert_eq!(stage.at_broker().len(), 1);
    assert!(!stage.machine.waits_for_write());
    stage.input(Input::Tick);
    stage.input(Input::ClientEnd);
    assert!(stage.machine.waits_for_write(), "the end waits for the last request to leave");
    stage.at_broker();
    stage.input(Input::Tick);
    assert_eq!(stage.machine.closing(), Some(CloseReason::ClientEof));
}

#[test]
fn the_name_of_a_clients_software_is_kept_in_part() {
    use crate::wire::schema::api_versions::request as req;
    let mut stage = Stage::new(OPEN);
    let long = "é".repeat(100_000);
    let request = Node::request(ApiKey::API_VERSIONS)
        .with(req::CLIENT_SOFTWARE_NAME, long.as_str())
        .with(req::CLIENT_SOFTWARE_VERSION, long.as_str());
    stage.ask(ApiKey::API_VERSIONS, 3, 1, &request);
    let (name, version) = stage.machine.software.clone().unwrap();
    assert!(name.len() <= 128 && version.len() <= 128 && long.starts_with(&*name));
}

#[test]
fn threat_19_unknown_tags_do_not_reach_the_broker() {
    let mut stage = Stage::new(OPEN);
    let plain = message::request_frame(ApiKey::PRODUCE, 9, 1, Some("tests"), &produce(&["open"], 0)).into_bytes();
    let mut odd = plain.to_vec();
    // The last byte is the count of the body's tags: one tag, number 9, two bytes.
    assert_eq!(odd.pop(), Some(0));
    odd.extend([1, 9, 2, 0xde, 0xad]);
    let size = i32::try_from(odd.len() - 4).unwrap();
    odd[..4].copy_from_slice(&size.to_be_bytes());
    stage.client(&odd);
    assert_eq!(drained(&mut stage.machine.to_broker), plain);

    // The same in the header: it ends with its tags, behind the client's id.
    let at = plain.windows(6).position(|w| w == b"tests\0").unwrap() + 5;
    let mut odd = plain.to_vec();
    odd.splice(at..=at, [1, 9, 2, 0xde, 0xad]);
    let size = i32::try_from(odd.len() - 4).unwrap();
    odd[..4].copy_from_slice(&size.to_be_bytes());
    stage.client(&odd);
    assert_eq!(drained(&mut stage.machine.to_broker), plain);
}

#[test]
fn what_is_malformed_closes_behind_the_answers_that_are_due() {
    let mut stage = Stage::new(OPEN);
    stage.ask(ApiKey::PRODUCE, 9, 1, &produce(&["open"], 1));
    let mut trailing =
        message::request_frame(ApiKey::PRODUCE, 9, 2, Some("tests"), &produce(&["open"], 1)).into_bytes().to_vec();
    trailing.push(0);
    let size = i32::try_from(trailing.len() - 4).unwrap();
    trailing[..4].copy_from_slice(&size.to_be_bytes());
    stage.client(&trailing);
    assert_eq!(stage.at_broker().len(), 1, "nothing of it is forwarded");
    assert_eq!(stage.machine.closing(), None);
    assert!(!stage.machine.wants_client());
    stage.broker(ApiKey::PRODUCE, 9, 1, &acknowledged("open"));
    assert_eq!(stage.at_client(ApiKey::PRODUCE, 9).len(), 1);
    assert_eq!(stage.machine.closing(), Some(CloseReason::MalformedRequest));
    assert!(stage.out.detail.as_ref().is_some_and(|d| d.contains("left over")), "{:?}", stage.out.detail);
}

#[test]
fn an_answer_to_another_request_ends_the_connection() {
    let mut stage = Stage::new(OPEN);
    stage.ask(ApiKey::PRODUCE, 9, 1, &produce(&["open"], 1));
    let frame = message::response_frame(ApiKey::PRODUCE, 9, 2, &acknowledged("open")).into_bytes();
    stage.machine.from_broker.extend_from_slice(&frame);
    let error = stage.try_input(Input::Broker).unwrap_err();
    assert_eq!(error, SessionError::UpstreamSentCorrelation { got: 2, expected: 1 });
}

#[test]
fn without_room_in_the_audit_nothing_is_judged() {
    let mut stage = Stage::new(OPEN);
    stage.book.full = true;
    stage.ask(ApiKey::PRODUCE, 9, 1, &produce(&["open"], 1));
    assert!(stage.out.wants_room && stage.at_broker().is_empty() && stage.book.lines.is_empty());
    stage.book.full = false;
    stage.input(Input::Room);
    assert_eq!((stage.at_broker().len(), stage.book.lines.len()), (1, 1));
}

#[test]
fn threat_08_a_mutation_waits_for_its_event_and_is_judged_again_if_the_policy_moved() {
    let request = creation("open-new");
    let mut stage = Stage::new(OPEN);
    stage.book.token = Some(5);
    stage.ask(ApiKey::CREATE_TOPICS, 7, 1, &request);
    assert!(stage.at_broker().is_empty(), "its event is not durable");
    stage.input(Input::Durable(DurableToken(4)));
    assert!(stage.at_broker().is_empty(), "another's event");
    stage.input(Input::Durable(DurableToken(5)));
    assert_eq!(stage.at_broker().len(), 1);

    stage.ask(ApiKey::CREATE_TOPICS, 7, 2, &request);
    stage.policy("");
    stage.book.token = None;
    stage.input(Input::Durable(DurableToken(5)));
    assert!(stage.at_broker().is_empty(), "the right ended while it waited");

    // By the clock alone.
    let grant = "grants: [{ id: g, allow: [Create], principals: [\"User:alice\"], resources: [\"topic:*\"], not_after: 1970-01-01T00:00:01Z }]\n";
    let mut stage = Stage::new(grant);
    stage.book.token = Some(5);
    stage.ask(ApiKey::CREATE_TOPICS, 7, 1, &request);
    (stage.wall, stage.book.token) = (1_000, None);
    stage.input(Input::Durable(DurableToken(5)));
    assert!(stage.at_broker().is_empty(), "the right ran out while it waited");
    let answer = stage.at_client(ApiKey::CREATE_TOPICS, 7);
    let code = answer[0].1.nodes(create_topics::response::TOPICS)[0]
        .i16(create_topics::response::creatable_topic_result::ERROR_CODE);
    assert_eq!(ErrorCode(code), ErrorCode::TOPIC_AUTHORIZATION_FAILED);
}

#[test]
fn threat_08_a_metadata_that_creates_waits_for_its_event_and_does_not_if_the_policy_moved() {
    use crate::wire::schema::metadata::{request as req, response as res};
    use req::metadata_request_topic as asked;
    use res::metadata_response_topic as told;
    const KEY: ApiKey = ApiKey::METADATA;
    const RULES: &str = "acls:\n  - { allow: [Describe], principals: [\"User:alice\"], resources: [\"topic:open*\"] }\n  - { allow: [Create], principals: [\"User:alice\"], resources: [\"topic:open-*\"] }\n";
    let mut request = Node::request(KEY).with(req::ALLOW_AUTO_TOPIC_CREATION, true);
    request.push(req::TOPICS, request.child(req::TOPICS).with(asked::NAME, "open-new"));
    let answer = |error: ErrorCode| {
        let mut answer = Node::response(KEY);
        let topic = answer.child(res::TOPICS).with(told::NAME, "open-new").with(told::ERROR_CODE, error);
        answer.push(res::TOPICS, topic);
        answer
    };
    // Up to the answer that tells that the topic is missing.
    let until_missing = || {
        let mut stage = Stage::new(RULES);
        stage.ask(KEY, 12, 1, &request);
        let first = stage.at_broker();
        assert!(first.len() == 1 && !first[0].2.bool(req::ALLOW_AUTO_TOPIC_CREATION));
        stage.book.token = Some(5);
        stage.broker(KEY, 12, 1, &answer(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION));
        assert_eq!(stage.book.category, Some(Category::TopicWrite));
        stage.ask(KEY, 12, 2, &request);
        assert!(stage.at_broker().is_empty(), "its event is not durable");
        assert!(stage.at_client(KEY, 12).is_empty() && !stage.machine.is_idle());
        stage
    };
    let errors = |stage: &mut Stage| -> Vec<(i32, i64)> {
        let answers = stage.at_client(KEY, 12);
        answers.iter().map(|(id, node)| (*id, node.nodes(res::TOPICS)[0].int(told::ERROR_CODE))).collect()
    };

    let mut stage = until_missing();
    stage.input(Input::Durable(DurableToken(4)));
    assert!(stage.at_broker().is_empty(), "another's event");
    stage.book.token = None;
    stage.input(Input::Durable(DurableToken(5)));
    let second = stage.at_broker();
    assert_eq!(second.iter().map(|(_, id, _)| *id).collect::<Vec<_>>(), [1], "what is behind it waits on");
    assert!(second[0].2.bool(req::ALLOW_AUTO_TOPIC_CREATION));
    stage.broker(KEY, 12, 1, &answer(ErrorCode::LEADER_NOT_AVAILABLE));
    assert_eq!(errors(&mut stage), [(1, i64::from(ErrorCode::LEADER_NOT_AVAILABLE.0))]);
    assert_eq!(stage.at_broker().len(), 1, "the next one");

    // The right ended meanwhile: nothing is created, and the client asks again to hear so.
    let mut stage = until_missing();
    stage.policy("acls:\n  - { allow: [Describe], principals: [\"User:alice\"], resources: [\"topic:open*\"] }\n");
    stage.book.token = None;
    stage.input(Input::Durable(DurableToken(5)));
    assert_eq!(errors(&mut stage), [(1, i64::from(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION.0))]);
    let next = stage.at_broker();
    assert!(next.len() == 1 && next[0].1 == 2 && !next[0].2.bool(req::ALLOW_AUTO_TOPIC_CREATION));
    stage.broker(KEY, 12, 2, &answer(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION));
    assert_eq!(errors(&mut stage), [(2, i64::from(ErrorCode::TOPIC_AUTHORIZATION_FAILED.0))]);
    assert!(stage.at_broker().is_empty() && stage.machine.is_idle());

    // So where the client may no longer be connected.
    let mut stage = until_missing();
    stage.policy("connect_gate: required\n");
    stage.input(Input::Durable(DurableToken(5)));
    assert!(stage.at_broker().is_empty() && stage.machine.closing() == Some(CloseReason::NotConnectedRole));
}

#[test]
fn the_end_of_the_client_lets_the_last_write_through() {
    let mut stage = Stage::new(OPEN);
    let frame = message::request_frame(ApiKey::PRODUCE, 9, 1, Some("tests"), &produce(&["open"], 0)).into_bytes();
    stage.machine.from_client.extend_from_slice(&frame);
    stage.input(Input::ClientEnd);
    assert_eq!(stage.machine.closing(), None, "its bytes are still to be written");
    assert_eq!(stage.at_broker().len(), 1);
    stage.input(Input::Tick);
    assert_eq!(stage.machine.closing(), Some(CloseReason::ClientEof));
}

#[test]
fn acks_0_by_an_id_that_is_looked_up_is_written_though_its_client_has_left() {
    use produce::request::{TOPIC_DATA, topic_produce_data};
    let mut stage = Stage::new(OPEN);
    let (known, id) = (topology(), TopicId([1; 16]));
    let unknown = Topology { names: [].into(), ids: [].into(), ..topology() };
    stage.input(Input::World(world(OPEN, unknown)));
    let mut request = produce(&[""], 0);
    for topic in request.nodes_mut(TOPIC_DATA) {
        topic.set(topic_produce_data::TOPIC_ID, id);
    }
    stage.ask(ApiKey::PRODUCE, 13, 1, &request);
    assert_eq!(std::mem::take(&mut stage.out.lookups), [id]);
    stage.input(Input::ClientEnd);
    assert_eq!(stage.machine.closing(), None, "its last records are still to be judged");
    stage.input(Input::LookedUp(Arc::new(known)));
    assert_eq!(stage.at_broker().len(), 1);
    stage.input(Input::Tick);
    assert_eq!(stage.machine.closing(), Some(CloseReason::ClientEof));
}

#[test]
fn the_category_of_the_very_request_goes_to_the_audit() {
    use crate::wire::schema::offset_commit::request as req;
    let mut stage =
        Stage::new("acls:\n  - { allow: [Read], principals: [\"User:alice\"], resources: [\"group:g\"] }\n");
    for (generation, category) in [(3, Category::GroupMember), (-1, Category::GroupWrite)] {
        let request = Node::request(ApiKey::OFFSET_COMMIT)
            .with(req::GROUP_ID, "g")
            .with(req::GENERATION_ID_OR_MEMBER_EPOCH, generation);
        stage.ask(ApiKey::OFFSET_COMMIT, 8, generation, &request);
        assert_eq!(stage.book.category, Some(category), "generation {generation}");
    }
}

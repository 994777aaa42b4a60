//! What the pure core costs for a request: reading the header, walking the body, judging, the whole session machine.
//!
//! ```text
//! cargo bench --bench scan
//! ```
//!
//! Nothing here touches a socket or the audit's text: that is `throughput`'s.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a bench fails by panicking and prints what it found"
)]

#[path = "count.rs"]
mod count;

use count::{Cost, measure};
use kordon::enforce::memory::Memory;
use kordon::enforce::{
    Broker, Context, DurableToken, Judge, Recorder, Request, RequestFacts, Routes, Topology, Trail, Verdict, table,
};
use kordon::identity;
use kordon::model::{Connection, Host, Principal, Timestamp, TopicId};
use kordon::policy::{OwnTopics, Settings, Snapshot};
use kordon::session::{Input, Limits, Machine, Now, Outputs, World};
use kordon::wire::header::request_header;
use kordon::wire::message::{request_frame, response_frame};
use kordon::wire::schema::{fetch, produce};
use kordon::wire::{ApiKey, Node, Scan};
use std::hint::black_box;
use std::sync::Arc;

const NOW: Timestamp = Timestamp(1_795_338_000_000);
const POLICY: &str = "version: 1
default: deny
groups:
  writers: [\"User:alice\"]
acls:
  - { allow: [Read, Write], principals: [\"User:alice\"], resources: [\"topic:orders-*\"] }
  - { deny: [All], principals: [\"Group:writers\"], resources: [\"topic:pii.*\"] }
end: true
";

fn main() {
    let frames = [
        ("produce, 1 record", produce_frame(1, 1), produced(1)),
        ("produce, 1 MB", produce_frame(1, 1_000_000), produced(1)),
        ("produce, 20 topics", produce_frame(20, 1_000), produced(20)),
        ("fetch, 1 topic", fetch_frame(1), fetched()),
        ("fetch, 20 topics", fetch_frame(20), fetched()),
    ];
    println!("request                 header      walk   + judge   session (ns)   allocations of the session");
    for (name, (key, version, frame), answer) in frames {
        let [header, walk, judge] = parts(&frame);
        let session = session(&frame, &answer);
        println!(
            "{name:<20} {:>9.0} {:>9.0} {:>9.0} {:>14.0} {:>28.1}   {} v{version}",
            header.nanos,
            walk.nanos,
            judge.nanos,
            session.nanos,
            session.allocations,
            key.name(),
        );
    }
}

/// What the session needs to know of the world.
fn world() -> World {
    let own_topics = OwnTopics { state: None, audit: vec!["kordon.audit".to_owned()] };
    let loaded =
        Snapshot::load(POLICY.as_bytes(), "policy.yaml", &Settings { own_topics, now: NOW, ..Settings::default() })
            .unwrap();
    let versions = kordon::wire::apis().iter().map(|api| (api.key, api.versions)).collect();
    let broker = Broker { id: 1, host: "broker-1".into(), port: 9092, rack: None, versions };
    let names = (0..20).map(|i| (topic_id(i), topic(i).into())).collect();
    let topology = Topology { brokers: [(1, broker)].into(), names, ..Topology::default() };
    let routes = Routes::new([(1, ("127.0.0.1".into(), 19093))]);
    World { snapshot: loaded.snapshot, topology: Arc::new(topology), routes: Arc::new(routes), users: Arc::default() }
}

fn connection() -> Connection {
    Connection {
        session_id: "s-1".into(),
        listener: "bench".into(),
        host: Host::new([127, 0, 0, 1].into()),
        port: 50_000,
        mechanism: "PLAINTEXT".into(),
        broker: Some(1),
        relayed: false,
    }
}

/// Header; walk; walk and judgement.
fn parts(frame: &[u8]) -> [Cost; 3] {
    let frame = bytes::Bytes::copy_from_slice(&frame[4..]);
    let header = request_header(&frame).unwrap();
    let (def, body) = (header.key.request_def().unwrap(), frame.slice(header.len..));
    let row = table::row_of(header.key, header.version).unwrap();
    let (world, connection) = (world(), connection());
    let subject = identity::fixed::login(&Principal::user("alice")).subject(false);
    let cx = Context {
        snapshot: &world.snapshot,
        subject: subject.get(),
        connection: &connection,
        topology: &world.topology,
        routes: &world.routes,
        now: NOW,
    };
    let (mut scan, mut trail, mut sessions, mut unmapped) =
        (Scan::new(), Trail::default(), Memory::default(), Vec::new());
    let reading = measure(200_000, || {
        black_box(request_header(black_box(&frame)).unwrap());
    });
    let walking = measure(200_000, || {
        black_box(scan.read(def, header.version, black_box(&body)).unwrap());
    });
    let judging = measure(100_000, || {
        trail.clear();
        let view = scan.read(def, header.version, black_box(&body)).unwrap();
        let request = Request { header: &header, view, body: &body };
        let mut judge = Judge::new(cx, header.key, &mut sessions, &mut trail, &mut unmapped, false);
        let verdict = row.rule.judge(&request, &mut judge).unwrap();
        assert!(matches!(black_box(verdict), Verdict::Forward(..)), "the bench's policy allows it");
    });
    [reading, walking, judging]
}

/// Takes every decision and forgets it.
struct Forget;

impl Recorder for Forget {
    fn has_room(&self) -> bool {
        true
    }

    fn record(&mut self, _: &RequestFacts<'_>, trail: &Trail) -> Option<DurableToken> {
        black_box(trail.records());
        None
    }
}

/// A request and its answer through the machine.
fn session(frame: &[u8], answer: &[u8]) -> Cost {
    let limits = Limits {
        frame: 100 << 20,
        login_frame: 512 << 10,
        in_flight: 512,
        ahead_requests: 16,
        ahead_bytes: 8 << 20,
        response_in_memory: 100 << 20,
    };
    let subject = identity::fixed::login(&Principal::user("alice")).subject(false);
    let mut machine = Machine::new(Arc::new(connection()), subject, world(), limits);
    let (mut out, now) = (Outputs::default(), Now { wall: NOW, micros: 0 });
    machine.handle(Input::BrokerReady, now, &mut Forget, &mut out).unwrap();
    let calls = if frame.len() > 100_000 { 2_000 } else { 50_000 };
    measure(calls, || {
        machine.from_client.extend_from_slice(frame);
        machine.handle(Input::Client, now, &mut Forget, &mut out).unwrap();
        assert_eq!(machine.to_broker.len(), frame.len());
        machine.to_broker.advance(frame.len());
        machine.from_broker.extend_from_slice(answer);
        machine.handle(Input::Broker, now, &mut Forget, &mut out).unwrap();
        assert_eq!(machine.to_client.len(), answer.len());
        machine.to_client.advance(answer.len());
        out.finished.clear();
    })
}

fn topic(i: u8) -> String {
    format!("orders-{i}")
}

fn topic_id(i: u8) -> TopicId {
    TopicId([i + 1; 16])
}

type Frame = (ApiKey, i16, Vec<u8>);

fn produce_frame(topics: u8, bytes: usize) -> Frame {
    use produce::request::{ACKS, TOPIC_DATA, partition_produce_data, topic_produce_data};
    let mut request = Node::request(ApiKey::PRODUCE).with(ACKS, -1_i16);
    for i in 0..topics {
        let mut data = request.child(TOPIC_DATA).with(topic_produce_data::TOPIC_ID, topic_id(i));
        let records = data
            .child(topic_produce_data::PARTITION_DATA)
            .with(partition_produce_data::RECORDS, bytes::Bytes::from(vec![0; bytes + 100]));
        data.push(topic_produce_data::PARTITION_DATA, records);
        request.push(TOPIC_DATA, data);
    }
    (ApiKey::PRODUCE, 13, request_frame(ApiKey::PRODUCE, 13, 7, Some("bench"), &request).into_bytes().to_vec())
}

fn produced(topics: u8) -> Vec<u8> {
    use produce::response::{RESPONSES, topic_produce_response};
    let mut answer = Node::response(ApiKey::PRODUCE);
    for i in 0..topics {
        let mut topic = answer.child(RESPONSES).with(topic_produce_response::TOPIC_ID, topic_id(i));
        let partition = topic.child(topic_produce_response::PARTITION_RESPONSES);
        topic.push(topic_produce_response::PARTITION_RESPONSES, partition);
        answer.push(RESPONSES, topic);
    }
    response_frame(ApiKey::PRODUCE, 13, 7, &answer).into_bytes().to_vec()
}

fn fetch_frame(topics: u8) -> Frame {
    use fetch::request::{SESSION_EPOCH, TOPICS, fetch_topic};
    let mut request = Node::request(ApiKey::FETCH).with(SESSION_EPOCH, -1);
    for i in 0..topics {
        let mut topic = request.child(TOPICS).with(fetch_topic::TOPIC_ID, topic_id(i));
        let partition = topic.child(fetch_topic::PARTITIONS);
        topic.push(fetch_topic::PARTITIONS, partition);
        request.push(TOPICS, topic);
    }
    (ApiKey::FETCH, 17, request_frame(ApiKey::FETCH, 17, 7, Some("bench"), &request).into_bytes().to_vec())
}

fn fetched() -> Vec<u8> {
    response_frame(ApiKey::FETCH, 17, 7, &Node::response(ApiKey::FETCH)).into_bytes().to_vec()
}

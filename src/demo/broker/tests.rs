use super::*;
use crate::model::TopicId;
use crate::wire::message::{decode_response, request_frame};
use crate::wire::schema::{
    api_versions as av, create_topics as ct, fetch as f, heartbeat as hb, init_producer_id as ip, join_group as jg,
    leave_group as lg, list_offsets as lo, metadata as m, offset_commit as oc, offset_fetch as of, produce as p,
    sync_group as sg,
};
use crate::wire::{ApiKey, ErrorCode, Node, apis};
use bytes::Bytes;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Longer than anything here takes, so that a test that hangs ends.
const DEADLINE: Duration = Duration::from_secs(20);

struct Client {
    stream: TcpStream,
    next: i32,
}

impl Client {
    async fn to(broker: &Broker) -> Self {
        Self { stream: TcpStream::connect(broker.addr()).await.unwrap(), next: 0 }
    }

    async fn send(&mut self, key: ApiKey, version: i16, request: &Node) {
        self.next += 1;
        let frame = request_frame(key, version, self.next, Some("test"), request).into_bytes();
        self.stream.write_all(&frame).await.unwrap();
    }

    async fn receive(&mut self, key: ApiKey, version: i16) -> Node {
        let frame = tokio::time::timeout(DEADLINE, self.frame()).await.unwrap().expect("a frame");
        let (correlation_id, answer) = decode_response(key, version, &frame).unwrap();
        assert_eq!(correlation_id, self.next);
        answer
    }

    /// The next frame; none if the broker closed the connection.
    async fn frame(&mut self) -> Option<Bytes> {
        let size = self.stream.read_u32().await.ok()?;
        let mut frame = vec![0; usize::try_from(size).unwrap()];
        self.stream.read_exact(&mut frame).await.ok()?;
        Some(frame.into())
    }

    async fn ask(&mut self, key: ApiKey, version: i16, request: &Node) -> Node {
        self.send(key, version, request).await;
        self.receive(key, version).await
    }

    async fn create(&mut self, topic: &str, partitions: i32) -> TopicId {
        use ct::request::{TOPICS, creatable_topic as t};
        let mut request = Node::request(ApiKey::CREATE_TOPICS);
        let row = request.child(TOPICS).with(t::NAME, topic).with(t::NUM_PARTITIONS, partitions);
        request.push(TOPICS, row.with(t::REPLICATION_FACTOR, 1));
        let answer = self.ask(ApiKey::CREATE_TOPICS, 7, &request).await;
        let row = &answer.nodes(ct::response::TOPICS)[0];
        assert_eq!(row.int(ct::response::creatable_topic_result::ERROR_CODE), 0, "{answer:?}");
        row.uuid(ct::response::creatable_topic_result::TOPIC_ID)
    }

    /// Error and base offset of one partition.
    async fn produce(&mut self, version: i16, topic: &Node) -> (i32, i64) {
        let mut request = Node::request(ApiKey::PRODUCE).with(p::request::ACKS, -1);
        request.push(p::request::TOPIC_DATA, topic.clone());
        let answer = self.ask(ApiKey::PRODUCE, version, &request).await;
        let topic = &answer.nodes(p::response::RESPONSES)[0];
        let row = &topic.nodes(p::response::topic_produce_response::PARTITION_RESPONSES)[0];
        use p::response::partition_produce_response as r;
        (row.i32(r::ERROR_CODE), row.int(r::BASE_OFFSET))
    }
}

fn batch() -> Bytes {
    let mut builder = crate::cluster::batch::Builder::default();
    builder.push(crate::cluster::batch::Record { timestamp: 1, key: None, value: Some(b"value"), headers: &[] });
    builder.finish(crate::cluster::batch::Stamp { producer: -1, epoch: -1, sequence: -1 }).into()
}

fn records(topic: &str, id: TopicId, partition: i32, batch: Bytes) -> Node {
    use p::request::{TOPIC_DATA, partition_produce_data as part, topic_produce_data as t};
    let mut row = Node::request(ApiKey::PRODUCE).child(TOPIC_DATA).with(t::NAME, topic).with(t::TOPIC_ID, id);
    let part = row.child(t::PARTITION_DATA).with(part::INDEX, partition).with(part::RECORDS, batch);
    row.push(t::PARTITION_DATA, part);
    row
}

fn fetch(topic: &str, id: TopicId, offset: i64, wait_ms: i32) -> Node {
    use f::request::{TOPICS, fetch_partition as part, fetch_topic as t};
    let mut request =
        Node::request(ApiKey::FETCH).with(f::request::MAX_WAIT_MS, wait_ms).with(f::request::MIN_BYTES, 1);
    let mut row = request.child(TOPICS).with(t::TOPIC, topic).with(t::TOPIC_ID, id);
    let part = row.child(t::PARTITIONS).with(part::FETCH_OFFSET, offset).with(part::PARTITION_MAX_BYTES, 1 << 20);
    row.push(t::PARTITIONS, part);
    request.push(TOPICS, row);
    request
}

/// Error, bytes and high watermark of the first partition of an answer.
fn first(answer: &Node) -> (i32, usize, i64) {
    use f::response::{RESPONSES, fetchable_topic_response as t, partition_data as part};
    let row = &answer.nodes(RESPONSES)[0].nodes(t::PARTITIONS)[0];
    (row.i32(part::ERROR_CODE), row.bytes(part::RECORDS).map_or(0, Bytes::len), row.int(part::HIGH_WATERMARK))
}

async fn broker() -> Broker {
    Broker::start(Settings::default()).await.unwrap()
}

async fn scripted(script: impl Script + 'static) -> Broker {
    Broker::start(Settings { script: Some(Box::new(script)), ..Settings::default() }).await.unwrap()
}

#[tokio::test]
async fn every_version_that_is_advertised_is_answered_in_it() {
    let broker = broker().await;
    let mut client = Client::to(&broker).await;
    let answer = client.ask(ApiKey::API_VERSIONS, 4, &Node::request(ApiKey::API_VERSIONS)).await;
    let rows = answer.nodes(av::response::API_KEYS);
    assert_eq!(rows.len(), 19);
    for row in rows {
        use av::response::api_version as r;
        let key = ApiKey(row.i16(r::API_KEY));
        // What the client is told and what Kafka 4.4 knows differ in Produce alone.
        let min = if key == ApiKey::PRODUCE { 3 } else { row.i16(r::MIN_VERSION) };
        for version in min..=row.i16(r::MAX_VERSION) {
            let request = Node::request(key).with_acks(key);
            let answer = client.ask(key, version, &request).await;
            assert_eq!(answer.def().name, apis().iter().find(|api| api.key == key).unwrap().response.root.name);
        }
    }
}

trait WithAcks {
    fn with_acks(self, key: ApiKey) -> Self;
}

impl WithAcks for Node {
    /// A produce request without acks would get no answer.
    fn with_acks(self, key: ApiKey) -> Self {
        if key == ApiKey::PRODUCE { self.with(p::request::ACKS, 1) } else { self }
    }
}

#[tokio::test]
async fn an_unknown_version_of_api_versions_is_answered_in_version_0() {
    let broker = broker().await;
    let mut client = Client::to(&broker).await;
    client.next = 1;
    // Key 18, version 99, and a body that nobody reads.
    client.stream.write_all(&[0, 0, 0, 11, 0, 18, 0, 99, 0, 0, 0, 1, 0xff, 0xff, 7]).await.unwrap();
    let answer = client.receive(ApiKey::API_VERSIONS, 4).await;
    assert_eq!(answer.i16(av::response::ERROR_CODE), ErrorCode::UNSUPPORTED_VERSION.0);
    let row = &answer.nodes(av::response::API_KEYS)[0];
    use av::response::api_version as r;
    assert_eq!((row.i32(r::API_KEY), row.i32(r::MIN_VERSION), row.i32(r::MAX_VERSION)), (18, 0, 5));
}

#[tokio::test]
async fn a_client_of_another_cluster_or_node_is_sent_back_to_its_bootstrap_servers() {
    let broker = broker().await;
    let mut client = Client::to(&broker).await;
    let mut ask = async |cluster: Option<&str>, node: i32| {
        let request = Node::request(ApiKey::API_VERSIONS);
        let request = request.with(av::request::CLUSTER_ID, cluster).with(av::request::NODE_ID, node);
        ErrorCode(client.ask(ApiKey::API_VERSIONS, 5, &request).await.i16(av::response::ERROR_CODE))
    };
    assert_eq!(ask(None, -1).await, ErrorCode::NONE);
    assert_eq!(ask(Some(&Settings::default().cluster_id), 1).await, ErrorCode::NONE);
    assert_eq!(ask(Some("elsewhere"), 1).await, ErrorCode::REBOOTSTRAP_REQUIRED);
    assert_eq!(ask(Some(&Settings::default().cluster_id), 2).await, ErrorCode::REBOOTSTRAP_REQUIRED);
}

#[tokio::test]
async fn records_come_out_as_they_went_in_but_for_their_offset() {
    let broker = broker().await;
    let mut client = Client::to(&broker).await;
    let id = client.create("t", 1).await;
    assert_eq!(client.produce(12, &records("t", TopicId::ZERO, 0, batch())).await, (0, 0));
    assert_eq!(client.produce(13, &records("", id, 0, batch())).await, (0, 1));
    assert_eq!(client.produce(13, &records("t", TopicId([9; 16]), 0, batch())).await, (100, -1));
    assert_eq!(client.produce(3, &records("t", TopicId::ZERO, 1, batch())).await, (3, -1));
    let answer = client.ask(ApiKey::FETCH, 17, &fetch("", id, 1, 0)).await;
    use f::response::{RESPONSES, fetchable_topic_response as t, partition_data as part};
    let got = answer.nodes(RESPONSES)[0].nodes(t::PARTITIONS)[0].bytes(part::RECORDS).unwrap().clone();
    assert_eq!(got[..8], 1_i64.to_be_bytes());
    assert_eq!(got[16..], batch()[16..]);
    assert_eq!(first(&client.ask(ApiKey::FETCH, 4, &fetch("t", TopicId::ZERO, 0, 0)).await).2, 2);
    assert_eq!(first(&client.ask(ApiKey::FETCH, 12, &fetch("t", TopicId::ZERO, 9, 5000)).await).0, 1);
    assert_eq!(first(&client.ask(ApiKey::FETCH, 13, &fetch("t", TopicId([9; 16]), 0, 5000)).await).0, 100);
}

#[tokio::test]
async fn acks_0_gets_no_answer() {
    let broker = broker().await;
    let mut client = Client::to(&broker).await;
    client.create("t", 1).await;
    let mut request = Node::request(ApiKey::PRODUCE);
    request.push(p::request::TOPIC_DATA, records("t", TopicId::ZERO, 0, batch()));
    client.send(ApiKey::PRODUCE, 9, &request).await;
    assert_eq!(first(&client.ask(ApiKey::FETCH, 4, &fetch("t", TopicId::ZERO, 0, 0)).await).2, 1);
}

#[tokio::test]
async fn a_waiting_fetch_is_answered_when_the_record_comes() {
    let tape = Tape::serving();
    let broker = scripted(Arc::clone(&tape)).await;
    let (mut consumer, mut producer) = (Client::to(&broker).await, Client::to(&broker).await);
    producer.create("t", 1).await;
    consumer.send(ApiKey::FETCH, 12, &fetch("t", TopicId::ZERO, 0, 300_000)).await;
    tape.first(|seen| seen.key == ApiKey::FETCH).await;
    assert_eq!(producer.produce(9, &records("t", TopicId::ZERO, 0, batch())).await.0, 0);
    assert_eq!(first(&consumer.receive(ApiKey::FETCH, 12).await), (0, batch().len(), 1));
}

#[tokio::test]
async fn a_waiting_fetch_ends_with_nothing_after_its_time() {
    let broker = broker().await;
    let mut client = Client::to(&broker).await;
    client.create("t", 1).await;
    let begin = Instant::now();
    assert_eq!(first(&client.ask(ApiKey::FETCH, 12, &fetch("t", TopicId::ZERO, 0, 80)).await), (0, 0, 0));
    assert!(begin.elapsed() >= Duration::from_millis(80));
}

#[tokio::test]
async fn a_fetch_session_says_only_what_is_new_and_is_lost_when_its_epoch_is() {
    let broker = broker().await;
    let mut client = Client::to(&broker).await;
    client.create("t", 1).await;
    let full = fetch("t", TopicId::ZERO, 0, 0).with(f::request::SESSION_EPOCH, 0);
    let answer = client.ask(ApiKey::FETCH, 12, &full).await;
    let session = answer.i32(f::response::SESSION_ID);
    assert!(session > 0);
    let next = |epoch: i32| {
        Node::request(ApiKey::FETCH)
            .with(f::request::MIN_BYTES, 1)
            .with(f::request::SESSION_ID, session)
            .with(f::request::SESSION_EPOCH, epoch)
    };
    let answer = client.ask(ApiKey::FETCH, 12, &next(1)).await;
    assert_eq!(answer.nodes(f::response::RESPONSES).len(), 0);
    client.produce(9, &records("t", TopicId::ZERO, 0, batch())).await;
    let answer = client.ask(ApiKey::FETCH, 12, &next(2)).await;
    assert_eq!((answer.i32(f::response::SESSION_ID), first(&answer).1), (session, batch().len()));
    let code = |answer: &Node| ErrorCode(answer.i16(f::response::ERROR_CODE));
    assert_eq!(code(&client.ask(ApiKey::FETCH, 12, &next(7)).await), ErrorCode::INVALID_FETCH_SESSION_EPOCH);
    // Its last word.
    client.ask(ApiKey::FETCH, 12, &next(-1)).await;
    assert_eq!(code(&client.ask(ApiKey::FETCH, 12, &next(3)).await), ErrorCode::FETCH_SESSION_ID_NOT_FOUND);
}

#[tokio::test]
async fn metadata_makes_a_topic_only_where_both_sides_want_it() {
    let broker = broker().await;
    let mut client = Client::to(&broker).await;
    let mut ask = async |name: &str, create: bool| {
        use m::request::{ALLOW_AUTO_TOPIC_CREATION, TOPICS, metadata_request_topic as t};
        let mut request = Node::request(ApiKey::METADATA).with(ALLOW_AUTO_TOPIC_CREATION, create);
        let row = request.child(TOPICS).with(t::NAME, name);
        request.push(TOPICS, row);
        let answer = client.ask(ApiKey::METADATA, 12, &request).await;
        answer.nodes(m::response::TOPICS)[0].i32(m::response::metadata_response_topic::ERROR_CODE)
    };
    assert_eq!(ask("new", false).await, 3);
    assert_eq!(ask("new", true).await, 0);
    assert_eq!(ask("new", false).await, 0);
    assert_eq!(ask("not valid", true).await, 17);
}

fn join(member: &str) -> Node {
    use jg::request::{self as q, join_group_request_protocol as proto};
    let mut request = Node::request(ApiKey::JOIN_GROUP)
        .with(q::GROUP_ID, "g")
        .with(q::SESSION_TIMEOUT_MS, 10_000)
        .with(q::REBALANCE_TIMEOUT_MS, 10_000)
        .with(q::MEMBER_ID, member)
        .with(q::PROTOCOL_TYPE, "consumer");
    let row = request.child(q::PROTOCOLS).with(proto::NAME, "range").with(proto::METADATA, Bytes::from_static(b"m"));
    request.push(q::PROTOCOLS, row);
    request
}

fn sync(member: &str, generation: i32, assignments: &[(&str, &'static [u8])]) -> Node {
    use sg::request::{self as q, sync_group_request_assignment as a};
    let mut request = Node::request(ApiKey::SYNC_GROUP);
    for (member, bytes) in assignments {
        let row = request.child(q::ASSIGNMENTS).with(a::MEMBER_ID, *member);
        request.push(q::ASSIGNMENTS, row.with(a::ASSIGNMENT, Bytes::from_static(bytes)));
    }
    request.with(q::GROUP_ID, "g").with(q::MEMBER_ID, member).with(q::GENERATION_ID, generation)
}

fn member_of(answer: &Node) -> String {
    answer.str(jg::response::MEMBER_ID).to_owned()
}

#[tokio::test]
async fn a_group_rebalances_when_members_come_and_go() {
    let broker = broker().await;
    let (mut one, mut two) = (Client::to(&broker).await, Client::to(&broker).await);
    let heartbeat = |member: &str, generation: i32| {
        Node::request(ApiKey::HEARTBEAT)
            .with(hb::request::GROUP_ID, "g")
            .with(hb::request::MEMBER_ID, member)
            .with(hb::request::GENERATION_ID, generation)
    };
    // The first member, which must come twice.
    let answer = one.ask(ApiKey::JOIN_GROUP, 9, &join("")).await;
    assert_eq!(ErrorCode(answer.i16(jg::response::ERROR_CODE)), ErrorCode::MEMBER_ID_REQUIRED);
    let a = member_of(&answer);
    let answer = one.ask(ApiKey::JOIN_GROUP, 9, &join(&a)).await;
    assert_eq!((answer.i32(jg::response::GENERATION_ID), answer.str(jg::response::LEADER)), (1, a.as_str()));
    let answer = one.ask(ApiKey::SYNC_GROUP, 5, &sync(&a, 1, &[(&a, b"all")])).await;
    assert_eq!(answer.bytes(sg::response::ASSIGNMENT).unwrap(), "all");
    assert_eq!(one.ask(ApiKey::HEARTBEAT, 4, &heartbeat(&a, 1)).await.i16(hb::response::ERROR_CODE), 0);
    // The second one waits until the first has heard of it and has joined again.
    two.send(ApiKey::JOIN_GROUP, 3, &join("")).await;
    let told = async |one: &mut Client| {
        while one.ask(ApiKey::HEARTBEAT, 4, &heartbeat(&a, 1)).await.i16(hb::response::ERROR_CODE) == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, told(&mut one)).await.unwrap();
    let answer = one.ask(ApiKey::JOIN_GROUP, 9, &join(&a)).await;
    assert_eq!(answer.nodes(jg::response::MEMBERS).len(), 2);
    let answer = two.receive(ApiKey::JOIN_GROUP, 3).await;
    assert_eq!((answer.i32(jg::response::GENERATION_ID), answer.nodes(jg::response::MEMBERS).len()), (2, 0));
    let b = member_of(&answer);
    two.send(ApiKey::SYNC_GROUP, 5, &sync(&b, 2, &[])).await;
    one.ask(ApiKey::SYNC_GROUP, 5, &sync(&a, 2, &[(&a, b"left"), (&b, b"right")])).await;
    assert_eq!(two.receive(ApiKey::SYNC_GROUP, 5).await.bytes(sg::response::ASSIGNMENT).unwrap(), "right");
    // An old generation commits nothing, the present one does.
    let commit = |generation: i32| {
        use oc::request::{self as q, offset_commit_request_partition as part, offset_commit_request_topic as t};
        let mut request = Node::request(ApiKey::OFFSET_COMMIT).with(q::GROUP_ID, "g").with(q::MEMBER_ID, b.as_str());
        let mut row = request.child(q::TOPICS).with(t::NAME, "t");
        let part = row.child(t::PARTITIONS).with(part::COMMITTED_OFFSET, 7);
        row.push(t::PARTITIONS, part);
        request.push(q::TOPICS, row);
        request.with(q::GENERATION_ID_OR_MEMBER_EPOCH, generation)
    };
    two.create("t", 1).await;
    for (generation, expected) in [(1, ErrorCode::ILLEGAL_GENERATION), (2, ErrorCode::NONE)] {
        let answer = two.ask(ApiKey::OFFSET_COMMIT, 9, &commit(generation)).await;
        use oc::response::{offset_commit_response_partition as part, offset_commit_response_topic as t};
        let row = &answer.nodes(oc::response::TOPICS)[0].nodes(t::PARTITIONS)[0];
        assert_eq!(ErrorCode(row.i16(part::ERROR_CODE)), expected);
    }
    // The leader leaves.
    use lg::request::{self as q, member_identity as id};
    let mut leave = Node::request(ApiKey::LEAVE_GROUP).with(q::GROUP_ID, "g");
    let row = leave.child(q::MEMBERS).with(id::MEMBER_ID, a.as_str());
    leave.push(q::MEMBERS, row);
    one.ask(ApiKey::LEAVE_GROUP, 5, &leave).await;
    assert_eq!(
        ErrorCode(two.ask(ApiKey::HEARTBEAT, 4, &heartbeat(&b, 2)).await.i16(hb::response::ERROR_CODE)),
        ErrorCode::REBALANCE_IN_PROGRESS
    );
    let answer = two.ask(ApiKey::JOIN_GROUP, 9, &join(&b)).await;
    assert_eq!((answer.i32(jg::response::GENERATION_ID), answer.str(jg::response::LEADER)), (3, b.as_str()));
    // What was committed is found by name and as part of everything.
    use of::request::{offset_fetch_request_group as g, offset_fetch_request_topics as t};
    for by_name in [true, false] {
        let mut request = Node::request(ApiKey::OFFSET_FETCH);
        let mut group = request.child(of::request::GROUPS).with(g::GROUP_ID, "g").with(g::TOPICS, None::<Vec<Node>>);
        if by_name {
            let row = group.child(g::TOPICS).with(t::NAME, "t").with(t::PARTITION_INDEXES, vec![0]);
            group.push(g::TOPICS, row);
        }
        request.push(of::request::GROUPS, group);
        let answer = two.ask(ApiKey::OFFSET_FETCH, 8, &request).await;
        use of::response::{
            GROUPS, offset_fetch_response_group as rg, offset_fetch_response_partitions as part,
            offset_fetch_response_topics as rt,
        };
        let row = &answer.nodes(GROUPS)[0].nodes(rg::TOPICS)[0].nodes(rt::PARTITIONS)[0];
        assert_eq!(row.int(part::COMMITTED_OFFSET), 7);
    }
}

#[tokio::test]
async fn a_silent_member_is_given_up_at_its_deadline() {
    let broker = broker().await;
    let mut client = Client::to(&broker).await;
    let request = join("").with(jg::request::SESSION_TIMEOUT_MS, 100);
    let member = member_of(&client.ask(ApiKey::JOIN_GROUP, 3, &request).await);
    let mut other = Client::to(&broker).await;
    // It can join only once the first has been silent for too long.
    let answer = other.ask(ApiKey::JOIN_GROUP, 3, &join("")).await;
    assert_eq!(answer.i32(jg::response::GENERATION_ID), 2);
    assert_ne!(answer.str(jg::response::LEADER), member);
}

#[tokio::test]
async fn producer_ids_differ_and_offsets_are_listed() {
    let broker = broker().await;
    let mut client = Client::to(&broker).await;
    let request = Node::request(ApiKey::INIT_PRODUCER_ID).with(ip::request::TRANSACTIONAL_ID, None::<&str>);
    let mut ids = Vec::new();
    for _ in 0..2 {
        ids.push(client.ask(ApiKey::INIT_PRODUCER_ID, 4, &request).await.int(ip::response::PRODUCER_ID));
    }
    assert!(ids[0] >= 0 && ids[0] != ids[1]);
    client.create("t", 1).await;
    client.produce(9, &records("t", TopicId::ZERO, 0, batch())).await;
    use lo::request::{TOPICS, list_offsets_partition as part, list_offsets_topic as t};
    for (time, offset) in [(-1, 1), (-2, 0), (-3, 0), (1, 0), (2, -1)] {
        let mut request = Node::request(ApiKey::LIST_OFFSETS);
        let mut row = request.child(TOPICS).with(t::NAME, "t");
        let part = row.child(t::PARTITIONS).with(part::TIMESTAMP, time);
        row.push(t::PARTITIONS, part);
        request.push(TOPICS, row);
        let answer = client.ask(ApiKey::LIST_OFFSETS, 9, &request).await;
        use lo::response::{list_offsets_partition_response as line, list_offsets_topic_response as rt};
        let row = &answer.nodes(lo::response::TOPICS)[0].nodes(rt::PARTITIONS)[0];
        assert_eq!(row.int(line::OFFSET), offset, "at {time}");
    }
}

#[tokio::test]
async fn a_script_answers_holds_and_closes() {
    let gate = Gate::new();
    let held = gate.clone();
    let broker = scripted(move |seen: &Seen| match seen.key {
        ApiKey::METADATA => Step::Answer(Node::response(ApiKey::METADATA).with(m::response::CONTROLLER_ID, 42)),
        ApiKey::HEARTBEAT => Step::Hold(held.clone(), Box::new(Step::Serve)),
        ApiKey::LIST_GROUPS => Step::HoldAnswer(held.clone()),
        ApiKey::FETCH => Step::Swallow,
        ApiKey::LEAVE_GROUP => Step::Close,
        _ => Step::Serve,
    })
    .await;
    let mut client = Client::to(&broker).await;
    client.send(ApiKey::FETCH, 12, &fetch("t", TopicId::ZERO, 0, 0)).await;
    let answer = client.ask(ApiKey::METADATA, 9, &Node::request(ApiKey::METADATA)).await;
    assert_eq!(answer.i32(m::response::CONTROLLER_ID), 42);
    for key in [ApiKey::HEARTBEAT, ApiKey::LIST_GROUPS] {
        client.send(key, 3, &Node::request(key)).await;
    }
    assert_eq!(client.stream.try_read(&mut [0; 1]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    gate.open();
    client.next -= 1;
    client.receive(ApiKey::HEARTBEAT, 3).await;
    client.next += 1;
    client.receive(ApiKey::LIST_GROUPS, 3).await;
    client.send(ApiKey::LEAVE_GROUP, 3, &Node::request(ApiKey::LEAVE_GROUP)).await;
    assert_eq!(client.frame().await, None);
}

#[tokio::test]
async fn hostile_bytes_close_the_connection_and_nothing_else() {
    let broker = broker().await;
    let hostile: [&[u8]; 8] = [
        &[0, 0, 0, 3, 1, 2, 3],
        &[0xff, 0xff, 0xff, 0xff],
        &[0x16, 3, 1, 2, 0],
        b"GET / HTTP/1.1\r\n\r\n",
        &[0x7f, 0xff, 0xff, 0xff],
        // Metadata 1 with a count of 2^31-1.
        &[0, 0, 0, 14, 0, 3, 0, 1, 0, 0, 0, 0, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff],
        // Metadata 1 with a byte too many.
        &[0, 0, 0, 15, 0, 3, 0, 1, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0],
        // An API that nobody has.
        &[0, 0, 0, 10, 0x7f, 0xff, 0, 1, 0, 0, 0, 0, 0xff, 0xff],
    ];
    let mut bystander = Client::to(&broker).await;
    for bytes in hostile {
        let mut client = Client::to(&broker).await;
        client.stream.write_all(bytes).await.unwrap();
        let end = tokio::time::timeout(DEADLINE, client.frame()).await.expect("closed");
        assert_eq!(end, None, "{bytes:?}");
        bystander.ask(ApiKey::METADATA, 1, &Node::request(ApiKey::METADATA)).await;
    }
    bystander.create("t", 1).await;
    for records_bytes in [&[0_u8; 0][..], &[0xff; 5], &[0xff; 100], &[0; 61]] {
        let answer = bystander.produce(9, &records("t", TopicId::ZERO, 0, Bytes::from_static(records_bytes))).await;
        assert_ne!(answer.0, 0);
    }
}

#[tokio::test]
async fn when_it_stops_its_port_is_free_and_its_connections_are_closed() {
    let broker = broker().await;
    let addr = broker.addr();
    let mut client = Client::to(&broker).await;
    client.ask(ApiKey::API_VERSIONS, 0, &Node::request(ApiKey::API_VERSIONS)).await;
    broker.stop().await;
    assert_eq!(client.frame().await, None);
    let again = Broker::start(Settings { port: addr.port(), ..Settings::default() }).await.unwrap();
    assert_eq!(again.addr(), addr);
}

/// A shared state without a network.
fn alone() -> Shared {
    Shared {
        addr: ([127, 0, 0, 1], 9092).into(),
        settings: Settings::default(),
        state: Mutex::default(),
        appended: watch::Sender::new(()),
        rescheduled: Notify::new(),
        connections: AtomicUsize::new(0),
    }
}

/// Requests of every API with something in every array, as bytes.
fn seeds() -> Vec<(ApiKey, i16, Vec<u8>)> {
    fn fill(node: &mut Node) {
        use crate::wire::schema::Kind;
        for (n, def) in node.def().fields.iter().enumerate() {
            let field = crate::wire::Field(u8::try_from(n).unwrap());
            match &def.kind {
                Kind::Str => node.set(field, "t"),
                Kind::Bytes | Kind::Records => node.set(field, batch()),
                Kind::Array(Kind::Struct(_)) => {
                    let mut child = node.child(field);
                    fill(&mut child);
                    node.push(field, child);
                }
                Kind::Array(Kind::Str) => node.set(field, vec!["t"]),
                Kind::Array(Kind::I32) => node.set(field, vec![0_i32]),
                _ => {}
            }
        }
    }
    let mut seeds = Vec::new();
    for (key, versions) in api::advertised() {
        let api = crate::wire::api(key).unwrap();
        for version in api.versions.intersect(versions).iter() {
            let mut request = Node::request(key);
            fill(&mut request);
            let mut body = crate::wire::Rope::new();
            crate::wire::encode(api.request, version, &request, &mut body);
            seeds.push((key, version, body.into_bytes().to_vec()));
        }
    }
    seeds
}

/// Hostile requests: damaged in a few places, they are refused or answered, and every answer can be written.
#[tokio::test]
async fn damaged_requests_never_panic() {
    use rand::{Rng, SeedableRng};
    let seed: u64 = rand::random();
    let mut random = rand::rngs::StdRng::seed_from_u64(seed);
    let (shared, mut served) = (alone(), 0);
    shared.state().topics.create("t", 2, Default::default()).unwrap();
    for (key, version, whole) in seeds().iter().cycle().take(20_000) {
        let mut body = whole.clone();
        for _ in 0..random.random_range(0..3) {
            let at = random.random_range(0..body.len().max(1));
            if let Some(byte) = body.get_mut(at) {
                *byte = [0, 1, 0x7f, 0x80, 0xff, random.random()][random.random_range(0..6)];
            }
        }
        let def = key.request_def().unwrap();
        let Ok(node) = crate::wire::decode(def, *version, &Bytes::from(body)) else { continue };
        let request = api::Request {
            key: *key,
            version: *version,
            correlation_id: 1,
            client_id: Some("c".repeat(32_767)),
            host: "127.0.0.1".into(),
            body: node,
        };
        // What would wait is dropped, as when a client leaves.
        let reply = tokio::time::timeout(Duration::ZERO, api::reply(&shared, &request)).await;
        if let Ok(api::Reply::Answer(answer)) = reply {
            let frame = crate::wire::message::response_frame(*key, *version, 1, &answer).into_bytes().slice(4..);
            let read = decode_response(*key, *version, &frame);
            assert!(read.is_ok(), "seed {seed}: {key} {version}: {read:?} of {answer:?}");
            served += 1;
        }
        shared.state().groups.expire(Instant::now() + Duration::from_secs(60));
    }
    assert!(served > 1000, "seed {seed}: only {served} were served");
}

//! A client that says exactly what it is told to: one TCP connection, any request in any version, any bytes.

use std::collections::VecDeque;
use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kordon::cluster::batch::{Builder, Record, Stamp};
use kordon::model::TopicId;
use kordon::wire::message::{decode_response, request_frame};
use kordon::wire::schema::{Kind, StructDef, fetch, metadata, produce};
use kordon::wire::{ApiKey, ErrorCode, Node, Value};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The peer closed it (FIN).
    Closed,
    /// The peer reset it (RST), as it does when bytes of ours were still unread.
    Reset,
    /// It did not end within ten seconds.
    Open,
}

/// What carries the bytes.
enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Stream {
    fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(tcp) => tcp,
            Self::Tls(tls) => &tls.sock,
        }
    }
}

impl io::Read for Stream {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(tcp) => tcp.read(into),
            Self::Tls(tls) => tls.read(into),
        }
    }
}

impl io::Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(tcp) => tcp.write(bytes),
            Self::Tls(tls) => tls.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(tcp) => tcp.flush(),
            Self::Tls(tls) => tls.flush(),
        }
    }
}

/// A connection.
pub struct Raw {
    stream: Stream,
    next: i32,
    client_id: String,
    asked: VecDeque<(ApiKey, i16, i32)>,
}

impl Raw {
    /// Connects to `host:port`; the first of several separated by commas.
    #[track_caller]
    pub fn connect(address: &str) -> Raw {
        let first = address.split(',').next().unwrap_or(address);
        let stream = TcpStream::connect(first).unwrap_or_else(|e| panic!("cannot connect to `{first}`: {e}"));
        Raw::on(stream)
    }

    /// Goes on with a connection on which something may have been said already.
    #[track_caller]
    pub fn on(stream: TcpStream) -> Raw {
        stream.set_nodelay(true).expect("nodelay");
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("timeout");
        Raw { stream: Stream::Plain(stream), next: 1, client_id: "raw".to_owned(), asked: VecDeque::new() }
    }

    /// Goes on over TLS; the handshake is part of the first write. Asks for this host, for none if it is an address.
    #[track_caller]
    pub fn secure(mut self, config: &Arc<ClientConfig>, host: &str) -> Raw {
        let name = ServerName::try_from(host.to_owned()).expect("a host name or an address");
        let tls = ClientConnection::new(Arc::clone(config), name).expect("a TLS client");
        let Stream::Plain(tcp) = self.stream else { panic!("TLS already") };
        self.stream = Stream::Tls(Box::new(StreamOwned::new(tls, tcp)));
        self
    }

    /// Sets the client id of the requests to come.
    pub fn client_id(mut self, id: &str) -> Self {
        id.clone_into(&mut self.client_id);
        self
    }

    /// How long to wait for bytes; ten seconds if not set.
    pub fn patience(&self, within: Duration) -> &Self {
        self.stream.tcp().set_read_timeout(Some(within)).expect("timeout");
        self
    }

    /// The frame that [`Raw::send`] would send, to be put together with others.
    pub fn frame(&mut self, key: ApiKey, version: i16, request: &Node) -> Vec<u8> {
        let correlation = self.next;
        self.next += 1;
        self.asked.push_back((key, version, correlation));
        request_frame(key, version, correlation, Some(&self.client_id), request).into_bytes().to_vec()
    }

    /// Sends a request without waiting for its answer; gives the correlation id.
    #[track_caller]
    pub fn send(&mut self, key: ApiKey, version: i16, request: &Node) -> i32 {
        let frame = self.frame(key, version, request);
        self.send_bytes(&frame);
        self.next - 1
    }

    /// Sends a request that has no answer (a Produce with acks=0).
    #[track_caller]
    pub fn send_unanswered(&mut self, key: ApiKey, version: i16, request: &Node) {
        let frame = self.frame(key, version, request);
        self.asked.pop_back();
        self.send_bytes(&frame);
    }

    /// Sends bytes as they are. What is refused in the middle is no failure: the peer may have closed already.
    pub fn send_bytes(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes).and_then(|()| self.stream.flush());
    }

    /// The sending side, for a thread of its own: who sends much without reading would block for ever.
    #[track_caller]
    pub fn writer(&self) -> TcpStream {
        self.stream.tcp().try_clone().expect("a second handle of the socket")
    }

    /// Notes that a request sent with [`Raw::send_bytes`] will be answered.
    pub fn expect(&mut self, key: ApiKey, version: i16, correlation: i32) {
        self.asked.push_back((key, version, correlation));
    }

    /// The answer to the oldest request not answered yet; fails when it does not come or is out of order.
    #[track_caller]
    pub fn receive(&mut self) -> Node {
        let (key, version, correlation) = self.asked.pop_front().expect("a request that waits for its answer");
        let frame = self
            .read_frame()
            .unwrap_or_else(|e| panic!("no answer to {key} v{version}: {e}"))
            .unwrap_or_else(|| panic!("the connection was closed before the answer to {key} v{version}"));
        let (told, node) = decode_response(key, version, &frame)
            .unwrap_or_else(|e| panic!("the answer to {key} v{version} is malformed: {e}: {frame:?}"));
        assert_eq!(told, correlation, "answers come in the order of the requests");
        node
    }

    /// Asks and waits.
    #[track_caller]
    pub fn ask(&mut self, key: ApiKey, version: i16, request: &Node) -> Node {
        self.send(key, version, request);
        self.receive()
    }

    /// The next frame without its size; none when the peer closed.
    ///
    /// # Errors
    /// A time-out, a reset, an end within a frame.
    pub fn read_frame(&mut self) -> io::Result<Option<Bytes>> {
        let mut size = [0; 4];
        match self.stream.read(&mut size)? {
            0 => return Ok(None),
            n => self.stream.read_exact(&mut size[n..])?,
        }
        let length = usize::try_from(i32::from_be_bytes(size)).map_err(io::Error::other)?;
        let mut frame = vec![0; length];
        self.stream.read_exact(&mut frame)?;
        Ok(Some(Bytes::from(frame)))
    }

    /// Waits for the end of the connection; bytes that come before are dropped.
    pub fn end(&mut self) -> End {
        let mut sink = [0; 4096];
        loop {
            match self.stream.read(&mut sink) {
                Ok(0) => return End::Closed,
                Ok(_) => {}
                Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => return End::Open,
                Err(_) => return End::Reset,
            }
        }
    }

    /// Whether the peer ended the connection, by closing or resetting it, without a further byte.
    pub fn ended_silently(&mut self) -> bool {
        let mut sink = [0; 1];
        match self.stream.read(&mut sink) {
            Ok(n) => n == 0,
            Err(e) => !matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut),
        }
    }

    /// Says that no more requests will come (FIN), and goes on reading.
    pub fn finish(&self) {
        let _ = self.stream.tcp().shutdown(Shutdown::Write);
    }

    /// Metadata of these topics, none meaning all.
    #[track_caller]
    pub fn metadata(&mut self, topics: Option<&[&str]>) -> Node {
        self.ask(ApiKey::METADATA, 12, &metadata_request(topics))
    }

    /// Whether a Metadata request gets no answer.
    pub fn metadata_fails(&mut self) -> bool {
        self.send(ApiKey::METADATA, 12, &metadata_request(None));
        !matches!(self.read_frame(), Ok(Some(_)))
    }

    /// Name and id of a topic, and the node that leads `partition`.
    #[track_caller]
    pub fn topic(&mut self, name: &str, partition: i32) -> (TopicId, i32) {
        use metadata::response::{TOPICS, metadata_response_partition, metadata_response_topic};
        let told = self.metadata(Some(&[name]));
        let topic = &told.nodes(TOPICS)[0];
        let leader = topic
            .nodes(metadata_response_topic::PARTITIONS)
            .iter()
            .find(|p| p.i32(metadata_response_partition::PARTITION_INDEX) == partition)
            .map(|p| p.i32(metadata_response_partition::LEADER_ID));
        (
            topic.uuid(metadata_response_topic::TOPIC_ID),
            leader.unwrap_or_else(|| panic!("`{name}` has no partition {partition}: {told:?}")),
        )
    }
}

/// A Metadata request; creates nothing.
pub fn metadata_request(topics: Option<&[&str]>) -> Node {
    use metadata::request::{ALLOW_AUTO_TOPIC_CREATION, TOPICS, metadata_request_topic};
    let mut request = Node::request(ApiKey::METADATA).with(ALLOW_AUTO_TOPIC_CREATION, false);
    match topics {
        None => request.set(TOPICS, Value::Null),
        Some(names) => {
            for name in names {
                let topic = request.child(TOPICS).with(metadata_request_topic::NAME, *name);
                request.push(TOPICS, topic);
            }
        }
    }
    request
}

/// A record batch of these values, without producer id.
pub fn batch(values: &[&[u8]]) -> Bytes {
    let mut builder = Builder::default();
    for value in values {
        builder.push(Record { timestamp: 1_700_000_000_000, key: None, value: Some(value), headers: &[] });
    }
    Bytes::from(builder.finish(Stamp { producer: -1, epoch: -1, sequence: -1 }))
}

/// A Produce request of one record to partition 0 of each topic, by name (version ≤ 12).
pub fn produce_request(acks: i16, topics: &[(&str, &[u8])]) -> Node {
    use produce::request::{ACKS, TIMEOUT_MS, TOPIC_DATA, partition_produce_data, topic_produce_data};
    let mut request = Node::request(ApiKey::PRODUCE).with(ACKS, acks).with(TIMEOUT_MS, 10_000);
    for (name, value) in topics {
        let mut topic = request.child(TOPIC_DATA).with(topic_produce_data::NAME, *name);
        let partition = topic
            .child(topic_produce_data::PARTITION_DATA)
            .with(partition_produce_data::INDEX, 0)
            .with(partition_produce_data::RECORDS, batch(&[value]));
        topic.push(topic_produce_data::PARTITION_DATA, partition);
        request.push(TOPIC_DATA, topic);
    }
    request
}

/// What a Produce answer says: topic name, error, base offset of its partition 0.
pub fn produced(answer: &Node) -> Vec<(String, ErrorCode, i64)> {
    use produce::response::{RESPONSES, partition_produce_response, topic_produce_response};
    let of = |topic: &Node| {
        let partition = &topic.nodes(topic_produce_response::PARTITION_RESPONSES)[0];
        let code = ErrorCode(partition.i16(partition_produce_response::ERROR_CODE));
        (
            topic.str(topic_produce_response::NAME).to_owned(),
            code,
            partition.int(partition_produce_response::BASE_OFFSET),
        )
    };
    answer.nodes(RESPONSES).iter().map(of).collect()
}

/// A Fetch request.
#[derive(Clone, Debug)]
pub struct FetchSpec {
    /// Session id and epoch; (0, -1) is sessionless, (0, 0) asks for a session.
    pub session: (i32, i32),
    /// How long the broker may wait for the first byte.
    pub wait: Duration,
    /// Topic, its id (for versions from 13 on), partition, offset.
    pub partitions: Vec<(String, TopicId, i32, i64)>,
    /// Most bytes of a partition.
    pub max_bytes: i32,
}

impl FetchSpec {
    /// Partition 0 of one topic from an offset, without a session.
    pub fn of(topic: &str, id: TopicId, offset: i64) -> Self {
        Self {
            session: (0, -1),
            wait: Duration::from_millis(500),
            partitions: vec![(topic.to_owned(), id, 0, offset)],
            max_bytes: 1 << 20,
        }
    }

    /// With this session id and epoch.
    pub fn session(mut self, id: i32, epoch: i32) -> Self {
        self.session = (id, epoch);
        self
    }

    /// The request.
    pub fn request(&self) -> Node {
        use fetch::request::{
            MAX_BYTES, MAX_WAIT_MS, MIN_BYTES, SESSION_EPOCH, SESSION_ID, TOPICS, fetch_partition, fetch_topic,
        };
        let mut request = Node::request(ApiKey::FETCH)
            .with(MAX_WAIT_MS, self.wait.as_millis() as i32)
            .with(MIN_BYTES, 1)
            .with(MAX_BYTES, i32::MAX)
            .with(SESSION_ID, self.session.0)
            .with(SESSION_EPOCH, self.session.1);
        for (name, id, partition, offset) in &self.partitions {
            let mut topic =
                request.child(TOPICS).with(fetch_topic::TOPIC, name.as_str()).with(fetch_topic::TOPIC_ID, *id);
            let partition = topic
                .child(fetch_topic::PARTITIONS)
                .with(fetch_partition::PARTITION, *partition)
                .with(fetch_partition::FETCH_OFFSET, *offset)
                .with(fetch_partition::PARTITION_MAX_BYTES, self.max_bytes);
            topic.push(fetch_topic::PARTITIONS, partition);
            request.push(TOPICS, topic);
        }
        request
    }
}

/// What a Fetch answer says.
#[derive(Clone, Debug, PartialEq)]
pub struct Fetched {
    /// The error of the whole answer.
    pub error: ErrorCode,
    /// The session; 0 is none.
    pub session: i32,
    /// Of every partition: topic name (below version 13), id, partition, error, number of record bytes.
    pub partitions: Vec<(String, TopicId, i32, ErrorCode, usize)>,
}

/// Reads a Fetch answer.
pub fn fetched(answer: &Node) -> Fetched {
    use fetch::response::{ERROR_CODE, RESPONSES, SESSION_ID, fetchable_topic_response, partition_data};
    let mut partitions = Vec::new();
    for topic in answer.nodes(RESPONSES) {
        for partition in topic.nodes(fetchable_topic_response::PARTITIONS) {
            partitions.push((
                topic.str(fetchable_topic_response::TOPIC).to_owned(),
                topic.uuid(fetchable_topic_response::TOPIC_ID),
                partition.i32(partition_data::PARTITION_INDEX),
                ErrorCode(partition.i16(partition_data::ERROR_CODE)),
                partition.bytes(partition_data::RECORDS).map_or(0, Bytes::len),
            ));
        }
    }
    Fetched { error: ErrorCode(answer.i16(ERROR_CODE)), session: answer.i32(SESSION_ID), partitions }
}

/// A request from JSON: members are the fields of Kafka's definitions; what is not named has its default. UUIDs are sixteen
/// times one byte, bytes are text.
#[track_caller]
pub fn request_of(key: ApiKey, json: &serde_json::Value) -> Node {
    struct_of(kordon::wire::api(key).expect("an api").request.root, json)
}

fn struct_of(def: &'static StructDef, json: &serde_json::Value) -> Node {
    let mut node = Node::new(def);
    for (name, value) in json.as_object().expect("an object") {
        let field = def.find(name).unwrap_or_else(|| panic!("{def:?} has no field `{name}`"));
        node.set(field, value_of(&def.field(field).expect("a field").kind, value));
    }
    node
}

fn value_of(kind: &'static Kind, json: &serde_json::Value) -> Value {
    use serde_json::Value as Json;
    match (kind, json) {
        (_, Json::Null) => Value::Null,
        (Kind::Struct(def), json) => Value::from(struct_of(def, json)),
        (Kind::Array(Kind::Struct(def)), Json::Array(all)) => {
            Value::from(all.iter().map(|one| struct_of(def, one)).collect::<Vec<_>>())
        }
        (Kind::Array(Kind::Str), Json::Array(all)) => {
            Value::from(all.iter().map(|one| one.as_str().expect("text")).collect::<Vec<_>>())
        }
        (Kind::Array(_), Json::Array(all)) => {
            Value::from(all.iter().map(|one| one.as_i64().expect("a number") as i32).collect::<Vec<_>>())
        }
        (Kind::Bytes, Json::String(text)) => Value::Bytes(Bytes::from(text.clone().into_bytes())),
        (Kind::Uuid, json) => Value::Uuid(TopicId([json.as_u64().expect("a byte") as u8; 16])),
        (Kind::F64, json) => Value::F64(json.as_f64().expect("a number")),
        (_, Json::Bool(is)) => Value::Bool(*is),
        (_, Json::String(text)) => Value::from(text.as_str()),
        (_, json) => Value::Int(json.as_i64().unwrap_or_else(|| panic!("no number: {json}"))),
    }
}

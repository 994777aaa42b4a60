//! One of the two that are compared: a broker that authorizes, or the proxy before a broker that does not.
//!
//! Ids, members and producers have other values on each side. Requests name them by what stands for them
//! (`names`), and a side puts its own in; what it answers is numbered in the order in which it is first seen.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use bytes::Bytes;
use kordon::cluster::batch::{Stamp, restamp};
use kordon::model::TopicId;
use kordon::wire::message::{decode_response, request_frame};
use kordon::wire::schema::{metadata, produce, sasl_authenticate};
use kordon::wire::{ApiKey, Node, Value};

use super::names::{Names, password, slot};
use super::scripts::Take;
use crate::support::people::{handshake, plain};

/// What became of a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// An answer.
    Answer(Node),
    /// No answer, and none was due: the connection is still open.
    Quiet,
    /// The connection was closed instead.
    Closed,
    /// Nothing came within [`PATIENCE`].
    Silent,
    /// Something came that is no answer to this request.
    Malformed(String),
}

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the connections behind everybody's back are known by.
pub const BACK: &str = "";

/// One side.
pub struct Side {
    /// `reference` or `proxied`.
    pub name: &'static str,
    /// Where people come in, with a login.
    front: String,
    /// Where the test prepares and inspects, without one.
    back: String,
    open: HashMap<String, Connection>,
    /// Topic ids by name, those of topics that are gone included.
    pub ids: BTreeMap<String, TopicId>,
    /// How the names of the world begin.
    pub prefix: String,
    /// Groups that are of one kind here and of another there, because a heartbeat was answered otherwise and may be.
    pub apart: BTreeSet<String>,
    /// The id of the cluster, once it was told.
    pub cluster: String,
    /// Numbers that stand in requests as slots.
    pub numbers: Vec<i64>,
    /// Texts that stand in requests as slots.
    pub texts: Vec<String>,
    /// The words for values that this cluster drew, by kind and value.
    seen: HashMap<(&'static str, String), String>,
    /// The step that is asked, and how many values were seen first in it.
    step: (usize, usize),
}

impl Side {
    /// A side with its two doors.
    pub fn new(name: &'static str, front: String, back: String) -> Self {
        Self {
            name,
            front,
            back,
            open: HashMap::new(),
            ids: BTreeMap::new(),
            prefix: String::new(),
            apart: BTreeSet::new(),
            cluster: String::new(),
            numbers: Vec::new(),
            texts: Vec::new(),
            seen: HashMap::new(),
            step: (0, 0),
        }
    }

    /// Forgets what belongs to one world. Connections stay.
    pub fn begin(&mut self, names: &Names) {
        names.prefix.clone_into(&mut self.prefix);
        self.ids.clear();
        self.apart.clear();
        self.numbers.clear();
        self.texts = vec!["nobody".to_owned(); 4];
        self.seen.clear();
        self.step = (0, 0);
    }

    /// Closes a person's connection: the next request logs in again.
    pub fn hang_up(&mut self, who: &str) {
        self.open.remove(who);
    }

    /// Sends a request; the answer is taken by [`Side::receive`].
    pub fn send(&mut self, who: &str, key: ApiKey, version: i16, body: &Node, names: &Names) {
        let body = self.own(body, names);
        if !self.open.contains_key(who) {
            let connection = self.connect(who);
            self.open.insert(who.to_owned(), connection);
        }
        let connection = self.open.get_mut(who).expect("an open connection");
        connection.correlation += 1;
        let frame = request_frame(key, version, connection.correlation, Some("differential"), &body).into_bytes();
        let _ = connection.stream.write_all(&frame);
        connection.answered = key != ApiKey::PRODUCE || body.int(produce::request::ACKS) != 0;
    }

    /// What became of the request that was sent last.
    pub fn receive(&mut self, who: &str, key: ApiKey, version: i16) -> Outcome {
        let connection = self.open.get_mut(who).expect("an open connection");
        let outcome = if connection.answered { connection.receive(key, version) } else { connection.look() };
        if !matches!(outcome, Outcome::Answer(_) | Outcome::Quiet) {
            self.open.remove(who);
        }
        outcome
    }

    /// Asks and takes the answer.
    pub fn ask(&mut self, who: &str, key: ApiKey, version: i16, body: &Node, names: &Names) -> Outcome {
        self.send(who, key, version, body, names);
        self.receive(who, key, version)
    }

    /// Asks behind everybody's back; there it must be answered.
    #[track_caller]
    pub fn back(&mut self, key: ApiKey, version: i16, body: &Node, names: &Names) -> Node {
        match self.ask(BACK, key, version, body, names) {
            Outcome::Answer(node) => node,
            other => panic!("{}: {key} v{version} is not answered: {other:?}: {body:?}", self.name),
        }
    }

    fn connect(&self, who: &str) -> Connection {
        let address = if who == BACK { &self.back } else { &self.front };
        let stream = TcpStream::connect(address).unwrap_or_else(|e| panic!("{}: {address}: {e}", self.name));
        stream.set_nodelay(true).expect("nodelay");
        stream.set_read_timeout(Some(PATIENCE)).expect("timeout");
        let mut connection = Connection { stream, correlation: 0, answered: true };
        if who != BACK {
            connection.must(ApiKey::SASL_HANDSHAKE, 1, &handshake("PLAIN"));
            let answer = connection.must(ApiKey::SASL_AUTHENTICATE, 2, &plain(who, &password(who)));
            assert_eq!(answer.int(sasl_authenticate::response::ERROR_CODE), 0, "{}: {answer:?}", self.name);
        }
        connection
    }

    /// Learns the ids of all topics, behind everybody's back; gives names and numbers of partitions.
    pub fn topics(&mut self, names: &Names) -> BTreeMap<String, usize> {
        use metadata::request as q;
        use metadata::response::{TOPICS, metadata_response_topic as t};
        let request =
            Node::request(ApiKey::METADATA).with(q::TOPICS, Value::Null).with(q::ALLOW_AUTO_TOPIC_CREATION, false);
        let answer = self.back(ApiKey::METADATA, 12, &request, names);
        answer.str(metadata::response::CLUSTER_ID).clone_into(&mut self.cluster);
        let mut found = BTreeMap::new();
        for topic in answer.nodes(TOPICS) {
            let name = topic.str(t::NAME);
            // The proxy's own topics are nobody's business.
            if name.starts_with("kordon.") {
                continue;
            }
            self.ids.insert(name.to_owned(), topic.uuid(t::TOPIC_ID));
            found.insert(name.to_owned(), topic.nodes(t::PARTITIONS).len());
        }
        found
    }

    /// Begins a step: what is seen first in it is named after it.
    pub fn begin_step(&mut self, step: usize) {
        self.step = (step, 0);
    }

    /// A word for a value that this cluster drew: when it was first seen. It is the same word on both sides, because both
    /// are asked the same in the same order.
    pub fn seen(&mut self, kind: &'static str, value: &str) -> String {
        if let Some(word) = self.seen.get(&(kind, value.to_owned())) {
            return word.clone();
        }
        let word = format!("<{kind} {}.{}>", self.step.0, self.step.1);
        self.step.1 += 1;
        self.seen.insert((kind, value.to_owned()), word.clone());
        word
    }

    /// Takes from an answer what later steps of a script name.
    pub fn take(&mut self, all: &[Take], outcome: &Outcome) {
        let Outcome::Answer(answer) = outcome else { return };
        for take in all {
            match *take {
                Take::Number(field, slot) => {
                    self.numbers.resize(self.numbers.len().max(slot + 1), -1);
                    self.numbers[slot] = answer.int(field);
                }
                Take::Text(field, slot) => {
                    self.texts.resize(self.texts.len().max(slot + 1), String::new());
                    answer.str(field).clone_into(&mut self.texts[slot]);
                }
            }
        }
    }

    /// Whether what was taken is there on both sides, or on none.
    pub fn goes_on_like(&self, other: &Side, all: &[Take]) -> bool {
        all.iter().all(|take| match *take {
            Take::Number(_, slot) => (self.number(slot) > 0) == (other.number(slot) > 0),
            Take::Text(_, slot) => self.texts[slot].is_empty() == other.texts[slot].is_empty(),
        })
    }

    /// The request as this side must be asked: with its own ids, members and producers.
    fn own(&self, node: &Node, names: &Names) -> Node {
        let mut own = node.clone();
        for (field, _) in node.def().fields() {
            if let Some(value) = self.own_value(node.value(field), names) {
                own.set(field, value);
            }
        }
        own
    }

    fn own_value(&self, value: &Value, names: &Names) -> Option<Value> {
        let own_all = |values: &[Value]| {
            values.iter().map(|v| self.own_value(v, names).unwrap_or_else(|| v.clone())).collect::<Vec<_>>()
        };
        match value {
            Value::Int(number) => slot(*number).map(|slot| Value::Int(self.number(slot))),
            Value::Ints(numbers) if numbers.iter().any(|n| slot(*n).is_some()) => {
                Some(Value::Ints(numbers.iter().map(|n| slot(*n).map_or(*n, |slot| self.number(slot))).collect()))
            }
            Value::Uuid(id) => {
                let name = names.topic_of(*id)?;
                // A topic that this side never had: an id that no cluster has.
                Some(Value::Uuid(self.ids.get(name).copied().unwrap_or(*id)))
            }
            Value::Str(text) if text.contains('‹') => Some(Value::from(self.own_text(text))),
            Value::Bytes(bytes) => self.own_batch(bytes).map(Value::Bytes),
            Value::Struct(node) => Some(Value::from(self.own(node, names))),
            Value::Nodes(nodes) => Some(Value::Nodes(nodes.iter().map(|node| self.own(node, names)).collect())),
            Value::Array(values) => Some(Value::Array(own_all(values))),
            _ => None,
        }
    }

    fn number(&self, slot: usize) -> i64 {
        self.numbers.get(slot).copied().unwrap_or(-1)
    }

    fn own_text(&self, text: &str) -> String {
        let mut own = text.to_owned();
        for (slot, value) in self.texts.iter().enumerate() {
            own = own.replace(&super::names::text_slot(slot), value);
        }
        // A slot that nothing was put into.
        if own.contains('‹') { "nobody".to_owned() } else { own }
    }

    /// A record batch whose producer is a slot.
    fn own_batch(&self, bytes: &Bytes) -> Option<Bytes> {
        const PRODUCER: usize = 43;
        let producer = i64::from_be_bytes(bytes.get(PRODUCER..PRODUCER + 8)?.try_into().ok()?);
        let epoch = i16::from_be_bytes(bytes.get(PRODUCER + 8..PRODUCER + 10)?.try_into().ok()?);
        let sequence = i32::from_be_bytes(bytes.get(PRODUCER + 10..PRODUCER + 14)?.try_into().ok()?);
        let epoch = slot(i64::from(epoch)).map_or(epoch, |slot| self.number(slot) as i16);
        let producer = self.number(slot(producer)?);
        let mut own = bytes.to_vec();
        restamp(&mut own, Stamp { producer, epoch, sequence });
        Some(Bytes::from(own))
    }
}

struct Connection {
    stream: TcpStream,
    correlation: i32,
    answered: bool,
}

impl Connection {
    fn receive(&mut self, key: ApiKey, version: i16) -> Outcome {
        let mut size = [0; 4];
        let mut frame = Vec::new();
        let read = self.stream.read_exact(&mut size).and_then(|()| {
            frame.resize(u32::from_be_bytes(size) as usize, 0);
            self.stream.read_exact(&mut frame)
        });
        match read {
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return Outcome::Silent,
            Err(_) => return Outcome::Closed,
            Ok(()) => {}
        }
        match decode_response(key, version, &Bytes::from(frame)) {
            Ok((correlation, node)) if correlation == self.correlation => Outcome::Answer(node),
            Ok((correlation, _)) => Outcome::Malformed(format!("correlation id {correlation} of another request")),
            Err(e) => Outcome::Malformed(e.to_string()),
        }
    }

    /// Whether a connection on which no answer is due is still open: another request is answered there.
    fn look(&mut self) -> Outcome {
        self.correlation += 1;
        let ask = request_frame(ApiKey::API_VERSIONS, 0, self.correlation, None, &Node::request(ApiKey::API_VERSIONS));
        let _ = self.stream.write_all(&ask.into_bytes());
        match self.receive(ApiKey::API_VERSIONS, 0) {
            Outcome::Answer(_) => Outcome::Quiet,
            other => other,
        }
    }

    fn must(&mut self, key: ApiKey, version: i16, body: &Node) -> Node {
        self.correlation += 1;
        let frame = request_frame(key, version, self.correlation, Some("differential"), body).into_bytes();
        self.stream.write_all(&frame).expect("a request of the login");
        match self.receive(key, version) {
            Outcome::Answer(node) => node,
            other => panic!("the login is not answered: {key} v{version}: {other:?}"),
        }
    }
}

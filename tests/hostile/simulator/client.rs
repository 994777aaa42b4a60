//! The client's side: what it sends, and what it must get for it.

use super::dice::Dice;
use crate::input::{Input, damage};
use crate::messages::{Style, Subject, message, subjects};
use crate::stage::{NAMES, tame};
use bytes::Bytes;
use kordon::enforce::{quirks, table};
use kordon::model::{Mechanism, TopicId};
use kordon::wire::header::request_header;
use kordon::wire::schema::{create_topics, fetch, list_offsets, metadata, produce, sasl_authenticate, sasl_handshake};
use kordon::wire::{ApiKey, Node, Scan, WireError, decode, message as frame};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use std::collections::VecDeque;
use std::sync::LazyLock;

static REQUESTS: LazyLock<Vec<Subject>> =
    LazyLock::new(|| subjects().into_iter().filter(|subject| !subject.response).collect());

/// What a request must get.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// One answer, or the end of the connection.
    Answer { id: i32, key: ApiKey, version: i16 },
    /// No answer; the connection may end.
    Silence,
    /// The end of the connection, and nothing behind it.
    End,
}

/// What a frame must get, by an independent look at it.
pub(super) fn due(bytes: &[u8], cap: usize) -> Due {
    if bytes.len() > cap || bytes.len() < 8 {
        return Due::End;
    }
    let header = match request_header(bytes) {
        Ok(header) => header,
        Err(WireError::UnknownApi { key, correlation_id, .. }) if key == ApiKey::API_VERSIONS => {
            return Due::Answer { id: correlation_id, key, version: 0 };
        }
        Err(_) => return Due::End,
    };
    let (id, key, version) = (header.correlation_id, header.key, header.version);
    if table::row_of(key, version).is_err() {
        return if key == ApiKey::API_VERSIONS { Due::Answer { id, key, version: 0 } } else { Due::End };
    }
    let body = Bytes::copy_from_slice(&bytes[header.len..]);
    let body = quirks::mended(&header, &body).unwrap_or(body);
    let def = key.request_def().expect("it has a row");
    if Scan::new().read_request(def, version, &body).is_err() {
        return Due::End;
    }
    let acks = |node: Node| node.i16(produce::request::ACKS);
    match key == ApiKey::PRODUCE && decode(def, version, &body).map(acks) == Ok(0) {
        true => Due::Silence,
        false => Due::Answer { id, key, version },
    }
}

/// What it wants to send and has sent.
#[derive(Default)]
pub(super) struct Client {
    /// Bytes that the machine has not taken.
    pub(super) unsent: VecDeque<u8>,
    /// What the requests must get, in their order.
    pub(super) due: VecDeque<Due>,
    /// Fetch sessions it was told of, and their next epochs.
    pub(super) sessions: Vec<(i32, i32)>,
    pub(super) asked: usize,
    /// A frame that ends the connection was made: what follows does not count.
    pub(super) spoilt: bool,
    /// A login again was tried: what follows may be taken for a part of it.
    pub(super) shook: bool,
    /// Its messages may have no headers, and their answers none.
    pub(super) raw: bool,
    /// What it said in logins.
    pub(super) said: Vec<Vec<u8>>,
    /// How many messages of a login it has sent.
    talk: usize,
}

impl Client {
    /// Makes a request by chance.
    pub(super) fn ask(&mut self, dice: &mut Dice<'_>, cap: usize, hostile: bool) {
        let id = self.id(dice);
        let asked = if dice.one_in(150) { large_request(dice, cap) } else { self.request(dice) };
        self.send(dice, id, asked, cap, hostile);
    }

    /// The next message of a login again by this mechanism, as an honest client would send it, or another.
    pub(super) fn log_in(&mut self, dice: &mut Dice<'_>, mechanism: Mechanism, cap: usize, hostile: bool) {
        let id = self.id(dice);
        if dice.one_in(6) {
            self.talk = dice.below(3);
        }
        let messages = if mechanism == Mechanism::PLAIN { 1 } else { 2 };
        let asked = match self.talk {
            0 => {
                let name = dice.of(&[mechanism.name(), mechanism.name(), mechanism.name(), "PLAIN", "GSSAPI"]);
                let version = if dice.one_in(16) { 0 } else { 1 };
                let node = Node::request(ApiKey::SASL_HANDSHAKE).with(sasl_handshake::request::MECHANISM, name);
                (ApiKey::SASL_HANDSHAKE, version, node)
            }
            talk => {
                let message = login_message(dice, mechanism, talk == 1);
                let node = Node::request(ApiKey::SASL_AUTHENTICATE);
                let node = node.with(sasl_authenticate::request::AUTH_BYTES, Bytes::from(message));
                (ApiKey::SASL_AUTHENTICATE, dice.of(&[2, 2, 1, 0]), node)
            }
        };
        self.talk = (self.talk + 1) % (messages + 1);
        self.send(dice, id, asked, cap, hostile);
    }

    /// Few numbers: they come again while their first request is unanswered.
    fn id(&mut self, dice: &mut Dice<'_>) -> i32 {
        let id = if dice.one_in(4) { dice.below(3) as i32 } else { self.asked as i32 };
        self.asked += 1;
        id
    }

    fn send(
        &mut self,
        dice: &mut Dice<'_>,
        id: i32,
        (key, version, node): (ApiKey, i16, Node),
        cap: usize,
        hostile: bool,
    ) {
        let client_id = dice.of(&[None, Some("sim"), Some("other")]);
        let mut bytes = frame::request_frame(key, version, id, client_id, &node).into_bytes().split_off(4).to_vec();
        let mut size = bytes.len() as i32;
        if hostile && dice.one_in(30) {
            let plan: Vec<u8> = (0..16).map(|_| dice.below(256) as u8).collect();
            match dice.below(4) {
                0 => size = dice.of(&[i32::MAX, -1, 0, 3, 7, cap as i32 + 1, 0x1603_0102]),
                _ => {
                    damage(&mut bytes, &mut Input(&plan), 1 + plan.len() / 8);
                    size = bytes.len() as i32;
                }
            }
        }
        self.unsent.extend(size.to_be_bytes());
        self.unsent.extend(&bytes);
        self.note_login(&bytes);
        if self.spoilt {
            return;
        }
        let due = if size as usize == bytes.len() { due(&bytes, cap) } else { Due::End };
        self.spoilt = due == Due::End;
        self.due.push_back(due);
    }

    /// Notes what a frame says in a login.
    fn note_login(&mut self, bytes: &[u8]) {
        match bytes {
            [0, 17, 0, 0, ..] => (self.shook, self.raw) = (true, true),
            [0, 17, ..] => self.shook = true,
            [0, 36, ..] => {
                if let Ok((_, node)) = frame::decode_request(&Bytes::copy_from_slice(bytes)) {
                    self.said.extend(node.bytes(sasl_authenticate::request::AUTH_BYTES).map(|bytes| bytes.to_vec()));
                }
            }
            _ => {}
        }
        if self.raw {
            self.said.push(bytes.to_vec());
        }
    }

    fn request(&mut self, dice: &mut Dice<'_>) -> (ApiKey, i16, Node) {
        match dice.below(12) {
            0..4 => produce_request(dice),
            4..8 => self.fetch_request(dice),
            8 => {
                use metadata::request as req;
                let mut node = Node::request(ApiKey::METADATA);
                for _ in 0..dice.below(4) {
                    let topic = node.child(req::TOPICS).with(req::metadata_request_topic::NAME, dice.of(&NAMES));
                    node.push(req::TOPICS, topic);
                }
                (ApiKey::METADATA, dice.of(&[1, 4, 9, 12]), node)
            }
            9 => {
                use create_topics::request as req;
                let mut node = Node::request(ApiKey::CREATE_TOPICS);
                let topic = node.child(req::TOPICS).with(req::creatable_topic::NAME, dice.of(&NAMES));
                node.push(req::TOPICS, topic);
                (ApiKey::CREATE_TOPICS, dice.of(&[2, 5, 7]), node)
            }
            10 => {
                use list_offsets::request as req;
                let mut node = Node::request(ApiKey::LIST_OFFSETS).with(req::REPLICA_ID, -1);
                for _ in 0..dice.below(4) {
                    let mut topic = node.child(req::TOPICS).with(req::list_offsets_topic::NAME, dice.of(&NAMES));
                    let partition = topic.child(req::list_offsets_topic::PARTITIONS);
                    topic.push(req::list_offsets_topic::PARTITIONS, partition);
                    node.push(req::TOPICS, topic);
                }
                (ApiKey::LIST_OFFSETS, dice.of(&[1, 7]), node)
            }
            _ => {
                let subject = REQUESTS[dice.below(REQUESTS.len())];
                let seed = dice.seed();
                let mut node = message(subject, Style::Random, seed);
                tame(&mut node, &mut StdRng::seed_from_u64(seed));
                (subject.api.key, subject.version, node)
            }
        }
    }

    fn fetch_request(&mut self, dice: &mut Dice<'_>) -> (ApiKey, i16, Node) {
        use fetch::request::{self as req, fetch_topic, forgotten_topic};
        let version: i16 = dice.of(&[4, 6, 11, 12, 13, 16, 17]);
        let mut node = Node::request(ApiKey::FETCH).with(req::SESSION_EPOCH, dice.of(&[-1, 0, 0, 0]));
        // From version 15 on it is a tag whose default is no replica, too.
        node.set(req::REPLICA_ID, -1);
        let session = dice.below(self.sessions.len() + 2);
        if version >= 7
            && let Some((id, epoch)) = self.sessions.get_mut(session)
        {
            *epoch += 1;
            node.set(req::SESSION_ID, *id);
            node.set(req::SESSION_EPOCH, if dice.one_in(10) { -1 } else { *epoch - 1 });
        } else if version >= 7 && dice.one_in(20) {
            node.set(req::SESSION_ID, 4711);
            node.set(req::SESSION_EPOCH, 3);
        }
        let names: &[&str] = if dice.one_in(3) { &NAMES } else { &NAMES[..3] };
        let id_of =
            |name: &str| NAMES.iter().filter(|n| !n.is_empty()).position(|n| *n == name).map_or(77, |n| n as u8 + 1);
        for _ in 0..dice.below(4) {
            let (name, number) = (dice.of(names), dice.below(3) as i32);
            if dice.one_in(6) {
                let topic = node.child(req::FORGOTTEN_TOPICS_DATA).with(forgotten_topic::TOPIC, name);
                let topic = topic.with(forgotten_topic::TOPIC_ID, TopicId([id_of(name); 16]));
                node.push(req::FORGOTTEN_TOPICS_DATA, topic.with(forgotten_topic::PARTITIONS, vec![0_i32, 1, 2]));
                continue;
            }
            let mut topic = node.child(req::TOPICS).with(fetch_topic::TOPIC, name);
            topic.set(fetch_topic::TOPIC_ID, TopicId([id_of(name); 16]));
            let partition = topic.child(fetch_topic::PARTITIONS).with(req::fetch_partition::PARTITION, number);
            topic.push(fetch_topic::PARTITIONS, partition);
            node.push(req::TOPICS, topic);
        }
        (ApiKey::FETCH, version, node)
    }
}

/// A message of a login of alice, who now and then says that she is somebody else.
fn login_message(dice: &mut Dice<'_>, mechanism: Mechanism, first: bool) -> Vec<u8> {
    let which = if dice.one_in(4) { 1 + dice.below(2) } else { 0 };
    let long = |mut message: Vec<u8>| {
        message.resize(3_100, b'a');
        message
    };
    let message: &[u8] = match (mechanism, first) {
        (Mechanism::PLAIN, _) => [&b"\0alice\0secret"[..], b"\0bob\0secret", b"bob\0alice\0secret"][which],
        (Mechanism::OAuthBearer, true) => [&b"n,,\x01auth=Bearer x.y.z\x01\x01"[..], b"", b"\x01"][which],
        (Mechanism::OAuthBearer, false) => b"\x01",
        (_, true) => [&b"n,,n=alice,r=nonce"[..], b"n,,n=bob,r=nonce", b"n,,n=alice,r=nonce,tokenauth=true"][which],
        (_, false) => b"c=biws,r=nonce+,p=AAAA",
    };
    if dice.one_in(64) { long(message.to_vec()) } else { message.to_vec() }
}

/// A request as large as may be, of the smallest things.
fn large_request(dice: &mut Dice<'_>, cap: usize) -> (ApiKey, i16, Node) {
    let name = dice.of(&["c", "open", "closed"]);
    let (key, version, node) = match dice.below(3) {
        0 => {
            use produce::request::{self as req, topic_produce_data};
            let mut node = Node::request(ApiKey::PRODUCE).with(req::ACKS, 1_i16);
            for _ in 0..cap / 12 {
                node.push(req::TOPIC_DATA, node.child(req::TOPIC_DATA).with(topic_produce_data::NAME, name));
            }
            (ApiKey::PRODUCE, 9, node)
        }
        1 => {
            use metadata::request::{self as req, metadata_request_topic};
            let mut node = Node::request(ApiKey::METADATA);
            for _ in 0..cap / 12 {
                node.push(req::TOPICS, node.child(req::TOPICS).with(metadata_request_topic::NAME, name));
            }
            (ApiKey::METADATA, 9, node)
        }
        _ => {
            use fetch::request::{self as req, fetch_partition, fetch_topic};
            let mut node = Node::request(ApiKey::FETCH).with(req::SESSION_EPOCH, 0).with(req::REPLICA_ID, -1);
            let mut topic = node.child(req::TOPICS).with(fetch_topic::TOPIC, name);
            for number in 0..cap / 40 {
                let partition = topic.child(fetch_topic::PARTITIONS);
                topic.push(fetch_topic::PARTITIONS, partition.with(fetch_partition::PARTITION, number as i32));
            }
            node.push(req::TOPICS, topic);
            (ApiKey::FETCH, 12, node)
        }
    };
    (key, version, node)
}

fn produce_request(dice: &mut Dice<'_>) -> (ApiKey, i16, Node) {
    use produce::request::{self as req, partition_produce_data, topic_produce_data};
    let mut node = Node::request(ApiKey::PRODUCE).with(req::ACKS, dice.of(&[1_i16, -1, -1, 0]));
    let size = dice.of(&[61, 61, 400, 5_000]);
    for _ in 0..1 + dice.below(3) {
        let name = if dice.one_in(4) { dice.of(&NAMES) } else { dice.of(&NAMES[..3]) };
        let mut topic = node.child(req::TOPIC_DATA).with(topic_produce_data::NAME, name);
        let records = Bytes::from(vec![0; size]);
        let partition = topic.child(topic_produce_data::PARTITION_DATA).with(partition_produce_data::RECORDS, records);
        topic.push(topic_produce_data::PARTITION_DATA, partition);
        node.push(req::TOPIC_DATA, topic);
    }
    (ApiKey::PRODUCE, dice.of(&[3, 8, 9, 12]), node)
}

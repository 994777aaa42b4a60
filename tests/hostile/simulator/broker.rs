//! The broker's side: it reads when it likes, answers in order, keeps fetch sessions; or it does not.

use super::dice::Dice;
use super::logins;
use crate::input::{Input, damage};
use crate::messages::{Style, Subject, message};
use crate::stage::{BROKER_HOST, NAMES, frames, tame};
use bytes::Bytes;
use kordon::identity::sasl;
use kordon::model::TopicId;
use kordon::wire::schema::{fetch, produce};
use kordon::wire::{ApiKey, ErrorCode, Node, api, message as frame};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// A topic by name and id; fetches of one session may name it either way.
type Named = (String, TopicId);

fn canonical(name: &str, id: TopicId) -> Named {
    let known = NAMES.iter().filter(|name| !name.is_empty()).zip(1_u8..);
    let found = known.map(|(name, n)| (*name, TopicId([n; 16]))).find(|known| known.0 == name || known.1 == id);
    found.map_or_else(|| (name.to_owned(), id), |(name, id)| (name.to_owned(), id))
}

#[derive(Default)]
pub(super) struct Broker {
    /// What it has read and not made requests of.
    read: Vec<u8>,
    /// Requests that it has not answered.
    waiting: VecDeque<Bytes>,
    /// Answers that the machine has not taken.
    pub(super) unsent: VecDeque<u8>,
    sessions: BTreeMap<i32, BTreeSet<Named>>,
    next_session: i32,
    /// It has sent what no broker sends.
    pub(super) spoilt: bool,
    pub(super) answered: usize,
    /// The login that is under way.
    login: Option<sasl::Exchange>,
}

fn is_login(key: ApiKey) -> bool {
    [ApiKey::SASL_HANDSHAKE, ApiKey::SASL_AUTHENTICATE].contains(&key)
}

impl Broker {
    pub(super) fn take(&mut self, bytes: &[u8]) {
        self.read.extend_from_slice(bytes);
        for request in frames(&mut self.read) {
            let (header, node) = frame::decode_request(&request).expect("what is written can be read");
            assert!(!is_login(header.key) || self.waiting.is_empty(), "a login while something is unanswered");
            let silent = header.key == ApiKey::PRODUCE && node.i16(produce::request::ACKS) == 0;
            if !silent {
                self.waiting.push_back(request);
            }
        }
    }

    pub(super) fn owes(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Answers the next request.
    pub(super) fn answer(&mut self, dice: &mut Dice<'_>, hostile: bool) {
        let Some(request) = self.waiting.pop_front() else { return };
        let (header, asked) = frame::decode_request(&request).expect("what is written can be read");
        let seed = dice.seed();
        let node = match header.key {
            ApiKey::FETCH => self.fetch(header.version, &asked, dice),
            key if is_login(key) => logins::answer((key, header.version), &asked, &mut self.login, dice),
            key => {
                let subject = Subject { api: api(key).expect("it was asked"), response: true, version: header.version };
                let mut node = message(subject, if dice.one_in(3) { Style::Random } else { Style::Defaults }, seed);
                tame(&mut node, &mut StdRng::seed_from_u64(seed));
                node
            }
        };
        let mut bytes =
            frame::response_frame(header.key, header.version, header.correlation_id, &node).into_bytes().to_vec();
        self.answered += 1;
        self.spoilt |= is_login(header.key) && logins::is_too_long(&bytes);
        if hostile && dice.one_in(20) {
            self.spoilt = true;
            let plan: Vec<u8> = (0..16).map(|_| dice.below(256) as u8).collect();
            match dice.below(5) {
                0 => bytes.extend(bytes.clone()),
                1 => bytes.iter_mut().take(4).for_each(|b| *b = dice.below(256) as u8),
                2 => drop(bytes.drain(bytes.len() / 2..)),
                _ => damage(&mut bytes, &mut Input(&plan), 2),
            }
        }
        self.unsent.extend(bytes);
    }

    fn fetch(&mut self, version: i16, asked: &Node, dice: &mut Dice<'_>) -> Node {
        use fetch::request::{self as req, fetch_topic, forgotten_topic};
        use fetch::response::{self as res, fetchable_topic_response, node_endpoint, partition_data};
        let named = |node: &Node, name, id| canonical(node.str(name), node.uuid(id));
        let fetched = asked.nodes(req::TOPICS).iter().map(|t| named(t, fetch_topic::TOPIC, fetch_topic::TOPIC_ID));
        let mut topics: BTreeSet<Named> = fetched.collect();
        let (mut id, epoch) = (asked.i32(req::SESSION_ID), asked.i32(req::SESSION_EPOCH));
        let mut answer = Node::response(ApiKey::FETCH);
        if version >= 7 && epoch > 0 {
            let Some(session) = self.sessions.get_mut(&id) else {
                return answer.with(res::ERROR_CODE, ErrorCode::FETCH_SESSION_ID_NOT_FOUND);
            };
            for gone in asked.nodes(req::FORGOTTEN_TOPICS_DATA) {
                session.remove(&named(gone, forgotten_topic::TOPIC, forgotten_topic::TOPIC_ID));
            }
            session.extend(topics);
            topics = session.clone();
        } else {
            self.sessions.remove(&id);
            id = 0;
            if version >= 7 && epoch == 0 && !dice.one_in(6) {
                self.next_session += 1;
                id = self.next_session;
                self.sessions.insert(id, topics.clone());
            }
        }
        answer.set(res::SESSION_ID, id);
        for (name, uuid) in topics {
            if dice.one_in(4) {
                continue;
            }
            let mut topic = answer.child(res::RESPONSES).with(fetchable_topic_response::TOPIC, name.as_str());
            topic.set(fetchable_topic_response::TOPIC_ID, uuid);
            let records = Bytes::from(vec![7; dice.of(&[1, 10, 300, 9_000])]);
            let partition = topic.child(fetchable_topic_response::PARTITIONS).with(partition_data::RECORDS, records);
            topic.push(fetchable_topic_response::PARTITIONS, partition);
            answer.push(res::RESPONSES, topic);
        }
        if dice.one_in(3) {
            let endpoint = answer.child(res::NODE_ENDPOINTS).with(node_endpoint::NODE_ID, 1);
            answer.push(
                res::NODE_ENDPOINTS,
                endpoint.with(node_endpoint::HOST, BROKER_HOST).with(node_endpoint::PORT, 9),
            );
        }
        answer
    }
}

//! Topics: which there are, how they come and go.

use super::Shared;
use super::configs;
use super::log::{Limits, Log};
use crate::model::TopicId;
use crate::wire::schema::{create_topics as ct, delete_topics as dt};
use crate::wire::{ApiKey, ErrorCode, Node, Value};
use std::collections::{BTreeMap, HashMap};

/// The most partitions of all topics together.
const MAX_PARTITIONS: usize = 10_000;
/// Kafka's limit on the length of a topic's name.
const MAX_NAME: usize = 249;
/// `message.max.bytes` of Kafka.
const MAX_BATCH: usize = 1_048_588;

/// A topic.
#[derive(Debug)]
pub(super) struct Topic {
    id: TopicId,
    logs: Vec<Log>,
    configs: BTreeMap<String, String>,
}

/// All topics.
#[derive(Debug, Default)]
pub(super) struct Topics {
    topics: BTreeMap<String, Topic>,
    names: HashMap<TopicId, String>,
    partitions: usize,
}

/// Why a topic was not made.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) code: ErrorCode,
    pub(super) message: String,
}

impl Refused {
    pub(super) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

impl Topic {
    pub(super) fn id(&self) -> TopicId {
        self.id
    }

    pub(super) fn partitions(&self) -> i32 {
        i32::try_from(self.logs.len()).unwrap_or(i32::MAX)
    }

    pub(super) fn configs(&self) -> &BTreeMap<String, String> {
        &self.configs
    }

    pub(super) fn log(&self, partition: i32) -> Option<&Log> {
        self.logs.get(usize::try_from(partition).ok()?)
    }

    /// A log and what it may hold, if the broker allows `total` bytes.
    pub(super) fn log_mut(&mut self, partition: i32, total: usize) -> Option<(&mut Log, Limits)> {
        let number = |key: &str| self.configs.get(key).and_then(|value| value.parse::<usize>().ok());
        let limits = Limits {
            batch: number("max.message.bytes").unwrap_or(MAX_BATCH),
            total: number("retention.bytes").map_or(total, |own| own.min(total)),
        };
        Some((self.logs.get_mut(usize::try_from(partition).ok()?)?, limits))
    }
}

impl Topics {
    pub(super) fn get(&self, name: &str) -> Option<&Topic> {
        self.topics.get(name)
    }

    pub(super) fn get_mut(&mut self, name: &str) -> Option<&mut Topic> {
        self.topics.get_mut(name)
    }

    pub(super) fn name_of(&self, id: TopicId) -> Option<&str> {
        self.names.get(&id).map(String::as_str)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Topic)> {
        self.topics.iter().map(|(name, topic)| (name.as_str(), topic))
    }

    /// The name that a request means, which has ids instead of names from some version on.
    pub(super) fn resolve(&self, by_id: bool, name: &str, id: TopicId) -> Result<String, ErrorCode> {
        if by_id { self.name_of(id).map(String::from).ok_or(ErrorCode::UNKNOWN_TOPIC_ID) } else { Ok(name.to_owned()) }
    }

    /// Makes a topic.
    pub(super) fn create(
        &mut self,
        name: &str,
        partitions: i32,
        configs: BTreeMap<String, String>,
    ) -> Result<&Topic, Refused> {
        self.check(name, partitions)?;
        let id = TopicId(rand::random());
        let count = usize::try_from(partitions).unwrap_or_default();
        self.partitions += count;
        self.names.insert(id, name.to_owned());
        let topic = Topic { id, logs: (0..count).map(|_| Log::new()).collect(), configs };
        Ok(self.topics.entry(name.to_owned()).or_insert(topic))
    }

    fn check(&self, name: &str, partitions: i32) -> Result<(), Refused> {
        if !valid_name(name) {
            let message =
                "Topic name is empty, too long, or has other characters than ASCII letters, digits, . _ and -.";
            return Err(Refused::new(ErrorCode::INVALID_TOPIC_EXCEPTION, message));
        }
        if self.topics.contains_key(name) {
            let message = format!("Topic '{name}' already exists.");
            return Err(Refused::new(ErrorCode::TOPIC_ALREADY_EXISTS, message));
        }
        let room = MAX_PARTITIONS.saturating_sub(self.partitions);
        match usize::try_from(partitions) {
            Ok(1..) if usize::try_from(partitions).is_ok_and(|count| count <= room) => Ok(()),
            Ok(1..) => Err(Refused::new(
                ErrorCode::POLICY_VIOLATION,
                format!("the demo broker has room for {room} more partitions"),
            )),
            _ => Err(Refused::new(ErrorCode::INVALID_PARTITIONS, "Number of partitions must be larger than 0.")),
        }
    }

    fn remove(&mut self, name: &str) -> bool {
        let Some(topic) = self.topics.remove(name) else { return false };
        self.names.remove(&topic.id);
        self.partitions = self.partitions.saturating_sub(topic.logs.len());
        true
    }
}

/// Whether Kafka allows a topic of this name (`org.apache.kafka.common.internals.Topic`).
pub(super) fn valid_name(name: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    !matches!(name, "" | "." | "..") && name.len() <= MAX_NAME && name.bytes().all(legal)
}

pub(super) fn create_topics(shared: &Shared, request: &Node) -> Node {
    use ct::{request as q, response as r};
    let mut answer = Node::response(ApiKey::CREATE_TOPICS);
    let only_check = request.bool(q::VALIDATE_ONLY);
    let mut state = shared.state();
    let mut seen: HashMap<&str, usize> = HashMap::new();
    for wanted in request.nodes(q::TOPICS) {
        *seen.entry(wanted.str(q::creatable_topic::NAME)).or_default() += 1;
    }
    for wanted in request.nodes(q::TOPICS) {
        use r::creatable_topic_result as row;
        let name = wanted.str(q::creatable_topic::NAME);
        match seen.get_mut(name) {
            Some(1) => {}
            // Told once, however often it was named.
            Some(times @ 2..) => {
                *times = 0;
                let result = answer
                    .child(r::TOPICS)
                    .with(row::NAME, name)
                    .with(row::ERROR_CODE, ErrorCode::INVALID_REQUEST)
                    .with(row::ERROR_MESSAGE, "Duplicate topic name.");
                answer.push(r::TOPICS, result);
                continue;
            }
            _ => continue,
        }
        let result = answer.child(r::TOPICS).with(row::NAME, name).with(row::ERROR_MESSAGE, Value::Null);
        let result = match wish(wanted, shared.settings.partitions).and_then(|(partitions, configs)| {
            if only_check {
                state.topics.check(name, partitions).map(|()| (TopicId::ZERO, partitions, configs))
            } else {
                let topic = state.topics.create(name, partitions, configs)?;
                Ok((topic.id(), partitions, topic.configs().clone()))
            }
        }) {
            Ok((id, partitions, set)) => {
                let configs: Vec<Node> = configs::topic(&set).map(|config| config.created(&result)).collect();
                result
                    .with(row::TOPIC_ID, id)
                    .with(row::NUM_PARTITIONS, partitions)
                    .with(row::REPLICATION_FACTOR, 1)
                    .with(row::CONFIGS, configs)
            }
            Err(refused) => {
                result.with(row::ERROR_CODE, refused.code).with(row::ERROR_MESSAGE, refused.message.as_str())
            }
        };
        answer.push(r::TOPICS, result);
    }
    answer
}

/// The partitions and configurations that a request asks for.
fn wish(wanted: &Node, default_partitions: i32) -> Result<(i32, BTreeMap<String, String>), Refused> {
    use ct::request::{creatable_topic as q, creatable_topic_config as c};
    let assigned = wanted.nodes(q::ASSIGNMENTS).len();
    let partitions = match (wanted.i32(q::NUM_PARTITIONS), assigned) {
        (-1, 0) => default_partitions,
        (-1, count) => i32::try_from(count).unwrap_or(i32::MAX),
        (count, _) => count,
    };
    let replicas = wanted.i32(q::REPLICATION_FACTOR);
    if !matches!(replicas, -1 | 1) {
        let message = format!("Unable to replicate the partition {replicas} time(s): there is one broker.");
        return Err(Refused::new(ErrorCode::INVALID_REPLICATION_FACTOR, message));
    }
    let mut configs = BTreeMap::new();
    for config in wanted.nodes(q::CONFIGS) {
        let name = config.str(c::NAME);
        if !configs::is_topic_config(name) {
            let message = format!("Unknown topic config name: {}", name.chars().take(MAX_NAME).collect::<String>());
            return Err(Refused::new(ErrorCode::INVALID_CONFIG, message));
        }
        if let Some(value) = config.opt_str(c::VALUE) {
            configs.insert(name.to_owned(), value.to_owned());
        }
    }
    Ok((partitions, configs))
}

pub(super) fn delete_topics(shared: &Shared, version: i16, request: &Node) -> Node {
    use dt::{request as q, response as r};
    let mut answer = Node::response(ApiKey::DELETE_TOPICS);
    let mut state = shared.state();
    let asked: Vec<(Option<String>, TopicId)> = if version >= 6 {
        let of = |topic: &Node| {
            let id = topic.uuid(q::delete_topic_state::TOPIC_ID);
            let name = topic.opt_str(q::delete_topic_state::NAME).or_else(|| state.topics.name_of(id));
            (name.map(String::from), id)
        };
        request.nodes(q::TOPICS).iter().map(of).collect()
    } else {
        request.strs(q::TOPIC_NAMES).map(|name| (Some(name.to_owned()), TopicId::ZERO)).collect()
    };
    for (name, id) in asked {
        use r::deletable_topic_result as row;
        let known = name.as_deref().and_then(|name| state.topics.get(name)).map(Topic::id);
        let code = match (&name, known) {
            (Some(name), Some(_)) => {
                state.topics.remove(name);
                state.groups.forget_topic(name);
                ErrorCode::NONE
            }
            (Some(_), None) => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
            (None, _) => ErrorCode::UNKNOWN_TOPIC_ID,
        };
        let result = answer
            .child(r::RESPONSES)
            .with(row::NAME, name.as_deref())
            .with(row::TOPIC_ID, known.unwrap_or(id))
            .with(row::ERROR_CODE, code)
            .with(row::ERROR_MESSAGE, (!code.is_none()).then(|| code.message()));
        answer.push(r::RESPONSES, result);
    }
    drop(state);
    // Fetches that wait on a deleted topic have an error to report.
    shared.appended.send_replace(());
    answer
}

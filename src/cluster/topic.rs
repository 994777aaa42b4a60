//! Makes a topic of the proxy's own where it is missing.

use super::link::LinkError;
use super::metadata::by_name;
use super::{AskError, Cluster};
use crate::wire::schema::create_topics::request::{self, creatable_topic, creatable_topic_config};
use crate::wire::schema::create_topics::response::{self, creatable_topic_result};
use crate::wire::{ApiKey, ErrorCode, Node};
use std::time::Duration;

/// How long is waited before asking again.
const RETRY: Duration = Duration::from_millis(500);

/// A topic as it should be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicSpec {
    /// The name.
    pub name: String,
    /// Whether it may be made.
    pub create: bool,
    /// Partitions.
    pub partitions: i32,
    /// Replicas of each; `None`: three, or as many as there are brokers.
    pub replication_factor: Option<i16>,
    /// What becomes of its records.
    pub cleanup: Cleanup,
}

/// What becomes of the records of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cleanup {
    /// They are deleted with time.
    Delete {
        /// How long they stay; `None`: for ever.
        retention: Option<Duration>,
    },
    /// The last one of each key stays for ever. The broker's clock stamps them, and what another tool compresses is stored
    /// uncompressed, so that it can be read.
    Compact {
        /// How long a tombstone stays, for those who were away.
        tombstones: Duration,
        /// The largest batch in bytes: what is written as a whole.
        batch: u32,
    },
}

/// Why a topic cannot be had without somebody doing something.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TopicError {
    /// It does not exist and may not be made.
    #[error("topic `{0}` does not exist and `create` is false: make it, or set `create: true`")]
    Missing(String),
    /// The cluster does not let us make it.
    #[error("topic `{topic}` does not exist and the cluster refuses to create it: {}: {message}", code.name())]
    Refused {
        /// The name.
        topic: String,
        /// The error.
        code: ErrorCode,
        /// What the broker says about it.
        message: String,
    },
    /// The cluster does not let us see it.
    #[error(
        "topic `{0}` cannot be seen: the proxy's principal needs Describe and Write on it, and Create if it is missing"
    )]
    Hidden(String),
}

/// Makes sure that the topic exists. Waits for as long as the cluster cannot be asked; `notice` is told why, in words.
/// No right to create is needed if the topic exists. Tells whether it was this call that made it.
///
/// # Errors
/// A [`TopicError`] that waiting does not heal.
pub async fn ensure(cluster: &Cluster, spec: &TopicSpec, notice: impl Fn(&str)) -> Result<bool, TopicError> {
    let mut made = false;
    loop {
        match cluster.leaders(&spec.name).await {
            Ok(_) => return Ok(made),
            Err(AskError::Refused(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)) => {
                let (now, why) = create(cluster, spec).await?;
                made |= now;
                notice(&why);
            }
            Err(AskError::Refused(ErrorCode::TOPIC_AUTHORIZATION_FAILED)) => {
                return Err(TopicError::Hidden(spec.name.clone()));
            }
            Err(AskError::NoBroker) => {
                notice(&cluster.trouble().map_or_else(|| AskError::NoBroker.to_string(), |why| why.to_string()));
            }
            Err(other) => notice(&other.to_string()),
        }
        tokio::time::sleep(RETRY).await;
    }
}

/// Creates it; tells whether it did, and why the topic cannot be used yet.
async fn create(cluster: &Cluster, spec: &TopicSpec) -> Result<(bool, String), TopicError> {
    if !spec.create {
        return Err(TopicError::Missing(spec.name.clone()));
    }
    let Some(link) = cluster.any_link() else { return Ok((false, AskError::NoBroker.to_string())) };
    // Asked anew: the topology may not be known yet, and one broker would make one replica.
    let brokers = match link.call(ApiKey::METADATA, &by_name(&spec.name)).await {
        Ok(answer) => answer.nodes(crate::wire::schema::metadata::response::BROKERS).len(),
        Err(e) => return Ok((false, e.to_string())),
    };
    let answer = match link.call(ApiKey::CREATE_TOPICS, &wanted(spec, brokers)).await {
        Ok(answer) => answer,
        Err(e @ LinkError::NotServed { .. }) => {
            let (topic, code) = (spec.name.clone(), ErrorCode::UNSUPPORTED_VERSION);
            return Err(TopicError::Refused { topic, code, message: e.to_string() });
        }
        Err(e) => return Ok((false, e.to_string())),
    };
    let results = answer.nodes(response::TOPICS);
    let Some(result) = results.first() else { return Ok((false, "an empty answer to CreateTopics".into())) };
    let code = ErrorCode(result.i16(creatable_topic_result::ERROR_CODE));
    let message = result.opt_str(creatable_topic_result::ERROR_MESSAGE).unwrap_or(code.message()).to_owned();
    match code {
        ErrorCode::NONE => {
            tracing::info!(topic = %spec.name, "topic created");
            Ok((true, "its leaders are not known yet".into()))
        }
        ErrorCode::TOPIC_ALREADY_EXISTS => Ok((false, "its leaders are not known yet".into())),
        ErrorCode::REQUEST_TIMED_OUT
        | ErrorCode::NOT_CONTROLLER
        | ErrorCode::COORDINATOR_NOT_AVAILABLE
        | ErrorCode::COORDINATOR_LOAD_IN_PROGRESS
        | ErrorCode::THROTTLING_QUOTA_EXCEEDED
        | ErrorCode::NETWORK_EXCEPTION => Ok((false, format!("{}: {message}", code.name()))),
        // Brokers may be on their way.
        ErrorCode::INVALID_REPLICATION_FACTOR if spec.replication_factor.is_none() => {
            Ok((false, format!("{}: {message}", code.name())))
        }
        code => Err(TopicError::Refused { topic: spec.name.clone(), code, message }),
    }
}

/// The configs that [`may_lose`] looks at.
pub const MAY_LOSE: [&str; 2] = ["min.insync.replicas", "unclean.leader.election.enable"];

/// Why a topic with so many replicas may lose records that were acknowledged by all in sync, one line each.
pub fn may_lose(configs: &[(String, String)], replicas: usize) -> Vec<String> {
    let of = |key: &str| configs.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str());
    let mut all = Vec::new();
    // One broker may be away, and another be lost with what only it had.
    let safe = if replicas > 2 { 2 } else { 1 };
    if let Some(insync) = of("min.insync.replicas").and_then(|text| text.parse::<usize>().ok()).filter(|n| *n < safe) {
        all.push(format!(
            "its `min.insync.replicas` is `{insync}`, of {replicas} replicas: what is acknowledged can go with a broker; set it to {safe}"
        ));
    }
    if of("unclean.leader.election.enable") == Some("true") {
        all.push(
            "its `unclean.leader.election.enable` is `true`: what is acknowledged can go with a leader; set it to `false`"
                .to_owned(),
        );
    }
    all
}

/// The request. All but one replica must have a record before it is acknowledged, so one broker may be away.
fn wanted(spec: &TopicSpec, brokers: usize) -> Node {
    let auto = i16::try_from(brokers.clamp(1, 3)).unwrap_or(3);
    let replicas = spec.replication_factor.unwrap_or(auto).max(1);
    let mut node = Node::request(ApiKey::CREATE_TOPICS).with(request::TIMEOUT_MS, 15_000_i32);
    let mut topic = node
        .child(request::TOPICS)
        .with(creatable_topic::NAME, spec.name.as_str())
        .with(creatable_topic::NUM_PARTITIONS, spec.partitions)
        .with(creatable_topic::REPLICATION_FACTOR, replicas);
    let millis = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
    let cleanup: [(&str, String); 5] = match &spec.cleanup {
        Cleanup::Delete { retention } => [
            ("cleanup.policy", "delete".to_owned()),
            ("retention.ms", retention.map_or(-1, millis).to_string()),
            ("retention.bytes", "-1".to_owned()),
            ("message.timestamp.type", "CreateTime".to_owned()),
            ("compression.type", "producer".to_owned()),
        ],
        Cleanup::Compact { tombstones, batch } => [
            ("cleanup.policy", "compact".to_owned()),
            ("delete.retention.ms", millis(*tombstones).to_string()),
            ("max.message.bytes", batch.to_string()),
            ("message.timestamp.type", "LogAppendTime".to_owned()),
            ("compression.type", "uncompressed".to_owned()),
        ],
    };
    let safe = [
        ("min.insync.replicas", (replicas - 1).max(1).to_string()),
        ("unclean.leader.election.enable", "false".to_owned()),
    ];
    for (name, value) in cleanup.into_iter().chain(safe) {
        let config = topic
            .child(creatable_topic::CONFIGS)
            .with(creatable_topic_config::NAME, name)
            .with(creatable_topic_config::VALUE, value);
        topic.push(creatable_topic::CONFIGS, config);
    }
    node.push(request::TOPICS, topic);
    node
}

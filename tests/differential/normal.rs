//! The one function through which every answer goes before it is compared.
//!
//! What two clusters cannot have in common is replaced by what it stands for: ids of topics by their names, members,
//! producers, sessions and other numbers drawn by a cluster by the order in which they were first seen, ports,
//! directories and the time of the clock by a word. Reserved values (zero, -1, null, empty) stay as they are.

use std::collections::BTreeSet;

use kordon::model::TopicId;
use kordon::wire::schema::{FieldDef, Kind};
use kordon::wire::{ApiKey, ErrorCode, Node, Value};

use super::names::{self, UNKNOWN_ID};
use super::side::{Outcome, Side};
use crate::support::trace::without_dumps;

/// An answer as it is compared.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tree {
    Leaf(String),
    List(Vec<Tree>),
    Fields(Vec<(&'static str, Tree)>),
}

/// A place where two answers differ.
#[derive(Clone, Debug)]
pub struct Delta {
    /// Names of fields, joined by dots, without positions; in parentheses what is no field.
    pub path: String,
    pub reference: String,
    pub proxied: String,
}

/// Lists whose order is chance in Kafka, with the reason; all others are compared in order.
const UNORDERED: &[(ApiKey, &str, &str)] = &[
    (ApiKey::DELETE_TOPICS, "Responses", "the controller shuffles them"),
    (ApiKey::PRODUCE, "Responses", HASHED),
    (ApiKey::PRODUCE, "Responses.PartitionResponses", HASHED),
    (ApiKey::FETCH, "Responses", HASHED),
    (ApiKey::FETCH, "Responses.Partitions", HASHED),
    (ApiKey::CREATE_PARTITIONS, "Results", HASHED),
    (ApiKey::DELETE_RECORDS, "Topics", HASHED),
    (ApiKey::DELETE_RECORDS, "Topics.Partitions", HASHED),
    (ApiKey::DESCRIBE_TOPIC_PARTITIONS, "Topics", "denied ones come from a hash set"),
    (ApiKey::METADATA, "Topics", "denied ones and missing ones come from hash sets"),
    (ApiKey::CREATE_TOPICS, "Topics", HASHED),
    (ApiKey::ADD_PARTITIONS_TO_TXN, "ResultsByTopicV3AndBelow", HASHED),
    (ApiKey::ADD_PARTITIONS_TO_TXN, "ResultsByTopicV3AndBelow.ResultsByPartition", HASHED),
    (ApiKey::LIST_GROUPS, "Groups", HASHED),
    (ApiKey::JOIN_GROUP, "Members", HASHED),
    (ApiKey::DESCRIBE_GROUPS, "Groups.Members", HASHED),
    (ApiKey::OFFSET_FETCH, "Topics", HASHED),
    (ApiKey::OFFSET_FETCH, "Groups.Topics", HASHED),
    (ApiKey::OFFSET_COMMIT, "Topics", HASHED),
    (ApiKey::TXN_OFFSET_COMMIT, "Topics", HASHED),
    (ApiKey::OFFSET_DELETE, "Topics", HASHED),
    (ApiKey::DESCRIBE_CONFIGS, "Results.Configs", HASHED),
    (ApiKey::WRITE_TXN_MARKERS, "Markers", HASHED),
    (ApiKey::WRITE_TXN_MARKERS, "Markers.Topics", HASHED),
    (ApiKey::WRITE_TXN_MARKERS, "Markers.Topics.Partitions", HASHED),
    (ApiKey::DESCRIBE_LOG_DIRS, "Results.Topics", HASHED),
    (ApiKey::DESCRIBE_LOG_DIRS, "Results.Topics.Partitions", HASHED),
    (ApiKey::DESCRIBE_USER_SCRAM_CREDENTIALS, "Results.CredentialInfos", HASHED),
    (ApiKey::DESCRIBE_SHARE_GROUP_OFFSETS, "Groups.Topics", HASHED),
    (ApiKey::ALTER_SHARE_GROUP_OFFSETS, "Responses", HASHED),
    (ApiKey::DELETE_SHARE_GROUP_OFFSETS, "Responses", HASHED),
    (ApiKey::INITIALIZE_SHARE_GROUP_STATE, "Results", HASHED),
    (ApiKey::READ_SHARE_GROUP_STATE, "Results", HASHED),
    (ApiKey::WRITE_SHARE_GROUP_STATE, "Results", HASHED),
    (ApiKey::DELETE_SHARE_GROUP_STATE, "Results", HASHED),
    (ApiKey::READ_SHARE_GROUP_STATE_SUMMARY, "Results", HASHED),
    (ApiKey::SHARE_FETCH, "Responses", HASHED),
    (ApiKey::SHARE_ACKNOWLEDGE, "Responses", HASHED),
    (ApiKey::LIST_CONFIG_RESOURCES, "ConfigResources", HASHED),
    (ApiKey::DESCRIBE_CLIENT_QUOTAS, "Entries", HASHED),
    (ApiKey::DESCRIBE_CLIENT_QUOTAS, "Entries.Values", HASHED),
    (ApiKey::ELECT_LEADERS, "ReplicaElectionResults", HASHED),
    (ApiKey::DESCRIBE_ACLS, "Resources", HASHED),
    (ApiKey::DESCRIBE_ACLS, "Resources.Acls", HASHED),
    (ApiKey::DELETE_ACLS, "FilterResults.MatchingAcls", HASHED),
    (ApiKey::LIST_TRANSACTIONS, "TransactionStates", HASHED),
    (ApiKey::CONSUMER_GROUP_HEARTBEAT, "Assignment.TopicPartitions", HASHED),
    (ApiKey::SHARE_GROUP_HEARTBEAT, "Assignment.TopicPartitions", HASHED),
    (ApiKey::CONSUMER_GROUP_DESCRIBE, "Groups.Members", HASHED),
    (ApiKey::SHARE_GROUP_DESCRIBE, "Groups.Members", HASHED),
    (ApiKey::STREAMS_GROUP_DESCRIBE, "Groups.Members", HASHED),
    (ApiKey::CONSUMER_GROUP_DESCRIBE, "Groups.Members.Assignment.TopicPartitions", HASHED),
    (ApiKey::CONSUMER_GROUP_DESCRIBE, "Groups.Members.TargetAssignment.TopicPartitions", HASHED),
    (ApiKey::SHARE_GROUP_DESCRIBE, "Groups.Members.Assignment.TopicPartitions", HASHED),
];

/// The broker collects them in a hash map.
const HASHED: &str = "they come out of a hash map";

/// Later than any time that a request names: a broker's own, as the markers of transactions have it.
const NOWADAYS: i64 = 1_750_000_000_000;

/// Fields that hold what a cluster draws for itself, with the word that stands for what is not reserved.
fn word(key: ApiKey, path: &str, parent: &Node, field: &FieldDef) -> Option<&'static str> {
    let word = match (key, path, field.name) {
        (_, _, "ThrottleTimeMs") => "throttle",
        (_, _, "ClusterId") => "cluster",
        (_, _, "Port") => "port",
        (ApiKey::FETCH, _, "SessionId") => "session",
        (ApiKey::PRODUCE, _, "LogAppendTimeMs") => "time",
        (ApiKey::DESCRIBE_TRANSACTIONS, _, "TransactionStartTimeMs") => "time",
        (ApiKey::LIST_OFFSETS, _, "Timestamp") if is_of_now(parent) => "time",
        (ApiKey::API_VERSIONS, _, "FinalizedFeaturesEpoch") => "epoch",
        (_, _, "LastTimestamp") if key == ApiKey::DESCRIBE_PRODUCERS => "time",
        (
            ApiKey::DESCRIBE_QUORUM,
            _,
            "LeaderEpoch" | "LogEndOffset" | "HighWatermark" | "LastFetchTimestamp" | "LastCaughtUpTimestamp",
        ) => "offset",
        (ApiKey::DESCRIBE_CONFIGS, _, "Value") if is_directory(parent) => "directory",
        (ApiKey::DESCRIBE_LOG_DIRS, _, "LogDir" | "TotalBytes" | "UsableBytes") => "directory",
        _ => return None,
    };
    Some(word)
}

/// Whether a record that was looked for by its time has one that no client gave it.
fn is_of_now(partition: &Node) -> bool {
    partition.def().find("Timestamp").is_some_and(|field| partition.int(field) > NOWADAYS)
}

/// Whether the config that is told is a directory of the broker.
fn is_directory(config: &Node) -> bool {
    config.def().find("Name").is_some_and(|field| ["log.dirs", "log.dir"].contains(&config.str(field)))
}

/// An outcome as it is compared.
pub fn tree(side: &mut Side, key: ApiKey, version: i16, outcome: &Outcome) -> Tree {
    match outcome {
        Outcome::Answer(node) if key == ApiKey::SHARE_FETCH => {
            fields(side, key, version, &without_uninitialised(node), "")
        }
        Outcome::Answer(node) => fields(side, key, version, node, ""),
        Outcome::Quiet => Tree::Leaf("(no answer, open)".to_owned()),
        Outcome::Closed => Tree::Leaf("(closed)".to_owned()),
        Outcome::Silent => Tree::Leaf("(silence)".to_owned()),
        Outcome::Malformed(why) => Tree::Leaf(format!("(malformed: {why})")),
    }
}

/// A share partition of a group without members cannot be initialised (`SharePartition.maybeInitialize`, Kafka 4.3). The
/// broker finds out behind the request: whether the answer waits for that and tells the failure is chance. What then has
/// nothing to tell is not told.
fn without_uninitialised(answer: &Node) -> Node {
    use kordon::wire::schema::share_fetch::response::share_fetchable_topic_response::PARTITIONS;
    use kordon::wire::schema::share_fetch::response::{RESPONSES, partition_data as partition};
    let failed = |p: &Node| p.int(partition::ERROR_CODE) == i64::from(ErrorCode::UNKNOWN_SERVER_ERROR.0);
    let tells = |p: &Node| {
        p.int(partition::ERROR_CODE) != 0
            || p.int(partition::ACKNOWLEDGE_ERROR_CODE) != 0
            || p.bytes(partition::RECORDS).is_some_and(|records| !records.is_empty())
            || !p.nodes(partition::ACQUIRED_RECORDS).is_empty()
    };
    let mut answer = answer.clone();
    let topics = answer.nodes_mut(RESPONSES);
    for topic in topics.iter_mut() {
        let partitions = topic.nodes_mut(PARTITIONS);
        partitions.iter_mut().filter(|p| failed(p)).for_each(|p| p.set(partition::ERROR_CODE, 0_i16));
        partitions.retain(tells);
    }
    topics.retain(|topic| !topic.nodes(PARTITIONS).is_empty());
    answer
}

/// What a broker writes into its own topics is its own business: their offsets and records are not compared.
const OF_LOGS: [&str; 10] = [
    "PartitionSize",
    "EndOffset",
    "HighWatermark",
    "LastStableOffset",
    "LogStartOffset",
    "LowWatermark",
    "Offset",
    "Timestamp",
    "Records",
    "Lag",
];

fn fields(side: &mut Side, key: ApiKey, version: i16, node: &Node, path: &str) -> Tree {
    let name =
        ["Name", "Topic", "TopicName"].iter().find_map(|name| node.def().find(name)).map(|field| node.str(field));
    let id = node.def().find("TopicId").map(|field| node.uuid(field));
    let own = |side: &Side| side.ids.iter().any(|(name, own)| name.starts_with("__") && Some(*own) == id);
    let tree = plain_fields(side, key, version, node, path);
    if name.is_some_and(|name| name.starts_with("__")) || own(side) { masked(tree) } else { tree }
}

fn masked(tree: Tree) -> Tree {
    match tree {
        Tree::Fields(all) => Tree::Fields(
            all.into_iter()
                .map(|(name, tree)| match tree {
                    Tree::Leaf(text) if OF_LOGS.contains(&name) && !["-1", ""].contains(&text.as_str()) => {
                        (name, Tree::Leaf("<of a log>".to_owned()))
                    }
                    Tree::List(_) if ["AbortedTransactions", "ActiveProducers"].contains(&name) => {
                        (name, Tree::Leaf("<of a log>".to_owned()))
                    }
                    tree => (name, masked(tree)),
                })
                .collect(),
        ),
        Tree::List(all) => Tree::List(all.into_iter().map(masked).collect()),
        leaf @ Tree::Leaf(_) => leaf,
    }
}

fn plain_fields(side: &mut Side, key: ApiKey, version: i16, node: &Node, path: &str) -> Tree {
    let mut all = Vec::new();
    for (field, def) in node.def().fields() {
        if !def.versions.contains(version) {
            continue;
        }
        let at = if path.is_empty() { def.name.to_owned() } else { format!("{path}.{}", def.name) };
        all.push((def.name, value(side, key, version, node, node.value(field), def, &at)));
    }
    Tree::Fields(all)
}

fn value(side: &mut Side, key: ApiKey, version: i16, parent: &Node, value_: &Value, def: &FieldDef, at: &str) -> Tree {
    match value_ {
        Value::Struct(node) => fields(side, key, version, node, at),
        Value::Nodes(nodes) => {
            let prefix = side.prefix.clone();
            let apart = side.apart.clone();
            let nodes = nodes.iter().filter(|node| {
                !of_the_setup(key, at, node) && !of_another(key, at, node, &prefix) && !is_apart(key, at, node, &apart)
            });
            list(key, at, merged(key, at, nodes.map(|n| fields(side, key, version, n, at)).collect()))
        }
        Value::Ints(numbers) => list(
            key,
            at,
            numbers.iter().map(|n| Tree::Leaf(leaf(side, key, parent, &Value::Int(*n), def, at))).collect(),
        ),
        Value::Array(values) => {
            list(key, at, values.iter().map(|v| Tree::Leaf(leaf(side, key, parent, v, def, at))).collect())
        }
        other => Tree::Leaf(leaf(side, key, parent, other, def, at)),
    }
}

/// Configs of brokers in which the two clusters differ because one of them authorizes.
fn of_the_setup(key: ApiKey, at: &str, node: &Node) -> bool {
    const SETUP: [&str; 3] = ["authorizer.class.name", "allow.everyone.if.no.acl.found", "super.users"];
    let name = || node.def().find("Name").map_or("", |field| node.str(field));
    // Which loggers there are depends on what a broker has done so far; a source of 6 is a logger's.
    let logger = node.def().find("ConfigSource").is_some_and(|field| node.int(field) == 6);
    key == ApiKey::DESCRIBE_CONFIGS && at == "Results.Configs" && (logger || SETUP.contains(&name()))
}

/// Transactional ids stay for days, those of worlds that were asked on another reference included.
fn of_another(key: ApiKey, at: &str, node: &Node, prefix: &str) -> bool {
    let id = || node.def().find("TransactionalId").map_or("", |field| node.str(field));
    key == ApiKey::LIST_TRANSACTIONS && at == "TransactionStates" && id().starts_with('w') && !id().starts_with(prefix)
}

/// What is told of a group that is of another kind on the other side, where kinds are told.
fn is_apart(key: ApiKey, at: &str, node: &Node, apart: &BTreeSet<String>) -> bool {
    const TELLING: [ApiKey; 5] = [
        ApiKey::LIST_GROUPS,
        ApiKey::DESCRIBE_GROUPS,
        ApiKey::CONSUMER_GROUP_DESCRIBE,
        ApiKey::SHARE_GROUP_DESCRIBE,
        ApiKey::STREAMS_GROUP_DESCRIBE,
    ];
    TELLING.contains(&key)
        && at == "Groups"
        && node.def().find("GroupId").is_some_and(|field| apart.contains(node.str(field)))
}

/// A topic may stand in a Fetch answer more than once, with some of its partitions each time: it counts as one.
fn merged(key: ApiKey, at: &str, all: Vec<Tree>) -> Vec<Tree> {
    if key != ApiKey::FETCH || at != "Responses" {
        return all;
    }
    let mut topics: Vec<Vec<(&'static str, Tree)>> = Vec::new();
    for tree in all {
        let Tree::Fields(mut fields) = tree else { continue };
        let same = topics.iter_mut().find(|own| own.iter().zip(&fields).all(|(a, b)| a.0 == "Partitions" || a == b));
        match same {
            None => topics.push(fields),
            Some(own) => {
                let rows = |fields: &mut Vec<(&'static str, Tree)>| fields.iter_mut().position(|f| f.0 == "Partitions");
                let (Some(to), Some(from)) = (rows(own), rows(&mut fields)) else { continue };
                if let (Tree::List(to), Tree::List(from)) = (&mut own[to].1, &mut fields[from].1) {
                    to.append(from);
                    to.sort();
                }
            }
        }
    }
    topics.into_iter().map(Tree::Fields).collect()
}

fn list(key: ApiKey, at: &str, mut all: Vec<Tree>) -> Tree {
    if UNORDERED.iter().any(|(k, path, _)| *k == key && *path == at) {
        all.sort();
    }
    Tree::List(all)
}

fn leaf(side: &mut Side, key: ApiKey, parent: &Node, value: &Value, def: &FieldDef, at: &str) -> String {
    if let Some(word) = word(key, at, parent, def) {
        return match value {
            Value::Int(number) if *number <= 0 => number.to_string(),
            Value::Null => "null".to_owned(),
            Value::Str(text) if text.is_empty() => String::new(),
            _ => format!("<{word}>"),
        };
    }
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(yes) => yes.to_string(),
        Value::F64(number) => number.to_string(),
        Value::Int(number) if def.name == "ErrorCode" || def.name.ends_with("ErrorCode") => {
            let code = ErrorCode(*number as i16);
            if code.is_none() { "0".to_owned() } else { code.to_string() }
        }
        Value::Int(number) if *number > 0 && def.name == "ProducerId" => side.seen("producer", &number.to_string()),
        Value::Int(number) => number.to_string(),
        Value::Uuid(id) => topic(side, *id),
        Value::Str(text) => self::text(side, def, text),
        Value::Bytes(bytes) if matches!(def.kind, Kind::Records) => super::records::describe(side, bytes),
        Value::Bytes(bytes) => format!("{bytes:?}"),
        Value::Struct(_) | Value::Nodes(_) | Value::Ints(_) | Value::Array(_) => "(not a leaf)".to_owned(),
    }
}

fn topic(side: &Side, id: TopicId) -> String {
    if id.is_zero() {
        return "<no id>".to_owned();
    }
    match side.ids.iter().find(|(_, known)| **known == id) {
        Some((name, _)) => format!("<id of {name}>"),
        // One that was sent, and is none; any other was drawn by the cluster for a topic that was not made.
        None if id == UNKNOWN_ID || names::is_placeholder(id) => format!("<id {id}>"),
        None => "<fresh id>".to_owned(),
    }
}

fn text(side: &mut Side, field: &FieldDef, text: &str) -> String {
    let mut text = without_dumps(text);
    if !side.cluster.is_empty() {
        text = text.replace(&side.cluster, "<cluster>");
    }
    while let Some(at) = uuid(&text) {
        let value = text[at..at + 36].to_owned();
        let ordinal = side.seen("uuid", &value);
        text.replace_range(at..at + 36, &ordinal);
    }
    // A group of the newer kinds draws an id for a member that brings none.
    if field.name == "MemberId" && text.len() == 22 {
        return side.seen("member", &text);
    }
    if text.len() >= 22 {
        for (name, id) in &side.ids {
            text = text.replace(&java_uuid(*id), &format!("<id of {name}>"));
        }
    }
    text
}

/// Where a UUID begins in a text.
fn uuid(text: &str) -> Option<usize> {
    let is = |window: &[u8]| {
        window.iter().enumerate().all(|(i, c)| match i {
            8 | 13 | 18 | 23 => *c == b'-',
            _ => c.is_ascii_hexdigit() && !c.is_ascii_uppercase(),
        })
    };
    text.as_bytes().windows(36).position(is)
}

/// An id as Kafka writes it in messages: base64 for URLs, without padding.
fn java_uuid(id: TopicId) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(id.0)
}

/// Where two answers differ.
pub fn differences(reference: &Tree, proxied: &Tree) -> Vec<Delta> {
    let mut found = Vec::new();
    compare("", reference, proxied, &mut found);
    found
}

fn compare(path: &str, reference: &Tree, proxied: &Tree, found: &mut Vec<Delta>) {
    let mut note = |path: String, reference: String, proxied: String| found.push(Delta { path, reference, proxied });
    match (reference, proxied) {
        _ if reference == proxied => {}
        (Tree::Fields(a), Tree::Fields(b)) => {
            for ((name, a), (_, b)) in a.iter().zip(b) {
                let at = if path.is_empty() { (*name).to_owned() } else { format!("{path}.{name}") };
                compare(&at, a, b, found);
            }
        }
        (Tree::List(a), Tree::List(b)) => {
            let (mut sorted_a, mut sorted_b) = (a.clone(), b.clone());
            sorted_a.sort();
            sorted_b.sort();
            if sorted_a == sorted_b {
                note(format!("{path}(order)"), show_heads(a), show_heads(b));
            } else if a.len() == b.len() {
                let heads = |all: &[Tree]| all.iter().map(head).collect::<Vec<_>>();
                let same_order = heads(a) == heads(b);
                let (a, b) = if same_order { (a, b) } else { (&sorted_a, &sorted_b) };
                for (a, b) in a.iter().zip(b) {
                    compare(path, a, b, found);
                }
            } else {
                sorted_a.retain(|x| !b.contains(x));
                sorted_b.retain(|x| !a.contains(x));
                note(format!("{path}(count)"), show(&Tree::List(sorted_a)), show(&Tree::List(sorted_b)));
            }
        }
        _ => {
            let path = if path.is_empty() { "(outcome)".to_owned() } else { path.to_owned() };
            note(path, show(reference), show(proxied));
        }
    }
}

/// What an element of a list is about: what stands first in it, most often a name.
fn head(tree: &Tree) -> String {
    match tree {
        Tree::Leaf(text) => text.clone(),
        Tree::List(all) => all.first().map(head).unwrap_or_default(),
        Tree::Fields(all) => {
            // An error or a number says nothing about what an element is about, where a name follows.
            let named = all.iter().find(|(name, _)| {
                ["Name", "TopicId", "Topic", "GroupId", "TransactionalId", "ResourceName", "Index"]
                    .iter()
                    .any(|n| name.ends_with(n))
            });
            named.or(all.first()).map(|(_, tree)| head(tree)).unwrap_or_default()
        }
    }
}

fn show_heads(all: &[Tree]) -> String {
    all.iter().map(head).collect::<Vec<_>>().join(" ")
}

/// A tree on one line.
pub fn show(tree: &Tree) -> String {
    match tree {
        Tree::Leaf(text) => text.clone(),
        Tree::List(all) => format!("[{}]", all.iter().map(show).collect::<Vec<_>>().join(", ")),
        Tree::Fields(all) => {
            let all: Vec<String> = all.iter().map(|(name, tree)| format!("{name}: {}", show(tree))).collect();
            format!("{{{}}}", all.join(", "))
        }
    }
}

//! Requests by chance: every field of every version from the schema, with values that mean something in this world.
//!
//! [`Maker::request`] fills a request field by field; what belongs together (a config and its kind of resource, a name
//! and an id) is put right by [`tune`] afterwards.

mod pools;
mod tune;

use kordon::wire::schema::{FieldDef, Kind};
use kordon::wire::{ApiKey, Node, Value};

use kordon::model::TopicId;

use super::names::{Names, UNKNOWN_ID};
use super::rng::Rng;

/// Requests that would change the brokers' own topics, if these were named.
const HARMFUL: &[ApiKey] = &[
    ApiKey::PRODUCE,
    ApiKey::CREATE_PARTITIONS,
    ApiKey::DELETE_TOPICS,
    ApiKey::DELETE_RECORDS,
    ApiKey::ALTER_CONFIGS,
    ApiKey::INCREMENTAL_ALTER_CONFIGS,
    ApiKey::WRITE_TXN_MARKERS,
    ApiKey::ALTER_PARTITION_REASSIGNMENTS,
    ApiKey::ALTER_REPLICA_LOG_DIRS,
    ApiKey::ELECT_LEADERS,
    ApiKey::SHARE_FETCH,
    ApiKey::INITIALIZE_SHARE_GROUP_STATE,
    ApiKey::WRITE_SHARE_GROUP_STATE,
];

/// Makes requests of one world.
pub struct Maker<'w> {
    pub rng: &'w mut Rng,
    pub names: &'w Names,
    key: ApiKey,
    version: i16,
}

impl<'w> Maker<'w> {
    /// A request of an API in a version.
    pub fn request(rng: &'w mut Rng, names: &'w Names, key: ApiKey, version: i16) -> Node {
        let mut maker = Self { rng, names, key, version };
        let filled = maker.fill(Node::request(key), "");
        let mut request = maker.tune(filled);
        // Who names a thing twice asks for trouble; seldom, lest there be nothing else. A 4.3 broker never frees a group whose
        // member joins with a protocol twice: the group would stay for ever, with nobody in it.
        if !maker.rng.chance(8) || key == ApiKey::JOIN_GROUP {
            once(&mut request);
        }
        request
    }

    /// A name of a topic; where the request might end the world for all others, none of the broker's own.
    fn topic(&mut self) -> String {
        let name = self.names.topic(self.rng);
        let own = name.starts_with("__") && name != "__cluster_metadata";
        if own && HARMFUL.contains(&self.key) { self.names.missing[0].clone() } else { name }
    }

    /// As [`Maker::topic`], an id.
    fn topic_id(&mut self) -> TopicId {
        let id = self.names.topic_id(self.rng);
        let own = self.names.topic_of(id).is_some_and(|name| name.starts_with("__"));
        if own && HARMFUL.contains(&self.key) { UNKNOWN_ID } else { id }
    }

    fn fill(&mut self, mut node: Node, path: &str) -> Node {
        for (field, def) in node.def().fields() {
            if !def.versions.contains(self.version) {
                continue;
            }
            let at = if path.is_empty() { def.name.to_owned() } else { format!("{path}.{}", def.name) };
            let tagged = def.tag.is_some_and(|(_, versions)| versions.contains(self.version));
            if tagged && self.rng.chance(85) {
                continue;
            }
            if def.nullable.contains(self.version) && self.rng.chance(self.nulls(&at)) {
                node.set(field, Value::Null);
                continue;
            }
            let value = match &def.kind {
                Kind::Struct(_) => Value::from(self.fill(node.child(field), &at)),
                Kind::Array(Kind::Struct(_)) => {
                    let count = self.count(&at);
                    Value::Nodes((0..count).map(|_| self.fill(node.child(field), &at)).collect())
                }
                Kind::Array(kind) => {
                    let count = self.count(&at);
                    let all: Vec<Value> = (0..count).map(|_| self.scalar(&at, def, kind)).collect();
                    match kind {
                        Kind::Str | Kind::Uuid => Value::Array(all),
                        _ => Value::Ints(all.iter().map(|v| if let Value::Int(n) = v { *n } else { 0 }).collect()),
                    }
                }
                kind => self.scalar(&at, def, kind),
            };
            node.set(field, value);
        }
        node
    }

    fn scalar(&mut self, at: &str, def: &FieldDef, kind: &Kind) -> Value {
        match kind {
            Kind::Bool => self.rng.chance(self.yes(def.name)).into(),
            Kind::I8 | Kind::I16 | Kind::U16 | Kind::I32 | Kind::U32 | Kind::I64 => Value::Int(self.int(at, def)),
            Kind::F64 => Value::F64(self.rng.weighted(&[(50, 1.0e9), (40, 2.5e9), (10, -1.0)])),
            Kind::Uuid => self.id(def.name).into(),
            Kind::Str => self.text(at, def).into(),
            Kind::Bytes => self.bytes(def.name).into(),
            Kind::Records => self.records().into(),
            Kind::Struct(_) | Kind::Array(_) => unreachable!("not a scalar"),
        }
    }

    /// Elements of an array: one most often, none seldom, many seldom.
    fn count(&mut self, at: &str) -> usize {
        let most = match at.rsplit('.').next() {
            Some("Topics" | "TopicNames" | "TopicData" | "Groups" | "GroupIds" | "Resources" | "CoordinatorKeys") => 5,
            Some("Assignments") if self.rng.chance(75) => 0,
            Some("Configs") => 2,
            _ => 3,
        };
        match self.rng.below(100) {
            0..7 => 0,
            7..45 => most.min(1),
            98.. => most + 4,
            _ => self.rng.between(most.min(1), most),
        }
    }
}

/// Leaves what is named twice in one list in it once.
fn once(node: &mut Node) {
    for (field, _) in node.def().fields() {
        let own = match node.value(field).clone() {
            Value::Nodes(mut all) => {
                let mut seen = Vec::new();
                all.retain(|element| {
                    let name = identity(element);
                    name.is_none()
                        || !seen.contains(&name) && {
                            seen.push(name);
                            true
                        }
                });
                all.iter_mut().for_each(once);
                Value::Nodes(all)
            }
            Value::Array(mut all) => {
                let mut seen = Vec::new();
                all.retain(|value| {
                    !seen.contains(value) && {
                        seen.push(value.clone());
                        true
                    }
                });
                Value::Array(all)
            }
            Value::Ints(mut all) => {
                let mut seen = Vec::new();
                all.retain(|value| {
                    !seen.contains(value) && {
                        seen.push(*value);
                        true
                    }
                });
                Value::Ints(all)
            }
            Value::Struct(mut inner) => {
                once(&mut inner);
                Value::Struct(inner)
            }
            _ => continue,
        };
        node.set(field, own);
    }
}

/// What an element of a list is about: its names and ids, or its number.
fn identity(node: &Node) -> Option<String> {
    let texts: Vec<String> = node
        .def()
        .fields()
        .filter(|(_, def)| matches!(def.kind, Kind::Str | Kind::Uuid) && NAMING.iter().any(|n| def.name.ends_with(n)))
        .map(|(field, _)| format!("{:?}", node.value(field)))
        .collect();
    if !texts.is_empty() {
        return Some(texts.join(" "));
    }
    let number = node.def().fields().find(|(_, def)| ["Index", "Partition"].iter().any(|n| def.name.ends_with(n)));
    number.map(|(field, _)| node.int(field).to_string())
}

const NAMING: [&str; 7] = ["Name", "Topic", "TopicId", "GroupId", "TransactionalId", "ResourceName", "Path"];

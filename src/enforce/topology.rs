//! What is known of the cluster: brokers, topics by name and id, versions. Pure data; `cluster` keeps it current.

use crate::model::TopicId;
use crate::wire::{ApiKey, Versions};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// A broker as the cluster tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broker {
    /// Node id.
    pub id: i32,
    /// Host of the listener that the proxy uses. Never shown to a client.
    pub host: Arc<str>,
    /// Port of that listener.
    pub port: u16,
    /// Rack, if it has one.
    pub rack: Option<Arc<str>>,
    /// What it serves, by API key; empty until it was asked.
    pub versions: BTreeMap<ApiKey, Versions>,
}

/// A feature of brokers and its range of versions (KIP-584).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feature {
    /// Its name: `transaction.version`, `metadata.version`, ….
    pub name: Arc<str>,
    /// The lowest version, or version level.
    pub min: i16,
    /// The highest.
    pub max: i16,
}

/// The features that brokers tell in ApiVersions. Clients choose protocols by them (transactions, groups), and ask
/// before they log in, when no broker can be asked for them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// What the brokers support.
    pub supported: Vec<Feature>,
    /// What is in force in the cluster.
    pub finalized: Vec<Feature>,
    /// The age of `finalized`; `None` while unknown.
    pub epoch: Option<i64>,
}

/// As whom brokers see the proxy. What changes for these changes for every client (threat 18).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnTraffic {
    /// Its users: those it logs in as, or `ANONYMOUS`.
    pub users: Vec<Arc<str>>,
    /// The client id of its own requests.
    pub client_id: Arc<str>,
}

impl OwnTraffic {
    /// Whether this is one of its users.
    pub fn has_user(&self, name: &str) -> bool {
        self.users.iter().any(|own| **own == *name)
    }

    /// The same of a principal as ACLs write it.
    pub fn has_principal(&self, principal: &str) -> bool {
        principal.strip_prefix("User:").is_some_and(|name| self.has_user(name))
    }
}

/// One immutable view of the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Topology {
    /// Counts up with every change.
    pub generation: u64,
    /// The cluster's id.
    pub cluster_id: Option<Arc<str>>,
    /// The brokers by id.
    pub brokers: BTreeMap<i32, Broker>,
    /// Topic names by id.
    pub names: HashMap<TopicId, Arc<str>>,
    /// Topic ids by name; zero where the cluster has no ids.
    pub ids: HashMap<Arc<str>, TopicId>,
    /// The features of the brokers.
    pub features: Features,
    /// Whether the brokers are known not to create topics by themselves (`auto.create.topics.enable=false`); Kafka's
    /// default, and what is assumed, is that they do.
    pub auto_create_off: bool,
    /// As whom brokers see the proxy.
    pub own: OwnTraffic,
    /// Whether clients are told that brokers take their metrics (`cluster.client_telemetry`).
    pub telemetry: bool,
}

impl Topology {
    /// The name of a topic id.
    pub fn topic_name(&self, id: TopicId) -> Option<&Arc<str>> {
        self.names.get(&id)
    }

    /// Whether a topic of this name is known to exist.
    pub fn has_topic(&self, name: &str) -> bool {
        self.ids.contains_key(name)
    }

    /// The versions of an API that a broker serves; for `None` (a bootstrap port) what every known broker serves.
    /// `None` where it is not served, or nothing is known yet.
    pub fn versions(&self, broker: Option<i32>, key: ApiKey) -> Option<Versions> {
        match broker {
            Some(id) => self.brokers.get(&id)?.versions.get(&key).copied(),
            None => {
                let mut all: Option<Versions> = None;
                for broker in self.brokers.values().filter(|b| !b.versions.is_empty()) {
                    let own = *broker.versions.get(&key)?;
                    all = Some(all.map_or(own, |v| v.intersect(own)));
                }
                all.filter(|v| !v.is_empty())
            }
        }
    }
}

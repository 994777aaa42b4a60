//! A session machine between a client and a broker that the test plays, and policies to judge by.

use bytes::Bytes;
use kordon::enforce::{Broker, DurableToken, Recorder, RequestFacts, Routes, Topology, Trail};
use kordon::identity;
use kordon::model::{Connection, Host, Principal, Subject, Timestamp, TopicId, Verified};
use kordon::policy::{AclChange, AclChanged, ChangeRefused, OwnTopics, ProtocolAcls, Settings, Snapshot};
use kordon::session::{Input, Limits, Machine, Now, Outbox, Outputs, SessionError, World};
use kordon::wire::schema::{Entity, Kind};
use kordon::wire::{ApiKey, ErrorCode, Node, Value};
use rand::Rng;
use rand::seq::IndexedRandom as _;
use std::sync::{Arc, LazyLock};

/// Names that requests and answers are about. What begins with `closed` is not allowed by the policies in the middle of
/// [`POLICIES`].
pub(crate) const NAMES: [&str; 9] =
    ["open", "open-a", "open-b", "closed", "closed-b", "", "*", "kordon.state", "kordon.audit"];
/// Where the broker is; no client may read it.
pub(crate) const BROKER_HOST: &str = "broker-1.internal";
/// Where clients reach it.
pub(crate) const TOLD_HOST: &str = "proxy.example";

/// Everything, nothing, some names, some names and the cluster, all but some names, everything as a super user, some names
/// until [`END`].
pub(crate) const POLICIES: [&str; 7] = [
    "default: deny\nacls:\n  - { allow: [All], principals: [\"User:*\"], resources: [\"*\"] }\n",
    "default: deny\n",
    "default: deny\nacls:\n  - { allow: [All], principals: [\"User:alice\"], resources: [\"topic:open*\", \"group:open*\", \"transactional_id:open*\"] }\n",
    "default: deny\nacls:\n  - { allow: [All], principals: [\"User:alice\"], resources: [\"topic:open*\", \"group:open*\", \"transactional_id:open*\", cluster] }\n",
    "default: allow_if_no_acl\nacls:\n  - { deny: [All], principals: [\"User:*\"], resources: [\"topic:closed*\", \"group:closed*\", \"transactional_id:closed*\"] }\n",
    "default: deny\nsuper_users: [\"User:alice\"]\n",
    "default: deny\nacls:\n  - { allow: [All], principals: [\"User:alice\"], resources: [\"topic:open*\", \"group:open*\", \"transactional_id:open*\"], not_after: 1970-01-01T00:00:10Z }\n",
];
/// When the rights of the last policy end.
pub(crate) const END: i64 = 10_000;
/// The policies of [`POLICIES`] by which nothing that is called `closed…` may reach the broker. By those behind them it may
/// where a right on the cluster stands in for one on the topic, as in Kafka: CREATE, CLUSTER_ACTION.
pub(crate) const CLOSED: std::ops::Range<usize> = 1..3;
/// The one by which nothing that has a name may.
pub(crate) const NOTHING: usize = 1;

static WORLDS: LazyLock<Vec<World>> = LazyLock::new(|| POLICIES.iter().map(|rules| world(rules)).collect());

fn world(rules: &str) -> World {
    let text = format!("version: 1\n{rules}end: true\n");
    let own_topics = OwnTopics { state: Some("kordon.state".into()), audit: vec!["kordon.audit".into()] };
    let settings = Settings { own_topics, protocol_acls: ProtocolAcls::State, ..Settings::default() };
    let loaded = Snapshot::load(text.as_bytes(), "policy.yaml", &settings).unwrap_or_else(|e| panic!("{e:#?}"));
    let versions: std::collections::BTreeMap<_, _> =
        kordon::wire::apis().iter().map(|api| (api.key, api.versions)).collect();
    let broker = |id, host: &str| Broker { id, host: host.into(), port: 9092, rack: None, versions: versions.clone() };
    let names = NAMES.iter().filter(|name| !name.is_empty()).zip(1_u8..);
    let names: Vec<(TopicId, Arc<str>)> = names.map(|(name, n)| (TopicId([n; 16]), Arc::from(*name))).collect();
    let topology = Topology {
        cluster_id: Some("cluster".into()),
        brokers: [(1, broker(1, BROKER_HOST)), (2, broker(2, "broker-2.internal"))].into(),
        ids: names.iter().map(|(id, name)| (Arc::clone(name), *id)).collect(),
        names: names.into_iter().collect(),
        ..Topology::default()
    };
    let routes = Routes::new([(1, (Arc::from(TOLD_HOST), 19_001))]);
    World { snapshot: loaded.snapshot, topology: Arc::new(topology), routes: Arc::new(routes), users: Arc::default() }
}

/// The world with one of [`POLICIES`].
pub(crate) fn world_of(policy: usize) -> World {
    WORLDS[policy].clone()
}

pub(crate) fn connection() -> Connection {
    Connection {
        session_id: "s-1".into(),
        listener: "test".into(),
        host: Host::new([127, 0, 0, 1].into()),
        port: 1,
        mechanism: "PLAINTEXT".into(),
        broker: Some(1),
        relayed: false,
    }
}

pub(crate) fn subject() -> Verified<Subject> {
    identity::fixed::login(&Principal::user("alice")).subject(true)
}

pub(crate) const LIMITS: Limits = Limits {
    frame: 1 << 20,
    login_frame: 1 << 19,
    in_flight: 512,
    ahead_requests: 16,
    ahead_bytes: 1 << 20,
    response_in_memory: 1 << 22,
};

/// Counts what was decided; has room or not; asks for durability or not.
#[derive(Default)]
pub(crate) struct Book {
    pub(crate) full: bool,
    /// The next request that decides something waits for this token.
    pub(crate) token: Option<u64>,
    /// Requests that left decisions, by correlation id.
    pub(crate) judged: Vec<i32>,
}

impl Recorder for Book {
    fn has_room(&self) -> bool {
        !self.full
    }

    fn record(&mut self, request: &RequestFacts<'_>, trail: &Trail) -> Option<DurableToken> {
        assert!(!trail.is_empty(), "nothing to record");
        self.judged.push(request.correlation_id);
        self.token.map(DurableToken)
    }
}

pub(crate) struct Stage {
    pub(crate) machine: Machine,
    pub(crate) book: Book,
    pub(crate) out: Outputs,
    pub(crate) micros: u64,
}

impl Stage {
    pub(crate) fn new(policy: usize, limits: Limits) -> Self {
        let machine = Machine::new(Arc::new(connection()), subject(), world_of(policy), limits);
        let mut stage = Self { machine, book: Book::default(), out: Outputs::default(), micros: 0 };
        stage.input(Input::BrokerReady).expect("nothing has come yet");
        stage
    }

    pub(crate) fn input(&mut self, input: Input) -> Result<(), SessionError> {
        self.micros += 1;
        let now = Now { wall: Timestamp(1), micros: self.micros };
        self.machine.handle(input, now, &mut self.book, &mut self.out)
    }

    pub(crate) fn client(&mut self, bytes: &[u8]) -> Result<(), SessionError> {
        self.machine.from_client.extend_from_slice(bytes);
        self.input(Input::Client)
    }

    pub(crate) fn broker(&mut self, bytes: &[u8]) -> Result<(), SessionError> {
        self.machine.from_broker.extend_from_slice(bytes);
        self.input(Input::Broker)
    }
}

/// Takes up to `most` bytes out of an outbox, as a socket does.
pub(crate) fn drain(outbox: &mut Outbox, most: usize) -> Vec<u8> {
    let mut all = Vec::new();
    while !outbox.is_empty() && all.len() < most {
        let mut slices = [std::io::IoSlice::new(&[]); 8];
        let filled = outbox.slices(&mut slices);
        let before = all.len();
        slices[..filled].iter().for_each(|slice| all.extend_from_slice(slice));
        all.truncate(most);
        outbox.advance(all.len() - before);
    }
    all
}

/// The whole frames at the front of the bytes, without their sizes; takes them away.
pub(crate) fn frames(bytes: &mut Vec<u8>) -> Vec<Bytes> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(size) = bytes.get(at..).and_then(|rest| rest.first_chunk::<4>()) {
        let size = usize::try_from(i32::from_be_bytes(*size)).expect("a size that was written");
        let Some(frame) = bytes.get(at + 4..at + 4 + size) else { break };
        found.push(Bytes::copy_from_slice(frame));
        at += 4 + size;
    }
    bytes.drain(..at);
    found
}

/// What comes of a change of ACLs: it happened, to nothing, or it did not.
pub(crate) fn changed(change: AclChange, happened: bool) -> Result<AclChanged, ChangeRefused> {
    match change {
        _ if !happened => Err(ChangeRefused { code: ErrorCode::REQUEST_TIMED_OUT, message: "not now".to_owned() }),
        AclChange::Create(_) => Ok(AclChanged::Created),
        AclChange::Delete(filters) => Ok(AclChanged::Deleted(filters.iter().map(|_| Vec::new()).collect())),
    }
}

/// Makes a message by chance speak of names, ids and numbers that mean something here.
pub(crate) fn tame(node: &mut Node, rng: &mut impl Rng) {
    let uuid = |rng: &mut _| Value::Uuid(TopicId([*[0, 1, 1, 2, 4, 7, 8, 99].choose(rng).unwrap(); 16]));
    let name = |rng: &mut _| Value::from(*NAMES.choose(rng).unwrap());
    for (field, spec) in node.def().fields() {
        if node.is_null(field) {
            continue;
        }
        match &spec.kind {
            Kind::Struct(_) => {
                if let Some(inner) = node.strct_mut(field) {
                    tame(inner, rng);
                }
            }
            Kind::Array(Kind::Struct(_)) => node.nodes_mut(field).iter_mut().for_each(|inner| tame(inner, rng)),
            _ if rng.random_ratio(1, 8) => {}
            Kind::Str if spec.name.ends_with("Host") => node.set(field, BROKER_HOST),
            Kind::Str => node.set(field, name(rng)),
            Kind::Uuid => node.set(field, uuid(rng)),
            Kind::Array(Kind::Str) => {
                let count = node.values(field).len();
                node.set(field, Value::Array((0..count).map(|_| name(rng)).collect()));
            }
            Kind::Array(Kind::Uuid) => {
                let count = node.values(field).len();
                node.set(field, Value::Array((0..count).map(|_| uuid(rng)).collect()));
            }
            Kind::I8 | Kind::I16 | Kind::I32 | Kind::I64 if spec.name.ends_with("ErrorCode") => node.set(field, 0),
            Kind::I8 | Kind::I16 | Kind::I32 | Kind::I64 => node.set(field, rng.random_range(-1..13_i64)),
            _ => {}
        }
    }
}

/// A name in a request that this policy must not let through to the broker: read from the tree, without the rules.
pub(crate) fn forbidden(policy: usize, key: ApiKey, node: &Node) -> Option<String> {
    let bad = |name: &str| {
        let closed = CLOSED.contains(&policy) && name.starts_with("closed");
        let named = policy == NOTHING && !name.is_empty();
        closed || named
    };
    let bad_id = |id: TopicId| {
        let names = &WORLDS[policy].topology.names;
        names.get(&id).filter(|name| bad(name)).map(|name| format!("{id:?} = {name}"))
    };
    for (field, spec) in node.def().fields() {
        let named = matches!(spec.entity, Entity::TopicName | Entity::GroupId | Entity::TransactionalId);
        let found = match &spec.kind {
            // What a session is to fetch no more nobody is asked about, as in Kafka.
            _ if [ApiKey::FETCH, ApiKey::SHARE_FETCH].contains(&key) && spec.name == "ForgottenTopicsData" => None,
            // A topic of which no partition is named joins no transaction, and nobody is asked about it.
            Kind::Array(Kind::Struct(_)) if spec.name == "V3AndBelowTopics" => {
                let named = |topic: &&Node| topic.def().find("Partitions").is_some_and(|at| !topic.ints(at).is_empty());
                node.nodes(field).iter().filter(named).find_map(|inner| forbidden(policy, key, inner))
            }
            // What a member says that it owns is held against what it was assigned.
            _ if key == ApiKey::CONSUMER_GROUP_HEARTBEAT && spec.name == "TopicPartitions" => None,
            // What a member of a streams group says of itself is text to show: READ on the group is enough (KIP-1331).
            _ if spec.name == "TopologyDescription" => None,
            Kind::Struct(_) => node.strct(field).and_then(|inner| forbidden(policy, key, inner)),
            Kind::Array(Kind::Struct(_)) => node.nodes(field).iter().find_map(|inner| forbidden(policy, key, inner)),
            // Kafka looks at it only where there are transactional records.
            Kind::Str if key == ApiKey::PRODUCE && spec.name == "TransactionalId" => None,
            Kind::Str if named => node.opt_str(field).filter(|name| bad(name)).map(str::to_owned),
            Kind::Array(Kind::Str) if named => node.strs(field).find(|name| bad(name)).map(str::to_owned),
            Kind::Uuid if spec.name.starts_with("TopicId") => bad_id(node.uuid(field)),
            Kind::Array(Kind::Uuid) if spec.name.starts_with("TopicId") => node.uuids(field).find_map(bad_id),
            _ => None,
        };
        if let Some(found) = found {
            return Some(format!("{}.{}: {found}", node.def().name, spec.name));
        }
    }
    None
}

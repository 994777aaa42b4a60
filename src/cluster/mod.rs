//! What the proxy itself says to Kafka: dialling a broker, the topology, the producer of the audit.

pub mod batch;
mod configs;
pub mod credentials;
pub mod dial;
pub mod door;
mod learn;
pub mod link;
pub mod login;
mod metadata;
pub mod passage;
pub mod producer;
pub mod records;
mod tokens;
pub mod topic;
pub mod trouble;
mod wants;

use crate::config::{self, HostPort};
use crate::enforce::topology::{Broker, OwnTraffic, Topology};
use crate::model::TopicId;
use crate::wire::schema::metadata::response::{self, metadata_response_partition, metadata_response_topic};
use crate::wire::{ApiKey, ErrorCode, Node};
use credentials::Credentials;
use dial::Dialler;
use link::{Link, LinkError};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::AbortHandle;

/// The proxy's own view of the cluster and its own connections to it. Cheap to clone; its tasks end with the last
/// clone.
#[derive(Clone, Debug)]
pub struct Cluster {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    topology: watch::Receiver<Arc<Topology>>,
    trouble: watch::Receiver<Option<Arc<str>>>,
    wants: mpsc::Sender<wants::Want>,
    links: Arc<Links>,
    dialler: Dialler,
    /// With a broker that was asked what any broker can answer.
    patience: Duration,
    task: AbortHandle,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The connections that are up.
#[derive(Debug, Default)]
struct Links {
    up: Mutex<Up>,
}

#[derive(Debug, Default)]
struct Up {
    by_id: HashMap<i32, Link>,
    /// Why there is none to a broker.
    unreachable: BTreeMap<i32, Arc<str>>,
    /// To a bootstrap address, until a broker is known.
    seed: Option<Link>,
    turn: usize,
    /// Who answered last of those that are asked again and again.
    same: Option<i32>,
}

impl Up {
    /// Every connection that is up, by the broker's id; until one is known, the one to a bootstrap address.
    fn open(&self) -> Vec<(Option<i32>, Link)> {
        let mut links: Vec<_> = self.by_id.iter().map(|(id, link)| (Some(*id), link.clone())).collect();
        links.retain(|(_, link)| !link.is_closed());
        links.sort_unstable_by_key(|(id, _)| *id);
        if links.is_empty() {
            links.extend(self.seed.clone().filter(|link| !link.is_closed()).map(|link| (None, link)));
        }
        links
    }

    /// There is no connection to a broker now, and nothing is known yet of why.
    fn lost(&mut self, broker: i32) {
        self.by_id.remove(&broker);
        self.unreachable.remove(&broker);
    }

    /// Why no broker of the cluster is connected, although the cluster was asked who they are.
    fn all_unreachable(&self) -> Option<Arc<str>> {
        let (broker, why) = self.unreachable.first_key_value()?;
        let none = self.by_id.values().all(Link::is_closed);
        none.then(|| {
            format!("broker {broker} cannot be reached where it says that it is (`advertised.listeners`): {why}").into()
        })
    }
}

/// What is in the way before anything was tried.
const NOT_YET: &str = "the cluster was not reached yet";

/// What a broker knows of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicInfo {
    /// Its id; zero if the broker is too old to know.
    pub id: TopicId,
    /// By partition.
    pub partitions: Vec<PartitionInfo>,
}

/// What a broker knows of a partition.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct PartitionInfo {
    /// Who leads it; `None` = nobody now.
    pub leader: Option<i32>,
    /// Grows with each election; -1 = not known.
    pub epoch: i32,
    /// How many replicas it is to have.
    pub replicas: usize,
}

/// Why the partitions of a topic are not known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// No broker is connected.
    #[error("no broker is connected")]
    NoBroker,
    /// The connection failed.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The broker answered with an error.
    #[error("{}", .0.name())]
    Refused(ErrorCode),
}

impl Cluster {
    /// Begins to follow the cluster; whether it can be reached shows in [`Self::trouble`]. Must be called within a
    /// tokio runtime.
    pub fn start(config: &config::Cluster) -> Self {
        Self::start_with(config, &[], Dialler::own(config), Vec::new())
    }

    /// As [`Self::start`], by a dialler that somebody else knows too, behind these listeners and what dials for them.
    pub fn start_with(
        config: &config::Cluster,
        listeners: &[config::Listener],
        dialler: Dialler,
        others: Vec<Dialler>,
    ) -> Self {
        std::iter::once(&dialler).chain(&others).for_each(Dialler::ahead);
        let links = Arc::new(Links::default());
        let (wants, wanted) = mpsc::channel(1024);
        let (publish, topology) = watch::channel(Arc::new(at_first(config, listeners)));
        let (tell, trouble) = watch::channel(Some(NOT_YET.into()));
        let follower = metadata::Follower::new(
            metadata::Settings {
                bootstrap: config.bootstrap.clone(),
                refresh: config.metadata_refresh,
                request_timeout: config.request_timeout,
                dialler: dialler.clone(),
                others,
            },
            Arc::clone(&links),
            publish,
            tell,
        );
        let task = tokio::spawn(follower.run(wanted)).abort_handle();
        let patience = config.connect_timeout.min(config.request_timeout);
        Self { shared: Arc::new(Shared { topology, trouble, wants, links, dialler, patience, task }) }
    }

    /// Dials brokers as this does.
    pub fn dialler(&self) -> &Dialler {
        &self.shared.dialler
    }

    /// The cluster as it was last seen. Empty until it was reached.
    pub fn topology(&self) -> Arc<Topology> {
        self.shared.topology.borrow().clone()
    }

    /// Follows the cluster: changes with every generation of the topology.
    pub fn follow(&self) -> watch::Receiver<Arc<Topology>> {
        self.shared.topology.clone()
    }

    /// Why the cluster cannot be used, in words; `None` while it can: the topology is current, and some broker of it connected.
    pub fn trouble(&self) -> Option<Arc<str>> {
        let trouble = self.shared.trouble.borrow().clone();
        trouble.or_else(|| self.shared.links.up().all_unreachable())
    }

    /// As [`Self::trouble`], once something was tried.
    pub fn failure(&self) -> Option<Arc<str>> {
        self.trouble().filter(|why| **why != *NOT_YET)
    }

    /// Asks for topics by id (none, or zero among them: for everything) and waits for the answer, whether it knows them or not. Calls are
    /// joined and paced, so a client that invents ids costs little.
    pub async fn want(&self, ids: Vec<TopicId>) -> Arc<Topology> {
        let (done, answered) = oneshot::channel();
        if self.shared.wants.send(wants::Want { ids, done }).await.is_ok() {
            let _ = answered.await;
        }
        self.topology()
    }

    /// The own connection to a broker, if it is up.
    pub fn link(&self, broker: i32) -> Option<Link> {
        self.shared.links.up().by_id.get(&broker).filter(|link| !link.is_closed()).cloned()
    }

    /// A connection to any broker, another with each call.
    pub fn any_link(&self) -> Option<Link> {
        self.shared.links.any()
    }

    /// The leaders of a topic's partitions, by partition; `None` for one that has no leader now.
    ///
    /// # Errors
    /// An [`AskError`]; a topic that does not exist is `Refused(UNKNOWN_TOPIC_OR_PARTITION)`.
    pub async fn leaders(&self, topic: &str) -> Result<Vec<Option<i32>>, AskError> {
        Ok(self.topic(topic).await?.partitions.into_iter().map(|p| p.leader).collect())
    }

    /// A topic by name, as the next broker in turn knows it: that may be late.
    ///
    /// # Errors
    /// An [`AskError`]; a topic that does not exist is `Refused(UNKNOWN_TOPIC_OR_PARTITION)`.
    pub async fn topic(&self, name: &str) -> Result<TopicInfo, AskError> {
        topic_of(&self.ask(ApiKey::METADATA, &metadata::by_name(name)).await?, name)
    }

    /// Asks the connected brokers, one after the other, until one answers: for what any broker can answer at once, and
    /// what may be asked twice.
    ///
    /// # Errors
    /// An [`AskError`], of the last broker.
    pub async fn ask(&self, key: ApiKey, request: &Node) -> Result<Node, AskError> {
        self.shared.links.ask(self.shared.patience, key, request).await
    }

    /// The same, of the broker that answered last for as long as it does: for what brokers learn each at its own pace, so that
    /// what was seen is not unseen by asking another.
    ///
    /// # Errors
    /// An [`AskError`], of the last broker.
    pub async fn ask_the_same(&self, key: ApiKey, request: &Node) -> Result<Node, AskError> {
        self.shared.links.ask_the_same(self.shared.patience, key, request).await
    }

    /// Waits until a broker is connected, at most this long.
    pub async fn reached(&self, within: Duration) -> bool {
        let mut topology = self.follow();
        let known = topology.wait_for(|t| t.brokers.values().any(|b| !b.versions.is_empty()));
        matches!(tokio::time::timeout(within, known).await, Ok(Ok(_)))
    }
}

impl Links {
    fn up(&self) -> std::sync::MutexGuard<'_, Up> {
        self.up.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the connection to a broker, if it is up.
    fn give_up(&self, broker: i32, why: &'static str) {
        let mut up = self.up();
        let link = up.by_id.get(&broker).cloned();
        up.lost(broker);
        drop(up);
        if let Some(link) = link {
            link.give_up(why);
        }
    }

    fn any(&self) -> Option<Link> {
        self.in_turn().into_iter().next().map(|(_, link)| link)
    }

    /// Every connection that is up, another one first with each call.
    fn in_turn(&self) -> Vec<(Option<i32>, Link)> {
        let mut up = self.up();
        up.turn = up.turn.wrapping_add(1);
        let mut links = up.open();
        if !links.is_empty() {
            let first = up.turn % links.len();
            links.rotate_left(first);
        }
        links
    }

    async fn ask_the_same(&self, patience: Duration, key: ApiKey, request: &Node) -> Result<Node, AskError> {
        let links = {
            let up = self.up();
            let mut links = up.open();
            links.sort_by_key(|(id, _)| *id != up.same);
            links
        };
        let (same, answer) = first_answer(links, patience, key, request).await?;
        self.up().same = same;
        Ok(answer)
    }

    async fn ask(&self, patience: Duration, key: ApiKey, request: &Node) -> Result<Node, AskError> {
        first_answer(self.in_turn(), patience, key, request).await.map(|(_, answer)| answer)
    }
}

/// Asks one broker after the other until one answers, and tells which did.
async fn first_answer(
    links: Vec<(Option<i32>, Link)>,
    patience: Duration,
    key: ApiKey,
    request: &Node,
) -> Result<(Option<i32>, Node), AskError> {
    let mut last = AskError::NoBroker;
    for (id, link) in links {
        match link.call_within(patience, key, request).await {
            Ok(answer) => return Ok((id, answer)),
            Err(error) => last = error.into(),
        }
    }
    Err(last)
}

/// Where a broker is.
impl From<&Broker> for HostPort {
    fn from(broker: &Broker) -> Self {
        Self { host: broker.host.to_string(), port: broker.port }
    }
}

/// Whom Kafka takes for a client that proved nothing (`KafkaPrincipal.ANONYMOUS`).
const ANONYMOUS: &str = "ANONYMOUS";

/// As whom the brokers see the proxy, for clients of these listeners and for itself: by its logins; where it has none by its
/// certificate, as Kafka names it without mapping rules, and where brokers do not ask for that, as `ANONYMOUS`.
pub fn own_users(config: &config::Cluster, listeners: &[config::Listener]) -> Vec<String> {
    let mut users: Vec<String> = Vec::new();
    // Where clients log in by themselves, brokers see them.
    let ours = listeners.iter().filter(|l| !matches!(l.identity, config::Identity::PassThrough(_)));
    let of_listeners = ours.map(|l| (l.upstream_sasl(config), l.upstream_tls(config)));
    let clients = std::iter::once((config.sasl.as_ref(), config.tls.as_ref()));
    for (login, tls) in clients.chain([(config.own_sasl(), config.own_tls())]).chain(of_listeners) {
        match login {
            // Some tokens are not there yet: their users are known once somebody logs in with one.
            Some(login) => users.extend(Credentials::new(login.clone()).user()),
            None => {
                // One that cannot be read is told where it is needed: nothing is dialled without it.
                let certificate = tls.and_then(|tls| crate::tls::Upstream::certificate(tls).ok().flatten());
                users.extend(certificate.map(|certificate| certificate.subject.rfc2253()));
                users.push(ANONYMOUS.to_owned());
            }
        }
    }
    let mut seen = std::collections::HashSet::new();
    users.retain(|user| seen.insert(user.clone()));
    users
}

/// What is known before the cluster was reached: what the configuration says.
fn at_first(config: &config::Cluster, listeners: &[config::Listener]) -> Topology {
    let telemetry = config.client_telemetry == config::ClientTelemetry::Forward;
    let users = own_users(config, listeners).into_iter().map(Into::into).collect();
    let own = OwnTraffic { users, client_id: dial::CLIENT_ID.into() };
    Topology { own, telemetry, ..Topology::default() }
}

fn topic_of(answer: &Node, topic: &str) -> Result<TopicInfo, AskError> {
    let mut topics = answer.nodes(response::TOPICS).iter();
    let Some(found) = topics.find(|t| t.str(metadata_response_topic::NAME) == topic) else {
        return Err(AskError::Refused(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION));
    };
    match ErrorCode(found.i16(metadata_response_topic::ERROR_CODE)) {
        ErrorCode::NONE => {}
        code => return Err(AskError::Refused(code)),
    }
    let partitions = found.nodes(metadata_response_topic::PARTITIONS);
    let mut all = vec![PartitionInfo { leader: None, epoch: -1, replicas: 0 }; partitions.len()];
    for partition in partitions {
        let index = usize::try_from(partition.i32(metadata_response_partition::PARTITION_INDEX));
        let leader = partition.i32(metadata_response_partition::LEADER_ID);
        if let Some(slot) = index.ok().and_then(|i| all.get_mut(i)) {
            let epoch = partition.i32(metadata_response_partition::LEADER_EPOCH);
            let replicas = partition.ints(metadata_response_partition::REPLICA_NODES).len();
            *slot = PartitionInfo { leader: (leader >= 0).then_some(leader), epoch, replicas };
        }
    }
    Ok(TopicInfo { id: found.uuid(metadata_response_topic::TOPIC_ID), partitions: all })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ClientTelemetry, PasswordMechanism, Secret, SecretSource, UpstreamSasl};
    use std::net::SocketAddr;

    /// What brokers say of themselves.
    pub(super) fn told(brokers: &[(i32, SocketAddr)]) -> Node {
        let mut answer = Node::response(ApiKey::METADATA);
        for (id, at) in brokers {
            let broker = answer
                .child(response::BROKERS)
                .with(response::metadata_response_broker::NODE_ID, *id)
                .with(response::metadata_response_broker::HOST, at.ip().to_string().as_str())
                .with(response::metadata_response_broker::PORT, i32::from(at.port()));
            answer.push(response::BROKERS, broker);
        }
        answer
    }

    #[test]
    fn threat_18_the_proxys_users_at_the_brokers_are_known_before_the_cluster_is_reached() {
        let login = |name: &str| UpstreamSasl::Password {
            mechanism: PasswordMechanism::Plain,
            username: name.to_owned(),
            password: Secret(SecretSource::Env("PASSWORD".into())),
        };
        let mut config = config::Cluster::plain("c", Vec::new());
        let users = |config: &config::Cluster| -> Vec<String> {
            at_first(config, &[]).own.users.iter().map(|user| user.to_string()).collect()
        };
        assert_eq!(users(&config), ["ANONYMOUS"]);
        config.sasl = Some(login("clients"));
        assert_eq!(users(&config), ["clients"]);
        config.own = Some(config::UpstreamLogin { tls: None, sasl: Some(login("audit")) });
        assert_eq!(users(&config), ["clients", "audit"]);
        config.own = Some(config::UpstreamLogin { tls: None, sasl: None });
        assert_eq!(users(&config), ["clients", "ANONYMOUS"]);
        config.own = None;
        let text = "version: 1\ninstance: p\ncluster: { name: c, bootstrap: [\"k:1\"] }\n\
            listeners: [{ name: a, bind: \"127.0.0.1:1\", identity: fixed, principal: \"User:a\", brokers: { ports: { ids: 1-1 } },\
            upstream: { sasl: { mechanism: PLAIN, username: others, password: { env: P } } } }]\npolicy: { file: p }\n";
        let listeners = config::parse(text, std::path::Path::new("k"), &|_| None).unwrap().listeners;
        assert!(at_first(&config, &listeners).own.has_user("others"), "and those of listeners");
        assert!(!at_first(&config, &[]).telemetry);
        config.client_telemetry = ClientTelemetry::Forward;
        assert!(at_first(&config, &[]).telemetry);
    }

    #[tokio::test]
    async fn what_was_seen_at_a_broker_is_not_unseen_at_another_that_is_behind() {
        use crate::demo::broker::{self as demo, Seen, Step};
        use crate::wire::schema::describe_acls::response as acls;
        let all: Arc<std::sync::OnceLock<Vec<(i32, SocketAddr)>>> = Arc::default();
        let mut brokers = Vec::new();
        for node_id in 0..3 {
            let all = Arc::clone(&all);
            let script = move |seen: &Seen| match (seen.key, all.get()) {
                (ApiKey::METADATA, Some(all)) => Step::Answer(told(all)),
                (ApiKey::DESCRIBE_ACLS, _) => Step::Answer(
                    Node::response(ApiKey::DESCRIBE_ACLS)
                        .with(acls::ERROR_MESSAGE, format!("broker {node_id}").as_str()),
                ),
                _ => Step::Serve,
            };
            let settings = demo::Settings {
                node_id,
                script: Some(Box::new(script)),
                scripted: vec![ApiKey::DESCRIBE_ACLS],
                ..demo::Settings::default()
            };
            brokers.push(demo::Broker::start(settings).await.unwrap());
        }
        all.set((0..).zip(&brokers).map(|(id, broker)| (id, broker.addr())).collect()).unwrap();
        let seed = HostPort { host: "127.0.0.1".to_owned(), port: brokers[0].addr().port() };
        let cluster = Cluster::start(&config::Cluster::plain("c", vec![seed]));
        let mut topology = cluster.follow();
        let known = topology.wait_for(|known| {
            known.brokers.len() == 3 && known.brokers.values().all(|broker| !broker.versions.is_empty())
        });
        tokio::time::timeout(Duration::from_secs(20), known).await.expect("they are connected").unwrap();
        let request = Node::request(ApiKey::DESCRIBE_ACLS);
        let who = async || {
            let answer = cluster.ask_the_same(ApiKey::DESCRIBE_ACLS, &request).await.unwrap();
            answer.opt_str(acls::ERROR_MESSAGE).unwrap().to_owned()
        };
        let first = who().await;
        for _ in 0..4 {
            cluster.any_link();
            assert_eq!(who().await, first);
        }
        // Until it can no longer be asked.
        let gone: i32 = first.trim_start_matches("broker ").parse().unwrap();
        cluster.shared.links.give_up(gone, "a test");
        let second = who().await;
        assert_ne!(second, first);
        assert_eq!(who().await, second);
    }

    /// The most common fault of a Kafka installation: brokers answer where they are asked first, and then tell addresses
    /// that lead nowhere from here.
    #[tokio::test]
    async fn brokers_that_tell_an_address_where_nobody_listens_are_named_with_it() {
        use crate::demo::broker::{self as demo, Seen, Step};
        let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let script = move |seen: &Seen| match seen.key {
            ApiKey::METADATA => Step::Answer(told(&[(7, nobody)])),
            _ => Step::Serve,
        };
        let settings = demo::Settings { script: Some(Box::new(script)), ..demo::Settings::default() };
        let broker = demo::Broker::start(settings).await.unwrap();
        let at = HostPort { host: broker.addr().ip().to_string(), port: broker.addr().port() };
        let cluster = Cluster::start(&config::Cluster::plain("c", vec![at]));
        let mut topology = cluster.follow();
        let named = topology.wait_for(|known| known.brokers.contains_key(&7));
        tokio::time::timeout(Duration::from_secs(20), named).await.expect("it is named").unwrap();
        let failure = async {
            loop {
                match cluster.failure() {
                    Some(why) => break why,
                    None => tokio::task::yield_now().await,
                }
            }
        };
        let why = tokio::time::timeout(Duration::from_secs(20), failure).await.expect("it is told");
        let begins = "broker 7 cannot be reached where it says that it is (`advertised.listeners`): cannot connect to ";
        assert!(why.starts_with(begins) && why.contains(&nobody.to_string()), "{why}");
        assert!(!cluster.reached(Duration::ZERO).await);
    }
}

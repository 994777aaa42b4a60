//! Follows the cluster: brokers, topics, versions; asks at an interval, and at once where there is a cause.

use super::Links;
use super::dial::Dialler;
use super::learn::{Learned, agreed, learn, take_newer};
use super::link::Link;
use super::wants::{Question, Want, Wants};
use crate::config::HostPort;
use crate::enforce::topology::{Broker, Topology};
use crate::model::TopicId;
use crate::wire::schema::metadata::request::{self, metadata_request_topic};
use crate::wire::schema::metadata::response::{self, metadata_response_broker, metadata_response_topic};
use crate::wire::{ApiKey, ErrorCode, Node, Value};
use rand::Rng as _;
use rand::seq::SliceRandom as _;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;

/// How long a broker may be dialled in vain, at first, before that is said: it may be about to open its port.
const IN_VAIN: Duration = Duration::from_secs(3);
/// The least time between two questions that have a cause.
const PACE: Duration = Duration::from_millis(50);
/// From this version on Metadata finds topics by their id (KIP-516, Kafka 2.8 answers it from version 12 on).
const BY_ID: i16 = 12;
/// The least time between two questions for what hardly ever changes.
const LEARN: Duration = Duration::from_secs(60);
const FIRST_RETRY: Duration = Duration::from_millis(100);
const LAST_RETRY: Duration = Duration::from_secs(3);

pub(super) struct Settings {
    pub bootstrap: Vec<HostPort>,
    pub refresh: Duration,
    pub request_timeout: Duration,
    pub dialler: Dialler,
    /// What dials for clients.
    pub others: Vec<Dialler>,
}

/// What became of the connection to a broker.
enum Change {
    /// It stands.
    Up(Link),
    /// It ended.
    Ended,
    /// It cannot be made, for this reason.
    Unreachable(Arc<str>),
}

/// The task that asks and publishes.
pub(super) struct Follower {
    settings: Arc<Settings>,
    links: Arc<Links>,
    publish: watch::Sender<Arc<Topology>>,
    trouble: watch::Sender<Option<Arc<str>>>,
    /// Connections to the brokers, each kept up by a task; ended with this set.
    keepers: JoinSet<()>,
    kept: HashMap<i32, (HostPort, AbortHandle)>,
    updates: mpsc::UnboundedReceiver<(i32, Change)>,
    update: mpsc::UnboundedSender<(i32, Change)>,
    /// The question under way: at most one.
    asking: JoinSet<Result<Node, String>>,
    /// The topic ids that are being asked for; none: everything is.
    asked_ids: Vec<TopicId>,
    /// The question beside Metadata that is under way: at most one.
    learning: JoinSet<Option<Learned>>,
    next_learn: Instant,
    served: Vec<oneshot::Sender<()>>,
    waiting: Wants,
    next_refresh: Instant,
    next_ask: Instant,
}

impl Follower {
    pub(super) fn new(
        settings: Settings,
        links: Arc<Links>,
        publish: watch::Sender<Arc<Topology>>,
        trouble: watch::Sender<Option<Arc<str>>>,
    ) -> Self {
        let (update, updates) = mpsc::unbounded_channel();
        let now = Instant::now();
        Self {
            settings: Arc::new(settings),
            links,
            publish,
            trouble,
            keepers: JoinSet::new(),
            kept: HashMap::new(),
            updates,
            update,
            asking: JoinSet::new(),
            asked_ids: Vec::new(),
            learning: JoinSet::new(),
            next_learn: now,
            served: Vec::new(),
            waiting: Wants::default(),
            next_refresh: now,
            next_ask: now,
        }
    }

    pub(super) async fn run(mut self, mut wants: mpsc::Receiver<Want>) {
        loop {
            self.ask();
            let wake = if self.waiting.is_empty() { self.next_refresh } else { self.next_ask.min(self.next_refresh) };
            let idle = self.asking.is_empty();
            // Every branch may be dropped half way: receiving and joining lose nothing.
            tokio::select! {
                want = wants.recv() => match want {
                    Some(want) => self.waiting.push(want),
                    None => return,
                },
                Some((id, change)) = self.updates.recv() => self.broker_changed(id, change),
                Some(answer) = self.asking.join_next() => {
                    self.answered(answer.unwrap_or_else(|e| Err(e.to_string())));
                }
                Some(learned) = self.learning.join_next() => self.learned(learned.ok().flatten()),
                () = tokio::time::sleep_until(wake), if idle => {}
            }
        }
    }

    /// Asks, if there is a reason, nothing is being asked, and it is time.
    fn ask(&mut self) {
        let now = Instant::now();
        let due = now >= self.next_refresh;
        if !self.asking.is_empty() || !(due || (!self.waiting.is_empty() && now >= self.next_ask)) {
            return;
        }
        let link = self.links.any();
        let by_id = link.as_ref().and_then(|l| l.version(ApiKey::METADATA, i16::MAX)).is_some_and(|v| v >= BY_ID);
        let known = self.publish.borrow().clone();
        let (question, served) = self.waiting.next(&known.names, by_id, due, now);
        self.served.extend(served);
        let question = match question {
            Question::Nothing => {
                // Who still waits is looked at again then.
                self.next_ask = now + PACE;
                return;
            }
            Question::Everything => {
                self.next_refresh = now + self.settings.refresh;
                self.asked_ids = Vec::new();
                everything_known()
            }
            Question::Ids(ids) => {
                self.asked_ids = ids;
                by_ids(&self.asked_ids)
            }
        };
        self.next_ask = now + PACE;
        self.asking.spawn(put(Arc::clone(&self.settings), Arc::clone(&self.links), question));
    }

    fn answered(&mut self, answer: Result<Node, String>) {
        match answer {
            Ok(answer) => {
                let mut next = Topology::clone(&self.publish.borrow());
                let everything = self.asked_ids.is_empty();
                if everything {
                    next.cluster_id = answer.opt_str(response::CLUSTER_ID).map(Arc::from);
                    self.brokers(&mut next, &answer);
                    self.users(&mut next);
                    next.names = HashMap::new();
                    next.ids = HashMap::new();
                }
                topics(&mut next, &answer);
                self.waiting.asked(&self.asked_ids, &next.names, Instant::now());
                self.publish(next);
                if everything {
                    self.learn();
                }
                self.trouble.send_if_modified(|t| t.take().is_some());
            }
            Err(why) => {
                // Soon again: until something answers nothing is known.
                self.next_refresh = Instant::now() + self.settings.refresh.min(Duration::from_millis(500));
                let why: Arc<str> = why.into();
                self.trouble.send_if_modified(|t| {
                    let new = t.as_ref() != Some(&why);
                    if new {
                        tracing::warn!(cause = %why, "the cluster cannot be asked");
                        *t = Some(Arc::clone(&why));
                    }
                    new
                });
            }
        }
        for done in self.served.drain(..) {
            let _ = done.send(());
        }
    }

    /// Whom tokens name is known once there are any (threat 18).
    fn users(&self, next: &mut Topology) {
        let diallers = std::iter::once(&self.settings.dialler).chain(&self.settings.others);
        for user in diallers.filter_map(Dialler::user) {
            if !next.own.has_user(&user) {
                next.own.users.push(user.into());
            }
        }
    }

    /// Takes over the brokers of an answer; a connection is kept to each.
    fn brokers(&mut self, next: &mut Topology, answer: &Node) {
        let mut brokers = BTreeMap::new();
        for told in answer.nodes(response::BROKERS) {
            let id = told.i32(metadata_response_broker::NODE_ID);
            let Ok(port) = u16::try_from(told.i32(metadata_response_broker::PORT)) else { continue };
            let host = told.str(metadata_response_broker::HOST);
            let rack = told.opt_str(metadata_response_broker::RACK).map(Arc::from);
            let versions = next.brokers.remove(&id).map(|b| b.versions).unwrap_or_default();
            brokers.insert(id, Broker { id, host: host.into(), port, rack, versions });
            let address = HostPort { host: host.to_owned(), port };
            if self.kept.get(&id).is_none_or(|(at, _)| *at != address) {
                self.keep(id, address);
            }
        }
        // A broker that is not told is down or gone: none is connected to until it is told again. Who waits for its answer would
        // wait for `cluster.request_timeout` where nothing says that it is gone, and what it led is led elsewhere.
        self.kept.retain(|id, (_, keeper)| {
            let stays = brokers.contains_key(id);
            if !stays {
                keeper.abort();
                self.links.give_up(*id, "the cluster no longer tells of this broker");
            }
            stays
        });
        next.brokers = brokers;
    }

    fn keep(&mut self, id: i32, address: HostPort) {
        let task = keep(id, address.clone(), Arc::clone(&self.settings), self.update.clone());
        let keeper = self.keepers.spawn(task);
        if let Some((_, old)) = self.kept.insert(id, (address, keeper)) {
            old.abort();
        }
        self.links.give_up(id, "the broker has another address");
        while self.keepers.try_join_next().is_some() {}
    }

    fn broker_changed(&mut self, id: i32, change: Change) {
        if !self.kept.contains_key(&id) {
            return;
        }
        let link = match change {
            Change::Up(link) => link,
            Change::Ended => {
                self.links.up().lost(id);
                // Its partitions are led elsewhere now.
                self.next_refresh = self.next_refresh.min(Instant::now() + PACE);
                return;
            }
            Change::Unreachable(why) => {
                self.links.up().unreachable.insert(id, why);
                return;
            }
        };
        let mut next = Topology::clone(&self.publish.borrow());
        if let Some(broker) = next.brokers.get_mut(&id) {
            broker.versions = link.versions().clone();
        }
        let mut up = self.links.up();
        up.seed = None;
        up.unreachable.remove(&id);
        up.by_id.insert(id, link);
        let known = std::mem::take(&mut next.features);
        next.features = agreed(up.by_id.values().map(Link::features));
        drop(up);
        // What was finalized since the brokers were dialled.
        take_newer(&mut next.features, &known);
        self.publish(next);
        self.learn();
    }

    /// Asks a broker what Metadata does not tell, if it is time: the first of them, so that the answers of brokers that
    /// differ do not take turns.
    fn learn(&mut self) {
        if !self.learning.is_empty() || Instant::now() < self.next_learn {
            return;
        }
        let first = self.links.up().by_id.iter().min_by_key(|(id, _)| **id).map(|(id, link)| (*id, link.clone()));
        if let Some((id, link)) = first {
            self.next_learn = Instant::now() + LEARN;
            self.learning.spawn(learn(id, link));
        }
    }

    fn learned(&mut self, learned: Option<Learned>) {
        let Some(learned) = learned else {
            // With the next refresh, or the next broker that comes up.
            self.next_learn = Instant::now();
            return;
        };
        let mut next = Topology::clone(&self.publish.borrow());
        next.auto_create_off = learned.auto_create_off;
        if let Some(features) = learned.features {
            (next.features.finalized, next.features.epoch) = (features.finalized, features.epoch);
        }
        self.publish(next);
    }

    fn publish(&self, mut next: Topology) {
        self.publish.send_if_modified(|now| {
            next.generation = now.generation;
            if **now == next {
                return false;
            }
            next.generation += 1;
            *now = Arc::new(next);
            true
        });
    }
}

/// Everything: all topics, nothing created.
fn everything_known() -> Node {
    Node::request(ApiKey::METADATA).with(request::TOPICS, Value::Null).with(request::ALLOW_AUTO_TOPIC_CREATION, false)
}

fn by_ids(ids: &[TopicId]) -> Node {
    let mut node = Node::request(ApiKey::METADATA).with(request::ALLOW_AUTO_TOPIC_CREATION, false);
    for id in ids {
        let topic = node.child(request::TOPICS).with(metadata_request_topic::TOPIC_ID, *id);
        node.push(request::TOPICS, topic.with(metadata_request_topic::NAME, Value::Null));
    }
    node
}

/// One topic by name; it is not created.
pub(super) fn by_name(topic: &str) -> Node {
    let mut node = Node::request(ApiKey::METADATA).with(request::ALLOW_AUTO_TOPIC_CREATION, false);
    let topic = node.child(request::TOPICS).with(metadata_request_topic::NAME, topic);
    node.push(request::TOPICS, topic);
    node
}

/// Adds the topics of an answer.
fn topics(next: &mut Topology, answer: &Node) {
    for topic in answer.nodes(response::TOPICS) {
        let code = ErrorCode(topic.i16(metadata_response_topic::ERROR_CODE));
        let Some(name) = topic.opt_str(metadata_response_topic::NAME) else { continue };
        if code != ErrorCode::NONE && code != ErrorCode::LEADER_NOT_AVAILABLE {
            continue;
        }
        let (name, id): (Arc<str>, _) = (name.into(), topic.uuid(metadata_response_topic::TOPIC_ID));
        if let Some(old) = next.ids.insert(Arc::clone(&name), id)
            && old != id
        {
            // Deleted and made anew: the old id names nothing.
            next.names.remove(&old);
        }
        if !id.is_zero() {
            next.names.insert(id, name);
        }
    }
}

/// Puts a question to the connected brokers, then to the bootstrap addresses in random order.
async fn put(settings: Arc<Settings>, links: Arc<Links>, question: Node) -> Result<Node, String> {
    let patience = settings.dialler.connect_timeout.min(settings.request_timeout);
    let mut why = match links.ask(patience, ApiKey::METADATA, &question).await {
        Ok(answer) => return Ok(answer),
        Err(error) => error.to_string(),
    };
    let mut addresses = settings.bootstrap.clone();
    addresses.shuffle(&mut rand::rng());
    for address in &addresses {
        match settings.dialler.dial(address).await {
            Ok(upstream) => {
                let link = Link::new(upstream, settings.request_timeout);
                let answer = link.call_within(patience, ApiKey::METADATA, &question).await;
                links.up().seed = Some(link);
                match answer {
                    Ok(answer) => return Ok(answer),
                    Err(e) => why = e.to_string(),
                }
            }
            Err(e) => why = e.to_string(),
        }
    }
    Err(format!("no broker answers: {why}"))
}

/// A little more or less, so that replicas of the proxy do not come back all at once.
pub(super) fn jittered(wait: Duration) -> Duration {
    wait.mul_f64(rand::rng().random_range(0.8..1.2))
}

/// Keeps a connection to a broker up, and tells when it comes and goes. One that could never be made is worth a warning: the
/// broker is there, and it is the address that is wrong. One that can no longer be made is told once: before a client meets it.
async fn keep(id: i32, address: HostPort, settings: Arc<Settings>, update: mpsc::UnboundedSender<(i32, Change)>) {
    let (mut retry, mut in_vain_since, mut is_told) = (FIRST_RETRY, Some(Instant::now()), false);
    loop {
        match settings.dialler.dial(&address).await {
            Ok(upstream) => {
                (retry, in_vain_since) = (FIRST_RETRY, None);
                if std::mem::take(&mut is_told) {
                    tracing::info!(broker = id, %address, "a broker can be reached again");
                }
                let link = Link::new(upstream, settings.request_timeout);
                if update.send((id, Change::Up(link.clone()))).is_err() {
                    return;
                }
                let cause = link.closed().await;
                tracing::debug!(broker = id, %address, %cause, "own connection ended");
                if update.send((id, Change::Ended)).is_err() {
                    return;
                }
            }
            Err(error) => {
                tracing::debug!(broker = id, %address, %error, "own connection failed");
                if in_vain_since.is_none() && !std::mem::replace(&mut is_told, true) {
                    tracing::info!(broker = id, %address, %error, "a broker can no longer be reached");
                }
                if in_vain_since.is_some_and(|since| since.elapsed() >= IN_VAIN) {
                    (in_vain_since, is_told) = (None, true);
                    tracing::warn!(
                        broker = id,
                        %error,
                        "a broker cannot be reached where it says that it is: see its `advertised.listeners`"
                    );
                }
                if update.send((id, Change::Unreachable(error.to_string().into()))).is_err() {
                    return;
                }
            }
        }
        tokio::time::sleep(jittered(retry)).await;
        retry = (retry * 2).min(LAST_RETRY);
    }
}

#[cfg(test)]
mod tests {
    use super::super::Cluster;
    use super::super::link::LinkError;
    use super::super::tests::told;
    use super::*;
    use crate::config;
    use crate::demo::broker::{Broker, Seen, Settings, Step, Tape};
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicBool, Ordering};

    #[tokio::test]
    async fn who_waits_for_a_broker_that_the_cluster_no_longer_tells_of_is_told_at_once() {
        let silent = Tape::before(|seen: &Seen| match seen.key {
            ApiKey::DESCRIBE_CONFIGS => Step::Swallow,
            _ => Step::Serve,
        });
        let settings = Settings { node_id: 2, script: Some(Box::new(Arc::clone(&silent))), ..Settings::default() };
        let second = Broker::start(settings).await.unwrap();
        let (gone, known) = (Arc::new(AtomicBool::new(false)), Arc::new(OnceLock::new()));
        let (is_gone, at, first) = (Arc::clone(&gone), second.addr(), Arc::clone(&known));
        let script = move |seen: &Seen| match (seen.key, first.get()) {
            (ApiKey::METADATA, Some(first)) if is_gone.load(Ordering::SeqCst) => Step::Answer(told(&[(1, *first)])),
            (ApiKey::METADATA, Some(first)) => Step::Answer(told(&[(1, *first), (2, at)])),
            _ => Step::Serve,
        };
        let broker = Broker::start(Settings { script: Some(Box::new(script)), ..Settings::default() }).await.unwrap();
        known.set(broker.addr()).unwrap();
        let bootstrap = HostPort { host: "127.0.0.1".into(), port: broker.addr().port() };
        let mut config = config::Cluster::plain("c", vec![bootstrap]);
        (config.metadata_refresh, config.request_timeout) = (Duration::from_secs(3_600), Duration::from_secs(3_600));
        let cluster = Cluster::start(&config);
        let mut topology = cluster.follow();
        let are_up = |t: &Arc<Topology>| t.brokers.len() == 2 && t.brokers.values().all(|b| !b.versions.is_empty());
        topology.wait_for(are_up).await.unwrap();

        let link = cluster.link(2).expect("it is up");
        let question = super::super::configs::request(2, "t", &[]);
        let waits = link.call(ApiKey::DESCRIBE_CONFIGS, &question);
        let goes = async {
            silent.first(|seen| seen.key == ApiKey::DESCRIBE_CONFIGS).await;
            gone.store(true, Ordering::SeqCst);
            // The other broker is asked: the turn goes on once for the version and once for the question.
            cluster.shared.links.up().turn = 0;
            cluster.want(Vec::new()).await;
        };
        let both = tokio::time::timeout(Duration::from_secs(20), async { tokio::join!(waits, goes) });
        let (answer, _) = both.await.expect("it waits on");
        assert_eq!(answer, Err(LinkError::Closed("the cluster no longer tells of this broker".into())));
    }
}

//! The idempotent producer of the audit: acks=all, retried without end, nothing dropped.
//!
//! One task owns every partition. A request to a broker carries one batch of each partition that it leads and that
//! has something to write; while it is under way further records gather, so batches grow with the load. Room is not
//! its business: who sends has taken it, and gets it back with [`Payload::acknowledged`].

mod identity;
mod partition;

use super::batch::partition_of;
use super::trouble::Troubles;
use super::{AskError, Cluster, TopicInfo};
use crate::model::TopicId;
use crate::wire::schema::produce::request::{self, partition_produce_data, topic_produce_data};
use crate::wire::schema::produce::response::{self, partition_produce_response, topic_produce_response};
use crate::wire::{ApiKey, ErrorCode, Node};
use bytes::Bytes;
pub use identity::Identity;
use partition::{Cause, Outcome, Partition};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

/// Produce in the last version that names topics; from 13 on it carries their ids.
const BY_NAME: i16 = 12;
/// A request is closed at about this size.
const REQUEST: usize = 8 << 20;
/// What a broker may wait for replicas with a batch, at the most. Until it has answered it looks at nothing else on the
/// connection, which others of the proxy's own requests share; a batch that is sent again it knows, and waits with it again.
const REPLICAS: Duration = Duration::from_secs(2);
/// Between two questions for leaders, or for a producer id.
const PACE: Duration = Duration::from_millis(100);

/// Takes the headers of a record: names and values, in order.
pub type PutHeaders<'a> = dyn FnMut(&[(&str, &[u8])]) + 'a;

/// What is written as one record.
pub trait Payload: Send + 'static {
    /// Which of the producer's topics: an index.
    fn topic(&self) -> usize;
    /// [`super::batch::murmur2`] of the key.
    fn key_hash(&self) -> u32;
    /// The key.
    fn key(&self) -> &[u8];
    /// The value.
    fn value(&self) -> &[u8];
    /// Milliseconds since 1970.
    fn timestamp(&self) -> i64;
    /// Hands its headers to `put`, once.
    fn with_headers(&self, put: &mut PutHeaders<'_>);
    /// The topic has it, on every replica that is in sync.
    fn acknowledged(self);
}

/// The producer. Dropped, it gives up what it holds; [`Self::close`] does not.
#[derive(Debug)]
pub struct Producer<P> {
    queue: mpsc::UnboundedSender<P>,
    close: Option<oneshot::Sender<Instant>>,
    held: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl<P> Drop for Producer<P> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl<P: Payload> Producer<P> {
    /// A producer to these topics, which exist. Must be called within a tokio runtime.
    pub fn start(cluster: Cluster, topics: Vec<String>, timeout: Duration, troubles: Arc<Troubles>) -> Self {
        let (queue, records) = mpsc::unbounded_channel();
        let (close, closing) = oneshot::channel();
        let held = Arc::new(AtomicUsize::new(0));
        let topics = topics.into_iter().map(Topic::new).collect();
        let run = Run {
            cluster,
            topics,
            timeout,
            troubles,
            identity: None,
            asked_identity: None,
            jobs: JoinSet::new(),
            held: Arc::clone(&held),
        };
        Self { queue, close: Some(close), held, task: tokio::spawn(run.run(records, closing)) }
    }

    /// A way to send records. They are written in this order for each key.
    pub fn queue(&self) -> mpsc::UnboundedSender<P> {
        self.queue.clone()
    }

    /// Records that the producer has and the topic has not.
    pub fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// Writes what was sent before, until `deadline`; returns how many records the topic does not have.
    pub async fn close(mut self, deadline: Instant) -> usize {
        if let Some(close) = self.close.take() {
            let _ = close.send(deadline);
        }
        let _ = (&mut self.task).await;
        self.held()
    }
}

struct Topic<P> {
    name: Arc<str>,
    /// Zero while it is not known.
    id: TopicId,
    partitions: Vec<Partition<P>>,
    /// Until the partitions are known.
    early: VecDeque<P>,
    asking: bool,
    ask_at: Option<Instant>,
}

/// Something under way.
enum Job {
    Leaders(usize, Result<TopicInfo, AskError>),
    Identity(Result<Identity, AskError>),
    /// Broker, what was sent (topic, partition), the answer.
    Written(i32, Vec<(usize, usize)>, Result<Node, AskError>),
}

struct Run<P> {
    cluster: Cluster,
    topics: Vec<Topic<P>>,
    timeout: Duration,
    troubles: Arc<Troubles>,
    identity: Option<Identity>,
    /// Asked, or not to be asked again before then.
    asked_identity: Option<Option<Instant>>,
    jobs: JoinSet<Job>,
    held: Arc<AtomicUsize>,
}

impl<P: Payload> Run<P> {
    async fn run(mut self, mut records: mpsc::UnboundedReceiver<P>, mut closing: oneshot::Receiver<Instant>) {
        let mut arrived = Vec::new();
        let mut deadline = None;
        let mut open = true;
        loop {
            let wake = self.work();
            if let Some(deadline) = deadline
                && (Instant::now() >= deadline || (self.is_idle() && !open))
            {
                return;
            }
            let wake = [wake, deadline].into_iter().flatten().min();
            let sleep = async {
                match wake {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            // Receiving and joining may be dropped half way: neither loses what it has not given.
            tokio::select! {
                Some(job) = self.jobs.join_next() => match job {
                    Ok(job) => self.done(job),
                    // A job that panicked or was cancelled tells nothing of its batches: that is a bug, and waiting
                    // for the answer would block those partitions for ever.
                    Err(error) => tracing::error!(%error, "a write to the audit broke off: restart the proxy"),
                },
                n = records.recv_many(&mut arrived, 4_096), if open => {
                    if n == 0 && deadline.is_none() {
                        return;
                    }
                    open = n > 0;
                    for record in arrived.drain(..) {
                        self.take(record);
                    }
                }
                at = &mut closing, if deadline.is_none() => match at {
                    Ok(at) => {
                        deadline = Some(at);
                        // What was sent before is in the channel: take it, and then no more.
                        records.close();
                    }
                    Err(_) => return,
                },
                () = sleep => {}
            }
        }
    }

    fn take(&mut self, record: P) {
        let Some(topic) = self.topics.get_mut(record.topic()) else {
            debug_assert!(false, "a record for a topic that this producer does not have");
            return;
        };
        let at = partition_of(record.key_hash(), topic.partitions.len());
        match topic.partitions.get_mut(at) {
            Some(partition) => partition.push(record),
            None => topic.early.push_back(record),
        }
        self.held.fetch_add(1, Ordering::Relaxed);
    }

    fn is_idle(&self) -> bool {
        self.topics.iter().all(|t| t.early.is_empty() && t.partitions.iter().all(Partition::is_idle))
    }

    /// Starts whatever can be started; returns when to look again without a cause.
    fn work(&mut self) -> Option<Instant> {
        let now = Instant::now();
        let mut wake: Option<Instant> = None;
        let mut later = |at: Instant| wake = Some(wake.map_or(at, |w| w.min(at)));
        let mut by_leader: BTreeMap<i32, Vec<(usize, usize)>> = BTreeMap::new();
        let mut wants_identity = false;
        for (t, topic) in self.topics.iter_mut().enumerate() {
            let mut lost = topic.partitions.is_empty();
            for (p, partition) in topic.partitions.iter().enumerate() {
                if !partition.is_ready(now) {
                    if let Some(at) = partition.retry_at() {
                        later(at);
                    }
                    continue;
                }
                wants_identity |= partition.identity().is_none();
                match partition.leader {
                    Some(leader) => by_leader.entry(leader).or_default().push((t, p)),
                    None => lost = true,
                }
            }
            if lost && !topic.asking {
                if topic.ask_at.is_some_and(|at| at > now) {
                    topic.ask_at.into_iter().for_each(&mut later);
                } else {
                    topic.asking = true;
                    topic.ask_at = Some(now + PACE);
                    let (cluster, name) = (self.cluster.clone(), Arc::clone(&topic.name));
                    self.jobs.spawn(async move { Job::Leaders(t, cluster.topic(&name).await) });
                }
            }
        }
        if wants_identity && self.identity.is_none() {
            match self.asked_identity {
                Some(None) => {}
                Some(Some(at)) if at > now => later(at),
                Some(Some(_)) | None => {
                    self.asked_identity = Some(None);
                    let cluster = self.cluster.clone();
                    self.jobs.spawn(async move { Job::Identity(cluster.producer_identity().await) });
                }
            }
        }
        for (leader, parts) in by_leader {
            self.write(leader, parts);
        }
        wake
    }

    /// Sends one batch of each of these partitions to their leader.
    fn write(&mut self, leader: i32, parts: Vec<(usize, usize)>) {
        let mut sent = Vec::new();
        let mut size = 0;
        let mut by_topic: BTreeMap<usize, Vec<(usize, Bytes)>> = BTreeMap::new();
        for (t, p) in parts {
            let Some(partition) = self.topics.get_mut(t).and_then(|topic| topic.partitions.get_mut(p)) else {
                continue;
            };
            // A partition that counts on its own identity needs no other.
            let Some(identity) = self.identity.or(partition.identity()) else { continue };
            if size > REQUEST {
                break;
            }
            let Some(batch) = partition.send(identity) else { continue };
            size += batch.len();
            by_topic.entry(t).or_default().push((p, batch));
            sent.push((t, p));
        }
        if sent.is_empty() {
            return;
        }
        let mut node = Node::request(ApiKey::PRODUCE)
            .with(request::ACKS, -1_i16)
            .with(request::TIMEOUT_MS, i32::try_from(self.timeout.min(REPLICAS).as_millis()).unwrap_or(i32::MAX));
        for (t, batches) in by_topic {
            let name = self.topics.get(t).map(|topic| &*topic.name).unwrap_or_default();
            let mut topic = node.child(request::TOPIC_DATA).with(topic_produce_data::NAME, name);
            for (p, batch) in batches {
                let partition = topic
                    .child(topic_produce_data::PARTITION_DATA)
                    .with(partition_produce_data::INDEX, i32::try_from(p).unwrap_or(i32::MAX))
                    .with(partition_produce_data::RECORDS, batch);
                topic.push(topic_produce_data::PARTITION_DATA, partition);
            }
            node.push(request::TOPIC_DATA, topic);
        }
        let cluster = self.cluster.clone();
        self.jobs.spawn(async move {
            let answer = match cluster.link(leader) {
                Some(link) => link.call_at_most(ApiKey::PRODUCE, BY_NAME, &node).await.map_err(AskError::from),
                None => Err(AskError::NoBroker),
            };
            Job::Written(leader, sent, answer)
        });
    }

    fn done(&mut self, job: Job) {
        match job {
            Job::Leaders(t, answer) => self.leaders(t, answer),
            Job::Identity(Ok(identity)) => {
                self.identity = Some(identity);
                self.asked_identity = None;
                self.troubles.end("producer id");
            }
            Job::Identity(Err(error)) => {
                self.asked_identity = Some(Some(Instant::now() + PACE));
                self.troubles.begin("producer id", &error.to_string());
            }
            Job::Written(leader, sent, Ok(answer)) => self.written(leader, sent, &answer),
            Job::Written(leader, sent, Err(error)) => {
                for (t, p) in sent {
                    self.lost(t, p, &format!("broker {leader}: {error}"));
                }
            }
        }
    }

    fn leaders(&mut self, t: usize, answer: Result<TopicInfo, AskError>) {
        let Some(topic) = self.topics.get_mut(t) else { return };
        topic.asking = false;
        topic.ask_at = Some(Instant::now() + PACE);
        let subject = format!("topic {}", topic.name);
        let why = match answer {
            Ok(TopicInfo { partitions, .. }) if partitions.is_empty() => "it has no partitions yet".to_owned(),
            Ok(info) => {
                self.troubles.end(&subject);
                return self.spread(t, &info);
            }
            Err(error @ AskError::NoBroker) => {
                self.cluster.trouble().map_or_else(|| error.to_string(), |trouble| trouble.to_string())
            }
            Err(AskError::Refused(code @ ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)) => {
                format!("it does not exist ({})", code.name())
            }
            Err(error @ (AskError::Link(_) | AskError::Refused(_))) => error.to_string(),
        };
        self.troubles.begin(&subject, &why);
    }

    /// Takes over the partitions that a topic has, and gives them what waited for some.
    fn spread(&mut self, t: usize, info: &TopicInfo) {
        let Some(topic) = self.topics.get_mut(t) else { return };
        let subject = format!("topic {}", topic.name);
        let mut homeless = std::mem::take(&mut topic.early);
        // Partitions are added, never taken away: it is another topic, and what waits for one that it does not have would wait
        // for ever. Where there are no ids, a broker that is late would say so too, and no harm is done.
        let is_another = info.id != topic.id || info.id.is_zero();
        topic.id = info.id;
        if is_another && info.partitions.len() < topic.partitions.len() {
            for (p, partition) in topic.partitions.drain(info.partitions.len()..).enumerate() {
                self.troubles.end(&format!("{subject} partition {}", info.partitions.len() + p));
                homeless.extend(partition.into_records());
            }
        }
        for (p, info) in info.partitions.iter().enumerate() {
            if topic.partitions.len() <= p {
                topic.partitions.push(Partition::new());
            }
            if let Some(partition) = topic.partitions.get_mut(p) {
                partition.leader = info.leader;
                if info.leader.is_none() && !partition.is_idle() {
                    self.troubles.begin(&format!("{subject} partition {p}"), "no leader");
                }
            }
        }
        self.held.fetch_sub(homeless.len(), Ordering::Relaxed);
        for record in homeless {
            self.take(record);
        }
    }

    fn written(&mut self, leader: i32, sent: Vec<(usize, usize)>, answer: &Node) {
        let mut codes: BTreeMap<(usize, usize), ErrorCode> = BTreeMap::new();
        for told in answer.nodes(response::RESPONSES) {
            let name = told.str(topic_produce_response::NAME);
            let Some(t) = self.topics.iter().position(|topic| &*topic.name == name) else { continue };
            for partition in told.nodes(topic_produce_response::PARTITION_RESPONSES) {
                let code = ErrorCode(partition.i16(partition_produce_response::ERROR_CODE));
                if let Ok(p) = usize::try_from(partition.i32(partition_produce_response::INDEX)) {
                    codes.insert((t, p), code);
                }
            }
        }
        for (t, p) in sent {
            match codes.get(&(t, p)) {
                Some(code) => self.answered(t, p, *code),
                None => self.lost(t, p, &format!("broker {leader} does not speak of it in its answer")),
            }
        }
    }

    fn answered(&mut self, t: usize, p: usize, code: ErrorCode) {
        let Some(topic) = self.topics.get_mut(t) else { return };
        let Some(partition) = topic.partitions.get_mut(p) else { return };
        let subject = format!("topic {} partition {p}", topic.name);
        match partition.answered(code, Instant::now()) {
            Outcome::Acknowledged(records) => {
                self.held.fetch_sub(records.len(), Ordering::Relaxed);
                records.into_iter().for_each(Payload::acknowledged);
                self.troubles.end(&subject);
            }
            Outcome::Again(cause) => {
                self.troubles.begin(&subject, code.name());
                if cause == Cause::Identity {
                    // The others go on with what they count on.
                    self.identity = None;
                }
            }
        }
    }

    fn lost(&mut self, t: usize, p: usize, why: &str) {
        let Some(topic) = self.topics.get_mut(t) else { return };
        self.troubles.begin(&format!("topic {} partition {p}", topic.name), why);
        if let Some(partition) = topic.partitions.get_mut(p) {
            partition.lost(Instant::now());
        }
    }
}

impl<P> Topic<P> {
    fn new(name: String) -> Self {
        let (id, partitions, early) = (TopicId::ZERO, Vec::new(), VecDeque::new());
        Self { name: name.into(), id, partitions, early, asking: false, ask_at: None }
    }
}

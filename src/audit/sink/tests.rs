//! The audit's way into a broker on strings.

use super::*;
use crate::audit::ConnectionRecorder;
use crate::demo::broker::{Broker, Gate, Seen, Settings, Step, Tape};
use crate::model::{CloseReason, Connection, Host, Principal, Subject, TopicId};
use crate::wire::schema::produce::request::{self as p, partition_produce_data, topic_produce_data};
use crate::wire::schema::{create_topics::request as c, delete_topics::request as d};
use crate::wire::{ApiKey, Node, Value};
use std::path::Path;

const SOON: Duration = Duration::from_secs(20);
const TOPIC: &str = "kordon.audit";

struct Bench {
    _broker: Broker,
    tape: Arc<Tape>,
    cluster: Cluster,
    service: Service,
}

impl Bench {
    /// The audit into a broker with a script, which has the topic with so many partitions already if it has any; `audit` are
    /// keys of that name.
    async fn start(audit: &str, has: i32, script: impl Fn(&Seen) -> Step + Send + Sync + 'static) -> Self {
        let tape = Tape::before(script);
        let settings = Settings { script: Some(Box::new(Arc::clone(&tape))), ..Settings::default() };
        let broker = Broker::start(settings).await.unwrap();
        let text = format!(
            "version: 1\ninstance: i\ncluster: {{ name: c, bootstrap: [\"{}\"], metadata_refresh: 100ms }}\n\
             listeners: [{{ name: a, bind: \"127.0.0.1:1\", identity: fixed, principal: \"User:a\",\n  \
             brokers: {{ ports: {{ ids: 1-1 }} }} }}]\npolicy: {{ file: p }}\naudit: {{ topic: {TOPIC}, {audit} }}\n",
            broker.addr()
        );
        let config = config::parse(&text, Path::new("k"), &|_| None).unwrap();
        let cluster = Cluster::start(&config.cluster);
        if has > 0 {
            assert!(cluster.reached(SOON).await);
            make(&cluster, has).await;
        }
        let service = Service::start(&config, &cluster, &Arc::new(Metrics::new().unwrap()));
        Self { _broker: broker, tape, cluster, service }
    }

    /// The same, with its topic there and seen.
    async fn ready(self) -> Self {
        assert_eq!(self.service.ready().await, Ok(()));
        self.until("the topic is seen", || self.id().is_some()).await;
        self
    }

    /// The id under which the proxy knows the topic.
    fn id(&self) -> Option<TopicId> {
        self.cluster.topology().ids.get(TOPIC).copied()
    }

    /// Waits for a request.
    async fn first(&self, wanted: impl Fn(&Seen) -> bool) -> Arc<Seen> {
        tokio::time::timeout(SOON, self.tape.first(wanted)).await.expect("it comes")
    }

    async fn until(&self, what: &str, is: impl Fn() -> bool) {
        let deadline = Instant::now() + SOON;
        while !is() {
            assert!(Instant::now() < deadline, "{what}: {}", self.service.status().health().words());
            tokio::task::yield_now().await;
        }
    }

    /// Waits until everything is written.
    async fn written(&self) {
        let health = || self.service.status().health();
        self.until("everything is written", || health().events == 0 && health().bytes == 0).await;
    }

    /// An event of each of so many principals.
    fn events(&self, of: usize) {
        let connection = Connection {
            session_id: "s-1".into(),
            listener: "l".into(),
            host: Host::new([127, 0, 0, 1].into()),
            port: 1,
            mechanism: "PLAINTEXT".into(),
            broker: None,
            relayed: false,
        };
        for n in 0..of {
            let principal = Principal::user(&format!("u{n}"));
            let subject = Subject { principal, groups: [].into(), may_merge: true, may_be_super: false };
            let mut recorder = ConnectionRecorder::new(&self.service.audit(), &connection, None);
            recorder.refused(Some(&subject), CloseReason::NotConnectedRole, None, now());
        }
    }

    async fn delete(&self) {
        let request = Node::request(ApiKey::DELETE_TOPICS)
            .with(d::TOPIC_NAMES, vec![Value::from(TOPIC)])
            .with(d::TIMEOUT_MS, 1_000);
        self.cluster.any_link().unwrap().call_at_most(ApiKey::DELETE_TOPICS, 5, &request).await.unwrap();
    }
}

/// Makes the topic as somebody else does.
async fn make(cluster: &Cluster, partitions: i32) {
    let mut request = Node::request(ApiKey::CREATE_TOPICS).with(c::TIMEOUT_MS, 1_000);
    let topic = request
        .child(c::TOPICS)
        .with(c::creatable_topic::NAME, TOPIC)
        .with(c::creatable_topic::NUM_PARTITIONS, partitions)
        .with(c::creatable_topic::REPLICATION_FACTOR, 1_i16);
    request.push(c::TOPICS, topic);
    cluster.ask(ApiKey::CREATE_TOPICS, &request).await.unwrap();
}

/// Whether a request writes an event with this text.
fn writes(seen: &Seen, text: &str) -> bool {
    if seen.key != ApiKey::PRODUCE {
        return false;
    }
    let topics = seen.body.nodes(p::TOPIC_DATA).iter();
    let parts = topics.flat_map(|topic| topic.nodes(topic_produce_data::PARTITION_DATA));
    let mut batches = parts.filter_map(|part| part.bytes(partition_produce_data::RECORDS));
    batches.any(|b| b.windows(text.len()).any(|w| w == text.as_bytes()))
}

/// The audit into a broker that makes no topic until the gate opens.
async fn held() -> (Bench, Gate) {
    let gate = Gate::new();
    let wait = gate.clone();
    let bench = Bench::start("", 0, move |seen: &Seen| match seen.key {
        ApiKey::CREATE_TOPICS => Step::Hold(wait.clone(), Box::new(Step::Serve)),
        _ => Step::Serve,
    });
    let bench = bench.await;
    bench.first(|seen| seen.key == ApiKey::CREATE_TOPICS).await;
    (bench, gate)
}

#[tokio::test]
async fn stopped_before_the_topics_are_there_it_writes_within_the_drain() {
    let (Bench { tape, service, _broker, .. }, gate) = held().await;
    // The stop is sent before the gate opens.
    let (left, ()) = tokio::join!(service.close(Duration::from_secs(30)), async { gate.open() });
    assert_eq!(left, 0);
    assert!(tape.seen().iter().any(|seen| seen.key == ApiKey::PRODUCE), "nothing was written");
}

#[tokio::test]
async fn stopped_before_the_topics_are_there_it_waits_no_longer_than_the_drain() {
    let (Bench { service, _broker, .. }, _gate) = held().await;
    let closed = tokio::time::timeout(Duration::from_secs(20), service.close(Duration::from_millis(10)));
    assert_eq!(closed.await, Ok(1), "the event of the start is left");
}

#[tokio::test]
async fn a_topic_that_is_deleted_is_made_anew_and_the_audit_says_so() {
    let bench = Bench::start("partitions: 2", 0, |_| Step::Serve).await.ready().await;
    let before = bench.id();
    bench.tape.clear();
    bench.delete().await;
    bench.first(|seen| seen.key == ApiKey::CREATE_TOPICS).await;
    bench.first(|seen| writes(seen, "was deleted and made anew: what it held is gone")).await;
    assert!(bench.id().is_some_and(|id| Some(id) != before));
    bench.written().await;
    let made = bench.tape.seen().iter().filter(|seen| seen.key == ApiKey::CREATE_TOPICS).count();
    assert_eq!(made, 1, "once");
}

#[tokio::test]
async fn a_topic_that_is_deleted_and_may_not_be_made_is_told_until_somebody_makes_it() {
    let bench = Bench::start("create: false", 1, |_| Step::Serve).await.ready().await;
    bench.written().await;
    bench.tape.clear();
    bench.delete().await;
    let words = || bench.service.status().health().words();
    bench.until("the cause", || words().contains("does not exist and `create` is false")).await;
    make(&bench.cluster, 1).await;
    bench.first(|seen| writes(seen, "was deleted and made anew: what it held is gone")).await;
    bench.until("the end of it", || bench.service.status().health().causes.is_empty()).await;
}

#[tokio::test]
async fn what_waits_for_a_partition_that_a_topic_made_anew_does_not_have_is_written_to_another() {
    let bench = Bench::start("create: false", 6, |_| Step::Serve).await.ready().await;
    bench.events(20);
    bench.written().await;
    bench.tape.clear();
    bench.delete().await;
    make(&bench.cluster, 1).await;
    bench.events(20);
    bench.written().await;
    for n in 0..20 {
        let name = format!("User:u{n}");
        assert!(bench.tape.seen().iter().any(|seen| writes(seen, &name)), "{name}");
    }
}

#[tokio::test]
async fn a_broker_is_never_asked_to_wait_long_for_replicas() {
    let bench = Bench::start("", 0, |_| Step::Serve).await.ready().await;
    let write = bench.first(|seen| seen.key == ApiKey::PRODUCE).await;
    // Until it has answered, it answers nothing else on that connection, which is the proxy's for its other questions too.
    assert!((1..=2_000).contains(&write.body.int(p::TIMEOUT_MS)), "{}", write.body.int(p::TIMEOUT_MS));
}

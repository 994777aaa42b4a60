//! Follower and writer at a broker on strings.

mod cluster;

use super::*;
use crate::access::record::tests::by;
use crate::cluster::records;
use crate::config;
use crate::demo::broker::{Broker, Gate, Seen, Settings, Step, Tape};
use crate::model::{Operation, PatternType, ResourceType};
use crate::policy::{AclBinding, AclFilter, Permission};
use crate::wire::schema::produce::{request as q, response as r};
use crate::wire::{ApiKey, Node};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::watch;

const SOON: Duration = Duration::from_secs(20);

/// What is in force.
struct Target {
    sets: watch::Sender<Vec<AclSet>>,
    /// What was said to have come and gone.
    made: Mutex<Vec<Made>>,
    /// Puts nothing in force until it is open.
    gate: Mutex<Option<Gate>>,
    /// Fails to put in force what holds an ACL of this name.
    fails: Mutex<Option<&'static str>>,
}

impl Target {
    fn new() -> Arc<Self> {
        let (gate, fails, made) = (Mutex::default(), Mutex::default(), Mutex::default());
        Arc::new(Self { sets: watch::Sender::new(Vec::new()), made, gate, fails })
    }
}

impl InForce for Target {
    fn put(&self, acls: AclSet, made: Vec<Made>) -> Pin<Box<dyn Future<Output = bool> + Send + '_>> {
        Box::pin(async move {
            let gate = self.gate.lock().unwrap().clone();
            if let Some(gate) = gate {
                gate.passed().await;
            }
            let fails = *self.fails.lock().unwrap();
            let puts = !acls.iter().any(|acl| Some(&*acl.name) == fails);
            if puts {
                self.made.lock().unwrap().extend(made);
                self.sets.send_modify(|sets| sets.push(acls));
            }
            puts
        })
    }
}

struct Bench {
    broker: Broker,
    tape: Arc<Tape>,
    config: Config,
    cluster: Cluster,
    target: Arc<Target>,
    metrics: Arc<Metrics>,
    access: Access,
    _tasks: JoinSet<()>,
}

impl Bench {
    /// A proxy before a broker with a script; `state` are keys of that name.
    async fn start(state: &str, script: impl Fn(&Seen) -> Step + Send + Sync + 'static) -> Self {
        let tape = Tape::before(script);
        let settings = Settings { script: Some(Box::new(Arc::clone(&tape))), ..Settings::default() };
        let broker = Broker::start(settings).await.unwrap();
        Self::before(broker, tape, state).await
    }

    async fn before(broker: Broker, tape: Arc<Tape>, state: &str) -> Self {
        let config = configuration(&broker, state);
        Self::with(broker, tape, config)
    }

    fn with(broker: Broker, tape: Arc<Tape>, config: Config) -> Self {
        let cluster = Cluster::start(&config.cluster);
        let metrics = Arc::new(Metrics::new().unwrap());
        let target = Target::new();
        let mut tasks = JoinSet::new();
        let access = Access::start(&config, &cluster, &metrics, Arc::clone(&target) as Arc<dyn InForce>, &mut tasks);
        Self { broker, tape, config, cluster, target, metrics, access, _tasks: tasks }
    }

    async fn ready(self) -> Self {
        assert!(self.access.admits(SOON).await, "{:?}", self.access.obstacle());
        assert_eq!(self.access.obstacle(), None);
        self
    }

    async fn change(&self, change: AclChange) -> Result<AclChanged, ChangeRefused> {
        self.access.change(change, ChangeBy::clone(&by())).await
    }

    async fn create(&self, name: &str) -> Result<AclChanged, ChangeRefused> {
        self.change(AclChange::Create(vec![acl(name)])).await
    }

    fn names(&self) -> Vec<String> {
        let sets = self.target.sets.borrow();
        sets.last().map(|set| set.iter().map(|acl| acl.name.clone()).collect()).unwrap_or_default()
    }

    /// Waits until an ACL of this name is in force.
    async fn in_force(&self, name: &str) {
        let mut sets = self.target.sets.subscribe();
        let there = sets.wait_for(|sets| sets.last().is_some_and(|set| set.contains(&acl(name))));
        tokio::time::timeout(SOON, there).await.expect("in time").expect("it lives");
    }

    /// Waits for what stands in the way.
    async fn obstacle(&self, part: &str) -> String {
        let deadline = Instant::now() + SOON;
        loop {
            match self.access.obstacle() {
                Some(obstacle) if obstacle.contains(part) => return obstacle,
                other => assert!(Instant::now() < deadline, "{other:?}"),
            }
            tokio::task::yield_now().await;
        }
    }

    /// The keys that were sent to be written, in order, up to the word before their first `:`, with their epoch.
    fn written(&self) -> Vec<(String, i16)> {
        let mut keys = Vec::new();
        for seen in self.tape.seen().iter().filter(|seen| seen.key == ApiKey::PRODUCE) {
            let batch = batch_of(&seen.body);
            let epoch = i16::from_be_bytes(batch[51..53].try_into().unwrap());
            for record in records::read(&batch, 0).unwrap().records {
                let key = std::str::from_utf8(record.key.unwrap()).unwrap();
                keys.push((key.split(':').next().unwrap().to_owned(), epoch));
            }
        }
        keys
    }
}

fn configuration(broker: &Broker, state: &str) -> Config {
    let text = format!(
        "version: 1\ninstance: p\n\
         cluster: {{ name: c, bootstrap: [\"{}\"], request_timeout: 700ms, metadata_refresh: 200ms }}\n\
         listeners: [{{ name: a, bind: \"127.0.0.1:1\", identity: fixed, principal: \"User:a\", brokers: {{ ports: {{ ids: 1-1 }} }} }}]\n\
         policy: {{ file: p }}\nstate: {{ {state} }}\n",
        broker.addr()
    );
    config::parse(&text, Path::new("k"), &|_| None).unwrap()
}

fn batch_of(produce: &Node) -> bytes::Bytes {
    let part = &produce.nodes(q::TOPIC_DATA)[0].nodes(q::topic_produce_data::PARTITION_DATA)[0];
    part.bytes(q::partition_produce_data::RECORDS).unwrap().clone()
}

pub(super) fn acl(name: &str) -> AclBinding {
    AclBinding {
        kind: ResourceType::Topic,
        pattern: PatternType::Literal,
        name: name.into(),
        principal: "User:b".into(),
        host: "*".into(),
        operation: Operation::Read,
        permission: Permission::Deny,
    }
}

/// Whether a Produce writes an ACL: not what initialises the topic, and no fence.
fn writes_acl(seen: &Seen) -> bool {
    let is_acl = |batch: &[u8]| batch.windows(4).any(|w| w == b"acl:");
    seen.key == ApiKey::PRODUCE && is_acl(&batch_of(&seen.body))
}

/// Makes the topic as somebody else might.
async fn make(broker: &Broker, partitions: i32, configs: &[(&str, &str)]) {
    use crate::wire::schema::create_topics::request::{self as c, creatable_topic as t, creatable_topic_config as v};
    let config = configuration(broker, "");
    let cluster = Cluster::start(&config.cluster);
    assert!(cluster.reached(SOON).await);
    let mut request = Node::request(ApiKey::CREATE_TOPICS).with(c::TIMEOUT_MS, 1_000);
    let mut topic = request
        .child(c::TOPICS)
        .with(t::NAME, "kordon.state")
        .with(t::NUM_PARTITIONS, partitions)
        .with(t::REPLICATION_FACTOR, 1_i16);
    for (name, value) in configs {
        let value = topic.child(t::CONFIGS).with(v::NAME, *name).with(v::VALUE, *value);
        topic.push(t::CONFIGS, value);
    }
    request.push(c::TOPICS, topic);
    cluster.ask(ApiKey::CREATE_TOPICS, &request).await.unwrap();
}

#[tokio::test]
async fn a_change_returns_when_it_is_in_force_and_not_before() {
    let bench = Bench::start("", |_| Step::Serve).await.ready().await;
    assert_eq!(bench.create("a").await, Ok(AclChanged::Created));
    assert_eq!(bench.names(), ["a"]);
    let gate = Gate::new();
    *bench.target.gate.lock().unwrap() = Some(gate.clone());
    let mut change = Box::pin(bench.create("b"));
    let written =
        bench.tape.first(|seen| writes_acl(seen) && batch_of(&seen.body).windows(5).any(|w| w == b"\"b\",\""));
    tokio::select! {
        told = &mut change => panic!("told before it is in force: {told:?}"),
        _ = written => {}
    }
    assert!(!bench.names().contains(&"b".to_owned()));
    gate.open();
    assert_eq!(change.await, Ok(AclChanged::Created));
    assert_eq!(bench.names(), ["a", "b"]);
    let all = AclChange::Delete(vec![AclFilter::ANY]);
    assert_eq!(bench.change(all).await, Ok(AclChanged::Deleted(vec![vec![acl("a"), acl("b")]])));
    assert_eq!(bench.names(), [""; 0]);
}

#[tokio::test]
async fn what_cannot_be_put_in_force_is_told_and_nobody_is_admitted_or_may_change_more() {
    let bench = Bench::start("", |_| Step::Serve).await.ready().await;
    bench.create("a").await.unwrap();
    *bench.target.fails.lock().unwrap() = Some("b");
    let refused = bench.create("b").await.unwrap_err();
    assert!(refused.message.starts_with("it is not known whether this was changed"), "{}", refused.message);
    let obstacle = bench.obstacle("what was read could not be put in force").await;
    assert!(obstacle.starts_with("state topic kordon.state: "), "{obstacle}");
    assert!(!bench.access.admits(Duration::ZERO).await);
    assert!(bench.create("c").await.unwrap_err().message.contains("what was read could not be put in force"));
    assert_eq!(bench.names(), ["a"], "what was in force stays in force");

    // Somebody else removes what did it.
    *bench.target.fails.lock().unwrap() = None;
    let batch = topic::batch(&[record::acl(&acl("b"), false, &by(), "T")], topic::UNNUMBERED);
    let info = bench.cluster.topic("kordon.state").await.unwrap();
    let place = topic::place_of(&bench.cluster, "kordon.state", &info).unwrap();
    let link = bench.cluster.any_link().unwrap();
    remote::append(&link, &place, batch.into(), SOON).await.unwrap().unwrap();
    assert!(bench.access.admits(SOON).await);
    assert_eq!(bench.create("c").await, Ok(AclChanged::Created));
    assert_eq!(bench.names(), ["a", "c"]);
}

#[tokio::test]
async fn an_answer_that_is_lost_is_told_as_such_and_a_fence_settles_it_before_the_next_change() {
    let (gate, hold) = (Gate::new(), Arc::new(AtomicBool::new(true)));
    let (kept, holds) = (gate.clone(), Arc::clone(&hold));
    let bench = Bench::start("", move |seen| match writes_acl(seen) && holds.load(Ordering::Relaxed) {
        true => Step::HoldAnswer(kept.clone()),
        false => Step::Serve,
    });
    let bench = bench.await.ready().await;
    let refused = bench.create("a").await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::REQUEST_TIMED_OUT);
    assert!(refused.message.starts_with("it is not known whether this was changed"), "{}", refused.message);
    bench.in_force("a").await;
    hold.store(false, Ordering::Relaxed);
    assert_eq!(bench.create("b").await, Ok(AclChanged::Created));
    assert_eq!(bench.names(), ["a", "b"]);
    let written = bench.written();
    let keys: Vec<&str> = written.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(keys.first().zip(keys.last()), Some((&"genesis", &"acl")));
    let fence = written.iter().position(|(key, _)| key == "fence").expect("a fence");
    assert!(written[fence].1 > written[fence - 1].1, "in a newer epoch: {written:?}");
    assert_eq!(fence, written.len() - 2, "before the next change: {written:?}");
    gate.open();
}

#[tokio::test]
async fn what_was_never_written_can_be_asked_for_again() {
    let swallow = Arc::new(AtomicBool::new(true));
    let swallows = Arc::clone(&swallow);
    let bench = Bench::start("", move |seen| match writes_acl(seen) && swallows.load(Ordering::Relaxed) {
        true => Step::Swallow,
        false => Step::Serve,
    });
    let bench = bench.await.ready().await;
    assert!(bench.create("a").await.unwrap_err().message.starts_with("it is not known"));
    swallow.store(false, Ordering::Relaxed);
    assert_eq!(bench.change(AclChange::Delete(vec![AclFilter::ANY])).await, Ok(AclChanged::Deleted(vec![vec![]])));
    assert_eq!(bench.create("a").await, Ok(AclChanged::Created));
    assert_eq!(bench.names(), ["a"]);
}

#[tokio::test]
async fn what_the_brokers_do_not_take_is_refused_with_their_reason_and_changes_nothing() {
    let refuse = Arc::new(AtomicBool::new(true));
    let refuses = Arc::clone(&refuse);
    let bench = Bench::start("", move |seen| {
        if !(writes_acl(seen) && refuses.load(Ordering::Relaxed)) {
            return Step::Serve;
        }
        let mut answer = Node::response(ApiKey::PRODUCE);
        let mut topic = answer.child(r::RESPONSES);
        let part = topic
            .child(r::topic_produce_response::PARTITION_RESPONSES)
            .with(r::partition_produce_response::ERROR_CODE, ErrorCode::NOT_ENOUGH_REPLICAS);
        topic.push(r::topic_produce_response::PARTITION_RESPONSES, part);
        answer.push(r::RESPONSES, topic);
        Step::Answer(answer)
    });
    let bench = bench.await.ready().await;
    let refused = bench.create("a").await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::REQUEST_TIMED_OUT, "never an authorization error");
    let told = "nothing was changed: the state topic `kordon.state` cannot be written: NOT_ENOUGH_REPLICAS";
    assert_eq!(refused.message, told);
    assert_eq!(bench.access.obstacle(), None, "what is in force is still confirmed");
    refuse.store(false, Ordering::Relaxed);
    assert_eq!(bench.create("a").await, Ok(AclChanged::Created));
    assert!(!bench.written().iter().any(|(key, _)| key == "fence"), "it was known that nothing was written");
    let text = bench.metrics.render().unwrap();
    assert!(text.contains("kordon_state_changes_total{outcome=\"refused\"} 1\n"), "{text}");
    assert!(
        text.contains("kordon_state_changes_total{outcome=\"done\"} 1\n") && text.contains("kordon_state_acls 1\n")
    );
}

#[tokio::test]
async fn a_topic_that_would_lose_acls_or_has_no_order_is_not_believed() {
    for (partitions, configs, fault) in [
        (1, &[("cleanup.policy", "delete")][..], "its `cleanup.policy` is `delete`: old ACLs would be lost"),
        (2, &[("cleanup.policy", "compact")][..], "it has 2 partitions: only in one have its records an order"),
        (
            1,
            &[("cleanup.policy", "compact"), ("delete.retention.ms", "1000")][..],
            "its `delete.retention.ms` is `1000`: what has ended would be gone before it is read",
        ),
        (1, &[("cleanup.policy", "compact")][..], "it exists and is empty"),
    ] {
        let (broker, tape) = (Broker::start(Settings::default()).await.unwrap(), Tape::serving());
        make(&broker, partitions, configs).await;
        let bench = Bench::before(broker, tape, "").await;
        let obstacle = bench.obstacle(fault).await;
        assert!(obstacle.starts_with("state topic kordon.state: "), "{obstacle}");
        let refused = bench.create("a").await.unwrap_err();
        assert!(refused.message.contains(fault), "{}", refused.message);
        assert!(!bench.access.admits(Duration::ZERO).await);
    }
}

#[tokio::test]
async fn a_log_whose_beginning_is_gone_is_not_believed_by_who_starts_and_no_loss_to_who_followed() {
    let bench = Bench::start("", |_| Step::Serve).await.ready().await;
    bench.create("a").await.unwrap();
    // The last record alone: a broker that keeps few bytes drops the others.
    let broker = Broker::start(Settings { partition_bytes: 600, ..Settings::default() }).await.unwrap();
    let small = Bench::before(broker, Tape::serving(), "").await.ready().await;
    for name in ["a", "b", "c"] {
        small.create(name).await.unwrap();
    }
    assert_eq!(small.names(), ["a", "b", "c"], "who followed has lost nothing");
    let Bench { broker, cluster, config, .. } = &small;
    let look = look(cluster, config).await.unwrap().unwrap();
    assert!(!look.is_initialised() && !look.fold.is_empty());
    let refused = init(cluster, config, false).await.unwrap_err();
    assert!(refused.to_string().ends_with("`--force` does it all the same"), "{refused}");
    let config = configuration(broker, "");
    let (metrics, target) = (Arc::clone(&bench.metrics), Arc::clone(&bench.target));
    let mut tasks = JoinSet::new();
    let late = Access::start(&config, cluster, &metrics, target, &mut tasks);
    let deadline = Instant::now() + SOON;
    while !late.obstacle().is_some_and(|o| o.contains("it does not begin with what `kordon state init` writes")) {
        assert!(Instant::now() < deadline, "{:?}", late.obstacle());
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn init_makes_the_topic_once_and_no_new_one_in_place_of_a_lost_one() {
    let broker = Broker::start(Settings::default()).await.unwrap();
    let config = configuration(&broker, "create: false");
    let cluster = Cluster::start(&config.cluster);
    assert!(cluster.reached(SOON).await);
    assert!(look(&cluster, &config).await.unwrap().is_none());
    let lost = configuration(&broker, "genesis: old");
    let refused = init(&cluster, &lost, false).await.unwrap_err();
    assert!(refused.to_string().contains("`state.genesis` is `old`: a new one holds none of the ACLs"), "{refused}");
    let (first, done) = init(&cluster, &config, false).await.unwrap();
    assert!(done && first.is_initialised() && first.faults(Some(&first.id.to_string())).is_empty());
    let (again, done) = init(&cluster, &config, false).await.unwrap();
    assert!(!done && again.id == first.id && again.fold.offset() == first.fold.offset(), "nothing is written twice");
    assert!(again.faults(Some("old"))[0].contains("`state.genesis` is `old`: this is another topic"));
}

#[tokio::test]
async fn a_leader_that_gives_no_records_is_told_and_not_asked_for_ever() {
    use crate::wire::schema::fetch::response::{self as f, fetchable_topic_response as t};
    let tape = Tape::before(|seen: &Seen| {
        if seen.key != ApiKey::FETCH {
            return Step::Serve;
        }
        let mut answer = Node::response(ApiKey::FETCH);
        let mut topic = answer.child(f::RESPONSES);
        let part = topic.child(t::PARTITIONS);
        topic.push(t::PARTITIONS, part);
        answer.push(f::RESPONSES, topic);
        Step::Answer(answer)
    });
    let settings = Settings { script: Some(Box::new(tape)), ..Settings::default() };
    let broker = Broker::start(settings).await.unwrap();
    let config = configuration(&broker, "");
    let cluster = Cluster::start(&config.cluster);
    assert!(cluster.reached(SOON).await);
    // It is written, and then cannot be looked at.
    let failed = init(&cluster, &config, false).await.unwrap_err();
    let told = "cannot read topic `kordon.state`: the leader gives no records from offset 0 on, and its end is 1";
    assert_eq!(failed, InitError::Failed(told.to_owned()));
}

#[tokio::test]
async fn without_protocol_acls_changes_are_answered_as_by_a_broker_without_an_authorizer() {
    let broker = Broker::start(Settings::default()).await.unwrap();
    let mut config = configuration(&broker, "");
    config.policy.protocol_acls = ProtocolAcls::Disabled;
    let (cluster, metrics) = (Cluster::start(&config.cluster), Arc::new(Metrics::new().unwrap()));
    let target = Target::new();
    let mut tasks = JoinSet::new();
    let access = Access::start(&config, &cluster, &metrics, target, &mut tasks);
    assert!(access.admits(Duration::ZERO).await && access.obstacle().is_none() && tasks.is_empty());
    let refused = access.change(AclChange::Create(vec![acl("a")]), ChangeBy::clone(&by())).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::SECURITY_DISABLED);
}

/// What becomes of fetches.
#[derive(Copy, Clone, PartialEq, Eq)]
enum Fetches {
    Served,
    Cut,
    OutOfRange,
}

/// A script that does to fetches what the switch says.
fn switched() -> (watch::Sender<Fetches>, impl Fn(&Seen) -> Step + Send + Sync + 'static) {
    use crate::wire::schema::fetch::response::{self as f, fetchable_topic_response as t, partition_data as p};
    let switch = watch::Sender::new(Fetches::Served);
    let state = switch.clone();
    let script = move |seen: &Seen| {
        if seen.key != ApiKey::FETCH {
            return Step::Serve;
        }
        match *state.borrow() {
            Fetches::Served => return Step::Serve,
            Fetches::Cut => return Step::Close,
            Fetches::OutOfRange => {}
        }
        // Once: what is read again is there.
        state.send_replace(Fetches::Served);
        let mut answer = Node::response(ApiKey::FETCH);
        let mut topic = answer.child(f::RESPONSES);
        let part = topic.child(t::PARTITIONS).with(p::ERROR_CODE, ErrorCode::OFFSET_OUT_OF_RANGE);
        topic.push(t::PARTITIONS, part);
        answer.push(f::RESPONSES, topic);
        Step::Answer(answer)
    };
    (switch, script)
}

/// How often the topic was read from the start.
fn beginnings(tape: &Tape) -> usize {
    use crate::wire::schema::list_offsets::request::{self as l, list_offsets_partition as p, list_offsets_topic as t};
    let asks = |seen: &&Arc<Seen>| {
        seen.key == ApiKey::LIST_OFFSETS
            && seen.body.nodes(l::TOPICS)[0].nodes(t::PARTITIONS)[0].int(p::TIMESTAMP) == remote::EARLIEST
    };
    tape.seen().iter().filter(asks).count()
}

#[tokio::test]
async fn threat_16_who_was_away_for_long_reads_from_the_start() {
    let (switch, script) = switched();
    let tape = Tape::before(script);
    let settings = Settings { script: Some(Box::new(Arc::clone(&tape))), ..Settings::default() };
    let broker = Broker::start(settings).await.unwrap();
    // The least that is taken. Half of it is what may pass.
    make(&broker, 1, &[("cleanup.policy", "compact"), ("delete.retention.ms", "10000")]).await;
    let config = configuration(&broker, "");
    let cluster = Cluster::start(&config.cluster);
    assert!(cluster.reached(SOON).await);
    init(&cluster, &config, false).await.unwrap();
    let bench = Bench::before(broker, Arc::clone(&tape), "").await.ready().await;
    bench.create("a").await.unwrap();
    tape.clear();
    switch.send_replace(Fetches::Cut);
    let shared = Arc::clone(bench.access.shared().unwrap());
    // Looked at whenever it is tried again.
    tape.first(|_| shared.staleness().is_none_or(|s| s > Duration::from_millis(5_500))).await;
    assert_eq!(bench.names(), ["a"], "it stays in force meanwhile");
    switch.send_replace(Fetches::Served);
    bench.create("b").await.unwrap();
    assert_eq!((bench.names(), beginnings(&tape)), (vec!["a".to_owned(), "b".to_owned()], 1));
}

#[tokio::test]
async fn threat_16_an_offset_that_is_gone_is_no_loss_if_all_is_there_and_never_believed_if_not() {
    let (switch, script) = switched();
    let bench = Bench::start("", script).await.ready().await;
    for name in ["a", "b"] {
        bench.create(name).await.unwrap();
    }
    bench.change(AclChange::Delete(vec![AclFilter::exactly(&acl("b"))])).await.unwrap();
    switch.send_replace(Fetches::OutOfRange);
    let before = beginnings(&bench.tape);
    let mut stays = switch.subscribe();
    stays.wait_for(|now| *now == Fetches::Served).await.unwrap();
    bench.create("c").await.unwrap();
    assert_eq!(beginnings(&bench.tape), before + 1);
    assert_eq!(bench.names(), ["a", "c"], "the end of `b` is known, so nothing is missed");

    // The same, and of `a` there is nothing any more: as if the log had been cut and its records were gone.
    switch.send_replace(Fetches::Cut);
    let record = record::acl(&acl("a"), true, &by(), "T");
    let mut batch = crate::cluster::batch::Builder::default();
    let gone = crate::cluster::batch::Record { timestamp: 0, key: Some(&record.key), value: None, headers: &[] };
    batch.push(gone);
    let info = bench.cluster.topic("kordon.state").await.unwrap();
    let place = topic::place_of(&bench.cluster, "kordon.state", &info).unwrap();
    let link = bench.cluster.any_link().unwrap();
    remote::append(&link, &place, batch.finish(topic::UNNUMBERED).into(), SOON).await.unwrap().unwrap();
    switch.send_replace(Fetches::OutOfRange);
    let obstacle = bench.obstacle("it lost records").await;
    assert!(
        obstacle.contains("of `topic:LITERAL:a User:b DENY READ *` and 0 more ACLs in force it knows nothing"),
        "{obstacle}"
    );
    assert_eq!(bench.names(), ["a", "c"], "what was in force stays in force");
    assert!(bench.create("d").await.unwrap_err().message.contains("it lost records"));
}

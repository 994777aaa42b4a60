use super::*;
use crate::audit::origin::Origin;
use crate::audit::queue::Event;
use crate::audit::schema_check::check_event;
use crate::cluster::producer::Payload as _;
use crate::config::{self, AuditLevel, AuditResult, AuditRule, ByteSize};
use crate::model::{Host, Operation, Principal, Resource, ResourceType};
use crate::policy::{Query, Settings, Snapshot, Use};
use crate::telemetry::Metrics;
use proptest::prelude::*;
use serde_json::Value;
use std::time::Duration;

const POLICY: &str = r#"
version: 1
acls:
  - { allow: [Read, Write, Delete], principals: ["User:alice"], resources: ["topic:orders*"] }
  - { allow: [Read], principals: ["User:alice"], resources: ["topic:kordon.audit"] }
"#;

const T0: Timestamp = Timestamp(1_795_304_205_000);

struct World {
    audit: Audit,
    events: mpsc::UnboundedReceiver<Event>,
    metrics: Arc<Metrics>,
    snapshot: Arc<Snapshot>,
    seq: u64,
}

fn rule(level: AuditLevel, result: AuditResult) -> AuditRule {
    AuditRule {
        principals: vec![],
        resources: vec![],
        operations: vec![],
        categories: vec![Category::DataWrite],
        result,
        level,
        window: Duration::from_secs(5),
        topic: None,
    }
}

impl World {
    fn new(rules: Vec<AuditRule>, memory: ByteSize) -> Self {
        let config = config::Audit {
            topic: "kordon.audit".into(),
            former_topics: Vec::new(),
            create: true,
            partitions: 6,
            replication_factor: None,
            retention: None,
            memory,
            full_wait: Duration::from_millis(1),
            rules,
        };
        let metrics = Arc::new(Metrics::new().unwrap());
        let (audit, events) = Audit::new(&config, Origin::new("c", "p", T0, 7), Arc::clone(&metrics));
        let mut settings = Settings { own_topics: Default::default(), now: T0, ..Settings::default() };
        settings.own_topics.audit = vec!["kordon.audit".into()];
        let snapshot = Snapshot::load(POLICY.as_bytes(), "policy.yaml", &settings).unwrap().snapshot;
        Self { audit, events, metrics, snapshot, seq: 0 }
    }

    /// What came out, as the topic would have it.
    fn told(&mut self) -> Vec<Value> {
        let mut all = Vec::new();
        while let Ok(mut event) = self.events.try_recv() {
            self.seq += 1;
            self.audit.hub.origin.seal(&mut event.value, self.seq);
            all.push(check_event(&event.value).unwrap());
            event.acknowledged();
        }
        all
    }

    fn decided(&self) -> u64 {
        let text = self.metrics.render().unwrap();
        let lines = text.lines().filter(|line| line.starts_with("kordon_decisions_total{"));
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
    }
}

fn connection(session: &str, host: [u8; 4]) -> Connection {
    Connection {
        session_id: session.into(),
        listener: "l".into(),
        host: Host::new(host.into()),
        port: 1,
        mechanism: "PLAINTEXT".into(),
        broker: None,
        relayed: false,
    }
}

fn user(name: &str) -> Subject {
    Subject { principal: Principal::user(name), groups: [].into(), may_merge: true, may_be_super: false }
}

/// One request: who, API, category, operation, topics, when.
struct Ask<'a> {
    who: &'a Subject,
    connection: &'a Connection,
    key: ApiKey,
    category: Category,
    operation: Operation,
    topics: &'a [&'a str],
    at: i64,
}

impl Ask<'_> {
    fn put(&self, snapshot: &Snapshot, recorder: &mut ConnectionRecorder) -> Option<DurableToken> {
        let now = T0.plus_millis(self.at);
        let mut trail = Trail::default();
        for topic in self.topics {
            let query = Query {
                subject: self.who,
                operation: self.operation,
                resource: Resource::new(ResourceType::Topic, topic),
                api: self.key,
                host: &self.connection.host,
                now,
                use_: Use::Normal,
            };
            trail.add(self.operation, ResourceType::Topic, topic, &snapshot.decide(&query), false);
        }
        let request = RequestFacts {
            subject: self.who,
            connection: self.connection,
            key: self.key,
            version: 12,
            correlation_id: 1,
            client_id: Some("c-1"),
            software: None,
            category: self.category,
            polling: self.key == ApiKey::FETCH,
            bytes: 100,
            now,
            snapshot,
        };
        recorder.record(&request, &trail)
    }
}

fn fetch<'a>(who: &'a Subject, connection: &'a Connection, topics: &'a [&'a str], at: i64) -> Ask<'a> {
    let (key, category) = (ApiKey::FETCH, Category::DataRead);
    Ask { who, connection, key, category, operation: Operation::Read, topics, at }
}

fn count(event: &Value) -> u64 {
    event["data"]["aggregation"]["count"].as_u64().unwrap()
}

#[test]
fn threat_28_one_event_for_each_outcome_and_rule_of_a_request() {
    let mut world = World::new(vec![], ByteSize::mib(64));
    let (alice, at) = (user("alice"), connection("s-1", [10, 0, 0, 1]));
    let mut recorder = ConnectionRecorder::new(&world.audit, &at, None);
    let topics = ["orders-1", "secret", "orders-2", "hidden"];
    assert_eq!(fetch(&alice, &at, &topics, 0).put(&world.snapshot, &mut recorder), None);
    let told = world.told();
    let info = |event: &Value| event["data"]["authorizationInfo"].clone();
    assert_eq!(told.len(), 2);
    assert_eq!(info(&told[0])["resource"]["names"], serde_json::json!(["orders-1", "orders-2"]));
    assert_eq!(info(&told[0])["matched"][0]["id"], "policy.yaml:4");
    assert_eq!(info(&told[0])["reasonCode"], "ACL_ALLOW");
    assert_eq!(info(&told[1])["resource"]["names"], serde_json::json!(["secret", "hidden"]));
    assert_eq!(info(&told[1])["reasonCode"], "NO_MATCH");
    let id = |event: &Value| event["data"]["requestMetadata"]["requestId"].clone();
    assert_eq!(id(&told[0]), id(&told[1]), "one request");
    assert_eq!(world.decided(), 2);
}

#[test]
fn polling_is_merged_and_told_at_the_window_at_a_change_and_at_the_end() {
    let mut world = World::new(vec![], ByteSize::mib(64));
    let (alice, at) = (user("alice"), connection("s-1", [10, 0, 0, 1]));
    let mut recorder = ConnectionRecorder::new(&world.audit, &at, None);
    let poll =
        |recorder: &mut ConnectionRecorder, topic, ms| fetch(&alice, &at, &[topic], ms).put(&world.snapshot, recorder);
    for ms in 0..5 {
        poll(&mut recorder, "orders", ms);
    }
    assert_eq!(recorder.due(), Some(T0.plus_millis(10_000)));
    let snapshot = Arc::clone(&world.snapshot);
    recorder.flush(T0.plus_millis(10_000));
    assert_eq!(world.told().iter().map(count).collect::<Vec<_>>(), [1, 4]);
    fetch(&alice, &at, &["orders"], 10_001).put(&snapshot, &mut recorder);
    fetch(&alice, &at, &["secret"], 10_002).put(&snapshot, &mut recorder);
    let told = world.told();
    assert_eq!(told.len(), 1, "a denial is told at once, the run goes on");
    assert_eq!(told[0]["data"]["authorizationInfo"]["granted"], false);
    recorder.closed(CloseReason::ClientEof, None, T0.plus_millis(10_003));
    let told = world.told();
    assert_eq!((count(&told[0]), told[0]["data"]["volume"]["bytes"].clone()), (1, 100.into()));
    assert_eq!(told[1]["data"]["connectionInfo"]["reason"], "client_eof");
    drop(recorder);
    assert!(world.told().is_empty());
}

#[test]
fn a_run_ends_when_somebody_else_takes_over_the_connection() {
    let mut world = World::new(vec![], ByteSize::mib(64));
    let at = connection("s-1", [10, 0, 0, 1]);
    let (alice, bob) = (user("alice"), user("bob"));
    let mut recorder = ConnectionRecorder::new(&world.audit, &at, None);
    for (who, ms) in [(&alice, 0), (&alice, 1), (&bob, 2)] {
        fetch(who, &at, &["orders"], ms).put(&world.snapshot, &mut recorder);
    }
    drop(recorder);
    let told = world.told();
    let who = |e: &Value| e["data"]["authenticationInfo"]["principal"].as_str().unwrap().to_owned();
    assert_eq!(
        told.iter().map(|e| (who(e), count(e))).collect::<Vec<_>>(),
        [("User:alice".to_owned(), 1), ("User:alice".to_owned(), 1), ("User:bob".to_owned(), 1)]
    );
}

#[test]
fn reading_the_audit_topic_is_merged_though_a_rule_says_each() {
    let each = AuditRule { categories: vec![], ..rule(AuditLevel::Each, AuditResult::Any) };
    let mut world = World::new(vec![each], ByteSize::mib(64));
    let (alice, at) = (user("alice"), connection("s-1", [10, 0, 0, 1]));
    let mut recorder = ConnectionRecorder::new(&world.audit, &at, None);
    for ms in 0..50 {
        fetch(&alice, &at, &["kordon.audit"], ms).put(&world.snapshot, &mut recorder);
    }
    assert_eq!(world.told().len(), 1);
    drop(recorder);
    assert_eq!(world.told().iter().map(count).collect::<Vec<_>>(), [49]);
}

#[test]
fn a_mutation_is_durable_when_the_topic_has_all_its_events() {
    let mut world = World::new(vec![], ByteSize::mib(64));
    let (alice, at) = (user("alice"), connection("s-1", [10, 0, 0, 1]));
    let (tell, mut durable) = mpsc::unbounded_channel();
    let mut recorder = ConnectionRecorder::new(&world.audit, &at, Some(tell));
    let (key, category, operation) = (ApiKey::DELETE_TOPICS, Category::TopicWrite, Operation::Delete);
    let delete = Ask { who: &alice, connection: &at, key, category, operation, topics: &["orders", "secret"], at: 0 };
    let token = delete.put(&world.snapshot, &mut recorder).unwrap();
    assert_eq!(fetch(&alice, &at, &["orders"], 1).put(&world.snapshot, &mut recorder), None, "data does not wait");
    let mut events: Vec<Event> = std::iter::from_fn(|| world.events.try_recv().ok()).collect();
    events.remove(0).acknowledged();
    assert!(durable.try_recv().is_err(), "one of two");
    events.remove(0).acknowledged();
    assert_eq!(durable.try_recv(), Ok(token));
    let next = delete.put(&world.snapshot, &mut recorder);
    assert!(next.is_some() && next != Some(token));
}

#[test]
fn without_room_a_connection_is_not_read_and_its_events_are_counted() {
    let mut world = World::new(vec![], ByteSize::kib(30));
    let (alice, at) = (user("alice"), connection("s-1", [10, 0, 0, 1]));
    let mut recorder = ConnectionRecorder::new(&world.audit, &at, None);
    recorder.opened(&alice, None, T0);
    let mut requests = 0;
    while recorder.has_room() {
        fetch(&alice, &at, &["secret"], requests).put(&world.snapshot, &mut recorder);
        requests += 1;
    }
    assert!((3..15).contains(&requests), "{requests}");
    let bob = ConnectionRecorder::new(&world.audit, &connection("s-2", [10, 0, 0, 2]), None);
    assert!(bob.has_room(), "who floods waits alone");
    for ms in 0..40 {
        fetch(&alice, &at, &["secret"], ms).put(&world.snapshot, &mut recorder);
    }
    recorder.closed(CloseReason::AuditFull, None, T0);
    assert!(world.told().iter().all(|e| e["data"]["connectionInfo"]["action"] != "closed"), "there was no room for it");
    assert!(recorder.has_room(), "acknowledged events give room back");
    world.audit.hub.tell_counted();
    let told = world.told();
    assert_eq!((told[0]["data"]["auditInfo"]["action"].clone(), count(&told[0])), ("overflow".into(), 1));
}

#[test]
fn threat_28_who_is_refused_as_often_as_it_likes_leaves_room_for_who_is_known() {
    let mut world = World::new(vec![], ByteSize::kib(300));
    for i in 0..1_000 {
        let at = connection(&format!("s-{i}"), [10, 0, 0, u8::try_from(i % 250).unwrap()]);
        ConnectionRecorder::new(&world.audit, &at, None).refused(None, CloseReason::LoginFailed, Some("a detail"), T0);
    }
    let mut bob = ConnectionRecorder::new(&world.audit, &connection("s-b", [10, 0, 0, 1]), None);
    bob.opened(&user("bob"), None, T0);
    assert!(bob.has_room());
    let told = world.told();
    assert!((100..900).contains(&told.len()), "{}", told.len());
    world.audit.hub.tell_counted();
    assert_eq!(count(&world.told()[0]) + told.len() as u64 - 1, 1_000, "each is told or counted");
}

proptest! {
    // A case registers all metrics of the process anew, which takes most of its time.
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// The invariant of the audit, over every level, several connections, changing people and times.
    #[test]
    fn the_counts_in_the_topic_add_up_to_the_decisions_counted(
        asks in prop::collection::vec((0_usize..3, 0_usize..2, 0_usize..4, any::<bool>(), 0_i64..3_000, any::<bool>()), 1..120),
    ) {
        let rules = vec![rule(AuditLevel::None, AuditResult::Allowed), rule(AuditLevel::Merged, AuditResult::Denied)];
        let mut world = World::new(rules, ByteSize::mib(64));
        let connections: Vec<_> = (1..4).map(|i| connection(&format!("s-{i}"), [10, 0, 0, i])).collect();
        let people = [user("alice"), user("bob")];
        let mut recorders: Vec<_> =
            connections.iter().map(|c| ConnectionRecorder::new(&world.audit, c, None)).collect();
        let all = ["orders", "orders-2", "secret", "kordon.audit"];
        let (mut at, mut told) = (0, Vec::new());
        for (on, who, topics, write, wait, flush) in asks {
            at += wait;
            let (key, category, operation) = if write {
                (ApiKey::PRODUCE, Category::DataWrite, Operation::Write)
            } else {
                (ApiKey::FETCH, Category::DataRead, Operation::Read)
            };
            let (who, connection, topics) = (&people[who], &connections[on], &all[..=topics]);
            let ask = Ask { who, connection, key, category, operation, topics, at };
            ask.put(&world.snapshot, &mut recorders[on]);
            if flush {
                recorders[on].flush(T0.plus_millis(at));
                world.audit.hub.tell_counted();
            }
            told.extend(world.told());
        }
        drop(recorders);
        world.audit.hub.tell_counted();
        told.extend(world.told());
        prop_assert_eq!(told.iter().map(count).sum::<u64>(), world.decided());
        prop_assert_eq!(world.audit.fill().0, 0, "all room is given back");
        let seqs: Vec<u64> = told.iter().map(|e| e["data"]["integrity"]["seq"].as_u64().unwrap()).collect();
        prop_assert_eq!(seqs, (1..=u64::try_from(told.len()).unwrap()).collect::<Vec<_>>());
    }
}

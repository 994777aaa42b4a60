//! The audit's way into a real topic: the proxy's own connections, its producer, and what it does when brokers fail.

use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kordon::audit::{ConnectionRecorder, Service};
use kordon::cluster::Cluster as Own;
use kordon::cluster::topic::TopicError;
use kordon::config::{self, Config, PasswordMechanism, Secret, SecretSource, UpstreamSasl};
use kordon::enforce::{Category, Recorder as _, RequestFacts, Trail};
use kordon::model::{
    CloseReason, Connection, Host, Operation, Principal, Resource, ResourceType, Subject, Timestamp, TopicId,
};
use kordon::policy::{Query, Settings, Snapshot, Use};
use kordon::telemetry::Metrics;
use kordon::wire::ApiKey;
use serde_json::json;
use tokio::runtime::Runtime;

use crate::support::audit::AuditReader;
use crate::support::cluster::{Cluster, SASL_PASSWORD, SASL_USER};
use crate::support::gate::Way;
use crate::support::{eventually, needs, scratch, soon, unique};

/// A configuration for the cluster at `bootstrap`; `audit` is what stands under that key.
fn configure(bootstrap: &str, audit: &str) -> Config {
    let dir = scratch(&unique("audit"));
    let file = dir.join("kordon.yaml");
    let bootstrap: Vec<String> = bootstrap.split(',').map(|a| format!("\"{a}\"")).collect();
    let text = format!(
        "version: 1
instance: p-1
cluster: {{ name: test, bootstrap: [{}], connect_timeout: 2s, request_timeout: 5s, metadata_refresh: 1s }}
listeners:
  - {{ name: l, bind: \"127.0.0.1:0\", brokers: {{ ports: {{ start: 20000, ids: 0-3 }} }}, identity: fixed, principal: \"User:alice\" }}
policy: {{ file: policy.yaml, protocol_acls: disabled }}
audit: {{ {audit} }}
",
        bootstrap.join(", ")
    );
    std::fs::write(&file, text).unwrap();
    std::fs::write(dir.join("policy.yaml"), "version: 1\n").unwrap();
    config::load(&file).unwrap_or_else(|problems| panic!("{problems:?}"))
}

/// The audit at work, in this process.
struct Bench {
    runtime: Runtime,
    own: Own,
    service: Option<Service>,
    snapshot: Arc<Snapshot>,
    connection: Connection,
    subject: Subject,
}

impl Bench {
    fn start(config: &Config) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let _inside = runtime.enter();
        let own = Own::start(&config.cluster);
        let service = Service::start(config, &own, &Arc::new(Metrics::new().unwrap()));
        let settings = Settings { own_topics: Default::default(), now: Timestamp(0), ..Settings::default() };
        let loaded = Snapshot::load(b"version: 1\n", "policy.yaml", &settings).unwrap();
        let connection = Connection {
            session_id: "s-1".into(),
            listener: "l".into(),
            host: Host::new([127, 0, 0, 1].into()),
            port: 1,
            mechanism: "PLAINTEXT".into(),
            broker: None,
            relayed: false,
        };
        let subject =
            Subject { principal: Principal::user("alice"), groups: [].into(), may_merge: true, may_be_super: false };
        drop(_inside);
        Self { runtime, own, service: Some(service), snapshot: loaded.snapshot, connection, subject }
    }

    fn service(&self) -> &Service {
        self.service.as_ref().unwrap()
    }

    fn recorder(&self) -> ConnectionRecorder {
        ConnectionRecorder::new(&self.service().audit(), &self.connection, None)
    }

    /// One denied Produce to a topic of this name: one decision, one event.
    fn deny(&self, recorder: &mut ConnectionRecorder, name: &str) {
        let now =
            Timestamp(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as i64);
        let query = Query {
            subject: &self.subject,
            operation: Operation::Write,
            resource: Resource::new(ResourceType::Topic, name),
            api: ApiKey::PRODUCE,
            host: &self.connection.host,
            now,
            use_: Use::Normal,
        };
        let mut trail = Trail::default();
        trail.add(Operation::Write, ResourceType::Topic, name, &self.snapshot.decide(&query), false);
        let request = RequestFacts {
            subject: &self.subject,
            connection: &self.connection,
            key: ApiKey::PRODUCE,
            version: 9,
            correlation_id: 7,
            client_id: Some("test"),
            software: None,
            category: Category::DataWrite,
            polling: false,
            bytes: 100,
            now,
            snapshot: &self.snapshot,
        };
        recorder.record(&request, &trail);
    }

    fn close(&mut self, within: Duration) -> usize {
        self.runtime.block_on(self.service.take().unwrap().close(within))
    }
}

/// A cluster whose brokers may be stopped, for one test at a time.
fn breakable() -> MutexGuard<'static, Cluster> {
    static CLUSTER: LazyLock<Mutex<Cluster>> = LazyLock::new(|| Mutex::new(Cluster::start(Default::default())));
    CLUSTER.lock().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn the_audit_topic_is_made_as_configured_and_holds_every_decision_with_its_headers() {
    needs!(Java);
    let cluster = Cluster::shared();
    let topic = unique("audit");
    let config = configure(&cluster.direct(), &format!("topic: {topic}, partitions: 4, retention: 2d"));
    let mut bench = Bench::start(&config);
    bench.runtime.block_on(bench.service().ready()).unwrap();
    let mut recorder = bench.recorder();
    recorder.opened(&bench.subject.clone(), None, Timestamp(1_795_304_205_123));
    for i in 0..1_000 {
        bench.deny(&mut recorder, &format!("t-{i}"));
    }
    recorder.closed(CloseReason::ClientEof, None, Timestamp(1_795_304_206_123));
    drop(recorder);
    assert_eq!(bench.close(Duration::from_secs(20)), 0);

    let mut reader = AuditReader::open(cluster, &topic);
    let events = reader.read().to_vec();
    let kinds = |kind: &str| events.iter().filter(|e| e.kind() == kind).count();
    assert_eq!((kinds("authorization"), kinds("connection"), kinds("audit")), (1_000, 2, 2));
    let mut seqs: Vec<u64> = events.iter().map(|e| e.json["data"]["integrity"]["seq"].as_u64().unwrap()).collect();
    seqs.sort_unstable();
    assert_eq!(seqs, (1..=1_004).collect::<Vec<_>>(), "no gap, nothing twice");
    let event = events.iter().find(|e| e.on("t-7")).unwrap();
    assert_eq!(event.key.as_deref(), Some("User:alice"));
    let header = |name: &str| event.headers[name].as_str().unwrap_or_default().to_owned();
    assert_eq!(header("content-type"), "application/cloudevents+json; charset=UTF-8");
    assert_eq!(header("ce_type"), "kordon.authorization.v1");
    assert_eq!(header("ce_id"), event.json["id"].as_str().unwrap());
    assert_eq!((header("granted"), header("category")), ("false".into(), "data_write".into()));

    let admin = cluster.admin();
    let told = admin.ask("describeTopics", json!({ "topics": [topic] })).unwrap();
    let partitions = told[&topic]["ok"]["partitions"].as_array().unwrap().clone();
    assert_eq!(partitions.len(), 4);
    let told = admin.ask("describeConfigs", json!({ "resources": [["TOPIC", topic]] })).unwrap();
    let configs = told.as_object().unwrap().values().next().unwrap()["ok"].clone();
    for (name, value) in [("retention.ms", "172800000"), ("cleanup.policy", "delete"), ("min.insync.replicas", "2")] {
        assert_eq!(configs[name], value, "{name} of {told}");
    }
}

#[test]
fn a_topic_that_is_missing_and_may_not_be_made_is_told_and_one_that_exists_needs_no_right() {
    needs!(Java);
    let cluster = Cluster::shared();
    let topic = unique("audit");
    let config = configure(&cluster.direct(), &format!("topic: {topic}, create: false"));
    let mut bench = Bench::start(&config);
    let refused = bench.runtime.block_on(bench.service().ready());
    assert_eq!(refused, Err(TopicError::Missing(topic.clone())));
    assert!(refused.unwrap_err().to_string().contains(&format!("topic `{topic}` does not exist")));
    bench.close(Duration::from_secs(1));

    cluster.admin().create_topic(&topic, 1, &[]);
    let bench = Bench::start(&config);
    assert_eq!(bench.runtime.block_on(bench.service().ready()), Ok(()));

    let config = configure(&cluster.direct(), &format!("topic: {}, replication_factor: 7", unique("audit")));
    let refused = Bench::start(&config);
    let error = refused.runtime.block_on(refused.service().ready()).unwrap_err().to_string();
    assert!(error.contains("INVALID_REPLICATION_FACTOR"), "{error}");
}

#[test]
fn topics_are_found_by_id_as_soon_as_somebody_wants_them() {
    needs!(Java);
    let cluster = Cluster::shared();
    let mut config = configure(&cluster.direct(), "");
    config.cluster.metadata_refresh = Duration::from_secs(3_600);
    let runtime = Runtime::new().unwrap();
    let _inside = runtime.enter();
    let own = Own::start(&config.cluster);
    assert!(runtime.block_on(own.reached(Duration::from_secs(20))), "{:?}", own.trouble());
    let topology = eventually("every broker's versions", Duration::from_secs(10), || {
        let topology = own.topology();
        let known = topology.brokers.values().filter(|b| !b.versions.is_empty()).count();
        if known == 3 { Ok(topology) } else { Err(format!("{known} of 3")) }
    });
    assert_eq!(topology.cluster_id.as_deref(), Some(cluster.id.as_str()));
    assert!(topology.versions(None, ApiKey::FETCH).is_some());

    let topic = cluster.topic("wanted", 1);
    assert!(!own.topology().has_topic(&topic), "nobody asked yet");
    let everything = runtime.block_on(own.want(vec![]));
    let id = everything.ids[topic.as_str()];
    let again = cluster.topic("wanted", 1);
    let unknown = TopicId([7; 16]);
    let topology = runtime.block_on(own.want(vec![id, unknown]));
    assert_eq!(topology.topic_name(id).map(|n| &**n), Some(topic.as_str()));
    assert_eq!(topology.topic_name(unknown), None);
    assert!(!topology.has_topic(&again), "a question by id asks for nothing else");
}

#[test]
fn too_few_replicas_hold_the_audit_the_status_says_so_and_nothing_is_lost() {
    needs!(Java);
    let cluster = breakable();
    let topic = unique("audit");
    let admin = cluster.admin();
    let every = json!({ "name": topic, "partitions": 1, "replicas": 3, "configs": { "min.insync.replicas": "3" } });
    admin.ask("createTopics", json!({ "topics": [every] })).unwrap();
    let leader = soon("a leader", || Some(admin.leader(&topic, 0)).filter(|id| *id > 0));
    let other = cluster.nodes().iter().map(|n| n.id).find(|id| *id != leader).unwrap();
    cluster.stop_node(other);
    let config = configure(&cluster.direct(), &format!("topic: {topic}, memory: 1MiB, full_wait: 200ms"));
    let mut bench = Bench::start(&config);
    bench.runtime.block_on(bench.service().ready()).unwrap();
    let mut recorder = bench.recorder();
    let mut decisions = 0;
    while recorder.has_room() {
        bench.deny(&mut recorder, "t");
        decisions += 1;
    }
    assert!(bench.runtime.block_on(recorder.room()).is_err(), "no room for `full_wait`");
    let status = bench.service().status();
    let health = eventually("the cause", Duration::from_secs(10), || {
        let health = status.health();
        if health.words().contains("NOT_ENOUGH_REPLICAS") { Ok(health) } else { Err(health.words()) }
    });
    assert!(
        health.causes[0].starts_with(&format!("topic {topic} partition 0: NOT_ENOUGH_REPLICAS since ")),
        "{health:?}"
    );
    assert!(health.bytes > 0 && health.room == 1024 * 1024);

    cluster.start_node(other);
    soon("room again", || recorder.has_room());
    for _ in 0..100 {
        bench.deny(&mut recorder, "t");
        decisions += 1;
    }
    drop(recorder);
    assert_eq!(bench.close(Duration::from_secs(20)), 0);
    assert_eq!(AuditReader::open(&cluster, &topic).decisions(), decisions);
}

#[test]
fn every_decision_is_in_the_topic_once_though_leaders_die_and_connections_are_cut() {
    needs!(Java);
    let cluster = breakable();
    let topic = unique("audit");
    let config = configure(&cluster.gated(), &format!("topic: {topic}, partitions: 1, memory: 64MiB"));
    let mut bench = Bench::start(&config);
    bench.runtime.block_on(bench.service().ready()).unwrap();
    let mut recorder = bench.recorder();
    let mut decisions = 0_u64;
    let mut some = |bench: &Bench, n: u64| {
        for _ in 0..n {
            let room = bench.runtime.block_on(recorder.room());
            room.unwrap_or_else(|e| panic!("{e}: {}", bench.service().status().health().words()));
            bench.deny(&mut recorder, &format!("t-{decisions}"));
            decisions += 1;
        }
    };
    let admin = cluster.admin();
    for round in 0..3 {
        let leader = admin.leader(&topic, 0);
        some(&bench, 2_000);
        // Requests arrive, answers do not: the producer cannot know, and has to send again.
        cluster.gate.hold(leader, Way::FromBroker);
        some(&bench, 500);
        soon("a write whose answer is held back", || bench.service().status().health().events > 0);
        cluster.gate.cut(leader);
        cluster.gate.release(leader);
        some(&bench, 500);
        if round > 0 {
            cluster.kill_node(leader);
            some(&bench, 500);
            soon("another leader", || admin.leader(&topic, 0) != leader);
            some(&bench, 500);
            cluster.start_node(leader);
        }
    }
    let _ = some;
    drop(recorder);
    let left = bench.close(Duration::from_secs(60));
    assert_eq!(left, 0);
    let mut reader = AuditReader::open(&cluster, &topic);
    let told = reader.decisions();
    let mut seqs: Vec<u64> =
        reader.read().iter().map(|e| e.json["data"]["integrity"]["seq"].as_u64().unwrap()).collect();
    let in_order = seqs.is_sorted();
    seqs.sort_unstable();
    let all = seqs.len();
    seqs.dedup();
    println!("{decisions} decisions, {told} told, {all} events, {} different", seqs.len());
    assert_eq!(seqs.last(), Some(&u64::try_from(seqs.len()).unwrap()), "no gap");
    assert_eq!(all, seqs.len(), "nothing twice: one producer id throughout");
    assert!(in_order);
    assert_eq!(told, decisions);
    let _ = bench.own.topology();
}

#[test]
fn the_proxy_logs_in_at_the_brokers_and_a_refused_login_is_told() {
    needs!(Java);
    let cluster = breakable();
    let topic = unique("audit");
    let mut config = configure(&cluster.sasl(), &format!("topic: {topic}"));
    let password = scratch("login").join(unique("password"));
    std::fs::write(&password, SASL_PASSWORD).unwrap();
    let login = |username: &str, mechanism| UpstreamSasl::Password {
        mechanism,
        username: username.to_owned(),
        password: Secret(SecretSource::File(password.clone())),
    };
    config.cluster.sasl = Some(login(SASL_USER, PasswordMechanism::Plain));
    let mut bench = Bench::start(&config);
    bench.runtime.block_on(bench.service().ready()).unwrap();
    let mut recorder = bench.recorder();
    bench.deny(&mut recorder, "t");
    drop(recorder);
    assert_eq!(bench.close(Duration::from_secs(20)), 0);
    assert_eq!(AuditReader::open(&cluster, &topic).decisions(), 1);

    for (user, mechanism, words) in [
        ("mallory", PasswordMechanism::Plain, "refused the login of `mallory`: Authentication failed"),
        (SASL_USER, PasswordMechanism::ScramSha512, "it takes PLAIN, not SCRAM-SHA-512"),
    ] {
        config.cluster.sasl = Some(login(user, mechanism));
        let refused = Bench::start(&config);
        eventually("the refusal", Duration::from_secs(10), || {
            let trouble = refused.own.trouble().unwrap_or_else(|| "none".into());
            if trouble.contains(words) { Ok(()) } else { Err(trouble) }
        });
        let health = refused.service().status().health();
        assert!(health.red && !health.causes.is_empty(), "{health:?}");
    }
}

#[test]
fn a_broker_that_stands_still_does_not_hold_up_what_others_can_answer() {
    needs!(Java);
    let cluster = breakable();
    let mut config = configure(&cluster.direct(), "");
    config.cluster.metadata_refresh = Duration::from_secs(3_600);
    config.cluster.connect_timeout = Duration::from_millis(500);
    config.cluster.request_timeout = Duration::from_secs(120);
    let runtime = Runtime::new().unwrap();
    let inside = runtime.enter();
    let own = Own::start(&config.cluster);
    soon("all three connections", || (1..=3).all(|id| own.link(id).is_some()));
    let paused = cluster.pause_node(cluster.nodes()[1].id);
    let before = own.topology().generation;
    for _ in 0..6 {
        let asked = async { tokio::time::timeout(Duration::from_secs(20), own.want(vec![])).await };
        runtime.block_on(asked).unwrap_or_else(|e| panic!("{e}: {:?}", own.trouble()));
    }
    assert_eq!(own.trouble(), None);
    drop(paused);
    assert!(own.topology().generation >= before);
    drop(inside);
}

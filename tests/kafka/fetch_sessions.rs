//! Fetch sessions through the proxy: they work while all is allowed, belong to the connection that opened them, and end
//! with the right, also while a fetch waits at the broker.

use std::time::Duration;

use kordon::model::{Timestamp, TopicId};
use kordon::wire::schema::fetch::request::{
    FORGOTTEN_TOPICS_DATA, SESSION_EPOCH, SESSION_ID, TOPICS, fetch_partition, fetch_topic, forgotten_topic,
};
use kordon::wire::{ApiKey, ErrorCode};

use crate::support::cluster::Cluster;
use crate::support::gate::{Frame, Tap, Way};
use crate::support::java::{Java, Producer};
use crate::support::proxy::Kordon;
use crate::support::raw::{FetchSpec, Fetched, Raw, fetched};
use crate::support::{needs, soon, throughout, unique};

/// Long enough that no test sees the broker answer by itself.
const LONG: Duration = Duration::from_secs(25);

/// alice and bob may read what begins with these words.
fn reading(words: &[&str]) -> String {
    let rules: Vec<String> = words
        .iter()
        .map(|word| {
            format!(
                "  - {{ allow: [Read], principals: [\"User:alice\", \"User:bob\"], resources: [\"topic:{word}*\"] }}\n"
            )
        })
        .collect();
    format!(
        "version: 1\ndefault: deny\nacls:\n  - {{ allow: [Read], principals: [\"User:*\"], resources: [\"group:*\"] }}\n{}end: true\n",
        rules.concat()
    )
}

/// Topics, each of one partition, that the same broker leads; and a producer behind the proxy's back.
pub(crate) struct Scene {
    pub(crate) names: Vec<String>,
    ids: Vec<TopicId>,
    leader: i32,
    pub(crate) producer: Producer,
}

pub(crate) fn scene(cluster: &Cluster, prefixes: &[&str]) -> Scene {
    let mut direct = Raw::connect(&cluster.direct());
    let mut of = |prefix: &str| {
        let name = unique(prefix);
        cluster.create_topic(&name, 1, &[]);
        let (id, leader) = direct.topic(&name, 0);
        (name, id, leader)
    };
    let (name, id, leader) = of(prefixes[0]);
    let (mut names, mut ids) = (vec![name], vec![id]);
    for prefix in &prefixes[1..] {
        let (name, id, _) = (0..).map(|_| of(prefix)).find(|(_, _, led)| *led == leader).expect("a topic");
        names.push(name);
        ids.push(id);
    }
    Scene { names, ids, leader, producer: Java::newest().producer(&cluster.direct(), &[]) }
}

impl Scene {
    /// All topics from their beginning.
    fn all(&self) -> FetchSpec {
        let mut spec = FetchSpec::of(&self.names[0], self.ids[0], 0);
        spec.partitions = self.names.iter().zip(&self.ids).map(|(n, id)| (n.clone(), *id, 0, 0)).collect();
        spec
    }

    fn produce(&self, topic: usize, value: &str) {
        assert_eq!(self.producer.send(&self.names[topic], &[value]).ok, 1);
    }
}

/// The continuation of a session without changes.
fn next(session: i32, epoch: i32) -> FetchSpec {
    let mut spec = FetchSpec::of("", TopicId::ZERO, 0).session(session, epoch);
    spec.partitions.clear();
    spec
}

fn ask(raw: &mut Raw, version: i16, spec: &FetchSpec) -> Fetched {
    fetched(&raw.ask(ApiKey::FETCH, version, &spec.request()))
}

fn waiting(mut spec: FetchSpec) -> FetchSpec {
    spec.wait = LONG;
    spec
}

fn await_fetch(tap: &Tap) -> Frame {
    tap.wait("the fetch leaves for the broker", |f| f.way == Way::ToBroker && f.api == ApiKey::FETCH.0)
}

#[test]
fn threat_01_a_session_is_known_only_to_the_connection_that_opened_it() {
    needs!(Java);
    let cluster = Cluster::shared();
    let scene = scene(cluster, &["mine"]);
    let kordon = Kordon::before(cluster).person("alice").person("bob").policy(&reading(&["mine-"])).start();
    let mut alice = Raw::connect(&kordon.broker("alice", scene.leader));
    let session = ask(&mut alice, 12, &scene.all().session(0, 0)).session;
    assert_ne!(session, 0, "all is allowed: there is a session");
    scene.produce(0, "one");
    let tap = kordon.tap();
    for who in ["alice", "bob"] {
        let mut other = Raw::connect(&kordon.broker(who, scene.leader));
        for version in [7, 12, 17] {
            for epoch in [1, 2, -1, 0] {
                let told = ask(&mut other, version, &next(session, epoch));
                // What ends a session, or begins one anew, is no error, as where a broker does not know the number.
                let error = if epoch > 0 { ErrorCode::FETCH_SESSION_ID_NOT_FOUND } else { ErrorCode::NONE };
                assert_eq!(
                    (told.error, told.session, told.partitions.len()),
                    (error, 0, 0),
                    "{who}, version {version}, epoch {epoch}"
                );
            }
        }
        // A number that nobody has looks the same: there is nothing to search for.
        let unknown = ask(&mut other, 12, &next(session.wrapping_add(1) & i32::MAX, 1));
        assert_eq!(unknown.error, ErrorCode::FETCH_SESSION_ID_NOT_FOUND);
    }
    assert!(tap.requests(ApiKey::FETCH).is_empty(), "none of it reached a broker");
    let mut other = Raw::connect(&kordon.broker("alice", scene.leader));
    let told = ask(&mut other, 12, &scene.all().session(session, 0));
    assert_eq!((told.error, told.session == session), (ErrorCode::NONE, false), "a full fetch opens one of its own");
    let told = ask(&mut alice, 12, &next(session, 1));
    assert_eq!((told.error, told.session, told.partitions.len()), (ErrorCode::NONE, session, 1), "hers goes on");
    assert!(told.partitions[0].4 > 0, "with its record");
}

#[test]
fn while_all_is_allowed_a_stock_consumer_fetches_in_a_session_without_naming_topics() {
    needs!(Java);
    let cluster = Cluster::shared();
    let topic = cluster.topic("mine", 3);
    let kordon = Kordon::before(cluster).person("alice").policy(&reading(&["mine-"])).start();
    let tap = kordon.tap();
    let consumer = Java::newest().consumer(kordon.at("alice"), &[("group.id", &unique("group"))]);
    consumer.subscribe(&[&topic]).run();
    let opened = tap.wait("an answer with a session", |f| {
        f.way == Way::FromBroker && f.api == ApiKey::FETCH.0 && fetched(&f.answer()).session != 0
    });
    let session = fetched(&opened.answer()).session;
    tap.wait("an incremental fetch without topics", |f| {
        f.connection == opened.connection && f.way == Way::ToBroker && f.api == ApiKey::FETCH.0 && {
            let request = f.request();
            request.i32(SESSION_ID) == session && request.nodes(TOPICS).is_empty()
        }
    });
    Java::newest().producer(&cluster.direct(), &[]).send(&topic, &["one"]);
    soon("the record", || consumer.has("one"));
}

#[test]
fn a_right_that_ends_takes_its_topic_out_of_a_session() {
    needs!(Java);
    let cluster = Cluster::shared();
    let scene = scene(cluster, &["mine", "ours"]);
    let kordon = Kordon::before(cluster).person("alice").policy(&reading(&["mine-", "ours-"])).start();
    for version in [7, 12, 17] {
        kordon.write_policy(&reading(&["mine-", "ours-"]));
        let mut raw = Raw::connect(&kordon.broker("alice", scene.leader));
        let session = ask(&mut raw, version, &scene.all().session(0, 0)).session;
        assert_ne!(session, 0);
        assert_eq!(ask(&mut raw, version, &next(session, 1)).error, ErrorCode::NONE);
        kordon.write_policy(&reading(&["mine-"]));
        scene.produce(1, "no");
        scene.produce(0, "yes");
        let told = ask(&mut raw, version, &next(session, 2));
        assert_eq!((told.error, told.partitions.len()), (ErrorCode::FETCH_SESSION_ID_NOT_FOUND, 0));
        // As a client library does then: everything again.
        let told = ask(&mut raw, version, &scene.all().session(0, 0));
        assert_eq!((told.error, told.session), (ErrorCode::NONE, 0), "no session with a refused topic");
        let of = |topic: usize| {
            let found = told.partitions.iter().find(|p| p.0 == scene.names[topic] || p.1 == scene.ids[topic]);
            found.map(|p| (p.3, p.4 > 0))
        };
        assert_eq!(of(0), Some((ErrorCode::NONE, true)));
        assert_eq!(of(1), Some((ErrorCode::TOPIC_AUTHORIZATION_FAILED, false)));
    }
}

/// The fetch is seen leaving for the broker, then the right ends, then the record is produced: it must not arrive.
#[track_caller]
pub(crate) fn withheld(kordon: &Kordon, scene: &Scene, version: i16, session: bool, end: impl FnOnce()) {
    let mut raw = Raw::connect(&kordon.broker("alice", scene.leader));
    raw.patience(LONG);
    let offset = scene.producer.send(&scene.names[0], &["before"]).offsets[0].1 + 1;
    let mut spec = scene.all();
    spec.partitions[0].3 = offset;
    let tap = kordon.tap();
    let begin = std::time::Instant::now();
    if session {
        let mut full = spec.clone().session(0, 0);
        full.wait = Duration::from_millis(1);
        let id = ask(&mut raw, version, &full).session;
        assert_ne!(id, 0);
        tap.clear();
        raw.send(ApiKey::FETCH, version, &waiting(next(id, 1)).request());
    } else {
        raw.send(ApiKey::FETCH, version, &waiting(spec).request());
    }
    let left = await_fetch(&tap);
    let answers =
        |f: &Frame| f.way == Way::FromBroker && (f.connection, f.correlation) == (left.connection, left.correlation);
    assert!(!tap.answers(ApiKey::FETCH).iter().any(answers), "it waits there");
    end();
    assert!(!tap.answers(ApiKey::FETCH).iter().any(answers), "it waits there still");
    scene.produce(0, "secret");
    tap.wait("the broker's answer", answers);
    let told = fetched(&raw.receive());
    assert!(begin.elapsed() < LONG, "the record ended the wait, not the time");
    assert!(told.partitions.iter().all(|p| p.4 == 0), "version {version}: {told:?}");
    if version >= 7 {
        let expected = (ErrorCode::FETCH_SESSION_ID_NOT_FOUND, 0, 0);
        assert_eq!((told.error, told.session, told.partitions.len()), expected, "version {version}");
    } else {
        let errors: Vec<_> = told.partitions.iter().map(|p| (p.0.as_str(), p.3)).collect();
        assert_eq!(errors.len(), scene.names.len(), "{told:?}");
        assert!(errors.contains(&(&scene.names[0], ErrorCode::TOPIC_AUTHORIZATION_FAILED)), "{told:?}");
        assert!(errors[1..].iter().all(|(_, error)| *error == ErrorCode::NONE), "{told:?}");
    }
    // The connection lives, and says what is the matter.
    let mut spec = scene.all();
    spec.wait = Duration::from_millis(1);
    let again = ask(&mut raw, version, &spec);
    let refused = again.partitions.iter().filter(|p| p.3 == ErrorCode::TOPIC_AUTHORIZATION_FAILED).count();
    assert_eq!((again.partitions.len(), refused), (scene.names.len(), 1), "version {version}: {again:?}");
}

#[test]
fn a_record_produced_after_the_policy_took_the_right_does_not_arrive_in_a_waiting_fetch() {
    needs!(Java);
    let cluster = Cluster::shared();
    let scene = scene(cluster, &["ours", "mine"]);
    let (all, less) = (reading(&["mine-", "ours-"]), reading(&["mine-"]));
    let kordon = Kordon::before(cluster).person("alice").policy(&all).start();
    for (version, session) in [(4, false), (6, false), (7, true), (12, false), (12, true), (17, true), (17, false)] {
        kordon.write_policy(&all);
        withheld(&kordon, &scene, version, session, || kordon.write_policy(&less));
    }
}

#[test]
fn a_record_produced_after_a_grant_ran_out_does_not_arrive_in_a_waiting_fetch() {
    needs!(Java);
    let cluster = Cluster::shared();
    let scene = scene(cluster, &["ours", "mine"]);
    let kordon = Kordon::before(cluster).person("alice").policy(&reading(&["mine-"])).start();
    for (version, session) in [(5, false), (17, true)] {
        let end = now().plus_millis(2_500);
        let granted = format!(
            "{}grants:\n  - {{ id: INC-1, allow: [Read], principals: [\"User:alice\"], resources: [\"topic:ours-*\"], not_after: \"{end}\", reason: test }}\nend: true\n",
            reading(&["mine-"]).trim_end_matches("end: true\n")
        );
        kordon.write_policy(&granted);
        assert!(now() < end, "the machine is too slow for this test");
        withheld(&kordon, &scene, version, session, || soon("the grant's end", || now() >= end));
    }
}

fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock");
    Timestamp(since.as_millis() as i64)
}

/// A fetch that has left for its broker and has no answer yet.
pub(crate) fn waiting_fetch(tap: &Tap, wanted: impl Fn(&Frame) -> bool) -> Option<Frame> {
    tap.requests(ApiKey::FETCH).iter().rev().find(|f| !answered(tap, f) && wanted(f)).cloned()
}

/// The offsets from which on a fetch asks for the topics of a scene (partition 0), in their order: what it names, and what
/// its session has from the fetches before it. None where a topic takes no part.
pub(crate) fn asked(tap: &Tap, fetch: &Frame, scene: &Scene) -> Vec<Option<i64>> {
    let mut offsets = vec![None; scene.names.len()];
    let of = |name: &str, id: TopicId| scene.names.iter().zip(&scene.ids).position(|(n, i)| *n == name || *i == id);
    for frame in tap.requests(ApiKey::FETCH).iter().filter(|f| f.connection == fetch.connection) {
        let request = frame.request();
        if request.i32(SESSION_EPOCH) <= 0 {
            offsets.fill(None);
        }
        for topic in request.nodes(FORGOTTEN_TOPICS_DATA) {
            if let Some(i) = of(topic.str(forgotten_topic::TOPIC), topic.uuid(forgotten_topic::TOPIC_ID)) {
                offsets[i] = None;
            }
        }
        for topic in request.nodes(TOPICS) {
            let partition = topic.nodes(fetch_topic::PARTITIONS).first().map(|p| p.int(fetch_partition::FETCH_OFFSET));
            if let Some(i) = of(topic.str(fetch_topic::TOPIC), topic.uuid(fetch_topic::TOPIC_ID)) {
                offsets[i] = partition;
            }
        }
        if frame.correlation == fetch.correlation {
            break;
        }
    }
    offsets
}

/// Whether the broker has answered a fetch.
pub(crate) fn answered(tap: &Tap, fetch: &Frame) -> bool {
    let answers = |a: &Frame| (a.connection, a.correlation) == (fetch.connection, fetch.correlation);
    tap.answers(ApiKey::FETCH).iter().any(answers)
}

#[test]
fn a_running_consumer_loses_its_right_inside_a_session_and_gets_it_back_without_reconnecting() {
    needs!(Java);
    let cluster = Cluster::shared();
    let topic = cluster.topic("ours", 1);
    let (all, less) = (reading(&["mine-", "ours-"]), reading(&["mine-"]));
    let kordon = Kordon::before(cluster).person("alice").policy(&all).start();
    let producer = Java::newest().producer(&cluster.direct(), &[]);
    let consumer = Java::newest().consumer(kordon.at("alice"), &[("fetch.max.wait.ms", "20000")]);
    let tap = kordon.tap();
    consumer.assign(&[(&topic, 0)]).run();
    producer.send(&topic, &["one"]);
    soon("the first record", || consumer.has("one"));
    // The next fetch waits at the broker: in a session, without topics.
    let leaving = soon("a waiting fetch", || waiting_fetch(&tap, |f| f.request().i32(SESSION_ID) != 0));
    let connections = consumer.metric("connection-creation-total");
    kordon.write_policy(&less);
    producer.send(&topic, &["secret"]);
    soon("the broker's answer", || answered(&tap, &leaving));
    soon("the refusal", || consumer.events(0).iter().any(|e| e["error"] == "TopicAuthorizationException"));
    throughout("the record stays away", Duration::from_secs(1), || !consumer.has("secret"));
    kordon.write_policy(&all);
    soon("the record", || consumer.has("secret"));
    producer.send(&topic, &["three"]);
    soon("the next record", || consumer.has("three"));
    assert_eq!(consumer.metric("connection-creation-total"), connections, "without reconnecting");
}

//! ACLs made over the protocol, kept in the state topic: durable, in force at once, on every proxy, and never lost to an
//! empty, other or damaged topic.

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use kordon::access::{self, Access, InForce, Made, record};
use kordon::cluster::batch::{Builder, Record, Stamp};
use kordon::config;
use kordon::model::{Operation, PatternType, ResourceType};
use kordon::policy::{AclBinding, AclChange, AclChanged, AclSet, Permission};
use kordon::wire::schema::{create_acls, delete_acls, describe_acls, produce};
use kordon::wire::{ApiKey, ErrorCode, Node, Value};
use serde_json::json;

use crate::support::cluster::Cluster;
use crate::support::gate::Way;
use crate::support::java::Java;
use crate::support::proxy::{Kordon, Setup, Upstream, cli};
use crate::support::raw::{End, FetchSpec, Raw, fetched, metadata_request, produce_request, produced};
use crate::support::{eventually, needs, say, soon, throughout, unique};

/// Only the root of this policy may do anything by the file.
const POLICY: &str = "version: 1\ndefault: deny\nsuper_users: [\"User:root\"]\nend: true\n";
/// What no ACL speaks of is open: a lost deny opens its topic.
const LOOSE: &str = "version: 1\ndefault: allow_if_no_acl\nsuper_users: [\"User:root\"]\nend: true\n";

const DENIED: ErrorCode = ErrorCode::TOPIC_AUTHORIZATION_FAILED;
const WRITE: i8 = 4;
const DENY: i8 = 2;
const ALLOW: i8 = 3;

fn proxy<'c>(cluster: &'c Cluster, state: &str) -> Setup<'c> {
    Kordon::before(cluster).super_person("root").person("bob").policy(POLICY).state(state)
}

/// Bob is allowed or denied an operation on a topic; code and message of the outcome.
fn create(raw: &mut Raw, topic: &str, permission: i8) -> (ErrorCode, String) {
    use create_acls::request::{CREATIONS, acl_creation as acl};
    use create_acls::response::{RESULTS, acl_creation_result as result};
    let mut request = Node::request(ApiKey::CREATE_ACLS);
    let one = request
        .child(CREATIONS)
        .with(acl::RESOURCE_TYPE, 2_i8)
        .with(acl::RESOURCE_NAME, topic)
        .with(acl::RESOURCE_PATTERN_TYPE, 3_i8)
        .with(acl::PRINCIPAL, "User:bob")
        .with(acl::HOST, "*")
        .with(acl::OPERATION, WRITE)
        .with(acl::PERMISSION_TYPE, permission);
    request.push(CREATIONS, one);
    let answer = raw.ask(ApiKey::CREATE_ACLS, 3, &request);
    let told = &answer.nodes(RESULTS)[0];
    (ErrorCode(told.i16(result::ERROR_CODE)), told.opt_str(result::ERROR_MESSAGE).unwrap_or_default().to_owned())
}

/// Removes what is on a topic; how many ACLs that was.
fn delete(raw: &mut Raw, topic: &str) -> usize {
    use delete_acls::request::{FILTERS, delete_acls_filter as filter};
    use delete_acls::response::{FILTER_RESULTS, delete_acls_filter_result as result};
    let mut request = Node::request(ApiKey::DELETE_ACLS);
    let one = request
        .child(FILTERS)
        .with(filter::RESOURCE_TYPE_FILTER, 2_i8)
        .with(filter::RESOURCE_NAME_FILTER, topic)
        .with(filter::PATTERN_TYPE_FILTER, 3_i8)
        .with(filter::PRINCIPAL_FILTER, Value::Null)
        .with(filter::HOST_FILTER, Value::Null)
        .with(filter::OPERATION, 1_i8)
        .with(filter::PERMISSION_TYPE, 1_i8);
    request.push(FILTERS, one);
    let answer = raw.ask(ApiKey::DELETE_ACLS, 3, &request);
    let told = &answer.nodes(FILTER_RESULTS)[0];
    assert_eq!(ErrorCode(told.i16(result::ERROR_CODE)), ErrorCode::NONE, "{told:?}");
    told.nodes(result::MATCHING_ACLS).len()
}

/// Topics with ACLs.
fn listed(raw: &mut Raw) -> Vec<String> {
    use describe_acls::request as q;
    use describe_acls::response::{RESOURCES, describe_acls_resource as resource};
    let request = Node::request(ApiKey::DESCRIBE_ACLS)
        .with(q::RESOURCE_TYPE_FILTER, 2_i8)
        .with(q::RESOURCE_NAME_FILTER, Value::Null)
        .with(q::PATTERN_TYPE_FILTER, 1_i8)
        .with(q::PRINCIPAL_FILTER, "User:bob")
        .with(q::HOST_FILTER, Value::Null)
        .with(q::OPERATION, 1_i8)
        .with(q::PERMISSION_TYPE, 1_i8);
    let answer = raw.ask(ApiKey::DESCRIBE_ACLS, 3, &request);
    let mut topics: Vec<String> =
        answer.nodes(RESOURCES).iter().map(|r| r.str(resource::RESOURCE_NAME).to_owned()).collect();
    topics.sort();
    topics
}

/// A connection to the leader of the topic.
fn at_leader(kordon: &Kordon, who: &str, cluster: &Cluster, topic: &str) -> Raw {
    let (_, leader) = Raw::connect(&cluster.direct()).topic(topic, 0);
    Raw::connect(&kordon.broker(who, leader))
}

fn write(raw: &mut Raw, topic: &str) -> ErrorCode {
    produced(&raw.ask(ApiKey::PRODUCE, 9, &produce_request(-1, &[(topic, b"x")])))[0].1
}

/// Waits until the proxy is not ready, and says this.
#[track_caller]
fn unready(kordon: &Kordon, because: &str) {
    eventually(&format!("`{because}` in /readyz"), Duration::from_secs(30), || match kordon.http("/readyz") {
        Ok((503, body)) if body.contains(because) => Ok(()),
        other => Err(format!("{other:?}")),
    });
}

#[test]
fn acls_are_in_force_at_once_outlive_the_proxy_and_reach_the_others() {
    needs!(Java);
    let cluster = Cluster::shared();
    let (topic, state) = (unique("acl"), unique("kordon.state"));
    cluster.create_topic(&topic, 1, &[]);
    let mut first = proxy(cluster, &state).start();
    let second = proxy(cluster, &state).start();
    let (mut root, mut there) = (Raw::connect(first.at("root")), Raw::connect(second.at("root")));
    let (mut here_bob, mut there_bob) =
        (at_leader(&first, "bob", cluster, &topic), at_leader(&second, "bob", cluster, &topic));
    assert_eq!((write(&mut here_bob, &topic), write(&mut there_bob, &topic)), (DENIED, DENIED));
    // the next request of an open connection, without a wait
    for _ in 0..10 {
        assert_eq!(create(&mut root, &topic, ALLOW).0, ErrorCode::NONE);
        assert_eq!(write(&mut here_bob, &topic), ErrorCode::NONE);
        assert_eq!(delete(&mut root, &topic), 1);
        assert_eq!(write(&mut here_bob, &topic), DENIED);
    }
    // and so it is shown
    for _ in 0..10 {
        assert_eq!(create(&mut root, &topic, ALLOW).0, ErrorCode::NONE);
        assert_eq!(listed(&mut root), std::slice::from_ref(&topic));
        assert_eq!(delete(&mut root, &topic), 1);
        assert!(listed(&mut root).is_empty());
    }
    assert_eq!(create(&mut root, &topic, ALLOW).0, ErrorCode::NONE);
    soon("the right on the other proxy", || match write(&mut there_bob, &topic) {
        ErrorCode::NONE => Ok(()),
        code => Err(code.name()),
    });
    // who did it, in the audit of either
    let told = first.audit().wait("the change", |e| e.kind() == "policy" && e.json.to_string().contains("ACL created"));
    assert!(told.json.to_string().contains("ACL created by User:root at 127.0.0.1:"), "{}", told.json);
    second
        .audit()
        .wait("the change", |e| e.kind() == "policy" && e.json.to_string().contains("ACL created by User:root"));
    assert_eq!(first.metrics().sum("kordon_state_acls", &[]), 1.0);
    assert_eq!(
        first.metrics().label("kordon_policy_info", "revision"),
        second.metrics().label("kordon_policy_info", "revision")
    );

    // a reload of the file keeps them
    let policy = POLICY.replace("end: true", "groups: { g: [\"User:x\"] }\nend: true");
    first.write_policy(&policy);
    assert_eq!(write(&mut here_bob, &topic), ErrorCode::NONE);

    first.kill();
    assert_eq!(delete(&mut there, &topic), 1);
    assert_eq!(create(&mut there, &topic, DENY).0, ErrorCode::NONE);
    first.begin();
    first.await_ready();
    let mut root = Raw::connect(first.at("root"));
    assert_eq!(listed(&mut root), std::slice::from_ref(&topic), "what was made while it was away");
    assert_eq!(write(&mut at_leader(&first, "bob", cluster, &topic), &topic), DENIED);

    // how soon a change is in force on the other proxy
    let rounds = 200;
    let mut took: Vec<Duration> = (0..rounds)
        .map(|i| {
            let name = format!("{topic}-{i}");
            assert_eq!(create(&mut root, &name, ALLOW).0, ErrorCode::NONE);
            let answered = Instant::now();
            soon("the ACL on the other proxy", || listed(&mut there).contains(&name));
            answered.elapsed()
        })
        .collect();
    took.sort_unstable();
    say(format!(
        "{rounds} changes in force on the other proxy after the answer of the first: median {:?}, most {:?}",
        took[rounds / 2],
        took[rounds - 1]
    ));
    assert!(took[rounds - 1] < Duration::from_secs(5), "{:?}", took[rounds - 1]);
    assert_eq!(listed(&mut there).len(), rounds + 1);
    assert_eq!(first.terminate(), Some(0));
}

#[test]
fn threat_16_a_topic_made_anew_or_empty_is_never_no_denies() {
    needs!(Java);
    let cluster = Cluster::shared();
    let (topic, state) = (unique("guarded"), unique("kordon.state"));
    cluster.create_topic(&topic, 1, &[]);
    let mut kordon = proxy(cluster, &state).policy(LOOSE).expects("state topic").start();
    let mut root = Raw::connect(kordon.at("root"));
    let mut bob = at_leader(&kordon, "bob", cluster, &topic);
    assert_eq!(write(&mut bob, &topic), ErrorCode::NONE);
    assert_eq!(create(&mut root, &topic, DENY).0, ErrorCode::NONE);
    assert_eq!(write(&mut bob, &topic), DENIED);

    let admin = cluster.admin();
    admin.ask("deleteTopics", json!({ "topics": [state] })).expect("deleted behind the proxy's back");
    unready(&kordon, "it was deleted: run `kordon state init`");
    let (code, message) = create(&mut root, "other", DENY);
    assert_eq!(code, ErrorCode::REQUEST_TIMED_OUT);
    assert!(message.contains("nothing was changed") && message.contains("it was deleted"), "{message}");
    soon("the topic is gone", || admin.topics().is_ok_and(|all| !all.contains(&state)));
    cluster.create_topic(&state, 1, &[("cleanup.policy", "compact")]);
    unready(&kordon, "it was made anew");
    assert_eq!(create(&mut root, "other", DENY).0, ErrorCode::REQUEST_TIMED_OUT);
    assert_eq!(write(&mut bob, &topic), DENIED, "what was in force stays in force");

    // who starts now does not take it for a beginning either
    let late = proxy(cluster, &state).policy(LOOSE).expects("state topic").launch();
    unready(&late, "it exists and is empty");
    assert_eq!(Raw::connect(late.at("bob")).end(), End::Closed, "nobody is let in without the denies");
    let turned_away = || late.metrics().sum("kordon_connections_closed_total", &[("reason", "state_unavailable")]);
    soon("it is counted", || turned_away() == 1.0);

    // only a person makes it one
    let config = kordon.config_path().display().to_string();
    let told = cli(&["state", "init", "--config", &config]).ok();
    let id = told.split('"').nth(1).expect("an id").to_owned();
    soon("the late one is ready", || late.http("/readyz").is_ok_and(|(status, _)| status == 200));
    unready(&kordon, "it was made anew");
    assert_eq!(write(&mut bob, &topic), DENIED);
    kordon.terminate();
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace(&format!("topic: {state}"), &format!("topic: {state}, genesis: \"{id}\"")))
        .unwrap();
    kordon.begin();
    kordon.await_ready();
    let checked = cli(&["check", "--connect", "--config", &config]);
    assert!(checked.says(&format!("state topic {state}: id {id}, 0 ACLs")), "{checked:?}");
    kordon.terminate();
    std::fs::write(&config, text.replace(&format!("topic: {state}"), &format!("topic: {state}, genesis: other")))
        .unwrap();
    kordon.begin();
    unready(&kordon, "`state.genesis` is `other`: this is another topic");
}

#[test]
fn threat_20_the_state_topic_is_hidden_from_everybody() {
    needs!(Java);
    let cluster = Cluster::shared();
    let state = unique("kordon.state");
    let kordon = proxy(cluster, &state).start();
    let (id, leader) = Raw::connect(&cluster.direct()).topic(&state, 0);
    let root = Java::newest().admin(kordon.at("root"));
    let other = unique("threat-20");
    root.create_topic(&other, 1, &[]);
    let seen = root.topics().expect("a listing");
    assert!(seen.contains(&other) && !seen.contains(&state), "{seen:?}");
    let told = root.ask("deleteTopics", json!({ "topics": [state, other] })).expect("outcomes");
    assert!(told[&state]["error"].is_string() && told[&other].get("error").is_none(), "{told}");
    let mut raw = Raw::connect(&kordon.broker("root", leader));
    assert_eq!(write(&mut raw, &state), DENIED);
    for version in [12, 17] {
        let read = fetched(&raw.ask(ApiKey::FETCH, version, &FetchSpec::of(&state, id, 0).request()));
        assert!(read.partitions[0].3 != ErrorCode::NONE && read.partitions[0].4 == 0, "Fetch v{version}: {read:?}");
    }
    let answer = raw.ask(ApiKey::METADATA, 12, &metadata_request(Some(&[&state])));
    let told = answer.nodes(kordon::wire::schema::metadata::response::TOPICS);
    assert!(
        told.iter()
            .all(|t| t.nodes(kordon::wire::schema::metadata::response::metadata_response_topic::PARTITIONS).is_empty()),
        "{answer:?}"
    );
    assert!(cluster.admin().topics().expect("a listing").contains(&state), "and it is still there");
}

/// Writes a record into the state topic, as another version of the proxy would; `None`: a tombstone.
fn inject(cluster: &Cluster, state: &str, key: &str, value: Option<&str>) {
    use produce::request::{ACKS, TIMEOUT_MS, TOPIC_DATA, partition_produce_data, topic_produce_data};
    let (_, leader) = Raw::connect(&cluster.direct()).topic(state, 0);
    let mut batch = Builder::default();
    let value = value.map(str::as_bytes);
    batch.push(Record { timestamp: 0, key: Some(key.as_bytes()), value, headers: &[] });
    let records = bytes::Bytes::from(batch.finish(Stamp { producer: -1, epoch: -1, sequence: -1 }));
    let mut request = Node::request(ApiKey::PRODUCE).with(ACKS, -1_i16).with(TIMEOUT_MS, 10_000);
    let mut topic = request.child(TOPIC_DATA).with(topic_produce_data::NAME, state);
    let partition = topic
        .child(topic_produce_data::PARTITION_DATA)
        .with(partition_produce_data::INDEX, 0)
        .with(partition_produce_data::RECORDS, records);
    topic.push(topic_produce_data::PARTITION_DATA, partition);
    request.push(TOPIC_DATA, topic);
    let mut raw = Raw::connect(&format!("127.0.0.1:{}", cluster.node(leader).direct));
    assert_eq!(produced(&raw.ask(ApiKey::PRODUCE, 9, &request))[0].1, ErrorCode::NONE);
}

#[test]
fn a_record_of_a_newer_version_leaves_the_last_state_in_force_and_is_never_ignored() {
    needs!(Java);
    let cluster = Cluster::shared();
    let (topic, state) = (unique("newer"), unique("kordon.state"));
    cluster.create_topic(&topic, 1, &[]);
    let mut kordon = proxy(cluster, &state).policy(LOOSE).expects("state topic").start();
    let mut root = Raw::connect(kordon.at("root"));
    let mut bob = at_leader(&kordon, "bob", cluster, &topic);
    assert_eq!(create(&mut root, &topic, DENY).0, ErrorCode::NONE);
    let newer = format!("{{\"v\":{}}}", record::VERSION + 1);
    inject(cluster, &state, "grant:1", Some(&newer));
    unready(&kordon, "the record at offset 2 cannot be read: it has version 2, this proxy knows 1: upgrade this proxy");
    let (code, message) = create(&mut root, "other", DENY);
    assert!(code == ErrorCode::REQUEST_TIMED_OUT && message.contains("upgrade this proxy"), "{message}");
    assert_eq!(write(&mut bob, &topic), DENIED, "what was in force stays in force");
    // nor is it on a start
    kordon.terminate();
    kordon.begin();
    unready(&kordon, "the record at offset 2 cannot be read");
    inject(cluster, &state, "grant:1", None);
    kordon.await_ready();
    assert_eq!(write(&mut at_leader(&kordon, "bob", cluster, &topic), &topic), DENIED);
    let mut root = Raw::connect(kordon.at("root"));
    assert_eq!(delete(&mut root, &topic), 1);
}

#[test]
fn threat_17_a_proxy_that_is_cut_off_takes_no_connections_and_the_loss_of_a_leader_is_outlived() {
    needs!(Java);
    // a cluster of its own: its gate is shut and a broker stopped
    let cluster = &Cluster::start(Default::default());
    let (topic, state) = (unique("cut"), unique("kordon.state"));
    cluster.create_topic(&topic, 1, &[]);
    let mut kordon = proxy(cluster, &state)
        .policy(LOOSE)
        .state_with("max_staleness: 2s")
        .cluster_keys("request_timeout: 3s")
        .expects("state topic")
        .expects("the cluster cannot be asked")
        .expects("fails, and is tried again")
        .expects("works again")
        .start();
    let other = proxy(cluster, &state).policy(LOOSE).upstream(Upstream::Direct).expects("state topic").start();
    let (mut root, mut there) = (Raw::connect(kordon.at("root")), Raw::connect(other.at("root")));
    let mut bob = at_leader(&kordon, "bob", cluster, &topic);
    assert_eq!(create(&mut there, "before", ALLOW).0, ErrorCode::NONE);
    soon("it is here too", || listed(&mut root).contains(&"before".to_owned()));

    for node in cluster.nodes() {
        cluster.gate.hold(node.id, Way::FromBroker);
    }
    assert_eq!(create(&mut there, &topic, DENY).0, ErrorCode::NONE, "made where it can be");
    unready(&kordon, "`state.max_staleness` is 2 s");
    let mut late = Raw::connect(kordon.at("bob"));
    late.patience(Duration::from_secs(10));
    assert_eq!(late.end(), End::Closed, "no new connection");
    assert!(kordon.metrics().sum("kordon_state_staleness_seconds", &[]) > 2.0);
    for node in cluster.nodes() {
        cluster.gate.release(node.id);
    }
    kordon.await_ready();
    assert_eq!(write(&mut bob, &topic), DENIED, "the deny that was made meanwhile");

    lost_answers_are_settled(cluster);

    // the leader of the state topic goes: changes wait or are refused, rights stay, and it goes on
    let admin = cluster.admin();
    let leader = admin.leader(&state, 0);
    // connections that are open: new ones are refused while nobody confirms the end
    kordon.await_ready();
    let mut root = Raw::connect(&kordon.broker("root", 1 + leader % 3));
    root.patience(Duration::from_secs(40));
    let mut bob = Raw::connect(&kordon.broker("bob", 1 + leader % 3));
    bob.patience(Duration::from_secs(40));
    assert!(listed(&mut root).contains(&topic) && write(&mut bob, &topic) == DENIED);
    cluster.kill_node(leader);
    let (code, message) = create(&mut root, "meanwhile", ALLOW);
    match code {
        ErrorCode::NONE => {}
        ErrorCode::REQUEST_TIMED_OUT => assert!(message.contains("state topic"), "{message}"),
        code => panic!("{}: {message}", code.name()),
    }
    throughout("the deny holds", Duration::from_secs(1), || {
        let code = write(&mut bob, &topic);
        if code == DENIED { Ok(()) } else { Err(code.name()) }
    });
    eventually("a change works again", Duration::from_secs(60), || match create(&mut root, "after", ALLOW) {
        (ErrorCode::NONE, _) => Ok(()),
        (code, message) => Err(format!("{}: {message}", code.name())),
    });
    let now = listed(&mut root);
    assert!(now.contains(&"after".to_owned()) && now.contains(&topic), "{now:?}");
    if code == ErrorCode::NONE {
        assert!(now.contains(&"meanwhile".to_owned()), "{now:?}");
    }
    let mut there = Raw::connect(&other.broker("root", 1 + leader % 3));
    soon("both proxies have the same", || listed(&mut there) == now);
}

/// Notes what is in force.
#[derive(Default)]
struct Target(Mutex<AclSet>);

impl InForce for Target {
    fn put(&self, acls: AclSet, _: Vec<Made>) -> Pin<Box<dyn Future<Output = bool> + Send + '_>> {
        *self.0.lock().unwrap() = acls;
        Box::pin(std::future::ready(true))
    }
}

/// The leader has a change, its followers do not answer: nobody knows, until a fence in a newer epoch has settled it.
fn lost_answers_are_settled(cluster: &Cluster) {
    let state = unique("kordon.state");
    let bootstrap: Vec<String> = cluster.direct().split(',').map(|a| format!("\"{a}\"")).collect();
    let text = format!(
        "version: 1\ninstance: p\ncluster: {{ name: c, bootstrap: [{}], request_timeout: 3s, metadata_refresh: 1s }}\n\
         listeners: [{{ name: a, bind: \"127.0.0.1:1\", identity: fixed, principal: \"User:a\", brokers: {{ ports: {{ ids: 1-1 }} }} }}]\n\
         policy: {{ file: p }}\nstate: {{ topic: {state} }}\n",
        bootstrap.join(", ")
    );
    let config = config::parse(&text, Path::new("k"), &|_| None).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let acl = |name: &str| AclBinding {
        kind: ResourceType::Topic,
        pattern: PatternType::Literal,
        name: name.into(),
        principal: "User:b".into(),
        host: "*".into(),
        operation: Operation::Read,
        permission: Permission::Deny,
    };
    let by = record::ChangeBy {
        principal: "User:root".into(),
        address: "127.0.0.1:1".into(),
        client_id: None,
        listener: "a".into(),
        instance: "p".into(),
    };
    let target = Arc::new(Target::default());
    let (connection, metrics) = runtime.block_on(async {
        (kordon::cluster::Cluster::start(&config.cluster), Arc::new(kordon::telemetry::Metrics::new().unwrap()))
    });
    let mut tasks = tokio::task::JoinSet::new();
    let access = runtime.block_on(async {
        let target = Arc::clone(&target) as Arc<dyn InForce>;
        let access = Access::start(&config, &connection, &metrics, target, &mut tasks);
        assert!(access.admits(Duration::from_secs(30)).await, "{:?}", access.obstacle());
        access
    });
    let create = |name: &str| runtime.block_on(access.change(AclChange::Create(vec![acl(name)]), by.clone()));
    assert_eq!(create("a"), Ok(AclChanged::Created));
    let leader = cluster.admin().leader(&state, 0);
    let followers: Vec<_> =
        cluster.nodes().iter().filter(|n| n.id != leader).map(|n| cluster.pause_node(n.id)).collect();
    let lost = create("b").unwrap_err();
    assert!(lost.message.starts_with("it is not known whether this was changed"), "{lost}");
    drop(followers);
    eventually("a change works again", Duration::from_secs(60), || create("c").map_err(|e| e.message));
    let look = runtime.block_on(access::look(&connection, &config)).unwrap().unwrap();
    let (there, in_force) = (look.fold.set(), target.0.lock().unwrap().clone());
    assert_eq!(there, in_force, "what the topic says is in force");
    assert!(there.contains(&acl("a")) && there.contains(&acl("c")), "{there:?}");
    runtime.shutdown_background();
}

#[test]
fn threat_21_the_acls_of_the_brokers_are_followed_whoever_they_name() {
    needs!(Java);
    let cluster = Cluster::authorizing();
    let topic = cluster.topic("brokers", 1);
    let kordon = Kordon::before(cluster)
        .super_person("root")
        .person("bob")
        .policy(POLICY)
        .protocol_acls("cluster, acl_poll: 200ms")
        .start();
    let (mut root, mut direct) = (Raw::connect(kordon.at("root")), Raw::connect(&cluster.direct()));
    let mut bob = Raw::connect(&kordon.broker("bob", 1));
    assert_eq!(write(&mut bob, &topic), DENIED);
    // made here: in force with the answer, and in the brokers
    assert_eq!(create(&mut root, &topic, ALLOW), (ErrorCode::NONE, String::new()));
    assert_eq!(write(&mut bob, &topic), ErrorCode::NONE);
    assert!(listed(&mut direct).contains(&topic));
    // made there: with the next poll
    assert_eq!(create(&mut direct, &topic, DENY).0, ErrorCode::NONE);
    soon("the deny of the brokers", || write(&mut bob, &topic) == DENIED);
    assert_eq!(delete(&mut root, &topic), 2);
    assert_eq!(listed(&mut direct).iter().filter(|t| **t == topic).count(), 0);
    // each is told, with who did it as far as this proxy knows
    let mut audit = kordon.audit();
    for (what, who) in [
        ("ACL created", "by User:root"),
        ("ACL created", "at the brokers, past this proxy"),
        ("ACL removed", "by User:root"),
    ] {
        let told = audit.wait(what, |e| {
            let notes = e.json.pointer("/data/policyInfo/notes").map(ToString::to_string).unwrap_or_default();
            notes.contains(&format!("{what} {who}")) && notes.contains(&topic)
        });
        assert!(told.text("/policyInfo/previousRevision") != told.text("/policyInfo/revision"), "{told:?}");
    }

    // brokers without an authorizer are no empty set of ACLs
    let open = Cluster::shared();
    let blind =
        Kordon::before(open).person("bob").policy(LOOSE).protocol_acls("cluster").expects("SECURITY_DISABLED").launch();
    unready(&blind, "the brokers have no authorizer (SECURITY_DISABLED)");
    assert_eq!(Raw::connect(blind.at("bob")).end(), End::Closed);
}

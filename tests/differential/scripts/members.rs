//! Scripts of members of the newer groups: consumer groups (KIP-848), share groups (KIP-932), streams groups (KIP-1071).
//! Before each, its person is given what a member needs, most of the time.

use kordon::model::{Operation, PatternType, ResourceType};
use kordon::wire::schema::{
    consumer_group_heartbeat, describe_share_group_offsets, incremental_alter_configs, offset_fetch, share_acknowledge,
    share_fetch, share_group_heartbeat, streams_group_heartbeat,
};
use kordon::wire::{ApiKey, Node, Value};

use super::{GENERATION, Step, Take, commit, some_version, step};
use crate::acls::{self, Acl};
use crate::names::{Names, SLOT_32, text_slot};
use crate::rng::Rng;

/// The epoch of a member, as its requests name it.
const EPOCH: i32 = (SLOT_32 + GENERATION as i64) as i32;
/// The slot of its id.
const MEMBER: usize = 1;

fn acl(kind: ResourceType, name: &str, who: &str, operation: Operation, allow: bool) -> Acl {
    let principal = format!("User:{who}");
    Acl { kind, pattern: PatternType::Literal, name: name.to_owned(), principal, host: "*", operation, allow }
}

fn changed(acls: &[Acl]) -> Step {
    Step { by_super: true, ..step(ApiKey::CREATE_ACLS, 3, acls::creation(acls)) }
}

/// What a member of `group` that reads `topic` needs; one of five goes without.
fn entitled(rng: &mut Rng, who: &str, group: &str, topic: &str) -> Option<Step> {
    rng.chance(80).then(|| {
        changed(&[
            acl(ResourceType::Group, group, who, Operation::Read, true),
            acl(ResourceType::Topic, topic, who, Operation::Read, true),
        ])
    })
}

/// An id as clients draw it: 16 bytes in base64.
fn drawn(rng: &mut Rng) -> String {
    format!("kordonMember{:08}Ag", rng.below(100_000_000))
}

/// Two topics that exist when the world begins.
fn two_topics(names: &Names, rng: &mut Rng) -> (String, String) {
    let mut topics: Vec<String> = names.topics.iter().map(|(name, _)| name.clone()).collect();
    rng.shuffle(&mut topics);
    (topics[0].clone(), topics[1].clone())
}

/// A right on a topic is taken.
fn taken(who: &str, topic: &str, operation: Operation) -> Step {
    changed(&[acl(ResourceType::Topic, topic, who, operation, false)])
}

/// A member of a consumer group: joins, beats, commits, subscribes anew after a right was taken, leaves.
pub fn consumer(names: &Names, rng: &mut Rng, who: &str) -> Vec<Step> {
    use consumer_group_heartbeat::{request as q, response as r};
    let group = rng.pick(&names.groups);
    let (first, second) = two_topics(names, rng);
    let version = some_version(rng, 0, 1);
    let beat = |member: &str, epoch: i32| {
        Node::request(ApiKey::CONSUMER_GROUP_HEARTBEAT)
            .with(q::GROUP_ID, group.as_str())
            .with(q::MEMBER_ID, member)
            .with(q::MEMBER_EPOCH, epoch)
    };
    let take = || vec![Take::Text(r::MEMBER_ID, MEMBER), Take::Number(r::MEMBER_EPOCH, GENERATION)];
    let asks = |body: Node| Step { take: take(), ..step(ApiKey::CONSUMER_GROUP_HEARTBEAT, version, body) };
    let member = text_slot(MEMBER);
    let own = if version == 0 { String::new() } else { drawn(rng) };
    let subscribed = |body: Node, names: &[&String]| {
        let names: Vec<Value> = names.iter().map(|name| Value::from(name.as_str())).collect();
        body.with(q::SUBSCRIBED_TOPIC_NAMES, names)
    };
    let both = if rng.chance(40) { vec![&first, &second] } else { vec![&first] };
    let joins = subscribed(beat(&own, 0), &both)
        .with(q::REBALANCE_TIMEOUT_MS, 30_000)
        .with(q::TOPIC_PARTITIONS, Value::Nodes(Vec::new()));
    let mut steps: Vec<Step> = entitled(rng, who, &group, &first).into_iter().collect();
    steps.push(asks(joins));
    steps.push(asks(beat(&member, EPOCH)));
    let commit = commit(names, &group, (EPOCH, &member), [&first, &second], "member");
    steps.push(step(ApiKey::OFFSET_COMMIT, some_version(rng, 9, 10), commit));
    {
        use offset_fetch::request::{self as f, offset_fetch_request_group as g, offset_fetch_request_topics as t};
        let mut fetch = Node::request(ApiKey::OFFSET_FETCH).with(f::REQUIRE_STABLE, true);
        let mut of_group = fetch
            .child(f::GROUPS)
            .with(g::GROUP_ID, group.as_str())
            .with(g::MEMBER_ID, member.as_str())
            .with(g::MEMBER_EPOCH, EPOCH);
        for name in [&first, &second] {
            let topic = of_group.child(g::TOPICS).with(t::NAME, name.as_str()).with(t::TOPIC_ID, names.id(name));
            of_group.push(g::TOPICS, topic.with(t::PARTITION_INDEXES, vec![0i32]));
        }
        fetch.push(f::GROUPS, of_group);
        steps.push(step(ApiKey::OFFSET_FETCH, some_version(rng, 9, 10), fetch));
    }
    steps.push(described(rng, ApiKey::CONSUMER_GROUP_DESCRIBE, &group));
    if rng.chance(50) {
        steps.push(taken(who, &second, Operation::Describe));
        steps.push(asks(subscribed(beat(&member, EPOCH), &[&first, &second])));
    } else {
        steps.push(asks(subscribed(beat(&member, EPOCH), &[&second])));
    }
    steps.push(asks(beat(&member, EPOCH)));
    steps.push(step(ApiKey::CONSUMER_GROUP_HEARTBEAT, version, beat(&member, -1)));
    steps
}

/// A group of one of the newer kinds is described.
fn described(rng: &mut Rng, key: ApiKey, group: &str) -> Step {
    let of = |request: &Node, name: &str| request.def().find(name).expect("a field of that name");
    let request = Node::request(key);
    let (ids, operations) = (of(&request, "GroupIds"), of(&request, "IncludeAuthorizedOperations"));
    let body = request.with(ids, vec![Value::from(group)]).with(operations, rng.chance(50));
    step(key, some_version(rng, 0, 1), body)
}

/// A member of a share group: joins, waits for its partitions, fetches, acknowledges, loses a right, leaves.
pub fn share(names: &Names, rng: &mut Rng, who: &str) -> Vec<Step> {
    use share_group_heartbeat::{request as q, response as r};
    let group = rng.pick(&names.groups);
    let (first, second) = two_topics(names, rng);
    let member = drawn(rng);
    let beat = |epoch: i32| {
        Node::request(ApiKey::SHARE_GROUP_HEARTBEAT)
            .with(q::GROUP_ID, group.as_str())
            .with(q::MEMBER_ID, member.as_str())
            .with(q::MEMBER_EPOCH, epoch)
    };
    // A partition that is not subscribed to is never initialised, which a broker finds out behind a fetch.
    let asked: Vec<&String> = if rng.chance(50) { vec![&first, &second] } else { vec![&first] };
    let subscribed: Vec<Value> = asked.iter().map(|name| Value::from(name.as_str())).collect();
    let joins = beat(0).with(q::SUBSCRIBED_TOPIC_NAMES, subscribed);
    let asks = |body: Node| Step {
        take: vec![Take::Number(r::MEMBER_EPOCH, GENERATION)],
        ..step(ApiKey::SHARE_GROUP_HEARTBEAT, 1, body)
    };
    let mut steps: Vec<Step> = entitled(rng, who, &group, &first).into_iter().collect();
    if asked.len() > 1 && rng.chance(80) {
        steps.push(changed(&[acl(ResourceType::Topic, &second, who, Operation::Read, true)]));
    }
    steps.push(from_the_beginning(&group));
    // A partition is assigned once its state is initialised, which happens behind the join.
    steps.push(Step { until: Some((assigned, asked.len())), ..asks(joins) });
    let version = some_version(rng, 1, 2);
    let batches = |rng: &mut Rng, topics: &[&String]| -> Vec<Option<Batch>> {
        topics.iter().map(|_| rng.chance(70).then(|| some_batch(rng))).collect()
    };
    let fetch = |epoch: i32, topics: &[&String], acknowledged: &[Option<Batch>]| {
        use share_fetch::request::{self as f, acknowledgement_batch as a, fetch_partition as p, fetch_topic as t};
        let mut request = Node::request(ApiKey::SHARE_FETCH)
            .with(f::GROUP_ID, group.as_str())
            .with(f::MEMBER_ID, member.as_str())
            .with(f::SHARE_SESSION_EPOCH, epoch)
            .with(f::MAX_WAIT_MS, if epoch == 0 { 1_500 } else { 30 })
            // All of it, or it depends on chance which partition has been initialised by then.
            .with(f::MIN_BYTES, if epoch == 0 { 80 * i32::try_from(topics.len()).unwrap_or(1) } else { 1 })
            .with(f::MAX_BYTES, 1 << 20)
            .with(f::MAX_RECORDS, 100)
            .with(f::BATCH_SIZE, 100);
        for (place, name) in topics.iter().enumerate() {
            let mut topic = request.child(f::TOPICS).with(t::TOPIC_ID, names.id(name));
            let mut one = topic.child(t::PARTITIONS).with(p::PARTITION_MAX_BYTES, 1 << 20);
            if let Some(Some((from, to, kinds))) = acknowledged.get(place) {
                let batch = one
                    .child(p::ACKNOWLEDGEMENT_BATCHES)
                    .with(a::FIRST_OFFSET, *from)
                    .with(a::LAST_OFFSET, *to)
                    .with(a::ACKNOWLEDGE_TYPES, kinds.to_vec());
                one.push(p::ACKNOWLEDGEMENT_BATCHES, batch);
            }
            topic.push(t::PARTITIONS, one);
            request.push(f::TOPICS, topic);
        }
        step(ApiKey::SHARE_FETCH, version, request)
    };
    steps.push(fetch(0, &asked, &[]));
    let done: Vec<Option<Batch>> = asked.iter().map(|_| Some((0, 0, &[1_i8][..]))).collect();
    steps.push(acknowledged(names, &group, &member, (version, 1), &asked, &done));
    // What is left is released, and comes again.
    steps.push(fetch(2, &[&first], &[Some((1, 1, &[2]))]));
    if rng.chance(60) {
        steps.push(taken(who, &first, Operation::Read));
    }
    steps.push(fetch(3, &[], &[]));
    if rng.chance(60) {
        // In any form, of what may be read and of what may not.
        let some = batches(rng, &asked);
        steps.push(acknowledged(names, &group, &member, (version, 4), &asked, &some));
        let some = batches(rng, &asked);
        steps.push(fetch(5, &asked, &some));
    }
    steps.push(described(rng, ApiKey::SHARE_GROUP_DESCRIBE, &group));
    steps.push(offsets(rng, &group, &asked));
    steps.push(fetch(-1, &[], &[]));
    steps.push(step(ApiKey::SHARE_GROUP_HEARTBEAT, 1, beat(-1)));
    steps
}

/// Of how many topics a member of a share group has partitions.
fn assigned(answer: &Node) -> usize {
    use share_group_heartbeat::response::{ASSIGNMENT, assignment::TOPIC_PARTITIONS};
    answer.strct(ASSIGNMENT).map_or(0, |assignment| assignment.nodes(TOPIC_PARTITIONS).len())
}

/// A share group without offsets reads from the beginning.
fn from_the_beginning(group: &str) -> Step {
    use incremental_alter_configs::request::{RESOURCES, alter_configs_resource as r, alterable_config as c};
    let mut request = Node::request(ApiKey::INCREMENTAL_ALTER_CONFIGS);
    let mut one = request.child(RESOURCES).with(r::RESOURCE_TYPE, 32i8).with(r::RESOURCE_NAME, group);
    let config = one.child(r::CONFIGS).with(c::NAME, "share.auto.offset.reset").with(c::VALUE, "earliest");
    one.push(r::CONFIGS, config);
    request.push(RESOURCES, one);
    Step { by_super: true, ..step(ApiKey::INCREMENTAL_ALTER_CONFIGS, 1, request) }
}

/// First and last offset of what is acknowledged, and how.
type Batch = (i64, i64, &'static [i8]);

/// What is acknowledged, in a form that a broker takes or in one that it does not.
fn some_batch(rng: &mut Rng) -> Batch {
    rng.pick(&[
        (1, 1, &[1][..]),
        (1, 1, &[2]),
        (0, 1, &[3]),
        (0, 1, &[1, 2]),
        (-1, 1, &[0]),
        (5, 2, &[1]),
        (-2, 1, &[1]),
        (1, 1, &[]),
        (1, 1, &[1, 1]),
        (1, 1, &[4]),
        (1, 1, &[9]),
    ])
}

/// What is acknowledged of each of the topics, in a version and at an epoch.
fn acknowledged(
    names: &Names,
    group: &str,
    member: &str,
    (version, epoch): (i16, i32),
    topics: &[&String],
    batches: &[Option<Batch>],
) -> Step {
    use share_acknowledge::request::{
        self as q, acknowledge_partition as p, acknowledge_topic as t, acknowledgement_batch as a,
    };
    let mut request = Node::request(ApiKey::SHARE_ACKNOWLEDGE)
        .with(q::GROUP_ID, group)
        .with(q::MEMBER_ID, member)
        .with(q::SHARE_SESSION_EPOCH, epoch);
    for (name, batch) in topics.iter().zip(batches) {
        let mut topic = request.child(q::TOPICS).with(t::TOPIC_ID, names.id(name));
        let mut one = topic.child(t::PARTITIONS);
        if let Some((from, to, kinds)) = batch {
            let batch = one
                .child(p::ACKNOWLEDGEMENT_BATCHES)
                .with(a::FIRST_OFFSET, *from)
                .with(a::LAST_OFFSET, *to)
                .with(a::ACKNOWLEDGE_TYPES, kinds.to_vec());
            one.push(p::ACKNOWLEDGEMENT_BATCHES, batch);
        }
        topic.push(t::PARTITIONS, one);
        request.push(q::TOPICS, topic);
    }
    step(ApiKey::SHARE_ACKNOWLEDGE, version, request)
}

/// The offsets of a share group.
fn offsets(rng: &mut Rng, group: &str, topics: &[&String]) -> Step {
    use describe_share_group_offsets::request::{
        GROUPS, describe_share_group_offsets_request_group as g, describe_share_group_offsets_request_topic as t,
    };
    let mut request = Node::request(ApiKey::DESCRIBE_SHARE_GROUP_OFFSETS);
    let mut of_group = request.child(GROUPS).with(g::GROUP_ID, group);
    for name in topics {
        let topic = of_group.child(g::TOPICS).with(t::TOPIC_NAME, name.as_str()).with(t::PARTITIONS, vec![0i32]);
        of_group.push(g::TOPICS, topic);
    }
    request.push(GROUPS, of_group);
    step(ApiKey::DESCRIBE_SHARE_GROUP_OFFSETS, some_version(rng, 0, 1), request)
}

/// A member of a streams group, whose topology has a store or none: joins, beats, leaves.
pub fn streams(names: &Names, rng: &mut Rng, who: &str) -> Vec<Step> {
    use streams_group_heartbeat::request::{self as q, subtopology as s, topic_info, topology as t};
    use streams_group_heartbeat::response as r;
    let group = rng.pick(&names.groups);
    let source = rng.pick(&names.topics).0;
    let member = drawn(rng);
    let beat = |epoch: i32| {
        Node::request(ApiKey::STREAMS_GROUP_HEARTBEAT)
            .with(q::GROUP_ID, group.as_str())
            .with(q::MEMBER_ID, member.as_str())
            .with(q::MEMBER_EPOCH, epoch)
    };
    let asks = |body: Node| Step {
        take: vec![Take::Number(r::MEMBER_EPOCH, GENERATION)],
        ..step(ApiKey::STREAMS_GROUP_HEARTBEAT, 0, body)
    };
    let none = || Value::Nodes(Vec::new());
    let mut joins = beat(0)
        .with(q::REBALANCE_TIMEOUT_MS, 30_000)
        .with(q::PROCESS_ID, "process")
        .with(q::ACTIVE_TASKS, none())
        .with(q::STANDBY_TASKS, none())
        .with(q::WARMUP_TASKS, none());
    let mut topology = joins.child(q::TOPOLOGY);
    let mut sub = topology
        .child(t::SUBTOPOLOGIES)
        .with(s::SUBTOPOLOGY_ID, "0")
        .with(s::SOURCE_TOPICS, vec![Value::from(source.as_str())]);
    let mut steps: Vec<Step> = entitled(rng, who, &group, &source).into_iter().collect();
    if rng.chance(50) {
        let changelog = format!("{group}-store-changelog");
        let one = sub.child(s::STATE_CHANGELOG_TOPICS).with(topic_info::NAME, changelog.as_str());
        sub.push(s::STATE_CHANGELOG_TOPICS, one);
        if rng.chance(70) {
            steps.push(changed(&[
                acl(ResourceType::Topic, &changelog, who, Operation::Create, true),
                acl(ResourceType::Topic, &changelog, who, Operation::Read, true),
            ]));
        }
    }
    topology.push(t::SUBTOPOLOGIES, sub);
    joins.set(q::TOPOLOGY, topology);
    steps.push(asks(joins));
    steps.push(asks(beat(EPOCH)));
    steps.push(described(rng, ApiKey::STREAMS_GROUP_DESCRIBE, &group));
    if rng.chance(50) {
        steps.push(taken(who, &source, Operation::Describe));
    }
    steps.push(asks(beat(EPOCH)));
    steps.push(step(ApiKey::STREAMS_GROUP_HEARTBEAT, 0, beat(-1)));
    steps
}

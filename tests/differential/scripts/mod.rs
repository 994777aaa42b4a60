//! Requests that say little alone: sessions of fetches, members of groups, transactions. Each is a list of steps, asked
//! one by one on both sides; what an answer draws (a member id, a session, a producer) fills a slot that later steps name.

mod members;

use kordon::model::{Operation, PatternType, ResourceType};
use kordon::wire::schema::{
    add_offsets_to_txn, add_partitions_to_txn, end_txn, fetch, heartbeat, init_producer_id, join_group, leave_group,
    offset_commit, produce, sync_group, txn_offset_commit,
};
use kordon::wire::{ApiKey, Field, Node};

use crate::acls::{self, Acl};
use crate::names::{Names, SLOT_16, SLOT_32, SLOT_64, text_slot};
use crate::records::{By, batch};
use crate::rng::Rng;

/// What an answer is read for.
#[derive(Clone, Copy, Debug)]
pub enum Take {
    /// A number, into a slot.
    Number(Field, usize),
    /// A text, into a slot.
    Text(Field, usize),
}

/// One step.
#[derive(Clone, Debug)]
pub struct Step {
    /// Asked by the super user, not by the person of the script.
    pub by_super: bool,
    pub key: ApiKey,
    pub version: i16,
    pub body: Node,
    pub take: Vec<Take>,
    /// How much of something both answers must show at last, where it goes on behind them: until then the step is asked again.
    pub until: Option<Until>,
}

/// What is counted in an answer, and how many there must be.
pub type Until = (fn(&Node) -> usize, usize);

/// Slots of scripts; those of worlds are below.
const SESSION: usize = 10;
const GENERATION: usize = 11;
const PRODUCER: usize = 12;

/// One of the scripts.
pub fn pick(names: &Names, rng: &mut Rng, who: &str) -> Vec<Step> {
    match rng.below(6) {
        0 => fetch_session(names, rng, who),
        1 => membership(names, rng),
        2 if rng.chance(40) => transaction_in_short(names, rng, who),
        2 => transaction(names, rng),
        3 => members::consumer(names, rng, who),
        4 => members::share(names, rng, who),
        _ => members::streams(names, rng, who),
    }
}

fn step(key: ApiKey, version: i16, body: Node) -> Step {
    Step { by_super: false, key, version, body, take: Vec::new(), until: None }
}

fn some_version(rng: &mut Rng, low: usize, high: usize) -> i16 {
    rng.between(low, high) as i16
}

/// A session: full, next, with a right that is taken away in between, with a topic less, closed.
fn fetch_session(names: &Names, rng: &mut Rng, who: &str) -> Vec<Step> {
    use fetch::request::{
        FORGOTTEN_TOPICS_DATA, MAX_BYTES, SESSION_EPOCH, SESSION_ID, TOPICS, fetch_partition as p, fetch_topic as t,
        forgotten_topic as f,
    };
    let version = some_version(rng, 7, 17);
    let next = |epoch: i32| {
        Node::request(ApiKey::FETCH)
            .with(MAX_BYTES, 1 << 20)
            .with(SESSION_ID, (SLOT_32 + SESSION as i64) as i32)
            .with(SESSION_EPOCH, epoch)
    };
    let mut chosen = names.topics.clone();
    rng.shuffle(&mut chosen);
    chosen.truncate(rng.between(1, 3));
    let mut full = next(0).with(SESSION_ID, 0);
    for (name, _) in &chosen {
        let mut topic = full.child(TOPICS).with(t::TOPIC, name.as_str()).with(t::TOPIC_ID, names.id(name));
        let one = topic.child(t::PARTITIONS).with(p::PARTITION, 0).with(p::PARTITION_MAX_BYTES, 1 << 20);
        topic.push(t::PARTITIONS, one);
        full.push(TOPICS, topic);
    }
    let first = chosen[0].0.clone();
    let mut without = next(2);
    let gone = without
        .child(FORGOTTEN_TOPICS_DATA)
        .with(f::TOPIC, first.as_str())
        .with(f::TOPIC_ID, names.id(&first))
        .with(f::PARTITIONS, vec![0i32]);
    without.push(FORGOTTEN_TOPICS_DATA, gone);
    let mut steps = vec![
        Step { take: vec![Take::Number(fetch::response::SESSION_ID, SESSION)], ..step(ApiKey::FETCH, version, full) },
        step(ApiKey::FETCH, version, next(1)),
        step(ApiKey::FETCH, version, without),
    ];
    if rng.chance(60) {
        let deny = Acl {
            kind: ResourceType::Topic,
            pattern: PatternType::Literal,
            name: chosen[chosen.len() - 1].0.clone(),
            principal: format!("User:{who}"),
            host: "*",
            operation: Operation::Read,
            allow: false,
        };
        steps.push(Step { by_super: true, ..step(ApiKey::CREATE_ACLS, 3, acls::creation(&[deny])) });
        steps.push(step(ApiKey::FETCH, version, next(3)));
    } else {
        steps.push(step(ApiKey::FETCH, version, next(3)));
        steps.push(step(ApiKey::FETCH, version, next(-1)));
    }
    steps
}

/// A member of a classic group: joins, syncs, beats, commits, leaves.
fn membership(names: &Names, rng: &mut Rng) -> Vec<Step> {
    use join_group::request as j;
    let group = rng.pick(&names.groups);
    let member = text_slot(0);
    let version = some_version(rng, 0, 9);
    let join = |member: &str| {
        let mut request = Node::request(ApiKey::JOIN_GROUP)
            .with(j::GROUP_ID, group.as_str())
            .with(j::SESSION_TIMEOUT_MS, 30_000)
            .with(j::REBALANCE_TIMEOUT_MS, 300)
            .with(j::MEMBER_ID, member)
            .with(j::PROTOCOL_TYPE, "consumer");
        let protocol = request
            .child(j::PROTOCOLS)
            .with(j::join_group_request_protocol::NAME, "range")
            .with(j::join_group_request_protocol::METADATA, bytes::Bytes::from_static(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0]));
        request.push(j::PROTOCOLS, protocol);
        request
    };
    let take = || {
        vec![
            Take::Text(join_group::response::MEMBER_ID, 0),
            Take::Number(join_group::response::GENERATION_ID, GENERATION),
        ]
    };
    let generation = (SLOT_32 + GENERATION as i64) as i32;
    let mut steps = vec![Step { take: take(), ..step(ApiKey::JOIN_GROUP, version, join("")) }];
    if version >= 4 {
        steps.push(Step { take: take(), ..step(ApiKey::JOIN_GROUP, version, join(&member)) });
    }
    {
        use sync_group::request as s;
        let mut sync = Node::request(ApiKey::SYNC_GROUP)
            .with(s::GROUP_ID, group.as_str())
            .with(s::GENERATION_ID, generation)
            .with(s::MEMBER_ID, member.as_str())
            .with(s::PROTOCOL_TYPE, "consumer")
            .with(s::PROTOCOL_NAME, "range");
        let own = sync.child(s::ASSIGNMENTS).with(s::sync_group_request_assignment::MEMBER_ID, member.as_str()).with(
            s::sync_group_request_assignment::ASSIGNMENT,
            bytes::Bytes::from_static(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        );
        sync.push(s::ASSIGNMENTS, own);
        steps.push(step(ApiKey::SYNC_GROUP, some_version(rng, 0, 5), sync));
    }
    {
        use heartbeat::request as h;
        let beat = Node::request(ApiKey::HEARTBEAT)
            .with(h::GROUP_ID, group.as_str())
            .with(h::GENERATION_ID, generation)
            .with(h::MEMBER_ID, member.as_str());
        steps.push(step(ApiKey::HEARTBEAT, some_version(rng, 0, 4), beat));
    }
    let named = [&names.topics[0].0, &names.topics[2].0];
    let commit = commit(names, &group, (generation, &member), named, "script");
    steps.push(step(ApiKey::OFFSET_COMMIT, some_version(rng, 2, 10), commit));
    {
        use leave_group::request as l;
        let mut leave =
            Node::request(ApiKey::LEAVE_GROUP).with(l::GROUP_ID, group.as_str()).with(l::MEMBER_ID, member.as_str());
        let one = leave.child(l::MEMBERS).with(l::member_identity::MEMBER_ID, member.as_str());
        leave.push(l::MEMBERS, one);
        steps.push(step(ApiKey::LEAVE_GROUP, some_version(rng, 0, 5), leave));
    }
    steps
}

/// A member's commit of these topics: its generation or epoch, and its id.
fn commit(names: &Names, group: &str, (generation, member): (i32, &str), topics: [&String; 2], word: &str) -> Node {
    use offset_commit::request::{self as c, offset_commit_request_partition as p, offset_commit_request_topic as t};
    let mut commit = Node::request(ApiKey::OFFSET_COMMIT)
        .with(c::GROUP_ID, group)
        .with(c::GENERATION_ID_OR_MEMBER_EPOCH, generation)
        .with(c::MEMBER_ID, member);
    for name in topics {
        let mut topic = commit.child(c::TOPICS).with(t::NAME, name.as_str()).with(t::TOPIC_ID, names.id(name));
        let one = topic.child(t::PARTITIONS).with(p::COMMITTED_OFFSET, 2i64).with(p::COMMITTED_METADATA, word);
        topic.push(t::PARTITIONS, one);
        commit.push(c::TOPICS, topic);
    }
    commit
}

/// A transaction as newer clients make it (KIP-890): what is written to and whose offsets are in it is said by writing
/// alone, and its end gives the producer a new epoch. Its person is given what it needs, most of the time.
fn transaction_in_short(names: &Names, rng: &mut Rng, who: &str) -> Vec<Step> {
    let id = rng.pick(&names.transactions);
    let group = rng.pick(&names.groups);
    let (topic, other) = (rng.pick(&names.topics).0, rng.pick(&names.topics).0);
    let (producer, epoch) = (SLOT_64 + PRODUCER as i64, (SLOT_16 + PRODUCER as i64 + 1) as i16);
    let mut given = Vec::new();
    for (kind, name, operation) in [
        (ResourceType::TransactionalId, &id, Operation::Write),
        (ResourceType::Topic, &topic, Operation::Write),
        (ResourceType::Group, &group, Operation::Read),
        (ResourceType::Topic, &other, Operation::Read),
    ] {
        if rng.chance(85) {
            let (name, principal) = (name.clone(), format!("User:{who}"));
            given.push(Acl { kind, pattern: PatternType::Literal, name, principal, host: "*", operation, allow: true });
        }
    }
    let mut steps = vec![Step { by_super: true, ..step(ApiKey::CREATE_ACLS, 3, acls::creation(&given)) }];
    let take = |r: Field, e: Field| vec![Take::Number(r, PRODUCER), Take::Number(e, PRODUCER + 1)];
    {
        use init_producer_id::{request as q, response as r};
        let init = Node::request(ApiKey::INIT_PRODUCER_ID)
            .with(q::TRANSACTIONAL_ID, id.as_str())
            .with(q::TRANSACTION_TIMEOUT_MS, 60_000);
        let take = take(r::PRODUCER_ID, r::PRODUCER_EPOCH);
        steps.push(Step { take, ..step(ApiKey::INIT_PRODUCER_ID, 5, init) });
    }
    {
        use produce::request::{self as q, partition_produce_data as p, topic_produce_data as t};
        let records = batch(&["in short"], By::Producer { slot: PRODUCER, sequence: 0, transactional: true });
        let mut send = Node::request(ApiKey::PRODUCE)
            .with(q::TRANSACTIONAL_ID, id.as_str())
            .with(q::ACKS, -1i16)
            .with(q::TIMEOUT_MS, 5_000);
        for name in [&topic, &other] {
            let mut one = send.child(q::TOPIC_DATA).with(t::NAME, name.as_str()).with(t::TOPIC_ID, names.id(name));
            let data = one.child(t::PARTITION_DATA).with(p::RECORDS, records.clone());
            one.push(t::PARTITION_DATA, data);
            send.push(q::TOPIC_DATA, one);
            if topic == other || rng.chance(60) {
                break;
            }
        }
        steps.push(step(ApiKey::PRODUCE, some_version(rng, 12, 13), send));
    }
    {
        use q::{txn_offset_commit_request_partition as p, txn_offset_commit_request_topic as t};
        use txn_offset_commit::request as q;
        let mut commit = Node::request(ApiKey::TXN_OFFSET_COMMIT)
            .with(q::TRANSACTIONAL_ID, id.as_str())
            .with(q::GROUP_ID, group.as_str())
            .with(q::PRODUCER_ID, producer)
            .with(q::PRODUCER_EPOCH, epoch);
        let mut one = commit.child(q::TOPICS).with(t::NAME, other.as_str()).with(t::TOPIC_ID, names.id(&other));
        let data = one.child(t::PARTITIONS).with(p::COMMITTED_OFFSET, 1i64).with(p::COMMITTED_METADATA, "short");
        one.push(t::PARTITIONS, data);
        commit.push(q::TOPICS, one);
        steps.push(step(ApiKey::TXN_OFFSET_COMMIT, 5, commit));
    }
    {
        use end_txn::{request as q, response as r};
        let end = Node::request(ApiKey::END_TXN)
            .with(q::TRANSACTIONAL_ID, id.as_str())
            .with(q::PRODUCER_ID, producer)
            .with(q::PRODUCER_EPOCH, epoch)
            .with(q::COMMITTED, rng.chance(60));
        let take = take(r::PRODUCER_ID, r::PRODUCER_EPOCH);
        steps.push(Step { take, ..step(ApiKey::END_TXN, 5, end) });
    }
    steps
}

/// A transaction: begun, written to, offsets in it, ended.
fn transaction(names: &Names, rng: &mut Rng) -> Vec<Step> {
    let id = rng.pick(&names.transactions);
    let group = rng.pick(&names.groups);
    let topic = rng.pick(&names.topics).0;
    let (producer, epoch) = (SLOT_64 + PRODUCER as i64, (SLOT_16 + PRODUCER as i64 + 1) as i16);
    let mut steps = Vec::new();
    {
        use init_producer_id::{request as q, response as r};
        let init = Node::request(ApiKey::INIT_PRODUCER_ID)
            .with(q::TRANSACTIONAL_ID, id.as_str())
            .with(q::TRANSACTION_TIMEOUT_MS, 60_000);
        let take = vec![Take::Number(r::PRODUCER_ID, PRODUCER), Take::Number(r::PRODUCER_EPOCH, PRODUCER + 1)];
        steps.push(Step { take, ..step(ApiKey::INIT_PRODUCER_ID, some_version(rng, 0, 4), init) });
    }
    {
        use add_partitions_to_txn::request::{self as q, add_partitions_to_txn_topic as t};
        let mut add = Node::request(ApiKey::ADD_PARTITIONS_TO_TXN)
            .with(q::V3_AND_BELOW_TRANSACTIONAL_ID, id.as_str())
            .with(q::V3_AND_BELOW_PRODUCER_ID, producer)
            .with(q::V3_AND_BELOW_PRODUCER_EPOCH, epoch);
        let one = add.child(q::V3_AND_BELOW_TOPICS).with(t::NAME, topic.as_str()).with(t::PARTITIONS, vec![0i32]);
        add.push(q::V3_AND_BELOW_TOPICS, one);
        steps.push(step(ApiKey::ADD_PARTITIONS_TO_TXN, some_version(rng, 0, 3), add));
    }
    {
        use produce::request::{self as q, partition_produce_data as p, topic_produce_data as t};
        let records = batch(&["in a transaction"], By::Producer { slot: PRODUCER, sequence: 0, transactional: true });
        let mut send = Node::request(ApiKey::PRODUCE)
            .with(q::TRANSACTIONAL_ID, id.as_str())
            .with(q::ACKS, -1i16)
            .with(q::TIMEOUT_MS, 5_000);
        let mut one = send.child(q::TOPIC_DATA).with(t::NAME, topic.as_str()).with(t::TOPIC_ID, names.id(&topic));
        let data = one.child(t::PARTITION_DATA).with(p::RECORDS, records);
        one.push(t::PARTITION_DATA, data);
        send.push(q::TOPIC_DATA, one);
        steps.push(step(ApiKey::PRODUCE, some_version(rng, 3, 11), send));
    }
    {
        use add_offsets_to_txn::request as q;
        let add = Node::request(ApiKey::ADD_OFFSETS_TO_TXN)
            .with(q::TRANSACTIONAL_ID, id.as_str())
            .with(q::PRODUCER_ID, producer)
            .with(q::PRODUCER_EPOCH, epoch)
            .with(q::GROUP_ID, group.as_str());
        steps.push(step(ApiKey::ADD_OFFSETS_TO_TXN, some_version(rng, 0, 4), add));
    }
    {
        use q::{txn_offset_commit_request_partition as p, txn_offset_commit_request_topic as t};
        use txn_offset_commit::request as q;
        let mut commit = Node::request(ApiKey::TXN_OFFSET_COMMIT)
            .with(q::TRANSACTIONAL_ID, id.as_str())
            .with(q::GROUP_ID, group.as_str())
            .with(q::PRODUCER_ID, producer)
            .with(q::PRODUCER_EPOCH, epoch);
        let mut one = commit.child(q::TOPICS).with(t::NAME, topic.as_str()).with(t::TOPIC_ID, names.id(&topic));
        let data = one.child(t::PARTITIONS).with(p::COMMITTED_OFFSET, 1i64).with(p::COMMITTED_METADATA, "txn");
        one.push(t::PARTITIONS, data);
        commit.push(q::TOPICS, one);
        steps.push(step(ApiKey::TXN_OFFSET_COMMIT, some_version(rng, 0, 4), commit));
    }
    {
        use end_txn::request as q;
        let end = Node::request(ApiKey::END_TXN)
            .with(q::TRANSACTIONAL_ID, id.as_str())
            .with(q::PRODUCER_ID, producer)
            .with(q::PRODUCER_EPOCH, epoch)
            .with(q::COMMITTED, rng.chance(60));
        steps.push(step(ApiKey::END_TXN, some_version(rng, 0, 4), end));
    }
    steps
}

/// Requests of which the full run must be sure: each meets a difference that is meant, and that chance meets seldom.
pub fn rare(names: &Names) -> Vec<(&'static str, ApiKey, i16, Node)> {
    use kordon::wire::schema::{alter_configs, describe_user_scram_credentials};
    let mut twice = Node::request(ApiKey::ALTER_CONFIGS);
    for _ in 0..2 {
        use alter_configs::request::{RESOURCES, alter_configs_resource as r};
        let one = twice.child(RESOURCES).with(r::RESOURCE_TYPE, 2i8).with(r::RESOURCE_NAME, names.topics[0].0.as_str());
        twice.push(RESOURCES, one);
    }
    let everybody = Node::request(ApiKey::DESCRIBE_USER_SCRAM_CREDENTIALS)
        .with(describe_user_scram_credentials::request::USERS, kordon::wire::Value::Null);
    let mut rare =
        vec![("super", ApiKey::ALTER_CONFIGS, 2, twice), ("super", ApiKey::ALTER_CLIENT_QUOTAS, 1, quotas())];
    for who in ["alice", "bob", "carol"] {
        use fetch::request::{
            ISOLATION_LEVEL, MAX_BYTES, SESSION_EPOCH, TOPICS, fetch_partition as p, fetch_topic as t,
        };
        rare.push((who, ApiKey::DESCRIBE_USER_SCRAM_CREDENTIALS, 0, everybody.clone()));
        let mut level =
            Node::request(ApiKey::FETCH).with(MAX_BYTES, 1 << 20).with(SESSION_EPOCH, -1).with(ISOLATION_LEVEL, 9i8);
        for (name, _) in &names.topics {
            let mut topic = level.child(TOPICS).with(t::TOPIC, name.as_str());
            let one = topic.child(t::PARTITIONS).with(p::PARTITION, 0).with(p::PARTITION_MAX_BYTES, 1 << 20);
            topic.push(t::PARTITIONS, one);
            level.push(TOPICS, topic);
        }
        rare.push((who, ApiKey::FETCH, 11, level));
    }
    rare
}

/// That there be no default quota of users, twice.
fn quotas() -> Node {
    use kordon::wire::Value;
    use kordon::wire::schema::alter_client_quotas::request::{
        ENTRIES, entity_data as entity, entry_data as entry, op_data as op,
    };
    let mut request = Node::request(ApiKey::ALTER_CLIENT_QUOTAS);
    for _ in 0..2 {
        let mut one = request.child(ENTRIES);
        let of = one.child(entry::ENTITY).with(entity::ENTITY_TYPE, "user").with(entity::ENTITY_NAME, Value::Null);
        one.push(entry::ENTITY, of);
        let change = one.child(entry::OPS).with(op::KEY, "producer_byte_rate").with(op::REMOVE, true);
        one.push(entry::OPS, change);
        request.push(ENTRIES, one);
    }
    request
}

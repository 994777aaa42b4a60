//! One world: topics, records, offsets and producers that are there when it begins, on both sides, and its end.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use kordon::wire::schema::{
    api_versions, create_topics, delete_groups, delete_topics, describe_groups, describe_quorum, init_producer_id,
    leave_group, list_groups, list_offsets, list_transactions, offset_commit, produce,
};
use kordon::wire::{ApiKey, Node, Value};

use crate::acls;
use crate::names::Names;
use crate::normal::{self, Tree};
use crate::records::{By, batch};
use crate::side::Side;
use crate::support::eventually;

const LONG: Duration = Duration::from_secs(20);
/// Longer than the sessions of members in `requests` and `scripts`.
const SESSION: Duration = Duration::from_secs(60);

/// Waits until the broker has applied what its controller has committed.
pub fn caught_up(side: &mut Side, names: &Names) {
    use describe_quorum::request::{TOPICS, topic_data as t};
    use describe_quorum::response as r;
    let mut request = Node::request(ApiKey::DESCRIBE_QUORUM);
    let mut topic = request.child(TOPICS).with(t::TOPIC_NAME, "__cluster_metadata");
    let partition = topic.child(t::PARTITIONS);
    topic.push(t::PARTITIONS, partition);
    request.push(TOPICS, topic);
    let answer = side.back(ApiKey::DESCRIBE_QUORUM, 1, &request, names);
    let partition = &answer.nodes(r::TOPICS)[0].nodes(r::topic_data::PARTITIONS)[0];
    let committed = partition.int(r::partition_data::HIGH_WATERMARK);
    let ask = Node::request(ApiKey::API_VERSIONS)
        .with(api_versions::request::CLIENT_SOFTWARE_NAME, "test")
        .with(api_versions::request::CLIENT_SOFTWARE_VERSION, "1");
    let begin = Instant::now();
    loop {
        let told = side.back(ApiKey::API_VERSIONS, 3, &ask, names);
        if told.int(api_versions::response::FINALIZED_FEATURES_EPOCH) >= committed - 1 {
            return;
        }
        assert!(begin.elapsed() < LONG, "{}: the broker does not follow its controller", side.name);
    }
}

/// Waits until every partition has a leader that answers.
pub fn led(side: &mut Side, names: &Names, topics: &BTreeMap<String, usize>) {
    use list_offsets::request::{TOPICS, list_offsets_partition as p, list_offsets_topic as t};
    use list_offsets::response as r;
    if topics.is_empty() {
        return;
    }
    let mut request = Node::request(ApiKey::LIST_OFFSETS).with(list_offsets::request::REPLICA_ID, -1);
    for (name, count) in topics {
        let mut topic = request.child(TOPICS).with(t::NAME, name.as_str());
        for index in 0..*count {
            let one = topic.child(t::PARTITIONS).with(p::PARTITION_INDEX, index as i32).with(p::TIMESTAMP, -2i64);
            topic.push(t::PARTITIONS, one);
        }
        request.push(TOPICS, topic);
    }
    eventually("every partition is led", LONG, || {
        let answer = side.back(ApiKey::LIST_OFFSETS, 7, &request, names);
        let topics = answer.nodes(r::TOPICS).iter();
        let mut all = topics.flat_map(|t| t.nodes(r::list_offsets_topic_response::PARTITIONS));
        let led = all.all(|p| p.int(r::list_offsets_partition_response::ERROR_CODE) == 0);
        if led { Ok(()) } else { Err(format!("{}: {answer:?}", side.name)) }
    });
}

/// Makes what is there when the world begins.
pub fn prepare(side: &mut Side, names: &Names) {
    side.begin(names);
    create_topics(side, names);
    caught_up(side, names);
    let own: BTreeMap<String, usize> = names.topics.iter().map(|(name, n)| (name.clone(), *n as usize)).collect();
    side.topics(names);
    led(side, names, &own);
    produce(side, names);
    commit(side, names);
    for transaction in [Some(names.transactions[0].as_str()), Some(names.transactions[1].as_str()), None] {
        let (id, epoch) = producer(side, names, transaction);
        side.numbers.extend([id, epoch]);
        side.seen("producer", &id.to_string());
    }
}

fn create_topics(side: &mut Side, names: &Names) {
    use create_topics::request::{TIMEOUT_MS, TOPICS, creatable_topic as t};
    use create_topics::response as r;
    let mut request = Node::request(ApiKey::CREATE_TOPICS).with(TIMEOUT_MS, 30_000);
    for (name, partitions) in &names.topics {
        let topic = request
            .child(TOPICS)
            .with(t::NAME, name.as_str())
            .with(t::NUM_PARTITIONS, *partitions)
            .with(t::REPLICATION_FACTOR, 1i16);
        request.push(TOPICS, topic);
    }
    let answer = side.back(ApiKey::CREATE_TOPICS, 7, &request, names);
    let fine = answer.nodes(r::TOPICS).iter().all(|t| t.int(r::creatable_topic_result::ERROR_CODE) == 0);
    assert!(fine, "{}: {answer:?}", side.name);
}

fn produce(side: &mut Side, names: &Names) {
    use produce::request::{ACKS, TIMEOUT_MS, TOPIC_DATA, partition_produce_data as p, topic_produce_data as t};
    let mut request = Node::request(ApiKey::PRODUCE).with(ACKS, -1i16).with(TIMEOUT_MS, 10_000);
    for (name, partitions) in &names.topics {
        let mut topic = request.child(TOPIC_DATA).with(t::NAME, name.as_str());
        for index in 0..*partitions {
            let records = batch(&["first", "second"], By::Plain);
            let one = topic.child(t::PARTITION_DATA).with(p::INDEX, index).with(p::RECORDS, records);
            topic.push(t::PARTITION_DATA, one);
        }
        request.push(TOPIC_DATA, topic);
    }
    no_error(side, names, ApiKey::PRODUCE, 9, &request);
}

fn commit(side: &mut Side, names: &Names) {
    use offset_commit::request::{
        GROUP_ID, TOPICS, offset_commit_request_partition as p, offset_commit_request_topic as t,
    };
    for group in &names.groups[..4] {
        let mut request = Node::request(ApiKey::OFFSET_COMMIT).with(GROUP_ID, group.as_str());
        for (name, _) in &names.topics {
            let mut topic = request.child(TOPICS).with(t::NAME, name.as_str());
            let one = topic
                .child(t::PARTITIONS)
                .with(p::PARTITION_INDEX, 0)
                .with(p::COMMITTED_OFFSET, 1i64)
                .with(p::COMMITTED_METADATA, "");
            topic.push(t::PARTITIONS, one);
            request.push(TOPICS, topic);
        }
        no_error(side, names, ApiKey::OFFSET_COMMIT, 8, &request);
    }
}

/// A producer id and its epoch.
fn producer(side: &mut Side, names: &Names, transaction: Option<&str>) -> (i64, i64) {
    use init_producer_id::request::{TRANSACTION_TIMEOUT_MS, TRANSACTIONAL_ID};
    use init_producer_id::response::{PRODUCER_EPOCH, PRODUCER_ID};
    let request = Node::request(ApiKey::INIT_PRODUCER_ID)
        .with(TRANSACTIONAL_ID, transaction)
        .with(TRANSACTION_TIMEOUT_MS, 60_000);
    let answer = no_error(side, names, ApiKey::INIT_PRODUCER_ID, 4, &request);
    (answer.int(PRODUCER_ID), answer.int(PRODUCER_EPOCH))
}

/// Asks until the answer holds no error: coordinators load.
fn no_error(side: &mut Side, names: &Names, key: ApiKey, version: i16, request: &Node) -> Node {
    eventually("an answer without error", LONG, || {
        let answer = side.back(key, version, request, names);
        if crate::tally::codes(&answer).iter().all(|code| *code == 0) { Ok(answer) } else { Err(format!("{answer:?}")) }
    })
}

/// Waits until the markers of transactions that end are written: readers see them behind the answer.
pub fn transactions_ended(side: &mut Side, names: &Names) {
    use list_transactions::response::{TRANSACTION_STATES, transaction_state as t};
    let request = Node::request(ApiKey::LIST_TRANSACTIONS);
    eventually("transactions end", LONG, || {
        let answer = side.back(ApiKey::LIST_TRANSACTIONS, 0, &request, names);
        let ending = |t: &&Node| {
            t.str(t::TRANSACTION_STATE).starts_with("Prepare") && t.str(t::TRANSACTIONAL_ID).starts_with(&names.prefix)
        };
        let ending = answer.nodes(TRANSACTION_STATES).iter().find(ending);
        ending.map_or(Ok(()), |left| Err(format!("{left:?}")))
    });
}

/// The ACLs of a side, as its super user is told them.
pub fn acls(side: &mut Side, names: &Names) -> Tree {
    let outcome = side.ask("super", ApiKey::DESCRIBE_ACLS, 3, &acls::listing(), names);
    normal::tree(side, ApiKey::DESCRIBE_ACLS, 3, &outcome)
}

/// Removes what a world has made.
pub fn clear(side: &mut Side, names: &Names) {
    use delete_topics::request::{TIMEOUT_MS, TOPIC_NAMES};
    let topics: Vec<String> = side.topics(names).into_keys().filter(|name| !name.starts_with("__")).collect();
    if !topics.is_empty() {
        let request = Node::request(ApiKey::DELETE_TOPICS).with(TOPIC_NAMES, topics).with(TIMEOUT_MS, 30_000);
        side.back(ApiKey::DELETE_TOPICS, 5, &request, names);
    }
    side.ask("super", ApiKey::DELETE_ACLS, 3, &acls::deletion(), names);
    reset(side, names);
    // A member that was told its id and never came back is in no listing; its group goes when the session ends.
    eventually("groups are deleted", SESSION, || {
        leave_all(side, names);
        let found = groups(side, names);
        let all: Vec<&str> = found.keys().map(String::as_str).collect();
        let request = Node::request(ApiKey::DELETE_GROUPS).with(delete_groups::request::GROUPS_NAMES, all);
        side.back(ApiKey::DELETE_GROUPS, 2, &request, names);
        let left = groups_left(side, names);
        if left.is_empty() { Ok(()) } else { Err(format!("{}: {left}", side.name)) }
    });
}

/// Lets the members of all groups leave.
fn leave_all(side: &mut Side, names: &Names) {
    let found = groups(side, names);
    for (group, kind) in &found {
        match kind.as_str() {
            "consumer" => {
                let apis = (ApiKey::CONSUMER_GROUP_DESCRIBE, ApiKey::CONSUMER_GROUP_HEARTBEAT);
                leave_new(side, names, group, apis);
            }
            "share" => leave_new(side, names, group, (ApiKey::SHARE_GROUP_DESCRIBE, ApiKey::SHARE_GROUP_HEARTBEAT)),
            "streams" => {
                let apis = (ApiKey::STREAMS_GROUP_DESCRIBE, ApiKey::STREAMS_GROUP_HEARTBEAT);
                leave_new(side, names, group, apis);
            }
            _ => leave(side, names, group),
        }
    }
}

/// Removes configs of groups and client metrics, quotas and credentials.
fn reset(side: &mut Side, names: &Names) {
    use kordon::wire::schema::{
        alter_client_quotas, alter_configs, alter_user_scram_credentials, describe_client_quotas,
        describe_user_scram_credentials, list_config_resources,
    };
    let request = Node::request(ApiKey::LIST_CONFIG_RESOURCES)
        .with(list_config_resources::request::RESOURCE_TYPES, vec![16i8, 32]);
    let answer = side.back(ApiKey::LIST_CONFIG_RESOURCES, 1, &request, names);
    {
        use alter_configs::request::{RESOURCES, alter_configs_resource as r};
        use list_config_resources::response::{CONFIG_RESOURCES, config_resource as c};
        let mut request = Node::request(ApiKey::ALTER_CONFIGS);
        for found in answer.nodes(CONFIG_RESOURCES) {
            let one = request
                .child(RESOURCES)
                .with(r::RESOURCE_TYPE, found.int(c::RESOURCE_TYPE))
                .with(r::RESOURCE_NAME, found.str(c::RESOURCE_NAME));
            request.push(RESOURCES, one);
        }
        if !request.nodes(RESOURCES).is_empty() {
            side.back(ApiKey::ALTER_CONFIGS, 2, &request, names);
        }
    }
    {
        use alter_client_quotas::request::{ENTRIES, entity_data as e, entry_data as n, op_data as o};
        use describe_client_quotas::response::{self as r, entity_data as te, entry_data as te_n, value_data as v};
        let answer =
            side.back(ApiKey::DESCRIBE_CLIENT_QUOTAS, 1, &Node::request(ApiKey::DESCRIBE_CLIENT_QUOTAS), names);
        let mut request = Node::request(ApiKey::ALTER_CLIENT_QUOTAS);
        for found in answer.nodes(r::ENTRIES) {
            let mut entry = request.child(ENTRIES);
            for entity in found.nodes(te_n::ENTITY) {
                let one = entry
                    .child(n::ENTITY)
                    .with(e::ENTITY_TYPE, entity.str(te::ENTITY_TYPE))
                    .with(e::ENTITY_NAME, entity.value(te::ENTITY_NAME).clone());
                entry.push(n::ENTITY, one);
            }
            for value in found.nodes(te_n::VALUES) {
                let one = entry.child(n::OPS).with(o::KEY, value.str(v::KEY)).with(o::REMOVE, true);
                entry.push(n::OPS, one);
            }
            request.push(ENTRIES, entry);
        }
        if !request.nodes(ENTRIES).is_empty() {
            side.back(ApiKey::ALTER_CLIENT_QUOTAS, 1, &request, names);
        }
    }
    {
        use alter_user_scram_credentials::request::{DELETIONS, scram_credential_deletion as d};
        use describe_user_scram_credentials::request::USERS;
        use describe_user_scram_credentials::response::{
            RESULTS, credential_info as c, describe_user_scram_credentials_result as r,
        };
        let everybody = Node::request(ApiKey::DESCRIBE_USER_SCRAM_CREDENTIALS).with(USERS, Value::Null);
        eventually("credentials are deleted", LONG, || {
            let answer = side.back(ApiKey::DESCRIBE_USER_SCRAM_CREDENTIALS, 0, &everybody, names);
            for found in answer.nodes(RESULTS) {
                for credential in found.nodes(r::CREDENTIAL_INFOS) {
                    // A request that names a user twice changes nothing of it.
                    let mut request = Node::request(ApiKey::ALTER_USER_SCRAM_CREDENTIALS);
                    let one = request
                        .child(DELETIONS)
                        .with(d::NAME, found.str(r::USER))
                        .with(d::MECHANISM, credential.int(c::MECHANISM));
                    request.push(DELETIONS, one);
                    side.back(ApiKey::ALTER_USER_SCRAM_CREDENTIALS, 0, &request, names);
                }
            }
            if answer.nodes(RESULTS).is_empty() { Ok(()) } else { Err(format!("{}: {answer:?}", side.name)) }
        });
    }
    {
        use kordon::wire::schema::incremental_alter_configs::request::{
            RESOURCES, alter_configs_resource as r, alterable_config as c,
        };
        let mut request = Node::request(ApiKey::INCREMENTAL_ALTER_CONFIGS);
        for broker in ["", "1"] {
            let mut one = request.child(RESOURCES).with(r::RESOURCE_TYPE, 4i8).with(r::RESOURCE_NAME, broker);
            for name in ["no.such.config", "log.cleaner.threads", "message.max.bytes"] {
                let config = one
                    .child(r::CONFIGS)
                    .with(c::NAME, name)
                    .with(c::CONFIG_OPERATION, 1i8)
                    .with(c::VALUE, Value::Null);
                one.push(r::CONFIGS, config);
            }
            request.push(RESOURCES, one);
        }
        side.back(ApiKey::INCREMENTAL_ALTER_CONFIGS, 1, &request, names);
    }
    caught_up(side, names);
}

fn groups_left(side: &mut Side, names: &Names) -> String {
    use list_groups::response::GROUPS;
    let answer = side.back(ApiKey::LIST_GROUPS, 5, &Node::request(ApiKey::LIST_GROUPS), names);
    let found = answer.nodes(GROUPS);
    let Some(first) = found.first() else { return String::new() };
    let request = Node::request(ApiKey::DESCRIBE_GROUPS)
        .with(describe_groups::request::GROUPS, vec![first.str(list_groups::response::listed_group::GROUP_ID)]);
    format!("{answer:?}: {:?}", side.back(ApiKey::DESCRIBE_GROUPS, 5, &request, names))
}

/// Every group of the cluster, with its kind.
pub fn groups(side: &mut Side, names: &Names) -> BTreeMap<String, String> {
    use list_groups::response::{GROUPS, listed_group as g};
    let answer = side.back(ApiKey::LIST_GROUPS, 5, &Node::request(ApiKey::LIST_GROUPS), names);
    let all = answer.nodes(GROUPS).iter();
    all.map(|g| (g.str(g::GROUP_ID).to_owned(), g.str(g::GROUP_TYPE).to_owned())).collect()
}

/// Sends the members of a group of one of the newer kinds away: the last heartbeat of each.
fn leave_new(side: &mut Side, names: &Names, group: &str, (describe, heartbeat): (ApiKey, ApiKey)) {
    let request = Node::request(describe);
    let ids = request.def().find("GroupIds").expect("ids of groups");
    let version = i16::from(describe == ApiKey::SHARE_GROUP_DESCRIBE);
    let answer = side.back(describe, version, &request.with(ids, vec![group]), names);
    let of = |node: &Node, name: &str| node.def().find(name).expect("a field of that name");
    for described in answer.nodes(of(&answer, "Groups")) {
        for member in described.nodes(of(described, "Members")) {
            let id = member.str(of(member, "MemberId"));
            let mut last = Node::request(heartbeat);
            last.set(of(&last, "GroupId"), group);
            last.set(of(&last, "MemberId"), id);
            last.set(of(&last, "MemberEpoch"), -1);
            let version = i16::from(heartbeat == ApiKey::SHARE_GROUP_HEARTBEAT);
            side.back(heartbeat, version, &last, names);
        }
    }
}

/// Sends the members of a classic group away.
fn leave(side: &mut Side, names: &Names, group: &str) {
    use describe_groups::response::{GROUPS, described_group as g, described_group_member as m};
    use leave_group::request::{GROUP_ID, MEMBERS, member_identity as i};
    let request = Node::request(ApiKey::DESCRIBE_GROUPS).with(describe_groups::request::GROUPS, vec![group]);
    let answer = side.back(ApiKey::DESCRIBE_GROUPS, 5, &request, names);
    let members = answer.nodes(GROUPS)[0].nodes(g::MEMBERS);
    if members.is_empty() {
        return;
    }
    let mut request = Node::request(ApiKey::LEAVE_GROUP).with(GROUP_ID, group);
    for member in members {
        let one = request
            .child(MEMBERS)
            .with(i::MEMBER_ID, member.str(m::MEMBER_ID))
            .with(i::GROUP_INSTANCE_ID, member.value(m::GROUP_INSTANCE_ID).clone());
        request.push(MEMBERS, one);
    }
    side.back(ApiKey::LEAVE_GROUP, 4, &request, names);
}

/// Makes the brokers' own topics, so that they do not appear one day.
pub fn own_topics(side: &mut Side, names: &Names) {
    use kordon::wire::schema::find_coordinator::request::{COORDINATOR_KEYS, KEY_TYPE};
    for (kind, key) in [(0i8, "g"), (1, "t"), (2, "g:AAAAAAAAAAAAAAAAAAAAAQ:0")] {
        let request =
            Node::request(ApiKey::FIND_COORDINATOR).with(KEY_TYPE, kind).with(COORDINATOR_KEYS, vec![Value::from(key)]);
        no_error(side, names, ApiKey::FIND_COORDINATOR, 6, &request);
    }
    // The first producer id is 0, as where there is none.
    producer(side, names, None);
}

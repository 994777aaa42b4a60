//! The list of what is served, in which versions, and by whom.

use super::{Shared, cluster, configs, fetch, group_api, offsets, produce, topics};
use crate::wire::message::response_frame;
use crate::wire::schema::api_versions::response as r;
use crate::wire::{ApiKey, ErrorCode, Node, Rope, Versions, api as api_of};

/// A request that was read.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) key: ApiKey,
    pub(super) version: i16,
    pub(super) correlation_id: i32,
    pub(super) client_id: Option<String>,
    /// The address of the client.
    pub(super) host: String,
    pub(super) body: Node,
}

/// What a request comes to.
pub(super) enum Reply {
    Answer(Node),
    /// A produce request that wants no answer.
    Nothing,
    NotServed,
}

const SERVED: [ApiKey; 19] = [
    ApiKey::PRODUCE,
    ApiKey::FETCH,
    ApiKey::LIST_OFFSETS,
    ApiKey::METADATA,
    ApiKey::OFFSET_COMMIT,
    ApiKey::OFFSET_FETCH,
    ApiKey::FIND_COORDINATOR,
    ApiKey::JOIN_GROUP,
    ApiKey::HEARTBEAT,
    ApiKey::LEAVE_GROUP,
    ApiKey::SYNC_GROUP,
    ApiKey::DESCRIBE_GROUPS,
    ApiKey::LIST_GROUPS,
    ApiKey::API_VERSIONS,
    ApiKey::CREATE_TOPICS,
    ApiKey::DELETE_TOPICS,
    ApiKey::INIT_PRODUCER_ID,
    ApiKey::DESCRIBE_CONFIGS,
    ApiKey::DESCRIBE_CLUSTER,
];

/// The versions of an API that are served: all that Kafka 4.4 calls stable.
pub(super) fn versions(key: ApiKey) -> Option<Versions> {
    let api = SERVED.contains(&key).then(|| api_of(key)).flatten()?;
    let newest = if api.latest_unstable { api.versions.max - 1 } else { api.versions.max };
    Some(Versions::new(api.versions.min, newest))
}

/// What clients are told is served.
pub(super) fn advertised() -> impl Iterator<Item = (ApiKey, Versions)> {
    SERVED.into_iter().filter_map(|key| {
        let versions = versions(key)?;
        // librdkafka takes a broker without Produce 0 for one that cannot compress (KAFKA-18659); Kafka says so too.
        let min = if key == ApiKey::PRODUCE { 0 } else { versions.min };
        Some((key, Versions::new(min, versions.max)))
    })
}

/// The answer to a version of ApiVersions that is not known (KIP-511).
pub(super) fn unsupported_api_versions(correlation_id: i32) -> Rope {
    let mut answer = Node::response(ApiKey::API_VERSIONS).with(r::ERROR_CODE, ErrorCode::UNSUPPORTED_VERSION);
    let known = versions(ApiKey::API_VERSIONS).unwrap_or(Versions::NONE);
    let row = cluster::api_row(&answer, ApiKey::API_VERSIONS, known);
    answer.push(r::API_KEYS, row);
    response_frame(ApiKey::API_VERSIONS, 0, correlation_id, &answer)
}

/// Serves a request.
pub(super) async fn reply(shared: &Shared, request: &Request) -> Reply {
    let (version, body) = (request.version, &request.body);
    Reply::Answer(match request.key {
        ApiKey::PRODUCE => match produce::produce(shared, version, body) {
            Some(answer) => answer,
            None => return Reply::Nothing,
        },
        ApiKey::FETCH => fetch::fetch(shared, version, body).await,
        ApiKey::LIST_OFFSETS => offsets::list_offsets(shared, body),
        ApiKey::METADATA => cluster::metadata(shared, version, body),
        ApiKey::OFFSET_COMMIT => offsets::offset_commit(shared, version, body),
        ApiKey::OFFSET_FETCH => offsets::offset_fetch(shared, version, body),
        ApiKey::FIND_COORDINATOR => cluster::find_coordinator(shared, version, body),
        ApiKey::JOIN_GROUP => group_api::join_group(shared, request).await,
        ApiKey::HEARTBEAT => group_api::heartbeat(shared, body),
        ApiKey::LEAVE_GROUP => group_api::leave_group(shared, version, body),
        ApiKey::SYNC_GROUP => group_api::sync_group(shared, body).await,
        ApiKey::DESCRIBE_GROUPS => group_api::describe_groups(shared, version, body),
        ApiKey::LIST_GROUPS => group_api::list_groups(shared, body),
        ApiKey::API_VERSIONS => cluster::api_versions(shared, body),
        ApiKey::CREATE_TOPICS => topics::create_topics(shared, body),
        ApiKey::DELETE_TOPICS => topics::delete_topics(shared, version, body),
        ApiKey::INIT_PRODUCER_ID => cluster::init_producer_id(shared, body),
        ApiKey::DESCRIBE_CONFIGS => configs::describe_configs(shared, body),
        ApiKey::DESCRIBE_CLUSTER => cluster::describe_cluster(shared, body),
        _ => return Reply::NotServed,
    })
}

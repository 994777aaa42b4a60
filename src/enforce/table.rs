//! The only list of APIs: which versions are served, under which category of the audit, by which rule.
//!
//! ApiVersions, the permission table, tests and `kordon apis` are derived from it. A key or version that is not here is
//! not advertised, and refused.

use super::api_versions::ApiVersions;
use super::describe_cluster::DescribeCluster;
use super::fetch::Fetch;
use super::find_coordinator::FindCoordinator;
use super::list_offsets::ListOffsets;
use super::metadata::Metadata;
use super::offset_for_leader_epoch::OffsetForLeaderEpoch;
use super::produce::Produce;
use super::record::Category;
use super::rule::Rule;
use crate::model::CloseReason;
use crate::policy::Permit;
use crate::wire::schema::api_versions::response::{self as res, api_version};
use crate::wire::{ApiKey, ErrorCode, Node, Versions};
use std::sync::LazyLock;

/// One API: what is served of it, and how.
pub struct Row {
    /// The API.
    pub key: ApiKey,
    /// The versions that are served.
    pub versions: Versions,
    /// Category in the audit.
    pub category: Category,
    /// Asked again and again while nothing happens: merged in the audit by default.
    pub polling: bool,
    /// Whether ApiVersions tells clients of it.
    pub advertised: bool,
    /// Why versions that Kafka has are missing, or why it is not advertised; empty where nothing is.
    pub narrower: &'static str,
    /// The rule.
    pub rule: &'static dyn Rule,
}

/// Every row, by key.
pub static TABLE: &[Row] = &[
    row(ApiKey::PRODUCE, 3, 13, Category::DataWrite, &Produce),
    polling(row(ApiKey::FETCH, 4, 18, Category::DataRead, &Fetch)),
    polling(row(ApiKey::LIST_OFFSETS, 1, 11, Category::DataRead, &ListOffsets)),
    row(ApiKey::METADATA, 0, 13, Category::Read, &Metadata),
    row(ApiKey::FIND_COORDINATOR, 0, 6, Category::Read, &FindCoordinator),
    row(ApiKey::API_VERSIONS, 0, 5, Category::Read, &ApiVersions),
    row(ApiKey::OFFSET_FOR_LEADER_EPOCH, 2, 4, Category::DataRead, &OffsetForLeaderEpoch),
    row(ApiKey::DESCRIBE_CLUSTER, 0, 2, Category::Read, &DescribeCluster),
];

const fn row(key: ApiKey, min: i16, max: i16, category: Category, rule: &'static dyn Rule) -> Row {
    let versions = Versions { min, max };
    Row { key, versions, category, polling: false, advertised: true, narrower: "", rule }
}

const fn polling(row: Row) -> Row {
    Row { polling: true, ..row }
}

/// Keys below this have a place in the index.
const KEYS: usize = 128;

static INDEX: LazyLock<[Option<&'static Row>; KEYS]> = LazyLock::new(|| {
    let mut index = [None; KEYS];
    for row in TABLE {
        if let Some(place) = usize::try_from(row.key.0).ok().and_then(|key| index.get_mut(key)) {
            *place = Some(row);
        }
    }
    index
});

/// The row of an API, whatever the version.
pub fn find(key: ApiKey) -> Option<&'static Row> {
    usize::try_from(key.0).ok().and_then(|key| INDEX.get(key).copied().flatten())
}

/// The row that serves an API in a version.
///
/// # Errors
/// There is none: the connection closes for this reason, as a broker closes it (kafka-authorization 1.0.2).
pub fn row_of(key: ApiKey, version: i16) -> Result<&'static Row, CloseReason> {
    let row = find(key).ok_or(CloseReason::UnknownApi)?;
    if row.versions.contains(version) { Ok(row) } else { Err(CloseReason::UnsupportedVersion) }
}

/// The permit of an API that demands nothing of a request as a whole: what it shows is decided with the answer.
pub(super) fn open_row(key: ApiKey) -> Permit {
    Permit::for_open_row(key)
}

/// Why a request whose header names a version that Kafka does not have is refused.
pub fn why_refused(key: ApiKey) -> CloseReason {
    if find(key).is_some() { CloseReason::UnsupportedVersion } else { CloseReason::UnknownApi }
}

/// The answer to ApiVersions in a version that is not served: only the API itself, with its range
/// (KIP-511; `ApiVersionsRequest.getErrorResponse`, Kafka 4.1).
pub fn unsupported_api_versions(broker: Option<Versions>) -> Node {
    let own = find(ApiKey::API_VERSIONS).map_or(Versions { min: 0, max: 0 }, |row| row.versions);
    let range = broker.map_or(own, |broker| own.intersect(broker));
    let mut answer = Node::response(ApiKey::API_VERSIONS).with(res::ERROR_CODE, ErrorCode::UNSUPPORTED_VERSION);
    let entry = answer
        .child(res::API_KEYS)
        .with(api_version::API_KEY, ApiKey::API_VERSIONS.0)
        .with(api_version::MIN_VERSION, range.min)
        .with(api_version::MAX_VERSION, range.max);
    answer.push(res::API_KEYS, entry);
    answer
}

//! ApiVersions (API 18).
//!
//! Source: Kafka 4.1 `KafkaApis.handleApiVersionsRequest`, `ApiVersionsRequest.isValid` and `.getErrorResponse`,
//! `ApiVersionsResponse.filterApis`. No demand. What is advertised is the table of this proxy, cut to what the broker
//! serves; keys without a row are left out. Produce is advertised from 0 on, as brokers do, because librdkafka stops
//! compressing where it is not (KAFKA-18659). The broker's features are kept as they are.
//!
//! Before the principal is known no broker is asked: [`local_answer`] answers from what the topology knows.

use super::judge::Judge;
use super::rule::{Complete, Completed, Request, Rule, Then, Verdict};
use super::table;
use super::telemetry::is_telemetry;
use super::topology::{Feature, Topology};
use crate::wire::schema::api_versions::request as req;
use crate::wire::schema::api_versions::response::{
    self as res, api_version, finalized_feature_key, supported_feature_key,
};
use crate::wire::{ApiKey, ErrorCode, Node, Versions, View, WireError};

/// The rule of ApiVersions.
pub(super) struct ApiVersions;

impl Rule for ApiVersions {
    fn judge(&self, request: &Request<'_, '_>, judge: &mut Judge<'_>) -> Result<Verdict, WireError> {
        let (topology, broker) = (judge.cx.topology, judge.cx.connection.broker);
        if let Some(error) = refusal(request.view, request.version(), topology, broker) {
            return Ok(Verdict::Answer(error));
        }
        Ok(Verdict::Forward(table::open_row(ApiKey::API_VERSIONS), Then::Complete(Box::new(Cut))))
    }
}

/// The answer to a request that cannot be sent to a broker yet, from what is known of the broker of this port, or of
/// all brokers on a bootstrap port. `None` while nothing is known.
pub fn local_answer(request: View<'_, '_>, version: i16, topology: &Topology, broker: Option<i32>) -> Option<Node> {
    topology.versions(broker, ApiKey::API_VERSIONS)?;
    if let Some(error) = refusal(request, version, topology, broker).or_else(|| misdirected(request, topology, broker))
    {
        return Some(error);
    }
    let mut answer = Node::response(ApiKey::API_VERSIONS);
    for row in table::TABLE {
        if let Some(versions) = known(topology, broker, row.key) {
            push_api(&mut answer, row.key, versions);
        }
    }
    push_features(&mut answer, topology, version);
    Some(answer)
}

/// What Kafka refuses before it answers.
fn refusal(request: View<'_, '_>, version: i16, topology: &Topology, broker: Option<i32>) -> Option<Node> {
    let served = topology.versions(broker, ApiKey::API_VERSIONS);
    if served.is_some_and(|versions| !versions.contains(version)) {
        return Some(table::unsupported_api_versions(served));
    }
    let named = request.has(req::CLIENT_SOFTWARE_NAME);
    let valid = |field| is_software_word(request.str(field));
    if named && !(valid(req::CLIENT_SOFTWARE_NAME) && valid(req::CLIENT_SOFTWARE_VERSION)) {
        return Some(error(ErrorCode::INVALID_REQUEST));
    }
    None
}

/// A client that means another cluster or node (KIP-1242); only where the request names both.
fn misdirected(request: View<'_, '_>, topology: &Topology, broker: Option<i32>) -> Option<Node> {
    let cluster = request.opt_str(req::CLUSTER_ID)?;
    let node = Some(request.i32(req::NODE_ID)).filter(|node| *node >= 0)?;
    let other_cluster = topology.cluster_id.as_deref().is_some_and(|own| own != cluster);
    let other_node = broker.is_some_and(|own| own != node);
    (other_cluster || other_node).then(|| error(ErrorCode::REBOOTSTRAP_REQUIRED))
}

/// `ApiVersionsRequest.SUPPORTED_CLIENT_SOFTWARE`: `[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?`.
fn is_software_word(word: &str) -> bool {
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    edge(word.chars().next())
        && edge(word.chars().next_back())
        && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '.')
}

fn error(code: ErrorCode) -> Node {
    Node::response(ApiKey::API_VERSIONS).with(res::ERROR_CODE, code)
}

fn known(topology: &Topology, broker: Option<i32>, key: ApiKey) -> Option<Versions> {
    advertised(key, topology.versions(broker, key)?, topology)
}

/// What is advertised of an API that a broker serves in these versions.
fn advertised(key: ApiKey, broker: Versions, topology: &Topology) -> Option<Versions> {
    let told = |row: &&'static table::Row| row.advertised || (topology.telemetry && is_telemetry(key));
    let both = table::find(key).filter(told)?.versions.intersect(broker);
    let min = if key == ApiKey::PRODUCE { 0 } else { both.min };
    (!both.is_empty()).then_some(Versions { min, max: both.max })
}

fn push_api(answer: &mut Node, key: ApiKey, versions: Versions) {
    let api = answer
        .child(res::API_KEYS)
        .with(api_version::API_KEY, key.0)
        .with(api_version::MIN_VERSION, versions.min)
        .with(api_version::MAX_VERSION, versions.max);
    answer.push(res::API_KEYS, api);
}

fn push_features(answer: &mut Node, topology: &Topology, version: i16) {
    let features = &topology.features;
    // Clients of before version 4 cannot read a minimum of 0 (KAFKA-17011).
    let shown = |feature: &&Feature| version >= 4 || feature.min > 0;
    for feature in features.supported.iter().filter(shown) {
        let node = answer
            .child(res::SUPPORTED_FEATURES)
            .with(supported_feature_key::NAME, &*feature.name)
            .with(supported_feature_key::MIN_VERSION, feature.min)
            .with(supported_feature_key::MAX_VERSION, feature.max);
        answer.push(res::SUPPORTED_FEATURES, node);
    }
    for feature in &features.finalized {
        let node = answer
            .child(res::FINALIZED_FEATURES)
            .with(finalized_feature_key::NAME, &*feature.name)
            .with(finalized_feature_key::MIN_VERSION_LEVEL, feature.min)
            .with(finalized_feature_key::MAX_VERSION_LEVEL, feature.max);
        answer.push(res::FINALIZED_FEATURES, node);
    }
    answer.set(res::FINALIZED_FEATURES_EPOCH, features.epoch.unwrap_or(-1));
}

/// Cuts the broker's list to the table's. A broker that does not know the version lists only its ApiVersions, in an
/// answer of version 0 with error 35; the client asks again in a lower version.
struct Cut;

impl Complete for Cut {
    fn complete(self: Box<Self>, mut answer: Node, judge: &mut Judge<'_>) -> Completed {
        answer.nodes_mut(res::API_KEYS).retain_mut(|api| {
            let broker = Versions { min: api.i16(api_version::MIN_VERSION), max: api.i16(api_version::MAX_VERSION) };
            let key = ApiKey(api.i16(api_version::API_KEY));
            let Some(versions) = advertised(key, broker, judge.cx.topology) else { return false };
            api.set(api_version::MIN_VERSION, versions.min);
            api.set(api_version::MAX_VERSION, versions.max);
            true
        });
        Completed::Answer(answer)
    }
}

#[cfg(test)]
mod tests;

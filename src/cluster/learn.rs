//! What brokers tell of themselves beside Metadata: their features, and whether they create topics by themselves.

use super::configs;
use super::link::{Link, LinkError};
use crate::enforce::topology::{Feature, Features};
use crate::wire::schema::api_versions::request as versions_request;
use crate::wire::schema::api_versions::response::{self, finalized_feature_key, supported_feature_key};
use crate::wire::{ApiKey, ErrorCode, Node};
use std::cmp::Ordering;

/// ApiVersions up to here serves every broker of today; version 5 carries an expectation that a bootstrap address
/// cannot have.
pub(super) const API_VERSIONS: i16 = 4;

const AUTO_CREATE: &str = "auto.create.topics.enable";

/// The question what a broker serves.
pub(super) fn api_versions() -> Node {
    Node::request(ApiKey::API_VERSIONS)
        .with(versions_request::CLIENT_SOFTWARE_NAME, "kordon")
        .with(versions_request::CLIENT_SOFTWARE_VERSION, env!("CARGO_PKG_VERSION"))
}

/// The features that an ApiVersions answer tells.
pub(super) fn features(answer: &Node) -> Features {
    let supported = answer.nodes(response::SUPPORTED_FEATURES).iter().map(|told| Feature {
        name: told.str(supported_feature_key::NAME).into(),
        min: told.i16(supported_feature_key::MIN_VERSION),
        max: told.i16(supported_feature_key::MAX_VERSION),
    });
    let finalized = answer.nodes(response::FINALIZED_FEATURES).iter().map(|told| Feature {
        name: told.str(finalized_feature_key::NAME).into(),
        min: told.i16(finalized_feature_key::MIN_VERSION_LEVEL),
        max: told.i16(finalized_feature_key::MAX_VERSION_LEVEL),
    });
    let epoch = Some(answer.int(response::FINALIZED_FEATURES_EPOCH)).filter(|epoch| *epoch >= 0);
    Features { supported: supported.collect(), finalized: finalized.collect(), epoch }
}

/// What may be told of a cluster whose brokers tell these: what all of them support, and what the newest finalized.
/// Clients ask before anybody knows which broker they will use.
pub(super) fn agreed<'f>(brokers: impl IntoIterator<Item = &'f Features>) -> Features {
    let mut brokers = brokers.into_iter();
    let Some(mut all) = brokers.next().cloned() else { return Features::default() };
    for one in brokers {
        all.supported.retain_mut(|feature| {
            let Some(other) = one.supported.iter().find(|other| other.name == feature.name) else { return false };
            feature.min = feature.min.max(other.min);
            feature.max = feature.max.min(other.max);
            feature.min <= feature.max
        });
        take_newer(&mut all, one);
    }
    all
}

/// Takes over what is finalized, if it is of a newer age.
pub(super) fn take_newer(known: &mut Features, told: &Features) {
    if told.epoch.cmp(&known.epoch) == Ordering::Greater {
        known.finalized.clone_from(&told.finalized);
        known.epoch = told.epoch;
    }
}

/// What is asked now and then: it changes while connections stay.
#[derive(Debug)]
pub(super) struct Learned {
    /// Whether the broker is known not to create topics by itself.
    pub auto_create_off: bool,
    /// Its features as they are now, if it tells.
    pub features: Option<Features>,
}

/// Asks the broker of a connection. Nothing is learned from one that does not answer; one that may not or will not tell
/// whether it creates topics is taken to do so, which is Kafka's default.
pub(super) async fn learn(id: i32, link: Link) -> Option<Learned> {
    let auto_create = configs::request(configs::BROKER, &id.to_string(), &[AUTO_CREATE]);
    let auto_create_off = match link.call(ApiKey::DESCRIBE_CONFIGS, &auto_create).await {
        Ok(answer) => says_off(&answer),
        Err(LinkError::NotServed { .. } | LinkError::Nonsense { .. }) => false,
        Err(LinkError::Closed(_) | LinkError::TimedOut { .. }) => return None,
    };
    let answer = link.call_at_most(ApiKey::API_VERSIONS, API_VERSIONS, &api_versions()).await.ok();
    let told = answer.filter(|answer| ErrorCode(answer.i16(response::ERROR_CODE)) == ErrorCode::NONE);
    Some(Learned { auto_create_off, features: told.as_ref().map(features) })
}

fn says_off(answer: &Node) -> bool {
    configs::values(answer).is_some_and(|mut told| told.any(|(name, value)| name == AUTO_CREATE && value == "false"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::Cluster;
    use crate::cluster::dial::Dialler;
    use crate::config::{self, HostPort};
    use crate::demo::broker::{Broker, Seen, Settings, Step};
    use crate::enforce::Topology;
    use crate::wire::schema::api_versions::response::api_version;
    use crate::wire::schema::describe_configs::response::{self as configs_response, describe_configs_result};
    use std::sync::Arc;
    use std::time::Duration;

    fn feature(name: &str, min: i16, max: i16) -> Feature {
        Feature { name: name.into(), min, max }
    }

    /// An answer that lists these APIs as the broker of the demo serves them, and these features.
    fn versions(features: &Features) -> Node {
        let mut answer = Node::response(ApiKey::API_VERSIONS);
        for key in [ApiKey::METADATA, ApiKey::API_VERSIONS, ApiKey::DESCRIBE_CONFIGS] {
            let ours = crate::wire::api(key).unwrap().versions;
            let row = answer
                .child(response::API_KEYS)
                .with(api_version::API_KEY, key.0)
                .with(api_version::MIN_VERSION, ours.min)
                .with(api_version::MAX_VERSION, ours.max.min(12));
            answer.push(response::API_KEYS, row);
        }
        for told in &features.supported {
            let row = answer
                .child(response::SUPPORTED_FEATURES)
                .with(supported_feature_key::NAME, &*told.name)
                .with(supported_feature_key::MIN_VERSION, told.min)
                .with(supported_feature_key::MAX_VERSION, told.max);
            answer.push(response::SUPPORTED_FEATURES, row);
        }
        for told in &features.finalized {
            let row = answer
                .child(response::FINALIZED_FEATURES)
                .with(finalized_feature_key::NAME, &*told.name)
                .with(finalized_feature_key::MIN_VERSION_LEVEL, told.min)
                .with(finalized_feature_key::MAX_VERSION_LEVEL, told.max);
            answer.push(response::FINALIZED_FEATURES, row);
        }
        answer.with(response::FINALIZED_FEATURES_EPOCH, features.epoch.unwrap_or(-1))
    }

    fn follow(broker: &Broker) -> Cluster {
        let at = HostPort { host: broker.addr().ip().to_string(), port: broker.addr().port() };
        Cluster::start(&config::Cluster::plain("c", vec![at]))
    }

    async fn until(cluster: &Cluster, wanted: impl Fn(&Topology) -> bool) -> Arc<Topology> {
        let mut topology = cluster.follow();
        let seen = tokio::time::timeout(Duration::from_secs(20), topology.wait_for(|t| wanted(t))).await;
        Arc::clone(&seen.expect("it did not come to that").unwrap())
    }

    #[tokio::test]
    async fn the_topology_has_the_features_that_brokers_tell() {
        let told = Features {
            supported: vec![feature("transaction.version", 0, 2), feature("group.version", 0, 1)],
            finalized: vec![feature("transaction.version", 2, 2)],
            epoch: Some(7),
        };
        let answer = versions(&told);
        let script = move |seen: &Seen| match seen.key {
            ApiKey::API_VERSIONS => Step::Answer(answer.clone()),
            _ => Step::Serve,
        };
        let broker = Broker::start(Settings { script: Some(Box::new(script)), ..Settings::default() }).await.unwrap();
        let cluster = follow(&broker);
        let topology = until(&cluster, |t| t.brokers.values().any(|b| !b.versions.is_empty())).await;
        assert_eq!(topology.features, told);
    }

    async fn broker(auto_create: bool, refuses: bool) -> Broker {
        let script = move |seen: &Seen| match seen.key {
            ApiKey::DESCRIBE_CONFIGS if refuses => Step::Answer(refusal()),
            _ => Step::Serve,
        };
        let settings = Settings { auto_create, script: Some(Box::new(script)), ..Settings::default() };
        Broker::start(settings).await.unwrap()
    }

    /// What a broker says to a principal that may not ask.
    fn refusal() -> Node {
        let mut node = Node::response(ApiKey::DESCRIBE_CONFIGS);
        let result = node
            .child(configs_response::RESULTS)
            .with(describe_configs_result::ERROR_CODE, ErrorCode::CLUSTER_AUTHORIZATION_FAILED)
            .with(describe_configs_result::RESOURCE_TYPE, configs::BROKER)
            .with(describe_configs_result::RESOURCE_NAME, "1");
        node.push(configs_response::RESULTS, result);
        node
    }

    #[tokio::test]
    async fn the_topology_tells_that_brokers_create_no_topics() {
        let broker = broker(false, false).await;
        until(&follow(&broker), |t| t.auto_create_off).await;
    }

    #[tokio::test]
    async fn a_broker_that_does_not_tell_creates_topics() {
        for (auto_create, refuses, off) in [(false, false, true), (true, false, false), (false, true, false)] {
            let broker = broker(auto_create, refuses).await;
            let at = HostPort { host: broker.addr().ip().to_string(), port: broker.addr().port() };
            let upstream = Dialler::own(&config::Cluster::plain("c", vec![at.clone()])).dial(&at).await.unwrap();
            let learned = learn(1, Link::new(upstream, Duration::from_secs(20))).await.unwrap();
            assert_eq!(learned.auto_create_off, off, "auto-create {auto_create}, refuses {refuses}");
        }
    }

    #[test]
    fn all_brokers_support_what_is_told_as_supported_and_the_newest_age_is_finalized() {
        let old = Features {
            supported: vec![feature("metadata.version", 1, 7), feature("kraft.version", 0, 0)],
            finalized: vec![feature("metadata.version", 7, 7)],
            epoch: Some(3),
        };
        let new = Features {
            supported: vec![
                feature("metadata.version", 3, 9),
                feature("kraft.version", 1, 1),
                feature("transaction.version", 0, 2),
            ],
            finalized: vec![feature("metadata.version", 6, 6)],
            epoch: Some(4),
        };
        let silent = Features::default();
        for all in [[&old, &new], [&new, &old]] {
            let agreed = agreed(all);
            assert_eq!(agreed.supported, [feature("metadata.version", 3, 7)]);
            assert_eq!((agreed.finalized, agreed.epoch), (new.finalized.clone(), Some(4)));
        }
        let agreed = agreed([&silent, &new]);
        assert_eq!((agreed.supported.len(), agreed.epoch), (0, Some(4)), "an old broker knows no features");
    }
}

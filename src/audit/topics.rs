//! The topics of the audit: made where they are missing, and watched while the proxy runs.

use super::event::Aggregation;
use super::hub::Hub;
use crate::clock::now;
use crate::cluster::Cluster;
use crate::cluster::topic::{Cleanup, MAY_LOSE, TopicError, TopicSpec, ensure, may_lose};
use crate::cluster::trouble::Troubles;
use crate::config;
use crate::model::TopicId;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// The topics of one audit.
pub(super) struct Topics {
    hub: Arc<Hub>,
    cluster: Cluster,
    config: config::Audit,
    troubles: Arc<Troubles>,
    all: Vec<Topic>,
    /// Makes what somebody deleted, and looks at what somebody made: at most one at a time.
    making: JoinSet<()>,
}

struct Topic {
    name: String,
    /// Under which it was seen last, zero before that.
    id: TopicId,
    /// Whether it was not there at the last look.
    missing: bool,
}

impl Topics {
    pub(super) fn new(hub: &Arc<Hub>, cluster: &Cluster, config: &config::Audit, troubles: &Arc<Troubles>) -> Self {
        let topic = |name| Topic { name, id: TopicId::ZERO, missing: false };
        Self {
            hub: Arc::clone(hub),
            cluster: cluster.clone(),
            config: config.clone(),
            troubles: Arc::clone(troubles),
            all: config.topics().into_iter().map(topic).collect(),
            making: JoinSet::new(),
        }
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.all.iter().map(|topic| topic.name.clone()).collect()
    }

    /// Makes sure that the topics exist, and tells the log what is wrong with them.
    pub(super) async fn ready(&mut self) -> Result<(), TopicError> {
        let (cluster, config, troubles) = (&self.cluster, &self.config, &self.troubles);
        for topic in &mut self.all {
            if !make(cluster, config, troubles, &topic.name).await? {
                complain(cluster, config, &topic.name).await;
            }
            topic.id = cluster.topic(&topic.name).await.map_or(TopicId::ZERO, |info| info.id);
        }
        Ok(())
    }

    /// Looks whether they are still there, and still those. What is deleted is made anew, as at a start: without the topic
    /// everybody stands still, and what it held is gone either way.
    pub(super) fn look(&mut self) {
        while self.making.try_join_next().is_some() {}
        // What is known of the cluster may be old.
        if self.cluster.trouble().is_some() {
            return;
        }
        let topology = self.cluster.topology();
        let (mut missing, mut another) = (None, None);
        for topic in &mut self.all {
            let name = &topic.name;
            let Some(id) = topology.ids.get(name.as_str()).copied() else {
                // Or it was made just now, and is in no answer yet.
                topic.missing = true;
                missing = Some(name.clone());
                continue;
            };
            // Who was about to make it may yet tell that it could not.
            if topic.missing && self.making.is_empty() {
                topic.missing = false;
                self.troubles.end(&subject(name));
            }
            let before = std::mem::replace(&mut topic.id, id);
            if before != id && !before.is_zero() && !id.is_zero() {
                let what = format!("topic `{name}` was deleted and made anew: what it held is gone");
                tracing::error!(topic = %name, was = %before, is = %id, "{what}; look who deleted it");
                let detail = format!("{what}; its id was `{before}`, and is `{id}`");
                self.hub.tell("gap", &detail, Aggregation::one(now()));
                another = Some(name.clone());
            }
        }
        if let Some(name) = missing.filter(|_| self.making.is_empty()) {
            let (cluster, config, troubles) = (self.cluster.clone(), self.config.clone(), Arc::clone(&self.troubles));
            self.making.spawn(async move { drop(make(&cluster, &config, &troubles, &name).await) });
        }
        if let Some(name) = another {
            let (cluster, config) = (self.cluster.clone(), self.config.clone());
            self.making.spawn(async move { complain(&cluster, &config, &name).await });
        }
    }
}

/// As troubles of it are told.
fn subject(name: &str) -> String {
    format!("topic {name}")
}

/// Makes sure that a topic is there; tells whether it was made now.
async fn make(cluster: &Cluster, config: &config::Audit, troubles: &Troubles, name: &str) -> Result<bool, TopicError> {
    let subject = subject(name);
    let made = ensure(cluster, &spec(config, name), |why| troubles.begin(&subject, why)).await;
    match &made {
        Ok(_) => troubles.end(&subject),
        Err(error) => troubles.begin(&subject, &error.to_string()),
    }
    made
}

fn spec(config: &config::Audit, name: &str) -> TopicSpec {
    TopicSpec {
        name: name.to_owned(),
        create: config.create,
        partitions: config.partitions,
        replication_factor: config.replication_factor,
        cleanup: Cleanup::Delete { retention: config.retention },
    }
}

/// What is wrong with a topic of the audit.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Complaints {
    /// Evidence is lost.
    pub faults: Vec<String>,
    /// Evidence can be lost.
    pub warnings: Vec<String>,
    /// What may well be meant.
    pub remarks: Vec<String>,
}

/// Looks at the configuration of a topic that exists, as far as the brokers tell.
pub async fn complaints(cluster: &Cluster, audit: &config::Audit, name: &str) -> Complaints {
    let keys = [&["cleanup.policy", "retention.ms", "retention.bytes"][..], &MAY_LOSE[..]].concat();
    let Some(configs) = cluster.topic_configs(name, &keys).await else { return Complaints::default() };
    let partitions = cluster.topic(name).await.map(|info| info.partitions).unwrap_or_default();
    judge(&configs, partitions.iter().map(|p| p.replicas).min().unwrap_or(1), audit.retention)
}

fn judge(configs: &[(String, String)], replicas: usize, retention: Option<Duration>) -> Complaints {
    let of = |key: &str| configs.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str());
    let mut all = Complaints { warnings: may_lose(configs, replicas), ..Complaints::default() };
    if let Some(policy) = of("cleanup.policy").filter(|policy| policy.contains("compact")) {
        all.faults.push(format!(
            "its `cleanup.policy` is `{policy}`: of each principal the last event alone would stay; set it to `delete`"
        ));
    }
    let limit = |key| of(key).and_then(|text| text.parse::<i64>().ok()).filter(|limit| *limit >= 0);
    if let Some(stays) = limit("retention.ms") {
        let wanted = retention.map(|time| i64::try_from(time.as_millis()).unwrap_or(i64::MAX));
        if wanted.is_none_or(|wanted| stays < wanted) {
            let wanted = wanted.map_or_else(|| "null".to_owned(), |wanted| format!("{wanted} ms"));
            all.remarks.push(format!(
                "its `retention.ms` is `{stays}`: `audit.retention` is {wanted}, and counts only where the proxy makes the topic"
            ));
        }
    }
    if let Some(bytes) = limit("retention.bytes") {
        all.remarks.push(format!(
            "its `retention.bytes` is `{bytes}`: whoever causes many events makes older ones go; set it to -1"
        ));
    }
    all
}

/// Tells the log what is wrong with a topic.
async fn complain(cluster: &Cluster, audit: &config::Audit, name: &str) {
    let Complaints { faults, warnings, remarks } = complaints(cluster, audit, name).await;
    faults.iter().for_each(|fault| tracing::error!(topic = name, "the audit topic loses events: {fault}"));
    warnings.iter().for_each(|warning| tracing::warn!(topic = name, "the audit topic can lose events: {warning}"));
    remarks.iter().for_each(|remark| tracing::info!(topic = name, "the audit topic: {remark}"));
}

#[cfg(test)]
mod tests {
    use super::super::hub::Audit;
    use super::super::origin::Origin;
    use super::*;
    use crate::config::HostPort;
    use crate::demo::broker::{Broker, Settings};
    use crate::telemetry::Metrics;
    use tokio::sync::Notify;

    #[tokio::test]
    async fn what_could_not_make_a_topic_that_somebody_else_made_meanwhile_is_no_trouble_for_ever() {
        let broker = Broker::start(Settings::default()).await.unwrap();
        let at = HostPort { host: broker.addr().ip().to_string(), port: broker.addr().port() };
        let cluster = Cluster::start(&config::Cluster::plain("c", vec![at]));
        let audit = config::Audit::default();
        let (hub, _events) = Audit::new(&audit, Origin::new("c", "i", now(), 1), Arc::new(Metrics::new().unwrap()));
        let troubles = Arc::new(Troubles::default());
        let mut topics = Topics::new(&hub.hub, &cluster, &audit, &troubles);
        topics.ready().await.unwrap();
        cluster.want(Vec::new()).await;
        assert!(cluster.topology().ids.contains_key("kordon.audit"), "another has made it");
        let (refused, told) = (Arc::new(Notify::new()), Arc::clone(&troubles));
        let refusal = Arc::clone(&refused);
        topics.all.iter_mut().for_each(|topic| topic.missing = true);
        topics.making.spawn(async move {
            refusal.notified().await;
            told.begin(&subject("kordon.audit"), "refused");
        });
        topics.look();
        refused.notify_one();
        while !topics.making.is_empty() {
            topics.making.join_next().await.unwrap().unwrap();
        }
        assert_eq!(troubles.words().len(), 1);
        topics.look();
        assert_eq!(troubles.words(), [""; 0]);
    }

    fn complained(pairs: &[(&str, &str)], replicas: usize, retention: Option<u64>) -> [usize; 3] {
        let owned: Vec<_> = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let all = judge(&owned, replicas, retention.map(Duration::from_secs));
        [all.faults.len(), all.warnings.len(), all.remarks.len()]
    }

    #[test]
    fn what_loses_events_is_complained_of_and_what_the_proxy_makes_is_not() {
        let ours = [
            ("cleanup.policy", "delete"),
            ("retention.ms", "1000"),
            ("retention.bytes", "-1"),
            ("min.insync.replicas", "2"),
            ("unclean.leader.election.enable", "false"),
        ];
        assert_eq!(complained(&ours, 3, Some(1)), [0; 3]);
        assert_eq!(complained(&ours, 3, Some(2)), [0, 0, 1], "gone sooner");
        assert_eq!(complained(&ours, 3, None), [0, 0, 1], "never to go");
        assert_eq!(complained(&[], 3, Some(1)), [0; 3], "brokers may keep it to themselves");
        for policy in ["compact", "compact,delete"] {
            assert_eq!(complained(&[("cleanup.policy", policy)], 3, Some(1)), [1, 0, 0]);
        }
        assert_eq!(complained(&[("unclean.leader.election.enable", "true")], 3, Some(1)), [0, 1, 0]);
        assert_eq!(complained(&[("retention.bytes", "1000000")], 3, Some(1)), [0, 0, 1]);
        for (insync, replicas, count) in [("1", 1, 0), ("1", 2, 0), ("1", 3, 1), ("2", 4, 0)] {
            let all = complained(&[("min.insync.replicas", insync)], replicas, Some(1));
            assert_eq!(all, [0, count, 0], "{insync} of {replicas}");
        }
    }
}

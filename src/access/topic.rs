//! The state topic as the brokers describe it: how it is made, where it is, and what is wrong with it before a record of it
//! is read.

use super::record::{self, Encoded, Genesis};
use super::remote::Place;
use super::shared::Halt;
use crate::clock::now;
use crate::cluster::batch::{Builder, Record, Stamp};
use crate::cluster::topic::{Cleanup, MAY_LOSE, TopicSpec, may_lose};
use crate::cluster::{Cluster, TopicInfo};
use crate::config;
use crate::model::TopicId;
use std::time::Duration;

/// `delete.retention.ms` of a topic that this proxy makes: how long whoever reads from the start finds tombstones.
const TOMBSTONES: Duration = Duration::from_secs(7 * 86_400);
/// Kafka's default of it, where it cannot be asked for.
const DEFAULT_TOMBSTONES: Duration = Duration::from_secs(86_400);
/// With less, who follows would read the topic again and again, and never know that it saw every end: the end of the topic
/// is confirmed every half second, and half of the time is for reading.
const LEAST_TOMBSTONES: Duration = Duration::from_secs(10);
/// The largest change: 10,000 ACLs of the usual size and twice as much again.
pub(super) const BATCH: u32 = 16 << 20;
/// Of records that need no numbers: writing them twice does no harm.
pub(super) const UNNUMBERED: Stamp = Stamp { producer: -1, epoch: -1, sequence: -1 };

/// The topic as this proxy makes it.
pub(super) fn spec(config: &config::State) -> TopicSpec {
    TopicSpec {
        name: config.topic.clone(),
        create: config.create,
        partitions: 1,
        replication_factor: config.replication_factor,
        cleanup: Cleanup::Compact { tombstones: TOMBSTONES, batch: BATCH },
    }
}

/// The record that says which topic this is, as a batch.
pub(super) fn genesis(id: TopicId, config: &config::Config) -> Vec<u8> {
    let (cluster, instance, at) = (config.cluster.name.clone(), config.instance.clone(), now().to_string());
    let record = record::genesis(Genesis { id: id.to_string(), cluster, instance, at });
    batch(&[record], UNNUMBERED)
}

/// Records, to be written as a whole.
pub(super) fn batch(records: &[Encoded], stamp: Stamp) -> Vec<u8> {
    let (mut batch, timestamp) = (Builder::default(), now().0);
    for Encoded { key, value } in records {
        batch.push(Record { timestamp, key: Some(key), value: Some(value), headers: &[] });
    }
    batch.finish(stamp)
}

/// Where the only partition of a topic is.
pub(super) fn place_of(cluster: &Cluster, name: &str, info: &TopicInfo) -> Result<Place, Halt> {
    let partition = info.partitions.first();
    let Some((leader, epoch)) = partition.and_then(|p| Some((p.leader?, p.epoch))) else {
        return Err(Halt::passing("its partition has no leader"));
    };
    let topology = cluster.topology();
    let Some(broker) = topology.brokers.get(&leader) else {
        return Err(Halt::passing(format!("its leader, broker {leader}, is not known yet")));
    };
    Ok(Place { topic: name.to_owned(), id: info.id, leader, epoch, address: broker.into() })
}

/// Why a topic with this id and so many partitions cannot be the one; `genesis`: the id that it should have.
pub(super) fn faults(id: TopicId, partitions: usize, genesis: Option<&str>) -> Vec<String> {
    let mut faults = Vec::new();
    if id.is_zero() {
        faults.push("the brokers tell no topic ids: brokers of Kafka 2.8 or newer are needed".to_owned());
    }
    if let Some(wanted) = genesis.filter(|wanted| *wanted != id.to_string()) {
        faults.push(format!(
            "its id is `{id}`, `state.genesis` is `{wanted}`: this is another topic, or it was made anew"
        ));
    }
    if partitions != 1 {
        faults.push(format!("it has {partitions} partitions: only in one have its records an order"));
    }
    faults
}

/// What the topic is configured with, as far as the brokers tell.
#[derive(Clone, Debug, Default)]
pub(super) struct Configuration(Vec<(String, String)>);

impl Configuration {
    /// Asks for it.
    pub(super) async fn ask(cluster: &Cluster, topic: &str) -> Self {
        let keys = [&["cleanup.policy", "delete.retention.ms", "message.timestamp.type"][..], &MAY_LOSE[..]].concat();
        Self(cluster.topic_configs(topic, &keys).await.unwrap_or_default())
    }

    fn of(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// How long tombstones stay.
    pub(super) fn tombstones(&self) -> Duration {
        let millis = self.of("delete.retention.ms").and_then(|text| text.parse().ok());
        millis.map_or(DEFAULT_TOMBSTONES, Duration::from_millis)
    }

    /// What is not as it should be, and loses nothing by itself.
    pub(super) fn warnings(&self, replicas: usize) -> Vec<String> {
        let mut warnings = may_lose(&self.0, replicas);
        // Which clock is right is not up to whoever writes (threat 34).
        if let Some(clock) = self.of("message.timestamp.type").filter(|clock| *clock != "LogAppendTime") {
            warnings.push(format!(
                "its `message.timestamp.type` is `{clock}`: its records bear the clocks of who wrote them; set it to `LogAppendTime`"
            ));
        }
        warnings
    }

    /// Why a topic so configured would lose denies.
    pub(super) fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if let Some(policy) = self.of("cleanup.policy").filter(|policy| *policy != "compact") {
            faults.push(format!("its `cleanup.policy` is `{policy}`: old ACLs would be lost; set it to `compact`"));
        }
        let (stay, least) = (self.tombstones().as_millis(), LEAST_TOMBSTONES.as_millis());
        if stay < least {
            let made = TOMBSTONES.as_millis();
            faults.push(format!(
                "its `delete.retention.ms` is `{stay}`: what has ended would be gone before it is read; set it to {least} at \
                 the least, better to {made}"
            ));
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_of_a_topic_is_told() {
        let id = TopicId([7; 16]);
        assert_eq!(faults(id, 1, Some(&id.to_string())), [""; 0]);
        assert_eq!(faults(TopicId::ZERO, 2, Some("a")).len(), 3, "brokers too old, another topic, without an order");
        let with = |pairs: &[(&str, &str)]| {
            let owned = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
            Configuration(owned.collect())
        };
        assert_eq!(Configuration::default().faults(), [""; 0], "brokers may keep it to themselves");
        assert_eq!(with(&[("cleanup.policy", "compact"), ("delete.retention.ms", "10000")]).faults(), [""; 0]);
        let faults = with(&[("cleanup.policy", "compact,delete"), ("delete.retention.ms", "9999")]).faults();
        let policy = "its `cleanup.policy` is `compact,delete`: old ACLs would be lost; set it to `compact`";
        let stay = "its `delete.retention.ms` is `9999`: what has ended would be gone before it is read; set it to 10000 at the \
                    least, better to 604800000";
        assert_eq!(faults, [policy, stay]);
        let safe = [
            ("message.timestamp.type", "LogAppendTime"),
            ("min.insync.replicas", "2"),
            ("unclean.leader.election.enable", "false"),
        ];
        assert_eq!(with(&safe).warnings(3), [""; 0]);
        assert_eq!(Configuration::default().warnings(3), [""; 0]);
        let unsafe_ = [
            ("message.timestamp.type", "CreateTime"),
            ("min.insync.replicas", "1"),
            ("unclean.leader.election.enable", "true"),
        ];
        assert_eq!((with(&unsafe_).warnings(3).len(), with(&unsafe_).warnings(2).len()), (3, 2));
        let clock = with(&unsafe_[..1]).warnings(1);
        let told = "its `message.timestamp.type` is `CreateTime`: its records bear the clocks of who wrote them; set it to \
                    `LogAppendTime`";
        assert_eq!(clock, [told], "threat 34");
    }
}

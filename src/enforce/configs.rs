//! Which broker configs are for whom, and which of their values are addresses.
//!
//! A broker config can undo everything that a proxy is for: one request with `listeners` opens an unauthenticated port
//! on the broker (threat 3). So whoever may change broker configs by `clusters.update` (`BrokerConfigsWrite`) or as an
//! operator may change the names of [`SAFE`]; the rest is for super users, unknown names included. The names are those of
//! `DynamicBrokerConfig.ALL_DYNAMIC_CONFIGS`, Kafka 4.3; a broker refuses to change any other.

/// A broker config and the reason for the list it stands in.
pub type Reasoned = (&'static str, &'static str);

const RESOURCES: &str = "how much memory, disk or time the broker uses";
const LOGS: &str = "a default for topics, which may set their own; the proxy sets its own on its topics";
const REPLICATION: &str = "how fast replicas are copied and moved";
const GROUPS: &str = "how group coordinators work";

/// What `BrokerConfigsWrite` and operators may change.
pub const SAFE: &[Reasoned] = &[
    ("background.threads", RESOURCES),
    ("compression.gzip.level", LOGS),
    ("compression.lz4.level", LOGS),
    ("compression.type", LOGS),
    ("compression.zstd.level", LOGS),
    ("cordoned.log.dirs", "which directories take no new replicas"),
    ("follower.fetch.last.tiered.offset.enable", REPLICATION),
    ("follower.replication.throttled.rate", REPLICATION),
    ("group.consumer.assignment.interval.ms", GROUPS),
    ("group.coordinator.cached.buffer.max.bytes", GROUPS),
    ("group.share.assignment.interval.ms", GROUPS),
    ("group.streams.assignment.interval.ms", GROUPS),
    ("leader.replication.throttled.rate", REPLICATION),
    ("log.cleaner.backoff.ms", RESOURCES),
    ("log.cleaner.dedupe.buffer.size", RESOURCES),
    ("log.cleaner.delete.retention.ms", LOGS),
    ("log.cleaner.io.buffer.load.factor", RESOURCES),
    ("log.cleaner.io.buffer.size", RESOURCES),
    ("log.cleaner.io.max.bytes.per.second", RESOURCES),
    ("log.cleaner.max.compaction.lag.ms", LOGS),
    ("log.cleaner.min.cleanable.ratio", LOGS),
    ("log.cleaner.min.compaction.lag.ms", LOGS),
    ("log.cleaner.threads", RESOURCES),
    ("log.cleanup.policy", LOGS),
    ("log.flush.interval.messages", LOGS),
    ("log.flush.interval.ms", LOGS),
    ("log.index.interval.bytes", LOGS),
    ("log.index.size.max.bytes", LOGS),
    ("log.local.retention.bytes", LOGS),
    ("log.local.retention.ms", LOGS),
    ("log.preallocate", LOGS),
    ("log.retention.bytes", LOGS),
    ("log.retention.ms", LOGS),
    ("log.roll.jitter.ms", LOGS),
    ("log.roll.ms", LOGS),
    ("log.segment.bytes", LOGS),
    ("log.segment.delete.delay.ms", LOGS),
    ("min.insync.replicas", LOGS),
    ("num.io.threads", RESOURCES),
    ("num.network.threads", RESOURCES),
    ("num.recovery.threads.per.data.dir", RESOURCES),
    ("num.replica.fetchers", REPLICATION),
    ("producer.id.expiration.ms", RESOURCES),
    ("remote.fetch.max.wait.ms", RESOURCES),
    ("remote.list.offsets.request.timeout.ms", RESOURCES),
    ("remote.log.index.file.cache.total.size.bytes", RESOURCES),
    ("remote.log.manager.copier.thread.pool.size", RESOURCES),
    ("remote.log.manager.copy.max.bytes.per.second", RESOURCES),
    ("remote.log.manager.expiration.thread.pool.size", RESOURCES),
    ("remote.log.manager.fetch.max.bytes.per.second", RESOURCES),
    ("remote.log.manager.follower.thread.pool.size", RESOURCES),
    ("remote.log.reader.threads", RESOURCES),
    ("replica.alter.log.dirs.io.max.bytes.per.second", REPLICATION),
    ("share.coordinator.cached.buffer.max.bytes", GROUPS),
    ("transaction.partition.verification.enable", "how produce requests of transactions are checked by the broker"),
    ("unclean.leader.election.enable", LOGS),
];

const STARVES: &str = "stops the proxy's own connections: to the broker, all clients come from its addresses";
const BLOCKS_AUDIT: &str = "can make brokers refuse the audit's records";
const LOADS_CODE: &str = "loads a class into the broker";
const OPENS: &str = "opens ports, or changes who is believed on them";

/// What only super users may change, although a broker can change it while it runs. Names that begin as
/// [`FOR_SUPER_USERS_PREFIXES`] do belong here too.
pub const FOR_SUPER_USERS: &[Reasoned] = &[
    ("advertised.listeners", OPENS),
    ("config.providers", LOADS_CODE),
    ("connections.max.reauth.ms", OPENS),
    ("listener.security.protocol.map", OPENS),
    ("listeners", OPENS),
    ("log.message.timestamp.after.max.ms", BLOCKS_AUDIT),
    ("log.message.timestamp.before.max.ms", BLOCKS_AUDIT),
    ("log.message.timestamp.type", "changes the time that the audit's records are kept under"),
    ("max.connection.creation.rate", STARVES),
    ("max.connections", STARVES),
    ("max.connections.per.ip", STARVES),
    ("max.connections.per.ip.overrides", STARVES),
    ("message.max.bytes", BLOCKS_AUDIT),
    ("metric.reporters", LOADS_CODE),
    ("principal.builder.class", LOADS_CODE),
];

/// Beginnings of names that only super users may change.
pub const FOR_SUPER_USERS_PREFIXES: &[Reasoned] = &[("listener.name.", OPENS), ("sasl.", OPENS), ("ssl.", OPENS)];

/// Whether whoever may change broker configs, but is no super user, may change this one.
pub(super) fn is_safe(name: &str) -> bool {
    SAFE.binary_search_by(|(safe, _)| (*safe).cmp(name)).is_ok()
}

/// Whether the value of a broker config shows where brokers or controllers are reached. Clients learn only addresses of
/// the proxy (architecture 8).
pub(super) fn is_address(name: &str) -> bool {
    let whole = matches!(name, "listeners" | "zookeeper.connect" | "controller.quorum.voters" | "host.name" | "port");
    whole
        || name.starts_with("advertised.")
        || name.starts_with("controller.quorum.bootstrap.")
        || name.ends_with(".listeners")
        || name.ends_with("bootstrap.servers")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dynamic_config_of_kafka_4_3_is_in_one_list() {
        // The keys of `DynamicBrokerConfig.dynamicConfigUpdateModes()`, Kafka 4.3.1.
        let dynamic = include_str!("configs/dynamic-4.3.txt");
        for name in dynamic.lines() {
            let kept = FOR_SUPER_USERS.iter().any(|(own, _)| *own == name)
                || FOR_SUPER_USERS_PREFIXES.iter().any(|(start, _)| name.starts_with(start));
            assert!(is_safe(name) != kept, "`{name}` must stand in exactly one list");
        }
        let known = |name: &str| dynamic.lines().any(|line| line == name);
        assert!(SAFE.iter().all(|(name, _)| known(name)));
    }

    #[test]
    fn lists_are_sorted_and_give_reasons() {
        for list in [SAFE, FOR_SUPER_USERS] {
            assert!(list.is_sorted() && list.iter().all(|(_, reason)| !reason.is_empty()));
        }
    }

    #[test]
    fn threat_03_what_opens_a_port_is_not_safe() {
        for name in [
            "listeners",
            "listener.security.protocol.map",
            "listener.name.evil.ssl.truststore.certificates",
            "ssl.truststore.certificates",
            "sasl.jaas.config",
            "principal.builder.class",
            "metric.reporters",
            "no.such.config",
            "",
        ] {
            assert!(!is_safe(name), "{name}");
        }
    }

    #[test]
    fn addresses_are_known_by_name() {
        for name in [
            "listeners",
            "advertised.listeners",
            "controller.quorum.voters",
            "controller.quorum.bootstrap.servers",
            "rlmm.config.remote.log.metadata.common.client.bootstrap.servers",
        ] {
            assert!(is_address(name), "{name}");
        }
        for name in
            ["listener.security.protocol.map", "log.dirs", "controller.quorum.election.timeout.ms", "broker.rack"]
        {
            assert!(!is_address(name), "{name}");
        }
    }
}

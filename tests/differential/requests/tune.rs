//! Puts right what fields that are filled one by one leave wrong: what belongs together, and what would end the world.

use kordon::model::TopicId;
use kordon::wire::schema::{
    alter_client_quotas, alter_configs, consumer_group_heartbeat, create_delegation_token, delete_topics,
    describe_configs, describe_quorum, describe_topic_partitions, describe_user_scram_credentials, fetch,
    find_coordinator, incremental_alter_configs, init_producer_id, join_group, metadata, produce, update_features,
};
use kordon::wire::{ApiKey, Node, Value};

use super::Maker;

impl Maker<'_> {
    /// The request, put right.
    pub(super) fn tune(&mut self, mut request: Node) -> Node {
        match self.key {
            ApiKey::METADATA => self.metadata(&mut request),
            ApiKey::FETCH => self.fetch(&mut request),
            ApiKey::PRODUCE => self.produce(&mut request),
            ApiKey::FIND_COORDINATOR => self.find_coordinator(&mut request),
            ApiKey::DELETE_TOPICS => self.delete_topics(&mut request),
            ApiKey::DESCRIBE_CONFIGS => self.describe_configs(&mut request),
            ApiKey::ALTER_CONFIGS | ApiKey::INCREMENTAL_ALTER_CONFIGS => self.alter_configs(&mut request),
            ApiKey::INIT_PRODUCER_ID => self.init_producer_id(&mut request),
            ApiKey::JOIN_GROUP => {
                // Another member would wait this long for one that never comes back.
                request.set(join_group::request::REBALANCE_TIMEOUT_MS, 300);
            }
            ApiKey::CREATE_DELEGATION_TOKEN => {
                use create_delegation_token::request::{OWNER_PRINCIPAL_NAME, OWNER_PRINCIPAL_TYPE};
                if request.is_null(OWNER_PRINCIPAL_TYPE) != request.is_null(OWNER_PRINCIPAL_NAME) {
                    request.set(OWNER_PRINCIPAL_TYPE, Value::Null);
                    request.set(OWNER_PRINCIPAL_NAME, Value::Null);
                }
            }
            ApiKey::DESCRIBE_USER_SCRAM_CREDENTIALS => {
                use describe_user_scram_credentials::request::USERS;
                // Denied, a broker never answers it: that is waited for seldom.
                if request.is_null(USERS) && self.rng.chance(85) {
                    request.set(USERS, Value::Nodes(Vec::new()));
                }
            }
            ApiKey::ALTER_CLIENT_QUOTAS => {
                use alter_client_quotas::request::{ENTRIES, VALIDATE_ONLY, entity_data as e, entry_data as n};
                let default = |entry: &Node| entry.nodes(n::ENTITY).iter().any(|entity| entity.is_null(e::ENTITY_NAME));
                if request.nodes(ENTRIES).iter().any(default) {
                    // The proxy refuses those: what a broker does with them would be seen ever after.
                    request.set(VALIDATE_ONLY, true);
                }
            }
            ApiKey::CONSUMER_GROUP_HEARTBEAT => {
                use consumer_group_heartbeat::request::{MEMBER_ID, SUBSCRIBED_TOPIC_REGEX};
                if !request.is_null(SUBSCRIBED_TOPIC_REGEX) {
                    // The proxy refuses it: a broker must not have a member of it ever after.
                    request.set(MEMBER_ID, "");
                }
            }
            ApiKey::DESCRIBE_QUORUM => {
                use describe_quorum::request::{TOPICS, topic_data as t};
                for topic in request.nodes_mut(TOPICS) {
                    if self.rng.chance(80) {
                        topic.set(t::TOPIC_NAME, "__cluster_metadata");
                    }
                }
            }
            ApiKey::UPDATE_FEATURES => {
                use update_features::request::{FEATURE_UPDATES, VALIDATE_ONLY, feature_update_key as f};
                request.set(VALIDATE_ONLY, true);
                if self.version == 0 {
                    // There is no flag yet: nothing that could happen.
                    for update in request.nodes_mut(FEATURE_UPDATES) {
                        update.set(f::FEATURE, "no.such.feature");
                    }
                }
            }
            ApiKey::DESCRIBE_TOPIC_PARTITIONS => {
                use describe_topic_partitions::request::{CURSOR, cursor::PARTITION_INDEX};
                if let Some(cursor) = request.strct_mut(CURSOR) {
                    cursor.set(PARTITION_INDEX, 0);
                }
            }
            _ => {}
        }
        request
    }

    /// From version 10 on a topic has a name, an id, or both; below 12 only the name may be used.
    fn metadata(&mut self, request: &mut Node) {
        use metadata::request::{TOPICS, metadata_request_topic as t};
        if request.is_null(TOPICS) || self.version < 10 {
            return;
        }
        let by_id = self.rng.chance(if self.version < 12 { 8 } else { 45 });
        for topic in request.nodes_mut(TOPICS) {
            if by_id {
                let both = self.rng.chance(12);
                if !both {
                    topic.set(t::NAME, Value::Null);
                }
            } else {
                topic.set(t::TOPIC_ID, TopicId::ZERO);
                if topic.is_null(t::NAME) && self.rng.chance(90) {
                    topic.set(t::NAME, self.topic());
                }
            }
        }
    }

    /// Sessions have their own sequences; here most fetches are without one.
    fn fetch(&mut self, request: &mut Node) {
        use fetch::request::{FORGOTTEN_TOPICS_DATA, SESSION_EPOCH, SESSION_ID};
        let (id, epoch) = self.rng.weighted(&[(80, (0, -1)), (12, (0, 0)), (4, (12_345, 1)), (4, (12_345, -1))]);
        request.set(SESSION_ID, id);
        request.set(SESSION_EPOCH, epoch);
        if self.rng.chance(85) {
            request.set(FORGOTTEN_TOPICS_DATA, Value::Nodes(Vec::new()));
        }
    }

    fn produce(&mut self, request: &mut Node) {
        use produce::request::TRANSACTIONAL_ID;
        if !request.is_null(TRANSACTIONAL_ID) && self.rng.chance(70) {
            let own = self.names.transactions[0].clone();
            request.set(TRANSACTIONAL_ID, own);
        }
    }

    fn find_coordinator(&mut self, request: &mut Node) {
        use find_coordinator::request::{COORDINATOR_KEYS, KEY, KEY_TYPE};
        let kind = request.int(KEY_TYPE);
        let key = |maker: &mut Self| match kind {
            0 => maker.names.group(maker.rng),
            1 => maker.names.transaction(maker.rng),
            _ => {
                let (group, topic) = (maker.names.group(maker.rng), maker.topic_id());
                let id = base64_id(topic);
                maker.rng.pick(&[format!("{group}:{id}:0"), group, format!("{id}:0")])
            }
        };
        let one = key(self);
        request.set(KEY, one);
        let keys: Vec<String> = (0..self.rng.below(4)).map(|_| key(self)).collect();
        request.set(COORDINATOR_KEYS, keys);
    }

    fn delete_topics(&mut self, request: &mut Node) {
        use delete_topics::request::{TOPICS, delete_topic_state as t};
        let (by_id, both) = (self.rng.chance(50), self.rng.chance(4));
        for topic in request.nodes_mut(TOPICS) {
            if by_id && !both {
                topic.set(t::NAME, Value::Null);
            } else if !both {
                topic.set(t::TOPIC_ID, TopicId::ZERO);
            }
        }
    }

    /// A kind of resource and a name that suits it.
    fn resource(&mut self) -> (i8, String) {
        let kind = self.rng.weighted(&[(50, 2i8), (20, 32), (12, 4), (8, 8), (8, 16), (2, 77)]);
        let name = match kind {
            2 => self.topic(),
            32 => self.names.group(self.rng),
            4 | 8 => self.rng.weighted(&[(60, "1"), (15, ""), (15, "9"), (10, "word")]).to_owned(),
            _ => format!("{}metrics", self.names.prefix),
        };
        (kind, name)
    }

    fn describe_configs(&mut self, request: &mut Node) {
        use describe_configs::request::{RESOURCES, describe_configs_resource as r};
        let mut resources = request.take_nodes(RESOURCES);
        for resource in &mut resources {
            let (kind, name) = self.resource();
            resource.set(r::RESOURCE_TYPE, kind);
            resource.set(r::RESOURCE_NAME, name);
            if !resource.is_null(r::CONFIGURATION_KEYS) {
                let some = ["retention.ms", "cleanup.policy", "log.retention.hours", "no.such.config", "interval.ms"];
                let keys: Vec<&str> = (0..self.rng.below(3)).map(|_| self.rng.pick(&some)).collect();
                resource.set(r::CONFIGURATION_KEYS, keys);
            }
        }
        request.set(RESOURCES, Value::Nodes(resources));
    }

    fn alter_configs(&mut self, request: &mut Node) {
        // Both requests have the same shape; only the incremental one says what to do with a value.
        let incremental = self.key == ApiKey::INCREMENTAL_ALTER_CONFIGS;
        let (resources_at, kind_at, name_at, configs_at) = {
            use alter_configs::request as a;
            use incremental_alter_configs::request as i;
            if incremental {
                use i::alter_configs_resource as r;
                (i::RESOURCES, r::RESOURCE_TYPE, r::RESOURCE_NAME, r::CONFIGS)
            } else {
                use a::alter_configs_resource as r;
                (a::RESOURCES, r::RESOURCE_TYPE, r::RESOURCE_NAME, r::CONFIGS)
            }
        };
        let mut resources = request.take_nodes(resources_at);
        for resource in &mut resources {
            let (kind, name) = self.resource();
            resource.set(kind_at, kind);
            resource.set(name_at, name);
            let mut configs = resource.take_nodes(configs_at);
            for config in &mut configs {
                let (key, value) = match kind {
                    2 => self.topic_config(),
                    32 => self.rng.pick(&[
                        ("consumer.session.timeout.ms", "46000"),
                        ("consumer.heartbeat.interval.ms", "6000"),
                        ("share.record.lock.duration.ms", "31000"),
                        ("no.such.config", "1"),
                        ("consumer.session.timeout.ms", "nonsense"),
                    ]),
                    8 => self.rng.pick(&[("kafka.server.KafkaApis", "INFO"), ("kafka.server.KafkaApis", "LOUD")]),
                    16 => self.rng.pick(&[("interval.ms", "60000"), ("metrics", "org."), ("no.such.config", "1")]),
                    _ => self.rng.pick(&[
                        ("log.cleaner.threads", "1"),
                        ("message.max.bytes", "20971520"),
                        ("no.such.config", "1"),
                    ]),
                };
                let def = config.def();
                config.set(def.find("Name").expect("a name"), key);
                config.set(def.find("Value").expect("a value"), value);
                if let Some(operation) = def.find("ConfigOperation") {
                    let what = self.rng.weighted(&[(60, 0i8), (20, 1), (8, 2), (8, 3), (4, 9)]);
                    config.set(operation, what);
                    if what == 1 || self.rng.chance(5) {
                        config.set(def.find("Value").expect("a value"), Value::Null);
                    }
                }
            }
            resource.set(configs_at, Value::Nodes(configs));
        }
        request.set(resources_at, Value::Nodes(resources));
    }

    fn init_producer_id(&mut self, request: &mut Node) {
        use init_producer_id::request::{PRODUCER_EPOCH, PRODUCER_ID};
        if self.rng.chance(60) {
            request.set(PRODUCER_ID, -1i64);
            request.set(PRODUCER_EPOCH, -1i16);
        }
    }
}

fn base64_id(id: TopicId) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(id.0)
}

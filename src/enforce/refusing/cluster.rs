//! DescribeQuorum (API 55), UpdateFeatures (57), UnregisterBroker (64), GetTelemetrySubscriptions (71), PushTelemetry
//! (72), ListConfigResources (74), AddRaftVoter (80), RemoveRaftVoter (81), UnregisterController (94).
//!
//! Source: Kafka 4.1 `KafkaApis`, `ControllerApis`: one check of the cluster, and the whole answer fails with 31. Where
//! Kafka's text is a dump of its request object, this says the error's own.
//!
//! Kafka asks for nothing in telemetry (71, 72), so it has no refusal to imitate there: the error field says 31.

use super::{CLUSTER, Demand, Refusing};
use crate::model::Operation;
use crate::wire::Node;

whole!(DESCRIBE_QUORUM, describe_quorum, Demand::Cluster(Operation::Describe), CLUSTER, text);
whole!(UPDATE_FEATURES, update_features, Demand::Cluster(Operation::Alter), CLUSTER, text);
whole!(UNREGISTER_BROKER, unregister_broker, Demand::Cluster(Operation::Alter), CLUSTER, text);
whole!(GET_TELEMETRY_SUBSCRIPTIONS, get_telemetry_subscriptions, Demand::Cluster(Operation::Describe), CLUSTER);
whole!(PUSH_TELEMETRY, push_telemetry, Demand::Cluster(Operation::Describe), CLUSTER);
whole!(LIST_CONFIG_RESOURCES, list_config_resources, Demand::Cluster(Operation::DescribeConfigs), CLUSTER);
whole!(ADD_RAFT_VOTER, add_raft_voter, Demand::Cluster(Operation::Alter), CLUSTER, text);
whole!(REMOVE_RAFT_VOTER, remove_raft_voter, Demand::Cluster(Operation::Alter), CLUSTER, text);
whole!(UNREGISTER_CONTROLLER, unregister_controller, Demand::Cluster(Operation::Alter), CLUSTER, text);

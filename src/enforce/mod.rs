//! What each API demands, how a denial is answered, and what a broker's answer becomes. Pure.
//!
//! [`table`] is the only list of APIs. A row names its [`rule::Rule`]; a rule asks a [`judge::Judge`] for decisions and
//! gives a [`rule::Verdict`].

mod acls;
mod add_partitions_to_txn;
mod alter_configs;
pub mod api_versions;
mod arguments;
mod asks;
mod assignments;
mod by_cluster;
pub mod configs;
mod consumer_group_heartbeat;
#[cfg(test)]
mod coverage;
mod create_partitions;
mod create_topics;
mod delegation_tokens;
mod delete_records;
mod delete_topics;
pub mod demands;
#[cfg(test)]
mod denials;
mod describe_cluster;
mod describe_configs;
mod describe_producers;
mod describe_quorum;
mod describe_topic_partitions;
mod elect_leaders;
pub mod fetch;
mod find_coordinator;
mod group_delete;
mod group_describe;
mod group_list;
mod init_producer_id;
pub mod judge;
mod list_config_resources;
mod list_offsets;
mod log_dirs;
mod look_up;
mod membership;
pub mod memory;
mod metadata;
mod offset_commit;
mod offset_fetch;
mod offset_for_leader_epoch;
mod offsets;
mod partitions;
mod produce;
pub mod quirks;
mod quotas;
mod reassignments;
pub mod record;
pub mod routes;
mod rows;
pub mod rule;
mod sasl;
mod scram_credentials;
mod scrub;
pub mod share_acknowledge;
mod share_batches;
pub mod share_fetch;
mod share_heartbeat;
mod share_offsets;
mod share_owed;
pub mod share_plan;
pub mod share_session;
mod share_state;
mod split;
mod streams_heartbeat;
pub mod table;
mod telemetry;
#[cfg(test)]
mod testing;
pub mod topology;
mod topology_description;
mod transaction_describe;
mod transactions;
mod write_txn_markers;

pub use api_versions::local_answer;
pub use judge::{Context, Judge};
pub use record::{Category, DurableToken, Names, Record, Recorder, RequestFacts, Trail};
pub use routes::Routes;
pub use rule::{Changing, Complete, Completed, Request, Rule, Then, Verdict};
pub use topology::{Broker, Topology};

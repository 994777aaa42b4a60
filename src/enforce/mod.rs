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
pub mod configs;
mod consumer_group_heartbeat;
#[cfg(test)]
mod coverage;
mod create_partitions;
mod create_topics;
mod delete_records;
mod delete_topics;
pub mod demands;
mod describe_cluster;
mod describe_configs;
mod describe_producers;
mod describe_topic_partitions;
pub mod fetch;
mod find_coordinator;
mod group_delete;
mod group_describe;
mod group_list;
mod init_producer_id;
pub mod judge;
mod list_offsets;
mod membership;
pub mod memory;
mod metadata;
mod offset_commit;
mod offset_fetch;
mod offset_for_leader_epoch;
mod offsets;
mod produce;
pub mod quirks;
pub mod record;
mod refusing;
pub mod routes;
mod rows;
pub mod rule;
mod sasl;
mod split;
pub mod table;
#[cfg(test)]
mod testing;
pub mod topology;
mod transaction_describe;
mod transactions;

pub use api_versions::local_answer;
pub use judge::{Context, Judge};
pub use record::{Category, DurableToken, Names, Record, Recorder, RequestFacts, Trail};
pub use routes::Routes;
pub use rule::{Changing, Complete, Completed, Request, Rule, Then, Verdict};
pub use topology::{Broker, Topology};

//! The audit: every decision becomes an event in a topic, nothing is lost, nobody waits for another's flood.
//!
//! ```text
//! decision ─▶ recorder (one per connection: rules, merge) ─▶ queue (room by bytes) ─▶ sink (seq) ─▶ producer ─▶ topic
//! ```
//!
//! Connections ask for room before they read a request ([`ConnectionRecorder::room`]); the events of a request that
//! was read are always taken. So the queue holds at most its memory and one request more for each connection.

pub mod event;
mod hub;
pub mod json;
pub mod merge;
pub mod names;
pub mod origin;
mod queue;
mod recorder;
pub mod room;
pub mod rules;
#[cfg(test)]
mod schema_check;
mod sink;
mod status;
pub mod topics;

pub use hub::Audit;
pub use recorder::ConnectionRecorder;
pub use room::AuditFull;
pub use sink::Service;
pub use status::{Health, Status};

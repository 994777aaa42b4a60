//! The audit: every decision becomes an event in a topic, nothing is lost, nobody waits for another's flood.

pub mod category;
pub mod event;
pub mod json;
pub mod merge;
pub mod names;
pub mod origin;
pub mod room;
pub mod rules;
#[cfg(test)]
mod schema_check;

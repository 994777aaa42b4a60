//! The layout of every message as static data, and handles for the fields.
//!
//! `schema::produce::request::topic_produce_data::NAME` is the handle of the field `Name` of the struct
//! `TopicProduceData` in a Produce request; `THIS` beside it is the struct, `MESSAGE_DEF` the message.

mod def;
mod entity;
#[rustfmt::skip]
pub(crate) mod generated;

pub use def::{Entity, Field, FieldDef, Initial, Kind, MessageDef, StructDef};
pub use entity::{EntityField, EntityKind, entities};
pub use generated::*;

/// Every message without an API key that has a table: the two headers and the consumer protocol.
pub fn keyless() -> &'static [&'static MessageDef] {
    generated::KEYLESS
}

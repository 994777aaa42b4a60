//! Kafka's wire format: frames, headers, and one codec for every message, driven by tables.
//!
//! The tables in [`schema`] are generated from the definitions that Kafka itself is generated from
//! (`tools/schema`). Two paths use them. [`walk::Scan`] goes once over the bytes of a message, checks everything and
//! copies nothing; [`node`] is the editable tree for messages that must change. A tree is built from a scan, so the
//! two cannot read one frame differently. [`stream`] reads a response that is too large to be held.
//!
//! Strictness: what has two readings is refused (duplicate or descending tags, bytes left over, lengths beyond the
//! frame, bits above 32 in a varint); what has one, Java's, is accepted (overlong varints up to five bytes, any
//! non-zero boolean).

pub mod api;
pub mod error;
pub mod error_code;
pub mod frame;
pub mod header;
pub mod message;
pub mod node;
pub mod proxy_header;
pub mod rope;
pub mod schema;
pub mod stream;
pub mod tail;
pub mod value;
pub mod view;
pub mod walk;

mod cursor;
mod layout;
mod write;

pub use api::{Api, ApiKey, Versions, api, apis};
pub use error::WireError;
pub use error_code::ErrorCode;
pub use node::{Node, decode, encode};
pub use rope::Rope;
pub use schema::Field;
pub use value::{Text, Value};
pub use view::{Items, View};
pub use walk::Scan;

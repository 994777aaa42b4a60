//! Where clients connect: listeners, connections, and how they end.

mod connection;
mod dial;
mod listener;
mod shared;

pub use listener::{BindError, Bound, bind};
pub use shared::{Shared, Times};

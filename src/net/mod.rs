//! Where clients connect: listeners, connections, and how they end.

mod connection;
mod dial;
mod listener;
mod shared;
mod socket;

pub use listener::{BindError, Bound, bind};
pub use shared::{Shared, Times};

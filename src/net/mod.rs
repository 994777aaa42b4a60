//! Where clients connect: listeners, connections, and how they end.

mod connection;
mod dial;
mod listener;
mod login;
mod memory;
mod shared;
mod socket;

pub use listener::{BindError, Bound, bind};
pub use login::{Failures, LoginLimits, checks};
pub use memory::RequestMemory;
pub use shared::{Shared, Times};

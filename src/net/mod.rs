//! Where clients connect: listeners, connections, and how they end.

mod arrival;
mod connection;
mod dial;
mod failures;
mod issuers;
mod listener;
mod login;
mod memory;
mod relay;
mod seats;
mod seldom;
mod shared;
mod socket;

pub use failures::Failures;
pub use issuers::{Issuers, Request};
pub use listener::{BindError, Bound, bind};
pub use login::{LoginLimits, checks};
pub use memory::RequestMemory;
pub use seats::Seats;
pub use seldom::Seldom;
pub use shared::Shared;

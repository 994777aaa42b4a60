//! What each API demands, how a denial is answered, and what a broker's answer becomes. Pure.
//!
//! [`table`] is the only list of APIs. A row names its [`rule::Rule`]; a rule asks a [`judge::Judge`] for decisions and
//! gives a [`rule::Verdict`].

pub mod fetch;
pub mod judge;
mod produce;
pub mod record;
pub mod routes;
pub mod rule;
mod split;
pub mod table;
pub mod topology;

pub use judge::{Context, Judge};
pub use record::{Category, DurableToken, Names, Record, Recorder, RequestFacts, Trail};
pub use routes::Routes;
pub use rule::{Complete, Completed, Request, Rule, Then, Verdict};
pub use topology::{Broker, Topology};

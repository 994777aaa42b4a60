//! One client connection as a state machine without I/O: bytes in, decisions, bytes out.
//!
//! The shell (`net`) reads into [`Machine::from_client`] and [`Machine::from_broker`], says so with an [`Input`], writes
//! what waits in the two outboxes, and does what [`Outputs`] asks for. Requests are judged at the moment they are written
//! to the broker; answers leave in the order of the requests.

mod answer;
mod broker_login;
mod fetch_answer;
mod fetch_stream;
mod follow_up;
mod inflight;
mod login;
mod machine;
mod outbox;
mod relay;
mod renewal;
mod request;
mod room;
mod share_answer;
mod span;
mod spare;

pub use broker_login::{BrokerLoginStep, BrokerLoginTurn};
pub use inflight::Finished;
pub use login::{Answered, Login, LoginStep, LoginVerdict, Mechanisms, Shook};
pub use machine::{Input, Limits, Machine, Now, Outputs, SessionError, World};
pub use outbox::Outbox;
pub use relay::Relaying;
pub use renewal::{Checked, Standing};
pub use request::{Bound, close_reason};

#[cfg(test)]
mod tests;

//! What a connection remembers from one request to the next, so that later ones can be judged.

use super::fetch::FetchSessions;
use super::share_session::ShareSessions;
use super::streams_heartbeat::Topologies;

/// Everything that rules remember of one connection; empty until the first request of such a kind. Every part is bounded.
#[derive(Debug, Default)]
pub struct Memory {
    /// The fetch sessions that this connection saw created.
    pub fetch: FetchSessions,
    /// The share sessions that this connection saw made.
    pub share: ShareSessions,
    /// The members of streams groups whose topology went on.
    pub(super) topologies: Topologies,
}

//! What connections share.

use super::arrival::Names;
use super::failures::Failures;
use super::issuers::Issuers;
use super::login::LoginLimits;
use super::memory::RequestMemory;
use super::seats::{ByAddress, Seats};
use super::seldom::Seldom;
use crate::access::Access;
use crate::audit::Audit;
use crate::clock::now;
use crate::cluster::Cluster;
use crate::cluster::dial::Dialler;
use crate::config::Identity;
use crate::identity::certificate::Mapping;
use crate::model::Timestamp;
use crate::session::{Limits, Now, World};
use crate::telemetry::{ListenerMetrics, Metrics};
use crate::tls::Acceptor;
use ipnet::IpNet;
use std::collections::HashSet;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, watch};

/// What all connections of the process share.
pub struct Shared {
    /// Knows the cluster.
    pub cluster: Cluster,
    /// Changes ACLs, and knows whether new connections may be judged.
    pub access: Access,
    /// This replica's name.
    pub instance: Arc<str>,
    /// Where decisions go.
    pub audit: Audit,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// `true` once the process is stopping.
    pub drain: watch::Receiver<bool>,
    /// When the process started: durations are counted from here.
    pub started: Instant,
    /// The places of client connections.
    pub seats: Arc<Seats>,
    /// What large requests may take in all.
    pub memory: RequestMemory,
    /// How certificates name clients.
    pub names: Arc<Mapping>,
    /// Whose tokens are taken.
    pub issuers: Arc<Issuers>,
    /// How often logins failed lately.
    pub failures: Failures,
    /// What the log tells of brokers that cannot be dialled.
    pub undialled: Seldom,
    /// What it tells of the connections that end for that.
    pub unserved: Seldom,
    /// How many passwords are checked at once.
    pub checks: Arc<Semaphore>,
    /// The latest wall clock time that anybody was told, in milliseconds since 1970.
    pub latest: AtomicI64,
    /// Numbers sessions.
    pub sessions: AtomicU64,
}

impl Shared {
    /// The time, on both clocks.
    pub fn now(&self) -> Now {
        let micros = u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX);
        Now { wall: never_back(&self.latest, now()), micros }
    }
}

/// The wall clock, but never earlier than the latest that was told before: a right that ended does not come back with a clock
/// that is set back (threat 34).
fn never_back(latest: &AtomicI64, wall: Timestamp) -> Timestamp {
    // A read first: the latest time is written by whoever meets it first, once a millisecond.
    if wall.0 > latest.load(Ordering::Relaxed) {
        latest.fetch_max(wall.0, Ordering::Relaxed);
        return wall;
    }
    Timestamp(latest.load(Ordering::Relaxed))
}

/// Ends once the process drains.
pub(super) async fn drained(drain: &mut watch::Receiver<bool>) {
    while !*drain.borrow_and_update() {
        if drain.changed().await.is_err() {
            return;
        }
    }
}

/// What the connections of one listener share.
pub(super) struct Door {
    /// The listener's name.
    pub(super) name: Arc<str>,
    /// How its clients are named.
    pub(super) identity: Identity,
    /// Whether super users and operators count here.
    pub(super) super_users: bool,
    /// Dials brokers for its clients.
    pub(super) dialler: Dialler,
    /// The number of its places.
    pub(super) room: usize,
    /// What counts by address here.
    pub(super) by_address: Arc<ByAddress>,
    /// What the log tells of clients that nobody knows.
    pub(super) strangers: Seldom,
    /// TLS with its clients.
    pub(super) tls: Option<Arc<Acceptor>>,
    /// From where connections come with a PROXY header; empty = from anywhere, without.
    pub(super) balancers: Vec<IpNet>,
    /// The names of its brokers, where they have names and no ports.
    pub(super) names: Option<Names>,
    /// How long a handshake may take.
    pub(super) handshake: Duration,
    /// How long a login holds at the most; `None` = for ever.
    pub(super) max_session: Option<Duration>,
    /// What connections are judged by, as it changes.
    pub(super) worlds: watch::Receiver<World>,
    /// Bounds.
    pub(super) limits: Limits,
    /// Patience.
    pub(super) times: Times,
    /// What a login may cost.
    pub(super) login: LoginLimits,
    /// Counts.
    pub(super) metrics: ListenerMetrics,
    /// Brokers that were found to have no address here.
    pub(super) unmapped: Mutex<HashSet<i32>>,
}

impl Door {
    /// Whether clients log in at the brokers by themselves.
    pub(super) fn relays(&self) -> bool {
        matches!(self.identity, Identity::PassThrough(_))
    }

    /// A broker was left out of an answer because the listener has no address for it: said once for each.
    pub(super) fn left_out(&self, node: i32) {
        self.metrics.unmapped.inc();
        if self.unmapped.lock().unwrap_or_else(PoisonError::into_inner).insert(node) {
            let listener = &*self.name;
            tracing::warn!(
                listener,
                broker = node,
                "broker left out of answers: widen `listeners[].brokers` to reach it"
            );
        }
    }
}

/// How long a connection may do nothing.
#[derive(Copy, Clone, Debug)]
pub(super) struct Times {
    /// A begun frame without a new byte.
    pub(super) frame: Duration,
    /// No request and none unanswered.
    pub(super) idle: Duration,
    /// From a stop on, what is unanswered (`shutdown.drain`).
    pub(super) drain: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threat_34_a_clock_that_is_set_back_brings_no_ended_right_back() {
        let latest = AtomicI64::new(0);
        let told = [5, 7, 3, 7, 6, 8].map(|wall| never_back(&latest, Timestamp(wall)).0);
        assert_eq!(told, [5, 7, 7, 7, 7, 8]);
    }
}

//! ACLs that clients make over the protocol: kept, followed, in force.
//!
//! ```text
//! change ─▶ writer: end confirmed, decided, written (acks=all) ─▶ state topic ─┐
//!    └── answered when it is in force here                                     │
//! policy in force ◀─ enforce: the newest ◀─ fold: believed or not ◀─ follower ◀┘   (every proxy)
//! ```
//!
//! The topic is the order, the state a fold over it ([`Fold`]). An empty, other or damaged topic is never "no denies": what
//! was in force stays, changes are refused, health says why.

mod asked;
mod brokers;
mod fold;
mod follower;
mod init;
mod plan;
pub mod record;
mod remote;
mod shared;
#[cfg(test)]
mod tests;
mod topic;
mod writer;

pub use brokers::strangers;
pub use fold::{Fold, Made, Unreadable};
pub use init::{InitError, Look, init, look};
pub use record::ChangeBy;

use crate::cluster::Cluster;
use crate::config::{Config, ProtocolAcls};
use crate::policy::{AclChange, AclChanged, AclSet, ChangeRefused};
use crate::telemetry::Metrics;
use crate::wire::ErrorCode;
use brokers::Brokers;
use follower::Follower;
use shared::Shared;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;
use writer::Writer;

/// How often the gauge of the staleness is set, and looked whether connections may be admitted.
const LOOK: Duration = Duration::from_millis(250);

/// Puts ACLs in force.
pub trait InForce: Send + Sync + 'static {
    /// Returns when every request that is judged from now on is judged by them; `false`: that failed, and what was in
    /// force still is. `made`: what came and went, if that is known.
    fn put(&self, acls: AclSet, made: Vec<Made>) -> Pin<Box<dyn Future<Output = bool> + Send + '_>>;
}

/// The ACLs made over the protocol: how to change them, and how they are. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Access {
    mode: Arc<Mode>,
}

#[derive(Debug)]
enum Mode {
    Disabled,
    State(Arc<Shared>, Box<Writer>),
    Cluster(Arc<Shared>, Arc<Brokers>),
}

impl Access {
    /// Begins to follow the ACLs where the configuration keeps them. Must be called within a tokio runtime.
    pub fn start(
        config: &Config,
        cluster: &Cluster,
        metrics: &Arc<Metrics>,
        target: Arc<dyn InForce>,
        tasks: &mut JoinSet<()>,
    ) -> Self {
        let shared =
            |name: &str, staleness: Duration, limit| Arc::new(Shared::new(name, staleness, limit, Arc::clone(metrics)));
        let mode = match config.policy.protocol_acls {
            ProtocolAcls::Disabled => Mode::Disabled,
            ProtocolAcls::State => {
                let name = format!("topic {}", config.state.topic);
                let shared = shared(&name, config.state.max_staleness, "`state.max_staleness`");
                let writer = Writer::new(Arc::clone(&shared), cluster.clone(), config);
                let follower = Follower::new(Arc::clone(&shared), cluster.clone(), config.clone());
                tasks.spawn(follower.run());
                tasks.spawn(follower::enforce(Arc::clone(&shared), target));
                tasks.spawn(gauge(Arc::clone(&shared)));
                Mode::State(shared, Box::new(writer))
            }
            ProtocolAcls::Cluster => {
                // What is as old as the poll is not stale.
                let staleness = config.state.max_staleness.saturating_add(config.policy.acl_poll);
                let shared =
                    shared("of the brokers", staleness, "`state.max_staleness` and `policy.acl_poll` together");
                let brokers = Arc::new(Brokers::new(Arc::clone(&shared), cluster.clone(), config.policy.acl_poll));
                tasks.spawn(Arc::clone(&brokers).follow(target));
                tasks.spawn(gauge(Arc::clone(&shared)));
                Mode::Cluster(shared, brokers)
            }
        };
        Self { mode: Arc::new(mode) }
    }

    /// Makes a change; returns when it is durable and every request that this process reads from now on is judged by it.
    ///
    /// # Errors
    /// Nothing was changed, or nobody knows: the message says which.
    pub async fn change(&self, change: AclChange, by: ChangeBy) -> Result<AclChanged, ChangeRefused> {
        match &*self.mode {
            Mode::Disabled => {
                let message = ErrorCode::SECURITY_DISABLED.message().to_owned();
                Err(ChangeRefused { code: ErrorCode::SECURITY_DISABLED, message })
            }
            Mode::State(_, writer) => writer.change(&change, by).await,
            Mode::Cluster(_, brokers) => brokers.change(change, by).await,
        }
    }

    /// What stands in the way of being ready.
    pub fn obstacle(&self) -> Option<String> {
        self.shared().and_then(|shared| shared.obstacle())
    }

    /// Waits until new connections may be judged by what is in force, at most this long; whether they may.
    pub async fn admits(&self, within: Duration) -> bool {
        let Some(shared) = self.shared() else { return true };
        let deadline = Instant::now() + within;
        loop {
            if shared.admits() {
                return true;
            }
            if Instant::now() >= deadline {
                return false;
            }
            tokio::time::sleep(LOOK.min(deadline.saturating_duration_since(Instant::now()))).await;
        }
    }

    fn shared(&self) -> Option<&Arc<Shared>> {
        match &*self.mode {
            Mode::Disabled => None,
            Mode::State(shared, _) | Mode::Cluster(shared, _) => Some(shared),
        }
    }
}

async fn gauge(shared: Arc<Shared>) {
    loop {
        if let Some(staleness) = shared.staleness() {
            shared.metrics.state_staleness.set(staleness.as_secs_f64());
        }
        tokio::time::sleep(LOOK).await;
    }
}

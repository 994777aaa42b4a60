//! What every listener's connections are judged by. Published in the call that changes it: who has returned from
//! [`Worlds::judge_by`] knows that the next request on any connection is judged so.

use crate::cluster::Cluster;
use crate::enforce::{Routes, Topology};
use crate::policy::Snapshot;
use crate::session::World;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// The worlds of all listeners.
pub struct Worlds {
    inner: Mutex<Inner>,
}

struct Inner {
    snapshot: Arc<Snapshot>,
    topology: Arc<Topology>,
    doors: Vec<watch::Sender<World>>,
}

impl Worlds {
    /// Worlds that are judged by this policy.
    pub fn new(snapshot: Arc<Snapshot>) -> Self {
        Self { inner: Mutex::new(Inner { snapshot, topology: Arc::default(), doors: Vec::new() }) }
    }

    /// The policy in force.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.inner().snapshot)
    }

    /// Puts another policy in force.
    pub fn judge_by(&self, snapshot: Arc<Snapshot>) {
        let mut inner = self.inner();
        inner.snapshot = snapshot;
        inner.publish();
    }

    /// The world of a listener, which changes with the policy and with the cluster.
    pub fn open(&self, routes: &Arc<Routes>) -> watch::Receiver<World> {
        let mut inner = self.inner();
        let (snapshot, topology) = (Arc::clone(&inner.snapshot), Arc::clone(&inner.topology));
        let (door, world) = watch::channel(World { snapshot, topology, routes: Arc::clone(routes) });
        inner.doors.push(door);
        world
    }

    /// Takes over what is known of the cluster, for as long as the process runs.
    pub async fn follow(&self, cluster: Cluster) {
        let mut topologies = cluster.follow();
        loop {
            let topology = topologies.borrow_and_update().clone();
            {
                let mut inner = self.inner();
                inner.topology = topology;
                inner.publish();
            }
            if topologies.changed().await.is_err() {
                return;
            }
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn publish(&self) {
        for door in &self.doors {
            door.send_modify(|world| {
                world.snapshot = Arc::clone(&self.snapshot);
                world.topology = Arc::clone(&self.topology);
            });
        }
    }
}

//! What every listener's connections are judged by. Published in the call that changes it: who has returned from
//! [`Worlds::judge_by`] knows that the next request on any connection is judged so.

use crate::cluster::Cluster;
use crate::enforce::{Routes, Topology};
use crate::identity::users::Users;
use crate::policy::Snapshot;
use crate::session::World;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// The worlds of all listeners.
pub struct Worlds {
    inner: Mutex<Inner>,
}

struct Inner {
    snapshot: Arc<Snapshot>,
    topology: Arc<Topology>,
    users: Arc<Users>,
    doors: Vec<watch::Sender<World>>,
}

impl Worlds {
    /// Worlds that are judged by this policy.
    pub fn new(snapshot: Arc<Snapshot>) -> Self {
        Self {
            inner: Mutex::new(Inner { snapshot, topology: Arc::default(), users: Arc::default(), doors: Vec::new() }),
        }
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

    /// Puts other users in force: for logins, and for who is logged in.
    pub fn log_in_by(&self, users: Arc<Users>) {
        let mut inner = self.inner();
        inner.users = users;
        inner.publish();
    }

    /// The world of a listener, which changes with the policy and with the cluster.
    pub fn open(&self, routes: &Arc<Routes>) -> watch::Receiver<World> {
        let mut inner = self.inner();
        let (snapshot, topology) = (Arc::clone(&inner.snapshot), Arc::clone(&inner.topology));
        let (routes, users) = (Arc::clone(routes), Arc::clone(&inner.users));
        let (door, world) = watch::channel(World { snapshot, topology, routes, users });
        inner.doors.push(door);
        world
    }

    /// Takes over what is known of the cluster: at once, and then for as long as the future that this gives is polled. Who
    /// comes before the cluster was reached is judged by what the configuration says of it (threat 18).
    pub fn follow(self: &Arc<Self>, cluster: &Cluster) -> impl Future<Output = ()> + Send + use<> {
        let (worlds, mut topologies) = (Arc::clone(self), cluster.follow());
        worlds.see(topologies.borrow_and_update().clone());
        async move {
            while topologies.changed().await.is_ok() {
                worlds.see(topologies.borrow_and_update().clone());
            }
        }
    }

    fn see(&self, topology: Arc<Topology>) {
        let mut inner = self.inner();
        inner.topology = topology;
        inner.publish();
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
                world.users = Arc::clone(&self.users);
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::files::policy_of;
    use crate::clock::now;
    use crate::config;
    use crate::policy::AclSet;
    use std::path::Path;

    #[tokio::test]
    async fn threat_18_the_first_client_is_judged_with_the_proxys_own_users_known() {
        let text = "version: 1\ninstance: p\ncluster: { name: c, bootstrap: [\"127.0.0.1:1\"] }\n\
            listeners: [{ name: a, bind: \"127.0.0.1:1\", identity: fixed, principal: \"User:a\", brokers: { ports: { ids: 1-1 } } }]\n\
            policy: { file: p }\n";
        let config = config::parse(text, Path::new("k"), &|_| None).unwrap();
        let (source, _) = policy_of(b"version: 1\ndefault: deny\n", &config, now()).unwrap();
        let worlds = Arc::new(Worlds::new(source.snapshot(&AclSet::default())));
        let before = worlds.open(&Arc::new(Routes::new(Vec::new())));
        let _following = worlds.follow(&Cluster::start(&config.cluster));
        let after = worlds.open(&Arc::new(Routes::new(Vec::new())));
        for world in [before, after] {
            assert!(world.borrow().topology.own.has_user("ANONYMOUS"));
        }
    }
}

//! A small Kafka broker in memory: one node, no disk, no transactions, loopback only.
//!
//! Enough for the console tools, kcat, consumer groups and idempotent producers: APIs 0-3, 8-16, 18-20, 22, 32 and 60.
//! It stands in for a cluster in `kordon demo` and, with a [`Script`], for an upstream on strings in unit tests. It is
//! never more than that: what must be true of Kafka is tested on Kafka.
//!
//! Everything is bounded: bytes of a partition ([`Settings::partition_bytes`]), partitions, groups, members, sessions,
//! connections, the size of a frame. Nothing polls: a waiting fetch wakes when a record is appended, a group when its
//! next deadline comes.

mod api;
mod cluster;
mod configs;
mod connection;
mod fetch;
mod group;
mod group_api;
mod groups;
mod log;
mod offsets;
mod produce;
mod script;
mod session;
mod topics;

#[cfg(test)]
mod tests;

pub use script::{Gate, Script, Seen, Step, Tape};

use crate::wire::ApiKey;
use groups::Groups;
use session::Sessions;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use topics::Topics;

/// How a broker is to be.
pub struct Settings {
    /// Its port on 127.0.0.1; 0 for a free one.
    pub port: u16,
    /// Its node id.
    pub node_id: i32,
    /// The id of the cluster that it claims to be.
    pub cluster_id: String,
    /// Whether topics come into being when a client asks for their metadata.
    pub auto_create: bool,
    /// Partitions of a topic whose creator does not say.
    pub partitions: i32,
    /// Most bytes of records a partition keeps; the oldest go. A topic's `retention.bytes` can only lower it.
    pub partition_bytes: usize,
    /// What sees requests before they are served.
    pub script: Option<Box<dyn Script>>,
    /// APIs that only the script serves: told to clients, and read.
    pub scripted: Vec<ApiKey>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            port: 0,
            node_id: 1,
            cluster_id: String::from("kordon-demo-cluster-00"),
            auto_create: true,
            partitions: 1,
            partition_bytes: 32 << 20,
            script: None,
            scripted: Vec::new(),
        }
    }
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings").field("port", &self.port).field("node_id", &self.node_id).finish_non_exhaustive()
    }
}

/// A broker that runs; it ends when this is dropped.
#[derive(Debug)]
pub struct Broker {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Broker {
    /// Binds the port and begins to serve. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// The port cannot be bound.
    pub async fn start(settings: Settings) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, settings.port)).await?;
        let shared = Arc::new(Shared {
            addr: listener.local_addr()?,
            settings,
            state: Mutex::default(),
            appended: watch::Sender::new(()),
            rescheduled: Notify::new(),
            connections: AtomicUsize::new(0),
        });
        let task = tokio::spawn({
            let shared = Arc::clone(&shared);
            async move {
                tokio::select! {
                    () = connection::accept(&shared, listener) => {}
                    () = keep_time(&shared) => {}
                }
            }
        });
        Ok(Self { shared, task })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.shared.addr
    }

    /// How many clients are connected.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::Relaxed)
    }

    /// Closes every connection and gives the port back.
    pub async fn stop(mut self) {
        self.task.abort();
        // Its end is what we wait for, and that it was aborted is no news.
        let _ = (&mut self.task).await;
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // The task owns the listener and all connections.
        self.task.abort();
    }
}

/// What the connections share.
#[derive(Debug)]
struct Shared {
    addr: SocketAddr,
    settings: Settings,
    state: Mutex<State>,
    /// Moves when a record was appended or a topic deleted.
    appended: watch::Sender<()>,
    /// Told when a group's next deadline may have come nearer.
    rescheduled: Notify,
    connections: AtomicUsize,
}

/// What the broker knows.
#[derive(Debug, Default)]
struct State {
    topics: Topics,
    groups: Groups,
    sessions: Sessions,
    producers: i64,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn port(&self) -> i32 {
        i32::from(self.addr.port())
    }

    fn host(&self) -> String {
        self.addr.ip().to_string()
    }
}

/// Ends the sessions of silent members and rebalances that took too long, each at its deadline.
async fn keep_time(shared: &Shared) {
    loop {
        let next = shared.state().groups.next_deadline();
        match next {
            // Both branches may be dropped without loss: the deadline is computed anew, a notice is kept until read.
            Some(deadline) => tokio::select! {
                () = tokio::time::sleep_until(deadline) => {}
                () = shared.rescheduled.notified() => {}
            },
            None => shared.rescheduled.notified().await,
        }
        shared.state().groups.expire(Instant::now());
    }
}

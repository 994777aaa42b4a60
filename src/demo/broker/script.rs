//! The broker on strings: a test sees each request before it is served, and says what becomes of it.

use crate::wire::{ApiKey, Node};
use bytes::Bytes;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// How many requests a [`Tape`] keeps.
const TAPE_LENGTH: usize = 100_000;

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The number of the connection, from 0 on in the order in which they were accepted.
    pub connection: u64,
    /// Where the connection comes from.
    pub peer: SocketAddr,
    /// Which API.
    pub key: ApiKey,
    /// Which version of it.
    pub version: i16,
    /// What the answer will repeat.
    pub correlation_id: i32,
    /// What the client calls itself.
    pub client_id: Option<String>,
    /// The request.
    pub body: Node,
}

/// What becomes of a request. Requests of one connection are answered one after the other.
#[derive(Clone, Debug)]
pub enum Step {
    /// The broker serves it.
    Serve,
    /// It is answered with this message; nothing is done.
    Answer(Node),
    /// It is answered with these bytes, which follow a size of the test's own making if there is to be one.
    Raw(Bytes),
    /// It is swallowed: nothing is done, no answer comes, and the next request is taken.
    Swallow,
    /// The connection is closed, nothing is done.
    Close,
    /// Nothing happens until the gate opens; then the step is taken.
    Hold(Gate, Box<Step>),
    /// The broker serves it, and keeps the answer until the gate opens.
    HoldAnswer(Gate),
}

/// What decides over requests and connections.
pub trait Script: Send + Sync {
    /// Whether a new connection is taken; otherwise it is closed at once.
    fn accepts(&self, connection: u64, peer: SocketAddr) -> bool {
        let _ = (connection, peer);
        true
    }

    /// What becomes of a request.
    fn step(&self, seen: &Seen) -> Step;
}

impl<F: Fn(&Seen) -> Step + Send + Sync> Script for F {
    fn step(&self, seen: &Seen) -> Step {
        self(seen)
    }
}

/// Holds back what waits at it, until it opens; then it stays open.
#[derive(Clone, Debug)]
pub struct Gate(watch::Sender<bool>);

impl Default for Gate {
    fn default() -> Self {
        Self(watch::Sender::new(false))
    }
}

impl Gate {
    /// A closed gate.
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens it for all who wait and all who come.
    pub fn open(&self) {
        self.0.send_replace(true);
    }

    /// Returns as soon as it is open.
    pub async fn passed(&self) {
        // The sender lives as long as this gate, so waiting cannot fail.
        let _ = self.0.subscribe().wait_for(|open| *open).await;
    }
}

/// A script that writes down what it sees, then follows another.
pub struct Tape {
    seen: Mutex<VecDeque<Arc<Seen>>>,
    moved: watch::Sender<()>,
    then: Box<dyn Script>,
}

impl std::fmt::Debug for Tape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tape").field("seen", &self.seen()).finish_non_exhaustive()
    }
}

impl Tape {
    /// A tape before everything is served.
    pub fn serving() -> Arc<Self> {
        Self::before(|_: &Seen| Step::Serve)
    }

    /// A tape before another script.
    pub fn before(then: impl Script + 'static) -> Arc<Self> {
        Arc::new(Self { seen: Mutex::default(), moved: watch::Sender::new(()), then: Box::new(then) })
    }

    /// The requests so far; the oldest go after a hundred thousand.
    pub fn seen(&self) -> Vec<Arc<Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// Forgets the requests so far.
    pub fn clear(&self) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The first request on the tape for which this holds, as soon as there is one.
    pub async fn first(&self, wanted: impl Fn(&Seen) -> bool) -> Arc<Seen> {
        let mut moved = self.moved.subscribe();
        loop {
            if let Some(seen) = self.seen().into_iter().find(|seen| wanted(seen)) {
                return seen;
            }
            // The sender lives as long as this tape, so waiting cannot fail.
            let _ = moved.changed().await;
        }
    }
}

impl Script for Arc<Tape> {
    fn accepts(&self, connection: u64, peer: SocketAddr) -> bool {
        self.then.accepts(connection, peer)
    }

    fn step(&self, seen: &Seen) -> Step {
        {
            let mut tape = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            if tape.len() == TAPE_LENGTH {
                tape.pop_front();
            }
            tape.push_back(Arc::new(seen.clone()));
        }
        self.moved.send_replace(());
        self.then.step(seen)
    }
}

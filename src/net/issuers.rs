//! Whose tokens are taken, with the keys they have now, and the way to ask for keys that are not there.

use crate::identity::tokens::{KeySet, Tokens, Wanted};
use arc_swap::ArcSwap;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::{mpsc, oneshot};

/// How many logins may wait for keys of an issuer before further ones wait to be allowed to.
const QUEUE: usize = 64;

/// The issuers of `tokens`, shared by all connections.
#[derive(Debug)]
pub struct Issuers {
    tokens: ArcSwap<Tokens>,
    /// By issuer; none where keys come from a file, which holds all there are.
    desks: Vec<Option<mpsc::Sender<Request>>>,
}

/// Somebody needs a key.
#[derive(Debug)]
pub struct Request {
    /// Which.
    pub wanted: Wanted,
    /// Since when: keys that were asked for later are answer enough.
    pub since: Instant,
    /// Told once it is there or is known not to exist; else why that cannot be told now.
    pub answer: oneshot::Sender<Result<(), String>>,
}

impl Issuers {
    /// These, and for each of which `is_asked` says so what is to be asked for.
    pub fn new(tokens: Tokens, is_asked: &[bool]) -> (Self, Vec<Option<mpsc::Receiver<Request>>>) {
        let pairs = is_asked.iter().map(|asked| asked.then(|| mpsc::channel(QUEUE)).unzip());
        let (desks, requests) = pairs.unzip();
        (Self { tokens: ArcSwap::from_pointee(tokens), desks }, requests)
    }

    /// What tokens are checked by now.
    pub fn tokens(&self) -> Arc<Tokens> {
        self.tokens.load_full()
    }

    /// Other keys for an issuer, or none.
    pub fn put(&self, issuer: usize, keys: Option<&Arc<KeySet>>) {
        self.tokens.rcu(|tokens| tokens.with_keys(issuer, keys.map(Arc::clone)));
    }

    /// Has a key asked for. Once this is well, what is not there does not exist.
    ///
    /// # Errors
    /// It cannot be told now, and why.
    pub(super) async fn ask(&self, wanted: Wanted) -> Result<(), String> {
        let Some(desk) = self.desks.get(wanted.issuer).and_then(Option::as_ref) else { return Ok(()) };
        let stopped = || "the proxy stops".to_owned();
        let (answer, told) = oneshot::channel();
        desk.send(Request { wanted, since: Instant::now(), answer }).await.map_err(|_| stopped())?;
        told.await.map_err(|_| stopped())?
    }
}

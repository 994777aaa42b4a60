//! Commands that ask the brokers.

use super::Failure;
use crate::cluster::Cluster;
use crate::config;
use std::collections::BTreeSet;
use std::future::Future;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

/// Runs a future on a runtime of its own.
pub(super) fn run<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let done = runtime.block_on(work);
    // Name look-ups may still hang in their threads; nobody waits for them.
    runtime.shutdown_background();
    done
}

/// How often it is looked whether something is in the way.
const LOOK: Duration = Duration::from_millis(200);

/// The cluster, once a broker of it has answered. What is in the way meanwhile is told on standard error at once: nobody has
/// to wait for the end of it to learn of a wrong address.
///
/// # Errors
/// None did in time.
pub(super) async fn reach(config: &config::Cluster) -> Result<Cluster, Failure> {
    let cluster = Cluster::start(config);
    // One round over all addresses, and the questions behind it.
    let rounds = u32::try_from(config.bootstrap.len()).unwrap_or(u32::MAX);
    let patience = config.connect_timeout.saturating_mul(rounds).saturating_add(config.request_timeout);
    let reached = tokio::select! {
        reached = cluster.reached(patience) => reached,
        never = tell_failures(&cluster, patience) => match never {},
    };
    if reached {
        return Ok(cluster);
    }
    let why = cluster.trouble().unwrap_or_else(|| "no broker answered in time".into());
    Err(Failure::Failed(format!("cannot reach cluster `{}`: {why}", config.name)))
}

/// Tells each thing once that keeps the cluster from being reached.
async fn tell_failures(cluster: &Cluster, patience: Duration) -> std::convert::Infallible {
    let mut told = BTreeSet::new();
    loop {
        tokio::time::sleep(LOOK).await;
        if let Some(why) = cluster.failure()
            && told.insert(Arc::clone(&why))
        {
            // Who closed standard error does not want to know.
            let _ = writeln!(std::io::stderr(), "{why}; trying on, for {} s at the most", patience.as_secs());
        }
    }
}

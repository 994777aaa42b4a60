//! Commands that ask the brokers.

use super::Failure;
use crate::cluster::Cluster;
use crate::config;
use std::future::Future;

/// Runs a future on a runtime of its own.
pub(super) fn run<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let done = runtime.block_on(work);
    // Name look-ups may still hang in their threads; nobody waits for them.
    runtime.shutdown_background();
    done
}

/// The cluster, once a broker of it has answered.
///
/// # Errors
/// None did in time.
pub(super) async fn reach(config: &config::Cluster) -> Result<Cluster, Failure> {
    let cluster = Cluster::start(config);
    // One round over all addresses, and the questions behind it.
    let rounds = u32::try_from(config.bootstrap.len()).unwrap_or(u32::MAX);
    if cluster.reached(config.connect_timeout.saturating_mul(rounds).saturating_add(config.request_timeout)).await {
        return Ok(cluster);
    }
    let why = cluster.trouble().unwrap_or_else(|| "no broker answered in time".into());
    Err(Failure::Failed(format!("cannot reach cluster `{}`: {why}", config.name)))
}

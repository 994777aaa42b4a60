//! Tells at start whether the brokers serve who comes past the proxy.

use crate::cluster::Cluster;
use crate::cluster::door::{State, is_known, try_all};
use crate::config;

/// Tries the brokers once, as soon as they are known. The proxy serves meanwhile: it can do nothing about it. Where the proxy
/// itself does not log in there is nothing to try, and `kordon run` has said so.
pub(super) async fn tell(config: config::Cluster, cluster: Cluster) {
    if !is_known(&config) {
        return;
    }
    let mut topology = cluster.follow();
    let Ok(known) = topology.wait_for(|t| !t.brokers.is_empty()).await.map(|t| t.clone()) else { return };
    for door in try_all(&config, &known).await {
        match door.state {
            State::Open => tracing::warn!("{door}"),
            State::Shut | State::Unknown(_) => tracing::debug!("{door}"),
        }
    }
}

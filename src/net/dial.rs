//! The connection to a broker that stands behind one client connection.

use super::shared::Shared;
use crate::cluster::Cluster;
use crate::cluster::credentials::Renewal;
use crate::cluster::dial::{DialError, Dialler};
use crate::cluster::passage::Passage;
use crate::enforce::Broker;
use crate::model::CloseReason;
use crate::tls::Stream;
use rand::seq::SliceRandom as _;

/// Why there is none.
pub(super) struct NotDialled {
    /// For which reason the client's connection ends.
    pub(super) reason: CloseReason,
    /// In words.
    pub(super) detail: String,
}

/// A connection to a broker.
pub(super) struct Dialled {
    pub(super) stream: Stream,
    /// The proxy's login there, where it is to be made again.
    pub(super) renewal: Option<Renewal>,
}

/// Dials a broker by id; for a bootstrap port (`None`) any broker, in random order.
pub(super) async fn dial(shared: &Shared, dialler: &Dialler, broker: Option<i32>) -> Result<Dialled, NotDialled> {
    let mut last = nobody();
    for broker in brokers(&shared.cluster, dialler, broker).await? {
        match dialler.dial(&(&broker).into()).await {
            Ok(upstream) => return Ok(Dialled { stream: upstream.stream, renewal: upstream.renewal }),
            Err(error) => last = not_dialled(shared, &broker, &error),
        }
    }
    Err(last)
}

/// As [`dial`], for a client that logs in at the broker by itself.
pub(super) async fn passage(shared: &Shared, dialler: &Dialler, broker: Option<i32>) -> Result<Passage, NotDialled> {
    let mut last = nobody();
    for broker in brokers(&shared.cluster, dialler, broker).await? {
        match dialler.passage(&(&broker).into()).await {
            Ok(passage) => return Ok(passage),
            Err(error) => last = not_dialled(shared, &broker, &error),
        }
    }
    Err(last)
}

/// Whom to dial, one after the other.
async fn brokers(cluster: &Cluster, dialler: &Dialler, broker: Option<i32>) -> Result<Vec<Broker>, NotDialled> {
    if !cluster.reached(dialler.connect_timeout).await {
        // The trouble itself may name addresses; it stands in the log.
        let detail = "no broker of the cluster can be reached".to_owned();
        return Err(NotDialled { reason: CloseReason::UpstreamUnreachable, detail });
    }
    let mut topology = cluster.topology();
    if let Some(id) = broker {
        if !topology.brokers.contains_key(&id) {
            // It may have joined a moment ago.
            topology = cluster.want(Vec::new()).await;
        }
        let Some(found) = topology.brokers.get(&id) else {
            let detail = format!("no broker has id {id}");
            return Err(NotDialled { reason: CloseReason::BrokerUnmapped, detail });
        };
        return Ok(vec![found.clone()]);
    }
    let mut brokers: Vec<Broker> = topology.brokers.values().cloned().collect();
    brokers.shuffle(&mut rand::rng());
    Ok(brokers)
}

fn nobody() -> NotDialled {
    NotDialled { reason: CloseReason::UpstreamUnreachable, detail: "no broker is known".to_owned() }
}

fn not_dialled(shared: &Shared, broker: &Broker, error: &DialError) -> NotDialled {
    shared.metrics.upstream_connect_failures.inc();
    // Where brokers are is for the log of the proxy: its details go to the audit, which others read.
    // Every client that comes back meets it again.
    if let Some(left_out) = shared.undialled.told() {
        tracing::info!(broker = broker.id, %error, left_out, "broker cannot be dialled");
    }
    let detail = format!("broker {} cannot be reached", broker.id);
    NotDialled { reason: CloseReason::UpstreamUnreachable, detail }
}

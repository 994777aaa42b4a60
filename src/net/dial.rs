//! The connection to a broker that stands behind one client connection.

use crate::cluster::Cluster;
use crate::cluster::dial::Dialler;
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

/// Dials a broker by id; for a bootstrap port (`None`) any broker, in random order.
pub(super) async fn dial(cluster: &Cluster, dialler: &Dialler, broker: Option<i32>) -> Result<Stream, NotDialled> {
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
        return connect(dialler, found).await;
    }
    let mut brokers: Vec<&Broker> = topology.brokers.values().collect();
    brokers.shuffle(&mut rand::rng());
    let mut last = NotDialled { reason: CloseReason::UpstreamUnreachable, detail: "no broker is known".to_owned() };
    for broker in brokers {
        match connect(dialler, broker).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn connect(dialler: &Dialler, broker: &Broker) -> Result<Stream, NotDialled> {
    match dialler.dial(&broker.into()).await {
        Ok(upstream) => Ok(upstream.stream),
        Err(error) => {
            // Where brokers are is for the log of the proxy: its details go to the audit, which others read.
            tracing::info!(broker = broker.id, %error, "broker cannot be dialled");
            let detail = format!("broker {} cannot be reached", broker.id);
            Err(NotDialled { reason: CloseReason::UpstreamUnreachable, detail })
        }
    }
}

//! The harness proved directly against the brokers, so that a red test is the proxy's fault.

use crate::support::cluster::Cluster;
use crate::support::needs;

#[test]
fn three_brokers_start() {
    needs!(Java);
    let cluster = Cluster::shared();
    assert_eq!(cluster.nodes().len(), 3);
}

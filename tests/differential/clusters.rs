//! The clusters and the proxy of a run. Brokers are alike but for the authorizer; they die with the test process.

use std::io::Write as _;

use crate::names::{PEOPLE, password};
use crate::side::Side;
use crate::support::cluster::{Cluster, Options};
use crate::support::people::{PLAIN, known};
use crate::support::proxy::{Kordon, Upstream};

/// A broker that authorizes. `everyone`: what no ACL is about is allowed to everybody.
pub fn reference(everyone: bool) -> Side {
    let mut properties = common();
    properties.extend([
        ("authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer".to_owned()),
        ("super.users", "User:ANONYMOUS;User:super".to_owned()),
        ("allow.everyone.if.no.acl.found", everyone.to_string()),
        known(&PEOPLE.map(|name| (name, password(name)))),
    ]);
    let cluster = leak(properties);
    let node = cluster.node(1);
    Side::new("reference", format!("127.0.0.1:{}", node.sasl), format!("127.0.0.1:{}", node.direct))
}

/// A broker that does not authorize, and the proxy before it.
pub fn proxied() -> (Side, Kordon<'static>) {
    let cluster = leak(common());
    let kordon = Kordon::before(cluster)
        .listener("people", &format!("{PLAIN}\n    super_users: true"))
        .users(&PEOPLE.map(|name| (name, password(name))))
        .audit("partitions: 1")
        .policy(&crate::acls::policy(false))
        .state("kordon.state")
        .upstream(Upstream::Direct)
        .start();
    let front = kordon.broker("people", 1);
    (Side::new("proxied", front, format!("127.0.0.1:{}", cluster.node(1).direct)), kordon)
}

fn common() -> Vec<(&'static str, String)> {
    vec![
        // Else each change of metadata waits for company.
        ("controller.quorum.append.linger.ms", "0".to_owned()),
        ("group.coordinator.append.linger.ms", "0".to_owned()),
        ("share.coordinator.append.linger.ms", "0".to_owned()),
        ("offsets.topic.num.partitions", "1".to_owned()),
        ("transaction.state.log.num.partitions", "1".to_owned()),
        ("share.coordinator.state.topic.num.partitions", "1".to_owned()),
        // Else whether a member is assigned its partitions at once depends on when the last assignment was.
        ("group.consumer.assignment.interval.ms", "0".to_owned()),
        ("group.share.assignment.interval.ms", "0".to_owned()),
        ("group.streams.assignment.interval.ms", "0".to_owned()),
        ("group.streams.initial.rebalance.delay.ms", "0".to_owned()),
        // Records are of a day long past: nothing may be deleted for its age while two sides are compared.
        ("log.retention.check.interval.ms", "86400000".to_owned()),
        ("log.initial.task.delay.ms", "86400000".to_owned()),
        // Topics by the hundred.
        ("log.index.size.max.bytes", "65536".to_owned()),
    ]
}

fn leak(properties: Vec<(&'static str, String)>) -> &'static Cluster {
    Box::leak(Box::new(Cluster::start(Options { nodes: 1, properties, ..Options::default() })))
}

/// Prints a line at once, also where output is captured.
pub fn tell(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

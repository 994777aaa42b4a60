//! Clients that come by IPv6.

use kordon::wire::schema::metadata::response::{BROKERS, metadata_response_broker};

use crate::support::audit::Event;
use crate::support::cluster::Cluster;
use crate::support::java::Java;
use crate::support::needs;
use crate::support::proxy::{Kordon, cli};
use crate::support::raw::Raw;

/// `of-network` from a network of IPv6, `of-address` from one address of it as Kafka writes it, `of-v4` from IPv4.
const POLICY: &str = "version: 1
default: deny
acls:
  - { allow: [All], principals: [\"User:*\"], resources: [\"topic:of-network*\"], hosts: [\"::/64\"] }
  - { allow: [All], principals: [\"User:*\"], resources: [\"topic:of-address*\"], hosts: [\"0:0:0:0:0:0:0:1\"] }
  - { allow: [All], principals: [\"User:*\"], resources: [\"topic:of-v4*\"], hosts: [127.0.0.0/8] }
  - { allow: [All], principals: [\"User:*\"], resources: [cluster, \"group:*\"] }
end: true
";

#[test]
fn clients_of_ipv6_are_told_its_addresses_and_met_by_rules_of_its_networks() {
    needs!(Java);
    let cluster = Cluster::single();
    let fixed = "identity: fixed\n    principal: \"User:alice\"";
    let kordon = Kordon::before(cluster)
        .listener("six", fixed)
        .ip("[::1]")
        .listener("both", &format!("advertise: localhost\n    {fixed}"))
        .ip("[::]")
        .policy(POLICY)
        .start();
    let (network, address, v4) =
        (cluster.topic("of-network", 1), cluster.topic("of-address", 1), cluster.topic("of-v4", 1));
    let send = |at: &str, topic: &str| {
        let settings = [("max.block.ms", "15000")];
        Java::newest().producer(at, &settings).send(topic, &["one"]).error().map(str::to_owned)
    };
    let denied = Some("TopicAuthorizationException".to_owned());
    let six = kordon.at("six");
    assert_eq!([&network, &address, &v4].map(|topic| send(six, topic)), [None, None, denied.clone()]);
    let told = Raw::connect(six).metadata(None);
    let broker = &told.nodes(BROKERS)[0];
    assert_eq!(broker.str(metadata_response_broker::HOST), "::1");
    // Who comes by IPv4 to an address of both is at an IPv4 address.
    let port = kordon.at("both").rsplit(':').next().unwrap();
    assert_eq!(send(&format!("127.0.0.1:{port}"), &v4), None);
    assert_eq!(send(&format!("127.0.0.1:{port}"), &network), denied);
    let mut audit = kordon.audit();
    audit.wait("an address in brackets", |e: &Event| e.text("/requestMetadata/clientAddress").starts_with("[::1]:"));
    audit.wait("one without", |e: &Event| e.text("/requestMetadata/clientAddress").starts_with("127.0.0.1:"));
    let checked = cli(&["check", "--connect", "--config", kordon.config_path().to_str().unwrap()]);
    assert!(checked.out.contains("six: told as [::1]:"), "{}{}", checked.out, checked.err);
}

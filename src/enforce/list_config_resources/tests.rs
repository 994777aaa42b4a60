use super::*;
use crate::enforce::testing::{AUDIT, Bench, STATE, finished, forwarded};

const KEY: ApiKey = ApiKey::LIST_CONFIG_RESOURCES;

/// What is shown of a cluster that has two topics and two groups beside the proxy's own topics.
fn listed(bench: &mut Bench, version: i16) -> Vec<String> {
    let then = forwarded(bench.judge(&ListConfigResources, KEY, version, &Node::request(KEY)));
    let all =
        [(2, "orders"), (2, "secret"), (2, AUDIT), (2, STATE), (4, "1"), (16, "all-clients"), (32, "ord-1"), (32, "g")]
            .map(|(kind, name)| {
                Node::new(&resource::THIS).with(resource::RESOURCE_TYPE, kind).with(resource::RESOURCE_NAME, name)
            });
    let told = Node::response(KEY).with(res::CONFIG_RESOURCES, all.to_vec());
    let shown = finished(bench.complete(then, KEY, version, &told), KEY, version);
    shown.nodes(res::CONFIG_RESOURCES).iter().map(|r| r.str(resource::RESOURCE_NAME).to_owned()).collect()
}

#[test]
fn threat_04_a_listing_shows_everything_but_the_proxys_own_topics() {
    let describe = r#"{ allow: [DescribeConfigs], principals: ["User:alice"], resources: ["cluster"] }"#;
    let mut bench = Bench::acls(&[describe]);
    assert_eq!(listed(&mut bench, 1), ["orders", "secret", "1", "all-clients", "ord-1", "g"]);
    assert_eq!(bench.decided(), ["DescribeConfigs cluster:kafka-cluster allowed"]);
    assert_eq!(listed(&mut Bench::acls(&[]).user("root"), 1).len(), 6);
}

#[test]
fn threat_36_cluster_read_shows_topics_and_groups_that_may_be_described() {
    let mut bench = Bench::policy(
        "connect_gate: open\nbindings:\n  - { roles: [viewer], principals: [\"User:alice\"], resources: [cluster, \"topic:ord*\", \"group:ord*\"] }\n",
    );
    assert_eq!(listed(&mut bench, 1), ["orders", "1", "all-clients", "ord-1"]);
}

use super::*;
use crate::enforce::testing::{Bench, answer, finished, forwarded, kind, rewritten};

const KEY: ApiKey = ApiKey::ALTER_CLIENT_QUOTAS;
const WRITER: &str = r#"{ allow: [QuotasWrite], principals: ["User:alice"], resources: ["cluster"] }"#;

type Entity<'a> = &'a [(&'a str, Option<&'a str>)];

fn request(entities: &[Entity<'_>]) -> Node {
    let of = |entity: &Entity<'_>| {
        let part = |(kind, name): &(&str, Option<&str>)| {
            Node::new(&entity_data::THIS).with(entity_data::ENTITY_TYPE, *kind).with(entity_data::ENTITY_NAME, *name)
        };
        let op = Node::new(&op_data::THIS).with(op_data::KEY, "producer_byte_rate").with(op_data::VALUE, 1.5);
        Node::new(&entry_data::THIS)
            .with(entry_data::ENTITY, entity.iter().map(part).collect::<Vec<_>>())
            .with(entry_data::OPS, vec![op])
    };
    Node::request(KEY).with(req::ENTRIES, entities.iter().map(of).collect::<Vec<_>>())
}

fn rows(answer: &Node) -> Vec<(i64, Option<String>)> {
    let of = |row: &Node| {
        let part = &row.nodes(res_entry::ENTITY)[0];
        (row.int(res_entry::ERROR_CODE), part.opt_str(res_entity::ENTITY_NAME).map(str::to_owned))
    };
    answer.nodes(res::ENTRIES).iter().map(of).collect()
}

#[test]
fn whoever_may_write_quotas_sets_those_of_others() {
    let alice: Entity<'_> = &[("user", Some("alice")), ("client-id", None)];
    for version in [0, 1] {
        let mut bench = Bench::acls(&[WRITER]);
        let asked = request(&[alice, &[("client-id", Some("app"))], &[("user", Some("bob"))]]);
        forwarded(bench.judge(&AlterClientQuotas, KEY, version, &asked));
        assert_eq!(bench.decided(), ["AlterConfigs cluster:kafka-cluster allowed"]);
    }
    let mut bench = Bench::acls(&[WRITER]);
    forwarded(bench.judge(&AlterClientQuotas, KEY, 1, &request(&[alice])));
    assert_eq!(
        bench.trail.arguments.as_deref(),
        Some(concat!(
            r#"{"entries":[{"entity":[{"name":"alice","type":"user"},{"name":null,"type":"client-id"}],"#,
            r#""ops":[{"key":"producer_byte_rate","value":1.5}]}],"validateOnly":false}"#
        ))
    );
}

#[test]
fn threat_18_nobody_sets_a_quota_that_the_proxys_own_traffic_falls_under() {
    let reaching: [Entity<'_>; 9] = [
        &[("user", Some("kordon-upstream"))],
        &[("user", Some("kordon-upstream")), ("client-id", Some("app"))],
        &[("client-id", Some("app")), ("user", Some("kordon-upstream"))],
        &[("user", None)],
        &[("user", None), ("client-id", Some("kordon"))],
        &[("client-id", None)],
        &[("client-id", Some("kordon"))],
        &[("ip", None)],
        &[("ip", Some("10.0.0.7"))],
    ];
    for user in ["alice", "root"] {
        for entity in reaching {
            let mut bench = Bench::acls(&[WRITER]).user(user);
            let refused = answer(bench.judge(&AlterClientQuotas, KEY, 1, &request(&[entity])), KEY, 1);
            assert_eq!(rows(&refused)[0].0, 31, "{entity:?}");
            let [only] = bench.trail.records() else { panic!("{entity:?}: {:?}", bench.decided()) };
            assert_eq!((only.decision.code(), only.probe), (ReasonCode::Protected, false), "{entity:?}");
        }
    }
}

#[test]
fn a_refused_entry_stands_at_its_place_among_those_that_are_served() {
    let mut bench = Bench::acls(&[WRITER]);
    let (alice, own, bob): (Entity<'_>, Entity<'_>, Entity<'_>) =
        (&[("user", Some("alice"))], &[("user", None)], &[("user", Some("bob"))]);
    let (sent, then) = rewritten(bench.judge(&AlterClientQuotas, KEY, 1, &request(&[alice, own, bob])));
    assert_eq!(sent, request(&[alice, bob]));
    let served = |name: &str| {
        let part =
            Node::new(&res_entity::THIS).with(res_entity::ENTITY_TYPE, "user").with(res_entity::ENTITY_NAME, name);
        Node::new(&res_entry::THIS).with(res_entry::ENTITY, vec![part])
    };
    let told = Node::response(KEY).with(res::ENTRIES, vec![served("alice"), served("bob")]);
    let all = rows(&finished(bench.complete(then, KEY, 1, &told), KEY, 1));
    assert_eq!(all, [(0, Some("alice".to_owned())), (31, None), (0, Some("bob".to_owned()))]);
}

#[test]
fn threat_18_the_broker_tells_what_is_malformed_and_gets_nothing_to_change() {
    let faulty: [Entity<'_>; 6] = [
        &[("ip", Some("w5.somebody"))],
        &[("ip", Some(""))],
        &[("ip", Some("10.0.0.7")), ("user", Some("alice"))],
        &[("client-id", Some("app")), ("ip", None)],
        &[("user", None), ("client-id", Some(""))],
        &[("user", Some("kordon-upstream")), ("word", Some("x"))],
    ];
    for asked in faulty {
        let mut bench = Bench::acls(&[WRITER]);
        let (sent, then) = rewritten(bench.judge(&AlterClientQuotas, KEY, 1, &request(&[asked, &[("ip", None)]])));
        let [entry] = sent.nodes(req::ENTRIES) else { panic!("{sent:?}") };
        assert!(entry.nodes(entry_data::OPS).is_empty(), "{entry:?}");
        // The order of an entity is the broker's.
        let part = |(kind, name): &(&str, Option<&str>)| {
            Node::new(&res_entity::THIS).with(res_entity::ENTITY_TYPE, *kind).with(res_entity::ENTITY_NAME, *name)
        };
        let parts: Vec<Node> = asked.iter().rev().map(part).collect();
        let told = |error: i16| {
            let row = Node::new(&res_entry::THIS).with(res_entry::ENTITY, parts.clone());
            Node::response(KEY).with(res::ENTRIES, vec![row.with(res_entry::ERROR_CODE, error)])
        };
        let all = finished(bench.complete(then, KEY, 1, &told(42)), KEY, 1);
        assert_eq!(rows(&all).iter().map(|row| row.0).collect::<Vec<_>>(), [42, 31], "{asked:?}");
        // A host with an address, or a broker that knows more: it was not set.
        let (_, then) = rewritten(bench.judge(&AlterClientQuotas, KEY, 1, &request(&[asked])));
        let all = finished(bench.complete(then, KEY, 1, &told(0)), KEY, 1);
        assert_eq!(rows(&all)[0].0, 31, "{asked:?}");
    }
    let mut twice = request(&[&[("ip", Some("10.0.0.7"))]]);
    let entry = &mut twice.nodes_mut(req::ENTRIES)[0];
    let op = entry.nodes(entry_data::OPS)[0].clone();
    entry.push(entry_data::OPS, op);
    let (sent, _) = rewritten(Bench::acls(&[WRITER]).judge(&AlterClientQuotas, KEY, 1, &twice));
    let ops = sent.nodes(req::ENTRIES)[0].nodes(entry_data::OPS);
    assert!(ops.len() == 2 && ops.iter().all(|op| op.str(op_data::KEY).is_empty() && op.bool(op_data::REMOVE)));
    assert_eq!(kind(&Bench::acls(&[]).judge(&AlterClientQuotas, KEY, 1, &twice)), "answer");
}

/// Names in the entries that are shown, of a user's own quota, others', and defaults.
fn shown(bench: &mut Bench, version: i16) -> Vec<Option<String>> {
    let key = ApiKey::DESCRIBE_CLIENT_QUOTAS;
    let then = forwarded(bench.judge(&DescribeClientQuotas, key, version, &Node::request(key)));
    let part = |kind: &str, name: Option<&str>| {
        Node::new(&list_entity::THIS).with(list_entity::ENTITY_TYPE, kind).with(list_entity::ENTITY_NAME, name)
    };
    let entries = [
        vec![part("user", Some("alice"))],
        vec![part("user", Some("bob"))],
        vec![part("client-id", Some("app")), part("user", Some("bob"))],
        vec![part("user", None)],
        vec![part("client-id", Some("app"))],
    ];
    let entries: Vec<Node> =
        entries.into_iter().map(|parts| Node::new(&list_entry::THIS).with(list_entry::ENTITY, parts)).collect();
    let told = Node::response(key).with(list::ENTRIES, entries);
    let told = finished(bench.complete(then, key, version, &told), key, version);
    let first = |entry: &Node| entry.nodes(list_entry::ENTITY)[0].opt_str(list_entity::ENTITY_NAME).map(str::to_owned);
    told.nodes(list::ENTRIES).iter().map(first).collect()
}

#[test]
fn threat_36_cluster_read_shows_quotas_without_other_users() {
    let read = r#"{ allow: [ClusterRead], principals: ["User:alice"], resources: ["cluster"] }"#;
    let kafka = r#"{ allow: [DescribeConfigs], principals: ["User:alice"], resources: ["cluster"] }"#;
    for version in [0, 1] {
        let own = Some("alice".to_owned());
        assert_eq!(shown(&mut Bench::acls(&[read]), version), [own, None, Some("app".to_owned())]);
        assert_eq!(shown(&mut Bench::acls(&[kafka]), version).len(), 5);
    }
    let asked = request(&[&[("user", Some("bob"))]]);
    assert_eq!(kind(&Bench::acls(&[read]).judge(&AlterClientQuotas, KEY, 1, &asked)), "answer");
}

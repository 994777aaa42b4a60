//! Connections of clients that showed a certificate: how long they last.

use std::io::Read as _;
use std::time::{Duration, Instant};

use rcgen::DnType;

use crate::support::audit::Event;
use crate::support::certificates::{Authority, BOTH, Signed, Wish, over};
use crate::support::cluster::Cluster;
use crate::support::java::Java;
use crate::support::proxy::Kordon;
use crate::support::{needs, scratch, soon, unique};
use crate::tls_clients::{Open, at, client, knock, tls};

const NAMED: &str = "identity: certificate";
const RULES: &str = "certificates: { rules: [\"RULE:^CN=(.*)$/$1/\"] }";

fn closed(kordon: &Kordon<'_>, listener: &str, reason: &str) -> f64 {
    kordon.metrics().sum("kordon_connections_closed_total", &[("listener", listener), ("reason", reason)])
}

/// When the proxy ends this connection, counted from `since`.
fn end(open: &mut Open, since: Instant) -> Duration {
    let ended = match open.0.read(&mut [0]) {
        Ok(0) => true,
        Ok(_) => false,
        Err(error) => !matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut),
    };
    assert!(ended, "it is still open");
    since.elapsed()
}

#[test]
fn a_session_by_certificate_lasts_for_max_session_and_who_works_on_it_loses_nothing() {
    needs!(Java);
    let cluster = Cluster::single();
    let dir = scratch(&unique("ends"));
    let authority = Authority::new(&dir, "listeners");
    let clients = Authority::new(&dir.join("clients"), "clients");
    let asked = format!(", client_auth: required, client_ca: {}", clients.file().display());
    let keys = tls(&authority.server(), &asked) + NAMED;
    let kordon = Kordon::before(cluster)
        .listener("pods", &format!("max_session: 2s\n    {keys}"))
        .listener("long", &format!("max_session: null\n    {keys}"))
        .config(RULES)
        .start();
    let alice = clients.client("alice");
    let config = client(&authority, Some(&alice), BOTH);
    let mut lasting = Open::to(kordon.at("long"), &config);
    let begun = Instant::now();
    let mut idle = Open::to(kordon.at("pods"), &config);
    let lasted = end(&mut idle, begun);
    assert!((1_550..10_000).contains(&lasted.as_millis()), "one that asks nothing ends by itself: {lasted:?}");

    let (tls, group) = (authority.java("SSL", Some(&alice)), unique("ends"));
    let topic = unique("ends");
    cluster.create_topic(&topic, 1, &[]);
    let producer = Java::newest().producer(&at(&kordon, "pods"), &tls.and(&[]));
    let consumer = Java::newest().consumer(&at(&kordon, "pods"), &tls.and(&[("group.id", &group)]));
    let consumer = consumer.subscribe(&[&topic]);
    let (mut sent, begun) = (Vec::new(), Instant::now());
    while begun.elapsed() < Duration::from_secs(7) {
        let value = format!("{}", sent.len());
        assert_eq!(producer.send(&topic, &[&value]).ok, 1, "record {value}");
        sent.push(value);
    }
    assert_eq!(consumer.values(sent.len()), sent, "each once, in order");
    let ends = closed(&kordon, "pods", "session_expired");
    assert!(ends >= 5.0, "{ends}: of producer and consumer, several times");
    let told = kordon.audit().wait("an end", |e: &Event| e.text("/connectionInfo/reason") == "session_expired");
    assert_eq!((told.principal(), told.text("/connectionInfo/action")), ("User:alice", "closed"));
    assert!(told.text("/connectionInfo/detail").contains("max_session"), "{told:?}");
    lasting.ask().expect("`null` is for ever");
    assert_eq!(closed(&kordon, "long", "session_expired"), 0.0);
}

#[test]
fn threat_24_an_open_connection_ends_with_its_certificate_and_with_a_list_that_nobody_renewed() {
    let cluster = Cluster::single();
    let dir = scratch(&unique("ends"));
    let authority = Authority::new(&dir, "listeners");
    let clients = Authority::new(&dir.join("clients"), "clients");
    let list = dir.join("list.pem");
    let begun = Instant::now();
    std::fs::write(&list, clients.revoke_for(&[], Duration::from_secs(12))).unwrap();
    let asked = format!(", client_auth: required, client_ca: {}, crl: [{}]", clients.file().display(), list.display());
    let keys = tls(&authority.server(), &asked) + NAMED;
    let kordon =
        Kordon::before(cluster).listener("pods", &keys).config(RULES).expects("renew it").expects("has ended").start();
    let holds = |name: &str, seconds: u64| -> Signed {
        let subject = [(DnType::CommonName, name)];
        let left = Duration::from_secs(seconds).saturating_sub(begun.elapsed());
        clients.sign(&Wish { subject: &subject, holds: Some(left), ..Wish::default() })
    };
    let [short, long] = [("short", 7), ("long", 3600)].map(|(name, seconds)| holds(name, seconds));
    let [short, long] = [short, long].map(|pair| client(&authority, Some(&pair), BOTH));
    let mut of_short = Open::to(kordon.at("pods"), &short);
    let mut of_long = Open::to(kordon.at("pods"), &long);
    let ended = end(&mut of_short, begun);
    assert!((5900..11_000).contains(&ended.as_millis()), "with its certificate: {ended:?}");
    soon("nobody comes in with it any more", || knock(kordon.at("pods"), &short).is_err());
    of_long.ask().expect("whose certificate holds stays");
    let ended = end(&mut of_long, begun);
    assert!((10_900..20_000).contains(&ended.as_millis()), "with the list: {ended:?}");
    soon("a list that has ended is no list", || knock(kordon.at("pods"), &long).is_err());
    let mut audit = kordon.audit();
    for (name, part) in [("User:short", "ended"), ("User:long", "list")] {
        let told = audit.wait("an end", |e: &Event| {
            e.principal() == name && e.text("/connectionInfo/reason") == "certificate_revoked"
        });
        assert!(told.text("/connectionInfo/detail").contains(part), "{name}: {told:?}");
    }
    over(&list, &clients.revoke(&[]));
    soon("another list is in force", || knock(kordon.at("pods"), &long).is_ok());
}

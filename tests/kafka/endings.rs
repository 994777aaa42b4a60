//! How connections end whose client has gone, was kept waiting, or is busy while the proxy stops.

use std::time::Duration;

use kordon::wire::schema::fetch;
use kordon::wire::{ApiKey, ErrorCode, Node};

use crate::support::cluster::Cluster;
use crate::support::proxy::Kordon;
use crate::support::raw::{FetchSpec, Raw, metadata_request};
use crate::support::{needs, soon};

/// A Fetch of an empty topic that the broker answers after this time.
fn long_poll(raw: &mut Raw, topic: &str, wait: Duration) -> Node {
    let (id, _) = raw.topic(topic, 0);
    FetchSpec { wait, ..FetchSpec::of(topic, id, 0) }.request()
}

#[test]
fn a_client_that_has_gone_is_noticed_while_its_requests_wait_behind_a_long_poll() {
    needs!(Java);
    let cluster = Cluster::single();
    let topic = cluster.topic("gone", 1);
    let kordon = Kordon::before(cluster)
        .person("alice")
        .config("limits: { upstream_ahead: { requests: 1, size: 1MiB } }")
        .start();
    let open = || kordon.metrics().sum("kordon_connections", &[("listener", "alice")]);
    let mut raw = Raw::connect(kordon.at("alice"));
    let poll = long_poll(&mut raw, &topic, Duration::from_secs(120));
    assert_eq!(open(), 1.0);
    let received = || kordon.metrics().sum("kordon_received_bytes_total", &[("listener", "alice")]);
    let before = received();
    raw.send(ApiKey::FETCH, 12, &poll);
    raw.send(ApiKey::FETCH, 12, &poll);
    let sent = 2.0 * raw.frame(ApiKey::FETCH, 12, &poll).len() as f64;
    soon("both were read", || if received() >= before + sent { Ok(()) } else { Err(received() - before) });
    // Its process dies: the system resets what is open.
    socket2::SockRef::from(&raw.writer()).set_linger(Some(Duration::ZERO)).unwrap();
    drop(raw);
    soon("the connection has ended", || if open() == 0.0 { Ok(()) } else { Err(open()) });
}

#[test]
fn a_client_that_was_kept_waiting_has_its_whole_patience_for_the_rest_of_a_request() {
    needs!(Java);
    let cluster = Cluster::single();
    let topic = cluster.topic("patience", 1);
    let limits = "limits: { frame_timeout: 2s, upstream_ahead: { requests: 1, size: 1MiB } }";
    let kordon = Kordon::before(cluster).person("alice").config(limits).start();
    let mut raw = Raw::connect(kordon.at("alice"));
    let poll = long_poll(&mut raw, &topic, Duration::from_secs(4));
    raw.send(ApiKey::FETCH, 12, &poll);
    raw.send(ApiKey::METADATA, 9, &metadata_request(Some(&[&topic])));
    let last = raw.frame(ApiKey::METADATA, 9, &metadata_request(Some(&[&topic])));
    let (first, rest) = last.split_at(last.len() / 2);
    raw.send_bytes(first);
    assert_eq!(raw.receive().i16(fetch::response::ERROR_CODE), ErrorCode::NONE.0);
    raw.receive();
    raw.send_bytes(rest);
    let answer = raw.read_frame().expect("the connection stands");
    assert!(answer.is_some(), "the proxy did not read for longer than it waits for a frame, and blamed the client");
}

#[test]
fn a_stop_that_cannot_wait_for_an_answer_writes_the_end_of_the_connection() {
    needs!(Java);
    let cluster = Cluster::single();
    let topic = cluster.topic("stop", 1);
    let mut kordon = Kordon::before(cluster).person("alice").config("shutdown: { drain: 2s }").start();
    let mut raw = Raw::connect(kordon.at("alice"));
    let poll = long_poll(&mut raw, &topic, Duration::from_secs(120));
    raw.send(ApiKey::FETCH, 12, &poll);
    let mut audit = kordon.audit();
    audit.wait("the fetch is judged", |e| e.method() == "kafka.Fetch");
    assert_eq!(kordon.terminate(), Some(0));
    audit.wait("the end is told", |e| e.kind() == "connection" && e.text("/connectionInfo/reason") == "drain");
}

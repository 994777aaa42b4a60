//! Bounds of the process: what is full makes clients wait, it never grows.

use std::time::Duration;

use kordon::wire::{ApiKey, ErrorCode};

use crate::support::cluster::Cluster;
use crate::support::proxy::Kordon;
use crate::support::raw::{Raw, batch, produce_request, produced};
use crate::support::{needs, soon, throughout};

/// Two requests of this size are more than the bound.
const SIZE: usize = 700 * 1024;

#[test]
fn large_requests_wait_for_their_share_of_the_memory() {
    needs!(Java);
    let cluster = Cluster::shared();
    let topic = cluster.topic("limits", 1);
    let kordon =
        Kordon::before(cluster).person("alice").config("limits: { frame: 1MiB, request_memory: 1MiB }").start();
    let (_, leader) = Raw::connect(kordon.at("alice")).topic(&topic, 0);
    let at = kordon.broker("alice", leader);
    let value = vec![b'x'; SIZE];
    let request = produce_request(1, &[(&topic, &batch(&[&value]))]);

    // The first has sent half of its request and keeps its share.
    let mut first = Raw::connect(&at);
    let frame = first.frame(ApiKey::PRODUCE, 9, &request);
    let (sent, kept) = frame.split_at(SIZE / 2);
    first.send_bytes(sent);
    let received = || kordon.metrics().sum("kordon_received_bytes_total", &[("listener", "alice")]);
    soon("the first half has arrived", || {
        if received() >= (SIZE / 2) as f64 { Ok(()) } else { Err(format!("{} bytes", received())) }
    });

    let mut second = Raw::connect(&at);
    let writer = second.writer();
    let whole = second.frame(ApiKey::PRODUCE, 9, &request);
    let before = received();
    let sender = std::thread::spawn(move || std::io::Write::write_all(&mut &writer, &whole));
    throughout("the second is not read beyond its head", Duration::from_millis(500), || {
        let more = received() - before;
        if more < 200_000.0 { Ok(()) } else { Err(format!("{more} bytes of it were read")) }
    });

    first.send_bytes(kept);
    assert_eq!(produced(&first.receive())[0].1, ErrorCode::NONE);
    assert_eq!(produced(&second.receive())[0].1, ErrorCode::NONE, "its share is free again");
    sender.join().unwrap().unwrap();
}

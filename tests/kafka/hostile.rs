//! Bytes that no honest client sends: the connection ends or is served as it should, the reason is named in metric and
//! log, nothing else is touched.

use std::io::Write as _;
use std::time::Duration;

use kordon::wire::schema::{api_versions, metadata};
use kordon::wire::{ApiKey, ErrorCode, Node};

use crate::support::cluster::{Cluster, Options};
use crate::support::proxy::{Kordon, Setup};
use crate::support::raw::{End, Raw, metadata_request, produce_request, produced};
use crate::support::{needs, process, say, soon};

const MIB: u64 = 1024 * 1024;

/// A proxy before the shared cluster, and a topic.
fn start() -> (Kordon<'static>, String) {
    let cluster = Cluster::shared();
    let topic = cluster.topic("hostile", 1);
    (setup(cluster).start(), topic)
}

fn setup(cluster: &Cluster) -> Setup<'_> {
    Kordon::before(cluster).person("alice").config("limits: { frame: 1MiB }")
}

/// A frame: key, version, correlation id 7, client id `x`, then these bytes.
fn frame(key: i16, version: i16, rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    body.extend(key.to_be_bytes());
    body.extend(version.to_be_bytes());
    body.extend(7_i32.to_be_bytes());
    body.extend([0, 1, b'x']);
    body.extend(rest);
    let mut out = (body.len() as i32).to_be_bytes().to_vec();
    out.extend(body);
    out
}

fn closed(kordon: &Kordon, reason: &str) -> f64 {
    kordon.metrics().sum("kordon_connections_closed_total", &[("listener", "alice"), ("reason", reason)])
}

/// One client's bytes, for which its connection ends, and the reason told.
struct Hostile {
    what: &'static str,
    bytes: Vec<u8>,
    reason: &'static str,
    /// What the log line says beside the reason.
    words: &'static str,
}

fn hostile() -> Vec<Hostile> {
    let of = |what, bytes, reason, words| Hostile { what, bytes, reason, words };
    let mut hello = vec![0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03];
    hello.resize(517, 0x5a);
    let duplicate = [3, 0, 1, 0xaa, 0, 1, 0xbb]; // count 2 (+1 is for arrays only), twice tag 0
    let duplicate = [&[0, 0, 0, 0][..], &[2], &duplicate[1..]].concat();
    vec![
        of("a count of 2^31-1", frame(3, 1, &[0x7f, 0xff, 0xff, 0xff]), "malformed_request", "Metadata version 1"),
        of("a frame of 3 bytes", vec![0, 0, 0, 3, 1, 2, 3], "frame_malformed", "frame of 3 bytes is too small"),
        of("a frame of no bytes", vec![0, 0, 0, 0], "frame_malformed", "frame of 0 bytes is too small"),
        of("a negative size", vec![0xff, 0xff, 0xff, 0xfe, 0, 3], "frame_malformed", "frame size -2 is negative"),
        of("a trailing byte", frame(3, 1, &[0, 0, 0, 0, 9]), "malformed_request", "Metadata version 1"),
        // header tags none; null topics, no auto-creation, no bits; then the tag section
        of(
            "duplicate tags",
            frame(3, 12, &[0, 0, 0, 0, 2, 5, 1, 0xaa, 5, 1, 0xbb]),
            "malformed_request",
            "Metadata version 12",
        ),
        of("duplicate tags in a header", frame(3, 12, &duplicate), "malformed_request", ""),
        of("a string beyond the frame", frame(3, 1, &[0, 0, 0, 1, 0x7f, 0xff, b'a']), "malformed_request", "Metadata"),
        of("a frame over the cap", 1_048_577_i32.to_be_bytes().to_vec(), "frame_too_large", "is larger than 1048576"),
        of("a TLS ClientHello", hello, "tls_on_plaintext", "tls handshake on a listener without tls"),
        of(
            "HTTP",
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
            "frame_malformed",
            "http request on a kafka listener",
        ),
        of("an API that does not exist", frame(999, 0, &[]), "unknown_api", ""),
        of("a version that does not exist", frame(3, 99, &[]), "unsupported_version", ""),
        of("a negative key", frame(-1, 0, &[]), "unknown_api", ""),
    ]
}

#[test]
fn hostile_bytes_end_their_connection_with_a_reason_and_touch_nothing_else() {
    needs!(Java);
    let (kordon, topic) = start();
    let mut bystander = Raw::connect(kordon.at("alice"));
    bystander.metadata(Some(&[&topic]));
    let pid = kordon.pid();
    for case in hostile() {
        let before = (closed(&kordon, case.reason), kordon.log().len());
        let tap = kordon.tap();
        process::reset_peak(pid);
        let resident = process::resident(pid);
        let mut raw = Raw::connect(kordon.at("alice"));
        raw.send_bytes(&case.bytes);
        assert!(raw.ended_silently(), "{}: not closed, or a byte came first", case.what);
        soon(case.what, || match closed(&kordon, case.reason) {
            n if n == before.0 + 1.0 => Ok(()),
            n => Err(format!("{} connections ended as {}", n - before.0, case.reason)),
        });
        let log = kordon.log()[before.1..].to_owned();
        let told =
            log.lines().any(|line| line.contains(&format!("reason={}", case.reason)) && line.contains(case.words));
        assert!(told, "{}: `{}` and `{}` are not in one line of the log:\n{log}", case.what, case.reason, case.words);
        // Metadata is the proxy's own traffic too; what it asks has another client id.
        let passed: Vec<_> = tap.frames().into_iter().filter(|f| f.bytes.get(8..11) == Some(&[0, 1, b'x'])).collect();
        assert!(passed.is_empty(), "{}: a broker saw {passed:?}", case.what);
        let grown = process::peak(pid).saturating_sub(resident);
        assert!(grown < 8 * MIB, "{}: memory rose by {grown} bytes", case.what);
        bystander.metadata(Some(&[&topic]));
    }
    let open = kordon.metrics().sum("kordon_connections", &[("listener", "alice")]);
    assert_eq!((open, kordon.pid()), (1.0, pid), "the bystander's connection is the one left");
}

#[test]
fn requests_before_a_malformed_one_are_answered_and_none_behind_it() {
    needs!(Java);
    let (kordon, topic) = start();
    let mut raw = Raw::connect(kordon.at("alice"));
    let (_, leader) = raw.topic(&topic, 0);
    let mut raw = Raw::connect(&kordon.broker("alice", leader));
    let mut bytes = raw.frame(ApiKey::PRODUCE, 9, &produce_request(-1, &[(&topic, b"one")]));
    bytes.extend(frame(3, 1, &[0, 0, 0, 0, 9]));
    bytes.extend(Raw::connect(kordon.at("alice")).frame(ApiKey::PRODUCE, 9, &produce_request(-1, &[(&topic, b"no")])));
    raw.send_bytes(&bytes);
    assert_eq!(produced(&raw.receive()), [(topic.clone(), ErrorCode::NONE, 0)]);
    assert!(raw.ended_silently());
    let mut raw = Raw::connect(&kordon.broker("alice", leader));
    let answer = raw.ask(ApiKey::PRODUCE, 9, &produce_request(-1, &[(&topic, b"two")]));
    assert_eq!(produced(&answer), [(topic, ErrorCode::NONE, 1)], "what stood behind was not written");
}

#[test]
fn ten_thousand_pipelined_requests_are_answered_in_order() {
    needs!(Java);
    const COUNT: usize = 10_000;
    let (kordon, topic) = start();
    let mut raw = Raw::connect(kordon.at("alice"));
    raw.metadata(Some(&[&topic]));
    let before = kordon.metrics().sum("kordon_requests_total", &[("api", "Metadata")]);
    let resident = kordon.memory();
    process::reset_peak(kordon.pid());
    let mut bytes = Vec::new();
    for _ in 0..COUNT {
        bytes.extend(raw.frame(ApiKey::METADATA, 12, &metadata_request(Some(&[&topic]))));
    }
    let mut writer = raw.writer();
    let sender = std::thread::spawn(move || writer.write_all(&bytes).is_ok());
    let mut bystander = Raw::connect(kordon.at("alice"));
    bystander.metadata(Some(&[&topic]));
    raw.patience(Duration::from_secs(60));
    for _ in 0..COUNT {
        let told = raw.receive(); // in order, or this fails
        assert_eq!(told.nodes(metadata::response::TOPICS).len(), 1);
    }
    assert!(sender.join().expect("the sender"), "every request was taken");
    let after = kordon.metrics().sum("kordon_requests_total", &[("api", "Metadata")]);
    assert_eq!(after - before, COUNT as f64 + 1.0);
    let grown = process::peak(kordon.pid()).saturating_sub(resident);
    say(format!("10,000 pipelined requests: peak memory +{:.1} MB", grown as f64 / MIB as f64));
    assert!(grown < 64 * MIB, "memory rose by {grown} bytes");
}

#[test]
fn a_client_that_never_reads_holds_no_more_than_its_bounds() {
    needs!(Java);
    let (kordon, topic) = start();
    let mut raw = Raw::connect(kordon.at("alice"));
    raw.metadata(Some(&[&topic]));
    let resident = kordon.memory();
    let mut bytes = Vec::new();
    for _ in 0..2_000 {
        bytes.extend(raw.frame(ApiKey::METADATA, 12, &metadata_request(Some(&[&topic]))));
    }
    let writer = raw.writer();
    writer.set_write_timeout(Some(Duration::from_secs(1))).expect("timeout");
    // More than the bounds and all socket buffers take, and nobody reads.
    let blocked = (0..200).any(|_| (&writer).write_all(&bytes).is_err());
    assert!(blocked, "the proxy reads on and on");
    let grown = kordon.memory().saturating_sub(resident);
    say(format!("a client that never reads: memory +{:.1} MB", grown as f64 / MIB as f64));
    assert!(grown < 64 * MIB, "memory rose by {grown} bytes");
    Raw::connect(kordon.at("alice")).metadata(Some(&[&topic]));
}

#[test]
fn two_requests_in_one_packet_before_the_broker_is_reached_are_answered_in_order() {
    needs!(Java);
    // a cluster of its own, whose gate is held; one broker is enough for an order on one connection
    let cluster = Cluster::start(Options { nodes: 1, ..Options::default() });
    let topic = cluster.topic("hostile", 1);
    cluster.gate.hold_connections(1);
    // Its ports are bound before it has reached a broker.
    let mut kordon = setup(&cluster).expects("the cluster cannot be asked").launch();
    soon("the port is bound", || std::net::TcpStream::connect(kordon.at("alice")).map(drop));
    let mut raw = Raw::connect(kordon.at("alice"));
    let mut bytes = raw.frame(ApiKey::API_VERSIONS, 3, &api_versions_request());
    bytes.extend(raw.frame(ApiKey::METADATA, 12, &metadata_request(Some(&[&topic]))));
    bytes.extend(raw.frame(ApiKey::PRODUCE, 9, &produce_request(-1, &[(&topic, b"one")])));
    raw.send_bytes(&bytes);
    cluster.gate.release(1);
    let versions = raw.receive();
    assert!(versions.nodes(api_versions::response::API_KEYS).len() > 10, "{versions:?}");
    assert_eq!(raw.receive().nodes(metadata::response::TOPICS).len(), 1);
    assert_eq!(produced(&raw.receive()), [(topic.clone(), ErrorCode::NONE, 0)]);
    kordon.await_ready();

    // The same with a proxy that is up and a broker that takes the connection and says nothing.
    cluster.gate.hold_connections(1);
    let mut raw = Raw::connect(kordon.at("alice"));
    let mut bytes = raw.frame(ApiKey::METADATA, 12, &metadata_request(Some(&[&topic])));
    bytes.extend(raw.frame(ApiKey::PRODUCE, 9, &produce_request(-1, &[(&topic, b"two")])));
    raw.send_bytes(&bytes);
    raw.patience(Duration::from_millis(300));
    assert!(raw.read_frame().is_err(), "nobody has answered yet");
    cluster.gate.release(1);
    raw.patience(Duration::from_secs(10));
    assert_eq!(raw.receive().nodes(metadata::response::TOPICS).len(), 1);
    assert_eq!(produced(&raw.receive()), [(topic, ErrorCode::NONE, 1)]);
}

fn api_versions_request() -> Node {
    use api_versions::request::{CLIENT_SOFTWARE_NAME, CLIENT_SOFTWARE_VERSION};
    Node::request(ApiKey::API_VERSIONS).with(CLIENT_SOFTWARE_NAME, "raw").with(CLIENT_SOFTWARE_VERSION, "1")
}

#[test]
fn api_versions_of_a_version_nobody_knows_is_answered_in_version_0() {
    needs!(Java);
    let kordon = setup(Cluster::shared()).start();
    let mut raw = Raw::connect(kordon.at("alice"));
    raw.send_bytes(&frame(18, 77, &[1, 2, 3, 4, 5]));
    raw.expect(ApiKey::API_VERSIONS, 0, 7);
    use api_versions::response::{API_KEYS, ERROR_CODE, api_version};
    let told = raw.receive();
    assert_eq!(ErrorCode(told.i16(ERROR_CODE)), ErrorCode::UNSUPPORTED_VERSION);
    let keys: Vec<i16> = told.nodes(API_KEYS).iter().map(|k| k.i16(api_version::API_KEY)).collect();
    assert_eq!(keys, [ApiKey::API_VERSIONS.0]);
    // and the connection goes on
    let told = raw.ask(ApiKey::API_VERSIONS, 3, &api_versions_request());
    assert_eq!(ErrorCode(told.i16(ERROR_CODE)), ErrorCode::NONE);
}

#[test]
fn a_reset_in_the_middle_of_a_request_is_named() {
    needs!(Java);
    let kordon = setup(Cluster::shared()).start();
    let mut raw = Raw::connect(kordon.at("alice"));
    raw.send_bytes(&[0, 0, 1, 0, 0, 3, 0, 1]);
    raw.finish();
    assert_ne!(raw.end(), End::Open);
    soon("the end is counted", || closed(&kordon, "client_eof") + closed(&kordon, "client_reset") == 1.0);
}

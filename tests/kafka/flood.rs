//! Crowds that connect and never say who they are: others are served meanwhile, and memory stays within its bound.
//!
//! `KORDON_TEST=full` does it with 10,000 connections that say nothing and 1,000 slow handshakes.

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};
use socket2::{Domain, Socket, Type};

use crate::logins::PEOPLE;
use crate::renewals::{handshake, tell};
use crate::support::certificates::{Authority, BOTH};
use crate::support::cluster::Cluster;
use crate::support::java::Java;
use crate::support::people::{PLAIN, jaas};
use crate::support::proxy::Kordon;
use crate::support::raw::Raw;
use crate::support::{needs, say, scratch, soon, unique};

/// Where the crowd comes from; others come from 127.0.0.1.
const CROWD: [Ipv4Addr; 2] = [Ipv4Addr::new(127, 0, 0, 2), Ipv4Addr::new(127, 0, 0, 3)];

fn connect(to: SocketAddr, from: Ipv4Addr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((from, 0)).into()).unwrap();
    socket.connect(&to.into()).unwrap();
    socket.into()
}

/// What a client says first.
fn hello(config: &Arc<ClientConfig>) -> Vec<u8> {
    let mut tls = ClientConnection::new(Arc::clone(config), ServerName::try_from("localhost").unwrap()).unwrap();
    let mut bytes = Vec::new();
    tls.write_tls(&mut bytes).unwrap();
    bytes
}

/// A record of the largest size, of a message that claims to be longer.
fn stuffed() -> Vec<u8> {
    let mut bytes = vec![0x16, 0x03, 0x01, 0x40, 0x00, 0x01, 0x00, 0xff, 0x00];
    bytes.resize(5 + 0x4000, 0);
    bytes
}

/// From connect to the answer to a request, with a login over TLS between.
fn well_behaved(at: &str, config: &Arc<ClientConfig>) -> Duration {
    let begun = Instant::now();
    let mut raw = Raw::connect(at).secure(config, "localhost");
    assert_eq!(handshake(&mut raw, "PLAIN"), 0);
    tell(&mut raw, 2, "alice", "alice-secret").unwrap();
    raw.metadata(Some(&[]));
    begun.elapsed()
}

#[test]
fn crowds_that_nobody_knows_give_way_to_who_logs_in_and_cost_little() {
    needs!(Java);
    let full = std::env::var("KORDON_TEST").is_ok_and(|what| what == "full");
    // In full: as many places as a process with 20,000 files has.
    let (silent, slow, places) = if full { (10_000, 1_000, 9_744) } else { (1_500, 150, 1_200) };
    let cluster = Cluster::single();
    let authority = Authority::new(&scratch(&unique("flood")), "listeners");
    let pair = authority.server();
    let tls = format!("tls: {{ certificate: {}, key: {} }}", pair.certificate_file.display(), pair.key_file.display());
    let sasl = "identity: sasl\n    sasl: { mechanisms: [PLAIN] }";
    let kordon = Kordon::before(cluster)
        .listener(
            "people",
            &format!("{sasl}\n    {tls}\n    limits: {{ connections: {places}, handshake_timeout: 120s }}"),
        )
        .listener("pods", &format!("{sasl}\n    {tls}"))
        .users(&PEOPLE)
        .start();
    let config = authority.trusting(None, BOTH);
    let (at, pods) = (kordon.at("people").to_owned(), kordon.at("pods").to_owned());
    let to: SocketAddr = at.parse().unwrap();
    let metric =
        |name: &str, labels: &[(&str, &str)]| kordon.metrics().sum(name, &[labels, &[("listener", "people")]].concat());
    let open = || metric("kordon_connections", &[]) as usize;
    let displaced = || metric("kordon_connections_closed_total", &[("reason", "displaced")]) as usize;
    let files = || std::fs::read_dir(format!("/proc/{}/fd", kordon.pid())).unwrap().count();
    let quiet = (0..5).map(|_| well_behaved(&at, &config)).max().unwrap();
    soon("the first are gone", || open() == 0);
    let (before, memory) = (files(), kordon.memory());
    let per = |grown: u64, count: usize| grown / count as u64;

    // Half of the places first, to see what each costs.
    let begun = Instant::now();
    let half: Vec<TcpStream> = (0..places / 2).map(|n| connect(to, CROWD[n % 2])).collect();
    soon("they are in", || open() == places / 2);
    let grown = kordon.memory().saturating_sub(memory);
    let each = per(grown, places / 2);
    say(format!("{} silent connections in {:.2?}: {each} bytes each", places / 2, begun.elapsed()));
    assert!(each < 8 * 1024, "{each} bytes for each silent connection");

    // Handshakes that have begun and creep on.
    let (first, stop) = (hello(&config), Arc::new(AtomicBool::new(false)));
    let memory = kordon.memory();
    let mut creeping: Vec<TcpStream> = (0..slow).map(|n| connect(to, CROWD[n % 2])).collect();
    for stream in &mut creeping {
        stream.write_all(&first[..first.len() / 2]).unwrap();
    }
    let received = soon("they are in too", || if open() == places / 2 + slow { Some(kordon.memory()) } else { None });
    let each = per(received.saturating_sub(memory), slow);
    say(format!("{slow} slow handshakes: {each} bytes each"));
    assert!(each < 48 * 1024, "{each} bytes for each slow handshake");
    let creep = {
        let (stop, rest) = (Arc::clone(&stop), first[first.len() / 2..first.len() - 1].to_vec());
        std::thread::spawn(move || {
            for byte in rest {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                for stream in &mut creeping {
                    let _ = stream.write_all(&[byte]);
                }
                std::thread::park_timeout(Duration::from_millis(20));
            }
            creeping
        })
    };

    // More than there are places for: others still log in, each within the time that it takes alone, and some.
    let rest: Vec<TcpStream> = (0..silent - places / 2).map(|n| connect(to, CROWD[n % 2])).collect();
    soon("all places are taken", || open() == places);
    let waited: Vec<Duration> = (0..20).map(|_| well_behaved(&at, &config)).collect();
    let most = waited.iter().max().unwrap();
    let (gone, opened) = (displaced(), files() - before);
    say(format!(
        "a login among {silent} silent and {slow} slow: at most {most:.2?}, alone {quiet:.2?}; {gone} gave way; {opened} files"
    ));
    assert!(*most < Duration::from_secs(4), "{waited:?}");
    assert!(gone >= silent + slow - places, "{gone} gave way");
    assert!(opened <= places + 100, "{opened} files: one for each client and none for a broker");
    assert!(well_behaved(&pods, &config) < Duration::from_secs(4), "another listener has places of its own");

    // A crowd that never ends, while Java works.
    let flood = {
        let stop = Arc::clone(&stop);
        std::thread::spawn(move || {
            let mut count = 0;
            while !stop.load(Ordering::Relaxed) {
                drop(connect(to, CROWD[count % 2]));
                count += 1;
            }
            count
        })
    };
    let topic = cluster.topic("flood", 1);
    let (tls, jaas) = (authority.java("SASL_SSL", None), jaas("PLAIN", "alice", "alice-secret"));
    let settings = tls.and(&[("sasl.mechanism", "PLAIN"), ("sasl.jaas.config", &jaas)]);
    let sent = Java::newest().producer(&at, &settings).send_bulk(&topic, 500, 1000);
    assert_eq!((sent.ok, sent.error()), (500, None));
    stop.store(true, Ordering::Relaxed);
    say(format!("{} more connections came meanwhile", flood.join().unwrap()));
    let lines = kordon.log().lines().filter(|line| line.contains("before a login")).count();
    assert!(lines < 1000, "{lines} lines of the log");

    // The most that one can make a handshake hold.
    drop((half, rest, creep.join().unwrap()));
    soon("all are gone", || open() == 0);
    let memory = kordon.memory();
    let count = if full { places } else { slow };
    let mut stuffing: Vec<TcpStream> = (0..count).map(|n| connect(to, CROWD[n % 2])).collect();
    for stream in &mut stuffing {
        stream.set_write_timeout(Some(Duration::from_secs(5))).unwrap();
        stream.write_all(&stuffed()[..12 * 1024]).unwrap();
    }
    soon("they are in", || open() == count);
    let each = per(kordon.memory().saturating_sub(memory), count);
    say(format!("{count} stuffed handshakes: {each} bytes each, {} MB in all", kordon.memory() / 1_000_000));
    assert!(each < 48 * 1024, "{each} bytes for each stuffed handshake");
    for stream in &mut stuffing {
        // Closed by then, if it is quick.
        let _ = stream.write_all(&stuffed());
    }
    soon("more than any handshake has is taken for none", || {
        metric("kordon_connections_closed_total", &[("reason", "handshake_failed")]) as usize == count
    });
    soon("all are gone", || open() == 0);
    well_behaved(&at, &config);
    drop(stuffing);
    soon("all are gone", || open() == 0);
}

#[test]
fn who_is_not_served_anyway_takes_nobodys_place() {
    let cluster = Cluster::single();
    let kordon = Kordon::before(cluster)
        .listener("balanced", &format!("{PLAIN}\n    proxy_protocol: [127.0.0.2]\n    limits: {{ connections: 1 }}"))
        .listener("direct", &format!("{PLAIN}\n    limits: {{ connections: 2, connections_per_address: 1 }}"))
        .users(&PEOPLE)
        .expects("too_many_connections")
        .start();
    let to = |listener: &str| -> SocketAddr { kordon.at(listener).parse().unwrap() };
    let open = |listener: &str| kordon.metrics().sum("kordon_connections", &[("listener", listener)]);
    let closed = |listener: &str, reason: &str| {
        kordon.metrics().sum("kordon_connections_closed_total", &[("listener", listener), ("reason", reason)])
    };
    let (balanced, direct) = (to("balanced"), to("direct"));
    let first: Vec<TcpStream> =
        [(balanced, CROWD[0]), (direct, CROWD[0]), (direct, CROWD[1])].map(|(to, from)| connect(to, from)).into();
    soon("all places are taken", || open("balanced") == 1.0 && open("direct") == 2.0);
    for _ in 0..5 {
        drop((connect(balanced, CROWD[1]), connect(direct, CROWD[1])));
    }
    soon("they are turned away", || {
        closed("balanced", "not_from_balancer") == 5.0 && closed("direct", "too_many_connections") == 5.0
    });
    assert_eq!((closed("balanced", "displaced"), closed("direct", "displaced")), (0.0, 0.0));
    assert_eq!((open("balanced"), open("direct")), (1.0, 2.0));
    // Nor do those who leave without a word fill the log.
    drop(first);
    soon("they leave", || closed("direct", "client_eof") == 2.0);
    assert_eq!(kordon.log().lines().filter(|line| line.contains("client_eof")).count(), 0);
}

#[test]
fn clients_of_a_broker_that_cannot_be_dialled_do_not_fill_the_log() {
    const CLIENTS: usize = 300;
    let upstream = "upstream: { sasl: { mechanism: PLAIN, username: x, password: { file: password } } }";
    let kordon = Kordon::before(Cluster::single())
        .listener("refused", &format!("identity: fixed\n    principal: \"User:x\"\n    {upstream}"))
        // The told port is found in the log.
        .brokers("{ map: { 1: { bind: \"127.0.0.1:0\" } } }")
        .file("password", "wrong")
        .start();
    kordon.await_log("listening listener=\"refused\" broker=1 address=127.0.0.1:");
    let (to, begun): (SocketAddr, Instant) = (kordon.at("refused").parse().unwrap(), Instant::now());
    let clients: Vec<TcpStream> = (0..CLIENTS).map(|n| connect(to, CROWD[n % 2])).collect();
    soon("all are told", || {
        let reason = [("reason", "upstream_unreachable")];
        kordon.metrics().sum("kordon_connections_closed_total", &reason) as usize == CLIENTS
    });
    drop(clients);
    // Fifty in ten seconds, however long it took.
    let most = 50 * (2 + usize::try_from(begun.elapsed().as_secs() / 10).unwrap());
    for part in ["broker cannot be dialled", "upstream_unreachable"] {
        let lines = kordon.log().lines().filter(|line| line.contains(part)).count();
        assert!((1..=most).contains(&lines), "{lines} lines with `{part}`");
    }
}

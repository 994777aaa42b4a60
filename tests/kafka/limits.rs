//! Bounds of the process: what is full makes clients wait, it never grows.

use std::io::Write as _;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use kordon::wire::{ApiKey, ErrorCode};

use crate::logins::{PEOPLE, count, shake};
use crate::renewals::{PLAIN, handshake, log_in, tell};
use crate::support::certificates::Authority;
use crate::support::cluster::Cluster;
use crate::support::people;
use crate::support::proxy::Kordon;
use crate::support::raw::{End, FetchSpec, Raw, batch, produce_request, produced};
use crate::support::{needs, say, scratch, soon, throughout, unique};
use crate::tls_clients::tls;

/// Connections that say nothing.
const SILENT: usize = 1_000;
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

    let paused = |limit| kordon.metrics().sum("kordon_reads_paused_total", &[("listener", "alice"), ("limit", limit)]);
    assert_eq!((paused("request_memory"), paused("in_flight")), (1.0, 0.0));
    first.send_bytes(kept);
    assert_eq!(produced(&first.receive())[0].1, ErrorCode::NONE);
    assert_eq!(produced(&second.receive())[0].1, ErrorCode::NONE, "its share is free again");
    sender.join().unwrap().unwrap();
}

#[test]
fn who_asks_faster_than_is_answered_is_slowed_down_by_the_limits_of_its_listener_and_that_is_counted() {
    needs!(Java);
    let cluster = Cluster::single();
    let topic = cluster.topic("slowed", 1);
    let fixed = "identity: fixed\n    principal: \"User:alice\"\n    limits: ";
    let kordon = Kordon::before(cluster)
        .listener("ahead", &format!("{fixed}{{ upstream_ahead: {{ requests: 1 }} }}"))
        .listener("flight", &format!("{fixed}{{ in_flight: 1, upstream_ahead: {{ requests: 1 }} }}"))
        .person("free")
        .start();
    let paused = |listener: &str, limit: &str| {
        kordon.metrics().sum("kordon_reads_paused_total", &[("listener", listener), ("limit", limit)])
    };
    for listener in ["ahead", "flight", "free"] {
        let (id, _) = Raw::connect(kordon.at(listener)).topic(&topic, 0);
        let mut raw = Raw::connect(&kordon.broker(listener, 1));
        for _ in 0..4 {
            raw.send(ApiKey::FETCH, 12, &FetchSpec::of(&topic, id, 0).request());
        }
        for _ in 0..4 {
            raw.receive();
        }
    }
    assert!(paused("ahead", "upstream_ahead") >= 1.0 && paused("ahead", "in_flight") == 0.0);
    assert!(paused("flight", "in_flight") >= 1.0 && paused("flight", "upstream_ahead") == 0.0);
    assert_eq!(paused("free", "upstream_ahead") + paused("free", "in_flight"), 0.0);
}

#[test]
fn a_listener_has_bounds_of_its_own_for_frames_and_patience_and_others_keep_theirs() {
    needs!(Java);
    let cluster = Cluster::single();
    let topic = cluster.topic("bounds", 1);
    let authority = Authority::new(&scratch(&unique("bounds")), "listeners");
    let fixed = "identity: fixed\n    principal: \"User:alice\"\n    limits: ";
    // A login may not be larger than a request, nor take longer than may be said nothing.
    let bounds = "{ frame: 64KiB, frame_before_login: 64KiB, frame_timeout: 1s, idle_timeout: 2s, login_timeout: 2s }";
    let secured = tls(&authority.server(), "");
    let kordon = Kordon::before(cluster)
        .listener("tight", &format!("{fixed}{bounds}"))
        .listener("login", &format!("{}\n    limits: {{ login_timeout: 1s }}", people::PLAIN))
        .listener("tls", &format!("{secured}{fixed}{{ handshake_timeout: 1s }}"))
        .person("loose")
        .users(&PEOPLE)
        .start();
    let ends = |listener: &str, reason: &str| {
        kordon.metrics().sum("kordon_connections_closed_total", &[("listener", listener), ("reason", reason)])
    };
    let idle = ["tight", "loose"].map(|listener| {
        let mut raw = Raw::connect(&kordon.broker(listener, 1));
        raw.metadata(Some(&[]));
        raw
    });
    let large = produce_request(1, &[(&topic, &batch(&[&vec![b'x'; 70 * 1024]]))]);
    let mut tight = Raw::connect(&kordon.broker("tight", 1));
    let frame = tight.frame(ApiKey::PRODUCE, 9, &large);
    tight.send_bytes(&frame[..1000]);
    assert_ne!(tight.end(), End::Open);
    let small = produce_request(1, &[(&topic, &batch(&[b"x"]))]);
    let begun = ["tight", "loose"].map(|listener| {
        let mut raw = Raw::connect(&kordon.broker(listener, 1));
        let mut frame = raw.frame(ApiKey::PRODUCE, 9, &small);
        let rest = frame.split_off(20);
        raw.send_bytes(&frame);
        (raw, rest)
    });
    let silent = ["login", "tls"].map(|listener| TcpStream::connect(kordon.at(listener)).expect("a connection"));
    for (listener, reason) in [
        ("tight", "frame_too_large"),
        ("tight", "frame_timeout"),
        ("tight", "idle"),
        ("login", "login_timeout"),
        ("tls", "handshake_timeout"),
    ] {
        soon(reason, || ends(listener, reason) >= 1.0);
    }
    drop(silent);
    let ([_, mut patient], [_, (mut slow, rest)]) = (idle, begun);
    patient.metadata(Some(&[]));
    slow.send_bytes(&rest);
    assert_eq!(produced(&slow.receive())[0].1, ErrorCode::NONE);
    assert_eq!(produced(&patient.ask(ApiKey::PRODUCE, 9, &large))[0].1, ErrorCode::NONE);
    for reason in ["frame_too_large", "frame_timeout", "idle"] {
        assert_eq!(ends("loose", reason), 0.0, "{reason}");
    }
}

fn guarded(identity: &str, limits: &str) -> Kordon<'static> {
    Kordon::before(Cluster::single())
        .listener("people", identity)
        .users(&PEOPLE)
        .config(&format!("limits: {{ {limits} }}"))
        .start()
}

fn closed(kordon: &Kordon<'_>, reason: &str) -> f64 {
    kordon.metrics().sum("kordon_connections_closed_total", &[("listener", "people"), ("reason", reason)])
}

#[test]
fn clients_that_nobody_knows_yet_hold_up_nobody_reach_no_broker_and_end() {
    needs!(Java);
    let kordon = guarded(people::PLAIN, "login_timeout: 8s, frame_before_login: 4KiB");
    let at = kordon.at("people").to_owned();
    log_in(&at, "alice");
    let files = || std::fs::read_dir(format!("/proc/{}/fd", kordon.pid())).expect("a process").count();
    soon("the first client is gone", || kordon.metrics().sum("kordon_connections", &[("listener", "people")]) == 0.0);
    let (before, memory) = (files(), kordon.memory());
    let silent: Vec<TcpStream> = (0..SILENT)
        .map(|i| {
            let mut stream = TcpStream::connect(&at).expect("a connection");
            // Every other one has begun a request, and goes no further.
            stream.write_all(if i % 2 == 0 { &[] } else { &[0, 0, 1, 0, 0, 17] }).expect("some bytes");
            stream
        })
        .collect();
    soon("they are open", || kordon.metrics().sum("kordon_connections", &[("listener", "people")]) == SILENT as f64);
    let (opened, grown) = (files() - before, kordon.memory().saturating_sub(memory));
    say(format!("{SILENT} connections before their login: {} KiB each", grown / 1024 / SILENT as u64));
    assert!(opened < SILENT + 50, "{opened} files: one for each client and none for a broker");
    assert!(grown < 32 * 1024 * SILENT as u64, "memory rose by {grown} bytes");

    let begun = Instant::now();
    let mut alice = log_in(&at, "alice");
    alice.metadata(Some(&[]));
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());

    let mut large = Raw::connect(&at);
    large.send_bytes(&4097_i32.to_be_bytes());
    assert_ne!(large.end(), End::Open, "larger than `limits.frame_before_login`");
    soon("it is counted", || closed(&kordon, "frame_too_large") == 1.0);

    soon("they are closed", || closed(&kordon, "login_timeout") == SILENT as f64);
    drop(silent);
    alice.metadata(Some(&[]));
    kordon.audit().wait("it is told", |e| e.text("/connectionInfo/reason") == "login_timeout");
}

#[test]
fn an_address_whose_logins_fail_too_often_is_turned_away_also_if_it_does_not_wait_for_the_answer() {
    needs!(Java);
    let kordon = guarded(people::PLAIN, "failed_logins: { delay: 1s, per_minute: 5 }");
    let at = kordon.at("people");
    let wrong = people::plain("alice", "wrong");
    log_in(at, "alice");
    for n in 1..=5 {
        let mut raw = Raw::connect(at);
        shake(&mut raw, PLAIN);
        raw.send(ApiKey::SASL_AUTHENTICATE, 2, &wrong);
        soon("it is counted before it is answered", || count(&kordon, "failed") == f64::from(n));
    }
    let mut raw = Raw::connect(at);
    assert!(raw.ended_silently(), "also with the right password");
    kordon.audit().wait("it is told", |e| {
        e.text("/connectionInfo/reason") == "login_failed"
            && e.text("/connectionInfo/detail").contains("`limits.failed_logins.per_minute`")
    });
}

#[test]
fn who_is_logged_in_and_guesses_is_counted_and_others_at_its_address_still_log_in_again() {
    needs!(Java);
    const DELAY: Duration = Duration::from_secs(2);
    let kordon = guarded(
        &format!("{}\n    max_session: 1h", people::PLAIN),
        "login_timeout: 6s, failed_logins: { delay: 2s, per_minute: 5 }",
    );
    let at = kordon.at("people");
    let failed = || count(&kordon, "renewal_failed");
    let (mut alice, mut slow) = (log_in(at, "alice"), log_in(at, "alice"));
    let guessers: Vec<Raw> = (0..4).map(|_| log_in(at, "alice")).collect();
    let guess = |raw: &mut Raw, n: i32, password: &str| {
        assert_eq!(handshake(raw, "PLAIN"), 0);
        let begun = Instant::now();
        raw.send(ApiKey::SASL_AUTHENTICATE, 2, &people::plain("bob", password));
        soon("it is counted", || failed() == f64::from(n));
        assert!(begun.elapsed() < DELAY, "before it is answered");
        begun
    };
    let mut last = log_in(at, "alice");
    for (n, mut raw) in (1..).zip(guessers) {
        // Another's, right or wrong.
        guess(&mut raw, n, if n % 2 == 0 { "wrong" } else { "bob-secret" });
    }
    let mut late = Raw::connect(at);
    shake(&mut late, PLAIN);
    let begun = guess(&mut last, 5, "bob-secret");
    assert!(matches!(last.read_frame(), Ok(Some(_))), "an error");
    assert!(begun.elapsed() >= DELAY, "a right guess is not told sooner than a wrong one");
    assert_eq!(failed(), 5.0, "each once");
    late.send(ApiKey::SASL_AUTHENTICATE, 2, &people::plain("alice", "alice-secret"));
    assert!(late.ended_silently(), "clients try again");
    assert!(Raw::connect(at).ended_silently(), "also with the right password");

    assert_eq!(handshake(&mut alice, "PLAIN"), 0);
    assert_eq!(
        tell(&mut alice, 2, "alice", "alice-secret"),
        Ok(3_600_000),
        "its own failures count, not its address's"
    );
    alice.metadata(Some(&[]));
    assert_eq!(handshake(&mut slow, "PLAIN"), 0);
    assert_eq!(slow.end(), End::Closed, "a login again has its time too");
    soon("it is told", || closed(&kordon, "login_timeout") == 1.0);
    assert_eq!(failed(), 5.0);
}

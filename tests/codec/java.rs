//! Kafka's Java classes as an oracle: they read what we write, we read what they write, and nothing changes.

use crate::fetch::{Jars, Tool, once, run, wanted};
use crate::messages::{STYLES, Style, Subject, message, subjects};
use crate::{say, target};
use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use kordon::wire::api::Listeners;
use kordon::wire::{ApiKey, Rope, Scan, Versions, api, apis, decode, header};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Command;

/// Random messages of each API, version and direction, in both ways.
const RANDOM: u64 = 8;

pub(crate) fn name(subject: Subject) -> String {
    let kind = if subject.response { "response" } else { "request" };
    format!("{} {kind} v{}", subject.api.name, subject.version)
}

/// The oracle, compiled.
fn oracle() -> Command {
    let classpath = Jars::Clients440.classpath();
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/codec/java/Oracle.java");
    let classes: PathBuf = target().join("kafka").join("oracle");
    once(&classes, &std::fs::read_to_string(source).unwrap(), |dir| {
        let mut javac = Command::new("javac");
        javac.args(["-nowarn", "-cp", &classpath, "-d"]).arg(dir).arg(source);
        run(javac, "javac", "openjdk-17-jdk-headless");
    });
    let mut java = Command::new("java");
    java.args(["-Xmx512m", "-XX:+UseSerialGC", "-cp"]).arg(format!("{}:{classpath}", classes.display())).arg("Oracle");
    java
}

/// Prints how many messages each API and version had, and fails if one had none.
fn report(what: &str, counts: &BTreeMap<(i16, i16, bool), usize>) {
    let mut by_api: BTreeMap<i16, Vec<String>> = BTreeMap::new();
    for subject in subjects() {
        let count = counts.get(&(subject.api.key.0, subject.version, subject.response)).copied().unwrap_or(0);
        assert!(count > 0, "{what}: no message of {}", name(subject));
        if !subject.response {
            let responses = counts.get(&(subject.api.key.0, subject.version, true)).copied().unwrap_or(0);
            let line = format!("v{} {}", subject.version, count + responses);
            by_api.entry(subject.api.key.0).or_default().push(line);
        }
    }
    for (key, versions) in by_api {
        say(format!("{what}: {} {}", ApiKey(key), versions.join(", ")));
    }
    say(format!("{what}: {} messages in all", counts.values().sum::<usize>()));
}

fn count(counts: &mut BTreeMap<(i16, i16, bool), usize>, subject: Subject) {
    *counts.entry((subject.api.key.0, subject.version, subject.response)).or_default() += 1;
}

/// Has Kafka read each message and write it again: its bytes, or its error.
fn read_by_kafka(messages: &[(Subject, Bytes)]) -> Vec<Result<Bytes, String>> {
    let dir = tempfile::tempdir().unwrap();
    let (to, from) = (dir.path().join("ours"), dir.path().join("theirs"));
    let mut batch = BytesMut::new();
    for (subject, bytes) in messages {
        batch.put_i32(subject.api.key.0.into());
        batch.put_i32(subject.response.into());
        batch.put_i32(subject.version.into());
        batch.put_i32(bytes.len() as i32);
        batch.put_slice(bytes);
    }
    std::fs::write(&to, &batch).unwrap();
    let mut java = oracle();
    java.arg("read").args([&to, &from]);
    run(java, "java", "openjdk-17-jdk-headless");
    let mut results = Bytes::from(std::fs::read(&from).unwrap());
    let mut all = Vec::new();
    while results.has_remaining() {
        let ok = results.get_i32() == 1;
        let len = results.get_i32() as usize;
        let bytes = results.split_to(len);
        all.push(if ok { Ok(bytes) } else { Err(String::from_utf8_lossy(&bytes).into_owned()) });
    }
    assert_eq!(all.len(), messages.len());
    all
}

#[test]
fn kafka_reads_what_we_write() {
    if !wanted(Tool::Java) {
        return;
    }
    let (mut sent, mut origins) = (Vec::new(), Vec::new());
    for subject in subjects() {
        let styles = STYLES.into_iter().zip(0..).chain((0..RANDOM).map(|seed| (Style::Random, seed)));
        for (style, seed) in styles {
            sent.push((subject, subject.write(&message(subject, style, seed))));
            origins.push(format!("{} {style:?} seed {seed}", name(subject)));
        }
    }
    let mut counts = BTreeMap::new();
    for (((subject, ours), theirs), origin) in sent.iter().zip(read_by_kafka(&sent)).zip(origins) {
        match theirs {
            Ok(theirs) => assert!(theirs == *ours, "{origin}: Kafka writes it differently"),
            Err(error) => panic!("{origin}: {error}"),
        }
        count(&mut counts, *subject);
    }
    report("read by kafka", &counts);
}

/// A message with one byte changed at random, or a byte put in or taken out.
fn damaged(bytes: &Bytes, rng: &mut StdRng) -> Bytes {
    let mut bytes = bytes.to_vec();
    let at = rng.random_range(0..=bytes.len());
    match rng.random_range(0..4) {
        0 => bytes.insert(at, rng.random()),
        1 if at < bytes.len() => {
            bytes.remove(at);
        }
        // A varint made longer than it need be.
        2 if at < bytes.len() && bytes[at] < 0x80 => {
            bytes[at] |= 0x80;
            bytes.insert(at + 1, 0);
        }
        _ if at < bytes.len() => bytes[at] = if rng.random() { rng.random() } else { rng.random_range(0..4) },
        _ => {}
    }
    Bytes::from(bytes)
}

/// The bypass that strictness is for: bytes that we judge in one reading and the broker obeys in another.
#[test]
fn kafka_reads_damaged_bytes_as_we_do_if_we_accept_them() {
    if !wanted(Tool::Java) {
        return;
    }
    let mut rng = StdRng::seed_from_u64(17);
    let mut scan = Scan::new();
    let (mut accepted, mut tried) = (Vec::new(), 0);
    for subject in subjects() {
        for seed in 0..60 {
            let style = if seed % 8 == 0 { Style::Full } else { Style::Random };
            let bytes = subject.write(&message(subject, style, seed));
            let mut bad = damaged(&bytes, &mut rng);
            if rng.random_ratio(1, 4) {
                bad = damaged(&bad, &mut rng);
            }
            tried += 1;
            let readable = scan.read(subject.def(), subject.version, &bad);
            // Kafka keeps unknown tags, we drop them: not comparable.
            if readable.is_ok_and(|view| !view.unknown_tags()) && bad != bytes {
                accepted.push((subject, bad));
            }
        }
    }
    for ((subject, bytes), theirs) in accepted.iter().zip(read_by_kafka(&accepted)) {
        let node = decode(subject.def(), subject.version, bytes).unwrap();
        let ours = subject.write(&node);
        match theirs {
            Ok(theirs) => assert!(ours == theirs, "{}: {bytes:?} is read as {node:?}", name(*subject)),
            Err(error) => panic!("{}: we accept {bytes:?}, Kafka says {error}", name(*subject)),
        }
    }
    say(format!("kafka reads {} damaged messages of {tried} as we do; the others we refuse", accepted.len()));
    assert!(accepted.len() > 5000, "{}", accepted.len());
}

#[test]
fn we_read_what_kafka_writes() {
    if !wanted(Tool::Java) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let made = dir.path().join("made");
    let mut java = oracle();
    java.arg("make").arg((RANDOM + 4).to_string()).arg(&made);
    run(java, "java", "openjdk-17-jdk-headless");

    let mut messages = Bytes::from(std::fs::read(&made).unwrap());
    let mut counts = BTreeMap::new();
    while messages.has_remaining() {
        let key = ApiKey(messages.get_i32() as i16);
        let response = messages.get_i32() == 1;
        let version = messages.get_i32() as i16;
        let len = messages.get_i32() as usize;
        let theirs = messages.split_to(len);
        let api = api(key).unwrap_or_else(|| panic!("we have no api {}", key.0));
        let subject = Subject { api, response, version };
        let read = decode(subject.def(), version, &theirs).unwrap_or_else(|e| panic!("{}: {e}", name(subject)));
        assert!(subject.write(&read) == theirs, "{}: we write it differently: {read:?}", name(subject));
        count(&mut counts, subject);
    }
    report("written by kafka", &counts);
}

#[test]
fn the_list_of_apis_and_their_headers_is_kafkas() {
    if !wanted(Tool::Java) {
        return;
    }
    let mut java = oracle();
    java.arg("facts");
    let theirs = String::from_utf8(run(java, "java", "openjdk-17-jdk-headless").stdout).unwrap();
    let mut ours = String::new();
    for api in apis() {
        let headers: Vec<String> = api
            .versions
            .iter()
            .map(|version| {
                let mut request = Rope::new();
                header::write_request_header(api.key, version, 0, None, &mut request);
                // Key, version, correlation id, null client id; a tag section from version 2 on.
                let request = if request.len() == 11 { 2 } else { 1 };
                format!("{request}{}", header::response_header_len(api.key, version) - 4)
            })
            .collect();
        let Versions { min, max } = api.versions;
        let Listeners { broker, controller } = api.listeners;
        let line = format!(
            "{} {} {min} {max} {} {broker} {controller} {}\n",
            api.key.0,
            api.name,
            api.latest_unstable,
            headers.join(" ")
        );
        ours.push_str(&line);
    }
    let lines = |text: &str| text.lines().map(|line| line.trim().to_owned()).collect::<BTreeSet<_>>();
    let (ours, theirs) = (lines(&ours), lines(&theirs));
    assert_eq!(ours.difference(&theirs).collect::<Vec<_>>(), Vec::<&String>::new(), "not Kafka's");
    assert_eq!(theirs.difference(&ours).collect::<Vec<_>>(), Vec::<&String>::new(), "not ours");
}

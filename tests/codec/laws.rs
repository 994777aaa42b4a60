//! What the codec promises of itself.

use crate::messages::{STYLES, Style, Subject, difference, message, subjects};
use bytes::Bytes;
use kordon::wire::{Node, Scan, decode};
use proptest::prelude::*;

fn round_trip(subject: Subject, style: Style, seed: u64, scan: &mut Scan) {
    let sent = message(subject, style, seed);
    let bytes = subject.write(&sent);
    let what = || format!("{} {style:?} seed {seed}", crate::java::name(subject));
    match scan.read(subject.def(), subject.version, &bytes) {
        Ok(view) => {
            assert!(!view.unknown_tags(), "{}", what());
            assert_eq!(view.range_of_element(), 0..bytes.len());
        }
        Err(error) => panic!("{}: {error}", what()),
    }
    let read = decode(subject.def(), subject.version, &bytes).unwrap();
    assert_eq!(difference(&read, &sent), None, "{}", what());
    assert_eq!(subject.write(&read), bytes, "{}", what());
    assert_eq!(subject.stream(&bytes, 1 + seed as usize % 700), Ok(()), "{}", what());
}

#[test]
fn every_message_of_every_version_reads_as_written() {
    let mut scan = Scan::new();
    for subject in subjects() {
        for (style, seed) in STYLES.into_iter().zip(0..) {
            round_trip(subject, style, seed, &mut scan);
        }
    }
}

#[test]
fn the_empty_tree_of_every_message_can_be_written_and_read() {
    for subject in subjects() {
        let bytes = subject.write(&Node::new(subject.def().root));
        decode(subject.def(), subject.version, &bytes).unwrap();
    }
}

/// The body with one change, by chance.
fn damaged(bytes: &[u8], at: prop::sample::Index, byte: u8, cut: bool) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if bytes.is_empty() {
        return vec![byte];
    }
    let at = at.index(bytes.len());
    if cut {
        bytes.truncate(at)
    } else {
        bytes[at] = byte
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, ..ProptestConfig::default() })]

    #[test]
    fn any_message_reads_as_written(which: prop::sample::Index, seed: u64) {
        let all = subjects();
        round_trip(*which.get(&all), Style::Random, seed, &mut Scan::new());
    }

    /// Scan, tree and stream say the same of damaged bytes, and what they accept is read the same when written again.
    #[test]
    fn damaged_bytes_have_one_reading(
        which: prop::sample::Index,
        seed: u64,
        at: prop::sample::Index,
        byte: u8,
        cut: bool,
        piece in 1_usize..200,
    ) {
        let all = subjects();
        let subject = *which.get(&all);
        let bytes = damaged(&subject.write(&message(subject, Style::Random, seed)), at, byte, cut);
        let scanned = Scan::new().read(subject.def(), subject.version, &bytes).map(|_| ());
        prop_assert_eq!(&subject.stream(&bytes, piece), &scanned);
        let bytes = Bytes::from(bytes);
        match decode(subject.def(), subject.version, &bytes) {
            Ok(node) => {
                prop_assert!(scanned.is_ok());
                let again = decode(subject.def(), subject.version, &subject.write(&node)).unwrap();
                prop_assert_eq!(format!("{node:?}"), format!("{again:?}"));
            }
            Err(error) => prop_assert_eq!(Err(error), scanned),
        }
    }

    #[test]
    fn any_bytes_are_no_panic(which: prop::sample::Index, bytes: Vec<u8>) {
        let all = subjects();
        let subject = *which.get(&all);
        let _ = kordon::wire::header::request_header(&bytes);
        let scanned = Scan::new().read(subject.def(), subject.version, &bytes).map(|_| ());
        prop_assert_eq!(subject.stream(&bytes, 7), scanned);
    }
}

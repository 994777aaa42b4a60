//! Replays the corpus: one file per target, one input per line, `name: hexadecimal digits`. A name says what was found.

use crate::targets::{TARGETS, Target, check};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hostile/corpus")
}

fn entries(target: &Target) -> Vec<(String, Vec<u8>)> {
    let path = folder().join(format!("{}.txt", target.name));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let entry = |line: &str| {
        let (name, digits) = line.split_once(": ").unwrap_or_else(|| panic!("{}: `{line}`", path.display()));
        let pairs = digits.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
        let bytes = pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap_or_else(|e| panic!("{name}: {e}")));
        (name.to_owned(), bytes.collect())
    };
    lines.map(entry).collect()
}

#[test]
fn what_was_found_before_is_not_found_again() {
    for target in &TARGETS {
        let mut names = BTreeSet::new();
        for (name, bytes) in entries(target) {
            assert!(names.insert(name.clone()), "{}: `{name}` stands there twice", target.name);
            let caught = std::panic::catch_unwind(|| check(target, &bytes));
            assert!(caught.is_ok(), "{}: `{name}` was found again, see above", target.name);
        }
    }
}

/// Not a search: a few thousand inputs by chance keep the targets themselves alive between searches.
#[test]
fn inputs_by_chance_do_no_harm() {
    use rand::rngs::StdRng;
    use rand::{Rng as _, SeedableRng as _};
    let seed = std::env::var("KORDON_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(rand::random::<u64>);
    let each = std::env::var("KORDON_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(300);
    for target in &TARGETS {
        let mut rng = StdRng::seed_from_u64(seed);
        for case in 0..each {
            let len = rng.random_range(0..400);
            let bytes: Vec<u8> = (0..len).map(|_| rng.random::<u8>() >> rng.random_range(0..3)).collect();
            let caught = std::panic::catch_unwind(|| check(target, &bytes));
            let hex = || bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
            assert!(caught.is_ok(), "KORDON_SEED={seed}: {} fails in case {case}: {}", target.name, hex());
        }
    }
}

#[test]
fn every_file_of_the_corpus_has_its_target() {
    let mut files: Vec<String> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap().trim_end_matches(".txt").to_owned())
        .collect();
    files.sort();
    let mut names: Vec<_> = TARGETS.iter().map(|target| target.name.to_owned()).collect();
    names.sort();
    assert_eq!(files, names);
}

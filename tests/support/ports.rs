//! Blocks of contiguous free ports below the ephemeral range, handed out once per run over all test processes.

use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::net::TcpListener;

const FIRST: u16 = 12_000;
/// Ephemeral ports, which a test that opens thousands of connections uses up, begin at 32768.
const END: u16 = 32_000;

/// The first of `count` free ports in a row on 127.0.0.1.
///
/// A counter in a locked file walks round the range, so a block handed out is not handed out again soon, neither in
/// this process nor in another.
pub fn block(count: u16) -> u16 {
    let path = std::env::temp_dir().join("kordon-test-ports");
    let mut file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .unwrap_or_else(|e| panic!("cannot open `{}`: {e}", path.display()));
    file.lock().expect("lock of the port file");
    let mut text = String::new();
    let _ = file.read_to_string(&mut text);
    let mut next = text.trim().parse::<u16>().unwrap_or(FIRST);
    let mut tried = 0_u32;
    let found = loop {
        if next < FIRST || next + count > END {
            next = FIRST;
        }
        match (next..next + count).rev().find(|port| TcpListener::bind(("127.0.0.1", *port)).is_err()) {
            None => break next,
            Some(taken) => next = taken + 1,
        }
        tried += 1;
        assert!(tried < 20_000, "no {count} free ports in a row between {FIRST} and {END}");
    };
    file.set_len(0).expect("port file");
    file.rewind().expect("port file");
    write!(file, "{}", found + count).expect("port file");
    found
}

/// One free port on 127.0.0.1.
pub fn one() -> u16 {
    block(1)
}

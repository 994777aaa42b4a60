//! The codec against its own laws and against three others: Kafka's Java classes, `kafka-protocol`, `kafka-wire`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_possible_wrap,
    clippy::print_stderr,
    reason = "helpers of tests fail by panicking; clippy's allowances cover functions marked #[test] alone"
)]

mod crates;
#[path = "../support/fetch.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared with the tests that need a broker; this one needs a jar only")]
mod fetch;
mod java;
mod laws;
mod messages;
mod tables;

use std::fmt::Display;
use std::path::{Path, PathBuf};

/// The build directory of this run.
pub(crate) fn target() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().to_path_buf()
}

/// Tells whoever watches the run something.
pub(crate) fn say(text: impl Display) {
    eprintln!("kordon-test: {text}");
}

//! Bytes that no honest peer sends: what fuzzing found before is replayed here (`tools/fuzz/run` looks for more).
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

mod allocator;
mod corpus;
mod input;
#[allow(dead_code, reason = "shared with the tests of the codec, which compare trees, too")]
#[path = "../codec/messages.rs"]
mod messages;
#[path = "../support/mint.rs"]
mod mint;
mod simulator;
mod stage;
mod targets;

//! Composition: reads what the pure layers need, starts and stops what does I/O.

pub mod files;
pub mod watch;

//! Everything that needs a real broker, in one binary: the brokers are shared, and linked once.
//!
//! The support code is that of tests: it fails by panicking, where the crate itself may not.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_possible_wrap,
    reason = "helpers of tests fail by panicking; clippy's allowances cover functions marked #[test] alone"
)]
#![allow(unreachable_pub, reason = "the support modules are shared by path with other test binaries and benches")]
#![allow(dead_code, reason = "not every helper is used by every test binary")]

#[path = "../support/mod.rs"]
mod support;

mod acl_tools;
mod acls;
mod addresses;
mod admin_rows;
mod admin_tools;
mod allow_deny;
mod audit;
mod audited;
mod certificate_ends;
mod client_metrics;
mod clients;
mod endings;
mod fetch_sessions;
mod flood;
mod harness;
mod hostile;
mod ipv6;
mod judged;
mod limits;
mod logins;
mod matrix;
mod memory;
mod pass_through;
mod programs;
mod proxy_protocol;
mod refusals;
mod reload;
mod renewals;
mod revocation;
mod secrets;
mod share;
mod sni;
mod state;
mod streams_groups;
mod threats;
mod tls;
mod tls_clients;
mod tokens;
mod tools;
mod topology;
mod transactions;
mod upstream;

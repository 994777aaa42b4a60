//! The differential test: with the same ACLs, the proxy before an open broker answers every request as a broker with
//! `StandardAuthorizer` does, and does the same.
//!
//! Two clusters of one broker each, alike but for the authorizer: what is compared is who may do what, and that does
//! not depend on the number of brokers; one broker needs no waiting for others to follow. Worlds ([`world`]) are made
//! from a seed: names, ACLs, and requests ([`requests`]) by several people, in every version of every API that both
//! sides advertise. Both answers go through one function ([`normal`]) and must then be equal, and so must what the
//! requests did ([`effects`]). What may differ stands in one list ([`waivers`]), each with its reason.
//!
//! * `KORDON_DIFF=20000` asks so many requests instead of the few of `cargo test`; from 20,000 on it is a full run, in
//!   which every version must have its case and every waiver must be met.
//! * `KORDON_SEED=7` takes another seed.
//! * `KORDON_CASE=12` replays world 12 alone, `KORDON_CASE=12:40` its steps up to 40, printing each.
//! * `KORDON_DIFF_APIS=Fetch,Metadata` asks these alone.
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

mod acls;
mod clusters;
mod effects;
mod names;
mod normal;
mod records;
mod requests;
mod rng;
mod run;
mod scripts;
mod side;
mod tally;
mod waivers;
mod world;

use support::needs;

#[test]
fn kordon_answers_and_does_what_a_broker_that_authorizes_does() {
    needs!(Java);
    run::run();
}

/// `KORDON_WRITE=1` writes the page anew.
#[test]
fn the_page_of_differences_is_the_list_of_waivers() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/differences.md");
    let page = waivers::page();
    if std::env::var_os("KORDON_WRITE").is_some() {
        std::fs::write(path, &page).expect("docs/differences.md");
    }
    let written = std::fs::read_to_string(path).unwrap_or_default();
    assert!(written == page, "docs/differences.md is stale: KORDON_WRITE=1 cargo test --test differential page");
}

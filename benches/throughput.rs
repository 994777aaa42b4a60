//! What the hop costs: CPU seconds of the proxy's process for a gigabyte or a request, against a plain byte relay in
//! its place and against no hop at all, interleaved in one run.
//!
//! ```text
//! cargo bench --bench throughput                      7 rounds of every workload before Apache Kafka
//! cargo bench --bench throughput -- --quick           3 short rounds
//! cargo bench --bench throughput -- --self-check      a second relay in the proxy's place: prints 1.0 ± its spread
//! cargo bench --bench throughput -- --broker demo     before the embedded broker: less noise, no Java
//! cargo bench --bench throughput -- --workload each --rounds 11 --relay-buffer 8192
//! cargo bench --bench throughput -- --before PATH     with another binary of the proxy in the same rounds
//! ```
//!
//! A round gives the same work to every hop, in an order that turns from round to round. Wall time is told as well, but
//! client, broker and hop share the machine: only CPU seconds compare. Raw figures go to `benches/results/`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_possible_wrap,
    reason = "a bench fails by panicking and prints what it found"
)]
#![allow(
    unreachable_pub,
    dead_code,
    unused_macros,
    unused_imports,
    reason = "the support modules are shared by path with the tests"
)]

#[path = "throughput/hop.rs"]
mod hop;
#[path = "throughput/load.rs"]
mod load;
#[path = "throughput/report.rs"]
mod report;
#[path = "../tests/support/mod.rs"]
mod support;

use hop::{Hop, Upstream};
use load::Workload;
use report::{Run, Table};
use std::process::ExitCode;

/// What the command line asks for.
struct Args {
    rounds: usize,
    /// Of the usual amount of work, in percent.
    amount: usize,
    self_check: bool,
    demo: bool,
    workloads: Vec<Workload>,
    relay_buffer: usize,
    before: Option<String>,
}

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let mut args = Args {
        rounds: 7,
        amount: 100,
        self_check: false,
        demo: false,
        workloads: Workload::ALL.to_vec(),
        relay_buffer: 64 * 1024,
        before: None,
    };
    while let Some(word) = words.next() {
        let mut value = || words.next().unwrap_or_else(|| panic!("`{word}` needs a value"));
        match word.as_str() {
            // What `cargo bench` itself adds.
            "--bench" => {}
            // This process is the relay.
            "relay" => return hop::relay(&value(), &value(), value().parse().expect("bytes")),
            "--quick" => (args.rounds, args.amount) = (3, 25),
            "--self-check" => args.self_check = true,
            "--broker" => args.demo = value() == "demo",
            "--workload" => args.workloads = vec![Workload::named(&value())],
            "--rounds" => args.rounds = value().parse().expect("a number of rounds"),
            "--amount" => args.amount = value().parse().expect("percent"),
            "--before" => args.before = Some(value()),
            "--relay-buffer" => args.relay_buffer = value().parse().expect("bytes"),
            other => panic!(
                "`{other}` is not known: --quick --self-check --broker --workload --rounds --amount --relay-buffer --before"
            ),
        }
    }
    run(&args)
}

fn run(args: &Args) -> ExitCode {
    let upstream = if args.demo { Upstream::demo() } else { Upstream::kafka() };
    let relay = Hop::relay("relay", &upstream, args.relay_buffer);
    let tested = match args.self_check {
        true => Hop::relay("relay2", &upstream, args.relay_buffer),
        false => Hop::proxy("proxy", &upstream, env!("CARGO_BIN_EXE_kordon")),
    };
    let mut hops = vec![relay, tested, Hop::direct(&upstream)];
    hops.extend(args.before.as_deref().map(|binary| Hop::proxy("before", &upstream, binary)));
    let mut table = Table::new(&upstream.name, hops[1].name);
    let mut fair = true;
    for workload in &args.workloads {
        let job = workload.prepare(&upstream, args.amount);
        // Connections, caches and the JVM get warm outside of the count.
        for hop in &hops {
            job.run(hop, 10);
        }
        for round in 0..args.rounds {
            for turn in 0..hops.len() {
                let hop = &hops[(round + turn) % hops.len()];
                let before = hop.cpu();
                let wall = job.run(hop, 100);
                let cpu = hop.settled_cpu() - before;
                table.add(Run { workload: *workload, round, hop: hop.name, units: job.units(), wall, cpu });
            }
        }
        let ratio = table.print(*workload);
        fair &= ratio.covers(1.0);
    }
    table.save(if args.self_check { "throughput-self-check" } else { "throughput" }, args.demo);
    if args.self_check && !fair {
        eprintln!("a relay in place of the relay is not 1.0: the figures of this machine cannot be trusted now");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

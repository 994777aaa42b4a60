//! Figures: raw ones to a file, medians and their spread to the terminal.

use crate::load::Workload;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

/// One hop's turn in one round.
pub struct Run {
    pub workload: Workload,
    pub round: usize,
    pub hop: &'static str,
    /// Gigabytes or requests.
    pub units: f64,
    pub wall: Duration,
    pub cpu: f64,
}

/// All turns.
pub struct Table {
    upstream: String,
    tested: &'static str,
    runs: Vec<Run>,
}

/// Figures of the rounds, sorted.
pub struct Spread(Vec<f64>);

impl Spread {
    fn new(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        Self(values)
    }

    fn at(&self, part: f64) -> f64 {
        let place = part * (self.0.len() - 1) as f64;
        let (low, high) = (self.0[place.floor() as usize], self.0[place.ceil() as usize]);
        low + (high - low) * place.fract()
    }

    /// Whether the figures lie around `value`.
    pub fn covers(&self, value: f64) -> bool {
        self.0[0] <= value && value <= self.0[self.0.len() - 1]
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ends = (self.at(0.0), self.at(1.0));
        write!(f, "{:.2} ± {:.2} ({:.2} … {:.2})", self.at(0.5), (self.at(0.75) - self.at(0.25)) / 2.0, ends.0, ends.1)
    }
}

impl Table {
    pub fn new(upstream: &str, tested: &'static str) -> Self {
        println!("before {upstream}; median ± half the distance of the quartiles (least … most)");
        Self { upstream: upstream.to_owned(), tested, runs: Vec::new() }
    }

    pub fn add(&mut self, run: Run) {
        self.runs.push(run);
    }

    /// Prints a workload's figures; gives the ratio of CPU time.
    pub fn print(&self, workload: Workload) -> Spread {
        let of = |hop: &str, figure: &dyn Fn(&Run) -> f64| -> Vec<f64> {
            self.runs.iter().filter(|r| r.workload == workload && r.hop == hop).map(figure).collect()
        };
        let ratio = |a: &str, b: &str, figure: &dyn Fn(&Run) -> f64| {
            Spread::new(of(a, figure).iter().zip(of(b, figure)).map(|(a, b)| a / b).collect())
        };
        let cost = |run: &Run| match workload {
            Workload::Each => run.cpu / run.units * 1e6,
            Workload::Produce | Workload::Fetch => run.cpu / run.units,
        };
        let wall = |run: &Run| run.wall.as_secs_f64();
        let (name, unit, tested) = (workload.name(), workload.unit(), self.tested);
        let cpu = ratio(tested, "relay", &|run| run.cpu);
        println!("{name}: CPU of {tested} / relay: {cpu}");
        println!(
            "{name}:   relay {} {unit}, {tested} {} {unit}",
            Spread::new(of("relay", &cost)),
            Spread::new(of(tested, &cost))
        );
        println!(
            "{name}:   time of {tested} / relay {}, / direct {}",
            ratio(tested, "relay", &wall),
            ratio(tested, "direct", &wall)
        );
        if !of("before", &cost).is_empty() {
            let both = ratio(tested, "before", &|run| run.cpu);
            println!(
                "{name}:   CPU of before / relay {}, {tested} / before {both}",
                ratio("before", "relay", &|run| run.cpu)
            );
        }
        cpu
    }

    /// Writes every turn to `benches/results/`.
    pub fn save(&self, name: &str, demo: bool) {
        let command: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
        let mut text = format!(
            "# cargo bench --bench throughput -- {}\n# before {}; cpu: seconds of the hop's process\n\
             workload,round,hop,units,wall_s,cpu_s\n",
            command.join(" "),
            self.upstream
        );
        for Run { workload, round, hop, units, wall, cpu } in &self.runs {
            let _ = writeln!(text, "{},{round},{hop},{units},{:.4},{cpu:.2}", workload.name(), wall.as_secs_f64());
        }
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/results");
        let path = dir.join(format!("{name}{}.csv", if demo { "-demo" } else { "" }));
        std::fs::create_dir_all(&dir).expect("benches/results");
        std::fs::write(&path, text).unwrap_or_else(|e| panic!("cannot write `{}`: {e}", path.display()));
        println!("raw figures: benches/results/{name}{}.csv", if demo { "-demo" } else { "" });
    }
}

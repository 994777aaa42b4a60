//! `kordon apis`: what the table serves, beside what Kafka has and what the brokers serve.

mod markdown;

use super::{ConfigFile, Failure, online};
use crate::enforce::Topology;
use crate::enforce::table::{self, Row};
use crate::wire::{Api, Versions, apis};
use clap::Args;
use std::io::Write;

/// Arguments of `kordon apis`.
#[derive(Debug, Args)]
pub(super) struct Apis {
    /// Ask the brokers of the configuration too: what all of them serve.
    #[arg(long)]
    connect: bool,
    /// Print docs/permissions.md: what each API asks the policy for.
    #[arg(long, conflicts_with = "connect")]
    markdown: bool,
    #[command(flatten)]
    config: ConfigFile,
}

impl Apis {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<(), Failure> {
        if self.markdown {
            return Ok(markdown::print(out)?);
        }
        let topology = if self.connect {
            let config = self.config.load()?;
            Some(online::run(async { Ok(online::reach(&config.cluster).await?.topology()) })?)
        } else {
            None
        };
        print(topology.as_deref(), out)
    }
}

fn print(topology: Option<&Topology>, out: &mut dyn Write) -> Result<(), Failure> {
    let broker_column = |text: &str| if topology.is_some() { format!(" {text:<7}") } else { String::new() };
    writeln!(
        out,
        "{:>3} {:<40} {:<7} {:<7}{} {:<16} note",
        "key",
        "api",
        "served",
        "kafka",
        broker_column("brokers"),
        "category"
    )?;
    for api in apis().iter().filter(|api| api.listeners.broker || table::find(api.key).is_some()) {
        let row = table::find(api.key);
        let versions = topology.and_then(|t| t.versions(None, api.key)).unwrap_or(Versions::NONE);
        writeln!(
            out,
            "{:>3} {:<40} {:<7} {:<7}{} {:<16} {}",
            api.key.0,
            api.name,
            row.filter(|row| row.advertised).map_or("-".to_owned(), |row| row.versions.to_string()),
            usable(api).to_string(),
            broker_column(&versions.to_string()),
            row.map_or("", |row| row.category.as_str()),
            note(row)
        )?;
    }
    Ok(())
}

/// The versions that Kafka's brokers serve by default.
fn usable(api: &Api) -> Versions {
    let unstable = i16::from(api.latest_unstable);
    if api.versions.is_empty() { Versions::NONE } else { Versions::new(api.versions.min, api.versions.max - unstable) }
}

fn note(row: Option<&Row>) -> &'static str {
    row.map_or("not served: who sends it is disconnected", |row| row.narrower)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::enforce::topology::Broker;
    use crate::wire::ApiKey;

    fn lines(topology: Option<&Topology>) -> Vec<String> {
        let mut out = Vec::new();
        print(topology, &mut out).unwrap();
        String::from_utf8(out).unwrap().lines().map(|l| l.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
    }

    fn starting(lines: &[String], start: &str) -> String {
        lines.iter().find(|l| l.starts_with(start)).unwrap_or_else(|| panic!("no {start}: {lines:#?}")).clone()
    }

    #[test]
    fn every_row_of_the_table_is_listed() {
        let lines = lines(None);
        for row in table::TABLE {
            let served = if row.advertised { row.versions.to_string() } else { "-".to_owned() };
            starting(&lines, &format!("{} {} {served} ", row.key.0, row.key.name()));
        }
    }

    /// Who narrows a range says why, where operators see it.
    #[test]
    fn a_row_that_is_narrower_than_kafka_has_a_note() {
        for row in table::TABLE {
            let api = crate::wire::api(row.key).unwrap();
            let whole = row.advertised && row.versions == usable(api);
            assert!(whole || !row.narrower.is_empty(), "{}: {} of {}", api.name, row.versions, usable(api));
        }
    }

    #[test]
    fn the_range_that_all_brokers_serve_stands_beside() {
        let broker = |id, max| Broker {
            id,
            host: "b".into(),
            port: 1,
            rack: None,
            versions: [(ApiKey::PRODUCE, Versions::new(0, max))].into(),
        };
        let topology = Topology { brokers: [(1, broker(1, 12)), (2, broker(2, 11))].into(), ..Topology::default() };
        let lines = lines(Some(&topology));
        starting(&lines, "0 Produce 3-13 3-13 0-11 data_write");
        starting(&lines, "1 Fetch 4-18 4-18 none data_read");
    }
}

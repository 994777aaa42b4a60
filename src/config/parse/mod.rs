//! From the text of `kordon.yaml` to [`Config`]: one pass that reports every fault with its place.

mod audit;
mod brokers;
mod cluster;
mod limits;
mod listener;
mod overlap;
mod scalars;
mod state;
mod tls;
mod tokens;
mod top;
mod web;

#[cfg(test)]
mod tests;

pub(super) use scalars::parse_host_port;
pub use top::{load, parse};

use crate::yaml::{Node, Place, Report};
use std::path::{Path, PathBuf};

/// Looks an environment variable up.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// What every part of the parser needs.
struct Reader<'a> {
    /// The faults found.
    report: Report,
    /// The directory that relative paths start from.
    base: PathBuf,
    /// Environment variables.
    env: Environment<'a>,
}

impl Reader<'_> {
    /// Adds a problem at a value.
    fn fault(&mut self, node: &Node, text: impl Into<String>) {
        self.report.at(node.at, text);
    }

    /// Adds a problem at a place.
    fn fault_at(&mut self, at: Place, text: impl Into<String>) {
        self.report.at(at, text);
    }

    /// A path of the file, as seen from the process.
    fn resolve(&self, path: &str) -> PathBuf {
        // A join with an absolute path is that path.
        self.base.join(Path::new(path))
    }
}

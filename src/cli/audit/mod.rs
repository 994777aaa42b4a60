//! `kordon audit`: reads the audit topic.

mod login;
mod tail;
mod text;

use super::Failure;
use clap::{Args, Subcommand};
use std::io::Write;

/// Arguments of `kordon audit`.
#[derive(Debug, Args)]
pub(super) struct Audit {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print decisions as they are written.
    Tail(tail::Tail),
}

impl Audit {
    pub(super) fn run(&self, out: &mut dyn Write, err: &mut dyn Write) -> Result<(), Failure> {
        match &self.command {
            Command::Tail(tail) => tail.run(out, err),
        }
    }
}

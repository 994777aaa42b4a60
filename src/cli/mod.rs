//! The command line: one file per command or group of commands.
//!
//! Exit codes: 0 well, 1 failed while running, 2 bad configuration or arguments. What a command was asked for goes to
//! standard output, everything else to standard error.

mod apis;
mod audit;
mod check;
mod demo;
mod explain;
mod online;
mod run;
mod state;
mod user;

use crate::config::{self, Config};
use crate::yaml::Problem;
use clap::{Args, Parser, Subcommand};
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// An authorizing proxy for Apache Kafka.
#[derive(Debug, Parser)]
#[command(name = "kordon", version, about, disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Judge a configuration, its policy and its users file without starting anything.
    Check(check::Check),
    /// Show the proxy at work, with nothing else installed.
    Demo(demo::Demo),
    /// Serve clients until told to stop.
    Run(run::Run),
    /// Say whether the policy allows an operation, and why.
    Explain(explain::Explain),
    /// List what of Kafka's protocol is served.
    Apis(apis::Apis),
    /// Read the audit topic.
    Audit(audit::Audit),
    /// Look after the state topic.
    State(state::State),
    /// Change the users file.
    User(user::User),
}

/// Where the configuration is.
#[derive(Debug, Args)]
struct ConfigFile {
    /// The configuration.
    #[arg(long = "config", value_name = "FILE", default_value = "config/kordon.yaml")]
    path: PathBuf,
}

impl ConfigFile {
    fn load(&self) -> Result<Config, Failure> {
        Ok(config::load(&self.path)?)
    }
}

/// Why a command ended without having done what it was asked for.
#[derive(Debug, PartialEq, Eq)]
enum Failure {
    /// Bad configuration or arguments.
    Bad(String),
    /// It failed while running.
    Failed(String),
    /// Whoever read the output has enough, as `head` does.
    Unheard,
}

impl Failure {
    /// The process's exit code.
    const fn code(&self) -> u8 {
        match self {
            Self::Unheard => 0,
            Self::Failed(_) => 1,
            Self::Bad(_) => 2,
        }
    }
}

impl From<Vec<Problem>> for Failure {
    fn from(problems: Vec<Problem>) -> Self {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        Self::Bad(lines.join("\n"))
    }
}

impl From<io::Error> for Failure {
    fn from(cause: io::Error) -> Self {
        if cause.kind() == io::ErrorKind::BrokenPipe { Self::Unheard } else { Self::Failed(cause.to_string()) }
    }
}

/// Runs the command that the process's arguments name.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let (mut out, mut err) = (io::stdout().lock(), io::stderr());
    let done = match &arguments.command {
        Command::Check(check) => check.run(&mut out, &mut err),
        Command::Demo(demo) => demo.run(&mut out),
        Command::Run(run) => run.run(),
        Command::Explain(explain) => explain.run(&mut out, &mut err),
        Command::Apis(apis) => apis.run(&mut out),
        Command::Audit(audit) => audit.run(&mut out, &mut err),
        Command::State(state) => state.run(&mut out, &mut err),
        Command::User(user) => user.run(&mut out, &mut err),
    };
    match done.and_then(|()| Ok(out.flush()?)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if let Failure::Bad(text) | Failure::Failed(text) = &failure {
                // Nobody is left to be told if standard error is closed.
                let _ = writeln!(err, "{text}");
            }
            ExitCode::from(failure.code())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_arguments_are_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn bad_arguments_and_failures_have_different_codes() {
        assert_eq!(Failure::Bad(String::new()).code(), 2);
        assert_eq!(Failure::from(io::Error::other("disk")).code(), 1);
        assert_eq!(Failure::from(io::Error::from(io::ErrorKind::BrokenPipe)).code(), 0, "as `| head` ends it");
        assert_eq!(Arguments::try_parse_from(["kordon", "fly"]).unwrap_err().exit_code(), 2);
        assert_eq!(Arguments::try_parse_from(["kordon", "--help"]).unwrap_err().exit_code(), 0);
    }
}

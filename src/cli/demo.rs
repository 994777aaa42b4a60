//! `kordon demo`: a broker in memory, the proxy before it, and decisions to watch.

use super::Failure;
use super::run::stop_asked_for;
use crate::config::{Log, LogFormat, LogLevel};
use crate::demo::{self, DemoError, Options, Show};
use crate::telemetry::log;
use clap::Args;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::time::Duration;

/// Shows the proxy at work, with nothing else installed: an embedded broker, the example policy, clients that are
/// allowed and refused, and the audit topic as it fills. Ends with Ctrl-C.
#[derive(Debug, Args)]
pub(super) struct Demo {
    /// The first of seven ports in a row; default: 19092, or another block if that is taken.
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
    /// Write configuration and policy here and keep them; default: a temporary directory, deleted at the end.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// How long the temporary grant lasts.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    grant: u64,
    /// End as soon as an allowed and a refused request and the end of the grant were seen in the audit topic; exit 1 if
    /// they were not.
    #[arg(long)]
    once: bool,
    /// No colours, whatever the terminal.
    #[arg(long)]
    no_color: bool,
}

impl Demo {
    pub(super) fn run(&self, out: &mut impl Write) -> Result<(), Failure> {
        let coloured = !self.no_color && io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        let quiet = Log { format: LogFormat::Text, level: LogLevel::Warn };
        log::init(quiet).map_err(|error| Failure::Failed(error.to_string()))?;
        let options =
            Options { port: self.port, dir: self.dir.clone(), grant: Duration::from_secs(self.grant), once: self.once };
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(async {
            let mut demo = demo::Demo::start(options).await?;
            let mut show = Show::to(out, coloured);
            let ended = tokio::select! {
                ended = demo.run(&mut show) => ended.map_err(Failure::from),
                asked = stop_asked_for() => asked,
            };
            tokio::select! {
                () = demo.stop() => ended,
                again = stop_asked_for() => again.and(Err(Failure::Failed("stopped at once by a second signal".to_owned()))),
            }
        })
    }
}

impl From<DemoError> for Failure {
    fn from(error: DemoError) -> Self {
        match error {
            DemoError::Exists(_) | DemoError::Ports(_) => Self::Bad(error.to_string()),
            DemoError::Files { .. }
            | DemoError::Config(_)
            | DemoError::Broker(_)
            | DemoError::App(_)
            | DemoError::NotReady(_)
            | DemoError::NotSeen(_)
            | DemoError::Show(_) => Self::Failed(error.to_string()),
        }
    }
}

//! `kordon run`: serve clients until told to stop.

use super::{ConfigFile, Failure};
use crate::app::{App, AppError};
use crate::cluster::door;
use crate::telemetry::log;
use clap::Args;
use std::io;
use tokio::signal::unix::{SignalKind, signal};

/// Serves clients until SIGTERM or SIGINT; a second signal ends at once.
#[derive(Debug, Args)]
pub(super) struct Run {
    #[command(flatten)]
    config: ConfigFile,
}

impl Run {
    pub(super) fn run(&self) -> Result<(), Failure> {
        let config = self.config.load()?;
        log::init(config.log).map_err(|error| Failure::Failed(error.to_string()))?;
        for warning in config.warnings() {
            tracing::warn!(file = %config.file.display(), "{warning}");
        }
        if !door::is_known(&config.cluster) {
            tracing::warn!("{}", door::NO_LOGIN);
        }
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(async {
            let app = App::start(config).await.map_err(failure)?;
            tokio::select! {
                asked = stop_asked_for() => asked?,
                error = app.failed() => return Err(Failure::Failed(format!("no audit, no service: {error}"))),
            }
            tokio::select! {
                () = app.stop() => Ok(()),
                again = stop_asked_for() => again.and(Err(Failure::Failed("stopped at once by a second signal".to_owned()))),
            }
        })
    }
}

/// Returns when the process is told to end.
pub(super) async fn stop_asked_for() -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::Failed(format!("cannot wait for signals: {error}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

/// What cannot start for a reason in a file is bad configuration, what cannot for another failed.
fn failure(error: AppError) -> Failure {
    match error {
        AppError::Policy(problems) => Failure::from(problems),
        AppError::Bind(_)
        | AppError::Metrics { .. }
        | AppError::Watch(_)
        | AppError::Thread(_)
        | AppError::Registry(_) => Failure::Failed(error.to_string()),
    }
}

//! `kordon state`: the topic that holds ACLs made over the protocol.

use super::{ConfigFile, Failure, online};
use crate::access::{InitError, Look, init};
use crate::config::{Config, ProtocolAcls};
use clap::{Args, Subcommand};
use std::io::Write;

/// Arguments of `kordon state`.
#[derive(Debug, Args)]
pub(super) struct State {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Create the state topic where it is missing, write which one it is, print its id.
    Init(Init),
}

/// Arguments of `kordon state init`.
#[derive(Debug, Args)]
pub(super) struct Init {
    /// Also if ACLs of a topic that is gone are lost by it, or records are taken that nobody vouches for.
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    config: ConfigFile,
}

impl State {
    pub(super) fn run(&self, out: &mut dyn Write, err: &mut dyn Write) -> Result<(), Failure> {
        match &self.command {
            Command::Init(init) => init.run(out, err),
        }
    }
}

impl Init {
    fn run(&self, out: &mut dyn Write, err: &mut dyn Write) -> Result<(), Failure> {
        let config = self.config.load()?;
        if config.policy.protocol_acls != ProtocolAcls::State {
            writeln!(err, "warning: `policy.protocol_acls` is not `state`: nobody will read this topic")?;
        }
        let (look, done) = online::run(async {
            let cluster = online::reach(&config.cluster).await?;
            init(&cluster, &config, self.force).await.map_err(|error| match error {
                InitError::Refused(_) => Failure::Bad(error.to_string()),
                InitError::Failed(_) => Failure::Failed(error.to_string()),
            })
        })?;
        tell(&config, &look, done, out, err)
    }
}

fn tell(config: &Config, look: &Look, done: bool, out: &mut dyn Write, err: &mut dyn Write) -> Result<(), Failure> {
    let (topic, acls) = (&config.state.topic, look.fold.present().count());
    let what = if done { "initialised" } else { "was initialised before, nothing was changed" };
    writeln!(err, "state topic `{topic}` {what}: {acls} ACLs")?;
    writeln!(err, "set this in `kordon.yaml`, so that no other topic is ever believed:")?;
    writeln!(out, "state: {{ topic: {topic}, genesis: \"{}\" }}", look.id)?;
    match look.faults(None).as_slice() {
        [] => Ok(()),
        faults => Err(Failure::Bad(format!("state topic `{topic}`: {}", faults.join("; ")))),
    }
}

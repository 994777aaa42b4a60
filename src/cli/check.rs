//! `kordon check`: judges the files that `kordon run` would read.

use super::{ConfigFile, Failure};
use crate::app::files;
use crate::config::{Config, Identity, Listener};
use crate::yaml::Problem;
use clap::Args;
use std::io::Write;

/// Arguments of `kordon check`.
#[derive(Debug, Args)]
pub(super) struct Check {
    #[command(flatten)]
    config: ConfigFile,
}

impl Check {
    pub(super) fn run(&self, out: &mut dyn Write, err: &mut dyn Write) -> Result<(), Failure> {
        let config = self.config.load()?;
        let policy = files::load_policy(&config, files::now());
        let users = files::load_users(&config);
        let faults: Vec<Problem> =
            [policy.as_ref().err(), users.as_ref().err()].into_iter().flatten().flatten().cloned().collect();
        let (Ok(policy), Ok(users)) = (policy, users) else { return Err(faults.into()) };
        for warning in &policy.warnings {
            writeln!(err, "warning: {warning}")?;
        }
        for warning in config.warnings() {
            writeln!(err, "warning: {}: {warning}", config.file.display())?;
        }
        describe(&config, out)?;
        writeln!(out, "policy {}: revision {}", config.policy.file.display(), policy.snapshot.revision())?;
        if let Some(file) = &config.users {
            writeln!(out, "users {}: {}", file.display(), users.iter().count())?;
        }
        Ok(())
    }
}

fn describe(config: &Config, out: &mut dyn Write) -> std::io::Result<()> {
    let brokers: Vec<String> = config.cluster.bootstrap.iter().map(ToString::to_string).collect();
    writeln!(out, "cluster {}: {}", config.cluster.name, brokers.join(", "))?;
    for listener in &config.listeners {
        writeln!(out, "listener {}: {}, {}", listener.name, listener.bind, who(listener))?;
        let binds = listener.broker_binds();
        let told = |(id, bind): &(i32, std::net::SocketAddr)| {
            let told = listener.told(*id, bind.port()).map(|t| t.to_string()).unwrap_or_default();
            format!("broker {id} at {bind}, told as {told}")
        };
        if let [first, .., last] = binds.as_slice() {
            writeln!(out, "  {} … {}", told(first), told(last))?;
        } else {
            for one in &binds {
                writeln!(out, "  {}", told(one))?;
            }
        }
    }
    Ok(())
}

fn who(listener: &Listener) -> String {
    let supers = if listener.super_users { ", super users admitted" } else { "" };
    match &listener.identity {
        Identity::Fixed(principal) => format!("everybody is {principal}{supers}"),
        Identity::Sasl(sasl) => {
            let names: Vec<&str> = sasl.mechanisms.iter().map(|m| m.name()).collect();
            format!("login by {}{supers}", names.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    const CONFIG: &str = "\
version: 1
instance: p-1
cluster: { name: c, bootstrap: [\"k:9092\"] }
listeners:
  - { name: a, bind: \"0.0.0.0:19092\", advertise: kafka.corp, brokers: { ports: { ids: 1-8, advertise_start: 31000 } }, identity: sasl, sasl: { mechanisms: [PLAIN], without_tls: true } }
users: users.yaml
policy: { file: policy.yaml }
";

    fn check(dir: &Path, files: &[(&str, &str)]) -> (Result<(), Failure>, String, String) {
        for (name, text) in files {
            std::fs::write(dir.join(name), text).unwrap();
        }
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let check = Check { config: ConfigFile { path: dir.join("kordon.yaml") } };
        let done = check.run(&mut out, &mut err);
        (done, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
    }

    #[test]
    fn what_loads_is_described() {
        let dir = tempfile::tempdir().unwrap();
        let files = [
            ("kordon.yaml", CONFIG),
            ("policy.yaml", "version: 1\ndefault: deny\n"),
            ("users.yaml", "version: 1\nusers: []\n"),
        ];
        let (done, out, _) = check(dir.path(), &files);
        assert_eq!(done, Ok(()));
        assert!(out.starts_with("cluster c: k:9092\nlistener a: 0.0.0.0:19092, login by PLAIN\n"), "{out}");
        assert!(out.contains("  broker 1 at 0.0.0.0:19094, told as kafka.corp:31001 … broker 8 at 0.0.0.0:19101, told as kafka.corp:31008\n"), "{out}");
        assert!(out.contains("policy.yaml: revision "), "{out}");
        assert!(out.ends_with("users.yaml: 0\n"), "{out}");
    }

    #[test]
    fn faults_of_all_files_are_told_together_and_the_code_is_2() {
        let dir = tempfile::tempdir().unwrap();
        let files = [("kordon.yaml", CONFIG), ("policy.yaml", "version: 1\nfoo: 2\n"), ("users.yaml", "users: []\n")];
        let (done, out, _) = check(dir.path(), &files);
        let failure = done.unwrap_err();
        assert_eq!(failure.code(), 2);
        let Failure::Bad(text) = failure else { panic!() };
        assert!(text.contains("policy.yaml:2:1: ") && text.contains("users.yaml:1:1: `version` is missing"), "{text}");
        assert_eq!(out, "");
    }

    #[test]
    fn a_missing_policy_is_a_bad_configuration() {
        let dir = tempfile::tempdir().unwrap();
        let (done, ..) = check(dir.path(), &[("kordon.yaml", CONFIG), ("users.yaml", "version: 1\nusers: []\n")]);
        let failure = done.unwrap_err();
        assert!(
            matches!(&failure, Failure::Bad(text) if text.contains("policy.yaml: cannot be read: ")),
            "{failure:?}"
        );
    }
}

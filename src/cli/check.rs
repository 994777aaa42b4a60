//! `kordon check`: judges the files that `kordon run` would read.

mod connect;

use super::{ConfigFile, Failure, online};
use crate::app::{files, tokens};
use crate::clock::now;
use crate::config::{self, Brokers, ClientAuth, Config, Identity, KeySource, Listener};
use crate::enforce::Topology;
use crate::model::ResourceType;
use crate::policy::Snapshot;
use crate::yaml::Problem;
use clap::Args;
use std::io::Write;
use std::sync::Arc;

/// Arguments of `kordon check`.
#[derive(Debug, Args)]
pub(super) struct Check {
    /// Print every pattern of the policy in words.
    #[arg(long)]
    patterns: bool,
    /// Ask the brokers too: who is told which address, and how many topics a pattern matches now.
    #[arg(long)]
    connect: bool,
    #[command(flatten)]
    config: ConfigFile,
}

impl Check {
    pub(super) fn run(&self, out: &mut dyn Write, err: &mut dyn Write) -> Result<(), Failure> {
        let config = self.config.load()?;
        let policy = files::load_policy(&config, now());
        let users = files::load_users(&config);
        let tls = [
            files::diallers(&config).err(),
            files::acceptors(&config).err(),
            files::names(&config).err(),
            tokens::load(&config).err(),
            files::web_authorities(&config).err(),
        ];
        let others = [policy.as_ref().err(), users.as_ref().err()];
        let faults = tls.iter().map(Option::as_ref).chain(others).flatten().flatten();
        let faults: Vec<Problem> = faults.cloned().collect();
        let (true, Ok(policy), Ok(users)) = (faults.is_empty(), policy, users) else { return Err(faults.into()) };
        for warning in &policy.warnings {
            writeln!(err, "warning: {warning}")?;
        }
        for warning in files::ends_soon(&config, now()) {
            writeln!(err, "warning: {warning}")?;
        }
        let shell = files::too_few(&config, files::open_files());
        for warning in config.warnings().into_iter().chain(files::unread_secrets(&config)).chain(shell) {
            writeln!(err, "warning: {}: {warning}", config.file.display())?;
        }
        if policy.snapshot.names_any_super() && !config.listeners.iter().any(|listener| listener.super_users) {
            let file = config.policy.file.display();
            writeln!(
                err,
                "warning: {file}: super users and operators cannot connect: no listener has `super_users: true`"
            )?;
        }
        describe(&config, out)?;
        writeln!(out, "policy {}: revision {}", config.policy.file.display(), policy.snapshot.revision())?;
        if let Some(file) = &config.users {
            writeln!(out, "users {}: {}", file.display(), users.iter().count())?;
        }
        for one in &config.tokens {
            match &one.keys {
                KeySource::File(file) => writeln!(out, "tokens of {}: keys in {}", one.issuer, file.display())?,
                KeySource::Url { address, .. } => writeln!(out, "tokens of {}: keys at {address}", one.issuer)?,
            }
        }
        if !self.connect {
            not_covered(&config, &[], err)?;
        }
        let topology = if self.connect { Some(self.ask_brokers(&config, out, err)?) } else { None };
        if self.patterns {
            patterns(&policy.snapshot, topology.as_deref(), out)?;
        }
        Ok(())
    }

    fn ask_brokers(&self, config: &Config, out: &mut dyn Write, err: &mut dyn Write) -> Result<Arc<Topology>, Failure> {
        let patience = config.cluster.connect_timeout;
        online::run(async {
            let cluster = online::reach(&config.cluster).await?;
            let topology = cluster.topology();
            not_covered(config, &topology.brokers.keys().copied().collect::<Vec<_>>(), err)?;
            let mut faults = connect::brokers(&config.listeners, &topology, patience, out).await?;
            faults.extend(connect::audit(&config.audit, &cluster, out, err).await?);
            faults.extend(connect::state(config, &cluster, out, err).await?);
            faults.extend(connect::logins(config, &topology, out).await?);
            connect::doors(&config.cluster, &topology, out, err).await?;
            faults.extend(connect::issuers(&config.tokens, out).await?);
            if faults.is_empty() { Ok(topology) } else { Err(Failure::Bad(faults.join("\n"))) }
        })
    }
}

fn not_covered(config: &Config, known: &[i32], err: &mut dyn Write) -> std::io::Result<()> {
    for warning in files::not_covered(config, known) {
        writeln!(err, "warning: {}: {warning}", config.file.display())?;
    }
    Ok(())
}

fn patterns(policy: &Snapshot, topology: Option<&Topology>, out: &mut dyn Write) -> std::io::Result<()> {
    for (place, effect, pattern) in policy.patterns() {
        write!(out, "{place}: {} `{pattern}`: {}", effect.as_str(), pattern.in_words())?;
        match topology {
            Some(topology) if pattern.kind == ResourceType::Topic => {
                let now = topology.ids.keys().filter(|name| pattern.matches(name)).count();
                writeln!(out, ", {now} now")?;
            }
            Some(_) | None => writeln!(out)?,
        }
    }
    Ok(())
}

fn describe(config: &Config, out: &mut dyn Write) -> std::io::Result<()> {
    let brokers: Vec<String> = config.cluster.bootstrap.iter().map(ToString::to_string).collect();
    let tls = if config.cluster.tls.is_some() { ", over TLS" } else { "" };
    writeln!(out, "cluster {}: {}{tls}", config.cluster.name, brokers.join(", "))?;
    for listener in &config.listeners {
        writeln!(out, "listener {}: {}, {}", listener.name, listener.bind, who(listener))?;
        if let Brokers::Sni { host, port } = &listener.brokers {
            writeln!(out, "  every broker at {}, told as {host}:{port}", listener.bind)?;
        }
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
    let tls = match listener.tls.as_ref().map(|tls| &tls.client_auth) {
        None => "",
        Some(ClientAuth::None) => ", over TLS",
        Some(ClientAuth::Requested(_)) => ", over TLS, certificates requested",
        Some(ClientAuth::Required(_)) => ", over TLS, certificates required",
    };
    let upstream = match &listener.upstream {
        None => String::new(),
        Some(config::UpstreamLogin { sasl: Some(sasl), .. }) => {
            format!(", at the brokers with the login {}", sasl.who())
        }
        Some(config::UpstreamLogin { sasl: None, .. }) => ", at the brokers without a login".to_owned(),
    };
    let supers = if listener.super_users { ", super users admitted" } else { "" };
    match &listener.identity {
        Identity::Fixed(principal) => format!("everybody is {principal}{tls}{supers}{upstream}"),
        Identity::Certificate => format!("named by certificates{tls}{supers}{upstream}"),
        Identity::Sasl(sasl) => {
            let names: Vec<&str> = sasl.mechanisms.iter().map(|m| m.name()).collect();
            format!("login by {}{tls}{supers}{upstream}", names.join(", "))
        }
        Identity::PassThrough(sasl) => {
            let names: Vec<&str> = sasl.mechanisms.iter().map(|m| m.name()).collect();
            format!("login at the brokers by {}{tls}{supers}", names.join(", "))
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
        let config = ConfigFile { path: dir.join("kordon.yaml") };
        let check = Check { patterns: true, connect: false, config };
        let done = check.run(&mut out, &mut err);
        (done, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
    }

    #[test]
    fn what_loads_is_described() {
        let dir = tempfile::tempdir().unwrap();
        let files = [
            ("kordon.yaml", CONFIG),
            (
                "policy.yaml",
                "version: 1\ndefault: deny\nacls: [{ deny: [Read], principals: [\"User:a\"], resources: [\"topic:tx_*\"] }]\nend: true\n",
            ),
            ("users.yaml", "version: 1\nusers: []\n"),
        ];
        let (done, out, _) = check(dir.path(), &files);
        assert_eq!(done, Ok(()));
        assert!(out.starts_with("cluster c: k:9092\nlistener a: 0.0.0.0:19092, login by PLAIN\n"), "{out}");
        assert!(out.contains("  broker 1 at 0.0.0.0:19094, told as kafka.corp:31001 … broker 8 at 0.0.0.0:19101, told as kafka.corp:31008\n"), "{out}");
        assert!(out.contains("policy.yaml: revision "), "{out}");
        let pattern = "policy.yaml:3: deny `topic:tx_*`: every topic whose name begins with `tx_`\n";
        assert!(out.ends_with(&format!("users.yaml: 0\n{pattern}")), "{out}");
    }

    #[test]
    fn what_cannot_be_meant_is_warned_of() {
        let dir = tempfile::tempdir().unwrap();
        let many = format!("{CONFIG}limits: {{ connections: 4294967295 }}\n");
        let policy = "version: 1\nsuper_users: [\"User:root\"]\nend: true\n";
        let files = [("kordon.yaml", &*many), ("policy.yaml", policy), ("users.yaml", "version: 1\nusers: []\n")];
        let (done, _, err) = check(dir.path(), &files);
        assert_eq!(done, Ok(()));
        let of = |part: &str| err.lines().filter(|line| line.starts_with("warning: ") && line.contains(part)).count();
        assert_eq!(of("policy.yaml: super users and operators cannot connect: no listener has `super_users: true`"), 1);
        assert_eq!(of("kordon.yaml: `limits.connections` is 4294967295, but with "), 1, "{err}");
        let admitted = CONFIG.replace("identity: sasl", "super_users: true, identity: sasl");
        let (_, _, err) = check(dir.path(), &[("kordon.yaml", &admitted)]);
        assert!(!err.contains("super users") && !err.contains("limits.connections"), "{err}");
    }

    #[test]
    fn topics_that_a_pattern_matches_are_counted() {
        let settings = files::policy_settings(&crate::config::parse(CONFIG, Path::new("k"), &|_| None).unwrap(), now());
        let text = "version: 1\nacls: [{ allow: [Read], principals: [\"User:a\"], resources: [\"topic:tx_*\", \"group:g\"] }]\ndefault: deny\n";
        let policy = Snapshot::load(text.as_bytes(), "p", &settings).unwrap().snapshot;
        let ids = ["tx_1", "tx_2", "other"].map(|name| (name.into(), crate::model::TopicId::ZERO)).into();
        let mut out = Vec::new();
        patterns(&policy, Some(&Topology { ids, ..Topology::default() }), &mut out).unwrap();
        let out = String::from_utf8(out).unwrap();
        assert!(out.contains("every topic whose name begins with `tx_`, 2 now\n"), "{out}");
        assert!(out.contains("the group `g`\n"), "{out}");
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

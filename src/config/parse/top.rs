//! The root of the file and its small sections.

use super::scalars::is_label;
use super::{Environment, Reader};
use crate::config::{Config, Identity, Limits, Listener, Log, LogFormat, LogLevel, Mechanism};
use crate::yaml::{self, Fields, Keys, Node, Problem, Report, Value};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

const ROOT: Keys = Keys {
    served: &[
        "version",
        "instance",
        "cluster",
        "listeners",
        "users",
        "certificates",
        "tokens",
        "policy",
        "state",
        "audit",
        "metrics",
        "log",
        "limits",
        "shutdown",
    ],
    later: &["admin", "notifications"],
};

/// Reads a configuration file.
///
/// # Errors
/// Every fault of the file, in its order; or that it cannot be read.
pub fn load(path: &Path) -> Result<Config, Vec<Problem>> {
    match std::fs::read_to_string(path) {
        Ok(text) => parse(&text, path, &|name| std::env::var(name).ok()),
        Err(cause) => Err(vec![Problem {
            file: path.display().to_string(),
            place: None,
            text: format!("cannot be read: {cause}; name the configuration with --config"),
        }]),
    }
}

/// Reads the text of a configuration file; paths in it are relative to the directory of `path`.
///
/// # Errors
/// Every fault of the text, in its order.
pub fn parse(text: &str, path: &Path, env: Environment<'_>) -> Result<Config, Vec<Problem>> {
    let file = path.display().to_string();
    let root = yaml::parse(text, &file).map_err(|problem| vec![problem])?;
    let base = path.parent().unwrap_or(Path::new("")).to_owned();
    let mut reader = Reader { report: Report::new(&file), base, env };
    let config = reader.config(&root, path);
    match config {
        Some(config) if reader.report.is_empty() => Ok(config),
        Some(_) | None => Err(reader.report.into_problems()),
    }
}

impl Reader<'_> {
    fn config(&mut self, root: &Node, path: &Path) -> Option<Config> {
        let fields = Fields::open(root, "", ROOT, &mut self.report)?;

        let version = fields.required("version", "write `version: 1`", &mut self.report);
        let version = version.and_then(|node| self.int(node, "version", 1, 1));
        let instance = match fields.get("instance") {
            Some(node) => self.label(node, "instance"),
            None => self.default_instance(root),
        };
        let cluster = fields.required("cluster", "write the cluster's `name` and `bootstrap`", &mut self.report);
        let cluster = cluster.and_then(|node| self.cluster(node));
        let limits = self.limits(fields.get("limits"));
        // Of what cannot be read no more faults follow.
        let listeners = self.listeners(&fields, limits.as_ref().unwrap_or(&Limits::default()));
        let users = fields.get("users").filter(|node| node.value != Value::Null);
        let users = match users {
            Some(node) => self.file(node, "users").map(Some),
            None => Some(None),
        };
        if let (Some(None), Some(name)) = (&users, listeners.as_ref().and_then(|l| first_with(l, takes_passwords))) {
            self.fault(root, format!("`users` is missing: listener `{name}` checks logins against that file"));
        }
        if let (Some(cluster), Some(all), Some(Value::List(items))) =
            (&cluster, &listeners, fields.get("listeners").map(|node| &node.value))
        {
            for (i, (listener, item)) in all.iter().zip(items).enumerate() {
                let path = format!("listeners[{i}].upstream");
                self.secured_alike(item, &path, listener.upstream.as_ref(), cluster.tls.is_some());
                if cluster.tls.is_none()
                    && let Some(mechanism) = tells_secrets(listener)
                {
                    let secrets = if mechanism == Mechanism::OAuthBearer { "tokens" } else { "passwords" };
                    let name = mechanism.name();
                    let text = format!(
                        "`listeners[{i}].sasl.mechanisms` passes {name} on to brokers without TLS, where {secrets} can be read on the way: set `cluster.tls`, or `listeners[{i}].sasl.without_tls: true` if the network is trusted"
                    );
                    self.fault(item, text);
                }
            }
        }
        let certificates = self.certificates(fields.get("certificates"));
        let tokens = self.tokens(fields.get("tokens"));
        if let (Some(issuers), Some(name)) = (&tokens, listeners.as_ref().and_then(|l| first_with(l, takes_tokens)))
            && issuers.is_empty()
        {
            self.fault(root, format!("`tokens` is missing: listener `{name}` takes tokens, so write who issues them"));
        }
        let policy = fields.required("policy", "write `policy: { file: policy.yaml }`", &mut self.report);
        let policy = policy.and_then(|node| self.policy(node));
        let state = self.state(fields.get("state"));
        let audit = self.audit(fields.get("audit"));
        if let (Some(state), Some(audit), Some(node)) = (&state, &audit, fields.get("state").or(fields.get("audit")))
            && audit.protected().contains(&state.topic)
        {
            self.fault(node, format!("`state.topic` and an audit topic are both `{}`: name two", state.topic));
        }
        let metrics = self.metrics(fields.get("metrics"));
        let log = self.log(fields.get("log"));
        let drain = self.drain(fields.get("shutdown"));
        if let (Some(listeners), Some(metrics)) = (&listeners, &metrics) {
            self.overlaps(&fields, listeners, *metrics);
        }

        version?;
        Some(Config {
            file: path.to_owned(),
            instance: instance?,
            cluster: cluster?,
            listeners: listeners?,
            users: users?,
            certificates: certificates?,
            tokens: tokens?,
            policy: policy?,
            state: state?,
            audit: audit?,
            metrics: metrics?,
            log: log?,
            limits: limits?,
            drain: drain?,
        })
    }

    /// `${HOSTNAME}`, which many shells do not export: then the name that the system knows.
    fn default_instance(&mut self, root: &Node) -> Option<String> {
        let name = (self.env)("HOSTNAME").filter(|name| !name.is_empty());
        let name = name.or_else(|| {
            let text = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
            Some(text.trim().to_owned()).filter(|name| !name.is_empty())
        });
        match name {
            Some(name) if is_label(&name) => Some(name),
            Some(name) => {
                self.fault(
                    root,
                    format!(
                        "`instance` is missing, and this host's name `{name}` cannot be it: write letters, digits, `.`, `_` and `-` only, at most 64"
                    ),
                );
                None
            }
            None => {
                self.fault(
                    root,
                    "`instance` is missing, and environment variable `HOSTNAME` is not set: write a name for this replica",
                );
                None
            }
        }
    }

    /// `None` inside = switched off.
    fn metrics(&mut self, node: Option<&Node>) -> Option<Option<SocketAddr>> {
        let default = SocketAddr::from(([127, 0, 0, 1], 9464));
        let Some(node) = node else { return Some(Some(default)) };
        if node.value == Value::Null {
            return Some(None);
        }
        let keys = Keys { served: &["bind"], later: &[] };
        let fields = Fields::open(node, "metrics", keys, &mut self.report)?;
        match fields.get("bind") {
            None => Some(Some(default)),
            Some(bind) if bind.value == Value::Null => Some(None),
            Some(bind) => Some(Some(self.bind(bind, "metrics.bind")?)),
        }
    }

    fn log(&mut self, node: Option<&Node>) -> Option<Log> {
        let mut log = Log { format: LogFormat::Text, level: LogLevel::Info };
        let Some(node) = node else { return Some(log) };
        let keys = Keys { served: &["format", "level"], later: &[] };
        let fields = Fields::open(node, "log", keys, &mut self.report)?;
        if let Some(node) = fields.get("format") {
            let words = [("text", LogFormat::Text), ("json", LogFormat::Json)];
            log.format = self.word(node, "log.format", &words).unwrap_or(log.format);
        }
        if let Some(node) = fields.get("level") {
            log.level = self.word(node, "log.level", &LogLevel::WORDS).unwrap_or(log.level);
        }
        Some(log)
    }

    fn drain(&mut self, node: Option<&Node>) -> Option<Duration> {
        let default = Duration::from_secs(30);
        let Some(node) = node else { return Some(default) };
        let keys = Keys { served: &["drain"], later: &[] };
        let fields = Fields::open(node, "shutdown", keys, &mut self.report)?;
        match fields.get("drain") {
            None => Some(default),
            Some(node) => self.duration(node, "shutdown.drain", Duration::ZERO),
        }
    }
}

/// What goes on to the brokers and must not be read on the way.
fn tells_secrets(listener: &Listener) -> Option<Mechanism> {
    match &listener.identity {
        Identity::PassThrough(sasl) if !sasl.without_tls => {
            sasl.mechanisms.iter().copied().find(|mechanism| mechanism.shows_secret())
        }
        Identity::Fixed(_) | Identity::Sasl(_) | Identity::Certificate | Identity::PassThrough(_) => None,
    }
}

/// The name of the first listener that offers such a mechanism.
fn first_with(listeners: &[Listener], which: fn(Mechanism) -> bool) -> Option<&str> {
    let offers = |l: &&Listener| match &l.identity {
        Identity::Sasl(sasl) => sasl.mechanisms.iter().copied().any(which),
        // Passwords are the brokers' to check.
        Identity::PassThrough(sasl) => sasl.mechanisms.iter().copied().filter(|m| takes_tokens(*m)).any(which),
        Identity::Fixed(_) | Identity::Certificate => false,
    };
    listeners.iter().find(offers).map(|l| l.name.as_str())
}

fn takes_passwords(mechanism: Mechanism) -> bool {
    matches!(mechanism, Mechanism::Password(_))
}

fn takes_tokens(mechanism: Mechanism) -> bool {
    mechanism == Mechanism::OAuthBearer
}

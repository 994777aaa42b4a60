//! The files and ports of the demo.

use super::DemoError;
use crate::clock::now;
use crate::model::Timestamp;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The example policy, to which the demo adds one temporary grant.
const POLICY: &str = include_str!("../../config/policy.yaml");
/// Where the example policy has no grants.
const NO_GRANTS: &str = "\ngrants: []";
/// The id of the grant.
pub(super) const GRANT: &str = "DEMO-1";

/// How many ports in a row the demo takes: bootstrap and broker for each person, and the metrics page.
pub(super) const PORTS: u16 = 7;
/// Where they begin, if nobody says; others are tried in steps of the first.
const FIRST_PORT: u16 = 19_092;
const STEP: u16 = 1_000;
const TRIES: u16 = 10;

/// Where things are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The first port.
    pub base: u16,
    /// The directory of its files.
    pub dir: PathBuf,
}

/// Who has a listener, in the order of their ports.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Person {
    Alice,
    Bob,
    Siem,
}

impl Person {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Alice => "alice",
            Self::Bob => "bob",
            Self::Siem => "siem",
        }
    }
}

impl Layout {
    /// A layout on the ports that are taken if nobody says otherwise.
    pub fn usual() -> Self {
        Self { base: FIRST_PORT, dir: PathBuf::new() }
    }

    /// The configuration.
    pub fn config(&self) -> PathBuf {
        self.dir.join("kordon.yaml")
    }

    /// The policy.
    pub fn policy(&self) -> PathBuf {
        self.dir.join("policy.yaml")
    }

    /// The bootstrap port of somebody's listener.
    pub(super) fn port(&self, person: Person) -> u16 {
        let place = match person {
            Person::Alice => 0,
            Person::Bob => 2,
            Person::Siem => 4,
        };
        self.base.saturating_add(place)
    }

    /// The port of metrics and health.
    pub(super) fn metrics(&self) -> u16 {
        self.base.saturating_add(PORTS - 1)
    }
}

/// The first port of a free block, or the one that was asked for.
pub(super) fn base_port(asked: Option<u16>) -> Result<u16, DemoError> {
    let free = |base: u16| {
        // Held until all have been tried.
        let held: Option<Vec<TcpListener>> =
            (0..PORTS).map(|n| TcpListener::bind((Ipv4Addr::LOCALHOST, base.checked_add(n)?)).ok()).collect();
        held.is_some()
    };
    match asked {
        Some(base) if free(base) => Ok(base),
        Some(base) => Err(DemoError::Ports(base)),
        None => (0..TRIES)
            .map(|n| FIRST_PORT + n * STEP)
            .find(|base| free(*base))
            .ok_or(DemoError::Ports(FIRST_PORT + (TRIES - 1) * STEP)),
    }
}

/// The directory of the files; a temporary one is deleted with this value.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    temporary: bool,
}

impl Directory {
    /// Makes the one that was asked for, or a temporary one.
    pub(super) fn make(asked: Option<&Path>) -> Result<Self, DemoError> {
        let temporary = || std::env::temp_dir().join(format!("kordon-demo-{}", std::process::id()));
        let path = asked.map_or_else(temporary, Path::to_owned);
        std::fs::create_dir_all(&path).map_err(|cause| DemoError::Files { path: path.clone(), cause })?;
        // The system's own spelling, so that what is printed can be opened from anywhere.
        let path = path.canonicalize().map_err(|cause| DemoError::Files { path: path.clone(), cause })?;
        Ok(Self { path, temporary: asked.is_none() })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if self.temporary {
            // Below the system's temporary directory: what is left behind is swept some day.
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

/// Writes configuration and policy; the grant begins now.
pub(super) fn write(layout: &Layout, broker_port: u16, grant: Duration) -> Result<(), DemoError> {
    let end = now().plus(grant);
    for (path, text) in [(layout.config(), config(layout, broker_port)), (layout.policy(), policy(end))] {
        if path.exists() {
            return Err(DemoError::Exists(path));
        }
        std::fs::write(&path, text).map_err(|cause| DemoError::Files { path, cause })?;
    }
    Ok(())
}

fn policy(end: Timestamp) -> String {
    let end = chrono::DateTime::from_timestamp_millis(end.0).unwrap_or_default().format("%Y-%m-%dT%H:%M:%SZ");
    let grant = format!(
        "\ngrants:\n  - {{ id: {GRANT}, allow: [Write], principals: [\"User:bob\"], resources: [\"topic:orders\"],\n      \
         not_after: {end}, reason: \"bob repairs an order\" }}"
    );
    POLICY.replacen(NO_GRANTS, &grant, 1)
}

fn config(layout: &Layout, broker_port: u16) -> String {
    let mut text = format!(
        "# Written by `kordon demo`: everybody who connects to alice's port is alice. `config/kordon.yaml` of the\n\
         # repository explains every key.\n\
         version: 1\n\
         instance: demo\n\
         cluster:\n  name: demo\n  bootstrap: [\"127.0.0.1:{broker_port}\"]\n  metadata_refresh: 1s\n\
         listeners:\n"
    );
    for person in [Person::Alice, Person::Bob, Person::Siem] {
        let (name, port) = (person.name(), layout.port(person));
        text.push_str(&format!(
            "  - name: {name}\n    bind: 127.0.0.1:{port}\n    brokers: {{ ports: {{ start: {port}, ids: 1 }} }}\n    \
             identity: fixed\n    principal: \"User:{name}\"\n"
        ));
    }
    text.push_str(&format!(
        "policy: {{ file: policy.yaml }}\n\
         metrics: {{ bind: 127.0.0.1:{} }}\n\
         log: {{ level: warn }}\n\
         shutdown: {{ drain: 2s }}\n",
        layout.metrics()
    ));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::policy::{OwnTopics, Settings, Snapshot};

    #[test]
    fn the_files_load_and_hold_the_grant() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout { base: 20_000, dir: dir.path().to_owned() };
        write(&layout, 9092, Duration::from_secs(60)).unwrap();
        let config = config::load(&layout.config()).unwrap();
        assert_eq!(config.listeners.len(), 3);
        assert_eq!(config.policy.file, layout.policy());
        let text = std::fs::read(layout.policy()).unwrap();
        assert!(String::from_utf8_lossy(&text).contains(GRANT));
        let own_topics = OwnTopics { state: None, audit: config.audit.topics() };
        let settings = Settings { own_topics, now: Timestamp(0), ..Settings::default() };
        let loaded = Snapshot::load(&text, "policy.yaml", &settings).unwrap();
        assert_eq!(loaded.warnings.len(), 0);
        // Nobody's edits are overwritten.
        assert!(matches!(write(&layout, 9092, Duration::ZERO), Err(DemoError::Exists(_))));
    }

    #[test]
    fn ports_that_are_taken_are_not_handed_out() {
        let holder = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let taken = holder.local_addr().unwrap().port();
        let error = base_port(Some(taken)).unwrap_err().to_string();
        assert_eq!(error, format!("port {taken} or one of the 6 after it is taken: choose another with `--port`"));
        assert!(base_port(None).is_ok());
    }
}

//! The policy in force: the file and the ACLs made over the protocol, compiled together. Read at start, taken over when
//! either changes, never lost to a bad edit.

use super::files::{policy_of, read};
use super::worlds::Worlds;
use crate::clock::now;
use crate::config::Config;
use crate::model::{Revision, Timestamp};
use crate::policy::{AclSet, PolicySource, Snapshot};
use crate::telemetry::{Metrics, ReloadOutcome, ReloadedFile};
use crate::yaml::Problem;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Holds the policy in force and what was wrong with the last look at its file.
pub struct PolicyKeeper {
    config: Config,
    /// What the file held when it was read for the first time.
    bytes: Vec<u8>,
    metrics: Arc<Metrics>,
    worlds: Arc<Worlds>,
    /// Held while a policy is compiled and put in force: of two changes, the later is compiled with what the earlier
    /// brought, so that neither is lost.
    parts: Mutex<Parts>,
    trouble: Mutex<Option<String>>,
}

/// What the policy is made of.
struct Parts {
    source: Arc<PolicySource>,
    acls: AclSet,
}

/// A policy took the place of another.
pub struct Swap {
    /// The one that was in force.
    pub before: Arc<Snapshot>,
    /// The one that is.
    pub now: Arc<Snapshot>,
}

/// What a look at the file came to.
pub enum Look {
    /// A new policy is in force; the one before is told for the audit.
    Loaded(Swap),
    /// The very policy in force.
    Same,
    /// The file has faults; what was in force stays.
    Refused(Vec<Problem>),
}

impl PolicyKeeper {
    /// Reads the policy for the first time.
    ///
    /// # Errors
    /// Every fault of the file.
    pub fn open(config: &Config, metrics: Arc<Metrics>, now: Timestamp) -> Result<Self, Vec<Problem>> {
        let bytes = read(&config.policy.file)?;
        let source = load(&bytes, config, now)?;
        let snapshot = source.snapshot(&AclSet::default());
        metrics.policy_loaded(snapshot.revision(), now);
        let revision = snapshot.revision().as_str();
        tracing::info!(file = %config.policy.file.display(), revision, "policy in force");
        Ok(Self {
            config: config.clone(),
            bytes,
            metrics,
            worlds: Arc::new(Worlds::new(snapshot)),
            parts: Mutex::new(Parts { source, acls: AclSet::default() }),
            trouble: Mutex::default(),
        })
    }

    /// What connections are judged by.
    pub fn worlds(&self) -> &Arc<Worlds> {
        &self.worlds
    }

    /// What the file held at the start.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The file.
    pub fn file(&self) -> &Path {
        &self.config.policy.file
    }

    /// The revision in force.
    pub fn revision(&self) -> Revision {
        self.worlds.snapshot().revision().clone()
    }

    /// What is wrong with the file as it stands; `None` while it is the policy in force.
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes over what the file holds now. Compiles, and waits for who compiles: not for a task that serves clients.
    pub fn take(&self, bytes: &[u8], now: Timestamp) -> Look {
        let mut parts = self.parts();
        let loaded = load(bytes, &self.config, now).and_then(|source| self.not_cut_short(source, &parts.source));
        match loaded {
            Ok(source) => {
                self.tell(None);
                let snapshot = source.snapshot(&parts.acls);
                if self.worlds.snapshot().revision() == snapshot.revision() {
                    return Look::Same;
                }
                self.metrics.reload(ReloadedFile::Policy, ReloadOutcome::Loaded);
                parts.source = source;
                let swap = self.swap(snapshot, now);
                let (from, to) = (swap.before.revision().as_str(), swap.now.revision().as_str());
                tracing::info!(file = %self.file().display(), from, to, "policy reloaded");
                Look::Loaded(swap)
            }
            Err(problems) => {
                self.metrics.reload(ReloadedFile::Policy, ReloadOutcome::Refused);
                for problem in &problems {
                    tracing::error!("{problem}");
                }
                let revision = self.revision();
                tracing::error!(file = %self.file().display(), in_force = revision.as_str(), "policy refused: the one in force stays");
                // Not its faults, which quote it: whoever reaches the page reads this.
                let faults = problems.len();
                self.tell(Some(format!(
                    "policy file refused, {revision} stays in force: {faults} faults, see the log"
                )));
                Look::Refused(problems)
            }
        }
    }

    /// Puts these ACLs in force in place of those before, with the file as it is. Compiles, as [`Self::take`] does.
    pub fn put(&self, acls: AclSet) -> Swap {
        let mut parts = self.parts();
        let now = now();
        let snapshot = parts.source.snapshot(&acls);
        parts.acls = acls;
        let swap = self.swap(snapshot, now);
        let (from, to) = (swap.before.revision().as_str(), swap.now.revision().as_str());
        tracing::debug!(acls = parts.acls.len(), from, to, "protocol ACLs in force");
        swap
    }

    fn swap(&self, now: Arc<Snapshot>, at: Timestamp) -> Swap {
        let before = self.worlds.snapshot();
        self.worlds.judge_by(Arc::clone(&now));
        // After the swap: whoever sees the revision in the metrics is judged by it.
        self.metrics.policy_loaded(now.revision(), at);
        Swap { before, now }
    }

    /// A file that lost its `end: true` lost what stood before it too: denies come last, and without them nothing would
    /// demand that key (threat 37).
    fn not_cut_short(&self, new: Arc<PolicySource>, old: &PolicySource) -> Result<Arc<PolicySource>, Vec<Problem>> {
        if new.proves_whole() || !old.proves_whole() {
            return Ok(new);
        }
        let text = "`end: true` is missing as the last key, and the policy in force has it: this file looks cut short; \
                    to do without that key, restart";
        Err(vec![Problem { file: self.file().display().to_string(), place: None, text: text.to_owned() }])
    }

    /// The file could not be read.
    pub fn unreadable(&self, error: &str) {
        self.stays(ReloadOutcome::Unreadable, "unreadable", error);
    }

    /// What the file held could not be compiled, through no fault of it.
    pub fn not_compiled(&self, error: &str) {
        self.stays(ReloadOutcome::Refused, "refused", error);
    }

    fn stays(&self, outcome: ReloadOutcome, what: &str, error: &str) {
        self.metrics.reload(ReloadedFile::Policy, outcome);
        let revision = self.revision();
        tracing::error!(file = %self.file().display(), in_force = revision.as_str(), error, "policy {what}: the one in force stays");
        self.tell(Some(format!("policy file {what}, {revision} stays in force: {error}")));
    }

    fn parts(&self) -> MutexGuard<'_, Parts> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, trouble: Option<String>) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }
}

fn load(bytes: &[u8], config: &Config, now: Timestamp) -> Result<Arc<PolicySource>, Vec<Problem>> {
    let (source, warnings) = policy_of(bytes, config, now)?;
    for warning in &warnings {
        tracing::warn!("{warning}");
    }
    Ok(source)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::enforce::Routes;
    use crate::model::{Operation, PatternType, ResourceType};
    use crate::policy::{AclBinding, Permission};

    const CONFIG: &str = "version: 1\ninstance: p\ncluster: { name: c, bootstrap: [\"k:9092\"] }\n\
        listeners: [{ name: a, bind: \"127.0.0.1:1\", identity: fixed, principal: \"User:a\", brokers: { ports: { ids: 1-1 } } }]\n\
        policy: { file: policy.yaml }\n";

    fn keeper(dir: &Path) -> PolicyKeeper {
        std::fs::write(dir.join("policy.yaml"), file(0)).unwrap();
        let config = config::parse(CONFIG, &dir.join("kordon.yaml"), &|_| None).unwrap();
        PolicyKeeper::open(&config, Arc::new(Metrics::new().unwrap()), Timestamp(0)).unwrap()
    }

    fn file(n: usize) -> String {
        format!(
            "version: 1\ndefault: deny\nacls: [{{ allow: [Read], principals: [\"User:u{n}\"], resources: [\"topic:t\"] }}]\n"
        )
    }

    fn acls(n: usize) -> AclSet {
        let one = |i| AclBinding {
            kind: ResourceType::Topic,
            pattern: PatternType::Literal,
            name: format!("t{i}"),
            principal: "User:a".into(),
            host: "*".into(),
            operation: Operation::Read,
            permission: Permission::Allow,
        };
        AclSet::new((0..n).map(one), i64::try_from(n).ok())
    }

    #[test]
    fn a_file_and_acls_that_change_at_once_lose_neither() {
        let dir = tempfile::tempdir().unwrap();
        let keeper = keeper(dir.path());
        let world = keeper.worlds().open(&Arc::new(Routes::new(Vec::new())));
        std::thread::scope(|scope| {
            scope.spawn(|| (1..=100).for_each(|n| drop(keeper.take(file(n).as_bytes(), Timestamp(0)))));
            scope.spawn(|| {
                for n in 1..=100 {
                    keeper.put(acls(n));
                    // Published when the call returns, whatever the other does meanwhile.
                    assert_eq!(world.borrow().snapshot.protocol_acls().len(), n);
                }
            });
        });
        let last = Arc::clone(&world.borrow().snapshot);
        let (expected, _) = policy_of(file(100).as_bytes(), &keeper.config, Timestamp(0)).unwrap();
        assert_eq!(last.revision(), expected.snapshot(&acls(100)).revision());
        assert_eq!(keeper.revision(), last.revision().clone());
    }

    #[test]
    fn a_refused_file_leaves_the_acls_in_force_and_they_change_on() {
        let dir = tempfile::tempdir().unwrap();
        let keeper = keeper(dir.path());
        keeper.put(acls(1));
        assert!(matches!(keeper.take(b"version: 9", Timestamp(0)), Look::Refused(_)));
        let swap = keeper.put(acls(2));
        assert_eq!((swap.before.protocol_acls().len(), swap.now.protocol_acls().len()), (1, 2));
        assert!(matches!(keeper.take(file(0).as_bytes(), Timestamp(0)), Look::Same));
    }
}

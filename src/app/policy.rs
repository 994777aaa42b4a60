//! The policy in force: read at start, taken over when the file changes, never lost to a bad edit.

use super::files::read;
use crate::model::{Revision, Timestamp};
use crate::policy::{OwnTopics, Settings, Snapshot};
use crate::telemetry::{Metrics, ReloadOutcome, ReloadedFile};
use crate::yaml::Problem;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// Holds the policy in force and what was wrong with the last look at its file.
pub struct PolicyKeeper {
    file: PathBuf,
    /// What the file held when it was read for the first time.
    bytes: Vec<u8>,
    own_topics: OwnTopics,
    metrics: Arc<Metrics>,
    snapshots: watch::Sender<Arc<Snapshot>>,
    trouble: Mutex<Option<String>>,
}

/// What a look at the file came to.
pub enum Look {
    /// A new policy is in force; the one before is told for the audit.
    Loaded {
        /// The one that was in force.
        before: Arc<Snapshot>,
        /// The one that is.
        now: Arc<Snapshot>,
    },
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
    pub fn open(
        file: &Path,
        own_topics: OwnTopics,
        metrics: Arc<Metrics>,
        now: Timestamp,
    ) -> Result<Self, Vec<Problem>> {
        let bytes = read(file)?;
        let snapshot = load(&bytes, file, &own_topics, now)?;
        metrics.policy_loaded(snapshot.revision(), now);
        let revision = snapshot.revision().as_str();
        tracing::info!(file = %file.display(), revision, "policy in force");
        Ok(Self {
            file: file.to_owned(),
            bytes,
            own_topics,
            metrics,
            snapshots: watch::Sender::new(snapshot),
            trouble: Mutex::default(),
        })
    }

    /// Follows the policy in force.
    pub fn follow(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.snapshots.subscribe()
    }

    /// What the file held at the start.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The file.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The revision in force.
    pub fn revision(&self) -> Revision {
        self.snapshots.borrow().revision().clone()
    }

    /// What is wrong with the file as it stands; `None` while it is the policy in force.
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes over what the file holds now.
    pub fn take(&self, bytes: &[u8], now: Timestamp) -> Look {
        let loaded = load(bytes, &self.file, &self.own_topics, now).and_then(|snapshot| self.not_cut_short(snapshot));
        match loaded {
            Ok(snapshot) => {
                self.tell(None);
                let before = self.snapshots.borrow().clone();
                if before.revision() == snapshot.revision() {
                    return Look::Same;
                }
                self.metrics.reload(ReloadedFile::Policy, ReloadOutcome::Loaded);
                self.snapshots.send_replace(Arc::clone(&snapshot));
                // After the swap: whoever sees the revision in the metrics is judged by it.
                self.metrics.policy_loaded(snapshot.revision(), now);
                let (from, to) = (before.revision().as_str(), snapshot.revision().as_str());
                tracing::info!(file = %self.file.display(), from, to, "policy reloaded");
                Look::Loaded { before, now: snapshot }
            }
            Err(problems) => {
                self.metrics.reload(ReloadedFile::Policy, ReloadOutcome::Refused);
                for problem in &problems {
                    tracing::error!("{problem}");
                }
                let revision = self.revision();
                tracing::error!(file = %self.file.display(), in_force = revision.as_str(), "policy refused: the one in force stays");
                let first = problems.first().map(ToString::to_string).unwrap_or_default();
                self.tell(Some(format!("policy file refused, {revision} stays in force: {first}")));
                Look::Refused(problems)
            }
        }
    }

    /// A file that lost its `end: true` lost what stood before it too: denies come last, and without them nothing would
    /// demand that key (threat 37).
    fn not_cut_short(&self, snapshot: Arc<Snapshot>) -> Result<Arc<Snapshot>, Vec<Problem>> {
        if snapshot.proves_whole() || !self.snapshots.borrow().proves_whole() {
            return Ok(snapshot);
        }
        let text = "`end: true` is missing as the last key, and the policy in force has it: this file looks cut short; \
                    to do without that key, restart";
        Err(vec![Problem { file: self.file.display().to_string(), place: None, text: text.to_owned() }])
    }

    /// The file could not be read.
    pub fn unreadable(&self, error: &str) {
        self.metrics.reload(ReloadedFile::Policy, ReloadOutcome::Unreadable);
        let revision = self.revision();
        tracing::error!(file = %self.file.display(), in_force = revision.as_str(), error, "policy unreadable: the one in force stays");
        self.tell(Some(format!("policy file unreadable, {revision} stays in force: {error}")));
    }

    fn tell(&self, trouble: Option<String>) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }
}

fn load(bytes: &[u8], file: &Path, own_topics: &OwnTopics, now: Timestamp) -> Result<Arc<Snapshot>, Vec<Problem>> {
    let settings = Settings { own_topics: own_topics.clone(), now, ..Settings::default() };
    let loaded = Snapshot::load(bytes, &file.display().to_string(), &settings)?;
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    Ok(loaded.snapshot)
}

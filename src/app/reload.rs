//! Takes over a changed policy file while clients stay connected, and tells the audit what changed.

use super::compiler::Compiler;
use super::files::users_of;
use super::policy::{Look, PolicyKeeper, Swap};
use super::watch::{Contents, FileWatch};
use super::worlds::Worlds;
use crate::access::{InForce, Made};
use crate::audit::Audit;
use crate::audit::event::PolicyInfo;
use crate::clock::now;
use crate::policy::{AclSet, Changes};
use crate::telemetry::{Metrics, ReloadOutcome, ReloadedFile};
use crate::yaml::Problem;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;

/// The most lines of a diff that go into one event.
const MOST_NOTES: usize = 100;

/// Follows the file for as long as the process runs.
pub(super) async fn follow(mut watch: FileWatch, policy: Arc<PolicyKeeper>, audit: Audit, compiler: Arc<Compiler>) {
    while let Some(contents) = watch.changed().await {
        match contents {
            Contents::Bytes(bytes) => {
                let taking = Arc::clone(&policy);
                let told = audit.clone();
                if compiler.run(move || take(&bytes, &taking, &told)).await.is_none() {
                    let error = "it was not taken over, which is a fault of the proxy: report this with the file";
                    policy.not_compiled(error);
                    tell(&audit, &policy, None, &[error.to_owned()], &[]);
                }
            }
            Contents::Unreadable(error) => {
                policy.unreadable(&error);
                tell(&audit, &policy, None, &[error], &[]);
            }
        }
    }
}

/// Follows the users file: who logs in from now on is checked against what it holds, and who is logged in too.
pub(super) async fn follow_users(watch: FileWatch, file: PathBuf, worlds: Arc<Worlds>, metrics: Arc<Metrics>) {
    let words = Words {
        loaded: "users reloaded",
        refused: "users file refused: the users in force stay",
        unreadable: "users file unreadable: the users in force stay",
    };
    let take = |bytes: &[u8]| users_of(bytes, &file).map(|read| worlds.log_in_by(Arc::new(read)));
    follow_file(watch, &file, words, take, |outcome| metrics.reload(ReloadedFile::Users, outcome)).await;
}

/// What the log says of a file that changed.
pub(super) struct Words {
    pub(super) loaded: &'static str,
    pub(super) refused: &'static str,
    pub(super) unreadable: &'static str,
}

/// Follows a file that is in force as soon as it is taken; what is refused changes nothing.
pub(super) async fn follow_file(
    mut watch: FileWatch,
    file: &Path,
    words: Words,
    take: impl Fn(&[u8]) -> Result<(), Vec<Problem>>,
    count: impl Fn(ReloadOutcome),
) {
    let shown = file.display();
    while let Some(contents) = watch.changed().await {
        count(match contents {
            Contents::Bytes(bytes) => match take(&bytes) {
                Ok(()) => {
                    tracing::info!(file = %shown, "{}", words.loaded);
                    ReloadOutcome::Loaded
                }
                Err(problems) => {
                    for problem in &problems {
                        tracing::error!("{problem}");
                    }
                    tracing::error!(file = %shown, "{}", words.refused);
                    ReloadOutcome::Refused
                }
            },
            Contents::Unreadable(error) => {
                tracing::error!(file = %shown, error, "{}", words.unreadable);
                ReloadOutcome::Unreadable
            }
        });
    }
}

/// Puts ACLs made over the protocol in force, and tells the audit who changed what.
pub(super) struct Acls {
    pub(super) policy: Arc<PolicyKeeper>,
    pub(super) audit: Audit,
    pub(super) compiler: Arc<Compiler>,
}

impl InForce for Acls {
    fn put(&self, acls: AclSet, made: Vec<Made>) -> Pin<Box<dyn Future<Output = bool> + Send + '_>> {
        let (policy, audit) = (Arc::clone(&self.policy), self.audit.clone());
        Box::pin(async move {
            let put = self.compiler.run(move || {
                let Swap { before, .. } = policy.put(acls);
                tell(&audit, &policy, Some(before.revision().as_str()), &[], &made_notes(&made));
            });
            let put = put.await;
            if put.is_none() {
                tracing::error!("protocol ACLs were not put in force: restart, and report this");
            }
            put.is_some()
        })
    }
}

/// Who made or removed which ACL, in lines.
fn made_notes(made: &[Made]) -> Vec<String> {
    let line = |Made { acl, present, by }: &Made| {
        let what = if *present { "ACL created" } else { "ACL removed" };
        match by {
            Some(by) => format!("{what} by {} at {} through {}: {acl}", by.principal, by.address, by.instance),
            None => format!("{what} at the brokers, past this proxy: {acl}"),
        }
    };
    bounded(made.iter().map(line).collect())
}

/// Tells the audit of the policy that the process started with.
pub(super) fn tell_first(audit: &Audit, policy: &PolicyKeeper) {
    tell(audit, policy, None, &[], &[]);
}

fn take(bytes: &[u8], policy: &PolicyKeeper, audit: &Audit) {
    match policy.take(bytes, now()) {
        Look::Same => {}
        Look::Loaded(Swap { before, now }) => {
            let notes = notes(&now.changes_since(&before));
            tell(audit, policy, Some(before.revision().as_str()), &[], &notes);
        }
        Look::Refused(problems) => {
            let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
            tell(audit, policy, None, &problems, &[]);
        }
    }
}

fn tell(audit: &Audit, policy: &PolicyKeeper, previous: Option<&str>, problems: &[String], notes: &[String]) {
    let (revision, file) = (policy.revision(), policy.file().display().to_string());
    audit.policy(&PolicyInfo { revision: revision.as_str(), previous, file: &file, problems, notes }, now());
}

/// The diff in lines, dropped denies first: they are what somebody should look at.
fn notes(changes: &Changes) -> Vec<String> {
    let dropped = changes.denies_dropped.iter().map(|line| format!("deny dropped: {line}"));
    let removed = changes.removed.iter().map(|line| format!("removed: {line}"));
    let added = changes.added.iter().map(|line| format!("added: {line}"));
    bounded(dropped.chain(removed).chain(added).collect())
}

fn bounded(mut notes: Vec<String>) -> Vec<String> {
    if notes.len() > MOST_NOTES {
        let more = notes.len() - MOST_NOTES;
        notes.truncate(MOST_NOTES);
        notes.push(format!("and {more} more"));
    }
    notes
}

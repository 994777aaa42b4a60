//! Follows the files of TLS: what they hold anew is taken over for the next handshake, and their end is told before it
//! comes.

use super::files::{self, DAY, SOON};
use super::notices::Notices;
use super::watch::{FileWatch, WatchError};
use crate::clock::now;
use crate::config::Config;
use crate::model::Timestamp;
use crate::telemetry::{Metrics, ReloadOutcome, ReloadedFile};
use crate::tls::{Acceptor, TlsError, TlsFile, Upstream, files_of_listener, files_of_upstream};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// A certificate and its key are two files: what does not fit yet is looked at again after this long.
const SECOND_LOOK: Duration = Duration::from_secs(1);
/// How often the ends of certificates are compared with the clock.
const CLOCK: Duration = Duration::from_secs(600);
/// How long before an end a warning is due, the longest first; at last when it has come.
const WARNINGS: [i64; 4] = [SOON, 7 * DAY, DAY, 0];

/// What is secured by files.
pub(super) enum Secured {
    /// A listener, by its name.
    Listener(String, Arc<Acceptor>),
    /// Connections to brokers, and whose they are.
    Brokers(String, Arc<Upstream>),
}

impl Secured {
    fn files(&self) -> Vec<TlsFile> {
        match self {
            Self::Listener(_, acceptor) => files_of_listener(acceptor.settings()),
            Self::Brokers(_, upstream) => files_of_upstream(upstream.settings()),
        }
    }

    fn reload(&self) -> Result<(), TlsError> {
        match self {
            Self::Listener(_, acceptor) => acceptor.reload(),
            Self::Brokers(_, upstream) => upstream.load(),
        }
    }

    fn name(&self) -> String {
        match self {
            Self::Listener(name, _) => format!("listener `{name}`"),
            Self::Brokers(whose, _) => format!("connections to brokers, {whose}"),
        }
    }
}

/// What a file of TLS held when it was seen first.
pub(super) type Known = (Vec<u8>, TlsFile);

/// What every file of TLS holds. To be asked for before they are loaded: what changes in between is then noticed.
pub(super) fn known(config: &Config) -> Vec<Known> {
    // What cannot be read is told where it is loaded, or else by the first look.
    let bytes = |file: &TlsFile| std::fs::read(file.path()).unwrap_or_default();
    files::of_tls(config).into_iter().map(|file| (bytes(&file), file)).collect()
}

/// Begins to follow the files that these go by.
///
/// # Errors
/// SIGHUP cannot be received.
pub(super) fn follow(
    secured: Vec<Secured>,
    known: Vec<Known>,
    notices: &Notices,
    metrics: &Arc<Metrics>,
    followers: &mut JoinSet<()>,
) -> Result<(), WatchError> {
    if known.is_empty() {
        return Ok(());
    }
    let (tell, told) = mpsc::channel(known.len());
    let mut files = Vec::new();
    for (i, (bytes, file)) in known.into_iter().enumerate() {
        let mut watch = FileWatch::start(notices, file.path(), bytes)?;
        files.push(file);
        let tell = tell.clone();
        followers.spawn(async move {
            while watch.changed().await.is_some() {
                if tell.send(i).await.is_err() {
                    return;
                }
            }
        });
    }
    let ends = Ends { files: files.clone(), told: BTreeMap::new(), metrics: Arc::clone(metrics) };
    followers.spawn(run(secured, files, told, ends));
    Ok(())
}

async fn run(secured: Vec<Secured>, files: Vec<TlsFile>, mut told: mpsc::Receiver<usize>, mut ends: Ends) {
    loop {
        ends.look(now());
        let mut changed: Vec<usize> = tokio::select! {
            file = told.recv() => match file {
                Some(file) => vec![file],
                None => return,
            },
            () = tokio::time::sleep(CLOCK) => continue,
        };
        while let Ok(file) = told.try_recv() {
            changed.push(file);
        }
        let changed: Vec<&TlsFile> = changed.into_iter().filter_map(|i| files.get(i)).collect();
        for one in secured.iter().filter(|one| one.files().iter().any(|file| changed.contains(&file))) {
            take(one, &ends.metrics).await;
        }
    }
}

/// Takes over what the files hold, or says why not.
async fn take(one: &Secured, metrics: &Metrics) {
    let mut result = one.reload();
    if result.is_err() {
        tokio::time::sleep(SECOND_LOOK).await;
        result = one.reload();
    }
    let outcome = match result {
        Ok(()) => {
            tracing::info!(of = one.name(), "TLS files reloaded: new handshakes go by them");
            ReloadOutcome::Loaded
        }
        Err(error) => {
            tracing::error!(of = one.name(), %error, "TLS files refused: those in force stay");
            match error {
                TlsError::Unreadable { .. } => ReloadOutcome::Unreadable,
                _ => ReloadOutcome::Refused,
            }
        }
    };
    metrics.reload(ReloadedFile::Tls, outcome);
}

/// When files end, and what was said of that.
struct Ends {
    files: Vec<TlsFile>,
    /// The end of which was warned, and how many warnings of it were due then.
    told: BTreeMap<usize, (Timestamp, usize)>,
    metrics: Arc<Metrics>,
}

impl Ends {
    fn look(&mut self, now: Timestamp) {
        for (i, file) in self.files.iter().enumerate() {
            // What cannot be read was told where it was to be taken over.
            let Ok(Some(end)) = file.end(now) else { continue };
            self.metrics.certificate_ends(&file.path().display().to_string(), end);
            let due = due(end, now);
            let before = self.told.insert(i, (end, due));
            if due > before.filter(|(of, _)| *of == end).map_or(0, |(_, due)| due) {
                warn(file, end, due == WARNINGS.len());
            }
        }
    }
}

/// How many warnings of an end are due.
fn due(end: Timestamp, now: Timestamp) -> usize {
    WARNINGS.iter().filter(|before| end.millis_since(now) <= **before).count()
}

fn warn(file: &TlsFile, end: Timestamp, ended: bool) {
    let (file, what) = (file.path().display(), what(file));
    if ended {
        tracing::error!(%file, %end, "{what} has ended: renew it");
    } else {
        tracing::warn!(%file, %end, "{what} ends soon: renew it");
    }
}

fn what(file: &TlsFile) -> &'static str {
    match file {
        TlsFile::Chain(_) | TlsFile::Key(_) => "a certificate",
        TlsFile::Authorities(_) => "an authority's certificate",
        TlsFile::Revocations(_) => "a revocation list",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_told_a_month_a_week_and_a_day_before_and_when_it_has_come() {
        let end = Timestamp(100 * DAY);
        let due = |days: i64| due(end, Timestamp(days * DAY));
        assert_eq!([0, 69, 70, 92, 93, 98, 99, 100, 101].map(due), [0, 0, 1, 1, 2, 2, 3, 4, 4]);
    }
}

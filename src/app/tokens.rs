//! Keys of token issuers: files are followed, addresses are asked, before clients come and ever after. An issuer that is
//! away does not stop the proxy: its keys count for `jwks_max_age` after they were last had, and then logins by its tokens
//! are put off.

use super::files;
use super::notices::Notices;
use super::reload::{Words, follow_file};
use super::watch::{FileWatch, WatchError};
use crate::clock::now;
use crate::config::{Authorities, Config, KeySource, TokenIssuer, WebAddress};
use crate::http::Ask;
use crate::identity::tokens::{Issuer, KeySet, KeySetError, MOST_BYTES, Tokens, Wanted, WantedKey};
use crate::model::Timestamp;
use crate::net::{Issuers, Request};
use crate::telemetry::{IssuerMetrics, Metrics, ReloadedFile};
use crate::yaml::Problem;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// How long an issuer may take to answer. Logins wait for it, within `limits.login_timeout`.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often keys may be asked for because a token names one that is not there, and because one is not signed by the key
/// that it names: who makes tokens up must not make the proxy ask more often than this.
const LEAST_APART: Duration = Duration::from_secs(10);
/// After how long an issuer is asked again that did not answer, at the least and at the most.
const RETRIES: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(60)];
/// How many names of keys are remembered that an issuer has not.
const MOST_ABSENT: usize = 1_000;

/// The issuers of the configuration, with the keys that are in files.
pub struct Loaded {
    tokens: Tokens,
    /// Of which of them, and what is in force of it.
    files: Vec<(usize, PathBuf, Vec<u8>)>,
}

/// Reads the keys that are in files.
///
/// # Errors
/// A file that cannot be read or used.
pub fn load(config: &Config) -> Result<Loaded, Vec<Problem>> {
    let mut tokens = Tokens::new(config.tokens.iter().map(issuer).collect());
    let (mut files, mut problems) = (Vec::new(), Vec::new());
    for (place, one) in config.tokens.iter().enumerate() {
        let KeySource::File(file) = &one.keys else { continue };
        match files::read(file).and_then(|bytes| Ok((keys_of(&bytes, file)?, bytes))) {
            Ok((keys, bytes)) => {
                tokens = tokens.with_keys(place, Some(Arc::new(keys)));
                files.push((place, file.clone(), bytes));
            }
            Err(mut faults) => problems.append(&mut faults),
        }
    }
    if problems.is_empty() { Ok(Loaded { tokens, files }) } else { Err(problems) }
}

fn issuer(one: &TokenIssuer) -> Issuer {
    Issuer {
        name: one.issuer.as_str().into(),
        audience: one.audience.clone(),
        algorithms: one.algorithms.clone(),
        principal_claim: one.principal_claim.clone(),
        groups_claim: one.groups_claim.clone(),
        merge_groups: one.merge_groups,
        clock_skew: one.clock_skew,
    }
}

/// The keys that an issuer gives at its address.
///
/// # Errors
/// Why there are none, in words.
pub async fn fetch(address: &WebAddress, ca: &Authorities) -> Result<KeySet, String> {
    let bytes = Ask { address, ca, timeout: PATIENCE, most: MOST_BYTES }.get().await;
    let bytes = bytes.map_err(|error| format!("{address}: {error}"))?;
    KeySet::parse(&bytes).map_err(|error| format!("{address}: {error}"))
}

fn keys_of(bytes: &[u8], file: &Path) -> Result<KeySet, Vec<Problem>> {
    let whole = |error: KeySetError| Problem { file: file.display().to_string(), place: None, text: error.to_string() };
    KeySet::parse(bytes).map_err(|error| vec![whole(error)])
}

/// Whether every issuer was asked once, whatever came of it.
pub(super) struct Asked(Vec<(Arc<str>, Arc<AtomicBool>)>);

impl Asked {
    /// Who was not.
    pub(super) fn obstacle(&self) -> Option<String> {
        let (issuer, _) = self.0.iter().find(|(_, asked)| !asked.load(Ordering::Relaxed))?;
        Some(format!("tokens: the keys of issuer `{issuer}` were not asked for yet"))
    }
}

/// Begins to follow files and to ask issuers.
///
/// # Errors
/// SIGHUP cannot be received.
pub(super) fn follow(
    config: &Config,
    loaded: Loaded,
    notices: &Notices,
    metrics: &Arc<Metrics>,
    followers: &mut JoinSet<()>,
) -> Result<(Arc<Issuers>, Asked), WatchError> {
    let is_asked: Vec<bool> = config.tokens.iter().map(|one| matches!(one.keys, KeySource::Url { .. })).collect();
    let (issuers, requests) = Issuers::new(loaded.tokens, &is_asked);
    let issuers = Arc::new(issuers);
    for (place, file, known) in loaded.files {
        let watch = FileWatch::start(notices, &file, known)?;
        followers.spawn(follow_keys(watch, file, Arc::clone(&issuers), place, Arc::clone(metrics)));
    }
    let mut asked = Vec::new();
    for (place, (one, requests)) in config.tokens.iter().zip(requests).enumerate() {
        let keeper = Keeper::of(one, place, &issuers, metrics);
        let (Some(keeper), Some(requests)) = (keeper, requests) else { continue };
        let once = Arc::new(AtomicBool::new(false));
        asked.push((Arc::clone(&keeper.name), Arc::clone(&once)));
        followers.spawn(keeper.run(requests, once));
    }
    Ok((issuers, Asked(asked)))
}

async fn follow_keys(watch: FileWatch, file: PathBuf, issuers: Arc<Issuers>, place: usize, metrics: Arc<Metrics>) {
    let words = Words {
        loaded: "keys of a token issuer reloaded",
        refused: "keys of a token issuer refused: those in force stay",
        unreadable: "keys of a token issuer unreadable: those in force stay",
    };
    let take = |bytes: &[u8]| keys_of(bytes, &file).map(|keys| issuers.put(place, Some(&Arc::new(keys))));
    follow_file(watch, &file, words, take, |outcome| metrics.reload(ReloadedFile::Keys, outcome)).await;
}

/// Asks one issuer for its keys.
struct Keeper {
    name: Arc<str>,
    place: usize,
    address: WebAddress,
    ca: Authorities,
    refresh: Duration,
    max_age: Duration,
    issuers: Arc<Issuers>,
    metrics: IssuerMetrics,
    /// When it is asked next without a cause.
    due: Instant,
    /// When the last request began that was answered with keys.
    begun: Option<Instant>,
    /// Until when the keys count that are in force, if any are. By a clock that nobody sets.
    good_until: Option<Instant>,
    /// When it was last asked because a token names a key that is not there.
    wanted: Option<Instant>,
    /// When it was last asked because a token is not signed by the key that it names.
    doubted: Option<Instant>,
    /// Keys that were wanted and that it has not, and when it was asked that says so.
    absent: HashMap<Absent, Instant>,
    state: State,
}

/// A key that an issuer has not: of this name; or another one than it has, of this name or of none.
#[derive(PartialEq, Eq, Hash)]
enum Absent {
    Named(String),
    Other(Option<String>),
}

impl Absent {
    fn of(key: &WantedKey) -> Option<Self> {
        match key {
            WantedKey::Any => None,
            WantedKey::Named(kid) => Some(Self::Named(kid.clone())),
            WantedKey::Other { kid, .. } => Some(Self::Other(kid.clone())),
        }
    }
}

/// How it stands with an issuer.
enum State {
    /// It was not asked yet.
    Unasked,
    /// It answered.
    Well,
    /// It does not answer, so often in a row; and why.
    Failing { times: u32, why: String },
}

impl Keeper {
    /// Of an issuer whose keys are at an address.
    fn of(one: &TokenIssuer, place: usize, issuers: &Arc<Issuers>, metrics: &Metrics) -> Option<Self> {
        let KeySource::Url { address, ca, refresh, max_age } = &one.keys else { return None };
        Some(Self {
            name: one.issuer.as_str().into(),
            place,
            address: address.clone(),
            ca: ca.clone(),
            refresh: *refresh,
            max_age: *max_age,
            issuers: Arc::clone(issuers),
            metrics: metrics.issuer(&one.issuer),
            due: Instant::now(),
            begun: None,
            good_until: None,
            wanted: None,
            doubted: None,
            absent: HashMap::new(),
            state: State::Unasked,
        })
    }

    async fn run(mut self, mut requests: mpsc::Receiver<Request>, once: Arc<AtomicBool>) {
        loop {
            let end = self.good_until;
            // Nothing is lost with a branch that is dropped: a request that is not taken stays in its channel.
            tokio::select! {
                () = tokio::time::sleep_until(self.due.into()) => {
                    // What is wrong was told.
                    let _ = self.ask().await;
                    once.store(true, Ordering::Relaxed);
                }
                request = requests.recv() => match request {
                    Some(request) => {
                        let answer = self.look_for(&request).await;
                        // Who asked may have left.
                        let _ = request.answer.send(answer);
                    }
                    None => return,
                },
                () = tokio::time::sleep_until(end.unwrap_or(self.due).into()), if end.is_some() => self.give_up(),
            }
        }
    }

    /// Whether a key is there, or is known not to exist: that is well. Else why that cannot be told.
    async fn look_for(&mut self, request: &Request) -> Result<(), String> {
        let wanted = &request.wanted;
        if request.answer.is_closed() || self.has(wanted) || self.is_absent(request) {
            return Ok(());
        }
        let (name, is_doubt) = (Arc::clone(&self.name), matches!(wanted.key, WantedKey::Other { .. }));
        let cannot = |why: &str| {
            Err(if is_doubt {
                format!(
                    "the token is not signed by the key that it names, and whether issuer `{name}` has another by now cannot be told: {why}"
                )
            } else {
                format!("the keys of issuer `{name}` cannot be had: {why}")
            })
        };
        // Apart, so that forged signatures do not keep new keys from being found.
        let last = if is_doubt { &mut self.doubted } else { &mut self.wanted };
        if last.is_some_and(|last| last.elapsed() < LEAST_APART) {
            return cannot(match &self.state {
                State::Failing { why, .. } => why,
                State::Unasked | State::Well => "they were asked for less than 10 s ago",
            });
        }
        *last = Some(Instant::now());
        if let Err(why) = self.ask().await {
            return cannot(&why);
        }
        if is_doubt || !self.has(wanted) {
            self.remember_absent(&wanted.key);
        }
        Ok(())
    }

    fn has(&self, wanted: &Wanted) -> bool {
        self.issuers.tokens().has(wanted)
    }

    /// Whether the issuer has answered, since the key was wanted or lately, that there is none.
    fn is_absent(&mut self, request: &Request) -> bool {
        let Some(key) = Absent::of(&request.wanted.key) else { return false };
        if self.begun.is_some_and(|begun| begun >= request.since) {
            self.remember_absent(&request.wanted.key);
            return true;
        }
        self.absent.get(&key).is_some_and(|asked| asked.elapsed() < LEAST_APART)
    }

    /// Remembers that there is no such key, by the last answer.
    fn remember_absent(&mut self, key: &WantedKey) {
        let Some((key, begun)) = Absent::of(key).zip(self.begun) else { return };
        if self.absent.len() >= MOST_ABSENT {
            self.absent.retain(|_, asked| asked.elapsed() < LEAST_APART);
        }
        if self.absent.len() < MOST_ABSENT {
            self.absent.insert(key, begun);
        }
    }

    async fn ask(&mut self) -> Result<(), String> {
        let (begun, at) = (Instant::now(), now());
        let (address, ca) = (self.address.clone(), self.ca.clone());
        let mut fetching = pin!(fetch(&address, &ca));
        let fetched = loop {
            let end = self.good_until;
            // The request goes on behind the other branch.
            tokio::select! {
                fetched = &mut fetching => break fetched,
                () = tokio::time::sleep_until(end.unwrap_or(begun).into()), if end.is_some() => self.give_up(),
            }
        };
        self.metrics.asked(fetched.is_ok());
        match fetched {
            Ok(keys) => {
                self.take(keys, begun, at);
                Ok(())
            }
            Err(why) => {
                self.failed(&why);
                Err(why)
            }
        }
    }

    fn take(&mut self, keys: KeySet, begun: Instant, at: Timestamp) {
        let (issuer, keys) = (&*self.name, Arc::new(keys));
        match &self.state {
            State::Unasked => tracing::info!(issuer, keys = keys.len(), "keys of a token issuer are known"),
            State::Well => tracing::debug!(issuer, keys = keys.len(), "keys of a token issuer confirmed"),
            State::Failing { .. } => {
                tracing::info!(issuer, keys = keys.len(), "keys of a token issuer are known again");
            }
        }
        for skipped in keys.skipped() {
            tracing::debug!(issuer, "a key of the issuer is left out: {skipped}");
        }
        self.issuers.put(self.place, Some(&keys));
        self.metrics.confirmed(keys.len(), at);
        self.state = State::Well;
        (self.begun, self.good_until) = (Some(begun), Some(begun + self.max_age));
        self.due = begun + self.refresh;
    }

    fn failed(&mut self, why: &str) {
        let issuer = &*self.name;
        let times = match self.state {
            State::Unasked | State::Well => {
                let until = match self.good_until {
                    Some(_) => "those that are known count until `jwks_max_age` is over",
                    None => "logins by its tokens are put off until it answers",
                };
                tracing::warn!(issuer, why, "keys of a token issuer cannot be had: {until}");
                1
            }
            State::Failing { times, .. } => {
                tracing::debug!(issuer, why, "keys of a token issuer still cannot be had");
                times.saturating_add(1)
            }
        };
        let [least, most] = RETRIES;
        let pause = least.saturating_mul(1 << (times - 1).min(8)).min(most).min(self.refresh);
        self.due = Instant::now() + pause;
        self.state = State::Failing { times, why: why.to_owned() };
    }

    /// The keys in force were not confirmed in time.
    fn give_up(&mut self) {
        self.good_until = None;
        self.issuers.put(self.place, None);
        self.metrics.gave_up();
        match &self.state {
            State::Failing { why, .. } => tracing::error!(
                issuer = &*self.name,
                why = why.as_str(),
                "keys of a token issuer are older than `jwks_max_age`: logins by its tokens are put off until it answers"
            ),
            // It is being asked, and what comes of that is told.
            State::Unasked | State::Well => {}
        }
    }
}

#[cfg(test)]
mod tests;

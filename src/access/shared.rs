//! What follower, writer and whoever asks how the state is have in common.

use super::fold::Fold;
use super::remote::Place;
use crate::cluster::trouble::Troubles;
use crate::model::shown;
use crate::telemetry::Metrics;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Why the state cannot be followed, or not be believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Halt {
    /// In words, with what to do. What is quoted in it was chosen by others: it is safe to be shown.
    pub(super) what: String,
    /// Whether waiting does not heal it.
    pub(super) lasting: bool,
}

impl Halt {
    /// Something that heals by itself.
    pub(super) fn passing(what: impl AsRef<str>) -> Self {
        Self { what: shown(what.as_ref()).into_owned(), lasting: false }
    }

    /// Something that somebody has to see to.
    pub(super) fn lasting(what: impl AsRef<str>) -> Self {
        Self { what: shown(what.as_ref()).into_owned(), lasting: true }
    }
}

/// A state that is believed, up to its end.
#[derive(Clone, Debug)]
pub(super) struct Following {
    pub(super) fold: Arc<Fold>,
    /// The offset behind the last record of it.
    pub(super) position: i64,
}

#[derive(Debug)]
pub(super) struct Shared {
    /// `topic kordon.state`, as it follows "state".
    name: String,
    max_staleness: Duration,
    /// Where the configuration says so.
    limit: &'static str,
    pub(super) metrics: Arc<Metrics>,
    troubles: Troubles,
    view: Mutex<View>,
    /// The newest state that is believed.
    pub(super) following: watch::Sender<Option<Following>>,
    /// Every record before this offset is in force; -1: none was read yet.
    pub(super) in_force: watch::Sender<i64>,
}

#[derive(Debug, Default)]
struct View {
    halt: Option<Halt>,
    /// What is believed could not be put in force; told before every other cause, until something newer is in force.
    stuck: Option<Halt>,
    /// When the question was asked to which the answer was: this is the end.
    confirmed: Option<Instant>,
    place: Option<Place>,
}

impl Shared {
    pub(super) fn new(name: &str, max_staleness: Duration, limit: &'static str, metrics: Arc<Metrics>) -> Self {
        metrics.state_offset.set(-1);
        Self {
            name: name.to_owned(),
            max_staleness,
            limit,
            metrics,
            troubles: Troubles::default(),
            view: Mutex::default(),
            following: watch::Sender::new(None),
            in_force: watch::Sender::new(-1),
        }
    }

    fn view(&self) -> MutexGuard<'_, View> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It stands still.
    pub(super) fn halted(&self, halt: Halt) {
        let known = self.view().halt.replace(halt.clone());
        if !halt.lasting {
            self.troubles.begin(&self.subject(), &halt.what);
        } else if known.as_ref() != Some(&halt) {
            tracing::error!(
                "state {}: {}: what was in force stays in force, changes are refused",
                self.name,
                halt.what
            );
        }
    }

    /// The end was reached in an answer to a question that was asked then, and the state is believed.
    pub(super) fn confirmed(&self, asked: Instant, place: &Place) {
        let mut view = self.view();
        if view.place.as_ref() != Some(place) {
            view.place = Some(place.clone());
        }
        drop(view);
        self.confirmed_at(asked);
    }

    /// The same, where there is no topic.
    pub(super) fn confirmed_at(&self, asked: Instant) {
        let mut view = self.view();
        view.confirmed = Some(asked);
        if let Some(halt) = view.halt.take()
            && halt.lasting
        {
            tracing::warn!(cause = halt.what, "state {}: believed again", self.name);
        }
        drop(view);
        self.troubles.end(&self.subject());
    }

    /// Where the partition was last seen.
    pub(super) fn place(&self) -> Option<Place> {
        self.view().place.clone()
    }

    /// Why it stands still.
    pub(super) fn halt(&self) -> Option<Halt> {
        let view = self.view();
        view.stuck.as_ref().or(view.halt.as_ref()).cloned()
    }

    /// Whether what is believed is in force, or could not be put there.
    pub(super) fn put(&self, done: bool) {
        let mut view = self.view();
        if done == view.stuck.is_none() {
            return;
        }
        view.stuck = (!done).then(|| {
            Halt::lasting("what was read could not be put in force, see the log: restart the proxy, and report this")
        });
        drop(view);
        if done {
            tracing::warn!("state {}: in force again", self.name);
        }
    }

    /// Why changes are refused: what is changed now would not be seen to be in force.
    pub(super) fn refuses(&self) -> Option<String> {
        self.halt().filter(|halt| halt.lasting).map(|halt| halt.what)
    }

    /// How long ago the end was confirmed; `None`: never.
    pub(super) fn staleness(&self) -> Option<Duration> {
        self.view().confirmed.map(|at| at.elapsed())
    }

    /// Whether new connections may be judged by what is in force.
    pub(super) fn admits(&self) -> bool {
        let stuck = self.view().stuck.is_some();
        !stuck && *self.in_force.borrow() >= 0 && self.staleness().is_some_and(|s| s <= self.max_staleness)
    }

    /// What stands in the way of being ready.
    pub(super) fn obstacle(&self) -> Option<String> {
        let halt = self.halt();
        let cause = || halt.as_ref().map_or_else(|| "it is being read".to_owned(), |halt| halt.what.clone());
        let subject = self.subject();
        match self.staleness() {
            _ if halt.as_ref().is_some_and(|halt| halt.lasting) => Some(format!("{subject}: {}", cause())),
            Some(s) if s > self.max_staleness => {
                let (ago, most) = (s.as_secs(), self.max_staleness.as_secs());
                Some(format!("{subject}: its end was confirmed {ago} s ago, {} is {most} s: {}", self.limit, cause()))
            }
            Some(_) if *self.in_force.borrow() >= 0 => None,
            Some(_) | None => Some(format!("{subject}: not read yet: {}", cause())),
        }
    }

    fn subject(&self) -> String {
        format!("state {}", self.name)
    }
}

//! What does not work just now, in words, for health and the log: logged once when it
//! lasts, and once when it is over.

use crate::clock::now;
use crate::model::Timestamp;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The troubles of one task, each under the name of what it concerns.
#[derive(Debug, Default)]
pub struct Troubles {
    by_subject: Mutex<BTreeMap<String, Trouble>>,
    failures: AtomicU64,
}

/// One trouble.
#[derive(Debug)]
struct Trouble {
    what: String,
    since: Timestamp,
    logged: bool,
}

/// A trouble that is over by then is not worth a line in the log: a broker that died is given up after 9 s
/// (`broker.session.timeout.ms`), then its leaders move.
const PASSING: i64 = 15_000;

impl Troubles {
    /// Something failed.
    pub fn begin(&self, subject: &str, what: &str) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        let (mut all, now) = (self.all(), now());
        let Some(trouble) = all.get_mut(subject) else {
            tracing::debug!(%subject, cause = %what, "failed, and is tried again");
            all.insert(subject.to_owned(), Trouble { what: what.to_owned(), since: now, logged: false });
            return;
        };
        if trouble.what != what {
            what.clone_into(&mut trouble.what);
        }
        if !trouble.logged && now.millis_since(trouble.since) >= PASSING {
            trouble.logged = true;
            tracing::error!(%subject, cause = %what, since = %trouble.since, "fails, and is tried again without end");
        }
    }

    /// It works again.
    pub fn end(&self, subject: &str) {
        if let Some(trouble) = self.all().remove(subject)
            && trouble.logged
        {
            tracing::warn!(%subject, cause = %trouble.what, since = %trouble.since, "works again");
        }
    }

    /// How often something failed.
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Since when something has been failing without a pause.
    pub fn since(&self) -> Option<Timestamp> {
        self.all().values().map(|trouble| trouble.since).min()
    }

    /// `topic kordon.audit partition 3: NOT_ENOUGH_REPLICAS since 12:03` for each, the first three.
    pub fn words(&self) -> Vec<String> {
        let all = self.all();
        let time = |at: Timestamp| at.to_string().get(11..16).map(str::to_owned).unwrap_or_default();
        all.iter().take(3).map(|(subject, t)| format!("{subject}: {} since {}", t.what, time(t.since))).collect()
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<String, Trouble>> {
        self.by_subject.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trouble_is_told_with_the_time_it_began_until_it_ends() {
        let troubles = Troubles::default();
        troubles.begin("topic kordon.audit", "NOT_LEADER_OR_FOLLOWER");
        troubles.begin("topic kordon.audit", "NOT_ENOUGH_REPLICAS");
        let since = troubles.since().unwrap().to_string();
        assert_eq!(troubles.words(), [format!("topic kordon.audit: NOT_ENOUGH_REPLICAS since {}", &since[11..16])]);
        assert_eq!(troubles.failures(), 2);
        troubles.end("topic kordon.audit");
        assert!(troubles.words().is_empty() && troubles.since().is_none());
    }
}

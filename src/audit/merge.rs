//! Joins equal decisions of one connection into one event with a count.
//!
//! The first of a run is told at once, and so is whatever differs from it; the rest are counted until the window
//! ends. A table belongs to one connection, so session and address are part of every key, and no lock is taken.

use super::event::{Aggregation, Volume};
use crate::model::Timestamp;
use std::time::Duration;

/// The most runs that one connection keeps open; a further one ends the oldest.
pub const RUNS: usize = 32;

/// The most bytes that the open runs of one connection take; a decision that alone is heavier is never merged.
pub const WEIGHT: usize = 64 * 1024;

/// A decision that can be told together with equal ones.
pub trait Candidate {
    /// What is kept of it while its run is open.
    type Kept: Clone;
    /// Whether it asks for the same: client, API, operation, resources.
    fn same_question(&self, kept: &Self::Kept) -> bool;
    /// Whether it was answered the same, by the same rule.
    fn same_answer(&self, kept: &Self::Kept) -> bool;
    /// Bytes that keeping it takes.
    fn weight(&self) -> usize;
    /// What is kept of it.
    fn keep(&self) -> Self::Kept;
}

/// A run that ended, or a window of it: an event to write.
#[derive(Debug, PartialEq, Eq)]
pub struct Ended<R> {
    /// The first decision of the run.
    pub kept: R,
    /// How many, from when to when.
    pub aggregation: Aggregation,
    /// What they moved.
    pub volume: Volume,
}

/// What becomes of a decision.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    /// To be told now, as one.
    Now,
    /// Counted; the end of its run tells it.
    Counted,
}

/// The open runs of one connection.
#[derive(Debug)]
pub struct Table<R> {
    runs: Vec<Run<R>>,
}

#[derive(Debug)]
struct Run<R> {
    kept: R,
    weight: usize,
    ends: Timestamp,
    window: Duration,
    /// Not told yet.
    count: u64,
    first: Timestamp,
    last: Timestamp,
    bytes: u64,
}

impl<R> Default for Table<R> {
    fn default() -> Self {
        Self { runs: Vec::new() }
    }
}

impl<R: Clone> Table<R> {
    /// Takes a decision made at `at` that may be merged for `window`; runs that end by it are appended to `ended`.
    pub fn take<C: Candidate<Kept = R>>(
        &mut self,
        decision: &C,
        at: Timestamp,
        window: Duration,
        bytes: u64,
        ended: &mut Vec<Ended<R>>,
    ) -> Taken {
        let same = self.runs.iter_mut().find(|run| decision.same_question(&run.kept));
        if let Some(run) = same
            && decision.same_answer(&run.kept)
            && at < run.ends
        {
            if run.count == 0 {
                run.first = at;
            }
            run.count += 1;
            run.last = run.last.max(at);
            run.bytes = run.bytes.saturating_add(bytes);
            return Taken::Counted;
        }
        self.interrupt(decision, ended);
        let weight = decision.weight();
        if weight > WEIGHT {
            return Taken::Now;
        }
        while self.runs.len() >= RUNS || self.runs.iter().map(|run| run.weight).sum::<usize>() + weight > WEIGHT {
            let oldest = self.runs.iter().enumerate().min_by_key(|(_, run)| run.ends).map(|(i, _)| i);
            let Some(oldest) = oldest else { break };
            ended.extend(self.runs.swap_remove(oldest).into_ended());
        }
        self.runs.push(Run {
            kept: decision.keep(),
            weight,
            ends: at.plus(window),
            window,
            count: 0,
            first: at,
            last: at,
            bytes: 0,
        });
        Taken::Now
    }

    /// Ends the run of the same question: it was answered otherwise, or told by itself.
    pub fn interrupt<C: Candidate<Kept = R>>(&mut self, decision: &C, ended: &mut Vec<Ended<R>>) {
        if let Some(at) = self.runs.iter().position(|run| decision.same_question(&run.kept)) {
            ended.extend(self.runs.swap_remove(at).into_ended());
        }
    }

    /// When the next window ends.
    pub fn due(&self) -> Option<Timestamp> {
        self.runs.iter().map(|run| run.ends).min()
    }

    /// Ends the windows that are over at `now`. A run that was counted goes on with a new window, an idle one is
    /// forgotten: its next decision is told at once again.
    pub fn flush(&mut self, now: Timestamp, ended: &mut Vec<Ended<R>>) {
        self.runs.retain_mut(|run| {
            if run.ends > now {
                return true;
            }
            let Some(told) = run.tell() else { return false };
            run.ends = now.plus(run.window);
            ended.push(told);
            true
        });
    }

    /// Ends every run.
    pub fn close(&mut self, ended: &mut Vec<Ended<R>>) {
        ended.extend(self.runs.drain(..).filter_map(Run::into_ended));
    }

    /// Decisions counted and not told yet.
    pub fn untold(&self) -> u64 {
        self.runs.iter().map(|run| run.count).sum()
    }
}

impl<R> Run<R> {
    fn volume(&self) -> Volume {
        Volume { requests: self.count, bytes: self.bytes }
    }

    fn aggregation(&self) -> Aggregation {
        Aggregation { count: self.count, first: self.first, last: self.last }
    }

    fn into_ended(self) -> Option<Ended<R>> {
        (self.count > 0).then(|| Ended { aggregation: self.aggregation(), volume: self.volume(), kept: self.kept })
    }
}

impl<R: Clone> Run<R> {
    fn tell(&mut self) -> Option<Ended<R>> {
        if self.count == 0 {
            return None;
        }
        let told = Ended { kept: self.kept.clone(), aggregation: self.aggregation(), volume: self.volume() };
        (self.count, self.bytes) = (0, 0);
        Some(told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Question and answer.
    #[derive(Clone, Debug, PartialEq, Eq)]
    struct Decision(u8, bool);

    impl Candidate for Decision {
        type Kept = Self;
        fn same_question(&self, kept: &Self) -> bool {
            self.0 == kept.0
        }
        fn same_answer(&self, kept: &Self) -> bool {
            self.1 == kept.1
        }
        fn weight(&self) -> usize {
            if self.0 == 199 { WEIGHT + 1 } else { usize::from(self.0) * 40 }
        }
        fn keep(&self) -> Self {
            self.clone()
        }
    }

    const WINDOW: Duration = Duration::from_secs(10);

    fn counts(ended: &[Ended<Decision>]) -> Vec<(Decision, u64)> {
        ended.iter().map(|e| (e.kept.clone(), e.aggregation.count)).collect()
    }

    #[test]
    fn the_first_is_told_at_once_and_the_rest_at_the_end_of_the_window() {
        let (mut table, mut ended) = (Table::default(), Vec::new());
        let allowed = Decision(1, true);
        assert_eq!(table.take(&allowed, Timestamp(0), WINDOW, 10, &mut ended), Taken::Now);
        assert_eq!(table.take(&allowed, Timestamp(1), WINDOW, 10, &mut ended), Taken::Counted);
        assert_eq!(table.take(&allowed, Timestamp(2), WINDOW, 10, &mut ended), Taken::Counted);
        table.flush(Timestamp(9_999), &mut ended);
        assert_eq!(ended, []);
        assert_eq!(table.due(), Some(Timestamp(10_000)));
        table.flush(Timestamp(10_000), &mut ended);
        let aggregation = Aggregation { count: 2, first: Timestamp(1), last: Timestamp(2) };
        assert_eq!(ended, [Ended { kept: allowed, aggregation, volume: Volume { requests: 2, bytes: 20 } }]);
        ended.clear();
        table.flush(Timestamp(20_000), &mut ended);
        assert_eq!((ended.len(), table.due()), (0, None), "an idle run is forgotten");
    }

    #[test]
    fn a_changed_answer_is_told_at_once_and_so_is_the_change_back() {
        let (mut table, mut ended) = (Table::default(), Vec::new());
        let mut take = |allowed: bool, at| table.take(&Decision(1, allowed), Timestamp(at), WINDOW, 0, &mut ended);
        assert_eq!(take(true, 0), Taken::Now);
        assert_eq!(take(true, 1), Taken::Counted);
        assert_eq!(take(false, 2), Taken::Now);
        assert_eq!(take(true, 3), Taken::Now);
        assert_eq!(counts(&ended), [(Decision(1, true), 1)]);
    }

    #[test]
    fn runs_are_bounded_and_the_oldest_ends_first() {
        let (mut table, mut ended) = (Table::default(), Vec::new());
        for question in 0..=u8::try_from(RUNS).unwrap() {
            let at = i64::from(question) * 10;
            table.take(&Decision(question, true), Timestamp(at), WINDOW, 0, &mut ended);
            table.take(&Decision(question, true), Timestamp(at + 1), WINDOW, 0, &mut ended);
        }
        assert_eq!(counts(&ended), [(Decision(0, true), 1)]);
        assert_eq!(table.runs.len(), RUNS);
    }

    proptest! {
        /// The invariant of the audit: what is told adds up to what was decided, whatever the order and the times.
        #[test]
        fn the_counts_told_add_up_to_the_decisions_made(
            steps in prop::collection::vec((0_u8..200, any::<bool>(), 0_i64..4_000, any::<bool>()), 0..400),
        ) {
            let (mut table, mut ended, mut now) = (Table::default(), Vec::new(), 0);
            let mut at_once = 0;
            for (question, allowed, wait, flush) in &steps {
                now += wait;
                if *flush {
                    table.flush(Timestamp(now), &mut ended);
                }
                let taken = table.take(&Decision(*question, *allowed), Timestamp(now), WINDOW, 1, &mut ended);
                at_once += u64::from(taken == Taken::Now);
                prop_assert!(table.runs.len() <= RUNS && table.runs.iter().map(|r| r.weight).sum::<usize>() <= WEIGHT);
            }
            table.close(&mut ended);
            prop_assert_eq!(table.untold(), 0);
            let told: u64 = ended.iter().map(|e| e.aggregation.count).sum();
            prop_assert_eq!(told + at_once, u64::try_from(steps.len()).unwrap());
            prop_assert!(ended.iter().all(|e| e.aggregation.count > 0 && e.aggregation.first <= e.aggregation.last));
            prop_assert!(ended.iter().all(|e| e.volume.bytes == e.aggregation.count));
        }
    }
}

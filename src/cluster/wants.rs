//! Which topic ids are asked for in one question, so that clients that invent ids neither cost the brokers much nor make
//! others wait long.

use crate::model::TopicId;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// The most topic ids in one question.
const IDS: usize = 1_000;
/// How long an id that no topic has is not asked for again. A topic that is made just then is found that much later, which
/// clients are used to: the error is retriable.
const MISSING: Duration = Duration::from_secs(1);
/// Ids that are remembered as missing.
const MOST_MISSING: usize = 10_000;
/// The least time between two questions for everything because of ids, where brokers cannot be asked for ids.
const WHOLE: Duration = Duration::from_secs(5);
/// The same where a client names a topic that is not known: it waits that long, for any client can do that.
const FRESH: Duration = Duration::from_millis(200);

/// Somebody waits for what the cluster says.
#[derive(Debug)]
pub(super) struct Want {
    /// Topics to find; none: everything; zero among them: everything, as it is at most [`FRESH`] later.
    pub ids: Vec<TopicId>,
    /// Told when it was asked.
    pub done: oneshot::Sender<()>,
}

/// What to ask.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Question {
    /// Nothing.
    Nothing,
    /// All brokers and topics.
    Everything,
    /// These topics, each once.
    Ids(Vec<TopicId>),
}

/// Who waits for what.
#[derive(Debug, Default)]
pub(super) struct Wants {
    waiting: Vec<Want>,
    missing: HashMap<TopicId, Instant>,
    last_whole: Option<Instant>,
}

impl Wants {
    /// Somebody waits.
    pub(super) fn push(&mut self, want: Want) {
        self.waiting.push(want);
    }

    /// Whether nobody waits.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The next question, and who is told when it was asked. Who wants nothing that can be found is told at once. Each has
    /// an equal share of a question, so that one who wants many ids waits, not those who want few.
    pub(super) fn next(
        &mut self,
        known: &HashMap<TopicId, Arc<str>>,
        by_id: bool,
        due: bool,
        now: Instant,
    ) -> (Question, Vec<oneshot::Sender<()>>) {
        let share = (IDS / self.waiting.len().max(1)).max(1);
        let (mut ids, mut served, mut everything) = (BTreeSet::new(), Vec::new(), due);
        for mut want in std::mem::take(&mut self.waiting) {
            if want.ids.is_empty() {
                everything = true;
                served.push(want.done);
                continue;
            }
            if want.ids.contains(&TopicId::ZERO) {
                if everything || self.may_ask_whole(FRESH, now) {
                    everything = true;
                    served.push(want.done);
                } else {
                    self.waiting.push(want);
                }
                continue;
            }
            want.ids.retain(|id| !known.contains_key(id) && !self.is_missing(*id, now));
            want.ids.sort_unstable();
            want.ids.dedup();
            if want.ids.is_empty() {
                let _ = want.done.send(());
            } else if !by_id {
                if everything || self.may_ask_whole(WHOLE, now) {
                    everything = true;
                    served.push(want.done);
                } else {
                    // What is known is not older than that.
                    let _ = want.done.send(());
                }
            } else if ids.len() >= IDS {
                self.waiting.push(want);
            } else {
                let later = want.ids.split_off(share.min(IDS - ids.len()).min(want.ids.len()));
                ids.extend(want.ids);
                if later.is_empty() {
                    served.push(want.done);
                } else {
                    self.waiting.push(Want { ids: later, done: want.done });
                }
            }
        }
        if everything {
            self.last_whole = Some(now);
            return (Question::Everything, served);
        }
        let question = if ids.is_empty() { Question::Nothing } else { Question::Ids(ids.into_iter().collect()) };
        (question, served)
    }

    /// These were asked for; what is still not known does not exist.
    pub(super) fn asked(&mut self, ids: &[TopicId], known: &HashMap<TopicId, Arc<str>>, now: Instant) {
        if self.missing.len() + ids.len() > MOST_MISSING {
            self.missing.retain(|_, since| now.duration_since(*since) < MISSING);
        }
        for id in ids.iter().filter(|id| !known.contains_key(id)) {
            if self.missing.len() < MOST_MISSING {
                self.missing.insert(*id, now);
            }
        }
    }

    fn may_ask_whole(&self, pace: Duration, now: Instant) -> bool {
        self.last_whole.is_none_or(|last| now.duration_since(last) >= pace)
    }

    fn is_missing(&self, id: TopicId, now: Instant) -> bool {
        self.missing.get(&id).is_some_and(|since| now.duration_since(*since) < MISSING)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u32) -> TopicId {
        let [a, b, c, d] = number.to_be_bytes();
        TopicId([1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d])
    }

    fn want(wants: &mut Wants, ids: std::ops::Range<u32>) -> oneshot::Receiver<()> {
        let (done, told) = oneshot::channel();
        wants.push(Want { ids: ids.map(id).collect(), done });
        told
    }

    fn count(question: &Question) -> usize {
        match question {
            Question::Ids(ids) => ids.len(),
            Question::Everything | Question::Nothing => panic!("{question:?}"),
        }
    }

    #[test]
    fn many_invented_ids_are_asked_for_in_parts_and_never_as_everything() {
        let (mut wants, known, now) = (Wants::default(), HashMap::new(), Instant::now());
        let mut many = want(&mut wants, 0..2_500);
        let mut few = want(&mut wants, 9_000..9_002);
        let (question, served) = wants.next(&known, true, false, now);
        assert_eq!((count(&question), served.len()), (502, 1), "who wants few does not wait for who wants many");
        served.into_iter().for_each(|done| done.send(()).unwrap());
        assert!(few.try_recv().is_ok() && many.try_recv().is_err());
        let rest: Vec<usize> = (0..2).map(|_| count(&wants.next(&known, true, false, now).0)).collect();
        assert_eq!(rest, [1_000, 1_000]);
        assert!(wants.is_empty());
    }

    #[test]
    fn an_id_that_is_wanted_often_is_asked_for_once() {
        let (mut wants, known, now) = (Wants::default(), HashMap::new(), Instant::now());
        let (done, _told) = oneshot::channel();
        wants.push(Want { ids: vec![id(1); 3_000], done });
        let _other = want(&mut wants, 0..2);
        let (question, served) = wants.next(&known, true, false, now);
        assert_eq!((question, served.len()), (Question::Ids(vec![id(0), id(1)]), 2));
    }

    #[test]
    fn what_does_not_exist_is_not_asked_for_again_at_once() {
        let (mut wants, known, now) = (Wants::default(), HashMap::new(), Instant::now());
        let _first = want(&mut wants, 0..3);
        let (question, _) = wants.next(&known, true, false, now);
        let Question::Ids(ids) = question else { panic!("{question:?}") };
        wants.asked(&ids, &known, now);
        let mut again = want(&mut wants, 0..3);
        assert_eq!(wants.next(&known, true, false, now + MISSING / 2).0, Question::Nothing);
        assert!(again.try_recv().is_ok(), "it is told at once");
        let _later = want(&mut wants, 0..3);
        assert_eq!(count(&wants.next(&known, true, false, now + MISSING).0), 3);
        for part in 0..30 {
            let ids: Vec<TopicId> = (part * 1_000..(part + 1) * 1_000).map(id).collect();
            wants.asked(&ids, &known, now);
        }
        assert!(wants.missing.len() <= MOST_MISSING);
    }

    #[test]
    fn brokers_that_know_no_ids_are_asked_for_everything_now_and_then() {
        let (mut wants, known, now) = (Wants::default(), HashMap::new(), Instant::now());
        let _first = want(&mut wants, 0..1);
        assert_eq!(wants.next(&known, false, false, now).0, Question::Everything);
        let mut second = want(&mut wants, 1..2);
        assert_eq!(wants.next(&known, false, false, now + WHOLE / 2).0, Question::Nothing);
        assert!(second.try_recv().is_ok());
        let _third = want(&mut wants, 2..3);
        assert_eq!(wants.next(&known, false, false, now + WHOLE).0, Question::Everything);
        let (done, mut named) = oneshot::channel();
        wants.push(Want { ids: vec![TopicId::ZERO], done });
        assert_eq!(wants.next(&known, true, false, now + WHOLE + FRESH / 2).0, Question::Nothing);
        assert!(named.try_recv().is_err(), "who names an unknown topic waits for what is true then");
        let (question, served) = wants.next(&known, true, false, now + WHOLE + FRESH);
        assert_eq!((question, served.len()), (Question::Everything, 1));
        let _all = want(&mut wants, 0..0);
        assert_eq!(
            wants.next(&known, true, false, now + WHOLE).0,
            Question::Everything,
            "who wants everything gets it"
        );
    }
}

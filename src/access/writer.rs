//! Writes changes to the state topic, one after the other, and knows when nobody knows whether one was written.

use super::plan::plan;
use super::record::{self, ChangeBy, Encoded};
use super::remote::{self, LATEST, Place};
use super::shared::{Following, Shared};
use super::topic::{BATCH, batch, place_of};
use crate::clock::now;
use crate::cluster::Cluster;
use crate::cluster::batch::{Stamp, next_sequence};
use crate::cluster::dial::Dialler;
use crate::cluster::link::{Link, LinkError};
use crate::cluster::producer::Identity;
use crate::config;
use crate::policy::{AclChange, AclChanged, ChangeRefused};
use crate::telemetry::ChangeOutcome;
use crate::wire::ErrorCode;
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout_at};

/// The most that a change may take: less than the 30 s for which Kafka's clients wait.
const MOST: Duration = Duration::from_secs(20);
/// Before something is tried again.
const RETRY: Duration = Duration::from_millis(50);
/// What an attempt should have at least: one that the deadline cuts off may have changed something or not, and the reason of
/// the one before says more.
const ATTEMPT: Duration = Duration::from_millis(250);
/// What one request may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Changes the state.
#[derive(Debug)]
pub(super) struct Writer {
    shared: Arc<Shared>,
    cluster: Cluster,
    topic: String,
    instance: String,
    most: Duration,
    /// One change at a time: each is decided on the state that the one before made.
    hand: Mutex<Hand>,
}

/// What it takes to write.
#[derive(Debug)]
struct Hand {
    dialler: Dialler,
    link: Option<(Place, Link)>,
    identity: Option<Identity>,
    sequence: i32,
    /// Something was sent, and it is not known whether it was or will be written.
    unsettled: bool,
}

/// Why a change has no good end.
#[derive(Debug)]
enum Failed {
    /// Nothing was written, and nothing will be.
    Refused(String),
    /// The same, with a code of Kafka's.
    Invalid(ErrorCode, String),
    /// It was sent.
    Unknown(String),
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, cluster: Cluster, config: &config::Config) -> Self {
        let hand =
            Hand { dialler: cluster.dialler().clone(), link: None, identity: None, sequence: 0, unsettled: false };
        let (topic, instance) = (config.state.topic.clone(), config.instance.clone());
        let most = config.cluster.request_timeout.min(MOST);
        Self { shared, cluster, topic, instance, most, hand: Mutex::new(hand) }
    }

    /// Makes a change, and returns when it is in force here.
    pub(super) async fn change(&self, change: &AclChange, by: ChangeBy) -> Result<AclChanged, ChangeRefused> {
        let topic = &self.topic;
        let (outcome, result) = match self.attempt(change, Arc::new(by)).await {
            Ok(changed) => (ChangeOutcome::Done, Ok(changed)),
            Err(Failed::Invalid(code, message)) => (ChangeOutcome::Refused, Err(ChangeRefused { code, message })),
            Err(Failed::Refused(why)) => {
                let message = format!("nothing was changed: the state topic `{topic}` cannot be written: {why}");
                let refused = ChangeRefused { code: ErrorCode::REQUEST_TIMED_OUT, message };
                (ChangeOutcome::Refused, Err(refused))
            }
            Err(Failed::Unknown(why)) => {
                let message = format!(
                    "it is not known whether this was changed: list the ACLs before you try again: state topic `{topic}`: {why}"
                );
                let refused = ChangeRefused { code: ErrorCode::REQUEST_TIMED_OUT, message };
                (ChangeOutcome::Unknown, Err(refused))
            }
        };
        self.shared.metrics.state_change(outcome);
        result
    }

    async fn attempt(&self, change: &AclChange, by: Arc<ChangeBy>) -> Result<AclChanged, Failed> {
        let deadline = Instant::now() + self.most;
        if let Some(why) = self.shared.refuses() {
            return Err(Failed::Refused(why));
        }
        let Ok(mut hand) = timeout_at(deadline, self.hand.lock()).await else {
            return Err(Failed::Refused("other changes are under way".to_owned()));
        };
        if hand.unsettled {
            let fence = [record::fence(&self.instance)];
            let at = hand.write(self, &fence, true, deadline).await.map_err(|failed| match failed {
                // The fence may be there or not; of this change nothing was sent.
                Failed::Unknown(why) | Failed::Refused(why) => Failed::Refused(why),
                invalid @ Failed::Invalid(..) => invalid,
            })?;
            self.in_force(at, deadline).await.map_err(Failed::Refused)?;
        }
        let state = self.confirmed(&mut hand, deadline).await.map_err(Failed::Refused)?;
        let plan =
            plan(&state.fold, change, &by, &now().to_string()).map_err(|r| Failed::Invalid(r.code, r.message))?;
        let last = if plan.records.is_empty() {
            state.position - 1
        } else {
            hand.write(self, &plan.records, false, deadline).await?
        };
        match self.in_force(last, deadline).await {
            Ok(()) => Ok(plan.answer),
            Err(why) if plan.records.is_empty() => Err(Failed::Refused(why)),
            Err(why) => Err(Failed::Unknown(format!("it is written, and not yet in force here: {why}"))),
        }
    }

    /// The state, with everything that was written before this was asked.
    async fn confirmed(&self, hand: &mut Hand, deadline: Instant) -> Result<Following, String> {
        let end = loop {
            let why = match hand.link(self).await {
                Ok((place, link)) => match timeout_at(deadline, remote::offset(&link, &place, LATEST)).await {
                    Ok(Ok(Ok(end))) => break end,
                    Ok(Ok(Err(code))) => code.name().to_owned(),
                    Ok(Err(error)) => error.to_string(),
                    Err(_) => format!("broker {} does not answer", place.leader),
                },
                Err(why) => why,
            };
            hand.again(&why, deadline).await?;
        };
        let mut following = self.shared.following.subscribe();
        let read = following.wait_for(|f| f.as_ref().is_some_and(|f| f.position >= end));
        match timeout_at(deadline, read).await {
            Ok(Ok(state)) => state.clone().ok_or_else(|| "the proxy stops".to_owned()),
            Ok(Err(_)) => Err("the proxy stops".to_owned()),
            Err(_) => Err(self.why_not_read()),
        }
    }

    /// Waits until the record at this offset is in force.
    async fn in_force(&self, offset: i64, deadline: Instant) -> Result<(), String> {
        let mut in_force = self.shared.in_force.subscribe();
        match timeout_at(deadline, in_force.wait_for(|position| *position > offset)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => Err("the proxy stops".to_owned()),
            Err(_) => Err(self.why_not_read()),
        }
    }

    fn why_not_read(&self) -> String {
        self.shared.halt().map_or_else(|| "this proxy has not read it up to its end".to_owned(), |halt| halt.what)
    }
}

impl Hand {
    /// A connection to the leader, and where that is.
    async fn link(&mut self, writer: &Writer) -> Result<(Place, Link), String> {
        if let Some((place, link)) = self.link.as_ref().filter(|(_, link)| !link.is_closed()) {
            return Ok((place.clone(), link.clone()));
        }
        let known = writer.shared.place().ok_or_else(|| writer.why_not_read())?;
        let info = writer.cluster.topic(&writer.topic).await.map_err(|e| e.to_string())?;
        // Written by name where the broker does not know ids: at least here it is the same.
        if info.id != known.id {
            return Err("the topic was made anew".to_owned());
        }
        let place = place_of(&writer.cluster, &writer.topic, &info).map_err(|halt| halt.what)?;
        let upstream = self.dialler.dial(&place.address).await.map_err(|e| e.to_string())?;
        let link = Link::new(upstream, PATIENCE);
        self.link = Some((place.clone(), link.clone()));
        Ok((place, link))
    }

    /// Waits before the next attempt; fails once there is no time for one.
    async fn again(&mut self, why: &str, deadline: Instant) -> Result<(), String> {
        self.link = None;
        if Instant::now() + RETRY + ATTEMPT >= deadline {
            return Err(why.to_owned());
        }
        sleep(RETRY).await;
        Ok(())
    }

    /// Writes records as a whole; tells the offset of the last. `fence`: in a new epoch, so that what was sent in the one
    /// before can arrive no more.
    async fn write(
        &mut self,
        writer: &Writer,
        records: &[Encoded],
        fence: bool,
        deadline: Instant,
    ) -> Result<i64, Failed> {
        // True as soon as a broker may have appended it, whatever came back.
        let mut sent = false;
        let failed = |sent: bool, why: String| if sent { Failed::Unknown(why) } else { Failed::Refused(why) };
        if fence {
            // Another epoch of the same producer, or another producer where there is none left.
            self.identity = self.identity.and_then(|of| Some(Identity { epoch: of.epoch.checked_add(1)?, ..of }));
            self.sequence = 0;
        }
        loop {
            // An attempt that is dropped has noted before whether something may be on its way.
            let attempt = timeout_at(deadline, self.attempt(writer, records, &mut sent)).await;
            let why = match attempt.unwrap_or_else(|_| Err(Failed::Refused("the leader does not answer".to_owned()))) {
                Ok(last) => {
                    let count = i32::try_from(records.len()).unwrap_or(0);
                    self.sequence = next_sequence(self.sequence, count);
                    self.unsettled = false;
                    return Ok(last);
                }
                Err(Failed::Refused(why) | Failed::Unknown(why)) => why,
                Err(invalid @ Failed::Invalid(..)) => {
                    self.unsettled |= sent;
                    return Err(invalid);
                }
            };
            if let Err(why) = self.again(&why, deadline).await {
                self.unsettled = sent || fence;
                return Err(failed(sent, why));
            }
        }
    }

    async fn attempt(&mut self, writer: &Writer, records: &[Encoded], sent: &mut bool) -> Result<i64, Failed> {
        let refused = |why: String| Failed::Refused(why);
        let Identity { producer, epoch } = match self.identity {
            Some(identity) => identity,
            None => {
                let identity = writer.cluster.producer_identity().await.map_err(|e| refused(e.to_string()))?;
                (self.identity, self.sequence) = (Some(identity), 0);
                identity
            }
        };
        let batch: Bytes = batch(records, Stamp { producer, epoch, sequence: self.sequence }).into();
        if batch.len() > usize::try_from(BATCH).unwrap_or(usize::MAX) {
            let message = format!("{} bytes in one request, at most {BATCH}: ask for fewer ACLs at once", batch.len());
            return Err(Failed::Invalid(ErrorCode::INVALID_REQUEST, message));
        }
        let (place, link) = self.link(writer).await.map_err(refused)?;
        // Set before, so that it stands if whoever asked is gone before the answer comes.
        let before = (std::mem::replace(sent, true), std::mem::replace(&mut self.unsettled, true));
        let answer = remote::append(&link, &place, batch, PATIENCE).await;
        let count = i64::try_from(records.len()).unwrap_or(0);
        match answer {
            Ok(Ok(first)) if first >= 0 => Ok(first + count - 1),
            // It was there already: the end is behind it.
            Ok(Ok(_) | Err(ErrorCode::DUPLICATE_SEQUENCE_NUMBER)) => {
                match remote::offset(&link, &place, LATEST).await {
                    Ok(Ok(end)) => Ok(end - 1),
                    Ok(Err(code)) => Err(refused(code.name().to_owned())),
                    Err(error) => Err(refused(error.to_string())),
                }
            }
            // Appended, or on its way, and nobody says that it will stay.
            Ok(Err(
                code @ (ErrorCode::REQUEST_TIMED_OUT
                | ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND
                | ErrorCode::UNKNOWN_SERVER_ERROR
                | ErrorCode::NETWORK_EXCEPTION),
            )) => Err(refused(code.name().to_owned())),
            Err(error @ (LinkError::Closed(_) | LinkError::TimedOut { .. } | LinkError::Nonsense { .. })) => {
                Err(refused(error.to_string()))
            }
            // Everything below was not appended.
            Err(error @ LinkError::NotServed { .. }) => {
                (*sent, self.unsettled) = before;
                Err(refused(error.to_string()))
            }
            Ok(Err(code)) => {
                (*sent, self.unsettled) = before;
                match code {
                    ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER
                    | ErrorCode::UNKNOWN_PRODUCER_ID
                    | ErrorCode::INVALID_PRODUCER_EPOCH
                    | ErrorCode::PRODUCER_FENCED
                    | ErrorCode::INVALID_PRODUCER_ID_MAPPING => self.identity = None,
                    ErrorCode::MESSAGE_TOO_LARGE | ErrorCode::RECORD_LIST_TOO_LARGE => {
                        let message = format!("{}: ask for fewer ACLs at once", code.name());
                        return Err(Failed::Invalid(ErrorCode::INVALID_REQUEST, message));
                    }
                    _ => {}
                }
                Err(refused(code.name().to_owned()))
            }
        }
    }
}

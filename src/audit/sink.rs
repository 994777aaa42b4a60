//! Puts events in order, numbers them and hands them to the producer; makes the topics first where they are missing.

use super::event::Aggregation;
use super::hub::{Audit, Hub};
use super::origin::Origin;
use super::queue::Event;
use super::status::Status;
use super::topics::Topics;
use crate::clock::now;
use crate::cluster::Cluster;
use crate::cluster::producer::Producer;
use crate::cluster::topic::TopicError;
use crate::cluster::trouble::Troubles;
use crate::config;
use crate::telemetry::Metrics;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// How often counts are told and gauges set.
const TICK: Duration = Duration::from_secs(1);
/// How often decisions that a rule keeps out of the topic are told as a count.
const COUNTS: Duration = Duration::from_secs(10);
/// How many events are numbered in one go.
const BATCH: usize = 1_024;
/// How long further events are waited for, so that they share a write: as long as Kafka's own producer does from 4.0 on
/// (KIP-1030). Not where a request waits for one, nor where requests wait for room.
const LINGER: Duration = Duration::from_millis(5);

/// The audit at work: whoever holds this stops it.
#[derive(Debug)]
pub struct Service {
    audit: Audit,
    status: Status,
    ready: watch::Receiver<Option<Result<(), TopicError>>>,
    stop: Option<oneshot::Sender<Instant>>,
    task: JoinHandle<usize>,
}

impl Service {
    /// Starts the audit into the cluster. Must be called within a tokio runtime. `start` of the origin is now.
    pub fn start(config: &config::Config, cluster: &Cluster, metrics: &Arc<Metrics>) -> Self {
        let origin = Origin::new(&config.cluster.name, &config.instance, now(), rand::random());
        let (audit, events) = Audit::new(&config.audit, origin, Arc::clone(metrics));
        let troubles = Arc::new(Troubles::default());
        let (tell, ready) = watch::channel(None);
        let (stop, stopped) = oneshot::channel();
        let sink = Sink {
            hub: Arc::clone(&audit.hub),
            cluster: cluster.clone(),
            troubles: Arc::clone(&troubles),
            topics: Topics::new(&audit.hub, cluster, &config.audit, &troubles),
            timeout: config.cluster.request_timeout,
            seq: 0,
            failures: 0,
        };
        let status = Status::new(audit.clone(), troubles, ready.clone());
        Self { audit, status, ready, stop: Some(stop), task: tokio::spawn(sink.run(events, tell, stopped)) }
    }

    /// The audit, for recorders.
    pub fn audit(&self) -> Audit {
        self.audit.clone()
    }

    /// What it is waiting for.
    pub fn status(&self) -> Status {
        self.status.clone()
    }

    /// Whether the topics are there.
    pub fn is_ready(&self) -> bool {
        matches!(*self.ready.borrow(), Some(Ok(())))
    }

    /// Waits until the topics are there; as long as the cluster cannot be reached.
    ///
    /// # Errors
    /// A [`TopicError`]: somebody has to make the topic, or permit it.
    pub async fn ready(&self) -> Result<(), TopicError> {
        let mut ready = self.ready.clone();
        match ready.wait_for(Option::is_some).await {
            Ok(outcome) => outcome.clone().unwrap_or(Ok(())),
            // The task has ended: it was stopped.
            Err(_) => Ok(()),
        }
    }

    /// Writes what there is, at most for `drain`; returns how many events the topic does not have. To be called when
    /// no connection is left.
    pub async fn close(mut self, drain: Duration) -> usize {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(Instant::now() + drain);
        }
        (&mut self.task).await.unwrap_or(0)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Sink {
    hub: Arc<Hub>,
    cluster: Cluster,
    troubles: Arc<Troubles>,
    topics: Topics,
    timeout: Duration,
    /// Of the last event.
    seq: u64,
    failures: u64,
}

impl Sink {
    async fn run(
        mut self,
        mut events: mpsc::UnboundedReceiver<Event>,
        tell: watch::Sender<Option<Result<(), TopicError>>>,
        mut stop: oneshot::Receiver<Instant>,
    ) -> usize {
        let instance = self.hub.origin.instance();
        self.hub.tell("start", &format!("instance {instance}"), Aggregation::one(now()));
        // Events wait in the channel while the topics are not there. Cancelled half way, a topic is there or not.
        let (ready, stopped) = self.await_topics(&mut stop).await;
        let Some(ready) = ready else { return events.len() };
        let failed = ready.is_err();
        tell.send_replace(Some(ready));
        if failed {
            // The process ends; until then nothing that was decided is thrown away.
            if stopped.is_none() {
                let _ = stop.await;
            }
            return events.len();
        }
        let names = self.topics.names();
        let producer = Producer::start(self.cluster.clone(), names, self.timeout, Arc::clone(&self.troubles));
        let queue = producer.queue();
        let deadline = match stopped {
            Some(deadline) => deadline,
            None => self.pump(&mut events, &queue, stop).await,
        };
        self.hub.tell_counted();
        self.hub.tell("stop", "the proxy stops", Aggregation::one(now()));
        let mut rest = Vec::new();
        while let Ok(event) = events.try_recv() {
            rest.push(event);
        }
        self.number(&mut rest, &queue);
        drop(queue);
        let left = producer.close(deadline).await;
        self.gauges();
        if left > 0 {
            tracing::error!(events = left, "stopped before the topic had all audit events: raise `shutdown.drain`");
        }
        left
    }

    /// Waits for the topics; once stopped, until the deadline that comes with the stop: what was decided before the
    /// topics were there is written too. `None`: they were not there by then.
    async fn await_topics(
        &mut self,
        stop: &mut oneshot::Receiver<Instant>,
    ) -> (Option<Result<(), TopicError>>, Option<Instant>) {
        let mut topics = pin!(self.topics.ready());
        let deadline = tokio::select! {
            ready = &mut topics => return (Some(ready), None),
            deadline = stop => deadline.unwrap_or_else(|_| Instant::now()),
        };
        (tokio::time::timeout_at(deadline, topics).await.ok(), Some(deadline))
    }

    /// Numbers events and passes them on, until the audit is stopped; returns the deadline for the rest.
    async fn pump(
        &mut self,
        events: &mut mpsc::UnboundedReceiver<Event>,
        queue: &mpsc::UnboundedSender<Event>,
        mut stop: oneshot::Receiver<Instant>,
    ) -> Instant {
        let mut batch = Vec::with_capacity(BATCH);
        let mut tick = tokio::time::interval(TICK);
        let mut counts = Instant::now() + COUNTS;
        loop {
            // Dropped half way, `recv_many` has taken nothing.
            tokio::select! {
                _ = events.recv_many(&mut batch, BATCH) => {
                    self.gather(&mut batch, events).await;
                    self.number(&mut batch, queue);
                }
                _ = tick.tick() => {
                    self.gauges();
                    self.topics.look();
                    if Instant::now() >= counts {
                        counts = Instant::now() + COUNTS;
                        self.hub.tell_counted();
                    }
                }
                deadline = &mut stop => return deadline.unwrap_or_else(|_| Instant::now()),
            }
        }
    }

    /// Waits for more events to come, and takes them.
    async fn gather(&self, batch: &mut Vec<Event>, events: &mut mpsc::UnboundedReceiver<Event>) {
        let urgent = batch.iter().any(|event| event.durable.is_some());
        if urgent || batch.len() >= BATCH || self.hub.room.waiting() > 0 {
            return;
        }
        // A notice left over from an earlier event makes one wait shorter than it could be.
        tokio::select! {
            () = self.hub.urgent.notified() => {}
            () = tokio::time::sleep(LINGER) => {}
        }
        while batch.len() < BATCH
            && let Ok(event) = events.try_recv()
        {
            batch.push(event);
        }
    }

    /// Gives events their numbers and their ends: in one place, so that there are no gaps.
    fn number(&mut self, events: &mut Vec<Event>, queue: &mpsc::UnboundedSender<Event>) {
        self.hub.written.entered(events);
        for mut event in events.drain(..) {
            self.seq += 1;
            self.hub.origin.seal(&mut event.value, self.seq);
            // The producer ends after this.
            let _ = queue.send(event);
        }
    }

    fn gauges(&mut self) {
        let metrics = &self.hub.metrics;
        let signed = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        metrics.audit_queue_events.set(signed(self.hub.written.count()));
        metrics.audit_queue_bytes.set(signed(self.hub.room.used()));
        let lag = self.hub.written.oldest().map_or(0, |oldest| now().millis_since(oldest).max(0));
        metrics.audit_lag.set(Duration::from_millis(lag.unsigned_abs()).as_secs_f64());
        let failures = self.troubles.failures();
        metrics.audit_failed.inc_by(failures - self.failures);
        self.failures = failures;
    }
}

#[cfg(test)]
mod tests;

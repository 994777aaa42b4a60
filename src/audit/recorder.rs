//! The audit of one connection: merges what is equal, writes the rest, without a lock.

use super::event::{
    self, Aggregation, Authorization, ConnectionInfo, EventType, Matched, RequestMeta, Speaker, Volume,
};
use super::hub::{Audit, Envelope};
use super::merge::{Candidate, Ended, Table, Taken};
use super::queue::{Durable, Key};
use super::room::{AuditFull, Share};
use super::rules::{Facts, Level};
use crate::enforce::{Category, DurableToken, Record, Recorder, RequestFacts, Trail};
use crate::model::{CloseReason, Connection, Revision, Subject, Timestamp};
use crate::policy::{Effect, EvidenceKind, ReasonCode};
use crate::wire::ApiKey;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc;
use tokio::time::Instant;

/// The key of events of a connection whose principal is not known.
const NOBODY: &str = "User:ANONYMOUS";

/// Takes the decisions of one connection. Dropped, it tells what it has counted.
#[derive(Debug)]
pub struct ConnectionRecorder {
    audit: Audit,
    connection: Connection,
    who: Who,
    runs: Table<Kept>,
    ended: Vec<Ended<Kept>>,
    durable: Option<mpsc::UnboundedSender<DurableToken>>,
    /// Of the last event: the next is about as long.
    length: usize,
    /// Since when there has been no room. Never contended: it is behind a lock so that a shared recorder can wait.
    full_since: Mutex<Option<Instant>>,
}

/// What follows from the subject.
#[derive(Debug)]
struct Who {
    subject: Option<Subject>,
    speaker: Speaker,
    key: Arc<Key>,
    share: Share,
}

/// A decision on its way into an event.
#[derive(Clone, Debug)]
struct Kept {
    key: ApiKey,
    version: i16,
    correlation_id: i32,
    client_id: Option<Box<str>>,
    software: Option<(Box<str>, Box<str>)>,
    category: Category,
    number: u64,
    topic: usize,
    revision: Revision,
    record: Record,
}

/// A decision as it is looked at.
struct Seen<'a> {
    request: &'a RequestFacts<'a>,
    record: &'a Record,
    number: u64,
    topic: usize,
}

impl ConnectionRecorder {
    /// The recorder of a connection. With `durable`, decisions about mutations answer with a token, which is sent there
    /// when the topic has their events; without, nobody waits.
    pub fn new(audit: &Audit, connection: &Connection, durable: Option<mpsc::UnboundedSender<DurableToken>>) -> Self {
        Self {
            audit: audit.clone(),
            connection: connection.clone(),
            who: Who::new(audit, connection, None),
            runs: Table::default(),
            ended: Vec::new(),
            durable,
            length: 1_200,
            full_since: Mutex::default(),
        }
    }

    /// Takes over how the client says who it is, once that is agreed.
    pub fn authenticates_by(&mut self, mechanism: Arc<str>) {
        self.close_runs();
        self.connection.mechanism = mechanism;
        self.who = Who::new(&self.audit, &self.connection, self.who.subject.as_ref());
    }

    /// Waits until there is room for the decisions of one more request; the connection is not read meanwhile. May be
    /// dropped and called again: the patience counts from the first call that found no room.
    ///
    /// # Errors
    /// [`AuditFull`] after `audit.full_wait`: the connection is to be closed with [`CloseReason::AuditFull`].
    pub async fn room(&self) -> Result<(), AuditFull> {
        let share = &self.who.share;
        if !share.has_room() {
            let since = *self.full_since().get_or_insert_with(Instant::now);
            share.room(self.audit.hub.full_wait.saturating_sub(since.elapsed())).await?;
        }
        *self.full_since() = None;
        Ok(())
    }

    fn full_since(&self) -> MutexGuard<'_, Option<Instant>> {
        self.full_since.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When [`Self::flush`] has something to do.
    pub fn due(&self) -> Option<Timestamp> {
        self.runs.due()
    }

    /// Tells the runs whose window is over.
    pub fn flush(&mut self, now: Timestamp) {
        self.runs.flush(now, &mut self.ended);
        self.tell_ended();
    }

    /// Tells that the connection is in use: who it is is known. `detail`: what else there is to say of the login.
    pub fn opened(&mut self, subject: &Subject, detail: Option<&str>, now: Timestamp) {
        self.know(subject);
        self.connection_event("opened", "authenticated", detail, now);
    }

    /// Tells that who is connected logged in again. `detail`: as of the first login.
    pub fn renewed(&mut self, subject: &Subject, detail: Option<&str>, now: Timestamp) {
        self.know(subject);
        self.connection_event("renewed", "authenticated", detail, now);
    }

    /// Tells that the connection was not admitted.
    pub fn refused(&mut self, subject: Option<&Subject>, reason: CloseReason, detail: Option<&str>, now: Timestamp) {
        if let Some(subject) = subject {
            self.know(subject);
        }
        self.connection_event("refused", reason.as_str(), detail, now);
    }

    /// Tells that the connection ended, and what was counted before.
    pub fn closed(&mut self, reason: CloseReason, detail: Option<&str>, now: Timestamp) {
        self.close_runs();
        self.connection_event("closed", reason.as_str(), detail, now);
    }

    fn connection_event(&mut self, action: &'static str, reason: &'static str, detail: Option<&str>, now: Timestamp) {
        let hub = &self.audit.hub;
        // Logins are never refused for want of room, so their number must not decide how much is needed; and whoever can
        // connect can be refused as often as it likes, which must not take the room of those who are known.
        if hub.room.used() >= hub.room.limit() || (self.who.subject.is_none() && !self.who.share.has_room()) {
            hub.overflow(action, reason, now);
            return;
        }
        let mut out = Vec::with_capacity(1_024);
        let principal = self.who.subject.as_ref().map(|s| &s.principal);
        let info = ConnectionInfo { action, reason, detail };
        let id = event::connection(&mut out, &hub.origin, &self.who.speaker, principal, &info, now);
        let kind = EventType::Connection;
        let key = Arc::clone(&self.who.key);
        hub.send(&self.who.share, out, Envelope { topic: 0, key, id, kind, decided: None, at: now, durable: None });
    }

    /// Takes over who it is. Runs of somebody else end: one event tells of one principal.
    fn know(&mut self, subject: &Subject) {
        if self.who.subject.as_ref().is_some_and(|known| known == subject) {
            return;
        }
        self.close_runs();
        self.who = Who::new(&self.audit, &self.connection, Some(subject));
    }

    fn close_runs(&mut self) {
        self.runs.close(&mut self.ended);
        self.tell_ended();
    }

    fn tell_ended(&mut self) {
        for Ended { kept, aggregation, volume } in std::mem::take(&mut self.ended) {
            self.audit.hub.metrics.audit_merged.inc_by(aggregation.count);
            let request = RequestMeta {
                api: kept.key.name(),
                api_key: kept.key.0,
                api_version: kept.version,
                correlation_id: kept.correlation_id,
                client_id: kept.client_id.as_deref(),
                software: kept.software.as_ref().map(|(name, version)| (&**name, &**version)),
                number: kept.number,
            };
            let about = About { request, category: kept.category, revision: &kept.revision, arguments: None };
            self.tell(&about, &kept.record, kept.topic, aggregation, Some(volume), None);
        }
    }

    fn tell(
        &mut self,
        about: &About<'_>,
        record: &Record,
        topic: usize,
        aggregation: Aggregation,
        volume: Option<Volume>,
        durable: Option<Arc<Durable>>,
    ) {
        let hub = &self.audit.hub;
        let decision = &record.decision;
        let reason = decision.reason();
        let granted = decision.is_allowed();
        let decided = Authorization {
            request: about.request,
            category: about.category,
            granted,
            operation: record.operation,
            kind: record.kind,
            names: &record.names,
            right: decision.right(),
            matched: decision.matched().map(|rule| Matched {
                kind: rule.kind.as_str(),
                id: &rule.id,
                allow: rule.effect == Effect::Allow,
                expires: rule.expires,
            }),
            code: decision.code().as_str(),
            reason: &reason,
            revision: about.revision.as_str(),
            probe: record.probe,
            arguments: about.arguments,
        };
        // The end that the sink appends is a hundred bytes at most; without room for it the text would be copied.
        let mut out = Vec::with_capacity(self.length + 160);
        let id = event::authorization(&mut out, &hub.origin, &self.who.speaker, &decided, aggregation, volume);
        self.length = out.len().min(4_096);
        let envelope = Envelope {
            topic,
            key: Arc::clone(&self.who.key),
            id,
            kind: EventType::Authorization,
            decided: Some((granted, about.category)),
            at: aggregation.last,
            durable,
        };
        hub.send(&self.who.share, out, envelope);
    }
}

/// What the events of a request have in common.
struct About<'a> {
    request: RequestMeta<'a>,
    category: Category,
    revision: &'a Revision,
    arguments: Option<&'a str>,
}

impl Recorder for ConnectionRecorder {
    fn has_room(&self) -> bool {
        let room = self.who.share.has_room();
        if room {
            *self.full_since() = None;
        }
        room
    }

    fn record(&mut self, request: &RequestFacts<'_>, trail: &Trail) -> Option<DurableToken> {
        if trail.is_empty() {
            return None;
        }
        self.know(request.subject);
        let now = request.now;
        let number = self.audit.hub.request_number();
        let about = About {
            request: RequestMeta {
                api: request.key.name(),
                api_key: request.key.0,
                api_version: request.version,
                correlation_id: request.correlation_id,
                client_id: request.client_id,
                software: request.software,
                number,
            },
            category: request.category,
            revision: request.snapshot.revision(),
            arguments: trail.arguments.as_deref(),
        };
        let durable = self.durable.as_ref().filter(|_| request.category.is_mutation()).map(|tell| {
            let token = DurableToken(self.audit.hub.token());
            (token, Durable::new(token, trail.records().len(), tell.clone()))
        });
        for record in trail.records() {
            let granted = record.decision.is_allowed();
            self.audit.hub.metrics.api(request.key).decided(granted);
            let ruling = self.audit.hub.rules.of(&Facts {
                subject: request.subject,
                snapshot: request.snapshot,
                kind: record.kind,
                names: &record.names,
                operation: record.operation,
                category: request.category,
                granted,
                under_grant: under_grant(record),
                polling: request.polling,
            });
            let seen = Seen { request, record, number, topic: ruling.topic };
            let taken = match ruling.level {
                Level::Each => {
                    self.runs.interrupt(&seen, &mut self.ended);
                    Taken::Now
                }
                Level::Merged(window) => {
                    let bytes = u64::try_from(request.bytes).unwrap_or(u64::MAX);
                    self.runs.take(&seen, now, window, bytes, &mut self.ended)
                }
                Level::Counted(rule) => {
                    self.audit.hub.count_only(rule, now);
                    Taken::Counted
                }
            };
            // What ended before goes first: readers see a run before the decision that broke it.
            if !self.ended.is_empty() {
                self.tell_ended();
            }
            if taken == Taken::Now {
                let durable = durable.as_ref().map(|(_, durable)| Arc::clone(durable));
                self.tell(&about, record, ruling.topic, Aggregation::one(now), None, durable);
            }
        }
        durable.map(|(token, _)| token)
    }
}

impl Drop for ConnectionRecorder {
    fn drop(&mut self) {
        self.close_runs();
    }
}

impl Who {
    fn new(audit: &Audit, connection: &Connection, subject: Option<&Subject>) -> Self {
        let principal = subject.map(|s| &s.principal);
        Self {
            subject: subject.cloned(),
            speaker: Speaker::new(connection, subject),
            key: Key::new(principal.map_or(NOBODY, |p| p.as_str())),
            share: audit.hub.room.share(principal, Some(&connection.host)),
        }
    }
}

impl Candidate for Seen<'_> {
    type Kept = Kept;

    fn same_question(&self, kept: &Kept) -> bool {
        let (mine, other) = (self.record, &kept.record);
        self.request.key == kept.key
            && self.request.client_id == kept.client_id.as_deref()
            && mine.operation == other.operation
            && mine.kind == other.kind
            && mine.probe == other.probe
            && mine.names == other.names
    }

    fn same_answer(&self, kept: &Kept) -> bool {
        self.topic == kept.topic
            && *self.request.snapshot.revision() == kept.revision
            && self.record.decision.same_cause(&kept.record.decision)
    }

    fn weight(&self) -> usize {
        let names: usize = self.record.names.iter().map(|name| name.len() + size_of::<usize>()).sum();
        names + self.request.client_id.map_or(0, str::len) + size_of::<Kept>()
    }

    fn keep(&self) -> Kept {
        let request = self.request;
        Kept {
            key: request.key,
            version: request.version,
            correlation_id: request.correlation_id,
            client_id: request.client_id.map(Box::from),
            software: request.software.map(|(name, version)| (name.into(), version.into())),
            category: request.category,
            number: self.number,
            topic: self.topic,
            revision: request.snapshot.revision().clone(),
            record: self.record.clone(),
        }
    }
}

/// Whether a temporary grant, or its end, has to do with the decision: such decisions are never lowered.
fn under_grant(record: &Record) -> bool {
    let by_evidence = match record.decision.evidence().kind {
        EvidenceKind::Grant | EvidenceKind::Quarantine => true,
        EvidenceKind::Acl
        | EvidenceKind::Binding
        | EvidenceKind::SuperUser
        | EvidenceKind::Operator
        | EvidenceKind::Default
        | EvidenceKind::Gate
        | EvidenceKind::OwnTopic => false,
    };
    by_evidence || record.decision.code() == ReasonCode::GrantAllow
}

#[cfg(test)]
#[path = "recorder_tests.rs"]
mod tests;

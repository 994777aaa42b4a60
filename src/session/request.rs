//! From the client's bytes to the broker's: frame, header, row, scan, verdict.

use super::inflight::{Finished, Slot, Turn};
use super::login::software;
use super::machine::{Machine, Now, Outputs, SessionError, Wait};
use super::room::{BROKER_BACKLOG, CLIENT_BACKLOG};
use super::span::OVER;
use crate::enforce::quirks;
use crate::enforce::record::RequestFacts;
use crate::enforce::table::{self, Row};
use crate::enforce::{DurableToken, Judge, Recorder, Request, Then, Verdict};
use crate::model::{CloseReason, Timestamp};
use crate::policy::{AclChange, AclChanged, ChangeRefused};
use crate::wire::frame::FrameError;
use crate::wire::header::{self, RequestHeader};
use crate::wire::{ApiKey, ErrorCode, Node, Rope, WireError, message};
use bytes::Bytes;
use std::sync::Arc;

/// The field before a frame that holds its length.
const LENGTH: usize = 4;

/// A request that is judged and may be written.
pub(super) struct Judged {
    to_broker: Vec<Bytes>,
    slots: Vec<Slot>,
    change: Option<AclChange>,
    /// The request itself and what it was judged by: judged again if that moves while its events become durable.
    frame: Bytes,
    generation: u64,
    edge: Option<Timestamp>,
}

/// What stands at the front of the client's bytes.
pub(super) enum Front {
    /// Not a whole request; this many bytes are missing, once its size is there.
    Partial { missing: Option<usize> },
    /// A whole request of this size.
    Whole(usize),
    /// Not a request.
    Bad(FrameError),
}

/// A bound for which the next request of a client waits.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Bound {
    /// Unanswered requests.
    InFlight,
    /// Requests at the broker, or their bytes.
    UpstreamAhead,
    /// Answers that the client does not take.
    Answers,
}

impl Machine {
    /// Judges and writes requests while there are whole ones and nothing holds them back.
    pub(super) fn take_requests(
        &mut self,
        now: Now,
        recorder: &mut dyn Recorder,
        out: &mut Outputs,
    ) -> Result<(), SessionError> {
        loop {
            if self.closing.is_some() || self.last_words || !matches!(self.wait, Wait::Nothing) {
                return Ok(());
            }
            if self.waits_for_broker_login(now, out) {
                return Ok(());
            }
            let frame = match self.held.is_some() {
                true => None,
                false => match self.front() {
                    Front::Whole(size) => Some(size),
                    Front::Partial { .. } => return Ok(()),
                    Front::Bad(error) => {
                        self.refuse(close_reason(&error), error.to_string(), now, out);
                        return Ok(());
                    }
                },
            };
            if let Some(size) = frame {
                let begins = !self.renews() && self.begins_renewal(now);
                if begins && !self.is_idle() {
                    return Ok(());
                }
                if begins || self.renews() {
                    let frame = self.from_client.split_to(LENGTH + size).freeze();
                    self.took(frame.len());
                    self.renew(&frame.slice(LENGTH..), now, out);
                    continue;
                }
                if self.is_over() {
                    self.refuse(CloseReason::SessionExpired, OVER.to_owned(), now, out);
                    return Ok(());
                }
                if let Some((reason, detail)) = self.has_expired(now) {
                    self.refuse(reason, detail.to_owned(), now, out);
                    return Ok(());
                }
            }
            if !self.may_write_next() {
                return Ok(());
            }
            if !recorder.has_room() {
                out.wants_room = true;
                return Ok(());
            }
            let frame = match frame {
                Some(size) => {
                    let frame = self.from_client.split_to(LENGTH + size).freeze();
                    self.took(frame.len());
                    frame
                }
                None => match self.held.take() {
                    Some(frame) => frame,
                    None => return Ok(()),
                },
            };
            self.take_request(frame, now, recorder, out)?;
        }
    }

    /// Whether a whole request is there.
    pub(super) fn has_request(&self) -> bool {
        self.held.is_some() || matches!(self.front(), Front::Whole(_) | Front::Bad(_))
    }

    /// The events that a request waited for are durable.
    pub(super) fn durable(&mut self, token: DurableToken, now: Now, recorder: &mut dyn Recorder, out: &mut Outputs) {
        match std::mem::replace(&mut self.wait, Wait::Nothing) {
            Wait::Durable(waiting, judged) if waiting == token => {
                let current = self.still_holds(judged.generation, judged.edge, now);
                // The broker may no longer know the proxy: a request that waited long would end the connection. In a drain
                // nobody logs in again, and this is its last chance.
                let known = self.last_words || self.broker_knows();
                if current && known { self.write(*judged, now, out) } else { self.held = Some(judged.frame) }
            }
            Wait::FollowUp(waiting, follow_up) if waiting == token => self.follow_up(*follow_up, now, recorder, out),
            other => self.wait = other,
        }
    }

    pub(super) fn front(&self) -> Front {
        match self.next_size() {
            Ok(Some(size)) if self.from_client.len() >= LENGTH + size => Front::Whole(size),
            Ok(Some(size)) => Front::Partial { missing: Some(LENGTH + size - self.from_client.len()) },
            Ok(None) => Front::Partial { missing: None },
            Err(error) => Front::Bad(error),
        }
    }

    fn may_write_next(&self) -> bool {
        let (requests, bytes) = self.inflight.ahead();
        self.broker_ready
            && self.inflight.len() < self.limits.in_flight
            && requests < self.limits.ahead_requests
            && (requests == 0 || bytes < self.limits.ahead_bytes)
            && self.inflight.ready_bytes() < CLIENT_BACKLOG
            && !self.broker_is_behind()
    }

    /// The bound for which the client's next request waits, if there is one.
    pub fn held_by(&self) -> Option<Bound> {
        let (requests, bytes) = self.inflight.ahead();
        if self.to_client.len() >= CLIENT_BACKLOG || self.inflight.ready_bytes() >= CLIENT_BACKLOG {
            return Some(Bound::Answers);
        }
        if self.inflight.len() >= self.limits.in_flight {
            return Some(Bound::InFlight);
        }
        let is_ahead = requests >= self.limits.ahead_requests || (requests > 0 && bytes >= self.limits.ahead_bytes);
        (is_ahead && self.has_request()).then_some(Bound::UpstreamAhead)
    }

    /// Whether so much waits for the broker that nothing more is judged.
    pub(super) fn broker_is_behind(&self) -> bool {
        self.to_broker.len() >= BROKER_BACKLOG.min(self.limits.ahead_bytes)
    }

    fn take_request(
        &mut self,
        frame: Bytes,
        now: Now,
        recorder: &mut dyn Recorder,
        out: &mut Outputs,
    ) -> Result<(), SessionError> {
        let body_and_header = frame.slice(LENGTH..);
        let header = match header::request_header(&body_and_header) {
            Ok(header) => header,
            Err(WireError::UnknownApi { key, correlation_id, .. }) if key == ApiKey::API_VERSIONS => {
                self.answer_unknown_api_versions(correlation_id, frame.len(), now, out);
                return Ok(());
            }
            Err(error) => {
                let reason = match error {
                    WireError::UnknownApi { key, .. } => table::why_refused(key),
                    _ => CloseReason::MalformedRequest,
                };
                self.refuse(reason, error.to_string(), now, out);
                return Ok(());
            }
        };
        let row = match table::row_of(header.key, header.version) {
            Ok(row) => row,
            Err(_) if header.key == ApiKey::API_VERSIONS => {
                self.answer_unknown_api_versions(header.correlation_id, frame.len(), now, out);
                return Ok(());
            }
            Err(reason) => {
                let detail = format!("{} (key {}) version {}", header.key.name(), header.key.0, header.version);
                self.refuse(reason, detail, now, out);
                return Ok(());
            }
        };
        self.note_client(header.client_id);
        let body = body_and_header.slice(header.len..);
        match self.judge(row, &header, &body, &frame, now, recorder, out) {
            Ok(()) => Ok(()),
            Err(error) => {
                let error = SessionError::PeerSentRequest { api: header.key.name(), version: header.version, error };
                self.refuse(CloseReason::MalformedRequest, error.to_string(), now, out);
                Ok(())
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "one step of one pipeline, with what the steps before it found")]
    fn judge(
        &mut self,
        row: &'static Row,
        header: &RequestHeader<'_>,
        body: &Bytes,
        frame: &Bytes,
        now: Now,
        recorder: &mut dyn Recorder,
        out: &mut Outputs,
    ) -> Result<(), WireError> {
        let mended = quirks::mended(header, body);
        let body = mended.as_ref().unwrap_or(body);
        let view = self.scan.read_request(header.key.request_def()?, header.version, body)?;
        if header.key == ApiKey::API_VERSIONS {
            self.software = software(view).or(self.software.take());
        }
        let request = Request { header, view, body };
        let looked_up = std::mem::take(&mut self.looked_up);
        self.trail.clear();
        let cx = crate::enforce::Context {
            snapshot: &self.world.snapshot,
            subject: self.subject.get(),
            connection: &self.connection,
            topology: &self.world.topology,
            routes: &self.world.routes,
            now: now.wall,
        };
        let mut judge = Judge::new(cx, header.key, &mut self.memory, &mut self.trail, &mut out.unmapped, looked_up);
        let verdict = row.rule.judge(&request, &mut judge)?;
        if let Verdict::Probe(ids) = verdict {
            out.lookups = ids;
            self.wait = Wait::Topics;
            self.held = Some(frame.clone());
            return Ok(());
        }
        let rewrite = header.unknown_tags || view.unknown_tags() || mended.is_some();
        let plain = if rewrite && matches!(verdict, Verdict::Forward(..)) { Some(request.decode()) } else { None };
        let token = if self.trail.is_empty() {
            None
        } else {
            let facts = RequestFacts {
                subject: self.subject.get(),
                connection: &self.connection,
                key: header.key,
                version: header.version,
                correlation_id: header.correlation_id,
                client_id: header.client_id,
                software: self.software.as_ref().map(|(name, version)| (&**name, &**version)),
                category: self.trail.category.unwrap_or(row.category),
                polling: row.polling,
                bytes: frame.len(),
                now: now.wall,
                snapshot: &self.world.snapshot,
            };
            recorder.record(&facts, &self.trail)
        };
        let judged = self.written(header, frame, verdict, plain, now)?;
        match token {
            Some(token) => self.wait = Wait::Durable(token, Box::new(judged)),
            None => self.write(judged, now, out),
        }
        Ok(())
    }

    /// What is written for a verdict, and what stands in the queue for it.
    fn written(
        &self,
        header: &RequestHeader<'_>,
        frame: &Bytes,
        verdict: Verdict,
        plain: Option<Node>,
        now: Now,
    ) -> Result<Judged, WireError> {
        let slot = |asked: (ApiKey, i16), turn: Turn| Slot {
            key: header.key,
            version: header.version,
            correlation_id: header.correlation_id,
            asked,
            bytes: frame.len(),
            since: now.micros,
            generation: self.generation,
            edge: self.edge,
            turn,
        };
        let judged = |to_broker: Vec<Bytes>, slots: Vec<Slot>| Judged {
            to_broker,
            slots,
            change: None,
            frame: frame.clone(),
            generation: self.generation,
            edge: self.edge,
        };
        let own = (header.key, header.version);
        let request = |(key, version): (ApiKey, i16), body: &Node| -> Rope {
            message::request_frame(key, version, header.correlation_id, header.client_id, body)
        };
        let (to_broker, asked, then) = match verdict {
            Verdict::Forward(_permit, then) => match plain {
                Some(body) => (request(own, &body).into_chunks().collect(), own, then),
                None => (vec![frame.clone()], own, then),
            },
            Verdict::Rewrite(_permit, body, then) => (request(own, &body).into_chunks().collect(), own, then),
            Verdict::Ask { permit: _, key, version, body, then } => {
                (request((key, version), &body).into_chunks().collect(), (key, version), then)
            }
            Verdict::Change { permit: _, change, then } => {
                let change = Some(change);
                return Ok(Judged { change, ..judged(Vec::new(), vec![slot(own, Turn::Change(then))]) });
            }
            Verdict::Answer(node) => {
                let answer = message::response_frame(header.key, header.version, header.correlation_id, &node);
                let turn = Turn::Ready(answer.into_chunks().collect());
                return Ok(judged(Vec::new(), vec![slot(own, turn)]));
            }
            Verdict::Refuse(reason) => {
                return Ok(judged(Vec::new(), vec![slot(own, Turn::Close(reason))]));
            }
            Verdict::Silence | Verdict::Probe(_) => return Ok(judged(Vec::new(), Vec::new())),
        };
        let slots = match then {
            Then::Nothing => Vec::new(),
            Then::Close(reason) => vec![slot(own, Turn::Close(reason))],
            Then::Stream | Then::Fetch(_) | Then::Share(_) | Then::Complete(_) | Then::Alone(_) => {
                vec![slot(asked, Turn::Broker(then))]
            }
        };
        Ok(judged(to_broker, slots))
    }

    fn write(&mut self, judged: Judged, now: Now, out: &mut Outputs) {
        for chunk in judged.to_broker {
            self.to_broker.push(chunk);
        }
        for slot in judged.slots {
            match &slot.turn {
                Turn::Close(_) => self.last_words = true,
                Turn::Broker(Then::Alone(_)) => self.wait = Wait::Alone,
                Turn::Broker(Then::Share(_)) => self.wait = Wait::Share,
                Turn::Change(_) => self.wait = Wait::Change,
                Turn::Broker(_) | Turn::Ready(_) => {}
            }
            self.inflight.push(slot);
        }
        if judged.change.is_some() {
            out.change = judged.change;
        }
        self.flush_local(now, out);
    }

    /// It is known what came of a change: its answer takes its place in the queue.
    pub(super) fn changed(&mut self, outcome: Result<AclChanged, ChangeRefused>) {
        if !matches!(self.wait, Wait::Change) {
            return;
        }
        self.wait = Wait::Nothing;
        if let Some((slot, then)) = self.inflight.pop_change() {
            let answer = then.answer(outcome);
            let rope = message::response_frame(slot.key, slot.version, slot.correlation_id, &answer);
            self.inflight.push(Slot { turn: Turn::Ready(rope.into_chunks().collect()), ..slot });
        }
    }

    /// Closes after the answers that are due.
    fn refuse(&mut self, reason: CloseReason, detail: String, now: Now, out: &mut Outputs) {
        out.detail = Some(detail);
        self.last_words = true;
        self.inflight.push(Slot {
            key: ApiKey(-1),
            version: 0,
            correlation_id: 0,
            asked: (ApiKey(-1), 0),
            bytes: 0,
            since: now.micros,
            generation: self.generation,
            edge: None,
            turn: Turn::Close(reason),
        });
        self.flush_local(now, out);
    }

    /// ApiVersions in a version that the proxy does not have: version 0, error 35, the supported range of the API itself
    /// (KIP-511; `ApiVersionsRequest.getErrorResponse`, Kafka 4.1).
    fn answer_unknown_api_versions(&mut self, correlation_id: i32, bytes: usize, now: Now, out: &mut Outputs) {
        let answer =
            table::unsupported_api_versions(self.world.topology.versions(self.connection.broker, ApiKey::API_VERSIONS));
        debug_assert_eq!(
            answer.int(crate::wire::schema::api_versions::response::ERROR_CODE),
            i64::from(ErrorCode::UNSUPPORTED_VERSION.0)
        );
        let rope = message::response_frame(ApiKey::API_VERSIONS, 0, correlation_id, &answer);
        self.inflight.push(Slot {
            key: ApiKey::API_VERSIONS,
            version: 0,
            correlation_id,
            asked: (ApiKey::API_VERSIONS, 0),
            bytes,
            since: now.micros,
            generation: self.generation,
            edge: None,
            turn: Turn::Ready(rope.into_chunks().collect()),
        });
        self.flush_local(now, out);
    }

    fn note_client(&mut self, client_id: Option<&str>) {
        if self.client_id.as_deref() != client_id {
            self.client_id = client_id.map(Arc::from);
        }
    }

    /// Sends what is made here and stands in front.
    pub(super) fn flush_local(&mut self, now: Now, out: &mut Outputs) {
        while self.answering.is_idle() {
            let Some(slot) = self.inflight.pop_local() else { return };
            match slot.turn {
                Turn::Ready(chunks) => {
                    for chunk in chunks {
                        self.to_client.push(chunk);
                    }
                    let micros = now.micros.saturating_sub(slot.since);
                    out.finished.push(Finished { key: slot.key, micros, forwarded: false });
                }
                Turn::Close(reason) => self.close(reason),
                Turn::Broker(_) | Turn::Change(_) => {}
            }
        }
    }
}

/// For which reason a connection ends whose bytes do not begin a frame.
pub fn close_reason(error: &FrameError) -> CloseReason {
    match error {
        FrameError::PeerSentTlsHello => CloseReason::TlsOnPlaintext,
        FrameError::PeerSentProxyHeader => CloseReason::ProxyHeader,
        FrameError::PeerSentLargeFrame { .. } => CloseReason::FrameTooLarge,
        FrameError::PeerSentNegativeSize { .. } | FrameError::PeerSentSmallFrame { .. } | FrameError::PeerSentHttp => {
            CloseReason::FrameMalformed
        }
    }
}

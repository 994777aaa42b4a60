//! From the broker's bytes to the client's: passed on as they come, or gathered, changed and sent.

use super::fetch_stream::FetchStream;
use super::inflight::{Finished, Slot, Turn};
use super::machine::{Machine, Now, Outputs, SessionError, Wait};
use crate::enforce::record::RequestFacts;
use crate::enforce::table;
use crate::enforce::{Context, DurableToken, Judge, Recorder, Then};
use crate::model::CloseReason;
use crate::wire::frame::{SIZE_LEN, response_size};
use crate::wire::{ApiKey, ErrorCode, Node, WireError, header, message};
use bytes::Bytes;

/// The length and the correlation id.
const HEAD: usize = SIZE_LEN + 4;

/// The answer that is on its way through.
pub(super) enum Answering {
    /// None.
    Idle,
    /// The rest of it goes to the client as it comes.
    Pass { left: usize, slot: Box<Done> },
    /// The rest of it is dropped, then these bytes take its place.
    Discard { left: usize, answer: Vec<Bytes>, slot: Box<Done> },
    /// The rest of it is dropped; the broker is asked another thing first.
    Drop { left: usize },
    /// A large Fetch or ShareFetch answer that changes on its way.
    Fetch(Box<FetchStream>, Box<Done>),
}

/// What metrics need of an answer that is under way.
#[derive(Copy, Clone)]
pub(super) struct Done {
    key: ApiKey,
    since: u64,
}

impl Answering {
    pub(super) fn is_idle(&self) -> bool {
        matches!(self, Self::Idle)
    }
}

impl Machine {
    /// Takes what the broker has sent as far as it goes.
    pub(super) fn take_answers(
        &mut self,
        now: Now,
        recorder: &mut dyn Recorder,
        out: &mut Outputs,
    ) -> Result<(), SessionError> {
        loop {
            // Nothing follows what ends a connection.
            if self.closing.is_some() {
                return Ok(());
            }
            self.flush_local(now, out);
            let more = match &mut self.answering {
                Answering::Idle => self.begin_answer(now, recorder, out)?,
                Answering::Pass { left, slot } => {
                    let n = (*left).min(self.from_broker.len());
                    *left -= n;
                    let (end, done) = (*left == 0, **slot);
                    self.to_client.push(self.from_broker.split_to(n).freeze());
                    if end {
                        self.finished(done, now, out);
                    }
                    end
                }
                Answering::Discard { left, answer, slot } => {
                    let n = (*left).min(self.from_broker.len());
                    *left -= n;
                    let end = *left == 0;
                    let (answer, done) = (if end { std::mem::take(answer) } else { Vec::new() }, **slot);
                    let _ = self.from_broker.split_to(n);
                    for chunk in answer {
                        self.to_client.push(chunk);
                    }
                    if end {
                        self.finished(done, now, out);
                    }
                    end
                }
                Answering::Drop { left } => {
                    let n = (*left).min(self.from_broker.len());
                    *left -= n;
                    let end = *left == 0;
                    let _ = self.from_broker.split_to(n);
                    if end {
                        self.answering = Answering::Idle;
                    }
                    end
                }
                Answering::Fetch(fetch, slot) => {
                    let done = **slot;
                    let end = fetch.take(&mut self.from_broker, &mut self.to_client).map_err(|error| {
                        let (key, version) = fetch.request();
                        SessionError::UpstreamSentAnswer { api: key.name(), version, error }
                    })?;
                    if end {
                        out.unmapped.append(&mut fetch.unmapped);
                        self.finished(done, now, out);
                    }
                    end
                }
            };
            if !more {
                return Ok(());
            }
        }
    }

    /// Looks at the head of the next answer. `false`: more bytes are needed.
    fn begin_answer(&mut self, now: Now, recorder: &mut dyn Recorder, out: &mut Outputs) -> Result<bool, SessionError> {
        self.gathering = 0;
        if let Some(taken) = self.take_relayed(now, out) {
            return taken;
        }
        if let Some(taken) = self.take_broker_login(out) {
            return taken;
        }
        let Some(head) = self.from_broker.first_chunk::<HEAD>() else { return Ok(false) };
        let [_, _, _, _, c0, c1, c2, c3] = *head;
        let got = i32::from_be_bytes([c0, c1, c2, c3]);
        let Some(front) = self.inflight.front() else {
            return Err(SessionError::UpstreamSentCorrelation { got, expected: -1 });
        };
        if got != front.correlation_id {
            return Err(SessionError::UpstreamSentCorrelation { got, expected: front.correlation_id });
        }
        let asked = front.asked;
        // The broker's own limits hold for it; what must be gathered has a bound of its own below.
        let size = match response_size(&self.from_broker, i32::MAX as usize) {
            Ok(Some(size)) => size,
            Ok(None) => return Ok(false),
            Err(_) => return Err(SessionError::UpstreamSentCorrelation { got, expected: front.correlation_id }),
        };
        let whole = self.from_broker.len() >= SIZE_LEN + size;
        match &front.turn {
            Turn::Broker(Then::Fetch(_)) => self.begin_fetch(size, now, recorder, out),
            Turn::Broker(Then::Share(_)) => self.begin_share(size, now, recorder, out),
            Turn::Broker(Then::Complete(_) | Then::Alone(_)) => {
                if size > self.limits.response_in_memory {
                    let name = asked.0.name();
                    out.detail = Some(format!("answer to {name} of {size} bytes: raise `limits.response_in_memory`"));
                    self.close(CloseReason::ResponseTooLarge);
                    return Ok(false);
                }
                if !whole {
                    self.gathering = SIZE_LEN + size;
                    return Ok(false);
                }
                let Some(slot) = self.inflight.pop_broker() else { return Ok(false) };
                let frame = self.from_broker.split_to(SIZE_LEN + size).freeze();
                self.complete(slot, frame, now, recorder, out).map_err(|error| SessionError::UpstreamSentAnswer {
                    api: asked.0.name(),
                    version: asked.1,
                    error,
                })?;
                Ok(true)
            }
            Turn::Broker(Then::Stream | Then::Nothing | Then::Close(_))
            | Turn::Ready(_)
            | Turn::Close(_)
            | Turn::Change(_) => {
                let Some(slot) = self.inflight.pop_broker() else { return Ok(false) };
                self.pass(SIZE_LEN + size, &slot);
                Ok(true)
            }
        }
    }

    /// Lets an answer through as it comes.
    pub(super) fn pass(&mut self, left: usize, slot: &Slot) {
        self.answering = Answering::Pass { left, slot: Box::new(done(slot)) };
    }

    /// Drops an answer and sends another in its place.
    pub(super) fn replace(&mut self, left: usize, slot: &Slot, answer: &Node) {
        let rope = message::response_frame(slot.key, slot.version, slot.correlation_id, answer);
        self.answering = Answering::Discard { left, answer: rope.into_chunks().collect(), slot: Box::new(done(slot)) };
    }

    /// Changes a large Fetch answer on its way.
    pub(super) fn stream_fetch(&mut self, fetch: FetchStream, slot: &Slot) {
        self.answering = Answering::Fetch(Box::new(fetch), Box::new(done(slot)));
    }

    fn finished(&mut self, done: Done, now: Now, out: &mut Outputs) {
        self.answering = Answering::Idle;
        let micros = now.micros.saturating_sub(done.since);
        out.finished.push(Finished { key: done.key, micros, forwarded: true });
    }

    /// Looks at a gathered answer and changes it if its rule wants to.
    fn complete(
        &mut self,
        slot: Slot,
        frame: Bytes,
        now: Now,
        recorder: &mut dyn Recorder,
        out: &mut Outputs,
    ) -> Result<(), WireError> {
        let (complete, alone) = match slot.turn {
            Turn::Broker(Then::Complete(complete)) => (complete, false),
            Turn::Broker(Then::Alone(complete)) => (complete, true),
            _ => return Ok(()),
        };
        let slot = Slot { turn: Turn::Ready(Vec::new()), ..slot };
        let (key, version) = slot.asked;
        let body = frame.slice((SIZE_LEN + header_len(key, version, &frame)?).min(frame.len())..);
        let version = body_version(key, version, &body);
        let answer = {
            let view = self.scan.read(key.response_def()?, version, &body)?;
            if !complete.wants(view) && slot.asked == (slot.key, slot.version) {
                None
            } else {
                Some(Node::read(view, &body))
            }
        };
        let Some(answer) = answer else {
            self.to_client.push(frame);
            self.answered(&slot, alone, now, out);
            return Ok(());
        };
        let completed = self.with_judge_durably(&slot, now, recorder, out, |judge| complete.complete(answer, judge));
        // An error 35 travels in version 0, whatever was asked.
        let version = if key == slot.key && version != slot.asked.1 { version } else { slot.version };
        self.completed(completed, slot, version, alone, now, out);
        Ok(())
    }

    pub(super) fn answered(&mut self, slot: &Slot, alone: bool, now: Now, out: &mut Outputs) {
        if alone && matches!(self.wait, Wait::Alone) {
            self.wait = Wait::Nothing;
        }
        self.finished(done(slot), now, out);
    }

    /// Judges on behalf of an answer, by the snapshot in force now, and records what was decided. The request is with the
    /// broker, or was: there is nothing left to hold back for it.
    pub(super) fn with_judge<T>(
        &mut self,
        slot: &Slot,
        now: Now,
        recorder: &mut dyn Recorder,
        out: &mut Outputs,
        judge: impl FnOnce(&mut Judge<'_>) -> T,
    ) -> T {
        self.with_judge_durably(slot, now, recorder, out, judge).0
    }

    /// The same where the broker may be asked for more: with what has to be durable before that.
    pub(super) fn with_judge_durably<T>(
        &mut self,
        slot: &Slot,
        now: Now,
        recorder: &mut dyn Recorder,
        out: &mut Outputs,
        judge: impl FnOnce(&mut Judge<'_>) -> T,
    ) -> (T, Option<DurableToken>) {
        self.trail.clear();
        let cx = Context {
            snapshot: &self.world.snapshot,
            subject: self.subject.get(),
            connection: &self.connection,
            topology: &self.world.topology,
            routes: &self.world.routes,
            now: now.wall,
        };
        let result = judge(&mut Judge::new(cx, slot.key, &mut self.memory, &mut self.trail, &mut out.unmapped, true));
        let mut token = None;
        if !self.trail.is_empty()
            && let Ok(row) = table::row_of(slot.key, slot.version)
        {
            let facts = RequestFacts {
                subject: self.subject.get(),
                connection: &self.connection,
                key: slot.key,
                version: slot.version,
                correlation_id: slot.correlation_id,
                client_id: self.client_id.as_deref(),
                software: self.software.as_ref().map(|(name, version)| (&**name, &**version)),
                category: self.trail.category.unwrap_or(row.category),
                polling: row.polling,
                bytes: 0,
                now: now.wall,
                snapshot: &self.world.snapshot,
            };
            token = recorder.record(&facts, &self.trail);
        }
        (result, token)
    }
}

fn done(slot: &Slot) -> Done {
    Done { key: slot.key, since: slot.since }
}

/// Where the body of an answer begins, after its length: correlation id, and tags in flexible versions.
pub(super) fn header_len(key: ApiKey, version: i16, frame: &[u8]) -> Result<usize, WireError> {
    let usual = header::response_header_len(key, version);
    if usual == 4 || frame.get(SIZE_LEN + 4) == Some(&0) {
        return Ok(usual);
    }
    header::response_header(key, version, frame.get(SIZE_LEN..).unwrap_or_default()).map(|(_, len)| len)
}

/// An ApiVersions answer with error 35 is in version 0, whatever was asked (KIP-511).
fn body_version(key: ApiKey, version: i16, body: &[u8]) -> i16 {
    let unsupported = ErrorCode::UNSUPPORTED_VERSION.0.to_be_bytes();
    if key == ApiKey::API_VERSIONS && body.starts_with(&unsupported) { 0 } else { version }
}

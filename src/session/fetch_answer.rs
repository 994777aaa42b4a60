//! Fetch answers: judged again at their first byte, merged with refused partitions, their broker addresses replaced;
//! large ones without ever being held.

use super::answer::header_len;
use super::fetch_stream::{self, FetchStream};
use super::inflight::{Slot, Turn};
use super::machine::{Machine, Now, Outputs, SessionError};
use crate::enforce::fetch::{self, FIRST_SESSION_VERSION, FetchPlan, SessionPlan};
use crate::enforce::{Recorder, Then};
use crate::wire::frame::SIZE_LEN;
use crate::wire::schema::fetch::response as res;
use crate::wire::{ApiKey, ErrorCode, Node, message};

/// Answers up to this size are gathered, and rewritten in full where something changes.
pub(super) const GATHERED: usize = 1024 * 1024;
/// First version whose answers carry addresses, in a tag behind the records (KIP-951).
pub(super) const FIRST_ENDPOINTS_VERSION: i16 = 16;
/// Throttle time, error code, session id: what is looked at before an answer begins, from version 7 on.
const SESSION_HEAD: usize = 4 + 2 + 4;
/// Correlation id, an empty tag section, and the above.
const LONGEST_HEAD: usize = 4 + 1 + SESSION_HEAD;

impl Machine {
    /// Looks at the first bytes of a Fetch answer. `false`: more bytes are needed.
    pub(super) fn begin_fetch(
        &mut self,
        size: usize,
        now: Now,
        recorder: &mut dyn Recorder,
        out: &mut Outputs,
    ) -> Result<bool, SessionError> {
        let Some(front) = self.inflight.front() else { return Ok(false) };
        let version = front.version;
        let failed = |error| SessionError::UpstreamSentAnswer { api: ApiKey::FETCH.name(), version, error };
        if self.from_broker.len() < SIZE_LEN + LONGEST_HEAD.min(size) {
            // How long the header is stands behind the correlation id: bytes may stop arriving between the two.
            return Ok(false);
        }
        let header = header_len(ApiKey::FETCH, version, &self.from_broker).map_err(failed)?;
        let changes = version >= FIRST_ENDPOINTS_VERSION
            || matches!(&front.turn, Turn::Broker(Then::Fetch(plan)) if !plan.denied.is_empty());
        let gathered = changes && size <= GATHERED;
        let needed = if gathered { size } else { (header + SESSION_HEAD).min(size) };
        if self.from_broker.len() < SIZE_LEN + needed {
            self.gathering = SIZE_LEN + needed;
            return Ok(false);
        }
        let Some(slot) = self.inflight.pop_broker() else { return Ok(false) };
        let (plan, slot) = match slot.turn {
            Turn::Broker(Then::Fetch(plan)) => (plan, Slot { turn: Turn::Ready(Vec::new()), ..slot }),
            _ => return Ok(false),
        };
        if !self.is_current(&slot, now) {
            let still = self.with_judge(&slot, now, recorder, out, |judge| plan.still_allowed(judge));
            if !still {
                if let SessionPlan::Continue(id) = plan.session {
                    self.memory.fetch.ended(id);
                }
                let answer = self
                    .with_judge(&slot, now, recorder, out, |judge| plan.withheld(version, judge))
                    .map_err(failed)?;
                self.replace(SIZE_LEN + size, &slot, &answer);
                return Ok(true);
            }
        }
        let FetchPlan { session, denied, .. } = plan;
        if version >= FIRST_SESSION_VERSION {
            self.note_session(session, SIZE_LEN + header);
        }
        if !changes {
            self.pass(SIZE_LEN + size, &slot);
            return Ok(true);
        }
        if !gathered {
            let stream = FetchStream::new(&fetch_stream::FETCH, size, header, version, denied, &self.world.routes)
                .map_err(failed)?;
            self.stream_fetch(stream, &slot);
            return Ok(true);
        }
        let frame = self.from_broker.split_to(SIZE_LEN + size).freeze();
        let body = frame.slice((SIZE_LEN + header).min(frame.len())..);
        let view = self.scan.read(ApiKey::FETCH.response_def().map_err(failed)?, version, &body).map_err(failed)?;
        if denied.is_empty() && !view.has(res::NODE_ENDPOINTS) {
            self.to_client.push(frame);
        } else {
            let mut answer = Node::read(view, &body);
            answer.nodes_mut(res::RESPONSES).extend(denied);
            self.with_judge(&slot, now, recorder, out, |judge| fetch::rewrite_endpoints(&mut answer, judge));
            self.to_client.push_rope(message::response_frame(ApiKey::FETCH, version, slot.correlation_id, &answer));
        }
        self.pass(0, &slot);
        Ok(true)
    }

    /// Whether what was decided for a request holds now without a new look.
    pub(super) fn is_current(&self, slot: &Slot, now: Now) -> bool {
        self.still_holds(slot.generation, slot.edge, now)
    }

    /// Learns from an answer's head which session the broker opened or ended.
    fn note_session(&mut self, plan: SessionPlan, body: usize) {
        let Some(head) = self.from_broker.get(body..).and_then(|body| body.first_chunk::<SESSION_HEAD>()) else {
            return;
        };
        let [_, _, _, _, e0, e1, s0, s1, s2, s3] = *head;
        let error = ErrorCode(i16::from_be_bytes([e0, e1]));
        let id = i32::from_be_bytes([s0, s1, s2, s3]);
        if let SessionPlan::Continue(session) = plan {
            self.memory.fetch.answered(session);
        }
        match plan {
            SessionPlan::Create(topics) if error == ErrorCode::NONE && id != 0 => {
                self.memory.fetch.created(id, *topics);
            }
            SessionPlan::Continue(session) if error == ErrorCode::FETCH_SESSION_ID_NOT_FOUND => {
                self.memory.fetch.ended(session);
            }
            SessionPlan::Create(_) | SessionPlan::Continue(_) | SessionPlan::None => {}
        }
    }
}

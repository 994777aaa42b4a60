//! ShareFetch answers: judged again at their first byte, merged with refused partitions, their broker addresses replaced;
//! large ones without ever being held. One of which a topic lost its right is held to be cut, within the bound of what may
//! be held; else it is dropped, and its records are released at the broker.

use super::answer::{Answering, header_len};
use super::fetch_answer::GATHERED;
use super::fetch_stream::{self, FetchStream};
use super::inflight::{Slot, Turn};
use super::machine::{Machine, Now, Outputs, SessionError, Wait};
use crate::enforce::share_acknowledge::Released;
use crate::enforce::share_fetch;
use crate::enforce::share_plan::SharePlan;
use crate::enforce::{Recorder, Then};
use crate::wire::frame::SIZE_LEN;
use crate::wire::schema::share_fetch::response as res;
use crate::wire::{ApiKey, ErrorCode, Node, message};

/// Throttle time and error code: what is looked at before an answer begins.
const HEAD: usize = 4 + 2;
/// Correlation id, an empty tag section, and the above.
const LONGEST_HEAD: usize = 4 + 1 + HEAD;

impl Machine {
    /// Looks at the first bytes of a ShareFetch answer. `false`: more bytes are needed.
    pub(super) fn begin_share(
        &mut self,
        size: usize,
        now: Now,
        recorder: &mut dyn Recorder,
        out: &mut Outputs,
    ) -> Result<bool, SessionError> {
        let Some(version) = self.inflight.front().map(|front| front.version) else { return Ok(false) };
        let failed = |error| SessionError::UpstreamSentAnswer { api: ApiKey::SHARE_FETCH.name(), version, error };
        if self.from_broker.len() < SIZE_LEN + LONGEST_HEAD.min(size) {
            return Ok(false);
        }
        let header = header_len(ApiKey::SHARE_FETCH, version, &self.from_broker).map_err(failed)?;
        let Some(slot) = self.inflight.pop_broker() else { return Ok(false) };
        let (mut plan, mut slot) = match slot.turn {
            Turn::Broker(Then::Share(plan)) => (plan, Slot { turn: Turn::Ready(Vec::new()), ..slot }),
            _ => return Ok(false),
        };
        let may_be_held = size <= GATHERED.max(self.limits.response_in_memory);
        if !self.is_current(&slot, now) {
            let judged = self.with_judge(&slot, now, recorder, out, |judge| plan.judge_again(judge));
            let error = match judged {
                Err(error) => Some(error),
                Ok(()) if plan.lost_topics() && !may_be_held => Some(ErrorCode::SHARE_SESSION_NOT_FOUND),
                Ok(()) => None,
            };
            if let Some(error) = error {
                self.withhold(&plan, error, SIZE_LEN + size, slot);
                return Ok(true);
            }
            (slot.generation, slot.edge) = (self.generation, self.edge);
        }
        let gathered = size <= GATHERED || (plan.edits() && may_be_held);
        let needed = if gathered { size } else { (header + HEAD).min(size) };
        if self.from_broker.len() < SIZE_LEN + needed {
            self.gathering = SIZE_LEN + needed;
            self.inflight.push_front(Slot { turn: Turn::Broker(Then::Share(plan)), ..slot });
            return Ok(false);
        }
        if matches!(self.wait, Wait::Share) {
            self.wait = Wait::Nothing;
        }
        let error = self.error_at(SIZE_LEN + header);
        if !gathered {
            let denied = plan.answered(error, &mut self.memory.share);
            let stream =
                FetchStream::new(&fetch_stream::SHARE_FETCH, size, header, version, denied, &self.world.routes)
                    .map_err(failed)?;
            self.stream_fetch(stream, &slot);
            return Ok(true);
        }
        let frame = self.from_broker.split_to(SIZE_LEN + size).freeze();
        let body = frame.slice((SIZE_LEN + header).min(frame.len())..);
        let view =
            self.scan.read(ApiKey::SHARE_FETCH.response_def().map_err(failed)?, version, &body).map_err(failed)?;
        let as_it_is = plan.changes_nothing() && view.items(res::NODE_ENDPOINTS).is_empty();
        let mut answer = (!as_it_is).then(|| Node::read(view, &body));
        if let Some(answer) = &mut answer
            && error.is_none()
        {
            plan.edit(answer);
        }
        let denied = plan.answered(error, &mut self.memory.share);
        match answer {
            None => self.to_client.push(frame),
            Some(mut answer) => {
                answer.nodes_mut(res::RESPONSES).extend(denied);
                self.with_judge(&slot, now, recorder, out, |judge| share_fetch::rewrite_endpoints(&mut answer, judge));
                let rope = message::response_frame(ApiKey::SHARE_FETCH, version, slot.correlation_id, &answer);
                self.to_client.push_rope(rope);
            }
        }
        self.pass(0, &slot);
        Ok(true)
    }

    /// Drops the answer, and closes the session at the broker before the client is told.
    fn withhold(&mut self, plan: &SharePlan, error: ErrorCode, left: usize, slot: Slot) {
        // A broker that serves ShareFetch in a version serves ShareAcknowledge in the same.
        let asked = (ApiKey::SHARE_ACKNOWLEDGE, slot.version);
        let client_id = self.client_id.as_deref();
        let rope = message::request_frame(asked.0, asked.1, slot.correlation_id, client_id, &plan.release());
        self.to_broker.push_rope(rope);
        plan.dropped(&mut self.memory.share);
        self.wait = Wait::Alone;
        self.inflight.push_front(Slot { asked, turn: Turn::Broker(Then::Alone(Box::new(Released(error)))), ..slot });
        self.answering = Answering::Drop { left };
    }

    fn error_at(&self, body: usize) -> ErrorCode {
        let head = self.from_broker.get(body..).and_then(|body| body.first_chunk::<HEAD>());
        head.map_or(ErrorCode::NONE, |[_, _, _, _, high, low]| ErrorCode(i16::from_be_bytes([*high, *low])))
    }
}

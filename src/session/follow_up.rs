//! What a broker is asked next because of its answer, where that changes something: a Metadata that creates the topics
//! which turned out missing. As any mutation it waits until its event is durable (`before_forward`, threat 8), and goes
//! only if what it was judged by is still in force then.

use super::inflight::{Slot, Turn};
use super::machine::{Machine, Now, Outputs, Wait};
use crate::enforce::rule::{Complete, Completed};
use crate::enforce::{DurableToken, Recorder, Then};
use crate::wire::{Node, Rope, message};

/// A question that is judged and may be written.
pub(super) struct FollowUp {
    request: Rope,
    /// The place in the queue of the request that it belongs to, with what is asked now and what that was judged by.
    slot: Slot,
    then: Box<dyn Complete>,
}

impl Machine {
    /// Does what a rule made of an answer. `version`: in which an answer to the client travels; `token`: what was decided
    /// with it and has to be durable before a broker is asked for more; `alone`: no request follows before it is answered.
    pub(super) fn completed(
        &mut self,
        (completed, token): (Completed, Option<DurableToken>),
        slot: Slot,
        version: i16,
        alone: bool,
        now: Now,
        out: &mut Outputs,
    ) {
        match completed {
            Completed::Answer(node) => {
                let rope = message::response_frame(slot.key, version, slot.correlation_id, &node);
                self.to_client.push_rope(rope);
                self.answered(&slot, alone, now, out);
            }
            Completed::Ask { permit: _, key, version, body, then } => {
                let client = self.client_id.as_deref();
                let request = message::request_frame(key, version, slot.correlation_id, client, &body);
                let slot = Slot { asked: (key, version), generation: self.generation, edge: self.edge, ..slot };
                let follow_up = FollowUp { request, slot, then };
                match token {
                    Some(token) => self.wait = Wait::FollowUp(token, Box::new(follow_up)),
                    None => self.ask(follow_up),
                }
            }
            Completed::Close(reason) => self.close(reason),
        }
    }

    fn ask(&mut self, follow_up: FollowUp) {
        self.to_broker.push_rope(follow_up.request);
        let turn = Turn::Broker(Then::Alone(follow_up.then));
        self.inflight.push_front(Slot { turn, ..follow_up.slot });
    }

    /// The events of a question are durable. Where it may no longer be asked, its rule is told that nothing came of it: the
    /// client hears what held before, and asks again if it wants to.
    pub(super) fn follow_up(&mut self, follow_up: FollowUp, now: Now, recorder: &mut dyn Recorder, out: &mut Outputs) {
        self.wait = Wait::Alone;
        if self.is_current(&follow_up.slot, now) && self.broker_knows() {
            return self.ask(follow_up);
        }
        let FollowUp { slot, then, .. } = follow_up;
        let nothing = Node::response(slot.asked.0);
        let completed = self.with_judge_durably(&slot, now, recorder, out, |judge| then.complete(nothing, judge));
        let version = slot.version;
        self.completed(completed, slot, version, true, now, out);
    }
}

//! Requests that wait for their answer, in the order the client sent them.

use crate::enforce::{Changing, Then};
use crate::model::{CloseReason, Timestamp};
use crate::wire::ApiKey;
use bytes::Bytes;
use std::collections::VecDeque;

/// What stands at one place of the queue.
pub(super) enum Turn {
    /// An answer made here, waiting for its turn.
    Ready(Vec<Bytes>),
    /// The connection closes when it is this place's turn.
    Close(CloseReason),
    /// The broker answers.
    Broker(Then),
    /// A change of ACLs is on its way; there is one at most, at the end of the queue.
    Change(Box<dyn Changing>),
}

impl Turn {
    fn ready_bytes(&self) -> usize {
        match self {
            Self::Ready(chunks) => chunks.iter().map(Bytes::len).sum(),
            Self::Close(_) | Self::Broker(_) | Self::Change(_) => 0,
        }
    }
}

/// One unanswered request.
pub(super) struct Slot {
    pub(super) key: ApiKey,
    pub(super) version: i16,
    pub(super) correlation_id: i32,
    /// What was asked of the broker, where that is another thing than the client asked for.
    pub(super) asked: (ApiKey, i16),
    /// Size of the request in bytes.
    pub(super) bytes: usize,
    /// When its last byte was there, in microseconds of the shell's clock.
    pub(super) since: u64,
    /// The snapshot it was judged by, and the instant at which that judgement may no longer hold.
    pub(super) generation: u64,
    pub(super) edge: Option<Timestamp>,
    pub(super) turn: Turn,
}

/// A request that was answered: for metrics.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// API.
    pub key: ApiKey,
    /// Microseconds from the request's last byte to the answer's.
    pub micros: u64,
    /// Whether the broker took part.
    pub forwarded: bool,
}

/// The queue, with what is at the broker counted.
#[derive(Default)]
pub(super) struct Inflight {
    slots: VecDeque<Slot>,
    ahead: usize,
    ahead_bytes: usize,
    /// Bytes of answers made here.
    ready_bytes: usize,
}

impl Inflight {
    pub(super) fn push(&mut self, slot: Slot) {
        if matches!(slot.turn, Turn::Broker(_)) {
            self.ahead += 1;
            self.ahead_bytes += slot.bytes;
        }
        self.ready_bytes += slot.turn.ready_bytes();
        self.slots.push_back(slot);
    }

    /// The next place, if an answer made here or a close stands there.
    pub(super) fn pop_local(&mut self) -> Option<Slot> {
        match self.slots.front()?.turn {
            Turn::Ready(_) | Turn::Close(_) => {
                let slot = self.slots.pop_front()?;
                self.ready_bytes = self.ready_bytes.saturating_sub(slot.turn.ready_bytes());
                Some(slot)
            }
            Turn::Broker(_) | Turn::Change(_) => None,
        }
    }

    /// Takes the change at the end of the queue, to be put back with its answer.
    pub(super) fn pop_change(&mut self) -> Option<(Slot, Box<dyn Changing>)> {
        let slot = self.slots.pop_back_if(|slot| matches!(slot.turn, Turn::Change(_)))?;
        match slot.turn {
            Turn::Change(then) => Some((Slot { turn: Turn::Ready(Vec::new()), ..slot }, then)),
            Turn::Ready(_) | Turn::Close(_) | Turn::Broker(_) => None,
        }
    }

    /// The request that the broker answers next.
    pub(super) fn front(&self) -> Option<&Slot> {
        self.slots.front().filter(|slot| matches!(slot.turn, Turn::Broker(_)))
    }

    /// Takes that request: its answer has begun to arrive.
    pub(super) fn pop_broker(&mut self) -> Option<Slot> {
        if !matches!(self.slots.front()?.turn, Turn::Broker(_)) {
            return None;
        }
        let slot = self.slots.pop_front()?;
        self.ahead = self.ahead.saturating_sub(1);
        self.ahead_bytes = self.ahead_bytes.saturating_sub(slot.bytes);
        Some(slot)
    }

    /// Puts a request back in front: the broker was asked another thing for it.
    pub(super) fn push_front(&mut self, slot: Slot) {
        self.ahead += 1;
        self.ahead_bytes += slot.bytes;
        self.slots.push_front(slot);
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Whether the broker has been asked for records.
    pub(super) fn waits_for_records(&self) -> bool {
        let asks = |slot: &Slot| matches!(slot.asked.0, ApiKey::FETCH | ApiKey::SHARE_FETCH);
        self.slots.iter().any(|slot| asks(slot) && matches!(slot.turn, Turn::Broker(_)))
    }

    /// Bytes of answers made here that wait for their turn.
    pub(super) fn ready_bytes(&self) -> usize {
        self.ready_bytes
    }

    /// Requests and bytes that the broker has and has not answered.
    pub(super) fn ahead(&self) -> (usize, usize) {
        (self.ahead, self.ahead_bytes)
    }
}

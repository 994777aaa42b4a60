//! Where the next bytes are read to, and how many at once.

use super::machine::Machine;
use super::request::Front;
use super::spare::{self, LARGE, LARGEST};
use bytes::BytesMut;

/// Bytes that may wait for the broker before the client is no longer read: what the socket to the broker does not take
/// stays in the one from the client, not in memory of ours that has left the processor's cache when it is written.
pub(super) const BROKER_BACKLOG: usize = 256 * 1024;
/// Answers that may wait before a client is no longer read that does not read them: those in the socket's way, and those
/// made here that wait for their turn.
pub(super) const CLIENT_BACKLOG: usize = 256 * 1024;
/// The longest answer of a broker that is taken in a login: it needs no more memory than any read. Brokers' own messages
/// have some hundred bytes.
pub(super) const LONGEST_LOGIN: usize = 64 * 1024;
/// Room where nothing is known of what comes.
const USUAL: usize = 64 * 1024;
/// Room for the first bytes of what is most likely a large request: they are copied once its size is known.
const HEAD: usize = 4 * 1024;
/// Room that is not worth a read of its own.
const SCRAP: usize = 4 * 1024;
/// Room that is used up before more is got. What was read stays a slice of the buffer it was read into, so a buffer for
/// each small piece would hold 64 KiB for a hundred bytes that wait.
const ENOUGH: usize = 16 * 1024;

impl Machine {
    /// Makes room for the client's next bytes and tells how many to read at most.
    ///
    /// A request's announced size alone never sizes an allocation: memory is got for as many bytes as are there already,
    /// or as an earlier request of this client had. A large request is read to its end and no further, so that what
    /// comes behind it need not be copied.
    pub fn client_room(&mut self) -> usize {
        let have = self.from_client.len();
        let missing = match self.front() {
            Front::Partial { missing: Some(missing) } if have + missing > LARGE => missing,
            Front::Partial { .. } | Front::Whole(_) | Front::Bad(_) => {
                let usual = if have == 0 && self.proven > LARGE { HEAD } else { USUAL };
                if self.from_client.capacity() - have < ENOUGH.min(usual) {
                    self.from_client.reserve(usual);
                }
                return (self.from_client.capacity() - have).min(usual);
            }
        };
        let left = self.from_client.capacity() - have;
        if left >= SCRAP.min(missing) {
            return left.min(missing);
        }
        let room = missing.min(have.max(USUAL).max(self.proven.saturating_sub(have)));
        let mut larger = spare::take(have + room);
        larger.extend_from_slice(&self.from_client);
        spare::give(std::mem::replace(&mut self.from_client, larger).freeze());
        room
    }

    /// The size of the request that is arriving, once it is known and larger than what is read without asking.
    pub fn large_request(&self) -> Option<usize> {
        match self.front() {
            Front::Partial { missing: Some(missing) } => {
                Some(self.from_client.len() + missing).filter(|size| *size > LARGE)
            }
            Front::Partial { missing: None } | Front::Whole(_) | Front::Bad(_) => None,
        }
    }

    /// Whether bytes of a request are held: arriving, waiting, or on their way to the broker.
    pub fn holds_request(&self) -> bool {
        self.has_request() || self.large_request().is_some() || !self.to_broker.is_empty() || self.is_waiting()
    }

    /// Notes that a request of this size was taken whole.
    pub(super) fn took(&mut self, size: usize) {
        if size > LARGE {
            self.proven = self.proven.max(size.min(LARGEST));
            if self.from_client.is_empty() {
                // The memory stays with the request and can be used again when it has left.
                self.from_client = BytesMut::new();
            }
        }
    }

    /// Makes room for the broker's next bytes: a whole answer's where one is gathered.
    pub fn broker_room(&mut self) {
        let have = self.from_broker.len();
        let missing = self.gathering.saturating_sub(have);
        let (left, large) = (self.from_broker.capacity() - have, missing > USUAL);
        if large || left < ENOUGH.max(missing) {
            self.from_broker.reserve(if large { missing.min(have.max(LARGEST)) } else { USUAL });
        }
    }
}

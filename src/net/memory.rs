//! Request bytes held in all (`limits.request_memory`).
//!
//! Requests are gathered whole, so a client could make the process hold as much as its largest request is allowed to be.
//! A connection asks before it reads on in a request larger than 64 KiB; what is smaller is bounded by the number of
//! connections. Who asks first is served first, and who holds memory can always finish, so nobody waits for ever.

use std::future::Future;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Memory is counted in pieces of this size: a semaphore's permits have 32 bits.
const PIECE: usize = 1024;

/// What is left of the bound.
#[derive(Clone, Debug)]
pub struct RequestMemory {
    pieces: Arc<Semaphore>,
    most: u32,
}

/// A share of the bound; given back when dropped.
#[derive(Debug)]
pub(super) struct Held {
    bytes: usize,
    _pieces: Option<OwnedSemaphorePermit>,
}

impl Held {
    /// How many bytes were asked for.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

impl RequestMemory {
    /// A bound of this many bytes.
    pub fn new(bytes: usize) -> Self {
        let most = u32::try_from(bytes / PIECE).unwrap_or(u32::MAX).max(1);
        let permits = usize::try_from(most).unwrap_or(Semaphore::MAX_PERMITS).min(Semaphore::MAX_PERMITS);
        Self { pieces: Arc::new(Semaphore::new(permits)), most }
    }

    /// Whether who asks for this many bytes now has to wait.
    pub(super) fn is_short_of(&self, bytes: usize) -> bool {
        self.pieces.available_permits() < bytes.div_ceil(PIECE).min(usize::try_from(self.most).unwrap_or(usize::MAX))
    }

    /// Waits for this many bytes; more than there are in all count as all. The future owns what it needs, so that it can
    /// be kept and its place in the queue with it.
    pub(super) fn hold(&self, bytes: usize) -> impl Future<Output = Held> + Send + use<> {
        let pieces = u32::try_from(bytes.div_ceil(PIECE)).unwrap_or(u32::MAX).min(self.most);
        let semaphore = Arc::clone(&self.pieces);
        // The semaphore is never closed.
        async move { Held { bytes, _pieces: semaphore.acquire_many_owned(pieces).await.ok() } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    fn ready<T>(future: std::pin::Pin<&mut impl Future<Output = T>>) -> Option<T> {
        match future.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => Some(value),
            Poll::Pending => None,
        }
    }

    #[test]
    fn who_asks_first_is_served_first_and_what_is_dropped_can_be_had_again() {
        let memory = RequestMemory::new(10 * PIECE);
        let first = ready(pin!(memory.hold(8 * PIECE))).unwrap();
        let (mut second, mut third) = (pin!(memory.hold(9 * PIECE)), pin!(memory.hold(PIECE)));
        assert!(ready(second.as_mut()).is_none() && ready(third.as_mut()).is_none(), "the third does not overtake");
        drop(first);
        assert_eq!(ready(second).unwrap().bytes(), 9 * PIECE);
        assert!(ready(third).is_some());
    }

    #[test]
    fn more_than_there_is_waits_for_all_and_not_for_ever() {
        let memory = RequestMemory::new(PIECE);
        assert!(ready(pin!(memory.hold(100 * PIECE))).is_some());
    }
}

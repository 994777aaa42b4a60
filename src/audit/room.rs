//! Room for events on their way to the topic: bounded by bytes, shared out so that who floods waits alone.
//!
//! Room is counted twice: for the principal, and for the principal at one address. The one may hold as much as is
//! left free, the other half of that (dynamic thresholds: Choudhury and Hahne, "Dynamic queue length thresholds for
//! shared-memory packet switches", 1998). So a flooder at one address ends at a third of the memory, whatever number
//! of connections it opens, and whoever is new finds room.

use crate::model::{Host, Principal};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::Notify;

/// The room of the process.
#[derive(Debug)]
pub struct Room {
    limit: u64,
    /// As all counters here in sequentially consistent order: a waiter counts itself and then looks at what is used,
    /// who frees gives back and then looks for waiters, and neither may miss the other.
    used: AtomicU64,
    waiting: AtomicUsize,
    freed: Notify,
    accounts: Mutex<Accounts>,
}

type AccountKey = (Option<Principal>, Option<IpAddr>);

#[derive(Debug, Default)]
struct Accounts {
    by_key: HashMap<AccountKey, Weak<Account>>,
    /// Forgotten ones are looked for when the map has grown to this.
    sweep_at: usize,
}

/// What one principal, or one principal at one address, holds.
#[derive(Debug, Default)]
struct Account {
    used: AtomicU64,
}

/// The part of the room that a connection may use.
#[derive(Clone, Debug)]
pub struct Share {
    room: Arc<Room>,
    principal: Arc<Account>,
    address: Arc<Account>,
}

/// Room taken by one event, given back when this is dropped.
#[derive(Debug)]
pub struct Charge {
    share: Share,
    bytes: u64,
}

/// There was no room for events for too long: the connection is to be closed with reason `audit_full`.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no room for audit events: see the audit's status for what the topic is waiting for")]
pub struct AuditFull;

impl Room {
    /// Room for `limit` bytes.
    pub fn new(limit: u64) -> Arc<Self> {
        Arc::new(Self {
            limit,
            used: AtomicU64::new(0),
            waiting: AtomicUsize::new(0),
            freed: Notify::new(),
            accounts: Mutex::default(),
        })
    }

    /// The share of a principal (`None`: not known yet) at an address (`None`: the proxy itself).
    pub fn share(self: &Arc<Self>, principal: Option<&Principal>, host: Option<&Host>) -> Share {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        Share {
            room: Arc::clone(self),
            principal: accounts.of((principal.cloned(), None)),
            address: accounts.of((principal.cloned(), host.map(Host::source))),
        }
    }

    /// Bytes taken.
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::SeqCst)
    }

    /// Bytes in all.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// Connections that wait for room.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::SeqCst)
    }

    fn free(&self) -> u64 {
        self.limit.saturating_sub(self.used())
    }
}

impl Accounts {
    fn of(&mut self, key: AccountKey) -> Arc<Account> {
        if let Some(known) = self.by_key.get(&key).and_then(Weak::upgrade) {
            return known;
        }
        if self.by_key.len() >= self.sweep_at {
            self.by_key.retain(|_, account| account.strong_count() > 0);
            self.sweep_at = self.by_key.len().saturating_mul(2).max(64);
        }
        let account = Arc::default();
        self.by_key.insert(key, Arc::downgrade(&account));
        account
    }
}

impl Share {
    /// Whether a request may be read: its events will be taken, however many they are.
    pub fn has_room(&self) -> bool {
        let free = self.room.free();
        let below = |account: &Account, of: u64| account.used.load(Ordering::SeqCst) < of;
        free > 0 && below(&self.principal, free) && below(&self.address, free.div_ceil(2))
    }

    /// Waits until [`Self::has_room`]; the connection does not read meanwhile.
    ///
    /// # Errors
    ///
    /// [`AuditFull`] after `full_wait`.
    pub async fn room(&self, full_wait: Duration) -> Result<(), AuditFull> {
        if self.has_room() {
            return Ok(());
        }
        let _waits = Waits::new(&self.room.waiting);
        tokio::time::timeout(full_wait, async {
            loop {
                // Registered before the look, so that room freed in between is not missed.
                let mut freed = std::pin::pin!(self.room.freed.notified());
                freed.as_mut().enable();
                if self.has_room() {
                    return;
                }
                freed.await;
            }
        })
        .await
        .map_err(|_| AuditFull)
    }

    /// Takes room for an event. Never refuses: who asks has asked for room before it read the request.
    pub fn charge(&self, bytes: u64) -> Charge {
        self.room.used.fetch_add(bytes, Ordering::SeqCst);
        self.principal.used.fetch_add(bytes, Ordering::SeqCst);
        self.address.used.fetch_add(bytes, Ordering::SeqCst);
        Charge { share: self.clone(), bytes }
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        let Share { room, principal, address } = &self.share;
        room.used.fetch_sub(self.bytes, Ordering::SeqCst);
        principal.used.fetch_sub(self.bytes, Ordering::SeqCst);
        address.used.fetch_sub(self.bytes, Ordering::SeqCst);
        if room.waiting() > 0 {
            room.freed.notify_waiters();
        }
    }
}

/// Counts a waiting connection, also when its wait is cancelled.
struct Waits<'a>(&'a AtomicUsize);

impl<'a> Waits<'a> {
    fn new(waiting: &'a AtomicUsize) -> Self {
        waiting.fetch_add(1, Ordering::SeqCst);
        Self(waiting)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(last: u8) -> Host {
        Host::new([10, 0, 0, last].into())
    }

    /// Takes kilobytes until there is no room.
    fn flood(share: &Share) -> Vec<Charge> {
        std::iter::from_fn(|| share.has_room().then(|| share.charge(1_000))).collect()
    }

    #[test]
    fn threat_28_who_floods_waits_alone() {
        let room = Room::new(900_000);
        let alice = Principal::user("alice");
        let flooder = room.share(Some(&alice), Some(&host(1)));
        let held = flood(&flooder);
        assert!((280..=320).contains(&held.len()), "{}", held.len());
        assert!(!room.share(Some(&alice), Some(&host(1))).has_room(), "nor do its further connections find room");
        assert!(room.share(Some(&alice), Some(&host(2))).has_room(), "the same principal elsewhere");
        assert!(room.share(Some(&Principal::user("bob")), Some(&host(1))).has_room());
    }

    #[test]
    fn many_addresses_of_one_principal_leave_room_for_others() {
        let room = Room::new(1_000_000);
        let alice = Principal::user("alice");
        let held: Vec<_> = (0..100).flat_map(|i| flood(&room.share(Some(&alice), Some(&host(i))))).collect();
        assert!(held.len() <= 501, "{}", held.len());
        assert!(room.share(Some(&Principal::user("bob")), Some(&host(1))).has_room());
    }

    #[test]
    fn many_flooders_never_take_more_than_there_is() {
        let room = Room::new(1_000_000);
        let held: Vec<_> = (0..200)
            .flat_map(|i| flood(&room.share(Some(&Principal::user(&format!("u{i}"))), Some(&host(1)))))
            .collect();
        assert!(room.used() <= 1_001_000, "{}", room.used());
        drop(held);
        assert_eq!(room.used(), 0);
    }

    #[test]
    fn accounts_are_forgotten_with_their_connections() {
        let room = Room::new(1_000);
        for i in 0..10_000 {
            drop(room.share(Some(&Principal::user(&i.to_string())), Some(&host(1))));
        }
        assert!(room.accounts.lock().unwrap().by_key.len() <= 128);
    }

    #[tokio::test]
    async fn room_that_is_freed_wakes_who_waits_and_room_that_is_not_ends_in_audit_full() {
        let room = Room::new(1_000);
        let share = room.share(Some(&Principal::user("alice")), Some(&host(1)));
        let held = share.charge(1_000);
        assert_eq!(share.room(Duration::from_millis(1)).await, Err(AuditFull));
        let waits = tokio::spawn({
            let share = share.clone();
            async move { share.room(Duration::from_secs(30)).await }
        });
        while room.waiting() == 0 {
            tokio::task::yield_now().await;
        }
        drop(held);
        assert_eq!(waits.await.unwrap(), Ok(()));
        assert_eq!(room.waiting(), 0);
    }
}

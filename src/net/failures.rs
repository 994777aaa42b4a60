//! How often logins from an address failed lately; bounded. And how many of them brokers check at once: what is not
//! answered yet cannot be counted, so that who sends many at a time would else guess more often than it may fail.
//!
//! Whoever has IPv6 has 2^64 addresses of one network: such a network is held to ten times what an address is.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How long a failure counts.
const LATELY: Duration = Duration::from_secs(60);
/// Addresses and networks remembered at once.
const MOST: usize = 10_000;
/// How much more a network may fail than an address.
const NETWORK: u32 = 10;

/// How often logins from an address failed lately.
#[derive(Debug, Default)]
pub struct Failures {
    by_source: Mutex<HashMap<Source, Failed>>,
    /// By where they come from and how often that may fail, which listeners may say apart.
    asking: Mutex<HashMap<(Source, u32), Asking>>,
}

/// Who asks brokers.
#[derive(Debug)]
struct Asking {
    places: Arc<Semaphore>,
    /// How many have a place, or wait for one.
    users: usize,
}

/// A place among those of an address whose login a broker checks; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Place<'a> {
    failures: &'a Failures,
    of: (Source, u32),
    /// None while it is waited for.
    permit: Option<OwnedSemaphorePermit>,
}

/// Whom something counts for.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Source {
    /// One address.
    Address(IpAddr),
    /// The first 64 bits.
    Network(u64),
}

#[derive(Copy, Clone, Debug)]
struct Failed {
    since: Instant,
    count: u32,
}

impl Failed {
    fn is_old(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) >= LATELY
    }
}

/// What an address counts for, the widest last, and how much more that may have than an address.
pub(super) fn sources(address: IpAddr) -> impl Iterator<Item = (Source, u32)> {
    let network = match address {
        IpAddr::V4(_) => None,
        IpAddr::V6(v6) => Some((Source::Network(network_of(v6)), NETWORK)),
    };
    std::iter::once((Source::Address(address), 1)).chain(network)
}

fn network_of(address: Ipv6Addr) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = address.octets();
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

impl Failures {
    /// Whether more logins failed from there than may.
    pub(super) fn too_many(&self, address: IpAddr, most: u32) -> bool {
        self.too_many_at(address, most, Instant::now())
    }

    /// Counts one that failed.
    pub(super) fn count(&self, address: IpAddr) {
        self.count_at(address, Instant::now());
    }

    /// Waits until a broker may be asked about a login: of an address no more are under way than may fail, of a network of
    /// IPv6 ten times as many.
    pub(super) async fn place(&self, address: IpAddr, most: u32) -> Place<'_> {
        let (source, factor) = sources(address).last().unwrap_or((Source::Address(address), 1));
        let places = {
            let mut asking = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
            let asking = asking.entry((source, most)).or_insert_with(|| {
                let places = usize::try_from(most.saturating_mul(factor)).unwrap_or(Semaphore::MAX_PERMITS);
                Asking { places: Arc::new(Semaphore::new(places.clamp(1, Semaphore::MAX_PERMITS))), users: 0 }
            });
            asking.users += 1;
            Arc::clone(&asking.places)
        };
        // From here on it is given back, also by who no longer waits.
        let mut place = Place { failures: self, of: (source, most), permit: None };
        // The semaphore is never closed.
        place.permit = places.acquire_owned().await.ok();
        place
    }

    fn too_many_at(&self, address: IpAddr, most: u32, now: Instant) -> bool {
        let by_source = self.by_source.lock().unwrap_or_else(PoisonError::into_inner);
        sources(address).any(|(source, factor)| {
            let failed = by_source.get(&source).filter(|failed| !failed.is_old(now));
            failed.is_some_and(|failed| failed.count >= most.saturating_mul(factor))
        })
    }

    fn count_at(&self, address: IpAddr, now: Instant) {
        let mut by_source = self.by_source.lock().unwrap_or_else(PoisonError::into_inner);
        for (source, _) in sources(address) {
            if by_source.len() >= MOST && !by_source.contains_key(&source) {
                make_room(&mut by_source, now);
            }
            let failed = by_source.entry(source).or_insert(Failed { since: now, count: 0 });
            if failed.is_old(now) {
                *failed = Failed { since: now, count: 0 };
            }
            failed.count = failed.count.saturating_add(1);
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.permit = None;
        let mut asking = self.failures.asking.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(of_them) = asking.get_mut(&self.of) {
            of_them.users = of_them.users.saturating_sub(1);
            if of_them.users == 0 {
                asking.remove(&self.of);
            }
        }
    }
}

/// Forgets what is old, and if that is not enough the half that failed least often: who comes from many addresses to be
/// forgotten forgets those instead, each of which failed once.
fn make_room(by_source: &mut HashMap<Source, Failed>, now: Instant) {
    by_source.retain(|_, failed| !failed.is_old(now));
    if by_source.len() < MOST {
        return;
    }
    let mut counts: Vec<u32> = by_source.values().map(|failed| failed.count).collect();
    let (_, median, _) = counts.select_nth_unstable(MOST / 2);
    let (median, mut left) = (*median, MOST / 2);
    by_source.retain(|_, failed| {
        let keep = failed.count > median || (failed.count == median && left > 0);
        left = left.saturating_sub(usize::from(keep));
        keep
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v6(network: u64, host: u64) -> IpAddr {
        IpAddr::V6(Ipv6Addr::from((u128::from(network) << 64) | u128::from(host)))
    }

    #[test]
    fn an_address_may_fail_so_often_in_a_minute_and_another_is_not_held_to_it() {
        let (failures, now) = (Failures::default(), Instant::now());
        let [a, b]: [IpAddr; 2] = [[10, 0, 0, 1], [10, 0, 0, 2]].map(Into::into);
        for _ in 0..3 {
            assert!(!failures.too_many_at(a, 3, now));
            failures.count_at(a, now);
        }
        assert!(failures.too_many_at(a, 3, now + Duration::from_secs(59)) && !failures.too_many_at(b, 3, now));
        assert!(!failures.too_many_at(a, 3, now + LATELY));
        failures.count_at(a, now + LATELY);
        assert!(!failures.too_many_at(a, 2, now + LATELY), "counted anew");
    }

    #[test]
    fn who_has_a_network_of_addresses_is_held_to_ten_times_as_much() {
        let (failures, now) = (Failures::default(), Instant::now());
        (0..29).for_each(|host| failures.count_at(v6(7, host), now));
        assert!(!failures.too_many_at(v6(7, 99), 3, now));
        failures.count_at(v6(7, 99), now);
        assert!(failures.too_many_at(v6(7, 100), 3, now), "an address that never failed, of a network that did");
        assert!(!failures.too_many_at(v6(8, 0), 3, now));
    }

    #[test]
    fn memory_is_bounded_and_who_failed_often_is_not_forgotten_for_it() {
        let (failures, now) = (Failures::default(), Instant::now());
        let guesser: IpAddr = [10, 0, 0, 1].into();
        (0..5).for_each(|_| failures.count_at(guesser, now));
        for n in 0..100_000_u32 {
            failures.count_at(IpAddr::V4((0x0b00_0000 + n).into()), now);
            assert!(failures.by_source.lock().unwrap().len() <= MOST);
        }
        (0..50_000).for_each(|n| failures.count_at(v6(n, n), now));
        assert!(failures.by_source.lock().unwrap().len() <= MOST);
        assert!(failures.too_many_at(guesser, 5, now));
    }

    #[tokio::test]
    async fn brokers_check_no_more_logins_of_an_address_at_once_than_may_fail() {
        let failures = Failures::default();
        let [a, b]: [IpAddr; 2] = [[10, 0, 0, 1], [10, 0, 0, 2]].map(Into::into);
        let waits = async |address| tokio::time::timeout(Duration::ZERO, failures.place(address, 2)).await.is_err();
        let (first, second) = (failures.place(a, 2).await, failures.place(a, 2).await);
        assert!(waits(a).await && !waits(b).await);
        drop(first);
        assert!(!waits(a).await, "who gave up waiting has taken nothing with it");
        drop(second);
        let networks: Vec<_> = (0..20).map(|host| v6(7, host)).collect();
        let mut places = Vec::new();
        for address in networks {
            places.push(failures.place(address, 2).await);
        }
        assert!(waits(v6(7, 99)).await && !waits(v6(8, 99)).await);
        drop(places);
        assert!(failures.asking.lock().unwrap().is_empty(), "nothing is kept of who is gone");
    }
}

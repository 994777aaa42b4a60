//! Places among the open connections, and who gives one up when all are taken.
//!
//! Anybody can connect and say nothing. When all places are taken, a newcomer gets that of a client that is not known yet: of
//! the address, or IPv6 network, with the most of those, the oldest. The newcomer counts among them, so that who comes again
//! and again takes its own place. Who is known keeps its place; when all are known, the newcomer is turned away.

use super::failures::{Source, sources};
use super::shared::Door;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// The places of the process.
pub struct Seats {
    most: usize,
    all: Mutex<All>,
    /// What counts by address where a listener does not count for itself.
    by_address: Arc<ByAddress>,
}

struct All {
    open: usize,
    /// Numbers seats: the least is the oldest.
    next: u64,
    /// By listener.
    rooms: Vec<Room>,
}

struct Room {
    most: usize,
    open: usize,
    unknown: Unknown,
}

/// Connections whose clients are not known yet.
#[derive(Default)]
struct Unknown {
    by_source: HashMap<Source, BTreeMap<u64, Arc<Ticket>>>,
    ranks: BTreeSet<Rank>,
}

/// How soon a place is taken away: last who has the most, and among those the oldest.
type Rank = (usize, Reverse<u64>, Source);

#[derive(Default)]
struct Ticket {
    lost: AtomicBool,
    told: Notify,
}

/// Connections by address.
pub(super) struct ByAddress {
    most: Option<u32>,
    open: Mutex<HashMap<Source, u32>>,
}

impl Seats {
    /// So many places, and so many for one address.
    pub fn new(most: usize, by_address: Option<u32>) -> Self {
        let all = Mutex::new(All { open: 0, next: 0, rooms: Vec::new() });
        Self { most, all, by_address: Arc::new(ByAddress::new(by_address)) }
    }

    /// The places of a listener, which may have at most this many of them; its number.
    pub(super) fn room(&self, most: Option<u32>) -> usize {
        let most = most.map_or(usize::MAX, |most| usize::try_from(most).unwrap_or(usize::MAX));
        let mut all = self.all();
        all.rooms.push(Room { most, open: 0, unknown: Unknown::default() });
        all.rooms.len() - 1
    }

    /// What counts by address for a listener without a bound of its own.
    pub(super) fn by_address(&self) -> &Arc<ByAddress> {
        &self.by_address
    }

    fn all(&self) -> MutexGuard<'_, All> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why there is no place.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Full {
    /// Every place is somebody's who is known.
    All,
    /// The address has as many as it may.
    Address,
}

impl Full {
    /// In words.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::All => "every place is taken by a client that is known",
            Self::Address => "its address has as many as `connections_per_address`",
        }
    }
}

impl All {
    /// Gives one more a place; its number.
    fn sit(&mut self, room: usize, most: usize, source: Source, ticket: &Arc<Ticket>) -> Option<u64> {
        if !self.make_room(room, most, source) {
            return None;
        }
        let room = self.rooms.get_mut(room)?;
        let number = self.next;
        self.next += 1;
        self.open += 1;
        room.open += 1;
        room.unknown.insert(source, number, Arc::clone(ticket));
        Some(number)
    }

    /// Makes room for one more from there; `false` if every place is somebody's who is known.
    fn make_room(&mut self, room: usize, most: usize, newcomer: Source) -> bool {
        let Some(own) = self.rooms.get(room) else { return false };
        let of = |at: usize, room: &Room| Some((*room.unknown.ranks.last()?, at));
        let next = if own.open >= own.most {
            of(room, own)
        } else if self.open >= most {
            self.rooms.iter().enumerate().filter_map(|(at, room)| of(at, room)).max()
        } else {
            return true;
        };
        let Some(((count, _, source), at)) = next else { return false };
        // With the one that comes, more than anybody has.
        let is_own = own.unknown.count(newcomer) >= count;
        if is_own { self.take_away(room, newcomer) } else { self.take_away(at, source) }
    }

    fn take_away(&mut self, room: usize, source: Source) -> bool {
        let Some(room) = self.rooms.get_mut(room) else { return false };
        let Some(ticket) = room.unknown.remove_oldest(source) else { return false };
        ticket.lost.store(true, Ordering::Relaxed);
        ticket.told.notify_one();
        room.open -= 1;
        self.open -= 1;
        true
    }
}

impl Unknown {
    fn insert(&mut self, source: Source, number: u64, ticket: Arc<Ticket>) {
        self.change(source, |held| held.insert(number, ticket));
    }

    fn remove(&mut self, source: Source, number: u64) -> Option<Arc<Ticket>> {
        self.change(source, |held| held.remove(&number))
    }

    fn remove_oldest(&mut self, source: Source) -> Option<Arc<Ticket>> {
        self.change(source, |held| held.pop_first().map(|(_, ticket)| ticket))
    }

    fn count(&self, source: Source) -> usize {
        self.by_source.get(&source).map_or(0, BTreeMap::len)
    }

    fn change<T>(&mut self, source: Source, change: impl FnOnce(&mut BTreeMap<u64, Arc<Ticket>>) -> T) -> T {
        let rank = |held: &BTreeMap<u64, _>| held.keys().next().map(|oldest| (held.len(), Reverse(*oldest), source));
        let held = self.by_source.entry(source).or_default();
        if let Some(before) = rank(held) {
            self.ranks.remove(&before);
        }
        let result = change(held);
        match rank(held) {
            Some(after) => {
                self.ranks.insert(after);
            }
            None => {
                self.by_source.remove(&source);
            }
        }
        result
    }
}

impl ByAddress {
    /// At most this many.
    pub(super) fn new(most: Option<u32>) -> Self {
        Self { most, open: Mutex::default() }
    }

    /// One more; `false` if there are as many as there may be. A network of IPv6 may have ten times as many as an address.
    fn add(&self, ip: IpAddr) -> bool {
        let Some(most) = self.most else { return true };
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let full = |(source, factor)| open.get(&source).is_some_and(|count| *count >= most.saturating_mul(factor));
        if sources(ip).any(full) {
            return false;
        }
        for (source, _) in sources(ip) {
            *open.entry(source).or_insert(0) += 1;
        }
        true
    }

    fn remove(&self, ip: IpAddr) {
        if self.most.is_none() {
            return;
        }
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        for (source, _) in sources(ip) {
            if let Some(count) = open.get_mut(&source) {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    open.remove(&source);
                }
            }
        }
    }
}

/// Who shares the patience for those who are not known.
fn crowd(ip: IpAddr) -> Source {
    sources(ip).last().map_or(Source::Address(ip), |(widest, _)| widest)
}

/// A place among the open connections; given back when it is dropped.
pub(super) struct Seat {
    seats: Arc<Seats>,
    door: Arc<Door>,
    number: u64,
    /// With whom it waits; `None` once the client is known.
    waits: Option<Source>,
    ticket: Arc<Ticket>,
    /// Whose connection it is, once that is known.
    ip: Option<IpAddr>,
}

impl Seat {
    /// A place for a client that comes from there, as far as one sees. Where no balancer stands between, it is counted for
    /// its address first: who has as many as it may takes nobody's place.
    pub(super) fn take(seats: &Arc<Seats>, door: &Arc<Door>, peer: IpAddr) -> Result<Self, Full> {
        let (ticket, peer) = (Arc::<Ticket>::default(), peer.to_canonical());
        let ip = door.balancers.is_empty().then_some(peer);
        if ip.is_some_and(|ip| !door.by_address.add(ip)) {
            return Err(Full::Address);
        }
        let number = seats.all().sit(door.room, seats.most, crowd(peer), &ticket);
        let Some(number) = number else {
            if let Some(ip) = ip {
                door.by_address.remove(ip);
            }
            return Err(Full::All);
        };
        door.metrics.connections.inc();
        let (seats, door) = (Arc::clone(seats), Arc::clone(door));
        Ok(Self { seats, door, number, waits: Some(crowd(peer)), ticket, ip })
    }

    /// Counts it for the address of the client, if it is not yet; `false` if that has as many as it may.
    pub(super) fn belongs_to(&mut self, ip: IpAddr) -> bool {
        if self.ip.is_some() {
            return true;
        }
        if !self.door.by_address.add(ip) {
            return false;
        }
        self.ip = Some(ip);
        let mut all = self.seats.all();
        if let (Some(room), Some(before)) = (all.rooms.get_mut(self.door.room), self.waits)
            && let Some(ticket) = room.unknown.remove(before, self.number)
        {
            let source = crowd(ip);
            room.unknown.insert(source, self.number, ticket);
            self.waits = Some(source);
        }
        true
    }

    /// Keeps the place from now on: the client is known. `false` if it was lost by then.
    pub(super) fn keep(&mut self) -> bool {
        let mut all = self.seats.all();
        if let (Some(room), Some(source)) = (all.rooms.get_mut(self.door.room), self.waits.take()) {
            room.unknown.remove(source, self.number);
        }
        !self.ticket.lost.load(Ordering::Relaxed)
    }

    /// Ends when the place was given to somebody else.
    pub(super) fn lost(&self) -> impl Future<Output = ()> + Send + use<> {
        let ticket = Arc::clone(&self.ticket);
        async move { ticket.told.notified().await }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut all = self.seats.all();
        if !self.ticket.lost.load(Ordering::Relaxed) {
            all.open -= 1;
            if let Some(room) = all.rooms.get_mut(self.door.room) {
                room.open -= 1;
                if let Some(source) = self.waits {
                    room.unknown.remove(source, self.number);
                }
            }
        }
        drop(all);
        self.door.metrics.connections.dec();
        if let Some(ip) = self.ip {
            self.door.by_address.remove(ip);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(most: &[usize]) -> All {
        let room = |most: &usize| Room { most: *most, open: 0, unknown: Unknown::default() };
        All { open: 0, next: 0, rooms: most.iter().map(room).collect() }
    }

    fn come(all: &mut All, room: usize, last: u8, most: usize) -> Option<Arc<Ticket>> {
        let ticket = Arc::<Ticket>::default();
        all.sit(room, most, crowd([10, 0, 0, last].into()), &ticket).map(|_| ticket)
    }

    fn lost(tickets: &[Arc<Ticket>]) -> Vec<bool> {
        tickets.iter().map(|ticket| ticket.lost.load(Ordering::Relaxed)).collect()
    }

    #[test]
    fn who_has_the_most_unknown_connections_gives_up_the_oldest_of_them() {
        let mut all = all(&[usize::MAX, usize::MAX]);
        let first: Vec<_> = [1, 2, 2, 2, 3].iter().map(|last| come(&mut all, 0, *last, 5).unwrap()).collect();
        let next = come(&mut all, 1, 4, 5).unwrap();
        assert_eq!(lost(&first), [false, true, false, false, false]);
        let other = come(&mut all, 1, 4, 5).unwrap();
        assert_eq!(lost(&first), [false, true, true, false, false]);
        // Now one of each, but for two of the fourth.
        come(&mut all, 0, 5, 5).unwrap();
        assert_eq!(lost(&[next, other]), [true, false]);
        come(&mut all, 0, 6, 5).unwrap();
        assert_eq!(lost(&first), [true, true, true, false, false], "of equals the oldest");
        assert_eq!(all.open, 5);
        assert_eq!(all.rooms.iter().map(|room| room.open).sum::<usize>(), 5);
    }

    #[test]
    fn who_comes_again_and_again_takes_its_own_place_and_not_that_of_who_came_before() {
        let mut all = all(&[usize::MAX, 3]);
        let [good, of_crowd] = [1, 9].map(|last| come(&mut all, 0, last, 2).unwrap());
        let mut before = of_crowd;
        for _ in 0..3 {
            let next = come(&mut all, 0, 9, 2).unwrap();
            assert_eq!(lost(&[good.clone(), before, next.clone()]), [false, true, false]);
            before = next;
        }
        // Nor in a listener that is full by itself.
        let [first, _, last] = [1, 8, 9].map(|last| come(&mut all, 1, last, 9).unwrap());
        come(&mut all, 1, 9, 9).unwrap();
        assert_eq!(lost(&[good, before, first, last]), [false, false, false, true]);
    }

    #[test]
    fn who_is_known_keeps_his_place_and_a_full_listener_takes_nobody_elses() {
        let mut all = all(&[2, usize::MAX]);
        let [one, two, other] = [(0, 1), (0, 1), (1, 9)].map(|(room, last)| come(&mut all, room, last, 10).unwrap());
        let known = |all: &mut All, number| {
            let source = crowd([10, 0, 0, 1].into());
            all.rooms[0].unknown.remove(source, number).unwrap();
        };
        known(&mut all, 0);
        assert!(come(&mut all, 0, 7, 10).is_some(), "in the place of the second");
        assert_eq!(lost(&[one, two, other.clone()]), [false, true, false]);
        let source = crowd([10, 0, 0, 7].into());
        all.rooms[0].unknown.remove(source, 3).unwrap();
        assert!(come(&mut all, 0, 8, 10).is_none() && lost(&[other]) == [false], "the listener is full of the known");
        assert!(all.rooms[0].unknown.by_source.is_empty() && all.rooms[0].unknown.ranks.is_empty());
        assert!(come(&mut all, 1, 8, 10).is_some());
    }

    #[test]
    fn an_address_may_have_so_many_and_a_network_ten_times_as_many() {
        let counts = ByAddress::new(Some(2));
        let v6 = |host: u16| IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, host]);
        assert!(counts.add(v6(0)) && counts.add(v6(0)) && !counts.add(v6(0)));
        assert!((1..10).all(|host| counts.add(v6(host)) && counts.add(v6(host))));
        assert!(!counts.add(v6(99)), "an address without any, of a network that has twenty");
        counts.remove(v6(3));
        assert!(counts.add(v6(99)));
        (0..10).for_each(|host| (0..2).for_each(|_| counts.remove(v6(host))));
        counts.remove(v6(99));
        assert!(counts.open.lock().unwrap().values().all(|count| *count > 0));
        assert!(ByAddress::new(None).add(v6(1)));
    }
}

//! One session machine between a client and a broker who do what they like, in an order that is chosen by a seed; a model
//! beside it knows what must come of that. No sockets, no clock. `KORDON_SEED` replays a run, `KORDON_CASES` asks for more.

mod broker;
mod client;
mod dice;
mod logins;

use crate::allocator::{live, peak};
#[cfg(test)]
use crate::stage::LIMITS;
use crate::stage::{END, NAMES, NOTHING, changed, connection, drain, forbidden, frames, subject, world_of};
use broker::Broker;
use client::{Client, Due};
use dice::Dice;
use kordon::enforce::{DurableToken, Recorder, RequestFacts, Trail};
use kordon::model::{Category, CloseReason, Timestamp};
use kordon::policy::{AclChanged, ChangeRefused};
use kordon::session::{Input, Limits, Machine, Now, Outbox, Outputs, SessionError, World};
use kordon::wire::schema::fetch::response as res;
use kordon::wire::{ApiKey, ErrorCode, Node, message as frame};
use logins::Logins;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Bytes that may wait for either side before the other is no longer read; `docs/hostile-input.md`.
const BACKLOG: usize = 256 * 1024;
/// Room that is got ahead for the next read.
const ROOM: usize = 64 * 1024;
/// How many bytes of an answer one byte of a refused request may become.
const GROWTH: usize = 4;
/// How many bytes of a tree one byte of a message may become, for as long as it is worked on.
const TREE: usize = 64;
/// What a thread keeps for all its connections: eight pieces, of this size where no request is larger than here.
const SPARES: isize = 8 * 512 * 1024;

/// What is different from run to run.
#[derive(Clone, Debug)]
struct Knobs {
    steps: usize,
    asks: usize,
    limits: Limits,
    /// The client sends what no client sends.
    bad_client: bool,
    /// The broker does.
    bad_broker: bool,
    /// The policy moves.
    moves: bool,
    /// The client reads its answers only at the end.
    slow_reader: bool,
    /// One in so many decisions waits for its event.
    durable: usize,
    /// The bytes of one delivery.
    piece: usize,
    /// The client or the broker goes in the middle.
    leaves: bool,
}

impl Knobs {
    fn by(dice: &mut Dice<'_>) -> Self {
        let limits = Limits {
            frame: dice.of(&[3_000, 20_000, 60_000]),
            login_frame: 3_000,
            in_flight: dice.of(&[2, 16, 512]),
            ahead_requests: dice.of(&[1, 4, 16]),
            ahead_bytes: dice.of(&[1, 10_000, 1 << 20]),
            response_in_memory: dice.of(&[50_000, 1 << 20]),
        };
        Self {
            steps: dice.of(&[60, 200, 600]),
            asks: dice.of(&[3, 20, 80]),
            limits,
            bad_client: dice.one_in(3),
            bad_broker: dice.one_in(3),
            moves: !dice.one_in(3),
            slow_reader: dice.one_in(6),
            durable: dice.of(&[1, 3, 1_000]),
            piece: dice.of(&[1, 7, 100, 70_000]),
            leaves: dice.one_in(4),
        }
    }

    /// The most that one connection may hold between two steps: what `docs/hostile-input.md` says.
    fn at_rest(&self) -> usize {
        let Limits { frame, in_flight, ahead_requests, ahead_bytes, response_in_memory, .. } = self.limits;
        // A buffer may have grown to twice what is in it.
        let reading = 2 * (frame + ROOM) + 2 * response_in_memory.max(ROOM);
        // What is refused of a request that is at the broker waits as slices of the request.
        let ahead = 2 * ahead_bytes.min(ahead_requests * frame) + 2 * (frame + ROOM);
        // One request or answer more than the backlog is taken before it is seen that there is no room.
        let writing = (BACKLOG + frame + ROOM) + 2 * (BACKLOG + GROWTH * frame + ROOM) + response_in_memory;
        reading + ahead + writing + in_flight * 512 + 128 * 1024
    }

    /// The most that it may hold beside that while it works on one request or answer.
    fn at_work(&self) -> usize {
        TREE * self.limits.frame.max(self.limits.response_in_memory)
    }
}

/// Notes which requests left decisions; asks some to wait.
#[derive(Default)]
struct Book {
    full: bool,
    durable: usize,
    next: u64,
    asked: usize,
    waiting: Option<u64>,
    decided: BTreeMap<(i32, ApiKey), usize>,
    /// What this book itself took of memory.
    own: isize,
}

impl Recorder for Book {
    fn has_room(&self) -> bool {
        !self.full
    }

    fn record(&mut self, request: &RequestFacts<'_>, trail: &Trail) -> Option<DurableToken> {
        let before = live();
        assert!(!trail.is_empty());
        *self.decided.entry((request.correlation_id, request.key)).or_default() += 1;
        self.asked += 1;
        self.own += live() - before;
        // The answer of a request has `bytes` 0 and waits for nothing.
        let waits =
            request.bytes > 0 && request.category != Category::DataRead && self.asked.is_multiple_of(self.durable);
        if !waits {
            return None;
        }
        self.next += 1;
        self.waiting = Some(self.next);
        Some(DurableToken(self.next))
    }
}

/// A stream of frames, seen as it is written.
#[derive(Default)]
struct Seen {
    bytes: Vec<u8>,
    /// The policy in force when the first byte of the frame in `bytes` was written, and the time.
    begun: Option<(usize, i64)>,
}

struct Run<'d> {
    dice: Dice<'d>,
    knobs: Knobs,
    machine: Option<Machine>,
    book: Book,
    out: Outputs,
    client: Client,
    broker: Broker,
    logins: Option<Box<Logins>>,
    policy: usize,
    wall: i64,
    micros: u64,
    looks_up: bool,
    changed: Option<Result<AclChanged, ChangeRefused>>,
    client_gone: bool,
    broker_gone: bool,
    /// Of the outboxes, what was looked at.
    seen: [usize; 2],
    emitted: Seen,
    held: isize,
    most: isize,
    /// The most that was held to work with, in percent of the bound.
    worked: usize,
    ended: Option<Result<CloseReason, SessionError>>,
}

impl<'d> Run<'d> {
    fn new(mut dice: Dice<'d>, knobs: Knobs) -> Self {
        let policy = dice.below(7);
        let before = live();
        let machine = Machine::new(Arc::new(connection()), subject(), world_of(policy), knobs.limits);
        let held = live() - before;
        let mut run = Self {
            dice,
            book: Book { durable: knobs.durable, ..Book::default() },
            knobs,
            machine: Some(machine),
            out: Outputs::default(),
            client: Client::default(),
            broker: Broker::default(),
            logins: None,
            policy,
            wall: 0,
            micros: 0,
            looks_up: false,
            changed: None,
            client_gone: false,
            broker_gone: false,
            seen: [0; 2],
            emitted: Seen::default(),
            held,
            most: held,
            worked: 0,
            ended: None,
        };
        if run.dice.one_in(2) {
            run.input(Input::BrokerReady);
        }
        run
    }

    fn machine(&mut self) -> &mut Machine {
        self.machine.as_mut().expect("it lives until the end")
    }

    /// Works on the machine and counts what it took.
    fn counted<T>(&mut self, work: impl FnOnce(&mut Machine) -> T) -> T {
        let before = live();
        let result = work(self.machine());
        self.held += live() - before;
        self.most = self.most.max(self.held);
        result
    }

    /// The policy in force: of the last one the rights end with time.
    fn in_force(&self) -> usize {
        match self.policy {
            6 if self.wall < END => 2,
            6 => NOTHING,
            policy => policy,
        }
    }

    fn input(&mut self, input: Input) {
        if self.ended.is_some() {
            return;
        }
        self.micros += 1;
        let now = Now { wall: Timestamp(self.wall), micros: self.micros };
        let machine = self.machine.as_mut().expect("it lives until the end");
        let logins = self.logins.as_mut().map(|logins| logins.before(&input, machine, now));
        let before = (live(), self.book.own);
        let (result, work) = peak(|| machine.handle(input, now, &mut self.book, &mut self.out));
        self.out.finished.clear();
        self.out.unmapped.clear();
        self.out.detail = None;
        if !std::mem::take(&mut self.out.lookups).is_empty() {
            self.looks_up = true;
        }
        let happens = !self.micros.is_multiple_of(3);
        if let Some(change) = self.out.change.take() {
            self.changed = Some(changed(change, happens));
        }
        self.held += live() - before.0 - (self.book.own - before.1);
        self.most = self.most.max(self.held);
        let (knobs, bound, work_bound) = (&self.knobs, self.knobs.at_rest() as isize, self.knobs.at_work());
        assert!(self.held <= bound, "{} bytes are held, at most {bound} may be, with {knobs:?}", self.held);
        assert!(work <= work_bound, "{work} bytes were held to work with, at most {work_bound} may be, with {knobs:?}");
        self.worked = self.worked.max(work * 100 / work_bound);
        let machine = self.machine.as_ref().expect("it lives until the end");
        assert!(!machine.waits_for_write() || !machine.to_broker.is_empty(), "it waits for a write of nothing");
        self.look();
        if let Some(before) = &logins {
            self.look_at_logins(before, now);
        }
        let machine = self.machine.as_ref().expect("it lives until the end");
        self.ended = match (result, machine.closing()) {
            (Err(error), _) => Some(Err(error)),
            (Ok(()), Some(reason)) => Some(Ok(reason)),
            (Ok(()), None) => None,
        };
    }

    /// Looks at what was written since the last time.
    fn look(&mut self) {
        let machine = self.machine.as_ref().expect("it lives until the end");
        let mut news = new_bytes(&machine.to_broker, &mut self.seen[0]);
        let told = new_bytes(&machine.to_client, &mut self.seen[1]);
        for request in frames(&mut news) {
            let (header, node) = frame::decode_request(&request).expect("what is written can be read");
            let what = || format!("{} v{} {node:?}", header.key, header.version);
            assert_eq!(forbidden(self.in_force(), header.key, &node), None, "{}", what());
            let front = self.front_id();
            if let Some(logins) = &mut self.logins {
                logins.writes(&header, &node, front, &self.client.said);
            }
            let must = [ApiKey::PRODUCE, ApiKey::FETCH, ApiKey::LIST_OFFSETS, ApiKey::CREATE_TOPICS];
            if must.contains(&header.key) {
                let left = self.book.decided.get_mut(&(header.correlation_id, header.key));
                let left = left.filter(|left| **left > 0).unwrap_or_else(|| panic!("no decision: {}", what()));
                *left -= 1;
            }
        }
        assert!(news.is_empty(), "half a request was written");
        let policy = (self.in_force(), self.wall);
        let mut rest = told.as_slice();
        while !rest.is_empty() {
            self.emitted.begun.get_or_insert(policy);
            let have = self.emitted.bytes.len();
            let size = self.emitted.bytes.first_chunk::<4>().map(|size| 4 + i32::from_be_bytes(*size) as usize);
            let (taken, later) = rest.split_at((size.unwrap_or(4) - have).min(rest.len()));
            self.emitted.bytes.extend_from_slice(taken);
            rest = later;
            let whole = self.emitted.bytes.first_chunk::<4>().map(|size| 4 + i32::from_be_bytes(*size) as usize);
            if whole == Some(self.emitted.bytes.len()) {
                let answer = std::mem::take(&mut self.emitted.bytes).split_off(4);
                let begun = self.emitted.begun.take().expect("it was set above");
                self.told(&answer.into(), begun);
            }
        }
    }

    /// The client was told something.
    fn told(&mut self, answer: &bytes::Bytes, begun: (usize, i64)) {
        while self.client.due.front() == Some(&Due::Silence) {
            self.client.due.pop_front();
        }
        let due = self.client.due.pop_front();
        if let (Some(logins), Some(Due::Answer { id, .. })) = (&mut self.logins, due) {
            logins.answered(id, answer);
        }
        if self.client.raw {
            return;
        }
        let Some(Due::Answer { id, key, version }) = due else {
            panic!("an answer to nothing: {answer:?}");
        };
        let got = answer.first_chunk().map(|id| i32::from_be_bytes(*id));
        assert_eq!(got, Some(id), "answers leave in the order of the requests");
        if self.broker.spoilt {
            return;
        }
        let (_, node) =
            frame::decode_response(key, version, answer).unwrap_or_else(|e| panic!("{key} v{version}: {e}"));
        if key == ApiKey::FETCH {
            self.fetched(&node, begun);
        }
    }

    /// What was fetched may be read by the policy that was in force at its first byte.
    fn fetched(&mut self, node: &Node, (policy, begun): (usize, i64)) {
        use res::{fetchable_topic_response as topic_of, partition_data};
        for topic in node.nodes(res::RESPONSES) {
            let records = |p: &Node| p.bytes(partition_data::RECORDS).is_some_and(|records| !records.is_empty());
            if !topic.nodes(topic_of::PARTITIONS).iter().any(records) {
                continue;
            }
            let id = topic.uuid(topic_of::TOPIC_ID);
            let by_id = NAMES.iter().filter(|name| !name.is_empty()).nth(usize::from(id.0[0]).wrapping_sub(1));
            let name = by_id.filter(|_| !id.is_zero()).copied().unwrap_or(topic.str(topic_of::TOPIC));
            let readable = match policy {
                NOTHING => false,
                2 => name.starts_with("open"),
                _ => name != "kordon.state",
            };
            if let Some(logins) = &self.logins {
                logins.gives_records(begun);
            }
            assert!(readable, "records of `{name}` were delivered under policy {policy}");
        }
        let id = node.i32(res::SESSION_ID);
        let known = self.client.sessions.iter().any(|(known, _)| *known == id);
        if id != 0 && !known && node.i16(res::ERROR_CODE) == ErrorCode::NONE.0 {
            self.client.sessions.push((id, 1));
        }
    }

    /// Some bytes of the client arrive, as many as the machine has room for.
    fn deliver_client(&mut self, most: usize) -> bool {
        if self.ended.is_some() || self.client_gone || self.client.unsent.is_empty() || !self.machine().wants_client() {
            return false;
        }
        let room = self.counted(Machine::client_room);
        assert!(room > 0, "a client that is welcome has no room");
        let piece: Vec<u8> = self.client.unsent.drain(..most.min(room).min(self.client.unsent.len())).collect();
        self.counted(|machine| machine.from_client.extend_from_slice(&piece));
        self.input(Input::Client);
        true
    }

    fn deliver_broker(&mut self, most: usize) -> bool {
        let full = self.machine().to_client.len() > BACKLOG;
        let unread = full || !self.machine().wants_broker();
        if self.ended.is_some() || self.broker_gone || self.broker.unsent.is_empty() || unread {
            return false;
        }
        self.counted(Machine::broker_room);
        let room = self.machine().from_broker.capacity() - self.machine().from_broker.len();
        let piece: Vec<u8> = self.broker.unsent.drain(..most.min(room).min(self.broker.unsent.len())).collect();
        self.counted(|machine| machine.from_broker.extend_from_slice(&piece));
        self.input(Input::Broker);
        true
    }

    /// A socket takes some of what waits. The shell says so only where the machine waits for it.
    fn take(&mut self, side: usize, most: usize) -> Vec<u8> {
        let waits = self.machine().waits_for_write();
        let mut taken = Vec::with_capacity(most.min(1 << 20));
        let before = live();
        let machine = self.machine.as_mut().expect("it lives until the end");
        let outbox = if side == 0 { &mut machine.to_broker } else { &mut machine.to_client };
        taken.extend(drain(outbox, most.min(1 << 20)));
        self.held += live() - before;
        self.seen[side] -= taken.len();
        if waits && !self.machine().waits_for_write() {
            self.input(Input::Tick);
        }
        taken
    }

    fn step(&mut self) {
        let piece = self.knobs.piece;
        let most = 1 + self.dice.below(piece);
        let sides = if self.logins.is_some() { 30 } else { 20 };
        match self.dice.below(sides) {
            0..3 if self.client.asked < self.knobs.asks => {
                let (cap, bad) = (self.knobs.limits.frame, self.knobs.bad_client);
                for _ in 0..1 + self.dice.below(3) {
                    self.client.ask(&mut self.dice, cap, bad);
                }
            }
            0..6 => drop(self.deliver_client(most)),
            6..8 => {
                let taken = self.take(0, most);
                self.broker.take(&taken);
            }
            8..10 => self.broker.answer(&mut self.dice, self.knobs.bad_broker),
            10..13 => drop(self.deliver_broker(most)),
            13 if !self.knobs.slow_reader => drop(self.take(1, most)),
            14 => {
                self.wall += self.dice.of(&[1, 10, 3_000]);
                self.input(Input::Tick);
            }
            15 if self.knobs.moves && self.dice.one_in(3) => self.moves(),
            16 => self.looked_up(),
            17 => {
                self.durable();
                self.acls_changed();
            }
            18 => {
                self.book.full = self.dice.one_in(3);
                if !self.book.full {
                    self.input(Input::Room);
                }
            }
            19 if self.knobs.leaves && self.dice.one_in(10) => {
                if self.dice.one_in(2) {
                    self.client_gone = true;
                    self.input(Input::ClientEnd);
                } else if self.machine().wants_broker() {
                    self.broker_gone = true;
                    self.input(Input::BrokerEnd);
                }
            }
            20.. => self.logins_step(),
            _ => self.input(Input::BrokerReady),
        }
    }

    /// A new policy, or a cluster in which an id is not known yet.
    fn moves(&mut self) {
        self.policy = self.dice.below(7);
        let World { snapshot, topology, routes, users } = world_of(self.policy);
        let before = live();
        let topology = if self.dice.one_in(3) {
            let mut less = kordon::enforce::Topology::clone(&topology);
            less.names.retain(|id, _| id.0[0] > 2);
            Arc::new(less)
        } else {
            topology
        };
        // It ends with the connection.
        self.held += live() - before;
        self.input(Input::World(World { snapshot, topology, routes, users }));
    }

    fn looked_up(&mut self) {
        if std::mem::take(&mut self.looks_up) {
            self.input(Input::LookedUp(world_of(self.policy).topology));
        }
    }

    fn acls_changed(&mut self) {
        if let Some(outcome) = self.changed.take() {
            self.input(Input::Changed(outcome));
        }
    }

    fn durable(&mut self) {
        let token = match self.book.waiting {
            Some(token) if !self.dice.one_in(4) => token,
            Some(token) => return self.input(Input::Durable(DurableToken(token + 1_000))),
            None => return,
        };
        self.book.waiting = None;
        self.input(Input::Durable(DurableToken(token)));
    }

    /// Everybody does what is due until nothing happens any more.
    fn settle(&mut self) {
        for _ in 0..1_000_000 {
            let before = (self.micros, self.broker.answered);
            while self.deliver_client(70_000) {}
            if self.book.waiting.is_some() {
                self.durable();
            }
            self.looked_up();
            self.acls_changed();
            while self.shell(false) {}
            let taken = self.take(0, usize::MAX);
            self.broker.take(&taken);
            while self.broker.owes() {
                self.broker.answer(&mut self.dice, false);
            }
            let told = self.take(1, usize::MAX);
            while self.deliver_broker(70_000) {}
            if before == (self.micros, self.broker.answered) && taken.is_empty() && told.is_empty() {
                return;
            }
        }
        panic!("it never comes to rest");
    }

    /// Runs, and checks what is left. The bytes that are not given back, or were there before; the most that was held, in
    /// percent of the bound.
    fn play(mut self) -> (isize, [usize; 2]) {
        for _ in 0..self.knobs.steps {
            if self.ended.is_some() || self.dice.is_over() {
                break;
            }
            self.step();
        }
        self.input(Input::BrokerReady);
        self.book.full = false;
        self.input(Input::Room);
        self.settle();
        match self.ended.clone() {
            None => {
                let left: Vec<_> = self.client.due.iter().filter(|due| **due != Due::Silence).collect();
                let silent = self.broker.spoilt || self.client_gone || self.client.raw;
                assert!(left.is_empty() || silent, "not answered: {left:?}");
                assert!(silent || self.client.unsent.is_empty(), "not read: {} bytes", self.client.unsent.len());
                assert!(silent || self.machine().is_idle(), "it waits for nothing");
                self.input(Input::ClientEnd);
                self.settle();
                if self.broker.spoilt {
                    // It may owe an answer for ever that something waits for.
                    self.input(Input::BrokerEnd);
                }
                assert!(self.ended.is_some(), "it does not end with its client");
            }
            Some(Err(error)) => assert!(self.broker.spoilt, "{error}"),
            Some(Ok(reason)) => self.ended_rightly(reason),
        }
        self.input(Input::Tick);
        let before = live();
        self.machine = None;
        self.logins = None;
        self.out = Outputs::default();
        self.held += live() - before;
        assert!(self.held.abs() < SPARES, "{} bytes are left when it has ended", self.held);
        (self.held, [self.most.max(0) as usize * 100 / self.knobs.at_rest(), self.worked])
    }

    fn ended_rightly(&self, reason: CloseReason) {
        let next = self.client.due.iter().find(|due| **due != Due::Silence);
        let silence = self.client.due.front() == Some(&Due::Silence);
        let acls = [ApiKey::DESCRIBE_ACLS, ApiKey::CREATE_ACLS, ApiKey::DELETE_ACLS];
        let right = match reason {
            CloseReason::ClientEof => self.client_gone,
            CloseReason::UpstreamClosed => self.broker_gone,
            CloseReason::Acks0Denied => silence,
            CloseReason::ResponseTooLarge => self.knobs.limits.response_in_memory < 1 << 20 || self.broker.spoilt,
            // Kafka's reader of ACL requests refuses kinds and operations that it does not know.
            CloseReason::MalformedRequest if matches!(next, Some(Due::Answer { key, .. }) if acls.contains(key)) => {
                true
            }
            _ => next == Some(&Due::End),
        };
        let right = right || self.logins_end_it(reason);
        assert!(right, "it ended as {reason:?}, due was {next:?}");
    }
}

/// What an outbox holds behind the first `seen` bytes.
fn new_bytes(outbox: &Outbox, seen: &mut usize) -> Vec<u8> {
    if outbox.len() == *seen {
        return Vec::new();
    }
    let mut slices = vec![std::io::IoSlice::new(&[]); 16_384];
    let filled = outbox.slices(&mut slices);
    let mut skip = *seen;
    let mut news = Vec::new();
    for slice in &slices[..filled] {
        news.extend_from_slice(&slice[skip.min(slice.len())..]);
        skip = skip.saturating_sub(slice.len());
    }
    assert_eq!(news.len(), outbox.len() - *seen, "there are more pieces than were looked at");
    *seen = outbox.len();
    news
}

/// A run whose choices are a fuzzer's.
pub(crate) fn fuzz(data: &[u8]) {
    let mut dice = Dice::Bytes(crate::input::Input(data));
    let knobs = Knobs { steps: usize::MAX, ..Knobs::by(&mut dice) };
    Run::new(dice, knobs).play();
}

/// The same, with logins again on either side.
pub(crate) fn fuzz_logins(data: &[u8]) {
    let mut dice = Dice::Bytes(crate::input::Input(data));
    let knobs = Knobs { steps: usize::MAX, ..Knobs::by(&mut dice) };
    Run::new(dice, knobs).with_logins().play();
}

fn run(seed: u64) -> (isize, [usize; 2]) {
    let mut dice = Dice::seeded(seed);
    let knobs = Knobs::by(&mut dice);
    Run::new(dice, knobs).play()
}

fn run_with_logins(seed: u64) -> (isize, [usize; 2]) {
    let mut dice = Dice::seeded(seed);
    let knobs = Knobs::by(&mut dice);
    Run::new(dice, knobs).with_logins().play()
}

#[test]
fn whatever_client_and_broker_do_in_whatever_order_the_session_keeps_its_promises() {
    by_seeds(run, 500);
}

#[test]
fn whatever_client_and_broker_do_in_logins_again_no_request_is_past_its_login_and_no_secret_on_the_wrong_side() {
    by_seeds(run_with_logins, 400);
}

/// Plays runs, each by its seed; so many, unless more are asked for.
fn by_seeds(run: fn(u64) -> (isize, [usize; 2]), usual: u64) {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    // What is made once and kept, is made before anything is counted.
    (0..20).for_each(|seed| drop(std::panic::catch_unwind(|| run(seed))));
    if let (Some(seed), None) = (number("KORDON_SEED"), number("KORDON_CASES")) {
        run(seed);
        return;
    }
    let first = number("KORDON_SEED").unwrap_or_else(rand::random::<u64>);
    let (mut left, mut nearest) = (0, [0, 0]);
    for case in 0..number("KORDON_CASES").unwrap_or(usual) {
        let seed = first.wrapping_add(case);
        match std::panic::catch_unwind(|| run(seed)) {
            Ok((bytes, percent)) => {
                left += bytes;
                nearest = [nearest[0].max(percent[0]), nearest[1].max(percent[1])];
            }
            Err(_) => panic!("replay with KORDON_SEED={seed}"),
        }
    }
    eprintln!("the most that was held is {nearest:?} % of what may be, at rest and at work");
    assert!(left.abs() < SPARES, "{left} bytes are left when all have ended");
}

#[test]
fn a_pipeline_of_10_000_requests_is_answered_in_order_within_the_same_memory() {
    let limits = Limits { in_flight: 20_000, ..LIMITS };
    let dice = Dice::seeded(1);
    let knobs = Knobs {
        steps: 0,
        asks: 0,
        limits,
        bad_client: false,
        bad_broker: false,
        moves: false,
        slow_reader: false,
        durable: 1_000_000,
        piece: 70_000,
        leaves: false,
    };
    let mut run = Run::new(dice, knobs);
    for _ in 0..10_000 {
        run.client.ask(&mut run.dice, LIMITS.frame, false);
    }
    run.play();
}

#[test]
fn the_next_fetch_of_a_large_session_does_not_copy_it() {
    use kordon::wire::schema::fetch::request::{self as req, fetch_topic};
    const TOPICS: usize = 5_000;
    let mut stage = crate::stage::Stage::new(2, LIMITS);
    let fetch = |session: (i32, i32)| {
        Node::request(ApiKey::FETCH).with(req::SESSION_ID, session.0).with(req::SESSION_EPOCH, session.1)
    };
    let mut full = fetch((0, 0)).with(req::REPLICA_ID, -1);
    for number in 0..TOPICS {
        let mut topic = full.child(req::TOPICS).with(fetch_topic::TOPIC, format!("open-{number}").as_str());
        topic.push(fetch_topic::PARTITIONS, topic.child(fetch_topic::PARTITIONS));
        full.push(req::TOPICS, topic);
    }
    let mut ask = |id: i32, node: &Node| {
        let bytes = frame::request_frame(ApiKey::FETCH, 12, id, None, node).into_bytes();
        let ((), most) = peak(|| stage.client(&bytes).expect("it is well-formed"));
        assert!(!drain(&mut stage.machine.to_broker, usize::MAX).is_empty(), "it is allowed");
        let answer = Node::response(ApiKey::FETCH).with(res::SESSION_ID, 7);
        stage.broker(&frame::response_frame(ApiKey::FETCH, 12, id, &answer).into_bytes()).expect("it is well-formed");
        most
    };
    ask(1, &full);
    let next = fetch((7, 1)).with(req::REPLICA_ID, -1);
    let most = ask(2, &next);
    // The names of what was decided are written down, in memory that is given back.
    assert!(most < TOPICS * 60, "{most} bytes were held for a fetch of 40");
}

//! One client connection: moves bytes between two sockets and the session machine, keeps deadlines, decides nothing.

mod broker_login;
mod change;
mod clock;
mod fault;
mod feed;
mod part;
mod renewal;
mod share;

use super::dial::{Dialled, NotDialled, dial};
use super::login::{Check, LoggedIn};
use super::memory::Held;
use super::shared::{Door, Shared, drained};
use super::socket::{Socket, poll, read, writable};
use crate::audit::{AuditFull, ConnectionRecorder};
use crate::enforce::DurableToken;
use crate::model::{CloseReason, Connection, TopicId};
use crate::session::{Bound, Input, Machine, Outputs, World};
use crate::telemetry::Pause;
use broker_login::{AtBroker, Beginning};
use change::Changing;
use clock::{Edges, moved};
pub(super) use fault::of_client;
pub(super) use part::Ended;
use renewal::Checking;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use tokio::io::Interest;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

/// Serves a client until one side ends, and says why.
pub(super) async fn serve(
    client: Socket,
    facts: Arc<Connection>,
    who: LoggedIn,
    shared: &Shared,
    door: &Door,
    recorder: &mut ConnectionRecorder,
    durable: &mut mpsc::UnboundedReceiver<DurableToken>,
) -> Ended {
    let mut worlds = door.worlds.clone();
    let world = worlds.borrow_and_update().clone();
    let (upstream, broker) = (who.upstream, facts.broker);
    let dial = async {
        match upstream {
            Some(stream) => Ok(Dialled { stream, renewal: None }),
            None => dial(shared, &door.dialler, broker).await,
        }
    };
    let mut link = Link {
        machine: Machine::new(Arc::clone(&facts), who.subject, world, door.limits)
            .after_login(who.software, who.left_over)
            .logged_in(who.standing)
            .lasting_until(who.ends),
        outputs: Outputs::default(),
        client,
        broker: None,
        facts,
        shared,
        door,
        recorder,
        detail: None,
        heard: Instant::now(),
        reading: false,
        paused: None,
        draining: None,
        edges: Edges::default(),
        held: None,
        check_failed: false,
        at_broker: AtBroker::default(),
    };
    let reason = link.run(dial, &mut worlds, durable).await;
    link.note_failed_renewal(reason);
    link.note_failed_broker_login(reason);
    link.part(reason).await;
    Ended { reason, detail: link.detail.take() }
}

struct Link<'a> {
    machine: Machine,
    outputs: Outputs,
    client: Socket,
    broker: Option<Socket>,
    facts: Arc<Connection>,
    shared: &'a Shared,
    door: &'a Door,
    recorder: &'a mut ConnectionRecorder,
    detail: Option<String>,
    /// When the client was last heard.
    heard: Instant,
    /// Whether it was read in the last turn.
    reading: bool,
    /// For which bound it was not, in the last turn.
    paused: Option<Bound>,
    /// Since when the process stops.
    draining: Option<Instant>,
    edges: Edges,
    /// The share of `limits.request_memory` that its large requests have.
    held: Option<Held>,
    /// Whether a check of a login again failed: it is counted already.
    check_failed: bool,
    /// The proxy's login at the broker.
    at_broker: AtBroker,
}

type Asking = Pin<Box<dyn Future<Output = Held> + Send>>;
type Lookup<'a> = Pin<Box<dyn Future<Output = Arc<crate::enforce::Topology>> + Send + 'a>>;

impl Link<'_> {
    async fn run(
        &mut self,
        dial: impl Future<Output = Result<Dialled, NotDialled>>,
        worlds: &mut watch::Receiver<World>,
        durable: &mut mpsc::UnboundedReceiver<DurableToken>,
    ) -> CloseReason {
        let mut dial = pin!(dial);
        let shared = self.shared;
        let mut lookup: Option<Lookup<'_>> = None;
        let mut asking: Option<Asking> = None;
        let mut changing: Option<Changing<'_>> = None;
        let mut beginning: Option<Beginning> = None;
        let mut exchange = Check::Nothing;
        let mut checking: Option<Checking<'_>> = None;
        let mut drain = shared.drain.clone();
        let mut draining = false;
        let stop = drain.clone();
        // Kept from turn to turn: to arm a timer or to queue up for a notice costs more than to look whether it is there.
        let mut stopping = pin!(drained(&mut drain));
        let mut moving = pin!(moved(worlds.clone()));
        let mut alarm = pin!(tokio::time::sleep_until(self.deadline()));
        let mut rung = true;
        if let Some(reason) = self.input(Input::Tick) {
            return reason;
        }
        loop {
            let waits = self.machine.waits_for_write();
            if let Err(reason) = self.write() {
                return reason;
            }
            if waits && !self.machine.waits_for_write() {
                // No socket will say so: everything has left already.
                if let Some(reason) = self.input(Input::Tick) {
                    return reason;
                }
                continue;
            }
            if let Some(reason) = self.machine.closing() {
                return reason;
            }
            draining |= stop.has_changed().unwrap_or(true);
            if let Some(reason) = draining.then(|| self.drain()).flatten() {
                return reason;
            }
            // Before what else may have to be done: it may let requests go on.
            match self.begin_broker_login() {
                Ok(None) => {}
                Ok(begins) => beginning = begins,
                Err(reason) => return reason,
            }
            if lookup.is_none() && !self.outputs.lookups.is_empty() {
                let ids: Vec<TopicId> = std::mem::take(&mut self.outputs.lookups);
                lookup = Some(Box::pin(shared.cluster.want(ids)));
            }
            if let Some(change) = self.begin_change() {
                changing = Some(change);
            }
            if let Some(check) = self.begin_check(&mut exchange) {
                checking = Some(check);
            }
            if let (None, Some(bytes)) = (&asking, self.memory_to_ask_for()) {
                if shared.memory.is_short_of(bytes) {
                    self.door.metrics.paused(Pause::RequestMemory);
                }
                asking = Some(Box::pin(shared.memory.hold(bytes)));
            }
            let wants_room = std::mem::take(&mut self.outputs.wants_room);
            self.note_reading();
            // A timer that rings too early is set anew; most never ring.
            let deadline = self.deadline();
            if std::mem::take(&mut rung) || deadline < alarm.deadline() {
                alarm.as_mut().reset(deadline);
            }
            let (reads_client, reads_broker) = (self.reads_client(), self.reads_broker());
            let most = if reads_client { self.machine.client_room() } else { 0 };
            if reads_broker {
                self.machine.broker_room();
            }
            let connected = self.broker.is_some();
            let owes_client = self.client.owes(&self.machine.to_client);
            let owes_broker = self.broker.as_ref().is_some_and(|broker| broker.owes(&self.machine.to_broker));
            let (from_client, to_client) = self.client.halves();
            let (from_broker, to_broker) = self.broker.as_mut().map(Socket::halves).unzip();
            // Nothing is lost with a branch that is dropped: a read has taken its bytes or none, and the rest only wait.
            let input = tokio::select! {
                biased;
                got = read(Some(from_client), &mut self.machine.from_client, most), if reads_client => match got {
                    Ok(0) => Input::ClientEnd,
                    Ok(n) => {
                        self.heard = Instant::now();
                        self.door.metrics.received.inc_by(n as u64);
                        Input::Client
                    }
                    Err(error) => return self.client_broke(&error),
                },
                got = read(from_broker, &mut self.machine.from_broker, usize::MAX), if connected && reads_broker => {
                    match got {
                        Ok(0) => Input::BrokerEnd,
                        Err(error) => {
                            self.broker_broke(&error);
                            Input::BrokerEnd
                        }
                        Ok(_) => Input::Broker,
                    }
                }
                // Nobody else says so while it is not read.
                _ = to_client.ready(Interest::ERROR), if !reads_client => return CloseReason::ClientReset,
                _ = to_client.writable(), if owes_client => Input::Tick,
                () = writable(to_broker), if owes_broker => Input::Tick,
                dialled = &mut dial, if !connected => match dialled {
                    Ok(Dialled { stream, renewal }) => {
                        self.broker = Some(Socket::new(stream));
                        self.known_to_broker(renewal);
                        Input::BrokerReady
                    }
                    Err(error) => {
                        self.detail = Some(error.detail);
                        return error.reason;
                    }
                },
                topology = poll(&mut lookup), if lookup.is_some() => {
                    lookup = None;
                    Input::LookedUp(topology)
                }
                held = poll(&mut asking), if asking.is_some() => {
                    asking = None;
                    self.held = Some(held);
                    // The client was kept waiting, not the other way round.
                    self.heard = Instant::now();
                    Input::Tick
                }
                // Dropped with the connection half way, it may have happened: its event says that it was asked for.
                changed = poll(&mut changing), if changing.is_some() => {
                    changing = None;
                    Input::Changed(changed)
                }
                (under_way, checked) = poll(&mut checking), if checking.is_some() => {
                    (checking, exchange) = (None, under_way);
                    self.check_failed |= checked.is_failure();
                    Input::Checked(checked)
                }
                (exchange, step) = poll(&mut beginning), if beginning.is_some() => {
                    (beginning, self.at_broker.exchange) = (None, exchange);
                    Input::BrokerLogin(step)
                }
                Some(token) = durable.recv() => Input::Durable(token),
                room = self.recorder.room(), if wants_room => match room {
                    Ok(()) => Input::Room,
                    Err(AuditFull) => return CloseReason::AuditFull,
                },
                worlds = &mut moving => {
                    moving.set(moved(worlds));
                    Input::Tick
                }
                () = &mut alarm => Input::Tick,
                () = &mut stopping, if !draining => {
                    draining = true;
                    Input::Tick
                }
            };
            // Looked at in every turn: a socket that always has something would never let the timer be asked.
            if alarm.is_elapsed() {
                rung = true;
                self.edges = Edges::default();
                if let Some(reason) = self.overdue() {
                    return reason;
                }
            }
            // Whatever came, it is judged by what is in force now.
            match worlds.has_changed() {
                Ok(false) => {}
                Ok(true) => {
                    let world = worlds.borrow_and_update().clone();
                    if let Some(reason) = self.input(Input::World(world)) {
                        return reason;
                    }
                }
                Err(_) => return CloseReason::Drain,
            }
            if let Some(reason) = self.input(input) {
                return reason;
            }
        }
    }
}

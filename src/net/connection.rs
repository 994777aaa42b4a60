//! One client connection: moves bytes between two sockets and the session machine, keeps deadlines, decides nothing.

use super::dial::{NotDialled, dial};
use super::login::LoggedIn;
use super::shared::{Door, Shared, drained};
use super::socket::{flush, interest, poll, ready};
use crate::audit::{AuditFull, ConnectionRecorder};
use crate::enforce::DurableToken;
use crate::model::{CloseReason, Connection, Timestamp, TopicId};
use crate::session::{Input, Machine, Now, Outputs, World};
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncWriteExt as _, Interest};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

/// Room that a read is offered; more where a large request is arriving.
const READ: usize = 64 * 1024;
/// Bytes that may wait for the client before the broker is no longer read.
const CLIENT_BACKLOG: usize = 256 * 1024;
/// How long the last bytes of an ending connection may take to leave.
const PARTING: Duration = Duration::from_secs(5);

/// Why and how a connection ended.
pub(super) struct Ended {
    /// The reason.
    pub(super) reason: CloseReason,
    /// What was wrong, in words.
    pub(super) detail: Option<String>,
}

/// Serves a client until one side ends, and says why.
pub(super) async fn serve(
    client: TcpStream,
    facts: Arc<Connection>,
    who: LoggedIn,
    shared: &Shared,
    door: &Door,
    recorder: &mut ConnectionRecorder,
    durable: &mut mpsc::UnboundedReceiver<DurableToken>,
) -> Ended {
    let mut worlds = door.worlds.clone();
    let world = worlds.borrow_and_update().clone();
    let mut link = Link {
        machine: Machine::new(Arc::clone(&facts), who.subject, world, door.limits)
            .after_login(who.software, who.left_over),
        outputs: Outputs::default(),
        client,
        broker: None,
        shared,
        door,
        recorder,
        detail: None,
        heard: Instant::now(),
    };
    let dial = dial(&shared.cluster, &shared.dialler, facts.broker);
    let reason = link.run(dial, &mut worlds, durable).await;
    link.part(reason).await;
    Ended { reason, detail: link.detail.take() }
}

struct Link<'a> {
    machine: Machine,
    outputs: Outputs,
    client: TcpStream,
    broker: Option<TcpStream>,
    shared: &'a Shared,
    door: &'a Door,
    recorder: &'a mut ConnectionRecorder,
    detail: Option<String>,
    /// When the client was last heard.
    heard: Instant,
}

type Lookup<'a> = Pin<Box<dyn Future<Output = Arc<crate::enforce::Topology>> + Send + 'a>>;

impl Link<'_> {
    async fn run(
        &mut self,
        dial: impl Future<Output = Result<TcpStream, NotDialled>>,
        worlds: &mut watch::Receiver<World>,
        durable: &mut mpsc::UnboundedReceiver<DurableToken>,
    ) -> CloseReason {
        let mut dial = pin!(dial);
        let shared = self.shared;
        let mut lookup: Option<Lookup<'_>> = None;
        let mut drain = shared.drain.clone();
        let mut draining = false;
        if let Some(reason) = self.input(Input::Tick) {
            return reason;
        }
        loop {
            if let Err(reason) = self.write() {
                return reason;
            }
            if let Some(reason) = self.machine.closing() {
                return reason;
            }
            if draining && self.machine.is_idle() && self.machine.to_client.is_empty() {
                return CloseReason::Drain;
            }
            if lookup.is_none() && !self.outputs.lookups.is_empty() {
                let ids: Vec<TopicId> = std::mem::take(&mut self.outputs.lookups);
                lookup = Some(Box::pin(shared.cluster.want(ids)));
            }
            let wants_room = std::mem::take(&mut self.outputs.wants_room);
            let deadline = self.deadline();
            let connected = self.broker.is_some();
            let input = tokio::select! {
                biased;
                changed = worlds.changed() => match changed {
                    Ok(()) => Input::World(worlds.borrow_and_update().clone()),
                    Err(_) => return CloseReason::Drain,
                },
                ready = self.client.ready(self.client_interest()), if self.client_active() => match ready {
                    Ok(ready) if ready.is_readable() && self.reads_client() => match self.read_client() {
                        Ok(input) => input,
                        Err(reason) => return reason,
                    },
                    Ok(_) => Input::Tick,
                    Err(_) => return CloseReason::ClientReset,
                },
                ready = ready(self.broker.as_ref(), self.broker_interest()), if self.broker_active() => match ready {
                    Ok(ready) if ready.is_readable() && self.reads_broker() => self.read_broker(),
                    Ok(_) => Input::Tick,
                    Err(_) => Input::BrokerEnd,
                },
                dialled = &mut dial, if !connected => match dialled {
                    Ok(stream) => {
                        self.broker = Some(stream);
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
                Some(token) = durable.recv() => Input::Durable(token),
                room = self.recorder.room(), if wants_room => match room {
                    Ok(()) => Input::Room,
                    Err(AuditFull) => return CloseReason::AuditFull,
                },
                () = tokio::time::sleep_until(deadline) => match self.overdue() {
                    Some(reason) => return reason,
                    None => Input::Tick,
                },
                () = drained(&mut drain), if !draining => {
                    draining = true;
                    Input::Tick
                }
            };
            if let Some(reason) = self.input(input) {
                return reason;
            }
        }
    }

    /// Feeds the machine; a reason if the connection must end at once.
    fn input(&mut self, input: Input) -> Option<CloseReason> {
        let result = self.machine.handle(input, self.shared.now(), self.recorder, &mut self.outputs);
        for finished in self.outputs.finished.drain(..) {
            let api = self.shared.metrics.api(finished.key);
            api.requests.inc();
            api.total_time(Duration::from_micros(finished.micros));
        }
        for node in self.outputs.unmapped.drain(..) {
            self.door.left_out(node);
        }
        if let Some(detail) = self.outputs.detail.take() {
            self.detail = Some(detail);
        }
        match result {
            Ok(()) => None,
            Err(error) => {
                self.detail = Some(error.to_string());
                Some(CloseReason::UpstreamMalformed)
            }
        }
    }

    fn reads_client(&self) -> bool {
        self.machine.wants_client() && self.machine.to_broker.len() <= self.door.limits.ahead_bytes
    }

    fn reads_broker(&self) -> bool {
        self.machine.to_client.len() <= CLIENT_BACKLOG
    }

    fn client_active(&self) -> bool {
        self.reads_client() || !self.machine.to_client.is_empty()
    }

    fn broker_active(&self) -> bool {
        self.broker.is_some() && (self.reads_broker() || !self.machine.to_broker.is_empty())
    }

    fn client_interest(&self) -> Interest {
        interest(self.reads_client(), !self.machine.to_client.is_empty())
    }

    fn broker_interest(&self) -> Interest {
        interest(self.reads_broker(), !self.machine.to_broker.is_empty())
    }

    fn read_client(&mut self) -> Result<Input, CloseReason> {
        let buffer = &mut self.machine.from_client;
        buffer.reserve(READ.max(buffer.len().min(MAX_READ)));
        match self.client.try_read_buf(buffer) {
            Ok(0) => Ok(Input::ClientEnd),
            Ok(n) => {
                self.heard = Instant::now();
                self.door.metrics.received.inc_by(n as u64);
                Ok(Input::Client)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Input::Tick),
            Err(_) => Err(CloseReason::ClientReset),
        }
    }

    fn read_broker(&mut self) -> Input {
        let Some(broker) = &self.broker else { return Input::Tick };
        let buffer = &mut self.machine.from_broker;
        buffer.reserve(READ.max(buffer.len().min(MAX_READ)));
        match broker.try_read_buf(buffer) {
            Ok(0) => Input::BrokerEnd,
            Ok(_) => Input::Broker,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Input::Tick,
            Err(_) => Input::BrokerEnd,
        }
    }

    /// Writes what the sockets take.
    fn write(&mut self) -> Result<(), CloseReason> {
        if let Some(broker) = &self.broker
            && flush(broker, &mut self.machine.to_broker).is_err()
        {
            self.detail = Some("the broker no longer reads".to_owned());
            return Err(CloseReason::UpstreamClosed);
        }
        match flush(&self.client, &mut self.machine.to_client) {
            Ok(n) => {
                self.door.metrics.sent.inc_by(n as u64);
                Ok(())
            }
            Err(_) => Err(CloseReason::ClientReset),
        }
    }

    /// When something has to be looked at although nothing happens.
    fn deadline(&self) -> Instant {
        let times = &self.door.times;
        let now = Instant::now();
        let patience = if self.machine.in_frame() { times.frame } else { times.idle };
        let mut deadline = self.heard.checked_add(patience).unwrap_or(now);
        for edge in [self.machine.next_edge(), self.recorder.due()].into_iter().flatten() {
            deadline = deadline.min(now + until(edge, self.shared.now()));
        }
        deadline.max(now)
    }

    fn overdue(&mut self) -> Option<CloseReason> {
        self.recorder.flush(self.shared.now().wall);
        let times = &self.door.times;
        if self.machine.in_frame() && self.reads_client() {
            return (self.heard.elapsed() >= times.frame).then_some(CloseReason::FrameTimeout);
        }
        let idle = self.machine.is_idle() && self.heard.elapsed() >= times.idle;
        if !idle && self.heard.elapsed() >= times.idle {
            // Something is unanswered: look again when it may have been.
            self.heard = Instant::now();
        }
        idle.then_some(CloseReason::Idle)
    }

    /// Lets the last bytes leave: to the broker what was judged, to the client the answers that are due.
    async fn part(&mut self, _reason: CloseReason) {
        let parting = async {
            if let Some(broker) = &mut self.broker {
                while !self.machine.to_broker.is_empty() {
                    broker.writable().await?;
                    flush(broker, &mut self.machine.to_broker)?;
                }
                broker.shutdown().await?;
                // Closing with unread answers would reset the connection, and with it requests the broker has not read.
                let mut rest = [0u8; 4096];
                loop {
                    broker.readable().await?;
                    match broker.try_read(&mut rest) {
                        Ok(0) => break,
                        Ok(_) => {}
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                        Err(error) => return Err(error),
                    }
                }
            }
            Ok::<(), io::Error>(())
        };
        let answers = async {
            while !self.machine.to_client.is_empty() {
                self.client.writable().await?;
                flush(&self.client, &mut self.machine.to_client)?;
            }
            self.client.shutdown().await
        };
        // Best effort on both: either side may be gone.
        let _ = tokio::time::timeout(PARTING, answers).await;
        let _ = tokio::time::timeout(PARTING, parting).await;
    }
}

/// The most that is read at once, when a large frame is arriving.
const MAX_READ: usize = 1024 * 1024;

fn until(edge: Timestamp, now: Now) -> Duration {
    Duration::from_millis(u64::try_from(edge.millis_since(now.wall)).unwrap_or(0))
}

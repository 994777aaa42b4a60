//! The machine: its state, what goes in, what comes out.

use super::answer::Answering;
use super::broker_login::{BrokerLogin, BrokerLoginStep, BrokerLoginTurn};
use super::inflight::{Finished, Inflight};
use super::outbox::Outbox;
use super::relay::Relaying;
use super::renewal::{Checked, Standing};
use super::room::{BROKER_BACKLOG, CLIENT_BACKLOG};
use super::span::Span;
use crate::enforce::memory::Memory;
use crate::enforce::{DurableToken, Recorder, Routes, Topology, Trail};
use crate::identity::users::Users;
use crate::model::{CloseReason, Connection, Mechanism, Subject, Timestamp, TopicId, Verified};
use crate::policy::{AclChange, AclChanged, ChangeRefused, Snapshot};
use crate::wire::{ApiKey, Scan, WireError};
use bytes::{Bytes, BytesMut};
use std::sync::Arc;

/// What a connection is judged and answered by; replaced as a whole when something changes.
#[derive(Clone)]
pub struct World {
    /// The policy in force.
    pub snapshot: Arc<Snapshot>,
    /// What is known of the cluster.
    pub topology: Arc<Topology>,
    /// The told addresses of this listener.
    pub routes: Arc<Routes>,
    /// Whom logins are checked against.
    pub users: Arc<Users>,
}

/// Bounds of one connection (`limits` in the configuration), in bytes and requests.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest request, without its length field.
    pub frame: usize,
    /// The largest message of a login again, without its length field.
    pub login_frame: usize,
    /// Unanswered requests; beyond it nothing more is read.
    pub in_flight: usize,
    /// Of those, written to the broker.
    pub ahead_requests: usize,
    /// The same in bytes; at least one request goes.
    pub ahead_bytes: usize,
    /// The largest answer that is gathered to be changed.
    pub response_in_memory: usize,
}

/// The time, as the shell reads it.
#[derive(Copy, Clone, Debug)]
pub struct Now {
    /// The instant that decisions are made for.
    pub wall: Timestamp,
    /// Microseconds of a clock that never goes back, for durations.
    pub micros: u64,
}

/// What happened.
pub enum Input {
    /// Bytes were added to [`Machine::from_client`].
    Client,
    /// The client will send nothing more.
    ClientEnd,
    /// The connection to the broker stands.
    BrokerReady,
    /// Bytes were added to [`Machine::from_broker`].
    Broker,
    /// The broker will send nothing more.
    BrokerEnd,
    /// The audit has room again.
    Room,
    /// The topic ids of [`Outputs::lookups`] were asked for; this is what is known now.
    LookedUp(Arc<Topology>),
    /// The events of this token are durable.
    Durable(DurableToken),
    /// What came of [`Outputs::change`]. If it happened, the world in which it is in force was told before
    /// ([`Input::World`]): what follows is judged by it.
    Changed(Result<AclChanged, ChangeRefused>),
    /// What came of [`Outputs::check`], or of [`Outputs::relay`].
    Checked(Checked),
    /// What came of [`Outputs::broker_login`].
    BrokerLogin(BrokerLoginStep),
    /// A new policy, new users, or a new view of the cluster.
    World(World),
    /// Time has passed.
    Tick,
}

/// What the shell is asked to do. It empties the lists.
#[derive(Default)]
pub struct Outputs {
    /// Ask the cluster for these topic ids, then say [`Input::LookedUp`].
    pub lookups: Vec<TopicId>,
    /// Make this change of the ACLs, then say [`Input::Changed`]. There is no other before that is said.
    pub change: Option<AclChange>,
    /// Check this message of a login again by this mechanism, then say [`Input::Checked`]. It belongs to the login of the
    /// messages before it, up to one that proved or failed.
    pub check: Option<(Mechanism, Bytes)>,
    /// Do this for a login again that a broker checks, then say [`Input::Checked`].
    pub relay: Option<Relaying>,
    /// Whether the client logged in again.
    pub renewed: bool,
    /// Do this for a login of the proxy at the broker, then say [`Input::BrokerLogin`].
    pub broker_login: Option<BrokerLoginTurn>,
    /// Say [`Input::Room`] when the audit has room.
    pub wants_room: bool,
    /// Answered requests, for metrics.
    pub finished: Vec<Finished>,
    /// Brokers without an address on this listener, met in answers.
    pub unmapped: Vec<i32>,
    /// What was wrong, in words, with the reason for which the connection ends.
    pub detail: Option<String>,
}

/// Why a connection ends.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// A body of the client does not follow its schema.
    #[error("api {api} version {version}: {error}")]
    PeerSentRequest {
        /// The API's name.
        api: &'static str,
        /// The version.
        version: i16,
        /// What is wrong.
        error: WireError,
    },
    /// An answer of the broker cannot be read.
    #[error("answer to {api} version {version}: {error}")]
    UpstreamSentAnswer {
        /// The API's name.
        api: &'static str,
        /// The version.
        version: i16,
        /// What is wrong.
        error: WireError,
    },
    /// An answer that belongs to no request.
    #[error("the broker answered correlation id {got}, {expected} was due")]
    UpstreamSentCorrelation {
        /// What came.
        got: i32,
        /// What was due; -1 = nothing.
        expected: i32,
    },
}

/// What a request waits for before it is written to the broker.
pub(super) enum Wait {
    Nothing,
    /// Topic ids are being looked up for the request in `held`.
    Topics,
    /// Its events are being made durable; it is judged and ready.
    Durable(DurableToken, Box<super::request::Judged>),
    /// A request that may ask the broker again is under way.
    Alone,
    /// The same, and what it asks the broker next changes something: its events are being made durable.
    FollowUp(DurableToken, Box<super::follow_up::FollowUp>),
    /// A ShareFetch is under way: only its answer tells what its session holds.
    Share,
    /// A change of ACLs is under way.
    Change,
    /// A message of a login again is being checked.
    Renewal,
    /// It was passed on: the broker's answer to this API, in this version, is awaited.
    Relayed(ApiKey, i16),
    /// The broker said its last word on it.
    Settling,
    /// The proxy logs in again at the broker.
    BrokerLogin,
}

/// One client connection.
pub struct Machine {
    /// Bytes of the client, not yet taken.
    pub from_client: BytesMut,
    /// Bytes of the broker, not yet taken.
    pub from_broker: BytesMut,
    /// Bytes for the client.
    pub to_client: Outbox,
    /// Bytes for the broker.
    pub to_broker: Outbox,
    pub(super) connection: Arc<Connection>,
    pub(super) subject: Verified<Subject>,
    pub(super) client_id: Option<Arc<str>>,
    pub(super) software: Option<(Arc<str>, Arc<str>)>,
    pub(super) standing: Option<Standing>,
    pub(super) span: Option<Span>,
    pub(super) world: World,
    pub(super) generation: u64,
    pub(super) edge: Option<Timestamp>,
    pub(super) edge_known: bool,
    admitted_by: Option<u64>,
    /// A request whose topic ids are being looked up.
    pub(super) held: Option<Bytes>,
    /// The largest request that came whole, as far as memory is got ahead for the next.
    pub(super) proven: usize,
    /// How long the answer is that is being gathered, with its length field; 0 = none is.
    pub(super) gathering: usize,
    pub(super) limits: Limits,
    pub(super) scan: Scan,
    pub(super) trail: Trail,
    pub(super) memory: Memory,
    pub(super) inflight: Inflight,
    pub(super) answering: Answering,
    pub(super) wait: Wait,
    pub(super) looked_up: bool,
    pub(super) broker_ready: bool,
    pub(super) broker_login: BrokerLogin,
    pub(super) client_ended: bool,
    pub(super) closing: Option<CloseReason>,
    /// Places in the queue that close the connection: nothing more is judged behind one.
    pub(super) last_words: bool,
}

impl Machine {
    /// The client id of the request that was read last.
    pub fn client_id(&self) -> Option<&str> {
        self.client_id.as_deref()
    }

    /// A machine for a client whose principal is proved.
    pub fn new(connection: Arc<Connection>, subject: Verified<Subject>, world: World, limits: Limits) -> Self {
        Self {
            from_client: BytesMut::new(),
            from_broker: BytesMut::new(),
            to_client: Outbox::default(),
            to_broker: Outbox::default(),
            connection,
            subject,
            client_id: None,
            software: None,
            standing: None,
            span: None,
            world,
            generation: 0,
            edge: None,
            edge_known: false,
            admitted_by: None,
            held: None,
            proven: 0,
            gathering: 0,
            limits,
            scan: Scan::new(),
            trail: Trail::default(),
            memory: Memory::default(),
            inflight: Inflight::default(),
            answering: Answering::Idle,
            wait: Wait::Nothing,
            looked_up: false,
            broker_ready: false,
            broker_login: BrokerLogin::Holds,
            client_ended: false,
            closing: None,
            last_words: false,
        }
    }

    /// What a login learned: the client's software, and bytes it sent meanwhile.
    #[must_use]
    pub fn after_login(mut self, software: Option<(Arc<str>, Arc<str>)>, left_over: BytesMut) -> Self {
        self.software = software;
        self.from_client = left_over;
        self
    }

    /// Takes an input and does all that can be done with it.
    ///
    /// # Errors
    /// The connection must end now; [`Machine::closing`] has the reason, the error the words.
    pub fn handle(
        &mut self,
        input: Input,
        now: Now,
        recorder: &mut dyn Recorder,
        out: &mut Outputs,
    ) -> Result<(), SessionError> {
        if let Input::World(world) = &input {
            self.take_world(world);
        }
        self.note_broker_login(now);
        // Before anything is done with it: what was judged for who may no longer be connected is not written.
        if self.check_client(now, out) {
            return Ok(());
        }
        match input {
            Input::Client | Input::Broker | Input::Room | Input::World(_) | Input::Tick => {}
            Input::ClientEnd => self.client_ended = true,
            Input::BrokerReady => self.broker_ready = true,
            Input::BrokerEnd if self.broker_login_since().is_some() => {
                out.detail = Some("the broker closed its connection when the proxy logged in again".to_owned());
                self.close(CloseReason::UpstreamLogin);
            }
            Input::BrokerEnd => self.close(CloseReason::UpstreamClosed),
            Input::LookedUp(topology) => {
                self.world.topology = topology;
                if matches!(self.wait, Wait::Topics) {
                    self.wait = Wait::Nothing;
                    self.looked_up = true;
                }
            }
            Input::Durable(token) => self.durable(token, now, recorder, out),
            Input::Changed(outcome) => self.changed(outcome),
            Input::Checked(checked) => {
                self.checked(checked, now, out);
                // Who logged in again may be another, by its groups.
                if self.check_client(now, out) {
                    return Ok(());
                }
            }
            Input::BrokerLogin(step) => self.broker_login_step(step, out),
        }
        self.take_answers(now, recorder, out)?;
        self.take_requests(now, recorder, out)?;
        // A connection does not hold for the rest of its life what one message took.
        self.scan.shrink();
        // Answers made here may stand in front.
        self.flush_local(now, out);
        if self.client_ended && self.idle_after_end() {
            self.close(CloseReason::ClientEof);
        }
        self.end_span(out);
        Ok(())
    }

    /// The reason for which the connection ends, once it is decided. What waits in `to_broker` and `to_client` is still
    /// to be written; nothing does where the client may no longer be connected.
    pub fn closing(&self) -> Option<CloseReason> {
        self.closing
    }

    /// Judges no further request; those that are under way are finished.
    pub fn finish(&mut self) {
        self.last_words = true;
    }

    /// Whether nothing is unanswered, and no answer is on its way through.
    pub fn is_idle(&self) -> bool {
        self.inflight.is_empty() && self.answering.is_idle() && matches!(self.wait, Wait::Nothing)
    }

    /// Whether a request has begun to arrive and is not whole.
    pub fn in_frame(&self) -> bool {
        !self.from_client.is_empty() && matches!(self.wait, Wait::Nothing)
    }

    /// Whether more of the client's bytes are welcome: its next request is not there yet, and there is room for it.
    pub fn wants_client(&self) -> bool {
        self.closing.is_none()
            && !self.client_ended
            && !self.last_words
            && self.to_broker.len() < BROKER_BACKLOG
            && self.to_client.len() < CLIENT_BACKLOG
            && !self.has_request()
    }

    /// Whether the next step waits for nothing but bytes to leave for the broker: once they have, say [`Input::Tick`].
    pub fn waits_for_write(&self) -> bool {
        self.closing.is_none()
            && ((self.client_ended && !self.to_broker.is_empty()) || (self.broker_is_behind() && self.has_request()))
    }

    /// The next instant at which a right begins or ends, or the login: time to say [`Input::Tick`].
    pub fn next_edge(&self) -> Option<Timestamp> {
        self.edge.into_iter().chain(self.standing_ends()).chain(self.span_ends()).min()
    }

    /// How many requests are unanswered.
    pub fn unanswered(&self) -> usize {
        self.inflight.len()
    }

    /// Who is connected.
    pub fn subject(&self) -> &Subject {
        self.subject.get()
    }

    /// Whether a judged request waits for something before it is written.
    pub(super) fn is_waiting(&self) -> bool {
        matches!(self.wait, Wait::Topics | Wait::Durable(..) | Wait::FollowUp(..))
    }

    pub(super) fn close(&mut self, reason: CloseReason) {
        self.closing.get_or_insert(reason);
    }

    fn take_world(&mut self, world: &World) {
        if !Arc::ptr_eq(&world.users, &self.world.users) {
            self.users_changed();
        }
        if !Arc::ptr_eq(&world.snapshot, &self.world.snapshot) {
            self.generation += 1;
            self.edge_known = false;
        }
        self.world.clone_from(world);
    }

    /// Looks at what the client may be connected by. Whether it may no longer be: then nothing more is done, and what has
    /// not left is dropped, in both directions; a peer that reads slowly must not make a right last longer. At the end of
    /// a session what was said before still leaves.
    fn check_client(&mut self, now: Now, out: &mut Outputs) -> bool {
        self.refresh_edge(now);
        self.check_standing(now, out);
        self.check_span(now);
        self.check_admission(now);
        if self.is_shut() {
            self.to_broker = Outbox::default();
            self.to_client = Outbox::default();
        }
        self.is_shut() || matches!(self.closing, Some(CloseReason::SessionExpired | CloseReason::TokenExpired))
    }

    /// A snapshot's rules begin and end by the clock alone; what was judged before an edge is judged anew after it.
    fn refresh_edge(&mut self, now: Now) {
        let passed = self.edge.is_some_and(|edge| now.wall >= edge);
        if passed {
            self.generation += 1;
        }
        if passed || !self.edge_known {
            self.edge = self.world.snapshot.next_edge(now.wall);
            self.edge_known = true;
        }
    }

    /// Whether what was judged in this generation, up to this edge, holds now without a new look.
    pub(super) fn still_holds(&self, generation: u64, edge: Option<Timestamp>, now: Now) -> bool {
        generation == self.generation && edge.is_none_or(|edge| now.wall < edge)
    }

    /// Closes when the policy in force does not let this subject be connected here; looked at once per judgement.
    fn check_admission(&mut self, now: Now) {
        if self.admitted_by == Some(self.generation) {
            return;
        }
        self.admitted_by = Some(self.generation);
        let subject = self.subject.get();
        if !subject.may_be_super && self.world.snapshot.names_super(&subject.principal) {
            return self.close(CloseReason::SuperUserListener);
        }
        if !self.world.snapshot.gate(subject, &self.connection.host, now.wall).is_allowed() {
            self.close(CloseReason::NotConnectedRole);
        }
    }

    /// Whether the client may no longer be connected: nothing more goes either way, answers that have come included.
    fn is_shut(&self) -> bool {
        matches!(
            self.closing,
            Some(CloseReason::NotConnectedRole | CloseReason::SuperUserListener | CloseReason::LoginRevoked)
        )
    }

    fn idle_after_end(&self) -> bool {
        !self.has_request() && self.to_broker.is_empty() && matches!(self.wait, Wait::Nothing | Wait::Share)
    }
}

//! Listeners: every port is bound before the process is ready, so that a client that bootstrapped before a restart of
//! the proxy finds its brokers again.

use super::arrival::{Arrived, Names, NotArrived, Origin, arrive, from_balancer, introduce};
use super::connection::{self, Ended};
use super::login::{LoggedIn, LoginLimits, NotLoggedIn, by_certificate, log_in};
use super::seats::{ByAddress, Full, Seat};
use super::seldom::Seldom;
use super::shared::{Door, Shared, Times, drained};
use super::socket::Socket;
use crate::audit::ConnectionRecorder;
use crate::cluster::dial::Dialler;
use crate::config::{Brokers, HostPort, Identity, Listener};
use crate::enforce::{DurableToken, Routes};
use crate::identity;
use crate::model::{CloseReason, Connection};
use crate::session::{Limits, World};
use crate::tls::{Acceptor, Distrusted};
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// A port could not be bound.
#[derive(Debug, thiserror::Error)]
#[error("listener `{listener}`: cannot bind `{address}`: {cause}")]
pub struct BindError {
    /// The listener's name.
    pub listener: String,
    /// The address.
    pub address: SocketAddr,
    /// What the system says.
    pub cause: io::Error,
}

/// A listener whose ports are bound and not yet served.
pub struct Bound {
    config: Listener,
    tls: Option<Arc<Acceptor>>,
    dialler: Dialler,
    /// The bootstrap port first, then one for each broker id.
    ports: Vec<(Option<i32>, TcpListener)>,
    routes: Arc<Routes>,
}

/// How long accepting pauses after an error of the system (out of descriptors, most likely).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Binds every port of a listener, whose clients speak TLS if it has some, and for whom brokers are dialled so.
///
/// # Errors
/// A port that cannot be bound, by address.
pub async fn bind(config: Listener, tls: Option<Arc<Acceptor>>, dialler: Dialler) -> Result<Bound, BindError> {
    let mut ports = Vec::new();
    let mut told = Vec::new();
    for (broker, address) in
        std::iter::once((None, config.bind)).chain(config.broker_binds().into_iter().map(|(id, a)| (Some(id), a)))
    {
        let failed = |cause| BindError { listener: config.name.clone(), address, cause };
        let port = listen(address).map_err(failed)?;
        let bound = port.local_addr().map_err(failed)?.port();
        match broker {
            None => {
                tracing::info!(listener = config.name, address = %SocketAddr::new(address.ip(), bound), "listening")
            }
            Some(id) => {
                if address.port() == 0 {
                    let address = SocketAddr::new(address.ip(), bound);
                    tracing::info!(listener = config.name, broker = id, %address, "listening");
                }
                if let Some(HostPort { host, port }) = config.told(id, bound) {
                    told.push((id, (Arc::from(host), port)));
                }
            }
        }
        ports.push((broker, port));
    }
    let routes = match &config.brokers {
        Brokers::Ports { .. } | Brokers::Map(_) => Routes::new(told),
        Brokers::Sni { host, port } => Routes::by_name(host.clone(), *port),
    };
    Ok(Bound { config, tls, dialler, ports, routes: Arc::new(routes) })
}

/// Connections that the system holds until they are accepted, if it may hold as many.
const BACKLOG: u32 = 4096;

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // A restart must not wait for connections of before.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

impl Bound {
    /// The addresses that this listener's clients are told.
    pub fn routes(&self) -> &Arc<Routes> {
        &self.routes
    }

    /// The listener's name.
    pub fn name(&self) -> &str {
        &self.config.name
    }

    /// The bootstrap address that was bound.
    ///
    /// # Errors
    /// The system does not know it.
    pub fn address(&self) -> io::Result<SocketAddr> {
        match self.ports.first() {
            Some((_, port)) => port.local_addr(),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// Serves clients until the process drains; ends when the last one is gone.
    pub async fn serve(self, shared: Arc<Shared>, worlds: watch::Receiver<World>, drain: Duration) {
        let own = &self.config.limits;
        let limits = &own.all;
        let by_address = match own.connections_per_address {
            Some(most) => Arc::new(ByAddress::new(most)),
            None => Arc::clone(shared.seats.by_address()),
        };
        let session = Limits {
            frame: limits.frame.bytes(),
            login_frame: limits.frame_before_login.bytes(),
            in_flight: limits.in_flight,
            ahead_requests: limits.upstream_ahead.requests,
            ahead_bytes: limits.upstream_ahead.size.bytes(),
            response_in_memory: limits.response_in_memory.bytes(),
        };
        let door = Arc::new(Door {
            name: self.config.name.as_str().into(),
            identity: self.config.identity.clone(),
            super_users: self.config.super_users,
            dialler: self.dialler,
            tls: self.tls,
            names: Names::of(&self.config),
            balancers: self.config.proxy_protocol.clone(),
            handshake: limits.handshake_timeout,
            max_session: self.config.max_session,
            room: shared.seats.room(own.connections),
            by_address,
            strangers: Seldom::default(),
            worlds,
            limits: session,
            times: Times { frame: limits.frame_timeout, idle: limits.idle_timeout, drain },
            login: LoginLimits {
                timeout: limits.login_timeout,
                frame: limits.frame_before_login.bytes(),
                delay: limits.failed_logins.delay,
                per_minute: limits.failed_logins.per_minute,
            },
            metrics: shared.metrics.listener(&self.config.name),
            unmapped: Mutex::default(),
        });
        let mut acceptors = JoinSet::new();
        for (broker, port) in self.ports {
            acceptors.spawn(accept(port, broker, Arc::clone(&shared), Arc::clone(&door)));
        }
        while acceptors.join_next().await.is_some() {}
    }
}

/// Accepts on one port; when the process drains it accepts no more and waits for its connections.
async fn accept(port: TcpListener, broker: Option<i32>, shared: Arc<Shared>, door: Arc<Door>) {
    let mut connections = JoinSet::new();
    let mut drain = shared.drain.clone();
    loop {
        tokio::select! {
            accepted = port.accept() => match accepted {
                Ok((client, peer)) => {
                    connections.spawn(admit(client, peer, broker, Arc::clone(&shared), Arc::clone(&door)));
                }
                Err(error) if is_of_one(&error) => {
                    tracing::debug!(listener = &*door.name, %error, "a client left before it was accepted");
                }
                Err(error) => {
                    tracing::warn!(listener = &*door.name, %error, "cannot accept: raise the limit of open files");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
            () = drained(&mut drain) => break,
        }
    }
    drop(port);
    while connections.join_next().await.is_some() {}
}

/// Whether an error of accepting is that of the one connection: the next is waited for at once, or whoever connects and
/// resets would hold up all others.
fn is_of_one(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}

/// One client, from accept to its end.
async fn admit(client: TcpStream, peer: SocketAddr, broker: Option<i32>, shared: Arc<Shared>, door: Arc<Door>) {
    door.metrics.opened.inc();
    let direct = Origin::direct(peer);
    // Who is not served anyway takes nobody's place.
    if let Err(NotArrived { reason, detail, .. }) = from_balancer(peer, &door.balancers) {
        return turn_away(&door, &direct, reason, &detail);
    }
    let mut seat = match Seat::take(&shared.seats, &door, peer.ip()) {
        Ok(seat) => seat,
        Err(full) => return turn_away(&door, &direct, CloseReason::TooManyConnections, full.words()),
    };
    // Boxed, so that who says nothing costs no more than it takes to find out who it is.
    let lost = seat.lost();
    let entered = tokio::select! {
        entered = Box::pin(enter(client, peer, broker, &shared, &door, &mut seat)) => entered,
        () = lost => {
            return turn_away(&door, &direct, CloseReason::Displaced, "not known yet, when all places were taken");
        }
    };
    let Some(mut entered) = entered else { return };
    if !seat.keep() {
        // Too late by a moment: it was told as connected.
        entered.recorder.closed(CloseReason::Displaced, None, shared.now().wall);
        return turn_away(&door, &entered.origin, CloseReason::Displaced, "not known yet, when all places were taken");
    }
    Box::pin(stay(entered, &shared, &door)).await;
}

/// Tells why a client is not served. Strangers can cause it as often as they like, so the log tells some.
fn turn_away(door: &Door, origin: &Origin, reason: CloseReason, detail: &str) {
    door.metrics.closed(reason);
    let left_out = match reason {
        // Balancers and monitors look in that way every few seconds.
        CloseReason::ClientEof | CloseReason::ClientReset => {
            tracing::debug!(listener = &*door.name, client = %origin, %reason, detail, "connection closed before a login");
            return;
        }
        _ => match door.strangers.told() {
            None => return,
            Some(left_out) => left_out,
        },
    };
    match reason {
        CloseReason::TooManyConnections => {
            tracing::warn!(listener = &*door.name, client = %origin, %reason, detail, left_out, "connection closed");
        }
        _ => {
            tracing::info!(listener = &*door.name, client = %origin, %reason, detail, left_out, "connection closed before a login");
        }
    }
}

/// A client that is known, and its connection.
struct Entered {
    client: Socket,
    origin: Origin,
    facts: Arc<Connection>,
    who: LoggedIn,
    recorder: ConnectionRecorder,
    durable: mpsc::UnboundedReceiver<DurableToken>,
    distrusted: Option<Distrusted>,
}

/// Finds out who a client is; `None` if it is not served.
async fn enter(
    mut client: TcpStream,
    peer: SocketAddr,
    broker: Option<i32>,
    shared: &Shared,
    door: &Door,
    seat: &mut Seat,
) -> Option<Entered> {
    let session = shared.sessions.fetch_add(1, Ordering::Relaxed);
    let deadline = Instant::now() + door.handshake;
    let origin = match introduce(&mut client, peer, &door.balancers, deadline).await {
        Ok(origin) => origin,
        Err(NotArrived { reason, detail, .. }) => {
            turn_away(door, &Origin::direct(peer), reason, &detail);
            return None;
        }
    };
    if !seat.belongs_to(origin.host.source()) {
        turn_away(door, &origin, CloseReason::TooManyConnections, Full::Address.words());
        return None;
    }
    let facts = |broker| {
        Arc::new(Connection {
            session_id: format!("s-{session:x}").into(),
            listener: Arc::clone(&door.name),
            host: origin.host.clone(),
            port: origin.port,
            // With the mechanism behind it, once that is agreed.
            mechanism: match door.identity {
                Identity::Certificate => "SSL".into(),
                Identity::Fixed(_) if door.tls.is_some() => "SSL".into(),
                Identity::Fixed(_) => "PLAINTEXT".into(),
                Identity::Sasl(_) | Identity::PassThrough(_) if door.tls.is_some() => "SASL_SSL".into(),
                Identity::Sasl(_) | Identity::PassThrough(_) => "SASL_PLAINTEXT".into(),
            },
            broker,
            relayed: door.relays(),
        })
    };
    // A request must not wait for the acknowledgement of the one before.
    let _ = client.set_nodelay(true);
    let (told, durable) = mpsc::unbounded_channel();
    let from = (origin.host.source(), deadline);
    let Arrived { stream: client, distrusted, broker } = match arrive(client, broker, shared, door, from).await {
        Ok(arrived) => arrived,
        Err(NotArrived { reason, detail, is_login }) => {
            if is_login {
                let mut recorder = ConnectionRecorder::new(&shared.audit, &facts(broker), None);
                recorder.refused(None, reason, Some(&detail), shared.now().wall);
            }
            turn_away(door, &origin, reason, &detail);
            return None;
        }
    };
    let facts = facts(broker);
    let mut recorder = ConnectionRecorder::new(&shared.audit, &facts, Some(told));
    // Judged without the ACLs made over the protocol, or by such as may be long gone, it could be let in where it must not.
    if !shared.access.admits(door.dialler.connect_timeout).await {
        door.metrics.closed(CloseReason::StateUnavailable);
        tracing::info!(listener = &*door.name, client = %origin, reason = %CloseReason::StateUnavailable, "connection closed");
        return None;
    }
    let shown = client.peer_certificate();
    let mut client = Socket::new(client);
    let logged_in = match &door.identity {
        Identity::Fixed(principal) => {
            let subject = identity::fixed::login(principal).subject(door.super_users);
            recorder.opened(subject.get(), None, shared.now().wall);
            Ok(LoggedIn::at_once(subject, Arc::clone(&facts.mechanism)))
        }
        Identity::Certificate => by_certificate(shown.as_deref(), &facts, shared, door, &mut recorder),
        Identity::Sasl(sasl) | Identity::PassThrough(sasl) => {
            log_in(&mut client, sasl.mechanisms.as_slice().into(), &facts, shared, door, &mut recorder).await
        }
    };
    let who = match logged_in {
        Ok(who) => who,
        Err(NotLoggedIn { reason, detail }) => {
            turn_away(door, &origin, reason, &detail);
            return None;
        }
    };
    let facts = Arc::new(Connection { mechanism: Arc::clone(&who.mechanism), ..Connection::clone(&facts) });
    Some(Entered { client, origin, facts, who, recorder, durable, distrusted })
}

/// Serves a client that is known, to its end.
async fn stay(entered: Entered, shared: &Shared, door: &Door) {
    let Entered { client, origin, facts, who, mut recorder, mut durable, distrusted } = entered;
    let principal = who.subject.get().principal.clone();
    let served = connection::serve(client, facts, who, shared, door, &mut recorder, &mut durable);
    let ended = match distrusted {
        None => served.await,
        // Dropped where it stands: nothing more is owed to whom the certificate was taken from.
        Some(distrusted) => tokio::select! {
            // It may have been taken away during the login: then not one request is served.
            biased;
            why = distrusted => Ended { reason: CloseReason::CertificateRevoked, detail: Some(why) },
            ended = served => ended,
        },
    };
    door.metrics.closed(ended.reason);
    let detail = ended.detail.as_deref().unwrap_or_default();
    match ended.reason {
        CloseReason::ClientEof | CloseReason::ClientReset | CloseReason::Idle | CloseReason::Drain => {
            tracing::debug!(listener = &*door.name, client = %origin, %principal, reason = %ended.reason, detail, "connection closed");
        }
        CloseReason::UpstreamUnreachable => {
            if let Some(left_out) = shared.unserved.told() {
                tracing::info!(listener = &*door.name, client = %origin, %principal, reason = %ended.reason, detail, left_out, "connection closed");
            }
        }
        _ => {
            tracing::info!(listener = &*door.name, client = %origin, %principal, reason = %ended.reason, detail, "connection closed");
        }
    }
    recorder.closed(ended.reason, ended.detail.as_deref(), shared.now().wall);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_leaves_before_it_is_accepted_holds_up_nobody_and_a_lack_of_files_does() {
        assert!(is_of_one(&io::Error::from_raw_os_error(103)), "ECONNABORTED");
        assert!(![23, 24, 105, 12].into_iter().any(|code| is_of_one(&io::Error::from_raw_os_error(code))));
    }
}

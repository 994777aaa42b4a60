//! Listeners: every port is bound before the process is ready, so that a client that bootstrapped before a restart of
//! the proxy finds its brokers again.

use super::connection::{self, Ended};
use super::login::{LoggedIn, LoginLimits, NotLoggedIn, TOO_MANY, by_certificate, log_in};
use super::shared::{Door, Shared, Times, drained};
use super::socket::Socket;
use crate::audit::ConnectionRecorder;
use crate::cluster::dial::Dialler;
use crate::config::{HostPort, Identity, Limits as ConfigLimits, Listener};
use crate::enforce::Routes;
use crate::identity;
use crate::model::{CloseReason, Connection, Host};
use crate::session::{Limits, World};
use crate::telemetry::LoginOutcome;
use crate::tls::{AcceptError, Acceptor, Distrusted, Stream};
use bytes::BytesMut;
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

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
        let port = TcpListener::bind(address).await.map_err(failed)?;
        let bound = port.local_addr().map_err(failed)?.port();
        match broker {
            None => {
                tracing::info!(listener = config.name, address = %SocketAddr::new(address.ip(), bound), "listening")
            }
            Some(id) => {
                if let Some(HostPort { host, port }) = config.told(id, bound) {
                    told.push((id, (Arc::from(host), port)));
                }
            }
        }
        ports.push((broker, port));
    }
    Ok(Bound { config, tls, dialler, ports, routes: Arc::new(Routes::new(told)) })
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
    pub async fn serve(self, shared: Arc<Shared>, worlds: watch::Receiver<World>, limits: &ConfigLimits, times: Times) {
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
            handshake: limits.handshake_timeout,
            max_session: self.config.max_session,
            worlds,
            limits: session,
            times,
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

/// One client, from accept to its end.
async fn admit(client: TcpStream, peer: SocketAddr, broker: Option<i32>, shared: Arc<Shared>, door: Arc<Door>) {
    let session = shared.sessions.fetch_add(1, Ordering::Relaxed);
    let host = Host::new(peer.ip());
    let ip = host.ip();
    door.metrics.opened.inc();
    let facts = Arc::new(Connection {
        session_id: format!("s-{session:x}").into(),
        listener: Arc::clone(&door.name),
        host,
        port: peer.port(),
        // With the mechanism behind it, once that is agreed.
        mechanism: match door.identity {
            Identity::Certificate => "SSL".into(),
            Identity::Fixed(_) if door.tls.is_some() => "SSL".into(),
            Identity::Fixed(_) => "PLAINTEXT".into(),
            Identity::Sasl(_) if door.tls.is_some() => "SASL_SSL".into(),
            Identity::Sasl(_) => "SASL_PLAINTEXT".into(),
        },
        broker,
    });
    let Some(_seat) = Seat::take(&shared, &door, ip) else {
        door.metrics.closed(CloseReason::TooManyConnections);
        tracing::warn!(listener = &*door.name, client = %peer, reason = %CloseReason::TooManyConnections, "connection closed");
        return;
    };
    // A request must not wait for the acknowledgement of the one before.
    let _ = client.set_nodelay(true);
    let (told, mut durable) = mpsc::unbounded_channel();
    let mut recorder = ConnectionRecorder::new(&shared.audit, &facts, Some(told));
    let (client, distrusted) = match secure(client, &shared, &door, ip).await {
        Ok(client) => client,
        Err(NotSecured { reason, detail, is_login }) => {
            door.metrics.closed(reason);
            tracing::info!(listener = &*door.name, client = %peer, %reason, detail, "no TLS with a client");
            if is_login {
                recorder.refused(None, reason, Some(&detail), shared.now().wall);
            }
            return;
        }
    };
    // Judged without the ACLs made over the protocol, or by such as may be long gone, it could be let in where it must not.
    if !shared.access.admits(door.dialler.connect_timeout).await {
        door.metrics.closed(CloseReason::StateUnavailable);
        tracing::info!(listener = &*door.name, client = %peer, reason = %CloseReason::StateUnavailable, "connection closed");
        return;
    }
    let shown = client.peer_certificate();
    let mut client = Socket::new(client);
    let who = match &door.identity {
        Identity::Fixed(principal) => {
            let subject = identity::fixed::login(principal).subject(door.super_users);
            recorder.opened(subject.get(), shared.now().wall);
            let mechanism = Arc::clone(&facts.mechanism);
            LoggedIn { subject, standing: None, mechanism, software: None, left_over: BytesMut::new() }
        }
        Identity::Certificate => match by_certificate(shown.as_deref(), &facts, &shared, &door, &mut recorder) {
            Ok(who) => who,
            Err(NotLoggedIn { reason, detail }) => {
                door.metrics.closed(reason);
                tracing::info!(listener = &*door.name, client = %peer, %reason, detail, "login refused");
                return;
            }
        },
        Identity::Sasl(sasl) => {
            match log_in(&mut client, sasl.mechanisms.as_slice().into(), &facts, &shared, &door, &mut recorder).await {
                Ok(who) => who,
                Err(NotLoggedIn { reason, detail }) => {
                    door.metrics.closed(reason);
                    tracing::info!(listener = &*door.name, client = %peer, %reason, detail, "login refused");
                    return;
                }
            }
        }
    };
    let facts = Arc::new(Connection { mechanism: Arc::clone(&who.mechanism), ..Connection::clone(&facts) });
    let principal = who.subject.get().principal.clone();
    let served = connection::serve(client, Arc::clone(&facts), who, &shared, &door, &mut recorder, &mut durable);
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
            tracing::debug!(listener = &*door.name, client = %peer, %principal, reason = %ended.reason, detail, "connection closed");
        }
        _ => {
            tracing::info!(listener = &*door.name, client = %peer, %principal, reason = %ended.reason, detail, "connection closed");
        }
    }
    recorder.closed(ended.reason, ended.detail.as_deref(), shared.now().wall);
}

/// Why a client is not served for want of TLS.
struct NotSecured {
    reason: CloseReason,
    detail: String,
    /// Whether its certificate is what it has no right to.
    is_login: bool,
}

/// The handshake, where the listener has TLS: before anything is asked of identity, policy or brokers.
async fn secure(
    client: TcpStream,
    shared: &Shared,
    door: &Door,
    ip: IpAddr,
) -> Result<(Stream, Option<Distrusted>), NotSecured> {
    let Some(tls) = &door.tls else { return Ok((Stream::Plain(client), None)) };
    // Who shows wrong certificates is slowed down as who tries passwords is.
    if tls.settings().trust().is_some() && shared.failures.too_many(ip, door.login.per_minute) {
        let detail = TOO_MANY.to_owned();
        return Err(NotSecured { reason: CloseReason::LoginFailed, detail, is_login: true });
    }
    let error = match tokio::time::timeout(door.handshake, tls.accept(client)).await {
        Ok(Ok(stream)) => return Ok(stream),
        Ok(Err(error)) => error,
        Err(_) => {
            let detail = "no handshake within `limits.handshake_timeout`".to_owned();
            return Err(NotSecured { reason: CloseReason::HandshakeTimeout, detail, is_login: false });
        }
    };
    let is_login = error.is_certificate();
    if is_login {
        door.metrics.login(LoginOutcome::Failed);
        shared.failures.count(ip);
    }
    let reason = match error {
        AcceptError::PeerSentPlaintext => CloseReason::PlaintextOnTls,
        AcceptError::PeerLeft(_) => CloseReason::ClientEof,
        AcceptError::Handshake(_) => CloseReason::HandshakeFailed,
    };
    Err(NotSecured { reason, detail: error.to_string(), is_login })
}

/// A place among the open connections; given back when it is dropped.
struct Seat {
    shared: Arc<Shared>,
    door: Arc<Door>,
    ip: IpAddr,
}

impl Seat {
    fn take(shared: &Arc<Shared>, door: &Arc<Door>, ip: IpAddr) -> Option<Self> {
        if shared.open.fetch_add(1, Ordering::Relaxed) >= shared.most {
            shared.open.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        let mut by_address = shared.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        let count = by_address.entry(ip).or_insert(0);
        if shared.most_per_address.is_some_and(|most| *count >= most) {
            shared.open.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        *count += 1;
        door.metrics.connections.inc();
        drop(by_address);
        Some(Self { shared: Arc::clone(shared), door: Arc::clone(door), ip })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.shared.open.fetch_sub(1, Ordering::Relaxed);
        self.door.metrics.connections.dec();
        let mut by_address = self.shared.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        release(&mut by_address, self.ip);
    }
}

fn release(by_address: &mut HashMap<IpAddr, u32>, ip: IpAddr) {
    if let Some(count) = by_address.get_mut(&ip) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            by_address.remove(&ip);
        }
    }
}

//! The composition root: what is started, in which order, and how it stops.
//!
//! Start: policy, metrics page, every client port, cluster, audit, ready. Stop: unready, accept no more, finish what is
//! in flight, flush the audit, close.

mod compiler;
mod doors;
pub mod files;
mod notices;
mod policy;
mod reload;
mod tls;
pub mod tokens;
pub mod watch;
mod worlds;

use compiler::Compiler;
use notices::Notices;
pub use policy::{Look, PolicyKeeper, Swap};
use watch::{FileWatch, WatchError};
pub use worlds::Worlds;

use crate::access::Access;
use crate::admin::{self, Health};
use crate::audit::{Service, Status as AuditStatus};
use crate::clock::now;
use crate::cluster::Cluster;
use crate::cluster::dial::Dialler;
use crate::cluster::topic::TopicError;
use crate::config::Config;
use crate::net::{self, BindError, Failures, Shared};
use crate::telemetry::{Metrics, MetricsError};
use crate::tls::Acceptor;
use crate::yaml::Problem;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicI64, AtomicU64};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::sync::watch as channel;
use tokio::task::JoinSet;

/// Why the process cannot run.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// A file that the configuration names does not load (policy, users, TLS): nothing is served without.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Policy(Vec<Problem>),
    /// A client port cannot be bound.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The metrics port cannot be bound.
    #[error("cannot bind `metrics.bind` `{address}`: {cause}")]
    Metrics {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        cause: io::Error,
    },
    /// Files cannot be followed.
    #[error(transparent)]
    Watch(#[from] WatchError),
    /// There is no thread to compile policies on.
    #[error("cannot start a thread: {0}")]
    Thread(io::Error),
    /// The metrics cannot be registered.
    #[error(transparent)]
    Registry(#[from] MetricsError),
}

/// A running proxy.
pub struct App {
    addresses: Vec<(String, SocketAddr)>,
    metrics_address: Option<SocketAddr>,
    status: Arc<Status>,
    policy: Arc<PolicyKeeper>,
    audit: Service,
    stop: channel::Sender<bool>,
    clients: JoinSet<()>,
    /// What follows files, the cluster and the page; ends with the process.
    followers: JoinSet<()>,
    drain: Duration,
}

/// What `/readyz` tells.
struct Status {
    policy: Arc<PolicyKeeper>,
    /// Whether the issuers of tokens were asked for keys.
    asked: OnceLock<tokens::Asked>,
    parts: OnceLock<(Cluster, Access, AuditStatus)>,
    stopping: channel::Receiver<bool>,
    metrics: Arc<Metrics>,
}

impl App {
    /// Starts everything; the cluster may be away, clients then wait.
    ///
    /// # Errors
    /// A policy that does not load, a port that cannot be bound.
    pub async fn start(config: Config) -> Result<Self, AppError> {
        let metrics = Arc::new(Metrics::new()?);
        let policy = PolicyKeeper::open(&config, Arc::clone(&metrics), now()).map_err(AppError::Policy)?;
        let policy = Arc::new(policy);
        let users = config.users.as_deref().map(|file| files::read(file).map(|bytes| (file, bytes)));
        let users = users.transpose().map_err(AppError::Policy)?;
        if let Some((file, bytes)) = &users {
            policy.worlds().log_in_by(Arc::new(files::users_of(bytes, file).map_err(AppError::Policy)?));
        }
        let known = tls::known(&config);
        let diallers = files::diallers(&config).map_err(AppError::Policy)?;
        let names = Arc::new(files::names(&config).map_err(AppError::Policy)?);
        let acceptors = files::acceptors(&config).map_err(AppError::Policy)?;
        let tokens = tokens::load(&config).map_err(AppError::Policy)?;
        files::web_authorities(&config).map_err(AppError::Policy)?;
        let (stop, stopping) = channel::channel(false);
        let status = Arc::new(Status {
            policy: Arc::clone(&policy),
            asked: OnceLock::new(),
            parts: OnceLock::new(),
            stopping: stopping.clone(),
            metrics: Arc::clone(&metrics),
        });
        let (mut followers, notices) = (JoinSet::new(), Notices::of_system());
        let metrics_address = match config.metrics {
            Some(address) => Some(serve_pages(address, &metrics, &status, &mut followers).await?),
            None => None,
        };
        let secured = secured(&config, &diallers, &acceptors);
        let mut bound = Vec::new();
        let files::Diallers { own, listeners, .. } = diallers;
        let own = own.counted(metrics.own_renewals());
        let others = listeners.clone();
        for ((listener, dialler), acceptor) in config.listeners.iter().zip(listeners).zip(acceptors) {
            bound.push(net::bind(listener.clone(), acceptor, dialler).await?);
        }
        let (issuers, asked) = tokens::follow(&config, tokens, &notices, &metrics, &mut followers)?;
        // Nobody else fills it.
        let _ = status.asked.set(asked);
        let cluster = Cluster::start_with(&config.cluster, &config.listeners, own, others);
        // Before any listener serves.
        followers.spawn(policy.worlds().follow(&cluster));
        let service = Service::start(&config, &cluster, &metrics);
        let audit = service.audit();
        reload::tell_first(&audit, &policy);
        let compiler = Arc::new(Compiler::start().map_err(AppError::Thread)?);
        let acls = reload::Acls { policy: Arc::clone(&policy), audit: audit.clone(), compiler: Arc::clone(&compiler) };
        let acls = Arc::new(acls);
        let access = Access::start(&config, &cluster, &metrics, acls, &mut followers);
        // Nobody else fills it.
        let _ = status.parts.set((cluster.clone(), access.clone(), service.status()));
        let addresses = bound.iter().filter_map(|b| Some((b.name().to_owned(), b.address().ok()?))).collect();
        let shared = Arc::new(Shared {
            cluster: cluster.clone(),
            audit: audit.clone(),
            access,
            instance: config.instance.as_str().into(),
            metrics: Arc::clone(&metrics),
            drain: stopping,
            started: Instant::now(),
            seats: Arc::new(net::Seats::new(places(&config), config.limits.connections_per_address)),
            memory: net::RequestMemory::new(config.limits.request_memory.bytes()),
            issuers,
            failures: Failures::default(),
            undialled: net::Seldom::default(),
            unserved: net::Seldom::default(),
            names,
            checks: net::checks(),
            latest: AtomicI64::new(0),
            sessions: AtomicU64::new(1),
        });
        let mut clients = JoinSet::new();
        for listener in bound {
            let worlds = policy.worlds().open(listener.routes());
            clients.spawn(listener.serve(Arc::clone(&shared), worlds, config.drain));
        }
        followers.spawn(doors::tell(config.cluster.clone(), cluster.clone()));
        let watch = FileWatch::start(&notices, &config.policy.file, policy.bytes().to_vec())?;
        followers.spawn(reload::follow(watch, Arc::clone(&policy), audit.clone(), compiler));
        tls::follow(secured, known, &notices, &metrics, &mut followers)?;
        if let Some((file, bytes)) = users {
            let watch = FileWatch::start(&notices, file, bytes)?;
            let (file, worlds) = (file.to_owned(), Arc::clone(policy.worlds()));
            followers.spawn(reload::follow_users(watch, file, worlds, Arc::clone(&metrics)));
        }
        Ok(Self {
            addresses,
            metrics_address,
            status,
            policy,
            audit: service,
            stop,
            clients,
            followers,
            drain: config.drain,
        })
    }

    /// The bootstrap addresses that were bound, by listener.
    pub fn addresses(&self) -> &[(String, SocketAddr)] {
        &self.addresses
    }

    /// Where metrics and health are served.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics_address
    }

    /// The policy in force.
    pub fn policy(&self) -> &Arc<PolicyKeeper> {
        &self.policy
    }

    /// Waits until clients can be served, at most this long; what stands in the way if it took longer.
    ///
    /// # Errors
    /// The obstacles, one line each.
    pub async fn ready(&self, within: Duration) -> Result<(), Vec<String>> {
        let deadline = Instant::now() + within;
        loop {
            let obstacles = self.status.obstacles();
            if obstacles.is_empty() {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(obstacles);
            }
            tokio::time::sleep(READY_LOOK).await;
        }
    }

    /// Ends when the proxy can never serve: the audit topic is missing and may not be made. Else it waits for ever.
    pub async fn failed(&self) -> TopicError {
        match self.audit.ready().await {
            Err(error) => error,
            Ok(()) => std::future::pending().await,
        }
    }

    /// Stops: accepts no more, lets clients finish within `shutdown.drain`, flushes the audit.
    pub async fn stop(mut self) {
        tracing::info!("stopping: accepting no more, finishing what is in flight");
        self.stop.send_replace(true);
        let deadline = tokio::time::Instant::now() + self.drain;
        let all = async { while self.clients.join_next().await.is_some() {} };
        if tokio::time::timeout_at(deadline, all).await.is_err() {
            tracing::warn!("clients did not finish within `shutdown.drain`: their connections are closed");
            self.clients.shutdown().await;
        }
        let left =
            self.audit.close(deadline.saturating_duration_since(tokio::time::Instant::now()).max(LAST_WORDS)).await;
        if left > 0 {
            tracing::error!(
                events = left,
                "audit events were not written before `shutdown.drain` ended: they are lost"
            );
        }
        self.followers.shutdown().await;
        tracing::info!("stopped");
    }
}

/// Everything that goes by files of TLS.
fn secured(config: &Config, diallers: &files::Diallers, acceptors: &[Option<Arc<Acceptor>>]) -> Vec<tls::Secured> {
    let of_dialler =
        |(whose, dialler): (String, &Dialler)| Some(tls::Secured::Brokers(whose, Arc::clone(dialler.tls()?)));
    let both = [("the proxy's own".to_owned(), &diallers.own), ("for clients".to_owned(), &diallers.clients)];
    let listeners = config.listeners.iter().zip(&diallers.listeners).filter(|(listener, _)| {
        // The others have that of the cluster.
        listener.upstream.as_ref().is_some_and(|upstream| upstream.tls.is_some())
    });
    let listeners =
        listeners.map(|(listener, dialler)| (format!("for clients of listener `{}`", listener.name), dialler));
    let mut all: Vec<tls::Secured> = both.into_iter().chain(listeners).filter_map(of_dialler).collect();
    for (listener, acceptor) in config.listeners.iter().zip(acceptors) {
        all.extend(acceptor.clone().map(|acceptor| tls::Secured::Listener(listener.name.clone(), acceptor)));
    }
    all
}

/// What the audit is given at the least to write its last events.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// How often [`App::ready`] looks; nothing announces every obstacle's end.
const READY_LOOK: Duration = Duration::from_millis(50);

impl Health for Status {
    fn obstacles(&self) -> Vec<String> {
        let mut obstacles = Vec::new();
        if *self.stopping.borrow() {
            obstacles.push("stopping".to_owned());
        }
        obstacles.extend(self.asked.get().and_then(tokens::Asked::obstacle));
        match self.parts.get() {
            None => obstacles.push("starting".to_owned()),
            Some((cluster, access, audit)) => {
                obstacles.extend(cluster.trouble().map(|t| format!("cluster: {t}")));
                obstacles.extend(access.obstacle());
                let health = audit.health();
                if health.red {
                    obstacles.push(format!("audit: {}", health.words()));
                }
            }
        }
        self.metrics.ready.set(i64::from(obstacles.is_empty()));
        obstacles
    }

    /// A refused policy file leaves the one in force: no reason to take traffic away.
    fn remarks(&self) -> Vec<String> {
        self.policy.trouble().into_iter().collect()
    }
}

async fn serve_pages(
    address: SocketAddr,
    metrics: &Arc<Metrics>,
    status: &Arc<Status>,
    followers: &mut JoinSet<()>,
) -> Result<SocketAddr, AppError> {
    let failed = |cause| AppError::Metrics { address, cause };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    tracing::info!(address = %bound, "metrics and health");
    let (metrics, status) = (Arc::clone(metrics), Arc::clone(status));
    followers.spawn(async move {
        if let Err(error) = admin::serve(listener, metrics, status).await {
            tracing::error!(%error, "metrics page ended");
        }
    });
    Ok(bound)
}

/// How many clients there may be, told: without more open files `limits.connections: auto` is small on many systems.
fn places(config: &Config) -> usize {
    let files = files::open_files();
    if let Some(words) = files::too_few(config, files) {
        tracing::warn!("{words}");
    }
    let places = config.limits.connections.bound(files);
    tracing::info!(connections = places, open_files = files, "places for clients");
    places
}

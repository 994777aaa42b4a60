//! `kordon.yaml` as plain values: what the parser proved, nothing that could still be wrong.
//!
//! Durations are [`Duration`], sizes [`ByteSize`], paths are already relative to the process's directory
//! (they are written relative to the file they stand in).

mod broker_ports;
mod limits;
mod parse;
mod secret;
mod size;
mod tls;
mod tokens;
mod web;

pub use crate::model::{GroupsFrom, Mechanism, NameFrom, PasswordMechanism, ProtocolAcls, TokenAlgorithm};
pub use broker_ports::{BrokerAddress, Brokers, HostPort, HostPortError};
pub use limits::{Connections, FailedLogins, Limits, ListenerLimits, UpstreamAhead};
pub use parse::{Environment, load, parse};
pub use secret::{Secret, SecretError, SecretSource};
pub use size::ByteSize;
pub use tls::{Authorities, ClientAuth, ClientTrust, KeyPair, ListenerTls, TlsVersion, UpstreamTls};
pub use tokens::{KeySource, TokenIssuer};
pub use web::{WebAddress, WebAddressError};

use crate::model::{Category, Operation, Principal, ResourceType};
use ipnet::IpNet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// The whole configuration of one process, which serves one cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The file it was read from.
    pub file: PathBuf,
    /// This replica's name in audit, metrics and log: `[A-Za-z0-9._-]{1,64}`.
    pub instance: String,
    /// The Kafka cluster behind the proxy.
    pub cluster: Cluster,
    /// Where clients connect; at least one, names are unique, no two bind the same port.
    pub listeners: Vec<Listener>,
    /// The users file; always there when a listener takes passwords.
    pub users: Option<PathBuf>,
    /// How certificates name clients.
    pub certificates: CertificateNames,
    /// Whose tokens are taken; at least one when a listener takes any.
    pub tokens: Vec<TokenIssuer>,
    /// The policy.
    pub policy: Policy,
    /// Where ACLs that are made over the protocol are kept.
    pub state: State,
    /// Where decisions are written.
    pub audit: Audit,
    /// Where metrics and health are served; `None` = nowhere.
    pub metrics: Option<SocketAddr>,
    /// The log.
    pub log: Log,
    /// Bounds of the process.
    pub limits: Limits,
    /// How long a stopping process lets clients finish (`shutdown.drain`).
    pub drain: Duration,
}

impl Config {
    /// What is allowed and yet worth a word at start.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let passes = |l: &Listener| matches!(l.identity, Identity::PassThrough(_));
        for listener in self.listeners.iter().filter(|l| passes(l)) {
            warnings.push(format!(
                "listener `{}` passes logins on to the brokers, which take them from whoever reaches them: the policy and the audit hold only for what comes through the proxy; let nothing else reach the brokers",
                listener.name
            ));
        }
        let shared = |listener: &Listener| listener.upstream.is_none() && !passes(listener);
        let certificate = self.cluster.tls.as_ref().is_some_and(|tls| tls.identity.is_some());
        let known = self.cluster.sasl.is_some() || certificate;
        if known && self.cluster.own.is_none() && self.listeners.iter().any(shared) {
            warnings.push(
                "`cluster.own` is null: quotas of clients' requests throttle the audit too; give it a login of its own"
                    .to_owned(),
            );
        }
        if self.policy.protocol_acls == ProtocolAcls::State && self.state.genesis.is_none() {
            warnings.push(format!(
                "`state.genesis` is null: whatever topic `{}` is found at start is believed; set the id that `kordon state init` prints",
                self.state.topic
            ));
        }
        for (i, listener) in self.listeners.iter().enumerate() {
            if listener.proxy_protocol.iter().any(|network| network.prefix_len() == 0) {
                warnings.push(format!(
                    "`listeners[{i}].proxy_protocol` holds every address: whoever can connect says by himself which address is his"
                ));
            }
        }
        warnings
    }
}

/// The cluster behind the proxy, and how the proxy reaches it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// Part of every audit event's source.
    pub name: String,
    /// At least one; tried in random order.
    pub bootstrap: Vec<HostPort>,
    /// TLS with the brokers; `None` = plaintext.
    pub tls: Option<UpstreamTls>,
    /// The login of connections made for clients.
    pub sasl: Option<UpstreamSasl>,
    /// The login of the proxy's own traffic; `None` = as for clients.
    pub own: Option<UpstreamLogin>,
    /// TCP, TLS and SASL, per address.
    pub connect_timeout: Duration,
    /// For the proxy's own requests; those of clients are never timed by the proxy.
    pub request_timeout: Duration,
    /// How often brokers, topics and versions are asked for without a cause.
    pub metadata_refresh: Duration,
    /// What clients are told of telemetry.
    pub client_telemetry: ClientTelemetry,
}

/// Whether clients are told that the brokers take their metrics (KIP-714).
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum ClientTelemetry {
    /// They are not.
    None,
    /// They are, where the brokers tell of it.
    Forward,
}

impl Cluster {
    /// A cluster that is reached without TLS and without a login, with the defaults of everything else.
    pub fn plain(name: &str, bootstrap: Vec<HostPort>) -> Self {
        Self {
            name: name.to_owned(),
            bootstrap,
            tls: None,
            sasl: None,
            own: None,
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(30),
            metadata_refresh: Duration::from_secs(5),
            client_telemetry: ClientTelemetry::None,
        }
    }

    /// The login of the proxy's own audit, state and metadata traffic.
    pub fn own_sasl(&self) -> Option<&UpstreamSasl> {
        match &self.own {
            Some(own) => own.sasl.as_ref(),
            None => self.sasl.as_ref(),
        }
    }

    /// TLS of the proxy's own traffic.
    pub fn own_tls(&self) -> Option<&UpstreamTls> {
        self.own.as_ref().and_then(|own| own.tls.as_ref()).or(self.tls.as_ref())
    }
}

/// How connections to brokers differ from what `cluster` says: those of the proxy's own traffic (`cluster.own`), those made
/// for the clients of one listener (`listeners[].upstream`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamLogin {
    /// Their TLS; `None` = as `cluster.tls`.
    pub tls: Option<UpstreamTls>,
    /// Their login; `None` = no login.
    pub sasl: Option<UpstreamSasl>,
}

/// A login of the proxy at the brokers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UpstreamSasl {
    /// With a password.
    Password {
        /// The mechanism.
        mechanism: PasswordMechanism,
        /// The user's name.
        username: String,
        /// The password; read when it is needed, so that it can be rotated.
        password: Secret,
    },
    /// OAUTHBEARER, with a token.
    Token {
        /// Where it comes from.
        source: TokenSource,
        /// The claim by which brokers name its bearer; dots descend.
        principal_claim: String,
    },
}

impl UpstreamSasl {
    /// The mechanism's name in SaslHandshake.
    pub fn mechanism(&self) -> &'static str {
        match self {
            Self::Password { mechanism, .. } => mechanism.name(),
            Self::Token { .. } => "OAUTHBEARER",
        }
    }

    /// What is secret of it.
    pub fn secret(&self) -> &Secret {
        match self {
            Self::Password { password, .. } => password,
            Self::Token { source: TokenSource::Given(secret), .. } => secret,
            Self::Token { source: TokenSource::Client(client), .. } => &client.client_secret,
        }
    }

    /// Who logs in; `None` where a token says so.
    pub fn user(&self) -> Option<&str> {
        match self {
            Self::Password { username, .. } => Some(username),
            Self::Token { .. } => None,
        }
    }

    /// Who logs in, in words.
    pub fn who(&self) -> String {
        match self {
            Self::Password { username, .. } => format!("of `{username}`"),
            Self::Token { source: TokenSource::Given(secret), .. } => format!("by the token in {secret:?}"),
            Self::Token { source: TokenSource::Client(client), .. } => {
                format!("by a token of client `{}`", client.client_id)
            }
        }
    }
}

/// Where tokens for logins at brokers come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenSource {
    /// From a place where somebody else renews them; read at each login.
    Given(Secret),
    /// They are asked for.
    Client(TokenClient),
}

/// A client of an endpoint that gives tokens for its credentials (RFC 6749, 4.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenClient {
    /// The endpoint.
    pub token_url: WebAddress,
    /// Who may have signed its certificate.
    pub ca: Authorities,
    /// The client's name there.
    pub client_id: String,
    /// Its secret; read when it is needed.
    pub client_secret: Secret,
    /// What the token is to be good for; `None` = not said.
    pub scope: Option<String>,
}

/// One place where clients connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Unique; in audit, metrics and conditions.
    pub name: String,
    /// The bootstrap address; port 0 takes a free one.
    pub bind: SocketAddr,
    /// The host told to clients; never `0.0.0.0` or `[::]`. An IPv6 address stands without brackets, as on Kafka's wire.
    pub advertise: String,
    /// How each broker is reached.
    pub brokers: Brokers,
    /// TLS with clients; `None` = plaintext.
    pub tls: Option<ListenerTls>,
    /// How a client is named.
    pub identity: Identity,
    /// Whether the policy's `super_users` and `operators` count here.
    pub super_users: bool,
    /// How long a login holds at the most; `None` = for ever.
    pub max_session: Option<Duration>,
    /// Bounds for this listener.
    pub limits: ListenerLimits,
    /// From where connections come, each with a PROXY header in front; empty = from anywhere, without.
    pub proxy_protocol: Vec<IpNet>,
    /// How brokers are connected to for clients of this listener; `None` = as `cluster` says.
    pub upstream: Option<UpstreamLogin>,
}

impl Listener {
    /// The address to bind for a broker; `None` = this listener does not map the id.
    pub fn broker_bind(&self, id: i32) -> Option<SocketAddr> {
        self.brokers.bind(self.bind, id)
    }

    /// Broker ids and the addresses to bind for them before readiness, by ascending id.
    pub fn broker_binds(&self) -> Vec<(i32, SocketAddr)> {
        self.brokers.binds(self.bind)
    }

    /// The address told to clients for a broker; `None` = this listener does not map the id.
    /// `bound` is the port that was really bound for it: it is told where the configuration says port 0.
    pub fn told(&self, id: i32, bound: u16) -> Option<HostPort> {
        self.brokers.told(&self.advertise, id, bound)
    }

    /// The login at the brokers for clients of this listener.
    pub fn upstream_sasl<'a>(&'a self, cluster: &'a Cluster) -> Option<&'a UpstreamSasl> {
        match &self.upstream {
            Some(upstream) => upstream.sasl.as_ref(),
            None => cluster.sasl.as_ref(),
        }
    }

    /// TLS with the brokers for clients of this listener.
    pub fn upstream_tls<'a>(&'a self, cluster: &'a Cluster) -> Option<&'a UpstreamTls> {
        self.upstream.as_ref().and_then(|upstream| upstream.tls.as_ref()).or(cluster.tls.as_ref())
    }
}

/// How a listener finds out who a client is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// Everybody who connects is this principal.
    Fixed(Principal),
    /// A SASL login that the proxy checks against the users file, or by the keys of who issues tokens.
    Sasl(ListenerSasl),
    /// The certificate that the client shows.
    Certificate,
    /// A SASL login that goes on to the broker, on the connection that is then the client's.
    PassThrough(ListenerSasl),
}

/// How certificates name clients (`certificates`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateNames {
    /// Where the name stands.
    pub name_from: NameFrom,
    /// What is made of it: the first rule that applies.
    pub rules: Vec<String>,
    /// Which attributes are groups.
    pub groups_from: GroupsFrom,
}

impl Default for CertificateNames {
    fn default() -> Self {
        Self { name_from: NameFrom::Subject, rules: vec!["DEFAULT".to_owned()], groups_from: GroupsFrom::None }
    }
}

/// SASL of a listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerSasl {
    /// The mechanisms told to clients, in the order of the file; at least one.
    pub mechanisms: Vec<Mechanism>,
    /// Whether passwords and tokens may go over a network without TLS.
    pub without_tls: bool,
}

/// The policy (`policy`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The file; watched.
    pub file: PathBuf,
    /// Where CreateAcls writes.
    pub protocol_acls: ProtocolAcls,
    /// How often the brokers are asked for their ACLs, with [`ProtocolAcls::Cluster`].
    pub acl_poll: Duration,
}

impl Policy {
    /// The policy of a file, with the defaults of everything else.
    pub fn of(file: PathBuf) -> Self {
        Self { file, protocol_acls: ProtocolAcls::State, acl_poll: Duration::from_secs(5) }
    }
}

/// The state topic (`state`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// The topic.
    pub topic: String,
    /// Whether to create it when missing.
    pub create: bool,
    /// At creation only; `None` = min(3, brokers).
    pub replication_factor: Option<i16>,
    /// The id of the only topic that is believed; `None` = the one that is found at start.
    pub genesis: Option<String>,
    /// The end of the topic not confirmed for this long: unready, no new connections.
    pub max_staleness: Duration,
}

impl Default for State {
    fn default() -> Self {
        Self {
            topic: "kordon.state".to_owned(),
            create: true,
            replication_factor: None,
            genesis: None,
            max_staleness: Duration::from_secs(30),
        }
    }
}

/// The audit topic and the way there (`audit`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audit {
    /// The topic.
    pub topic: String,
    /// Topics that events went to before, by another configuration.
    pub former_topics: Vec<String>,
    /// Whether to create it when missing.
    pub create: bool,
    /// At creation only.
    pub partitions: i32,
    /// At creation only; `None` = min(3, brokers).
    pub replication_factor: Option<i16>,
    /// At creation only; `None` = for ever.
    pub retention: Option<Duration>,
    /// Bytes of events on their way.
    pub memory: ByteSize,
    /// No room: requests wait this long, then their connection closes.
    pub full_wait: Duration,
    /// The first that matches says how a decision is written; none = `each`, polling merged over 10 s.
    pub rules: Vec<AuditRule>,
}

impl Default for Audit {
    fn default() -> Self {
        Self {
            topic: "kordon.audit".to_owned(),
            former_topics: Vec::new(),
            create: true,
            partitions: 6,
            replication_factor: None,
            retention: Some(Duration::from_secs(30 * 86_400)),
            memory: ByteSize::mib(64),
            full_wait: Duration::from_secs(30),
            rules: Vec::new(),
        }
    }
}

impl Audit {
    /// Every topic that holds audit events: once one, always protected (threat 20).
    pub fn protected(&self) -> Vec<String> {
        let mut all = self.topics();
        let former = self.former_topics.iter().filter(|topic| !all.contains(topic)).cloned();
        let former: Vec<String> = former.collect();
        all.extend(former);
        all
    }

    /// Every topic that audit events go to, the main one first, without duplicates.
    pub fn topics(&self) -> Vec<String> {
        let mut all = vec![self.topic.clone()];
        for topic in self.rules.iter().filter_map(|rule| rule.topic.as_ref()) {
            if !all.contains(topic) {
                all.push(topic.clone());
            }
        }
        all
    }
}

/// One rule of `audit.rules`. An empty list matches everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRule {
    /// `User:name`, `Group:name` or `User:*`.
    pub principals: Vec<Principal>,
    /// Resources asked for.
    pub resources: Vec<ResourceMatch>,
    /// Operations asked for.
    pub operations: Vec<Operation>,
    /// Categories of requests.
    pub categories: Vec<Category>,
    /// Which outcomes.
    pub result: AuditResult,
    /// How they are written.
    pub level: AuditLevel,
    /// For [`AuditLevel::Merged`]: how long equal decisions are joined.
    pub window: Duration,
    /// Another topic than `audit.topic`.
    pub topic: Option<String>,
}

/// A pattern of an audit rule: `topic:orders`, `topic:tx_*`, `group:*`, `cluster`, `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResourceMatch {
    /// Every resource.
    Any,
    /// Every resource of the type whose name begins so; the empty prefix is every name.
    Prefix(ResourceType, String),
    /// The very resource.
    Literal(ResourceType, String),
}

impl ResourceMatch {
    /// Whether the pattern matches a resource.
    pub fn matches(&self, kind: ResourceType, name: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Prefix(of, prefix) => *of == kind && name.starts_with(prefix.as_str()),
            Self::Literal(of, literal) => *of == kind && name == literal,
        }
    }
}

/// The outcomes that an audit rule matches.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum AuditResult {
    /// Both.
    Any,
    /// Allowed decisions.
    Allowed,
    /// Denied decisions.
    Denied,
}

/// How decisions are written.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum AuditLevel {
    /// One event for each.
    Each,
    /// Equal decisions of a window are one event with a count.
    Merged,
    /// Not written, but counted.
    None,
}

/// The log (`log`).
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// How a line looks.
    pub format: LogFormat,
    /// The least important level that is written.
    pub level: LogLevel,
}

/// How a log line looks.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// How important a log line is.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum LogLevel {
    /// An operator has to act.
    Error,
    /// The proxy recovered by itself.
    Warn,
    /// Rare events.
    Info,
    /// May be one per request.
    Debug,
    /// Everything.
    Trace,
}

impl LogLevel {
    /// The words of the configuration.
    pub const WORDS: [(&'static str, Self); 5] = [
        ("error", Self::Error),
        ("warn", Self::Warn),
        ("info", Self::Info),
        ("debug", Self::Debug),
        ("trace", Self::Trace),
    ];
}

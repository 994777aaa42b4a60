//! A connection to a broker, up to the point where requests may be sent: TCP, then what the broker serves, then login.

use super::credentials::{self, Credentials, LoginFailure, Next, Renewal};
use super::learn::{self, API_VERSIONS};
use super::login::LoginError;
use super::passage::Passage;
use super::tokens::TokenError;
use crate::config::{self, HostPort, SecretError, UpstreamSasl, UpstreamTls};
use crate::enforce::topology::Features;
use crate::telemetry::RenewalMetrics;
use crate::tls::{self, ConnectError, Stream, TlsError};
use crate::wire::message::{decode_response, request_frame};
use crate::wire::schema::api_versions;
use crate::wire::{ApiKey, ErrorCode, Node, Rope, Versions, WireError, api};
use bytes::{Bytes, BytesMut};
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// The client id of the proxy's own connections.
pub const CLIENT_ID: &str = "kordon";

/// The longest answer that is taken before a connection is in use.
const HANDSHAKE_FRAME: usize = 1 << 20;

/// How brokers are dialled.
#[derive(Clone, Debug)]
pub struct Dialler {
    /// For TCP, TLS and login together, per address.
    pub connect_timeout: Duration,
    tls: Option<Arc<tls::Upstream>>,
    credentials: Option<Arc<Credentials>>,
    renewals: Option<RenewalMetrics>,
}

/// A connection that is ready for requests.
#[derive(Debug)]
pub struct Upstream {
    /// The stream; nothing is left unread in it.
    pub stream: Stream,
    /// What the broker serves.
    pub versions: BTreeMap<ApiKey, Versions>,
    /// The features that it tells.
    pub features: Features,
    /// The login, where it is to be made again.
    pub renewal: Option<Renewal>,
}

/// Why a broker could not be dialled.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// No TCP connection.
    #[error("cannot connect to `{address}`: {cause}")]
    Connect {
        /// The address.
        address: String,
        /// What the system says.
        cause: io::Error,
    },
    /// TLS cannot be set up: the files of `cluster.tls`.
    #[error("no TLS with brokers: {0}")]
    Files(#[from] TlsError),
    /// The broker ended the handshake, or did when it was over (TLS 1.3).
    #[error("`{address}` refused TLS: {cause}")]
    TlsRefused {
        /// The address.
        address: String,
        /// Why, as far as it says.
        cause: String,
    },
    /// TLS was not agreed on.
    #[error("no TLS with `{address}`: {cause}")]
    Tls {
        /// The address.
        address: String,
        /// What is wrong, and where to look.
        cause: String,
    },
    /// The connection ended or broke before it was ready.
    #[error("`{address}` ended the connection during {during}: {cause}")]
    Lost {
        /// The address.
        address: String,
        /// Which step.
        during: &'static str,
        /// What the system says.
        cause: io::Error,
    },
    /// Too slow.
    #[error("`{address}` was not ready within {millis} ms: see `cluster.connect_timeout`")]
    TimedOut {
        /// The address.
        address: String,
        /// The limit.
        millis: u128,
    },
    /// What answers is not a Kafka broker that we understand.
    #[error("`{address}` does not answer as a kafka broker does: {cause}")]
    Nonsense {
        /// The address.
        address: String,
        /// What is wrong with the bytes.
        cause: WireError,
    },
    /// A frame whose length cannot be one.
    #[error("`{address}` sent a frame of {size} bytes: {hint}")]
    FrameSize {
        /// The address.
        address: String,
        /// What stands where the length should be.
        size: i32,
        /// What it may be.
        hint: &'static str,
    },
    /// The broker answered with an error.
    #[error("`{address}` refused {during}: {}", code.name())]
    Refused {
        /// The address.
        address: String,
        /// Which step.
        during: &'static str,
        /// The error.
        code: ErrorCode,
    },
    /// The broker does not take the login.
    #[error("`{address}` refused the login {who}: {words}")]
    Login {
        /// The address.
        address: String,
        /// Whose, in words.
        who: String,
        /// What the broker says.
        words: String,
    },
    /// The login went wrong.
    #[error("cannot log in at `{address}`: {cause}")]
    Scram {
        /// The address.
        address: String,
        /// What went wrong.
        cause: LoginError,
    },
    /// The password cannot be read.
    #[error("cannot log in at brokers: {0}")]
    Secret(#[from] SecretError),
    /// There is no token.
    #[error("cannot log in at brokers: {0}")]
    Token(#[from] TokenError),
}

impl DialError {
    fn login(address: &HostPort, failure: LoginFailure) -> Self {
        let address = address.to_string();
        match failure {
            LoginFailure::Refused { who, words } => Self::Login { address, who, words },
            LoginFailure::Handshake(code) => Self::Refused { address, during: "SaslHandshake", code },
            LoginFailure::Nonsense(cause) => Self::Scram { address, cause },
            LoginFailure::Secret(error) => Self::Secret(error),
            LoginFailure::Token(error) => Self::Token(error),
        }
    }
}

impl Dialler {
    /// Dials as whom clients' requests run: `cluster.sasl`.
    pub fn for_clients(cluster: &config::Cluster) -> Self {
        Self::new(cluster.connect_timeout, cluster.tls.as_ref(), cluster.sasl.clone())
    }

    /// Dials as the proxy itself: `cluster.own`, else as for clients.
    pub fn own(cluster: &config::Cluster) -> Self {
        Self::new(cluster.connect_timeout, cluster.own_tls(), cluster.own_sasl().cloned())
    }

    /// Dials for clients of a listener: by `listeners[].upstream`, else as for those of any.
    pub fn for_listener(&self, listener: &config::Listener) -> Self {
        let Some(config::UpstreamLogin { tls, sasl }) = &listener.upstream else { return self.clone() };
        let other = Self::new(self.connect_timeout, tls.as_ref(), sasl.clone());
        Self { tls: other.tls.or_else(|| self.tls.clone()), ..other }
    }

    fn new(connect_timeout: Duration, tls: Option<&UpstreamTls>, sasl: Option<UpstreamSasl>) -> Self {
        let tls = tls.map(|settings| Arc::new(tls::Upstream::new(settings.clone())));
        let credentials = sasl.map(|sasl| Arc::new(Credentials::new(sasl)));
        Self { connect_timeout, tls, credentials, renewals: None }
    }

    /// Has logins again counted, where nobody else does: on the proxy's own connections.
    #[must_use]
    pub fn counted(self, renewals: RenewalMetrics) -> Self {
        Self { renewals: Some(renewals), ..self }
    }

    /// As whom brokers see what this dialler connects, as far as a login says so and it is known.
    pub fn user(&self) -> Option<String> {
        self.credentials.as_ref()?.user()
    }

    /// Has asked for ahead what a login needs, for [`Self::user`] to know it. Must be called within a tokio runtime.
    pub fn ahead(&self) {
        if let Some(credentials) = &self.credentials {
            credentials.ahead();
        }
    }

    /// TLS as this dialler and its clones have it.
    pub fn tls(&self) -> Option<&Arc<tls::Upstream>> {
        self.tls.as_ref()
    }

    /// Whether a broker serves a client that does not log in and shows no certificate: whether it answers Metadata. Whoever reaches such a broker
    /// goes past the proxy.
    ///
    /// # Errors
    /// A [`DialError`]: it could not be found out.
    pub async fn serves_anybody(&self, to: &HostPort) -> Result<bool, DialError> {
        const DURING: &str = "Metadata";
        let stranger = self.tls.as_ref().map(|tls| tls.without_certificate());
        let shows_certificate = self.tls.as_ref().is_some_and(|tls| tls.settings().identity.is_some());
        let attempt = async {
            let met = match Talk::meet(to, stranger.as_ref()).await {
                // A broker says after the handshake that it wants a certificate (TLS 1.3), and its words are lost if it
                // closes before ours are read. One that breaks off for another reason does so with the proxy's certificate
                // too, or not each time.
                Err(lost @ DialError::Lost { .. }) if shows_certificate => {
                    if Talk::meet(to, self.tls.as_deref()).await.is_err() {
                        return Err(lost);
                    }
                    match Talk::meet(to, stranger.as_ref()).await {
                        Err(DialError::Lost { .. }) => return Ok(false),
                        met => met,
                    }
                }
                met => met,
            };
            let (mut talk, served) = match met {
                // The proxy's certificate is its login there.
                Err(DialError::TlsRefused { .. }) => return Ok(false),
                met => met?,
            };
            let ours = api(ApiKey::METADATA).map(|api| api.versions);
            let both = ours.zip(served.get(&ApiKey::METADATA)).map(|(ours, theirs)| ours.intersect(*theirs));
            let Some(version) = both.filter(|both| !both.is_empty()).map(|both| both.max) else { return Ok(false) };
            match talk.ask(ApiKey::METADATA, version, &Node::request(ApiKey::METADATA), DURING).await {
                Ok(_) => Ok(true),
                // As Kafka does with who should have logged in.
                Err(DialError::Lost { .. }) => Ok(false),
                Err(other) => Err(other),
            }
        };
        tokio::time::timeout(self.connect_timeout, attempt).await.unwrap_or_else(|_| Err(self.timed_out(to)))
    }

    fn timed_out(&self, to: &HostPort) -> DialError {
        DialError::TimedOut { address: to.to_string(), millis: self.connect_timeout.as_millis() }
    }

    /// Dials a broker.
    ///
    /// # Errors
    /// A [`DialError`], which names the address.
    pub async fn dial(&self, to: &HostPort) -> Result<Upstream, DialError> {
        let connect = async {
            let mut talk = Talk::open(to, self.tls.as_deref()).await?;
            let (versions, features) = talk.versions().await?;
            let mut renewal = None;
            if let Some(credentials) = &self.credentials {
                let version = credentials::version(&versions);
                let lifetime = talk.log_in(credentials, version).await?;
                renewal = Renewal::new(credentials, version, lifetime, self.connect_timeout)
                    .map(|renewal| renewal.counted(self.renewals.clone()));
            }
            Ok(Upstream { stream: talk.stream, versions, features, renewal })
        };
        tokio::time::timeout(self.connect_timeout, connect).await.unwrap_or_else(|_| Err(self.timed_out(to)))
    }

    /// Dials a broker without a login: the client has its own.
    ///
    /// # Errors
    /// A [`DialError`], which names the address.
    pub async fn passage(&self, to: &HostPort) -> Result<Passage, DialError> {
        let connect = async {
            let mut talk = Talk::open(to, self.tls.as_deref()).await?;
            let (versions, _) = talk.versions().await?;
            Ok(Passage::new(talk, &versions))
        };
        tokio::time::timeout(self.connect_timeout, connect).await.unwrap_or_else(|_| Err(self.timed_out(to)))
    }
}

/// One request after the other, each answered before the next.
pub(super) struct Talk {
    pub(super) stream: Stream,
    pub(super) address: HostPort,
    correlation: i32,
}

impl Talk {
    async fn open(to: &HostPort, tls: Option<&tls::Upstream>) -> Result<Self, DialError> {
        let stream = TcpStream::connect((to.host.as_str(), to.port))
            .await
            .map_err(|cause| DialError::Connect { address: to.to_string(), cause })?;
        // Without it a small request waits for the acknowledgement of the one before.
        let _ = stream.set_nodelay(true);
        let stream = match tls {
            None => Stream::Plain(stream),
            Some(tls) => tls.connect(&to.host, stream).await.map_err(|error| not_secured(to, error))?,
        };
        Ok(Self { stream, address: to.clone(), correlation: 0 })
    }

    /// A connection, and what the broker serves.
    async fn meet(to: &HostPort, tls: Option<&tls::Upstream>) -> Result<(Self, BTreeMap<ApiKey, Versions>), DialError> {
        let mut talk = Self::open(to, tls).await?;
        let (served, _) = talk.versions().await?;
        Ok((talk, served))
    }

    /// Asks what the broker serves: in our newest version first, then in one that it knows (KIP-511).
    async fn versions(&mut self) -> Result<(BTreeMap<ApiKey, Versions>, Features), DialError> {
        use api_versions::response;
        const DURING: &str = "ApiVersions";
        let newest = api(ApiKey::API_VERSIONS).map_or(0, |api| api.versions.max);
        let ask = learn::api_versions();
        let mut version = newest.min(API_VERSIONS);
        loop {
            let answer = self.ask(ApiKey::API_VERSIONS, version, &ask, DURING).await?;
            let served = served(&answer);
            match ErrorCode(answer.i16(response::ERROR_CODE)) {
                ErrorCode::NONE => return Ok((served, learn::features(&answer))),
                ErrorCode::UNSUPPORTED_VERSION if version > 0 => {
                    let known = served.get(&ApiKey::API_VERSIONS).map_or(0, |v| v.max);
                    version = known.clamp(0, version - 1);
                }
                code => return Err(DialError::Refused { address: self.address.to_string(), during: DURING, code }),
            }
        }
    }

    /// Logs in; for how long, if the broker says so.
    async fn log_in(&mut self, credentials: &Arc<Credentials>, version: i16) -> Result<Option<Duration>, DialError> {
        let failed = |failure| DialError::login(&self.address, failure);
        let (mut exchange, mut ask) = Arc::clone(credentials).begin(version).await.map_err(failed)?;
        loop {
            let during = if ask.key == ApiKey::SASL_HANDSHAKE { "SaslHandshake" } else { "SaslAuthenticate" };
            let answer = self.ask(ask.key, ask.version, &ask.body, during).await?;
            match exchange.take(&answer).map_err(|failure| DialError::login(&self.address, failure))? {
                Next::Ask(next) => ask = next,
                Next::Done(lifetime) => return Ok(lifetime),
            }
        }
    }

    pub(super) async fn ask(
        &mut self,
        key: ApiKey,
        version: i16,
        request: &Node,
        during: &'static str,
    ) -> Result<Node, DialError> {
        self.correlation = self.correlation.wrapping_add(1);
        let frame = request_frame(key, version, self.correlation, Some(CLIENT_ID), request);
        // A broker that does not take the proxy's certificate says so only after the handshake (TLS 1.3).
        let lost = |cause: io::Error| match tls::of_tls(&cause) {
            Some(fault) => not_agreed(&self.address, fault),
            None => DialError::Lost { address: self.address.to_string(), during, cause },
        };
        if let Err(cause) = write(&mut self.stream, &frame).await {
            return Err(lost(last_words(&mut self.stream).await.unwrap_or(cause)));
        }
        let size = self.stream.read_i32().await.map_err(lost)?;
        let length = usize::try_from(size)
            .ok()
            .filter(|n| (4..=HANDSHAKE_FRAME).contains(n))
            .ok_or_else(|| DialError::FrameSize { address: self.address.to_string(), size, hint: hint(size) })?;
        let mut body = BytesMut::zeroed(length);
        self.stream.read_exact(&mut body).await.map_err(lost)?;
        let nonsense = |cause| DialError::Nonsense { address: self.address.to_string(), cause };
        let (_, answer) = decode_response(key, version, &body.freeze()).map_err(nonsense)?;
        Ok(answer)
    }
}

async fn write(stream: &mut Stream, frame: &Rope) -> io::Result<()> {
    for chunk in frame.chunks() {
        stream.write_all(chunk).await?;
    }
    stream.flush().await
}

/// What the broker said of TLS before it closed the connection, so that nothing can be written any more.
async fn last_words(stream: &mut Stream) -> Option<io::Error> {
    stream.read_u8().await.err().filter(|error| tls::of_tls(error).is_some())
}

fn not_secured(to: &HostPort, error: ConnectError) -> DialError {
    let address = to.to_string();
    match error {
        ConnectError::Files(error) => DialError::Files(error),
        ConnectError::Name => DialError::Tls { address, cause: error.to_string() },
        ConnectError::Handshake(cause) => {
            let Some(fault) = tls::of_tls(&cause) else {
                let cause = format!("it ended the connection in the handshake, as a plaintext listener does: {cause}");
                return DialError::Tls { address, cause };
            };
            not_agreed(to, fault)
        }
    }
}

fn not_agreed(to: &HostPort, fault: &rustls::Error) -> DialError {
    let (address, cause) = (to.to_string(), tls::broker_fault(fault));
    match fault {
        rustls::Error::AlertReceived(_) => DialError::TlsRefused { address, cause },
        _ => DialError::Tls { address, cause },
    }
}

/// The table of an ApiVersions answer.
fn served(answer: &Node) -> BTreeMap<ApiKey, Versions> {
    use api_versions::response::{self, api_version};
    answer
        .nodes(response::API_KEYS)
        .iter()
        .map(|row| {
            let versions = Versions { min: row.i16(api_version::MIN_VERSION), max: row.i16(api_version::MAX_VERSION) };
            (ApiKey(row.i16(api_version::API_KEY)), versions)
        })
        .collect()
}

/// What a number is that stands where a length should.
fn hint(size: i32) -> &'static str {
    match size.to_be_bytes() {
        [0x15 | 0x16, 0x03, ..] => "the listener wants TLS: set `cluster.tls`",
        [b'H', b'T', b'T', b'P'] => "it speaks HTTP",
        _ => "it is no kafka broker, or its listener wants TLS (`cluster.tls`)",
    }
}

/// Reads one frame, without its size; `None` at the end of the stream.
///
/// # Errors
/// The stream's, or `InvalidData` for a length below 4 or beyond `cap`.
pub(crate) async fn read_frame<R: tokio::io::AsyncRead + Unpin>(
    stream: &mut R,
    cap: usize,
) -> io::Result<Option<Bytes>> {
    let size = match stream.read_i32().await {
        Ok(size) => size,
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(e) => return Err(e),
    };
    let length = usize::try_from(size)
        .ok()
        .filter(|n| (4..=cap).contains(n))
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, format!("a frame of {size} bytes")))?;
    // Grows with what arrives: the length alone sizes nothing.
    let mut body = BytesMut::with_capacity(length.min(64 * 1024));
    let mut rest = stream.take(u64::try_from(length).unwrap_or(u64::MAX));
    while body.len() < length {
        if rest.read_buf(&mut body).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(Some(body.freeze()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Authorities, TlsVersion};
    use rustls::pki_types::PrivateKeyDer;
    use rustls::server::WebPkiClientVerifier;
    use rustls::{RootCertStore, ServerConfig};
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn why_a_broker_does_not_take_a_certificate_is_heard_also_where_it_closed_before_it_was_asked() {
        let dir = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let ca = dir.path().join("ca.pem");
        std::fs::write(&ca, made.cert.pem()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(made.cert.der().clone()).unwrap();
        let asks = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build().unwrap();
        let server = ServerConfig::builder_with_provider(provider).with_protocol_versions(&[&rustls::version::TLS13]);
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let server =
            server.unwrap().with_client_cert_verifier(asks).with_single_cert(vec![made.cert.der().clone()], key);
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(server.unwrap()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let serving = tokio::spawn(async move {
            let (tcp, _) = listener.accept().await.unwrap();
            // Closed at once, as where what the client has sent is not read any more.
            socket2::SockRef::from(&tcp).set_linger(Some(Duration::ZERO)).unwrap();
            acceptor.accept(tcp).await.map(drop).unwrap_err()
        });
        let ca = Authorities::File(ca);
        let tls = UpstreamTls { ca, identity: None, server_name: None, min_version: TlsVersion::Tls12 };
        let to = HostPort { host: at.ip().to_string(), port: at.port() };
        let mut talk = Talk::open(&to, Some(&tls::Upstream::new(tls))).await.unwrap();
        serving.await.unwrap();
        let told = talk.versions().await.unwrap_err();
        assert!(matches!(told, DialError::TlsRefused { .. }), "{told}");
        assert!(told.to_string().contains("it wants a certificate: see `certificate` and `key`"), "{told}");
    }
}

//! A login of the proxy at a broker, as the requests it is made of: SaslHandshake names the mechanism, SaslAuthenticate carries
//! its messages (KIP-152). The same for a first login and for one again on the same connection (KIP-368), whoever sends them.

use super::login::{LoginError, Proving, Salted, Scram, plain};
use super::tokens::{TokenError, Tokens};
use crate::config::{PasswordMechanism, SecretError, UpstreamSasl};
use crate::telemetry::{RenewalMetrics, UpstreamRenewal};
use crate::wire::schema::{sasl_authenticate, sasl_handshake};
use crate::wire::{ApiKey, ErrorCode, Node, Versions, api};
use bytes::Bytes;
use rand::Rng as _;
use rand::distr::{Alphanumeric, SampleString as _};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// What the proxy logs in with at brokers (`cluster.sasl` and those in its place).
#[derive(Debug)]
pub struct Credentials {
    sasl: UpstreamSasl,
    salted: Salted,
    tokens: Option<Tokens>,
}

/// A request to be put to the broker.
#[derive(Debug)]
pub struct Ask {
    /// The API.
    pub key: ApiKey,
    /// In which version.
    pub version: i16,
    /// What is asked.
    pub body: Node,
}

/// What follows from an answer.
#[derive(Debug)]
pub enum Next {
    /// The broker is to be asked this.
    Ask(Ask),
    /// The broker knows the proxy; for so long, if it says so.
    Done(Option<Duration>),
}

/// Why the broker does not know the proxy.
#[derive(Debug, thiserror::Error)]
pub enum LoginFailure {
    /// The broker does not take the login.
    #[error("it refused the login {who}: {words}")]
    Refused {
        /// Whose, in words.
        who: String,
        /// What the broker says.
        words: String,
    },
    /// The broker answered with an error.
    #[error("it refused SaslHandshake: {}", .0.name())]
    Handshake(ErrorCode),
    /// What the broker says is no answer to what was said.
    #[error(transparent)]
    Nonsense(#[from] LoginError),
    /// The password cannot be read.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// There is no token.
    #[error(transparent)]
    Token(#[from] TokenError),
}

/// A login under way.
pub struct Exchange {
    credentials: Arc<Credentials>,
    version: i16,
    stage: Stage,
}

/// What the next answer is one to.
enum Stage {
    /// The handshake; then this is sent.
    Shaken(Message),
    /// The first message of SCRAM.
    First(Scram),
    /// The last message of SCRAM.
    Proof(Proving),
    /// The only message of PLAIN.
    Only,
    /// The token.
    Token,
    /// That its fault was understood (RFC 7628, 3.2.3).
    Understood,
    /// Nothing: it is over.
    Over,
}

enum Message {
    Plain(Vec<u8>),
    Token(Vec<u8>),
    Scram(Scram, Vec<u8>),
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange").field("credentials", &self.credentials).finish_non_exhaustive()
    }
}

impl Credentials {
    /// Of these settings.
    pub fn new(sasl: UpstreamSasl) -> Self {
        let tokens = match &sasl {
            UpstreamSasl::Password { .. } => None,
            UpstreamSasl::Token { source, .. } => Some(Tokens::new(source)),
        };
        Self { sasl, salted: Salted::default(), tokens }
    }

    /// As whom brokers see the proxy, as far as it is known: a token has to be there.
    pub fn user(&self) -> Option<String> {
        match &self.sasl {
            UpstreamSasl::Password { username, .. } => Some(username.clone()),
            UpstreamSasl::Token { principal_claim, .. } => self.tokens.as_ref()?.subject(principal_claim),
        }
    }

    /// Has a token asked for, where that is needed, ahead of the first login. Must be called within a tokio runtime.
    pub fn ahead(&self) {
        if let Some(tokens) = &self.tokens {
            tokens.ahead();
        }
    }

    /// Begins a login at a broker that serves SaslAuthenticate in this version. Secrets are read now: a file may hold another
    /// one than last time.
    ///
    /// # Errors
    /// There is no secret.
    pub async fn begin(self: Arc<Self>, version: i16) -> Result<(Exchange, Ask), LoginFailure> {
        let message = match (&self.sasl, &self.tokens) {
            (_, Some(tokens)) => Message::Token(tokens.take().await?.message()),
            (UpstreamSasl::Password { mechanism, username, password }, None) => {
                let password = password.read()?;
                match mechanism {
                    PasswordMechanism::Plain => Message::Plain(plain(username, &password)),
                    PasswordMechanism::ScramSha256 | PasswordMechanism::ScramSha512 => {
                        let nonce = Alphanumeric.sample_string(&mut rand::rng(), 24);
                        let (scram, first) = Scram::begin(*mechanism, username, password, &nonce);
                        Message::Scram(scram, first)
                    }
                }
            }
            (UpstreamSasl::Token { .. }, None) => return Err(self.refused("there is no token".to_owned())),
        };
        let mechanism = self.sasl.mechanism();
        let body = Node::request(ApiKey::SASL_HANDSHAKE).with(sasl_handshake::request::MECHANISM, mechanism);
        let exchange = Exchange { credentials: self, version, stage: Stage::Shaken(message) };
        Ok((exchange, Ask { key: ApiKey::SASL_HANDSHAKE, version: 1, body }))
    }

    fn refused(&self, words: String) -> LoginFailure {
        LoginFailure::Refused { who: self.sasl.who(), words }
    }
}

impl Exchange {
    /// Takes the broker's answer to what was asked last.
    ///
    /// # Errors
    /// The broker does not take the login, or is not who knows the password.
    pub fn take(&mut self, answer: &Node) -> Result<Next, LoginFailure> {
        let stage = std::mem::replace(&mut self.stage, Stage::Over);
        if let Stage::Shaken(message) = stage {
            self.shaken(answer)?;
            return Ok(match message {
                Message::Plain(bytes) => self.say(bytes, Stage::Only),
                Message::Token(bytes) => self.say(bytes, Stage::Token),
                Message::Scram(scram, bytes) => self.say(bytes, Stage::First(scram)),
            });
        }
        let (bytes, lifetime) = self.authenticated(answer).inspect_err(|_| self.token_refused(&stage))?;
        match stage {
            // What is wrong with the token is told in a message first; the refusal follows when it was understood.
            Stage::Token if !bytes.is_empty() => return Ok(self.say(vec![1], Stage::Understood)),
            Stage::Understood => {
                self.token_refused(&stage);
                return Err(self.credentials.refused("the token is not taken".to_owned()));
            }
            Stage::First(scram) => {
                let (proving, last) = scram.prove(&bytes, &self.credentials.salted)?;
                return Ok(self.say(last, Stage::Proof(proving)));
            }
            Stage::Proof(proving) => proving.finish(&bytes)?,
            Stage::Only | Stage::Token | Stage::Shaken(_) | Stage::Over => {}
        }
        Ok(Next::Done(lifetime))
    }

    fn token_refused(&self, stage: &Stage) {
        if let (Stage::Token | Stage::Understood, Some(tokens)) = (stage, &self.credentials.tokens) {
            tokens.refused();
        }
    }

    fn shaken(&self, answer: &Node) -> Result<(), LoginFailure> {
        use sasl_handshake::response;
        match ErrorCode(answer.i16(response::ERROR_CODE)) {
            ErrorCode::NONE => Ok(()),
            ErrorCode::UNSUPPORTED_SASL_MECHANISM => {
                let offered: Vec<&str> = answer.strs(response::MECHANISMS).collect();
                let mechanism = self.credentials.sasl.mechanism();
                Err(self.credentials.refused(format!("it takes {}, not {mechanism}", offered.join(", "))))
            }
            code => Err(LoginFailure::Handshake(code)),
        }
    }

    /// The broker's message, and how long it will know the proxy; that is none in the older version.
    fn authenticated(&self, answer: &Node) -> Result<(Bytes, Option<Duration>), LoginFailure> {
        use sasl_authenticate::response;
        match ErrorCode(answer.i16(response::ERROR_CODE)) {
            ErrorCode::NONE => {
                let bytes = answer.bytes(response::AUTH_BYTES).cloned().unwrap_or_default();
                let lifetime = u64::try_from(answer.int(response::SESSION_LIFETIME_MS)).ok().filter(|ms| *ms > 0);
                Ok((bytes, lifetime.map(Duration::from_millis)))
            }
            code => {
                let words = answer.opt_str(response::ERROR_MESSAGE).unwrap_or(code.name()).to_owned();
                Err(self.credentials.refused(words))
            }
        }
    }

    fn say(&mut self, bytes: Vec<u8>, then: Stage) -> Next {
        self.stage = then;
        let body =
            Node::request(ApiKey::SASL_AUTHENTICATE).with(sasl_authenticate::request::AUTH_BYTES, Bytes::from(bytes));
        Next::Ask(Ask { key: ApiKey::SASL_AUTHENTICATE, version: self.version, body })
    }
}

/// The newest version of SaslAuthenticate that both sides know.
pub fn version(served: &BTreeMap<ApiKey, Versions>) -> i16 {
    let ours = api(ApiKey::SASL_AUTHENTICATE).map(|api| api.versions).unwrap_or(Versions { min: 0, max: 0 });
    served.get(&ApiKey::SASL_AUTHENTICATE).map_or(0, |theirs| ours.intersect(*theirs).max.max(0))
}

/// A login that ends, and is to be made again on its connection before it does.
#[derive(Clone, Debug)]
pub struct Renewal {
    credentials: Arc<Credentials>,
    version: i16,
    lifetime: Duration,
    /// How long the next login may take.
    pub patience: Duration,
    metrics: Option<RenewalMetrics>,
}

/// Brokers take no second login of a connection within a second (`KafkaChannel.MIN_REAUTH_INTERVAL_ONE_SECOND_NANOS`).
const LEAST: Duration = Duration::from_millis(1_100);

impl Renewal {
    /// Of a login that holds for so long; none of one that holds for ever.
    pub(super) fn new(
        credentials: &Arc<Credentials>,
        version: i16,
        lifetime: Option<Duration>,
        patience: Duration,
    ) -> Option<Self> {
        let metrics = None;
        lifetime.map(|lifetime| Self { credentials: Arc::clone(credentials), version, lifetime, patience, metrics })
    }

    pub(super) fn counted(self, metrics: Option<RenewalMetrics>) -> Self {
        Self { metrics, ..self }
    }

    /// Counts one, where that is not done by others.
    pub(super) fn count(&self, outcome: UpstreamRenewal) {
        if let Some(metrics) = &self.metrics {
            metrics.count(outcome);
        }
    }

    /// How long after the last login the next one is due: at 85 to 95 % of its life, as Java clients do it
    /// (`SaslClientAuthenticator.ReauthInfo`), so that not all connections come at once.
    pub fn due(&self) -> Duration {
        self.lifetime.mul_f64(rand::rng().random_range(0.85..0.95)).max(LEAST)
    }

    /// The same, once the broker has said how long the next login holds; none if it holds for ever.
    #[must_use]
    pub fn again(self, lifetime: Option<Duration>) -> Option<Self> {
        lifetime.map(|lifetime| Self { lifetime, ..self })
    }

    /// Begins the next login.
    ///
    /// # Errors
    /// There is no secret.
    pub async fn begin(&self) -> Result<(Exchange, Ask), LoginFailure> {
        Arc::clone(&self.credentials).begin(self.version).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Secret, SecretSource, TokenSource};
    use sasl_authenticate::response as authenticated;
    use sasl_handshake::response as shaken;

    fn credentials(mechanism: PasswordMechanism) -> Arc<Credentials> {
        let password = Secret(SecretSource::Given("hunter2".to_owned()));
        Arc::new(Credentials::new(UpstreamSasl::Password { mechanism, username: "kordon".to_owned(), password }))
    }

    fn well() -> Node {
        Node::response(ApiKey::SASL_HANDSHAKE).with(shaken::ERROR_CODE, 0)
    }

    fn accepted(lifetime: i64) -> Node {
        Node::response(ApiKey::SASL_AUTHENTICATE).with(authenticated::SESSION_LIFETIME_MS, lifetime)
    }

    #[tokio::test]
    async fn a_login_tells_how_long_it_holds_and_shows_no_secret() {
        let (mut exchange, ask) = credentials(PasswordMechanism::Plain).begin(2).await.unwrap();
        assert_eq!((ask.key, ask.version), (ApiKey::SASL_HANDSHAKE, 1));
        let Next::Ask(ask) = exchange.take(&well()).unwrap() else { panic!() };
        assert_eq!((ask.key, ask.version), (ApiKey::SASL_AUTHENTICATE, 2));
        let sent = ask.body.bytes(sasl_authenticate::request::AUTH_BYTES).unwrap();
        assert_eq!(&sent[..], b"\0kordon\0hunter2");
        assert!(!format!("{exchange:?}").contains("hunter2"));
        assert!(matches!(exchange.take(&accepted(4_000)), Ok(Next::Done(Some(life))) if life.as_secs() == 4));

        let (mut exchange, _) = credentials(PasswordMechanism::Plain).begin(2).await.unwrap();
        exchange.take(&well()).unwrap();
        assert!(matches!(exchange.take(&accepted(0)), Ok(Next::Done(None))));
    }

    #[tokio::test]
    async fn what_the_broker_refuses_is_told_in_its_words() {
        let refused = accepted(0).with(authenticated::ERROR_CODE, ErrorCode::SASL_AUTHENTICATION_FAILED);
        let refused = refused.with(authenticated::ERROR_MESSAGE, "no");
        let (mut exchange, _) = credentials(PasswordMechanism::ScramSha256).begin(2).await.unwrap();
        exchange.take(&well()).unwrap();
        let told = exchange.take(&refused).unwrap_err().to_string();
        assert_eq!(told, "it refused the login of `kordon`: no");
        let (mut exchange, _) = credentials(PasswordMechanism::Plain).begin(2).await.unwrap();
        let told = exchange.take(&well().with(shaken::ERROR_CODE, 34)).unwrap_err().to_string();
        assert_eq!(told, "it refused SaslHandshake: ILLEGAL_SASL_STATE");
    }

    #[tokio::test]
    async fn a_token_is_shown_and_its_refusal_is_heard_out() {
        let source = TokenSource::Given(Secret(SecretSource::Given("e30.e30.c2ln".to_owned())));
        let login = UpstreamSasl::Token { source, principal_claim: "sub".to_owned() };
        let credentials = Arc::new(Credentials::new(login));
        let said = |next: Next| {
            let Next::Ask(ask) = next else { panic!("{next:?}") };
            ask.body.bytes(sasl_authenticate::request::AUTH_BYTES).unwrap().clone()
        };
        let (mut exchange, ask) = Arc::clone(&credentials).begin(2).await.unwrap();
        assert_eq!(ask.body.str(sasl_handshake::request::MECHANISM), "OAUTHBEARER");
        assert_eq!(&said(exchange.take(&well()).unwrap())[..], b"n,,\x01auth=Bearer e30.e30.c2ln\x01\x01");
        assert!(!format!("{exchange:?}").contains("c2ln"));
        assert!(matches!(exchange.take(&accepted(4_000)), Ok(Next::Done(Some(_)))));

        let (mut exchange, _) = Arc::clone(&credentials).begin(2).await.unwrap();
        exchange.take(&well()).unwrap();
        let fault = accepted(0).with(authenticated::AUTH_BYTES, Bytes::from_static(b"{\"status\":\"invalid_token\"}"));
        assert_eq!(&said(exchange.take(&fault).unwrap())[..], b"\x01");
        let refused = accepted(0).with(authenticated::ERROR_CODE, ErrorCode::SASL_AUTHENTICATION_FAILED);
        let told = exchange.take(&refused.with(authenticated::ERROR_MESSAGE, "no")).unwrap_err().to_string();
        assert_eq!(told, "it refused the login by the token in what was given: no");

        let (mut exchange, _) = credentials.begin(2).await.unwrap();
        exchange.take(&well()).unwrap();
        exchange.take(&fault).unwrap();
        let told = exchange.take(&accepted(0)).unwrap_err();
        assert!(matches!(told, LoginFailure::Refused { .. }), "a yes after a no is none");
    }

    #[test]
    fn the_next_login_is_due_at_85_to_95_percent_of_the_life_of_the_last() {
        let renewal = |lifetime| {
            let life = Some(Duration::from_millis(lifetime));
            Renewal::new(&credentials(PasswordMechanism::Plain), 2, life, Duration::ZERO).unwrap()
        };
        for _ in 0..100 {
            let due = renewal(10_000).due().as_millis();
            assert!((8_500..=9_500).contains(&due), "{due}");
            assert_eq!(renewal(1_000).due(), LEAST, "not twice within a second");
        }
        assert!(renewal(1).again(None).is_none());
    }
}

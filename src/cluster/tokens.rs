//! Tokens for logins at brokers by OAUTHBEARER: taken from a secret at each login, or asked for with a client's credentials
//! (RFC 6749, 4.4), kept, and renewed before they end. No token is in an error, in the log, or in what Debug shows.

use super::metadata::jittered;
use crate::clock::now;
use crate::config::{Secret, SecretError, TokenClient, TokenSource};
use crate::http::{Ask, HttpError};
use crate::identity::tokens::claim_at;
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use serde_json::Value;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;
use tokio::time::Instant;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The largest answer that is read.
const LARGEST: usize = 256 * 1024;
/// The least time between two questions, whatever their cause.
const PACE: Duration = Duration::from_secs(1);
/// The least time between a token and the next one that is asked for because a broker refused it.
const REFUSED: Duration = Duration::from_secs(10);
/// The longest wait after an attempt that failed.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// The life of a token that does not tell it.
const UNTOLD: Duration = Duration::from_secs(300);
/// A longer life is not counted on.
const LONGEST_LIFE: Duration = Duration::from_secs(24 * 3600);

/// Why there is no token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// The secret cannot be read, in words.
    #[error("{0}")]
    Secret(String),
    /// What should be a token is none.
    #[error("{0} is no bearer token: it holds a character that none has")]
    NoToken(String),
    /// The endpoint gave none, and there is none left that holds.
    #[error("no token from `token_url`: {0}")]
    Endpoint(Arc<str>),
}

impl From<SecretError> for TokenError {
    fn from(error: SecretError) -> Self {
        Self::Secret(error.to_string())
    }
}

/// Where tokens come from.
#[derive(Debug)]
pub(super) enum Tokens {
    /// Somebody else renews them.
    Given(Secret),
    /// They are asked for.
    Asked(Asked),
}

/// A bearer token.
#[derive(Clone)]
pub(super) struct Token(Arc<str>);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

impl Token {
    /// RFC 6750: what can stand behind `Bearer`.
    fn parse(text: &str) -> Option<Self> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~+/".contains(&b);
        let body = text.trim_end_matches('=');
        (!body.is_empty() && body.bytes().all(plain)).then(|| Self(text.into()))
    }

    /// The first message of OAUTHBEARER (RFC 7628, 3.1).
    pub(super) fn message(&self) -> Vec<u8> {
        format!("n,,\u{1}auth=Bearer {}\u{1}\u{1}", self.0).into_bytes()
    }

    /// What the token says, if it is one that can be read. Nobody has checked it.
    fn claims(&self) -> Option<Value> {
        let claims = self.0.split('.').nth(1)?;
        let claims = BASE64_URL_SAFE_NO_PAD.decode(claims.trim_end_matches('=')).ok()?;
        serde_json::from_slice(&claims).ok()
    }

    /// As whom brokers see who shows it that look at this claim (`sasl.oauthbearer.sub.claim.name`).
    pub(super) fn subject(&self, claim: &str) -> Option<String> {
        claim_at(&self.claims()?, claim)?.as_str().map(str::to_owned)
    }
}

impl Tokens {
    pub(super) fn new(source: &TokenSource) -> Self {
        match source {
            TokenSource::Given(secret) => Self::Given(secret.clone()),
            TokenSource::Client(client) => Self::Asked(Asked { client: client.clone(), keeper: Mutex::default() }),
        }
    }

    /// A token that holds, as far as it is known. Must be called within a tokio runtime.
    pub(super) async fn take(&self) -> Result<Token, TokenError> {
        match self {
            Self::Given(secret) => {
                let text = secret.read()?;
                Token::parse(text.trim()).ok_or_else(|| TokenError::NoToken(format!("the secret in {secret:?}")))
            }
            Self::Asked(asked) => asked.take().await,
        }
    }

    /// Has a token asked for ahead of the first login, for whom it names to be known by then (threat 18). Must be called
    /// within a tokio runtime.
    pub(super) fn ahead(&self) {
        if let Self::Asked(asked) = self {
            asked.kept();
        }
    }

    /// As whom brokers see the proxy by this claim of the token at hand, if one is.
    pub(super) fn subject(&self, claim: &str) -> Option<String> {
        match self {
            Self::Given(secret) => Token::parse(secret.read().ok()?.trim())?.subject(claim),
            Self::Asked(asked) => {
                let keeper = asked.keeper.lock().unwrap_or_else(PoisonError::into_inner);
                let kept = keeper.as_ref()?.kept.borrow().token.clone();
                kept?.0.subject(claim)
            }
        }
    }

    /// A broker does not take this token: it may have been taken back.
    pub(super) fn refused(&self) {
        if let Self::Asked(asked) = self
            && let Some(keeper) = &*asked.keeper.lock().unwrap_or_else(PoisonError::into_inner)
        {
            keeper.refused.notify_one();
        }
    }
}

/// Tokens for a client's credentials. One task asks, one request after the other, from the first login on.
#[derive(Debug)]
pub(super) struct Asked {
    client: TokenClient,
    keeper: Mutex<Option<Keeper>>,
}

#[derive(Debug)]
struct Keeper {
    kept: watch::Receiver<Kept>,
    refused: Arc<Notify>,
    task: AbortHandle,
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What came of the questions so far.
#[derive(Clone, Debug, Default)]
struct Kept {
    /// With its end.
    token: Option<(Token, Instant)>,
    /// Why the last one has no token.
    trouble: Option<Arc<str>>,
}

impl Kept {
    fn holds(&self) -> Option<&Token> {
        self.token.as_ref().filter(|(_, end)| Instant::now() < *end).map(|(token, _)| token)
    }
}

impl Asked {
    /// What comes of the questions, the first of which is asked now if none was.
    fn kept(&self) -> watch::Receiver<Kept> {
        let mut keeper = self.keeper.lock().unwrap_or_else(PoisonError::into_inner);
        // One that ended with its runtime is begun anew.
        let keeper = match keeper.take().filter(|keeper| !keeper.task.is_finished()) {
            Some(going) => keeper.insert(going),
            None => keeper.insert(Keeper::start(self.client.clone())),
        };
        keeper.kept.clone()
    }

    async fn take(&self) -> Result<Token, TokenError> {
        let mut kept = self.kept();
        // An outage counts from where the last token has ended; then each login says so.
        let known = kept.wait_for(|kept| kept.holds().is_some() || kept.trouble.is_some()).await;
        let known = known.map_err(|_| TokenError::Endpoint("the process stops".into()))?;
        match (known.holds(), &known.trouble) {
            (Some(token), _) => Ok(token.clone()),
            (None, trouble) => Err(TokenError::Endpoint(trouble.clone().unwrap_or_else(|| "there is none".into()))),
        }
    }
}

impl Keeper {
    fn start(client: TokenClient) -> Self {
        let (tell, kept) = watch::channel(Kept::default());
        let refused = Arc::new(Notify::new());
        let task = tokio::spawn(keep(client, tell, Arc::clone(&refused))).abort_handle();
        Self { kept, refused, task }
    }
}

/// Asks for tokens, each before the last has ended.
async fn keep(client: TokenClient, tell: watch::Sender<Kept>, refused: Arc<Notify>) {
    let mut wait = PACE;
    loop {
        let asked = Instant::now();
        match ask(&client).await {
            Ok((token, life)) => {
                let was = tell.borrow().trouble.clone();
                if let Some(cause) = was {
                    tracing::warn!(client = client.client_id, %cause, "tokens for brokers can be had again");
                }
                tell.send_replace(Kept { token: Some((token, asked + life)), trouble: None });
                wait = PACE;
                // Ahead of 85 %, where logins are made again.
                let next = asked + life.mul_f64(0.75).max(PACE);
                tokio::select! {
                    () = tokio::time::sleep_until(next) => {}
                    // No later than without: a short token would end meanwhile.
                    () = refused.notified() => tokio::time::sleep_until(next.min(asked + REFUSED)).await,
                }
            }
            Err(cause) => {
                let cause: Arc<str> = cause.into();
                let known = tell.borrow().trouble.clone();
                if known.is_none() {
                    tracing::warn!(client = client.client_id, %cause, "no new token for logins at brokers: asked again");
                }
                tell.send_modify(|kept| kept.trouble = Some(cause));
                tokio::time::sleep(jittered(wait)).await;
                wait = (wait * 2).min(LONGEST_WAIT);
            }
        }
    }
}

/// One token and its life.
async fn ask(client: &TokenClient) -> Result<(Token, Duration), String> {
    let secret = client.client_secret.read().map_err(|error| error.to_string())?;
    let mut fields = vec![("grant_type", "client_credentials")];
    if let Some(scope) = &client.scope {
        fields.push(("scope", scope.as_str()));
    }
    let ask = Ask { address: &client.token_url, ca: &client.ca, timeout: PATIENCE, most: LARGEST };
    let (id, secret) = (encoded(&client.client_id), encoded(&secret));
    let answer = ask.post_form(&fields, Some((&id, &secret))).await.map_err(|error| in_words(&error))?;
    read(&answer)
}

/// RFC 6749, 2.3.1: a client's name and secret are encoded as in a form before they are joined.
fn encoded(text: &str) -> String {
    text.bytes()
        .map(|b| match b {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'*' => char::from(b).to_string(),
            b' ' => "+".to_owned(),
            other => format!("%{other:02X}"),
        })
        .collect()
}

/// What an endpoint answers that refuses (RFC 6749, 5.2). Its own description is not repeated: it may hold what was sent.
const REFUSALS: [&str; 6] = [
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "unauthorized_client",
    "unsupported_grant_type",
    "invalid_scope",
];

fn in_words(error: &HttpError) -> String {
    let HttpError::Refused { body, .. } = error else { return error.to_string() };
    let body = serde_json::from_slice::<Value>(body).unwrap_or_default();
    let told = body.get("error").and_then(Value::as_str);
    match told.and_then(|told| REFUSALS.into_iter().find(|refusal| *refusal == told)) {
        Some(refusal) => format!("{error}: {refusal}"),
        None => error.to_string(),
    }
}

/// Reads an answer (RFC 6749, 5.1).
fn read(answer: &[u8]) -> Result<(Token, Duration), String> {
    let answer: Value = serde_json::from_slice(answer).map_err(|_| "its answer is no JSON".to_owned())?;
    let text = |key: &str| answer.get(key).and_then(Value::as_str);
    let token = text("access_token").ok_or("its answer holds no `access_token`")?;
    if text("token_type").is_some_and(|kind| !kind.eq_ignore_ascii_case("bearer")) {
        return Err("its token is of another type than `Bearer`".to_owned());
    }
    let token = Token::parse(token).ok_or("its token is no bearer token")?;
    // Some write it in quotes.
    let seconds = |value: &Value| value.as_u64().or_else(|| value.as_str()?.parse().ok());
    let told = answer.get("expires_in").and_then(seconds).map(Duration::from_secs);
    let life = told.or_else(|| left(&token)).unwrap_or(UNTOLD).min(LONGEST_LIFE);
    if life.is_zero() { Err("its token has ended already".to_owned()) } else { Ok((token, life)) }
}

/// How long a token says that it holds.
fn left(token: &Token) -> Option<Duration> {
    let end = Duration::try_from_secs_f64(token.claims()?.get("exp")?.as_f64()?).ok()?;
    Some(end.saturating_sub(Duration::from_millis(u64::try_from(now().0).ok()?)))
}

#[cfg(test)]
mod tests;

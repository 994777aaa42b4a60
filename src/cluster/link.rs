//! The proxy's own requests over one connection: pipelined, answered in order, each with a deadline.

use super::credentials::{LoginFailure, Next, Renewal};
use super::dial::{CLIENT_ID, Upstream, read_frame};
use crate::enforce::topology::Features;
use crate::session::Outbox;
use crate::telemetry::UpstreamRenewal;
use crate::tls::Stream;
use crate::wire::message::{decode_response, request_frame};
use crate::wire::{ApiKey, Node, Rope, Versions, WireError, api};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::future::{Future as _, poll_fn};
use std::io::{self, IoSlice};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::AbortHandle;

/// The longest answer to a request of ours: Metadata of a very large cluster.
const ANSWER: usize = 256 << 20;

/// Pieces of a request that are written at once.
const SLICES: usize = 32;

/// How many requests may stand unanswered.
const AHEAD: usize = 32;

/// A connection for requests of our own. Cheap to clone; closed when the last clone is dropped.
#[derive(Clone, Debug)]
pub struct Link {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    calls: mpsc::Sender<Call>,
    versions: BTreeMap<ApiKey, Versions>,
    features: Features,
    correlation: AtomicI32,
    timeout: Duration,
    closed: watch::Receiver<Option<Arc<str>>>,
    /// Why it was given up.
    given_up: OnceLock<&'static str>,
    task: AbortHandle,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Call {
    frame: Rope,
    correlation: i32,
    reply: oneshot::Sender<Bytes>,
}

/// Why a request has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// The connection is gone. Whether the request was carried out is not known.
    #[error("the connection to the broker is closed: {0}")]
    Closed(Arc<str>),
    /// No answer in time; the connection is closed. Whether the request was carried out is not known.
    #[error("no answer to {api} within {millis} ms: see `cluster.request_timeout`")]
    TimedOut {
        /// The API's name.
        api: &'static str,
        /// The limit.
        millis: u128,
    },
    /// The broker serves no version of the API that we know.
    #[error("the broker serves no version of {api} that this proxy knows")]
    NotServed {
        /// The API's name.
        api: &'static str,
    },
    /// The answer cannot be read.
    #[error("the broker's answer to {api} cannot be read: {cause}")]
    Nonsense {
        /// The API's name.
        api: &'static str,
        /// What is wrong with it.
        cause: WireError,
    },
}

impl Link {
    /// Puts a connection to use; every request has `timeout` to be answered. Must be called within a tokio runtime.
    pub fn new(upstream: Upstream, timeout: Duration) -> Self {
        let (calls, queue) = mpsc::channel(AHEAD);
        let (end, closed) = watch::channel(None);
        let again = (upstream.renewal, timeout);
        let task = match upstream.stream {
            Stream::Plain(tcp) => {
                let (reads, writes) = tcp.into_split();
                tokio::spawn(run(reads, writes, queue, again, end))
            }
            tls @ Stream::Tls(_) => {
                let (reads, writes) = tokio::io::split(tls);
                tokio::spawn(run(reads, writes, queue, again, end))
            }
        };
        let task = task.abort_handle();
        let (versions, features) = (upstream.versions, upstream.features);
        let correlation = AtomicI32::new(0);
        let given_up = OnceLock::new();
        Self { shared: Arc::new(Shared { calls, versions, features, correlation, timeout, closed, given_up, task }) }
    }

    /// What the broker serves.
    pub fn versions(&self) -> &BTreeMap<ApiKey, Versions> {
        &self.shared.versions
    }

    /// The features that the broker told when it was dialled.
    pub fn features(&self) -> &Features {
        &self.shared.features
    }

    /// The newest version of an API that both sides know, and not above `cap`.
    pub fn version(&self, key: ApiKey, cap: i16) -> Option<i16> {
        let ours = api(key)?.versions;
        let both = ours.intersect(*self.shared.versions.get(&key)?);
        let version = both.max.min(cap);
        both.contains(version).then_some(version)
    }

    /// Sends a request in the newest version that both sides know, and waits for its answer.
    ///
    /// # Errors
    /// A [`LinkError`]; errors that the broker tells stand in the answer.
    pub async fn call(&self, key: ApiKey, request: &Node) -> Result<Node, LinkError> {
        self.call_at_most(key, i16::MAX, request).await
    }

    /// As [`Self::call`], in a version not above `cap`.
    ///
    /// # Errors
    /// A [`LinkError`]; errors that the broker tells stand in the answer.
    pub async fn call_at_most(&self, key: ApiKey, cap: i16, request: &Node) -> Result<Node, LinkError> {
        let version = self.version(key, cap).ok_or(LinkError::NotServed { api: key.name() })?;
        let correlation = self.shared.correlation.fetch_add(1, Ordering::Relaxed);
        let frame = request_frame(key, version, correlation, Some(CLIENT_ID), request);
        let (reply, answer) = oneshot::channel();
        let exchange = async {
            let call = Call { frame, correlation, reply };
            self.shared.calls.send(call).await.map_err(|_| self.cause())?;
            answer.await.map_err(|_| self.cause())
        };
        let Ok(answer) = tokio::time::timeout(self.shared.timeout, exchange).await else {
            // Answers come in order: behind one that does not come there is none.
            self.shared.task.abort();
            return Err(LinkError::TimedOut { api: key.name(), millis: self.shared.timeout.as_millis() });
        };
        let (_, node) =
            decode_response(key, version, &answer?).map_err(|cause| LinkError::Nonsense { api: key.name(), cause })?;
        Ok(node)
    }

    /// As [`Self::call`], with less patience; a connection that does not answer in time is closed.
    ///
    /// # Errors
    /// A [`LinkError`]; errors that the broker tells stand in the answer.
    pub async fn call_within(&self, within: Duration, key: ApiKey, request: &Node) -> Result<Node, LinkError> {
        tokio::time::timeout(within, self.call(key, request)).await.unwrap_or_else(|_| {
            self.shared.task.abort();
            Err(LinkError::TimedOut { api: key.name(), millis: within.as_millis() })
        })
    }

    /// Ends the connection: who waits for an answer on it is told so at once, whoever holds it.
    pub(super) fn give_up(&self, why: &'static str) {
        let _ = self.shared.given_up.set(why);
        self.shared.task.abort();
    }

    /// Whether the connection is gone.
    pub fn is_closed(&self) -> bool {
        self.shared.task.is_finished() || self.shared.calls.is_closed()
    }

    /// Waits until the connection is gone; tells why.
    pub async fn closed(&self) -> Arc<str> {
        let mut closed = self.shared.closed.clone();
        let cause = closed.wait_for(Option::is_some).await.ok().and_then(|cause| cause.clone());
        cause.unwrap_or_else(|| self.why_given_up())
    }

    fn cause(&self) -> LinkError {
        let cause = self.shared.closed.borrow().clone();
        LinkError::Closed(cause.unwrap_or_else(|| self.why_given_up()))
    }

    fn why_given_up(&self) -> Arc<str> {
        self.shared.given_up.get().copied().unwrap_or("a request was not answered in time").into()
    }
}

/// Writes a request; `false` if nobody reads answers any more.
async fn send(writes: &mut (impl AsyncWrite + Unpin), waiting: &Waiting, call: Call) -> io::Result<bool> {
    let Call { frame, correlation, reply } = call;
    if waiting.send((correlation, reply)).await.is_err() {
        return Ok(false);
    }
    let mut rest = Outbox::default();
    rest.push_rope(frame);
    while !rest.is_empty() {
        let mut slices = [IoSlice::new(&[]); SLICES];
        let filled = rest.slices(&mut slices);
        match writes.write_vectored(slices.get(..filled).unwrap_or_default()).await? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            n => rest.advance(n),
        }
    }
    writes.flush().await?;
    Ok(true)
}

/// Logs in again (KIP-368); the next login, if that is to be made again too.
async fn log_in_again(
    renewal: Renewal,
    writes: &mut (impl AsyncWrite + Unpin),
    waiting: &Waiting,
    patience: Duration,
) -> io::Result<Option<Renewal>> {
    let failed = |failure: LoginFailure| {
        renewal.count(UpstreamRenewal::Failed);
        tracing::warn!(%failure, "the proxy cannot log in again at a broker: its own connection there ends");
        io::Error::other(format!("cannot log in again: {failure}"))
    };
    let exchange = async {
        let (mut exchange, mut ask) = renewal.begin().await.map_err(failed)?;
        // Apart from those of calls.
        let mut correlation = -1;
        loop {
            let frame = request_frame(ask.key, ask.version, correlation, Some(CLIENT_ID), &ask.body);
            let (reply, answer) = oneshot::channel();
            if !send(writes, waiting, Call { frame, correlation, reply }).await? {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
            }
            let answer = answer.await.map_err(|_| io::Error::from(io::ErrorKind::UnexpectedEof))?;
            let (_, answer) = decode_response(ask.key, ask.version, &answer)
                .map_err(|cause| io::Error::new(io::ErrorKind::InvalidData, cause.to_string()))?;
            match exchange.take(&answer).map_err(failed)? {
                Next::Ask(next) => ask = next,
                Next::Done(lifetime) => return Ok(lifetime),
            }
            correlation -= 1;
        }
    };
    // As long as any request of ours: it waits behind those before it.
    let late = || {
        renewal.count(UpstreamRenewal::Failed);
        io::Error::new(io::ErrorKind::TimedOut, "the login again was not answered in time")
    };
    let lifetime = tokio::time::timeout(patience, exchange).await.map_err(|_| late()).flatten()?;
    renewal.count(UpstreamRenewal::Renewed);
    tracing::debug!("logged in again at a broker");
    Ok(renewal.again(lifetime))
}

/// Who waits for an answer, in the order of the requests.
type Waiting = mpsc::Sender<(i32, oneshot::Sender<Bytes>)>;

/// Writes requests and reads answers until either side ends. The two halves run beside each other, so that an answer
/// is read while a long request is still being written.
async fn run(
    mut reads: impl AsyncRead + Unpin,
    mut writes: impl AsyncWrite + Unpin,
    mut queue: mpsc::Receiver<Call>,
    (mut renewal, timeout): (Option<Renewal>, Duration),
    end: watch::Sender<Option<Arc<str>>>,
) {
    let (waiting, mut waited) = mpsc::channel::<(i32, oneshot::Sender<Bytes>)>(AHEAD);
    let logs_in = AtomicBool::new(false);
    let write = async {
        let mut due = pin!(tokio::time::sleep(renewal.as_ref().map_or(Duration::ZERO, Renewal::due)));
        loop {
            // Both may be dropped: a call that is not taken stays in the queue.
            let call = tokio::select! {
                biased;
                () = &mut due, if renewal.is_some() => None,
                call = queue.recv() => Some(call),
            };
            match (call, renewal.take()) {
                (None, Some(ending)) => {
                    // Answers come in the order of the requests; none is written until the broker knows the proxy again.
                    logs_in.store(true, Ordering::Relaxed);
                    renewal = log_in_again(ending, &mut writes, &waiting, timeout).await?;
                    logs_in.store(false, Ordering::Relaxed);
                    due.set(tokio::time::sleep(renewal.as_ref().map_or(Duration::ZERO, Renewal::due)));
                }
                (Some(Some(call)), still) => {
                    renewal = still;
                    if !send(&mut writes, &waiting, call).await? {
                        return Ok(());
                    }
                }
                (Some(None), _) | (None, None) => return Ok(()),
            }
        }
    };
    let read = async {
        while let Some(frame) = read_frame(&mut reads, ANSWER).await? {
            let Some((correlation, reply)) = waited.recv().await else { break };
            if frame.first_chunk() != Some(&correlation.to_be_bytes()) {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "an answer out of order"));
            }
            // Who asked may have given up.
            let _ = reply.send(frame);
        }
        Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the broker closed it"))
    };
    // Neither branch is resumed after the other ended: the connection is closed with both. But brokers refuse a login and
    // close in one go (`connection.failed.authentication.delay.ms` holds both back): why is in an answer that was read already.
    let result: io::Result<()> = {
        let mut write = pin!(write);
        tokio::select! {
            r = &mut write => r,
            r = read => match logs_in.load(Ordering::Relaxed) {
                true => match poll_fn(|context| Poll::Ready(write.as_mut().poll(context))).await {
                    Poll::Ready(why @ Err(_)) => why,
                    Poll::Ready(Ok(())) | Poll::Pending => r,
                },
                false => r,
            },
        }
    };
    let cause = result.err().map_or_else(|| "the proxy closed it".to_owned(), |e| e.to_string());
    queue.close();
    let _ = end.send(Some(cause.into()));
}

#[cfg(test)]
mod tests {
    use super::super::credentials::Credentials;
    use super::*;
    use crate::config::{PasswordMechanism, Secret, SecretSource, UpstreamSasl};
    use crate::telemetry::Metrics;
    use crate::wire::message::response_frame;
    use crate::wire::schema::{sasl_authenticate, sasl_handshake};

    #[tokio::test]
    async fn a_login_again_that_a_broker_refuses_as_it_closes_is_counted_and_told() {
        let metrics = Metrics::new().unwrap();
        let password = Secret(SecretSource::Given("hunter2".to_owned()));
        let mechanism = PasswordMechanism::Plain;
        let credentials =
            Credentials::new(UpstreamSasl::Password { mechanism, username: "kordon".to_owned(), password });
        // As soon as brokers take it: after a good second.
        let life = Some(Duration::ZERO);
        let renewal = Renewal::new(&Arc::new(credentials), 2, life, Duration::ZERO).unwrap();
        let renewal = renewal.counted(Some(metrics.own_renewals()));
        let (proxy, mut broker) = tokio::io::duplex(64 * 1024);
        let (reads, writes) = tokio::io::split(proxy);
        let (_calls, queue) = mpsc::channel(1);
        let (end, ended) = watch::channel(None);
        let serving = async move {
            for answer in [
                Node::response(ApiKey::SASL_HANDSHAKE).with(sasl_handshake::response::ERROR_CODE, 0_i16),
                Node::response(ApiKey::SASL_AUTHENTICATE).with(sasl_authenticate::response::ERROR_CODE, 58_i16),
            ] {
                let asked = read_frame(&mut broker, ANSWER).await.unwrap().unwrap();
                let part = |at: usize| i16::from_be_bytes(asked[at..at + 2].try_into().unwrap());
                let correlation = i32::from_be_bytes(asked[4..8].try_into().unwrap());
                let answer = response_frame(ApiKey(part(0)), part(2), correlation, &answer).into_bytes();
                broker.write_all(&answer).await.unwrap();
            }
            // And closes: nothing comes between.
        };
        tokio::join!(run(reads, writes, queue, (Some(renewal), Duration::from_secs(60)), end), serving);
        let cause = ended.borrow().clone().unwrap();
        assert!(cause.starts_with("cannot log in again: "), "{cause}");
        let text = metrics.render().unwrap();
        let counted = "kordon_upstream_renewals_total{connections=\"own\",outcome=\"failed\"} 1\n";
        assert!(text.contains(counted), "{text}");
    }
}

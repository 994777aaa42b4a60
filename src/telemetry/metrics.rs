//! Handles of the metrics, resolved once: counting is an atomic addition, without a map or a lock.

use super::specs::{self, Spec};
use crate::model::{CloseReason, Revision, Timestamp};
use crate::wire::api::{ApiKey, apis};
use prometheus::core::Collector;
use prometheus::{
    Encoder, Gauge, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder,
};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// The metrics of the process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// By API key.
    apis: Vec<ApiMetrics>,
    /// For keys that Kafka does not have.
    unknown: ApiMetrics,
    connections: IntGaugeVec,
    opened: IntCounterVec,
    closed: IntCounterVec,
    received: IntCounterVec,
    sent: IntCounterVec,
    logins: IntCounterVec,
    dropped_groups: IntCounterVec,
    paused: IntCounterVec,
    unmapped: IntCounterVec,
    policy: IntGaugeVec,
    policy_loaded: Gauge,
    /// The revision that `policy` shows, so that it can be taken away.
    revision: Mutex<Option<Revision>>,
    reloads: IntCounterVec,
    certificate_expiry: IntGaugeVec,
    token_keys: IntGaugeVec,
    token_keys_confirmed: IntGaugeVec,
    token_key_requests: IntCounterVec,
    /// Offset of the last state record in force.
    pub state_offset: IntGauge,
    /// ACLs in force that were made over the protocol.
    pub state_acls: IntGauge,
    /// Seconds since the end of the state was confirmed.
    pub state_staleness: Gauge,
    state_changes: IntCounterVec,
    /// 1 while /readyz says ready.
    pub ready: IntGauge,
    /// Connections to brokers that could not be made.
    pub upstream_connect_failures: IntCounter,
    /// Renewed, failed.
    upstream_renewals: RenewalMetrics,
    own_renewals: RenewalMetrics,
    /// Audit events that the topic does not have yet.
    pub audit_queue_events: IntGauge,
    /// Their bytes.
    pub audit_queue_bytes: IntGauge,
    /// Age of the oldest of them, in seconds.
    pub audit_lag: Gauge,
    /// Audit events that the topic has acknowledged.
    pub audit_written: IntCounter,
    /// Decisions that went into an event with others.
    pub audit_merged: IntCounter,
    /// Decisions that a rule with level `none` keeps out of the topic.
    pub audit_untold: IntCounter,
    /// Writes to the audit topic that failed.
    pub audit_failed: IntCounter,
}

/// A metric could not be registered: two of them have one name.
#[derive(Debug, thiserror::Error)]
#[error("cannot set metrics up: {0}")]
pub struct MetricsError(#[from] prometheus::Error);

/// The metrics of one API.
#[derive(Clone, Debug)]
pub struct ApiMetrics {
    /// Requests of clients.
    pub requests: IntCounter,
    allowed: IntCounter,
    denied: IntCounter,
    proxy: LazyHistogram,
    total: LazyHistogram,
}

impl ApiMetrics {
    /// Counts one decision.
    pub fn decided(&self, allowed: bool) {
        if allowed { self.allowed.inc() } else { self.denied.inc() }
    }

    /// Notes what the proxy added to a request.
    pub fn proxy_time(&self, time: Duration) {
        self.proxy.observe(time);
    }

    /// Notes the time from a request to its answer.
    pub fn total_time(&self, time: Duration) {
        self.total.observe(time);
    }
}

/// A histogram that appears with its first observation: one for each of some ninety APIs would be
/// thousands of series that stay 0.
#[derive(Clone, Debug)]
struct LazyHistogram {
    all: HistogramVec,
    api: &'static str,
    one: Arc<OnceLock<Histogram>>,
}

impl LazyHistogram {
    fn observe(&self, time: Duration) {
        self.one.get_or_init(|| self.all.with_label_values(&[self.api])).observe(time.as_secs_f64());
    }
}

/// Which bound keeps a client from being read.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Pause {
    /// Unanswered requests.
    InFlight,
    /// Requests at the broker.
    UpstreamAhead,
    /// Answers that the client does not take.
    Answers,
    /// Bytes of large requests.
    RequestMemory,
}

impl Pause {
    /// Each, in the order of its number.
    const EVERY: [Self; 4] = [Self::InFlight, Self::UpstreamAhead, Self::Answers, Self::RequestMemory];

    const fn as_str(self) -> &'static str {
        match self {
            Self::InFlight => "in_flight",
            Self::UpstreamAhead => "upstream_ahead",
            Self::Answers => "answers",
            Self::RequestMemory => "request_memory",
        }
    }
}

/// The metrics of one listener.
#[derive(Clone, Debug)]
pub struct ListenerMetrics {
    /// Open client connections.
    pub connections: IntGauge,
    /// Accepted client connections.
    pub opened: IntCounter,
    /// Bytes read from clients.
    pub received: IntCounter,
    /// Bytes written to clients.
    pub sent: IntCounter,
    /// Brokers left out of an answer.
    pub unmapped: IntCounter,
    /// Claimed groups that did not count.
    pub dropped_groups: IntCounter,
    closed: Arc<[IntCounter]>,
    paused: [IntCounter; 4],
    logins: [IntCounter; 4],
}

impl ListenerMetrics {
    /// Counts one ended connection.
    pub fn closed(&self, reason: CloseReason) {
        if let Some(counter) = self.closed.get(reason.index()) {
            counter.inc();
        }
    }

    /// Counts that a client is no longer read.
    pub fn paused(&self, pause: Pause) {
        if let Some(counter) = self.paused.get(pause as usize) {
            counter.inc();
        }
    }

    /// Counts one login.
    pub fn login(&self, outcome: LoginOutcome) {
        let [succeeded, failed, renewed, renewal_failed] = &self.logins;
        match outcome {
            LoginOutcome::Succeeded => succeeded.inc(),
            LoginOutcome::Failed => failed.inc(),
            LoginOutcome::Renewed => renewed.inc(),
            LoginOutcome::RenewalFailed => renewal_failed.inc(),
        }
    }
}

/// How a login again at a broker ended.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum UpstreamRenewal {
    /// The broker goes on to know the proxy.
    Renewed,
    /// The connection ended.
    Failed,
}

/// The metrics of logins again at brokers.
#[derive(Clone, Debug)]
pub struct RenewalMetrics {
    renewed: IntCounter,
    failed: IntCounter,
}

impl RenewalMetrics {
    fn of(all: &IntCounterVec, connections: &str) -> Self {
        let [renewed, failed] = ["renewed", "failed"].map(|outcome| all.with_label_values(&[connections, outcome]));
        Self { renewed, failed }
    }

    /// Counts one.
    pub fn count(&self, outcome: UpstreamRenewal) {
        match outcome {
            UpstreamRenewal::Renewed => self.renewed.inc(),
            UpstreamRenewal::Failed => self.failed.inc(),
        }
    }
}

/// The metrics of a token issuer.
#[derive(Clone, Debug)]
pub struct IssuerMetrics {
    keys: IntGauge,
    confirmed: IntGauge,
    succeeded: IntCounter,
    failed: IntCounter,
}

impl IssuerMetrics {
    /// Counts one request for its keys.
    pub fn asked(&self, succeeded: bool) {
        if succeeded { self.succeeded.inc() } else { self.failed.inc() }
    }

    /// Shows how many keys were had, and when.
    pub fn confirmed(&self, keys: usize, at: Timestamp) {
        self.keys.set(i64::try_from(keys).unwrap_or(i64::MAX));
        self.confirmed.set(at.0.div_euclid(1000));
    }

    /// Shows that its keys no longer count.
    pub fn gave_up(&self) {
        self.keys.set(0);
    }
}

/// How a login ended.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum LoginOutcome {
    /// The principal is known.
    Succeeded,
    /// It is not.
    Failed,
    /// Who was logged in logged in again.
    Renewed,
    /// Who was logged in could not log in again.
    RenewalFailed,
}

/// A watched file.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum ReloadedFile {
    /// The policy.
    Policy,
    /// The users file.
    Users,
    /// A certificate, key, authority or revocation list.
    Tls,
    /// The keys of a token issuer.
    Keys,
}

impl ReloadedFile {
    /// The word in metrics and log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Policy => "policy",
            Self::Users => "users",
            Self::Tls => "tls",
            Self::Keys => "keys",
        }
    }
}

/// What a look at a changed file ended in.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum ReloadOutcome {
    /// It is in force.
    Loaded,
    /// It has faults; what was in force stays.
    Refused,
    /// It could not be read; what was in force stays.
    Unreadable,
}

impl ReloadOutcome {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Loaded => "loaded",
            Self::Refused => "refused",
            Self::Unreadable => "unreadable",
        }
    }
}

/// What a change of ACLs came to.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum ChangeOutcome {
    /// It is durable and in force.
    Done,
    /// Nothing was changed.
    Refused,
    /// It was sent, and nobody knows what became of it.
    Unknown,
}

impl ChangeOutcome {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Unknown => "unknown",
        }
    }
}

/// What the proxy itself takes: from 10 µs, which an inspected request may cost, to the seconds of a full audit.
const PROXY_BUCKETS: &[f64] =
    &[0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.05, 0.25, 1.0, 5.0];
/// What a request takes in all: long polls last 500 ms by default.
const TOTAL_BUCKETS: &[f64] =
    &[0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.6, 1.0, 2.5, 5.0, 10.0, 30.0];

impl Metrics {
    /// Registers every metric.
    ///
    /// # Errors
    /// Two metrics have one name.
    pub fn new() -> Result<Self, MetricsError> {
        let registry = Registry::new();
        let add = Adder(&registry);
        let requests = add.counters(&specs::REQUESTS)?;
        let upstream_renewals = add.counters(&specs::UPSTREAM_RENEWALS)?;
        let decisions = add.counters(&specs::DECISIONS)?;
        let proxy = add.histograms(&specs::PROXY_SECONDS, PROXY_BUCKETS)?;
        let total = add.histograms(&specs::TOTAL_SECONDS, TOTAL_BUCKETS)?;
        let of_api = |api: &'static str| {
            let lazy = |all: &HistogramVec| LazyHistogram { all: all.clone(), api, one: Arc::default() };
            ApiMetrics {
                requests: requests.with_label_values(&[api]),
                allowed: decisions.with_label_values(&[api, "allowed"]),
                denied: decisions.with_label_values(&[api, "denied"]),
                proxy: lazy(&proxy),
                total: lazy(&total),
            }
        };
        let unknown = of_api("Unknown");
        let slots = apis().iter().filter_map(|api| usize::try_from(api.key.0).ok()).max().map_or(0, |key| key + 1);
        let mut by_key = vec![unknown.clone(); slots];
        for api in apis() {
            if let Some(slot) = usize::try_from(api.key.0).ok().and_then(|key| by_key.get_mut(key)) {
                *slot = of_api(api.name);
            }
        }
        let build = add.gauges(&specs::BUILD)?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        Ok(Self {
            apis: by_key,
            unknown,
            connections: add.gauges(&specs::CONNECTIONS)?,
            opened: add.counters(&specs::CONNECTIONS_OPENED)?,
            closed: add.counters(&specs::CONNECTIONS_CLOSED)?,
            received: add.counters(&specs::RECEIVED)?,
            sent: add.counters(&specs::SENT)?,
            logins: add.counters(&specs::LOGINS)?,
            paused: add.counters(&specs::READS_PAUSED)?,
            unmapped: add.counters(&specs::UNMAPPED)?,
            dropped_groups: add.counters(&specs::DROPPED_GROUPS)?,
            policy: add.gauges(&specs::POLICY)?,
            policy_loaded: add.seconds(&specs::POLICY_LOADED)?,
            revision: Mutex::new(None),
            reloads: add.counters(&specs::RELOADS)?,
            certificate_expiry: add.gauges(&specs::CERTIFICATE_EXPIRY)?,
            token_keys: add.gauges(&specs::TOKEN_KEYS)?,
            token_keys_confirmed: add.gauges(&specs::TOKEN_KEYS_CONFIRMED)?,
            token_key_requests: add.counters(&specs::TOKEN_KEY_REQUESTS)?,
            state_offset: add.gauge(&specs::STATE_OFFSET)?,
            state_acls: add.gauge(&specs::STATE_ACLS)?,
            state_staleness: add.seconds(&specs::STATE_STALENESS)?,
            state_changes: add.counters(&specs::STATE_CHANGES)?,
            ready: add.gauge(&specs::READY)?,
            upstream_connect_failures: add.counter(&specs::UPSTREAM_FAILURES)?,
            upstream_renewals: RenewalMetrics::of(&upstream_renewals, "clients"),
            own_renewals: RenewalMetrics::of(&upstream_renewals, "own"),
            audit_queue_events: add.gauge(&specs::AUDIT_QUEUE_EVENTS)?,
            audit_queue_bytes: add.gauge(&specs::AUDIT_QUEUE_BYTES)?,
            audit_lag: add.seconds(&specs::AUDIT_LAG)?,
            audit_written: add.counter(&specs::AUDIT_WRITTEN)?,
            audit_merged: add.counter(&specs::AUDIT_MERGED)?,
            audit_untold: add.counter(&specs::AUDIT_UNTOLD)?,
            audit_failed: add.counter(&specs::AUDIT_FAILED)?,
            registry,
        })
    }

    /// The metrics of an API; those of `Unknown` for a key that Kafka does not have.
    pub fn api(&self, key: ApiKey) -> &ApiMetrics {
        usize::try_from(key.0).ok().and_then(|key| self.apis.get(key)).unwrap_or(&self.unknown)
    }

    /// The metrics of a listener, to be kept by it.
    pub fn listener(&self, name: &str) -> ListenerMetrics {
        let of = |vec: &IntCounterVec| vec.with_label_values(&[name]);
        ListenerMetrics {
            connections: self.connections.with_label_values(&[name]),
            opened: of(&self.opened),
            received: of(&self.received),
            sent: of(&self.sent),
            unmapped: of(&self.unmapped),
            dropped_groups: of(&self.dropped_groups),
            paused: Pause::EVERY.map(|pause| self.paused.with_label_values(&[name, pause.as_str()])),
            closed: CloseReason::EVERY.iter().map(|r| self.closed.with_label_values(&[name, r.as_str()])).collect(),
            logins: ["succeeded", "failed", "renewed", "renewal_failed"]
                .map(|outcome| self.logins.with_label_values(&[name, outcome])),
        }
    }

    /// Shows a policy as the one in force.
    pub fn policy_loaded(&self, revision: &Revision, at: Timestamp) {
        let mut shown = self.revision.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(old) = shown.take().filter(|old| old != revision) {
            // An absent series cannot be removed twice; nothing else removes it.
            let _ = self.policy.remove_label_values(&[old.as_str()]);
        }
        self.policy.with_label_values(&[revision.as_str()]).set(1);
        *shown = Some(revision.clone());
        let since_epoch = Duration::from_millis(u64::try_from(at.0).unwrap_or(0));
        self.policy_loaded.set(since_epoch.as_secs_f64());
    }

    /// Counts one login again at a broker, on a connection made for a client.
    pub fn upstream_renewal(&self, outcome: UpstreamRenewal) {
        self.upstream_renewals.count(outcome);
    }

    /// The metrics of logins again on the proxy's own connections, to be kept by what dials them.
    pub fn own_renewals(&self) -> RenewalMetrics {
        self.own_renewals.clone()
    }

    /// Counts one look at a changed file.
    pub fn reload(&self, file: ReloadedFile, outcome: ReloadOutcome) {
        self.reloads.with_label_values(&[file.as_str(), outcome.as_str()]).inc();
    }

    /// Shows when a file of TLS ends.
    pub fn certificate_ends(&self, file: &str, end: Timestamp) {
        self.certificate_expiry.with_label_values(&[file]).set(end.0.div_euclid(1000));
    }

    /// The metrics of a token issuer, to be kept by who asks it for keys.
    pub fn issuer(&self, name: &str) -> IssuerMetrics {
        let of = |outcome: &str| self.token_key_requests.with_label_values(&[name, outcome]);
        IssuerMetrics {
            keys: self.token_keys.with_label_values(&[name]),
            confirmed: self.token_keys_confirmed.with_label_values(&[name]),
            succeeded: of("succeeded"),
            failed: of("failed"),
        }
    }

    /// Counts one change of ACLs that a client asked for.
    pub fn state_change(&self, outcome: ChangeOutcome) {
        self.state_changes.with_label_values(&[outcome.as_str()]).inc();
    }

    /// All metrics in Prometheus' text format, version 0.0.4.
    ///
    /// # Errors
    /// A metric is inconsistent, which registering excludes.
    pub fn render(&self) -> Result<String, MetricsError> {
        let mut out = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut out)?;
        Ok(String::from_utf8_lossy(&out).into_owned())
    }
}

/// Makes metrics from their specification and registers them.
struct Adder<'r>(&'r Registry);

impl Adder<'_> {
    fn add<C: Collector + Clone + 'static>(&self, metric: C) -> Result<C, prometheus::Error> {
        self.0.register(Box::new(metric.clone()))?;
        Ok(metric)
    }

    fn counter(&self, spec: &Spec) -> Result<IntCounter, prometheus::Error> {
        self.add(IntCounter::with_opts(opts(spec))?)
    }

    fn gauge(&self, spec: &Spec) -> Result<IntGauge, prometheus::Error> {
        self.add(IntGauge::with_opts(opts(spec))?)
    }

    fn seconds(&self, spec: &Spec) -> Result<Gauge, prometheus::Error> {
        self.add(Gauge::with_opts(opts(spec))?)
    }

    fn counters(&self, spec: &Spec) -> Result<IntCounterVec, prometheus::Error> {
        self.add(IntCounterVec::new(opts(spec), spec.labels)?)
    }

    fn gauges(&self, spec: &Spec) -> Result<IntGaugeVec, prometheus::Error> {
        self.add(IntGaugeVec::new(opts(spec), spec.labels)?)
    }

    fn histograms(&self, spec: &Spec, buckets: &[f64]) -> Result<HistogramVec, prometheus::Error> {
        self.add(HistogramVec::new(HistogramOpts::new(spec.name, spec.help).buckets(buckets.to_vec()), spec.labels)?)
    }
}

fn opts(spec: &Spec) -> Opts {
    Opts::new(spec.name, spec.help)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::SPECS;

    fn line<'t>(text: &'t str, start: &str) -> Option<&'t str> {
        text.lines().find_map(|l| l.strip_prefix(start)).map(str::trim)
    }

    #[test]
    fn every_metric_is_rendered_with_its_help() {
        let metrics = Metrics::new().unwrap();
        let listener = metrics.listener("a");
        listener.closed(CloseReason::Idle);
        metrics.policy_loaded(&Revision::new("0123456789abcdef", None), Timestamp(1_500));
        metrics.reload(ReloadedFile::Users, ReloadOutcome::Refused);
        metrics.certificate_ends("a.pem", Timestamp(2_500));
        let issuer = metrics.issuer("https://idp");
        issuer.asked(true);
        issuer.confirmed(2, Timestamp(3_500));
        metrics.state_change(ChangeOutcome::Done);
        let api = metrics.api(ApiKey(0));
        api.proxy_time(Duration::from_micros(30));
        api.total_time(Duration::from_millis(30));
        let text = metrics.render().unwrap();
        for spec in SPECS {
            assert_eq!(line(&text, &format!("# HELP {} ", spec.name)), Some(spec.help));
        }
        assert_eq!(line(&text, "kordon_policy_loaded_timestamp_seconds "), Some("1.5"));
        assert_eq!(line(&text, "kordon_connections_closed_total{listener=\"a\",reason=\"idle\"} "), Some("1"));
        assert_eq!(line(&text, "kordon_reloads_total{file=\"users\",outcome=\"refused\"} "), Some("1"));
        assert_eq!(line(&text, "kordon_certificate_expiry_timestamp_seconds{file=\"a.pem\"} "), Some("2"));
    }

    #[test]
    fn requests_are_counted_by_the_name_of_their_api_and_unknown_keys_in_one_place() {
        let metrics = Metrics::new().unwrap();
        metrics.api(ApiKey(3)).requests.inc();
        metrics.api(ApiKey(3)).decided(true);
        metrics.api(ApiKey(3)).decided(false);
        for key in [-1, 10_000, i16::MAX, i16::MIN] {
            metrics.api(ApiKey(key)).requests.inc();
        }
        let text = metrics.render().unwrap();
        assert_eq!(line(&text, "kordon_requests_total{api=\"Metadata\"} "), Some("1"));
        assert_eq!(line(&text, "kordon_requests_total{api=\"Unknown\"} "), Some("4"));
        assert_eq!(line(&text, "kordon_decisions_total{api=\"Metadata\",outcome=\"denied\"} "), Some("1"));
        assert_eq!(line(&text, "kordon_request_seconds_count{api=\"Metadata\"} "), None, "no observation, no series");
    }

    #[test]
    fn only_the_revision_in_force_is_shown() {
        let metrics = Metrics::new().unwrap();
        for (hash, at) in [("aaaaaaaaaaaa", 1), ("bbbbbbbbbbbb", 2), ("bbbbbbbbbbbb", 3)] {
            metrics.policy_loaded(&Revision::new(hash, None), Timestamp(at));
        }
        let text = metrics.render().unwrap();
        let shown: Vec<&str> = text.lines().filter(|l| l.starts_with("kordon_policy_info")).collect();
        assert_eq!(shown, ["kordon_policy_info{revision=\"bbbbbbbbbbbb@-\"} 1"]);
    }
}

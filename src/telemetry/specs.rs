//! Every metric: name, kind, unit, labels, help. Labels come from closed lists (the configuration's listeners are one),
//! never from a client: no topic, group, client id or principal.

/// One metric.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// The name, with unit and `_total` as Prometheus has them.
    pub name: &'static str,
    /// What its value does.
    pub kind: Kind,
    /// The unit of its value: `1`, `bytes`, `seconds`.
    pub unit: &'static str,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// One line for people.
    pub help: &'static str,
}

/// What a metric's value does.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts observations by size.
    Histogram,
}

macro_rules! specs {
    ($($id:ident = $name:literal, $kind:ident, $unit:literal, [$($label:literal),*], $help:literal;)+) => {
        // FROZEN: dashboards and alerts stand on these names; pinned by `names_are_frozen`.
        $(pub(super) const $id: Spec =
            Spec { name: $name, kind: Kind::$kind, unit: $unit, labels: &[$($label),*], help: $help };)+

        /// Every metric, in the order of the documentation.
        pub const SPECS: &[Spec] = &[$($id),+];
    };
}

specs! {
    BUILD = "kordon_build_info", Gauge, "1", ["version"], "always 1; the version of the binary";
    READY = "kordon_ready", Gauge, "1", [], "1 while /readyz says ready";
    REQUESTS = "kordon_requests_total", Counter, "1", ["api"], "requests of clients";
    DECISIONS = "kordon_decisions_total", Counter, "1", ["api", "outcome"], "decisions; outcome is allowed or denied";
    PROXY_SECONDS = "kordon_request_proxy_seconds", Histogram, "seconds", ["api"], "what the proxy adds to a request: from its last byte to the broker, or to an answer of its own";
    TOTAL_SECONDS = "kordon_request_seconds", Histogram, "seconds", ["api"], "from the last byte of a request to the last byte of its answer";
    CONNECTIONS = "kordon_connections", Gauge, "1", ["listener"], "open client connections";
    CONNECTIONS_OPENED = "kordon_connections_opened_total", Counter, "1", ["listener"], "accepted client connections";
    CONNECTIONS_CLOSED = "kordon_connections_closed_total", Counter, "1", ["listener", "reason"], "ended client connections";
    RECEIVED = "kordon_received_bytes_total", Counter, "bytes", ["listener"], "bytes read from clients";
    SENT = "kordon_sent_bytes_total", Counter, "bytes", ["listener"], "bytes written to clients";
    LOGINS = "kordon_logins_total", Counter, "1", ["listener", "outcome"], "logins of clients; outcome is succeeded, failed, renewed (again on the same connection) or renewal_failed";
    DROPPED_GROUPS = "kordon_dropped_groups_total", Counter, "1", ["listener"], "claimed groups that did not count in a login, as the policy declares them (merge_groups)";
    UPSTREAM_FAILURES = "kordon_upstream_connect_failures_total", Counter, "1", [], "connections to brokers that could not be made: network or login";
    UPSTREAM_RENEWALS = "kordon_upstream_renewals_total", Counter, "1", ["connections", "outcome"], "logins again at brokers; connections is clients (made for them) or own (audit, state, metadata); outcome is renewed or failed";
    READS_PAUSED = "kordon_reads_paused_total", Counter, "1", ["listener", "limit"], "how often a client was no longer read; limit is in_flight, upstream_ahead, answers (256 KiB that it does not take) or request_memory";
    UNMAPPED = "kordon_unmapped_brokers_total", Counter, "1", ["listener"], "brokers left out of an answer because the listener does not map their id";
    POLICY = "kordon_policy_info", Gauge, "1", ["revision"], "always 1; the revision of the policy in force";
    POLICY_LOADED = "kordon_policy_loaded_timestamp_seconds", Gauge, "seconds", [], "when the policy in force was loaded, as Unix time; its age is time() minus this";
    RELOADS = "kordon_reloads_total", Counter, "1", ["file", "outcome"], "looks at changed files; outcome is loaded, refused or unreadable";
    CERTIFICATE_EXPIRY = "kordon_certificate_expiry_timestamp_seconds", Gauge, "seconds", ["file"], "when a certificate or revocation list of TLS ends, as Unix time; of several in a file the one that matters first";
    TOKEN_KEYS = "kordon_token_keys", Gauge, "1", ["issuer"], "keys of a token issuer with jwks_url that are in force; 0 if there are none, or they are older than jwks_max_age";
    TOKEN_KEYS_CONFIRMED = "kordon_token_keys_confirmed_timestamp_seconds", Gauge, "seconds", ["issuer"], "when the keys of a token issuer were last had from its jwks_url, as Unix time";
    TOKEN_KEY_REQUESTS = "kordon_token_key_requests_total", Counter, "1", ["issuer", "outcome"], "requests to the jwks_url of a token issuer; outcome is succeeded or failed";
    STATE_OFFSET = "kordon_state_offset", Gauge, "1", [], "offset of the last state record in force; -1 without one";
    STATE_ACLS = "kordon_state_acls", Gauge, "1", [], "ACLs in force that were made over the protocol";
    STATE_STALENESS = "kordon_state_staleness_seconds", Gauge, "seconds", [], "since the end of the state topic, or the ACLs of the cluster, were last confirmed";
    STATE_CHANGES = "kordon_state_changes_total", Counter, "1", ["outcome"], "changes of ACLs that clients asked for; outcome is done, refused or unknown";
    AUDIT_QUEUE_EVENTS = "kordon_audit_queue_events", Gauge, "1", [], "audit events that the topic does not have yet";
    AUDIT_QUEUE_BYTES = "kordon_audit_queue_bytes", Gauge, "bytes", [], "their bytes; full at audit.memory";
    AUDIT_LAG = "kordon_audit_lag_seconds", Gauge, "seconds", [], "age of the oldest audit event that the topic does not have yet";
    AUDIT_WRITTEN = "kordon_audit_events_written_total", Counter, "1", [], "audit events that the topic has acknowledged";
    AUDIT_MERGED = "kordon_audit_decisions_merged_total", Counter, "1", [], "decisions that went into an event with others";
    AUDIT_UNTOLD = "kordon_audit_decisions_untold_total", Counter, "1", [], "decisions that a rule with level none keeps out of the topic";
    AUDIT_FAILED = "kordon_audit_write_failures_total", Counter, "1", [], "writes to the audit topic that failed; they are tried again";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_frozen() {
        let names: Vec<String> = SPECS.iter().map(|s| format!("{}{{{}}}", s.name, s.labels.join(","))).collect();
        assert_eq!(
            names.join(" "),
            "kordon_build_info{version} kordon_ready{} kordon_requests_total{api} kordon_decisions_total{api,outcome} \
             kordon_request_proxy_seconds{api} kordon_request_seconds{api} kordon_connections{listener} \
             kordon_connections_opened_total{listener} kordon_connections_closed_total{listener,reason} \
             kordon_received_bytes_total{listener} kordon_sent_bytes_total{listener} kordon_logins_total{listener,outcome} kordon_dropped_groups_total{listener} \
             kordon_upstream_connect_failures_total{} kordon_upstream_renewals_total{connections,outcome} kordon_reads_paused_total{listener,limit} kordon_unmapped_brokers_total{listener} kordon_policy_info{revision} \
             kordon_policy_loaded_timestamp_seconds{} kordon_reloads_total{file,outcome} kordon_certificate_expiry_timestamp_seconds{file} \
             kordon_token_keys{issuer} kordon_token_keys_confirmed_timestamp_seconds{issuer} kordon_token_key_requests_total{issuer,outcome} \
             kordon_state_offset{} kordon_state_acls{} kordon_state_staleness_seconds{} kordon_state_changes_total{outcome} \
             kordon_audit_queue_events{} \
             kordon_audit_queue_bytes{} kordon_audit_lag_seconds{} kordon_audit_events_written_total{} \
             kordon_audit_decisions_merged_total{} kordon_audit_decisions_untold_total{} kordon_audit_write_failures_total{}"
        );
    }

    #[test]
    fn names_follow_the_conventions_of_prometheus() {
        for spec in SPECS {
            assert!(spec.name.starts_with("kordon_"), "{}", spec.name);
            assert_eq!(spec.name.ends_with("_total"), spec.kind == Kind::Counter, "{}", spec.name);
            if spec.unit != "1" {
                assert!(spec.name.trim_end_matches("_total").ends_with(spec.unit), "{}", spec.name);
            }
            assert!(!spec.help.ends_with('.'), "{}", spec.name);
            for label in spec.labels {
                let closed = [
                    "version",
                    "api",
                    "outcome",
                    "listener",
                    "reason",
                    "revision",
                    "file",
                    "issuer",
                    "limit",
                    "connections",
                ];
                assert!(closed.contains(label), "{}: {label}", spec.name);
            }
        }
    }
}

//! `cluster`: the brokers and the proxy's logins there.

use super::Reader;
use crate::config::{ClientTelemetry, Cluster, HostPort, PasswordMechanism, UpstreamLogin, UpstreamSasl};
use crate::yaml::{Fields, Keys, Node, Value};
use std::time::Duration;

const CLUSTER: Keys = Keys {
    served: &[
        "name",
        "bootstrap",
        "tls",
        "sasl",
        "own",
        "connect_timeout",
        "request_timeout",
        "metadata_refresh",
        "client_telemetry",
    ],
    later: &[],
};
const SASL: Keys = Keys {
    served: &["mechanism", "username", "password"],
    later: &["token", "token_url", "client_id", "client_secret", "scope"],
};
const MILLISECOND: Duration = Duration::from_millis(1);

impl Reader<'_> {
    pub(super) fn cluster(&mut self, node: &Node) -> Option<Cluster> {
        let fields = Fields::open(node, "cluster", CLUSTER, &mut self.report)?;
        let name = fields.required("name", "it is part of every audit event, so never change it", &mut self.report);
        let name = name.and_then(|node| self.label(node, "cluster.name"));
        let bootstrap = fields.required("bootstrap", "write the brokers, as in `[\"kafka-1:9092\"]`", &mut self.report);
        let bootstrap = bootstrap.and_then(|node| self.bootstrap(node));
        let sasl = self.upstream_sasl(fields.get("sasl"), "cluster.sasl");
        let tls = self.upstream_tls(fields.get("tls"), "cluster.tls");
        let own = match fields.get("own") {
            Some(node) if node.value != Value::Null => self.upstream_login(node, "cluster.own").map(Some),
            Some(_) | None => Some(None),
        };
        let default = Cluster::plain("", Vec::new());
        let mut time = |key: &str, default: Duration| match fields.get(key) {
            Some(node) => self.duration(node, &fields.path(key), MILLISECOND),
            None => Some(default),
        };
        let connect_timeout = time("connect_timeout", default.connect_timeout);
        let request_timeout = time("request_timeout", default.request_timeout);
        let metadata_refresh = time("metadata_refresh", default.metadata_refresh);
        let words = [("none", ClientTelemetry::None), ("forward", ClientTelemetry::Forward)];
        let client_telemetry = match fields.get("client_telemetry") {
            Some(node) => self.word(node, "cluster.client_telemetry", &words),
            None => Some(default.client_telemetry),
        };
        self.secured_alike(node, "cluster.own", own.as_ref().and_then(Option::as_ref), tls != Some(None));
        Some(Cluster {
            name: name?,
            bootstrap: bootstrap?,
            tls: tls?,
            sasl: sasl?,
            own: own?,
            connect_timeout: connect_timeout?,
            request_timeout: request_timeout?,
            metadata_refresh: metadata_refresh?,
            client_telemetry: client_telemetry?,
        })
    }

    fn bootstrap(&mut self, node: &Node) -> Option<Vec<HostPort>> {
        let items = self.list(node, "cluster.bootstrap")?;
        if items.is_empty() {
            self.fault(node, "`cluster.bootstrap` is empty: write at least one broker");
            return None;
        }
        let parsed: Vec<_> = items
            .iter()
            .enumerate()
            .map(|(i, item)| self.host_port(item, &format!("cluster.bootstrap[{i}]"), false))
            .collect();
        parsed.into_iter().collect()
    }

    /// What stands in place of `cluster.tls` and `cluster.sasl`.
    pub(super) fn upstream_login(&mut self, node: &Node, path: &str) -> Option<UpstreamLogin> {
        let keys = Keys { served: &["tls", "sasl"], later: &[] };
        let fields = Fields::open(node, path, keys, &mut self.report)?;
        let tls = self.upstream_tls(fields.get("tls"), &fields.path("tls"));
        let sasl = self.upstream_sasl(fields.get("sasl"), &fields.path("sasl"));
        Some(UpstreamLogin { tls: tls?, sasl: sasl? })
    }

    /// Whether connections are secured or not is for all of them to say: brokers tell one address for each.
    pub(super) fn secured_alike(&mut self, node: &Node, path: &str, other: Option<&UpstreamLogin>, cluster: bool) {
        if !cluster && other.is_some_and(|other| other.tls.is_some()) {
            let text = format!(
                "`{path}.tls` is set and `cluster.tls` is null, but brokers are reached at the same addresses: set both"
            );
            self.fault(node, text);
        }
    }

    /// `None` inside = no login.
    fn upstream_sasl(&mut self, node: Option<&Node>, path: &str) -> Option<Option<UpstreamSasl>> {
        let Some(node) = node.filter(|node| node.value != Value::Null) else { return Some(None) };
        let fields = Fields::open(node, path, SASL, &mut self.report)?;
        let mechanism = fields.required("mechanism", "write PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512", &mut self.report);
        let mechanism = mechanism.and_then(|node| self.mechanism(node, &fields.path("mechanism")));
        let username = fields.required("username", "write the proxy's login at the brokers", &mut self.report);
        let username = username.and_then(|node| self.text(node, &fields.path("username")));
        let password = fields.required("password", "write `{ file: PATH }` or `{ env: NAME }`", &mut self.report);
        let password = password.and_then(|node| self.secret(node, &fields.path("password")));
        Some(Some(UpstreamSasl { mechanism: mechanism?, username: username?, password: password? }))
    }

    /// A mechanism with a password; OAUTHBEARER is known, but not served.
    pub(super) fn mechanism(&mut self, node: &Node, path: &str) -> Option<PasswordMechanism> {
        if matches!(&node.value, Value::Text(text) if text == "OAUTHBEARER") {
            self.fault(node, format!("`{path}: OAUTHBEARER` is not served by this version: use another mechanism"));
            return None;
        }
        let words = PasswordMechanism::EVERY.map(|m| (m.name(), m));
        self.word(node, path, &words)
    }
}

//! `cluster`: the brokers and the proxy's logins there.

use super::Reader;
use crate::config::{
    ClientTelemetry, Cluster, HostPort, PasswordMechanism, TokenClient, TokenSource, UpstreamLogin, UpstreamSasl,
};
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
const PASSWORD: [&str; 2] = ["username", "password"];
const CLIENT: [&str; 5] = ["token_url", "ca", "client_id", "client_secret", "scope"];
const SASL: Keys = Keys {
    served: &[
        "mechanism",
        "username",
        "password",
        "token",
        "token_url",
        "ca",
        "client_id",
        "client_secret",
        "scope",
        "principal_claim",
    ],
    later: &[],
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
        let what = "write PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER";
        let mechanism = fields.required("mechanism", what, &mut self.report);
        let [plain, scram_256, scram_512] = PasswordMechanism::EVERY.map(|m| (m.name(), Some(m)));
        let words = [plain, scram_256, scram_512, ("OAUTHBEARER", None)];
        let mechanism = mechanism.and_then(|node| self.word(node, &fields.path("mechanism"), &words));
        if mechanism == Some(None) {
            let source = self.token_source(node, &fields);
            let principal_claim = self.claim(&fields, "principal_claim", "sub");
            return Some(Some(UpstreamSasl::Token { source: source?, principal_claim: principal_claim? }));
        }
        if mechanism.is_some() {
            self.only_with(&fields, &[&["token", "principal_claim"], &CLIENT[..]].concat(), "`mechanism: OAUTHBEARER`");
        }
        let username = fields.required("username", "write the proxy's login at the brokers", &mut self.report);
        let username = username.and_then(|node| self.text(node, &fields.path("username")));
        let password = fields.required("password", "write `{ file: PATH }` or `{ env: NAME }`", &mut self.report);
        let password = password.and_then(|node| self.secret(node, &fields.path("password")));
        let (mechanism, username, password) = (mechanism??, username?, password?);
        Some(Some(UpstreamSasl::Password { mechanism, username, password }))
    }

    /// Keys that mean nothing here are not passed over.
    fn only_with(&mut self, fields: &Fields<'_>, keys: &[&str], with: &str) {
        for key in keys {
            if let Some(entry) = fields.entry(key).filter(|entry| entry.value.value != Value::Null) {
                let text = format!("`{}` goes with {with} only: remove it", fields.path(key));
                self.fault_at(entry.at, text);
            }
        }
    }

    fn token_source(&mut self, node: &Node, fields: &Fields<'_>) -> Option<TokenSource> {
        self.only_with(fields, &PASSWORD, "mechanisms that have a password");
        let path = fields.path("token");
        match (fields.get("token"), fields.get("token_url")) {
            (Some(token), None) => {
                self.only_with(fields, &CLIENT, "`token_url`");
                Some(TokenSource::Given(self.secret(token, &path)?))
            }
            (None, Some(url)) => {
                let url = self.web_address(url, &fields.path("token_url"));
                let ca = self.web_ca(fields, url.as_ref());
                let id = fields.required("client_id", "write the proxy's name at the endpoint", &mut self.report);
                let id = id.and_then(|node| self.text(node, &fields.path("client_id")));
                let what = "write `{ file: PATH }` or `{ env: NAME }`";
                let secret = fields.required("client_secret", what, &mut self.report);
                let secret = secret.and_then(|node| self.secret(node, &fields.path("client_secret")));
                let scope = match fields.get("scope").filter(|node| node.value != Value::Null) {
                    Some(node) => self.text(node, &fields.path("scope")).map(Some),
                    None => Some(None),
                };
                let (token_url, client_id, client_secret) = (url?, id?, secret?);
                Some(TokenSource::Client(TokenClient { token_url, ca: ca?, client_id, client_secret, scope: scope? }))
            }
            (Some(_), Some(_)) | (None, None) => {
                self.fault(node, format!("`{path}` or `{}` is needed, and not both", fields.path("token_url")));
                None
            }
        }
    }
}

//! `listeners`: where clients connect, and who they are.

use super::Reader;
use crate::config::{Brokers, ClientAuth, Identity, Limits, Listener, ListenerSasl, Mechanism, UpstreamLogin};
use crate::model::Principal;
use crate::yaml::{Fields, Keys, Node, Value};
use std::net::SocketAddr;
use std::time::Duration;

const LISTENER: Keys = Keys {
    served: &[
        "name",
        "bind",
        "advertise",
        "brokers",
        "identity",
        "principal",
        "super_users",
        "max_session",
        "sasl",
        "tls",
        "upstream",
        "proxy_protocol",
        "limits",
    ],
    later: &[],
};
/// How long a login holds unless said otherwise.
const MAX_SESSION: Duration = Duration::from_secs(3600);
/// Clients log in again after some nine tenths of it, and not within a second.
const LEAST_SESSION: Duration = Duration::from_secs(2);
/// The identities that go by a login.
const LOGINS: &str = "sasl` or `pass_through";
/// Those by which it is proved who a client is.
const PROVED: &str = "sasl`, `certificate` or `pass_through";

impl Reader<'_> {
    pub(super) fn listeners(&mut self, root: &Fields<'_>, limits: &Limits) -> Option<Vec<Listener>> {
        let node = root.required("listeners", "write at least one place where clients connect", &mut self.report)?;
        let items = self.list(node, "listeners")?;
        if items.is_empty() {
            self.fault(node, "`listeners` is empty: write at least one place where clients connect");
            return None;
        }
        let parsed: Vec<_> =
            items.iter().enumerate().map(|(i, item)| self.listener(item, &format!("listeners[{i}]"), limits)).collect();
        for (i, (item, listener)) in items.iter().zip(&parsed).enumerate() {
            let Some(listener) = listener else { continue };
            let earlier = parsed.iter().take(i).flatten().any(|l| l.name == listener.name);
            if earlier {
                self.fault(
                    item,
                    format!("`listeners[{i}].name` is `{}`, as an earlier listener's: make it unique", listener.name),
                );
            }
        }
        parsed.into_iter().collect()
    }

    fn listener(&mut self, node: &Node, path: &str, limits: &Limits) -> Option<Listener> {
        let fields = Fields::open(node, path, LISTENER, &mut self.report)?;
        let name = fields.required("name", "it stands in audit and metrics", &mut self.report);
        let name = name.and_then(|node| self.label(node, &fields.path("name")));
        let bind = fields.required("bind", "write the bootstrap address, as in `127.0.0.1:9092`", &mut self.report);
        let bind = bind.and_then(|node| self.bind(node, &fields.path("bind")));
        let advertise = self.advertise(&fields, bind);
        let brokers = fields.required(
            "brokers",
            "write how each broker is reached, as in `{ ports: { ids: 0-15 } }`",
            &mut self.report,
        );
        let brokers = brokers.and_then(|node| self.brokers(node, &fields.path("brokers"), bind, advertise.as_deref()));
        let tls = self.listener_tls(fields.get("tls"), &fields.path("tls"));
        // What cannot be read is reported already, and not once more as missing.
        let secured = tls.as_ref().is_none_or(Option::is_some);
        if let (Some(Brokers::Sni { .. }), false, Some(node)) = (&brokers, secured, fields.get("brokers")) {
            let text = format!("`{}` needs `tls`: names are told in its handshake", fields.path("brokers.sni"));
            self.fault(node, text);
        }
        let proved = match &tls {
            Some(Some(tls)) => matches!(tls.client_auth, ClientAuth::Required(_)),
            Some(None) => false,
            None => true,
        };
        let shows = matches!(&tls, Some(Some(tls)) if !matches!(tls.client_auth, ClientAuth::None));
        let identity = self.identity(&fields, secured, [proved, shows]);
        let super_users = match fields.get("super_users") {
            Some(node) => self.bool(node, &fields.path("super_users")),
            None => Some(false),
        };
        let max_session = match fields.get("max_session") {
            None => Some(Some(MAX_SESSION)),
            Some(node) if node.value == Value::Null => Some(None),
            Some(node) => self.duration(node, &fields.path("max_session"), LEAST_SESSION).map(Some),
        };
        let upstream = match fields.get("upstream") {
            Some(node) if node.value != Value::Null => self.upstream_login(node, &fields.path("upstream")).map(Some),
            Some(_) | None => Some(None),
        };
        if let (Some(Identity::PassThrough(_)), Some(Some(UpstreamLogin { sasl: Some(_), .. })), Some(node)) =
            (&identity, &upstream, fields.get("upstream"))
        {
            let text = format!(
                "`{}` does not go with `identity: pass_through`: clients log in at the brokers by themselves",
                fields.path("upstream.sasl")
            );
            self.fault(node, text);
        }
        let limits = self.listener_limits(fields.get("limits"), &fields.path("limits"), limits);
        let proxy_protocol = match fields.get("proxy_protocol") {
            Some(node) => self.networks(node, &fields.path("proxy_protocol")),
            None => Some(Vec::new()),
        };
        Some(Listener {
            name: name?,
            bind: bind?,
            advertise: advertise?,
            brokers: brokers?,
            tls: tls?,
            identity: identity?,
            super_users: super_users?,
            max_session: max_session?,
            limits: limits?,
            proxy_protocol: proxy_protocol?,
            upstream: upstream?,
        })
    }

    /// What clients are told, by default the address of `bind` if it is one.
    fn advertise(&mut self, fields: &Fields<'_>, bind: Option<SocketAddr>) -> Option<String> {
        let path = fields.path("advertise");
        if let Some(node) = fields.get("advertise").filter(|node| node.value != Value::Null) {
            return self.told_host(node, &path);
        }
        let ip = bind?.ip();
        if ip.to_canonical().is_unspecified() {
            let text =
                format!("`{path}` is missing: `bind` is every address, so write the host that clients connect to");
            self.fault_at(fields.at(), text);
            return None;
        }
        Some(ip.to_string())
    }

    fn identity(&mut self, fields: &Fields<'_>, secured: bool, [proved, shows]: [bool; 2]) -> Option<Identity> {
        #[derive(Copy, Clone)]
        enum Kind {
            Fixed,
            Sasl,
            Certificate,
            PassThrough,
        }
        let path = fields.path("identity");
        let node = fields.required(
            "identity",
            "write how clients are named: `fixed`, `sasl`, `certificate` or `pass_through`",
            &mut self.report,
        )?;
        let words = [
            ("fixed", Kind::Fixed),
            ("sasl", Kind::Sasl),
            ("certificate", Kind::Certificate),
            ("pass_through", Kind::PassThrough),
        ];
        let kind = self.word(node, &path, &words)?;
        match kind {
            Kind::Fixed => {
                self.belongs_to(fields, "sasl", LOGINS);
                self.belongs_to(fields, "max_session", PROVED);
                let at = fields.required(
                    "principal",
                    "write who clients of this listener are, as in `\"User:alice\"`",
                    &mut self.report,
                );
                Some(Identity::Fixed(self.principal(at?, &fields.path("principal"))?))
            }
            Kind::Certificate => {
                self.belongs_to(fields, "principal", "fixed");
                self.belongs_to(fields, "sasl", LOGINS);
                if !proved {
                    let text = format!(
                        "`{path}: certificate` needs `tls` with `client_auth: required`: who shows none has no name"
                    );
                    self.fault(node, text);
                }
                Some(Identity::Certificate)
            }
            Kind::Sasl => {
                self.belongs_to(fields, "principal", "fixed");
                let path = fields.path("sasl");
                let node = fields.required("sasl", "write `{ mechanisms: [SCRAM-SHA-512] }`", &mut self.report);
                Some(Identity::Sasl(self.listener_sasl(node?, &path, secured)?))
            }
            Kind::PassThrough => {
                self.belongs_to(fields, "principal", "fixed");
                if shows {
                    let text = format!(
                        "`{path}: pass_through` goes with `tls.client_auth: none` only: TLS ends at the proxy, so that no broker sees a client's certificate; use `identity: certificate` for those"
                    );
                    self.fault(node, text);
                }
                let path = fields.path("sasl");
                let node = fields.required("sasl", "write `{ mechanisms: [SCRAM-SHA-512] }`", &mut self.report);
                Some(Identity::PassThrough(self.listener_sasl(node?, &path, secured)?))
            }
        }
    }

    /// A key that only one identity reads: on another it would promise what does not happen.
    fn belongs_to(&mut self, fields: &Fields<'_>, key: &str, identity: &str) {
        if let Some(entry) = fields.entry(key).filter(|e| e.value.value != Value::Null) {
            let text = format!(
                "`{}` goes with `identity: {identity}` only: remove it, or change the identity",
                fields.path(key)
            );
            self.fault_at(entry.at, text);
        }
    }

    fn principal(&mut self, node: &Node, path: &str) -> Option<Principal> {
        let text = self.text(node, path)?;
        match text.parse::<Principal>() {
            Ok(principal) if principal.kind() == "User" && !matches!(principal.name(), "" | "*") => Some(principal),
            Ok(_) => {
                self.fault(node, format!("`{path}` is `{text}`, which is not one user: write `User:` and a name"));
                None
            }
            Err(cause) => {
                self.fault(node, format!("`{path}`: {cause}"));
                None
            }
        }
    }

    fn listener_sasl(&mut self, node: &Node, path: &str, secured: bool) -> Option<ListenerSasl> {
        let keys = Keys { served: &["mechanisms", "without_tls"], later: &[] };
        let fields = Fields::open(node, path, keys, &mut self.report)?;
        let list_path = fields.path("mechanisms");
        let list = fields.required("mechanisms", "write `[SCRAM-SHA-512]`", &mut self.report);
        let items = list.and_then(|node| self.list(node, &list_path));
        if items.is_some_and(<[Node]>::is_empty) {
            self.fault(node, format!("`{list_path}` is empty: write `[SCRAM-SHA-512]`"));
        }
        let without_tls = match fields.get("without_tls") {
            Some(node) => self.bool(node, &fields.path("without_tls"))?,
            None => false,
        };
        let mut mechanisms = Vec::new();
        for (i, item) in items?.iter().enumerate() {
            let path = format!("{list_path}[{i}]");
            match self.word(item, &path, &Mechanism::EVERY.map(|m| (m.name(), m)))? {
                again if mechanisms.contains(&again) => {
                    self.fault(item, format!("`{path}` names {} a second time: keep one", again.name()));
                }
                mechanism => {
                    if mechanism.shows_secret() && !without_tls && !secured {
                        let secrets = if mechanism == Mechanism::OAuthBearer { "tokens" } else { "passwords" };
                        let text = format!(
                            "`{path}` is {} on a listener without TLS, where {secrets} can be read on the way: give it `tls`, or set `{}: true` if the network is trusted",
                            mechanism.name(),
                            fields.path("without_tls")
                        );
                        self.fault(item, text);
                    }
                    mechanisms.push(mechanism);
                }
            }
        }
        (!mechanisms.is_empty()).then_some(ListenerSasl { mechanisms, without_tls })
    }
}

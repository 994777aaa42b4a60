//! `tls`, towards brokers and towards clients.

use super::Reader;
use crate::config::{
    CertificateNames, ClientAuth, ClientTrust, GroupsFrom, KeyPair, ListenerTls, NameFrom, TlsVersion, UpstreamTls,
};
use crate::yaml::{Fields, Keys, Node, Value};

const UPSTREAM: Keys = Keys { served: &["ca", "certificate", "key", "server_name", "min_version"], later: &[] };
const LISTENER: Keys =
    Keys { served: &["certificate", "key", "min_version", "client_auth", "client_ca", "crl"], later: &[] };

impl Reader<'_> {
    /// `None` inside = plaintext.
    pub(super) fn upstream_tls(&mut self, node: Option<&Node>, path: &str) -> Option<Option<UpstreamTls>> {
        let Some(node) = node.filter(|node| node.value != Value::Null) else { return Some(None) };
        let fields = Fields::open(node, path, UPSTREAM, &mut self.report)?;
        let what = "write the PEM file of the authority that signed the brokers' certificates, or `system`";
        let ca = fields.required("ca", what, &mut self.report);
        let ca = ca.and_then(|node| self.authorities(node, &fields.path("ca")));
        let identity = match (fields.get("certificate"), fields.get("key")) {
            (None, None) => Some(None),
            (Some(_), Some(_)) => self.key_pair(&fields).map(Some),
            (Some(_), None) | (None, Some(_)) => {
                self.fault(node, format!("`{path}` needs both of `certificate` and `key`, or none"));
                None
            }
        };
        let server_name = match fields.get("server_name") {
            Some(node) => self.told_host(node, &fields.path("server_name")).map(Some),
            None => Some(None),
        };
        let min_version = self.min_version(&fields);
        Some(Some(UpstreamTls { ca: ca?, identity: identity?, server_name: server_name?, min_version: min_version? }))
    }

    /// `None` inside = plaintext.
    pub(super) fn listener_tls(&mut self, node: Option<&Node>, path: &str) -> Option<Option<ListenerTls>> {
        #[derive(Copy, Clone)]
        enum Auth {
            None,
            Requested,
            Required,
        }
        let Some(node) = node.filter(|node| node.value != Value::Null) else { return Some(None) };
        let fields = Fields::open(node, path, LISTENER, &mut self.report)?;
        let identity = self.key_pair(&fields);
        let min_version = self.min_version(&fields);
        let words = [("none", Auth::None), ("requested", Auth::Requested), ("required", Auth::Required)];
        let auth = match fields.get("client_auth") {
            Some(node) => self.word(node, &fields.path("client_auth"), &words),
            None => Some(Auth::None),
        };
        let client_auth = match auth? {
            Auth::None => {
                for key in ["client_ca", "crl"] {
                    if let Some(entry) = fields.entry(key).filter(|entry| entry.value.value != Value::Null) {
                        let path = fields.path(key);
                        let text = format!(
                            "`{path}` goes with `client_auth: requested` or `required` only: set one, or remove it"
                        );
                        self.fault_at(entry.at, text);
                    }
                }
                ClientAuth::None
            }
            Auth::Requested => ClientAuth::Requested(self.client_trust(&fields)?),
            Auth::Required => ClientAuth::Required(self.client_trust(&fields)?),
        };
        Some(Some(ListenerTls { identity: identity?, min_version: min_version?, client_auth }))
    }

    fn client_trust(&mut self, fields: &Fields<'_>) -> Option<ClientTrust> {
        let what = "write the PEM file of the authority that signed the clients' certificates";
        let ca = fields.required("client_ca", what, &mut self.report);
        let ca = ca.and_then(|node| self.file(node, &fields.path("client_ca")));
        let path = fields.path("crl");
        let lists: &[Node] = match fields.get("crl").filter(|node| node.value != Value::Null) {
            Some(node) => self.list(node, &path)?,
            None => &[],
        };
        let crl: Vec<_> = lists.iter().enumerate().map(|(i, node)| self.file(node, &format!("{path}[{i}]"))).collect();
        Some(ClientTrust { ca: ca?, crl: crl.into_iter().collect::<Option<_>>()? })
    }

    /// How certificates name clients. The rules are judged where they are compiled.
    pub(super) fn certificates(&mut self, node: Option<&Node>) -> Option<CertificateNames> {
        let mut names = CertificateNames::default();
        let Some(node) = node.filter(|node| node.value != Value::Null) else { return Some(names) };
        let keys = Keys { served: &["name_from", "rules", "groups_from"], later: &[] };
        let fields = Fields::open(node, "certificates", keys, &mut self.report)?;
        if let Some(node) = fields.get("name_from") {
            let words = [
                ("subject", NameFrom::Subject),
                ("san_dns", NameFrom::SanDns),
                ("san_uri", NameFrom::SanUri),
                ("san_email", NameFrom::SanEmail),
            ];
            names.name_from = self.word(node, "certificates.name_from", &words)?;
        }
        if let Some(node) = fields.get("groups_from") {
            let words = [("none", GroupsFrom::None), ("ou", GroupsFrom::Ou), ("o", GroupsFrom::O)];
            names.groups_from = self.word(node, "certificates.groups_from", &words)?;
        }
        if let Some(node) = fields.get("rules") {
            let items = self.list(node, "certificates.rules")?;
            if items.is_empty() {
                self.fault(node, "`certificates.rules` is empty, so that nobody has a name: write `[DEFAULT]`");
            }
            names.rules.clear();
            for (i, item) in items.iter().enumerate() {
                match &item.value {
                    // As it stands: dollar signs are the rules' own.
                    Value::Text(text) => names.rules.push(text.clone()),
                    other => {
                        self.fault(item, format!("`certificates.rules[{i}]` must be text, but is {}", other.kind()));
                    }
                }
            }
        }
        Some(names)
    }

    fn key_pair(&mut self, fields: &Fields<'_>) -> Option<KeyPair> {
        let certificate = fields.required("certificate", "write the PEM file of the chain", &mut self.report);
        let certificate = certificate.and_then(|node| self.file(node, &fields.path("certificate")));
        let key = fields.required("key", "write the PEM file of the private key", &mut self.report);
        let key = key.and_then(|node| self.file(node, &fields.path("key")));
        Some(KeyPair { certificate: certificate?, key: key? })
    }

    fn min_version(&mut self, fields: &Fields<'_>) -> Option<TlsVersion> {
        let Some(node) = fields.get("min_version") else { return Some(TlsVersion::Tls12) };
        self.word(node, &fields.path("min_version"), &TlsVersion::WORDS)
    }
}

//! `tls`, towards brokers.

use super::Reader;
use crate::config::{Authorities, KeyPair, TlsVersion, UpstreamTls};
use crate::yaml::{Fields, Keys, Node, Value};

const UPSTREAM: Keys = Keys { served: &["ca", "certificate", "key", "server_name", "min_version"], later: &[] };

impl Reader<'_> {
    /// `None` inside = plaintext.
    pub(super) fn upstream_tls(&mut self, node: Option<&Node>, path: &str) -> Option<Option<UpstreamTls>> {
        let Some(node) = node.filter(|node| node.value != Value::Null) else { return Some(None) };
        let fields = Fields::open(node, path, UPSTREAM, &mut self.report)?;
        let what = "write the PEM file of the authority that signed the brokers' certificates, or `system`";
        let ca = fields.required("ca", what, &mut self.report);
        let ca = ca.and_then(|node| match &node.value {
            Value::Text(text) if text == "system" => Some(Authorities::System),
            _ => self.file(node, &fields.path("ca")).map(Authorities::File),
        });
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

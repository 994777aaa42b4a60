//! Servers of the web that are asked: addresses, and who may have signed their certificates.

use super::Reader;
use crate::config::{Authorities, WebAddress};
use crate::yaml::{Fields, Node, Value};

impl Reader<'_> {
    pub(super) fn web_address(&mut self, node: &Node, path: &str) -> Option<WebAddress> {
        let text = self.text(node, path)?;
        WebAddress::parse(&text).map_err(|why| self.fault(node, format!("`{path}` {why}"))).ok()
    }

    /// `ca` beside an address.
    pub(super) fn web_ca(&mut self, fields: &Fields<'_>, address: Option<&WebAddress>) -> Option<Authorities> {
        let Some(node) = fields.get("ca").filter(|node| node.value != Value::Null) else {
            return Some(Authorities::System);
        };
        let path = fields.path("ca");
        if address.is_some_and(|address| !address.is_https()) {
            self.fault(node, format!("`{path}` goes with `https://` only: remove it"));
            return None;
        }
        self.authorities(node, &path)
    }

    pub(super) fn authorities(&mut self, node: &Node, path: &str) -> Option<Authorities> {
        match &node.value {
            Value::Text(text) if text == "system" => Some(Authorities::System),
            _ => self.file(node, path).map(Authorities::File),
        }
    }
}

//! `limits`.

use super::Reader;
use crate::config::{ByteSize, Connections, FailedLogins, Limits, UpstreamAhead};
use crate::yaml::{Fields, Keys, Node, Value};
use std::time::Duration;

const LIMITS: Keys = Keys {
    served: &[
        "connections",
        "connections_per_address",
        "frame",
        "frame_before_login",
        "response_in_memory",
        "request_memory",
        "in_flight",
        "upstream_ahead",
        "handshake_timeout",
        "login_timeout",
        "frame_timeout",
        "idle_timeout",
        "failed_logins",
    ],
    later: &[],
};
/// The size of a frame is a signed 32-bit number on the wire.
const LARGEST_FRAME: ByteSize = ByteSize::mib(2047);
const LARGEST: ByteSize = ByteSize::gib(1 << 20);

impl Reader<'_> {
    pub(super) fn limits(&mut self, node: Option<&Node>) -> Option<Limits> {
        let default = Limits::default();
        let Some(node) = node else { return Some(default) };
        let fields = Fields::open(node, "limits", LIMITS, &mut self.report)?;

        let connections = self.connections(fields.get("connections"));
        let connections_per_address = match fields.get("connections_per_address") {
            Some(node) if node.value != Value::Null => {
                self.count(node, "limits.connections_per_address", u32::MAX).map(Some)
            }
            Some(_) | None => Some(None),
        };
        let mut size = |key: &str, default: ByteSize, most: ByteSize| match fields.get(key) {
            Some(node) => self.size(node, &fields.path(key), ByteSize::kib(1), most),
            None => Some(default),
        };
        let frame = size("frame", default.frame, LARGEST_FRAME);
        let frame_before_login = size("frame_before_login", default.frame_before_login, LARGEST_FRAME);
        let response_in_memory = size("response_in_memory", default.response_in_memory, LARGEST_FRAME);
        let request_memory = size("request_memory", default.request_memory, LARGEST);
        let in_flight = match fields.get("in_flight") {
            Some(node) => self.small(node, "limits.in_flight"),
            None => Some(default.in_flight),
        };
        let upstream_ahead = self.upstream_ahead(fields.get("upstream_ahead"), default.upstream_ahead);
        let mut time = |key: &str, default: Duration| match fields.get(key) {
            Some(node) => self.duration(node, &fields.path(key), Duration::from_millis(1)),
            None => Some(default),
        };
        let handshake_timeout = time("handshake_timeout", default.handshake_timeout);
        let login_timeout = time("login_timeout", default.login_timeout);
        let frame_timeout = time("frame_timeout", default.frame_timeout);
        let idle_timeout = time("idle_timeout", default.idle_timeout);
        let failed_logins = self.failed_logins(fields.get("failed_logins"), default.failed_logins);

        let limits = Limits {
            connections: connections?,
            connections_per_address: connections_per_address?,
            frame: frame?,
            frame_before_login: frame_before_login?,
            response_in_memory: response_in_memory?,
            request_memory: request_memory?,
            in_flight: in_flight?,
            upstream_ahead: upstream_ahead?,
            handshake_timeout: handshake_timeout?,
            login_timeout: login_timeout?,
            frame_timeout: frame_timeout?,
            idle_timeout: idle_timeout?,
            failed_logins: failed_logins?,
        };
        self.contradictions(&fields, &limits);
        Some(limits)
    }

    /// Limits that together allow nothing, or less than they say.
    fn contradictions(&mut self, fields: &Fields<'_>, limits: &Limits) {
        let at = |key: &str| fields.get(key).map_or(fields.at(), |node| node.at);
        if limits.frame_before_login > limits.frame {
            let text = format!(
                "`limits.frame_before_login` ({}) is more than `limits.frame` ({}): lower it, or raise the other",
                limits.frame_before_login, limits.frame
            );
            self.fault_at(at("frame_before_login"), text);
        }
        if limits.request_memory < limits.frame {
            let text = format!(
                "`limits.request_memory` ({}) is less than `limits.frame` ({}), so the largest request could never be read: raise it, or lower the other",
                limits.request_memory, limits.frame
            );
            self.fault_at(at("request_memory"), text);
        }
        if limits.upstream_ahead.requests > limits.in_flight {
            let text = format!(
                "`limits.upstream_ahead.requests` ({}) is more than `limits.in_flight` ({}): lower it, or raise the other",
                limits.upstream_ahead.requests, limits.in_flight
            );
            self.fault_at(at("upstream_ahead"), text);
        }
        if limits.login_timeout > limits.idle_timeout {
            let text = "`limits.login_timeout` is longer than `limits.idle_timeout`: lower it, or raise the other";
            self.fault_at(at("login_timeout"), text);
        }
    }

    fn connections(&mut self, node: Option<&Node>) -> Option<Connections> {
        match node {
            None => Some(Connections::Auto),
            Some(node) if node.value == Value::Text("auto".to_owned()) => Some(Connections::Auto),
            Some(node) => match &node.value {
                Value::Text(text) if !text.contains("${") => {
                    self.fault(node, format!("`limits.connections` must be a whole number or `auto`, but is `{text}`"));
                    None
                }
                Value::Int(_)
                | Value::Text(_)
                | Value::Null
                | Value::Bool(_)
                | Value::Float(_)
                | Value::List(_)
                | Value::Map(_) => self.count(node, "limits.connections", u32::MAX).map(Connections::AtMost),
            },
        }
    }

    fn upstream_ahead(&mut self, node: Option<&Node>, mut ahead: UpstreamAhead) -> Option<UpstreamAhead> {
        let Some(node) = node else { return Some(ahead) };
        let keys = Keys { served: &["requests", "size"], later: &[] };
        let fields = Fields::open(node, "limits.upstream_ahead", keys, &mut self.report)?;
        if let Some(node) = fields.get("requests") {
            ahead.requests = self.small(node, &fields.path("requests"))?;
        }
        if let Some(node) = fields.get("size") {
            ahead.size = self.size(node, &fields.path("size"), ByteSize::kib(1), LARGEST)?;
        }
        Some(ahead)
    }

    fn failed_logins(&mut self, node: Option<&Node>, mut failed: FailedLogins) -> Option<FailedLogins> {
        let Some(node) = node else { return Some(failed) };
        let keys = Keys { served: &["delay", "per_minute"], later: &[] };
        let fields = Fields::open(node, "limits.failed_logins", keys, &mut self.report)?;
        if let Some(node) = fields.get("delay") {
            failed.delay = self.duration(node, &fields.path("delay"), Duration::ZERO)?;
        }
        if let Some(node) = fields.get("per_minute") {
            failed.per_minute = self.count(node, &fields.path("per_minute"), u32::MAX)?;
        }
        Some(failed)
    }

    /// A number of requests of one connection.
    fn small(&mut self, node: &Node, path: &str) -> Option<usize> {
        self.count(node, path, 1_000_000).and_then(|n| usize::try_from(n).ok())
    }
}

//! `limits`, of the process and of a listener.

use super::Reader;
use crate::config::{ByteSize, Connections, FailedLogins, Limits, ListenerLimits, UpstreamAhead};
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
        let connections_per_address = self.per_address(&fields);
        let request_memory = match fields.get("request_memory") {
            Some(node) => self.size(node, &fields.path("request_memory"), ByteSize::kib(1), LARGEST),
            None => Some(default.request_memory),
        };
        let limits = self.of_connections(&fields, &default);
        let limits = Limits {
            connections: connections?,
            connections_per_address: connections_per_address?.flatten(),
            request_memory: request_memory?,
            ..limits?
        };
        self.contradictions(&fields, &limits);
        Some(limits)
    }

    /// The limits of a listener: those of the process, unless it has its own.
    pub(super) fn listener_limits(&mut self, node: Option<&Node>, path: &str, of: &Limits) -> Option<ListenerLimits> {
        let inherited = ListenerLimits { all: of.clone(), ..ListenerLimits::default() };
        let Some(node) = node.filter(|node| node.value != Value::Null) else { return Some(inherited) };
        let fields = Fields::open(node, path, LIMITS, &mut self.report)?;
        if let Some(entry) = fields.entry("request_memory") {
            let text = format!("`{path}.request_memory`: all listeners share one memory: set `limits.request_memory`");
            self.fault_at(entry.at, text);
        }
        let connections = match fields.get("connections") {
            Some(node) if node.value == Value::Text("auto".to_owned()) => {
                let text = format!("`{path}.connections` must be a whole number: `auto` is of the process");
                self.fault(node, text);
                None
            }
            Some(node) => self.count(node, &fields.path("connections"), u32::MAX).map(Some),
            None => Some(None),
        };
        let connections_per_address = self.per_address(&fields);
        let all = self.of_connections(&fields, of)?;
        self.contradictions(&fields, &all);
        if let (Some(Some(own)), Connections::AtMost(most), Some(node)) =
            (connections, of.connections, fields.get("connections"))
            && own > most
        {
            let text = format!(
                "`{path}.connections` ({own}) is more than `limits.connections` ({most}): lower it, or raise the other"
            );
            self.fault(node, text);
        }
        Some(ListenerLimits { all, connections: connections?, connections_per_address: connections_per_address? })
    }

    /// `None` inside = not set.
    fn per_address(&mut self, fields: &Fields<'_>) -> Option<Option<Option<u32>>> {
        match fields.get("connections_per_address") {
            None => Some(None),
            Some(node) if node.value == Value::Null => Some(Some(None)),
            Some(node) => {
                self.count(node, &fields.path("connections_per_address"), u32::MAX).map(|most| Some(Some(most)))
            }
        }
    }

    /// The limits of each connection.
    fn of_connections(&mut self, fields: &Fields<'_>, default: &Limits) -> Option<Limits> {
        let mut size = |key: &str, default: ByteSize, most: ByteSize| match fields.get(key) {
            Some(node) => self.size(node, &fields.path(key), ByteSize::kib(1), most),
            None => Some(default),
        };
        let frame = size("frame", default.frame, LARGEST_FRAME);
        let frame_before_login = size("frame_before_login", default.frame_before_login, LARGEST_FRAME);
        let response_in_memory = size("response_in_memory", default.response_in_memory, LARGEST_FRAME);
        let in_flight = match fields.get("in_flight") {
            Some(node) => self.small(node, &fields.path("in_flight")),
            None => Some(default.in_flight),
        };
        let ahead = fields.path("upstream_ahead");
        let upstream_ahead = self.upstream_ahead(fields.get("upstream_ahead"), &ahead, default.upstream_ahead);
        let mut time = |key: &str, default: Duration| match fields.get(key) {
            Some(node) => self.duration(node, &fields.path(key), Duration::from_millis(1)),
            None => Some(default),
        };
        let handshake_timeout = time("handshake_timeout", default.handshake_timeout);
        let login_timeout = time("login_timeout", default.login_timeout);
        let frame_timeout = time("frame_timeout", default.frame_timeout);
        let idle_timeout = time("idle_timeout", default.idle_timeout);
        let failed = fields.path("failed_logins");
        let failed_logins = self.failed_logins(fields.get("failed_logins"), &failed, default.failed_logins);
        Some(Limits {
            frame: frame?,
            frame_before_login: frame_before_login?,
            response_in_memory: response_in_memory?,
            in_flight: in_flight?,
            upstream_ahead: upstream_ahead?,
            handshake_timeout: handshake_timeout?,
            login_timeout: login_timeout?,
            frame_timeout: frame_timeout?,
            idle_timeout: idle_timeout?,
            failed_logins: failed_logins?,
            ..default.clone()
        })
    }

    /// Limits that together allow nothing, or less than they say. Told where one of them stands.
    fn contradictions(&mut self, fields: &Fields<'_>, limits: &Limits) {
        // What another place says is told there.
        let at = |keys: [&str; 2]| keys.into_iter().find_map(|key| fields.get(key)).map(|node| node.at);
        let path = |key: &str| match fields.get(key) {
            Some(_) => fields.path(key),
            None => format!("limits.{key}"),
        };
        if let Some(at) = at(["frame_before_login", "frame"]).filter(|_| limits.frame_before_login > limits.frame) {
            let text = format!(
                "`{}` ({}) is more than `{}` ({}): lower it, or raise the other",
                path("frame_before_login"),
                limits.frame_before_login,
                path("frame"),
                limits.frame
            );
            self.fault_at(at, text);
        }
        if let Some(at) = at(["request_memory", "frame"]).filter(|_| limits.request_memory < limits.frame) {
            let text = format!(
                "`{}` ({}) is less than `{}` ({}), so the largest request could never be read: raise it, or lower the other",
                path("request_memory"),
                limits.request_memory,
                path("frame"),
                limits.frame
            );
            self.fault_at(at, text);
        }
        let ahead = limits.upstream_ahead.requests;
        if let Some(at) = at(["upstream_ahead", "in_flight"]).filter(|_| ahead > limits.in_flight) {
            let text = format!(
                "`{}.requests` ({ahead}) is more than `{}` ({}): lower it, or raise the other",
                path("upstream_ahead"),
                path("in_flight"),
                limits.in_flight
            );
            self.fault_at(at, text);
        }
        if let Some(at) = at(["login_timeout", "idle_timeout"]).filter(|_| limits.login_timeout > limits.idle_timeout) {
            let text = format!(
                "`{}` is longer than `{}`: lower it, or raise the other",
                path("login_timeout"),
                path("idle_timeout")
            );
            self.fault_at(at, text);
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

    fn upstream_ahead(&mut self, node: Option<&Node>, path: &str, mut ahead: UpstreamAhead) -> Option<UpstreamAhead> {
        let Some(node) = node else { return Some(ahead) };
        let keys = Keys { served: &["requests", "size"], later: &[] };
        let fields = Fields::open(node, path, keys, &mut self.report)?;
        if let Some(node) = fields.get("requests") {
            ahead.requests = self.small(node, &fields.path("requests"))?;
        }
        if let Some(node) = fields.get("size") {
            ahead.size = self.size(node, &fields.path("size"), ByteSize::kib(1), LARGEST)?;
        }
        Some(ahead)
    }

    fn failed_logins(&mut self, node: Option<&Node>, path: &str, mut failed: FailedLogins) -> Option<FailedLogins> {
        let Some(node) = node else { return Some(failed) };
        let keys = Keys { served: &["delay", "per_minute"], later: &[] };
        let fields = Fields::open(node, path, keys, &mut self.report)?;
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

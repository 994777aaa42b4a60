//! Events in the form of CloudEvents 1.0, structured mode: one decision, or an equal run of them, is one event.
//!
//! An event is written up to its `aggregation` by the task that made the decision; `integrity` is appended by the one
//! task that puts events in order ([`Origin::seal`]). `docs/audit-event.schema.json` describes the result.

use super::json;
use super::names::{self, bounded, bounded_string};
use super::origin::{EventId, Origin};
use crate::enforce::{Category, Names};
use crate::model::{Connection, Operation, Principal, ResourceType, Subject, Timestamp};

/// What an event is about.
// FROZEN: the words stand in events and headers; pinned by `types_are_frozen`.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum EventType {
    /// A decision.
    Authorization,
    /// A client connection opened, refused or closed.
    Connection,
    /// A policy loaded or refused.
    Policy,
    /// The audit itself: start, stop, what was counted only.
    Audit,
}

impl EventType {
    /// The CloudEvents `type`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Authorization => "kordon.authorization.v1",
            Self::Connection => "kordon.connection.v1",
            Self::Policy => "kordon.policy.v1",
            Self::Audit => "kordon.audit.v1",
        }
    }
}

/// What all events of a connection say alike, as JSON made once: who, from where, to which broker.
#[derive(Clone, Debug)]
pub struct Speaker {
    /// `"authenticationInfo":{…},"requestMetadata":{"clientAddress":…,"listener":…`, its end open.
    head: Vec<u8>,
    /// `,"broker":…}`.
    tail: Vec<u8>,
}

impl Speaker {
    /// The speaker of a connection; `subject` is `None` until it is proved.
    pub fn new(connection: &Connection, subject: Option<&Subject>) -> Self {
        let mut head = Vec::with_capacity(256);
        json::raw(&mut head, "\"authenticationInfo\":{\"principal\":");
        match subject {
            Some(subject) => bounded_string(&mut head, subject.principal.as_str()),
            None => json::raw(&mut head, "null"),
        }
        json::raw(&mut head, ",\"groups\":[");
        for (i, group) in subject.iter().flat_map(|s| s.groups.iter()).take(names::NAMES_KEPT).enumerate() {
            if i > 0 {
                head.push(b',');
            }
            bounded_string(&mut head, group);
        }
        json::raw(&mut head, "],\"mechanism\":");
        json::string(&mut head, &connection.mechanism);
        json::raw(&mut head, ",\"sessionId\":");
        json::string(&mut head, &connection.session_id);
        json::raw(&mut head, "},\"requestMetadata\":{\"clientAddress\":");
        match connection.address() {
            Some(address) => json::string(&mut head, &address.to_string()),
            None => json::raw(&mut head, "null"),
        }
        json::raw(&mut head, ",\"listener\":");
        json::string(&mut head, &connection.listener);
        let mut tail = b",\"broker\":".to_vec();
        match connection.broker {
            Some(id) => json::integer(&mut tail, i64::from(id)),
            None => json::raw(&mut tail, "null"),
        }
        tail.push(b'}');
        Self { head, tail }
    }
}

/// The request that was decided about.
#[derive(Copy, Clone, Debug)]
pub struct RequestMeta<'a> {
    /// The API's name: `OffsetCommit`.
    pub api: &'a str,
    /// The API's key.
    pub api_key: i16,
    /// The version of the request.
    pub api_version: i16,
    /// The client's correlation id.
    pub correlation_id: i32,
    /// The client's id.
    pub client_id: Option<&'a str>,
    /// Name and version of the client's software, from ApiVersions.
    pub software: Option<(&'a str, &'a str)>,
    /// The number of the request in this process.
    pub number: u64,
}

/// The rule that matched.
#[derive(Copy, Clone, Debug)]
pub struct Matched<'a> {
    /// `acl`, `grant`, `role`, …
    pub kind: &'a str,
    /// What finds the rule again: `policy.yaml:31`, `g-0192`.
    pub id: &'a str,
    /// Whether it allows.
    pub allow: bool,
    /// When it ends.
    pub expires: Option<Timestamp>,
}

/// A decision as an event tells it.
#[derive(Copy, Clone, Debug)]
pub struct Authorization<'a> {
    /// The request.
    pub request: RequestMeta<'a>,
    /// What kind of thing it does.
    pub category: Category,
    /// Whether it may.
    pub granted: bool,
    /// The operation asked for.
    pub operation: Operation,
    /// The type of the resources asked for.
    pub kind: ResourceType,
    /// Their names.
    pub names: &'a Names,
    /// The virtual operation that decided, if one did.
    pub right: Option<&'a str>,
    /// The rule that decided.
    pub matched: Option<Matched<'a>>,
    /// The reason, from the closed list.
    pub code: &'a str,
    /// The reason in words.
    pub reason: &'a str,
    /// The policy it was decided by.
    pub revision: &'a str,
    /// Whether it only filters a listing.
    pub probe: bool,
    /// Arguments of a mutation, as JSON.
    pub arguments: Option<&'a str>,
}

/// How many decisions an event stands for.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Aggregation {
    /// At least 1.
    pub count: u64,
    /// When the first was made.
    pub first: Timestamp,
    /// When the last was made.
    pub last: Timestamp,
}

impl Aggregation {
    /// A single decision.
    pub fn one(at: Timestamp) -> Self {
        Self { count: 1, first: at, last: at }
    }

    /// One decision more.
    #[must_use]
    pub fn and(self, at: Timestamp) -> Self {
        Self { count: self.count.saturating_add(1), first: self.first.min(at), last: self.last.max(at) }
    }
}

/// What a run of requests moved.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Default)]
pub struct Volume {
    /// Requests.
    pub requests: u64,
    /// Bytes of the requests.
    pub bytes: u64,
}

/// Why and how a connection event was made.
#[derive(Copy, Clone, Debug)]
pub struct ConnectionInfo<'a> {
    /// `opened`, `renewed`, `refused` or `closed`.
    pub action: &'a str,
    /// The reason, one word: `eof`, `audit_full`, `not_connected_role`, …
    pub reason: &'a str,
    /// In words, if there is more to say.
    pub detail: Option<&'a str>,
}

/// What happened to a policy.
#[derive(Copy, Clone, Debug)]
pub struct PolicyInfo<'a> {
    /// The revision in force afterwards.
    pub revision: &'a str,
    /// The revision in force before; `None` at start.
    pub previous: Option<&'a str>,
    /// The file.
    pub file: &'a str,
    /// Empty: loaded. Else: refused, and why.
    pub problems: &'a [String],
    /// What to know about a loaded one: dropped denies, warnings.
    pub notes: &'a [String],
}

/// What the audit says about itself.
#[derive(Copy, Clone, Debug)]
pub struct AuditInfo<'a> {
    /// `start`, `stop`, `gap`, `suppressed`, `overflow`.
    pub action: &'a str,
    /// In words.
    pub detail: &'a str,
    /// The version of the proxy.
    pub version: &'a str,
}

/// Writes a decision, or a run of equal ones; returns the event's id.
pub fn authorization(
    out: &mut Vec<u8>,
    origin: &Origin,
    speaker: &Speaker,
    decided: &Authorization<'_>,
    aggregation: Aggregation,
    volume: Option<Volume>,
) -> EventId {
    let id = envelope(out, origin, EventType::Authorization, aggregation.last, |out| {
        json::raw(out, decided.kind.policy_word());
        if decided.names.len() == 1 {
            out.push(b':');
            decided.names.iter().for_each(|name| bounded(out, name));
        }
    });
    json::raw(out, "\"methodName\":\"kafka.");
    json::escape(out, decided.request.api);
    json::raw(out, "\",\"category\":\"");
    json::raw(out, decided.category.as_str());
    json::raw(out, "\",");
    metadata(out, origin, speaker, Some(&decided.request));
    json::raw(out, ",\"authorizationInfo\":{\"granted\":");
    json::boolean(out, decided.granted);
    json::raw(out, ",\"operation\":\"");
    json::raw(out, decided.operation.name());
    json::raw(out, "\",\"resource\":{\"type\":\"");
    json::raw(out, decided.kind.name());
    json::raw(out, "\",");
    names::list(out, decided.names);
    json::raw(out, "},\"right\":");
    json::opt_string(out, decided.right);
    json::raw(out, ",\"matched\":[");
    if let Some(rule) = &decided.matched {
        matched(out, rule);
    }
    json::raw(out, "],\"reasonCode\":\"");
    json::raw(out, decided.code);
    json::raw(out, "\",\"reason\":");
    bounded_string(out, decided.reason);
    json::raw(out, ",\"policyRevision\":");
    json::string(out, decided.revision);
    json::raw(out, ",\"probe\":");
    json::boolean(out, decided.probe);
    out.push(b'}');
    if let Some(arguments) = decided.arguments {
        json::raw(out, ",\"request\":");
        json::raw(out, arguments);
    }
    if let Some(volume) = volume {
        json::raw(out, ",\"volume\":{\"requests\":");
        json::unsigned(out, volume.requests);
        json::raw(out, ",\"bytes\":");
        json::unsigned(out, volume.bytes);
        out.push(b'}');
    }
    aggregated(out, aggregation);
    id
}

/// Writes what happened to a connection; returns the event's id.
pub fn connection(
    out: &mut Vec<u8>,
    origin: &Origin,
    speaker: &Speaker,
    principal: Option<&Principal>,
    info: &ConnectionInfo<'_>,
    at: Timestamp,
) -> EventId {
    let id = envelope(out, origin, EventType::Connection, at, |out| match principal {
        Some(principal) => bounded(out, principal.as_str()),
        None => json::raw(out, "connection"),
    });
    metadata(out, origin, speaker, None);
    json::raw(out, ",\"connectionInfo\":{\"action\":");
    json::string(out, info.action);
    json::raw(out, ",\"reason\":");
    json::string(out, info.reason);
    json::raw(out, ",\"detail\":");
    match info.detail {
        Some(detail) => bounded_string(out, detail),
        None => json::raw(out, "null"),
    }
    out.push(b'}');
    aggregated(out, Aggregation::one(at));
    id
}

/// Writes what happened to the policy; returns the event's id.
pub fn policy(out: &mut Vec<u8>, origin: &Origin, info: &PolicyInfo<'_>, at: Timestamp) -> EventId {
    let id = envelope(out, origin, EventType::Policy, at, |out| json::raw(out, "policy"));
    json::raw(out, "\"policyInfo\":{\"action\":\"");
    json::raw(out, if info.problems.is_empty() { "loaded" } else { "refused" });
    json::raw(out, "\",\"revision\":");
    json::string(out, info.revision);
    json::raw(out, ",\"previousRevision\":");
    json::opt_string(out, info.previous);
    json::raw(out, ",\"file\":");
    json::string(out, info.file);
    json::raw(out, ",\"problems\":");
    texts(out, info.problems);
    json::raw(out, ",\"notes\":");
    texts(out, info.notes);
    out.push(b'}');
    aggregated(out, Aggregation::one(at));
    id
}

/// Writes what the audit says about itself; returns the event's id.
pub fn audit(out: &mut Vec<u8>, origin: &Origin, info: &AuditInfo<'_>, aggregation: Aggregation) -> EventId {
    let id = envelope(out, origin, EventType::Audit, aggregation.last, |out| json::raw(out, "audit"));
    json::raw(out, "\"auditInfo\":{\"action\":");
    json::string(out, info.action);
    json::raw(out, ",\"detail\":");
    bounded_string(out, info.detail);
    json::raw(out, ",\"version\":");
    json::string(out, info.version);
    out.push(b'}');
    aggregated(out, aggregation);
    id
}

/// The attributes of CloudEvents, up to the opened `data`; `subject` writes the inside of a JSON string.
fn envelope(
    out: &mut Vec<u8>,
    origin: &Origin,
    kind: EventType,
    at: Timestamp,
    subject: impl FnOnce(&mut Vec<u8>),
) -> EventId {
    let id = origin.event_id(at);
    json::raw(out, "{\"specversion\":\"1.0\",\"id\":\"");
    out.extend_from_slice(&id);
    json::raw(out, "\",\"type\":\"");
    json::raw(out, kind.as_str());
    json::raw(out, "\",\"source\":\"");
    out.extend_from_slice(origin.source());
    json::raw(out, "\",\"subject\":\"");
    subject(out);
    json::raw(out, "\",\"time\":");
    json::instant(out, at);
    json::raw(out, ",\"datacontenttype\":\"application/json\",\"data\":{");
    id
}

/// `authenticationInfo` and `requestMetadata`.
fn metadata(out: &mut Vec<u8>, origin: &Origin, speaker: &Speaker, request: Option<&RequestMeta<'_>>) {
    out.extend_from_slice(&speaker.head);
    if let Some(request) = request {
        json::raw(out, ",\"clientId\":");
        match request.client_id {
            Some(client) => bounded_string(out, client),
            None => json::raw(out, "null"),
        }
        json::raw(out, ",\"clientSoftware\":");
        match request.software {
            Some((name, version)) => {
                out.push(b'"');
                bounded(out, name);
                out.push(b'/');
                bounded(out, version);
                out.push(b'"');
            }
            None => json::raw(out, "null"),
        }
        json::raw(out, ",\"apiKey\":");
        json::integer(out, i64::from(request.api_key));
        json::raw(out, ",\"apiVersion\":");
        json::integer(out, i64::from(request.api_version));
        json::raw(out, ",\"correlationId\":");
        json::integer(out, i64::from(request.correlation_id));
        json::raw(out, ",\"requestId\":");
        origin.request_id(out, request.number);
    }
    out.extend_from_slice(&speaker.tail);
}

fn matched(out: &mut Vec<u8>, rule: &Matched<'_>) {
    json::raw(out, "{\"kind\":");
    json::string(out, rule.kind);
    json::raw(out, ",\"id\":");
    bounded_string(out, rule.id);
    json::raw(out, if rule.allow { ",\"effect\":\"allow\"" } else { ",\"effect\":\"deny\"" });
    if let Some(expires) = rule.expires {
        json::raw(out, ",\"expires\":");
        json::instant(out, expires);
    }
    out.push(b'}');
}

fn aggregated(out: &mut Vec<u8>, aggregation: Aggregation) {
    json::raw(out, ",\"aggregation\":{\"count\":");
    json::unsigned(out, aggregation.count);
    json::raw(out, ",\"firstTime\":");
    json::instant(out, aggregation.first);
    json::raw(out, ",\"lastTime\":");
    json::instant(out, aggregation.last);
    out.push(b'}');
}

/// An array of the first hundred texts.
fn texts(out: &mut Vec<u8>, all: &[String]) {
    out.push(b'[');
    for (i, text) in all.iter().take(100).enumerate() {
        if i > 0 {
            out.push(b',');
        }
        bounded_string(out, text);
    }
    out.push(b']');
}

#[cfg(test)]
#[path = "event_tests.rs"]
mod tests;

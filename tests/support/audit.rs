//! Reads an audit topic completely, from the brokers, and holds every event against the schema.

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use super::cluster::Cluster;
use super::java::{Consumer, Java};
use super::{eventually, soon};

#[path = "../../src/audit/schema_check.rs"]
mod schema_check;

/// One event.
#[derive(Clone, PartialEq)]
pub struct Event {
    /// The whole event.
    pub json: Value,
    /// The record's key.
    pub key: Option<String>,
    /// The record's headers.
    pub headers: Value,
}

impl Event {
    /// A text by JSON pointer below `data`, empty when it is not there.
    pub fn text(&self, pointer: &str) -> &str {
        self.json.pointer(&format!("/data{pointer}")).and_then(Value::as_str).unwrap_or_default()
    }

    /// The type, such as `authorization`.
    pub fn kind(&self) -> &str {
        let kind = self.json["type"].as_str().unwrap_or_default();
        kind.strip_prefix("kordon.").and_then(|k| k.strip_suffix(".v1")).unwrap_or(kind)
    }

    /// `kafka.Produce`
    pub fn method(&self) -> &str {
        self.text("/methodName")
    }

    /// `User:alice`
    pub fn principal(&self) -> &str {
        self.text("/authenticationInfo/principal")
    }

    /// `Write`
    pub fn operation(&self) -> &str {
        self.text("/authorizationInfo/operation")
    }

    /// `NO_MATCH`
    pub fn reason(&self) -> &str {
        self.text("/authorizationInfo/reasonCode")
    }

    /// Whether it was allowed.
    pub fn granted(&self) -> bool {
        self.json["data"]["authorizationInfo"]["granted"] == true
    }

    /// The resources it names.
    pub fn names(&self) -> Vec<&str> {
        let names = self.json.pointer("/data/authorizationInfo/resource/names").and_then(Value::as_array);
        names.into_iter().flatten().filter_map(Value::as_str).collect()
    }

    /// Whether it names this resource.
    pub fn on(&self, name: &str) -> bool {
        self.names().contains(&name)
    }

    /// How many decisions it stands for.
    pub fn count(&self) -> u64 {
        self.json.pointer("/data/aggregation/count").and_then(Value::as_u64).unwrap_or(1)
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let outcome = if self.granted() { "granted" } else { "denied" };
        let (principal, method, operation, reason) = (self.principal(), self.method(), self.operation(), self.reason());
        write!(
            f,
            "{} {principal} {method} {operation} {:?} {outcome} {reason} ×{}",
            self.kind(),
            self.names(),
            self.count()
        )
    }
}

/// Follows one audit topic from its beginning.
pub struct AuditReader {
    consumer: Consumer,
    partitions: Vec<(String, i32)>,
    events: Vec<Event>,
}

impl AuditReader {
    /// Reads `topic` from the brokers; it must exist.
    #[track_caller]
    pub fn open(cluster: &Cluster, topic: &str) -> AuditReader {
        let admin = cluster.admin();
        let count = soon("the audit topic", || {
            let told = admin.ask("describeTopics", json!({ "topics": [topic] })).map_err(|e| e.to_string())?;
            told[topic]["ok"]["partitions"].as_array().map(Vec::len).ok_or_else(|| told.to_string())
        });
        let partitions: Vec<(String, i32)> = (0..count as i32).map(|p| (topic.to_owned(), p)).collect();
        let consumer = Java::newest().consumer(&cluster.direct(), &[]);
        consumer.ask("assign", json!({ "partitions": partitions })).unwrap_or_else(|e| panic!("assign: {e}"));
        AuditReader { consumer, partitions, events: Vec::new() }
    }

    /// Everything in the topic up to now. Every event is valid by `docs/audit-event.schema.json`, or this fails.
    #[track_caller]
    pub fn read(&mut self) -> &[Event] {
        let args = json!({ "partitions": self.partitions });
        let end = self.consumer.ask("endOffsets", args.clone()).unwrap_or_else(|e| panic!("endOffsets: {e}"));
        let total = |offsets: &Value| offsets.as_object().map_or(0, |all| all.values().filter_map(Value::as_u64).sum());
        let end: u64 = total(&end);
        eventually("the end of the audit topic", Duration::from_secs(60), || {
            let records = self.consumer.poll(1, Duration::from_millis(300)).unwrap_or_else(|e| panic!("poll: {e}"));
            for record in records {
                let text = record["value"].as_str().unwrap_or_else(|| panic!("no readable event: {record}"));
                let json = schema_check::check_event(text.as_bytes()).unwrap_or_else(|e| panic!("{e}\n{text}"));
                let key = record["key"].as_str().map(str::to_owned);
                self.events.push(Event { json, key, headers: record["headers"].clone() });
            }
            let at: u64 =
                total(&self.consumer.ask("position", args.clone()).unwrap_or_else(|e| panic!("position: {e}")));
            if at >= end { Ok(()) } else { Err(format!("{at} of {end}")) }
        });
        &self.events
    }

    /// Waits for an event such as `wanted` says, and gives the first.
    #[track_caller]
    pub fn wait(&mut self, what: &str, wanted: impl Fn(&Event) -> bool) -> Event {
        eventually(what, Duration::from_secs(30), || {
            self.read();
            self.events.iter().find(|e| wanted(e)).cloned().ok_or_else(|| {
                let last: Vec<String> = self.events.iter().rev().take(12).map(|e| format!("{e:?}")).collect();
                format!("not among {} events, the last of which are\n{}", self.events.len(), last.join("\n"))
            })
        })
    }

    /// The decisions that all authorization events stand for.
    #[track_caller]
    pub fn decisions(&mut self) -> u64 {
        self.read().iter().filter(|e| e.kind() == "authorization").map(Event::count).sum()
    }
}

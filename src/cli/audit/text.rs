//! An audit event as one line for people.

use crate::model::shown;
use serde_json::Value;
use std::fmt::Write as _;

/// Time, outcome, who, what, why. What clients chose cannot move the cursor or change colours.
pub(super) fn line(event: &Value) -> String {
    let data = |path: &str| event.pointer(&format!("/data/{path}"));
    let text = |path: &str| data(path).and_then(Value::as_str).unwrap_or("-");
    let kind = event["type"].as_str().unwrap_or("-");
    let kind = kind.strip_prefix("kordon.").unwrap_or(kind);
    let kind = kind.split_once(".v").map_or(kind, |(kind, _)| kind);
    let mut line = format!("{} ", event["time"].as_str().unwrap_or("-"));
    let who = text("authenticationInfo/principal");
    // Writing to a string does not fail.
    let _ = match data("authorizationInfo") {
        Some(info) => write!(
            line,
            "{} {who} {} {} in {}: {} ({})",
            if info["granted"] == true { "allowed" } else { "DENIED" },
            info["operation"].as_str().unwrap_or("-"),
            event["subject"].as_str().filter(|s| s.contains(':')).map_or_else(|| resources(info), str::to_owned),
            text("methodName"),
            info["reason"].as_str().unwrap_or("-"),
            info["reasonCode"].as_str().unwrap_or("-"),
        ),
        None => match data("connectionInfo") {
            Some(info) => {
                let word = |key: &str| info[key].as_str().map(|word| format!(" {word}")).unwrap_or_default();
                let from = data("requestMetadata/clientAddress").and_then(Value::as_str);
                let from = from.map(|address| format!(" from {address}")).unwrap_or_default();
                write!(line, "{kind} {who}{from}{}{}{}", word("action"), word("reason"), word("detail"))
            }
            None => write!(line, "{kind} {}", rest(event)),
        },
    };
    let count = data("aggregation/count").and_then(Value::as_u64).unwrap_or(1);
    if count > 1 {
        let _ = write!(line, " × {count}");
    }
    shown(&line).into_owned()
}

/// Type and first names of a decision about several resources.
fn resources(info: &Value) -> String {
    const SHOWN: usize = 5;
    let resource = &info["resource"];
    let names: Vec<&str> = resource["names"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let shown = names.get(..SHOWN).unwrap_or(&names);
    let more = resource["count"].as_u64().and_then(|n| n.checked_sub(u64::try_from(shown.len()).ok()?)).unwrap_or(0);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}[{}]{more}", resource["type"].as_str().unwrap_or("-"), shown.join(", "))
}

/// The data of an event that is no decision, without what every event has and what is empty.
fn rest(event: &Value) -> String {
    let common = |key: &str| matches!(key, "integrity" | "aggregation" | "requestMetadata");
    let mut parts = Vec::new();
    for (key, value) in event["data"].as_object().into_iter().flatten().filter(|(key, _)| !common(key)) {
        match value {
            // What is told of the policy, or of the audit itself.
            Value::Object(info) => info.iter().for_each(|(key, value)| part(&mut parts, key, value)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                part(&mut parts, key, value);
            }
        }
    }
    parts.join(" ")
}

fn part(parts: &mut Vec<String>, key: &str, value: &Value) {
    match value {
        Value::Null => {}
        Value::String(text) => parts.push(format!("{key}={text}")),
        Value::Array(list) if list.is_empty() => {}
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => parts.push(format!("{key}={value}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn decision(names: &[&str], count: u64) -> Value {
        json!({
            "type": "kordon.authorization.v1", "time": "2026-11-21T23:36:45.123Z",
            "subject": if count == 1 { "topic:tx_1" } else { "topic" },
            "data": {
                "methodName": "kafka.Fetch",
                "authenticationInfo": { "principal": "User:alice" },
                "authorizationInfo": {
                    "granted": false, "operation": "Read", "reasonCode": "NO_MATCH", "reason": "no rule allows this",
                    "resource": { "type": "Topic", "names": names, "count": count },
                },
                "aggregation": { "count": 3 },
                "integrity": { "seq": 1 },
            },
        })
    }

    #[test]
    fn a_decision_is_one_line() {
        assert_eq!(
            line(&decision(&["tx_1"], 1)),
            "2026-11-21T23:36:45.123Z DENIED User:alice Read topic:tx_1 in kafka.Fetch: no rule allows this (NO_MATCH) × 3"
        );
        assert!(line(&decision(&["a", "b", "c", "d", "e", "f"], 30)).contains(" Topic[a, b, c, d, e] and 25 more in "));
    }

    #[test]
    fn a_connection_is_one_line() {
        let event = json!({ "type": "kordon.connection.v1", "time": "T", "data": {
            "authenticationInfo": { "principal": "User:alice" },
            "requestMetadata": { "clientAddress": "10.0.0.7:51312" },
            "connectionInfo": { "action": "closed", "reason": "client_eof", "detail": null } } });
        assert_eq!(line(&event), "T connection User:alice from 10.0.0.7:51312 closed client_eof");
    }

    #[test]
    fn another_event_shows_its_data() {
        let event = json!({ "type": "kordon.policy.v1", "time": "T", "data": {
            "policyInfo": { "action": "loaded", "previous": null, "notes": ["x"], "problems": [] }, "integrity": { "seq": 1 } } });
        assert_eq!(line(&event), "T policy action=loaded notes=[\"x\"]");
        assert_eq!(line(&json!(7)), "- - ");
    }

    #[test]
    fn what_clients_chose_cannot_steer_a_terminal() {
        let text = line(&decision(&["a\u{1b}[2J", "b\u{202e}", "c\n"], 30));
        assert!(text.contains("a\\u{1b}[2J, b\\u{202e}, c\\u{a}"), "{text}");
    }
}

use super::*;
use crate::audit::schema_check::check_event;
use crate::model::Host;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::time::Instant;

fn names(of: &[&str]) -> Names {
    let mut names = Names::default();
    of.iter().for_each(|name| names.push(name));
    names
}

const AT: Timestamp = Timestamp(1_795_304_205_123);

fn origin() -> Origin {
    Origin::new("prod-eu", "p-1", Timestamp(1_795_000_000_000), 0)
}

fn speaker(principal: &str) -> Speaker {
    let connection = Connection {
        session_id: "s-88f1".into(),
        listener: "external".into(),
        host: Host::new("10.1.4.7".parse().unwrap()),
        port: 51_312,
        mechanism: "SASL_SSL/SCRAM-SHA-512".into(),
        broker: Some(2),
        relayed: false,
    };
    let subject = Subject {
        principal: Principal::user(principal),
        groups: ["devs".into()].into(),
        may_merge: true,
        may_be_super: false,
    };
    Speaker::new(&connection, Some(&subject))
}

fn decided<'a>(names: &'a Names, client_id: &'a str, reason: &'a str) -> Authorization<'a> {
    Authorization {
        request: RequestMeta {
            api: "OffsetCommit",
            api_key: 8,
            api_version: 9,
            correlation_id: 41,
            client_id: Some(client_id),
            software: Some(("apache-kafka-java", "4.1.0")),
            number: 23_559,
        },
        category: Category::GroupWrite,
        granted: true,
        operation: Operation::Read,
        kind: ResourceType::Group,
        names,
        right: Some("OffsetsWrite"),
        matched: Some(Matched { kind: "grant", id: "g-0192", allow: true, expires: Some(Timestamp(AT.0 + 1_754_877)) }),
        code: "GRANT_ALLOW",
        reason,
        revision: "9f2c01ab77de@4711",
        probe: false,
        arguments: Some(r#"{"topics":[{"name":"tx_trade1","partitions":[{"index":3,"offset":918274}]}]}"#),
    }
}

fn sealed(write: impl FnOnce(&mut Vec<u8>, &Origin)) -> Value {
    let (mut out, origin) = (Vec::new(), origin());
    write(&mut out, &origin);
    origin.seal(&mut out, 10_211);
    check_event(&out).unwrap_or_else(|e| panic!("{e}\n{}", String::from_utf8_lossy(&out)))
}

#[test]
fn types_are_frozen() {
    let types = [EventType::Authorization, EventType::Connection, EventType::Policy, EventType::Audit];
    assert_eq!(
        types.map(EventType::as_str).join(" "),
        "kordon.authorization.v1 kordon.connection.v1 kordon.policy.v1 kordon.audit.v1"
    );
}

#[test]
fn a_decision_is_written_as_the_design_shows_it() {
    let names = names(&["trade_b2"]);
    let reason = "temporary grant g-0192 (INC-4711), 29m14s left";
    let event = sealed(|out, origin| {
        authorization(
            out,
            origin,
            &speaker("alice"),
            &decided(&names, "skip-tool", reason),
            Aggregation::one(AT),
            None,
        );
    });
    let id = event["id"].clone();
    assert_eq!(
        event,
        json!({ "specversion": "1.0", "id": id, "type": "kordon.authorization.v1",
          "source": "/clusters/prod-eu/proxies/p-1", "subject": "group:trade_b2", "time": "2026-11-21T23:36:45.123Z",
          "datacontenttype": "application/json",
          "data": {
            "methodName": "kafka.OffsetCommit", "category": "group_write",
            "authenticationInfo": { "principal": "User:alice", "groups": ["devs"],
                "mechanism": "SASL_SSL/SCRAM-SHA-512", "sessionId": "s-88f1" },
            "requestMetadata": { "clientAddress": "10.1.4.7:51312", "listener": "external", "clientId": "skip-tool",
                "clientSoftware": "apache-kafka-java/4.1.0", "apiKey": 8, "apiVersion": 9, "correlationId": 41,
                "requestId": "p-1-1795000000000-23559", "broker": 2 },
            "authorizationInfo": { "granted": true, "operation": "Read",
                "resource": { "type": "Group", "names": ["trade_b2"], "count": 1, "digest": null },
                "right": "OffsetsWrite",
                "matched": [{ "kind": "grant", "id": "g-0192", "effect": "allow", "expires": "2026-11-22T00:06:00.000Z" }],
                "reasonCode": "GRANT_ALLOW", "reason": reason, "policyRevision": "9f2c01ab77de@4711", "probe": false },
            "request": { "topics": [{ "name": "tx_trade1", "partitions": [{ "index": 3, "offset": 918_274 }] }] },
            "aggregation": { "count": 1, "firstTime": "2026-11-21T23:36:45.123Z", "lastTime": "2026-11-21T23:36:45.123Z" },
            "integrity": { "instance": "p-1", "epoch": 1_795_000_000_000_i64, "seq": 10_211 } } })
    );
}

#[test]
fn the_subject_names_a_resource_only_if_it_is_the_only_one() {
    let subject = |of: &[&str]| {
        let names = names(of);
        let event = sealed(|out, origin| {
            authorization(out, origin, &speaker("a"), &decided(&names, "c", "r"), Aggregation::one(AT), None);
        });
        event["subject"].as_str().unwrap().to_owned()
    };
    assert_eq!(subject(&["a", "b"]), "group");
    assert_eq!(subject(&[]), "group");
    assert_eq!(subject(&["a"]), "group:a");
}

#[test]
fn a_run_carries_its_count_and_its_volume() {
    let names = names(&["orders"]);
    let aggregation = Aggregation { count: 412, first: AT, last: AT.plus_millis(9_000) };
    let volume = Some(Volume { requests: 412, bytes: 40_000 });
    let event = sealed(|out, origin| {
        let decided = Authorization { matched: None, arguments: None, right: None, ..decided(&names, "c", "r") };
        authorization(out, origin, &speaker("alice"), &decided, aggregation, volume);
    });
    assert_eq!(event["data"]["aggregation"]["count"], 412);
    assert_eq!(event["data"]["volume"], json!({ "requests": 412, "bytes": 40_000 }));
    assert_eq!(event["time"], "2026-11-21T23:36:54.123Z");
}

#[test]
fn connections_policies_and_the_audit_itself_are_told() {
    let closed = sealed(|out, origin| {
        let info = ConnectionInfo { action: "closed", reason: "audit_full", detail: None };
        connection(out, origin, &speaker("alice"), Some(&Principal::user("alice")), &info, AT);
    });
    assert_eq!(closed["data"]["connectionInfo"]["reason"], "audit_full");
    assert_eq!(closed["subject"], "User:alice");
    let refused = sealed(|out, origin| {
        let problems = ["policy.yaml:3:1: unknown key `alow`".to_owned()];
        let info =
            PolicyInfo { revision: "a@-", previous: Some("a@-"), file: "policy.yaml", problems: &problems, notes: &[] };
        policy(out, origin, &info, AT);
    });
    assert_eq!(refused["data"]["policyInfo"]["action"], "refused");
    let start = sealed(|out, origin| {
        let info = AuditInfo { action: "start", detail: "started", version: "0.1.0" };
        audit(out, origin, &info, Aggregation::one(AT));
    });
    assert_eq!(start["type"], "kordon.audit.v1");
}

#[test]
fn threat_28_an_event_stays_small_whatever_a_client_sends() {
    let long = "\u{1}".repeat(32_767);
    let names = names(&[long.as_str(); 30]);
    let mut out = Vec::new();
    let decided = Authorization { arguments: None, ..decided(&names, &long, &long) };
    authorization(&mut out, &origin(), &speaker(&long), &decided, Aggregation::one(AT), None);
    assert!(out.len() < 100_000, "{}", out.len());
}

proptest! {
    #[test]
    fn every_event_keeps_the_schema_and_says_what_it_was_given(
        all in prop::collection::vec("\\PC{0,20}|[\\x00-\\x1f\"\\\\]{1,5}", 0..30),
        client in ".{0,40}", principal in ".{0,40}", count in 1_u64..,
    ) {
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        let names = names(&all);
        let event = sealed(|out, origin| {
            let aggregation = Aggregation { count, first: AT, last: AT };
            authorization(out, origin, &speaker(&principal), &decided(&names, &client, "r"), aggregation, None);
        });
        let kept = &all[..all.len().min(20)];
        prop_assert_eq!(&event["data"]["authorizationInfo"]["resource"]["names"], &json!(kept));
        prop_assert_eq!(&event["data"]["authorizationInfo"]["resource"]["count"], &json!(all.len()));
        prop_assert_eq!(event["data"]["requestMetadata"]["clientId"].as_str(), Some(client.as_str()));
        prop_assert_eq!(&event["data"]["authenticationInfo"]["principal"], &json!(format!("User:{principal}")));
        prop_assert_eq!(&event["data"]["aggregation"]["count"], &json!(count));
    }
}

/// Run with `--release -- --ignored --nocapture`: the time of one event on the hot path.
#[test]
#[ignore = "a measurement, meaningful only in a release build"]
fn time_of_one_event() {
    let (origin, speaker, names) = (origin(), speaker("alice"), names(&["trade_b2"]));
    let decided = decided(&names, "skip-tool", "temporary grant g-0192 (INC-4711), 29m14s left");
    let mut out = Vec::new();
    let start = Instant::now();
    for _ in 0..1_000_000 {
        out.clear();
        authorization(&mut out, &origin, &speaker, &decided, Aggregation::one(AT), None);
        std::hint::black_box(&out);
    }
    println!("{} bytes, {:?} per event", out.len(), start.elapsed() / 1_000_000);
}

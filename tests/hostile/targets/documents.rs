//! Files: policy, configuration, users. They are an operator's, but half written, merged and pasted ones are read too.

use crate::allocator::peak;
use crate::input::{Input, damage};
use kordon::identity::users::Users;
use kordon::model::{Host, Operation, Principal, Resource, ResourceType, Subject, Timestamp};
use kordon::policy::{OwnTopics, Query, Settings, Snapshot, Use};
use kordon::wire::ApiKey;
use kordon::yaml::Problem;
use std::path::Path;

/// What a document may hold while it is read: nodes with places, problems with words, compiled rules.
const FLAT: usize = 1 << 20;
const PER_BYTE: usize = 16 * 1024;

/// A document made of `words`, or the input itself.
fn text(data: &[u8], words: &[&str]) -> Vec<u8> {
    let mut input = Input(data);
    if input.byte() == 0 {
        return input.rest().to_vec();
    }
    let mut text = Vec::new();
    let harm = Input(input.take(usize::from(input.clone().byte() % 4) * 5));
    while !input.is_empty() {
        text.extend_from_slice(words[input.below(words.len())].as_bytes());
    }
    damage(&mut text, &mut harm.clone(), 4);
    text
}

fn told(problems: &[Problem], text: &str) {
    assert!(!problems.is_empty(), "refused without a word");
    // Every line break that YAML ever knew.
    let lines = text.matches(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']).count() as u64 + 2;
    for problem in problems {
        assert!(!problem.text.is_empty() && !problem.to_string().contains('\n'), "{problem}");
        assert!(problem.place.is_none_or(|place| (1..=lines).contains(&place.line)), "{problem} of {lines}");
    }
}

fn bounded<T>(bytes: usize, work: impl FnOnce() -> T) -> T {
    let (result, most) = peak(work);
    assert!(most <= FLAT + PER_BYTE * bytes, "{most} bytes were held for a document of {bytes}");
    result
}

pub(super) fn policy(data: &[u8]) {
    let text = text(data, POLICY);
    let own_topics = OwnTopics { state: Some("kordon.state".into()), audit: vec!["kordon.audit".into()] };
    let settings = Settings { own_topics, now: Timestamp(1_000), ..Settings::default() };
    let loaded = bounded(text.len(), || Snapshot::load(&text, "policy.yaml", &settings));
    let snapshot = match loaded {
        Ok(loaded) => loaded.snapshot,
        Err(problems) => return told(&problems, &String::from_utf8_lossy(&text)),
    };
    let again = Snapshot::load(&text, "policy.yaml", &settings).expect("it was loaded before").snapshot;
    assert_eq!(again.revision(), snapshot.revision());
    let host = Host::new([10, 0, 0, 1].into());
    for user in ["alice", "root", "", "*"] {
        let subject = Subject {
            principal: Principal::user(user),
            groups: ["devs".into()].into(),
            may_merge: true,
            may_be_super: user == "root",
        };
        for (kind, name) in [
            (ResourceType::Topic, "open"),
            (ResourceType::Topic, "kordon.audit"),
            (ResourceType::Topic, ""),
            (ResourceType::Group, "g"),
            (ResourceType::Cluster, "kafka-cluster"),
            (ResourceType::TransactionalId, "*"),
        ] {
            for operation in [Operation::Read, Operation::Write, Operation::Describe, Operation::ClusterAction] {
                let resource = Resource::new(kind, name);
                let query = Query {
                    subject: &subject,
                    operation,
                    resource,
                    api: ApiKey::PRODUCE,
                    host: &host,
                    now: Timestamp(5_000),
                    use_: Use::Normal,
                };
                let decision = snapshot.decide(&query);
                assert_eq!(again.decide(&query).is_allowed(), decision.is_allowed(), "one file, one decision");
                assert_eq!(
                    snapshot.explain(&query).decision.is_allowed(),
                    decision.is_allowed(),
                    "explain says it too"
                );
                let forbidden = name == "kordon.audit" && operation == Operation::Write;
                assert!(!(forbidden && decision.is_allowed()), "no file lets anybody write the audit");
                assert!(!decision.reason().is_empty());
            }
        }
    }
    if let Some(edge) = snapshot.next_edge(Timestamp(1_000)) {
        assert!(edge > Timestamp(1_000));
    }
}

pub(super) fn config(data: &[u8]) {
    let text = text(data, CONFIG);
    let Ok(text) = String::from_utf8(text) else { return };
    let path = Path::new("/etc/kordon/kordon.yaml");
    let parsed = bounded(text.len(), || kordon::config::parse(&text, path, &|_| Some("from-env".to_owned())));
    match parsed {
        Ok(config) => drop(format!("{config:?} {:?}", config.warnings())),
        Err(problems) => told(&problems, &text),
    }
}

pub(super) fn users(data: &[u8]) {
    let text = text(data, USERS);
    let Ok(text) = String::from_utf8(text) else { return };
    match bounded(text.len(), || Users::parse(&text, "users.yaml")) {
        Ok(users) => {
            let written = users.render();
            let again = Users::parse(&written, "users.yaml").unwrap_or_else(|e| panic!("{e:?}\n{written}"));
            assert_eq!(again.render(), written);
            let names = |users: &Users| users.iter().map(|user| user.name.clone()).collect::<Vec<_>>();
            assert_eq!(names(&again), names(&users));
            for user in users.iter() {
                let (now, other) = (Timestamp(0), again.get(&user.name).expect("it was written"));
                assert_eq!((other.in_force(now), &other.groups), (user.in_force(now), &user.groups));
            }
        }
        Err(problems) => told(&problems, &text),
    }
}

const POLICY: &[&str] = &[
    "version: 1\n",
    "default: deny\n",
    "default: allow_if_no_acl\n",
    "connect_gate: required\n",
    "connect_gate: open\n",
    "super_users: [\"User:root\"]\n",
    "operators: [\"User:alice\"]\n",
    "groups:\n  devs: [\"User:alice\"]\n",
    "groups: { devs: [\"User:alice\", \"User:bob\"], ops: [] }\n",
    "roles:\n",
    "  r1:\n    permissions: [topics.get, topics.list]\n",
    "  r2:\n    includes: [r1, r3]\n",
    "  r3:\n    includes: [r2]\n    rules:\n      - { allow: [Read], resources: [\"topic:o*\"] }\n",
    "bindings:\n",
    "  - { roles: [r1], principals: [\"Group:devs\"], resources: [\"topic:open\"] }\n",
    "  - { roles: [viewer, consumer], principals: [\"User:*\"], resources: [\"topic:*\", \"group:g\"] }\n",
    "acls:\n",
    "  - { allow: [Read], principals: [\"User:alice\"], resources: [\"topic:open\"] }\n",
    "  - { allow: [All], principals: [\"User:*\"], resources: [\"*\"] }\n",
    "  - { deny: [Write], principals: [\"Group:devs\"], resources: [\"topic:op*\"], hosts: [\"10.0.0.0/8\"] }\n",
    "  - allow: [Read, Write]\n    principals: [\"User:alice\"]\n    resources:\n      - topic:open\n",
    "      - { type: topic, name: \"*\", pattern: literal }\n",
    "    not_before: 1970-01-01T00:00:02Z\n",
    "    not_after: \"1970-01-01T00:00:04Z\"\n",
    "    except: [\"User:bob\"]\n",
    "    apis: [Produce, Fetch]\n",
    "    reason: \"x\u{202e}y\"\n",
    "grants:\n",
    "  - { id: g-1, allow: [Read], principals: [\"User:alice\"], resources: [\"topic:x\"], not_after: 2030-01-01T00:00:00Z }\n",
    "  - { id: g-2, deny: [All], principals: [\"User:root\"], resources: [\"*\"], not_after: 2030-01-01T00:00:00Z }\n",
    "revoked: [g-1]\n",
    "end: true\n",
    "&a [Read]",
    "*a",
    "<<: *a\n",
    "!!binary aGk=\n",
    "? x\n: y\n",
    "--- \n",
    "|\n  text\n",
    "\"\\u0000\"\n",
    "# c\n",
    "  ",
    "[",
    "]",
    "{",
    "}",
    ":",
    ",",
    "\t",
    "\"",
    "'",
    "\r\n",
    "- ",
    "0x7fffffffffffffff",
    "1e400",
    "~",
    "null\n",
    "\u{feff}",
];

const CONFIG: &[&str] = &[
    "version: 1\n",
    "cluster:\n  bootstrap: [\"broker-1:9092\", \"[::1]:9092\"]\n",
    "  name: c\n",
    "  metadata_refresh: 30s\n",
    "  connect_timeout: 5s\n",
    "  sasl: { mechanism: PLAIN, username: kordon, password_file: p }\n",
    "policy: { file: policy.yaml }\n",
    "policy:\n  file: \"/x/policy.yaml\"\n",
    "users: { file: users.yaml }\n",
    "listeners:\n",
    "  - name: a\n    bind: 127.0.0.1:19092\n    advertise: localhost\n",
    "    brokers: { ports: 19093-19100 }\n",
    "    identity: { fixed: \"User:alice\" }\n",
    "    sasl: { mechanisms: [PLAIN] }\n",
    "    super_users: true\n",
    "limits: { frame: 100MiB, in_flight: 512 }\n",
    "limits:\n  request_memory: 1GiB\n",
    "  idle_timeout: 10m\n",
    "  upstream_ahead: { requests: 16, size: 1MiB }\n",
    "audit:\n  topic: kordon.audit\n",
    "  rules:\n    - { principals: [\"User:a\"], level: full }\n",
    "admin: { bind: 127.0.0.1:9999 }\n",
    "shutdown: { drain: 30s }\n",
    "instance: i\n",
    "${HOME}",
    "&a",
    "*a",
    "99999999999999999999",
    "-1",
    "0",
    "1.5GiB",
    "18446744073709551615ms",
    "[",
    "]",
    "{",
    "}",
    ":",
    ",",
    "\n",
    "  ",
    "- ",
    "\"",
    "'",
    "~",
    "true",
    "x",
    "\u{0}",
];

const USERS: &[&str] = &[
    "version: 1\n",
    "users:\n",
    "users: []\n",
    "  - name: alice\n",
    "  - name: \"b\\\"o\\u0007b\"\n",
    "  - { name: c, groups: [d, e] }\n",
    "    groups: [devs, \"a b\"]\n",
    "    groups: []\n",
    "    scram-sha-512: { iterations: 4096, salt: \"c2FsdHNhbHRzYWx0c2FsdA==\", stored_key: \"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==\", server_key: \"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==\" }\n",
    "    scram-sha-256: { iterations: 4096, salt: \"c2FsdHNhbHRzYWx0c2FsdA==\", stored_key: \"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\", server_key: \"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\" }\n",
    "    expires: 2030-01-01T00:00:00Z\n",
    "    expires: 1970-01-01T00:00:00.001+14:00\n",
    "    disabled: true\n",
    "    disabled: false\n",
    "&a",
    "*a",
    "é\u{202e}",
    "\\",
    "[",
    "]",
    "{",
    "}",
    ":",
    ",",
    "\n",
    "  ",
    "- ",
    "\"",
    "'",
    "~",
    "x",
    "\u{0}",
    "999999999999",
];

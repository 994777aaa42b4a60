//! One test per rule of the configuration; the last one walks every message.

use super::*;
use crate::config::*;
use crate::model::{Operation, Principal, ResourceType};
use std::path::PathBuf;
use std::time::Duration;

mod edge;
mod map;
mod pass_through;
mod sessions;
mod sni;
mod state;
mod tls;
mod tokens;

/// The least that loads, with markers where tests put more.
const LEAST: &str = "\
version: 1
instance: p-1
cluster: { name: c, bootstrap: [\"k:9092\"] #cluster
  }
listeners:
  - { name: a, bind: \"127.0.0.1:19092\", #listener
      brokers: { ports: { ids: 0-3 } }, #brokers
      identity: fixed, principal: \"User:alice\" } #identity
#listeners
policy: { file: policy.yaml }
#root
";

fn environment(name: &str) -> Option<String> {
    match name {
        "NAME" => Some("value".into()),
        "PORT" => Some("4711".into()),
        "YES" => Some("true".into()),
        "HOSTNAME" => Some("host-1".into()),
        _ => None,
    }
}

fn load_text(text: &str) -> Result<Config, Vec<String>> {
    parse(text, Path::new("etc/kordon.yaml"), &environment)
        .map_err(|problems| problems.iter().map(ToString::to_string).collect())
}

/// [`LEAST`] with pieces replaced.
fn with(pieces: &[(&str, &str)]) -> Result<Config, Vec<String>> {
    let mut text = LEAST.to_owned();
    for (from, to) in pieces {
        assert!(text.contains(from), "`{from}` does not stand in the text");
        text = text.replacen(from, to, 1);
    }
    load_text(&text)
}

fn well(pieces: &[(&str, &str)]) -> Config {
    with(pieces).unwrap_or_else(|problems| panic!("{pieces:?}: {problems:#?}"))
}

/// The only problem, without the name of the file.
fn fault(pieces: &[(&str, &str)]) -> String {
    let mut problems = with(pieces).expect_err("no problem was found");
    assert_eq!(problems.len(), 1, "{problems:#?}");
    problems.remove(0).strip_prefix("etc/kordon.yaml:").unwrap().to_owned()
}

#[test]
fn defaults_are_those_of_the_documentation() {
    let config = well(&[]);
    let seconds = Duration::from_secs;
    assert_eq!(config.file, PathBuf::from("etc/kordon.yaml"));
    assert_eq!(config.policy.file, PathBuf::from("etc/policy.yaml"));
    assert_eq!(
        (config.cluster.connect_timeout, config.cluster.request_timeout, config.cluster.metadata_refresh),
        (seconds(5), seconds(30), seconds(5))
    );
    assert_eq!((&config.cluster.sasl, &config.cluster.own), (&None, &None));
    assert_eq!(config.cluster.client_telemetry, ClientTelemetry::None);
    let listener = &config.listeners[0];
    assert_eq!(listener.advertise, "127.0.0.1");
    assert_eq!(listener.brokers, Brokers::Ports { start: 19093, ids: 0..=3, advertise_start: 19093 });
    assert_eq!(listener.identity, Identity::Fixed(Principal::user("alice")));
    assert!(!listener.super_users);
    assert_eq!(listener.broker_bind(3), Some("127.0.0.1:19096".parse().unwrap()));
    assert_eq!(
        config.audit,
        Audit {
            topic: "kordon.audit".into(),
            former_topics: Vec::new(),
            create: true,
            partitions: 6,
            replication_factor: None,
            retention: Some(seconds(30 * 86_400)),
            memory: ByteSize::mib(64),
            full_wait: seconds(30),
            rules: vec![],
        }
    );
    assert_eq!(config.metrics, Some("127.0.0.1:9464".parse().unwrap()));
    assert_eq!(config.log, Log { format: LogFormat::Text, level: LogLevel::Info });
    assert_eq!(config.limits, Limits::default());
    assert_eq!(config.drain, seconds(30));
    assert_eq!(config.users, None);
}

#[test]
fn every_served_key_is_read() {
    let config = load_text(
        r#"version: 1
instance: kordon-a
cluster:
  name: prod-eu
  bootstrap: ["kafka-1:9092", "[2001:db8::1]:9093"]
  sasl: { mechanism: SCRAM-SHA-512, username: kordon, password: { file: secrets/upstream } }
  own: { sasl: { mechanism: PLAIN, username: audit, password: { env: AUDIT_PASSWORD } } }
  connect_timeout: 1s
  request_timeout: 2s
  metadata_refresh: 500ms
  client_telemetry: forward
listeners:
  - name: external
    bind: "[::]:9092"
    advertise: kafka.example.com
    brokers: { ports: { start: 9100, ids: 1-8, advertise_start: 31000 } }
    identity: sasl
    super_users: true
    max_session: 15m
    sasl: { mechanisms: [SCRAM-SHA-512, PLAIN, SCRAM-SHA-256], without_tls: true }
  - name: mapped
    bind: 127.0.0.1:0
    brokers:
      map:
        1: { bind: "0.0.0.0:9201", advertise: "kafka-1.example.com:31001" }
        7: { bind: "127.0.0.1:0" }
    identity: fixed
    principal: "User:bob"
users: users.yaml
policy: { file: /etc/policy.yaml }
audit:
  topic: decisions
  create: false
  partitions: 12
  replication_factor: 3
  retention: null
  memory: 8MiB
  full_wait: 0s
  rules:
    - principals: ["User:a", "Group:g"]
      resources: ["topic:tx_*", "group:g", cluster, "*"]
      operations: [Read, DescribeConfigs]
"#,
    );
    let config = config.unwrap();
    assert_eq!(config.cluster.client_telemetry, ClientTelemetry::Forward);
    assert_eq!(config.cluster.bootstrap[1], HostPort { host: "2001:db8::1".into(), port: 9093 });
    let sasl = config.cluster.sasl.as_ref().unwrap();
    let password = |mechanism, username: &str, source| {
        let (username, password) = (username.to_owned(), Secret(source));
        UpstreamSasl::Password { mechanism, username, password }
    };
    let file = SecretSource::File("etc/secrets/upstream".into());
    assert_eq!(*sasl, password(PasswordMechanism::ScramSha512, "kordon", file));
    let env = SecretSource::Env("AUDIT_PASSWORD".into());
    assert_eq!(config.cluster.own_sasl(), Some(&password(PasswordMechanism::Plain, "audit", env)));
    let [external, mapped] = &config.listeners[..] else { panic!() };
    assert_eq!(external.told(8, 1).unwrap().to_string(), "kafka.example.com:31008");
    assert_eq!(
        external.identity,
        Identity::Sasl(ListenerSasl {
            mechanisms: vec![Mechanism::SCRAM_SHA_512, Mechanism::PLAIN, Mechanism::SCRAM_SHA_256],
            without_tls: true,
        })
    );
    assert!(external.super_users);
    assert_eq!(
        (external.max_session, mapped.max_session),
        (Some(Duration::from_secs(900)), Some(Duration::from_secs(3600)))
    );
    assert_eq!(mapped.told(1, 9201).unwrap().to_string(), "kafka-1.example.com:31001");
    assert_eq!(mapped.told(7, 4711).unwrap().to_string(), "127.0.0.1:4711");
    assert_eq!(config.users, Some("etc/users.yaml".into()));
    assert_eq!(config.policy.file, PathBuf::from("/etc/policy.yaml"));
    let rule = &config.audit.rules[0];
    assert_eq!(rule.operations, [Operation::Read, Operation::DescribeConfigs]);
    assert_eq!(rule.principals, [Principal::user("a"), Principal::group("g")]);
    assert!(rule.resources[0].matches(ResourceType::Topic, "tx_1"));
    assert!(!rule.resources[0].matches(ResourceType::Topic, "t"));
    assert!(!rule.resources[0].matches(ResourceType::Group, "tx_1"));
    assert!(rule.resources[1].matches(ResourceType::Group, "g"));
    assert!(rule.resources[2].matches(ResourceType::Cluster, crate::model::CLUSTER_NAME));
    assert!(rule.resources[3].matches(ResourceType::User, "x"));
    assert_eq!((rule.result, rule.level, rule.topic.as_deref()), (AuditResult::Any, AuditLevel::Each, None));
    assert_eq!((config.audit.retention, config.audit.full_wait), (None, Duration::ZERO));
}

#[test]
fn limits_log_metrics_and_shutdown_are_read() {
    let config = well(&[(
        "#root",
        "metrics: null\nlog: { format: json, level: debug }\nshutdown: { drain: 45s }\nlimits: { connections: 7, \
         connections_per_address: 3, frame: 1MiB, frame_before_login: 4KiB, response_in_memory: 2MiB, request_memory: 3MiB, \
         in_flight: 9, upstream_ahead: { requests: 2, size: 5KiB }, handshake_timeout: 1s, login_timeout: 2s, \
         frame_timeout: 3s, idle_timeout: 4s, failed_logins: { delay: 0ms, per_minute: 6 } }",
    )]);
    let seconds = Duration::from_secs;
    assert_eq!(config.metrics, None);
    assert_eq!(config.log, Log { format: LogFormat::Json, level: LogLevel::Debug });
    assert_eq!(config.drain, seconds(45));
    assert_eq!(
        config.limits,
        Limits {
            connections: Connections::AtMost(7),
            connections_per_address: Some(3),
            frame: ByteSize::mib(1),
            frame_before_login: ByteSize::kib(4),
            response_in_memory: ByteSize::mib(2),
            request_memory: ByteSize::mib(3),
            in_flight: 9,
            upstream_ahead: UpstreamAhead { requests: 2, size: ByteSize::kib(5) },
            handshake_timeout: seconds(1),
            login_timeout: seconds(2),
            frame_timeout: seconds(3),
            idle_timeout: seconds(4),
            failed_logins: FailedLogins { delay: Duration::ZERO, per_minute: 6 },
        }
    );
    assert_eq!(well(&[("#root", "metrics: { bind: null }")]).metrics, None);
    assert_eq!(well(&[("#root", "limits: { connections: auto }")]).limits.connections, Connections::Auto);
    assert_eq!(well(&[("#root", "audit: { replication_factor: auto }")]).audit.replication_factor, None);
}

#[test]
fn environment_variables_stand_in_text_numbers_and_booleans() {
    let config = well(&[
        ("instance: p-1", "instance: ${NAME}.x"),
        ("ids: 0-3", "ids: 0-3, start: \"${PORT}\""),
        ("#listener", "super_users: \"${YES}\","),
        ("policy.yaml", "\"/a$$b/$c/${NAME}.yaml\""),
    ]);
    assert_eq!(config.instance, "value.x");
    assert_eq!(config.listeners[0].broker_binds()[0].1.port(), 4711);
    assert!(config.listeners[0].super_users);
    assert_eq!(config.policy.file, PathBuf::from("/a$b/$c/value.yaml"));
}

#[test]
fn the_instance_is_by_default_the_name_of_the_host() {
    assert_eq!(well(&[("instance: p-1\n", "")]).instance, "host-1");
}

#[test]
fn every_fault_is_told_in_one_go_in_the_order_of_the_file() {
    let problems = with(&[
        ("version: 1", "version: 2"),
        ("instance: p-1", "instance: \"p 1\""),
        ("#cluster", ", colour: red"),
        ("ids: 0-3", "ids: 3-0"),
        ("policy: { file: policy.yaml }", "policy: {}"),
        ("#root", "admin: {}"),
    ])
    .unwrap_err();
    let places: Vec<String> = problems.iter().map(|p| p.splitn(4, ':').take(3).collect::<Vec<_>>().join(":")).collect();
    let file = "etc/kordon.yaml";
    assert_eq!(
        places,
        ["1:10", "2:11", "3:45", "7:32", "10:9", "11:1"].map(|place| format!("{file}:{place}")),
        "{problems:#?}"
    );
}

#[test]
fn keys_of_later_versions_are_refused_by_name() {
    for (marker, key, expected) in [
        ("#root", "admin: {}", "`admin`"),
        ("#root", "notifications: []", "`notifications`"),
        ("#root", "audit: { cluster: null }", "`audit.cluster`"),
        ("#root", "audit: { guarantee: {} }", "`audit.guarantee`"),
        ("#root", "audit: { sign: null }", "`audit.sign`"),
        ("#root", "audit: { spool_dir: null }", "`audit.spool_dir`"),
        ("#root", "audit: { spool_size: 1GiB }", "`audit.spool_size`"),
    ] {
        let text = fault(&[(marker, key)]);
        assert!(text.ends_with(&format!(": {expected} is not served by this version: remove it")), "{text}");
    }
}

const SASL: &str = "identity: sasl, sasl: { mechanisms: [PLAIN], without_tls: true } }";
const FIXED: &str = "identity: fixed, principal: \"User:alice\" }";

#[test]
fn shared_quotas_are_worth_a_warning() {
    let sasl = "sasl: { mechanism: PLAIN, username: u, password: { env: A } }";
    let none = ("policy.yaml }", "policy.yaml, protocol_acls: disabled }");
    assert_eq!(well(&[none]).warnings(), [""; 0]);
    assert_eq!(
        well(&[none, ("#cluster", &format!(", {sasl}"))]).warnings(),
        ["`cluster.own` is null: quotas of clients' requests throttle the audit too; give it a login of its own"]
    );
    assert_eq!(well(&[none, ("#cluster", &format!(", {sasl}, own: {{ {sasl} }}"))]).warnings(), [""; 0]);
    // Brokers know the proxy by its certificate as well.
    let tls = |more: &str| with(&[none, ("#cluster", &format!(", tls: {{ ca: a{more} }}"))]).unwrap().warnings().len();
    assert_eq!((tls(""), tls(", certificate: b, key: c")), (0, 1));
}

#[test]
fn logins_need_users() {
    assert_eq!(fault(&[(FIXED, SASL)]), "1:1: `users` is missing: listener `a` checks logins against that file");
    assert_eq!(
        fault(&[(FIXED, SASL), ("#root", "users: null")]),
        "1:1: `users` is missing: listener `a` checks logins against that file"
    );
    well(&[(FIXED, SASL), ("#root", "users: users.yaml")]);
}

#[test]
fn no_port_is_bound_twice() {
    let second = |bind: &str, ports: &str| {
        format!(
            "  - {{ name: b, bind: \"{bind}\", advertise: x, brokers: {ports}, identity: fixed, principal: \"User:b\" }}"
        )
    };
    let with = |bind: &str, ports: &str| [("#listeners", second(bind, ports))];
    let clash = |bind: &str, ports: &str| {
        let [(marker, text)] = with(bind, ports);
        fault(&[(marker, &text)])
    };
    assert_eq!(
        clash("127.0.0.1:19092", "{ ports: { start: 20000, ids: 0-3 } }"),
        "9:5: `listeners[1].bind` takes port 19092 of `listeners[0].bind`: move one of them"
    );
    assert_eq!(
        clash("0.0.0.0:18000", "{ ports: { start: 19090, ids: 6-9 } }"),
        "9:5: broker 6 of `listeners[1]` takes port 19096 of broker 3 of `listeners[0]`: move one of them"
    );
    assert_eq!(
        clash("127.0.0.2:18000", "{ map: { 1: { bind: \"[::]:19095\" } } }"),
        "9:5: broker 1 of `listeners[1]` takes port 19095 of broker 2 of `listeners[0]`: move one of them"
    );
    assert_eq!(
        fault(&[("#root", "metrics: { bind: \"127.0.0.1:19094\" }")]),
        "11:10: `metrics.bind` takes port 19094 of broker 1 of `listeners[0]`: move one of them"
    );
    assert_eq!(
        fault(&[("ids: 0-3", "ids: 0-3, start: 19090")]),
        "6:5: broker 2 of `listeners[0]` takes port 19092 of `listeners[0].bind`: move one of them"
    );
    // Other addresses of the host, and free ports, do not clash.
    let [(marker, text)] =
        with("127.0.0.2:19092", "{ map: { 1: { bind: \"127.0.0.1:0\" }, 2: { bind: \"127.0.0.1:0\" } } }");
    well(&[(marker, &text)]);
}

#[test]
fn every_message_says_what_to_do() {
    type Case<'a> = (&'a [(&'a str, &'a str)], &'a str);
    let cases: &[Case<'_>] = &[
        // Keys and kinds.
        (&[("version: 1\n", "")], "1:1: `version` is missing: write `version: 1`"),
        (&[("version: 1", "version: 2")], "1:10: `version` is 2, but must be from 1 to 1"),
        (&[("version: 1", "version: one")], "1:10: `version` must be a whole number, but is `one`"),
        (&[("#root", "lisners: []")], "11:1: `lisners` is not a known key, did you mean `listeners`?"),
        (&[("#root", "log: { color: no }")], "11:8: `log.color` is not a known key: known here are `format`, `level`"),
        (&[("#root", "instance: x")], "11:1: `instance` stands twice, first in line 2: keep one"),
        (&[("#root", "log: json")], "11:6: `log` must be a mapping of keys to values, but is text"),
        (&[("instance: p-1", "instance: 7")], "2:11: `instance` must be text, but is a number: put it in quotes"),
        (&[("instance: p-1", "instance: [a]")], "2:11: `instance` must be text, but is a list"),
        (&[("instance: p-1", "instance: ''")], "2:11: `instance` is empty: write a value"),
        (
            &[("instance: p-1", "instance: a/b")],
            "2:11: `instance` is `a/b`, but may hold letters, digits, `.`, `_` and `-` only, at most 64",
        ),
        (
            &[("instance: p-1", "instance: ${UNSET}")],
            "2:11: `instance` needs environment variable `UNSET`, which is not set",
        ),
        (
            &[("instance: p-1", "instance: \"${\"")],
            "2:11: `instance` holds `${` without a name and `}`: write `${NAME}`, or `$$` for a dollar sign",
        ),
        (
            &[("#listener", "super_users: yes,")],
            "6:54: `listeners[0].super_users` must be `true` or `false`, but is `yes`",
        ),
        (&[("#listener", "super_users: \"${NAME}\",")], "6:54: `listeners[0].super_users` must be `true` or `false`"),
        // Durations, sizes, words.
        (
            &[("#cluster", ", connect_timeout: 5")],
            "3:62: `cluster.connect_timeout` must be a duration, but is the bare number `5`: write a number and a unit, as in `500ms`, `5s`, `10m`, `8h`, `30d`",
        ),
        (
            &[("#cluster", ", connect_timeout: 5 s")],
            "3:62: `cluster.connect_timeout` must be a duration, but is `5 s`: write a number and a unit, as in `500ms`, `5s`, `10m`, `8h`, `30d`",
        ),
        (&[("#cluster", ", connect_timeout: 0s")], "3:62: `cluster.connect_timeout` is `0s`, but must be at least 1ms"),
        (
            &[("#root", "limits: { frame: 100 }")],
            "11:18: `limits.frame` must be a size, but is the bare number `100`: write a number and a unit, as in `512KiB`, `100MiB`, `1GiB`",
        ),
        (
            &[("#root", "limits: { frame: 100MB }")],
            "11:18: `limits.frame` must be a size, but is `100MB`: write a number and a unit, as in `512KiB`, `100MiB`, `1GiB`",
        ),
        (&[("#root", "limits: { frame: 2GiB }")], "11:18: `limits.frame` is `2GiB`, but must be from 1KiB to 2047MiB"),
        (
            &[("#root", "log: { level: warning }")],
            "11:15: `log.level` cannot be `warning`: write one of `error`, `warn`, `info`, `debug`, `trace`",
        ),
        (&[("#root", "log: { format: jsom }")], "11:16: `log.format` cannot be `jsom`, did you mean `json`?"),
        // Cluster.
        (
            &[("cluster: { name: c, bootstrap: [\"k:9092\"] #cluster\n  }\n", "")],
            "1:1: `cluster` is missing: write the cluster's `name` and `bootstrap`",
        ),
        (&[("name: c, ", "")], "3:10: `cluster.name` is missing: it is part of every audit event, so never change it"),
        (&[("[\"k:9092\"]", "[]")], "3:32: `cluster.bootstrap` is empty: write at least one broker"),
        (&[("[\"k:9092\"]", "\"k:9092\"")], "3:32: `cluster.bootstrap` must be a list, but is text: write `[…]`"),
        (
            &[(", bootstrap: [\"k:9092\"]", "")],
            "3:10: `cluster.bootstrap` is missing: write the brokers, as in `[\"kafka-1:9092\"]`",
        ),
        (
            &[("k:9092", "k")],
            "3:33: `cluster.bootstrap[0]` is `k`, which is no host and port: write them as in `kafka-1:9092` or `[2001:db8::1]:9092`",
        ),
        (
            &[("k:9092", "k:0")],
            "3:33: `cluster.bootstrap[0]` is `k:0`, but nobody can connect to port 0: write the port",
        ),
        (
            &[("k:9092", "0.0.0.0:1")],
            "3:33: `cluster.bootstrap[0]` holds `0.0.0.0`, to which nobody can connect: write a name or an address of this host",
        ),
        (
            &[("#cluster", ", sasl: { mechanism: PLAIN, username: u, password: hunter2 }")],
            "3:94: `cluster.sasl.password` must not stand in this file: write `{ file: PATH }` or `{ env: NAME }`",
        ),
        (
            &[("#cluster", ", sasl: { mechanism: PLAIN, username: u, password: {} }")],
            "3:94: `cluster.sasl.password` needs exactly one of `file` and `env`",
        ),
        (
            &[("#cluster", ", sasl: { mechanism: PLAIN, username: u, password: { env: \"a b\" } }")],
            "3:101: `cluster.sasl.password.env` is `a b`, which is no name of an environment variable",
        ),
        (
            &[("#cluster", ", sasl: { mechanism: PLAIN, password: { env: A } }")],
            "3:51: `cluster.sasl.username` is missing: write the proxy's login at the brokers",
        ),
        (
            &[("#cluster", ", sasl: { mechanism: PLAIN, username: u }")],
            "3:51: `cluster.sasl.password` is missing: write `{ file: PATH }` or `{ env: NAME }`",
        ),
        (
            &[("#cluster", ", sasl: { username: u, password: { env: A } }")],
            "3:51: `cluster.sasl.mechanism` is missing: write PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER",
        ),
        (
            &[("#cluster", ", sasl: { mechanism: PLAN, username: u, password: { env: A } }")],
            "3:64: `cluster.sasl.mechanism` cannot be `PLAN`, did you mean `PLAIN`?",
        ),
        // Listeners.
        (&[("name: a, ", "")], "6:5: `listeners[0].name` is missing: it stands in audit and metrics"),
        (
            &[("bind: \"127.0.0.1:19092\",", "advertise: x,"), ("ids: 0-3", "ids: 0-3, start: 1")],
            "6:5: `listeners[0].bind` is missing: write the bootstrap address, as in `127.0.0.1:9092`",
        ),
        (
            &[("\"127.0.0.1:19092\"", "localhost:9092"), ("#listener", "advertise: x,")],
            "6:22: `listeners[0].bind` is `localhost:9092`, which is no IP address and port: write them as in `0.0.0.0:9092`, `127.0.0.1:9092` or `[::]:9092`",
        ),
        (
            &[("127.0.0.1:19092", "0.0.0.0:19092")],
            "6:5: `listeners[0].advertise` is missing: `bind` is every address, so write the host that clients connect to",
        ),
        (
            &[("#listener", "advertise: \"[::]\",")],
            "6:52: `listeners[0].advertise` holds `::`, to which nobody can connect: write a name or an address of this host",
        ),
        (
            &[("#listener", "advertise: \"k:9092\",")],
            "6:52: `listeners[0].advertise` is `k:9092`, which is no host: write a name or an IP address, without a port",
        ),
        (
            &[("brokers: { ports: { ids: 0-3 } },", "")],
            "6:5: `listeners[0].brokers` is missing: write how each broker is reached, as in `{ ports: { ids: 0-15 } }`",
        ),
        (
            &[("{ ports: { ids: 0-3 } }", "{}")],
            "7:16: `listeners[0].brokers` needs exactly one of `ports`, `map` and `sni`",
        ),
        (
            &[("{ ports: { ids: 0-3 } }", "{ ports: {} }")],
            "7:25: `listeners[0].brokers.ports.ids` is missing: write the ids of all brokers, also of those to come, as in `0-15`",
        ),
        (
            &[("ids: 0-3", "ids: all")],
            "7:32: `listeners[0].brokers.ports.ids` must be a range of broker ids, as in `0-15`, but is `all`",
        ),
        (
            &[("ids: 0-3", "ids: -1")],
            "7:32: `listeners[0].brokers.ports.ids` must be a range of broker ids, as in `0-15`, but is `-1`",
        ),
        (
            &[("ids: 0-3", "ids: 3-1")],
            "7:32: `listeners[0].brokers.ports.ids` is `3-1`, which ends before it begins: write the lower id first",
        ),
        (
            &[("ids: 0-3", "ids: 0-50000")],
            "7:25: `listeners[0].brokers.ports` gives broker 50000 port 69093 (`start` 19093 + id), but the last port is 65535: lower `start` or `ids`, or use `map`",
        ),
        (
            &[("ids: 0-3", "ids: 0-3, advertise_start: 65533")],
            "7:25: `listeners[0].brokers.ports` gives broker 3 port 65536 (`advertise_start` 65533 + id), but the last port is 65535: lower `advertise_start` or `ids`, or use `map`",
        ),
        (
            &[("ids: 0-3", "ids: 0-3, start: 0")],
            "7:44: `listeners[0].brokers.ports.start` is 0, but must be from 1 to 65535",
        ),
        (
            &[("127.0.0.1:19092", "127.0.0.1:0")],
            "7:25: `listeners[0].brokers.ports.start` is missing: `bind` takes any free port, so write the port of broker 0, or use `map`",
        ),
        (
            &[("127.0.0.1:19092", "127.0.0.1:65535")],
            "7:25: `listeners[0].brokers.ports.start` is missing: there is no port after that of `bind`",
        ),
        (
            &[("{ ports: { ids: 0-3 } }", "{ map: [] }")],
            "7:23: `listeners[0].brokers.map` must be a mapping of broker ids to addresses, but is a list",
        ),
        (
            &[("{ ports: { ids: 0-3 } }", "{ map: {} }")],
            "7:23: `listeners[0].brokers.map` is empty: write each broker's id and its `bind`",
        ),
        (
            &[("{ ports: { ids: 0-3 } }", "{ map: { x: { bind: \"127.0.0.1:1\" } } }")],
            "7:25: `listeners[0].brokers.map` holds `x`, which is no broker id: write a whole number from 0",
        ),
        (
            &[("{ ports: { ids: 0-3 } }", "{ map: { 1: { bind: \"127.0.0.1:1\" }, 01: { bind: \"127.0.0.1:2\" } } }")],
            "7:53: `listeners[0].brokers.map.1` stands twice: keep one",
        ),
        (
            &[("{ ports: { ids: 0-3 } }", "{ map: { 1: { advertise: \"x:1\" } } }")],
            "7:28: `listeners[0].brokers.map.1.bind` is missing: write the address to bind for this broker",
        ),
        (
            &[("{ ports: { ids: 0-3 } }", "{ map: { 1: { bind: \"127.0.0.1:1\", advertise: \"x:0\" } } }")],
            "7:62: `listeners[0].brokers.map.1.advertise` is `x:0`, but nobody can connect to port 0: write the port",
        ),
        (
            &[(FIXED, "}")],
            "6:5: `listeners[0].identity` is missing: write how clients are named: `fixed`, `sasl`, `certificate` or `pass_through`",
        ),
        (
            &[("identity: fixed", "identity: kerberos")],
            "8:17: `listeners[0].identity` cannot be `kerberos`: write one of `fixed`, `sasl`, `certificate`, `pass_through`",
        ),
        (
            &[(", principal: \"User:alice\"", "")],
            "6:5: `listeners[0].principal` is missing: write who clients of this listener are, as in `\"User:alice\"`",
        ),
        (
            &[("User:alice", "alice")],
            "8:35: `listeners[0].principal`: principal `alice` has no colon between type and name: write `User:alice` or `Group:alice`",
        ),
        (
            &[("User:alice", "Group:x")],
            "8:35: `listeners[0].principal` is `Group:x`, which is not one user: write `User:` and a name",
        ),
        (
            &[("User:alice", "User:*")],
            "8:35: `listeners[0].principal` is `User:*`, which is not one user: write `User:` and a name",
        ),
        (
            &[("#listener", "sasl: { mechanisms: [PLAIN] },")],
            "6:41: `listeners[0].sasl` goes with `identity: sasl` or `pass_through` only: remove it, or change the identity",
        ),
        (
            &[(FIXED, SASL), ("#listener", "principal: \"User:x\","), ("#root", "users: u")],
            "6:41: `listeners[0].principal` goes with `identity: fixed` only: remove it, or change the identity",
        ),
        (
            &[(FIXED, "identity: sasl }"), ("#root", "users: u")],
            "6:5: `listeners[0].sasl` is missing: write `{ mechanisms: [SCRAM-SHA-512] }`",
        ),
        (
            &[(FIXED, "identity: sasl, sasl: {} }"), ("#root", "users: u")],
            "8:29: `listeners[0].sasl.mechanisms` is missing: write `[SCRAM-SHA-512]`",
        ),
        (
            &[(FIXED, "identity: sasl, sasl: { mechanisms: [] } }"), ("#root", "users: u")],
            "8:29: `listeners[0].sasl.mechanisms` is empty: write `[SCRAM-SHA-512]`",
        ),
        (
            &[(FIXED, "identity: sasl, sasl: { mechanisms: [PLAIN] } }"), ("#root", "users: u")],
            "8:44: `listeners[0].sasl.mechanisms[0]` is PLAIN on a listener without TLS, where passwords can be read on the way: give it `tls`, or set `listeners[0].sasl.without_tls: true` if the network is trusted",
        ),
        (
            &[
                (FIXED, "identity: sasl, sasl: { mechanisms: [PLAIN, PLAIN], without_tls: true } }"),
                ("#root", "users: u"),
            ],
            "8:51: `listeners[0].sasl.mechanisms[1]` names PLAIN a second time: keep one",
        ),
        (
            &[(FIXED, "identity: sasl, sasl: { mechanisms: [SCRAM-SHA-512, OAUTHBEARE] } }"), ("#root", "users: u")],
            "8:59: `listeners[0].sasl.mechanisms[1]` cannot be `OAUTHBEARE`, did you mean `OAUTHBEARER`?",
        ),
        (
            &[(
                "#listeners",
                "  - { name: a, bind: \"127.0.0.1:1\", brokers: { ports: { ids: 1 } }, identity: fixed, principal: \"User:b\" }",
            )],
            "9:5: `listeners[1].name` is `a`, as an earlier listener's: make it unique",
        ),
        // Policy, limits, audit.
        (&[("policy: { file: policy.yaml }\n", "")], "1:1: `policy` is missing: write `policy: { file: policy.yaml }`"),
        (&[("{ file: policy.yaml }", "{}")], "10:9: `policy.file` is missing: write the policy's path"),
        (
            &[("#root", "limits: { connections: few }")],
            "11:24: `limits.connections` must be a whole number or `auto`, but is `few`",
        ),
        (&[("#root", "limits: { in_flight: 0 }")], "11:22: `limits.in_flight` is 0, but must be from 1 to 1000000"),
        (
            &[("#root", "limits: { frame_before_login: 101MiB }")],
            "11:31: `limits.frame_before_login` (101MiB) is more than `limits.frame` (100MiB): lower it, or raise the other",
        ),
        (
            &[("#root", "limits: { request_memory: 1MiB }")],
            "11:27: `limits.request_memory` (1MiB) is less than `limits.frame` (100MiB), so the largest request could never be read: raise it, or lower the other",
        ),
        (
            &[("#root", "limits: { in_flight: 8 }")],
            "11:22: `limits.upstream_ahead.requests` (16) is more than `limits.in_flight` (8): lower it, or raise the other",
        ),
        (
            &[("#root", "limits: { login_timeout: 1h }")],
            "11:26: `limits.login_timeout` is longer than `limits.idle_timeout`: lower it, or raise the other",
        ),
        (
            &[("#root", "audit: { topic: a/b }")],
            "11:17: `audit.topic` is `a/b`, which Kafka does not take as a topic: letters, digits, `.`, `_` and `-`, at most 249",
        ),
        (
            &[("#root", "audit: { replication_factor: three }")],
            "11:30: `audit.replication_factor` must be a whole number or `auto`, but is `three`",
        ),
        (
            &[("#root", "audit: { rules: [{ principals: [] }] }")],
            "11:32: `audit.rules[0].principals` is empty, so the rule matches nothing: write an item, or remove the key",
        ),
        (
            &[("#root", "audit: { rules: [{ principals: [\"Team:x\"] }] }")],
            "11:33: `audit.rules[0].principals[0]` is `Team:x`, which is neither `User:` nor `Group:` and a name",
        ),
        (
            &[("#root", "audit: { rules: [{ resources: [\"topics:x\"] }] }")],
            "11:32: `audit.rules[0].resources[0]` is `topics:x`, which is no resource, did you mean `topic`?",
        ),
        (
            &[("#root", "audit: { rules: [{ resources: [queue] }] }")],
            "11:32: `audit.rules[0].resources[0]` is `queue`, which is no resource: a resource is `*`, `cluster`, or `topic:`, `group:`, `transactional_id:`, `delegation_token:`, `user:` and a name",
        ),
        (
            &[("#root", "audit: { rules: [{ resources: [topic] }] }")],
            "11:32: `audit.rules[0].resources[0]` is `topic`, which has no name: write `topic:NAME`, or `topic:*` for all",
        ),
        (
            &[("#root", "audit: { rules: [{ operations: [Raed] }] }")],
            "11:33: `audit.rules[0].operations[0]` cannot be `Raed`, did you mean `Read`?",
        ),
        (
            &[("#root", "audit: { rules: [{ categories: [data] }] }")],
            "11:33: `audit.rules[0].categories[0]` cannot be `data`: write one of `data_write`, `data_read`, `group_member`, `group_write`, `topic_write`, `config_write`, `acl_write`, `credential_write`, `cluster_write`, `read`",
        ),
        (
            &[("#root", "audit: { rules: [{ level: each, window: 10s }] }")],
            "11:33: `audit.rules[0].window` goes with `level: merged` only: remove it, or change the level",
        ),
    ];
    let mut wrong = Vec::new();
    for (pieces, expected) in cases {
        match with(pieces) {
            Err(problems) if problems == [format!("etc/kordon.yaml:{expected}")] => {}
            other => wrong.push(format!("{pieces:?}\n  expected {expected}\n  found    {other:#?}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_secret_in_the_file_is_not_repeated_in_the_message() {
    let text = fault(&[("#cluster", ", sasl: { mechanism: PLAIN, username: u, password: hunter2 }")]);
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let problems = load(Path::new("no/such/kordon.yaml")).unwrap_err();
    let text = problems[0].to_string();
    assert!(text.starts_with("no/such/kordon.yaml: cannot be read: "), "{text}");
    assert!(text.ends_with("; name the configuration with --config"), "{text}");
}

#[test]
fn an_instance_cannot_be_guessed_from_an_odd_host_name() {
    let text = LEAST.replace("instance: p-1\n", "");
    let problems = parse(&text, Path::new("k"), &|_| Some("my host".into())).unwrap_err();
    assert_eq!(
        problems[0].to_string(),
        "k:1:1: `instance` is missing, and this host's name `my host` cannot be it: write letters, digits, `.`, `_` and `-` only, at most 64"
    );
}

fn example(name: &str) -> (PathBuf, String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config").join(name);
    let text = std::fs::read_to_string(&path).unwrap();
    (path, text)
}

#[test]
fn the_example_loads_without_any_environment() {
    let (path, text) = example("kordon.yaml");
    let config = parse(&text, &path, &|_| None).unwrap();
    let names: Vec<_> = config.listeners.iter().map(|l| (l.name.as_str(), l.broker_binds().len())).collect();
    assert_eq!(names, [("alice", 4), ("bob", 4)]);
    assert_eq!(config.policy.file, path.with_file_name("policy.yaml"));
}

/// Comments of the example that are `key: value` are promised to be the defaults.
#[test]
fn what_the_example_shows_in_comments_is_the_default() {
    let (path, text) = example("kordon.yaml");
    let shown = [
        "  # sasl: null",
        "  # own: null",
        "  # connect_timeout:",
        "  # request_timeout:",
        "  # metadata_refresh:",
        "  # client_telemetry:",
        "    # advertise:",
        "        # start:",
        "        # advertise_start:",
        "    # super_users:",
        "# users:",
        "# metrics:",
        "# log:",
        "# shutdown:",
    ];
    let sections = ["# audit:", "# limits:"];
    let mut uncommented = String::new();
    let mut section = false;
    for line in text.lines() {
        section = sections.contains(&line) || (section && line.starts_with("#   "));
        let show = section || shown.iter().any(|s| line.starts_with(s));
        let line = if show { line.replacen("# ", "", 1) } else { line.to_owned() };
        uncommented.push_str(&line);
        uncommented.push('\n');
    }
    assert_eq!(
        uncommented.matches('#').count() + shown.len() + 24,
        text.matches('#').count(),
        "a key in a comment is not tried"
    );
    assert_eq!(parse(&uncommented, &path, &|_| None).unwrap(), parse(&text, &path, &|_| None).unwrap());
}

/// Every block of YAML in the README and the documentation that has `listeners` is a whole configuration.
#[test]
fn configurations_in_the_documentation_load() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = vec![root.join("README.md")];
    let mut folders = vec![root.join("docs")];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for path in entries.map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "md") {
                files.push(path);
            }
        }
    }
    for file in files {
        let Ok(text) = std::fs::read_to_string(&file) else { continue };
        for block in text.split("```yaml\n").skip(1).filter_map(|rest| rest.split_once("\n```")) {
            if block.0.lines().any(|line| line == "listeners:") {
                let loaded = parse(block.0, &file, &|_| Some("x".into()));
                assert!(loaded.is_ok(), "{loaded:#?}");
            }
        }
    }
}

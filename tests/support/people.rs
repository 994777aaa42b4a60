//! People who log in: the users file of a proxy, and what clients need to come in as one of them.

use std::path::Path;

use bytes::Bytes;
use kordon::wire::schema::{sasl_authenticate, sasl_handshake};
use kordon::wire::{ApiKey, Node};
use serde_json::{Value, json};

use super::java::Java;
use super::proxy::cli_with;
use super::{scratch, unique};

/// The keys of a listener whose clients log in with PLAIN.
pub const PLAIN: &str = "identity: sasl\n    sasl: { mechanisms: [PLAIN], without_tls: true }";

/// Runs `kordon user add` or `passwd`.
#[track_caller]
pub fn user(command: &str, name: &str, file: &Path, password: &str) {
    user_with(command, name, file, &["--password-stdin"], &format!("{password}\n"));
}

/// Runs a command of `kordon user`.
#[track_caller]
pub fn user_with(command: &str, name: &str, file: &Path, more: &[&str], input: &str) {
    let path = file.display().to_string();
    cli_with(&[&["user", command, name, "--users", &path], more].concat(), input).ok();
}

/// The text of a users file with these names and passwords.
#[track_caller]
pub fn users(people: &[(impl AsRef<str>, impl AsRef<str>)]) -> String {
    let file = scratch(&unique("users")).join("users.yaml");
    for (name, password) in people {
        user("add", name.as_ref(), &file, password.as_ref());
    }
    std::fs::read_to_string(&file).expect("the users file")
}

/// The property of a broker that knows these names and passwords, by PLAIN.
pub fn known(people: &[(impl AsRef<str>, impl AsRef<str>)]) -> (&'static str, String) {
    let mut jaas = "org.apache.kafka.common.security.plain.PlainLoginModule required".to_owned();
    for (name, password) in people {
        jaas.push_str(&format!(" user_{}=\"{}\"", name.as_ref(), password.as_ref()));
    }
    ("listener.name.sasl.plain.sasl.jaas.config", jaas + ";")
}

/// The login of a Java client, as its `sasl.jaas.config`.
pub fn jaas(mechanism: &str, name: &str, password: &str) -> String {
    let module = if mechanism == "PLAIN" { "plain.PlainLoginModule" } else { "scram.ScramLoginModule" };
    format!("org.apache.kafka.common.security.{module} required username=\"{name}\" password=\"{password}\";")
}

/// What a Java client needs to log in without TLS.
pub fn java_login(mechanism: &str, name: &str, password: &str) -> [(&'static str, String); 3] {
    [
        ("security.protocol", "SASL_PLAINTEXT".to_owned()),
        ("sasl.mechanism", mechanism.to_owned()),
        ("sasl.jaas.config", jaas(mechanism, name, password)),
    ]
}

/// What librdkafka needs to log in without TLS.
pub fn librdkafka_login(mechanism: &str, name: &str, password: &str) -> Value {
    json!({
        "security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": mechanism,
        "sasl.username": name, "sasl.password": password,
    })
}

/// What becomes of one record that a Java client sends with this login: nothing, or the exception.
#[track_caller]
pub fn java_send(
    java: &'static Java,
    at: &str,
    topic: &str,
    login: &[(&'static str, String)],
    text: &str,
) -> Option<String> {
    let mut settings: Vec<(&str, &str)> = login.iter().map(|(k, v)| (*k, v.as_str())).collect();
    settings.extend([("max.block.ms", "15000"), ("enable.idempotence", "false")]);
    let sent = java.producer(at, &settings).send(topic, &[text]);
    assert_eq!(sent.ok + sent.errors.values().sum::<u64>(), 1, "{sent:?}");
    sent.error().map(str::to_owned)
}

/// Agrees on a mechanism.
pub fn handshake(mechanism: &str) -> Node {
    Node::request(ApiKey::SASL_HANDSHAKE).with(sasl_handshake::request::MECHANISM, mechanism)
}

/// A message of the mechanism.
pub fn authenticate(message: impl Into<Bytes>) -> Node {
    Node::request(ApiKey::SASL_AUTHENTICATE).with(sasl_authenticate::request::AUTH_BYTES, message.into())
}

/// The one message of PLAIN.
pub fn plain(name: &str, password: &str) -> Node {
    authenticate(format!("\0{name}\0{password}"))
}

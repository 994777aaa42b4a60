//! What is secret is told by nobody: not by a proxy that logs all there is, whatever goes wrong, nor by its commands.

use std::path::Path;

use serde_json::json;

use crate::logins::{authenticated, cluster, count, say, shake, shaken};
use crate::renewals::{handshake, tell};
use crate::support::certificates::{Authority, over};
use crate::support::cluster::{SASL_PASSWORD, salted};
use crate::support::node::kafkajs;
use crate::support::people::{authenticate, plain};
use crate::support::proxy::{Kordon, Upstream, cli_with};
use crate::support::raw::{End, Raw, produce_request};
use crate::support::secrets::Secrets;
use crate::support::{needs, scratch, soon, unique};
use crate::tls_clients::tls;
use kordon::model::PasswordMechanism;
use kordon::wire::ApiKey;

const PASSWORD: &str = "open-sesame-of-alice";
const WRONG: &str = "open-barley";
const NEXT: &str = "open-rye-of-bob";
const VALUE: &str = "what-a-record-of-alice-holds";
const LOGINS: &str = "sasl: { mechanisms: [PLAIN, SCRAM-SHA-256, SCRAM-SHA-512]";

/// Clients that log in again and again while they work.
fn work(at: &str, topic: &str) {
    let step = |mechanism: &str| {
        let sasl = json!({ "mechanism": mechanism, "username": "alice", "password": PASSWORD });
        // By default it logs in again ten seconds before it has to: with each request here.
        let config = json!({ "sasl": sasl, "reauthenticationThreshold": 1000 });
        json!({ "op": "work", "at": at, "topic": topic, "value": VALUE, "seconds": 5, "retries": 0, "config": config })
    };
    let steps = ["plain", "scram-sha-256", "scram-sha-512"].map(step);
    let came = kafkajs(&json!({ "op": "several", "steps": steps })).expect("outcomes");
    for came in came.as_array().expect("outcomes") {
        assert!(came["ok"]["sent"].as_u64().is_some_and(|sent| sent > 20), "{came}");
    }
}

/// Logins, first ones and later ones, that fail in one way or another, with a password in them somewhere.
fn fail(at: &str) {
    let messages = [
        format!("\0alice\0{WRONG}"),
        format!("\0nobody\0{WRONG}"),
        format!("alice\0bob\0{WRONG}"),
        WRONG.to_owned(),
        format!("\0alice\0{PASSWORD}\0{WRONG}"),
        format!("\0{}\0{WRONG}", "a".repeat(5000)),
    ];
    for message in &messages {
        let mut raw = shaken(at, PasswordMechanism::Plain);
        assert!(authenticated(&mut raw, 2, &authenticate(message.clone())).is_err(), "{message:?}");
        assert_eq!(raw.end(), End::Closed);
    }
    for first in
        [WRONG.to_owned(), format!("n,,n={WRONG}"), format!("n,{WRONG},n=alice,r=x"), format!("p={WRONG},,n=a,r=x")]
    {
        let mut raw = shaken(at, PasswordMechanism::ScramSha512);
        assert!(say(&mut raw, first).is_err());
    }
    for last in [WRONG.to_owned(), format!("c=biws,r=x,p={WRONG}"), format!("c={WRONG},r=x,p=AAAA")] {
        let mut raw = shaken(at, PasswordMechanism::ScramSha256);
        say(&mut raw, "n,,n=alice,r=x").expect("a challenge");
        assert!(say(&mut raw, last).is_err());
    }
    // Out of order, of no known form, or by somebody who has logged in.
    let mut raw = Raw::connect(at);
    raw.send(ApiKey::SASL_AUTHENTICATE, 2, &plain("alice", WRONG));
    assert_eq!(raw.end(), End::Closed);
    let mut raw = Raw::connect(at);
    raw.send(ApiKey::PRODUCE, 9, &produce_request(-1, &[("topic", VALUE.as_bytes())]));
    assert_eq!(raw.end(), End::Closed);
    for bytes in [format!("\0\0\0\x20{WRONG:<32}"), format!("{WRONG} in clear, and more of it")] {
        let mut raw = Raw::connect(at);
        raw.send_bytes(bytes.as_bytes());
        assert_ne!(raw.end(), End::Open);
    }
    for (mechanism, message) in
        [("PLAIN", plain("alice", WRONG)), ("PLAIN", plain("bob", NEXT)), ("SCRAM-SHA-256", plain("alice", WRONG))]
    {
        let mut raw = Raw::connect(at);
        shake(&mut raw, PasswordMechanism::Plain);
        tell(&mut raw, 2, "alice", PASSWORD).expect("a login");
        handshake(&mut raw, mechanism);
        raw.send(ApiKey::SASL_AUTHENTICATE, 2, &message);
        assert_eq!(raw.end(), End::Closed);
    }
    // A secret as what is not one is no secret any more; but what a request holds that nobody understands may be.
    let mut raw = Raw::connect(at);
    shake(&mut raw, PasswordMechanism::Plain);
    tell(&mut raw, 2, "alice", PASSWORD).expect("a login");
    let mut frame = raw.frame(ApiKey::SASL_AUTHENTICATE, 2, &plain("alice", WRONG));
    frame[5] = 0xee;
    raw.send_bytes(&frame);
    assert_eq!(raw.end(), End::Closed);
}

/// Users files with one fault each; whatever is wrong, keys stand beside it.
fn faulty(good: &str) -> Vec<String> {
    let key = good.split("stored_key: \"").nth(1).and_then(|rest| rest.split('"').next()).expect("a key");
    let one = |from: &str, to: &str| {
        assert!(good.contains(from), "{from}");
        good.replacen(from, to, 1)
    };
    let whole = format!("\"{key}\"");
    vec![
        one(key, &key[1..]),
        one(key, &format!("!{key}")),
        one(&whole, &format!("[{whole}]")),
        one(&whole, &format!("{key}: {key}")),
        one(&whole, &format!("&{key} x")),
        one("stored_key", "stored_kei"),
        one("stored_key", &format!("server_key: {whole}, stored_key")),
        one("iterations: 8192", &format!("iterations: {whole}")),
        one("scram-sha-512: {", &format!("scram-sha-512: {whole}, x: {{")),
        one("groups: []", &format!("password: {NEXT}")),
        one("groups: []", &format!("groups: [\"{NEXT}, x\", 1]")),
        good.replace("  - ", "  - - "),
    ]
}

/// What commands say, also of files with faults.
fn commands(kordon: &Kordon<'_>, good: &str) -> String {
    let dir = scratch(&unique("secrets"));
    let users = dir.join("users.yaml");
    let mut said = String::new();
    let mut run = |args: &[&str], input: &str| {
        let ran = cli_with(args, input);
        said.push_str(&format!("{}\n{}\n", ran.out, ran.err));
        ran.code
    };
    let file = users.to_str().expect("a path");
    let mut add = |name: &str, password: &str| {
        run(&["user", "add", name, "--users", file, "--password-stdin"], &format!("{password}\n"))
    };
    assert_eq!([add("alice", PASSWORD), add("bob", NEXT)], [0, 0]);
    assert_ne!([add("alice", WRONG), add("carol", "")], [0, 0]);
    assert_eq!(run(&["user", "list", "--users", file], ""), 0);
    assert_eq!(run(&["user", "passwd", "bob", "--users", file, "--password-stdin"], &format!("{WRONG}\n")), 0);
    assert_eq!(run(&["user", "remove", "bob", "--users", file], ""), 0);
    for text in faulty(good) {
        std::fs::write(&users, &text).expect("file");
        assert_ne!(run(&["user", "list", "--users", file], ""), 0, "{text}");
        run(&["user", "passwd", "alice", "--users", file, "--password-stdin"], &format!("{WRONG}\n"));
    }

    // A configuration of the same form, with a secret where it must not stand.
    let config = std::fs::read_to_string(kordon.config_path()).expect("configuration");
    let password = "password: { file: upstream-password }";
    for other in [
        format!("password: {SASL_PASSWORD}"),
        format!("password: [{SASL_PASSWORD}]"),
        format!("password: {{ value: {SASL_PASSWORD} }}"),
        format!("password: {{ file: [{SASL_PASSWORD}] }}"),
        format!("password: ${{KORDON_TEST_SECRET}}-{SASL_PASSWORD}"),
        format!("passwort: {SASL_PASSWORD}"),
        format!("password: {SASL_PASSWORD}: {SASL_PASSWORD}"),
        format!("password: *{SASL_PASSWORD}"),
    ] {
        assert!(config.contains(password));
        std::fs::write(dir.join("kordon.yaml"), config.replace(password, &other)).expect("configuration");
        assert_eq!(run(&["check", "--config", dir.join("kordon.yaml").to_str().expect("a path")], ""), 2, "{other}");
    }
    let at = kordon.dir().join("kordon.yaml");
    assert_eq!(run(&["check", "--connect", "--config", at.to_str().expect("a path")], ""), 0);
    // Keys as certificates, and certificates as keys.
    let swapped = config.replace(".key", ".not").replace(".pem", ".key").replace(".not", ".pem");
    std::fs::write(kordon.dir().join("swapped.yaml"), swapped).expect("configuration");
    let at = kordon.dir().join("swapped.yaml");
    assert_eq!(run(&["check", "--config", at.to_str().expect("a path")], ""), 2);
    said
}

/// Waits until a file was refused once more.
fn refuse(kordon: &Kordon<'_>, what: &str, file: &Path, text: &str) {
    let of = || kordon.metrics().sum("kordon_reloads_total", &[("file", what), ("outcome", "refused")]);
    let before = of();
    over(file, text);
    soon("it is refused", || if of() > before { Ok(()) } else { Err(text.to_owned()) });
}

#[test]
fn no_secret_is_told_whatever_goes_wrong_and_kafkajs_logs_in_again() {
    needs!(Java, Node);
    let authority = Authority::new(&scratch(&unique("secrets")), "listeners");
    let server = authority.server();
    let mut kordon = Kordon::before(cluster())
        .upstream(Upstream::Scram("SCRAM-SHA-512"))
        .listener("people", &format!("identity: sasl\n    max_session: 3s\n    {LOGINS}, without_tls: true }}"))
        .listener("secured", &format!("{}identity: sasl\n    {LOGINS} }}", tls(&server, "")))
        .users(&[("alice", PASSWORD), ("bob", NEXT)])
        .config("log: { level: trace }\nlimits: { failed_logins: { per_minute: 10000, delay: 1ms } }")
        .expects("`cluster.own` is null")
        .expects("kordon::app::reload")
        .expects("TLS files refused")
        .start();
    let (at, topic) = (kordon.at("people").to_owned(), unique("secrets"));
    cluster().create_topic(&topic, 1, &[]);
    work(&at, &topic);
    assert!(count(&kordon, "renewed") >= 6.0, "{}: each twice at least", count(&kordon, "renewed"));
    assert_eq!((count(&kordon, "failed"), count(&kordon, "renewal_failed")), (0.0, 0.0));
    let expired = kordon.metrics().sum("kordon_connections_closed_total", &[("reason", "session_expired")]);
    assert_eq!(expired, 0.0);
    fail(&at);
    assert!(count(&kordon, "failed") >= 15.0 && count(&kordon, "renewal_failed") >= 2.0);

    let file = kordon.dir().join("users.yaml");
    let good = std::fs::read_to_string(&file).expect("the users file");
    let mut secrets = Secrets::default();
    secrets.add_users(&good);
    for text in faulty(&good) {
        refuse(&kordon, "users", &file, &text);
    }
    over(&file, &good);
    let other = authority.server();
    for text in
        [&other.key, &server.certificate, &server.key.replace("PRIVATE KEY", "SECRET"), &server.key[..90].to_owned()]
    {
        refuse(&kordon, "tls", &server.key_file, text);
    }
    over(&server.key_file, &server.key);
    let said = commands(&kordon, &good);
    assert!(said.contains("alice") && said.contains("stored_key"), "{said}");

    for (name, secret) in [("a password", PASSWORD), ("a wrong password", WRONG), ("another password", NEXT)] {
        secrets.add(name, secret);
    }
    secrets.add("a record", VALUE);
    secrets.add("the upstream password", SASL_PASSWORD);
    secrets.add_pem("the key of a listener", &server.key);
    secrets.add_pem("a key that was refused", &other.key);
    for (_, salted) in salted(SASL_PASSWORD) {
        secrets.add("the upstream password, salted", salted);
    }
    secrets.assert_absent("what commands say", &said);
    secrets.assert_absent("the metrics", &kordon.http("/metrics").expect("metrics").1);
    let told: String = kordon.audit().read().iter().map(|event| event.json.to_string()).collect();
    assert!(told.contains("login_failed"));
    secrets.assert_absent("the audit", &told);
    kordon.terminate();
    let log = kordon.log();
    assert!(log.contains("users file refused") && log.contains("TLS files refused"));
    secrets.assert_absent("the log", &log);
}

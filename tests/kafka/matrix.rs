//! Which client can log in by what: all of it in one table, before a broker to which the proxy itself logs in by SCRAM over
//! TLS. What passed on the wires meanwhile, and what the proxy said of it, is searched for secrets.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::support::certificates::{Authority, Signed};
use crate::support::cluster::{Cluster, SASL_PASSWORD};
use crate::support::gate::{Gate, Recording};
use crate::support::idp::Idp;
use crate::support::java::Java;
use crate::support::node::kafkajs;
use crate::support::people::jaas;
use crate::support::proxy::{Kordon, Setup, Upstream};
use crate::support::python::librdkafka;
use crate::support::secrets::Secrets;
use crate::support::{needs, ports, say, scratch, soon, unique};
use crate::tokens;

/// By client, by login, with and without TLS: what comes of the right credentials, and of wrong ones.
/// kafkajs takes the challenge by which a token is refused for a yes, and finds itself without a connection again and again.
const MATRIX: &str = "
java        PLAIN          TLS  there and back | SaslAuthenticationException
java        PLAIN          -    there and back | SaslAuthenticationException
java        SCRAM-SHA-256  TLS  there and back | SaslAuthenticationException
java        SCRAM-SHA-256  -    there and back | SaslAuthenticationException
java        SCRAM-SHA-512  TLS  there and back | SaslAuthenticationException
java        SCRAM-SHA-512  -    there and back | SaslAuthenticationException
java        OAUTHBEARER    TLS  there and back | SaslAuthenticationException
java        OAUTHBEARER    -    there and back | SaslAuthenticationException
java        certificate    TLS  there and back | SslAuthenticationException | SslAuthenticationException
librdkafka  PLAIN          TLS  there and back | _AUTHENTICATION
librdkafka  PLAIN          -    there and back | _AUTHENTICATION
librdkafka  SCRAM-SHA-256  TLS  there and back | _AUTHENTICATION
librdkafka  SCRAM-SHA-256  -    there and back | _AUTHENTICATION
librdkafka  SCRAM-SHA-512  TLS  there and back | _AUTHENTICATION
librdkafka  SCRAM-SHA-512  -    there and back | _AUTHENTICATION
librdkafka  OAUTHBEARER    TLS  there and back | _AUTHENTICATION
librdkafka  OAUTHBEARER    -    there and back | _AUTHENTICATION
librdkafka  certificate    TLS  there and back | _TRANSPORT (decrypt error) | _TRANSPORT (certificate required)
kafkajs     PLAIN          TLS  there and back | KafkaJSSASLAuthenticationError
kafkajs     PLAIN          -    there and back | KafkaJSSASLAuthenticationError
kafkajs     SCRAM-SHA-256  TLS  there and back | KafkaJSSASLAuthenticationError
kafkajs     SCRAM-SHA-256  -    there and back | KafkaJSSASLAuthenticationError
kafkajs     SCRAM-SHA-512  TLS  there and back | KafkaJSSASLAuthenticationError
kafkajs     SCRAM-SHA-512  -    there and back | KafkaJSSASLAuthenticationError
kafkajs     OAUTHBEARER    TLS  there and back | KafkaJSNumberOfRetriesExceeded
kafkajs     OAUTHBEARER    -    there and back | KafkaJSNumberOfRetriesExceeded
kafkajs     certificate    TLS  there and back | KafkaJSNumberOfRetriesExceeded (decrypt error) | KafkaJSNumberOfRetriesExceeded (certificate required)
";

const PASSWORD: &str = "password-of-alice";
const WRONG: &str = "not-the-password-of-alice";
const VALUE: &str = "what-a-record-holds";
const SASL: [&str; 4] = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", TOKEN];
const TOKEN: &str = "OAUTHBEARER";
const CERTIFICATE: &str = "certificate";

const POLICY: &str = "version: 1
default: deny
acls:
  - { allow: [All], principals: [\"User:alice\"], resources: [\"*\"] }
end: true
";

/// Ports of one listener: bootstrap, and brokers 0 to 4.
const PORTS: u16 = 6;

/// What stands between clients and a listener.
struct Wire {
    at: String,
    seen: Recording,
    _gate: Gate,
}

impl Wire {
    /// From the ports that clients are told to those of the listener.
    fn before(kordon: &Kordon<'_>, listener: &str, told: u16) -> Wire {
        let (_, bound) = kordon.at(listener).rsplit_once(':').expect("a port");
        let bound: u16 = bound.parse().expect("a port");
        let gate = Gate::open((0..PORTS).map(|i| (i32::from(i) - 1, told + i, bound + i)).collect());
        Wire { at: format!("localhost:{told}"), seen: gate.record(None), _gate: gate }
    }
}

/// `advertise` and `brokers` of a listener before which a [`Wire`] stands.
fn told<'c>(setup: Setup<'c>, name: &str, told: u16, keys: &str) -> Setup<'c> {
    let brokers = format!("{{ ports: {{ ids: 0-4, advertise_start: {} }} }}", told + 1);
    setup.listener(name, &format!("advertise: localhost\n    {keys}")).brokers(&brokers)
}

/// With what a client comes.
#[derive(Clone, Copy, PartialEq)]
enum With {
    Right,
    WrongSecret,
    OthersCertificate,
    NoCertificate,
}

/// One cell of the table, in one of its columns.
struct Try<'a> {
    stage: &'a Stage,
    login: &'static str,
    tls: bool,
    with: With,
    at: &'a str,
    topic: &'a str,
}

/// What clients come with.
struct Stage {
    /// Whose tokens are taken, and one who says the same with a key of its own.
    idps: [Idp; 2],
    /// Those of alice by each.
    tokens: [String; 2],
    authority: Authority,
    alice: Signed,
    stranger: Signed,
    dir: PathBuf,
}

impl Try<'_> {
    fn pair(&self) -> Option<&Signed> {
        match self.with {
            _ if self.login != CERTIFICATE => None,
            With::Right => Some(&self.stage.alice),
            With::OthersCertificate => Some(&self.stage.stranger),
            With::WrongSecret | With::NoCertificate => None,
        }
    }

    fn password(&self) -> &'static str {
        if self.with == With::Right { PASSWORD } else { WRONG }
    }

    fn idp(&self) -> &Idp {
        let [right, wrong] = &self.stage.idps;
        if self.with == With::Right { right } else { wrong }
    }

    fn protocol(&self) -> &'static str {
        match (self.login, self.tls) {
            (CERTIFICATE, _) => "SSL",
            (_, true) => "SASL_SSL",
            (_, false) => "SASL_PLAINTEXT",
        }
    }

    fn java(&self) -> String {
        let mut settings = vec![
            ("security.protocol", self.protocol().to_owned()),
            ("max.block.ms", "15000".to_owned()),
            ("enable.idempotence", "false".to_owned()),
        ];
        if self.tls {
            let ca = self.stage.authority.file().display().to_string();
            settings.extend([("ssl.truststore.type", "PEM".to_owned()), ("ssl.truststore.location", ca)]);
        }
        if let Some(pair) = self.pair() {
            let keystore = self.stage.dir.join(unique("keystore"));
            std::fs::write(&keystore, pair.keystore()).expect("keystore");
            let keystore = keystore.display().to_string();
            settings.extend([("ssl.keystore.type", "PEM".to_owned()), ("ssl.keystore.location", keystore)]);
        }
        if self.login == TOKEN {
            let login = tokens::java_login(self.idp(), "alice").into_iter();
            settings.extend(login.filter(|(key, _)| *key != "security.protocol"));
        } else if self.login != CERTIFICATE {
            let jaas = jaas(self.login, "alice", self.password());
            settings.extend([("sasl.mechanism", self.login.to_owned()), ("sasl.jaas.config", jaas)]);
        }
        let mut settings: Vec<(&str, &str)> = settings.iter().map(|(k, v)| (*k, v.as_str())).collect();
        let sent = Java::newest().producer(self.at, &settings).send(self.topic, &[VALUE]);
        if let Some(error) = sent.error() {
            return error.to_owned();
        }
        let group = unique("matrix");
        settings.push(("group.id", &group));
        let values = Java::newest().consumer(self.at, &settings).subscribe(&[self.topic]).values(1);
        came_back(&json!({ "values": values }))
    }

    fn librdkafka(&self) -> Value {
        let mut config = json!({ "security.protocol": self.protocol() });
        if self.tls {
            config["ssl.ca.location"] = json!(self.stage.authority.file());
        }
        if let Some(pair) = self.pair() {
            config["ssl.certificate.location"] = json!(pair.certificate_file);
            config["ssl.key.location"] = json!(pair.key_file);
        }
        if self.login == TOKEN {
            let protocol = config["security.protocol"].take();
            let login = tokens::librdkafka_login(self.idp(), "alice");
            let login = login.as_object().expect("settings").clone();
            config.as_object_mut().expect("settings").extend(login);
            config["security.protocol"] = protocol;
        } else if self.login != CERTIFICATE {
            config["sasl.mechanism"] = json!(self.login);
            config["sasl.username"] = json!("alice");
            config["sasl.password"] = json!(self.password());
        }
        self.step(config)
    }

    fn kafkajs(&self) -> Value {
        let mut config = json!({});
        if self.tls {
            config["ssl"] = json!({ "ca": [self.stage.authority.pem()], "servername": "localhost" });
        }
        if let Some(pair) = self.pair() {
            config["ssl"]["cert"] = json!(pair.certificate);
            config["ssl"]["key"] = json!(pair.key);
        }
        let mechanism = self.login.to_lowercase();
        if self.login == TOKEN {
            let [right, wrong] = &self.stage.tokens;
            config["sasl"] =
                json!({ "mechanism": mechanism, "token": if self.with == With::Right { right } else { wrong } });
        } else if self.login != CERTIFICATE {
            config["sasl"] = json!({ "mechanism": mechanism, "username": "alice", "password": self.password() });
        }
        self.step(config)
    }

    fn step(&self, config: Value) -> Value {
        let (at, topic, group) = (self.at, self.topic, unique("matrix"));
        json!({ "op": "trip", "at": at, "topic": topic, "value": VALUE, "group": group, "config": config })
    }
}

fn came_back(read: &Value) -> String {
    if read["values"] == json!([VALUE]) { "there and back".to_owned() } else { read.to_string() }
}

/// An error, with the alert of TLS by which the proxy told why.
fn with_alert(error: &str, message: &str) -> String {
    match message.split_once(" alert ").and_then(|(_, alert)| alert.split_once(':')) {
        Some((alert, _)) => format!("{error} ({alert})"),
        None => error.to_owned(),
    }
}

/// What comes of each, by this client.
fn all(client: &str, tries: &[Try<'_>]) -> Vec<String> {
    let (run, steps): (fn(&Value) -> _, Vec<Value>) = match client {
        "java" => {
            return std::thread::scope(|scope| {
                let running: Vec<_> = tries.iter().map(|one| scope.spawn(|| one.java())).collect();
                running.into_iter().map(|one| one.join().expect("a client")).collect()
            });
        }
        "librdkafka" => (librdkafka, tries.iter().map(Try::librdkafka).collect()),
        _ => (kafkajs, tries.iter().map(Try::kafkajs).collect()),
    };
    let came = run(&json!({ "op": "several", "steps": steps })).expect("outcomes");
    let words = |came: &Value| match came["error"].as_str() {
        None => came_back(&came["ok"]),
        Some(error) => with_alert(error, came["message"].as_str().unwrap_or_default()),
    };
    came.as_array().expect("outcomes").iter().map(words).collect()
}

#[test]
fn every_client_logs_in_by_everything_and_no_secret_passes_in_clear_or_is_told() {
    needs!(Java, Python, Node);
    let cluster = Cluster::secured();
    let dir = scratch(&unique("matrix"));
    let authority = Authority::new(&dir, "listeners");
    let clients = Authority::new(&dir.join("clients"), "clients");
    let others = Authority::new(&dir.join("others"), "clients");
    let server = authority.server();
    let (alice, stranger) = (clients.client("alice"), others.client("alice"));
    let tls = |more: &str| {
        let (certificate, key) = (server.certificate_file.display(), server.key_file.display());
        format!("tls: {{ certificate: {certificate}, key: {key}{more} }}\n    ")
    };
    let sasl = |more: &str| format!("identity: sasl\n    sasl: {{ mechanisms: [{}]{more} }}", SASL.join(", "));
    let asked = tls(&format!(", client_auth: required, client_ca: {}", clients.file().display()));
    let idps = ["ours", "others"].map(Idp::start);
    let first = ports::block(3 * PORTS);
    let setup = Kordon::before(cluster)
        .upstream(Upstream::ScramTls("SCRAM-SHA-512"))
        .expects("`cluster.own` is null")
        .users(&[("alice", PASSWORD)])
        .policy(POLICY)
        .config(&format!("tokens: [{}]", idps[0].entry("")))
        .config("certificates: { rules: [\"RULE:^CN=(.*)$/$1/\"] }")
        .config("log: { level: trace }\nlimits: { failed_logins: { per_minute: 1000 } }");
    let setup = told(setup, "secured", first, &(tls("") + &sasl("")));
    let setup = told(setup, "open", first + PORTS, &sasl(", without_tls: true"));
    let setup = told(setup, "pods", first + 2 * PORTS, &(asked + "identity: certificate"));
    let mut kordon = setup.launch();
    let upstream = cluster.gate.record(Some(kordon.pid()));
    kordon.await_ready();
    let [secured, open, pods] =
        [("secured", 0), ("open", 1), ("pods", 2)].map(|(name, i)| Wire::before(&kordon, name, first + i * PORTS));

    // Every row, with the topic that it uses.
    let mut rows = Vec::new();
    for client in ["java", "librdkafka", "kafkajs"] {
        for login in SASL {
            rows.extend([(client, login, true, unique("matrix")), (client, login, false, unique("matrix"))]);
        }
        rows.push((client, CERTIFICATE, true, unique("matrix")));
    }
    let topics: Vec<&str> = rows.iter().map(|(.., topic)| topic.as_str()).collect();
    cluster.create_topics(&topics, 1, &[]);
    // The other says that it is the one.
    let issuer = json!({ "iss": idps[0].issuer() });
    let tokens = [idps[0].token("alice", &json!({})), idps[1].token("alice", &issuer)];
    let stage = Stage { idps, tokens, authority, alice, stranger, dir };
    let columns = |login| match login {
        CERTIFICATE => vec![With::Right, With::OthersCertificate, With::NoCertificate],
        _ => vec![With::Right, With::WrongSecret],
    };
    let outcomes = |client| {
        let mine = rows.iter().filter(|row| row.0 == client);
        let tries: Vec<Try<'_>> = mine
            .flat_map(|(_, login, tls, topic)| {
                let wire = match (*login, tls) {
                    (CERTIFICATE, _) => &pods,
                    (_, true) => &secured,
                    (_, false) => &open,
                };
                let (stage, at) = (&stage, &*wire.at);
                columns(*login).into_iter().map(move |with| Try { stage, login, tls: *tls, with, at, topic })
            })
            .collect();
        all(client, &tries).into_iter()
    };
    let begun = std::time::Instant::now();
    let mut came = ["java", "librdkafka", "kafkajs"].map(|client| (client, outcomes(client)));
    let mut shown = String::from("\n");
    for (client, login, tls, _) in &rows {
        let of = &mut came.iter_mut().find(|(name, _)| name == client).expect("a client").1;
        let came: Vec<String> = of.take(columns(*login).len()).collect();
        let tls = if *tls { "TLS" } else { "-" };
        shown.push_str(&format!("{client:<11} {login:<14} {tls:<4} {}\n", came.join(" | ")));
    }
    say(format!("the matrix, in {:.1?}:{shown}", begun.elapsed()));
    assert_eq!(shown, MATRIX);

    // What the proxy says of the logins.
    let logins = |outcome: &str| {
        ["secured", "open", "pods"]
            .map(|name| kordon.metrics().sum("kordon_logins_total", &[("listener", name), ("outcome", outcome)]) > 0.0)
    };
    assert_eq!((logins("succeeded"), logins("failed")), ([true; 3], [true; 3]));
    let mut audit = kordon.audit();
    let mut told = String::new();
    let mut ways = BTreeSet::new();
    let mut expected: BTreeSet<String> = ["SASL_SSL", "SASL_PLAINTEXT"]
        .iter()
        .flat_map(|protocol| SASL.map(|mechanism| format!("{protocol}/{mechanism}")))
        .collect();
    expected.insert("SSL".to_owned());
    let both = |expected: &BTreeSet<String>| -> BTreeSet<(String, String)> {
        let both = |way: &String| ["opened", "refused"].map(|action| (way.clone(), action.to_owned()));
        expected.iter().flat_map(both).collect()
    };
    soon("every way to log in is in the audit, with and without success", || {
        for event in audit.read() {
            told.push_str(&event.json.to_string());
            let action = event.text("/connectionInfo/action").to_owned();
            if action == "opened" || action == "refused" {
                ways.insert((event.text("/authenticationInfo/mechanism").to_owned(), action));
            }
        }
        // A client that left before it said by what is refused, too.
        if ways.is_superset(&both(&expected)) { Ok(()) } else { Err(format!("{ways:?}")) }
    });
    let opened: BTreeSet<String> =
        ways.into_iter().filter(|(_, action)| action == "opened").map(|(way, _)| way).collect();
    assert_eq!(opened, expected);

    // On the wire: with TLS nothing can be read; without, a recorder finds what it finds.
    let [right, wrong] = &stage.tokens;
    let clear = [PASSWORD, WRONG, VALUE, "n=alice", "SCRAM-SHA-512", "alice", "auth=Bearer ", right, wrong];
    for (name, wire) in [("secured", &secured), ("pods", &pods)] {
        assert!(wire.seen.size() > 20_000, "{name}: {} bytes", wire.seen.size());
        for word in clear {
            assert!(!wire.seen.holds(word.as_bytes()), "`{word}` in clear at `{name}`");
        }
    }
    for word in clear {
        assert!(open.seen.holds(word.as_bytes()), "without TLS `{word}` is to be seen");
    }
    assert!(upstream.size() > 20_000);
    for word in [SASL_PASSWORD, VALUE, "n=kordon", "SCRAM-SHA-512", &rows[0].3] {
        assert!(!upstream.holds(word.as_bytes()), "`{word}` in clear before the brokers");
    }
    let mut secrets = Secrets::default();
    secrets.add_users(&std::fs::read_to_string(kordon.dir().join("users.yaml")).expect("the users file"));
    secrets.assert_unseen("the wire without TLS", &open.seen);
    for (name, secret) in [("alice's password", PASSWORD), ("a wrong password", WRONG)] {
        secrets.add(name, secret);
    }
    secrets.add("the upstream password", SASL_PASSWORD);
    secrets.add("a record", VALUE);
    for part in stage.tokens.iter().flat_map(|token| token.split('.')) {
        secrets.add("a part of a token", part);
    }
    secrets.add_pem("the key of the listeners", &server.key);
    secrets.add_pem("the key of alice", &stage.alice.key);
    secrets.assert_unseen("the wire before the brokers", &upstream);
    // Those that Java clients and librdkafka got are known by how they begin; so short, chance may put it on a wire.
    secrets.add("a token", "eyJ");
    secrets.assert_absent("metrics", &kordon.http("/metrics").expect("metrics").1);
    assert!(told.contains("User:alice"));
    secrets.assert_absent("the audit", &told);
    kordon.terminate();
    assert!(kordon.log().contains(" TRACE ") || kordon.log().contains(" DEBUG "), "a log that tells all");
    secrets.assert_absent("the log", &kordon.log());
}

#[test]
fn a_recorder_before_the_brokers_finds_the_proxys_own_password_where_nothing_hides_it() {
    needs!(Java);
    let cluster = Cluster::secured();
    let mut kordon =
        Kordon::before(cluster).upstream(Upstream::Sasl).expects("`cluster.own` is null").person("alice").launch();
    let upstream = cluster.gate.record(Some(kordon.pid()));
    kordon.await_ready();
    let topic = cluster.topic("recorded", 1);
    assert_eq!(Java::newest().producer(kordon.at("alice"), &[]).send(&topic, &[VALUE]).ok, 1);
    for word in [SASL_PASSWORD, VALUE] {
        assert!(upstream.holds(word.as_bytes()), "{word}");
    }
}

#[test]
fn a_secret_is_found_in_whatever_form_it_is_written() {
    let mut secrets = Secrets::default();
    secrets.add("a password", PASSWORD);
    let hex: String = PASSWORD.bytes().map(|byte| format!("{byte:02x}")).collect();
    for text in [PASSWORD, "cGFzc3dvcmQtb2YtYWxpY2U=", &hex, &format!("{:?}", PASSWORD.as_bytes())] {
        let found = std::panic::catch_unwind(|| secrets.assert_absent("a text", &format!("login {text} of alice")));
        assert!(found.is_err(), "{text}");
    }
    secrets.assert_absent("a text", "password-of-bob");
}

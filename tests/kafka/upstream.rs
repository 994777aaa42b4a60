//! As whom the proxy connects to brokers: a login for each listener, secrets that change, logins again.

use std::collections::HashSet;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD, Engine as _};
use kordon::wire::schema::{alter_client_quotas, sasl_authenticate};
use kordon::wire::{ApiKey, ErrorCode};
use serde_json::{Value, json};

use crate::logins::cluster;
use crate::pass_through::{WRITE, allow};
use crate::renewals;
use crate::support::certificates::{Authority, Signed, served};
use crate::support::cluster::{Cluster, Options, SASL_PASSWORD, SASL_USER, SCRAM, classes};
use crate::support::fetch::Jars;
use crate::support::gate::{Tap, Way};
use crate::support::java::{Consumer, Java, Producer};
use crate::support::people::known;
use crate::support::proxy::{Kordon, Upstream, cli};
use crate::support::raw::{Raw, request_of};
use crate::support::tools::within;
use crate::support::{needs, ports, scratch, soon, unique};

/// A login by PLAIN that went to a broker.
fn logged_in(tap: &Tap, name: &str, password: &str) -> bool {
    let message = format!("\0{name}\0{password}");
    let of = |frame: &crate::support::gate::Frame| {
        let request = frame.request();
        request.bytes(sasl_authenticate::request::AUTH_BYTES).is_some_and(|bytes| **bytes == *message.as_bytes())
    };
    tap.frames().iter().filter(|f| f.way == Way::ToBroker && f.api == ApiKey::SASL_AUTHENTICATE.0).any(of)
}

#[test]
fn clients_of_a_listener_reach_brokers_by_a_login_of_its_own_whose_password_may_change() {
    needs!(Java);
    let upstream = "upstream: { sasl: { mechanism: PLAIN, username: alice, password: { file: alices } } }";
    let fixed = "identity: fixed\n    principal: \"User:x\"";
    let kordon = Kordon::before(cluster())
        .upstream(Upstream::Scram("SCRAM-SHA-512"))
        .person("usual")
        .listener("other", &format!("{fixed}\n    {upstream}"))
        .file("alices", "wrong")
        .expects("`cluster.own` is null")
        .start();
    let tap = kordon.tap();
    let topic = unique("upstream");
    cluster().create_topic(&topic, 1, &[]);
    allow("alice", &topic, &[WRITE]);
    let send = |listener: &str, timeout: &str| {
        let settings = [("max.block.ms", timeout)];
        Java::newest().producer(kordon.at(listener), &settings).send(&topic, &["one"]).error().map(str::to_owned)
    };
    assert_eq!(send("usual", "15000"), None);
    assert!(!logged_in(&tap, "alice", "wrong"));
    assert_eq!(send("other", "1500").as_deref(), Some("TimeoutException"));
    assert!(logged_in(&tap, "alice", "wrong"));
    kordon.await_log("refused the login of `alice`: Authentication failed");
    let check = || cli(&["check", "--connect", "--config", kordon.config_path().to_str().unwrap()]);
    let told = check();
    assert!(told.code == 2 && told.out.contains("`cluster`: brokers can be reached"), "{}{}", told.out, told.err);
    assert!(told.err.contains("`listeners[1].upstream`: no broker can be reached so for clients"), "{}", told.err);

    std::fs::write(kordon.dir().join("alices"), "alice-secret\n").unwrap();
    soon("the new password is used", || send("other", "1500").map_or(Ok(()), Err));
    assert!(logged_in(&tap, "alice", "alice-secret"));
    assert_eq!(check().code, 0);
    for password in ["alice-secret", "wrong", "kordon-upstream-password"] {
        assert!(!kordon.log().contains(password), "a password in the log");
    }
}

/// How long brokers of [`brief`] hold a login.
const BRIEF: Duration = Duration::from_secs(3);

/// A broker that wants to see a login again soon, and the port where it tells how often that did not happen.
fn brief() -> (Cluster, u16) {
    let mut properties = SCRAM.map(|(key, value)| (key, value.to_owned())).to_vec();
    properties.push(known(&[(SASL_USER, SASL_PASSWORD), ("alice", "alice-secret")]));
    // Tokens without a signature: what one is worth is for the broker to say.
    let module = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required";
    // A module with options wants a token for the broker itself, too.
    let module =
        format!("{module} unsecuredValidatorPrincipalClaimName=\"azp\" unsecuredLoginStringClaim_sub=\"none\";");
    properties.retain(|(key, _)| !key.ends_with("enabled.mechanisms"));
    let all = "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER".to_owned();
    properties.push(("listener.name.sasl.sasl.enabled.mechanisms", all));
    properties.push(("listener.name.sasl.oauthbearer.sasl.jaas.config", module));
    for mechanism in ["plain", "scram-sha-512", "oauthbearer"] {
        let key: &'static str = format!("listener.name.sasl.{mechanism}.connections.max.reauth.ms").leak();
        properties.push((key, BRIEF.as_millis().to_string()));
    }
    let port = ports::block(1);
    let remote = format!("-Dcom.sun.management.jmxremote.port={port}");
    let jmx =
        ["host=127.0.0.1", "authenticate=false", "ssl=false"].map(|o| format!("-Dcom.sun.management.jmxremote.{o}"));
    let jvm = [classes(Jars::Kafka431), jmx.to_vec(), vec![remote, "-Djava.rmi.server.hostname=127.0.0.1".to_owned()]];
    let cluster = Cluster::start(Options { nodes: 1, properties, jvm: jvm.concat(), ..Options::default() });
    cluster.know_by_scram(SASL_USER, SASL_PASSWORD);
    (cluster, port)
}

/// Gives tokens for a client's credentials to whoever knows them, as long as it is up.
struct Endpoint {
    url: String,
    up: Arc<AtomicBool>,
    given: Arc<Mutex<Vec<String>>>,
}

/// How long its tokens hold.
const TOKEN: Duration = Duration::from_secs(5);
const CLIENT_SECRET: &str = "secret-of-the-client";

/// Brokers of [`brief`] take it for one of who is in `azp`.
fn token(name: &str, life: Duration) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let claims = json!({ "sub": format!("id-of-{name}"), "azp": name, "iat": now.as_secs_f64(), "exp": (now + life).as_secs_f64() });
    let part = |json: &Value| BASE64_URL_SAFE_NO_PAD.encode(json.to_string());
    format!("{}.{}.", part(&json!({ "alg": "none" })), part(&claims))
}

impl Endpoint {
    fn start(pair: &Signed) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (url, tls) = (format!("https://{}/token", listener.local_addr().unwrap()), pair.serving());
        let (up, given) = (Arc::new(AtomicBool::new(true)), Arc::new(Mutex::new(Vec::new())));
        let endpoint = Self { url, up: Arc::clone(&up), given: Arc::clone(&given) };
        std::thread::spawn(move || {
            let login = BASE64_STANDARD.encode(format!("kordon-client:{CLIENT_SECRET}"));
            for peer in listener.incoming().map_while(Result::ok) {
                let mut peer = served(peer, Some(&tls));
                let (mut request, mut piece) = (Vec::new(), [0; 4096]);
                while !request.ends_with(b"grant_type=client_credentials") {
                    match peer.read(&mut piece) {
                        Ok(n) if n > 0 => request.extend_from_slice(&piece[..n]),
                        _ => break,
                    }
                }
                let known = String::from_utf8_lossy(&request).contains(&format!("Basic {login}"));
                let (status, body) = match (known, up.load(Ordering::Relaxed)) {
                    (true, true) => {
                        let token = token("kordon-by-token", TOKEN);
                        given.lock().unwrap().push(token.clone());
                        (
                            "200 OK",
                            json!({ "access_token": token, "token_type": "Bearer", "expires_in": TOKEN.as_secs() }),
                        )
                    }
                    (false, true) => ("401 No", json!({ "error": "invalid_client" })),
                    (_, false) => ("503 Away", json!({})),
                };
                let body = body.to_string();
                let _ = write!(peer, "HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            }
        });
        endpoint
    }

    fn tokens(&self) -> Vec<String> {
        self.given.lock().unwrap().clone()
    }
}

/// How many connections the broker has closed because their login had ended.
fn expired(port: u16) -> u64 {
    let url = format!("service:jmx:rmi:///jndi/rmi://127.0.0.1:{port}/jmxrmi");
    let (name, attribute) = ("kafka.server:type=socket-server-metrics,*", "expired-connections-killed-count");
    let args = ["--jmx-url", &url, "--object-name", name, "--attributes", attribute, "--one-time"];
    let out = within("kafka-jmx", &[&args[..], &["--report-format", "properties"]].concat()).ok();
    let of = |line: &str| line.split_once(&format!(":{attribute}="))?.1.trim().parse::<f64>().ok();
    let counts: Vec<f64> = out.lines().filter_map(of).collect();
    assert!(!counts.is_empty(), "no count:\n{out}");
    counts.iter().sum::<f64>() as u64
}

/// Connections that a client has made so far.
fn connections(producer: &Producer, consumer: &Consumer) -> [f64; 2] {
    [producer.metric("connection-creation-total"), consumer.metric("connection-creation-total")]
}

#[test]
fn brokers_that_end_logins_see_new_ones_in_time_and_clients_notice_nothing() {
    needs!(Java);
    let (cluster, jmx) = brief();
    let plain = "upstream: { sasl: { mechanism: PLAIN, username: alice, password: { file: alices } } }";
    let dir = scratch(&unique("endpoint"));
    let [theirs, others] = ["theirs", "others"].map(|name| Authority::new(&dir.join(name), name));
    let endpoint = Endpoint::start(&theirs.server());
    let client = "client_id: kordon-client, client_secret: { file: secret }, principal_claim: azp";
    let client = format!("{{ mechanism: OAUTHBEARER, token_url: \"{}\", {client}, ca: ", endpoint.url);
    let [client, deceived] = [theirs, others].map(|ca| format!("{client}{} }}", ca.file().display()));
    let listeners = ["scram", "plain", "client"];
    let fixed = "identity: fixed\n    principal: \"User:x\"\n    upstream:";
    let kordon = Kordon::before(&cluster)
        .upstream(Upstream::Scram("SCRAM-SHA-512"))
        .person("scram")
        .listener("plain", &format!("identity: fixed\n    principal: \"User:x\"\n    {plain}"))
        .listener("client", &format!("{fixed} {{ sasl: {client} }}"))
        .listener("deceived", &format!("{fixed} {{ sasl: {deceived} }}"))
        .listener("given", &format!("{fixed} {{ sasl: {{ mechanism: OAUTHBEARER, token: {{ file: token }} }} }}"))
        .cluster_keys(&format!("own: {{ sasl: {client} }}"))
        .file("alices", "alice-secret")
        .file("secret", CLIENT_SECRET)
        .file("token", &token("kordon-by-file", Duration::from_secs(3600)))
        .config("log: { level: trace }")
        .expects("the proxy cannot log in again at a broker")
        .expects("no new token for logins at brokers")
        .expects("tokens for brokers can be had again")
        .expects("kordon::cluster::trouble")
        .expects("the cluster cannot be asked")
        .start();
    // One that does not log in again, to know that it is counted.
    let mut forgetful = renewals::log_in(&format!("127.0.0.1:{}", cluster.node(1).sasl), "alice");
    let java = Java::newest();
    let clients: Vec<(String, Producer, Consumer)> = listeners
        .iter()
        .map(|listener| {
            let (at, topic) = (kordon.at(listener), unique("renewed"));
            cluster.create_topic(&topic, 1, &[]);
            let group = unique("group");
            let consumer = java.consumer(at, &[("group.id", &group), ("auto.offset.reset", "earliest")]);
            consumer.subscribe(&[&topic]).run();
            (topic, java.producer(at, &[("acks", "all")]), consumer)
        })
        .collect();
    let warm = |n: usize| {
        for (topic, producer, consumer) in &clients {
            let text = format!("warm-{n}");
            assert_eq!(producer.send(topic, &[&text]).error(), None);
            soon("the record comes", || consumer.has(&text));
        }
    };
    warm(0);
    let before: Vec<_> = clients.iter().map(|(_, producer, consumer)| connections(producer, consumer)).collect();
    let (begun, mut sent) = (Instant::now(), 0);
    while begun.elapsed() < BRIEF * 3 {
        for (topic, producer, _) in &clients {
            assert_eq!(producer.send(topic, &[&format!("record-{sent}")]).error(), None);
        }
        sent += 1;
    }
    warm(1);
    for ((topic, producer, consumer), before) in clients.iter().zip(before) {
        assert_eq!(connections(producer, consumer), before, "{topic}: not one connection was made anew");
        let events = consumer.events(0);
        let read: Vec<&str> = events.iter().filter_map(|e| e["value"].as_str()).collect();
        let all: HashSet<&str> = read.iter().copied().collect();
        assert_eq!((read.len(), all.len()), (sent + 2, sent + 2), "{topic}: each once");
        assert!(events.iter().all(|e| e["type"] != "error"), "{topic}: {events:?}");
    }
    let log = kordon.log();
    assert!(!log.contains("cannot log in again") && log.contains("kordon::cluster::link: logged in again at a broker"));
    let renewals = |connections, outcome| {
        let labels = [("connections", connections), ("outcome", outcome)];
        kordon.metrics().sum("kordon_upstream_renewals_total", &labels)
    };
    for (connections, least) in [("clients", 18.0), ("own", 2.0)] {
        let renewed = renewals(connections, "renewed");
        assert!(renewed >= least && renewals(connections, "failed") == 0.0, "{connections}: {renewed}");
    }
    let closed = |reason| kordon.metrics().sum("kordon_connections_closed_total", &[("reason", reason)]);
    assert_eq!((closed("upstream_closed"), closed("upstream_login")), (0.0, 0.0));
    assert!(!kordon.log().contains("own connection ended"), "the proxy's own connections stand too");
    assert_eq!(expired(jmx), 0);
    assert!(!renewals::is_served(&mut forgetful));
    soon("it is counted", || {
        let count = expired(jmx);
        if count == 1 { Ok(()) } else { Err(format!("{count}")) }
    });

    // Whom it names is its own, by the claim that brokers look at; and who is not who was named gets no secret.
    let quota = |user: &str| {
        let entity = json!([{ "EntityType": "user", "EntityName": user }]);
        let ops = json!([{ "Key": "producer_byte_rate", "Value": 1e9, "Remove": false }]);
        let entry = json!({ "Entries": [{ "Entity": entity, "Ops": ops }], "ValidateOnly": true });
        let request = request_of(ApiKey::ALTER_CLIENT_QUOTAS, &entry);
        let answer = Raw::connect(kordon.at("plain")).ask(ApiKey::ALTER_CLIENT_QUOTAS, 1, &request);
        let entry = &answer.nodes(alter_client_quotas::response::ENTRIES)[0];
        ErrorCode(entry.i16(alter_client_quotas::response::entry_data::ERROR_CODE))
    };
    assert_eq!(quota("id-of-kordon-by-token"), ErrorCode::NONE);
    assert_eq!(quota("kordon-by-token"), ErrorCode::CLUSTER_AUTHORIZATION_FAILED, "threat_18");
    let refused = java.producer(kordon.at("deceived"), &[("max.block.ms", "1500")]).send(&clients[0].0, &["x"]);
    assert_eq!(refused.error(), Some("TimeoutException"));
    kordon.await_log("no token from `token_url`: no authority that is trusted (`ca`) signed its certificate");

    // An outage of the endpoint: the token that is there is good until its end, and then each login says what is wrong.
    endpoint.up.store(false, Ordering::Relaxed);
    kordon.await_log("no new token for logins at brokers");
    warm(2);
    kordon.await_log("no token from `token_url`: it answered with status 503");
    endpoint.up.store(true, Ordering::Relaxed);
    kordon.await_log("tokens for brokers can be had again");
    soon("the proxy's own connection is back", || kordon.http("/readyz").is_ok_and(|(status, _)| status == 200));
    warm(3);

    // A token that somebody else renews is read at each login.
    let given = |text: &str| {
        std::fs::write(kordon.dir().join("token"), text).unwrap();
        let settings = [("max.block.ms", "1500")];
        Java::newest()
            .producer(kordon.at("given"), &settings)
            .send(&clients[0].0, &["given"])
            .error()
            .map(str::to_owned)
    };
    assert_eq!(given(&token("kordon-by-file", Duration::from_secs(3600))), None);
    let late = token("kordon-by-file", Duration::ZERO);
    assert_eq!(given(&late).as_deref(), Some("TimeoutException"));
    kordon.await_log("refused the login by the token in `");
    assert_eq!(given("no token").as_deref(), Some("TimeoutException"));
    kordon.await_log("is no bearer token");

    // A login that can no longer be made ends the connection, and says so.
    std::fs::write(kordon.dir().join("alices"), "wrong").unwrap();
    soon("a connection ends", || closed("upstream_login") >= 1.0);
    kordon.await_log("refused the login of `alice`: Authentication failed");
    let told = kordon.audit().wait("the end", |e| e.text("/connectionInfo/reason") == "upstream_login");
    assert_eq!(told.text("/connectionInfo/detail"), "the proxy could not log in again at the broker");
    std::fs::write(kordon.dir().join("alices"), "alice-secret").unwrap();
    warm(4);
    assert!(renewals("clients", "failed") >= 1.0);
    let tokens = endpoint.tokens();
    assert!(tokens.len() >= 6, "two users, each some: {}", tokens.len());
    let log = kordon.log();
    let tokens = tokens.iter().chain([&late]).filter_map(|token| token.split('.').nth(1));
    for secret in tokens.chain(["alice-secret", SASL_PASSWORD, CLIENT_SECRET]) {
        assert!(!log.contains(secret), "a secret in the log");
    }
}

//! Balancers that say who connects (PROXY protocol, version 2).

use std::io::Write as _;
use std::net::TcpStream;
use std::time::Duration;

use kordon::wire::schema::metadata::response::{TOPICS, metadata_response_topic};
use serde_json::json;

use crate::support::audit::Event;
use crate::support::balancer::{Balancer, header, with};
use crate::support::certificates::{Authority, Wish};
use crate::support::cluster::Cluster;
use crate::support::java::Java;
use crate::support::people::jaas;
use crate::support::proxy::Kordon;
use crate::support::raw::{End, Raw};
use crate::support::{needs, scratch, soon, unique};

const FIXED: &str = "identity: fixed\n    principal: \"User:alice\"";

/// `from-office` may be read from there, `everywhere` from anywhere, and `not-from-there` not from one network.
const POLICY: &str = "version: 1
default: deny
acls:
  - { allow: [All], principals: [\"User:*\"], resources: [\"topic:from-office\"], hosts: [203.0.113.0/24, \"2001:db8::/32\"] }
  - { allow: [All], principals: [\"User:*\"], resources: [\"topic:everywhere\", \"topic:not-from-there\"] }
  - { deny: [All], principals: [\"User:*\"], resources: [\"topic:not-from-there\"], hosts: [192.0.2.0/24] }
end: true
";

fn raw(at: &str, first: &[u8]) -> Raw {
    let mut tcp = TcpStream::connect(at).unwrap();
    tcp.write_all(first).unwrap();
    Raw::on(tcp)
}

fn from(at: &str, client: &str) -> Raw {
    raw(at, &header(client.parse().unwrap()))
}

/// Which of the three topics are not told as forbidden.
fn allowed(mut raw: Raw) -> [bool; 3] {
    let answer = raw.metadata(Some(&["from-office", "everywhere", "not-from-there"]));
    // UNKNOWN_TOPIC_OR_PARTITION, where TOPIC_AUTHORIZATION_FAILED is 29.
    let codes: Vec<i16> = answer.nodes(TOPICS).iter().map(|t| t.i16(metadata_response_topic::ERROR_CODE)).collect();
    let of = |name: &str| {
        let at = answer.nodes(TOPICS).iter().position(|t| t.str(metadata_response_topic::NAME) == name).unwrap();
        codes[at] != 29
    };
    [of("from-office"), of("everywhere"), of("not-from-there")]
}

#[test]
fn threat_33_a_client_is_where_the_header_says_and_nowhere_without_an_address() {
    let kordon = Kordon::before(Cluster::single())
        .listener(
            "people",
            &format!("{FIXED}\n    proxy_protocol: [127.0.0.1]\n    limits: {{ handshake_timeout: 2s }}"),
        )
        .listener("elsewhere", &format!("{FIXED}\n    proxy_protocol: [192.0.2.0/24]"))
        .person("direct")
        .policy(POLICY)
        .start();
    let at = kordon.at("people");
    let closed = |listener: &str, reason: &str| {
        kordon.metrics().sum("kordon_connections_closed_total", &[("listener", listener), ("reason", reason)])
    };
    assert_eq!(allowed(from(at, "203.0.113.7:51201")), [true, true, true]);
    assert_eq!(allowed(from(at, "[2001:db8::7]:51202")), [true, true, true]);
    assert_eq!(allowed(from(at, "198.51.100.1:1")), [false, true, true]);
    assert_eq!(allowed(from(at, "192.0.2.9:1")), [false, true, false]);
    // The balancer's own: not even as itself.
    for (command, family, rest) in
        [(0x20, 0x00, &[][..]), (0x20, 0x11, &[203, 0, 113, 7, 0, 0, 0, 0, 0, 1, 0, 2]), (0x21, 0x00, &[])]
    {
        assert_eq!(allowed(raw(at, &with(command, family, rest))), [false, true, false]);
    }
    let local = with(0x21, 0x31, &[0; 216]);
    assert_eq!(allowed(raw(at, &local)), [false, true, false], "a socket without IP");
    let mut audit = kordon.audit();
    audit
        .wait("the address of the header", |e: &Event| e.text("/requestMetadata/clientAddress") == "203.0.113.7:51201");
    audit.wait("the same, of version 6", |e: &Event| e.text("/requestMetadata/clientAddress") == "[2001:db8::7]:51202");
    audit.wait("none", |e: &Event| e.json.pointer("/data/requestMetadata/clientAddress") == Some(&json!(null)));

    // In pieces, the request right behind it, and values that are not looked at.
    let mut bytes = header("203.0.113.7:51203".parse().unwrap());
    bytes[15] += 7;
    bytes.extend([0xea, 0, 4, 1, 2, 3, 4]);
    let mut tcp = TcpStream::connect(at).unwrap();
    tcp.set_nodelay(true).unwrap();
    for byte in &bytes[..20] {
        tcp.write_all(&[*byte]).unwrap();
    }
    bytes.extend([0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff]);
    tcp.write_all(&bytes[20..]).unwrap();
    assert!(matches!(Raw::on(tcp).read_frame(), Ok(Some(_))));

    // What is no header, or a damaged one: nothing is served. One header, not two.
    let mut wrong = header("203.0.113.7:1".parse().unwrap());
    wrong[15] += 7;
    wrong.extend([0x03, 0, 4, 1, 2, 3, 4]);
    let request = [0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff];
    for first in [&wrong[..], b"PROXY TCP4 203.0.113.7 10.0.0.1 1 2\r\n", b"\x16\x03\x01\x02\x00\x01", &request] {
        assert_ne!(raw(at, first).end(), End::Open, "{first:?}");
    }
    soon("they are counted", || closed("people", "proxy_header") == 4.0);
    kordon.await_log("the connection begins with a PROXY header of version 1: make the balancer send version 2");
    kordon.await_log("a PROXY header with a wrong checksum");
    let twice = [header("203.0.113.7:1".parse().unwrap()), header("198.51.100.1:1".parse().unwrap())].concat();
    assert_ne!(raw(at, &twice).end(), End::Open);
    soon("one header is due, not two", || closed("people", "proxy_header") == 5.0);
    assert_ne!(raw(kordon.at("direct"), &header("203.0.113.7:1".parse().unwrap())).end(), End::Open);
    soon("none is due there", || closed("direct", "proxy_header") == 1.0);
    kordon.await_log("proxy header on a listener without `proxy_protocol`: name the balancer's network there");

    // Who comes past the balancers is not asked.
    assert_ne!(from(kordon.at("elsewhere"), "203.0.113.7:1").end(), End::Open);
    soon("it is counted", || closed("elsewhere", "not_from_balancer") == 1.0);
    kordon.await_log("127.0.0.1 is in no network of `proxy_protocol`");
    let mut silent = raw(at, b"\r\n\r\n");
    silent.patience(Duration::from_secs(20));
    assert_eq!(silent.end(), End::Closed);
    soon("it is counted", || closed("people", "handshake_timeout") == 1.0);
}

#[test]
fn clients_behind_a_balancer_have_addresses_of_their_own_for_limits_too() {
    needs!(Java);
    let cluster = Cluster::single();
    let authority = Authority::new(&scratch(&unique("proxied")), "listeners");
    let pair = authority.sign(&Wish { hosts: &["kafka.kordon.test", "*.kordon.test"], ..Wish::default() });
    let [one, other] =
        ["203.0.113.7:51201", "203.0.113.8:51201"].map(|client| Balancer::start(client.parse().unwrap()));
    let kordon = Kordon::before(cluster)
        .listener(
            "people",
            &format!(
                "advertise: kafka.kordon.test\n    identity: sasl\n    sasl: {{ mechanisms: [PLAIN] }}\n    \
                 proxy_protocol: [127.0.0.0/8]\n    \
                 limits: {{ failed_logins: {{ delay: 10ms, per_minute: 3 }}, connections_per_address: 8 }}\n    tls: {{ certificate: {}, key: {} }}",
                pair.certificate_file.display(),
                pair.key_file.display()
            ),
        )
        .brokers(&format!("{{ sni: {{ host: \"broker-{{id}}.kordon.test\", port: {} }} }}", one.port()))
        .users(&[("alice", "alice-secret")])
        .start();
    for balancer in [&one, &other] {
        balancer.forward_to(kordon.at("people"));
    }
    let topic = cluster.topic("proxied", 1);
    let tls = authority.java("SASL_SSL", None);
    let send = |through: &Balancer, password: &str| {
        let jaas = jaas("PLAIN", "alice", password);
        let settings = tls.and(&[("sasl.mechanism", "PLAIN"), ("sasl.jaas.config", &jaas), ("max.block.ms", "15000")]);
        let at = format!("kafka.kordon.test:{}", through.port());
        Java::newest().producer(&at, &settings).send(&topic, &["one"]).error().map(str::to_owned)
    };
    assert_eq!(send(&one, "alice-secret"), None, "over TLS, by name, through a balancer");
    // Through the other: three wrong passwords and nobody there may log in, but only there.
    let failed = || kordon.metrics().sum("kordon_logins_total", &[("listener", "people"), ("outcome", "failed")]);
    for n in 1..=3 {
        assert_eq!(send(&other, "wrong").as_deref(), Some("SaslAuthenticationException"));
        assert!(failed() >= f64::from(n));
    }
    assert!(send(&other, "alice-secret").is_some());
    assert_eq!(send(&one, "alice-secret"), None);
    let opened = kordon.audit().wait("alice", |e: &Event| e.text("/connectionInfo/action") == "opened");
    assert_eq!(opened.text("/requestMetadata/clientAddress"), "203.0.113.7:51201");
    // Eight connections that have no login yet are as many as one address may have.
    let address = "198.51.100.1:1".parse().unwrap();
    let held: Vec<Raw> = (0..8).map(|_| raw(kordon.at("people"), &header(address))).collect();
    soon("one more is too many", || {
        let mut more = raw(kordon.at("people"), &header(address));
        more.patience(Duration::from_millis(200));
        let _ = more.end();
        let reason = [("listener", "people"), ("reason", "too_many_connections")];
        kordon.metrics().sum("kordon_connections_closed_total", &reason) >= 1.0
    });
    assert_eq!(send(&one, "alice-secret"), None);
    drop(held);
    let mut kordon = kordon;
    kordon.expects("too_many_connections");
}

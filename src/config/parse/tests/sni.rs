//! `brokers.sni`.

use super::*;
use crate::model::BrokerHost;

const TLS: (&str, &str) = ("#listener", "advertise: kafka.corp, tls: { certificate: c.pem, key: k.pem },");

fn sni(keys: &str) -> (&'static str, String) {
    ("{ ports: { ids: 0-3 } }", format!("{{ sni: {keys} }}"))
}

#[test]
fn brokers_have_names_on_one_port() {
    let (at, keys) = sni("{ host: \"Broker-{id}.kafka.corp\", port: 443 }");
    let listener = well(&[(at, &keys), TLS]).listeners.remove(0);
    let host = BrokerHost::parse("broker-{id}.kafka.corp").unwrap();
    assert_eq!(listener.brokers, Brokers::Sni { host, port: 443 });
    assert_eq!(listener.told(7, 0).unwrap().to_string(), "broker-7.kafka.corp:443");
    assert!(listener.broker_binds().is_empty());
}

#[test]
fn what_cannot_be_a_name_in_a_handshake_is_refused() {
    for (keys, part) in [
        ("{ host: \"broker.kafka.corp\", port: 1 }", "must hold `{id}` once"),
        ("{ host: \"{id}-{id}.kafka.corp\", port: 1 }", "must hold `{id}` once"),
        ("{ host: \"broker-{id}\", port: 1 }", "write a full name with a domain"),
        ("{ host: \"broker-{id}.kafka.corp.\", port: 1 }", "write a full name with a domain"),
        ("{ host: \"10.0.0.{id}\", port: 1 }", "write a full name with a domain"),
        ("{ host: \"bro ker-{id}.kafka.corp\", port: 1 }", "write a full name with a domain"),
        ("{ host: \"kafka{id}.corp\" }", "`listeners[0].brokers.sni.port` is missing"),
        ("{ host: \"kafka{id}.corp\", port: 0 }", "must be from 1 to 65535"),
        ("{ port: 1 }", "`listeners[0].brokers.sni.host` is missing"),
        ("{ host: \"kafka{id}.corp\", port: 1 }, map: {}", "exactly one of `ports`, `map` and `sni`"),
    ] {
        let (at, keys) = sni(keys);
        let told = fault(&[(at, &keys), TLS]);
        assert!(told.contains(part), "{keys}: {told}");
    }
    let (at, keys) = sni("{ host: \"kafka{id}.corp\", port: 1 }");
    let told = fault(&[(at, &keys), ("#listener", "advertise: Kafka12.corp, tls: { certificate: c, key: k },")]);
    assert!(told.contains("gives broker 12 the name of `advertise`"), "{told}");
    assert_eq!(fault(&[(at, &keys)]), "7:16: `listeners[0].brokers.sni` needs `tls`: names are told in its handshake");
}

//! `cluster.tls`.

use super::*;

#[test]
fn tls_towards_brokers_is_read() {
    let tls = |keys: &str| well(&[("#cluster", &format!(", tls: {keys}"))]).cluster;
    assert_eq!(tls("null").tls, None);
    let least = tls("{ ca: system }");
    let expected =
        UpstreamTls { ca: Authorities::System, identity: None, server_name: None, min_version: TlsVersion::Tls12 };
    assert_eq!((least.own_tls(), least.tls.as_ref()), (Some(&expected), Some(&expected)));
    let all = tls(
        "{ ca: ca.pem, certificate: c.pem, key: k.pem, server_name: kafka, min_version: \"1.3\" }, own: { tls: { ca: o.pem } }",
    );
    let identity = KeyPair { certificate: "etc/c.pem".into(), key: "etc/k.pem".into() };
    assert_eq!(
        all.tls.as_ref().unwrap(),
        &UpstreamTls {
            ca: Authorities::File("etc/ca.pem".into()),
            identity: Some(identity),
            server_name: Some("kafka".into()),
            min_version: TlsVersion::Tls13
        }
    );
    assert_eq!(all.own_tls().unwrap().ca, Authorities::File("etc/o.pem".into()));
    for (keys, text) in [
        ("{}", "`cluster.tls.ca` is missing: write the PEM file"),
        ("{ ca: a, key: k }", "`cluster.tls` needs both of `certificate` and `key`, or none"),
        ("{ ca: a, min_version: \"1.1\" }", "`cluster.tls.min_version` cannot be `1.1`"),
        ("{ ca: a, min_version: 1.2 }", "`cluster.tls.min_version` must be text, but is a number: put it in quotes"),
        ("null, own: { tls: { ca: a } }", "`cluster.own.tls` is set and `cluster.tls` is null"),
    ] {
        let told = fault(&[("#cluster", &format!(", tls: {keys}"))]);
        assert!(told.contains(text), "{told}");
    }
}

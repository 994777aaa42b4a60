//! TLS with real brokers.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use kordon::cluster::dial::{DialError, Dialler};
use kordon::config::{self, Authorities, HostPort, KeyPair, TlsVersion, UpstreamTls};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;

use crate::support::certificates::{Authority, Signed, Wish};
use crate::support::cluster::{Cluster, SASL_PASSWORD, SASL_USER};
use crate::support::java::Java;
use crate::support::people::jaas;
use crate::support::proxy::{Kordon, Upstream, cli};
use crate::support::{needs, scratch, unique};

#[test]
fn a_proxy_with_a_certificate_reaches_brokers_that_ask_for_one_and_so_does_one_with_a_login() {
    needs!(Java);
    let cluster = Cluster::secured();
    for upstream in [Upstream::Tls, Upstream::SaslTls] {
        let kordon =
            Kordon::before(cluster).person("alice").upstream(upstream).expects("`cluster.own` is null").start();
        let topic = unique("tls");
        cluster.create_topic(&topic, 1, &[]);
        let java = Java::newest();
        let sent = java.producer(kordon.at("alice"), &[]).send_bulk(&topic, 300, 4000);
        assert_eq!((sent.ok, sent.error()), (300, None));
        let settings = [("group.id", &*unique("group")), ("fetch.max.bytes", "2000000")];
        let consumer = java.consumer(kordon.at("alice"), &settings);
        assert!(consumer.subscribe(&[&topic]).values(300).len() >= 300);
        assert!(!kordon.audit().read().is_empty(), "the proxy's own traffic went over TLS too");
        let topic_name = topic;
        let checked = cli(&["check", "--connect", "--config", kordon.config_path().to_str().unwrap()]);
        assert!(checked.out.contains("over TLS"), "{}{}", checked.out, checked.err);
        if upstream == Upstream::SaslTls {
            let login = jaas("PLAIN", SASL_USER, SASL_PASSWORD);
            let (ca, file) = (cluster.authority().file(), kordon.dir().join("client.properties"));
            let text = format!(
                "security.protocol=SASL_SSL\nssl.truststore.type=PEM\nssl.truststore.location={}\n\
                 sasl.mechanism=PLAIN\nsasl.jaas.config={login}\n",
                ca.display()
            );
            std::fs::write(&file, text).unwrap();
            let at = ["--bootstrap-server", &cluster.sasl_tls(), "--command-config", file.to_str().unwrap()];
            let topic = ["--json", "--from-beginning", "--until-end", "--topic", kordon.audit_topic()];
            let told = cli(&[&["audit", "tail"], &topic[..], &at].concat());
            assert!(told.code == 0 && told.out.contains(&topic_name), "{}{}", told.out, told.err);
        }
        let door = "broker 1 at `127.0.0.1:";
        assert!(checked.out.contains(door) && checked.out.contains("serves nobody without a login"), "{}", checked.out);
    }
}

fn files(pair: &Signed) -> KeyPair {
    KeyPair { certificate: pair.certificate_file.clone(), key: pair.key_file.clone() }
}

fn tls(ca: &Path) -> UpstreamTls {
    let ca = Authorities::File(ca.to_owned());
    UpstreamTls { ca, identity: None, server_name: None, min_version: TlsVersion::Tls12 }
}

/// Why a broker cannot be dialled so.
fn refused(at: &str, tls: Option<UpstreamTls>) -> DialError {
    let (host, port) = at.rsplit_once(':').unwrap();
    let at = HostPort { host: host.to_owned(), port: port.parse().unwrap() };
    let mut cluster = config::Cluster::plain("c", vec![at.clone()]);
    (cluster.tls, cluster.connect_timeout) = (tls, Duration::from_secs(10));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(Dialler::for_clients(&cluster).dial(&at)).map(drop).unwrap_err()
}

/// Does handshakes with this certificate, and nothing else.
fn serve(pair: &Signed) -> String {
    let chain = CertificateDer::pem_slice_iter(pair.certificate.as_bytes()).map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
    let config = rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).unwrap();
    let config = Arc::new(config);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for mut tcp in listener.incoming().map_while(Result::ok) {
            let mut tls = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            while tls.is_handshaking() && tls.complete_io(&mut tcp).is_ok() {}
        }
    });
    at
}

#[test]
fn what_is_wrong_between_proxy_and_brokers_is_told_by_its_cause() {
    needs!(Java);
    let cluster = Cluster::secured();
    let ours = cluster.authority().file();
    let other = Authority::new(&scratch("other-authority"), "other");
    let hosts = Wish { hosts: &["127.0.0.1"], ended: true, ..Wish::default() };
    let ended = cluster.authority().sign(&hosts);
    let node = cluster.node(1);
    // Past the gate, which would take this process for a stranger.
    let [secured, with_login] = [node.tls[0], node.sasl_tls[0]].map(|port| format!("127.0.0.1:{port}"));
    let plain = format!("127.0.0.1:{}", node.direct);
    let with = |change: fn(&mut UpstreamTls)| {
        let mut tls = tls(&ours);
        change(&mut tls);
        Some(tls)
    };
    for (at, tls, part) in [
        (&with_login, Some(tls(&other.file())), "no authority in `ca` signed its certificate"),
        (
            &with_login,
            with(|tls| tls.server_name = Some("kafka.example.com".to_owned())),
            "not for `kafka.example.com`: see `server_name`",
        ),
        (&secured, Some(tls(&ours)), "see `certificate` and `key`"),
        (&secured, Some(UpstreamTls { identity: Some(files(&other.client("x"))), ..tls(&ours) }), "see `certificate`"),
        (&serve(&ended), Some(tls(&ours)), "its certificate ended at 2021-01-01T00:00:00.000Z"),
        (&plain, Some(tls(&ours)), "as a plaintext listener does"),
        (&with_login, None, "the listener wants TLS: set `cluster.tls`"),
    ] {
        let told = refused(at, tls).to_string();
        assert!(told.contains(part) && told.contains(at.as_str()), "{part}: {told}");
    }
}

#[test]
fn check_judges_the_files_of_tls_and_shows_no_key() {
    let dir = scratch(&unique("check-tls"));
    let authority = Authority::new(&dir.join("ca"), "brokers");
    let (one, two) = (authority.client("one"), authority.client("two"));
    let check = |ca: &Path, certificate: &Path, key: &Path| {
        let tls = json!({ "ca": ca, "certificate": certificate, "key": key });
        let config = format!(
            "version: 1\ninstance: p\ncluster: {{ name: c, bootstrap: [\"127.0.0.1:1\"], tls: {tls} }}\n\
             listeners: [{{ name: a, bind: \"127.0.0.1:1\", identity: fixed, principal: \"User:a\", brokers: {{ ports: {{ ids: 1-1 }} }} }}]\n\
             policy: {{ file: policy.yaml }}\n"
        );
        std::fs::write(dir.join("kordon.yaml"), config).unwrap();
        std::fs::write(dir.join("policy.yaml"), "version: 1\nend: true\n").unwrap();
        let ran = cli(&["check", "--config", dir.join("kordon.yaml").to_str().unwrap()]);
        (ran.code, ran.err)
    };
    let (ca, missing) = (authority.file(), dir.join("missing.pem"));
    assert_eq!(check(&ca, &one.certificate_file, &one.key_file).0, 0);
    for (ca, certificate, key, part) in [
        (&ca, &one.certificate_file, &two.key_file, "does not belong to the certificate in"),
        (&ca, &one.certificate_file, &one.certificate_file, "holds no private key"),
        (&ca, &one.key_file, &one.key_file, "holds no certificate"),
        (&missing, &one.certificate_file, &one.key_file, "missing.pem` cannot be read"),
    ] {
        let (code, told) = check(ca, certificate, key);
        assert!(code == 2 && told.contains("`cluster.tls`: ") && told.contains(part), "{part}: {told}");
        let shown = [&one, &two].into_iter().any(|pair| told.contains(pair.key.lines().nth(1).unwrap()));
        assert!(!shown, "{told}");
    }
}

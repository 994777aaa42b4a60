//! TLS with clients.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, HandshakeKind, StreamOwned, SupportedProtocolVersion};

use crate::support::audit::Event;
use crate::support::certificates::{Authority, BOTH, Signed};
use crate::support::cluster::Cluster;
use crate::support::java::Java;
use crate::support::proxy::Kordon;
use crate::support::{needs, scratch, soon, unique};

/// The keys of a listener with TLS.
pub fn tls(pair: &Signed, more: &str) -> String {
    let (certificate, key) = (pair.certificate_file.display(), pair.key_file.display());
    format!("advertise: localhost\n    tls: {{ certificate: {certificate}, key: {key}{more} }}\n    ")
}

pub fn at(kordon: &Kordon<'_>, listener: &str) -> String {
    kordon.at(listener).replace("127.0.0.1", "localhost")
}

#[test]
fn what_is_longer_than_a_record_of_tls_passes_both_ways() {
    needs!(Java);
    let cluster = Cluster::single();
    let authority = Authority::new(&scratch(&unique("tls")), "listeners");
    let fixed = "identity: fixed\n    principal: \"User:alice\"";
    let kordon =
        Kordon::before(cluster).listener("people", &format!("{}{fixed}", tls(&authority.server(), ""))).start();
    let (at, tls, topic, group) = (at(&kordon, "people"), authority.java("SSL", None), unique("tls"), unique("group"));
    cluster.create_topic(&topic, 1, &[]);
    let sent = Java::newest().producer(&at, &tls.and(&[])).send_bulk(&topic, 100, 20_000);
    assert_eq!((sent.ok, sent.error()), (100, None));
    let consumer = Java::newest().consumer(&at, &tls.and(&[("group.id", &group)]));
    assert!(consumer.subscribe(&[&topic]).values(100).len() >= 100);
}

pub fn client(
    authority: &Authority,
    pair: Option<&Signed>,
    versions: &[&'static SupportedProtocolVersion],
) -> Arc<ClientConfig> {
    authority.trusting(pair, versions)
}

/// Asks for ApiVersions, which needs no login; tells whether the session was resumed.
pub fn knock(at: &str, config: &Arc<ClientConfig>) -> Result<HandshakeKind, String> {
    let tls = ClientConnection::new(Arc::clone(config), ServerName::try_from("localhost").unwrap()).unwrap();
    let tcp = TcpStream::connect(at).unwrap();
    tcp.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut stream = StreamOwned::new(tls, tcp);
    let ask = [0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff];
    stream.write_all(&ask).map_err(|e| e.to_string())?;
    stream.read_exact(&mut [0; 8]).map_err(|e| e.to_string())?;
    Ok(stream.conn.handshake_kind().unwrap())
}

#[test]
fn who_shows_no_valid_certificate_is_refused_where_one_is_required() {
    needs!(Java);
    let cluster = Cluster::single();
    let dir = scratch(&unique("tls"));
    let authority = Authority::new(&dir, "listeners");
    let (clients, strangers) =
        (Authority::new(&dir.join("clients"), "clients"), Authority::new(&dir.join("other"), "clients"));
    let (alice, revoked) = (clients.client("alice"), clients.client("mallory"));
    let list = dir.join("list.pem");
    std::fs::write(&list, clients.revoke(&[&revoked])).unwrap();
    let asked = |auth: &str| {
        format!(", client_auth: {auth}, client_ca: {}, crl: [{}]", clients.file().display(), list.display())
    };
    let fixed = "identity: fixed\n    principal: \"User:alice\"";
    let server = authority.server();
    let kordon = Kordon::before(cluster)
        .listener("strict", &format!("{}{fixed}", tls(&server, &asked("required"))))
        .listener("asking", &format!("{}{fixed}", tls(&server, &asked("requested"))))
        .listener("lax", &format!("{}{fixed}", tls(&server, ", min_version: \"1.3\"")))
        .start();
    let try_all = |pair: Option<&Signed>| {
        ["strict", "asking", "lax"].map(|listener| knock(kordon.at(listener), &client(&authority, pair, BOTH)).is_ok())
    };
    assert_eq!(try_all(Some(&alice)), [true, true, true]);
    assert_eq!(try_all(None), [false, true, true]);
    assert_eq!(try_all(Some(&revoked)), [false, false, true]);
    assert_eq!(try_all(Some(&strangers.client("alice"))), [false, false, true]);
    let old = client(&authority, Some(&alice), &[&rustls::version::TLS12]);
    assert!(knock(kordon.at("strict"), &old).is_ok());
    assert!(knock(kordon.at("lax"), &old).is_err());
    for words in [
        "the client showed no certificate, and `client_auth` is required",
        "the client's certificate was revoked",
        "the client's certificate is not signed by the authority in `client_ca` that has the issuer's name",
        "the client speaks no version of TLS from `min_version` on",
    ] {
        kordon.await_log(words);
    }
    let failed = || kordon.metrics().sum("kordon_logins_total", &[("listener", "strict"), ("outcome", "failed")]);
    soon("they are counted", || failed() == 3.0);
    let is_refusal = |event: &Event| event.text("/connectionInfo/reason") == "handshake_failed";
    assert_eq!(kordon.audit().wait("a refusal", is_refusal).text("/connectionInfo/action"), "refused");

    // Threat 33: what a listener that asks for nothing remembers is worth nothing at one that asks.
    for versions in [&[&rustls::version::TLS13][..], &[&rustls::version::TLS12]] {
        let nobody = client(&authority, None, versions);
        if versions[0].version == rustls::ProtocolVersion::TLSv1_3 {
            assert_eq!(knock(kordon.at("lax"), &nobody), Ok(HandshakeKind::Full));
            assert_eq!(knock(kordon.at("lax"), &nobody), Ok(HandshakeKind::Resumed));
        }
        assert_eq!(knock(kordon.at("asking"), &nobody), Ok(HandshakeKind::Full));
        assert_eq!(knock(kordon.at("asking"), &nobody), Ok(HandshakeKind::Resumed));
        assert!(knock(kordon.at("strict"), &nobody).is_err());
    }

    let topic = unique("mtls");
    cluster.create_topic(&topic, 1, &[]);
    let send = |shown: Option<&Signed>| {
        let tls = authority.java("SSL", shown);
        Java::newest().producer(&at(&kordon, "strict"), &tls.and(&[("max.block.ms", "15000")])).send(&topic, &["one"])
    };
    assert_eq!(send(Some(&alice)).ok, 1);
    assert_eq!(send(None).error(), Some("SslAuthenticationException"));
}

#[test]
fn who_speaks_the_other_protocol_is_told_so_and_the_slow_are_turned_away() {
    let cluster = Cluster::single();
    let authority = Authority::new(&scratch(&unique("tls")), "listeners");
    let fixed = "identity: fixed\n    principal: \"User:alice\"";
    let kordon = Kordon::before(cluster)
        .listener("secured", &format!("{}{fixed}", tls(&authority.server(), "")))
        .person("plain")
        .config("limits: { handshake_timeout: 1s }")
        .start();
    let closed = |reason: &str| {
        kordon.metrics().sum("kordon_connections_closed_total", &[("listener", "secured"), ("reason", reason)])
    };
    // One that says nothing, one that stops in the middle, one that speaks Kafka.
    let silent: Vec<TcpStream> = (0..20).map(|_| TcpStream::connect(kordon.at("secured")).unwrap()).collect();
    let mut slow = TcpStream::connect(kordon.at("secured")).unwrap();
    slow.write_all(&[0x16, 0x03, 0x01, 0x02, 0x00]).unwrap();
    let mut plain = TcpStream::connect(kordon.at("secured")).unwrap();
    plain.write_all(&[0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff]).unwrap();
    assert_eq!(plain.read(&mut [0; 16]).unwrap_or(0), 0);
    assert!(knock(kordon.at("secured"), &client(&authority, None, BOTH)).is_ok(), "others are served meanwhile");
    soon("the slow are gone", || closed("handshake_timeout") == 21.0);
    soon("it is counted", || closed("plaintext_on_tls") == 1.0);
    kordon.await_log("a client without TLS connected to a listener with it");
    assert!(knock(kordon.at("plain"), &client(&authority, None, BOTH)).is_err());
    kordon.await_log("tls handshake on a listener without tls");
    drop(silent);
}

#[test]
fn what_goes_wrong_in_tls_after_the_handshake_is_told_as_that() {
    let authority = Authority::new(&scratch(&unique("tls")), "listeners");
    let fixed = "identity: fixed\n    principal: \"User:alice\"";
    let kordon = Kordon::before(Cluster::single())
        .users(&[("alice", "alice-secret")])
        .listener("secured", &format!("{}{fixed}", tls(&authority.server(), "")))
        .listener(
            "people",
            &format!("{}identity: sasl\n    sasl: {{ mechanisms: [PLAIN] }}", tls(&authority.server(), "")),
        )
        .start();
    for listener in ["secured", "people"] {
        let mut open = Open::to(kordon.at(listener), &client(&authority, None, BOTH));
        // A record that nobody encrypted.
        open.0
            .sock
            .write_all(&[0x17, 3, 3, 0, 20, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20])
            .unwrap();
        assert!(open.ask().is_err());
        let reason = [("listener", listener), ("reason", "tls_fault")];
        soon("it is counted", || kordon.metrics().sum("kordon_connections_closed_total", &reason) == 1.0);
    }
    kordon.await_log("what the client sent cannot be decrypted");
}

/// A connection that stays.
pub struct Open(pub StreamOwned<ClientConnection, TcpStream>);

impl Open {
    pub fn to(at: &str, config: &Arc<ClientConfig>) -> Open {
        let tls = ClientConnection::new(Arc::clone(config), ServerName::try_from("localhost").unwrap()).unwrap();
        let tcp = TcpStream::connect(at).unwrap();
        tcp.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut open = Open(StreamOwned::new(tls, tcp));
        open.ask().unwrap();
        open
    }

    /// Asks for ApiVersions, and takes the answer whole.
    pub fn ask(&mut self) -> std::io::Result<()> {
        self.0.write_all(&[0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff])?;
        let mut size = [0; 4];
        self.0.read_exact(&mut size)?;
        self.0.read_exact(&mut vec![0; u32::from_be_bytes(size) as usize])
    }

    /// The certificate of the other side.
    fn shown(&self) -> Vec<u8> {
        self.0.conn.peer_certificates().unwrap()[0].to_vec()
    }
}

#[test]
fn files_are_replaced_while_a_hundred_clients_stay_and_threat_24_who_is_revoked_does_not() {
    let cluster = Cluster::single();
    let dir = scratch(&unique("tls"));
    let authority = Authority::new(&dir, "listeners");
    let clients = Authority::new(&dir.join("clients"), "clients");
    let (alice, mallory) = (clients.client("alice"), clients.client("mallory"));
    let list = dir.join("list.pem");
    std::fs::write(&list, clients.revoke(&[])).unwrap();
    let asked = format!(", client_auth: required, client_ca: {}, crl: [{}]", clients.file().display(), list.display());
    let first = authority.server();
    let fixed = "identity: fixed\n    principal: \"User:alice\"";
    let kordon = Kordon::before(cluster)
        .listener("pods", &format!("{}{fixed}", tls(&first, &asked)))
        .expects("TLS files refused: those in force stay")
        .start();
    let reloads =
        |outcome: &str| kordon.metrics().sum("kordon_reloads_total", &[("file", "tls"), ("outcome", outcome)]);
    let config = client(&authority, Some(&alice), BOTH);
    let mut open: Vec<Open> = (0..100).map(|_| Open::to(kordon.at("pods"), &config)).collect();
    let mut evil = Open::to(kordon.at("pods"), &client(&authority, Some(&mallory), BOTH));
    let file = first.certificate_file.display().to_string();
    let end = kordon.metrics().sum("kordon_certificate_expiry_timestamp_seconds", &[("file", &file)]);
    assert!(end > 2_000_000_000.0, "{end}");

    // A key that belongs to nobody: nothing changes, and it is said.
    let (second, before) = (authority.server(), open[0].shown());
    crate::support::certificates::over(&first.key_file, &authority.server().key);
    soon("the wrong key is refused", || reloads("refused") == 1.0);
    kordon.await_log("does not belong to the certificate in");
    assert_eq!(Open::to(kordon.at("pods"), &config).shown(), before);

    let again = client(&authority, Some(&alice), BOTH);
    assert_eq!(knock(kordon.at("pods"), &again), Ok(HandshakeKind::Full));
    assert_eq!(knock(kordon.at("pods"), &again), Ok(HandshakeKind::Resumed));
    second.replace(&first);
    soon("the new pair is in force", || Open::to(kordon.at("pods"), &config).shown() != before);
    assert_eq!(knock(kordon.at("pods"), &again), Ok(HandshakeKind::Full), "nothing of before is resumed");
    for client in &mut open {
        client.ask().expect("a connection that stays");
        assert_eq!(client.shown(), before);
    }

    // Mallory is revoked: her connection ends, nobody else's does, and nothing of hers is resumed.
    let hers = client(&authority, Some(&mallory), BOTH);
    assert!(knock(kordon.at("pods"), &hers).is_ok());
    crate::support::certificates::over(&list, &clients.revoke(&[&mallory]));
    soon("the connection of who was revoked ends", || evil.ask().is_err());
    assert!(knock(kordon.at("pods"), &hers).is_err());
    for client in &mut open {
        client.ask().expect("a connection that stays");
    }
    kordon.audit().wait("why it ended", |event: &Event| event.text("/connectionInfo/reason") == "certificate_revoked");
    kordon.await_log("the client's certificate was revoked");

    // The authority is replaced: whom it had signed is gone.
    crate::support::certificates::over(&clients.file(), Authority::new(&dir.join("next"), "next").pem());
    soon("nobody of the old authority is connected", || open.iter_mut().all(|client| client.ask().is_err()));
    assert!(knock(kordon.at("pods"), &config).is_err());
    assert!(reloads("loaded") >= 3.0);
}

#[test]
fn certificates_name_clients_and_their_groups_by_kafkas_rules() {
    needs!(Java);
    use rcgen::DnType;
    let cluster = Cluster::single();
    let dir = scratch(&unique("tls"));
    let authority = Authority::new(&dir, "listeners");
    let clients = Authority::new(&dir.join("clients"), "clients");
    let asked = format!(", client_auth: required, client_ca: {}", clients.file().display());
    let rules = "certificates: { rules: [\"RULE:^CN=([a-zA-Z]+),OU=([a-z]+),O=Corp$/$1@$2/L\"], groups_from: ou }";
    let policy = "version: 1
default: deny
acls:
  - { allow: [All], principals: [\"Group:devs\"], resources: [\"topic:*\"] }
  - { deny: [Write], principals: [\"User:mallory@devs\"], resources: [\"topic:*\"] }
super_users: [\"User:root@devs\"]
end: true
";
    let kordon = Kordon::before(cluster)
        .listener("pods", &format!("{}identity: certificate", tls(&authority.server(), &asked)))
        .config(rules)
        .policy(policy)
        .start();
    let topic = unique("mtls");
    cluster.create_topic(&topic, 1, &[]);
    let send = |name: &str, unit: &str| {
        let subject =
            [(DnType::OrganizationName, "Corp"), (DnType::OrganizationalUnitName, unit), (DnType::CommonName, name)];
        let pair = clients.sign(&crate::support::certificates::Wish { subject: &subject, ..Default::default() });
        let tls = authority.java("SSL", Some(&pair));
        let settings = tls.and(&[("max.block.ms", "4000"), ("enable.idempotence", "false")]);
        let sent = Java::newest().producer(&at(&kordon, "pods"), &settings).send(&topic, &["one"]);
        sent.error().map(str::to_owned)
    };
    assert_eq!(send("Alice", "devs"), None);
    assert_eq!(send("Mallory", "devs").as_deref(), Some("TopicAuthorizationException"));
    assert_eq!(send("Bob", "sales").as_deref(), Some("TopicAuthorizationException"));
    assert_eq!(send("Root", "devs").as_deref(), Some("TimeoutException"), "super users count on other listeners only");
    assert_eq!(send("Alice", "Devs").as_deref(), Some("TimeoutException"), "no rule applies");
    kordon.await_log("no rule of `certificates.rules` applies to `CN=Alice,OU=Devs,O=Corp`");
    kordon.await_log("principal User:root@devs is a super user or operator");
    let opened = kordon.audit().wait("alice", |event: &Event| event.principal() == "User:alice@devs");
    assert_eq!(opened.text("/authenticationInfo/mechanism"), "SSL");
    assert_eq!(opened.text("/authenticationInfo/groups/0"), "devs");
}

//! `tls`, towards brokers and towards clients.

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

#[test]
fn a_listener_may_have_a_login_of_its_own_at_the_brokers() {
    let cluster =
        ("#cluster", ", tls: { ca: ca.pem }, sasl: { mechanism: PLAIN, username: all, password: { env: ALL } }");
    let logins = |upstream: &str| {
        let config = well(&[cluster, ("#listener", &format!("upstream: {upstream},"))]);
        let listener = &config.listeners[0];
        let name = listener.upstream_sasl(&config.cluster).and_then(|sasl| sasl.user().map(str::to_owned));
        (name, listener.upstream_tls(&config.cluster).unwrap().ca.clone())
    };
    let file = |name: &str| Authorities::File(format!("etc/{name}").into());
    assert_eq!(logins("null"), (Some("all".to_owned()), file("ca.pem")));
    assert_eq!(logins("{ tls: { ca: other.pem } }"), (None, file("other.pem")));
    let one = "sasl: { mechanism: SCRAM-SHA-256, username: one, password: { file: one } }";
    assert_eq!(logins(&format!("{{ {one} }}")), (Some("one".to_owned()), file("ca.pem")));
    for (upstream, text) in [
        ("{ tls: { ca: a } }", "`listeners[0].upstream.tls` is set and `cluster.tls` is null"),
        ("{ sasl: { mechanism: PLAIN, username: u } }", "`listeners[0].upstream.sasl.password` is missing"),
        ("{ own: null }", "`listeners[0].upstream.own` is not a known key"),
    ] {
        let told = fault(&[("#listener", &format!("upstream: {upstream},"))]);
        assert!(told.contains(text), "{told}");
    }
}

#[test]
fn tokens_for_brokers_are_taken_from_a_secret_or_asked_for() {
    let sasl = |keys: &str| {
        let keys = format!(", sasl: {{ mechanism: OAUTHBEARER, {keys} }}");
        well(&[("#cluster", &keys)]).cluster.sasl.unwrap()
    };
    let given = sasl("token: { file: token }");
    let of = |source, claim: &str| UpstreamSasl::Token { source, principal_claim: claim.to_owned() };
    assert_eq!(given, of(TokenSource::Given(Secret(SecretSource::File("etc/token".into()))), "sub"));
    assert_eq!((given.mechanism(), given.user()), ("OAUTHBEARER", None));
    let client = "token_url: \"https://idp/t\", client_id: kordon, client_secret: { env: S }";
    let asked = |scope: Option<&str>, ca: Authorities, claim: &str| {
        let client = TokenClient {
            token_url: WebAddress::parse("https://idp/t").unwrap(),
            ca,
            client_id: "kordon".into(),
            client_secret: Secret(SecretSource::Env("S".into())),
            scope: scope.map(str::to_owned),
        };
        of(TokenSource::Client(client), claim)
    };
    assert_eq!(sasl(client), asked(None, Authorities::System, "sub"));
    assert_eq!(sasl(&format!("{client}, scope: a b, ca: system")), asked(Some("a b"), Authorities::System, "sub"));
    let all = sasl(&format!("{client}, ca: idp.pem, principal_claim: azp"));
    assert_eq!(all, asked(None, Authorities::File("etc/idp.pem".into()), "azp"));
    assert_eq!(sasl(client).who(), "by a token of client `kordon`");
    for (keys, text) in [
        ("mechanism: OAUTHBEARER", "`cluster.sasl.token` or `cluster.sasl.token_url` is needed, and not both"),
        (
            "mechanism: OAUTHBEARER, token: { env: T }, username: u",
            "`cluster.sasl.username` goes with mechanisms that have a password only",
        ),
        ("mechanism: OAUTHBEARER, token: { env: T }, scope: s", "`cluster.sasl.scope` goes with `token_url` only"),
        ("mechanism: OAUTHBEARER, token: { env: T }, ca: a.pem", "`cluster.sasl.ca` goes with `token_url` only"),
        (
            "mechanism: OAUTHBEARER, token_url: \"http://localhost/t\", client_id: k, client_secret: { env: S }, ca: a.pem",
            "`cluster.sasl.ca` goes with `https://` only",
        ),
        (
            "mechanism: OAUTHBEARER, token: { env: T }, principal_claim: a..b",
            "`cluster.sasl.principal_claim` is `a..b`: write the names on the way",
        ),
        (
            "mechanism: PLAIN, username: u, password: { env: P }, principal_claim: azp",
            "`cluster.sasl.principal_claim` goes with `mechanism: OAUTHBEARER` only",
        ),
        ("mechanism: OAUTHBEARER, token: secret", "`cluster.sasl.token` must not stand in this file"),
        (
            "mechanism: OAUTHBEARER, token_url: \"https://i\", client_secret: { env: S }",
            "`cluster.sasl.client_id` is missing",
        ),
        (
            "mechanism: OAUTHBEARER, token_url: \"http://idp/t\", client_id: k, client_secret: { env: S }",
            "`cluster.sasl.token_url` must begin with `https://`",
        ),
        (
            "mechanism: PLAIN, username: u, password: { env: P }, client_id: k",
            "`cluster.sasl.client_id` goes with `mechanism: OAUTHBEARER` only",
        ),
    ] {
        let told = fault(&[("#cluster", &format!(", sasl: {{ {keys} }}"))]);
        assert!(told.contains(text), "{told}");
    }
}

#[test]
fn tls_of_a_listener_is_read_and_lets_plain_in() {
    let tls = |keys: &str| {
        let keys = format!("tls: {{ certificate: c.pem, key: k.pem{keys} }},");
        let sasl = (FIXED, "identity: sasl, sasl: { mechanisms: [PLAIN] } }");
        well(&[("#listener", &keys), sasl, ("#root", "users: u")]).listeners.remove(0).tls.unwrap()
    };
    let least = tls("");
    assert_eq!(least.identity, KeyPair { certificate: "etc/c.pem".into(), key: "etc/k.pem".into() });
    assert_eq!((least.min_version, &least.client_auth), (TlsVersion::Tls12, &ClientAuth::None));
    let all = tls(", min_version: \"1.3\", client_auth: required, client_ca: ca.pem, crl: [a.crl, /b.crl]");
    let trust = ClientTrust { ca: "etc/ca.pem".into(), crl: vec!["etc/a.crl".into(), "/b.crl".into()] };
    assert_eq!((all.min_version, &all.client_auth), (TlsVersion::Tls13, &ClientAuth::Required(trust)));
    assert!(tls(", client_auth: requested, client_ca: ca.pem").trust().is_some_and(|trust| trust.crl.is_empty()));
    assert_eq!(well(&[("#listener", "tls: null,")]).listeners[0].tls, None);
    for (keys, text) in [
        ("{ key: k }", "`listeners[0].tls.certificate` is missing"),
        ("{ certificate: c, key: k, client_auth: required }", "`listeners[0].tls.client_ca` is missing"),
        ("{ certificate: c, key: k, client_ca: x }", "`listeners[0].tls.client_ca` goes with `client_auth: requested`"),
        ("{ certificate: c, key: k, client_auth: maybe }", "`listeners[0].tls.client_auth` cannot be"),
    ] {
        let told = fault(&[("#listener", &format!("tls: {keys},"))]);
        assert!(told.contains(text), "{told}");
    }
}

#[test]
fn certificates_name_clients_where_they_are_required() {
    let pair = "tls: { certificate: c.pem, key: k.pem, client_auth: required, client_ca: ca.pem },";
    let named = (FIXED, "identity: certificate }");
    let config = well(&[
        ("#listener", pair),
        named,
        ("#root", "certificates: { name_from: san_uri, rules: [\"RULE:^(.*)$/$1/L\", DEFAULT], groups_from: ou }"),
    ]);
    assert_eq!(config.listeners[0].identity, Identity::Certificate);
    let session = |text: &str| well(&[("#listener", &format!("{text} {pair}")), named]).listeners[0].max_session;
    assert_eq!(session(""), Some(Duration::from_secs(3600)));
    assert_eq!(session("max_session: 8h,"), Some(Duration::from_secs(8 * 3600)));
    assert_eq!(session("max_session: null,"), None);
    let expected = CertificateNames {
        name_from: NameFrom::SanUri,
        rules: vec!["RULE:^(.*)$/$1/L".to_owned(), "DEFAULT".to_owned()],
        groups_from: GroupsFrom::Ou,
    };
    assert_eq!(config.certificates, expected);
    assert_eq!(well(&[]).certificates, CertificateNames::default());
    let needs = "`listeners[0].identity: certificate` needs `tls` with `client_auth: required`";
    assert!(fault(&[named]).contains(needs));
    let asked = "tls: { certificate: c.pem, key: k.pem, client_auth: requested, client_ca: ca.pem },";
    assert!(fault(&[("#listener", asked), named]).contains(needs));
    assert!(fault(&[("#root", "certificates: { rules: [] }")]).contains("so that nobody has a name"));
    assert!(
        fault(&[("#root", "certificates: { groups_from: cn }")]).contains("`certificates.groups_from` cannot be `cn`")
    );
}

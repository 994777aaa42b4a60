//! `tokens`, and listeners that take them.

use super::*;

const BEARER: (&str, &str) = (FIXED, "identity: sasl, sasl: { mechanisms: [OAUTHBEARER], without_tls: true } }");

fn tokens(text: &str) -> Vec<TokenIssuer> {
    well(&[("#root", &format!("tokens: {text}"))]).tokens
}

#[test]
fn an_issuer_is_read_with_its_defaults() {
    let least = tokens("[{ issuer: \"https://idp\", audience: [kafka], jwks_file: keys.json }]");
    let expected = TokenIssuer {
        issuer: "https://idp".into(),
        audience: vec!["kafka".into()],
        keys: KeySource::File("etc/keys.json".into()),
        algorithms: vec![TokenAlgorithm::Rs256, TokenAlgorithm::Es256],
        principal_claim: "sub".into(),
        groups_claim: "groups".into(),
        merge_groups: false,
        clock_skew: Duration::from_secs(30),
    };
    assert_eq!(least, [expected]);
    let url = |more: &str| {
        let entry = format!("[{{ issuer: i, audience: [a, b], jwks_url: \"https://idp/certs?p=1\"{more} }}]");
        tokens(&entry).remove(0)
    };
    let source = |refresh, max_age, ca| KeySource::Url {
        address: WebAddress::parse("https://idp/certs?p=1").unwrap(),
        ca,
        refresh: Duration::from_secs(refresh),
        max_age: Duration::from_secs(max_age),
    };
    assert_eq!(url("").keys, source(300, 86_400, Authorities::System));
    let all = url(
        ", jwks_refresh: 1m, jwks_max_age: 1h, ca: idp.pem, algorithms: [PS256, EdDSA], principal_claim: preferred_username, groups_claim: realm_access.roles, merge_groups: true, clock_skew: 0s",
    );
    assert_eq!(all.keys, source(60, 3600, Authorities::File("etc/idp.pem".into())));
    assert_eq!(all.algorithms, [TokenAlgorithm::Ps256, TokenAlgorithm::EdDsa]);
    assert_eq!((&*all.principal_claim, &*all.groups_claim), ("preferred_username", "realm_access.roles"));
    assert!(all.merge_groups && all.clock_skew.is_zero());
    assert!(tokens("[]").is_empty() && tokens("null").is_empty());
}

#[test]
fn a_listener_that_takes_tokens_needs_issuers_and_no_users() {
    let issuers = "tokens: [{ issuer: i, audience: [a], jwks_file: f }]";
    let config = well(&[BEARER, ("#root", issuers)]);
    assert_eq!(config.users, None);
    let Identity::Sasl(sasl) = &config.listeners[0].identity else { panic!("no login") };
    assert_eq!(sasl.mechanisms, [Mechanism::OAuthBearer]);
    let told = fault(&[BEARER]);
    assert!(told.contains("`tokens` is missing: listener `a` takes tokens, so write who issues them"), "{told}");
    let both = (FIXED, "identity: sasl, sasl: { mechanisms: [SCRAM-SHA-512, OAUTHBEARER], without_tls: true } }");
    let told = fault(&[both, ("#root", issuers)]);
    assert!(told.contains("`users` is missing: listener `a` checks logins against that file"), "{told}");
    let bare = (FIXED, "identity: sasl, sasl: { mechanisms: [OAUTHBEARER] } }");
    let told = fault(&[bare, ("#root", issuers)]);
    assert!(told.contains("is OAUTHBEARER on a listener without TLS, where tokens can be read on the way"), "{told}");
}

#[test]
fn what_would_let_others_in_is_refused() {
    for (entry, text) in [
        ("audience: [a], jwks_file: f", "`tokens[0].issuer` is missing: write the `iss` of its tokens, exactly"),
        ("issuer: i, jwks_file: f", "`tokens[0].audience` is missing: write whom its tokens are for"),
        ("issuer: i, audience: [], jwks_file: f", "`tokens[0].audience` is empty"),
        ("issuer: i, audience: a, jwks_file: f", "`tokens[0].audience` must be a list"),
        ("issuer: i, audience: [a]", "`tokens[0]` needs exactly one of `jwks_url` and `jwks_file`"),
        (
            "issuer: i, audience: [a], jwks_file: f, jwks_url: \"https://i\"",
            "`tokens[0]` needs exactly one of `jwks_url` and `jwks_file`",
        ),
        ("issuer: i, audience: [a], jwks_url: \"http://idp/certs\"", "`tokens[0].jwks_url` must begin with `https://`"),
        (
            "issuer: i, audience: [a], jwks_url: \"https://u:hunter2@idp/certs\"",
            "`tokens[0].jwks_url` must not hold a user or a password",
        ),
        (
            "issuer: i, audience: [a], jwks_url: \"https://i\", jwks_refresh: 2h, jwks_max_age: 1h",
            "`tokens[0].jwks_max_age` is shorter than `tokens[0].jwks_refresh`",
        ),
        (
            "issuer: i, audience: [a], jwks_url: \"https://i\", jwks_refresh: 500ms",
            "`tokens[0].jwks_refresh` is `500ms`, but must be at least 1000ms",
        ),
        (
            "issuer: i, audience: [a], jwks_file: f, jwks_max_age: 1h",
            "`tokens[0].jwks_max_age` goes with `jwks_url` only: remove it",
        ),
        ("issuer: i, audience: [a], jwks_file: f, ca: system", "`tokens[0].ca` goes with `jwks_url` only: remove it"),
        (
            "issuer: i, audience: [a], jwks_url: \"http://127.0.0.1/certs\", ca: a.pem",
            "`tokens[0].ca` goes with `https://` only: remove it",
        ),
        ("issuer: i, audience: [a], jwks_file: f, algorithms: []", "`tokens[0].algorithms` is empty"),
        (
            "issuer: i, audience: [a], jwks_file: f, algorithms: [none]",
            "`tokens[0].algorithms[0]: none` is never taken",
        ),
        (
            "issuer: i, audience: [a], jwks_file: f, algorithms: [RS256, HS512]",
            "`tokens[0].algorithms[1]: HS512` is never taken",
        ),
        ("issuer: i, audience: [a], jwks_file: f, algorithms: [RS25]", "did you mean `RS256`?"),
        ("issuer: i, audience: [a], jwks_file: f, clock_skew: 11m", "`tokens[0].clock_skew` must be at most 10m"),
        ("issuer: i, audience: [a], jwks_file: f, groups_claim: a..b", "`tokens[0].groups_claim` is `a..b`"),
    ] {
        let told = fault(&[("#root", &format!("tokens: [{{ {entry} }}]"))]);
        assert!(told.contains(text), "{entry}: {told}");
        assert!(!told.contains("hunter2"), "{told}");
    }
    let one = "{ issuer: i, audience: [a], jwks_file: f }";
    let told = fault(&[("#root", &format!("tokens: [{one}, {one}]"))]);
    assert!(told.contains("`tokens[1].issuer` is `i`, as an earlier entry's: write one entry"), "{told}");
}

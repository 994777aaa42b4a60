//! `identity: pass_through`.

use super::*;

const PASSES: &str = "identity: pass_through, sasl: { mechanisms: [SCRAM-SHA-512, SCRAM-SHA-256] } }";

#[test]
fn a_listener_that_passes_logins_on_needs_no_users() {
    let config = well(&[(FIXED, PASSES)]);
    let Identity::PassThrough(sasl) = &config.listeners[0].identity else { panic!("another identity") };
    assert_eq!(sasl.mechanisms, [Mechanism::SCRAM_SHA_512, Mechanism::SCRAM_SHA_256]);
    assert_eq!(config.listeners[0].max_session, Some(Duration::from_secs(3600)));
}

#[test]
fn threat_07_that_the_audit_holds_only_for_what_comes_through_is_told_at_load() {
    let none = ("policy.yaml }", "policy.yaml, protocol_acls: disabled }");
    // Nothing but the proxy's own traffic has that login.
    let own = ("#cluster", ", sasl: { mechanism: PLAIN, username: u, password: { env: A } }");
    let warnings = well(&[none, own, (FIXED, PASSES)]).warnings();
    let [warning] = &warnings[..] else { panic!("{warnings:?}") };
    assert!(warning.starts_with("listener `a` passes logins on to the brokers, "), "{warning}");
    assert!(warning.contains("the audit hold only for what comes through the proxy"), "{warning}");
}

#[test]
fn certificates_cannot_be_passed_on_and_it_is_said_why() {
    for auth in ["requested", "required"] {
        let tls = format!("tls: {{ certificate: c, key: k, client_auth: {auth}, client_ca: a }},");
        let told = fault(&[("#listener", &tls), (FIXED, PASSES)]);
        assert!(told.contains("TLS ends at the proxy, so that no broker sees a client's certificate"), "{told}");
    }
    well(&[("#listener", "tls: { certificate: c, key: k },"), (FIXED, PASSES)]);
}

#[test]
fn passwords_go_on_over_tls_only() {
    let plain = (FIXED, "identity: pass_through, sasl: { mechanisms: [PLAIN] } }");
    let (listener, cluster) =
        (("#listener", "tls: { certificate: c, key: k },"), ("#cluster", ", tls: { ca: system }"));
    well(&[plain, listener, cluster]);
    let told = fault(&[plain, listener]);
    assert!(told.contains("passes PLAIN on to brokers without TLS, where passwords can be read on the way"), "{told}");
    let told = fault(&[plain, cluster]);
    assert!(told.contains("is PLAIN on a listener without TLS"), "{told}");
    well(&[(FIXED, "identity: pass_through, sasl: { mechanisms: [PLAIN], without_tls: true } }")]);
    let bearer = (FIXED, "identity: pass_through, sasl: { mechanisms: [OAUTHBEARER] } }");
    let tokens = ("#root", "tokens: [{ issuer: i, audience: [a], jwks_file: k }]");
    well(&[bearer, listener, cluster, tokens]);
    let told = fault(&[bearer, listener, tokens]);
    assert!(told.contains("passes OAUTHBEARER on to brokers without TLS, where tokens can be read"), "{told}");
}

#[test]
fn a_login_of_the_proxy_does_not_go_with_that_of_the_client() {
    let sasl = "upstream: { sasl: { mechanism: PLAIN, username: u, password: { env: A } } },";
    let told = fault(&[("#listener", sasl), (FIXED, PASSES)]);
    assert!(told.contains("`listeners[0].upstream.sasl` does not go with `identity: pass_through`"), "{told}");
    well(&[("#cluster", ", tls: { ca: a }"), ("#listener", "upstream: { tls: { ca: b } },"), (FIXED, PASSES)]);
}

#[test]
fn what_belongs_to_other_identities_is_refused() {
    for (keys, text) in [
        ("identity: pass_through }", "`listeners[0].sasl` is missing"),
        (
            "identity: pass_through, principal: \"User:a\", sasl: { mechanisms: [SCRAM-SHA-512] } }",
            "goes with `identity: fixed` only",
        ),
        (
            "identity: pass_through, sasl: { mechanisms: [OAUTHBEARER], without_tls: true } }",
            "`tokens` is missing: listener `a` takes tokens",
        ),
    ] {
        let told = fault(&[(FIXED, keys)]);
        assert!(told.contains(text), "{told}");
    }
}

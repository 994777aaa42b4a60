use super::mint::{Signer, base64, jwks};
use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::LazyLock;

const IDP: &str = "https://idp.example.com/";
/// Now, in seconds.
const NOW: i64 = 1_800_000_000;

static RSA: LazyLock<Signer> = LazyLock::new(|| Signer::new("rsa", "RS256"));
static EC: LazyLock<Signer> = LazyLock::new(|| Signer::new("ec", "ES256"));

fn issuer(change: impl FnOnce(&mut Issuer)) -> Issuer {
    let mut issuer = Issuer {
        name: IDP.into(),
        audience: vec!["kafka".to_owned(), "other".to_owned()],
        algorithms: vec![TokenAlgorithm::Rs256, TokenAlgorithm::Es256],
        principal_claim: "sub".to_owned(),
        groups_claim: "groups".to_owned(),
        merge_groups: false,
        clock_skew: Duration::from_secs(30),
    };
    change(&mut issuer);
    issuer
}

fn tokens_of(issuer: Issuer, set: &str) -> Tokens {
    Tokens::new(vec![issuer]).with_keys(0, Some(Arc::new(KeySet::parse(set.as_bytes()).unwrap())))
}

fn tokens() -> Tokens {
    tokens_of(issuer(|_| {}), &jwks(&[&RSA, &EC]))
}

/// Claims that are taken, with these in their place.
fn claims(changes: &[(&str, Value)]) -> Value {
    let mut claims = json!({ "iss": IDP, "aud": "kafka", "sub": "alice", "exp": NOW + 60 });
    for (name, value) in changes {
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(*name)),
            value => claims[*name] = value.clone(),
        }
    }
    claims
}

fn at(seconds: i64) -> Timestamp {
    Timestamp(seconds * 1000)
}

fn refusal(tokens: &Tokens, token: &str) -> TokenError {
    match tokens.verify(token, at(NOW)).unwrap_err() {
        Unproved::Refused(error) | Unproved::Wants(_, error) => error,
    }
}

#[test]
fn a_good_token_proves_its_bearer_until_it_ends() {
    for signer in [&*RSA, &*EC] {
        let login = tokens().verify(&signer.token(&claims(&[])), at(NOW)).unwrap();
        assert_eq!(login.principal.get().as_str(), "User:alice");
        assert!(login.groups.is_empty() && !login.may_merge && login.credential.is_none());
        assert_eq!(login.expires, Some(at(NOW + 60)));
    }
}

#[test]
fn every_algorithm_that_may_be_named_is_served() {
    let mut rsa = Signer::new("k", "RS256");
    for (alg, algorithm) in TokenAlgorithm::WORDS {
        let other;
        let signer = if alg.starts_with(['R', 'P']) {
            rsa = rsa.signing(alg);
            &rsa
        } else {
            other = Signer::new("k", alg);
            &other
        };
        let only = tokens_of(issuer(|issuer| issuer.algorithms = vec![algorithm]), &jwks(&[signer]));
        assert!(only.verify(&signer.token(&claims(&[])), at(NOW)).is_ok(), "{alg}");
    }
}

#[test]
fn what_a_token_must_say_is_demanded() {
    let tokens = tokens();
    let refused = |changes: &[(&str, Value)]| refusal(&tokens, &RSA.token(&claims(changes)));
    let idp: Arc<str> = IDP.into();
    assert_eq!(refused(&[("iss", json!("https://idp.example.com"))]), TokenError::Issuer(IDP[..23].into()));
    assert!(matches!(refused(&[("iss", Value::Null)]), TokenError::Malformed(_)));
    assert!(matches!(refused(&[("iss", json!(["a"]))]), TokenError::Malformed(_)));
    for aud in [Value::Null, json!("kafk"), json!([]), json!(["a", "kafka "]), json!(1), json!({ "kafka": 1 })] {
        assert_eq!(refused(&[("aud", aud.clone())]), TokenError::Audience(Arc::clone(&idp)), "{aud}");
    }
    for exp in [Value::Null, json!("9999999999"), json!(true), json!(1e300), json!(-1.5)] {
        assert_eq!(refused(&[("exp", exp.clone())]), TokenError::Instant("exp"), "{exp}");
    }
    assert_eq!(refused(&[("nbf", json!("0"))]), TokenError::Instant("nbf"));
    for sub in [Value::Null, json!(7), json!(["alice"])] {
        assert_eq!(refused(&[("sub", sub.clone())]), TokenError::NoPrincipal("sub".into()), "{sub}");
    }
    for aud in [json!(["x", "other"]), json!("kafka")] {
        assert!(tokens.verify(&RSA.token(&claims(&[("aud", aud)])), at(NOW)).is_ok());
    }
}

#[test]
fn time_is_looked_at_with_the_skew_that_is_allowed() {
    let tokens = tokens();
    let ends = |exp: Value, now: i64| {
        tokens.verify(&EC.token(&claims(&[("exp", exp), ("nbf", json!(NOW))])), Timestamp(now)).map(|l| l.expires)
    };
    let now = NOW * 1000;
    assert_eq!(ends(json!(NOW + 1), now), Ok(Some(at(NOW + 1))));
    assert_eq!(ends(json!(1_800_000_001.5), now), Ok(Some(Timestamp(now + 1_500))), "a fraction");
    assert_eq!(ends(json!(NOW), now), Ok(Some(at(NOW + 30))), "by a clock that may be ahead");
    assert_eq!(ends(json!(NOW), now + 29_999), Ok(Some(at(NOW + 30))));
    assert_eq!(ends(json!(NOW), now + 30_000), Err(TokenError::Expired(at(NOW)).into()));
    assert_eq!(ends(json!(NOW + 99), now - 30_000), Ok(Some(at(NOW + 99))));
    assert_eq!(ends(json!(NOW + 99), now - 30_001), Err(TokenError::NotYet(at(NOW)).into()));
    assert_eq!(ends(json!(i64::MAX), now), Ok(Some(Timestamp(i64::MAX))));
    assert!(ends(json!(i64::MIN), now).is_err());
}

#[test]
fn threat_24_names_are_as_a_users_file_may_have_them_and_groups_are_all_or_nothing() {
    let tokens = tokens();
    let login = |changes: &[(&str, Value)]| tokens.verify(&EC.token(&claims(changes)), at(NOW));
    for bad in ["", "*", "User:root", "a\nb", "a\u{2028}b", "a\0b", &"x".repeat(256)] {
        let error = login(&[("sub", json!(bad))]).unwrap_err();
        assert!(matches!(error, Unproved::Refused(TokenError::NoUser(..))), "{bad:?}");
    }
    for bad in ["", "*", "Group:owners", "a\nb", &"x".repeat(256)] {
        let error = login(&[("groups", json!(["devs", bad]))]).unwrap_err();
        assert!(matches!(error, Unproved::Refused(TokenError::NoGroup(..))), "{bad:?}");
    }
    for bad in [json!(7), json!(["devs", 7]), json!({ "devs": true }), json!([["devs"]])] {
        let error = login(&[("groups", bad.clone())]).unwrap_err();
        assert_eq!(error, TokenError::NoGroups("groups".into()).into(), "{bad}");
    }
    let many: Vec<String> = (0..501).map(|n| format!("g{n}")).collect();
    assert_eq!(login(&[("groups", json!(many))]).unwrap_err(), TokenError::ManyGroups("groups".into(), 501).into());
    assert_eq!(login(&[("groups", json!(many[1..]))]).unwrap().groups.len(), 500);

    // As Microsoft Entra has it where there are too many.
    for away in [("_claim_names", json!({ "groups": "src1" })), ("hasgroups", json!(true))] {
        assert_eq!(login(&[away]).unwrap_err(), TokenError::GroupsElsewhere("groups".into()).into());
    }
    assert!(login(&[("_claim_names", json!({ "address": "src1" })), ("hasgroups", json!(false))]).is_ok());
    assert!(login(&[("hasgroups", json!(true)), ("groups", json!(["devs"]))]).is_ok());

    let groups = |value: Value| login(&[("groups", value)]).unwrap().groups.to_vec();
    assert_eq!(groups(json!(["owners", "devs", "owners"])), ["devs".into(), "owners".into()]);
    assert_eq!(groups(json!("a b")), ["a b".into()], "a text is one group");
    assert!(groups(json!([])).is_empty());
    let merging = tokens_of(issuer(|issuer| issuer.merge_groups = true), &jwks(&[&EC]));
    assert!(merging.verify(&EC.token(&claims(&[])), at(NOW)).unwrap().may_merge);
}

#[test]
fn dots_descend_and_a_claim_whose_name_holds_dots_is_found() {
    let nested = json!({ "access": { "roles": ["devs"] }, "a.b": { "c": "ops" } });
    let login = |principal: &str, groups: &str| {
        let issuer = issuer(|issuer| {
            issuer.principal_claim = principal.to_owned();
            issuer.groups_claim = groups.to_owned();
        });
        let claims = claims(&[("realm", nested.clone()), ("https://corp.example/name", json!("bob"))]);
        tokens_of(issuer, &jwks(&[&EC])).verify(&EC.token(&claims), at(NOW))
    };
    let found = login("https://corp.example/name", "realm.access.roles").unwrap();
    assert_eq!((found.principal.get().as_str(), found.groups.to_vec()), ("User:bob", vec!["devs".into()]));
    assert_eq!(login("sub", "realm.a.b.c").unwrap().groups.to_vec(), ["ops".into()]);
    assert!(login("sub", "realm.nothing.here").unwrap().groups.is_empty());
    let away = claims(&[("_claim_names", json!({ "realm": "src1" }))]);
    let elsewhere = tokens_of(issuer(|issuer| issuer.groups_claim = "realm.roles".to_owned()), &jwks(&[&EC]));
    assert_eq!(refusal(&elsewhere, &EC.token(&away)), TokenError::GroupsElsewhere("realm.roles".into()));
    assert!(login("sub", "sub.deeper").unwrap().groups.is_empty());
    assert_eq!(login("realm.access", "x").unwrap_err(), TokenError::NoPrincipal("realm.access".into()).into());
}

#[test]
fn what_is_not_signed_by_a_key_of_the_issuer_is_refused() {
    let tokens = tokens();
    let other = Signer::new("ec", "ES256");
    assert_eq!(refusal(&tokens, &other.token(&claims(&[]))), TokenError::Signature);
    let good = EC.token(&claims(&[]));
    let (message, signature) = good.rsplit_once('.').unwrap();
    let (header, _) = message.split_once('.').unwrap();
    let forged = base64(claims(&[("sub", json!("root"))]).to_string());
    assert_eq!(refusal(&tokens, &format!("{header}.{forged}.{signature}")), TokenError::Signature);
    for signature in ["", "AAAA", "!", &signature[1..], &format!("{signature}AA"), &base64([0; 64])] {
        assert_eq!(refusal(&tokens, &format!("{message}.{signature}")), TokenError::Signature, "{signature}");
    }
}

#[test]
fn the_algorithm_is_one_of_the_list_and_belongs_to_the_key() {
    let tokens = tokens();
    let with = |alg: &str, kid: &str| EC.token_with(&json!({ "alg": alg, "kid": kid }), &claims(&[]));
    for alg in ["none", "None", "HS256", "ES384", "RS512", "EdDSA", "ES256K", "", "es256"] {
        assert_eq!(refusal(&tokens, &with(alg, "ec")), TokenError::Algorithm(alg.into()));
    }
    // The key is there, but not for this: nobody is asked for it.
    let error = tokens.verify(&with("RS256", "ec"), at(NOW)).unwrap_err();
    assert!(matches!(error, Unproved::Refused(TokenError::UnknownKey { .. })), "{error:?}");
    // The public key as a secret, as it once fooled libraries.
    let hs = EC.token_with(&json!({ "alg": "HS256", "kid": "rsa" }), &claims(&[]));
    assert_eq!(refusal(&tokens, &hs), TokenError::Algorithm("HS256".into()));
    let none = format!("{}.{}.", base64(r#"{"alg":"none"}"#), base64(claims(&[]).to_string()));
    assert_eq!(refusal(&tokens, &none), TokenError::Algorithm("none".into()));
    // For PS256 alone, by its own word.
    let mut jwk = RSA.jwk();
    jwk["alg"] = json!("PS256");
    let tokens = tokens_of(issuer(|_| {}), &json!({ "keys": [jwk] }).to_string());
    let error = tokens.verify(&RSA.token(&claims(&[])), at(NOW)).unwrap_err();
    assert!(matches!(error, Unproved::Refused(TokenError::UnknownKey { .. })), "{error:?}");
}

#[test]
fn numbers_of_a_key_may_begin_with_zeros_as_some_issuers_write_them() {
    use ::base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
    let mut jwk = RSA.jwk();
    for member in ["n", "e"] {
        let number = BASE64_URL_SAFE_NO_PAD.decode(jwk[member].as_str().unwrap()).unwrap();
        jwk[member] = json!(base64([vec![0], number].concat()));
    }
    let tokens = tokens_of(issuer(|_| {}), &json!({ "keys": [jwk] }).to_string());
    assert!(tokens.verify(&RSA.token(&claims(&[])), at(NOW)).is_ok());
}

#[test]
fn headers_that_ask_for_more_are_refused_and_keys_in_them_are_not_looked_at() {
    let tokens = tokens();
    let with = |more: Value| {
        let mut header = json!({ "alg": "ES256", "kid": "ec" });
        header.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        EC.token_with(&header, &claims(&[]))
    };
    assert_eq!(refusal(&tokens, &with(json!({ "crit": ["exp"] }))), TokenError::Critical("crit"));
    assert_eq!(refusal(&tokens, &with(json!({ "crit": [] }))), TokenError::Critical("crit"));
    assert_eq!(refusal(&tokens, &with(json!({ "b64": false }))), TokenError::Critical("b64"));
    for typ in ["logout+jwt", "secevent+jwt", "dpop+jwt", "application/x"] {
        assert_eq!(refusal(&tokens, &with(json!({ "typ": typ }))), TokenError::Type(typ.into()));
    }
    for typ in ["JWT", "jwt", "at+jwt", "application/at+JWT"] {
        assert!(tokens.verify(&with(json!({ "typ": typ })), at(NOW)).is_ok(), "{typ}");
    }
    let evil = Signer::new("evil", "ES256");
    for more in [json!({ "jwk": evil.jwk() }), json!({ "jku": "https://evil.example.com" }), json!({ "x5u": "x" })] {
        let mut header = json!({ "alg": "ES256", "kid": "ec" });
        header.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        assert_eq!(refusal(&tokens, &evil.token_with(&header, &claims(&[]))), TokenError::Signature);
        assert!(tokens.verify(&with(more), at(NOW)).is_ok());
    }
}

#[test]
fn what_is_no_token_is_refused_in_words_that_hold_none_of_it() {
    let tokens = tokens();
    let (header, body) = (base64(r#"{"alg":"ES256"}"#), base64(claims(&[]).to_string()));
    let twice = base64(format!(r#"{{"iss":"{IDP}","iss":"x"}}"#));
    for bad in [
        "",
        ".",
        "..",
        "a.b",
        "hunter2.hunter2.hunter2",
        &format!("{header}.{body}"),
        &format!("{header}.{body}.a.b"),
        &format!("{header}.{body}=.a"),
        &format!("{header}.{twice}.a"),
        &format!("{}.{body}.a", base64("[]")),
        &format!("{}.{body}.a", base64(r#"{"alg":1}"#)),
        &format!("{}.{body}.a", base64(r#"["ES256","ec",null,null,null]"#)),
        &format!("{header}.{}.a", base64(format!(r#"["{IDP}"]"#))),
        &format!("{}.{body}.a", base64(r#"{"alg":"ES256","alg":"none"}"#)),
        &format!("{}.{body}.a", base64(r#"{"alg":"ES256","kid":7}"#)),
        &format!("{}.{body}.a", base64(json!({ "alg": "ES256", "kid": "x".repeat(513) }).to_string())),
        &format!("{header}.{}.a", base64("[".repeat(1000))),
    ] {
        let error = refusal(&tokens, bad);
        assert!(matches!(error, TokenError::Malformed(_)), "{bad}: {error}");
        assert!(!error.to_string().contains("hunter2"));
    }
    assert_eq!(refusal(&tokens, &"a".repeat(64 * 1024 + 1)), TokenError::TooLong(64 * 1024 + 1));
    let told = refusal(&tokens, &EC.token(&claims(&[("iss", json!("a\n\u{1b}".repeat(500)))]))).to_string();
    assert!(told.len() < 4096 && !told.contains(char::is_control), "{told}");
}

#[test]
fn a_key_that_is_not_there_is_wanted_by_name_and_all_of_them_where_there_are_none() {
    let tokens = tokens();
    let unknown = EC.token_with(&json!({ "alg": "ES256", "kid": "new" }), &claims(&[]));
    let Err(Unproved::Wants(wanted, error)) = tokens.verify(&unknown, at(NOW)) else { panic!("not wanted") };
    let named = |kid: &str| Wanted { issuer: 0, key: WantedKey::Named(kid.to_owned()) };
    assert_eq!(wanted, named("new"));
    assert_eq!(error.to_string(), format!("issuer `{IDP}` has no key `new` for `ES256`"));
    assert!(!tokens.has(&wanted) && tokens.has(&named("ec")));

    let any = Wanted { issuer: 0, key: WantedKey::Any };
    let none = Tokens::new(vec![issuer(|_| {})]);
    let good = EC.token(&claims(&[]));
    assert!(matches!(none.verify(&good, at(NOW)), Err(Unproved::Wants(w, TokenError::NoKeys(_))) if w == any));
    let some = none.with_keys(0, Some(Arc::new(KeySet::parse(jwks(&[&EC]).as_bytes()).unwrap())));
    assert!(some.verify(&good, at(NOW)).is_ok() && some.has(&any));
    let old = some.with_keys(0, None);
    assert!(matches!(old.verify(&good, at(NOW)), Err(Unproved::Wants(w, _)) if w == any));
    assert!(!old.has(&any));
}

#[test]
fn a_key_that_did_not_sign_what_names_it_may_have_changed_under_its_name() {
    let changed = Signer::new("ec", "ES256");
    let nameless = |signer: &Signer| signer.token_with(&json!({ "alg": "ES256" }), &claims(&[]));
    for (kid, token) in [(Some("ec"), changed.token(&claims(&[]))), (None, nameless(&changed))] {
        let tokens = tokens();
        let Err(Unproved::Wants(wanted, error)) = tokens.verify(&token, at(NOW)) else { panic!("not wanted") };
        assert_eq!(error, TokenError::Signature);
        assert!(matches!(&wanted.key, WantedKey::Other { kid: named, .. } if named.as_deref() == kid));
        assert!(!tokens.has(&wanted), "not by the keys that it was held against");
        assert!(!tokens.with_keys(0, None).has(&wanted));
        let anew = tokens.with_keys(0, Some(Arc::new(KeySet::parse(jwks(&[&RSA, &changed]).as_bytes()).unwrap())));
        assert!(anew.has(&wanted) && anew.verify(&token, at(NOW)).is_ok());
    }
}

#[test]
fn a_token_without_a_name_of_a_key_is_taken_where_only_one_fits() {
    let nameless = EC.token_with(&json!({ "alg": "ES256" }), &claims(&[]));
    assert!(tokens().verify(&nameless, at(NOW)).is_ok(), "the other is RSA");
    let another = Signer::new("ec2", "ES256");
    let two = tokens_of(issuer(|_| {}), &jwks(&[&EC, &another]));
    assert_eq!(refusal(&two, &nameless), TokenError::NoKid(IDP.into()));
    let none = tokens_of(issuer(|_| {}), &jwks(&[&RSA]));
    assert_eq!(refusal(&none, &nameless), TokenError::NoKid(IDP.into()));
    // Two of one name, as some issuers have while they rotate: either.
    let twin = Signer::new("ec", "ES256");
    let twins = tokens_of(issuer(|_| {}), &jwks(&[&EC, &twin]));
    assert!(twins.verify(&EC.token(&claims(&[])), at(NOW)).is_ok());
    assert!(twins.verify(&twin.token(&claims(&[])), at(NOW)).is_ok());
}

#[test]
fn the_issuer_chooses_keys_and_rules() {
    let second = Signer::new("ec", "ES256");
    let other = issuer(|issuer| {
        issuer.name = "https://other".into();
        issuer.audience = vec!["elsewhere".to_owned()];
    });
    let set = |signer: &Signer| Arc::new(KeySet::parse(jwks(&[signer]).as_bytes()).unwrap());
    let both = Tokens::new(vec![issuer(|_| {}), other]).with_keys(0, Some(set(&EC))).with_keys(1, Some(set(&second)));
    let of_other = claims(&[("iss", json!("https://other")), ("aud", json!("elsewhere"))]);
    assert!(both.verify(&second.token(&of_other), at(NOW)).is_ok());
    assert_eq!(refusal(&both, &EC.token(&of_other)), TokenError::Signature, "by a key of the first");
    assert_eq!(refusal(&both, &second.token(&claims(&[]))), TokenError::Signature);
    let aud = refusal(&both, &second.token(&claims(&[("iss", json!("https://other"))])));
    assert_eq!(aud, TokenError::Audience("https://other".into()));
}

#[test]
fn keys_that_cannot_be_used_are_left_out_and_a_set_needs_one() {
    let parse = |keys: Value| KeySet::parse(json!({ "keys": keys }).to_string().as_bytes());
    let changed = |signer: &Signer, member: &str, value: Value| {
        let mut jwk = signer.jwk();
        match value {
            Value::Null => drop(jwk.as_object_mut().unwrap().remove(member)),
            value => jwk[member] = value,
        }
        jwk
    };
    let bad = [
        (changed(&EC, "use", json!("enc")), "is not for signatures (`use`)"),
        (changed(&EC, "key_ops", json!(["sign"])), "is not for signatures (`key_ops`)"),
        (changed(&EC, "kid", json!(7)), "has a `kid` that is no text"),
        (changed(&EC, "alg", json!("ECDH-ES")), "is for an algorithm that is not served"),
        (changed(&EC, "alg", json!("RS256")), "is of another kind than its `alg`"),
        (changed(&EC, "alg", json!("ES384")), "is of another kind than its `alg`"),
        (changed(&EC, "crv", json!("P-521")), "is of a curve that is not served"),
        (changed(&EC, "crv", json!("P-384")), "is no point of its curve"),
        (changed(&EC, "x", json!("!")), "has a number that is missing, or not base64url"),
        (changed(&EC, "y", Value::Null), "has a number that is missing, or not base64url"),
        (changed(&RSA, "n", json!(base64([1; 128]))), "is RSA of less than 2048 or more than 8192 bits"),
        (changed(&RSA, "n", json!(base64([255; 1025]))), "is RSA of less than 2048 or more than 8192 bits"),
        (
            changed(&RSA, "e", json!(base64([1]))),
            "is RSA with an exponent that is not odd, or not from 3 to 4294967295",
        ),
        (
            changed(&RSA, "e", json!(base64([4]))),
            "is RSA with an exponent that is not odd, or not from 3 to 4294967295",
        ),
        (
            changed(&RSA, "e", json!(base64([1; 9]))),
            "is RSA with an exponent that is not odd, or not from 3 to 4294967295",
        ),
        (json!({ "kty": "oct", "k": "aHVudGVyMg", "kid": "s" }), "is symmetric"),
        (json!({ "kid": "s" }), "is of a kind that is not served (`kty`)"),
    ];
    for (jwk, why) in bad {
        assert_eq!(parse(json!([jwk])).unwrap_err(), KeySetError::NoKey(vec![format!("key 1 {why}")]));
        let both = parse(json!([jwk, RSA.jwk()])).unwrap();
        assert_eq!((both.len(), both.skipped()), (1, &[format!("key 1 {why}")][..]));
    }
    for bad in ["", "[]", "{}", r#"{"keys":{}}"#, r#"{"keys":[7]}"#, "keys"] {
        assert_eq!(KeySet::parse(bad.as_bytes()).unwrap_err(), KeySetError::NoSet, "{bad}");
    }
    assert_eq!(parse(json!([])).unwrap_err().to_string(), "it holds no key that can be used");
    assert_eq!(parse(json!([changed(&EC, "d", json!("AA"))])).unwrap_err(), KeySetError::Private);
    assert_eq!(parse(json!(vec![RSA.jwk(); 501])).unwrap_err(), KeySetError::Many(501));
    assert_eq!(KeySet::parse(&vec![b' '; MOST_BYTES + 1]).unwrap_err(), KeySetError::TooLarge(MOST_BYTES + 1));
}

proptest! {
    #[test]
    fn a_token_that_was_changed_anywhere_is_not_taken(at_byte in any::<prop::sample::Index>(), to in "[-_.A-Za-z0-9]") {
        static GOOD: LazyLock<String> = LazyLock::new(|| EC.token(&claims(&[])));
        let mut changed = GOOD.clone();
        let place = at_byte.index(changed.len());
        changed.replace_range(place..=place, &to);
        prop_assume!(changed != *GOOD);
        // The last character of a signature has bits that mean nothing, and is refused where they are set.
        prop_assert!(tokens().verify(&changed, at(NOW)).is_err());
    }
}

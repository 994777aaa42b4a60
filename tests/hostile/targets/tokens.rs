//! Tokens, and sets of keys: what a stranger sends, and what an issuer gives.

use crate::allocator::within;
use crate::input::{Input, damage};
use crate::mint::{Signer, base64, jwks};
use kordon::identity::tokens::{Issuer, KeySet, Tokens};
use kordon::model::{Timestamp, TokenAlgorithm};
use serde_json::json;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

/// What a document may take besides what it holds: words of an error, tables of a curve.
const FLAT: usize = 64 * 1024;
/// A list of zeros takes sixteen times as much as values as it does as text.
const PER_BYTE: usize = 128;

static SIGNER: LazyLock<Signer> = LazyLock::new(|| Signer::new("k1", "ES256"));
static TOKENS: LazyLock<Tokens> = LazyLock::new(|| {
    let issuer = Issuer {
        name: "https://idp".into(),
        audience: vec!["kafka".to_owned()],
        algorithms: TokenAlgorithm::WORDS.map(|(_, algorithm)| algorithm).to_vec(),
        principal_claim: "a.b".to_owned(),
        groups_claim: "groups".to_owned(),
        merge_groups: false,
        clock_skew: Duration::from_secs(30),
    };
    let keys = KeySet::parse(jwks(&[&SIGNER]).as_bytes()).expect("a set");
    Tokens::new(vec![issuer]).with_keys(0, Some(Arc::new(keys)))
});

/// Text made of these words, damaged, or the rest of the input itself.
fn text(input: &mut Input<'_>, words: &[&str]) -> String {
    let most = input.below(3);
    let count = input.below(24);
    let mut text: Vec<u8> = (0..count).flat_map(|_| words[input.below(words.len())].bytes()).collect();
    damage(&mut text, input, most);
    String::from_utf8_lossy(&text).into_owned()
}

/// A token of any header and any claims, some of them signed: what comes of the claims is reached only so.
pub(super) fn token(data: &[u8]) {
    LazyLock::force(&TOKENS);
    let mut input = Input(data);
    let token = match input.below(4) {
        0 => String::from_utf8_lossy(input.rest()).into_owned(),
        1 => {
            let (header, claims) = (text(&mut input, HEADER), text(&mut input, CLAIMS));
            format!("{}.{}.{}", base64(header), base64(claims), base64(input.rest()))
        }
        _ => {
            let claims = format!("{{\"iss\":\"https://idp\",\"aud\":\"kafka\"{}}}", text(&mut input, CLAIMS));
            let claims = serde_json::from_str(&claims).unwrap_or_else(|_| json!({ "iss": "https://idp" }));
            SIGNER.token(&claims)
        }
    };
    let login = within(FLAT, PER_BYTE, token.len(), || TOKENS.verify(&token, Timestamp(100_000)));
    match login {
        Ok(login) => {
            let name = login.principal.get().name();
            assert!(
                !name.is_empty() && name != "*" && name.len() <= 255 && !name.contains(char::is_control),
                "{name:?}"
            );
            assert!(login.groups.len() <= 500 && login.groups.is_sorted());
            assert!(login.expires.is_some_and(|end| end > Timestamp(100_000)), "{:?}", login.expires);
        }
        Err(error) => {
            let words = format!("{error:?}");
            assert!(!words.is_empty() && words.len() < 16 * 1024, "{words}");
        }
    }
}

pub(super) fn keys(data: &[u8]) {
    LazyLock::force(&TOKENS);
    let mut input = Input(data);
    let set = match input.below(3) {
        0 => input.rest().to_vec(),
        1 => {
            let mut set = jwks(&[&SIGNER, &SIGNER]).into_bytes();
            let most = 1 + input.below(4);
            damage(&mut set, &mut input, most);
            set
        }
        _ => format!("{{\"keys\":[{{{}}}]}}", text(&mut input, KEY)).into_bytes(),
    };
    match within(FLAT, PER_BYTE, set.len(), || KeySet::parse(&set)) {
        Ok(keys) => {
            assert!(!keys.is_empty() && keys.len() + keys.skipped().len() <= 500);
            // Whatever they are, a check by them neither panics nor passes what the keys have not signed.
            let held = TOKENS.with_keys(0, Some(Arc::new(keys)));
            let token =
                SIGNER.token(&json!({ "iss": "https://idp", "aud": "kafka", "exp": 900, "a": { "b": "alice" } }));
            let _ = held.verify(&token, Timestamp(0));
            let (message, _) = token.rsplit_once('.').expect("three parts");
            assert!(held.verify(&format!("{message}.{}", base64([7; 64])), Timestamp(0)).is_err());
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

const HEADER: &[&str] = &[
    "{",
    "}",
    ",",
    "\"alg\":\"ES256\"",
    "\"alg\":\"none\"",
    "\"alg\":\"RS256\"",
    "\"kid\":\"k1\"",
    "\"kid\":null",
    "\"typ\":\"JWT\"",
    "\"typ\":\"at+jwt\"",
    "\"crit\":[\"exp\"]",
    "\"b64\":false",
    "\"jku\":\"https://x\"",
];
const CLAIMS: &[&str] = &[
    ",\"exp\":900",
    ",\"exp\":100",
    ",\"exp\":1e400",
    ",\"exp\":-1",
    ",\"exp\":\"900\"",
    ",\"exp\":900.75",
    ",\"nbf\":200",
    ",\"nbf\":null",
    ",\"a\":{\"b\":\"alice\"}",
    ",\"a.b\":\"*\"",
    ",\"a\":[]",
    ",\"a.b\":\"bob\"",
    ",\"groups\":[]",
    ",\"groups\":\"devs\"",
    ",\"groups\":[\"devs\",\"ops\",\"devs\"]",
    ",\"groups\":[7]",
    ",\"groups\":[\"\\u0000\"]",
    ",\"groups\":null",
    ",\"aud\":[]",
    ",\"iss\":\"https://idp\"",
    "{",
    "}",
    "[",
    "]",
    "\"",
];
const KEY: &[&str] = &[
    "\"kty\":\"EC\",",
    "\"kty\":\"RSA\",",
    "\"kty\":\"OKP\",",
    "\"kty\":\"oct\",",
    "\"crv\":\"P-256\",",
    "\"crv\":\"P-384\",",
    "\"crv\":\"Ed25519\",",
    "\"x\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\",",
    "\"y\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\",",
    "\"x\":\"\",",
    "\"n\":\"AA\",",
    "\"e\":\"AQAB\",",
    "\"use\":\"sig\",",
    "\"alg\":\"ES256\",",
    "\"kid\":\"k1\",",
    "\"kid\":7,",
    "\"k\":\"AA\",",
    "\"d\":\"AA\",",
    "\"z\":0",
];

use super::super::{Exchange, Turn};
use super::*;
use crate::identity::sasl::Against;
use crate::identity::tokens::Tokens;
use crate::identity::users::User;
use crate::model::{Mechanism, PasswordMechanism, Principal};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest as _, Sha256, Sha512};
use std::sync::LazyLock;

const NONCE: &str = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
const MECHANISMS: [PasswordMechanism; 2] = [PasswordMechanism::ScramSha256, PasswordMechanism::ScramSha512];

fn sign(hash: Hash, key: &[u8], text: &[u8]) -> Vec<u8> {
    fn of<M: Mac + KeyInit>(key: &[u8], text: &[u8]) -> Vec<u8> {
        let mut mac = <M as KeyInit>::new_from_slice(key).unwrap();
        mac.update(text);
        mac.finalize().into_bytes().to_vec()
    }
    match hash {
        Hash::Sha256 => of::<Hmac<Sha256>>(key, text),
        Hash::Sha512 => of::<Hmac<Sha512>>(key, text),
    }
}

/// The client's side, written from the RFC.
fn last(hash: Hash, password: &str, first: &str, challenge: &str) -> String {
    let field = |mark: &str| challenge.split(',').find_map(|f| f.strip_prefix(mark)).unwrap();
    let (salt, iterations) = (BASE64_STANDARD.decode(field("s=")).unwrap(), field("i=").parse().unwrap());
    let salted = match hash {
        Hash::Sha256 => pbkdf2::pbkdf2_hmac_array::<Sha256, 32>(password.as_bytes(), &salt, iterations).to_vec(),
        Hash::Sha512 => pbkdf2::pbkdf2_hmac_array::<Sha512, 64>(password.as_bytes(), &salt, iterations).to_vec(),
    };
    let bare = first.splitn(3, ',').nth(2).unwrap();
    let header = &first[..first.len() - bare.len()];
    let without_proof = format!("c={},r={}", BASE64_STANDARD.encode(header), field("r="));
    let client_key = sign(hash, &salted, b"Client Key");
    let stored = match hash {
        Hash::Sha256 => Sha256::digest(&client_key).to_vec(),
        Hash::Sha512 => Sha512::digest(&client_key).to_vec(),
    };
    let signature = sign(hash, &stored, format!("{bare},{challenge},{without_proof}").as_bytes());
    let proof: Vec<u8> = client_key.iter().zip(&signature).map(|(a, b)| a ^ b).collect();
    format!("{without_proof},p={}", BASE64_STANDARD.encode(proof))
}

fn hash(mechanism: PasswordMechanism) -> Hash {
    if mechanism == PasswordMechanism::ScramSha512 { Hash::Sha512 } else { Hash::Sha256 }
}

fn users() -> Users {
    let user = |name: &str, password: &str| User::with_password(name, password, b"a-salt-of-a-user", 4096);
    Users::new(vec![user("alice", "secret"), user("bob", "other"), user("a=b,c", "secret")])
}

fn against<'a>(users: &'a Users, nonce: &'a str) -> Against<'a> {
    static NOBODY: LazyLock<Tokens> = LazyLock::new(Tokens::default);
    Against { users, tokens: &NOBODY, asked: false, nonce, now: Timestamp(0) }
}

fn challenge(exchange: &mut Exchange, first: &str, users: &Users) -> Result<String, LoginError> {
    match exchange.take(first.as_bytes(), &against(users, NONCE))? {
        Turn::Challenge(bytes) => Ok(String::from_utf8(bytes).unwrap()),
        Turn::Proved { .. } | Turn::Wants(_) => panic!("no challenge"),
    }
}

/// A whole login; `change` may change the last message, `later` are the users when it comes.
fn log_in(
    mechanism: PasswordMechanism,
    first: &str,
    password: &str,
    later: &Users,
    change: impl Fn(String) -> String,
) -> Result<Login, LoginError> {
    let mut exchange = Exchange::new(mechanism.into());
    let challenge = challenge(&mut exchange, first, &users())?;
    let last = change(last(hash(mechanism), password, first, &challenge));
    match exchange.take(last.as_bytes(), &against(later, NONCE))? {
        Turn::Proved { login, last } => {
            assert!(last.starts_with(b"v="));
            Ok(login)
        }
        Turn::Challenge(_) | Turn::Wants(_) => panic!("a third step"),
    }
}

#[test]
fn the_example_of_rfc_7677_is_spoken() {
    let salt = BASE64_STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
    let users = Users::new(vec![User::with_password("user", "pencil", &salt, 4096)]);
    let mut exchange = Exchange::new(Mechanism::SCRAM_SHA_256);
    let told = challenge(&mut exchange, "n,,n=user,r=rOprNGfwEbeRWgbNEkqO", &users).unwrap();
    assert_eq!(told, format!("r=rOprNGfwEbeRWgbNEkqO{NONCE},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"));
    let last = format!("c=biws,r=rOprNGfwEbeRWgbNEkqO{NONCE},p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
    let Turn::Proved { login, last } = exchange.take(last.as_bytes(), &against(&users, "")).unwrap() else {
        panic!("not proved");
    };
    assert_eq!(login.principal.get(), &Principal::user("user"));
    assert_eq!(last, b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
}

#[test]
fn the_right_password_proves_the_user_and_no_other_does() {
    for mechanism in MECHANISMS {
        let log_in = |first: &str, password: &str| {
            log_in(mechanism, first, password, &users(), |last| last).map(|login| login.principal.get().to_string())
        };
        assert_eq!(log_in("n,,n=alice,r=x", "secret"), Ok("User:alice".into()));
        assert_eq!(log_in("n,a=alice,n=alice,r=x", "secret"), Ok("User:alice".into()));
        assert_eq!(log_in("n,,n=a=3Db=2Cc,r=x", "secret"), Ok("User:a=b,c".into()));
        for (first, password) in [
            ("n,,n=alice,r=x", "Secret"),
            ("n,,n=alice,r=x", ""),
            ("n,,n=alice,r=x", "other"),
            ("n,,n=bob,r=x", "secret"),
            ("n,,n=nobody,r=x", "secret"),
            ("n,,n=Alice,r=x", "secret"),
            // Who cannot log in learns nothing of whom it may act as.
            ("n,a=bob,n=alice,r=x", "other"),
            ("n,a=bob,n=nobody,r=x", "other"),
        ] {
            assert_eq!(log_in(first, password), Err(LoginError::PeerSentWrongProof), "{first} {password}");
        }
        assert_eq!(log_in("n,a=bob,n=alice,r=x", "secret"), Err(LoginError::PeerSentOtherAuthorizationId));
    }
}

#[test]
fn a_name_that_nobody_has_is_challenged_like_one_that_somebody_has() {
    let mut salts = std::collections::BTreeSet::new();
    for mechanism in MECHANISMS {
        let told = |name: &str| {
            let first = format!("n,,n={name},r=x");
            let told = challenge(&mut Exchange::new(mechanism.into()), &first, &users()).unwrap();
            let [nonce, salt, iterations] = told.split(',').collect::<Vec<_>>().try_into().unwrap();
            (nonce.to_owned(), salt.to_owned(), iterations.to_owned())
        };
        let (alice, nobody) = (told("alice"), told("nobody"));
        assert_eq!((&alice.0, &alice.2, alice.1.len()), (&nobody.0, &nobody.2, nobody.1.len()));
        assert_eq!(nobody, told("nobody"), "each time the same");
        salts.extend([told("alice").1, nobody.1, told("nobody2").1]);
    }
    assert_eq!(salts.len(), 3, "one for each name, a user's or not, whatever the mechanism: {salts:?}");
}

#[test]
fn an_unknown_name_cannot_be_proved_with_the_keys_that_stand_in() {
    let users = Users::new(Vec::new());
    for mechanism in MECHANISMS {
        let mut exchange = Exchange::new(mechanism.into());
        let first = "n,,n=nobody,r=x";
        let told = challenge(&mut exchange, first, &users).unwrap();
        let last = last(hash(mechanism), "", first, &told);
        let error = exchange.take(last.as_bytes(), &against(&users, NONCE)).err();
        assert_eq!(error, Some(LoginError::PeerSentWrongProof));
    }
}

#[test]
fn who_is_disabled_or_expired_or_has_another_password_by_the_end_is_not_let_in() {
    let with = |change: &dyn Fn(&mut User)| {
        let mut users = users();
        let mut alice = users.get("alice").unwrap().clone();
        change(&mut alice);
        users.put(alice);
        users
    };
    let gone = {
        let mut users = users();
        users.remove("alice");
        users
    };
    let changed: [Users; 5] = [
        with(&|alice| alice.disabled = true),
        with(&|alice| alice.expires = Some(Timestamp(0))),
        with(&|alice| alice.set_password("secret", b"another salt....", 4096)),
        with(&|alice| (alice.sha256, alice.sha512) = (None, None)),
        gone,
    ];
    for mechanism in MECHANISMS {
        let log_in = |users: &Users| log_in(mechanism, "n,,n=alice,r=x", "secret", users, |last| last);
        assert!(log_in(&users()).is_ok());
        for users in &changed {
            assert_eq!(log_in(users), Err(LoginError::PeerSentWrongProof));
        }
    }
}

fn long_nonce(bytes: usize) -> String {
    format!("n,,n=alice,r={}", "x".repeat(bytes))
}

#[test]
fn threat_32_extensions_channel_binding_and_malformed_messages_are_refused() {
    let first = |text: &str| challenge(&mut Exchange::new(Mechanism::SCRAM_SHA_512), text, &users()).err();
    for text in [
        "",
        "n",
        "n,",
        "n,,",
        "n,,n=alice",
        "n,,r=x,n=alice",
        "n,,n=,r=x",
        "n,,n=alice,r=",
        "n,,n=alice,r=a b",
        "n,,n=alice,r=\u{7f}",
        "n,,n=alice,r=x,tokenauth=true",
        "n,,n=alice,r=x,a=b",
        &long_nonce(LONGEST_NONCE + 1),
        "n,,m=x,n=alice,r=x",
        "n,,n=a=b,r=x",
        "n,,n=a=2c,r=x",
        "n,,n=a=,r=x",
        "n,,n=a\0,r=x",
        "n,a=,n=alice,r=x",
        "n,b=alice,n=alice,r=x",
        "y,,n=alice,r=x",
        "p=tls-unique,,n=alice,r=x",
        "\0alice\0secret",
    ] {
        assert_eq!(first(text), Some(CLIENT_FIRST), "{text:?}");
    }
    assert_eq!(first(&long_nonce(LONGEST_NONCE)), None);
    let mut exchange = Exchange::new(Mechanism::SCRAM_SHA_512);
    assert_eq!(exchange.take(b"n,,n=\xff,r=x", &against(&users(), NONCE)).err(), Some(CLIENT_FIRST));

    let last = |change: &dyn Fn(String) -> String| {
        log_in(PasswordMechanism::ScramSha512, "n,,n=alice,r=x", "secret", &users(), change).unwrap_err()
    };
    for (from, to) in [(",p=", ",q="), ("c=", "d="), ("c=biws,", ""), (",p=", ",p=!")] {
        assert_eq!(last(&|text| text.replacen(from, to, 1)), CLIENT_FINAL, "{from} {to}");
    }
    let other = LoginError::PeerSentScram("the last message does not belong to the first");
    for (from, to) in [("c=biws", "c=eSws"), ("c=biws", "c="), ("r=x", "r=y"), (",p=", ",a=b,p="), ("r=x", "a=b,r=x")] {
        assert_eq!(last(&|text| text.replacen(from, to, 1)), other, "{from} {to}");
    }
    assert_eq!(last(&|text| text.split(",p=").next().unwrap().to_owned() + ",p="), LoginError::PeerSentWrongProof);
    assert_eq!(last(&|text| text[..text.len() - 8].to_owned()), LoginError::PeerSentWrongProof);
}

#[test]
fn an_exchange_that_is_over_takes_no_further_message() {
    for first in ["n,,n=alice,r=x", "no message"] {
        let mut exchange = Exchange::new(Mechanism::SCRAM_SHA_256);
        let _ = challenge(&mut exchange, first, &users());
        let _ = exchange.take(b"c=biws,r=x,p=", &against(&users(), NONCE));
        let again = exchange.take(first.as_bytes(), &against(&users(), NONCE)).err();
        assert_eq!(again, Some(LoginError::PeerSentMore));
    }
}

#[test]
fn every_failure_is_told_in_the_words_of_kafka() {
    let mechanism = PasswordMechanism::ScramSha512;
    let text =
        "Authentication failed during authentication due to invalid credentials with SASL mechanism SCRAM-SHA-512";
    for error in [CLIENT_FIRST, CLIENT_FINAL, LoginError::PeerSentWrongProof] {
        assert_eq!(error.told(mechanism.into(), false), text);
    }
    assert!(LoginError::PeerSentWrongProof.told(Mechanism::SCRAM_SHA_256, true).contains("during re-authentication "));
}

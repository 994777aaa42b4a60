use super::*;
use crate::config::{Authorities, SecretSource, WebAddress};
use serde_json::json;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

const SECRET: &str = "hunter2 &c";

fn jwt(claims: &Value) -> String {
    format!("e30.{}.c2ln", BASE64_URL_SAFE_NO_PAD.encode(claims.to_string()))
}

#[test]
fn what_can_stand_behind_bearer_is_a_token_and_is_not_shown() {
    let token = Token::parse("abc.DEF-_~+/09==").unwrap();
    assert_eq!(token.message(), b"n,,\x01auth=Bearer abc.DEF-_~+/09==\x01\x01");
    assert!(!format!("{token:?}").contains("abc"));
    for text in ["", "=", "a b", "a\u{1}b", "a\nb", "a=b", "ä"] {
        assert!(Token::parse(text).is_none(), "{text:?}");
    }
    assert_eq!(Token::parse(&jwt(&json!({ "sub": "kordon" }))).unwrap().subject("sub").as_deref(), Some("kordon"));
    let named =
        Token::parse(&jwt(&json!({ "sub": "id", "azp": "kordon", "a.b": "dotted", "a": { "c": "deep" } }))).unwrap();
    let by = ["azp", "a.b", "a.c", "none"].map(|claim| named.subject(claim));
    assert_eq!(by.each_ref().map(Option::as_deref), [Some("kordon"), Some("dotted"), Some("deep"), None]);
    for text in ["abc", "a.b.c", "a.e30.c", &jwt(&json!({ "sub": 1 }))] {
        assert_eq!(Token::parse(text).unwrap().subject("sub"), None, "{text}");
    }
}

#[test]
fn an_answer_of_an_endpoint_is_read_and_its_faults_are_told_without_it() {
    let life = |answer: Value| read(answer.to_string().as_bytes()).map(|(_, life)| life.as_secs());
    assert_eq!(life(json!({ "access_token": "t", "token_type": "bearer", "expires_in": 30 })), Ok(30));
    assert_eq!(life(json!({ "access_token": "t", "expires_in": "30" })), Ok(30));
    assert_eq!(life(json!({ "access_token": "t" })), Ok(UNTOLD.as_secs()));
    assert_eq!(life(json!({ "access_token": "t", "expires_in": u64::MAX })), Ok(LONGEST_LIFE.as_secs()));
    let end = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() + 100;
    assert!((98..=100).contains(&life(json!({ "access_token": jwt(&json!({ "exp": end })) })).unwrap()));
    for (answer, told) in [
        (json!({ "access_token": "t", "expires_in": 0 }), "its token has ended already"),
        (json!({ "access_token": jwt(&json!({ "exp": 5 })) }), "its token has ended already"),
        (json!({ "access_token": "t", "token_type": "mac" }), "its token is of another type than `Bearer`"),
        (json!({ "access_token": "se cret" }), "its token is no bearer token"),
        (json!({ "token": "secret" }), "its answer holds no `access_token`"),
        (json!([]), "its answer holds no `access_token`"),
    ] {
        assert_eq!(life(answer), Err(told.to_owned()));
    }
    assert_eq!(read(b"<html>").unwrap_err(), "its answer is no JSON");
    let refused = |body: &str| in_words(&HttpError::Refused { status: 401, body: body.as_bytes().to_vec() });
    assert_eq!(
        refused(r#"{"error":"invalid_client","error_description":"hunter2"}"#),
        "it answered with status 401: invalid_client"
    );
    assert_eq!(refused(r#"{"error":"hunter2"}"#), "it answered with status 401");
}

#[tokio::test]
async fn a_given_token_is_read_anew_each_time() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("token");
    let tokens = Tokens::new(&TokenSource::Given(Secret(SecretSource::File(file.clone()))));
    std::fs::write(&file, "first\n").unwrap();
    assert!(tokens.take().await.unwrap().message().ends_with(b"Bearer first\x01\x01"));
    std::fs::write(&file, jwt(&json!({ "sub": "other" }))).unwrap();
    assert_eq!(tokens.take().await.unwrap().subject("sub"), tokens.subject("sub"));
    assert_eq!(tokens.subject("sub").as_deref(), Some("other"));
    std::fs::write(&file, "not a token").unwrap();
    let told = tokens.take().await.unwrap_err().to_string();
    assert!(told.contains("is no bearer token") && !told.contains("not a token"), "{told}");
    std::fs::remove_file(&file).unwrap();
    assert!(tokens.take().await.unwrap_err().to_string().starts_with("cannot read the secret in `"));
}

/// An endpoint that gives `token-1`, `token-2`… of so many seconds, as long as it is up; how often it was asked.
async fn endpoint(life: u64, up: watch::Receiver<bool>) -> (Tokens, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let token_url = WebAddress::parse(&format!("http://{}/token", listener.local_addr().unwrap())).unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    tokio::spawn(async move {
        loop {
            let (mut peer, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            let end = b"grant_type=client_credentials&scope=kafka+write";
            while !request.ends_with(end) {
                if peer.read_buf(&mut request).await.unwrap() == 0 {
                    break;
                }
            }
            let request = String::from_utf8(request).unwrap();
            // The secret as in a form, joined with the name.
            let login = base64::prelude::BASE64_STANDARD.encode("k%C3%B6nig:hunter2+%26c");
            assert!(request.contains(&format!("authorization: Basic {login}\r\n")), "{request}");
            let n = count.fetch_add(1, Ordering::Relaxed) + 1;
            let (status, body) = match *up.borrow() {
                true => ("200 OK", json!({ "access_token": format!("token-{n}"), "expires_in": life })),
                false => ("503 Away", json!({ "error_description": "hunter2" })),
            };
            let body = body.to_string();
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            let _ = peer.write_all(answer.as_bytes()).await;
        }
    });
    let client = TokenClient {
        token_url,
        ca: Authorities::System,
        client_id: "könig".to_owned(),
        client_secret: Secret(SecretSource::Given(SECRET.to_owned())),
        scope: Some("kafka write".to_owned()),
    };
    (Tokens::new(&TokenSource::Client(client)), asked)
}

#[tokio::test]
async fn a_token_is_kept_for_all_logins_and_renewed_before_it_ends() {
    let (_up, state) = watch::channel(true);
    let (tokens, asked) = endpoint(3600, state).await;
    assert_eq!(asked.load(Ordering::Relaxed), 0, "nothing is asked before the first login");
    tokens.ahead();
    let begun = Instant::now();
    while asked.load(Ordering::Relaxed) == 0 {
        tokio::task::yield_now().await;
        assert!(begun.elapsed() < Duration::from_secs(30), "nobody asks ahead");
    }
    let (one, two) = tokio::join!(tokens.take(), tokens.take());
    assert_eq!((&*one.unwrap().0, &*two.unwrap().0), ("token-1", "token-1"));
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    assert!(!format!("{tokens:?}").contains("token-1") && !format!("{tokens:?}").contains("hunter2"));

    let (_up, state) = watch::channel(true);
    let (tokens, _) = endpoint(2, state).await;
    let begun = Instant::now();
    let mut seen = std::collections::BTreeSet::new();
    while seen.len() < 3 {
        seen.insert(tokens.take().await.unwrap().0.to_string());
        tokio::task::yield_now().await;
        assert!(begun.elapsed() < Duration::from_secs(30), "{seen:?}");
    }
    assert!(
        begun.elapsed() >= Duration::from_millis(2_900),
        "each at three quarters of its life: {:?}",
        begun.elapsed()
    );
}

#[tokio::test]
async fn an_outage_is_outlived_as_long_as_the_token_holds_and_then_told() {
    let (up, state) = watch::channel(true);
    let (tokens, asked) = endpoint(2, state).await;
    tokens.take().await.unwrap();
    up.send_replace(false);
    let begun = Instant::now();
    // At three quarters the next one is asked for, in vain.
    while asked.load(Ordering::Relaxed) < 2 {
        assert_eq!(&*tokens.take().await.unwrap().0, "token-1");
        tokio::task::yield_now().await;
    }
    let told = loop {
        match tokens.take().await {
            Ok(token) => assert_eq!(&*token.0, "token-1"),
            Err(error) => break error.to_string(),
        }
        tokio::task::yield_now().await;
    };
    assert!(begun.elapsed() >= Duration::from_millis(1_900), "{:?}", begun.elapsed());
    assert_eq!(told, "no token from `token_url`: it answered with status 503");
    up.send_replace(true);
    while tokens.take().await.is_err() {
        tokio::task::yield_now().await;
        assert!(begun.elapsed() < Duration::from_secs(30));
    }
}

#[tokio::test]
async fn a_token_that_a_broker_refused_is_followed_by_the_next_no_later_than_else() {
    let (_up, state) = watch::channel(true);
    let (tokens, _) = endpoint(2, state).await;
    let begun = Instant::now();
    tokens.take().await.unwrap();
    tokens.refused();
    while &*tokens.take().await.unwrap().0 == "token-1" {
        tokio::task::yield_now().await;
    }
    assert!(begun.elapsed() < REFUSED, "{:?}", begun.elapsed());
}

use super::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A server that takes one request and answers with these bytes; its end is what it was asked.
async fn server(answer: Vec<u8>) -> (WebAddress, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/keys?a=b", listener.local_addr().unwrap());
    let served = tokio::spawn(async move {
        let (mut peer, _) = listener.accept().await.unwrap();
        let (mut asked, mut whole) = (Vec::new(), 0);
        while whole == 0 || asked.len() < whole {
            assert_ne!(peer.read_buf(&mut asked).await.unwrap(), 0);
            let text = String::from_utf8_lossy(&asked);
            if let Some(head) = text.find("\r\n\r\n") {
                let length = text
                    .to_lowercase()
                    .split("content-length: ")
                    .nth(1)
                    .map_or(0, |rest| rest.split("\r\n").next().unwrap().parse().unwrap());
                whole = head + 4 + length;
            }
        }
        // Who was told enough may have left.
        let _ = peer.write_all(&answer).await;
        String::from_utf8(asked).unwrap()
    });
    (WebAddress::parse(&address).unwrap(), served)
}

fn ask(address: &WebAddress) -> Ask<'_> {
    Ask { address, timeout: Duration::from_secs(20), most: 1000 }
}

fn answer(status: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

#[tokio::test]
async fn a_document_is_fetched() {
    let (address, served) = server(answer("200 OK", "{}")).await;
    assert_eq!(ask(&address).get().await.unwrap(), b"{}");
    let asked = served.await.unwrap();
    assert!(asked.starts_with("GET /keys?a=b HTTP/1.1\r\n") && asked.contains("accept: application/json"), "{asked}");
}

#[tokio::test]
async fn a_form_is_sent_as_a_user() {
    let (address, served) = server(answer("200 OK", "[]")).await;
    let fields = [("grant_type", "client_credentials"), ("scope", "a b&c=ü")];
    assert_eq!(ask(&address).post_form(&fields, Some(("me", "hunter2"))).await.unwrap(), b"[]");
    let asked = served.await.unwrap();
    assert!(asked.starts_with("POST /keys?a=b HTTP/1.1\r\n"), "{asked}");
    assert!(asked.contains("authorization: Basic bWU6aHVudGVyMg==\r\n"), "{asked}");
    assert!(asked.contains("content-type: application/x-www-form-urlencoded\r\n"), "{asked}");
    assert!(asked.ends_with("\r\n\r\ngrant_type=client_credentials&scope=a+b%26c%3D%C3%BC"), "{asked}");
}

#[tokio::test]
async fn a_refusal_keeps_its_document_and_does_not_show_it() {
    let (address, _served) = server(answer("401 Unauthorized", "hunter2")).await;
    let error = ask(&address).get().await.unwrap_err();
    let shown = format!("{error} {error:?}");
    assert!(matches!(error, HttpError::Refused { status: 401, body } if body == b"hunter2"));
    assert_eq!(shown, "it answered with status 401 it answered with status 401");
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let (elsewhere, not_asked) = server(answer("200 OK", "{}")).await;
    let redirect = format!("HTTP/1.1 302 Found\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n", elsewhere.url());
    let (address, _served) = server(redirect.into_bytes()).await;
    let error = ask(&address).get().await.unwrap_err().to_string();
    assert_eq!(error, "it answered with status 302: redirects are not followed, write the address it leads to");
    assert!(!not_asked.is_finished());
}

#[tokio::test]
async fn what_is_too_large_is_not_gathered_whether_it_tells_its_size_or_not() {
    let told = answer("200 OK", &"x".repeat(1001));
    let chunk = format!("{:x}\r\n{}\r\n", 600, "x".repeat(600));
    let untold = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{chunk}{chunk}");
    for answer in [told, untold.into_bytes()] {
        let (address, _served) = server(answer).await;
        assert!(matches!(ask(&address).get().await, Err(HttpError::TooLarge(1000))));
    }
}

#[tokio::test]
async fn who_does_not_answer_is_not_waited_for() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = WebAddress::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
    let error = Ask { timeout: Duration::from_millis(10), ..ask(&address) }.get().await.unwrap_err();
    assert_eq!(error.to_string(), "no answer within 10ms");
}

#[tokio::test]
async fn who_is_not_there_is_told_with_its_cause_and_without_the_query() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    drop(listener);
    let address = WebAddress::parse(&format!("http://{at}/?code=hunter2")).unwrap();
    let error = ask(&address).get().await.unwrap_err().to_string();
    assert!(error.contains("refused") && !error.contains("hunter2"), "{error}");
    let (address, _served) = server(Vec::new()).await;
    let error = ask(&address).get().await.unwrap_err().to_string();
    assert!(error.contains("connection closed"), "{error}");
}

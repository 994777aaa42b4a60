use super::*;
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// A server that takes one request and answers with these bytes; its end is what it was asked.
async fn server(answer: Vec<u8>) -> (WebAddress, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/keys?a=b", listener.local_addr().unwrap());
    let served = tokio::spawn(async move { serve(listener.accept().await.unwrap().0, &answer).await });
    (WebAddress::parse(&address).unwrap(), served)
}

async fn serve(mut peer: impl AsyncRead + AsyncWrite + Unpin, answer: &[u8]) -> String {
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
    let _ = peer.write_all(answer).await;
    let _ = peer.shutdown().await;
    String::from_utf8(asked).unwrap()
}

/// A server with a certificate for this host, which the file then holds. It answers everybody who trusts it with `{}`.
async fn secured(host: &str, file: &Path) -> WebAddress {
    let made = rcgen::generate_simple_self_signed([host.to_owned()]).unwrap();
    std::fs::write(file, made.cert.pem()).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let config = config.with_single_cert(vec![made.cert.der().clone()], key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("https://{}/keys", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((peer, _)) = listener.accept().await {
            if let Ok(peer) = acceptor.accept(peer).await {
                serve(peer, &answer("200 OK", "{}")).await;
            }
        }
    });
    WebAddress::parse(&address).unwrap()
}

fn ask(address: &WebAddress) -> Ask<'_> {
    Ask { address, ca: &Authorities::System, timeout: Duration::from_secs(20), most: 1000 }
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
async fn who_is_trusted_is_read_for_each_request_and_a_certificate_that_is_not_good_is_told_by_its_fault() {
    let dir = tempfile::tempdir().unwrap();
    let [good, other, gone]: [PathBuf; 3] = ["good", "other", "gone"].map(|name| dir.path().join(name));
    let address = secured("127.0.0.1", &good).await;
    let elsewhere = secured("idp.example.com", &other).await;
    let told = async |address: &WebAddress, ca: &Path| {
        let ca = Authorities::File(ca.to_owned());
        let document = Ask { ca: &ca, ..ask(address) }.get().await.map_err(|error| error.to_string());
        document.map(|bytes| assert_eq!(bytes, b"{}")).err().unwrap_or_default()
    };
    assert_eq!(told(&address, &good).await, "");
    let refused = told(&address, &other).await;
    assert!(refused.starts_with("its certificate is not signed by the authority in `ca`"), "{refused}");
    let refused = Ask { ca: &Authorities::System, ..ask(&address) }.get().await.unwrap_err().to_string();
    // What the system has differs.
    assert!(refused.contains("no authority that is trusted (`ca`)") || refused.contains("the system's"), "{refused}");
    let refused = told(&elsewhere, &other).await;
    assert!(
        refused.contains("its certificate is for DnsName") && refused.ends_with("not for `127.0.0.1`"),
        "{refused}"
    );
    let refused = told(&address, &gone).await;
    assert!(refused.contains("gone` cannot be read: "), "{refused}");
    std::fs::copy(&good, &gone).unwrap();
    assert_eq!(told(&address, &gone).await, "");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let plain = WebAddress::parse(&format!("https://{}/", listener.local_addr().unwrap())).unwrap();
    tokio::spawn(async move { listener.accept().await.unwrap().0.write_all(b"HTTP/1.1 400 No\r\n\r\n").await });
    assert_eq!(told(&plain, &good).await, "it does not speak TLS");
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

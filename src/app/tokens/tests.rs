use super::*;
use crate::identity::tokens::mint::{Signer, jwks};
use crate::model::TokenAlgorithm;
use std::sync::atomic::AtomicUsize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

const IDP: &str = "https://idp";

/// An issuer with one key, `k1`, and how often it was asked.
async fn issuer() -> (Keeper, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = WebAddress::parse(&format!("http://{}/keys", listener.local_addr().unwrap())).unwrap();
    let (asked, body) = (Arc::new(AtomicUsize::new(0)), jwks(&[&Signer::new("k1", "ES256")]));
    let count = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((mut peer, _)) = listener.accept().await {
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                assert_ne!(peer.read_buf(&mut request).await.unwrap(), 0);
            }
            count.fetch_add(1, Ordering::Relaxed);
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            peer.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    let known = TokenIssuer {
        issuer: IDP.to_owned(),
        audience: vec!["kafka".to_owned()],
        keys: KeySource::Url {
            address,
            ca: Authorities::System,
            refresh: Duration::from_secs(300),
            max_age: Duration::from_secs(3600),
        },
        algorithms: vec![TokenAlgorithm::Es256],
        principal_claim: "sub".to_owned(),
        groups_claim: "groups".to_owned(),
        merge_groups: false,
        clock_skew: Duration::ZERO,
    };
    let (issuers, _) = Issuers::new(Tokens::new(vec![super::issuer(&known)]), &[true]);
    let keeper = Keeper::of(&known, 0, &Arc::new(issuers), &Metrics::new().unwrap()).unwrap();
    (keeper, asked)
}

impl Keeper {
    async fn is_told(&mut self, key: WantedKey) -> Result<(), String> {
        let (answer, _waits) = oneshot::channel();
        self.look_for(&Request { wanted: Wanted { issuer: 0, key }, since: Instant::now(), answer }).await
    }

    /// As if it had been asked for everything a moment ago.
    fn asked_now(&mut self) {
        let now = Instant::now();
        (self.wanted, self.doubted) = (Some(now), Some(now));
        self.absent.values_mut().for_each(|asked| *asked = now);
    }

    /// Of a token that `k1`, or another key, has not signed, by the keys in force.
    async fn forged(&mut self, kid: &str) -> Result<(), String> {
        let tokens = self.issuers.tokens();
        let mut edition = 0;
        let of = |edition| Wanted { issuer: 0, key: WantedKey::Other { kid: Some(kid.to_owned()), edition } };
        while tokens.has(&of(edition)) {
            edition += 1;
        }
        self.is_told(of(edition).key).await
    }
}

#[tokio::test]
async fn forged_signatures_hold_up_no_new_key_and_the_issuer_is_asked_no_more_often_than_it_may() {
    let (mut keeper, asked) = issuer().await;
    keeper.ask().await.unwrap();
    keeper.forged("k1").await.unwrap();
    assert_eq!(asked.load(Ordering::Relaxed), 2, "the key may have changed");
    keeper.asked_now();
    keeper.forged("k1").await.unwrap();
    let told = keeper.forged("k2").await.unwrap_err();
    assert!(told.starts_with("the token is not signed by the key that it names, and whether issuer"), "{told}");
    assert_eq!(asked.load(Ordering::Relaxed), 2, "refuted lately, or to be tried again");

    keeper.wanted = None;
    keeper.is_told(WantedKey::Named("new".into())).await.unwrap();
    assert_eq!(asked.load(Ordering::Relaxed), 3);
    keeper.asked_now();
    keeper.is_told(WantedKey::Named("new".into())).await.unwrap();
    let told = keeper.is_told(WantedKey::Named("newer".into())).await.unwrap_err();
    assert_eq!(told, "the keys of issuer `https://idp` cannot be had: they were asked for less than 10 s ago");
    assert_eq!(asked.load(Ordering::Relaxed), 3);
    keeper.doubted = None;
    keeper.forged("k2").await.unwrap();
    assert_eq!(asked.load(Ordering::Relaxed), 4, "nor do unknown names hold that up");
}

#[tokio::test]
async fn keys_that_nobody_confirmed_in_time_are_taken_away_also_while_the_issuer_is_asked() {
    let (mut keeper, _) = issuer().await;
    keeper.ask().await.unwrap();
    let any = Wanted { issuer: 0, key: WantedKey::Any };
    assert!(keeper.has(&any) && keeper.good_until.is_some());
    // Somebody listens, and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    keeper.address = WebAddress::parse(&format!("http://{}/", silent.local_addr().unwrap())).unwrap();
    keeper.good_until = Some(Instant::now());
    let issuers = Arc::clone(&keeper.issuers);
    let asking = tokio::spawn(async move {
        let _ = keeper.ask().await;
        keeper
    });
    let (_peer, _) = silent.accept().await.unwrap();
    while issuers.tokens().has(&any) {
        assert!(!asking.is_finished(), "not before it has failed");
        tokio::task::yield_now().await;
    }
    asking.abort();
}

//! An identity provider: keys at `/keys`, tokens for clients' credentials at `/token`, and faults as it is told. With a
//! certificate or, on loopback, without.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::{Value, json};

use super::certificates::{Duplex, Signed, served};
use super::mint::{Signer, jwks};

/// For whom the tokens are.
pub const AUDIENCE: &str = "kafka";

/// A running provider. It runs until the process ends.
pub struct Idp {
    /// With a slash at the end.
    root: String,
    state: Arc<Mutex<State>>,
}

struct State {
    /// Whose keys it tells; the last signs.
    signers: Vec<Signer>,
    fault: Option<Fault>,
    groups: Vec<String>,
    lifetime: u64,
    audience: &'static str,
    /// How often it was asked for keys, and for tokens.
    asked: [usize; 2],
}

/// What is wrong with the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It closes connections without a word.
    Away,
    /// It answers with a status and no keys.
    Broken,
    /// It answers something else.
    Garbage,
}

impl Idp {
    /// Starts one that signs with a key of this name.
    pub fn start(kid: &str) -> Idp {
        Self::secured(kid, None)
    }

    /// The same, that shows a certificate.
    pub fn secured(kid: &str, pair: Option<&Signed>) -> Idp {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port for the provider");
        let scheme = if pair.is_some() { "https" } else { "http" };
        let root = format!("{scheme}://{}/", listener.local_addr().expect("an address"));
        let tls = pair.map(Signed::serving);
        let state = State {
            signers: vec![Signer::new(kid, "ES256")],
            fault: None,
            groups: Vec::new(),
            lifetime: 3600,
            audience: AUDIENCE,
            asked: [0; 2],
        };
        let state = Arc::new(Mutex::new(state));
        let (serving, issuer) = (Arc::clone(&state), root.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (state, issuer, tls) = (Arc::clone(&serving), issuer.clone(), tls.clone());
                std::thread::spawn(move || {
                    // Who has left is not answered.
                    let _ = serve(served(stream, tls.as_ref()), &issuer, &state);
                });
            }
        });
        Idp { root, state }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The `iss` of its tokens.
    pub fn issuer(&self) -> String {
        self.root.clone()
    }

    /// Where its keys are.
    pub fn keys(&self) -> String {
        format!("{}keys", self.root)
    }

    /// Where tokens are.
    pub fn tokens(&self) -> String {
        format!("{}token", self.root)
    }

    /// An entry of `tokens`, in flow style, with further keys.
    pub fn entry(&self, more: &str) -> String {
        format!("{{ issuer: \"{}\", audience: [{AUDIENCE}], jwks_url: \"{}\"{more} }}", self.issuer(), self.keys())
    }

    /// From now on a new key signs; the old ones are told too.
    pub fn rotate(&self, kid: &str) {
        let signer = Signer::new(kid, "ES256");
        self.state().signers.push(signer);
    }

    /// From now on another key signs in the place of the last, by the same name.
    pub fn replace(&self) {
        let mut state = self.state();
        let last = state.signers.last_mut().expect("a signer");
        *last = Signer::new(&last.kid, "ES256");
    }

    /// What is wrong with it from now on.
    pub fn fails(&self, fault: Option<Fault>) {
        self.state().fault = fault;
    }

    /// The groups of everybody but bob, and how long tokens last from now on, in seconds.
    pub fn gives(&self, groups: &[&str], lifetime: u64) {
        let mut state = self.state();
        state.groups = groups.iter().map(|group| (*group).to_owned()).collect();
        state.lifetime = lifetime;
    }

    /// For whom tokens are from now on.
    pub fn aims_at(&self, audience: &'static str) {
        self.state().audience = audience;
    }

    /// How often it was asked for keys.
    pub fn asked_for_keys(&self) -> usize {
        self.state().asked[0]
    }

    /// How often it was asked for tokens.
    pub fn asked_for_tokens(&self) -> usize {
        self.state().asked[1]
    }

    /// A token as it gives them now, with some claims changed.
    pub fn token(&self, name: &str, changes: &Value) -> String {
        self.token_of(name, changes, None)
    }

    /// The same under another header.
    pub fn token_of(&self, name: &str, changes: &Value, header: Option<&Value>) -> String {
        let state = self.state();
        let mut claims = state.claims(&self.root, name);
        for (claim, value) in changes.as_object().expect("claims") {
            claims[claim] = value.clone();
        }
        let signer = state.signers.last().expect("a signer");
        match header {
            Some(header) => signer.token_with(header, &claims),
            None => signer.token(&claims),
        }
    }

    /// Its keys, as a file has them.
    pub fn key_set(&self) -> String {
        jwks(&self.state().signers.iter().collect::<Vec<_>>())
    }
}

/// Seconds since 1970.
pub fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_secs()
}

impl State {
    fn claims(&self, issuer: &str, name: &str) -> Value {
        let groups: &[String] = if name == "bob" { &[] } else { &self.groups };
        let now = seconds();
        json!({
            "iss": issuer, "aud": self.audience, "sub": name, "iat": now, "exp": now + self.lifetime,
            "groups": groups,
        })
    }
}

fn serve(stream: Box<dyn Duplex>, issuer: &str, state: &Mutex<State>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut request = String::new();
    reader.read_line(&mut request)?;
    let (mut length, mut user) = (0, None);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        match name.to_lowercase().as_str() {
            "content-length" => length = value.trim().parse().unwrap_or(0),
            "authorization" => user = basic(value.trim()),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
    let (status, answer) = if request.starts_with("GET /keys ") {
        state.asked[0] += 1;
        match state.fault {
            Some(Fault::Away) => return Ok(()),
            Some(Fault::Broken) => (503, "{}".to_owned()),
            Some(Fault::Garbage) => (200, "<html>".to_owned()),
            None => (200, jwks(&state.signers.iter().collect::<Vec<_>>())),
        }
    } else if request.starts_with("POST /token ") {
        state.asked[1] += 1;
        match user.filter(|(name, secret)| *secret == format!("{name}-secret")) {
            Some((name, _)) => {
                let claims = state.claims(issuer, &name);
                let token = state.signers.last().expect("a signer").token(&claims);
                let given = json!({ "access_token": token, "token_type": "Bearer", "expires_in": state.lifetime });
                (200, given.to_string())
            }
            None => (401, json!({ "error": "invalid_client" }).to_string()),
        }
    } else {
        (404, String::new())
    };
    drop(state);
    let kind = "content-type: application/json\r\nconnection: close";
    let head = format!("HTTP/1.1 {status} Told\r\ncontent-length: {}\r\n{kind}\r\n\r\n", answer.len());
    reader.get_mut().write_all((head + &answer).as_bytes())
}

fn basic(value: &str) -> Option<(String, String)> {
    let text = String::from_utf8(BASE64_STANDARD.decode(value.strip_prefix("Basic ")?).ok()?).ok()?;
    let (name, secret) = text.split_once(':')?;
    Some((name.to_owned(), secret.to_owned()))
}

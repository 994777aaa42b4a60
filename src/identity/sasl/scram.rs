//! SCRAM-SHA-256 and SCRAM-SHA-512, the server's side: RFC 5802 and 7677.
//!
//! Source: `ScramSaslServer`, `ScramMessages` and `ScramFormatter` of Kafka 4.3. As there, neither name nor password is
//! prepared (no SASLprep), and there is no channel binding. Unlike there, extensions are refused, `tokenauth` of
//! delegation tokens among them: it would make the name another one's (threat 32). And a name that nobody has is led
//! through the whole exchange, so that it ends as a wrong password does.

use super::LoginError;
use crate::identity::Login;
use crate::identity::users::{Hash, Keys, Users};
use crate::model::Timestamp;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use std::fmt;

/// What a message is not. The messages themselves are never repeated: they hold proofs.
const CLIENT_FIRST: LoginError = LoginError::PeerSentScram("the first message is malformed, or has extensions");
const CLIENT_FINAL: LoginError = LoginError::PeerSentScram("the last message is malformed, or has extensions");

/// The longest nonce of a client, in bytes: it is kept and sent back. Clients send some thirty.
const LONGEST_NONCE: usize = 4096;

/// The first message of a client.
pub(super) struct ClientFirst<'m> {
    pub(super) name: String,
    pub(super) authorization_id: Option<String>,
    /// `n,,` or `n,a=name,`.
    gs2_header: &'m str,
    nonce: &'m str,
    /// What follows the header.
    bare: &'m str,
}

impl<'m> ClientFirst<'m> {
    /// Reads the message.
    pub(super) fn parse(message: &'m [u8]) -> Result<Self, LoginError> {
        let text = std::str::from_utf8(message).map_err(|_| CLIENT_FIRST)?;
        let mut parts = text.splitn(3, ',');
        // `y` and `p=` are for channel binding.
        if parts.next() != Some("n") {
            return Err(CLIENT_FIRST);
        }
        let authorization_id = match parts.next().ok_or(CLIENT_FIRST)? {
            "" => None,
            field => Some(name(field, "a=")?),
        };
        let bare = parts.next().ok_or(CLIENT_FIRST)?;
        // Not gathered: a message may be nothing but commas.
        let mut fields = bare.split(',');
        let (Some(user), Some(nonce), None) = (fields.next(), fields.next(), fields.next()) else {
            return Err(CLIENT_FIRST);
        };
        let name = name(user, "n=")?;
        let nonce = nonce.strip_prefix("r=").filter(|n| is_nonce(n)).ok_or(CLIENT_FIRST)?;
        let gs2_header = text.get(..text.len() - bare.len()).unwrap_or_default();
        Ok(Self { name, authorization_id, gs2_header, nonce, bare })
    }
}

/// A challenge was sent, its answer is awaited.
pub(super) struct Challenged {
    name: String,
    authorization_id: Option<String>,
    keys: Keys,
    /// Whether these are somebody's keys.
    known: bool,
    /// `n,,` or `n,a=name,`: the last message repeats it.
    gs2_header: String,
    nonce: String,
    first_bare: String,
    server_first: String,
}

impl fmt::Debug for Challenged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Challenged(…)")
    }
}

impl Challenged {
    /// Answers the first message with salt and iterations; `nonce` is random text without commas, of this exchange alone.
    pub(super) fn new(hash: Hash, message: &[u8], users: &Users, nonce: &str) -> Result<(Self, Vec<u8>), LoginError> {
        let ClientFirst { name, authorization_id, gs2_header, nonce: of_client, bare } = ClientFirst::parse(message)?;
        let nonce = format!("{of_client}{nonce}");
        let (keys, known) = users.scram_keys(&name, hash);
        let server_first = format!("r={nonce},s={},i={}", BASE64_STANDARD.encode(&keys.salt), keys.iterations);
        let answer = server_first.clone().into_bytes();
        let (gs2_header, first_bare) = (gs2_header.to_owned(), bare.to_owned());
        let challenged = Self { name, authorization_id, keys, known, gs2_header, nonce, first_bare, server_first };
        Ok((challenged, answer))
    }

    /// Judges the proof, with the users as they are now; the answer proves to the client that the proxy knows the keys.
    /// Takes as long for a name that nobody has as for a wrong password.
    pub(super) fn finish(self, message: &[u8], users: &Users, now: Timestamp) -> Result<(Login, Vec<u8>), LoginError> {
        let text = std::str::from_utf8(message).map_err(|_| CLIENT_FINAL)?;
        let (without_proof, proof) = text.rsplit_once(",p=").ok_or(CLIENT_FINAL)?;
        let (binding, nonce) = without_proof.split_once(',').ok_or(CLIENT_FINAL)?;
        let binding = binding.strip_prefix("c=").ok_or(CLIENT_FINAL)?;
        let proof = BASE64_STANDARD.decode(proof).map_err(|_| CLIENT_FINAL)?;
        // What the client said without proof in its first message, said again under the proof. An extension behind the
        // nonce makes it another nonce.
        if BASE64_STANDARD.decode(binding).ok().as_deref() != Some(self.gs2_header.as_bytes())
            || nonce.strip_prefix("r=") != Some(&self.nonce)
        {
            return Err(LoginError::PeerSentScram("the last message does not belong to the first"));
        }
        let auth = format!("{},{},{without_proof}", self.first_bare, self.server_first);
        let proved = self.keys.accepts(auth.as_bytes(), &proof) & self.known;
        let signature = self.keys.server_signature(auth.as_bytes());
        let user = users.get(&self.name).filter(|user| proved && user.in_force(now));
        // A password that changed since the challenge is not the one that was proved.
        let user = user.filter(|user| user.keys(self.keys.hash) == Some(&self.keys));
        let user = user.ok_or(LoginError::PeerSentWrongProof)?;
        if self.authorization_id.is_some_and(|id| id != self.name) {
            return Err(LoginError::PeerSentOtherAuthorizationId);
        }
        Ok((user.proved(&self.keys), format!("v={}", BASE64_STANDARD.encode(signature)).into_bytes()))
    }
}

/// A `saslname` behind its mark: commas and equal signs are written `=2C` and `=3D`, and nothing else is.
fn name(field: &str, mark: &str) -> Result<String, LoginError> {
    let written = field.strip_prefix(mark).filter(|name| !name.is_empty() && !name.contains('\0'));
    let mut parts = written.ok_or(CLIENT_FIRST)?.split('=');
    let mut name = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (sign, rest) = match (part.strip_prefix("2C"), part.strip_prefix("3D")) {
            (Some(rest), _) => (',', rest),
            (None, Some(rest)) => ('=', rest),
            (None, None) => return Err(CLIENT_FIRST),
        };
        name.push(sign);
        name.push_str(rest);
    }
    Ok(name)
}

fn is_nonce(text: &str) -> bool {
    (1..=LONGEST_NONCE).contains(&text.len()) && text.bytes().all(|b| (0x21..=0x7e).contains(&b))
}

#[cfg(test)]
mod tests;

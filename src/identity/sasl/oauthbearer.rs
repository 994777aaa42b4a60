//! OAUTHBEARER: a token in the message of RFC 7628.
//! Source: `OAuthBearerClientInitialResponse`, `OAuthBearerSaslServer` and `OAuthBearerValidatorCallbackHandler`, Kafka 4.3.

use super::LoginError;
use std::fmt;

/// What a client is answered whose token is not taken (`OAuthBearerSaslServer.jsonErrorResponse`). Why stays with the proxy.
pub(super) const REFUSAL: &str = "{\"status\":\"invalid_token\"}";
/// What a client says to that before it is told once more, as an error (RFC 7628 section 3.2.3).
pub(super) const SEEN: &[u8] = b"\x01";

/// The message of a client. Its token is never shown.
#[derive(Copy, Clone, PartialEq, Eq)]
pub struct Bearer<'a> {
    /// Whom the client wants to act as; empty = itself.
    pub authorization_id: &'a str,
    /// The token; not empty.
    pub token: &'a str,
}

impl fmt::Debug for Bearer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bearer").field("authorization_id", &self.authorization_id).finish_non_exhaustive()
    }
}

const MALFORMED: LoginError = LoginError::PeerSentBearer("the message does not follow RFC 7628");

impl<'a> Bearer<'a> {
    /// Reads `n,[a=NAME],` and then `KEY=VALUE` pairs, each behind a byte 1 and the last before two. Extensions, which
    /// Kafka checks the form of and hands to nobody here, are not kept.
    ///
    /// # Errors
    /// It is no such message, or has not one token.
    pub fn parse(message: &'a [u8]) -> Result<Self, LoginError> {
        let text = std::str::from_utf8(message).map_err(|_| MALFORMED)?;
        // `y` and `p=` are for channel binding.
        let (name, pairs) = text.strip_prefix("n,").and_then(|rest| rest.split_once(',')).ok_or(MALFORMED)?;
        let authorization_id = match name {
            "" => "",
            _ => name.strip_prefix("a=").filter(|name| is_name(name)).ok_or(MALFORMED)?,
        };
        let pairs = pairs.strip_prefix('\x01').and_then(|rest| rest.strip_suffix("\x01\x01")).ok_or(MALFORMED)?;
        let mut auth = None;
        for pair in pairs.split('\x01') {
            let (key, value) = pair.split_once('=').filter(|(k, v)| is_key(k) && is_value(v)).ok_or(MALFORMED)?;
            if key == "auth" && auth.replace(value).is_some() {
                // Kafka takes the last; somebody on the way may have looked at the first.
                return Err(LoginError::PeerSentBearer("the message has two tokens"));
            }
        }
        let auth = auth.ok_or(LoginError::PeerSentBearer("the message has no token"))?;
        let (scheme, token) = auth.split_once(' ').ok_or(LoginError::PeerSentBearer("`auth` has not two words"))?;
        let token = token.trim_start_matches(' ');
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(LoginError::PeerSentBearer("`auth` is not of scheme Bearer"));
        }
        if token.is_empty() || !token.bytes().all(is_token) {
            return Err(LoginError::PeerSentBearer("the token has other characters than tokens have"));
        }
        Ok(Self { authorization_id, token })
    }
}

/// A `saslname`: commas and equal signs are written `=2C` and `=3D`. It is compared as it is written, as Kafka does.
fn is_name(text: &str) -> bool {
    let plain = |part: &str| part.bytes().all(|b| (1..0x80).contains(&b));
    let mut parts = text.split('=');
    !text.is_empty()
        && parts.next().is_some_and(plain)
        && parts.all(|part| (part.starts_with("2C") || part.starts_with("3D")) && plain(part))
}

fn is_key(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphabetic())
}

fn is_value(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| matches!(b, 0x21..=0x7e | b' ' | b'\t' | b'\r' | b'\n'))
}

/// RFC 6750 section 2.1, `b64token`.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/' | b'=')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(message: &str) -> Result<(&str, &str), LoginError> {
        Bearer::parse(message.as_bytes()).map(|bearer| (bearer.authorization_id, bearer.token))
    }

    #[test]
    fn the_messages_of_clients_are_read() {
        assert_eq!(parse("n,,\x01auth=Bearer a.b-c_d\x01\x01"), Ok(("", "a.b-c_d")));
        assert_eq!(parse("n,a=alice,\x01auth=bearer   t\x01\x01"), Ok(("alice", "t")));
        let extended = "n,,\x01auth=Bearer t\x01host=kafka\x01traceId=a=b \t\x01\x01";
        assert_eq!(parse(extended), Ok(("", "t")), "extensions, one of which has an equal sign");
        assert_eq!(parse("n,a=a=2Cb=3Dc,\x01host=kafka\x01auth=Bearer t\x01\x01"), Ok(("a=2Cb=3Dc", "t")));
    }

    #[test]
    fn what_kafka_does_not_read_is_refused() {
        for bad in [
            "",
            "\x01",
            "n,,",
            "n,,\x01\x01",
            "n,,\x01auth=Bearer t\x01",
            "n,,auth=Bearer t\x01\x01",
            "n,,\x01auth=Bearer t\x01\x01\x01",
            "n,,\x01auth=Bearer t\x01\x01 ",
            "y,,\x01auth=Bearer t\x01\x01",
            "p=tls-unique,,\x01auth=Bearer t\x01\x01",
            "n,b=alice,\x01auth=Bearer t\x01\x01",
            "n,a=,\x01auth=Bearer t\x01\x01",
            "n,a=a=b,\x01auth=Bearer t\x01\x01",
            "n,a=ü,\x01auth=Bearer t\x01\x01",
            "n,,\x01auth=Basic t\x01\x01",
            "n,,\x01auth=Bearer\x01\x01",
            "n,,\x01auth=Bearer \x01\x01",
            "n,,\x01auth= t\x01\x01",
            "n,,\x01auth=Bearer a b\x01\x01",
            "n,,\x01auth=Bearer ü\x01\x01",
            "n,,\x01Auth=Bearer t\x01\x01",
            "n,,\x01auth=Bearer t\x01=x\x01\x01",
            "n,,\x01auth=Bearer t\x01k=\x01\x01",
            "n,,\x01auth=Bearer t\x01k2=v\x01\x01",
            "n,,\x01auth=Bearer t\x01k=\0\x01\x01",
            "n,,\x01auth=Bearer t\x01auth=Bearer u\x01\x01",
        ] {
            assert!(matches!(parse(bad), Err(LoginError::PeerSentBearer(_))), "{bad:?}: {:?}", parse(bad));
        }
        assert!(Bearer::parse(b"n,,\x01auth=Bearer t\x01\x01\xff").is_err());
    }

    #[test]
    fn the_token_is_not_shown() {
        let text = format!("{:?}", Bearer::parse(b"n,a=alice,\x01auth=Bearer hunter2\x01\x01"));
        assert!(text.contains("alice") && !text.contains("hunter2"), "{text}");
    }
}

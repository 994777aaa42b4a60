//! SaslHandshake (API 17) and SaslAuthenticate (API 36).
//!
//! Source: Kafka 4.1 `KafkaApis.handleSaslHandshakeRequest`, `.handleSaslAuthenticateRequest`. Brokers advertise both on
//! every listener and answer 34 where there is nothing to log in to: the login is over, or the listener has none. The
//! login itself is the identity's, before a request comes here. Never sent to a broker: that would begin a login of the
//! proxy's own connection (threat 32).

use super::judge::Judge;
use super::rule::{Request, Rule, Verdict};
use crate::wire::schema::{sasl_authenticate, sasl_handshake};
use crate::wire::{ApiKey, ErrorCode, Node, WireError};

/// The rule of SaslHandshake.
pub(super) struct SaslHandshake;

impl Rule for SaslHandshake {
    fn judge(&self, _: &Request<'_, '_>, _: &mut Judge<'_>) -> Result<Verdict, WireError> {
        let answer = Node::response(ApiKey::SASL_HANDSHAKE);
        Ok(Verdict::Answer(answer.with(sasl_handshake::response::ERROR_CODE, ErrorCode::ILLEGAL_SASL_STATE)))
    }
}

/// The rule of SaslAuthenticate.
pub(super) struct SaslAuthenticate;

impl Rule for SaslAuthenticate {
    fn judge(&self, _: &Request<'_, '_>, _: &mut Judge<'_>) -> Result<Verdict, WireError> {
        let text = "SaslAuthenticate request received after successful authentication";
        let answer = Node::response(ApiKey::SASL_AUTHENTICATE)
            .with(sasl_authenticate::response::ERROR_CODE, ErrorCode::ILLEGAL_SASL_STATE)
            .with(sasl_authenticate::response::ERROR_MESSAGE, text);
        Ok(Verdict::Answer(answer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::enforce::testing::{Bench, answer};
    use crate::wire::Versions;

    #[test]
    fn threat_32_a_login_where_there_is_none_is_answered_here() {
        for (rule, key, versions) in [
            (&SaslHandshake as &dyn Rule, ApiKey::SASL_HANDSHAKE, Versions::new(0, 1)),
            (&SaslAuthenticate, ApiKey::SASL_AUTHENTICATE, Versions::new(0, 2)),
        ] {
            for version in versions.iter() {
                let mut bench = Bench::acls(&[]).user("root");
                let told = answer(bench.judge(rule, key, version, &Node::request(key)), key, version);
                assert_eq!(told.int(sasl_handshake::response::ERROR_CODE), 34);
                assert!(bench.decided().is_empty());
            }
        }
    }
}

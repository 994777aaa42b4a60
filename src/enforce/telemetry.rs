//! GetTelemetrySubscriptions (API 71), PushTelemetry (API 72): metrics of clients, KIP-714.
//!
//! Source: Kafka 4.1 `KafkaApis.handleGetTelemetrySubscriptionsRequest`, `.handlePushTelemetryRequest`: nothing is asked.
//! A broker without a receiver of metrics does not tell of them in ApiVersions, yet answers them; so does the proxy, and it
//! tells of them where brokers do only with `cluster.client_telemetry: forward`: what a receiver takes for a client's
//! address is the proxy's.

use super::judge::Judge;
use super::rule::{Request, Rule, Then, Verdict};
use super::table;
use crate::wire::{ApiKey, WireError};

/// The rule of both APIs.
pub(super) struct Telemetry;

impl Rule for Telemetry {
    fn judge(&self, request: &Request<'_, '_>, _: &mut Judge<'_>) -> Result<Verdict, WireError> {
        Ok(Verdict::Forward(table::open_row(request.header.key), Then::Stream))
    }
}

/// Whether this is one of the APIs that the setting is about.
pub(super) fn is_telemetry(key: ApiKey) -> bool {
    key == ApiKey::GET_TELEMETRY_SUBSCRIPTIONS || key == ApiKey::PUSH_TELEMETRY
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::enforce::testing::{Bench, forwarded};
    use crate::wire::Node;

    #[test]
    fn metrics_are_for_the_broker_to_answer_and_nobody_is_told_of_them() {
        for key in [ApiKey::GET_TELEMETRY_SUBSCRIPTIONS, ApiKey::PUSH_TELEMETRY] {
            let row = table::find(key).unwrap();
            let mut bench = Bench::acls(&[]);
            assert!(matches!(forwarded(bench.judge(row.rule, key, 0, &Node::request(key))), Then::Stream));
            assert!(!row.advertised && !row.narrower.is_empty() && bench.decided().is_empty());
        }
    }
}

//! The proxy logs in again at the broker (KIP-368): what its messages are. When they are sent is for the machine to say.

use super::Link;
use crate::cluster::credentials::{Ask, Exchange, LoginFailure, Next, Renewal};
use crate::model::CloseReason;
use crate::session::{BrokerLoginStep, BrokerLoginTurn, Input};
use crate::telemetry::UpstreamRenewal;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;
use tokio::time::Instant;

/// A login that begins; gives what came of it.
pub(super) type Beginning = Pin<Box<dyn Future<Output = (Option<Exchange>, BrokerLoginStep)> + Send>>;

/// The login at the broker, as the shell knows it.
#[derive(Default)]
pub(super) struct AtBroker {
    renewal: Option<Renewal>,
    pub(super) exchange: Option<Exchange>,
}

impl Link<'_> {
    /// Takes over how the connection to the broker was logged in, which was a moment ago.
    pub(super) fn known_to_broker(&mut self, renewal: Option<Renewal>) {
        let until = self.until(renewal.as_ref());
        self.machine.broker_knows_until(until);
        self.at_broker.renewal = renewal;
    }

    /// Does what the machine asks for in a login at the broker; what it has to wait for.
    pub(super) fn begin_broker_login(&mut self) -> Result<Option<Beginning>, CloseReason> {
        // Asked in every turn of the loop: what all connections share is not touched before there is something to do.
        let Some(turn) = self.outputs.broker_login.take() else { return Ok(None) };
        let step = match (turn, self.at_broker.renewal.clone()) {
            (BrokerLoginTurn::Begin, Some(renewal)) => {
                let broker = self.facts.broker;
                return Ok(Some(Box::pin(async move {
                    match renewal.begin().await {
                        Ok((exchange, ask)) => (Some(exchange), asked(ask)),
                        Err(failure) => (None, failed(broker, &failure)),
                    }
                })));
            }
            (BrokerLoginTurn::Answered(answer), Some(renewal)) => {
                let next = self.at_broker.exchange.as_mut().map(|exchange| exchange.take(&answer));
                match next {
                    Some(Ok(Next::Ask(ask))) => asked(ask),
                    Some(Ok(Next::Done(lifetime))) => {
                        self.shared.metrics.upstream_renewal(UpstreamRenewal::Renewed);
                        let renewal = renewal.again(lifetime);
                        let until = self.until(renewal.as_ref());
                        self.at_broker = AtBroker { renewal, exchange: None };
                        BrokerLoginStep::Done(until)
                    }
                    Some(Err(failure)) => failed(self.facts.broker, &failure),
                    None => BrokerLoginStep::Done(None),
                }
            }
            (_, None) => BrokerLoginStep::Done(None),
        };
        match self.input(Input::BrokerLogin(step)).or(self.machine.closing()) {
            Some(reason) => Err(reason),
            None => Ok(None),
        }
    }

    /// Counts a login again at the broker that failed.
    pub(super) fn note_failed_broker_login(&self, reason: CloseReason) {
        if reason == CloseReason::UpstreamLogin {
            self.shared.metrics.upstream_renewal(UpstreamRenewal::Failed);
        }
    }

    /// When the login at the broker has to be looked at: it is due then, or has taken too long.
    pub(super) fn broker_login_deadline(&self) -> Option<Instant> {
        let patience = self.at_broker.renewal.as_ref().map_or(Duration::ZERO, |renewal| renewal.patience);
        let at =
            |micros, more| Instant::from_std(self.shared.started).checked_add(Duration::from_micros(micros) + more);
        match self.machine.broker_login_since() {
            Some(since) => at(since, patience),
            None => at(self.machine.broker_login_edge()?, Duration::ZERO),
        }
    }

    /// Whether a login at the broker has taken too long.
    pub(super) fn broker_login_is_late(&mut self) -> bool {
        let late = self.machine.broker_login_since().is_some()
            && self.broker_login_deadline().is_some_and(|deadline| Instant::now() >= deadline);
        if late {
            tracing::warn!(broker = self.facts.broker, "the proxy cannot log in again at a broker: no answer in time");
            self.detail = Some("the proxy's login again at the broker was not answered in time".to_owned());
        }
        late
    }

    fn until(&self, renewal: Option<&Renewal>) -> Option<u64> {
        let due = u64::try_from(renewal?.due().as_micros()).unwrap_or(u64::MAX);
        Some(self.shared.now().micros.saturating_add(due))
    }
}

fn asked(Ask { key, version, body }: Ask) -> BrokerLoginStep {
    BrokerLoginStep::Ask { key, version, body }
}

/// The cause is for the log of the proxy: the audit is read by others.
fn failed(broker: Option<i32>, failure: &LoginFailure) -> BrokerLoginStep {
    tracing::warn!(broker, %failure, "the proxy cannot log in again at a broker: a client's connection ends");
    BrokerLoginStep::Failed("the proxy could not log in again at the broker".to_owned())
}

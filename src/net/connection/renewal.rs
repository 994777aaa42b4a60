//! A client logs in again on its connection (KIP-368): its messages are checked as those of a login.

use super::Link;
use crate::model::CloseReason;
use crate::net::login::{Asks, Check, TOO_MANY, dropped_groups, verify};
use crate::net::relay::Relay;
use crate::session::{Checked, Relaying};
use crate::telemetry::LoginOutcome;
use std::future::Future;
use std::pin::Pin;

/// A check under way; gives the exchange back unless it is over.
pub(super) type Checking<'a> = Pin<Box<dyn Future<Output = (Check, Checked)> + Send + 'a>>;

impl<'a> Link<'a> {
    /// Begins the check that the machine asks for, of an exchange that may have begun. What fails is counted here, before
    /// its delay: who leaves without waiting for the answer has failed too. So has who proves to be somebody else: that
    /// answer must not come sooner than one to a wrong password, or go uncounted.
    pub(super) fn begin_check(&mut self, under_way: &mut Check) -> Option<Checking<'a>> {
        let (check, relay) = (self.outputs.check.take(), self.outputs.relay.take());
        if check.is_none() && relay.is_none() {
            return None;
        }
        let (asks, before) = (self.asks(), self.machine.subject().principal.clone());
        let (under_way, broker) = (std::mem::replace(under_way, Check::Nothing), self.facts.broker);
        Some(Box::pin(async move {
            let refused = under_way.refused().is_some();
            let (under_way, checked) = match (check, relay) {
                (Some((mechanism, message)), _) => {
                    let exchange = under_way.or_begin(mechanism);
                    match Checked::of_other(exchange.claim(&message).as_deref(), &before) {
                        Some(failed) => (Check::Nothing, failed),
                        None => match verify(asks, exchange, message, true).await {
                            Some((exchange, checked)) => (exchange.map_or(Check::Nothing, Check::Here), checked),
                            None => (Check::Nothing, too_many()),
                        },
                    }
                }
                (None, Some(Relaying::Shake(mechanism))) => {
                    match Relay::open(asks.shared, asks.door, broker, mechanism).await {
                        Ok((relay, shook)) => (Check::Broker(Box::new(relay)), Checked::Shaken(shook)),
                        Err(lost) => (Check::Nothing, lost.into()),
                    }
                }
                (None, Some(Relaying::Message(message))) => match under_way {
                    Check::Broker(mut relay) => {
                        let checked = relay.check(asks, message, Some(&before)).await;
                        (Check::Broker(relay), checked.unwrap_or_else(too_many))
                    }
                    Check::Here(_) | Check::Nothing => (Check::Nothing, nothing_agreed()),
                },
                (None, Some(Relaying::Vouch(mechanism, message))) => {
                    let exchange = under_way.or_begin(mechanism);
                    match verify(asks, exchange, message.clone(), true).await {
                        Some((_, Checked::Proved { login, .. })) => (Check::Nothing, Checked::Vouched(login, message)),
                        Some((exchange, checked)) => (exchange.map_or(Check::Nothing, Check::Here), checked),
                        None => (Check::Nothing, too_many()),
                    }
                }
                (None, Some(Relaying::Settle(checked))) => (Check::Nothing, checked),
                (None, None) => (Check::Nothing, nothing_agreed()),
            };
            let checked = checked.of_same(&before);
            let failed = checked.is_failure();
            // Told already, and counted then, where it had to be answered once more.
            if !refused && (failed || under_way.refused().is_some()) {
                count_failure(asks);
            }
            if failed {
                tokio::time::sleep(asks.door.login.delay).await;
            }
            (if checked.goes_on() { under_way } else { Check::Nothing }, checked)
        }))
    }

    fn asks(&self) -> Asks<'a> {
        Asks { shared: self.shared, door: self.door, address: self.facts.host.source() }
    }

    /// Counts a login again that failed without a check: nothing else ends a connection for that reason here.
    pub(super) fn note_failed_renewal(&self, reason: CloseReason) {
        if reason == CloseReason::LoginFailed && !self.check_failed {
            count_failure(self.asks());
        }
    }

    /// Tells that the client logged in again, if it did.
    pub(super) fn note_renewal(&mut self) {
        if std::mem::take(&mut self.outputs.renewed) {
            self.door.metrics.login(LoginOutcome::Renewed);
            let subject = self.machine.subject();
            self.recorder.renewed(subject, dropped_groups(subject, self.door).as_deref(), self.shared.now().wall);
        }
    }
}

fn too_many() -> Checked {
    Checked::Failed { told: TOO_MANY.to_owned(), detail: TOO_MANY.to_owned() }
}

fn nothing_agreed() -> Checked {
    let detail = "a message before a mechanism was agreed".to_owned();
    Checked::Failed { told: detail.clone(), detail }
}

fn count_failure(Asks { shared, door, address }: Asks<'_>) {
    door.metrics.login(LoginOutcome::RenewalFailed);
    shared.failures.count(address);
}

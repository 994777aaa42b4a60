//! A client logs in again on its connection (KIP-368): its messages are checked as those of a login.

use super::Link;
use crate::identity::sasl::Exchange;
use crate::model::CloseReason;
use crate::net::login::{Asks, TOO_MANY, verify};
use crate::session::Checked;
use crate::telemetry::LoginOutcome;
use std::future::Future;
use std::pin::Pin;

/// A check under way; gives the exchange back unless it is over.
pub(super) type Checking<'a> = Pin<Box<dyn Future<Output = (Option<Exchange>, Checked)> + Send + 'a>>;

impl<'a> Link<'a> {
    /// Begins the check that the machine asks for, of an exchange that may have begun. What fails is counted here, before
    /// its delay: who leaves without waiting for the answer has failed too. So has who proves to be somebody else: that
    /// answer must not come sooner than one to a wrong password, or go uncounted.
    pub(super) fn begin_check(&mut self, under_way: &mut Option<Exchange>) -> Option<Checking<'a>> {
        let (mechanism, message) = self.outputs.check.take()?;
        let exchange = under_way.take().unwrap_or_else(|| Exchange::new(mechanism));
        let before = self.machine.subject().principal.clone();
        let asks = self.asks();
        Some(Box::pin(async move {
            let verified = verify(asks, exchange, message, true).await;
            let (exchange, checked) = verified
                .unwrap_or_else(|| (None, Checked::Failed { told: TOO_MANY.to_owned(), detail: TOO_MANY.to_owned() }));
            let checked = checked.of_same(&before);
            if checked.is_failure() {
                count_failure(asks);
                tokio::time::sleep(asks.door.login.delay).await;
            }
            (exchange, checked)
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
            self.recorder.renewed(self.machine.subject(), self.shared.now().wall);
        }
    }
}

fn count_failure(Asks { shared, door, address }: Asks<'_>) {
    door.metrics.login(LoginOutcome::RenewalFailed);
    shared.failures.count(address);
}

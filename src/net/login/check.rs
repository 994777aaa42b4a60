//! The check of one message of a login, where it holds nobody up.

use crate::identity::sasl::{Against, Exchange, Turn};
use crate::model::{CloseReason, Mechanism};
use crate::net::relay::Relay;
use crate::net::shared::{Door, Shared};
use crate::session::Checked;
use crate::telemetry::LoginOutcome;
use bytes::Bytes;
use rand::distr::{Alphanumeric, SampleString as _};
use std::net::IpAddr;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Characters of a server's nonce; each holds almost 6 bits.
const NONCE: usize = 32;

/// Who asks for a check.
#[derive(Copy, Clone)]
pub(in crate::net) struct Asks<'a> {
    pub(in crate::net) shared: &'a Shared,
    pub(in crate::net) door: &'a Door,
    pub(in crate::net) address: IpAddr,
}

/// Checks a message where it holds no other connection up; `again`: of a client that is logged in. Gives the exchange back
/// unless it is over; nothing at all of a first login from an address where too many failed meanwhile. How often others
/// failed from there is nothing to who is logged in: a client fails once in each of its connections, and many may share an
/// address.
pub(in crate::net) async fn verify(
    Asks { shared, door, address }: Asks<'_>,
    mut exchange: Exchange,
    message: Bytes,
    again: bool,
) -> Option<(Option<Exchange>, Checked)> {
    let mechanism = exchange.mechanism();
    let (failures, most) = (&shared.failures, door.login.per_minute);
    let is_worth_it = || again || !failures.too_many(address, most);
    let costly = exchange.is_costly();
    // Whether a key that the message needs was asked for.
    let mut asked = false;
    loop {
        let (users, tokens) = (Arc::clone(&door.worlds.borrow().users), shared.issuers.tokens());
        let (now, nonce) = (shared.now().wall, Alphanumeric.sample_string(&mut rand::rng(), NONCE));
        let message = message.clone();
        let check = move || {
            let turn = exchange.take(&message, &Against { users: &users, tokens: &tokens, asked, nonce: &nonce, now });
            (exchange, turn)
        };
        let checked = if costly {
            checked(&shared.checks, is_worth_it, check).await
        } else {
            // Some hashes, or a signature: less than to ask another thread.
            is_worth_it().then(|| Ok(check()))
        };
        return Some(match checked? {
            Err(error) => (None, Checked::Failed { told: "the proxy failed".to_owned(), detail: error.to_string() }),
            Ok((exchange, Ok(Turn::Challenge(bytes)))) => (Some(exchange), Checked::Challenge(bytes)),
            Ok((_, Ok(Turn::Proved { login, last }))) => (None, Checked::Proved { login, last, lifetime: None }),
            Ok((under_way, Ok(Turn::Wants(wanted)))) => match shared.issuers.ask(wanted).await {
                Ok(()) => {
                    (exchange, asked) = (under_way, true);
                    continue;
                }
                Err(detail) => {
                    // The client learns nothing, but it is a login that did not come about.
                    let outcome = if again { LoginOutcome::RenewalFailed } else { LoginOutcome::Failed };
                    door.metrics.login(outcome);
                    (None, Checked::Lost { reason: CloseReason::KeysUnavailable, detail })
                }
            },
            Ok((_, Err(error))) => {
                (None, Checked::Failed { told: error.told(mechanism, again), detail: error.to_string() })
            }
        });
    }
}

/// Who checks the messages of a login.
pub(in crate::net) enum Check {
    /// Nothing was agreed yet, or it is over.
    Nothing,
    /// The proxy.
    Here(Exchange),
    /// A broker.
    Broker(Box<Relay>),
}

impl Check {
    /// The check under way, or one that begins.
    pub(in crate::net) fn or_begin(self, mechanism: Mechanism) -> Exchange {
        match self {
            Self::Here(exchange) => exchange,
            Self::Broker(_) | Self::Nothing => Exchange::new(mechanism),
        }
    }

    /// As [`Exchange::claim`]; by this mechanism if nothing has begun.
    pub(super) fn claim(&self, mechanism: Mechanism, message: &[u8]) -> Option<String> {
        match self {
            Self::Here(exchange) => exchange.claim(message),
            Self::Broker(relay) => relay.claim(message),
            Self::Nothing => Exchange::new(mechanism).claim(message),
        }
    }

    /// As [`Exchange::refused`], in words.
    pub(in crate::net) fn refused(&self) -> Option<String> {
        match self {
            Self::Here(exchange) => exchange.refused().map(ToString::to_string),
            Self::Broker(relay) => relay.refused(),
            Self::Nothing => None,
        }
    }
}

/// Does a check when its turn has come, unless it is no longer worth it by then. It keeps its place until it has ended, also
/// when nobody waits for it any more: who gives up early must not make room for more checks than there are cores.
async fn checked<T: Send + 'static>(
    checks: &Arc<Semaphore>,
    is_worth_it: impl Fn() -> bool,
    check: impl FnOnce() -> T + Send + 'static,
) -> Option<Result<T, tokio::task::JoinError>> {
    // The semaphore is never closed.
    let place = Arc::clone(checks).acquire_owned().await.ok();
    if !is_worth_it() {
        return None;
    }
    let checking = tokio::task::spawn_blocking(move || {
        let result = check();
        drop(place);
        result
    });
    Some(checking.await)
}

/// What password checks share: one at once for every two cores, so that a storm of logins leaves requests the others. With
/// one core they share it.
pub fn checks() -> Arc<Semaphore> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    Arc::new(Semaphore::new((cores / 2).max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::time::Duration;

    #[tokio::test]
    async fn a_check_that_nobody_waits_for_keeps_its_place_until_it_ends() {
        let checks = Arc::new(Semaphore::new(1));
        let (go_on, waits) = mpsc::channel::<()>();
        let (says, begun) = mpsc::channel();
        let check = checked(
            &checks,
            || true,
            move || {
                says.send(()).unwrap();
                waits.recv()
            },
        );
        assert!(tokio::time::timeout(Duration::ZERO, check).await.is_err(), "its login gave up");
        begun.recv().unwrap();
        assert_eq!(checks.available_permits(), 0);
        go_on.send(()).unwrap();
        let next = checked(&checks, || true, || 7).await;
        assert!(matches!(next, Some(Ok(7))), "then the next has its turn");
    }

    #[tokio::test]
    async fn a_check_whose_address_failed_too_often_meanwhile_is_not_made() {
        let checks = Arc::new(Semaphore::new(1));
        let never = || panic!("it is made");
        assert!(checked(&checks, || false, never).await.is_none());
        assert_eq!(checks.available_permits(), 1);
    }
}

//! Who asks, and over which connection.

use super::{Host, Principal};
use std::net::SocketAddr;
use std::sync::Arc;

/// A value whose origin was proved: only an identity mechanism makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified<T>(T);

impl<T> Verified<T> {
    /// Wraps what a mechanism has proved. Called by `identity` and nowhere else (`tests/architecture.rs` holds this).
    pub fn proved(value: T) -> Self {
        Self(value)
    }

    /// The value.
    pub fn get(&self) -> &T {
        &self.0
    }
}

/// Who asks: a proved principal and the groups that its identity source claims for it.
/// Static groups of the policy are added by the policy when it decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The principal.
    pub principal: Principal,
    /// Names of groups (without `Group:`) from the identity source, sorted.
    pub groups: Arc<[Arc<str>]>,
    /// Whether a group of these counts although the policy declares one of that name: the source is then as much the
    /// operator's own as the policy is. Otherwise such a claim is as good as not made (threat 24).
    pub may_merge: bool,
    /// Whether the policy's super users and operators count for this connection (`listeners[].super_users`).
    pub may_be_super: bool,
}

/// Facts of a client connection that decisions and audit events name. Immutable but for what ApiVersions tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Unique within the process: `s-` and a hexadecimal number.
    pub session_id: Arc<str>,
    /// The listener's name.
    pub listener: Arc<str>,
    /// Where the client comes from.
    pub host: Host,
    /// The client's port.
    pub port: u16,
    /// `PLAINTEXT`, `SASL_PLAINTEXT/PLAIN`, … as audit events name it.
    pub mechanism: Arc<str>,
    /// The broker that this connection is for; `None` on a bootstrap port.
    pub broker: Option<i32>,
    /// Whether the client logged in at the broker by itself, so that the broker sees its principal and not the proxy's.
    pub relayed: bool,
}

impl Connection {
    /// The client's address and port, if they are known.
    pub fn address(&self) -> Option<SocketAddr> {
        Some(SocketAddr::new(self.host.ip()?, self.port))
    }
}

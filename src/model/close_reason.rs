//! Why a client connection ended: one reason each, in log, metric and audit.

use std::fmt;

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident = $word:literal, $help:literal;)+) => {
        /// Why a client connection ended.
        // FROZEN: the words stand in metrics and audit events; pinned by `words_are_frozen`.
        #[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum CloseReason {
            $(#[doc = $help] $(#[$doc])* $variant,)+
        }

        impl CloseReason {
            /// Every reason, in the order of [`CloseReason::index`].
            pub const EVERY: &'static [Self] = &[$(Self::$variant,)+];

            /// The word in metrics, log and audit.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }

            /// One line for people.
            pub const fn help(self) -> &'static str {
                match self { $(Self::$variant => $help,)+ }
            }
        }
    };
}

reasons! {
    ClientEof = "client_eof", "the client closed the connection";
    ClientReset = "client_reset", "the client's connection broke: reset, or no longer reachable";
    Idle = "idle", "no request for `limits.idle_timeout` and none unanswered";
    FrameTooLarge = "frame_too_large", "a request is larger than `limits.frame`, or than `limits.frame_before_login` in a login";
    FrameMalformed = "frame_malformed", "the size of a request is negative or too small for a header";
    TlsOnPlaintext = "tls_on_plaintext", "a TLS client connected to a plaintext listener";
    PlaintextOnTls = "plaintext_on_tls", "a client without TLS connected to a listener with it";
    HandshakeFailed = "handshake_failed", "the TLS handshake failed: the log says why";
    TlsFault = "tls_fault", "TLS with the client failed after the handshake: the log says why";
    UnknownApi = "unknown_api", "a request for an API that has no row in the table";
    UnsupportedVersion = "unsupported_version", "a request in a version that is not advertised";
    MalformedRequest = "malformed_request", "a request whose body does not follow its schema";
    Acks0Denied = "acks0_denied", "a produce request without acknowledgement was denied: it has no answer that could say so";
    AuditFull = "audit_full", "no room for audit events for `audit.full_wait`";
    StateUnavailable = "state_unavailable", "the protocol-made ACLs are not known yet, or not confirmed for `state.max_staleness`";
    UpstreamUnreachable = "upstream_unreachable", "the broker could not be reached within `cluster.connect_timeout`";
    UpstreamClosed = "upstream_closed", "the broker closed its connection";
    UpstreamLogin = "upstream_login", "the proxy's login at the broker ended and could not be renewed: the log says why";
    UpstreamMalformed = "upstream_malformed", "an answer of the broker does not follow its schema";
    ResponseTooLarge = "response_too_large", "an answer that has to be changed is larger than `limits.response_in_memory`";
    LoginTimeout = "login_timeout", "no principal known within `limits.login_timeout`, or a login again that took longer";
    LoginFailed = "login_failed", "the login failed";
    KeysUnavailable = "keys_unavailable", "a login by a token whose issuer's keys cannot be had: the log says why";
    HandshakeTimeout = "handshake_timeout", "no TLS handshake, or no PROXY header, within `limits.handshake_timeout`";
    NotFromBalancer = "not_from_balancer", "a connection from outside of the listener's `proxy_protocol`";
    ProxyHeader = "proxy_header", "no PROXY header where one is due, a damaged one, or one where none is due";
    FrameTimeout = "frame_timeout", "no new byte of a begun request for `limits.frame_timeout`";
    NotConnectedRole = "not_connected_role", "the principal holds no role with clusters.connect, or no longer";
    SuperUserListener = "super_user_listener", "a super user or operator on a listener that does not admit them";
    Drain = "drain", "the proxy is stopping";
    TooManyConnections = "too_many_connections", "`limits.connections` or `limits.connections_per_address` is reached, of the process or the listener";
    Displaced = "displaced", "`limits.connections` is reached, and a client that is not known yet gave its place to a newcomer";
    BrokerUnmapped = "broker_unmapped", "a connection to a port, or by a name, whose broker does not exist";
    UnknownServerName = "unknown_server_name", "a TLS client asked for a host name that is neither a broker's nor `advertise`";
    SessionExpired = "session_expired", "the login expired and was not renewed, or is by certificate and cannot be";
    TokenExpired = "token_expired", "the login was by a token that has ended, and the client did not log in again with another";
    LoginRevoked = "login_revoked", "the user who logged in was removed, disabled or expired, or has another password";
    CertificateRevoked = "certificate_revoked", "the client's certificate has ended, or would no longer be taken by the authorities and revocation lists";
    Internal = "internal", "a fault of the proxy itself: please report it with the log";
}

impl CloseReason {
    /// A dense index from 0, for tables by reason.
    pub const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_frozen() {
        let words: Vec<&str> = CloseReason::EVERY.iter().map(|r| r.as_str()).collect();
        assert_eq!(
            words.join(" "),
            "client_eof client_reset idle frame_too_large frame_malformed tls_on_plaintext plaintext_on_tls handshake_failed tls_fault unknown_api \
             unsupported_version malformed_request acks0_denied audit_full state_unavailable upstream_unreachable \
             upstream_closed upstream_login upstream_malformed response_too_large login_timeout login_failed keys_unavailable handshake_timeout not_from_balancer proxy_header frame_timeout \
             not_connected_role super_user_listener drain too_many_connections displaced broker_unmapped unknown_server_name session_expired token_expired login_revoked \
             certificate_revoked internal"
        );
    }

    #[test]
    fn every_reason_has_its_index_and_a_line_of_help() {
        for (i, reason) in CloseReason::EVERY.iter().enumerate() {
            assert_eq!(reason.index(), i);
            assert!(!reason.help().is_empty() && !reason.help().ends_with('.'));
        }
    }
}

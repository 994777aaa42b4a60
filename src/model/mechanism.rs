//! SASL mechanisms that work with a password.

/// A SASL mechanism that works with a password.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum PasswordMechanism {
    /// RFC 4616: the password goes over the wire.
    Plain,
    /// RFC 7677.
    ScramSha256,
    /// RFC 5802 with SHA-512, as Kafka has it.
    ScramSha512,
}

impl PasswordMechanism {
    /// Every mechanism.
    pub const EVERY: [Self; 3] = [Self::Plain, Self::ScramSha256, Self::ScramSha512];

    /// The name in SaslHandshake.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

//! SASL mechanisms, and how tokens are signed.

/// A SASL mechanism by which clients log in.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Mechanism {
    /// With a name and a password.
    Password(PasswordMechanism),
    /// RFC 7628: with a token that somebody else has signed.
    OAuthBearer,
}

impl Mechanism {
    /// PLAIN.
    pub const PLAIN: Self = Self::Password(PasswordMechanism::Plain);
    /// SCRAM-SHA-256.
    pub const SCRAM_SHA_256: Self = Self::Password(PasswordMechanism::ScramSha256);
    /// SCRAM-SHA-512.
    pub const SCRAM_SHA_512: Self = Self::Password(PasswordMechanism::ScramSha512);
    /// Every mechanism.
    pub const EVERY: [Self; 4] = [Self::PLAIN, Self::SCRAM_SHA_256, Self::SCRAM_SHA_512, Self::OAuthBearer];

    /// The name in SaslHandshake.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Password(mechanism) => mechanism.name(),
            Self::OAuthBearer => "OAUTHBEARER",
        }
    }

    /// Whether what a client sends is a secret that lets others log in: it must not go over the wire in clear.
    pub const fn shows_secret(self) -> bool {
        match self {
            Self::Password(PasswordMechanism::Plain) | Self::OAuthBearer => true,
            Self::Password(PasswordMechanism::ScramSha256 | PasswordMechanism::ScramSha512) => false,
        }
    }
}

impl From<PasswordMechanism> for Mechanism {
    fn from(mechanism: PasswordMechanism) -> Self {
        Self::Password(mechanism)
    }
}

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

/// How a token may be signed (RFC 7518, RFC 8037): with a key that its issuer keeps to itself. `none` is no signature, and
/// whoever could check one of the `HS*` could make one: neither can be named.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum TokenAlgorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    Rs384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    Rs512,
    /// RSASSA-PSS with SHA-256.
    Ps256,
    /// RSASSA-PSS with SHA-384.
    Ps384,
    /// RSASSA-PSS with SHA-512.
    Ps512,
    /// ECDSA with P-256 and SHA-256.
    Es256,
    /// ECDSA with P-384 and SHA-384.
    Es384,
    /// EdDSA with Ed25519.
    EdDsa,
}

impl TokenAlgorithm {
    /// Every algorithm, by its name in tokens and keys.
    pub const WORDS: [(&'static str, Self); 9] = [
        ("RS256", Self::Rs256),
        ("RS384", Self::Rs384),
        ("RS512", Self::Rs512),
        ("PS256", Self::Ps256),
        ("PS384", Self::Ps384),
        ("PS512", Self::Ps512),
        ("ES256", Self::Es256),
        ("ES384", Self::Es384),
        ("EdDSA", Self::EdDsa),
    ];

    /// The algorithm of a name; `None` for all that are not served.
    pub fn named(name: &str) -> Option<Self> {
        Self::WORDS.into_iter().find(|(word, _)| *word == name).map(|(_, algorithm)| algorithm)
    }
}

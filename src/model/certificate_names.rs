//! What of a certificate names its client.

/// Where the name of a client stands in its certificate (`certificates.name_from`).
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum NameFrom {
    /// The subject, as Java writes it.
    Subject,
    /// The first DNS name among the subject alternative names.
    SanDns,
    /// The first URI there, as SPIFFE ids are.
    SanUri,
    /// The first address of mail there.
    SanEmail,
}

/// Which attributes of the subject are groups (`certificates.groups_from`).
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum GroupsFrom {
    /// None.
    None,
    /// Organizational units.
    Ou,
    /// Organizations.
    O,
}

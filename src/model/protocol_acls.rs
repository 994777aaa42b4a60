//! Where ACLs live that are made over the protocol.

/// Where ACLs live that Kafka's tools make through the proxy (`policy.protocol_acls`).
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, Default)]
pub enum ProtocolAcls {
    /// Nowhere: the tools are answered as by a broker without an authorizer.
    #[default]
    Disabled,
    /// In the proxy's state topic.
    State,
    /// In the cluster's own authorizer.
    Cluster,
}

impl ProtocolAcls {
    /// The word in the configuration, and before an ACL in audit events.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::State => "state",
            Self::Cluster => "cluster",
        }
    }
}

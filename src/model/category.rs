//! Categories of requests, as the audit sorts them.

/// The category of an API in the audit (audit.md).
// FROZEN: the words are part of the event format and of `kordon.yaml`; pinned by `words_are_frozen`.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Category {
    /// Produce and the calls of a transaction.
    DataWrite,
    /// Fetch and what finds offsets.
    DataRead,
    /// What a member of a group does.
    GroupMember,
    /// What changes a group from outside.
    GroupWrite,
    /// What changes topics.
    TopicWrite,
    /// What changes configuration.
    ConfigWrite,
    /// What changes ACLs.
    AclWrite,
    /// What changes credentials.
    CredentialWrite,
    /// What changes the cluster.
    ClusterWrite,
    /// What only describes or lists.
    Read,
}

impl Category {
    /// Every category, in the order of the documentation.
    pub const EVERY: [Self; 10] = [
        Self::DataWrite,
        Self::DataRead,
        Self::GroupMember,
        Self::GroupWrite,
        Self::TopicWrite,
        Self::ConfigWrite,
        Self::AclWrite,
        Self::CredentialWrite,
        Self::ClusterWrite,
        Self::Read,
    ];

    /// The word in events.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DataWrite => "data_write",
            Self::DataRead => "data_read",
            Self::GroupMember => "group_member",
            Self::GroupWrite => "group_write",
            Self::TopicWrite => "topic_write",
            Self::ConfigWrite => "config_write",
            Self::AclWrite => "acl_write",
            Self::CredentialWrite => "credential_write",
            Self::ClusterWrite => "cluster_write",
            Self::Read => "read",
        }
    }

    /// Whether what is in the category changes something outside of the data path; such decisions are never merged.
    pub const fn is_mutation(self) -> bool {
        match self {
            Self::DataWrite | Self::DataRead | Self::GroupMember | Self::Read => false,
            Self::GroupWrite
            | Self::TopicWrite
            | Self::ConfigWrite
            | Self::AclWrite
            | Self::CredentialWrite
            | Self::ClusterWrite => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_frozen() {
        assert_eq!(
            Category::EVERY.map(Category::as_str).join(" "),
            "data_write data_read group_member group_write topic_write config_write acl_write credential_write cluster_write read"
        );
    }
}

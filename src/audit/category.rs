//! What kind of thing a request does, as audit events and `audit.rules` name it.

use std::fmt;

/// A category of the audit.
// FROZEN: the words stand in events, headers and configuration files; pinned by `words_are_frozen`.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Category {
    /// Records written, transactions driven.
    DataWrite,
    /// Records or offsets of a log read.
    DataRead,
    /// A member of a group does what members do.
    GroupMember,
    /// A group changed from outside.
    GroupWrite,
    /// Topics or their contents made, grown or deleted.
    TopicWrite,
    /// Configuration changed.
    ConfigWrite,
    /// ACLs changed.
    AclWrite,
    /// Credentials or tokens changed.
    CredentialWrite,
    /// The cluster itself changed.
    ClusterWrite,
    /// Only described or listed.
    Read,
}

impl Category {
    /// Every category.
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

    /// The word in events and files.
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

    /// Whether what it names changes the cluster beyond the flow of records: its events are never merged or left out.
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

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_frozen() {
        let words: Vec<_> = Category::EVERY.iter().map(|c| c.as_str()).collect();
        assert_eq!(
            words.join(" "),
            "data_write data_read group_member group_write topic_write config_write acl_write credential_write cluster_write read"
        );
    }
}

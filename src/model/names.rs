//! Names as Kafka's wire carries them.
//!
//! Any string is a name: Kafka authorizes empty and illegal names before it looks at them
//! (`KafkaApis`, Kafka 4.1), so nothing is refused here.

use super::{Resource, ResourceType};
use std::fmt;

/// A name whose type says which kind of resource it is, so a topic is never checked as a group.
pub trait ResourceName<'a>: Copy {
    /// The kind of resource that this name names.
    const TYPE: ResourceType;
    /// The name as it stands on the wire.
    fn as_str(self) -> &'a str;
    /// The resource to authorize.
    fn resource(self) -> Resource<'a> {
        Resource::new(Self::TYPE, self.as_str())
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $kind:expr) => {
        $(#[$doc])*
        #[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name<'a>(pub &'a str);

        impl<'a> ResourceName<'a> for $name<'a> {
            const TYPE: ResourceType = $kind;
            fn as_str(self) -> &'a str {
                self.0
            }
        }

        impl fmt::Display for $name<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.0)
            }
        }
    };
}

name!(
    /// The name of a topic.
    TopicName,
    ResourceType::Topic
);
name!(
    /// The id of a consumer, share or streams group.
    GroupId,
    ResourceType::Group
);
name!(
    /// The transactional id of a producer.
    TransactionalId,
    ResourceType::TransactionalId
);

/// The id of a topic (KIP-516): 16 bytes; all zero means "none".
#[derive(Copy, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct TopicId(pub [u8; 16]);

impl TopicId {
    /// The id that means "no id".
    pub const ZERO: Self = Self([0; 16]);

    /// Whether this is the id that means "no id".
    pub fn is_zero(self) -> bool {
        self == Self::ZERO
    }
}

impl fmt::Display for TopicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, b) in self.0.iter().enumerate() {
            if matches!(i, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{b:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for TopicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

//! Words of the domain: names, principals, operations, resources, hosts, time. No I/O, no clock.

mod broker_host;
mod category;
mod certificate_names;
mod close_reason;
mod host;
mod mechanism;
mod names;
mod operation;
mod principal;
mod protocol_acls;
mod resource;
mod revision;
mod shown;
mod subject;
mod time;

pub use broker_host::BrokerHost;
pub use category::Category;
pub use certificate_names::{GroupsFrom, NameFrom};
pub use close_reason::CloseReason;
pub use host::{Host, unmapped};
pub use mechanism::{Mechanism, PasswordMechanism, TokenAlgorithm};
pub use names::{GroupId, ResourceName, TopicId, TopicName, TransactionalId};
pub use operation::{Operation, OperationSet};
pub use principal::{Principal, PrincipalError};
pub use protocol_acls::ProtocolAcls;
pub use resource::{CLUSTER_NAME, PatternType, Resource, ResourceType};
pub use revision::Revision;
pub use shown::shown;
pub use subject::{Connection, Subject, Verified};
pub use time::{Timestamp, TimestampError};

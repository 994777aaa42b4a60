//! Sets of ACLs: made by chance, given to the broker over the protocol and to the proxy.

use kordon::model::{Operation, PatternType, ResourceType};
use kordon::wire::schema::{create_acls, delete_acls, describe_acls};
use kordon::wire::{ApiKey, Node, Value};

use super::names::{Names, PEOPLE};
use super::rng::Rng;

/// One ACL.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Acl {
    pub kind: ResourceType,
    pub pattern: PatternType,
    pub name: String,
    pub principal: String,
    pub host: &'static str,
    pub operation: Operation,
    pub allow: bool,
}

/// A set for a world: something for everybody, denies over allows, wildcards, prefixes, other hosts, other people.
pub fn generate(names: &Names, rng: &mut Rng) -> Vec<Acl> {
    let mut acls = Vec::new();
    for person in &PEOPLE[1..] {
        // Somebody with most rights meets the narrow denies; somebody with few meets the narrow allows.
        if rng.chance(45) {
            for kind in [ResourceType::Topic, ResourceType::Group, ResourceType::TransactionalId] {
                if rng.chance(80) {
                    let (pattern, name) = rng
                        .pick(&[(PatternType::Prefixed, names.prefix.clone()), (PatternType::Literal, "*".to_owned())]);
                    let operation = Operation::All;
                    let principal = format!("User:{person}");
                    acls.push(Acl { kind, pattern, name, principal, host: "*", operation, allow: true });
                }
            }
        }
        for _ in 0..rng.between(2, 9) {
            let principal = format!("User:{person}");
            acls.push(Acl { principal, ..one(names, rng) });
        }
    }
    for _ in 0..rng.between(0, 8) {
        acls.push(one(names, rng));
    }
    acls.sort();
    acls.dedup();
    acls
}

/// One ACL, for anybody.
pub fn one(names: &Names, rng: &mut Rng) -> Acl {
    use ResourceType::{Cluster, Group, Topic, TransactionalId};
    let kind = rng.weighted(&[(52, Topic), (22, Group), (12, TransactionalId), (14, Cluster)]);
    let own = match kind {
        Topic => {
            let all: Vec<String> =
                names.topics.iter().map(|(name, _)| name.clone()).chain(names.missing.clone()).collect();
            rng.pick(&all)
        }
        Group => rng.pick(&names.groups),
        TransactionalId => rng.pick(&names.transactions),
        Cluster => "kafka-cluster".to_owned(),
        ResourceType::DelegationToken | ResourceType::User => "User:alice".to_owned(),
    };
    let (pattern, name) = match (kind, rng.below(100)) {
        (Cluster, _) | (_, 0..40) => (PatternType::Literal, own),
        (_, 40..62) => {
            let least = names.prefix.len();
            let end = rng.between(least, own.len());
            (PatternType::Prefixed, own[..end].to_owned())
        }
        (_, 62..84) => (PatternType::Literal, "*".to_owned()),
        (_, 84..88) => (PatternType::Prefixed, rng.pick(&["w", "__"]).to_owned()),
        _ => (PatternType::Literal, Some(names.odd(rng)).filter(|odd| !odd.is_empty()).unwrap_or(own)),
    };
    let operations: Vec<Operation> = Operation::supported_by(kind).iter().collect();
    // Brokers keep what means nothing, too.
    let operations = if rng.chance(92) { operations } else { Operation::EVERY.to_vec() };
    let operation = match rng.below(100) {
        0..14 => Operation::All,
        // Not an operation that Kafka's tools know of the cluster, and yet it deletes topics.
        14..17 if kind == Cluster => Operation::Delete,
        _ => rng.pick(&operations),
    };
    let principal = match rng.below(100) {
        0..66 => format!("User:{}", rng.pick(&PEOPLE[1..])),
        66..84 => "User:*".to_owned(),
        84..90 => "User:nobody".to_owned(),
        90..94 => "User:Alice".to_owned(),
        _ => "Group:alice".to_owned(),
    };
    let host = rng.weighted(&[(80, "*"), (12, "127.0.0.1"), (5, "10.9.8.7"), (3, "127.0.0.2")]);
    Acl { kind, pattern, name, principal, host, operation, allow: rng.chance(78) }
}

/// The request that makes these ACLs.
pub fn creation(acls: &[Acl]) -> Node {
    use create_acls::request::{CREATIONS, acl_creation as a};
    let mut request = Node::request(ApiKey::CREATE_ACLS);
    for acl in acls {
        let one = request
            .child(CREATIONS)
            .with(a::RESOURCE_TYPE, acl.kind.code() as i8)
            .with(a::RESOURCE_NAME, acl.name.as_str())
            .with(a::RESOURCE_PATTERN_TYPE, acl.pattern as i8)
            .with(a::PRINCIPAL, acl.principal.as_str())
            .with(a::HOST, acl.host)
            .with(a::OPERATION, acl.operation.code() as i8)
            .with(a::PERMISSION_TYPE, if acl.allow { 3i8 } else { 2 });
        request.push(CREATIONS, one);
    }
    request
}

/// The request that deletes every ACL.
pub fn deletion() -> Node {
    use delete_acls::request::{FILTERS, delete_acls_filter as f};
    let mut request = Node::request(ApiKey::DELETE_ACLS);
    let filter = request
        .child(FILTERS)
        .with(f::RESOURCE_TYPE_FILTER, 1i8)
        .with(f::RESOURCE_NAME_FILTER, Value::Null)
        .with(f::PATTERN_TYPE_FILTER, 1i8)
        .with(f::PRINCIPAL_FILTER, Value::Null)
        .with(f::HOST_FILTER, Value::Null)
        .with(f::OPERATION, 1i8)
        .with(f::PERMISSION_TYPE, 1i8);
    request.push(FILTERS, filter);
    request
}

/// The request that lists every ACL.
pub fn listing() -> Node {
    use describe_acls::request as r;
    Node::request(ApiKey::DESCRIBE_ACLS)
        .with(r::RESOURCE_TYPE_FILTER, 1i8)
        .with(r::RESOURCE_NAME_FILTER, Value::Null)
        .with(r::PATTERN_TYPE_FILTER, 1i8)
        .with(r::PRINCIPAL_FILTER, Value::Null)
        .with(r::HOST_FILTER, Value::Null)
        .with(r::OPERATION, 1i8)
        .with(r::PERMISSION_TYPE, 1i8)
}

/// The policy file of a world: who is a super user, and what holds where no ACL is about a name. All else comes over the
/// protocol.
pub fn policy(everyone: bool) -> String {
    let default = if everyone { "allow_if_no_acl" } else { "deny" };
    format!("version: 1\ndefault: {default}\nsuper_users: [\"User:super\"]\nend: true\n")
}

/// An ACL in a line.
impl std::fmt::Display for Acl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (kind, name, pattern) = (self.kind.name(), &self.name, self.pattern);
        let word = if self.allow { "allow" } else { "deny" };
        write!(f, "{word} {} {:?} on {kind} {name:?} {pattern:?} from {}", self.principal, self.operation, self.host)
    }
}

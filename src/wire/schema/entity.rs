//! Which fields of which message name something that is authorized or must not be shown.

use super::super::api::{ApiKey, apis};
use super::{Entity, FieldDef, Kind, StructDef};

/// What a field names.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EntityKind {
    /// A topic, by name.
    TopicName,
    /// A topic, by id.
    TopicId,
    /// A group.
    GroupId,
    /// A transactional id.
    TransactionalId,
    /// A producer id.
    ProducerId,
    /// A broker id.
    BrokerId,
    /// The host or the port of a node of the cluster.
    Address,
}

/// A field that names something.
#[derive(Clone, Debug)]
pub struct EntityField {
    /// The API.
    pub api: ApiKey,
    /// Whether it is in the response.
    pub response: bool,
    /// Where, `TopicData.PartitionData.Index`.
    pub path: String,
    /// What it names.
    pub kind: EntityKind,
    /// The field.
    pub def: &'static FieldDef,
}

/// Every field of every message that names something, by the annotations of Kafka's definitions and, where those are
/// silent, by type and name: UUIDs called `TopicId…`, fields called `Host`, `Port`, `…Host`, `…Port`.
///
/// Fields that say nothing about themselves (resource names of configs and ACLs, patterns, keys of FindCoordinator,
/// opaque bytes) are not found this way; `enforce` lists those by hand.
pub fn entities() -> Vec<EntityField> {
    let mut found = Vec::new();
    for api in apis() {
        collect(api.key, false, "", api.request.root, &mut found);
        collect(api.key, true, "", api.response.root, &mut found);
    }
    found
}

fn collect(api: ApiKey, response: bool, parent: &str, def: &'static StructDef, found: &mut Vec<EntityField>) {
    for field in def.fields {
        let path = if parent.is_empty() { field.name.to_owned() } else { format!("{parent}.{}", field.name) };
        if let Kind::Struct(inner) | Kind::Array(Kind::Struct(inner)) = &field.kind {
            collect(api, response, &path, inner, found);
        } else if let Some(kind) = kind(field) {
            found.push(EntityField { api, response, path, kind, def: field });
        }
    }
}

fn kind(field: &FieldDef) -> Option<EntityKind> {
    match field.entity {
        Entity::TopicName => return Some(EntityKind::TopicName),
        Entity::GroupId => return Some(EntityKind::GroupId),
        Entity::TransactionalId => return Some(EntityKind::TransactionalId),
        Entity::ProducerId => return Some(EntityKind::ProducerId),
        Entity::BrokerId => return Some(EntityKind::BrokerId),
        Entity::None => {}
    }
    match field.kind {
        Kind::Uuid | Kind::Array(Kind::Uuid) if field.name.starts_with("TopicId") => Some(EntityKind::TopicId),
        Kind::Str | Kind::U16 | Kind::I32 if field.name.ends_with("Host") || field.name.ends_with("Port") => {
            Some(EntityKind::Address)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn every_place_that_the_design_names_is_found() {
        let all = entities();
        let has = |api: ApiKey, response: bool, path: &str, kind: EntityKind| {
            assert!(
                all.iter().any(|e| e.api == api && e.response == response && e.path == path && e.kind == kind),
                "{api} {path}"
            );
        };
        has(ApiKey::PRODUCE, false, "TopicData.Name", EntityKind::TopicName);
        has(ApiKey::PRODUCE, false, "TopicData.TopicId", EntityKind::TopicId);
        has(ApiKey::PRODUCE, false, "TransactionalId", EntityKind::TransactionalId);
        has(ApiKey::PRODUCE, true, "NodeEndpoints.Host", EntityKind::Address);
        has(ApiKey::FETCH, false, "ForgottenTopicsData.TopicId", EntityKind::TopicId);
        has(ApiKey::FETCH, true, "NodeEndpoints.Port", EntityKind::Address);
        has(ApiKey::METADATA, true, "Brokers.Host", EntityKind::Address);
        has(ApiKey::FIND_COORDINATOR, true, "Host", EntityKind::Address);
        has(ApiKey::FIND_COORDINATOR, true, "Coordinators.Port", EntityKind::Address);
        has(ApiKey::DESCRIBE_QUORUM, true, "Nodes.Listeners.Host", EntityKind::Address);
        has(ApiKey::OFFSET_FETCH, false, "Groups.GroupId", EntityKind::GroupId);
    }

    #[test]
    fn the_count_of_each_kind_is_that_of_kafka_4_4() {
        let mut counts = BTreeMap::new();
        for entity in entities() {
            *counts.entry(entity.kind).or_insert(0) += 1;
        }
        let expected = [
            (EntityKind::TopicName, 98),
            (EntityKind::TopicId, 45),
            (EntityKind::GroupId, 32),
            (EntityKind::TransactionalId, 11),
            (EntityKind::ProducerId, 17),
            (EntityKind::BrokerId, 63),
            (EntityKind::Address, 53),
        ];
        assert_eq!(counts, BTreeMap::from(expected));
    }
}

//! What the operation words of the policy file mean: Kafka's operations, virtual ones, IAM permissions, kPow actions.

use super::rights::{Right, Rights};
use crate::model::{Operation as O, ResourceType as T};
use crate::yaml::did_you_mean;

/// What a word means.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// These rights.
    Rights(Rights),
    /// A permission that nothing on Kafka's wire corresponds to: accepted, does nothing.
    NoWireMeaning,
}

/// kPow actions.
const ACTIONS: [(&str, T, &[O], &[Right]); 15] = [
    ("TOPIC_INSPECT", T::Topic, &[O::Read], &[]),
    ("TOPIC_DATA_QUERY", T::Topic, &[O::Read], &[]),
    ("TOPIC_PRODUCE", T::Topic, &[O::Write], &[]),
    ("TOPIC_CREATE", T::Topic, &[O::Create], &[]),
    ("TOPIC_DELETE", T::Topic, &[O::Delete], &[]),
    ("TOPIC_TRUNCATE", T::Topic, &[], &[Right::RecordsDelete]),
    ("TOPIC_EDIT", T::Topic, &[O::Alter, O::AlterConfigs], &[]),
    ("GROUP_EDIT", T::Group, &[O::Describe], &[Right::OffsetsWrite]),
    ("GROUP_DELETE", T::Group, &[O::Delete], &[]),
    ("BROKER_EDIT", T::Cluster, &[], &[Right::BrokerConfigsWrite]),
    ("BROKER_UNREGISTER", T::Cluster, &[], &[Right::BrokersUnregister]),
    ("QUOTA_EDIT", T::Cluster, &[], &[Right::QuotasWrite]),
    ("ACL_EDIT", T::Cluster, &[], &[Right::AclsRead, Right::AclsWrite]),
    ("TOPIC_ELECT_LEADER", T::Cluster, &[], &[Right::LeadersElect]),
    ("TOPIC_ALTER_REPLICAS", T::Cluster, &[], &[Right::ReplicasAlter]),
];

/// IAM permissions with a meaning on the wire.
const PERMISSIONS: [(&str, T, &[O], &[Right]); 17] = [
    ("clusters.get", T::Cluster, &[], &[Right::ClusterRead]),
    (
        "clusters.update",
        T::Cluster,
        &[],
        &[Right::BrokerConfigsWrite, Right::QuotasWrite, Right::LeadersElect, Right::ReplicasAlter],
    ),
    ("topics.list", T::Topic, &[O::Describe], &[]),
    ("topics.get", T::Topic, &[O::Describe, O::DescribeConfigs], &[]),
    ("topics.create", T::Topic, &[O::Create], &[]),
    ("topics.update", T::Topic, &[O::Alter, O::AlterConfigs], &[]),
    ("topics.delete", T::Topic, &[O::Delete], &[]),
    ("consumerGroups.list", T::Group, &[O::Describe], &[]),
    ("consumerGroups.get", T::Group, &[O::Describe, O::DescribeConfigs], &[]),
    ("consumerGroups.create", T::Group, &[O::AlterConfigs], &[Right::OffsetsWrite]),
    ("consumerGroups.update", T::Group, &[O::AlterConfigs], &[Right::OffsetsWrite]),
    ("consumerGroups.delete", T::Group, &[O::Delete], &[]),
    ("acls.get", T::Cluster, &[], &[Right::AclsRead]),
    ("acls.list", T::Cluster, &[], &[Right::AclsRead]),
    ("acls.create", T::Cluster, &[], &[Right::AclsWrite]),
    ("acls.update", T::Cluster, &[], &[Right::AclsWrite]),
    ("acls.delete", T::Cluster, &[], &[Right::AclsWrite]),
];

/// The permission that opens the connect gate.
pub(super) const CONNECT: &str = "clusters.connect";

const NO_MEANING: [&str; 3] = ["clusters.list", "clusters.create", "clusters.delete"];
const NO_MEANING_PREFIXES: [&str; 4] = ["operations.", "locations.", "resourcemanager.", "serviceusage."];

/// What an IAM permission means, written with or without `managedkafka.`.
pub(super) fn permission(word: &str) -> Option<Meaning> {
    let short = word.strip_prefix("managedkafka.").unwrap_or(word);
    if short == CONNECT {
        return Some(Meaning::Rights(Rights::to_connect()));
    }
    if NO_MEANING.contains(&short) || NO_MEANING_PREFIXES.iter().any(|p| short.starts_with(p)) {
        return Some(Meaning::NoWireMeaning);
    }
    row(&PERMISSIONS, short)
}

fn row(table: &[(&str, T, &[O], &[Right])], word: &str) -> Option<Meaning> {
    let (_, kind, ops, own) = table.iter().find(|(name, ..)| *name == word)?;
    Some(Meaning::Rights(Rights::on_kind(*kind, ops, own)))
}

/// What a word of an `allow:` or `deny:` list means.
///
/// # Errors
/// The word is unknown; says what it may have been.
pub(super) fn operation(word: &str) -> Result<Meaning, String> {
    if let Some(op) = O::from_name(word) {
        return Ok(Meaning::Rights(Rights::of_kafka(op)));
    }
    if let Some(right) = Right::EVERY.into_iter().find(|r| r.name() == word) {
        return Ok(Meaning::Rights(Rights::on_kind(right.kind(), &[], &[right])));
    }
    if let Some(meaning) = permission(word).or_else(|| row(&ACTIONS, word)) {
        return Ok(meaning);
    }
    if word == "PRODUCER_EDIT" {
        return Err("`PRODUCER_EDIT` is not served: what it does on Kafka's wire is not defined".to_owned());
    }
    let known = O::EVERY
        .into_iter()
        .map(O::name)
        .chain(Right::EVERY.into_iter().map(Right::name))
        .chain(PERMISSIONS.iter().chain(&ACTIONS).map(|r| r.0));
    let hint = did_you_mean(word, known);
    let hint = if hint.is_empty() {
        ": write one of Kafka's (`Read`, `Write`, `Describe`, …), a virtual one, an iam permission or a kPow action"
            .to_owned()
    } else {
        hint
    };
    Err(format!("`{word}` is not an operation{hint}"))
}

/// What an unknown permission may have been.
pub(super) fn permission_hint(word: &str) -> String {
    did_you_mean(word, PERMISSIONS.iter().map(|r| r.0).chain([CONNECT]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(word: &str, kind: T) -> Vec<&'static str> {
        match operation(word).unwrap() {
            Meaning::Rights(rights) => rights.on(kind).names(),
            Meaning::NoWireMeaning => Vec::new(),
        }
    }

    #[test]
    fn one_word_of_each_family() {
        assert_eq!(names("read", T::Group), ["Read"], "Kafka's tools do not mind the case");
        assert_eq!(names("Write", T::Group), Vec::<&str>::new(), "Write means nothing on groups");
        assert_eq!(names("OffsetsWrite", T::Group), ["OffsetsWrite"]);
        assert_eq!(names("topics.update", T::Topic), ["Alter", "AlterConfigs"]);
        assert_eq!(names("managedkafka.consumerGroups.update", T::Group), ["AlterConfigs", "OffsetsWrite"]);
        assert_eq!(names("GROUP_EDIT", T::Group), ["Describe", "OffsetsWrite"]);
        assert_eq!(operation("locations.list"), Ok(Meaning::NoWireMeaning));
        assert!(matches!(operation(CONNECT), Ok(Meaning::Rights(r)) if r.connect && r.is_empty()));
    }

    #[test]
    fn unknown_words_are_refused_with_advice() {
        assert_eq!(operation("Raed").unwrap_err(), "`Raed` is not an operation, did you mean `Read`?");
        assert!(operation("PRODUCER_EDIT").unwrap_err().contains("not served"));
        assert!(operation("xyz123").unwrap_err().contains("write one of Kafka's"));
        assert_eq!(permission_hint("topic.get"), ", did you mean `topics.get`?");
    }

    #[test]
    fn clusters_get_sees_no_acls_and_no_credentials() {
        assert_eq!(names("clusters.get", T::Cluster), ["ClusterRead"]);
        assert_eq!(
            names("clusters.update", T::Cluster),
            ["LeadersElect", "ReplicasAlter", "BrokerConfigsWrite", "QuotasWrite"]
        );
    }
}

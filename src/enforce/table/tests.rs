use super::*;
use crate::wire::api;

#[test]
fn rows_stand_once_each_in_the_order_of_their_keys() {
    assert!(TABLE.is_sorted_by(|a, b| a.key < b.key), "{:?}", TABLE.iter().map(|row| row.key).collect::<Vec<_>>());
}

#[test]
fn a_range_is_kafkas_or_says_why_it_is_narrower() {
    for row in TABLE {
        let kafka = api(row.key).unwrap();
        assert!(kafka.listeners.broker, "{} is not served by brokers", row.key);
        let same = row.versions == kafka.versions;
        assert_eq!(row.versions.intersect(kafka.versions), row.versions, "{} beyond {}", row.key, kafka.versions);
        assert!(same || !row.narrower.is_empty(), "{}: {} of {}", row.key, row.versions, kafka.versions);
        assert!(row.advertised || !row.narrower.is_empty(), "{}: why not advertised?", row.key);
    }
}

#[test]
fn rows_are_in_the_categories_that_rules_of_the_audit_go_by() {
    let of = |category: Category| {
        let rows = TABLE.iter().filter(|row| row.category == category);
        rows.map(|row| row.key.name()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(of(Category::DataWrite), "Produce InitProducerId AddPartitionsToTxn AddOffsetsToTxn EndTxn");
    assert_eq!(of(Category::DataRead), "Fetch ListOffsets OffsetForLeaderEpoch ShareFetch ShareAcknowledge");
    assert_eq!(
        of(Category::GroupWrite),
        "DeleteGroups OffsetDelete AlterShareGroupOffsets DeleteShareGroupOffsets",
        "and commits in the admin form"
    );
    assert_eq!(
        of(Category::TopicWrite),
        "CreateTopics DeleteTopics DeleteRecords CreatePartitions",
        "and a Metadata that creates"
    );
}

#[test]
fn every_api_of_a_broker_has_a_row() {
    for kafka in crate::wire::apis().iter().filter(|kafka| kafka.listeners.broker && !kafka.versions.is_empty()) {
        assert!(find(kafka.key).is_some(), "{}", kafka.key);
    }
}

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
fn every_api_of_a_broker_has_a_row() {
    for kafka in crate::wire::apis().iter().filter(|kafka| kafka.listeners.broker && !kafka.versions.is_empty()) {
        assert!(find(kafka.key).is_some(), "{}", kafka.key);
    }
}

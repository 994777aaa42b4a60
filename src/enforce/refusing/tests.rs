//! The form of every refusal, as the client reads it: a field that is not shown has its default (0, empty, or null where
//! null is the default of Kafka's definitions).

use crate::enforce::denials::sample;
use crate::enforce::table::{self, TABLE};
use crate::enforce::testing::{Bench, answer};
use crate::policy::ReasonCode;
use crate::wire::{ApiKey, api};

/// API, versions, the first demand that is recorded, and the answer to a filled request.
#[rustfmt::skip]
const FORMS: &[(ApiKey, &[i16], &str, &str)] = &[
    (ApiKey::STREAMS_GROUP_HEARTBEAT, &[0, 1], "Read group:GroupId", r#"StreamsGroupHeartbeatResponse { ErrorCode: 30 }"#),
];

#[test]
fn each_refused_api_is_refused_in_its_own_form() {
    for (key, versions, recorded, form) in FORMS {
        for version in *versions {
            let row = table::row_of(*key, *version).unwrap();
            let mut bench = Bench::acls(&[]);
            let refused = answer(bench.judge(row.rule, *key, *version, &sample(*key)), *key, *version);
            assert_eq!(format!("{refused:?}"), *form, "{key} {version}");
            assert_eq!(bench.decided().first(), Some(&format!("{recorded} denied")), "{key} {version}");
        }
    }
}

#[test]
fn refused_apis_are_refused_to_super_users_too_in_every_version_and_not_advertised() {
    for row in TABLE.iter().filter(|row| row.refused) {
        assert!(FORMS.iter().any(|(key, ..)| *key == row.key), "{} has no form here", row.key);
        for version in row.versions.min..=row.versions.max {
            let mut bench = Bench::acls(&[]).user("root");
            answer(bench.judge(row.rule, row.key, version, &sample(row.key)), row.key, version);
            let records = bench.trail.records();
            assert!(!records.is_empty(), "{}", row.key);
            assert!(records.iter().all(|r| r.decision.code() == ReasonCode::UnsupportedApi && !r.probe));
        }
        let served = api(row.key).unwrap().versions;
        assert_eq!((row.versions.min, row.versions.max), (served.min, served.max), "{}", row.key);
    }
    assert!(FORMS.iter().all(|(key, ..)| table::find(*key).unwrap().refused));
}

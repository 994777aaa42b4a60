//! Logs that the proxy itself reads: record batches, and the records of the state topic.

use crate::allocator::within;
use crate::input::{Input, damage};
use kordon::access::record::{self, ChangeBy, Record};
use kordon::cluster::batch::{Builder, Record as Written, Stamp};
use kordon::cluster::records;
use kordon::model::{Operation, PatternType, ResourceType};
use kordon::policy::{AclBinding, Permission};
use std::sync::Arc;

fn some_text(input: &mut Input<'_>) -> String {
    let len = input.below(24);
    String::from_utf8_lossy(input.take(len)).into_owned()
}

fn by(input: &mut Input<'_>) -> Arc<ChangeBy> {
    Arc::new(ChangeBy {
        principal: some_text(input),
        address: "10.0.0.1:5".to_owned(),
        client_id: None,
        listener: some_text(input),
        instance: "i".to_owned(),
    })
}

fn acl(input: &mut Input<'_>) -> AclBinding {
    AclBinding {
        kind: [ResourceType::Topic, ResourceType::Group, ResourceType::Cluster][input.below(3)],
        pattern: [PatternType::Literal, PatternType::Prefixed][input.below(2)],
        name: some_text(input),
        principal: some_text(input),
        host: some_text(input),
        operation: [Operation::Read, Operation::All, Operation::Alter][input.below(3)],
        permission: [Permission::Allow, Permission::Deny][input.below(2)],
    }
}

pub(super) fn records(data: &[u8]) {
    let mut input = Input(data);
    let (values, harm, from) = (input.below(5), input.below(5), i64::from(input.byte()));
    let mut log = Vec::new();
    for base in 0..1 + input.below(3) as i64 {
        let mut builder = Builder::default();
        for _ in 0..values {
            let encoded = record::acl(&acl(&mut input), input.one_in(2), &by(&mut input), "2026-01-01T00:00:00Z");
            let (key, value) = (encoded.key.as_slice(), encoded.value.as_slice());
            builder.push(Written { timestamp: 1, key: Some(key), value: Some(value), headers: &[("h", b"x")] });
        }
        let mut batch = builder.finish(Stamp { producer: 1, epoch: 0, sequence: 0 });
        batch[..8].copy_from_slice(&(base * 10).to_be_bytes());
        log.extend(batch);
    }
    damage(&mut log, &mut input, harm);
    let read = within(1024, 64, log.len(), || records::read(&log, from));
    if let Ok(read) = read {
        assert!(read.records.iter().all(|record| record.offset >= from));
        assert!(read.records.len() <= log.len());
    }
}

/// A record of the state topic, of which whole policies are made: read as it was written, or refused.
pub(super) fn state(data: &[u8]) {
    let mut input = Input(data);
    let (acl, by, present) = (acl(&mut input), by(&mut input), input.one_in(2));
    let mut encoded = record::acl(&acl, present, &by, "2026-01-01T00:00:00Z");
    let harm = input.below(5);
    damage(if input.one_in(2) { &mut encoded.key } else { &mut encoded.value }, &mut input, harm);
    let size = encoded.key.len() + encoded.value.len();
    match within(8 * 1024, 256, size, || record::decode(&encoded.key, &encoded.value)) {
        Ok(Record::Acl { acl, present, by }) => {
            let again = record::acl(&acl, present, &by, "2026-01-01T00:00:00Z");
            assert_eq!(again.key, encoded.key, "one ACL, one key: else it could not be taken back");
            assert_eq!(record::decode(&again.key, &again.value), Ok(Record::Acl { acl, present, by }));
        }
        Ok(Record::Genesis(_) | Record::Fence) => assert!(harm > 0),
        Err(_) => {
            assert!(harm > 0 || acl.name.is_empty() || !acl.principal.contains(':'), "{acl:?} cannot be read back")
        }
    }
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = record::decode(b"acl", text.as_bytes());
    }
}

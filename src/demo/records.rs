//! Record batches, read: only what is not compressed.
//!
//! Source: `org.apache.kafka.common.record.DefaultRecordBatch` and `DefaultRecord`, Kafka 4.1.

use bytes::{Buf, Bytes};

/// Where the length stands in a batch, and where it counts from.
const BEFORE_LENGTH: usize = 12;
/// Bytes of a batch before its first record.
const HEADER: usize = 61;

/// A record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) offset: i64,
    pub(super) value: Bytes,
}

/// The records of whole batches, and the offset after the last; a batch that is cut off ends it.
pub(super) fn read(mut batches: Bytes) -> (Vec<Record>, Option<i64>) {
    let (mut records, mut next) = (Vec::new(), None);
    while let Some(mut batch) = batch(&mut batches) {
        let base = batch.get_i64();
        batch.advance(13);
        let compressed = batch.get_i16() & 0x07 != 0;
        let last = batch.get_i32();
        batch.advance(HEADER - 27);
        next = base.checked_add(i64::from(last)).and_then(|last| last.checked_add(1));
        while !compressed && let Some((delta, value)) = record(&mut batch) {
            records.push(Record { offset: base.saturating_add(delta), value });
        }
    }
    (records, next)
}

/// The first batch, which has at least a header.
fn batch(batches: &mut Bytes) -> Option<Bytes> {
    let length = i32::from_be_bytes(*batches.get(8..)?.first_chunk()?);
    let whole = usize::try_from(length).ok()?.checked_add(BEFORE_LENGTH)?;
    (whole >= HEADER && whole <= batches.len()).then(|| batches.split_to(whole))
}

/// Offset, counted from the batch's, and value of the first record.
fn record(batch: &mut Bytes) -> Option<(i64, Bytes)> {
    let length = usize::try_from(varint(batch)?).ok()?;
    let mut record = (length <= batch.len()).then(|| batch.split_to(length))?;
    record.try_get_i8().ok()?;
    varint(&mut record)?;
    let delta = varint(&mut record)?;
    bytes(&mut record)?;
    Some((delta, bytes(&mut record)?.unwrap_or_default()))
}

/// Bytes behind their length; none inside if the length is negative.
fn bytes(from: &mut Bytes) -> Option<Option<Bytes>> {
    let Ok(length) = usize::try_from(varint(from)?) else { return Some(None) };
    (length <= from.len()).then(|| Some(from.split_to(length)))
}

/// A zigzag varint.
fn varint(from: &mut Bytes) -> Option<i64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = from.try_get_u8().ok()?;
        value |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            let half = i64::try_from(value >> 1).ok()?;
            return Some(if value & 1 == 0 { half } else { -half - 1 });
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::batch::{Builder, Record as Written, Stamp};

    fn written(values: &[&[u8]]) -> Vec<u8> {
        let mut builder = Builder::default();
        for value in values {
            builder.push(Written { timestamp: 5, key: Some(b"k"), value: Some(value), headers: &[("h", b"v")] });
        }
        builder.finish(Stamp { producer: -1, epoch: -1, sequence: -1 })
    }

    #[test]
    fn records_are_read_as_they_were_written() {
        let mut two = written(&[b"a", b"b"]);
        two[..8].copy_from_slice(&7_i64.to_be_bytes());
        let mut both = written(&[b"long enough"]);
        both.extend(&two);
        let (records, next) = read(both.into());
        let read: Vec<(i64, &[u8])> = records.iter().map(|r| (r.offset, &r.value[..])).collect();
        assert_eq!(read, [(0, &b"long enough"[..]), (7, b"a"), (8, b"b")]);
        assert_eq!(next, Some(9));
    }

    #[test]
    fn what_is_cut_off_or_damaged_ends_without_harm() {
        let whole = written(&[b"value"]);
        for end in 0..whole.len() {
            assert_eq!(read(Bytes::copy_from_slice(&whole[..end])), (Vec::new(), None));
        }
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 0xff;
            read(damaged.into());
        }
    }
}

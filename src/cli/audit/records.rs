//! Values of the records in a Fetch answer: record batches, format 2.
//! Source: `org.apache.kafka.common.record.DefaultRecordBatch` and `DefaultRecord`, Kafka 4.1.

/// What a fetched piece of a log holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Records<'b> {
    /// Values at or behind the offset that was asked for, in order.
    pub(super) values: Vec<&'b [u8]>,
    /// The offset to ask for next; `None` if no batch is whole.
    pub(super) next: Option<i64>,
}

/// The piece cannot be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum RecordsError {
    /// The topic, or its producer, compresses.
    #[error("the records are compressed: set the topic's `compression.type` to `uncompressed`")]
    Compressed,
    /// Not batches of format 2.
    #[error("the records are malformed at offset {0}")]
    Malformed(i64),
}

/// Reads whole batches; the last one may be cut off, as brokers cut it.
pub(super) fn read(mut log: &[u8], from: i64) -> Result<Records<'_>, RecordsError> {
    let mut records = Records::default();
    while let Some((offset, batch, rest)) = split_batch(log) {
        let malformed = || RecordsError::Malformed(offset);
        let mut cursor = Cursor(batch);
        cursor.skip(4).ok_or_else(malformed)?;
        if cursor.byte() != Some(2) {
            return Err(malformed());
        }
        cursor.skip(4).ok_or_else(malformed)?;
        let attributes = i16::from_be_bytes(cursor.array().ok_or_else(malformed)?);
        let last = i32::from_be_bytes(cursor.array().ok_or_else(malformed)?);
        cursor.skip(8 + 8 + 8 + 2 + 4).ok_or_else(malformed)?;
        let count = i32::from_be_bytes(cursor.array().ok_or_else(malformed)?);
        if attributes & 0b111 != 0 {
            return Err(RecordsError::Compressed);
        }
        // A control batch marks the end of a transaction and holds no event.
        if attributes & 0b10_0000 == 0 {
            for _ in 0..count {
                let (delta, value) = cursor.record().ok_or_else(malformed)?;
                if offset.saturating_add(delta) >= from {
                    records.values.extend(value);
                }
            }
        }
        records.next = Some(offset.saturating_add(i64::from(last)).saturating_add(1));
        log = rest;
    }
    Ok(records)
}

/// Base offset and the bytes behind the length of the first batch, and what follows it.
fn split_batch(log: &[u8]) -> Option<(i64, &[u8], &[u8])> {
    let mut cursor = Cursor(log);
    let offset = i64::from_be_bytes(cursor.array()?);
    let length = usize::try_from(i32::from_be_bytes(cursor.array()?)).ok()?;
    let (batch, rest) = cursor.0.split_at_checked(length)?;
    Some((offset, batch, rest))
}

struct Cursor<'b>(&'b [u8]);

impl<'b> Cursor<'b> {
    fn take(&mut self, n: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(taken)
    }

    fn skip(&mut self, n: usize) -> Option<()> {
        self.take(n).map(|_| ())
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn varint(&mut self) -> Option<i64> {
        let mut raw = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            raw |= u64::from(byte & 0x7f).checked_shl(shift)?;
            if byte & 0x80 == 0 {
                let (half, sign) = (i64::try_from(raw >> 1).ok()?, i64::from(byte_of(raw)));
                return Some(half ^ -sign);
            }
        }
        None
    }

    /// Bytes with their length before them; `None` inside for -1.
    fn bytes(&mut self) -> Option<Option<&'b [u8]>> {
        match self.varint()? {
            -1 => Some(None),
            n => Some(Some(self.take(usize::try_from(n).ok()?)?)),
        }
    }

    /// Offset delta and value.
    fn record(&mut self) -> Option<(i64, Option<&'b [u8]>)> {
        let length = usize::try_from(self.varint()?).ok()?;
        let mut inside = Cursor(self.take(length)?);
        inside.skip(1)?;
        inside.varint()?;
        let delta = inside.varint()?;
        inside.bytes()?;
        Some((delta, inside.bytes()?))
    }
}

/// The lowest bit: the sign of a zigzag number.
const fn byte_of(raw: u64) -> bool {
    raw & 1 == 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::batch::{Builder, Record, Stamp};
    use proptest::prelude::*;

    fn batch(base: i64, values: &[&[u8]]) -> Vec<u8> {
        let mut builder = Builder::default();
        for value in values {
            builder.push(Record { timestamp: 1_700_000_000_000, key: Some(b"k"), value, headers: &[("h", b"x")] });
        }
        let mut bytes = builder.finish(Stamp { producer: 1, epoch: 0, sequence: 0 });
        bytes[..8].copy_from_slice(&base.to_be_bytes());
        bytes
    }

    #[test]
    fn values_from_the_asked_offset_on_are_read() {
        let long = [b'x'; 300];
        let log = [batch(10, &[b"a", b"b", &long]), batch(13, &[b"d"])].concat();
        assert_eq!(read(&log, 11), Ok(Records { values: vec![b"b", &long, b"d"], next: Some(14) }));
    }

    #[test]
    fn a_batch_that_is_cut_off_is_left_for_the_next_time() {
        let log = [batch(10, &[b"a"]), batch(11, &[b"b"])].concat();
        for cut in 1..60 {
            assert_eq!(read(&log[..log.len() - cut], 0), Ok(Records { values: vec![b"a"], next: Some(11) }));
        }
        assert_eq!(read(&[], 0), Ok(Records::default()));
    }

    #[test]
    fn what_cannot_be_read_is_told() {
        let mut log = batch(10, &[b"a"]);
        log[22] = 1;
        assert_eq!(read(&log, 0), Err(RecordsError::Compressed));
        log[16] = 1;
        assert_eq!(read(&log, 0), Err(RecordsError::Malformed(10)));
    }

    #[test]
    fn the_end_of_a_transaction_is_no_event() {
        let mut log = batch(10, &[b"a"]);
        log[22] = 0b11_0000;
        assert_eq!(read(&log, 0), Ok(Records { values: vec![], next: Some(11) }));
    }

    proptest! {
        #[test]
        fn damaged_bytes_do_no_harm(at in 0_usize..140, byte: u8, cut in 0_usize..140) {
            let mut log = [batch(0, &[b"abc", b"d"]), batch(2, &[b"e"])].concat();
            if let Some(b) = log.get_mut(at) { *b = byte; }
            log.truncate(log.len().saturating_sub(cut));
            let _ = read(&log, 0);
        }
    }
}

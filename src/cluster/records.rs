//! The records in a Fetch answer: record batches, format 2, uncompressed.
//! Source: `org.apache.kafka.common.record.DefaultRecordBatch` and `DefaultRecord`, Kafka 4.1.

/// What a fetched piece of a log holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Records<'b> {
    /// Records at or behind the offset that was asked for, in order.
    pub records: Vec<Read<'b>>,
    /// The offset to ask for next; `None` if no batch is whole.
    pub next: Option<i64>,
}

/// One record of a log.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Read<'b> {
    /// Where it stands.
    pub offset: i64,
    /// Milliseconds since 1970: the broker's clock if the topic has LogAppendTime, else the producer's.
    pub timestamp: i64,
    /// The key.
    pub key: Option<&'b [u8]>,
    /// The value; `None` is a tombstone.
    pub value: Option<&'b [u8]>,
}

/// The piece cannot be read.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordsError {
    /// The topic, or its producer, compresses.
    #[error("the records at offset {0} are compressed: set the topic's `compression.type` to `uncompressed`")]
    Compressed(i64),
    /// Not batches of format 2, or not as they were written.
    #[error("the records are malformed at offset {0}")]
    Malformed(i64),
}

/// Where the offset of the last record stands, counted from behind the length.
const LAST_OFFSET: usize = 11;
const COMPRESSED: i16 = 0b111;
const LOG_APPEND_TIME: i16 = 0b1000;
const CONTROL: i16 = 0b10_0000;

/// Reads whole batches, and checks their CRC; the last one may be cut off, as brokers cut it.
///
/// # Errors
/// The first batch that cannot be read; what stands before it is lost with it.
pub fn read(mut log: &[u8], from: i64) -> Result<Records<'_>, RecordsError> {
    let mut read = Records::default();
    while let Some((offset, batch, rest)) = split_batch(log) {
        let malformed = || RecordsError::Malformed(offset);
        let mut cursor = Cursor(batch);
        cursor.skip(4).ok_or_else(malformed)?;
        if cursor.byte() != Some(2) {
            return Err(malformed());
        }
        let crc = u32::from_be_bytes(cursor.array().ok_or_else(malformed)?);
        if crc32c::crc32c(cursor.0) != crc {
            return Err(malformed());
        }
        let attributes = i16::from_be_bytes(cursor.array().ok_or_else(malformed)?);
        let last = i32::from_be_bytes(cursor.array().ok_or_else(malformed)?);
        let first_time = i64::from_be_bytes(cursor.array().ok_or_else(malformed)?);
        let max_time = i64::from_be_bytes(cursor.array().ok_or_else(malformed)?);
        cursor.skip(8 + 2 + 4).ok_or_else(malformed)?;
        let count = i32::from_be_bytes(cursor.array().ok_or_else(malformed)?);
        // A control batch marks the end of a transaction and holds nothing that somebody wrote.
        if attributes & CONTROL == 0 {
            if attributes & COMPRESSED != 0 {
                return Err(RecordsError::Compressed(offset));
            }
            for _ in 0..count {
                let within = cursor.record().ok_or_else(malformed)?;
                let at = offset.saturating_add(within.offset);
                let appended = attributes & LOG_APPEND_TIME != 0;
                let timestamp = if appended { max_time } else { first_time.saturating_add(within.timestamp) };
                if at >= from {
                    read.records.push(Read { offset: at, timestamp, ..within });
                }
            }
        }
        read.next = Some(offset.saturating_add(i64::from(last)).saturating_add(1));
        log = rest;
    }
    Ok(read)
}

/// The offset behind the last whole batch, whatever is in it; `None` if no batch is whole.
pub fn end(mut log: &[u8]) -> Option<i64> {
    let mut end = None;
    while let Some((offset, batch, rest)) = split_batch(log) {
        let last = Cursor(batch.get(LAST_OFFSET..)?).array().map(i32::from_be_bytes)?;
        end = offset.checked_add(i64::from(last)).and_then(|last| last.checked_add(1));
        log = rest;
    }
    end
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

    /// A record whose offset and time count from those of its batch.
    fn record(&mut self) -> Option<Read<'b>> {
        let length = usize::try_from(self.varint()?).ok()?;
        let mut inside = Cursor(self.take(length)?);
        inside.skip(1)?;
        let timestamp = inside.varint()?;
        let offset = inside.varint()?;
        Some(Read { offset, timestamp, key: inside.bytes()?, value: inside.bytes()? })
    }
}

/// The lowest bit: the sign of a zigzag number.
const fn byte_of(raw: u64) -> bool {
    raw & 1 == 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::batch::{Builder, Record, Stamp, restamp};
    use proptest::prelude::*;

    const STAMP: Stamp = Stamp { producer: 1, epoch: 0, sequence: 0 };
    const TIME: i64 = 1_700_000_000_000;

    fn batch(base: i64, values: &[&[u8]]) -> Vec<u8> {
        let mut builder = Builder::default();
        for value in values {
            builder.push(Record { timestamp: TIME, key: Some(b"k"), value: Some(value), headers: &[("h", b"x")] });
        }
        let mut bytes = builder.finish(STAMP);
        bytes[..8].copy_from_slice(&base.to_be_bytes());
        bytes
    }

    fn record(offset: i64, value: &[u8]) -> Read<'_> {
        Read { offset, timestamp: TIME, key: Some(b"k"), value: Some(value) }
    }

    #[test]
    fn records_from_the_asked_offset_on_are_read() {
        let long = [b'x'; 300];
        let log = [batch(10, &[b"a", b"b", &long]), batch(13, &[b"d"])].concat();
        let records = vec![record(11, b"b"), record(12, &long), record(13, b"d")];
        assert_eq!(read(&log, 11), Ok(Records { records, next: Some(14) }));
    }

    #[test]
    fn a_batch_that_is_cut_off_is_left_for_the_next_time() {
        let log = [batch(10, &[b"a"]), batch(11, &[b"b"])].concat();
        for cut in 1..60 {
            let first = Records { records: vec![record(10, b"a")], next: Some(11) };
            assert_eq!(read(&log[..log.len() - cut], 0), Ok(first));
            assert_eq!(end(&log[..log.len() - cut]), Some(11));
        }
        assert_eq!((read(&[], 0), end(&[])), (Ok(Records::default()), None));
    }

    #[test]
    fn a_tombstone_has_no_value_and_the_brokers_time_is_told() {
        let mut builder = Builder::default();
        builder.push(Record { timestamp: TIME, key: Some(b"k"), value: None, headers: &[] });
        let mut log = builder.finish(STAMP);
        log[22] |= 0b1000;
        log[35..43].copy_from_slice(&7_i64.to_be_bytes());
        restamp(&mut log, STAMP);
        assert_eq!(read(&log, 0).unwrap().records, [Read { offset: 0, timestamp: 7, key: Some(b"k"), value: None }]);
    }

    #[test]
    fn what_cannot_be_read_is_told() {
        let mut log = batch(10, &[b"a"]);
        log[22] = 1;
        restamp(&mut log, STAMP);
        assert_eq!(read(&log, 0), Err(RecordsError::Compressed(10)));
        assert_eq!(end(&log), Some(11), "nor is it needed to go on behind it");
        log[16] = 1;
        assert_eq!(read(&log, 0), Err(RecordsError::Malformed(10)));
    }

    #[test]
    fn a_flipped_bit_is_seen() {
        let mut log = batch(10, &[b"a"]);
        *log.last_mut().unwrap() ^= 1;
        assert_eq!(read(&log, 0), Err(RecordsError::Malformed(10)));
    }

    #[test]
    fn the_end_of_a_transaction_is_no_record() {
        let mut log = batch(10, &[b"a"]);
        log[22] = 0b11_0000;
        restamp(&mut log, STAMP);
        assert_eq!(read(&log, 0), Ok(Records { records: vec![], next: Some(11) }));
    }

    proptest! {
        #[test]
        fn damaged_bytes_do_no_harm(at in 0_usize..140, byte: u8, cut in 0_usize..140, stamped: bool) {
            let mut log = [batch(0, &[b"abc", b"d"]), batch(2, &[b"e"])].concat();
            if let Some(b) = log.get_mut(at) { *b = byte; }
            log.truncate(log.len().saturating_sub(cut));
            if stamped { restamp(&mut log, STAMP); }
            let _ = (read(&log, 0), end(&log));
        }
    }
}

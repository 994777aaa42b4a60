//! A partition's log: record batches as they came, the oldest dropped when they take too many bytes.
//!
//! Source of the layout: `org.apache.kafka.common.record.DefaultRecordBatch`; of the checks:
//! `LogValidator` and `ProducerStateManager`, Kafka 4.1. Batches are never decompressed, so offsets are looked up by
//! time only as precisely as batches are cut.

use crate::wire::ErrorCode;
use bytes::{Bytes, BytesMut};
use std::collections::{HashMap, VecDeque};

/// Bytes of a batch before its first record.
const HEADER: usize = 61;
/// Bytes of a batch that its length does not count.
const BEFORE_LENGTH: usize = 12;
/// Where the bytes begin that the checksum covers.
const CHECKED_FROM: usize = 21;
/// Attributes that only transactions use: transactional, control.
const TRANSACTIONAL: i16 = 0x10 | 0x20;
/// Batches of a producer that are recognised when they come again, as Kafka has it.
const REMEMBERED_BATCHES: usize = 5;
/// Producers that a partition remembers.
const REMEMBERED_PRODUCERS: usize = 1000;

/// A log.
#[derive(Debug)]
pub(super) struct Log {
    start: i64,
    end: i64,
    size: usize,
    batches: VecDeque<Batch>,
    producers: HashMap<i64, Producer>,
}

#[derive(Debug)]
struct Batch {
    base: i64,
    last: i64,
    first_time: i64,
    max_time: i64,
    bytes: Bytes,
}

/// What an idempotent producer has written.
#[derive(Debug)]
struct Producer {
    epoch: i16,
    recent: VecDeque<Sequences>,
}

#[derive(Debug)]
struct Sequences {
    first: i32,
    last: i32,
    base: i64,
}

/// How much a log may hold.
#[derive(Copy, Clone, Debug)]
pub(super) struct Limits {
    /// Bytes of a batch.
    pub(super) batch: usize,
    /// Bytes of all batches; one batch is always kept.
    pub(super) total: usize,
}

/// The fields of a batch's header that matter here.
struct Header {
    producer: i64,
    epoch: i16,
    sequence: i32,
    count: i32,
    first_time: i64,
    max_time: i64,
}

impl Log {
    pub(super) fn new() -> Self {
        Self { start: 0, end: 0, size: 0, batches: VecDeque::new(), producers: HashMap::new() }
    }

    /// The first offset that is still here.
    pub(super) fn start(&self) -> i64 {
        self.start
    }

    /// The offset that the next record gets.
    pub(super) fn end(&self) -> i64 {
        self.end
    }

    /// Appends one batch and gives its first offset; the earlier one if an idempotent producer sends it again.
    pub(super) fn append(&mut self, records: &[u8], limits: Limits) -> Result<i64, ErrorCode> {
        let header = Header::read(records)?;
        if records.len() > limits.batch {
            return Err(ErrorCode::MESSAGE_TOO_LARGE);
        }
        if let Some(base) = self.check_sequence(&header)? {
            return Ok(base);
        }
        let base = self.end;
        let next = base.checked_add(i64::from(header.count)).ok_or(ErrorCode::KAFKA_STORAGE_ERROR)?;
        let mut bytes = BytesMut::with_capacity(records.len());
        bytes.extend_from_slice(&base.to_be_bytes());
        bytes.extend_from_slice(records.get(8..12).unwrap_or_default());
        // The leader epoch, which like the base offset is the broker's and outside the checksum.
        bytes.extend_from_slice(&0_i32.to_be_bytes());
        bytes.extend_from_slice(records.get(16..).unwrap_or_default());
        self.end = next;
        self.size += bytes.len();
        self.batches.push_back(Batch {
            base,
            last: next - 1,
            first_time: header.first_time,
            max_time: header.max_time,
            bytes: bytes.freeze(),
        });
        self.remember(&header, base);
        while self.size > limits.total && self.batches.len() > 1 {
            if let Some(oldest) = self.batches.pop_front() {
                self.size -= oldest.bytes.len();
                self.start = oldest.last + 1;
            }
        }
        Ok(base)
    }

    /// Whole batches from the one that holds `offset` on, up to `room` bytes; the first even if it is larger, if `any`.
    pub(super) fn read(&self, offset: i64, room: usize, any: bool) -> Result<Bytes, ErrorCode> {
        if offset < self.start || offset > self.end {
            return Err(ErrorCode::OFFSET_OUT_OF_RANGE);
        }
        let from = self.batches.partition_point(|batch| batch.last < offset);
        let mut size = 0_usize;
        let fits = |batch: &&Batch| {
            let first = size == 0;
            size += batch.bytes.len();
            size <= room || (first && any)
        };
        let mut chosen: Vec<&Batch> = self.batches.range(from..).take_while(fits).collect();
        match (chosen.pop(), chosen.is_empty()) {
            (None, _) => Ok(Bytes::new()),
            (Some(only), true) => Ok(only.bytes.clone()),
            (Some(last), false) => {
                chosen.push(last);
                let mut all = BytesMut::with_capacity(chosen.iter().map(|batch| batch.bytes.len()).sum());
                chosen.iter().for_each(|batch| all.extend_from_slice(&batch.bytes));
                Ok(all.freeze())
            }
        }
    }

    /// The first batch with a record at or after this time: a time and an offset.
    pub(super) fn at_time(&self, time: i64) -> Option<(i64, i64)> {
        let batch = self.batches.iter().find(|batch| batch.max_time >= time)?;
        Some((batch.first_time.max(time.min(batch.max_time)), batch.base))
    }

    /// The batch with the latest record: its time, and its last offset.
    pub(super) fn latest_time(&self) -> Option<(i64, i64)> {
        // The first of equals, as Kafka has it.
        self.batches.iter().rev().max_by_key(|batch| batch.max_time).map(|batch| (batch.max_time, batch.last))
    }

    /// The base offset of an equal batch that was written before, or an error if the sequence has a gap.
    fn check_sequence(&self, header: &Header) -> Result<Option<i64>, ErrorCode> {
        let Some(known) = self.producers.get(&header.producer).filter(|_| header.producer >= 0) else {
            return Ok(None);
        };
        if header.epoch < known.epoch {
            return Err(ErrorCode::INVALID_PRODUCER_EPOCH);
        }
        if header.epoch > known.epoch {
            return if header.sequence == 0 { Ok(None) } else { Err(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER) };
        }
        let last = advance(header.sequence, header.count - 1);
        if let Some(again) = known.recent.iter().find(|seen| seen.first == header.sequence && seen.last == last) {
            return Ok(Some(again.base));
        }
        match known.recent.back() {
            Some(seen) if advance(seen.last, 1) != header.sequence => Err(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER),
            _ => Ok(None),
        }
    }

    fn remember(&mut self, header: &Header, base: i64) {
        if header.producer < 0 {
            return;
        }
        if self.producers.len() >= REMEMBERED_PRODUCERS && !self.producers.contains_key(&header.producer) {
            let last_write = |producer: &Producer| producer.recent.back().map(|seen| seen.base);
            let idlest = self.producers.iter().min_by_key(|(_, producer)| last_write(producer)).map(|(id, _)| *id);
            if let Some(id) = idlest {
                self.producers.remove(&id);
            }
        }
        let known = self
            .producers
            .entry(header.producer)
            .or_insert_with(|| Producer { epoch: header.epoch, recent: VecDeque::new() });
        if known.epoch != header.epoch {
            known.epoch = header.epoch;
            known.recent.clear();
        }
        if known.recent.len() == REMEMBERED_BATCHES {
            known.recent.pop_front();
        }
        let last = advance(header.sequence, header.count - 1);
        known.recent.push_back(Sequences { first: header.sequence, last, base });
    }
}

/// Sequence numbers run from 0 to `i32::MAX` and begin again.
fn advance(sequence: i32, by: i32) -> i32 {
    sequence.checked_add(by).unwrap_or_else(|| by.wrapping_sub(i32::MAX - sequence).wrapping_sub(1))
}

/// The big-endian bytes of a number at this place.
fn at<const N: usize>(bytes: &[u8], place: usize) -> Result<[u8; N], ErrorCode> {
    bytes.get(place..).and_then(|rest| rest.first_chunk::<N>()).copied().ok_or(ErrorCode::CORRUPT_MESSAGE)
}

impl Header {
    /// Reads the header of the one batch that a producer may send at a time.
    fn read(records: &[u8]) -> Result<Self, ErrorCode> {
        let length = usize::try_from(i32::from_be_bytes(at(records, 8)?)).map_err(|_| ErrorCode::CORRUPT_MESSAGE)?;
        let [magic] = at::<1>(records, 16)?;
        if magic != 2 {
            return Err(ErrorCode::UNSUPPORTED_FOR_MESSAGE_FORMAT);
        }
        let whole = length.checked_add(BEFORE_LENGTH).ok_or(ErrorCode::CORRUPT_MESSAGE)?;
        if whole < HEADER || records.len() < whole {
            return Err(ErrorCode::CORRUPT_MESSAGE);
        }
        if records.len() > whole {
            return Err(ErrorCode::INVALID_RECORD);
        }
        let checked = records.get(CHECKED_FROM..).unwrap_or_default();
        if u32::from_be_bytes(at(records, 17)?) != crc32c::crc32c(checked) {
            return Err(ErrorCode::CORRUPT_MESSAGE);
        }
        let attributes = i16::from_be_bytes(at(records, 21)?);
        let last_delta = i32::from_be_bytes(at(records, 23)?);
        let count = i32::from_be_bytes(at(records, 57)?);
        let sequence = i32::from_be_bytes(at(records, 53)?);
        let producer = i64::from_be_bytes(at(records, 43)?);
        if attributes & TRANSACTIONAL != 0 {
            return Err(ErrorCode::INVALID_TXN_STATE);
        }
        if count < 1 || last_delta != count - 1 || (producer >= 0 && sequence < 0) {
            return Err(ErrorCode::INVALID_RECORD);
        }
        Ok(Self {
            producer,
            epoch: i16::from_be_bytes(at(records, 51)?),
            sequence,
            count,
            first_time: i64::from_be_bytes(at(records, 27)?),
            max_time: i64::from_be_bytes(at(records, 35)?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIDE: Limits = Limits { batch: 1000, total: 1_000_000 };

    /// A batch of `count` records of which only the header is true.
    pub(super) fn batch(producer: i64, epoch: i16, sequence: i32, count: i32, time: i64) -> Vec<u8> {
        let mut batch = vec![0; HEADER + 20];
        let length = i32::try_from(batch.len() - BEFORE_LENGTH).unwrap();
        batch[8..12].copy_from_slice(&length.to_be_bytes());
        batch[16] = 2;
        batch[23..27].copy_from_slice(&(count - 1).to_be_bytes());
        batch[27..35].copy_from_slice(&time.to_be_bytes());
        batch[35..43].copy_from_slice(&time.to_be_bytes());
        batch[43..51].copy_from_slice(&producer.to_be_bytes());
        batch[51..53].copy_from_slice(&epoch.to_be_bytes());
        batch[53..57].copy_from_slice(&sequence.to_be_bytes());
        batch[57..61].copy_from_slice(&count.to_be_bytes());
        let crc = crc32c::crc32c(&batch[CHECKED_FROM..]);
        batch[17..21].copy_from_slice(&crc.to_be_bytes());
        batch
    }

    #[test]
    fn batches_are_numbered_and_read_whole_up_to_the_room() {
        let mut log = Log::new();
        for time in 0..4 {
            assert_eq!(log.append(&batch(-1, -1, -1, 3, time), WIDE), Ok(time * 3));
        }
        let size = HEADER + 20;
        assert_eq!((log.start(), log.end()), (0, 12));
        assert_eq!(log.read(4, 2 * size, false).map(|bytes| bytes.len()), Ok(2 * size));
        assert_eq!(log.read(4, 2 * size, false).map(|bytes| bytes[..8].to_vec()), Ok(3_i64.to_be_bytes().to_vec()));
        assert_eq!(log.read(0, 1, false), Ok(Bytes::new()));
        assert_eq!(log.read(0, 1, true).map(|bytes| bytes.len()), Ok(size));
        assert_eq!(log.read(12, 1000, true), Ok(Bytes::new()));
        assert_eq!(log.read(13, 1000, true), Err(ErrorCode::OFFSET_OUT_OF_RANGE));
        assert_eq!(log.read(-1, 1000, true), Err(ErrorCode::OFFSET_OUT_OF_RANGE));
        assert_eq!(log.at_time(2), Some((2, 6)));
        assert_eq!(log.at_time(4), None);
        assert_eq!(log.latest_time(), Some((3, 11)));
    }

    #[test]
    fn the_oldest_batches_go_when_there_are_too_many_bytes() {
        let mut log = Log::new();
        let limits = Limits { batch: 1000, total: 2 * (HEADER + 20) };
        for _ in 0..100 {
            log.append(&batch(-1, -1, -1, 1, 0), limits).unwrap();
        }
        assert_eq!((log.start(), log.end(), log.batches.len()), (98, 100, 2));
        assert_eq!(log.read(0, 1000, true), Err(ErrorCode::OFFSET_OUT_OF_RANGE));
    }

    #[test]
    fn an_idempotent_batch_is_written_once_and_in_order() {
        let mut log = Log::new();
        assert_eq!(log.append(&batch(7, 0, 0, 2, 0), WIDE), Ok(0));
        assert_eq!(log.append(&batch(7, 0, 2, 1, 0), WIDE), Ok(2));
        assert_eq!(log.append(&batch(7, 0, 0, 2, 0), WIDE), Ok(0));
        assert_eq!(log.append(&batch(7, 0, 4, 1, 0), WIDE), Err(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER));
        assert_eq!(log.append(&batch(7, 1, 1, 1, 0), WIDE), Err(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER));
        assert_eq!(log.append(&batch(7, 1, 0, 1, 0), WIDE), Ok(3));
        assert_eq!(log.append(&batch(7, 0, 3, 1, 0), WIDE), Err(ErrorCode::INVALID_PRODUCER_EPOCH));
        assert_eq!(log.end(), 4);
    }

    #[test]
    fn producers_beyond_the_limit_push_out_the_idlest() {
        let mut log = Log::new();
        for producer in 0..1100 {
            log.append(&batch(producer, 0, 0, 1, 0), WIDE).unwrap();
        }
        assert_eq!(log.producers.len(), REMEMBERED_PRODUCERS);
        assert!(!log.producers.contains_key(&99) && log.producers.contains_key(&100));
    }

    #[test]
    fn what_is_not_one_whole_batch_is_refused() {
        let mut log = Log::new();
        let good = batch(-1, -1, -1, 1, 0);
        let changed = |place: usize, byte: u8| {
            let mut bad = good.clone();
            bad[place] = byte;
            bad
        };
        let twice = [good.clone(), good.clone()].concat();
        for (bad, error) in [
            (Vec::new(), ErrorCode::CORRUPT_MESSAGE),
            (good[..good.len() - 1].to_vec(), ErrorCode::CORRUPT_MESSAGE),
            (twice, ErrorCode::INVALID_RECORD),
            (changed(8, 0xff), ErrorCode::CORRUPT_MESSAGE),
            (changed(16, 1), ErrorCode::UNSUPPORTED_FOR_MESSAGE_FORMAT),
            (changed(70, 1), ErrorCode::CORRUPT_MESSAGE),
            (batch(-1, -1, -1, 0, 0), ErrorCode::INVALID_RECORD),
            (batch(5, 0, -1, 1, 0), ErrorCode::INVALID_RECORD),
        ] {
            assert_eq!(log.append(&bad, WIDE), Err(error));
        }
        let small = Limits { batch: 10, total: 1000 };
        assert_eq!(log.append(&good, small), Err(ErrorCode::MESSAGE_TOO_LARGE));
        assert_eq!(log.end(), 0);
    }

    #[test]
    fn sequence_numbers_begin_again_after_the_highest() {
        assert_eq!(advance(i32::MAX, 1), 0);
        assert_eq!(advance(i32::MAX - 1, 3), 1);
        assert_eq!(advance(5, 2), 7);
    }
}

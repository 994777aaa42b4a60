//! Record batches, format 2, as an idempotent producer writes them.
//!
//! Source: `org.apache.kafka.common.record.DefaultRecordBatch` and `DefaultRecord`, Kafka 4.1; the key's partition:
//! `BuiltInPartitioner.partitionForKey` and `Utils.murmur2`.

/// Where the fields stand that are known only when the rest is written.
const LENGTH_AT: usize = 8;
const CRC_AT: usize = 17;
const ATTRIBUTES_AT: usize = 21;
const PRODUCER_AT: usize = 43;
/// Bytes of a batch before its first record.
pub const HEADER: usize = 61;

/// Who numbers the records of a batch, and from which number on.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The producer id.
    pub producer: i64,
    /// Its epoch.
    pub epoch: i16,
    /// The sequence number of the first record.
    pub sequence: i32,
}

/// One record to write.
#[derive(Copy, Clone, Debug)]
pub struct Record<'a> {
    /// Milliseconds since 1970.
    pub timestamp: i64,
    /// The key.
    pub key: Option<&'a [u8]>,
    /// The value; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    /// Headers, in order.
    pub headers: &'a [(&'a str, &'a [u8])],
}

/// A batch under construction.
#[derive(Debug)]
pub struct Builder {
    bytes: Vec<u8>,
    scratch: Vec<u8>,
    count: i32,
    base_timestamp: i64,
    max_timestamp: i64,
}

impl Default for Builder {
    fn default() -> Self {
        Self { bytes: vec![0; HEADER], scratch: Vec::new(), count: 0, base_timestamp: 0, max_timestamp: 0 }
    }
}

impl Builder {
    /// Appends a record.
    pub fn push(&mut self, record: Record<'_>) {
        if self.count == 0 {
            (self.base_timestamp, self.max_timestamp) = (record.timestamp, record.timestamp);
        }
        self.max_timestamp = self.max_timestamp.max(record.timestamp);
        let body = &mut self.scratch;
        body.clear();
        body.push(0);
        varint(body, record.timestamp.wrapping_sub(self.base_timestamp));
        varint(body, i64::from(self.count));
        bytes(body, record.key);
        bytes(body, record.value);
        varint(body, length(record.headers.len()));
        for (name, value) in record.headers {
            bytes(body, Some(name.as_bytes()));
            bytes(body, Some(value));
        }
        varint(&mut self.bytes, length(body.len()));
        self.bytes.extend_from_slice(body);
        self.count += 1;
    }

    /// Records so far.
    pub fn count(&self) -> i32 {
        self.count
    }

    /// Bytes so far.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there is no record yet.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The batch, whole.
    pub fn finish(self, stamp: Stamp) -> Vec<u8> {
        let mut batch = self.bytes;
        let after_length = i32::try_from(batch.len() - LENGTH_AT - 4).unwrap_or(i32::MAX);
        put(&mut batch, LENGTH_AT, &after_length.to_be_bytes());
        put(&mut batch, 12, &(-1_i32).to_be_bytes());
        put(&mut batch, 16, &[2]);
        put(&mut batch, 23, &(self.count - 1).to_be_bytes());
        put(&mut batch, 27, &self.base_timestamp.to_be_bytes());
        put(&mut batch, 35, &self.max_timestamp.to_be_bytes());
        put(&mut batch, 57, &self.count.to_be_bytes());
        restamp(&mut batch, stamp);
        batch
    }
}

/// Writes another producer's numbers into a finished batch.
pub fn restamp(batch: &mut [u8], stamp: Stamp) {
    put(batch, PRODUCER_AT, &stamp.producer.to_be_bytes());
    put(batch, PRODUCER_AT + 8, &stamp.epoch.to_be_bytes());
    put(batch, PRODUCER_AT + 10, &stamp.sequence.to_be_bytes());
    let crc = crc32c::crc32c(batch.get(ATTRIBUTES_AT..).unwrap_or_default());
    put(batch, CRC_AT, &crc.to_be_bytes());
}

/// The sequence number after `count` records from `sequence` on: they run from 0 to `i32::MAX` and begin again.
pub fn next_sequence(sequence: i32, count: i32) -> i32 {
    sequence.checked_add(count).unwrap_or_else(|| count - (i32::MAX - sequence) - 1)
}

/// The hash that chooses a key's partition.
pub fn murmur2(key: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let length = u32::try_from(key.len()).unwrap_or(u32::MAX);
    let mut h = 0x9747_b28c_u32 ^ length;
    let (blocks, rest) = key.as_chunks::<4>();
    for block in blocks {
        let mut k = u32::from_le_bytes(*block).wrapping_mul(M);
        k ^= k >> 24;
        h = h.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    if !rest.is_empty() {
        for (i, b) in rest.iter().enumerate() {
            h ^= u32::from(*b) << (8 * i);
        }
        h = h.wrapping_mul(M);
    }
    h ^= h >> 13;
    h = h.wrapping_mul(M);
    h ^ (h >> 15)
}

/// The partition of a key with this hash among `partitions` (at least 1).
pub fn partition_of(hash: u32, partitions: usize) -> usize {
    usize::try_from(hash & 0x7fff_ffff).unwrap_or(0) % partitions.max(1)
}

fn put(batch: &mut [u8], at: usize, value: &[u8]) {
    if let Some(slot) = batch.get_mut(at..at + value.len()) {
        slot.copy_from_slice(value);
    }
}

fn bytes(out: &mut Vec<u8>, value: Option<&[u8]>) {
    match value {
        Some(value) => {
            varint(out, length(value.len()));
            out.extend_from_slice(value);
        }
        None => varint(out, -1),
    }
}

/// Zigzag, seven bits a byte.
fn varint(out: &mut Vec<u8>, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)).cast_unsigned();
    while rest >= 0x80 {
        let [.., low] = rest.to_be_bytes();
        out.push(low | 0x80);
        rest >>= 7;
    }
    let [.., low] = rest.to_be_bytes();
    out.push(low);
}

fn length(len: usize) -> i64 {
    i64::try_from(len).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use kafka_protocol::records::RecordBatchDecoder;
    use proptest::prelude::*;

    type Headers = Vec<(String, Vec<u8>)>;
    /// Timestamp, key, value, headers.
    type Sample = (i64, Option<Vec<u8>>, Vec<u8>, Headers);

    fn build(records: &[Sample], stamp: Stamp) -> Vec<u8> {
        let mut builder = Builder::default();
        for (timestamp, key, value, headers) in records {
            let headers: Vec<_> = headers.iter().map(|(k, v)| (k.as_str(), v.as_slice())).collect();
            builder.push(Record { timestamp: *timestamp, key: key.as_deref(), value: Some(value), headers: &headers });
        }
        builder.finish(stamp)
    }

    proptest! {
        /// kafka-protocol reads what we write: names of headers differ, as its map holds one of each.
        #[test]
        fn another_implementation_reads_the_batch_and_its_crc(
            records in prop::collection::vec(
                (0_i64..4_000_000_000_000, prop::option::of(prop::collection::vec(any::<u8>(), 0..40)),
                 prop::collection::vec(any::<u8>(), 0..300),
                 prop::collection::btree_map("[a-z_]{1,8}", prop::collection::vec(any::<u8>(), 0..20), 0..4)
                    .prop_map(|m| m.into_iter().collect::<Headers>())),
                1..20),
            producer in 0..i64::MAX, epoch in 0..i16::MAX, sequence in 0..1_000_000_i32,
        ) {
            let batch = build(&records, Stamp { producer: 1, epoch: 1, sequence: 1 });
            let mut batch = batch;
            restamp(&mut batch, Stamp { producer, epoch, sequence });
            let read = RecordBatchDecoder::decode(&mut Bytes::from(batch)).unwrap().records;
            prop_assert_eq!(read.len(), records.len());
            for (i, (read, (timestamp, key, value, headers))) in read.iter().zip(&records).enumerate() {
                prop_assert_eq!(read.timestamp, *timestamp);
                prop_assert_eq!(read.key.as_deref(), key.as_deref());
                prop_assert_eq!(read.value.as_deref(), Some(value.as_slice()));
                prop_assert_eq!((read.producer_id, read.producer_epoch), (producer, epoch));
                prop_assert_eq!(read.sequence, sequence + i32::try_from(i).unwrap());
                prop_assert_eq!(read.offset, i64::try_from(i).unwrap());
                let read: Headers =
                    read.headers.iter().map(|(k, v)| (k.to_string(), v.clone().unwrap().to_vec())).collect();
                prop_assert_eq!(&read, headers);
            }
        }
    }

    #[test]
    fn a_flipped_bit_is_seen() {
        let mut batch = build(&[(1, None, b"v".to_vec(), vec![])], Stamp { producer: 1, epoch: 0, sequence: 0 });
        *batch.last_mut().unwrap() ^= 1;
        assert!(RecordBatchDecoder::decode(&mut Bytes::from(batch)).is_err());
    }

    /// The vectors of `UtilsTest.testMurmur2`, Kafka 4.1.
    #[test]
    fn murmur2_is_kafkas() {
        for (key, hash) in [
            ("21", -973_932_308_i32),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(key.as_bytes()), hash.cast_unsigned(), "{key}");
        }
    }

    #[test]
    fn sequences_wrap_to_zero() {
        assert_eq!(next_sequence(0, 5), 5);
        assert_eq!(next_sequence(i32::MAX, 1), 0);
        assert_eq!(next_sequence(i32::MAX - 1, 3), 1);
    }
}

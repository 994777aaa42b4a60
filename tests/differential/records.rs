//! Record batches: made for requests, and told in words where an answer holds them.

use bytes::Bytes;
use kordon::cluster::batch::{Builder, HEADER, Record, Stamp, restamp};

use super::names::{SLOT_16, SLOT_64};
use super::side::Side;

/// Whose batch it is.
#[derive(Clone, Copy, Debug)]
pub enum By {
    /// Nobody's.
    Plain,
    /// Of the producer in a slot, whose epoch is in the next one.
    Producer { slot: usize, sequence: i32, transactional: bool },
}

/// A batch of these values; its time is always the same.
pub fn batch(values: &[&str], by: By) -> Bytes {
    let mut builder = Builder::default();
    for value in values {
        builder.push(Record {
            timestamp: 1_700_000_000_000,
            key: Some(b"k"),
            value: Some(value.as_bytes()),
            headers: &[],
        });
    }
    let stamp = match by {
        By::Plain => Stamp { producer: -1, epoch: -1, sequence: -1 },
        By::Producer { slot, sequence, .. } => {
            Stamp { producer: SLOT_64 + slot as i64, epoch: (SLOT_16 + slot as i64 + 1) as i16, sequence }
        }
    };
    let mut bytes = builder.finish(stamp);
    if let By::Producer { transactional: true, .. } = by {
        bytes[22] |= 0x10;
        restamp(&mut bytes, stamp);
    }
    Bytes::from(bytes)
}

/// Batches in words: offsets, attributes, producer, sequence, and what the records hold.
pub fn describe(side: &mut Side, bytes: &Bytes) -> String {
    let mut told = Vec::new();
    let mut rest = &bytes[..];
    while rest.len() >= HEADER {
        let i32_at = |at: usize| i32::from_be_bytes(rest[at..at + 4].try_into().expect("four bytes"));
        let i64_at = |at: usize| i64::from_be_bytes(rest[at..at + 8].try_into().expect("eight bytes"));
        let length = i32_at(8) as usize + 12;
        let producer = match i64_at(43) {
            id if id <= 0 => id.to_string(),
            id => side.seen("producer", &id.to_string()),
        };
        let end = length.min(rest.len());
        let control = rest[22] & 0x20 != 0;
        let body =
            if control { "control".to_owned() } else { format!("{:?}", Bytes::copy_from_slice(&rest[HEADER..end])) };
        told.push(format!(
            "{{offset {} attributes {} last {} producer {producer} epoch {} sequence {} {body}{}}}",
            i64_at(0),
            rest[22],
            i32_at(23),
            i16::from_be_bytes([rest[51], rest[52]]),
            i32_at(53),
            if length > rest.len() { " cut" } else { "" },
        ));
        rest = &rest[end..];
    }
    if !rest.is_empty() {
        told.push(format!("{} bytes", rest.len()));
    }
    told.join(" ")
}

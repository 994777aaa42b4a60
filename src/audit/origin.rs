//! Who writes the events: the instance, its epoch, and the ids that are unique for ever.

use super::json;
use crate::model::Timestamp;
use std::sync::atomic::{AtomicU64, Ordering};

/// The Crockford alphabet of ULIDs: sorts as the numbers do.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// A ULID: 48 bits of time, then 80 that make it unique; 26 characters.
pub type EventId = [u8; 26];

/// This process as a writer of events.
#[derive(Debug)]
pub struct Origin {
    instance: String,
    epoch: u64,
    /// `source` as the inside of a JSON string.
    source: Vec<u8>,
    /// `{"instance":…,"epoch":…,"seq":` as JSON.
    integrity: Vec<u8>,
    /// Inside of a JSON string: what each request id begins with.
    request: Vec<u8>,
    /// 40 bits, different for each start.
    seed: u64,
    counter: AtomicU64,
}

impl Origin {
    /// The origin of cluster `cluster` (`cluster.name`) and this `instance`, started at `start`. Its epoch is that
    /// instant in milliseconds: greater than that of every earlier start. `seed` is any random number.
    pub fn new(cluster: &str, instance: &str, start: Timestamp, seed: u64) -> Self {
        let epoch = u64::try_from(start.0).unwrap_or(0);
        let mut source = b"/clusters/".to_vec();
        json::escape(&mut source, cluster);
        json::raw(&mut source, "/proxies/");
        json::escape(&mut source, instance);
        let mut integrity = b"{\"instance\":".to_vec();
        json::string(&mut integrity, instance);
        json::raw(&mut integrity, ",\"epoch\":");
        json::unsigned(&mut integrity, epoch);
        json::raw(&mut integrity, ",\"seq\":");
        let mut request = Vec::new();
        json::escape(&mut request, instance);
        request.push(b'-');
        json::unsigned(&mut request, epoch);
        request.push(b'-');
        let instance = instance.to_owned();
        Self { instance, epoch, source, integrity, request, seed: seed >> 24, counter: AtomicU64::new(0) }
    }

    /// The instance's name.
    pub fn instance(&self) -> &str {
        &self.instance
    }

    /// Milliseconds since 1970 of this start.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// A new event id: sortable by time to the millisecond, unique for ever.
    pub fn event_id(&self, at: Timestamp) -> EventId {
        let count = self.counter.fetch_add(1, Ordering::Relaxed);
        let millis = u128::from(at.0.unsigned_abs());
        ulid((millis << 80) | (u128::from(self.seed) << 40) | u128::from(count & 0xff_ffff_ffff))
    }

    /// The `source` of every event, as the inside of a JSON string.
    pub(crate) fn source(&self) -> &[u8] {
        &self.source
    }

    /// Appends the id of the request with this number, as a JSON string.
    pub(crate) fn request_id(&self, out: &mut Vec<u8>, number: u64) {
        out.push(b'"');
        out.extend_from_slice(&self.request);
        json::unsigned(out, number);
        out.push(b'"');
    }

    /// Closes an event: appends its `integrity` and the braces of `data` and of the event.
    pub fn seal(&self, event: &mut Vec<u8>, seq: u64) {
        json::raw(event, ",\"integrity\":");
        event.extend_from_slice(&self.integrity);
        json::unsigned(event, seq);
        json::raw(event, "}}}");
    }
}

fn ulid(value: u128) -> EventId {
    let mut text = [b'0'; 26];
    let mut rest = value;
    for slot in text.iter_mut().rev() {
        let [.., low] = rest.to_be_bytes();
        *slot = ALPHABET.get(usize::from(low & 31)).copied().unwrap_or(b'0');
        rest >>= 5;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn ids_sort_by_time_and_are_never_equal() {
        let origin = Origin::new("c", "p-1", Timestamp(1_795_000_000_000), u64::MAX);
        let ids: Vec<_> = (0..2_000_i64).map(|i| origin.event_id(Timestamp(1_795_000_000_000 + i / 100))).collect();
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len());
        let mut sorted = ids.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, ids);
    }

    #[test]
    fn a_ulid_is_the_number_in_crockfords_base_32() {
        assert_eq!(&ulid(0), b"00000000000000000000000000");
        assert_eq!(&ulid(u128::MAX), b"7ZZZZZZZZZZZZZZZZZZZZZZZZZ");
        // The example of the ULID specification: 01ARZ3NDEKTSV4RRFFQ69G5FAV
        assert_eq!(&ulid(0x0156_3e3a_b5d3_d676_4c61_efb9_9302_bd5b), b"01ARZ3NDEKTSV4RRFFQ69G5FAV");
    }

    #[test]
    fn two_starts_share_no_request_id() {
        let id = |start| {
            let mut out = Vec::new();
            Origin::new("c", "p-1", Timestamp(start), 0).request_id(&mut out, 7);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(id(5), "\"p-1-5-7\"");
        assert_ne!(id(5), id(6));
    }
}

//! Malformed requests that a widespread client library sends in one known form, and which have one reading: Kafka's.
//! They are served; what goes to the broker is written anew from that reading, so that it sees what was judged.

use crate::wire::ApiKey;
use crate::wire::header::RequestHeader;
use bytes::Bytes;

/// First version in which the form below occurs as described: two flags behind the topics.
const FIRST: i16 = 11;
/// Null topics as librdkafka writes them: one byte would do.
const WIDE_NULL: [u8; 4] = [0; 4];
/// Then two flags and an empty tag section, which nobody reads.
const LENGTH: usize = 7;
/// What Kafka reads of it: null topics, both flags false, no tags.
const READ: usize = 4;

/// The body without the bytes that Kafka does not read, if it has one of these forms.
///
/// librdkafka (2.2 to 2.16 at least, its issue 5049) asks for all topics by a null array of four bytes where the compact
/// form has one, so its Metadata requests for listings end in three bytes too many.
pub fn mended(header: &RequestHeader<'_>, body: &Bytes) -> Option<Bytes> {
    let wide = header.key == ApiKey::METADATA
        && header.version >= FIRST
        && body.len() == LENGTH
        && body.starts_with(&WIDE_NULL)
        && body.ends_with(&[0]);
    wide.then(|| body.slice(..READ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mend(version: i16, body: &'static [u8]) -> Option<Vec<u8>> {
        let header = RequestHeader {
            key: ApiKey::METADATA,
            version,
            correlation_id: 1,
            client_id: None,
            len: 10,
            unknown_tags: false,
        };
        mended(&header, &Bytes::from_static(body)).map(|body| body.to_vec())
    }

    #[test]
    fn a_listing_of_librdkafka_loses_what_kafka_does_not_read() {
        assert_eq!(mend(13, &[0, 0, 0, 0, 1, 0, 0]), Some(vec![0; 4]));
        assert_eq!(mend(12, &[0, 0, 0, 0, 0, 0, 0]), Some(vec![0; 4]));
    }

    #[test]
    fn other_trailing_bytes_stay_what_they_are() {
        assert_eq!(mend(10, &[0, 0, 0, 0, 1, 0, 0]), None);
        assert_eq!(mend(13, &[0, 0, 0, 0, 1, 0, 0, 0]), None);
        assert_eq!(mend(13, &[1, 0, 0, 0, 1, 0, 0]), None);
        assert_eq!(mend(13, &[0, 0, 0, 0, 1, 0]), None);
    }
}

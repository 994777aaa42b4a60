//! The headers of requests and responses.
//!
//! Source: `RequestHeader.json`, `ResponseHeader.json` and `ApiMessageType.requestHeaderVersion`, Kafka 4.4. The
//! response to ApiVersions always has header version 0, so that a client that knows no version can read it (KIP-511).

use super::api::{Api, ApiKey, api};
use super::error::WireError;
use super::rope::Rope;
use super::schema::{MessageDef, request_header as request, response_header as response};
use super::walk::Scan;

/// Slots of a header: one struct, four fields.
const SLOTS: usize = 8;

/// The header of a request.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct RequestHeader<'a> {
    /// Which API.
    pub key: ApiKey,
    /// Which version of it.
    pub version: i16,
    /// What the response must repeat.
    pub correlation_id: i32,
    /// What the client calls itself; it is free to say anything.
    pub client_id: Option<&'a str>,
    /// How many bytes the header takes: the body begins here.
    pub len: usize,
    /// Whether there are tags; Kafka 4.4 knows none.
    pub unknown_tags: bool,
}

/// Reads the header of a frame (without its size).
///
/// # Errors
/// [`WireError::UnknownApi`] if Kafka 4.4 has no such API or no such version of it; otherwise what is wrong with the
/// bytes.
pub fn request_header(frame: &[u8]) -> Result<RequestHeader<'_>, WireError> {
    let Some([k0, k1, v0, v1, c0, c1, c2, c3]) = frame.first_chunk::<8>().copied() else {
        return Err(WireError::PeerSentTooFewBytes { at: 0, need: 8 - frame.len() });
    };
    let key = ApiKey(i16::from_be_bytes([k0, k1]));
    let version = i16::from_be_bytes([v0, v1]);
    let correlation_id = i32::from_be_bytes([c0, c1, c2, c3]);
    let known = api(key).filter(|api| api.versions.contains(version));
    let api = known.ok_or(WireError::UnknownApi { key, version, correlation_id })?;
    let header_version = if api.request.flexible.contains(version) { 2 } else { 1 };
    HEADER_SCAN.with_borrow_mut(|scan| {
        let (view, len) = scan.walk(&request::MESSAGE_DEF, header_version, frame, SLOTS)?;
        Ok(RequestHeader {
            key,
            version,
            correlation_id,
            client_id: view.opt_str(request::CLIENT_ID),
            len,
            unknown_tags: view.unknown_tags(),
        })
    })
}

thread_local! {
    /// Five slots, so that reading a header takes no memory.
    static HEADER_SCAN: std::cell::RefCell<Scan> = std::cell::RefCell::new(Scan::new());
}

/// The header version of a response.
fn response_version(api: &Api, version: i16) -> i16 {
    i16::from(api.key != ApiKey::API_VERSIONS && api.response.flexible.contains(version))
}

/// Reads the correlation id of a response frame (without its size) and the length of its header.
///
/// # Errors
/// What is wrong with the bytes, or [`WireError::NoSuchVersion`].
pub fn response_header(key: ApiKey, version: i16, frame: &[u8]) -> Result<(i32, usize), WireError> {
    let api = api(key).ok_or(WireError::NoSuchVersion { message: key.name(), version })?;
    let mut scan = Scan::new();
    let (view, len) = scan.walk(&response::MESSAGE_DEF, response_version(api, version), frame, SLOTS)?;
    Ok((view.i32(response::CORRELATION_ID), len))
}

/// How long the header of a response is when it has no tags: 4 or 5 bytes.
pub fn response_header_len(key: ApiKey, version: i16) -> usize {
    api(key).map_or(4, |api| if response_version(api, version) == 1 { 5 } else { 4 })
}

/// Writes the header of a request.
pub fn write_request_header(key: ApiKey, version: i16, correlation_id: i32, client_id: Option<&str>, out: &mut Rope) {
    out.push(&key.0.to_be_bytes());
    out.push(&version.to_be_bytes());
    out.push(&correlation_id.to_be_bytes());
    match client_id.map(|id| (id, i16::try_from(id.len()))) {
        Some((id, Ok(length))) => {
            out.push(&length.to_be_bytes());
            out.push(id.as_bytes());
        }
        Some((_, Err(_))) | None => out.push(&(-1_i16).to_be_bytes()),
    }
    if is_flexible(api(key).map(|api| api.request), version) {
        out.push(&[0]);
    }
}

/// Writes the header of a response.
pub fn write_response_header(key: ApiKey, version: i16, correlation_id: i32, out: &mut Rope) {
    out.push(&correlation_id.to_be_bytes());
    if api(key).is_some_and(|api| response_version(api, version) == 1) {
        out.push(&[0]);
    }
}

fn is_flexible(def: Option<&'static MessageDef>, version: i16) -> bool {
    def.is_some_and(|def| def.flexible.contains(version))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(key: ApiKey, version: i16, client_id: Option<&str>) -> Vec<u8> {
        let mut out = Rope::new();
        write_request_header(key, version, 7, client_id, &mut out);
        out.into_bytes().to_vec()
    }

    #[test]
    fn a_request_header_reads_as_written() {
        for (version, client_id) in [(8, Some("c")), (9, Some("")), (13, None)] {
            let mut bytes = written(ApiKey::PRODUCE, version, client_id);
            let len = bytes.len();
            bytes.extend([9, 9, 9]);
            let expected =
                RequestHeader { key: ApiKey::PRODUCE, version, correlation_id: 7, client_id, len, unknown_tags: false };
            assert_eq!(request_header(&bytes), Ok(expected));
        }
    }

    #[test]
    fn tags_of_a_header_are_seen() {
        let mut bytes = written(ApiKey::PRODUCE, 9, Some("c"));
        bytes.pop();
        bytes.extend([1, 5, 2, 0xaa, 0xbb]);
        let header = request_header(&bytes).unwrap();
        assert!(header.unknown_tags);
        assert_eq!(header.len, bytes.len());
    }

    #[test]
    fn what_kafka_does_not_have_is_named_with_its_correlation_id() {
        for (key, version) in [(ApiKey(999), 0), (ApiKey::PRODUCE, 2), (ApiKey::PRODUCE, 14), (ApiKey(-3), -1)] {
            let expected = WireError::UnknownApi { key, version, correlation_id: 7 };
            assert_eq!(request_header(&written(key, version, None)), Err(expected));
        }
        assert_eq!(request_header(&[0, 0, 0]), Err(WireError::PeerSentTooFewBytes { at: 0, need: 5 }));
    }

    #[test]
    fn api_versions_answers_with_header_0() {
        assert_eq!(response_header_len(ApiKey::API_VERSIONS, 4), 4);
        assert_eq!(response_header_len(ApiKey::METADATA, 9), 5);
        assert_eq!(response_header_len(ApiKey::METADATA, 8), 4);
        assert_eq!(response_header(ApiKey::METADATA, 9, &[0, 0, 0, 3, 0, 1]), Ok((3, 5)));
    }
}

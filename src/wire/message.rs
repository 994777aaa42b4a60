//! Whole frames from trees, and trees from whole frames.

use super::api::{ApiKey, api};
use super::error::WireError;
use super::error_code::ErrorCode;
use super::frame::SIZE_LEN;
use super::header::{response_header, write_request_header, write_response_header};
use super::node::{Node, decode, encode};
use super::rope::Rope;
use super::schema::api_versions;
use bytes::Bytes;

/// A request with its size and header.
pub fn request_frame(key: ApiKey, version: i16, correlation_id: i32, client_id: Option<&str>, request: &Node) -> Rope {
    let mut out = Rope::new();
    out.push(&[0; SIZE_LEN]);
    write_request_header(key, version, correlation_id, client_id, &mut out);
    if let Some(api) = api(key) {
        encode(api.request, version, request, &mut out);
    }
    sized(out)
}

/// A response with its size and header. An answer to ApiVersions with error 35 is written in version 0, whatever was
/// asked, so that a client that knows no common version can read it (KIP-511).
pub fn response_frame(key: ApiKey, version: i16, correlation_id: i32, response: &Node) -> Rope {
    let unsupported = key == ApiKey::API_VERSIONS
        && ErrorCode(response.i16(api_versions::response::ERROR_CODE)) == ErrorCode::UNSUPPORTED_VERSION;
    let version = if unsupported { 0 } else { version };
    let mut out = Rope::new();
    out.push(&[0; SIZE_LEN]);
    write_response_header(key, version, correlation_id, &mut out);
    if let Some(api) = api(key) {
        encode(api.response, version, response, &mut out);
    }
    sized(out)
}

/// Fills in the size that four bytes were kept for.
fn sized(mut frame: Rope) -> Rope {
    let size = frame.len().saturating_sub(SIZE_LEN);
    frame.patch_start(i32::try_from(size).unwrap_or(i32::MAX).to_be_bytes());
    frame
}

/// Reads a response frame (without its size) to a request of this version: correlation id and body.
///
/// A broker that does not know a version of ApiVersions answers with error 35 in version 0 (KIP-511): that is read too.
///
/// # Errors
/// What is wrong with the bytes, or [`WireError::NoSuchVersion`].
pub fn decode_response(key: ApiKey, version: i16, frame: &Bytes) -> Result<(i32, Node), WireError> {
    let api = api(key).ok_or(WireError::NoSuchVersion { message: key.name(), version })?;
    let (correlation_id, header) = response_header(key, version, frame)?;
    let body = frame.slice(header..);
    let code = body.first_chunk::<2>().map(|code| ErrorCode(i16::from_be_bytes(*code)));
    if key == ApiKey::API_VERSIONS && code == Some(ErrorCode::UNSUPPORTED_VERSION) {
        return Ok((correlation_id, decode(&api_versions::response::MESSAGE_DEF, 0, &body)?));
    }
    Ok((correlation_id, decode(api.response, version, &body)?))
}

/// Reads a request frame (without its size).
///
/// # Errors
/// As [`request_header`](super::header::request_header) and [`decode`].
pub fn decode_request(frame: &Bytes) -> Result<(super::header::RequestHeader<'_>, Node), WireError> {
    let header = super::header::request_header(frame)?;
    let api =
        api(header.key).ok_or(WireError::NoSuchVersion { message: header.key.name(), version: header.version })?;
    let node = decode(api.request, header.version, &frame.slice(header.len..))?;
    Ok((header, node))
}

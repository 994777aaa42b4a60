//! Frames: a size of four bytes, then that many bytes.

use thiserror::Error;

/// The bytes of the size.
pub const SIZE_LEN: usize = 4;
/// The smallest request: key, version, correlation id.
const LEAST_REQUEST: usize = 8;
/// The smallest response: correlation id.
const LEAST_RESPONSE: usize = 4;

/// A size that cannot begin a frame.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Error)]
pub enum FrameError {
    /// The size is negative.
    #[error("frame size {size} is negative; is this a kafka client?")]
    PeerSentNegativeSize {
        /// The size.
        size: i32,
    },
    /// The size leaves no room for a header.
    #[error("frame of {size} bytes is too small for a header of {least}")]
    PeerSentSmallFrame {
        /// The size.
        size: usize,
        /// The smallest size.
        least: usize,
    },
    /// The size is above the cap.
    #[error("frame of {size} bytes is larger than {cap}")]
    PeerSentLargeFrame {
        /// The size.
        size: usize,
        /// The largest size.
        cap: usize,
    },
    /// A TLS handshake where Kafka's protocol was expected.
    #[error("tls handshake on a listener without tls; set `security.protocol` of the client to match")]
    PeerSentTlsHello,
    /// A balancer's PROXY header where Kafka's protocol was expected.
    #[error("proxy header on a listener without `proxy_protocol`: name the balancer's network there")]
    PeerSentProxyHeader,
    /// An HTTP request where Kafka's protocol was expected.
    #[error("http request on a kafka listener")]
    PeerSentHttp,
}

/// The size of the request whose first bytes these are, without the four of the size itself; none if there are fewer
/// than four.
///
/// # Errors
/// If the size is above `cap` or cannot be that of a request.
pub fn request_size(start: &[u8], cap: usize) -> Result<Option<usize>, FrameError> {
    size(start, LEAST_REQUEST, cap)
}

/// The size of the token without headers whose first bytes these are, without the four of the size itself; none if there
/// are fewer than four. It may be empty.
///
/// # Errors
/// If the size is above `cap` or negative.
pub fn token_size(start: &[u8], cap: usize) -> Result<Option<usize>, FrameError> {
    size(start, 0, cap)
}

/// The size of the response whose first bytes these are, without the four of the size itself; none if there are fewer
/// than four.
///
/// # Errors
/// If the size is above `cap` or cannot be that of a response.
pub fn response_size(start: &[u8], cap: usize) -> Result<Option<usize>, FrameError> {
    size(start, LEAST_RESPONSE, cap)
}

fn size(start: &[u8], least: usize, cap: usize) -> Result<Option<usize>, FrameError> {
    let Some(bytes) = start.first_chunk::<SIZE_LEN>() else {
        return Ok(None);
    };
    let number = i32::from_be_bytes(*bytes);
    let Ok(size) = usize::try_from(number) else {
        return Err(FrameError::PeerSentNegativeSize { size: number });
    };
    if size > cap {
        // Read as sizes, these are hundreds of megabytes or more.
        return Err(match bytes {
            [0x16, 0x03, 0..=4, _] => FrameError::PeerSentTlsHello,
            b"\r\n\r\n" | b"PROX" => FrameError::PeerSentProxyHeader,
            b"GET " | b"POST" | b"HEAD" | b"PUT " | b"OPTI" | b"DELE" | b"HTTP" => FrameError::PeerSentHttp,
            _ => FrameError::PeerSentLargeFrame { size, cap },
        });
    }
    if size < least {
        return Err(FrameError::PeerSentSmallFrame { size, least });
    }
    Ok(Some(size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_classified() {
        let of = |bytes: &[u8]| request_size(bytes, 1000);
        assert_eq!(of(&[0, 0, 1]), Ok(None));
        assert_eq!(of(&[0, 0, 0, 8, 99]), Ok(Some(8)));
        assert_eq!(of(&[0, 0, 0x03, 0xe8]), Ok(Some(1000)));
        assert_eq!(of(&[0, 0, 0x03, 0xe9]), Err(FrameError::PeerSentLargeFrame { size: 1001, cap: 1000 }));
        assert_eq!(of(&[0, 0, 0, 7]), Err(FrameError::PeerSentSmallFrame { size: 7, least: 8 }));
        assert_eq!(of(&[0, 0, 0, 0]), Err(FrameError::PeerSentSmallFrame { size: 0, least: 8 }));
        assert_eq!(of(&[0xff; 4]), Err(FrameError::PeerSentNegativeSize { size: -1 }));
        assert_eq!(of(&[0x16, 3, 1, 2, 0]), Err(FrameError::PeerSentTlsHello));
        assert_eq!(of(b"\r\n\r\n\0\r\nQUIT\n"), Err(FrameError::PeerSentProxyHeader));
        assert_eq!(of(b"PROXY TCP4 "), Err(FrameError::PeerSentProxyHeader));
        assert_eq!(of(b"GET / HTTP/1.1"), Err(FrameError::PeerSentHttp));
        assert_eq!(response_size(&[0, 0, 0, 4], 1000), Ok(Some(4)));
        assert_eq!(token_size(&[0; 4], 1000), Ok(Some(0)));
        assert!(token_size(&[0, 0, 0x03, 0xe9], 1000).is_err() && token_size(&[0xff; 4], 1000).is_err());
        assert_eq!(
            FrameError::PeerSentLargeFrame { size: 1001, cap: 1000 }.to_string(),
            "frame of 1001 bytes is larger than 1000"
        );
    }
}

//! What can be wrong with the bytes of a peer.

use super::api::ApiKey;
use thiserror::Error;

/// Bytes that are not a message. `at` counts from the first byte of the body (or of the frame, for headers).
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum WireError {
    /// The message ends inside a value.
    #[error("message ends at byte {at} inside a value that needs {need} bytes more")]
    PeerSentTooFewBytes {
        /// Where the value begins.
        at: usize,
        /// How many bytes of it are missing.
        need: usize,
    },
    /// Bytes follow the last field.
    #[error("message has {count} bytes left over at byte {at}")]
    PeerSentTrailingBytes {
        /// Where they begin.
        at: usize,
        /// How many there are.
        count: usize,
    },
    /// A length or count is negative, or longer than its type allows.
    #[error("length {length} at byte {at} is not possible")]
    PeerSentLength {
        /// Where the length stands.
        at: usize,
        /// The length.
        length: i64,
    },
    /// A count promises more elements than the bytes left can hold.
    #[error("count {count} at byte {at} is more than the message can hold")]
    PeerSentCount {
        /// Where the count stands.
        at: usize,
        /// The count.
        count: usize,
    },
    /// A field is null that must not be.
    #[error("field `{field}` at byte {at} is null and must not be")]
    PeerSentNull {
        /// Where it stands.
        at: usize,
        /// Its name.
        field: &'static str,
    },
    /// A string is not UTF-8.
    #[error("string at byte {at} is not utf-8")]
    PeerSentInvalidUtf8 {
        /// Where its bytes begin.
        at: usize,
    },
    /// A varint has bits above 32 or more than five bytes.
    #[error("varint at byte {at} is longer than 32 bits")]
    PeerSentLongVarint {
        /// Where it begins.
        at: usize,
    },
    /// A tag comes twice in one section.
    #[error("tag {tag} at byte {at} comes twice")]
    PeerSentDuplicateTag {
        /// Where it comes for the second time.
        at: usize,
        /// The tag.
        tag: u32,
    },
    /// A tag follows one with a higher number.
    #[error("tag {tag} at byte {at} follows a higher one")]
    PeerSentDescendingTag {
        /// Where it stands.
        at: usize,
        /// The tag.
        tag: u32,
    },
    /// A tag that this message has, but not in this version; Kafka's reader refuses it too.
    #[error("tag {tag} at byte {at} does not exist in this version")]
    PeerSentTagOfOtherVersion {
        /// Where it stands.
        at: usize,
        /// The tag.
        tag: u32,
    },
    /// A tagged field is shorter or longer than its size says.
    #[error("tag {tag} at byte {at} has {size} bytes by its size and {used} by its value")]
    PeerSentTagSize {
        /// Where the value begins.
        at: usize,
        /// The tag.
        tag: u32,
        /// By its size.
        size: usize,
        /// By its value.
        used: usize,
    },
    /// A request for an API or a version that Kafka 4.4 does not have.
    #[error("request for api {} version {version}, which does not exist", key.0)]
    UnknownApi {
        /// The key.
        key: ApiKey,
        /// The version.
        version: i16,
        /// The correlation id, to answer with.
        correlation_id: i32,
    },
    /// We asked for a version of a message that does not exist: a fault of ours, not of the peer.
    #[error("message `{message}` has no version {version}")]
    NoSuchVersion {
        /// The message.
        message: &'static str,
        /// The version.
        version: i16,
    },
    /// The message has more values than one message may.
    #[error("message has more than {limit} values")]
    PeerSentTooManyValues {
        /// How many are allowed.
        limit: usize,
    },
}

impl WireError {
    /// The same error in a larger whole, of which its bytes begin at `by`.
    #[must_use]
    pub(crate) fn shifted(mut self, by: usize) -> Self {
        match &mut self {
            Self::PeerSentTooFewBytes { at, .. }
            | Self::PeerSentTrailingBytes { at, .. }
            | Self::PeerSentLength { at, .. }
            | Self::PeerSentCount { at, .. }
            | Self::PeerSentNull { at, .. }
            | Self::PeerSentInvalidUtf8 { at }
            | Self::PeerSentLongVarint { at }
            | Self::PeerSentDuplicateTag { at, .. }
            | Self::PeerSentDescendingTag { at, .. }
            | Self::PeerSentTagOfOtherVersion { at, .. }
            | Self::PeerSentTagSize { at, .. } => *at += by,
            Self::UnknownApi { .. } | Self::NoSuchVersion { .. } | Self::PeerSentTooManyValues { .. } => {}
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_say_what_and_where() {
        let said = [
            (
                WireError::PeerSentTooFewBytes { at: 3, need: 2 },
                "message ends at byte 3 inside a value that needs 2 bytes more",
            ),
            (WireError::PeerSentTrailingBytes { at: 3, count: 2 }, "message has 2 bytes left over at byte 3"),
            (WireError::PeerSentLength { at: 3, length: -2 }, "length -2 at byte 3 is not possible"),
            (WireError::PeerSentCount { at: 3, count: 9 }, "count 9 at byte 3 is more than the message can hold"),
            (WireError::PeerSentNull { at: 3, field: "Name" }, "field `Name` at byte 3 is null and must not be"),
            (WireError::PeerSentInvalidUtf8 { at: 3 }, "string at byte 3 is not utf-8"),
            (WireError::PeerSentLongVarint { at: 3 }, "varint at byte 3 is longer than 32 bits"),
            (WireError::PeerSentDuplicateTag { at: 3, tag: 5 }, "tag 5 at byte 3 comes twice"),
            (WireError::PeerSentDescendingTag { at: 3, tag: 5 }, "tag 5 at byte 3 follows a higher one"),
            (WireError::PeerSentTagOfOtherVersion { at: 3, tag: 5 }, "tag 5 at byte 3 does not exist in this version"),
            (
                WireError::PeerSentTagSize { at: 3, tag: 5, size: 4, used: 6 },
                "tag 5 at byte 3 has 4 bytes by its size and 6 by its value",
            ),
            (
                WireError::UnknownApi { key: ApiKey(999), version: 1, correlation_id: 0 },
                "request for api 999 version 1, which does not exist",
            ),
            (WireError::NoSuchVersion { message: "X", version: 1 }, "message `X` has no version 1"),
            (WireError::PeerSentTooManyValues { limit: 7 }, "message has more than 7 values"),
        ];
        for (error, words) in said {
            assert_eq!(error.to_string(), words);
        }
    }
}

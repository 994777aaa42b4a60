//! Kafka's error codes.

use std::fmt;

#[rustfmt::skip]
mod generated;

/// An error code of Kafka (`org.apache.kafka.common.protocol.Errors`, Kafka 4.4).
#[derive(Copy, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ErrorCode(pub i16);

impl ErrorCode {
    /// Every code that Kafka 4.4 has, in numerical order.
    pub fn every() -> impl Iterator<Item = Self> {
        generated::CODES.iter().map(|(code, _, _)| Self(*code))
    }

    /// Kafka's name, `TOPIC_AUTHORIZATION_FAILED`; `UNKNOWN` for a code that Kafka 4.4 does not have.
    pub fn name(self) -> &'static str {
        self.row().map_or("UNKNOWN", |(_, name, _)| name)
    }

    /// The text that Kafka sends with this code if it has nothing better to say; `NONE` for no error, empty for unknown codes.
    pub fn message(self) -> &'static str {
        self.row().map_or("", |(_, _, message)| message)
    }

    /// Whether this is `NONE`.
    pub fn is_none(self) -> bool {
        self == Self::NONE
    }

    fn row(self) -> Option<&'static (i16, &'static str, &'static str)> {
        let position = generated::CODES.binary_search_by_key(&self.0, |(code, _, _)| *code).ok()?;
        generated::CODES.get(position)
    }
}

impl fmt::Debug for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", self.name(), self.0)
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.row() {
            Some((_, name, _)) => f.write_str(name),
            None => write!(f, "UNKNOWN({})", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_texts_are_kafkas() {
        assert_eq!(ErrorCode::TOPIC_AUTHORIZATION_FAILED, ErrorCode(29));
        assert_eq!(ErrorCode(29).message(), "Topic authorization failed.");
        assert_eq!(ErrorCode(-1).name(), "UNKNOWN_SERVER_ERROR");
        assert_eq!(ErrorCode::NONE.message(), "NONE");
        assert_eq!(ErrorCode(9999).to_string(), "UNKNOWN(9999)");
        assert_eq!(ErrorCode::every().count(), 138);
    }
}

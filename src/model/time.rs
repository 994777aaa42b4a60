//! Instants as milliseconds since 1970 UTC. Reading a clock is the shell's business.

use chrono::{DateTime, SecondsFormat, Utc};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// An instant: milliseconds since 1970-01-01T00:00:00Z.
#[derive(Copy, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(pub i64);

/// The text is not an RFC 3339 instant with an offset.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an instant: write RFC 3339 with an offset, as in `2026-11-22T09:00:00Z`")]
pub struct TimestampError(pub String);

impl Timestamp {
    /// This instant, `millis` later.
    #[must_use]
    pub fn plus_millis(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// This instant, so much later, in whole milliseconds.
    #[must_use]
    pub fn plus(self, time: Duration) -> Self {
        self.plus_millis(i64::try_from(time.as_millis()).unwrap_or(i64::MAX))
    }

    /// Milliseconds from `earlier` to this instant; negative if it is later.
    pub fn millis_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl FromStr for Timestamp {
    type Err = TimestampError;

    fn from_str(text: &str) -> Result<Self, TimestampError> {
        DateTime::parse_from_rfc3339(text)
            .map(|t| Self(t.timestamp_millis()))
            .map_err(|_| TimestampError(text.to_owned()))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match DateTime::<Utc>::from_timestamp_millis(self.0) {
            Some(t) => f.write_str(&t.to_rfc3339_opts(SecondsFormat::Millis, true)),
            None => write!(f, "{} ms", self.0),
        }
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_is_required() {
        assert_eq!("2026-11-22T09:00:00+01:00".parse::<Timestamp>().unwrap().to_string(), "2026-11-22T08:00:00.000Z");
        assert!("2026-11-22T09:00:00".parse::<Timestamp>().is_err());
        assert!("2026-11-22".parse::<Timestamp>().is_err());
    }
}

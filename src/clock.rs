//! The clock on the wall. Nothing else reads it; what is pure gets the time as an argument.

use crate::model::Timestamp;
use std::time::{SystemTime, UNIX_EPOCH};

/// The present, by the machine's clock.
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

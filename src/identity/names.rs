//! Names that somebody else gives: who signs certificates or tokens.

use super::users::check_name;
use crate::model;

/// How long the name of a user or group may be, in bytes: it stands in every event, and others choose it.
pub(super) const LONGEST: usize = 255;

/// What Java's patterns take for the end of a line and is no control character.
pub(super) const LINE_ENDS: [char; 2] = ['\u{2028}', '\u{2029}'];

/// Whether a text can be the name of a user (`prefix` is `User:`) or group (`Group:`): what a users file must not hold is
/// none here either.
///
/// # Errors
/// Why not, in words that follow the name of the value.
pub(super) fn check_given(name: &str, prefix: &str) -> Result<(), String> {
    if name.len() > LONGEST {
        return Err(format!("has {} bytes, which is more than {LONGEST}: `{}…`", name.len(), shortened(name)));
    }
    if name.contains(LINE_ENDS) {
        return Err(format!("is {name:?}, which is not a name"));
    }
    check_name(name, prefix)
}

/// As much of a name as is told: it need not be one.
pub(super) fn shortened(name: &str) -> String {
    model::shown(name).chars().take(LONGEST).collect()
}

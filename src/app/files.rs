//! The files that the configuration names, read and compiled.

use crate::config::Config;
use crate::identity::users::Users;
use crate::model::Timestamp;
use crate::policy::{Loaded, OwnTopics, Settings, Snapshot};
use crate::yaml::Problem;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// The present, by the machine's clock.
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// What compiling a policy takes from the configuration.
pub fn policy_settings(config: &Config, now: Timestamp) -> Settings {
    Settings { own_topics: OwnTopics { state: None, audit: config.audit.topics() }, now, ..Settings::default() }
}

/// Reads and compiles the policy.
///
/// # Errors
/// The file cannot be read, or its faults.
pub fn load_policy(config: &Config, now: Timestamp) -> Result<Loaded, Vec<Problem>> {
    let file = &config.policy.file;
    Snapshot::load(&read(file)?, &file.display().to_string(), &policy_settings(config, now))
}

/// Reads the users file; no users without one.
///
/// # Errors
/// The file cannot be read, or its faults.
pub fn load_users(config: &Config) -> Result<Users, Vec<Problem>> {
    match &config.users {
        Some(file) => users_of(&read(file)?, file),
        None => Ok(Users::default()),
    }
}

/// The users in the bytes of a file.
///
/// # Errors
/// The faults of the file.
pub fn users_of(bytes: &[u8], file: &Path) -> Result<Users, Vec<Problem>> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Users::parse(text, &file.display().to_string()),
        Err(e) => Err(vec![whole(file, format!("not UTF-8 after byte {}: save it as UTF-8", e.valid_up_to()))]),
    }
}

/// The bytes of a file.
///
/// # Errors
/// It cannot be read.
pub fn read(file: &Path) -> Result<Vec<u8>, Vec<Problem>> {
    std::fs::read(file).map_err(|cause| vec![whole(file, format!("cannot be read: {cause}"))])
}

fn whole(file: &Path, text: String) -> Problem {
    Problem { file: file.display().to_string(), place: None, text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_cannot_be_read_is_named() {
        let problem = read(Path::new("no/such/file")).unwrap_err()[0].to_string();
        assert!(problem.starts_with("no/such/file: cannot be read: "), "{problem}");
    }

    #[test]
    fn a_users_file_is_utf_8() {
        let problem = users_of(b"version\xff", Path::new("u")).unwrap_err()[0].to_string();
        assert_eq!(problem, "u: not UTF-8 after byte 7: save it as UTF-8");
    }
}

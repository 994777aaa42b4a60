//! Secrets: a place to read them from; none shows its value.

use std::fmt;
use std::path::PathBuf;

/// Where a secret stands. The value is read when it is needed and never kept here.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub SecretSource);

/// The places for a secret.
#[derive(Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// The contents of a file, without one line end at the end.
    File(PathBuf),
    /// The value of an environment variable.
    Env(String),
    /// The value itself, from a file of another format; no configuration holds one.
    Given(String),
}

/// The secret could not be read.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file could not be read.
    #[error("cannot read the secret in `{file}`: {cause}", file = .0.display(), cause = .1)]
    File(PathBuf, std::io::Error),
    /// The variable is not set or not UTF-8.
    #[error("environment variable `{0}`, which holds a secret, is not set")]
    Env(String),
    /// The file or variable is empty.
    #[error("the secret in {0} is empty")]
    Empty(String),
}

impl Secret {
    /// Reads the value.
    ///
    /// # Errors
    /// The file cannot be read or is not UTF-8, the variable is not set, or either is empty.
    pub fn read(&self) -> Result<String, SecretError> {
        let value = match &self.0 {
            SecretSource::File(path) => {
                let mut text = std::fs::read_to_string(path).map_err(|e| SecretError::File(path.clone(), e))?;
                if text.ends_with('\n') {
                    text.pop();
                    if text.ends_with('\r') {
                        text.pop();
                    }
                }
                text
            }
            SecretSource::Env(name) => std::env::var(name).map_err(|_| SecretError::Env(name.clone()))?,
            SecretSource::Given(value) => value.clone(),
        };
        if value.is_empty() { Err(SecretError::Empty(format!("{self:?}"))) } else { Ok(value) }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            SecretSource::File(path) => write!(f, "`{}`", path.display()),
            SecretSource::Env(name) => write!(f, "environment variable `{name}`"),
            SecretSource::Given(_) => f.write_str("what was given"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_end_is_not_part_of_a_secret_and_debug_shows_the_place_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("password");
        std::fs::write(&path, "hunter2 \r\n").unwrap();
        let secret = Secret(SecretSource::File(path.clone()));
        assert_eq!(secret.read().unwrap(), "hunter2 ");
        assert!(!format!("{secret:?}").contains("hunter2"));
        std::fs::write(&path, "\n").unwrap();
        assert!(secret.read().unwrap_err().to_string().ends_with("is empty"));
    }

    #[test]
    fn a_missing_secret_is_named() {
        let e = Secret(SecretSource::Env("KORDON_NO_SUCH_VARIABLE".into())).read().unwrap_err();
        assert_eq!(e.to_string(), "environment variable `KORDON_NO_SUCH_VARIABLE`, which holds a secret, is not set");
        let e = Secret(SecretSource::File("no/such/file".into())).read().unwrap_err().to_string();
        assert!(e.starts_with("cannot read the secret in `no/such/file`: "), "{e}");
    }
}

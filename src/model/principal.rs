//! Principals: `Type:name`, split at the first colon, compared exactly.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Somebody: a type (`User`, `Group`) and a name. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Principal {
    text: Arc<str>,
    colon: usize,
}

/// The text has no colon between type and name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("principal `{0}` has no colon between type and name: write `User:{0}` or `Group:{0}`")]
pub struct PrincipalError(pub String);

impl Principal {
    /// A principal of type `User`.
    pub fn user(name: &str) -> Self {
        Self::new("User", name)
    }

    /// A principal of type `Group`.
    pub fn group(name: &str) -> Self {
        Self::new("Group", name)
    }

    /// A principal of any type.
    pub fn new(kind: &str, name: &str) -> Self {
        Self { text: format!("{kind}:{name}").into(), colon: kind.len() }
    }

    /// The type, before the first colon.
    pub fn kind(&self) -> &str {
        self.text.get(..self.colon).unwrap_or_default()
    }

    /// The name, after the first colon.
    pub fn name(&self) -> &str {
        self.text.get(self.colon + 1..).unwrap_or_default()
    }

    /// `Type:name`.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for Principal {
    type Err = PrincipalError;

    fn from_str(text: &str) -> Result<Self, PrincipalError> {
        let colon = text.find(':').ok_or_else(|| PrincipalError(text.to_owned()))?;
        Ok(Self { text: text.into(), colon })
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_colon_splits() {
        let p: Principal = "User:a:b".parse().unwrap();
        assert_eq!((p.kind(), p.name()), ("User", "a:b"));
        assert_eq!(p, Principal::user("a:b"));
    }

    #[test]
    fn a_principal_without_colon_is_refused_with_advice() {
        let e = "alice".parse::<Principal>().unwrap_err().to_string();
        assert!(e.contains("write `User:alice`"), "{e}");
    }
}

//! The list of Kafka's APIs.

use super::error::WireError;
use super::schema::{MessageDef, generated};
use std::fmt;

/// The number that names an API in a request header.
#[derive(Copy, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ApiKey(pub i16);

impl ApiKey {
    /// The API's name as Kafka writes it, `Produce`; `Unknown` for a key that Kafka 4.4 does not have.
    pub fn name(self) -> &'static str {
        api(self).map_or("Unknown", |api| api.name)
    }

    /// The definition of the API's request.
    ///
    /// # Errors
    /// Kafka 4.4 has no such API.
    pub fn request_def(self) -> Result<&'static MessageDef, WireError> {
        api(self).map(|api| api.request).ok_or(WireError::NoSuchVersion { message: self.name(), version: -1 })
    }

    /// The definition of the API's response.
    ///
    /// # Errors
    /// Kafka 4.4 has no such API.
    pub fn response_def(self) -> Result<&'static MessageDef, WireError> {
        api(self).map(|api| api.response).ok_or(WireError::NoSuchVersion { message: self.name(), version: -1 })
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", self.name(), self.0)
    }
}

impl fmt::Display for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match api(*self) {
            Some(api) => f.write_str(api.name),
            None => write!(f, "Unknown({})", self.0),
        }
    }
}

/// A range of versions, both ends included; empty if `max < min`.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub struct Versions {
    /// The lowest version.
    pub min: i16,
    /// The highest version; `i16::MAX` where the range is open.
    pub max: i16,
}

impl Versions {
    /// No version.
    pub const NONE: Self = Self { min: 0, max: -1 };

    /// The versions from `min` to `max`, both included.
    pub const fn new(min: i16, max: i16) -> Self {
        Self { min, max }
    }

    /// Whether the version is in the range.
    pub const fn contains(self, version: i16) -> bool {
        self.min <= version && version <= self.max
    }

    /// Whether no version is in the range.
    pub const fn is_empty(self) -> bool {
        self.max < self.min
    }

    /// The versions in both ranges.
    #[must_use]
    pub const fn intersect(self, other: Self) -> Self {
        let min = if self.min > other.min { self.min } else { other.min };
        let max = if self.max < other.max { self.max } else { other.max };
        if max < min { Self::NONE } else { Self { min, max } }
    }

    /// The versions of the range, from the lowest on.
    pub fn iter(self) -> impl DoubleEndedIterator<Item = i16> {
        self.min..=self.max
    }
}

impl fmt::Display for Versions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.is_empty(), self.min == self.max) {
            (true, _) => f.write_str("none"),
            (_, true) => write!(f, "{}", self.min),
            (_, false) if self.max == i16::MAX => write!(f, "{}+", self.min),
            (_, false) => write!(f, "{}-{}", self.min, self.max),
        }
    }
}

/// Which kinds of Kafka node serve an API.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Listeners {
    /// A broker does.
    pub broker: bool,
    /// A controller does.
    pub controller: bool,
}

/// One API of Kafka 4.4.
#[derive(Debug)]
pub struct Api {
    /// Its number.
    pub key: ApiKey,
    /// Its name, `Produce`.
    pub name: &'static str,
    /// How a request is laid out.
    pub request: &'static MessageDef,
    /// How a response is laid out.
    pub response: &'static MessageDef,
    /// The versions Kafka 4.4 knows; empty for APIs that it removed.
    pub versions: Versions,
    /// Whether the highest version is not yet for use by clients.
    pub latest_unstable: bool,
    /// Who serves it.
    pub listeners: Listeners,
}

/// Every API of Kafka 4.4, removed ones included, in the order of the keys.
pub fn apis() -> &'static [Api] {
    generated::APIS
}

/// The API with this key.
pub fn api(key: ApiKey) -> Option<&'static Api> {
    let position = generated::POSITIONS.get(usize::try_from(key.0).ok()?)?;
    generated::APIS.get(usize::from(*position))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_api_is_found_by_its_key_and_no_other() {
        for a in apis() {
            assert_eq!(api(a.key).map(|found| found.name), Some(a.name));
        }
        assert_eq!(ApiKey::PRODUCE.name(), "Produce");
        assert_eq!(api(ApiKey(-1)).map(|a| a.name), None);
        assert_eq!(ApiKey(9999).name(), "Unknown");
        assert_eq!(ApiKey(9999).to_string(), "Unknown(9999)");
        assert_eq!(apis().len(), 95);
    }

    #[test]
    fn versions_are_closed_ranges() {
        let v = Versions::new(3, 13);
        assert!(v.contains(3) && v.contains(13) && !v.contains(2) && !v.contains(14));
        assert_eq!(v.intersect(Versions::new(0, 5)), Versions::new(3, 5));
        assert!(v.intersect(Versions::new(14, 20)).is_empty());
        assert!(Versions::NONE.is_empty() && Versions::NONE.iter().next().is_none());
        assert_eq!([v, Versions::new(2, 2), Versions::NONE].map(|v| v.to_string()), ["3-13", "2", "none"]);
    }
}

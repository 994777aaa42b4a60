//! Host names that carry the id of a broker.

use std::fmt;

/// A pattern of host names, `broker-{id}.kafka.example.com`: one name for each broker, and a broker for each such name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerHost {
    /// In lower case, as the rest: host names are compared without regard to case.
    before: String,
    after: String,
}

/// Where the id stands.
const ID: &str = "{id}";

impl BrokerHost {
    /// Reads a pattern, in which `{id}` stands exactly once; `None` if it does not.
    pub fn parse(pattern: &str) -> Option<Self> {
        let (before, after) = pattern.split_once(ID)?;
        let known = !after.contains(ID);
        known.then(|| Self { before: before.to_ascii_lowercase(), after: after.to_ascii_lowercase() })
    }

    /// The name of a broker.
    pub fn of(&self, id: i32) -> String {
        format!("{}{id}{}", self.before, self.after)
    }

    /// The broker of a name in lower case; `None` if the name is of none. Each broker has one name: `01` is no id.
    pub fn id(&self, name: &str) -> Option<i32> {
        let digits = name.strip_prefix(&*self.before)?.strip_suffix(&*self.after)?;
        let id = digits.parse().ok().filter(|id: &i32| *id >= 0)?;
        (self.of(id) == name).then_some(id)
    }
}

impl fmt::Display for BrokerHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{ID}{}", self.before, self.after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_has_one_name_and_a_name_one_broker() {
        let host = BrokerHost::parse("Broker-{id}.kafka.example.com").unwrap();
        for id in [0, 7, 10, i32::MAX] {
            assert_eq!(host.id(&host.of(id)), Some(id));
        }
        assert_eq!(host.of(7), "broker-7.kafka.example.com");
        for other in [
            "broker-07.kafka.example.com",
            "broker-+7.kafka.example.com",
            "broker--1.kafka.example.com",
            "broker-.kafka.example.com",
            "broker-2147483648.kafka.example.com",
            "broker-7.kafka.example.org",
            "x.broker-7.kafka.example.com",
            "broker-7.x.kafka.example.com",
            "kafka.example.com",
            "",
        ] {
            assert_eq!(host.id(other), None, "{other}");
        }
        // The texts around the id overlap: no name is both.
        assert_eq!(BrokerHost::parse("a1{id}1a").unwrap().id("a1a"), None);
        assert_eq!(host.to_string(), "broker-{id}.kafka.example.com");
    }

    #[test]
    fn the_id_stands_once() {
        assert_eq!(BrokerHost::parse("broker.example.com"), None);
        assert_eq!(BrokerHost::parse("{id}.broker-{id}"), None);
    }
}

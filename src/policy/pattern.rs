//! Which resources a rule is about.

use crate::model::{CLUSTER_NAME, PatternType, ResourceType};
use std::fmt;

/// A pattern of resource names of one type, with Kafka's meaning: the literal `*` is every name, and a prefix `*` is
/// not (kafka-authorization 3.1).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pattern {
    /// The type of resource.
    pub kind: ResourceType,
    /// How the name is meant.
    pub how: PatternType,
    /// The name or prefix.
    pub name: String,
}

impl Pattern {
    /// Every resource of a type.
    pub fn every(kind: ResourceType) -> Self {
        Self { kind, how: PatternType::Literal, name: "*".to_owned() }
    }

    /// The one resource of this name.
    pub fn literal(kind: ResourceType, name: &str) -> Self {
        Self { kind, how: PatternType::Literal, name: name.to_owned() }
    }

    /// Every resource whose name begins so.
    pub fn prefixed(kind: ResourceType, name: &str) -> Self {
        Self { kind, how: PatternType::Prefixed, name: name.to_owned() }
    }

    /// Whether it is every name of its type.
    pub fn is_every(&self) -> bool {
        self.how == PatternType::Literal && self.name == "*"
    }

    /// Whether a resource of its type has a name that matches. Case counts; the dot is a dot.
    pub fn matches(&self, name: &str) -> bool {
        match self.how {
            PatternType::Literal => self.name == "*" || self.name == name,
            PatternType::Prefixed => name.starts_with(&self.name),
        }
    }

    /// Whether every name that the other matches is one of these.
    pub fn contains(&self, other: &Self) -> bool {
        self.both(other).as_ref() == Some(other)
    }

    /// The names that both match, as one pattern; `None` if there are none. Two patterns never overlap in another way.
    pub fn both(&self, other: &Self) -> Option<Self> {
        if self.kind != other.kind {
            return None;
        }
        if self.is_every() {
            return Some(other.clone());
        }
        if other.is_every() {
            return Some(self.clone());
        }
        let within = |narrow: &Self, wide: &Self| match wide.how {
            PatternType::Literal => narrow == wide,
            PatternType::Prefixed => narrow.name.starts_with(&wide.name),
        };
        if within(self, other) {
            Some(self.clone())
        } else if within(other, self) {
            Some(other.clone())
        } else {
            None
        }
    }

    /// What it matches, in words.
    pub fn in_words(&self) -> String {
        let noun = match self.kind {
            ResourceType::Topic => "topic",
            ResourceType::Group => "group",
            ResourceType::Cluster => return "the cluster".to_owned(),
            ResourceType::TransactionalId => "transactional id",
            ResourceType::DelegationToken => "delegation token",
            ResourceType::User => "user",
        };
        match self.how {
            PatternType::Literal if self.name == "*" => format!("every {noun}"),
            PatternType::Literal => format!("the {noun} `{}`", self.name),
            PatternType::Prefixed => format!("every {noun} whose name begins with `{}`", self.name),
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = self.kind.policy_word();
        match self.how {
            PatternType::Literal if self.kind == ResourceType::Cluster && self.name == CLUSTER_NAME => {
                f.write_str(word)
            }
            PatternType::Literal if self.name != "*" && self.name.ends_with('*') => {
                write!(f, "{{ type: {word}, name: \"{}\", pattern: literal }}", self.name)
            }
            PatternType::Literal => write!(f, "{word}:{}", self.name),
            PatternType::Prefixed => write!(f, "{word}:{}*", self.name),
        }
    }
}

/// What an entry of `resources` names: one pattern, or every resource of every type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// `*`.
    Everything,
    /// Anything else.
    One(Pattern),
}

impl Target {
    /// The patterns of one type that it stands for.
    pub(super) fn on(&self, kind: ResourceType) -> Option<Pattern> {
        match self {
            Self::Everything => Some(Pattern::every(kind)),
            Self::One(pattern) if pattern.kind == kind => Some(pattern.clone()),
            Self::One(_) => None,
        }
    }

    /// Whether it names resources of a type.
    pub(super) fn names(&self, kind: ResourceType) -> bool {
        match self {
            Self::Everything => true,
            Self::One(pattern) => pattern.kind == kind,
        }
    }

    /// The names that both match, of all types.
    pub(super) fn both(&self, other: &Self) -> Option<Self> {
        match (self, other) {
            (Self::Everything, x) | (x, Self::Everything) => Some(x.clone()),
            (Self::One(a), Self::One(b)) => a.both(b).map(Self::One),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everything => f.write_str("*"),
            Self::One(pattern) => pattern.fmt(f),
        }
    }
}

/// Reads `TYPE:NAME`, `cluster` or `*`.
///
/// # Errors
/// What is wrong, and what to write.
pub(super) fn parse_target(text: &str) -> Result<Target, String> {
    if text == "*" {
        return Ok(Target::Everything);
    }
    if text == ResourceType::Cluster.policy_word() {
        return Ok(Target::One(Pattern::literal(ResourceType::Cluster, CLUSTER_NAME)));
    }
    let Some((word, name)) = text.split_once(':') else {
        return Err(match kind_of(text) {
            Ok(kind) => {
                let word = kind.policy_word();
                format!(
                    "resource `{text}` has no name: write `{word}:NAME`, `{word}:PREFIX*`, or `{word}:*` for every one"
                )
            }
            Err(_) => format!("resource `{text}` has no type: write `topic:{text}`, `group:{text}`, `cluster` or `*`"),
        });
    };
    let kind = kind_of(word)?;
    if kind == ResourceType::Cluster {
        return Err(format!("resource `{text}`: there is one cluster, write `cluster`"));
    }
    match name.strip_suffix('*') {
        Some("") => Ok(Target::One(Pattern::every(kind))),
        Some(prefix) => pattern(kind, PatternType::Prefixed, prefix, true),
        None => pattern(kind, PatternType::Literal, name, true),
    }
    .map_err(|e| format!("resource `{text}` {e}"))
}

/// A pattern from its parts, as in `{ type: group, name: "a*", pattern: literal }`.
///
/// # Errors
/// What is wrong, and what to write.
pub(super) fn target_of(kind: ResourceType, how: PatternType, name: &str) -> Result<Target, String> {
    let every = how == PatternType::Literal && name == "*";
    if kind == ResourceType::Cluster && name != CLUSTER_NAME && !every {
        return Err("is not the cluster: write `cluster`".to_owned());
    }
    pattern(kind, how, name, false).map_err(|e| format!("resource `{name}` {e}"))
}

/// The type that a word of the policy file names.
pub(super) fn kind_of(word: &str) -> Result<ResourceType, String> {
    ResourceType::EVERY.into_iter().find(|k| k.policy_word() == word).ok_or_else(|| {
        let words = ResourceType::EVERY.map(ResourceType::policy_word);
        let hint = crate::yaml::did_you_mean(word, words);
        let hint = if hint.is_empty() { format!(": known are `{}`", words.join("`, `")) } else { hint };
        format!("`{word}` is not a type of resource{hint}")
    })
}

fn pattern(kind: ResourceType, how: PatternType, name: &str, short: bool) -> Result<Target, String> {
    const LONGEST_TOPIC: usize = 249;
    if name.is_empty() {
        return Err("can never match: its name is empty".to_owned());
    }
    let every = how == PatternType::Literal && name == "*";
    if kind == ResourceType::Topic && !every {
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if let Some(c) = name.chars().find(|c| !legal(*c)) {
            let hint = if c == '*' { "; `*` counts at the end only" } else { "" };
            return Err(format!(
                "can never match: no topic's name holds `{c}`, only letters, digits, `.`, `_` and `-`{hint}"
            ));
        }
        if name.len() > LONGEST_TOPIC || (how == PatternType::Literal && matches!(name, "." | "..")) {
            return Err("can never match: no topic can have this name".to_owned());
        }
    }
    if kind == ResourceType::User && how == PatternType::Literal && !every && !name.contains(':') {
        return Err(format!("can never match: users are named as principals are, write `user:User:{name}`"));
    }
    if short && !every && name.contains('*') {
        let word = kind.policy_word();
        return Err(format!(
            "holds `*` before its end, where it is no wildcard: if the name really holds it, write \
             `{{ type: {word}, name: \"…\", pattern: literal }}`"
        ));
    }
    Ok(Target::One(Pattern { kind, how, name: name.to_owned() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Pattern {
        match parse_target(text).unwrap() {
            Target::One(p) => p,
            Target::Everything => panic!("everything"),
        }
    }

    #[test]
    fn a_star_at_the_end_makes_a_prefix_and_the_dot_is_a_dot() {
        assert_eq!(one("topic:dev-*"), Pattern::prefixed(ResourceType::Topic, "dev-"));
        assert!(one("topic:pii.*").matches("pii.a") && !one("topic:pii.*").matches("piixa"));
        assert!(!one("topic:orders").matches("Orders"));
        assert_eq!(one("cluster"), Pattern::literal(ResourceType::Cluster, "kafka-cluster"));
        assert_eq!(one("user:User:alice").name, "User:alice", "the first colon splits");
        assert!(one("group:*").is_every());
        assert_eq!(parse_target("*"), Ok(Target::Everything));
    }

    #[test]
    fn what_cannot_match_is_refused_with_advice() {
        for (text, part) in [
            ("topic", "`topic:*` for every one"),
            ("orders", "write `topic:orders`"),
            ("topc:orders", "did you mean `topic`?"),
            ("cluster:x", "write `cluster`"),
            ("topic:", "its name is empty"),
            ("topic:a b", "holds ` `"),
            ("topic:*-scratch", "`*` counts at the end only"),
            ("group:a*b", "pattern: literal"),
            ("topic:..", "no topic can have this name"),
            ("user:alice", "write `user:User:alice`"),
        ] {
            let e = parse_target(text).unwrap_err();
            assert!(e.contains(part), "{text}: {e}");
        }
        let star = target_of(ResourceType::Cluster, PatternType::Prefixed, "*").unwrap_err();
        assert!(star.contains("write `cluster`"), "{star}");
        assert!(target_of(ResourceType::Group, PatternType::Literal, "a*").is_ok());
    }

    #[test]
    fn a_prefix_star_is_no_wildcard() {
        let star = Pattern::prefixed(ResourceType::Group, "*");
        assert!(star.matches("*x") && !star.matches("x") && !star.is_every());
    }

    #[test]
    fn two_patterns_meet_in_the_narrower_or_not_at_all() {
        let meet = |a: &str, b: &str| one(a).both(&one(b)).map(|p| p.to_string());
        assert_eq!(meet("topic:tx_*", "topic:tx_trade*").as_deref(), Some("topic:tx_trade*"));
        assert_eq!(meet("topic:tx_trade1", "topic:tx_*").as_deref(), Some("topic:tx_trade1"));
        assert_eq!(meet("topic:*", "topic:tx_*").as_deref(), Some("topic:tx_*"));
        assert!(one("topic:tx_*").contains(&one("topic:tx_*")) && !one("topic:tx_*").contains(&one("topic:*")));
        assert!(one("topic:*").contains(&one("topic:tx_*")) && one("topic:tx_*").contains(&one("topic:tx_a")));
        assert!(!Pattern::prefixed(ResourceType::Topic, "*").contains(&one("topic:*")), "a prefix `*` is no wildcard");
        assert_eq!(meet("topic:a*", "topic:b*"), None);
        assert_eq!(meet("topic:a", "topic:ab*"), None);
        assert_eq!(meet("topic:*", "group:*"), None);
        let text = |kind| Pattern::literal(kind, "a*").to_string();
        assert_eq!(text(ResourceType::Group), "{ type: group, name: \"a*\", pattern: literal }");
    }
}

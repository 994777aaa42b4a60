//! The tree and its reader.

use super::{Place, Problem};
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_saphyr::options::{DuplicateKeyPolicy, MergeKeyPolicy};
use serde_saphyr::{Location, Spanned};
use std::fmt;

/// A value and its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Where it begins.
    pub at: Place,
    /// The value.
    pub value: Value,
}

/// What stands there. Quoted scalars are always text.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `null`, `~`, or nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Another number.
    Float(f64),
    /// Text.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// A mapping, in the order of the file, duplicates included.
    Map(Vec<Entry>),
}

/// One entry of a mapping.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The key's text; a number or boolean as key is its text.
    pub key: String,
    /// Where the key begins.
    pub at: Place,
    /// The value.
    pub value: Node,
}

impl Value {
    /// What it is, in words, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "true or false",
            Self::Int(_) | Self::Float(_) => "a number",
            Self::Text(_) => "text",
            Self::List(_) => "a list",
            Self::Map(_) => "a mapping",
        }
    }
}

/// The most nodes of a document, and what a small one may have.
const MOST_NODES: usize = 5_000_000;
const LEAST_NODES: usize = 10_000;
/// A node takes a byte or more; with aliases a byte may stand for some.
const NODES_PER_BYTE: usize = 16;

/// Reads one document.
///
/// # Errors
/// The first fault of syntax; a text without a document is [`Value::Null`].
pub fn parse(text: &str, file: &str) -> Result<Node, Problem> {
    // Room for a policy of some 400,000 rules, and for lists that are named once and used often; but aliases of aliases must
    // not make millions of nodes of a few lines. Depth keeps the parser's bound.
    let mut budget = serde_saphyr::Budget::default();
    budget.max_nodes = text.len().saturating_mul(NODES_PER_BYTE).saturating_add(LEAST_NODES).min(MOST_NODES);
    budget.max_events = budget.max_nodes.saturating_mul(3);
    let mut options = serde_saphyr::Options::default();
    options.budget = Some(budget);
    options.duplicate_keys = DuplicateKeyPolicy::PassThrough;
    options.merge_keys = MergeKeyPolicy::Error;
    options.strict_booleans = true;
    options.reject_unsupported_tags = true;
    options.leading_zero_numbers_as_strings = true;
    options.underscored_numbers_as_strings = true;
    match serde_saphyr::from_str_with_options::<Spanned<Raw>>(text, options) {
        Ok(root) => Ok(node(root)),
        Err(e) => Err(Problem {
            file: file.to_owned(),
            place: e.location().and_then(place),
            text: format!("not valid YAML: {}", one_line(e.without_snippet())),
        }),
    }
}

/// The parser's message without the place, which the problem tells in its own way.
fn one_line(error: &serde_saphyr::Error) -> String {
    if matches!(error, serde_saphyr::Error::MultipleDocuments { .. }) {
        return "the file holds more than one document: remove the `---` between them".to_owned();
    }
    let text = error.to_string();
    let first = text.lines().next().unwrap_or_default();
    let first = first.rsplit_once(" at line ").map_or(first, |(message, _)| message);
    first.trim_start_matches("error: ").trim_end_matches(':').to_owned()
}

fn place(at: Location) -> Option<Place> {
    (at.line() > 0).then(|| Place { line: at.line(), column: at.column() })
}

fn node(raw: Spanned<Raw>) -> Node {
    let at = place(raw.referenced).unwrap_or(Place { line: 1, column: 1 });
    let value = match raw.value {
        Raw::Leaf(value) => value,
        Raw::List(items) => Value::List(items.into_iter().map(node).collect()),
        Raw::Map(entries) => Value::Map(
            entries
                .into_iter()
                .map(|(key, value)| Entry {
                    at: place(key.referenced).unwrap_or(at),
                    key: key.value,
                    value: node(value),
                })
                .collect(),
        ),
    };
    Node { at, value }
}

/// The shape that serde fills.
enum Raw {
    Leaf(Value),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<String>, Spanned<Raw>)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Leaf(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Leaf(Value::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Raw, D::Error> {
        Raw::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Leaf(Value::Bool(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Leaf(Value::Int(value)))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Raw, E> {
        i64::try_from(value)
            .map(|value| Raw::Leaf(Value::Int(value)))
            .map_err(|_| E::custom(format!("number `{value}` is too large")))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Raw, E> {
        Ok(Raw::Leaf(Value::Float(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Raw, E> {
        Ok(Raw::Leaf(Value::Text(value.to_owned())))
    }

    fn visit_string<E>(self, value: String) -> Result<Raw, E> {
        Ok(Raw::Leaf(Value::Text(value)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Raw, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Raw::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Raw::Map(entries))
    }

    fn visit_bytes<E: serde::de::Error>(self, _: &[u8]) -> Result<Raw, E> {
        Err(E::custom("binary values mean nothing here"))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, _: D) -> Result<Raw, D::Error> {
        Err(D::Error::custom("tagged values mean nothing here"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(node: &Node) -> String {
        match &node.value {
            Value::Map(entries) => {
                entries.iter().map(|e| format!("{}@{}:{}={};", e.key, e.at.line, e.at.column, text(&e.value))).collect()
            }
            Value::List(items) => items.iter().map(|i| format!("[{}]", text(i))).collect(),
            value => format!("{value:?}@{}:{}", node.at.line, node.at.column),
        }
    }

    #[test]
    fn every_key_and_value_knows_its_place() {
        let root = parse("a: 1\nb: { c: [x, null] }\n1: yes\na: 30d\n", "f").unwrap();
        assert_eq!(
            text(&root),
            "a@1:1=Int(1)@1:4;b@2:1=c@2:6=[Text(\"x\")@2:10][Null@2:13];;1@3:1=Text(\"yes\")@3:4;a@4:1=Text(\"30d\")@4:4;"
        );
    }

    #[test]
    fn plain_scalars_keep_the_type_that_yaml_gives_them_and_quoted_ones_are_text() {
        let root = parse("[true, 'true', 0-15, 1.5, '9', 007, 1_000, ~, -3]", "f").unwrap();
        assert_eq!(
            text(&root),
            "[Bool(true)@1:2][Text(\"true\")@1:8][Text(\"0-15\")@1:16][Float(1.5)@1:22][Text(\"9\")@1:27][Text(\"007\")@1:32]\
             [Text(\"1_000\")@1:37][Null@1:44][Int(-3)@1:47]"
        );
    }

    #[test]
    fn syntax_is_reported_with_its_place() {
        for (yaml, expected) in [
            ("a: [1\nb: 2\n", "f:2:"),
            ("a: *nobody\n", "f:1:4: not valid YAML: "),
            ("a: &x {b: 1}\nc:\n  <<: *x\n", "f:3:"),
            ("a: !foo 1\n", "f:1:"),
            ("a: 1\n---\nb: 2\n", "f:3:1: not valid YAML: the file holds more than one document"),
        ] {
            let e = parse(yaml, "f").unwrap_err().to_string();
            assert!(e.starts_with(expected), "{yaml:?}: {e}");
            assert!(!e.contains('\n'), "{e}");
        }
        assert_eq!(parse("", "f").unwrap().value, Value::Null);
    }
}

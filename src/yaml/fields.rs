//! Reading a mapping whose keys are known: unknown, duplicate and not-yet-served keys are reported once, here.

use super::{Entry, Node, Place, Report, Value, did_you_mean};

/// The keys that a mapping may hold.
#[derive(Copy, Clone, Debug)]
pub struct Keys {
    /// Those that are read.
    pub served: &'static [&'static str],
    /// Those that the format knows and this version does not serve: refused by name.
    pub later: &'static [&'static str],
}

/// A mapping whose keys were checked.
#[derive(Clone, Debug)]
pub struct Fields<'n> {
    /// Its path from the root, as in `listeners[0]`; empty for the root.
    path: String,
    /// Where it begins.
    at: Place,
    entries: &'n [Entry],
}

impl<'n> Fields<'n> {
    /// Checks that a node is a mapping and its keys are known. Faults of keys are reported, but the mapping is
    /// still read, so that faults of its values are shown in the same go.
    pub fn open(node: &'n Node, path: &str, keys: Keys, report: &mut Report) -> Option<Self> {
        let Value::Map(entries) = &node.value else {
            let what = if path.is_empty() { "the file".to_owned() } else { format!("`{path}`") };
            report.at(node.at, format!("{what} must be a mapping of keys to values, but is {}", node.value.kind()));
            return None;
        };
        let fields = Self { path: path.to_owned(), at: node.at, entries };
        for (i, entry) in entries.iter().enumerate() {
            let path = fields.path(&entry.key);
            let key = entry.key.as_str();
            if let Some(first) = entries.iter().take(i).find(|e| e.key == key) {
                report.at(entry.at, format!("`{path}` stands twice, first in line {}: keep one", first.at.line));
            } else if keys.later.contains(&key) {
                report.at(entry.at, format!("`{path}` is not served by this version: remove it"));
            } else if !keys.served.contains(&key) {
                let hint = did_you_mean(key, keys.served.iter().chain(keys.later).copied());
                let hint = if hint.is_empty() { format!(": known here are {}", list(keys.served)) } else { hint };
                report.at(entry.at, format!("`{path}` is not a known key{hint}"));
            }
        }
        Some(fields)
    }

    /// The value of a key, the first one if it stands twice; `None` if it is absent.
    pub fn get(&self, key: &str) -> Option<&'n Node> {
        self.entry(key).map(|e| &e.value)
    }

    /// The value of a key; its absence is reported.
    pub fn required(&self, key: &str, what: &str, report: &mut Report) -> Option<&'n Node> {
        let found = self.get(key);
        if found.is_none() {
            report.at(self.at, format!("`{}` is missing: {what}", self.path(key)));
        }
        found
    }

    /// Key and value.
    pub fn entry(&self, key: &str) -> Option<&'n Entry> {
        self.entries.iter().find(|e| e.key == key)
    }

    /// The path of a key of this mapping.
    pub fn path(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Where the mapping begins.
    pub fn at(&self) -> Place {
        self.at
    }
}

/// Words in backticks, with commas.
fn list(words: &[&str]) -> String {
    words.iter().map(|w| format!("`{w}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::parse;

    const KEYS: Keys = Keys { served: &["name", "size"], later: &["tls"] };

    fn problems(yaml: &str, path: &str) -> Vec<String> {
        let mut report = Report::new("f");
        let root = parse(yaml, "f").unwrap();
        if let Some(fields) = Fields::open(&root, path, KEYS, &mut report) {
            fields.required("name", "say who", &mut report);
        }
        report.into_problems().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn all_faults_of_keys_are_told_at_once_in_the_order_of_the_file() {
        assert_eq!(
            problems("size: 1\nsiz: 2\ntls: 3\nsize: 4\ncolour: 5\n", "a[0]"),
            [
                "f:1:1: `a[0].name` is missing: say who",
                "f:2:1: `a[0].siz` is not a known key, did you mean `size`?",
                "f:3:1: `a[0].tls` is not served by this version: remove it",
                "f:4:1: `a[0].size` stands twice, first in line 1: keep one",
                "f:5:1: `a[0].colour` is not a known key: known here are `name`, `size`",
            ]
        );
    }

    #[test]
    fn what_is_no_mapping_is_told() {
        assert_eq!(problems("[1]", ""), ["f:1:1: the file must be a mapping of keys to values, but is a list"]);
        assert_eq!(problems("3", "x"), ["f:1:1: `x` must be a mapping of keys to values, but is a number"]);
    }
}

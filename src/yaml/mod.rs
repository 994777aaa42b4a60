//! YAML as a tree in which every key and value knows its place, so that a whole file can be judged in one go
//! and every fault be shown with line and column. No I/O.
//!
//! serde reports the first fault and stops; configuration, policy and users file report all of them, so they read
//! this tree instead. Strict: no duplicate keys (reported by [`Fields`]), no merge keys, no foreign tags, and only
//! `true` and `false` are booleans.

mod fields;
mod suggest;
mod tree;

pub use fields::{Fields, Keys};
pub use suggest::did_you_mean;
pub use tree::{Entry, Node, Value, parse};

use std::fmt;

/// A place in a file: line and column, both from 1.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// The line.
    pub line: u64,
    /// The column, in characters.
    pub column: u64,
}

/// One fault of a file, in words that say what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Problem {
    /// The file, as the user named it.
    pub file: String,
    /// Where in it; `None` = the file as a whole.
    pub place: Option<Place>,
    /// What is wrong and what to do.
    pub text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Some(Place { line, column }) => write!(f, "{}:{line}:{column}: {}", self.file, self.text),
            None => write!(f, "{}: {}", self.file, self.text),
        }
    }
}

/// The text with its control characters escaped: a quoted name must not look like a line of its own.
fn shown(text: String) -> String {
    if !text.contains(char::is_control) {
        return text;
    }
    let escaped = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(escaped).collect()
}

/// Gathers the problems of one file.
#[derive(Clone, Debug, Default)]
pub struct Report {
    file: String,
    problems: Vec<Problem>,
}

impl Report {
    /// Nothing found yet in this file.
    pub fn new(file: &str) -> Self {
        Self { file: file.to_owned(), problems: Vec::new() }
    }

    /// Adds a problem at a place. What the text quotes from the file is shown as one line, whatever stands there.
    pub fn at(&mut self, place: Place, text: impl Into<String>) {
        self.problems.push(Problem { file: self.file.clone(), place: Some(place), text: shown(text.into()) });
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.problems.is_empty()
    }

    /// What was found, in the order of the file.
    pub fn into_problems(mut self) -> Vec<Problem> {
        self.problems.sort_by_key(|p| p.place);
        self.problems
    }
}

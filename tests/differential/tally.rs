//! What a run has covered, and what came of it.

use std::collections::{BTreeMap, BTreeSet};

use kordon::wire::{ApiKey, Node, Value, Versions};

use crate::clusters::tell;
use crate::side::Outcome;

/// How a request ended, by the error codes in its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Allowed,
    Denied,
    Partial,
    /// Refused for another reason than rights.
    Other,
    Closed,
}

/// Codes that say that a right is missing.
const DENIALS: [i64; 5] = [29, 30, 31, 53, 65];

/// How a request ended.
pub fn end(outcome: &Outcome) -> End {
    let Outcome::Answer(node) = outcome else {
        return if *outcome == Outcome::Quiet { End::Allowed } else { End::Closed };
    };
    let codes = codes(node);
    let denied = codes.iter().any(|code| DENIALS.contains(code));
    let fine = codes.is_empty() || codes.contains(&0);
    match (denied, fine) {
        (true, true) if codes.iter().filter(|code| **code == 0).count() > 1 || codes.len() > 1 => End::Partial,
        (true, _) => End::Denied,
        (false, true) => End::Allowed,
        (false, false) => End::Other,
    }
}

/// Every error code of an answer.
pub fn codes(answer: &Node) -> Vec<i64> {
    let mut codes = Vec::new();
    errors(answer, &mut codes);
    codes
}

fn errors(node: &Node, codes: &mut Vec<i64>) {
    for (field, def) in node.def().fields() {
        match node.value(field) {
            Value::Int(code) if def.name.ends_with("ErrorCode") => codes.push(*code),
            Value::Struct(inner) => errors(inner, codes),
            Value::Nodes(all) => all.iter().for_each(|inner| errors(inner, codes)),
            _ => {}
        }
    }
}

/// Counts of a run.
#[derive(Default)]
pub struct Tally {
    pub requests: usize,
    /// By API: versions, ends.
    apis: BTreeMap<ApiKey, (BTreeSet<i16>, [usize; 5])>,
    /// Names of waivers that were met.
    pub waived: BTreeMap<&'static str, usize>,
    /// Steps that took long.
    pub slow: Vec<String>,
    /// Answers that agreed only when asked again.
    pub late: usize,
}

impl Tally {
    /// Counts one request.
    pub fn note(&mut self, key: ApiKey, version: i16, end: End) {
        self.requests += 1;
        let (versions, ends) = self.apis.entry(key).or_default();
        versions.insert(version);
        ends[end as usize] += 1;
    }

    /// Versions of these ranges without a case.
    pub fn missing(&self, served: &BTreeMap<ApiKey, Versions>) -> Vec<String> {
        let none = BTreeSet::new();
        let mut missing = Vec::new();
        for (key, versions) in served {
            let seen = self.apis.get(key).map_or(&none, |(versions, _)| versions);
            missing.extend(versions.iter().filter(|v| !seen.contains(v)).map(|v| format!("{} v{v}", key.name())));
        }
        missing
    }

    /// Prints what was covered.
    pub fn print(&self, served: &BTreeMap<ApiKey, Versions>) {
        tell(&format!("{:34} {:>9} {:>8}  allowed denied partial other closed", "API", "versions", "requests"));
        for (key, (versions, ends)) in &self.apis {
            let of = served.get(key).map_or(0, |range| range.iter().count());
            tell(&format!(
                "{:34} {:>9} {:>8}  {:>7} {:>6} {:>7} {:>5} {:>6}",
                key.name(),
                format!("{}/{of}", versions.len()),
                ends.iter().sum::<usize>(),
                ends[0],
                ends[1],
                ends[2],
                ends[3],
                ends[4]
            ));
        }
        if !self.slow.is_empty() {
            tell(&format!("slow: {}", self.slow.join(", ")));
        }
        let versions: usize = self.apis.values().map(|(versions, _)| versions.len()).sum();
        tell(&format!(
            "{} requests, {} APIs, {versions} versions; {} agreed when asked again; waived: {:?}",
            self.requests,
            self.apis.len(),
            self.late,
            self.waived
        ));
    }
}

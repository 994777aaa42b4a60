//! What is written down of every decision: request × operation × outcome × rule, with the names it covers.

pub use crate::model::Category;
use crate::model::{Connection, Operation, ResourceType, Subject, Timestamp};
use crate::policy::{Decision, Snapshot};
use crate::wire::ApiKey;

/// A list of names in one reusable buffer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    text: String,
    ends: Vec<usize>,
}

impl Names {
    /// Adds a name.
    pub fn push(&mut self, name: &str) {
        self.text.push_str(name);
        self.ends.push(self.text.len());
    }

    /// How many names there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Forgets the names and keeps the memory.
    pub fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
    }

    /// The names, in the order in which they were asked for.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(self.ends.iter().copied()).map(|(from, to)| self.text.get(from..to).unwrap_or_default())
    }
}

/// Equal decisions of one request: same operation, type of resource, outcome and rule.
#[derive(Clone, Debug)]
pub struct Record {
    /// The operation asked for (Kafka's; `decision.right()` names a virtual one).
    pub operation: Operation,
    /// The type of the resources.
    pub kind: ResourceType,
    /// The resources asked for, not those of the rule that matched.
    pub names: Names,
    /// Outcome, cause, evidence.
    pub decision: Decision,
    /// A check that only filters a listing.
    pub probe: bool,
}

/// Records whose memory is kept from one request to the next, and the bytes that each of them keeps.
const KEPT_RECORDS: usize = 32;
const KEPT_BYTES: usize = 16 * 1024;

/// The decisions of one request, in memory that is used again for the next.
#[derive(Debug, Default)]
pub struct Trail {
    records: Vec<Record>,
    used: usize,
    /// What the request asks for, as JSON text, for mutations (audit.md: "Mutations carry their arguments").
    pub arguments: Option<String>,
    /// The category of this request, where it is not that of its API: a commit in the admin form.
    pub category: Option<Category>,
}

impl Trail {
    /// Forgets everything and keeps the memory, as far as usual requests need it: a connection that once named a million
    /// topics does not hold their names for the rest of its life.
    pub fn clear(&mut self) {
        self.used = 0;
        self.records.truncate(KEPT_RECORDS);
        for record in &mut self.records {
            if record.names.text.capacity() + record.names.ends.capacity() * size_of::<usize>() > KEPT_BYTES {
                record.names = Names::default();
            }
        }
        self.arguments = None;
        self.category = None;
    }

    /// Adds a decision, to an equal one if there is one.
    pub fn add(&mut self, operation: Operation, kind: ResourceType, name: &str, decision: &Decision, probe: bool) {
        let same = |r: &Record| {
            r.operation == operation && r.kind == kind && r.probe == probe && r.decision.same_cause(decision)
        };
        let used = self.used;
        if let Some(record) = self.records.iter_mut().take(used).find(|r| same(r)) {
            record.names.push(name);
            return;
        }
        if let Some(record) = self.records.get_mut(used) {
            record.operation = operation;
            record.kind = kind;
            record.names.clear();
            record.decision = decision.clone();
            record.probe = probe;
        } else {
            let (names, decision) = (Names::default(), decision.clone());
            self.records.push(Record { operation, kind, names, decision, probe });
        }
        if let Some(record) = self.records.get_mut(used) {
            record.names.push(name);
        }
        self.used = used + 1;
    }

    /// The records so far.
    pub fn records(&self) -> &[Record] {
        self.records.get(..self.used).unwrap_or_default()
    }

    /// Whether nothing was decided.
    pub fn is_empty(&self) -> bool {
        self.used == 0
    }
}

/// The request that decisions belong to.
#[derive(Copy, Clone, Debug)]
pub struct RequestFacts<'a> {
    /// Who asks.
    pub subject: &'a Subject,
    /// The connection it came by.
    pub connection: &'a Connection,
    /// API.
    pub key: ApiKey,
    /// Version of the API.
    pub version: i16,
    /// The client's number for the request.
    pub correlation_id: i32,
    /// The client's name for itself.
    pub client_id: Option<&'a str>,
    /// Name and version of the client's software, from ApiVersions.
    pub software: Option<(&'a str, &'a str)>,
    /// Category of the API.
    pub category: Category,
    /// Asked again and again while nothing happens (Fetch, heartbeats, ListOffsets): merged by default.
    pub polling: bool,
    /// Size of the request in bytes.
    pub bytes: usize,
    /// When it was judged.
    pub now: Timestamp,
    /// The policy that it was judged by.
    pub snapshot: &'a Snapshot,
}

/// Takes decisions to the audit. The session asks [`Recorder::has_room`] before it judges a request.
pub trait Recorder {
    /// Whether the audit has room for the decisions of one more request.
    fn has_room(&self) -> bool;
    /// Takes over the decisions of one request. `Some` = the request must wait until this token is reported durable.
    fn record(&mut self, request: &RequestFacts<'_>, trail: &Trail) -> Option<DurableToken>;
}

/// Names a set of events whose durability a request waits for.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DurableToken(pub u64);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::ReasonCode;

    #[test]
    fn a_request_that_named_much_leaves_no_memory_behind() {
        let (mut trail, no) = (Trail::default(), Decision::refused(ReasonCode::NoMatch, Timestamp(0)));
        let mut ask = |names: usize| {
            for name in 0..names {
                trail.add(Operation::Read, ResourceType::Topic, &name.to_string(), &no, false);
            }
            trail.clear();
            trail.records[0].names.text.capacity()
        };
        assert!(ask(10) > 0, "what usual requests need is kept");
        assert_eq!(ask(100_000), 0);
    }

    #[test]
    fn names_come_back_in_order_and_may_be_empty() {
        let mut names = Names::default();
        for name in ["b", "", "a"] {
            names.push(name);
        }
        assert_eq!(names.iter().collect::<Vec<_>>(), ["b", "", "a"]);
        names.clear();
        assert!(names.is_empty());
    }
}

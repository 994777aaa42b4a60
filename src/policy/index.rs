//! Finding the rules about a name without looking at the others.
//!
//! Every distinct pattern has a number. A name's patterns are found by one look-up for the literal, one for each
//! distinct length of prefix, and the wildcard. Each pattern lists the principals that rules about it speak to, which
//! are compared with the subject's identities. Nothing is allocated.

use super::pattern::Pattern;
use super::rights::Bits;
use crate::model::{PatternType, ResourceType};
use ahash::{HashMap, HashSet};
use std::ops::Range;

/// The number of a principal that rules name.
pub(super) type Identity = u32;
/// The number of a pattern.
pub(super) type PatternId = u32;

/// What a rule says to one principal about one pattern.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// The rule's number; lower ones stand first in the order in which rules are told as the cause.
    pub(super) rule: u32,
    /// Whether it denies.
    pub(super) deny: bool,
    /// What it lets through or holds back, with what that implies.
    pub(super) bits: Bits,
    /// The operations as written.
    pub(super) written: Bits,
}

/// Entries by identity and pattern.
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    names: [Names; 6],
    patterns: Vec<Pattern>,
    /// Whether a pattern is one of an ACL of the file, by its number: with `allow_if_no_acl` it closes what it matches.
    acls: Vec<bool>,
    /// Where in `speaks_to` a pattern's principals are, by its number.
    audience: Vec<Range<u32>>,
    /// Who is spoken to: of each pattern by identity.
    speaks_to: Vec<Speech>,
    /// Denies of a speech first, each kind by rule.
    entries: Vec<Entry>,
    /// The patterns that an identity has entries for, by identity and type.
    patterns_of: HashMap<(Identity, ResourceType), Vec<PatternId>>,
}

/// What rules say to one principal about one pattern.
#[derive(Clone, Debug)]
struct Speech {
    to: Identity,
    entries: Range<u32>,
}

/// The patterns of one type of resource.
#[derive(Clone, Debug, Default)]
struct Names {
    literal: HashMap<Box<str>, PatternId>,
    prefix: HashMap<Box<str>, PatternId>,
    /// Lengths of the prefixes in bytes, ascending.
    lengths: Vec<usize>,
    every: Option<PatternId>,
}

impl Index {
    /// The entries of some identities about a resource: pattern, then entries with denies first.
    pub(super) fn visit(
        &self,
        identities: &[Identity],
        kind: ResourceType,
        name: &str,
        mut see: impl FnMut(PatternId, Identity, &[Entry]),
    ) {
        self.visit_patterns(kind, name, |pattern| {
            let audience = self.audience(pattern);
            // The shorter list is walked.
            if audience.len() <= identities.len() {
                for speech in audience.iter().filter(|s| identities.contains(&s.to)) {
                    see(pattern, speech.to, self.said(speech));
                }
            } else {
                for speech in identities.iter().filter_map(|i| find(audience, *i)) {
                    see(pattern, speech.to, self.said(speech));
                }
            }
        });
    }

    fn visit_patterns(&self, kind: ResourceType, name: &str, mut see: impl FnMut(PatternId)) {
        let Some(names) = self.names.get(kind.index()) else { return };
        if let Some(every) = names.every {
            see(every);
        }
        if let Some(literal) = names.literal.get(name) {
            see(*literal);
        }
        for length in names.lengths.iter().take_while(|l| **l <= name.len()) {
            // A cut within a character is no prefix of the name.
            if let Some(prefix) = name.get(..*length)
                && let Some(found) = names.prefix.get(prefix)
            {
                see(*found);
            }
        }
    }

    /// Whether an ACL of the file is about a resource.
    pub(super) fn has_acl(&self, kind: ResourceType, name: &str) -> bool {
        let mut found = false;
        self.visit_patterns(kind, name, |p| found |= self.is_acl(p));
        found
    }

    fn is_acl(&self, pattern: PatternId) -> bool {
        usize::try_from(pattern).ok().and_then(|p| self.acls.get(p)).copied().unwrap_or(false)
    }

    /// The entries of an identity about exactly the literal name.
    pub(super) fn literal(&self, identity: Identity, kind: ResourceType, name: &str) -> &[Entry] {
        let pattern = self.names.get(kind.index()).and_then(|n| n.literal.get(name));
        let speech = pattern.and_then(|p| find(self.audience(*p), identity));
        speech.map_or(&[], |s| self.said(s))
    }

    /// All entries of an identity about a type of resource.
    pub(super) fn visit_all<'i>(
        &'i self,
        identities: &[Identity],
        kind: ResourceType,
        mut see: impl FnMut(&'i Pattern, &'i [Entry]),
    ) {
        for identity in identities {
            let patterns = self.patterns_of.get(&(*identity, kind));
            for id in patterns.into_iter().flatten() {
                if let (Some(pattern), Some(speech)) = (self.pattern(*id), find(self.audience(*id), *identity)) {
                    see(pattern, self.said(speech));
                }
            }
        }
    }

    /// Every entry with its pattern.
    pub(super) fn all(&self) -> impl Iterator<Item = (&Pattern, &Entry)> {
        self.patterns.iter().zip(&self.audience).flat_map(move |(pattern, range)| {
            let audience = part(&self.speaks_to, range);
            audience.iter().flat_map(move |s| self.said(s).iter().map(move |e| (pattern, e)))
        })
    }

    /// The pattern of a number.
    pub(super) fn pattern(&self, id: PatternId) -> Option<&Pattern> {
        usize::try_from(id).ok().and_then(|i| self.patterns.get(i))
    }

    /// Whether there is no entry.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn audience(&self, pattern: PatternId) -> &[Speech] {
        let range = usize::try_from(pattern).ok().and_then(|p| self.audience.get(p));
        range.map_or(&[], |r| part(&self.speaks_to, r))
    }

    fn said(&self, speech: &Speech) -> &[Entry] {
        part(&self.entries, &speech.entries)
    }
}

fn find(audience: &[Speech], identity: Identity) -> Option<&Speech> {
    audience.binary_search_by_key(&identity, |s| s.to).ok().and_then(|at| audience.get(at))
}

fn part<'p, T>(all: &'p [T], range: &Range<u32>) -> &'p [T] {
    let (Ok(from), Ok(to)) = (usize::try_from(range.start), usize::try_from(range.end)) else { return &[] };
    all.get(from..to).unwrap_or_default()
}

/// Gathers entries for an [`Index`].
#[derive(Clone, Debug, Default)]
pub(super) struct Builder {
    index: Index,
    numbers: HashMap<Pattern, PatternId>,
    entries: Vec<(PatternId, Identity, Entry)>,
    seen: HashSet<(PatternId, Identity)>,
}

impl Builder {
    /// Adds what a rule says to a principal about a pattern.
    pub(super) fn add(&mut self, identity: Identity, pattern: &Pattern, entry: Entry) {
        let id = self.number(pattern);
        self.entries.push((id, identity, entry));
        if self.seen.insert((id, identity)) {
            self.index.patterns_of.entry((identity, pattern.kind)).or_default().push(id);
        }
    }

    /// Notes that an ACL of the file is about a pattern, whoever it names.
    pub(super) fn note_acl(&mut self, pattern: &Pattern) {
        let id = self.number(pattern);
        if let Some(flag) = usize::try_from(id).ok().and_then(|i| self.index.acls.get_mut(i)) {
            *flag = true;
        }
    }

    fn number(&mut self, pattern: &Pattern) -> PatternId {
        if let Some(id) = self.numbers.get(pattern) {
            return *id;
        }
        let id = PatternId::try_from(self.index.patterns.len()).unwrap_or(PatternId::MAX);
        self.numbers.insert(pattern.clone(), id);
        self.index.patterns.push(pattern.clone());
        self.index.acls.push(false);
        if let Some(names) = self.index.names.get_mut(pattern.kind.index()) {
            match pattern.how {
                PatternType::Literal if pattern.is_every() => names.every = Some(id),
                PatternType::Literal => {
                    names.literal.insert(pattern.name.as_str().into(), id);
                }
                PatternType::Prefixed => {
                    names.prefix.insert(pattern.name.as_str().into(), id);
                    let length = pattern.name.len();
                    if let Err(at) = names.lengths.binary_search(&length) {
                        names.lengths.insert(at, length);
                    }
                }
            }
        }
        id
    }

    /// The index of all that was added.
    pub(super) fn build(mut self) -> Index {
        self.entries.sort_by_key(|(pattern, identity, e)| (*pattern, *identity, !e.deny, e.rule));
        let mut index = self.index;
        index.audience = vec![0..0; index.patterns.len()];
        let mut last = None;
        for (n, (pattern, identity, entry)) in (0_u32..).zip(&self.entries) {
            let speeches = u32::try_from(index.speaks_to.len()).unwrap_or(u32::MAX);
            if last != Some((*pattern, *identity)) {
                last = Some((*pattern, *identity));
                index.speaks_to.push(Speech { to: *identity, entries: n..n });
                if let Some(audience) = usize::try_from(*pattern).ok().and_then(|p| index.audience.get_mut(p)) {
                    let start = if audience.start == audience.end { speeches } else { audience.start };
                    *audience = start..speeches + 1;
                }
            }
            if let Some(speech) = index.speaks_to.last_mut() {
                speech.entries.end = n + 1;
            }
            index.entries.push(*entry);
        }
        index
    }
}

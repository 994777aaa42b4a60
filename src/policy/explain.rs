//! Why a decision came out as it did, rule by rule. The decision itself is [`Snapshot::decide`]'s.

use super::decision::{Decision, Effect, Evidence, EvidenceKind, Miss};
use super::index::{Entry, Index};
use super::pattern::Pattern;
use super::rights::Wanted;
use super::snapshot::{Facts, Query, Snapshot};
use std::fmt;
use std::sync::Arc;

/// A decision and the rules that speak to this principal about this resource.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// The decision, as enforcement gets it.
    pub decision: Decision,
    /// Each rule, in the order in which rules are told as the cause.
    pub considered: Vec<Considered>,
}

/// One rule that speaks to the principal about the resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Considered {
    /// The rule.
    pub rule: Arc<Evidence>,
    /// Under which name it speaks to the principal: its own, `User:*`, or a group.
    pub speaks_to: Arc<str>,
    /// Which of its resources matches.
    pub pattern: Pattern,
    /// Its operations on this type of resource, as they are written.
    pub operations: Vec<&'static str>,
    /// What comes of it.
    pub outcome: Outcome,
}

/// What comes of a rule for one question.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It allows or denies what is asked.
    Applies,
    /// It is about other operations.
    OtherOperation,
    /// One thing keeps it from holding.
    Misses(Miss),
    /// Several things keep it from holding.
    MissesMore,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Applies => "applies",
            Self::OtherOperation => "is about other operations",
            Self::Misses(Miss::NotYet) => "does not hold yet",
            Self::Misses(Miss::NoLonger) => "has ended",
            Self::Misses(Miss::Revoked) => "is revoked",
            Self::Misses(Miss::OtherHost) => "holds from other hosts",
            Self::Misses(Miss::OtherApi) => "holds in other apis",
            Self::Misses(Miss::Excepted) => "excepts this principal",
            Self::Misses(Miss::DescribeOnly) => "allows Describe only",
            Self::MissesMore => "does not hold, for several reasons",
        })
    }
}

impl fmt::Display for Considered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Evidence { kind, id, effect, role, .. } = &*self.rule;
        write!(f, "{} `{id}`", kind.as_str())?;
        if let Some(role) = role {
            write!(f, " (role `{role}`)")?;
        }
        let operations = self.operations.join(", ");
        write!(
            f,
            ": {} [{operations}] for `{}` on `{}`: {}",
            effect.as_str(),
            self.speaks_to,
            self.pattern,
            self.outcome
        )
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.decision.is_allowed() { "allowed" } else { "denied" };
        writeln!(f, "{word}, {}: {}", self.decision.code(), self.decision.reason())?;
        for rule in &self.considered {
            writeln!(f, "  {rule}")?;
        }
        if self.considered.is_empty() {
            writeln!(f, "  no rule speaks to this principal about this resource")?;
        }
        Ok(())
    }
}

impl Snapshot {
    /// Decides, and lists the rules that speak to the principal about the resource.
    pub fn explain(&self, q: &Query<'_>) -> Explanation {
        let (identities, _) = self.directory.look_up(q.subject);
        let wanted = Wanted::new(q.resource.kind, q.operation, q.api, q.use_);
        let facts = Facts { identities: &identities, host: q.host, api: Some(q.api), now: q.now };
        let mut considered: Vec<(u32, Considered)> = Vec::new();
        for index in [&self.file.quarantines, &self.index] {
            index.visit(identities.as_slice(), q.resource.kind, q.resource.name, |pattern, identity, entries| {
                for entry in entries {
                    considered.extend(self.consider(index, pattern, identity, entry, wanted, facts));
                }
            });
        }
        considered.sort_by_key(|(rule, c)| (c.rule.kind != EvidenceKind::Quarantine, *rule));
        Explanation { decision: self.decide(q), considered: considered.into_iter().map(|(_, c)| c).collect() }
    }

    fn consider(
        &self,
        index: &Index,
        pattern: u32,
        identity: u32,
        entry: &Entry,
        wanted: Wanted,
        facts: Facts<'_>,
    ) -> Option<(u32, Considered)> {
        let rule = self.rule(entry.rule)?;
        let outcome = if !entry.bits.meets(wanted.any().union(wanted.own_held_back)) {
            Outcome::OtherOperation
        } else if rule.holds(facts) {
            Outcome::Applies
        } else {
            rule.miss(facts).map_or(Outcome::MissesMore, Outcome::Misses)
        };
        let considered = Considered {
            rule: Arc::clone(&rule.evidence),
            speaks_to: self.directory.name(identity),
            pattern: index.pattern(pattern)?.clone(),
            operations: entry.written.names(),
            outcome,
        };
        Some((entry.rule, considered))
    }

    /// Every pattern of the file with the place or grant that holds it, in the order of the rules: for
    /// `kordon check --patterns`, which prints [`Pattern::in_words`] and counts what it matches.
    pub fn patterns(&self) -> Vec<(Arc<str>, Effect, Pattern)> {
        let mut found: Vec<(u32, &Pattern)> =
            self.index.all().chain(self.file.quarantines.all()).map(|(pattern, entry)| (entry.rule, pattern)).collect();
        found.sort_unstable();
        found.dedup();
        let mut told: Vec<(Arc<str>, Effect, Pattern)> = found
            .into_iter()
            .filter_map(|(rule, pattern)| {
                let evidence = &self.rule(rule)?.evidence;
                Some((Arc::clone(&evidence.id), evidence.effect, pattern.clone()))
            })
            .collect();
        told.dedup();
        told
    }
}

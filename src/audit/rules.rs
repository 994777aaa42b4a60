//! How loud a decision is told: `audit.rules`, and what no rule may lower.

use crate::config::{self, AuditLevel, AuditResult};
use crate::enforce::{Category, Names};
use crate::model::{Operation, OperationSet, Principal, ResourceType, Subject};
use crate::policy::Snapshot;
use std::time::Duration;

/// The window of polling that no rule speaks of.
pub const POLLING_WINDOW: Duration = Duration::from_secs(10);

/// What a rule looks at.
#[derive(Copy, Clone, Debug)]
pub struct Facts<'a> {
    /// Who asked.
    pub subject: &'a Subject,
    /// The policy that decided: it knows who is in which group.
    pub snapshot: &'a Snapshot,
    /// The type of the resources asked for.
    pub kind: ResourceType,
    /// Their names.
    pub names: &'a Names,
    /// The operation asked for.
    pub operation: Operation,
    /// The category of the request.
    pub category: Category,
    /// Whether it was allowed.
    pub granted: bool,
    /// Whether a temporary grant decided.
    pub under_grant: bool,
    /// Whether clients ask this over and over (Fetch, ShareFetch, heartbeats, ListOffsets).
    pub polling: bool,
}

/// How a decision is told.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Ruling {
    /// How loud.
    pub level: Level,
    /// Which of the audit topics takes it: an index into [`config::Audit::topics`].
    pub topic: usize,
}

/// How loud a decision is told.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Level {
    /// An event of its own.
    Each,
    /// Together with equal ones in a window.
    Merged(Duration),
    /// Only counted, by the rule with this number.
    Counted(usize),
}

/// The rules, compiled.
#[derive(Debug)]
pub struct Rules {
    rules: Vec<Rule>,
    topics: Vec<String>,
}

#[derive(Debug)]
struct Rule {
    principals: Vec<Principal>,
    resources: Vec<config::ResourceMatch>,
    operations: OperationSet,
    categories: Vec<Category>,
    result: AuditResult,
    level: Level,
    topic: usize,
}

impl Rules {
    /// The rules of the configuration.
    pub fn new(audit: &config::Audit) -> Self {
        let topics = audit.topics();
        let rules = audit.rules.iter().enumerate().map(|(number, rule)| Rule {
            principals: rule.principals.clone(),
            resources: rule.resources.clone(),
            operations: rule.operations.iter().fold(OperationSet::default(), |set, op| set.with(*op)),
            categories: rule.categories.clone(),
            result: rule.result,
            level: match rule.level {
                AuditLevel::Each => Level::Each,
                AuditLevel::Merged => Level::Merged(rule.window),
                AuditLevel::None => Level::Counted(number),
            },
            topic: rule.topic.as_ref().and_then(|t| topics.iter().position(|of| of == t)).unwrap_or(0),
        });
        Self { rules: rules.collect(), topics }
    }

    /// The topics that events go to; the first is `audit.topic`.
    pub fn topics(&self) -> &[String] {
        &self.topics
    }

    /// How many rules there are.
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether only the defaults hold.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// How this decision is told.
    pub fn of(&self, facts: &Facts<'_>) -> Ruling {
        let rule = self.rules.iter().find(|rule| rule.matches(facts));
        let topic = rule.map_or(0, |rule| rule.topic);
        let asked = match rule {
            Some(rule) => rule.level,
            None if facts.polling && facts.granted => Level::Merged(POLLING_WINDOW),
            None => Level::Each,
        };
        let level = if facts.category.is_mutation() || facts.under_grant {
            Level::Each
        } else if self.reads_audit(facts) {
            // Told one by one, reading the audit topic would write to it for ever.
            match asked {
                Level::Merged(window) => Level::Merged(window.max(POLLING_WINDOW)),
                Level::Each | Level::Counted(_) => Level::Merged(POLLING_WINDOW),
            }
        } else {
            asked
        };
        Ruling { level, topic }
    }

    fn reads_audit(&self, facts: &Facts<'_>) -> bool {
        facts.granted
            && facts.kind == ResourceType::Topic
            && facts.operation != Operation::Write
            && facts.names.iter().any(|name| self.topics.iter().any(|topic| topic == name))
    }
}

impl Rule {
    fn matches(&self, facts: &Facts<'_>) -> bool {
        let any_or = |empty: bool, found: bool| empty || found;
        any_or(self.categories.is_empty(), self.categories.contains(&facts.category))
            && any_or(
                self.operations.is_empty(),
                self.operations.contains(facts.operation) || self.operations.contains(Operation::All),
            )
            && match self.result {
                AuditResult::Any => true,
                AuditResult::Allowed => facts.granted,
                AuditResult::Denied => !facts.granted,
            }
            && any_or(self.principals.is_empty(), self.principals.iter().any(|p| is(p, facts)))
            && any_or(self.resources.is_empty(), self.covers(facts))
    }

    /// Whether every name asked for is meant.
    fn covers(&self, facts: &Facts<'_>) -> bool {
        let means = |name: &str| self.resources.iter().any(|of| of.matches(facts.kind, name));
        self.resources.contains(&config::ResourceMatch::Any)
            || (!facts.names.is_empty() && facts.names.iter().all(means))
    }
}

/// Whether a rule's principal means who asked: the very principal, a group it is in, or `User:*`.
fn is(of: &Principal, facts: &Facts<'_>) -> bool {
    match of.kind() {
        "Group" => facts.snapshot.is_member(facts.subject, of.name()),
        kind => *of == facts.subject.principal || (of.name() == "*" && kind == facts.subject.principal.kind()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{AuditRule, ByteSize, ResourceMatch};
    use crate::model::Timestamp;
    use crate::policy::{OwnTopics, Settings};
    use std::sync::Arc;

    fn rule(level: AuditLevel) -> AuditRule {
        AuditRule {
            principals: vec![],
            resources: vec![],
            operations: vec![],
            categories: vec![],
            result: AuditResult::Any,
            level,
            window: Duration::from_secs(60),
            topic: None,
        }
    }

    fn rules(rules: Vec<AuditRule>) -> Rules {
        Rules::new(&config::Audit {
            topic: "kordon.audit".into(),
            former_topics: Vec::new(),
            create: true,
            partitions: 6,
            replication_factor: None,
            retention: None,
            memory: ByteSize::mib(64),
            full_wait: Duration::from_secs(30),
            rules,
        })
    }

    const MUTATIONS: [Category; 6] = [
        Category::GroupWrite,
        Category::TopicWrite,
        Category::ConfigWrite,
        Category::AclWrite,
        Category::CredentialWrite,
        Category::ClusterWrite,
    ];

    fn names(of: &[&str]) -> Names {
        let mut names = Names::default();
        of.iter().for_each(|name| names.push(name));
        names
    }

    /// A policy with these groups.
    fn policy(groups: &str) -> Arc<Snapshot> {
        let settings = Settings { own_topics: OwnTopics::default(), now: Timestamp(0), ..Settings::default() };
        let text = format!("version: 1\ngroups: {groups}\n");
        Snapshot::load(text.as_bytes(), "policy.yaml", &settings).unwrap().snapshot
    }

    struct Case {
        subject: Subject,
        snapshot: Arc<Snapshot>,
        names: Names,
    }

    impl Case {
        fn of(principal: &str, group: &str, topic: &str) -> Self {
            let groups = [group.into()].into();
            let subject =
                Subject { principal: Principal::user(principal), groups, may_merge: true, may_be_super: false };
            Self { subject, snapshot: policy("{}"), names: names(&[topic]) }
        }

        fn facts(&self) -> Facts<'_> {
            Facts {
                subject: &self.subject,
                snapshot: &self.snapshot,
                kind: ResourceType::Topic,
                names: &self.names,
                operation: Operation::Read,
                category: Category::DataRead,
                granted: true,
                under_grant: false,
                polling: true,
            }
        }
    }

    #[test]
    fn by_default_each_decision_is_told_but_allowed_polling_is_merged() {
        let (rules, case) = (rules(vec![]), Case::of("alice", "devs", "orders"));
        let polling = case.facts();
        assert_eq!(rules.of(&polling), Ruling { level: Level::Merged(POLLING_WINDOW), topic: 0 });
        assert_eq!(rules.of(&Facts { granted: false, ..polling }).level, Level::Each);
        assert_eq!(rules.of(&Facts { polling: false, ..polling }).level, Level::Each);
    }

    #[test]
    fn no_rule_lowers_mutations_or_decisions_under_a_grant() {
        let (rules, case) = (rules(vec![rule(AuditLevel::None)]), Case::of("alice", "devs", "orders"));
        assert_eq!(rules.of(&case.facts()).level, Level::Counted(0));
        for category in MUTATIONS {
            for granted in [true, false] {
                assert_eq!(rules.of(&Facts { category, granted, ..case.facts() }).level, Level::Each, "{category:?}");
            }
        }
        assert_eq!(rules.of(&Facts { under_grant: true, ..case.facts() }).level, Level::Each);
    }

    #[test]
    fn allowed_reads_of_an_audit_topic_are_merged_whatever_the_rules_say() {
        let case = Case::of("siem", "auditors", "kordon.audit");
        for level in [AuditLevel::Each, AuditLevel::None] {
            let rules = rules(vec![rule(level)]);
            assert_eq!(rules.of(&case.facts()).level, Level::Merged(POLLING_WINDOW));
            let listing =
                Facts { operation: Operation::Describe, category: Category::Read, polling: false, ..case.facts() };
            assert_eq!(rules.of(&listing).level, Level::Merged(POLLING_WINDOW));
        }
        let denied = Facts { granted: false, ..case.facts() };
        assert_eq!(rules(vec![rule(AuditLevel::Each)]).of(&denied).level, Level::Each);
    }

    #[test]
    fn the_first_rule_whose_every_part_matches_decides() {
        let window = Duration::from_secs(60);
        let by = |principal: &str, topic: ResourceMatch, level| AuditRule {
            principals: vec![principal.parse().unwrap()],
            resources: vec![topic],
            topic: Some("kordon.audit.devs".into()),
            ..rule(level)
        };
        let rules = rules(vec![
            by("Group:devs", ResourceMatch::Prefix(ResourceType::Topic, "dev-".into()), AuditLevel::Merged),
            by("User:bob", ResourceMatch::Any, AuditLevel::Each),
        ]);
        assert_eq!(rules.topics(), ["kordon.audit", "kordon.audit.devs"]);
        let level = |principal, group, topic| rules.of(&Case::of(principal, group, topic).facts());
        assert_eq!(level("alice", "devs", "dev-1"), Ruling { level: Level::Merged(window), topic: 1 });
        assert_eq!(level("alice", "devs", "prod"), Ruling { level: Level::Merged(POLLING_WINDOW), topic: 0 });
        assert_eq!(level("bob", "ops", "prod"), Ruling { level: Level::Each, topic: 1 });
        assert_eq!(level("bob", "devs", "dev-1"), Ruling { level: Level::Merged(window), topic: 1 });
    }

    #[test]
    fn a_rule_for_a_group_means_those_whom_the_policy_lists_and_those_whom_the_login_claims() {
        let devs = AuditRule { principals: vec!["Group:devs".parse().unwrap()], ..rule(AuditLevel::None) };
        let rules = rules(vec![devs]);
        let level = |principal, claimed, groups| {
            let case = Case { snapshot: policy(groups), ..Case::of(principal, claimed, "orders") };
            rules.of(&case.facts()).level
        };
        let (counted, otherwise) = (Level::Counted(0), Level::Merged(POLLING_WINDOW));
        assert_eq!(level("alice", "ops", "{ devs: ['User:alice'] }"), counted);
        assert_eq!(level("alice", "devs", "{}"), counted);
        assert_eq!(level("alice", "ops", "{ devs: ['User:bob'], other: ['User:alice'] }"), otherwise);
        assert_eq!(level("alice", "ops", "{}"), otherwise);
    }

    #[test]
    fn a_rule_by_resource_wants_every_name_meant() {
        let lowered = AuditRule {
            resources: vec![ResourceMatch::Prefix(ResourceType::Topic, "dev-".into())],
            ..rule(AuditLevel::None)
        };
        let rules = rules(vec![lowered]);
        let level = |of: &[&str]| {
            let case = Case { names: names(of), ..Case::of("alice", "devs", "") };
            rules.of(&case.facts()).level
        };
        assert_eq!(level(&["dev-1", "dev-2"]), Level::Counted(0));
        assert_eq!(level(&["dev-1", "prod"]), Level::Merged(POLLING_WINDOW));
        assert_eq!(level(&["dev-"; 21]), Level::Counted(0));
    }
}

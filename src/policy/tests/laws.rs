//! Laws: the index decides as a walk over all rules would, and Kafka's properties of `StandardAuthorizer`.

use super::{Ask, load, who};
use crate::model::{Operation, PatternType, ResourceType, Timestamp};
use crate::policy::{Pattern, ReasonCode};
use crate::wire::ApiKey;
use proptest::prelude::*;
use std::collections::BTreeSet;

const PRINCIPALS: [&str; 5] = ["User:a", "User:b", "User:*", "Group:g", "Group:h"];
const NAMES: [&str; 8] = ["a", "ab", "abc", "abcd", "b", "ba", "hardcode", "hard"];
const HOSTS: [&str; 3] = ["10.0.0.1", "10.0.0.2", "10.0.0.0/24"];
const OPERATIONS: [Operation; 6] =
    [Operation::All, Operation::Read, Operation::Write, Operation::Describe, Operation::Alter, Operation::AlterConfigs];
const APIS: [ApiKey; 3] = [ApiKey::METADATA, ApiKey::FETCH, ApiKey::PRODUCE];

/// A rule as a person reads it.
#[derive(Clone, Debug)]
struct Acl {
    allow: bool,
    principal: &'static str,
    operation: Operation,
    pattern: Pattern,
    host: Option<&'static str>,
    except: Option<&'static str>,
    apis: Option<ApiKey>,
    /// Hours after the time of the questions, or before it.
    not_before: Option<i64>,
    not_after: Option<i64>,
}

fn pattern() -> impl Strategy<Value = Pattern> {
    let kind = prop_oneof![3 => Just(ResourceType::Topic), 1 => Just(ResourceType::Group)];
    let name = proptest::sample::select(&NAMES[..]);
    (kind, name, 0..5_u8).prop_map(|(kind, name, shape)| match shape {
        0 => Pattern::every(kind),
        1 | 2 => Pattern::prefixed(kind, name),
        _ => Pattern::literal(kind, name),
    })
}

fn acl() -> impl Strategy<Value = Acl> {
    (
        prop::bool::weighted(0.7),
        proptest::sample::select(&PRINCIPALS[..]),
        proptest::sample::select(&OPERATIONS[..]),
        pattern(),
        prop::option::weighted(0.2, proptest::sample::select(&HOSTS[..])),
        prop::option::weighted(0.2, proptest::sample::select(&PRINCIPALS[..])),
        prop::option::weighted(0.2, proptest::sample::select(&APIS[..])),
        prop::option::weighted(0.2, -2..=1_i64),
        prop::option::weighted(0.2, 0..=2_i64),
    )
        .prop_map(|(allow, principal, operation, pattern, host, except, apis, not_before, not_after)| {
            // An end is later than a begin.
            let not_after = not_after.map(|end| end.max(not_before.unwrap_or(-9) + 1));
            // Describe means nothing on some resources only as an operation of the file.
            let operation =
                if pattern.kind == ResourceType::Group && matches!(operation, Operation::Write | Operation::Alter) {
                    Operation::Read
                } else {
                    operation
                };
            Acl { allow, principal, operation, pattern, host, except, apis, not_before, not_after }
        })
}

impl Acl {
    fn yaml(&self) -> String {
        let Pattern { kind, how, name } = &self.pattern;
        let how = match how {
            PatternType::Literal => "literal",
            PatternType::Prefixed => "prefixed",
        };
        let mut yaml = format!(
            "  - {{ {}: [{}], principals: ['{}'], resources: [{{ type: {}, name: '{name}', pattern: {how} }}]",
            if self.allow { "allow" } else { "deny" },
            self.operation,
            self.principal,
            kind.policy_word(),
        );
        let list = |key: &str, value: Option<&str>| value.map(|v| format!(", {key}: ['{v}']")).unwrap_or_default();
        let bound = |key: &str, hours: Option<i64>| hours.map(|h| format!(", {key}: {}", hour(h))).unwrap_or_default();
        yaml += &list("hosts", self.host);
        yaml += &list("except", self.except);
        yaml += &list("apis", self.apis.map(ApiKey::name));
        yaml += &bound("not_before", self.not_before);
        yaml += &bound("not_after", self.not_after);
        yaml + " }\n"
    }

    /// Whether the rule speaks to this question at all, but for the operation.
    fn speaks(&self, q: &Question) -> bool {
        let names = q.names();
        self.pattern.kind == q.kind
            && self.pattern.matches(q.name)
            && names.contains(self.principal)
            && self.circumstances(q, &names)
    }

    fn circumstances(&self, q: &Question, names: &BTreeSet<&str>) -> bool {
        self.except.is_none_or(|e| !names.contains(e))
            && self.apis.is_none_or(|a| a == q.api)
            && self.host.is_none_or(|h| h == q.host || h == "10.0.0.0/24")
            && self.not_before.is_none_or(|h| h <= 0)
            && self.not_after.is_none_or(|h| 0 < h)
    }

    fn allows(&self, op: Operation) -> bool {
        use Operation as O;
        self.operation == O::All
            || self.operation == op
            || (op == O::Describe && matches!(self.operation, O::Read | O::Write | O::Delete | O::Alter))
            || (op == O::DescribeConfigs && self.operation == O::AlterConfigs)
    }

    fn denies(&self, op: Operation) -> bool {
        self.operation == Operation::All || self.operation == op
    }
}

fn hour(hours: i64) -> Timestamp {
    super::NOON.plus_millis(hours * 3_600_000)
}

#[derive(Clone, Debug)]
struct Question {
    principal: &'static str,
    claimed: Vec<&'static str>,
    operation: Operation,
    kind: ResourceType,
    name: &'static str,
    host: &'static str,
    api: ApiKey,
}

fn question() -> impl Strategy<Value = Question> {
    (
        proptest::sample::select(&["User:a", "User:b", "Service:a", "Group:g", "User:c"][..]),
        proptest::sample::subsequence(vec!["g", "h", "unknown"], 0..=3),
        proptest::sample::select(Operation::EVERY.to_vec()),
        proptest::sample::select(&[ResourceType::Topic, ResourceType::Group][..]),
        proptest::sample::select(&["a", "ab", "abc", "abcd", "abcde", "b", "bab", "", "*", "c"][..]),
        proptest::sample::select(&["10.0.0.1", "10.0.0.2"][..]),
        proptest::sample::select(&APIS[..]),
    )
        .prop_map(|(principal, claimed, operation, kind, name, host, api)| Question {
            principal,
            claimed,
            operation,
            kind,
            name,
            host,
            api,
        })
}

impl Question {
    /// Every name under which rules may speak of the subject. `User:b` is a static member of `h`.
    fn names(&self) -> BTreeSet<&'static str> {
        let mut names = BTreeSet::from([self.principal, "User:*"]);
        names.extend(
            self.claimed.iter().filter(|c| **c != "unknown").map(|c| if *c == "g" { "Group:g" } else { "Group:h" }),
        );
        if self.principal == "User:b" {
            names.insert("Group:h");
        }
        names
    }

    fn asker(&self) -> Ask {
        who(self.principal).groups(&self.claimed).from(self.host).api(self.api)
    }
}

fn policy(default: &str, acls: &[Acl]) -> std::sync::Arc<crate::policy::Snapshot> {
    let rules: String = acls.iter().map(Acl::yaml).collect();
    let rules = if rules.is_empty() { " []\n".to_owned() } else { format!("\n{rules}") };
    load(&format!("version: 1\ndefault: {default}\ngroups: {{ h: ['User:b'] }}\nacls:{rules}end: true\n"))
}

/// kafka-authorization 3.1, as it is written.
fn walk(open: bool, acls: &[Acl], q: &Question) -> (bool, ReasonCode) {
    let speaking: Vec<&Acl> = acls.iter().filter(|a| a.speaks(q)).collect();
    if speaking.iter().any(|a| !a.allow && a.denies(q.operation)) {
        return (false, ReasonCode::ExplicitDeny);
    }
    if speaking.iter().any(|a| a.allow && a.allows(q.operation)) {
        return (true, ReasonCode::AclAllow);
    }
    let closed = acls.iter().any(|a| a.pattern.kind == q.kind && a.pattern.matches(q.name));
    if open && !closed { (true, ReasonCode::DefaultAllow) } else { (false, ReasonCode::NoMatch) }
}

/// kafka-authorization 3.6, as it is written.
fn walk_any(open: bool, acls: &[Acl], q: &Question) -> bool {
    let q = Question { name: "hardcode", ..q.clone() };
    if walk(open, acls, &q).0 {
        return true;
    }
    let names = q.names();
    let counts = |a: &&Acl| {
        a.pattern.kind == q.kind && names.contains(a.principal) && a.circumstances(&q, &names) && a.denies(q.operation)
    };
    let of = |allow: bool| acls.iter().filter(counts).filter(move |a| a.allow == allow).map(|a| &a.pattern);
    if of(false).any(Pattern::is_every) {
        return false;
    }
    let under_denied_prefix =
        |name: &str| of(false).any(|d| d.how == PatternType::Prefixed && name.starts_with(&d.name));
    of(true).any(|a| {
        a.is_every()
            || match a.how {
                PatternType::Literal => !of(false).any(|d| d == a) && !under_denied_prefix(&a.name),
                PatternType::Prefixed => !under_denied_prefix(&a.name),
            }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn the_index_decides_as_a_walk_over_all_rules_would(
        open: bool,
        acls in prop::collection::vec(acl(), 0..14),
        questions in prop::collection::vec(question(), 12),
    ) {
        let policy = policy(if open { "allow_if_no_acl" } else { "deny" }, &acls);
        for q in &questions {
            let d = q.asker().ask(&policy, q.operation, q.kind, q.name);
            let (allowed, code) = walk(open, &acls, q);
            prop_assert_eq!(d.is_allowed(), allowed, "{:?}", q);
            prop_assert_eq!(d.permit().is_some(), allowed);
            // A near miss refines NO_MATCH and changes nothing else.
            let plain = if d.code() == ReasonCode::NotYetValid { ReasonCode::NoMatch } else { d.code() };
            prop_assert_eq!(plain, code, "{:?}", q);
        }
    }

    #[test]
    fn any_resource_decides_as_a_walk_over_all_rules_would(
        open: bool,
        acls in prop::collection::vec(acl(), 0..10),
        questions in prop::collection::vec(question(), 8),
    ) {
        let policy = policy(if open { "allow_if_no_acl" } else { "deny" }, &acls);
        for q in &questions {
            let ask = q.asker();
            let d = policy.decide_any(&ask.subject, q.operation, q.kind, q.api, &ask.host, ask.now);
            prop_assert_eq!(d.is_allowed(), walk_any(open, &acls, q), "{:?}", q);
        }
    }

    #[test]
    fn a_deny_that_speaks_wins_over_everything(
        acls in prop::collection::vec(acl(), 0..10),
        mut deny in acl(),
        q in question(),
    ) {
        deny.allow = false;
        let mut with = acls.clone();
        with.push(deny.clone());
        if deny.speaks(&q) && deny.denies(q.operation) {
            for default in ["deny", "allow_if_no_acl"] {
                let d = q.asker().ask(&policy(default, &with), q.operation, q.kind, q.name);
                prop_assert_eq!(d.code(), ReasonCode::ExplicitDeny);
            }
        }
    }

    #[test]
    fn an_allow_takes_nothing_away_and_a_deny_gives_nothing(
        acls in prop::collection::vec(acl(), 0..10),
        more in acl(),
        q in question(),
    ) {
        let before = q.asker().ask(&policy("deny", &acls), q.operation, q.kind, q.name).is_allowed();
        let mut with = acls.clone();
        with.push(more.clone());
        let after = q.asker().ask(&policy("deny", &with), q.operation, q.kind, q.name).is_allowed();
        let (less, greater) = if more.allow { (before, after) } else { (after, before) };
        prop_assert!(less <= greater);
    }

    #[test]
    fn permitted_and_denied_are_what_was_asked(
        acls in prop::collection::vec(acl(), 0..10),
        q in question(),
    ) {
        let policy = policy("deny", &acls);
        let all: BTreeSet<Operation> = Operation::EVERY.into_iter().collect();
        let (permitted, denied): (BTreeSet<_>, BTreeSet<_>) =
            all.iter().partition(|op| q.asker().ask(&policy, **op, q.kind, q.name).permit().is_some());
        let union: BTreeSet<Operation> = permitted.union(&denied).copied().collect();
        prop_assert_eq!(union, all);
        prop_assert!(permitted.is_disjoint(&denied));
    }

    #[test]
    fn nothing_changes_before_the_next_edge(
        acls in prop::collection::vec(acl(), 0..10),
        q in question(),
        from in -3..3_i64,
    ) {
        let policy = policy("deny", &acls);
        let mut ask = q.asker();
        ask.now = hour(from);
        let now = ask.ask(&policy, q.operation, q.kind, q.name);
        let edge = policy.next_edge(ask.now).unwrap_or(hour(1000));
        ask.now = edge.plus_millis(-1);
        prop_assert!(now.same_cause(&ask.ask(&policy, q.operation, q.kind, q.name)));
    }

    #[test]
    fn a_binding_is_the_acl_on_what_role_and_binding_both_match(
        own in prop::collection::vec(pattern(), 1..4),
        bound in prop::collection::vec(pattern(), 1..4),
        q in question(),
    ) {
        // The group keeps the role from being refused where the topics do not meet.
        let text = |patterns: &[Pattern]| -> String {
            let items: Vec<String> = patterns.iter().map(|p| {
                let how = if p.how == PatternType::Literal { "literal" } else { "prefixed" };
                format!("{{ type: {}, name: '{}', pattern: {how} }}", p.kind.policy_word(), p.name)
            }).collect();
            items.join(", ") + ", 'group:always'"
        };
        let policy = load(&format!(
            "version: 1\nroles: {{ r: {{ rules: [{{ allow: [Read], resources: [{}] }}] }} }}\n\
             bindings: [{{ roles: [r], principals: ['User:a'], resources: [{}] }}]\n", text(&own), text(&bound)));
        let matches = |patterns: &[Pattern]| patterns.iter().any(|p| p.kind == q.kind && p.matches(q.name));
        let allowed = who("User:a").ask(&policy, Operation::Read, q.kind, q.name).is_allowed();
        prop_assert_eq!(allowed, matches(&own) && matches(&bound));
    }
}

/// `StandardAuthorizerPropertyTest`, Kafka 4.1.
mod standard_authorizer {
    use super::*;

    fn name() -> impl Strategy<Value = String> {
        "[a-zA-Z0-9._-]{1,20}".prop_filter("no topic is called so", |n| n != "." && n != "..")
    }

    fn one(allow: bool, name: &str, how: &str) -> String {
        let effect = if allow { "allow" } else { "deny" };
        format!(
            "  - {{ {effect}: [Read], principals: ['User:a'], resources: [{{ type: topic, name: '{name}', pattern: {how} }}] }}\n"
        )
    }

    /// Rules of one effect, some of which match the name and some do not.
    fn others(allow: bool, names: &[(String, bool)], keep: impl Fn(&str, bool) -> bool) -> String {
        let rules = names.iter().filter(|(n, prefixed)| keep(n, *prefixed));
        rules.map(|(n, prefixed)| one(allow, n, if *prefixed { "prefixed" } else { "literal" })).collect()
    }

    fn allowed(rules: &str, topic: &str) -> bool {
        let policy = load(&format!("version: 1\nacls:\n{rules}end: true\n"));
        who("User:a").topic(&policy, Operation::Read, topic).is_allowed()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn matching_prefix_deny_overrides_all_allow_rules(
            topic in name(), cut in 1..20_usize, names in prop::collection::vec((name(), any::<bool>()), 0..10),
        ) {
            let prefix: String = topic.chars().take(cut).collect();
            let rules = others(true, &names, |_, _| true) + &one(true, &topic, "literal") + &one(false, &prefix, "prefixed");
            prop_assert!(!allowed(&rules, &topic));
        }

        #[test]
        fn matching_literal_deny_overrides_all_allow_rules(
            topic in name(), names in prop::collection::vec((name(), any::<bool>()), 0..10),
        ) {
            let rules = others(true, &names, |_, _| true) + &one(true, "*", "literal") + &one(false, &topic, "literal");
            prop_assert!(!allowed(&rules, &topic));
        }

        #[test]
        fn matching_prefix_allow_with_no_matching_deny_rules(
            topic in name(), cut in 1..20_usize, names in prop::collection::vec((name(), any::<bool>()), 0..10),
        ) {
            let prefix: String = topic.chars().take(cut).collect();
            let misses = |n: &str, prefixed: bool| if prefixed { !topic.starts_with(n) } else { topic != n };
            let rules = others(false, &names, misses) + &one(true, &prefix, "prefixed");
            prop_assert!(allowed(&rules, &topic));
        }

        #[test]
        fn matching_literal_allow_with_no_matching_deny_rules(
            topic in name(), names in prop::collection::vec((name(), any::<bool>()), 0..10),
        ) {
            let misses = |n: &str, prefixed: bool| if prefixed { !topic.starts_with(n) } else { topic != n };
            let rules = others(false, &names, misses) + &one(true, &topic, "literal");
            prop_assert!(allowed(&rules, &topic));
        }
    }
}

/// The file as an editor or a disk may leave it: reading it never panics, and what is refused says so.
mod hostile_files {
    use crate::policy::Snapshot;
    use crate::policy::tests::settings;
    use proptest::prelude::*;

    fn example() -> Vec<u8> {
        std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/config/policy.yaml")).unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        #[test]
        fn a_damaged_file_is_read_or_refused_with_places(
            cut in any::<prop::sample::Index>(),
            edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        ) {
            let mut bytes = example();
            bytes.truncate(cut.index(bytes.len()) + 1);
            for (at, byte) in edits {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            if let Err(problems) = Snapshot::load(&bytes, "p", &settings()) {
                prop_assert!(!problems.is_empty());
                prop_assert!(problems.iter().all(|p| !p.text.is_empty() && !p.text.contains('\n')));
            }
        }

        #[test]
        fn threat_37_a_file_cut_behind_its_deny_is_refused(cut in any::<prop::sample::Index>()) {
            let bytes = example();
            let text = String::from_utf8(bytes.clone()).unwrap();
            let deny = text.find("deny: [All]").unwrap() + "deny: [All]".len();
            let end = text.find("end: true").unwrap() + "end: tru".len();
            let cut = deny + cut.index(end - deny);
            prop_assert!(Snapshot::load(&bytes[..cut], "p", &settings()).is_err());
        }
    }
}

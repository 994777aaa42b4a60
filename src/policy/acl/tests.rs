//! Filters and sets, against what Kafka's classes do.

use super::*;
use crate::model::{Operation, PatternType, ResourceType};
use proptest::prelude::*;

fn acl(pattern: PatternType, name: &str) -> AclBinding {
    AclBinding {
        kind: ResourceType::Topic,
        pattern,
        name: name.to_owned(),
        principal: "User:alice".to_owned(),
        host: "*".to_owned(),
        operation: Operation::Read,
        permission: Permission::Allow,
    }
}

fn literal(name: &str) -> AclBinding {
    acl(PatternType::Literal, name)
}

fn prefixed(name: &str) -> AclBinding {
    acl(PatternType::Prefixed, name)
}

fn set() -> AclSet {
    AclSet::new([literal("foo"), literal("bar"), literal("*"), prefixed("fo"), prefixed("f"), prefixed("*")], None)
}

fn found(pattern: PatternFilter, name: Option<&str>) -> Vec<String> {
    let filter = AclFilter { pattern, name: name.map(str::to_owned), ..AclFilter::ANY };
    set().matching(&filter).map(|a| format!("{}:{}", a.pattern.kafka_name(), a.name)).collect()
}

#[test]
fn codes_are_kafkas() {
    assert_eq!([Permission::Deny, Permission::Allow].map(Permission::code), [2, 3]);
    for code in i8::MIN..=i8::MAX {
        assert_eq!(
            Permission::from_code(code).map(|p| i16::from(p.code())),
            (2..=3).contains(&code).then(|| code.into())
        );
        let pattern = PatternFilter::from_code(code).map(|p| i16::from(p.code()));
        assert_eq!(pattern, (1..=4).contains(&code).then(|| code.into()));
    }
}

#[test]
fn an_acl_is_written_in_one_line() {
    let acl = AclBinding { operation: Operation::DescribeConfigs, permission: Permission::Deny, ..prefixed("tx_") };
    assert_eq!(acl.to_string(), "topic:PREFIXED:tx_ User:alice DENY DESCRIBE_CONFIGS *");
    let acl =
        AclBinding { principal: "User:a\nERROR all is lost".into(), host: "\u{1b}[2J".into(), ..prefixed("\u{202e}") };
    let line = "topic:PREFIXED:\\u{202e} User:a\\u{a}ERROR all is lost ALLOW READ \\u{1b}[2J";
    assert_eq!(acl.to_string(), line, "what a client wrote is no line of its own, and steers nothing");
}

#[test]
fn a_filter_without_a_name_finds_its_kind_of_pattern() {
    assert_eq!(found(PatternFilter::Any, None).len(), 6);
    assert_eq!(found(PatternFilter::Match, None).len(), 6);
    assert_eq!(found(PatternFilter::Literal, None), ["LITERAL:*", "LITERAL:bar", "LITERAL:foo"]);
    assert_eq!(found(PatternFilter::Prefixed, None), ["PREFIXED:*", "PREFIXED:f", "PREFIXED:fo"]);
}

#[test]
fn literal_prefixed_and_any_compare_names_and_nothing_more() {
    assert_eq!(found(PatternFilter::Literal, Some("foo")), ["LITERAL:foo"]);
    assert_eq!(found(PatternFilter::Literal, Some("*")), ["LITERAL:*"], "not every ACL");
    assert_eq!(found(PatternFilter::Prefixed, Some("fo")), ["PREFIXED:fo"]);
    assert_eq!(found(PatternFilter::Prefixed, Some("foo")), Vec::<String>::new());
    assert_eq!(found(PatternFilter::Any, Some("fo")), ["PREFIXED:fo"]);
    assert_eq!(found(PatternFilter::Any, Some("*")), ["LITERAL:*", "PREFIXED:*"]);
}

#[test]
fn match_finds_what_affects_the_resource() {
    let all = ["LITERAL:*", "LITERAL:foo", "PREFIXED:f", "PREFIXED:fo"];
    assert_eq!(found(PatternFilter::Match, Some("foo")), all);
    assert_eq!(found(PatternFilter::Match, Some("*")), ["LITERAL:*", "PREFIXED:*"]);
    assert_eq!(found(PatternFilter::Match, Some("")), ["LITERAL:*"]);
}

#[test]
fn the_fields_of_the_entry_are_exact() {
    let everybody = AclBinding { principal: "User:*".to_owned(), ..literal("foo") };
    let of = |principal: &str| AclFilter { principal: Some(principal.to_owned()), ..AclFilter::ANY };
    assert!(of("User:*").matches(&everybody) && !of("User:alice").matches(&everybody));
    assert!(!of("user:alice").matches(&literal("foo")));
    let host = |host: &str| AclFilter { host: Some(host.to_owned()), ..AclFilter::ANY };
    assert!(host("*").matches(&everybody) && !host("10.0.0.1").matches(&everybody));
    let all = AclFilter { operation: Some(Operation::All), ..AclFilter::ANY };
    assert!(!all.matches(&literal("foo")), "`All` is a value, not every operation");
    assert!(!AclFilter { permission: Some(Permission::Deny), ..AclFilter::ANY }.matches(&literal("foo")));
    assert!(!AclFilter { kind: Some(ResourceType::Group), ..AclFilter::ANY }.matches(&literal("foo")));
}

#[test]
fn what_two_filters_match_is_told_twice_and_removed_once() {
    let by = |name: &str| AclFilter { name: Some(name.to_owned()), ..AclFilter::ANY };
    let (left, told) = set().changed(&AclChange::Delete(vec![by("foo"), by("foo"), by("none")]), Some(9));
    assert_eq!(told, AclChanged::Deleted(vec![vec![literal("foo")], vec![literal("foo")], Vec::new()]));
    assert_eq!((left.len(), left.offset(), left.contains(&literal("foo"))), (5, Some(9), false));
}

#[test]
fn what_is_created_twice_is_there_once() {
    let (more, told) = set().changed(&AclChange::Create(vec![literal("foo"), literal("new"), literal("new")]), Some(1));
    assert_eq!((more.len(), told), (7, AclChanged::Created));
    assert_eq!(more.without(&[literal("new"), literal("never")], None), set());
}

/// What `ResourcePatternFilter.matches` and `AccessControlEntryFilter.matches` say, line by line.
fn naive(filter: &AclFilter, acl: &AclBinding) -> bool {
    if filter.kind.is_some_and(|k| k != acl.kind) {
        return false;
    }
    let equal = matches!(
        (filter.pattern, acl.pattern),
        (PatternFilter::Literal, PatternType::Literal) | (PatternFilter::Prefixed, PatternType::Prefixed)
    );
    let any = filter.pattern == PatternFilter::Any;
    if !any && filter.pattern != PatternFilter::Match && !equal {
        return false;
    }
    if let Some(name) = &filter.name {
        let fits = if any || equal {
            *name == acl.name
        } else if acl.pattern == PatternType::Literal {
            *name == acl.name || acl.name == "*"
        } else {
            name.len() >= acl.name.len() && name.as_bytes()[..acl.name.len()] == *acl.name.as_bytes()
        };
        if !fits {
            return false;
        }
    }
    if filter.principal.as_ref().is_some_and(|p| *p != acl.principal) {
        return false;
    }
    if filter.host.as_ref().is_some_and(|h| *h != acl.host) {
        return false;
    }
    if filter.operation.is_some_and(|o| o != acl.operation) {
        return false;
    }
    filter.permission.is_none_or(|p| p == acl.permission)
}

fn kinds() -> impl Strategy<Value = ResourceType> {
    prop::sample::select(vec![ResourceType::Topic, ResourceType::Group])
}

fn operations() -> impl Strategy<Value = Operation> {
    prop::sample::select(vec![Operation::All, Operation::Read, Operation::Write])
}

fn permissions() -> impl Strategy<Value = Permission> {
    prop::sample::select(vec![Permission::Deny, Permission::Allow])
}

fn bindings() -> impl Strategy<Value = AclBinding> {
    let pattern = prop::sample::select(vec![PatternType::Literal, PatternType::Prefixed]);
    let parts = (kinds(), pattern, "[ab*]{0,3}", "User:[ab*]{0,1}", "[*1]{0,1}", operations(), permissions());
    parts.prop_map(|(kind, pattern, name, principal, host, operation, permission)| AclBinding {
        kind,
        pattern,
        name,
        principal,
        host,
        operation,
        permission,
    })
}

fn filters() -> impl Strategy<Value = AclFilter> {
    use prop::option::of;
    let pattern = prop::sample::select(vec![
        PatternFilter::Any,
        PatternFilter::Match,
        PatternFilter::Literal,
        PatternFilter::Prefixed,
    ]);
    let names = (of("[ab*]{0,3}"), of("User:[ab*]{0,1}"), of("[*1]{0,1}"));
    let parts = (of(kinds()), pattern, names, of(operations()), of(permissions()));
    parts.prop_map(|(kind, pattern, (name, principal, host), operation, permission)| AclFilter {
        kind,
        pattern,
        name,
        principal,
        host,
        operation,
        permission,
    })
}

proptest! {
    #[test]
    fn filters_match_as_kafkas_classes_do(filter in filters(), acl in bindings()) {
        prop_assert_eq!(filter.matches(&acl), naive(&filter, &acl));
        prop_assert!(AclFilter::exactly(&acl).matches(&acl));
        prop_assert_eq!(AclFilter::exactly(&acl).only(), Some(acl));
    }

    #[test]
    fn a_set_is_a_naive_list_without_duplicates(
        start in prop::collection::vec(bindings(), 0..12),
        more in prop::collection::vec(bindings(), 0..6),
        by in prop::collection::vec(filters(), 0..4),
    ) {
        let mut model: Vec<AclBinding> = Vec::new();
        for acl in start.iter().chain(&more) {
            if !model.contains(acl) {
                model.push(acl.clone());
            }
        }
        model.sort();
        let (set, _) = AclSet::new(start, None).changed(&AclChange::Create(more), Some(3));
        prop_assert_eq!(set.iter().cloned().collect::<Vec<_>>(), model.clone());
        let told: Vec<Vec<AclBinding>> =
            by.iter().map(|f| model.iter().filter(|a| naive(f, a)).cloned().collect()).collect();
        let (left, changed) = set.changed(&AclChange::Delete(by.clone()), Some(4));
        prop_assert_eq!(changed, AclChanged::Deleted(told.clone()));
        model.retain(|a| !by.iter().any(|f| naive(f, a)));
        prop_assert_eq!(left.iter().cloned().collect::<Vec<_>>(), model);
        let gone: Vec<AclBinding> = told.into_iter().flatten().collect();
        prop_assert_eq!(set.without(&gone, Some(4)), left);
    }
}

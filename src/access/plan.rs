//! What a change comes to: the records to write, decided on a state whose end was confirmed. Pure.

use super::fold::Fold;
use super::record::{self, ChangeBy, Encoded};
use crate::policy::{AclBinding, AclChange, AclChanged, AclFilter, ChangeRefused};
use crate::wire::ErrorCode;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The most ACLs that one request makes or removes, as in Kafka's controller (`MAX_RECORDS_PER_USER_OP`).
const MOST: usize = 10_000;

/// A change that is decided and not yet written.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// What to write, as a whole; nothing if the state says it already.
    pub(super) records: Vec<Encoded>,
    /// What to tell the client when it is in force.
    pub(super) answer: AclChanged,
}

/// Decides a change.
///
/// # Errors
/// It is larger than Kafka takes.
pub(super) fn plan(fold: &Fold, change: &AclChange, by: &Arc<ChangeBy>, at: &str) -> Result<Plan, ChangeRefused> {
    let (present, touched, answer) = match change {
        AclChange::Create(acls) => {
            let new: BTreeSet<&AclBinding> = acls.iter().filter(|acl| !fold.holds(acl)).collect();
            (true, new, AclChanged::Created)
        }
        AclChange::Delete(filters) => {
            let found = |filter: &AclFilter| -> Vec<&AclBinding> {
                match filter.only() {
                    Some(only) => fold.find(&only).into_iter().collect(),
                    None => fold.present().filter(|acl| filter.matches(acl)).collect(),
                }
            };
            let by_filter: Vec<Vec<&AclBinding>> = filters.iter().map(found).collect();
            let gone = by_filter.iter().flatten().copied().collect();
            let told = by_filter.into_iter().map(|acls| acls.into_iter().cloned().collect()).collect();
            (false, gone, AclChanged::Deleted(told))
        }
    };
    if touched.len() > MOST {
        let message = format!(
            "Unable to perform excessively large batch operation: {} ACLs, at most {MOST} in one request.",
            touched.len()
        );
        return Err(ChangeRefused { code: ErrorCode::INVALID_REQUEST, message });
    }
    let records = touched.into_iter().map(|acl| record::acl(acl, present, by, at)).collect();
    Ok(Plan { records, answer })
}

#[cfg(test)]
mod tests {
    use super::super::record::tests::{any_acl, by};
    use super::*;
    use crate::policy::AclSet;
    use proptest::prelude::*;

    fn an_acl() -> AclBinding {
        use crate::model::{Operation, PatternType, ResourceType};
        AclBinding {
            kind: ResourceType::Topic,
            pattern: PatternType::Literal,
            name: "t".into(),
            principal: "User:a".into(),
            host: "*".into(),
            operation: Operation::Read,
            permission: crate::policy::Permission::Allow,
        }
    }

    fn folded(acls: &[AclBinding]) -> Fold {
        let mut fold = Fold::default();
        for (offset, acl) in (0..).zip(acls) {
            let record = record::acl(acl, true, &by(), "T");
            fold.apply(offset, Some(&record.key), Some(&record.value));
        }
        fold
    }

    fn any_change() -> impl Strategy<Value = AclChange> {
        let filter = (any_acl(), 0_u8..5).prop_map(|(acl, how)| {
            let exactly = AclFilter::exactly(&acl);
            match how {
                0 => AclFilter::ANY,
                1 => AclFilter { principal: Some(acl.principal), ..AclFilter::ANY },
                2 => AclFilter { kind: Some(acl.kind), ..AclFilter::ANY },
                _ => exactly,
            }
        });
        prop_oneof![
            prop::collection::vec(any_acl(), 0..6).prop_map(AclChange::Create),
            prop::collection::vec(filter, 0..4).prop_map(AclChange::Delete),
        ]
    }

    proptest! {
        /// What is written and read back is what the set itself makes of the change, and the client is told the same.
        #[test]
        fn written_and_folded_is_what_the_set_says(
            acls in prop::collection::vec(any_acl(), 0..12), changes in prop::collection::vec(any_change(), 1..4)
        ) {
            let mut fold = folded(&acls);
            let mut set = AclSet::new(acls, None);
            for change in changes {
                let plan = plan(&fold, &change, &by(), "T").unwrap();
                let (next, told) = set.changed(&change, None);
                prop_assert_eq!(&plan.answer, &told);
                let at = fold.offset().map_or(0, |o| o + 1);
                for (offset, record) in (at..).zip(&plan.records) {
                    fold.apply(offset, Some(&record.key), Some(&record.value));
                }
                prop_assert_eq!(fold.set().at(None), next.clone());
                set = next;
            }
        }
    }

    #[test]
    fn what_is_there_is_not_written_again_and_what_is_not_there_not_removed() {
        let proto = an_acl();
        let fold = folded(std::slice::from_ref(&proto));
        let create = AclChange::Create(vec![proto.clone(), proto.clone()]);
        assert_eq!(plan(&fold, &create, &by(), "T").unwrap().records, []);
        assert_eq!(plan(&Fold::default(), &create, &by(), "T").unwrap().records.len(), 1, "twice in a request");
        let delete = AclChange::Delete(vec![AclFilter::ANY]);
        assert_eq!(plan(&Fold::default(), &delete, &by(), "T").unwrap().answer, AclChanged::Deleted(vec![vec![]]));
    }

    #[test]
    fn more_than_kafka_takes_in_a_request_is_refused_whole() {
        let proto = an_acl();
        let many: Vec<AclBinding> = (0..=MOST).map(|i| AclBinding { name: format!("t{i}"), ..proto.clone() }).collect();
        let delete = AclChange::Delete(vec![AclFilter::ANY]);
        let refused = plan(&folded(&many), &delete, &by(), "T").unwrap_err();
        assert_eq!(refused.code, ErrorCode::INVALID_REQUEST);
        assert!(refused.message.contains("10001 ACLs, at most 10000"), "{}", refused.message);
        assert_eq!(plan(&folded(&many[1..]), &delete, &by(), "T").unwrap().records.len(), MOST);
        assert!(plan(&Fold::default(), &AclChange::Create(many), &by(), "T").is_err());
    }
}

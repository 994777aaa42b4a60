//! The form of acknowledgements, which brokers look at before they ask for the right on the topic.
//!
//! Source: Kafka 4.3 `KafkaApis.handleAcknowledgements`, `validateAcknowledgementBatches`. What is acknowledged of one
//! partition is well-formed or fails with 42 as a whole; an id without a name fails with 100 before that, a denied topic
//! with 29 behind it. A broker looks at all partitions of a request that acknowledges anything, also at those of which
//! nothing is acknowledged; of one that is named twice it knows what is said last.

use crate::wire::schema::{share_acknowledge, share_fetch};
use crate::wire::{ErrorCode, Field, Node};

/// The highest kind of acknowledgement: a lease that is renewed, and before version 2 a rejected record.
const RENEW: i64 = 4;
const REJECT: i64 = 3;
const FIRST_RENEWING_VERSION: i16 = 2;

/// Where the parts of a batch stand in one of the two requests.
pub(super) struct Batches {
    /// The batches of a partition.
    batches: Field,
    first: Field,
    last: Field,
    types: Field,
}

/// In a ShareFetch.
pub(super) const FETCHED: Batches = {
    use share_fetch::request::{acknowledgement_batch as batch, fetch_partition};
    Batches {
        batches: fetch_partition::ACKNOWLEDGEMENT_BATCHES,
        first: batch::FIRST_OFFSET,
        last: batch::LAST_OFFSET,
        types: batch::ACKNOWLEDGE_TYPES,
    }
};

/// In a ShareAcknowledge.
pub(super) const ALONE: Batches = {
    use share_acknowledge::request::{acknowledge_partition, acknowledgement_batch as batch};
    Batches {
        batches: acknowledge_partition::ACKNOWLEDGEMENT_BATCHES,
        first: batch::FIRST_OFFSET,
        last: batch::LAST_OFFSET,
        types: batch::ACKNOWLEDGE_TYPES,
    }
};

impl Batches {
    /// The error of what is acknowledged of one partition, whose topic is refused with `error`; `renews` says whether the
    /// request renews leases.
    pub(super) fn refusal(&self, partition: &Node, error: ErrorCode, version: i16, renews: bool) -> ErrorCode {
        let formed = error == ErrorCode::UNKNOWN_TOPIC_ID || self.is_well_formed(partition, version, renews);
        if formed { error } else { ErrorCode::INVALID_REQUEST }
    }

    fn is_well_formed(&self, partition: &Node, version: i16, renews: bool) -> bool {
        let highest = if version < FIRST_RENEWING_VERSION { REJECT } else { RENEW };
        let mut end = -1;
        partition.nodes(self.batches).iter().all(|batch| {
            let (first, last, types) = (batch.int(self.first), batch.int(self.last), batch.ints(self.types));
            let before = std::mem::replace(&mut end, last);
            let one_each = i64::try_from(types.len()).is_ok_and(|count| last.wrapping_sub(first) == count - 1);
            first <= last
                && first >= before
                && (types.len() == 1 || (!types.is_empty() && one_each))
                && types.iter().all(|kind| (0..=highest).contains(kind) && (renews || *kind != RENEW))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Value;
    use crate::wire::schema::share_acknowledge::request::{
        acknowledge_partition as partition, acknowledgement_batch as batch,
    };

    fn of(batches: &[(i64, i64, &[i64])]) -> Node {
        let mut node = Node::new(&partition::THIS);
        for (first, last, types) in batches {
            let one = Node::new(&batch::THIS)
                .with(batch::FIRST_OFFSET, *first)
                .with(batch::LAST_OFFSET, *last)
                .with(batch::ACKNOWLEDGE_TYPES, Value::Ints(types.to_vec()));
            node.push(partition::ACKNOWLEDGEMENT_BATCHES, one);
        }
        node
    }

    #[test]
    fn the_form_comes_before_the_right_and_behind_the_id() {
        type Asked<'a> = &'a [(i64, i64, &'a [i64])];
        let denied = ErrorCode::TOPIC_AUTHORIZATION_FAILED;
        let told = |batches: Asked<'_>| ALONE.refusal(&of(batches), denied, 1, false).0;
        let formed: [Asked<'_>; 4] =
            [&[], &[(-1, 9, &[1])], &[(0, 2, &[0, 1, 3]), (2, 5, &[2])], &[(5, 5, &[1]), (7, 8, &[2, 2])]];
        for formed in formed {
            assert_eq!(told(formed), 29, "{formed:?}");
        }
        let wrong: [Asked<'_>; 10] = [
            &[(-2, 9, &[1])],
            &[(3, 2, &[1])],
            &[(0, 9, &[])],
            &[(0, 9, &[1, 1])],
            &[(0, 0, &[1, 1])],
            &[(0, 9, &[4])],
            &[(0, 9, &[-1])],
            &[(5, 9, &[1]), (8, 10, &[1])],
            &[(5, 9, &[1]), (0, 1, &[1])],
            &[(i64::MAX, i64::MIN, &[1, 1])],
        ];
        for wrong in wrong {
            assert_eq!(told(wrong), 42, "{wrong:?}");
            assert_eq!(ALONE.refusal(&of(wrong), ErrorCode::UNKNOWN_TOPIC_ID, 1, false).0, 100, "{wrong:?}");
        }
        // Leases are renewed from version 2 on, and by a request that says so.
        let renewal = of(&[(0, 9, &[4])]);
        assert_eq!(
            [(1, true), (2, false), (2, true)].map(|(v, r)| ALONE.refusal(&renewal, denied, v, r).0),
            [42, 42, 29]
        );
    }
}

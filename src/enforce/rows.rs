//! What rules that answer row by row share.

use super::judge::Judge;
use super::rule::{Complete, Completed, Then};
use super::scrub::scrub;
use crate::wire::{Field, Node};

/// Adds refused rows behind those of a broker, whose texts are looked at.
pub(super) struct Behind {
    rows: Field,
    refused: Vec<Node>,
}

impl Behind {
    /// What is done with an answer that lacks these rows.
    pub(super) fn then(rows: Field, refused: Vec<Node>) -> Then {
        Then::Complete(Box::new(Self { rows, refused }))
    }
}

impl Complete for Behind {
    fn complete(self: Box<Self>, mut answer: Node, _: &mut Judge<'_>) -> Completed {
        scrub(&mut answer);
        answer.nodes_mut(self.rows).extend(self.refused);
        Completed::Answer(answer)
    }
}

/// Puts rows back among those that a broker has answered, at the places that they had in the request.
pub(super) fn interleave(answered: &mut Vec<Node>, rows: Vec<(usize, Node)>) {
    // By rising place, in one pass: to insert one by one would move what stands behind each time.
    let mut all = Vec::with_capacity(answered.len() + rows.len());
    let mut served = std::mem::take(answered).into_iter();
    for (place, row) in rows {
        while all.len() < place {
            match served.next() {
                Some(node) => all.push(node),
                None => break,
            }
        }
        all.push(row);
    }
    all.extend(served);
    *answered = all;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::schema::find_coordinator::response::coordinator;

    fn named(name: &str) -> Node {
        Node::new(&coordinator::THIS).with(coordinator::KEY, name)
    }

    #[test]
    fn refused_rows_stand_where_they_stood_in_the_request() {
        for (answered, rows, expected) in [
            (vec!["a", "c"], vec![(1, "b"), (3, "d")], "abcd"),
            (vec!["c"], vec![(0, "a"), (1, "b")], "abc"),
            (vec!["a"], vec![(2, "c"), (3, "d")], "acd"),
            (vec![], vec![(0, "a")], "a"),
            (vec!["a", "b"], vec![], "ab"),
        ] {
            let mut all: Vec<Node> = answered.into_iter().map(named).collect();
            interleave(&mut all, rows.into_iter().map(|(place, name)| (place, named(name))).collect());
            assert_eq!(all.iter().map(|node| node.str(coordinator::KEY)).collect::<String>(), expected);
        }
    }
}

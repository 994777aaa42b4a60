//! What rules that answer row by row share.

use crate::wire::Node;

/// Puts rows back among those that a broker has answered, at the places that they had in the request.
pub(super) fn interleave(answered: &mut Vec<Node>, rows: Vec<(usize, Node)>) {
    // By rising place, so that what stands before a row is complete when it is put in.
    for (place, row) in rows {
        answered.insert(place.min(answered.len()), row);
    }
}

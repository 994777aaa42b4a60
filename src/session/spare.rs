//! Memory of large requests, used again: got anew for each, its pages would be mapped and cleared for each.

use bytes::{Bytes, BytesMut};
use std::cell::RefCell;

/// What is too small to be kept: the allocator is good at that.
pub(super) const LARGE: usize = 64 * 1024;
/// The most that a kept piece holds.
pub(super) const LARGEST: usize = 2 * 1024 * 1024;
/// How many pieces a thread keeps.
const KEPT: usize = 8;

thread_local! {
    /// The last given is the first taken: it may still be in the processor's cache. Of the thread and not of a connection,
    /// so that idle connections hold nothing.
    static SPARES: RefCell<Vec<BytesMut>> = const { RefCell::new(Vec::new()) };
}

/// Room for this many bytes, more than [`LARGE`].
pub(super) fn take(room: usize) -> BytesMut {
    let spare = SPARES.with_borrow_mut(|spares| {
        let last = spares.iter_mut().rposition(|spare| spare.try_reclaim(room))?;
        Some(spares.remove(last))
    });
    spare.unwrap_or_else(|| BytesMut::with_capacity(room))
}

/// Takes back what nobody else holds, if it is worth it.
pub(super) fn give(bytes: Bytes) {
    let Ok(mut spare) = bytes.try_into_mut() else { return };
    spare.clear();
    if !spare.try_reclaim(LARGE) || spare.try_reclaim(LARGEST + 1) {
        return;
    }
    SPARES.with_borrow_mut(|spares| {
        // The oldest goes: a piece that fits nothing that comes must not keep the place of one that does.
        if spares.len() == KEPT {
            spares.remove(0);
        }
        spares.push(spare);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_piece_that_nobody_holds_is_used_again() {
        let mut piece = take(LARGE + 1);
        piece.resize(LARGE + 1, 7);
        let first = piece.as_ptr();
        let held = piece.split().freeze();
        drop(piece);
        let also = held.clone();
        give(held);
        assert_ne!(take(LARGE + 1).as_ptr(), first, "somebody still reads it");
        give(also);
        let again = take(LARGE);
        assert_eq!((again.as_ptr(), again.len()), (first, 0));
    }

    #[test]
    fn pieces_that_fit_nothing_make_room_for_those_that_do() {
        for _ in 0..KEPT {
            give(Bytes::from(vec![0; LARGE]));
        }
        give(Bytes::from(vec![0; LARGE * 4]));
        let fits = |spares: &mut Vec<BytesMut>| spares.iter_mut().any(|spare| spare.try_reclaim(LARGE * 4));
        assert!(SPARES.with_borrow_mut(fits));
        assert_eq!(SPARES.with_borrow(Vec::len), KEPT);
    }

    #[test]
    fn small_and_huge_pieces_are_not_kept() {
        for size in [LARGE / 2, LARGEST + 1] {
            give(Bytes::from(vec![0; size]));
            assert!(SPARES.with_borrow(Vec::is_empty), "{size}");
        }
    }
}

//! Times a piece of work and counts its allocations.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::Instant;

/// Counts what the thread takes from the system's allocator.
struct Counting;

thread_local! {
    static TAKEN: Cell<u64> = const { Cell::new(0) };
}

#[expect(unsafe_code, reason = "an allocator is unsafe by its trait; this one hands every call on as it came")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        TAKEN.set(TAKEN.get() + 1);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        TAKEN.set(TAKEN.get() + 1);
        unsafe { System.realloc(at, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What one call of something costs.
pub(crate) struct Cost {
    /// Nanoseconds: the median of nine rounds.
    pub(crate) nanos: f64,
    /// Allocations and reallocations.
    pub(crate) allocations: f64,
}

/// Calls `work` this many times in each round.
pub(crate) fn measure(calls: u32, mut work: impl FnMut()) -> Cost {
    // Tables that are made at first use, caches and the branch predictor get warm outside of the count.
    (0..calls / 10).for_each(|_| work());
    let mut rounds = [0.0; 9];
    let before = TAKEN.get();
    for nanos in &mut rounds {
        let begin = Instant::now();
        (0..calls).for_each(|_| work());
        *nanos = begin.elapsed().as_secs_f64() * 1e9 / f64::from(calls);
    }
    let allocations = (TAKEN.get() - before) as f64 / f64::from(calls) / 9.0;
    rounds.sort_by(f64::total_cmp);
    Cost { nanos: rounds[4], allocations }
}

//! Counts what a piece of work holds at most, so that "memory is bounded" is a number and not a hope.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// Counts what each thread takes from the system's allocator and gives back.
struct Counting;

thread_local! {
    static LIVE: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

fn add(bytes: isize) {
    let live = LIVE.get() + bytes;
    LIVE.set(live);
    if live > PEAK.get() {
        PEAK.set(live);
    }
}

#[expect(unsafe_code, reason = "an allocator is unsafe by its trait; this one hands every call on as it came")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        add(layout.size() as isize);
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        add(layout.size() as isize);
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        add(-(layout.size() as isize));
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        add(size as isize - layout.size() as isize);
        unsafe { System.realloc(at, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What this thread holds now, in bytes.
pub(crate) fn live() -> isize {
    LIVE.get()
}

/// Does a piece of work; the most that it held at once, in bytes, beside what was held before.
pub(crate) fn peak<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let (before, outer) = (LIVE.get(), PEAK.get());
    PEAK.set(before);
    let result = work();
    let most = PEAK.get();
    PEAK.set(outer.max(most));
    (result, (most - before).max(0) as usize)
}

/// Does a piece of work on `bytes` of input that may hold `flat + per_byte * bytes` at once.
#[track_caller]
pub(crate) fn within<T>(flat: usize, per_byte: usize, bytes: usize, work: impl FnOnce() -> T) -> T {
    let (result, most) = peak(work);
    let bound = flat + per_byte * bytes;
    assert!(most <= bound, "{most} bytes were held for {bytes} bytes of input, at most {bound} are allowed");
    result
}

//! An allocator that counts what each thread holds, so that memory committed on the word of an input is seen. Threads that an
//! entry point starts are counted together.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    sync::atomic::{AtomicIsize, Ordering::Relaxed},
};

/// Beyond this an allocation would hurt the machine before anyone could count it.
const HARD_LIMIT: usize = 1 << 30;

pub struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

thread_local! {
    // Without destructors or lazy initialisation: usable from within the allocator.
    static HELD: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
    /// Whether the thread is one of the harness, and what the others held when its input began.
    static COUNTED: Cell<Option<isize>> = const { Cell::new(None) };
    static INPUT: Cell<(&'static str, u64)> = const { Cell::new(("", 0)) };
}

/// What threads hold that never called [`start`], and the most that they held since anyone did.
static OTHERS: AtomicIsize = AtomicIsize::new(0);
static OTHERS_PEAK: AtomicIsize = AtomicIsize::new(0);

/// Starts to count on this thread; `target` and `index` are named if an allocation is absurd.
pub fn start(target: &'static str, index: u64) {
    HELD.set(0);
    PEAK.set(0);
    let others = OTHERS.load(Relaxed);
    OTHERS_PEAK.store(others, Relaxed);
    COUNTED.set(Some(others));
    INPUT.set((target, index));
}

/// The most bytes that this thread held at once since [`start`], beyond those held then.
pub fn peak() -> usize {
    PEAK.get().max(0) as usize
}

/// The same of threads that never called [`start`]: those that an input started, and those of tests that are being set up.
pub fn peak_of_others() -> usize {
    (OTHERS_PEAK.load(Relaxed) - COUNTED.get().unwrap_or(0)).max(0) as usize
}

fn grow(bytes: usize) {
    if bytes > HARD_LIMIT {
        let (target, index) = INPUT.get();
        eprintln!("{target}: input {index} asks for {bytes} bytes at once");
        std::process::abort();
    }
    if COUNTED.get().is_none() {
        let held = OTHERS.fetch_add(bytes as isize, Relaxed) + bytes as isize;
        OTHERS_PEAK.fetch_max(held, Relaxed);
        return;
    }
    let held = HELD.get() + bytes as isize;
    HELD.set(held);
    PEAK.set(PEAK.get().max(held));
}

fn shrink(bytes: usize) {
    if COUNTED.get().is_none() {
        OTHERS.fetch_sub(bytes as isize, Relaxed);
        return;
    }
    HELD.set(HELD.get() - bytes as isize);
}

// SAFETY: every call goes to the system's allocator unchanged; counting touches thread-local integers only.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grow(layout.size());
        System.alloc(layout)
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        grow(layout.size());
        System.alloc_zeroed(layout)
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        shrink(layout.size());
        System.dealloc(pointer, layout);
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // Both exist while the bytes are copied.
        grow(size);
        shrink(layout.size());
        System.realloc(pointer, layout, size)
    }
}

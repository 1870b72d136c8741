//! Per-thread buffers for packed operands, aligned to cache lines, kept from call to call.

use std::{cell::Cell, ops::DerefMut, thread::LocalKey};

#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u32; 16]);

type Home = LocalKey<Cell<Vec<Line>>>;

thread_local! {
    static TOKENS: Cell<Vec<Line>> = const { Cell::new(Vec::new()) };
    static WEIGHTS: Cell<Vec<Line>> = const { Cell::new(Vec::new()) };
}

/// A buffer on loan; it goes home when dropped.
pub(super) struct Loan {
    lines: Vec<Line>,
    words: usize,
    home: &'static Home,
}

/// Lends a buffer for packed activations of `words` 32-bit words, with unspecified contents.
pub(super) fn tokens(words: usize) -> Loan {
    lend(&TOKENS, words)
}

/// Lends a buffer for packed weights of `words` 32-bit words, with unspecified contents.
pub(super) fn weights(words: usize) -> Loan {
    lend(&WEIGHTS, words)
}

fn lend(home: &'static Home, words: usize) -> Loan {
    let mut lines = home.take();
    let needed = words.div_ceil(16);
    if lines.len() < needed {
        lines.resize(needed, Line([0; 16]));
    }
    Loan { lines, words, home }
}

impl std::ops::Deref for Loan {
    type Target = [u32];

    fn deref(&self) -> &[u32] {
        // SAFETY: a line is 16 u32 without padding, and `lend` made `16 * lines >= words`.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast::<u32>(), self.words) }
    }
}

impl DerefMut for Loan {
    fn deref_mut(&mut self) -> &mut [u32] {
        // SAFETY: as in `deref`; the exclusive borrow of the loan is one of its buffer.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast::<u32>(), self.words) }
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        self.home.set(std::mem::take(&mut self.lines));
    }
}

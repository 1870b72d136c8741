//! Division of an op over threads. Outputs are disjoint and each element is computed by one thread, so the
//! result does not depend on their number.

use rayon::ThreadPool;

use super::{Kernels, LinearRows, RowsMut, A15};

/// Multiply-accumulates below which a thread more costs more than it saves.
const GRAIN: usize = 1 << 17;
/// Multiply-accumulates that an entry of a norm or a gate is worth.
const ROW_COST: usize = 32;
/// Output rows are divided at multiples of this, so that tiled kernels see whole tiles.
const ROW_TILE: usize = 16;

/// The threads of one stage executor.
///
/// Each executor owns its pool, so that a node can run inference on low-priority threads without touching
/// the process-wide pool. One thread means the caller's.
#[derive(Debug)]
pub struct Threads {
    pool: Option<ThreadPool>,
    count: usize,
}

impl Threads {
    /// A pool of `count` threads, at least one. `start` runs once on each new thread (to lower its
    /// priority, say) and is not called for the caller's own thread.
    pub fn with_start(
        count: usize,
        start: impl Fn(usize) + Send + Sync + 'static,
    ) -> Result<Self, rayon::ThreadPoolBuildError> {
        let count = count.max(1);
        let pool = match count {
            1 => None,
            _ => Some(
                rayon::ThreadPoolBuilder::new()
                    .num_threads(count)
                    .thread_name(|i| format!("assay-engine-{i}"))
                    .start_handler(start)
                    .build()?,
            ),
        };
        Ok(Self { pool, count })
    }

    /// [`Self::with_start`] that starts plain threads.
    pub fn new(count: usize) -> Result<Self, rayon::ThreadPoolBuildError> {
        Self::with_start(count, |_| {})
    }

    /// How many threads there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Runs `work` on the pool, where the other functions of this module divide at little cost.
    pub fn install<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        match &self.pool {
            Some(pool) => pool.install(work),
            None => work(),
        }
    }

    /// Computes A15 rows one by one: `work` gets the row's index, the row and scratch of its length, and
    /// returns its exponent. Shapes: `q` `[n, columns]`, `exponents` `[n]`; `wide` grows as needed.
    pub fn rows(
        &self,
        q: &mut [i16],
        exponents: &mut [i32],
        wide: &mut Vec<i64>,
        work: impl Fn(usize, &mut [i16], &mut [i64]) -> i32 + Sync,
    ) {
        let n = exponents.len();
        if n == 0 || q.is_empty() {
            return;
        }
        let columns = q.len() / n;
        let pieces = self.pieces(q.len() * ROW_COST).min(n);
        let needed = pieces * columns;
        if wide.len() < needed {
            wide.resize(needed, 0);
        }
        divide_rows(0, q, exponents, &mut wide[..needed], pieces, &work);
    }

    /// Calls `work` for each item, in any order, each thread with scratch of its own. Items are expected to
    /// be of like size; `macs` is the work of all of them.
    pub fn share<T: Send, S: Default + Send>(
        &self,
        items: Vec<T>,
        macs: usize,
        scratch: &mut Vec<S>,
        work: impl Fn(T, &mut S) + Sync,
    ) {
        let pieces = self.pieces(macs).min(items.len()).max(1);
        if scratch.len() < pieces {
            scratch.resize_with(pieces, S::default);
        }
        share_items(items, &mut scratch[..pieces], &work);
    }

    /// How many threads work of this size is worth.
    fn pieces(&self, macs: usize) -> usize {
        self.count.min(macs / GRAIN).max(1)
    }

    /// [`Kernels::linear`] over all outputs and tokens. Shapes: `y` is `[tokens, part.rows()]`.
    pub fn linear(&self, kernels: &dyn Kernels, part: LinearRows<'_>, x: A15<'_>, f_out: i32, y: &mut [i32]) {
        if x.tokens() == 0 || part.rows() == 0 {
            return;
        }
        let y = RowsMut::new(y, part.rows());
        let work = part.weights().saturating_mul(x.tokens());
        let pieces = self.pieces(work);
        divide(kernels, part, x, f_out, y, pieces);
    }
}

/// Halves the output rows, or the tokens where there are too few rows, until there is one piece per thread.
/// Each weight is read by one thread only, and a piece is a dense block.
fn divide(kernels: &dyn Kernels, part: LinearRows<'_>, x: A15<'_>, f_out: i32, mut y: RowsMut<'_>, pieces: usize) {
    let half = pieces / 2;
    if half == 0 {
        return kernels.linear(part, x, f_out, &mut y);
    }
    let rows = part.rows() * half / pieces;
    let rows = if rows >= ROW_TILE { rows / ROW_TILE * ROW_TILE } else { rows };
    if rows > 0 {
        let (part_a, part_b) = part.split_at(rows);
        let (y_a, y_b) = y.split_columns(rows);
        rayon::join(
            || divide(kernels, part_a, x, f_out, y_a, half),
            || divide(kernels, part_b, x, f_out, y_b, pieces - half),
        );
    } else if x.tokens() > 1 {
        let tokens = (x.tokens() * half / pieces).max(1);
        let (x_a, x_b) = x.split_at(tokens, part.inputs);
        let (y_a, y_b) = y.split_rows(tokens);
        rayon::join(
            || divide(kernels, part, x_a, f_out, y_a, half),
            || divide(kernels, part, x_b, f_out, y_b, pieces - half),
        );
    } else {
        kernels.linear(part, x, f_out, &mut y);
    }
}

/// Halves the rows until there is one piece per thread; `wide` holds one row for each piece.
fn divide_rows(
    first: usize,
    q: &mut [i16],
    exponents: &mut [i32],
    wide: &mut [i64],
    pieces: usize,
    work: &(impl Fn(usize, &mut [i16], &mut [i64]) -> i32 + Sync),
) {
    let n = exponents.len();
    let columns = q.len() / n;
    let half = pieces / 2;
    if half == 0 {
        for (i, (q, e)) in q.chunks_exact_mut(columns).zip(exponents).enumerate() {
            *e = work(first + i, q, wide);
        }
        return;
    }
    // pieces <= n, so that both halves have rows.
    let at = n * half / pieces;
    let (q_a, q_b) = q.split_at_mut(at * columns);
    let (e_a, e_b) = exponents.split_at_mut(at);
    let (wide_a, wide_b) = wide.split_at_mut(half * columns);
    rayon::join(
        || divide_rows(first, q_a, e_a, wide_a, half, work),
        || divide_rows(first + at, q_b, e_b, wide_b, pieces - half, work),
    );
}

fn share_items<T: Send, S: Send>(mut items: Vec<T>, scratch: &mut [S], work: &(impl Fn(T, &mut S) + Sync)) {
    let pieces = scratch.len();
    let half = pieces / 2;
    if half == 0 {
        if let Some(scratch) = scratch.first_mut() {
            items.into_iter().for_each(|item| work(item, scratch));
        }
        return;
    }
    let second = items.split_off(items.len() * half / pieces);
    let (scratch_a, scratch_b) = scratch.split_at_mut(half);
    rayon::join(|| share_items(items, scratch_a, work), || share_items(second, scratch_b, work));
}

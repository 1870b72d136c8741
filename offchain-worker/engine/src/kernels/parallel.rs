//! Division of an op over threads. Outputs are disjoint and each element is computed by one thread, so the
//! result does not depend on their number.

use rayon::ThreadPool;

use super::{Kernels, LinearRows, RowsMut, A15};

/// Multiply-accumulates below which a thread more costs more than it saves.
const GRAIN: usize = 1 << 17;
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

    /// Calls `work` for each item, in no order; items are expected to be of like size.
    pub fn for_each<T: Send>(&self, items: Vec<T>, work: impl Fn(T) + Sync + Send) {
        match &self.pool {
            Some(_) if items.len() > 1 => {
                use rayon::prelude::*;
                items.into_par_iter().with_max_len(1).for_each(work);
            }
            _ => items.into_iter().for_each(work),
        }
    }

    /// [`Kernels::linear`] over all outputs and tokens. Shapes: `y` is `[tokens, part.rows()]`.
    pub fn linear(&self, kernels: &dyn Kernels, part: LinearRows<'_>, x: A15<'_>, f_out: i32, y: &mut [i32]) {
        if x.tokens() == 0 || part.rows() == 0 {
            return;
        }
        let y = RowsMut::new(y, part.rows());
        let work = part.w.len().saturating_mul(x.tokens());
        let pieces = self.count.min(work / GRAIN).max(1);
        divide(kernels, part, x, f_out, y, pieces);
    }
}

/// Halves the output rows, or the tokens where there are too few rows, until there is one piece per thread.
/// Each weight is read by one thread only, and a piece is a dense block.
fn divide(
    kernels: &dyn Kernels,
    part: LinearRows<'_>,
    x: A15<'_>,
    f_out: i32,
    mut y: RowsMut<'_>,
    pieces: usize,
) {
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

//! Intermediate rows, reused from layer to layer and from call to call.

/// A matrix of A15 rows with their exponents.
#[derive(Debug, Default)]
pub(crate) struct A15Rows {
    q: Vec<i16>,
    exponents: Vec<i32>,
    columns: usize,
}

impl A15Rows {
    /// Makes room for `[n, columns]`; old contents have no meaning.
    pub fn resize(&mut self, n: usize, columns: usize) -> (&mut [i16], &mut [i32]) {
        self.columns = columns;
        self.q.resize(n * columns, 0);
        self.exponents.resize(n, 0);
        (&mut self.q, &mut self.exponents)
    }

    pub fn view(&self) -> crate::kernels::A15<'_> {
        crate::kernels::A15 { q: &self.q, exponents: &self.exponents }
    }

    pub fn row(&self, t: usize) -> (&[i16], i32) {
        (&self.q[t * self.columns..(t + 1) * self.columns], self.exponents[t])
    }
}

/// Scratch of one thread's share of attention.
#[derive(Debug, Default)]
pub(crate) struct AttentionScratch {
    pub scores: Vec<i64>,
    pub weights: Vec<u32>,
    pub sums: Vec<i64>,
}

/// What the last layer of a span contributes to `tail_root`.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    /// h after the attention line, `[n, d]`.
    pub h: Vec<i32>,
    /// The input of the down projection, `[n, f]`.
    pub down: A15Rows,
}

/// All intermediate rows of a stage. Shapes are those of the call in progress.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    /// Rope rows per table, `[n, rot]`.
    pub rope: Vec<Vec<i32>>,
    /// Input of a block, `[n, d]`.
    pub x: A15Rows,
    /// Projections, Q16 or Q`-e_v`.
    pub query: Vec<i32>,
    pub key: Vec<i32>,
    pub value: Vec<i32>,
    /// Rotated queries, `[kv head, n, group, D]`.
    pub heads: Vec<i16>,
    /// Attention outputs, `[n, n_q * D]`.
    pub attended: Vec<i32>,
    pub joined: A15Rows,
    pub attention: Vec<AttentionScratch>,
    /// MLP, `[n, f]`.
    pub gate: Vec<i32>,
    pub up: Vec<i32>,
    /// Output of a block, `[n, d]`.
    pub line: Vec<i32>,
    /// One row of wide integers per thread.
    pub wide: Vec<i64>,
    pub tail: Tail,
}

/// The first `n` entries of a buffer, which grows if need be. Old contents have no meaning.
pub(crate) fn fit<T: Clone + Default>(buffer: &mut Vec<T>, n: usize) -> &mut [T] {
    if buffer.len() < n {
        buffer.resize(n, T::default());
    }
    &mut buffer[..n]
}

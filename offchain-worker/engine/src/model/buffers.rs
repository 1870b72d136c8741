//! Intermediate rows, reused from layer to layer and from call to call.

use assay_exact::mlp::ChosenExpert;

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

    pub fn columns(&self) -> usize {
        self.columns
    }

    pub fn set_row(&mut self, t: usize, (q, exponent): (&[i16], i32)) {
        self.q[t * self.columns..(t + 1) * self.columns].copy_from_slice(q);
        self.exponents[t] = exponent;
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

/// Gate and up rows of an MLP, `[n, f]`, Q16.
#[derive(Debug, Default)]
pub(crate) struct MlpBuffers {
    pub gate: Vec<i32>,
    pub up: Vec<i32>,
}

/// Rows of a mixture of experts.
#[derive(Debug, Default)]
pub(crate) struct ExpertBuffers {
    /// Router outputs, `[n, experts]`, Q16.
    pub logits: Vec<i32>,
    /// `[n, experts per token]`.
    pub chosen: Vec<ChosenExpert>,
    /// One expert's tokens: inputs, inputs of its down projection, outputs.
    pub inputs: A15Rows,
    pub down: A15Rows,
    pub out: Vec<i32>,
    /// Weighted sums, `[n, d]`.
    pub sums: Vec<i64>,
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
    pub mlp: MlpBuffers,
    pub experts: ExpertBuffers,
    /// Inputs of the down projections, in order: `[n * (experts per token, or 1), f]`.
    pub down: A15Rows,
    /// Output of a block, `[n, d]`.
    pub line: Vec<i32>,
    /// One row of wide integers per thread.
    pub wide: Vec<i64>,
    /// One residual row.
    pub row: Vec<i32>,
    /// h after the attention line of the span's last layer, `[n, d]`: with `down` its tail.
    pub tail: Vec<i32>,
}

/// The first `n` entries of a buffer, which grows if need be. Old contents have no meaning.
pub(crate) fn fit<T: Clone + Default>(buffer: &mut Vec<T>, n: usize) -> &mut [T] {
    if buffer.len() < n {
        buffer.resize(n, T::default());
    }
    &mut buffer[..n]
}

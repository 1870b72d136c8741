//! Prefill: the matrix product of section 3 for many tokens, blocked for the caches.
//!
//! Vector lanes are 16 tokens; a micro-kernel keeps `ROWS x 16` sums in registers and runs over all
//! in-features, broadcasting weights. Both operands are packed into the order in which it reads them:
//! activations once per call, weights once per [`ROW_BLOCK`] micro-kernels' rows, so that a block of
//! weights stays in the second-level cache while every tile of tokens passes over it.

use assay_exact::linear::join_planes;

use super::{lanes::Lanes, rows, scratch};
use crate::kernels::{LinearRows, RowsMut, A15};

/// Tokens of one tile.
pub(super) const TOKENS: usize = 16;
/// Micro-kernels' rows packed at a time.
const ROW_BLOCK: usize = 4;
/// Tokens packed at a time: bounds the buffer, and keeps it in the last-level cache.
const CHUNK: usize = 512;
/// The most rows of any micro-kernel.
const MAX_ROWS: usize = 12;

/// The micro-kernel of one instruction set, with its packed layouts.
///
/// A step is [`Self::STEP`] in-features: [`Self::TOKEN_WORDS`] words of packed activations against
/// [`Self::ROWS`] words of packed weights.
pub(super) trait Tiles: Lanes {
    /// Output rows, at most [`MAX_ROWS`].
    const ROWS: usize;
    /// In-features of a step.
    const STEP: usize;
    /// Words of packed activations per step.
    const TOKEN_WORDS: usize;

    /// Packs up to [`TOKENS`] rows of A15; absent tokens and in-features become zeros.
    ///
    /// `corrections` receives what [`Self::multiply`] has to subtract per token.
    fn pack_tokens(self, q: &[i16], inputs: usize, packed: &mut [u32], corrections: &mut [i64; TOKENS]);

    /// Packs up to [`Self::ROWS`] rows of weights. Absent rows and in-features have no meaning.
    fn pack_rows(self, w: &[i8], inputs: usize, packed: &mut [u32]);

    /// The exact products, `[ROWS, TOKENS]`.
    fn multiply(self, weights: &[u32], tokens: &[u32], corrections: &[i64; TOKENS], acc: &mut [i64]);
}

/// Of `tokens`, how many go through tiles: a last tile that is not full pays from `min_tail` tokens on.
pub(super) fn tiled_tokens(tokens: usize, min_tail: usize) -> usize {
    if tokens % TOKENS >= min_tail {
        tokens
    } else {
        tokens / TOKENS * TOKENS
    }
}

/// Section 3 for all tokens of `x`, which are the first rows of `y`.
#[inline(always)]
pub(super) fn linear<T: Tiles>(l: T, part: LinearRows<'_>, x: A15<'_>, f_out: i32, y: &mut RowsMut<'_>) {
    let mut first = 0;
    while first < x.tokens() {
        let (_, rest) = x.split_at(first, part.inputs);
        let (chunk, _) = rest.split_at(rest.tokens().min(CHUNK), part.inputs);
        linear_chunk(l, part, chunk, first, f_out, y);
        first += chunk.tokens();
    }
}

#[inline(always)]
fn linear_chunk<T: Tiles>(l: T, part: LinearRows<'_>, x: A15<'_>, first: usize, f_out: i32, y: &mut RowsMut<'_>) {
    let inputs = part.inputs;
    let steps = inputs.div_ceil(T::STEP);
    let token_words = steps * T::TOKEN_WORDS;
    let row_words = steps * T::ROWS;
    let tiles = x.tokens().div_ceil(TOKENS);
    let mut tokens = scratch::tokens(tiles * token_words);
    let mut corrections = [[0; TOKENS]; CHUNK / TOKENS];
    let packed = tokens.chunks_exact_mut(token_words).zip(x.q.chunks(TOKENS * inputs));
    for ((tokens, q), corrections) in packed.zip(&mut corrections) {
        l.pack_tokens(q, inputs, tokens, corrections);
    }
    // The block's first plane, and behind it the second, if there is one.
    let plane = ROW_BLOCK * row_words;
    let mut weights = scratch::weights(if part.w.second.is_some() { 2 * plane } else { plane });
    for row in (0..part.rows()).step_by(ROW_BLOCK * T::ROWS) {
        let (_, block) = part.split_at(row);
        let (block, _) = block.split_at(block.rows().min(ROW_BLOCK * T::ROWS));
        for (weights, w) in weights.chunks_exact_mut(plane).zip([Some(block.w.first), block.w.second].iter().flatten())
        {
            for (packed, w) in weights.chunks_exact_mut(row_words).zip(w.chunks(T::ROWS * inputs)) {
                l.pack_rows(w, inputs, packed);
            }
        }
        let (coarse, fine) = weights.split_at(plane);
        for (tile, (tokens, corrections)) in tokens.chunks_exact(token_words).zip(&corrections).enumerate() {
            let t = tile * TOKENS;
            let exponents = &x.exponents[t..(t + TOKENS).min(x.tokens())];
            let mut fine = fine.chunks_exact(row_words);
            for (at, weights) in (0..block.rows()).step_by(T::ROWS).zip(coarse.chunks_exact(row_words)) {
                let mut acc = [0; MAX_ROWS * TOKENS];
                l.multiply(weights, tokens, corrections, &mut acc[..T::ROWS * TOKENS]);
                if let Some(weights) = fine.next() {
                    let mut second = [0; MAX_ROWS * TOKENS];
                    l.multiply(weights, tokens, corrections, &mut second[..T::ROWS * TOKENS]);
                    for (acc, second) in acc.iter_mut().zip(second) {
                        *acc = join_planes(*acc, second);
                    }
                }
                let (_, rows) = block.split_at(at);
                let (rows, _) = rows.split_at(rows.rows().min(T::ROWS));
                finish_tile(l, rows, &acc, exponents, f_out, first + t, row + at, y);
            }
        }
    }
}

/// The epilogue of one tile, transposed into `y`.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
fn finish_tile<T: Tiles>(
    l: T,
    rows: LinearRows<'_>,
    acc: &[i64; MAX_ROWS * TOKENS],
    exponents: &[i32],
    f_out: i32,
    token: usize,
    row: usize,
    y: &mut RowsMut<'_>,
) {
    let n = exponents.len();
    let highest = exponents.iter().copied().max().unwrap_or(0);
    let mut finished = [[0i32; TOKENS]; MAX_ROWS];
    for (r, (finished, acc)) in finished.iter_mut().zip(acc.chunks_exact(TOKENS)).enumerate().take(rows.rows()) {
        let bias = rows.bias.map_or(0, |b| b[r]);
        rows::finish_tokens(l, acc, rows.scales[r], bias, exponents, highest, f_out, &mut finished[..n]);
    }
    for t in 0..n {
        let y = &mut y.row_mut(token + t)[row..row + rows.rows()];
        for (y, finished) in y.iter_mut().zip(&finished) {
            *y = finished[t];
        }
    }
}

//! Section 3 in 16-bit products: weights are sign-extended and `vpmaddwd` adds pairs of products.
//!
//! A product is at most 2^7 * 2^14 = 2^21, so that an i32 lane holds 1,022 of them for certain. Sums are
//! widened to i64 at least as often.

use std::arch::x86_64::*;

use assay_exact::linear::{dot_i8_i16, join_planes};

use super::Avx2;
use crate::kernels::{
    simd::{
        rows,
        tiles::{Tiles, TOKENS},
    },
    LinearRows, RowsMut, A15,
};

/// Tokens from which a tile of 16, padded, beats the mat-vec.
pub(super) const TILE_FROM: usize = 14;
/// Output rows of the mat-vec's block.
const ROWS: usize = 8;
/// In-features of one vector.
const WIDTH: usize = 16;
/// Pairs of products that an i32 lane holds.
const PAIRS: usize = 511;

/// Section 3 for the tokens of `x`, fewer than [`TILE_FROM`], which are the rows of `y` from `first` on: the
/// weights are streamed once, past all tokens.
#[inline(always)]
pub(super) fn few_tokens(_: Avx2, part: LinearRows<'_>, x: A15<'_>, first: usize, f_out: i32, y: &mut RowsMut<'_>) {
    // SAFETY: the token proves the feature.
    unsafe { mat_vec(part, x, first, f_out, y) }
}

#[target_feature(enable = "avx2")]
fn mat_vec(part: LinearRows<'_>, x: A15<'_>, first: usize, f_out: i32, y: &mut RowsMut<'_>) {
    let n = x.tokens();
    debug_assert!(n < TILE_FROM);
    for row in (0..part.rows()).step_by(ROWS) {
        let (_, block) = part.split_at(row);
        let (block, _) = block.split_at(block.rows().min(ROWS));
        let mut t = 0;
        while t < n {
            let (_, group) = x.split_at(t, part.inputs);
            let (t_y, at) = (first + t, row);
            t += match n - t {
                1 => group_of::<8, 1>(block, group, f_out, t_y, at, y),
                2 | 3 => group_of::<4, 2>(block, group, f_out, t_y, at, y),
                _ => group_of::<2, 4>(block, group, f_out, t_y, at, y),
            };
        }
    }
}

/// The outputs of 8 rows for the first `T` tokens, `R = 8 / T` rows at a time, into `y` from (`token`, `row`)
/// on. Returns `T`.
#[target_feature(enable = "avx2")]
#[inline]
fn group_of<const R: usize, const T: usize>(
    block: LinearRows<'_>,
    x: A15<'_>,
    f_out: i32,
    token: usize,
    row: usize,
    y: &mut RowsMut<'_>,
) -> usize {
    let mut acc = [[0; ROWS]; T];
    for r in (0..block.rows()).step_by(R) {
        let sums = dots::<R, T>(block, block.w.first, r, x);
        for (i, sum) in sums.into_iter().enumerate() {
            acc[i % T][r + i / T] = sum;
        }
        if let Some(second) = block.w.second {
            let sums = dots::<R, T>(block, second, r, x);
            for (i, sum) in sums.into_iter().enumerate() {
                let acc = &mut acc[i % T][r + i / T];
                *acc = join_planes(*acc, sum);
            }
        }
    }
    for (t, acc) in acc.iter().enumerate() {
        let y = &mut y.row_mut(token + t)[row..row + block.rows()];
        rows::finish_rows(Avx2(()), acc, block.scales, block.bias, x.exponents[t], f_out, y);
    }
    T
}

/// `sum w * q` of rows `row..row + R` of a block's plane `w`, each with the first `T` tokens; rows beyond the last
/// repeat it.
#[target_feature(enable = "avx2")]
#[inline]
fn dots<const R: usize, const T: usize>(block: LinearRows<'_>, w: &[i8], row: usize, x: A15<'_>) -> [i64; 8] {
    const { assert!(R * T == 8) }
    let inputs = block.inputs;
    assert!(w.len() >= block.rows() * inputs && row < block.rows());
    let w: [&[i8]; R] = std::array::from_fn(|r| &w[(row + r).min(block.rows() - 1) * inputs..][..inputs]);
    let q: [&[i16]; T] = std::array::from_fn(|t| x.row(t, inputs));
    let mut out = [0i64; 8];
    let whole = inputs / WIDTH;
    let mut from = 0;
    while from < whole {
        let to = whole.min(from + PAIRS);
        let mut acc = [_mm256_setzero_si256(); 8];
        for step in from..to {
            let at = step * WIDTH;
            let mut xs = [_mm256_setzero_si256(); T];
            for (x, q) in xs.iter_mut().zip(q) {
                // SAFETY: at + 16 <= inputs, the length of q.
                *x = unsafe { _mm256_loadu_si256(q.as_ptr().add(at).cast()) };
            }
            for (r, w) in w.iter().enumerate() {
                // One prefetch per cache line, for the next block's rows: from memory this is worth 1.7x.
                if step % 4 == 0 {
                    _mm_prefetch::<_MM_HINT_T1>(w.as_ptr().wrapping_add(at + ROWS * inputs));
                }
                // SAFETY: at + 16 <= inputs, the length of w.
                let w = _mm256_cvtepi8_epi16(unsafe { _mm_loadu_si128(w.as_ptr().add(at).cast()) });
                for (t, x) in xs.iter().enumerate() {
                    acc[r * T + t] = _mm256_add_epi32(acc[r * T + t], _mm256_madd_epi16(w, *x));
                }
            }
        }
        for (out, acc) in out.iter_mut().zip(acc) {
            *out += sum_wide(acc);
        }
        from = to;
    }
    if !inputs.is_multiple_of(WIDTH) {
        for (i, out) in out.iter_mut().enumerate() {
            *out += dot_i8_i16(&w[i / T][whole * WIDTH..], &q[i % T][whole * WIDTH..]);
        }
    }
    out
}

/// The exact sum of eight i32.
#[target_feature(enable = "avx2")]
#[inline]
pub(super) fn sum_wide(v: __m256i) -> i64 {
    let low = _mm256_cvtepi32_epi64(_mm256_castsi256_si128(v));
    let high = _mm256_cvtepi32_epi64(_mm256_extracti128_si256::<1>(v));
    let sum = _mm256_add_epi64(low, high);
    let sum = _mm_add_epi64(_mm256_castsi256_si128(sum), _mm256_extracti128_si256::<1>(sum));
    _mm_cvtsi128_si64(_mm_add_epi64(sum, _mm_unpackhi_epi64(sum, sum)))
}

impl Tiles for Avx2 {
    const ROWS: usize = 6;
    const STEP: usize = 2;
    /// Two in-features of each token to a word.
    const TOKEN_WORDS: usize = TOKENS;

    #[inline(always)]
    fn pack_tokens(self, q: &[i16], inputs: usize, packed: &mut [u32], corrections: &mut [i64; TOKENS]) {
        *corrections = [0; TOKENS];
        let mut rows = q.chunks_exact(inputs);
        for t in 0..TOKENS {
            let (pairs, rest) = rows.next().unwrap_or(&[]).as_chunks::<2>();
            let words = pairs.iter().map(|[a, b]| pair(*a, *b)).chain(rest.iter().map(|a| pair(*a, 0)));
            let packed = packed.iter_mut().skip(t).step_by(TOKENS);
            for (packed, word) in packed.zip(words.chain(std::iter::repeat(0))) {
                *packed = word;
            }
        }
    }

    #[inline(always)]
    fn pack_rows(self, w: &[i8], inputs: usize, packed: &mut [u32]) {
        // SAFETY: the token proves the feature.
        unsafe { pack_rows(w, inputs, packed) }
    }

    #[inline(always)]
    fn multiply(self, weights: &[u32], tokens: &[u32], _: &[i64; TOKENS], acc: &mut [i64]) {
        // SAFETY: the token proves the feature.
        unsafe { multiply(weights, tokens, acc) }
    }
}

/// Two 16-bit entries in a word, the first in its low half.
#[inline(always)]
fn pair(low: i16, high: i16) -> u32 {
    u32::from(low as u16) | u32::from(high as u16) << 16
}

/// Row after row, each entry extended to 16 bits.
#[target_feature(enable = "avx2")]
fn pack_rows(w: &[i8], inputs: usize, packed: &mut [u32]) {
    let steps = inputs.div_ceil(Avx2::STEP);
    for (w, packed) in w.chunks_exact(inputs).zip(packed.chunks_exact_mut(steps)) {
        let packed: &mut [i16] = bytemuck::cast_slice_mut(packed);
        for (packed, w) in packed.iter_mut().zip(w) {
            *packed = i16::from(*w);
        }
        packed[inputs..].fill(0);
    }
}

#[target_feature(enable = "avx2")]
fn multiply(weights: &[u32], tokens: &[u32], acc: &mut [i64]) {
    const ROWS: usize = Avx2::ROWS;
    let steps = tokens.len() / TOKENS;
    assert!(weights.len() >= steps * ROWS && acc.len() >= ROWS * TOKENS);
    acc.fill(0);
    let mut from = 0;
    while from < steps {
        let to = steps.min(from + PAIRS);
        let mut sums = [[_mm256_setzero_si256(); 2]; ROWS];
        for step in from..to {
            // SAFETY: 16 words of tokens and ROWS words of weights per step, asserted above.
            unsafe {
                let q = tokens.as_ptr().add(step * TOKENS);
                let q = [_mm256_loadu_si256(q.cast()), _mm256_loadu_si256(q.add(8).cast())];
                for (r, sums) in sums.iter_mut().enumerate() {
                    let w = _mm256_set1_epi32(*weights.as_ptr().add(r * steps + step) as i32);
                    sums[0] = _mm256_add_epi32(sums[0], _mm256_madd_epi16(w, q[0]));
                    sums[1] = _mm256_add_epi32(sums[1], _mm256_madd_epi16(w, q[1]));
                }
            }
        }
        for (acc, sum) in acc.chunks_exact_mut(8).zip(sums.as_flattened()) {
            let mut lanes = [0i32; 8];
            // SAFETY: 8 i32 are writable.
            unsafe { _mm256_storeu_si256(lanes.as_mut_ptr().cast(), *sum) };
            for (acc, lane) in acc.iter_mut().zip(lanes) {
                *acc += i64::from(lane);
            }
        }
        from = to;
    }
}

//! Section 3 in byte planes: q = 256 h + l with h in [-64, 64] and l in [-128, 127].
//!
//! `vpdpbusd` multiplies unsigned by signed bytes, so weights are offset to w + 128 and 128 * sum(q) is taken
//! off at the end. A plane's sum is at most 255 * 128 * K < 2^31 for K <= 65,793: nothing wraps.

use std::arch::x86_64::*;

use assay_exact::linear::join_planes;

use super::Avx512;
use crate::kernels::{
    simd::{
        rows, scratch,
        tiles::{Tiles, TOKENS},
    },
    LinearRows, RowsMut, A15,
};

/// Tokens from which a tile of 16, padded, beats the mat-vec.
pub(super) const TILE_FROM: usize = 13;
/// Output rows of the mat-vec's block.
const ROWS: usize = 8;
/// In-features of one vector.
const WIDTH: usize = 64;
/// The sign bit of each byte: w XOR it is w + 128, unsigned.
const OFFSET: i8 = i8::MIN;

/// The two digits of 64 activations of a row, from entry `at` on, as bytes h and l; zeros beyond the end.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
#[inline]
fn digits(q: &[i16], at: usize) -> [__m512i; 2] {
    let half = |from: usize| {
        let n = q.len().saturating_sub(from).min(32);
        let mask = ((1u64 << n) - 1) as u32;
        // SAFETY: the mask covers the n entries from `from` on, which lie in q; masked ones are not touched,
        // and the wrapping offset is not dereferenced where n is 0.
        let q = unsafe { _mm512_maskz_loadu_epi16(mask, q.as_ptr().wrapping_add(from)) };
        let h = _mm512_srai_epi16::<8>(_mm512_add_epi16(q, _mm512_set1_epi16(128)));
        // The low byte, read as signed, is ((q + 128) & 255) - 128.
        [_mm512_cvtepi16_epi8(h), _mm512_cvtepi16_epi8(q)]
    };
    let [h0, l0] = half(at);
    let [h1, l1] = half(at + 32);
    let join = |a, b| _mm512_inserti64x4::<1>(_mm512_castsi256_si512(a), b);
    [join(h0, h1), join(l0, l1)]
}

/// 128 * sum(q), what the offset of the weights adds to each output.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
#[inline]
fn correction(q: &[i16]) -> i64 {
    debug_assert!(q.iter().all(|q| q.unsigned_abs() <= 1 << 14), "activations are A15");
    128 * q.iter().map(|q| i32::from(*q)).fold(0i32, i32::wrapping_add) as i64
}

/// Section 3 for the tokens of `x`, fewer than [`TILE_FROM`], which are the rows of `y` from `first` on: the
/// weights are streamed once, past all tokens.
#[inline(always)]
pub(super) fn few_tokens(_: Avx512, part: LinearRows<'_>, x: A15<'_>, first: usize, f_out: i32, y: &mut RowsMut<'_>) {
    // SAFETY: the token proves the features.
    unsafe { mat_vec(part, x, first, f_out, y) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn mat_vec(part: LinearRows<'_>, x: A15<'_>, first: usize, f_out: i32, y: &mut RowsMut<'_>) {
    let n = x.tokens();
    debug_assert!(n < TILE_FROM);
    let inputs = part.inputs;
    let steps = inputs.div_ceil(WIDTH);
    // Per token: h, then l, of each step.
    let token_words = steps * 2 * 16;
    let mut planes = scratch::tokens(n * token_words);
    let mut corrections = [0; TILE_FROM];
    for (t, planes) in planes.chunks_exact_mut(token_words).enumerate() {
        let q = x.row(t, inputs);
        corrections[t] = correction(q);
        for (step, planes) in planes.chunks_exact_mut(32).enumerate() {
            let [h, l] = digits(q, step * WIDTH);
            // SAFETY: a step is 32 words, two vectors.
            unsafe {
                _mm512_storeu_si512(planes.as_mut_ptr().cast(), h);
                _mm512_storeu_si512(planes.as_mut_ptr().add(16).cast(), l);
            }
        }
    }
    for row in (0..part.rows()).step_by(ROWS) {
        let (_, block) = part.split_at(row);
        let (block, _) = block.split_at(block.rows().min(ROWS));
        let mut t = 0;
        while t < n {
            let (_, group) = x.split_at(t, inputs);
            let (planes, corrections) = (&planes[t * token_words..], &corrections[t..]);
            let (t_y, at) = (first + t, row);
            t += match n - t {
                1 => group_of::<8, 1>(block, planes, corrections, group, f_out, t_y, at, y),
                2 | 3 => group_of::<4, 2>(block, planes, corrections, group, f_out, t_y, at, y),
                _ => group_of::<2, 4>(block, planes, corrections, group, f_out, t_y, at, y),
            };
        }
    }
}

/// The outputs of 8 rows for the first `T` tokens, `R = 8 / T` rows at a time, into `y` from (`token`, `row`)
/// on. Returns `T`.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
#[inline]
#[allow(clippy::too_many_arguments)]
fn group_of<const R: usize, const T: usize>(
    block: LinearRows<'_>,
    planes: &[u32],
    corrections: &[i64],
    x: A15<'_>,
    f_out: i32,
    token: usize,
    row: usize,
    y: &mut RowsMut<'_>,
) -> usize {
    let mut acc = [[0; ROWS]; T];
    for r in (0..block.rows()).step_by(R) {
        let sums = dots::<R, T>(block, block.w.first, r, planes);
        for (i, sum) in sums.into_iter().enumerate() {
            acc[i % T][r + i / T] = sum - corrections[i % T];
        }
        if let Some(second) = block.w.second {
            let sums = dots::<R, T>(block, second, r, planes);
            for (i, sum) in sums.into_iter().enumerate() {
                let acc = &mut acc[i % T][r + i / T];
                *acc = join_planes(*acc, sum - corrections[i % T]);
            }
        }
    }
    for (t, acc) in acc.iter().enumerate() {
        let y = &mut y.row_mut(token + t)[row..row + block.rows()];
        rows::finish_rows(Avx512(()), acc, block.scales, block.bias, x.exponents[t], f_out, y);
    }
    T
}

/// `sum (w + 128) * q` of rows `row..row + R` of a block's plane `w`, each with `T` tokens; rows beyond the last
/// repeat it.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
#[inline]
fn dots<const R: usize, const T: usize>(block: LinearRows<'_>, w: &[i8], row: usize, planes: &[u32]) -> [i64; 8] {
    const { assert!(R * T == 8) }
    let inputs = block.inputs;
    let steps = inputs.div_ceil(WIDTH);
    assert!(w.len() >= block.rows() * inputs && planes.len() >= T * steps * 32 && row < block.rows());
    let w: [*const i8; R] = std::array::from_fn(|r| w[(row + r).min(block.rows() - 1) * inputs..].as_ptr());
    let offset = _mm512_set1_epi8(OFFSET);
    let mut h = [_mm512_setzero_si512(); 8];
    let mut l = [_mm512_setzero_si512(); 8];
    macro_rules! step {
        ($at:expr, $load:expr) => {
            let mut q = [[_mm512_setzero_si512(); 2]; T];
            for (t, q) in q.iter_mut().enumerate() {
                // SAFETY: token t's planes are `steps` times 32 words, asserted above; at < steps.
                unsafe {
                    let p = planes.as_ptr().add((t * steps + $at) * 32);
                    *q = [_mm512_loadu_si512(p.cast()), _mm512_loadu_si512(p.add(16).cast())];
                }
            }
            for (r, w) in w.iter().enumerate() {
                // The next block's rows. Short streams, eight at a time, are what hardware prefetchers miss:
                // from memory this is worth 1.7x.
                _mm_prefetch::<_MM_HINT_T1>(w.wrapping_add($at * WIDTH + ROWS * inputs));
                // SAFETY: what is loaded begins at entry `at * 64` of this row and ends before its end: 64
                // entries in the full steps, those under the mask in the last one.
                let w = _mm512_xor_si512(unsafe { $load(w.add($at * WIDTH)) }, offset);
                for (t, q) in q.iter().enumerate() {
                    h[r * T + t] = _mm512_dpbusd_epi32(h[r * T + t], w, q[0]);
                    l[r * T + t] = _mm512_dpbusd_epi32(l[r * T + t], w, q[1]);
                }
            }
        };
    }
    for at in 0..inputs / WIDTH {
        step!(at, |w: *const i8| _mm512_loadu_si512(w.cast()));
    }
    let rest = inputs % WIDTH;
    if rest > 0 {
        // Weights masked to 0 meet digits that are 0.
        step!(inputs / WIDTH, |w| _mm512_maskz_loadu_epi8((1 << rest) - 1, w));
    }
    combine(h, l)
}

/// `256 * sum(h_i) + sum(l_i)` of eight pairs of vectors of i32 whose sums fit i32.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
#[inline]
pub(super) fn combine(h: [__m512i; 8], l: [__m512i; 8]) -> [i64; 8] {
    let h = _mm512_cvtepi32_epi64(sum_each(h));
    let l = _mm512_cvtepi32_epi64(sum_each(l));
    let sums = _mm512_add_epi64(_mm512_slli_epi64::<8>(h), l);
    let mut out = [0; 8];
    // SAFETY: 8 i64 are writable.
    unsafe { _mm512_storeu_si512(out.as_mut_ptr().cast(), sums) };
    out
}

/// The sum of each of eight vectors of i32, in order.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
#[inline]
fn sum_each(v: [__m512i; 8]) -> __m256i {
    let pair = |a, b| _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
    let quad = |a, b| _mm512_add_epi32(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
    // Each 128-bit quarter now holds the partial sums of four vectors.
    let low = quad(pair(v[0], v[1]), pair(v[2], v[3]));
    let high = quad(pair(v[4], v[5]), pair(v[6], v[7]));
    let halves = _mm512_add_epi32(
        _mm512_shuffle_i32x4::<0b10_00_10_00>(low, high),
        _mm512_shuffle_i32x4::<0b11_01_11_01>(low, high),
    );
    let sums = _mm512_add_epi32(halves, _mm512_shuffle_i32x4::<0b10_11_00_01>(halves, halves));
    _mm512_castsi512_si256(_mm512_shuffle_i32x4::<0b10_00_10_00>(sums, sums))
}

impl Tiles for Avx512 {
    const ROWS: usize = 12;
    const STEP: usize = 4;
    /// 16 tokens' digits h, then l, four in-features to a word.
    const TOKEN_WORDS: usize = 32;

    #[inline(always)]
    fn pack_tokens(self, q: &[i16], inputs: usize, packed: &mut [u32], corrections: &mut [i64; TOKENS]) {
        // SAFETY: the token proves the features.
        unsafe { pack_tokens(q, inputs, packed, corrections) }
    }

    #[inline(always)]
    fn pack_rows(self, w: &[i8], inputs: usize, packed: &mut [u32]) {
        // SAFETY: the token proves the features.
        unsafe { pack_rows(w, inputs, packed) }
    }

    #[inline(always)]
    fn multiply(self, weights: &[u32], tokens: &[u32], corrections: &[i64; TOKENS], acc: &mut [i64]) {
        // SAFETY: the token proves the features.
        unsafe { multiply(weights, tokens, corrections, acc) }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn pack_tokens(q: &[i16], inputs: usize, packed: &mut [u32], corrections: &mut [i64; TOKENS]) {
    let mut rows = q.chunks_exact(inputs);
    for (t, corrected) in corrections.iter_mut().enumerate() {
        let row = rows.next().unwrap_or(&[]);
        *corrected = correction(row);
        for (at, packed) in packed.chunks_mut(16 * 32).enumerate() {
            let mut words = [[0u32; 16]; 2];
            for (words, plane) in words.iter_mut().zip(digits(row, at * WIDTH)) {
                // SAFETY: 16 words are writable.
                unsafe { _mm512_storeu_si512(words.as_mut_ptr().cast(), plane) };
            }
            for (i, packed) in packed.chunks_exact_mut(32).enumerate() {
                packed[t] = words[0][i];
                packed[16 + t] = words[1][i];
            }
        }
    }
}

/// Word `12 * s + r`: in-features `4 s..4 s + 4` of row r, offset by 128.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn pack_rows(w: &[i8], inputs: usize, packed: &mut [u32]) {
    const ROWS: usize = Avx512::ROWS;
    let steps = inputs.div_ceil(4);
    let whole = inputs / 16 * 4;
    assert!(w.len() <= ROWS * inputs && packed.len() >= steps * ROWS);
    let offset = _mm_set1_epi8(OFFSET);
    // Four rows at a time, as squares of four words.
    for (four, rows) in w.chunks(4 * inputs).enumerate() {
        let last = rows.len() / inputs - 1;
        let row = |r: usize| &rows[r.min(last) * inputs..][..inputs];
        let [a, b, c, d] = [row(0), row(1), row(2), row(3)].map(<[i8]>::as_ptr);
        for step in (0..whole).step_by(4) {
            if step % 16 == 0 {
                // A cache line of the rows that are packed next.
                for row in [a, b, c, d] {
                    _mm_prefetch::<_MM_HINT_T1>(row.wrapping_add(4 * step + ROWS * inputs));
                }
            }
            // SAFETY: 16 in-features from 4 * step on lie in each row, and the four words at each of the steps
            // `step..step + 4` in `packed`, as asserted.
            unsafe {
                let load = |row: *const i8| _mm_xor_si128(_mm_loadu_si128(row.add(4 * step).cast()), offset);
                let (a, b, c, d) = (load(a), load(b), load(c), load(d));
                let (ab, cd) = (_mm_unpacklo_epi32(a, b), _mm_unpacklo_epi32(c, d));
                let (ab_high, cd_high) = (_mm_unpackhi_epi32(a, b), _mm_unpackhi_epi32(c, d));
                let to = packed.as_mut_ptr().add(step * ROWS + 4 * four);
                _mm_storeu_si128(to.cast(), _mm_unpacklo_epi64(ab, cd));
                _mm_storeu_si128(to.add(ROWS).cast(), _mm_unpackhi_epi64(ab, cd));
                _mm_storeu_si128(to.add(2 * ROWS).cast(), _mm_unpacklo_epi64(ab_high, cd_high));
                _mm_storeu_si128(to.add(3 * ROWS).cast(), _mm_unpackhi_epi64(ab_high, cd_high));
            }
        }
        for r in 0..4 {
            let mut rest = row(r)[4 * whole..].iter();
            for step in whole..steps {
                let mut word = [0u8; 4];
                for (byte, w) in word.iter_mut().zip(&mut rest) {
                    *byte = *w as u8;
                }
                packed[step * ROWS + 4 * four + r] = u32::from_le_bytes(word) ^ 0x8080_8080;
            }
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn multiply(weights: &[u32], tokens: &[u32], corrections: &[i64; TOKENS], acc: &mut [i64]) {
    const ROWS: usize = Avx512::ROWS;
    let steps = tokens.len() / Avx512::TOKEN_WORDS;
    assert!(weights.len() >= steps * ROWS && acc.len() >= ROWS * TOKENS);
    let mut h = [_mm512_setzero_si512(); ROWS];
    let mut l = [_mm512_setzero_si512(); ROWS];
    for step in 0..steps {
        // SAFETY: 32 words of tokens and ROWS words of weights per step, asserted above.
        unsafe {
            let q = tokens.as_ptr().add(step * 32);
            let (q_h, q_l) = (_mm512_loadu_si512(q.cast()), _mm512_loadu_si512(q.add(16).cast()));
            let w = weights.as_ptr().add(step * ROWS);
            for r in 0..ROWS {
                let w = _mm512_set1_epi32(*w.add(r) as i32);
                h[r] = _mm512_dpbusd_epi32(h[r], w, q_h);
                l[r] = _mm512_dpbusd_epi32(l[r], w, q_l);
            }
        }
    }
    for ((h, l), acc) in h.into_iter().zip(l).zip(acc.chunks_exact_mut(TOKENS)) {
        let halves = [
            (_mm512_castsi512_si256(h), _mm512_castsi512_si256(l)),
            (_mm512_extracti64x4_epi64::<1>(h), _mm512_extracti64x4_epi64::<1>(l)),
        ];
        for (i, (h, l)) in halves.into_iter().enumerate() {
            let sum = _mm512_add_epi64(_mm512_slli_epi64::<8>(_mm512_cvtepi32_epi64(h)), _mm512_cvtepi32_epi64(l));
            // SAFETY: 16 corrections, and 16 entries of acc in each chunk.
            unsafe {
                let correction = _mm512_loadu_si512(corrections.as_ptr().add(8 * i).cast());
                let to = acc.as_mut_ptr().add(8 * i);
                _mm512_storeu_si512(to.cast(), _mm512_sub_epi64(sum, correction));
            }
        }
    }
}

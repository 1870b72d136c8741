//! Section 7 over the i16 cache: exact scores and weighted sums of values.

use std::arch::x86_64::*;

use assay_exact::attention::dot_i16;

use super::{linear::sum_wide, Avx2};
use crate::kernels::simd::{rows, scratch};

/// Entries of one vector.
const WIDTH: usize = 16;
/// Positions whose weighted values fit an i32: 16 * 2^12 * 2^15 = 2^31, reached only downwards.
const VALUES: usize = 16;

/// See `Kernels::scores`.
#[inline(always)]
pub(super) fn scores(_: Avx2, q: &[i16], kv: &[i16], d: usize, s: &mut [i64], stride: usize) {
    // SAFETY: the token proves the feature.
    unsafe { digit_scores(q, kv, d, s, stride) }
}

#[target_feature(enable = "avx2")]
fn digit_scores(q: &[i16], kv: &[i16], d: usize, s: &mut [i64], stride: usize) {
    assert!(d > 0 && d <= 256);
    for (q, s) in q.chunks_exact(d).zip(s.chunks_mut(stride)) {
        for (kv, s) in kv.chunks_exact(2 * d).zip(s) {
            *s = product(q, &kv[..d]);
        }
    }
}

/// `q . k`, each query split into 256 h + l, both in [-128, 128]: the products of a digit sum to at most
/// 256 * 2^7 * 2^15 = 2^30 over a head, so that i32 lanes are exact.
#[target_feature(enable = "avx2")]
#[inline]
fn product(q: &[i16], k: &[i16]) -> i64 {
    let whole = q.len().min(k.len()) / WIDTH * WIDTH;
    let mut h = _mm256_setzero_si256();
    let mut l = _mm256_setzero_si256();
    for at in (0..whole).step_by(WIDTH) {
        // SAFETY: at + 16 <= whole, at most the length of either.
        let (q, k) =
            unsafe { (_mm256_loadu_si256(q.as_ptr().add(at).cast()), _mm256_loadu_si256(k.as_ptr().add(at).cast())) };
        let q_l = _mm256_srai_epi16::<8>(_mm256_slli_epi16::<8>(q));
        let half = _mm256_and_si256(_mm256_srli_epi16::<7>(q), _mm256_set1_epi16(1));
        let q_h = _mm256_add_epi16(_mm256_srai_epi16::<8>(q), half);
        h = _mm256_add_epi32(h, _mm256_madd_epi16(q_h, k));
        l = _mm256_add_epi32(l, _mm256_madd_epi16(q_l, k));
    }
    256 * sum_wide(h) + sum_wide(l) + dot_i16(&q[whole..], &k[whole..])
}

/// See `Kernels::weighted_values`.
#[inline(always)]
pub(super) fn weighted_values(_: Avx2, w: &[u32], stride: usize, kv: &[i16], d: usize, o: &mut [i64]) {
    // SAFETY: the token proves the feature.
    unsafe { digit_values(w, stride, kv, d, o) }
}

/// Each weight is split into 4096 h + l, both in 0..=4096; digits of two positions meet the interleaved
/// values of these positions in 16-bit products.
#[target_feature(enable = "avx2")]
fn digit_values(w: &[u32], stride: usize, kv: &[i16], d: usize, o: &mut [i64]) {
    assert!(d > 0);
    let positions = kv.len() / (2 * d);
    let pairs = positions.div_ceil(2);
    let whole = d / WIDTH * WIDTH;
    let mut digits = scratch::weights(2 * pairs);
    let (h, l) = digits.split_at_mut(pairs);
    for (w, o) in w.chunks(stride).zip(o.chunks_exact_mut(d)) {
        let w = &w[..positions];
        rows::split_weights(w, h, l);
        let (o, rest) = o.split_at_mut(whole);
        for (step, o) in o.chunks_exact_mut(WIDTH).enumerate() {
            values_of(h, l, &kv[..positions * 2 * d], d, step, o);
        }
        if !rest.is_empty() {
            for (kv, w) in kv.chunks_exact(2 * d).zip(w) {
                for (o, v) in rest.iter_mut().zip(&kv[d + whole..]) {
                    *o += i64::from(*w) * i64::from(*v);
                }
            }
        }
    }
}

/// Adds the weighted values of the 16 entries from `16 * step` on of all positions to `o`.
#[target_feature(enable = "avx2")]
#[inline]
fn values_of(h: &[u32], l: &[u32], kv: &[i16], d: usize, step: usize, o: &mut [i64]) {
    assert!((step + 1) * WIDTH <= d);
    let mut wide = [_mm256_setzero_si256(); 4];
    let digits = h.chunks(VALUES / 2).zip(l.chunks(VALUES / 2));
    for (kv, (h, l)) in kv.chunks(VALUES * 2 * d).zip(digits) {
        let mut sums = [_mm256_setzero_si256(); 4];
        for (kv, (h, l)) in kv.chunks(4 * d).zip(h.iter().zip(l)) {
            // An absent second position repeats the first, with weight 0.
            let second = if kv.len() == 4 * d { 3 * d } else { d };
            assert!(kv.len() >= second + d);
            // SAFETY: 16 entries of values of d >= 16 * (step + 1), which begin at d and at `second`.
            let (a, b) = unsafe {
                let kv = kv.as_ptr().add(step * WIDTH);
                (_mm256_loadu_si256(kv.add(d).cast()), _mm256_loadu_si256(kv.add(second).cast()))
            };
            let (low, high) = (_mm256_unpacklo_epi16(a, b), _mm256_unpackhi_epi16(a, b));
            let (w_h, w_l) = (_mm256_set1_epi32(*h as i32), _mm256_set1_epi32(*l as i32));
            sums[0] = _mm256_add_epi32(sums[0], _mm256_madd_epi16(low, w_h));
            sums[1] = _mm256_add_epi32(sums[1], _mm256_madd_epi16(low, w_l));
            sums[2] = _mm256_add_epi32(sums[2], _mm256_madd_epi16(high, w_h));
            sums[3] = _mm256_add_epi32(sums[3], _mm256_madd_epi16(high, w_l));
        }
        for half in 0..2 {
            let [h, l] = [sums[2 * half], sums[2 * half + 1]];
            wide[2 * half] = add_digits(wide[2 * half], _mm256_castsi256_si128(h), _mm256_castsi256_si128(l));
            wide[2 * half + 1] =
                add_digits(wide[2 * half + 1], _mm256_extracti128_si256::<1>(h), _mm256_extracti128_si256::<1>(l));
        }
    }
    let mut sums = [[0i64; 8]; 2];
    for (i, wide) in wide.into_iter().enumerate() {
        // SAFETY: 4 of the 8 entries from 4 * (i % 2) on.
        unsafe { _mm256_storeu_si256(sums[i / 2].as_mut_ptr().add(4 * (i % 2)).cast(), wide) };
    }
    // Interleaving works within 128 bits: of each eight entries, four are in `low` and four in `high`.
    for (i, o) in o.iter_mut().enumerate() {
        *o += sums[i % 8 / 4][i / 8 * 4 + i % 4];
    }
}

/// `sum + 4096 * h + l`.
#[target_feature(enable = "avx2")]
#[inline]
fn add_digits(sum: __m256i, h: __m128i, l: __m128i) -> __m256i {
    let h = _mm256_slli_epi64::<12>(_mm256_cvtepi32_epi64(h));
    _mm256_add_epi64(_mm256_add_epi64(sum, h), _mm256_cvtepi32_epi64(l))
}

//! Section 7 over the i16 cache: exact scores and weighted sums of values.

use std::arch::x86_64::*;

use super::{linear::combine, Avx512};
use crate::kernels::simd::{rows, scratch};

/// Entries of one vector.
const WIDTH: usize = 32;
/// Positions whose scores are reduced together.
const KEYS: usize = 8;
/// Positions whose weighted values fit an i32: 16 * 2^12 * 2^15 = 2^31, reached only downwards.
const VALUES: usize = 16;

/// See `Kernels::scores`.
#[inline(always)]
pub(super) fn scores(_: Avx512, q: &[i16], kv: &[i16], d: usize, s: &mut [i64], stride: usize) {
    // SAFETY: the token proves the features.
    unsafe { digit_scores(q, kv, d, s, stride) }
}

/// Each query is split into 256 h + l, both in [-128, 128]; the products of a digit sum to at most
/// 256 * 2^7 * 2^15 = 2^30 over a head, so that i32 lanes are exact.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn digit_scores(q: &[i16], kv: &[i16], d: usize, s: &mut [i64], stride: usize) {
    assert!(d > 0 && d <= 256);
    let positions = kv.len() / (2 * d);
    let steps = d.div_ceil(WIDTH);
    let query_words = steps * 2 * 16;
    let queries = q.len() / d;
    let mut planes = scratch::tokens(queries * query_words);
    for (q, planes) in q.chunks_exact(d).zip(planes.chunks_exact_mut(query_words)) {
        for (step, planes) in planes.chunks_exact_mut(32).enumerate() {
            // SAFETY: the mask covers entries of this query; a step is 32 words, two vectors.
            unsafe {
                let q = _mm512_maskz_loadu_epi16(tail(d, step), q.as_ptr().add(step * WIDTH));
                let l = _mm512_srai_epi16::<8>(_mm512_slli_epi16::<8>(q));
                let half = _mm512_and_si512(_mm512_srli_epi16::<7>(q), _mm512_set1_epi16(1));
                let h = _mm512_add_epi16(_mm512_srai_epi16::<8>(q), half);
                _mm512_storeu_si512(planes.as_mut_ptr().cast(), h);
                _mm512_storeu_si512(planes.as_mut_ptr().add(16).cast(), l);
            }
        }
    }
    let blocks = kv.chunks(KEYS * 2 * d).take(positions.div_ceil(KEYS));
    for (block, kv) in blocks.enumerate() {
        let first = block * KEYS;
        for (planes, s) in planes.chunks_exact(query_words).zip(s.chunks_mut(stride)) {
            let products = products(planes, kv, d);
            match s[first..positions].first_chunk_mut() {
                Some(s) => *s = products,
                None => s[first..positions].copy_from_slice(&products[..positions - first]),
            }
        }
    }
}

/// The products of one query with the keys of at most 8 positions; those beyond the last repeat it.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
#[inline]
fn products(planes: &[u32], kv: &[i16], d: usize) -> [i64; KEYS] {
    let last = kv.len() / (2 * d) - 1;
    let steps = planes.len() / 32;
    assert!(steps == d.div_ceil(WIDTH) && kv.len() >= 2 * d);
    let mut h = [_mm512_setzero_si512(); KEYS];
    let mut l = [_mm512_setzero_si512(); KEYS];
    for step in 0..steps {
        let mask = tail(d, step);
        // SAFETY: a step is 32 words of `planes`, two vectors; position j <= last has its key's d entries at
        // 2 * j * d in kv, and the mask covers those from 32 * step on.
        unsafe {
            let q = planes.as_ptr().add(step * 32);
            let (q_h, q_l) = (_mm512_loadu_si512(q.cast()), _mm512_loadu_si512(q.add(16).cast()));
            for j in 0..KEYS {
                let key = kv.as_ptr().add(j.min(last) * 2 * d + step * WIDTH);
                let key = _mm512_maskz_loadu_epi16(mask, key);
                h[j] = _mm512_dpwssd_epi32(h[j], key, q_h);
                l[j] = _mm512_dpwssd_epi32(l[j], key, q_l);
            }
        }
    }
    combine(h, l)
}

/// The entries of a row of `d` from `32 * step` on, `32 * step < d`.
#[inline(always)]
fn tail(d: usize, step: usize) -> u32 {
    let n = (d - step * WIDTH).min(WIDTH);
    ((1u64 << n) - 1) as u32
}

/// See `Kernels::weighted_values`.
#[inline(always)]
pub(super) fn weighted_values(_: Avx512, w: &[u32], stride: usize, kv: &[i16], d: usize, o: &mut [i64]) {
    // SAFETY: the token proves the features.
    unsafe { digit_values(w, stride, kv, d, o) }
}

/// Each weight is split into 4096 h + l, both in 0..=4096; digits of two positions meet the interleaved
/// values of these positions in 16-bit products.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn digit_values(w: &[u32], stride: usize, kv: &[i16], d: usize, o: &mut [i64]) {
    assert!(d > 0);
    let positions = kv.len() / (2 * d);
    let pairs = positions.div_ceil(2);
    let mut digits = scratch::weights(2 * pairs);
    let (h, l) = digits.split_at_mut(pairs);
    for (w, o) in w.chunks(stride).zip(o.chunks_exact_mut(d)) {
        rows::split_weights(&w[..positions], h, l);
        for (step, o) in o.chunks_mut(WIDTH).enumerate() {
            values_of(h, l, &kv[..positions * 2 * d], d, step, o);
        }
    }
}

/// Adds the weighted values of entries `32 * step..` of all positions to `o`, at most 32 entries.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
#[inline]
fn values_of(h: &[u32], l: &[u32], kv: &[i16], d: usize, step: usize, o: &mut [i64]) {
    let mask = tail(d, step);
    let mut wide = [_mm512_setzero_si512(); 4];
    let digits = h.chunks(VALUES / 2).zip(l.chunks(VALUES / 2));
    for (kv, (h, l)) in kv.chunks(VALUES * 2 * d).zip(digits) {
        let mut sums = [_mm512_setzero_si512(); 4];
        for (kv, (h, l)) in kv.chunks(4 * d).zip(h.iter().zip(l)) {
            // An absent second position repeats the first, with weight 0.
            let second = if kv.len() == 4 * d { 3 * d } else { d };
            assert!(kv.len() >= second + d);
            // SAFETY: the mask covers entries of values of d, which begin at d and at `second`.
            let (a, b) = unsafe {
                let kv = kv.as_ptr().add(step * WIDTH);
                (_mm512_maskz_loadu_epi16(mask, kv.add(d)), _mm512_maskz_loadu_epi16(mask, kv.add(second)))
            };
            let (low, high) = (_mm512_unpacklo_epi16(a, b), _mm512_unpackhi_epi16(a, b));
            let (w_h, w_l) = (_mm512_set1_epi32(*h as i32), _mm512_set1_epi32(*l as i32));
            sums[0] = _mm512_dpwssd_epi32(sums[0], low, w_h);
            sums[1] = _mm512_dpwssd_epi32(sums[1], low, w_l);
            sums[2] = _mm512_dpwssd_epi32(sums[2], high, w_h);
            sums[3] = _mm512_dpwssd_epi32(sums[3], high, w_l);
        }
        for half in 0..2 {
            let [h, l] = [sums[2 * half], sums[2 * half + 1]];
            wide[2 * half] = add_digits(wide[2 * half], _mm512_castsi512_si256(h), _mm512_castsi512_si256(l));
            wide[2 * half + 1] =
                add_digits(wide[2 * half + 1], _mm512_extracti64x4_epi64::<1>(h), _mm512_extracti64x4_epi64::<1>(l));
        }
    }
    let mut sums = [[0i64; 16]; 2];
    for (i, wide) in wide.into_iter().enumerate() {
        // SAFETY: 8 of the 16 entries from 8 * (i % 2) on.
        unsafe { _mm512_storeu_si512(sums[i / 2].as_mut_ptr().add(8 * (i % 2)).cast(), wide) };
    }
    // Interleaving works within 128 bits: of each eight entries, four are in `low` and four in `high`.
    for (i, o) in o.iter_mut().enumerate() {
        *o += sums[i % 8 / 4][i / 8 * 4 + i % 4];
    }
}

/// `sum + 4096 * h + l`.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
#[inline]
fn add_digits(sum: __m512i, h: __m256i, l: __m256i) -> __m512i {
    let h = _mm512_slli_epi64::<12>(_mm512_cvtepi32_epi64(h));
    _mm512_add_epi64(_mm512_add_epi64(sum, h), _mm512_cvtepi32_epi64(l))
}

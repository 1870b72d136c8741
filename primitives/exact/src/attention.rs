//! Section 7: attention of one query head over the cached keys and values of its kv head.
//!
//! Two passes, the exact maximum first: the result does not depend on tiles, pages, batches or threads.

use core::ops::Range;

use crate::prim::{inv, lut, max_of, rsh, sat32, softmax_weight, Reciprocal, ONE_Q24};
use crate::tables::S;

/// What the exponent of an attention output adds to that of the values: the output is `256 * sum / Z`.
pub const OUTPUT_EXPONENT: i32 = -8;

/// Keys and values of one kv head, by position.
pub trait KvHead {
    /// The key of `position`, `[D]`; empty if there is none.
    fn key(&self, position: usize) -> &[i16];
    /// The value of `position`, `[D]`; empty if there is none.
    fn value(&self, position: usize) -> &[i16];
}

/// Keys and values in two arrays, one row every `stride` entries: `[position, stride]`, of which the
/// first `head_dim` entries belong to this head. The slices start at the head's first entry.
#[derive(Clone, Copy, Debug)]
pub struct StridedKv<'a> {
    /// Keys.
    pub keys: &'a [i16],
    /// Values.
    pub values: &'a [i16],
    /// Entries from one position to the next.
    pub stride: usize,
    /// `D`.
    pub head_dim: usize,
}

impl KvHead for StridedKv<'_> {
    #[inline]
    fn key(&self, position: usize) -> &[i16] {
        row(self.keys, position, self.stride, 0, self.head_dim)
    }

    #[inline]
    fn value(&self, position: usize) -> &[i16] {
        row(self.values, position, self.stride, 0, self.head_dim)
    }
}

/// Keys and values in blocks of `block_len` positions, each block `[position, 2, D]`: the layout that the
/// kv commitment hashes, and that of a paged cache.
#[derive(Clone, Copy, Debug)]
pub struct BlockedKv<'a> {
    /// The blocks in order of position; only the last may be short.
    pub blocks: &'a [&'a [i16]],
    /// Positions per block.
    pub block_len: usize,
    /// `D`.
    pub head_dim: usize,
}

impl BlockedKv<'_> {
    #[inline]
    fn half(&self, position: usize, half: usize) -> &[i16] {
        let block_len = self.block_len.max(1);
        let block = self.blocks.get(position / block_len).copied().unwrap_or(&[]);
        row(block, position % block_len, 2 * self.head_dim, half * self.head_dim, self.head_dim)
    }
}

impl KvHead for BlockedKv<'_> {
    #[inline]
    fn key(&self, position: usize) -> &[i16] {
        self.half(position, 0)
    }

    #[inline]
    fn value(&self, position: usize) -> &[i16] {
        self.half(position, 1)
    }
}

#[inline]
fn row(data: &[i16], position: usize, stride: usize, offset: usize, len: usize) -> &[i16] {
    position
        .checked_mul(stride)
        .and_then(|at| at.checked_add(offset))
        .and_then(|at| data.get(at..at.checked_add(len)?))
        .unwrap_or(&[])
}

/// The static shifts of one query head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadScale {
    /// `c < 2^23`: scores to base-2 exponents.
    pub c: u32,
    /// `sigma_l`, `0..=62`.
    pub sigma_l: u32,
    /// Flag 7.
    pub soft_cap: Option<SoftCap>,
}

/// Soft-cap of attention scores, `cap * tanh(s / cap)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SoftCap {
    /// `c_0 < 2^23`.
    pub c: u32,
    /// `sigma_0`, `0..=62`.
    pub sigma: u32,
}

impl SoftCap {
    /// The capped score, `abs <= 2^24`.
    #[inline]
    pub fn apply(&self, s: i64) -> i64 {
        symmetric_gate(rsh(s.saturating_mul(i64::from(self.c)), self.sigma))
    }
}

/// `2 * lut(S, sat32(x)) - 2^24`: tanh(x / 2) in Q24, for the attention and the final soft-cap.
#[inline]
pub(crate) fn symmetric_gate(x: i64) -> i64 {
    i64::from(2 * lut(&S, sat32(x)) - ONE_Q24)
}

impl HeadScale {
    /// The score of one key from the exact product `q . k`.
    #[inline]
    pub fn score(&self, product: i64) -> i64 {
        match &self.soft_cap {
            None => product,
            Some(cap) => cap.apply(product),
        }
    }

    /// The softmax weight of one score, Q24.
    #[inline]
    pub fn weight(&self, max: i64, score: i64) -> u32 {
        softmax_weight(max, score, self.c, self.sigma_l)
    }
}

/// The keys of position `p` of a decoder: `j <= p`, with a `window > 0` also `j > p - window`.
pub const fn causal_keys(p: usize, window: u32) -> Range<usize> {
    let end = p.saturating_add(1);
    let start = if window == 0 { 0 } else { end.saturating_sub(window as usize) };
    start..end
}

/// The exact product of two 16-bit rows of at most 2^16 entries.
#[inline]
pub fn dot_i16(a: &[i16], b: &[i16]) -> i64 {
    debug_assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| i64::from(i32::from(*a) * i32::from(*b))).sum()
}

/// One entry of the output from the weighted sum of values and the reciprocal of the sum of weights.
#[inline]
pub const fn finish_attention(sum: i64, z: Reciprocal) -> i32 {
    sat32(rsh(rsh(sum, z.b.saturating_sub(16)).saturating_mul(z.r), 38))
}

/// One query head of one token.
///
/// Shapes: `q` and `out` `[D]`; `keys` the positions attended ([`causal_keys`], or all of an encoder's);
/// `scores` at least `keys.len()` entries, `sum` at least `D` entries of scratch. The output's exponent
/// is that of the values plus [`OUTPUT_EXPONENT`], `abs(out) <= 2^24`; the heads of a token are joined
/// and then requantized (section 4).
pub fn attend_head(
    q: &[i16],
    kv: &impl KvHead,
    keys: Range<usize>,
    scale: &HeadScale,
    scores: &mut [i64],
    sum: &mut [i64],
    out: &mut [i32],
) {
    debug_assert_eq!(q.len(), out.len());
    debug_assert!(scores.len() >= keys.len() && sum.len() >= out.len());
    let n = keys.len().min(scores.len());
    let scores = &mut scores[..n];
    for (score, j) in scores.iter_mut().zip(keys.clone()) {
        *score = scale.score(dot_i16(q, kv.key(j)));
    }
    let max = max_of(scores.iter().copied());
    let d = out.len().min(sum.len());
    let sum = &mut sum[..d];
    sum.fill(0);
    let mut z = 0u64;
    for (score, j) in scores.iter().zip(keys) {
        let weight = scale.weight(max, *score);
        if weight == 0 {
            continue;
        }
        z += u64::from(weight);
        for (sum, v) in sum.iter_mut().zip(kv.value(j)) {
            *sum += i64::from(weight) * i64::from(*v);
        }
    }
    let z = inv(z);
    for (out, sum) in out.iter_mut().zip(sum) {
        *out = finish_attention(*sum, z);
    }
}

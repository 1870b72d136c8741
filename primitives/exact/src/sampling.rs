//! Section 9: from logits to the next token id.

use core::cmp::Ordering;
use core::fmt;

use crate::attention::symmetric_gate;
use crate::hash::Hasher;
use crate::prim::{max_of, rsh, sat32, softmax_weight, LOG2E_Q16_MILLI};

/// `top_p` that keeps everything: 1 in Q16.
pub const TOP_P_OFF: u32 = 1 << 16;

const DRAW: u8 = 0x04;

/// How the next id is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sampling {
    /// Thousandths; 0 takes the first index of the largest logit.
    pub temperature: u16,
    /// How many ids are kept, 0 for all.
    pub top_k: u32,
    /// The probability mass that is kept, Q16, `1..=65536`; 65536 for all.
    pub top_p: u32,
    /// The job's seed.
    pub seed: [u8; 32],
}

impl Sampling {
    /// Greedy decoding.
    pub const GREEDY: Self = Self { temperature: 0, top_k: 0, top_p: TOP_P_OFF, seed: [0; 32] };

    /// Checks the one field that has values without a meaning.
    pub const fn validate(&self) -> Result<(), SamplingError> {
        if self.top_p == 0 || self.top_p > TOP_P_OFF {
            return Err(SamplingError::TopP(self.top_p));
        }
        Ok(())
    }
}

/// Parameters that have no semantics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SamplingError {
    /// `top_p` outside of `1..=65536`.
    TopP(u32),
}

impl fmt::Display for SamplingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TopP(v) => write!(f, "top_p is {v}; give 1..=65536, in units of 2^-16 (65536 keeps all)"),
        }
    }
}

impl core::error::Error for SamplingError {}

/// Soft-cap of the logits (flag 12), from the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FinalCap {
    /// `c_L < 2^23`.
    pub c: u32,
    /// `sigma_L`, `0..=62`.
    pub sigma: u32,
    /// `cap_L`, the cap in Q16, `< 2^23`.
    pub cap: u32,
}

impl FinalCap {
    /// `L'` of one logit. Never decreasing in `logit`.
    #[inline]
    pub fn apply(&self, logit: i32) -> i32 {
        let x = rsh(i64::from(logit).saturating_mul(i64::from(self.c)), self.sigma);
        sat32(rsh(symmetric_gate(x).saturating_mul(i64::from(self.cap)), 24))
    }
}

/// The first index of the largest logit; 0 for an empty row.
pub fn argmax(logits: &[i32]) -> u32 {
    let mut best = 0;
    for (i, l) in logits.iter().enumerate() {
        if *l > logits[best] {
            best = i;
        }
    }
    best as u32
}

/// `floor((94548462 + floor(t / 2)) / t)`, the softmax scale of a temperature `t >= 1` in thousandths.
#[inline]
pub const fn temperature_scale(t: u16) -> u32 {
    let t = if t == 0 { 1 } else { t as u32 };
    (LOG2E_Q16_MILLI + (t >> 1)) / t
}

/// `floor(x * z / 2^64)` by 32-bit limbs.
#[inline]
pub const fn mul_high(x: u64, z: u64) -> u64 {
    const LOW: u64 = u32::MAX as u64;
    let (xh, xl, zh, zl) = (x >> 32, x & LOW, z >> 32, z & LOW);
    let low = xl * zl;
    // Each sum stays below 2^64: (2^32 - 1)^2 + 2 * (2^32 - 1) = 2^64 - 1.
    let mid = xh * zl + (low >> 32);
    let cross = xl * zh + (mid & LOW);
    xh * zh + (mid >> 32) + (cross >> 32)
}

/// Draws the id of position `next` (`p + 1`) from the logits of position `p`.
///
/// Shapes: `logits` `[vocab]`, uncapped, i32 Q16; `order` `[vocab]` of scratch, used if `top_k` or
/// `top_p` cuts. An empty row gives 0. Linear in the vocabulary: the cut is found by selection, not by
/// sorting, and the draw walks the ids in order.
pub fn draw<H: Hasher>(
    logits: &[i32],
    cap: Option<&FinalCap>,
    sampling: &Sampling,
    next: u32,
    order: &mut [u32],
) -> u32 {
    if sampling.temperature == 0 || logits.is_empty() {
        return argmax(logits);
    }
    let capped = |l: i32| i64::from(cap.map_or(l, |c| c.apply(l)));
    let max = max_of(logits.iter().map(|l| capped(*l)));
    let c = temperature_scale(sampling.temperature);
    let weights = Weights { logits, weight: |l| u64::from(softmax_weight(max, capped(l), c, 16)) };

    let (last, z) = weights.cut(sampling, order);
    let r = mul_high(first_word::<H>(sampling, next), z);
    weights.nth(last, r)
}

/// `X`: the first 8 bytes of `H(0x04 ‖ seed ‖ next)`.
fn first_word<H: Hasher>(sampling: &Sampling, next: u32) -> u64 {
    let digest = H::digest(&[&[DRAW], &sampling.seed, &next.to_le_bytes()]);
    digest.iter().take(8).rev().fold(0, |x, b| (x << 8) | u64::from(*b))
}

/// The weighted vocabulary of one position.
struct Weights<'a, W> {
    logits: &'a [i32],
    weight: W,
}

impl<W: Fn(i32) -> u64> Weights<'_, W> {
    /// (logit descending, id ascending); by the uncapped logit, which the cap may make ties of.
    fn compare(&self, a: u32, b: u32) -> Ordering {
        self.logits[b as usize].cmp(&self.logits[a as usize]).then(a.cmp(&b))
    }

    fn sum(&self, ids: &[u32]) -> u64 {
        ids.iter().map(|id| (self.weight)(self.logits[*id as usize])).sum()
    }

    /// The last id kept by `top_k` and `top_p` (`None` if nothing is cut) and the sum of the kept weights.
    fn cut(&self, sampling: &Sampling, order: &mut [u32]) -> (Option<u32>, u64) {
        let vocab = self.logits.len();
        let keep = match usize::try_from(sampling.top_k) {
            Ok(k) if k != 0 && k < vocab => k,
            _ => vocab,
        };
        let all_mass = sampling.top_p >= TOP_P_OFF;
        if keep == vocab && all_mass {
            return (None, self.logits.iter().map(|l| (self.weight)(*l)).sum());
        }
        debug_assert!(order.len() >= vocab, "the scratch must hold the vocabulary");
        let n = order.len().min(vocab);
        let order = &mut order[..n];
        for (id, slot) in (0u32..).zip(order.iter_mut()) {
            *slot = id;
        }
        let keep = keep.min(n);
        if keep < n {
            order.select_nth_unstable_by(keep - 1, |a, b| self.compare(*a, *b));
        }
        let order = &mut order[..keep];
        let z = self.sum(order);
        let (keep, z) = if all_mass { (keep, z) } else { self.prefix_of_mass(order, sampling.top_p, z) };
        // The last one in order of the kept; what selection left before it is in no order.
        let last = order[..keep].iter().copied().max_by(|a, b| self.compare(*a, *b));
        (last, z)
    }

    /// The shortest non-empty prefix (in order) whose weights times 2^16 reach `top_p * z`: its length
    /// and its sum. Leaves the prefix at the front of `order`.
    ///
    /// Bisection by selection: `order[..low]`, of sum `below`, does not reach the mass; `order[..high]`
    /// does.
    fn prefix_of_mass(&self, order: &mut [u32], top_p: u32, z: u64) -> (usize, u64) {
        let target = z.saturating_mul(u64::from(top_p));
        let (mut low, mut high, mut below) = (0, order.len(), 0u64);
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            order[low..high].select_nth_unstable_by(middle - low, |a, b| self.compare(*a, *b));
            let sum = below + self.sum(&order[low..middle]);
            if sum << 16 >= target {
                high = middle;
            } else {
                (low, below) = (middle, sum);
            }
        }
        (high, below + self.sum(&order[low..high]))
    }

    /// The first kept id, ids ascending, whose cumulative weight exceeds `r`.
    fn nth(&self, last: Option<u32>, r: u64) -> u32 {
        let mut cumulative = 0u64;
        let kept = |id: u32| last.is_none_or(|last| self.compare(id, last) != Ordering::Greater);
        for (id, logit) in (0u32..).zip(self.logits) {
            if kept(id) {
                cumulative += (self.weight)(*logit);
                if cumulative > r {
                    return id;
                }
            }
        }
        // r < z, the sum of the kept: the loop has returned. An order shorter than the vocabulary ends here.
        argmax(self.logits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ids 0..6 of weights 2, 0, 1, 1, 0, 3: small enough to meet every boundary of the cumulative sum,
    /// which random bits practically never do.
    const SMALL: [i32; 6] = [2, 0, 1, 1, 0, 3];

    fn small() -> Weights<'static, impl Fn(i32) -> u64> {
        Weights { logits: &SMALL, weight: |l| l as u64 }
    }

    #[test]
    fn nth_at_each_boundary_takes_the_id_that_exceeds_it() {
        let drawn = [0, 1, 2, 3, 4, 5, 6].map(|r| small().nth(None, r));
        assert_eq!(drawn, [0, 0, 2, 3, 5, 5, 5]);
        // Cut after id 2: the order is 5, 0, 2, 3, 1, 4, so that 3 is out.
        let drawn = [0, 1, 2, 3, 5].map(|r| small().nth(Some(2), r));
        assert_eq!(drawn, [0, 0, 2, 5, 5]);
    }

    #[test]
    fn cut_at_each_mass_keeps_the_shortest_prefix() {
        // Prefix sums in order: 3 (id 5), 5 (id 0), 6 (id 2), 7 (id 3), then nothing more.
        let sampling = |top_p| Sampling { temperature: 1, top_p, ..Sampling::GREEDY };
        let exactly = |sum: u32| (sum << 16).div_ceil(7);
        let mut order = [0; 6];
        for (top_p, expected) in [
            (1, (Some(5), 3)),
            (exactly(3) - 1, (Some(5), 3)),
            (exactly(3), (Some(0), 5)),
            (exactly(5) - 1, (Some(0), 5)),
            (exactly(5), (Some(2), 6)),
            (exactly(6), (Some(3), 7)),
            (TOP_P_OFF - 1, (Some(3), 7)),
            (TOP_P_OFF, (None, 7)),
        ] {
            assert_eq!(small().cut(&sampling(top_p), &mut order), expected, "top_p {top_p}");
        }
    }
}

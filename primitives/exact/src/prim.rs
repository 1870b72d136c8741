//! Section 1: rounding, saturation, roots, exponentials, gates, softmax, and the normalising scale.
//!
//! Each function states the range in which it is exact. Outside of that range it still returns (it
//! saturates or clamps), but no well-formed package leads there.

use crate::tables::{GateTable, T1, T2};

/// One in Q24: the value of a weight or gate of exactly 1.
pub const ONE_Q24: i32 = 1 << 24;

/// `rha(log2(e) * 2^16)`: the scale by which Q16 logits become base-2 exponents in Q16 after a shift by 16.
pub const LOG2E_Q16: u32 = 94_548;

/// The same constant times 1000, for a temperature in thousandths.
pub const LOG2E_Q16_MILLI: u32 = 94_548_462;

/// Largest exponent that softmax hands to [`exp2neg`], Q16: everything beyond 25 is zero anyway.
pub const MAX_EXPONENT: i64 = 40 << 16;

/// `a / 2^s`, rounded half up. Exact for every `a`; 0 from `s = 63` on.
#[inline]
pub const fn rsh(a: i64, s: u32) -> i64 {
    match s {
        0 => a,
        // floor((a + 2^(s-1)) / 2^s) without the sum, which could overflow.
        1..=62 => (a >> s) + ((a >> (s - 1)) & 1),
        _ => 0,
    }
}

/// Clamps to the range of an i32.
#[inline]
pub const fn sat32(a: i64) -> i32 {
    if a > i32::MAX as i64 {
        i32::MAX
    } else if a < i32::MIN as i64 {
        i32::MIN
    } else {
        a as i32
    }
}

/// Clamps to `[-32767, 32767]`. Symmetric, because the pairwise product of SIMD kernels wraps on four
/// times -32768.
#[inline]
pub const fn sat16(a: i64) -> i16 {
    if a > 32767 {
        32767
    } else if a < -32767 {
        -32767
    } else {
        a as i16
    }
}

/// `sat32(a * m * 2^-s)`, rounded half up where `s > 0`.
///
/// Exact for `abs(a) <= 2^38`, `m < 2^24` and every `s`; the product saturates beyond.
#[inline]
pub const fn scale32(a: i64, m: u32, s: i32) -> i32 {
    let product = a.saturating_mul(m as i64);
    if s >= 0 {
        return sat32(rsh(product, s.unsigned_abs()));
    }
    // 2^32 takes every non-zero product past the clamp, so a larger shift says nothing new.
    let shift = s.unsigned_abs();
    let shift = if shift > 32 { 32 } else { shift };
    sat32(product.saturating_mul(1 << shift))
}

/// Bit length: the number of bits up to the highest one set; `bl(0) = 0`.
#[inline]
pub const fn bl(u: u64) -> u32 {
    u64::BITS - u.leading_zeros()
}

/// `floor(sqrt(u))`.
#[inline]
pub const fn isqrt(u: u64) -> u64 {
    u.isqrt()
}

/// `2^-u` for `u` in Q16; the result is Q24, in `[0, 2^24]`.
#[inline]
pub fn exp2neg(u: u32) -> u32 {
    let whole = u >> 16;
    if whole >= 25 {
        return 0;
    }
    let upper = T1[((u >> 8) & 255) as usize] as i64;
    let lower = T2[(u & 255) as usize] as i64;
    rsh(upper * lower, 38 + whole) as u32
}

/// The gate `table` at `g` (Q16), linear between the samples; the result is Q24, in `[0, 2^24]`.
///
/// The three gates satisfy `f(-x) = 1 - f(x)`, so that a table holds the positive half.
#[inline]
pub fn lut(table: &GateTable, g: i32) -> i32 {
    let a = g.unsigned_abs().min((1 << 20) - 1);
    let i = (a >> 10) as usize;
    let (low, high) = (table[i] as i64, table[i + 1] as i64);
    let v = (low + rsh((high - low) * (a & 1023) as i64, 10)) as i32;
    if g < 0 {
        ONE_Q24 - v
    } else {
        v
    }
}

/// The reciprocal of an integer: `1/Z ~ r * 2^-(30 + b)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reciprocal {
    /// `R` in `[2^30, 2^31]`.
    pub r: i64,
    /// `B`, the bit length of `Z`.
    pub b: u32,
}

/// The reciprocal of `z >= 1` to 31 bits; 0, which no sum of softmax weights can be, is taken as 1.
#[inline]
pub const fn inv(z: u64) -> Reciprocal {
    let z = if z == 0 { 1 } else { z };
    let b = bl(z);
    let normalised = if b >= 32 { z >> (b - 32) } else { z << (32 - b) };
    Reciprocal { r: ((1u64 << 62) / normalised) as i64, b }
}

/// One weight of a softmax: `2^-((max - s) * c * 2^-r)`, Q24.
///
/// `max` is the exact maximum of the row. Exact for `(max - s) * c < 2^62`.
#[inline]
pub fn softmax_weight(max: i64, s: i64, c: u32, r: u32) -> u32 {
    let distance = max.saturating_sub(s).max(0);
    exp2neg(rsh(distance.saturating_mul(c as i64), r).min(MAX_EXPONENT) as u32)
}

/// Softmax in two passes: the exact maximum, then every weight. Returns the sum of the weights.
///
/// Shapes: `scores` and `weights` have equal lengths. Weights are Q24 and not normalised; the entry at
/// the maximum is 2^24, so that the sum of a row that is not empty is at least 2^24.
pub fn softmax<S: Copy + Into<i64>>(scores: &[S], c: u32, r: u32, weights: &mut [u32]) -> u64 {
    debug_assert_eq!(scores.len(), weights.len());
    let max = max_of(scores.iter().map(|s| (*s).into()));
    let mut z = 0u64;
    for (s, w) in scores.iter().zip(weights.iter_mut()) {
        *w = softmax_weight(max, (*s).into(), c, r);
        z = z.saturating_add(u64::from(*w));
    }
    z
}

/// The maximum, `i64::MIN` for an empty row.
#[inline]
pub(crate) fn max_of(values: impl Iterator<Item = i64>) -> i64 {
    values.fold(i64::MIN, i64::max)
}

/// The largest absolute value, 0 for an empty row.
#[inline]
pub(crate) fn max_abs(values: impl Iterator<Item = i64>) -> u64 {
    values.fold(0, |m, v| m.max(v.unsigned_abs()))
}

/// The term `m * 2^-k` that keeps a norm's denominator away from zero, in squared units of its input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Eps {
    /// Mantissa, `< 2^24`.
    pub m: u32,
    /// Exponent, `-256..=256`.
    pub k: i32,
}

impl Eps {
    /// No epsilon.
    pub const ZERO: Self = Self { m: 0, k: 0 };

    /// `E(s)`: the term after the input was shifted right by `s`; at most 2^60.
    #[inline]
    pub const fn at_shift(self, s: u32) -> u64 {
        const CAP: u64 = 1 << 60;
        let n = self.k.saturating_add_unsigned(s.saturating_mul(2));
        if n >= 0 {
            return rsh(self.m as i64, n.unsigned_abs()) as u64;
        }
        if self.m == 0 {
            return 0;
        }
        let left = n.unsigned_abs();
        if left >= 60 {
            return CAP;
        }
        // m < 2^32 and left < 60: the comparison in place of the product keeps the shift from overflowing.
        if self.m as u64 > CAP >> left {
            CAP
        } else {
            (self.m as u64) << left
        }
    }
}

/// The factor that brings a row to unit length: `t_i = rsh(rsh(c_i, s) * r, shift)`, in Q30.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnitScale {
    /// Bits dropped from each input before squaring.
    pub s: u32,
    /// `R` in `[2^30, 2^31]`.
    pub r: i64,
    /// Bits dropped from each product, `1..=31`.
    pub shift: u32,
}

impl UnitScale {
    /// Of the entries that `values` yields, each `abs <= 2^48`, at most 2^14 of them.
    ///
    /// The iterator is run twice: the exact maximum, then the sum of squares.
    pub fn of(values: impl Iterator<Item = i64> + Clone, eps: Eps) -> Self {
        let s = bl(max_abs(values.clone())).saturating_sub(23);
        let squares = values.fold(0u64, |sum, c| {
            let x = rsh(c, s).unsigned_abs();
            sum.saturating_add(x * x)
        });
        Self::from_sum(s, squares, eps)
    }

    /// From the shift `s` and the exact sum of the squares of the shifted entries: the part that every
    /// kernel shares, whatever the order in which it summed.
    pub fn from_sum(s: u32, squares: u64, eps: Eps) -> Self {
        let v = squares.saturating_add(eps.at_shift(s)).clamp(1, 1 << 61);
        let half_z = (62 - bl(v)) / 2;
        let root = isqrt(v << (2 * half_z));
        Self { s, r: ((1u64 << 61) / root) as i64, shift: 31 - half_z }
    }

    /// One entry of the unit row, Q30, `abs <= 2^30`.
    #[inline]
    pub const fn apply(&self, c: i64) -> i32 {
        sat32(rsh(rsh(c, self.s).saturating_mul(self.r), self.shift))
    }
}

/// `c / sqrt(sum c^2 + eps)`, Q30. Shapes: `c` and `t` have equal lengths.
pub fn unit<C: Copy + Into<i64>>(c: &[C], eps: Eps, t: &mut [i32]) {
    debug_assert_eq!(c.len(), t.len());
    let scale = UnitScale::of(c.iter().map(|v| (*v).into()), eps);
    for (c, t) in c.iter().zip(t) {
        *t = scale.apply((*c).into());
    }
}

//! Section 5: RMS norm and LayerNorm of i32 rows, to A15 or back to a fixed point.

use crate::prim::{rsh, sat32, Eps, UnitScale};
use crate::requantize::requantize_iter;

/// One norm of a package. The input's fixed point is absorbed by `eps` and `gain`.
#[derive(Clone, Copy, Debug)]
pub struct Norm<'a> {
    /// Fraction bits of `gain` and `bias`, `0..=30`.
    pub f_g: u32,
    /// Added to the sum of squares.
    pub eps: Eps,
    /// `gamma * sqrt(n)`, Q`f_g`, one per entry.
    pub gain: &'a [i32],
    /// `None`: RMS norm. `Some`: LayerNorm, which centres the row and adds this, Q`f_g`.
    pub bias: Option<&'a [i32]>,
}

/// What one row needs before its entries are independent: its mean (LayerNorm) and its scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowNorm {
    /// `n` for LayerNorm, 1 for RMS.
    pub multiplier: i64,
    /// Sum of the row for LayerNorm, 0 for RMS.
    pub sum: i64,
    /// The factor to unit length.
    pub scale: UnitScale,
}

impl RowNorm {
    /// The entry before normalising: `n * h - sum h`, or `h`.
    #[inline]
    pub const fn centre(&self, h: i32) -> i64 {
        (h as i64).saturating_mul(self.multiplier).saturating_sub(self.sum)
    }
}

impl Norm<'_> {
    /// The statistics of the row `h`, at most 2^14 entries.
    pub fn statistics(&self, h: &[i32]) -> RowNorm {
        let (multiplier, sum) = match self.bias {
            None => (1, 0),
            Some(_) => (h.len() as i64, h.iter().map(|v| i64::from(*v)).sum()),
        };
        let mut row = RowNorm { multiplier, sum, scale: UnitScale::from_sum(0, 0, Eps::ZERO) };
        row.scale = UnitScale::of(h.iter().map(|v| row.centre(*v)), self.eps);
        row
    }

    /// Entry `i` of the normalised row in Q`30 + f_g`, `abs <= 2^62`.
    #[inline]
    pub fn entry(&self, row: &RowNorm, i: usize, h: i32) -> i64 {
        let gain = self.gain.get(i).copied().unwrap_or(0);
        let bias = self.bias.and_then(|b| b.get(i)).copied().unwrap_or(0);
        i64::from(row.scale.apply(row.centre(h))) * i64::from(gain) + i64::from(bias) * (1 << 30)
    }

    /// `A15(norm)`: the normalised row as a linear input. Returns its exponent.
    ///
    /// Shapes: `h`, `q`, `gain` and `bias` have equal lengths.
    pub fn a15(&self, h: &[i32], q: &mut [i16]) -> i32 {
        self.check(h.len(), q.len());
        let row = self.statistics(h);
        let entries = h.iter().enumerate().map(|(i, h)| self.entry(&row, i, *h));
        requantize_iter(entries, 0i32.saturating_sub_unsigned(30u32.saturating_add(self.f_g)), q)
    }

    /// `to(F, norm)`: the normalised row in Q`f`. Shapes as in [`Self::a15`].
    pub fn to(&self, f: u32, h: &[i32], out: &mut [i32]) {
        self.check(h.len(), out.len());
        let row = self.statistics(h);
        for (i, (h, out)) in h.iter().zip(out).enumerate() {
            *out = self.rounded(&row, f, i, *h);
        }
    }

    /// [`Self::to`] in place.
    pub fn to_in_place(&self, f: u32, h: &mut [i32]) {
        self.check(h.len(), h.len());
        let row = self.statistics(h);
        for (i, h) in h.iter_mut().enumerate() {
            *h = self.rounded(&row, f, i, *h);
        }
    }

    /// QK-norm: `to(16)` in place on each head's entries of a token; `heads` is `[n, gain.len()]`.
    pub fn to_heads(&self, heads: &mut [i32]) {
        for head in heads.chunks_mut(self.gain.len().max(1)) {
            self.to_in_place(16, head);
        }
    }

    #[inline]
    fn rounded(&self, row: &RowNorm, f: u32, i: usize, h: i32) -> i32 {
        sat32(rsh(self.entry(row, i, h), (30u32.saturating_add(self.f_g)).saturating_sub(f)))
    }

    #[inline]
    fn check(&self, input: usize, output: usize) {
        debug_assert_eq!(input, output);
        debug_assert_eq!(input, self.gain.len());
        debug_assert!(self.bias.is_none_or(|b| b.len() == input));
    }
}

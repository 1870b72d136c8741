//! Section 3: the linear layer, int8 weights times A15 activations.

use crate::prim::{sat16, sat32, scale32};

/// Products per i32 partial sum in [`dot_i8_i16`]: `256 * 2^7 * 2^15 = 2^30`, so that no pair of inputs,
/// A15 or not, wraps.
const CHUNK: usize = 256;

/// A row scale: the real number `m * 2^-k`, packed as `m + 2^24 * k`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowScale {
    /// Mantissa, `< 2^24`.
    pub m: u32,
    /// Exponent, `0..=255`.
    pub k: i32,
}

impl RowScale {
    /// Splits the packed form.
    #[inline]
    pub const fn unpack(packed: u32) -> Self {
        Self { m: packed & 0x00ff_ffff, k: (packed >> 24) as i32 }
    }

    /// The packed form; the bits of `m` and `k` beyond 24 and 8 are dropped.
    #[inline]
    pub const fn pack(self) -> u32 {
        (self.m & 0x00ff_ffff) | ((self.k as u32 & 0xff) << 24)
    }
}

/// `sum w_j * q_j`, exact for every input of at most 2^17 entries. Shapes: equal lengths.
#[inline]
pub fn dot_i8_i16(w: &[i8], q: &[i16]) -> i64 {
    debug_assert_eq!(w.len(), q.len());
    w.chunks(CHUNK)
        .zip(q.chunks(CHUNK))
        .map(|(w, q)| {
            // Never wraps (see CHUNK); `wrapping_add` lets the compiler vectorise under overflow checks.
            let sum = w.iter().zip(q).fold(0i32, |sum, (w, q)| sum.wrapping_add(i32::from(*w) * i32::from(*q)));
            i64::from(sum)
        })
        .sum()
}

/// The epilogue of one row: scale, round, add the bias, saturate. The output is Q`f_out`.
///
/// `acc` is the exact dot product, `scale` the packed [`RowScale`], `bias` Q`f_out` (0 if none), `e_x`
/// the exponent of the input row. Every kernel ends in this function.
#[inline]
pub const fn finish_linear(acc: i64, scale: u32, bias: i32, e_x: i32, f_out: i32) -> i32 {
    let RowScale { m, k } = RowScale::unpack(scale);
    let shift = k.saturating_sub(e_x).saturating_sub(f_out);
    sat32(scale32(acc, m, shift) as i64 + bias as i64)
}

/// One token row through a linear layer.
///
/// Shapes: `w` row-major `[out, in]`, `scales` and `y` `[out]`, `bias` `[out]` if any, `q` `[in]`.
/// `q` is A15 with exponent `e_x`; `y` is Q`f_out`.
pub fn linear_row(w: &[i8], scales: &[u32], bias: Option<&[i32]>, q: &[i16], e_x: i32, f_out: i32, y: &mut [i32]) {
    debug_assert_eq!(w.len(), scales.len() * q.len());
    debug_assert_eq!(scales.len(), y.len());
    debug_assert!(bias.is_none_or(|b| b.len() == y.len()));
    if q.is_empty() {
        // An empty sum; `chunks_exact` would refuse a width of zero.
        for (i, (y, scale)) in y.iter_mut().zip(scales).enumerate() {
            *y = finish_linear(0, *scale, bias_at(bias, i), e_x, f_out);
        }
        return;
    }
    let rows = w.chunks_exact(q.len()).zip(scales);
    for (i, (y, (row, scale))) in y.iter_mut().zip(rows).enumerate() {
        *y = finish_linear(dot_i8_i16(row, q), *scale, bias_at(bias, i), e_x, f_out);
    }
}

#[inline]
fn bias_at(bias: Option<&[i32]>, i: usize) -> i32 {
    bias.and_then(|b| b.get(i)).copied().unwrap_or(0)
}

/// The values of a layer from its v projection (`F_out = -e_v`). Shapes: equal lengths.
pub fn saturate_row(y: &[i32], v: &mut [i16]) {
    debug_assert_eq!(y.len(), v.len());
    for (y, v) in y.iter().zip(v) {
        *v = sat16(i64::from(*y));
    }
}

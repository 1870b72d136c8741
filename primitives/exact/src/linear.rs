//! Section 3: the linear layer, int8 weights (or two planes of them) times A15 activations.

use crate::prim::{rsh, sat16, sat32, scale32};

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

/// Bits of a weight in the second plane: the weight is `W + W' / 2^7`.
pub const SECOND_PLANE_BITS: u32 = 7;

/// The weights of consecutive rows, row-major, borrowed from a package: i8, any value.
#[derive(Clone, Copy, Debug)]
pub struct Planes<'a> {
    /// `W`.
    pub first: &'a [i8],
    /// `W'`, of the same shape, in a model with flag 13.
    pub second: Option<&'a [i8]>,
}

impl<'a> Planes<'a> {
    /// The entries before `at` and the others.
    #[inline]
    pub fn split_at(self, at: usize) -> (Self, Self) {
        let (first, first_rest) = self.first.split_at(at);
        match self.second.map(|second| second.split_at(at)) {
            Some((second, rest)) => {
                (Self { first, second: Some(second) }, Self { first: first_rest, second: Some(rest) })
            }
            None => (first.into(), first_rest.into()),
        }
    }
}

/// One plane.
impl<'a> From<&'a [i8]> for Planes<'a> {
    #[inline]
    fn from(first: &'a [i8]) -> Self {
        Self { first, second: None }
    }
}

/// The sum over both planes from the sum over each; of one plane, `second` is 0.
#[inline]
pub const fn join_planes(first: i64, second: i64) -> i64 {
    first.saturating_add(rsh(second, SECOND_PLANE_BITS))
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
/// `acc` is the exact dot product (of two planes, [`join_planes`]), `scale` the packed [`RowScale`], `bias` Q`f_out` (0 if none), `e_x`
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
pub fn linear_row(w: Planes<'_>, scales: &[u32], bias: Option<&[i32]>, q: &[i16], e_x: i32, f_out: i32, y: &mut [i32]) {
    debug_assert_eq!(w.first.len(), scales.len() * q.len());
    debug_assert!(w.second.is_none_or(|second| second.len() == w.first.len()));
    debug_assert_eq!(scales.len(), y.len());
    debug_assert!(bias.is_none_or(|b| b.len() == y.len()));
    if q.is_empty() {
        // An empty sum; `chunks_exact` would refuse a width of zero.
        for (i, (y, scale)) in y.iter_mut().zip(scales).enumerate() {
            *y = finish_linear(0, *scale, bias_at(bias, i), e_x, f_out);
        }
        return;
    }
    let rows = w.first.chunks_exact(q.len()).zip(scales);
    let mut second = w.second.map(|second| second.chunks_exact(q.len()));
    for (i, (y, (row, scale))) in y.iter_mut().zip(rows).enumerate() {
        let second = second.as_mut().and_then(Iterator::next).map_or(0, |row| dot_i8_i16(row, q));
        let acc = join_planes(dot_i8_i16(row, q), second);
        *y = finish_linear(acc, *scale, bias_at(bias, i), e_x, f_out);
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

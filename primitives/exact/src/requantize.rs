//! Section 4: a row of wide integers to A15, 15-bit activations under one exponent.

use crate::prim::{bl, max_abs, rsh};

/// The bits to drop so that a row whose largest absolute value is `max` fits A15.
#[inline]
pub const fn shift_for(max: u64) -> u32 {
    bl(max).saturating_sub(14)
}

/// One entry of a row shifted by [`shift_for`] its maximum: `abs <= 2^14`.
#[inline]
pub const fn quantize(y: i64, shift: u32) -> i16 {
    rsh(y, shift) as i16
}

/// Requantizes a row of `y * 2^exponent` into `q` and returns the exponent of `q`.
///
/// Exact for every i64. Shapes: equal lengths. A row of zeros keeps `exponent`.
pub fn requantize(y: &[i64], exponent: i32, q: &mut [i16]) -> i32 {
    debug_assert_eq!(y.len(), q.len());
    requantize_iter(y.iter().copied(), exponent, q)
}

/// [`requantize`] of i32 rows: attention outputs, and the residual stream where norms come last.
pub fn requantize_i32(y: &[i32], exponent: i32, q: &mut [i16]) -> i32 {
    debug_assert_eq!(y.len(), q.len());
    requantize_iter(y.iter().map(|v| i64::from(*v)), exponent, q)
}

/// [`requantize`] of a row computed on the fly; `y` is run twice.
#[inline]
pub fn requantize_iter(y: impl Iterator<Item = i64> + Clone, exponent: i32, q: &mut [i16]) -> i32 {
    let shift = shift_for(max_abs(y.clone()));
    for (q, y) in q.iter_mut().zip(y) {
        *q = quantize(y, shift);
    }
    exponent.saturating_add_unsigned(shift)
}

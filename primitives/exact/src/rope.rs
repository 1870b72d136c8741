//! Section 6: rotary position embedding of one head, i32 Q16 to i16 with a static exponent.

use crate::prim::{rsh, sat16};

/// Rotates one head and brings it to 16 bits.
///
/// Shapes: `x` and `out` `[D]` (Q16 and i16); `row` the position's row of the rope table, `[rot / 2]`
/// pairs `c, s` in Q30, flattened; empty in a layer without rotation. Entry `i < rot / 2` is paired with
/// entry `i + rot / 2`; the entries from `rot` on are only rescaled. `sigma` is the head's static shift,
/// `0..=62`.
pub fn rope_head(x: &[i32], row: &[i32], sigma: u32, out: &mut [i16]) {
    debug_assert_eq!(x.len(), out.len());
    debug_assert!(row.len() <= x.len() && row.len().is_multiple_of(2));
    let rot = row.len().min(x.len()).min(out.len()) & !1;
    let half = rot / 2;
    let (x_rot, x_rest) = x.split_at(rot);
    let (out_rot, out_rest) = out.split_at_mut(rot);
    let (xa, xb) = x_rot.split_at(half);
    let (out_a, out_b) = out_rot.split_at_mut(half);
    let inputs = xa.iter().zip(xb).zip(row.chunks_exact(2));
    for ((out_a, out_b), ((a, b), cs)) in out_a.iter_mut().zip(out_b).zip(inputs) {
        (*out_a, *out_b) = rotate(*a, *b, cs[0], cs[1], sigma);
    }
    for (x, out) in x_rest.iter().zip(out_rest) {
        *out = rescale(*x, sigma);
    }
}

/// One pair: `(a, b) -> (a*c - b*s, a*s + b*c)`, shifted by `sigma` and saturated. Exact for
/// `abs(c), abs(s) <= 2^30`.
#[inline]
pub const fn rotate(a: i32, b: i32, c: i32, s: i32, sigma: u32) -> (i16, i16) {
    let (a, b, c, s) = (a as i64, b as i64, c as i64, s as i64);
    (sat16(rsh((a * c).saturating_sub(b * s), sigma)), sat16(rsh((a * s).saturating_add(b * c), sigma)))
}

/// One entry that is not rotated.
#[inline]
pub const fn rescale(a: i32, sigma: u32) -> i16 {
    sat16(rsh((a as i64) << 30, sigma))
}

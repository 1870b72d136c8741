//! Sections 4 to 8 over vectors of i64. Every loop runs over whole vectors and leaves the last entries to
//! the scalar function of `assay-exact`, so that the two forms of each op stand side by side.
//!
//! The functions are inlined into the entry points of each backend, which carry the target features. Vectors
//! are kept out of closures: a closure is a function of its own, and without the features.

use assay_exact::{
    linear::{finish_linear, RowScale},
    mlp::{gated_entry, ungated_entry, Activation, GATED_EXPONENT, UNGATED_EXPONENT},
    norm::{Norm, RowNorm},
    prim::{bl, rsh, sat32, softmax_weight, Eps, UnitScale, MAX_EXPONENT, ONE_Q24},
    requantize::{quantize, shift_for},
    rope::{rescale, rotate},
    tables::{GateTable, T1, T2},
};

use super::lanes::Lanes;

/// An exponent from which `exp2neg` is 0, Q16.
const VANISHED: i64 = 25 << 16;

/// Section 4.
#[inline(always)]
pub(super) fn requantize<L: Lanes>(l: L, y: &[i64], exponent: i32, q: &mut [i16]) -> i32 {
    debug_assert_eq!(y.len(), q.len());
    let mut bits = l.splat(0);
    let mut chunks = y.chunks_exact(L::N);
    for y in &mut chunks {
        bits = l.or(bits, l.abs(l.load(y)));
    }
    let rest = chunks.remainder().iter().fold(0, |bits, y| bits | y.unsigned_abs());
    quantize_row(l, y, or_lanes(l, bits) | rest, exponent, q)
}

/// The second pass of section 4. `bits` is the bitwise or of the absolute values, which has the bit length
/// of their maximum.
#[inline(always)]
fn quantize_row<L: Lanes>(l: L, y: &[i64], bits: u64, exponent: i32, q: &mut [i16]) -> i32 {
    let shift = shift_for(bits);
    let mut ys = y.chunks_exact(L::N);
    let mut qs = q.chunks_exact_mut(L::N);
    for (y, q) in (&mut ys).zip(&mut qs) {
        l.store_i16(l.rsh(l.load(y), shift), q);
    }
    for (y, q) in ys.remainder().iter().zip(qs.into_remainder()) {
        *q = quantize(*y, shift);
    }
    exponent.saturating_add_unsigned(shift)
}

#[inline(always)]
fn or_lanes<L: Lanes>(l: L, v: L::V) -> u64 {
    l.to_array(v).iter().fold(0, |bits, lane| bits | *lane as u64)
}

/// Section 5, `A15(norm)`.
#[inline(always)]
pub(super) fn norm_a15<L: Lanes>(l: L, norm: &Norm<'_>, h: &[i32], wide: &mut [i64], q: &mut [i16]) -> i32 {
    let wide = &mut wide[..h.len()];
    let bits = normalise(l, norm, h, wide);
    let exponent = 0i32.saturating_sub_unsigned(30u32.saturating_add(norm.f_g));
    quantize_row(l, wide, bits, exponent, q)
}

/// Section 5, `to(f, norm)`.
#[inline(always)]
pub(super) fn norm_to<L: Lanes>(l: L, norm: &Norm<'_>, f: u32, h: &[i32], wide: &mut [i64], out: &mut [i32]) {
    let wide = &mut wide[..h.len()];
    normalise(l, norm, h, wide);
    let shift = 30u32.saturating_add(norm.f_g).saturating_sub(f);
    let mut wides = wide.chunks_exact(L::N);
    let mut outs = out.chunks_exact_mut(L::N);
    for (wide, out) in (&mut wides).zip(&mut outs) {
        l.store_i32(l.sat32(l.rsh(l.load(wide), shift)), out);
    }
    for (wide, out) in wides.remainder().iter().zip(outs.into_remainder()) {
        *out = sat32(rsh(*wide, shift));
    }
}

/// The normalised row in Q`30 + f_g`, and the bitwise or of its absolute values.
#[inline(always)]
fn normalise<L: Lanes>(l: L, norm: &Norm<'_>, h: &[i32], wide: &mut [i64]) -> u64 {
    let n = h.len();
    debug_assert!(norm.gain.len() == n && norm.bias.is_none_or(|b| b.len() == n));
    let row = statistics(l, norm, h);
    let r_low = l.splat(row.scale.r - (1 << 30));
    let mut bits = l.splat(0);
    let whole = n - n % L::N;
    for i in (0..whole).step_by(L::N) {
        let x = l.rsh(centre(l, &row, &h[i..whole]), row.scale.s);
        // x * R with R up to 2^31, one more than a signed half holds: x * (R - 2^30) + x * 2^30.
        let product = l.add(l.mul32(x, r_low), l.shl(x, 30));
        let t = l.rsh(product, row.scale.shift);
        let mut y = l.mul32(t, l.load_i32(&norm.gain[i..whole]));
        if let Some(bias) = norm.bias {
            y = l.add(y, l.shl(l.load_i32(&bias[i..whole]), 30));
        }
        bits = l.or(bits, l.abs(y));
        l.store(y, &mut wide[i..whole]);
    }
    let mut rest = 0;
    for i in whole..n {
        wide[i] = norm.entry(&row, i, h[i]);
        rest |= wide[i].unsigned_abs();
    }
    or_lanes(l, bits) | rest
}

/// [`Norm::statistics`].
#[inline(always)]
fn statistics<L: Lanes>(l: L, norm: &Norm<'_>, h: &[i32]) -> RowNorm {
    let chunks = h.chunks_exact(L::N);
    let (multiplier, sum) = match norm.bias {
        None => (1, 0),
        Some(_) => {
            let rest: i64 = chunks.remainder().iter().map(|h| i64::from(*h)).sum();
            let mut sum = l.splat(0);
            for h in chunks.clone() {
                sum = l.add(sum, l.load_i32(h));
            }
            (h.len() as i64, l.sum(sum) + rest)
        }
    };
    let mut row = RowNorm { multiplier, sum, scale: UnitScale::from_sum(0, 0, Eps::ZERO) };
    let mut bits = l.splat(0);
    for h in chunks.clone() {
        bits = l.or(bits, l.abs(centre(l, &row, h)));
    }
    let rest = chunks.remainder();
    let bits = rest.iter().fold(or_lanes(l, bits), |bits, h| bits | row.centre(*h).unsigned_abs());
    let s = bl(bits).saturating_sub(23);
    let mut squares = l.splat(0);
    for h in chunks {
        let x = l.rsh(centre(l, &row, h), s);
        squares = l.add(squares, l.mul32(x, x));
    }
    let squares = rest.iter().fold(l.sum(squares) as u64, |sum, h| {
        let x = rsh(row.centre(*h), s).unsigned_abs();
        sum.saturating_add(x * x)
    });
    row.scale = UnitScale::from_sum(s, squares, norm.eps);
    row
}

/// [`RowNorm::centre`]; `n` is at most 2^14.
#[inline(always)]
fn centre<L: Lanes>(l: L, row: &RowNorm, h: &[i32]) -> L::V {
    let h = l.load_i32(h);
    if row.multiplier == 1 && row.sum == 0 {
        return h;
    }
    l.sub(l.mul32(h, l.splat(row.multiplier)), l.splat(row.sum))
}

/// `lut` of the specification, sign included; the indices stay below 1,024 by the clamp.
#[inline(always)]
fn lut<L: Lanes>(l: L, table: &GateTable, g: L::V) -> L::V {
    let a = l.min(l.abs(g), l.splat((1 << 20) - 1));
    let pair = l.gather_pair(table, l.shr(a, 10));
    let low = l.and(pair, l.splat(0xffff_ffff));
    let rise = l.sub(l.shr(pair, 32), low);
    let v = l.add(low, l.rsh(l.mul32(rise, l.and(a, l.splat(1023))), 10));
    l.if_negative(g, l.sub(l.splat(i64::from(ONE_Q24)), v), v)
}

/// Section 8, gated.
#[inline(always)]
pub(super) fn gated<L: Lanes>(
    l: L,
    activation: Activation,
    gate: &[i32],
    up: &[i32],
    wide: &mut [i64],
    q: &mut [i16],
) -> i32 {
    debug_assert!(gate.len() == up.len() && up.len() == q.len());
    let table = activation.table();
    let n = gate.len();
    let wide = &mut wide[..n];
    let mut bits = l.splat(0);
    let whole = n - n % L::N;
    for i in (0..whole).step_by(L::N) {
        let g = l.load_i32(&gate[i..whole]);
        // |gate * lut| <= 2^55, and its shift fits 32 bits again.
        let opened = l.rsh(l.mul32(g, lut(l, table, g)), 24);
        let y = l.mul32(opened, l.load_i32(&up[i..whole]));
        bits = l.or(bits, l.abs(y));
        l.store(y, &mut wide[i..whole]);
    }
    let mut rest = 0;
    for i in whole..n {
        wide[i] = gated_entry(table, gate[i], up[i]);
        rest |= wide[i].unsigned_abs();
    }
    let bits = or_lanes(l, bits) | rest;
    quantize_row(l, wide, bits, GATED_EXPONENT, q)
}

/// Section 8, ungated.
#[inline(always)]
pub(super) fn ungated<L: Lanes>(l: L, activation: Activation, up: &[i32], wide: &mut [i64], q: &mut [i16]) -> i32 {
    debug_assert_eq!(up.len(), q.len());
    let table = activation.table();
    let n = up.len();
    let wide = &mut wide[..n];
    let mut bits = l.splat(0);
    let whole = n - n % L::N;
    for i in (0..whole).step_by(L::N) {
        let u = l.load_i32(&up[i..whole]);
        let y = l.mul32(u, lut(l, table, u));
        bits = l.or(bits, l.abs(y));
        l.store(y, &mut wide[i..whole]);
    }
    let mut rest = 0;
    for i in whole..n {
        wide[i] = ungated_entry(table, up[i]);
        rest |= wide[i].unsigned_abs();
    }
    let bits = or_lanes(l, bits) | rest;
    quantize_row(l, wide, bits, UNGATED_EXPONENT, q)
}

/// Section 6.
#[inline(always)]
pub(super) fn rope_head<L: Lanes>(l: L, x: &[i32], row: &[i32], sigma: u32, out: &mut [i16]) {
    debug_assert_eq!(x.len(), out.len());
    debug_assert!(row.len() <= x.len() && row.len().is_multiple_of(2));
    let rot = row.len();
    let half = rot / 2;
    let (x, x_rest) = x.split_at(rot);
    let (out, out_rest) = out.split_at_mut(rot);
    let (xa, xb) = x.split_at(half);
    let (out_a, out_b) = out.split_at_mut(half);
    let whole = half - half % L::N;
    for i in (0..whole).step_by(L::N) {
        let (a, b) = (l.load_i32(&xa[i..whole]), l.load_i32(&xb[i..whole]));
        // The product of low halves reads c as it lies; s moves down from the upper half.
        let c = l.load_pairs(&row[2 * i..2 * whole]);
        let s = l.shr(c, 32);
        let first = l.sub(l.mul32(a, c), l.mul32(b, s));
        let second = l.add(l.mul32(a, s), l.mul32(b, c));
        l.store_i16(sat16(l, l.rsh(first, sigma)), &mut out_a[i..whole]);
        l.store_i16(sat16(l, l.rsh(second, sigma)), &mut out_b[i..whole]);
    }
    for i in whole..half {
        (out_a[i], out_b[i]) = rotate(xa[i], xb[i], row[2 * i], row[2 * i + 1], sigma);
    }
    let mut xs = x_rest.chunks_exact(L::N);
    let mut outs = out_rest.chunks_exact_mut(L::N);
    for (x, out) in (&mut xs).zip(&mut outs) {
        l.store_i16(sat16(l, l.rsh(l.shl(l.load_i32(x), 30), sigma)), out);
    }
    for (x, out) in xs.remainder().iter().zip(outs.into_remainder()) {
        *out = rescale(*x, sigma);
    }
}

#[inline(always)]
fn sat16<L: Lanes>(l: L, a: L::V) -> L::V {
    l.clamp(a, -32767, 32767)
}

/// Section 1, softmax: weights in Q24 and their sum.
#[inline(always)]
pub(super) fn softmax<L: Lanes>(l: L, s: &[i64], c: u32, r: u32, w: &mut [u32]) -> u64 {
    debug_assert_eq!(s.len(), w.len());
    let chunks = s.chunks_exact(L::N);
    let mut max = l.splat(i64::MIN);
    for s in chunks.clone() {
        max = l.max(max, l.load(s));
    }
    let max = l.to_array(max)[..L::N].iter().chain(chunks.remainder()).fold(i64::MIN, |m, s| m.max(*s));
    let factor = l.splat(i64::from(c));
    let mut z = l.splat(0);
    let mut chunks = chunks;
    let mut weights = w.chunks_exact_mut(L::N);
    for (s, w) in (&mut chunks).zip(&mut weights) {
        let distance = l.sub(l.splat(max), l.load(s));
        let u = l.min(l.rsh(l.mul_wide(distance, factor), r), l.splat(MAX_EXPONENT));
        let upper = l.gather(&T1, l.and(l.shr(u, 8), l.splat(255)));
        let lower = l.gather(&T2, l.and(u, l.splat(255)));
        let shift = l.add(l.splat(38), l.shr(u, 16));
        // Below the point where all vanishes the shift is at most 62 and the product at most 2^62.
        let weight = l.rsh_each(l.mul_u32(upper, lower), l.min(shift, l.splat(62)));
        let weight = l.if_negative(l.sub(u, l.splat(VANISHED)), weight, l.splat(0));
        z = l.add(z, weight);
        l.store_i32(weight, bytemuck::cast_slice_mut(w));
    }
    let mut z = l.sum(z) as u64;
    for (s, w) in chunks.remainder().iter().zip(weights.into_remainder()) {
        *w = softmax_weight(max, *s, c, r);
        z += u64::from(*w);
    }
    z
}

/// The digits w = 4096 h + l of softmax weights, both in 0..=4096, in pairs: the first position's in the low
/// half of a word, 0 for an absent second.
#[inline(always)]
pub(super) fn split_weights(w: &[u32], h: &mut [u32], l: &mut [u32]) {
    let (pairs, rest) = w.as_chunks::<2>();
    for ((h, l), w) in h.iter_mut().zip(l.iter_mut()).zip(pairs) {
        *h = w[0] >> 12 | (w[1] >> 12) << 16;
        *l = w[0] & 4095 | (w[1] & 4095) << 16;
    }
    if let ([w], Some(h), Some(l)) = (rest, h.last_mut(), l.last_mut()) {
        (*h, *l) = (w >> 12, w & 4095);
    }
}

/// Section 3, the epilogue of consecutive output rows of one token. Shapes: equal lengths.
#[inline(always)]
pub(super) fn finish_rows<L: Lanes>(
    l: L,
    acc: &[i64],
    scales: &[u32],
    bias: Option<&[i32]>,
    e_x: i32,
    f_out: i32,
    y: &mut [i32],
) {
    let n = y.len();
    let (acc, scales) = (&acc[..n], &scales[..n]);
    let bias = bias.map(|b| &b[..n]);
    let offset = i64::from(e_x) + i64::from(f_out);
    let whole = n - n % L::N;
    // Row exponents are 0..=255: with an offset of at most 0 no shift goes to the left.
    let vector = if offset <= 0 { whole } else { 0 };
    for i in (0..vector).step_by(L::N) {
        let scale = l.load_u32(&scales[i..whole]);
        let shift = l.min(l.sub(l.shr(scale, 24), l.splat(offset)), l.splat(63));
        let bias = l.load_i32(bias.map_or(&[0; 8], |b| &b[i..whole]));
        let m = l.and(scale, l.splat(0x00ff_ffff));
        finish(l, l.load(&acc[i..whole]), m, shift, bias, &mut y[i..whole]);
    }
    for i in vector..n {
        y[i] = finish_linear(acc[i], scales[i], bias.map_or(0, |b| b[i]), e_x, f_out);
    }
}

/// Section 3, the epilogue of one output row over consecutive tokens, whose largest exponent is `highest`.
/// Shapes: equal lengths.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
pub(super) fn finish_tokens<L: Lanes>(
    l: L,
    acc: &[i64],
    scale: u32,
    bias: i32,
    exponents: &[i32],
    highest: i32,
    f_out: i32,
    y: &mut [i32],
) {
    let n = y.len();
    let (acc, exponents) = (&acc[..n], &exponents[..n]);
    let RowScale { m, k } = RowScale::unpack(scale);
    let base = i64::from(k) - i64::from(f_out);
    let whole = n - n % L::N;
    // A shift to the left is rare; the scalar function has it.
    let vector = if base >= i64::from(highest) { whole } else { 0 };
    let (m, wide_bias) = (l.splat(i64::from(m)), l.splat(i64::from(bias)));
    for i in (0..vector).step_by(L::N) {
        let shift = l.min(l.sub(l.splat(base), l.load_i32(&exponents[i..whole])), l.splat(63));
        finish(l, l.load(&acc[i..whole]), m, shift, wide_bias, &mut y[i..whole]);
    }
    for i in vector..n {
        y[i] = finish_linear(acc[i], scale, bias, exponents[i], f_out);
    }
}

/// `sat32(scale32(acc, m, shift) + bias)` for shifts in `0..=63`; `abs(acc * m) < 2^62`, so that a shift of
/// 63 gives 0, as every larger one.
#[inline(always)]
fn finish<L: Lanes>(l: L, acc: L::V, m: L::V, shift: L::V, bias: L::V, y: &mut [i32]) {
    let scaled = l.sat32(l.rsh_each(l.mul_wide(acc, m), shift));
    l.store_i32(l.sat32(l.add(scaled, bias)), y);
}

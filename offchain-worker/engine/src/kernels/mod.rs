//! The bodies of the ops, as functions over slices: one trait, one implementation per instruction set.
//!
//! [`Scalar`] *is* `assay-exact`. Every other backend overrides the methods that it accelerates, inherits
//! the rest, and must equal the scalar reference bit for bit; which one runs is chosen at run time by
//! [`Backend::detect`]. Methods are single-threaded and allocate nothing: work is divided by
//! [`Threads`], where outputs are disjoint, so that the number of threads cannot
//! change a bit.
//!
//! Shapes are the caller's duty (debug assertions here, real errors at the package loader and the stage
//! executor); within them every method is total, as the specification demands.

mod backend;
mod parallel;
mod simd;
mod view;

use std::fmt;

use assay_exact::{
    linear::{linear_row, Planes},
    mlp::{gated, ungated, Activation},
    norm::Norm,
    prim::{lut, rsh, sat32, softmax},
    requantize::requantize,
    residual, rope,
    tables::S,
};

pub use backend::{Backend, BackendError};
pub use parallel::Threads;
pub use view::RowsMut;

/// Consecutive output rows of a linear part (section 3), borrowed from a package.
#[derive(Clone, Copy, Debug)]
pub struct LinearRows<'a> {
    /// i8, row-major `[rows, inputs]` in each plane; any value, -128 included. Not aligned beyond one byte.
    pub w: Planes<'a>,
    /// `[rows]`, packed `m + 2^24 * k`.
    pub scales: &'a [u32],
    /// `[rows]`, Q`f_out`.
    pub bias: Option<&'a [i32]>,
    /// In-features K, `1..=2^16`.
    pub inputs: usize,
}

impl<'a> LinearRows<'a> {
    /// Number of output rows.
    pub fn rows(&self) -> usize {
        self.scales.len()
    }

    /// Weights of both planes.
    pub fn weights(&self) -> usize {
        self.w.first.len() + self.w.second.map_or(0, <[i8]>::len)
    }

    /// The first `at` rows and the others.
    pub fn split_at(self, at: usize) -> (Self, Self) {
        let (w, w_rest) = self.w.split_at(at * self.inputs);
        let (scales, scales_rest) = self.scales.split_at(at);
        let (bias, bias_rest) = match self.bias {
            Some(bias) => {
                let (bias, rest) = bias.split_at(at);
                (Some(bias), Some(rest))
            }
            None => (None, None),
        };
        let inputs = self.inputs;
        (Self { w, scales, bias, inputs }, Self { w: w_rest, scales: scales_rest, bias: bias_rest, inputs })
    }
}

/// Token rows in A15: `abs(q) <= 2^14`, one exponent per row (section 4).
#[derive(Clone, Copy, Debug)]
pub struct A15<'a> {
    /// Row-major `[tokens, inputs]`.
    pub q: &'a [i16],
    /// `[tokens]`.
    pub exponents: &'a [i32],
}

impl<'a> A15<'a> {
    /// Number of token rows.
    pub fn tokens(&self) -> usize {
        self.exponents.len()
    }

    /// Row `t`.
    pub fn row(&self, t: usize, inputs: usize) -> &'a [i16] {
        &self.q[t * inputs..(t + 1) * inputs]
    }

    /// The first `at` token rows and the others.
    pub fn split_at(self, at: usize, inputs: usize) -> (Self, Self) {
        let (q, q_rest) = self.q.split_at(at * inputs);
        let (exponents, exponents_rest) = self.exponents.split_at(at);
        (Self { q, exponents }, Self { q: q_rest, exponents: exponents_rest })
    }
}

/// One backend's ops. The default bodies are the scalar reference.
pub trait Kernels: Send + Sync + fmt::Debug {
    /// Which backend this is.
    fn backend(&self) -> Backend;

    /// Section 3: `y[t, i] = linear(x[t])_i`, i32 Q`f_out`, for `x.tokens()` rows of A15 and `part.rows()`
    /// outputs. `y` is a strided view `[tokens, rows]`.
    fn linear(&self, part: LinearRows<'_>, x: A15<'_>, f_out: i32, y: &mut RowsMut<'_>) {
        debug_assert_eq!(x.tokens(), y.rows());
        debug_assert_eq!(part.rows(), y.columns());
        for (t, e_x) in x.exponents.iter().enumerate() {
            let q = x.row(t, part.inputs);
            linear_row(part.w, part.scales, part.bias, q, *e_x, f_out, y.row_mut(t));
        }
    }

    /// Section 5, `A15(norm)` of one row. Returns the exponent. `wide` is scratch of the row's length.
    fn norm_a15(&self, norm: &Norm<'_>, h: &[i32], wide: &mut [i64], q: &mut [i16]) -> i32 {
        let _ = wide;
        norm.a15(h, q)
    }

    /// Section 5, `to(f, norm)` of one row. `wide` is scratch of the row's length.
    fn norm_to(&self, norm: &Norm<'_>, f: u32, h: &[i32], wide: &mut [i64], out: &mut [i32]) {
        let _ = wide;
        norm.to(f, h, out);
    }

    /// Section 4, one row of wide integers under `exponent`. Returns the exponent of `q`.
    fn requantize(&self, y: &[i64], exponent: i32, q: &mut [i16]) -> i32 {
        requantize(y, exponent, q)
    }

    /// Section 6, one head: `x` and `out` `[D]`, `row` the position's `[rot / 2]` pairs (c, s), flat, empty
    /// without rotation.
    fn rope_head(&self, x: &[i32], row: &[i32], sigma: u32, out: &mut [i16]) {
        rope::rope_head(x, row, sigma, out);
    }

    /// Section 7, raw scores of `m = q.len() / d` queries (those that share a kv head: the heads of a group,
    /// of one or several tokens) against a run of positions: `s[i * stride + j] = q_i . k_j`.
    ///
    /// `q` is `[m, d]`; `kv` is `[positions, 2, d]`: K then V of each position in order; row `i` of
    /// `s` begins at `i * stride`, `stride >= positions`; only its first `positions` entries are written, and
    /// the last row may end there.
    fn scores(&self, q: &[i16], kv: &[i16], d: usize, s: &mut [i64], stride: usize) {
        for (q, s) in q.chunks_exact(d).zip(s.chunks_mut(stride)) {
            for (kv, s) in kv.chunks_exact(2 * d).zip(s) {
                *s = q.iter().zip(kv).map(|(q, k)| i64::from(i32::from(*q) * i32::from(*k))).sum();
            }
        }
    }

    /// Section 7, the soft-cap of one row of scores, in place.
    fn soft_cap(&self, c_0: u32, sigma_0: u32, s: &mut [i64]) {
        for s in s {
            let capped = sat32(rsh(s.saturating_mul(i64::from(c_0)), sigma_0));
            *s = 2 * i64::from(lut(&S, capped)) - (1 << 24);
        }
    }

    /// Section 1, softmax of one row: weights in Q24 and their sum Z.
    fn softmax(&self, s: &[i64], c: u32, r: u32, w: &mut [u32]) -> u64 {
        softmax(s, c, r, w)
    }

    /// Section 7: `o[i] += sum_j w[i * stride + j] * v_j` for `m = o.len() / d` queries over a run of
    /// positions; layouts as in [`Self::scores`] (the last row of `w` too may be short), `w` in Q24 (at most 2^24), `o` `[m, d]`.
    fn weighted_values(&self, w: &[u32], stride: usize, kv: &[i16], d: usize, o: &mut [i64]) {
        for (w, o) in w.chunks(stride).zip(o.chunks_exact_mut(d)) {
            for (kv, w) in kv.chunks_exact(2 * d).zip(w) {
                for (o, v) in o.iter_mut().zip(&kv[d..]) {
                    *o += i64::from(*w) * i64::from(*v);
                }
            }
        }
    }

    /// Section 8, one row of a gated MLP: the input of the down projection. Returns its exponent. `wide` is
    /// scratch of the row's length.
    fn gated(&self, activation: Activation, gate: &[i32], up: &[i32], wide: &mut [i64], q: &mut [i16]) -> i32 {
        let _ = wide;
        gated(activation, gate, up, q)
    }

    /// Section 8, one row of an ungated MLP. As [`Self::gated`].
    fn ungated(&self, activation: Activation, up: &[i32], wide: &mut [i64], q: &mut [i16]) -> i32 {
        let _ = wide;
        ungated(activation, up, q)
    }

    /// Section 9: `h = sat32(h + y)`.
    fn add(&self, h: &mut [i32], y: &[i32]) {
        residual::add(h, y);
    }
}

/// The reference: every op is the function of `assay-exact`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scalar;

impl Kernels for Scalar {
    fn backend(&self) -> Backend {
        Backend::Scalar
    }
}

//! Kernels for x86-64 with AVX-512 F, BW, DQ, VL and VNNI: Ice Lake, Zen 4 and later.

mod attention;
mod lanes;
mod linear;

use assay_exact::{mlp::Activation, norm::Norm};

use super::{rows, tiles};
use crate::kernels::{Backend, Kernels, LinearRows, RowsMut, A15};

/// The AVX-512 backend; a value exists only on a machine that can run it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Avx512(());

static KERNELS: Avx512 = Avx512(());

impl Avx512 {
    /// The backend, if this machine has the instructions.
    pub(super) fn new() -> Option<&'static Self> {
        (is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512vnni"))
        .then_some(&KERNELS)
    }
}

/// Calls `function(token, args..)` under the target features that the token proves, so that what is inlined
/// into it may use them.
macro_rules! with_features {
    ($token:expr, $function:path, ($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)?) => {{
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
        #[allow(clippy::too_many_arguments)]
        fn entry(l: Avx512, $($arg: $ty),*) $(-> $ret)? {
            $function(l, $($arg),*)
        }
        // SAFETY: a value of `Avx512` exists, and `new` hands one out only where the machine has all of
        // these features.
        unsafe { entry($token, $($arg),*) }
    }};
}

impl Kernels for Avx512 {
    fn backend(&self) -> Backend {
        Backend::Avx512
    }

    fn linear(&self, part: LinearRows<'_>, x: A15<'_>, f_out: i32, y: &mut RowsMut<'_>) {
        let first = tiles::tiled_tokens(x.tokens(), linear::TILE_FROM);
        let (x, rest) = x.split_at(first, part.inputs);
        if first > 0 {
            with_features!(*self, tiles::linear, (part: LinearRows<'_>, x: A15<'_>, f_out: i32, y: &mut RowsMut<'_>));
        }
        if rest.tokens() > 0 {
            let x = rest;
            with_features!(*self, linear::few_tokens, (
                part: LinearRows<'_>, x: A15<'_>, first: usize, f_out: i32, y: &mut RowsMut<'_>,
            ));
        }
    }

    fn norm_a15(&self, norm: &Norm<'_>, h: &[i32], wide: &mut [i64], q: &mut [i16]) -> i32 {
        with_features!(*self, rows::norm_a15, (
            norm: &Norm<'_>, h: &[i32], wide: &mut [i64], q: &mut [i16],
        ) -> i32)
    }

    fn norm_to(&self, norm: &Norm<'_>, f: u32, h: &[i32], wide: &mut [i64], out: &mut [i32]) {
        with_features!(*self, rows::norm_to, (
            norm: &Norm<'_>, f: u32, h: &[i32], wide: &mut [i64], out: &mut [i32],
        ));
    }

    fn requantize(&self, y: &[i64], exponent: i32, q: &mut [i16]) -> i32 {
        with_features!(*self, rows::requantize, (y: &[i64], exponent: i32, q: &mut [i16]) -> i32)
    }

    fn rope_head(&self, x: &[i32], row: &[i32], sigma: u32, out: &mut [i16]) {
        with_features!(*self, rows::rope_head, (x: &[i32], row: &[i32], sigma: u32, out: &mut [i16]));
    }

    fn scores(&self, q: &[i16], kv: &[i16], d: usize, s: &mut [i64], stride: usize) {
        with_features!(*self, attention::scores, (
            q: &[i16], kv: &[i16], d: usize, s: &mut [i64], stride: usize,
        ));
    }

    fn softmax(&self, s: &[i64], c: u32, r: u32, w: &mut [u32]) -> u64 {
        with_features!(*self, rows::softmax, (s: &[i64], c: u32, r: u32, w: &mut [u32]) -> u64)
    }

    fn weighted_values(&self, w: &[u32], stride: usize, kv: &[i16], d: usize, o: &mut [i64]) {
        with_features!(*self, attention::weighted_values, (
            w: &[u32], stride: usize, kv: &[i16], d: usize, o: &mut [i64],
        ));
    }

    fn gated(&self, activation: Activation, gate: &[i32], up: &[i32], wide: &mut [i64], q: &mut [i16]) -> i32 {
        with_features!(*self, rows::gated, (
            activation: Activation, gate: &[i32], up: &[i32], wide: &mut [i64], q: &mut [i16],
        ) -> i32)
    }

    fn ungated(&self, activation: Activation, up: &[i32], wide: &mut [i64], q: &mut [i16]) -> i32 {
        with_features!(*self, rows::ungated, (
            activation: Activation, up: &[i32], wide: &mut [i64], q: &mut [i16],
        ) -> i32)
    }
}

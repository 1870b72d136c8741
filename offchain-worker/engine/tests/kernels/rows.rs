use assay_engine::kernels::{Kernels, Scalar};
use assay_exact::{mlp::Activation, norm::Norm, prim::Eps};

use crate::{assert_same, cases::Rng, for_each_backend, repeat};

#[test]
fn requantize_random_and_extreme_inputs_equals_scalar() {
    for_each_backend(|kernels| {
        repeat(|seed| {
            let rng = &mut Rng::new(seed);
            let n = rng.length(300);
            let y = match rng.index(4) {
                // Beyond the specification's range the function is still total.
                0 => rng.row(n, i64::MAX, 1),
                _ => rng.row(n, 1 << 62, 0),
            };
            let run = |kernels: &dyn Kernels| {
                let mut q = vec![0; n];
                let exponent = kernels.requantize(&y, -9, &mut q);
                (q, exponent)
            };
            let (expected, actual) = (run(&Scalar), run(kernels));
            assert_eq!(expected.1, actual.1, "exponent, seed {seed}");
            assert_same(&expected.0, &actual.0, || format!("{}, seed {seed}, n {n}", kernels.backend()));
            n
        });
    });
}

/// A norm's parameters and a row, within the limits of section 2.
struct NormCase {
    f_g: u32,
    eps: Eps,
    gain: Vec<i32>,
    bias: Option<Vec<i32>>,
    h: Vec<i32>,
    f: u32,
}

impl NormCase {
    fn new(rng: &mut Rng) -> Self {
        let n = if rng.index(200) == 0 { 1 << 14 } else { rng.length(300) };
        Self {
            f_g: rng.range(0, 30) as u32,
            eps: match rng.index(3) {
                0 => Eps::ZERO,
                1 => Eps { m: rng.range(0, (1 << 24) - 1) as u32, k: rng.range(-256, 256) as i32 },
                _ => Eps { m: rng.range(0, (1 << 24) - 1) as u32, k: rng.range(-20, 20) as i32 },
            },
            gain: rng.i32s(n),
            bias: (rng.coin()).then(|| rng.i32s(n)),
            h: rng.i32s(n),
            f: rng.range(4, 20) as u32,
        }
    }

    fn norm(&self) -> Norm<'_> {
        Norm { f_g: self.f_g, eps: self.eps, gain: &self.gain, bias: self.bias.as_deref() }
    }
}

#[test]
fn norm_a15_random_and_extreme_inputs_equals_scalar() {
    for_each_backend(|kernels| {
        repeat(|seed| {
            let case = NormCase::new(&mut Rng::new(seed));
            let n = case.h.len();
            let run = |kernels: &dyn Kernels| {
                let (mut wide, mut q) = (vec![0; n], vec![0; n]);
                let exponent = kernels.norm_a15(&case.norm(), &case.h, &mut wide, &mut q);
                (q, exponent)
            };
            let (expected, actual) = (run(&Scalar), run(kernels));
            assert_eq!(expected.1, actual.1, "exponent, seed {seed}");
            assert_same(&expected.0, &actual.0, || format!("{}, seed {seed}, n {n}", kernels.backend()));
            n
        });
    });
}

#[test]
fn norm_to_random_and_extreme_inputs_equals_scalar() {
    for_each_backend(|kernels| {
        repeat(|seed| {
            let case = NormCase::new(&mut Rng::new(seed));
            let n = case.h.len();
            let run = |kernels: &dyn Kernels| {
                let (mut wide, mut out) = (vec![0; n], vec![0; n]);
                kernels.norm_to(&case.norm(), case.f, &case.h, &mut wide, &mut out);
                out
            };
            assert_same(&run(&Scalar), &run(kernels), || format!("{}, seed {seed}, n {n}", kernels.backend()));
            n
        });
    });
}

#[test]
fn rope_head_random_and_extreme_inputs_equals_scalar() {
    for_each_backend(|kernels| {
        repeat(|seed| {
            let rng = &mut Rng::new(seed);
            let d = 2 * rng.length(128);
            let rot = match rng.index(3) {
                0 => d,
                1 => 0,
                _ => 2 * rng.index(d / 2 + 1),
            };
            let row: Vec<i32> = rng.row(rot, 1 << 30, 0).into_iter().map(|v| v as i32).collect();
            let x = rng.i32s(d);
            let sigma = match rng.index(2) {
                0 => rng.range(0, 62) as u32,
                _ => rng.range(28, 48) as u32,
            };
            let run = |kernels: &dyn Kernels| {
                let mut out = vec![0; d];
                kernels.rope_head(&x, &row, sigma, &mut out);
                out
            };
            assert_same(&run(&Scalar), &run(kernels), || {
                format!("{}, seed {seed}, d {d}, rot {rot}, sigma {sigma}", kernels.backend())
            });
            d
        });
    });
}

const ACTIVATIONS: [Activation; 3] = [Activation::Silu, Activation::Gelu, Activation::GeluTanh];

#[test]
fn gated_random_and_extreme_inputs_equals_scalar() {
    for_each_backend(|kernels| {
        repeat(|seed| {
            let rng = &mut Rng::new(seed);
            let n = rng.length(300);
            let activation = rng.pick(&ACTIVATIONS);
            let (gate, up) = (gates(rng, n), rng.i32s(n));
            let run = |kernels: &dyn Kernels| {
                let (mut wide, mut q) = (vec![0; n], vec![0; n]);
                let exponent = kernels.gated(activation, &gate, &up, &mut wide, &mut q);
                (q, exponent, wide)
            };
            let (expected, actual) = (run(&Scalar), run(kernels));
            assert_eq!(expected.1, actual.1, "exponent, seed {seed}");
            assert_same(&expected.0, &actual.0, || format!("{}, seed {seed}, n {n}", kernels.backend()));
            n
        });
    });
}

#[test]
fn ungated_random_and_extreme_inputs_equals_scalar() {
    for_each_backend(|kernels| {
        repeat(|seed| {
            let rng = &mut Rng::new(seed);
            let n = rng.length(300);
            let activation = rng.pick(&ACTIVATIONS);
            let up = gates(rng, n);
            let run = |kernels: &dyn Kernels| {
                let (mut wide, mut q) = (vec![0; n], vec![0; n]);
                let exponent = kernels.ungated(activation, &up, &mut wide, &mut q);
                (q, exponent)
            };
            let (expected, actual) = (run(&Scalar), run(kernels));
            assert_eq!(expected.1, actual.1, "exponent, seed {seed}");
            assert_same(&expected.0, &actual.0, || format!("{}, seed {seed}, n {n}", kernels.backend()));
            n
        });
    });
}

/// One entry per row, so that no exponent hides the low bits: every sample of every table, and its
/// neighbours, on both sides.
#[test]
fn gated_every_sample_of_every_table_equals_scalar() {
    for_each_backend(|kernels| {
        for activation in ACTIVATIONS {
            for gate in (-1025i32..=1025).flat_map(|i| [1024 * i - 1, 1024 * i, 1024 * i + 1, 1024 * i + 511]) {
                // A row of eight alike fills a vector; up = 2^-8 leaves the product within 14 bits or so.
                let run = |kernels: &dyn Kernels| {
                    let (mut wide, mut q) = ([0; 8], [0; 8]);
                    let exponent = kernels.gated(activation, &[gate; 8], &[1; 8], &mut wide, &mut q);
                    (exponent, q)
                };
                assert_eq!(run(&Scalar), run(kernels), "{} {activation:?} at {gate}", kernels.backend());
            }
        }
    });
}

/// Half of the rows lie where the gate bends.
fn gates(rng: &mut Rng, n: usize) -> Vec<i32> {
    match rng.index(2) {
        0 => rng.i32s(n),
        _ => rng.row(n, 1 << 21, 0).into_iter().map(|v| v as i32).collect(),
    }
}

#[test]
fn add_random_and_extreme_inputs_equals_scalar() {
    for_each_backend(|kernels| {
        repeat(|seed| {
            let rng = &mut Rng::new(seed);
            let n = rng.length(300);
            let (h, y) = (rng.i32s(n), rng.i32s(n));
            let run = |kernels: &dyn Kernels| {
                let mut h = h.clone();
                kernels.add(&mut h, &y);
                h
            };
            assert_same(&run(&Scalar), &run(kernels), || format!("{}, seed {seed}, n {n}", kernels.backend()));
            n
        });
    });
}

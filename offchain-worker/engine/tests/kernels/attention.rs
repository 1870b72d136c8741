use assay_engine::kernels::{Kernels, Scalar};

use crate::{assert_same, cases::Rng, for_each_backend, repeat};

/// Head sizes: those of models, the odd ones around vectors, and the largest.
fn head_dim(rng: &mut Rng) -> usize {
    match rng.index(2) {
        0 => rng.pick(&[32, 64, 80, 96, 128, 256]),
        _ => 2 * rng.length(128),
    }
}

#[test]
fn scores_random_and_extreme_inputs_equals_scalar() {
    for_each_backend(|kernels| {
        repeat(|seed| {
            let rng = &mut Rng::new(seed);
            let (d, positions, queries) = (head_dim(rng), rng.length(70), 1 + rng.index(5));
            let stride = positions + rng.index(5);
            let q = rng.i16s(queries * d);
            let kv = rng.i16s(positions * 2 * d);
            let run = |kernels: &dyn Kernels| {
                let mut s = vec![-1; queries * stride];
                kernels.scores(&q, &kv, d, &mut s, stride);
                s
            };
            assert_same(&run(&Scalar), &run(kernels), || {
                format!("{}, seed {seed}, d {d}, {positions} positions", kernels.backend())
            });
            queries * positions
        });
    });
}

#[test]
fn weighted_values_random_and_extreme_inputs_equals_scalar() {
    for_each_backend(|kernels| {
        repeat(|seed| {
            let rng = &mut Rng::new(seed);
            let (d, positions, queries) = (head_dim(rng), rng.length(70), 1 + rng.index(5));
            let stride = positions + rng.index(5);
            let w: Vec<u32> =
                rng.row(queries * stride, 1 << 24, 0).into_iter().map(|w| w.unsigned_abs() as u32).collect();
            let kv = rng.i16s(positions * 2 * d);
            let o = rng.row(queries * d, 1 << 55, 0);
            let run = |kernels: &dyn Kernels| {
                let mut o = o.clone();
                kernels.weighted_values(&w, stride, &kv, d, &mut o);
                o
            };
            assert_same(&run(&Scalar), &run(kernels), || {
                format!("{}, seed {seed}, d {d}, {positions} positions", kernels.backend())
            });
            queries * d
        });
    });
}

#[test]
fn softmax_random_and_extreme_inputs_equals_scalar() {
    for_each_backend(|kernels| {
        repeat(|seed| {
            let rng = &mut Rng::new(seed);
            let n = rng.length(300);
            let limit = rng.pick(&[1 << 38, 1 << 30, 1 << 20, 1000]) - 1;
            let s = rng.row(n, limit, 0);
            let c = rng.range(0, (1 << 23) - 1) as u32;
            let r = match rng.index(2) {
                0 => rng.range(0, 62) as u32,
                // Where weights are neither all alike nor all zero.
                _ => (limit.ilog2() + c.max(1).ilog2()).saturating_sub(rng.range(16, 22) as u32),
            };
            let run = |kernels: &dyn Kernels| {
                let mut w = vec![0; n];
                let z = kernels.softmax(&s, c, r, &mut w);
                (w, z)
            };
            let (expected, actual) = (run(&Scalar), run(kernels));
            assert_same(&expected.0, &actual.0, || format!("{}, seed {seed}, n {n}, c {c}, r {r}", kernels.backend()));
            assert_eq!(expected.1, actual.1, "sum, seed {seed}");
            n
        });
    });
}

/// `exp2neg` at every exponent in Q16 that is not zero, and some beyond.
#[test]
fn softmax_every_exponent_equals_scalar() {
    for_each_backend(|kernels| {
        let last = (25 << 16) + 100;
        for first in (0..=last).step_by(4096) {
            // c = 1 and r = 0: the distance from the maximum is the exponent itself.
            let s: Vec<i64> = std::iter::once(0).chain((first..first + 4096).map(|u| -u)).collect();
            let run = |kernels: &dyn Kernels| {
                let mut w = vec![0; s.len()];
                let z = kernels.softmax(&s, 1, 0, &mut w);
                (w, z)
            };
            let (expected, actual) = (run(&Scalar), run(kernels));
            assert_same(&expected.0, &actual.0, || format!("{} from {first}", kernels.backend()));
            assert_eq!(expected.1, actual.1);
        }
    });
}

#[test]
fn soft_cap_random_and_extreme_inputs_equals_scalar() {
    for_each_backend(|kernels| {
        repeat(|seed| {
            let rng = &mut Rng::new(seed);
            let n = rng.length(300);
            let s = rng.row(n, (1 << 38) - 1, 0);
            let (c_0, sigma_0) = (rng.range(0, (1 << 23) - 1) as u32, rng.range(0, 62) as u32);
            let run = |kernels: &dyn Kernels| {
                let mut s = s.clone();
                kernels.soft_cap(c_0, sigma_0, &mut s);
                s
            };
            assert_same(&run(&Scalar), &run(kernels), || format!("{}, seed {seed}, n {n}", kernels.backend()));
            n
        });
    });
}

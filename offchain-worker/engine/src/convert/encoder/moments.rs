//! Second moments of a linear's inputs, and the rounding that they guide.
//!
//! To round each weight of a row to the nearest integer is best if the inputs are independent. They are not: so the
//! error of one weight is made up for by the weights that are still to be rounded, as far as their inputs go together
//! (optimal brain surgeon; [GPTQ](https://arxiv.org/abs/2210.17323)). With `H = sum of x x^T = L L^T` the error of a
//! row is `|L^T (w - q)|^2`, and its entries are chosen one by one from the last.
//!
//! All of it is `+ - * / sqrt` on f64 in an order that does not depend on the number of threads, over the inputs that
//! the exact engine computes: the same package on every machine.

use rayon::prelude::*;

/// Rows of inputs that are added together, so that a row of the matrix stays in the first-level cache.
const BATCH: usize = 64;
/// Part of the mean diagonal that is added to the diagonal: keeps directions that the calibration text hardly has from
/// being used to hide errors.
const DAMPING: f64 = 0.05;

/// Weighted `sum of x x^T` over input rows of `n` entries: the lower triangle.
#[derive(Debug, Clone)]
pub struct Moments {
    n: usize,
    /// `[n, n]`, row-major.
    sums: Vec<f64>,
    /// Rows not added yet, `[.., n]`.
    batch: Vec<f64>,
}

/// `L` of `H = L L^T`.
#[derive(Debug, Clone)]
pub struct Factor {
    n: usize,
    /// `[n, n]`, row-major, lower triangle.
    l: Vec<f64>,
}

impl Moments {
    /// Nothing seen, of inputs of `n` entries.
    pub fn new(n: usize) -> Self {
        Self { n, sums: vec![0.; n * n], batch: Vec::with_capacity(BATCH * n) }
    }

    /// Adds the A15 row `q` under `exponent`, with a positive weight.
    pub fn add(&mut self, q: &[i16], exponent: i32, weight: f64) {
        let unit = libm::scalbn(weight.sqrt(), exponent);
        self.batch.extend(q.iter().map(|q| f64::from(*q) * unit));
        if self.batch.len() >= BATCH * self.n {
            self.flush();
        }
    }

    fn flush(&mut self) {
        let Self { n, sums, batch } = self;
        sums.par_chunks_mut(*n).enumerate().for_each(|(i, sums)| {
            for x in batch.chunks_exact(*n) {
                let factor = x[i];
                for (sum, x) in sums[..=i].iter_mut().zip(x) {
                    *sum += factor * x;
                }
            }
        });
        batch.clear();
    }

    /// The factor of the damped matrix.
    pub fn factor(mut self) -> Factor {
        self.flush();
        let Self { n, sums: mut l, .. } = self;
        let mean = (0..n).map(|i| l[i * n + i]).sum::<f64>() / n as f64;
        // Inputs that are all zero: any rounding will do.
        let damping = if mean > 0. { DAMPING * mean } else { 1. };
        for i in 0..n {
            let (done, rest) = l.split_at_mut(i * n);
            let row = &mut rest[..n];
            row[i] += damping;
            for j in 0..i {
                let other = &done[j * n..j * n + n];
                row[j] = (row[j] - dot(&row[..j], &other[..j])) / other[j];
            }
            // Positive by the damping; the floor is for what rounding leaves of it.
            row[i] = (row[i] - dot(&row[..i], &row[..i])).max(damping * 1e-3).sqrt();
        }
        Factor { n, l }
    }
}

impl Factor {
    /// Rounds the row `w`, divided by its scale `real`, to integers in `[-127, 127]`, over `out`.
    pub fn round(&self, w: &[f32], real: f64, out: &mut [i8]) {
        let mut carried = vec![0f64; self.n];
        for k in (0..self.n).rev() {
            let row = &self.l[k * self.n..][..=k];
            let wanted = f64::from(w[k]) / real;
            let q = (wanted + carried[k] / row[k]).round().clamp(-127., 127.);
            out[k] = q as i8;
            let error = wanted - q;
            for (carried, l) in carried[..k].iter_mut().zip(row) {
                *carried += l * error;
            }
        }
    }
}

/// A sum of products in four lanes, whose order is fixed here and not by the compiler.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut lanes = [0f64; 4];
    let (a, a_rest) = a.as_chunks::<4>();
    let (b, b_rest) = b.as_chunks::<4>();
    for (a, b) in a.iter().zip(b) {
        for ((lane, a), b) in lanes.iter_mut().zip(a).zip(b) {
            *lane += a * b;
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]) + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Inputs of which each is a ninth noise and the rest something that all share.
    fn inputs(n: usize, rows: usize) -> Vec<Vec<i16>> {
        let mut state = 1u64;
        let mut random = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 52) as i16 - 2048
        };
        (0..rows)
            .map(|_| {
                let shared = random();
                (0..n).map(|_| shared * 4 + random() / 2).collect()
            })
            .collect()
    }

    fn moments(n: usize, inputs: &[Vec<i16>]) -> Moments {
        let mut moments = Moments::new(n);
        inputs.iter().for_each(|q| moments.add(q, -3, 1.));
        moments
    }

    #[test]
    fn factor_times_its_transpose_is_the_damped_matrix() {
        let (n, inputs) = (9, inputs(9, 100));
        let factor = moments(n, &inputs).factor();
        let entry =
            |i: usize, j: usize| -> f64 { inputs.iter().map(|x| f64::from(x[i]) * f64::from(x[j]) / 64.).sum() };
        let damping = DAMPING * (0..n).map(|i| entry(i, i)).sum::<f64>() / n as f64;
        for i in 0..n {
            for j in 0..=i {
                let found: f64 = (0..=j).map(|k| factor.l[i * n + k] * factor.l[j * n + k]).sum();
                let expected = entry(i, j) + if i == j { damping } else { 0. };
                assert!((found / expected - 1.).abs() < 1e-9, "{i} {j}: {found} {expected}");
            }
        }
    }

    /// Over many rows: of a single one, the nearest integers' errors may happen to cancel.
    #[test]
    fn round_with_correlated_inputs_beats_the_nearest_integers() {
        let (n, inputs) = (24, inputs(24, 300));
        let factor = moments(n, &inputs).factor();
        let error = |w: &[f32], q: &[i8]| -> f64 {
            let output = |x: &Vec<i16>| -> f64 {
                x.iter().zip(w).zip(q).map(|((x, w), q)| f64::from(*x) * (f64::from(*w) - f64::from(*q))).sum()
            };
            inputs.iter().map(|x| output(x).powi(2)).sum()
        };
        let (mut guided, mut nearest) = (0., 0.);
        for row in 0..64 {
            let w: Vec<f32> = (0..n).map(|i| ((row * n + i) as f32 * 0.77).sin() * 100.).collect();
            let mut rounded = vec![0; n];
            factor.round(&w, 1., &mut rounded);
            guided += error(&w, &rounded);
            nearest += error(&w, &w.iter().map(|w| w.round() as i8).collect::<Vec<_>>());
        }
        assert!(guided < 0.25 * nearest, "{guided} {nearest}");
    }

    #[test]
    fn round_of_integers_and_without_inputs_is_the_nearest() {
        let w = [3., -127., 0., 5.];
        let mut out = [0; 4];
        moments(4, &inputs(4, 10)).factor().round(&w, 1., &mut out);
        assert_eq!(out, [3, -127, 0, 5]);
        Moments::new(4).factor().round(&[2.6, -2.4, 200., 0.5], 1., &mut out);
        assert_eq!(out, [3, -2, 127, 1]);
    }
}

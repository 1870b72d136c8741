//! Second moments of a linear's inputs, and the rounding that they guide.
//!
//! To round each weight of a row to the nearest integer is best if the inputs are independent. They are not: so the
//! error of one weight is made up for by the weights that are still to be rounded, as far as their inputs go together
//! (optimal brain surgeon; [GPTQ](https://arxiv.org/abs/2210.17323)). With `H = sum of x x^T = L L^T` the error of a
//! row is `|L^T (w - q)|^2`, and its entries are chosen one by one from the last. The inputs are put in order before, so
//! that those with the largest moments are rounded first, when the most others are left to make up for them.
//!
//! All of it is integers, and `+ - * / sqrt` on f64 in an order that does not depend on the number of threads, over the
//! inputs that the exact engine computes: the same package on every machine.

use rayon::prelude::*;

/// Rows of inputs that are added together.
const BATCH: usize = 256;
/// Largest magnitude in a batch, in steps: the sum of a batch's products, at most `BATCH * STEPS^2`, fits i32.
const STEPS: f64 = 2047.;
/// Rows of a matrix that share what they read, so that it comes from the first-level cache.
const BLOCK: usize = 16;
/// Part of the mean diagonal that is added to the diagonal: keeps directions that the calibration text hardly has from
/// being used to hide errors.
const DAMPING: f64 = 0.1;

/// Weighted `sum of x x^T` over input rows of `n` entries: the lower triangle.
#[derive(Debug, Clone)]
pub struct Moments {
    n: usize,
    /// `[n, n]`, row-major.
    sums: Vec<f64>,
    /// Rows not added yet, `[.., n]`, and what one is worth in each.
    batch: Vec<i16>,
    units: Vec<f64>,
}

/// `L` of `H = L L^T`, of the inputs in order of their moments, the least first.
#[derive(Debug, Clone)]
pub struct Factor {
    n: usize,
    /// The input of each row and column of `l`.
    order: Vec<usize>,
    /// `[n, n]`, row-major, lower triangle.
    l: Vec<f64>,
}

impl Moments {
    /// Nothing seen, of inputs of `n` entries.
    pub fn new(n: usize) -> Self {
        Self { n, sums: vec![0.; n * n], batch: Vec::with_capacity(BATCH * n), units: Vec::with_capacity(BATCH) }
    }

    /// Adds the A15 row `q` under `exponent`, with a positive weight.
    pub fn add(&mut self, q: &[i16], exponent: i32, weight: f64) {
        self.batch.extend_from_slice(q);
        self.units.push(libm::scalbn(weight.sqrt(), exponent));
        if self.units.len() == BATCH {
            self.flush();
        }
    }

    /// Adds the batch, rounded to one step for all of it: what that loses is far below the damping.
    fn flush(&mut self) {
        let Self { n, sums, batch, units } = self;
        let largest = |row: &[i16]| f64::from(row.iter().fold(0, |max, q| q.unsigned_abs().max(max)));
        let largest = batch.chunks_exact(*n).zip(&*units).map(|(row, unit)| largest(row) * unit).fold(0., f64::max);
        if largest > 0. {
            let step = largest / STEPS;
            // Column by column, so that a moment is the product of two runs.
            let mut columns = vec![[0i16; BATCH]; *n];
            for (t, (row, unit)) in batch.chunks_exact(*n).zip(&*units).enumerate() {
                for (column, q) in columns.iter_mut().zip(row) {
                    column[t] = (f64::from(*q) * unit / step).round() as i16;
                }
            }
            let square = step * step;
            sums.par_chunks_mut(BLOCK * *n).enumerate().for_each(|(block, sums)| {
                let first = block * BLOCK;
                for (j, other) in columns.iter().enumerate().take(first + BLOCK) {
                    for (i, sums) in (first..).zip(sums.chunks_exact_mut(*n)).filter(|(i, _)| j <= *i) {
                        sums[j] += f64::from(product(&columns[i], other)) * square;
                    }
                }
            });
        }
        batch.clear();
        units.clear();
    }

    /// The factor of the damped matrix.
    pub fn factor(mut self) -> Factor {
        self.flush();
        let Self { n, sums, .. } = self;
        let mut order: Vec<usize> = (0..n).collect();
        order.sort_by(|a, b| sums[a * n + a].total_cmp(&sums[b * n + b]).then(a.cmp(b)));
        let mut l = vec![0.; n * n];
        l.par_chunks_mut(n).zip(&order).enumerate().for_each(|(k, (row, i))| {
            for (l, j) in row[..=k].iter_mut().zip(&order) {
                *l = sums[i.max(j) * n + i.min(j)];
            }
        });
        drop(sums);
        let mean = (0..n).map(|i| l[i * n + i]).sum::<f64>() / n as f64;
        // Inputs that are all zero: any rounding will do.
        let damping = if mean > 0. { DAMPING * mean } else { 1. };
        for start in (0..n).step_by(4 * BLOCK) {
            let end = n.min(start + 4 * BLOCK);
            let (done, rest) = l.split_at_mut(start * n);
            let rows = &mut rest[..(end - start) * n];
            // What the rows above determine, for several rows at once; then what these determine for each other.
            rows.par_chunks_mut(BLOCK / 2 * n).for_each(|rows| {
                for (j, above) in done.chunks_exact(n).enumerate() {
                    rows.chunks_exact_mut(n).for_each(|row| eliminate(row, above, j));
                }
            });
            for i in start..end {
                let (above, rest) = rows.split_at_mut((i - start) * n);
                let row = &mut rest[..n];
                for (j, above) in (start..).zip(above.chunks_exact(n)) {
                    eliminate(row, above, j);
                }
                // Positive by the damping; the floor is for what rounding leaves of it.
                row[i] = (row[i] + damping - dot(&row[..i], &row[..i])).max(damping * 1e-3).sqrt();
            }
        }
        Factor { n, order, l }
    }
}

impl Factor {
    /// Rounds rows of weights `w` `[m, n]`, each divided by its scale of `scales` `[m]`, to integers in `[-127, 127]`, over
    /// `out`. A row of scale 0 stays as it is.
    pub fn round(&self, w: &[f32], scales: &[f64], out: &mut [i8]) {
        let n = self.n;
        let blocks = w.par_chunks(BLOCK * n).zip(scales.par_chunks(BLOCK)).zip(out.par_chunks_mut(BLOCK * n));
        blocks.for_each(|((w, scales), out)| {
            let mut carried = vec![0f64; w.len()];
            for (k, &input) in self.order.iter().enumerate().rev() {
                let l = &self.l[k * n..][..=k];
                let rows = w.chunks_exact(n).zip(scales).zip(out.chunks_exact_mut(n)).zip(carried.chunks_exact_mut(n));
                for (((w, scale), out), carried) in rows.filter(|(((_, scale), _), _)| **scale > 0.) {
                    let wanted = f64::from(w[input]) / scale;
                    let q = (wanted + carried[k] / l[k]).round().clamp(-127., 127.);
                    out[input] = q as i8;
                    let error = wanted - q;
                    for (carried, l) in carried[..k].iter_mut().zip(l) {
                        *carried += l * error;
                    }
                }
            }
        });
    }
}

/// Entry `j` of a row of the factor, from its first `j` and from row `j`, which is done.
fn eliminate(row: &mut [f64], above: &[f64], j: usize) {
    row[j] = (row[j] - dot(&row[..j], &above[..j])) / above[j];
}

/// A sum of products of entries up to [`STEPS`]: exact. Nothing wraps, but checks that nothing does would keep the
/// compiler from computing several at once.
fn product(a: &[i16; BATCH], b: &[i16; BATCH]) -> i32 {
    a.iter().zip(b).fold(0, |sum, (a, b)| i32::wrapping_add(sum, i32::from(*a).wrapping_mul(i32::from(*b))))
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
                let expected = entry(factor.order[i], factor.order[j]) + if i == j { damping } else { 0. };
                // The inputs were rounded to a 2047th of the largest.
                assert!((found / expected - 1.).abs() < 1e-3, "{i} {j}: {found} {expected}");
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
        let w: Vec<f32> = (0..64 * n).map(|i| (i as f32 * 0.77).sin() * 100.).collect();
        let mut rounded = vec![0; w.len()];
        factor.round(&w, &[1.; 64], &mut rounded);
        for (w, rounded) in w.chunks(n).zip(rounded.chunks(n)) {
            guided += error(w, rounded);
            nearest += error(w, &w.iter().map(|w| w.round() as i8).collect::<Vec<_>>());
        }
        assert!(guided < 0.25 * nearest, "{guided} {nearest}");
    }

    #[test]
    fn round_of_integers_and_without_inputs_is_the_nearest() {
        let w = [3., -127., 0., 5.];
        let mut out = [0; 4];
        moments(4, &inputs(4, 10)).factor().round(&w, &[1.], &mut out);
        assert_eq!(out, [3, -127, 0, 5]);
        let nothing = Moments::new(4).factor();
        nothing.round(&[2.6, -2.4, 200., 0.5], &[1.], &mut out);
        assert_eq!(out, [3, -2, 127, 1]);
        nothing.round(&[7.; 4], &[0.], &mut out);
        assert_eq!(out, [3, -2, 127, 1], "a row of zeros");
    }

    /// More inputs than a batch, more entries than a block: as the definition says.
    #[test]
    fn moments_of_several_batches_are_the_weighted_sums() {
        let (n, inputs) = (150, inputs(150, 2 * BATCH + 7));
        let mut moments = Moments::new(n);
        let weight = |t: usize| 1. + (t % 3) as f64;
        inputs.iter().enumerate().for_each(|(t, q)| moments.add(q, 2, weight(t)));
        moments.flush();
        for (i, j) in [(0, 0), (149, 0), (149, 149), (80, 17)] {
            let products = inputs.iter().enumerate().map(|(t, x)| weight(t) * f64::from(x[i]) * f64::from(x[j]) * 16.);
            let (found, expected) = (moments.sums[i * n + j], products.sum::<f64>());
            assert!((found / expected - 1.).abs() < 1e-3, "{i} {j}: {found} {expected}");
        }
        let factor = moments.factor();
        let (last, other) = (factor.order[149], factor.order[17]);
        let found: f64 = (0..=17).map(|k| factor.l[149 * n + k] * factor.l[17 * n + k]).sum();
        let products =
            inputs.iter().enumerate().map(|(t, x)| weight(t) * f64::from(x[last]) * f64::from(x[other]) * 16.);
        let expected = products.sum::<f64>();
        assert!((found / expected - 1.).abs() < 1e-3, "{found} {expected}");
        let moment =
            |i: &usize| inputs.iter().enumerate().map(|(t, x)| weight(t) * f64::from(x[*i]).powi(2)).sum::<f64>();
        assert!(factor.order.iter().map(moment).is_sorted_by(|a, b| *a < b * 1.001));
    }
}

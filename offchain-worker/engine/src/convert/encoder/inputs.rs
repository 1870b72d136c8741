//! The inputs of an encoder's linears over calibration text, layer by layer, as the exact engine computes them.

use std::sync::atomic::AtomicBool;

use assay_exact::layout::PartName;

use super::moments::{Factor, Moments};
use crate::{
    convert::error::Result,
    kernels::{Backend, Kernels, Threads},
    model::{A15Rows, Buffers, Executor, Model, Pass},
    package::Package,
    EngineError,
};

/// A text whose inputs guide the rounding, and what it counts beside the others.
pub struct RoundingText {
    pub ids: Vec<u32>,
    pub weight: f64,
}

/// Texts on their way through a draft of the model: each linear rounded to the nearest.
pub struct LayerInputs {
    package: Package,
    kernels: &'static dyn Kernels,
    threads: Threads,
    /// Residual rows of each text, `[n, d]`, that enter the next layer, and what the text counts.
    rows: Vec<(Vec<i32>, f64)>,
    next: u32,
}

/// What guides the rounding of one layer's linears.
pub struct LayerFactors {
    attention: Factor,
    output: Factor,
    up: Factor,
    down: Factor,
}

impl LayerInputs {
    /// Embeds the texts, each of 1 to `context` ids of the draft's vocabulary.
    pub fn new(package: Package, texts: &[RoundingText]) -> Result<Self> {
        let kernels = Backend::detect().kernels().map_err(EngineError::from)?;
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = Threads::new(threads).map_err(EngineError::from)?;
        let d = package.header().d as usize;
        let model = Model::load(&package, 0, 1)?;
        let run = Executor { kernels, threads: &threads };
        let mut buffers = Buffers::default();
        let rows = texts.iter().map(|RoundingText { ids, weight }| {
            let mut h = vec![0; ids.len() * d];
            model.embed(run, ids, 0, &mut h, &mut buffers);
            (h, *weight)
        });
        let rows = rows.collect();
        Ok(Self { rows, kernels, threads, next: 0, package })
    }

    /// Takes all texts through the next layer and measures what its linears are given.
    pub fn next_layer(&mut self) -> Result<LayerFactors> {
        let Self { package, kernels, threads, rows, next } = self;
        let header = package.header();
        let (d, f, heads) = (header.d as usize, header.hidden as usize, header.query_width() as usize);
        let model = Model::load(package, *next, *next + 1)?;
        *next += 1;
        let run = Executor { kernels: *kernels, threads };
        let mut cache = model.new_cache();
        let mut buffers = Buffers::default();
        let (mut attention, mut output) = (Moments::new(d), Moments::new(heads));
        let (mut up, mut down) = (Moments::new(d), Moments::new(f));
        let never = AtomicBool::new(false);
        for (h, weight) in rows {
            // A text's vector is of all of its positions: a short one counts as much as a long one.
            let weight = *weight * (d as f64 / h.len() as f64);
            model.forward_whole(run, h, &mut cache, &mut buffers, &never, |pass, buffers, n| {
                let add = |moments: &mut Moments, rows: &A15Rows, weight: &dyn Fn(usize) -> f64| {
                    for t in 0..n {
                        let (q, exponent) = rows.row(t);
                        moments.add(q, exponent, weight(t));
                    }
                };
                let alike = |_| weight;
                match pass {
                    Pass::Written => add(&mut attention, &buffers.x, &alike),
                    Pass::Computed => {
                        add(&mut output, &buffers.joined, &alike);
                        add(&mut up, &buffers.x, &alike);
                        // The norm that follows divides an error by the deviation of what it norms. That of the first
                        // position is far above the others' in many models, and so are its inputs.
                        let row = |t: usize| t * d..(t + 1) * d;
                        let normed = |t| weight / variance(&buffers.tail[row(t)], &buffers.line[row(t)]);
                        add(&mut down, &buffers.down, &normed);
                    }
                }
            })?;
        }
        Ok(LayerFactors {
            attention: attention.factor(),
            output: output.factor(),
            up: up.factor(),
            down: down.factor(),
        })
    }
}

/// The variance of the sum of two rows, at least 1.
fn variance(h: &[i32], line: &[i32]) -> f64 {
    let sums = || h.iter().zip(line).map(|(h, line)| f64::from(*h) + f64::from(*line));
    let mean = sums().sum::<f64>() / h.len() as f64;
    let squares: f64 = sums().map(|x| (x - mean) * (x - mean)).sum();
    (squares / h.len() as f64).max(1.)
}

impl LayerFactors {
    /// The factor of a linear's inputs; `None` for parts that are none.
    pub fn of(&self, part: PartName) -> Option<&Factor> {
        match part {
            PartName::Query | PartName::Key | PartName::Value => Some(&self.attention),
            PartName::Output => Some(&self.output),
            PartName::Up(None) => Some(&self.up),
            PartName::Down(None) => Some(&self.down),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::variance;

    #[test]
    fn variance_is_of_the_sum_and_never_zero() {
        assert_eq!(variance(&[1, -5, 4], &[2, 8, -4]), 2.);
        assert_eq!(variance(&[7, 7], &[-3, -3]), 1.);
        assert_eq!(variance(&[i32::MAX, i32::MIN], &[i32::MAX, i32::MIN]), (2f64.powi(32) - 1.).powi(2));
    }
}

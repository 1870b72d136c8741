//! The inputs of an encoder's linears over calibration text, layer by layer, as the exact engine computes them.

use std::sync::atomic::AtomicBool;

use assay_exact::layout::PartName;

use super::moments::{Factor, Moments};
use crate::{
    convert::error::Result,
    kernels::{Backend, Kernels, Threads},
    model::{Buffers, Executor, Model, Pass},
    package::Package,
    EngineError,
};

/// Texts on their way through a draft of the model: each linear rounded to the nearest.
pub struct LayerInputs {
    package: Package,
    kernels: &'static dyn Kernels,
    threads: Threads,
    /// Residual rows of each text, `[n, d]`, that enter the next layer.
    rows: Vec<Vec<i32>>,
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
    pub fn new(package: Package, texts: &[Vec<u32>]) -> Result<Self> {
        let kernels = Backend::detect().kernels().map_err(EngineError::from)?;
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = Threads::new(threads).map_err(EngineError::from)?;
        let d = package.header().d as usize;
        let model = Model::load(&package, 0, 1)?;
        let run = Executor { kernels, threads: &threads };
        let mut buffers = Buffers::default();
        let rows = texts.iter().map(|ids| {
            let mut h = vec![0; ids.len() * d];
            model.embed(run, ids, 0, &mut h, &mut buffers);
            h
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
        for h in rows {
            // A text's vector is of all of its positions: a short one counts as much as a long one.
            let weight = d as f64 / h.len() as f64;
            model.forward_whole(run, h, &mut cache, &mut buffers, &never, |pass, buffers, n| {
                let rows = |moments: &mut Moments, rows: &crate::model::A15Rows| {
                    for t in 0..n {
                        let (q, exponent) = rows.row(t);
                        moments.add(q, exponent, weight);
                    }
                };
                match pass {
                    Pass::Written => rows(&mut attention, &buffers.x),
                    Pass::Computed => {
                        rows(&mut output, &buffers.joined);
                        rows(&mut up, &buffers.x);
                        rows(&mut down, &buffers.down);
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

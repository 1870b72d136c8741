//! Logits of whole windows from the exact engine. Generation only needs those of the last position.

use std::sync::atomic::AtomicBool;

use assay_exact::header::Kind;

use crate::{
    kernels::{Backend, Kernels, Threads},
    model::{Buffers, Executor, Lane, Model},
    package::Package,
    EngineError,
};

/// Positions that go through the layers together.
const CHUNK: usize = 128;

/// The exact engine as a scorer of text.
pub struct ExactScorer {
    model: Model,
    kernels: &'static dyn Kernels,
    threads: Threads,
}

impl ExactScorer {
    /// Loads all layers of a package; `backend` and `threads` change the speed, never a logit.
    pub fn new(package: &Package, backend: Backend, threads: usize) -> Result<Self, EngineError> {
        if package.header().kind == Kind::Encoder {
            return Err(EngineError::NotADecoder);
        }
        Ok(Self {
            model: Model::load(package, 0, package.header().layers)?,
            kernels: backend.kernels()?,
            threads: Threads::new(threads)?,
        })
    }

    /// Logits `[T][vocab]`, i32 Q16, of the `T` positions of `ids`, before a final cap.
    pub fn logits(&self, ids: &[u32]) -> Result<Vec<i32>, EngineError> {
        let header = self.model.header();
        if ids.len() > header.context as usize {
            return Err(EngineError::Context { prompt: ids.len() as u64, max_new: 0, context: header.context });
        }
        if let Some((position, id)) = (0..).zip(ids).find(|(_, id)| **id >= header.vocab) {
            return Err(EngineError::TokenId { position, id: *id, vocab: header.vocab });
        }
        let (d, vocab) = (header.d as usize, header.vocab as usize);
        let run = Executor { kernels: self.kernels, threads: &self.threads };
        let (mut cache, mut buffers) = (self.model.new_cache(), Buffers::default());
        let (mut rows, mut row_logits) = (Vec::new(), Vec::new());
        let mut logits = Vec::with_capacity(ids.len() * vocab);
        for (chunk, ids) in ids.chunks(CHUNK).enumerate() {
            let start = chunk * CHUNK;
            rows.resize(ids.len() * d, 0);
            self.model.embed(run, ids, start, &mut rows, &mut buffers);
            let cancel = AtomicBool::new(false);
            let mut lanes = [Lane { start, n: rows.len() / d, cache: &mut cache }];
            self.model.forward(run, &mut rows, &mut lanes, &mut buffers, &cancel)?;
            for row in rows.chunks_exact(d) {
                self.model.logits(run, row, &mut row_logits, &mut buffers);
                logits.extend_from_slice(&row_logits);
            }
        }
        Ok(logits)
    }
}

//! The transformer over kernels and packages (sections 5 to 9), one file per concern.
//!
//! A [`Model`] holds the layers of a span, with the embedding if the span begins the model and the head (of an
//! encoder: the pooling) if it ends it. It has no state: keys and values are in a [`KvCache`], everything else in [`Buffers`] that are
//! reused from call to call. All rows of a call go through a layer together; no result depends on how
//! positions are divided into calls, or on which other sequences' rows are beside them. A decoder runs by `forward`, an encoder by
//! `forward_whole`.

mod attention;
mod buffers;
mod cache;
mod decoder;
mod embedding;
mod encoder;
mod head;
mod mlp;
mod rope;

use std::sync::atomic::{AtomicBool, Ordering};

use assay_exact::{
    header::{Header, Kind},
    layout::Entry,
};

use crate::{
    kernels::{Kernels, Threads},
    package::Package,
    EngineError,
};

use decoder::DecoderLayer;
use embedding::Embedding;
use encoder::Pooling;
use head::Head;
use rope::RopeTables;

pub(crate) use buffers::{fit, Buffers};
pub(crate) use cache::{KvCache, Lane};

/// What runs the ops.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Executor<'a> {
    pub kernels: &'static dyn Kernels,
    pub threads: &'a Threads,
}

/// The layers `first..end` of a model, with embedding and head where the span has them.
#[derive(Debug)]
pub(crate) struct Model {
    header: Header,
    embedding: Option<Embedding>,
    rope: RopeTables,
    layers: Vec<DecoderLayer>,
    head: Option<Head>,
    pooling: Option<Pooling>,
}

impl Model {
    /// Loads a span; weights stay where the package has them.
    pub fn load(package: &Package, first: u32, end: u32) -> Result<Self, EngineError> {
        let header = package.header().clone();
        let layers = (first..end).map(|i| DecoderLayer::load(package, &header, i)).collect::<Result<_, _>>()?;
        Ok(Self {
            embedding: (first == 0).then(|| Embedding::load(package)).transpose()?,
            rope: RopeTables::load(package)?,
            layers,
            head: (end == header.layers && header.has_entry(Entry::Head)).then(|| Head::load(package)).transpose()?,
            pooling: (end == header.layers && header.kind == Kind::Encoder)
                .then(|| Pooling::load(package))
                .transpose()?,
            header,
        })
    }

    pub fn header(&self) -> &Header {
        &self.header
    }

    /// An empty cache for this span.
    pub fn new_cache(&self) -> KvCache {
        KvCache::new(self.layers.len(), self.header.kv_heads as usize, self.header.head_dim as usize)
    }

    /// Embeds ids at the positions from `start` on into `h` `[n, d]`, Q`F_h`.
    ///
    /// Only spans that begin the model have an embedding; every id is below `vocab`.
    pub fn embed(&self, run: Executor<'_>, ids: &[u32], start: usize, h: &mut [i32], buffers: &mut Buffers) {
        if let Some(embedding) = &self.embedding {
            embedding.forward(run, ids, start, self.header.f_h, h, buffers);
        }
    }

    /// Takes the rows `h` `[n, d]` of all lanes through the layers, in place. Leaves the last layer's tail in `buffers`. `Err` if
    /// cancelled between two layers.
    pub fn forward(
        &self,
        run: Executor<'_>,
        h: &mut [i32],
        lanes: &mut [Lane<'_>],
        buffers: &mut Buffers,
        cancel: &AtomicBool,
    ) -> Result<(), EngineError> {
        self.rope.rows(lanes, &mut buffers.rope);
        for (i, layer) in self.layers.iter().enumerate() {
            if cancel.load(Ordering::Relaxed) {
                return Err(EngineError::Cancelled);
            }
            let keep_tail = i + 1 == self.layers.len();
            layer.forward(run, i, h, lanes, keep_tail, buffers);
        }
        Ok(())
    }

    /// The logits of final rows `h` `[n, d]`, uncapped, `[n, vocab]`, i32 Q16. Only spans that end the model have
    /// a head; no logits without.
    pub fn logits<'a>(
        &self,
        run: Executor<'_>,
        h: &[i32],
        logits: &'a mut Vec<i32>,
        buffers: &mut Buffers,
    ) -> &'a mut [i32] {
        let Some(head) = &self.head else { return &mut [] };
        let n = h.len() / self.header.d as usize;
        let logits = fit(logits, n * self.header.vocab as usize);
        head.forward(run, h, logits, buffers);
        logits
    }
}

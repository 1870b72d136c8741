//! What only encoders have: layers whose positions see the whole text, and pooling (sections 7 and 9).

use std::sync::atomic::{AtomicBool, Ordering};

use assay_exact::{
    embed::{embedding_output, pool_add},
    header::Pool,
    layout::{Entry, PartName},
};

use super::{fit, Buffers, Executor, KvCache, Lane, Model};
use crate::{
    package::{NormPart, Package, PackageError},
    EngineError,
};

/// Most rows that go through an op together: bounds the scratch, not the text.
const CHUNK: usize = 128;

/// From final rows to a vector.
#[derive(Debug)]
pub(crate) struct Pooling {
    norm: Option<NormPart>,
    pool: Pool,
}

impl Pooling {
    pub fn load(package: &Package) -> Result<Self, PackageError> {
        let header = package.header();
        Ok(Self {
            norm: header
                .has_entry(Entry::FinalNorm)
                .then(|| NormPart::load(package, Entry::FinalNorm, PartName::Whole))
                .transpose()?,
            pool: header.pool,
        })
    }

    /// The vector `[d]`, i16 Q15, of a text's final rows `h` `[n, d]`, Q`f_h`.
    fn forward(&self, run: Executor<'_>, h: &[i32], d: usize, f_h: u32, buffers: &mut Buffers) -> Vec<i16> {
        let rows = match self.pool {
            Pool::Mean | Pool::None => h,
            Pool::First => &h[..d],
        };
        let mut pooled = vec![0; d];
        let Buffers { wide, row, .. } = buffers;
        for h in rows.chunks_exact(d) {
            match &self.norm {
                Some(norm) => {
                    let row = fit(row, d);
                    run.kernels.norm_to(&norm.norm(), f_h, h, fit(wide, d), row);
                    pool_add(&mut pooled, row);
                }
                None => pool_add(&mut pooled, h),
            }
        }
        let mut v = vec![0; d];
        embedding_output(&pooled, &mut v);
        v
    }
}

impl Model {
    /// Takes the rows `h` `[n, d]` of a whole text through the layers of an encoder, in place. In each layer the
    /// keys and values of all positions come first. `tail` sees the buffers after each run of rows of the last layer, with
    /// the number of rows, in order. `Err` if cancelled between two layers; the cache is then of no use.
    pub fn forward_whole(
        &self,
        run: Executor<'_>,
        h: &mut [i32],
        cache: &mut KvCache,
        buffers: &mut Buffers,
        cancel: &AtomicBool,
        mut tail: impl FnMut(&Buffers, usize),
    ) -> Result<(), EngineError> {
        let d = self.header.d as usize;
        let length = h.len() / d;
        for (i, layer) in self.layers.iter().enumerate() {
            if cancel.load(Ordering::Relaxed) {
                return Err(EngineError::Cancelled);
            }
            let last = i + 1 == self.layers.len();
            for (start, h) in (0..).step_by(CHUNK).zip(h.chunks(CHUNK * d)) {
                let mut lanes = [Lane { start, n: h.len() / d, cache: &mut *cache }];
                self.rope.rows(&lanes, &mut buffers.rope);
                layer.write(run, i, h, &mut lanes, buffers);
            }
            for (start, h) in (0..).step_by(CHUNK).zip(h.chunks_mut(CHUNK * d)) {
                let lanes = [Lane { start, n: h.len() / d, cache: &mut *cache }];
                self.rope.rows(&lanes, &mut buffers.rope);
                layer.read(run, i, h, &lanes, length, last, buffers);
                if last {
                    tail(buffers, h.len() / d);
                }
            }
        }
        Ok(())
    }

    /// The vector of a text from its final rows `h` `[n, d]`: i16 Q15, `[d]`. Only spans that end an encoder have
    /// one; empty without.
    pub fn pooled(&self, run: Executor<'_>, h: &[i32], buffers: &mut Buffers) -> Vec<i16> {
        let (d, f_h) = (self.header.d as usize, self.header.f_h);
        self.pooling.as_ref().map_or_else(Vec::new, |pooling| pooling.forward(run, h, d, f_h, buffers))
    }
}

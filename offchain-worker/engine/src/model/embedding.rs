//! Token ids to residual rows (section 9).

use assay_exact::{
    embed::{embed_row, EmbeddingRow},
    layout::{Entry, PartName},
};

use super::{fit, Buffers, Executor};
use crate::package::{LinearPart, NormPart, Package, PackageError};

/// Embedding matrix, learned positions (flag 8) and the norm after them (flag 9).
#[derive(Debug)]
pub(crate) struct Embedding {
    tokens: LinearPart,
    positions: Option<LinearPart>,
    norm: Option<NormPart>,
}

impl Embedding {
    pub fn load(package: &Package) -> Result<Self, PackageError> {
        let has = |entry| package.header().has_entry(entry);
        Ok(Self {
            tokens: LinearPart::load(package, Entry::Embedding, PartName::Whole)?,
            positions: has(Entry::Positions)
                .then(|| LinearPart::load(package, Entry::Positions, PartName::Whole))
                .transpose()?,
            norm: has(Entry::EmbeddingNorm)
                .then(|| NormPart::load(package, Entry::EmbeddingNorm, PartName::Whole))
                .transpose()?,
        })
    }

    /// `h` `[n, d]`, Q`f_h`, of the ids at the positions from `start` on.
    pub fn forward(
        &self,
        run: Executor<'_>,
        ids: &[u32],
        start: usize,
        f_h: u32,
        h: &mut [i32],
        buffers: &mut Buffers,
    ) {
        let d = h.len() / ids.len().max(1);
        for ((i, id), h) in ids.iter().enumerate().zip(h.chunks_exact_mut(d)) {
            let position = self.positions.as_ref().map(|p| row(p, start + i));
            embed_row(row(&self.tokens, *id as usize), position, f_h, h);
            if let Some(norm) = &self.norm {
                let out = fit(&mut buffers.line, d);
                run.kernels.norm_to(&norm.norm(), f_h, h, fit(&mut buffers.wide, d), out);
                h.copy_from_slice(out);
            }
        }
    }
}

fn row(matrix: &LinearPart, i: usize) -> EmbeddingRow<'_> {
    let (weights, scale) = matrix.row(i);
    EmbeddingRow { weights, scale }
}

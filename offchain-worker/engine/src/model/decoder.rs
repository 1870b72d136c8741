//! One layer: attention and MLP around the residual stream (section 9).

use assay_exact::{
    header::{Header, Placement},
    layout::{Entry, PartName},
    statics::LayerStatics,
};

use super::{
    attention::{Attention, Reach},
    buffers::A15Rows,
    fit,
    mlp::Mlp,
    Buffers, Executor, Lane,
};
use crate::package::{entry_file, NormPart, Package, PackageError};

/// The norms of one block (attention or MLP).
#[derive(Debug)]
struct BlockNorms {
    /// n: before the block, or after the addition.
    norm: NormPart,
    /// n': on the block's output (sandwich).
    out: Option<NormPart>,
}

/// A layer of the model.
#[derive(Debug)]
pub(crate) struct DecoderLayer {
    placement: Placement,
    width: usize,
    f_h: u32,
    attention_norms: BlockNorms,
    attention: Attention,
    mlp_norms: BlockNorms,
    mlp: Mlp,
}

impl DecoderLayer {
    pub fn load(package: &Package, header: &Header, index: u32) -> Result<Self, PackageError> {
        let entry = Entry::Layer(index);
        let norm = |name| NormPart::load(package, entry, name);
        let out = |name| (header.placement == Placement::Sandwich).then(|| norm(name)).transpose();
        let (part, bytes) = package.part(entry, PartName::Statics)?;
        let statics = LayerStatics::parse(&bytes, header).map_err(|source| PackageError::Constants {
            file: entry_file(entry),
            part: part.name,
            source,
        })?;
        Ok(Self {
            placement: header.placement,
            width: header.d as usize,
            f_h: header.f_h,
            attention_norms: BlockNorms { norm: norm(PartName::AttentionNorm)?, out: out(PartName::AttentionOutNorm)? },
            mlp: Mlp::load(package, header, entry, statics.f_d)?,
            attention: Attention::load(package, header, entry, statics)?,
            mlp_norms: BlockNorms { norm: norm(PartName::MlpNorm)?, out: out(PartName::MlpOutNorm)? },
        })
    }

    /// `h` `[n, d]` of the lanes' positions, in place; this is layer `index` of their caches. With `keep_tail`, `buffers.tail`
    /// holds h after the attention line afterwards, and `buffers.down` the inputs of the down projections.
    pub fn forward(
        &self,
        run: Executor<'_>,
        index: usize,
        h: &mut [i32],
        lanes: &mut [Lane<'_>],
        keep_tail: bool,
        buffers: &mut Buffers,
    ) {
        self.block_input(run, &self.attention_norms, h, buffers);
        self.attention.forward(run, index, lanes, buffers);
        self.finish(run, h, keep_tail, buffers);
    }

    /// The keys and values of the rows `h` `[n, d]` to the lanes' caches: what an encoder computes of all of its text before
    /// [`Self::read`].
    pub fn write(&self, run: Executor<'_>, index: usize, h: &[i32], lanes: &mut [Lane<'_>], buffers: &mut Buffers) {
        self.block_input(run, &self.attention_norms, h, buffers);
        self.attention.write(run, index, lanes, buffers);
    }

    /// [`Self::forward`] of rows whose text of `length` positions is in the cache, all of which they see.
    #[allow(clippy::too_many_arguments)]
    pub fn read(
        &self,
        run: Executor<'_>,
        index: usize,
        h: &mut [i32],
        lanes: &[Lane<'_>],
        length: usize,
        keep_tail: bool,
        buffers: &mut Buffers,
    ) {
        self.block_input(run, &self.attention_norms, h, buffers);
        self.attention.read(run, index, Reach::Whole { length }, lanes, buffers);
        self.finish(run, h, keep_tail, buffers);
    }

    /// From the attention's output in `buffers.line` to the layer's, in place.
    fn finish(&self, run: Executor<'_>, h: &mut [i32], keep_tail: bool, buffers: &mut Buffers) {
        self.add_line(run, &self.attention_norms, h, buffers);
        if keep_tail {
            fit(&mut buffers.tail, h.len()).copy_from_slice(h);
        }
        self.block_input(run, &self.mlp_norms, h, buffers);
        self.mlp.forward(run, buffers);
        self.add_line(run, &self.mlp_norms, h, buffers);
    }

    /// A block's input, to `buffers.x`.
    fn block_input(&self, run: Executor<'_>, norms: &BlockNorms, h: &[i32], buffers: &mut Buffers) {
        let Buffers { x, wide, .. } = buffers;
        match self.placement {
            Placement::Pre | Placement::Sandwich => run.norm_a15(&norms.norm, h, x, wide),
            Placement::Post => {
                let d = self.width;
                let (q, exponents) = x.resize(h.len() / d, d);
                run.threads.rows(q, exponents, wide, |t, q, wide| {
                    for (wide, h) in wide.iter_mut().zip(&h[t * d..(t + 1) * d]) {
                        *wide = i64::from(*h);
                    }
                    run.kernels.requantize(wide, -(self.f_h as i32), q)
                });
            }
        }
    }

    /// Adds a block's output (`buffers.line`) to the residual stream.
    fn add_line(&self, run: Executor<'_>, norms: &BlockNorms, h: &mut [i32], buffers: &mut Buffers) {
        let d = self.width;
        let Buffers { line, wide, row, .. } = buffers;
        let (wide, row) = (fit(wide, d), fit(row, d));
        for (h, line) in h.chunks_exact_mut(d).zip(line.chunks_exact(d)) {
            match &norms.out {
                Some(norm) => {
                    run.kernels.norm_to(&norm.norm(), self.f_h, line, wide, row);
                    run.kernels.add(h, row);
                }
                None => run.kernels.add(h, line),
            }
            if self.placement == Placement::Post {
                run.kernels.norm_to(&norms.norm.norm(), self.f_h, h, wide, row);
                h.copy_from_slice(row);
            }
        }
    }
}

impl Executor<'_> {
    /// `A15(norm)` of the rows `h`, to `x`.
    pub fn norm_a15(self, norm: &NormPart, h: &[i32], x: &mut A15Rows, wide: &mut Vec<i64>) {
        let norm = norm.norm();
        let d = norm.gain.len();
        let (q, exponents) = x.resize(h.len() / d, d);
        self.threads
            .rows(q, exponents, wide, |t, q, wide| self.kernels.norm_a15(&norm, &h[t * d..(t + 1) * d], wide, q));
    }
}

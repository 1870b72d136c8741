//! Final norm and head (section 9).

use assay_exact::{
    header::Flags,
    layout::{Entry, PartName},
};

use super::{Buffers, Executor};
use crate::package::{LinearPart, NormPart, Package, PackageError};

/// Fraction bits of logits, as of every linear whose output is not a residual row.
const LOGITS_FRACTION: i32 = 16;

/// What turns final residual rows into logits.
#[derive(Debug)]
pub(crate) struct Head {
    norm: NormPart,
    head: LinearPart,
}

impl Head {
    pub fn load(package: &Package) -> Result<Self, PackageError> {
        Ok(Self {
            norm: NormPart::load(package, Entry::FinalNorm, PartName::Whole)?,
            head: if package.header().flags.has(Flags::SHARED_HEAD) {
                LinearPart::load_shared_head(package)?
            } else {
                LinearPart::load(package, Entry::Head, PartName::Whole)?
            },
        })
    }

    /// `L` of final rows: `h` `[n, d]`, `logits` `[n, vocab]`, Q16, before the final cap.
    pub fn forward(&self, run: Executor<'_>, h: &[i32], logits: &mut [i32], buffers: &mut Buffers) {
        run.norm_a15(&self.norm, h, &mut buffers.x, &mut buffers.wide);
        run.threads.linear(run.kernels, self.head.rows(), buffers.x.view(), LOGITS_FRACTION, logits);
    }
}

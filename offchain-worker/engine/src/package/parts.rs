//! Parts as the kernels take them: weights in place, vectors decoded once.

use assay_exact::{
    layout::{Entry, Layout, PartName},
    linear::Planes,
    norm::Norm,
    statics::NormConstants,
};

use super::{bytes, Bytes, Package, PackageError};
use crate::kernels::LinearRows;

/// A linear part (section 3). Scales and bias are copied, because they follow the weights at any address;
/// the weights, which are all of the size, are used where they lie.
#[derive(Clone, Debug)]
pub(crate) struct LinearPart {
    /// One plane or two, one behind the other.
    weights: Bytes,
    scales: Vec<u32>,
    bias: Option<Vec<i32>>,
    inputs: usize,
}

impl LinearPart {
    pub fn load(package: &Package, entry: Entry, name: PartName) -> Result<Self, PackageError> {
        let (part, bytes) = package.part(entry, name)?;
        let Layout::Linear { out, input, second_plane, bias } = part.layout else {
            unreachable!("{entry:?} {name:?} is a linear part in every package")
        };
        let (out, inputs) = (out as usize, input as usize);
        let plane = out * inputs;
        let scales_at = if second_plane { 2 * plane } else { plane };
        let bias_at = scales_at + 4 * out;
        Ok(Self {
            weights: bytes.slice(0..scales_at),
            scales: bytes::to_u32(&bytes[scales_at..bias_at]),
            bias: bias.then(|| bytes::to_i32(&bytes[bias_at..])),
            inputs,
        })
    }

    /// The head that shares the embedding's weights, with its own scales.
    pub fn load_shared_head(package: &Package) -> Result<Self, PackageError> {
        let embedding = Self::load(package, Entry::Embedding, PartName::Whole)?;
        let (_, scales) = package.part(Entry::Head, PartName::Whole)?;
        Ok(Self { scales: bytes::to_u32(&scales), ..embedding })
    }

    /// All rows.
    pub fn rows(&self) -> LinearRows<'_> {
        LinearRows { w: self.planes(), scales: &self.scales, bias: self.bias.as_deref(), inputs: self.inputs }
    }

    /// The weights and the packed scale of row `i`.
    pub fn row(&self, i: usize) -> (Planes<'_>, u32) {
        let (_, rest) = self.planes().split_at(i * self.inputs);
        let (row, _) = rest.split_at(self.inputs);
        (row, self.scales[i])
    }

    fn planes(&self) -> Planes<'_> {
        let (first, second) = bytemuck::cast_slice(&self.weights).split_at(self.scales.len() * self.inputs);
        Planes { first, second: (!second.is_empty()).then_some(second) }
    }
}

/// A norm part (section 5).
#[derive(Clone, Debug)]
pub(crate) struct NormPart {
    constants: NormConstants,
    gain: Vec<i32>,
    bias: Option<Vec<i32>>,
}

impl NormPart {
    pub fn load(package: &Package, entry: Entry, name: PartName) -> Result<Self, PackageError> {
        let (part, bytes) = package.part(entry, name)?;
        let Layout::Norm { n, bias } = part.layout else {
            unreachable!("{entry:?} {name:?} is a norm part in every package")
        };
        let blame = |source| PackageError::Constants { file: super::entry_file(entry), part: name, source };
        let (constants, vectors) = bytes.split_at(NormConstants::BYTES);
        let (gain, bias_bytes) = vectors.split_at(4 * n as usize);
        Ok(Self {
            constants: NormConstants::parse(constants).map_err(blame)?,
            gain: bytes::to_i32(gain),
            bias: bias.then(|| bytes::to_i32(bias_bytes)),
        })
    }

    pub fn norm(&self) -> Norm<'_> {
        Norm { f_g: self.constants.f_g, eps: self.constants.eps, gain: &self.gain, bias: self.bias.as_deref() }
    }
}

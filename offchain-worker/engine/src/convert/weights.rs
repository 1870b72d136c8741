//! The checkpoint's weights as the graph wants them: gains instead of what a family stores, and scaled by the powers of
//! two of a [`Folding`](super::Folding), of which the float function does not depend.

use super::{
    checkpoint::Checkpoint,
    error::{ConvertError, Result},
};
use candle_core::{DType, Device, Shape, Tensor};
use std::{collections::BTreeMap, path::Path, sync::Arc};

/// What is done to a tensor when it is read. Empty exponents leave it as it is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Transform {
    /// Added to every value first.
    pub offset: f32,
    /// Row i is multiplied by `2^rows[i]`; the entries of a vector count as rows.
    pub rows: Vec<i32>,
    /// Column j is multiplied by `2^columns[j]`.
    pub columns: Vec<i32>,
}

/// A checkpoint with the changes to its tensors. Cloning shares both.
#[derive(Clone)]
pub struct Weights {
    checkpoint: Checkpoint,
    transforms: Arc<BTreeMap<String, Transform>>,
}

impl Weights {
    /// `transforms` by tensor name; the lengths are those of the tensors.
    pub fn new(checkpoint: Checkpoint, transforms: BTreeMap<String, Transform>) -> Self {
        Self { checkpoint, transforms: Arc::new(transforms) }
    }

    /// The checkpoint below.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The file that holds `tensor`.
    pub fn path_of(&self, tensor: &str) -> &Path {
        self.checkpoint.path_of(tensor)
    }

    /// How the checkpoint's own file calls `tensor`.
    pub fn described(&self, tensor: &str) -> String {
        self.checkpoint.described(tensor)
    }

    /// Checks that `tensor` is there, of `shape` and of a readable type, without reading its data.
    pub fn check(&self, tensor: &str, shape: &[usize]) -> Result<()> {
        self.checkpoint.check(tensor, shape)
    }

    /// Calls `row` with each row of the matrix `tensor`, in order.
    pub fn for_each_row(
        &self,
        tensor: &str,
        shape: [usize; 2],
        mut row: impl FnMut(usize, &[f32]) -> Result<()>,
    ) -> Result<()> {
        let Some(transform) = self.transforms.get(tensor) else {
            return self.checkpoint.for_each_row(tensor, shape, row);
        };
        let columns = factors(&transform.columns);
        let mut scaled = Vec::with_capacity(shape[1]);
        self.checkpoint.for_each_row(tensor, shape, |index, values| {
            let factor = transform.rows.get(index).map_or(1., |e| libm::scalbnf(1., *e));
            scaled.clear();
            scaled.extend(values.iter().map(|value| (value + transform.offset) * factor));
            scaled.iter_mut().zip(&columns).for_each(|(value, factor)| *value *= factor);
            row(index, &scaled)
        })
    }

    /// The vector `tensor` of `length` entries.
    pub fn vector(&self, tensor: &str, length: usize) -> Result<Vec<f32>> {
        let mut values = self.checkpoint.vector(tensor, length)?;
        if let Some(transform) = self.transforms.get(tensor) {
            values.iter_mut().for_each(|value| *value += transform.offset);
            values.iter_mut().zip(factors(&transform.rows)).for_each(|(value, factor)| *value *= factor);
        }
        Ok(values)
    }
}

fn factors(exponents: &[i32]) -> Vec<f32> {
    exponents.iter().map(|e| libm::scalbnf(1., *e)).collect()
}

/// As they are stored.
impl From<Checkpoint> for Weights {
    fn from(checkpoint: Checkpoint) -> Self {
        Self::new(checkpoint, BTreeMap::new())
    }
}

/// The float reference reads its weights through candle's `VarBuilder`: vectors and matrices.
impl candle_nn::var_builder::SimpleBackend for Weights {
    fn get(
        &self,
        shape: Shape,
        name: &str,
        _: candle_nn::Init,
        dtype: DType,
        device: &Device,
    ) -> candle_core::Result<Tensor> {
        let wrap = |error: ConvertError| candle_core::Error::wrap(error);
        let values = match *shape.dims() {
            [length] => self.vector(name, length).map_err(wrap)?,
            [rows, columns] => {
                self.check(name, &[rows, columns]).map_err(wrap)?;
                let mut values = Vec::with_capacity(rows * columns);
                self.for_each_row(name, [rows, columns], |_, row| {
                    values.extend_from_slice(row);
                    Ok(())
                })
                .map_err(wrap)?;
                values
            }
            _ => candle_core::bail!("tensor {name}: {shape:?} is neither a vector nor a matrix"),
        };
        Tensor::from_vec(values, shape, device)?.to_dtype(dtype)
    }

    fn get_unchecked(&self, name: &str, _: DType, _: &Device) -> candle_core::Result<Tensor> {
        candle_core::bail!("tensor {name}: the reference always knows the shape")
    }

    fn contains_tensor(&self, name: &str) -> bool {
        self.checkpoint.contains_tensor(name)
    }
}

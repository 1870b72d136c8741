//! The bytes of a package's parts (section 11), quantized from the checkpoint one tensor at a time.

use super::{
    checkpoint::Checkpoint,
    error::{ConvertError, Result},
    quantize,
};
use crate::package::encode;
use assay_exact::statics::NormConstants;

/// `W ‖ row scales` of the matrix `tensor`, of shape `[out, in]`.
pub fn linear(checkpoint: &Checkpoint, tensor: &str, shape: [usize; 2]) -> Result<Vec<u8>> {
    let (weights, scales) = quantized(checkpoint, tensor, shape)?;
    Ok(encode::linear(&weights, &scales, None))
}

/// The row scales alone, for a head that shares the embedding's weights.
pub fn scales(checkpoint: &Checkpoint, tensor: &str, shape: [usize; 2]) -> Result<Vec<u8>> {
    Ok(encode::scales(&quantized(checkpoint, tensor, shape)?.1))
}

/// Weights, row-major, and packed row scales.
pub(super) fn quantized(checkpoint: &Checkpoint, tensor: &str, shape: [usize; 2]) -> Result<(Vec<i8>, Vec<u32>)> {
    // Before the allocation: a shape from config.json alone is not to be trusted.
    checkpoint.check(tensor, &shape)?;
    let [rows, columns] = shape;
    let mut weights = vec![0i8; rows * columns];
    let mut scales = Vec::with_capacity(rows);
    checkpoint.for_each_row(tensor, shape, |index, row| {
        let quantized = &mut weights[index * columns..][..columns];
        let scale = quantize::row(row, quantized).ok_or_else(|| too_large(checkpoint, tensor, index, row))?;
        scales.push(scale.pack());
        Ok(())
    })?;
    Ok((weights, scales))
}

/// `F_g ‖ m ‖ k ‖ g` of an RMSNorm over rows of `n` entries in Q`f`.
pub fn norm(checkpoint: &Checkpoint, tensor: &str, n: usize, eps: f64, f: u32) -> Result<Vec<u8>> {
    let gamma = checkpoint.vector(tensor, n)?;
    let (f_g, gains) = quantize::gains(&gamma).ok_or_else(|| too_large(checkpoint, tensor, 0, &gamma))?;
    let constants = NormConstants { f_g, eps: quantize::epsilon(eps, n, f) };
    Ok(encode::norm(constants, &gains, None))
}

/// Blames the largest value of the row.
pub(super) fn too_large(checkpoint: &Checkpoint, tensor: &str, index: usize, row: &[f32]) -> ConvertError {
    let (column, value) =
        row.iter().copied().enumerate().max_by(|a, b| a.1.abs().total_cmp(&b.1.abs())).unwrap_or_default();
    ConvertError::WeightValue {
        path: checkpoint.path_of(tensor).into(),
        tensor: tensor.into(),
        row: index,
        column,
        value,
    }
}

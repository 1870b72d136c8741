//! The bytes of a package's parts (section 11), quantized from the checkpoint one tensor at a time.

use super::{
    error::{ConvertError, Result},
    plan::{bias, weight},
    quantize,
    weights::Weights,
};
use crate::package::encode;
use assay_exact::statics::NormConstants;

/// `W ‖ row scales ‖ bias` of a projection with `shape` `[out, in]`; the bias, if it has one, in Q`f_out`.
pub fn linear(weights: &Weights, module: &str, shape: [usize; 2], f_out: Option<i32>) -> Result<Vec<u8>> {
    let (w, scales) = quantized(weights, &weight(module), shape, 1.)?;
    let Some(f_out) = f_out else { return Ok(encode::linear(&w, &scales, None)) };
    let tensor = bias(module);
    let values = weights.vector(&tensor, shape[0])?;
    let bias = quantize::bias(&values, f_out).ok_or_else(|| too_large(weights, &tensor, 0, &values))?;
    Ok(encode::linear(&w, &scales, Some(&bias)))
}

/// `W ‖ row scales` of an embedding or a head, its rows multiplied by `scale`.
pub fn table(weights: &Weights, tensor: &str, shape: [usize; 2], scale: f64) -> Result<Vec<u8>> {
    let (w, scales) = quantized(weights, tensor, shape, scale)?;
    Ok(encode::linear(&w, &scales, None))
}

/// The row scales alone, for a head that shares the embedding's weights.
pub fn scales(weights: &Weights, tensor: &str, shape: [usize; 2]) -> Result<Vec<u8>> {
    Ok(encode::scales(&quantized(weights, tensor, shape, 1.)?.1))
}

/// Weights, row-major, and packed row scales times `scale`, which does not enter the weights.
pub(super) fn quantized(weights: &Weights, tensor: &str, shape: [usize; 2], scale: f64) -> Result<(Vec<i8>, Vec<u32>)> {
    // Before the allocation: a shape from config.json alone is not to be trusted.
    weights.check(tensor, &shape)?;
    let [rows, columns] = shape;
    let mut w = vec![0i8; rows * columns];
    let mut scales = Vec::with_capacity(rows);
    weights.for_each_row(tensor, shape, |index, row| {
        let quantized = &mut w[index * columns..][..columns];
        let row_scale = quantize::row(row, quantized)
            .and_then(|row_scale| quantize::times(row_scale, scale))
            .ok_or_else(|| too_large(weights, tensor, index, row))?;
        scales.push(row_scale.pack());
        Ok(())
    })?;
    Ok((w, scales))
}

/// `F_g ‖ m ‖ k ‖ g` of an RMSNorm over rows of `n` entries in Q`f`.
pub fn norm(weights: &Weights, tensor: &str, n: usize, eps: f64, f: i32) -> Result<Vec<u8>> {
    let gamma = weights.vector(tensor, n)?;
    let (f_g, gains) = quantize::gains(&gamma).ok_or_else(|| too_large(weights, tensor, 0, &gamma))?;
    let constants = NormConstants { f_g, eps: quantize::epsilon(eps, n, f) };
    Ok(encode::norm(constants, &gains, None))
}

/// Blames the largest value of the row.
pub(super) fn too_large(weights: &Weights, tensor: &str, index: usize, row: &[f32]) -> ConvertError {
    let (column, value) =
        row.iter().copied().enumerate().max_by(|a, b| a.1.abs().total_cmp(&b.1.abs())).unwrap_or_default();
    ConvertError::WeightValue {
        path: weights.path_of(tensor).into(),
        tensor: weights.described(tensor),
        row: index,
        column,
        value,
    }
}

//! Parts that only encoders have so far: linears of two planes, LayerNorms, the position matrix.

use super::plan::{EncoderPlan, TensorPair};
use crate::{
    convert::{
        error::{ConvertError, Result},
        parts::too_large,
        quantize,
        weights::Weights,
    },
    package::encode,
};
use assay_exact::{header::limits, linear::Planes, statics::NormConstants};

/// `W ‖ W' ‖ row scales ‖ bias` of a linear of shape `[out, in]` whose result is in Q`f_out`.
pub fn linear(source: &Weights, pair: &TensorPair, shape: [usize; 2], f_out: i32) -> Result<Vec<u8>> {
    let bias: Vec<f64> = source.vector(&pair.bias, shape[0])?.into_iter().map(f64::from).collect();
    let bias = fixed(source, &pair.bias, &bias, f_out)?;
    quantized(source, &pair.weight, shape, shape[0], None, Some(&bias))
}

/// The values' linear, `[d, d]`, without its bias: attention's weights sum to one, so that the bias comes out as it went
/// in, and [`output`] has it. In the values' i16 it would be rounded coarsely, and every text's by the same error.
pub fn values(source: &Weights, pair: &TensorPair, d: usize) -> Result<Vec<u8>> {
    quantized(source, &pair.weight, [d, d], d, None, Some(&vec![0; d]))
}

/// The linear after attention, `[d, d]`, whose result is in Q`f_out`, with `W_o b_v` in its bias.
pub fn output(source: &Weights, pair: &TensorPair, values: &TensorPair, d: usize, f_out: i32) -> Result<Vec<u8>> {
    let passed = source.vector(&values.bias, d)?;
    let mut bias: Vec<f64> = source.vector(&pair.bias, d)?.into_iter().map(f64::from).collect();
    source.for_each_row(&pair.weight, [d, d], |index, row| {
        // In order: the sum is the same on every machine.
        let terms = row.iter().zip(&passed).map(|(w, b)| f64::from(*w) * f64::from(*b));
        bias[index] += terms.sum::<f64>();
        Ok(())
    })?;
    let bias = fixed(source, &pair.bias, &bias, f_out)?;
    quantized(source, &pair.weight, [d, d], d, None, Some(&bias))
}

/// `F_g ‖ m ‖ k ‖ g ‖ b` of a LayerNorm over rows of `n` entries in Q`f`.
pub fn layer_norm(source: &Weights, pair: &TensorPair, n: usize, eps: f64, f: u32) -> Result<Vec<u8>> {
    let gamma = source.vector(&pair.weight, n)?;
    let beta = source.vector(&pair.bias, n)?;
    let blame = |tensor: &str, row: &[f32]| too_large(source, tensor, 0, row);
    let (f_gain, _) = quantize::gains(&gamma).ok_or_else(|| blame(&pair.weight, &gamma))?;
    // One F_g for both: what holds the larger of them with a factor 2 to spare.
    let largest = beta.iter().fold(0f64, |max, b| max.max(f64::from(b.abs())));
    let fits = |f: &u32| libm::scalbn(largest, *f as i32) <= f64::from(1u32 << 30);
    let f_g = (0..=f_gain.min(limits::GAIN_FRACTION)).rev().find(fits).ok_or_else(|| blame(&pair.bias, &beta))?;
    let root = (n as f64).sqrt();
    let scaled = |v: f64| libm::scalbn(v, f_g as i32).round() as i32;
    let gains: Vec<i32> = gamma.iter().map(|g| scaled(f64::from(*g) * root)).collect();
    let shifts: Vec<i32> = beta.iter().map(|b| scaled(f64::from(*b))).collect();
    // Section 10: eps * n^3 where RMS has eps * n.
    let eps = quantize::epsilon(eps * (n * n) as f64, n, f as i32);
    Ok(encode::norm(NormConstants { f_g, eps }, &gains, Some(&shifts)))
}

/// E: every token's row.
pub fn tokens(source: &Weights, plan: &EncoderPlan) -> Result<Vec<u8>> {
    quantized(source, &plan.names.words, [plan.vocab, plan.hidden], plan.vocab, None, None)
}

/// P: the rows of the first `context` positions, each with the token-type embedding of type 0, which every token of a
/// single text has.
pub fn positions(source: &Weights, plan: &EncoderPlan) -> Result<Vec<u8>> {
    let mut token_type = Vec::new();
    source.for_each_row(&plan.names.token_types, [plan.token_types, plan.hidden], |index, row| {
        if index == 0 {
            token_type = row.to_vec();
        }
        Ok(())
    })?;
    let shape = [plan.positions, plan.hidden];
    quantized(source, &plan.names.positions, shape, plan.context, Some(&token_type), None)
}

/// `W ‖ W' ‖ row scales ‖ bias` of the first `count` rows of a matrix, with `added` to each.
fn quantized(
    source: &Weights,
    tensor: &str,
    shape: [usize; 2],
    count: usize,
    added: Option<&[f32]>,
    bias: Option<&[i32]>,
) -> Result<Vec<u8>> {
    let columns = shape[1];
    // Before the allocation: a shape from config.json alone is not to be trusted.
    source.check(tensor, &shape)?;
    let (mut first, mut second) = (vec![0i8; count * columns], vec![0i8; count * columns]);
    let mut scales = Vec::with_capacity(count);
    let mut sum = Vec::with_capacity(columns);
    source.for_each_row(tensor, shape, |index, row| {
        if index < count {
            sum.clear();
            sum.extend_from_slice(row);
            sum.iter_mut().zip(added.unwrap_or_default()).for_each(|(sum, added)| *sum += added);
            let at = index * columns..(index + 1) * columns;
            let scale = quantize::row_of_two_planes(&sum, &mut first[at.clone()], &mut second[at])
                .ok_or_else(|| too_large(source, tensor, index, row))?;
            scales.push(scale.pack());
        }
        Ok(())
    })?;
    Ok(encode::linear_of(Planes { first: &first, second: Some(&second) }, &scales, bias))
}

/// `values`, which come from `tensor`, in i32 Q`f`, rounded half away from zero.
fn fixed(source: &Weights, tensor: &str, values: &[f64], f: i32) -> Result<Vec<i32>> {
    values
        .iter()
        .enumerate()
        .map(|(column, value)| {
            let scaled = libm::scalbn(*value, f).round();
            if scaled.abs() > f64::from(i32::MAX) {
                return Err(ConvertError::WeightValue {
                    path: source.path_of(tensor).into(),
                    tensor: tensor.into(),
                    row: 0,
                    column,
                    value: *value as f32,
                });
            }
            Ok(scaled as i32)
        })
        .collect()
}

//! Census of activation ranges over calibration text, by the float reference.

use super::error::{self, ConvertError};
use crate::float::{Observer, Site};
use candle_core::{Result, Tensor};
use serde::Serialize;

/// Largest magnitudes seen in one layer.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct LayerRanges {
    /// Residual stream, after both additions (and the embedding, for layer 0).
    pub residual: f64,
    /// Attention's output, before a norm on it.
    pub attention_output: f64,
    /// The MLP's output, before a norm on it; of every expert too.
    pub mlp_output: f64,
    /// Any entry of any query or key head before its norm; 0 without QK-norm.
    pub projection: f64,
    /// Any entry of any query head before RoPE.
    pub query: f64,
    /// Any entry of any key head before RoPE.
    pub key: f64,
    /// Per query head, the largest norm of a rotated pair: what an entry can reach at any position.
    pub query_heads: Vec<f64>,
    /// Per key/value head, likewise.
    pub key_heads: Vec<f64>,
    /// Values.
    pub value: f64,
    /// MLP gate before the activation function.
    pub gate: f64,
    /// MLP up.
    pub up: f64,
    /// Router of the experts; 0 in a dense model.
    pub router: f64,
}

/// Ranges of the whole model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Census {
    /// One entry per layer.
    pub layers: Vec<LayerRanges>,
    /// Logits.
    pub logits: f64,
    /// The first activation that was NaN or infinite.
    #[serde(skip)]
    non_finite: Option<(usize, Site)>,
}

impl Census {
    /// Nothing seen yet.
    pub fn new(layers: usize, heads: usize, kv_heads: usize) -> Self {
        let layer = LayerRanges { query_heads: vec![0.; heads], key_heads: vec![0.; kv_heads], ..Default::default() };
        Self { layers: vec![layer; layers], logits: 0., non_finite: None }
    }

    /// The census, unless it met an activation that is not finite.
    pub fn checked(self) -> error::Result<Self> {
        match self.non_finite {
            None => Ok(self),
            Some((layer, site)) => Err(ConvertError::NonFiniteActivation { layer, site: site.name() }),
        }
    }

    /// Largest magnitude of the residual stream; with `outputs`, of the sublayers too, where they share its format.
    pub fn residual(&self, outputs: bool) -> f64 {
        self.layers.iter().fold(0., |max, layer| {
            let outputs = if outputs { layer.attention_output.max(layer.mlp_output) } else { 0. };
            max.max(layer.residual).max(outputs)
        })
    }
}

impl Observer for Census {
    fn observe(&mut self, layer: usize, site: Site, activation: &Tensor) -> Result<()> {
        let values = activation.flatten_all()?.to_vec1::<f32>()?;
        let Some(max) = max_abs(&values) else {
            self.non_finite.get_or_insert((layer, site));
            return Ok(());
        };
        let raise = |slot: &mut f64| *slot = slot.max(max);
        let Some(ranges) = self.layers.get_mut(layer) else {
            raise(&mut self.logits);
            return Ok(());
        };
        match site {
            Site::Residual => raise(&mut ranges.residual),
            Site::AttentionOutput => raise(&mut ranges.attention_output),
            Site::MlpOutput => raise(&mut ranges.mlp_output),
            Site::Projection => raise(&mut ranges.projection),
            Site::Value => raise(&mut ranges.value),
            Site::Gate => raise(&mut ranges.gate),
            Site::Up => raise(&mut ranges.up),
            Site::Router => raise(&mut ranges.router),
            // Inputs of linear layers get an exponent per row.
            Site::AttentionInput | Site::MlpInput | Site::DownInput => {}
            Site::Query => {
                raise(&mut ranges.query);
                raise_heads(&mut ranges.query_heads, activation, &values)?;
            }
            Site::Key => {
                raise(&mut ranges.key);
                raise_heads(&mut ranges.key_heads, activation, &values)?;
            }
            Site::Logits => raise(&mut self.logits),
        }
        Ok(())
    }
}

/// `None` if any value is not finite.
fn max_abs(values: &[f32]) -> Option<f64> {
    let max = values.iter().try_fold(0f32, |max, x| x.is_finite().then(|| max.max(x.abs())))?;
    Some(f64::from(max))
}

fn raise_heads(heads: &mut [f64], activation: &Tensor, values: &[f32]) -> Result<()> {
    let (_, positions, size) = activation.dims3()?;
    for (slot, head) in heads.iter_mut().zip(values.chunks_exact(positions * size)) {
        *slot = pair_norms(head, size).fold(*slot, f64::max);
    }
    Ok(())
}

/// Norms of the pairs `(i, i + D/2)` of rows of `size` = D entries.
pub(super) fn pair_norms(rows: &[f32], size: usize) -> impl Iterator<Item = f64> + '_ {
    rows.chunks_exact(size).flat_map(move |row| {
        let (a, b) = row.split_at(size / 2);
        a.iter().zip(b).map(|(a, b)| {
            let (a, b) = (f64::from(*a), f64::from(*b));
            (a * a + b * b).sqrt()
        })
    })
}

//! What folding needs to know of the activations: maxima per channel and per rotated pair, and a few whole rows.

use super::plan::DecoderPlan;
use crate::float::{Observer, Site};
use candle_core::{Result, Tensor};

/// Rows kept of each linear input of a layer.
const ROWS: usize = 48;
/// Rows kept of a window: the first, where massive activations live, and some later ones.
const ROWS_PER_WINDOW: usize = 3;

/// Inputs of the linear layers that read the same row.
#[derive(Debug, Clone, Default)]
pub struct InputProfile {
    /// Largest magnitude of each channel; empty if nothing was seen.
    pub maxima: Vec<f32>,
    /// Some rows.
    pub rows: Vec<Vec<f32>>,
}

/// One layer.
#[derive(Debug, Clone, Default)]
pub struct LayerProfile {
    /// Of the query, key and value projections.
    pub attention: InputProfile,
    /// Of gate and up, or of the router and all experts.
    pub mlp: InputProfile,
    /// Of down; dense models only.
    pub down: InputProfile,
    /// Largest norm of each rotated pair `(i, i + D/2)`, `[n_q, D/2]`.
    pub query_pairs: Vec<f32>,
    /// Likewise, `[n_kv, D/2]`.
    pub key_pairs: Vec<f32>,
}

/// All layers.
#[derive(Debug, Clone)]
pub struct Profile {
    /// One entry per layer.
    pub layers: Vec<LayerProfile>,
    experts: bool,
}

impl Profile {
    /// Nothing seen yet.
    pub fn new(plan: &DecoderPlan) -> Self {
        Self { layers: vec![LayerProfile::default(); plan.layers.len()], experts: plan.experts.is_some() }
    }
}

impl InputProfile {
    fn add(&mut self, values: &[f32], width: usize) {
        raise(&mut self.maxima, values.chunks_exact(width), width);
        let count = values.len() / width;
        let step = count.div_ceil(ROWS_PER_WINDOW).max(1);
        let room = ROWS.saturating_sub(self.rows.len());
        self.rows.extend(values.chunks_exact(width).step_by(step).take(room).map(<[f32]>::to_vec));
    }
}

/// Raises each of `width` maxima to the magnitudes of `rows`.
fn raise<'a>(maxima: &mut Vec<f32>, rows: impl Iterator<Item = &'a [f32]>, width: usize) {
    maxima.resize(width, 0.);
    for row in rows {
        maxima.iter_mut().zip(row).for_each(|(max, value)| *max = max.max(value.abs()));
    }
}

/// `heads`: `[n, T, D]`, `maxima`: `[n, D/2]`.
fn raise_pairs(maxima: &mut Vec<f32>, heads: &Tensor, values: &[f32]) -> Result<()> {
    let (n, positions, size) = heads.dims3()?;
    maxima.resize(n * size / 2, 0.);
    for (head, maxima) in values.chunks_exact(positions * size).zip(maxima.chunks_exact_mut(size / 2)) {
        for row in head.chunks_exact(size) {
            let (a, b) = row.split_at(size / 2);
            for ((max, a), b) in maxima.iter_mut().zip(a).zip(b) {
                *max = max.max((a * a + b * b).sqrt());
            }
        }
    }
    Ok(())
}

impl Observer for Profile {
    fn observe(&mut self, layer: usize, site: Site, activation: &Tensor) -> Result<()> {
        let Some(profile) = self.layers.get_mut(layer) else { return Ok(()) };
        let input = match site {
            Site::AttentionInput => &mut profile.attention,
            Site::MlpInput => &mut profile.mlp,
            Site::DownInput if !self.experts => &mut profile.down,
            Site::Query => {
                let values = activation.flatten_all()?.to_vec1::<f32>()?;
                return raise_pairs(&mut profile.query_pairs, activation, &values);
            }
            Site::Key => {
                let values = activation.flatten_all()?.to_vec1::<f32>()?;
                return raise_pairs(&mut profile.key_pairs, activation, &values);
            }
            _ => return Ok(()),
        };
        let (_, width) = activation.dims2()?;
        input.add(&activation.flatten_all()?.to_vec1::<f32>()?, width);
        Ok(())
    }
}

/// Both see everything.
impl<A: Observer, B: Observer> Observer for (A, B) {
    fn observe(&mut self, layer: usize, site: Site, activation: &Tensor) -> Result<()> {
        self.0.observe(layer, site, activation)?;
        self.1.observe(layer, site, activation)
    }
}

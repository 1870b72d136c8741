//! Folding: powers of two that move from activations into weights, and from keys into queries, without a change to the
//! float function (section 10).
//!
//! A row of activations has one exponent: a channel at 2,000 times the others leaves them 3 of their 14 bits. It is
//! divided by `2^e` where it arises, in a norm's gain or in the rows of a projection, and the columns that read it are
//! multiplied by as much. That coarsens their rows of 8-bit weights, so that it is done only where the expected error of
//! the outputs falls. A key head's static exponent likewise follows its largest rotated pair, which in models with biased
//! or normed keys may be far above the others; the pair is divided in the keys and multiplied in the queries, which costs
//! nothing: every row has a scale of its own.

use super::{
    error::Result,
    plan::{bias, weight, DecoderPlan},
    profile::{InputProfile, LayerProfile, Profile},
    source::Source,
    weights::{Transform, Weights},
};
use serde::Serialize;
use std::collections::BTreeMap;

/// A channel this far above the median channel is worth a look.
const OUTLIER: f64 = 64.;
/// A rotated pair this far above its head's median pair.
const PAIR_OUTLIER: f64 = 8.;
/// Shares of an outlier's distance from the median that are tried.
const SHARES: [f64; 4] = [0.25, 0.5, 0.75, 1.];
/// The expected squared error must fall to this share of what it was.
const GAIN: f64 = 0.8;
/// Largest exponent.
const MOST: f64 = 30.;

/// The exponents of one layer; empty where nothing is folded.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct LayerFolding {
    /// Per channel of the attention norm: its gain is divided by `2^e`.
    pub attention_input: Vec<i32>,
    /// Per channel of the MLP's norm.
    pub mlp_input: Vec<i32>,
    /// Per channel of the down projection's input: the row of up is divided.
    pub down_input: Vec<i32>,
    /// Per kv head (one for all heads with QK-norm) and pair: the key's pair is divided, the queries' multiplied.
    pub pairs: Vec<i32>,
}

/// The exponents of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct Folding {
    /// One entry per layer.
    pub layers: Vec<LayerFolding>,
    /// The least relative change of any measured magnitude that would change an exponent.
    pub margin: f64,
}

impl Folding {
    /// Nothing folded.
    pub fn identity(plan: &DecoderPlan) -> Self {
        Self::none(plan.layers.len())
    }

    /// The same, for a model of so many layers.
    pub fn none(layers: usize) -> Self {
        Self { layers: vec![LayerFolding::default(); layers], margin: f64::INFINITY }
    }

    /// What the profile says helps. Reads the weights of layers with outliers.
    pub fn choose(source: &Source, profile: &Profile) -> Result<Self> {
        let (plan, weights) = (source.plan(), source.weights());
        let mut folding = Self::identity(plan);
        for (layer, profile) in profile.layers.iter().enumerate() {
            let readers = Readers { plan, weights, layer };
            let margin = &mut folding.margin;
            folding.layers[layer] = LayerFolding {
                attention_input: smooth(&profile.attention, || readers.attention(), margin)?,
                mlp_input: smooth(&profile.mlp, || readers.mlp(), margin)?,
                down_input: smooth(&profile.down, || readers.down(), margin)?,
                pairs: equalise(plan, profile, margin),
            };
        }
        Ok(folding)
    }

    /// Whether nothing is folded.
    pub fn is_identity(&self) -> bool {
        self.changed_layers() == 0
    }

    /// Layers in which something is folded.
    pub fn changed_layers(&self) -> usize {
        self.layers.iter().filter(|layer| **layer != LayerFolding::default()).count()
    }

    /// What is done to each tensor that is not used as the checkpoint has it.
    pub(super) fn transforms(&self, plan: &DecoderPlan) -> BTreeMap<String, Transform> {
        let mut transforms = Transforms::of_gains(plan);
        let names = &plan.names;
        for (layer, folding) in self.layers.iter().enumerate() {
            let module = |part: &str| names.layer(layer, part);
            let up = |e: &[i32]| e.to_vec();
            let down = |e: &[i32]| e.iter().map(|e| -e).collect::<Vec<_>>();

            transforms.rows(&weight(&module(names.attention_norm)), down(&folding.attention_input));
            for part in [names.q, names.k, names.v] {
                transforms.columns(&weight(&module(part)), up(&folding.attention_input));
            }
            transforms.rows(&weight(&module(names.mlp_norm)), down(&folding.mlp_input));
            if plan.experts.is_some() {
                transforms.columns(&weight(&module(names.router)), up(&folding.mlp_input));
            }
            for expert in plan.mlps() {
                for part in [names.gate, names.up] {
                    transforms.columns(&weight(&names.mlp(layer, expert, part)), up(&folding.mlp_input));
                }
            }
            let up_proj = names.mlp(layer, None, names.up);
            transforms.rows(&weight(&up_proj), down(&folding.down_input));
            transforms.rows(&bias(&up_proj), down(&folding.down_input));
            transforms.columns(&weight(&names.mlp(layer, None, names.down)), up(&folding.down_input));

            let half = plan.head_dim / 2;
            let both = |pairs: &[i32]| [pairs, pairs].concat();
            if plan.qk_norm {
                transforms.rows(&weight(&module(names.q_norm)), both(&folding.pairs));
                transforms.rows(&weight(&module(names.k_norm)), both(&down(&folding.pairs)));
            } else {
                let group = plan.heads / plan.kv_heads;
                let heads = || folding.pairs.chunks_exact(half);
                let q: Vec<i32> = heads().flat_map(|pairs| both(pairs).repeat(group)).collect();
                let k: Vec<i32> = heads().flat_map(|pairs| both(&down(pairs))).collect();
                for (part, rows) in [(names.q, q), (names.k, k)] {
                    transforms.rows(&bias(&module(part)), rows.clone());
                    transforms.rows(&weight(&module(part)), rows);
                }
            }
        }
        transforms.0
    }
}

/// Changes by tensor name.
struct Transforms(BTreeMap<String, Transform>);

impl Transforms {
    /// Norms that are stored as `gain - 1`.
    fn of_gains(plan: &DecoderPlan) -> Self {
        let mut transforms = BTreeMap::new();
        if plan.gain_offset != 0. {
            // Every vector that is not a bias is a norm.
            let norms = plan.tensors().filter(|(name, shape)| shape.len() == 1 && !name.ends_with(".bias"));
            transforms
                .extend(norms.map(|(name, _)| (name, Transform { offset: plan.gain_offset, ..Transform::default() })));
        }
        Self(transforms)
    }

    fn rows(&mut self, tensor: &str, exponents: Vec<i32>) {
        if !exponents.is_empty() {
            self.0.entry(tensor.into()).or_default().rows = exponents;
        }
    }

    fn columns(&mut self, tensor: &str, exponents: Vec<i32>) {
        if !exponents.is_empty() {
            self.0.entry(tensor.into()).or_default().columns = exponents;
        }
    }
}

/// The matrices of a layer by what they read.
struct Readers<'a> {
    plan: &'a DecoderPlan,
    weights: &'a Weights,
    layer: usize,
}

type Matrix = (String, [usize; 2]);

impl Readers<'_> {
    fn attention(&self) -> (&Weights, Vec<Matrix>) {
        let (plan, names) = (self.plan, &self.plan.names);
        let parts = [(names.q, plan.query_width()), (names.k, plan.kv_width()), (names.v, plan.kv_width())];
        let matrix = |(part, out)| (weight(&names.layer(self.layer, part)), [out, plan.hidden]);
        (self.weights, parts.into_iter().map(matrix).collect())
    }

    fn mlp(&self) -> (&Weights, Vec<Matrix>) {
        let (plan, names) = (self.plan, &self.plan.names);
        let router = plan.experts.map(|e| (weight(&names.layer(self.layer, names.router)), [e.count, plan.hidden]));
        let mlps = plan.mlps().flat_map(|expert| {
            [names.gate, names.up].map(|part| (weight(&names.mlp(self.layer, expert, part)), [plan.ffn, plan.hidden]))
        });
        (self.weights, router.into_iter().chain(mlps).collect())
    }

    fn down(&self) -> (&Weights, Vec<Matrix>) {
        let (plan, names) = (self.plan, &self.plan.names);
        (self.weights, vec![(weight(&names.mlp(self.layer, None, names.down)), [plan.hidden, plan.ffn])])
    }
}

/// The exponents of an input's channels; empty if they would not help.
fn smooth<'a>(
    input: &InputProfile,
    readers: impl FnOnce() -> (&'a Weights, Vec<Matrix>),
    margin: &mut f64,
) -> Result<Vec<i32>> {
    let maxima: Vec<f64> = input.maxima.iter().map(|max| f64::from(*max)).collect();
    let median = median(maxima.iter().copied());
    if median <= 0. {
        return Ok(Vec::new());
    }
    let ratios: Vec<f64> = maxima.iter().map(|max| max / median).collect();
    let nearest = ratios.iter().map(|ratio| (ratio / OUTLIER - 1.).abs()).fold(f64::INFINITY, f64::min);
    *margin = margin.min(nearest);
    if ratios.iter().all(|ratio| *ratio <= OUTLIER) {
        return Ok(Vec::new());
    }
    let mut candidates = vec![vec![0; ratios.len()]];
    candidates.extend(SHARES.iter().map(|share| {
        let exponent =
            |ratio: &f64| if *ratio > OUTLIER { (share * libm::log2(*ratio)).min(MOST).round() as i32 } else { 0 };
        ratios.iter().map(exponent).collect::<Vec<i32>>()
    }));
    let (weights, matrices) = readers();
    let errors = expected_errors(input, weights, &matrices, &candidates)?;
    let best = (1..errors.len()).fold(1, |best, i| if errors[i] < errors[best] { i } else { best });
    let threshold = errors[0] * GAIN;
    *margin = margin.min((errors[best] / threshold - 1.).abs());
    if errors[best].is_nan() || errors[best] > threshold {
        return Ok(Vec::new());
    }
    let others = (1..errors.len()).filter(|i| candidates[*i] != candidates[best]);
    *margin = others.fold(*margin, |margin, i| margin.min((errors[i] / errors[best] - 1.).abs()));
    *margin = ratios
        .iter()
        .filter(|ratio| **ratio > OUTLIER)
        .fold(*margin, |margin, ratio| margin.min(rounding_margin(SHARES[best - 1], *ratio)));
    Ok(candidates.swap_remove(best))
}

/// The relative change of `ratio` at which `share * log2(ratio)` rounds to another integer.
fn rounding_margin(share: f64, ratio: f64) -> f64 {
    let exact = share * libm::log2(ratio);
    let distance = 0.5 - (exact - exact.round()).abs();
    1. - libm::exp2(-distance / share)
}

/// The expected squared error of each candidate's outputs, in common units: that of the weights' rounding, which the
/// activations multiply, and that of the activations', which the weights multiply, both against an output of ordinary
/// channels.
fn expected_errors(
    input: &InputProfile,
    weights: &Weights,
    matrices: &[Matrix],
    candidates: &[Vec<i32>],
) -> Result<Vec<f64>> {
    let factors: Vec<Vec<f64>> =
        candidates.iter().map(|exponents| exponents.iter().map(|e| libm::scalbn(1., *e)).collect()).collect();
    // Per candidate: sum over rows of step^2 / |W|^2, and of |W s|^2 / |W|^2.
    let mut of_weights = vec![[0f64; 2]; candidates.len()];
    for (tensor, shape) in matrices {
        weights.for_each_row(tensor, *shape, |_, row| {
            let norm: f64 = row.iter().map(|w| f64::from(*w).powi(2)).sum();
            if norm > 0. {
                for (factors, sums) in factors.iter().zip(&mut of_weights) {
                    let (max, square) = row.iter().zip(factors).fold((0f64, 0.), |(max, square), (w, s)| {
                        let w = f64::from(*w) * s;
                        (max.max(w.abs()), square + w * w)
                    });
                    sums[0] += (max / 127.).powi(2) / norm;
                    sums[1] += square / norm;
                }
            }
            Ok(())
        })?;
    }
    // Per candidate: sum over tokens of |x / s|^2 / bulk, and of step^2 / bulk.
    let mut of_rows = vec![[0f64; 2]; candidates.len()];
    for row in &input.rows {
        let bulk = median(row.iter().map(|x| f64::from(x.abs()))).powi(2) * row.len() as f64;
        if bulk > 0. {
            for (factors, sums) in factors.iter().zip(&mut of_rows) {
                let (max, square) = row.iter().zip(factors).fold((0f64, 0.), |(max, square), (x, s)| {
                    let x = f64::from(*x) / s;
                    (max.max(x.abs()), square + x * x)
                });
                sums[0] += square / bulk;
                // Between max / 2^13 and max / 2^14.
                sums[1] += libm::scalbn(max, -13).powi(2) / (2. * bulk);
            }
        }
    }
    Ok(of_weights.iter().zip(&of_rows).map(|(w, x)| w[0] * x[0] + w[1] * x[1]).collect())
}

/// The exponents of a layer's rotated pairs; empty if no key head has an outlier.
fn equalise(plan: &DecoderPlan, profile: &LayerProfile, margin: &mut f64) -> Vec<i32> {
    let half = plan.head_dim / 2;
    if !(plan.qkv_bias || plan.qk_norm) || profile.key_pairs.is_empty() {
        return Vec::new();
    }
    // Heads that share their gain share their exponents.
    let groups = if plan.qk_norm { 1 } else { plan.kv_heads };
    let maxima = |pairs: &[f32]| {
        let mut maxima = vec![0f64; half];
        for head in pairs.chunks_exact(half) {
            maxima.iter_mut().zip(head).for_each(|(max, pair)| *max = max.max(f64::from(*pair)));
        }
        maxima
    };
    let keys = profile.key_pairs.chunks_exact(profile.key_pairs.len() / groups).map(maxima);
    let queries = profile.query_pairs.chunks_exact(profile.query_pairs.len() / groups).map(maxima);
    let exponents: Vec<i32> = keys
        .zip(queries)
        .flat_map(|(keys, queries)| {
            let medians = (median(keys.iter().copied()), median(queries.iter().copied()));
            let mut pair = |(key, query): (&f64, &f64)| {
                if medians.0 <= 0. || medians.1 <= 0. {
                    return 0;
                }
                let (key, query) = (key / medians.0, query / medians.1);
                *margin = margin.min((key / PAIR_OUTLIER - 1.).abs());
                // Half of the way, in powers of two: then key and query reach equally far. Never beyond.
                let ratio = key / query.max(f64::MIN_POSITIVE);
                if key <= PAIR_OUTLIER || ratio <= 1. {
                    return 0;
                }
                *margin = margin.min(rounding_margin(0.5, ratio.min(key * key)));
                (0.5 * libm::log2(ratio.min(key * key))).min(MOST).round() as i32
            };
            keys.iter().zip(&queries).map(&mut pair).collect::<Vec<i32>>()
        })
        .collect();
    if exponents.iter().all(|e| *e == 0) {
        return Vec::new();
    }
    exponents
}

/// The middle value, the lower of two; 0 of none.
fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    let middle = values.len().saturating_sub(1) / 2;
    if values.is_empty() {
        return 0.;
    }
    *values.select_nth_unstable_by(middle, f64::total_cmp).1
}

//! From measured ranges to the static exponents of section 10.
//!
//! Ranges enter only through powers of two, each the smallest that leaves the headroom, so the last bits of the float
//! arithmetic of the census do not matter unless a range lies within their distance of a boundary;
//! [`Calibration::margin`] says how far the nearest one is.

use super::{
    census::{pair_norms, Census, LayerRanges},
    error::{ConvertError, Result},
    plan::DecoderPlan,
    quantize::mantissa,
};
use crate::float::{Observer, Site};
use assay_exact::{
    attention::{HeadScale, SoftCap},
    header::{limits, Placement},
    sampling::FinalCap,
    statics::{LayerStatics, QueryHead},
};
use candle_core::Tensor;
use serde::Serialize;
use std::f64::consts::LOG2_E;

/// Factor between the largest value seen and the largest that a format holds.
pub const HEADROOM: f64 = 4.;
/// Largest magnitude of an i16 activation; -32768 is never used.
const I16_MAX: f64 = 32767.;
/// Values in i32 Q16 stay below this.
const Q16_LIMIT: f64 = 32768.;
/// Queries and keys come from Q16: a finer exponent would add no information.
const FINEST_ROTATED: i32 = -16;
/// A sublayer's output, i32, that a norm follows: finer would not survive the norm's 30 bits.
const FINEST_OUTPUT: i32 = -30;
/// sigma of a head whose rotated entries have exponent e is 46 + e: Q16 times Q30.
const ROTATED_BITS: i32 = 46;

/// All calibrated formats of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct Calibration {
    /// Fraction bits of the residual stream.
    pub f_h: u32,
    /// The soft-cap of the logits; zeros without.
    pub final_cap: FinalCap,
    /// One entry per layer.
    pub layers: Vec<LayerStatics>,
    /// The least relative change of any measured range that would change the package: 0.01 says that every range is at
    /// least 1 % away from the boundary where its exponent changes.
    pub margin: f64,
}

/// What of a model's graph its formats depend on.
#[derive(Debug, Clone, PartialEq)]
pub struct Graph {
    /// Where the norms stand.
    pub placement: Placement,
    /// Soft-cap of the attention scores.
    pub attention_cap: Option<f64>,
    /// Soft-cap of the logits.
    pub final_cap: Option<f64>,
    /// [`HEADROOM`] of the values, which have 16 bits for a whole layer.
    pub value_headroom: f64,
    /// One entry per layer.
    pub layers: Vec<LayerGraph>,
}

/// The same of one layer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LayerGraph {
    /// The factor on `q . k`.
    pub score_scale: f64,
    /// Keys that a position sees, itself included; `None` for all.
    pub window: Option<usize>,
    /// Index of its rotary table; `None` if nothing rotates.
    pub rope: Option<usize>,
}

impl From<&DecoderPlan> for Graph {
    fn from(plan: &DecoderPlan) -> Self {
        let layers = plan.layers.iter().enumerate().map(|(index, layer)| LayerGraph {
            score_scale: plan.layer_score_scale(index),
            window: layer.window,
            rope: Some(layer.rope),
        });
        Self {
            placement: plan.placement,
            attention_cap: plan.attention_cap,
            final_cap: plan.final_cap,
            value_headroom: HEADROOM,
            layers: layers.collect(),
        }
    }
}

impl Calibration {
    /// Chooses the formats of the model of `graph`, which has as many layers as the census.
    pub fn from_census(census: &Census, graph: &Graph) -> Result<Self> {
        let mut margin = f64::INFINITY;
        let last = census.layers.len().saturating_sub(1);
        let residual = census.residual(graph.placement != Placement::Sandwich);
        let (coarsest, finest) = limits::STREAM_FRACTION;
        let f_h = -exponent(residual * HEADROOM, 2f64.powi(31), -(finest as i32), &mut margin);
        let f_h = u32::try_from(f_h)
            .ok()
            .filter(|f_h| *f_h >= coarsest)
            .ok_or_else(|| too_large(last, Site::Residual, residual, 2f64.powi(27)))?;
        let layers = census
            .layers
            .iter()
            .zip(&graph.layers)
            .enumerate()
            .map(|(layer, (ranges, own))| layer_statics(layer, ranges, f_h, graph, own, &mut margin))
            .collect::<Result<_>>()?;
        check_q16(last, Site::Logits, census.logits)?;
        // Caps were bounded when config.json was read, so that each of these fits.
        let final_cap = match graph.final_cap {
            None => FinalCap { c: 0, sigma: 0, cap: 0 },
            Some(cap) => {
                let (c, sigma) = scale(2. / cap).ok_or_else(|| too_large(last, Site::Logits, cap, Q16_LIMIT))?;
                FinalCap { c, sigma, cap: libm::scalbn(cap, 16).round() as u32 }
            }
        };
        Ok(Self { f_h, final_cap, layers, margin })
    }
}

/// `c * 2^-sigma` with c in `[2^22, 2^23)`; `None` if sigma is out of range.
fn scale(real: f64) -> Option<(u32, u32)> {
    let (c, shift) = mantissa(real, 23)?;
    let sigma = u32::try_from(shift).ok().filter(|sigma| *sigma <= limits::SHIFT)?;
    Some((c, sigma))
}

fn layer_statics(
    layer: usize,
    ranges: &LayerRanges,
    f_h: u32,
    graph: &Graph,
    own: &LayerGraph,
    margin: &mut f64,
) -> Result<LayerStatics> {
    for (site, max) in [
        (Site::Projection, ranges.projection),
        (Site::Query, ranges.query),
        (Site::Key, ranges.key),
        (Site::Gate, ranges.gate),
        (Site::Up, ranges.up),
        (Site::Router, ranges.router),
    ] {
        check_q16(layer, site, max)?;
    }
    // The largest Q16 range gives e <= 2, so sigma <= 48.
    let mut exponents = |maxima: &[f64]| -> Vec<i32> {
        maxima.iter().map(|max| exponent(*max * HEADROOM, I16_MAX, FINEST_ROTATED, margin)).collect()
    };
    let e_q = exponents(&ranges.query_heads);
    let e_k = exponents(&ranges.key_heads);
    let limit = limits::LAYER_EXPONENT as i32;
    let e_v = exponent(ranges.value * graph.value_headroom, I16_MAX, -limit, margin);
    if e_v > limit {
        let headroom = graph.value_headroom;
        let limit = libm::scalbn(I16_MAX, limit) / headroom;
        return Err(ConvertError::ActivationRange {
            layer,
            site: Site::Value.name(),
            max: ranges.value,
            limit,
            headroom,
        });
    }
    let mut output = |site: Site, max: f64| match graph.placement {
        Placement::Sandwich => match -exponent(max * HEADROOM, 2f64.powi(31), FINEST_OUTPUT, margin) {
            f if f >= -limit => Ok(f),
            _ => Err(too_large(layer, site, max, libm::scalbn(1., 31 + limit))),
        },
        Placement::Pre | Placement::Post => Ok(f_h as i32),
    };
    let f_o = output(Site::AttentionOutput, ranges.attention_output)?;
    let f_d = output(Site::MlpOutput, ranges.mlp_output)?;
    let group = e_q.len() / e_k.len();
    let sigma = |e: i32| (ROTATED_BITS + e) as u32;
    let query_heads = e_q
        .iter()
        .enumerate()
        .map(|(head, e_q)| {
            let scale = head_scale(e_q + e_k[head / group], own.score_scale, graph.attention_cap)
                .ok_or_else(|| too_large(layer, Site::Query, ranges.query_heads[head], Q16_LIMIT))?;
            Ok(QueryHead { sigma: sigma(*e_q), scale })
        })
        .collect::<Result<_>>()?;
    Ok(LayerStatics {
        window: own.window.unwrap_or(0) as u32,
        rope_table: own.rope.map(|table| table as u32),
        e_v,
        f_o,
        f_d,
        query_heads,
        kv_sigma: e_k.into_iter().map(sigma).collect(),
    })
}

/// The softmax's constants for a product of exponent `e`.
fn head_scale(e: i32, score_scale: f64, cap: Option<f64>) -> Option<HeadScale> {
    match cap {
        None => {
            let (c, sigma_l) = scale(libm::scalbn(LOG2_E * score_scale, 16 + e))?;
            Some(HeadScale { c, sigma_l, soft_cap: None })
        }
        Some(cap) => {
            let (c_0, sigma_0) = scale(libm::scalbn(score_scale / cap, 17 + e))?;
            let (c, sigma_l) = scale(libm::scalbn(cap * LOG2_E, -8))?;
            Some(HeadScale { c, sigma_l, soft_cap: Some(SoftCap { c: c_0, sigma: sigma_0 }) })
        }
    }
}

/// The least `e >= finest` with `max <= limit * 2^e`, lowering `margin` to the relative change of `max` that would give
/// another one. `max` is with its headroom.
fn exponent(max: f64, limit: f64, finest: i32, margin: &mut f64) -> i32 {
    let fill = max / limit;
    if fill <= 0. {
        return finest;
    }
    let (fraction, power) = libm::frexp(fill); // fill = fraction * 2^power, fraction in [1/2, 1)
    let needed = if fraction == 0.5 { power - 1 } else { power };
    let e = needed.max(finest);
    *margin = margin.min(libm::scalbn(1., e) / fill - 1.);
    if e > finest {
        *margin = margin.min(1. - libm::scalbn(1., e - 1) / fill);
    }
    e
}

fn check_q16(layer: usize, site: Site, max: f64) -> Result<()> {
    if max * HEADROOM > Q16_LIMIT {
        return Err(too_large(layer, site, max, Q16_LIMIT));
    }
    Ok(())
}

fn too_large(layer: usize, site: Site, max: f64, format: f64) -> ConvertError {
    ConvertError::ActivationRange { layer, site: site.name(), max, limit: format / HEADROOM, headroom: HEADROOM }
}

/// Counts activations of other text that the calibrated formats would clip.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SaturationCount {
    /// Per layer, with one more entry for the logits.
    pub layers: Vec<LayerSaturation>,
    #[serde(skip)]
    residual_limit: f64,
    #[serde(skip)]
    statics: Vec<LayerStatics>,
}

/// Values that lie outside their integer format, and values seen.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct LayerSaturation {
    /// Outside.
    pub clipped: u64,
    /// Seen.
    pub seen: u64,
}

impl SaturationCount {
    /// Nothing seen yet.
    pub fn new(calibration: &Calibration) -> Self {
        Self {
            layers: vec![LayerSaturation::default(); calibration.layers.len() + 1],
            residual_limit: libm::scalbn(1., 31 - calibration.f_h as i32),
            statics: calibration.layers.clone(),
        }
    }
}

impl Observer for SaturationCount {
    fn observe(&mut self, layer: usize, site: Site, activation: &Tensor) -> candle_core::Result<()> {
        let values = activation.flatten_all()?.to_vec1::<f32>()?;
        let beyond = |limit: f64| values.iter().filter(|x| f64::from(x.abs()) > limit).count();
        let rotated = |sigmas: &[u32]| -> candle_core::Result<usize> {
            let (_, positions, size) = activation.dims3()?;
            let heads = values.chunks_exact(positions * size);
            let clipped = heads.zip(sigmas).map(|(head, sigma)| {
                let limit = libm::scalbn(I16_MAX, *sigma as i32 - ROTATED_BITS);
                pair_norms(head, size).filter(|norm| *norm > limit).count()
            });
            Ok(clipped.sum())
        };
        let statics = self.statics.get(layer);
        let clipped = match (site, statics) {
            (Site::AttentionInput | Site::MlpInput | Site::DownInput, _) => return Ok(()),
            (Site::AttentionOutput, Some(statics)) => beyond(libm::scalbn(1., 31 - statics.f_o)),
            (Site::MlpOutput, Some(statics)) => beyond(libm::scalbn(1., 31 - statics.f_d)),
            (Site::Residual, _) => beyond(self.residual_limit),
            (Site::Query, Some(statics)) => {
                let sigmas: Vec<u32> = statics.query_heads.iter().map(|head| head.sigma).collect();
                rotated(&sigmas)?
            }
            (Site::Key, Some(statics)) => rotated(&statics.kv_sigma)?,
            (Site::Value, Some(statics)) => beyond(libm::scalbn(I16_MAX, statics.e_v)),
            _ => beyond(Q16_LIMIT),
        };
        if let Some(count) = self.layers.get_mut(layer) {
            count.clipped += clipped as u64;
            count.seen += values.len() as u64;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert::{
        plan::{LayerPlan, LLAMA_NAMES},
        rope::{Rope, Scaling},
    };
    use assay_exact::mlp::Activation;

    fn census() -> Census {
        let mut census = Census::new(2, 4, 2);
        census.logits = 20.;
        for layer in &mut census.layers {
            layer.residual = 21.;
            (layer.attention_output, layer.mlp_output) = (30., 10.);
            (layer.query, layer.key, layer.value, layer.gate, layer.up) = (9., 9., 3., 5., 5.);
            layer.query_heads = vec![9., 5., 3., 0.];
            layer.key_heads = vec![11., 0.01];
        }
        census
    }

    /// A Llama of two layers with heads of 32.
    fn plan() -> DecoderPlan {
        DecoderPlan {
            architecture: "",
            vocab: 10,
            context: 100,
            hidden: 128,
            heads: 4,
            kv_heads: 2,
            head_dim: 32,
            ffn: 16,
            experts: None,
            activation: Activation::Silu,
            placement: Placement::Pre,
            eps: 1e-5,
            gain_offset: 0.,
            embedding_scale: 1.,
            score_scale: 1. / 32f64.sqrt(),
            attention_cap: None,
            final_cap: None,
            qkv_bias: false,
            output_bias: false,
            mlp_bias: false,
            qk_norm: false,
            ropes: vec![Rope { theta: 1e4, scaling: Scaling::Default }],
            layers: vec![LayerPlan::default(); 2],
            tied: true,
            eos: vec![],
            names: LLAMA_NAMES,
        }
    }

    #[test]
    fn exponent_holds_the_range_and_is_least() {
        for max in [1e-3, 0.7, 1., 8191.75, 8192., 1e6] {
            let mut margin = f64::INFINITY;
            let e = exponent(max, I16_MAX, -60, &mut margin);
            assert!(max <= I16_MAX * 2f64.powi(e));
            assert!(max > I16_MAX * 2f64.powi(e - 1));
            // At either end of the margin the exponent is about to change.
            let mut ignored = 0.;
            let (up, down) = (max * (1. + 1.001 * margin + 1e-9), max * (1. - 1.001 * margin - 1e-9));
            assert!(exponent(up, I16_MAX, -60, &mut ignored) != e || exponent(down, I16_MAX, -60, &mut ignored) != e);
        }
    }

    #[test]
    fn from_census_formats_obey_section_10() {
        let calibration = Calibration::from_census(&census(), &Graph::from(&plan())).unwrap();
        // 30 * 4 < 2^31 * 2^-20
        assert_eq!(calibration.f_h, 20);
        let layer = &calibration.layers[0];
        // 9 * 4 = 36 <= 32767 * 2^-9 = 63.99
        let query_sigma: Vec<u32> = layer.query_heads.iter().map(|head| head.sigma).collect();
        assert_eq!(query_sigma, [37, 36, 35, 30]);
        assert_eq!(layer.kv_sigma, [37, 30]);
        assert_eq!(layer.e_v, -11);
        let graph = Graph { value_headroom: 2., ..Graph::from(&plan()) };
        assert_eq!(Calibration::from_census(&census(), &graph).unwrap().layers[0].e_v, -12);
        for (head, statics) in layer.query_heads.iter().enumerate() {
            let HeadScale { c, sigma_l, soft_cap } = statics.scale;
            assert!((1 << 22..1 << 23).contains(&c) && soft_cap.is_none());
            let exponents = statics.sigma + layer.kv_sigma[head / 2];
            let wanted = 2f64.powi(16 - 92 + exponents as i32) * LOG2_E / 32f64.sqrt();
            let found = f64::from(c) * 2f64.powi(-(sigma_l as i32));
            assert!((found / wanted - 1.).abs() < 1e-6);
        }
    }

    #[test]
    fn from_census_caps_windows_and_sandwich_obey_section_10() {
        let mut plan = plan();
        plan.placement = Placement::Sandwich;
        (plan.attention_cap, plan.final_cap) = (Some(50.), Some(30.));
        plan.layers[1].window = Some(17);
        let mut census = census();
        census.layers[1].mlp_output = 1e4;
        let calibration = Calibration::from_census(&census, &Graph::from(&plan)).unwrap();
        let [first, second] = &calibration.layers[..] else { panic!("two layers") };
        assert_eq!((first.window, second.window), (0, 17));
        // 30 * 4 <= 2^7, 10 * 4 <= 2^6, 1e4 * 4 <= 2^16
        assert_eq!((first.f_o, first.f_d, second.f_d), (24, 25, 15));
        let cap = |c: u32, sigma: u32| f64::from(c) * 2f64.powi(-(sigma as i32));
        let FinalCap { c, sigma, cap: cap_l } = calibration.final_cap;
        assert!((cap(c, sigma) * 15. - 1.).abs() < 1e-6 && cap_l == 30 << 16);
        let HeadScale { c, sigma_l, soft_cap } = first.query_heads[0].scale;
        assert!((cap(c, sigma_l) / (50. * LOG2_E / 256.) - 1.).abs() < 1e-6);
        let SoftCap { c, sigma } = soft_cap.unwrap();
        let exponents = (first.query_heads[0].sigma + first.kv_sigma[0]) as i32 - 92;
        let wanted = 2f64.powi(17 + exponents) / 32f64.sqrt() / 50.;
        assert!((cap(c, sigma) / wanted - 1.).abs() < 1e-6);
    }

    #[test]
    fn from_census_range_beyond_format_is_refused() {
        for (site, poison) in [
            ("residual stream", (|c| c.layers[1].residual = 1e9) as fn(&mut Census)),
            ("gate", |c| c.layers[1].gate = 8193.),
            ("up", |c| c.layers[1].up = 8193.),
            ("query", |c| c.layers[1].query = 8193.),
            ("key", |c| c.layers[1].key = 8193.),
            ("query or key projection", |c| c.layers[1].projection = 8193.),
            ("router", |c| c.layers[1].router = 8193.),
            ("logits", |c| c.logits = 8193.),
        ] {
            let mut census = census();
            poison(&mut census);
            let error = Calibration::from_census(&census, &Graph::from(&plan())).unwrap_err().to_string();
            assert!(error.starts_with(&format!("layer 1: {site} reaches")), "{error}");
        }
    }
}

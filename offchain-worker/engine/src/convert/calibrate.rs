//! From measured ranges to the static exponents of section 10.
//!
//! Ranges enter only through powers of two, each the smallest that leaves the headroom, so the last bits of the float
//! arithmetic of the census do not matter unless a range lies within their distance of a boundary;
//! [`Calibration::margin`] says how far the nearest one is.

use super::{
    census::{pair_norms, Census, LayerRanges},
    error::{ConvertError, Result},
    quantize::mantissa,
};
use crate::float::{Observer, Site};
use assay_exact::{
    attention::HeadScale,
    header::limits,
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
/// sigma of a head whose rotated entries have exponent e is 46 + e: Q16 times Q30.
const ROTATED_BITS: i32 = 46;

/// All calibrated formats of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct Calibration {
    /// Fraction bits of the residual stream.
    pub f_h: u32,
    /// One entry per layer.
    pub layers: Vec<LayerStatics>,
    /// The least relative change of any measured range that would change the package: 0.01 says that every range is at
    /// least 1 % away from the boundary where its exponent changes.
    pub margin: f64,
}

impl Calibration {
    /// Chooses the formats; `head_dim` gives the softmax scale `1 / sqrt(D)`.
    pub fn from_census(census: &Census, head_dim: usize) -> Result<Self> {
        let mut margin = f64::INFINITY;
        let last = census.layers.len().saturating_sub(1);
        let residual = census.residual();
        let (coarsest, finest) = limits::STREAM_FRACTION;
        let f_h = -exponent(residual, 2f64.powi(31), -(finest as i32), &mut margin);
        let f_h = u32::try_from(f_h)
            .ok()
            .filter(|f_h| *f_h >= coarsest)
            .ok_or_else(|| too_large(last, Site::Residual, residual, 2f64.powi(27)))?;
        let scale = 1. / (head_dim as f64).sqrt();
        let layers = census
            .layers
            .iter()
            .enumerate()
            .map(|(layer, ranges)| layer_statics(layer, ranges, f_h, scale, &mut margin))
            .collect::<Result<_>>()?;
        check_q16(last, Site::Logits, census.logits)?;
        Ok(Self { f_h, layers, margin })
    }
}

fn layer_statics(layer: usize, ranges: &LayerRanges, f_h: u32, scale: f64, margin: &mut f64) -> Result<LayerStatics> {
    for (site, max) in
        [(Site::Query, ranges.query), (Site::Key, ranges.key), (Site::Gate, ranges.gate), (Site::Up, ranges.up)]
    {
        check_q16(layer, site, max)?;
    }
    // The largest Q16 range gives e <= 2, so sigma <= 48 and sigma_l >= 0 whatever D.
    let mut exponents = |maxima: &[f64]| -> Vec<i32> {
        maxima.iter().map(|max| exponent(*max, I16_MAX, FINEST_ROTATED, margin)).collect()
    };
    let e_q = exponents(&ranges.query_heads);
    let e_k = exponents(&ranges.key_heads);
    let limit = limits::LAYER_EXPONENT as i32;
    let e_v = exponent(ranges.value, I16_MAX, -limit, margin);
    if e_v > limit {
        return Err(too_large(layer, Site::Value, ranges.value, libm::scalbn(I16_MAX, limit)));
    }
    let group = e_q.len() / e_k.len();
    let sigma = |e: i32| (ROTATED_BITS + e) as u32;
    let query_heads = e_q
        .iter()
        .enumerate()
        .map(|(head, e_q)| {
            let real = libm::scalbn(LOG2_E * scale, 16 + e_q + e_k[head / group]);
            let (c, sigma_l) = mantissa(real, 23)
                .and_then(|(c, shift)| Some((c, u32::try_from(shift).ok()?)))
                .filter(|(_, shift)| *shift <= limits::SHIFT)
                .ok_or_else(|| too_large(layer, Site::Query, ranges.query_heads[head], Q16_LIMIT))?;
            Ok(QueryHead { sigma: sigma(*e_q), scale: HeadScale { c, sigma_l, soft_cap: None } })
        })
        .collect::<Result<_>>()?;
    Ok(LayerStatics {
        window: 0,
        rope_table: Some(0),
        e_v,
        f_o: f_h as i32,
        f_d: f_h as i32,
        query_heads,
        kv_sigma: e_k.into_iter().map(sigma).collect(),
    })
}

/// The least `e >= finest` with `max * HEADROOM <= limit * 2^e`, lowering `margin` to the relative change of `max` that
/// would give another one.
fn exponent(max: f64, limit: f64, finest: i32, margin: &mut f64) -> i32 {
    let fill = max * HEADROOM / limit;
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
            (Site::Residual | Site::Sublayer, _) => beyond(self.residual_limit),
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

    fn census() -> Census {
        let mut census = Census::new(2, 4, 2);
        census.logits = 20.;
        for layer in &mut census.layers {
            layer.residual = 21.;
            layer.sublayer = 30.;
            (layer.query, layer.key, layer.value, layer.gate, layer.up) = (9., 9., 3., 5., 5.);
            layer.query_heads = vec![9., 5., 3., 0.];
            layer.key_heads = vec![11., 0.01];
        }
        census
    }

    #[test]
    fn exponent_keeps_headroom_and_is_least() {
        for max in [1e-3, 0.7, 1., 8191.75, 8192., 1e6] {
            let mut margin = f64::INFINITY;
            let e = exponent(max, I16_MAX, -60, &mut margin);
            assert!(max * HEADROOM <= I16_MAX * 2f64.powi(e));
            assert!(max * HEADROOM > I16_MAX * 2f64.powi(e - 1));
            // At either end of the margin the exponent is about to change.
            let mut ignored = 0.;
            let (up, down) = (max * (1. + 1.001 * margin + 1e-9), max * (1. - 1.001 * margin - 1e-9));
            assert!(exponent(up, I16_MAX, -60, &mut ignored) != e || exponent(down, I16_MAX, -60, &mut ignored) != e);
        }
    }

    #[test]
    fn from_census_formats_obey_section_10() {
        let calibration = Calibration::from_census(&census(), 32).unwrap();
        // 30 * 4 < 2^31 * 2^-20
        assert_eq!(calibration.f_h, 20);
        let layer = &calibration.layers[0];
        // 9 * 4 = 36 <= 32767 * 2^-9 = 63.99
        let query_sigma: Vec<u32> = layer.query_heads.iter().map(|head| head.sigma).collect();
        assert_eq!(query_sigma, [37, 36, 35, 30]);
        assert_eq!(layer.kv_sigma, [37, 30]);
        assert_eq!(layer.e_v, -11);
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
    fn from_census_range_beyond_format_is_refused() {
        for (site, poison) in [
            ("residual stream", (|c| c.layers[1].residual = 1e9) as fn(&mut Census)),
            ("gate", |c| c.layers[1].gate = 8193.),
            ("up", |c| c.layers[1].up = 8193.),
            ("query", |c| c.layers[1].query = 8193.),
            ("key", |c| c.layers[1].key = 8193.),
            ("logits", |c| c.logits = 8193.),
        ] {
            let mut census = census();
            poison(&mut census);
            let error = Calibration::from_census(&census, 32).unwrap_err().to_string();
            assert!(error.starts_with(&format!("layer 1: {site} reaches")), "{error}");
        }
    }
}

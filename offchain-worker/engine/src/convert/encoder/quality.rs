//! The report that an encoder's conversion leaves beside its package: how far the exact vectors are from the float ones.

use super::{
    source::{EncoderSource, VALUE_HEADROOM},
    texts::{passages, spread},
};
use crate::{
    convert::{Conversion, ConvertError, LayerRanges, LayerSaturation, Result, SaturationCount, HEADROOM},
    embed::Embedder,
    float::Observer,
    hex::Hex,
    kernels::Backend,
    package::Package,
    stage::{Control, Setup},
};
use serde::Serialize;
use std::{fmt, path::Path, sync::Arc};

/// Passages compared.
const PASSAGES: usize = 128;

/// Ranges, saturation and cosines of one converted encoder.
#[derive(Debug, Clone, Serialize)]
pub struct EncoderQualityReport {
    /// Identity of the package.
    pub model_root: String,
    /// The architecture of `config.json`.
    pub architecture: &'static str,
    /// Tokens that the ranges were measured on.
    pub calibration_tokens: usize,
    /// Least factor between a measured range and its format.
    pub headroom: f64,
    /// The same of the values.
    pub value_headroom: f64,
    /// Least relative change of a measured range that would change the package.
    pub calibration_margin: f64,
    /// Fraction bits of the residual stream.
    pub residual_fraction_bits: u32,
    /// Ranges on the calibration text.
    pub layers: Vec<LayerRanges>,
    /// Activations of the evaluation text beyond their format; the last entry is empty.
    pub saturation: Vec<LayerSaturation>,
    /// The least cosine between a passage's two vectors.
    pub cosine_min: f64,
    /// Their mean.
    pub cosine_mean: f64,
    /// Each passage's tokens and cosine, in order of the text.
    pub passages: Vec<PassageCosine>,
}

/// One passage of the evaluation text.
#[derive(Debug, Clone, Serialize)]
pub struct PassageCosine {
    /// Its tokens.
    pub tokens: usize,
    /// Between the float model's vector and the exact engine's.
    pub cosine: f64,
}

impl EncoderQualityReport {
    /// Runs the paragraphs of `text` through the float model and the package, and sets what conversion found beside it.
    pub fn measure(source: &EncoderSource, conversion: &Conversion, package: &Path, text: &str) -> Result<Self> {
        let package = Package::open(package)?;
        package.verify(Some(conversion.model_root))?;
        let calibration = &conversion.calibration;
        let mut saturation = SaturationCount::new(calibration);
        let texts = spread(&passages(text), PASSAGES).map(|text| source.encode(text)).collect::<Result<Vec<_>>>()?;
        let cosines = compare(source, &Arc::new(package), &texts, &mut saturation)?;
        Ok(Self {
            model_root: Hex(&conversion.model_root).to_string(),
            architecture: source.plan().architecture,
            calibration_tokens: conversion.calibration_tokens,
            headroom: HEADROOM,
            value_headroom: VALUE_HEADROOM,
            calibration_margin: calibration.margin,
            residual_fraction_bits: calibration.f_h,
            layers: conversion.census.layers.clone(),
            saturation: saturation.layers,
            cosine_min: cosines.iter().copied().fold(1., f64::min),
            cosine_mean: cosines.iter().sum::<f64>() / cosines.len().max(1) as f64,
            passages: texts
                .iter()
                .zip(cosines)
                .map(|(ids, cosine)| PassageCosine { tokens: ids.len(), cosine })
                .collect(),
        })
    }

    /// The report for machines.
    pub fn to_json(&self) -> Result<String> {
        let json = serde_json::to_string_pretty(self)
            .map_err(|source| ConvertError::Json { path: "quality.json".into(), source })?;
        Ok(json + "\n")
    }
}

/// The cosine of each text's two vectors, the float activations shown to `observer`.
pub fn compare(
    source: &EncoderSource,
    package: &Arc<Package>,
    texts: &[Vec<u32>],
    observer: &mut dyn Observer,
) -> Result<Vec<f64>> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut exact = Embedder::open(package, 1, &Setup::new(Backend::detect(), threads))?;
    let float = source.vectors(texts, observer)?;
    texts
        .iter()
        .zip(float)
        .map(|(ids, float)| Ok(cosine(&float, &exact.embed(ids, &mut Control::default())?.to_f32())))
        .collect()
}

/// The cosine of the angle between two vectors of one length.
pub fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

/// The report for people.
impl fmt::Display for EncoderQualityReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let clipped: u64 = self.saturation.iter().map(|layer| layer.clipped).sum();
        let seen: u64 = self.saturation.iter().map(|layer| layer.seen).sum();
        writeln!(f, "model root        {}", self.model_root)?;
        writeln!(f, "architecture      {}", self.architecture)?;
        writeln!(
            f,
            "cosine            {:.7} least, {:.7} mean over {} passages",
            self.cosine_min,
            self.cosine_mean,
            self.passages.len()
        )?;
        writeln!(f, "saturated         {clipped} of {seen} activations of the evaluation text")?;
        writeln!(
            f,
            "calibration       {} tokens, headroom {}x ({}x of values), nearest boundary {:.2} % away",
            self.calibration_tokens,
            self.headroom,
            self.value_headroom,
            100. * self.calibration_margin,
        )?;
        writeln!(f, "residual stream   Q{}\n", self.residual_fraction_bits)?;
        writeln!(f, "layer  residual  sublayer     query       key     value        up  saturated")?;
        for (index, layer) in self.layers.iter().enumerate() {
            write!(f, "{index:5}")?;
            let sublayer = layer.attention_output.max(layer.mlp_output);
            for range in [layer.residual, sublayer, layer.query, layer.key, layer.value, layer.up] {
                write!(f, "{range:10.3}")?;
            }
            writeln!(f, "  {}", self.saturation.get(index).map_or(0, |layer| layer.clipped))?;
        }
        Ok(())
    }
}

//! The report that a conversion leaves beside its package.

use super::{Agreement, ExactScorer, Tally};
use crate::{
    convert::{Conversion, ConvertError, LayerRanges, LayerSaturation, Result, SaturationCount, Source, HEADROOM},
    hex::Hex,
    kernels::Backend,
    package::Package,
};
use assay_exact::statics::LayerStatics;
use serde::Serialize;
use std::{fmt, path::Path};

/// Windows scored.
const WINDOWS: usize = 8;
/// Tokens per window, context permitting.
const LENGTH: usize = 256;

/// Ranges, formats, saturation and agreement of one converted model.
#[derive(Debug, Clone, Serialize)]
pub struct QualityReport {
    /// Identity of the package.
    pub model_root: String,
    /// The architecture of `config.json`.
    pub architecture: &'static str,
    /// Tokens that the ranges were measured on.
    pub calibration_tokens: usize,
    /// Least factor between a measured range and its format.
    pub headroom: f64,
    /// Least relative change of a measured range that would change the package.
    pub calibration_margin: f64,
    /// Layers with outliers folded into their weights.
    pub folded_layers: usize,
    /// Fraction bits of the residual stream.
    pub residual_fraction_bits: u32,
    /// Largest logit on the calibration text.
    pub logit_range: f64,
    /// Ranges on the calibration text, and the formats chosen from them.
    pub layers: Vec<LayerReport>,
    /// Activations of the evaluation text beyond their format, the logits as one more layer.
    pub saturation: Vec<LayerSaturation>,
    /// The float model against the exact engine, on the evaluation text.
    pub agreement: Agreement,
}

/// One layer.
#[derive(Debug, Clone, Serialize)]
pub struct LayerReport {
    /// Measured.
    #[serde(flatten)]
    pub ranges: LayerRanges,
    /// Exponent of the values.
    pub value_exponent: i32,
    /// Exponent of each query head.
    pub query_exponents: Vec<i32>,
    /// Exponent of each key head.
    pub key_exponents: Vec<i32>,
}

impl LayerReport {
    fn new(ranges: &LayerRanges, statics: &LayerStatics) -> Self {
        // Section 10: sigma = 46 + exponent.
        let exponent = |sigma: u32| sigma as i32 - 46;
        Self {
            ranges: ranges.clone(),
            value_exponent: statics.e_v,
            query_exponents: statics.query_heads.iter().map(|head| exponent(head.sigma)).collect(),
            key_exponents: statics.kv_sigma.iter().map(|sigma| exponent(*sigma)).collect(),
        }
    }
}

impl QualityReport {
    /// Runs `text` through the float model and the package, and sets what conversion found beside it.
    pub fn measure(source: &Source, conversion: &Conversion, package: &Path, text: &str) -> Result<Self> {
        let package = Package::open(package)?;
        package.verify(Some(conversion.model_root))?;
        let calibration = &conversion.calibration;
        let mut saturation = SaturationCount::new(calibration);
        // The formats are those of the folded activations; its logits are the model's.
        let source = source.folded(&conversion.folding);
        let agreement = compare(&source, &package, text, WINDOWS, LENGTH, &mut saturation)?;
        let layers = conversion.census.layers.iter().zip(&calibration.layers);
        Ok(Self {
            model_root: Hex(&conversion.model_root).to_string(),
            architecture: source.plan().architecture,
            calibration_tokens: conversion.calibration_tokens,
            headroom: HEADROOM,
            calibration_margin: calibration.margin,
            folded_layers: conversion.folding.changed_layers(),
            residual_fraction_bits: calibration.f_h,
            logit_range: conversion.census.logits,
            layers: layers.map(|(ranges, statics)| LayerReport::new(ranges, statics)).collect(),
            saturation: saturation.layers,
            agreement,
        })
    }

    /// The report for machines.
    pub fn to_json(&self) -> Result<String> {
        let json = serde_json::to_string_pretty(self)
            .map_err(|source| ConvertError::Json { path: "quality.json".into(), source })?;
        Ok(json + "\n")
    }
}

/// Scores `windows` windows of at most `length` tokens of `text` with both models, showing the float activations to
/// `observer`.
pub fn compare(
    source: &Source,
    package: &Package,
    text: &str,
    windows: usize,
    length: usize,
    observer: &mut dyn crate::float::Observer,
) -> Result<Agreement> {
    let plan = source.plan();
    let windows = source.tokenizer().windows(text, windows, length.min(plan.context))?;
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let exact = ExactScorer::new(package, Backend::detect(), threads)?;
    let mut tally = Tally::default();
    source.float().forward(&windows, observer, |window, float| {
        let ids = &windows[window];
        let float = float.flatten_all()?.to_vec1::<f32>()?;
        let mut exact = exact.logits(ids).map_err(candle_core::Error::wrap)?;
        if let Some(cap) = package.header().final_cap() {
            exact.iter_mut().for_each(|logit| *logit = cap.apply(*logit));
        }
        tally.add(ids, plan.vocab, &float, &exact);
        Ok(())
    })?;
    Ok(tally.agreement())
}

/// The report for people.
impl fmt::Display for QualityReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let agreement = &self.agreement;
        let clipped: u64 = self.saturation.iter().map(|layer| layer.clipped).sum();
        let seen: u64 = self.saturation.iter().map(|layer| layer.seen).sum();
        writeln!(f, "model root        {}", self.model_root)?;
        writeln!(f, "architecture      {}", self.architecture)?;
        writeln!(
            f,
            "perplexity        {:.4} float, {:.4} exact ({:+.3} %) over {} positions",
            agreement.float_perplexity,
            agreement.exact_perplexity,
            100. * agreement.perplexity_change,
            agreement.positions,
        )?;
        writeln!(f, "same top token    {:.2} % of positions", 100. * agreement.top1_agreement)?;
        writeln!(f, "saturated         {clipped} of {seen} activations of the evaluation text")?;
        writeln!(
            f,
            "calibration       {} tokens, headroom {}x, nearest boundary {:.2} % away",
            self.calibration_tokens,
            self.headroom,
            100. * self.calibration_margin,
        )?;
        writeln!(
            f,
            "residual stream   Q{} ({} bits before the point)",
            self.residual_fraction_bits,
            31 - self.residual_fraction_bits
        )?;
        writeln!(f, "outliers folded   in {} of {} layers", self.folded_layers, self.layers.len())?;
        writeln!(f, "largest logit     {:.2}\n", self.logit_range)?;
        writeln!(
            f,
            "layer  residual  attn out   MLP out     query       key     value      gate        up   e_q         e_k         e_v  saturated"
        )?;
        for (index, layer) in self.layers.iter().enumerate() {
            let ranges = &layer.ranges;
            let span = |exponents: &[i32]| {
                let (least, most) = (exponents.iter().min(), exponents.iter().max());
                format!("{}..{}", least.unwrap_or(&0), most.unwrap_or(&0))
            };
            write!(f, "{index:5}")?;
            for range in [
                ranges.residual,
                ranges.attention_output,
                ranges.mlp_output,
                ranges.query,
                ranges.key,
                ranges.value,
                ranges.gate,
                ranges.up,
            ] {
                write!(f, "{range:10.3}")?;
            }
            writeln!(
                f,
                "   {:<10}  {:<10}  {:3}  {}",
                span(&layer.query_exponents),
                span(&layer.key_exponents),
                layer.value_exponent,
                self.saturation.get(index).map_or(0, |layer| layer.clipped)
            )?;
        }
        Ok(())
    }
}

//! RoPE scaling: two keys of the metadata, or a tensor of factors.

use super::{architecture::Architecture, metadata::Metadata, reader::Container};
use crate::convert::{checkpoint::Storage, error::Result};
use serde_json::{json, Map, Value};
use std::f64::consts::PI;

/// Divisors of the frequencies, one per pair.
pub const FACTORS: &str = "rope_freqs.weight";
/// Llama 3's recipe as published: turns over the first context below which frequencies are divided, and above which they are
/// kept; the first context.
const LOW: f64 = 1.;
const HIGH: f64 = 4.;
const ORIGINAL_CONTEXT: f64 = 8192.;

/// `rope_scaling` as `config.json` has it; `None` without scaling.
pub fn scaling(
    metadata: &Metadata<'_>,
    container: &Container,
    architecture: &Architecture,
    fields: &Map<String, Value>,
) -> Result<Option<Value>> {
    if container.tensors().contains_key(FACTORS) {
        return llama3(metadata, container, fields).map(Some);
    }
    let key = |key: &str| architecture.key(&format!("rope.scaling.{key}"));
    let name = match metadata.text(&key("type"))? {
        None | Some("none") => return Ok(None),
        Some(name) => name,
    };
    // llama.cpp multiplies YaRN's own factor by these, Hugging Face's field replaces it.
    for factor in ["attn_factor", "yarn_attn_factor"].map(key) {
        if metadata.float(&factor)?.is_some_and(|value| value != 1.) {
            return Err(metadata.problem(&factor, "a factor on the scores is not supported"));
        }
    }
    let mut scaling = json!({ "rope_type": name });
    for (field, stored) in [("factor", "factor"), ("beta_fast", "yarn_beta_fast"), ("beta_slow", "yarn_beta_slow")] {
        if let Some(value) = metadata.float(&key(stored))? {
            scaling[field] = value.into();
        }
    }
    if let Some(context) = metadata.unsigned(&key("original_context_length"))? {
        scaling["original_max_position_embeddings"] = context.into();
    }
    Ok(Some(scaling))
}

/// Llama 3's parameters are not in the file, only the factors that they gave. The largest of these is the divisor; the rest is
/// accepted if the published recipe gives the same factors.
fn llama3(metadata: &Metadata<'_>, container: &Container, fields: &Map<String, Value>) -> Result<Value> {
    let Some(info) = container.tensors().get(FACTORS).filter(|info| info.storage == Storage::F32) else {
        return Err(metadata.problem(FACTORS, "must be a tensor of F32"));
    };
    let factors: Vec<f64> = container.bytes()[info.range.clone()]
        .chunks_exact(4)
        .map(|b| f64::from(f32::from_le_bytes([b[0], b[1], b[2], b[3]])))
        .collect();
    let theta = fields.get("rope_theta").and_then(Value::as_f64).unwrap_or(10_000.);
    let divisor = factors.iter().copied().fold(1., f64::max);
    let recipe = |pair: usize| {
        let turns = ORIGINAL_CONTEXT * libm::pow(theta, -(pair as f64) / factors.len() as f64) / (2. * PI);
        let kept = ((turns - LOW) / (HIGH - LOW)).clamp(0., 1.);
        1. / (kept + (1. - kept) / divisor)
    };
    // The factors are f32, computed in f32; false for NaN and infinity too.
    let same = |(pair, factor): (usize, &f64)| (factor / recipe(pair) - 1.).abs() < 1e-4;
    if !factors.iter().enumerate().all(same) {
        return Err(metadata.problem(
            FACTORS,
            "the factors are not those of the Llama 3 recipe (1 and 4 turns over 8192 positions); other factors are not \
             supported",
        ));
    }
    Ok(json!({
        "rope_type": "llama3", "factor": divisor, "low_freq_factor": LOW, "high_freq_factor": HIGH,
        "original_max_position_embeddings": ORIGINAL_CONTEXT,
    }))
}

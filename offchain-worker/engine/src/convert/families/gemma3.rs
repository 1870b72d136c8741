//! `Gemma3ForCausalLM`: the text model of [Gemma 3](https://arxiv.org/abs/2503.19786). Gemma 2 without caps, with RMSNorm
//! on each query and key head, and a rotary base of their own for the layers with a window: five of six.

use super::{base, gemma2, Family};
use crate::convert::{
    config::ConfigFile,
    error::Result,
    plan::{DecoderPlan, LayerPlan},
    rope::{Rope, Scaling},
};
use assay_exact::header::limits;

pub(super) const FAMILY: Family = Family { architecture: "Gemma3ForCausalLM", plan, ignored: |_| false };

/// Tables of the layers that see everything, and of those with a window.
const GLOBAL: usize = 0;
const LOCAL: usize = 1;
/// Their bases, where the configuration names none.
const GLOBAL_THETA: f64 = 1e6;
const LOCAL_THETA: f64 = 10_000.;

fn plan(config: &ConfigFile) -> Result<DecoderPlan> {
    if config.flag("use_bidirectional_attention", false)? {
        return Err(config.problem("use_bidirectional_attention", "the model is not a decoder with it"));
    }
    let plan = gemma2::decoder(config, FAMILY.architecture)?;
    let pattern = config.optional_size("sliding_window_pattern", limits::COUNT)?.unwrap_or(6);
    let sliding = base::sliding(config, plan.layers.len(), |layer| (layer + 1) % pattern != 0)?;
    let window = base::window(config, plan.context)?;
    let layers = sliding.iter().map(|sliding| match sliding {
        true => LayerPlan { window, rope: LOCAL },
        false => LayerPlan { window: None, rope: GLOBAL },
    });
    let mut layers: Vec<LayerPlan> = layers.collect();
    let mut ropes = ropes(config, plan.context)?;
    // A table that no layer names has no place in a package.
    for table in [LOCAL, GLOBAL] {
        if layers.iter().all(|layer| layer.rope != table) {
            ropes.remove(table);
            layers.iter_mut().for_each(|layer| layer.rope = 0);
        }
    }
    Ok(DecoderPlan { qk_norm: true, layers, ropes, ..plan })
}

/// The two tables, from `rope_theta`, `rope_scaling` and `rope_local_base_freq`, or from the newer nested
/// `rope_parameters`.
fn ropes(config: &ConfigFile, context: usize) -> Result<Vec<Rope>> {
    let newer = config.object("rope_parameters")?;
    if let Some(kinds) = newer.filter(|kinds| kinds.get("full_attention").is_some()) {
        let kind = |name: &str, theta: f64| {
            let parameters = kinds.object(name)?.ok_or_else(|| kinds.problem(name, "missing"))?;
            Rope::from_parameters(&parameters, context, theta)
        };
        return Ok(vec![kind("full_attention", GLOBAL_THETA)?, kind("sliding_attention", LOCAL_THETA)?]);
    }
    let theta = config.optional_number("rope_local_base_freq")?.unwrap_or(LOCAL_THETA);
    if !(1. ..=1e12).contains(&theta) {
        return Err(config.problem("rope_local_base_freq", format!("{theta} is outside 1..=1e12")));
    }
    Ok(vec![Rope::read(config, context, GLOBAL_THETA)?, Rope { theta, scaling: Scaling::Default }])
}

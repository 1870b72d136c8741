//! `Qwen3ForCausalLM`: [Qwen3](https://arxiv.org/abs/2505.09388), with RMSNorm on each query and key head.

use super::{base, Family};
use crate::convert::{config::ConfigFile, error::Result, plan::DecoderPlan};

pub(super) const FAMILY: Family = Family { architecture: "Qwen3ForCausalLM", plan, ignored: |_| false };

fn plan(config: &ConfigFile) -> Result<DecoderPlan> {
    decoder(config, FAMILY.architecture)
}

/// What the dense and the sparse models share.
pub(super) fn decoder(config: &ConfigFile, architecture: &'static str) -> Result<DecoderPlan> {
    let plan = base::decoder(config, architecture)?;
    let attention_bias = config.flag("attention_bias", false)?;
    Ok(DecoderPlan {
        qkv_bias: attention_bias,
        output_bias: attention_bias,
        qk_norm: true,
        layers: base::qwen_layers(config, &plan)?,
        ..plan
    })
}

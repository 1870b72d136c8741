//! `LlamaForCausalLM`: [Llama](https://arxiv.org/abs/2302.13971) 1 to 3 and the many models of the same shape.

use super::{base, Family};
use crate::convert::{config::ConfigFile, error::Result, plan::DecoderPlan};

pub(super) const FAMILY: Family = Family {
    architecture: "LlamaForCausalLM",
    plan,
    // Old checkpoints carry the frequencies that `rope_theta` implies.
    ignored: |name| name.ends_with(".rotary_emb.inv_freq"),
};

fn plan(config: &ConfigFile) -> Result<DecoderPlan> {
    let attention_bias = config.flag("attention_bias", false)?;
    Ok(DecoderPlan {
        qkv_bias: attention_bias,
        output_bias: attention_bias,
        mlp_bias: config.flag("mlp_bias", false)?,
        ..base::decoder(config, FAMILY.architecture)?
    })
}

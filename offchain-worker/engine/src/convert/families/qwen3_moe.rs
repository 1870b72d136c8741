//! `Qwen3MoeForCausalLM`: [Qwen3](https://arxiv.org/abs/2505.09388) with many small experts in every layer.

use super::{base, qwen3, Family};
use crate::convert::{
    config::ConfigFile,
    error::Result,
    plan::{DecoderPlan, TensorNames, LLAMA_NAMES},
};
use assay_exact::header::limits;
use serde_json::Value;

pub(super) const FAMILY: Family = Family { architecture: "Qwen3MoeForCausalLM", plan, ignored: |_| false };

const NAMES: TensorNames = TensorNames { router: "mlp.gate", experts: "mlp.experts", ..LLAMA_NAMES };

fn plan(config: &ConfigFile) -> Result<DecoderPlan> {
    // A package's layers are all dense or all sparse.
    if config.optional_size("decoder_sparse_step", limits::COUNT)?.unwrap_or(1) != 1 {
        return Err(config.problem("decoder_sparse_step", "must be 1: every layer has experts, or none"));
    }
    match config.get("mlp_only_layers") {
        None => {}
        Some(Value::Array(layers)) if layers.is_empty() => {}
        Some(_) => return Err(config.problem("mlp_only_layers", "must be empty: every layer has experts, or none")),
    }
    let over_all = !config.flag("norm_topk_prob", false)?;
    Ok(DecoderPlan {
        ffn: config.size("moe_intermediate_size", limits::IN_FEATURES)?,
        experts: Some(base::experts(config, "num_experts", over_all)?),
        names: NAMES,
        ..qwen3::decoder(config, FAMILY.architecture)?
    })
}

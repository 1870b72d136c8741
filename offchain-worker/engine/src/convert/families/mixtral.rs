//! `MixtralForCausalLM`: [Mixtral of experts](https://arxiv.org/abs/2401.04088), Mistral with a sparse MLP.

use super::{base, Family};
use crate::convert::{
    config::ConfigFile,
    error::Result,
    plan::{DecoderPlan, TensorNames, LLAMA_NAMES},
    rope::Rope,
};

pub(super) const FAMILY: Family = Family { architecture: "MixtralForCausalLM", plan, ignored: |_| false };

const NAMES: TensorNames = TensorNames {
    router: "block_sparse_moe.gate",
    experts: "block_sparse_moe.experts",
    gate: "w1",
    up: "w3",
    down: "w2",
    ..LLAMA_NAMES
};

fn plan(config: &ConfigFile) -> Result<DecoderPlan> {
    let plan = base::decoder(config, FAMILY.architecture)?;
    let sliding = base::sliding(config, plan.layers.len(), |_| true)?;
    Ok(DecoderPlan {
        experts: Some(base::experts(config, "num_local_experts", false)?),
        layers: base::layers(&sliding, base::window(config, plan.context)?),
        ropes: vec![Rope::read(config, plan.context, 1e6)?],
        names: NAMES,
        ..plan
    })
}

//! `Qwen2ForCausalLM`: [Qwen2](https://arxiv.org/abs/2407.10671) and 2.5, with a bias on queries, keys and values.

use super::{base, Family};
use crate::convert::{config::ConfigFile, error::Result, plan::DecoderPlan};

pub(super) const FAMILY: Family = Family { architecture: "Qwen2ForCausalLM", plan, ignored: |_| false };

fn plan(config: &ConfigFile) -> Result<DecoderPlan> {
    let plan = base::decoder(config, FAMILY.architecture)?;
    Ok(DecoderPlan { qkv_bias: true, layers: base::qwen_layers(config, &plan)?, ..plan })
}

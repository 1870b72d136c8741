//! `MistralForCausalLM`: [Mistral 7B](https://arxiv.org/abs/2310.06825), a Llama whose layers may all see a sliding window.

use super::{base, Family};
use crate::convert::{config::ConfigFile, error::Result, plan::DecoderPlan};

pub(super) const FAMILY: Family = Family { architecture: "MistralForCausalLM", plan, ignored: |_| false };

fn plan(config: &ConfigFile) -> Result<DecoderPlan> {
    let plan = base::decoder(config, FAMILY.architecture)?;
    let sliding = base::sliding(config, plan.layers.len(), |_| true)?;
    Ok(DecoderPlan { layers: base::layers(&sliding, base::window(config, plan.context)?), ..plan })
}

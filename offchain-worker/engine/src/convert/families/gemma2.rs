//! `Gemma2ForCausalLM`: [Gemma 2](https://arxiv.org/abs/2408.00118): norms around each block, capped scores and logits,
//! GeGLU, and a sliding window in every other layer.

use super::{base, Family};
use crate::convert::{
    config::ConfigFile,
    error::Result,
    plan::{DecoderPlan, TensorNames, LLAMA_NAMES},
};
use assay_exact::{header::Placement, mlp::Activation};

pub(super) const FAMILY: Family = Family { architecture: "Gemma2ForCausalLM", plan, ignored: |_| false };

const NAMES: TensorNames = TensorNames {
    attention_out_norm: "post_attention_layernorm",
    mlp_norm: "pre_feedforward_layernorm",
    mlp_out_norm: "post_feedforward_layernorm",
    ..LLAMA_NAMES
};

fn plan(config: &ConfigFile) -> Result<DecoderPlan> {
    let plan = decoder(config, FAMILY.architecture)?;
    // The even layers, from the first.
    let sliding = base::sliding(config, plan.layers.len(), |layer| layer % 2 == 0)?;
    Ok(DecoderPlan { layers: base::layers(&sliding, base::window(config, plan.context)?), ..plan })
}

/// What Gemma 2 and 3 share.
pub(super) fn decoder(config: &ConfigFile, architecture: &'static str) -> Result<DecoderPlan> {
    let plan = base::decoder(config, architecture)?;
    let attention_bias = config.flag("attention_bias", false)?;
    Ok(DecoderPlan {
        // `hidden_act` is there for older readers; `hidden_activation` is what the model uses.
        activation: base::activation(config, "hidden_activation")?.unwrap_or(Activation::GeluTanh),
        placement: Placement::Sandwich,
        gain_offset: 1.,
        embedding_scale: (plan.hidden as f64).sqrt(),
        score_scale: base::inverse_root(config, "query_pre_attn_scalar")?,
        attention_cap: base::cap(config, "attn_logit_softcapping")?,
        final_cap: base::cap(config, "final_logit_softcapping")?,
        qkv_bias: attention_bias,
        output_bias: attention_bias,
        tied: config.flag("tie_word_embeddings", true)?,
        names: NAMES,
        ..plan
    })
}

//! `LlamaForCausalLM`: Llama 1 to 3 and the many models of the same shape.

use super::{DecoderPlan, Family, LayerNames, TensorNames};
use crate::convert::{config::ConfigFile, error::Result, rope::Rope};
use assay_exact::header::limits;

const ARCHITECTURE: &str = "LlamaForCausalLM";

pub(super) const FAMILY: Family = Family {
    architecture: ARCHITECTURE,
    plan,
    // Old checkpoints carry the frequencies that `rope_theta` implies.
    ignored: |name| name.ends_with(".rotary_emb.inv_freq"),
};

fn plan(config: &ConfigFile) -> Result<DecoderPlan> {
    unquantized(config)?;
    let vocab = config.size("vocab_size", limits::VOCAB)?;
    let hidden = config.size("hidden_size", limits::WIDTH)?;
    let layers = config.size("num_hidden_layers", limits::COUNT)?;
    let heads = config.size("num_attention_heads", limits::COUNT)?;
    let kv_heads = config.optional_size("num_key_value_heads", limits::COUNT)?.unwrap_or(heads);
    if heads % kv_heads != 0 {
        return Err(
            config.problem("num_key_value_heads", format!("{kv_heads} does not divide num_attention_heads {heads}"))
        );
    }
    let head_dim = match config.optional_size("head_dim", limits::HEAD_DIM)? {
        Some(size) => size,
        None if hidden % heads == 0 && hidden / heads <= limits::HEAD_DIM as usize => hidden / heads,
        None => {
            return Err(config.problem(
                "head_dim",
                format!(
                    "missing, and hidden_size {hidden} / num_attention_heads {heads} is not a whole number up to {}",
                    limits::HEAD_DIM
                ),
            ))
        }
    };
    if head_dim % 2 != 0 {
        return Err(config.problem("head_dim", format!("{head_dim} is odd; RoPE rotates pairs")));
    }
    if heads * head_dim > limits::IN_FEATURES as usize {
        return Err(config.problem(
            "num_attention_heads",
            format!("{heads} heads of {head_dim} exceed {} features", limits::IN_FEATURES),
        ));
    }
    let eps = config.number("rms_norm_eps")?;
    if eps != 0. && !(1e-30..=1.).contains(&eps) {
        return Err(config.problem("rms_norm_eps", format!("{eps} is neither 0 nor in 1e-30..=1")));
    }
    let activation = config.text("hidden_act")?.unwrap_or("silu");
    if !matches!(activation, "silu" | "swish") {
        return Err(config.problem("hidden_act", format!("{activation:?} is not supported; supported: \"silu\"")));
    }
    for field in ["attention_bias", "mlp_bias"] {
        if config.flag(field, false)? {
            return Err(config.problem(field, "linear layers with bias are not supported yet"));
        }
    }
    Ok(DecoderPlan {
        architecture: ARCHITECTURE,
        vocab,
        context: config.size("max_position_embeddings", limits::CONTEXT)?,
        hidden,
        layers,
        heads,
        kv_heads,
        head_dim,
        ffn: config.size("intermediate_size", limits::IN_FEATURES)?,
        eps,
        rope: Rope::read(config)?,
        tied: config.flag("tie_word_embeddings", false)?,
        eos: config.token_ids("eos_token_id", vocab)?,
        names: TensorNames {
            embed: "model.embed_tokens.weight".into(),
            final_norm: "model.norm.weight".into(),
            head: "lm_head.weight".into(),
            layers: (0..layers).map(layer_names).collect(),
        },
    })
}

/// A checkpoint that is quantized already stores no float weights under these names.
fn unquantized(config: &ConfigFile) -> Result<()> {
    match config.get("quantization_config") {
        None => Ok(()),
        Some(_) => {
            Err(config
                .problem("quantization_config", "the checkpoint is quantized; convert the original float checkpoint"))
        }
    }
}

fn layer_names(layer: usize) -> LayerNames {
    let name = |part: &str| format!("model.layers.{layer}.{part}.weight");
    LayerNames {
        attention_norm: name("input_layernorm"),
        q: name("self_attn.q_proj"),
        k: name("self_attn.k_proj"),
        v: name("self_attn.v_proj"),
        o: name("self_attn.o_proj"),
        mlp_norm: name("post_attention_layernorm"),
        gate: name("mlp.gate_proj"),
        up: name("mlp.up_proj"),
        down: name("mlp.down_proj"),
    }
}

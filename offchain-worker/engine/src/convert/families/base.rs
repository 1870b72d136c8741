//! The fields that the families' `config.json` have in common, and readers for those that several of them have.

use crate::convert::{
    config::ConfigFile,
    error::Result,
    plan::{DecoderPlan, ExpertsPlan, LayerPlan, LLAMA_NAMES},
    rope::Rope,
};
use assay_exact::{
    header::{limits, Placement},
    mlp::Activation,
};
use serde_json::Value;

/// Caps are stored in Q16 below 2^23.
const CAP_LIMIT: f64 = 127.;

/// The plan of a Llama of this configuration: pre-norm RMSNorm, rotary grouped-query attention over all positions, gated
/// MLP, no bias. A family changes what it does otherwise.
pub(super) fn decoder(config: &ConfigFile, architecture: &'static str) -> Result<DecoderPlan> {
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
    let head_dim = head_dim(config, hidden, heads)?;
    let eps = config.number("rms_norm_eps")?;
    if eps != 0. && !(1e-30..=1.).contains(&eps) {
        return Err(config.problem("rms_norm_eps", format!("{eps} is neither 0 nor in 1e-30..=1")));
    }
    let context = config.size("max_position_embeddings", limits::CONTEXT)?;
    Ok(DecoderPlan {
        architecture,
        vocab,
        context,
        hidden,
        heads,
        kv_heads,
        head_dim,
        ffn: config.size("intermediate_size", limits::IN_FEATURES)?,
        experts: None,
        activation: activation(config, "hidden_act")?.unwrap_or(Activation::Silu),
        placement: Placement::Pre,
        eps,
        gain_offset: 0.,
        embedding_scale: 1.,
        score_scale: 1. / (head_dim as f64).sqrt(),
        attention_cap: None,
        final_cap: None,
        qkv_bias: false,
        output_bias: false,
        mlp_bias: false,
        qk_norm: false,
        ropes: vec![Rope::read(config, context, 10_000.)?],
        layers: vec![LayerPlan::default(); layers],
        tied: config.flag("tie_word_embeddings", false)?,
        eos: config.token_ids("eos_token_id", vocab)?,
        names: LLAMA_NAMES,
    })
}

/// A checkpoint that is quantized already stores no float weights under its names.
fn unquantized(config: &ConfigFile) -> Result<()> {
    match config.get("quantization_config") {
        None => Ok(()),
        Some(_) => {
            Err(config
                .problem("quantization_config", "the checkpoint is quantized; convert the original float checkpoint"))
        }
    }
}

fn head_dim(config: &ConfigFile, hidden: usize, heads: usize) -> Result<usize> {
    let head_dim = match config.optional_size("head_dim", limits::HEAD_DIM)? {
        Some(size) => size,
        None if hidden.is_multiple_of(heads) && hidden / heads <= limits::HEAD_DIM as usize => hidden / heads,
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
    Ok(head_dim)
}

/// The gate that `field` names; `None` if it is absent.
pub(super) fn activation(config: &ConfigFile, field: &str) -> Result<Option<Activation>> {
    Ok(Some(match config.text(field)? {
        None => return Ok(None),
        Some("silu" | "swish") => Activation::Silu,
        Some("gelu") => Activation::Gelu,
        Some("gelu_pytorch_tanh" | "gelu_new") => Activation::GeluTanh,
        Some(other) => {
            return Err(config.problem(
                field,
                format!("{other:?} is not supported; supported: \"silu\", \"gelu\", \"gelu_pytorch_tanh\""),
            ))
        }
    }))
}

/// A soft-cap; `None` if the field is absent.
pub(super) fn cap(config: &ConfigFile, field: &str) -> Result<Option<f64>> {
    match config.optional_number(field)? {
        Some(cap) if !(1e-3..=CAP_LIMIT).contains(&cap) => {
            Err(config.problem(field, format!("{cap} is outside 0.001..={CAP_LIMIT}")))
        }
        cap => Ok(cap),
    }
}

/// `scalar^-1/2` of the number in `field`.
pub(super) fn inverse_root(config: &ConfigFile, field: &str) -> Result<f64> {
    let scalar = config.number(field)?;
    if !(1e-3..=1e6).contains(&scalar) {
        return Err(config.problem(field, format!("{scalar} is outside 0.001..=1000000")));
    }
    Ok(1. / scalar.sqrt())
}

/// The sliding window: `None` if the field is absent, or if no text is longer than it.
pub(super) fn window(config: &ConfigFile, context: usize) -> Result<Option<usize>> {
    Ok(config.optional_size("sliding_window", i32::MAX as u32)?.filter(|window| *window < context))
}

/// Which layers see a window only: `layer_types` if given, else `otherwise`.
pub(super) fn sliding(config: &ConfigFile, layers: usize, otherwise: impl Fn(usize) -> bool) -> Result<Vec<bool>> {
    let Some(types) = config.get("layer_types") else {
        return Ok((0..layers).map(otherwise).collect());
    };
    let types = match types {
        Value::Array(types) if types.len() == layers => types,
        _ => return Err(config.problem("layer_types", format!("must be a list of {layers} layer types"))),
    };
    let sliding = |kind: &Value| match kind.as_str() {
        Some("full_attention") => Ok(false),
        Some("sliding_attention") => Ok(true),
        _ => Err(config.problem(
            "layer_types",
            format!("{kind} is not supported; supported: \"full_attention\", \"sliding_attention\""),
        )),
    };
    types.iter().map(sliding).collect()
}

/// Layers over one rotary table, of which `sliding` ones see `window` keys.
pub(super) fn layers(sliding: &[bool], window: Option<usize>) -> Vec<LayerPlan> {
    sliding.iter().map(|sliding| LayerPlan { window: window.filter(|_| *sliding), rope: 0 }).collect()
}

/// The layers of a Qwen: those from `max_window_layers` on see a window, if `use_sliding_window` says so.
pub(super) fn qwen_layers(config: &ConfigFile, plan: &DecoderPlan) -> Result<Vec<LayerPlan>> {
    let window = match config.flag("use_sliding_window", false)? {
        true => window(config, plan.context)?,
        false => None,
    };
    // 0 is a sensible value here, so that this is not a size.
    let full = match config.optional_number("max_window_layers")? {
        None => plan.layers.len() as f64,
        Some(full) if full >= 0. => full,
        Some(full) => return Err(config.problem("max_window_layers", format!("{full} is negative"))),
    };
    Ok(layers(&sliding(config, plan.layers.len(), |layer| layer as f64 >= full)?, window))
}

/// The mixture with its number of experts in `field`.
pub(super) fn experts(config: &ConfigFile, field: &str, over_all: bool) -> Result<ExpertsPlan> {
    let count = config.size(field, limits::COUNT)?;
    let per_token = config.size("num_experts_per_tok", limits::EXPERTS_PER_TOKEN)?;
    if per_token > count {
        return Err(config.problem("num_experts_per_tok", format!("{per_token} exceeds {field} {count}")));
    }
    Ok(ExpertsPlan { count, per_token, over_all })
}

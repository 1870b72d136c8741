//! BERT: `BertModel`, and the encoder inside of `BertForMaskedLM` and `BertForPreTraining`.
//! [Devlin et al. 2018](https://arxiv.org/abs/1810.04805).

use crate::convert::{
    checkpoint::Checkpoint,
    config::ConfigFile,
    encoder::{EncoderLayerNames, EncoderNames, EncoderPlan, TensorPair},
    error::Result,
};
use assay_exact::{
    header::{limits, Pool},
    mlp::Activation,
};

/// The names in `architectures`.
pub(in crate::convert) const ARCHITECTURES: [&str; 3] = ["BertModel", "BertForMaskedLM", "BertForPreTraining"];

/// Tensors that may be present and are rightly ignored: what stands behind the last layer (the pooler of the
/// next-sentence task, the masked-token head), and the positions as a list.
pub(in crate::convert) fn ignored(name: &str) -> bool {
    let own = name.strip_prefix(PREFIX).unwrap_or(name);
    own.starts_with("pooler.") || own == "embeddings.position_ids" || name.starts_with("cls.")
}

/// Before every name in checkpoints of a model with a head.
const PREFIX: &str = "bert.";

/// The plan: sizes from `config.json`, names from the checkpoint. `max_length` is the longest text that the model is
/// meant for, if less than it has positions.
pub(in crate::convert) fn plan(
    config: &ConfigFile,
    checkpoint: &Checkpoint,
    architecture: &'static str,
    pool: Pool,
    max_length: Option<usize>,
) -> Result<EncoderPlan> {
    if config.get("quantization_config").is_some() {
        return Err(
            config.problem("quantization_config", "the checkpoint is quantized; convert the original float checkpoint")
        );
    }
    for field in ["is_decoder", "add_cross_attention"] {
        if config.flag(field, false)? {
            return Err(config.problem(field, "must be false: only encoders are converted from this architecture"));
        }
    }
    let kind = config.text("position_embedding_type")?.unwrap_or("absolute");
    if kind != "absolute" {
        return Err(
            config.problem("position_embedding_type", format!("{kind:?} is not supported; supported: \"absolute\""))
        );
    }
    let vocab = config.size("vocab_size", limits::VOCAB)?;
    let hidden = config.size("hidden_size", limits::WIDTH)?;
    let layers = config.size("num_hidden_layers", limits::COUNT)?;
    let heads = config.size("num_attention_heads", limits::COUNT)?;
    let head_dim = hidden / heads;
    if hidden % heads != 0 || head_dim % 2 != 0 || head_dim > limits::HEAD_DIM as usize {
        return Err(config.problem(
            "num_attention_heads",
            format!("hidden_size {hidden} / {heads} heads is not an even number up to {}", limits::HEAD_DIM),
        ));
    }
    let eps = config.number("layer_norm_eps")?;
    if eps != 0. && !(1e-30..=1.).contains(&eps) {
        return Err(config.problem("layer_norm_eps", format!("{eps} is neither 0 nor in 1e-30..=1")));
    }
    let activation = match config.text("hidden_act")?.unwrap_or("gelu") {
        "gelu" => Activation::Gelu,
        "gelu_new" | "gelu_pytorch_tanh" => Activation::GeluTanh,
        "silu" | "swish" => Activation::Silu,
        other => {
            return Err(config.problem(
                "hidden_act",
                format!("{other:?} is not supported; supported: gelu, gelu_new, gelu_pytorch_tanh, silu"),
            ))
        }
    };
    let positions = config.size("max_position_embeddings", limits::CONTEXT)?;
    Ok(EncoderPlan {
        architecture,
        vocab,
        context: max_length.unwrap_or(positions).min(positions),
        positions,
        token_types: config.optional_size("type_vocab_size", limits::VOCAB)?.unwrap_or(2),
        hidden,
        layers,
        heads,
        head_dim,
        ffn: config.size("intermediate_size", limits::IN_FEATURES)?,
        eps,
        activation,
        pool,
        names: names(checkpoint, layers),
    })
}

fn names(checkpoint: &Checkpoint, layers: usize) -> EncoderNames {
    let has = |name: &str| checkpoint.names().any(|found| found == name);
    let prefix = if has(&format!("{PREFIX}embeddings.word_embeddings.weight")) { PREFIX } else { "" };
    // Checkpoints converted from TensorFlow keep its names for the norms' vectors.
    let old = has(&format!("{prefix}embeddings.LayerNorm.gamma"));
    let (gain, shift) = if old { ("gamma", "beta") } else { ("weight", "bias") };
    let table = |name: &str| format!("{prefix}embeddings.{name}.weight");
    let norm = |name: &str| TensorPair {
        weight: format!("{prefix}{name}.LayerNorm.{gain}"),
        bias: format!("{prefix}{name}.LayerNorm.{shift}"),
    };
    EncoderNames {
        words: table("word_embeddings"),
        positions: table("position_embeddings"),
        token_types: table("token_type_embeddings"),
        embedding_norm: norm("embeddings"),
        layers: (0..layers)
            .map(|layer| {
                let base = format!("encoder.layer.{layer}");
                let linear = |name: &str| TensorPair {
                    weight: format!("{prefix}{base}.{name}.weight"),
                    bias: format!("{prefix}{base}.{name}.bias"),
                };
                EncoderLayerNames {
                    q: linear("attention.self.query"),
                    k: linear("attention.self.key"),
                    v: linear("attention.self.value"),
                    o: linear("attention.output.dense"),
                    attention_norm: norm(&format!("{base}.attention.output")),
                    up: linear("intermediate.dense"),
                    down: linear("output.dense"),
                    mlp_norm: norm(&format!("{base}.output")),
                }
            })
            .collect(),
    }
}

//! From metadata to the fields that Hugging Face's `config.json` has for the same model.

use super::{architecture::Architecture, metadata::Metadata, reader::Container, rope};
use crate::convert::{config::ConfigFile, error::Result};
use serde_json::{json, Map, Value};
use std::collections::BTreeMap;

/// Fields that are one key of the metadata each: name in `config.json`, key after the architecture's prefix.
const SIZES: &[(&str, &str)] = &[
    ("vocab_size", "vocab_size"),
    ("max_position_embeddings", "context_length"),
    ("hidden_size", "embedding_length"),
    ("num_hidden_layers", "block_count"),
    ("intermediate_size", "feed_forward_length"),
    ("num_attention_heads", "attention.head_count"),
    ("num_key_value_heads", "attention.head_count_kv"),
    ("head_dim", "attention.key_length"),
    ("sliding_window", "attention.sliding_window"),
    ("num_experts", "expert_count"),
    ("num_experts_per_tok", "expert_used_count"),
    ("moe_intermediate_size", "expert_feed_forward_length"),
];
const NUMBERS: &[(&str, &str)] = &[
    ("rms_norm_eps", "attention.layer_norm_rms_epsilon"),
    ("rope_theta", "rope.freq_base"),
    ("rope_local_base_freq", "rope.freq_base_swa"),
    ("attn_logit_softcapping", "attn_logit_softcapping"),
    ("final_logit_softcapping", "final_logit_softcapping"),
];
/// Ids that end a generation.
const EOS: [&str; 3] = ["tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"];

/// The configuration; errors about its fields name the file and the key that the field came from.
pub fn read(metadata: &Metadata<'_>, container: &Container, architecture: &Architecture) -> Result<ConfigFile> {
    let mut fields = Map::new();
    let mut origins = BTreeMap::new();
    for (field, key) in SIZES {
        let key = architecture.key(key);
        if let Some(size) = metadata.unsigned(&key)? {
            fields.insert((*field).into(), size.into());
        }
        origins.insert((*field).into(), key);
    }
    for (field, key) in NUMBERS {
        let key = architecture.key(key);
        if let Some(number) = metadata.float(&key)? {
            fields.insert((*field).into(), number.into());
        }
        origins.insert((*field).into(), key);
    }
    let has = |tensor: &str| container.tensors().contains_key(tensor);
    if !fields.contains_key("vocab_size") {
        if let Some(embedding) = container.tensors().get("token_embd.weight") {
            fields.insert("vocab_size".into(), json!(embedding.shape[0]));
        }
    }
    fields.insert("tie_word_embeddings".into(), json!(!has("output.weight")));
    fields.insert("eos_token_id".into(), eos(metadata)?);
    origins.insert("eos_token_id".into(), EOS[0].into());
    whole_rotation(metadata, architecture, &fields)?;
    if let Some(scaling) = rope::scaling(metadata, container, architecture, &fields)? {
        fields.insert("rope_scaling".into(), scaling);
    }

    let experts = fields.get("num_experts").and_then(Value::as_u64).unwrap_or(0);
    let class = match architecture.class_with_experts {
        Some(class) if experts > 0 => class,
        _ => architecture.class,
    };
    fields.insert("architectures".into(), json!([class]));
    match architecture.name {
        "llama" => {
            fields.insert("hidden_act".into(), json!("silu"));
            let attention = ["attn_q", "attn_k", "attn_v", "attn_output"];
            let mlp = ["ffn_gate", "ffn_up", "ffn_down"];
            let biased = |parts: &[&str]| parts.iter().any(|part| has(&format!("blk.0.{part}.bias")));
            fields.insert("attention_bias".into(), json!(biased(&attention)));
            fields.insert("mlp_bias".into(), json!(biased(&mlp)));
            // Mixtral's name of the field. In Llamas without experts the count is often written as 0.
            let experts = fields.remove("num_experts");
            if class == "MixtralForCausalLM" {
                fields.insert("num_local_experts".into(), experts.unwrap_or_default());
                origins.insert("num_local_experts".into(), architecture.key("expert_count"));
            }
        }
        "gemma2" | "gemma3" => gemma(metadata, architecture, &mut fields)?,
        _ => {
            fields.insert("hidden_act".into(), json!("silu"));
            // Known to qwen2 and qwen3 only as a switch that is off.
            fields.insert("use_sliding_window".into(), json!(false));
            if experts > 0 {
                // Every layer has experts, and the chosen ones' weights add up to 1.
                fields.insert("norm_topk_prob".into(), json!(true));
                fields.insert("decoder_sparse_step".into(), json!(1));
                fields.insert("mlp_only_layers".into(), json!([]));
            }
        }
    }
    Ok(ConfigFile::in_memory(metadata.path(), fields, origins))
}

/// What Gemma's files leave to the reader, as llama.cpp's model code fills it in.
fn gemma(metadata: &Metadata<'_>, architecture: &Architecture, fields: &mut Map<String, Value>) -> Result<()> {
    fields.insert("hidden_act".into(), json!("gelu_pytorch_tanh"));
    fields.insert("hidden_activation".into(), json!("gelu_pytorch_tanh"));
    let size = |field: &str| fields.get(field).and_then(Value::as_u64);
    // The largest of each generation scales its queries by the width per head, the others by the head's size.
    let largest = if architecture.name == "gemma2" { 46 } else { 62 };
    let scalar = match (size("num_hidden_layers"), size("hidden_size"), size("num_attention_heads")) {
        (Some(layers), Some(hidden), Some(heads)) if layers == largest && heads > 0 => Some(hidden / heads),
        _ => size("head_dim"),
    };
    if let Some(scalar) = scalar {
        fields.insert("query_pre_attn_scalar".into(), json!(scalar));
    }
    let mut default = |field: &str, value: Value| {
        fields.entry(field).or_insert(value);
    };
    if architecture.name == "gemma2" {
        // The first files of Gemma 2 lack these.
        default("sliding_window", json!(4096));
        default("attn_logit_softcapping", json!(50.));
        default("final_logit_softcapping", json!(30.));
    } else {
        // Five layers with a window, one without.
        default("sliding_window_pattern", json!(6));
        default("rope_local_base_freq", json!(10_000.));
        if !fields.contains_key("sliding_window") {
            return Err(metadata.problem(&architecture.key("attention.sliding_window"), "missing"));
        }
    }
    Ok(())
}

fn eos(metadata: &Metadata<'_>) -> Result<Value> {
    let mut ids = Vec::new();
    for key in EOS {
        ids.extend(metadata.unsigned(key)?);
    }
    Ok(json!(ids))
}

/// Refuses what the converter has no tensors or tables for: values of another size than keys, a rotation of part of a head.
fn whole_rotation(metadata: &Metadata<'_>, architecture: &Architecture, fields: &Map<String, Value>) -> Result<()> {
    let size = |field: &str| fields.get(field).and_then(Value::as_u64);
    let head = size("head_dim").or_else(|| match (size("hidden_size"), size("num_attention_heads")) {
        (Some(hidden), Some(heads)) if heads > 0 => Some(hidden / heads),
        _ => None,
    });
    for key in ["attention.value_length", "rope.dimension_count"] {
        let key = architecture.key(key);
        match (metadata.unsigned(&key)?, head) {
            (Some(found), Some(head)) if found != head => {
                return Err(metadata.problem(&key, format!("{found}, but heads have {head} entries; both must agree")));
            }
            _ => {}
        }
    }
    Ok(())
}

//! The fixture's checkpoint as llama.cpp's converter would write it.

use super::{
    writer::{interleave, File, Type, Value},
    Fixture,
};
use serde_json::Value as Json;

const PARTS: [(&str, &str); 9] = [
    ("attn_norm", "input_layernorm"),
    ("attn_q", "self_attn.q_proj"),
    ("attn_k", "self_attn.k_proj"),
    ("attn_v", "self_attn.v_proj"),
    ("attn_output", "self_attn.o_proj"),
    ("ffn_norm", "post_attention_layernorm"),
    ("ffn_gate", "mlp.gate_proj"),
    ("ffn_up", "mlp.up_proj"),
    ("ffn_down", "mlp.down_proj"),
];

/// The fixture's model; matrices of type `kind`, vectors F32.
pub fn file_of(fixture: &Fixture, kind: Type) -> File {
    let config = &fixture.config;
    let size = |field: &str| config[field].as_u64().unwrap() as u32;
    let mut file = File::default();
    file.set("general.architecture", Value::Text("llama".into()));
    for (key, field) in [
        ("context_length", "max_position_embeddings"),
        ("embedding_length", "hidden_size"),
        ("block_count", "num_hidden_layers"),
        ("feed_forward_length", "intermediate_size"),
        ("attention.head_count", "num_attention_heads"),
        ("attention.head_count_kv", "num_key_value_heads"),
        ("attention.key_length", "head_dim"),
        ("attention.value_length", "head_dim"),
        ("rope.dimension_count", "head_dim"),
    ] {
        file.set(&format!("llama.{key}"), Value::U32(size(field)));
    }
    let float = |value: &Json| Value::F32(value.as_f64().unwrap() as f32);
    file.set("llama.attention.layer_norm_rms_epsilon", float(&config["rms_norm_eps"]));
    file.set("llama.rope.freq_base", float(&config["rope_theta"]));
    file.set("tokenizer.ggml.eos_token_id", Value::U32(size("eos_token_id")));

    for (name, tensor) in &fixture.tensors {
        let stored = stored_name(name);
        let kind = if tensor.shape.len() == 1 { Type::F32 } else { kind };
        let heads = match name.rsplit_once('.').unwrap().0.rsplit_once('.') {
            Some((_, "q_proj")) => Some(size("num_attention_heads")),
            Some((_, "k_proj")) => Some(size("num_key_value_heads")),
            _ => None,
        };
        match heads {
            None => file.push(&stored, &tensor.shape, &tensor.values, kind),
            Some(heads) => {
                let values = interleave(&tensor.values, heads as usize, tensor.shape[1]);
                file.push(&stored, &tensor.shape, &values, kind);
            }
        }
    }
    file
}

fn stored_name(name: &str) -> String {
    match name {
        "model.embed_tokens.weight" => "token_embd.weight".into(),
        "model.norm.weight" => "output_norm.weight".into(),
        "lm_head.weight" => "output.weight".into(),
        _ => {
            let (layer, rest) = name.strip_prefix("model.layers.").unwrap().split_once('.').unwrap();
            let part = rest.strip_suffix(".weight").unwrap();
            let (stored, _) = PARTS.iter().find(|(_, name)| *name == part).unwrap();
            format!("blk.{layer}.{stored}.weight")
        }
    }
}

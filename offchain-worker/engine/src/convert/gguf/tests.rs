//! The configuration and the tensors of each architecture, as Hugging Face has them.

use super::*;
use serde_json::{json, Value as Json};

#[path = "../../../tests/support/gguf.rs"]
mod writer;
use writer::{interleave, File, Type, Value};

const FFN: usize = 4;

/// The keys that all architectures share, for one layer of width 8 with two heads of 4 over one.
fn file(architecture: &str) -> File {
    let mut file = File::default();
    file.set("general.architecture", Value::Text(architecture.into()));
    for (key, size) in [
        ("context_length", 64),
        ("embedding_length", 8),
        ("block_count", 1),
        ("feed_forward_length", FFN as u32),
        ("attention.head_count", 2),
        ("attention.head_count_kv", 1),
        ("attention.key_length", 4),
    ] {
        file.set(&format!("{architecture}.{key}"), Value::U32(size));
    }
    file.set(&format!("{architecture}.attention.layer_norm_rms_epsilon"), Value::F32(1e-6));
    file.set(&format!("{architecture}.rope.freq_base"), Value::F32(1e6));
    file.set("tokenizer.ggml.eos_token_id", Value::U32(1));
    file.set("tokenizer.ggml.eot_token_id", Value::U32(5));
    file.push("token_embd.weight", &[16, 8], &[0.5; 128], Type::F32);
    file
}

fn opened(file: &File) -> (tempfile::TempDir, Gguf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    std::fs::write(&path, file.bytes()).unwrap();
    let gguf = Gguf::open(&path).unwrap();
    (folder, gguf)
}

/// The configuration without what `file` gives every architecture; those are compared here.
fn config(file: &File) -> Json {
    let config = opened(file).1.config().unwrap();
    let mut fields = config.fields().clone();
    for (field, value) in [
        ("vocab_size", json!(16)),
        ("max_position_embeddings", json!(64)),
        ("hidden_size", json!(8)),
        ("num_hidden_layers", json!(1)),
        ("intermediate_size", json!(FFN)),
        ("num_attention_heads", json!(2)),
        ("num_key_value_heads", json!(1)),
        ("head_dim", json!(4)),
        ("rms_norm_eps", json!(1e-6)),
        ("rope_theta", json!(1e6)),
        ("eos_token_id", json!([1, 5])),
        ("tie_word_embeddings", json!(true)),
    ] {
        assert_eq!(fields.remove(field), Some(value), "{field}");
    }
    Json::Object(fields)
}

#[test]
fn config_of_each_architecture_is_that_of_hugging_face() {
    assert_eq!(
        config(&file("llama")),
        json!({"architectures": ["LlamaForCausalLM"], "hidden_act": "silu", "attention_bias": false, "mlp_bias": false})
    );
    for (name, class) in [("qwen2", "Qwen2ForCausalLM"), ("qwen3", "Qwen3ForCausalLM")] {
        assert_eq!(
            config(&file(name)),
            json!({"architectures": [class], "hidden_act": "silu", "use_sliding_window": false})
        );
    }

    let mut gemma2 = file("gemma2");
    gemma2.set("gemma2.attention.sliding_window", Value::U32(32));
    gemma2.set("gemma2.attn_logit_softcapping", Value::F32(50.));
    gemma2.set("gemma2.final_logit_softcapping", Value::F32(30.));
    assert_eq!(
        config(&gemma2),
        json!({"architectures": ["Gemma2ForCausalLM"], "hidden_act": "gelu_pytorch_tanh",
            "hidden_activation": "gelu_pytorch_tanh", "query_pre_attn_scalar": 4, "sliding_window": 32,
            "attn_logit_softcapping": 50., "final_logit_softcapping": 30.})
    );

    let mut gemma3 = file("gemma3");
    gemma3.set("gemma3.attention.sliding_window", Value::U32(32));
    gemma3.set("gemma3.rope.scaling.type", Value::Text("linear".into()));
    gemma3.set("gemma3.rope.scaling.factor", Value::F32(8.));
    assert_eq!(
        config(&gemma3),
        json!({"architectures": ["Gemma3ForCausalLM"], "hidden_act": "gelu_pytorch_tanh",
            "hidden_activation": "gelu_pytorch_tanh", "query_pre_attn_scalar": 4, "sliding_window": 32,
            "sliding_window_pattern": 6, "rope_local_base_freq": 10_000.,
            "rope_scaling": {"rope_type": "linear", "factor": 8.}})
    );
}

#[test]
fn config_of_models_with_experts_names_their_class_and_sizes() {
    let experts = |name: &str| {
        let mut file = file(name);
        file.set(&format!("{name}.expert_count"), Value::U32(3));
        file.set(&format!("{name}.expert_used_count"), Value::U32(2));
        file
    };
    let mut qwen = experts("qwen3moe");
    qwen.set("qwen3moe.expert_feed_forward_length", Value::U32(6));
    assert_eq!(
        config(&qwen),
        json!({"architectures": ["Qwen3MoeForCausalLM"], "hidden_act": "silu", "use_sliding_window": false,
            "num_experts": 3, "num_experts_per_tok": 2, "moe_intermediate_size": 6, "norm_topk_prob": true,
            "decoder_sparse_step": 1, "mlp_only_layers": []})
    );
    assert_eq!(
        config(&experts("llama")),
        json!({"architectures": ["MixtralForCausalLM"], "hidden_act": "silu", "attention_bias": false,
            "mlp_bias": false, "num_local_experts": 3, "num_experts_per_tok": 2})
    );
    let mut none = file("llama");
    none.set("llama.expert_count", Value::U32(0));
    assert_eq!(config(&none)["architectures"], json!(["LlamaForCausalLM"]));
}

#[test]
fn config_of_the_largest_gemmas_scales_queries_by_the_width_per_head() {
    for (name, layers) in [("gemma2", 46), ("gemma3", 62)] {
        let mut file = file(name);
        file.set(&format!("{name}.attention.sliding_window"), Value::U32(32));
        file.set(&format!("{name}.block_count"), Value::U32(layers));
        file.set(&format!("{name}.embedding_length"), Value::U32(24));
        let config = opened(&file).1.config().unwrap();
        assert_eq!(config.get("query_pre_attn_scalar"), Some(&json!(12)));
    }
}

#[test]
fn config_of_gemma_without_optional_keys_has_the_defaults_of_its_first_files() {
    let config = config(&file("gemma2"));
    assert_eq!(config["sliding_window"], 4096);
    assert_eq!((&config["attn_logit_softcapping"], &config["final_logit_softcapping"]), (&json!(50.), &json!(30.)));
    let error = opened(&file("gemma3")).1.config().unwrap_err().to_string();
    assert!(error.contains("`gemma3.attention.sliding_window`: missing"), "{error}");
}

#[test]
fn config_of_yarn_has_its_parameters_and_no_other_factor_on_scores() {
    let mut file = file("qwen2");
    file.set("qwen2.rope.scaling.type", Value::Text("yarn".into()));
    file.set("qwen2.rope.scaling.factor", Value::F32(4.));
    file.set("qwen2.rope.scaling.original_context_length", Value::U32(32));
    file.set("qwen2.rope.scaling.yarn_beta_fast", Value::F32(16.));
    file.set("qwen2.rope.scaling.attn_factor", Value::F32(1.));
    assert_eq!(
        config(&file)["rope_scaling"],
        json!({"rope_type": "yarn", "factor": 4., "beta_fast": 16., "original_max_position_embeddings": 32})
    );
    file.set("qwen2.rope.scaling.attn_factor", Value::F32(0.5));
    let error = opened(&file).1.config().unwrap_err().to_string();
    assert!(error.contains("`qwen2.rope.scaling.attn_factor`"), "{error}");
}

/// Values of every entry, by name.
fn values(gguf: &Gguf, tensor: &str, shape: &[usize]) -> Vec<f32> {
    let checkpoint = gguf.checkpoint().unwrap();
    match *shape {
        [length] => checkpoint.vector(tensor, length).unwrap(),
        [rows, columns] => {
            let mut values = Vec::new();
            let row = |_: usize, row: &[f32]| {
                values.extend_from_slice(row);
                Ok(())
            };
            checkpoint.for_each_row(tensor, [rows, columns], row).unwrap();
            values
        }
        _ => panic!("{shape:?}"),
    }
}

#[test]
fn checkpoint_experts_are_taken_apart() {
    let stacked: Vec<f32> = (0..3 * FFN * 8).map(|i| i as f32).collect();
    for (name, part) in [("qwen3moe", "mlp.experts.2.gate_proj"), ("llama", "block_sparse_moe.experts.2.w1")] {
        let mut file = file(name);
        file.push("blk.0.ffn_gate_exps.weight", &[3, FFN, 8], &stacked, Type::F32);
        let (_folder, gguf) = opened(&file);
        let found = values(&gguf, &format!("model.layers.0.{part}.weight"), &[FFN, 8]);
        assert_eq!(found, stacked[2 * FFN * 8..]);
        assert_eq!(gguf.checkpoint().unwrap().names().count(), 1 + 3);
    }
}

#[test]
fn checkpoint_gains_of_gemma_lose_the_one_that_was_added() {
    let gains: Vec<f32> = (0..8).map(|i| i as f32 / 16. - 0.25).collect();
    let stored: Vec<f32> = gains.iter().map(|gain| gain + 1.).collect();
    for (name, same) in [("gemma2", false), ("gemma3", false), ("qwen3", true)] {
        let mut file = file(name);
        file.push("blk.0.attn_norm.weight", &[8], &stored, Type::F32);
        file.push("output_norm.weight", &[8], &stored, Type::F32);
        file.push("blk.0.attn_v.weight", &[1, 8], &stored, Type::F32);
        let (_folder, gguf) = opened(&file);
        for tensor in ["model.layers.0.input_layernorm.weight", "model.norm.weight"] {
            assert_eq!(values(&gguf, tensor, &[8]), if same { &stored } else { &gains }[..]);
        }
        assert_eq!(values(&gguf, "model.layers.0.self_attn.v_proj.weight", &[1, 8]), stored);
    }
}

#[test]
fn checkpoint_rows_of_q_and_k_are_in_the_order_of_halves() {
    let q: Vec<f32> = (0..8 * 8).map(|i| i as f32).collect();
    let bias: Vec<f32> = (0..8).map(|i| i as f32).collect();
    for (name, reordered) in [("llama", true), ("qwen2", false), ("qwen3", false), ("gemma3", false)] {
        let mut file = file(name);
        let stored = |values: &[f32], heads, columns| {
            if reordered {
                interleave(values, heads, columns)
            } else {
                values.to_vec()
            }
        };
        file.push("blk.0.attn_q.weight", &[8, 8], &stored(&q, 2, 8), Type::F32);
        file.push("blk.0.attn_k.weight", &[4, 8], &stored(&q[..32], 1, 8), Type::F32);
        file.push("blk.0.attn_v.weight", &[4, 8], &q[..32], Type::F32);
        file.push("blk.0.attn_q.bias", &[8], &stored(&bias, 2, 1), Type::F32);
        let (_folder, gguf) = opened(&file);
        let attention = |part: &str| format!("model.layers.0.self_attn.{part}");
        assert_eq!(values(&gguf, &attention("q_proj.weight"), &[8, 8]), q);
        assert_eq!(values(&gguf, &attention("k_proj.weight"), &[4, 8]), q[..32]);
        assert_eq!(values(&gguf, &attention("v_proj.weight"), &[4, 8]), q[..32]);
        assert_eq!(values(&gguf, &attention("q_proj.bias"), &[8]), bias);
    }
}

#[test]
fn checkpoint_two_tensors_of_one_name_are_refused() {
    let mut file = file("llama");
    file.push("output_norm.weight", &[8], &[1.; 8], Type::F32);
    file.push("model.norm.weight", &[8], &[2.; 8], Type::F32);
    let error = opened(&file).1.checkpoint().map(drop).unwrap_err().to_string();
    assert!(error.contains("two tensors are `model.norm.weight`"), "{error}");
}

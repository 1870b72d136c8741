//! One damage per test; the error must name the file and the field or tensor, and nothing may be left behind.

use super::fixture::*;
use assay_engine::convert::{self, Arguments, Source};
use safetensors::Dtype;
use serde_json::{json, Value};

/// The error after `field` of `config.json` was set to `value`, or removed.
fn with_config(field: &str, value: impl Into<Option<Value>>) -> String {
    let mut fixture = Fixture::new();
    match value.into() {
        Some(value) => fixture.config[field] = value,
        None => {
            fixture.config.as_object_mut().unwrap().remove(field);
        }
    }
    fixture.write();
    fixture.error()
}

#[track_caller]
pub fn assert_says(error: &str, words: &[&str]) {
    for word in words {
        assert!(error.contains(word), "{word:?} is not in: {error}");
    }
}

#[test]
fn config_missing_or_not_json_is_refused() {
    let fixture = Fixture::new();
    assert_says(&fixture.error(), &["config.json", "No such file"]);
    fixture.write();
    fixture.write_file("config.json", "{\"hidden_size\": ");
    assert_says(&fixture.error(), &["config.json", "not valid JSON", "line 1"]);
    fixture.write_file("config.json", "[1]");
    assert_says(&fixture.error(), &["config.json", "must be an object, it is a list"]);
}

#[test]
fn config_other_architecture_is_refused_with_the_supported_ones() {
    let error = with_config("architectures", json!(["MambaForCausalLM"]));
    assert_says(&error, &["`architectures`", "MambaForCausalLM", "supported: LlamaForCausalLM"]);
    assert_says(&with_config("architectures", None), &["`architectures`", "missing"]);
    assert_says(&with_config("architectures", json!("Llama")), &["must be a list of strings"]);
}

#[test]
fn config_missing_field_is_named() {
    for field in [
        "vocab_size",
        "hidden_size",
        "intermediate_size",
        "num_hidden_layers",
        "num_attention_heads",
        "max_position_embeddings",
        "rms_norm_eps",
    ] {
        assert_says(&with_config(field, None), &["config.json", &format!("`{field}`: missing")]);
    }
}

#[test]
fn config_wrong_type_is_named() {
    assert_says(&with_config("hidden_size", json!("16")), &["`hidden_size`", "must be a positive integer", "\"16\""]);
    assert_says(&with_config("hidden_size", json!(-16)), &["`hidden_size`", "-16"]);
    assert_says(&with_config("hidden_size", json!(16.5)), &["`hidden_size`", "16.5"]);
    assert_says(&with_config("tie_word_embeddings", json!(1)), &["must be true or false"]);
    assert_says(&with_config("rms_norm_eps", json!([])), &["`rms_norm_eps`", "must be a number"]);
}

#[test]
fn config_size_beyond_the_limits_is_refused() {
    for (field, value, most) in [
        ("vocab_size", (1u64 << 20) + 1, 1 << 20),
        ("hidden_size", 1 << 40, 1 << 14),
        ("intermediate_size", u64::MAX, 1 << 16),
        ("num_hidden_layers", 1_000_000_000, 1 << 10),
        ("num_attention_heads", 1025, 1 << 10),
        ("head_dim", 258, 256),
        ("max_position_embeddings", 1 << 20, 1 << 17),
    ] {
        let error = with_config(field, json!(value));
        assert_says(&error, &[&format!("`{field}`"), &format!("{value} is outside 1..={most}")]);
        assert_says(&with_config(field, json!(0)), &["0 is outside 1..="]);
    }
}

#[test]
fn config_size_within_limits_but_not_in_the_file_is_refused_before_allocation() {
    // 2^20 x 2^14 weights would be 16 GiB.
    let mut fixture = Fixture::new();
    fixture.config["vocab_size"] = json!(1 << 20);
    fixture.config["hidden_size"] = json!(1 << 14);
    fixture.write();
    let error = fixture.error();
    assert_says(&error, &["model.safetensors", "`model.embed_tokens.weight`", "[32, 16]", "[1048576, 16384]"]);
}

#[test]
fn config_heads_that_do_not_fit_are_refused() {
    assert_says(
        &with_config("num_key_value_heads", json!(3)),
        &["`num_key_value_heads`", "3 does not divide num_attention_heads 4"],
    );
    assert_says(&with_config("head_dim", json!(5)), &["`head_dim`", "5 is odd"]);
    let mut fixture = Fixture::new();
    fixture.config["head_dim"] = Value::Null;
    fixture.config["hidden_size"] = json!(18);
    fixture.write();
    assert_says(&fixture.error(), &["`head_dim`", "hidden_size 18 / num_attention_heads 4"]);
    let mut fixture = Fixture::new();
    fixture.config["head_dim"] = json!(256);
    fixture.config["num_attention_heads"] = json!(512);
    fixture.config["num_key_value_heads"] = json!(512);
    fixture.write();
    assert_says(&fixture.error(), &["`num_attention_heads`", "512 heads of 256"]);
}

#[test]
fn config_features_without_semantics_are_refused() {
    assert_says(&with_config("hidden_act", json!("relu2")), &["`hidden_act`", "relu2", "silu"]);
    assert_says(&with_config("rms_norm_eps", json!(2.)), &["`rms_norm_eps`", "2"]);
    assert_says(&with_config("rms_norm_eps", json!(1e-300)), &["`rms_norm_eps`"]);
    assert_says(&with_config("rms_norm_eps", json!(-1e-5)), &["`rms_norm_eps`"]);
    assert_says(&with_config("partial_rotary_factor", json!(0.5)), &["`partial_rotary_factor`"]);
    let quantized = with_config("quantization_config", json!({"quant_method": "gptq"}));
    assert_says(&quantized, &["`quantization_config`", "original float checkpoint"]);
}

#[test]
fn config_rope_that_is_unknown_or_absurd_is_refused() {
    let error = with_config("rope_scaling", json!({"rope_type": "longrope", "factor": 4.}));
    assert_says(&error, &["`rope_scaling.rope_type`", "longrope", "llama3", "yarn"]);
    let error =
        with_config("rope_scaling", json!({"rope_type": "yarn", "factor": 4., "beta_fast": 1, "beta_slow": 32}));
    assert_says(&error, &["`rope_scaling.beta_slow`", "must be below"]);
    let error = with_config("rope_scaling", json!({"rope_type": "yarn", "factor": -4.}));
    assert_says(&error, &["`rope_scaling.factor`", "-4"]);
    let error = with_config("rope_scaling", json!({"type": "linear"}));
    assert_says(&error, &["`rope_scaling.factor`: missing"]);
    let error = with_config(
        "rope_parameters",
        json!({"rope_type": "llama3", "factor": 8., "low_freq_factor": 4., "high_freq_factor": 4.,
               "original_max_position_embeddings": 32}),
    );
    assert_says(&error, &["`rope_parameters.low_freq_factor`", "must be below"]);
    assert_says(&with_config("rope_theta", json!(0)), &["`rope_theta`", "0 is outside"]);
}

#[test]
fn eos_outside_the_vocabulary_is_refused_where_it_stands() {
    assert_says(&with_config("eos_token_id", json!(32)), &["config.json", "`eos_token_id`", "32"]);
    assert_says(&with_config("eos_token_id", json!([1, "x"])), &["`eos_token_id`", "\"x\""]);
    let fixture = Fixture::new();
    fixture.write();
    fixture.write_file("generation_config.json", r#"{"eos_token_id": [1, 99]}"#);
    assert_says(&fixture.error(), &["generation_config.json", "`eos_token_id`", "99"]);
}

#[test]
fn tensor_missing_is_named() {
    let mut fixture = Fixture::new();
    fixture.tensors.remove("model.layers.1.mlp.up_proj.weight");
    fixture.write();
    assert_says(&fixture.error(), &["`model.layers.1.mlp.up_proj.weight` is missing"]);
    assert_says(&with_config("tie_word_embeddings", json!(false)), &["`lm_head.weight` is missing"]);
}

#[test]
fn tensor_of_wrong_shape_is_refused_with_both_shapes() {
    let mut fixture = Fixture::new();
    fixture.tensor("model.layers.0.self_attn.k_proj.weight").shape = vec![HIDDEN, KV_HEADS * HEAD_DIM];
    fixture.write();
    let error = fixture.error();
    assert_says(&error, &["model.safetensors", "`model.layers.0.self_attn.k_proj.weight`", "[16, 8]", "[8, 16]"]);
    let mut fixture = Fixture::new();
    fixture.tensor("model.norm.weight").shape = vec![1, HIDDEN];
    fixture.write();
    assert_says(&fixture.error(), &["`model.norm.weight`", "[1, 16]"]);
}

#[test]
fn tensor_of_unread_type_is_refused() {
    let mut fixture = Fixture::new();
    fixture.tensor("model.norm.weight").dtype = Dtype::F64;
    fixture.write();
    assert_says(&fixture.error(), &["`model.norm.weight`", "F64", "F32, F16, BF16"]);
}

#[test]
fn tensor_without_a_place_is_refused() {
    let mut fixture = Fixture::new();
    let bias = fixture.tensors["model.norm.weight"].clone();
    fixture.tensors.insert("model.layers.0.self_attn.q_proj.bias".into(), bias);
    fixture.write();
    assert_says(&fixture.error(), &["`model.layers.0.self_attn.q_proj.bias`", "no place in LlamaForCausalLM"]);
}

#[test]
fn weight_not_finite_or_too_large_is_found_by_row_and_column() {
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 2f32.powi(30)] {
        let mut fixture = Fixture::new();
        fixture.tensor("model.layers.1.self_attn.o_proj.weight").values[3 * HIDDEN + 5] = value;
        fixture.write();
        let error = fixture.error();
        assert_says(&error, &["model.safetensors", "`model.layers.1.self_attn.o_proj.weight`, row 3, column 5"]);
    }
    let mut fixture = Fixture::new();
    fixture.tensor("model.norm.weight").values[7] = f32::NAN;
    fixture.store_as(Dtype::F16);
    fixture.write();
    assert_says(&fixture.error(), &["`model.norm.weight`, row 0, column 7: NaN"]);
}

#[test]
fn safetensors_truncated_or_garbage_is_refused() {
    let fixture = Fixture::new();
    fixture.write();
    let file = fixture.folder().join("model.safetensors");
    let bytes = std::fs::read(&file).unwrap();
    for bad in [&bytes[..bytes.len() - 1], &bytes[..100], &bytes[..4], b"not a safetensors file", b""] {
        fixture.write_file("model.safetensors", bad);
        let error = fixture.error();
        assert_says(&error, &["model.safetensors"]);
    }
    let mut longer = bytes.clone();
    longer.push(0);
    fixture.write_file("model.safetensors", &longer);
    assert_says(&fixture.error(), &["model.safetensors", "not a valid safetensors file"]);
    // A header that claims to be 2^60 bytes long.
    fixture.write_file("model.safetensors", [&(1u64 << 60).to_le_bytes()[..], &bytes[8..]].concat());
    assert_says(&fixture.error(), &["not a valid safetensors file"]);
    std::fs::remove_file(&file).unwrap();
    assert_says(&fixture.error(), &["model.safetensors", "No such file"]);
}

#[test]
fn index_that_points_elsewhere_is_refused() {
    let fixture = Fixture::new();
    fixture.write_sharded();
    let index = "model.safetensors.index.json";
    for name in ["../model.safetensors", "/etc/passwd", "shards/one.safetensors", "model.bin"] {
        fixture.write_file(index, json!({"weight_map": {"model.norm.weight": name}}).to_string());
        assert_says(&fixture.error(), &[index, "`weight_map.model.norm.weight`", name]);
    }
    fixture.write_file(index, json!({"weight_map": {"a": "gone.safetensors"}}).to_string());
    assert_says(&fixture.error(), &["gone.safetensors", "No such file"]);
    fixture.write_file(index, "{}");
    assert_says(&fixture.error(), &[index, "`weight_map`: missing"]);
    fixture.write_file(index, r#"{"weight_map": {}}"#);
    assert_says(&fixture.error(), &[index, "names no file"]);
}

#[test]
fn shards_with_the_same_tensor_are_refused() {
    let fixture = Fixture::new();
    fixture.write_sharded();
    let first = fixture.folder().join("model-00001-of-00002.safetensors");
    std::fs::copy(&first, fixture.folder().join("model-00002-of-00002.safetensors")).unwrap();
    assert_says(&fixture.error(), &["model-00002-of-00002.safetensors", "is also in another shard"]);
}

#[test]
fn tokenizer_missing_garbage_or_of_another_model_is_refused() {
    let mut fixture = Fixture::new();
    fixture.write();
    std::fs::remove_file(fixture.folder().join("tokenizer.json")).unwrap();
    assert_says(&fixture.error(), &["tokenizer.json", "No such file"]);
    fixture.write_file("tokenizer.json", "{}");
    assert_says(&fixture.error(), &["tokenizer.json"]);
    fixture.tokenizer["model"]["vocab"]["zebra"] = json!(32);
    fixture.write();
    assert_says(&fixture.error(), &["tokenizer.json", "token id 32", "vocab_size 32", "another model"]);
}

#[test]
fn chat_template_of_wrong_type_is_refused() {
    let fixture = Fixture::new();
    fixture.write();
    fixture.write_file("tokenizer_config.json", r#"{"chat_template": 5}"#);
    assert_says(&fixture.error(), &["tokenizer_config.json", "`chat_template`"]);
    fixture.write_file("tokenizer_config.json", r#"{"chat_template": [{"name": "tools", "template": ""}]}"#);
    assert_says(&fixture.error(), &["tokenizer_config.json", "no entry \"default\""]);
    fixture.write_file("tokenizer_config.json", r#"{"chat_template": "a\n{% if %}"}"#);
    assert_says(&fixture.error(), &["tokenizer_config.json", "line 2"]);
    fixture.write_file("tokenizer_config.json", r#"{"chat_template": "{{ bos_token }}", "bos_token": 3}"#);
    assert_says(&fixture.error(), &["tokenizer_config.json", "`bos_token`"]);
    fixture.write_file("chat_template.jinja", b"\xff\xfe");
    assert_says(&fixture.error(), &["chat_template.jinja", "not UTF-8"]);
}

#[test]
fn activations_beyond_their_format_are_refused_with_layer_and_site() {
    let mut fixture = Fixture::new();
    for value in &mut fixture.tensor("model.layers.1.mlp.gate_proj.weight").values {
        *value *= 1e6;
    }
    fixture.write();
    assert_says(&fixture.error(), &["layer 1: gate reaches", "4x headroom", "8192"]);
    let mut fixture = Fixture::new();
    for name in ["model.layers.0.mlp.up_proj.weight", "model.layers.0.mlp.down_proj.weight"] {
        fixture.tensor(name).values.iter_mut().for_each(|value| *value *= 1e9);
    }
    for name in ["model.layers.0.mlp.gate_proj.weight", "model.layers.0.post_attention_layernorm.weight"] {
        fixture.tensor(name).values.iter_mut().for_each(|value| *value *= 5e8);
    }
    fixture.write();
    assert_says(&fixture.error(), &["layer 0:", "not finite in the float model"]);
}

#[test]
fn calibration_text_too_short_or_not_utf8_is_refused() {
    let fixture = Fixture::new();
    fixture.write();
    let source = Source::open(fixture.folder()).unwrap();
    let error = convert::convert(&source, &fixture.out(), "a b c", &mut |_| {}).unwrap_err();
    assert_says(&error.to_string(), &["3 tokens", "at least 64"]);

    fixture.write_file("text", b"a b \xff c");
    let arguments = Arguments {
        source: fixture.folder().into(),
        out: fixture.out(),
        tokenizer: None,
        calibration: Some(fixture.folder().join("text")),
        archive: None,
        report: false,
    };
    let error = convert::run(&arguments).unwrap_err().to_string();
    assert_says(&error, &["text", "invalid utf-8"]);
    assert!(!fixture.out().exists());
}

#[test]
fn output_that_exists_is_left_alone() {
    let fixture = Fixture::new();
    fixture.write();
    std::fs::create_dir(fixture.out()).unwrap();
    let kept = fixture.out().join("kept");
    std::fs::write(&kept, "mine").unwrap();
    let error = fixture.convert().unwrap_err().to_string();
    assert_says(&error, &["out", "exists"]);
    assert_eq!(std::fs::read(kept).unwrap(), b"mine");
}

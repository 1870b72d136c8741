//! Fields and tensors of the families beyond Llama's: what contradicts itself or has no place in the graph is refused by
//! name.

use super::{bad_input::assert_says, fixture::*};
use serde_json::{json, Value};

/// The error of `architecture` after `field` of `config.json` was set to `value`, or removed.
fn with_config(architecture: &str, field: &str, value: impl Into<Option<Value>>) -> String {
    let mut fixture = Fixture::of(architecture);
    match value.into() {
        Some(value) => fixture.config[field] = value,
        None => {
            fixture.config.as_object_mut().unwrap().remove(field);
        }
    }
    fixture.write();
    fixture.error()
}

#[test]
fn architecture_with_images_or_of_the_future_is_refused() {
    for name in ["Gemma3ForConditionalGeneration", "Qwen2MoeForCausalLM", "llamaforcausallm", ""] {
        let error = with_config("Gemma3ForCausalLM", "architectures", json!([name]));
        assert_says(&error, &["`architectures`", name, "Gemma3ForCausalLM", "Qwen3MoeForCausalLM"]);
    }
    let error = with_config("LlamaForCausalLM", "architectures", json!(["LlamaForCausalLM", "MistralForCausalLM"]));
    assert_says(&error, &["`architectures`", "[LlamaForCausalLM, MistralForCausalLM]"]);
}

#[test]
fn each_family_refuses_an_odd_head_and_an_unknown_rope() {
    for architecture in ARCHITECTURES {
        assert_says(&with_config(architecture, "head_dim", json!(5)), &["`head_dim`", "5 is odd"]);
        let error = with_config(architecture, "rope_scaling", json!({"rope_type": "dynamic", "factor": 2.}));
        assert_says(&error, &["`rope_scaling.rope_type`", "dynamic"]);
    }
}

#[test]
fn each_family_names_a_tensor_that_is_missing_of_another_shape_or_not_finite() {
    for architecture in ARCHITECTURES {
        let names: Vec<String> = Fixture::of(architecture).tensors.keys().cloned().collect();
        for name in names {
            let mut fixture = Fixture::of(architecture);
            fixture.tensors.remove(&name);
            fixture.write();
            assert_says(&fixture.error(), &[&format!("tensor `{name}` is missing")]);

            let mut fixture = Fixture::of(architecture);
            let tensor = fixture.tensor(&name);
            tensor.shape.insert(0, 1);
            fixture.write();
            assert_says(&fixture.error(), &[&format!("tensor `{name}` has shape [1, ")]);

            let mut fixture = Fixture::of(architecture);
            *fixture.tensor(&name).values.last_mut().unwrap() = f32::NAN;
            fixture.write();
            assert_says(&fixture.error(), &[&format!("tensor `{name}`"), "NaN"]);
        }
    }
}

#[test]
fn tensors_of_another_family_are_refused() {
    for (architecture, name) in [
        // A bias that config.json denies.
        ("LlamaForCausalLM", "model.layers.0.mlp.down_proj.bias"),
        ("Qwen2ForCausalLM", "model.layers.0.self_attn.o_proj.bias"),
        ("MistralForCausalLM", "model.layers.0.self_attn.q_norm.weight"),
        ("Qwen3ForCausalLM", "model.layers.0.pre_feedforward_layernorm.weight"),
        ("MixtralForCausalLM", "model.layers.0.block_sparse_moe.experts.4.w1.weight"),
        ("Qwen3MoeForCausalLM", "model.layers.0.mlp.shared_expert.up_proj.weight"),
        ("Gemma2ForCausalLM", "vision_tower.patch.weight"),
    ] {
        let mut fixture = Fixture::of(architecture);
        fixture.add(name, vec![HIDDEN]);
        fixture.write();
        assert_says(&fixture.error(), &[&format!("`{name}`"), &format!("no place in {architecture}")]);
    }
}

#[test]
fn biases_that_config_claims_and_the_checkpoint_lacks_are_missing() {
    for (architecture, field, tensor) in [
        ("LlamaForCausalLM", "attention_bias", "self_attn.q_proj.bias"),
        ("LlamaForCausalLM", "mlp_bias", "mlp.gate_proj.bias"),
        ("Qwen3ForCausalLM", "attention_bias", "self_attn.q_proj.bias"),
        ("Gemma3ForCausalLM", "attention_bias", "self_attn.q_proj.bias"),
    ] {
        let error = with_config(architecture, field, json!(true));
        assert_says(&error, &[&format!("`model.layers.0.{tensor}` is missing")]);
    }
}

#[test]
fn bias_beyond_its_format_is_refused() {
    let mut fixture = Fixture::of("Qwen2ForCausalLM");
    // Of a key it would be folded.
    fixture.tensor("model.layers.1.self_attn.q_proj.bias").values[2] = 9000.;
    fixture.write();
    assert_says(&fixture.error(), &["layer 1: query reaches", "8192"]);
}

#[test]
fn experts_that_contradict_each_other_are_refused() {
    for (architecture, field) in [("MixtralForCausalLM", "num_local_experts"), ("Qwen3MoeForCausalLM", "num_experts")] {
        assert_says(&with_config(architecture, field, None), &[&format!("`{field}`: missing")]);
        assert_says(&with_config(architecture, field, json!(2000)), &[&format!("`{field}`"), "outside 1..=1024"]);
        let error = with_config(architecture, "num_experts_per_tok", json!(5));
        assert_says(&error, &["`num_experts_per_tok`", &format!("5 exceeds {field} 4")]);
        assert_says(&with_config(architecture, "num_experts_per_tok", json!(0)), &["`num_experts_per_tok`"]);
        // More than the file has: found before a name of the rest is made.
        let error = with_config(architecture, field, json!(1024));
        assert_says(&error, &["gate.weight`", "[1024, 16]"]);
    }
    let moe = "Qwen3MoeForCausalLM";
    assert_says(&with_config(moe, "decoder_sparse_step", json!(2)), &["`decoder_sparse_step`", "must be 1"]);
    assert_says(&with_config(moe, "mlp_only_layers", json!([0])), &["`mlp_only_layers`", "must be empty"]);
    assert_says(&with_config(moe, "moe_intermediate_size", None), &["`moe_intermediate_size`: missing"]);
    assert_says(&with_config(moe, "norm_topk_prob", json!("yes")), &["`norm_topk_prob`", "true or false"]);
}

#[test]
fn windows_that_make_no_sense_are_refused() {
    assert_says(&with_config("MistralForCausalLM", "sliding_window", json!(0)), &["`sliding_window`", "0 is outside"]);
    assert_says(&with_config("MistralForCausalLM", "sliding_window", json!("8")), &["`sliding_window`", "\"8\""]);
    let gemma = "Gemma3ForCausalLM";
    assert_says(&with_config(gemma, "sliding_window_pattern", json!(0)), &["`sliding_window_pattern`"]);
    assert_says(&with_config(gemma, "layer_types", json!(["full_attention"])), &["`layer_types`", "list of 2"]);
    let error = with_config(gemma, "layer_types", json!(["full_attention", "chunked_attention"]));
    assert_says(&error, &["`layer_types`", "chunked_attention", "sliding_attention"]);
    let mut qwen = Fixture::of("Qwen2ForCausalLM");
    qwen.config["use_sliding_window"] = json!(true);
    qwen.config["max_window_layers"] = json!(-1);
    qwen.write();
    assert_says(&qwen.error(), &["`max_window_layers`", "-1"]);
}

#[test]
fn caps_and_scales_of_gemma_are_bounded() {
    let gemma = "Gemma2ForCausalLM";
    for field in ["attn_logit_softcapping", "final_logit_softcapping"] {
        for value in [json!(0.), json!(-30.), json!(1000.)] {
            assert_says(&with_config(gemma, field, value), &[&format!("`{field}`"), "outside 0.001..=127"]);
        }
    }
    assert_says(&with_config(gemma, "query_pre_attn_scalar", None), &["`query_pre_attn_scalar`: missing"]);
    assert_says(&with_config(gemma, "query_pre_attn_scalar", json!(0)), &["`query_pre_attn_scalar`", "0 is outside"]);
    assert_says(&with_config(gemma, "hidden_activation", json!("relu")), &["`hidden_activation`", "relu"]);
    let gemma = "Gemma3ForCausalLM";
    assert_says(&with_config(gemma, "rope_local_base_freq", json!(0)), &["`rope_local_base_freq`", "0 is outside"]);
    let nested = json!({"full_attention": {"rope_theta": 1e6}});
    assert_says(&with_config(gemma, "rope_parameters", nested), &["`rope_parameters.sliding_attention`: missing"]);
    let error = with_config(gemma, "use_bidirectional_attention", json!(true));
    assert_says(&error, &["`use_bidirectional_attention`"]);
}

//! The architectures of GGUF files: what Hugging Face calls them and their tensors, and what was done to the weights.

use super::metadata::Metadata;
use crate::convert::error::Result;

const ARCHITECTURE_KEY: &str = "general.architecture";

/// One architecture.
pub struct Architecture {
    /// `general.architecture`, which is also the prefix of its keys.
    pub name: &'static str,
    /// The class in Hugging Face's `architectures`.
    pub class: &'static str,
    /// The class of its variant with experts, if it has one under the same name.
    pub class_with_experts: Option<&'static str>,
    /// Names of tensors.
    pub naming: Naming,
    /// The rows of q and k were reordered for a rotation of neighbours.
    pub interleaved: bool,
    /// 1 was added to the gains of norms.
    pub gains_plus_one: bool,
}

/// Names of a layer's tensors, in the file (`blk.N.NAME.weight`) and in the checkpoint (`model.layers.N.NAME.weight`). `{}`
/// stands for an expert, of which the file holds all in one tensor.
pub struct Naming(&'static [(&'static str, &'static str)]);

/// Tensors outside the layers.
const GLOBAL: &[(&str, &str)] = &[
    ("token_embd.weight", "model.embed_tokens.weight"),
    ("output_norm.weight", "model.norm.weight"),
    ("output.weight", "lm_head.weight"),
];

macro_rules! naming {
    ($($more:expr),* $(,)?) => {
        Naming(&[
            ("attn_norm", "input_layernorm"),
            ("attn_q", "self_attn.q_proj"),
            ("attn_k", "self_attn.k_proj"),
            ("attn_v", "self_attn.v_proj"),
            ("attn_output", "self_attn.o_proj"),
            ("ffn_gate", "mlp.gate_proj"),
            ("ffn_up", "mlp.up_proj"),
            ("ffn_down", "mlp.down_proj"),
            $($more),*
        ])
    };
}

const PRE_NORM: (&str, &str) = ("ffn_norm", "post_attention_layernorm");
const Q_NORM: (&str, &str) = ("attn_q_norm", "self_attn.q_norm");
const K_NORM: (&str, &str) = ("attn_k_norm", "self_attn.k_norm");
/// Gemma's norms around each sublayer.
const SANDWICH: [(&str, &str); 3] = [
    ("post_attention_norm", "post_attention_layernorm"),
    ("ffn_norm", "pre_feedforward_layernorm"),
    ("post_ffw_norm", "post_feedforward_layernorm"),
];

const LLAMA: Architecture = Architecture {
    name: "llama",
    class: "LlamaForCausalLM",
    class_with_experts: Some("MixtralForCausalLM"),
    naming: naming![
        PRE_NORM,
        ("ffn_gate_inp", "block_sparse_moe.gate"),
        ("ffn_gate_exps", "block_sparse_moe.experts.{}.w1"),
        ("ffn_down_exps", "block_sparse_moe.experts.{}.w2"),
        ("ffn_up_exps", "block_sparse_moe.experts.{}.w3"),
    ],
    interleaved: true,
    gains_plus_one: false,
};

const ARCHITECTURES: &[Architecture] = &[
    LLAMA,
    Architecture {
        name: "qwen2",
        class: "Qwen2ForCausalLM",
        class_with_experts: None,
        naming: naming![PRE_NORM],
        interleaved: false,
        gains_plus_one: false,
    },
    Architecture {
        name: "qwen3",
        class: "Qwen3ForCausalLM",
        class_with_experts: None,
        naming: naming![PRE_NORM, Q_NORM, K_NORM],
        interleaved: false,
        gains_plus_one: false,
    },
    Architecture {
        name: "qwen3moe",
        class: "Qwen3MoeForCausalLM",
        class_with_experts: None,
        naming: naming![
            PRE_NORM,
            Q_NORM,
            K_NORM,
            ("ffn_gate_inp", "mlp.gate"),
            ("ffn_gate_exps", "mlp.experts.{}.gate_proj"),
            ("ffn_up_exps", "mlp.experts.{}.up_proj"),
            ("ffn_down_exps", "mlp.experts.{}.down_proj"),
        ],
        interleaved: false,
        gains_plus_one: false,
    },
    Architecture {
        name: "gemma2",
        class: "Gemma2ForCausalLM",
        class_with_experts: None,
        naming: naming![SANDWICH[0], SANDWICH[1], SANDWICH[2]],
        interleaved: false,
        gains_plus_one: true,
    },
    Architecture {
        name: "gemma3",
        class: "Gemma3ForCausalLM",
        class_with_experts: None,
        naming: naming![SANDWICH[0], SANDWICH[1], SANDWICH[2], Q_NORM, K_NORM],
        interleaved: false,
        gains_plus_one: true,
    },
];

impl Architecture {
    /// That of the file.
    pub fn of(metadata: &Metadata<'_>) -> Result<&'static Self> {
        let name = metadata
            .text(ARCHITECTURE_KEY)?
            .ok_or_else(|| metadata.problem(ARCHITECTURE_KEY, "missing; is this a model?"))?;
        ARCHITECTURES.iter().find(|architecture| architecture.name == name).ok_or_else(|| {
            let known: Vec<&str> = ARCHITECTURES.iter().map(|architecture| architecture.name).collect();
            metadata.problem(ARCHITECTURE_KEY, format!("{name:?} is not supported; supported: {}", known.join(", ")))
        })
    }

    /// The full name of one of its keys.
    pub fn key(&self, key: &str) -> String {
        format!("{}.{key}", self.name)
    }
}

impl Naming {
    /// The checkpoint's name of a tensor of the file, in which `{}` stands for the expert if it holds all of them.
    pub fn in_checkpoint(&self, stored: &str) -> Option<String> {
        if let Some((_, name)) = GLOBAL.iter().find(|(global, _)| *global == stored) {
            return Some((*name).into());
        }
        let (layer, rest) = layer_of(stored, "blk.")?;
        let (part, suffix) = split_suffix(rest)?;
        let (_, name) = self.0.iter().find(|(stored, _)| *stored == part)?;
        Some(format!("model.layers.{layer}.{name}.{suffix}"))
    }

    /// The file's name of a tensor of the checkpoint.
    pub fn in_file(&self, name: &str) -> Option<String> {
        if let Some((global, _)) = GLOBAL.iter().find(|(_, global)| *global == name) {
            return Some((*global).into());
        }
        let (layer, rest) = layer_of(name, "model.layers.")?;
        let (part, suffix) = split_suffix(rest)?;
        let same = |pattern: &str| match pattern.split_once("{}") {
            None => pattern == part,
            Some((before, after)) => part
                .strip_prefix(before)
                .and_then(|rest| rest.strip_suffix(after))
                .is_some_and(|expert| !expert.is_empty() && expert.bytes().all(|b| b.is_ascii_digit())),
        };
        let (stored, _) = self.0.iter().find(|(_, pattern)| same(pattern))?;
        Some(format!("blk.{layer}.{stored}.{suffix}"))
    }
}

/// The number after `prefix`, as written, and what follows it.
fn layer_of<'a>(name: &'a str, prefix: &str) -> Option<(&'a str, &'a str)> {
    let (layer, rest) = name.strip_prefix(prefix)?.split_once('.')?;
    // One spelling of each number only, or two tensors could have one name.
    let plain = layer.parse::<u32>().is_ok_and(|number| number.to_string() == layer);
    plain.then_some((layer, rest))
}

fn split_suffix(rest: &str) -> Option<(&str, &str)> {
    rest.rsplit_once('.').filter(|(_, suffix)| matches!(*suffix, "weight" | "bias"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn naming_both_ways_agrees_for_every_part() {
        for architecture in ARCHITECTURES {
            let naming = &architecture.naming;
            for (stored, _) in naming.0 {
                let stored = format!("blk.7.{stored}.weight");
                let name = naming.in_checkpoint(&stored).unwrap();
                assert_eq!(naming.in_file(&name.replace("{}", "12")), Some(stored));
            }
            for (stored, name) in GLOBAL {
                assert_eq!(naming.in_checkpoint(stored).as_deref(), Some(*name));
                assert_eq!(naming.in_file(name).as_deref(), Some(*stored));
            }
        }
    }

    #[test]
    fn naming_unknown_has_no_name() {
        for name in ["blk.0.attn_qkv.weight", "blk.01.attn_q.weight", "blk.x.attn_q.weight", "blk.0.attn_q", "rope"] {
            assert_eq!(LLAMA.naming.in_checkpoint(name), None, "{name}");
        }
        assert_eq!(LLAMA.naming.in_checkpoint("blk.3.attn_q.bias").unwrap(), "model.layers.3.self_attn.q_proj.bias");
        assert_eq!(LLAMA.naming.in_file("model.layers.0.block_sparse_moe.experts.x.w1.weight"), None);
    }
}

//! Model families: one small file each, mapping a Hugging Face `config.json` and its tensor names onto the graph of
//! `docs/exact.md`. To add one, write its file and name it in [`FAMILIES`].

pub(super) mod bert;
mod llama;

use super::{
    checkpoint::Checkpoint,
    config::ConfigFile,
    error::{ConvertError, Result},
    rope::Rope,
};

/// A decoder of the Llama shape as the converter and the float reference see it: pre-norm RMSNorm, rotary grouped-query
/// attention, gated SiLU MLP, without biases.
#[derive(Debug, Clone, PartialEq)]
pub struct DecoderPlan {
    /// The architecture's name in `config.json`.
    pub architecture: &'static str,
    /// Token ids.
    pub vocab: usize,
    /// Positions.
    pub context: usize,
    /// Hidden size d.
    pub hidden: usize,
    /// Layers.
    pub layers: usize,
    /// Query heads n_q.
    pub heads: usize,
    /// Key/value heads n_kv.
    pub kv_heads: usize,
    /// Head size D.
    pub head_dim: usize,
    /// MLP width f.
    pub ffn: usize,
    /// Epsilon of every RMSNorm.
    pub eps: f64,
    /// Rotary frequencies.
    pub rope: Rope,
    /// The head shares the embedding matrix.
    pub tied: bool,
    /// Ids that end a generation, ascending; empty if `config.json` names none.
    pub eos: Vec<u32>,
    /// Where the weights are.
    pub names: TensorNames,
}

/// Checkpoint names of the tensors outside the layers, and of each layer's.
#[derive(Debug, Clone, PartialEq)]
pub struct TensorNames {
    /// `[vocab, d]`
    pub embed: String,
    /// `[d]`
    pub final_norm: String,
    /// `[vocab, d]`; not read if tied
    pub head: String,
    /// One entry per layer.
    pub layers: Vec<LayerNames>,
}

/// Checkpoint names of one layer's tensors.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerNames {
    /// `[d]`
    pub attention_norm: String,
    /// `[n_q * D, d]`
    pub q: String,
    /// `[n_kv * D, d]`
    pub k: String,
    /// `[n_kv * D, d]`
    pub v: String,
    /// `[d, n_q * D]`
    pub o: String,
    /// `[d]`
    pub mlp_norm: String,
    /// `[f, d]`
    pub gate: String,
    /// `[f, d]`
    pub up: String,
    /// `[d, f]`
    pub down: String,
}

/// One supported architecture.
pub(crate) struct Family {
    /// The name in `architectures`.
    architecture: &'static str,
    /// Reads the configuration.
    plan: fn(&ConfigFile) -> Result<DecoderPlan>,
    /// Tensors that may be present and are rightly ignored.
    ignored: fn(&str) -> bool,
}

const FAMILIES: &[Family] = &[llama::FAMILY];

impl Family {
    /// The family that `config.json` names.
    pub(crate) fn of(config: &ConfigFile) -> Result<&'static Family> {
        let found: Vec<&str> = match config.get("architectures") {
            Some(serde_json::Value::Array(names)) => names.iter().filter_map(serde_json::Value::as_str).collect(),
            Some(_) => return Err(config.problem("architectures", "must be a list of strings")),
            None => return Err(config.problem("architectures", "missing")),
        };
        FAMILIES.iter().find(|family| found == [family.architecture]).ok_or_else(|| ConvertError::Architecture {
            path: config.path().into(),
            found: format!("[{}]", found.join(", ")),
            supported: FAMILIES.iter().map(|family| family.architecture).chain(bert::ARCHITECTURES).collect(),
        })
    }

    /// The plan, with all limits of section 2 on its sizes checked.
    pub(crate) fn plan(&self, config: &ConfigFile) -> Result<DecoderPlan> {
        (self.plan)(config)
    }

    /// Checks that the checkpoint has every tensor of the plan in its shape, and no tensor that the plan would ignore.
    pub(crate) fn check_tensors(&self, plan: &DecoderPlan, checkpoint: &Checkpoint) -> Result<()> {
        let wanted = plan.tensors();
        for (name, shape) in &wanted {
            checkpoint.check(name, shape)?;
        }
        let known: std::collections::BTreeSet<&str> = wanted.iter().map(|(name, _)| *name).collect();
        match checkpoint
            .names()
            .find(|name| !(known.contains(name) || (self.ignored)(name) || (plan.tied && *name == plan.names.head)))
        {
            None => Ok(()),
            Some(name) => Err(ConvertError::UnexpectedTensor {
                path: checkpoint.path_of(name).into(),
                tensor: name.into(),
                architecture: self.architecture,
            }),
        }
    }
}

impl DecoderPlan {
    /// Every tensor with its shape.
    pub(crate) fn tensors(&self) -> Vec<(&str, Vec<usize>)> {
        let (d, f) = (self.hidden, self.ffn);
        let (q, kv) = (self.heads * self.head_dim, self.kv_heads * self.head_dim);
        let names = &self.names;
        let mut list: Vec<(&str, Vec<usize>)> = vec![(&names.embed, vec![self.vocab, d]), (&names.final_norm, vec![d])];
        if !self.tied {
            list.push((&names.head, vec![self.vocab, d]));
        }
        for layer in &names.layers {
            list.push((&layer.attention_norm, vec![d]));
            list.push((&layer.q, vec![q, d]));
            list.push((&layer.k, vec![kv, d]));
            list.push((&layer.v, vec![kv, d]));
            list.push((&layer.o, vec![d, q]));
            list.push((&layer.mlp_norm, vec![d]));
            list.push((&layer.gate, vec![f, d]));
            list.push((&layer.up, vec![f, d]));
            list.push((&layer.down, vec![d, f]));
        }
        list
    }
}

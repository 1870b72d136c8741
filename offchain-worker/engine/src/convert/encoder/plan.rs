//! What the converter and the float reference know of an encoder: shape and tensor names.

use crate::convert::{checkpoint::Checkpoint, error::Result, ConvertError};
use assay_exact::{header::Pool, mlp::Activation};

/// An encoder of the BERT shape: learned positions, post-norm LayerNorm, ungated MLP, a bias on every linear.
#[derive(Debug, Clone, PartialEq)]
pub struct EncoderPlan {
    /// The architecture's name in `config.json`.
    pub architecture: &'static str,
    /// Token ids.
    pub vocab: usize,
    /// Positions that the model is used with: at most those that it has.
    pub context: usize,
    /// Rows of the position matrix.
    pub positions: usize,
    /// Rows of the token-type matrix; row 0 is folded into the positions.
    pub token_types: usize,
    /// Hidden size d.
    pub hidden: usize,
    /// Layers.
    pub layers: usize,
    /// Heads.
    pub heads: usize,
    /// Head size D.
    pub head_dim: usize,
    /// MLP width f.
    pub ffn: usize,
    /// Epsilon of every LayerNorm.
    pub eps: f64,
    /// Activation of the MLP.
    pub activation: Activation,
    /// How positions become one vector.
    pub pool: Pool,
    /// Where the weights are.
    pub names: EncoderNames,
}

/// Checkpoint names of an encoder's tensors.
#[derive(Debug, Clone, PartialEq)]
pub struct EncoderNames {
    /// `[vocab, d]`
    pub words: String,
    /// `[positions, d]`
    pub positions: String,
    /// `[token types, d]`
    pub token_types: String,
    /// After the sum of the three.
    pub embedding_norm: TensorPair,
    /// One entry per layer.
    pub layers: Vec<EncoderLayerNames>,
}

/// A weight and its bias.
#[derive(Debug, Clone, PartialEq)]
pub struct TensorPair {
    /// A linear's `[out, in]`, or a norm's gain `[d]`.
    pub weight: String,
    /// `[out]`
    pub bias: String,
}

/// Checkpoint names of one layer's tensors.
#[derive(Debug, Clone, PartialEq)]
pub struct EncoderLayerNames {
    /// `[d, d]`
    pub q: TensorPair,
    /// `[d, d]`
    pub k: TensorPair,
    /// `[d, d]`
    pub v: TensorPair,
    /// `[d, d]`
    pub o: TensorPair,
    /// After the attention's addition.
    pub attention_norm: TensorPair,
    /// `[f, d]`
    pub up: TensorPair,
    /// `[d, f]`
    pub down: TensorPair,
    /// After the MLP's addition.
    pub mlp_norm: TensorPair,
}

impl EncoderPlan {
    /// Every tensor that is read, with its shape.
    pub(crate) fn tensors(&self) -> Vec<(&str, Vec<usize>)> {
        let (d, f) = (self.hidden, self.ffn);
        let names = &self.names;
        let mut list: Vec<(&str, Vec<usize>)> = vec![
            (&names.words, vec![self.vocab, d]),
            (&names.positions, vec![self.positions, d]),
            (&names.token_types, vec![self.token_types, d]),
        ];
        list.extend(both(&names.embedding_norm, vec![d]));
        for layer in &names.layers {
            for linear in [&layer.q, &layer.k, &layer.v, &layer.o] {
                list.extend(both(linear, vec![d, d]));
            }
            list.extend(both(&layer.attention_norm, vec![d]));
            list.extend(both(&layer.up, vec![f, d]));
            list.extend(both(&layer.down, vec![d, f]));
            list.extend(both(&layer.mlp_norm, vec![d]));
        }
        list
    }

    /// Checks that the checkpoint has every tensor of the plan in its shape, and none that the plan would ignore
    /// but `ignored` ones.
    pub(crate) fn check_tensors(&self, checkpoint: &Checkpoint, ignored: fn(&str) -> bool) -> Result<()> {
        let wanted = self.tensors();
        for (name, shape) in &wanted {
            checkpoint.check(name, shape)?;
        }
        let known: std::collections::BTreeSet<&str> = wanted.iter().map(|(name, _)| *name).collect();
        match checkpoint.names().find(|name| !(known.contains(name) || ignored(name))) {
            None => Ok(()),
            Some(name) => Err(ConvertError::UnexpectedTensor {
                path: checkpoint.path_of(name).into(),
                tensor: name.into(),
                architecture: self.architecture,
            }),
        }
    }
}

/// Both tensors of a pair: the bias has as many entries as the weight has rows.
fn both(pair: &TensorPair, weight: Vec<usize>) -> [(&str, Vec<usize>); 2] {
    let bias = weight.iter().take(1).copied().collect();
    [(&pair.weight, weight), (&pair.bias, bias)]
}

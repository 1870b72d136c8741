//! A decoder as `config.json` describes it, in the terms of the graph of section 9: what a family fills in, and what the
//! float reference, the census and the package are made from.

use super::rope::Rope;
use assay_exact::{
    header::{Flags, Placement},
    mlp::Activation,
};

/// A decoder and where its weights are.
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
    /// Query heads n_q.
    pub heads: usize,
    /// Key/value heads n_kv.
    pub kv_heads: usize,
    /// Head size D.
    pub head_dim: usize,
    /// MLP width f, of each expert if there are experts.
    pub ffn: usize,
    /// The mixture of experts; `None` in a dense model.
    pub experts: Option<ExpertsPlan>,
    /// Gate of the MLP.
    pub activation: Activation,
    /// Where the norms stand.
    pub placement: Placement,
    /// Epsilon of every RMSNorm.
    pub eps: f64,
    /// Added to every norm's weight: 1 where the checkpoint stores `gain - 1`.
    pub gain_offset: f32,
    /// Factor on embedding rows; the head, shared or not, is without it.
    pub embedding_scale: f64,
    /// Factor on `q . k`, before what a rotary table adds ([`Rope::score_factor`]).
    pub score_scale: f64,
    /// `cap * tanh(score / cap)` of attention scores.
    pub attention_cap: Option<f64>,
    /// The same of logits.
    pub final_cap: Option<f64>,
    /// Bias on the query, key and value projections.
    pub qkv_bias: bool,
    /// Bias on the output projection.
    pub output_bias: bool,
    /// Bias on the MLP's projections.
    pub mlp_bias: bool,
    /// RMSNorm on each query and key head, before the rotation.
    pub qk_norm: bool,
    /// Rotary tables.
    pub ropes: Vec<Rope>,
    /// One entry per layer.
    pub layers: Vec<LayerPlan>,
    /// The head shares the embedding matrix.
    pub tied: bool,
    /// Ids that end a generation, ascending; empty if `config.json` names none.
    pub eos: Vec<u32>,
    /// Where the weights are.
    pub names: TensorNames,
}

/// What differs from layer to layer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LayerPlan {
    /// Keys that a position sees, itself included; `None` for all.
    pub window: Option<usize>,
    /// Index of its table in [`DecoderPlan::ropes`].
    pub rope: usize,
}

/// A mixture of experts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExpertsPlan {
    /// Experts of a layer.
    pub count: usize,
    /// Experts that a token goes through.
    pub per_token: usize,
    /// Probabilities are taken over all experts, not over the chosen ones.
    pub over_all: bool,
}

/// Names of the checkpoint's tensors. Those of a layer stand below `layers.N` of the model; each is a module that holds
/// `weight` and, where the plan has one, `bias`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TensorNames {
    /// Prefix of everything but the head.
    pub model: &'static str,
    /// `[vocab, d]`
    pub embed: &'static str,
    /// `[d]`
    pub final_norm: &'static str,
    /// `[vocab, d]`, without the prefix; not read if tied.
    pub head: &'static str,
    /// `[d]`, before attention.
    pub attention_norm: &'static str,
    /// `[d]`, on attention's output (sandwich).
    pub attention_out_norm: &'static str,
    /// `[n_q * D, d]`
    pub q: &'static str,
    /// `[n_kv * D, d]`
    pub k: &'static str,
    /// `[n_kv * D, d]`
    pub v: &'static str,
    /// `[d, n_q * D]`
    pub o: &'static str,
    /// `[D]`
    pub q_norm: &'static str,
    /// `[D]`
    pub k_norm: &'static str,
    /// `[d]`, before the MLP.
    pub mlp_norm: &'static str,
    /// `[d]`, on the MLP's output (sandwich).
    pub mlp_out_norm: &'static str,
    /// The dense MLP.
    pub mlp: &'static str,
    /// `[experts, d]`
    pub router: &'static str,
    /// Prefix of the experts, which are numbered below it.
    pub experts: &'static str,
    /// `[f, d]`, below an MLP or an expert.
    pub gate: &'static str,
    /// `[f, d]`, likewise.
    pub up: &'static str,
    /// `[d, f]`, likewise.
    pub down: &'static str,
}

/// The names of `LlamaForCausalLM`, which most families share.
pub const LLAMA_NAMES: TensorNames = TensorNames {
    model: "model",
    embed: "embed_tokens",
    final_norm: "norm",
    head: "lm_head",
    attention_norm: "input_layernorm",
    attention_out_norm: "",
    q: "self_attn.q_proj",
    k: "self_attn.k_proj",
    v: "self_attn.v_proj",
    o: "self_attn.o_proj",
    q_norm: "self_attn.q_norm",
    k_norm: "self_attn.k_norm",
    mlp_norm: "post_attention_layernorm",
    mlp_out_norm: "",
    mlp: "mlp",
    router: "",
    experts: "",
    gate: "gate_proj",
    up: "up_proj",
    down: "down_proj",
};

impl TensorNames {
    /// The embedding matrix.
    pub fn embed(&self) -> String {
        format!("{}.{}.weight", self.model, self.embed)
    }

    /// The final norm.
    pub fn final_norm(&self) -> String {
        format!("{}.{}.weight", self.model, self.final_norm)
    }

    /// The head, where it is not the embedding.
    pub fn head(&self) -> String {
        format!("{}.weight", self.head)
    }

    /// The module `part` of a layer.
    pub fn layer(&self, layer: usize, part: &str) -> String {
        format!("{}.layers.{layer}.{part}", self.model)
    }

    /// A module of a layer's MLP, or of one of its experts: `part` is one of `gate`, `up`, `down`.
    pub fn mlp(&self, layer: usize, expert: Option<usize>, part: &str) -> String {
        match expert {
            None => self.layer(layer, &format!("{}.{part}", self.mlp)),
            Some(expert) => self.layer(layer, &format!("{}.{expert}.{part}", self.experts)),
        }
    }
}

/// The tensor of a module.
pub fn weight(module: &str) -> String {
    format!("{module}.weight")
}

/// The bias of a module.
pub fn bias(module: &str) -> String {
    format!("{module}.bias")
}

impl DecoderPlan {
    /// Rows of the query projection, `n_q * D`.
    pub fn query_width(&self) -> usize {
        self.heads * self.head_dim
    }

    /// Rows of the key and value projections, `n_kv * D`.
    pub fn kv_width(&self) -> usize {
        self.kv_heads * self.head_dim
    }

    /// `None` for the dense MLP, or each expert.
    pub fn mlps(&self) -> impl Iterator<Item = Option<usize>> {
        let experts = self.experts.map_or(0, |experts| experts.count);
        self.experts.is_none().then_some(None).into_iter().chain((0..experts).map(Some))
    }

    /// The factor on `q . k` of a layer, its rotary table's included.
    pub fn layer_score_scale(&self, layer: usize) -> f64 {
        let rope = self.layers.get(layer).and_then(|layer| self.ropes.get(layer.rope));
        self.score_scale * rope.map_or(1., Rope::score_factor)
    }

    /// The flags of the package's header (section 11).
    pub fn flags(&self) -> Flags {
        let flags = [
            (true, Flags::FINAL_NORM),
            (self.tied, Flags::SHARED_HEAD),
            (self.qkv_bias, Flags::QKV_BIAS),
            (self.output_bias, Flags::OUTPUT_BIAS),
            (self.mlp_bias, Flags::MLP_BIAS),
            (self.qk_norm, Flags::QK_NORM),
            (self.attention_cap.is_some(), Flags::SOFT_CAP),
            (self.final_cap.is_some(), Flags::FINAL_CAP),
            (self.experts.is_some_and(|experts| experts.over_all), Flags::ROUTER_OVER_ALL),
        ];
        flags.into_iter().filter(|(set, _)| *set).fold(Flags(0), |flags, (_, flag)| flags.with(flag))
    }

    /// Every tensor with its shape. Names are made one by one: how many there are is what `config.json` claims.
    pub fn tensors(&self) -> impl Iterator<Item = (String, Vec<usize>)> + '_ {
        let (d, names) = (self.hidden, &self.names);
        let front = [(names.embed(), vec![self.vocab, d]), (names.final_norm(), vec![d])];
        let head = (!self.tied).then(|| (names.head(), vec![self.vocab, d]));
        front.into_iter().chain(head).chain((0..self.layers.len()).flat_map(|layer| self.layer_tensors(layer)))
    }

    fn layer_tensors(&self, layer: usize) -> impl Iterator<Item = (String, Vec<usize>)> + '_ {
        let (d, f, names) = (self.hidden, self.ffn, &self.names);
        let (q, kv) = (self.query_width(), self.kv_width());
        let sandwich = self.placement == Placement::Sandwich;
        let norms = [
            (true, names.attention_norm, d),
            (sandwich, names.attention_out_norm, d),
            (self.qk_norm, names.q_norm, self.head_dim),
            (self.qk_norm, names.k_norm, self.head_dim),
            (true, names.mlp_norm, d),
            (sandwich, names.mlp_out_norm, d),
        ];
        let norms = norms.into_iter().filter(|(present, ..)| *present);
        let norms = norms.map(move |(_, norm, n)| (weight(&names.layer(layer, norm)), vec![n]));
        let attention = [
            (names.q, [q, d], self.qkv_bias),
            (names.k, [kv, d], self.qkv_bias),
            (names.v, [kv, d], self.qkv_bias),
            (names.o, [d, q], self.output_bias),
        ];
        let attention = attention.map(|(part, shape, bias)| (names.layer(layer, part), shape, bias));
        let router = self.experts.map(|e| (names.layer(layer, names.router), [e.count, d], self.mlp_bias));
        let mlps = self.mlps().flat_map(move |expert| {
            let parts = [(names.gate, [f, d]), (names.up, [f, d]), (names.down, [d, f])];
            parts.map(|(part, shape)| (names.mlp(layer, expert, part), shape, self.mlp_bias))
        });
        let linears = attention.into_iter().chain(router).chain(mlps).flat_map(|(module, [out, input], has_bias)| {
            let bias = has_bias.then(|| (bias(&module), vec![out]));
            std::iter::once((weight(&module), vec![out, input])).chain(bias)
        });
        norms.chain(linears)
    }
}

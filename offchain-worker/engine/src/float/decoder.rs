//! The decoder of section 9 in f32, whole windows at a time (no KV cache: the reference only ever scores text that it
//! has).
//!
//! One graph for all families, as in the exact engine: [Llama](https://arxiv.org/abs/2302.13971) with
//! [grouped-query attention](https://arxiv.org/abs/2305.13245) and [RoPE](https://arxiv.org/abs/2104.09864), and what a
//! [`DecoderPlan`] adds to it.

use super::{
    mlp::Mlp,
    observe::{Observer, Site},
};
use crate::convert::{plan, DecoderPlan};
use assay_exact::header::Placement;
use candle_core::{DType, Device, Result, Tensor, D};
use candle_nn::{ops, rotary_emb, Linear, Module, RmsNorm, VarBuilder};

/// Cosines and sines of all positions.
#[derive(Debug, Clone)]
struct RotaryEmbedding {
    cos: Tensor,
    sin: Tensor,
}

impl RotaryEmbedding {
    fn new(positions: usize, frequencies: &[f64], device: &Device) -> Result<Self> {
        let shape = (positions, frequencies.len());
        let table = |f: fn(f64) -> f64| {
            let values = (0..positions).flat_map(|p| frequencies.iter().map(move |w| f(p as f64 * w) as f32)).collect();
            Tensor::from_vec(values, shape, device)
        };
        Ok(Self { cos: table(libm::cos)?, sin: table(libm::sin)? })
    }

    /// `x`: `[heads, T, D]`, pairs `(i, i + D/2)`.
    fn apply(&self, x: &Tensor) -> Result<Tensor> {
        let t = x.dim(D::Minus2)?;
        let (cos, sin) = (self.cos.narrow(0, 0, t)?, self.sin.narrow(0, 0, t)?);
        rotary_emb::rope(&x.unsqueeze(0)?, &cos, &sin)?.squeeze(0)
    }
}

/// The projection `module`, of shape `[out, in]`.
pub(super) fn linear(vb: &VarBuilder<'_>, module: &str, [out, input]: [usize; 2], bias: bool) -> Result<Linear> {
    let weight = vb.get((out, input), &plan::weight(module))?;
    let bias = bias.then(|| vb.get(out, &plan::bias(module))).transpose()?;
    Ok(Linear::new(weight, bias))
}

fn norm(vb: &VarBuilder<'_>, tensor: &str, n: usize, eps: f64) -> Result<RmsNorm> {
    Ok(RmsNorm::new(vb.get(n, tensor)?, eps))
}

/// `cap * tanh(x / cap)`
fn soft_cap(x: Tensor, cap: Option<f64>) -> Result<Tensor> {
    match cap {
        None => Ok(x),
        Some(cap) => (x / cap)?.tanh()? * cap,
    }
}

#[derive(Debug, Clone)]
struct Attention {
    q_proj: Linear,
    k_proj: Linear,
    v_proj: Linear,
    o_proj: Linear,
    qk_norm: Option<(RmsNorm, RmsNorm)>,
    heads: usize,
    kv_heads: usize,
    head_dim: usize,
    scale: f64,
    cap: Option<f64>,
    window: Option<usize>,
}

impl Attention {
    fn load(vb: &VarBuilder<'_>, plan: &DecoderPlan, layer: usize) -> Result<Self> {
        let (d, q, kv) = (plan.hidden, plan.query_width(), plan.kv_width());
        let names = &plan.names;
        let linear = |part, shape, bias| linear(vb, &names.layer(layer, part), shape, bias);
        let norm = |part| norm(vb, &plan::weight(&names.layer(layer, part)), plan.head_dim, plan.eps);
        Ok(Self {
            q_proj: linear(names.q, [q, d], plan.qkv_bias)?,
            k_proj: linear(names.k, [kv, d], plan.qkv_bias)?,
            v_proj: linear(names.v, [kv, d], plan.qkv_bias)?,
            o_proj: linear(names.o, [d, q], plan.output_bias)?,
            qk_norm: plan
                .qk_norm
                .then(|| Ok::<_, candle_core::Error>((norm(names.q_norm)?, norm(names.k_norm)?)))
                .transpose()?,
            heads: plan.heads,
            kv_heads: plan.kv_heads,
            head_dim: plan.head_dim,
            scale: plan.layer_score_scale(layer),
            cap: plan.attention_cap,
            window: plan.layers.get(layer).and_then(|layer| layer.window),
        })
    }

    /// `x`: `[T, d]`
    fn forward(
        &self,
        layer: usize,
        x: &Tensor,
        rotary: &RotaryEmbedding,
        observer: &mut dyn Observer,
    ) -> Result<Tensor> {
        let t = x.dim(0)?;
        let split = |y: Tensor, heads: usize| y.reshape((t, heads, self.head_dim))?.transpose(0, 1)?.contiguous();
        let mut q = split(self.q_proj.forward(x)?, self.heads)?;
        let mut k = split(self.k_proj.forward(x)?, self.kv_heads)?;
        let v = split(self.v_proj.forward(x)?, self.kv_heads)?;
        if let Some((q_norm, k_norm)) = &self.qk_norm {
            observer.observe(layer, Site::Projection, &q)?;
            observer.observe(layer, Site::Projection, &k)?;
            (q, k) = (q_norm.forward(&q)?, k_norm.forward(&k)?);
        }
        observer.observe(layer, Site::Query, &q)?;
        observer.observe(layer, Site::Key, &k)?;
        observer.observe(layer, Site::Value, &v)?;

        // Query heads that share a key head become rows of one matrix.
        let group = self.heads / self.kv_heads;
        let q = rotary.apply(&q)?.reshape((self.kv_heads, group * t, self.head_dim))?;
        let k = rotary.apply(&k)?;
        let scores = soft_cap((q.matmul(&k.t()?)? * self.scale)?, self.cap)?;
        let mask = causal_mask(t, self.window, x.device())?;
        let scores = scores.reshape((self.heads, t, t))?.broadcast_add(&mask)?;
        let weights = ops::softmax_last_dim(&scores)?.reshape((self.kv_heads, group * t, t))?;
        let y = weights
            .matmul(&v)?
            .reshape((self.heads, t, self.head_dim))?
            .transpose(0, 1)?
            .reshape((t, self.heads * self.head_dim))?;
        self.o_proj.forward(&y)
    }
}

/// `[T, T]`: 0 where position i sees j, minus infinity elsewhere.
fn causal_mask(t: usize, window: Option<usize>, device: &Device) -> Result<Tensor> {
    let sees = |i: usize, j: usize| j <= i && window.is_none_or(|window| i - j < window);
    let mask = (0..t).flat_map(|i| (0..t).map(move |j| if sees(i, j) { 0. } else { f32::NEG_INFINITY })).collect();
    Tensor::from_vec(mask, (t, t), device)
}

/// The norms of one block.
#[derive(Debug, Clone)]
struct BlockNorms {
    input: RmsNorm,
    /// Sandwich only.
    output: Option<RmsNorm>,
}

impl BlockNorms {
    fn load(vb: &VarBuilder<'_>, plan: &DecoderPlan, layer: usize, [input, output]: [&str; 2]) -> Result<Self> {
        let norm = |part| norm(vb, &plan::weight(&plan.names.layer(layer, part)), plan.hidden, plan.eps);
        let sandwich = plan.placement == Placement::Sandwich;
        Ok(Self { input: norm(input)?, output: sandwich.then(|| norm(output)).transpose()? })
    }

    /// `h + y`, or `h + norm(y)`.
    fn add(&self, layer: usize, h: &Tensor, y: &Tensor, observer: &mut dyn Observer) -> Result<Tensor> {
        let h = match &self.output {
            None => (h + y)?,
            Some(norm) => {
                let y = norm.forward(y)?;
                observer.observe(layer, Site::Residual, &y)?;
                (h + y)?
            }
        };
        observer.observe(layer, Site::Residual, &h)?;
        Ok(h)
    }
}

/// One layer.
struct DecoderLayer<'a> {
    attention_norms: BlockNorms,
    self_attn: Attention,
    mlp_norms: BlockNorms,
    mlp: Mlp<'a>,
}

impl<'a> DecoderLayer<'a> {
    fn load(vb: &'a VarBuilder<'a>, plan: &'a DecoderPlan, layer: usize) -> Result<Self> {
        let names = &plan.names;
        Ok(Self {
            attention_norms: BlockNorms::load(vb, plan, layer, [names.attention_norm, names.attention_out_norm])?,
            self_attn: Attention::load(vb, plan, layer)?,
            mlp_norms: BlockNorms::load(vb, plan, layer, [names.mlp_norm, names.mlp_out_norm])?,
            mlp: Mlp::load(vb, plan, layer)?,
        })
    }

    /// `rows`: each window's `[T, d]`, in place.
    fn forward(
        &self,
        layer: usize,
        rows: &mut [Tensor],
        rotary: &RotaryEmbedding,
        observer: &mut dyn Observer,
    ) -> Result<()> {
        for h in rows.iter_mut() {
            let x = self.attention_norms.input.forward(h)?;
            observer.observe(layer, Site::AttentionInput, &x)?;
            let y = self.self_attn.forward(layer, &x, rotary, observer)?;
            observer.observe(layer, Site::AttentionOutput, &y)?;
            *h = self.attention_norms.add(layer, h, &y, observer)?;
        }
        let mut inputs = Vec::with_capacity(rows.len());
        for h in rows.iter() {
            let x = self.mlp_norms.input.forward(h)?;
            observer.observe(layer, Site::MlpInput, &x)?;
            inputs.push(x);
        }
        let outputs = self.mlp.forward(layer, &inputs, observer)?;
        for (h, y) in rows.iter_mut().zip(&outputs) {
            *h = self.mlp_norms.add(layer, h, y, observer)?;
        }
        Ok(())
    }
}

/// Scores windows of text with one layer's weights in memory at a time (one expert's, where there are experts), so that a
/// checkpoint larger than memory can be measured: all windows pass a layer before the next one is loaded.
pub struct Decoder<'a> {
    vb: VarBuilder<'a>,
    plan: DecoderPlan,
}

impl<'a> Decoder<'a> {
    /// `vb` must be of type F32, have the checkpoint's names, and give norms as gains; nothing is read yet.
    pub fn new(vb: VarBuilder<'a>, plan: DecoderPlan) -> Self {
        Self { vb, plan }
    }

    /// Runs each window from position 0. `each` gets the window's index and its logits, `[T, vocab]`, capped if the model
    /// caps them.
    ///
    /// Errors if a window is empty or longer than the context, an id is outside the vocabulary, or a tensor is missing or
    /// of another shape.
    pub fn forward(
        &self,
        windows: &[Vec<u32>],
        observer: &mut dyn Observer,
        mut each: impl FnMut(usize, &Tensor) -> Result<()>,
    ) -> Result<()> {
        let (vb, plan) = (&self.vb, &self.plan);
        let longest = windows.iter().map(Vec::len).max().unwrap_or(0);
        if longest > plan.context || windows.iter().any(Vec::is_empty) {
            candle_core::bail!("windows must hold 1..={} tokens, one holds {longest}", plan.context);
        }
        let embed = vb.get((plan.vocab, plan.hidden), &plan.names.embed())?;
        let mut rows = Vec::with_capacity(windows.len());
        for window in windows {
            let h = embed.embedding(&Tensor::new(window.as_slice(), embed.device())?)?;
            let h = if plan.embedding_scale == 1. { h } else { (h * plan.embedding_scale)? };
            observer.observe(0, Site::Residual, &h)?;
            rows.push(h);
        }
        let tied = plan.tied.then_some(embed);

        let rotary = plan
            .ropes
            .iter()
            .map(|rope| RotaryEmbedding::new(longest, &rope.frequencies(plan.head_dim), vb.device()))
            .collect::<Result<Vec<_>>>()?;
        for (layer, layer_plan) in plan.layers.iter().enumerate() {
            DecoderLayer::load(vb, plan, layer)?.forward(layer, &mut rows, &rotary[layer_plan.rope], observer)?;
        }

        let norm = norm(vb, &plan.names.final_norm(), plan.hidden, plan.eps)?;
        let head = match tied {
            Some(embed) => embed,
            None => vb.get((plan.vocab, plan.hidden), &plan.names.head())?,
        };
        let head = Linear::new(head, None);
        for (window, h) in rows.iter().enumerate() {
            let logits = head.forward(&norm.forward(h)?)?.to_dtype(DType::F32)?;
            observer.observe(plan.layers.len(), Site::Logits, &logits)?;
            each(window, &soft_cap(logits, plan.final_cap)?)?;
        }
        Ok(())
    }
}

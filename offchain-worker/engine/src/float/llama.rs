//! Llama decoder, f32, whole windows at a time (no KV cache: the reference only ever scores text that it has).
//!
//! [Llama 2](https://arxiv.org/abs/2307.09288), [RoPE](https://arxiv.org/abs/2104.09864),
//! [grouped-query attention](https://arxiv.org/abs/2305.13245).

use super::observe::{Observer, Site};
use candle_core::{DType, Device, Result, Tensor, D};
use candle_nn::{linear_no_bias, ops, rms_norm, rotary_emb, Activation, Linear, Module, RmsNorm, VarBuilder};

/// Shape of the model.
#[derive(Debug, Clone)]
pub struct Config {
    /// Token ids.
    pub vocab: usize,
    /// Positions.
    pub context: usize,
    /// Hidden size.
    pub hidden: usize,
    /// Layers.
    pub layers: usize,
    /// Query heads.
    pub heads: usize,
    /// Key/value heads.
    pub kv_heads: usize,
    /// Head size.
    pub head_dim: usize,
    /// MLP width.
    pub ffn: usize,
    /// Epsilon of the norms.
    pub eps: f64,
    /// Angle per position of each pair of a head's entries (`head_dim / 2` of them), scaling applied.
    pub frequencies: Vec<f64>,
    /// The head shares the embedding matrix.
    pub tied: bool,
}

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

#[derive(Debug, Clone)]
struct Attention {
    q_proj: Linear,
    k_proj: Linear,
    v_proj: Linear,
    o_proj: Linear,
    heads: usize,
    kv_heads: usize,
    head_dim: usize,
}

impl Attention {
    fn load(vb: VarBuilder<'_>, cfg: &Config) -> Result<Self> {
        let (q, kv) = (cfg.heads * cfg.head_dim, cfg.kv_heads * cfg.head_dim);
        Ok(Self {
            q_proj: linear_no_bias(cfg.hidden, q, vb.pp("q_proj"))?,
            k_proj: linear_no_bias(cfg.hidden, kv, vb.pp("k_proj"))?,
            v_proj: linear_no_bias(cfg.hidden, kv, vb.pp("v_proj"))?,
            o_proj: linear_no_bias(q, cfg.hidden, vb.pp("o_proj"))?,
            heads: cfg.heads,
            kv_heads: cfg.kv_heads,
            head_dim: cfg.head_dim,
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
        let q = split(self.q_proj.forward(x)?, self.heads)?;
        let k = split(self.k_proj.forward(x)?, self.kv_heads)?;
        let v = split(self.v_proj.forward(x)?, self.kv_heads)?;
        observer.observe(layer, Site::Query, &q)?;
        observer.observe(layer, Site::Key, &k)?;
        observer.observe(layer, Site::Value, &v)?;

        // Query heads that share a key head become rows of one matrix.
        let group = self.heads / self.kv_heads;
        let q = rotary.apply(&q)?.reshape((self.kv_heads, group * t, self.head_dim))?;
        let k = rotary.apply(&k)?;
        let scores = (q.matmul(&k.t()?)? / (self.head_dim as f64).sqrt())?;
        let scores = scores.reshape((self.heads, t, t))?.broadcast_add(&causal_mask(t, x.device())?)?;
        let weights = ops::softmax_last_dim(&scores)?.reshape((self.kv_heads, group * t, t))?;
        let y = weights
            .matmul(&v)?
            .reshape((self.heads, t, self.head_dim))?
            .transpose(0, 1)?
            .reshape((t, self.heads * self.head_dim))?;
        self.o_proj.forward(&y)
    }
}

/// `[T, T]`: 0 at and below the diagonal, minus infinity above.
fn causal_mask(t: usize, device: &Device) -> Result<Tensor> {
    let mask = (0..t).flat_map(|i| (0..t).map(move |j| if j > i { f32::NEG_INFINITY } else { 0. })).collect();
    Tensor::from_vec(mask, (t, t), device)
}

#[derive(Debug, Clone)]
struct Mlp {
    gate_proj: Linear,
    up_proj: Linear,
    down_proj: Linear,
}

impl Mlp {
    fn load(vb: VarBuilder<'_>, cfg: &Config) -> Result<Self> {
        Ok(Self {
            gate_proj: linear_no_bias(cfg.hidden, cfg.ffn, vb.pp("gate_proj"))?,
            up_proj: linear_no_bias(cfg.hidden, cfg.ffn, vb.pp("up_proj"))?,
            down_proj: linear_no_bias(cfg.ffn, cfg.hidden, vb.pp("down_proj"))?,
        })
    }

    fn forward(&self, layer: usize, x: &Tensor, observer: &mut dyn Observer) -> Result<Tensor> {
        let gate = self.gate_proj.forward(x)?;
        let up = self.up_proj.forward(x)?;
        observer.observe(layer, Site::Gate, &gate)?;
        observer.observe(layer, Site::Up, &up)?;
        self.down_proj.forward(&(Activation::Silu.forward(&gate)? * up)?)
    }
}

/// One layer.
#[derive(Debug, Clone)]
struct DecoderLayer {
    input_layernorm: RmsNorm,
    self_attn: Attention,
    post_attention_layernorm: RmsNorm,
    mlp: Mlp,
}

impl DecoderLayer {
    fn load(vb: VarBuilder<'_>, cfg: &Config) -> Result<Self> {
        Ok(Self {
            input_layernorm: rms_norm(cfg.hidden, cfg.eps, vb.pp("input_layernorm"))?,
            self_attn: Attention::load(vb.pp("self_attn"), cfg)?,
            post_attention_layernorm: rms_norm(cfg.hidden, cfg.eps, vb.pp("post_attention_layernorm"))?,
            mlp: Mlp::load(vb.pp("mlp"), cfg)?,
        })
    }

    fn forward(
        &self,
        layer: usize,
        h: &Tensor,
        rotary: &RotaryEmbedding,
        observer: &mut dyn Observer,
    ) -> Result<Tensor> {
        let y = self.self_attn.forward(layer, &self.input_layernorm.forward(h)?, rotary, observer)?;
        observer.observe(layer, Site::Sublayer, &y)?;
        let h = (h + y)?;
        observer.observe(layer, Site::Residual, &h)?;
        let y = self.mlp.forward(layer, &self.post_attention_layernorm.forward(&h)?, observer)?;
        observer.observe(layer, Site::Sublayer, &y)?;
        let h = (h + y)?;
        observer.observe(layer, Site::Residual, &h)?;
        Ok(h)
    }
}

/// Scores windows of text with one layer's weights in memory at a time, so that a checkpoint larger than memory can be
/// measured: all windows pass a layer before the next one is loaded.
pub struct Llama<'a> {
    vb: VarBuilder<'a>,
    cfg: Config,
}

impl<'a> Llama<'a> {
    /// `vb` must be of type F32 and have the checkpoint's names; nothing is read yet.
    pub fn new(vb: VarBuilder<'a>, cfg: Config) -> Self {
        Self { vb, cfg }
    }

    /// Runs each window from position 0. `each` gets the window's index and its logits, `[T, vocab]`.
    ///
    /// Errors if a window is empty or longer than the context, an id is outside the vocabulary, or a tensor is missing or
    /// of another shape.
    pub fn forward(
        &self,
        windows: &[Vec<u32>],
        observer: &mut dyn Observer,
        mut each: impl FnMut(usize, &Tensor) -> Result<()>,
    ) -> Result<()> {
        let (vb, cfg) = (&self.vb, &self.cfg);
        let longest = windows.iter().map(Vec::len).max().unwrap_or(0);
        if longest > cfg.context || windows.iter().any(Vec::is_empty) {
            candle_core::bail!("windows must hold 1..={} tokens, one holds {longest}", cfg.context);
        }
        let model = vb.pp("model");
        let embed = model.get((cfg.vocab, cfg.hidden), "embed_tokens.weight")?;
        let mut rows = Vec::with_capacity(windows.len());
        for window in windows {
            let h = embed.embedding(&Tensor::new(window.as_slice(), embed.device())?)?;
            observer.observe(0, Site::Residual, &h)?;
            rows.push(h);
        }
        let tied = cfg.tied.then_some(embed);

        let rotary = RotaryEmbedding::new(longest, &cfg.frequencies, vb.device())?;
        for layer in 0..cfg.layers {
            let block = DecoderLayer::load(model.pp("layers").pp(layer), cfg)?;
            for h in &mut rows {
                *h = block.forward(layer, h, &rotary, observer)?;
            }
        }

        let norm = rms_norm(cfg.hidden, cfg.eps, model.pp("norm"))?;
        let head = match tied {
            Some(embed) => embed,
            None => vb.get((cfg.vocab, cfg.hidden), "lm_head.weight")?,
        };
        let head = Linear::new(head, None);
        for (window, h) in rows.iter().enumerate() {
            let logits = head.forward(&norm.forward(h)?)?.to_dtype(DType::F32)?;
            observer.observe(cfg.layers, Site::Logits, &logits)?;
            each(window, &logits)?;
        }
        Ok(())
    }
}

//! BERT encoder, f32, one text at a time. [Devlin et al. 2018](https://arxiv.org/abs/1810.04805).

use super::observe::{Observer, Site};
use candle_core::{Device, IndexOp, Result, Tensor};
use candle_nn::{linear, ops, Activation, LayerNorm, Linear, Module, VarBuilder};

/// Shape of the model, and how its tensors are named.
#[derive(Debug, Clone)]
pub struct Config {
    /// Token ids.
    pub vocab: usize,
    /// Rows of the position matrix.
    pub positions: usize,
    /// Rows of the token-type matrix; every token is of type 0.
    pub token_types: usize,
    /// Hidden size.
    pub hidden: usize,
    /// Layers.
    pub layers: usize,
    /// Heads.
    pub heads: usize,
    /// MLP width.
    pub ffn: usize,
    /// Epsilon of the norms.
    pub eps: f64,
    /// Activation of the MLP.
    pub activation: Activation,
    /// Names of a norm's gain and bias.
    pub norm_names: [&'static str; 2],
    /// Whether the vector is the first position's row, not the mean of all.
    pub first: bool,
}

fn layer_norm(vb: VarBuilder<'_>, cfg: &Config) -> Result<LayerNorm> {
    let [gain, bias] = cfg.norm_names;
    Ok(LayerNorm::new(vb.get(cfg.hidden, gain)?, vb.get(cfg.hidden, bias)?, cfg.eps))
}

#[derive(Debug, Clone)]
struct Embeddings {
    words: Tensor,
    positions: Tensor,
    norm: LayerNorm,
}

impl Embeddings {
    fn load(vb: VarBuilder<'_>, cfg: &Config) -> Result<Self> {
        let table = |rows, name: &str| vb.pp(name).get((rows, cfg.hidden), "weight");
        let positions = table(cfg.positions, "position_embeddings")?;
        let types = table(cfg.token_types, "token_type_embeddings")?;
        Ok(Self {
            words: table(cfg.vocab, "word_embeddings")?,
            positions: positions.broadcast_add(&types.i(0)?)?,
            norm: layer_norm(vb.pp("LayerNorm"), cfg)?,
        })
    }

    fn forward(&self, ids: &[u32], observer: &mut dyn Observer) -> Result<Tensor> {
        let words = self.words.embedding(&Tensor::new(ids, &Device::Cpu)?)?;
        let h = (words + self.positions.narrow(0, 0, ids.len())?)?;
        observer.observe(0, Site::Residual, &h)?;
        let h = self.norm.forward(&h)?;
        observer.observe(0, Site::Residual, &h)?;
        Ok(h)
    }
}

#[derive(Debug, Clone)]
struct SelfAttention {
    query: Linear,
    key: Linear,
    value: Linear,
    output: Linear,
    heads: usize,
}

impl SelfAttention {
    fn load(vb: VarBuilder<'_>, cfg: &Config) -> Result<Self> {
        let d = cfg.hidden;
        let own = vb.pp("self");
        Ok(Self {
            query: linear(d, d, own.pp("query"))?,
            key: linear(d, d, own.pp("key"))?,
            value: linear(d, d, own.pp("value"))?,
            output: linear(d, d, vb.pp("output").pp("dense"))?,
            heads: cfg.heads,
        })
    }

    /// `x`: `[T, d]`
    fn forward(&self, layer: usize, x: &Tensor, observer: &mut dyn Observer) -> Result<Tensor> {
        let (t, d) = x.dims2()?;
        let size = d / self.heads;
        let split = |y: Tensor| y.reshape((t, self.heads, size))?.transpose(0, 1)?.contiguous();
        let q = split(self.query.forward(x)?)?;
        let k = split(self.key.forward(x)?)?;
        let v = split(self.value.forward(x)?)?;
        observer.observe(layer, Site::Query, &q)?;
        observer.observe(layer, Site::Key, &k)?;
        observer.observe(layer, Site::Value, &v)?;
        let scores = (q.matmul(&k.t()?)? / (size as f64).sqrt())?;
        let y = ops::softmax_last_dim(&scores)?.matmul(&v)?;
        self.output.forward(&y.transpose(0, 1)?.reshape((t, d))?)
    }
}

/// One layer.
#[derive(Debug, Clone)]
struct EncoderLayer {
    attention: SelfAttention,
    attention_norm: LayerNorm,
    up: Linear,
    activation: Activation,
    down: Linear,
    output_norm: LayerNorm,
}

impl EncoderLayer {
    fn load(vb: VarBuilder<'_>, cfg: &Config) -> Result<Self> {
        let attention = vb.pp("attention");
        Ok(Self {
            attention_norm: layer_norm(attention.pp("output").pp("LayerNorm"), cfg)?,
            attention: SelfAttention::load(attention, cfg)?,
            up: linear(cfg.hidden, cfg.ffn, vb.pp("intermediate").pp("dense"))?,
            activation: cfg.activation,
            down: linear(cfg.ffn, cfg.hidden, vb.pp("output").pp("dense"))?,
            output_norm: layer_norm(vb.pp("output").pp("LayerNorm"), cfg)?,
        })
    }

    fn forward(&self, layer: usize, h: &Tensor, observer: &mut dyn Observer) -> Result<Tensor> {
        let y = self.attention.forward(layer, h, observer)?;
        let h = self.add(layer, Site::AttentionOutput, h, y, &self.attention_norm, observer)?;
        let up = self.up.forward(&h)?;
        observer.observe(layer, Site::Up, &up)?;
        let y = self.down.forward(&self.activation.forward(&up)?)?;
        self.add(layer, Site::MlpOutput, &h, y, &self.output_norm, observer)
    }

    /// A block's output `y` onto the residual stream, and the norm after it. All three have the stream's format.
    fn add(
        &self,
        layer: usize,
        site: Site,
        h: &Tensor,
        y: Tensor,
        norm: &LayerNorm,
        observer: &mut dyn Observer,
    ) -> Result<Tensor> {
        observer.observe(layer, site, &y)?;
        let h = (h + y)?;
        observer.observe(layer, Site::Residual, &h)?;
        let h = norm.forward(&h)?;
        observer.observe(layer, Site::Residual, &h)?;
        Ok(h)
    }
}

/// Embeds texts with one layer's weights in memory at a time: all texts pass a layer before the next one is loaded.
pub struct Bert<'a> {
    vb: VarBuilder<'a>,
    cfg: Config,
}

impl<'a> Bert<'a> {
    /// `vb` must be of type F32 and stand where the names `embeddings` and `encoder` begin; nothing is read yet.
    pub fn new(vb: VarBuilder<'a>, cfg: Config) -> Self {
        Self { vb, cfg }
    }

    /// The vector `[d]` of each text, of unit length. A text is its token ids, special ones included.
    ///
    /// Errors if a text is empty or longer than the model has positions, an id is outside the vocabulary, or a tensor
    /// is missing or of another shape.
    pub fn forward(&self, texts: &[Vec<u32>], observer: &mut dyn Observer) -> Result<Vec<Vec<f32>>> {
        let (vb, cfg) = (&self.vb, &self.cfg);
        let longest = texts.iter().map(Vec::len).max().unwrap_or(0);
        if longest > cfg.positions || texts.iter().any(Vec::is_empty) {
            candle_core::bail!("texts must hold 1..={} tokens, one holds {longest}", cfg.positions);
        }
        let embeddings = Embeddings::load(vb.pp("embeddings"), cfg)?;
        let mut rows = texts.iter().map(|ids| embeddings.forward(ids, observer)).collect::<Result<Vec<_>>>()?;
        drop(embeddings);
        for layer in 0..cfg.layers {
            let block = EncoderLayer::load(vb.pp("encoder").pp("layer").pp(layer), cfg)?;
            for h in &mut rows {
                *h = block.forward(layer, h, observer)?;
            }
        }
        rows.iter()
            .map(|h| {
                let pooled = if cfg.first { h.i(0)? } else { h.mean(0)? };
                let length = pooled.sqr()?.sum_all()?.sqrt()?;
                pooled.broadcast_div(&length)?.to_vec1::<f32>()
            })
            .collect()
    }
}

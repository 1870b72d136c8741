//! BERT encoder, f32. [Devlin et al. 2018](https://arxiv.org/abs/1810.04805).

use super::observe::{Observer, Site};
use candle_core::{Device, IndexOp, Result, Tensor};
use candle_nn::{linear, ops, Activation, LayerNorm, Linear, Module, VarBuilder};

/// Tokens of several texts that go through the linears together, about: a short text alone would leave them waiting for
/// their weights.
const TOGETHER: usize = 1024;

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
    /// Without its bias, which is added to what attention gives: its weights sum to one.
    value: Linear,
    value_bias: Tensor,
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
            value: Linear::new(own.pp("value").get((d, d), "weight")?, None),
            value_bias: own.pp("value").get(d, "bias")?,
            output: linear(d, d, vb.pp("output").pp("dense"))?,
            heads: cfg.heads,
        })
    }

    /// `x`: `[T, d]` of texts of these `lengths`, one after another; each attends to itself.
    fn forward(&self, layer: usize, x: &Tensor, lengths: &[usize], observer: &mut dyn Observer) -> Result<Tensor> {
        let d = x.dim(1)?;
        let size = d / self.heads;
        let (q, k, v) = (self.query.forward(x)?, self.key.forward(x)?, self.value.forward(x)?);
        let mut start = 0;
        let mut outputs = Vec::with_capacity(lengths.len());
        for &t in lengths {
            let split =
                |y: &Tensor| y.narrow(0, start, t)?.reshape((t, self.heads, size))?.transpose(0, 1)?.contiguous();
            let (q, k, v) = (split(&q)?, split(&k)?, split(&v)?);
            observer.observe(layer, Site::Query, &q)?;
            observer.observe(layer, Site::Key, &k)?;
            observer.observe(layer, Site::Value, &v)?;
            let scores = (q.matmul(&k.t()?)? / (size as f64).sqrt())?;
            let y = ops::softmax_last_dim(&scores)?.matmul(&v)?;
            outputs.push(y.transpose(0, 1)?.reshape((t, d))?.broadcast_add(&self.value_bias)?);
            start += t;
        }
        self.output.forward(&Tensor::cat(&outputs, 0)?)
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

    fn forward(&self, layer: usize, h: &Tensor, lengths: &[usize], observer: &mut dyn Observer) -> Result<Tensor> {
        let y = self.attention.forward(layer, h, lengths, observer)?;
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
        let mut groups = Vec::new();
        for texts in together(texts) {
            let rows = texts.iter().map(|ids| embeddings.forward(ids, observer)).collect::<Result<Vec<_>>>()?;
            let lengths: Vec<usize> = texts.iter().map(Vec::len).collect();
            groups.push((Tensor::cat(&rows, 0)?, lengths));
        }
        drop(embeddings);
        for layer in 0..cfg.layers {
            let block = EncoderLayer::load(vb.pp("encoder").pp("layer").pp(layer), cfg)?;
            for (h, lengths) in &mut groups {
                *h = block.forward(layer, h, lengths, observer)?;
            }
        }
        let mut vectors = Vec::with_capacity(texts.len());
        for (h, lengths) in &groups {
            let mut start = 0;
            for t in lengths {
                let rows = h.narrow(0, start, *t)?;
                let pooled = if cfg.first { rows.i(0)? } else { rows.mean(0)? };
                let length = pooled.sqr()?.sum_all()?.sqrt()?;
                vectors.push(pooled.broadcast_div(&length)?.to_vec1::<f32>()?);
                start += t;
            }
        }
        Ok(vectors)
    }
}

/// The texts in runs of about [`TOGETHER`] tokens, in order.
fn together(texts: &[Vec<u32>]) -> impl Iterator<Item = &[Vec<u32>]> {
    let mut rest = texts;
    std::iter::from_fn(move || {
        let mut tokens = 0;
        let fitting = rest.iter().take_while(|ids| {
            tokens += ids.len();
            tokens <= TOGETHER
        });
        // One text at least, however long.
        let count = fitting.count().max(1).min(rest.len());
        let (run, more) = rest.split_at(count);
        rest = more;
        (!run.is_empty()).then_some(run)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn together_gives_every_text_once_and_long_ones_alone() {
        let texts: Vec<Vec<u32>> = [1000, 24, 1, 5000, 1024, 3].map(|n| vec![0; n]).into();
        let runs: Vec<usize> = together(&texts).map(<[_]>::len).collect();
        assert_eq!(runs, [2, 1, 1, 1, 1]);
        assert_eq!(together(&[]).count(), 0);
    }
}

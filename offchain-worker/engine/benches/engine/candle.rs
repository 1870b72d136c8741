//! candle's own Llamas: f32, and Q8_0 by its quantized matrix product.

use std::{
    collections::HashMap,
    io::{Seek, SeekFrom},
};

use candle_core::{
    quantized::{
        gguf_file::{self, Value},
        GgmlDType, QTensor,
    },
    DType, Device, Tensor,
};
use candle_nn::VarBuilder;
use candle_transformers::models::{llama, quantized_llama};

use super::{
    contender::Contender,
    shape::{Error, Shape},
};

/// Random weights of standard deviation 0.02, `[out, in]`.
fn weights(out: usize, input: usize) -> Result<Tensor, Error> {
    Ok(Tensor::randn(0f32, 0.02, (out, input), &Device::Cpu)?)
}

/// Name, out and in of each linear of a layer.
fn linears(shape: &Shape) -> [(&'static str, &'static str, usize, usize); 7] {
    let (d, kv, f) = (shape.hidden, shape.kv_width(), shape.intermediate);
    [
        ("self_attn.q_proj", "attn_q", d, d),
        ("self_attn.k_proj", "attn_k", kv, d),
        ("self_attn.v_proj", "attn_v", kv, d),
        ("self_attn.o_proj", "attn_output", d, d),
        ("mlp.gate_proj", "ffn_gate", f, d),
        ("mlp.up_proj", "ffn_up", f, d),
        ("mlp.down_proj", "ffn_down", d, f),
    ]
}

/// `candle_transformers::models::llama`.
pub struct F32 {
    shape: Shape,
    config: llama::Config,
    model: llama::Llama,
    cache: llama::Cache,
    position: usize,
}

impl F32 {
    pub fn new(shape: Shape) -> Result<Self, Error> {
        let device = Device::Cpu;
        let config = llama::Config {
            hidden_size: shape.hidden,
            intermediate_size: shape.intermediate,
            vocab_size: shape.vocab,
            num_hidden_layers: shape.layers,
            num_attention_heads: shape.heads,
            num_key_value_heads: shape.kv_heads,
            use_flash_attn: false,
            rms_norm_eps: 1e-5,
            rope_theta: 10_000.0,
            bos_token_id: None,
            eos_token_id: None,
            rope_scaling: None,
            max_position_embeddings: shape.context,
            tie_word_embeddings: shape.tied,
        };
        let norm = Tensor::ones(shape.hidden, DType::F32, &device)?;
        let mut tensors = HashMap::new();
        let mut put = |name: String, tensor: Tensor| tensors.insert(name, tensor);
        // One set of random numbers per matrix of a layer, copied for each layer: the memory is distinct, and
        // drawing 10^9 normals takes longer than the whole measurement.
        for (name, _, out, input) in linears(&shape) {
            let first = weights(out, input)?;
            for layer in 0..shape.layers {
                put(format!("model.layers.{layer}.{name}.weight"), first.copy()?);
            }
        }
        for layer in 0..shape.layers {
            for name in ["input_layernorm", "post_attention_layernorm"] {
                put(format!("model.layers.{layer}.{name}.weight"), norm.clone());
            }
        }
        put("model.norm.weight".into(), norm.clone());
        let embedding = weights(shape.vocab, shape.hidden)?;
        if !shape.tied {
            put("lm_head.weight".into(), embedding.copy()?);
        }
        put("model.embed_tokens.weight".into(), embedding);
        let vb = VarBuilder::from_tensors(tensors, DType::F32, &device);
        let model = llama::Llama::load(vb, &config)?;
        let cache = llama::Cache::new(true, DType::F32, &config, &device)?;
        Ok(Self { shape, config, model, cache, position: 0 })
    }

    fn forward(&mut self, ids: &[u32]) -> Result<(), Error> {
        let ids_row = Tensor::new(ids, &Device::Cpu)?.unsqueeze(0)?;
        self.model.forward(&ids_row, self.position, &mut self.cache)?;
        self.position += ids.len();
        Ok(())
    }
}

impl Contender for F32 {
    fn name(&self) -> &'static str {
        "candle f32"
    }

    fn bytes_per_token(&self) -> usize {
        4 * self.shape.active_weights()
    }

    fn prefill(&mut self, prompt: &[u32]) -> Result<(), Error> {
        self.cache = llama::Cache::new(true, DType::F32, &self.config, &Device::Cpu)?;
        self.position = 0;
        self.forward(prompt)
    }

    fn decode(&mut self) -> Result<(), Error> {
        self.forward(&[1])
    }
}

/// `candle_transformers::models::quantized_llama` in Q8_0.
pub struct Q8 {
    shape: Shape,
    model: quantized_llama::ModelWeights,
    position: usize,
}

impl Q8 {
    pub fn new(shape: Shape) -> Result<Self, Error> {
        let quantized = |out: usize, input: usize| -> Result<QTensor, Error> {
            // A row of no whole number of blocks stays in f16, as in GGUF files in general: the down
            // projection of the demo shape.
            let blocks = input.is_multiple_of(GgmlDType::Q8_0.block_size());
            let dtype = if blocks { GgmlDType::Q8_0 } else { GgmlDType::F16 };
            Ok(QTensor::quantize(&weights(out, input)?, dtype)?)
        };
        let per_layer = linears(&shape)
            .into_iter()
            .map(|(_, name, out, input)| Ok((name, quantized(out, input)?)))
            .collect::<Result<Vec<_>, Error>>()?;
        let embedding = quantized(shape.vocab, shape.hidden)?;
        let norm = QTensor::quantize(&Tensor::ones(shape.hidden, DType::F32, &Device::Cpu)?, GgmlDType::F32)?;
        let mut tensors = vec![("token_embd.weight".to_owned(), &embedding), ("output_norm.weight".to_owned(), &norm)];
        if !shape.tied {
            tensors.push(("output.weight".to_owned(), &embedding));
        }
        for layer in 0..shape.layers {
            tensors.extend(per_layer.iter().map(|(name, w)| (format!("blk.{layer}.{name}.weight"), w)));
            for name in ["attn_norm", "ffn_norm"] {
                tensors.push((format!("blk.{layer}.{name}.weight"), &norm));
            }
        }
        let tensors: Vec<_> = tensors.iter().map(|(name, tensor)| (name.as_str(), *tensor)).collect();
        let u32 = |v: usize| Value::U32(v as u32);
        let metadata = [
            ("general.architecture", Value::String("llama".into())),
            ("llama.attention.head_count", u32(shape.heads)),
            ("llama.attention.head_count_kv", u32(shape.kv_heads)),
            ("llama.block_count", u32(shape.layers)),
            ("llama.embedding_length", u32(shape.hidden)),
            ("llama.rope.dimension_count", u32(shape.head_dim())),
            ("llama.attention.layer_norm_rms_epsilon", Value::F32(1e-5)),
        ];
        let metadata: Vec<_> = metadata.iter().map(|(key, value)| (*key, value)).collect();
        // The only way into candle's model is a file; reading it gives each matrix memory of its own.
        let mut file = tempfile::tempfile()?;
        gguf_file::write(&mut file, &metadata, &tensors)?;
        file.seek(SeekFrom::Start(0))?;
        let content = gguf_file::Content::read(&mut file)?;
        let model = quantized_llama::ModelWeights::from_gguf(content, &mut file, &Device::Cpu)?;
        Ok(Self { shape, model, position: 0 })
    }

    fn forward(&mut self, ids: &[u32]) -> Result<(), Error> {
        let ids_row = Tensor::new(ids, &Device::Cpu)?.unsqueeze(0)?;
        self.model.forward(&ids_row, self.position)?;
        self.position += ids.len();
        Ok(())
    }
}

impl Contender for Q8 {
    fn name(&self) -> &'static str {
        "candle Q8_0"
    }

    fn bytes_per_token(&self) -> usize {
        // A block of 32 weights carries an f16 scale.
        self.shape.active_weights() / 32 * 34
    }

    fn prefill(&mut self, prompt: &[u32]) -> Result<(), Error> {
        self.model.clear_kv_cache();
        self.position = 0;
        self.forward(prompt)
    }

    fn decode(&mut self) -> Result<(), Error> {
        self.forward(&[1])
    }
}

//! candle's own Llamas: f32, and Q8_0 by its quantized matrix product. Both read the GGUF file.

use std::{collections::HashMap, fs::File, io::BufReader, path::Path};

use candle_core::{quantized::gguf_file::Content, DType, Device, IndexOp, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::{llama, quantized_llama};

use super::{
    contender::Contender,
    shape::{Error, Shape},
    weights,
};

/// `candle_transformers::models::llama`.
pub struct F32 {
    model: llama::Llama,
    /// The cache of a sequence that has not begun.
    empty: llama::Cache,
    slots: Vec<Option<(llama::Cache, usize)>>,
}

impl F32 {
    pub fn open(shape: Shape, gguf: &Path, slots: usize) -> Result<Self, Error> {
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
        let mut file = BufReader::new(File::open(gguf)?);
        let content = Content::read(&mut file)?;
        let mut read = |name: &str| -> Result<Tensor, Error> {
            Ok(content.tensor(&mut file, &format!("{name}.weight"), &device)?.dequantize(&device)?)
        };
        let mut tensors = HashMap::new();
        for layer in 0..shape.layers {
            let name = |checkpoint: &str| format!("model.layers.{layer}.{checkpoint}.weight");
            for linear in weights::linears(&shape) {
                let mut w = read(&format!("blk.{layer}.{}", linear.gguf))?;
                if let Some(heads) = linear.rotated {
                    // The order of rows that GGUF changed.
                    let half = linear.out / heads / 2;
                    w = w.reshape((heads, half, 2, linear.input))?.transpose(1, 2)?.contiguous()?;
                    w = w.reshape((linear.out, linear.input))?;
                }
                tensors.insert(name(linear.checkpoint), w);
            }
            tensors.insert(name("input_layernorm"), read(&format!("blk.{layer}.attn_norm"))?);
            tensors.insert(name("post_attention_layernorm"), read(&format!("blk.{layer}.ffn_norm"))?);
        }
        tensors.insert("model.norm.weight".into(), read("output_norm")?);
        tensors.insert("model.embed_tokens.weight".into(), read("token_embd")?);
        if !shape.tied {
            tensors.insert("lm_head.weight".into(), read("output")?);
        }
        let vb = VarBuilder::from_tensors(tensors, DType::F32, &device);
        let model = llama::Llama::load(vb, &config)?;
        let empty = llama::Cache::new(true, DType::F32, &config, &device)?;
        Ok(Self { model, empty, slots: (0..slots).map(|_| None).collect() })
    }
}

impl Contender for F32 {
    fn prefill(&mut self, slot: usize, prompt: &[u32]) -> Result<u32, Error> {
        let mut cache = self.empty.clone();
        let logits = self.model.forward(&row(prompt)?, 0, &mut cache)?;
        self.slots[slot] = Some((cache, prompt.len()));
        favourite(&logits)
    }

    fn decode(&mut self, slots: &[usize]) -> Result<(), Error> {
        let [slot] = slots else { return Err("candle's Llama has one position for all sequences".into()) };
        let (cache, position) = self.slots[*slot].as_mut().ok_or("prefill comes first")?;
        self.model.forward(&row(&[1])?, *position, cache)?;
        *position += 1;
        Ok(())
    }
}

/// `candle_transformers::models::quantized_llama` in Q8_0.
pub struct Q8 {
    /// The model, whose copies share the weights: each holds the cache of one sequence.
    model: quantized_llama::ModelWeights,
    slots: Vec<Option<(quantized_llama::ModelWeights, usize)>>,
}

impl Q8 {
    pub fn open(gguf: &Path, slots: usize) -> Result<Self, Error> {
        let mut file = BufReader::new(File::open(gguf)?);
        let content = Content::read(&mut file)?;
        let model = quantized_llama::ModelWeights::from_gguf(content, &mut file, &Device::Cpu)?;
        Ok(Self { model, slots: (0..slots).map(|_| None).collect() })
    }
}

impl Contender for Q8 {
    fn prefill(&mut self, slot: usize, prompt: &[u32]) -> Result<u32, Error> {
        let (model, position) = self.slots[slot].get_or_insert_with(|| (self.model.clone(), 0));
        model.clear_kv_cache();
        let logits = model.forward(&row(prompt)?, 0)?;
        *position = prompt.len();
        favourite(&logits)
    }

    fn decode(&mut self, slots: &[usize]) -> Result<(), Error> {
        let [slot] = slots else { return Err("candle's Llama has one position for all sequences".into()) };
        let (model, position) = self.slots[*slot].as_mut().ok_or("prefill comes first")?;
        model.forward(&row(&[1])?, *position)?;
        *position += 1;
        Ok(())
    }
}

/// A batch of one sequence.
fn row(ids: &[u32]) -> Result<Tensor, Error> {
    Ok(Tensor::new(ids, &Device::Cpu)?.unsqueeze(0)?)
}

/// The id with the largest of the logits `[1, vocab]`.
fn favourite(logits: &Tensor) -> Result<u32, Error> {
    Ok(logits.i(0)?.argmax(0)?.to_scalar::<u32>()?)
}

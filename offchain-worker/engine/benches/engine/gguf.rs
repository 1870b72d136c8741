//! The weights as a GGUF file in Q8_0, which candle and llama.cpp read.

use std::{borrow::Cow, fs::File, io::BufWriter, path::Path};

use candle_core::{
    quantized::{
        gguf_file::{self, Value},
        GgmlDType, QStorage, QTensor,
    },
    DType, Device, Tensor,
};
use half::f16;

use super::{
    shape::{Error, Shape},
    weights::{self, Linear, SCALE_BITS},
};

/// Writes the file, and waits until it is on the disk: what is written later would disturb the measurement.
pub fn write(shape: &Shape, path: &Path) -> Result<(), Error> {
    let norm = Tensor::ones(shape.hidden, DType::F32, &Device::Cpu)?;
    let norm = || QTensor::quantize(&norm, GgmlDType::F32);
    let mut tensors = vec![
        ("token_embd.weight".to_owned(), tensor(&weights::embedding(shape), shape.vocab, shape.hidden)?),
        ("output_norm.weight".to_owned(), norm()?),
    ];
    if !shape.tied {
        tensors.push(("output.weight".to_owned(), tensor(&weights::head(shape), shape.vocab, shape.hidden)?));
    }
    for layer in 0..shape.layers {
        for linear in weights::linears(shape) {
            let rows = in_gguf_order(linear.matrix(layer), &linear);
            tensors.push((format!("blk.{layer}.{}.weight", linear.gguf), tensor(&rows, linear.out, linear.input)?));
        }
        for name in ["attn_norm", "ffn_norm"] {
            tensors.push((format!("blk.{layer}.{name}.weight"), norm()?));
        }
    }
    let u32 = |v: usize| Value::U32(v as u32);
    let metadata = [
        ("general.architecture", Value::String("llama".into())),
        ("llama.vocab_size", u32(shape.vocab)),
        ("llama.context_length", u32(shape.context)),
        ("llama.embedding_length", u32(shape.hidden)),
        ("llama.feed_forward_length", u32(shape.intermediate)),
        ("llama.block_count", u32(shape.layers)),
        ("llama.attention.head_count", u32(shape.heads)),
        ("llama.attention.head_count_kv", u32(shape.kv_heads)),
        ("llama.attention.layer_norm_rms_epsilon", Value::F32(1e-5)),
        ("llama.rope.dimension_count", u32(shape.head_dim())),
        ("llama.rope.freq_base", Value::F32(10_000.0)),
        ("tokenizer.ggml.model", Value::String("no_vocab".into())),
    ];
    let metadata: Vec<_> = metadata.iter().map(|(key, value)| (*key, value)).collect();
    let tensors: Vec<_> = tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
    let mut file = BufWriter::new(File::create(path)?);
    gguf_file::write(&mut file, &metadata, &tensors)?;
    file.into_inner()?.sync_all()?;
    Ok(())
}

/// Q8_0: blocks of 32 integers with an f16 scale. A row of no whole number of blocks is in f16, as in GGUF files in
/// general: the down projection of the demo shape.
fn tensor(w: &[i8], out: usize, input: usize) -> Result<QTensor, Error> {
    let scale = 2f32.powi(-(SCALE_BITS as i32));
    let block = GgmlDType::Q8_0.block_size();
    let (dtype, bytes): (_, Vec<u8>) = if input.is_multiple_of(block) {
        let scale = f16::from_f32(scale).to_le_bytes();
        let bytes = w.chunks_exact(block).flat_map(|block| scale.into_iter().chain(block.iter().map(|w| *w as u8)));
        (GgmlDType::Q8_0, bytes.collect())
    } else {
        let bytes = w.iter().flat_map(|w| f16::from_f32(f32::from(*w) * scale).to_le_bytes());
        (GgmlDType::F16, bytes.collect())
    };
    Ok(QTensor::new(QStorage::from_data(Cow::Owned(bytes), &Device::Cpu, dtype)?, (out, input))?)
}

/// In a GGUF file of a Llama the two outputs that are rotated together lie side by side; elsewhere half a head apart.
fn in_gguf_order(w: Vec<i8>, linear: &Linear) -> Vec<i8> {
    let Some(heads) = linear.rotated else { return w };
    let half = linear.out / heads / 2;
    let row = |row: usize| &w[row * linear.input..(row + 1) * linear.input];
    let mut rows = Vec::with_capacity(w.len());
    for head in 0..heads {
        for i in 0..half {
            rows.extend_from_slice(row((2 * head) * half + i));
            rows.extend_from_slice(row((2 * head + 1) * half + i));
        }
    }
    rows
}

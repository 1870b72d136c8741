//! A tiny Llama checkpoint in a temporary folder, to be damaged in one place per test.

use assay_engine::convert::{self, ConvertError, Source};
use assay_exact::hash::Digest;
use safetensors::{tensor::TensorView, Dtype};
use serde_json::{json, Value};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

pub const VOCAB: usize = 32;
pub const HIDDEN: usize = 16;
pub const FFN: usize = 24;
pub const LAYERS: usize = 2;
pub const HEADS: usize = 4;
pub const KV_HEADS: usize = 2;
pub const HEAD_DIM: usize = 4;
pub const CONTEXT: usize = 64;

/// A tensor to be stored.
#[derive(Clone)]
pub struct Tensor {
    pub shape: Vec<usize>,
    pub values: Vec<f32>,
    pub dtype: Dtype,
}

/// A checkpoint in memory.
pub struct Fixture {
    folder: TempDir,
    pub config: Value,
    pub tensors: BTreeMap<String, Tensor>,
    pub tokenizer: Value,
}

impl Fixture {
    pub fn new() -> Self {
        let config = json!({
            "architectures": ["LlamaForCausalLM"],
            "vocab_size": VOCAB,
            "hidden_size": HIDDEN,
            "intermediate_size": FFN,
            "num_hidden_layers": LAYERS,
            "num_attention_heads": HEADS,
            "num_key_value_heads": KV_HEADS,
            "head_dim": HEAD_DIM,
            "max_position_embeddings": CONTEXT,
            "rms_norm_eps": 1e-5,
            "rope_theta": 10000.0,
            "hidden_act": "silu",
            "tie_word_embeddings": true,
            "eos_token_id": 1,
        });
        let mut shapes = vec![
            ("model.embed_tokens.weight".to_string(), vec![VOCAB, HIDDEN]),
            ("model.norm.weight".to_string(), vec![HIDDEN]),
        ];
        for layer in 0..LAYERS {
            for (part, shape) in [
                ("input_layernorm", vec![HIDDEN]),
                ("self_attn.q_proj", vec![HEADS * HEAD_DIM, HIDDEN]),
                ("self_attn.k_proj", vec![KV_HEADS * HEAD_DIM, HIDDEN]),
                ("self_attn.v_proj", vec![KV_HEADS * HEAD_DIM, HIDDEN]),
                ("self_attn.o_proj", vec![HIDDEN, HEADS * HEAD_DIM]),
                ("post_attention_layernorm", vec![HIDDEN]),
                ("mlp.gate_proj", vec![FFN, HIDDEN]),
                ("mlp.up_proj", vec![FFN, HIDDEN]),
                ("mlp.down_proj", vec![HIDDEN, FFN]),
            ] {
                shapes.push((format!("model.layers.{layer}.{part}.weight"), shape));
            }
        }
        let mut random = Random(1);
        let tensors = shapes.into_iter().map(|(name, shape)| (name, random.tensor(shape))).collect();
        let vocab: BTreeMap<String, usize> = ["<unk>".to_string(), "<eos>".to_string()]
            .into_iter()
            .chain(('a'..='z').map(String::from))
            .enumerate()
            .map(|(id, word)| (word, id))
            .collect();
        let tokenizer = json!({
            "version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
            "normalizer": null, "pre_tokenizer": {"type": "Whitespace"}, "post_processor": null, "decoder": null,
            "model": {"type": "WordLevel", "vocab": vocab, "unk_token": "<unk>"},
        });
        Self { folder: TempDir::new().unwrap(), config, tensors, tokenizer }
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where conversions go.
    pub fn out(&self) -> PathBuf {
        self.folder().join("out")
    }

    /// Stores every tensor as `dtype`, its values first rounded to it.
    pub fn store_as(&mut self, dtype: Dtype) {
        self.tensors.values_mut().for_each(|tensor| tensor.dtype = dtype);
    }

    /// Rounds every value to eight significant bits, which all three types hold.
    pub fn round_to_bf16(&mut self) {
        for value in self.tensors.values_mut().flat_map(|tensor| &mut tensor.values) {
            *value = half::bf16::from_f32(*value).to_f32();
        }
    }

    /// Unties the head, with other weights than the embedding's.
    pub fn untie(&mut self) {
        self.config["tie_word_embeddings"] = json!(false);
        let head = Random(2).tensor(vec![VOCAB, HIDDEN]);
        self.tensors.insert("lm_head.weight".into(), head);
    }

    pub fn tensor(&mut self, name: &str) -> &mut Tensor {
        self.tensors.get_mut(name).unwrap()
    }

    /// Writes the folder: configuration, tokenizer, one file of tensors.
    pub fn write(&self) {
        self.write_json();
        write_tensors(&self.folder().join("model.safetensors"), &self.tensors);
    }

    /// Writes the folder with its tensors over two shards and an index.
    pub fn write_sharded(&self) {
        self.write_json();
        let names = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
        let mut shards = [BTreeMap::new(), BTreeMap::new()];
        let mut map = BTreeMap::new();
        for (index, (name, tensor)) in self.tensors.iter().enumerate() {
            shards[index % 2].insert(name.clone(), tensor.clone());
            map.insert(name.clone(), names[index % 2]);
        }
        for (name, shard) in names.iter().zip(&shards) {
            write_tensors(&self.folder().join(name), shard);
        }
        self.write_file("model.safetensors.index.json", json!({ "weight_map": map }).to_string());
    }

    fn write_json(&self) {
        self.write_file("config.json", self.config.to_string());
        self.write_file("tokenizer.json", self.tokenizer.to_string());
    }

    pub fn write_file(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.folder().join(name), content).unwrap();
    }

    /// Opens and converts what was written.
    pub fn convert(&self) -> Result<Digest, ConvertError> {
        let source = Source::open(self.folder())?;
        let conversion = convert::convert(&source, &self.out(), &text(600), &mut |_| {})?;
        Ok(conversion.model_root)
    }

    /// The error of a conversion, after checking that it left nothing behind.
    pub fn error(&self) -> String {
        let error = self.convert().expect_err("the checkpoint is damaged").to_string();
        let left: Vec<_> = std::fs::read_dir(self.folder())
            .unwrap()
            .map(|item| item.unwrap().file_name().to_string_lossy().into_owned())
            .filter(|name| name.contains("out"))
            .collect();
        assert!(left.is_empty(), "left behind: {left:?}");
        error
    }
}

/// `words` letters.
pub fn text(words: usize) -> String {
    let mut random = Random(3);
    let letter = |_| format!("{} ", char::from(b'a' + (random.next() % 26) as u8));
    (0..words).map(letter).collect()
}

pub fn write_tensors(path: &Path, tensors: &BTreeMap<String, Tensor>) {
    let bytes: Vec<(&String, &Tensor, Vec<u8>)> =
        tensors.iter().map(|(name, tensor)| (name, tensor, tensor.bytes())).collect();
    let views = bytes.iter().map(|(name, tensor, bytes)| {
        (name.as_str(), TensorView::new(tensor.dtype, tensor.shape.clone(), bytes).unwrap())
    });
    safetensors::serialize_to_file(views, None, path).unwrap();
}

impl Tensor {
    fn bytes(&self) -> Vec<u8> {
        let values = self.values.iter();
        match self.dtype {
            Dtype::F16 => values.flat_map(|x| half::f16::from_f32(*x).to_le_bytes()).collect(),
            Dtype::BF16 => values.flat_map(|x| half::bf16::from_f32(*x).to_le_bytes()).collect(),
            Dtype::F32 => values.flat_map(|x| x.to_le_bytes()).collect(),
            Dtype::F64 => values.flat_map(|x| f64::from(*x).to_le_bytes()).collect(),
            other => panic!("the fixture does not write {other:?}"),
        }
    }
}

/// A linear congruential generator: the fixture must be the same everywhere.
pub struct Random(pub u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    /// Uniform values in [-0.5, 0.5); vectors are norms, around 1.
    pub fn tensor(&mut self, shape: Vec<usize>) -> Tensor {
        let centre = if shape.len() == 1 { 1. } else { 0. };
        let values =
            (0..shape.iter().product()).map(|_| centre + (self.next() % 65536) as f32 / 65536. - 0.5).collect();
        Tensor { shape, values, dtype: Dtype::F32 }
    }
}

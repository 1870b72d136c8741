//! Tiny checkpoints of every family in a temporary folder, to be damaged in one place per test.

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
pub const WINDOW: usize = 8;
pub const EXPERTS: usize = 4;

/// Every architecture that the converter knows.
pub const ARCHITECTURES: [&str; 8] = [
    "LlamaForCausalLM",
    "MistralForCausalLM",
    "MixtralForCausalLM",
    "Qwen2ForCausalLM",
    "Qwen3ForCausalLM",
    "Qwen3MoeForCausalLM",
    "Gemma2ForCausalLM",
    "Gemma3ForCausalLM",
];

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
    /// A Llama.
    pub fn new() -> Self {
        Self::of("LlamaForCausalLM")
    }

    /// A model of this architecture, as its authors publish them: fields and tensor names are written down here again, not
    /// taken from the converter.
    pub fn of(architecture: &str) -> Self {
        let mut config = json!({
            "architectures": [architecture],
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
        let published = match architecture {
            "MistralForCausalLM" => json!({"sliding_window": WINDOW, "tie_word_embeddings": false}),
            "MixtralForCausalLM" => json!({
                "sliding_window": null, "tie_word_embeddings": false, "rope_theta": 1e6,
                "num_local_experts": EXPERTS, "num_experts_per_tok": 2, "router_aux_loss_coef": 0.02,
            }),
            "Qwen2ForCausalLM" => json!({
                "sliding_window": WINDOW, "use_sliding_window": false, "max_window_layers": LAYERS, "rope_theta": 1e6,
            }),
            "Qwen3ForCausalLM" => json!({
                "sliding_window": null, "use_sliding_window": false, "max_window_layers": LAYERS, "rope_theta": 1e6,
                "attention_bias": false,
            }),
            "Qwen3MoeForCausalLM" => json!({
                "sliding_window": null, "use_sliding_window": false, "max_window_layers": LAYERS, "rope_theta": 1e6,
                "attention_bias": false, "tie_word_embeddings": false, "intermediate_size": 3 * FFN,
                "moe_intermediate_size": FFN, "num_experts": EXPERTS, "num_experts_per_tok": 2, "norm_topk_prob": true,
                "decoder_sparse_step": 1, "mlp_only_layers": [],
            }),
            "Gemma2ForCausalLM" => json!({
                "hidden_act": "gelu_pytorch_tanh", "hidden_activation": "gelu_pytorch_tanh", "attention_bias": false,
                "attn_logit_softcapping": 5.0, "final_logit_softcapping": 10.0, "query_pre_attn_scalar": HEAD_DIM,
                "sliding_window": WINDOW,
            }),
            "Gemma3ForCausalLM" => json!({
                "hidden_activation": "gelu_pytorch_tanh", "attention_bias": false, "attn_logit_softcapping": null,
                "final_logit_softcapping": null, "query_pre_attn_scalar": HEAD_DIM, "sliding_window": WINDOW,
                "sliding_window_pattern": 2, "num_key_value_heads": 1, "rope_theta": 1e6, "rope_local_base_freq": 10000.0,
            }),
            _ => json!({}),
        };
        let fields = config.as_object_mut().unwrap();
        fields.extend(published.as_object().unwrap().clone());
        if architecture.starts_with("Gemma") {
            // Published Gemmas leave both to the default.
            fields.remove("tie_word_embeddings");
        }
        if architecture == "Gemma3ForCausalLM" {
            fields.remove("hidden_act");
        }
        let mut random = Random(1);
        // Gemma stores gains less 1.
        let gain = if architecture.starts_with("Gemma") { 0. } else { 1. };
        let tensors = shapes(architecture)
            .into_iter()
            .map(|(name, shape)| {
                let centre = if name.contains("norm") { gain } else { 0. };
                (name, random.tensor(shape, centre))
            })
            .collect();
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

    /// Rounds every matrix to what 8 bits and a scale per row hold, so that a package has its very weights: what differs
    /// then is the arithmetic.
    pub fn round_to_int8(&mut self) {
        for tensor in self.tensors.values_mut().filter(|tensor| tensor.shape.len() == 2) {
            for row in tensor.values.chunks_exact_mut(tensor.shape[1]) {
                let step = row.iter().fold(0f32, |max, value| max.max(value.abs())) / 127.;
                row.iter_mut().for_each(|value| *value = (*value / step).round() * step);
            }
        }
    }

    /// Unties the head, with other weights than the embedding's.
    pub fn untie(&mut self) {
        self.config["tie_word_embeddings"] = json!(false);
        self.add("lm_head.weight", vec![VOCAB, HIDDEN]);
    }

    /// Adds a tensor of random values around 0.
    pub fn add(&mut self, name: &str, shape: Vec<usize>) {
        self.tensors.insert(name.into(), Random(2).tensor(shape, 0.));
    }

    /// Adds a bias of `size` values to a module of every layer.
    pub fn add_bias(&mut self, module: &str, size: usize) {
        for layer in 0..LAYERS {
            self.add(&format!("model.layers.{layer}.{module}.bias"), vec![size]);
        }
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

/// Names and shapes of an architecture's tensors.
fn shapes(architecture: &str) -> Vec<(String, Vec<usize>)> {
    let gemma = architecture.starts_with("Gemma");
    // As the smallest published one has; candle's model takes no other number.
    let kv_heads = if architecture == "Gemma3ForCausalLM" { 1 } else { KV_HEADS };
    let mut shapes = vec![
        ("model.embed_tokens.weight".to_string(), vec![VOCAB, HIDDEN]),
        ("model.norm.weight".to_string(), vec![HIDDEN]),
    ];
    if matches!(architecture, "MistralForCausalLM" | "MixtralForCausalLM" | "Qwen3MoeForCausalLM") {
        shapes.push(("lm_head.weight".to_string(), vec![VOCAB, HIDDEN]));
    }
    let mut parts = vec![
        ("input_layernorm.weight".to_string(), vec![HIDDEN]),
        ("self_attn.q_proj.weight".to_string(), vec![HEADS * HEAD_DIM, HIDDEN]),
        ("self_attn.k_proj.weight".to_string(), vec![kv_heads * HEAD_DIM, HIDDEN]),
        ("self_attn.v_proj.weight".to_string(), vec![kv_heads * HEAD_DIM, HIDDEN]),
        ("self_attn.o_proj.weight".to_string(), vec![HIDDEN, HEADS * HEAD_DIM]),
        ("post_attention_layernorm.weight".to_string(), vec![HIDDEN]),
    ];
    let mut add = |name: String, shape: Vec<usize>| parts.push((name, shape));
    if gemma {
        add("pre_feedforward_layernorm.weight".into(), vec![HIDDEN]);
        add("post_feedforward_layernorm.weight".into(), vec![HIDDEN]);
    }
    if architecture == "Qwen2ForCausalLM" {
        for (name, heads) in [("q", HEADS), ("k", KV_HEADS), ("v", KV_HEADS)] {
            add(format!("self_attn.{name}_proj.bias"), vec![heads * HEAD_DIM]);
        }
    }
    if architecture.starts_with("Qwen3") || architecture == "Gemma3ForCausalLM" {
        add("self_attn.q_norm.weight".into(), vec![HEAD_DIM]);
        add("self_attn.k_norm.weight".into(), vec![HEAD_DIM]);
    }
    let mlp = |prefix: String, [gate, up, down]: [&str; 3]| {
        [(gate, vec![FFN, HIDDEN]), (up, vec![FFN, HIDDEN]), (down, vec![HIDDEN, FFN])]
            .map(|(part, shape)| (format!("{prefix}.{part}.weight"), shape))
    };
    let (experts, names) = match architecture {
        "MixtralForCausalLM" => ("block_sparse_moe", ["w1", "w3", "w2"]),
        _ => ("mlp", ["gate_proj", "up_proj", "down_proj"]),
    };
    if architecture.contains("Mixtral") || architecture.contains("Moe") {
        add(format!("{experts}.gate.weight"), vec![EXPERTS, HIDDEN]);
        for expert in 0..EXPERTS {
            mlp(format!("{experts}.experts.{expert}"), names).into_iter().for_each(|(name, shape)| add(name, shape));
        }
    } else {
        mlp("mlp".into(), names).into_iter().for_each(|(name, shape)| add(name, shape));
    }
    for layer in 0..LAYERS {
        shapes.extend(parts.iter().map(|(part, shape)| (format!("model.layers.{layer}.{part}"), shape.clone())));
    }
    shapes
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
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    /// Uniform values in [-0.5, 0.5) around `centre`.
    pub fn tensor(&mut self, shape: Vec<usize>, centre: f32) -> Tensor {
        let values =
            (0..shape.iter().product()).map(|_| centre + (self.next() % 65536) as f32 / 65536. - 0.5).collect();
        Tensor { shape, values, dtype: Dtype::F32 }
    }
}

//! Encoders: what the converter makes of BERT checkpoints, and what it says about bad ones.

use super::fixture::{text, write_tensors, Random, Tensor};
use assay_engine::{
    convert::{
        self,
        encoder::{compare, EncoderSource},
        Arguments, ConvertError,
    },
    float::NoObserver,
    package::Package,
    tokenizer::Tokenizer,
};
use assay_exact::{
    hash::Digest,
    header::{Flags, Kind, Placement, Pool},
    layout::Entry,
    mlp::Activation,
};
use serde_json::{json, Value};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};
use tempfile::TempDir;

const VOCAB: usize = 32;
const HIDDEN: usize = 16;
const FFN: usize = 24;
const LAYERS: usize = 2;
const POSITIONS: usize = 48;

/// A tiny BERT checkpoint in a temporary folder, as sentence-transformers stores it.
struct Bert {
    folder: TempDir,
    config: Value,
    modules: Value,
    pooling: Value,
    tensors: BTreeMap<String, Tensor>,
}

impl Bert {
    fn new() -> Self {
        let mut shapes = vec![
            ("embeddings.word_embeddings.weight".to_string(), vec![VOCAB, HIDDEN]),
            ("embeddings.position_embeddings.weight".to_string(), vec![POSITIONS, HIDDEN]),
            ("embeddings.token_type_embeddings.weight".to_string(), vec![2, HIDDEN]),
            ("embeddings.LayerNorm.weight".to_string(), vec![HIDDEN]),
            ("embeddings.LayerNorm.bias".to_string(), vec![HIDDEN]),
            ("pooler.dense.weight".to_string(), vec![HIDDEN, HIDDEN]),
        ];
        for layer in 0..LAYERS {
            for (part, shape) in [
                ("attention.self.query", vec![HIDDEN, HIDDEN]),
                ("attention.self.key", vec![HIDDEN, HIDDEN]),
                ("attention.self.value", vec![HIDDEN, HIDDEN]),
                ("attention.output.dense", vec![HIDDEN, HIDDEN]),
                ("attention.output.LayerNorm", vec![HIDDEN]),
                ("intermediate.dense", vec![FFN, HIDDEN]),
                ("output.dense", vec![HIDDEN, FFN]),
                ("output.LayerNorm", vec![HIDDEN]),
            ] {
                shapes.push((format!("encoder.layer.{layer}.{part}.bias"), vec![shape[0]]));
                shapes.push((format!("encoder.layer.{layer}.{part}.weight"), shape));
            }
        }
        let mut random = Random::new(1);
        let tensors: BTreeMap<_, _> = shapes
            .into_iter()
            .map(|(name, shape)| {
                // Gains lie around 1, biases and weights around 0.
                let centre = if shape.len() == 1 && !name.ends_with("bias") { 1. } else { 0. };
                let tensor = random.tensor(shape, centre);
                (name, tensor)
            })
            .collect();
        Self {
            folder: TempDir::new().unwrap(),
            config: json!({
                "architectures": ["BertModel"],
                "vocab_size": VOCAB,
                "hidden_size": HIDDEN,
                "intermediate_size": FFN,
                "num_hidden_layers": LAYERS,
                "num_attention_heads": 4,
                "max_position_embeddings": POSITIONS,
                "type_vocab_size": 2,
                "layer_norm_eps": 1e-12,
                "hidden_act": "gelu",
                "position_embedding_type": "absolute",
            }),
            modules: json!([
                {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
                {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
                {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"},
            ]),
            pooling: json!({
                "word_embedding_dimension": HIDDEN,
                "pooling_mode_cls_token": false,
                "pooling_mode_mean_tokens": true,
                "pooling_mode_max_tokens": false,
            }),
            tensors,
        }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn out(&self) -> PathBuf {
        self.path().join("out")
    }

    fn tensor(&mut self, name: &str) -> &mut Tensor {
        self.tensors.get_mut(name).unwrap()
    }

    fn write_file(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    fn write(&self) -> &Self {
        let words = ["<unk>", "<cls>", "<sep>"].map(String::from).into_iter().chain(('a'..='z').map(String::from));
        let vocab: BTreeMap<String, usize> = words.enumerate().map(|(id, word)| (word, id)).collect();
        let special = |id: &str| json!({"SpecialToken": {"id": id, "type_id": 0}});
        let sequence = |id: &str| json!({"Sequence": {"id": id, "type_id": 0}});
        let entry = |id: &str, n: u32| json!({"id": id, "ids": [n], "tokens": [id]});
        let tokenizer = json!({
            "version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
            "normalizer": null, "pre_tokenizer": {"type": "Whitespace"}, "decoder": null,
            "post_processor": {
                "type": "TemplateProcessing",
                "single": [special("<cls>"), sequence("A"), special("<sep>")],
                "pair": [special("<cls>"), sequence("A"), special("<sep>"), sequence("B"), special("<sep>")],
                "special_tokens": {"<cls>": entry("<cls>", 1), "<sep>": entry("<sep>", 2)},
            },
            "model": {"type": "WordLevel", "vocab": vocab, "unk_token": "<unk>"},
        });
        self.write_file("config.json", self.config.to_string());
        self.write_file("modules.json", self.modules.to_string());
        self.write_file("1_Pooling/config.json", self.pooling.to_string());
        self.write_file("tokenizer.json", tokenizer.to_string());
        write_tensors(&self.path().join("model.safetensors"), &self.tensors);
        self
    }

    /// Opens and converts what was written.
    fn convert(&self) -> Result<Digest, ConvertError> {
        let source = EncoderSource::open(self.path(), None)?;
        Ok(convert::encoder::convert(&source, &self.out(), &calibration(), &mut |_| {})?.model_root)
    }

    fn package(&self) -> Arc<Package> {
        self.write().convert().unwrap();
        Arc::new(Package::open(&self.out()).unwrap())
    }

    /// The error of a conversion, which left nothing behind.
    fn error(&self) -> String {
        let error = self.write().convert().expect_err("the checkpoint is damaged").to_string();
        assert!(!self.out().exists());
        error
    }
}

/// Paragraphs of 1 to 60 letters.
fn calibration() -> String {
    (1..60).map(|words| text(words) + "\n\n").collect()
}

/// The error after `field` of `config.json` was set to `value`.
fn with_config(field: &str, value: Value) -> String {
    let mut bert = Bert::new();
    bert.config[field] = value;
    bert.error()
}

#[track_caller]
fn assert_says(error: &str, words: &[&str]) {
    for word in words {
        assert!(error.contains(word), "{word:?} is not in: {error}");
    }
}

#[test]
fn convert_bert_gives_an_encoder_near_the_float_model() {
    let bert = Bert::new();
    let package = bert.package();
    package.verify(None).unwrap();
    let header = package.header();
    assert_eq!((header.kind, header.placement, header.pool), (Kind::Encoder, Placement::Post, Pool::Mean));
    assert_eq!((header.context, header.rope_tables, header.activation), (48, 0, Activation::Gelu));
    assert!(header.flags.has(Flags::POSITIONS.with(Flags::EMBEDDING_NORM).with(Flags::SECOND_PLANE)));

    let source = EncoderSource::open(bert.path(), None).unwrap();
    let texts: Vec<_> = (1..40).map(|words| source.encode(&text(words)).unwrap()).collect();
    for cosine in compare(&source, &package, &texts, &mut NoObserver).unwrap() {
        assert!(cosine > 0.99999, "{cosine}");
    }
}

#[test]
fn convert_with_first_pooling_and_another_activation_is_near_the_float_model() {
    let mut bert = Bert::new();
    bert.pooling["pooling_mode_mean_tokens"] = json!(false);
    bert.pooling["pooling_mode_cls_token"] = json!(true);
    bert.config["hidden_act"] = json!("gelu_new");
    let package = bert.package();
    assert_eq!((package.header().pool, package.header().activation), (Pool::First, Activation::GeluTanh));
    let source = EncoderSource::open(bert.path(), None).unwrap();
    let texts: Vec<_> = (1..40).map(|words| source.encode(&text(words)).unwrap()).collect();
    for cosine in compare(&source, &package, &texts, &mut NoObserver).unwrap() {
        assert!(cosine > 0.99999, "{cosine}");
    }
}

#[test]
fn convert_large_biases_of_values_cost_no_precision() {
    let mut bert = Bert::new();
    // One channel that attention's output does not read: in the values' format it would leave nothing of the others.
    bert.tensor("encoder.layer.1.attention.self.value.bias").values[0] = 3000.;
    let output = &mut bert.tensor("encoder.layer.1.attention.output.dense.weight").values;
    output.iter_mut().step_by(HIDDEN).for_each(|w| *w = 0.);
    let package = bert.package();
    let source = EncoderSource::open(bert.path(), None).unwrap();
    let texts: Vec<_> = (1..40).map(|words| source.encode(&text(words)).unwrap()).collect();
    for cosine in compare(&source, &package, &texts, &mut NoObserver).unwrap() {
        assert!(cosine > 0.99999, "{cosine}");
    }
}

#[test]
fn convert_prefixed_and_old_names_give_the_same_root() {
    let expected = Bert::new().write().convert().unwrap();
    let mut bert = Bert::new();
    bert.config["architectures"] = json!(["BertForMaskedLM"]);
    let rename = |name: String| {
        let name = name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta");
        format!("bert.{name}")
    };
    bert.tensors = std::mem::take(&mut bert.tensors).into_iter().map(|(name, tensor)| (rename(name), tensor)).collect();
    bert.tensors.insert("cls.predictions.bias".into(), Random::new(9).tensor(vec![VOCAB], 1.));
    assert_eq!(bert.write().convert().unwrap(), expected);
}

#[test]
fn convert_folds_the_first_token_type_only() {
    let expected = Bert::new().write().convert().unwrap();
    for (row, same) in [(0, false), (1, true)] {
        let mut bert = Bert::new();
        bert.tensor("embeddings.token_type_embeddings.weight").values[row * HIDDEN] += 0.25;
        let package = bert.package();
        assert_eq!(package.model_root() == expected, same, "row {row}");
    }
    // Moved from the type to every position, it is the same sum.
    let mut bert = Bert::new();
    let first = bert.tensors["embeddings.token_type_embeddings.weight"].values[..HIDDEN].to_vec();
    bert.tensor("embeddings.token_type_embeddings.weight").values[..HIDDEN].fill(0.);
    for row in bert.tensor("embeddings.position_embeddings.weight").values.chunks_mut(HIDDEN) {
        row.iter_mut().zip(&first).for_each(|(p, t)| *p += t);
    }
    assert_eq!(bert.write().convert().unwrap(), expected);
}

#[test]
fn convert_keeps_the_length_that_the_model_is_meant_for() {
    let bert = Bert::new();
    bert.write_file("sentence_bert_config.json", r#"{"max_seq_length": 20, "do_lower_case": false}"#);
    let package = bert.package();
    assert_eq!(package.header().context, 20);
    assert_eq!(package.entries().find(|(entry, _)| *entry == Entry::Positions).unwrap().1.len(), 20 * (2 * HIDDEN + 4));

    // Cut to the context, a text keeps the special ids around it.
    let tokenizer = Tokenizer::load(&package).unwrap();
    let long = text(50);
    let whole = tokenizer.encode(&long).unwrap();
    assert_eq!(whole.len(), 52);
    let cut = tokenizer.truncating(20).unwrap().encode(&long).unwrap();
    assert_eq!((cut.len(), cut[0], cut[19]), (20, 1, 2));
    assert_eq!(cut[..19], whole[..19]);
    assert_eq!(EncoderSource::open(bert.path(), None).unwrap().encode(&long).unwrap(), cut);
}

#[test]
fn run_takes_an_encoder_and_writes_its_report() {
    let bert = Bert::new();
    bert.write();
    bert.write_file("calibration.txt", calibration());
    let arguments = Arguments {
        tokenizer: None,
        source: bert.path().into(),
        out: bert.out(),
        calibration: Some(bert.path().join("calibration.txt")),
        archive: Some(bert.path().join("archive")),
        report: true,
    };
    convert::run(&arguments).unwrap();
    let report: Value = serde_json::from_slice(&std::fs::read(bert.path().join("out.quality.json")).unwrap()).unwrap();
    assert!(report["cosine_min"].as_f64().unwrap() > 0.99, "{report}");
    assert_eq!(report["architecture"], "BertModel");
    let text = std::fs::read_to_string(bert.path().join("out.quality.txt")).unwrap();
    assert_says(&text, &["cosine", "saturated"]);
    let root = Package::open(&bert.path().join("archive")).unwrap().model_root();
    assert_eq!(root, Package::open(&bert.out()).unwrap().model_root());
}

#[test]
fn pooling_that_is_missing_or_unknown_is_refused() {
    let bert = Bert::new();
    bert.write();
    std::fs::remove_dir_all(bert.path().join("1_Pooling")).unwrap();
    assert_says(&bert.convert().unwrap_err().to_string(), &["1_Pooling/config.json", "No such file"]);
    for (mean, max) in [(false, true), (true, true), (false, false)] {
        let mut bert = Bert::new();
        bert.pooling["pooling_mode_mean_tokens"] = json!(mean);
        bert.pooling["pooling_mode_max_tokens"] = json!(max);
        assert_says(&bert.error(), &["1_Pooling/config.json", "`pooling_mode_*`", "pooling_mode_cls_token"]);
    }
    let mut bert = Bert::new();
    bert.pooling["pooling_mode_mean_tokens"] = json!("yes");
    assert_says(&bert.error(), &["`pooling_mode_mean_tokens`", "must be true or false"]);
}

#[test]
fn modules_that_are_unknown_or_point_elsewhere_are_refused() {
    let mut bert = Bert::new();
    bert.modules[2]["type"] = json!("sentence_transformers.models.Dense");
    assert_says(&bert.error(), &["modules.json", "Transformer, Pooling, Dense", "Normalize"]);
    for path in ["../1_Pooling", "/etc", "", ".."] {
        let mut bert = Bert::new();
        bert.modules[1]["path"] = json!(path);
        assert_says(&bert.error(), &["modules.json", "`path`", "not the name of a folder"]);
    }
    let mut bert = Bert::new();
    bert.modules = json!({});
    assert_says(&bert.error(), &["modules.json", "must be a list"]);
}

#[test]
fn config_features_without_semantics_are_refused() {
    assert_says(&with_config("hidden_act", json!("relu")), &["`hidden_act`", "relu", "gelu_new"]);
    let error = with_config("position_embedding_type", json!("relative_key"));
    assert_says(&error, &["`position_embedding_type`", "relative_key", "absolute"]);
    assert_says(&with_config("is_decoder", json!(true)), &["`is_decoder`", "must be false"]);
    assert_says(&with_config("add_cross_attention", json!(true)), &["`add_cross_attention`"]);
    assert_says(&with_config("num_attention_heads", json!(3)), &["`num_attention_heads`", "hidden_size 16 / 3"]);
    assert_says(&with_config("num_attention_heads", json!(16)), &["`num_attention_heads`", "even"]);
    assert_says(&with_config("layer_norm_eps", json!(2.)), &["`layer_norm_eps`", "2"]);
    assert_says(&with_config("layer_norm_eps", Value::Null), &["`layer_norm_eps`: missing"]);
    assert_says(&with_config("hidden_size", json!(1 << 20)), &["`hidden_size`", "outside 1..=16384"]);
    let quantized = with_config("quantization_config", json!({"quant_method": "gptq"}));
    assert_says(&quantized, &["`quantization_config`", "original float checkpoint"]);
}

#[test]
fn config_of_another_encoder_names_the_supported_ones() {
    let bert = Bert::new();
    bert.write();
    bert.write_file("config.json", r#"{"architectures": ["RobertaModel"]}"#);
    let arguments = |source: &Path| Arguments {
        tokenizer: None,
        source: source.into(),
        out: source.join("out"),
        calibration: None,
        archive: None,
        report: false,
    };
    let error = convert::run(&arguments(bert.path())).unwrap_err().to_string();
    assert_says(&error, &["`architectures`", "RobertaModel", "LlamaForCausalLM", "BertModel"]);
}

#[test]
fn tensors_missing_misshapen_superfluous_or_not_finite_are_refused() {
    let name = "encoder.layer.1.attention.self.key.bias";
    let mut bert = Bert::new();
    bert.tensors.remove(name);
    assert_says(&bert.error(), &["model.safetensors", &format!("`{name}` is missing")]);
    let mut bert = Bert::new();
    let tensor = bert.tensor(name);
    (tensor.shape, tensor.values) = (vec![8], vec![0.; 8]);
    assert_says(&bert.error(), &[name, "[8]", "[16]"]);
    let mut bert = Bert::new();
    bert.tensors.insert("encoder.layer.2.output.dense.bias".into(), Random::new(4).tensor(vec![HIDDEN], 1.));
    assert_says(&bert.error(), &["`encoder.layer.2.output.dense.bias`", "no place in BertModel"]);
    let mut bert = Bert::new();
    bert.tensor("embeddings.token_type_embeddings.weight").values[HIDDEN + 3] = f32::NAN;
    assert_says(&bert.error(), &["`embeddings.token_type_embeddings.weight`, row 1, column 3"]);
    let mut bert = Bert::new();
    bert.tensor("encoder.layer.0.intermediate.dense.weight").values.iter_mut().for_each(|w| *w *= 1e6);
    assert_says(&bert.error(), &["layer 0: up reaches", "8192"]);
}

#[test]
fn calibration_text_too_short_is_refused() {
    let bert = Bert::new();
    let source = EncoderSource::open(bert.write().path(), None).unwrap();
    let error = convert::encoder::convert(&source, &bert.out(), "a b c", &mut |_| {}).unwrap_err();
    assert_says(&error.to_string(), &["5 tokens", "at least 64"]);
}

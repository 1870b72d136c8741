//! Folders of encoders, as sentence-transformers stores them.

use crate::{
    checkpoint::{change, Folder, OnDisk},
    fixture::{write_tensors, Random as Weights},
    harness::{fuzz, Target, TEXT},
    mutate::pick,
    support::Random,
};
use assay_engine::convert::encoder::EncoderSource;
use serde_json::{json, Value};
use std::{collections::BTreeMap, fs};

const VOCAB: usize = 12;
const HIDDEN: usize = 8;
const FFN: usize = 12;

struct Encoders {
    seeds: Vec<Folder>,
    disk: OnDisk,
}

impl Encoders {
    fn new() -> Self {
        let seeds = vec![seed("BertModel", ""), seed("BertForMaskedLM", "bert.")];
        let mut disk = OnDisk::new();
        for seed in &seeds {
            disk.hold(seed.clone());
            EncoderSource::open(disk.path(), None).unwrap();
        }
        Self { seeds, disk }
    }
}

/// A tiny model whose tensors' names begin with `prefix`.
pub fn seed(architecture: &str, prefix: &str) -> Folder {
    let mut shapes = vec![
        ("embeddings.word_embeddings.weight".to_string(), vec![VOCAB, HIDDEN]),
        ("embeddings.position_embeddings.weight".to_string(), vec![16, HIDDEN]),
        ("embeddings.token_type_embeddings.weight".to_string(), vec![2, HIDDEN]),
        ("embeddings.LayerNorm.weight".to_string(), vec![HIDDEN]),
        ("embeddings.LayerNorm.bias".to_string(), vec![HIDDEN]),
    ];
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
        shapes.push((format!("encoder.layer.0.{part}.bias"), vec![shape[0]]));
        shapes.push((format!("encoder.layer.0.{part}.weight"), shape));
    }
    let mut weights = Weights::new(1);
    let tensors: BTreeMap<_, _> =
        shapes.into_iter().map(|(name, shape)| (format!("{prefix}{name}"), weights.tensor(shape, 0.))).collect();
    let file = tempfile::NamedTempFile::new().unwrap();
    write_tensors(file.path(), &tensors);

    let config = json!({
        "architectures": [architecture], "vocab_size": VOCAB, "hidden_size": HIDDEN, "intermediate_size": FFN,
        "num_hidden_layers": 1, "num_attention_heads": 2, "max_position_embeddings": 16, "type_vocab_size": 2,
        "layer_norm_eps": 1e-12, "hidden_act": "gelu", "position_embedding_type": "absolute", "is_decoder": false,
    });
    let modules = json!([
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
        {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"},
    ]);
    let pooling =
        json!({"word_embedding_dimension": HIDDEN, "pooling_mode_cls_token": false, "pooling_mode_mean_tokens": true});
    let bytes = |value: Value| value.to_string().into_bytes();
    Folder::from([
        ("config.json".into(), bytes(config)),
        ("modules.json".into(), bytes(modules)),
        ("1_Pooling/config.json".into(), bytes(pooling)),
        ("sentence_bert_config.json".into(), bytes(json!({"max_seq_length": 12, "do_lower_case": false}))),
        ("tokenizer.json".into(), bytes(crate::tokenizer::word_pieces())),
        ("model.safetensors".into(), fs::read(file.path()).unwrap()),
    ])
}

impl Target for Encoders {
    const NAME: &'static str = "encoder folder";
    const SHARE: u64 = 79;
    // Names of the tensors of 1,024 layers.
    const BASE: usize = 12 << 20;
    const PER_BYTE: usize = 64;

    fn prepare(&mut self, random: &mut Random) -> usize {
        let mut folder = pick(&self.seeds, random).clone();
        change(&mut folder, &self.seeds, random);
        self.disk.hold(folder)
    }

    fn run(&mut self) -> Result<(), String> {
        let source = EncoderSource::open(self.disk.path(), None).map_err(|error| error.to_string())?;
        source.check_weights().map_err(|error| error.to_string())?;
        source.encode(TEXT).map(drop).map_err(|error| error.to_string())
    }
}

#[test]
fn fuzz_encoder_folder_any_input_is_a_result_within_its_memory() {
    fuzz(Encoders::new(), 30);
}

//! Bad input of every kind that a user may meet, for decoders and encoders, one by one: the error names the file and the field
//! or tensor, and no memory is committed on the word of the input before it.

use crate::{
    allocator, checkpoint,
    checkpoint::{Folder, OnDisk},
    encoder,
    fixture::Fixture,
    gguf,
    support::{bert, llama, package},
};
use assay_engine::{
    convert::{encoder::EncoderSource, Source},
    embed::Embedder,
    generate::{generate, Request},
    package::Package,
    stage::{Control, Setup},
    Sampling,
};
use assay_exact::header::Header;
use serde_json::{json, Value};
use std::{ops::ControlFlow, path::Path, sync::Arc};

/// What a checkpoint of a few kilobytes may cost before it is refused.
const MOST: usize = 4 << 20;

/// The error of `open`, which held no more than [`MOST`] bytes until then.
#[track_caller]
fn error_of<T>(open: impl FnOnce() -> Result<T, String>) -> String {
    allocator::start("bad input", 0);
    let result = open().map(drop);
    let peak = allocator::peak();
    let error = result.expect_err("the input is bad");
    assert!(peak < MOST, "{peak} bytes for: {error}");
    error
}

#[track_caller]
fn assert_says(error: &str, words: &[&str]) {
    words.iter().for_each(|word| assert!(error.contains(word), "{word:?} is not in: {error}"));
}

/// A model to convert.
#[derive(Clone, Copy, PartialEq)]
enum Model {
    Decoder,
    Encoder,
}

const BOTH: [Model; 2] = [Model::Decoder, Model::Encoder];

impl Model {
    fn folder(self) -> Folder {
        match self {
            Self::Decoder => checkpoint::written(&Fixture::new()),
            Self::Encoder => encoder::seed("BertModel", ""),
        }
    }

    /// The error of the conversion's first steps after `change`.
    #[track_caller]
    fn error(self, change: impl FnOnce(&mut Folder)) -> String {
        let mut folder = self.folder();
        change(&mut folder);
        let mut disk = OnDisk::new();
        disk.hold(folder);
        error_of(|| self.open(disk.path()))
    }

    fn open(self, path: &Path) -> Result<(), String> {
        match self {
            Self::Decoder => Source::open(path).and_then(|source| source.check_weights()),
            Self::Encoder => EncoderSource::open(path, None).and_then(|source| source.check_weights()),
        }
        .map_err(|error| error.to_string())
    }

    /// The error after `field` of `config.json` became `value`.
    #[track_caller]
    fn with_config(self, field: &str, value: Value) -> String {
        self.error(|folder| edit(folder, "config.json", |config| config[field] = value))
    }

    /// A matrix and its shape.
    fn tensor(self) -> (&'static str, [usize; 2]) {
        match self {
            Self::Decoder => ("model.layers.1.mlp.up_proj.weight", [24, 16]),
            Self::Encoder => ("encoder.layer.0.intermediate.dense.weight", [12, 8]),
        }
    }
}

fn edit(folder: &mut Folder, name: &str, change: impl FnOnce(&mut Value)) {
    let bytes = folder.get_mut(name).unwrap();
    let mut value = serde_json::from_slice(bytes).unwrap();
    change(&mut value);
    *bytes = value.to_string().into_bytes();
}

/// Changes the tensor table of the safetensors file; what it describes stays where it is.
fn edit_table(folder: &mut Folder, change: impl FnOnce(&mut Value)) {
    let bytes = folder.get_mut("model.safetensors").unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let mut table: Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    change(&mut table);
    let table = table.to_string();
    let data = bytes.split_off(8 + length);
    *bytes = [&(table.len() as u64).to_le_bytes()[..], table.as_bytes(), &data].concat();
}

#[test]
fn architecture_unsupported_is_refused() {
    for model in BOTH {
        let error = model.with_config("architectures", json!(["MambaForCausalLM"]));
        assert_says(&error, &["config.json", "`architectures`", "MambaForCausalLM", "supported", "BertModel"]);
    }
}

#[test]
fn tensor_missing_is_refused() {
    for model in BOTH {
        let (name, _) = model.tensor();
        let error = model.error(|folder| {
            // Under another name, so that no byte of the file is without a tensor.
            edit_table(folder, |table| {
                let tensor = table.as_object_mut().unwrap().remove(name).unwrap();
                table["elsewhere"] = tensor;
            });
        });
        assert_says(&error, &["model.safetensors", &format!("`{name}` is missing")]);
    }
}

#[test]
fn tensor_of_wrong_shape_is_refused() {
    for model in BOTH {
        let (name, [rows, columns]) = model.tensor();
        let error = model.error(|folder| edit_table(folder, |table| table[name]["shape"] = json!([columns, rows])));
        let shapes = [format!("[{rows}, {columns}]"), format!("[{columns}, {rows}]")];
        assert_says(&error, &["model.safetensors", &format!("`{name}`"), &shapes[0], &shapes[1]]);
    }
}

#[test]
fn tensor_of_an_absurd_shape_is_refused() {
    for model in BOTH {
        let (name, _) = model.tensor();
        for shape in [json!([1u64 << 40, 1 << 20]), json!([u64::MAX, u64::MAX]), json!([0, 1u64 << 60])] {
            let error = model.error(|folder| edit_table(folder, |table| table[name]["shape"] = shape));
            assert_says(&error, &["model.safetensors"]);
        }
    }
}

#[test]
fn weight_not_finite_is_refused() {
    for model in BOTH {
        let (name, [_, columns]) = model.tensor();
        for (value, text) in [(f32::NAN, "NaN"), (f32::INFINITY, "inf"), (f32::NEG_INFINITY, "-inf")] {
            let error = model.error(|folder| {
                let mut start = 0;
                edit_table(folder, |table| start = table[name]["data_offsets"][0].as_u64().unwrap() as usize);
                let bytes = folder.get_mut("model.safetensors").unwrap();
                let header = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
                let at = header + start + 4 * (3 * columns + 5);
                bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
            });
            assert_says(&error, &["model.safetensors", &format!("`{name}`, row 3, column 5: {text}")]);
        }
    }
}

#[test]
fn tokenizer_of_another_vocabulary_is_refused() {
    for model in BOTH {
        let error =
            model.error(|folder| edit(folder, "tokenizer.json", |json| json["model"]["vocab"]["zebra"] = json!(1000)));
        assert_says(&error, &["tokenizer.json", "token id 1000", "vocab_size", "another model"]);
        let error = model.error(|folder| drop(folder.insert("tokenizer.json".into(), b"{}".to_vec())));
        assert_says(&error, &["tokenizer.json"]);
        let error = model.error(|folder| drop(folder.remove("tokenizer.json")));
        assert_says(&error, &["tokenizer.json", "No such file"]);
    }
}

#[test]
fn config_with_absurd_sizes_is_refused() {
    for model in BOTH {
        for field in [
            "vocab_size",
            "hidden_size",
            "intermediate_size",
            "num_hidden_layers",
            "num_attention_heads",
            "max_position_embeddings",
        ] {
            for value in [json!(0), json!(-1), json!(1u64 << 40), json!(u64::MAX), json!(1e300)] {
                assert_says(&model.with_config(field, value), &["config.json", &format!("`{field}`")]);
            }
        }
        // Allowed, and not there.
        for (field, value) in [
            ("vocab_size", 1 << 20),
            ("hidden_size", 512),
            ("intermediate_size", 1 << 16),
            ("num_hidden_layers", 1 << 10),
        ] {
            assert_says(&model.with_config(field, json!(value)), &["model.safetensors", "tensor `"]);
        }
    }
    let error = Model::Encoder.with_config("max_position_embeddings", json!(1 << 17));
    assert_says(&error, &["`embeddings.position_embeddings.weight`", "[131072, 8]"]);
    let error = Model::Encoder.with_config("type_vocab_size", json!(1 << 20));
    assert_says(&error, &["`embeddings.token_type_embeddings.weight`", "[1048576, 8]"]);
}

#[test]
fn weights_truncated_at_any_length_are_refused() {
    for model in BOTH {
        let length = model.folder()["model.safetensors"].len();
        for length in (0..length).step_by(97).chain([length - 1]) {
            let error = model.error(|folder| folder.get_mut("model.safetensors").unwrap().truncate(length));
            assert_says(&error, &["model.safetensors"]);
        }
        for name in ["config.json", "tokenizer.json"] {
            let length = model.folder()[name].len();
            let error = model.error(|folder| folder.get_mut(name).unwrap().truncate(length / 2));
            assert_says(&error, &[name]);
        }
    }
}

#[test]
fn gguf_of_each_kind_of_damage_is_refused() {
    let error = |change: &dyn Fn(&mut gguf::writer::File), length: usize| {
        let mut file = gguf::seed();
        change(&mut file);
        let mut bytes = file.bytes();
        bytes.truncate(length);
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("model.gguf");
        std::fs::write(&path, bytes).unwrap();
        error_of(|| Model::Decoder.open(&path))
    };
    use gguf::writer::Value::{Text, U32, U64};
    let changed = |change: &dyn Fn(&mut gguf::writer::File)| error(change, usize::MAX);
    let says = |error: String, words: &[&str]| {
        assert_says(&error, &["model.gguf"]);
        assert_says(&error, words);
    };
    let name = "blk.1.ffn_up.weight";
    let set = |key: &'static str, value: gguf::writer::Value| changed(&|file| file.set(key, value.clone()));
    says(set("general.architecture", Text("mamba".into())), &["`general.architecture`", "mamba", "supported"]);
    says(changed(&|file| file.tensors.retain(|tensor| tensor.name != name)), &["blk.1.ffn_up.weight", "is missing"]);
    says(changed(&|file| file.tensor(name).dimensions.reverse()), &[name, "[16, 24]", "[24, 16]"]);
    says(
        changed(&|file| file.tensor(name).dimensions = vec![1 << 40, 1 << 40]),
        &[name, "larger than memory can address"],
    );
    says(changed(&|file| file.tensor(name).kind = 10), &[name, "Q2_K", "convert from"]);
    for value in [f32::NAN, f32::INFINITY] {
        let bytes = value.to_le_bytes();
        says(changed(&|file| file.tensor(name).bytes[4..8].copy_from_slice(&bytes)), &[name, "row 0, column 1"]);
    }
    let tokens = gguf::writer::Value::Texts((0..1000).map(|id| format!("<{id}>")).collect());
    let scores = gguf::writer::Value::Floats(vec![0.; 1000]);
    let many = changed(&|file| {
        file.set("tokenizer.ggml.tokens", tokens.clone());
        file.set("tokenizer.ggml.scores", scores.clone());
        file.unset("tokenizer.ggml.token_type");
    });
    says(many, &["token id 999", "vocab_size 32"]);
    for key in ["llama.embedding_length", "llama.block_count", "llama.context_length", "llama.feed_forward_length"] {
        says(set(key, U64(u64::MAX)), &[key, "outside 1..="]);
        says(set(key, U32(0)), &[key, "outside 1..="]);
    }
    says(set("tokenizer.chat_template", Text("a\n{% if %}".into())), &["`tokenizer.chat_template`", "line 2"]);
    let length = gguf::seed().bytes().len();
    for length in (0..length).step_by(97).chain([length - 1]) {
        says(error(&|_| (), length), &[]);
    }
}

#[test]
fn package_archive_truncated_is_refused() {
    let (directory, _) = package(llama(), 1);
    let mut bytes = Vec::new();
    assay_engine::package::archive::pack(&directory.path().join("model"), &mut bytes).unwrap();
    let path = directory.path().join("archive");
    for length in (0..bytes.len()).step_by(bytes.len() / 50).chain([bytes.len() - 1]) {
        std::fs::write(&path, &bytes[..length]).unwrap();
        let error = error_of(|| Package::open(&path).map_err(|error| error.to_string()));
        assert_says(&error, &["archive"]);
    }
}

#[test]
fn prompt_past_the_context_is_refused() {
    let (_directory, decoder) = package(Header { context: 20, ..llama() }, 2);
    let request = |length: usize, max_new: u32| Request {
        prompt: vec![1; length].into(),
        max_new,
        sampling: Sampling::GREEDY,
        stages: 1,
    };
    let run = |package: &Arc<Package>, request: &Request| {
        generate(package, request, &Setup::default(), &mut Control::default(), |_| ControlFlow::Continue(()))
            .map_err(|error| error.to_string())
    };
    run(&decoder, &request(19, 1)).unwrap();
    for (length, max_new) in [(20, 1), (19, 2), (1 << 17, 1), (1, u32::MAX)] {
        let error = error_of(|| run(&decoder, &request(length, max_new)));
        assert_says(&error, &[&format!("{length} prompt tokens and {max_new} new ones"), "context of 20"]);
    }
    let (_directory, encoder) = package(Header { context: 20, ..bert() }, 2);
    let mut embedder = Embedder::open(&encoder, 1, &Setup::default()).unwrap();
    for length in [21, 1 << 17] {
        let ids = vec![1; length];
        let error = error_of(|| embedder.embed(&ids, &mut Control::default()).map_err(|error| error.to_string()));
        assert_says(&error, &[&format!("{length} tokens"), "20"]);
    }
}

#[test]
fn files_too_long_to_be_what_they_should_be_are_refused_unread() {
    for (model, name) in [
        (Model::Decoder, "config.json"),
        (Model::Decoder, "generation_config.json"),
        (Model::Decoder, "tokenizer.json"),
        (Model::Decoder, "tokenizer_config.json"),
        (Model::Decoder, "chat_template.jinja"),
        (Model::Decoder, "model.safetensors.index.json"),
        (Model::Encoder, "config.json"),
        (Model::Encoder, "tokenizer.json"),
        (Model::Encoder, "modules.json"),
        (Model::Encoder, "1_Pooling/config.json"),
        (Model::Encoder, "sentence_bert_config.json"),
    ] {
        let mut disk = OnDisk::new();
        disk.hold(model.folder());
        // A hole: no disk holds these bytes.
        let file =
            std::fs::OpenOptions::new().create(true).truncate(false).write(true).open(disk.path().join(name)).unwrap();
        file.set_len(1 << 40).unwrap();
        let error = error_of(|| model.open(disk.path()));
        assert_says(&error, &[name, "at most"]);
    }
}

//! What the converter makes of good checkpoints.

use super::fixture::*;
use assay_engine::{
    chat::{ChatTemplate, Message},
    convert::{self, Arguments, Source},
    float::NoObserver,
    package::{Manifest, Package},
    quality::compare,
    tokenizer::Tokenizer,
};
use assay_exact::{header::Flags, layout::Entry, linear::RowScale};
use safetensors::Dtype;
use serde_json::json;

#[test]
fn convert_same_weights_in_any_container_gives_the_same_root() {
    let mut fixture = Fixture::new();
    fixture.round_to_bf16();
    fixture.write();
    let root = fixture.convert().unwrap();

    for dtype in [Dtype::F16, Dtype::BF16] {
        let mut fixture = Fixture::new();
        fixture.round_to_bf16();
        fixture.store_as(dtype);
        fixture.write();
        assert_eq!(fixture.convert().unwrap(), root, "{dtype:?}");
    }
    let mut fixture = Fixture::new();
    fixture.round_to_bf16();
    fixture.write_sharded();
    assert_eq!(fixture.convert().unwrap(), root);

    let mut fixture = Fixture::new();
    fixture.round_to_bf16();
    fixture.tensor("model.norm.weight").values[0] *= 1.01;
    fixture.write();
    assert_ne!(fixture.convert().unwrap(), root);
}

#[test]
fn convert_package_verifies_and_has_the_shape_of_the_config() {
    let mut fixture = Fixture::new();
    fixture.config["eos_token_id"] = json!([3, 1, 3]);
    fixture.write();
    let root = fixture.convert().unwrap();
    let package = Package::open(&fixture.out()).unwrap();
    package.verify(Some(root)).unwrap();
    let header = package.header();
    assert_eq!((header.vocab, header.context), (VOCAB as u32, CONTEXT as u32));
    assert_eq!((header.d, header.hidden, header.layers), (HIDDEN as u32, FFN as u32, LAYERS as u32));
    assert_eq!((header.query_heads, header.kv_heads), (HEADS as u32, KV_HEADS as u32));
    assert_eq!((header.head_dim, header.rot), (HEAD_DIM as u32, HEAD_DIM as u32));
    assert_eq!(header.eos, [1, 3]);
    assert!(header.flags.has(Flags::SHARED_HEAD));
    assert!(package.chat_template().is_none());
}

#[test]
fn convert_embedding_dequantizes_to_the_source_within_half_a_step() {
    let fixture = Fixture::new();
    fixture.write();
    fixture.convert().unwrap();
    let package = Package::open(&fixture.out()).unwrap();
    let (_, bytes) = package.entries().find(|(entry, _)| *entry == Entry::Embedding).unwrap();
    let (weights, scales) = bytes.split_at(VOCAB * HIDDEN);
    let source = &fixture.tensors["model.embed_tokens.weight"].values;
    for (row, scale) in scales.chunks_exact(4).enumerate() {
        let scale = RowScale::unpack(u32::from_le_bytes(scale.try_into().unwrap()));
        let step = f64::from(scale.m) * 2f64.powi(-scale.k);
        for column in 0..HIDDEN {
            let at = row * HIDDEN + column;
            let found = f64::from(weights[at] as i8) * step;
            assert!((found - f64::from(source[at])).abs() <= 0.5001 * step);
        }
    }
}

#[test]
fn convert_exact_engine_follows_the_float_model() {
    for untied in [false, true] {
        let mut fixture = Fixture::new();
        if untied {
            fixture.untie();
        }
        fixture.write();
        fixture.convert().unwrap();
        let source = Source::open(fixture.folder()).unwrap();
        let package = Package::open(&fixture.out()).unwrap();
        assert_eq!(package.header().flags.has(Flags::SHARED_HEAD), !untied);
        let agreement = compare(&source, &package, &text(400), 6, CONTEXT, &mut NoObserver).unwrap();
        // Random weights are harder to round than trained ones, and their logits closer together.
        assert!(agreement.perplexity_change.abs() < 0.02, "{agreement:?}");
        assert!(agreement.top1_agreement > 0.9, "{agreement:?}");
    }
}

#[test]
fn convert_old_and_new_spelling_of_rope_give_the_same_root() {
    let scaling = json!({"rope_type": "llama3", "factor": 8., "low_freq_factor": 1.,
                         "high_freq_factor": 4., "original_max_position_embeddings": 32});
    let mut old = Fixture::new();
    old.config["rope_theta"] = json!(500_000.);
    old.config["rope_scaling"] = scaling.clone();
    old.write();
    let mut new = Fixture::new();
    new.config["rope_theta"] = serde_json::Value::Null;
    new.config["rope_parameters"] = scaling;
    new.config["rope_parameters"]["rope_theta"] = json!(500_000.);
    new.write();
    let root = old.convert().unwrap();
    assert_eq!(new.convert().unwrap(), root);
    let plain = Fixture::new();
    plain.write();
    assert_ne!(plain.convert().unwrap(), root);
}

#[test]
fn convert_weights_of_zero_have_semantics() {
    let mut fixture = Fixture::new();
    for tensor in fixture.tensors.values_mut() {
        tensor.values.fill(0.);
    }
    fixture.write();
    let root = fixture.convert().unwrap();
    Package::open(&fixture.out()).unwrap().verify(Some(root)).unwrap();
}

#[test]
fn convert_chat_template_and_generation_config_are_taken_over() {
    let fixture = Fixture::new();
    fixture.write();
    let plain = fixture.convert().unwrap();
    std::fs::remove_dir_all(fixture.out()).unwrap();
    fixture.write_file("tokenizer_config.json", r#"{"chat_template": "{{ messages }}"}"#);
    fixture.write_file("generation_config.json", r#"{"eos_token_id": [5, 2]}"#);
    assert_ne!(fixture.convert().unwrap(), plain);
    let package = Package::open(&fixture.out()).unwrap();
    assert_eq!(package.chat_template(), Some(&b"{{ messages }}"[..]));
    assert_eq!(package.header().eos, [2, 5]);
}

#[test]
fn convert_chat_template_renders_with_the_special_tokens_of_the_checkpoint() {
    let fixture = Fixture::new();
    fixture.write();
    let template = "{{ bos_token }}{% for m in messages %}{{ m.role }}: {{ m.content }}{{ eos_token }}{% endfor %}";
    let config =
        json!({"chat_template": template, "bos_token": "<s>", "eos_token": {"content": "\"</s>\""}, "pad_token": "x"});
    fixture.write_file("tokenizer_config.json", config.to_string());
    fixture.convert().unwrap();
    let package = Package::open(&fixture.out()).unwrap();
    // Only those that it names.
    let bytes = package.chat_template().unwrap();
    assert!(bytes.ends_with(template.as_bytes()) && !bytes.windows(9).any(|window| window == b"pad_token"));
    let chat = ChatTemplate::load(&package).unwrap();
    let text = chat.render(&[Message::new("system", "a"), Message::new("user", "b")]).unwrap();
    assert_eq!(text, "<s>system: a\"</s>\"user: b\"</s>\"");
    let tokenizer = Tokenizer::load(&package).unwrap();
    assert_eq!(tokenizer.encode_rendered("b a").unwrap(), [3, 2]);
}

#[test]
fn run_writes_package_archive_and_report() {
    let fixture = Fixture::new();
    fixture.write();
    fixture.write_file("text", text(600));
    let archive = fixture.folder().join("tiny.assaypk");
    let arguments = Arguments {
        source: fixture.folder().into(),
        out: fixture.out(),
        tokenizer: None,
        calibration: Some(fixture.folder().join("text")),
        archive: Some(archive.clone()),
        report: true,
    };
    convert::run(&arguments).unwrap();
    let manifest = std::fs::read(fixture.out().join("manifest.json")).unwrap();
    let root = Manifest::parse(&manifest).unwrap().model_root;
    Package::open(&archive).unwrap().verify(Some(root)).unwrap();

    let json = std::fs::read(fixture.folder().join("out.quality.json")).unwrap();
    let report: serde_json::Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(report["layers"].as_array().unwrap().len(), LAYERS);
    assert_eq!(report["saturation"].as_array().unwrap().len(), LAYERS + 1);
    assert!(report["agreement"]["positions"].as_u64().unwrap() > 0);
    let text = std::fs::read_to_string(fixture.folder().join("out.quality.txt")).unwrap();
    assert!(text.contains(report["model_root"].as_str().unwrap()));
}

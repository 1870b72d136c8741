//! What a GGUF file gives is what the safetensors checkpoint gives.

use super::*;
use assay_engine::{
    float::NoObserver,
    package::{Manifest, Package},
    quality::{compare, text as bundled},
};
use candle_core::{quantized::gguf_file, Device, Tensor as Candle};
use candle_transformers::models::quantized_llama;
use serde_json::{json, Value as Json};
use std::path::Path;

/// The root of the fixture's folder.
fn folder_root(fixture: &Fixture) -> Digest {
    fixture.write();
    let _ = std::fs::remove_dir_all(fixture.out());
    fixture.convert().unwrap()
}

#[test]
fn convert_gguf_of_any_float_type_gives_the_root_of_the_folder() {
    for untied in [false, true] {
        let mut fixture = Fixture::new();
        if untied {
            fixture.untie();
        }
        fixture.round_to_bf16();
        let root = folder_root(&fixture);
        for kind in [Type::F32, Type::F16, Type::Bf16] {
            assert_eq!(convert(&fixture, &file_of(&fixture, kind)).unwrap(), root, "{kind:?}, untied {untied}");
        }
        let mut file = file_of(&fixture, Type::F16);
        file.version = 2;
        file.alignment = 128;
        file.set("general.alignment", Value::U32(128));
        assert_eq!(convert(&fixture, &file).unwrap(), root);
    }
}

#[test]
fn convert_gguf_without_optional_keys_gives_the_same_root() {
    let mut fixture = Fixture::new();
    fixture.round_to_bf16();
    let root = folder_root(&fixture);
    let mut file = file_of(&fixture, Type::F32);
    for key in ["attention.key_length", "attention.value_length", "rope.dimension_count", "rope.freq_base"] {
        file.unset(&format!("llama.{key}"));
    }
    file.set("llama.rope.scaling.type", Value::Text("none".into()));
    file.set("llama.vocab_size", Value::U64(VOCAB as u64));
    file.set("llama.block_count", Value::I32(LAYERS as i32));
    assert_eq!(convert(&fixture, &file).unwrap(), root);
}

#[test]
fn convert_gguf_with_scaled_rope_gives_the_root_of_the_folder() {
    let mut fixture = Fixture::new();
    fixture.config["rope_theta"] = json!(500_000.);
    fixture.config["rope_scaling"] = json!({"rope_type": "llama3", "factor": 32., "low_freq_factor": 1.,
        "high_freq_factor": 4., "original_max_position_embeddings": 8192});
    let root = folder_root(&fixture);
    let mut file = file_of(&fixture, Type::F32);
    // As llama.cpp's converter computes them: 1 above a wavelength of 8192 / 4, interpolated here.
    let turns = 8192. * 500_000f64.powf(-0.5) / (2. * std::f64::consts::PI);
    let kept = (turns - 1.) / 3.;
    let factors = [1., (1. / ((1. - kept) / 32. + kept)) as f32];
    file.push("rope_freqs.weight", &[2], &factors, Type::F32);
    // The largest factor is the divisor only where some pair is divided in full; with two pairs none is.
    let error = convert(&fixture, &file).unwrap_err().to_string();
    assert!(error.contains("`rope_freqs.weight`") && error.contains("Llama 3 recipe"), "{error}");
    file.tensors.retain(|tensor| tensor.name != "rope_freqs.weight");
    assert_ne!(convert(&fixture, &file).unwrap(), root);

    fixture.config["rope_scaling"] = json!({"rope_type": "linear", "factor": 4.});
    let root = folder_root(&fixture);
    file.set("llama.rope.scaling.type", Value::Text("linear".into()));
    file.set("llama.rope.scaling.factor", Value::F32(4.));
    assert_eq!(convert(&fixture, &file).unwrap(), root);
}

#[test]
fn convert_gguf_with_llama3_factors_gives_the_root_of_the_folder() {
    let mut fixture = wide_fixture(32);
    fixture.config["rope_theta"] = json!(500_000.);
    fixture.config["rope_scaling"] = json!({"rope_type": "llama3", "factor": 8., "low_freq_factor": 1.,
        "high_freq_factor": 4., "original_max_position_embeddings": 8192});
    let root = folder_root(&fixture);
    let mut file = file_of(&fixture, Type::F32);
    let head_dim = fixture.config["head_dim"].as_u64().unwrap() as usize;
    let factors: Vec<f32> = (0..head_dim / 2)
        .map(|pair| {
            let frequency = 500_000f64.powf(-2. * pair as f64 / head_dim as f64);
            let wavelength = 2. * std::f64::consts::PI / frequency;
            if wavelength < 8192. / 4. {
                1.
            } else if wavelength > 8192. {
                8.
            } else {
                let smooth = (8192. / wavelength - 1.) / 3.;
                (1. / ((1. - smooth) / 8. + smooth)) as f32
            }
        })
        .collect();
    assert!(factors.iter().any(|factor| *factor > 1. && *factor < 8.));
    file.push("rope_freqs.weight", &[factors.len()], &factors, Type::F32);
    assert_eq!(convert(&fixture, &file).unwrap(), root);
}

/// A fixture whose rows are whole blocks of Q8_0.
fn wide_fixture(head_dim: usize) -> Fixture {
    let mut fixture = Fixture::new();
    let (hidden, ffn, heads, kv_heads) = (64, 96, HEADS, KV_HEADS);
    for (field, size) in [("hidden_size", hidden), ("intermediate_size", ffn), ("head_dim", head_dim)] {
        fixture.config[field] = json!(size);
    }
    let mut random = Random::new(9);
    for (name, tensor) in &mut fixture.tensors {
        let shape = match name.rsplit('.').nth(1).unwrap() {
            "embed_tokens" => vec![VOCAB, hidden],
            "q_proj" => vec![heads * head_dim, hidden],
            "k_proj" | "v_proj" => vec![kv_heads * head_dim, hidden],
            "o_proj" => vec![hidden, heads * head_dim],
            "gate_proj" | "up_proj" => vec![ffn, hidden],
            "down_proj" => vec![hidden, ffn],
            _ => vec![hidden],
        };
        let centre = if shape.len() == 1 { 1. } else { 0. };
        *tensor = random.tensor(shape, centre);
    }
    fixture
}

#[test]
fn convert_gguf_q8_0_is_close_to_the_float_model() {
    let fixture = wide_fixture(32);
    fixture.write();
    let float = Source::open(fixture.folder()).unwrap();
    convert(&fixture, &file_of(&fixture, Type::Q8_0)).unwrap();
    let package = Package::open(&fixture.out()).unwrap();
    let agreement = compare(&float, &package, &text(400), 6, CONTEXT, &mut NoObserver).unwrap();
    // Rounded twice, and random weights are harder to round than trained ones.
    assert!(agreement.perplexity_change.abs() < 0.04, "{agreement:?}");
    assert!(agreement.top1_agreement > 0.85, "{agreement:?}");

    // Values that the blocks hold exactly lose nothing.
    let mut fixture = fixture;
    let least_and_most = |most: f32, least: f32| [least / 256., most / 256.];
    for (kind, step, ends) in
        [(Type::Q8_0, 1., least_and_most(127., -127.)), (Type::Q4_1, 16., least_and_most(112., -128.))]
    {
        for tensor in fixture.tensors.values_mut().filter(|tensor| tensor.shape.len() == 2) {
            for block in tensor.values.chunks_mut(32) {
                block.iter_mut().for_each(|x| *x = ((*x * 254. / step).round() * step / 256.).clamp(ends[0], ends[1]));
                block[..2].copy_from_slice(&ends);
            }
        }
        let root = folder_root(&fixture);
        assert_eq!(convert(&fixture, &file_of(&fixture, kind)).unwrap(), root, "{kind:?}");
    }
}

/// Candle's own GGUF reader and Llama, which rotates neighbours as llama.cpp does, agree with what we make of the file.
#[test]
fn float_reference_of_gguf_equals_candle_quantized_llama() {
    // Candle's model takes D from the width.
    let mut fixture = wide_fixture(16);
    fixture.untie();
    *fixture.tensor("lm_head.weight") = Random::new(5).tensor(vec![VOCAB, 64], 0.);
    let source = open(&fixture, &file_of(&fixture, Type::F32).bytes()).unwrap();
    let ids: Vec<u32> = (0..40).map(|i| (i * 7 + 3) % VOCAB as u32).collect();
    let mut ours = Vec::new();
    source
        .float()
        .forward(std::slice::from_ref(&ids), &mut NoObserver, |_, logits| {
            ours = logits.get(ids.len() - 1)?.to_vec1::<f32>()?;
            Ok(())
        })
        .unwrap();

    let mut reader = std::fs::File::open(path(&fixture)).unwrap();
    let content = gguf_file::Content::read(&mut reader).unwrap();
    let mut model = quantized_llama::ModelWeights::from_gguf(content, &mut reader, &Device::Cpu).unwrap();
    let input = Candle::new(ids, &Device::Cpu).unwrap().unsqueeze(0).unwrap();
    let theirs = model.forward(&input, 0).unwrap().squeeze(0).unwrap().to_vec1::<f32>().unwrap();
    assert_eq!(ours.len(), theirs.len());
    for (ours, theirs) in ours.iter().zip(&theirs) {
        assert!((ours - theirs).abs() < 1e-3, "{ours} {theirs}");
    }
}

/// The demo checkpoint and its tokenizer as a GGUF file.
fn demo(fixture: &mut Fixture) -> File {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/demo/source");
    let json = |name: &str| -> Json { serde_json::from_slice(&std::fs::read(folder.join(name)).unwrap()).unwrap() };
    fixture.config = json("config.json");
    fixture.config["rope_theta"] = fixture.config["rope_parameters"]["rope_theta"].clone();
    fixture.tokenizer = json("tokenizer.json");
    let bytes = std::fs::read(folder.join("model.safetensors")).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    fixture.tensors = tensors
        .iter()
        .map(|(name, view)| {
            assert_eq!(view.dtype(), safetensors::Dtype::F16);
            let values = view.data().chunks_exact(2).map(|b| half::f16::from_le_bytes([b[0], b[1]]).to_f32()).collect();
            (name.to_string(), Tensor { shape: view.shape().into(), values, dtype: safetensors::Dtype::F16 })
        })
        .collect();
    let mut file = file_of(fixture, Type::F16);

    let model = &fixture.tokenizer["model"];
    let mut tokens = vec![String::new(); model["vocab"].as_object().unwrap().len()];
    for (token, id) in model["vocab"].as_object().unwrap() {
        tokens[id.as_u64().unwrap() as usize] = token.clone();
    }
    let kinds = (0..tokens.len()).map(|id| if id < 2 { 3 } else { 1 }).collect();
    let merges = model["merges"].as_array().unwrap().iter();
    let merges = merges.map(|pair| format!("{} {}", pair[0].as_str().unwrap(), pair[1].as_str().unwrap())).collect();
    file.set("tokenizer.ggml.model", Value::Text("gpt2".into()));
    file.set("tokenizer.ggml.pre", Value::Text("gpt-2".into()));
    file.set("tokenizer.ggml.tokens", Value::Texts(tokens));
    file.set("tokenizer.ggml.token_type", Value::Integers(kinds));
    file.set("tokenizer.ggml.merges", Value::Texts(merges));
    file.set("tokenizer.ggml.bos_token_id", Value::U32(0));
    file
}

#[test]
fn demo_as_gguf_gives_the_recorded_root_and_its_tokenizer_the_same_ids() {
    let mut fixture = Fixture::new();
    let file = demo(&mut fixture);
    fixture.write_file("model.gguf", file.bytes());
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/demo");
    let original = folder.join("source/tokenizer.json");

    let source = Source::open_with(&path(&fixture), Some(&original)).unwrap();
    let root = convert::convert(&source, &fixture.out(), bundled::calibration(), &mut |_| {}).unwrap().model_root;
    let manifest = std::fs::read(folder.join("manifest.json")).unwrap();
    assert_eq!(root, Manifest::parse(&manifest).unwrap().model_root);

    let rebuilt = Source::open(&path(&fixture)).unwrap();
    let windows = |source: &Source| source.tokenizer().windows(bundled::evaluation(), 16, 256).unwrap();
    assert_eq!(windows(&rebuilt), windows(&source));
}

#[test]
fn tokenizer_of_sentence_pieces_merges_by_score() {
    let fixture = Fixture::new();
    let mut file = file_of(&fixture, Type::F32);
    let tokens = ["<unk>", "<s>", "</s>", "<0x0A>", "\u{2581}", "a", "b", "c", "ab", "bc", "\u{2581}a", "\u{2581}abc"];
    let scores = [0., 0., 0., 0., -9., -9., -9., -9., -2., -1., -3., -4.];
    let kinds = [2, 3, 3, 6, 1, 1, 1, 1, 1, 1, 1, 1];
    file.set("tokenizer.ggml.model", Value::Text("llama".into()));
    file.set("tokenizer.ggml.tokens", Value::Texts(tokens.map(String::from).into()));
    file.set("tokenizer.ggml.scores", Value::Floats(scores.into()));
    file.set("tokenizer.ggml.token_type", Value::Integers(kinds.into()));
    file.set("tokenizer.ggml.bos_token_id", Value::U32(1));
    file.set("tokenizer.ggml.unknown_token_id", Value::U32(0));
    file.set("tokenizer.chat_template", Value::Text("{{ messages }}".into()));
    fixture.write_file("model.gguf", file.bytes());
    let source = Source::open(&path(&fixture)).unwrap();
    assert_eq!(source.chat_template(), b"{{ messages }}");
    let tokenizer = tokenizers::Tokenizer::from_bytes(&source.tokenizer().json).unwrap();
    let ids = |text: &str, special| tokenizer.encode(text, special).unwrap().get_ids().to_vec();
    // " ab": "ab" scores above " a"; "bc" above both.
    assert_eq!(ids("ab", true), [1, 4, 8]);
    assert_eq!(ids("abc", false), [11]);
    assert_eq!(ids("aa b", false), [10, 5, 4, 6]);
    assert_eq!(ids("a\n", false), [10, 3]);
    assert_eq!(ids("a</s>z", false), [10, 2, 4, 0]);
    assert_eq!(tokenizer.decode(&[1, 11, 4, 6, 3], true).unwrap(), "abc b\n");

    file.set("tokenizer.ggml.add_space_prefix", Value::Bool(false));
    file.set("tokenizer.ggml.add_bos_token", Value::Bool(false));
    fixture.write_file("model.gguf", file.bytes());
    let source = Source::open(&path(&fixture)).unwrap();
    let tokenizer = tokenizers::Tokenizer::from_bytes(&source.tokenizer().json).unwrap();
    assert_eq!(tokenizer.encode("ab a", true).unwrap().get_ids(), [8, 10]);
    assert_eq!(tokenizer.decode(&[8, 10], true).unwrap(), "ab a");
}

#[test]
fn tokenizer_that_the_file_carries_whole_is_taken_as_it_is() {
    let fixture = Fixture::new();
    let mut file = file_of(&fixture, Type::F32);
    let original = fixture.tokenizer.to_string();
    file.set("tokenizer.huggingface.json", Value::Text(original.clone()));
    fixture.write_file("model.gguf", file.bytes());
    let source = Source::open(&path(&fixture)).unwrap();
    assert_eq!(source.tokenizer().json, original.as_bytes());
}

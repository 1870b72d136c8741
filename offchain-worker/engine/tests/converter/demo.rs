//! The demo model: the gates of section 13, the recorded root, and the float reference against candle's own Llama.

use assay_engine::{
    convert::{self, Source},
    demo,
    float::NoObserver,
    package::Manifest,
    quality::{compare, text},
};
use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::llama;
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/demo")
}

fn source() -> Source {
    Source::open(&folder().join("source")).unwrap()
}

fn recorded_root() -> [u8; 32] {
    let manifest = std::fs::read(folder().join("manifest.json")).unwrap();
    Manifest::parse(&manifest).unwrap().model_root
}

#[test]
fn demo_package_has_the_recorded_root() {
    let package = demo::package().unwrap();
    package.verify(Some(recorded_root())).unwrap();
    assert_eq!(package.header().layers, 8);
    assert_eq!(package.header().eos, [1]);
}

#[test]
fn demo_converted_again_gives_the_recorded_root() {
    let out = tempfile::tempdir().unwrap();
    let package = out.path().join("demo");
    let conversion = convert::convert(&source(), &package, text::calibration(), &mut |_| {}).unwrap();
    // Far above the differences between machines' float arithmetic, so the root holds on all of them.
    assert!(conversion.calibration.margin > 1e-3, "{}", conversion.calibration.margin);
    assert_eq!(conversion.model_root, recorded_root());
}

#[test]
fn demo_quality_gate_holds_on_held_out_text() {
    let package = demo::package().unwrap();
    let agreement = compare(&source(), &package, text::evaluation(), 16, 256, &mut NoObserver).unwrap();
    eprintln!("{agreement:?}");
    assert_eq!(agreement.positions, 16 * 256);
    assert!(agreement.float_perplexity < 10., "{agreement:?}");
    assert!(agreement.perplexity_change <= 0.005, "{agreement:?}");
    assert!(agreement.top1_agreement >= 0.99, "{agreement:?}");
}

#[test]
fn float_reference_equals_candle_transformers() {
    let source_folder = folder().join("source");
    let source = source();
    let window = source.tokenizer().windows(text::evaluation(), 1, 96).unwrap().remove(0);
    let mut ours = Vec::new();
    source
        .float()
        .forward(std::slice::from_ref(&window), &mut NoObserver, |_, logits| {
            ours = logits.get(window.len() - 1)?.to_vec1::<f32>()?;
            Ok(())
        })
        .unwrap();

    let config: llama::LlamaConfig =
        serde_json::from_slice(&std::fs::read(source_folder.join("config.json")).unwrap()).unwrap();
    let config = config.into_config(false);
    let files = [source_folder.join("model.safetensors")];
    // SAFETY: nothing writes to the checkpoint while the tests run.
    let vb = unsafe { VarBuilder::from_mmaped_safetensors(&files, DType::F32, &Device::Cpu) };
    let model = llama::Llama::load(vb.unwrap(), &config).unwrap();
    let mut cache = llama::Cache::new(false, DType::F32, &config, &Device::Cpu).unwrap();
    let ids = Tensor::new(window, &Device::Cpu).unwrap().unsqueeze(0).unwrap();
    let theirs = model.forward(&ids, 0, &mut cache).unwrap();
    let theirs = theirs.squeeze(0).unwrap().to_vec1::<f32>().unwrap();
    assert_eq!(ours.len(), theirs.len());
    for (ours, theirs) in ours.iter().zip(&theirs) {
        assert!((ours - theirs).abs() < 1e-3, "{ours} {theirs}");
    }
}

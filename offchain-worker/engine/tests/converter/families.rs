//! Every family against candle's own model of it, on the same tiny checkpoint, and against the scalar reference.

use super::{
    fixture::*,
    support::reference::{Reference, Roots},
};
use assay_engine::{
    convert::{self, Source},
    float::{NoObserver, Observer, Site},
    generate::{generate, Request},
    kernels::Backend,
    package::Package,
    quality::{compare, ExactScorer, QualityReport},
    stage::{even_spans, replay, Control, Setup, StageSpec},
    Sampling,
};
use assay_exact::{
    header::{Flags, Placement},
    layout::Entry,
    statics::LayerStatics,
};
use candle_core::{DType, Device, Result, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::{gemma2, gemma3, llama, mistral, mixtral, qwen2, qwen3, qwen3_moe};
use serde::de::DeserializeOwned;
use serde_json::{json, Value};
use std::{ops::ControlFlow, sync::Arc};

/// Of every sparse fixture.
const EXPERTS_PER_TOKEN: usize = 2;

/// Logits of the last position of `ids`, by candle's model.
fn candle(fixture: &Fixture, ids: &[u32]) -> Vec<f32> {
    fn config<C: DeserializeOwned>(fixture: &Fixture, window: Value) -> C {
        let mut config = fixture.config.clone();
        config["sliding_window"] = window;
        serde_json::from_value(config).unwrap()
    }
    let files = [fixture.folder().join("model.safetensors")];
    // SAFETY: nothing writes to the checkpoint while it is mapped.
    let vb = unsafe { VarBuilder::from_mmaped_safetensors(&files, DType::F32, &Device::Cpu) }.unwrap();
    let ids = Tensor::new(ids, &Device::Cpu).unwrap().unsqueeze(0).unwrap();
    // Its windows hold one key more than they say; one of i32::MAX / 2 holds all.
    let all = json!(i32::MAX / 2);
    let window = match fixture.config["sliding_window"].as_u64() {
        Some(window) => json!(window - 1),
        None => all.clone(),
    };
    let logits = || -> Result<Tensor> {
        match fixture.config["architectures"][0].as_str().unwrap() {
            "LlamaForCausalLM" => {
                let config = config::<llama::LlamaConfig>(fixture, Value::Null).into_config(false);
                let mut cache = llama::Cache::new(false, DType::F32, &config, &Device::Cpu)?;
                llama::Llama::load(vb, &config)?.forward(&ids, 0, &mut cache)
            }
            "MistralForCausalLM" => mistral::Model::new(&config(fixture, window), vb)?.forward(&ids, 0),
            "MixtralForCausalLM" => {
                let mut fixed = fixture.config.clone();
                fixed["sliding_window"] = window;
                fixed["use_flash_attn"] = json!(false);
                let config: mixtral::Config = serde_json::from_value(fixed).unwrap();
                mixtral::Model::new(&config, vb)?.forward(&ids, 0)
            }
            "Qwen2ForCausalLM" => {
                let windowed = fixture.config["use_sliding_window"] == json!(true);
                let config: qwen2::Config = config(fixture, if windowed { window } else { all });
                qwen2::ModelForCausalLM::new(&config, vb)?.forward(&ids, 0)
            }
            "Qwen3ForCausalLM" => qwen3::ModelForCausalLM::new(&config(fixture, Value::Null), vb)?.forward(&ids, 0),
            "Qwen3MoeForCausalLM" => {
                qwen3_moe::ModelForCausalLM::new(&config(fixture, Value::Null), vb)?.forward(&ids, 0)
            }
            // Its window is in every layer, the model's in every other one: only short texts agree.
            "Gemma2ForCausalLM" => gemma2::Model::new(false, &config(fixture, Value::Null), vb)?.forward(&ids, 0),
            "Gemma3ForCausalLM" => gemma3::Model::new(false, &config(fixture, window), vb)?.forward(&ids, 0),
            other => panic!("no model for {other}"),
        }
    };
    logits().unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

/// How near the float router came to choosing another expert: the least distance between the last logit chosen and the
/// first one not chosen.
struct RouterGap(f32);

impl Observer for RouterGap {
    fn observe(&mut self, _: usize, site: Site, activation: &Tensor) -> Result<()> {
        if site == Site::Router {
            for mut logits in activation.to_vec2::<f32>()? {
                logits.sort_by(|a, b| b.total_cmp(a));
                self.0 = self.0.min(logits[EXPERTS_PER_TOKEN - 1] - logits[EXPERTS_PER_TOKEN]);
            }
        }
        Ok(())
    }
}

/// Logits of the last position by the float graph, and whether no router was near a tie.
fn float(source: &Source, ids: &[u32]) -> (Vec<f32>, bool) {
    let (mut last, mut gap) = (Vec::new(), RouterGap(f32::INFINITY));
    source
        .float()
        .forward(&[ids.to_vec()], &mut gap, |_, logits| {
            last = logits.get(ids.len() - 1)?.to_vec1::<f32>()?;
            Ok(())
        })
        .unwrap();
    (last, gap.0 > 0.002)
}

/// Texts of the lengths that candle's model can be compared at.
fn texts(fixture: &Fixture, source: &Source) -> Vec<Vec<u32>> {
    let gemma2 = fixture.config["architectures"][0] == "Gemma2ForCausalLM";
    let length = if gemma2 { WINDOW } else { 24 };
    let windows = source.tokenizer().windows(&text(1600), 1000, 64).unwrap();
    windows.iter().flat_map(|window| window.chunks_exact(length)).take(48).map(<[u32]>::to_vec).collect()
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

fn argmax(row: &[f32]) -> usize {
    (0..row.len()).max_by(|a, b| row[*a].total_cmp(&row[*b])).unwrap()
}

/// The float graph gives candle's logits, and so does the exact engine if weights need no rounding.
#[track_caller]
fn assert_follows_candle(mut fixture: Fixture, what: &str) {
    fixture.round_to_int8();
    let fixture = &fixture;
    fixture.write();
    fixture.convert().unwrap();
    let source = Source::open(fixture.folder()).unwrap();
    let package = Package::open(&fixture.out()).unwrap();
    let exact = ExactScorer::new(&package, Backend::detect(), 1).unwrap();
    let texts = texts(fixture, &source);
    let (mut compared, mut agreements, mut least) = (0, 0, 1f64);
    for ids in &texts {
        let theirs = candle(fixture, ids);
        let (ours, decided) = float(&source, ids);
        for (ours, theirs) in ours.iter().zip(&theirs) {
            assert!((ours - theirs).abs() < 1e-3 * theirs.abs().max(1.), "{what}: {ours} {theirs}");
        }
        // Where two experts nearly tie, rounding may choose the other one: another function for that token.
        if !decided {
            continue;
        }
        compared += 1;
        let exact = exact.logits(ids).unwrap();
        let cap = package.header().final_cap();
        let last = exact[exact.len() - VOCAB..].iter().map(|logit| cap.map_or(*logit, |cap| cap.apply(*logit)));
        let exact: Vec<f32> = last.map(|logit| logit as f32 / 65536.).collect();
        least = least.min(cosine(&exact, &theirs));
        agreements += usize::from(argmax(&exact) == argmax(&theirs));
    }
    eprintln!("{what}: least cosine {least:.5}, same top token {agreements} of {compared}");
    // A wrong mapping gives cosines near 0 and one text in 32.
    assert!(compared >= 32, "{what}: {compared} texts");
    assert!(least > 0.9999, "{what}: cosine {least}");
    assert!(agreements + 1 >= compared, "{what}: {agreements} of {compared}");
}

#[test]
fn convert_each_family_follows_candle_transformers() {
    for architecture in ARCHITECTURES {
        assert_follows_candle(Fixture::of(architecture), architecture);
    }
}

#[test]
fn convert_untied_and_variants_follow_candle_transformers() {
    let mut llama3 = Fixture::new();
    llama3.untie();
    llama3.config["rope_scaling"] = json!({"rope_type": "llama3", "factor": 8., "low_freq_factor": 1.,
                                           "high_freq_factor": 4., "original_max_position_embeddings": 32});
    assert_follows_candle(llama3, "Llama 3");

    let mut qwen2 = Fixture::of("Qwen2ForCausalLM");
    qwen2.config["use_sliding_window"] = json!(true);
    qwen2.config["max_window_layers"] = json!(0);
    assert_follows_candle(qwen2, "Qwen2 with windows");

    let mut qwen3 = Fixture::of("Qwen3ForCausalLM");
    qwen3.config["attention_bias"] = json!(true);
    for (module, size) in
        [("q", HEADS * HEAD_DIM), ("k", KV_HEADS * HEAD_DIM), ("v", KV_HEADS * HEAD_DIM), ("o", HIDDEN)]
    {
        qwen3.add_bias(&format!("self_attn.{module}_proj"), size);
    }
    assert_follows_candle(qwen3, "Qwen3 with biases");

    let mut moe = Fixture::of("Qwen3MoeForCausalLM");
    moe.config["norm_topk_prob"] = json!(false);
    assert_follows_candle(moe, "Qwen3 MoE over all experts");

    let mut mixtral = Fixture::of("MixtralForCausalLM");
    mixtral.config["sliding_window"] = json!(WINDOW);
    assert_follows_candle(mixtral, "Mixtral with windows");

    let mut gelu = Fixture::of("Qwen2ForCausalLM");
    gelu.config["hidden_act"] = json!("gelu");
    assert_follows_candle(gelu, "Qwen2 with GELU");
}

#[test]
fn convert_query_scalar_of_gemma_is_the_inverse_square_of_the_query_scale() {
    let mut scaled = Fixture::of("Gemma2ForCausalLM");
    scaled.config["query_pre_attn_scalar"] = json!(4 * HEAD_DIM);
    scaled.write();
    let mut halved = Fixture::of("Gemma2ForCausalLM");
    for layer in 0..LAYERS {
        let q = halved.tensor(&format!("model.layers.{layer}.self_attn.q_proj.weight"));
        q.values.iter_mut().for_each(|value| *value /= 2.);
    }
    halved.write();
    let source = Source::open(scaled.folder()).unwrap();
    for ids in texts(&scaled, &source) {
        for (ours, theirs) in float(&source, &ids).0.iter().zip(candle(&halved, &ids)) {
            assert!((ours - theirs).abs() < 1e-3, "{ours} {theirs}");
        }
    }
}

/// The constants of each layer.
fn statics(fixture: &Fixture) -> Vec<LayerStatics> {
    let package = Package::open(&fixture.out()).unwrap();
    let header = package.header();
    let layers = package.entries().filter(|(entry, _)| matches!(entry, Entry::Layer(_)));
    layers
        .map(|(_, bytes)| LayerStatics::parse(&bytes[..4 * header.statics_words() as usize], header).unwrap())
        .collect()
}

#[test]
fn convert_windows_and_tables_stand_in_the_layers_of_the_config() {
    let all = [0, 0];
    let window = WINDOW as u32;
    let cases: [(&str, Value, [u32; 2]); 9] = [
        ("MistralForCausalLM", json!({}), [window; 2]),
        ("MistralForCausalLM", json!({"sliding_window": null}), all),
        // No text is longer than the context: the same model as without.
        ("MistralForCausalLM", json!({"sliding_window": CONTEXT}), all),
        ("Qwen2ForCausalLM", json!({}), all),
        ("Qwen2ForCausalLM", json!({"use_sliding_window": true, "max_window_layers": 1}), [0, window]),
        (
            "Qwen3ForCausalLM",
            json!({"use_sliding_window": true, "sliding_window": 5, "layer_types": ["sliding_attention", "full_attention"]}),
            [5, 0],
        ),
        ("Gemma2ForCausalLM", json!({}), [window, 0]),
        ("Gemma3ForCausalLM", json!({}), [window, 0]),
        ("Gemma3ForCausalLM", json!({"sliding_window_pattern": 6}), [window; 2]),
    ];
    for (architecture, change, windows) in cases {
        let mut fixture = Fixture::of(architecture);
        fixture.config.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        fixture.write();
        fixture.convert().unwrap();
        let statics = statics(&fixture);
        let found: Vec<u32> = statics.iter().map(|layer| layer.window).collect();
        assert_eq!(found, windows, "{architecture} {change}");
        let tables: Vec<_> = statics.iter().map(|layer| layer.rope_table).collect();
        let gemma3 = architecture == "Gemma3ForCausalLM" && change == json!({});
        // The first table is the global one.
        assert_eq!(tables, if gemma3 { [Some(1), Some(0)] } else { [Some(0), Some(0)] }, "{architecture} {change}");
    }
}

#[test]
fn convert_gemma3_old_and_new_spelling_of_rope_give_the_same_root() {
    let mut old = Fixture::of("Gemma3ForCausalLM");
    old.config["rope_scaling"] = json!({"rope_type": "linear", "factor": 8.});
    old.write();
    let mut new = Fixture::of("Gemma3ForCausalLM");
    new.config["rope_theta"] = Value::Null;
    new.config["rope_local_base_freq"] = Value::Null;
    new.config["rope_parameters"] = json!({
        "full_attention": {"rope_type": "linear", "factor": 8., "rope_theta": 1e6},
        "sliding_attention": {"rope_type": "default", "rope_theta": 10000.},
    });
    new.write();
    assert_eq!(old.convert().unwrap(), new.convert().unwrap());
}

#[test]
fn convert_headers_carry_the_flags_of_the_family() {
    for architecture in ARCHITECTURES {
        let fixture = Fixture::of(architecture);
        fixture.write();
        let root = fixture.convert().unwrap();
        let package = Package::open(&fixture.out()).unwrap();
        package.verify(Some(root)).unwrap();
        let header = package.header();
        let has = |flag| header.flags.has(flag);
        let gemma = architecture.starts_with("Gemma");
        let qk_norm = architecture.starts_with("Qwen3") || architecture == "Gemma3ForCausalLM";
        let sparse = architecture.contains("Moe") || architecture.contains("Mixtral");
        assert_eq!(header.placement, if gemma { Placement::Sandwich } else { Placement::Pre }, "{architecture}");
        assert_eq!(has(Flags::QK_NORM), qk_norm, "{architecture}");
        assert_eq!(has(Flags::QKV_BIAS), architecture == "Qwen2ForCausalLM", "{architecture}");
        assert_eq!(has(Flags::SOFT_CAP), architecture == "Gemma2ForCausalLM", "{architecture}");
        assert_eq!(has(Flags::FINAL_CAP), architecture == "Gemma2ForCausalLM", "{architecture}");
        assert_eq!(has(Flags::SHARED_HEAD), !sparse && architecture != "MistralForCausalLM", "{architecture}");
        let experts = if sparse { (EXPERTS as u32, 2) } else { (0, 0) };
        assert_eq!((header.experts, header.experts_per_token), experts, "{architecture}");
        assert_eq!(header.hidden, FFN as u32, "{architecture}");
        assert_eq!(header.rope_tables, if architecture == "Gemma3ForCausalLM" { 2 } else { 1 }, "{architecture}");
    }
}

/// Stages, kernels, threads and the checkers' prefill give what the plain model gives.
#[test]
fn generate_each_family_equals_the_reference() {
    let sampling = Sampling { temperature: 900, top_k: 20, top_p: 60_000, seed: [5; 32] };
    for architecture in ARCHITECTURES {
        let fixture = Fixture::of(architecture);
        fixture.write();
        fixture.convert().unwrap();
        let package = Arc::new(Package::open(&fixture.out()).unwrap());
        let prompt: Vec<u32> = (0..19).map(|i| 2 + i * 7 % 26).collect();
        let reference = Reference::new(&package);
        for stages in 1..=LAYERS as u32 {
            let spans = even_spans(LAYERS as u32, stages).unwrap();
            let (ids, roots) = reference.run(&prompt, 20, sampling, &spans);
            for backend in Backend::available() {
                let request = Request { prompt: prompt.clone().into(), max_new: 20, sampling, stages };
                let setup = Setup::new(backend, stages as usize);
                let found =
                    generate(&package, &request, &setup, &mut Control::default(), |_| ControlFlow::Continue(()))
                        .unwrap();
                assert_eq!(found.ids, ids, "{architecture}, {stages} stages, {backend}");
                let found: Vec<Roots> = found.commits.iter().map(Roots::from).collect();
                assert_eq!(found, roots, "{architecture}, {stages} stages, {backend}");
            }
            if stages == 1 {
                let spec =
                    StageSpec { first: 0, end: LAYERS as u32, prompt: prompt.clone().into(), max_new: 20, sampling };
                let check = replay(&package, spec, &ids, None, &Setup::default(), &mut Control::default()).unwrap();
                assert_eq!((Roots::from(&check.commit), check.divergence), (roots[0].clone(), None));
            }
        }
    }
}

#[test]
fn report_of_each_family_keeps_the_perplexity_of_the_float_graph() {
    for architecture in ARCHITECTURES {
        let fixture = Fixture::of(architecture);
        fixture.write();
        let source = Source::open(fixture.folder()).unwrap();
        let conversion = convert::convert(&source, &fixture.out(), &text(600), &mut |_| {}).unwrap();
        let report = QualityReport::measure(&source, &conversion, &fixture.out(), &text(400)).unwrap();
        let agreement = &report.agreement;
        eprintln!("{architecture}: {agreement:?}");
        assert_eq!((report.architecture, report.layers.len()), (architecture, LAYERS));
        assert!(report.saturation.iter().all(|layer| layer.clipped == 0 && layer.seen > 0), "{report:?}");
        // Random weights are harder to round than trained ones, and their logits closer together.
        assert!(agreement.perplexity_change.abs() < 0.02, "{architecture}: {agreement:?}");
        assert!(agreement.top1_agreement > 0.9, "{architecture}: {agreement:?}");
    }
}

#[test]
fn convert_llama_with_biases_follows_the_float_graph_and_zero_biases_change_nothing() {
    let biased = |values: fn(f32) -> f32| {
        let mut fixture = Fixture::new();
        fixture.config["attention_bias"] = json!(true);
        fixture.config["mlp_bias"] = json!(true);
        for (module, size) in [
            ("self_attn.q_proj", HEADS * HEAD_DIM),
            ("self_attn.k_proj", KV_HEADS * HEAD_DIM),
            ("self_attn.v_proj", KV_HEADS * HEAD_DIM),
            ("self_attn.o_proj", HIDDEN),
            ("mlp.gate_proj", FFN),
            ("mlp.up_proj", FFN),
            ("mlp.down_proj", HIDDEN),
        ] {
            fixture.add_bias(module, size);
        }
        for (_, tensor) in fixture.tensors.iter_mut().filter(|(name, _)| name.ends_with(".bias")) {
            tensor.values.iter_mut().for_each(|value| *value = values(*value));
        }
        fixture.write();
        fixture
    };
    let plain = Fixture::new();
    plain.write();
    let ids: Vec<u32> = (0..30).map(|i| 2 + i * 11 % 26).collect();
    let logits = |fixture: &Fixture| float(&Source::open(fixture.folder()).unwrap(), &ids).0;
    let zero = biased(|_| 0.);
    assert_eq!(logits(&zero), logits(&plain));
    let some = biased(|value| value);
    assert!(cosine(&logits(&some), &logits(&plain)) < 0.99);
    some.convert().unwrap();
    let package = Package::open(&some.out()).unwrap();
    for flag in [Flags::QKV_BIAS, Flags::OUTPUT_BIAS, Flags::MLP_BIAS] {
        assert!(package.header().flags.has(flag));
    }
    let source = Source::open(some.folder()).unwrap();
    let agreement = compare(&source, &package, &text(400), 6, CONTEXT, &mut NoObserver).unwrap();
    assert!(agreement.perplexity_change.abs() < 0.02, "{agreement:?}");
    assert!(agreement.top1_agreement > 0.9, "{agreement:?}");
}

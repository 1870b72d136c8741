//! Folding outliers into the weights: never another float function, and a better exact one.

use super::fixture::*;
use assay_engine::{
    convert::{Folding, LayerFolding, Source},
    float::NoObserver,
    package::Package,
    quality::{compare, Agreement},
};

/// All logits of some text, by the float graph.
fn logits(source: &Source) -> Vec<f32> {
    let windows = source.tokenizer().windows(&text(300), 4, 48).unwrap();
    let mut all = Vec::new();
    source
        .float()
        .forward(&windows, &mut NoObserver, |_, logits| {
            all.extend(logits.flatten_all()?.to_vec1::<f32>()?);
            Ok(())
        })
        .unwrap();
    all
}

#[track_caller]
fn assert_same_function(source: &Source, folding: &Folding, what: &str) {
    let (plain, folded) = (logits(source), logits(&source.folded(folding)));
    assert_eq!(plain.len(), folded.len());
    for (plain, folded) in plain.iter().zip(&folded) {
        assert!((plain - folded).abs() <= 1e-4 * plain.abs().max(1.), "{what}: {plain} {folded}");
    }
}

#[test]
fn folded_by_any_exponents_every_family_keeps_its_logits() {
    for architecture in ARCHITECTURES {
        let fixture = Fixture::of(architecture);
        fixture.write();
        let source = Source::open(fixture.folder()).unwrap();
        let sparse = source.plan().experts.is_some();
        let groups = if source.plan().qk_norm { 1 } else { KV_HEADS };
        let exponents = |n: usize, seed: usize| (0..n).map(|i| (i * 7 + seed) as i32 % 11 - 5).collect::<Vec<_>>();
        let layer = |seed| LayerFolding {
            attention_input: exponents(HIDDEN, seed),
            mlp_input: exponents(HIDDEN, seed + 1),
            down_input: if sparse { vec![] } else { exponents(FFN, seed + 2) },
            pairs: exponents(groups * HEAD_DIM / 2, seed + 3),
        };
        let folding = Folding { layers: (0..LAYERS).map(layer).collect(), margin: 1. };
        assert_same_function(&source, &folding, architecture);
    }
}

/// What the census makes of a checkpoint.
fn chosen(fixture: &Fixture) -> (Source, Folding) {
    fixture.write();
    let source = Source::open(fixture.folder()).unwrap();
    let windows = source.census_windows(&text(600)).unwrap();
    let (_, profile) = source.census(&windows).unwrap();
    let folding = Folding::choose(&source, &profile).unwrap();
    (source, folding)
}

#[test]
fn choose_without_outliers_is_the_identity() {
    for architecture in ARCHITECTURES {
        let (_, folding) = chosen(&Fixture::of(architecture));
        assert!(folding.is_identity(), "{architecture}: {:?}", folding.layers);
    }
}

fn agreement(fixture: &Fixture) -> Agreement {
    let source = Source::open(fixture.folder()).unwrap();
    let package = Package::open(&fixture.out()).unwrap();
    compare(&source, &package, &text(400), 6, CONTEXT, &mut NoObserver).unwrap()
}

/// Channel `column` of what a norm gives, times `factor`, with the weights that read it divided: the same model.
fn outlier(fixture: &mut Fixture, norm: &str, readers: &[&str], column: usize, factor: f32) {
    fixture.tensor(&format!("model.layers.1.{norm}.weight")).values[column] *= factor;
    for reader in readers {
        let tensor = fixture.tensor(&format!("model.layers.1.{reader}.weight"));
        tensor.values.iter_mut().skip(column).step_by(HIDDEN).for_each(|value| *value /= factor);
    }
}

#[test]
fn choose_finds_outlier_channels_and_restores_the_quality() {
    let mut fixture = Fixture::new();
    outlier(&mut fixture, "input_layernorm", &["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"], 3, 16384.);
    outlier(&mut fixture, "post_attention_layernorm", &["mlp.gate_proj", "mlp.up_proj"], 5, 16384.);
    // Channel 7 of the down projection's input.
    let row = 7;
    let up = fixture.tensor("model.layers.1.mlp.up_proj.weight");
    up.values[row * HIDDEN..(row + 1) * HIDDEN].iter_mut().for_each(|value| *value *= 256.);
    let down = fixture.tensor("model.layers.1.mlp.down_proj.weight");
    down.values.iter_mut().skip(row).step_by(FFN).for_each(|value| *value /= 256.);

    let (source, folding) = chosen(&fixture);
    assert_same_function(&source, &folding, "outliers");
    assert_eq!(folding.layers[0], LayerFolding::default());
    let found = &folding.layers[1];
    for (exponents, channel) in [(&found.attention_input, 3), (&found.mlp_input, 5), (&found.down_input, row)] {
        assert!(exponents[channel] >= 4, "{exponents:?}");
        assert!(exponents.iter().enumerate().all(|(i, e)| i == channel || *e == 0), "{exponents:?}");
    }
    fixture.convert().unwrap();
    let agreement = agreement(&fixture);
    assert!(agreement.perplexity_change.abs() < 0.02, "{agreement:?}");
    assert!(agreement.top1_agreement > 0.9, "{agreement:?}");
}

#[test]
fn choose_equalises_pairs_of_biased_and_of_normed_keys() {
    let mut qwen2 = Fixture::of("Qwen2ForCausalLM");
    // The pair (0, 2) of kv head 1, of layer 0.
    for entry in [HEAD_DIM, HEAD_DIM + 2] {
        qwen2.tensor("model.layers.0.self_attn.k_proj.bias").values[entry] = 4000.;
    }
    for head in [2, 3] {
        for entry in [0, 2] {
            let rows = qwen2.tensor("model.layers.0.self_attn.q_proj.weight");
            let at = (head * HEAD_DIM + entry) * HIDDEN;
            rows.values[at..at + HIDDEN].iter_mut().for_each(|value| *value /= 4000.);
        }
    }
    let (source, folding) = chosen(&qwen2);
    assert_same_function(&source, &folding, "biased keys");
    let [a, b, c, d] = folding.layers[0].pairs[..] else { panic!("{:?}", folding.layers[0]) };
    assert!((a, b, d) == (0, 0, 0) && c >= 5, "{:?}", folding.layers[0]);
    qwen2.convert().unwrap();
    let found = agreement(&qwen2);
    assert!(found.perplexity_change.abs() < 0.02, "{found:?}");

    let mut qwen3 = Fixture::of("Qwen3ForCausalLM");
    for entry in [1, 3] {
        qwen3.tensor("model.layers.1.self_attn.k_norm.weight").values[entry] *= 1000.;
        qwen3.tensor("model.layers.1.self_attn.q_norm.weight").values[entry] /= 1000.;
    }
    let (source, folding) = chosen(&qwen3);
    assert_same_function(&source, &folding, "normed keys");
    let [even, odd] = folding.layers[1].pairs[..] else { panic!("{:?}", folding.layers[1]) };
    assert!(even == 0 && odd >= 5, "{:?}", folding.layers[1]);
}

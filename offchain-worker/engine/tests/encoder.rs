//! Encoders: the stage executor against a plain model written from the specification, against section 13, and
//! against itself; what is refused.

mod support;

use std::{
    ops::Range,
    path::Path,
    sync::{
        atomic::{AtomicBool, Ordering},
        Arc,
    },
};

use assay_engine::{
    embed::{Embedder, Embedding},
    generate::{generate, Request},
    hex::Hex,
    kernels::Backend,
    package::{encode, Package, PackageError, PackageWriter},
    quality::ExactScorer,
    stage::{
        even_spans, replay_encoder, Control, Encoded, EncoderOutput, EncoderStage, Setup, Stage, StageCommit,
        StageInput, StageSpec,
    },
    EngineError, Sampling,
};
use assay_exact::{
    attention::HeadScale,
    header::{Flags, Header, Placement, Pool},
    layout::{Entry, Layout},
    linear::RowScale,
    prim::Eps,
    statics::{LayerStatics, NormConstants, QueryHead},
};
use proptest::prelude::*;
use support::{
    all_flags, bert, llama, package, prompt,
    reference::{Reference, Roots},
    TOKENIZER,
};

fn embed(package: &Arc<Package>, ids: &[u32], stages: u32, setup: &Setup) -> Embedding {
    Embedder::open(package, stages, setup).unwrap().embed(ids, &mut Control::default()).unwrap()
}

fn roots(commit: &StageCommit) -> Roots {
    Roots {
        in_root: commit.in_root,
        out_root: commit.out_root,
        kv_root: commit.kv_root,
        tail_root: commit.tail_root,
        stage_root: commit.stage_root,
    }
}

/// The same text through every division of the layers, every backend and several numbers of threads, and by the
/// checkers' way.
fn compare_with_reference(header: Header, seed: u64, length: usize) {
    let (_directory, package) = package(header, seed);
    let ids = prompt(package.header(), length, seed);
    let reference = Reference::new(&package);
    for stages in 1..=package.header().layers {
        let spans = even_spans(package.header().layers, stages).unwrap();
        let (v, expected) = reference.encode(&ids, &spans);
        for backend in Backend::available() {
            for threads in [1, 3] {
                let what = format!("{length} ids, {stages} stages, {backend}, {threads} threads");
                let found = embed(&package, &ids, stages, &Setup::new(backend, threads));
                assert_eq!(found.v, v, "{what}");
                assert!(found.commits.iter().all(|commit| commit.positions == length as u32), "{what}");
                assert_eq!(found.commits.iter().map(roots).collect::<Vec<_>>(), expected, "{what}");
            }
        }
        let mut rows: Option<Vec<i32>> = None;
        for (span, expected) in spans.iter().zip(&expected) {
            let setup = Setup::new(Backend::detect(), 2);
            let Encoded { output, commit } =
                replay_encoder(&package, span.clone(), &ids, rows.as_deref(), &setup, &mut Control::default()).unwrap();
            assert_eq!(roots(&commit), *expected, "replay of {span:?}");
            match output {
                EncoderOutput::Rows(out) => rows = Some(out),
                EncoderOutput::Vector(found) => assert_eq!(found, v),
            }
        }
    }
}

/// The other tests mean something only if the random models compute something.
#[test]
fn embed_of_random_models_is_a_unit_vector_that_depends_on_every_id() {
    let (_directory, package) = package(bert(), 1);
    let ids = prompt(package.header(), 40, 1);
    let v = embed(&package, &ids, 1, &Setup::default()).v;
    let square: f64 = v.iter().map(|v| f64::from(*v).powi(2)).sum();
    assert!((square.sqrt() / 32768. - 1.).abs() < 1e-3, "length {}", square.sqrt());
    for position in [0, 17, 39] {
        let mut other = ids.clone();
        other[position] = (other[position] + 1) % package.header().vocab;
        assert_ne!(embed(&package, &other, 1, &Setup::default()).v, v, "position {position}");
    }
    // The first position sees the last: attention is not causal.
    let (_directory, first) = support::package(Header { pool: Pool::First, ..bert() }, 1);
    let mut other = ids.clone();
    other[39] = (other[39] + 1) % package.header().vocab;
    assert_ne!(embed(&first, &ids, 1, &Setup::default()).v, embed(&first, &other, 1, &Setup::default()).v);
}

#[test]
fn embed_bert_equals_the_reference() {
    for length in [1, 2, 15, 16, 17, 40] {
        compare_with_reference(bert(), 2, length);
    }
}

#[test]
fn embed_text_longer_than_a_chunk_equals_the_reference() {
    for length in [127, 128, 129, 300] {
        compare_with_reference(Header { layers: 2, ..bert() }, 3, length);
    }
}

#[test]
fn embed_all_flags_and_placements_equal_the_reference() {
    let allowed = Flags::ALL.0 & !(Flags::SHARED_HEAD.0 | Flags::FINAL_CAP.0 | Flags::ROUTER_OVER_ALL.0);
    for placement in [Placement::Pre, Placement::Post, Placement::Sandwich] {
        for pool in [Pool::Mean, Pool::First] {
            let decoder = all_flags(placement);
            let header = Header {
                kind: bert().kind,
                flags: Flags(allowed),
                final_cap: bert().final_cap,
                eos: vec![],
                pool,
                ..decoder
            };
            compare_with_reference(header, 4, 37);
        }
    }
}

#[test]
fn embed_gated_rotary_and_experts_equal_the_reference() {
    let gated = Header { kind: bert().kind, eos: vec![], pool: Pool::Mean, flags: Flags(0), ..llama() };
    compare_with_reference(gated.clone(), 5, 33);
    compare_with_reference(Header { experts: 5, experts_per_token: 2, flags: Flags::FINAL_NORM, ..gated }, 6, 20);
}

#[test]
fn embed_after_other_texts_gives_the_same() {
    let (_directory, package) = package(bert(), 7);
    let mut embedder = Embedder::open(&package, 2, &Setup::default()).unwrap();
    let texts: Vec<Vec<u32>> = [400, 5, 129, 1].iter().map(|n| prompt(package.header(), *n, *n as u64)).collect();
    for ids in &texts {
        let found = embedder.embed(ids, &mut Control::default()).unwrap();
        assert_eq!(found, embed(&package, ids, 2, &Setup::default()));
    }
}

#[test]
fn embed_a_full_context_is_possible_and_one_more_is_refused() {
    let (_directory, package) = package(Header { context: 20, ..bert() }, 8);
    let ids = prompt(package.header(), 21, 8);
    embed(&package, &ids[..20], 1, &Setup::default());
    let mut embedder = Embedder::open(&package, 1, &Setup::default()).unwrap();
    let error = embedder.embed(&ids, &mut Control::default()).unwrap_err();
    assert!(matches!(error, EngineError::TextLength { tokens: 21, context: 20 }), "{error}");
}

#[test]
fn decoders_operations_on_an_encoder_are_refused_and_the_reverse() {
    let (_directory, encoder) = package(bert(), 9);
    let spec = StageSpec { first: 0, end: 3, prompt: [1].into(), max_new: 1, sampling: Sampling::GREEDY };
    let error = Stage::open(&encoder, spec, &Setup::default()).map(drop).unwrap_err();
    assert!(matches!(error, EngineError::NotADecoder) && error.to_string().contains("`embed`"), "{error}");
    let request = Request { prompt: [1].into(), max_new: 1, sampling: Sampling::GREEDY, stages: 1 };
    let error = generate(&encoder, &request, &Setup::default(), &mut Control::default(), |_| {
        std::ops::ControlFlow::Continue(())
    });
    assert!(matches!(error, Err(EngineError::NotADecoder)));
    assert!(matches!(ExactScorer::new(&encoder, Backend::Scalar, 1).map(drop), Err(EngineError::NotADecoder)));

    let (_directory, decoder) = package(llama(), 9);
    let error = EncoderStage::open(&decoder, 0..4, &Setup::default()).map(drop).unwrap_err();
    assert!(matches!(error, EngineError::NotAnEncoder) && error.to_string().contains("`generate`"), "{error}");
    let error = Embedder::open(&decoder, 1, &Setup::default()).map(drop);
    assert!(matches!(error, Err(EngineError::NotAnEncoder)));
}

#[test]
fn open_of_a_span_that_the_model_does_not_have_is_refused() {
    let (_directory, package) = package(bert(), 10);
    for span in [Range { start: 2, end: 2 }, Range { start: 2, end: 1 }, 0..4, 3..4] {
        let error = EncoderStage::open(&package, span, &Setup::default()).map(drop).unwrap_err();
        assert!(matches!(error, EngineError::Package(PackageError::Span { layers: 3, .. })), "{error}");
    }
    let error = Embedder::open(&package, 4, &Setup::default()).map(drop);
    assert!(matches!(error, Err(EngineError::Stages { stages: 4, layers: 3 })));
}

#[test]
fn forward_with_a_bad_input_is_a_specific_error_and_the_stage_goes_on() {
    let (_directory, package) = package(bert(), 11);
    let control = &mut Control::default();
    let mut first = EncoderStage::open(&package, 0..2, &Setup::default()).unwrap();
    let mut last = EncoderStage::open(&package, 2..3, &Setup::default()).unwrap();
    let mut bad = |input| first.forward(input, control).unwrap_err();
    assert!(matches!(bad(StageInput::Rows(&[0; 42])), EngineError::InputKind { expected: "token ids", .. }));
    assert!(matches!(bad(StageInput::Ids(&[])), EngineError::EmptyInput));
    assert!(matches!(bad(StageInput::Ids(&[1, 67])), EngineError::TokenId { position: 1, id: 67, vocab: 67 }));
    assert!(matches!(bad(StageInput::Ids(&[1; 701])), EngineError::TextLength { tokens: 701, context: 700 }));
    let mut bad = |input| last.forward(input, control).unwrap_err();
    assert!(matches!(bad(StageInput::Ids(&[1])), EngineError::InputKind { expected: "boundary rows", .. }));
    assert!(matches!(bad(StageInput::Rows(&[0; 43])), EngineError::RowWidth { width: 42, found: 43 }));
    assert!(matches!(bad(StageInput::Rows(&[])), EngineError::EmptyInput));

    let expected = embed(&package, &[1, 2, 3], 1, &Setup::default()).v;
    let EncoderOutput::Rows(rows) = first.forward(StageInput::Ids(&[1, 2, 3]), control).unwrap().output else {
        panic!("not the last stage")
    };
    let encoded = last.forward(StageInput::Rows(&rows), control).unwrap();
    assert_eq!(encoded.output, EncoderOutput::Vector(expected));
    // Values that no honest stage sends are data, not a reason to stop.
    let extreme: Vec<i32> = (0..42 * 3).map(|i| if i % 2 == 0 { i32::MIN } else { i32::MAX }).collect();
    last.forward(StageInput::Rows(&extreme), control).unwrap();
}

#[test]
fn replay_of_forged_rows_differs_and_of_a_wrong_number_is_refused() {
    let (_directory, package) = package(bert(), 12);
    let ids = prompt(package.header(), 20, 12);
    let setup = Setup::default();
    let mut first = EncoderStage::open(&package, 0..1, &setup).unwrap();
    let Encoded { output: EncoderOutput::Rows(rows), commit } =
        first.forward(StageInput::Ids(&ids), &mut Control::default()).unwrap()
    else {
        panic!("not the last stage")
    };
    let replay = |rows: Option<&[i32]>| replay_encoder(&package, 1..3, &ids, rows, &setup, &mut Control::default());
    let honest = replay(Some(&rows)).unwrap().commit;
    assert_eq!(honest.in_root, commit.out_root);
    let mut forged = rows.clone();
    forged[5] ^= 1 << 12;
    let found = replay(Some(&forged)).unwrap().commit;
    assert!(found.in_root != honest.in_root && found.kv_root != honest.kv_root);

    let error = replay(Some(&rows[42..])).unwrap_err();
    assert!(matches!(error, EngineError::RowCount { expected: 20, found: 19 }), "{error}");
    assert!(matches!(replay(None).unwrap_err(), EngineError::InputKind { .. }));
    assert!(matches!(replay(Some(&rows[1..])).unwrap_err(), EngineError::RowWidth { .. }));
}

#[test]
fn forward_cancelled_stops_and_the_next_text_is_computed() {
    let (_directory, package) = package(bert(), 13);
    let mut embedder = Embedder::open(&package, 1, &Setup::default()).unwrap();
    let cancel = AtomicBool::new(true);
    let error = embedder.embed(&[1, 2, 3], &mut Control::default().cancelled_by(&cancel)).unwrap_err();
    assert!(matches!(error, EngineError::Cancelled));
    cancel.store(false, Ordering::Relaxed);
    let found = embedder.embed(&[1, 2, 3], &mut Control::default().cancelled_by(&cancel)).unwrap();
    assert_eq!(found, embed(&package, &[1, 2, 3], 1, &Setup::default()));
}

/// An encoder of width `d` whose two layers add nothing, with `embedding` and `positions` as its only rows.
fn idle(
    directory: &Path,
    d: u32,
    f_h: u32,
    embedding: (&[i8], RowScale),
    positions: (&[i8], RowScale),
) -> Arc<Package> {
    let header = Header {
        vocab: 1,
        context: 1,
        d,
        layers: 2,
        query_heads: 1,
        kv_heads: 1,
        head_dim: 2,
        hidden: 1,
        f_h,
        flags: Flags::POSITIONS,
        placement: Placement::Pre,
        pool: Pool::Mean,
        ..bert()
    };
    let mut writer = PackageWriter::create(directory, header, TOKENIZER, None).unwrap();
    let header = writer.header().clone();
    for entry in header.entries().skip(1) {
        let parts: Vec<_> = header
            .parts(entry)
            .map(|part| match (entry, part.layout) {
                (Entry::Embedding, _) => encode::linear(embedding.0, &[embedding.1.pack()], None),
                (Entry::Positions, _) => encode::linear(positions.0, &[positions.1.pack()], None),
                (_, Layout::Linear { out, input, .. }) => {
                    encode::linear(&vec![0; (out * input) as usize], &vec![0; out as usize], None)
                }
                (_, Layout::Norm { n, .. }) => {
                    encode::norm(NormConstants { f_g: 0, eps: Eps::ZERO }, &vec![1; n as usize], None)
                }
                (_, Layout::Statics { .. }) => {
                    let scale = HeadScale { c: 1, sigma_l: 0, soft_cap: None };
                    let f = f_h as i32;
                    let query_heads = vec![QueryHead { sigma: 30, scale }];
                    LayerStatics {
                        window: 0,
                        rope_table: None,
                        e_v: 0,
                        f_o: f,
                        f_d: f,
                        query_heads,
                        kv_sigma: vec![30],
                    }
                    .encode()
                }
                (_, _) => Vec::new(),
            })
            .collect();
        writer.write(entry, &parts).unwrap();
    }
    writer.finish().unwrap();
    Arc::new(Package::open(directory).unwrap())
}

#[test]
fn first_stage_gives_the_embedding_row_of_section_13() {
    let directory = tempfile::tempdir().unwrap();
    let token = (&[-128, 127][..], RowScale { m: 12582912, k: 31 });
    let position = (&[3, -1][..], RowScale { m: 8388608, k: 28 });
    let package = idle(&directory.path().join("model"), 2, 12, token, position);
    for backend in Backend::available() {
        let mut stage = EncoderStage::open(&package, 0..1, &Setup::new(backend, 1)).unwrap();
        let encoded = stage.forward(StageInput::Ids(&[0]), &mut Control::default()).unwrap();
        assert_eq!(encoded.output, EncoderOutput::Rows(vec![-2688, 2920]), "{backend}");
    }
}

#[test]
fn last_stage_gives_the_vector_and_the_root_of_section_13() {
    let directory = tempfile::tempdir().unwrap();
    let zero = (&[0; 3][..], RowScale { m: 0, k: 0 });
    let package = idle(&directory.path().join("model"), 3, 12, zero, zero);
    for backend in Backend::available() {
        let mut stage = EncoderStage::open(&package, 1..2, &Setup::new(backend, 1)).unwrap();
        let encoded = stage.forward(StageInput::Rows(&[3, -4, 0]), &mut Control::default()).unwrap();
        assert_eq!(encoded.output, EncoderOutput::Vector(vec![19661, -26214, 0]), "{backend}");
        assert_eq!(
            Hex(&encoded.commit.out_root).to_string(),
            "de99e3bd82e95d5442e0cc14d7d1c7d7d8b739e0fa8dc9ef5c5fa9329cab1f20"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Any shape: the fastest kernels on several threads and over stages equal the plain model.
    #[test]
    fn embed_any_shape_equals_the_reference(
        seed in any::<u64>(),
        (kv_heads, group) in (1u32..4, 1u32..4),
        half_dim in 1u32..20,
        (d, hidden, vocab) in (1u32..80, 1u32..140, 4u32..120),
        layers in 1u32..4,
        length in 1usize..180,
        first in any::<bool>(),
    ) {
        let header = Header {
            d, hidden, vocab, layers, kv_heads,
            query_heads: kv_heads * group,
            head_dim: 2 * half_dim,
            pool: if first { Pool::First } else { Pool::Mean },
            ..bert()
        };
        let (_directory, package) = package(header, seed);
        let ids = prompt(package.header(), length, seed);
        let stages = 1 + (seed % u64::from(layers)) as u32;
        let spans = even_spans(layers, stages).unwrap();
        let (v, expected) = Reference::new(&package).encode(&ids, &spans);
        let found = embed(&package, &ids, stages, &Setup::new(Backend::detect(), 2));
        prop_assert_eq!(found.v, v);
        prop_assert_eq!(found.commits.iter().map(roots).collect::<Vec<_>>(), expected);
    }
}

//! The stage executor against a plain model written from the specification, and against itself: any division of
//! the work gives the same ids and roots.

mod support;

use std::{
    ops::ControlFlow,
    sync::{
        atomic::{AtomicBool, Ordering},
        Arc,
    },
};

use assay_engine::{
    generate::{generate, Request},
    kernels::Backend,
    package::{Package, PackageError},
    stage::{
        even_spans, replay, Control, Divergence, EndReason, Replay, Setup, Stage, StageCommit, StageInput, StageOutput,
        StageSpec,
    },
    EngineError, Sampling,
};
use assay_exact::{
    commit::ids_root,
    hash::Blake2b,
    header::{Flags, Header, Placement},
};
use proptest::prelude::*;
use support::{
    all_flags, llama, package, prompt,
    reference::{Reference, Roots},
};

const SAMPLED: Sampling = Sampling { temperature: 900, top_k: 40, top_p: 60_000, seed: [7; 32] };

fn spec(package: &Package, prompt: &[u32], max_new: u32, sampling: Sampling) -> StageSpec {
    StageSpec { first: 0, end: package.header().layers, prompt: prompt.into(), max_new, sampling }
}

fn run(package: &Arc<Package>, request: &Request, setup: &Setup) -> (Vec<u32>, Vec<StageCommit>) {
    let control = &mut Control::default();
    let generation = generate(package, request, setup, control, |_| ControlFlow::Continue(())).unwrap();
    (generation.ids, generation.commits)
}

fn assert_roots(found: &[StageCommit], expected: &[Roots], what: &str) {
    let found: Vec<Roots> = found.iter().map(Roots::from).collect();
    assert_eq!(found, expected, "{what}");
}

/// The boundary rows that enter each span for a finished transcript.
fn boundaries(package: &Arc<Package>, spec: &StageSpec, transcript: &[u32], stages: u32) -> Vec<Option<Vec<i32>>> {
    let mut rows: Vec<Option<Vec<i32>>> = vec![None];
    let n = transcript.len() - 1;
    for span in even_spans(package.header().layers, stages).unwrap().iter().take(stages as usize - 1) {
        let spec = StageSpec { first: span.start, end: span.end, ..spec.clone() };
        let mut stage = Stage::open(package, spec, &Setup::default()).unwrap();
        let input = match rows.last().unwrap() {
            None => StageInput::Ids(&transcript[..n]),
            Some(rows) => StageInput::Rows(rows),
        };
        let StageOutput::Rows(out) = stage.forward(input, &mut Control::default()).unwrap() else {
            panic!("not the last stage")
        };
        rows.push(Some(out));
    }
    rows
}

fn compare_with_reference(header: Header, seed: u64, prompt_length: usize, max_new: u32, sampling: Sampling) {
    let (_directory, package) = package(header, seed);
    let prompt = prompt(package.header(), prompt_length, seed);
    let reference = Reference::new(&package);
    for stages in 1..=package.header().layers {
        let spans = even_spans(package.header().layers, stages).unwrap();
        let (ids, roots) = reference.run(&prompt, max_new, sampling, &spans);
        for backend in Backend::available() {
            for threads in [1, 3] {
                let request = Request { prompt: prompt.clone().into(), max_new, sampling, stages };
                let what = format!("{stages} stages, {backend}, {threads} threads");
                let (found, commits) = run(&package, &request, &Setup::new(backend, threads));
                assert_eq!(found, ids, "{what}");
                assert_roots(&commits, &roots, &what);
            }
        }
        // The checkers' prefill.
        let spec = spec(&package, &prompt, max_new, sampling);
        let rows = boundaries(&package, &spec, &ids, stages);
        for ((span, rows), roots) in spans.iter().zip(rows).zip(&roots) {
            let spec = StageSpec { first: span.start, end: span.end, ..spec.clone() };
            let setup = Setup::new(Backend::detect(), 2);
            let Replay { commit, divergence } =
                replay(&package, spec, &ids, rows.as_deref(), &setup, &mut Control::default()).unwrap();
            assert_eq!(divergence, None);
            assert_roots(&[commit], std::slice::from_ref(roots), "replay");
        }
    }
}

/// The other tests mean something only if the random models compute something.
#[test]
fn forward_of_random_packages_gives_rows_of_ordinary_size() {
    for header in [llama(), all_flags(Placement::Pre), all_flags(Placement::Post), all_flags(Placement::Sandwich)] {
        let (_directory, package) = package(header, 30);
        let one = i64::from(1 << package.header().f_h);
        let prompt = prompt(package.header(), 50, 30);
        let spec = StageSpec { end: 3, ..spec(&package, &prompt, 5, Sampling::GREEDY) };
        let mut stage = Stage::open(&package, spec, &Setup::default()).unwrap();
        let StageOutput::Rows(rows) = stage.forward(StageInput::Ids(&prompt), &mut Control::default()).unwrap() else {
            panic!("rows expected")
        };
        let mean = rows.iter().map(|v| i64::from(*v).abs()).sum::<i64>() / rows.len() as i64;
        assert!((one / 16..one * 64).contains(&mean), "mean {mean}, one is {one}");
        let mut values = rows.clone();
        values.sort_unstable();
        values.dedup();
        assert!(values.len() * 10 > rows.len() * 9, "{} values of {}", values.len(), rows.len());
    }
}

#[test]
fn generate_llama_equals_the_reference() {
    compare_with_reference(llama(), 1, 23, 30, Sampling::GREEDY);
    compare_with_reference(llama(), 2, 1, 40, SAMPLED);
}

#[test]
fn generate_with_every_flag_equals_the_reference() {
    for (seed, placement) in (3..).zip([Placement::Pre, Placement::Post, Placement::Sandwich]) {
        compare_with_reference(all_flags(placement), seed, 37, 12, SAMPLED);
    }
}

#[test]
fn generate_gated_with_norms_elsewhere_equals_the_reference() {
    for (seed, placement) in (7..).zip([Placement::Post, Placement::Sandwich]) {
        compare_with_reference(Header { placement, ..llama() }, seed, 18, 9, SAMPLED);
    }
}

#[test]
fn forward_in_chunks_of_any_size_gives_the_same_rows_and_roots() {
    let (_directory, package) = package(Header { eos: vec![], ..llama() }, 11);
    let prompt = prompt(package.header(), 600, 11);
    let spec = StageSpec { end: 2, ..spec(&package, &prompt, 10, Sampling::GREEDY) };
    let run = |chunk: usize, backend, threads| {
        let mut stage = Stage::open(&package, spec.clone(), &Setup::new(backend, threads)).unwrap();
        let mut rows = Vec::new();
        for ids in prompt.chunks(chunk) {
            match stage.forward(StageInput::Ids(ids), &mut Control::default()).unwrap() {
                StageOutput::Rows(out) => rows.extend(out),
                other => panic!("{other:?} from a first stage"),
            }
        }
        let (in_root, out_root) = (stage.in_root(), stage.out_root());
        assert_eq!((in_root.0, out_root.0), (600, 600));
        let mut last =
            Stage::open(&package, StageSpec { first: 2, end: 4, ..spec.clone() }, &Setup::new(backend, threads))
                .unwrap();
        let mut output = StageOutput::Prompt;
        for rows in rows.chunks(chunk * package.header().d as usize) {
            assert_eq!(output, StageOutput::Prompt);
            output = last.forward(StageInput::Rows(rows), &mut Control::default()).unwrap();
        }
        assert!(matches!(output, StageOutput::Token(_)));
        assert_eq!(last.in_root(), out_root);
        (rows, in_root, out_root, last.out_root(), output)
    };
    let expected = run(1, Backend::Scalar, 1);
    for chunk in [1, 2, 3, 15, 16, 17, 64, 100, 127, 128, 129, 255, 256, 300, 511, 512, 600] {
        for (backend, threads) in [(Backend::Scalar, 2), (Backend::detect(), 1), (Backend::detect(), 4)] {
            assert_eq!(run(chunk, backend, threads), expected, "chunks of {chunk}, {backend}, {threads} threads");
        }
    }
}

#[test]
fn out_root_of_each_prefix_equals_in_root_of_the_next_stage() {
    let (_directory, package) = package(Header { eos: vec![], ..llama() }, 12);
    let prompt = prompt(package.header(), 5, 12);
    let spec = spec(&package, &prompt, 70, SAMPLED);
    let open = |first, end| Stage::open(&package, StageSpec { first, end, ..spec.clone() }, &Setup::default()).unwrap();
    let (mut first, mut last) = (open(0, 3), open(3, 4));
    let mut ids = prompt.clone();
    let end = loop {
        let StageOutput::Rows(rows) = first.forward(StageInput::Ids(&ids), &mut Control::default()).unwrap() else {
            panic!("the first of two stages gives rows")
        };
        let StageOutput::Token(token) = last.forward(StageInput::Rows(&rows), &mut Control::default()).unwrap() else {
            panic!("the prompt was complete")
        };
        assert_eq!(first.out_root(), last.in_root());
        ids = vec![token.id];
        match token.end {
            Some(end) => {
                first.end(token.id).unwrap();
                break end;
            }
            // What the last stage has handed over is what the first has, once it is fed.
            None => assert_eq!(first.in_root().0 + 1, last.out_root().0),
        }
    };
    assert_eq!(end, EndReason::MaxNew);
    assert_eq!(first.in_root(), last.out_root());
    assert_eq!(first.ids(), last.ids());
    let (first, last) = (first.finish().unwrap(), last.finish().unwrap());
    assert_eq!((first.in_root, first.out_root), (last.out_root, last.in_root));
    assert_eq!((first.positions, last.positions), (74, 74));
}

#[test]
fn replay_of_a_forged_transcript_names_the_first_divergence() {
    let (_directory, package) = package(llama(), 13);
    let prompt = prompt(package.header(), 4, 13);
    let request = Request { prompt: prompt.clone().into(), max_new: 24, sampling: SAMPLED, stages: 1 };
    let (ids, commits) = run(&package, &request, &Setup::default());
    let spec = spec(&package, &prompt, 24, SAMPLED);
    let check = |ids: &[u32], spec: &StageSpec| {
        replay(&package, spec.clone(), ids, None, &Setup::default(), &mut Control::default()).unwrap()
    };
    let honest = check(&ids, &spec);
    assert_eq!((honest.commit, honest.divergence), (commits[0], None));

    let mut forged = ids.clone();
    let at = ids.len() - 2;
    forged[at] = (forged[at] + 1) % package.header().vocab;
    let Replay { commit, divergence } = check(&forged, &spec);
    let expected = Divergence::Draw { position: at as u32, expected: ids[at], found: forged[at] };
    assert_eq!(divergence, Some(expected));
    assert_ne!(commit.stage_root, commits[0].stage_root);
    assert_ne!(commit.in_root, commit.out_root);

    let cut = &ids[..ids.len() - 1];
    let Replay { commit, divergence } = check(cut, &spec);
    // Every checker that finds it commits to the same root, which is not that of the transcript.
    assert_eq!(commit.out_root, ids_root::<Blake2b>([]));
    assert_eq!(commit.in_root, ids_root::<Blake2b>(cut.iter().copied()));
    assert_eq!(divergence, Some(Divergence::EarlyEnd { position: cut.len() as u32 - 1 }));

    // A model to which the second generated id is an eos id: the same transcript goes on past its end.
    let eos = ids[5];
    assert_ne!(ids[4], eos, "choose another seed");
    let (_directory, ended) = support::package(Header { eos: vec![eos], ..llama() }, 13);
    let Replay { commit, divergence } =
        replay(&ended, spec, &ids, None, &Setup::default(), &mut Control::default()).unwrap();
    assert_eq!(divergence, Some(Divergence::PastEnd { position: 5 }));
    assert_eq!(commit.out_root, ids_root::<Blake2b>(ids[..=5].iter().copied()));
}

#[test]
fn open_with_a_bad_spec_is_a_specific_error() {
    let (_directory, package) = package(llama(), 14);
    let good = spec(&package, &[1, 2], 5, Sampling::GREEDY);
    let open = |spec: StageSpec| Stage::open(&package, spec, &Setup::default()).map(drop).unwrap_err();
    assert!(matches!(open(StageSpec { prompt: [].into(), ..good.clone() }), EngineError::EmptyPrompt));
    assert!(matches!(open(StageSpec { max_new: 0, ..good.clone() }), EngineError::NothingToGenerate));
    assert!(matches!(
        open(StageSpec { max_new: 699, ..good.clone() }),
        EngineError::Context { prompt: 2, max_new: 699, context: 700 }
    ));
    assert!(matches!(open(StageSpec { max_new: u32::MAX, ..good.clone() }), EngineError::Context { .. }));
    assert!(matches!(
        open(StageSpec { prompt: [1, 67].into(), ..good.clone() }),
        EngineError::TokenId { position: 1, id: 67, vocab: 67 }
    ));
    for (first, end) in [(2, 2), (3, 2), (0, 5), (4, 5)] {
        let error = open(StageSpec { first, end, ..good.clone() });
        assert!(matches!(error, EngineError::Package(PackageError::Span { layers: 4, .. })), "{error}");
    }
    let sampling = Sampling { top_p: 0, ..Sampling::GREEDY };
    assert!(matches!(open(StageSpec { sampling, ..good }), EngineError::Sampling(_)));
}

#[test]
fn forward_with_a_bad_input_is_a_specific_error_and_changes_nothing() {
    let (_directory, package) = package(Header { eos: vec![], ..llama() }, 15);
    let good = spec(&package, &[1, 2, 3], 2, Sampling::GREEDY);
    let control = &mut Control::default();
    let mut first = Stage::open(&package, StageSpec { end: 2, ..good.clone() }, &Setup::default()).unwrap();
    let mut last = Stage::open(&package, StageSpec { first: 2, ..good.clone() }, &Setup::default()).unwrap();

    let mut bad = |input| first.forward(input, control).unwrap_err();
    assert!(matches!(bad(StageInput::Rows(&[0; 42])), EngineError::InputKind { expected: "token ids", .. }));
    assert!(matches!(bad(StageInput::Ids(&[])), EngineError::EmptyInput));
    assert!(matches!(bad(StageInput::Ids(&[1, 67])), EngineError::TokenId { position: 1, id: 67, vocab: 67 }));
    let error = bad(StageInput::Ids(&[1, 3]));
    assert!(matches!(error, EngineError::Transcript { position: 1, expected: 2, found: 3 }));
    let error = bad(StageInput::Ids(&[1, 2, 3, 4, 5]));
    assert!(matches!(error, EngineError::TooFar { from: 0, to: 5, limit: 4 }));
    assert!(matches!(first.end(5).unwrap_err(), EngineError::NotEnded { computed: 0, .. }));
    assert_eq!((first.positions(), first.in_root().0), (0, 0));

    let mut bad = |input| last.forward(input, control).unwrap_err();
    assert!(matches!(bad(StageInput::Ids(&[1])), EngineError::InputKind { expected: "boundary rows", .. }));
    assert!(matches!(bad(StageInput::Rows(&[0; 43])), EngineError::RowWidth { width: 42, found: 43 }));
    assert!(matches!(bad(StageInput::Rows(&[])), EngineError::EmptyInput));
    let error = bad(StageInput::Rows(&[0; 42 * 4]));
    assert!(matches!(error, EngineError::TooFar { from: 0, to: 4, limit: 3 }));

    // After all of these the stages still do their work.
    let StageOutput::Rows(rows) = first.forward(StageInput::Ids(&[1, 2, 3]), control).unwrap() else {
        panic!("rows expected")
    };
    let StageOutput::Token(token) = last.forward(StageInput::Rows(&rows), control).unwrap() else {
        panic!("a token expected")
    };
    assert!(matches!(first.end(token.id).unwrap_err(), EngineError::NotEnded { computed: 3, .. }));
    let StageOutput::Rows(rows) = first.forward(StageInput::Ids(&[token.id]), control).unwrap() else {
        panic!("rows expected")
    };
    let StageOutput::Token(token) = last.forward(StageInput::Rows(&rows), control).unwrap() else {
        panic!("a token expected")
    };
    assert_eq!(token.end, Some(EndReason::MaxNew));
    assert!(matches!(last.forward(StageInput::Rows(&rows), control).unwrap_err(), EngineError::Ended));
    first.end(token.id).unwrap();
    assert_eq!(first.finish().unwrap().in_root, last.finish().unwrap().out_root);

    // Values that no honest stage sends are data, not a reason to stop.
    let mut last = Stage::open(&package, StageSpec { first: 2, ..good }, &Setup::default()).unwrap();
    let extreme: Vec<i32> = (0..42 * 3).map(|i| if i % 2 == 0 { i32::MIN } else { i32::MAX }).collect();
    assert!(matches!(last.forward(StageInput::Rows(&extreme), control), Ok(StageOutput::Token(_))));
}

#[test]
fn forward_of_an_eos_id_is_refused_and_end_takes_it() {
    let (_directory, package) = package(llama(), 16);
    let spec = StageSpec { end: 1, ..spec(&package, &[3, 2], 20, Sampling::GREEDY) };
    let control = &mut Control::default();
    let mut stage = Stage::open(&package, spec, &Setup::default()).unwrap();
    // In the prompt an eos id is an id like any other.
    stage.forward(StageInput::Ids(&[3, 2]), control).unwrap();
    let error = stage.forward(StageInput::Ids(&[9]), control).unwrap_err();
    assert!(matches!(error, EngineError::FinalId { position: 2, id: 9 }));
    stage.end(9).unwrap();
    assert!(matches!(stage.forward(StageInput::Ids(&[1]), control).unwrap_err(), EngineError::Ended));
    assert_eq!(stage.ids(), [3, 2, 9]);
    assert_eq!(stage.finish().unwrap().positions, 2);
}

#[test]
fn finish_before_the_end_is_an_error() {
    let (_directory, package) = package(Header { eos: vec![], ..llama() }, 17);
    let spec = spec(&package, &[1, 2], 3, Sampling::GREEDY);
    let mut stage = Stage::open(&package, spec, &Setup::default()).unwrap();
    stage.forward(StageInput::Ids(&[1, 2]), &mut Control::default()).unwrap();
    assert!(matches!(stage.finish().unwrap_err(), EngineError::NotEnded { computed: 2, .. }));
}

#[test]
fn forward_cancelled_stops_within_a_layer_and_for_good() {
    let (_directory, package) = package(llama(), 18);
    let prompt = prompt(package.header(), 300, 18);
    let mut stage = Stage::open(&package, spec(&package, &prompt, 3, Sampling::GREEDY), &Setup::default()).unwrap();
    let cancel = AtomicBool::new(false);
    let mut seen = Vec::new();
    let mut progress = |p: assay_engine::stage::Progress| {
        seen.push((p.positions, p.of));
        cancel.store(true, Ordering::Relaxed);
    };
    let mut control = Control::default().cancelled_by(&cancel).reporting_to(&mut progress);
    let error = stage.forward(StageInput::Ids(&prompt), &mut control).unwrap_err();
    assert!(matches!(error, EngineError::Cancelled));
    assert_eq!(seen, [(128, 300)]);
    let error = stage.forward(StageInput::Ids(&prompt), &mut Control::default()).unwrap_err();
    assert!(matches!(error, EngineError::Cancelled));
    assert!(matches!(stage.finish().unwrap_err(), EngineError::Cancelled));
}

#[test]
fn generate_with_experts_equals_the_reference() {
    let sparse = Header { experts: 5, experts_per_token: 2, ..llama() };
    compare_with_reference(sparse.clone(), 20, 33, 9, SAMPLED);
    let flags = sparse.flags.with(Flags::ROUTER_OVER_ALL).with(Flags::MLP_BIAS).with(Flags::UNGATED);
    let all = Header { experts_per_token: 5, flags, placement: Placement::Sandwich, ..sparse };
    compare_with_reference(all, 21, 20, 6, Sampling::GREEDY);
}

#[test]
fn generate_with_two_planes_equals_the_reference() {
    let fine = |header: Header| Header { flags: header.flags.with(Flags::SECOND_PLANE), ..header };
    compare_with_reference(fine(llama()), 22, 41, 9, SAMPLED);
    compare_with_reference(fine(all_flags(Placement::Sandwich)), 23, 18, 9, Sampling::GREEDY);
    compare_with_reference(fine(Header { experts: 5, experts_per_token: 2, ..llama() }), 24, 20, 6, SAMPLED);
}

#[test]
fn even_spans_cover_the_model_and_refuse_the_impossible() {
    assert_eq!(even_spans(8, 3).unwrap(), [0..3, 3..6, 6..8]);
    assert_eq!(even_spans(8, 8).unwrap().len(), 8);
    for stages in [0, 9] {
        assert!(matches!(even_spans(8, stages), Err(EngineError::Stages { layers: 8, .. })));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Any shape: decode over stages, on the fastest kernels and several threads, equals the plain model.
    #[test]
    fn generate_any_shape_equals_the_reference(
        seed in any::<u64>(),
        (kv_heads, group) in (1u32..4, 1u32..4),
        half_dim in 1u32..20,
        (d, hidden, vocab) in (1u32..80, 1u32..140, 4u32..120),
        layers in 1u32..4,
        prompt_length in 1usize..50,
        max_new in 1u32..12,
        temperature in prop_oneof![Just(0u16), 1..3000u16],
        top_k in 0u32..20,
        top_p in 1u32..=65536,
    ) {
        let header = Header {
            d, hidden, vocab, layers, kv_heads,
            query_heads: kv_heads * group,
            head_dim: 2 * half_dim,
            rot: 2 * half_dim,
            eos: vec![1],
            ..llama()
        };
        let (_directory, package) = package(header, seed);
        let prompt = prompt(package.header(), prompt_length, seed);
        let sampling = Sampling { temperature, top_k, top_p, seed: [seed as u8; 32] };
        let stages = 1 + (seed % u64::from(layers)) as u32;
        let spans = even_spans(layers, stages).unwrap();
        let (ids, roots) = Reference::new(&package).run(&prompt, max_new, sampling, &spans);
        let request = Request { prompt: prompt.into(), max_new, sampling, stages };
        let (found, commits) = run(&package, &request, &Setup::new(Backend::detect(), 2));
        prop_assert_eq!(found, ids);
        assert_roots(&commits, &roots, "any shape");
    }
}

//! The embedded demo model: text in, text out.

use std::{ops::ControlFlow, sync::Arc};

use assay_engine::{
    demo,
    generate::{generate, Generation, Request},
    kernels::Backend,
    stage::{replay, Control, EndReason, Setup, StageSpec},
    tokenizer::Tokenizer,
    Sampling,
};

const PROMPT: &str = "The borrow checker";

fn run(request: &Request, setup: &Setup) -> Generation {
    let package = Arc::new(demo::package().unwrap());
    generate(&package, request, setup, &mut Control::default(), |_| ControlFlow::Continue(())).unwrap()
}

fn request(sampling: Sampling, stages: u32) -> Request {
    let tokenizer = Tokenizer::load(&demo::package().unwrap()).unwrap();
    Request { prompt: tokenizer.encode(PROMPT).unwrap().into(), max_new: 40, sampling, stages }
}

#[test]
fn embedded_package_verifies() {
    demo::package().unwrap().verify(None).unwrap();
}

#[test]
fn generate_over_stages_backends_and_threads_gives_one_answer_that_replay_confirms() {
    let sampling = Sampling { temperature: 800, top_k: 0, top_p: 60_000, seed: [3; 32] };
    let expected = run(&request(sampling, 1), &Setup::new(Backend::Scalar, 1));
    assert_eq!(expected.prompt_length + 40, expected.ids.len());
    assert_eq!(expected.end, Some(EndReason::MaxNew));
    for stages in 1..=4 {
        let request = request(sampling, stages);
        let ring = run(&request, &Setup::new(Backend::Scalar, 1));
        for backend in Backend::available() {
            let found = run(&request, &Setup::new(backend, 1 + stages as usize % 3));
            assert_eq!((&found.ids, &found.commits), (&expected.ids, &ring.commits), "{stages} stages, {backend}");
        }
    }
    let package = Arc::new(demo::package().unwrap());
    let request = request(sampling, 1);
    let spec = StageSpec { first: 0, end: 8, prompt: request.prompt, max_new: 40, sampling };
    let check = replay(&package, spec, &expected.ids, None, &Setup::default(), &mut Control::default()).unwrap();
    assert_eq!((check.commit, check.divergence), (expected.commits[0], None));
}

#[test]
fn generate_stopped_by_the_caller_keeps_the_ids_so_far() {
    let package = Arc::new(demo::package().unwrap());
    let mut left = 3;
    let generation =
        generate(&package, &request(Sampling::GREEDY, 2), &Setup::default(), &mut Control::default(), |_| {
            left -= 1;
            if left == 0 {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })
        .unwrap();
    assert_eq!(generation.generated().len(), 3);
    assert_eq!((generation.end, generation.commits.len()), (None, 0));
}

#[test]
fn generate_with_different_seeds_differs() {
    let sampling = |seed| Sampling { temperature: 1000, top_k: 0, top_p: 65_536, seed: [seed; 32] };
    let answers = [1, 2, 3].map(|seed| run(&request(sampling(seed), 1), &Setup::default()).ids);
    assert!(answers[0] != answers[1] && answers[1] != answers[2] && answers[0] != answers[2]);
}

#[test]
fn stream_joined_equals_decode_for_any_text() {
    let tokenizer = Tokenizer::load(&demo::package().unwrap()).unwrap();
    for text in
        ["let x = 1;\n    // indented", " leading", "naïve café", "漢字かな交じり文", "🎉👩‍👩‍👧‍👦 done", "\u{fffd}x", ""]
    {
        let ids = tokenizer.encode(text).unwrap();
        let mut stream = tokenizer.stream();
        let mut pieces = Vec::new();
        for id in &ids {
            let piece = stream.push(*id).unwrap();
            assert!(text.contains('\u{fffd}') || !piece.contains('\u{fffd}'), "{text:?} gave {piece:?}");
            pieces.push(piece);
        }
        pieces.push(stream.finish().unwrap());
        assert_eq!(pieces.concat(), tokenizer.decode(&ids).unwrap());
        assert_eq!(pieces.concat(), text);
    }
}

#[test]
fn stream_of_a_character_cut_short_ends_in_a_replacement() {
    let tokenizer = Tokenizer::load(&demo::package().unwrap()).unwrap();
    let ids = tokenizer.encode("ok 漢").unwrap();
    let cut = &ids[..ids.len() - 1];
    let mut stream = tokenizer.stream();
    let shown: String = cut.iter().map(|id| stream.push(*id).unwrap()).collect();
    assert_eq!(shown.trim_end(), "ok");
    assert!(stream.finish().unwrap().contains('\u{fffd}'));
}

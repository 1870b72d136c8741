//! The real engine and the embedded demo model through the same network.

use super::{
    toy,
    world::{blocks_until, FakeChain, FakeNet, Node, PATIENCE},
};
use crate::{
    engine::{Arithmetic, Engine, EngineError, Replay, Rows, StageSpec, Step},
    local::LocalEngine,
};
use assay_engine::package::{entry_file, MANIFEST_FILE, TOKENIZER_FILE};
use assay_primitives::{traits::ModelKind, CheckVerdict, JobSpec, JobTask, Output, SamplingParams, Span};
use polkadot_sdk::sc_network::PeerId;
use std::{io::Write, sync::Arc};
use tempfile::TempDir;

/// What one process generates with the demo model.
fn alone(prompt: &[u32], max_new: u32, sampling: &SamplingParams) -> Vec<u32> {
    let SamplingParams { temperature, top_k, top_p, seed } = *sampling;
    let sampling = assay_engine::Sampling { temperature, top_k, top_p, seed };
    let request = assay_engine::generate::Request { prompt: prompt.into(), max_new, sampling, stages: 1 };
    let package = Arc::new(assay_engine::demo::package().unwrap());
    let setup = assay_engine::stage::Setup::default();
    let go_on = |_| std::ops::ControlFlow::Continue(());
    let alone = assay_engine::generate::generate(&package, &request, &setup, &mut Default::default(), go_on).unwrap();
    alone.generated().to_vec()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demo_model_over_two_nodes_gives_what_one_process_gives() {
    let (chain, net, dir) = (FakeChain::default(), FakeNet::default(), TempDir::new().unwrap());
    let engine = Arc::new(LocalEngine::new(&[], "auto", 1).unwrap());
    let nodes: Vec<Node> = ["Alice", "Bob", "Charlie"]
        .iter()
        .map(|name| Node::start(name, &chain, &net, engine.clone(), dir.path(), PeerId::random()))
        .collect();
    let refs: Vec<&Node> = nodes.iter().collect();
    blocks_until(&chain, &refs, 3, || false).await;

    let model = engine.models().remove(0);
    let prompt = engine.tokenize(&model.id, "A slice is a view into").unwrap();
    let sampled = SamplingParams { temperature: 700, top_k: 40, top_p: 60_000, seed: [7; 32] };
    for sampling in [SamplingParams::GREEDY, sampled] {
        let task = JobTask::Generate { max_new_tokens: 24, sampling };
        let spec = JobSpec { model: model.id, task, ..toy::job_spec(&prompt, 24, 0, 2) };
        let half = model.layers / 2;
        let spans = [Span { first: 0, end: half }, Span { first: half, end: model.layers }];
        let executors = [nodes[0].worker.clone(), nodes[1].worker.clone()];
        let job = chain.submit(spec, &spans, &executors, &vec![vec![nodes[2].worker.clone()]; 2]);
        assert!(
            blocks_until(&chain, &refs, PATIENCE, || chain.settled(&job).is_some()).await,
            "{:?}",
            chain.view(&job)
        );

        assert_eq!(chain.settled(&job).unwrap().output.ids(), alone(&prompt, 24, &sampling));
        let view = chain.view(&job);
        assert!(view.stages.iter().flat_map(|s| &s.seats).all(|s| matches!(s.answer, Some(CheckVerdict::Agree(_)))));
    }
    assert!(nodes.iter().all(|node| node.alarm.get().is_none()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_that_are_stepped_together_get_what_each_gets_alone() {
    let (chain, net, dir) = (FakeChain::default(), FakeNet::default(), TempDir::new().unwrap());
    let engine = Arc::new(LocalEngine::new(&[], "auto", 1).unwrap());
    let nodes: Vec<Node> = ["Alice", "Bob", "Charlie"]
        .iter()
        .map(|name| Node::start(name, &chain, &net, engine.clone(), dir.path(), PeerId::random()))
        .collect();
    let refs: Vec<&Node> = nodes.iter().collect();
    blocks_until(&chain, &refs, 3, || false).await;

    let model = engine.models().remove(0);
    let spans = [Span { first: 0, end: 3 }, Span { first: 3, end: model.layers }];
    let executors = [nodes[0].worker.clone(), nodes[1].worker.clone()];
    let jobs: Vec<_> = (0..6u8)
        .map(|i| {
            let prompt: Vec<u32> = (0..3 + 40 * u32::from(i)).map(|n| (n * 7 + u32::from(i)) % model.vocab).collect();
            let max_new = 20 + 5 * u32::from(i);
            let sampling = SamplingParams { temperature: 700, top_k: 40, top_p: 60_000, seed: [i; 32] };
            let task = JobTask::Generate { max_new_tokens: max_new, sampling };
            let spec = JobSpec { model: model.id, task, ..toy::job_spec(&prompt, max_new, 0, 2) };
            let job = chain.submit(spec, &spans, &executors, &vec![vec![nodes[2].worker.clone()]; 2]);
            (job, alone(&prompt, max_new, &sampling))
        })
        .collect();
    let settled = || jobs.iter().all(|(job, _)| chain.settled(job).is_some());
    assert!(
        blocks_until(&chain, &refs, PATIENCE, settled).await,
        "{:?}",
        jobs.iter().map(|(job, _)| chain.view(job)).collect::<Vec<_>>()
    );
    for (job, alone) in &jobs {
        assert_eq!(chain.settled(job).unwrap().output.ids(), alone);
        let seats = chain.view(job).stages.into_iter().flat_map(|stage| stage.seats);
        assert!(seats.into_iter().all(|seat| matches!(seat.answer, Some(CheckVerdict::Agree(_)))));
    }
    assert!(nodes.iter().all(|node| node.alarm.get().is_none()));
}

#[test]
fn a_stage_that_is_given_nonsense_leaves_those_beside_it_alone() {
    let engine = LocalEngine::new(&[], "auto", 1).unwrap();
    let model = engine.models().remove(0);
    let span = Span { first: 0, end: model.layers };
    let task = JobTask::Generate { max_new_tokens: 4, sampling: SamplingParams::GREEDY };
    let spec = StageSpec { model: model.id, span, prompt: vec![5, 6, 7].into(), task };
    let mut stages: Vec<_> = (0..3).map(|_| engine.open(&spec).unwrap()).collect();
    let expected = engine.open(&spec).unwrap().forward(&Rows::Ids(vec![5, 6, 7])).unwrap();
    let (good, bad) = (Rows::Ids(vec![5, 6, 7]), Rows::Ids(vec![5, model.vocab]));
    let inputs = [&good, &bad, &good];
    let mut steps: Vec<_> =
        stages.iter_mut().zip(inputs).map(|(stage, input)| Step { stage: &mut **stage, input }).collect();
    let outputs = engine.forward(&mut steps);
    assert_eq!(outputs.len(), 3);
    assert_eq!(outputs[0].as_ref().unwrap(), &expected);
    assert!(matches!(&outputs[1], Err(EngineError::Failed(text)) if text.contains(&model.vocab.to_string())));
    assert_eq!(outputs[2].as_ref().unwrap(), &expected);
}

/// The engine's own random packages.
#[path = "../../engine/tests/support/mod.rs"]
mod support;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_encoder_over_two_nodes_gives_the_vector_that_one_process_gives() {
    let (chain, net, dir) = (FakeChain::default(), FakeNet::default(), TempDir::new().unwrap());
    let (folder, package) = support::package(support::bert(), 7);
    let path = folder.path().join("model");
    let engine = Arc::new(LocalEngine::new(&[path], "auto", 1).unwrap());
    let nodes: Vec<Node> = ["Alice", "Bob", "Charlie"]
        .iter()
        .map(|name| Node::start(name, &chain, &net, engine.clone(), dir.path(), PeerId::random()))
        .collect();
    let refs: Vec<&Node> = nodes.iter().collect();
    blocks_until(&chain, &refs, 3, || false).await;

    let model = engine.models().into_iter().find(|model| model.kind == ModelKind::Encoder).unwrap();
    let text: Vec<u32> = (0..50).map(|i| i * 11 % model.vocab).collect();
    let spans = [Span { first: 0, end: 1 }, Span { first: 1, end: model.layers }];
    let spec = JobSpec { model: model.id, ..toy::embedding(&text, 2) };
    let executors = [nodes[0].worker.clone(), nodes[1].worker.clone()];
    let job = chain.submit(spec, &spans, &executors, &vec![vec![nodes[2].worker.clone()]; 2]);
    assert!(blocks_until(&chain, &refs, PATIENCE, || chain.settled(&job).is_some()).await, "{:?}", chain.view(&job));

    let mut alone = assay_engine::embed::Embedder::open(&package, 1, &assay_engine::stage::Setup::default()).unwrap();
    let vector = alone.embed(&text, &mut Default::default()).unwrap().v;
    assert_eq!(chain.settled(&job).unwrap().output, Output::Vector(vector.try_into().unwrap()));
    let view = chain.view(&job);
    assert!(view.stages.iter().flat_map(|s| &s.seats).all(|s| matches!(s.answer, Some(CheckVerdict::Agree(_)))));
    assert!(nodes.iter().all(|node| node.alarm.get().is_none()));

    // Each kind of model does its own task only.
    let span = Span { first: 0, end: model.layers };
    let prompt: std::sync::Arc<[u32]> = text.into();
    let generate = JobTask::Generate { max_new_tokens: 1, sampling: SamplingParams::GREEDY };
    let wrong = StageSpec { model: model.id, span, prompt: prompt.clone(), task: generate };
    assert!(engine.open(&wrong).is_err());
    let demo = engine.models().into_iter().find(|model| model.kind == ModelKind::Decoder).unwrap();
    let wrong = StageSpec { model: demo.id, span, prompt, task: JobTask::Embed };
    assert!(engine.open(&wrong).is_err());
}

/// The demo package as a directory of files.
fn unpacked() -> TempDir {
    let dir = TempDir::new().unwrap();
    let package = assay_engine::demo::package().unwrap();
    for (entry, bytes) in package.entries() {
        std::fs::write(dir.path().join(entry_file(entry)), bytes).unwrap();
    }
    std::fs::write(dir.path().join(TOKENIZER_FILE), package.tokenizer_json().unwrap()).unwrap();
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/demo/manifest.json");
    std::fs::copy(manifest, dir.path().join(MANIFEST_FILE)).unwrap();
    dir
}

#[test]
fn weights_that_change_under_the_node_accuse_nobody() {
    let dir = unpacked();
    let engine = LocalEngine::new(&[dir.path().to_path_buf()], "auto", 1).unwrap();
    let model = engine.models().remove(0);
    let spec = StageSpec {
        model: model.id,
        span: Span { first: 0, end: model.layers },
        prompt: vec![5, 6, 7].into(),
        task: JobTask::Generate { max_new_tokens: 1, sampling: SamplingParams::GREEDY },
    };
    let cancel = Default::default();
    let replay = |arithmetic| {
        engine.replay(&spec, Replay { transcript: &[5, 6, 7, 8], rows: None, arithmetic, cancel: &cancel })
    };
    let honest = replay(Arithmetic::Fast).unwrap();
    assert_eq!(replay(Arithmetic::Reference).unwrap(), honest);

    // In place, as a careless copy does it.
    let path = dir.path().join("layer-003.bin");
    let mut bytes = std::fs::read(&path).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::OpenOptions::new().write(true).open(&path).unwrap().write_all(&bytes).unwrap();
    let error = replay(Arithmetic::Reference).unwrap_err();
    assert!(matches!(&error, EngineError::Damaged { problem, .. } if problem.contains("layer-003.bin")), "{error}");
}

#[test]
fn a_part_of_a_model_that_is_held_whole_adds_nothing() {
    let dir = unpacked();
    for layer in 4..8 {
        std::fs::remove_file(dir.path().join(format!("layer-00{layer}.bin"))).unwrap();
    }
    let engine = LocalEngine::new(&[dir.path().to_path_buf()], "auto", 1).unwrap();
    let model = engine.models().remove(0);
    let spec = StageSpec {
        model: model.id,
        span: Span { first: 4, end: model.layers },
        prompt: vec![5].into(),
        task: JobTask::Generate { max_new_tokens: 1, sampling: SamplingParams::GREEDY },
    };
    assert!(engine.open(&spec).is_ok(), "the embedded package still serves all layers");
}

#[test]
fn two_parts_of_one_model_from_two_folders_are_refused_and_both_are_named() {
    let (folder, package) = support::package(support::llama(), 3);
    let layers = package.header().layers;
    let part = |name: &str, gone: std::ops::Range<u32>| {
        let path = folder.path().join(name);
        std::fs::create_dir(&path).unwrap();
        for file in std::fs::read_dir(folder.path().join("model")).unwrap() {
            let file = file.unwrap();
            if !gone.clone().any(|layer| *file.file_name() == *format!("layer-{layer:03}.bin")) {
                std::fs::copy(file.path(), path.join(file.file_name())).unwrap();
            }
        }
        path
    };
    let (low, high) = (part("low", layers / 2..layers), part("high", 0..layers / 2));
    for parts in [[low.clone(), high.clone()], [high, low.clone()]] {
        let Err(error) = LocalEngine::new(&parts, "scalar", 1) else { panic!("one part would hide the other") };
        let error = error.to_string();
        let half = layers / 2;
        assert!(error.contains(&format!("0..{half}")) && error.contains(&format!("{half}..{layers}")), "{error}");
        assert!(error.contains("one folder"), "{error}");
    }
    // Either is good alone, and a whole beside its part too.
    assert!(LocalEngine::new(std::slice::from_ref(&low), "scalar", 1).is_ok());
    assert!(LocalEngine::new(&[low, folder.path().join("model")], "scalar", 1).is_ok());
}

#[test]
fn a_package_that_is_not_there_names_its_directory() {
    let Err(error) = LocalEngine::new(&["/nowhere/model".into()], "auto", 1) else { panic!("opened nothing") };
    assert!(error.to_string().contains("/nowhere/model"), "{error}");
    let Err(error) = LocalEngine::new(&[], "abacus", 1) else { panic!("unknown backend") };
    assert!(error.to_string().contains("abacus"), "{error}");
}

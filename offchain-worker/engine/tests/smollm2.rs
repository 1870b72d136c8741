//! A decoder on real weights: SmolLM2-135M-Instruct, out of a GGUF file, against its float reference, and what it says.
//!
//! `ASSAY_SMOLLM2` names the file that `scripts/model.sh smollm2` fetches; `make test` sets it. Without it nothing is tested,
//! and the test says so.

use std::{ops::ControlFlow, path::Path, sync::Arc};

use assay_engine::{
    chat::{ChatTemplate, Message},
    convert::{convert, Source},
    float::NoObserver,
    generate::{generate, Request},
    hex::Hex,
    kernels::Backend,
    package::Package,
    quality::{compare, text},
    stage::{replay, Control, EndReason, Setup, StageSpec},
    tokenizer::Tokenizer,
    Sampling,
};

#[test]
fn smollm2_keeps_its_perplexity_and_answers_over_stages() {
    let Some(file) = std::env::var_os("ASSAY_SMOLLM2") else {
        eprintln!(
            "skipped: ASSAY_SMOLLM2 is not set; `make test` sets it, or: ASSAY_SMOLLM2=$(scripts/model.sh smollm2)"
        );
        return;
    };
    let source = Source::open(Path::new(&file)).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("smollm2");
    let conversion = convert(&source, &out, text::calibration(), &mut |_| {}).unwrap();
    let package = Arc::new(Package::open(&out).unwrap());
    package.verify(Some(conversion.model_root)).unwrap();

    let agreement = compare(&source, &package, text::evaluation(), 8, 256, &mut NoObserver).unwrap();
    eprintln!("{agreement:?}; margin {:.1e}; root {}", conversion.calibration.margin, Hex(&conversion.model_root));
    assert!(agreement.perplexity_change <= 0.01, "{agreement:?}");
    assert!(agreement.top1_agreement >= 0.95, "{agreement:?}");

    let tokenizer = Tokenizer::load(&package).unwrap();
    let chat = ChatTemplate::load(&package).unwrap();
    let text = chat.render(&[Message::new("user", "What is the capital of France?")]).unwrap();
    let prompt: Arc<[u32]> = tokenizer.encode(&text).unwrap().into();
    let mut answers = Vec::new();
    for (stages, threads) in [(1, 2), (3, 1)] {
        let request = Request { prompt: prompt.clone(), max_new: 32, sampling: Sampling::GREEDY, stages };
        let setup = Setup::new(Backend::detect(), threads);
        answers.push(
            generate(&package, &request, &setup, &mut Control::default(), |_| ControlFlow::Continue(())).unwrap(),
        );
    }
    let said = tokenizer.decode(answers[0].generated()).unwrap();
    assert!(said.contains("Paris"), "{said}");
    assert_eq!(answers[0].end, Some(EndReason::Eos), "{said}");
    assert_eq!(answers[0].ids, answers[1].ids);

    let end = package.header().layers;
    let spec = StageSpec { first: 0, end, prompt, max_new: 32, sampling: Sampling::GREEDY };
    let check = replay(&package, spec, &answers[0].ids, None, &Setup::default(), &mut Control::default()).unwrap();
    assert_eq!((check.commit, check.divergence), (answers[0].commits[0], None));
}

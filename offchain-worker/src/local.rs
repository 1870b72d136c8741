//! [`Engine`] over `assay-engine`, in this process.

use crate::{
    compute::{enter, guarded, Class},
    engine::{Arithmetic, Engine, EngineError, LocalModel, Replay, Rows, Stage, StageOutcome, StageSpec, Step},
    error::Error,
};
use assay_engine::{
    kernels::{Backend, Threads},
    package::Package,
    stage::{
        self, Batch, BatchItem, Control, Encoded, EncoderOutput, EncoderStage, Setup, StageCommit, StageInput,
        StageOutput,
    },
    tokenizer::Tokenizer,
};
use assay_exact::{commit::Generation, header::Kind};
use assay_primitives::{traits::ModelKind, ModelId};
use parking_lot::Mutex;
use polkadot_sdk::sp_core::H256;
use std::{any::Any, collections::BTreeMap, ops::Range, path::PathBuf, str::FromStr, sync::Arc};

struct Held {
    package: Arc<Package>,
    tokenizer: Option<Tokenizer>,
    model: LocalModel,
}

/// Packages on this machine, and the threads that run them.
pub struct LocalEngine {
    held: BTreeMap<ModelId, Held>,
    backend: Backend,
    ring: Setup,
    check: Setup,
    reference: Setup,
    /// Scratch of steps of several stages; as many as ever ran at once.
    batches: Mutex<Vec<Batch>>,
}

impl LocalEngine {
    /// Opens the embedded demo model and the packages in `dirs`, checks every byte of them, and prepares `threads` threads for
    /// rings and as many, of lower priority, for checks.
    pub fn new(dirs: &[PathBuf], backend: &str, threads: usize) -> Result<Self, Error> {
        let engine = |e: String| Error::Engine(e);
        let backend = Backend::from_str(backend).map_err(|e| engine(e.to_string()))?;
        backend.kernels().map_err(|e| engine(e.to_string()))?;
        let start = |class: Class| -> Result<Arc<Threads>, Error> {
            let threads = Threads::with_start(threads, move |_| enter(class));
            threads.map(Arc::new).map_err(|e| Error::Engine(format!("cannot start inference threads: {e}")))
        };
        let (ring, check) = (start(Class::Decode)?, start(Class::Check)?);
        let mut this = Self {
            held: BTreeMap::new(),
            backend,
            ring: Setup::on(backend, ring),
            check: Setup::on(backend, check.clone()),
            reference: Setup::on(Backend::Scalar, check),
            batches: Mutex::default(),
        };
        let demo = assay_engine::demo::package().map_err(|e| engine(format!("the embedded demo model: {e}")))?;
        this.hold("demo".into(), demo)?;
        for dir in dirs {
            let package = Package::open_held(dir).map_err(|e| engine(format!("model {}: {e}", dir.display())))?;
            package.verify(None).map_err(|e| engine(format!("model {}: {e}", dir.display())))?;
            let name = dir.file_name().map_or_else(|| dir.display().to_string(), |name| name.to_string_lossy().into());
            this.hold(name, package)?;
        }
        Ok(this)
    }

    fn hold(&mut self, name: String, package: Package) -> Result<(), Error> {
        let header = package.header();
        let model = LocalModel {
            id: H256(package.model_root()),
            name,
            kind: match header.kind {
                Kind::Decoder => ModelKind::Decoder,
                Kind::Encoder => ModelKind::Encoder,
            },
            width: header.d,
            layers: header.layers as u16,
            vocab: header.vocab,
            context: header.context,
            eos: header.eos.clone(),
        };
        let tokenizer = match package.tokenizer_json() {
            Some(_) => {
                Some(Tokenizer::load(&package).map_err(|e| Error::Engine(format!("model {}: {e}", model.name)))?)
            }
            None => None,
        };
        let span = package.span();
        if let Some(known) = self.held.get(&model.id).map(|held| held.package.span()) {
            let within = |a: &std::ops::Range<u32>, b: &std::ops::Range<u32>| b.start <= a.start && a.end <= b.end;
            if within(&span, &known) && span != known {
                log::info!(target: crate::LOG_TARGET, "model {}: its layers are held already", model.name);
                return Ok(());
            }
            // One part would silently take the other's place, and its jobs be missed.
            if !within(&known, &span) {
                return Err(Error::Engine(format!(
                    "model {}: layers {}..{} are held from another folder, {}..{} are here; put the files of one run of layers \
                     into one folder",
                    model.name, known.start, known.end, span.start, span.end,
                )));
            }
        }
        log::info!(
            target: crate::LOG_TARGET,
            "holding layers {}..{} of {} of model {} ({:?})", span.start, span.end, header.layers, model.name, model.id,
        );
        self.held.insert(model.id, Held { package: Arc::new(package), tokenizer, model });
        Ok(())
    }

    fn held(&self, model: &ModelId) -> Result<&Held, EngineError> {
        self.held.get(model).ok_or(EngineError::UnknownModel(*model))
    }

    fn tokenizer(&self, model: &ModelId) -> Result<&Tokenizer, EngineError> {
        let missing = || EngineError::Tokenizer("this node's package of the model has no tokenizer".into());
        self.held(model)?.tokenizer.as_ref().ok_or_else(missing)
    }
}

fn failed(error: assay_engine::EngineError) -> EngineError {
    match error {
        assay_engine::EngineError::Cancelled => EngineError::Cancelled,
        error => EngineError::Failed(error.to_string()),
    }
}

/// The engine's specification of a decoder's stage; none of an encoder's.
fn spec_of(spec: &StageSpec) -> Option<stage::StageSpec> {
    let Generation { max_new, sampling } = spec.task.generation()?;
    let (first, end) = (spec.span.first.into(), spec.span.end.into());
    Some(stage::StageSpec { first, end, prompt: spec.prompt.clone(), max_new, sampling })
}

fn layers_of(spec: &StageSpec) -> Range<u32> {
    spec.span.first.into()..spec.span.end.into()
}

fn outcome_of(commit: StageCommit) -> StageOutcome {
    StageOutcome {
        in_root: H256(commit.in_root),
        out_root: H256(commit.out_root),
        kv_root: H256(commit.kv_root),
        tail_root: H256(commit.tail_root),
    }
}

impl Engine for LocalEngine {
    fn models(&self) -> Vec<LocalModel> {
        self.held.values().map(|held| held.model.clone()).collect()
    }

    fn model(&self, id: &ModelId) -> Option<LocalModel> {
        self.held.get(id).map(|held| held.model.clone())
    }

    fn tokenize(&self, model: &ModelId, text: &str) -> Result<Vec<u32>, EngineError> {
        let tokenizer = self.tokenizer(model)?;
        guarded(|| tokenizer.encode(text).map_err(|e| EngineError::Tokenizer(e.to_string())))
    }

    fn detokenize(&self, model: &ModelId, ids: &[u32]) -> Result<String, EngineError> {
        let tokenizer = self.tokenizer(model)?;
        guarded(|| tokenizer.decode(ids).map_err(|e| EngineError::Tokenizer(e.to_string())))
    }

    fn open(&self, spec: &StageSpec) -> Result<Box<dyn Stage>, EngineError> {
        let held = self.held(&spec.model)?;
        let span = held.package.span();
        if u32::from(spec.span.first) < span.start || u32::from(spec.span.end) > span.end {
            return Err(EngineError::UnknownSpan { model: spec.model, span: spec.span });
        }
        let width = held.model.width;
        Ok(match spec_of(spec) {
            Some(generation) => {
                let stage = stage::Stage::open(&held.package, generation, &self.ring).map_err(failed)?;
                Box::new(LocalStage { stage, width })
            }
            None => {
                let stage = EncoderStage::open(&held.package, layers_of(spec), &self.ring).map_err(failed)?;
                Box::new(LocalEncoder { stage, width, commit: None })
            }
        })
    }

    fn forward(&self, steps: &mut [Step<'_>]) -> Vec<Result<Rows, EngineError>> {
        let fits = |step: &Step<'_>| {
            let stage: &dyn Any = &*step.stage;
            stage.is::<LocalStage>() && !matches!(step.input, Rows::Vector(_))
        };
        if steps.len() < 2 || !steps.iter().all(fits) {
            return steps.iter_mut().map(|Step { stage, input }| guarded(|| stage.forward(input))).collect();
        }
        let (mut widths, mut items) = (Vec::with_capacity(steps.len()), Vec::with_capacity(steps.len()));
        for Step { stage, input } in steps {
            let stage: &mut dyn Any = &mut **stage;
            if let (Some(LocalStage { stage, width }), Ok(input)) = (stage.downcast_mut(), input_of(input)) {
                widths.push(*width);
                items.push(BatchItem { stage, input });
            }
        }
        let mut batch = self.batches.lock().pop().unwrap_or_default();
        let outputs = batch.forward(&mut items, &mut Control::default());
        self.batches.lock().push(batch);
        outputs.into_iter().zip(widths).map(|(output, width)| Ok(rows_of(output.map_err(failed)?, width))).collect()
    }

    fn replay(&self, spec: &StageSpec, replay: Replay<'_>) -> Result<StageOutcome, EngineError> {
        let held = self.held(&spec.model)?;
        let setup = match replay.arithmetic {
            Arithmetic::Fast => &self.check,
            Arithmetic::Reference => {
                // Packages are mapped: a file that was overwritten, or memory that lost a bit, deceives both arithmetics alike.
                let damaged = |e: assay_engine::package::PackageError| EngineError::Damaged {
                    model: spec.model,
                    problem: e.to_string(),
                };
                held.package.verify(Some(spec.model.0)).map_err(damaged)?;
                &self.reference
            }
        };
        let rows = match replay.rows {
            Some(Rows::Hidden { values, .. }) => Some(&values[..]),
            _ => None,
        };
        let mut control = Control::default().cancelled_by(replay.cancel);
        let (package, ids) = (&held.package, replay.transcript);
        Ok(outcome_of(match spec_of(spec) {
            Some(generation) => {
                stage::replay(package, generation, ids, rows, setup, &mut control).map_err(failed)?.commit
            }
            None => {
                let replayed = stage::replay_encoder(package, layers_of(spec), ids, rows, setup, &mut control);
                replayed.map_err(failed)?.commit
            }
        }))
    }

    fn backend(&self) -> String {
        self.backend.to_string()
    }
}

struct LocalStage {
    stage: stage::Stage,
    width: u32,
}

/// Rows as the engine takes them.
fn input_of(rows: &Rows) -> Result<StageInput<'_>, EngineError> {
    match rows {
        Rows::Ids(ids) => Ok(StageInput::Ids(ids)),
        Rows::Hidden { values, .. } => Ok(StageInput::Rows(values)),
        Rows::Vector(_) => Err(EngineError::Failed("no stage takes a vector".into())),
    }
}

/// Rows that the engine gave, of this width if they are hidden ones.
fn rows_of(output: StageOutput, width: u32) -> Rows {
    match output {
        StageOutput::Rows(values) => Rows::Hidden { width, values },
        StageOutput::Token(token) => Rows::Ids(vec![token.id]),
        StageOutput::Prompt => Rows::Ids(Vec::new()),
    }
}

impl Stage for LocalStage {
    fn forward(&mut self, input: &Rows) -> Result<Rows, EngineError> {
        let input = input_of(input)?;
        Ok(rows_of(self.stage.forward(input, &mut Control::default()).map_err(failed)?, self.width))
    }

    fn finish(mut self: Box<Self>, last: Option<u32>) -> Result<StageOutcome, EngineError> {
        if let (true, false, Some(last)) = (self.stage.is_first(), self.stage.is_last(), last) {
            self.stage.end(last).map_err(failed)?;
        }
        Ok(outcome_of(self.stage.finish().map_err(failed)?))
    }
}

struct LocalEncoder {
    stage: EncoderStage,
    width: u32,
    /// Of the text that went through.
    commit: Option<StageCommit>,
}

impl Stage for LocalEncoder {
    fn forward(&mut self, input: &Rows) -> Result<Rows, EngineError> {
        let encoded = self.stage.forward(input_of(input)?, &mut Control::default()).map_err(failed)?;
        let Encoded { output, commit } = encoded;
        self.commit = Some(commit);
        Ok(match output {
            EncoderOutput::Rows(values) => Rows::Hidden { width: self.width, values },
            EncoderOutput::Vector(v) => Rows::Vector(v),
        })
    }

    fn finish(self: Box<Self>, _: Option<u32>) -> Result<StageOutcome, EngineError> {
        self.commit.map(outcome_of).ok_or_else(|| EngineError::Failed("no text went through the stage".into()))
    }
}

/// No models: `--inference off`.
pub struct NoEngine;

impl Engine for NoEngine {
    fn models(&self) -> Vec<LocalModel> {
        Vec::new()
    }

    fn tokenize(&self, model: &ModelId, _: &str) -> Result<Vec<u32>, EngineError> {
        Err(EngineError::UnknownModel(*model))
    }

    fn detokenize(&self, model: &ModelId, _: &[u32]) -> Result<String, EngineError> {
        Err(EngineError::UnknownModel(*model))
    }

    fn open(&self, spec: &StageSpec) -> Result<Box<dyn Stage>, EngineError> {
        Err(EngineError::UnknownModel(spec.model))
    }

    fn replay(&self, spec: &StageSpec, _: Replay<'_>) -> Result<StageOutcome, EngineError> {
        Err(EngineError::UnknownModel(spec.model))
    }

    fn backend(&self) -> String {
        "none".into()
    }
}

//! A model small enough to be followed by hand: every row depends on all rows before it, every layer and the prompt's seed.

use crate::ring::Boundary;
use crate::{
    compute::guarded,
    engine::{Arithmetic, Engine, EngineError, LocalModel, Replay, Rows, Stage, StageOutcome, StageSpec, Step},
};
use assay_primitives::{
    traits::ModelKind, JobInput, JobSpec, JobTask, ModelId, SamplingParams, Span, VerificationMode,
};
use polkadot_sdk::{sp_core::H256, sp_io::hashing::blake2_256};
use std::{
    sync::{
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
        Arc,
    },
    thread,
    time::Duration,
};

pub const WIDTH: u32 = 4;
pub const VOCAB: u32 = 97;
pub const LAYERS: u16 = 4;
pub const EOS: u32 = 13;

pub fn model_id() -> ModelId {
    H256::repeat_byte(0x70)
}

pub fn model() -> LocalModel {
    LocalModel {
        id: model_id(),
        name: "toy".into(),
        kind: ModelKind::Decoder,
        width: WIDTH,
        layers: LAYERS,
        vocab: VOCAB,
        context: 512,
        eos: vec![EOS],
    }
}

/// A job over the toy. Some seeds end early by the eos id, some at `max_new`.
pub fn job_spec(prompt: &[u32], max_new: u32, seed: u8, k: u8) -> JobSpec {
    JobSpec {
        model: model_id(),
        template: 0,
        input: JobInput::Inline(prompt.to_vec().try_into().unwrap()),
        task: JobTask::Generate {
            max_new_tokens: max_new,
            sampling: SamplingParams { seed: [seed; 32], ..SamplingParams::GREEDY },
        },
        mode: if k > 1 { VerificationMode::Quorum { k } } else { VerificationMode::None },
        max_price: 1,
        insured: 0,
        extra_ticks: 0,
    }
}

/// The same text to embed: the toy is an encoder too.
pub fn embedding(text: &[u32], k: u8) -> JobSpec {
    JobSpec { task: JobTask::Embed, ..job_spec(text, 1, 0, k) }
}

/// The toy's layers cut into `n` stages.
pub fn spans(n: u8) -> Vec<Span> {
    let n = u16::from(n);
    (0..n).map(|i| Span { first: LAYERS * i / n, end: LAYERS * (i + 1) / n }).collect()
}

/// An engine over the toy, with faults of the machine to order.
#[derive(Default)]
pub struct Toy {
    /// The fast kernels compute something else than the reference.
    pub broken_kernels: AtomicBool,
    /// Panics at the n-th forward, counted down.
    pub panic_in: AtomicUsize,
    /// Milliseconds that a forward takes.
    pub pace: AtomicU64,
    /// No forward ends before this is false again.
    pub hold: Arc<AtomicBool>,
    /// Forwards begun.
    pub steps: Arc<AtomicUsize>,
    /// Most stages in one step.
    pub most_together: AtomicUsize,
    /// Re-executions with the reference.
    pub references: AtomicUsize,
    /// None of them ends before this is false again.
    pub hold_references: AtomicBool,
}

struct ToyStage {
    spec: StageSpec,
    state: [u8; 32],
    position: u32,
    input: Boundary,
    output: Boundary,
    bent: bool,
    panic: bool,
    pace: Duration,
    hold: Arc<AtomicBool>,
    steps: Arc<AtomicUsize>,
}

impl ToyStage {
    fn new(spec: &StageSpec, bent: bool, panic: bool) -> Self {
        let first = spec.span.first == 0;
        let last = spec.span.end == LAYERS;
        let empty = |ids: bool| Boundary::new(Rows::empty((!ids).then_some(WIDTH)));
        let output = match (last, spec.embeds()) {
            (true, true) => Boundary::new(Rows::Vector(Vec::new())),
            (true, false) => Boundary::new(Rows::Ids(spec.prompt.to_vec())),
            (false, _) => empty(false),
        };
        Self {
            spec: spec.clone(),
            state: [0; 32],
            position: 0,
            input: empty(first),
            output,
            bent,
            panic,
            pace: Duration::ZERO,
            hold: Arc::default(),
            steps: Arc::default(),
        }
    }

    fn is_last(&self) -> bool {
        self.spec.span.end == LAYERS
    }

    fn row(&mut self, input: &[u8]) -> Vec<i32> {
        let mut bytes = self.state.to_vec();
        bytes.extend(input);
        bytes.extend(self.spec.span.first.to_le_bytes());
        bytes.extend(self.spec.task.generation().map(|g| g.sampling.seed).unwrap_or_default());
        bytes.extend(self.position.to_le_bytes());
        self.state = blake2_256(&bytes);
        if self.bent && self.position == 3 {
            self.state[0] ^= 1;
        }
        self.position += 1;
        self.state[..16].chunks(4).map(|c| i32::from_le_bytes(c.try_into().unwrap())).collect()
    }

    /// One step: all rows; of the last stage the id drawn after each position that is the prompt's last or later, or the vector.
    fn compute(&mut self, input: &Rows) -> Rows {
        let (mut rows, mut ids) = (Vec::new(), Vec::new());
        for i in 0..input.len() {
            let one = match input.slice(i, i + 1) {
                Rows::Ids(ids) => ids[0].to_le_bytes().to_vec(),
                Rows::Hidden { values, .. } => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
                Rows::Vector(_) => panic!("no stage takes a vector"),
            };
            let row = self.row(&one);
            if self.position as usize >= self.spec.prompt.len() {
                ids.push(row[0] as u32 % VOCAB);
            }
            rows.extend(row);
        }
        assert!(self.input.append(input), "the ring feeds what the stage takes");
        match (self.is_last(), self.spec.embeds()) {
            (true, false) => Rows::Ids(ids),
            (true, true) => Rows::Vector(self.state[..8].chunks(2).map(|c| i16::from_le_bytes([c[0], c[1]])).collect()),
            (false, _) => Rows::Hidden { width: WIDTH, values: rows },
        }
    }

    fn outcome(&self) -> StageOutcome {
        StageOutcome {
            in_root: self.input.root(),
            out_root: self.output.root(),
            kv_root: H256(self.state),
            tail_root: H256(blake2_256(&self.state)),
        }
    }
}

impl Stage for ToyStage {
    fn forward(&mut self, input: &Rows) -> Result<Rows, EngineError> {
        assert!(!self.panic, "toy kernel panics");
        assert!(!input.is_empty());
        self.steps.fetch_add(1, Ordering::SeqCst);
        thread::sleep(self.pace);
        while self.hold.load(Ordering::SeqCst) {
            thread::sleep(Duration::from_millis(5));
        }
        assert!(!self.spec.embeds() || input.len() == self.spec.prompt.len(), "an encoder is given whole texts");
        let out = self.compute(input);
        assert!(!matches!(&out, Rows::Ids(ids) if ids.len() > 1), "decoding draws one id at a time");
        assert!(self.output.append(&out));
        Ok(out)
    }

    fn finish(mut self: Box<Self>, last: Option<u32>) -> Result<StageOutcome, EngineError> {
        if let (0, Some(last)) = (self.spec.span.first, last) {
            assert!(self.input.append(&Rows::Ids(vec![last])));
        }
        Ok(self.outcome())
    }
}

impl Engine for Toy {
    fn models(&self) -> Vec<LocalModel> {
        vec![model()]
    }

    fn tokenize(&self, _: &ModelId, text: &str) -> Result<Vec<u32>, EngineError> {
        Ok(text.bytes().map(|b| u32::from(b) % VOCAB).collect())
    }

    fn detokenize(&self, _: &ModelId, ids: &[u32]) -> Result<String, EngineError> {
        Ok(ids.iter().map(|id| format!("<{id}>")).collect())
    }

    fn open(&self, spec: &StageSpec) -> Result<Box<dyn Stage>, EngineError> {
        let panic = self.panic_in.load(Ordering::SeqCst) > 0 && self.panic_in.fetch_sub(1, Ordering::SeqCst) == 1;
        let stage = ToyStage::new(spec, self.broken_kernels.load(Ordering::SeqCst), panic);
        let pace = Duration::from_millis(self.pace.load(Ordering::SeqCst));
        Ok(Box::new(ToyStage { pace, hold: self.hold.clone(), steps: self.steps.clone(), ..stage }))
    }

    fn forward(&self, steps: &mut [Step<'_>]) -> Vec<Result<Rows, EngineError>> {
        self.most_together.fetch_max(steps.len(), Ordering::SeqCst);
        steps.iter_mut().map(|Step { stage, input }| guarded(|| stage.forward(input))).collect()
    }

    fn replay(&self, spec: &StageSpec, replay: Replay<'_>) -> Result<StageOutcome, EngineError> {
        let reference = replay.arithmetic == Arithmetic::Reference;
        if reference {
            self.references.fetch_add(1, Ordering::SeqCst);
            while self.hold_references.load(Ordering::SeqCst) && !replay.cancel.load(Ordering::SeqCst) {
                thread::sleep(Duration::from_millis(1));
            }
        }
        let bent = self.broken_kernels.load(Ordering::SeqCst) && !reference;
        let mut stage = ToyStage::new(spec, bent, false);
        let n = spec.positions(replay.transcript);
        let input = match replay.rows {
            Some(rows) => rows.clone(),
            None => Rows::Ids(replay.transcript[..n].to_vec()),
        };
        assert_eq!(input.len(), n);
        let out = stage.compute(&input);
        assert!(stage.output.append(&out));
        if spec.span.first == 0 {
            assert!(stage.input.append(&Rows::Ids(replay.transcript[n..].to_vec())));
        }
        Ok(stage.outcome())
    }

    fn backend(&self) -> String {
        "toy".into()
    }
}

/// What the toy generates over stages: unlike a real model's, a toy's rows depend on where it is cut.
pub fn generate_staged(spec: &JobSpec, n: u8) -> Vec<u32> {
    let (whole, mut stages) = staged(spec, n);
    generate_over(&mut stages, &whole)
}

/// The vector that the toy makes over stages.
pub fn embed_staged(spec: &JobSpec, n: u8) -> Vec<i16> {
    let (whole, stages) = staged(spec, n);
    let out =
        stages.into_iter().fold(Rows::Ids(whole.prompt.to_vec()), |rows, mut stage| stage.forward(&rows).unwrap());
    let Rows::Vector(vector) = out else { panic!("the last stage makes a vector") };
    vector
}

fn staged(spec: &JobSpec, n: u8) -> (StageSpec, Vec<ToyStage>) {
    let whole = StageSpec::of(spec, Span { first: 0, end: LAYERS }).unwrap();
    let stages =
        spans(n).into_iter().map(|span| ToyStage::new(&StageSpec { span, ..whole.clone() }, false, false)).collect();
    (whole, stages)
}

fn generate_over(stages: &mut [ToyStage], spec: &StageSpec) -> Vec<u32> {
    let model = model();
    let mut ids = spec.prompt.to_vec();
    let mut input = Rows::Ids(ids.clone());
    loop {
        for stage in stages.iter_mut() {
            input = stage.forward(&input).unwrap();
        }
        let Rows::Ids(drawn) = &input else { panic!("the last stage draws ids") };
        ids.extend(drawn);
        if model.is_complete(&ids, spec.prompt.len(), spec.max_new()) {
            return ids[spec.prompt.len()..].to_vec();
        }
    }
}

//! The engine as the worker sees it.
//!
//! The worker knows stages, boundary rows and roots; it knows nothing of kernels. Everything that computes is behind [`Engine`]
//! and [`Stage`], so that an engine can live in a supervised child process: values in, values out, no shared memory. A panic
//! behind these traits is caught by [`crate::compute`] and costs one task, or those that were stepped together.

use crate::compute::guarded;
use assay_exact::{
    commit::{row_leaf, vector_leaf, StageRootInput},
    hash::{Blake2b, Digest},
    merkle::{leaf_hash, ListBuilder},
};
use assay_primitives::{traits::ModelKind, JobInput, JobSpec, JobTask, ModelId, Opening, Span};
use codec::{Decode, Encode};
use polkadot_sdk::sp_core::H256;
use std::{
    any::Any,
    sync::{atomic::AtomicBool, Arc},
};

/// What crosses a stage boundary, position by position.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Rows {
    /// Token ids: into the first stage, out of the last.
    #[codec(index = 0)]
    Ids(Vec<u32>),
    /// Residual rows, row-major `[rows, width]`.
    #[codec(index = 1)]
    Hidden {
        /// Entries of a row (the model's `d`).
        width: u32,
        /// The rows.
        values: Vec<i32>,
    },
    /// A text's vector, which is one row: out of an encoder's last stage, and into none.
    #[codec(index = 2)]
    Vector(Vec<i16>),
}

impl Rows {
    /// No rows, of the kind and width of a boundary: `None` for token ids.
    pub fn empty(width: Option<u32>) -> Self {
        match width {
            None => Self::Ids(Vec::new()),
            Some(width) => Self::Hidden { width, values: Vec::new() },
        }
    }

    /// Number of rows. A hidden matrix without width has none, nor has a vector without entries.
    pub fn len(&self) -> usize {
        match self {
            Self::Ids(ids) => ids.len(),
            Self::Hidden { width: 0, .. } => 0,
            Self::Hidden { width, values } => values.len() / *width as usize,
            Self::Vector(v) => usize::from(!v.is_empty()),
        }
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes that the values take.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Ids(ids) => ids.len() * 4,
            Self::Hidden { values, .. } => values.len() * 4,
            Self::Vector(v) => v.len() * 2,
        }
    }

    /// Width of a hidden matrix, none for the others.
    pub fn width(&self) -> Option<u32> {
        match self {
            Self::Ids(_) | Self::Vector(_) => None,
            Self::Hidden { width, .. } => Some(*width),
        }
    }

    /// Rows `from..to`, cut to what there is.
    pub fn slice(&self, from: usize, to: usize) -> Self {
        let to = to.min(self.len());
        let from = from.min(to);
        match self {
            Self::Ids(ids) => Self::Ids(ids[from..to].to_vec()),
            Self::Hidden { width, values } => {
                let w = *width as usize;
                Self::Hidden { width: *width, values: values[from * w..to * w].to_vec() }
            }
            Self::Vector(v) => Self::Vector(if from < to { v.clone() } else { Vec::new() }),
        }
    }

    /// Appends rows. False, and nothing happens, if they are of another kind or width, or would be a second vector.
    #[must_use]
    pub fn append(&mut self, more: &Self) -> bool {
        match (self, more) {
            (Self::Ids(a), Self::Ids(b)) => a.extend_from_slice(b),
            (Self::Hidden { width: w, values: a }, Self::Hidden { width, values: b }) if w == width => {
                a.extend_from_slice(b)
            }
            (Self::Vector(a), Self::Vector(b)) if a.is_empty() => a.extend_from_slice(b),
            _ => return false,
        }
        true
    }

    /// Whether these are whole rows of a boundary between stages: a vector crosses none.
    pub fn is_well_formed(&self) -> bool {
        match self {
            Self::Ids(_) => true,
            Self::Vector(_) => false,
            Self::Hidden { width, values } => *width > 0 && values.len() % *width as usize == 0,
        }
    }

    /// Calls `leaf` with each row's leaf hash (`docs/exact.md`, section 11).
    pub fn leaves(&self, mut leaf: impl FnMut(Digest)) {
        match self {
            Self::Ids(ids) => ids.iter().for_each(|id| leaf(leaf_hash::<Blake2b>(&[&id.to_le_bytes()]))),
            Self::Hidden { width, values } => {
                values.chunks_exact((*width).max(1) as usize).for_each(|row| leaf(row_leaf::<Blake2b>(row)))
            }
            Self::Vector(v) if v.is_empty() => {}
            Self::Vector(v) => leaf(vector_leaf::<Blake2b>(v)),
        }
    }

    /// Root of all rows.
    pub fn root(&self) -> H256 {
        let mut list = ListBuilder::<Blake2b>::new();
        self.leaves(|leaf| list.push_hash(leaf));
        H256(list.root())
    }
}

/// What a stage computes, of which job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageSpec {
    /// The package.
    pub model: ModelId,
    /// The layers.
    pub span: Span,
    /// The prompt, or the text to embed; at least one id.
    pub prompt: Arc<[u32]>,
    /// What is computed of it.
    pub task: JobTask,
}

impl StageSpec {
    /// From a job and one of its spans; none if the prompt is not inline.
    pub fn of(spec: &JobSpec, span: Span) -> Option<Self> {
        let JobInput::Inline(ids) = &spec.input else { return None };
        Some(Self { model: spec.model, span, prompt: ids.iter().copied().collect::<Vec<_>>().into(), task: spec.task })
    }

    /// Most ids to generate.
    pub fn max_new(&self) -> u32 {
        self.task.max_new_tokens()
    }

    /// Positions that are computed of a whole transcript: the last generated id is never fed back.
    pub fn positions(&self, transcript: &[u32]) -> usize {
        transcript.len().saturating_sub(usize::from(!self.embeds()))
    }

    /// Whether it takes part in embedding a text.
    pub fn embeds(&self) -> bool {
        self.task == JobTask::Embed
    }
}

/// Roots of a finished stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StageOutcome {
    /// Root of what it received: of all T ids in the first stage.
    pub in_root: H256,
    /// Root of what it handed on: from the last stage, of all T ids or of the vector.
    pub out_root: H256,
    /// Root of its keys and values.
    pub kv_root: H256,
    /// Root of its last layer's tail.
    pub tail_root: H256,
}

impl StageOutcome {
    /// What opens a commitment to it.
    pub fn opening(&self) -> Opening {
        Opening { out_root: self.out_root, kv_root: self.kv_root, tail_root: self.tail_root }
    }

    /// The stage root (`docs/exact.md`, section 11).
    pub fn stage_root(&self, spec: &StageSpec) -> H256 {
        let input = StageRootInput {
            model_root: spec.model.0,
            first_layer: spec.span.first.into(),
            end_layer: spec.span.end.into(),
            t_in: spec.prompt.len() as u32,
            generation: spec.task.generation(),
            in_root: self.in_root.0,
            out_root: self.out_root.0,
            kv_root: self.kv_root.0,
            tail_root: self.tail_root.0,
        };
        H256(input.root::<Blake2b>())
    }
}

/// Which implementation computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Arithmetic {
    /// The fastest that this machine runs, or what the operator chose.
    Fast,
    /// The scalar reference: what a dissent, and the first commit after a start, are repeated with.
    Reference,
}

/// A model that this node can run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalModel {
    /// Root of its package.
    pub id: ModelId,
    /// Its name.
    pub name: String,
    /// Whether it continues texts or embeds them.
    pub kind: ModelKind,
    /// Entries of a residual row, and of an encoder's vector.
    pub width: u32,
    /// Number of layers.
    pub layers: u16,
    /// Ids in the vocabulary.
    pub vocab: u32,
    /// Longest sequence, prompt and output.
    pub context: u32,
    /// Ids that end generation.
    pub eos: Vec<u32>,
}

impl LocalModel {
    /// Whether generation ends with `last`, the newest of `generated` ids.
    pub fn ends(&self, generated: usize, last: u32, max_new: u32) -> bool {
        generated > 0 && (generated >= max_new as usize || self.eos.contains(&last))
    }

    /// Whether `ids`, of which the first `t_in` are the prompt, are complete: the last generated id ends generation, or there
    /// are as many as asked for.
    pub fn is_complete(&self, ids: &[u32], t_in: usize, max_new: u32) -> bool {
        ids.last().is_some_and(|last| self.ends(ids.len().saturating_sub(t_in), *last, max_new))
    }
}

/// Why the engine could not do something.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The node has no such model.
    #[error("this node holds no model {0:?}; start it with `--model DIR` of that package")]
    UnknownModel(ModelId),
    /// The package lacks these layers.
    #[error("the package of model {model:?} on this node has no layers {}..{}", span.first, span.end)]
    UnknownSpan {
        /// The model.
        model: ModelId,
        /// The span.
        span: Span,
    },
    /// The text or the ids cannot be converted.
    #[error("{0}")]
    Tokenizer(String),
    /// The bytes of the package are no longer those that were checked at the start.
    #[error("the package of model {model:?} changed under the running node: {problem}")]
    Damaged {
        /// The model.
        model: ModelId,
        /// Which file, and how.
        problem: String,
    },
    /// The task was given up.
    #[error("cancelled")]
    Cancelled,
    /// The engine refused or failed.
    #[error("the engine failed: {0}")]
    Failed(String),
    /// The engine panicked; its task is lost, nothing else.
    #[error("the engine panicked: {0}")]
    Panicked(String),
}

/// One stage of one sequence being computed.
pub trait Stage: Any + Send {
    /// Computes the next positions: ids in the first stage, rows in the others. Returns the rows for the next stage; from the
    /// last stage, the id drawn after the newest position, or none while prompt positions are missing. A stage of an encoder is
    /// given all positions at once, and its last one returns the vector.
    fn forward(&mut self, input: &Rows) -> Result<Rows, EngineError>;

    /// Ends the sequence and returns its roots. `last` is the id that ended generation: a first stage never computes it, but
    /// its input root covers it.
    fn finish(self: Box<Self>, last: Option<u32>) -> Result<StageOutcome, EngineError>;
}

/// One stage's part in a step of several.
pub struct Step<'a> {
    /// Its state.
    pub stage: &'a mut dyn Stage,
    /// What [`Stage::forward`] is given.
    pub input: &'a Rows,
}

/// A re-execution.
#[derive(Clone, Copy, Debug)]
pub struct Replay<'a> {
    /// All T ids: the input and what was generated. A stage that neither reads nor draws ids looks only at how many there are.
    pub transcript: &'a [u32],
    /// What the stage received, unless it is the first.
    pub rows: Option<&'a Rows>,
    /// With what.
    pub arithmetic: Arithmetic,
    /// Stops it soon when set.
    pub cancel: &'a AtomicBool,
}

/// Whatever runs models.
pub trait Engine: Send + Sync + 'static {
    /// The models it holds.
    fn models(&self) -> Vec<LocalModel>;

    /// One of them.
    fn model(&self, id: &ModelId) -> Option<LocalModel> {
        self.models().into_iter().find(|m| m.id == *id)
    }

    /// Text to ids, with the special tokens that the model's prompts begin with.
    fn tokenize(&self, model: &ModelId, text: &str) -> Result<Vec<u32>, EngineError>;

    /// Ids to text, special tokens left out.
    fn detokenize(&self, model: &ModelId, ids: &[u32]) -> Result<String, EngineError>;

    /// Begins a stage.
    fn open(&self, spec: &StageSpec) -> Result<Box<dyn Stage>, EngineError>;

    /// Computes the next positions of stages that this engine opened, all of one model and span. Each gets, in order, what its
    /// [`Stage::forward`] would give it alone.
    fn forward(&self, steps: &mut [Step<'_>]) -> Vec<Result<Rows, EngineError>> {
        steps.iter_mut().map(|Step { stage, input }| guarded(|| stage.forward(input))).collect()
    }

    /// Re-executes a finished stage in one prefill, and returns the roots that an honest executor has, given this input. With
    /// the reference arithmetic, which decides whether somebody is accused, it first hashes the weights again.
    fn replay(&self, spec: &StageSpec, replay: Replay<'_>) -> Result<StageOutcome, EngineError>;

    /// Name of what computes, for status and metrics.
    fn backend(&self) -> String;
}

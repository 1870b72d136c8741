//! The stage executor: the layers of a span over one job's positions, with its commitments (section 11).
//!
//! A [`Stage`] takes token ids (the first stage) or boundary rows (the others) for contiguous positions and
//! gives boundary rows (all but the last stage) or the next token id (the last). The lists that it commits to
//! grow as it runs, so that a prefix can be signed at any time. [`replay`] is a checker's re-execution of a
//! whole transcript. A [`Batch`] steps several stages of the same layers together. An encoder's layers are run by an
//! [`EncoderStage`], which takes whole texts, and checked by
//! [`replay_encoder`].
//!
//! ```no_run
//! # use std::sync::Arc;
//! # use assay_engine::{package::Package, stage::*, Sampling};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let package = Arc::new(Package::open("model".as_ref())?);
//! let spec = StageSpec { first: 0, end: 8, prompt: vec![5, 7].into(), max_new: 4, sampling: Sampling::GREEDY };
//! let mut stage = Stage::open(&package, spec, &Setup::default())?;
//! let mut output = stage.forward(StageInput::Ids(&[5, 7]), &mut Control::default())?;
//! while let StageOutput::Token(Token { id, end: None, .. }) = output {
//!     output = stage.forward(StageInput::Ids(&[id]), &mut Control::default())?;
//! }
//! println!("{:02x?}", stage.finish()?.stage_root);
//! # Ok(())
//! # }
//! ```

mod batch;
mod commit;
mod control;
mod encoder;
mod replay;
mod spec;
mod transcript;

use std::{ops::Range, sync::Arc};

use assay_exact::{
    commit::Generation,
    hash::{Blake2b, Digest},
    header::Header,
    sampling::draw,
};

use crate::{
    kernels::Threads,
    model::{fit, Buffers, Executor, KvCache, Model},
    package::Package,
    EngineError,
};

pub use batch::{Batch, BatchItem};
pub use commit::StageCommit;
pub use control::{Control, Progress, Setup};
pub use encoder::{replay_encoder, Encoded, EncoderOutput, EncoderStage};
pub use replay::{replay, Divergence, Replay};
pub use spec::{even_spans, StageSpec};
pub use transcript::EndReason;

use batch::{pass, Scratch};
use commit::{Commitments, CommittedJob};
use transcript::Transcript;

/// Most positions that go through the layers together. Bounds the scratch, not the caller: longer inputs are
/// cut. A larger chunk reads the weights less often.
const CHUNK: usize = 128;
/// Positions whose logits are computed together in a replay: a vocabulary of 2^17 ids then takes 16 MiB.
const HEAD_CHUNK: usize = 32;

/// What a stage is given for its next positions.
#[derive(Clone, Copy, Debug)]
pub enum StageInput<'a> {
    /// Token ids, one per position: the first stage.
    Ids(&'a [u32]),
    /// Boundary rows `[n, d]`, i32 Q`F_h`, as the stage before gave them.
    Rows(&'a [i32]),
}

/// What a stage gives for the positions it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StageOutput {
    /// Boundary rows `[n, d]` for the next stage: every stage but the last.
    Rows(Vec<i32>),
    /// The last stage, once the last prompt position has been computed: the next token.
    Token(Token),
    /// The last stage, while prompt positions are missing.
    Prompt,
}

/// A generated token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// Its position, counted from the prompt's first token.
    pub position: u32,
    /// Its id.
    pub id: u32,
    /// Why it is the last one, if it is.
    pub end: Option<EndReason>,
}

/// A stage of one job. See the [module](self).
#[derive(Debug)]
pub struct Stage {
    spec: StageSpec,
    model: Model,
    model_root: Digest,
    kernels: &'static dyn crate::kernels::Kernels,
    threads: Arc<Threads>,
    cache: KvCache,
    transcript: Transcript,
    commitments: Commitments,
    /// Positions computed.
    positions: u32,
    stopped: bool,
    scratch: Scratch,
}

impl Stage {
    /// Opens a stage over the package's layers `spec.first..spec.end`; weights stay where they are.
    ///
    /// # Errors
    /// A span, prompt, length or parameter that the model does not have; a model that the engine does not run;
    /// a backend that the machine does not run.
    pub fn open(package: &Arc<Package>, spec: StageSpec, setup: &Setup) -> Result<Self, EngineError> {
        spec.validate(package.header())?;
        let kernels = setup.backend.kernels()?;
        let model = Model::load(package, spec.first, spec.end)?;
        let header = model.header();
        Ok(Self {
            model_root: package.model_root(),
            kernels,
            threads: setup.threads()?,
            cache: model.new_cache(),
            transcript: Transcript::new(header, &spec),
            commitments: Commitments::new(header, &spec),
            positions: 0,
            stopped: false,
            scratch: Scratch::default(),
            model,
            spec,
        })
    }

    /// What the stage was opened for.
    pub fn spec(&self) -> &StageSpec {
        &self.spec
    }

    /// The model's shape.
    pub fn header(&self) -> &Header {
        self.model.header()
    }

    /// Positions computed so far.
    pub fn positions(&self) -> u32 {
        self.positions
    }

    /// Whether the stage takes token ids.
    pub fn is_first(&self) -> bool {
        self.spec.first == 0
    }

    /// Whether the stage draws the next token.
    pub fn is_last(&self) -> bool {
        self.spec.end == self.header().layers
    }

    /// The ids known to this stage: those fed to the first stage, prompt and draws in the last.
    pub fn ids(&self) -> &[u32] {
        self.transcript.ids()
    }

    /// The root over the input so far, and how many leaves it has: boundary rows, or token ids in the first
    /// stage. At the end it equals the upstream's [`Self::out_root`].
    pub fn in_root(&self) -> (u64, Digest) {
        self.commitments.in_root()
    }

    /// The root over the output so far, and how many leaves it has: boundary rows, or prompt and generated ids
    /// in the last stage.
    pub fn out_root(&self) -> (u64, Digest) {
        self.commitments.out_root()
    }

    /// Computes the next positions.
    ///
    /// Any division of the positions into calls gives the same outputs and roots. After an error that this
    /// method finds in the input, nothing has changed; after [`EngineError::Cancelled`] the stage cannot go on.
    pub fn forward(&mut self, input: StageInput<'_>, control: &mut Control<'_>) -> Result<StageOutput, EngineError> {
        let n = self.check(input)?;
        let d = self.header().d as usize;
        let mut out = if self.is_last() { Vec::new() } else { Vec::with_capacity(n * d) };
        let total = n;
        self.for_each_chunk(input, control, |stage, control, from, chunk, scratch| {
            if stage.is_last() {
                if from + chunk == total && stage.draws() {
                    let id = stage.draw_after(scratch, chunk - 1..chunk, stage.positions - 1);
                    stage.append_drawn(id[0]);
                }
            } else {
                out.extend_from_slice(&scratch.rows[..chunk * d]);
            }
            control.report(Progress { positions: (from + chunk) as u32, of: total as u32 });
        })?;
        Ok(self.output(out))
    }

    /// What a call gives whose output rows are `rows`, if it gives rows.
    fn output(&self, rows: Vec<i32>) -> StageOutput {
        if !self.is_last() {
            return StageOutput::Rows(rows);
        }
        match self.transcript.last_generated() {
            Some((position, id)) => StageOutput::Token(Token { position, id, end: self.transcript.end() }),
            None => StageOutput::Prompt,
        }
    }

    /// Whether an id is drawn after the newest position.
    fn draws(&self) -> bool {
        self.is_last() && self.positions >= self.spec.t_in()
    }

    /// The id drawn after the newest position.
    fn append_drawn(&mut self, id: u32) {
        self.append(&[id]);
        if self.is_first() && self.transcript.end().is_some() {
            // Part of the transcript, though it is never fed.
            self.commitments.push_in_ids(&[id]);
        }
    }

    /// Tells a first stage that is not the last which id ended the generation: it is part of the transcript but
    /// is never computed. The other stages need not be told.
    pub fn end(&mut self, id: u32) -> Result<(), EngineError> {
        self.check_not_cancelled()?;
        if self.is_last() || !self.is_first() {
            return Ok(());
        }
        self.check_running()?;
        let computed = self.positions;
        if computed < self.spec.t_in() {
            return Err(EngineError::NotEnded { computed, needed: "the prompt comes first" });
        }
        self.check_id(id, computed)?;
        if self.transcript.end_at(computed, id).is_none() {
            let needed = "the id given ends nothing: it is no eos id, and max_new is not reached";
            return Err(EngineError::NotEnded { computed, needed });
        }
        self.transcript.feed(&[id]);
        self.commitments.push_in_ids(&[id]);
        Ok(())
    }

    /// Closes the stage and computes its commitment.
    ///
    /// # Errors
    /// In the last stage before generation has ended, in the first one before it has seen the last id, and in
    /// any other before the prompt has been computed.
    pub fn finish(self) -> Result<StageCommit, EngineError> {
        self.check_not_cancelled()?;
        let needed = if self.is_last() {
            self.transcript.end().is_none().then_some("draw the remaining tokens")
        } else if self.is_first() {
            self.transcript.end().is_none().then_some("tell it the last id by `end`")
        } else {
            (self.positions < self.spec.t_in()).then_some("the prompt comes first")
        };
        if let Some(needed) = needed {
            return Err(EngineError::NotEnded { computed: self.positions, needed });
        }
        Ok(self.commit())
    }

    fn commit(&self) -> StageCommit {
        let StageSpec { first, end, max_new, sampling, .. } = self.spec;
        let generation = Some(Generation { max_new, sampling });
        let job = CommittedJob { model_root: self.model_root, first, end, t_in: self.spec.t_in(), generation };
        self.commitments.commit(&job, &self.cache, self.positions as usize)
    }

    /// Runs the input through the span chunk by chunk; `each` sees the first position's index in the input, the
    /// number of positions and, in the scratch, their output rows.
    fn for_each_chunk(
        &mut self,
        input: StageInput<'_>,
        control: &mut Control<'_>,
        mut each: impl FnMut(&mut Self, &mut Control<'_>, usize, usize, &mut Scratch) + Send,
    ) -> Result<(), EngineError> {
        let threads = Arc::clone(&self.threads);
        threads.install(|| {
            let d = self.header().d as usize;
            let n = input.positions(d);
            let mut scratch = std::mem::take(&mut self.scratch);
            let mut done = 0;
            while done < n {
                let chunk = CHUNK.min(n - done);
                let input = input.slice(done..done + chunk, d);
                pass(&mut [BatchItem { stage: &mut *self, input }], &mut scratch, control.cancel())?;
                each(self, control, done, chunk, &mut scratch);
                done += chunk;
            }
            self.scratch = scratch;
            Ok(())
        })
    }

    /// Rows in: the input's rows, to `h` `[n, d]`, and what is committed of them.
    fn feed(&mut self, input: StageInput<'_>, h: &mut [i32], buffers: &mut Buffers) {
        let Self { model, commitments, transcript, kernels, threads, .. } = self;
        match input {
            StageInput::Ids(ids) => {
                transcript.feed(ids);
                commitments.push_in_ids(ids);
                let run = Executor { kernels: *kernels, threads };
                model.embed(run, ids, self.positions as usize, h, buffers);
            }
            StageInput::Rows(rows) => {
                commitments.push_in_rows(rows);
                h.copy_from_slice(rows);
            }
        }
    }

    /// Rows out: what is committed of the final rows `h` `[n, d]`, which are these rows of the call.
    fn settle(&mut self, h: &[i32], rows: Range<usize>, buffers: &Buffers) {
        let Self { model, cache, commitments, threads, .. } = self;
        let end = self.positions as usize + rows.len();
        if self.spec.end < model.header().layers {
            commitments.push_out_rows(h);
        }
        commitments.push_tail(buffers, rows);
        commitments.push_kv(cache, end, threads);
        self.positions = end as u32;
    }

    /// Draws the ids that follow the positions from `position` on, whose final rows are these in the scratch: one by one for a
    /// generation, many at once for a replay.
    fn draw_after(&mut self, scratch: &mut Scratch, rows: Range<usize>, position: u32) -> Vec<u32> {
        let Self { model, spec, kernels, threads, .. } = self;
        let run = Executor { kernels: *kernels, threads };
        let (width, vocab) = (model.header().d as usize, model.header().vocab as usize);
        let Scratch { buffers, rows: h, logits, order, .. } = scratch;
        let (cap, order) = (model.header().final_cap(), fit(order, vocab));
        let mut next = position;
        let mut ids = Vec::with_capacity(rows.len());
        for h in h[rows.start * width..rows.end * width].chunks(HEAD_CHUNK * width) {
            for logits in model.logits(run, h, logits, buffers).chunks_exact(vocab) {
                next += 1;
                ids.push(draw::<Blake2b>(logits, cap, &spec.sampling, next, order));
            }
        }
        ids
    }

    /// Appends drawn ids to the transcript and to what the last stage commits to.
    fn append(&mut self, ids: &[u32]) {
        self.transcript.draw(ids);
        self.commitments.push_out_ids(ids);
    }

    /// [`Self::append`] of ids that were drawn together: those after the end were never drawn.
    fn append_until_end(&mut self, ids: &[u32]) {
        for id in ids {
            if self.transcript.end().is_some() {
                return;
            }
            self.append(&[*id]);
        }
    }

    /// Checks an input before anything changes; returns its number of positions.
    fn check(&self, input: StageInput<'_>) -> Result<usize, EngineError> {
        self.check_running()?;
        let width = self.header().d as usize;
        match (self.is_first(), input) {
            (true, StageInput::Rows(_)) => {
                return Err(EngineError::InputKind { expected: "token ids", found: "boundary rows" })
            }
            (false, StageInput::Ids(_)) => {
                return Err(EngineError::InputKind { expected: "boundary rows", found: "token ids" })
            }
            (false, StageInput::Rows(rows)) if rows.len() % width != 0 => {
                return Err(EngineError::RowWidth { width, found: rows.len() })
            }
            _ => {}
        }
        let n = input.positions(width);
        if n == 0 {
            return Err(EngineError::EmptyInput);
        }
        let limit = self.limit();
        let to = u32::try_from(n).unwrap_or(u32::MAX).saturating_add(self.positions);
        if to > limit {
            return Err(EngineError::TooFar { from: self.positions, to, limit });
        }
        if let StageInput::Ids(ids) = input {
            for (position, id) in (self.positions..).zip(ids) {
                self.check_id(*id, position)?;
                if position >= self.spec.t_in() && self.transcript.end_at(position, *id).is_some() {
                    return Err(EngineError::FinalId { position, id: *id });
                }
            }
        }
        Ok(n)
    }

    /// End of the positions that may be computed now: in the last stage those whose id is known, else all that
    /// the job can have.
    fn limit(&self) -> u32 {
        if self.is_last() {
            self.transcript.ids().len() as u32
        } else {
            self.spec.max_positions()
        }
    }

    fn check_id(&self, id: u32, position: u32) -> Result<(), EngineError> {
        let vocab = self.header().vocab;
        if id >= vocab {
            return Err(EngineError::TokenId { position: position.into(), id, vocab });
        }
        match self.transcript.known(position) {
            Some(expected) if expected != id => Err(EngineError::Transcript { position, expected, found: id }),
            _ => Ok(()),
        }
    }

    fn check_running(&self) -> Result<(), EngineError> {
        self.check_not_cancelled()?;
        match self.transcript.end() {
            Some(_) => Err(EngineError::Ended),
            None => Ok(()),
        }
    }

    fn check_not_cancelled(&self) -> Result<(), EngineError> {
        if self.stopped {
            return Err(EngineError::Cancelled);
        }
        Ok(())
    }
}

impl StageInput<'_> {
    fn positions(&self, width: usize) -> usize {
        match self {
            Self::Ids(ids) => ids.len(),
            Self::Rows(rows) => rows.len() / width,
        }
    }

    fn slice(&self, range: std::ops::Range<usize>, width: usize) -> Self {
        match self {
            Self::Ids(ids) => Self::Ids(&ids[range]),
            Self::Rows(rows) => Self::Rows(&rows[range.start * width..range.end * width]),
        }
    }
}

//! The stage executor of encoders: a span's layers over whole texts.
//!
//! Every position sees every other, so that a stage takes all of a text at once: token ids (the first stage) or
//! the boundary rows of all positions (the others), and gives the rows for the next stage or, the last one, the
//! text's vector. Nothing is left over from text to text; a stage may be kept open for any number of them.

use std::{ops::Range, sync::Arc};

use assay_exact::{
    hash::Digest,
    header::{Header, Kind},
};

use super::{
    commit::{Commitments, CommittedJob},
    spec::{check_ids, check_span},
    Control, Progress, Setup, StageCommit, StageInput,
};
use crate::{
    kernels::{Kernels, Threads},
    model::{fit, Buffers, Executor, KvCache, Model},
    package::Package,
    EngineError,
};

/// What an encoder's stage gives for a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EncoderOutput {
    /// Boundary rows `[n, d]`, i32 Q`F_h`, for the next stage: every stage but the last.
    Rows(Vec<i32>),
    /// The text's vector `[d]`, i16 Q15, of unit length: the last stage.
    Vector(Vec<i16>),
}

/// A text that went through a stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// For the next stage, or for the client.
    pub output: EncoderOutput,
    /// What the stage commits to for this text: `T_in` is its number of tokens, and the fields of a generation
    /// are zero.
    pub commit: StageCommit,
}

/// The layers of a span of an encoder. See the [module](super).
///
/// ```no_run
/// # use std::sync::Arc;
/// # use assay_engine::{package::Package, stage::*};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let package = Arc::new(Package::open("encoder".as_ref())?);
/// let mut stage = EncoderStage::open(&package, 0..package.header().layers, &Setup::default())?;
/// let Encoded { output, commit } = stage.forward(StageInput::Ids(&[101, 7592, 102]), &mut Control::default())?;
/// println!("{output:?} {:02x?}", commit.stage_root);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct EncoderStage {
    span: Range<u32>,
    model: Model,
    model_root: Digest,
    kernels: &'static dyn Kernels,
    threads: Arc<Threads>,
    cache: KvCache,
    buffers: Buffers,
    rows: Vec<i32>,
}

impl EncoderStage {
    /// Opens a stage over the package's layers `span`; weights stay where they are.
    ///
    /// # Errors
    /// A model that is no encoder; a span that it does not have; a backend that the machine does not run.
    pub fn open(package: &Arc<Package>, span: Range<u32>, setup: &Setup) -> Result<Self, EngineError> {
        let header = package.header();
        if header.kind != Kind::Encoder {
            return Err(EngineError::NotAnEncoder);
        }
        check_span(header, span.start, span.end)?;
        let kernels = setup.backend.kernels()?;
        let model = Model::load(package, span.start, span.end)?;
        Ok(Self {
            model_root: package.model_root(),
            kernels,
            threads: setup.threads()?,
            cache: model.new_cache(),
            buffers: Buffers::default(),
            rows: Vec::new(),
            model,
            span,
        })
    }

    /// The layers of the stage.
    pub fn span(&self) -> Range<u32> {
        self.span.clone()
    }

    /// The model's shape.
    pub fn header(&self) -> &Header {
        self.model.header()
    }

    /// Whether the stage takes token ids.
    pub fn is_first(&self) -> bool {
        self.span.start == 0
    }

    /// Whether the stage gives the vector.
    pub fn is_last(&self) -> bool {
        self.span.end == self.header().layers
    }

    /// Computes a whole text.
    ///
    /// # Errors
    /// An input of the wrong kind or width; a text without positions, or with more than the model's context; an
    /// id that the model does not have; [`EngineError::Cancelled`]. The stage can go on with another text.
    pub fn forward(&mut self, input: StageInput<'_>, control: &mut Control<'_>) -> Result<Encoded, EngineError> {
        let n = self.check(input)?;
        let threads = Arc::clone(&self.threads);
        let cancel = control.cancel();
        let encoded = threads.install(|| self.compute(input, n, cancel))?;
        control.report(Progress { positions: n as u32, of: n as u32 });
        Ok(encoded)
    }

    fn compute(
        &mut self,
        input: StageInput<'_>,
        n: usize,
        cancel: &std::sync::atomic::AtomicBool,
    ) -> Result<Encoded, EngineError> {
        let (is_last, Range { start: first, end }) = (self.is_last(), self.span());
        let Self { model, cache, buffers, kernels, threads, rows, .. } = self;
        let run = Executor { kernels: *kernels, threads };
        let header = model.header();
        let h = fit(rows, n * header.d as usize);
        let mut commitments = Commitments::of_layers(header, end - first);
        match input {
            StageInput::Ids(ids) => {
                commitments.push_in_ids(ids);
                model.embed(run, ids, 0, h, buffers);
            }
            StageInput::Rows(rows) => {
                commitments.push_in_rows(rows);
                h.copy_from_slice(rows);
            }
        }
        model.forward_whole(run, h, cache, buffers, cancel, |buffers, n| commitments.push_tail(buffers, 0..n))?;
        commitments.push_kv(cache, n, threads);
        let output = if is_last {
            let v = model.pooled(run, h, buffers);
            commitments.push_out_vector(&v);
            EncoderOutput::Vector(v)
        } else {
            commitments.push_out_rows(h);
            EncoderOutput::Rows(h.to_vec())
        };
        let job = CommittedJob { model_root: self.model_root, first, end, t_in: n as u32, generation: None };
        Ok(Encoded { output, commit: commitments.commit(&job, cache, n) })
    }

    /// Checks an input before anything is computed; returns its number of positions.
    fn check(&self, input: StageInput<'_>) -> Result<usize, EngineError> {
        let header = self.header();
        let width = header.d as usize;
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
        if n > header.context as usize {
            return Err(EngineError::TextLength { tokens: n, context: header.context });
        }
        if let StageInput::Ids(ids) = input {
            check_ids(header, ids)?;
        }
        Ok(n)
    }
}

/// A checker's re-execution of an encoder's stage over a text x_0..x_{T-1}.
///
/// `rows` are the boundary rows `[T, d]` for any stage but the first, which takes `None`: it reads the ids. The
/// caller compares the roots: `commit.in_root` first, because rows that do not hash to the public root prove
/// nothing about the executor. There is nothing to draw, so that the commitment is all that can differ.
///
/// # Errors
/// As [`EncoderStage::open`] and [`EncoderStage::forward`]; another number of rows than the text has tokens.
pub fn replay_encoder(
    package: &Arc<Package>,
    span: Range<u32>,
    ids: &[u32],
    rows: Option<&[i32]>,
    setup: &Setup,
    control: &mut Control<'_>,
) -> Result<Encoded, EngineError> {
    let mut stage = EncoderStage::open(package, span, setup)?;
    check_ids(stage.header(), ids)?;
    let width = stage.header().d as usize;
    let input = match (stage.is_first(), rows) {
        (_, None) => StageInput::Ids(ids),
        (false, Some(rows)) if rows.len() % width == 0 && rows.len() / width != ids.len() => {
            return Err(EngineError::RowCount { expected: ids.len(), found: rows.len() / width })
        }
        (_, Some(rows)) => StageInput::Rows(rows),
    };
    stage.forward(input, control)
}

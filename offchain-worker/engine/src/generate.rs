//! Text generation in one process: all stages of a model in a ring, as the network runs them.

use std::{
    ops::ControlFlow,
    sync::Arc,
    time::{Duration, Instant},
};

use assay_exact::sampling::Sampling;

use crate::{
    package::Package,
    stage::{even_spans, Control, EndReason, Setup, Stage, StageCommit, StageInput, StageOutput, StageSpec, Token},
    EngineError,
};

/// What to generate.
#[derive(Clone, Debug)]
pub struct Request {
    /// Prompt ids.
    pub prompt: Arc<[u32]>,
    /// Most ids to generate.
    pub max_new: u32,
    /// How they are drawn.
    pub sampling: Sampling,
    /// Number of stages that the layers are divided over.
    pub stages: u32,
}

/// What was generated.
#[derive(Clone, Debug)]
pub struct Generation {
    /// Prompt and generated ids.
    pub ids: Vec<u32>,
    /// How many of them are the prompt.
    pub prompt_length: usize,
    /// Why the generation ended; `None` if the caller stopped it.
    pub end: Option<EndReason>,
    /// The commitment of each stage; empty if the caller stopped.
    pub commits: Vec<StageCommit>,
    /// Until the first token.
    pub prefill: Duration,
    /// From the first token to the last.
    pub decode: Duration,
}

impl Generation {
    /// The generated ids.
    pub fn generated(&self) -> &[u32] {
        &self.ids[self.prompt_length..]
    }
}

/// Generates until an eos id, `max_new`, or `on_token` breaks.
pub fn generate(
    package: &Arc<Package>,
    request: &Request,
    setup: &Setup,
    control: &mut Control<'_>,
    mut on_token: impl FnMut(Token) -> ControlFlow<()>,
) -> Result<Generation, EngineError> {
    let setup = setup.shared()?;
    let mut stages = even_spans(package.header().layers, request.stages)?
        .into_iter()
        .map(|span| {
            let spec = StageSpec {
                first: span.start,
                end: span.end,
                prompt: Arc::clone(&request.prompt),
                max_new: request.max_new,
                sampling: request.sampling,
            };
            Stage::open(package, spec, &setup)
        })
        .collect::<Result<Vec<_>, _>>()?;

    let begin = Instant::now();
    let mut ids = request.prompt.to_vec();
    let mut token = around(&mut stages, &request.prompt, control)?;
    let prefill = begin.elapsed();
    let end = loop {
        ids.push(token.id);
        let stopped = on_token(token).is_break();
        if token.end.is_some() || stopped {
            break token.end;
        }
        token = around(&mut stages, &[token.id], control)?;
    };
    let decode = begin.elapsed() - prefill;

    let commits = match end {
        None => Vec::new(),
        Some(_) => {
            if let [first, _, ..] = &mut stages[..] {
                first.end(token.id)?;
            }
            stages.into_iter().map(Stage::finish).collect::<Result<_, _>>()?
        }
    };
    Ok(Generation { ids, prompt_length: request.prompt.len(), end, commits, prefill, decode })
}

/// Once around the ring: ids in, the next token out.
fn around(stages: &mut [Stage], ids: &[u32], control: &mut Control<'_>) -> Result<Token, EngineError> {
    let mut rows = Vec::new();
    for (i, stage) in stages.iter_mut().enumerate() {
        let input = if i == 0 { StageInput::Ids(ids) } else { StageInput::Rows(&rows) };
        match stage.forward(input, control)? {
            StageOutput::Rows(out) => rows = out,
            StageOutput::Token(token) => return Ok(token),
            StageOutput::Prompt => break,
        }
    }
    // The whole prompt was given, and the last span ends the model: its stage has drawn.
    Err(EngineError::NotEnded { computed: 0, needed: "the spans must end the model" })
}

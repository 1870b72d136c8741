//! What a stage computes.

use std::{ops::Range, sync::Arc};

use assay_exact::{
    header::{Header, Kind},
    sampling::Sampling,
};

use crate::{package::PackageError, EngineError};

/// A span of layers, and the job that it works on. Everything here is public to a job's stages and checkers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageSpec {
    /// First layer, from 0.
    pub first: u32,
    /// End layer, exclusive.
    pub end: u32,
    /// The prompt's ids, x_0..x_{T_in - 1}: the first stage checks what it is fed, the last stage commits to
    /// them.
    pub prompt: Arc<[u32]>,
    /// Most ids to generate.
    pub max_new: u32,
    /// How they are drawn.
    pub sampling: Sampling,
}

impl StageSpec {
    /// `T_in`, the prompt's length.
    pub fn t_in(&self) -> u32 {
        self.prompt.len() as u32
    }

    /// `T_in + max_new - 1`: most positions that are computed, as the last id is never fed.
    pub fn max_positions(&self) -> u32 {
        self.t_in() + self.max_new - 1
    }

    /// Checks the spec against a model.
    pub fn validate(&self, header: &Header) -> Result<(), EngineError> {
        if header.kind == Kind::Encoder {
            return Err(EngineError::NotADecoder);
        }
        check_span(header, self.first, self.end)?;
        if self.prompt.is_empty() {
            return Err(EngineError::EmptyPrompt);
        }
        if self.max_new == 0 {
            return Err(EngineError::NothingToGenerate);
        }
        let prompt = self.prompt.len() as u64;
        if prompt + u64::from(self.max_new) > header.context.into() {
            return Err(EngineError::Context { prompt, max_new: self.max_new, context: header.context });
        }
        check_ids(header, &self.prompt)?;
        Ok(self.sampling.validate()?)
    }
}

/// Whether the model has the layers `first..end`.
pub(super) fn check_span(header: &Header, first: u32, end: u32) -> Result<(), EngineError> {
    if first >= end || end > header.layers {
        return Err(PackageError::Span { first, end, layers: header.layers }.into());
    }
    Ok(())
}

/// Whether the model has all of these ids.
pub(super) fn check_ids(header: &Header, ids: &[u32]) -> Result<(), EngineError> {
    match (0..).zip(ids).find(|(_, id)| **id >= header.vocab) {
        Some((position, id)) => Err(EngineError::TokenId { position, id: *id, vocab: header.vocab }),
        None => Ok(()),
    }
}

/// Divides `layers` into `stages` spans whose lengths differ by at most one, the longer ones first.
pub fn even_spans(layers: u32, stages: u32) -> Result<Vec<Range<u32>>, EngineError> {
    if stages == 0 || stages > layers {
        return Err(EngineError::Stages { stages, layers });
    }
    let (length, longer) = (layers / stages, layers % stages);
    let at = |stage: u32| stage * length + stage.min(longer);
    Ok((0..stages).map(|stage| at(stage)..at(stage + 1)).collect())
}

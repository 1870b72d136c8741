//! Deliberate misbehaviour, for the multi-node tests. Compiled only with the feature `faults`, which release builds do not
//! have.

use crate::engine::{Engine, EngineError, LocalModel, Replay, Rows, Stage, StageOutcome, StageSpec, Step};
use assay_exact::{hash::Blake2b, merkle::ListBuilder};
use assay_primitives::ModelId;
use polkadot_sdk::sp_core::H256;
use std::sync::Arc;

/// A way to misbehave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Fault {
    /// As executor: changes one activation (in a last stage: one id) and commits to the consequences consistently.
    CorruptActivation,
    /// As checker and voter: dissents from right results.
    FalseDissent,
    /// As executor: falls silent after the prompt.
    Silent,
    /// As executor of a last stage: commits to another text, with another last id, beside the stage root that honest checkers
    /// compute from that text.
    ForgedText,
}

impl Fault {
    /// Whether it needs an executor that does not compare itself with the scalar reference.
    pub fn skips_confirmation(self) -> bool {
        matches!(self, Self::CorruptActivation | Self::ForgedText)
    }

    /// Whether it is one of executed stages.
    fn is_of_stages(self) -> bool {
        match self {
            Self::CorruptActivation | Self::Silent | Self::ForgedText => true,
            Self::FalseDissent => false,
        }
    }
}

/// An engine that misbehaves when it executes. It checks honestly.
pub struct FaultyEngine {
    /// The honest one.
    pub inner: Arc<dyn Engine>,
    /// What it does.
    pub fault: Option<Fault>,
}

impl Engine for FaultyEngine {
    fn models(&self) -> Vec<LocalModel> {
        self.inner.models()
    }

    fn model(&self, id: &ModelId) -> Option<LocalModel> {
        self.inner.model(id)
    }

    fn tokenize(&self, model: &ModelId, text: &str) -> Result<Vec<u32>, EngineError> {
        self.inner.tokenize(model, text)
    }

    fn detokenize(&self, model: &ModelId, ids: &[u32]) -> Result<String, EngineError> {
        self.inner.detokenize(model, ids)
    }

    fn open(&self, spec: &StageSpec) -> Result<Box<dyn Stage>, EngineError> {
        let inner = self.inner.open(spec)?;
        match self.fault {
            Some(fault) if fault.is_of_stages() => {
                log::warn!(target: crate::LOG_TARGET, "this node misbehaves on purpose: {fault:?}");
                let mut out = ListBuilder::new();
                let last = self.inner.model(&spec.model).is_some_and(|model| model.layers == spec.span.end);
                if last && !spec.embeds() {
                    Rows::Ids(spec.prompt.to_vec()).leaves(|leaf| out.push_hash(leaf));
                }
                let (t_in, max_new) = (spec.prompt.len(), spec.max_new() as usize);
                Ok(Box::new(FaultyStage { inner, fault, out, computed: 0, t_in, max_new }))
            }
            _ => Ok(inner),
        }
    }

    fn forward(&self, steps: &mut [Step<'_>]) -> Vec<Result<Rows, EngineError>> {
        // Only the inner engine's own stages can go together.
        match self.fault.is_some_and(Fault::is_of_stages) {
            true => steps.iter_mut().map(|Step { stage, input }| stage.forward(input)).collect(),
            false => self.inner.forward(steps),
        }
    }

    fn replay(&self, spec: &StageSpec, replay: Replay<'_>) -> Result<StageOutcome, EngineError> {
        self.inner.replay(spec, replay)
    }

    fn backend(&self) -> String {
        self.inner.backend()
    }
}

struct FaultyStage {
    inner: Box<dyn Stage>,
    fault: Fault,
    out: ListBuilder<Blake2b>,
    computed: usize,
    t_in: usize,
    max_new: usize,
}

impl Stage for FaultyStage {
    fn forward(&mut self, input: &Rows) -> Result<Rows, EngineError> {
        let first = self.computed == 0;
        self.computed += input.len();
        if self.fault == Fault::Silent && self.computed > self.t_in + 2 {
            return Err(EngineError::Failed("silent on purpose".into()));
        }
        let mut rows = self.inner.forward(input)?;
        if self.fault == Fault::CorruptActivation && first {
            match &mut rows {
                Rows::Hidden { values, .. } => values.iter_mut().take(1).for_each(|v| *v ^= 1 << 12),
                // A drawn id is fed back: changing it would stop an honest engine, so only its row is changed.
                Rows::Ids(_) => {}
                Rows::Vector(v) => v.iter_mut().take(1).for_each(|v| *v ^= 1),
            }
        }
        if self.fault == Fault::ForgedText && self.computed + 1 == self.t_in + self.max_new {
            match &mut rows {
                // The last id is never computed, so nothing follows from it.
                Rows::Ids(ids) => ids.iter_mut().for_each(|id| *id = id.checked_sub(1).unwrap_or(1)),
                Rows::Hidden { .. } | Rows::Vector(_) => {}
            }
        }
        rows.leaves(|leaf| self.out.push_hash(leaf));
        Ok(rows)
    }

    fn finish(self: Box<Self>, last: Option<u32>) -> Result<StageOutcome, EngineError> {
        let out_root = H256(self.out.root());
        let honest = self.inner.finish(last)?;
        if self.fault == Fault::ForgedText {
            return Ok(honest);
        }
        let mut outcome = StageOutcome { out_root, ..honest };
        if self.fault == Fault::CorruptActivation && outcome == honest {
            // A last stage: its ids are right, what it claims of its last layer is not.
            outcome.tail_root.0[0] ^= 1;
        }
        Ok(outcome)
    }
}

//! Texts to vectors in one process: all stages of an encoder in a row, as the network runs them.

use std::sync::Arc;

use crate::{
    package::Package,
    stage::{even_spans, Control, EncoderOutput, EncoderStage, Setup, StageCommit, StageInput},
    EngineError,
};

/// A text's vector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Embedding {
    /// `[d]`, i16 Q15, of unit length.
    pub v: Vec<i16>,
    /// The commitment of each stage.
    pub commits: Vec<StageCommit>,
}

impl Embedding {
    /// The vector as real numbers. Each is a multiple of 2^-15, which f32 holds without loss.
    pub fn to_f32(&self) -> Vec<f32> {
        self.v.iter().map(|v| f32::from(*v) / 32768.).collect()
    }
}

/// An encoder, opened once for any number of texts.
#[derive(Debug)]
pub struct Embedder {
    stages: Vec<EncoderStage>,
}

impl Embedder {
    /// Opens all layers of an encoder, divided over `stages` stages.
    ///
    /// # Errors
    /// As [`EncoderStage::open`]; a number of stages that the layers cannot be divided over.
    pub fn open(package: &Arc<Package>, stages: u32, setup: &Setup) -> Result<Self, EngineError> {
        let setup = setup.shared()?;
        let spans = even_spans(package.header().layers, stages)?;
        let stages =
            spans.into_iter().map(|span| EncoderStage::open(package, span, &setup)).collect::<Result<_, _>>()?;
        Ok(Self { stages })
    }

    /// The vector of a text, given by its token ids, special ones included.
    ///
    /// # Errors
    /// As [`EncoderStage::forward`].
    pub fn embed(&mut self, ids: &[u32], control: &mut Control<'_>) -> Result<Embedding, EngineError> {
        let mut rows = Vec::new();
        let mut v = Vec::new();
        let mut commits = Vec::with_capacity(self.stages.len());
        for (i, stage) in self.stages.iter_mut().enumerate() {
            let input = if i == 0 { StageInput::Ids(ids) } else { StageInput::Rows(&rows) };
            let encoded = stage.forward(input, control)?;
            commits.push(encoded.commit);
            match encoded.output {
                EncoderOutput::Rows(out) => rows = out,
                EncoderOutput::Vector(out) => v = out,
            }
        }
        Ok(Embedding { v, commits })
    }
}

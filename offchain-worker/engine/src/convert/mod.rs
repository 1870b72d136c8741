//! From a Hugging Face checkpoint to a package of the exact engine.
//!
//! ```text
//! config.json ─ families ─┐
//! *.safetensors ──────────┼─ Source ─ census (float reference) ─ Folding ─ Calibration ─┬─ PackageWriter
//! tokenizer.json ─────────┘                                                             └─ QualityReport
//! ```
//! A GGUF file gives the same three (`gguf`).
//!
//! Encoders have a path of their own, [`encoder`], over the same readers and quantizers.
//!
//! The same checkpoint and calibration text give the same package on any machine. Weights, gains and tables come from
//! operations that IEEE 754 or `libm` fix to the bit; the census of activation ranges is ordinary float arithmetic, but
//! enters only through powers of two ([`Calibration::margin`] says how far from the next). Sections are those of
//! `docs/exact.md`; `docs/converter.md` is the user's view.

mod calibrate;
mod census;
mod checkpoint;
mod cli;
mod config;
pub mod encoder;
mod error;
mod families;
mod fold;
mod gguf;
mod parts;
pub(crate) mod plan;
mod profile;
mod quantize;
mod rope;
mod source;
mod tokenizer;
mod weights;

pub use calibrate::{Calibration, Graph, LayerGraph, LayerSaturation, SaturationCount, HEADROOM};
pub use census::{Census, LayerRanges};
pub use checkpoint::Checkpoint;
pub use cli::{run, Arguments};
pub use error::{ConvertError, Result};
pub use fold::{Folding, LayerFolding};
pub use plan::{DecoderPlan, ExpertsPlan, LayerPlan, TensorNames};
pub use profile::Profile;
pub use rope::{Rope, Scaling};
pub use source::Source;
pub use tokenizer::SourceTokenizer;

use crate::package::PackageWriter;
use assay_exact::{hash::Digest, layout::Entry};
use std::path::Path;

/// What a conversion found and made.
#[derive(Debug, Clone)]
pub struct Conversion {
    /// Identity of the model (section 11).
    pub model_root: Digest,
    /// What was moved from activations to weights, and between queries and keys.
    pub folding: Folding,
    /// Measured ranges, after folding.
    pub census: Census,
    /// The formats chosen from them.
    pub calibration: Calibration,
    /// Tokens of calibration text that the float model read.
    pub calibration_tokens: usize,
}

/// Converts the checkpoint `source` into a package directory `out`, which must not exist yet.
///
/// `calibration` is text like that of the model's later use; `progress` hears what is being done. Everything that can be
/// wrong with the source is found before `out` is created, and nothing is left behind after an error.
pub fn convert(source: &Source, out: &Path, calibration: &str, progress: &mut dyn FnMut(&str)) -> Result<Conversion> {
    progress("checking weights");
    source.check_weights()?;
    let windows = source.census_windows(calibration)?;
    let calibration_tokens = windows.iter().map(Vec::len).sum();
    progress(&format!("measuring ranges over {calibration_tokens} tokens of calibration text"));
    let (mut census, profile) = source.census(&windows)?;
    let folding = Folding::choose(source, &profile)?;
    let folded;
    let source = if folding.is_identity() {
        source
    } else {
        folded = source.folded(&folding);
        progress(&format!("folding outliers of {} layers into the weights, measuring again", folding.changed_layers()));
        census = folded.census(&windows)?.0;
        &folded
    };
    let mut calibration = Calibration::from_census(&census, &Graph::from(source.plan()))?;
    calibration.margin = calibration.margin.min(folding.margin);

    let header = source.header(&calibration);
    let entries: Vec<Entry> = header.entries().filter(|entry| *entry != Entry::Header).collect();
    let template = Some(source.chat_template()).filter(|template| !template.is_empty());
    let mut writer = PackageWriter::create(out, header, &source.tokenizer().json, template)?;
    for (index, entry) in entries.iter().enumerate() {
        progress(&format!("writing {entry:?} ({} of {})", index + 1, entries.len()));
        let mut parts = Vec::new();
        for part in writer.header().parts(*entry) {
            parts.extend(source.part(&calibration, *entry, part.name)?);
        }
        writer.write(*entry, &parts)?;
    }
    let model_root = writer.finish()?;
    Ok(Conversion { model_root, folding, census, calibration, calibration_tokens })
}

//! From a Hugging Face checkpoint to a package of the exact engine.
//!
//! ```text
//! config.json ─ families ─┐
//! *.safetensors ──────────┼─ Source ─ census (float reference) ─ Calibration ─┬─ PackageWriter
//! tokenizer.json ─────────┘                                                   └─ QualityReport
//! ```
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
mod parts;
mod quantize;
mod rope;
mod source;
mod tokenizer;

pub use calibrate::{Calibration, LayerSaturation, SaturationCount, HEADROOM};
pub use census::{Census, LayerRanges};
pub use checkpoint::Checkpoint;
pub use cli::{run, Arguments};
pub use error::{ConvertError, Result};
pub use families::{DecoderPlan, LayerNames, TensorNames};
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
    /// Measured ranges.
    pub census: Census,
    /// The formats chosen from them.
    pub calibration: Calibration,
    /// Tokens of calibration text that the float model read.
    pub calibration_tokens: usize,
}

/// Converts the checkpoint folder `source` into a package directory `out`, which must not exist yet.
///
/// `calibration` is text like that of the model's later use; `progress` hears what is being done. Everything that can be
/// wrong with the source is found before `out` is created, and nothing is left behind after an error.
pub fn convert(source: &Source, out: &Path, calibration: &str, progress: &mut dyn FnMut(&str)) -> Result<Conversion> {
    progress("checking weights");
    source.check_weights()?;
    let windows = source.census_windows(calibration)?;
    let calibration_tokens = windows.iter().map(Vec::len).sum();
    progress(&format!("measuring ranges over {calibration_tokens} tokens of calibration text"));
    let census = source.census(&windows)?;
    let calibration = Calibration::from_census(&census, source.plan().head_dim)?;

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
    Ok(Conversion { model_root, census, calibration, calibration_tokens })
}

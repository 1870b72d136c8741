//! From a checkpoint of an encoder (BERT, as sentence-transformers stores it) to a package.
//!
//! As for decoders: every check first, then a census of activation ranges over calibration text by the float
//! reference, formats by powers of two, and the package entry by entry. The weights are of 15 bits, in two planes,
//! because a vector shows every error where a choice of tokens hides most.

mod parts;
mod plan;
mod pooling;
mod quality;
mod source;
mod texts;

pub use plan::{EncoderLayerNames, EncoderNames, EncoderPlan, TensorPair};
pub use quality::{compare, cosine, EncoderQualityReport};
pub use source::EncoderSource;
pub use texts::passages;

use super::{
    cli::{calibration_text, pack, write_report},
    config::ConfigFile,
    fold::Folding,
    Arguments, Conversion, Result,
};
use crate::{
    hex::Hex,
    package::{PackageError, PackageWriter},
    quality::text,
};
use assay_exact::layout::Entry;
use std::path::Path;

/// Whether the checkpoint at `path` is a folder with an encoder that the converter knows. GGUF files are read as decoders only.
pub fn is_encoder(path: &Path) -> Result<bool> {
    if !path.is_dir() {
        return Ok(false);
    }
    Ok(source::architecture(&ConfigFile::read(&path.join("config.json"))?).is_some())
}

/// Converts the checkpoint `source` into a package directory `out`, which must not exist yet.
///
/// `calibration` is text like that of the model's later use, in paragraphs; `progress` hears what is being done.
/// Everything that can be wrong with the source is found before `out` is created, and nothing is left behind after an
/// error.
pub fn convert(
    source: &EncoderSource,
    out: &Path,
    calibration: &str,
    progress: &mut dyn FnMut(&str),
) -> Result<Conversion> {
    if out.exists() {
        return Err(PackageError::Exists { path: out.into() }.into());
    }
    progress("checking weights");
    source.check_weights()?;
    let texts = source.calibration_texts(calibration)?;
    let calibration_tokens = texts.iter().map(Vec::len).sum();
    progress(&format!("measuring ranges over {calibration_tokens} tokens of calibration text"));
    let census = source.census(&texts)?;
    let calibration = source.calibrate(&census)?;

    let mut writer = PackageWriter::create(out, source.header(&calibration), &source.tokenizer().json, None)?;
    let entries: Vec<Entry> = writer.header().entries().filter(|entry| *entry != Entry::Header).collect();
    for entry in entries {
        if let Entry::Layer(index) = entry {
            progress(&format!("rounding layer {index} ({} of {})", index + 1, writer.header().layers));
        }
        let mut parts = Vec::new();
        for part in writer.header().parts(entry) {
            parts.extend(source.part(&calibration, entry, part.name)?);
        }
        writer.write(entry, &parts)?;
    }
    let model_root = writer.finish()?;
    let folding = Folding::none(census.layers.len());
    Ok(Conversion { model_root, folding, census, calibration, calibration_tokens })
}

/// Runs `convert` for an encoder. Progress goes to standard error, the model root to standard output.
pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let source = EncoderSource::open(&arguments.source, arguments.tokenizer.as_deref())?;
    let calibration = calibration_text(arguments)?;
    let mut progress = |step: &str| eprintln!("{step}");
    let conversion = convert(&source, &arguments.out, &calibration, &mut progress)?;
    pack(arguments, &mut progress)?;
    if arguments.report {
        progress("comparing the package with the float model");
        let report = EncoderQualityReport::measure(&source, &conversion, &arguments.out, text::evaluation())?;
        write_report(&arguments.out, &report.to_json()?, &report.to_string())?;
        eprint!("{report}");
    }
    println!("{}", Hex(&conversion.model_root));
    Ok(())
}

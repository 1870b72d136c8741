//! From a checkpoint of an encoder (BERT, as sentence-transformers stores it) to a package.
//!
//! As for decoders: every check first, then a census of activation ranges over calibration text by the float
//! reference, formats by powers of two, and the package entry by entry. Two things are done beyond that, because a
//! vector shows every error where a choice of tokens hides most: a constant is moved between the two tables of the
//! embedding (`offset`), and the linears are rounded with regard to their inputs (`moments`), which a draft of the
//! package gives.

mod inputs;
mod moments;
mod offset;
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
    package::{Package, PackageError, PackageWriter},
    quality::text,
};
use assay_exact::{hash::Digest, layout::Entry};
use inputs::{LayerFactors, LayerInputs};
use source::Formats;
use std::path::{Path, PathBuf};

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
    let rounding = source.rounding_texts(calibration, &texts)?;
    let calibration_tokens = texts.iter().map(Vec::len).sum();
    progress(&format!("measuring ranges over {calibration_tokens} tokens of calibration text"));
    let census = source.census(&texts)?;
    let calibration = source.calibrate(&census)?;

    let offset = source.offset()?;
    let formats = Formats { calibration: &calibration, offset: &offset, factors: None };

    progress("drafting");
    let draft = Draft(beside(out, "draft"));
    write(source, &draft.0, &formats, &mut |_, _| Ok(None))?;
    let mut inputs = LayerInputs::new(Package::open(&draft.0)?, &rounding)?;
    let model_root = write(source, out, &formats, &mut |entry, layers| match entry {
        Entry::Layer(index) => {
            progress(&format!("rounding layer {index} ({} of {layers})", index + 1));
            inputs.next_layer().map(Some)
        }
        _ => Ok(None),
    })?;
    let folding = Folding::none(census.layers.len());
    Ok(Conversion { model_root, folding, census, calibration, calibration_tokens })
}

/// Writes a package. `factors` is asked once for each entry, in order, with the number of layers.
fn write(
    source: &EncoderSource,
    out: &Path,
    formats: &Formats<'_>,
    factors: &mut dyn FnMut(Entry, u32) -> Result<Option<LayerFactors>>,
) -> Result<Digest> {
    let mut writer = PackageWriter::create(out, source.header(formats.calibration), &source.tokenizer().json, None)?;
    let entries: Vec<Entry> = writer.header().entries().filter(|entry| *entry != Entry::Header).collect();
    for entry in entries {
        let factors = factors(entry, writer.header().layers)?;
        let formats = Formats { factors: factors.as_ref(), ..*formats };
        let mut parts = Vec::new();
        for part in writer.header().parts(entry) {
            parts.extend(source.part(&formats, entry, part.name)?);
        }
        writer.write(entry, &parts)?;
    }
    Ok(writer.finish()?)
}

/// A package that is removed when it is no longer needed.
struct Draft(PathBuf);

impl Drop for Draft {
    fn drop(&mut self) {
        // There is no one to tell of a failure, and the package itself is not concerned.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A hidden name beside `out`, of this process.
fn beside(out: &Path, what: &str) -> PathBuf {
    let name = out.file_name().unwrap_or_default().to_string_lossy().into_owned();
    out.with_file_name(format!(".{name}.{what}-{}", std::process::id()))
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

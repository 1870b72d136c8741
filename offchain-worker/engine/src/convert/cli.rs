//! The command line of the converter.

use super::{convert, encoder, error::ConvertError, Result, Source};
use crate::{
    hex::Hex,
    package::archive,
    quality::{text, QualityReport},
};
use std::{
    fs::File,
    io::BufWriter,
    path::{Path, PathBuf},
};

/// Calibration files are read up to here: a census uses 8,192 tokens.
const MAX_CALIBRATION_BYTES: usize = 4 << 20;

/// Turns a Hugging Face checkpoint or a GGUF file into a package.
#[derive(Debug, Clone, clap::Args)]
pub struct Arguments {
    /// Hugging Face folder (config.json, *.safetensors, tokenizer.json), or a .gguf file: F32, F16, BF16 or
    /// quantised to 4 bits and more (what it lost is lost: convert from the finest that there is).
    pub source: PathBuf,
    /// Package directory to create.
    pub out: PathBuf,
    /// Use this tokenizer.json instead of the source's own: where a .gguf file's tokenizer cannot be rebuilt.
    #[arg(long, value_name = "FILE")]
    pub tokenizer: Option<PathBuf>,
    /// UTF-8 text like the model's later use, for the ranges of its activations. By default a bundled English text about
    /// programming.
    #[arg(long, value_name = "FILE")]
    pub calibration: Option<PathBuf>,
    /// Also write the package as one file, to embed or to send.
    #[arg(long, value_name = "FILE")]
    pub archive: Option<PathBuf>,
    /// Also score the package against the float model, and write OUT.quality.json and OUT.quality.txt.
    #[arg(long)]
    pub report: bool,
}

/// Runs `convert`. Progress goes to standard error, the model root to standard output.
pub fn run(arguments: &Arguments) -> Result<()> {
    if encoder::is_encoder(&arguments.source)? {
        return encoder::run(arguments);
    }
    let source = Source::open_with(&arguments.source, arguments.tokenizer.as_deref())?;
    let text = calibration_text(arguments)?;
    let mut progress = |step: &str| eprintln!("{step}");
    let conversion = convert(&source, &arguments.out, &text, &mut progress)?;
    pack(arguments, &mut progress)?;
    if arguments.report {
        progress("scoring the package against the float model");
        let report = QualityReport::measure(&source, &conversion, &arguments.out, text::evaluation())?;
        write_report(&arguments.out, &report.to_json()?, &report.to_string())?;
        eprint!("{report}");
    }
    println!("{}", Hex(&conversion.model_root));
    Ok(())
}

/// The file of `--calibration`, or the bundled text.
pub(super) fn calibration_text(arguments: &Arguments) -> Result<String> {
    match &arguments.calibration {
        Some(path) => read_text(path),
        None => Ok(text::calibration().to_string()),
    }
}

/// The archive, if it is asked for.
pub(super) fn pack(arguments: &Arguments, progress: &mut dyn FnMut(&str)) -> Result<()> {
    if let Some(path) = &arguments.archive {
        progress("writing the archive");
        let file = File::create(path).map_err(ConvertError::io(path))?;
        archive::pack(&arguments.out, BufWriter::new(file))?;
    }
    Ok(())
}

/// The report's two files beside the package.
pub(super) fn write_report(out: &Path, json: &str, text: &str) -> Result<()> {
    for (extension, content) in [("quality.json", json), ("quality.txt", text)] {
        let path = beside(out, extension);
        std::fs::write(&path, content).map_err(ConvertError::io(&path))?;
    }
    Ok(())
}

/// `OUT.extension`: a package directory itself holds nothing but the package.
fn beside(out: &Path, extension: &str) -> PathBuf {
    let mut name = out.file_name().unwrap_or_default().to_os_string();
    name.push(".");
    name.push(extension);
    out.with_file_name(name)
}

/// The beginning of a UTF-8 file.
fn read_text(path: &Path) -> Result<String> {
    use std::io::Read;
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_CALIBRATION_BYTES as u64).read_to_end(&mut bytes))
        .map_err(ConvertError::io(path))?;
    match String::from_utf8(bytes) {
        Ok(text) => Ok(text),
        // The limit may cut the last character; anything else that is not UTF-8 is the file's fault.
        Err(error) if error.utf8_error().error_len().is_none() && error.as_bytes().len() == MAX_CALIBRATION_BYTES => {
            Ok(String::from_utf8_lossy(error.as_bytes()).into_owned())
        }
        Err(error) => Err(ConvertError::Io {
            path: path.into(),
            source: std::io::Error::new(std::io::ErrorKind::InvalidData, error.utf8_error()),
        }),
    }
}

//! What can be wrong with a checkpoint, in words that say which file and field to change.

use std::path::PathBuf;

/// An error of the converter. Every variant names the file, field or tensor that caused it.
#[derive(Debug, thiserror::Error)]
pub enum ConvertError {
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// The source is a file, but not a GGUF file.
    #[error("{}: not a model to convert; give a Hugging Face folder or a .gguf file", path.display())]
    SourceKind {
        /// What was given.
        path: PathBuf,
    },
    /// A JSON file is not valid JSON.
    #[error("{}: not valid JSON: {source}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// The parser's reason, with line and column.
        source: serde_json::Error,
    },
    /// A field of a JSON file is missing, of the wrong type or of an unusable value.
    #[error("{}: field `{field}`: {problem}", path.display())]
    Field {
        /// The file.
        path: PathBuf,
        /// The field, with dots for nesting.
        field: String,
        /// What is wrong and what would be right.
        problem: String,
    },
    /// The architecture has no family module.
    #[error("{}: field `architectures`: {found} is not supported; supported: {}", path.display(), supported.join(", "))]
    Architecture {
        /// The `config.json`.
        path: PathBuf,
        /// What it names.
        found: String,
        /// What the converter knows.
        supported: Vec<&'static str>,
    },
    /// A file is not a valid safetensors file.
    #[error("{}: not a valid safetensors file: {problem}", path.display())]
    Safetensors {
        /// The file.
        path: PathBuf,
        /// The reader's reason.
        problem: String,
    },
    /// A file is not a GGUF file that can be read.
    #[error("{}: not a usable GGUF file: {problem}", path.display())]
    Gguf {
        /// The file.
        path: PathBuf,
        /// What is wrong with which part of it.
        problem: String,
    },
    /// The checkpoint lacks a tensor that the architecture needs.
    #[error("{}: tensor `{tensor}` is missing", path.display())]
    MissingTensor {
        /// The checkpoint's file or index.
        path: PathBuf,
        /// The tensor's name.
        tensor: String,
    },
    /// The checkpoint holds a tensor that the architecture would ignore, so its model is another one.
    #[error("{}: tensor `{tensor}` has no place in {architecture}; the converted model would ignore it", path.display())]
    UnexpectedTensor {
        /// The file.
        path: PathBuf,
        /// The tensor's name.
        tensor: String,
        /// The architecture of `config.json`.
        architecture: &'static str,
    },
    /// A tensor's shape contradicts the configuration.
    #[error("{}: tensor `{tensor}` has shape {found:?}, but the configuration implies {expected:?}", path.display())]
    TensorShape {
        /// The file.
        path: PathBuf,
        /// The tensor's name.
        tensor: String,
        /// The shape that the configuration implies.
        expected: Vec<usize>,
        /// The shape in the file.
        found: Vec<usize>,
    },
    /// A tensor is stored in a type that is not read.
    #[error("{}: tensor `{tensor}` is stored as {dtype}; supported: F32, F16, BF16", path.display())]
    TensorType {
        /// The file.
        path: PathBuf,
        /// The tensor's name.
        tensor: String,
        /// The type in the file.
        dtype: String,
    },
    /// A tensor of a GGUF file is stored in a way that is not read.
    #[error(
        "{}: tensor `{tensor}` is stored as {dtype}; convert from F32, F16, BF16, Q8_0, Q6_K, Q5_K, Q5_1, Q5_0, Q4_K, Q4_1 or Q4_0",
        path.display()
    )]
    TensorQuantised {
        /// The file.
        path: PathBuf,
        /// The tensor's name.
        tensor: String,
        /// The type in the file.
        dtype: String,
    },
    /// A weight is NaN, infinite or beyond what a row scale can express.
    #[error("{}: tensor `{tensor}`, row {row}, column {column}: {value} cannot be converted; weights must be finite and below 2^30 in magnitude", path.display())]
    WeightValue {
        /// The file.
        path: PathBuf,
        /// The tensor's name.
        tensor: String,
        /// Row (out-feature); 0 for a vector.
        row: usize,
        /// Column (in-feature).
        column: usize,
        /// The value.
        value: f32,
    },
    /// The tokenizer cannot be loaded, or not be rebuilt from a GGUF file.
    #[error("{}: {problem}", path.display())]
    Tokenizer {
        /// `tokenizer.json`, or the GGUF file.
        path: PathBuf,
        /// The reason.
        problem: String,
    },
    /// The chat template cannot be read.
    #[error("{}: {problem}", path.display())]
    ChatTemplate {
        /// The file that holds it.
        path: PathBuf,
        /// The reason, with the line of the template.
        problem: String,
    },
    /// The tokenizer can produce ids that the model has no embedding for.
    #[error("{}: token id {id} is outside the model's vocab_size {vocab}; the tokenizer belongs to another model", path.display())]
    Vocabulary {
        /// `tokenizer.json`.
        path: PathBuf,
        /// The largest id of the tokenizer.
        id: u32,
        /// `vocab_size`.
        vocab: usize,
    },
    /// The calibration text is too short to say anything about ranges.
    #[error("calibration text: {found} tokens, at least {needed} are needed; give a longer file with --calibration")]
    CalibrationTooShort {
        /// Tokens in the text.
        found: usize,
        /// The minimum.
        needed: usize,
    },
    /// An activation's range does not fit the integer format with the required headroom.
    #[error("layer {layer}: {site} reaches {max} on the calibration text; with {headroom}x headroom the format of the specification holds {limit}")]
    ActivationRange {
        /// The layer, counted from 0.
        layer: usize,
        /// The activation.
        site: &'static str,
        /// The largest magnitude seen.
        max: f64,
        /// The largest magnitude that the format holds.
        limit: f64,
        /// The headroom asked for.
        headroom: f64,
    },
    /// The float reference produced NaN or infinity.
    #[error("layer {layer}: {site} is not finite in the float model; the checkpoint is damaged or overflows float32")]
    NonFiniteActivation {
        /// The layer, counted from 0.
        layer: usize,
        /// The activation.
        site: &'static str,
    },
    /// The package cannot be written, or is not what the engine accepts.
    #[error("package: {0}")]
    Package(#[from] crate::package::PackageError),
    /// The exact engine cannot run the package.
    #[error("exact engine: {0}")]
    Engine(#[from] crate::EngineError),
    /// The float reference failed.
    #[error("float reference: {0}")]
    Float(#[from] candle_core::Error),
}

impl ConvertError {
    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }
}

/// The converter's result.
pub type Result<T, E = ConvertError> = std::result::Result<T, E>;

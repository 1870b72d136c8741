//! What can go wrong between a package and a committed stage.

use assay_exact::{header::HeaderError, sampling::SamplingError};

use crate::{kernels::BackendError, package::PackageError, tokenizer::TokenizerError};

/// Why the engine cannot do what was asked. Each says what to change; none leaves a wrong result behind.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The package.
    #[error(transparent)]
    Package(#[from] PackageError),
    /// The tokenizer.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// The kernels.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// The header.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// The sampling parameters.
    #[error(transparent)]
    Sampling(#[from] SamplingError),
    /// A decoder's operation was asked of an encoder.
    #[error("the model is an encoder (kind 1): it turns a text into a vector and generates nothing; use `embed`")]
    NotADecoder,
    /// An encoder's operation was asked of a decoder.
    #[error("the model is a decoder (kind 0): it generates text and gives no vector; use `generate`")]
    NotAnEncoder,
    /// Sequences that share no weights.
    #[error("this sequence runs other layers, or another model, than the first of the batch; put it into a batch of its own")]
    Batch,
    /// Threads could not be started.
    #[error("cannot start worker threads: {0}")]
    Threads(#[from] rayon::ThreadPoolBuildError),
    /// A prompt without ids.
    #[error("the prompt is empty; give at least one token")]
    EmptyPrompt,
    /// Nothing to generate.
    #[error("max_new is 0; ask for at least one token")]
    NothingToGenerate,
    /// Prompt and generation do not fit.
    #[error("{prompt} prompt tokens and {max_new} new ones exceed the model's context of {context}")]
    Context {
        /// Prompt length.
        prompt: u64,
        /// Most tokens to generate.
        max_new: u32,
        /// The model's positions.
        context: u32,
    },
    /// A text that an encoder cannot read at once.
    #[error("the text has {tokens} tokens and the model reads {context}; shorten it, or truncate it")]
    TextLength {
        /// Its tokens, special ones included.
        tokens: usize,
        /// The model's positions.
        context: u32,
    },
    /// A token id that the model does not have.
    #[error("token id {id} at position {position}; the vocabulary has {vocab} ids")]
    TokenId {
        /// Where.
        position: u64,
        /// The id.
        id: u32,
        /// Ids are below this.
        vocab: u32,
    },
    /// Ids were given to a stage that takes rows, or the reverse.
    #[error("this stage takes {expected} as input, not {found}")]
    InputKind {
        /// What the span takes.
        expected: &'static str,
        /// What was given.
        found: &'static str,
    },
    /// No positions were given.
    #[error("the input holds no position")]
    EmptyInput,
    /// Rows of another width.
    #[error("{found} values of boundary rows; give a multiple of the model's width {width}")]
    RowWidth {
        /// Values per row.
        width: usize,
        /// Values given.
        found: usize,
    },
    /// Rows of another number.
    #[error("{found} boundary rows for a transcript of {expected} computed positions")]
    RowCount {
        /// Positions of the transcript.
        expected: usize,
        /// Rows given.
        found: usize,
    },
    /// More positions than the job has, or than have been drawn.
    #[error("positions {from}..{to} were given, but the input may go up to {limit} now")]
    TooFar {
        /// First position given.
        from: u32,
        /// End, exclusive.
        to: u32,
        /// End allowed.
        limit: u32,
    },
    /// An id that contradicts the prompt or the draw.
    #[error("token id {found} was fed at position {position}, where the transcript has {expected}")]
    Transcript {
        /// Where.
        position: u32,
        /// The id of the prompt, or the one drawn.
        expected: u32,
        /// The id fed.
        found: u32,
    },
    /// The id that ends the generation was to be computed.
    #[error("token id {id} at position {position} ends the generation and is not computed; pass it to `end`")]
    FinalId {
        /// Where.
        position: u32,
        /// The id.
        id: u32,
    },
    /// The transcript to be replayed does not begin with the prompt, or has an impossible length.
    #[error("a transcript of {found} tokens; {min}..={max} are possible for this job")]
    TranscriptLength {
        /// Prompt and one token.
        min: u64,
        /// Prompt and all new tokens.
        max: u64,
        /// Tokens given.
        found: usize,
    },
    /// The stage was finished before generation ended.
    #[error("generation has not ended: {computed} positions computed; {needed}")]
    NotEnded {
        /// Positions so far.
        computed: u32,
        /// What is still needed.
        needed: &'static str,
    },
    /// The stage was asked for more after generation had ended.
    #[error("generation has ended; finish the stage")]
    Ended,
    /// A number of stages that the model cannot be split into.
    #[error("{stages} stages for a model of {layers} layers; choose 1..={layers}")]
    Stages {
        /// Stages asked for.
        stages: u32,
        /// Layers of the model.
        layers: u32,
    },
    /// The caller cancelled; the stage cannot go on.
    #[error("cancelled")]
    Cancelled,
}

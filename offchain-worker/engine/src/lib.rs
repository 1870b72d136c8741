//! The exact inference engine: model packages, kernels, the stage executor and text generation.
//!
//! It computes the integer semantics of `assay-exact` (sections 1 to 11 of the specification) fast, and knows
//! nothing of the chain.
//!
//! | module | what it holds |
//! |---|---|
//! | [`package`] | packages on disk or in the binary: reading, checking, writing |
//! | [`kernels`] | the ops over slices: scalar reference, AVX2, AVX-512; division over threads |
//! | [`ops`] | the ops over candle tensors |
//! | `model` | the transformer, layer by layer, and its cache |
//! | [`stage`] | the layers of a span over one job, with its commitments; replay |
//! | [`generate`](mod@generate) | all stages in one process |
//! | [`embed`] | all stages of an encoder in one process: from a text to its vector |
//! | [`tokenizer`] | text to ids and back |
//! | [`chat`] | messages to text, by the model's template |
//! | [`convert`](mod@convert) | from a Hugging Face checkpoint to a package |
//! | [`demo`] | the embedded demo model |
//! | [`float`] | the float model, the yardstick |
//! | [`quality`] | perplexity and agreement of the exact engine against it |

pub mod chat;
pub mod convert;
pub mod demo;
pub mod embed;
mod error;
pub mod float;
pub mod generate;
pub mod hex;
pub mod kernels;
mod model;
pub mod ops;
pub mod package;
pub mod quality;
pub mod stage;
pub mod tokenizer;

pub use assay_exact::sampling::Sampling;
pub use error::EngineError;

//! The float reference: the original model in candle, f32, as the yardstick of the exact engine.
//!
//! Used by the converter for its census of activation ranges and by the quality report for perplexity. Nothing here is
//! part of consensus.

pub mod bert;
mod decoder;
mod mlp;
mod observe;

pub use decoder::Decoder;
pub use observe::{NoObserver, Observer, Site};

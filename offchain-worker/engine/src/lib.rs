//! The exact inference engine.

pub mod hex;
pub mod kernels;
pub mod package;

//! The exact inference engine.

pub mod kernels;

//! The constant tables of section 1, unsigned, little endian when hashed.
//!
//! They belong to the semantics, not to a package: `scripts/generate_tables.py` computes them from their
//! definitions, and a test compares each with the hash that the specification states.

mod g;
mod gt;
mod s;
mod t1;
mod t2;

pub use g::G;
pub use gt::GT;
pub use s::S;
pub use t1::T1;
pub use t2::T2;

/// A gate table: 1,025 samples of `2^24 * f(i / 64)`, `f` rising from 1/2 to 1.
pub type GateTable = [u32; 1025];

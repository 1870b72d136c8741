//! A world in which the tests of jobs and verification run over the real pair of them.
//!
//! Balances are the real pallet too. Models, providers, bonds and offences are [`world`]: plain ledgers in storage, so that a
//! failing call rolls them back as it would the real ones. [`workers`] plays the native workers: a made-up computation whose
//! results are a function of the job, and ways to get it wrong.

#[cfg(feature = "runtime-benchmarks")]
pub mod benchmarks;
#[allow(missing_docs)] // what the runtime macro generates
pub mod runtime;
pub mod workers;
pub mod world;

pub use runtime::*;
pub use workers::*;

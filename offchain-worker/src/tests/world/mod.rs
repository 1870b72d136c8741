//! A model of the chain and of the network, for several workers in one process.
//!
//! The chain keeps the rules that a worker can break: handoff signatures, joined boundaries, digests that open. The network can
//! lose, repeat and garble what is sent.

mod chain;
mod net;
mod node;

pub use chain::FakeChain;
pub use net::{FakeNet, Weather};
pub use node::{block, blocks_until, Node};

use polkadot_sdk::sp_core::H256;

/// Of the model chain.
pub const GENESIS: H256 = H256([0x99; 32]);

/// Blocks until a job is due, and until a test gives up: far more than a machine under load takes. Blocks come by the clock and
/// the machine may be slow, so nothing that should happen may depend on fewer, unless its test sets a nearer due tick.
pub const PATIENCE: u32 = 1_000;

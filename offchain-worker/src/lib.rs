//! # The native inference service of the node
//!
//! Follows blocks, runs the stages that this node's provider was assigned, moves rows around rings of machines, re-executes what
//! it was drawn to check, journals before it signs, and submits one batch of answers per block. Every node, provider or not,
//! streams tokens to its RPC clients.
//!
//! | module | holds |
//! |---|---|
//! | [`service`] | the one loop, which only routes |
//! | [`chain`] | what is read at each best block through the runtime API |
//! | [`planner`], [`provider`] | duties to tasks; tasks to answers |
//! | [`ring`], [`executor`] | a stage as a pure state machine; what connects it to engine, network and journal |
//! | [`steps`] | decoding steps of several jobs' stages, computed together |
//! | [`checker`] | re-execution: checks, votes, the first commit after a start |
//! | [`submitter`] | one batched extrinsic per block, nonce cursor, retries |
//! | [`journal`], [`keys`] | what was signed, on disk, before it is signed; the worker key |
//! | [`network`], [`rows`] | the ring and rows protocols; boundary rows by content |
//! | [`stream`], [`receipt`], [`rpc`] | token streams and JSON-RPC |
//! | [`engine`], [`local`], [`compute`] | the engine as a trait; `assay-engine` behind it; low-priority threads |
//!
//! # Nothing here can stop block production
//!
//! All tasks are non-essential. Panics are caught where they arise, past the node's hook that would end the process
//! ([`panics`]); a panic of the loop restarts it after a pause, and it rebuilds itself from chain and journal. Inference threads are few and of low priority. A worker that finds that
//! its machine contradicts itself raises an alarm and stops signing; the node runs on.
//!
//! # Use
//!
//! 1. [`network::protocol::configs`] before `build_network`; add both protocols to the network's configuration.
//! 2. [`Worker::new`] with the client, the keystore and the parameters, before RPC is built; [`Worker::rpc`] for each RPC module.
//! 3. [`Worker::start`] with the network's handles; spawn the future as a non-essential task.

pub mod chain;
pub mod checker;
pub mod cli;
pub mod compute;
pub mod context;
pub mod engine;
pub mod error;
pub mod executor;
#[cfg(feature = "faults")]
pub mod faults;
pub mod journal;
pub mod keys;
pub mod local;
pub mod metrics;
pub mod network;
pub mod panics;
pub mod planner;
pub mod provider;
pub mod receipt;
pub mod ring;
pub mod rows;
pub mod rpc;
pub mod service;
pub mod steps;
pub mod stream;
pub mod submitter;

mod start;
#[cfg(test)]
mod tests;

pub use cli::InferenceParams;
pub use error::Error;
pub use network::protocol::{configs, ProtocolConfigs, ProtocolHandles};
pub use start::{StartParams, Worker};

/// Target of the worker's logs.
pub const LOG_TARGET: &str = "inference";

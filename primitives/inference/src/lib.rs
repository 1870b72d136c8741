//! # Assay's shared vocabulary
//!
//! Ids, job and model types, digests, the pure arithmetic of market, quorum and slashing, the traits through
//! which the pallets meet, and the runtime API that the native worker reads. Nothing here touches storage.
//!
//! | module | holds |
//! |---|---|
//! | [`types`] | identities, the job specification, answers, receipts |
//! | [`digest`] | every domain-separated digest of the protocol (protocol section 1) |
//! | [`hash`] | BLAKE2b by the host, for Merkle trees in the runtime |
//! | [`market`] | escrow, the second-score auction, exposure, settlement legs (protocol sections 2 to 4) |
//! | [`quorum`] | the verdict of a set of votes, and the draw of checkers by bond (protocol section 5) |
//! | [`slash`] | how much, and who gets what (protocol section 7) |
//! | [`params`] | the versioned parameters that a job is bound to |
//! | [`traits`] | what pallets ask of each other |
//! | [`api`] | the runtime API of the worker, and its views |
#![cfg_attr(not(feature = "std"), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod api;
pub mod digest;
pub mod hash;
pub mod market;
pub mod params;
pub mod quorum;
pub mod slash;
pub mod traits;
pub mod types;

pub use params::Params;
pub use types::*;

use polkadot_sdk::{sp_core::crypto::KeyTypeId, sp_runtime::AccountId32};

/// Account of a client, a worker or a controller. The chain fixes it: worker accounts are sr25519 public keys.
pub type AccountId = AccountId32;
/// Amount of the native token in its smallest unit.
pub type Balance = u128;
/// Service time (protocol section 8): advances once per block in which answers are possible.
pub type Tick = u32;
/// Work, in units of [`WORK_UNIT_MACS`] multiply-accumulates, rounded up per span.
pub type WorkUnits = u64;

/// Multiply-accumulates in one work unit.
pub const WORK_UNIT_MACS: u64 = 1_000_000;
/// The semantics of `docs/exact.md`.
pub const SPEC_ID: u32 = 1;
/// Keystore type of the worker's sr25519 key.
pub const WORKER_KEY_TYPE: KeyTypeId = KeyTypeId(*b"asay");

//! What the directory stores.

use alloc::vec::Vec;
use assay_primitives::{AccountId, Ask, Balance, HardwareProfile, ModelId, SpanKey, Tick, WorkUnits, MAX_HOLDERS};
use frame::{deps::sp_core::ConstU32, prelude::*};

/// Most spans that one provider may hold asks for.
pub const MAX_ASKS: u32 = 64;
/// Longest libp2p peer id, in bytes: a multihash of at most 42 bytes of key, with room.
pub const MAX_PEER_ID: u32 = 64;
/// Most worker keys of one provider that assignments may still be running under.
pub const MAX_KEYS: u32 = 4;
/// Highest penalty, in points.
pub const MAX_POINTS: u8 = 64;
/// What one penalty point adds to a score, per thousand of the ask.
pub const PERMILLE_PER_POINT: u32 = 25;

/// A libp2p peer id, as bytes.
pub type PeerId = BoundedVec<u8, ConstU32<MAX_PEER_ID>>;

/// A worker key and the epoch in which it became current.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct WorkerKey {
    /// The account, whose id is an sr25519 public key.
    pub account: AccountId,
    /// Counts a provider's keys, from 0.
    pub epoch: u32,
}

/// A registered provider.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Provider {
    /// Its current worker key.
    pub worker: WorkerKey,
    /// Older keys under which work may still run.
    pub old_workers: BoundedVec<AccountId, ConstU32<MAX_KEYS>>,
    /// Specifications that its engine implements: bit `n` stands for spec id `n`.
    pub specs: u32,
    /// What it says of its hardware.
    pub hardware: HardwareProfile,
    /// Whether it takes new work.
    pub active: bool,
    /// Spans that it holds asks for, ascending.
    pub spans: BoundedVec<SpanKey, ConstU32<MAX_ASKS>>,
    /// Held for this entry.
    pub deposit: Balance,
}

impl Provider {
    /// Whether the engine implements a specification.
    pub fn supports(&self, spec_id: u32) -> bool {
        self.specs.checked_shr(spec_id).is_some_and(|bits| bits & 1 == 1)
    }
}

/// An ask in the book.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Standing {
    /// Whose.
    pub controller: AccountId,
    /// The offer.
    pub ask: Ask,
    /// Specification of the model.
    pub spec_id: u32,
    /// When it can be matched.
    pub usable_from: Tick,
    /// Since when the span is held without a break.
    pub since: Tick,
    /// Held for it.
    pub deposit: Balance,
}

/// Everyone who holds a span, ascending by controller.
pub type Book = BoundedVec<Standing, ConstU32<MAX_HOLDERS>>;

/// Capacity of a span that is taken.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct Usage {
    /// Stages being executed.
    pub executing: u16,
    /// Stages being checked.
    pub checking: u16,
}

/// A controller's history. It belongs to the stash: registering again does not clear it.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct Penalty {
    /// Points, `0..=MAX_POINTS`.
    pub points: u8,
    /// Burned fees of settled work that have not bought a point off yet.
    pub credit: Balance,
}

/// How many registered providers have each number of points.
pub type Histogram = BoundedVec<u32, ConstU32<65>>;

/// A provider of the genesis state: it needs no proof of its key, and no deposit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GenesisProvider {
    /// The stash account that owns the bond.
    pub controller: AccountId,
    /// Its worker account.
    pub worker: AccountId,
    /// Its offers.
    pub asks: Vec<GenesisAsk>,
}

/// An ask of the genesis state, usable at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GenesisAsk {
    /// Root of the model's package.
    pub model: ModelId,
    /// First layer.
    pub first: u16,
    /// One past the last layer.
    pub end: u16,
    /// Price per work unit.
    pub price: Balance,
    /// Stages it executes at once.
    pub slots: u16,
    /// Stages it checks at once.
    pub check_slots: u16,
    /// Work units per tick it sustains.
    pub rate: WorkUnits,
}

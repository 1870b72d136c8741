//! What the ledger stores.

use assay_primitives::{AccountId, Balance};
use frame::{deps::sp_core::ConstU32, deps::sp_runtime::Perbill, prelude::*};
use polkadot_sdk::sp_staking::SessionIndex;

/// Most chunks that may unbond at once, per part: chunks of one session are merged.
pub const MAX_CHUNKS: u32 = 32;
/// Most consensus slashes that wait for execution.
pub const MAX_PENDING: u32 = 1_024;

/// The two parts of a bond. Neither answers for the other's faults.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub enum Part {
    /// Answers for consensus offences, and elects.
    #[codec(index = 0)]
    Validator,
    /// Answers for inference faults, and backs work.
    #[codec(index = 1)]
    Provider,
}

/// Why an account no longer stands for election.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub enum ChillReason {
    /// It asked for it.
    #[codec(index = 0)]
    Asked,
    /// It authored nothing for too long.
    #[codec(index = 1)]
    Idle,
    /// It committed a consensus offence, or was slashed for an inference fault other than lateness.
    #[codec(index = 2)]
    Offence,
    /// Somebody with a higher bond took its place.
    #[codec(index = 3)]
    Displaced,
}

/// Tokens on their way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Chunk {
    /// How much.
    pub amount: Balance,
    /// The session from which on they may be withdrawn.
    pub release: SessionIndex,
}

/// One part of a bond.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct PartLedger {
    /// Bonded, and not on its way out.
    pub active: Balance,
    /// On its way out, earliest release first. Slashes reach it.
    pub unlocking: BoundedVec<Chunk, ConstU32<MAX_CHUNKS>>,
}

/// What an account has bonded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Ledger {
    /// The part that consensus may slash.
    pub validator: PartLedger,
    /// The part that inference may slash.
    pub provider: PartLedger,
    /// Open backings of work: the sum of this account's [`crate::Backings`].
    pub reserved: Balance,
    /// Pending slashes of the provider part.
    pub claimed: Balance,
    /// Pending slashes of the validator part: the sum of this account's [`crate::PendingSlashes`].
    pub accused: Balance,
    /// The validator part stays until this session: the account validated a short while ago, and what it did then can
    /// still be reported.
    pub served_until: SessionIndex,
    /// The account may not stand for election before this session: it committed an offence.
    pub barred_until: SessionIndex,
}

/// What a consensus offence has cost an offender in one session so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Fault {
    /// Highest fraction reported.
    pub fraction: Perbill,
    /// Validator part, unbonding chunks included, at the first report.
    pub base: Balance,
    /// Accused of all that.
    pub amount: Balance,
}

/// A consensus slash that waits for its execution.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct PendingSlash {
    /// Whose validator part.
    pub offender: AccountId,
    /// The session of the offence.
    pub session: SessionIndex,
    /// How much.
    pub amount: Balance,
    /// The session in which it is executed.
    pub due: SessionIndex,
}

/// A validator's record of blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Service {
    /// The first session in which it has authored nothing since.
    pub idle_since: SessionIndex,
    /// Blocks that anybody had authored by then.
    pub blocks: u64,
}

/// How many validators there should be.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Encode,
    Decode,
    DecodeWithMemTracking,
    MaxEncodedLen,
    TypeInfo,
    Serialize,
    Deserialize,
)]
#[serde(deny_unknown_fields)]
pub struct ValidatorCounts {
    /// An election that gives fewer changes nothing.
    pub minimum: u32,
    /// Seats to fill.
    pub target: u32,
}

/// A bond of the genesis state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenesisBond {
    /// Whose. Must be endowed with the sum and an existential deposit.
    pub account: AccountId,
    /// Validator part; the account stands for election if it is not zero.
    pub validator: Balance,
    /// Provider part.
    pub provider: Balance,
}

/// A bond, as explorers show it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo)]
pub struct BondInfo {
    /// The ledger.
    pub ledger: Ledger,
    /// Provider bond that backs nothing yet.
    pub free_exposure: Balance,
    /// Whether the account stands for election.
    pub validating: bool,
    /// Whether it was elected last time, or validates now.
    pub serving: bool,
    /// Validator part that could be withdrawn now.
    pub withdrawable_validator: Balance,
    /// Provider part that could be withdrawn now.
    pub withdrawable_provider: Balance,
}

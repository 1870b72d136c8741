//! What the pallet stores.

use assay_primitives::{AccountId, Balance, OffenceKind, Role, StageRef, Tick};
use frame::prelude::*;

/// What one offender can be reported for: one piece of work in one role.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct OffenceKey {
    /// Where.
    pub at: StageRef,
    /// As what.
    pub role: Role,
    /// Who.
    pub offender: AccountId,
}

/// What has been reported under one key. A small liveness fault must not shield from what follows it: a checker that came too
/// late and then lied answers for both. Each of the two counts once.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct Record {
    /// A liveness fault.
    pub liveness: bool,
    /// Any other fault.
    pub other: bool,
}

/// A slash that waits for its execution: the amount is claimed already.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct PendingSlash {
    /// Who, where, as what.
    pub key: OffenceKey,
    /// For what.
    pub kind: OffenceKind,
    /// How much.
    pub amount: Balance,
    /// The client, and what it is paid of that.
    pub client: (AccountId, Balance),
    /// The reporter, if any, and what it is paid of that.
    pub reporter: Option<(AccountId, Balance)>,
    /// When it is executed.
    pub due: Tick,
}

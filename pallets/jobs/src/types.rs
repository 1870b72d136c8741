//! What the market stores and shows.

use assay_primitives::{AccountId, Balance, JobHash, JobPhase, PerStage, StageAssignment, Tick};
use codec::{Decode, Encode, MaxEncodedLen};
use frame::prelude::*;

/// Most controllers that a job remembers not to assign again.
pub const MAX_EXCLUDED: u32 = 128;

/// An open job. Its specification lies beside it, in `Specs`: it is large and never changes.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen, TypeInfo)]
pub struct Job {
    /// Who pays.
    pub client: AccountId,
    /// Where it stands.
    pub phase: JobPhase,
    /// Attempt, from 0.
    pub attempt: u32,
    /// Executors by stage; empty while the job waits for its next attempt.
    pub stages: PerStage<StageAssignment>,
    /// The version of the parameters it is bound to.
    pub params_version: u32,
    /// When its phase ends: the key of its one agenda entry.
    pub due: Tick,
    /// When it was submitted.
    pub created: Tick,
    /// What is still held from the client.
    pub escrow: Balance,
    /// Part of `escrow`: what is left of the fixed fee.
    pub fee_budget: Balance,
    /// Part of `escrow`: what is left for the checkers of the attempt that succeeds.
    pub check_budget: Balance,
    /// Controllers that must not execute or check this job again.
    pub excluded: BoundedVec<AccountId, ConstU32<MAX_EXCLUDED>>,
}

/// An open job as `job_status` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo)]
pub struct JobStatus {
    /// Its hash.
    pub job: JobHash,
    /// Where it stands, who executes it, and what is held for it.
    pub record: Job,
    /// The present tick.
    pub now: Tick,
}

/// A version of the parameters.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen, TypeInfo)]
pub struct VersionedParams {
    /// The parameters.
    pub params: assay_primitives::Params,
    /// Open jobs bound to them.
    pub users: u32,
}

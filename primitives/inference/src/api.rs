//! The runtime API of the native worker and of RPC, and its views.

use crate::*;
use alloc::vec::Vec;
use codec::{Decode, Encode};
use polkadot_sdk::{sp_api, sp_core::H256};
use scale_info::TypeInfo;

/// A commitment, as stored.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo)]
pub struct CommitView {
    /// Root of what the stage received.
    pub in_root: H256,
    /// Root of what it handed on.
    pub out_root: H256,
    /// Digest of its stage root.
    pub digest: H256,
    /// The stage root, once opened.
    pub root: Option<H256>,
}

/// A checker's seat.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo)]
pub struct SeatView {
    /// Who was drawn.
    pub controller: AccountId,
    /// Its worker account when drawn.
    pub worker: AccountId,
    /// Its answer, if given.
    pub answer: Option<CheckVerdict>,
}

/// A dispute before the arbiter.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo)]
pub struct DisputeView {
    /// Everyone who may vote, with its worker account, and whether its digest is in.
    pub electorate: Vec<(AccountId, AccountId, bool)>,
    /// Votes are taken up to this tick.
    pub votes_due: Tick,
    /// Roots are taken, after that, up to this one.
    pub roots_due: Tick,
    /// Roots opened so far.
    pub roots: Vec<H256>,
}

/// One stage of an open job.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo)]
pub struct StageView {
    /// The layers.
    pub span: Span,
    /// The executor's controller.
    pub executor: AccountId,
    /// Its worker account.
    pub worker: AccountId,
    /// The peer id of its node, bytes; empty while unknown.
    pub peer: Vec<u8>,
    /// Pay per work unit.
    pub price: Balance,
    /// Its commitment.
    pub commit: Option<CommitView>,
    /// It said that nothing arrived from upstream.
    pub blocked: bool,
    /// Its checkers.
    pub seats: Vec<SeatView>,
    /// The dispute over it.
    pub dispute: Option<DisputeView>,
}

/// An open job, whole.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo)]
pub struct JobView {
    /// Its hash.
    pub job: JobHash,
    /// Who pays.
    pub client: AccountId,
    /// What was asked for.
    pub spec: JobSpec,
    /// Where it stands.
    pub phase: JobPhase,
    /// Attempt, from 0.
    pub attempt: u32,
    /// The present tick.
    pub now: Tick,
    /// When the phase ends.
    pub due: Tick,
    /// Held from the client now: what was held at submission, less what checkers of failed attempts were paid since.
    pub held: Balance,
    /// Stage by stage.
    pub stages: Vec<StageView>,
    /// The committed answer, once the last stage committed.
    pub output: Option<Output>,
}

/// One standing offer of a provider.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo)]
pub struct AskView {
    /// What it holds.
    pub key: SpanKey,
    /// Its terms.
    pub ask: Ask,
    /// Whether it can be matched now.
    pub usable: bool,
    /// Since when the span is held.
    pub since: Tick,
    /// Stages it executes for this span now.
    pub executing: u16,
    /// Stages it checks for this span now.
    pub checking: u16,
}

/// A provider, whole.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo)]
pub struct ProviderView {
    /// Its controller.
    pub controller: AccountId,
    /// Its worker account.
    pub worker: AccountId,
    /// Its node's peer id, bytes; empty while unknown.
    pub peer: Vec<u8>,
    /// Whether it takes new work.
    pub active: bool,
    /// Its provider bond.
    pub bond: Balance,
    /// What of it is free to back new work.
    pub free: Balance,
    /// Penalty score, per thousand.
    pub penalty_permille: u32,
    /// What it says of its hardware.
    pub hardware: HardwareProfile,
    /// Its offers.
    pub asks: Vec<AskView>,
}

/// What a job would cost, and who would run it, at this block.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo)]
pub struct Quote {
    /// Held at submission.
    pub escrow: Balance,
    /// Stage by stage.
    pub stages: Vec<StageQuote>,
}

/// Who would run one stage.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo)]
pub struct StageQuote {
    /// The layers.
    pub span: Span,
    /// The most work that the stage can take.
    pub work: WorkUnits,
    /// The executor and its price for one work unit, or the reason why there is none.
    pub award: Result<(AccountId, Balance), NoMatch>,
}

/// What a worker owes, in one job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode, TypeInfo)]
pub enum Duty {
    /// Run the stage and commit.
    Execute(StageRef),
    /// Re-execute the stage and answer.
    Check(StageRef),
    /// Re-execute the disputed stage and vote.
    Vote(StageRef),
    /// Open the stage root that you know: as executor or agreeing checker, or as voter after voting ended.
    Reveal(StageRef),
}

/// An answer extrinsic, ready to be signed by the worker key.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo)]
pub struct PreparedAnswer {
    /// The bytes to sign: the SCALE payload, hashed if longer than 256 bytes.
    pub payload: Vec<u8>,
    /// The encoded call.
    pub call: Vec<u8>,
    /// The encoded extension.
    pub extension: Vec<u8>,
}

sp_api::decl_runtime_apis! {
    /// What a provider's worker and any node's RPC read from the chain.
    pub trait InferenceApi {
        /// The controller that a worker account answers for.
        fn controller_of(worker: AccountId) -> Option<AccountId>;
        /// Whether the node's peer id is registered for this controller: empty means that it must be announced.
        fn peer_of(controller: AccountId) -> Vec<u8>;
        /// Everything that the worker owes at this block, oldest job first.
        fn duties(worker: AccountId) -> Vec<Duty>;
        /// An open job.
        fn job(job: JobHash) -> Option<JobView>;
        /// A job's receipt, while it is among the recent ones.
        fn receipt(job: JobHash) -> Option<Receipt>;
        /// Every model that can be used.
        fn models() -> Vec<traits::ModelInfo>;
        /// Every provider.
        fn providers() -> Vec<ProviderView>;
        /// What this job would cost now. None if the specification itself is refused.
        fn quote(spec: JobSpec) -> Option<Quote>;
        /// The parameters that a new job would be bound to.
        fn params() -> Params;
        /// The spans of a model's template.
        fn template(model: ModelId, template: u8) -> Option<Vec<Span>>;
        /// Builds the payload of `verification.answer(answers)` for the worker account, with this nonce, mortal from block
        /// `birth` (number and hash) on. None if there are too many answers.
        fn prepare_answer(worker: AccountId, nonce: u32, birth: u64, answers: Vec<Answer>) -> Option<PreparedAnswer>;
        /// Builds the payload of `providers.announce_peer(peer)`.
        fn prepare_announce(worker: AccountId, nonce: u32, birth: u64, peer: Vec<u8>) -> Option<PreparedAnswer>;
        /// Joins a prepared answer and its signature to an extrinsic to submit.
        fn assemble(worker: AccountId, prepared: PreparedAnswer, signature: WorkerSignature) -> Option<Vec<u8>>;
    }
}

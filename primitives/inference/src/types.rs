//! Identities, the job specification, answers and receipts.

use crate::{AccountId, Balance, Tick, WorkUnits};
use alloc::vec::Vec;
use assay_exact::{commit::Generation, sampling::Sampling};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use polkadot_sdk::{
    sp_core::{sr25519, ConstU32, H256},
    sp_runtime::BoundedVec,
};
use scale_info::TypeInfo;

/// A model is its package's `model_root` (`docs/exact.md`, section 11): content, not a name.
pub type ModelId = H256;
/// See [`crate::digest::job_hash`].
pub type JobHash = H256;
/// Signature of a worker key over a 32-byte digest.
pub type WorkerSignature = sr25519::Signature;

/// Most token ids in an inline prompt.
pub const MAX_INPUT_IDS: u32 = 2_048;
/// Most token ids a job may generate.
pub const MAX_NEW_TOKENS: u32 = 1_024;
/// Widest vector of an embedding job: published models have up to 4,096 entries.
pub const MAX_VECTOR: u32 = 4_096;
/// Most stages of a template.
pub const MAX_STAGES: u32 = 16;
/// Most controllers that may hold one span; bounds every walk over a book of asks.
pub const MAX_HOLDERS: u32 = 64;
/// Most checkers of one stage over all tranches.
pub const MAX_SEATS: u32 = 16;
/// Most answers in one `verification.answer` call.
pub const MAX_ANSWERS: u32 = 32;

/// Prompt of a job as token ids.
pub type InputIds = BoundedVec<u32, ConstU32<MAX_INPUT_IDS>>;
/// Generated token ids.
pub type OutputIds = BoundedVec<u32, ConstU32<MAX_NEW_TOKENS>>;
/// A text's vector, i16 Q15 (`docs/exact.md`, section 9).
pub type Vector = BoundedVec<i16, ConstU32<MAX_VECTOR>>;
/// One value per stage.
pub type PerStage<T> = BoundedVec<T, ConstU32<MAX_STAGES>>;

/// A contiguous range of layers, `first..end`.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct Span {
    /// First layer, from 0.
    pub first: u16,
    /// One past the last layer.
    pub end: u16,
}

/// A span of a particular model: what a provider holds and asks a price for.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct SpanKey {
    /// The model.
    pub model: ModelId,
    /// Its layers.
    pub span: Span,
}

/// What a job is given to work on.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub enum JobInput {
    /// The token ids of a prompt, or of a text to embed; at least one. Any node's `inference_tokenize` makes them from text.
    #[codec(index = 0)]
    Inline(InputIds),
    /// Content hash of a prompt kept elsewhere. Reserved: refused in this version.
    #[codec(index = 1)]
    Blob(H256),
}

/// Sampling parameters, `docs/exact.md` section 9.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct SamplingParams {
    /// Temperature in thousandths; 0 is greedy.
    pub temperature: u16,
    /// Keep the k most likely ids; 0 is off.
    pub top_k: u32,
    /// Keep the shortest prefix with this mass, in 1/65,536; 65,536 is off.
    pub top_p: u32,
    /// Where randomness comes from.
    pub seed: [u8; 32],
}

impl SamplingParams {
    /// Greedy decoding.
    pub const GREEDY: Self = Self { temperature: 0, top_k: 0, top_p: 65_536, seed: [0; 32] };
}

/// What is computed of the input. Each model does one of them, by its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub enum JobTask {
    /// A decoder continues the input.
    #[codec(index = 0)]
    Generate {
        /// At most this many generated ids, `1..=MAX_NEW_TOKENS`.
        max_new_tokens: u32,
        /// How the next id is drawn.
        sampling: SamplingParams,
    },
    /// An encoder makes one vector of the whole input.
    #[codec(index = 1)]
    Embed,
}

impl JobTask {
    /// Most ids that it generates: an embedding none.
    pub fn max_new_tokens(&self) -> u32 {
        match self {
            Self::Generate { max_new_tokens, .. } => *max_new_tokens,
            Self::Embed => 0,
        }
    }

    /// Its parameters in a stage root (`docs/exact.md`, section 11); an embedding has none.
    pub fn generation(&self) -> Option<Generation> {
        let Self::Generate { max_new_tokens, sampling } = self else { return None };
        let SamplingParams { temperature, top_k, top_p, seed } = *sampling;
        Some(Generation { max_new: *max_new_tokens, sampling: Sampling { temperature, top_k, top_p, seed } })
    }
}

/// The answer of a job, by its task.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub enum Output {
    /// The generated ids.
    #[codec(index = 0)]
    Ids(OutputIds),
    /// The input's vector.
    #[codec(index = 1)]
    Vector(Vector),
}

impl Output {
    /// The generated ids; a vector has none.
    pub fn ids(&self) -> &[u32] {
        match self {
            Self::Ids(ids) => ids,
            Self::Vector(_) => &[],
        }
    }
}

/// How a result is made trustworthy. Indices 2 (optimistic) and 3 (proof) are reserved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub enum VerificationMode {
    /// Nobody checks; the receipt says *unverified*.
    #[codec(index = 0)]
    None,
    /// `k` controllers per stage, the executor included, must agree on every bit. `k >= 2`.
    #[codec(index = 1)]
    Quorum {
        /// Controllers per stage.
        k: u8,
    },
}

impl VerificationMode {
    /// Controllers per stage, the executor included.
    pub fn k(&self) -> u8 {
        match self {
            Self::None => 1,
            Self::Quorum { k } => *k,
        }
    }
}

/// How a checker checks. Index 1 (light) is reserved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub enum CheckKind {
    /// Re-execution of the whole stage.
    #[codec(index = 0)]
    Full,
}

/// What a client asks for.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct JobSpec {
    /// Which model.
    pub model: ModelId,
    /// Which of the model's templates: how many stages, cut where.
    pub template: u8,
    /// The prompt, or the text to embed.
    pub input: JobInput,
    /// What is computed of it.
    pub task: JobTask,
    /// How the result is checked.
    pub mode: VerificationMode,
    /// The most the client pays per work unit, in any stage.
    pub max_price: Balance,
    /// What the client is paid at most out of the guilty stage's slashed backing, of which half burns, if a wrong result is
    /// proven; at most the escrow, and 0 with [`VerificationMode::None`].
    pub insured: Balance,
    /// Added to every deadline: a client can only lengthen them.
    pub extra_ticks: Tick,
}

impl JobSpec {
    /// Ids of the input.
    pub fn input_ids(&self) -> &[u32] {
        match &self.input {
            JobInput::Inline(ids) => ids,
            JobInput::Blob(_) => &[],
        }
    }

    /// Length of the input.
    pub fn input_len(&self) -> u32 {
        self.input_ids().len() as u32
    }

    /// The positions that the job may reach: all of its work's contexts name them.
    pub fn positions(&self) -> (u32, u32) {
        (0, self.input_len().saturating_add(self.task.max_new_tokens()))
    }

    /// The stage of `n` that feeds stage `stage`: the one before it, around the ring. None of a job of one stage, which is its
    /// own upstream; none either of an embedding's first stage, which reads the input: nothing flows back to it.
    pub fn upstream_of(&self, stage: u8, n: u8) -> Option<u8> {
        match stage.checked_sub(1) {
            _ if n < 2 => None,
            None if self.task == JobTask::Embed => None,
            None => Some(n.saturating_sub(1)),
            before => before,
        }
    }
}

/// Who did a piece of work. Part of [`WorkCtx`].
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub enum Role {
    /// Runs the stage.
    #[codec(index = 0)]
    Executor,
    /// Drawn to re-execute it.
    #[codec(index = 1)]
    Checker,
    /// Votes in an escalation.
    #[codec(index = 2)]
    Voter,
}

/// The context that every signed or committed digest is bound to (protocol section 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct WorkCtx {
    /// Genesis hash of the chain.
    pub genesis: H256,
    /// 0: job; 1: lease (reserved).
    pub kind: u8,
    /// The job's hash.
    pub id: H256,
    /// Attempt, from 0.
    pub epoch: u32,
    /// Stage, from 0.
    pub stage: u8,
    /// Positions assigned: all of [`JobSpec::positions`] in this version.
    pub range: (u32, u32),
    /// Who.
    pub role: Role,
}

/// One attempt at one stage of one job.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct StageRef {
    /// The job.
    pub job: JobHash,
    /// The attempt, from 0.
    pub attempt: u32,
    /// The stage, from 0.
    pub stage: u8,
}

/// The handoff a stage received: its upstream's signature over the rows that hash to `in_root`.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Handoff {
    /// Rows (token ids for a generation's stage 0) under the signed root.
    pub n_rows: u32,
    /// By the upstream stage's worker key, over [`crate::digest::handoff`].
    pub signature: WorkerSignature,
}

/// What an executor commits to (protocol section 5.1).
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct StageCommitment {
    /// Root of what the stage received.
    pub in_root: H256,
    /// Root of what it handed on.
    pub out_root: H256,
    /// [`crate::digest::commit`] of the hidden stage root.
    pub digest: H256,
    /// Evidence of what was received, where another stage feeds it ([`JobSpec::upstream_of`]).
    pub upstream: Option<Handoff>,
    /// The answer: from the last stage, and only from it.
    pub output: Option<Output>,
}

/// A checker's answer (protocol section 5.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub enum CheckVerdict {
    /// Same root: the checker's own digest of it.
    #[codec(index = 0)]
    Agree(H256),
    /// Another root: the checker's own digest of that.
    #[codec(index = 1)]
    Dissent(H256),
    /// No rows that hash to the public root could be had in time. Not of the first stage, whose input is public.
    #[codec(index = 2)]
    Unavailable,
}

/// What opens a commitment: the parts of a stage root (`docs/exact.md`, section 11) that the chain cannot know. It makes the root
/// of them itself, so that a commitment holds only if the boundary that it names is the one under its stage root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Opening {
    /// Root of what the stage hands on if it computes rightly: in a dispute it may differ from the committed one.
    pub out_root: H256,
    /// Root of its keys and values.
    pub kv_root: H256,
    /// Root of its last layer's tail.
    pub tail_root: H256,
}

/// One item of `verification.answer`. Indices 16.. are reserved for leases.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub enum Answer {
    /// Executor: the stage is done.
    #[codec(index = 0)]
    Commit {
        /// Which stage.
        at: StageRef,
        /// What it commits to.
        commitment: StageCommitment,
    },
    /// Executor: nothing with a valid handoff arrived from upstream. It excuses this stage and accuses nobody: who of the two is
    /// at fault the chain cannot see, so that neither pays and neither gets the job again, unless somebody else is silent.
    #[codec(index = 1)]
    Blocked {
        /// Which stage.
        at: StageRef,
    },
    /// Checker: the result of re-execution.
    #[codec(index = 2)]
    Check {
        /// Which stage.
        at: StageRef,
        /// The result.
        verdict: CheckVerdict,
    },
    /// Anyone: opens commitments of a stage. Before a dispute it must open the executor's.
    #[codec(index = 3)]
    Reveal {
        /// Which stage.
        at: StageRef,
        /// What makes up the stage root.
        opening: Opening,
    },
    /// A holder of a disputed span: digest (role [`Role::Voter`]) of the root it computed.
    #[codec(index = 4)]
    Vote {
        /// Which stage.
        at: StageRef,
        /// Digest of the root.
        digest: H256,
    },
}

impl Answer {
    /// The stage that the answer is about.
    pub fn at(&self) -> StageRef {
        match self {
            Self::Commit { at, .. }
            | Self::Blocked { at }
            | Self::Check { at, .. }
            | Self::Reveal { at, .. }
            | Self::Vote { at, .. } => *at,
        }
    }
}

/// Where an open job stands (protocol section 5). `Queued` (0) is reserved for opt-in queueing, `Verified` (6) for the
/// challenge window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub enum JobPhase {
    /// Executors work; commits arrive.
    #[codec(index = 1)]
    Running,
    /// All committed; the beacon collects authors.
    #[codec(index = 2)]
    Drawing,
    /// Checkers re-execute.
    #[codec(index = 3)]
    Checking,
    /// All agree; the roots are to be opened.
    #[codec(index = 4)]
    Revealing,
    /// A dissent is before the arbiter.
    #[codec(index = 5)]
    Escalated,
    /// The attempt failed; the next one starts at the next tick.
    #[codec(index = 7)]
    Requeue,
}

/// Why a job ended without a settled result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub enum RefundReason {
    /// Attempts are used up.
    #[codec(index = 0)]
    AttemptsExhausted,
    /// Nobody could take over a failed attempt.
    #[codec(index = 1)]
    NoProvider,
    /// The arbiter reached no verdict in time.
    #[codec(index = 2)]
    Inconclusive,
    /// The client withdrew before anyone was assigned.
    #[codec(index = 3)]
    Cancelled,
    /// The model left the registry, or its package has no semantics.
    #[codec(index = 4)]
    ModelGone,
}

/// Something a provider did wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub enum OffenceKind {
    /// Neither commit nor `Blocked` in time.
    #[codec(index = 0)]
    NoCommit,
    /// No answer from a checker in time.
    #[codec(index = 1)]
    NoShow,
    /// Half of the checkers could not get the boundary rows.
    #[codec(index = 2)]
    Withheld,
    /// The signed handoff and the committed root differ: objective.
    #[codec(index = 3)]
    Equivocation,
    /// Right input, wrong output, by the arbiter's verdict.
    #[codec(index = 4)]
    WrongResult,
    /// A dissent that the arbiter found false.
    #[codec(index = 5)]
    FalseDissent,
    /// An `Agree` that does not open to the revealed root.
    #[codec(index = 6)]
    FalseAgree,
}

impl OffenceKind {
    /// Liveness faults cost small absolute amounts, at once; the others are deferred and can be cancelled.
    pub fn is_liveness(&self) -> bool {
        matches!(self, Self::NoCommit | Self::NoShow | Self::Withheld)
    }
    /// Whether the chain itself holds the proof, so that no vote was needed.
    pub fn is_objective(&self) -> bool {
        matches!(self, Self::Equivocation | Self::FalseAgree)
    }
}

/// A fault pinned to one controller, deduplicated by `(at, role, offender)`.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Offence {
    /// Where.
    pub at: StageRef,
    /// As what.
    pub role: Role,
    /// The controller whose provider bond answers for it.
    pub offender: AccountId,
    /// What.
    pub kind: OffenceKind,
    /// What was reserved for it.
    pub backing: Balance,
    /// What the stage would have been paid.
    pub pay: Balance,
    /// Paid to the client out of the slash, first.
    pub insured: Balance,
    /// The client.
    pub client: AccountId,
    /// Who brought objective evidence, if anyone.
    pub reporter: Option<AccountId>,
}

/// Where a reservation on a provider bond comes from: unique among open ones.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct BackingId {
    /// Which stage.
    pub at: StageRef,
    /// As what.
    pub role: Role,
}

/// The executor of a stage and the terms it was assigned under.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct StageAssignment {
    /// The layers.
    pub span: Span,
    /// The executor's controller.
    pub executor: AccountId,
    /// Its worker account when assigned: an old key stays valid for assignments made under it.
    pub worker: AccountId,
    /// Pay per work unit, by the auction.
    pub price: Balance,
    /// Reserved out of its provider bond.
    pub backing: Balance,
}

/// What one stage of a settled job was paid and what was proven about it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct StageReceipt {
    /// The layers.
    pub span: Span,
    /// The executor's controller.
    pub executor: AccountId,
    /// What it was paid.
    pub paid: Balance,
    /// Its work.
    pub work: WorkUnits,
    /// The opened stage root; none in an unverified job.
    pub root: Option<H256>,
    /// Checkers whose answer agreed, each with its fee.
    pub checkers: BoundedVec<(AccountId, Balance), ConstU32<MAX_SEATS>>,
}

/// How much a receipt proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Assurance {
    /// Controllers per stage that the job asked for; 1 means unverified.
    pub k: u8,
    /// Distinct block authors whose VRF drew the checkers.
    pub beacon_authors: u8,
    /// A checker of one stage executed another stage of the same job.
    pub overlap: bool,
    /// The rule that 2k controllers must have held the span for an epoch was relaxed by the chain's preset.
    pub relaxed: bool,
    /// The result stands by an arbiter's verdict after a dispute.
    pub escalated: bool,
}

/// All that remains of a settled job.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Receipt {
    /// The job.
    pub job: JobHash,
    /// Who paid.
    pub client: AccountId,
    /// Which model.
    pub model: ModelId,
    /// The attempt that succeeded, from 0.
    pub attempt: u32,
    /// Parameters in force.
    pub params_version: u32,
    /// `ids_root` of the input and, after it, the generated ids.
    pub ids_root: H256,
    /// Length of the input.
    pub input_len: u32,
    /// The answer.
    pub output: Output,
    /// How much it proves.
    pub assurance: Assurance,
    /// Stage by stage.
    pub stages: PerStage<StageReceipt>,
    /// Burned of the escrow.
    pub burned: Balance,
    /// Returned to the client.
    pub refunded: Balance,
    /// When it settled.
    pub tick: Tick,
}

/// Hardware a provider says it has. Informative: nothing on chain trusts it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct HardwareProfile {
    /// CPU threads offered.
    pub threads: u16,
    /// Memory, MiB.
    pub memory_mib: u32,
    /// Accelerators, e.g. `1x H100`; empty for CPU only.
    pub accelerators: BoundedVec<u8, ConstU32<64>>,
    /// Kernel family, e.g. `avx512-vnni`.
    pub kernel: BoundedVec<u8, ConstU32<32>>,
}

/// A standing offer (protocol section 3).
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Ask {
    /// Price per work unit.
    pub price: Balance,
    /// Stages it executes at once.
    pub slots: u16,
    /// Stages it checks at once.
    pub check_slots: u16,
    /// Work units per tick it sustains: deadlines follow from it.
    pub rate: WorkUnits,
}

/// Which capacity a piece of work takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub enum SlotKind {
    /// One of [`Ask::slots`].
    Execute,
    /// One of [`Ask::check_slots`].
    Check,
}

/// A holder of a span, as the book shows it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo)]
pub struct Holder {
    /// Its controller.
    pub controller: AccountId,
    /// Its current worker account.
    pub worker: AccountId,
    /// Its offer.
    pub ask: Ask,
    /// Since when it has held the span without a break.
    pub since: Tick,
    /// Whether the ask may be matched already (it becomes usable two blocks after it was set) and the provider is active.
    pub usable: bool,
    /// Free capacity to execute.
    pub free_slots: u16,
    /// Free capacity to check.
    pub free_check_slots: u16,
    /// Penalty score for attributable faults, added to `ask * work` in the auction, per thousand of it.
    pub penalty_permille: u32,
}

/// A reason why no executor could be found for a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub enum NoMatch {
    /// Nobody holds the span.
    NoHolder,
    /// Holders exist, but none is active with a usable ask of the job's spec id.
    NotUsable,
    /// Every usable ask is above the reserve price or the client's maximum.
    Price,
    /// Every affordable holder's free bond is below the backing this job needs.
    Exposure,
    /// Every affordable holder is at capacity.
    Capacity,
    /// Too few controllers hold the span for this k.
    NotVerifiable,
}

/// Convenience for views.
pub type Holders = Vec<Holder>;

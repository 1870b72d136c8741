//! What the pallets ask of each other. Ids and small structs only: an implementor is found by the runtime's composition, never by
//! `T: pallet_other::Config`.

use crate::*;
use alloc::vec::Vec;
use polkadot_sdk::{
    sp_core::H256,
    sp_runtime::{DispatchError, Weight},
};

/// What a model does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, codec::Encode, codec::Decode, scale_info::TypeInfo)]
pub enum ModelKind {
    /// Continues a prompt: [`JobTask::Generate`].
    #[codec(index = 0)]
    Decoder,
    /// Makes a vector of a text: [`JobTask::Embed`].
    #[codec(index = 1)]
    Encoder,
}

impl ModelKind {
    /// Whether models of this kind do such a task.
    pub fn does(self, task: &JobTask) -> bool {
        match task {
            JobTask::Generate { .. } => self == Self::Decoder,
            JobTask::Embed => self == Self::Encoder,
        }
    }
}

/// What the registry says of a model.
#[derive(Clone, Debug, PartialEq, Eq, codec::Encode, codec::Decode, scale_info::TypeInfo)]
pub struct ModelInfo {
    /// Its id.
    pub id: ModelId,
    /// Its name, UTF-8.
    pub name: Vec<u8>,
    /// Semantics that it needs.
    pub spec_id: u32,
    /// Ids in its vocabulary.
    pub vocab: u32,
    /// Longest sequence, prompt and output.
    pub context: u32,
    /// Layers.
    pub layers: u16,
    /// Whether it continues texts or embeds them.
    pub kind: ModelKind,
    /// Entries of a residual row, and of an encoder's vector.
    pub width: u32,
    /// Ids that end generation; an encoder has none.
    pub eos: Vec<u32>,
    /// Whether new jobs may use it.
    pub active: bool,
}

/// The registry of models, as market and checking see it. Implemented by pallet-assay-models.
pub trait ModelDirectory {
    /// The model, if registered.
    fn info(model: ModelId) -> Option<ModelInfo>;
    /// The spans of one of its templates, in order; none if there is no such template.
    fn template(model: ModelId, template: u8) -> Option<Vec<Span>>;
    /// Whether some template has this span.
    fn has_span(key: &SpanKey) -> bool;
    /// Work of computing positions `from..to` in this span, in work units, rounded up; computed from the registered header alone.
    /// The first span includes the embedding, a decoder's last one the head for positions from `heads_from` on. An encoder's text
    /// is `to` long.
    fn work(key: &SpanKey, from: u32, to: u32, heads_from: u32) -> Option<WorkUnits>;
    /// One more, or one fewer, open job uses the model: it cannot be removed while any does.
    fn add_user(model: ModelId) -> Result<(), DispatchError>;
    /// See [`ModelDirectory::add_user`].
    fn remove_user(model: ModelId);
}

/// Who provides what. Implemented by pallet-assay-providers.
pub trait ProviderDirectory {
    /// The controller that a worker account answers for, also under an older key epoch.
    fn controller_of(worker: &AccountId) -> Option<AccountId>;
    /// The current worker account of a controller.
    fn worker_of(controller: &AccountId) -> Option<AccountId>;
    /// The libp2p peer id of its node, as bytes; empty while unknown.
    fn peer_of(controller: &AccountId) -> Vec<u8>;
    /// Everyone who holds the span, at most [`MAX_HOLDERS`], in no particular order.
    fn holders(key: &SpanKey) -> Vec<Holder>;
    /// The controllers among [`ProviderDirectory::holders`] alone, which costs less to find.
    fn controllers(key: &SpanKey) -> Vec<AccountId> {
        Self::holders(key).into_iter().map(|holder| holder.controller).collect()
    }
    /// Takes a unit of capacity; fails if none is free.
    fn take(controller: &AccountId, key: &SpanKey, kind: SlotKind) -> Result<(), DispatchError>;
    /// Gives it back.
    fn give_back(controller: &AccountId, key: &SpanKey, kind: SlotKind);
    /// An attributable fault: the penalty score of the auction rises.
    fn note_fault(controller: &AccountId, kind: OffenceKind);
    /// Settled work: the penalty score decays.
    fn note_settled(controller: &AccountId, burned: Balance);
}

/// The bond ledger. Implemented by pallet-assay-staking. "Bond" here is the provider part; consensus never touches it, nor this
/// trait the validator part.
pub trait BondManager {
    /// The whole provider bond.
    fn bond(controller: &AccountId) -> Balance;
    /// Provider bond that neither an open backing nor a pending slash claims.
    fn free_exposure(controller: &AccountId) -> Balance;
    /// Both: the bond, and what of it is free. The ledger is looked up once.
    fn bond_and_free(controller: &AccountId) -> (Balance, Balance) {
        (Self::bond(controller), Self::free_exposure(controller))
    }
    /// Reserves part of the bond. Fails if less is free, or the id is already in use.
    fn reserve(controller: &AccountId, id: &BackingId, amount: Balance) -> Result<(), DispatchError>;
    /// Releases a reservation, whole; nothing happens if there is none.
    fn release(controller: &AccountId, id: &BackingId);
    /// Turns up to `amount` of the bond into a pending slash that no withdrawal can pass and that lives on when the backing is
    /// released. Returns what could be claimed.
    fn claim(controller: &AccountId, amount: Balance) -> Balance;
    /// As [`BondManager::claim`], out of the backing `id` as far as it reaches (the backing shrinks by it), and out of what no
    /// backing reserves for the rest: the sum of backings and claims thus never passes the bond, whenever the backing is released.
    fn claim_backing(controller: &AccountId, id: &BackingId, amount: Balance) -> Balance {
        let _ = id;
        Self::claim(controller, amount)
    }
    /// Gives a claim back unslashed.
    fn unclaim(controller: &AccountId, amount: Balance);
    /// Executes a claim: `to` are paid in order out of it, the rest is burned. Reaches unbonding chunks. Returns what was burned.
    fn slash_claimed(controller: &AccountId, amount: Balance, to: &[(AccountId, Balance)]) -> Balance;
    /// The controller was slashed for more than lateness: it stands for no election for a while. One that validates is not
    /// disabled, and leaves the set only as elections replace it.
    fn bar(controller: &AccountId) {
        let _ = controller;
    }
}

/// Takes offences. Implemented by pallet-assay-slashing. Deduplicates by `(at, role, offender)`.
pub trait OffenceSink {
    /// Reports an offence; must be called before its backing is released. Returns what will be slashed, now or after deferral.
    fn report(params: &Params, offence: Offence) -> Balance;
}

/// Unpredictable numbers drawn by later block authors (protocol section 6). Implemented by pallet-assay-verification over BABE.
pub trait Beacon {
    /// VRF outputs of distinct authors of blocks after block `since`, oldest first, without the authors in `except`; at most `wanted`.
    fn authors_since(since: u32, except: &[AccountId], wanted: u8) -> Vec<[u8; 32]>;
    /// Validators that are not in `except`: no more distinct authors than this can ever be seen.
    fn eligible(except: &[AccountId]) -> u32;
}

/// Who wrote the current block and its VRF output; given to the beacon by the runtime.
pub trait AuthorVrf {
    /// The author's controller and its VRF output, of the block being executed.
    fn current() -> Option<(AccountId, [u8; 32])>;
    /// The validators' controllers.
    fn validators() -> Vec<AccountId>;
}

/// An open job, as verification needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenJob {
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
    /// Executors, by stage.
    pub stages: PerStage<StageAssignment>,
    /// Parameters in force.
    pub params: Params,
    /// When the present phase ends.
    pub due: Tick,
    /// Tick in which the job was submitted.
    pub created: Tick,
    /// What is held from the client now: less than at submission once checkers of failed attempts were paid.
    pub escrow: Balance,
    /// Controllers excluded from this job by earlier attempts.
    pub excluded: Vec<AccountId>,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttemptOutcome {
    /// The result stands: pay everybody and finish.
    Done {
        /// The answer.
        output: Output,
        /// `ids_root` of the input and the generated ids: a commitment was checked against it.
        ids_root: H256,
        /// Opened stage roots, by stage (none when unverified), and the checkers whose answers agreed, by stage.
        stages: Vec<(Option<H256>, Vec<AccountId>)>,
        /// How much it proves.
        assurance: Assurance,
    },
    /// The attempt failed: dispatch again without `exclude`, or refund when attempts are used up.
    Failed {
        /// Controllers that must not execute or check this job again.
        exclude: Vec<AccountId>,
        /// Checkers who answered in good faith; paid out of the fixed fee.
        checks: Vec<(u8, AccountId)>,
        /// Every stage committed, to so many generated ids, but no checkers could be drawn: each executor is paid as if for a
        /// check, out of the fixed fee.
        unchecked: Option<u32>,
    },
    /// No verdict: the client is refunded.
    Inconclusive,
}

/// The market, as verification sees it. Implemented by pallet-assay-jobs.
pub trait Market {
    /// The present service tick.
    fn now() -> Tick;
    /// An open job.
    fn open_job(job: JobHash) -> Option<OpenJob>;
    /// Moves a job to another phase with a new due tick, and its one agenda entry with it.
    fn set_phase(job: JobHash, phase: JobPhase, due: Tick) -> Result<(), DispatchError>;
    /// Moves the due tick of the present phase.
    fn set_due(job: JobHash, due: Tick) -> Result<(), DispatchError>;
    /// Ends the attempt. The market settles, dispatches again or refunds, and calls [`Verifier::forget`] for the attempt.
    fn conclude(job: JobHash, outcome: AttemptOutcome) -> Result<(), DispatchError>;
}

/// Verification, as the market sees it. Implemented by pallet-assay-verification.
pub trait Verifier {
    /// A new attempt was assigned.
    fn attempt_started(job: &OpenJob);
    /// The due tick of the job's phase has passed. Must move the job on: a new phase, a later due tick, or an outcome.
    fn due(job: &OpenJob);
    /// Drops everything that the attempt stored, releases seats and their backings. Idempotent.
    fn forget(job: JobHash, attempt: u32);
    /// Upper bound of the weight of one [`Verifier::due`].
    fn due_weight() -> Weight;
}

/// What an arbiter knows of a disputed stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ruling {
    /// Not yet: ask again at the due tick given.
    Pending(Tick),
    /// This stage root is canonical for the committed `in_root`, and with it this root of what the stage hands on.
    Canonical {
        /// The stage root.
        root: H256,
        /// The boundary under it.
        out_root: H256,
    },
    /// No verdict in time.
    Inconclusive,
}

/// Decides a dissent (protocol section 5.5). Its first form is re-execution by the span's holders; the on-chain referee will be another.
pub trait Arbiter {
    /// Opens a dispute over a stage; returns when it is due.
    fn open(job: &OpenJob, at: StageRef) -> Tick;
    /// Takes a vote or an opened root from a controller; fails with the reason.
    fn vote(job: &OpenJob, at: StageRef, voter: &AccountId, digest: H256) -> Result<(), DispatchError>;
    /// Takes an opened root, and the boundary under it.
    fn reveal(job: &OpenJob, at: StageRef, root: H256, out_root: H256) -> Result<(), DispatchError>;
    /// Where the dispute stands now.
    fn ruling(job: &OpenJob, at: StageRef) -> Ruling;
    /// Whether its verdict is a proof, rather than a vote that may be bought.
    fn is_objective() -> bool;
    /// Drops what it stored.
    fn close(at: StageRef);
}

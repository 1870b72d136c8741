//! # Jobs: the market of inference
//!
//! Escrow, auction, assignment, deadlines and settlement.
//!
//! ## API
//!
//! * [`Call::submit`]: ask for an inference; matched in the same call, or refused with the reason.
//! * [`Call::cancel`]: take a job back while nobody is assigned to it.
//! * [`Call::claim`]: collect a payment that could not be made when it was due.
//! * [`Call::set_params`]: a new version of the parameters, for jobs submitted from then on.
//! * Views: `quote`, `why_no_match`, `job_status`, `receipt`.
//!
//! Other pallets meet this one as [`Market`](assay_primitives::traits::Market).
//!
//! ## Key concepts
//!
//! **Job hash.** A job is known by a digest of what it is, never by a counter: after a re-org a counter means another
//! job, and a signature made for one would fit the other.
//!
//! **Matching** happens inside `submit`: for each stage of the model's template a second-score reverse auction over the
//! standing asks of the span's holders. Nothing is queued.
//!
//! **Escrow** is a hold on the client's account over everything the job can cost. The part above what was used returns;
//! the fixed fee does not, once somebody was assigned: it pays the checks of failed attempts, and executors for whose work no
//! checkers could be drawn, and the rest of it burns.
//!
//! **Service ticks**, not blocks, measure time: the tick advances in `on_poll`, and only while answers are possible.
//! Safe mode or a migration therefore costs nobody a deadline.
//!
//! **The agenda** holds exactly one entry per open job, under the tick at which its phase ends. It is drained under a
//! weight meter; the cursor carries what did not fit over to the next block.
//!
//! **One exit.** Every way out of a job passes `kill`, which releases escrow, backings, slots, the model, the parameters
//! and the agenda entry. A finished job leaves a receipt among the last `MaxReceipts` and nothing else.
#![cfg_attr(not(feature = "std"), no_std)]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(any(test, feature = "runtime-benchmarks")),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::panic
    )
)]

extern crate alloc;
// The shared test world names the pallets by their crates; in this crate's own tests one of them is this one.
#[cfg(all(test, feature = "runtime-benchmarks"))]
extern crate self as pallet_assay_jobs;

#[cfg(all(test, feature = "runtime-benchmarks"))]
#[allow(dead_code, unused_imports)] // benchmarks use a part of it
#[path = "../../testing/src/lib.rs"]
mod bench_world;
#[cfg(feature = "runtime-benchmarks")]
pub mod benchmarking;
mod lifecycle;
mod market_impl;
mod matching;
mod settlement;
mod spec_checks;
mod tick_impls;
mod try_state;
pub mod types;
pub mod weights;

pub use pallet::*;
pub use types::*;
pub use weights::WeightInfo;

// The macro itself expects what it has checked.
#[allow(clippy::expect_used)]
#[frame::pallet]
pub mod pallet {
    use super::*;
    use alloc::vec::Vec;
    use assay_primitives::{
        api::Quote,
        traits::{BondManager, ModelDirectory, ProviderDirectory, Verifier},
        *,
    };
    use frame::prelude::*;

    #[pallet::pallet]
    pub struct Pallet<T>(_);

    /// Why money of a client is on hold.
    #[pallet::composite_enum]
    pub enum HoldReason {
        /// What open jobs can cost.
        #[codec(index = 0)]
        Escrow,
        /// Payments that could not be made, until [`Call::claim`] makes them.
        #[codec(index = 1)]
        Unclaimed,
    }

    #[pallet::config]
    pub trait Config:
        frame_system::Config<AccountId = AccountId, Hash = H256, RuntimeEvent: From<Event<Self>>>
    {
        /// Escrow is a hold, so that the money stays visible on the client's account and out of everybody's reach.
        type Currency: fungible::Inspect<AccountId, Balance = Balance>
            + fungible::hold::Mutate<AccountId, Reason = Self::RuntimeHoldReason>;
        /// The runtime's hold reasons.
        type RuntimeHoldReason: From<HoldReason>;
        /// Who may change the parameters: they decide what every job costs and risks.
        type AdminOrigin: EnsureOrigin<Self::RuntimeOrigin>;
        /// Where models, templates and work units come from.
        type Models: ModelDirectory;
        /// Where asks and capacity come from.
        type Providers: ProviderDirectory;
        /// Where backings are reserved.
        type Bonds: BondManager;
        /// Who judges attempts.
        type Verifier: Verifier;
        /// Whether answers are impossible now: the service tick stands still meanwhile, so that no deadline passes.
        type Paused: Get<bool>;
        /// Most open jobs; bounds the agenda and every walk over jobs.
        #[pallet::constant]
        type MaxOpenJobs: Get<u32>;
        /// Most open jobs of one client, so that none can fill the chain.
        #[pallet::constant]
        type MaxJobsPerClient: Get<u32>;
        /// Receipts kept in state.
        #[pallet::constant]
        type MaxReceipts: Get<u32>;
        /// Most ticks that a client may add to deadlines: providers' bond and slots stay taken that long.
        #[pallet::constant]
        type MaxExtraTicks: Get<Tick>;
        /// Weights.
        type WeightInfo: WeightInfo;
        /// Prepares a model and its holders.
        #[cfg(feature = "runtime-benchmarks")]
        type BenchmarkHelper: crate::benchmarking::BenchmarkHelper;
    }

    /// The present service tick.
    #[pallet::storage]
    pub type Now<T> = StorageValue<_, Tick, ValueQuery>;

    /// The first tick whose agenda may still hold entries.
    #[pallet::storage]
    pub type AgendaCursor<T> = StorageValue<_, Tick, ValueQuery>;

    /// Open jobs by the tick at which their phase ends: one entry each.
    #[pallet::storage]
    pub type Agenda<T> = StorageDoubleMap<_, Twox64Concat, Tick, Identity, JobHash, (), OptionQuery>;

    /// Open jobs.
    #[pallet::storage]
    pub type Jobs<T> = StorageMap<_, Identity, JobHash, Job, OptionQuery>;

    /// What open jobs ask for.
    #[pallet::storage]
    pub type Specs<T> = StorageMap<_, Identity, JobHash, JobSpec, OptionQuery>;

    /// How many jobs are open.
    #[pallet::storage]
    pub type OpenJobs<T> = StorageValue<_, u32, ValueQuery>;

    /// How many jobs each client has open.
    #[pallet::storage]
    pub type OpenJobsOf<T> = StorageMap<_, Blake2_128Concat, AccountId, u32, ValueQuery>;

    /// How many jobs each client ever submitted: the nonce of the next one's hash. Kept for good, even when the account is
    /// reaped, because a hash that comes back would make old signatures fit a new job; the fixed fee pays for the entry.
    #[pallet::storage]
    pub type NonceOf<T> = StorageMap<_, Blake2_128Concat, AccountId, u32, ValueQuery>;

    /// The version of the parameters that new jobs get.
    #[pallet::storage]
    pub type CurrentParams<T> = StorageValue<_, u32, ValueQuery>;

    /// The current parameters, and older versions while open jobs are bound to them.
    #[pallet::storage]
    pub type ParamsOf<T> = StorageMap<_, Twox64Concat, u32, VersionedParams, OptionQuery>;

    /// The last receipts.
    #[pallet::storage]
    pub type Receipts<T> = StorageMap<_, Identity, JobHash, Receipt, OptionQuery>;

    /// Ring of the hashes in `Receipts`, by order of settlement modulo `MaxReceipts`.
    #[pallet::storage]
    pub type ReceiptRing<T> = StorageMap<_, Twox64Concat, u32, JobHash, OptionQuery>;

    /// Receipts ever written.
    #[pallet::storage]
    pub type ReceiptsWritten<T> = StorageValue<_, u64, ValueQuery>;

    /// Payments that could not be made: (beneficiary, payer) -> amount, held on the payer's account.
    #[pallet::storage]
    pub type Unclaimed<T> =
        StorageDoubleMap<_, Blake2_128Concat, AccountId, Blake2_128Concat, AccountId, Balance, OptionQuery>;

    /// The parameters that the chain starts with.
    #[pallet::genesis_config]
    #[derive(frame::derive::DebugNoBound)]
    pub struct GenesisConfig<T: Config> {
        /// Version 0.
        pub params: Params,
        /// None.
        #[serde(skip)]
        pub _config: PhantomData<T>,
    }

    impl<T: Config> Default for GenesisConfig<T> {
        fn default() -> Self {
            Self { params: Params::public(), _config: PhantomData }
        }
    }

    #[pallet::genesis_build]
    impl<T: Config> BuildGenesisConfig for GenesisConfig<T> {
        fn build(&self) {
            #[allow(clippy::panic)]
            if let Err(why) = self.params.validate() {
                // Building a genesis is the one place where refusing means stopping: the text says what to change.
                panic!("jobs.params: {why}");
            }
            ParamsOf::<T>::insert(0, VersionedParams { params: self.params.clone(), users: 0 });
        }
    }

    #[pallet::event]
    #[pallet::generate_deposit(pub(super) fn deposit_event)]
    pub enum Event<T: Config> {
        /// A job was submitted, and its escrow is held.
        #[codec(index = 0)]
        Submitted {
            /// Its hash.
            job: JobHash,
            /// Who pays.
            client: AccountId,
            /// Which model.
            model: ModelId,
            /// Controllers per stage that must agree; 1: nobody checks.
            k: u8,
            /// What is held.
            escrow: Balance,
            /// The version of the parameters it is bound to.
            params_version: u32,
        },
        /// Executors were assigned.
        #[codec(index = 1)]
        Assigned {
            /// The job.
            job: JobHash,
            /// Attempt, from 0.
            attempt: u32,
            /// Executors and their terms, by stage.
            stages: PerStage<StageAssignment>,
            /// All must have committed by this tick.
            due: Tick,
        },
        /// A job entered another phase.
        #[codec(index = 2)]
        PhaseChanged {
            /// The job.
            job: JobHash,
            /// Its attempt.
            attempt: u32,
            /// Where it stands now.
            phase: JobPhase,
            /// When that phase ends.
            due: Tick,
        },
        /// An attempt failed; the next one starts at the next tick.
        #[codec(index = 3)]
        AttemptFailed {
            /// The job.
            job: JobHash,
            /// The attempt that failed.
            attempt: u32,
            /// Controllers that will not be assigned to this job again.
            excluded: Vec<AccountId>,
        },
        /// A result stands: everybody is paid, and the job is finished.
        #[codec(index = 4)]
        Settled {
            /// All that remains of it.
            receipt: Receipt,
        },
        /// A job ended without a result.
        #[codec(index = 5)]
        Refunded {
            /// The job.
            job: JobHash,
            /// Who paid.
            client: AccountId,
            /// Why.
            reason: RefundReason,
            /// Returned to the client.
            refunded: Balance,
            /// Burned: what was left of the fixed fee.
            burned: Balance,
        },
        /// A checker was paid for a good answer in an attempt that failed.
        #[codec(index = 6)]
        CheckPaid {
            /// The job.
            job: JobHash,
            /// The stage.
            stage: u8,
            /// The checker's controller.
            checker: AccountId,
            /// What it was paid.
            paid: Balance,
            /// What burned on the way.
            burned: Balance,
        },
        /// A payment could not be made; it waits to be claimed.
        #[codec(index = 7)]
        PaymentDeferred {
            /// On whose account it is held.
            payer: AccountId,
            /// Whom it belongs to.
            beneficiary: AccountId,
            /// How much.
            amount: Balance,
        },
        /// A deferred payment was made.
        #[codec(index = 8)]
        Claimed {
            /// On whose account it was held.
            payer: AccountId,
            /// Who got it.
            beneficiary: AccountId,
            /// How much.
            amount: Balance,
        },
        /// New jobs get these parameters from now on.
        #[codec(index = 9)]
        ParamsSet {
            /// Their version.
            version: u32,
        },
        /// An executor was paid as if for a check: it committed, but no checkers could be drawn, and the attempt failed.
        #[codec(index = 10)]
        UncheckedPaid {
            /// The job.
            job: JobHash,
            /// The stage.
            stage: u8,
            /// The executor's controller.
            executor: AccountId,
            /// What it was paid.
            paid: Balance,
            /// What burned on the way.
            burned: Balance,
        },
    }

    #[pallet::error]
    pub enum Error<T> {
        /// No model with this id is registered.
        ModelUnknown,
        /// The model takes no new jobs.
        ModelInactive,
        /// The model needs semantics that this chain does not know.
        SpecUnsupported,
        /// The model has no template with this number.
        TemplateUnknown,
        /// Prompts kept elsewhere are not supported yet: give the token ids inline.
        BlobUnsupported,
        /// The input needs at least one token id.
        PromptEmpty,
        /// A token id of the input is not in the model's vocabulary.
        TokenOutOfVocabulary,
        /// The model's kind does another task: decoders generate, encoders embed.
        TaskUnfit,
        /// At least one new token must be asked for.
        NewTokensZero,
        /// More new tokens than a job may generate.
        NewTokensTooMany,
        /// Input and new tokens together exceed the model's context.
        ContextExceeded,
        /// A quorum needs k of at least 2; ask for no verification instead.
        QuorumTooSmall,
        /// No stage can have that many checkers.
        QuorumTooLarge,
        /// Insurance needs verification: nothing is proven about an unverified result.
        InsuredUnverified,
        /// More insurance than the escrow: it covers what the job is worth. Otherwise anybody could bind a provider's whole bond by a
        /// job that costs nothing.
        InsuredTooHigh,
        /// top_p must be 1 to 65,536 (off).
        TopPOutOfRange,
        /// More extra ticks than a client may add.
        ExtraTicksTooMany,
        /// The job's cost does not fit an amount.
        CostOverflow,
        /// The client's free balance does not cover the escrow.
        BalanceTooLow,
        /// As many jobs are open as the chain takes.
        TooManyJobs,
        /// The client has as many jobs open as one may.
        TooManyClientJobs,
        /// Nobody holds one of the spans.
        NoHolder,
        /// Nobody who holds one of the spans is active with a usable ask.
        NotUsable,
        /// Every usable ask of one of the spans is above the client's maximum or the reserve price.
        PriceTooLow,
        /// Every affordable holder of one of the spans has too little free bond for this job.
        ExposureTooLow,
        /// Every affordable holder of one of the spans is at capacity.
        NoCapacity,
        /// Too few controllers hold one of the spans for this k.
        NotVerifiable,
        /// This very job is open already.
        JobExists,
        /// No such job is open.
        JobUnknown,
        /// Only the job's client may do this.
        NotClient,
        /// Somebody is assigned to the job: it can be cancelled only between two attempts.
        Assigned,
        /// The job is between two attempts.
        NotAssigned,
        /// Nothing is held for this beneficiary on this payer's account.
        NothingToClaim,
        /// The parameters contradict each other; the chain's log names the field.
        ParamsInvalid,
        /// The parameters that the job is bound to are missing: an invariant is broken.
        ParamsMissing,
    }

    #[pallet::hooks]
    impl<T: Config> Hooks<BlockNumberFor<T>> for Pallet<T> {
        fn on_poll(_n: BlockNumberFor<T>, meter: &mut frame::deps::frame_support::weights::WeightMeter) {
            Self::tick(meter);
        }

        fn integrity_test() {
            Self::check_integrity();
        }

        #[cfg(feature = "try-runtime")]
        fn try_state(_n: BlockNumberFor<T>) -> Result<(), frame::try_runtime::TryRuntimeError> {
            Self::do_try_state()
        }
    }

    #[pallet::call]
    impl<T: Config> Pallet<T> {
        /// Ask for an inference.
        ///
        /// ## Origin
        /// Signed, by the client.
        ///
        /// ## Details
        /// Finds an executor for every stage by a second-score auction over the standing asks, holds the escrow on the
        /// client's account, reserves each executor's backing and takes its slot. Fails, changing nothing, if any of that
        /// cannot be done; `quote` and `why_no_match` tell in advance.
        ///
        /// ## Parameters
        /// - `spec`: model, input, task, verification and the most that the client pays.
        ///
        /// ## Errors
        /// One for each thing that can be wrong with a specification, and [`Error::NoHolder`] to [`Error::NotVerifiable`] when
        /// nobody can take the job.
        ///
        /// ## Events
        /// [`Event::Submitted`], [`Event::Assigned`].
        #[pallet::call_index(0)]
        #[pallet::weight(Pallet::<T>::submit_weight(MAX_STAGES, MAX_HOLDERS))]
        pub fn submit(origin: OriginFor<T>, spec: JobSpec) -> DispatchResultWithPostInfo {
            let client = ensure_signed(origin)?;
            Self::do_submit(client, spec)
        }

        /// Take a job back.
        ///
        /// ## Origin
        /// Signed, by the job's client.
        ///
        /// ## Details
        /// Possible only while nobody is assigned, which is between two attempts. The fixed fee is not returned, because
        /// somebody was assigned before.
        ///
        /// ## Errors
        /// [`Error::JobUnknown`], [`Error::NotClient`], [`Error::Assigned`].
        ///
        /// ## Events
        /// [`Event::Refunded`].
        #[pallet::call_index(1)]
        #[pallet::weight(T::WeightInfo::cancel())]
        pub fn cancel(origin: OriginFor<T>, job: JobHash) -> DispatchResult {
            let client = ensure_signed(origin)?;
            Self::do_cancel(client, job)
        }

        /// Make a payment that could not be made when it was due.
        ///
        /// ## Origin
        /// Signed, by anyone: the beneficiary's account may not exist yet.
        ///
        /// ## Parameters
        /// - `beneficiary`: whom the money belongs to, and who gets it.
        /// - `payer`: on whose account it is held.
        ///
        /// ## Errors
        /// [`Error::NothingToClaim`]; the currency's own error if the beneficiary still cannot take it, for instance because
        /// its account does not exist and the amount is below the existential deposit.
        ///
        /// ## Events
        /// [`Event::Claimed`].
        #[pallet::call_index(2)]
        #[pallet::weight(T::WeightInfo::claim())]
        pub fn claim(origin: OriginFor<T>, beneficiary: AccountId, payer: AccountId) -> DispatchResult {
            ensure_signed(origin)?;
            Self::do_claim(beneficiary, payer)
        }

        /// Set the parameters of jobs to come.
        ///
        /// ## Origin
        /// [`Config::AdminOrigin`].
        ///
        /// ## Details
        /// Open jobs keep the version that they were submitted under; it is dropped when the last of them ends.
        ///
        /// ## Errors
        /// [`Error::ParamsInvalid`].
        ///
        /// ## Events
        /// [`Event::ParamsSet`].
        #[pallet::call_index(3)]
        #[pallet::weight(T::WeightInfo::set_params())]
        pub fn set_params(origin: OriginFor<T>, params: Params) -> DispatchResult {
            T::AdminOrigin::ensure_origin(origin)?;
            Self::do_set_params(params)
        }
    }

    #[pallet::view_functions]
    impl<T: Config> Pallet<T> {
        /// What this job would cost and who would run it, at this block. Fails with what is wrong with the specification.
        pub fn quote(spec: JobSpec) -> Result<Quote, DispatchError> {
            Self::do_quote(&spec)
        }

        /// The stages for which nobody can be found now, and why.
        pub fn why_no_match(spec: JobSpec) -> Result<Vec<(u8, NoMatch)>, DispatchError> {
            Self::do_why_no_match(&spec)
        }

        /// An open job.
        pub fn job_status(job: JobHash) -> Option<JobStatus> {
            Jobs::<T>::get(job).map(|record| JobStatus { job, record, now: Now::<T>::get() })
        }

        /// The receipt of a job that settled recently.
        pub fn receipt(job: JobHash) -> Option<Receipt> {
            Receipts::<T>::get(job)
        }

        /// The parameters that a new job would be bound to.
        pub fn params() -> Option<Params> {
            Self::current_params().map(|(_, p)| p).ok()
        }
    }
}

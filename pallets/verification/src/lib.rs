//! # Verification: who computed what, and whether it is true
//!
//! Takes the answers of workers, judges every attempt at a job and pins a wrong result to one stage.
//!
//! ## API
//!
//! * [`Call::answer`]: a batch of answers by a worker account; each item is judged by itself.
//! * `duties` and `job_view`: what a worker owes, and an open job whole, for the runtime API.
//!
//! Other pallets meet this one as [`Verifier`](assay_primitives::traits::Verifier) and
//! [`Beacon`](assay_primitives::traits::Beacon).
//!
//! ## The way of an attempt (protocol section 5)
//!
//! | phase | what is awaited | then |
//! |---|---|---|
//! | Running | a commit of every stage, with the upstream's signed handoff | roots join around the ring: Drawing |
//! | Drawing | blocks of authors that execute nothing of the job | their VRFs draw `k - 1` checkers per stage: Checking |
//! | Checking | an answer of every seat; seats of no-shows are drawn anew | all agree: Revealing; any dissent: Escalated |
//! | Revealing | the stage roots, from anyone | every digest is recomputed: done |
//! | Escalated | votes of the span's holders, then their roots | the first stage with another root is guilty, or all go on |
//!
//! ## Key concepts
//!
//! **Hidden, then opened.** Executors and checkers send digests that bind a root to their own name; roots are opened when
//! nobody can copy them any more.
//!
//! **Guilt needs a first stage.** All checks of all stages are in before the arbiter is asked, so that a stage is only
//! condemned when every stage before it stands.
//!
//! **Two proofs need no vote:** a signed handoff that differs from the signer's own commitment, and an agreement that does
//! not open to the root it agreed with.
//!
//! **A lie hides no fault and a fault hides no lie:** an offender is reported once per role and stage, with the worst of it.
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
extern crate self as pallet_assay_verification;

mod answers;
pub mod arbiter;
mod beacon_impl;
#[cfg(all(test, feature = "runtime-benchmarks"))]
#[allow(dead_code, unused_imports)] // benchmarks use a part of it
#[path = "../../testing/src/lib.rs"]
mod bench_world;
#[cfg(feature = "runtime-benchmarks")]
pub mod benchmarking;
mod checking;
mod disputes;
mod draw;
mod running;
mod try_state;
pub mod types;
mod verifier_impl;
mod views;
pub mod weights;

pub use arbiter::HolderArbiter;
pub use pallet::*;
pub use types::*;
pub use weights::WeightInfo;

// The macro itself expects what it has checked.
#[allow(clippy::expect_used)]
#[frame::pallet]
pub mod pallet {
    use super::*;
    use assay_primitives::{
        traits::{Arbiter, AuthorVrf, Beacon, BondManager, Market, ModelDirectory, OffenceSink, ProviderDirectory},
        *,
    };
    use frame::prelude::*;

    #[pallet::pallet]
    pub struct Pallet<T>(_);

    #[pallet::config]
    pub trait Config:
        frame_system::Config<AccountId = AccountId, Hash = H256, RuntimeEvent: From<Event<Self>>>
    {
        /// Where jobs live: phases, deadlines, outcomes.
        type Market: Market;
        /// Where work units come from: checkers are paid and backed by them.
        type Models: ModelDirectory;
        /// Who holds which span, and with which key it answers.
        type Providers: ProviderDirectory;
        /// Where the backings of checkers are reserved.
        type Bonds: BondManager;
        /// Where faults are reported.
        type Offences: OffenceSink;
        /// Who decides a dissent.
        type Arbiter: Arbiter;
        /// Where unpredictable numbers come from: this pallet itself, or private sortition later.
        type Beacon: Beacon;
        /// Author and VRF output of the block being executed.
        type AuthorVrf: AuthorVrf;
        /// Authors remembered, in blocks. At least the longest draw window.
        #[pallet::constant]
        type BeaconDepth: Get<u32>;
        /// Weights.
        type WeightInfo: WeightInfo;
        /// Submits jobs.
        #[cfg(feature = "runtime-benchmarks")]
        type BenchmarkHelper: crate::benchmarking::BenchmarkHelper;
    }

    /// The attempts that open jobs are in.
    #[pallet::storage]
    pub type Attempts<T> = StorageMap<_, Identity, JobHash, Attempt, OptionQuery>;

    /// Their stages.
    #[pallet::storage]
    pub type Stages<T> = StorageDoubleMap<_, Identity, JobHash, Twox64Concat, u8, Stage, OptionQuery>;

    /// Who may vote over each stage: everyone who held its span when the attempt was assigned.
    #[pallet::storage]
    pub type Electorates<T> = StorageDoubleMap<_, Identity, JobHash, Twox64Concat, u8, Electors, ValueQuery>;

    /// The answers of attempts, ids or a vector, whose last stage has committed.
    #[pallet::storage]
    pub type Outputs<T> = StorageMap<_, Identity, JobHash, Output, OptionQuery>;

    /// Jobs that wait for their draw, tried in every block.
    #[pallet::storage]
    pub type Drawing<T> = StorageMap<_, Identity, JobHash, (), OptionQuery>;

    /// Disputes before the holders of a span.
    #[pallet::storage]
    pub type Disputes<T> = StorageDoubleMap<_, Identity, JobHash, Twox64Concat, u8, Dispute, OptionQuery>;

    /// Ring of recent block authors, by block number modulo `BeaconDepth`.
    #[pallet::storage]
    pub type Authors<T> = StorageMap<_, Twox64Concat, u32, Author, OptionQuery>;

    #[pallet::event]
    #[pallet::generate_deposit(pub(super) fn deposit_event)]
    pub enum Event<T: Config> {
        /// An answer was judged.
        #[codec(index = 0)]
        Answered {
            /// What it is about.
            at: StageRef,
            /// Who signed it.
            worker: AccountId,
            /// Its kind.
            kind: AnswerKind,
            /// Whether it counts, or why it does not.
            result: DispatchResult,
        },
        /// Checkers were drawn.
        #[codec(index = 1)]
        Drawn {
            /// For which stage.
            at: StageRef,
            /// 0: the first seats; then extra seats.
            tranche: u8,
            /// Their controllers.
            checkers: alloc::vec::Vec<AccountId>,
            /// Distinct authors who execute nothing of the job and whose VRF drew them; 0 if every validator executes a stage.
            authors: u8,
        },
        /// A stage root was opened.
        #[codec(index = 2)]
        Revealed {
            /// Which stage.
            at: StageRef,
            /// The root.
            root: H256,
        },
        /// A stage is before the arbiter.
        #[codec(index = 3)]
        Escalated {
            /// Which stage.
            at: StageRef,
            /// When the arbiter's next step is due.
            due: Tick,
        },
        /// The arbiter ruled.
        #[codec(index = 4)]
        Ruled {
            /// Which stage.
            at: StageRef,
            /// The canonical root.
            root: H256,
            /// Whether the executor committed to it.
            upheld: bool,
        },
        /// A fault was pinned to a controller.
        #[codec(index = 5)]
        Fault {
            /// Where.
            at: StageRef,
            /// Who.
            offender: AccountId,
            /// As what.
            role: Role,
            /// What.
            kind: OffenceKind,
            /// What will be slashed for it, now or after deferral.
            slash: Balance,
        },
    }

    #[pallet::error]
    pub enum Error<T> {
        /// A batch needs at least one answer.
        NoAnswers,
        /// No such job is open.
        JobUnknown,
        /// The job is in another attempt.
        WrongAttempt,
        /// The job has no such stage.
        NoSuchStage,
        /// The job is in a phase that takes no such answer.
        WrongPhase,
        /// The stage is assigned to another worker account.
        NotExecutor,
        /// The account has no seat at this stage.
        NotChecker,
        /// The account may not vote over this stage.
        NotElector,
        /// This was answered already.
        AlreadyAnswered,
        /// The due tick has passed.
        TooLate,
        /// A stage that another one feeds needs that one's signed handoff.
        HandoffMissing,
        /// No other stage feeds this one: it is alone, or the first of an embedding.
        HandoffUnexpected,
        /// The upstream's worker key did not sign this root for so many rows.
        HandoffInvalid,
        /// The handoff does not cover as many rows as the job has: wait for the final one.
        RowsNotDue,
        /// The last stage must give the answer.
        OutputMissing,
        /// Only the last stage gives the answer, and that of the job's task: generated ids, or a vector.
        OutputUnexpected,
        /// The generated ids are none, or more than asked for; or the vector has not as many entries as the model's.
        OutputLength,
        /// A generated id is not in the model's vocabulary.
        TokenOutOfVocabulary,
        /// Generation goes on after an id that ends it.
        OutputPastEnd,
        /// Generation stopped early without an id that ends it.
        OutputTooShort,
        /// The committed root is not that of prompt and generated ids, or of the vector.
        OutputRootMismatch,
        /// What an embedding's first stage received must be the job's input.
        InputRootMismatch,
        /// The root does not open a commitment of this stage.
        DoesNotOpen,
        /// Roots are taken only after voting has ended.
        VotingOpen,
        /// There is no dispute over this stage.
        NoDispute,
        /// The model left the registry.
        ModelUnknown,
        /// Too few checkers can be seated.
        TooFewCheckers,
        /// No block author of the right kind was seen yet.
        TooFewAuthors,
        /// A list is full: an invariant is broken.
        Full,
        /// The first stage's input is on the chain: a check of it answers `Agree` or `Dissent`.
        InputIsPublic,
    }

    #[pallet::hooks]
    impl<T: Config> Hooks<BlockNumberFor<T>> for Pallet<T> {
        fn on_initialize(n: BlockNumberFor<T>) -> Weight {
            Self::note_author(n.saturated_into());
            T::WeightInfo::note_author()
        }

        fn on_poll(_n: BlockNumberFor<T>, meter: &mut frame::deps::frame_support::weights::WeightMeter) {
            Self::draw_waiting(meter);
        }

        fn integrity_test() {
            assert!(T::BeaconDepth::get() >= 16, "BeaconDepth must cover the longest draw window");
        }

        #[cfg(feature = "try-runtime")]
        fn try_state(_n: BlockNumberFor<T>) -> Result<(), frame::try_runtime::TryRuntimeError> {
            Self::do_try_state()
        }
    }

    #[pallet::call]
    impl<T: Config> Pallet<T> {
        /// Answer for assignments, seats and votes.
        ///
        /// ## Origin
        /// Signed, by a worker account. A stage root may be opened by anyone.
        ///
        /// ## Details
        /// Every item is judged by itself and changes nothing if it does not count. The fee is returned if, and only if, all
        /// items counted. Operational, because a full block must not cost anyone a deadline.
        ///
        /// ## Parameters
        /// - `answers`: 1 to 32 of them.
        ///
        /// ## Errors
        /// [`Error::NoAnswers`]. What is wrong with an item is in its event.
        ///
        /// ## Events
        /// [`Event::Answered`] per item, and what follows from it.
        #[pallet::call_index(0)]
        #[pallet::weight((Pallet::<T>::answers_weight(answers), DispatchClass::Operational))]
        pub fn answer(
            origin: OriginFor<T>,
            answers: BoundedVec<Answer, ConstU32<MAX_ANSWERS>>,
        ) -> DispatchResultWithPostInfo {
            let worker = ensure_signed(origin)?;
            Self::do_answer(worker, answers)
        }
    }

    #[pallet::view_functions]
    impl<T: Config> Pallet<T> {
        /// Everything that a worker account owes at this block, oldest job first.
        pub fn duties_of(worker: AccountId) -> alloc::vec::Vec<api::Duty> {
            Self::duties(&worker)
        }

        /// An open job, whole.
        pub fn job(job: JobHash) -> Option<api::JobView> {
            Self::job_view(job)
        }
    }
}

//! # Bond ledger and election of validators
//!
//! - [`Config`], [`Call`], [`Event`], [`Error`]
//! - [`assay_primitives::traits::BondManager`] is how the market and the slashing pallet use the provider part.
//! - It is the session manager of `pallet-session`, the offence handler of `pallet-offences` and hears from
//!   `pallet-authorship` who authored.
//!
//! ## Overview
//!
//! An account bonds tokens in two parts that never answer for each other. The **validator part** is what consensus offences may
//! slash, and by it validators are elected. The **provider part** is what inference faults may slash: each assignment reserves
//! a *backing* out of it, and what neither a backing nor a pending slash has claim to is *free exposure*, which limits how
//! much more work an account is given. A bug in an inference kernel can thus never stop block production.
//!
//! Bonds are `fungible` holds, one reason per part. The ledger says what they stand for.
//!
//! ## Key concepts
//!
//! - **Unbonding** takes [`Config::UnbondingSessions`] sessions, so that what an account did can still be reported and
//!   punished: slashes reach unbonding chunks, and nothing leaves below what backings and pending slashes have claim to.
//! - **Election**: every [`Config::SessionsPerElection`] sessions, or in each one from when a validator was chilled for
//!   an offence or for being idle until all who no longer stand have left, the accounts that called `validate`, have
//!   session keys and at least the minimum of *both* parts are ordered by validator bond (the validators are elected
//!   from the bonded providers). At most a tenth of the set leaves at a time, offenders that no longer stand first;
//!   fewer than the minimum count, or nobody, changes nothing.
//! - **Idle validators**, who author nothing for [`Config::IdleSessions`] sessions in which sixteen blocks would have been their
//!   share, are chilled: they have to call `validate` again. An honest validator meets that rule by chance about
//!   once in ten million times.
//! - **Consensus offences** are reported again and again with the same offenders, each time with a higher fraction. What counts is
//!   the maximum per session and offender, applied to the validator part as it was at the first report. (The
//!   handler is not told the kind of offence, so that two kinds in one session cost the higher of the two.) The slash
//!   is pending for [`Config::SlashDeferSessions`] sessions and can be cancelled in that time.
//! - **Re-entry**: whoever is accused of a consensus offence, or was slashed for an inference fault other than lateness, no
//!   longer stands, and cannot stand again for [`Config::BarSessions`] sessions. An inference fault neither disables a validator
//!   nor forces an election. If the accusation is cancelled the bar falls with it.
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

#[cfg(feature = "runtime-benchmarks")]
mod benchmarking;
mod bonds;
pub mod election;
pub mod ledger;
#[cfg(test)]
mod mock;
mod offences;
mod session;
#[cfg(test)]
mod tests;
#[cfg(any(feature = "try-runtime", feature = "std"))]
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
    use assay_primitives::{AccountId, BackingId, Balance};
    use frame::{
        deps::{frame_support::weights::WeightMeter, sp_runtime::Perbill},
        prelude::*,
        token::fungible,
        traits::{ValidatorRegistration, ValidatorSet},
    };
    use polkadot_sdk::{
        pallet_session::{self, SessionInterface},
        sp_staking::SessionIndex,
    };

    const STORAGE_VERSION: StorageVersion = StorageVersion::new(0);

    /// The bond ledger.
    #[pallet::pallet]
    #[pallet::storage_version(STORAGE_VERSION)]
    pub struct Pallet<T>(_);

    /// What the ledger needs of the runtime.
    #[pallet::config]
    pub trait Config: frame_system::Config<AccountId = AccountId, Hash = H256> {
        /// The runtime's hold reason, for the bonds.
        type RuntimeHoldReason: From<HoldReason>;
        /// The native token: bonds are holds of it.
        type Currency: fungible::Mutate<AccountId, Balance = Balance>
            + fungible::MutateHold<AccountId, Balance = Balance, Reason = Self::RuntimeHoldReason>;
        /// Sessions: who validates, who has keys, whom to disable, which history to forget. `pallet-session` with its
        /// historical part.
        type Session: ValidatorSet<AccountId, ValidatorId = AccountId>
            + ValidatorRegistration<AccountId>
            + SessionInterface<ValidatorId = AccountId, AccountId = AccountId>;
        /// The session manager that `pallet-session` itself asks: this pallet, inside of whatever notes the history of sessions.
        type History: pallet_session::SessionManager<AccountId>;
        /// May change how many validators there are.
        type AdminOrigin: EnsureOrigin<Self::RuntimeOrigin>;
        /// May cancel a pending consensus slash.
        type SlashCancelOrigin: EnsureOrigin<Self::RuntimeOrigin>;
        /// The least validator part that stands for election.
        #[pallet::constant]
        type MinValidatorBond: Get<Balance>;
        /// The least provider part; at least four times the backing of the smallest job with three controllers.
        #[pallet::constant]
        type MinProviderBond: Get<Balance>;
        /// For how many sessions an unbonding chunk stays within reach of slashes; at least as long as an offence can be
        /// reported.
        #[pallet::constant]
        type UnbondingSessions: Get<SessionIndex>;
        /// How many sessions an elected set serves.
        #[pallet::constant]
        type SessionsPerElection: Get<SessionIndex>;
        /// For how many sessions a consensus slash can be cancelled. Shorter than `UnbondingSessions`.
        #[pallet::constant]
        type SlashDeferSessions: Get<SessionIndex>;
        /// For how many sessions an offender may not stand for election. Longer than `SlashDeferSessions`: it must not be
        /// elected by the bond that it is about to lose.
        #[pallet::constant]
        type BarSessions: Get<SessionIndex>;
        /// After how many sessions without a block a validator is chilled.
        #[pallet::constant]
        type IdleSessions: Get<SessionIndex>;
        /// Most validators; what the consensus pallets can hold.
        #[pallet::constant]
        type MaxValidators: Get<u32>;
        /// Most accounts that may stand for election; bounds the election's work.
        #[pallet::constant]
        type MaxCandidates: Get<u32>;
        /// Weights of the calls.
        type WeightInfo: WeightInfo;
    }

    /// Why tokens of an account are held.
    #[pallet::composite_enum]
    pub enum HoldReason {
        /// Bond that consensus offences may slash.
        #[codec(index = 0)]
        ValidatorBond,
        /// Bond that inference faults may slash.
        #[codec(index = 1)]
        ProviderBond,
    }

    /// What each account has bonded. An entry costs its owner at least a minimum bond.
    #[pallet::storage]
    pub type Ledgers<T: Config> = StorageMap<_, Blake2_128Concat, AccountId, Ledger, ValueQuery>;

    /// Open backings: what of an account's provider part answers for which work. Bounded by the bond they are out of and by
    /// the capacity that the account offers.
    #[pallet::storage]
    pub type Backings<T: Config> =
        StorageDoubleMap<_, Blake2_128Concat, AccountId, Blake2_128Concat, BackingId, Balance>;

    /// Accounts that stand for election, in ascending order.
    #[pallet::storage]
    pub type Candidates<T: Config> = StorageValue<_, BoundedVec<AccountId, T::MaxCandidates>, ValueQuery>;

    /// How many validators there should be.
    #[pallet::storage]
    pub type Counts<T: Config> = StorageValue<_, ValidatorCounts, ValueQuery, DefaultCounts<T>>;

    /// At least one validator, and as many as possible.
    #[pallet::type_value]
    pub fn DefaultCounts<T: Config>() -> ValidatorCounts {
        ValidatorCounts { minimum: 1, target: T::MaxValidators::get() }
    }

    /// The set of the last election; it validates from the session after the one in which it was elected.
    #[pallet::storage]
    pub type Elected<T: Config> = StorageValue<_, BoundedVec<AccountId, T::MaxValidators>, ValueQuery>;

    /// The session for which was elected last.
    #[pallet::storage]
    pub type LastElection<T: Config> = StorageValue<_, SessionIndex>;

    /// A validator was chilled for an offence or for being idle: elect for the next session already, and go on until
    /// everybody in the set stands for election.
    #[pallet::storage]
    pub type ElectionForced<T: Config> = StorageValue<_, bool, ValueQuery>;

    /// Since when each present validator has authored nothing. One entry per validator.
    #[pallet::storage]
    pub type Services<T: Config> = StorageMap<_, Blake2_128Concat, AccountId, Service>;

    /// Blocks that anybody has authored.
    #[pallet::storage]
    pub type BlocksAuthored<T: Config> = StorageValue<_, u64, ValueQuery>;

    /// Consensus faults by session and offender: dropped when the session can no longer be reported. At most one per
    /// validator and session.
    #[pallet::storage]
    pub type Faults<T: Config> = StorageDoubleMap<_, Twox64Concat, SessionIndex, Blake2_128Concat, AccountId, Fault>;

    /// Consensus slashes that wait, by their place in the queue. At most [`MAX_PENDING`].
    #[pallet::storage]
    pub type PendingSlashes<T: Config> = StorageMap<_, Twox64Concat, u32, PendingSlash>;

    /// First and one past the last place of the queue of consensus slashes. No place is used twice: approvals that a
    /// multisig collects for cancelling one slash must never cancel another.
    #[pallet::storage]
    pub type PendingRange<T: Config> = StorageValue<_, (u32, u32), ValueQuery>;

    /// Bonds that exist from the start.
    #[pallet::genesis_config]
    #[derive(DefaultNoBound)]
    pub struct GenesisConfig<T: Config> {
        /// The bonds.
        pub bonds: Vec<GenesisBond>,
        /// How many validators there should be; if not given, at least one and as many as possible.
        pub counts: Option<ValidatorCounts>,
        /// Needed by the macro.
        #[serde(skip)]
        pub _config: core::marker::PhantomData<T>,
    }

    #[pallet::genesis_build]
    impl<T: Config> BuildGenesisConfig for GenesisConfig<T> {
        fn build(&self) {
            Pallet::<T>::build_genesis(&self.bonds, self.counts);
            Pallet::<T>::note_first_sessions();
        }
    }

    /// What happened.
    #[pallet::event]
    #[pallet::generate_deposit(pub(super) fn deposit_event)]
    pub enum Event<T: Config> {
        /// An account bonded more.
        Bonded {
            /// Whose.
            account: AccountId,
            /// Which part.
            part: Part,
            /// How much more.
            amount: Balance,
        },
        /// Part of a bond is on its way out.
        Unbonded {
            /// Whose.
            account: AccountId,
            /// Which part.
            part: Part,
            /// How much.
            amount: Balance,
            /// The session from which on it can be withdrawn.
            release: SessionIndex,
        },
        /// An unbonded amount is free again.
        Withdrawn {
            /// Whose.
            account: AccountId,
            /// Which part.
            part: Part,
            /// How much.
            amount: Balance,
        },
        /// An account stands for election.
        Validating {
            /// Who.
            account: AccountId,
        },
        /// An account no longer stands for election.
        Chilled {
            /// Who.
            account: AccountId,
            /// Why.
            reason: ChillReason,
        },
        /// A set was elected.
        ValidatorsElected {
            /// The session from which on it validates.
            session: SessionIndex,
            /// How many.
            count: u32,
        },
        /// An election gave fewer than the minimum: the present set goes on.
        ElectionFailed {
            /// The session that was planned.
            session: SessionIndex,
        },
        /// The number of validators was changed.
        CountsSet {
            /// To this.
            counts: ValidatorCounts,
        },
        /// A consensus offence was reported; the slash is pending.
        ValidatorAccused {
            /// Who.
            account: AccountId,
            /// The session of the offence.
            session: SessionIndex,
            /// Highest fraction reported for that session.
            fraction: Perbill,
            /// Accused of this much more.
            amount: Balance,
            /// Place in the queue, for cancelling; none if it was executed at once because the queue is full or has no
            /// places left.
            index: Option<u32>,
        },
        /// A pending consensus slash was cancelled.
        SlashCancelled {
            /// Whose.
            account: AccountId,
            /// Which.
            index: u32,
            /// How much.
            amount: Balance,
        },
        /// Part of a bond was slashed.
        Slashed {
            /// Whose.
            account: AccountId,
            /// Which part.
            part: Part,
            /// How much it lost.
            amount: Balance,
            /// How much of that was burned; the rest was paid out.
            burned: Balance,
        },
        /// A payment out of a slash was impossible, and its amount burned.
        PayoutBurned {
            /// Who should have been paid.
            payee: AccountId,
            /// How much.
            amount: Balance,
        },
    }

    /// Why a call failed.
    #[pallet::error]
    pub enum Error<T> {
        /// The amount is zero.
        ZeroAmount,
        /// The validator part would be below `MinValidatorBond`: bond more.
        ValidatorBondTooSmall,
        /// The provider part would be below `MinProviderBond`: bond more.
        ProviderBondTooSmall,
        /// The account has not that much bonded in this part.
        InsufficientBond,
        /// What is left would be below the part's minimum: unbond all of it, or less.
        RemainderTooSmall,
        /// The account stands for election and would fall below a minimum: call `chill` first.
        StillValidating,
        /// Too many chunks unbond already: withdraw those that are due, or wait for one.
        TooManyChunks,
        /// Nothing of this part is due to be withdrawn.
        NothingUnlocked,
        /// What is due backs open work or pending slashes: withdraw when they have ended.
        StillClaimed,
        /// The account validates, or did so until a short while ago: its validator part stays until it can no longer be
        /// reported.
        StillServing,
        /// The account has no session keys: set them with `session.setKeys`.
        NoSessionKeys,
        /// The account stands for election already.
        AlreadyValidating,
        /// The account does not stand for election.
        NotValidating,
        /// As many accounts as possible stand for election, all with at least this validator bond.
        TooManyCandidates,
        /// The counts must satisfy `1 <= minimum <= target <= MaxValidators`.
        BadCounts,
        /// No pending slash has this index.
        UnknownSlash,
        /// This work has a backing already.
        DuplicateBacking,
        /// Less than this of the provider part is free.
        InsufficientExposure,
        /// The account committed an offence: it may stand again from the session `barred_until` of its ledger on.
        Barred,
    }

    #[pallet::hooks]
    impl<T: Config> Hooks<BlockNumberFor<T>> for Pallet<T> {
        fn on_poll(_: BlockNumberFor<T>, meter: &mut WeightMeter) {
            Self::execute_due(meter);
        }

        fn integrity_test() {
            assert!(
                T::SlashDeferSessions::get() < T::UnbondingSessions::get(),
                "SlashDeferSessions must be shorter than UnbondingSessions, or a bond leaves before its slash is executed"
            );
            assert!(
                T::BarSessions::get() > T::SlashDeferSessions::get(),
                "BarSessions must be longer than SlashDeferSessions, or an offender stands by the bond that it is about to lose"
            );
            assert!(T::SessionsPerElection::get() > 0, "SessionsPerElection must be positive");
            assert!(T::IdleSessions::get() > 0, "IdleSessions must be positive");
            assert!(T::MaxCandidates::get() >= T::MaxValidators::get(), "fewer candidates than validators");
        }

        #[cfg(feature = "try-runtime")]
        fn try_state(_: BlockNumberFor<T>) -> Result<(), frame::deps::sp_runtime::TryRuntimeError> {
            Self::do_try_state()
        }
    }

    #[pallet::call]
    impl<T: Config> Pallet<T> {
        /// Adds to one part of the caller's bond.
        ///
        /// ## Origin
        /// Signed.
        ///
        /// ## Errors
        /// [`Error::ZeroAmount`]; [`Error::ValidatorBondTooSmall`] or [`Error::ProviderBondTooSmall`] if the part would be
        /// below its minimum; the token's own if the amount cannot be held.
        ///
        /// ## Events
        /// [`Event::Bonded`].
        #[pallet::call_index(0)]
        #[pallet::weight(T::WeightInfo::bond())]
        pub fn bond(origin: OriginFor<T>, part: Part, #[pallet::compact] amount: Balance) -> DispatchResult {
            let who = ensure_signed(origin)?;
            Self::do_bond(&who, part, amount)
        }

        /// Sends part of the caller's bond on its way out.
        ///
        /// ## Origin
        /// Signed.
        ///
        /// ## Details
        /// The amount backs no new work from now on, and can be withdrawn after `UnbondingSessions` sessions. What is
        /// left must be at least the part's minimum, or nothing.
        ///
        /// ## Errors
        /// [`Error::ZeroAmount`], [`Error::InsufficientBond`], [`Error::RemainderTooSmall`], [`Error::StillValidating`],
        /// [`Error::TooManyChunks`].
        ///
        /// ## Events
        /// [`Event::Unbonded`].
        #[pallet::call_index(1)]
        #[pallet::weight(T::WeightInfo::unbond())]
        pub fn unbond(origin: OriginFor<T>, part: Part, #[pallet::compact] amount: Balance) -> DispatchResult {
            let who = ensure_signed(origin)?;
            Self::do_unbond(&who, part, amount)
        }

        /// Frees what is due of the caller's unbonding chunks.
        ///
        /// ## Origin
        /// Signed.
        ///
        /// ## Details
        /// No more leaves than what neither backings nor pending slashes have claim to; the rest can be withdrawn when
        /// they have ended.
        ///
        /// ## Errors
        /// [`Error::NothingUnlocked`], [`Error::StillClaimed`], [`Error::StillServing`].
        ///
        /// ## Events
        /// [`Event::Withdrawn`].
        #[pallet::call_index(2)]
        #[pallet::weight(T::WeightInfo::withdraw_unbonded())]
        pub fn withdraw_unbonded(origin: OriginFor<T>, part: Part) -> DispatchResult {
            let who = ensure_signed(origin)?;
            Self::do_withdraw(&who, part)
        }

        /// Stands for election as a validator.
        ///
        /// ## Origin
        /// Signed.
        ///
        /// ## Details
        /// Needs session keys and the minimum of both parts of the bond. If as many accounts as possible stand already, the
        /// one with the lowest validator bond gives way, if it does not validate and has less than the caller.
        ///
        /// ## Errors
        /// [`Error::AlreadyValidating`], [`Error::NoSessionKeys`], [`Error::ValidatorBondTooSmall`],
        /// [`Error::ProviderBondTooSmall`], [`Error::Barred`], [`Error::TooManyCandidates`].
        ///
        /// ## Events
        /// [`Event::Validating`]; [`Event::Chilled`] for whoever gave way.
        #[pallet::call_index(3)]
        #[pallet::weight(T::WeightInfo::validate())]
        pub fn validate(origin: OriginFor<T>) -> DispatchResult {
            let who = ensure_signed(origin)?;
            Self::do_validate(who)
        }

        /// No longer stands for election.
        ///
        /// ## Origin
        /// Signed.
        ///
        /// ## Details
        /// An account that validates does so until an election has found its successor: keep the node running until it has
        /// left the set.
        ///
        /// ## Errors
        /// [`Error::NotValidating`].
        ///
        /// ## Events
        /// [`Event::Chilled`].
        #[pallet::call_index(4)]
        #[pallet::weight(T::WeightInfo::chill(T::MaxCandidates::get()))]
        pub fn chill(origin: OriginFor<T>) -> DispatchResult {
            let who = ensure_signed(origin)?;
            ensure!(Self::remove_candidate(&who, ChillReason::Asked), Error::<T>::NotValidating);
            Ok(())
        }

        /// Sets how many validators there should be, from the next election on.
        ///
        /// ## Origin
        /// The admin.
        ///
        /// ## Errors
        /// [`Error::BadCounts`].
        ///
        /// ## Events
        /// [`Event::CountsSet`].
        #[pallet::call_index(5)]
        #[pallet::weight(T::WeightInfo::set_counts())]
        pub fn set_counts(origin: OriginFor<T>, counts: ValidatorCounts) -> DispatchResult {
            T::AdminOrigin::ensure_origin(origin)?;
            Self::do_set_counts(counts)?;
            Self::deposit_event(Event::CountsSet { counts });
            Ok(())
        }

        /// Cancels a pending consensus slash. The offender keeps the amount; the same report cannot bring it back.
        ///
        /// ## Origin
        /// `SlashCancelOrigin`.
        ///
        /// ## Errors
        /// [`Error::UnknownSlash`].
        ///
        /// ## Events
        /// [`Event::SlashCancelled`].
        #[pallet::call_index(6)]
        #[pallet::weight(T::WeightInfo::cancel_slash())]
        pub fn cancel_slash(origin: OriginFor<T>, index: u32) -> DispatchResult {
            T::SlashCancelOrigin::ensure_origin(origin)?;
            Self::do_cancel_slash(index)
        }
    }

    #[pallet::view_functions]
    impl<T: Config> Pallet<T> {
        /// An account's bond; none if it has none.
        pub fn bond_info(account: AccountId) -> Option<BondInfo> {
            Self::info_of(&account)
        }

        /// Provider bond of an account that may back new work.
        pub fn free_exposure(account: AccountId) -> Balance {
            Ledgers::<T>::get(&account).free_exposure()
        }

        /// Everyone who stands for election with its validator bond, highest first, and whether it could be elected now.
        pub fn standing() -> Vec<(AccountId, Balance, bool)> {
            Self::standing_now()
        }

        /// Consensus slashes that wait, with their index.
        pub fn pending_slashes() -> Vec<(u32, PendingSlash)> {
            let (first, end) = PendingRange::<T>::get();
            (first..end).filter_map(|i| PendingSlashes::<T>::get(i).map(|slash| (i, slash))).collect()
        }
    }
}

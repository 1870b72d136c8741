//! # Slashing of inference faults
//!
//! - [`Config`], [`Call`], [`Event`], [`Error`]
//! - [`assay_primitives::traits::OffenceSink`] takes the offences.
//!
//! ## Overview
//!
//! Verification pins faults to one controller each and reports them here. This pallet decides how much they cost and who gets
//! what (the arithmetic is [`assay_primitives::slash`]), and the bond ledger carries it out.
//!
//! ## Key concepts
//!
//! - **Once**: an offence counts once per work, role and offender, however often it is reported; a liveness fault and a
//!   worse one after it count once each.
//! - **Liveness faults** cost a small absolute amount, at once, all of it burned: nobody gains by making a competitor late.
//! - **Other faults** are claimed when they are reported, so that no withdrawal can pass them, and executed after a deferral in
//!   which `SlashCancelOrigin` can cancel them: a verdict may turn out to rest on a defect.
//! - **Legs**: the client's insured loss, then the reporter of objective evidence, the rest burns. Nobody is paid for
//!   reporting itself. A leg that its payee cannot receive (a payment below the existential deposit to an empty
//!   account) waits in [`Unclaimed`].
//!
//! A circuit breaker over the pending slashes belongs between [`Pallet::execute_due`] and the ledger; it is not part of this
//! version.
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
pub mod benchmarking;
mod impls;
#[cfg(test)]
mod mock;
#[cfg(test)]
mod tests;
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
        traits::{BondManager, ProviderDirectory},
        AccountId, Balance, OffenceKind, Tick,
    };
    use frame::{deps::frame_support::weights::WeightMeter, prelude::*, token::fungible};

    const STORAGE_VERSION: StorageVersion = StorageVersion::new(0);

    /// Slashing of inference faults.
    #[pallet::pallet]
    #[pallet::storage_version(STORAGE_VERSION)]
    pub struct Pallet<T>(_);

    /// What slashing needs of the runtime.
    #[pallet::config]
    pub trait Config: frame_system::Config<AccountId = AccountId, Hash = H256> {
        /// The native token, for what waits to be claimed.
        type Currency: fungible::Mutate<AccountId, Balance = Balance>;
        /// The bonds that answer.
        type Bonds: BondManager;
        /// Who keeps the penalty scores of the auction.
        type Providers: ProviderDirectory;
        /// The present service tick.
        type Clock: Get<Tick>;
        /// May cancel a pending slash.
        type SlashCancelOrigin: EnsureOrigin<Self::RuntimeOrigin>;
        /// Names the account that holds what waits to be claimed.
        #[pallet::constant]
        type PalletId: Get<PalletId>;
        /// Most slashes that may wait. When one more comes the oldest is executed early: it has been open to
        /// cancellation the longest.
        #[pallet::constant]
        type MaxPending: Get<u32>;
        /// For how many ticks a report is remembered; longer than an attempt at a job can last.
        #[pallet::constant]
        type MemoryTicks: Get<Tick>;
        /// Most reports that are remembered; the oldest is forgotten early when one more comes.
        #[pallet::constant]
        type MaxRemembered: Get<u32>;
        /// What the benchmarks need of the rest of the runtime.
        #[cfg(feature = "runtime-benchmarks")]
        type BenchmarkHelper: benchmarking::BenchmarkHelper;
        /// Weights of the calls.
        type WeightInfo: WeightInfo;
    }

    /// What has been reported, for `MemoryTicks` ticks. At most `MaxRemembered`.
    #[pallet::storage]
    pub type Reported<T: Config> = StorageMap<_, Blake2_128Concat, OffenceKey, Record>;

    /// Reports in the order in which they are forgotten, and since when they are remembered.
    #[pallet::storage]
    pub type Memory<T: Config> = StorageMap<_, Twox64Concat, u32, (OffenceKey, Tick)>;

    /// First and one past the last place of [`Memory`].
    #[pallet::storage]
    pub type MemoryRange<T: Config> = StorageValue<_, (u32, u32), ValueQuery>;

    /// Slashes that wait, by their place in the queue. At most `MaxPending`.
    #[pallet::storage]
    pub type Pending<T: Config> = StorageMap<_, Twox64Concat, u32, PendingSlash>;

    /// First and one past the last place of [`Pending`]. No place is used twice: approvals that a multisig collects for
    /// cancelling one slash must never cancel another.
    #[pallet::storage]
    pub type PendingRange<T: Config> = StorageValue<_, (u32, u32), ValueQuery>;

    /// What is owed to accounts that could not receive it. An entry costs the offender behind it at least as much.
    #[pallet::storage]
    pub type Unclaimed<T: Config> = StorageMap<_, Blake2_128Concat, AccountId, Balance, ValueQuery>;

    /// Endows the account that holds what waits to be claimed with the existential deposit.
    #[pallet::genesis_config]
    #[derive(DefaultNoBound)]
    pub struct GenesisConfig<T: Config> {
        /// Needed by the macro.
        #[serde(skip)]
        pub _config: core::marker::PhantomData<T>,
    }

    #[pallet::genesis_build]
    impl<T: Config> BuildGenesisConfig for GenesisConfig<T> {
        fn build(&self) {
            Pallet::<T>::endow_pot();
        }
    }

    /// What happened.
    #[pallet::event]
    #[pallet::generate_deposit(pub(super) fn deposit_event)]
    pub enum Event<T: Config> {
        /// A fault was reported for the first time.
        OffenceReported {
            /// Who, where, as what.
            key: OffenceKey,
            /// What.
            kind: OffenceKind,
            /// What is slashed, now or after the deferral.
            amount: Balance,
            /// Place of the pending slash in the queue, for cancelling; none if it was executed at once or costs nothing.
            index: Option<u32>,
        },
        /// A slash was executed.
        SlashExecuted {
            /// Who, where, as what.
            key: OffenceKey,
            /// Paid to the client, or waiting to be claimed by it.
            client: Balance,
            /// Paid to the reporter, or waiting to be claimed by it.
            reporter: Balance,
            /// Burned.
            burned: Balance,
        },
        /// A pending slash was cancelled.
        SlashCancelled {
            /// Which.
            index: u32,
            /// Who, where, as what.
            key: OffenceKey,
            /// How much the offender keeps.
            amount: Balance,
        },
        /// A leg of a slash could not be paid and waits to be claimed.
        LegUnclaimed {
            /// Whom it is owed to.
            account: AccountId,
            /// How much.
            amount: Balance,
        },
        /// What waited was paid.
        Claimed {
            /// To whom.
            account: AccountId,
            /// How much.
            amount: Balance,
        },
    }

    /// Why a call failed.
    #[pallet::error]
    pub enum Error<T> {
        /// No pending slash has this index.
        UnknownSlash,
        /// Nothing waits for this account.
        NothingUnclaimed,
        /// The account still cannot receive the amount: give it the existential deposit first.
        CannotReceive,
    }

    #[pallet::hooks]
    impl<T: Config> Hooks<BlockNumberFor<T>> for Pallet<T> {
        fn on_poll(_: BlockNumberFor<T>, meter: &mut WeightMeter) {
            Self::execute_due(meter);
            Self::forget_old(meter);
        }

        fn integrity_test() {
            assert!(T::MaxPending::get() > 0, "MaxPending must be positive");
            assert!(T::MaxRemembered::get() > 0, "MaxRemembered must be positive");
        }

        #[cfg(feature = "try-runtime")]
        fn try_state(_: BlockNumberFor<T>) -> Result<(), frame::deps::sp_runtime::TryRuntimeError> {
            Self::do_try_state()
        }
    }

    #[pallet::call]
    impl<T: Config> Pallet<T> {
        /// Cancels a pending slash. The offender keeps the amount; the same offence cannot be reported again.
        ///
        /// ## Origin
        /// `SlashCancelOrigin`.
        ///
        /// ## Errors
        /// [`Error::UnknownSlash`].
        ///
        /// ## Events
        /// [`Event::SlashCancelled`].
        #[pallet::call_index(0)]
        #[pallet::weight(T::WeightInfo::cancel())]
        pub fn cancel(origin: OriginFor<T>, index: u32) -> DispatchResult {
            T::SlashCancelOrigin::ensure_origin(origin)?;
            Self::do_cancel(index)
        }

        /// Pays what waits for an account.
        ///
        /// ## Origin
        /// Signed: anyone, for any account.
        ///
        /// ## Errors
        /// [`Error::NothingUnclaimed`], [`Error::CannotReceive`].
        ///
        /// ## Events
        /// [`Event::Claimed`].
        #[pallet::call_index(1)]
        #[pallet::weight(T::WeightInfo::claim())]
        pub fn claim(origin: OriginFor<T>, account: AccountId) -> DispatchResult {
            ensure_signed(origin)?;
            Self::do_claim(account)
        }
    }

    #[pallet::view_functions]
    impl<T: Config> Pallet<T> {
        /// Slashes that wait, with their index.
        pub fn pending() -> Vec<(u32, PendingSlash)> {
            let (first, end) = PendingRange::<T>::get();
            (first..end).filter_map(|i| Pending::<T>::get(i).map(|slash| (i, slash))).collect()
        }

        /// What waits to be claimed by an account.
        pub fn unclaimed(account: AccountId) -> Balance {
            Unclaimed::<T>::get(account)
        }
    }
}

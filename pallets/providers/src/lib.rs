//! # Directory of inference providers
//!
//! - [`Config`], [`Call`], [`Event`], [`Error`]
//! - [`assay_primitives::traits::ProviderDirectory`] is what the market and the checkers read and count capacity by.
//!
//! ## Overview
//!
//! A provider is a *controller*: the stash account that owns a provider bond. It registers a *worker*, the account whose key lies
//! on the machine that does the work and signs its answers, and stands in the book of each span that it serves with an *ask*.
//!
//! ## Key concepts
//!
//! - **Worker keys** come with a proof of possession, so that nobody can register another's. A key can be rotated at any time;
//!   the old one goes on answering for assignments made under it, and is forgotten when nothing is in use.
//! - **Asks** stand until they are replaced or withdrawn, hold a small deposit, can be matched `ask_delay` ticks after they were
//!   set (so that nobody undercuts a job that it sees in the pool), and can only be set while the free exposure of the bond
//!   covers the backing of a minimum job. A book has at most 64 holders; in a full one, an idle holder whose bond, free
//!   or not, no longer covers that gives way to a newcomer.
//! - **Capacity**: [`InUse`] is the only counter. The market takes a unit per assignment and gives it back.
//! - **Penalty**: see [`penalty`].
//! - **Draining**: a provider that drains gets no new work and finishes what it has.
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

mod asks;
#[cfg(feature = "runtime-benchmarks")]
pub mod benchmarking;
mod directory;
#[cfg(test)]
mod mock;
pub mod penalty;
mod registration;
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
    use assay_primitives::{
        api::ProviderView,
        traits::{BondManager, ModelDirectory},
        AccountId, Ask, Balance, HardwareProfile, Holder, Params, SlotKind, SpanKey, Tick, WorkerSignature,
    };
    use frame::{prelude::*, token::fungible};

    const STORAGE_VERSION: StorageVersion = StorageVersion::new(0);

    /// The directory of providers.
    #[pallet::pallet]
    #[pallet::storage_version(STORAGE_VERSION)]
    pub struct Pallet<T>(_);

    /// What the directory needs of the runtime.
    #[pallet::config]
    pub trait Config: frame_system::Config<AccountId = AccountId, Hash = H256> {
        /// The runtime's hold reason, for the deposits.
        type RuntimeHoldReason: From<HoldReason>;
        /// The native token: deposits are holds of it.
        type Currency: fungible::Mutate<AccountId, Balance = Balance>
            + fungible::MutateHold<AccountId, Balance = Balance, Reason = Self::RuntimeHoldReason>;
        /// Which spans exist and what they cost to compute.
        type Models: ModelDirectory;
        /// The bonds that answer for the work.
        type Bonds: BondManager;
        /// The parameters in force.
        type Params: Get<Params>;
        /// The present service tick.
        type Clock: Get<Tick>;
        /// Deposit of a registration.
        #[pallet::constant]
        type RegistrationDeposit: Get<Balance>;
        /// Deposit of an ask.
        #[pallet::constant]
        type AskDeposit: Get<Balance>;
        /// What has to be burned in settlements of a provider's work to take a penalty point off.
        #[pallet::constant]
        type PointPrice: Get<Balance>;
        /// What the benchmarks need of the rest of the runtime.
        #[cfg(feature = "runtime-benchmarks")]
        type BenchmarkHelper: benchmarking::BenchmarkHelper;
        /// Weights of the calls.
        type WeightInfo: WeightInfo;
    }

    /// Why tokens of an account are held.
    #[pallet::composite_enum]
    pub enum HoldReason {
        /// Deposit of a registration.
        #[codec(index = 0)]
        Registration,
        /// Deposit of a standing ask.
        #[codec(index = 1)]
        Ask,
    }

    /// Registered providers by controller. Each is paid for by its deposit.
    #[pallet::storage]
    pub type Providers<T: Config> = StorageMap<_, Blake2_128Concat, AccountId, Provider>;

    /// The controller that a worker account answers for. At most [`MAX_KEYS`] and one per provider.
    #[pallet::storage]
    pub type Workers<T: Config> = StorageMap<_, Blake2_128Concat, AccountId, AccountId>;

    /// Peer ids of the providers' nodes; absent while unknown.
    #[pallet::storage]
    pub type Peers<T: Config> = StorageMap<_, Blake2_128Concat, AccountId, PeerId>;

    /// The asks for each span. Each is paid for by its deposit.
    #[pallet::storage]
    pub type Books<T: Config> = StorageMap<_, Blake2_128Concat, SpanKey, Book, ValueQuery>;

    /// Capacity taken, by provider and span; absent if none. The only counter of capacity.
    #[pallet::storage]
    pub type InUse<T: Config> =
        StorageDoubleMap<_, Blake2_128Concat, AccountId, Blake2_128Concat, SpanKey, Usage, ValueQuery>;

    /// Penalty points. Those of a provider that left stay only if they are more than a newcomer's: each cost it a fault.
    #[pallet::storage]
    pub type Penalties<T: Config> = StorageMap<_, Blake2_128Concat, AccountId, Penalty, ValueQuery>;

    /// How many registered providers have each number of points.
    #[pallet::storage]
    pub type Points<T: Config> = StorageValue<_, Histogram, ValueQuery>;

    /// Providers that exist from the start.
    #[pallet::genesis_config]
    #[derive(DefaultNoBound)]
    pub struct GenesisConfig<T: Config> {
        /// The providers. They need no deposit.
        pub providers: Vec<GenesisProvider>,
        /// Needed by the macro.
        #[serde(skip)]
        pub _config: core::marker::PhantomData<T>,
    }

    #[pallet::genesis_build]
    impl<T: Config> BuildGenesisConfig for GenesisConfig<T> {
        fn build(&self) {
            Pallet::<T>::build_genesis(&self.providers);
        }
    }

    /// What happened.
    #[pallet::event]
    #[pallet::generate_deposit(pub(super) fn deposit_event)]
    pub enum Event<T: Config> {
        /// A provider was registered.
        Registered {
            /// Its controller.
            controller: AccountId,
            /// Its worker account.
            worker: AccountId,
        },
        /// A provider was removed.
        Deregistered {
            /// Its controller.
            controller: AccountId,
        },
        /// A provider has another worker key. The old one answers for assignments made under it.
        WorkerRotated {
            /// Its controller.
            controller: AccountId,
            /// The new worker account.
            worker: AccountId,
            /// Its key epoch.
            epoch: u32,
        },
        /// A provider's node has this peer id.
        PeerAnnounced {
            /// Its controller.
            controller: AccountId,
            /// The peer id, as bytes.
            peer: PeerId,
        },
        /// A provider described its hardware and its engine.
        ProfileSet {
            /// Its controller.
            controller: AccountId,
            /// Specifications that its engine implements, bit by bit.
            specs: u32,
        },
        /// A provider made, or replaced, an offer.
        AskSet {
            /// Its controller.
            controller: AccountId,
            /// What it serves.
            key: SpanKey,
            /// At which terms.
            ask: Ask,
            /// When it can be matched.
            usable_from: Tick,
        },
        /// A provider withdrew an offer.
        AskWithdrawn {
            /// Its controller.
            controller: AccountId,
            /// What it no longer serves.
            key: SpanKey,
        },
        /// A provider takes new work again, or no more.
        ActivitySet {
            /// Its controller.
            controller: AccountId,
            /// Whether it takes new work.
            active: bool,
        },
        /// A provider's penalty rose or fell.
        PenaltyChanged {
            /// Its controller.
            controller: AccountId,
            /// Points now.
            points: u8,
        },
    }

    /// Why a call failed.
    #[pallet::error]
    pub enum Error<T> {
        /// The account is a provider already.
        AlreadyRegistered,
        /// The account is no provider: call `register` first.
        NotRegistered,
        /// The worker account is, or lately was, some provider's: make a new key.
        WorkerTaken,
        /// The worker key must not be the controller's own: it lies on the machine that does the work.
        WorkerIsController,
        /// The signature is not by the worker key over this controller and key epoch.
        BadProof,
        /// Work runs under too many older keys: rotate again when some of it has ended.
        TooManyKeys,
        /// The caller is no provider's worker account.
        NotAWorker,
        /// The peer id is empty.
        EmptyPeerId,
        /// At least one specification must be supported.
        NoSpec,
        /// The model has no template with this span, or there is no such model.
        UnknownSpan,
        /// The engine does not implement the model's specification: set it with `set_profile`.
        UnsupportedSpec,
        /// An ask must offer at least one slot to execute or to check.
        NoSlots,
        /// The rate is below the least that the parameters allow.
        RateTooLow,
        /// The price is above the reserve price: it could never be matched.
        PriceAboveReserve,
        /// The free part of the provider bond does not cover the backing of the smallest job: bond more.
        InsufficientExposure,
        /// The span has as many holders as a book can have.
        BookFull,
        /// The provider holds as many asks as it can.
        TooManyAsks,
        /// The provider has no ask for this span.
        NoAsk,
        /// Asks stand: withdraw them first.
        AsksStanding,
        /// Work runs: drain, and try again when it has ended.
        InUse,
        /// No unit of this capacity is free.
        NoCapacity,
    }

    #[pallet::hooks]
    impl<T: Config> Hooks<BlockNumberFor<T>> for Pallet<T> {
        #[cfg(feature = "try-runtime")]
        fn try_state(_: BlockNumberFor<T>) -> Result<(), frame::deps::sp_runtime::TryRuntimeError> {
            Self::do_try_state()
        }
    }

    #[pallet::call]
    impl<T: Config> Pallet<T> {
        /// Registers the caller as a provider.
        ///
        /// ## Origin
        /// Signed: the controller, who owns the bond and pays the deposit.
        ///
        /// ## Parameters
        /// - `worker`: the account that answers for it; its id is an sr25519 public key.
        /// - `proof`: the worker key's signature over `H("assay/worker/v1" ‖ genesis ‖ controller ‖ 0u32)`.
        /// - `hardware`: what it says of its machine; informative.
        /// - `specs`: specifications that its engine implements: bit `n` stands for spec id `n`.
        ///
        /// ## Errors
        /// [`Error::AlreadyRegistered`], [`Error::WorkerTaken`], [`Error::WorkerIsController`], [`Error::BadProof`],
        /// [`Error::NoSpec`]; the token's own if the deposit cannot be held.
        ///
        /// ## Events
        /// [`Event::Registered`].
        #[pallet::call_index(0)]
        #[pallet::weight(T::WeightInfo::register())]
        pub fn register(
            origin: OriginFor<T>,
            worker: AccountId,
            proof: WorkerSignature,
            hardware: HardwareProfile,
            specs: u32,
        ) -> DispatchResult {
            let controller = ensure_signed(origin)?;
            Self::do_register(controller, worker, proof, hardware, specs)
        }

        /// Replaces the caller's worker key.
        ///
        /// ## Origin
        /// Signed: the controller.
        ///
        /// ## Parameters
        /// - `worker`: the new account.
        /// - `proof`: its signature over `H("assay/worker/v1" ‖ genesis ‖ controller ‖ next key epoch)`.
        ///
        /// ## Errors
        /// [`Error::NotRegistered`], [`Error::WorkerTaken`], [`Error::WorkerIsController`], [`Error::BadProof`],
        /// [`Error::TooManyKeys`].
        ///
        /// ## Events
        /// [`Event::WorkerRotated`].
        #[pallet::call_index(1)]
        #[pallet::weight(T::WeightInfo::rotate_worker())]
        pub fn rotate_worker(origin: OriginFor<T>, worker: AccountId, proof: WorkerSignature) -> DispatchResult {
            let controller = ensure_signed(origin)?;
            Self::do_rotate(controller, worker, proof)
        }

        /// Announces the peer id of the node that the calling worker runs in. Nothing happens if it is known.
        ///
        /// ## Origin
        /// Signed: a current worker account.
        ///
        /// ## Details
        /// Operational, because a provider that nobody can reach cannot answer; paid, because it can be repeated.
        ///
        /// ## Errors
        /// [`Error::NotAWorker`], [`Error::EmptyPeerId`].
        ///
        /// ## Events
        /// [`Event::PeerAnnounced`], if it is new.
        #[pallet::call_index(2)]
        #[pallet::weight((T::WeightInfo::announce_peer(), DispatchClass::Operational))]
        pub fn announce_peer(origin: OriginFor<T>, peer: PeerId) -> DispatchResult {
            let worker = ensure_signed(origin)?;
            Self::do_announce(worker, peer)
        }

        /// Describes the caller's hardware and engine.
        ///
        /// ## Origin
        /// Signed: the controller.
        ///
        /// ## Details
        /// Asks for models of a specification that is no longer supported are not matched.
        ///
        /// ## Errors
        /// [`Error::NotRegistered`], [`Error::NoSpec`].
        ///
        /// ## Events
        /// [`Event::ProfileSet`].
        #[pallet::call_index(3)]
        #[pallet::weight(T::WeightInfo::set_profile())]
        pub fn set_profile(origin: OriginFor<T>, hardware: HardwareProfile, specs: u32) -> DispatchResult {
            let controller = ensure_signed(origin)?;
            Self::do_set_profile(controller, hardware, specs)
        }

        /// Offers to serve a span, or replaces the caller's offer.
        ///
        /// ## Origin
        /// Signed: the controller.
        ///
        /// ## Details
        /// The offer can be matched `ask_delay` ticks later, also when it replaces another. A price of 0 is allowed: what the
        /// winner of an auction is paid does not depend on its own ask.
        ///
        /// ## Errors
        /// [`Error::NotRegistered`], [`Error::UnknownSpan`], [`Error::UnsupportedSpec`], [`Error::NoSlots`],
        /// [`Error::RateTooLow`], [`Error::PriceAboveReserve`], [`Error::InsufficientExposure`], [`Error::BookFull`],
        /// [`Error::TooManyAsks`]; the token's own if the deposit cannot be held.
        ///
        /// ## Events
        /// [`Event::AskSet`]; [`Event::AskWithdrawn`] for an idle holder without bond that gave way in a full book.
        #[pallet::call_index(4)]
        #[pallet::weight(T::WeightInfo::ask())]
        pub fn ask(origin: OriginFor<T>, key: SpanKey, ask: Ask) -> DispatchResult {
            let controller = ensure_signed(origin)?;
            Self::do_ask(controller, key, ask)
        }

        /// Withdraws an offer and releases its deposit. Work that was assigned goes on.
        ///
        /// ## Origin
        /// Signed: the controller.
        ///
        /// ## Errors
        /// [`Error::NotRegistered`], [`Error::NoAsk`].
        ///
        /// ## Events
        /// [`Event::AskWithdrawn`].
        #[pallet::call_index(5)]
        #[pallet::weight(T::WeightInfo::withdraw_ask())]
        pub fn withdraw_ask(origin: OriginFor<T>, key: SpanKey) -> DispatchResult {
            let controller = ensure_signed(origin)?;
            Self::do_withdraw_ask(&controller, &key)
        }

        /// Takes no new work from now on, and finishes what runs.
        ///
        /// ## Origin
        /// Signed: the controller.
        ///
        /// ## Errors
        /// [`Error::NotRegistered`].
        ///
        /// ## Events
        /// [`Event::ActivitySet`], if anything changed.
        #[pallet::call_index(6)]
        #[pallet::weight(T::WeightInfo::drain())]
        pub fn drain(origin: OriginFor<T>) -> DispatchResult {
            let controller = ensure_signed(origin)?;
            Self::do_set_active(controller, false)
        }

        /// Takes new work again.
        ///
        /// ## Origin
        /// Signed: the controller.
        ///
        /// ## Errors
        /// [`Error::NotRegistered`].
        ///
        /// ## Events
        /// [`Event::ActivitySet`], if anything changed.
        #[pallet::call_index(7)]
        #[pallet::weight(T::WeightInfo::resume())]
        pub fn resume(origin: OriginFor<T>) -> DispatchResult {
            let controller = ensure_signed(origin)?;
            Self::do_set_active(controller, true)
        }

        /// Removes the caller from the directory and releases its deposit. The bond is untouched.
        ///
        /// ## Origin
        /// Signed: the controller.
        ///
        /// ## Errors
        /// [`Error::NotRegistered`], [`Error::AsksStanding`], [`Error::InUse`].
        ///
        /// ## Events
        /// [`Event::Deregistered`].
        #[pallet::call_index(8)]
        #[pallet::weight(T::WeightInfo::deregister())]
        pub fn deregister(origin: OriginFor<T>) -> DispatchResult {
            let controller = ensure_signed(origin)?;
            Self::do_deregister(controller)
        }
    }

    #[pallet::view_functions]
    impl<T: Config> Pallet<T> {
        /// A provider with its offers; none if the account is no provider.
        pub fn provider(controller: AccountId) -> Option<ProviderView> {
            Self::view(&controller)
        }

        /// The controller that a worker account answers for.
        pub fn controller(worker: AccountId) -> Option<AccountId> {
            Workers::<T>::get(worker)
        }

        /// The book of a span.
        pub fn book(key: SpanKey) -> Vec<Holder> {
            Self::holders_of(&key)
        }

        /// Free exposure that an ask for this span needs; none if there is no such span.
        pub fn minimum_exposure(key: SpanKey) -> Option<Balance> {
            Self::minimum_backing(&key)
        }

        /// The key epoch that the next worker key's proof has to be for: 0 before registration.
        pub fn next_key_epoch(controller: AccountId) -> u32 {
            Providers::<T>::get(controller).map_or(0, |p| p.worker.epoch.saturating_add(1))
        }

        /// Capacity of a provider's span that is taken, to execute and to check.
        pub fn in_use(controller: AccountId, key: SpanKey, kind: SlotKind) -> u16 {
            let usage = InUse::<T>::get(controller, key);
            match kind {
                SlotKind::Execute => usage.executing,
                SlotKind::Check => usage.checking,
            }
        }
    }
}

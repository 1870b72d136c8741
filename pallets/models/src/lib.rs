//! # Registry of model packages
//!
//! - [`Config`], [`Call`], [`Event`], [`Error`]
//! - [`assay_primitives::traits::ModelDirectory`] is what the market and the checkers read.
//!
//! ## Overview
//!
//! A model is identified by the root of its package (`docs/exact.md`, section 11). Whoever registers one hands in the package's
//! header and the roots of its other entries; the chain parses the header, checks every limit that can be read from it, and
//! computes the id itself. Nothing about a model is declared that could be computed: the work units by which a job is priced
//! follow from the header's dimensions alone, so that nobody can make a model look cheaper or dearer than it is.
//!
//! ## Terminology
//!
//! - **Header**: the encoded description of the model's shape, the first entry of its package.
//! - **Entry roots**: the Merkle roots of the package's other entries, in the order of the package. They stay on chain, so that
//!   somebody who fetches one layer from a stranger can check it.
//! - **Span**: a contiguous range of layers. **Template**: spans that tile `0..layers`, one per stage of a job. A model's
//!   templates are fixed at registration: providers ask prices for their spans, and jobs choose among them.
//!
//! ## Deposit
//!
//! The owner of a model holds a deposit for the bytes that it occupies, released when it is removed. Models of the genesis
//! state have none and no owner; the admin origin may remove them.
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
#[cfg(any(test, feature = "runtime-benchmarks"))]
pub mod fixtures;
mod impls;
#[cfg(test)]
mod mock;
#[cfg(test)]
mod tests;
pub mod types;
pub mod weights;

pub use impls::model_root;
pub use pallet::*;
pub use types::*;
pub use weights::WeightInfo;

// The macro itself expects what it has checked.
#[allow(clippy::expect_used)]
#[frame::pallet]
pub mod pallet {
    use super::*;
    use alloc::vec::Vec;
    use assay_primitives::{traits::ModelInfo, AccountId, Balance, ModelId, Span, WorkUnits};
    use frame::{prelude::*, token::fungible};

    const STORAGE_VERSION: StorageVersion = StorageVersion::new(0);

    /// The registry of model packages.
    #[pallet::pallet]
    #[pallet::storage_version(STORAGE_VERSION)]
    pub struct Pallet<T>(_);

    /// What the registry needs of the runtime.
    #[pallet::config]
    pub trait Config: frame_system::Config<AccountId = AccountId, Hash = H256> {
        /// The runtime's hold reason, for the deposits.
        type RuntimeHoldReason: From<HoldReason>;
        /// The native token: deposits are holds of it.
        type Currency: fungible::Mutate<AccountId, Balance = Balance>
            + fungible::MutateHold<AccountId, Balance = Balance, Reason = Self::RuntimeHoldReason>;
        /// May activate, deactivate and remove any model, for instance one whose weights turn out to be stolen.
        type AdminOrigin: EnsureOrigin<Self::RuntimeOrigin>;
        /// Deposit for a model's storage entries.
        #[pallet::constant]
        type DepositBase: Get<Balance>;
        /// Deposit per byte of name, header, entry roots and templates.
        #[pallet::constant]
        type DepositPerByte: Get<Balance>;
        /// Weights of the calls.
        type WeightInfo: WeightInfo;
    }

    /// Why tokens of an account are held.
    #[pallet::composite_enum]
    pub enum HoldReason {
        /// Deposit for the state that registered models occupy.
        #[codec(index = 0)]
        Model,
    }

    /// Registered models. Each is paid for by its deposit.
    #[pallet::storage]
    pub type Models<T: Config> = StorageMap<_, Identity, ModelId, Model>;

    /// Roots of a model's package entries after the header, in the package's order. Kept apart because no job reads them.
    #[pallet::storage]
    pub type Entries<T: Config> = StorageMap<_, Identity, ModelId, EntryRoots, ValueQuery>;

    /// How many open jobs use a model; absent if none.
    #[pallet::storage]
    pub type Users<T: Config> = StorageMap<_, Identity, ModelId, u32, ValueQuery>;

    /// Models that exist from the start, without owner or deposit.
    #[pallet::genesis_config]
    #[derive(DefaultNoBound)]
    pub struct GenesisConfig<T: Config> {
        /// The models.
        pub models: Vec<GenesisModel>,
        /// Needed by the macro.
        #[serde(skip)]
        pub _config: core::marker::PhantomData<T>,
    }

    #[pallet::genesis_build]
    impl<T: Config> BuildGenesisConfig for GenesisConfig<T> {
        fn build(&self) {
            for (i, model) in self.models.iter().enumerate() {
                Pallet::<T>::register_at_genesis(i, model);
            }
        }
    }

    /// What happened.
    #[pallet::event]
    #[pallet::generate_deposit(pub(super) fn deposit_event)]
    pub enum Event<T: Config> {
        /// A model was registered; jobs may use it from now on.
        ModelRegistered {
            /// Root of its package.
            model: ModelId,
            /// Who holds its deposit.
            owner: AccountId,
            /// What is held.
            deposit: Balance,
        },
        /// A model was removed and its deposit released.
        ModelRemoved {
            /// Root of its package.
            model: ModelId,
            /// What was released to its owner.
            deposit: Balance,
        },
        /// A model was opened for new jobs, or closed to them.
        ModelActivated {
            /// Root of its package.
            model: ModelId,
            /// Whether new jobs may use it.
            active: bool,
        },
    }

    /// Why a call failed.
    #[pallet::error]
    pub enum Error<T> {
        /// The name is empty, longer than 64 bytes or not UTF-8: choose another.
        BadName,
        /// The header does not parse, or exceeds a limit of the specification (`docs/exact.md`, sections 2 and 11). The
        /// converter's `inspect` names the field.
        BadHeader,
        /// The header's specification is not one that this chain knows: convert the model for `spec_id` 1.
        UnknownSpec,
        /// The header describes an encoder whose vector has more entries than an answer on this chain may have (4,096).
        VectorTooWide,
        /// The number of entry roots is not what the header calls for: give every entry of the package but the header, in order.
        WrongEntryCount,
        /// A model needs at least one template, of at least one span each.
        NoTemplate,
        /// A template's spans must be contiguous and non-empty and cover every layer exactly once, in order.
        BadTemplate,
        /// A template is given twice.
        DuplicateTemplate,
        /// A model with this package root is registered already.
        AlreadyRegistered,
        /// No model has this id.
        UnknownModel,
        /// Only the model's owner or the admin may do this.
        NotOwner,
        /// Open jobs use the model: close it to new ones with `set_active`, and remove it when they have ended.
        InUse,
        /// The model is closed to new jobs.
        Inactive,
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
        /// Registers a model package.
        ///
        /// ## Origin
        /// Signed: the model's owner, who pays the deposit.
        ///
        /// ## Details
        /// The chain parses the header and computes the model's id, which is the root of its package: two different packages
        /// never share one. The model is open for jobs at once.
        ///
        /// ## Parameters
        /// - `name`: a label for people, UTF-8; it identifies nothing.
        /// - `header`: the package's header, as encoded.
        /// - `entries`: the roots of the package's other entries, in order.
        /// - `templates`: ways to cut the layers into stages; each tiles `0..layers`.
        ///
        /// ## Errors
        /// [`Error::BadName`], [`Error::BadHeader`], [`Error::UnknownSpec`], [`Error::NotADecoder`],
        /// [`Error::WrongEntryCount`], [`Error::NoTemplate`], [`Error::BadTemplate`], [`Error::DuplicateTemplate`],
        /// [`Error::AlreadyRegistered`]; the token's own if the deposit cannot be held.
        ///
        /// ## Events
        /// [`Event::ModelRegistered`].
        #[pallet::call_index(0)]
        #[pallet::weight(T::WeightInfo::register(entries.len() as u32, templates.len() as u32))]
        pub fn register(
            origin: OriginFor<T>,
            name: ModelName,
            header: HeaderBytes,
            entries: EntryRoots,
            templates: Templates,
        ) -> DispatchResult {
            let owner = ensure_signed(origin)?;
            Self::do_register(owner, name, header, entries, templates)
        }

        /// Removes a model and releases its deposit.
        ///
        /// ## Origin
        /// The model's owner, or the admin.
        ///
        /// ## Errors
        /// [`Error::UnknownModel`], [`Error::NotOwner`], [`Error::InUse`] while open jobs use it.
        ///
        /// ## Events
        /// [`Event::ModelRemoved`].
        #[pallet::call_index(1)]
        #[pallet::weight(T::WeightInfo::deregister())]
        pub fn deregister(origin: OriginFor<T>, model: ModelId) -> DispatchResult {
            Self::ensure_owner_or_admin(origin, &model)?;
            Self::do_deregister(model)
        }

        /// Opens a model for new jobs, or closes it to them. Jobs that run already go on.
        ///
        /// ## Origin
        /// The model's owner, or the admin.
        ///
        /// ## Errors
        /// [`Error::UnknownModel`], [`Error::NotOwner`].
        ///
        /// ## Events
        /// [`Event::ModelActivated`], if anything changed.
        #[pallet::call_index(2)]
        #[pallet::weight(T::WeightInfo::set_active())]
        pub fn set_active(origin: OriginFor<T>, model: ModelId, active: bool) -> DispatchResult {
            Self::ensure_owner_or_admin(origin, &model)?;
            Self::do_set_active(model, active)
        }
    }

    #[pallet::view_functions]
    impl<T: Config> Pallet<T> {
        /// What the registry knows of a model.
        pub fn model(model: ModelId) -> Option<ModelInfo> {
            Self::info_of(model)
        }

        /// The spans of each of a model's templates; empty if there is no such model.
        pub fn templates(model: ModelId) -> Vec<Vec<Span>> {
            Models::<T>::get(model).map(|m| m.spans()).unwrap_or_default()
        }

        /// Roots of the model's package entries after the header; empty if there is no such model.
        pub fn entry_roots(model: ModelId) -> Vec<H256> {
            Entries::<T>::get(model).into_inner()
        }

        /// Work units of each stage of a job with `input_len` ids and `new_tokens` generated ones, which are 0 exactly if the model is
        /// an encoder. None if there is no such model or template, or if the job is longer than the model's context.
        pub fn work_quote(
            model: ModelId,
            template: u8,
            input_len: u32,
            new_tokens: u32,
        ) -> Option<Vec<(Span, WorkUnits)>> {
            Self::quote(model, template, input_len, new_tokens)
        }
    }
}

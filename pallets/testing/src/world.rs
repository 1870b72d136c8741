//! Models, providers, bonds and offences as ledgers that a test can read and write.

use assay_primitives::{
    slash,
    traits::{AuthorVrf, BondManager, ModelDirectory, ModelInfo, OffenceSink, ProviderDirectory},
    *,
};
use frame::prelude::*;

pub use pallet::*;

/// A provider's entry in the book of a span.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo)]
pub struct Entry {
    /// Its terms.
    pub ask: Ask,
    /// Since when it holds the span.
    pub since: Tick,
    /// Whether it can be matched.
    pub usable: bool,
    /// Slots taken.
    pub executing: u16,
    /// Check slots taken.
    pub checking: u16,
    /// Penalty score.
    pub penalty_permille: u32,
}

/// A registered model.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo)]
pub struct Model {
    /// What it says of itself.
    pub info: ModelInfo,
    /// Its templates.
    pub templates: Vec<Vec<Span>>,
    /// Open jobs that use it.
    pub users: u32,
}

/// The ledgers.
#[allow(missing_docs)]
#[frame::pallet]
pub mod pallet {
    use super::*;

    #[pallet::config]
    pub trait Config: frame_system::Config<AccountId = AccountId, Hash = H256> {}

    #[pallet::pallet]
    #[pallet::without_storage_info]
    pub struct Pallet<T>(_);

    #[pallet::storage]
    pub type Models<T> = StorageMap<_, Identity, ModelId, Model, OptionQuery>;
    #[pallet::storage]
    pub type Book<T> = StorageDoubleMap<_, Twox64Concat, SpanKey, Twox64Concat, AccountId, Entry, OptionQuery>;
    #[pallet::storage]
    pub type WorkerOf<T> = StorageMap<_, Twox64Concat, AccountId, AccountId, OptionQuery>;
    #[pallet::storage]
    pub type ControllerOf<T> = StorageMap<_, Twox64Concat, AccountId, AccountId, OptionQuery>;
    #[pallet::storage]
    pub type Bonds<T> = StorageMap<_, Twox64Concat, AccountId, Balance, ValueQuery>;
    #[pallet::storage]
    pub type Backings<T> = StorageDoubleMap<_, Twox64Concat, AccountId, Twox64Concat, BackingId, Balance, OptionQuery>;
    #[pallet::storage]
    pub type Offences<T> = StorageValue<_, Vec<(Offence, Balance)>, ValueQuery>;
    #[pallet::storage]
    pub type Settled<T> = StorageMap<_, Twox64Concat, AccountId, u32, ValueQuery>;
    #[pallet::storage]
    pub type Validators<T> = StorageValue<_, Vec<AccountId>, ValueQuery>;
    #[pallet::storage]
    pub type CurrentAuthor<T> = StorageValue<_, (AccountId, [u8; 32]), OptionQuery>;
    #[pallet::storage]
    pub type IsPaused<T> = StorageValue<_, bool, ValueQuery>;

    #[pallet::error]
    pub enum Error<T> {
        NoCapacity,
        InUse,
        BondTooLow,
        ModelUnknown,
    }
}

impl<T: Config> Get<bool> for Pallet<T> {
    fn get() -> bool {
        IsPaused::<T>::get()
    }
}

impl<T: Config> ModelDirectory for Pallet<T> {
    fn info(model: ModelId) -> Option<ModelInfo> {
        Models::<T>::get(model).map(|m| m.info)
    }
    fn template(model: ModelId, template: u8) -> Option<Vec<Span>> {
        Models::<T>::get(model)?.templates.get(usize::from(template)).cloned()
    }
    fn has_span(key: &SpanKey) -> bool {
        Models::<T>::get(key.model).is_some_and(|m| m.templates.iter().flatten().any(|s| *s == key.span))
    }
    fn work(key: &SpanKey, from: u32, to: u32, heads_from: u32) -> Option<WorkUnits> {
        let info = Self::info(key.model)?;
        let rows = u64::from(to.checked_sub(from)?);
        let layers = u64::from(key.span.end - key.span.first);
        let heads = if key.span.end == info.layers { u64::from(to.saturating_sub(heads_from)) } else { 0 };
        Some(rows * layers + heads)
    }
    fn add_user(model: ModelId) -> Result<(), DispatchError> {
        Models::<T>::try_mutate(model, |m| {
            m.as_mut().ok_or(Error::<T>::ModelUnknown)?.users += 1;
            Ok(())
        })
    }
    fn remove_user(model: ModelId) {
        Models::<T>::mutate(model, |m| m.as_mut().expect("an open job's model stays").users -= 1);
    }
}

impl<T: Config> ProviderDirectory for Pallet<T> {
    fn controller_of(worker: &AccountId) -> Option<AccountId> {
        ControllerOf::<T>::get(worker)
    }
    fn worker_of(controller: &AccountId) -> Option<AccountId> {
        WorkerOf::<T>::get(controller)
    }
    fn peer_of(controller: &AccountId) -> Vec<u8> {
        controller.encode()
    }
    fn holders(key: &SpanKey) -> Vec<Holder> {
        Book::<T>::iter_prefix(key)
            .map(|(controller, e)| Holder {
                worker: WorkerOf::<T>::get(&controller).expect("every holder has a worker"),
                controller,
                free_slots: e.ask.slots - e.executing,
                free_check_slots: e.ask.check_slots - e.checking,
                ask: e.ask,
                since: e.since,
                usable: e.usable,
                penalty_permille: e.penalty_permille,
            })
            .collect()
    }
    fn take(controller: &AccountId, key: &SpanKey, kind: SlotKind) -> Result<(), DispatchError> {
        Book::<T>::try_mutate(key, controller, |e| {
            let e = e.as_mut().ok_or(Error::<T>::NoCapacity)?;
            let (used, all) = match kind {
                SlotKind::Execute => (&mut e.executing, e.ask.slots),
                SlotKind::Check => (&mut e.checking, e.ask.check_slots),
            };
            ensure!(*used < all, Error::<T>::NoCapacity);
            *used += 1;
            Ok(())
        })
    }
    fn give_back(controller: &AccountId, key: &SpanKey, kind: SlotKind) {
        Book::<T>::mutate(key, controller, |e| {
            let e = e.as_mut().expect("who works holds the span");
            // Panics below zero: a slot given back twice.
            match kind {
                SlotKind::Execute => e.executing = e.executing.checked_sub(1).expect("no slot was taken"),
                SlotKind::Check => e.checking = e.checking.checked_sub(1).expect("no check slot was taken"),
            }
        });
    }
    fn note_fault(_: &AccountId, _: OffenceKind) {}
    fn note_settled(controller: &AccountId, _: Balance) {
        Settled::<T>::mutate(controller, |n| *n += 1);
    }
}

impl<T: Config> BondManager for Pallet<T> {
    fn bond(controller: &AccountId) -> Balance {
        Bonds::<T>::get(controller)
    }
    fn free_exposure(controller: &AccountId) -> Balance {
        let backed: Balance = Backings::<T>::iter_prefix_values(controller).sum();
        Self::bond(controller).saturating_sub(backed)
    }
    fn reserve(controller: &AccountId, id: &BackingId, amount: Balance) -> Result<(), DispatchError> {
        ensure!(!Backings::<T>::contains_key(controller, id), Error::<T>::InUse);
        ensure!(Self::free_exposure(controller) >= amount, Error::<T>::BondTooLow);
        Backings::<T>::insert(controller, id, amount);
        Ok(())
    }
    fn release(controller: &AccountId, id: &BackingId) {
        Backings::<T>::remove(controller, id);
    }
    fn claim(_: &AccountId, amount: Balance) -> Balance {
        amount
    }
    fn unclaim(_: &AccountId, _: Balance) {}
    fn slash_claimed(_: &AccountId, amount: Balance, _: &[(AccountId, Balance)]) -> Balance {
        amount
    }
}

/// Slashes at once: deferral is the real pallet's business.
impl<T: Config> OffenceSink for Pallet<T> {
    fn report(params: &Params, offence: Offence) -> Balance {
        let id = BackingId { at: offence.at, role: offence.role };
        assert!(
            Backings::<T>::get(&offence.offender, id) == Some(offence.backing),
            "an offence is reported while its backing is reserved"
        );
        let known = Offences::<T>::get()
            .iter()
            .any(|(o, _)| (o.at, o.role, &o.offender) == (offence.at, offence.role, &offence.offender));
        assert!(!known, "an offender is reported once per stage and role: {offence:?}");
        let slashed = slash::amount(params, &offence, Bonds::<T>::get(&offence.offender));
        Bonds::<T>::mutate(&offence.offender, |b| *b -= slashed);
        Offences::<T>::append((offence, slashed));
        slashed
    }
}

impl<T: Config> AuthorVrf for Pallet<T> {
    fn current() -> Option<(AccountId, [u8; 32])> {
        CurrentAuthor::<T>::get()
    }
    fn validators() -> Vec<AccountId> {
        Validators::<T>::get()
    }
}

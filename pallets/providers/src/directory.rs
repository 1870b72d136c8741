//! What the other pallets and the runtime API read, and how capacity is counted.

use crate::*;
use alloc::vec::Vec;
use assay_primitives::{
    api::{AskView, ProviderView},
    traits::{BondManager, ProviderDirectory},
    AccountId, Balance, Holder, OffenceKind, SlotKind, SpanKey,
};
use frame::prelude::*;

impl<T: Config> Pallet<T> {
    fn is_usable(standing: &Standing, provider: &Provider) -> bool {
        provider.active && T::Clock::get() >= standing.usable_from && provider.supports(standing.spec_id)
    }

    pub(crate) fn holders_of(key: &SpanKey) -> Vec<Holder> {
        let book = Books::<T>::get(key);
        book.into_iter()
            .filter_map(|standing| {
                let provider = Providers::<T>::get(&standing.controller).defensive()?;
                let usage = InUse::<T>::get(&standing.controller, key);
                Some(Holder {
                    usable: Self::is_usable(&standing, &provider),
                    worker: provider.worker.account,
                    since: standing.since,
                    free_slots: standing.ask.slots.saturating_sub(usage.executing),
                    free_check_slots: standing.ask.check_slots.saturating_sub(usage.checking),
                    penalty_permille: Penalties::<T>::get(&standing.controller).permille(),
                    ask: standing.ask,
                    controller: standing.controller,
                })
            })
            .collect()
    }

    fn ask_of(controller: &AccountId, key: &SpanKey) -> Option<Standing> {
        let book = Books::<T>::get(key);
        let at = book.binary_search_by(|s| s.controller.cmp(controller)).ok()?;
        book.get(at).cloned()
    }

    /// A provider with its offers.
    pub fn view(controller: &AccountId) -> Option<ProviderView> {
        let provider = Providers::<T>::get(controller)?;
        let asks = provider.spans.iter().filter_map(|key| {
            let standing = Self::ask_of(controller, key)?;
            let usage = InUse::<T>::get(controller, key);
            Some(AskView {
                key: *key,
                usable: Self::is_usable(&standing, &provider),
                since: standing.since,
                ask: standing.ask,
                executing: usage.executing,
                checking: usage.checking,
            })
        });
        Some(ProviderView {
            asks: asks.collect(),
            controller: controller.clone(),
            peer: Self::peer_of(controller),
            active: provider.active,
            bond: T::Bonds::bond(controller),
            free: T::Bonds::free_exposure(controller),
            penalty_permille: Penalties::<T>::get(controller).permille(),
            worker: provider.worker.account,
            hardware: provider.hardware,
        })
    }

    /// Every provider, for the runtime API: too many for a transaction.
    pub fn all() -> Vec<ProviderView> {
        Providers::<T>::iter_keys().filter_map(|controller| Self::view(&controller)).collect()
    }

    fn set_points(controller: &AccountId, change: impl FnOnce(&mut Penalty)) {
        let before = Penalties::<T>::get(controller);
        let mut after = before;
        change(&mut after);
        if after == before {
            return;
        }
        Penalties::<T>::insert(controller, after);
        if after.points != before.points {
            // Only registered providers count for what a newcomer starts with.
            if Providers::<T>::contains_key(controller) {
                Points::<T>::mutate(|histogram| {
                    penalty::count(histogram, before.points, false);
                    penalty::count(histogram, after.points, true);
                });
            }
            Self::deposit_event(Event::PenaltyChanged { controller: controller.clone(), points: after.points });
        }
    }
}

impl<T: Config> ProviderDirectory for Pallet<T> {
    fn controller_of(worker: &AccountId) -> Option<AccountId> {
        Workers::<T>::get(worker)
    }

    fn worker_of(controller: &AccountId) -> Option<AccountId> {
        Some(Providers::<T>::get(controller)?.worker.account)
    }

    fn peer_of(controller: &AccountId) -> Vec<u8> {
        Peers::<T>::get(controller).unwrap_or_default().into_inner()
    }

    fn holders(key: &SpanKey) -> Vec<Holder> {
        Self::holders_of(key)
    }

    fn controllers(key: &SpanKey) -> Vec<AccountId> {
        Books::<T>::get(key).into_iter().map(|standing| standing.controller).collect()
    }

    fn take(controller: &AccountId, key: &SpanKey, kind: SlotKind) -> DispatchResult {
        let standing = Self::ask_of(controller, key).ok_or(Error::<T>::NoAsk)?;
        InUse::<T>::try_mutate(controller, key, |usage| {
            let (taken, of) = match kind {
                SlotKind::Execute => (&mut usage.executing, standing.ask.slots),
                SlotKind::Check => (&mut usage.checking, standing.ask.check_slots),
            };
            ensure!(*taken < of, Error::<T>::NoCapacity);
            *taken = taken.checked_add(1).ok_or(Error::<T>::NoCapacity)?;
            Ok(())
        })
    }

    fn give_back(controller: &AccountId, key: &SpanKey, kind: SlotKind) {
        let (given, none_left) = InUse::<T>::mutate_exists(controller, key, |slot| {
            let mut usage = slot.unwrap_or_default();
            let taken = match kind {
                SlotKind::Execute => &mut usage.executing,
                SlotKind::Check => &mut usage.checking,
            };
            let left = taken.checked_sub(1);
            *taken = left.unwrap_or_default();
            *slot = (usage != Usage::default()).then_some(usage);
            (left.is_some(), slot.is_none())
        });
        if !given {
            defensive!("capacity was given back that had not been taken");
            return;
        }
        if !none_left {
            return;
        }
        // A provider's entry is large, and rarely has older keys: it is written only if some of them go.
        if let Some(mut provider) = Providers::<T>::get(controller).defensive() {
            if Self::forget_idle_keys(controller, &mut provider) {
                Providers::<T>::insert(controller, provider);
            }
        }
    }

    fn note_fault(controller: &AccountId, kind: OffenceKind) {
        Self::set_points(controller, |penalty| penalty.add(kind));
    }

    fn note_settled(controller: &AccountId, burned: Balance) {
        Self::set_points(controller, |penalty| {
            if penalty.points > 0 {
                penalty.decay(burned, T::PointPrice::get());
            }
        });
    }
}

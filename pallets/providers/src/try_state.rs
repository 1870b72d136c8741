//! Invariants.

use crate::*;
use alloc::collections::{BTreeMap, BTreeSet};
use assay_primitives::{AccountId, Balance};
use frame::{deps::sp_runtime::TryRuntimeError, prelude::*, token::fungible::InspectHold};

impl<T: Config> Pallet<T> {
    /// Checks the pallet's invariants.
    ///
    /// 1. Every worker account belongs to exactly the provider that lists it, the current key included.
    /// 2. Every ask in a book is in its provider's list and the reverse; books are in order, each controller once.
    /// 3. Capacity is in use of registered providers only, and no stored counter is empty.
    /// 4. Held deposits are the sums of the registrations' and the asks' deposits.
    /// 5. The histogram counts exactly the registered providers' points.
    /// 6. Older keys are only kept while something is in use; peer ids only of registered providers.
    pub fn do_try_state() -> Result<(), TryRuntimeError> {
        let mut workers = BTreeSet::new();
        let mut asks: BTreeMap<AccountId, (u32, Balance)> = BTreeMap::new();
        for (key, book) in Books::<T>::iter() {
            ensure!(!book.is_empty(), "2: an empty book");
            ensure!(
                book.windows(2).all(|w| matches!(w, [a, b] if a.controller < b.controller)),
                "2: a book is out of order"
            );
            for standing in book {
                let provider = Providers::<T>::get(&standing.controller).ok_or("2: an ask without provider")?;
                ensure!(provider.spans.binary_search(&key).is_ok(), "2: an ask that its provider does not list");
                let (n, sum) = asks.entry(standing.controller).or_default();
                *n = n.saturating_add(1);
                *sum = sum.saturating_add(standing.deposit);
            }
        }
        let mut used: BTreeSet<AccountId> = BTreeSet::new();
        for (controller, _, usage) in InUse::<T>::iter() {
            ensure!(usage != Usage::default(), "3: an empty counter");
            used.insert(controller);
        }
        let mut histogram = Histogram::default();
        for (controller, provider) in Providers::<T>::iter() {
            for worker in provider.old_workers.iter().chain([&provider.worker.account]) {
                ensure!(Workers::<T>::get(worker).as_ref() == Some(&controller), "1: a worker that is not mapped");
                ensure!(workers.insert(worker.clone()), "1: a worker listed twice");
            }
            let (n, deposits) = asks.remove(&controller).unwrap_or_default();
            ensure!(provider.spans.len() == n as usize, "2: a listed span without ask");
            let busy = used.remove(&controller);
            let held = |reason: HoldReason| T::Currency::balance_on_hold(&reason.into(), &controller);
            ensure!(held(HoldReason::Registration) == provider.deposit, "4: registration deposit");
            ensure!(held(HoldReason::Ask) == deposits, "4: ask deposits");
            ensure!(busy || provider.old_workers.is_empty(), "6: an idle key");
            let points = Penalties::<T>::get(&controller).points;
            ensure!(points <= MAX_POINTS, "5: too many points");
            penalty::count(&mut histogram, points, true);
        }
        ensure!(used.is_empty(), "3: capacity of an unknown provider is in use");
        ensure!(Workers::<T>::iter_keys().count() == workers.len(), "1: a worker of no provider");
        ensure!(Peers::<T>::iter_keys().all(Providers::<T>::contains_key), "6: peer of an unknown provider");
        let counts =
            |h: &Histogram| h.iter().copied().chain(core::iter::repeat(0)).take(65).collect::<alloc::vec::Vec<_>>();
        ensure!(counts(&histogram) == counts(&Points::<T>::get()), "5: the histogram");
        Ok(())
    }
}

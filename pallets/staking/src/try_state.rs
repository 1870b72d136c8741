//! Invariants.

use crate::*;
use alloc::collections::BTreeMap;
use assay_primitives::{AccountId, Balance};
use frame::{deps::sp_runtime::TryRuntimeError, prelude::*};

impl<T: Config> Pallet<T> {
    /// Checks the pallet's invariants.
    ///
    /// 1. Each account's holds are exactly the totals of its ledger.
    /// 2. Open backings are what their ledger says is reserved.
    /// 3. Open backings and pending slashes never exceed the part that answers for them.
    /// 4. Pending consensus slashes are what their ledger says is accused.
    /// 5. No ledger is empty, no chunk is empty, and chunks are in order of their release.
    /// 6. Candidates are in order, each once.
    /// 7. The queue lies within its range and its bound; an empty one may be anywhere.
    pub fn do_try_state() -> Result<(), TryRuntimeError> {
        let mut reserved: BTreeMap<AccountId, Balance> = BTreeMap::new();
        for (who, _, amount) in Backings::<T>::iter() {
            let sum = reserved.entry(who).or_default();
            *sum = sum.saturating_add(amount);
        }
        let (first, end) = PendingRange::<T>::get();
        ensure!(first <= end && end.saturating_sub(first) <= MAX_PENDING, "7: the queue's range");
        let mut accused: BTreeMap<AccountId, Balance> = BTreeMap::new();
        for (index, slash) in PendingSlashes::<T>::iter() {
            ensure!((first..end).contains(&index), "7: a slash outside the queue");
            let sum = accused.entry(slash.offender).or_default();
            *sum = sum.saturating_add(slash.amount);
        }
        for (who, ledger) in Ledgers::<T>::iter() {
            for part in [Part::Validator, Part::Provider] {
                let total = ledger.part(part).total();
                ensure!(Self::held(&who, part) == total, "1: a hold is not the ledger's total");
                ensure!(ledger.spoken_for(part) <= total, "3: more is spoken for than there is");
                let chunks = &ledger.part(part).unlocking;
                ensure!(chunks.iter().all(|c| c.amount > 0), "5: an empty chunk");
                ensure!(
                    chunks.windows(2).all(|w| matches!(w, [a, b] if a.release < b.release)),
                    "5: chunks out of order"
                );
            }
            ensure!(!ledger.is_empty(), "5: an empty ledger");
            ensure!(reserved.remove(&who).unwrap_or_default() == ledger.reserved, "2: reserved");
            ensure!(accused.remove(&who).unwrap_or_default() == ledger.accused, "4: accused");
        }
        ensure!(reserved.values().all(|left| *left == 0), "2: a backing without a ledger");
        ensure!(accused.values().all(|left| *left == 0), "4: a pending slash without a ledger");
        let candidates = Candidates::<T>::get();
        ensure!(candidates.windows(2).all(|w| matches!(w, [a, b] if a < b)), "6: candidates");
        Ok(())
    }
}

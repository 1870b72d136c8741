//! The invariants of the market (protocol section 9).

use crate::pallet::*;
use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};
use assay_primitives::{AccountId, Balance, JobPhase};
use frame::{prelude::*, traits::fungible::hold::Inspect as _};

impl<T: Config> Pallet<T> {
    /// 1. What is held for escrow and for unclaimed payments is, per account, what the ledgers claim.
    /// 2. Every open job has one agenda entry, under its due tick, not before the cursor; there are no others.
    /// 3. Every open job has a specification, and the other way round; the counters of open jobs are right.
    /// 4. A job has executors exactly while it does not wait for its next attempt; its budgets are within its escrow.
    /// 5. Parameters are kept for the jobs bound to them, and the current ones always.
    /// 6. The ring and the map of receipts hold the same jobs, and none of them is open.
    pub fn do_try_state() -> Result<(), DispatchError> {
        let now = Now::<T>::get();
        let cursor = AgendaCursor::<T>::get();
        let mut escrow: BTreeMap<AccountId, Balance> = BTreeMap::new();
        let mut of_client: BTreeMap<AccountId, u32> = BTreeMap::new();
        let mut users: BTreeMap<u32, u32> = BTreeMap::new();
        let mut entries = BTreeSet::new();
        for (hash, job) in Jobs::<T>::iter() {
            ensure!(Specs::<T>::contains_key(hash), "3: a job without a specification");
            ensure!(job.due >= cursor, "2: a job is due at a tick that was drained already");
            ensure!((job.phase == JobPhase::Requeue) == job.stages.is_empty(), "4: executors do not fit the phase");
            ensure!(job.fee_budget.saturating_add(job.check_budget) <= job.escrow, "4: budgets above the escrow");
            entries.insert((job.due, hash));
            let sum = escrow.entry(job.client.clone()).or_default();
            *sum = sum.saturating_add(job.escrow);
            let count = of_client.entry(job.client).or_default();
            *count = count.saturating_add(1);
            let bound = users.entry(job.params_version).or_default();
            *bound = bound.saturating_add(1);
        }
        ensure!(entries == Agenda::<T>::iter_keys().collect(), "2: agenda and open jobs differ");
        ensure!(cursor <= now, "2: the cursor is ahead of time");
        ensure!(Specs::<T>::iter_keys().count() == entries.len(), "3: a specification without a job");
        ensure!(OpenJobs::<T>::get() as usize == entries.len(), "3: wrong count of open jobs");
        ensure!(OpenJobsOf::<T>::iter().collect::<BTreeMap<_, _>>() == of_client, "3: wrong counts of clients");

        let mut unclaimed: BTreeMap<AccountId, Balance> = BTreeMap::new();
        for (_, payer, amount) in Unclaimed::<T>::iter() {
            let sum = unclaimed.entry(payer).or_default();
            *sum = sum.saturating_add(amount);
        }
        let accounts: Vec<AccountId> = frame_system::Account::<T>::iter_keys().collect();
        for (ledger, reason) in [(&escrow, HoldReason::Escrow), (&unclaimed, HoldReason::Unclaimed)] {
            let reason = reason.into();
            for who in accounts.iter().chain(ledger.keys()) {
                let held = T::Currency::balance_on_hold(&reason, who);
                ensure!(held == ledger.get(who).copied().unwrap_or_default(), "1: a hold differs from its ledger");
            }
        }

        let current = CurrentParams::<T>::get();
        users.entry(current).or_default();
        let kept: BTreeMap<u32, u32> = ParamsOf::<T>::iter().map(|(version, v)| (version, v.users)).collect();
        ensure!(kept == users, "5: parameters and the jobs bound to them differ");

        let ring: BTreeSet<_> = ReceiptRing::<T>::iter_values().collect();
        ensure!(ring == Receipts::<T>::iter_keys().collect(), "6: ring and receipts differ");
        ensure!(ring.len() <= T::MaxReceipts::get() as usize, "6: too many receipts");
        ensure!(ring.iter().all(|hash| !Jobs::<T>::contains_key(hash)), "6: a settled job is open");
        Ok(())
    }
}

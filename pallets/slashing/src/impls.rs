//! Reports, execution, claims.

use crate::*;
use alloc::vec::Vec;
use assay_primitives::{
    slash,
    traits::{BondManager, OffenceSink, ProviderDirectory},
    AccountId, BackingId, Balance, Offence, Params,
};
use frame::{
    deps::frame_support::weights::WeightMeter,
    prelude::*,
    token::fungible::{Inspect, Mutate},
};

impl<T: Config> OffenceSink for Pallet<T> {
    fn report(params: &Params, mut offence: Offence) -> Balance {
        // Reporting oneself must not return part of the slash.
        if offence.reporter.as_ref() == Some(&offence.offender) {
            offence.reporter = None;
        }
        let key = OffenceKey { at: offence.at, role: offence.role, offender: offence.offender.clone() };
        if !Self::remember(&key, offence.kind.is_liveness()) {
            return 0;
        }
        T::Providers::note_fault(&offence.offender, offence.kind);

        let due = slash::amount(params, &offence, T::Bonds::bond(&offence.offender));
        let backing = BackingId { at: offence.at, role: offence.role };
        let amount = T::Bonds::claim_backing(&offence.offender, &backing, due);
        let kind = offence.kind;
        let pending = Self::pending_slash(params, offence, key.clone(), amount);
        let immediate = kind.is_liveness();
        let index = if amount == 0 || immediate { None } else { Self::defer(pending.clone()) };
        Self::deposit_event(Event::OffenceReported { key, kind, amount, index });
        if amount > 0 && index.is_none() {
            Self::execute(pending);
        }
        amount
    }
}

impl<T: Config> Pallet<T> {
    /// Who gets what is settled when the offence is reported, under the job's own parameters.
    fn pending_slash(params: &Params, offence: Offence, key: OffenceKey, amount: Balance) -> PendingSlash {
        let split = slash::split(params, &offence, amount);
        PendingSlash {
            key,
            kind: offence.kind,
            amount,
            client: (offence.client, split.client),
            reporter: offence.reporter.map(|who| (who, split.reporter)),
            due: T::Clock::get().saturating_add(params.slash_defer),
        }
    }

    /// Notes a report; false if the same was reported before.
    fn remember(key: &OffenceKey, liveness: bool) -> bool {
        let known = Reported::<T>::get(key);
        let mut record = known.unwrap_or_default();
        let flag = if liveness { &mut record.liveness } else { &mut record.other };
        if core::mem::replace(flag, true) {
            return false;
        }
        Reported::<T>::insert(key, record);
        if known.is_none() {
            let (mut first, end) = MemoryRange::<T>::get();
            if end.saturating_sub(first) >= T::MaxRemembered::get() {
                Self::forget(first);
                first = first.saturating_add(1);
            }
            Memory::<T>::insert(end, (key.clone(), T::Clock::get()));
            MemoryRange::<T>::put((first, end.defensive_saturating_add(1)));
        }
        true
    }

    pub(crate) fn forget(place: u32) {
        if let Some((key, _)) = Memory::<T>::take(place) {
            Reported::<T>::remove(key);
        }
    }

    /// Forgets reports of attempts that are over, as far as the weight goes.
    pub(crate) fn forget_old(meter: &mut WeightMeter) {
        if meter.try_consume(T::DbWeight::get().reads(1)).is_err() {
            return;
        }
        let (mut first, end) = MemoryRange::<T>::get();
        if first == end {
            return;
        }
        let now = T::Clock::get();
        while first < end && meter.try_consume(T::WeightInfo::forget_one()).is_ok() {
            match Memory::<T>::get(first) {
                Some((_, since)) if now.saturating_sub(since) < T::MemoryTicks::get() => break,
                _ => Self::forget(first),
            }
            first = first.saturating_add(1);
        }
        // Nobody names a place of the memory: an empty one starts again at 0, so that places never run out.
        MemoryRange::<T>::put(if first == end { (0, 0) } else { (first, end) });
    }

    /// Queues a slash and returns its place; none if no places are left.
    fn defer(slash: PendingSlash) -> Option<u32> {
        let (mut first, end) = PendingRange::<T>::get();
        let next = end.checked_add(1)?;
        if end.saturating_sub(first) >= T::MaxPending::get() {
            if let Some(oldest) = Pending::<T>::take(first) {
                Self::execute(oldest);
            }
            first = first.saturating_add(1);
        }
        Pending::<T>::insert(end, slash);
        PendingRange::<T>::put((first, next));
        Some(end)
    }

    /// Executes what is due, in the order of the reports and as far as the weight goes; the rest waits for the next block. A
    /// slash whose deferral is shorter than that of one before it (the parameters changed between them) waits for that one.
    pub(crate) fn execute_due(meter: &mut WeightMeter) {
        if meter.try_consume(T::DbWeight::get().reads(1)).is_err() {
            return;
        }
        let (mut first, end) = PendingRange::<T>::get();
        if first == end {
            return;
        }
        let now = T::Clock::get();
        while first < end && meter.try_consume(T::WeightInfo::execute_one()).is_ok() {
            match Pending::<T>::get(first) {
                Some(slash) if slash.due > now => break,
                Some(slash) => {
                    Pending::<T>::remove(first);
                    Self::execute(slash);
                }
                // Cancelled.
                None => {}
            }
            first = first.saturating_add(1);
        }
        PendingRange::<T>::put((first, end));
    }

    pub(crate) fn execute(slash: PendingSlash) {
        let client = slash.client.1;
        let reporter = slash.reporter.as_ref().map_or(0, |(_, share)| *share);
        let legs: Vec<_> = core::iter::once(slash.client)
            .chain(slash.reporter)
            .filter(|(_, share)| *share > 0)
            .map(|(who, share)| (Self::receiver(who, share), share))
            .collect();
        let burned = T::Bonds::slash_claimed(&slash.key.offender, slash.amount, &legs);
        // Only now: what is cancelled in time bars nobody.
        if !slash.kind.is_liveness() {
            T::Bonds::bar(&slash.key.offender);
        }
        Self::deposit_event(Event::SlashExecuted { key: slash.key, client, reporter, burned });
    }

    /// The account that is paid: the payee, or the pot if it cannot receive, where the amount then waits.
    fn receiver(who: AccountId, amount: Balance) -> AccountId {
        let can = |who: &AccountId| {
            T::Currency::can_deposit(who, amount, tokens::Provenance::Extant) == tokens::DepositConsequence::Success
        };
        let pot = Self::pot();
        if can(&who) || !can(&pot) {
            // Neither can: the ledger burns it and says so.
            return who;
        }
        Unclaimed::<T>::mutate(&who, |sum| *sum = sum.defensive_saturating_add(amount));
        Self::deposit_event(Event::LegUnclaimed { account: who, amount });
        pot
    }

    /// The account that holds what waits to be claimed.
    pub fn pot() -> AccountId {
        T::PalletId::get().into_account_truncating()
    }

    pub(crate) fn endow_pot() {
        let pot = Self::pot();
        let missing = T::Currency::minimum_balance().saturating_sub(T::Currency::balance(&pot));
        // Without it small amounts could not wait there, and would burn: nothing else depends on it.
        let _ = T::Currency::mint_into(&pot, missing).defensive();
    }

    pub(crate) fn do_cancel(index: u32) -> DispatchResult {
        let slash = Pending::<T>::take(index).ok_or(Error::<T>::UnknownSlash)?;
        T::Bonds::unclaim(&slash.key.offender, slash.amount);
        Self::deposit_event(Event::SlashCancelled { index, key: slash.key, amount: slash.amount });
        Ok(())
    }

    pub(crate) fn do_claim(account: AccountId) -> DispatchResult {
        let amount = Unclaimed::<T>::take(&account);
        ensure!(amount > 0, Error::<T>::NothingUnclaimed);
        T::Currency::transfer(&Self::pot(), &account, amount, Preservation::Preserve)
            .map_err(|_| Error::<T>::CannotReceive)?;
        Self::deposit_event(Event::Claimed { account, amount });
        Ok(())
    }

    /// Checks the pallet's invariants.
    ///
    /// 1. The pot holds what waits to be claimed, over its existential deposit; no empty claim is stored.
    /// 2. Pending slashes lie within the queue's range and bound, and their legs do not exceed them. An empty queue may
    ///    be anywhere.
    /// 3. Exactly the remembered reports are recorded, each for something.
    #[cfg(any(feature = "try-runtime", feature = "std"))]
    pub fn do_try_state() -> Result<(), frame::deps::sp_runtime::TryRuntimeError> {
        let mut owed: Balance = 0;
        for (_, amount) in Unclaimed::<T>::iter() {
            ensure!(amount > 0, "1: an empty claim");
            owed = owed.saturating_add(amount);
        }
        let free = T::Currency::reducible_balance(&Self::pot(), Preservation::Preserve, Fortitude::Polite);
        ensure!(owed <= free, "1: the pot holds less than what waits");
        let (first, end) = PendingRange::<T>::get();
        ensure!(first <= end && end.saturating_sub(first) <= T::MaxPending::get(), "2: the queue's range");
        for (index, slash) in Pending::<T>::iter() {
            ensure!((first..end).contains(&index), "2: a slash outside the queue");
            let reporter = slash.reporter.map_or(0, |(_, share)| share);
            ensure!(slash.client.1.saturating_add(reporter) <= slash.amount, "2: legs exceed the slash");
        }
        let (first, end) = MemoryRange::<T>::get();
        ensure!(end.saturating_sub(first) <= T::MaxRemembered::get(), "3: too many reports");
        for place in first..end {
            let (key, _) = Memory::<T>::get(place).ok_or("3: a gap in the memory")?;
            let record = Reported::<T>::get(key).ok_or("3: a remembered report that is not recorded")?;
            ensure!(record.liveness || record.other, "3: a record of nothing");
        }
        ensure!(Reported::<T>::iter_keys().count() == end.saturating_sub(first) as usize, "3: unremembered records");
        Ok(())
    }
}

//! Consensus offences: accusation, deferral, execution.

use crate::*;
use assay_primitives::{AccountId, Balance};
use frame::{
    deps::{frame_support::weights::WeightMeter, sp_runtime::Perbill},
    prelude::*,
    traits::ValidatorSet,
};
use polkadot_sdk::{
    pallet_session::SessionInterface,
    sp_staking::{
        offence::{OffenceDetails, OffenceSeverity, OnOffenceHandler},
        SessionIndex,
    },
};

impl<T: Config> OnOffenceHandler<AccountId, (AccountId, ()), Weight> for Pallet<T> {
    /// Idempotent: the same report, or one with a lower fraction, changes nothing.
    fn on_offence(
        offenders: &[OffenceDetails<AccountId, (AccountId, ())>],
        fractions: &[Perbill],
        session: SessionIndex,
    ) -> Weight {
        for (details, fraction) in offenders.iter().zip(fractions) {
            Self::accuse(&details.offender.0, *fraction, session);
        }
        T::WeightInfo::accuse().saturating_mul(offenders.len() as u64)
    }
}

impl<T: Config> Pallet<T> {
    fn accuse(who: &AccountId, fraction: Perbill, session: SessionIndex) {
        let now = T::Session::session_index();
        // The pallets that take reports refuse older ones; a bond that has left since must not be missed by them.
        if fraction.is_zero() || session.saturating_add(T::UnbondingSessions::get()) < now {
            return;
        }
        let mut ledger = Ledgers::<T>::get(who);
        let mut fault = Faults::<T>::get(session, who).unwrap_or(Fault {
            fraction: Perbill::zero(),
            base: ledger.validator.total(),
            amount: 0,
        });
        if fraction <= fault.fraction {
            return;
        }
        // Rounded up: an offence is never free.
        let due = fraction.mul_ceil(fault.base);
        let amount = ledger.accuse(due.saturating_sub(fault.amount));
        fault.fraction = fraction;
        fault.amount = fault.amount.saturating_add(amount);
        ledger.barred_until = ledger.barred_until.max(Self::barred_from(now));
        Faults::<T>::insert(session, who, fault);
        Ledgers::<T>::mutate_exists(who, |slot| {
            if slot.is_some() {
                *slot = Some(ledger);
            }
        });

        let index = if amount == 0 { None } else { Self::defer(who, session, amount, now) };
        Self::deposit_event(Event::ValidatorAccused { account: who.clone(), session, fraction, amount, index });
        if amount > 0 && index.is_none() {
            Self::slash(who, Part::Validator, amount, &[]);
        }
        // Stops it in this session, and the next election replaces it.
        T::Session::report_offence(who.clone(), OffenceSeverity(fraction));
        Self::remove_candidate(who, ChillReason::Offence);
        ElectionForced::<T>::put(true);
    }

    /// Queues a slash; none if the queue is full or has no places left.
    fn defer(who: &AccountId, session: SessionIndex, amount: Balance, now: SessionIndex) -> Option<u32> {
        let (first, end) = PendingRange::<T>::get();
        if end.saturating_sub(first) >= MAX_PENDING {
            return None;
        }
        let next = end.checked_add(1)?;
        let due = now.saturating_add(T::SlashDeferSessions::get());
        PendingSlashes::<T>::insert(end, PendingSlash { offender: who.clone(), session, amount, due });
        PendingRange::<T>::put((first, next));
        Some(end)
    }

    /// Executes what is due, as far as the weight goes; the rest waits for the next block.
    pub(crate) fn execute_due(meter: &mut WeightMeter) {
        if meter.try_consume(T::DbWeight::get().reads(2)).is_err() {
            return;
        }
        let (mut first, end) = PendingRange::<T>::get();
        if first == end {
            return;
        }
        let now = T::Session::session_index();
        while first < end && meter.try_consume(T::WeightInfo::execute_slash()).is_ok() {
            match PendingSlashes::<T>::get(first) {
                // In order of their due sessions, because all are deferred by as many.
                Some(slash) if slash.due > now => break,
                Some(slash) => {
                    PendingSlashes::<T>::remove(first);
                    Self::slash(&slash.offender, Part::Validator, slash.amount, &[]);
                }
                // Cancelled.
                None => {}
            }
            first = first.saturating_add(1);
        }
        PendingRange::<T>::put((first, end));
    }

    pub(crate) fn do_cancel_slash(index: u32) -> DispatchResult {
        let slash = PendingSlashes::<T>::take(index).ok_or(Error::<T>::UnknownSlash)?;
        Ledgers::<T>::mutate_exists(&slash.offender, |slot| {
            if let Some(ledger) = slot.as_mut() {
                ledger.accused = ledger.accused.defensive_saturating_sub(slash.amount);
                // The bar of this accusation falls with it, unless another one still stands.
                let accused_in = slash.due.saturating_sub(T::SlashDeferSessions::get());
                if ledger.accused == 0 && ledger.barred_until == Self::barred_from(accused_in) {
                    ledger.barred_until = 0;
                }
            }
        });
        Self::deposit_event(Event::SlashCancelled { account: slash.offender, index, amount: slash.amount });
        Ok(())
    }
}

//! The calls of bond holders, and the provider part as the other pallets use it.

use crate::{ledger::LedgerError, *};
use alloc::vec::Vec;
use assay_primitives::{traits::BondManager, AccountId, BackingId, Balance};
use frame::{
    deps::frame_support::storage::with_storage_layer,
    prelude::*,
    token::{
        fungible::{InspectHold, MutateHold},
        tokens::Restriction,
    },
    traits::{ValidatorRegistration, ValidatorSet},
};
use polkadot_sdk::sp_staking::SessionIndex;

impl Part {
    fn reason(self) -> HoldReason {
        match self {
            Part::Validator => HoldReason::ValidatorBond,
            Part::Provider => HoldReason::ProviderBond,
        }
    }
}

impl<T: Config> From<LedgerError> for Error<T> {
    fn from(error: LedgerError) -> Self {
        match error {
            LedgerError::Insufficient => Error::InsufficientBond,
            LedgerError::TooManyChunks => Error::TooManyChunks,
            // More than the issuance: nobody has that much.
            LedgerError::Overflow => Error::InsufficientBond,
        }
    }
}

impl<T: Config> Pallet<T> {
    fn minimum(part: Part) -> (Balance, Error<T>) {
        match part {
            Part::Validator => (T::MinValidatorBond::get(), Error::ValidatorBondTooSmall),
            Part::Provider => (T::MinProviderBond::get(), Error::ProviderBondTooSmall),
        }
    }

    fn store(who: &AccountId, ledger: Ledger) {
        if ledger.is_empty() {
            Ledgers::<T>::remove(who);
        } else {
            Ledgers::<T>::insert(who, ledger);
        }
    }

    pub(crate) fn do_bond(who: &AccountId, part: Part, amount: Balance) -> DispatchResult {
        ensure!(amount > 0, Error::<T>::ZeroAmount);
        let mut ledger = Ledgers::<T>::get(who);
        ledger.part_mut(part).bond(amount).map_err(Error::<T>::from)?;
        let (minimum, error) = Self::minimum(part);
        ensure!(ledger.part(part).active >= minimum, error);
        T::Currency::hold(&part.reason().into(), who, amount)?;
        Ledgers::<T>::insert(who, ledger);
        Self::deposit_event(Event::Bonded { account: who.clone(), part, amount });
        Ok(())
    }

    pub(crate) fn do_unbond(who: &AccountId, part: Part, amount: Balance) -> DispatchResult {
        ensure!(amount > 0, Error::<T>::ZeroAmount);
        let mut ledger = Ledgers::<T>::get(who);
        let release = T::Session::session_index().saturating_add(T::UnbondingSessions::get());
        ledger.part_mut(part).unbond(amount, release).map_err(Error::<T>::from)?;
        let left = ledger.part(part).active;
        if left < Self::minimum(part).0 {
            ensure!(!Self::is_candidate(who), Error::<T>::StillValidating);
            ensure!(left == 0, Error::<T>::RemainderTooSmall);
        }
        Ledgers::<T>::insert(who, ledger);
        Self::deposit_event(Event::Unbonded { account: who.clone(), part, amount, release });
        Ok(())
    }

    /// What of a part could leave now.
    fn withdrawable(ledger: &Ledger, part: Part) -> Balance {
        ledger.part(part).matured(T::Session::session_index()).min(ledger.unclaimed(part))
    }

    pub(crate) fn do_withdraw(who: &AccountId, part: Part) -> DispatchResult {
        let mut ledger = Ledgers::<T>::get(who);
        let now = T::Session::session_index();
        ensure!(ledger.part(part).matured(now) > 0, Error::<T>::NothingUnlocked);
        if part == Part::Validator {
            ensure!(!Self::is_serving(who) && now >= ledger.served_until, Error::<T>::StillServing);
        }
        let limit = ledger.unclaimed(part);
        let amount = ledger.part_mut(part).withdraw(now, limit);
        ensure!(amount > 0, Error::<T>::StillClaimed);
        T::Currency::release(&part.reason().into(), who, amount, Precision::Exact)?;
        Self::store(who, ledger);
        Self::deposit_event(Event::Withdrawn { account: who.clone(), part, amount });
        Ok(())
    }

    pub(crate) fn is_candidate(who: &AccountId) -> bool {
        Candidates::<T>::get().binary_search(who).is_ok()
    }

    /// Whether the account was elected last time, or validates now.
    pub(crate) fn is_serving(who: &AccountId) -> bool {
        Elected::<T>::get().contains(who) || <T::Session as ValidatorSet<_>>::validators().contains(who)
    }

    pub(crate) fn do_validate(who: AccountId) -> DispatchResult {
        ensure!(!Self::is_candidate(&who), Error::<T>::AlreadyValidating);
        ensure!(T::Session::is_registered(&who), Error::<T>::NoSessionKeys);
        let ledger = Ledgers::<T>::get(&who);
        for part in [Part::Validator, Part::Provider] {
            let (minimum, error) = Self::minimum(part);
            ensure!(ledger.part(part).active >= minimum, error);
        }
        ensure!(T::Session::session_index() >= ledger.barred_until, Error::<T>::Barred);
        if Candidates::<T>::decode_len().unwrap_or_default() >= T::MaxCandidates::get() as usize {
            Self::displace(ledger.validator.active)?;
        }
        Self::add_candidate(&who)?;
        Self::deposit_event(Event::Validating { account: who });
        Ok(())
    }

    fn add_candidate(who: &AccountId) -> DispatchResult {
        Candidates::<T>::try_mutate(|candidates| match candidates.binary_search(who) {
            Ok(_) => Ok(()),
            Err(at) => {
                candidates.try_insert(at, who.clone()).map_err(|_| Error::<T>::TooManyCandidates)?;
                Ok(())
            }
        })
    }

    /// Makes room for a candidate with this bond: minimum bonds cannot buy up all places.
    fn displace(bond: Balance) -> DispatchResult {
        let lowest = Candidates::<T>::get()
            .into_iter()
            .filter(|c| !Self::is_serving(c))
            .map(|c| (Ledgers::<T>::get(&c).validator.active, c))
            .min();
        match lowest {
            Some((less, who)) if less < bond => {
                Self::remove_candidate(&who, ChillReason::Displaced);
                Ok(())
            }
            _ => Err(Error::<T>::TooManyCandidates.into()),
        }
    }

    /// Returns whether the account stood for election.
    pub(crate) fn remove_candidate(who: &AccountId, reason: ChillReason) -> bool {
        Candidates::<T>::mutate(|candidates| match candidates.binary_search(who) {
            Err(_) => false,
            Ok(at) => {
                candidates.remove(at);
                Self::deposit_event(Event::Chilled { account: who.clone(), reason });
                true
            }
        })
    }

    /// Until when an offence that became known in this session bars its author.
    pub(crate) fn barred_from(session: SessionIndex) -> SessionIndex {
        session.saturating_add(T::BarSessions::get())
    }

    pub(crate) fn do_set_counts(counts: ValidatorCounts) -> DispatchResult {
        let ValidatorCounts { minimum, target } = counts;
        ensure!(minimum >= 1 && minimum <= target && target <= T::MaxValidators::get(), Error::<T>::BadCounts);
        Counts::<T>::put(counts);
        Ok(())
    }

    /// A genesis state has no caller to return an error to: one that cannot be built must not come into being, so this stops it
    /// and says what to change.
    #[allow(clippy::panic)]
    pub(crate) fn build_genesis(bonds: &[GenesisBond], counts: Option<ValidatorCounts>) {
        if counts.map_or(Ok(()), Self::do_set_counts).is_err() {
            let most = T::MaxValidators::get();
            panic!("staking.counts: {counts:?} must satisfy 1 <= minimum <= target <= {most}");
        }
        for (i, GenesisBond { account, validator, provider }) in bonds.iter().enumerate() {
            let parts = [(Part::Validator, "validator", *validator), (Part::Provider, "provider", *provider)];
            for (part, field, amount) in parts.into_iter().filter(|(_, _, amount)| *amount > 0) {
                if let Err(error) = Self::do_bond(account, part, amount) {
                    let (least, error) = (Self::minimum(part).0, <&str>::from(error));
                    panic!(
                        "staking.bonds[{i}].{field} of {account:?}: {error}: give 0 or at least {least}, and endow the account in \
                         balances.balances with both parts and an existential deposit"
                    );
                }
            }
            // Session keys are set elsewhere in the genesis state, or the election will pass over the account.
            if *validator > 0 && Self::add_candidate(account).is_err() {
                let most = T::MaxCandidates::get();
                panic!("staking.bonds[{i}].validator of {account:?}: at most {most} accounts may stand for election");
            }
        }
    }

    pub(crate) fn info_of(who: &AccountId) -> Option<BondInfo> {
        let ledger = Ledgers::<T>::try_get(who).ok()?;
        let serving = Self::is_serving(who);
        let held = serving || T::Session::session_index() < ledger.served_until;
        Some(BondInfo {
            free_exposure: ledger.free_exposure(),
            validating: Self::is_candidate(who),
            serving,
            withdrawable_validator: if held { 0 } else { Self::withdrawable(&ledger, Part::Validator) },
            withdrawable_provider: Self::withdrawable(&ledger, Part::Provider),
            ledger,
        })
    }

    pub(crate) fn standing_now() -> Vec<(AccountId, Balance, bool)> {
        let mut all: Vec<_> = Candidates::<T>::get()
            .into_iter()
            .map(|c| {
                let electable = Self::electable(&c);
                (c.clone(), Ledgers::<T>::get(&c).validator.active, electable.is_some())
            })
            .collect();
        all.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        all
    }

    /// Executes a pending slash of one part: pays `to` in order out of it and burns the rest. Returns what was burned.
    pub(crate) fn slash(who: &AccountId, part: Part, amount: Balance, to: &[(AccountId, Balance)]) -> Balance {
        let mut ledger = Ledgers::<T>::get(who);
        let amount = ledger.execute(part, amount);
        Self::store(who, ledger);
        let reason = part.reason().into();
        let mut left = amount;
        for (payee, share) in to {
            let share = (*share).min(left);
            if share == 0 {
                continue;
            }
            let paid = with_storage_layer(|| {
                T::Currency::transfer_on_hold(
                    &reason,
                    who,
                    payee,
                    share,
                    Precision::Exact,
                    Restriction::Free,
                    Fortitude::Force,
                )
            });
            match paid {
                Ok(_) => left = left.saturating_sub(share),
                // It stays in `left`, and burns.
                Err(_) => Self::deposit_event(Event::PayoutBurned { payee: payee.clone(), amount: share }),
            }
        }
        // The ledger never says more than what is held.
        let burned = T::Currency::burn_held(&reason, who, left, Precision::BestEffort, Fortitude::Force)
            .defensive_proof("a hold can always be burned by force; qed")
            .unwrap_or_default();
        defensive_assert!(burned == left, "the ledger said more than was held");
        Self::deposit_event(Event::Slashed { account: who.clone(), part, amount, burned });
        burned
    }

    /// What is held of an account for a part.
    pub fn held(who: &AccountId, part: Part) -> Balance {
        T::Currency::balance_on_hold(&part.reason().into(), who)
    }
}

impl<T: Config> BondManager for Pallet<T> {
    /// Active and unbonding: everything that a slash can reach.
    fn bond(controller: &AccountId) -> Balance {
        Ledgers::<T>::get(controller).provider.total()
    }

    fn free_exposure(controller: &AccountId) -> Balance {
        Ledgers::<T>::get(controller).free_exposure()
    }

    fn bond_and_free(controller: &AccountId) -> (Balance, Balance) {
        let ledger = Ledgers::<T>::get(controller);
        (ledger.provider.total(), ledger.free_exposure())
    }

    fn reserve(controller: &AccountId, id: &BackingId, amount: Balance) -> DispatchResult {
        ensure!(!Backings::<T>::contains_key(controller, id), Error::<T>::DuplicateBacking);
        Ledgers::<T>::try_mutate_exists(controller, |slot| {
            let ledger = slot.as_mut().ok_or(Error::<T>::InsufficientExposure)?;
            ledger.reserve(amount).map_err(|_| Error::<T>::InsufficientExposure)?;
            Backings::<T>::insert(controller, id, amount);
            Ok(())
        })
    }

    fn release(controller: &AccountId, id: &BackingId) {
        if let Some(amount) = Backings::<T>::take(controller, id) {
            Ledgers::<T>::mutate_exists(controller, |slot| match slot.as_mut() {
                Some(ledger) => ledger.reserved = ledger.reserved.defensive_saturating_sub(amount),
                // Slashed to nothing by claims that left this backing a remainder of zero.
                None => defensive_assert!(amount == 0, "a backing without a ledger"),
            });
        }
    }

    fn claim(controller: &AccountId, amount: Balance) -> Balance {
        Self::claim_in_ledger(controller, 0, amount)
    }

    fn claim_backing(controller: &AccountId, id: &BackingId, amount: Balance) -> Balance {
        let backed = Backings::<T>::get(controller, id).unwrap_or_default().min(amount);
        if backed > 0 {
            Backings::<T>::mutate(controller, id, |left| {
                *left = left.map(|l| l.defensive_saturating_sub(backed));
            });
        }
        Self::claim_in_ledger(controller, backed, amount.saturating_sub(backed))
    }

    fn unclaim(controller: &AccountId, amount: Balance) {
        Ledgers::<T>::mutate_exists(controller, |slot| {
            if let Some(ledger) = slot.as_mut() {
                ledger.claimed = ledger.claimed.defensive_saturating_sub(amount);
            }
        });
    }

    fn slash_claimed(controller: &AccountId, amount: Balance, to: &[(AccountId, Balance)]) -> Balance {
        Self::slash(controller, Part::Provider, amount, to)
    }

    fn bar(controller: &AccountId) {
        let until = Self::barred_from(T::Session::session_index());
        Ledgers::<T>::mutate_exists(controller, |slot| {
            if let Some(ledger) = slot.as_mut() {
                ledger.barred_until = ledger.barred_until.max(until);
            }
        });
        // Inference changes who is elected next, at the pace of elections; it never cuts a validator's session short.
        Self::remove_candidate(controller, ChillReason::Offence);
    }
}

impl<T: Config> Pallet<T> {
    fn claim_in_ledger(controller: &AccountId, backed: Balance, more: Balance) -> Balance {
        Ledgers::<T>::mutate_exists(controller, |slot| slot.as_mut().map_or(0, |ledger| ledger.claim(backed, more)))
    }
}

//! The session manager: elections, idle validators, history.

use crate::{election::max_removals, *};
use alloc::vec::Vec;
use assay_primitives::{AccountId, Balance};
use frame::{
    prelude::*,
    traits::{ValidatorRegistration, ValidatorSet},
};
use polkadot_sdk::{
    pallet_authorship,
    pallet_session::{self, SessionInterface, SessionManager as _},
    sp_staking::SessionIndex,
};

/// A validator is only called idle after as many blocks that this many would have been its share: at random, the chance that
/// it had no slot among them is `(1 - 1/n)^(16 n) < e^-16`, one in ten million.
pub const IDLE_SHARE: u64 = 16;

impl<T: Config> Pallet<T> {
    fn validators() -> Vec<AccountId> {
        <T::Session as ValidatorSet<_>>::validators()
    }

    /// The validator bond of a candidate that could be elected now.
    pub(crate) fn electable(who: &AccountId) -> Option<Balance> {
        let ledger = Ledgers::<T>::get(who);
        let eligible = ledger.validator.active >= T::MinValidatorBond::get()
            && ledger.provider.active >= T::MinProviderBond::get()
            && T::Session::is_registered(who);
        eligible.then_some(ledger.validator.active)
    }

    fn election_due(planned: SessionIndex) -> bool {
        let last = LastElection::<T>::get();
        ElectionForced::<T>::get()
            || last.is_none_or(|last| planned.saturating_sub(last) >= T::SessionsPerElection::get())
    }

    /// Plans a session: the set that validates in it, or none if the present one simply goes on.
    pub(crate) fn plan(planned: SessionIndex) -> Option<Vec<AccountId>> {
        if !Self::election_due(planned) {
            return None;
        }
        let present = Self::validators();
        let previous: Vec<AccountId> = present.iter().filter(|v| T::Session::is_registered(v)).cloned().collect();
        let lost = present.len().saturating_sub(previous.len());
        // Slashes are deferred for more sessions than it takes the set to lose its offenders.
        let accused: Vec<AccountId> = previous.iter().filter(|v| Ledgers::<T>::get(v).accused > 0).cloned().collect();
        let standing = Candidates::<T>::get();
        let candidates: Vec<_> =
            standing.iter().filter_map(|c| Self::electable(c).map(|bond| (c.clone(), bond))).collect();
        let ValidatorCounts { minimum, target } = Counts::<T>::get();
        let elected = election::elect(&previous, lost, &accused, candidates, target as usize, minimum as usize);
        let failed = elected.is_none();
        // The present set again, as a set: sessions then forget who was disabled, and finality renews its authorities.
        let mut next = elected.unwrap_or(previous);
        next.truncate(T::MaxValidators::get() as usize);
        if failed && planned > 1 {
            Self::deposit_event(Event::ElectionFailed { session: planned });
        }
        if next.is_empty() {
            return None;
        }
        for gone in present.iter().filter(|p| !next.contains(p)) {
            // It still validates in the session before the planned one.
            Ledgers::<T>::mutate_exists(gone, |slot| {
                if let Some(ledger) = slot.as_mut() {
                    ledger.served_until = planned.saturating_add(T::UnbondingSessions::get());
                }
            });
        }
        LastElection::<T>::put(planned);
        // Few may leave at a time: while somebody in the set no longer stands, the next session goes on removing.
        if next.iter().all(|who| standing.binary_search(who).is_ok()) {
            ElectionForced::<T>::kill();
        }
        Elected::<T>::put(BoundedVec::truncate_from(next.clone()));
        if !failed {
            Self::deposit_event(Event::ValidatorsElected { session: planned, count: next.len() as u32 });
        }
        Some(next)
    }

    /// Who validates in one of the two sessions that the genesis state fixes.
    ///
    /// Genesis is built in the order of the pallets. Where the sessions come first, nobody stands yet when they ask, and whoever
    /// has keys in the genesis state validates; asked again by [`Self::note_first_sessions`], this says who that was.
    fn plan_genesis(planned: SessionIndex) -> Option<Vec<AccountId>> {
        let present = Self::validators();
        if present.is_empty() {
            Self::plan(planned)
        } else {
            Some(present)
        }
    }

    /// Enters the validators of sessions 0 and 1 into the history, if the session pallet has chosen them before: an offence in
    /// those sessions can otherwise not be proven.
    pub(crate) fn note_first_sessions() {
        if !Self::validators().is_empty() {
            for session in 0..=1 {
                // The answer is not needed: they validate already.
                let _ = T::History::new_session_genesis(session);
            }
        }
    }

    /// A session begins: records of service follow the set, and history ends where nothing can be reported any more.
    pub(crate) fn begin(session: SessionIndex) {
        let validators = Self::validators();
        let gone: Vec<AccountId> = Services::<T>::iter_keys().filter(|who| !validators.contains(who)).collect();
        gone.iter().for_each(Services::<T>::remove);
        let blocks = BlocksAuthored::<T>::get();
        for who in validators.into_iter().filter(|who| !Services::<T>::contains_key(who)) {
            Services::<T>::insert(who, Service { idle_since: session, blocks });
        }
        if let Some(oldest) = session.checked_sub(T::UnbondingSessions::get()) {
            T::Session::prune_up_to(oldest);
            if let Some(past) = oldest.checked_sub(1) {
                // At most one entry per validator of that session.
                let _ = Faults::<T>::clear_prefix(past, T::MaxValidators::get(), None);
            }
        }
    }

    /// A session ends: validators that have authored nothing for too long no longer stand, at most as many at a time as may
    /// leave the set.
    pub(crate) fn end(session: SessionIndex) {
        let validators = Self::validators();
        let blocks = BlocksAuthored::<T>::get();
        let share = (validators.len() as u64).saturating_mul(IDLE_SHARE);
        let idle = validators.iter().filter(|who| {
            Services::<T>::get(who).is_some_and(|s| {
                session.saturating_add(1).saturating_sub(s.idle_since) >= T::IdleSessions::get()
                    && blocks.saturating_sub(s.blocks) >= share
            })
        });
        for who in idle.filter(|who| Self::is_candidate(who)).take(max_removals(validators.len())) {
            Self::remove_candidate(who, ChillReason::Idle);
            ElectionForced::<T>::put(true);
        }
    }

    /// The current block's author.
    pub(crate) fn authored(who: AccountId) {
        let blocks = BlocksAuthored::<T>::mutate(|n| {
            *n = n.saturating_add(1);
            *n
        });
        let idle_since = T::Session::session_index().saturating_add(1);
        Services::<T>::mutate_exists(who, |slot| {
            if let Some(service) = slot.as_mut() {
                *service = Service { idle_since, blocks };
            }
        });
    }
}

impl<T: Config> pallet_session::SessionManager<AccountId> for Pallet<T> {
    fn new_session(planned: SessionIndex) -> Option<Vec<AccountId>> {
        Self::plan(planned)
    }
    fn new_session_genesis(planned: SessionIndex) -> Option<Vec<AccountId>> {
        Self::plan_genesis(planned)
    }
    fn start_session(session: SessionIndex) {
        Self::begin(session)
    }
    fn end_session(session: SessionIndex) {
        Self::end(session)
    }
}

/// A bond is slashed where it lies, so that history need not remember what it was.
impl<T: Config> pallet_session::historical::SessionManager<AccountId, ()> for Pallet<T> {
    fn new_session(planned: SessionIndex) -> Option<Vec<(AccountId, ())>> {
        Some(Self::plan(planned)?.into_iter().map(|who| (who, ())).collect())
    }
    fn new_session_genesis(planned: SessionIndex) -> Option<Vec<(AccountId, ())>> {
        Some(Self::plan_genesis(planned)?.into_iter().map(|who| (who, ())).collect())
    }
    fn start_session(session: SessionIndex) {
        Self::begin(session)
    }
    fn end_session(session: SessionIndex) {
        Self::end(session)
    }
}

impl<T: Config> pallet_authorship::EventHandler<AccountId, BlockNumberFor<T>> for Pallet<T> {
    fn note_author(author: AccountId) {
        Self::authored(author)
    }
}

//! Benchmarks of every call and of the work that hooks do per item.

use crate::*;
use alloc::vec::Vec;
use assay_primitives::{AccountId, Balance};
use codec::Decode;
use frame::{
    benchmarking::prelude::*,
    deps::sp_runtime::{traits::TrailingZeroInput, Perbill},
    token::fungible::Mutate,
    traits::ValidatorSet,
};
use polkadot_sdk::{
    pallet_session::SessionInterface,
    sp_staking::offence::{OffenceDetails, OnOffenceHandler},
};

type KeysOf<T> = <<T as Config>::Session as SessionInterface>::Keys;

fn rich<T: Config>(name: &'static str, n: u32) -> AccountId {
    let who: AccountId = account(name, n, 0);
    let _ = T::Currency::mint_into(&who, Balance::MAX / 10_000);
    who
}

fn bonded<T: Config>(name: &'static str, n: u32, more: Balance) -> Result<AccountId, BenchmarkError> {
    let who = rich::<T>(name, n);
    Pallet::<T>::do_bond(&who, Part::Validator, T::MinValidatorBond::get().saturating_add(more))?;
    Pallet::<T>::do_bond(&who, Part::Provider, T::MinProviderBond::get().saturating_add(more))?;
    Ok(who)
}

fn keys<T: Config>(who: &AccountId) -> Result<(), BenchmarkError> {
    let seed = [who.as_ref() as &[u8], who.as_ref(), who.as_ref(), who.as_ref()].concat();
    let keys = KeysOf::<T>::decode(&mut TrailingZeroInput::new(&seed)).map_err(|_| "session keys do not decode")?;
    T::Session::set_keys(who, keys)?;
    Ok(())
}

/// That many bonded candidates.
fn field<T: Config>(n: u32) -> Result<(), BenchmarkError> {
    let mut all = Vec::new();
    for i in 0..n {
        all.push(bonded::<T>("candidate", i, 0)?);
    }
    all.sort();
    Candidates::<T>::put(BoundedVec::truncate_from(all));
    Ok(())
}

/// Fills all places for chunks but `free`.
fn chunks<T: Config>(who: &AccountId, part: Part, free: u32) {
    let now = T::Session::session_index();
    Ledgers::<T>::mutate(who, |ledger| {
        for i in 0..MAX_CHUNKS.saturating_sub(free) {
            let _ = ledger.part_mut(part).unbond(1, now.saturating_add(i));
        }
    });
}

fn accused<T: Config>() -> Result<AccountId, BenchmarkError> {
    let who = bonded::<T>("offender", 0, 1_000_000)?;
    let offender = OffenceDetails { offender: (who.clone(), ()), reporters: Vec::new() };
    let session = T::Session::session_index();
    <Pallet<T> as OnOffenceHandler<_, _, Weight>>::on_offence(&[offender], &[Perbill::from_percent(10)], session);
    Ok(who)
}

#[benchmarks]
mod benches {
    use super::*;

    #[benchmark]
    fn bond() -> Result<(), BenchmarkError> {
        let who = bonded::<T>("account", 0, 0)?;

        #[extrinsic_call]
        _(RawOrigin::Signed(who.clone()), Part::Provider, 1_000);

        assert!(Ledgers::<T>::get(who).provider.active > T::MinProviderBond::get());
        Ok(())
    }

    #[benchmark]
    fn unbond() -> Result<(), BenchmarkError> {
        let who = bonded::<T>("account", 0, 1_000_000)?;
        chunks::<T>(&who, Part::Provider, 1);

        #[extrinsic_call]
        _(RawOrigin::Signed(who.clone()), Part::Provider, 1_000);

        assert_eq!(Ledgers::<T>::get(who).provider.unlocking.len(), MAX_CHUNKS as usize);
        Ok(())
    }

    #[benchmark]
    fn withdraw_unbonded() -> Result<(), BenchmarkError> {
        let who = bonded::<T>("account", 0, 1_000_000)?;
        let now = T::Session::session_index();
        Ledgers::<T>::mutate(&who, |ledger| {
            let all = ledger.validator.active;
            let _ = ledger.validator.unbond(all, now);
        });

        #[extrinsic_call]
        _(RawOrigin::Signed(who.clone()), Part::Validator);

        assert_eq!(Ledgers::<T>::get(who).validator.total(), 0);
        Ok(())
    }

    /// Into a full field: only then are all candidates looked at, for the one with the lowest bond.
    #[benchmark]
    fn validate() -> Result<(), BenchmarkError> {
        field::<T>(T::MaxCandidates::get())?;
        let who = bonded::<T>("account", 0, 1_000_000)?;
        keys::<T>(&who)?;

        #[extrinsic_call]
        _(RawOrigin::Signed(who.clone()));

        assert!(Pallet::<T>::is_candidate(&who));
        Ok(())
    }

    #[benchmark]
    fn chill(c: Linear<1, { T::MaxCandidates::get() }>) -> Result<(), BenchmarkError> {
        field::<T>(c)?;
        let who = Candidates::<T>::get().first().cloned().ok_or("no candidate")?;

        #[extrinsic_call]
        _(RawOrigin::Signed(who.clone()));

        assert!(!Pallet::<T>::is_candidate(&who));
        Ok(())
    }

    #[benchmark]
    fn set_counts() -> Result<(), BenchmarkError> {
        let origin = T::AdminOrigin::try_successful_origin().map_err(|_| BenchmarkError::Weightless)?;
        let counts = ValidatorCounts { minimum: 1, target: T::MaxValidators::get() };

        #[extrinsic_call]
        _(origin as T::RuntimeOrigin, counts);

        assert_eq!(Counts::<T>::get(), counts);
        Ok(())
    }

    #[benchmark]
    fn cancel_slash() -> Result<(), BenchmarkError> {
        let origin = T::SlashCancelOrigin::try_successful_origin().map_err(|_| BenchmarkError::Weightless)?;
        let who = accused::<T>()?;

        #[extrinsic_call]
        _(origin as T::RuntimeOrigin, 0);

        assert_eq!(Ledgers::<T>::get(who).accused, 0);
        Ok(())
    }

    #[benchmark]
    fn accuse() -> Result<(), BenchmarkError> {
        field::<T>(T::MaxCandidates::get())?;
        let who;

        #[block]
        {
            who = accused::<T>()?;
        }

        assert!(Ledgers::<T>::get(who).accused > 0);
        Ok(())
    }

    #[benchmark]
    fn execute_slash() -> Result<(), BenchmarkError> {
        let who = accused::<T>()?;
        let amount = Ledgers::<T>::get(&who).accused;
        chunks::<T>(&who, Part::Validator, 0);

        #[block]
        {
            PendingSlashes::<T>::remove(0);
            Pallet::<T>::slash(&who, Part::Validator, amount, &[]);
        }

        assert_eq!(Ledgers::<T>::get(who).accused, 0);
        Ok(())
    }
}

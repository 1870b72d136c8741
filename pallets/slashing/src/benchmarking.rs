//! Benchmarks of every call and of the work that hooks do per item.

use crate::*;
use assay_primitives::{traits::OffenceSink, AccountId, Balance, Offence, OffenceKind, Params, Role, StageRef};
use frame::{
    benchmarking::prelude::*,
    token::fungible::{Inspect, Mutate},
};

/// What a benchmark needs of the rest of the runtime.
pub trait BenchmarkHelper {
    /// Gives an account a provider bond of at least this much.
    fn bond(who: &AccountId, amount: Balance);
}

/// Reports a fault whose payees cannot receive what they are owed.
fn reported<T: Config>(n: u32, kind: OffenceKind) -> AccountId {
    Pallet::<T>::endow_pot();
    let offender: AccountId = account("offender", n, 0);
    let _ = T::Currency::mint_into(&offender, Balance::MAX / 1_000);
    T::BenchmarkHelper::bond(&offender, 1_000_000_000);
    let offence = Offence {
        at: StageRef { job: H256::repeat_byte(1), attempt: n, stage: 0 },
        role: Role::Executor,
        offender: offender.clone(),
        kind,
        backing: 1_000,
        pay: 300,
        insured: 1,
        client: account("client", n, 0),
        reporter: Some(account("reporter", n, 0)),
    };
    Pallet::<T>::report(&Params::public(), offence);
    offender
}

#[benchmarks]
mod benches {
    use super::*;

    #[benchmark]
    fn cancel() -> Result<(), BenchmarkError> {
        let origin = T::SlashCancelOrigin::try_successful_origin().map_err(|_| BenchmarkError::Weightless)?;
        reported::<T>(0, OffenceKind::Equivocation);

        #[extrinsic_call]
        _(origin as T::RuntimeOrigin, 0);

        assert!(!Pending::<T>::contains_key(0));
        Ok(())
    }

    #[benchmark]
    fn claim() {
        Pallet::<T>::endow_pot();
        let who: AccountId = account("client", 0, 0);
        let amount = T::Currency::minimum_balance();
        let _ = T::Currency::mint_into(&Pallet::<T>::pot(), amount);
        Unclaimed::<T>::insert(&who, amount);

        #[extrinsic_call]
        _(RawOrigin::Signed(whitelisted_caller()), who.clone());

        assert!(!Unclaimed::<T>::contains_key(who));
    }

    #[benchmark]
    fn execute_one() -> Result<(), BenchmarkError> {
        reported::<T>(0, OffenceKind::Equivocation);
        let slash = Pending::<T>::get(0).ok_or("nothing is pending")?;

        #[block]
        {
            Pending::<T>::remove(0);
            Pallet::<T>::execute(slash);
        }

        assert!(Unclaimed::<T>::iter().count() > 0);
        Ok(())
    }

    #[benchmark]
    fn forget_one() {
        reported::<T>(0, OffenceKind::NoCommit);

        #[block]
        {
            Pallet::<T>::forget(0);
        }

        assert_eq!(Reported::<T>::iter().count(), 0);
    }
}

//! `bond`.

use crate::{mock::*, *};
use frame::{prelude::*, testing_prelude::*};

#[test]
fn bond_holds_each_part_under_its_reason() {
    test(|| {
        assert_ok!(Staking::bond(signed(9), Part::Validator, 150));
        assert_eq!(last_event(), Event::Bonded { account: id(9), part: Part::Validator, amount: 150 });
        assert_ok!(Staking::bond(signed(9), Part::Provider, 60));
        assert_eq!((ledger(9).validator.active, ledger(9).provider.active), (150, 60));
        assert_eq!(Staking::held(&id(9), Part::Validator), 150);
        assert_eq!(Staking::held(&id(9), Part::Provider), 60);
        assert_eq!(Balances::free_balance(id(9)), RICH - 210);
    });
}

#[test]
fn bond_more_may_be_less_than_the_minimum() {
    test(|| {
        bond(9, 100, 0);
        assert_ok!(Staking::bond(signed(9), Part::Validator, 1));
        assert_eq!(ledger(9).validator.active, 101);
    });
}

#[test]
fn bond_below_the_minimum_is_refused() {
    test(|| {
        assert_noop!(Staking::bond(signed(9), Part::Validator, 99), Error::<Test>::ValidatorBondTooSmall);
        assert_noop!(Staking::bond(signed(9), Part::Provider, 49), Error::<Test>::ProviderBondTooSmall);
    });
}

#[test]
fn bond_nothing_is_refused() {
    test(|| {
        assert_noop!(Staking::bond(signed(1), Part::Validator, 0), Error::<Test>::ZeroAmount);
    });
}

#[test]
fn bond_more_than_owned_is_refused() {
    test(|| {
        assert_noop!(Staking::bond(signed(21), Part::Provider, 61), TokenError::FundsUnavailable);
        // The account must not die of it.
        assert_noop!(Staking::bond(signed(21), Part::Provider, 55), TokenError::FundsUnavailable);
        assert_ok!(Staking::bond(signed(21), Part::Provider, 50));
        assert_noop!(Staking::bond(signed(9), Part::Provider, Balance::MAX), TokenError::FundsUnavailable);
    });
}

type Balance = assay_primitives::Balance;

#[test]
fn bond_unsigned_is_refused() {
    test(|| {
        assert_noop!(Staking::bond(RuntimeOrigin::root(), Part::Validator, 100), DispatchError::BadOrigin);
    });
}

//! `unbond`.

use crate::{mock::*, *};
use assay_primitives::traits::BondManager;
use frame::testing_prelude::*;

#[test]
fn unbond_starts_the_way_out() {
    test(|| {
        rotate(1);
        bond(9, 0, 200);
        assert_ok!(Staking::unbond(signed(9), Part::Provider, 120));
        assert_eq!(last_event(), Event::Unbonded { account: id(9), part: Part::Provider, amount: 120, release: 6 });
        assert_eq!(ledger(9).provider.active, 80);
        assert_eq!(ledger(9).provider.unlocking.to_vec(), vec![Chunk { amount: 120, release: 6 }]);
        assert_eq!(Staking::held(&id(9), Part::Provider), 200, "still held");
        assert_eq!(<Staking as BondManager>::bond(&id(9)), 200, "still within reach of slashes");
        assert_eq!(<Staking as BondManager>::free_exposure(&id(9)), 80, "but backs nothing new");
    });
}

#[test]
fn unbond_everything_is_allowed() {
    test(|| {
        bond(9, 0, 200);
        assert_ok!(Staking::unbond(signed(9), Part::Provider, 200));
        assert_eq!(ledger(9).provider.active, 0);
    });
}

#[test]
fn unbond_to_below_the_minimum_is_refused() {
    test(|| {
        bond(9, 150, 200);
        assert_noop!(Staking::unbond(signed(9), Part::Provider, 151), Error::<Test>::RemainderTooSmall);
        assert_noop!(Staking::unbond(signed(9), Part::Validator, 51), Error::<Test>::RemainderTooSmall);
    });
}

#[test]
fn unbond_while_validating_keeps_both_minimums() {
    test(|| {
        for part in [Part::Validator, Part::Provider] {
            let all = ledger(1).part(part).active;
            assert_noop!(Staking::unbond(signed(1), part, all), Error::<Test>::StillValidating);
        }
        assert_ok!(Staking::unbond(signed(1), Part::Validator, 900));
        assert_ok!(Staking::chill(signed(1)));
        assert_ok!(Staking::unbond(signed(1), Part::Validator, 100));
    });
}

#[test]
fn unbond_more_than_bonded_is_refused() {
    test(|| {
        bond(9, 0, 200);
        assert_noop!(Staking::unbond(signed(9), Part::Provider, 201), Error::<Test>::InsufficientBond);
        assert_noop!(Staking::unbond(signed(9), Part::Validator, 1), Error::<Test>::InsufficientBond);
        assert_noop!(Staking::unbond(signed(9), Part::Provider, 0), Error::<Test>::ZeroAmount);
    });
}

#[test]
fn unbond_in_too_many_sessions_is_refused() {
    test(|| {
        bond(9, 0, 1_000);
        for _ in 0..MAX_CHUNKS {
            assert_ok!(Staking::unbond(signed(9), Part::Provider, 1));
            rotate(1);
        }
        assert_noop!(Staking::unbond(signed(9), Part::Provider, 1), Error::<Test>::TooManyChunks);
        assert_ok!(Staking::withdraw_unbonded(signed(9), Part::Provider));
        assert_ok!(Staking::unbond(signed(9), Part::Provider, 1));
    });
}

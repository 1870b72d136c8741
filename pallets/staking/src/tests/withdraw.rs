//! `withdraw_unbonded`.

use crate::{mock::*, *};
use assay_primitives::traits::BondManager;
use frame::testing_prelude::*;

#[test]
fn withdraw_after_the_period_frees_the_tokens() {
    test(|| {
        bond(9, 0, 200);
        assert_ok!(Staking::unbond(signed(9), Part::Provider, 200));
        rotate(4);
        assert_noop!(Staking::withdraw_unbonded(signed(9), Part::Provider), Error::<Test>::NothingUnlocked);
        rotate(1);
        assert_ok!(Staking::withdraw_unbonded(signed(9), Part::Provider));
        assert_eq!(last_event(), Event::Withdrawn { account: id(9), part: Part::Provider, amount: 200 });
        assert_eq!(Balances::free_balance(id(9)), RICH);
        assert!(!Ledgers::<Test>::contains_key(id(9)), "nothing stays behind");
    });
}

#[test]
fn withdraw_without_bond_is_refused() {
    test(|| {
        assert_noop!(Staking::withdraw_unbonded(signed(9), Part::Provider), Error::<Test>::NothingUnlocked);
        assert_noop!(Staking::withdraw_unbonded(signed(9), Part::Validator), Error::<Test>::NothingUnlocked);
    });
}

#[test]
fn withdraw_leaves_what_backs_open_work() {
    test(|| {
        bond(9, 0, 200);
        assert_ok!(<Staking as BondManager>::reserve(&id(9), &backing(1), 150));
        assert_ok!(Staking::unbond(signed(9), Part::Provider, 200));
        rotate(5);
        assert_ok!(Staking::withdraw_unbonded(signed(9), Part::Provider));
        assert_eq!(last_event(), Event::Withdrawn { account: id(9), part: Part::Provider, amount: 50 });
        assert_noop!(Staking::withdraw_unbonded(signed(9), Part::Provider), Error::<Test>::StillClaimed);
        <Staking as BondManager>::release(&id(9), &backing(1));
        assert_ok!(Staking::withdraw_unbonded(signed(9), Part::Provider));
        assert_eq!(Balances::free_balance(id(9)), RICH);
    });
}

#[test]
fn withdraw_leaves_what_a_pending_slash_claims() {
    test(|| {
        bond(9, 0, 200);
        assert_eq!(<Staking as BondManager>::claim(&id(9), 200), 200);
        assert_ok!(Staking::unbond(signed(9), Part::Provider, 200));
        rotate(5);
        assert_noop!(Staking::withdraw_unbonded(signed(9), Part::Provider), Error::<Test>::StillClaimed);
        <Staking as BondManager>::unclaim(&id(9), 200);
        assert_ok!(Staking::withdraw_unbonded(signed(9), Part::Provider));
    });
}

#[test]
fn withdraw_validator_part_waits_until_service_cannot_be_reported() {
    test(|| {
        assert_ok!(Staking::chill(signed(1)));
        assert_ok!(Staking::unbond(signed(1), Part::Validator, 1_000));
        // The next election is for session 3 and planned at the start of session 2: 1 validates until then.
        rotate(2);
        assert!(!Elected::<Test>::get().contains(&id(1)));
        assert!(Session::validators().contains(&id(1)));
        rotate(1);
        assert!(!Session::validators().contains(&id(1)));
        rotate(2);
        assert_eq!(Session::current_index(), 5, "the chunk is due");
        assert_noop!(Staking::withdraw_unbonded(signed(1), Part::Validator), Error::<Test>::StillServing);
        rotate(3);
        assert_eq!(Session::current_index(), 3 + 5);
        assert_ok!(Staking::withdraw_unbonded(signed(1), Part::Validator));
        assert_eq!(last_event(), Event::Withdrawn { account: id(1), part: Part::Validator, amount: 1_000 });
    });
}

#[test]
fn withdraw_validator_part_of_the_elected_is_refused() {
    test(|| {
        assert_ok!(Staking::unbond(signed(1), Part::Validator, 500));
        rotate(6);
        assert_noop!(Staking::withdraw_unbonded(signed(1), Part::Validator), Error::<Test>::StillServing);
    });
}

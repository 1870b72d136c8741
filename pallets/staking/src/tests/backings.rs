//! The provider part, as the other pallets use it.

use crate::{mock::*, *};
use assay_primitives::traits::BondManager;
use frame::testing_prelude::*;

type Bonds = Staking;

#[test]
fn reserve_takes_free_exposure_and_release_returns_it() {
    test(|| {
        assert_eq!(<Bonds as BondManager>::free_exposure(&id(1)), 500);
        assert_ok!(<Bonds as BondManager>::reserve(&id(1), &backing(1), 300));
        assert_eq!((<Bonds as BondManager>::free_exposure(&id(1)), ledger(1).reserved), (200, 300));
        assert_eq!(<Bonds as BondManager>::bond(&id(1)), 500);
        <Bonds as BondManager>::release(&id(1), &backing(1));
        <Bonds as BondManager>::release(&id(1), &backing(1));
        assert_eq!((<Bonds as BondManager>::free_exposure(&id(1)), ledger(1).reserved), (500, 0));
        assert_eq!(Backings::<Test>::iter().count(), 0);
    });
}

#[test]
fn reserve_more_than_free_or_twice_is_refused() {
    test(|| {
        assert_noop!(<Bonds as BondManager>::reserve(&id(1), &backing(1), 501), Error::<Test>::InsufficientExposure);
        assert_noop!(<Bonds as BondManager>::reserve(&id(9), &backing(1), 0), Error::<Test>::InsufficientExposure);
        assert_ok!(<Bonds as BondManager>::reserve(&id(1), &backing(1), 1));
        assert_noop!(<Bonds as BondManager>::reserve(&id(1), &backing(1), 1), Error::<Test>::DuplicateBacking);
        // Another provider's backing may have the same id: two checkers of one stage.
        assert_ok!(<Bonds as BondManager>::reserve(&id(2), &backing(1), 1));
    });
}

#[test]
fn claim_out_of_a_backing_outlives_its_release() {
    test(|| {
        assert_ok!(<Bonds as BondManager>::reserve(&id(1), &backing(1), 500));
        assert_eq!(<Bonds as BondManager>::claim_backing(&id(1), &backing(1), 120), 120);
        assert_eq!((ledger(1).reserved, ledger(1).claimed), (380, 120));
        <Bonds as BondManager>::release(&id(1), &backing(1));
        assert_eq!((ledger(1).reserved, ledger(1).claimed), (0, 120));
        assert_eq!(<Bonds as BondManager>::free_exposure(&id(1)), 380);
    });
}

#[test]
fn claim_beyond_the_backing_takes_only_what_nothing_reserves() {
    test(|| {
        assert_ok!(<Bonds as BondManager>::reserve(&id(1), &backing(1), 100));
        assert_ok!(<Bonds as BondManager>::reserve(&id(1), &backing(2), 300));
        assert_eq!(<Bonds as BondManager>::claim_backing(&id(1), &backing(1), 450), 200);
        assert_eq!((ledger(1).reserved, ledger(1).claimed), (300, 200), "the other work stays backed");
        assert_eq!(<Bonds as BondManager>::claim(&id(1), 1), 0);
        assert_eq!(<Bonds as BondManager>::claim(&id(9), 1), 0, "no bond, no claim");
    });
}

#[test]
fn slash_claimed_pays_in_order_and_burns_the_rest() {
    test(|| {
        let issuance = Balances::total_issuance();
        assert_eq!(<Bonds as BondManager>::claim(&id(1), 100), 100);
        assert_eq!(<Bonds as BondManager>::slash_claimed(&id(1), 100, &[(id(5), 30), (id(6), 20)]), 50);
        assert_eq!((Balances::free_balance(id(5)), Balances::free_balance(id(6))), (RICH + 30, RICH + 20));
        assert_eq!(Balances::total_issuance(), issuance - 50);
        assert_eq!((ledger(1).provider.active, ledger(1).claimed, ledger(1).validator.active), (400, 0, 1_000));
        assert_eq!(last_event(), Event::Slashed { account: id(1), part: Part::Provider, amount: 100, burned: 50 });
    });
}

#[test]
fn slash_claimed_never_takes_or_pays_more_than_was_claimed() {
    test(|| {
        assert_eq!(<Bonds as BondManager>::claim(&id(1), 40), 40);
        assert_eq!(<Bonds as BondManager>::slash_claimed(&id(1), 100, &[(id(5), 30), (id(6), 30)]), 0);
        assert_eq!((Balances::free_balance(id(5)), Balances::free_balance(id(6))), (RICH + 30, RICH + 10));
        assert_eq!(ledger(1).provider.active, 460);
    });
}

#[test]
fn slash_claimed_burns_what_its_payee_cannot_receive() {
    test(|| {
        let issuance = Balances::total_issuance();
        assert_eq!(<Bonds as BondManager>::claim(&id(1), 40), 40);
        // Account 99 does not exist, and 9 is below the existential deposit.
        assert_eq!(<Bonds as BondManager>::slash_claimed(&id(1), 40, &[(id(99), 9), (id(5), 20)]), 20);
        assert!(events().contains(&Event::PayoutBurned { payee: id(99), amount: 9 }));
        assert_eq!(Balances::total_issuance(), issuance - 20);
    });
}

#[test]
fn slash_claimed_reaches_unbonding_chunks() {
    test(|| {
        bond(9, 0, 200);
        assert_ok!(Staking::unbond(signed(9), Part::Provider, 200));
        assert_eq!(<Bonds as BondManager>::claim(&id(9), 150), 150);
        assert_eq!(<Bonds as BondManager>::slash_claimed(&id(9), 150, &[]), 150);
        assert_eq!(ledger(9).provider.total(), 50);
        rotate(5);
        assert_ok!(Staking::withdraw_unbonded(signed(9), Part::Provider));
        assert_eq!(Balances::free_balance(id(9)), RICH - 150);
    });
}

#[test]
fn slash_of_everything_removes_the_ledger_and_its_empty_backings_release_quietly() {
    test(|| {
        bond(9, 0, 200);
        assert_ok!(<Bonds as BondManager>::reserve(&id(9), &backing(1), 200));
        assert_eq!(<Bonds as BondManager>::claim_backing(&id(9), &backing(1), 200), 200);
        assert_eq!(<Bonds as BondManager>::slash_claimed(&id(9), 200, &[]), 200);
        assert!(!Ledgers::<Test>::contains_key(id(9)));
        <Bonds as BondManager>::release(&id(9), &backing(1));
        assert_eq!(Backings::<Test>::iter().count(), 0);
    });
}

//! Standing for election again after an offence.

use crate::{mock::*, *};
use assay_primitives::traits::BondManager;
use frame::{deps::sp_runtime::Perbill, prelude::*, testing_prelude::*};
use polkadot_sdk::sp_staking::offence::{OffenceDetails, OnOffenceHandler};

fn accuse(n: u8, percent: u32, session: u32) {
    let offender = OffenceDetails { offender: (id(n), ()), reporters: vec![] };
    <Staking as OnOffenceHandler<_, _, Weight>>::on_offence(&[offender], &[Perbill::from_percent(percent)], session);
}

#[test]
fn validate_after_a_consensus_offence_is_refused_until_the_bar_ends() {
    test(|| {
        accuse(1, 10, 0);
        assert_eq!(ledger(1).barred_until, 4);
        assert_noop!(Staking::validate(signed(1)), Error::<Test>::Barred);
        rotate(3);
        assert!(!Session::validators().contains(&id(1)));
        assert_eq!(ledger(1).validator.total(), 900, "its slash is executed by now");
        assert_noop!(Staking::validate(signed(1)), Error::<Test>::Barred);
        rotate(1);
        assert_ok!(Staking::validate(signed(1)));
        assert_eq!(last_event(), Event::Validating { account: id(1) });
        assert!(Candidates::<Test>::get().contains(&id(1)));
    });
}

#[test]
fn validate_after_a_second_offence_waits_for_the_later_bar() {
    test(|| {
        accuse(1, 10, 0);
        rotate(2);
        accuse(1, 10, 1);
        assert_eq!(ledger(1).barred_until, 6);
        // The same report again, or a lower one, prolongs nothing.
        rotate(1);
        accuse(1, 10, 1);
        assert_eq!(ledger(1).barred_until, 6);
        rotate(2);
        assert_noop!(Staking::validate(signed(1)), Error::<Test>::Barred);
        rotate(1);
        assert_ok!(Staking::validate(signed(1)));
    });
}

#[test]
fn validate_after_a_cancelled_accusation_is_possible_at_once() {
    test(|| {
        accuse(1, 10, 0);
        accuse(1, 25, 0);
        assert_ok!(Staking::cancel_slash(RuntimeOrigin::root(), 0));
        assert_noop!(Staking::validate(signed(1)), Error::<Test>::Barred);
        assert_ok!(Staking::cancel_slash(RuntimeOrigin::root(), 1));
        assert_eq!(ledger(1).barred_until, 0);
        assert_ok!(Staking::validate(signed(1)));
    });
}

#[test]
fn bar_for_an_inference_fault_changes_the_next_regular_election_and_disables_nobody() {
    test(|| {
        rotate(1);
        Staking::bar(&id(2));
        assert!(events().contains(&Event::Chilled { account: id(2), reason: ChillReason::Offence }));
        assert_eq!(ledger(2).barred_until, 5);
        assert!(Session::disabled_validators().is_empty());
        assert!(!ElectionForced::<Test>::get());
        assert_noop!(Staking::validate(signed(2)), Error::<Test>::Barred);
        rotate(1);
        assert!(Session::validators().contains(&id(2)), "elected for three sessions");
        rotate(2);
        assert!(!Session::validators().contains(&id(2)));
        rotate(1);
        assert_ok!(Staking::validate(signed(2)));
    });
}

#[test]
fn bar_of_somebody_without_bond_stores_nothing() {
    test(|| {
        Staking::bar(&id(20));
        assert!(!Ledgers::<Test>::contains_key(id(20)));
    });
}

//! Consensus offences.

use crate::{mock::*, *};
use assay_primitives::AccountId;
use frame::{
    deps::{frame_support::weights::WeightMeter, sp_runtime::Perbill},
    prelude::*,
    testing_prelude::*,
};
use polkadot_sdk::sp_staking::offence::{OffenceDetails, OnOffenceHandler};

fn report(n: &[u8], percent: u32, session: u32) {
    let offenders: Vec<OffenceDetails<AccountId, (AccountId, ())>> =
        n.iter().map(|n| OffenceDetails { offender: (id(*n), ()), reporters: vec![] }).collect();
    let fractions = vec![Perbill::from_percent(percent); n.len()];
    <Staking as OnOffenceHandler<_, _, Weight>>::on_offence(&offenders, &fractions, session);
}

#[test]
fn offence_is_pending_then_burns_the_validator_part_only() {
    test(|| {
        let issuance = Balances::total_issuance();
        report(&[1], 10, 0);
        assert_eq!(ledger(1).accused, 100);
        assert!(events().contains(&Event::ValidatorAccused {
            account: id(1),
            session: 0,
            fraction: Perbill::from_percent(10),
            amount: 100,
            index: Some(0)
        }));
        assert_eq!(Staking::pending_slashes().len(), 1);
        rotate(1);
        assert_eq!(Balances::total_issuance(), issuance, "not yet");
        rotate(1);
        assert_eq!((ledger(1).validator.total(), ledger(1).provider.total(), ledger(1).accused), (900, 500, 0));
        assert_eq!(Balances::total_issuance(), issuance - 100);
        assert!(events().contains(&Event::Slashed { account: id(1), part: Part::Validator, amount: 100, burned: 100 }));
        assert_eq!(PendingRange::<Test>::get(), (1, 1));
    });
}

#[test]
fn offence_disables_and_chills_its_offender() {
    test(|| {
        report(&[1], 10, 0);
        assert_eq!(Session::disabled_validators(), vec![0]);
        assert!(!Candidates::<Test>::get().contains(&id(1)));
        rotate(2);
        assert!(!Session::validators().contains(&id(1)), "elected in the next session already");
    });
}

#[test]
fn offence_of_two_validators_removes_one_in_each_session() {
    test(|| {
        report(&[1, 2], 10, 0);
        rotate(1);
        assert_eq!(Elected::<Test>::get().to_vec(), ids(&[3, 4, 2]), "one at a time");
        assert!(ElectionForced::<Test>::get());
        rotate(1);
        // Not only after the term of the set that was elected for the first of them.
        assert!(events().contains(&Event::ValidatorsElected { session: 3, count: 2 }));
        assert_eq!(Elected::<Test>::get().to_vec(), ids(&[3, 4]));
        assert!(!ElectionForced::<Test>::get());
        rotate(1);
        assert_eq!(Session::validators(), ids(&[3, 4]));
    });
}

#[test]
fn offence_removes_its_offender_before_who_chilled_voluntarily() {
    test(|| {
        assert_ok!(Staking::chill(signed(1)));
        report(&[2], 10, 0);
        rotate(1);
        assert_eq!(Elected::<Test>::get().to_vec(), ids(&[3, 4, 1]));
        rotate(1);
        assert_eq!(Elected::<Test>::get().to_vec(), ids(&[3, 4]));
    });
}

#[test]
fn offence_reported_again_costs_the_maximum_only() {
    test(|| {
        report(&[1], 10, 0);
        report(&[1, 2], 10, 0);
        report(&[1], 4, 0);
        assert_eq!((ledger(1).accused, ledger(2).accused), (100, 100));
        report(&[1, 2], 25, 0);
        assert_eq!((ledger(1).accused, ledger(2).accused), (250, 250));
        assert_eq!(Faults::<Test>::get(0, id(1)).unwrap().amount, 250);
        rotate(2);
        // The base stays what it was at the first report.
        report(&[1], 50, 0);
        assert_eq!(ledger(1).accused, 250);
        rotate(2);
        assert_eq!(ledger(1).validator.total(), 500);
    });
}

#[test]
fn offences_of_two_sessions_add_up() {
    test(|| {
        report(&[1], 10, 0);
        rotate(1);
        report(&[1], 10, 1);
        assert_eq!(ledger(1).accused, 200);
    });
}

#[test]
fn offence_reaches_unbonding_chunks() {
    test(|| {
        assert_ok!(Staking::chill(signed(1)));
        assert_ok!(Staking::unbond(signed(1), Part::Validator, 1_000));
        report(&[1], 100, 0);
        rotate(2);
        assert_eq!(ledger(1).validator.total(), 0);
        assert_eq!(Staking::held(&id(1), Part::Validator), 0);
        assert_eq!(ledger(1).provider.active, 500);
    });
}

#[test]
fn offence_without_fraction_or_too_old_changes_nothing() {
    test(|| {
        rotate(6);
        let before = ledger(1);
        report(&[1], 0, 6);
        report(&[1], 50, 0);
        assert_eq!(ledger(1), before);
        assert!(Session::disabled_validators().is_empty());
        report(&[1], 50, 1);
        assert_eq!(ledger(1).accused, 500);
    });
}

#[test]
fn offence_records_are_dropped_with_their_session() {
    test(|| {
        report(&[1, 2], 10, 0);
        rotate(6);
        assert_eq!(Faults::<Test>::iter().count(), 0);
    });
}

#[test]
fn offence_of_somebody_without_bond_is_only_recorded() {
    test(|| {
        report(&[20], 10, 0);
        assert!(!Ledgers::<Test>::contains_key(id(20)));
        assert_eq!(Faults::<Test>::get(0, id(20)).unwrap().amount, 0);
        assert!(Staking::pending_slashes().is_empty());
    });
}

#[test]
fn cancel_slash_gives_the_amount_back_for_good() {
    test(|| {
        report(&[1], 10, 0);
        assert_noop!(Staking::cancel_slash(signed(1), 0), DispatchError::BadOrigin);
        assert_ok!(Staking::cancel_slash(RuntimeOrigin::root(), 0));
        assert_eq!(last_event(), Event::SlashCancelled { account: id(1), index: 0, amount: 100 });
        assert_noop!(Staking::cancel_slash(RuntimeOrigin::root(), 0), Error::<Test>::UnknownSlash);
        report(&[1], 10, 0);
        assert_eq!(ledger(1).accused, 0, "the same report again");
        rotate(3);
        assert_eq!(ledger(1).validator.total(), 1_000);
        assert_eq!(PendingRange::<Test>::get(), (1, 1));
    });
}

#[test]
fn cancel_slash_approved_for_an_executed_one_hits_no_later_one() {
    test(|| {
        report(&[1], 10, 0);
        rotate(2);
        assert_eq!(ledger(1).accused, 0, "executed");
        report(&[2], 10, 2);
        assert_eq!(Staking::pending_slashes().iter().map(|(index, _)| *index).collect::<Vec<_>>(), vec![1]);
        assert_noop!(Staking::cancel_slash(RuntimeOrigin::root(), 0), Error::<Test>::UnknownSlash);
        rotate(2);
        assert_eq!((ledger(2).validator.total(), ledger(2).accused), (900, 0));
        assert_eq!(PendingRange::<Test>::get(), (2, 2));
    });
}

#[test]
fn offence_when_no_places_are_left_is_executed_at_once() {
    test(|| {
        PendingRange::<Test>::put((u32::MAX, u32::MAX));
        report(&[1], 10, 0);
        assert!(events().contains(&Event::ValidatorAccused {
            account: id(1),
            session: 0,
            fraction: Perbill::from_percent(10),
            amount: 100,
            index: None
        }));
        assert_eq!((ledger(1).validator.total(), ledger(1).accused), (900, 0));
        assert_eq!(PendingRange::<Test>::get(), (u32::MAX, u32::MAX));
        assert!(Staking::pending_slashes().is_empty());
    });
}

#[test]
fn execution_stops_at_the_weight_and_goes_on_later() {
    test(|| {
        report(&[1, 2, 3], 10, 0);
        (0..2).for_each(|_| Session::rotate_session());
        let weight = reads(2) + <Test as Config>::WeightInfo::execute_slash();
        Staking::on_poll(1, &mut WeightMeter::with_limit(weight));
        assert_eq!((ledger(1).accused, ledger(2).accused), (0, 100));
        assert_eq!(PendingRange::<Test>::get(), (1, 3));
        Staking::on_poll(1, &mut WeightMeter::with_limit(Weight::zero()));
        assert_eq!(PendingRange::<Test>::get(), (1, 3));
        poll();
        assert_eq!((ledger(2).accused, ledger(3).accused), (0, 0));
    });
}

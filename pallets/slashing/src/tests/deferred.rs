//! Slashes that wait.

use crate::{mock::*, *};
use assay_primitives::{traits::BondManager, Offence, OffenceKind};
use frame::{deps::frame_support::weights::WeightMeter, testing_prelude::*};

#[test]
fn objective_fault_is_claimed_now_and_executed_later() {
    test(|| {
        let issuance = Balances::total_issuance();
        reserve(1, 1);
        let fault = Offence { reporter: Some(id(21)), ..offence(1, 1, OffenceKind::Equivocation) };
        assert_eq!(report(fault), 600);
        <Staking as BondManager>::release(&id(1), &backing(1));
        assert_eq!((bond(1), <Staking as BondManager>::free_exposure(&id(1))), (2_000, 1_400));
        poll_at(109);
        assert_eq!(bond(1), 2_000);
        poll_at(110);
        assert_eq!(bond(1), 1_400);
        // 600: half burns, 100 of the rest is the client's loss, 150 a quarter for the reporter, 50 more burn.
        assert_eq!(Balances::free_balance(id(20)), RICH + 100);
        assert_eq!(Balances::free_balance(id(21)), RICH + 150);
        assert_eq!(Balances::total_issuance(), issuance - 350);
        assert!(matches!(last_event(), Event::SlashExecuted { client: 100, reporter: 150, burned: 350, .. }));
        assert_eq!(PendingRange::<Test>::get(), (1, 1));
    });
}

#[test]
fn verdict_by_votes_takes_a_tenth_of_the_bond_and_pays_no_reporter() {
    test(|| {
        reserve(1, 1);
        let fault = Offence { reporter: Some(id(21)), ..offence(1, 1, OffenceKind::WrongResult) };
        assert_eq!(report(fault), 200);
        poll_at(110);
        assert_eq!(bond(1), 1_800);
        assert_eq!(Balances::free_balance(id(20)), RICH + 100);
        assert_eq!(Balances::free_balance(id(21)), RICH);
    });
}

#[test]
fn reporter_of_itself_gets_nothing() {
    test(|| {
        let free = Balances::free_balance(id(1));
        let fault = Offence { reporter: Some(id(1)), insured: 0, ..offence(1, 1, OffenceKind::Equivocation) };
        assert_eq!(report(fault), 600);
        poll_at(110);
        assert_eq!(Balances::free_balance(id(1)), free);
        assert!(matches!(last_event(), Event::SlashExecuted { reporter: 0, burned: 600, .. }));
    });
}

#[test]
fn claimed_bond_cannot_be_withdrawn() {
    test(|| {
        assert_ok!(Staking::bond(signed(10), pallet_assay_staking::Part::Provider, 600));
        assert_eq!(report(offence(10, 1, OffenceKind::Equivocation)), 600);
        assert_ok!(Staking::unbond(signed(10), pallet_assay_staking::Part::Provider, 600));
        (0..6).for_each(|_| Session::rotate_session());
        assert_noop!(
            Staking::withdraw_unbonded(signed(10), pallet_assay_staking::Part::Provider),
            pallet_assay_staking::Error::<Test>::StillClaimed
        );
        poll_at(110);
        assert_eq!(bond(10), 0);
    });
}

#[test]
fn execution_stops_at_the_weight_and_goes_on_later() {
    test(|| {
        (1..=3).for_each(|n| assert_eq!(report(offence(n, 1, OffenceKind::Equivocation)), 600));
        Clock::set(110);
        let one = <Test as Config>::WeightInfo::execute_one() + reads(1);
        Slashing::execute_due(&mut WeightMeter::with_limit(Weight::zero()));
        assert_eq!(bond(1), 2_000);
        Slashing::execute_due(&mut WeightMeter::with_limit(one));
        assert_eq!((bond(1), bond(2), PendingRange::<Test>::get()), (1_400, 2_000, (1, 3)));
        check();
        poll_at(111);
        assert_eq!((bond(2), bond(3)), (1_400, 1_400));
    });
}

#[test]
fn full_queue_executes_the_oldest_early() {
    test(|| {
        MaxPending::set(2);
        (1..=3).for_each(|n| assert_eq!(report(offence(n, 1, OffenceKind::Equivocation)), 600));
        assert_eq!((bond(1), bond(2), bond(3)), (1_400, 2_000, 2_000));
        assert_eq!(Slashing::pending().iter().map(|(i, _)| *i).collect::<Vec<_>>(), vec![1, 2]);
    });
}

#[test]
fn queue_without_places_left_executes_at_once() {
    test(|| {
        PendingRange::<Test>::put((u32::MAX, u32::MAX));
        assert_eq!(report(offence(1, 1, OffenceKind::Equivocation)), 600);
        assert!(events().iter().any(|event| matches!(event, Event::OffenceReported { amount: 600, index: None, .. })));
        assert!(matches!(last_event(), Event::SlashExecuted { client: 100, reporter: 0, burned: 500, .. }));
        assert_eq!((bond(1), PendingRange::<Test>::get()), (1_400, (u32::MAX, u32::MAX)));
        assert!(Slashing::pending().is_empty());
    });
}

#[test]
fn execution_of_a_proven_fault_bars_its_offender_from_elections() {
    test(|| {
        let validating = |n: u8| Staking::bond_info(id(n)).unwrap().validating;
        report(offence(1, 1, OffenceKind::WrongResult));
        report(offence(2, 1, OffenceKind::Equivocation));
        assert!(validating(1), "it can still be cancelled");
        assert_ok!(Slashing::cancel(RuntimeOrigin::root(), 1));
        poll_at(110);
        assert!(!validating(1) && validating(2));
        assert_eq!(pallet_assay_staking::Ledgers::<Test>::get(id(1)).barred_until, 4);
        System::assert_has_event(
            pallet_assay_staking::Event::<Test>::Chilled {
                account: id(1),
                reason: pallet_assay_staking::ChillReason::Offence,
            }
            .into(),
        );
        assert_noop!(Staking::validate(signed(1)), pallet_assay_staking::Error::<Test>::Barred);
        assert!(Session::validators().contains(&id(1)) && Session::disabled_validators().is_empty());
    });
}

#[test]
fn lateness_bars_nobody() {
    test(|| {
        for (n, kind) in [(1, OffenceKind::NoCommit), (2, OffenceKind::NoShow), (3, OffenceKind::Withheld)] {
            assert!(report(offence(n, 1, kind)) > 0);
            assert!(Staking::bond_info(id(n)).unwrap().validating);
            assert_eq!(pallet_assay_staking::Ledgers::<Test>::get(id(n)).barred_until, 0);
        }
    });
}

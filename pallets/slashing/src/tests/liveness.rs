//! Liveness faults.

use crate::{mock::*, *};
use assay_primitives::{Offence, OffenceKind, Role};
use frame::testing_prelude::*;

fn key(n: u8, job: u8) -> OffenceKey {
    OffenceKey { at: at(job), role: Role::Executor, offender: id(n) }
}

#[test]
fn liveness_burns_a_small_amount_at_once() {
    test(|| {
        let issuance = Balances::total_issuance();
        reserve(1, 1);
        assert_eq!(report(offence(1, 1, OffenceKind::NoCommit)), 20);
        assert_eq!((bond(1), Balances::total_issuance()), (1_980, issuance - 20));
        assert_eq!(Balances::free_balance(id(20)), RICH, "nobody gains");
        let executed = Event::SlashExecuted { key: key(1, 1), client: 0, reporter: 0, burned: 20 };
        let reported = Event::OffenceReported { key: key(1, 1), kind: OffenceKind::NoCommit, amount: 20, index: None };
        assert_eq!(events(), vec![reported, executed]);
        assert_eq!(Faults::get(), vec![(id(1), OffenceKind::NoCommit)]);
        assert!(Slashing::pending().is_empty());
    });
}

#[test]
fn liveness_is_capped() {
    test(|| {
        let slow = Offence { pay: 1_000_000, ..offence(1, 1, OffenceKind::NoShow) };
        assert_eq!(report(slow), 50);
        assert_eq!(bond(1), 1_950);
    });
}

#[test]
fn liveness_of_a_fully_backed_provider_comes_out_of_its_backing() {
    test(|| {
        (1..=3).for_each(|job| reserve(1, job));
        assert_ok!(<Staking as assay_primitives::traits::BondManager>::reserve(&id(1), &backing(4), 200));
        assert_eq!(report(offence(1, 1, OffenceKind::NoCommit)), 20);
        check();
        assert_eq!(pallet_assay_staking::Backings::<Test>::get(id(1), backing(1)), Some(580));
    });
}

#[test]
fn liveness_without_bond_costs_nothing() {
    test(|| {
        assert_eq!(report(offence(30, 1, OffenceKind::NoCommit)), 0);
        assert_eq!(
            last_event(),
            Event::OffenceReported { key: key(30, 1), kind: OffenceKind::NoCommit, amount: 0, index: None }
        );
    });
}

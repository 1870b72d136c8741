//! Offences count once.

use crate::{mock::*, *};
use assay_primitives::{Offence, OffenceKind, Role, StageRef};
use frame::{deps::frame_support::weights::WeightMeter, testing_prelude::*};

#[test]
fn same_fault_again_changes_nothing() {
    test(|| {
        assert_eq!(report(offence(1, 1, OffenceKind::NoCommit)), 20);
        assert_eq!(report(offence(1, 1, OffenceKind::NoCommit)), 0);
        assert_eq!(report(offence(1, 1, OffenceKind::Withheld)), 0, "one liveness fault per piece of work");
        assert_eq!(Faults::get().len(), 1);
        assert_eq!(events().len(), 2);
        assert_eq!(report(offence(1, 1, OffenceKind::Equivocation)), 600);
        assert_eq!(report(offence(1, 1, OffenceKind::WrongResult)), 0);
    });
}

#[test]
fn other_work_roles_attempts_and_offenders_count_for_themselves() {
    test(|| {
        let base = offence(1, 1, OffenceKind::NoCommit);
        let all = [
            base.clone(),
            offence(2, 1, OffenceKind::NoCommit),
            offence(1, 2, OffenceKind::NoCommit),
            Offence { role: Role::Checker, ..base.clone() },
            Offence { at: StageRef { attempt: 1, ..base.at }, ..base.clone() },
            Offence { at: StageRef { stage: 1, ..base.at }, ..base },
        ];
        for offence in all {
            assert_eq!(report(offence), 20);
        }
    });
}

#[test]
fn reports_are_forgotten_after_a_while() {
    test(|| {
        report(offence(1, 1, OffenceKind::NoCommit));
        Clock::set(105);
        report(offence(2, 1, OffenceKind::NoCommit));
        poll_at(119);
        assert_eq!(Reported::<Test>::iter().count(), 2);
        poll_at(120);
        assert_eq!(Reported::<Test>::iter().count(), 1);
        check();
        poll_at(125);
        assert_eq!(Reported::<Test>::iter().count(), 0);
        assert_eq!(Memory::<Test>::iter().count(), 0);
        assert_eq!(MemoryRange::<Test>::get(), (0, 0));
    });
}

#[test]
fn full_memory_forgets_the_oldest() {
    test(|| {
        MaxRemembered::set(2);
        (1..=3).for_each(|job| assert_eq!(report(offence(1, job, OffenceKind::NoShow)), 20));
        assert_eq!(Reported::<Test>::iter().count(), 2);
        assert_eq!(report(offence(1, 3, OffenceKind::NoShow)), 0);
        assert_eq!(report(offence(1, 1, OffenceKind::NoShow)), 20);
    });
}

#[test]
fn forgetting_stops_at_the_weight() {
    test(|| {
        (1..=3).for_each(|job| assert_eq!(report(offence(1, job, OffenceKind::NoShow)), 20));
        Clock::set(200);
        let one = <Test as Config>::WeightInfo::forget_one() + reads(1);
        Slashing::forget_old(&mut WeightMeter::with_limit(one));
        assert_eq!(Reported::<Test>::iter().count(), 2);
        Slashing::forget_old(&mut WeightMeter::with_limit(Weight::zero()));
        assert_eq!(Reported::<Test>::iter().count(), 2);
    });
}

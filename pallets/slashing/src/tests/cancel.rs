//! `cancel`.

use crate::{mock::*, *};
use assay_primitives::OffenceKind;
use frame::{prelude::*, testing_prelude::*};

#[test]
fn cancel_gives_the_claim_back_for_good() {
    test(|| {
        report(offence(1, 1, OffenceKind::Equivocation));
        report(offence(2, 1, OffenceKind::Equivocation));
        assert_ok!(Slashing::cancel(RuntimeOrigin::root(), 0));
        assert!(matches!(last_event(), Event::SlashCancelled { index: 0, amount: 600, .. }));
        assert_eq!(<Staking as assay_primitives::traits::BondManager>::free_exposure(&id(1)), 2_000);
        assert_noop!(Slashing::cancel(RuntimeOrigin::root(), 0), Error::<Test>::UnknownSlash);
        assert_eq!(report(offence(1, 1, OffenceKind::Equivocation)), 0, "the same offence again");
        poll_at(110);
        assert_eq!((bond(1), bond(2)), (2_000, 1_400));
        assert_eq!(Balances::free_balance(id(20)), RICH + 100);
    });
}

#[test]
fn cancel_approved_for_an_executed_slash_hits_no_later_one() {
    test(|| {
        report(offence(1, 1, OffenceKind::Equivocation));
        poll_at(110);
        assert_eq!((bond(1), PendingRange::<Test>::get()), (1_400, (1, 1)));
        report(offence(2, 1, OffenceKind::Equivocation));
        assert!(matches!(last_event(), Event::OffenceReported { index: Some(1), .. }));
        assert_noop!(Slashing::cancel(RuntimeOrigin::root(), 0), Error::<Test>::UnknownSlash);
        poll_at(120);
        assert_eq!(bond(2), 1_400);
    });
}

#[test]
fn cancel_by_anyone_else_is_refused() {
    test(|| {
        report(offence(1, 1, OffenceKind::Equivocation));
        assert_noop!(Slashing::cancel(signed(1), 0), DispatchError::BadOrigin);
    });
}

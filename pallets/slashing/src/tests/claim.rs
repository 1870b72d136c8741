//! Legs that cannot be paid, and `claim`.

use crate::{mock::*, *};
use assay_primitives::{Offence, OffenceKind};
use frame::{prelude::*, testing_prelude::*};

/// A slash that owes 9, less than the existential deposit, to account 40, which does not exist.
fn owe_nine() {
    let fault = Offence { client: id(40), insured: 9, ..offence(1, 1, OffenceKind::Equivocation) };
    assert_eq!(report(fault), 600);
    poll_at(110);
}

#[test]
fn leg_to_an_account_that_cannot_receive_waits() {
    test(|| {
        let issuance = Balances::total_issuance();
        owe_nine();
        assert_eq!(Slashing::unclaimed(id(40)), 9);
        assert_eq!(Balances::free_balance(Slashing::pot()), 10 + 9);
        assert_eq!(Balances::total_issuance(), issuance - 591);
        assert!(events().contains(&Event::LegUnclaimed { account: id(40), amount: 9 }));
        assert!(matches!(last_event(), Event::SlashExecuted { client: 9, burned: 591, .. }));
    });
}

#[test]
fn leg_to_a_new_account_that_can_receive_is_paid() {
    test(|| {
        let fault = Offence { client: id(40), ..offence(1, 1, OffenceKind::Equivocation) };
        report(fault);
        poll_at(110);
        assert_eq!(Balances::free_balance(id(40)), 100);
        assert_eq!(Unclaimed::<Test>::iter().count(), 0);
    });
}

#[test]
fn claim_pays_once_the_account_exists() {
    test(|| {
        owe_nine();
        assert_noop!(Slashing::claim(signed(5), id(40)), Error::<Test>::CannotReceive);
        assert_ok!(Balances::transfer_allow_death(signed(5), id(40), 10));
        assert_ok!(Slashing::claim(signed(5), id(40)));
        assert_eq!(last_event(), Event::Claimed { account: id(40), amount: 9 });
        assert_eq!(Balances::free_balance(id(40)), 19);
        assert_eq!(Balances::free_balance(Slashing::pot()), 10);
        assert_noop!(Slashing::claim(signed(5), id(40)), Error::<Test>::NothingUnclaimed);
    });
}

#[test]
fn claim_needs_a_signature() {
    test(|| {
        assert_noop!(Slashing::claim(RuntimeOrigin::root(), id(40)), DispatchError::BadOrigin);
    });
}

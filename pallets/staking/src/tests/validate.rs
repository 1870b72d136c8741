//! `validate`, `chill`, `set_counts`.

use crate::{mock::*, *};
use frame::{prelude::*, testing_prelude::*};

#[test]
fn validate_with_bonds_and_keys_stands_for_election() {
    test(|| {
        bond(9, 100, 50);
        set_keys(9);
        assert_ok!(Staking::validate(signed(9)));
        assert_eq!(last_event(), Event::Validating { account: id(9) });
        assert!(Candidates::<Test>::get().contains(&id(9)));
        assert_noop!(Staking::validate(signed(9)), Error::<Test>::AlreadyValidating);
    });
}

#[test]
fn validate_without_keys_is_refused() {
    test(|| {
        bond(9, 100, 50);
        assert_noop!(Staking::validate(signed(9)), Error::<Test>::NoSessionKeys);
    });
}

#[test]
fn validate_below_either_minimum_is_refused() {
    test(|| {
        set_keys(9);
        assert_noop!(Staking::validate(signed(9)), Error::<Test>::ValidatorBondTooSmall);
        bond(9, 100, 0);
        assert_noop!(Staking::validate(signed(9)), Error::<Test>::ProviderBondTooSmall);
        bond(9, 0, 50);
        assert_ok!(Staking::validate(signed(9)));
    });
}

#[test]
fn validate_in_a_full_field_displaces_the_lowest_bond() {
    test(|| {
        (5..=10).for_each(|n| stand(n, 200 + u128::from(n)));
        bond(11, 205, 500);
        set_keys(11);
        assert_noop!(Staking::validate(signed(11)), Error::<Test>::TooManyCandidates);
        bond(11, 1, 0);
        assert_ok!(Staking::validate(signed(11)));
        assert!(events().contains(&Event::Chilled { account: id(5), reason: ChillReason::Displaced }));
        let candidates = Candidates::<Test>::get();
        assert!(candidates.contains(&id(11)) && !candidates.contains(&id(5)));
        assert_eq!(candidates.len(), 10);
    });
}

#[test]
fn chill_leaves_the_field() {
    test(|| {
        assert_ok!(Staking::chill(signed(2)));
        assert_eq!(last_event(), Event::Chilled { account: id(2), reason: ChillReason::Asked });
        assert_noop!(Staking::chill(signed(2)), Error::<Test>::NotValidating);
        assert!(Session::validators().contains(&id(2)), "until the next election");
    });
}

#[test]
fn set_counts_by_the_admin_changes_them() {
    test(|| {
        let counts = ValidatorCounts { minimum: 1, target: 3 };
        assert_ok!(Staking::set_counts(RuntimeOrigin::root(), counts));
        assert_eq!(Counts::<Test>::get(), counts);
        assert_eq!(last_event(), Event::CountsSet { counts });
        assert_noop!(Staking::set_counts(signed(1), counts), DispatchError::BadOrigin);
    });
}

#[test]
fn set_counts_that_make_no_sense_are_refused() {
    test(|| {
        for (minimum, target) in [(0, 3), (4, 3), (1, 9), (1, 0)] {
            let counts = ValidatorCounts { minimum, target };
            assert_noop!(Staking::set_counts(RuntimeOrigin::root(), counts), Error::<Test>::BadCounts);
        }
    });
}

//! Elections as the session pallet sees them.

use crate::{mock::*, *};
use frame::testing_prelude::*;
use polkadot_sdk::pallet_session::historical;

#[test]
fn election_takes_a_newcomer_in_after_the_term() {
    test(|| {
        stand(9, 5_000);
        rotate(2);
        assert_eq!(last_event(), Event::ValidatorsElected { session: 3, count: 5 });
        assert!(!Session::validators().contains(&id(9)), "elected, but not yet in office");
        rotate(1);
        assert!(Session::validators().contains(&id(9)));
        assert_eq!(Session::validators().len(), 5);
    });
}

#[test]
fn election_changes_one_of_a_small_set_at_a_time() {
    test_with(4, ValidatorCounts { minimum: 2, target: 4 }, || {
        (5..=8).for_each(|n| stand(n, 5_000));
        for expected in 1..=4u32 {
            rotate(3);
            let newcomers = Session::validators().iter().filter(|v| !ids(&[1, 2, 3, 4]).contains(v)).count();
            assert_eq!((newcomers as u32, Session::validators().len()), (expected, 4));
        }
    });
}

#[test]
fn election_below_the_minimum_keeps_the_set() {
    test_with(4, ValidatorCounts { minimum: 4, target: 8 }, || {
        assert_ok!(Staking::chill(signed(1)));
        rotate(6);
        assert_eq!(Session::validators(), ids(&[1, 2, 3, 4]));
        assert!(events().contains(&Event::ElectionFailed { session: 3 }));
    });
}

#[test]
fn election_when_everybody_chills_never_empties_the_set() {
    test_with(4, ValidatorCounts { minimum: 1, target: 8 }, || {
        (1..=4).for_each(|n| {
            assert_ok!(Staking::chill(signed(n)));
        });
        rotate(30);
        assert_eq!(Session::validators().len(), 1);
    });
}

#[test]
fn election_passes_over_who_lost_a_minimum_or_its_keys() {
    test(|| {
        use polkadot_sdk::pallet_session::SessionInterface;
        stand(9, 5_000);
        stand(10, 5_000);
        Ledgers::<Test>::mutate(id(9), |l| l.provider.active = 49);
        assert_ok!(<Session as SessionInterface>::purge_keys(&id(10)));
        assert_eq!(Staking::electable(&id(9)), None);
        assert_eq!(Staking::electable(&id(10)), None);
        Ledgers::<Test>::mutate(id(9), |l| l.provider.active = 500);
        assert_eq!(Staking::electable(&id(9)), Some(5_000));
        rotate(3);
        assert!(Session::validators().contains(&id(9)) && !Session::validators().contains(&id(10)));
    });
}

#[test]
fn election_returns_a_set_regularly_even_if_nothing_changes() {
    test(|| {
        let regular: Vec<bool> = (2..=8)
            .map(|planned| {
                let before = LastElection::<Test>::get();
                rotate(1);
                assert_eq!(Session::current_index() + 1, planned);
                LastElection::<Test>::get() != before
            })
            .collect();
        assert_eq!(regular, [false, true, false, false, true, false, false], "for sessions 3 and 6");
    });
}

#[test]
fn sessions_have_historical_roots_until_the_unbonding_period_is_over() {
    test(|| {
        rotate(9);
        let now = Session::current_index();
        assert_eq!(now, 9);
        // The planned session has its root already.
        assert_eq!(historical::StoredRange::<Test>::get(), Some((now - 5, now + 2)));
        assert!((now - 5..now + 2).all(|s| Historical::historical_root(s).is_some()));
    });
}

//! Validators that author nothing.

use crate::{mock::*, *};

#[test]
fn idle_for_two_sessions_is_chilled_and_replaced() {
    test(|| {
        rotate_without(1, &[3]);
        assert!(Candidates::<Test>::get().contains(&id(3)));
        rotate_without(1, &[3]);
        assert!(!Candidates::<Test>::get().contains(&id(3)));
        assert!(events().contains(&Event::Chilled { account: id(3), reason: ChillReason::Idle }));
        // Elected at once, without waiting for the end of the term.
        assert!(!Elected::<Test>::get().contains(&id(3)));
        rotate_without(1, &[3]);
        assert!(!Session::validators().contains(&id(3)));
        assert!(!Services::<Test>::contains_key(id(3)), "no record stays behind");
    });
}

#[test]
fn idle_one_session_in_two_is_fine() {
    test(|| {
        for _ in 0..5 {
            rotate_without(1, &[3]);
            rotate(1);
        }
        assert!(Candidates::<Test>::get().contains(&id(3)));
    });
}

#[test]
fn idle_in_sessions_with_too_few_blocks_proves_nothing() {
    test(|| {
        for _ in 0..5 {
            // Twelve blocks a session: after five sessions fewer than sixteen each.
            (0..4).for_each(|_| [1, 2, 4].into_iter().for_each(|n| Staking::authored(id(n))));
            Session::rotate_session();
        }
        assert!(Candidates::<Test>::get().contains(&id(3)));
        (0..4).for_each(|_| [1, 2, 4].into_iter().for_each(|n| Staking::authored(id(n))));
        Session::rotate_session();
        assert!(!Candidates::<Test>::get().contains(&id(3)), "72 blocks: sixteen would have been its own");
    });
}

#[test]
fn idle_majority_is_chilled_one_at_a_time() {
    test(|| {
        // Twenty blocks a session, all by the one that is left: in the fourth, sixteen would have been everybody's share.
        rotate_without(3, &[2, 3, 4]);
        assert_eq!(Candidates::<Test>::get().len(), 4);
        rotate_without(1, &[2, 3, 4]);
        assert_eq!(Candidates::<Test>::get().len(), 3);
        rotate_without(1, &[2, 3, 4]);
        assert_eq!(Candidates::<Test>::get().len(), 2);
    });
}

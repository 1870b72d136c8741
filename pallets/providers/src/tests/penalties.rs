//! Penalty points.

use crate::{mock::*, *};
use assay_primitives::{traits::ProviderDirectory, OffenceKind};

fn points(n: u8) -> u8 {
    Penalties::<Test>::get(id(n)).points
}

#[test]
fn faults_raise_and_burned_fees_lower() {
    test(|| {
        register(1);
        <Directory as ProviderDirectory>::note_fault(&id(1), OffenceKind::NoCommit);
        assert_eq!(last_event(), Event::PenaltyChanged { controller: id(1), points: 2 });
        assert_eq!(Directory::provider(id(1)).unwrap().penalty_permille, 50);
        <Directory as ProviderDirectory>::note_settled(&id(1), 999);
        assert_eq!(points(1), 2);
        <Directory as ProviderDirectory>::note_settled(&id(1), 1);
        assert_eq!(points(1), 1);
        <Directory as ProviderDirectory>::note_settled(&id(1), 5_000);
        assert_eq!(Penalties::<Test>::get(id(1)), Penalty::default());
    });
}

#[test]
fn settled_work_without_points_saves_nothing_up() {
    test(|| {
        register(1);
        <Directory as ProviderDirectory>::note_settled(&id(1), 1_000_000);
        <Directory as ProviderDirectory>::note_fault(&id(1), OffenceKind::NoShow);
        assert_eq!(points(1), 1);
    });
}

#[test]
fn newcomer_starts_at_the_third_quartile() {
    test(|| {
        (1..=4).for_each(register);
        <Directory as ProviderDirectory>::note_fault(&id(3), OffenceKind::Withheld);
        <Directory as ProviderDirectory>::note_fault(&id(4), OffenceKind::Equivocation);
        // 0 0 4 64: number 3.
        register(5);
        assert_eq!(points(5), 4);
        // 0 0 4 4 64: number 4.
        register(6);
        assert_eq!(points(6), 4);
    });
}

#[test]
fn faults_of_strangers_do_not_count_for_newcomers() {
    test(|| {
        <Directory as ProviderDirectory>::note_fault(&id(9), OffenceKind::Equivocation);
        register(1);
        assert_eq!(points(1), 0);
        register(9);
        assert_eq!(points(9), 64, "its own history stays");
    });
}

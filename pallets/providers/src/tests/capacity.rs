//! `InUse`.

use crate::{mock::*, *};
use assay_primitives::{traits::ProviderDirectory, SlotKind};
use frame::{prelude::*, testing_prelude::*};

fn take(kind: SlotKind) -> DispatchResult {
    <Directory as ProviderDirectory>::take(&id(1), &key(0, 8), kind)
}

fn give_back(kind: SlotKind) {
    <Directory as ProviderDirectory>::give_back(&id(1), &key(0, 8), kind)
}

#[test]
fn take_up_to_the_asks_slots_of_each_kind() {
    test(|| {
        register(1);
        assert_ok!(Directory::ask(signed(1), key(0, 8), ask()));
        (0..2).for_each(|_| {
            assert_ok!(take(SlotKind::Execute));
        });
        assert_noop!(take(SlotKind::Execute), Error::<Test>::NoCapacity);
        (0..3).for_each(|_| {
            assert_ok!(take(SlotKind::Check));
        });
        assert_noop!(take(SlotKind::Check), Error::<Test>::NoCapacity);
        let holder = &<Directory as ProviderDirectory>::holders(&key(0, 8))[0];
        assert_eq!((holder.free_slots, holder.free_check_slots), (0, 0));
        assert!(!Directory::is_idle(&id(1)));
        assert_eq!(Directory::in_use(id(1), key(0, 8), SlotKind::Check), 3);

        give_back(SlotKind::Execute);
        assert_eq!(<Directory as ProviderDirectory>::holders(&key(0, 8))[0].free_slots, 1);
        assert_ok!(take(SlotKind::Execute));
        (0..2).for_each(|_| give_back(SlotKind::Execute));
        (0..3).for_each(|_| give_back(SlotKind::Check));
        assert_eq!(InUse::<Test>::iter().count(), 0);
        assert!(Directory::is_idle(&id(1)));
    });
}

#[test]
fn take_without_an_ask_is_refused() {
    test(|| {
        register(1);
        assert_noop!(take(SlotKind::Execute), Error::<Test>::NoAsk);
    });
}

#[test]
fn capacity_survives_a_smaller_ask_and_a_withdrawn_one() {
    test(|| {
        register(1);
        assert_ok!(Directory::ask(signed(1), key(0, 8), ask()));
        (0..2).for_each(|_| {
            assert_ok!(take(SlotKind::Execute));
        });
        assert_ok!(Directory::ask(signed(1), key(0, 8), assay_primitives::Ask { slots: 1, ..ask() }));
        assert_eq!(<Directory as ProviderDirectory>::holders(&key(0, 8))[0].free_slots, 0);
        assert_ok!(Directory::withdraw_ask(signed(1), key(0, 8)));
        Directory::do_try_state().unwrap();
        assert_noop!(Directory::deregister(signed(1)), Error::<Test>::InUse);
        (0..2).for_each(|_| give_back(SlotKind::Execute));
        assert_ok!(Directory::deregister(signed(1)));
    });
}

#[test]
#[should_panic(expected = "capacity was given back that had not been taken")]
fn give_back_what_was_not_taken_is_a_defect() {
    test(|| {
        register(1);
        give_back(SlotKind::Check);
    });
}

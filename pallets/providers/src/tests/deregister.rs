//! `deregister`.

use crate::{mock::*, *};
use assay_primitives::{traits::ProviderDirectory, OffenceKind};
use frame::{prelude::*, testing_prelude::*};

#[test]
fn deregister_leaves_nothing() {
    test(|| {
        register(1);
        assert_ok!(Directory::announce_peer(RuntimeOrigin::signed(worker(1, 0)), BoundedVec::truncate_from(vec![1])));
        assert_ok!(Directory::deregister(signed(1)));
        assert_eq!(last_event(), Event::Deregistered { controller: id(1) });
        assert_eq!(Balances::free_balance(id(1)), RICH);
        assert!(!Workers::<Test>::contains_key(worker(1, 0)) && !Peers::<Test>::contains_key(id(1)));
        assert!(!Penalties::<Test>::contains_key(id(1)));
        assert_eq!(Directory::provider(id(1)), None);
        register(1);
    });
}

#[test]
fn deregister_with_asks_is_refused() {
    test(|| {
        register(1);
        assert_ok!(Directory::ask(signed(1), key(0, 8), ask()));
        assert_noop!(Directory::deregister(signed(1)), Error::<Test>::AsksStanding);
    });
}

#[test]
fn deregister_does_not_wash_off_faults() {
    test(|| {
        register(1);
        register(2);
        <Directory as ProviderDirectory>::note_fault(&id(1), OffenceKind::WrongResult);
        assert_ok!(Directory::deregister(signed(1)));
        assert_eq!(Penalties::<Test>::get(id(1)).points, 32);
        register(1);
        assert_eq!(Directory::provider(id(1)).unwrap().penalty_permille, 800);
    });
}

#[test]
fn deregister_unregistered_is_refused() {
    test(|| {
        assert_noop!(Directory::deregister(signed(1)), Error::<Test>::NotRegistered);
    });
}

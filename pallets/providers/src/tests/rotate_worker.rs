//! `rotate_worker`.

use crate::{mock::*, *};
use assay_primitives::{traits::ProviderDirectory, SlotKind};
use frame::{prelude::*, testing_prelude::*};

fn rotate(epoch: u32) -> DispatchResult {
    Directory::rotate_worker(signed(1), worker(1, epoch), proof(1, epoch))
}

fn controller_of(epoch: u32) -> Option<assay_primitives::AccountId> {
    <Directory as ProviderDirectory>::controller_of(&worker(1, epoch))
}

#[test]
fn rotate_idle_provider_forgets_the_old_key() {
    test(|| {
        register(1);
        assert_eq!(Directory::next_key_epoch(id(1)), 1);
        assert_ok!(rotate(1));
        assert_eq!(last_event(), Event::WorkerRotated { controller: id(1), worker: worker(1, 1), epoch: 1 });
        assert_eq!((controller_of(0), controller_of(1)), (None, Some(id(1))));
        assert_eq!(<Directory as ProviderDirectory>::worker_of(&id(1)), Some(worker(1, 1)));
    });
}

#[test]
fn rotate_busy_provider_keeps_old_keys_until_the_work_is_done() {
    test(|| {
        register(1);
        assert_ok!(Directory::ask(signed(1), key(0, 8), ask()));
        assert_ok!(<Directory as ProviderDirectory>::take(&id(1), &key(0, 8), SlotKind::Execute));
        for epoch in 1..=MAX_KEYS {
            assert_ok!(rotate(epoch));
        }
        assert_noop!(rotate(MAX_KEYS + 1), Error::<Test>::TooManyKeys);
        assert!((0..=MAX_KEYS).all(|epoch| controller_of(epoch) == Some(id(1))));
        <Directory as ProviderDirectory>::give_back(&id(1), &key(0, 8), SlotKind::Execute);
        assert!((0..MAX_KEYS).all(|epoch| controller_of(epoch).is_none()));
        assert_eq!(controller_of(MAX_KEYS), Some(id(1)));
        assert_ok!(rotate(MAX_KEYS + 1));
    });
}

#[test]
fn rotate_needs_a_proof_of_the_next_epoch() {
    test(|| {
        register(1);
        let call = Directory::rotate_worker(signed(1), worker(1, 2), proof(1, 2));
        assert_noop!(call, Error::<Test>::BadProof);
        let call = Directory::rotate_worker(signed(1), worker(1, 0), proof(1, 0));
        assert_noop!(call, Error::<Test>::WorkerTaken);
    });
}

#[test]
fn rotate_unregistered_is_refused() {
    test(|| {
        assert_noop!(rotate(1), Error::<Test>::NotRegistered);
    });
}

#[test]
fn rotate_keeps_old_keys_while_any_span_is_at_work() {
    test(|| {
        register(1);
        for (first, end) in [(0, 4), (4, 8)] {
            assert_ok!(Directory::ask(signed(1), key(first, end), ask()));
            assert_ok!(<Directory as ProviderDirectory>::take(&id(1), &key(first, end), SlotKind::Check));
        }
        assert_ok!(rotate(1));
        <Directory as ProviderDirectory>::give_back(&id(1), &key(0, 4), SlotKind::Check);
        Directory::do_try_state().unwrap();
        assert_eq!(controller_of(0), Some(id(1)), "the other span was assigned under it");
        <Directory as ProviderDirectory>::give_back(&id(1), &key(4, 8), SlotKind::Check);
        Directory::do_try_state().unwrap();
        assert_eq!(controller_of(0), None);
        assert!(provider(1).old_workers.is_empty());
    });
}

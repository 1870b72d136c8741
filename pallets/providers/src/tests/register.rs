//! `register`.

use crate::{mock::*, *};
use assay_primitives::{digest, traits::ProviderDirectory, SPEC_ID};
use frame::{deps::sp_core::Pair, prelude::*, testing_prelude::*};

fn call(n: u8, worker: assay_primitives::AccountId, proof: assay_primitives::WorkerSignature) -> DispatchResult {
    Directory::register(signed(n), worker, proof, Default::default(), 1 << SPEC_ID)
}

#[test]
fn register_with_proof_maps_the_worker() {
    test(|| {
        register(1);
        assert_eq!(last_event(), Event::Registered { controller: id(1), worker: worker(1, 0) });
        assert_eq!(provider(1).worker, WorkerKey { account: worker(1, 0), epoch: 0 });
        assert_eq!((provider(1).active, provider(1).hardware.threads), (true, 4));
        assert_eq!(<Directory as ProviderDirectory>::controller_of(&worker(1, 0)), Some(id(1)));
        assert_eq!(<Directory as ProviderDirectory>::worker_of(&id(1)), Some(worker(1, 0)));
        assert_eq!(held(1, HoldReason::Registration), 100);
    });
}

#[test]
fn register_twice_is_refused() {
    test(|| {
        register(1);
        assert_noop!(call(1, worker(1, 1), proof(1, 1)), Error::<Test>::AlreadyRegistered);
    });
}

#[test]
fn register_anothers_worker_is_refused() {
    test(|| {
        register(1);
        let message = digest::worker_proof(System::block_hash(0), &id(2), 0);
        let proof = pair(1, 0).sign(message.as_bytes());
        assert_noop!(call(2, worker(1, 0), proof), Error::<Test>::WorkerTaken);
    });
}

#[test]
fn register_without_possession_is_refused() {
    test(|| {
        // Another's proof replayed, another key's signature, another epoch's proof, another chain's.
        assert_noop!(call(2, worker(1, 0), proof(1, 0)), Error::<Test>::BadProof);
        assert_noop!(call(1, worker(1, 0), proof(2, 0)), Error::<Test>::BadProof);
        let later = pair(1, 0).sign(digest::worker_proof(System::block_hash(0), &id(1), 1).as_bytes());
        assert_noop!(call(1, worker(1, 0), later), Error::<Test>::BadProof);
        let elsewhere = pair(1, 0).sign(digest::worker_proof(H256::repeat_byte(1), &id(1), 0).as_bytes());
        assert_noop!(call(1, worker(1, 0), elsewhere), Error::<Test>::BadProof);
    });
}

#[test]
fn register_controller_as_its_own_worker_is_refused() {
    test(|| {
        assert_noop!(call(1, id(1), proof(1, 0)), Error::<Test>::WorkerIsController);
    });
}

#[test]
fn register_without_spec_is_refused() {
    test(|| {
        let call = Directory::register(signed(1), worker(1, 0), proof(1, 0), Default::default(), 0);
        assert_noop!(call, Error::<Test>::NoSpec);
    });
}

#[test]
fn register_without_the_deposit_is_refused() {
    test(|| {
        assert_noop!(call(101, worker(101, 0), proof(101, 0)), TokenError::FundsUnavailable);
    });
}

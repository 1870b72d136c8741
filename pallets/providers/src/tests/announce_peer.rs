//! `announce_peer`.

use crate::{mock::*, *};
use assay_primitives::{traits::ProviderDirectory, SlotKind};
use frame::{prelude::*, testing_prelude::*};

fn peer(byte: u8) -> PeerId {
    BoundedVec::truncate_from(vec![byte; 38])
}

#[test]
fn announce_by_the_worker_is_stored_once() {
    test(|| {
        register(1);
        assert_eq!(<Directory as ProviderDirectory>::peer_of(&id(1)), Vec::<u8>::new());
        let origin = || RuntimeOrigin::signed(worker(1, 0));
        assert_ok!(Directory::announce_peer(origin(), peer(7)));
        assert_eq!(last_event(), Event::PeerAnnounced { controller: id(1), peer: peer(7) });
        assert_eq!(<Directory as ProviderDirectory>::peer_of(&id(1)), vec![7; 38]);
        System::reset_events();
        assert_ok!(Directory::announce_peer(origin(), peer(7)));
        assert!(events().is_empty());
        assert_ok!(Directory::announce_peer(origin(), peer(8)));
        assert_eq!(events().len(), 1);
    });
}

#[test]
fn announce_by_anyone_else_is_refused() {
    test(|| {
        register(1);
        assert_noop!(Directory::announce_peer(signed(1), peer(7)), Error::<Test>::NotAWorker);
        assert_noop!(Directory::announce_peer(signed(9), peer(7)), Error::<Test>::NotAWorker);
    });
}

#[test]
fn announce_by_an_old_key_is_refused() {
    test(|| {
        register(1);
        assert_ok!(Directory::ask(signed(1), key(0, 8), ask()));
        assert_ok!(<Directory as ProviderDirectory>::take(&id(1), &key(0, 8), SlotKind::Check));
        assert_ok!(Directory::rotate_worker(signed(1), worker(1, 1), proof(1, 1)));
        let old = RuntimeOrigin::signed(worker(1, 0));
        assert_noop!(Directory::announce_peer(old, peer(7)), Error::<Test>::NotAWorker);
        assert_ok!(Directory::announce_peer(RuntimeOrigin::signed(worker(1, 1)), peer(7)));
    });
}

#[test]
fn announce_nothing_is_refused() {
    test(|| {
        register(1);
        let origin = RuntimeOrigin::signed(worker(1, 0));
        assert_noop!(Directory::announce_peer(origin, Default::default()), Error::<Test>::EmptyPeerId);
    });
}

#[test]
fn announce_is_operational_and_paid() {
    use frame::prelude::GetDispatchInfo;
    let info = crate::Call::<Test>::announce_peer { peer: peer(1) }.get_dispatch_info();
    assert_eq!((info.class, info.pays_fee), (DispatchClass::Operational, Pays::Yes));
}

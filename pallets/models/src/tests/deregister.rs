//! `deregister`.

use crate::{mock::*, *};
use assay_primitives::traits::ModelDirectory;
use frame::{prelude::*, testing_prelude::*};

#[test]
fn deregister_by_owner_releases_the_deposit() {
    test(|| {
        let id = register_demo();
        let deposit = held(&alice());
        assert_ok!(Registry::deregister(RuntimeOrigin::signed(alice()), id));
        assert_eq!(held(&alice()), 0);
        assert_eq!(Balances::free_balance(alice()), RICH);
        assert!(!Models::<Test>::contains_key(id) && !Entries::<Test>::contains_key(id));
        assert_eq!(last_event(), Event::ModelRemoved { model: id, deposit });
    });
}

#[test]
fn deregister_by_admin_releases_the_owners_deposit() {
    test(|| {
        let id = register_demo();
        assert_ok!(Registry::deregister(RuntimeOrigin::root(), id));
        assert_eq!(Balances::free_balance(alice()), RICH);
    });
}

#[test]
fn deregister_by_a_stranger_is_refused() {
    test(|| {
        let id = register_demo();
        assert_noop!(Registry::deregister(RuntimeOrigin::signed(bob()), id), Error::<Test>::NotOwner);
    });
}

#[test]
fn deregister_unknown_model_is_refused() {
    test(|| {
        let unknown = H256::repeat_byte(9);
        assert_noop!(Registry::deregister(RuntimeOrigin::signed(alice()), unknown), Error::<Test>::UnknownModel);
    });
}

#[test]
fn deregister_while_jobs_use_it_is_refused() {
    test(|| {
        let id = register_demo();
        assert_ok!(<Registry as ModelDirectory>::add_user(id));
        assert_ok!(<Registry as ModelDirectory>::add_user(id));
        <Registry as ModelDirectory>::remove_user(id);
        assert_noop!(Registry::deregister(RuntimeOrigin::signed(alice()), id), Error::<Test>::InUse);
        <Registry as ModelDirectory>::remove_user(id);
        assert_ok!(Registry::deregister(RuntimeOrigin::signed(alice()), id));
        assert!(!Users::<Test>::contains_key(id));
    });
}

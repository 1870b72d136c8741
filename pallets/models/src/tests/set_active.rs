//! `set_active`.

use crate::{mock::*, *};
use assay_primitives::traits::ModelDirectory;
use frame::{prelude::*, testing_prelude::*};

#[test]
fn set_active_closes_to_new_jobs_and_opens_again() {
    test(|| {
        let id = register_demo();
        assert_ok!(<Registry as ModelDirectory>::add_user(id));
        assert_ok!(Registry::set_active(RuntimeOrigin::signed(alice()), id, false));
        assert_eq!(last_event(), Event::ModelActivated { model: id, active: false });
        assert!(!<Registry as ModelDirectory>::info(id).unwrap().active);
        assert_noop!(<Registry as ModelDirectory>::add_user(id), Error::<Test>::Inactive);
        assert_eq!(Users::<Test>::get(id), 1, "the job that runs goes on");
        assert_ok!(Registry::set_active(RuntimeOrigin::root(), id, true));
        assert_ok!(<Registry as ModelDirectory>::add_user(id));
    });
}

#[test]
fn set_active_unchanged_has_no_event() {
    test(|| {
        let id = register_demo();
        System::reset_events();
        assert_ok!(Registry::set_active(RuntimeOrigin::signed(alice()), id, true));
        assert!(System::events().is_empty());
    });
}

#[test]
fn set_active_by_a_stranger_is_refused() {
    test(|| {
        let id = register_demo();
        assert_noop!(Registry::set_active(RuntimeOrigin::signed(bob()), id, false), Error::<Test>::NotOwner);
        let unknown = H256::repeat_byte(9);
        assert_noop!(Registry::set_active(RuntimeOrigin::root(), unknown, false), Error::<Test>::UnknownModel);
    });
}

//! `set_profile`, `drain`, `resume`.

use crate::{mock::*, *};
use assay_primitives::{traits::ProviderDirectory, HardwareProfile, SPEC_ID};
use frame::testing_prelude::*;

fn usable() -> bool {
    <Directory as ProviderDirectory>::holders(&key(0, 8))[0].usable
}

#[test]
fn set_profile_without_the_models_spec_stops_matching() {
    test(|| {
        register(1);
        assert_ok!(Directory::ask(signed(1), key(0, 8), ask()));
        Clock::set(12);
        assert!(usable());
        let hardware = HardwareProfile { threads: 9, ..Default::default() };
        assert_ok!(Directory::set_profile(signed(1), hardware.clone(), 1 << 5));
        assert_eq!(last_event(), Event::ProfileSet { controller: id(1), specs: 1 << 5 });
        assert_eq!(provider(1).hardware, hardware);
        assert!(!usable());
        assert_ok!(Directory::set_profile(signed(1), hardware, 1 << SPEC_ID | 1 << 5));
        assert!(usable());
    });
}

#[test]
fn set_profile_bad_input_is_refused() {
    test(|| {
        let call = |specs| Directory::set_profile(signed(1), Default::default(), specs);
        assert_noop!(call(2), Error::<Test>::NotRegistered);
        register(1);
        assert_noop!(call(0), Error::<Test>::NoSpec);
    });
}

#[test]
fn drain_takes_no_new_work_until_resume() {
    test(|| {
        register(1);
        assert_ok!(Directory::ask(signed(1), key(0, 8), ask()));
        Clock::set(12);
        assert_ok!(Directory::drain(signed(1)));
        assert_eq!(last_event(), Event::ActivitySet { controller: id(1), active: false });
        assert!(!usable());
        System::reset_events();
        assert_ok!(Directory::drain(signed(1)));
        assert!(events().is_empty());
        assert_ok!(Directory::resume(signed(1)));
        assert_eq!(last_event(), Event::ActivitySet { controller: id(1), active: true });
        assert!(usable());
    });
}

#[test]
fn drain_unregistered_is_refused() {
    test(|| {
        assert_noop!(Directory::drain(signed(1)), Error::<Test>::NotRegistered);
        assert_noop!(Directory::resume(signed(1)), Error::<Test>::NotRegistered);
    });
}

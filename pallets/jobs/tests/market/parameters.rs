//! Versions of the parameters.

use assay_primitives::*;
use frame::testing_prelude::*;
use pallet_assay_jobs::{CurrentParams, Error, Event, ParamsOf};
use pallet_assay_testing::*;

fn dear() -> Params {
    Params { fixed_fee: 7 * Params::local().fixed_fee, ..Params::local() }
}

#[test]
fn set_params_needs_the_admin_and_sense() {
    Setup::default().build().execute_with(|| {
        assert_noop!(Jobs::set_params(RuntimeOrigin::signed(client(0)), dear()), BadOrigin);
        let broken = Params { min_rate: 0, ..dear() };
        assert_noop!(Jobs::set_params(RuntimeOrigin::root(), broken), Error::<Test>::ParamsInvalid);
        assert_ok!(Jobs::set_params(RuntimeOrigin::root(), dear()));
        System::assert_last_event(Event::ParamsSet { version: 1 }.into());
        assert_eq!(Jobs::params(), Some(dear()));
        assert!(ParamsOf::<Test>::get(0).is_none(), "nobody was bound to the old ones");
    });
}

#[test]
fn set_params_open_jobs_keep_theirs_until_the_last_of_them_ends() {
    Setup::default().build().execute_with(|| {
        let old = submit(&client(0), spec(0, 1));
        assert_ok!(Jobs::set_params(RuntimeOrigin::root(), dear()));
        assert_ok!(Jobs::set_params(RuntimeOrigin::root(), dear()));
        let new = submit(&client(0), spec(0, 1));
        assert_eq!(ParamsOf::<Test>::iter_keys().count(), 2);
        assert_eq!(open(old).params, Params::local());
        assert_eq!(open(new).params, dear());
        check_invariants();
        commit_all(old, &[]);
        assert_eq!(receipt(old).params_version, 0);
        assert!(ParamsOf::<Test>::get(0).is_none());
        commit_all(new, &[]);
        assert_eq!(receipt(new).params_version, 2);
        assert_eq!(CurrentParams::<Test>::get(), 2);
        assert!(ParamsOf::<Test>::get(2).is_some(), "the current ones stay");
    });
}

//! Bonds of the genesis state.

use crate::{mock::*, *};
use frame::testing_prelude::*;
use polkadot_sdk::pallet_session::historical;

#[test]
fn genesis_bonds_elect_the_first_set() {
    test(|| {
        assert_eq!(Session::validators(), ids(&[1, 2, 3, 4]));
        assert_eq!(Candidates::<Test>::get().to_vec(), ids(&[1, 2, 3, 4]));
        assert_eq!((ledger(1).validator.active, ledger(1).provider.active), (1_000, 500));
        assert_eq!(Staking::held(&id(1), Part::Validator), 1_000);
        // Offences of the very first sessions can be proven.
        assert!(Historical::historical_root(0).is_some() && Historical::historical_root(1).is_some());
        assert_eq!(historical::StoredRange::<Test>::get(), Some((0, 2)));
    });
}

#[test]
fn genesis_takes_no_more_than_the_target() {
    test_with(4, ValidatorCounts { minimum: 1, target: 3 }, || {
        assert_eq!(Session::validators(), ids(&[1, 2, 3]));
    });
}

#[test]
#[should_panic(expected = "staking.counts: Some(ValidatorCounts { minimum: 0, target: 3 }) must satisfy 1 <= minimum")]
fn genesis_counts_that_make_no_sense_stop() {
    ext(4, ValidatorCounts { minimum: 0, target: 3 });
}

#[test]
#[should_panic(expected = "staking.bonds[0].validator of")]
fn genesis_bond_of_a_poor_account_stops() {
    build(1_000, 0);
}

#[test]
#[should_panic(expected = "ProviderBondTooSmall: give 0 or at least 50")]
fn genesis_bond_below_the_minimum_stops() {
    build(0, 49);
}

fn build(validator: u128, provider: u128) {
    let mut storage = frame_system::GenesisConfig::<Test>::default().build_storage().unwrap();
    crate::GenesisConfig::<Test> {
        bonds: vec![GenesisBond { account: id(1), validator, provider }],
        counts: Some(ValidatorCounts { minimum: 1, target: 2 }),
        ..Default::default()
    }
    .assimilate_storage(&mut storage)
    .unwrap();
}

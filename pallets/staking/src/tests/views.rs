//! What wallets and explorers ask.

use crate::{mock::*, *};
use assay_primitives::traits::BondManager;
use frame::testing_prelude::*;

#[test]
fn bond_info_shows_parts_exposure_and_what_can_be_withdrawn() {
    test(|| {
        bond(9, 0, 200);
        assert_ok!(<Staking as BondManager>::reserve(&id(9), &backing(1), 100));
        assert_ok!(Staking::unbond(signed(9), Part::Provider, 150));
        let info = Staking::bond_info(id(9)).unwrap();
        assert_eq!((info.free_exposure, info.validating, info.serving), (0, false, false));
        assert_eq!(info.withdrawable_provider, 0);
        rotate(5);
        assert_eq!(Staking::bond_info(id(9)).unwrap().withdrawable_provider, 100);
        assert_eq!(Staking::free_exposure(id(1)), 500);
        assert_eq!(Staking::bond_info(id(10)), None);

        let validator = Staking::bond_info(id(1)).unwrap();
        assert!(validator.validating && validator.serving);
        assert_eq!(validator.withdrawable_validator, 0);
    });
}

#[test]
fn standing_lists_candidates_by_bond() {
    test(|| {
        stand(9, 5_000);
        let standing = Staking::standing();
        assert_eq!(standing.first(), Some(&(id(9), 5_000, true)));
        assert_eq!(standing.len(), 5);
    });
}

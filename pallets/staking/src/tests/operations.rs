//! Random sequences of everything that can happen to bonds.

use crate::{mock::*, *};
use assay_primitives::{traits::BondManager, AccountId, Balance};
use frame::{deps::sp_runtime::Perbill, testing_prelude::*};
use polkadot_sdk::sp_staking::offence::{OffenceDetails, OnOffenceHandler};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Op {
    Bond(u8, Part, Balance),
    Unbond(u8, Part, Balance),
    Withdraw(u8, Part),
    Validate(u8),
    Chill(u8),
    Reserve(u8, u8, Balance),
    Release(u8, u8),
    Claim(u8, u8, Balance),
    Unclaim(u8),
    Slash(u8, u8, Balance),
    Offence(u8, u32, u32),
    Cancel(u32),
    Rotate(u8),
}

fn op() -> impl Strategy<Value = Op> {
    let who = || 1u8..8;
    let part = || prop_oneof![Just(Part::Validator), Just(Part::Provider)];
    let amount = || prop_oneof![1u128..60, 60u128..2_000];
    prop_oneof![
        3 => (who(), part(), amount()).prop_map(|(w, p, a)| Op::Bond(w, p, a)),
        3 => (who(), part(), amount()).prop_map(|(w, p, a)| Op::Unbond(w, p, a)),
        3 => (who(), part()).prop_map(|(w, p)| Op::Withdraw(w, p)),
        1 => who().prop_map(Op::Validate),
        1 => who().prop_map(Op::Chill),
        4 => (who(), 0u8..6, amount()).prop_map(|(w, b, a)| Op::Reserve(w, b, a)),
        3 => (who(), 0u8..6).prop_map(|(w, b)| Op::Release(w, b)),
        3 => (who(), 0u8..6, amount()).prop_map(|(w, b, a)| Op::Claim(w, b, a)),
        1 => who().prop_map(Op::Unclaim),
        3 => (who(), 1u8..24, amount()).prop_map(|(w, t, a)| Op::Slash(w, t, a)),
        1 => (who(), 1u32..101, 0u32..7).prop_map(|(w, f, s)| Op::Offence(w, f, s)),
        1 => (0u32..4).prop_map(Op::Cancel),
        4 => (0u8..8).prop_map(Op::Rotate),
    ]
}

/// The total of all accounts, free or held.
fn everything() -> Balance {
    frame_system::Account::<Test>::iter().map(|(_, a)| a.data.free + a.data.reserved).sum()
}

fn apply(op: Op) {
    // A call that fails must change nothing; whether it succeeds is not the question here.
    let unchanged_if_err = |call: &dyn Fn() -> DispatchResult| {
        let before = frame::deps::sp_io::storage::root(StateVersion::V1);
        let result = frame::deps::frame_support::storage::with_storage_layer(call);
        if result.is_err() {
            assert_eq!(before, frame::deps::sp_io::storage::root(StateVersion::V1));
        }
    };
    match op {
        Op::Bond(w, p, a) => unchanged_if_err(&|| Staking::bond(signed(w), p, a)),
        Op::Unbond(w, p, a) => unchanged_if_err(&|| Staking::unbond(signed(w), p, a)),
        Op::Withdraw(w, p) => unchanged_if_err(&|| Staking::withdraw_unbonded(signed(w), p)),
        Op::Validate(w) => unchanged_if_err(&|| {
            set_keys(w);
            Staking::validate(signed(w))
        }),
        Op::Chill(w) => unchanged_if_err(&|| Staking::chill(signed(w))),
        Op::Reserve(w, b, a) => {
            let free = <Staking as BondManager>::free_exposure(&id(w));
            let known = Backings::<Test>::contains_key(id(w), backing(b));
            let reserved = <Staking as BondManager>::reserve(&id(w), &backing(b), a);
            assert_eq!(reserved.is_ok(), a <= free && !known);
        }
        Op::Release(w, b) => <Staking as BondManager>::release(&id(w), &backing(b)),
        Op::Claim(w, b, a) => {
            let claimed = ledger(w).claimed;
            let got = <Staking as BondManager>::claim_backing(&id(w), &backing(b), a);
            assert!(got <= a && ledger(w).claimed == claimed + got);
        }
        Op::Unclaim(w) => {
            let claimed = ledger(w).claimed;
            <Staking as BondManager>::unclaim(&id(w), claimed / 2);
        }
        Op::Slash(w, t, a) => {
            let issuance = Balances::total_issuance();
            let before = ledger(w);
            let burned = <Staking as BondManager>::slash_claimed(&id(w), a, &[(id(t), a / 3)]);
            assert_eq!(Balances::total_issuance(), issuance - burned);
            let after = ledger(w);
            let lost = before.provider.total() - after.provider.total();
            assert_eq!(lost, a.min(before.claimed));
            assert_eq!(before.validator, after.validator, "inference never touches the validator part");
        }
        Op::Offence(w, percent, session) => {
            let before = ledger(w).provider;
            let offender = OffenceDetails { offender: (id(w), ()), reporters: Vec::<AccountId>::new() };
            <Staking as OnOffenceHandler<_, _, Weight>>::on_offence(
                &[offender],
                &[Perbill::from_percent(percent)],
                session,
            );
            poll();
            assert_eq!(before, ledger(w).provider, "consensus never touches the provider part");
        }
        // Counted from the oldest, because places are never used again.
        Op::Cancel(nth) => {
            unchanged_if_err(&|| Staking::cancel_slash(RuntimeOrigin::root(), PendingRange::<Test>::get().0 + nth))
        }
        Op::Rotate(idle) => {
            let before = Session::queued_keys().len();
            rotate_without(1, &[idle]);
            assert!(!Session::validators().is_empty() && before > 0);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..Default::default() })]
    #[test]
    fn any_sequence_conserves_tokens_and_keeps_the_invariants(ops in proptest::collection::vec(op(), 100)) {
        ext(4, ValidatorCounts { minimum: 2, target: 6 }).execute_with(|| {
            for op in ops {
                apply(op);
                System::reset_events();
                Staking::do_try_state().unwrap();
                assert_eq!(everything(), Balances::total_issuance());
            }
        });
    }
}

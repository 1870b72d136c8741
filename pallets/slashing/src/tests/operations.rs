//! Random sequences of work, faults and withdrawals over the real ledger.

use crate::{mock::*, *};
use assay_primitives::{traits::BondManager, Balance, Offence, OffenceKind};
use frame::testing_prelude::*;
use pallet_assay_staking::Part;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Op {
    Reserve(u8, u8),
    Release(u8, u8),
    Report(u8, u8, OffenceKind, u8, Option<u8>, Balance),
    Tick(u32),
    Cancel(u32),
    Claim(u8),
    Bond(u8, Balance),
    Unbond(u8, Balance),
    Withdraw(u8),
    Rotate,
}

fn op() -> impl Strategy<Value = Op> {
    use OffenceKind::*;
    let who = || 1u8..6;
    let job = || 0u8..8;
    let kind = prop_oneof![
        Just(NoCommit),
        Just(NoShow),
        Just(Withheld),
        Just(Equivocation),
        Just(WrongResult),
        Just(FalseDissent),
        Just(FalseAgree)
    ];
    // Payees above 30 do not exist.
    let payee = || 28u8..34;
    prop_oneof![
        3 => (who(), job()).prop_map(|(w, j)| Op::Reserve(w, j)),
        2 => (who(), job()).prop_map(|(w, j)| Op::Release(w, j)),
        4 => (who(), job(), kind, payee(), proptest::option::of(payee()), 0u128..400)
            .prop_map(|(w, j, k, c, r, i)| Op::Report(w, j, k, c, r, i)),
        3 => (1u32..8).prop_map(Op::Tick),
        1 => (0u32..8).prop_map(Op::Cancel),
        1 => payee().prop_map(Op::Claim),
        1 => (who(), 50u128..1_000).prop_map(|(w, a)| Op::Bond(w, a)),
        2 => (who(), 1u128..2_000).prop_map(|(w, a)| Op::Unbond(w, a)),
        2 => who().prop_map(Op::Withdraw),
        2 => Just(Op::Rotate),
    ]
}

fn apply(op: Op) -> DispatchResult {
    match op {
        Op::Reserve(w, j) => <Staking as BondManager>::reserve(&id(w), &backing(j), 600),
        Op::Release(w, j) => {
            <Staking as BondManager>::release(&id(w), &backing(j));
            Ok(())
        }
        Op::Report(w, j, kind, client, reporter, insured) => {
            let before = bond(w);
            let offence = Offence { client: id(client), reporter: reporter.map(id), insured, ..offence(w, j, kind) };
            let amount = report(offence);
            assert!(amount <= before);
            Ok(())
        }
        Op::Tick(n) => {
            poll_at(Clock::get() + n);
            Ok(())
        }
        // Counted from the oldest, because places are never used again.
        Op::Cancel(nth) => Slashing::cancel(RuntimeOrigin::root(), PendingRange::<Test>::get().0 + nth),
        Op::Claim(n) => Slashing::claim(signed(1), id(n)),
        Op::Bond(w, a) => Staking::bond(signed(w), Part::Provider, a),
        Op::Unbond(w, a) => Staking::unbond(signed(w), Part::Provider, a),
        Op::Withdraw(w) => Staking::withdraw_unbonded(signed(w), Part::Provider),
        Op::Rotate => {
            Session::rotate_session();
            Ok(())
        }
    }
}

/// Burned so far, as the events say.
fn burned() -> Balance {
    events()
        .into_iter()
        .map(|event| match event {
            Event::SlashExecuted { burned, .. } => burned,
            _ => 0,
        })
        .sum()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..Default::default() })]
    #[test]
    fn any_sequence_burns_what_it_says_and_keeps_the_invariants(ops in proptest::collection::vec(op(), 100)) {
        ext().execute_with(|| {
            for op in ops {
                let issuance = Balances::total_issuance();
                let _ = frame::deps::frame_support::storage::with_storage_layer(|| apply(op));
                assert_eq!(Balances::total_issuance(), issuance - burned());
                System::reset_events();
                check();
                let all: Balance = frame_system::Account::<Test>::iter().map(|(_, a)| a.data.free + a.data.reserved).sum();
                assert_eq!(all, Balances::total_issuance());
            }
            // Whatever waited is executed in the end, and every bond then answers only for open work.
            poll_at(Clock::get() + 100);
            assert!(Slashing::pending().is_empty());
            check();
        });
    }
}

//! That settlement cannot fail, and that its legs add up.

use assay_primitives::*;
use frame::{
    testing_prelude::*,
    traits::{
        fungible::{InspectHold, Mutate, MutateFreeze},
        tokens::{Fortitude, Precision, Preservation},
    },
};
use pallet_assay_jobs::{Error, Event, HoldReason, ReceiptRing, Receipts, Unclaimed};
use pallet_assay_testing::*;
use std::collections::BTreeMap;

/// Takes everything that somebody owns: the account is gone.
fn reap(who: &AccountId) {
    let all = Balances::free_balance(who);
    assert_ok!(Balances::burn_from(who, all, Preservation::Expendable, Precision::Exact, Fortitude::Force));
    assert!(!frame_system::Account::<Test>::contains_key(who));
}

#[test]
fn settle_to_a_reaped_account_keeps_the_payment_to_be_claimed() {
    Setup::default().build().execute_with(|| {
        let job = submit(&client(0), spec(0, 1));
        reap(&controller(0));
        let issuance = Balances::total_issuance();
        commit_all(job, &[]);
        let r = receipt(job);
        let paid = r.stages[0].paid;
        assert!(paid < ED, "below the existential deposit, it cannot create the account");
        assert_eq!(Unclaimed::<Test>::get(controller(0), client(0)), Some(paid));
        System::assert_has_event(
            Event::PaymentDeferred { payer: client(0), beneficiary: controller(0), amount: paid }.into(),
        );
        assert_eq!(issuance - Balances::total_issuance(), r.burned);
        check_invariants();
        let claim = || Jobs::claim(RuntimeOrigin::signed(client(1)), controller(0), client(0));
        assert!(claim().is_err());
        assert_eq!(Unclaimed::<Test>::get(controller(0), client(0)), Some(paid), "a failed claim loses nothing");
        assert_ok!(Balances::transfer_allow_death(RuntimeOrigin::signed(client(1)), controller(0), ED));
        assert_ok!(claim());
        System::assert_last_event(Event::Claimed { payer: client(0), beneficiary: controller(0), amount: paid }.into());
        assert_eq!(Balances::free_balance(controller(0)), ED + paid);
        assert_noop!(claim(), Error::<Test>::NothingToClaim);
        check_invariants();
    });
}

#[test]
fn settle_over_a_freeze_of_the_whole_balance_pays_in_full() {
    Setup::default().build().execute_with(|| {
        let job = submit(&client(0), spec(1, 3));
        assert_ok!(<Balances as MutateFreeze<AccountId>>::set_freeze(&1, &client(0), FUNDS));
        commit_all(job, &[]);
        run_to_checking(job);
        check_all(job, &[]);
        reveal_all(job);
        let r = receipt(job);
        assert_eq!(Unclaimed::<Test>::iter().count(), 0);
        assert_eq!(Balances::free_balance(controller(0)), FUNDS + r.stages[0].paid);
        assert_eq!(held(&client(0)), 0);
    });
}

#[test]
fn settle_client_that_is_its_own_executor_pays_itself() {
    Setup::default().build().execute_with(|| {
        let before = Balances::free_balance(controller(0));
        let job = submit(&controller(0), spec(0, 1));
        commit_all(job, &[]);
        let r = receipt(job);
        assert!(r.stages[0].paid > 0);
        assert_eq!(Balances::free_balance(controller(0)), before - r.burned, "wash trading costs the burn");
    });
}

#[test]
fn settle_legs_add_up_to_the_escrow_whatever_the_prices() {
    for (price, k, tokens) in [(1u128, 2u8, 1u32), (3, 3, 5), (999, 2, 8), (1_001, 4, 7), (123_457, 3, 3)] {
        Setup::with(8).build().execute_with(|| {
            (0..8).for_each(|i| change_asks(i, |e| e.ask.price = price + 7 * Balance::from(i)));
            let mut s = spec(1, k);
            s.max_price = price * 3 + 50;
            s.task = JobTask::Generate { max_new_tokens: tokens.max(4), sampling: SamplingParams::GREEDY };
            let job = submit(&client(0), s);
            let escrow = Jobs::job_status(job).unwrap().record.escrow;
            commit_all(job, &[]);
            run_to_checking(job);
            check_all(job, &[]);
            reveal_all(job);
            let r = receipt(job);
            let paid: Balance = r.stages.iter().map(|s| s.paid + s.checkers.iter().map(|c| c.1).sum::<Balance>()).sum();
            assert_eq!(paid + r.burned + r.refunded, escrow);
            assert!(r.refunded > 0, "generation stopped early");
        });
    }
}

#[test]
fn settle_moves_money_once_for_each_recipient_and_burns_once() {
    use polkadot_sdk::pallet_balances::Event as Money;
    Setup::default().build().execute_with(|| {
        // Four providers share two executions and four checks.
        let job = submit(&client(0), spec(1, 3));
        commit_all(job, &[]);
        run_to_checking(job);
        check_all(job, &[]);
        System::reset_events();
        reveal_all(job);
        let r = receipt(job);
        let params = Params::local();
        let mut owed: BTreeMap<AccountId, Balance> = BTreeMap::new();
        let mut burned = 0;
        for (s, stage) in r.stages.iter().enumerate() {
            let price = [1_010, 1_020][s];
            let fee = market::check_fee(&params, spec(1, 3).task, stage.work).unwrap();
            let legs = stage.checkers.iter().map(|(who, paid)| (who, *paid, fee));
            for (who, paid, gross) in legs.chain([(&stage.executor, stage.paid, price * Balance::from(stage.work))]) {
                assert_eq!(paid, gross - params.burn.mul_ceil(gross), "every leg is rounded by itself");
                burned += params.burn.mul_ceil(gross);
                *owed.entry(who.clone()).or_default() += paid;
            }
        }
        assert!(owed.len() < 6, "somebody serves twice");
        assert_eq!(r.burned, burned + params.fixed_fee);
        let mut paid: BTreeMap<AccountId, Balance> = BTreeMap::new();
        let mut burns = Vec::new();
        for record in System::events() {
            match record.event {
                RuntimeEvent::Balances(Money::TransferOnHold { source, dest, amount, .. }) if source == client(0) => {
                    assert_eq!(paid.insert(dest, amount), None, "one transfer each");
                }
                RuntimeEvent::Balances(Money::BurnedHeld { who, amount, .. }) if who == client(0) => burns.push(amount),
                _ => (),
            }
        }
        assert_eq!(paid, owed);
        assert_eq!(burns, vec![r.burned]);
        check_invariants();
    });
}

#[test]
fn receipts_only_the_last_ones_stay() {
    Setup::default().build().execute_with(|| {
        let jobs: Vec<_> = (0..20)
            .map(|_| {
                let job = submit(&client(0), spec(0, 1));
                commit_all(job, &[]);
                next_block();
                job
            })
            .collect();
        assert_eq!(Receipts::<Test>::iter().count(), 16);
        assert_eq!(ReceiptRing::<Test>::iter().count(), 16);
        assert_eq!(Jobs::receipt(jobs[3]), None);
        assert_eq!(Jobs::receipt(jobs[4]).map(|r| r.job), Some(jobs[4]));
    });
}

#[test]
fn quote_is_what_submission_holds_and_assigns() {
    Setup::default().build().execute_with(|| {
        let quote = Jobs::quote(spec(1, 3)).unwrap();
        let job = submit(&client(0), spec(1, 3));
        assert_eq!(quote.escrow, Balances::balance_on_hold(&HoldReason::Escrow.into(), &client(0)));
        let assigned: Vec<_> = open(job).stages.iter().map(|a| (a.span, Ok((a.executor.clone(), a.price)))).collect();
        let quoted: Vec<_> = quote.stages.into_iter().map(|q| (q.span, q.award)).collect();
        assert_eq!(quoted, assigned);
    });
}

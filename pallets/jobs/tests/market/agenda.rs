//! Deadlines, carry-over, re-dispatch and the ways to end without a result.

use assay_primitives::*;
use frame::{
    deps::frame_support::weights::WeightMeter,
    testing_prelude::*,
    traits::{OnInitialize, OnPoll},
};
use pallet_assay_jobs::{weights::SubstrateWeight, Agenda, AgendaCursor, Error, Now, WeightInfo};
use pallet_assay_testing::*;

fn fee() -> Balance {
    Params::local().fixed_fee
}

/// A block whose hooks may use so much.
fn poor_block(meter: &mut WeightMeter) {
    let n = System::block_number() + 1;
    System::set_block_number(n);
    AllPalletsWithSystem::on_initialize(n);
    <Jobs as OnPoll<u64>>::on_poll(n, meter);
    check_invariants();
}

#[test]
fn tick_advances_once_a_block_and_not_while_answers_are_impossible() {
    Setup::default().build().execute_with(|| {
        let start = Now::<Test>::get();
        run_blocks(5);
        assert_eq!(Now::<Test>::get(), start + 5);
        world::IsPaused::<Test>::put(true);
        run_blocks(5);
        assert_eq!(Now::<Test>::get(), start + 5);
        poor_block(&mut WeightMeter::with_limit(Weight::zero()));
        assert_eq!(Now::<Test>::get(), start + 5, "a block without room for answers is no time either");
    });
}

#[test]
fn agenda_what_does_not_fit_is_carried_over_and_nothing_is_lost() {
    Setup::default().build().execute_with(|| {
        let jobs: Vec<_> = (0..6).map(|_| submit(&client(0), spec(0, 1))).collect();
        let due = open(jobs[0]).due;
        while Now::<Test>::get() < due {
            next_block();
        }
        let waiting = || jobs.iter().filter(|j| (open(**j).attempt, open(**j).phase) == (0, JobPhase::Running)).count();
        let enough: frame_system::limits::BlockWeights = <Test as frame_system::Config>::BlockWeights::get();
        let mut meter = WeightMeter::with_limit(Weight::from_parts(enough.max_block.ref_time() / 2, u64::MAX));
        poor_block(&mut meter);
        let after = waiting();
        assert!(after < 6, "half a block holds at least one");
        // A block that holds only the tick drains nothing and loses nothing.
        poor_block(&mut WeightMeter::with_limit(SubstrateWeight::<Test>::tick()));
        assert_eq!(waiting(), after);
        assert!(AgendaCursor::<Test>::get() <= Now::<Test>::get());
        run_blocks(2);
        assert_eq!(waiting(), 0);
        assert_eq!(faults().len(), 6);
    });
}

#[test]
fn redispatch_ends_when_attempts_are_used_up() {
    Setup::with(6).build().execute_with(|| {
        let before = Balances::free_balance(client(0));
        let job = submit(&client(0), spec(1, 2));
        for attempt in 0..3 {
            assert_eq!(open(job).attempt, attempt);
            assert_ok!(commit_as(job, 1, 0));
            run_past(open(job).due);
            if attempt < 2 {
                assert_eq!(open(job).phase, JobPhase::Requeue);
                next_block();
            }
        }
        let (reason, _, burned) = refund(job);
        assert_eq!((reason, burned), (RefundReason::AttemptsExhausted, fee()));
        assert_eq!(Balances::free_balance(client(0)), before - fee(), "all but the fixed fee returns");
        let who: Vec<_> = faults().into_iter().map(|f| f.1).collect();
        assert_eq!(who.len(), 3);
        assert!(who.iter().all(|w| who.iter().filter(|v| *v == w).count() == 1), "nobody gets the job twice: {who:?}");
    });
}

#[test]
fn redispatch_without_anyone_to_take_over_refunds() {
    Setup::with(2).build().execute_with(|| {
        let job = submit(&client(0), spec(1, 2));
        run_past(open(job).due);
        next_block();
        let (reason, refunded, burned) = refund(job);
        assert_eq!((reason, burned), (RefundReason::NoProvider, fee()));
        assert!(refunded > 0);
        assert_eq!(held(&client(0)), 0);
    });
}

#[test]
fn redispatch_of_a_model_without_semantics_refunds() {
    Setup::with(6).build().execute_with(|| {
        let job = submit(&client(0), spec(1, 2));
        world::Models::<Test>::mutate(MODEL, |m| m.as_mut().unwrap().templates.clear());
        run_past(open(job).due);
        next_block();
        assert_eq!(refund(job).0, RefundReason::ModelGone);
    });
}

#[test]
fn cancel_only_by_the_client_and_only_between_attempts() {
    Setup::with(6).build().execute_with(|| {
        let job = submit(&client(0), spec(1, 2));
        assert_noop!(Jobs::cancel(RuntimeOrigin::signed(client(0)), H256::zero()), Error::<Test>::JobUnknown);
        assert_noop!(Jobs::cancel(RuntimeOrigin::signed(client(0)), job), Error::<Test>::Assigned);
        run_past(open(job).due);
        assert_noop!(Jobs::cancel(RuntimeOrigin::signed(client(1)), job), Error::<Test>::NotClient);
        assert_ok!(Jobs::cancel(RuntimeOrigin::signed(client(0)), job));
        assert_eq!(refund(job).0, RefundReason::Cancelled);
        assert_eq!(Agenda::<Test>::iter().count(), 0);
        assert_eq!(Balances::free_balance(client(0)), FUNDS - fee());
        assert_noop!(Jobs::cancel(RuntimeOrigin::signed(client(0)), job), Error::<Test>::JobUnknown);
    });
}

#[test]
fn extra_ticks_lengthen_every_deadline() {
    Setup::with(6).build().execute_with(|| {
        let plain = submit(&client(0), spec(1, 2));
        let mut s = spec(1, 2);
        s.extra_ticks = 50;
        let long = submit(&client(0), s);
        assert_eq!(open(long).due, open(plain).due + 50);
        for job in [plain, long] {
            commit_all(job, &[]);
        }
        next_block();
        next_block();
        next_block();
        assert_eq!(open(long).due, open(plain).due + 50);
        for job in [plain, long] {
            check_all(job, &[]);
        }
        assert_eq!(open(long).due, open(plain).due + 50);
    });
}

//! The draw.

use assay_primitives::{traits::Beacon, *};
use frame::testing_prelude::*;
use pallet_assay_testing::*;
use pallet_assay_verification as verification;

fn setup(authors: u8, providers: u8) -> TestState {
    Setup { providers, params: Params { beacon_authors: authors, ..Params::local() } }.build()
}

#[test]
fn draw_waits_for_distinct_authors_that_execute_nothing() {
    setup(2, 6).execute_with(|| {
        let job = submit(&client(0), spec(1, 3));
        commit_all(job, &[]);
        assert_eq!(open(job).phase, JobPhase::Drawing);
        for author in [0, 1, 0, 4, 4, 1] {
            next_block_by(&controller(author));
            assert_eq!(open(job).phase, JobPhase::Drawing, "executors and repetitions do not count");
        }
        next_block_by(&controller(5));
        assert_eq!(open(job).phase, JobPhase::Checking);
        check_all(job, &[]);
        reveal_all(job);
        assert_eq!(receipt(job).assurance.beacon_authors, 2);
    });
}

#[test]
fn draw_window_ends_takes_the_authors_that_were_seen() {
    setup(3, 6).execute_with(|| {
        let job = submit(&client(0), spec(1, 3));
        commit_all(job, &[]);
        next_block_by(&controller(3));
        let due = open(job).due;
        while pallet_assay_jobs::Now::<Test>::get() <= due {
            assert_eq!(open(job).phase, JobPhase::Drawing);
            next_block_by(&controller(0));
        }
        assert_eq!(open(job).phase, JobPhase::Checking);
        check_all(job, &[]);
        reveal_all(job);
        assert_eq!(receipt(job).assurance.beacon_authors, 1);
    });
}

#[test]
fn draw_block_of_the_last_commit_does_not_count() {
    setup(1, 6).execute_with(|| {
        let job = submit(&client(0), spec(1, 3));
        next_block_by(&controller(5));
        commit_all(job, &[]);
        next_block_by(&controller(0));
        assert_eq!(open(job).phase, JobPhase::Drawing);
        next_block_by(&controller(4));
        assert_eq!(open(job).phase, JobPhase::Checking);
    });
}

#[test]
fn draw_without_enough_checkers_waits_for_capacity_then_gives_up_without_blame() {
    setup(1, 6).execute_with(|| {
        let job = submit(&client(0), spec(1, 3));
        commit_all(job, &[]);
        (0..6).for_each(|i| change_asks(i, |e| e.ask.check_slots = 0));
        run_blocks(3);
        assert_eq!(open(job).phase, JobPhase::Drawing);
        // Two could take the seats, but they are less than half of the five who could check when the job began.
        (2..4).for_each(|i| change_asks(i, |e| e.ask.check_slots = 8));
        next_block();
        assert_eq!(open(job).phase, JobPhase::Drawing);
        change_asks(4, |e| e.ask.check_slots = 8);
        next_block();
        assert_eq!(open(job).phase, JobPhase::Checking);

        let other = submit(&client(0), spec(1, 3));
        commit_all(other, &[]);
        (0..6).for_each(|i| change_asks(i, |e| e.ask.check_slots = e.checking));
        run_past(open(other).due);
        assert_eq!((open(other).attempt, open(other).phase), (0, JobPhase::Requeue));
        assert!(faults().is_empty());
    });
}

/// A job of two stages that has committed to four ids, and whose draw has failed for want of checkers.
fn undrawn(fixed_fee: Balance) -> JobHash {
    undrawn_of(spec(1, 3), fixed_fee)
}

fn undrawn_of(spec: JobSpec, fixed_fee: Balance) -> JobHash {
    assert_ok!(Jobs::set_params(RuntimeOrigin::root(), Params { fixed_fee, ..Params::local() }));
    let job = submit(&client(0), spec);
    commit_all(job, &[]);
    (0..6).for_each(|i| change_asks(i, |e| e.ask.check_slots = 0));
    run_past(open(job).due);
    assert_eq!(open(job).phase, JobPhase::Requeue);
    job
}

fn unchecked(job: JobHash) -> Vec<(u8, AccountId, Balance, Balance)> {
    let of_job = |r: frame_system::EventRecord<RuntimeEvent, H256>| match r.event {
        RuntimeEvent::Jobs(pallet_assay_jobs::Event::UncheckedPaid { job: j, stage, executor, paid, burned })
            if j == job =>
        {
            Some((stage, executor, paid, burned))
        }
        _ => None,
    };
    System::events().into_iter().filter_map(of_job).collect()
}

#[test]
fn draw_that_fails_pays_each_executor_as_if_for_a_check_out_of_the_fixed_fee() {
    setup(1, 6).execute_with(|| {
        let issuance = Balances::total_issuance();
        let job = undrawn(Params::local().fixed_fee);
        // Six positions of four layers, and in the last stage a head for each of the four ids.
        let fee = |work| market::check_fee(&Params::local(), spec(1, 3).task, work).unwrap();
        let fees = [fee(24), fee(28)];
        let burned = fees.map(|fee| Params::local().burn.mul_ceil(fee));
        let paid = |s: usize| fees[s] - burned[s];
        let expected = vec![(0, controller(0), paid(0), burned[0]), (1, controller(1), paid(1), burned[1])];
        assert_eq!(unchecked(job), expected);
        for s in 0..2 {
            assert_eq!(Balances::free_balance(controller(s)), FUNDS + paid(s.into()));
        }
        let escrow = market::escrow(
            &Params::local(),
            1_000_000,
            3,
            spec(1, 3).task,
            &[40, 48].map(|w| market::StageWork { max: w, prefill: w }),
        );
        assert_eq!(held(&client(0)), escrow.unwrap() - fees.iter().sum::<Balance>());
        assert_eq!(issuance - Balances::total_issuance(), burned.iter().sum());
        check_invariants();
        next_block();
        // Nobody can check it now either: what was not spent of the fixed fee burns, all else returns.
        let (reason, refunded, rest) = refund(job);
        assert_eq!(reason, RefundReason::NoProvider);
        assert_eq!(rest, Params::local().fixed_fee - fees.iter().sum::<Balance>());
        assert_eq!(refunded, escrow.unwrap() - Params::local().fixed_fee);
    });
}

#[test]
fn draw_that_fails_pays_the_executors_of_an_embedding_for_all_of_its_positions() {
    setup(1, 6).execute_with(|| {
        let works: Vec<_> = Jobs::quote(embedding(1, 3)).unwrap().stages.iter().map(|s| s.work).collect();
        let fees: Vec<_> =
            works.iter().map(|work| market::check_fee(&Params::local(), JobTask::Embed, *work).unwrap()).collect();
        let job = undrawn_of(embedding(1, 3), fees.iter().sum());
        let sums: Vec<_> = unchecked(job).into_iter().map(|(s, _, paid, burned)| (s, paid + burned)).collect();
        assert_eq!(sums, vec![(0, fees[0]), (1, fees[1])]);
        check_invariants();
    });
}

#[test]
fn draw_that_fails_pays_no_more_than_the_fixed_fee() {
    setup(1, 6).execute_with(|| {
        let first = market::check_fee(&Params::local(), spec(1, 3).task, 24).unwrap();
        let job = undrawn(first + 1);
        let sums: Vec<_> = unchecked(job).into_iter().map(|(s, _, paid, burned)| (s, paid + burned)).collect();
        assert_eq!(sums, vec![(0, first), (1, 1)]);
        next_block();
        assert_eq!(refund(job).2, 0, "nothing of the fee is left to burn");
    });
}

#[test]
fn draw_that_fails_without_a_fixed_fee_pays_nobody() {
    setup(1, 6).execute_with(|| {
        let job = undrawn(0);
        assert!(unchecked(job).is_empty());
        assert_eq!(Balances::free_balance(controller(0)), FUNDS);
    });
}

#[test]
fn draw_without_free_bond_passes_a_checker_over() {
    setup(1, 4).execute_with(|| {
        world::Bonds::<Test>::insert(controller(2), 1);
        let job = submit(&client(0), spec(1, 2));
        commit_all(job, &[]);
        run_to_checking(job);
        for s in 0..2 {
            assert!(seats(job, s).iter().all(|seat| seat.controller == controller(3)));
        }
    });
}

#[test]
fn draw_many_jobs_is_by_bond() {
    setup(1, 6).execute_with(|| {
        world::Bonds::<Test>::insert(controller(5), 3 * BOND);
        let mut drawn = [0u32; 6];
        for _ in 0..600 {
            let job = submit(&client(0), spec(1, 2));
            commit_all(job, &[]);
            run_to_checking(job);
            seats(job, 0).iter().for_each(|s| drawn[usize::from(index_of(&s.controller))] += 1);
            check_all(job, &[]);
            reveal_all(job);
            System::reset_events();
        }
        // 1 : 1 : 1 : 3 of 6.
        assert_eq!((drawn[0], drawn[1]), (0, 0));
        assert!((2..5).all(|i| drawn[i].abs_diff(100) < 50), "{drawn:?}");
        assert!(drawn[5].abs_diff(300) < 65, "{drawn:?}");
    });
}

#[test]
fn authors_ring_is_bounded_and_forgets_the_oldest() {
    setup(1, 6).execute_with(|| {
        let start = System::block_number() as u32;
        run_blocks(200);
        assert_eq!(verification::Authors::<Test>::iter().count(), 64);
        assert_eq!(Verification::authors_since(start, &[], 8).len(), 6, "six distinct authors");
        assert_eq!(Verification::authors_since(start + 200, &[], 8).len(), 0);
        assert_eq!(Verification::authors_since(start + 199, &[], 8).len(), 1);
        assert_eq!(Verification::eligible(&[controller(0)]), 5);
    });
}

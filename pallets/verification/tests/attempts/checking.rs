//! Seats: no-shows, withheld rows, late answers, extra tranches.

use assay_primitives::*;
use frame::testing_prelude::*;
use pallet_assay_testing::*;
use pallet_assay_verification::{Error, StageStatus, Stages};

/// A job of two stages whose checkers are drawn.
fn checking(k: u8) -> JobHash {
    let job = submit(&client(0), spec(1, k));
    commit_all(job, &[]);
    run_to_checking(job);
    job
}

fn unavailable(job: JobHash, stage: u8, who: &AccountId) -> DispatchResult {
    let verdict = CheckVerdict::Unavailable;
    answer(&worker(index_of(who)), Answer::Check { at: at(job, stage), verdict })
}

fn agree(job: JobHash, stage: u8, who: &AccountId) {
    assert_ok!(check_as(job, stage, who, 0, 0));
}

fn status(job: JobHash, stage: u8) -> StageStatus {
    Stages::<Test>::get(job, stage).unwrap().status
}

#[test]
fn check_by_one_without_a_seat_or_twice_is_refused() {
    Setup::with(6).build().execute_with(|| {
        let job = checking(3);
        assert_err!(check_as(job, 0, &controller(0), 0, 0), Error::<Test>::NotChecker);
        let first = seats(job, 0)[0].controller.clone();
        agree(job, 0, &first);
        assert_err!(check_as(job, 0, &first, 0, 0), Error::<Test>::AlreadyAnswered);
        assert_err!(commit_as(job, 0, 0), Error::<Test>::WrongPhase);
        assert_err!(reveal_as(job, 0, &worker(0), 0), Error::<Test>::WrongPhase);
        assert_err!(vote_as(job, 0, &controller(4), 0), Error::<Test>::WrongPhase);
    });
}

#[test]
fn no_show_gets_two_more_seats_drawn_and_is_slashed_its_share_of_the_fee() {
    Setup::with(8).build().execute_with(|| {
        let job = checking(3);
        let before = seats(job, 0);
        agree(job, 0, &before[0].controller);
        for seat in seats(job, 1) {
            agree(job, 1, &seat.controller);
        }
        assert!(faults().is_empty());
        run_past(before[1].due);
        let after = seats(job, 0);
        assert_eq!(after.len(), 4);
        assert!(after[1].missed);
        assert_eq!(open(job).phase, JobPhase::Checking);
        assert_eq!(open(job).due, after[2].due);
        for seat in &after[2..] {
            agree(job, 0, &seat.controller);
        }
        reveal_all(job);
        let fee = market::check_fee(&Params::local(), spec(1, 3).task, 40).unwrap();
        let slash = market::liveness(&Params::local(), fee);
        assert_eq!(faults(), vec![(0, before[1].controller.clone(), OffenceKind::NoShow, slash)]);
        let r = receipt(job);
        assert_eq!(r.stages[0].checkers.len(), 3, "the extra checkers are paid too");
        assert!(r.stages[0].checkers.iter().all(|(who, paid)| *who != before[1].controller && *paid > 0));
    });
}

#[test]
fn late_agreement_still_counts_and_the_fault_stays() {
    Setup::with(8).build().execute_with(|| {
        let job = checking(3);
        let first = seats(job, 0);
        agree(job, 0, &first[0].controller);
        seats(job, 1).iter().for_each(|s| agree(job, 1, &s.controller));
        run_past(first[1].due);
        agree(job, 0, &first[1].controller);
        // The extra seats are still awaited: they may know better.
        assert_eq!(open(job).phase, JobPhase::Checking);
        seats(job, 0)[2..].iter().for_each(|s| agree(job, 0, &s.controller));
        reveal_all(job);
        assert_eq!(receipt(job).stages[0].checkers.len(), 4);
        assert_eq!(faults().len(), 1);
        assert_eq!((&faults()[0].1, faults()[0].2), (&first[1].controller, OffenceKind::NoShow));
    });
}

#[test]
fn late_dissent_always_escalates() {
    Setup::with(8).build().execute_with(|| {
        let job = checking(3);
        let first = seats(job, 0);
        agree(job, 0, &first[0].controller);
        seats(job, 1).iter().for_each(|s| agree(job, 1, &s.controller));
        run_past(first[1].due);
        seats(job, 0)[2..3].iter().for_each(|s| agree(job, 0, &s.controller));
        assert_ok!(check_as(job, 0, &first[1].controller, 1, 0));
        assert_eq!(open(job).phase, JobPhase::Checking, "one seat is still awaited");
        seats(job, 0)[3..].iter().for_each(|s| agree(job, 0, &s.controller));
        assert_eq!(open(job).phase, JobPhase::Escalated);
    });
}

#[test]
fn unavailable_one_of_two_gets_more_seats_and_the_stage_can_still_be_agreed() {
    Setup::with(8).build().execute_with(|| {
        let job = checking(3);
        let first = seats(job, 1);
        assert_ok!(unavailable(job, 1, &first[0].controller));
        agree(job, 1, &first[1].controller);
        assert_eq!(seats(job, 1).len(), 4);
        seats(job, 1)[2..].iter().for_each(|s| agree(job, 1, &s.controller));
        assert_eq!(status(job, 1), StageStatus::Agreed);
        seats(job, 0).iter().for_each(|s| agree(job, 0, &s.controller));
        reveal_all(job);
        assert_eq!(receipt(job).stages[1].checkers.len(), 3);
        assert!(faults().is_empty(), "saying that nothing could be had is no fault");
    });
}

#[test]
fn unavailable_half_fails_the_attempt_with_a_liveness_fault_of_the_executor() {
    Setup::with(8).build().execute_with(|| {
        let job = checking(3);
        for seat in seats(job, 1) {
            assert_ok!(unavailable(job, 1, &seat.controller));
        }
        assert_eq!(status(job, 1), StageStatus::Withheld);
        assert_eq!(open(job).phase, JobPhase::Checking, "the other stage may have a dispute to decide first");
        let honest = seats(job, 0);
        let before = Balances::free_balance(&honest[0].controller);
        honest.iter().for_each(|s| agree(job, 0, &s.controller));
        let slash = market::liveness(&Params::local(), 1_020 * 48);
        assert_eq!(faults(), vec![(1, controller(1), OffenceKind::Withheld, slash)]);
        assert_eq!(open(job).phase, JobPhase::Requeue);
        assert!(Balances::free_balance(&honest[0].controller) > before, "good checks are paid out of the fixed fee");
        next_block();
        assert!(open(job).stages.iter().all(|s| s.executor != controller(1)));
    });
}

#[test]
fn unavailable_of_the_first_stage_is_refused_because_its_input_is_public() {
    for task in [spec(1, 3), embedding(1, 3)] {
        Setup::with(8).build().execute_with(|| {
            let job = submit(&client(0), task);
            commit_all(job, &[]);
            run_to_checking(job);
            for seat in seats(job, 0) {
                assert_err!(unavailable(job, 0, &seat.controller), Error::<Test>::InputIsPublic);
                agree(job, 0, &seat.controller);
            }
            assert_eq!(status(job, 0), StageStatus::Agreed);
            assert!(faults().is_empty());
        });
    }
}

#[test]
fn unavailable_alone_and_nobody_else_to_ask_is_withheld() {
    Setup::with(3).build().execute_with(|| {
        let job = checking(2);
        // Stage 1 has one checker; of the others one executes it and the other sits already.
        world::Bonds::<Test>::insert(controller(0), 1);
        let only = seats(job, 1)[0].controller.clone();
        seats(job, 0).iter().for_each(|s| agree(job, 0, &s.controller));
        change_asks(0, |e| e.usable = false);
        assert_ok!(unavailable(job, 1, &only));
        assert_eq!(faults()[0].2, OffenceKind::Withheld);
        world::Bonds::<Test>::insert(controller(0), BOND);
    });
}

#[test]
fn no_show_without_anyone_left_escalates_and_four_holders_with_one_dead_reach_a_verdict() {
    Setup::with(4).build().execute_with(|| {
        let mut s = spec(0, 4);
        s.template = 0;
        let job = submit(&client(0), s);
        commit_all(job, &[]);
        run_to_checking(job);
        let seated = seats(job, 0);
        assert_eq!(seated.len(), 3);
        agree(job, 0, &seated[0].controller);
        agree(job, 0, &seated[1].controller);
        run_past(seated[2].due);
        assert_eq!(open(job).phase, JobPhase::Escalated);
        // The dead one neither votes nor answers; when voting ends anyone may open the root.
        run_past(open(job).due);
        assert_eq!(open(job).phase, JobPhase::Escalated);
        assert_ok!(reveal_as(job, 0, &worker(0), 0));
        let r = receipt(job);
        assert!(r.assurance.escalated);
        assert_eq!(r.stages[0].checkers.len(), 2);
        assert_eq!(faults().len(), 1);
        assert_eq!((&faults()[0].1, faults()[0].2), (&seated[2].controller, OffenceKind::NoShow));
    });
}

#[test]
fn tranches_used_up_escalate() {
    Setup { providers: 30, params: Params { max_tranches: 2, ..Params::local() } }.build().execute_with(|| {
        let job = checking(2);
        seats(job, 1).iter().for_each(|s| agree(job, 1, &s.controller));
        for drawn in [1, 3, 5] {
            assert_eq!(open(job).phase, JobPhase::Checking);
            assert_eq!(seats(job, 0).len(), drawn);
            run_past(open(job).due);
        }
        assert_eq!(open(job).phase, JobPhase::Escalated);
    });
}

#[test]
fn time_stands_still_while_answers_are_impossible() {
    Setup::with(6).build().execute_with(|| {
        let job = checking(3);
        let due = open(job).due;
        world::IsPaused::<Test>::put(true);
        run_blocks(100);
        assert_eq!((open(job).due, open(job).phase), (due, JobPhase::Checking));
        world::IsPaused::<Test>::put(false);
        check_all(job, &[]);
        reveal_all(job);
        assert!(faults().is_empty());
    });
}

//! Opening the roots.

use assay_primitives::*;
use frame::testing_prelude::*;
use pallet_assay_testing::*;
use pallet_assay_verification::{Error, Event};

fn revealing(template: u8, k: u8) -> JobHash {
    let job = submit(&client(0), spec(template, k));
    commit_all(job, &[]);
    run_to_checking(job);
    check_all(job, &[]);
    assert_eq!(open(job).phase, JobPhase::Revealing);
    job
}

#[test]
fn reveal_by_anyone_counts_once_and_only_the_committed_root() {
    Setup::with(6).build().execute_with(|| {
        let job = revealing(1, 3);
        assert_err!(reveal_as(job, 0, &client(3), 1), Error::<Test>::DoesNotOpen);
        assert_ok!(reveal_as(job, 0, &client(3), 0));
        System::assert_has_event(Event::Revealed { at: at(job, 0), root: stage_root(&open(job), 0, 0) }.into());
        assert_err!(reveal_as(job, 0, &client(3), 0), Error::<Test>::AlreadyAnswered);
        assert_ok!(reveal_as(job, 1, &worker(5), 0));
        assert!(receipt(job).stages.iter().all(|s| s.root.is_some()));
    });
}

#[test]
fn reveal_nobody_in_time_escalates_and_the_verdict_can_still_be_reached() {
    Setup::with(6).build().execute_with(|| {
        let job = revealing(1, 3);
        assert_ok!(reveal_as(job, 1, &worker(1), 0));
        let due = open(job).due;
        pallet_assay_jobs::Now::<Test>::put(due + 1);
        assert_err!(reveal_as(job, 0, &worker(0), 0), Error::<Test>::TooLate);
        pallet_assay_jobs::Now::<Test>::put(due);
        run_past(due);
        assert_eq!(open(job).phase, JobPhase::Escalated);
        for i in 0..6 {
            let _ = vote_as(job, 0, &controller(i), 0);
        }
        assert_ok!(reveal_as(job, 0, &client(0), 0));
        assert!(receipt(job).assurance.escalated);
        assert!(faults().is_empty());
    });
}

#[test]
fn agreement_that_does_not_open_is_a_lie_that_costs_its_whole_backing() {
    Setup::with(8).build().execute_with(|| {
        let job = submit(&client(0), spec(0, 3));
        commit_all(job, &[]);
        run_to_checking(job);
        let seated = seats(job, 0);
        // It says that it agrees, over a root that it made up.
        let digest = digest_of(&open(job), 0, Role::Checker, &seated[0].controller, 7);
        let verdict = CheckVerdict::Agree(digest);
        assert_ok!(answer(&worker(index_of(&seated[0].controller)), Answer::Check { at: at(job, 0), verdict }));
        assert_ok!(check_as(job, 0, &seated[1].controller, 0, 0));
        let before = Balances::free_balance(&seated[1].controller);
        assert_ok!(reveal_as(job, 0, &worker(0), 0));
        assert_eq!(faults(), vec![(0, seated[0].controller.clone(), OffenceKind::FalseAgree, seated[0].backing)]);
        assert_eq!(world::Offences::<Test>::get()[0].0.reporter, Some(controller(0)));
        // One honest agreement is not the two that the client asked for, and a public root proves nothing any more.
        assert_eq!(open(job).phase, JobPhase::Requeue);
        assert!(Balances::free_balance(&seated[1].controller) > before);
        next_block();
        assert_eq!(open(job).stages[0].executor, controller(0), "the executor did nothing wrong");
        commit_all(job, &[]);
        run_to_checking(job);
        assert!(seats(job, 0).iter().all(|s| s.controller != seated[0].controller));
    });
}

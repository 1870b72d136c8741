//! What the worker and RPC read.

use assay_primitives::{api::Duty, *};
use frame::testing_prelude::*;
use pallet_assay_testing::*;

fn all_duties() -> Vec<(u8, Duty)> {
    (0..6).flat_map(|i| Verification::duties(&worker(i)).into_iter().map(move |d| (i, d))).collect()
}

#[test]
fn duties_follow_the_job_through_its_phases() {
    Setup::with(6).build().execute_with(|| {
        assert!(all_duties().is_empty());
        let job = submit(&client(0), spec(1, 2));
        assert_eq!(all_duties(), vec![(0, Duty::Execute(at(job, 0))), (1, Duty::Execute(at(job, 1)))]);
        assert_ok!(commit_as(job, 0, 0));
        assert_eq!(all_duties(), vec![(1, Duty::Execute(at(job, 1)))]);
        assert_ok!(commit_as(job, 1, 0));
        assert!(all_duties().is_empty(), "drawing is nobody's work");
        run_to_checking(job);
        let checkers: Vec<u8> = (0..2).map(|s| index_of(&seats(job, s)[0].controller)).collect();
        let mut expected: Vec<_> = checkers.iter().zip(0..).map(|(i, s)| (*i, Duty::Check(at(job, s)))).collect();
        expected.sort();
        assert_eq!(all_duties(), expected);
        check_all(job, &[]);
        let reveals = all_duties();
        assert_eq!(reveals.len(), 4, "executor and checker of each stage know its root: {reveals:?}");
        assert!(reveals.iter().all(|(_, d)| matches!(d, Duty::Reveal(_))));
        reveal_all(job);
        assert!(all_duties().is_empty());
    });
}

#[test]
fn duties_in_a_dispute_are_votes_then_roots() {
    Setup::with(6).build().execute_with(|| {
        let job = submit(&client(0), spec(0, 2));
        commit_all(job, &[0]);
        run_to_checking(job);
        check_all(job, &[0]);
        let votes = all_duties();
        assert_eq!(votes.len(), 4, "all holders but the two parties: {votes:?}");
        assert!(votes.iter().all(|(_, d)| *d == Duty::Vote(at(job, 0))));
        for (i, _) in votes.iter().skip(1) {
            assert_ok!(vote_as(job, 0, &controller(*i), 5));
        }
        assert_ok!(vote_as(job, 0, &controller(votes[0].0), 0));
        let roots = all_duties();
        assert_eq!(roots.len(), 6);
        assert!(roots.iter().all(|(_, d)| *d == Duty::Reveal(at(job, 0))));
        assert_ok!(reveal_as(job, 0, &worker(0), 1));
        assert_eq!(all_duties().len(), 5, "the executor's root is open");
    });
}

#[test]
fn duties_oldest_job_first() {
    Setup::with(6).build().execute_with(|| {
        let jobs: Vec<_> = (0..4)
            .map(|_| {
                next_block();
                submit(&client(0), spec(0, 1))
            })
            .collect();
        let owed: Vec<_> = Verification::duties(&worker(0))
            .into_iter()
            .map(|d| match d {
                Duty::Execute(at) => at.job,
                d => panic!("unexpected {d:?}"),
            })
            .collect();
        assert_eq!(owed, jobs);
    });
}

#[test]
fn job_view_shows_everything_a_worker_needs() {
    Setup::with(6).build().execute_with(|| {
        let job = submit(&client(0), spec(1, 2));
        let escrow = held(&client(0));
        let view = Verification::job_view(job).unwrap();
        assert_eq!((view.client, view.phase, view.attempt, view.held), (client(0), JobPhase::Running, 0, escrow));
        assert_eq!(view.output, None);
        assert_eq!(view.stages.len(), 2);
        assert_eq!(view.stages[0].worker, worker(0));
        assert_eq!(view.stages[0].peer, controller(0).encode());
        commit_all(job, &[]);
        let view = Verification::job_view(job).unwrap();
        assert_eq!(view.output, Some(Output::Ids(output())));
        let c = view.stages[1].commit.clone().unwrap();
        assert_eq!((c.in_root, c.root), (in_root(&open(job), 1).0, None));
        run_to_checking(job);
        assert_eq!(Verification::job_view(job).unwrap().stages[0].seats.len(), 1);
        assert!(Verification::job_view(H256::zero()).is_none());
    });
}

#[test]
fn job_view_between_attempts_has_no_stages() {
    Setup::with(6).build().execute_with(|| {
        let job = submit(&client(0), spec(1, 2));
        run_past(open(job).due);
        let view = Verification::job_view(job).unwrap();
        assert_eq!((view.phase, view.stages.len()), (JobPhase::Requeue, 0));
        assert_eq!(view.held, held(&client(0)), "the escrow stays held between attempts");
        assert!(all_duties().is_empty());
    });
}

#[test]
fn job_view_after_a_failed_attempt_shows_what_is_still_held() {
    Setup::with(8).build().execute_with(|| {
        let job = submit(&client(0), spec(1, 3));
        let escrow = held(&client(0));
        commit_all(job, &[]);
        run_to_checking(job);
        for s in 0..2 {
            for seat in seats(job, s) {
                if s == 1 {
                    let verdict = CheckVerdict::Unavailable;
                    let who = worker(index_of(&seat.controller));
                    assert_ok!(answer(&who, Answer::Check { at: at(job, s), verdict }));
                } else {
                    assert_ok!(check_as(job, s, &seat.controller, 0, 0));
                }
            }
        }
        let spent: Balance = System::events()
            .into_iter()
            .filter_map(|r| match r.event {
                RuntimeEvent::Jobs(pallet_assay_jobs::Event::CheckPaid { paid, burned, .. }) => Some(paid + burned),
                _ => None,
            })
            .sum();
        assert!(spent > 0, "two checked in good faith");
        let view = Verification::job_view(job).unwrap();
        assert_eq!((view.phase, view.held), (JobPhase::Requeue, escrow - spent));
        assert_eq!(held(&client(0)), view.held);
    });
}

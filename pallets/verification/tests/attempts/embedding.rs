//! Embedding jobs: a line of stages from the input to one vector.

use assay_primitives::*;
use frame::testing_prelude::*;
use pallet_assay_testing::*;
use pallet_assay_verification::Error;

fn worker_of(job: JobHash, stage: u8) -> AccountId {
    open(job).stages[usize::from(stage)].worker.clone()
}

fn commit(job: JobHash, stage: u8, change: impl FnOnce(&mut StageCommitment)) -> DispatchResult {
    let mut c = commitment(&open(job), stage, 0);
    change(&mut c);
    answer(&worker_of(job, stage), Answer::Commit { at: at(job, stage), commitment: c })
}

#[test]
fn embedding_every_stage_count_and_k_settles_with_its_vector() {
    for template in 0..3 {
        for k in 1..=3 {
            Setup::with(6).build().execute_with(|| {
                let job = submit(&client(0), embedding(template, k));
                let work: Vec<_> = Jobs::quote(embedding(template, k)).unwrap().stages.iter().map(|s| s.work).collect();
                commit_all(job, &[]);
                if k > 1 {
                    run_to_checking(job);
                    check_all(job, &[]);
                    reveal_all(job);
                }
                check_invariants();
                let r = receipt(job);
                assert_eq!(r.output, Output::Vector(vector()));
                assert_eq!((r.ids_root, r.input_len), (digest::ids_root(&[1, 2, 3], &[]), 3));
                assert_eq!(r.stages.iter().map(|s| s.work).collect::<Vec<_>>(), work, "all of the work is paid");
                assert!(r.stages.iter().all(|s| s.checkers.len() == usize::from(k) - 1 && s.root.is_some() == (k > 1)));
                assert!(faults().is_empty());
            });
        }
    }
}

#[test]
fn commit_of_an_embedding_that_breaks_a_rule_is_refused_with_what_is_wrong() {
    Setup::default().build().execute_with(|| {
        let job = submit(&client(0), embedding(1, 3));
        // Nothing flows back to the first stage, and its input is on the chain.
        let (root, rows) = in_root(&open(job), 0);
        let back = handoff(&open(job), 1, rows, root);
        assert_err!(commit(job, 0, |c| c.upstream = Some(back)), Error::<Test>::HandoffUnexpected);
        assert_err!(commit(job, 0, |c| c.in_root = H256::zero()), Error::<Test>::InputRootMismatch);
        assert_err!(answer(&worker_of(job, 0), Answer::Blocked { at: at(job, 0) }), Error::<Test>::HandoffUnexpected);
        assert_err!(commit(job, 0, |c| c.output = Some(Output::Vector(vector()))), Error::<Test>::OutputUnexpected);
        // The last stage.
        assert_err!(commit(job, 1, |c| c.upstream = None), Error::<Test>::HandoffMissing);
        let (root, rows) = in_root(&open(job), 1);
        for (n, error) in [(rows - 1, Error::<Test>::RowsNotDue), (rows + 1, Error::<Test>::RowsNotDue)] {
            let other = handoff(&open(job), 0, n, root);
            assert_err!(commit(job, 1, |c| c.upstream = Some(other)), error);
        }
        assert_err!(commit(job, 1, |c| c.output = None), Error::<Test>::OutputMissing);
        assert_err!(commit(job, 1, |c| c.output = Some(Output::Ids(output()))), Error::<Test>::OutputUnexpected);
        for width in [0, WIDTH as usize - 1, WIDTH as usize + 1] {
            let v: Vector = vec![1; width].try_into().unwrap();
            let wrong = |c: &mut StageCommitment| {
                c.out_root = digest::vector_root(&v);
                c.output = Some(Output::Vector(v.clone()));
            };
            assert_err!(commit(job, 1, wrong), Error::<Test>::OutputLength);
        }
        assert_err!(commit(job, 1, |c| c.out_root = H256::zero()), Error::<Test>::OutputRootMismatch);
        // Stages commit in any order.
        assert_ok!(commit(job, 1, |_| ()));
        assert_ok!(commit(job, 0, |_| ()));
        assert_eq!(open(job).phase, JobPhase::Drawing);
    });
}

#[test]
fn commit_of_a_generation_takes_no_vector() {
    Setup::default().build().execute_with(|| {
        let job = submit(&client(0), spec(1, 2));
        let wrong = |c: &mut StageCommitment| c.output = Some(Output::Vector(vector()));
        assert_err!(commit(job, 1, wrong), Error::<Test>::OutputUnexpected);
    });
}

#[test]
fn stage_that_hands_on_other_rows_than_it_commits_to_is_convicted_alone() {
    Setup::default().build().execute_with(|| {
        let job = submit(&client(0), embedding(2, 2));
        let backing = open(job).stages[1].backing;
        assert_ok!(commit_as(job, 0, 0));
        assert_ok!(commit_as(job, 3, 0));
        assert_ok!(commit(job, 1, |c| c.out_root = H256::repeat_byte(7)));
        assert_ok!(commit_as(job, 2, 0));
        assert_eq!(faults(), vec![(1, controller(1), OffenceKind::Equivocation, backing)]);
    });
}

#[test]
fn first_stage_that_is_silent_pays_and_those_behind_it_do_not() {
    Setup::with(6).build().execute_with(|| {
        let job = submit(&client(0), embedding(1, 2));
        assert_ok!(answer(&worker_of(job, 1), Answer::Blocked { at: at(job, 1) }));
        run_past(open(job).due);
        let found: Vec<_> = faults().into_iter().map(|(stage, who, kind, _)| (stage, who, kind)).collect();
        assert_eq!(found, vec![(0, controller(0), OffenceKind::NoCommit)]);
    });
}

#[test]
fn wrong_vector_that_a_checker_dissents_from_costs_its_stage() {
    Setup::with(6).build().execute_with(|| {
        let job = submit(&client(0), embedding(1, 3));
        let backing = open(job).stages[1].backing;
        commit_all(job, &[1]);
        run_to_checking(job);
        check_all(job, &[1]);
        assert_eq!(open(job).phase, JobPhase::Escalated);
        for (who, _, voted) in Verification::job_view(job).unwrap().stages[1].dispute.clone().unwrap().electorate {
            if !voted {
                assert_ok!(vote_as(job, 1, &who, 0));
            }
        }
        assert_ok!(reveal_as(job, 1, &worker(5), 0));
        assert_eq!(faults(), vec![(1, controller(1), OffenceKind::WrongResult, backing)]);
    });
}

#[test]
fn commit_of_a_stage_alone_to_another_input_is_refused_and_it_cannot_be_blocked() {
    Setup::default().build().execute_with(|| {
        let job = submit(&client(0), embedding(0, 2));
        assert_eq!(open(job).stages.len(), 1);
        assert_err!(commit(job, 0, |c| c.in_root = H256::zero()), Error::<Test>::InputRootMismatch);
        assert_err!(answer(&worker_of(job, 0), Answer::Blocked { at: at(job, 0) }), Error::<Test>::HandoffUnexpected);
        assert_ok!(commit(job, 0, |_| ()));
        assert_eq!(open(job).phase, JobPhase::Drawing);
    });
}

#[test]
fn right_root_beside_another_vector_convicts_its_stage_and_not_the_dissenters() {
    Setup::with(6).build().execute_with(|| {
        let job = submit(&client(0), embedding(1, 3));
        let backing = open(job).stages[1].backing;
        assert_ok!(commit_as(job, 0, 0));
        assert_ok!(commit_as(job, 1, OTHER_BOUNDARY));
        run_to_checking(job);
        for seat in seats(job, 0) {
            assert_ok!(check_as(job, 0, &seat.controller, 0, 0));
        }
        let dissenters: Vec<_> = seats(job, 1).into_iter().map(|seat| seat.controller).collect();
        for who in &dissenters {
            assert_ok!(check_as(job, 1, who, OTHER_BOUNDARY, 0));
        }
        for (who, _, voted) in Verification::job_view(job).unwrap().stages[1].dispute.clone().unwrap().electorate {
            if !voted {
                assert_ok!(vote_as(job, 1, &who, OTHER_BOUNDARY));
            }
        }
        assert_ok!(reveal_as(job, 1, &worker(5), OTHER_BOUNDARY));
        assert_eq!(faults(), vec![(1, controller(1), OffenceKind::WrongResult, backing)]);
        assert!(dissenters.iter().all(|who| Balances::free_balance(who) > FUNDS));
    });
}

#[test]
fn dissent_that_is_overruled_leaves_the_vector_and_pays_its_executors() {
    Setup::with(6).build().execute_with(|| {
        let job = submit(&client(0), embedding(1, 2));
        commit_all(job, &[]);
        run_to_checking(job);
        let liar = seats(job, 0)[0].controller.clone();
        assert_ok!(check_as(job, 0, &liar, 1, 0));
        for seat in seats(job, 1) {
            assert_ok!(check_as(job, 1, &seat.controller, 0, 0));
        }
        assert_eq!(open(job).phase, JobPhase::Escalated);
        for (who, _, voted) in Verification::job_view(job).unwrap().stages[0].dispute.clone().unwrap().electorate {
            if !voted {
                assert_ok!(vote_as(job, 0, &who, 0));
            }
        }
        assert_ok!(reveal_as(job, 0, &worker(5), 0));
        assert_ok!(reveal_as(job, 1, &worker(1), 0));
        let r = receipt(job);
        assert_eq!((r.output, r.ids_root), (Output::Vector(vector()), digest::ids_root(&[1, 2, 3], &[])));
        assert!(r.assurance.escalated && r.stages.iter().all(|s| s.paid > 0));
        assert_eq!(faults()[0].1, liar);
    });
}

#[test]
fn check_of_an_embedding_is_paid_as_its_execution_at_the_reserve_price() {
    Setup::with(6).build().execute_with(|| {
        let job = submit(&client(0), embedding(1, 3));
        commit_all(job, &[]);
        run_to_checking(job);
        check_all(job, &[]);
        reveal_all(job);
        let params = Params::local();
        for stage in receipt(job).stages {
            let gross = market::pay(params.base_price, stage.work).unwrap();
            assert_eq!(stage.checkers.len(), 2);
            assert!(stage.checkers.iter().all(|(_, paid)| *paid == gross - params.burn.mul_ceil(gross)));
        }
    });
}

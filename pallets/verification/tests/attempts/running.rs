//! Faults before the draw.

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
fn commit_by_another_worker_is_refused() {
    Setup::default().build().execute_with(|| {
        let job = submit(&client(0), spec(1, 3));
        let c = commitment(&open(job), 0, 0);
        let item = Answer::Commit { at: at(job, 0), commitment: c };
        assert_err!(answer(&worker(3), item.clone()), Error::<Test>::NotExecutor);
        // The controller is not its worker.
        assert_err!(answer(&controller(0), item), Error::<Test>::NotExecutor);
    });
}

#[test]
fn commit_of_an_unknown_job_attempt_or_stage_is_refused() {
    Setup::default().build().execute_with(|| {
        let job = submit(&client(0), spec(1, 3));
        let c = commitment(&open(job), 0, 0);
        let send = |at| answer(&worker_of(job, 0), Answer::Commit { at, commitment: c.clone() });
        let good = at(job, 0);
        assert_err!(send(StageRef { job: H256::zero(), ..good }), Error::<Test>::JobUnknown);
        assert_err!(send(StageRef { attempt: 1, ..good }), Error::<Test>::WrongAttempt);
        assert_err!(send(StageRef { stage: 2, ..good }), Error::<Test>::NoSuchStage);
        assert_ok!(send(good));
        assert_err!(send(good), Error::<Test>::AlreadyAnswered);
    });
}

#[test]
fn commit_without_the_upstreams_signature_is_refused() {
    Setup::default().build().execute_with(|| {
        let job = submit(&client(0), spec(1, 3));
        assert_err!(commit(job, 0, |c| c.upstream = None), Error::<Test>::HandoffMissing);
        // A signature over other rows, by another producer, or for another job.
        assert_err!(commit(job, 0, |c| c.in_root = H256::repeat_byte(7)), Error::<Test>::HandoffInvalid);
        let (root, rows) = in_root(&open(job), 0);
        let own = handoff(&open(job), 0, rows, root);
        assert_err!(commit(job, 0, |c| c.upstream = Some(own)), Error::<Test>::HandoffInvalid);
        let other = submit(&client(1), spec(1, 3));
        let foreign = handoff(&open(other), 1, rows, root);
        assert_err!(commit(job, 0, |c| c.upstream = Some(foreign)), Error::<Test>::HandoffInvalid);
        let far = handoff(&open(job), 1, 1_000, root);
        assert_err!(commit(job, 0, |c| c.upstream = Some(far)), Error::<Test>::RowsNotDue);
    });
}

#[test]
fn commit_of_one_stage_needs_no_handoff_and_joins_itself() {
    Setup::default().build().execute_with(|| {
        let job = submit(&client(0), spec(0, 3));
        let fake = Handoff { n_rows: 1, signature: Default::default() };
        assert_err!(commit(job, 0, |c| c.upstream = Some(fake)), Error::<Test>::HandoffUnexpected);
        assert_err!(commit(job, 0, |c| c.in_root = H256::zero()), Error::<Test>::OutputRootMismatch);
        assert_err!(answer(&worker_of(job, 0), Answer::Blocked { at: at(job, 0) }), Error::<Test>::HandoffUnexpected);
        assert_ok!(commit(job, 0, |_| ()));
    });
}

#[test]
fn commit_output_breaking_a_rule_of_generation_is_refused() {
    Setup::default().build().execute_with(|| {
        let job = submit(&client(0), spec(1, 3));
        let with = |ids: Option<Vec<u32>>| {
            commit(job, 1, |c| {
                if let Some(ids) = &ids {
                    c.out_root = digest::ids_root(&[1, 2, 3], ids);
                }
                c.output = ids.map(|ids| Output::Ids(ids.try_into().unwrap()));
            })
        };
        assert_err!(with(None), Error::<Test>::OutputMissing);
        assert_err!(with(Some(vec![])), Error::<Test>::OutputLength);
        assert_err!(with(Some(vec![5; 9])), Error::<Test>::OutputLength);
        assert_err!(with(Some(vec![VOCAB, EOS])), Error::<Test>::TokenOutOfVocabulary);
        assert_err!(with(Some(vec![5, EOS, 5, EOS])), Error::<Test>::OutputPastEnd);
        assert_err!(with(Some(vec![5, 6])), Error::<Test>::OutputTooShort);
        assert_err!(commit(job, 1, |c| c.out_root = H256::zero()), Error::<Test>::OutputRootMismatch);
        assert_err!(commit(job, 0, |c| c.output = Some(Output::Ids(output()))), Error::<Test>::OutputUnexpected);
        let full = vec![5; 8];
        let rows = handoff(&open(job), 0, 10, in_root(&open(job), 1).0);
        assert_ok!(commit(job, 1, |c| {
            c.out_root = digest::ids_root(&[1, 2, 3], &full);
            c.output = Some(Output::Ids(full.try_into().unwrap()));
            c.upstream = Some(rows);
        }));
    });
}

#[test]
fn commit_after_the_due_tick_is_late_even_if_the_hook_has_not_run() {
    Setup::default().build().execute_with(|| {
        let job = submit(&client(0), spec(1, 3));
        pallet_assay_jobs::Now::<Test>::put(open(job).due);
        assert_ok!(commit_as(job, 1, 0));
        pallet_assay_jobs::Now::<Test>::put(open(job).due + 1);
        assert_err!(commit_as(job, 0, 0), Error::<Test>::TooLate);
    });
}

#[test]
fn run_due_who_neither_committed_nor_was_blocked_is_at_fault_and_the_job_goes_on_elsewhere() {
    Setup::default().build().execute_with(|| {
        let job = submit(&client(0), spec(1, 2));
        let escrow = held(&client(0));
        assert_ok!(answer(&worker_of(job, 1), Answer::Blocked { at: at(job, 1) }));
        let pay = 1_010 * 40;
        run_past(open(job).due);
        let slash = Params::local().liveness_share.mul_ceil(pay);
        assert_eq!(faults(), vec![(0, controller(0), OffenceKind::NoCommit, slash)]);
        System::assert_has_event(
            pallet_assay_jobs::Event::<Test>::AttemptFailed { job, attempt: 0, excluded: vec![controller(0)] }.into(),
        );
        assert_eq!(open(job).phase, JobPhase::Requeue);
        next_block();
        assert_eq!((open(job).attempt, open(job).phase), (1, JobPhase::Running));
        assert_eq!(open(job).stages[0].executor, controller(1));
        assert_eq!(held(&client(0)), escrow, "the same escrow serves the next attempt");
        commit_all(job, &[]);
        run_to_checking(job);
        check_all(job, &[]);
        reveal_all(job);
        assert_eq!(receipt(job).attempt, 1);
    });
}

#[test]
fn blocked_against_a_committed_upstream_slashes_nobody_and_keeps_neither() {
    Setup::with(6).build().execute_with(|| {
        let job = submit(&client(0), spec(1, 2));
        assert_ok!(commit_as(job, 0, 0));
        assert_ok!(answer(&worker_of(job, 1), Answer::Blocked { at: at(job, 1) }));
        // Nobody is outstanding: it ends early.
        assert_eq!(open(job).phase, JobPhase::Requeue);
        assert!(faults().is_empty());
        next_block();
        let now: Vec<_> = open(job).stages.iter().map(|s| s.executor.clone()).collect();
        assert_eq!(now, vec![controller(2), controller(3)]);
    });
}

#[test]
fn blocked_by_a_stage_that_was_fed_costs_its_honest_neighbours_nothing() {
    Setup::with(8).build().execute_with(|| {
        let job = submit(&client(0), spec(2, 2));
        let bonds = || (0..8).map(|i| world::Bonds::<Test>::get(controller(i))).collect::<Vec<_>>();
        let before = bonds();
        // It says so at once, though its upstream has all that it needs and proves it by its commitment.
        assert_ok!(answer(&worker_of(job, 2), Answer::Blocked { at: at(job, 2) }));
        assert_err!(answer(&worker_of(job, 2), Answer::Blocked { at: at(job, 2) }), Error::<Test>::AlreadyAnswered);
        for s in [0, 1, 3] {
            assert_ok!(commit_as(job, s, 0));
        }
        assert!(faults().is_empty());
        assert_eq!(bonds(), before);
        // Only the two sides of the gap are left out.
        System::assert_has_event(
            pallet_assay_jobs::Event::<Test>::AttemptFailed {
                job,
                attempt: 0,
                excluded: vec![controller(1), controller(2)],
            }
            .into(),
        );
        next_block();
        let now: Vec<_> = open(job).stages.iter().map(|s| s.executor.clone()).collect();
        assert_eq!(now, [0, 3, 4, 5].map(controller));
    });
}

#[test]
fn blocked_by_somebody_silent_pays_nothing_and_only_the_silent_one_does() {
    Setup::with(8).build().execute_with(|| {
        let job = submit(&client(0), spec(2, 2));
        // Stage 1 is silent: what it does not hand on, nobody behind it has, around the ring.
        for s in [2, 3, 0] {
            assert_ok!(answer(&worker_of(job, s), Answer::Blocked { at: at(job, s) }));
        }
        assert_eq!(open(job).phase, JobPhase::Running, "its time is not up");
        assert!(faults().is_empty());
        run_past(open(job).due);
        let found: Vec<_> = faults().into_iter().map(|(stage, who, kind, _)| (stage, who, kind)).collect();
        assert_eq!(found, vec![(1, controller(1), OffenceKind::NoCommit)]);
        assert!(faults()[0].3 > 0);
        for i in [0, 2, 3] {
            assert_eq!(world::Bonds::<Test>::get(controller(i)), BOND);
        }
        next_block();
        let now: Vec<_> = open(job).stages.iter().map(|s| s.executor.clone()).collect();
        assert_eq!(now, [0, 2, 3, 4].map(controller), "who was blocked works on");
    });
}

#[test]
fn blocked_everywhere_keeps_nobody_so_that_a_saboteur_gets_the_job_once() {
    Setup::with(6).build().execute_with(|| {
        let job = submit(&client(0), spec(1, 2));
        for s in 0..2 {
            assert_ok!(answer(&worker_of(job, s), Answer::Blocked { at: at(job, s) }));
        }
        assert!(faults().is_empty());
        next_block();
        let now: Vec<_> = open(job).stages.iter().map(|s| s.executor.clone()).collect();
        assert_eq!(now, vec![controller(2), controller(3)]);
    });
}

#[test]
fn equivocation_signed_rows_differ_from_the_committed_root_convicts_without_a_vote() {
    Setup::default().build().execute_with(|| {
        let job = submit(&client(0), spec(1, 2));
        let backing = open(job).stages[0].backing;
        // Stage 0 commits to the right root, but signed and sent garbage.
        let garbage = H256::repeat_byte(0xba);
        let signed = handoff(&open(job), 0, in_root(&open(job), 1).1, garbage);
        assert_ok!(commit_as(job, 0, 0));
        assert_ok!(commit(job, 1, |c| {
            c.in_root = garbage;
            c.upstream = Some(signed);
        }));
        assert_eq!(faults(), vec![(0, controller(0), OffenceKind::Equivocation, backing)]);
        let offence = world::Offences::<Test>::get()[0].0.clone();
        assert_eq!(offence.reporter, Some(controller(1)));
        assert_eq!(open(job).phase, JobPhase::Requeue);
        next_block();
        assert!(open(job).stages.iter().all(|s| s.executor != controller(0)));
    });
}

#[test]
fn equivocation_of_the_last_stage_over_the_number_of_ids_convicts_it_alone() {
    Setup::default().build().execute_with(|| {
        let job = submit(&client(0), spec(1, 2));
        let backing = open(job).stages[1].backing;
        // It signed four generated ids to the first stage, and commits to one.
        assert_ok!(commit_as(job, 0, 0));
        let short = vec![EOS];
        let rows = 3;
        let root = in_root(&open(job), 1).0;
        let signed = handoff(&open(job), 0, rows, root);
        assert_ok!(commit(job, 1, |c| {
            c.out_root = digest::ids_root(&[1, 2, 3], &short);
            c.output = Some(Output::Ids(short.try_into().unwrap()));
            c.upstream = Some(signed);
        }));
        assert_eq!(faults(), vec![(1, controller(1), OffenceKind::Equivocation, backing)]);
    });
}

#[test]
fn commit_to_part_of_the_rows_is_refused_once_their_number_is_known() {
    Setup::default().build().execute_with(|| {
        let job = submit(&client(0), spec(2, 2));
        let (root, rows) = in_root(&open(job), 1);
        let early = handoff(&open(job), 0, rows - 1, root);
        let partial = |c: &mut StageCommitment| c.upstream = Some(early.clone());
        assert_ok!(commit_as(job, 3, 0));
        assert_err!(commit(job, 1, partial), Error::<Test>::RowsNotDue);
        assert_ok!(commit_as(job, 1, 0));
    });
}

#[test]
fn commit_to_part_of_the_rows_before_their_number_is_known_is_a_fault_of_its_author() {
    Setup::with(6).build().execute_with(|| {
        let job = submit(&client(0), spec(2, 2));
        let (root, rows) = in_root(&open(job), 1);
        let early = handoff(&open(job), 0, rows - 1, root);
        assert_ok!(commit(job, 1, |c| c.upstream = Some(early)));
        for s in [0, 2, 3] {
            assert_ok!(commit_as(job, s, 0));
        }
        let (stage, who, kind, _) = faults()[0].clone();
        assert_eq!((stage, who, kind), (1, controller(1), OffenceKind::NoCommit));
        assert_eq!(faults().len(), 1);
    });
}

#[test]
fn equivocation_outweighs_a_lesser_fault_of_the_same_stage() {
    Setup::with(6).build().execute_with(|| {
        let job = submit(&client(0), spec(2, 2));
        let backing = open(job).stages[1].backing;
        let (root, rows) = in_root(&open(job), 1);
        let early = handoff(&open(job), 0, rows - 1, root);
        assert_ok!(commit(job, 1, |c| c.upstream = Some(early)));
        let garbage = H256::repeat_byte(0xba);
        let signed = handoff(&open(job), 1, rows, garbage);
        assert_ok!(commit(job, 2, |c| {
            c.in_root = garbage;
            c.upstream = Some(signed);
        }));
        assert_ok!(commit_as(job, 0, 0));
        assert_ok!(commit_as(job, 3, 0));
        assert_eq!(faults(), vec![(1, controller(1), OffenceKind::Equivocation, backing)]);
    });
}

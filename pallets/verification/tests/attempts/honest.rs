//! The way that a job normally goes.

use assay_primitives::*;
use frame::testing_prelude::*;
use pallet_assay_testing::*;
use pallet_assay_verification as verification;

/// Pay of `work` at `price`, less the burned share, rounded against the recipient.
fn net(price: Balance, work: WorkUnits) -> (Balance, Balance) {
    let gross = price * Balance::from(work);
    let burned = Params::local().burn.mul_ceil(gross);
    (gross - burned, burned)
}

fn go(template: u8, k: u8) -> Receipt {
    let job = submit(&client(0), spec(template, k));
    commit_all(job, &[]);
    if k > 1 {
        run_to_checking(job);
        check_all(job, &[]);
        assert_eq!(open(job).phase, JobPhase::Revealing);
        reveal_all(job);
    }
    check_invariants();
    assert!(Jobs::job_status(job).is_none(), "a settled job is not open");
    assert_eq!(pallet_assay_jobs::Specs::<Test>::iter().count(), 0);
    assert_eq!(verification::Attempts::<Test>::iter().count(), 0);
    assert_eq!(verification::Stages::<Test>::iter().count(), 0);
    assert_eq!(verification::Electorates::<Test>::iter().count(), 0);
    assert_eq!(verification::Outputs::<Test>::iter().count(), 0);
    assert!(faults().is_empty());
    receipt(job)
}

#[test]
fn job_every_stage_count_and_k_settles_and_leaves_only_its_receipt() {
    for template in 0..3 {
        for k in 1..=3 {
            Setup::with(6).build().execute_with(|| {
                let stages = 1usize << template;
                let issuance = Balances::total_issuance();
                let r = go(template, k);
                assert_eq!(r.stages.len(), stages);
                assert_eq!(r.output, Output::Ids(output()));
                assert_eq!(r.ids_root, digest::ids_root(&[1, 2, 3], &output()));
                assert_eq!(r.assurance.k, k);
                assert!(!r.assurance.escalated);
                for s in &r.stages {
                    assert_eq!(s.checkers.len(), usize::from(k) - 1);
                    assert_eq!(s.root.is_some(), k > 1);
                }
                let mut executors: Vec<_> = r.stages.iter().map(|s| s.executor.clone()).collect();
                executors.sort();
                executors.dedup();
                assert_eq!(executors.len(), stages, "every stage has its own executor");
                assert_eq!(issuance - Balances::total_issuance(), r.burned, "issuance changes by the declared burn");
                let paid: Balance =
                    r.stages.iter().map(|s| s.paid + s.checkers.iter().map(|c| c.1).sum::<Balance>()).sum();
                assert_eq!(FUNDS - Balances::free_balance(client(0)), paid + r.burned, "the client pays what is spent");
            });
        }
    }
}

#[test]
fn job_two_stages_quorum_pays_everyone_by_the_book() {
    Setup::default().build().execute_with(|| {
        let r = go(1, 3);
        let fixed = Params::local().fixed_fee;
        let base = Params::local().base_price;
        // 6 positions through 4 layers; the last stage also computes 4 heads. The second score is 10 above the winner's.
        let mut burned = fixed;
        for (stage, price, work) in [(0, 1_010, 24), (1, 1_020, 28)] {
            let got = &r.stages[stage];
            assert_eq!(got.executor, controller(stage as u8));
            assert_eq!(got.work, work);
            let (paid, burn) = net(price, work);
            assert_eq!(got.paid, paid);
            burned += burn;
            let (fee, burn) = net(base * 40 / 100, work);
            for (who, paid) in &got.checkers {
                assert!([controller(2), controller(3)].contains(who), "who executes nothing checks");
                assert_eq!(*paid, fee);
                burned += burn;
            }
        }
        assert_eq!(r.burned, burned);
        assert_eq!(held(&client(0)), 0);
        assert_eq!(r.assurance, Assurance { k: 3, beacon_authors: 1, overlap: false, relaxed: true, escalated: false });
        let two_checks = 2 * net(base * 40 / 100, 24).0;
        assert!(Balances::free_balance(controller(2)) >= FUNDS + two_checks);
        System::assert_has_event(pallet_assay_jobs::Event::<Test>::Settled { receipt: r }.into());
    });
}

#[test]
fn job_unverified_settles_at_the_last_commit_and_says_so() {
    Setup::default().build().execute_with(|| {
        let r = go(1, 1);
        assert_eq!(
            r.assurance,
            Assurance { k: 1, beacon_authors: 0, overlap: false, relaxed: false, escalated: false }
        );
        assert!(r.stages.iter().all(|s| s.root.is_none() && s.checkers.is_empty()));
    });
}

#[test]
fn job_every_executor_also_validates_records_no_independent_author_and_the_overlap() {
    Setup::default().build().execute_with(|| {
        let r = go(2, 2);
        assert_eq!(r.assurance.beacon_authors, 0);
        assert!(r.assurance.overlap);
    });
}

#[test]
fn answers_batch_of_a_whole_job_is_free_and_one_bad_item_is_not() {
    Setup::default().build().execute_with(|| {
        let jobs: Vec<_> = (0..3).map(|_| submit(&client(0), spec(0, 1))).collect();
        let item = |job: JobHash| Answer::Commit { at: at(job, 0), commitment: commitment(&open(job), 0, 0) };
        let worker = open(jobs[0]).stages[0].worker.clone();
        let batch = vec![item(jobs[0]), item(jobs[1])];
        let info =
            Verification::answer(RuntimeOrigin::signed(worker.clone()), batch.clone().try_into().unwrap()).unwrap();
        assert_eq!(info.pays_fee, Pays::No);
        assert!(info.actual_weight.unwrap().ref_time() > 0);
        // The first two are settled now; the third still counts.
        let mut again = batch;
        again.push(item(jobs[2]));
        let info = Verification::answer(RuntimeOrigin::signed(worker), again.try_into().unwrap()).unwrap();
        assert_eq!(info.pays_fee, Pays::Yes);
        assert_eq!(receipt(jobs[2]).output.ids(), &output()[..]);
    });
}

#[test]
fn answer_empty_batch_is_refused() {
    Setup::default().build().execute_with(|| {
        let none = Default::default();
        assert_err_ignore_postinfo!(
            Verification::answer(RuntimeOrigin::signed(worker(0)), none),
            verification::Error::<Test>::NoAnswers
        );
    });
}

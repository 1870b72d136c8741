//! Dissent, and the verdict of the span's holders.

use assay_primitives::*;
use frame::testing_prelude::*;
use pallet_assay_testing::*;
use pallet_assay_verification::{Disputes, Error, Event};

fn slash_of(who: &AccountId) -> Option<(OffenceKind, Balance)> {
    faults().into_iter().find(|f| f.1 == *who).map(|f| (f.2, f.3))
}

/// Two stages; stage `wrong` commits to a wrong root, and every checker says so.
fn escalated(providers: u8, k: u8, wrong: &[u8]) -> (TestState, JobHash) {
    let mut ext = Setup::with(providers).build();
    let job = ext.execute_with(|| {
        let mut s = spec(1, k);
        s.insured = 5_000;
        let job = submit(&client(0), s);
        commit_all(job, wrong);
        run_to_checking(job);
        check_all(job, wrong);
        job
    });
    (ext, job)
}

/// Everyone who has no digest in the dispute votes for this flavour; voting then closes by itself.
fn vote_all(job: JobHash, stage: u8, flavour: u8) {
    let view = Verification::job_view(job).unwrap();
    for (who, _, voted) in view.stages[usize::from(stage)].dispute.clone().unwrap().electorate {
        if !voted {
            assert_ok!(vote_as(job, stage, &who, flavour));
        }
    }
}

#[test]
fn dissent_of_a_right_checker_convicts_the_executor_alone_and_the_job_goes_on() {
    let (mut ext, job) = escalated(6, 3, &[1]);
    ext.execute_with(|| {
        assert_eq!(open(job).phase, JobPhase::Escalated);
        let backing = open(job).stages[1].backing;
        let dissenter = seats(job, 1)[0].controller.clone();
        assert_err!(reveal_as(job, 1, &worker(5), 0), Error::<Test>::VotingOpen);
        assert_err!(vote_as(job, 1, &client(0), 0), Error::<Test>::NotElector);
        assert_err!(vote_as(job, 1, &dissenter, 0), Error::<Test>::AlreadyAnswered);
        vote_all(job, 1, 0);
        assert_err!(reveal_as(job, 1, &worker(5), 3), Error::<Test>::DoesNotOpen);
        let before = Balances::free_balance(&dissenter);
        let root = stage_root(&open(job), 1, 0);
        let at = at(job, 1);
        assert_ok!(reveal_as(job, 1, &worker(5), 0));
        System::assert_has_event(Event::Ruled { at, root, upheld: false }.into());
        assert_eq!(faults(), vec![(1, controller(1), OffenceKind::WrongResult, backing)]);
        assert_eq!(world::Offences::<Test>::get()[0].0.insured, 5_000);
        assert!(Balances::free_balance(&dissenter) > before, "who was right is paid out of the fixed fee");
        next_block();
        assert_eq!(open(job).attempt, 1);
        assert!(open(job).stages.iter().all(|s| s.executor != controller(1)));
        commit_all(job, &[]);
        run_to_checking(job);
        check_all(job, &[]);
        reveal_all(job);
        let r = receipt(job);
        assert_eq!((r.attempt, r.assurance.escalated), (1, false));
        assert_eq!(Disputes::<Test>::iter().count(), 0);
    });
}

#[test]
fn dissent_against_a_right_executor_costs_the_dissenter_and_the_job_settles() {
    Setup::with(6).build().execute_with(|| {
        let job = submit(&client(0), spec(1, 3));
        commit_all(job, &[]);
        run_to_checking(job);
        let liar = seats(job, 0)[0].clone();
        assert_ok!(check_as(job, 0, &liar.controller, 1, 0));
        check_all(job, &[]);
        assert_eq!(open(job).phase, JobPhase::Escalated);
        vote_all(job, 0, 0);
        assert_ok!(reveal_as(job, 0, &worker(0), 0));
        assert_eq!(slash_of(&liar.controller), Some((OffenceKind::FalseDissent, liar.backing)));
        assert_eq!(faults().len(), 1);
        // The other stage's root is still to be opened.
        assert_eq!(open(job).phase, JobPhase::Revealing);
        assert_err!(reveal_as(job, 0, &worker(0), 0), Error::<Test>::AlreadyAnswered);
        assert_ok!(reveal_as(job, 1, &worker(1), 0));
        let r = receipt(job);
        assert!(r.assurance.escalated);
        assert_eq!(r.stages[0].checkers.len(), 1);
        assert!(r.stages[0].checkers.iter().all(|(who, _)| *who != liar.controller));
        assert_eq!(r.stages[1].checkers.len(), 2);
    });
}

#[test]
fn guilt_goes_to_the_first_wrong_stage_and_the_tainted_one_is_not_slashed() {
    let (mut ext, job) = escalated(8, 3, &[0, 1]);
    ext.execute_with(|| {
        assert_eq!(Disputes::<Test>::iter().count(), 2);
        // The later dispute is ready first: it waits for the earlier one.
        vote_all(job, 1, 0);
        assert_ok!(reveal_as(job, 1, &worker(5), 0));
        assert_eq!(open(job).phase, JobPhase::Escalated);
        assert!(faults().is_empty());
        vote_all(job, 0, 0);
        assert_ok!(reveal_as(job, 0, &worker(5), 0));
        assert_eq!(faults().len(), 1);
        assert_eq!(slash_of(&controller(0)).unwrap().0, OffenceKind::WrongResult);
        next_block();
        assert!(open(job).stages.iter().any(|s| s.executor == controller(1)), "the tainted one may serve again");
    });
}

#[test]
fn colluding_checkers_who_agreed_with_a_wrong_root_lose_the_job() {
    Setup::with(8).build().execute_with(|| {
        let job = submit(&client(0), spec(0, 3));
        commit_all(job, &[0]);
        run_to_checking(job);
        let seated = seats(job, 0);
        assert_ok!(check_as(job, 0, &seated[0].controller, 1, 1));
        assert_ok!(check_as(job, 0, &seated[1].controller, 0, 1));
        let before = Balances::free_balance(&seated[0].controller);
        vote_all(job, 0, 0);
        assert_ok!(reveal_as(job, 0, &worker(7), 0));
        assert_eq!(faults().len(), 1);
        assert_eq!(Balances::free_balance(&seated[0].controller), before, "nothing is paid for agreeing with a lie");
        let job = pallet_assay_jobs::Jobs::<Test>::get(job).unwrap();
        assert!(job.excluded.contains(&controller(0)) && job.excluded.contains(&seated[0].controller));
        assert!(!job.excluded.contains(&seated[1].controller));
    });
}

#[test]
fn electorate_split_is_inconclusive_and_refunds_without_slashing() {
    let (mut ext, job) = escalated(6, 2, &[0]);
    ext.execute_with(|| {
        let view = Verification::job_view(job).unwrap();
        let electorate = view.stages[0].dispute.clone().unwrap().electorate;
        assert_eq!(electorate.len(), 6);
        for (n, (who, _, _)) in electorate.iter().filter(|e| !e.2).enumerate() {
            assert_ok!(vote_as(job, 0, who, 2 + n as u8));
        }
        let funds = Balances::free_balance(client(0));
        run_past(open(job).due);
        let (reason, refunded, burned) = refund(job);
        assert_eq!(reason, RefundReason::Inconclusive);
        assert_eq!(burned, Params::local().fixed_fee);
        assert_eq!(Balances::free_balance(client(0)), funds + refunded);
        assert!(faults().is_empty());
    });
}

#[test]
fn electorate_that_stays_away_leaves_the_no_shows_to_pay() {
    Setup::with(6).build().execute_with(|| {
        let job = submit(&client(0), spec(1, 2));
        commit_all(job, &[]);
        run_to_checking(job);
        while pallet_assay_jobs::Jobs::<Test>::contains_key(job) {
            run_past(open(job).due);
        }
        assert_eq!(refund(job).0, RefundReason::Inconclusive);
        assert!(!faults().is_empty());
        assert!(faults().iter().all(|f| f.2 == OffenceKind::NoShow), "{:?}", faults());
    });
}

#[test]
fn electorate_seventy_percent_buying_a_verdict_takes_at_most_the_vote_cap() {
    Setup::with(10).build().execute_with(|| {
        // The executor is honest; seven of ten holders of equal bond say otherwise.
        (0..10).for_each(|i| world::Bonds::<Test>::insert(controller(i), params::UNIT));
        let mut s = spec(0, 2);
        s.max_price = 100_000_000;
        s.insured = params::UNIT / 100;
        let job = submit(&client(0), s);
        commit_all(job, &[]);
        run_to_checking(job);
        let seated = seats(job, 0);
        assert_ok!(check_as(job, 0, &seated[0].controller, 1, 0));
        let mut bought = 1;
        for i in 1..10 {
            if controller(i) != seated[0].controller {
                let flavour = u8::from(bought < 7);
                bought += 1;
                assert_ok!(vote_as(job, 0, &controller(i), flavour));
            }
        }
        assert_ok!(reveal_as(job, 0, &worker(9), 1));
        let (kind, slashed) = slash_of(&controller(0)).unwrap();
        assert_eq!(kind, OffenceKind::WrongResult);
        assert!(slashed <= params::UNIT / 10, "a verdict by votes takes at most a tenth of the bond");
        assert!(world::Offences::<Test>::get()[0].0.reporter.is_none(), "and pays no reporter");
    });
}

#[test]
fn electorate_is_the_snapshot_at_assignment() {
    let (mut ext, job) = escalated(6, 2, &[0]);
    ext.execute_with(|| {
        add_provider(6);
        world::Bonds::<Test>::insert(controller(6), 1_000 * BOND);
        world::Bonds::<Test>::insert(controller(5), 1_000 * BOND);
        assert_err!(vote_as(job, 0, &controller(6), 1), Error::<Test>::NotElector);
        let snapshot = pallet_assay_verification::Electorates::<Test>::get(job, 0);
        assert_eq!(snapshot.len(), 6);
        assert!(snapshot.iter().all(|e| e.bond == BOND));
    });
}

#[test]
fn vote_after_the_window_is_late_and_roots_have_their_own() {
    let (mut ext, job) = escalated(8, 2, &[0]);
    ext.execute_with(|| {
        let d = Disputes::<Test>::get(job, 0).unwrap();
        let missing: Vec<_> = (0..8).map(controller).filter(|c| vote_as(job, 0, c, 0).is_ok()).take(5).collect();
        assert_eq!(missing.len(), 5);
        run_past(d.votes_due);
        let late = (0..8).map(controller).find(|c| vote_as(job, 0, c, 0) == Err(Error::<Test>::TooLate.into()));
        assert!(late.is_some());
        assert_eq!(open(job).due, d.roots_due);
        // Six of eight agree: the executor is alone with its root.
        assert_ok!(reveal_as(job, 0, &worker(5), 0));
        assert_eq!(slash_of(&controller(0)).unwrap().0, OffenceKind::WrongResult);
    });
}

//! A commitment names a boundary beside its stage root; both must belong together.

use assay_primitives::*;
use frame::testing_prelude::*;
use pallet_assay_testing::*;
use pallet_assay_verification::{Error, Event};

/// Everyone who has no digest in the dispute votes for what they computed.
fn vote_all(job: JobHash, stage: u8) {
    let view = Verification::job_view(job).unwrap();
    for (who, _, voted) in view.stages[usize::from(stage)].dispute.clone().unwrap().electorate {
        if !voted {
            assert_ok!(vote_as(job, stage, &who, OTHER_BOUNDARY));
        }
    }
}

/// The last stage names a text of its own, under the stage root that every checker computes from that text.
fn forged(k: u8) -> (TestState, JobHash) {
    let mut ext = Setup::with(6).build();
    let job = ext.execute_with(|| {
        let job = submit(&client(0), spec(1, k));
        assert_ok!(commit_as(job, 0, 0));
        assert_ok!(commit_as(job, 1, OTHER_BOUNDARY));
        run_to_checking(job);
        job
    });
    (ext, job)
}

#[test]
fn right_root_beside_another_boundary_convicts_the_executor_and_not_the_dissenters() {
    let (mut ext, job) = forged(3);
    ext.execute_with(|| {
        let backing = open(job).stages[1].backing;
        for seat in seats(job, 0) {
            assert_ok!(check_as(job, 0, &seat.controller, 0, 0));
        }
        let dissenters: Vec<_> = seats(job, 1).into_iter().map(|seat| seat.controller).collect();
        for who in &dissenters {
            // The same root as the executor's, and still a dissent.
            assert_ok!(check_as(job, 1, who, OTHER_BOUNDARY, 0));
        }
        assert_eq!(open(job).phase, JobPhase::Escalated);
        vote_all(job, 1);
        let before: Vec<_> = dissenters.iter().map(Balances::free_balance).collect();
        let (at, root) = (at(job, 1), stage_root(&open(job), 1, OTHER_BOUNDARY));
        assert_ok!(reveal_as(job, 1, &worker(5), OTHER_BOUNDARY));
        System::assert_has_event(Event::Ruled { at, root, upheld: false }.into());
        assert_eq!(faults(), vec![(1, controller(1), OffenceKind::WrongResult, backing)]);
        assert!(dissenters.iter().zip(before).all(|(who, before)| Balances::free_balance(who) > before));
        next_block();
        assert!(open(job).stages.iter().all(|s| s.executor != controller(1)));
    });
}

#[test]
fn right_root_beside_another_boundary_opens_for_nobody_even_if_every_checker_agrees() {
    let (mut ext, job) = forged(3);
    ext.execute_with(|| {
        for seat in seats(job, 0) {
            assert_ok!(check_as(job, 0, &seat.controller, 0, 0));
        }
        let accomplices: Vec<_> = seats(job, 1).into_iter().map(|seat| seat.controller).collect();
        for who in &accomplices {
            assert_ok!(check_as(job, 1, who, OTHER_BOUNDARY, OTHER_BOUNDARY));
        }
        assert_eq!(open(job).phase, JobPhase::Revealing);
        assert_ok!(reveal_as(job, 0, &worker(0), 0));
        // Neither with the boundary under the root, nor with the one that was named.
        assert_err!(reveal_as(job, 1, &worker(1), OTHER_BOUNDARY), Error::<Test>::DoesNotOpen);
        let named = Opening { out_root: out_root(&open(job), 1), ..opening(&open(job), 1, OTHER_BOUNDARY) };
        assert_err!(answer(&worker(1), Answer::Reveal { at: at(job, 1), opening: named }), Error::<Test>::DoesNotOpen);
        while open(job).phase == JobPhase::Revealing {
            next_block();
        }
        assert_eq!(open(job).phase, JobPhase::Escalated);
        vote_all(job, 1);
        // Some may have checked the other stage too, rightly.
        let honest: Vec<_> = seats(job, 0).into_iter().map(|seat| seat.controller).collect();
        let only = || accomplices.iter().filter(|who| !honest.contains(who));
        let before: Vec<_> = only().map(Balances::free_balance).collect();
        assert_ok!(reveal_as(job, 1, &worker(5), OTHER_BOUNDARY));
        assert!(faults().iter().any(|f| (f.0, &f.1, f.2) == (1, &controller(1), OffenceKind::WrongResult)));
        assert!(only().zip(before).all(|(who, before)| Balances::free_balance(who) == before), "unpaid");
        next_block();
        assert!(open(job).stages.iter().all(|s| s.executor != controller(1) && !accomplices.contains(&s.executor)));
    });
}

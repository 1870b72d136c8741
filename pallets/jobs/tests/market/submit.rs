//! Submission: every bad input has its own error, and changes nothing.

use assay_primitives::{traits::BondManager, *};
use frame::testing_prelude::*;
use pallet_assay_jobs::{Error, Event, Jobs as OpenJobs, OpenJobsOf, ParamsOf};
use pallet_assay_testing::*;

/// Submits the good job with one thing changed; it must be refused for that reason, by the view too.
fn refused(change: impl Fn(&mut JobSpec), error: Error<Test>) {
    let mut s = spec(1, 3);
    change(&mut s);
    let error: DispatchError = error.into();
    assert_eq!(Jobs::quote(s.clone()), Err(error), "the view gives the same reason");
    let state = fingerprint();
    assert_err_ignore_postinfo!(Jobs::submit(RuntimeOrigin::signed(client(0)), s), error);
    assert_eq!(state, fingerprint());
}

/// Submission fails because nobody can take the job; the view names the stages.
fn unmatched(s: JobSpec, stages: &[u8], why: NoMatch, error: Error<Test>) {
    let expected: Vec<_> = stages.iter().map(|s| (*s, why)).collect();
    assert_eq!(Jobs::why_no_match(s.clone()), Ok(expected));
    let state = fingerprint();
    assert_err_ignore_postinfo!(Jobs::submit(RuntimeOrigin::signed(client(0)), s), error);
    assert_eq!(state, fingerprint());
}

fn generate(max_new_tokens: u32, top_p: u32) -> JobTask {
    JobTask::Generate { max_new_tokens, sampling: SamplingParams { top_p, ..SamplingParams::GREEDY } }
}

#[test]
fn submit_bad_specification_is_refused_with_what_is_wrong() {
    Setup::default().build().execute_with(|| {
        refused(|s| s.model = H256::zero(), Error::ModelUnknown);
        refused(|s| s.template = 9, Error::TemplateUnknown);
        refused(|s| s.input = JobInput::Blob(H256::zero()), Error::BlobUnsupported);
        refused(|s| s.input = JobInput::Inline(Default::default()), Error::PromptEmpty);
        refused(|s| s.input = JobInput::Inline(vec![VOCAB].try_into().unwrap()), Error::TokenOutOfVocabulary);
        refused(|s| s.task = generate(0, 65_536), Error::NewTokensZero);
        refused(|s| s.task = generate(MAX_NEW_TOKENS + 1, 65_536), Error::NewTokensTooMany);
        refused(|s| s.task = generate(CONTEXT - 2, 65_536), Error::ContextExceeded);
        refused(|s| s.task = JobTask::Embed, Error::TaskUnfit);
        refused(|s| s.model = ENCODER, Error::TaskUnfit);
        refused(|s| s.mode = VerificationMode::Quorum { k: 0 }, Error::QuorumTooSmall);
        refused(|s| s.mode = VerificationMode::Quorum { k: 1 }, Error::QuorumTooSmall);
        refused(|s| s.mode = VerificationMode::Quorum { k: 17 }, Error::QuorumTooLarge);
        refused(
            |s| {
                s.mode = VerificationMode::None;
                s.insured = 1;
            },
            Error::InsuredUnverified,
        );
        refused(|s| s.insured = BOND, Error::InsuredTooHigh);
        refused(|s| s.task = generate(8, 0), Error::TopPOutOfRange);
        refused(|s| s.task = generate(8, 65_537), Error::TopPOutOfRange);
        refused(|s| s.extra_ticks = 101, Error::ExtraTicksTooMany);
        world::Models::<Test>::mutate(MODEL, |m| m.as_mut().unwrap().info.active = false);
        refused(|_| (), Error::ModelInactive);
        world::Models::<Test>::mutate(MODEL, |m| m.as_mut().unwrap().info.active = true);
        world::Models::<Test>::mutate(MODEL, |m| m.as_mut().unwrap().info.spec_id = 2);
        refused(|_| (), Error::SpecUnsupported);
    });
}

#[test]
fn submit_longest_text_to_embed_is_taken() {
    Setup::default().build().execute_with(|| {
        let text = |len: u32| JobSpec {
            input: JobInput::Inline(vec![1; len as usize].try_into().unwrap()),
            ..embedding(1, 2)
        };
        let job = submit(&client(0), text(CONTEXT));
        // Every position through four layers, and no heads.
        let quoted: Vec<_> = Jobs::quote(text(CONTEXT)).unwrap().stages.iter().map(|s| s.work).collect();
        assert_eq!(quoted, [u64::from(CONTEXT) * 4; 2]);
        assert_eq!(open(job).spec.positions(), (0, CONTEXT));
        let long = Jobs::submit(RuntimeOrigin::signed(client(0)), text(CONTEXT + 1));
        assert_err_ignore_postinfo!(long, Error::<Test>::ContextExceeded);
    });
}

#[test]
fn submit_longest_allowed_sequence_is_taken() {
    Setup::default().build().execute_with(|| {
        let mut s = spec(1, 2);
        s.task = generate(CONTEXT - 3, 65_536);
        s.extra_ticks = 100;
        submit(&client(0), s);
    });
}

#[test]
fn submit_with_nobody_to_serve_fails_with_the_reason() {
    Setup::default().build().execute_with(|| {
        let key = |s: usize| SpanKey { model: MODEL, span: spans(1)[s] };
        let mut cheap = spec(1, 3);
        cheap.max_price = 999;
        unmatched(cheap, &[0, 1], NoMatch::Price, Error::PriceTooLow);
        unmatched(spec(1, 5), &[0, 1], NoMatch::NotVerifiable, Error::NotVerifiable);
        (0..4).for_each(|i| world::Bonds::<Test>::insert(controller(i), 1));
        unmatched(spec(1, 3), &[0, 1], NoMatch::Exposure, Error::ExposureTooLow);
        // Bonds for one executor of each stage, and none for anybody who would check it.
        (0..2).for_each(|i| world::Bonds::<Test>::insert(controller(i), BOND));
        unmatched(spec(1, 3), &[0, 1], NoMatch::NotVerifiable, Error::NotVerifiable);
        (0..4).for_each(|i| world::Bonds::<Test>::insert(controller(i), BOND));
        (1..4).for_each(|i| change_asks(i, |e| e.ask.check_slots = 0));
        unmatched(spec(1, 3), &[0, 1], NoMatch::NotVerifiable, Error::NotVerifiable);
        (1..4).for_each(|i| change_asks(i, |e| e.ask.check_slots = 8));
        // Second stage only.
        let book: Vec<_> = world::Book::<Test>::drain_prefix(key(1)).collect();
        unmatched(spec(1, 2), &[1], NoMatch::NoHolder, Error::NoHolder);
        for (who, mut entry) in book {
            entry.usable = false;
            world::Book::<Test>::insert(key(1), who, entry);
        }
        unmatched(spec(1, 2), &[1], NoMatch::NotUsable, Error::NotUsable);
        (0..4).for_each(|i| {
            change_asks(i, |e| {
                e.usable = true;
                e.ask.slots = 1;
            })
        });
        for _ in 0..2 {
            submit(&client(0), spec(1, 1));
        }
        for _ in 0..2 {
            submit(&client(1), spec(1, 1));
        }
        unmatched(spec(1, 1), &[0, 1], NoMatch::Capacity, Error::NoCapacity);
    });
}

#[test]
fn submit_unrelaxed_needs_twice_k_controllers_who_held_long_enough() {
    let params = Params { relaxed: false, hold_ticks: 10, ..Params::local() };
    Setup { providers: 6, params }.build().execute_with(|| {
        unmatched(spec(1, 3), &[0, 1], NoMatch::NotVerifiable, Error::NotVerifiable);
        run_blocks(10);
        assert!(Jobs::quote(spec(1, 3)).unwrap().stages.iter().all(|s| s.award.is_ok()));
        unmatched(spec(1, 4), &[0, 1], NoMatch::NotVerifiable, Error::NotVerifiable);
        submit(&client(0), spec(1, 3));
    });
}

#[test]
fn submit_balance_below_the_escrow_is_refused() {
    Setup::default().build().execute_with(|| {
        let s = spec(1, 3);
        let escrow = Jobs::quote(s.clone()).unwrap().escrow;
        let poor = AccountId::new([0xee; 32]);
        assert_ok!(Balances::transfer_allow_death(RuntimeOrigin::signed(client(0)), poor.clone(), escrow + ED - 1));
        assert_err_ignore_postinfo!(
            Jobs::submit(RuntimeOrigin::signed(poor.clone()), s.clone()),
            Error::<Test>::BalanceTooLow
        );
        assert_ok!(Balances::transfer_allow_death(RuntimeOrigin::signed(client(0)), poor.clone(), 1));
        let job = submit(&poor, s);
        assert_eq!(held(&poor), escrow);
        assert_eq!(OpenJobs::<Test>::get(job).unwrap().escrow, escrow);
    });
}

#[test]
fn submit_more_than_a_client_or_the_chain_may_have_is_refused() {
    Setup::default().build().execute_with(|| {
        for c in 0..4 {
            (0..8).for_each(|_| {
                submit(&client(c), spec(0, 1));
            });
            if c < 3 {
                let again = Jobs::submit(RuntimeOrigin::signed(client(c)), spec(0, 1));
                assert_err_ignore_postinfo!(again, Error::<Test>::TooManyClientJobs);
            }
        }
        let again = Jobs::submit(RuntimeOrigin::signed(controller(0)), spec(0, 1));
        assert_err_ignore_postinfo!(again, Error::<Test>::TooManyJobs);
    });
}

#[test]
fn submit_same_specification_twice_makes_two_jobs() {
    Setup::default().build().execute_with(|| {
        let a = submit(&client(0), spec(1, 2));
        let b = submit(&client(0), spec(1, 2));
        let c = submit(&client(1), spec(1, 2));
        assert!(a != b && b != c && a != c);
        assert_eq!(OpenJobsOf::<Test>::get(client(0)), 2);
        assert_eq!(ParamsOf::<Test>::get(0).unwrap().users, 3);
    });
}

#[test]
fn submit_assigns_the_cheapest_at_the_second_score_and_reserves_its_backing() {
    Setup::default().build().execute_with(|| {
        let job = submit(&client(0), spec(1, 3));
        let now = open(job);
        let params = Params::local();
        for (s, price, max_work) in [(0u8, 1_010, 40), (1, 1_020, 48)] {
            let a = &now.stages[usize::from(s)];
            assert_eq!((&a.executor, &a.worker, a.price), (&controller(s), &worker(s), price));
            assert_eq!(a.backing, market::backing(&params, 3, price * max_work, 0).unwrap());
            let id = BackingId { at: at(job, s), role: Role::Executor };
            assert_eq!(world::Backings::<Test>::get(controller(s), id), Some(a.backing));
            assert_eq!(World::free_exposure(&controller(s)), BOND - a.backing);
        }
        // 40 and 48 units at 1,000 a tick: one tick each.
        assert_eq!(now.due, now.created + params.run_base + 2);
        System::assert_has_event(Event::Assigned { job, attempt: 0, stages: now.stages.clone(), due: now.due }.into());
    });
}

#[test]
fn submit_gives_a_controller_two_stages_only_where_nobody_else_is_left() {
    Setup::with(3).build().execute_with(|| {
        let job = submit(&client(0), spec(2, 1));
        let mut executors: Vec<_> = open(job).stages.iter().map(|s| s.executor.clone()).collect();
        executors.sort();
        executors.dedup();
        assert_eq!(executors.len(), 3);
    });
}

#[test]
fn submit_scarce_span_chooses_first() {
    Setup::with(2).build().execute_with(|| {
        // Only the cheaper of the two holds the second stage: it must not be spent on the first.
        world::Book::<Test>::remove(SpanKey { model: MODEL, span: spans(1)[1] }, controller(1));
        let job = submit(&client(0), spec(1, 1));
        let executors: Vec<_> = open(job).stages.iter().map(|s| s.executor.clone()).collect();
        assert_eq!(executors, vec![controller(1), controller(0)]);
    });
}

#[test]
fn submit_penalty_moves_the_work_to_others() {
    Setup::default().build().execute_with(|| {
        change_asks(0, |e| e.penalty_permille = 1_000);
        let job = submit(&client(0), spec(0, 1));
        assert_eq!(open(job).stages[0].executor, controller(1));
        assert_eq!(open(job).stages[0].price, 1_020);
    });
}

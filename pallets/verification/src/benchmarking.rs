//! Benchmarks of every kind of answer and of every step of the hooks.

use crate::{answers::work_ctx, arbiter::HolderArbiter, *};
use alloc::{vec, vec::Vec};
use assay_primitives::{
    traits::{Arbiter, BondManager, Market, OpenJob, ProviderDirectory},
    *,
};
use frame::{
    benchmarking::prelude::*,
    deps::{sp_core::sr25519, sp_io},
};

/// What a benchmark needs of the rest of the runtime.
pub trait BenchmarkHelper {
    /// Submits a job of `stages` stages with a prompt of `prompt` ids, checked by `k`, at up to `tokens` generated ids, over a
    /// world of `holders` providers as in the market's own helper, whose worker keys are in the keystore under
    /// [`WORKER_KEY_TYPE`]. Returns it once it is assigned.
    fn job(stages: u32, holders: u32, k: u8, prompt: u32, tokens: u32) -> JobHash;
    /// Gives the block that is being executed an author with a VRF output.
    fn author();
}

fn open<T: Config>(job: JobHash) -> Result<OpenJob, BenchmarkError> {
    T::Market::open_job(job).ok_or(BenchmarkError::Stop("the job is open"))
}

fn at(job: &OpenJob, stage: u8) -> StageRef {
    StageRef { job: job.job, attempt: job.attempt, stage }
}

/// Every id generated; none of them ends generation.
fn output(job: &OpenJob) -> Output {
    Output::Ids(BoundedVec::truncate_from(vec![1; job.spec.task.max_new_tokens() as usize]))
}

fn opening(job: &OpenJob, stage: u8) -> Opening {
    let root = H256::repeat_byte(stage.saturating_add(1));
    Opening { out_root: in_root(job, usize::from(stage).saturating_add(1)), kv_root: root, tail_root: root }
}

fn root(job: &OpenJob, stage: u8) -> Result<H256, BenchmarkError> {
    let span = job.stages.get(usize::from(stage)).ok_or(BenchmarkError::Stop("such a stage"))?.span;
    Ok(digest::stage_root(&job.spec, span, in_root(job, usize::from(stage)), &opening(job, stage)))
}

fn ids_root(job: &OpenJob) -> H256 {
    digest::ids_root(job.spec.input_ids(), output(job).ids())
}

/// Root of the rows that a stage receives.
fn in_root(job: &OpenJob, stage: usize) -> H256 {
    if stage % job.stages.len() == 0 {
        ids_root(job)
    } else {
        H256::repeat_byte(0x80u8.saturating_add(stage as u8))
    }
}

fn commitment<T: Config>(job: &OpenJob, stage: u8) -> Result<StageCommitment, BenchmarkError> {
    let n = job.stages.len();
    let s = usize::from(stage);
    let upstream = s.saturating_add(n).saturating_sub(1) % n;
    let received = in_root(job, s);
    let ids = job.spec.positions().1;
    let n_rows = if stage == 0 { ids } else { ids.saturating_sub(1) };
    let executor = |i: usize| job.stages.get(i).ok_or(BenchmarkError::Stop("such a stage"));
    let message = digest::handoff(&work_ctx::<T>(job, upstream as u8, Role::Executor), n_rows, received);
    let key = sr25519::Public::from_raw(*executor(upstream)?.worker.as_ref());
    let signature = sp_io::crypto::sr25519_sign(WORKER_KEY_TYPE, &key, message.as_bytes())
        .ok_or(BenchmarkError::Stop("the worker's key is in the keystore"))?;
    let ctx = work_ctx::<T>(job, stage, Role::Executor);
    Ok(StageCommitment {
        in_root: received,
        out_root: in_root(job, s.saturating_add(1)),
        digest: digest::commit(&ctx, &executor(s)?.executor, root(job, stage)?),
        upstream: (n > 1).then_some(Handoff { n_rows, signature }),
        output: (s.saturating_add(1) == n).then(|| output(job)),
    })
}

fn send<T: Config>(worker: &AccountId, answer: Answer) -> DispatchResult {
    let answers = BoundedVec::truncate_from(vec![answer]);
    Pallet::<T>::do_answer(worker.clone(), answers).map(|_| ()).map_err(|e| e.error)
}

fn commit_stage<T: Config>(job: &OpenJob, stage: u8) -> DispatchResult {
    let worker = job.stages.get(usize::from(stage)).map(|a| a.worker.clone()).ok_or("such a stage")?;
    let commitment = commitment::<T>(job, stage).map_err(|_| "a commitment")?;
    send::<T>(&worker, Answer::Commit { at: at(job, stage), commitment })
}

/// A job of which every stage has committed.
fn sealed<T: Config>(stages: u32, holders: u32, k: u8) -> Result<OpenJob, BenchmarkError> {
    let hash = T::BenchmarkHelper::job(stages, holders, k, 16, 16);
    let job = open::<T>(hash)?;
    for s in 0..job.stages.len() as u8 {
        commit_stage::<T>(&job, s)?;
    }
    // The beacon's ring is full of authors who have nothing to do with it.
    let depth = T::BeaconDepth::get();
    let now = Pallet::<T>::block().saturating_add(depth);
    frame_system::Pallet::<T>::set_block_number(now.into());
    for back in 0..depth {
        let block = now.saturating_sub(back);
        let author = Author { block, controller: account("author", back, 0), vrf: [back as u8; 32] };
        Authors::<T>::insert(block % depth, author);
    }
    open::<T>(hash)
}

/// The same, with its checkers drawn.
fn drawn<T: Config>(stages: u32, holders: u32, k: u8) -> Result<OpenJob, BenchmarkError> {
    let job = sealed::<T>(stages, holders, k)?;
    Pallet::<T>::draw_due(&job)?;
    let job = open::<T>(job.job)?;
    assert_eq!(job.phase, JobPhase::Checking);
    Ok(job)
}

fn seats<T: Config>(job: &OpenJob, stage: u8) -> Vec<Seat> {
    Stages::<T>::get(job.job, stage).map(|s| s.seats.into_inner()).unwrap_or_default()
}

fn verdict<T: Config>(job: &OpenJob, stage: u8, seat: &Seat, agrees: bool) -> CheckVerdict {
    let ctx = work_ctx::<T>(job, stage, Role::Checker);
    if agrees {
        CheckVerdict::Agree(digest::commit(&ctx, &seat.controller, root(job, stage).unwrap_or_default()))
    } else {
        CheckVerdict::Dissent(digest::commit(&ctx, &seat.controller, H256::zero()))
    }
}

/// Every seat answers, but the first `left` ones of stage 0.
fn check_all<T: Config>(job: &OpenJob, left: usize, agree: bool) -> DispatchResult {
    for s in 0..job.stages.len() as u8 {
        let skipped = if s == 0 { left } else { 0 };
        for seat in seats::<T>(job, s).iter().skip(skipped) {
            let verdict = verdict::<T>(job, s, seat, agree);
            send::<T>(&seat.worker, Answer::Check { at: at(job, s), verdict })?;
        }
    }
    Ok(())
}

/// All electors vote, but the last `left` of those who have not; returns one of these.
fn vote_all<T: Config>(job: &OpenJob, left: usize) -> Result<Option<AccountId>, BenchmarkError> {
    let dispute = Disputes::<T>::get(job.job, 0).ok_or("a dispute")?;
    let mut missing: Vec<AccountId> = HolderArbiter::<T>::cast(job, 0, &dispute)
        .into_iter()
        .filter(|(_, digest)| digest.is_none())
        .map(|(elector, _)| elector.controller)
        .collect();
    let silent = missing.split_off(missing.len().saturating_sub(left));
    for voter in &missing {
        HolderArbiter::<T>::vote(job, at(job, 0), voter, H256::repeat_byte(9))?;
    }
    Ok(silent.into_iter().next())
}

#[benchmarks]
mod benches {
    use super::*;

    /// An answer about nothing: what every batch costs.
    #[benchmark]
    fn answer() {
        let worker: AccountId = whitelisted_caller();
        let at = StageRef { job: H256::zero(), attempt: 0, stage: 0 };
        let answers = BoundedVec::truncate_from(vec![Answer::Blocked { at }]);
        #[extrinsic_call]
        answer(RawOrigin::Signed(worker), answers);
    }

    /// The commit of the last stage, of a short text, before the first one's.
    #[benchmark]
    fn commit(s: Linear<2, MAX_STAGES>) -> Result<(), BenchmarkError> {
        let hash = T::BenchmarkHelper::job(s, 4, 2, 1, 1);
        let job = open::<T>(hash)?;
        let last = s.saturating_sub(1) as u8;
        for stage in 1..last {
            commit_stage::<T>(&job, stage)?;
        }
        let worker = job.stages.get(usize::from(last)).map(|a| a.worker.clone()).ok_or("such a stage")?;
        let commitment = commitment::<T>(&job, last)?;
        #[block]
        {
            send::<T>(&worker, Answer::Commit { at: at(&job, last), commitment })?;
        }
        assert!(Outputs::<T>::contains_key(hash));
        Ok(())
    }

    /// What it costs besides that an answer moves the job to another phase; sealing touches the most.
    #[benchmark]
    fn next_phase() -> Result<(), BenchmarkError> {
        let hash = T::BenchmarkHelper::job(2, 4, 2, 1, 1);
        let job = open::<T>(hash)?;
        for stage in 0..2 {
            let c = commitment::<T>(&job, stage)?;
            if let Some(output) = c.output {
                Outputs::<T>::insert(hash, output);
            }
            let in_rows = c.upstream.map_or(0, |handoff| handoff.n_rows);
            let committed = Commit { in_root: c.in_root, out_root: c.out_root, digest: c.digest, in_rows };
            Stages::<T>::mutate(hash, stage, |s| {
                if let Some(s) = s {
                    s.commit = Some(committed);
                }
            });
        }
        let stages = Pallet::<T>::stages_of(&job).map_err(|_| "its stages")?;
        #[block]
        {
            Pallet::<T>::run_ended(&job, &stages)?;
        }
        assert_eq!(open::<T>(hash)?.phase, JobPhase::Drawing);
        Ok(())
    }

    #[benchmark]
    fn blocked(s: Linear<2, MAX_STAGES>) -> Result<(), BenchmarkError> {
        let hash = T::BenchmarkHelper::job(s, 4, 1, 16, 16);
        let job = open::<T>(hash)?;
        let worker = job.stages.first().map(|a| a.worker.clone()).ok_or("a stage")?;
        #[block]
        {
            send::<T>(&worker, Answer::Blocked { at: at(&job, 0) })?;
        }
        assert!(Stages::<T>::get(hash, 0).is_some_and(|stage| stage.blocked));
        Ok(())
    }

    #[benchmark]
    fn check(s: Linear<1, MAX_STAGES>) -> Result<(), BenchmarkError> {
        let job = drawn::<T>(s, MAX_HOLDERS, 16)?;
        check_all::<T>(&job, 2, true)?;
        let checker = seats::<T>(&job, 0).into_iter().next().ok_or("a seat")?;
        let verdict = verdict::<T>(&job, 0, &checker, true);
        #[block]
        {
            send::<T>(&checker.worker, Answer::Check { at: at(&job, 0), verdict })?;
        }
        assert!(seats::<T>(&job, 0).iter().filter(|s| s.answer.is_none()).count() == 1);
        Ok(())
    }

    /// A root that every agreement is tried with.
    #[benchmark]
    fn reveal(s: Linear<2, MAX_STAGES>) -> Result<(), BenchmarkError> {
        let job = drawn::<T>(s, MAX_HOLDERS, 16)?;
        check_all::<T>(&job, 0, true)?;
        let caller: AccountId = whitelisted_caller();
        #[block]
        {
            send::<T>(&caller, Answer::Reveal { at: at(&job, 0), opening: opening(&job, 0) })?;
        }
        assert!(Stages::<T>::get(job.job, 0).is_some_and(|stage| stage.root.is_some()));
        Ok(())
    }

    /// A root that every elector's digest is tried with: none of them voted for it but the executor.
    #[benchmark]
    fn reveal_disputed(s: Linear<1, MAX_STAGES>) -> Result<(), BenchmarkError> {
        let job = drawn::<T>(s, MAX_HOLDERS, 2)?;
        check_all::<T>(&job, 0, false)?;
        let job = open::<T>(job.job)?;
        vote_all::<T>(&job, 0)?;
        let caller: AccountId = whitelisted_caller();
        #[block]
        {
            send::<T>(&caller, Answer::Reveal { at: at(&job, 0), opening: opening(&job, 0) })?;
        }
        assert!(Disputes::<T>::get(job.job, 0).is_some_and(|d| d.roots.len() == 1));
        Ok(())
    }

    /// The last vote of the largest electorate: voting closes.
    #[benchmark]
    fn vote(s: Linear<1, MAX_STAGES>) -> Result<(), BenchmarkError> {
        let job = drawn::<T>(s, MAX_HOLDERS, 2)?;
        check_all::<T>(&job, 0, false)?;
        let job = open::<T>(job.job)?;
        assert_eq!(job.phase, JobPhase::Escalated);
        let last = vote_all::<T>(&job, 1)?.ok_or("someone who has not voted")?;
        let worker = T::Providers::worker_of(&last).ok_or("a worker")?;
        #[block]
        {
            send::<T>(&worker, Answer::Vote { at: at(&job, 0), digest: H256::repeat_byte(9) })?;
        }
        assert!(Disputes::<T>::get(job.job, 0).is_some_and(|d| d.closed));
        Ok(())
    }

    #[benchmark]
    fn note_author() {
        T::BenchmarkHelper::author();
        #[block]
        {
            Pallet::<T>::note_author(7);
        }
        assert!(Authors::<T>::get(7).is_some());
    }

    #[benchmark]
    fn draw_probe() -> Result<(), BenchmarkError> {
        let job = sealed::<T>(MAX_STAGES, 4, 2)?;
        let found;
        #[block]
        {
            found = T::Market::open_job(job.job).and_then(|job| Pallet::<T>::beacon_vrfs(&job, false));
        }
        assert!(found.is_some());
        Ok(())
    }

    /// The settlement of a job of one stage, with an executor and `p - 1` checkers, all of them different: in a larger job each
    /// of them costs as much at most.
    #[benchmark]
    fn conclude(p: Linear<2, 16>) -> Result<(), BenchmarkError> {
        let job = drawn::<T>(1, MAX_HOLDERS, p as u8)?;
        check_all::<T>(&job, 0, true)?;
        let root = root(&job, 0)?;
        Stages::<T>::mutate(job.job, 0, |stage| {
            if let Some(stage) = stage {
                stage.root = Some(root);
            }
        });
        let job = open::<T>(job.job)?;
        let stages = Pallet::<T>::stages_of(&job).map_err(|_| "its stages")?;
        #[block]
        {
            Pallet::<T>::conclude_done(&job, &stages)?;
        }
        assert!(T::Market::open_job(job.job).is_none());
        Ok(())
    }

    /// The ids of a text, which the last stage's commit makes the chain hash.
    #[benchmark]
    fn hash_ids(i: Linear<2, 3_072>) {
        let ids: Vec<u32> = (0..i).collect();
        let root;
        #[block]
        {
            root = digest::ids_root(&ids, &[]);
        }
        assert!(root != H256::zero());
    }

    /// The draw of one checker for one stage.
    #[benchmark]
    fn seat(h: Linear<4, MAX_HOLDERS>) -> Result<(), BenchmarkError> {
        let job = sealed::<T>(1, h, 2)?;
        #[block]
        {
            Pallet::<T>::draw_due(&job)?;
        }
        assert_eq!(seats::<T>(&job, 0).len(), 1);
        Ok(())
    }

    /// What one more checker of a stage costs: its backing and its slot.
    #[benchmark]
    fn take_seat() -> Result<(), BenchmarkError> {
        let job = sealed::<T>(1, 4, 2)?;
        let holders = T::Providers::holders(&SpanKey { model: job.spec.model, span: Span { first: 0, end: 1 } });
        let executes = |who: &AccountId| job.stages.iter().any(|a| a.executor == *who);
        let holder = holders.into_iter().find(|h| !executes(&h.controller)).ok_or("a holder that executes nothing")?;
        let key = SpanKey { model: job.spec.model, span: Span { first: 0, end: 1 } };
        let before = T::Bonds::free_exposure(&holder.controller);
        #[block]
        {
            let id = BackingId { at: at(&job, 0), role: Role::Checker };
            T::Bonds::reserve(&holder.controller, &id, 1_000)?;
            T::Providers::take(&holder.controller, &key, SlotKind::Check)?;
        }
        assert!(T::Bonds::free_exposure(&holder.controller) < before);
        Ok(())
    }

    impl_benchmark_test_suite!(Pallet, crate::bench_world::benchmarks::bench_ext(), crate::bench_world::Test);
}

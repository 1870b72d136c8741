//! Benchmarks of every call and of every step of the hook.

use crate::{lifecycle::FEW_HOLDERS, *};
use alloc::{vec, vec::Vec};
use assay_primitives::*;
use frame::{
    benchmarking::prelude::*,
    deps::frame_support::weights::WeightMeter,
    traits::fungible::{Inspect, Mutate},
};

/// What a benchmark needs of the rest of the runtime.
pub trait BenchmarkHelper {
    /// Registers a model whose template 0 has `stages` stages, and `holders` providers that hold every span of it: usable at
    /// once, at a price of 1 per work unit, with a bond and slots for anything, workers known. Returns the model.
    fn world(stages: u32, holders: u32) -> ModelId;
}

/// The dearest job there is: the longest prompt, insured as the bond allows.
pub fn dearest_job(model: ModelId, k: u8) -> JobSpec {
    JobSpec {
        model,
        template: 0,
        input: JobInput::Inline(BoundedVec::truncate_from(vec![1; MAX_INPUT_IDS as usize])),
        task: JobTask::Generate { max_new_tokens: MAX_NEW_TOKENS, sampling: SamplingParams::GREEDY },
        mode: if k == 1 { VerificationMode::None } else { VerificationMode::Quorum { k } },
        max_price: 1,
        insured: 0,
        extra_ticks: 0,
    }
}

fn client<T: Config>() -> AccountId
where
    T::Currency: Mutate<AccountId>,
{
    rich::<T>("client", 0)
}

fn rich<T: Config>(name: &'static str, n: u32) -> AccountId
where
    T::Currency: Mutate<AccountId>,
{
    let who: AccountId = account(name, n, 0);
    let _ = T::Currency::mint_into(&who, Balance::MAX / 1_000);
    who
}

fn relax<T: Config>() -> Result<(), BenchmarkError> {
    let params = Params { relaxed: true, hold_ticks: 0, max_attempts: 8, ..Params::public() };
    Pallet::<T>::do_set_params(params).map_err(|_| "the parameters are good")?;
    Ok(())
}

/// A job that is open, with its hash.
fn open<T: Config>(stages: u32, holders: u32, k: u8) -> Result<(AccountId, JobHash), BenchmarkError>
where
    T::Currency: Mutate<AccountId>,
{
    relax::<T>()?;
    let client = client::<T>();
    let model = T::BenchmarkHelper::world(stages, holders);
    Pallet::<T>::do_submit(client.clone(), dearest_job(model, k)).map_err(|e| e.error)?;
    let job = Jobs::<T>::iter_keys().next().ok_or("the job is open")?;
    Ok((client, job))
}

#[benchmarks(where T::Currency: Mutate<AccountId>)]
mod benches {
    use super::*;

    /// With the fewest holders; `match_stage` counts what the others add.
    #[benchmark]
    fn submit(s: Linear<1, MAX_STAGES>) -> Result<(), BenchmarkError> {
        relax::<T>()?;
        let client = client::<T>();
        let model = T::BenchmarkHelper::world(s, FEW_HOLDERS);
        let spec = dearest_job(model, 2);
        #[extrinsic_call]
        submit(RawOrigin::Signed(client.clone()), spec);
        assert_eq!(OpenJobsOf::<T>::get(client), 1);
        Ok(())
    }

    #[benchmark]
    fn cancel() -> Result<(), BenchmarkError> {
        let (client, job) = open::<T>(2, 4, 2)?;
        Pallet::<T>::fail_attempt(job, Vec::new(), Vec::new(), None)?;
        #[extrinsic_call]
        cancel(RawOrigin::Signed(client), job);
        assert!(!Jobs::<T>::contains_key(job));
        Ok(())
    }

    #[benchmark]
    fn claim() -> Result<(), BenchmarkError> {
        let (client, job) = open::<T>(1, 4, 1)?;
        let to: AccountId = account("beneficiary", 0, 0);
        let caller: AccountId = whitelisted_caller();
        let amount = T::Currency::minimum_balance();
        Jobs::<T>::mutate(job, |j| {
            if let Some(j) = j {
                j.escrow = j.escrow.saturating_sub(amount);
            }
        });
        Pallet::<T>::defer_payment(&client, &to, amount);
        #[extrinsic_call]
        claim(RawOrigin::Signed(caller), to.clone(), client);
        assert_eq!(T::Currency::total_balance(&to), amount);
        Ok(())
    }

    #[benchmark]
    fn set_params() -> Result<(), BenchmarkError> {
        let origin = T::AdminOrigin::try_successful_origin().map_err(|_| BenchmarkError::Weightless)?;
        let before = CurrentParams::<T>::get();
        #[extrinsic_call]
        set_params(origin as T::RuntimeOrigin, Params::public());
        assert_eq!(CurrentParams::<T>::get(), before.saturating_add(1));
        Ok(())
    }

    #[benchmark]
    fn tick() {
        let before = Now::<T>::get();
        AgendaCursor::<T>::put(before.saturating_add(1));
        #[block]
        {
            Pallet::<T>::tick(&mut WeightMeter::new());
        }
        assert_eq!(Now::<T>::get(), before.saturating_add(1));
    }

    #[benchmark]
    fn agenda_next() -> Result<(), BenchmarkError> {
        let (_, job) = open::<T>(1, 4, 1)?;
        let due = Jobs::<T>::get(job).ok_or("open")?.due;
        let next;
        #[block]
        {
            next = Agenda::<T>::iter_key_prefix(due).next();
        }
        assert_eq!(next, Some(job));
        Ok(())
    }

    /// The auction of one stage.
    #[benchmark]
    fn match_stage(h: Linear<FEW_HOLDERS, MAX_HOLDERS>) -> Result<(), BenchmarkError> {
        relax::<T>()?;
        let model = T::BenchmarkHelper::world(1, h);
        let spec = dearest_job(model, 2);
        let quoted;
        #[block]
        {
            quoted = Pallet::<T>::do_quote(&spec)?;
        }
        assert!(quoted.stages.iter().all(|stage| stage.award.is_ok()));
        Ok(())
    }

    /// With the fewest holders, as in `submit`.
    #[benchmark]
    fn redispatch(s: Linear<1, MAX_STAGES>) -> Result<(), BenchmarkError> {
        let (_, job) = open::<T>(s, FEW_HOLDERS, 2)?;
        Pallet::<T>::fail_attempt(job, Vec::new(), Vec::new(), None)?;
        #[block]
        {
            Pallet::<T>::dispatch_again(job);
        }
        assert_eq!(Jobs::<T>::get(job).map(|j| j.attempt), Some(1));
        Ok(())
    }

    impl_benchmark_test_suite!(Pallet, crate::bench_world::benchmarks::bench_ext(), crate::bench_world::Test);
}

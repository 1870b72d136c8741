//! The life of a job: submitted, assigned, dispatched again, ended. Every end passes [`Pallet::kill`].

use crate::{matching::*, pallet::*, types::*, WeightInfo};
use alloc::vec::Vec;
use assay_primitives::{
    digest, market,
    traits::{BondManager, ModelDirectory, OpenJob, ProviderDirectory, Verifier},
    *,
};
use frame::{
    deps::frame_support::storage::with_storage_layer,
    prelude::*,
    traits::{
        fungible::hold::Mutate as _,
        tokens::{Fortitude, Precision},
    },
};

/// Holders of every span in the benchmarks of submission and of another attempt; `match_stage` tells what more of them cost.
pub(crate) const FEW_HOLDERS: u32 = 4;

impl<T: Config> Pallet<T> {
    pub(crate) fn do_submit(client: AccountId, spec: JobSpec) -> DispatchResultWithPostInfo {
        let refused = |e: Error<T>| DispatchErrorWithPostInfo {
            post_info: Some(T::WeightInfo::submit(0)).into(),
            error: e.into(),
        };
        let (version, params) = Self::current_params().map_err(refused)?;
        let checked = Self::check_spec(&spec).map_err(refused)?;
        let stages = checked.spans.len() as u32;
        let k = spec.mode.k();
        let open = OpenJobs::<T>::get();
        ensure!(open < T::MaxOpenJobs::get(), refused(Error::TooManyJobs));
        let open_of = OpenJobsOf::<T>::get(&client);
        ensure!(open_of < T::MaxJobsPerClient::get(), refused(Error::TooManyClientJobs));
        let escrow = market::escrow(&params, spec.max_price, k, spec.task, &checked.work)
            .ok_or_else(|| refused(Error::CostOverflow))?;
        ensure!(spec.insured <= escrow, refused(Error::InsuredTooHigh));
        let check_budget =
            Self::check_budget(&params, k, spec.task, &checked.work).ok_or_else(|| refused(Error::CostOverflow))?;

        let nonce = NonceOf::<T>::get(&client);
        let hash = digest::job_hash(Self::genesis(), &client, nonce, &spec, version);
        ensure!(!Jobs::<T>::contains_key(hash), Error::<T>::JobExists);
        let matched = Self::match_stages(&Order {
            job: hash,
            spec: &spec,
            params: &params,
            spans: &checked.spans,
            work: &checked.work,
            excluded: &[],
        })
        .map_err(|(_, why)| Self::no_match_error(why))?;

        T::Currency::hold(&HoldReason::Escrow.into(), &client, escrow).map_err(|_| Error::<T>::BalanceTooLow)?;
        T::Models::add_user(spec.model)?;
        ParamsOf::<T>::mutate(version, |v| {
            if let Some(v) = v {
                v.users = v.users.saturating_add(1);
            }
        });
        NonceOf::<T>::insert(&client, nonce.wrapping_add(1));
        OpenJobs::<T>::put(open.saturating_add(1));
        OpenJobsOf::<T>::insert(&client, open_of.saturating_add(1));
        let model = spec.model;
        Specs::<T>::insert(hash, &spec);
        Self::deposit_event(Event::Submitted {
            job: hash,
            client: client.clone(),
            model,
            k,
            escrow,
            params_version: version,
        });
        let now = Now::<T>::get();
        let job = Job {
            client,
            phase: JobPhase::Running,
            attempt: 0,
            stages: Default::default(),
            params_version: version,
            due: now,
            created: now,
            escrow,
            fee_budget: params.fixed_fee,
            check_budget,
            excluded: Default::default(),
        };
        let holders = matched.iter().map(|m| m.looked_at).max().unwrap_or(MAX_HOLDERS);
        Self::assign(hash, job, spec, params, &checked.work, matched)?;
        Ok(Some(Self::submit_weight(stages, holders)).into())
    }

    /// Submission of a job of so many stages, each held by at most so many.
    pub(crate) fn submit_weight(stages: u32, holders: u32) -> Weight {
        T::WeightInfo::submit(stages).saturating_add(Self::more_holders(stages, holders))
    }

    /// Another attempt at such a job.
    pub(crate) fn redispatch_weight(stages: u32) -> Weight {
        T::WeightInfo::redispatch(stages).saturating_add(Self::more_holders(stages, MAX_HOLDERS))
    }

    /// What holders add to matching beyond the few that are in the other weights already.
    fn more_holders(stages: u32, holders: u32) -> Weight {
        T::WeightInfo::match_stage(holders)
            .saturating_sub(T::WeightInfo::match_stage(FEW_HOLDERS))
            .saturating_mul(stages.into())
    }

    /// What the escrow holds for the checkers of one attempt.
    fn check_budget(params: &Params, k: u8, task: JobTask, work: &[market::StageWork]) -> Option<Balance> {
        let each =
            work.iter().try_fold(0u128, |sum, w| sum.checked_add(market::check_fee(params, task, w.prefill)?))?;
        each.checked_mul(k.saturating_sub(1).into())
    }

    /// Reserves backings, takes slots, starts the attempt. To be called in a storage layer: it may fail half way.
    fn assign(
        hash: JobHash,
        mut job: Job,
        spec: JobSpec,
        params: Params,
        work: &[market::StageWork],
        matched: Vec<Match>,
    ) -> DispatchResult {
        let speeds: Vec<_> = work.iter().zip(&matched).map(|(w, m)| (w.max, m.rate)).collect();
        for (stage, m) in matched.into_iter().enumerate() {
            let at = StageRef { job: hash, attempt: job.attempt, stage: stage as u8 };
            let a = m.assignment;
            T::Bonds::reserve(&a.executor, &BackingId { at, role: Role::Executor }, a.backing)?;
            T::Providers::take(&a.executor, &SpanKey { model: spec.model, span: a.span }, SlotKind::Execute)?;
            job.stages.try_push(a).map_err(|_| Error::<T>::TemplateUnknown)?;
        }
        job.phase = JobPhase::Running;
        let due = Now::<T>::get().saturating_add(market::ring_ticks(&params, speeds, spec.extra_ticks));
        if job.attempt == 0 {
            // It is in no agenda yet.
            job.due = due;
            Agenda::<T>::insert(due, hash, ());
        } else {
            Self::schedule(hash, &mut job, due);
        }
        Jobs::<T>::insert(hash, &job);
        Self::deposit_event(Event::Assigned {
            job: hash,
            attempt: job.attempt,
            stages: job.stages.clone(),
            due: job.due,
        });
        T::Verifier::attempt_started(&Self::to_open(hash, job, spec, params));
        Ok(())
    }

    /// The next attempt of a job that waits for one; a refund if nobody can take it over.
    pub(crate) fn dispatch_again(hash: JobHash) {
        let (Some(mut job), Some(spec)) = (Jobs::<T>::get(hash), Specs::<T>::get(hash)) else { return };
        job.attempt = job.attempt.saturating_add(1);
        let outcome = with_storage_layer(|| -> Result<(), DispatchError> {
            let params = Self::params_of(&job)?;
            let spans = T::Models::template(spec.model, spec.template).ok_or(Error::<T>::ModelUnknown)?;
            let work = spans
                .iter()
                .map(|span| Self::stage_work(&spec, *span))
                .collect::<Option<Vec<_>>>()
                .ok_or(Error::<T>::ModelUnknown)?;
            let matched = Self::match_stages(&Order {
                job: hash,
                spec: &spec,
                params: &params,
                spans: &spans,
                work: &work,
                excluded: &job.excluded,
            })
            .map_err(|(_, why)| Self::no_match_error(why))?;
            Self::assign(hash, job, spec, params, &work, matched)
        });
        if let Err(why) = outcome {
            let gone = why == Error::<T>::ModelUnknown.into();
            let reason = if gone { RefundReason::ModelGone } else { RefundReason::NoProvider };
            Self::refund(hash, reason);
        }
    }

    /// An attempt failed: pays whoever checked in good faith or executed what nobody could check, then waits for the next tick
    /// or, if attempts are used up, refunds.
    pub(crate) fn fail_attempt(
        hash: JobHash,
        exclude: Vec<AccountId>,
        checks: Vec<(u8, AccountId)>,
        unchecked: Option<u32>,
    ) -> DispatchResult {
        let (mut job, spec) = Self::load_assigned(hash)?;
        let params = Self::params_of(&job)?;
        Self::pay_failed_checks(hash, &mut job, &spec, &params, checks);
        if let Some(tokens) = unchecked {
            Self::pay_unchecked(hash, &mut job, &spec, &params, tokens);
        }
        for who in &exclude {
            // The bound is far above what all attempts together can rule out; forgetting one would only let it bid again.
            if !job.excluded.contains(who) && job.excluded.try_push(who.clone()).is_err() {
                defensive!("more exclusions than attempts allow");
            }
        }
        let failed = job.attempt;
        Self::release_attempt(hash, &mut job, &spec);
        let last = failed.saturating_add(1) >= u32::from(params.max_attempts);
        job.phase = JobPhase::Requeue;
        let now = Now::<T>::get();
        Self::schedule(hash, &mut job, now);
        Jobs::<T>::insert(hash, job);
        Self::deposit_event(Event::AttemptFailed { job: hash, attempt: failed, excluded: exclude });
        if last {
            Self::refund(hash, RefundReason::AttemptsExhausted);
        }
        Ok(())
    }

    pub(crate) fn do_cancel(client: AccountId, hash: JobHash) -> DispatchResult {
        let job = Jobs::<T>::get(hash).ok_or(Error::<T>::JobUnknown)?;
        ensure!(job.client == client, Error::<T>::NotClient);
        ensure!(job.phase == JobPhase::Requeue, Error::<T>::Assigned);
        Self::refund(hash, RefundReason::Cancelled);
        Ok(())
    }

    /// Ends a job without a result: what is left of the fixed fee burns, everything else returns.
    pub(crate) fn refund(hash: JobHash, reason: RefundReason) {
        let Ok((mut job, spec)) = Self::load(hash) else { return };
        let rest = Self::take_fee(&mut job);
        let burned = Self::burn_escrow(&job.client, rest);
        let client = job.client.clone();
        let refunded = Self::kill(hash, job, &spec);
        Self::deposit_event(Event::Refunded { job: hash, client, reason, refunded, burned });
    }

    /// The only exit. Releases everything that the job holds and forgets it; returns what went back to the client.
    pub(crate) fn kill(hash: JobHash, mut job: Job, spec: &JobSpec) -> Balance {
        Self::release_attempt(hash, &mut job, spec);
        T::Models::remove_user(spec.model);
        ParamsOf::<T>::mutate_exists(job.params_version, |v| {
            if let Some(versioned) = v {
                versioned.users = versioned.users.saturating_sub(1);
                if versioned.users == 0 && job.params_version != CurrentParams::<T>::get() {
                    *v = None;
                }
            }
        });
        Agenda::<T>::remove(job.due, hash);
        Jobs::<T>::remove(hash);
        Specs::<T>::remove(hash);
        OpenJobs::<T>::mutate(|n| *n = n.saturating_sub(1));
        OpenJobsOf::<T>::mutate_exists(&job.client, |n| {
            *n = n.take().and_then(|n| n.checked_sub(1)).filter(|n| *n > 0);
        });
        Self::release_escrow(&job.client, job.escrow);
        job.escrow
    }

    /// Releases what the present attempt holds of its executors, and lets verification do the same for its checkers.
    fn release_attempt(hash: JobHash, job: &mut Job, spec: &JobSpec) {
        T::Verifier::forget(hash, job.attempt);
        for (stage, a) in core::mem::take(&mut job.stages).into_iter().enumerate() {
            let at = StageRef { job: hash, attempt: job.attempt, stage: stage as u8 };
            T::Bonds::release(&a.executor, &BackingId { at, role: Role::Executor });
            T::Providers::give_back(&a.executor, &SpanKey { model: spec.model, span: a.span }, SlotKind::Execute);
        }
    }

    /// Returns held escrow to the client. Like every payment it cannot fail: what cannot be moved stays held, to be claimed.
    fn release_escrow(client: &AccountId, amount: Balance) {
        if amount == 0 {
            return;
        }
        let released =
            with_storage_layer(|| T::Currency::release(&HoldReason::Escrow.into(), client, amount, Precision::Exact));
        if released.is_err() {
            Self::defer_payment(client, client, amount);
        }
    }

    /// Takes what is left of the fixed fee out of the escrow, to be burned.
    pub(crate) fn take_fee(job: &mut Job) -> Balance {
        let amount = core::mem::take(&mut job.fee_budget).min(job.escrow);
        job.escrow = job.escrow.saturating_sub(amount);
        amount
    }

    /// Burns part of the escrow; returns how much was.
    pub(crate) fn burn_escrow(client: &AccountId, amount: Balance) -> Balance {
        if amount == 0 {
            return 0;
        }
        with_storage_layer(|| {
            T::Currency::burn_held(&HoldReason::Escrow.into(), client, amount, Precision::BestEffort, Fortitude::Force)
        })
        .defensive()
        .unwrap_or_default()
    }

    /// Moves the job's one agenda entry. A tick that has passed would never be drained: the earliest is the present one.
    pub(crate) fn schedule(hash: JobHash, job: &mut Job, due: Tick) {
        let due = due.max(Now::<T>::get());
        if due != job.due {
            Agenda::<T>::remove(job.due, hash);
            job.due = due;
            Agenda::<T>::insert(due, hash, ());
        }
    }

    pub(crate) fn do_set_params(params: Params) -> DispatchResult {
        params.validate().map_err(|why| {
            frame::log::warn!(target: "assay::jobs", "parameters refused: {why}");
            Error::<T>::ParamsInvalid
        })?;
        let old = CurrentParams::<T>::get();
        let version = old.checked_add(1).ok_or(Error::<T>::ParamsInvalid)?;
        ParamsOf::<T>::mutate_exists(old, |v| {
            if v.as_ref().is_some_and(|v| v.users == 0) {
                *v = None;
            }
        });
        ParamsOf::<T>::insert(version, VersionedParams { params, users: 0 });
        CurrentParams::<T>::put(version);
        Self::deposit_event(Event::ParamsSet { version });
        Ok(())
    }

    /// An open job and what it asks for.
    pub(crate) fn load(hash: JobHash) -> Result<(Job, JobSpec), Error<T>> {
        let job = Jobs::<T>::get(hash).ok_or(Error::<T>::JobUnknown)?;
        let spec = Specs::<T>::get(hash).ok_or(Error::<T>::JobUnknown)?;
        Ok((job, spec))
    }

    /// The same of a job that has executors.
    pub(crate) fn load_assigned(hash: JobHash) -> Result<(Job, JobSpec), Error<T>> {
        let (job, spec) = Self::load(hash)?;
        ensure!(job.phase != JobPhase::Requeue, Error::<T>::NotAssigned);
        Ok((job, spec))
    }

    /// The parameters that a job is bound to.
    pub(crate) fn params_of(job: &Job) -> Result<Params, Error<T>> {
        ParamsOf::<T>::get(job.params_version).map(|v| v.params).ok_or(Error::<T>::ParamsMissing)
    }

    /// A job as verification sees it.
    pub(crate) fn to_open(hash: JobHash, job: Job, spec: JobSpec, params: Params) -> OpenJob {
        let Job { client, phase, attempt, stages, due, created, escrow, excluded, .. } = job;
        let excluded = excluded.into_inner();
        OpenJob { job: hash, client, spec, phase, attempt, stages, params, due, created, escrow, excluded }
    }

    /// The chain's genesis hash, which every digest is bound to.
    fn genesis() -> H256 {
        frame_system::Pallet::<T>::block_hash(BlockNumberFor::<T>::zero())
    }
}

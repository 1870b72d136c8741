//! What the answers of the seats amount to, opening the roots, and the end of an attempt (protocol sections 5.3 to 5.8).

use crate::{answers::work_ctx, pallet::*, types::*};
use alloc::vec::Vec;
use assay_primitives::{
    digest,
    traits::{AttemptOutcome, Market, OpenJob, ProviderDirectory},
    *,
};
use frame::prelude::*;

/// What a stage's answers call for.
enum Verdict {
    /// Answers are awaited up to this tick.
    Wait(Tick),
    /// Its checks are in.
    Is(StageStatus),
    /// Answers are missing for good: so many more seats, or the status if none can be had.
    Seats(u32, StageStatus),
}

impl<T: Config> Pallet<T> {
    /// Due in `Checking`: whoever has not answered missed it.
    pub(crate) fn checks_due(job: &OpenJob) -> DispatchResult {
        let now = T::Market::now();
        let mut stages = Self::stages_of(job)?;
        for seat in stages.iter_mut().flat_map(|stage| stage.seats.iter_mut()) {
            seat.missed |= seat.answer.is_none() && seat.due < now;
        }
        Self::checks_progress(job, stages, |_| true).map(|_| ())
    }

    /// Looks at all stages again, of which some have `changed` since they were stored; goes on once the checks of every one are
    /// in. Returns whether the job moved.
    pub(crate) fn checks_progress(
        job: &OpenJob,
        mut stages: Vec<Stage>,
        changed: impl Fn(u8) -> bool,
    ) -> Result<bool, DispatchError> {
        let mut attempt = None;
        let mut wait: Option<Tick> = None;
        for (s, stage) in stages.iter_mut().enumerate() {
            let mut store = changed(s as u8);
            let status = match Self::assess(job, stage) {
                Verdict::Is(status) => status,
                Verdict::Wait(due) => {
                    wait = Some(wait.map_or(due, |w| w.min(due)));
                    StageStatus::Open
                }
                Verdict::Seats(wanted, otherwise) => {
                    store = true;
                    let attempt = match &mut attempt {
                        Some(attempt) => attempt,
                        none => none.insert(Attempts::<T>::get(job.job).ok_or(Error::<T>::JobUnknown)?),
                    };
                    let seated = Self::seat(job, attempt, s as u8, stage, wanted);
                    match stage.seats.iter().rev().take(seated as usize).map(|seat| seat.due).min() {
                        Some(due) => {
                            wait = Some(wait.map_or(due, |w| w.min(due)));
                            StageStatus::Open
                        }
                        None => otherwise,
                    }
                }
            };
            if store || stage.status != status {
                stage.status = status;
                Stages::<T>::insert(job.job, s as u8, &*stage);
            }
        }
        if let Some(attempt) = attempt {
            Attempts::<T>::insert(job.job, attempt);
        }
        if let Some(due) = wait {
            if due != job.due {
                T::Market::set_due(job.job, due)?;
            }
            return Ok(due != job.due);
        }
        let disputed = stages_with(&stages, StageStatus::Disputed);
        if disputed.is_empty() {
            Self::checks_complete(job, &stages)?;
        } else {
            Self::escalate(job, disputed)?;
        }
        Ok(true)
    }

    /// What one stage's answers amount to.
    fn assess(job: &OpenJob, stage: &Stage) -> Verdict {
        let count =
            |f: fn(&CheckVerdict) -> bool| stage.seats.iter().filter(|s| s.answer.as_ref().is_some_and(f)).count();
        let awaited = stage.seats.iter().filter(|s| s.answer.is_none() && !s.missed).map(|s| s.due).min();
        if let Some(due) = awaited {
            return Verdict::Wait(due);
        }
        // A dissent is acted on once every seat had its time: whoever is still computing is a party too.
        if count(|a| matches!(a, CheckVerdict::Dissent(_))) > 0 {
            return Verdict::Is(StageStatus::Disputed);
        }
        let agree = count(|a| matches!(a, CheckVerdict::Agree(_)));
        let unavailable = count(|a| matches!(a, CheckVerdict::Unavailable));
        let half = unavailable.saturating_mul(2) >= stage.seats.len();
        // One alone may be the checker's own fault: two more seats tell.
        if unavailable >= 2 && half {
            return Verdict::Is(StageStatus::Withheld);
        }
        let missing = usize::from(job.spec.mode.k().saturating_sub(1)).saturating_sub(agree);
        if missing == 0 {
            return Verdict::Is(StageStatus::Agreed);
        }
        let otherwise = if unavailable > 0 && half { StageStatus::Withheld } else { StageStatus::Disputed };
        if stage.tranches > job.params.max_tranches {
            return Verdict::Is(otherwise);
        }
        Verdict::Seats(missing.saturating_mul(2) as u32, otherwise)
    }

    /// No dispute is left: fails for rows that were withheld, asks for the roots that are not open, or is done.
    pub(crate) fn checks_complete(job: &OpenJob, stages: &[Stage]) -> DispatchResult {
        let withheld = stages_with(stages, StageStatus::Withheld);
        if !withheld.is_empty() {
            let mut guilty = Vec::new();
            for s in withheld {
                Self::report_executor(job, s, OffenceKind::Withheld, None);
                guilty.extend(job.stages.get(usize::from(s)).map(|a| a.executor.clone()));
            }
            return Self::conclude_failed(job, stages, guilty);
        }
        if stages.iter().all(|stage| stage.root.is_some()) {
            return Self::conclude_done(job, stages);
        }
        let due = T::Market::now().saturating_add(job.params.reveal_window).saturating_add(job.spec.extra_ticks);
        T::Market::set_phase(job.job, JobPhase::Revealing, due)
    }

    /// Somebody posts a stage root: it must open the executor's commitment; then every agreement is recomputed.
    pub(crate) fn open_root(
        caller: &AccountId,
        job: &OpenJob,
        at: StageRef,
        opening: &Opening,
    ) -> Result<bool, DispatchError> {
        let mut stages = Self::stages_of(job)?;
        let stage = stages.get_mut(usize::from(at.stage)).ok_or(Error::<T>::NoSuchStage)?;
        ensure!(stage.root.is_none(), Error::<T>::AlreadyAnswered);
        ensure!(T::Market::now() <= job.due, Error::<T>::TooLate);
        let commit = stage.commit.as_ref().ok_or(Error::<T>::WrongPhase)?;
        let executor = job.stages.get(usize::from(at.stage)).ok_or(Error::<T>::NoSuchStage)?;
        // The committed boundary must be the one under the stage root: it is what the next stage, or the client, got.
        ensure!(opening.out_root == commit.out_root, Error::<T>::DoesNotOpen);
        let root = Self::root_of(job, stage, opening)?;
        let opens = Self::opens(job, at.stage, Role::Executor, &executor.executor, root, commit.digest);
        ensure!(opens, Error::<T>::DoesNotOpen);
        stage.root = Some(root);
        Self::deposit_event(Event::Revealed { at, root });
        let reporter = T::Providers::controller_of(caller).unwrap_or_else(|| caller.clone());
        Self::judge_agreements(job, at.stage, stage, root, Some(reporter));
        let agree = stage.seats.iter().filter(|s| agrees(s)).count();
        Stages::<T>::insert(at.job, at.stage, stage);
        if agree < usize::from(job.spec.mode.k().saturating_sub(1)) {
            // The root is public now: nobody drawn from here on could prove to have computed it. The attempt fails without
            // the liar, and without blame for the executors.
            Self::conclude_failed(job, &stages, Vec::new())?;
        } else if stages.iter().all(|stage| stage.root.is_some()) {
            Self::conclude_done(job, &stages)?;
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    /// Reports every agreement that does not open to the root that it agreed with.
    pub(crate) fn judge_agreements(job: &OpenJob, s: u8, stage: &mut Stage, root: H256, reporter: Option<AccountId>) {
        let ctx = work_ctx::<T>(job, s, Role::Checker);
        for seat in stage.seats.iter_mut() {
            let Some(CheckVerdict::Agree(digest)) = seat.answer else { continue };
            if digest::commit(&ctx, &seat.controller, root) != digest {
                seat.lied = true;
                let reporter = reporter.clone().filter(|r| *r != seat.controller);
                Self::report_seat(job, s, seat, OffenceKind::FalseAgree, reporter);
            }
        }
    }

    /// Due in `Revealing`: a commitment that nobody opened escalates like a dissent.
    pub(crate) fn reveal_due(job: &OpenJob) -> DispatchResult {
        let stages = Self::stages_of(job)?;
        let closed =
            stages.iter().enumerate().filter(|(_, stage)| stage.root.is_none()).map(|(s, _)| s as u8).collect();
        Self::escalate(job, closed)
    }

    /// The result stands.
    pub(crate) fn conclude_done(job: &OpenJob, stages: &[Stage]) -> DispatchResult {
        let attempt = Attempts::<T>::get(job.job).ok_or(Error::<T>::JobUnknown)?;
        let output = Outputs::<T>::get(job.job).ok_or(Error::<T>::OutputMissing)?;
        // Hashed when it was committed, which is not done twice.
        let ids_root = match job.spec.task {
            JobTask::Generate { .. } => {
                stages.last().and_then(|last| last.commit.as_ref()).map(|commit| commit.out_root)
            }
            JobTask::Embed => stages.first().and_then(|first| first.commit.as_ref()).map(|commit| commit.in_root),
        };
        let ids_root = ids_root.ok_or(Error::<T>::OutputMissing)?;
        Self::report_no_shows(job, stages);
        let proofs = stages
            .iter()
            .map(|stage| {
                let agreed = stage.seats.iter().filter(|seat| agrees(seat)).map(|seat| seat.controller.clone());
                (stage.root, agreed.collect())
            })
            .collect();
        let k = job.spec.mode.k();
        let assurance = Assurance {
            k,
            beacon_authors: attempt.independent_authors,
            overlap: attempt.overlap,
            relaxed: k > 1 && job.params.relaxed,
            escalated: attempt.escalated,
        };
        T::Market::conclude(job.job, AttemptOutcome::Done { output, ids_root, stages: proofs, assurance })
    }

    /// The attempt failed after its checkers were drawn. Besides the guilty, whoever lied or never answered is ruled out;
    /// whoever checked in good faith is paid.
    pub(crate) fn conclude_failed(job: &OpenJob, stages: &[Stage], mut exclude: Vec<AccountId>) -> DispatchResult {
        Self::report_no_shows(job, stages);
        let mut checks = Vec::new();
        for (s, stage) in stages.iter().enumerate() {
            for seat in &stage.seats {
                if seat.lied || seat.answer.is_none() {
                    exclude.push(seat.controller.clone());
                } else if Self::in_good_faith(job, s as u8, stage, seat) {
                    checks.push((s as u8, seat.controller.clone()));
                }
            }
        }
        exclude.sort();
        exclude.dedup();
        T::Market::conclude(job.job, AttemptOutcome::Failed { exclude, checks, unchecked: None })
    }

    /// Nothing was decided: nobody is slashed beyond liveness.
    pub(crate) fn conclude_inconclusive(job: &OpenJob) -> DispatchResult {
        Self::report_no_shows(job, &Self::stages_of(job)?);
        T::Market::conclude(job.job, AttemptOutcome::Inconclusive)
    }

    /// Whether a seat's answer fits all that is known: the opened root, if there is one, else the executor's commitment.
    fn in_good_faith(job: &OpenJob, s: u8, stage: &Stage, seat: &Seat) -> bool {
        match (seat.answer, stage.root) {
            (Some(CheckVerdict::Agree(_)), _) if stage.status == StageStatus::Overruled => false,
            (Some(CheckVerdict::Agree(digest) | CheckVerdict::Dissent(digest)), Some(root)) => {
                Self::opens(job, s, Role::Checker, &seat.controller, root, digest)
            }
            (Some(CheckVerdict::Agree(_)), None) => true,
            _ => false,
        }
    }

    /// Seats whose answer was missing when it was due and who did nothing worse.
    fn report_no_shows(job: &OpenJob, stages: &[Stage]) {
        for (s, stage) in stages.iter().enumerate() {
            for seat in stage.seats.iter().filter(|seat| seat.missed && !seat.lied) {
                Self::report_seat(job, s as u8, seat, OffenceKind::NoShow, None);
            }
        }
    }
}

/// Whether the seat agreed, as far as is known.
pub(crate) fn agrees(seat: &Seat) -> bool {
    !seat.lied && matches!(seat.answer, Some(CheckVerdict::Agree(_)))
}

/// Numbers of the stages with this status.
pub(crate) fn stages_with(stages: &[Stage], status: StageStatus) -> Vec<u8> {
    stages.iter().enumerate().filter(|(_, stage)| stage.status == status).map(|(s, _)| s as u8).collect()
}

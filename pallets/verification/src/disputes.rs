//! Disputes: opened for every disputed stage at once, decided from the first stage on (protocol sections 5.5 and 5.6).

use crate::{checking::stages_with, pallet::*, types::*};
use alloc::vec::Vec;
use assay_primitives::{
    traits::{Arbiter, Market, OpenJob, Ruling},
    *,
};
use frame::prelude::*;

impl<T: Config> Pallet<T> {
    /// Brings stages before the arbiter.
    pub(crate) fn escalate(job: &OpenJob, disputed: Vec<u8>) -> DispatchResult {
        let mut first = Tick::MAX;
        for s in &disputed {
            let at = Self::stage_ref(job, usize::from(*s));
            Stages::<T>::mutate(job.job, s, |stage| {
                if let Some(stage) = stage {
                    stage.status = StageStatus::Disputed;
                }
            });
            let due = T::Arbiter::open(job, at);
            first = first.min(due);
            Self::deposit_event(Event::Escalated { at, due });
        }
        Attempts::<T>::mutate(job.job, |a| {
            if let Some(a) = a {
                a.escalated = true;
            }
        });
        T::Market::set_phase(job.job, JobPhase::Escalated, first)
    }

    /// Applies rulings, from the first stage on, as far as there are any.
    ///
    /// A later stage is not looked at before every earlier one is decided: whether its input is canonical depends on them.
    /// Returns whether the job moved.
    pub(crate) fn disputes_progress(job: &OpenJob) -> Result<bool, DispatchError> {
        let stages = Self::stages_of(job)?;
        for s in stages_with(&stages, StageStatus::Disputed) {
            let at = Self::stage_ref(job, usize::from(s));
            match T::Arbiter::ruling(job, at) {
                // Votes may close early, so the due tick moves both ways.
                Ruling::Pending(due) if due == job.due => return Ok(false),
                Ruling::Pending(due) => {
                    T::Market::set_due(job.job, due)?;
                    return Ok(true);
                }
                Ruling::Inconclusive => {
                    Self::conclude_inconclusive(job)?;
                    return Ok(true);
                }
                Ruling::Canonical { root, out_root } => {
                    if Self::apply_ruling(job, at, root, out_root)? {
                        continue;
                    }
                    return Ok(true);
                }
            }
        }
        Self::checks_complete(job, &Self::stages_of(job)?)?;
        Ok(true)
    }

    /// Returns whether the executor was right. If it was not, the attempt has ended.
    fn apply_ruling(job: &OpenJob, at: StageRef, root: H256, out_root: H256) -> Result<bool, DispatchError> {
        let mut stage = Stages::<T>::get(at.job, at.stage).ok_or(Error::<T>::NoSuchStage)?;
        let commit = stage.commit.clone().ok_or(Error::<T>::WrongPhase)?;
        let executor =
            job.stages.get(usize::from(at.stage)).map(|a| a.executor.clone()).ok_or(Error::<T>::NoSuchStage)?;
        // The right root under a commitment that names another boundary is a wrong result too: what was handed on, or the
        // generated text itself, is not what the stage computes.
        let upheld =
            Self::opens(job, at.stage, Role::Executor, &executor, root, commit.digest) && out_root == commit.out_root;
        Self::deposit_event(Event::Ruled { at, root, upheld });
        T::Arbiter::close(at);
        stage.root = Some(root);
        if upheld {
            stage.status = StageStatus::Upheld;
            for seat in stage.seats.iter_mut() {
                if let Some(CheckVerdict::Dissent(_)) = seat.answer {
                    seat.lied = true;
                    Self::report_seat(job, at.stage, seat, OffenceKind::FalseDissent, None);
                }
            }
            Self::judge_agreements(job, at.stage, &mut stage, root, None);
            Stages::<T>::insert(at.job, at.stage, stage);
            return Ok(true);
        }
        stage.status = StageStatus::Overruled;
        Self::report_executor(job, at.stage, OffenceKind::WrongResult, None);
        let mut exclude = Vec::from([executor]);
        // Whoever agreed with a wrong root did not compute it. The vote's cap keeps to the executor; they only lose the job.
        exclude.extend(
            stage
                .seats
                .iter()
                .filter(|seat| matches!(seat.answer, Some(CheckVerdict::Agree(_))))
                .map(|seat| seat.controller.clone()),
        );
        Stages::<T>::insert(at.job, at.stage, stage);
        let stages = Self::stages_of(job)?;
        Self::conclude_failed(job, &stages, exclude)?;
        Ok(false)
    }
}

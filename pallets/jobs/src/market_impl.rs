//! The market as verification sees it.

use crate::pallet::*;
use assay_primitives::{
    traits::{AttemptOutcome, Market, OpenJob},
    JobHash, JobPhase, RefundReason, Tick,
};
use frame::prelude::*;

impl<T: Config> Market for Pallet<T> {
    fn now() -> Tick {
        Now::<T>::get()
    }

    fn open_job(hash: JobHash) -> Option<OpenJob> {
        let (job, spec) = Self::load(hash).ok()?;
        let params = Self::params_of(&job).ok()?;
        Some(Self::to_open(hash, job, spec, params))
    }

    fn set_phase(hash: JobHash, phase: JobPhase, due: Tick) -> Result<(), DispatchError> {
        Jobs::<T>::try_mutate(hash, |job| {
            let job = job.as_mut().ok_or(Error::<T>::JobUnknown)?;
            ensure!(job.phase != JobPhase::Requeue, Error::<T>::NotAssigned);
            job.phase = phase;
            Self::schedule(hash, job, due);
            Self::deposit_event(Event::PhaseChanged { job: hash, attempt: job.attempt, phase, due: job.due });
            Ok(())
        })
    }

    fn set_due(hash: JobHash, due: Tick) -> Result<(), DispatchError> {
        Jobs::<T>::try_mutate(hash, |job| {
            let job = job.as_mut().ok_or(Error::<T>::JobUnknown)?;
            ensure!(job.phase != JobPhase::Requeue, Error::<T>::NotAssigned);
            Self::schedule(hash, job, due);
            Ok(())
        })
    }

    fn conclude(hash: JobHash, outcome: AttemptOutcome) -> Result<(), DispatchError> {
        match outcome {
            AttemptOutcome::Done { output, ids_root, stages, assurance } => {
                Self::settle(hash, output, ids_root, stages, assurance)
            }
            AttemptOutcome::Failed { exclude, checks, unchecked } => {
                Self::fail_attempt(hash, exclude, checks, unchecked)
            }
            AttemptOutcome::Inconclusive => {
                Self::load_assigned(hash)?;
                Self::refund(hash, RefundReason::Inconclusive);
                Ok(())
            }
        }
    }
}

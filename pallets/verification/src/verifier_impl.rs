//! Verification as the market sees it.

use crate::{pallet::*, types::*, WeightInfo};
use assay_primitives::{
    traits::{Arbiter, BondManager, OpenJob, ProviderDirectory, Verifier},
    *,
};
use frame::{deps::frame_support::storage::with_storage_layer, prelude::*};

impl<T: Config> Verifier for Pallet<T> {
    fn attempt_started(job: &OpenJob) {
        Attempts::<T>::insert(
            job.job,
            Attempt {
                attempt: job.attempt,
                model: job.spec.model,
                stages: job.stages.len() as u8,
                seats: 0,
                sealed: None,
                vrfs: Default::default(),
                independent_authors: 0,
                overlap: false,
                escalated: false,
            },
        );
        for (s, a) in job.stages.iter().enumerate() {
            let s = s as u8;
            Stages::<T>::insert(
                job.job,
                s,
                Stage {
                    span: a.span,
                    commit: None,
                    blocked: false,
                    seats: Default::default(),
                    tranches: 0,
                    status: StageStatus::Open,
                    root: None,
                },
            );
            if job.spec.mode.k() > 1 {
                // Taken now, so that nobody can buy a majority of a span after a dispute over it has begun.
                let electors = T::Providers::controllers(&SpanKey { model: job.spec.model, span: a.span })
                    .into_iter()
                    .map(|controller| Elector { bond: T::Bonds::bond(&controller), controller })
                    .filter(|e| e.bond > 0)
                    .collect();
                Electorates::<T>::insert(job.job, s, Electors::truncate_from(electors));
            }
        }
    }

    fn due(job: &OpenJob) {
        let moved = with_storage_layer(|| match job.phase {
            JobPhase::Running => Self::stages_of(job).map_err(Into::into).and_then(|s| Self::run_ended(job, &s)),
            JobPhase::Drawing => Self::draw_due(job),
            JobPhase::Checking => Self::checks_due(job),
            JobPhase::Revealing => Self::reveal_due(job),
            JobPhase::Escalated => Self::disputes_progress(job).map(|_| ()),
            JobPhase::Requeue => Ok(()),
        });
        if moved.defensive().is_err() {
            let _ = Self::conclude_inconclusive(job).defensive();
        }
    }

    fn forget(job: JobHash, attempt: u32) {
        let Some(a) = Attempts::<T>::get(job).filter(|a| a.attempt == attempt) else { return };
        for s in 0..a.stages {
            let at = StageRef { job, attempt, stage: s };
            if a.escalated {
                T::Arbiter::close(at);
            }
            Electorates::<T>::remove(job, s);
            let Some(stage) = Stages::<T>::take(job, s) else { continue };
            let key = SpanKey { model: a.model, span: stage.span };
            for seat in stage.seats {
                T::Bonds::release(&seat.controller, &BackingId { at, role: Role::Checker });
                T::Providers::give_back(&seat.controller, &key, SlotKind::Check);
            }
        }
        Outputs::<T>::remove(job);
        if a.sealed.is_some() && a.seats == 0 {
            Drawing::<T>::remove(job);
        }
        Attempts::<T>::remove(job);
    }

    fn due_weight() -> Weight {
        // A phase that ends either seats more checkers everywhere, or ends the attempt.
        let seats = Self::seat_weight(MAX_HOLDERS, MAX_SEATS).saturating_mul(MAX_STAGES.into());
        T::WeightInfo::check(MAX_STAGES).saturating_add(Self::dearest_end().max(seats))
    }
}

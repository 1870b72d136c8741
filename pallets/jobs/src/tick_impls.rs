//! Service time and the agenda.

use crate::{pallet::*, WeightInfo};
use assay_primitives::{
    traits::{Market, ModelDirectory, Verifier},
    JobHash, JobPhase, RefundReason, MAX_STAGES,
};
use frame::{deps::frame_support::weights::WeightMeter, prelude::*};

impl<T: Config> Pallet<T> {
    /// Advances the service tick and drains the agenda as far as the meter reaches.
    ///
    /// Without the weight to advance it, the tick stands still: answers would not find room in such a block either.
    pub(crate) fn tick(meter: &mut WeightMeter) {
        if T::Paused::get() || meter.try_consume(T::WeightInfo::tick()).is_err() {
            return;
        }
        let now = Now::<T>::mutate(|now| {
            *now = now.saturating_add(1);
            *now
        });
        let start = AgendaCursor::<T>::get();
        let mut cursor = start;
        // A phase lasts until the end of the tick it is due at: answers in that very block are on time.
        while cursor < now && meter.try_consume(T::WeightInfo::agenda_next()).is_ok() {
            match Agenda::<T>::iter_key_prefix(cursor).next() {
                None => cursor = cursor.saturating_add(1),
                Some(hash) => {
                    if meter.try_consume(Self::expire_weight(hash)).is_err() {
                        break;
                    }
                    Self::expire(hash);
                    if Agenda::<T>::contains_key(cursor, hash) {
                        // Whoever was to move it did not. Nobody's money may hang on that.
                        defensive!("a due job did not move");
                        Self::refund(hash, RefundReason::Inconclusive);
                        Agenda::<T>::remove(cursor, hash);
                    }
                }
            }
        }
        if cursor != start {
            AgendaCursor::<T>::put(cursor);
        }
    }

    /// The phase of a job has ended.
    fn expire(hash: JobHash) {
        let Some(job) = Self::open_job(hash) else { return };
        match job.phase {
            JobPhase::Requeue => Self::dispatch_again(hash),
            _ => T::Verifier::due(&job),
        }
    }

    /// The most that this entry of the agenda can cost.
    fn expire_weight(hash: JobHash) -> Weight {
        match Self::load(hash) {
            // Nearly all of it is per stage; one stage more than there are makes up for the rest.
            Ok((job, _)) if job.phase != JobPhase::Requeue => T::Verifier::due_weight()
                .div(MAX_STAGES.into())
                .saturating_mul((job.stages.len() as u64).saturating_add(1)),
            Ok((_, spec)) => {
                let stages = T::Models::template(spec.model, spec.template).map_or(0, |spans| spans.len());
                Self::redispatch_weight(stages as u32)
            }
            Err(_) => Weight::zero(),
        }
    }

    /// The most that any entry can cost.
    fn dearest_entry() -> Weight {
        Self::redispatch_weight(MAX_STAGES).max(T::Verifier::due_weight())
    }

    /// What must hold of the configuration.
    pub(crate) fn check_integrity() {
        assert!(T::MaxOpenJobs::get() > 0, "MaxOpenJobs must be positive");
        assert!(T::MaxReceipts::get() > 0, "MaxReceipts must be positive");
        let block = <T as frame_system::Config>::BlockWeights::get().max_block;
        assert!(
            Self::dearest_entry().ref_time() < block.ref_time() / 2,
            "one agenda entry must fit into half a block, or a due job would never move: {} of {}",
            Self::dearest_entry().ref_time(),
            block.ref_time(),
        );
    }
}

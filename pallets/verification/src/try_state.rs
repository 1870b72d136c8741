//! The invariants of verification (protocol section 9).

use crate::pallet::*;
use alloc::collections::BTreeSet;
use assay_primitives::{
    digest,
    traits::{Market, OpenJob},
    JobPhase, JobTask, Output,
};
use frame::prelude::*;

impl<T: Config> Pallet<T> {
    /// 1. Every attempt belongs to an open job, is the one that the job is in, and has all its stages.
    /// 2. Stages, electorates, outputs, draws and disputes belong to such an attempt.
    /// 3. No controller holds two seats at a stage; no executor checks itself.
    /// 4. The count of seats is right. A job waits for its draw exactly while it is in that phase; it has seats only after it.
    /// 5. Disputes exist only while the job is escalated.
    /// 6. Remembered authors are in their place.
    /// 7. An output is there exactly if the last stage has committed, is of the job's task, and has the committed root.
    /// 8. A stage that no other feeds is not blocked, and has committed to the root of its input.
    pub fn do_try_state() -> Result<(), DispatchError> {
        let mut drawing = BTreeSet::new();
        let mut stage_keys = BTreeSet::new();
        for (hash, attempt) in Attempts::<T>::iter() {
            let job = T::Market::open_job(hash).ok_or("1: an attempt without an open job")?;
            ensure!(job.attempt == attempt.attempt, "1: the attempt is another one");
            ensure!(job.stages.len() == usize::from(attempt.stages), "1: the attempt has other stages");
            ensure!(job.phase != JobPhase::Requeue, "1: an attempt of a job between attempts");
            if job.phase == JobPhase::Drawing {
                drawing.insert(hash);
            }
            Self::try_output(&job)?;
            let mut seats = 0usize;
            for (s, assigned) in job.stages.iter().enumerate() {
                let stage = Stages::<T>::get(hash, s as u8).ok_or("1: a stage is missing")?;
                stage_keys.insert((hash, s as u8));
                let seated: BTreeSet<_> = stage.seats.iter().map(|seat| &seat.controller).collect();
                ensure!(seated.len() == stage.seats.len(), "3: two seats of one controller");
                ensure!(!seated.contains(&assigned.executor), "3: an executor checks itself");
                seats = seats.saturating_add(stage.seats.len());
                if crate::answers::upstream_of(&job, s as u8).is_none() {
                    ensure!(!stage.blocked, "8: blocked by nobody");
                    let input = stage.commit.as_ref().filter(|_| job.spec.task == JobTask::Embed).map(|c| c.in_root);
                    let right = || digest::ids_root(job.spec.input_ids(), &[]);
                    ensure!(input.is_none_or(|root| root == right()), "8: committed to another input");
                }
                let early = matches!(job.phase, JobPhase::Running | JobPhase::Drawing);
                ensure!(!early || stage.seats.is_empty(), "4: seats before the draw");
                ensure!(early || stage.commit.is_some(), "1: checked without a commitment");
                let disputed = Disputes::<T>::contains_key(hash, s as u8);
                ensure!(!disputed || job.phase == JobPhase::Escalated, "5: a dispute in another phase");
            }
            ensure!(seats == usize::from(attempt.seats), "4: wrong count of seats");
        }
        ensure!(drawing == Drawing::<T>::iter_keys().collect(), "4: draws and phases differ");
        ensure!(stage_keys == Stages::<T>::iter_keys().collect(), "2: a stage without an attempt");
        let belongs = |key: &_| stage_keys.contains(key);
        ensure!(Electorates::<T>::iter_keys().all(|key| belongs(&key)), "2: an electorate without an attempt");
        ensure!(Disputes::<T>::iter_keys().all(|key| belongs(&key)), "2: a dispute without an attempt");
        ensure!(Outputs::<T>::iter_keys().all(|job| belongs(&(job, 0))), "2: an output without an attempt");
        ensure!(
            Authors::<T>::iter().all(|(place, a)| Self::place_of(a.block) == place),
            "6: an author in a wrong place"
        );
        Ok(())
    }

    fn try_output(job: &OpenJob) -> Result<(), DispatchError> {
        let last = job.stages.len().saturating_sub(1) as u8;
        let committed = Stages::<T>::get(job.job, last).and_then(|stage| stage.commit).map(|commit| commit.out_root);
        let root = match (job.spec.task, Outputs::<T>::get(job.job)) {
            (_, None) => None,
            (JobTask::Generate { .. }, Some(Output::Ids(ids))) => Some(digest::ids_root(job.spec.input_ids(), &ids)),
            (JobTask::Embed, Some(Output::Vector(vector))) => Some(digest::vector_root(&vector)),
            _ => return Err("7: an output of another task".into()),
        };
        ensure!(root == committed, "7: the output and the last commitment differ");
        Ok(())
    }
}

//! What the native worker and RPC read: duties and whole jobs. Bounded by the number of open jobs.

use crate::{arbiter::HolderArbiter, pallet::*, types::*};
use alloc::vec::Vec;
use assay_primitives::{
    api::{CommitView, DisputeView, Duty, JobView, SeatView, StageView},
    traits::{Market, OpenJob, ProviderDirectory},
    *,
};

impl<T: Config> Pallet<T> {
    /// Everything that a worker account owes at this block, oldest job first.
    pub fn duties(worker: &AccountId) -> Vec<Duty> {
        let controller = T::Providers::controller_of(worker);
        let mut jobs: Vec<OpenJob> = Attempts::<T>::iter_keys().filter_map(T::Market::open_job).collect();
        jobs.sort_by_key(|job| (job.created, job.job));
        jobs.iter()
            .flat_map(|job| {
                let stages = Self::stages_of(job).unwrap_or_default();
                let controller = controller.as_ref();
                stages
                    .into_iter()
                    .enumerate()
                    .filter_map(move |(s, stage)| Self::duty(job, s, &stage, worker, controller))
                    .collect::<Vec<_>>()
            })
            .collect()
    }

    /// What a worker owes at one stage: at most one thing at a time.
    fn duty(
        job: &OpenJob,
        s: usize,
        stage: &Stage,
        worker: &AccountId,
        controller: Option<&AccountId>,
    ) -> Option<Duty> {
        let at = Self::stage_ref(job, s);
        let assigned = job.stages.get(s)?;
        let executes = assigned.worker == *worker;
        let seat = stage.seats.iter().find(|seat| seat.worker == *worker);
        match job.phase {
            JobPhase::Running => (executes && stage.commit.is_none() && !stage.blocked).then_some(Duty::Execute(at)),
            JobPhase::Checking => seat.filter(|seat| seat.answer.is_none()).map(|_| Duty::Check(at)),
            JobPhase::Revealing => {
                let knows = executes || seat.is_some_and(crate::checking::agrees);
                (knows && stage.root.is_none()).then_some(Duty::Reveal(at))
            }
            JobPhase::Escalated => {
                let dispute = Disputes::<T>::get(job.job, s as u8)?;
                let cast = HolderArbiter::<T>::cast(job, s as u8, &dispute);
                let own = cast.iter().find(|(e, _)| Some(&e.controller) == controller);
                match own {
                    Some((_, None)) if HolderArbiter::<T>::voting(&dispute) => Some(Duty::Vote(at)),
                    Some((elector, Some((role, digest)))) if !HolderArbiter::<T>::voting(&dispute) => {
                        let known = dispute
                            .roots
                            .iter()
                            .any(|opened| Self::opens(job, s as u8, *role, &elector.controller, opened.root, *digest));
                        (!known).then_some(Duty::Reveal(at))
                    }
                    _ => None,
                }
            }
            JobPhase::Drawing | JobPhase::Requeue => None,
        }
    }

    /// An open job, whole. Between two attempts it has no stages.
    pub fn job_view(hash: JobHash) -> Option<JobView> {
        let job = T::Market::open_job(hash)?;
        let mut stages = Vec::new();
        for (s, assigned) in job.stages.iter().enumerate() {
            let Some(stage) = Stages::<T>::get(hash, s as u8) else { continue };
            stages.push(Self::stage_view(&job, s as u8, assigned, stage));
        }
        Some(JobView {
            job: hash,
            client: job.client.clone(),
            phase: job.phase,
            attempt: job.attempt,
            now: T::Market::now(),
            due: job.due,
            held: job.escrow,
            stages,
            output: Outputs::<T>::get(hash),
            spec: job.spec,
        })
    }

    fn stage_view(job: &OpenJob, s: u8, assigned: &StageAssignment, stage: Stage) -> StageView {
        let dispute = Disputes::<T>::get(job.job, s).map(|dispute| DisputeView {
            electorate: HolderArbiter::<T>::cast(job, s, &dispute)
                .into_iter()
                .map(|(elector, digest)| {
                    let worker = T::Providers::worker_of(&elector.controller);
                    // A controller that left has no worker any more: nobody answers for it.
                    (elector.controller.clone(), worker.unwrap_or(elector.controller), digest.is_some())
                })
                .collect(),
            votes_due: dispute.votes_due,
            roots_due: dispute.roots_due,
            roots: dispute.roots.iter().map(|opened| opened.root).collect(),
        });
        StageView {
            span: stage.span,
            executor: assigned.executor.clone(),
            worker: assigned.worker.clone(),
            peer: T::Providers::peer_of(&assigned.executor),
            price: assigned.price,
            commit: stage.commit.map(|c| CommitView {
                in_root: c.in_root,
                out_root: c.out_root,
                digest: c.digest,
                root: stage.root,
            }),
            blocked: stage.blocked,
            seats: stage
                .seats
                .into_iter()
                .map(|seat| SeatView { controller: seat.controller, worker: seat.worker, answer: seat.answer })
                .collect(),
            dispute,
        }
    }
}

//! From the first commit to the last, and what the ring of roots proves (protocol section 5.1).

use crate::{
    answers::{upstream_of, work_ctx},
    pallet::*,
    types::*,
};
use alloc::vec::Vec;
use assay_primitives::{
    market,
    traits::{AttemptOutcome, Market, OffenceSink, OpenJob},
    *,
};
use frame::prelude::*;

/// A fault that the commitments themselves show.
struct RingFault {
    stage: u8,
    kind: OffenceKind,
    /// The stage that holds the evidence.
    witness: u8,
}

impl<T: Config> Pallet<T> {
    /// All stages of the attempt, in order.
    pub(crate) fn stages_of(job: &OpenJob) -> Result<Vec<Stage>, Error<T>> {
        (0..job.stages.len() as u8).map(|s| Stages::<T>::get(job.job, s).ok_or(Error::<T>::NoSuchStage)).collect()
    }

    pub(crate) fn stage_ref(job: &OpenJob, stage: usize) -> StageRef {
        StageRef { job: job.job, attempt: job.attempt, stage: stage as u8 }
    }

    /// After a commit or a `Blocked`: goes on once nobody is outstanding.
    pub(crate) fn run_progress(job: &OpenJob, stages: &[Stage]) -> Result<bool, DispatchError> {
        if stages.iter().any(|s| s.commit.is_none() && !s.blocked) {
            return Ok(false);
        }
        Self::run_ended(job, stages)?;
        Ok(true)
    }

    /// Everyone has answered, or the time is up.
    pub(crate) fn run_ended(job: &OpenJob, stages: &[Stage]) -> DispatchResult {
        let mut faulty = Vec::new();
        for fault in Self::ring_faults(job, stages) {
            let Some(a) = job.stages.get(usize::from(fault.stage)) else { continue };
            let reporter = match fault.kind {
                OffenceKind::Equivocation => job.stages.get(usize::from(fault.witness)).map(|w| w.executor.clone()),
                _ => None,
            };
            Self::report_executor(job, fault.stage, fault.kind, reporter.filter(|r| *r != a.executor));
            faulty.push(a.executor.clone());
        }
        for (s, (stage, a)) in stages.iter().zip(&job.stages).enumerate() {
            // Whoever is at the end of its time and says neither what it did nor that it waits holds what the others wait for.
            if stage.commit.is_none() && !stage.blocked {
                Self::report_executor(job, s as u8, OffenceKind::NoCommit, None);
                faulty.push(a.executor.clone());
            }
        }
        if faulty.is_empty() && stages.iter().any(|s| s.blocked) {
            // A stage says that nothing arrived, its upstream that it sent: one of the two is at fault, and the chain cannot
            // tell which. Neither is slashed, and neither gets the job again. If everybody says so there is no such edge, and
            // one of them began it.
            //
            // The newest handoff that the chain can see is the upstream's own, in its commitment. To charge it for not having
            // passed that on would let any stage that was fed make an honest neighbour pay, by a word that costs nothing; to
            // charge whoever says `Blocked` would let an upstream that withholds its last signature do so.
            faulty = Self::both_sides(job, stages);
            if faulty.is_empty() {
                faulty = job.stages.iter().map(|a| a.executor.clone()).collect();
            }
        }
        if !faulty.is_empty() || stages.iter().any(|s| s.commit.is_none()) {
            faulty.sort();
            faulty.dedup();
            let outcome = AttemptOutcome::Failed { exclude: faulty, checks: Vec::new(), unchecked: None };
            return T::Market::conclude(job.job, outcome);
        }
        if job.spec.mode.k() <= 1 {
            return Self::conclude_done(job, stages);
        }
        Attempts::<T>::mutate(job.job, |a| {
            if let Some(a) = a {
                a.sealed = Some(Self::block());
            }
        });
        Drawing::<T>::insert(job.job, ());
        let due = T::Market::now().saturating_add(job.params.draw_window);
        T::Market::set_phase(job.job, JobPhase::Drawing, due)
    }

    /// Executors on both sides of every gap in the ring.
    fn both_sides(job: &OpenJob, stages: &[Stage]) -> Vec<AccountId> {
        let mut sides = Vec::new();
        for s in (0..stages.len()).filter(|s| stages.get(*s).is_some_and(|stage| stage.blocked)) {
            let Some(upstream) = upstream_of(job, s as u8).map(usize::from) else { continue };
            if stages.get(upstream).is_some_and(|u| !u.blocked) {
                sides.extend([upstream, s].iter().filter_map(|i| job.stages.get(*i)).map(|a| a.executor.clone()));
            }
        }
        sides
    }

    /// What the commitments prove about their authors.
    ///
    /// A producer that signed one root over all the rows and committed to another has equivocated. The edge into the first
    /// stage is looked at before the others, because it fixes how many rows there are: until the last stage's count is
    /// confirmed by the handoff that it signed, it proves nothing about anybody else.
    /// One fault per stage, the worse one.
    fn ring_faults(job: &OpenJob, stages: &[Stage]) -> Vec<RingFault> {
        let mut faults: Vec<RingFault> = Vec::new();
        let (Some(all_ids), Some(rows)) = (Self::rows_due(job, 0), Self::rows_due(job, 1)) else { return faults };
        for s in 0..stages.len() {
            let Some(upstream) = upstream_of(job, s as u8).map(usize::from) else { continue };
            let commit = |i: usize| stages.get(i).and_then(|stage| stage.commit.as_ref());
            let (Some(received), Some(sent)) = (commit(s), commit(upstream)) else { continue };
            let due = if s == 0 { all_ids } else { rows };
            let differs = received.in_rows == due && received.in_root != sent.out_root;
            if differs || s == 0 && received.in_rows > due {
                let kind = OffenceKind::Equivocation;
                faults.retain(|f| usize::from(f.stage) != upstream);
                faults.push(RingFault { stage: upstream as u8, kind, witness: s as u8 });
                if s == 0 {
                    return faults;
                }
            } else if received.in_rows != due && !faults.iter().any(|f| usize::from(f.stage) == s) {
                // It could have said `Blocked`: a commitment to less than everything is none.
                faults.push(RingFault { stage: s as u8, kind: OffenceKind::NoCommit, witness: s as u8 });
            }
        }
        faults
    }

    /// The stage root that this opening makes up, with what the chain knows of the stage.
    pub(crate) fn root_of(job: &OpenJob, stage: &Stage, opening: &Opening) -> Result<H256, Error<T>> {
        let commit = stage.commit.as_ref().ok_or(Error::<T>::WrongPhase)?;
        Ok(digest::stage_root(&job.spec, stage.span, commit.in_root, opening))
    }

    /// Whether a root opens a digest of this job.
    pub(crate) fn opens(job: &OpenJob, stage: u8, role: Role, author: &AccountId, root: H256, digest: H256) -> bool {
        digest::commit(&work_ctx::<T>(job, stage, role), author, root) == digest
    }

    /// Work of a stage if every token that the job allows is generated.
    pub(crate) fn max_work(job: &OpenJob, stage: u8) -> WorkUnits {
        job.stages
            .get(usize::from(stage))
            .and_then(|a| market::max_stage_work::<T::Models>(&job.spec, a.span))
            .unwrap_or_default()
    }

    /// The posted fee of checking a stage.
    pub(crate) fn check_fee(job: &OpenJob, stage: u8) -> Balance {
        market::check_fee(&job.params, job.spec.task, Self::max_work(job, stage)).unwrap_or(Balance::MAX)
    }

    pub(crate) fn report_executor(job: &OpenJob, stage: u8, kind: OffenceKind, reporter: Option<AccountId>) {
        let Some(a) = job.stages.get(usize::from(stage)) else { return };
        let pay = market::pay(a.price, Self::max_work(job, stage)).unwrap_or(Balance::MAX);
        Self::report(job, stage, Role::Executor, &a.executor, kind, a.backing, pay, reporter);
    }

    pub(crate) fn report_seat(job: &OpenJob, stage: u8, seat: &Seat, kind: OffenceKind, reporter: Option<AccountId>) {
        let pay = Self::check_fee(job, stage);
        Self::report(job, stage, Role::Checker, &seat.controller, kind, seat.backing, pay, reporter);
    }

    #[allow(clippy::too_many_arguments)]
    fn report(
        job: &OpenJob,
        stage: u8,
        role: Role,
        offender: &AccountId,
        kind: OffenceKind,
        backing: Balance,
        pay: Balance,
        reporter: Option<AccountId>,
    ) {
        let at = Self::stage_ref(job, usize::from(stage));
        // The insurance answers for a wrong result and its proofs, not for lateness.
        let insured = match (role, kind.is_liveness()) {
            (Role::Executor, false) => job.spec.insured,
            _ => 0,
        };
        let slash = T::Offences::report(
            &job.params,
            Offence {
                at,
                role,
                offender: offender.clone(),
                kind,
                backing,
                pay,
                insured,
                client: job.client.clone(),
                reporter,
            },
        );
        Self::deposit_event(Event::Fault { at, offender: offender.clone(), role, kind, slash });
    }

    /// The present block.
    pub(crate) fn block() -> u32 {
        frame_system::Pallet::<T>::block_number().saturated_into()
    }
}

//! Judging answers, one by one.

use crate::{pallet::*, types::*, WeightInfo};
use alloc::vec::Vec;
use assay_primitives::{
    digest,
    traits::{Arbiter, Market, ModelDirectory, OpenJob, ProviderDirectory},
    *,
};
use frame::{
    deps::{frame_support::storage::with_storage_layer, sp_core::sr25519, sp_io::crypto::sr25519_verify},
    prelude::*,
};

impl<T: Config> Pallet<T> {
    pub(crate) fn do_answer(
        worker: AccountId,
        answers: BoundedVec<Answer, ConstU32<MAX_ANSWERS>>,
    ) -> DispatchResultWithPostInfo {
        ensure!(!answers.is_empty(), Error::<T>::NoAnswers);
        let mut all_count = true;
        let mut weight = T::WeightInfo::answer();
        for answer in answers {
            let at = answer.at();
            let kind = kind_of(&answer);
            let (stages, taking_part, disputed) = Self::size_of(at.job);
            let mut ids = 0;
            let result = with_storage_layer(|| Self::judge(&worker, answer, &mut ids));
            weight = weight.saturating_add(Self::item_weight(kind, stages, ids, disputed));
            if let Ok(moved) = result {
                let (_, now, disputed_now) = Self::size_of(at.job);
                if now == 0 || disputed_now != disputed {
                    weight = weight.saturating_add(T::WeightInfo::conclude(taking_part));
                } else if moved {
                    weight = weight.saturating_add(T::WeightInfo::next_phase());
                }
                if now > taking_part {
                    weight = weight.saturating_add(Self::seat_weight(MAX_HOLDERS, now.saturating_sub(taking_part)));
                }
            }
            all_count &= result.is_ok();
            let result = result.map(|_| ());
            Self::deposit_event(Event::Answered { at, worker: worker.clone(), kind, result });
        }
        let pays_fee = if all_count { Pays::No } else { Pays::Yes };
        Ok(PostDispatchInfo { actual_weight: Some(weight), pays_fee })
    }

    /// The most that a batch can cost.
    ///
    /// It depends on how many stages and checkers the jobs have, which one small read per answer tells: by the bounds alone no
    /// block could hold more than a few answers that may settle a job.
    pub(crate) fn answers_weight(answers: &[Answer]) -> Weight {
        answers.iter().fold(T::WeightInfo::answer(), |sum, answer| {
            let (stages, taking_part, disputed) = Self::size_of(answer.at().job);
            let ids = match answer {
                Answer::Commit { commitment, .. } => hashed_ids(commitment, MAX_INPUT_IDS),
                _ => 0,
            };
            let end = T::WeightInfo::conclude(taking_part).max(T::WeightInfo::next_phase());
            let follows = match answer {
                Answer::Check { .. } => {
                    end.max(Self::seat_weight(MAX_HOLDERS, MAX_SEATS).saturating_add(T::WeightInfo::next_phase()))
                }
                _ => end,
            };
            sum.saturating_add(Self::item_weight(kind_of(answer), stages, ids, disputed)).saturating_add(follows)
        })
    }

    /// Ending the attempt with the most stages and checkers.
    pub(crate) fn dearest_end() -> Weight {
        T::WeightInfo::conclude(MAX_SEATS.saturating_add(1).saturating_mul(MAX_STAGES))
    }

    /// Drawing up to `checkers` of one stage from so many holders: the first of them is in the weight of the draw.
    pub(crate) fn seat_weight(holders: u32, checkers: u32) -> Weight {
        let more = T::WeightInfo::take_seat().saturating_mul(checkers.saturating_sub(1).into());
        T::WeightInfo::seat(holders).saturating_add(more)
    }

    /// An answer alone, whatever it sets off.
    fn item_weight(kind: AnswerKind, stages: u32, ids: u32, disputed: bool) -> Weight {
        match kind {
            AnswerKind::Commit => T::WeightInfo::commit(stages).saturating_add(T::WeightInfo::hash_ids(ids)),
            AnswerKind::Blocked => T::WeightInfo::blocked(stages),
            AnswerKind::Check => T::WeightInfo::check(stages),
            AnswerKind::Reveal if disputed => T::WeightInfo::reveal_disputed(stages),
            AnswerKind::Reveal => T::WeightInfo::reveal(stages),
            AnswerKind::Vote => T::WeightInfo::vote(stages),
        }
    }

    /// Stages of the job's attempt, executors and checkers who take part in it, and whether it was disputed; 0 if there is none.
    fn size_of(job: JobHash) -> (u32, u32, bool) {
        Attempts::<T>::get(job)
            .map(|a| (u32::from(a.stages), u32::from(a.stages).saturating_add(a.seats.into()), a.escalated))
            .unwrap_or_default()
    }

    /// Judges one answer, and says in `ids` how many token ids it made the chain hash. Returns whether the job moved to another
    /// phase or due tick.
    fn judge(worker: &AccountId, answer: Answer, ids: &mut u32) -> Result<bool, DispatchError> {
        let at = answer.at();
        let job = T::Market::open_job(at.job).ok_or(Error::<T>::JobUnknown)?;
        ensure!(job.phase != JobPhase::Requeue && job.attempt == at.attempt, Error::<T>::WrongAttempt);
        ensure!(usize::from(at.stage) < job.stages.len(), Error::<T>::NoSuchStage);
        match answer {
            Answer::Commit { commitment, .. } => Self::commit(worker, &job, at, commitment, ids),
            Answer::Blocked { .. } => Self::blocked(worker, &job, at),
            Answer::Check { verdict, .. } => Self::check(worker, &job, at, verdict),
            Answer::Reveal { opening, .. } => Self::reveal(worker, &job, at, &opening),
            Answer::Vote { digest, .. } => Self::vote(worker, &job, at, digest),
        }
    }

    /// All stages, if this worker executes the one named and has not answered yet.
    fn own_stage(worker: &AccountId, job: &OpenJob, at: StageRef) -> Result<Vec<Stage>, Error<T>> {
        ensure!(job.phase == JobPhase::Running, Error::<T>::WrongPhase);
        let assigned = job.stages.get(usize::from(at.stage)).ok_or(Error::<T>::NoSuchStage)?;
        ensure!(assigned.worker == *worker, Error::<T>::NotExecutor);
        ensure!(T::Market::now() <= job.due, Error::<T>::TooLate);
        let stages = Self::stages_of(job)?;
        let stage = stages.get(usize::from(at.stage)).ok_or(Error::<T>::NoSuchStage)?;
        ensure!(stage.commit.is_none() && !stage.blocked, Error::<T>::AlreadyAnswered);
        Ok(stages)
    }

    fn commit(
        worker: &AccountId,
        job: &OpenJob,
        at: StageRef,
        c: StageCommitment,
        ids: &mut u32,
    ) -> Result<bool, DispatchError> {
        let mut stages = Self::own_stage(worker, job, at)?;
        let in_rows = Self::check_handoff(job, at, &c)?;
        let last = usize::from(at.stage).saturating_add(1) == job.stages.len();
        *ids = hashed_ids(&c, job.spec.input_len());
        if at.stage == 0 && job.spec.task == JobTask::Embed {
            // Nobody else vouches for what it received; and nothing is generated that would change it.
            ensure!(digest::ids_root(job.spec.input_ids(), &[]) == c.in_root, Error::<T>::InputRootMismatch);
        }
        match (last, c.output) {
            (true, None) => return Err(Error::<T>::OutputMissing.into()),
            (false, Some(_)) => return Err(Error::<T>::OutputUnexpected.into()),
            (false, None) => (),
            (true, Some(output)) => {
                Self::check_output(job, &output, c.out_root)?;
                // A stage that is its own upstream received what it handed on.
                let own = job.stages.len() == 1 && job.spec.task != JobTask::Embed;
                ensure!(!own || c.in_root == c.out_root, Error::<T>::OutputRootMismatch);
                Outputs::<T>::insert(at.job, output);
            }
        }
        if let (Some(_), Some(due)) = (&c.upstream, Self::rows_due(job, at.stage)) {
            // More ids signed by the last stage than it committed to is a proof against it, and must get in.
            let proof = at.stage == 0 && in_rows > due;
            ensure!(in_rows == due || proof, Error::<T>::RowsNotDue);
        }
        let stage = stages.get_mut(usize::from(at.stage)).ok_or(Error::<T>::NoSuchStage)?;
        stage.commit = Some(Commit { in_root: c.in_root, out_root: c.out_root, digest: c.digest, in_rows });
        Stages::<T>::insert(at.job, at.stage, stage);
        Self::run_progress(job, &stages)
    }

    fn blocked(worker: &AccountId, job: &OpenJob, at: StageRef) -> Result<bool, DispatchError> {
        let mut stages = Self::own_stage(worker, job, at)?;
        // A stage that no other feeds waits for nobody.
        ensure!(upstream_of(job, at.stage).is_some(), Error::<T>::HandoffUnexpected);
        let stage = stages.get_mut(usize::from(at.stage)).ok_or(Error::<T>::NoSuchStage)?;
        stage.blocked = true;
        Stages::<T>::insert(at.job, at.stage, stage);
        Self::run_progress(job, &stages)
    }

    /// The upstream's signature over what the stage received; returns the rows that it covers.
    fn check_handoff(job: &OpenJob, at: StageRef, c: &StageCommitment) -> Result<u32, Error<T>> {
        let (handoff, upstream) = match (&c.upstream, upstream_of(job, at.stage)) {
            (None, None) => return Ok(0),
            (None, Some(_)) => return Err(Error::<T>::HandoffMissing),
            (Some(_), None) => return Err(Error::<T>::HandoffUnexpected),
            (Some(handoff), Some(upstream)) => (handoff, upstream),
        };
        let producer = job.stages.get(usize::from(upstream)).ok_or(Error::<T>::NoSuchStage)?;
        ensure!(handoff.n_rows > 0 && handoff.n_rows <= job.spec.positions().1, Error::<T>::RowsNotDue);
        let ctx = work_ctx::<T>(job, upstream, Role::Executor);
        let message = digest::handoff(&ctx, handoff.n_rows, c.in_root);
        let key = sr25519::Public::from_raw(*producer.worker.as_ref());
        ensure!(sr25519_verify(&handoff.signature, message.as_bytes(), &key), Error::<T>::HandoffInvalid);
        Ok(handoff.n_rows)
    }

    /// The rules of an answer (`docs/exact.md`, section 9), and that it hashes to the committed root.
    fn check_output(job: &OpenJob, output: &Output, out_root: H256) -> Result<(), Error<T>> {
        let info = T::Models::info(job.spec.model).ok_or(Error::<T>::ModelUnknown)?;
        let (output, max) = match (job.spec.task, output) {
            (JobTask::Generate { max_new_tokens, .. }, Output::Ids(output)) => (output, max_new_tokens as usize),
            (JobTask::Embed, Output::Vector(vector)) => {
                ensure!(vector.len() == info.width as usize, Error::<T>::OutputLength);
                ensure!(digest::vector_root(vector) == out_root, Error::<T>::OutputRootMismatch);
                return Ok(());
            }
            _ => return Err(Error::<T>::OutputUnexpected),
        };
        ensure!(!output.is_empty() && output.len() <= max, Error::<T>::OutputLength);
        ensure!(output.iter().all(|id| *id < info.vocab), Error::<T>::TokenOutOfVocabulary);
        let ends = |id: &u32| info.eos.contains(id);
        let (last, before) = output.split_last().ok_or(Error::<T>::OutputLength)?;
        ensure!(!before.iter().any(ends), Error::<T>::OutputPastEnd);
        ensure!(output.len() == max || ends(last), Error::<T>::OutputTooShort);
        ensure!(digest::ids_root(job.spec.input_ids(), output) == out_root, Error::<T>::OutputRootMismatch);
        Ok(())
    }

    /// Rows that the final handoff to this stage covers, once that is known: in a generation, when the output is, every id for the
    /// first stage and every computed position for the others; in an embedding every position.
    pub(crate) fn rows_due(job: &OpenJob, stage: u8) -> Option<u32> {
        if job.spec.task == JobTask::Embed {
            return Some(job.spec.input_len());
        }
        let generated = Outputs::<T>::get(job.job)?.ids().len() as u32;
        let ids = job.spec.input_len().saturating_add(generated);
        Some(if stage == 0 { ids } else { ids.saturating_sub(1) })
    }

    fn check(worker: &AccountId, job: &OpenJob, at: StageRef, verdict: CheckVerdict) -> Result<bool, DispatchError> {
        ensure!(job.phase == JobPhase::Checking, Error::<T>::WrongPhase);
        let mut stages = Self::stages_of(job)?;
        let stage = stages.get_mut(usize::from(at.stage)).ok_or(Error::<T>::NoSuchStage)?;
        let seat = stage.seats.iter_mut().find(|s| s.worker == *worker).ok_or(Error::<T>::NotChecker)?;
        ensure!(seat.answer.is_none(), Error::<T>::AlreadyAnswered);
        // Ids are on the chain, and its executor could commit only to their root.
        ensure!(at.stage > 0 || verdict != CheckVerdict::Unavailable, Error::<T>::InputIsPublic);
        // Late is late whenever the hook runs; the answer counts all the same.
        seat.missed |= T::Market::now() > seat.due;
        seat.answer = Some(verdict);
        Self::checks_progress(job, stages, |s| s == at.stage)
    }

    fn reveal(caller: &AccountId, job: &OpenJob, at: StageRef, opening: &Opening) -> Result<bool, DispatchError> {
        match job.phase {
            JobPhase::Revealing => Self::open_root(caller, job, at, opening),
            JobPhase::Escalated => {
                let stage = Stages::<T>::get(at.job, at.stage).ok_or(Error::<T>::NoSuchStage)?;
                let root = Self::root_of(job, &stage, opening)?;
                T::Arbiter::reveal(job, at, root, opening.out_root)?;
                Self::deposit_event(Event::Revealed { at, root });
                Self::disputes_progress(job)
            }
            _ => Err(Error::<T>::WrongPhase.into()),
        }
    }

    fn vote(worker: &AccountId, job: &OpenJob, at: StageRef, digest: H256) -> Result<bool, DispatchError> {
        ensure!(job.phase == JobPhase::Escalated, Error::<T>::WrongPhase);
        let voter = T::Providers::controller_of(worker).ok_or(Error::<T>::NotElector)?;
        T::Arbiter::vote(job, at, &voter, digest)?;
        Self::disputes_progress(job)
    }
}

fn kind_of(answer: &Answer) -> AnswerKind {
    match answer {
        Answer::Commit { .. } => AnswerKind::Commit,
        Answer::Blocked { .. } => AnswerKind::Blocked,
        Answer::Check { .. } => AnswerKind::Check,
        Answer::Reveal { .. } => AnswerKind::Reveal,
        Answer::Vote { .. } => AnswerKind::Vote,
    }
}

/// The stage that feeds this one, if another does.
pub(crate) fn upstream_of(job: &OpenJob, stage: u8) -> Option<u8> {
    job.spec.upstream_of(stage, job.stages.len() as u8)
}

/// Ids that a commitment makes the chain hash: with the output those of the input before it, and in the first stage of an
/// embedding, which no other feeds, those of the input. A vector is one leaf: 64 entries are a block of its hash, and cost no more
/// than an id, which is a leaf of its own.
fn hashed_ids(commitment: &StageCommitment, input_len: u32) -> u32 {
    let input = if commitment.upstream.is_none() { input_len } else { 0 };
    match &commitment.output {
        None => input,
        Some(Output::Ids(ids)) => input_len.saturating_add(ids.len() as u32),
        Some(Output::Vector(vector)) => input.saturating_add((vector.len() as u32).div_ceil(64)),
    }
}

/// The context of what somebody does for a stage of the present attempt.
pub(crate) fn work_ctx<T: Config>(job: &OpenJob, stage: u8, role: Role) -> WorkCtx {
    WorkCtx {
        genesis: frame_system::Pallet::<T>::block_hash(BlockNumberFor::<T>::zero()),
        kind: 0,
        id: job.job,
        epoch: job.attempt,
        stage,
        range: job.spec.positions(),
        role,
    }
}

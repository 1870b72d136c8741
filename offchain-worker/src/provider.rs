//! What a node with a registered worker key does: from the duties of a block to answers in the pool.

use crate::{
    chain::{stage_of, At, Identity, JobState, Snapshot},
    checker::Checkers,
    context::{work_ctx, CheckId, Context, Event, Purpose},
    executor::{Executors, Outcome},
    network::{
        messages::{RingMessage, TokenFrame},
        peer_to_chain,
    },
    panics,
    planner::Planner,
    submitter::{deliver, Load, Submission, Submitter, TxPool},
};
use assay_primitives::{
    api::{Duty, JobView},
    digest, AccountId, Answer, CheckVerdict, JobHash, JobPhase, Role, StageRef,
};
use polkadot_sdk::sc_network::PeerId;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{atomic::Ordering, Arc},
    time::{Duration, Instant},
};

/// Best blocks for which rows are kept after their job was last seen open: checkers of a fork may still ask.
const ROWS_BLOCKS: u32 = 32;
/// Best blocks without a job after which what is computed for it is given up.
const GONE_BLOCKS: u32 = 2;
/// Best blocks between two compactions of the journal.
const COMPACT_EVERY: u32 = 600;
/// Best blocks for which the journal remembers the jobs that are no longer open: a day.
const JOURNAL_BLOCKS: u32 = 43_200;
/// Answers that come within this time of the first go into one batch.
const GATHER: Duration = Duration::from_millis(100);
/// Best blocks that a checker leaves to the executor to open its commitment.
const REVEAL_DELAY: u32 = 2;

/// See the module. Everything here is rebuilt from the chain and the journal after a restart.
pub struct Provider {
    ctx: Context,
    pool: Arc<dyn TxPool>,
    identity: Identity,
    planner: Planner,
    executors: Executors,
    checkers: Checkers,
    submitter: Submitter,
    jobs: BTreeMap<JobHash, JobState>,
    /// Best blocks in a row in which a job was not open.
    absent: BTreeMap<JobHash, u32>,
    at: At,
    finalized: u32,
    nonce: u32,
    /// When what waits is submitted.
    flush: Option<Instant>,
}

impl Provider {
    /// Begins to act for an identity.
    pub fn new(ctx: Context, pool: Arc<dyn TxPool>, identity: Identity) -> Self {
        log::info!(
            target: crate::LOG_TARGET,
            "acting for controller {} with worker key {}, {} kernels",
            identity.controller, identity.worker, ctx.engine.backend(),
        );
        Self {
            ctx,
            pool,
            identity,
            planner: Planner::default(),
            executors: Executors::default(),
            checkers: Checkers::default(),
            submitter: Submitter::default(),
            jobs: BTreeMap::new(),
            absent: BTreeMap::new(),
            at: At { hash: Default::default(), number: 0 },
            finalized: 0,
            nonce: 0,
            flush: None,
        }
    }

    /// Makes it misbehave.
    #[cfg(feature = "faults")]
    pub fn with_fault(mut self, fault: Option<crate::faults::Fault>) -> Self {
        use crate::faults::Fault;
        self.checkers.false_dissent = fault == Some(Fault::FalseDissent);
        if fault.is_some_and(Fault::skips_confirmation) {
            self.executors.skip_confirmation();
        }
        if fault == Some(Fault::ForgedText) {
            self.executors.forge();
        }
        self
    }

    /// Whom it acts for.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Stages executed and checked now.
    pub fn tasks(&self) -> usize {
        self.executors.len() + self.checkers.len()
    }

    /// Answers that are not yet on chain.
    pub fn pending(&self) -> usize {
        self.submitter.len()
    }

    /// Jobs whose state is of interest besides those with duties.
    pub fn watched(&self) -> BTreeSet<JobHash> {
        self.executors.jobs().into_iter().chain(self.ctx.rows.jobs()).collect()
    }

    /// The deepest that can be done about a new best block.
    pub fn on_block(&mut self, snapshot: &Snapshot) {
        self.at = snapshot.at;
        self.finalized = snapshot.finalized;
        self.nonce = snapshot.nonce;
        self.jobs = snapshot.jobs.clone();
        self.ctx.block.store(self.at.number, Ordering::Relaxed);
        self.age_jobs();

        for view in self.jobs.values().filter_map(JobState::view) {
            self.executors.refresh(&view.job, view);
            for id in self.checkers.refresh(view) {
                self.planner.restart(&duty_of_check(&id), self.at.number);
            }
        }
        let plan = self.planner.update(self.at.number, &snapshot.duties);
        for duty in plan.cancel {
            match duty {
                // A finished stage still serves its downstream: `age_jobs` ends it with its attempt.
                Duty::Execute(_) | Duty::Reveal(_) => {}
                Duty::Check(at) => self.checkers.cancel(&CheckId { at, purpose: Purpose::Check }),
                Duty::Vote(at) => self.checkers.cancel(&CheckId { at, purpose: Purpose::Vote }),
            }
        }
        let (planner, ctx, jobs) = (&self.planner, &self.ctx, &self.jobs);
        let owed = |answer: &Answer| planner.owes(&duty_of(answer)) && stands(ctx, jobs, answer);
        self.submitter.on_block(self.at.number, self.nonce, owed);
        if self.ctx.alarm.get().is_some() {
            return;
        }
        for duty in plan.start {
            self.begin(duty);
        }
        for duty in &snapshot.duties {
            self.repeat(duty);
        }
        self.executors.check_deadlines(&self.ctx);
        for duty in &snapshot.duties {
            if let Duty::Reveal(at) = duty {
                self.reveal(at);
            }
        }
        let (planner, best, finalized) = (&self.planner, self.at.number, self.finalized);
        // Due ticks are the job's own; the tick of this block is in every view.
        let now = self.jobs.values().filter_map(JobState::view).map(|view| view.now).max().unwrap_or(0);
        self.checkers.on_block(&self.ctx, now, |id| planner.is_settled(&duty_of_check(id), best, finalized));
        self.announce(&snapshot.peer);
        self.flush_soon();
        if self.at.number.is_multiple_of(COMPACT_EVERY) {
            self.compact();
        }
    }

    /// Lets go of what belongs to jobs, or attempts, that are over.
    fn age_jobs(&mut self) {
        let kept: BTreeSet<JobHash> = self.watched();
        self.absent.retain(|job, _| kept.contains(job) || self.jobs.contains_key(job));
        for job in kept {
            match self.jobs.get(&job).and_then(JobState::view) {
                Some(_) => {
                    self.absent.remove(&job);
                }
                None => {
                    let absent = self.absent.entry(job).or_default();
                    *absent += 1;
                    if *absent >= ROWS_BLOCKS {
                        self.ctx.rows.forget(&job);
                    }
                }
            }
        }
        let (jobs, absent) = (&self.jobs, &self.absent);
        self.executors.retain(|at| match jobs.get(&at.job).and_then(JobState::view) {
            Some(view) => view.attempt == at.attempt && view.phase == JobPhase::Running,
            None => absent.get(&at.job).copied().unwrap_or(0) < GONE_BLOCKS,
        });
        self.checkers.retain(|at| match jobs.get(&at.job).and_then(JobState::view) {
            Some(view) => view.attempt == at.attempt,
            None => absent.get(&at.job).copied().unwrap_or(0) < GONE_BLOCKS,
        });
    }

    fn view(&self, job: &JobHash) -> Option<Arc<JobView>> {
        self.jobs.get(job)?.view().cloned()
    }

    fn begin(&mut self, duty: Duty) {
        let at = stage_of(&duty);
        let Some(view) = self.view(&at.job).filter(|view| view.attempt == at.attempt) else { return };
        let Some(role) = role_of(&duty) else { return };
        if self.ctx.answered(&at, &view.spec, role).is_some() {
            log::info!(target: crate::LOG_TARGET, "job {:?}, stage {}: answered before, says it again", at.job, at.stage);
            return;
        }
        let started = match duty {
            Duty::Execute(_) => self.executors.start(&self.ctx, &self.identity, at, &view),
            Duty::Check(_) => self.checkers.start(&self.ctx, CheckId { at, purpose: Purpose::Check }, &view),
            _ => self.checkers.start(&self.ctx, CheckId { at, purpose: Purpose::Vote }, &view),
        };
        if let Err(error) = started {
            log::error!(target: crate::LOG_TARGET, "job {:?}, stage {}: cannot begin: {error}", at.job, at.stage);
        }
    }

    /// Says again what was said about a duty that is owed, or owed again: after a restart, or a re-org that took the answer
    /// away. Nothing is said where the answer is about another commitment than this fork's: it cannot be taken back.
    fn repeat(&mut self, duty: &Duty) {
        let at = stage_of(duty);
        let (Some(role), Some(view)) = (role_of(duty), self.view(&at.job)) else { return };
        if let Some(evidence) = self.ctx.answered(&at, &view.spec, role) {
            if stands(&self.ctx, &self.jobs, &evidence.answer) {
                self.submitter.push(evidence.answer);
            }
        }
    }

    /// Opens the stage root that this worker knows, staggered so that not everybody pays for the same opening.
    fn reveal(&mut self, at: &StageRef) {
        let Some(view) = self.view(&at.job) else { return };
        let Some(stage) = view.stages.get(at.stage as usize) else { return };
        let roles = [(Role::Executor, 0), (Role::Checker, REVEAL_DELAY), (Role::Voter, REVEAL_DELAY)];
        let age = self.planner.age(&Duty::Reveal(*at), self.at.number);
        for (role, mut delay) in roles {
            let opened = self.ctx.answered(at, &view.spec, role).and_then(|evidence| evidence.opened);
            let Some((root, opening)) = opened else { continue };
            let opened = stage.dispute.as_ref().is_some_and(|dispute| dispute.roots.contains(&root))
                || stage.commit.as_ref().is_some_and(|commit| commit.root == Some(root));
            if opened {
                continue;
            }
            if let Some(dispute) = stage.dispute.as_ref().filter(|_| role == Role::Voter) {
                let place = dispute.electorate.iter().position(|(_, worker, _)| *worker == self.identity.worker);
                delay = place.unwrap_or(0) as u32 % 4;
            }
            if age >= delay {
                return self.submitter.push(Answer::Reveal { at: *at, opening });
            }
        }
    }

    /// Tells the chain where this node is, if it does not know.
    fn announce(&mut self, known: &[u8]) {
        let local = peer_to_chain(&self.ctx.transport.local_peer());
        if known == local {
            return;
        }
        if let Some(submission) = self.submitter.announce(self.at.number, self.nonce, local) {
            self.submit(submission);
        }
    }

    fn compact(&self) {
        let ctx = self.ctx.clone();
        let open: BTreeSet<JobHash> = self.jobs.iter().filter(|(_, s)| s.view().is_some()).map(|(j, _)| *j).collect();
        let before = self.at.number.saturating_sub(JOURNAL_BLOCKS);
        panics::spawn("compact", async move {
            let compact = move || ctx.journal.compact(before, |job| open.contains(job));
            match panics::blocking(compact).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => log::warn!(target: crate::LOG_TARGET, "{error}"),
                Err(text) => log::error!(target: crate::LOG_TARGET, "compacting the journal panicked: {text}"),
            }
        });
    }

    /// Submits in a moment: answers that a block brought about come one after the other, and only one batch goes out per block.
    fn flush_soon(&mut self) {
        self.flush.get_or_insert_with(|| Instant::now() + GATHER);
    }

    fn flush(&mut self) {
        if self.flush.is_none_or(|when| Instant::now() < when) {
            return;
        }
        self.flush = None;
        if self.ctx.alarm.get().is_some() {
            return;
        }
        if let Some(submission) = self.submitter.next(self.at.number, self.nonce) {
            self.submit(submission);
        }
    }

    fn submit(&self, submission: Submission) {
        match &submission.load {
            Load::Answers(answers) => log::debug!(
                target: crate::LOG_TARGET,
                "submitting {} answers with nonce {} at block {}", answers.len(), submission.nonce, self.at.number,
            ),
            Load::Announce(_) => log::info!(target: crate::LOG_TARGET, "announcing this node's peer id"),
        }
        let ctx = self.ctx.clone();
        let (pool, worker, at) = (self.pool.clone(), self.identity.worker.clone(), self.at);
        panics::spawn("submit", async move {
            let result = deliver(ctx.chain.clone(), ctx.keys.clone(), pool, worker, at, submission).await;
            ctx.emit(Event::Submitted(result));
        });
    }

    /// A result of work beside the loop. Returns token frames to stream.
    pub fn on_event(&mut self, event: Event) -> Vec<TokenFrame> {
        match event {
            Event::Stepped { layers, results } => self.executors.stepped(&self.ctx, &self.identity, layers, results),
            Event::Finished { at, result } => self.executors.finished(&self.ctx, &self.identity, at, result),
            Event::HandedOff { at, result } => self.executors.handed_off(&self.ctx, &self.identity, at, result),
            Event::Answered { at, result } => match result {
                Ok(answer) if !stands(&self.ctx, &self.jobs, &answer) => {
                    log::warn!(
                        target: crate::LOG_TARGET,
                        "job {:?}, stage {}: {} is about another commitment than this fork's",
                        at.job, at.stage, name(&answer),
                    );
                }
                Ok(answer) => {
                    log::info!(target: crate::LOG_TARGET, "job {:?}, stage {}: answers {}", at.job, at.stage, name(&answer));
                    self.submitter.push(answer);
                    self.flush_soon();
                }
                Err(error) => self.ctx.refused(error),
            },
            Event::Fetched { cancel, .. } | Event::Replayed { cancel, .. } if cancel.load(Ordering::Relaxed) => {}
            Event::Fetched { task, result, .. } => self.checkers.fetched(&self.ctx, task, result),
            Event::Replayed { task, result, .. } => {
                if let Some(own) = self.checkers.replayed(&self.ctx, &self.identity, task, result) {
                    self.executors.confirm(&self.ctx, &self.identity, task.at, own);
                } else if self.planner.is_settled(&duty_of_check(&task), self.at.number, self.finalized) {
                    self.checkers.settle(&self.ctx, &task);
                }
            }
            Event::Submitted(result) => {
                self.ctx.metrics.submitted(result.result.is_ok());
                if let Err(error) = &result.result {
                    log::warn!(target: crate::LOG_TARGET, "nonce {} not submitted: {error}", result.nonce);
                }
                self.submitter.submitted(&result);
            }
        }
        self.settle_outcomes()
    }

    /// A message about a ring from a peer.
    pub fn on_message(&mut self, peer: PeerId, worker: Option<&AccountId>, message: RingMessage) -> Vec<TokenFrame> {
        self.executors.message(&self.ctx, &self.identity, Some(peer), worker, message);
        self.settle_outcomes()
    }

    /// Called often.
    pub fn on_tick(&mut self) -> Vec<TokenFrame> {
        self.flush();
        self.executors.tick(&self.ctx, &self.identity);
        self.settle_outcomes()
    }

    fn settle_outcomes(&mut self) -> Vec<TokenFrame> {
        let mut frames = Vec::new();
        loop {
            let outcomes = self.executors.outcomes();
            if outcomes.is_empty() {
                self.executors.begin_steps(&self.ctx);
                return frames;
            }
            for outcome in outcomes {
                match outcome {
                    Outcome::Stream(frame) => frames.push(frame),
                    Outcome::Confirm(id) => {
                        // By the run's own view: a re-org may have taken the job out of the state for a moment.
                        if let Some(own) = self.executors.transcript(&id.at) {
                            self.checkers.confirm(&self.ctx, id.at, own);
                        }
                    }
                    Outcome::Local(message) => {
                        let worker = self.identity.worker.clone();
                        self.executors.message(&self.ctx, &self.identity, None, Some(&worker), message);
                    }
                }
            }
        }
    }
}

/// As what a duty is answered; none for an opening, which is no statement of its own.
fn role_of(duty: &Duty) -> Option<Role> {
    match duty {
        Duty::Execute(_) => Some(Role::Executor),
        Duty::Check(_) => Some(Role::Checker),
        Duty::Vote(_) => Some(Role::Voter),
        Duty::Reveal(_) => None,
    }
}

/// Whether an answer says of the chain's commitment what it was signed for: on another fork, agreeing with a commitment that is
/// not there is a lie, and so is dissenting from the right one.
fn stands(ctx: &Context, jobs: &BTreeMap<JobHash, JobState>, answer: &Answer) -> bool {
    let Answer::Check { at, verdict } = answer else { return true };
    let agrees = match verdict {
        CheckVerdict::Agree(_) => true,
        CheckVerdict::Dissent(_) => false,
        CheckVerdict::Unavailable => return true,
    };
    let Some(view) = jobs.get(&at.job).and_then(JobState::view) else { return false };
    let Some(stage) = view.stages.get(at.stage as usize) else { return false };
    let Some(commit) = &stage.commit else { return false };
    let Some(evidence) = ctx.answered(at, &view.spec, Role::Checker) else { return false };
    let opened = |root| digest::commit(&work_ctx(ctx.genesis, at, &view.spec, Role::Executor), &stage.executor, root);
    // A root over other rows than those that are committed to here says nothing of this commitment.
    evidence.opened.is_some_and(|(root, opening)| {
        root == digest::stage_root(&view.spec, stage.span, commit.in_root, &opening)
            && agrees == (commit.out_root == opening.out_root && commit.digest == opened(root))
    })
}

/// The duty that an answer discharges.
fn duty_of(answer: &Answer) -> Duty {
    match answer {
        Answer::Commit { at, .. } | Answer::Blocked { at } => Duty::Execute(*at),
        Answer::Check { at, .. } => Duty::Check(*at),
        Answer::Reveal { at, .. } => Duty::Reveal(*at),
        Answer::Vote { at, .. } => Duty::Vote(*at),
    }
}

fn duty_of_check(id: &CheckId) -> Duty {
    match id.purpose {
        Purpose::Vote => Duty::Vote(id.at),
        Purpose::Check | Purpose::OwnCommit => Duty::Check(id.at),
    }
}

fn name(answer: &Answer) -> &'static str {
    use CheckVerdict::*;
    match answer {
        Answer::Commit { .. } => "commit",
        Answer::Blocked { .. } => "blocked",
        Answer::Check { verdict: Agree(_), .. } => "agree",
        Answer::Check { verdict: Dissent(_), .. } => "dissent",
        Answer::Check { verdict: Unavailable, .. } => "unavailable",
        Answer::Reveal { .. } => "reveal",
        Answer::Vote { .. } => "vote",
    }
}

//! Re-executes stages: as a drawn checker, as a voter of an escalation, and, once after a start, this node's own first stage.
//!
//! A stage is a function of its input rows and the job, so a checker needs nothing of the executor but rows that hash to the
//! public root. What it answers follows from roots alone; before it contradicts anyone it asks the scalar reference, and if
//! that contradicts *it*, the machine is broken and the worker stops.

use crate::{
    chain::Identity,
    compute::{guarded, Class},
    context::{work_ctx, CheckId, Context, Event, Purpose},
    engine::{Arithmetic, EngineError, Replay, Rows, StageOutcome, StageSpec},
    executor::OwnStage,
    network::{peer_from_chain, transport::FetchError},
    panics,
};
use assay_primitives::{
    api::{JobView, StageView},
    digest, Answer, CheckVerdict, JobInput, Opening, Role, StageRef,
};
use polkadot_sdk::{sc_network::PeerId, sp_core::H256};
use std::{
    collections::BTreeMap,
    sync::{
        atomic::{AtomicBool, Ordering},
        Arc,
    },
};

/// Ticks before the due one in which a check without input answers `Unavailable`.
pub const UNAVAILABLE_TICKS: u32 = 4;

enum State {
    /// Rows are being fetched.
    Fetching,
    /// They could not be had; tried again at the next block.
    Waiting,
    /// The inference queue was full, which is no fault of whoever has the rows; tried again at the next block.
    Queued(Arithmetic),
    /// The engine re-executes.
    Replaying(Arithmetic),
    /// The verdict is there, and waits for its block to be deep enough.
    Decided(Box<Answer>, Option<(H256, Opening)>),
    /// The answer is journalled, or about to be.
    Answered,
    /// It cannot be decided here.
    Failed,
}

struct Task {
    view: Arc<JobView>,
    spec: StageSpec,
    transcript: Vec<u32>,
    rows: Option<Arc<Rows>>,
    /// What the fast kernels gave, while the reference repeats it.
    first: Option<StageOutcome>,
    state: State,
    cancel: Arc<AtomicBool>,
}

impl Drop for Task {
    fn drop(&mut self) {
        self.cancel.store(true, Ordering::Relaxed);
    }
}

/// See the module.
#[derive(Default)]
pub struct Checkers {
    tasks: BTreeMap<CheckId, Task>,
    /// Dissents from everything, as a fault for tests of the network.
    #[cfg(feature = "faults")]
    pub false_dissent: bool,
}

impl Checkers {
    /// Re-executions under way.
    pub fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Begins a check or a vote.
    pub fn start(&mut self, ctx: &Context, id: CheckId, view: &Arc<JobView>) -> Result<(), EngineError> {
        if self.tasks.contains_key(&id) {
            return Ok(());
        }
        let failed = |text: &str| EngineError::Failed(text.into());
        let stage = view.stages.get(id.at.stage as usize).ok_or_else(|| failed("the job has no such stage"))?;
        let spec = StageSpec::of(&view.spec, stage.span).ok_or_else(|| failed("the prompt is not inline"))?;
        ctx.engine.model(&spec.model).ok_or(EngineError::UnknownModel(spec.model))?;
        let transcript = transcript_of(view).ok_or_else(|| failed("the job has no output yet"))?;
        log::info!(
            target: crate::LOG_TARGET,
            "job {:?}, attempt {}: {} stage {}",
            id.at.job, id.at.attempt, if id.purpose == Purpose::Vote { "voting on" } else { "checking" }, id.at.stage,
        );
        let task = Task {
            view: view.clone(),
            spec,
            transcript,
            rows: None,
            first: None,
            state: State::Waiting,
            cancel: Arc::default(),
        };
        self.tasks.insert(id, task);
        self.fetch(ctx, id);
        Ok(())
    }

    /// Repeats this node's own stage with the reference.
    pub fn confirm(&mut self, ctx: &Context, at: StageRef, own: OwnStage) {
        let id = CheckId { at, purpose: Purpose::OwnCommit };
        let OwnStage { view, spec, transcript, rows } = own;
        let task = Task {
            view,
            spec,
            transcript,
            rows: (at.stage > 0).then_some(rows),
            first: None,
            state: State::Waiting,
            cancel: Arc::default(),
        };
        self.tasks.insert(id, task);
        self.replay(ctx, id, Arithmetic::Reference);
    }

    /// Gives a task up and stops what computes for it.
    pub fn cancel(&mut self, id: &CheckId) {
        self.tasks.remove(id);
    }

    /// Drops the tasks of jobs that are no longer open.
    pub fn retain(&mut self, open: impl Fn(&StageRef) -> bool) {
        self.tasks.retain(|id, _| open(&id.at));
    }

    /// Gets the input: from the chain for the first stage, from this node's store, or from the node of whoever has it.
    fn fetch(&mut self, ctx: &Context, id: CheckId) {
        let Some(task) = self.tasks.get_mut(&id) else { return };
        let n = task.view.stages.len();
        let stage = &task.view.stages[id.at.stage as usize];
        let Some(commit) = &stage.commit else { return };
        let root = commit.in_root;
        if id.at.stage == 0 {
            // Ids are public: nothing can be withheld, and the chain took no commitment to other ids.
            if ids_root(&task.transcript) != root {
                log::error!(target: crate::LOG_TARGET, "job {:?}: stage 0 is committed to other ids than the job's", id.at.job);
                task.state = State::Failed;
                return;
            }
            return self.replay(ctx, id, Arithmetic::Fast);
        }
        if let Some(rows) = ctx.rows.get(&root) {
            task.rows = Some(rows);
            return self.replay(ctx, id, Arithmetic::Fast);
        }
        task.state = State::Fetching;
        let upstream = &task.view.stages[(id.at.stage as usize + n - 1) % n];
        // By the peer id that the chain has, or by what a peer proved to this node.
        let known = ctx.transport.peers();
        let of = |stage: &StageView| {
            let proven =
                known.iter().filter(|(_, worker)| worker.as_ref() == Some(&stage.worker)).map(|(peer, _)| *peer);
            proven.chain(peer_from_chain(&stage.peer)).collect::<Vec<_>>()
        };
        let mut peers: Vec<PeerId> = Vec::new();
        for peer in of(stage).into_iter().chain(of(upstream)) {
            if !peers.contains(&peer) {
                peers.push(peer);
            }
        }
        let (ctx, cancel) = (ctx.clone(), task.cancel.clone());
        panics::spawn("fetch", async move {
            let mut result = Err(FetchError::Request("the chain has no peer id of a node that has the rows".into()));
            for peer in peers {
                if peer == ctx.transport.local_peer() {
                    continue;
                }
                result = ctx.transport.fetch(peer, root).await;
                match &result {
                    Ok(_) => break,
                    Err(error) => log::debug!(target: crate::LOG_TARGET, "rows {root:?} from {peer}: {error}"),
                }
            }
            let result = result.map(|rows| {
                let rows = Arc::new(rows);
                ctx.rows.insert(id.at.job, root, rows.clone());
                rows
            });
            ctx.emit(Event::Fetched { task: id, cancel, result });
        });
    }

    /// The input of a task arrived, or not.
    pub fn fetched(&mut self, ctx: &Context, id: CheckId, result: Result<Arc<Rows>, FetchError>) {
        let Some(task) = self.tasks.get_mut(&id) else { return };
        match result {
            Ok(rows) => {
                task.rows = Some(rows);
                self.replay(ctx, id, Arithmetic::Fast);
            }
            Err(error) => {
                log::warn!(target: crate::LOG_TARGET, "job {:?}, stage {}: no input yet: {error}", id.at.job, id.at.stage);
                task.state = State::Waiting;
            }
        }
    }

    fn replay(&mut self, ctx: &Context, id: CheckId, arithmetic: Arithmetic) {
        let Some(task) = self.tasks.get_mut(&id) else { return };
        let width = ctx.engine.model(&task.spec.model).map(|model| model.width);
        let fits = task
            .rows
            .as_ref()
            .is_none_or(|rows| rows.width() == width && rows.len() == task.spec.positions(&task.transcript));
        if !fits {
            // They hash to the public root, and are no rows of this job: nobody can execute that.
            log::warn!(target: crate::LOG_TARGET, "job {:?}, stage {}: the committed input has another shape", id.at.job, id.at.stage);
            task.state = State::Waiting;
            return;
        }
        task.state = State::Replaying(arithmetic);
        let (spec, transcript, rows, cancel) =
            (task.spec.clone(), task.transcript.clone(), task.rows.clone(), task.cancel.clone());
        let worker = ctx.clone();
        let piece = move || {
            let started = std::time::Instant::now();
            let result = guarded(|| {
                let replay = Replay { transcript: &transcript, rows: rows.as_deref(), arithmetic, cancel: &cancel };
                worker.engine.replay(&spec, replay)
            });
            worker.metrics.step(Class::Check, transcript.len(), started.elapsed());
            worker.emit(Event::Replayed { task: id, cancel, result });
        };
        if let Err(busy) = ctx.compute.spawn(Class::Check, piece) {
            log::warn!(target: crate::LOG_TARGET, "job {:?}, stage {}: waits: {busy}", id.at.job, id.at.stage);
            task.state = State::Queued(arithmetic);
        }
    }

    /// A re-execution ended. Returns the result of an own commit's, which is the executor's to judge.
    pub fn replayed(
        &mut self,
        ctx: &Context,
        identity: &Identity,
        id: CheckId,
        result: Result<StageOutcome, EngineError>,
    ) -> Option<Result<StageOutcome, EngineError>> {
        if id.purpose == Purpose::OwnCommit {
            self.tasks.remove(&id);
            return Some(result);
        }
        let task = self.tasks.get_mut(&id)?;
        let State::Replaying(arithmetic) = task.state else { return None };
        let outcome = match result {
            Ok(outcome) => outcome,
            Err(error) => {
                ctx.engine_failed(&id.at, &error);
                task.state = State::Failed;
                return None;
            }
        };
        let stage = &task.view.stages[id.at.stage as usize];
        let executors = work_ctx(ctx.genesis, &id.at, &task.view.spec, Role::Executor);
        // The boundary that was committed to, and used by the next stage, must be the one under the stage root: an executor that
        // hands on something else may well have computed the right root.
        let agrees = stage.commit.as_ref().is_some_and(|commit| {
            let root = outcome.stage_root(&task.spec);
            (commit.in_root, commit.out_root) == (outcome.in_root, outcome.out_root)
                && commit.digest == digest::commit(&executors, &stage.executor, root)
        });
        match (arithmetic, task.first) {
            (Arithmetic::Fast, _) if !agrees => {
                task.first = Some(outcome);
                self.replay(ctx, id, Arithmetic::Reference);
                return None;
            }
            (Arithmetic::Reference, Some(first)) if first != outcome => {
                task.state = State::Failed;
                ctx.alarm.raise(format!(
                    "job {:?}, stage {}: the {} kernels and the scalar reference give different roots",
                    id.at.job,
                    id.at.stage,
                    ctx.engine.backend(),
                ));
                return None;
            }
            _ => {}
        }
        if !agrees {
            log::warn!(
                target: crate::LOG_TARGET,
                "job {:?}: stage {} by {} does not re-execute to its commitment",
                id.at.job, id.at.stage, stage.executor,
            );
        }
        let (agrees, outcome) = self.say(agrees, outcome);
        let task = self.tasks.get_mut(&id)?;
        let root = outcome.stage_root(&task.spec);
        let own = |role| ctx.commit_digest(&id.at, &task.view.spec, role, identity, root);
        let answer = match id.purpose {
            Purpose::Vote => Answer::Vote { at: id.at, digest: own(Role::Voter) },
            _ if agrees => Answer::Check { at: id.at, verdict: CheckVerdict::Agree(own(Role::Checker)) },
            _ => Answer::Check { at: id.at, verdict: CheckVerdict::Dissent(own(Role::Checker)) },
        };
        task.state = State::Decided(Box::new(answer), Some((root, outcome.opening())));
        None
    }

    /// What is said of a result: the truth.
    #[cfg(not(feature = "faults"))]
    fn say(&self, agrees: bool, outcome: StageOutcome) -> (bool, StageOutcome) {
        (agrees, outcome)
    }

    /// What is said of a result: the truth, unless a fault was asked for.
    #[cfg(feature = "faults")]
    fn say(&self, agrees: bool, outcome: StageOutcome) -> (bool, StageOutcome) {
        let wrong = |root: H256| H256(polkadot_sdk::sp_io::hashing::blake2_256(root.as_bytes()));
        match self.false_dissent {
            true => (false, StageOutcome { kv_root: wrong(outcome.kv_root), ..outcome }),
            false => (agrees, outcome),
        }
    }

    /// Called at each best block: signs what is decided and deep enough, asks again for what is missing, and says
    /// `Unavailable` while there is time.
    pub fn on_block(&mut self, ctx: &Context, now: u32, deep: impl Fn(&CheckId) -> bool) {
        let ids: Vec<CheckId> = self.tasks.keys().copied().collect();
        for id in ids {
            let Some(task) = self.tasks.get_mut(&id) else { continue };
            match &task.state {
                State::Decided(answer, root) if deep(&id) => {
                    ctx.answer(&task.view.spec, (**answer).clone(), *root);
                    task.state = State::Answered;
                }
                State::Waiting | State::Fetching
                    if id.purpose == Purpose::Check && now + UNAVAILABLE_TICKS >= task.view.due && deep(&id) =>
                {
                    let verdict = CheckVerdict::Unavailable;
                    ctx.answer(&task.view.spec, Answer::Check { at: id.at, verdict }, None);
                    task.state = State::Answered;
                }
                State::Queued(arithmetic) => {
                    let arithmetic = *arithmetic;
                    self.replay(ctx, id, arithmetic);
                }
                State::Waiting => self.fetch(ctx, id),
                _ => {}
            }
        }
    }

    /// Signs at once what was decided after its block had become deep enough.
    pub fn settle(&mut self, ctx: &Context, id: &CheckId) {
        if let Some(task) = self.tasks.get_mut(id) {
            if let State::Decided(answer, root) = &task.state {
                ctx.answer(&task.view.spec, (**answer).clone(), *root);
                task.state = State::Answered;
            }
        }
    }

    /// New view of a job: due ticks move. On another fork its commitments may be others: what is not yet answered is about
    /// nothing then, is given up, and returned to be begun again.
    pub fn refresh(&mut self, view: &Arc<JobView>) -> Vec<CheckId> {
        let mut stale = Vec::new();
        for (id, task) in &mut self.tasks {
            let same =
                id.at.job == view.job && id.at.attempt == view.attempt && view.stages.len() == task.view.stages.len();
            if !same || view.output.is_none() {
                continue;
            }
            let replaced = !same_commitment(view, &task.view, &id.at);
            if replaced && id.purpose != Purpose::OwnCommit && !matches!(task.state, State::Answered) {
                log::info!(
                    target: crate::LOG_TARGET,
                    "job {:?}, stage {}: another commitment than before, begins again", id.at.job, id.at.stage,
                );
                stale.push(*id);
            }
            task.view = view.clone();
        }
        for id in &stale {
            self.tasks.remove(id);
        }
        stale
    }
}

/// Prompt and output as the chain has them.
fn transcript_of(view: &JobView) -> Option<Vec<u32>> {
    let JobInput::Inline(prompt) = &view.spec.input else { return None };
    let output = view.output.as_ref()?;
    Some(prompt.iter().chain(output.ids()).copied().collect())
}

/// Whether two views agree in what a verdict on a stage is about: its commitment, and the ids.
fn same_commitment(a: &JobView, b: &JobView, at: &StageRef) -> bool {
    let commit = |view: &JobView| {
        let commit = view.stages.get(at.stage as usize)?.commit.as_ref()?;
        Some((commit.in_root, commit.out_root, commit.digest))
    };
    commit(a) == commit(b) && a.output == b.output
}

/// Root of ids.
fn ids_root(ids: &[u32]) -> H256 {
    Rows::Ids(ids.to_vec()).root()
}

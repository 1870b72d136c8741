//! What all tasks of the worker share, and how they sign.

use crate::{
    chain::{Chain, Identity},
    compute::Compute,
    engine::{Engine, EngineError, Rows, StageOutcome},
    journal::{Journal, JournalError, Key, Phase, Value},
    keys::{KeyError, Keys},
    metrics::Metrics,
    network::{transport::FetchError, ShardTransport},
    panics,
    ring::{HandoffDue, SignedHandoff},
    rows::RowStore,
    steps::Stepped,
    submitter::SubmitResult,
};
use assay_primitives::{
    digest, Answer, JobSpec, Opening, Role, SpanKey, StageCommitment, StageRef, WorkCtx, WorkerSignature,
};
use codec::{Decode, Encode};
use parking_lot::Mutex;
use polkadot_sdk::{sp_core::H256, sp_io::hashing::blake2_256};
use std::sync::{
    atomic::{AtomicBool, AtomicU32, Ordering},
    Arc,
};
use tokio::sync::mpsc;

/// Results of work that went on beside the loop.
pub enum Event {
    /// A step is computed.
    Stepped {
        /// The layers whose next step may begin; none for a piece of a prompt or a text, which is computed by itself.
        layers: Option<SpanKey>,
        /// What came out.
        results: Vec<Stepped>,
    },
    /// A stage is finished.
    Finished {
        /// The stage.
        at: StageRef,
        /// Its roots.
        result: Result<StageOutcome, EngineError>,
    },
    /// A handoff is signed.
    HandedOff {
        /// The producer.
        at: StageRef,
        /// The signature.
        result: Result<SignedHandoff, SignError>,
    },
    /// An answer is in the journal and may be submitted.
    Answered {
        /// The stage.
        at: StageRef,
        /// The answer.
        result: Result<Answer, SignError>,
    },
    /// Input of a check.
    Fetched {
        /// The task.
        task: CheckId,
        /// Set if that task was given up: another under the same id must not take the rows for its own.
        cancel: Arc<AtomicBool>,
        /// The rows.
        result: Result<Arc<Rows>, FetchError>,
    },
    /// A re-execution ended.
    Replayed {
        /// The task.
        task: CheckId,
        /// Set if that task was given up: another under the same id must not take the roots for its own.
        cancel: Arc<AtomicBool>,
        /// Its roots.
        result: Result<StageOutcome, EngineError>,
    },
    /// A submission ended.
    Submitted(SubmitResult),
}

/// Why a stage is re-executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    /// A drawn checker.
    Check,
    /// A vote of an escalation.
    Vote,
    /// The executor's own first commit after a start.
    OwnCommit,
}

/// A re-execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CheckId {
    /// The stage.
    pub at: StageRef,
    /// Why.
    pub purpose: Purpose,
}

/// Why something was not signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// The journal refused.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The keystore refused.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The journal's evidence does not decode.
    #[error("the journal's evidence for {0:?} does not decode")]
    Evidence(StageRef),
    /// The worker stopped signing.
    #[error("the worker has stopped signing: {0}")]
    Alarm(String),
    /// The signing task died.
    #[error("the signing task died: {0}")]
    Task(String),
}

/// The journal's evidence of an answer: enough to give it again, and to open it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Evidence {
    /// The answer.
    pub answer: Answer,
    /// The stage root behind its digest, and what opens it.
    pub opened: Option<(H256, Opening)>,
}

/// Raised once, for good: a machine that contradicts itself must not sign any more (protocol section 5.3).
#[derive(Clone, Default)]
pub struct Alarm {
    text: Arc<Mutex<Option<String>>>,
    raised: Arc<AtomicBool>,
}

impl Alarm {
    /// Raises it.
    pub fn raise(&self, text: String) {
        log::error!(target: crate::LOG_TARGET, "ALARM, this worker stops: {text}");
        self.text.lock().get_or_insert(text);
        self.raised.store(true, Ordering::SeqCst);
    }

    /// Whether and why it was raised.
    pub fn get(&self) -> Option<String> {
        match self.raised.load(Ordering::SeqCst) {
            true => self.text.lock().clone(),
            false => None,
        }
    }
}

/// See the module.
#[derive(Clone)]
pub struct Context {
    /// Genesis hash.
    pub genesis: H256,
    /// The runtime API.
    pub chain: Arc<dyn Chain>,
    /// What computes.
    pub engine: Arc<dyn Engine>,
    /// Where it computes.
    pub compute: Compute,
    /// How others are reached.
    pub transport: Arc<dyn ShardTransport>,
    /// The worker's key.
    pub keys: Keys,
    /// What was signed.
    pub journal: Journal,
    /// Boundary rows by content.
    pub rows: RowStore,
    /// The loop's mailbox. Unbounded, but every sender is a task that the loop itself started and waits for.
    pub events: mpsc::UnboundedSender<Event>,
    /// Best block, for the journal.
    pub block: Arc<AtomicU32>,
    /// See [`Alarm`].
    pub alarm: Alarm,
    /// Counters.
    pub metrics: Metrics,
}

/// The context that every digest of a stage's work is bound to.
pub fn work_ctx(genesis: H256, at: &StageRef, spec: &JobSpec, role: Role) -> WorkCtx {
    WorkCtx { genesis, kind: 0, id: at.job, epoch: at.attempt, stage: at.stage, range: spec.positions(), role }
}

/// What an answer says, whoever's signature it carries as evidence: two answers with one digest are the same statement.
fn statement(answer: &Answer) -> H256 {
    let plain = match answer {
        // sr25519 signatures differ each time: the handoff is evidence, not part of the statement.
        Answer::Commit { at, commitment } => {
            Answer::Commit { at: *at, commitment: StageCommitment { upstream: None, ..commitment.clone() } }
        }
        other => other.clone(),
    };
    H256(blake2_256(&plain.encode()))
}

/// The journal's key of an answer; none for a reveal, which is no statement of its own.
fn answer_key(ctx: &WorkCtx, answer: &Answer) -> Option<Key> {
    let (role, phase) = match answer {
        Answer::Commit { .. } | Answer::Blocked { .. } => (Role::Executor, Phase::Commit),
        Answer::Check { .. } => (Role::Checker, Phase::Check),
        Answer::Vote { .. } => (Role::Voter, Phase::Vote),
        Answer::Reveal { .. } => return None,
    };
    Some(key(&WorkCtx { role, ..*ctx }, phase))
}

fn key(ctx: &WorkCtx, phase: Phase) -> Key {
    Key {
        genesis: ctx.genesis,
        job: ctx.id,
        attempt: ctx.epoch,
        stage: ctx.stage,
        range: ctx.range,
        role: ctx.role,
        phase,
    }
}

impl Context {
    /// Sends an event to the loop.
    pub fn emit(&self, event: Event) {
        let _ = self.events.send(event);
    }

    /// Signs a handoff beside the loop: journal first, on the disk, then the key.
    pub fn sign_handoff(&self, worker: assay_primitives::AccountId, at: StageRef, spec: &JobSpec, due: HandoffDue) {
        let ctx = work_ctx(self.genesis, &at, spec, Role::Executor);
        let this = self.clone();
        self.beside(
            move |this| this.handoff(&worker, &ctx, due),
            move |result| this.emit(Event::HandedOff { at, result }),
        );
    }

    fn handoff(
        &self,
        worker: &assay_primitives::AccountId,
        ctx: &WorkCtx,
        due: HandoffDue,
    ) -> Result<SignedHandoff, SignError> {
        let HandoffDue { n_rows, root, last } = due;
        let digest = digest::handoff(ctx, n_rows, root);
        let value = Value { digest, evidence: Vec::new() };
        self.journal.record(key(ctx, Phase::Handoff(n_rows)), value, self.block.load(Ordering::Relaxed))?;
        let signature: WorkerSignature = self.keys.sign_digest(worker, digest)?;
        Ok(SignedHandoff { n_rows, root, last, signature })
    }

    /// Puts an answer into the journal beside the loop, and hands it back to the loop to be submitted. What was said before
    /// is said again.
    pub fn answer(&self, spec: &JobSpec, answer: Answer, opened: Option<(H256, Opening)>) {
        let at = answer.at();
        let ctx = work_ctx(self.genesis, &at, spec, Role::Executor);
        let this = self.clone();
        self.beside(
            move |this| this.journal_answer(&ctx, answer, opened),
            move |result| this.emit(Event::Answered { at, result }),
        );
    }

    fn journal_answer(
        &self,
        ctx: &WorkCtx,
        answer: Answer,
        opened: Option<(H256, Opening)>,
    ) -> Result<Answer, SignError> {
        let Some(key) = answer_key(ctx, &answer) else { return Ok(answer) };
        let at = answer.at();
        let value = Value { digest: statement(&answer), evidence: Evidence { answer, opened }.encode() };
        let journal = &self.journal;
        let value = journal.record(key, value, self.block.load(Ordering::Relaxed))?;
        let evidence = Evidence::decode(&mut &value.evidence[..]).map_err(|_| SignError::Evidence(at))?;
        Ok(evidence.answer)
    }

    /// Runs something that touches the disk beside the loop.
    fn beside<T: Send + 'static>(
        &self,
        f: impl FnOnce(&Self) -> Result<T, SignError> + Send + 'static,
        done: impl FnOnce(Result<T, SignError>) + Send + 'static,
    ) {
        let this = self.clone();
        if let Some(text) = self.alarm.get() {
            return done(Err(SignError::Alarm(text)));
        }
        panics::spawn("sign", async move {
            done(panics::blocking(move || f(&this)).await.unwrap_or_else(|text| Err(SignError::Task(text))));
        });
    }

    /// What this worker already answered, from the journal.
    pub fn answered(&self, at: &StageRef, spec: &JobSpec, role: Role) -> Option<Evidence> {
        let phase = match role {
            Role::Executor => Phase::Commit,
            Role::Checker => Phase::Check,
            Role::Voter => Phase::Vote,
        };
        let key = key(&work_ctx(self.genesis, at, spec, role), phase);
        let journal = &self.journal;
        Evidence::decode(&mut &journal.get(&key)?.evidence[..]).ok()
    }

    /// Digest of a stage root, by this worker's controller in a role.
    pub fn commit_digest(&self, at: &StageRef, spec: &JobSpec, role: Role, identity: &Identity, root: H256) -> H256 {
        digest::commit(&work_ctx(self.genesis, at, spec, role), &identity.controller, root)
    }

    /// The engine could not do its work. Weights that changed are the machine's own fault: whatever it computes from them would be
    /// punished as a lie, so it stops signing.
    pub fn engine_failed(&self, at: &StageRef, error: &EngineError) {
        self.metrics.failed();
        match error {
            EngineError::Damaged { .. } => self.alarm.raise(format!("job {:?}, stage {}: {error}", at.job, at.stage)),
            error => log::error!(target: crate::LOG_TARGET, "job {:?}, stage {}: {error}", at.job, at.stage),
        }
    }

    /// A refusal of the journal is the last line of defence: it means that this machine was about to contradict itself. For a
    /// handoff it may mean that upstream did, and the stage is given up instead.
    pub fn refused(&self, error: SignError) {
        match error {
            SignError::Journal(error @ JournalError::DoubleSign { .. }) => self.alarm.raise(error.to_string()),
            error => log::error!(target: crate::LOG_TARGET, "not signed: {error}"),
        }
    }
}

//! Runs the stages that this provider was assigned: moves rows around the ring, signs handoffs, commits.
//!
//! The state of a stage is a [`StageRun`]; here is what connects it to the engine, the network, the journal and the chain.

use crate::{
    chain::Identity,
    compute::{guarded, Busy, Class},
    context::{work_ctx, CheckId, Context, Event, Purpose, SignError},
    engine::{EngineError, Rows, Stage, StageOutcome, StageSpec},
    journal::JournalError,
    keys,
    network::{
        messages::{RingMessage, TokenFrame, MAX_FRAME_IDS, MAX_ROWS_BYTES},
        peer_from_chain,
        transport::Misbehaviour,
    },
    ring::{Accepted, SignedHandoff, StageRun, Work},
    steps::{self, Piece, Stepped, Steps},
};
use assay_primitives::{
    api::JobView, digest, AccountId, Answer, Handoff, JobHash, Role, SpanKey, StageCommitment, StageRef,
};
use polkadot_sdk::sc_network::PeerId;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

/// Silence of upstream after which its rows are asked for again.
const WANT_AFTER: Duration = Duration::from_millis(400);
/// The same before the first rows: what upstream sent before this stage began was not heard. Doubled each time.
const FIRST_WANT_AFTER: Duration = Duration::from_millis(25);
/// Time without news after which a stage says what it waits for.
const QUIET: Duration = Duration::from_secs(3);
/// No token frame is signed sooner after the last one: what is drawn meanwhile goes into the next.
const FRAME_EVERY: Duration = Duration::from_millis(20);
/// Ticks before the due one in which a stage that has long been fed nothing says `Blocked`: enough to be included.
pub const BLOCKED_TICKS: u32 = 4;
/// Long, in the sense of [`BLOCKED_TICKS`]: a ring that still turns may yet finish.
const BLOCKED_SILENCE: Duration = Duration::from_secs(3);
/// Ticks before the due one in which a stage that waits says `Blocked` in any case.
const BLOCKED_LAST: u32 = 2;

struct Run {
    ring: StageRun,
    view: Arc<JobView>,
    /// Signed handoffs over the output: the newest and, at the end, the final one.
    handoffs: BTreeMap<u32, SignedHandoff>,
    /// When something last came from upstream, or was asked for.
    heard: Instant,
    /// Silence after which upstream is asked again.
    patience: Duration,
    /// The tick at which it began, and the one at which something new last came from upstream.
    began_at: u32,
    fed_at: u32,
    /// When something new last came from upstream.
    fed: Instant,
    /// It was said that nothing comes.
    told: bool,
    /// Its number among all runs of this worker.
    number: u64,
    framed: Instant,
    /// Generated ids in signed token frames.
    streamed: usize,
    phase: Phase,
}

impl Run {
    /// Whether upstream, which computes a whole text before it hands anything on, left less than this stage's share of the ticks
    /// since the attempt began. In a ring nobody can say that: its stages take turns to the end.
    fn was_fed_late(&self) -> bool {
        let ticks_since = |tick: u32| self.view.now.saturating_sub(tick) as usize;
        let late = ticks_since(self.fed_at) * self.view.stages.len() < ticks_since(self.began_at);
        self.ring.spec().embeds() && self.ring.is_fed() && late
    }

    /// Its next piece found no place.
    fn refuse(&mut self, at: &StageRef, busy: Busy) {
        log::warn!(target: crate::LOG_TARGET, "job {:?}, stage {}: given up: {busy}", at.job, at.stage);
        self.phase = Phase::Failed;
    }
}

enum Phase {
    Computing,
    /// The engine computes the roots.
    Finishing,
    /// The roots are there. Nothing is committed before the scalar reference has repeated a stage, and before the final handoff
    /// is signed: if the journal refuses that, it must not be contradicted by a commitment either.
    Finished(StageOutcome),
    /// The answer is journalled, or about to be.
    Answered,
    /// Nothing more can be done in this attempt.
    Failed,
}

/// A finished stage of this node, to be repeated.
pub struct OwnStage {
    /// Its job.
    pub view: Arc<JobView>,
    /// What it computes.
    pub spec: StageSpec,
    /// All ids; between the ends, where none are known, as many of any kind.
    pub transcript: Vec<u32>,
    /// What it received.
    pub rows: Arc<Rows>,
}

/// What the loop has to do next.
#[derive(Debug)]
pub enum Outcome {
    /// Show token frames to this node's subscribers.
    Stream(TokenFrame),
    /// Repeat this stage with the scalar reference.
    Confirm(CheckId),
    /// Deliver a message to another stage on this node.
    Local(RingMessage),
}

/// See the module.
#[derive(Default)]
pub struct Executors {
    runs: BTreeMap<StageRef, Run>,
    /// Runs ever begun.
    begun: u64,
    steps: Steps,
    /// The engine was compared with the scalar reference since the start.
    confirmed: bool,
    /// The stage that it is compared by.
    confirming: Option<StageRef>,
    out: Vec<Outcome>,
    /// Commits to other rows than the engine's, as a fault for tests of the network.
    #[cfg(feature = "faults")]
    forging: bool,
}

impl Executors {
    /// Commits without having compared the engine with the reference: for faults on purpose.
    #[cfg(feature = "faults")]
    pub fn skip_confirmation(&mut self) {
        self.confirmed = true;
    }

    /// Commits to the rows that it handed on, whatever the engine's root of them: for a fault on purpose.
    #[cfg(feature = "faults")]
    pub fn forge(&mut self) {
        self.forging = true;
    }

    #[cfg(feature = "faults")]
    fn forges(&self) -> bool {
        self.forging
    }

    #[cfg(not(feature = "faults"))]
    fn forges(&self) -> bool {
        false
    }

    /// What came up since the last call.
    pub fn outcomes(&mut self) -> Vec<Outcome> {
        std::mem::take(&mut self.out)
    }

    /// Stages under way.
    pub fn len(&self) -> usize {
        self.runs.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Jobs with a stage here.
    pub fn jobs(&self) -> BTreeSet<JobHash> {
        self.runs.keys().map(|at| at.job).collect()
    }

    /// Begins a stage.
    pub fn start(
        &mut self,
        ctx: &Context,
        identity: &Identity,
        at: StageRef,
        view: &Arc<JobView>,
    ) -> Result<(), EngineError> {
        if self.runs.contains_key(&at) {
            return Ok(());
        }
        let Some(stage) = view.stages.get(at.stage as usize) else {
            return Err(EngineError::Failed(format!("the job has no stage {}", at.stage)));
        };
        let unknown = || EngineError::Failed("the prompt is not inline".into());
        let spec = StageSpec::of(&view.spec, stage.span).ok_or_else(unknown)?;
        let model = ctx.engine.model(&spec.model).ok_or(EngineError::UnknownModel(spec.model))?;
        let engine = guarded(|| ctx.engine.open(&spec))?;
        log::info!(
            target: crate::LOG_TARGET,
            "job {:?}, attempt {}: executing stage {} of {}, layers {}..{}",
            at.job, at.attempt, at.stage, view.stages.len(), stage.span.first, stage.span.end,
        );
        let ring = StageRun::new(at, view.stages.len() as u8, spec, model, engine);
        let now = Instant::now();
        self.begun += 1;
        let run = Run {
            ring,
            view: view.clone(),
            handoffs: BTreeMap::new(),
            heard: now,
            patience: FIRST_WANT_AFTER,
            began_at: view.now,
            fed_at: view.now,
            fed: now,
            told: false,
            number: self.begun,
            framed: now.checked_sub(FRAME_EVERY).unwrap_or(now),
            streamed: 0,
            phase: Phase::Computing,
        };
        self.runs.insert(at, run);
        // Whatever upstream produced before this moment went by unheard.
        self.want(ctx, identity, at);
        self.advance(ctx, identity, at);
        Ok(())
    }

    /// Gives a stage up, and what it computes with it. Its rows stay with the row store.
    pub fn cancel(&mut self, at: &StageRef) {
        if self.runs.remove(at).is_some() {
            log::info!(target: crate::LOG_TARGET, "job {:?}: stage {} given up", at.job, at.stage);
        }
        self.confirm_next();
    }

    /// Drops the runs of jobs that are no longer open.
    pub fn retain(&mut self, open: impl Fn(&StageRef) -> bool) {
        self.runs.retain(|at, run| {
            let keep = open(at);
            if !keep && matches!(run.phase, Phase::Computing | Phase::Finishing) {
                log::info!(target: crate::LOG_TARGET, "job {:?}: stage {} is no longer this node's", at.job, at.stage);
            }
            keep
        });
        self.confirm_next();
    }

    /// New views of the jobs: keys and peers may have been learnt.
    pub fn refresh(&mut self, job: &JobHash, view: &Arc<JobView>) {
        for (at, run) in self.runs.range_mut(StageRef { job: *job, attempt: 0, stage: 0 }..) {
            if at.job != *job {
                break;
            }
            if view.attempt == at.attempt && view.stages.len() == run.view.stages.len() {
                run.view = view.clone();
            }
        }
    }

    /// Does whatever can be done now for a stage.
    fn advance(&mut self, ctx: &Context, identity: &Identity, at: StageRef) {
        if ctx.alarm.get().is_some() {
            return;
        }
        let Some(run) = self.runs.get_mut(&at) else { return };
        if let (Phase::Computing, Some(reason)) = (&run.phase, run.ring.broken()) {
            log::warn!(target: crate::LOG_TARGET, "job {:?}, stage {}: {reason}", at.job, at.stage);
            run.phase = Phase::Failed;
            return;
        }
        if let Some(due) = run.ring.handoff_due() {
            if due.last {
                ctx.rows.insert(at.job, due.root, Arc::new(run.ring.output().rows().clone()));
            }
            ctx.sign_handoff(identity.worker.clone(), at, &run.view.spec, due);
        }
        if let Some(Work { engine, input, decode }) = run.ring.next_work() {
            let stage = run.view.stages.get(run.ring.downstream_of().stage as usize);
            let remote = stage
                .filter(|stage| stage.worker != identity.worker && run.ring.feeds())
                .map(|stage| (stage.worker.clone(), peer_from_chain(&stage.peer)));
            let start = run.ring.output().len();
            let spec = run.ring.spec();
            let layers = SpanKey { model: spec.model, span: spec.span };
            let piece = Piece { at, run: run.number, engine, input, start, remote };
            if decode {
                self.steps.push(layers, piece);
            } else if let Err(busy) = steps::compute(ctx, Class::Prefill, None, vec![piece]) {
                run.refuse(&at, busy);
            }
            return;
        }
        if matches!(run.phase, Phase::Computing) {
            if let Some(engine) = run.ring.take_finished() {
                run.phase = Phase::Finishing;
                finish(ctx, at, engine, run.ring.generated().last().copied());
            }
        }
    }

    /// Begins the steps of decoding that wait. Called when all that is known has been noted, so that what can go together does.
    pub fn begin_steps(&mut self, ctx: &Context) {
        let runs = &self.runs;
        let wanted = |piece: &Piece| runs.get(&piece.at).is_some_and(|run| run.number == piece.run);
        for (at, busy) in self.steps.begin(ctx, wanted) {
            if let Some(run) = self.runs.get_mut(&at) {
                run.refuse(&at, busy);
            }
        }
    }

    /// A step is computed.
    pub fn stepped(&mut self, ctx: &Context, identity: &Identity, layers: Option<SpanKey>, results: Vec<Stepped>) {
        if let Some(layers) = layers {
            self.steps.ended(&layers);
        }
        let mut drawn = Vec::new();
        for Stepped { at, run: number, result } in results {
            let Some(run) = self.runs.get_mut(&at).filter(|run| run.number == number) else { continue };
            let produced = match result {
                Ok((engine, rows)) => run.ring.computed(engine, rows).map_err(|e| EngineError::Failed(e.into())),
                Err(error) => Err(error),
            };
            match produced {
                Ok(produced) => {
                    if let Some((start, rows)) = produced.rows {
                        let to = run.ring.downstream_of();
                        if run.view.stages.get(to.stage as usize).is_some_and(|stage| stage.worker == identity.worker) {
                            self.out.push(Outcome::Local(RingMessage::Rows { at, start, rows }));
                        }
                    }
                    self.advance(ctx, identity, at);
                    if !produced.drawn.is_empty() {
                        drawn.push(at);
                    }
                }
                Err(error) => {
                    ctx.engine_failed(&at, &error);
                    run.phase = Phase::Failed;
                }
            }
        }
        // Signing takes its time: not the next step's.
        self.begin_steps(ctx);
        for at in drawn {
            self.frame(ctx, identity, at);
        }
    }

    /// Signs and streams what was drawn since the last frame.
    fn frame(&mut self, ctx: &Context, identity: &Identity, at: StageRef) {
        if ctx.alarm.get().is_some() {
            return;
        }
        let Some(run) = self.runs.get_mut(&at).filter(|run| run.ring.is_last()) else { return };
        let generated = run.ring.generated();
        let complete = run.ring.is_complete();
        if run.streamed == generated.len() || (!complete && run.framed.elapsed() < FRAME_EVERY) {
            return;
        }
        while run.streamed < generated.len() {
            let end = generated.len().min(run.streamed + MAX_FRAME_IDS);
            // Only the newest prefix has its root at hand: with more ids than one frame takes, the list is hashed again.
            let root = match end == generated.len() {
                true => run.ring.output().root(),
                false => Rows::Ids(run.ring.ids()[..run.ring.spec().prompt.len() + end].to_vec()).root(),
            };
            let digest =
                digest::token_frame(&work_ctx(ctx.genesis, &at, &run.view.spec, Role::Executor), end as u32, root);
            let signature = match ctx.keys.sign_digest(&identity.worker, digest) {
                Ok(signature) => signature,
                Err(error) => {
                    log::error!(target: crate::LOG_TARGET, "cannot sign a token frame: {error}");
                    return;
                }
            };
            let frame = TokenFrame { at, seq: end as u32, ids: generated[run.streamed..end].to_vec(), signature };
            run.streamed = end;
            self.out.push(Outcome::Stream(frame));
        }
        run.framed = Instant::now();
    }

    /// A handoff of this node is signed.
    pub fn handed_off(
        &mut self,
        ctx: &Context,
        identity: &Identity,
        at: StageRef,
        result: Result<SignedHandoff, SignError>,
    ) {
        let Some(run) = self.runs.get_mut(&at) else { return };
        match result {
            Ok(handoff) => {
                run.handoffs.retain(|_, known| known.last);
                // They may be signed in another order than they were due: none replaces the final one.
                if handoff.last || run.handoffs.is_empty() {
                    run.handoffs.insert(handoff.n_rows, handoff.clone());
                }
                let to = run.ring.downstream_of();
                self.out.extend(send(ctx, identity, &run.view, to, handoff_message(at, &handoff)));
                self.commit_finished(ctx, identity);
            }
            // What a stage hands on follows from what upstream sent, and after a restart or a re-org that may be something else
            // than before. It says nothing about this machine, and ends no more than the attempt.
            Err(SignError::Journal(error @ JournalError::DoubleSign { .. })) => {
                log::warn!(target: crate::LOG_TARGET, "job {:?}, stage {}: given up: {error}", at.job, at.stage);
                run.ring.give_up("what follows from the rows that upstream sends is not what was handed on before");
                if !matches!(run.phase, Phase::Answered) {
                    run.phase = Phase::Failed;
                }
            }
            Err(error) => {
                run.phase = Phase::Failed;
                ctx.refused(error);
            }
        }
    }

    /// A message about a ring. `from` is the peer it came over; none from this node itself. `worker` is whom the peer proved
    /// to act for.
    pub fn message(
        &mut self,
        ctx: &Context,
        identity: &Identity,
        from: Option<PeerId>,
        worker: Option<&AccountId>,
        message: RingMessage,
    ) {
        match message {
            RingMessage::Rows { at, start, rows } => {
                let Some((to, run)) = self.downstream(&at, worker) else { return };
                match run.ring.accept(start, &rows) {
                    Accepted::New => {
                        run.heard = Instant::now();
                        (run.fed, run.told, run.patience) = (run.heard, false, WANT_AFTER);
                        run.fed_at = run.view.now;
                        self.advance(ctx, identity, to);
                    }
                    Accepted::Known => {}
                    Accepted::Gap(_) => self.want(ctx, identity, to),
                    Accepted::Wrong(reason) => {
                        log::debug!(target: crate::LOG_TARGET, "job {:?}, stage {}: {reason}", to.job, to.stage);
                        if let Some(peer) = &from {
                            ctx.transport.report(peer, Misbehaviour::WrongContent);
                        }
                    }
                }
            }
            RingMessage::Handoff { at, n_rows, root, last, signature } => {
                let Some((to, run)) = self.downstream(&at, worker) else { return };
                let producer = work_ctx(ctx.genesis, &at, &run.view.spec, Role::Executor);
                let upstream = &run.view.stages[at.stage as usize].worker;
                if !keys::verify(upstream, digest::handoff(&producer, n_rows, root), &signature) {
                    if let Some(peer) = &from {
                        ctx.transport.report(peer, Misbehaviour::BadSignature);
                    }
                    return;
                }
                run.heard = Instant::now();
                run.ring.accept_handoff(SignedHandoff { n_rows, root, last, signature });
                self.advance(ctx, identity, to);
            }
            RingMessage::Want { at, from: position } => {
                let Some(run) = self.runs.get(&at) else { return };
                let to = run.ring.downstream_of();
                let asker = run.view.stages.get(to.stage as usize).map(|stage| &stage.worker);
                if worker != asker {
                    return;
                }
                if from.as_ref().is_some_and(|peer| !ctx.transport.may_want(peer)) {
                    return;
                }
                // To the peer that asks, and no more than one message may hold: its next `Want` goes on from there.
                let mut reply = |message| match &from {
                    Some(peer) => {
                        ctx.transport.send_to(peer, &message);
                    }
                    None => self.out.extend(send(ctx, identity, &run.view, to, message)),
                };
                let mut bytes = 0;
                for (start, rows) in run.ring.replay_output(position) {
                    bytes += rows.bytes();
                    reply(RingMessage::Rows { at, start, rows });
                    if bytes >= MAX_ROWS_BYTES {
                        break;
                    }
                }
                for handoff in run.handoffs.values() {
                    reply(handoff_message(at, handoff));
                }
            }
            RingMessage::Hello { .. } | RingMessage::Tokens(_) | RingMessage::WantTokens { .. } => {}
        }
    }

    /// The run that receives from producer `at`, if the sender may speak for it.
    fn downstream(&mut self, at: &StageRef, worker: Option<&AccountId>) -> Option<(StageRef, &mut Run)> {
        let any = StageRef { stage: 0, ..*at };
        let stages =
            self.runs.range(any..).next().filter(|(known, _)| known.job == at.job && known.attempt == at.attempt)?;
        let n = stages.1.view.stages.len() as u8;
        if at.stage >= n {
            return None;
        }
        let to = StageRef { stage: (at.stage + 1) % n, ..*at };
        let run = self.runs.get_mut(&to)?;
        // A stage's rows come from its own worker only. A peer that proved nothing, or something else, is not heard.
        let expected = run.view.stages.get(at.stage as usize).map(|stage| &stage.worker);
        (worker == expected).then_some((to, run))
    }

    /// Asks upstream for what is missing.
    fn want(&mut self, ctx: &Context, identity: &Identity, at: StageRef) {
        let Some(run) = self.runs.get_mut(&at) else { return };
        let Some(from) = run.ring.missing() else { return };
        run.heard = Instant::now();
        run.patience = (run.patience * 2).min(WANT_AFTER);
        let upstream = run.ring.upstream_of();
        self.out.extend(send(ctx, identity, &run.view, upstream, RingMessage::Want { at: upstream, from }));
    }

    /// Called often: asks again where upstream is silent, and commits and streams what waits.
    pub fn tick(&mut self, ctx: &Context, identity: &Identity) {
        // The stage that was to be repeated may have failed meanwhile.
        self.commit_finished(ctx, identity);
        let now = Instant::now();
        let all: Vec<StageRef> = self.runs.keys().copied().collect();
        for at in all {
            self.frame(ctx, identity, at);
            let Some(run) = self.runs.get_mut(&at).filter(|run| matches!(run.phase, Phase::Computing)) else {
                continue;
            };
            if run.fed.elapsed() > QUIET && !run.told && run.ring.missing().is_some() {
                run.told = true;
                log::warn!(
                    target: crate::LOG_TARGET,
                    "job {:?}, stage {}: nothing new from stage {} for {} s; {} rows in, {} out, {}",
                    at.job, at.stage, run.ring.upstream_of().stage, QUIET.as_secs(), run.ring.input().len(),
                    run.ring.output().len(), if run.ring.is_starved() { "waiting" } else { "computing" },
                );
            }
            if run.ring.is_starved() && now.duration_since(run.heard) > run.patience {
                self.want(ctx, identity, at);
            }
        }
    }

    /// Called at each best block: a stage that waits in vain says so while there is time, and so does one that was fed so late
    /// that it has not had its share of it.
    pub fn check_deadlines(&mut self, ctx: &Context) {
        for (at, run) in &mut self.runs {
            let waits = match run.phase {
                Phase::Failed => run.ring.broken().is_some(),
                Phase::Answered => false,
                _ if run.was_fed_late() => true,
                Phase::Computing => run.ring.is_starved(),
                _ => false,
            };
            let left = run.view.due.saturating_sub(run.view.now);
            let late = left <= BLOCKED_LAST || (left <= BLOCKED_TICKS && run.fed.elapsed() > BLOCKED_SILENCE);
            if waits && late && !run.ring.is_alone() {
                log::warn!(
                    target: crate::LOG_TARGET,
                    "job {:?}: stage {} waits for stage {} in vain, and says so",
                    at.job, at.stage, run.ring.upstream_of().stage,
                );
                run.phase = Phase::Answered;
                ctx.answer(&run.view.spec, Answer::Blocked { at: *at }, None);
            }
        }
    }

    /// The roots of a stage are there.
    pub fn finished(
        &mut self,
        ctx: &Context,
        identity: &Identity,
        at: StageRef,
        result: Result<StageOutcome, EngineError>,
    ) {
        let forges = self.forges();
        let Some(run) = self.runs.get_mut(&at).filter(|run| matches!(run.phase, Phase::Finishing)) else { return };
        let outcome = match result {
            Ok(outcome) => outcome,
            Err(error) => {
                ctx.engine_failed(&at, &error);
                run.phase = Phase::Failed;
                return;
            }
        };
        if run.ring.is_overfed() {
            log::warn!(target: crate::LOG_TARGET, "job {:?}, stage {}: rows behind the end", at.job, at.stage);
            run.phase = Phase::Failed;
            return;
        }
        let (in_root, out_root) = (run.ring.input().root(), run.ring.output().root());
        if !forges && (outcome.in_root, outcome.out_root) != (in_root, out_root) {
            run.phase = Phase::Failed;
            return ctx.alarm.raise(format!(
                "job {:?}, stage {}: the engine's boundary roots are not those of the rows that it was given and gave",
                at.job, at.stage,
            ));
        }
        ctx.rows.insert(at.job, in_root, Arc::new(run.ring.input().rows().clone()));
        ctx.rows.insert(at.job, out_root, Arc::new(run.ring.output().rows().clone()));
        run.phase = Phase::Finished(outcome);
        self.commit_finished(ctx, identity);
    }

    /// Has one finished stage repeated. The others wait for it: if it is right, the engine is, and they need no repetition.
    fn confirm_next(&mut self) {
        let finished = |run: &Run| matches!(run.phase, Phase::Finished(_));
        if self.confirmed || self.confirming.and_then(|at| self.runs.get(&at)).is_some_and(finished) {
            return;
        }
        self.confirming = self.runs.iter().find(|(_, run)| finished(run)).map(|(at, _)| *at);
        self.out.extend(self.confirming.map(|at| Outcome::Confirm(CheckId { at, purpose: Purpose::OwnCommit })));
    }

    /// Commits the finished stages whose final handoff is signed, once the engine is confirmed.
    fn commit_finished(&mut self, ctx: &Context, identity: &Identity) {
        if ctx.alarm.get().is_some() {
            return;
        }
        if !self.confirmed {
            return self.confirm_next();
        }
        let finished = self.runs.iter().filter_map(|(at, run)| match run.phase {
            Phase::Finished(outcome) if !run.ring.feeds() || run.handoffs.values().any(|handoff| handoff.last) => {
                Some((*at, outcome))
            }
            _ => None,
        });
        for (at, outcome) in finished.collect::<Vec<_>>() {
            self.commit(ctx, identity, at, outcome);
        }
    }

    /// What the scalar reference needs to repeat a stage of this node.
    pub fn transcript(&self, at: &StageRef) -> Option<OwnStage> {
        let run = self.runs.get(at)?;
        let rows = Arc::new(run.ring.input().rows().clone());
        let transcript = match run.ring.ids() {
            // A stage between the ends knows no ids, and its rows depend on none: only their number matters.
            [] => {
                let mut ids = run.ring.spec().prompt.to_vec();
                if !run.ring.spec().embeds() {
                    ids.resize(run.ring.input().len() as usize + 1, 0);
                }
                ids
            }
            ids => ids.to_vec(),
        };
        Some(OwnStage { view: run.view.clone(), spec: run.ring.spec().clone(), transcript, rows })
    }

    /// The scalar reference repeated a stage of this node.
    pub fn confirm(
        &mut self,
        ctx: &Context,
        identity: &Identity,
        at: StageRef,
        reference: Result<StageOutcome, EngineError>,
    ) {
        let Some(run) = self.runs.get_mut(&at) else { return };
        let Phase::Finished(outcome) = run.phase else { return };
        match reference {
            Ok(reference) if reference == outcome => self.confirmed = true,
            Ok(_) => {
                run.phase = Phase::Failed;
                ctx.alarm.raise(format!(
                    "job {:?}, stage {}: the {} kernels and the scalar reference give different roots",
                    at.job,
                    at.stage,
                    ctx.engine.backend(),
                ));
            }
            Err(error) => {
                ctx.engine_failed(&at, &error);
                run.phase = Phase::Failed;
            }
        }
        self.commit_finished(ctx, identity);
    }

    fn commit(&mut self, ctx: &Context, identity: &Identity, at: StageRef, outcome: StageOutcome) {
        let Some(run) = self.runs.get_mut(&at) else { return };
        run.phase = Phase::Answered;
        let root = outcome.stage_root(run.ring.spec());
        let output = run.ring.answer();
        if output.is_none() && run.ring.is_last() {
            return;
        }
        let commitment = StageCommitment {
            in_root: outcome.in_root,
            out_root: run.ring.output().root(),
            digest: ctx.commit_digest(&at, &run.view.spec, Role::Executor, identity, root),
            upstream: run
                .ring
                .final_handoff()
                .map(|handoff| Handoff { n_rows: handoff.n_rows, signature: handoff.signature }),
            output,
        };
        ctx.answer(&run.view.spec, Answer::Commit { at, commitment }, Some((root, outcome.opening())));
    }
}

fn handoff_message(at: StageRef, handoff: &SignedHandoff) -> RingMessage {
    let SignedHandoff { n_rows, root, last, signature } = handoff.clone();
    RingMessage::Handoff { at, n_rows, root, last, signature }
}

/// Sends a message to a stage's node, or gives it back if that is this node.
fn send(ctx: &Context, identity: &Identity, view: &JobView, to: StageRef, message: RingMessage) -> Option<Outcome> {
    let stage = view.stages.get(to.stage as usize)?;
    if stage.worker == identity.worker {
        return Some(Outcome::Local(message));
    }
    if !ctx.transport.send(&stage.worker, peer_from_chain(&stage.peer), &message) {
        log::debug!(target: crate::LOG_TARGET, "job {:?}: no stream to the node of stage {}", to.job, to.stage);
    }
    None
}

fn finish(ctx: &Context, at: StageRef, engine: Box<dyn Stage>, last: Option<u32>) {
    let worker = ctx.clone();
    let piece = move || {
        let result = guarded(|| engine.finish(last));
        worker.emit(Event::Finished { at, result });
    };
    if ctx.compute.spawn(Class::Decode, piece).is_err() {
        ctx.emit(Event::Finished { at, result: Err(EngineError::Failed("the inference queue is full".into())) });
    }
}

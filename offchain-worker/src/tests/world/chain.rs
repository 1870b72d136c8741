//! The chain.

use super::{GENESIS, PATIENCE};
use crate::{
    chain::{At, Chain, ChainError},
    context::work_ctx,
    keys::verify,
    submitter::TxPool,
};
use assay_primitives::{
    api::{CommitView, Duty, JobView, PreparedAnswer, SeatView, StageView},
    digest,
    traits::ModelInfo,
    AccountId, Answer, Assurance, CheckVerdict, JobHash, JobPhase, JobSpec, Receipt, Role, Span, StageReceipt,
    StageRef, WorkerSignature,
};
use codec::{Decode, Encode};
use futures::{future::BoxFuture, FutureExt};
use parking_lot::Mutex;
use polkadot_sdk::sp_core::H256;
use std::{collections::BTreeMap, sync::Arc};

struct Job {
    view: JobView,
    /// Answers that the rules refused, with the reason.
    refused: Vec<(Answer, &'static str)>,
    receipt: Option<Receipt>,
}

#[derive(Default)]
struct ChainState {
    number: u32,
    jobs: BTreeMap<JobHash, Job>,
    controllers: BTreeMap<AccountId, AccountId>,
    peers: BTreeMap<AccountId, Vec<u8>>,
    nonces: BTreeMap<AccountId, u32>,
    pool: Vec<(AccountId, u32, Vec<Answer>, Vec<u8>)>,
    /// Submissions to lose on their way into a block.
    lose: u32,
    submitted: u32,
}

/// See the module.
#[derive(Clone, Default)]
pub struct FakeChain(Arc<Mutex<ChainState>>);

impl FakeChain {
    /// Registers a worker; its peer id has to be announced by itself.
    pub fn register(&self, worker: AccountId, controller: AccountId) {
        self.0.lock().controllers.insert(worker, controller);
    }

    /// Opens a job: `executors` and, for each stage, `checkers` by worker account.
    pub fn submit(
        &self,
        spec: JobSpec,
        spans: &[Span],
        executors: &[AccountId],
        checkers: &[Vec<AccountId>],
    ) -> JobHash {
        let mut state = self.0.lock();
        let client = AccountId::new([0xC1; 32]);
        let job = digest::job_hash(GENESIS, &client, state.jobs.len() as u32, &spec, 1);
        let stages = spans
            .iter()
            .zip(executors)
            .zip(checkers)
            .map(|((span, worker), checkers)| StageView {
                span: *span,
                executor: state.controllers[worker].clone(),
                worker: worker.clone(),
                peer: state.peers.get(&state.controllers[worker]).cloned().unwrap_or_default(),
                price: 1,
                commit: None,
                blocked: false,
                seats: checkers
                    .iter()
                    .map(|w| SeatView { controller: state.controllers[w].clone(), worker: w.clone(), answer: None })
                    .collect(),
                dispute: None,
            })
            .collect();
        let now = state.number;
        let view = JobView {
            job,
            client,
            spec,
            phase: JobPhase::Running,
            attempt: 0,
            now,
            due: now + PATIENCE,
            held: 0,
            stages,
            output: None,
        };
        state.jobs.insert(job, Job { view, refused: Vec::new(), receipt: None });
        job
    }

    /// The next `n` submissions vanish.
    pub fn lose(&self, n: u32) {
        self.0.lock().lose = n;
    }

    /// A job leaves the state, as in a re-org.
    pub fn remove(&self, job: &JobHash) {
        self.0.lock().jobs.remove(job);
    }

    /// A job as another fork has it.
    pub fn rewrite(&self, job: &JobHash, change: impl FnOnce(&mut JobView)) {
        change(&mut self.0.lock().jobs.get_mut(job).unwrap().view);
    }

    /// Due in so many ticks.
    pub fn set_due(&self, job: &JobHash, ticks: u32) {
        let mut state = self.0.lock();
        let due = state.number + ticks;
        state.jobs.get_mut(job).unwrap().view.due = due;
    }

    pub fn view(&self, job: &JobHash) -> JobView {
        self.0.lock().jobs[job].view.clone()
    }

    pub fn settled(&self, job: &JobHash) -> Option<Receipt> {
        self.0.lock().jobs[job].receipt.clone()
    }

    pub fn refused(&self, job: &JobHash) -> Vec<(Answer, &'static str)> {
        self.0.lock().jobs[job].refused.clone()
    }

    pub fn announced(&self, controller: &AccountId) -> Option<Vec<u8>> {
        self.0.lock().peers.get(controller).cloned()
    }

    pub fn submissions(&self) -> u32 {
        self.0.lock().submitted
    }

    /// Whether such an answer waits in the pool.
    pub fn is_pooled(&self, is: impl Fn(&Answer) -> bool) -> bool {
        self.0.lock().pool.iter().flat_map(|(.., answers, _)| answers).any(is)
    }

    /// A block: takes what is in the pool, in order of nonce.
    pub fn mine(&self) -> At {
        let mut state = self.0.lock();
        state.number += 1;
        let mut pool = std::mem::take(&mut state.pool);
        pool.sort_by_key(|(_, nonce, ..)| *nonce);
        for (worker, nonce, answers, peer) in pool {
            let expected = state.nonces.entry(worker.clone()).or_default();
            if nonce != *expected {
                if nonce > *expected {
                    state.pool.push((worker, nonce, answers, peer));
                }
                continue;
            }
            *expected += 1;
            let controller = state.controllers[&worker].clone();
            if !peer.is_empty() {
                state.peers.insert(controller.clone(), peer.clone());
                for job in state.jobs.values_mut() {
                    for stage in job.view.stages.iter_mut().filter(|s| s.worker == worker) {
                        stage.peer = peer.clone();
                    }
                }
            }
            for answer in answers {
                if let Some(job) = state.jobs.get_mut(&answer.at().job) {
                    if let Err(reason) = job.apply(&worker, &controller, &answer) {
                        job.refused.push((answer, reason));
                    }
                }
            }
        }
        let number = state.number;
        for job in state.jobs.values_mut() {
            job.view.now = number;
        }
        At { hash: H256::from_low_u64_be(number.into()), number }
    }
}

impl Job {
    fn apply(&mut self, worker: &AccountId, controller: &AccountId, answer: &Answer) -> Result<(), &'static str> {
        let at = answer.at();
        let n = self.view.stages.len();
        let ctx = |stage: usize, role| work_ctx(GENESIS, &StageRef { stage: stage as u8, ..at }, &self.view.spec, role);
        let i = at.stage as usize;
        if at.attempt != self.view.attempt || self.receipt.is_some() {
            return Err("over");
        }
        match answer {
            Answer::Commit { commitment, .. } => {
                let upstream = self.view.spec.upstream_of(i as u8, n as u8).map(usize::from);
                let signed = match (&commitment.upstream, upstream) {
                    (Some(h), Some(upstream)) => verify(
                        &self.view.stages[upstream].worker,
                        digest::handoff(&ctx(upstream, Role::Executor), h.n_rows, commitment.in_root),
                        &h.signature,
                    ),
                    (None, None) => true,
                    _ => false,
                };
                if !signed {
                    return Err("no handoff over the input");
                }
                let stage = &mut self.view.stages[i];
                if stage.worker != *worker || stage.commit.is_some() || stage.blocked {
                    return Err("not owed");
                }
                stage.commit = Some(CommitView {
                    in_root: commitment.in_root,
                    out_root: commitment.out_root,
                    digest: commitment.digest,
                    root: None,
                });
                if (i + 1 == n) != commitment.output.is_some() {
                    return Err("output from the last stage only");
                }
                if commitment.output.is_some() {
                    self.view.output = commitment.output.clone();
                }
                if self.view.stages.iter().all(|s| s.commit.is_some()) {
                    let root = |i: usize| self.view.stages[i].commit.as_ref().map(|c| (c.in_root, c.out_root));
                    for i in 0..n {
                        let upstream = self.view.spec.upstream_of(i as u8, n as u8).map(usize::from);
                        if upstream.is_some_and(|upstream| root(upstream).map(|r| r.1) != root(i).map(|r| r.0)) {
                            return Err("boundaries do not join");
                        }
                    }
                    self.view.phase = JobPhase::Checking;
                    self.view.due = self.view.now + 40;
                }
            }
            Answer::Blocked { .. } => {
                let stage = &mut self.view.stages[i];
                if stage.worker != *worker || stage.commit.is_some() {
                    return Err("not owed");
                }
                stage.blocked = true;
            }
            Answer::Check { verdict, .. } => {
                let seat = self.view.stages[i].seats.iter_mut().find(|s| s.worker == *worker).ok_or("no seat")?;
                if seat.answer.replace(*verdict).is_some() {
                    return Err("answered before");
                }
                let seats: Vec<_> = self.view.stages.iter().flat_map(|s| &s.seats).map(|s| s.answer).collect();
                if seats.iter().all(|a| matches!(a, Some(CheckVerdict::Agree(_)))) {
                    self.view.phase = JobPhase::Revealing;
                    self.view.due = self.view.now + 40;
                }
            }
            Answer::Reveal { opening, .. } => {
                let stage = &self.view.stages[i];
                let commit = stage.commit.as_ref().ok_or("nothing to open")?;
                let root = &digest::stage_root(&self.view.spec, stage.span, commit.in_root, opening);
                if opening.out_root != commit.out_root {
                    return Err("another boundary than the committed one");
                }
                if commit.root.is_some() {
                    return Err("opened before");
                }
                if digest::commit(&ctx(i, Role::Executor), &stage.executor, *root) != commit.digest {
                    return Err("does not open the commitment");
                }
                for seat in &stage.seats {
                    let own = digest::commit(&ctx(i, Role::Checker), &seat.controller, *root);
                    if seat.answer != Some(CheckVerdict::Agree(own)) {
                        return Err("an agreement does not open");
                    }
                }
                if let Some(commit) = &mut self.view.stages[i].commit {
                    commit.root = Some(*root);
                }
                if self.view.stages.iter().all(|s| s.commit.as_ref().is_some_and(|c| c.root.is_some())) {
                    self.settle();
                }
            }
            Answer::Vote { .. } => {
                let _ = controller;
                return Err("no dispute here");
            }
        }
        Ok(())
    }

    fn settle(&mut self) {
        let view = &self.view;
        self.receipt = Some(Receipt {
            job: view.job,
            client: view.client.clone(),
            model: view.spec.model,
            attempt: view.attempt,
            params_version: 1,
            ids_root: H256::zero(),
            input_len: 0,
            output: view.output.clone().expect("the last stage gave it"),
            assurance: Assurance {
                k: view.spec.mode.k(),
                beacon_authors: 1,
                overlap: false,
                relaxed: true,
                escalated: false,
            },
            stages: view
                .stages
                .iter()
                .map(|s| StageReceipt {
                    span: s.span,
                    executor: s.executor.clone(),
                    paid: 0,
                    work: 0,
                    root: s.commit.as_ref().and_then(|c| c.root),
                    checkers: Default::default(),
                })
                .collect::<Vec<_>>()
                .try_into()
                .unwrap(),
            burned: 0,
            refunded: 0,
            tick: view.now,
        });
    }

    fn duties(&self, worker: &AccountId) -> Vec<Duty> {
        if self.receipt.is_some() {
            return Vec::new();
        }
        let at = |i| StageRef { job: self.view.job, attempt: self.view.attempt, stage: i as u8 };
        let mut duties = Vec::new();
        for (i, stage) in self.view.stages.iter().enumerate() {
            match self.view.phase {
                JobPhase::Running if stage.worker == *worker && stage.commit.is_none() && !stage.blocked => {
                    duties.push(Duty::Execute(at(i)))
                }
                JobPhase::Checking if stage.seats.iter().any(|s| s.worker == *worker && s.answer.is_none()) => {
                    duties.push(Duty::Check(at(i)))
                }
                JobPhase::Revealing
                    if stage.commit.as_ref().is_some_and(|c| c.root.is_none())
                        && (stage.worker == *worker || stage.seats.iter().any(|s| s.worker == *worker)) =>
                {
                    duties.push(Duty::Reveal(at(i)))
                }
                _ => {}
            }
        }
        duties
    }
}

impl Chain for FakeChain {
    fn genesis(&self) -> H256 {
        GENESIS
    }
    fn best(&self) -> At {
        let number = self.0.lock().number;
        At { hash: H256::from_low_u64_be(number.into()), number }
    }
    fn controller_of(&self, _: H256, worker: &AccountId) -> Result<Option<AccountId>, ChainError> {
        Ok(self.0.lock().controllers.get(worker).cloned())
    }
    fn peer_of(&self, _: H256, controller: &AccountId) -> Result<Vec<u8>, ChainError> {
        Ok(self.announced(controller).unwrap_or_default())
    }
    fn providers(&self, _: H256) -> Result<Vec<(AccountId, Vec<u8>)>, ChainError> {
        let state = self.0.lock();
        let peer = |c: &AccountId| state.peers.get(c).cloned().unwrap_or_default();
        Ok(state.controllers.iter().map(|(w, c)| (w.clone(), peer(c))).collect())
    }
    fn duties(&self, _: H256, worker: &AccountId) -> Result<Vec<Duty>, ChainError> {
        Ok(self.0.lock().jobs.values().flat_map(|job| job.duties(worker)).collect())
    }
    fn job(&self, _: H256, job: JobHash) -> Result<Option<JobView>, ChainError> {
        Ok(self.0.lock().jobs.get(&job).filter(|j| j.receipt.is_none()).map(|j| j.view.clone()))
    }
    fn receipt(&self, _: H256, job: JobHash) -> Result<Option<Receipt>, ChainError> {
        Ok(self.0.lock().jobs.get(&job).and_then(|j| j.receipt.clone()))
    }
    fn models(&self, _: H256) -> Result<Vec<ModelInfo>, ChainError> {
        Ok(Vec::new())
    }
    fn nonce(&self, _: H256, account: &AccountId) -> Result<u32, ChainError> {
        Ok(self.0.lock().nonces.get(account).copied().unwrap_or(0))
    }
    fn prepare_answer(
        &self,
        _: At,
        w: &AccountId,
        nonce: u32,
        answers: Vec<Answer>,
    ) -> Result<Option<PreparedAnswer>, ChainError> {
        let call = (w, nonce, answers, Vec::<u8>::new()).encode();
        Ok(Some(PreparedAnswer { payload: call.clone(), call, extension: Vec::new() }))
    }
    fn prepare_announce(
        &self,
        _: At,
        w: &AccountId,
        nonce: u32,
        peer: Vec<u8>,
    ) -> Result<Option<PreparedAnswer>, ChainError> {
        let call = (w, nonce, Vec::<Answer>::new(), peer).encode();
        Ok(Some(PreparedAnswer { payload: call.clone(), call, extension: Vec::new() }))
    }
    fn assemble(
        &self,
        _: H256,
        _: &AccountId,
        p: PreparedAnswer,
        s: WorkerSignature,
    ) -> Result<Option<Vec<u8>>, ChainError> {
        Ok(Some((p.call, s).encode()))
    }
}

impl TxPool for FakeChain {
    fn submit(&self, _: At, extrinsic: Vec<u8>) -> BoxFuture<'static, Result<(), String>> {
        let this = self.clone();
        async move {
            let (call, signature) =
                <(Vec<u8>, WorkerSignature)>::decode(&mut &extrinsic[..]).map_err(|e| e.to_string())?;
            let entry = <(AccountId, u32, Vec<Answer>, Vec<u8>)>::decode(&mut &call[..]).map_err(|e| e.to_string())?;
            let public = polkadot_sdk::sp_core::sr25519::Public::from_raw(*AsRef::<[u8; 32]>::as_ref(&entry.0));
            if !polkadot_sdk::sp_io::crypto::sr25519_verify(&signature, &call, &public) {
                return Err("bad signature".into());
            }
            let mut state = this.0.lock();
            state.submitted += 1;
            if state.nonces.get(&entry.0).copied().unwrap_or(0) > entry.1 {
                return Err("stale".into());
            }
            if state.pool.iter().any(|(w, n, ..)| (w, n) == (&entry.0, &entry.1)) {
                return Err("priority too low".into());
            }
            match state.lose.checked_sub(1) {
                Some(left) => state.lose = left,
                None => state.pool.push(entry),
            }
            Ok(())
        }
        .boxed()
    }
}

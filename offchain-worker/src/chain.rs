//! What the worker reads from the chain, and how it follows it.
//!
//! Everything is read at the best block, through the runtime API, off the worker's loop: a call into the runtime takes
//! milliseconds, and a ring of machines must not wait for it. Where the runtime lacks the API (an older chain, an upgrade under
//! way) the worker idles and says so once.

use crate::{keys::Keys, panics};
use assay_primitives::{
    api::{Duty, InferenceApi, JobView, PreparedAnswer},
    traits::ModelInfo,
    AccountId, Answer, JobHash, Receipt, WorkerSignature,
};
use futures::StreamExt;
use parking_lot::Mutex;
use polkadot_sdk::{
    frame_system_rpc_runtime_api::AccountNonceApi,
    sc_client_api::{BlockchainEvents, HeaderBackend},
    sp_api::{ApiExt, ProvideRuntimeApi},
    sp_consensus::SyncOracle,
    sp_core::H256,
    sp_runtime::traits::{Block as BlockT, Header, SaturatedConversion},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    marker::PhantomData,
    ops::Bound,
    sync::Arc,
};
use tokio::sync::mpsc;

/// Most jobs read at one block besides this provider's own.
const MAX_WATCHED: usize = 512;

/// Why the chain could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ChainError {
    /// The runtime has no inference API.
    #[error("the runtime at this block has no inference API")]
    NoApi,
    /// A call failed.
    #[error("runtime call failed: {0}")]
    Call(String),
}

/// A block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct At {
    /// Its hash.
    pub hash: H256,
    /// Its number.
    pub number: u32,
}

/// The runtime API at a block. Calls block the caller: use them off the loop.
pub trait Chain: Send + Sync + 'static {
    /// Hash of block 0.
    fn genesis(&self) -> H256;
    /// The best block.
    fn best(&self) -> At;
    /// The controller of a worker account.
    fn controller_of(&self, at: H256, worker: &AccountId) -> Result<Option<AccountId>, ChainError>;
    /// The peer id that the chain has for a controller.
    fn peer_of(&self, at: H256, controller: &AccountId) -> Result<Vec<u8>, ChainError>;
    /// The peer ids and worker accounts of all providers.
    fn providers(&self, at: H256) -> Result<Vec<(AccountId, Vec<u8>)>, ChainError>;
    /// What a worker owes.
    fn duties(&self, at: H256, worker: &AccountId) -> Result<Vec<Duty>, ChainError>;
    /// An open job.
    fn job(&self, at: H256, job: JobHash) -> Result<Option<JobView>, ChainError>;
    /// The receipt of a recent job.
    fn receipt(&self, at: H256, job: JobHash) -> Result<Option<Receipt>, ChainError>;
    /// The models in the registry.
    fn models(&self, at: H256) -> Result<Vec<ModelInfo>, ChainError>;
    /// The next nonce of an account.
    fn nonce(&self, at: H256, account: &AccountId) -> Result<u32, ChainError>;
    /// See [`InferenceApi::prepare_answer`].
    fn prepare_answer(
        &self,
        at: At,
        worker: &AccountId,
        nonce: u32,
        answers: Vec<Answer>,
    ) -> Result<Option<PreparedAnswer>, ChainError>;
    /// See [`InferenceApi::prepare_announce`].
    fn prepare_announce(
        &self,
        at: At,
        worker: &AccountId,
        nonce: u32,
        peer: Vec<u8>,
    ) -> Result<Option<PreparedAnswer>, ChainError>;
    /// See [`InferenceApi::assemble`].
    fn assemble(
        &self,
        at: H256,
        worker: &AccountId,
        prepared: PreparedAnswer,
        signature: WorkerSignature,
    ) -> Result<Option<Vec<u8>>, ChainError>;
}

/// [`Chain`] over a client.
pub struct RuntimeChain<B, C> {
    client: Arc<C>,
    block: PhantomData<fn() -> B>,
}

impl<B, C> RuntimeChain<B, C> {
    /// Over the node's client.
    pub fn new(client: Arc<C>) -> Self {
        Self { client, block: PhantomData }
    }
}

impl<B, C> RuntimeChain<B, C>
where
    B: BlockT<Hash = H256>,
    C: ProvideRuntimeApi<B>,
    C::Api: InferenceApi<B>,
{
    fn with<T>(
        &self,
        at: H256,
        call: impl FnOnce(&C::Api) -> Result<T, polkadot_sdk::sp_api::ApiError>,
    ) -> Result<T, ChainError> {
        let api = self.client.runtime_api();
        let has = api.has_api::<dyn InferenceApi<B>>(at).map_err(|e| ChainError::Call(e.to_string()))?;
        if !has {
            return Err(ChainError::NoApi);
        }
        call(&api).map_err(|e| ChainError::Call(e.to_string()))
    }
}

impl<B, C> Chain for RuntimeChain<B, C>
where
    B: BlockT<Hash = H256>,
    C: ProvideRuntimeApi<B> + HeaderBackend<B> + Send + Sync + 'static,
    C::Api: InferenceApi<B> + AccountNonceApi<B, AccountId, u32>,
{
    fn genesis(&self) -> H256 {
        self.client.info().genesis_hash
    }

    fn best(&self) -> At {
        let info = self.client.info();
        At { hash: info.best_hash, number: info.best_number.saturated_into() }
    }

    fn controller_of(&self, at: H256, worker: &AccountId) -> Result<Option<AccountId>, ChainError> {
        self.with(at, |api| api.controller_of(at, worker.clone()))
    }

    fn peer_of(&self, at: H256, controller: &AccountId) -> Result<Vec<u8>, ChainError> {
        self.with(at, |api| api.peer_of(at, controller.clone()))
    }

    fn providers(&self, at: H256) -> Result<Vec<(AccountId, Vec<u8>)>, ChainError> {
        self.with(at, |api| api.providers(at))
            .map(|providers| providers.into_iter().map(|p| (p.worker, p.peer)).collect())
    }

    fn duties(&self, at: H256, worker: &AccountId) -> Result<Vec<Duty>, ChainError> {
        self.with(at, |api| api.duties(at, worker.clone()))
    }

    fn job(&self, at: H256, job: JobHash) -> Result<Option<JobView>, ChainError> {
        self.with(at, |api| api.job(at, job))
    }

    fn receipt(&self, at: H256, job: JobHash) -> Result<Option<Receipt>, ChainError> {
        self.with(at, |api| api.receipt(at, job))
    }

    fn models(&self, at: H256) -> Result<Vec<ModelInfo>, ChainError> {
        self.with(at, |api| api.models(at))
    }

    fn nonce(&self, at: H256, account: &AccountId) -> Result<u32, ChainError> {
        let api = self.client.runtime_api();
        api.account_nonce(at, account.clone()).map_err(|e| ChainError::Call(e.to_string()))
    }

    fn prepare_answer(
        &self,
        at: At,
        worker: &AccountId,
        nonce: u32,
        answers: Vec<Answer>,
    ) -> Result<Option<PreparedAnswer>, ChainError> {
        self.with(at.hash, |api| api.prepare_answer(at.hash, worker.clone(), nonce, at.number.into(), answers))
    }

    fn prepare_announce(
        &self,
        at: At,
        worker: &AccountId,
        nonce: u32,
        peer: Vec<u8>,
    ) -> Result<Option<PreparedAnswer>, ChainError> {
        self.with(at.hash, |api| api.prepare_announce(at.hash, worker.clone(), nonce, at.number.into(), peer))
    }

    fn assemble(
        &self,
        at: H256,
        worker: &AccountId,
        prepared: PreparedAnswer,
        signature: WorkerSignature,
    ) -> Result<Option<Vec<u8>>, ChainError> {
        self.with(at, |api| api.assemble(at, worker.clone(), prepared, signature))
    }
}

/// Who this node acts for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The worker account.
    pub worker: AccountId,
    /// Its controller.
    pub controller: AccountId,
}

/// A job at a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobState {
    /// Open.
    Open(Arc<JobView>),
    /// Settled, and its receipt is among the recent ones.
    Settled(Arc<Receipt>),
    /// Neither: not yet known, refunded, or long gone.
    Absent,
}

impl JobState {
    /// The view of an open job.
    pub fn view(&self) -> Option<&Arc<JobView>> {
        match self {
            Self::Open(view) => Some(view),
            _ => None,
        }
    }
}

/// Everything that the worker needs to know of a block.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The best block.
    pub at: At,
    /// The newest finalized block.
    pub finalized: u32,
    /// Who this node acts for, if a key of its keystore is registered.
    pub identity: Option<Identity>,
    /// A worker key that is in the keystore, registered or not.
    pub key: Option<AccountId>,
    /// The worker's next nonce.
    pub nonce: u32,
    /// The peer id that the chain has for this provider.
    pub peer: Vec<u8>,
    /// What is owed, oldest first.
    pub duties: Vec<Duty>,
    /// The jobs with duties, and those watched.
    pub jobs: BTreeMap<JobHash, JobState>,
    /// Worker accounts and peer ids of all providers.
    pub providers: Vec<(AccountId, Vec<u8>)>,
}

/// Jobs that somebody wants to hear of without having a duty in them.
#[derive(Clone, Default)]
pub struct Watched {
    jobs: Arc<Mutex<WatchedJobs>>,
}

#[derive(Default)]
struct WatchedJobs {
    /// What this node works on, or keeps rows of.
    own: BTreeSet<JobHash>,
    /// What others brought up: subscribers, and peers with tokens of it.
    others: BTreeSet<JobHash>,
    /// The last of `others` that was read.
    last: JobHash,
}

impl Watched {
    /// Replaces the set.
    pub fn set(&self, own: BTreeSet<JobHash>, others: BTreeSet<JobHash>) {
        let mut jobs = self.jobs.lock();
        (jobs.own, jobs.others) = (own, others);
    }

    /// Adds a job.
    pub fn add(&self, job: JobHash) {
        self.jobs.lock().others.insert(job);
    }

    /// Whether a job is among them.
    pub fn contains(&self, job: &JobHash) -> bool {
        let jobs = self.jobs.lock();
        jobs.own.contains(job) || jobs.others.contains(job)
    }

    /// What to read now: all of its own; the others in turn, because anybody can bring up jobs that do not exist.
    fn get(&self) -> Vec<JobHash> {
        let mut jobs = self.jobs.lock();
        let WatchedJobs { own, others, last } = &mut *jobs;
        let after = others.range((Bound::Excluded(*last), Bound::Unbounded));
        let turn: Vec<JobHash> = after.chain(others.range(..=*last)).take(MAX_WATCHED).copied().collect();
        *last = turn.last().copied().unwrap_or_default();
        own.iter().copied().chain(turn).collect()
    }
}

/// The duty's stage.
pub fn stage_of(duty: &Duty) -> assay_primitives::StageRef {
    match duty {
        Duty::Execute(at) | Duty::Check(at) | Duty::Vote(at) | Duty::Reveal(at) => *at,
    }
}

/// State of one job at a block.
pub fn read_job(chain: &dyn Chain, at: H256, job: JobHash) -> Result<JobState, ChainError> {
    if let Some(view) = chain.job(at, job)? {
        return Ok(JobState::Open(Arc::new(view)));
    }
    Ok(chain.receipt(at, job)?.map_or(JobState::Absent, |receipt| JobState::Settled(Arc::new(receipt))))
}

/// Reads everything at a block.
pub fn read(chain: &dyn Chain, keys: &Keys, watched: &Watched, at: At, finalized: u32) -> Result<Snapshot, ChainError> {
    let mut workers = keys.workers();
    let providers = chain.providers(at.hash)?;
    // A provider's present key before one that it had: new work is assigned to the present one.
    workers.sort_by_key(|worker| !providers.iter().any(|(present, _)| present == worker));
    let mut identity = None;
    for worker in &workers {
        if let Some(controller) = chain.controller_of(at.hash, worker)? {
            identity = Some(Identity { worker: worker.clone(), controller });
            break;
        }
    }
    let mut snapshot = Snapshot {
        at,
        finalized,
        key: identity.as_ref().map(|i| i.worker.clone()).or_else(|| workers.first().cloned()),
        identity,
        nonce: 0,
        peer: Vec::new(),
        duties: Vec::new(),
        jobs: BTreeMap::new(),
        providers,
    };
    if let Some(Identity { worker, controller }) = &snapshot.identity {
        snapshot.nonce = chain.nonce(at.hash, worker)?;
        snapshot.peer = chain.peer_of(at.hash, controller)?;
        snapshot.duties = chain.duties(at.hash, worker)?;
    }
    let jobs: BTreeSet<JobHash> = snapshot.duties.iter().map(|duty| stage_of(duty).job).chain(watched.get()).collect();
    for job in jobs {
        snapshot.jobs.insert(job, read_job(chain, at.hash, job)?);
    }
    Ok(snapshot)
}

/// Follows best and finalized blocks and sends a snapshot of each best block, newest only. Ends when the client or the receiver
/// does.
pub async fn follow<B, C>(
    client: Arc<C>,
    chain: Arc<dyn Chain>,
    sync: Arc<dyn SyncOracle + Send + Sync>,
    keys: Keys,
    watched: Watched,
    snapshots: mpsc::Sender<Snapshot>,
) where
    B: BlockT<Hash = H256>,
    C: BlockchainEvents<B> + HeaderBackend<B>,
{
    let mut imports = client.import_notification_stream();
    let mut finality = client.finality_notification_stream();
    let mut warned = false;
    let mut last = None;
    loop {
        tokio::select! {
            import = imports.next() => match import {
                None => return,
                Some(import) if !import.is_new_best => continue,
                Some(_) => {},
            },
            finalized = finality.next() => match finalized {
                None => return,
                Some(finalized) => {
                    log::trace!(target: crate::LOG_TARGET, "finalized {}", finalized.header.number());
                    continue
                },
            },
            // A chain that stands still, or imports without notifications, is still looked at.
            _ = tokio::time::sleep(std::time::Duration::from_secs(6)) => {},
        }
        if sync.is_major_syncing() {
            continue;
        }
        let info = client.info();
        let at = At { hash: info.best_hash, number: info.best_number.saturated_into() };
        if last == Some(at) {
            continue;
        }
        let finalized = info.finalized_number.saturated_into();
        let (chain, keys, watched) = (chain.clone(), keys.clone(), watched.clone());
        let result = panics::blocking(move || read(&*chain, &keys, &watched, at, finalized)).await;
        match result {
            Ok(Ok(snapshot)) => {
                warned = false;
                last = Some(at);
                if snapshots.send(snapshot).await.is_err() {
                    return;
                }
            }
            Ok(Err(error)) => {
                if !std::mem::replace(&mut warned, true) {
                    log::warn!(target: crate::LOG_TARGET, "inference is idle: {error}");
                }
            }
            Err(text) => log::error!(target: crate::LOG_TARGET, "reading the chain panicked: {text}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn watched_reads_its_own_jobs_always_and_the_others_in_turn() {
        let job = |i: usize| JobHash::from_low_u64_be(i as u64 + 1);
        // By hash after all that others brought up.
        let own = JobHash::repeat_byte(0xff);
        let watched = Watched::default();
        let others: BTreeSet<JobHash> = (0..MAX_WATCHED).map(job).collect();
        watched.set([own].into(), others.clone());
        for i in MAX_WATCHED..2 * MAX_WATCHED + 9 {
            watched.add(job(i));
        }
        assert!(watched.contains(&own) && watched.contains(&job(MAX_WATCHED)) && !watched.contains(&JobHash::zero()));
        let mut read = BTreeSet::new();
        for _ in 0..3 {
            let turn = watched.get();
            assert_eq!((turn[0], turn.len()), (own, MAX_WATCHED + 1));
            read.extend(turn);
        }
        assert_eq!(read.len(), 2 * MAX_WATCHED + 10, "three turns reach all");
        // As many as fit are read at every block.
        watched.set(BTreeSet::new(), others.clone());
        for _ in 0..2 {
            assert_eq!(watched.get().into_iter().collect::<BTreeSet<_>>(), others);
        }
    }
}

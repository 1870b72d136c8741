//! Puts the worker together for a node.

use crate::{
    chain::{follow, Chain, RuntimeChain, Watched},
    cli::{InferenceParams, Switch},
    compute::Compute,
    context::{Alarm, Context},
    engine::Engine,
    error::Error,
    journal::Journal,
    keys::{insert_dev_key, Keys},
    local::{LocalEngine, NoEngine},
    metrics::Metrics,
    network::{protocol::ProtocolHandles, transport::ScTransport, ShardTransport},
    panics,
    rows::RowStore,
    rpc::{InferenceRpcServer, Rpc, Status},
    service::{Mailboxes, Service},
    stream::StreamHub,
    submitter::TxPool,
};
use assay_primitives::{api::InferenceApi, AccountId};
use codec::Decode;
use futures::{future::BoxFuture, FutureExt};
use jsonrpsee::RpcModule;
use parking_lot::RwLock;
use polkadot_sdk::{
    frame_system_rpc_runtime_api::AccountNonceApi,
    sc_client_api::{BlockchainEvents, HeaderBackend},
    sc_network::service::traits::NetworkService,
    sc_rpc::SubscriptionTaskExecutor,
    sc_transaction_pool_api::TransactionPool,
    sp_api::ProvideRuntimeApi,
    sp_consensus::SyncOracle,
    sp_core::H256,
    sp_keystore::KeystorePtr,
    sp_runtime::{traits::Block as BlockT, transaction_validity::TransactionSource},
    substrate_prometheus_endpoint::Registry,
};
use std::{path::PathBuf, sync::Arc, time::Duration};
use tokio::sync::mpsc;

/// The journal's place under the node's data directory.
const JOURNAL: &str = "inference/journal.log";
/// Pause before the loop is restarted after a panic; doubled each time.
const BACKOFF: Duration = Duration::from_secs(1);
const MAX_BACKOFF: Duration = Duration::from_secs(60);

/// The part of the worker that exists before the network does.
pub struct Worker<B, C> {
    client: Arc<C>,
    chain: Arc<dyn Chain>,
    keys: Keys,
    engine: Arc<dyn Engine>,
    hub: StreamHub,
    watched: Watched,
    status: Arc<RwLock<Status>>,
    params: InferenceParams,
    threads: usize,
    block: std::marker::PhantomData<fn() -> B>,
}

/// What [`Worker::start`] needs of the running node.
pub struct StartParams<P> {
    /// The network.
    pub network: Arc<dyn NetworkService>,
    /// From [`crate::configs`].
    pub handles: ProtocolHandles,
    /// Whether the node is still catching up.
    pub sync: Arc<dyn SyncOracle + Send + Sync>,
    /// The local transaction pool.
    pub pool: Arc<P>,
    /// The chain's data directory: the journal lies in it.
    pub data: PathBuf,
    /// Where metrics are registered.
    pub registry: Option<Registry>,
}

impl<B, C> Worker<B, C>
where
    B: BlockT<Hash = H256>,
    C: ProvideRuntimeApi<B> + HeaderBackend<B> + BlockchainEvents<B> + Send + Sync + 'static,
    C::Api: InferenceApi<B> + AccountNonceApi<B, AccountId, u32>,
{
    /// Opens the models and, where the node has a development seed (`--alice`), inserts its worker key.
    ///
    /// # Errors
    /// A model package, a backend or a development seed that cannot be used: the operator named it, so the node should not
    /// start without it.
    pub fn new(
        client: Arc<C>,
        keystore: KeystorePtr,
        params: InferenceParams,
        dev_seed: Option<&str>,
    ) -> Result<Self, Error> {
        if let Some(seed) = dev_seed {
            let worker = insert_dev_key(&*keystore, seed).map_err(|e| Error::Other(e.to_string()))?;
            log::info!(target: crate::LOG_TARGET, "development worker key {worker}");
        }
        let threads = params.threads();
        let enabled = params.inference == Switch::On;
        let engine: Arc<dyn Engine> = match enabled {
            true => Arc::new(LocalEngine::new(&params.models, &params.backend, threads)?),
            false => Arc::new(NoEngine),
        };
        #[cfg(feature = "faults")]
        let engine: Arc<dyn Engine> =
            Arc::new(crate::faults::FaultyEngine { inner: engine, fault: params.inference_fault });
        let chain: Arc<dyn Chain> = Arc::new(RuntimeChain::<B, C>::new(client.clone()));
        let status = Status { enabled, backend: engine.backend(), threads, ..Status::default() };
        Ok(Self {
            hub: StreamHub::new(chain.genesis(), Some(engine.clone())),
            watched: Watched::default(),
            status: Arc::new(RwLock::new(status)),
            keys: Keys::new(keystore),
            client,
            chain,
            engine,
            params,
            threads,
            block: std::marker::PhantomData,
        })
    }

    /// Builds the `inference_*` methods for one RPC server; `executor` runs its subscriptions.
    pub fn rpc(&self) -> impl Fn(SubscriptionTaskExecutor) -> RpcModule<()> + Send + Sync + Clone + 'static {
        let (hub, watched, chain, engine, status) =
            (self.hub.clone(), self.watched.clone(), self.chain.clone(), self.engine.clone(), self.status.clone());
        move |executor| {
            let rpc = Rpc {
                hub: hub.clone(),
                watched: watched.clone(),
                chain: chain.clone(),
                engine: engine.clone(),
                status: status.clone(),
                executor,
            };
            rpc.into_rpc().remove_context()
        }
    }

    /// The worker, to be spawned as a non-essential task. It ends with the node.
    pub fn start<P>(self, params: StartParams<P>) -> BoxFuture<'static, ()>
    where
        P: TransactionPool<Block = B> + 'static,
    {
        let StartParams { network, handles, sync, pool, data, registry } = params;
        let rows = RowStore::default();
        let (transport, network_events, reader, server) = ScTransport::new(network, handles, rows.clone());
        let transport: Arc<dyn ShardTransport> = Arc::new(transport);
        self.status.write().peer_id = transport.local_peer().to_string();

        let (snapshots, snapshot_events) = mpsc::channel(1);
        let (events, event_events) = mpsc::unbounded_channel();
        let acting = match self.params.inference {
            Switch::Off => None,
            Switch::On => match self.acting(&transport, rows, events.clone(), data, registry) {
                Ok(ctx) => Some((ctx, Arc::new(Pool(pool)) as Arc<dyn TxPool>)),
                Err(error) => {
                    log::error!(target: crate::LOG_TARGET, "this node does not act as provider: {error}");
                    self.status.write().alarm = Some(error.to_string());
                    None
                }
            },
        };
        let follower = follow::<B, C>(
            self.client.clone(),
            self.chain.clone(),
            sync,
            self.keys.clone(),
            self.watched.clone(),
            snapshots,
        );
        let service = Service {
            genesis: self.chain.genesis(),
            chain: self.chain,
            transport,
            keys: self.keys,
            hub: self.hub,
            watched: self.watched,
            status: self.status,
            acting,
            #[cfg(feature = "faults")]
            fault: self.params.inference_fault,
        };
        let mut mail = Mailboxes { network: network_events, snapshots: snapshot_events, events: event_events };
        async move {
            // Kept for as long as the loop may be restarted.
            let _events = events;
            let tasks = [("ring", reader), ("rows", server), ("follow", follower.boxed())];
            let tasks = tasks.map(|(name, task)| panics::spawn(name, task));
            supervise(&service, &mut mail).await;
            tasks.iter().for_each(tokio::task::JoinHandle::abort);
        }
        .boxed()
    }

    fn acting(
        &self,
        transport: &Arc<dyn ShardTransport>,
        rows: RowStore,
        events: mpsc::UnboundedSender<crate::context::Event>,
        data: PathBuf,
        registry: Option<Registry>,
    ) -> Result<Context, Error> {
        Ok(Context {
            genesis: self.chain.genesis(),
            chain: self.chain.clone(),
            engine: self.engine.clone(),
            compute: Compute::new(self.threads)?,
            transport: transport.clone(),
            keys: self.keys.clone(),
            journal: Journal::open(data.join(JOURNAL))?,
            rows,
            events,
            block: Arc::default(),
            alarm: Alarm::default(),
            metrics: Metrics::new(registry.as_ref()),
        })
    }
}

/// Runs the loop until the node ends, and again after a panic.
async fn supervise(service: &Service, mail: &mut Mailboxes) {
    let mut pause = BACKOFF;
    loop {
        let started = std::time::Instant::now();
        match panics::caught(service.run(mail)).await {
            Ok(()) => return,
            Err(text) => {
                log::error!(target: crate::LOG_TARGET, "the worker panicked: {text}; it starts again in {pause:?}")
            }
        }
        if started.elapsed() > MAX_BACKOFF {
            pause = BACKOFF;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(MAX_BACKOFF);
    }
}

/// [`TxPool`] over the node's pool.
struct Pool<P>(Arc<P>);

impl<B, P> TxPool for Pool<P>
where
    B: BlockT<Hash = H256>,
    P: TransactionPool<Block = B> + 'static,
{
    fn submit(&self, at: crate::chain::At, extrinsic: Vec<u8>) -> BoxFuture<'static, Result<(), String>> {
        let pool = self.0.clone();
        async move {
            let extrinsic = B::Extrinsic::decode(&mut &extrinsic[..]).map_err(|e| e.to_string())?;
            let submitted = pool.submit_one(at.hash, TransactionSource::Local, extrinsic).await;
            submitted.map(|_| ()).map_err(|e| e.to_string())
        }
        .boxed()
    }
}

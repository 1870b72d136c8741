//! What the node and its subcommands have in common: database, client, transaction pool, import queue.

use super::{Error, GrandpaBlockImport, GRANDPA_JUSTIFICATION_PERIOD};
use crate::{chain_spec, rpc};
use assay_runtime::{opaque::Block, RuntimeApi, VERSION};
use jsonrpsee::RpcModule;
use polkadot_sdk::{
    sc_consensus::{DefaultImportQueue, LongestChain},
    sc_consensus_babe::{self, BabeBlockImport, BabeLink, BabeWorkerHandle},
    sc_consensus_grandpa::{self, FinalityProofProvider, GrandpaPruningFilter, LinkHalf, SharedVoterState},
    sc_executor::WasmExecutor,
    sc_rpc::SubscriptionTaskExecutor,
    sc_service::{
        self, Configuration, GenesisBlockBuilder, KeystoreContainer, PartialComponents, TFullBackend, TFullClient,
        TaskManager,
    },
    sc_telemetry::{self, Telemetry, TelemetryHandle, TelemetryWorker},
    sc_transaction_pool::{self, TransactionPoolHandle},
    sc_transaction_pool_api::OffchainTransactionPoolFactory,
    sp_consensus_babe::inherents::{BabeCreateInherentDataProviders, InherentDataProvider},
    sp_core::traits::CallContext,
    sp_io, sp_timestamp,
};
use std::sync::Arc;

/// Executes the runtime. It imports the standard host functions and no others, so that every explorer, bencher and
/// light client can execute it too.
pub type Executor = WasmExecutor<sp_io::SubstrateHostFunctions>;
/// The chain: state, blocks, runtime calls.
pub type FullClient = TFullClient<Block, RuntimeApi, Executor>;
/// The database.
pub type FullBackend = TFullBackend<Block>;
/// How the best chain is chosen.
pub type FullSelectChain = LongestChain<FullBackend, Block>;
/// Transactions that wait.
pub type TransactionPool = TransactionPoolHandle<Block, FullClient>;

/// Imports blocks through BABE's rules, then GRANDPA's.
pub type BlockImport =
    BabeBlockImport<Block, FullClient, GrandpaBlockImport, BabeCreateInherentDataProviders<Block>, FullSelectChain>;

/// Builds the RPC module of one connection.
pub type RpcBuilder = Box<dyn Fn(SubscriptionTaskExecutor) -> Result<RpcModule<()>, sc_service::Error>>;

/// What the running node needs besides the common parts.
pub struct Consensus {
    /// The way into the database for blocks.
    pub block_import: BlockImport,
    /// To BABE's authoring.
    pub babe_link: BabeLink<Block>,
    /// Keeps BABE's essential task alive for as long as it is held.
    pub babe_worker: BabeWorkerHandle<Block>,
    /// To GRANDPA's voter.
    pub grandpa_link: LinkHalf<Block, FullClient, FullSelectChain>,
    /// The voter's state, for RPC.
    pub shared_voter_state: SharedVoterState,
    /// Builds the node's own RPC methods.
    pub rpc_builder: RpcBuilder,
    /// Where telemetry goes.
    pub telemetry: Option<Telemetry>,
}

/// The common parts.
pub type Partial =
    PartialComponents<FullClient, FullBackend, FullSelectChain, DefaultImportQueue<Block>, TransactionPool, Consensus>;

/// The executor that `config` asks for.
pub fn executor(config: &Configuration) -> Executor {
    sc_service::new_wasm_executor(&config.executor)
}

/// Opens the database and puts the common parts together.
///
/// # Errors
///
/// The chain spec is not of this chain, the database holds another chain, or a part failed to start.
pub fn new_partial(config: &Configuration) -> Result<Partial, sc_service::Error> {
    let telemetry = config
        .telemetry_endpoints
        .clone()
        .filter(|endpoints| !endpoints.is_empty())
        .map(|endpoints| -> Result<_, sc_telemetry::Error> {
            let worker = TelemetryWorker::new(16)?;
            let telemetry = worker.handle().new_telemetry(endpoints);
            Ok((worker, telemetry))
        })
        .transpose()?;

    let (client, backend, keystore_container, task_manager) =
        open_chain(config, telemetry.as_ref().map(|(_, telemetry)| telemetry.handle()))?;
    let client = Arc::new(client);

    let telemetry = telemetry.map(|(worker, telemetry)| {
        task_manager.spawn_handle().spawn("telemetry", Some("telemetry"), worker.run());
        telemetry
    });
    let telemetry_handle = telemetry.as_ref().map(Telemetry::handle);

    let select_chain = LongestChain::new(backend.clone());
    let transaction_pool = Arc::from(
        sc_transaction_pool::Builder::new(
            task_manager.spawn_essential_handle(),
            client.clone(),
            config.role.is_authority().into(),
        )
        .with_options(config.transaction_pool.clone())
        .with_prometheus(config.prometheus_registry())
        .build(),
    );

    let (grandpa_block_import, grandpa_link) = sc_consensus_grandpa::block_import(
        client.clone(),
        GRANDPA_JUSTIFICATION_PERIOD,
        &client,
        select_chain.clone(),
        telemetry_handle.clone(),
    )?;

    let babe_config = sc_consensus_babe::configuration(&*client)?;
    let slot_duration = babe_config.slot_duration();
    let inherents: BabeCreateInherentDataProviders<Block> = Arc::new(move |_, ()| async move {
        let timestamp = sp_timestamp::InherentDataProvider::from_system_time();
        Ok((InherentDataProvider::from_timestamp_and_slot_duration(*timestamp, slot_duration), timestamp))
    });
    let (block_import, babe_link) = sc_consensus_babe::block_import(
        babe_config,
        grandpa_block_import.clone(),
        client.clone(),
        inherents,
        select_chain.clone(),
        OffchainTransactionPoolFactory::new(transaction_pool.clone()),
    )?;
    let (import_queue, babe_worker) = sc_consensus_babe::import_queue(sc_consensus_babe::ImportQueueParams {
        link: babe_link.clone(),
        block_import: block_import.clone(),
        justification_import: Some(Box::new(grandpa_block_import)),
        client: client.clone(),
        slot_duration,
        spawner: &task_manager.spawn_essential_handle(),
        registry: config.prometheus_registry(),
        telemetry: telemetry_handle,
    })?;

    let shared_voter_state = SharedVoterState::empty();
    let finality_provider =
        FinalityProofProvider::new_for_service(backend.clone(), Some(grandpa_link.shared_authority_set().clone()));
    let rpc_builder = {
        let client = client.clone();
        let pool = transaction_pool.clone();
        let select_chain = select_chain.clone();
        let chain_spec = config.chain_spec.cloned_box();
        let keystore = keystore_container.keystore();
        let babe_worker = babe_worker.clone();
        let shared_voter_state = shared_voter_state.clone();
        let shared_authority_set = grandpa_link.shared_authority_set().clone();
        let justification_stream = grandpa_link.justification_stream();
        Box::new(move |executor: SubscriptionTaskExecutor| {
            let deps = rpc::Deps {
                client: client.clone(),
                pool: pool.clone(),
                select_chain: select_chain.clone(),
                chain_spec: chain_spec.cloned_box(),
                keystore: keystore.clone(),
                babe_worker: babe_worker.clone(),
                grandpa: rpc::GrandpaDeps {
                    shared_voter_state: shared_voter_state.clone(),
                    shared_authority_set: shared_authority_set.clone(),
                    justification_stream: justification_stream.clone(),
                    finality_provider: finality_provider.clone(),
                },
            };
            rpc::create(deps, executor).map_err(sc_service::Error::Application)
        })
    };

    Ok(PartialComponents {
        client,
        backend,
        task_manager,
        keystore_container,
        select_chain,
        import_queue,
        transaction_pool,
        other: Consensus {
            block_import,
            babe_link,
            babe_worker,
            grandpa_link,
            shared_voter_state,
            rpc_builder,
            telemetry,
        },
    })
}

/// Opens the database, or makes it from the chain spec, and refuses a spec of another chain and a database that another spec
/// made.
fn open_chain(
    config: &Configuration,
    telemetry: Option<TelemetryHandle>,
) -> Result<(FullClient, Arc<FullBackend>, KeystoreContainer, TaskManager), sc_service::Error> {
    let spec = || config.chain_spec.id().to_string();
    let executor = executor(config);
    // Built once for both uses: a preset's state is built by its own runtime, which has to be compiled for that.
    let storage = config.chain_spec.as_storage_builder().build_storage()?;
    let given = chain_spec::genesis_hash(&storage, &executor)?;

    let mut database = config.db_config();
    // Blocks with a GRANDPA justification survive pruning: warp sync steps over them.
    database.pruning_filters = vec![Arc::new(GrandpaPruningFilter)];
    let backend = sc_service::new_db_backend(database)?;
    let genesis =
        GenesisBlockBuilder::new_with_storage(storage, !config.no_genesis(), backend.clone(), executor.clone())?;
    let parts = sc_service::new_full_parts_with_genesis_builder(config, telemetry, executor, backend, genesis, false)?;

    let client: &FullClient = &parts.0;
    let chain = client.chain_info();
    if chain.genesis_hash != given {
        return Err(Error::WrongDatabase { spec: spec(), stored: chain.genesis_hash, given }.into());
    }
    // Before a warp sync there is no state to ask.
    if !config.no_genesis() {
        let found = client.runtime_version_at(chain.best_hash, CallContext::Offchain)?.spec_name;
        if found != VERSION.spec_name {
            let (found, expected) = (found.into(), VERSION.spec_name.into());
            return Err(Error::WrongRuntime { spec: spec(), found, expected }.into());
        }
    }
    Ok(parts)
}

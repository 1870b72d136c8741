//! The running node: network, RPC, block production, finality, authority discovery, and the place of the inference
//! worker.

use super::{
    partial::{new_partial, Consensus, FullBackend, FullClient, TransactionPool},
    GRANDPA_JUSTIFICATION_PERIOD,
};
use assay_runtime::{opaque::Block, Hash};
use assay_worker::{InferenceParams, StartParams, Worker};
use futures::{FutureExt, StreamExt};
use polkadot_sdk::{
    sc_authority_discovery, sc_basic_authorship,
    sc_client_api::Backend as _,
    sc_consensus_babe, sc_consensus_grandpa,
    sc_consensus_slots::BackoffAuthoringOnFinalizedHeadLagging,
    sc_network::{
        config::FullNetworkConfiguration, event::Event, service::traits::NetworkService, NetworkBackend,
        NetworkEventStream,
    },
    sc_offchain,
    sc_rpc::SubscriptionTaskExecutor,
    sc_service::{self, Configuration, PartialComponents, TaskManager, WarpSyncConfig},
    sc_sysinfo::{self, HwBench},
    sc_telemetry::Telemetry,
    sc_transaction_pool_api::OffchainTransactionPoolFactory,
    sp_consensus_babe::inherents::InherentDataProvider,
    sp_keystore::KeystorePtr,
    sp_timestamp,
    substrate_prometheus_endpoint::Registry,
};
use std::{path::PathBuf, sync::Arc, time::Duration};

/// How long GRANDPA gathers votes before it gossips them: a sixth of a slot.
const GRANDPA_GOSSIP_DURATION: Duration = Duration::from_millis(333);

/// While finality stalls, authors slow down, but never to fewer than one block in this many slots: jobs have
/// deadlines.
const MAX_BACKOFF_SLOTS: u32 = 10;

/// Starts the node. It runs until the returned manager's essential tasks end.
///
/// # Errors
///
/// A part failed to start; see [`new_partial`].
pub fn new_full<N: NetworkBackend<Block, Hash>>(
    config: Configuration,
    hardware: Option<HwBench>,
    inference: InferenceParams,
) -> Result<TaskManager, sc_service::Error> {
    let PartialComponents {
        client,
        backend,
        mut task_manager,
        import_queue,
        keystore_container,
        select_chain,
        transaction_pool,
        other:
            Consensus { block_import, babe_link, babe_worker, grandpa_link, shared_voter_state, rpc_builder, mut telemetry },
    } = new_partial(&config)?;
    // Without its handle BABE's essential task would end, and the node with it.
    task_manager.keep_alive(babe_worker);

    let role = config.role;
    let name = config.network.node_name.clone();
    let force_authoring = config.force_authoring;
    let disable_grandpa = config.disable_grandpa;
    let prometheus = config.prometheus_registry().cloned();
    let keystore = keystore_container.keystore();
    let discovery = AuthorityDiscovery {
        publish_non_global_ips: config.network.allow_non_globals_in_dht,
        public_addresses: config.network.public_addresses.clone(),
        cache: config.network.net_config_path.clone(),
    };

    let mut net_config = FullNetworkConfiguration::<Block, Hash, N>::new(&config.network, prometheus.clone());
    let metrics = N::register_notification_metrics(prometheus.as_ref());
    let grandpa_protocol =
        sc_consensus_grandpa::protocol_standard_name(&client.chain_info().genesis_hash, &config.chain_spec);
    let (grandpa_config, grandpa_notifications) = sc_consensus_grandpa::grandpa_peers_set_config::<_, N>(
        grandpa_protocol.clone(),
        metrics.clone(),
        net_config.peer_store_handle(),
    );
    net_config.add_notification_protocol(grandpa_config);

    let worker = Worker::new(client.clone(), keystore.clone(), inference, config.dev_key_seed.as_deref())
        .map_err(|error| sc_service::Error::Application(error.into()))?;
    let worker_protocols = assay_worker::configs::<Block, N>(
        client.chain_info().genesis_hash,
        metrics.clone(),
        net_config.peer_store_handle(),
    );
    net_config.add_notification_protocol(worker_protocols.ring);
    net_config.add_request_response_protocol(worker_protocols.rows);
    let worker_rpc = worker.rpc();
    let rpc_builder = Box::new(move |executor: SubscriptionTaskExecutor| {
        let mut module = rpc_builder(executor.clone())?;
        module.merge(worker_rpc(executor)).map_err(|error| sc_service::Error::Application(error.into()))?;
        Ok(module)
    });
    let data = config.data_path.clone();

    let warp_sync = Arc::new(sc_consensus_grandpa::warp_proof::NetworkProvider::new(
        backend.clone(),
        grandpa_link.shared_authority_set().clone(),
        Vec::new(),
    ));
    let (network, system_rpc_tx, tx_handler_controller, sync_service, _) =
        sc_service::build_network(sc_service::BuildNetworkParams {
            config: &config,
            net_config,
            client: client.clone(),
            transaction_pool: transaction_pool.clone(),
            spawn_handle: task_manager.spawn_handle(),
            spawn_essential_handle: task_manager.spawn_essential_handle(),
            import_queue,
            block_announce_validator_builder: None,
            warp_sync_config: Some(WarpSyncConfig::WithProvider(warp_sync)),
            block_relay: None,
            metrics,
            gap_sync_body_policy: None,
        })?;

    if config.offchain_worker.enabled {
        spawn_offchain_workers(
            &task_manager,
            &client,
            &backend,
            &transaction_pool,
            &network,
            &keystore,
            role.is_authority(),
        )?;
    }

    sc_service::spawn_tasks(sc_service::SpawnTasksParams {
        config,
        client: client.clone(),
        backend: backend.clone(),
        task_manager: &mut task_manager,
        keystore: keystore.clone(),
        transaction_pool: transaction_pool.clone(),
        rpc_builder,
        network: network.clone(),
        system_rpc_tx,
        tx_handler_controller,
        sync_service: sync_service.clone(),
        telemetry: telemetry.as_mut(),
        tracing_execute_block: None,
    })?;
    if let Some(hardware) = hardware {
        report_hardware(&task_manager, hardware, telemetry.as_mut());
    }
    let telemetry = telemetry.as_ref().map(Telemetry::handle);

    // Not essential: nothing that happens to the inference worker stops block production.
    let worker = worker.start(StartParams {
        network: network.clone(),
        handles: worker_protocols.handles,
        sync: sync_service.clone(),
        pool: transaction_pool.clone(),
        data,
        registry: prometheus.clone(),
    });
    task_manager.spawn_handle().spawn("inference-worker", Some("inference"), worker);

    if role.is_authority() {
        discovery.spawn(&task_manager, &client, &network, &keystore, prometheus.clone());

        let proposer = sc_basic_authorship::ProposerFactory::new(
            task_manager.spawn_handle(),
            client.clone(),
            transaction_pool.clone(),
            prometheus.as_ref(),
            telemetry.clone(),
        );
        let slot_duration = babe_link.config().slot_duration();
        let babe = sc_consensus_babe::start_babe(sc_consensus_babe::BabeParams {
            keystore: keystore.clone(),
            client: client.clone(),
            select_chain,
            env: proposer,
            block_import,
            sync_oracle: sync_service.clone(),
            justification_sync_link: sync_service.clone(),
            create_inherent_data_providers: move |_, ()| async move {
                let timestamp = sp_timestamp::InherentDataProvider::from_system_time();
                Ok((InherentDataProvider::from_timestamp_and_slot_duration(*timestamp, slot_duration), timestamp))
            },
            force_authoring,
            backoff_authoring_blocks: Some(BackoffAuthoringOnFinalizedHeadLagging {
                max_interval: MAX_BACKOFF_SLOTS,
                ..Default::default()
            }),
            babe_link,
            block_proposal_slot_portion: sc_consensus_babe::SlotProportion::new(2f32 / 3f32),
            max_block_proposal_slot_portion: None,
            telemetry: telemetry.clone(),
        })?;
        task_manager.spawn_essential_handle().spawn_blocking("babe", Some("block-authoring"), babe);
    }

    if !disable_grandpa {
        // Nodes that are no validators follow the votes too: it is how they learn of finality at once.
        let voter = sc_consensus_grandpa::run_grandpa_voter(sc_consensus_grandpa::GrandpaParams {
            config: sc_consensus_grandpa::Config {
                gossip_duration: GRANDPA_GOSSIP_DURATION,
                justification_generation_period: GRANDPA_JUSTIFICATION_PERIOD,
                observer_enabled: false,
                local_role: role,
                name: Some(name),
                keystore: role.is_authority().then_some(keystore),
                telemetry: telemetry.clone(),
                protocol_name: grandpa_protocol,
            },
            link: grandpa_link,
            network,
            sync: sync_service,
            notification_service: grandpa_notifications,
            telemetry,
            voting_rule: sc_consensus_grandpa::VotingRulesBuilder::default().build(),
            prometheus_registry: prometheus,
            shared_voter_state,
            offchain_tx_pool_factory: OffchainTransactionPoolFactory::new(transaction_pool),
        })?;
        task_manager.spawn_essential_handle().spawn_blocking("grandpa-voter", None, voter);
    }

    Ok(task_manager)
}

/// Runs the runtime's own off-chain worker calls: consensus pallets report equivocations from them.
fn spawn_offchain_workers(
    task_manager: &TaskManager,
    client: &Arc<FullClient>,
    backend: &Arc<FullBackend>,
    transaction_pool: &Arc<TransactionPool>,
    network: &Arc<dyn NetworkService>,
    keystore: &KeystorePtr,
    is_validator: bool,
) -> Result<(), sc_service::Error> {
    let workers = sc_offchain::OffchainWorkers::new(sc_offchain::OffchainWorkerOptions {
        runtime_api_provider: client.clone(),
        keystore: Some(keystore.clone()),
        offchain_db: backend.offchain_storage(),
        transaction_pool: Some(OffchainTransactionPoolFactory::new(transaction_pool.clone())),
        network_provider: Arc::new(network.clone()),
        is_validator,
        enable_http_requests: false,
        custom_extensions: |_| Vec::new(),
    })?;
    task_manager.spawn_handle().spawn(
        "offchain-workers-runner",
        "offchain-worker",
        workers.run(client.clone(), task_manager.spawn_handle()).boxed(),
    );
    Ok(())
}

/// Logs what the machine can do, and tells telemetry.
fn report_hardware(task_manager: &TaskManager, hardware: HwBench, telemetry: Option<&mut Telemetry>) {
    sc_sysinfo::print_hwbench(&hardware);
    if let Some(telemetry) = telemetry {
        task_manager.spawn_handle().spawn(
            "telemetry_hwbench",
            None,
            sc_sysinfo::initialize_hwbench_telemetry(telemetry.handle(), hardware),
        );
    }
}

/// How a validator publishes its addresses, and finds those of the others.
struct AuthorityDiscovery {
    publish_non_global_ips: bool,
    public_addresses: Vec<polkadot_sdk::sc_network::Multiaddr>,
    cache: Option<PathBuf>,
}

impl AuthorityDiscovery {
    fn spawn(
        self,
        task_manager: &TaskManager,
        client: &Arc<FullClient>,
        network: &Arc<dyn NetworkService>,
        keystore: &KeystorePtr,
        prometheus: Option<Registry>,
    ) {
        let dht_events = network.event_stream("authority-discovery").filter_map(|event| async move {
            match event {
                Event::Dht(event) => Some(event),
                _ => None,
            }
        });
        let (worker, _service) = sc_authority_discovery::new_worker_and_service_with_config(
            sc_authority_discovery::WorkerConfig {
                publish_non_global_ips: self.publish_non_global_ips,
                public_addresses: self.public_addresses,
                // A record must be signed by the network identity that it names.
                strict_record_validation: true,
                persisted_cache_directory: self.cache,
                ..Default::default()
            },
            client.clone(),
            Arc::new(network.clone()),
            Box::pin(dht_events),
            sc_authority_discovery::Role::PublishAndDiscover(keystore.clone()),
            prometheus,
            task_manager.spawn_handle(),
        );
        task_manager.spawn_handle().spawn("authority-discovery-worker", Some("authority-discovery"), worker.run());
    }
}

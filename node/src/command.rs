//! Does what the command line says.

use crate::{
    chain_spec,
    cli::{Cli, Subcommand},
    service,
};
use assay_runtime::opaque::Block;
use codec::Encode;
use polkadot_sdk::{
    sc_chain_spec,
    sc_cli::{self, SubstrateCli},
    sc_consensus_babe, sc_consensus_grandpa,
    sc_network::{config::NetworkBackendType, Litep2pNetworkBackend, NetworkWorker},
    sc_service,
    sc_storage_monitor::StorageMonitorService,
    sc_sysinfo,
    sp_runtime::traits::Block as BlockT,
};

impl SubstrateCli for Cli {
    fn impl_name() -> String {
        "Assay Node".into()
    }

    fn impl_version() -> String {
        env!("SUBSTRATE_CLI_IMPL_VERSION").into()
    }

    fn description() -> String {
        env!("CARGO_PKG_DESCRIPTION").into()
    }

    fn author() -> String {
        "The Assay authors".into()
    }

    fn support_url() -> String {
        "see README.md".into()
    }

    fn copyright_start_year() -> i32 {
        2026
    }

    fn load_spec(&self, id: &str) -> Result<Box<dyn sc_chain_spec::ChainSpec>, String> {
        Ok(Box::new(chain_spec::load(id)?))
    }
}

/// Parses the command line and does what it says.
///
/// # Errors
///
/// Whatever went wrong, in words for the operator.
pub fn run() -> sc_cli::Result<()> {
    let cli = Cli::from_args();
    match &cli.subcommand {
        None => run_node(cli),
        Some(subcommand) => run_subcommand(&cli, subcommand),
    }
}

fn run_node(cli: Cli) -> sc_cli::Result<()> {
    let runner = cli.create_runner(&cli.run)?;
    runner.run_node_until_exit(|config| async move {
        let database = config.database.path().map(ToOwned::to_owned);
        let hardware = (config.role.is_authority() && !cli.no_hardware_benchmarks).then(|| {
            // Where the disk is measured.
            let _ = std::fs::create_dir_all(&config.data_path);
            sc_sysinfo::gather_hwbench(Some(&config.data_path), &sc_sysinfo::Requirements(Vec::new()))
        });

        let task_manager = match config.network.network_backend {
            NetworkBackendType::Litep2p => service::new_full::<Litep2pNetworkBackend>(config, hardware, cli.inference),
            NetworkBackendType::Libp2p => {
                service::new_full::<NetworkWorker<Block, <Block as BlockT>::Hash>>(config, hardware, cli.inference)
            }
        }?;

        if let Some(path) = database {
            StorageMonitorService::try_spawn(cli.storage_monitor, path, &task_manager.spawn_essential_handle())
                .map_err(|error| sc_service::Error::Application(error.into()))?;
        }
        Ok::<_, sc_cli::Error>(task_manager)
    })
}

fn run_subcommand(cli: &Cli, subcommand: &Subcommand) -> sc_cli::Result<()> {
    match subcommand {
        Subcommand::Key(cmd) => cmd.run(cli),
        Subcommand::ExportChainSpec(cmd) => cmd.run(cli.load_spec(&cmd.chain)?),
        Subcommand::BuildSpec(cmd) => {
            cli.create_runner(cmd)?.sync_run(|config| cmd.run(config.chain_spec, config.network))
        }
        Subcommand::ExportGenesis(cmd) => cli.create_runner(cmd)?.sync_run(|config| {
            let storage = config.chain_spec.as_storage_builder().build_storage()?;
            let block = chain_spec::genesis_block(&storage, &service::executor(&config))?;
            let genesis = serde_json::json!({
                "id": config.chain_spec.id(),
                "hash": block.hash(),
                "stateRoot": block.header.state_root,
                "header": polkadot_sdk::sp_core::bytes::to_hex(&block.header.encode(), false),
            });
            println!("{genesis:#}");
            Ok(())
        }),
        Subcommand::CheckBlock(cmd) => cli.create_runner(cmd)?.async_run(|config| {
            let parts = service::new_partial(&config)?;
            Ok((cmd.run(parts.client, parts.import_queue), parts.task_manager))
        }),
        Subcommand::ExportBlocks(cmd) => cli.create_runner(cmd)?.async_run(|config| {
            let parts = service::new_partial(&config)?;
            Ok((cmd.run(parts.client, config.database), parts.task_manager))
        }),
        Subcommand::ExportState(cmd) => cli.create_runner(cmd)?.async_run(|config| {
            let parts = service::new_partial(&config)?;
            Ok((cmd.run(parts.client, config.chain_spec), parts.task_manager))
        }),
        Subcommand::ImportBlocks(cmd) => cli.create_runner(cmd)?.async_run(|config| {
            let parts = service::new_partial(&config)?;
            Ok((cmd.run(parts.client, parts.import_queue), parts.task_manager))
        }),
        Subcommand::PurgeChain(cmd) => cli.create_runner(cmd)?.sync_run(|config| cmd.run(config.database)),
        Subcommand::Revert(cmd) => cli.create_runner(cmd)?.async_run(|config| {
            let parts = service::new_partial(&config)?;
            let revert_consensus = Box::new(|client: std::sync::Arc<service::FullClient>, backend, blocks| {
                sc_consensus_babe::revert(client.clone(), backend, blocks)?;
                sc_consensus_grandpa::revert(client, blocks)?;
                Ok(())
            });
            Ok((cmd.run(parts.client, parts.backend, Some(revert_consensus)), parts.task_manager))
        }),
        Subcommand::ChainInfo(cmd) => cli.create_runner(cmd)?.sync_run(|config| cmd.run::<Block>(&config)),
    }
}

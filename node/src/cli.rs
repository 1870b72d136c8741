//! The command line: what there is to say. What is done about it is in [`crate::command`].

use polkadot_sdk::{sc_cli, sc_storage_monitor};

/// The Assay node: a Substrate node that also runs inference.
#[derive(Debug, clap::Parser)]
pub struct Cli {
    /// What to do instead of running the node.
    #[command(subcommand)]
    pub subcommand: Option<Subcommand>,

    #[allow(missing_docs)]
    #[clap(flatten)]
    pub run: sc_cli::RunCmd,

    #[allow(missing_docs)]
    #[clap(flatten)]
    pub storage_monitor: sc_storage_monitor::StorageMonitorParams,

    #[allow(missing_docs)]
    #[clap(flatten)]
    pub inference: assay_worker::InferenceParams,

    /// Do not measure the machine at the start. A validator measures CPU, memory and disk, and reports them by
    /// telemetry.
    #[arg(long)]
    pub no_hardware_benchmarks: bool,
}

/// What the binary does besides running the node.
#[derive(Debug, clap::Subcommand)]
pub enum Subcommand {
    /// Generate, inspect and insert keys.
    #[command(subcommand)]
    Key(sc_cli::KeySubcommand),

    /// Write a chain spec, plain or raw, with this node as the boot node if it names none.
    BuildSpec(sc_cli::BuildSpecCmd),

    /// Write a chain spec, plain or raw, as it is.
    ExportChainSpec(sc_cli::ExportChainSpecCmd),

    /// Show the genesis block that a chain spec leads to. Two specs are of one network iff its hash is the same.
    ExportGenesis(ExportGenesisCmd),

    /// Execute blocks of the database again and check them.
    CheckBlock(sc_cli::CheckBlockCmd),

    /// Write blocks of the database to a file.
    ExportBlocks(sc_cli::ExportBlocksCmd),

    /// Write the state at a block as a chain spec.
    ExportState(sc_cli::ExportStateCmd),

    /// Import blocks from a file.
    ImportBlocks(sc_cli::ImportBlocksCmd),

    /// Remove the whole chain from the disk.
    PurgeChain(sc_cli::PurgeChainCmd),

    /// Go back by some blocks.
    Revert(sc_cli::RevertCmd),

    /// Show what the database holds.
    ChainInfo(sc_cli::ChainInfoCmd),
}

/// Parameters of `export-genesis`.
#[derive(Debug, clap::Parser)]
pub struct ExportGenesisCmd {
    #[allow(missing_docs)]
    #[clap(flatten)]
    pub shared: sc_cli::SharedParams,
}

impl sc_cli::CliConfiguration for ExportGenesisCmd {
    fn shared_params(&self) -> &sc_cli::SharedParams {
        &self.shared
    }
}

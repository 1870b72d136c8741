//! # assay
//!
//! The command line of the Assay chain, for people and scripts: ask for an inference and watch it being verified, look at models,
//! providers, jobs and receipts, and manage a provider's bonds and asks.
//!
//! Every command talks JSON-RPC to one node (`--url`). Reads go through the chain's `InferenceApi` runtime API and decode to the
//! types of `assay-primitives`; calls are checked against the node's metadata before they are signed.

mod amount;
mod chain;
mod cli;
mod commands;
mod error;
mod output;
mod tx;

use clap::Parser;

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::process::ExitCode {
    let cli = cli::Cli::parse();
    let json = cli.json;
    match commands::run(cli).await {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            output::error(&error, json);
            error.exit_code().into()
        }
    }
}

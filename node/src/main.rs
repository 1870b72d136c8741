//! The Assay node.
// The SDK's errors, of the command line and of the service, are what they are.
#![allow(clippy::result_large_err)]

mod chain_spec;
mod cli;
mod command;
mod rpc;
mod service;

fn main() -> std::process::ExitCode {
    match command::run() {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("assay-node: {error}");
            std::process::ExitCode::FAILURE
        }
    }
}

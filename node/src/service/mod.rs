//! The node's parts, put together: [`partial`] is what every subcommand needs, [`full`] what runs.

mod full;
mod partial;

pub use full::new_full;
pub use partial::{executor, new_partial, FullBackend, FullClient, FullSelectChain, TransactionPool};

use assay_runtime::{opaque::Block, Hash};
use polkadot_sdk::sc_service;

/// For how many blocks at most GRANDPA goes without keeping a justification. Warp sync and bridges step from one to
/// the next.
const GRANDPA_JUSTIFICATION_PERIOD: u32 = 512;

/// Why the node did not start, where the SDK has no word for it.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(
        "the chain spec `{spec}` is of another chain: its runtime is `{found}`, and this node runs `{expected}`; \
         give `--chain` a spec of Assay"
    )]
    WrongRuntime { spec: String, found: String, expected: String },

    #[error(
        "the database holds another chain: its genesis is {stored:?}, that of the chain spec `{spec}` is {given:?}; \
         give the spec with which the database was made, another `--base-path`, or run `purge-chain` first"
    )]
    WrongDatabase { spec: String, stored: Hash, given: Hash },
}

impl From<Error> for sc_service::Error {
    fn from(error: Error) -> Self {
        Self::Application(Box::new(error))
    }
}

type GrandpaBlockImport =
    polkadot_sdk::sc_consensus_grandpa::GrandpaBlockImport<FullBackend, Block, FullClient, FullSelectChain>;

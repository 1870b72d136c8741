//! The JSON-RPC methods that the node adds to those of every Substrate node.

use crate::service::{FullBackend, FullClient, FullSelectChain, TransactionPool};
use assay_runtime::{opaque::Block, BlockNumber, Hash};
use jsonrpsee::RpcModule;
use polkadot_sdk::{
    pallet_transaction_payment_rpc::{TransactionPayment, TransactionPaymentApiServer},
    sc_chain_spec::ChainSpec,
    sc_consensus_babe::BabeWorkerHandle,
    sc_consensus_babe_rpc::{Babe, BabeApiServer},
    sc_consensus_grandpa::{FinalityProofProvider, GrandpaJustificationStream, SharedAuthoritySet, SharedVoterState},
    sc_consensus_grandpa_rpc::{Grandpa, GrandpaApiServer},
    sc_rpc::{
        dev::{Dev, DevApiServer},
        SubscriptionTaskExecutor,
    },
    sc_sync_state_rpc::{SyncState, SyncStateApiServer},
    sp_keystore::KeystorePtr,
    substrate_frame_rpc_system::{System, SystemApiServer},
};
use std::sync::Arc;

/// What the methods need of GRANDPA.
pub struct GrandpaDeps {
    /// The state of the current voting round.
    pub shared_voter_state: SharedVoterState,
    /// The validators of the current set.
    pub shared_authority_set: SharedAuthoritySet<Hash, BlockNumber>,
    /// Justifications as they come.
    pub justification_stream: GrandpaJustificationStream<Block>,
    /// Proofs of finality.
    pub finality_provider: Arc<FinalityProofProvider<FullBackend, Block>>,
}

/// What the methods need.
pub struct Deps {
    /// The chain.
    pub client: Arc<FullClient>,
    /// Transactions that wait.
    pub pool: Arc<TransactionPool>,
    /// How the best chain is chosen.
    pub select_chain: FullSelectChain,
    /// The spec that the node was started with.
    pub chain_spec: Box<dyn ChainSpec>,
    /// The node's keys.
    pub keystore: KeystorePtr,
    /// Where to ask for BABE's epochs.
    pub babe_worker: BabeWorkerHandle<Block>,
    /// What GRANDPA knows.
    pub grandpa: GrandpaDeps,
}

/// All methods, for one connection's `executor` of subscriptions.
///
/// # Errors
///
/// Two methods have one name, or the chain spec has no place for the state at which a light client starts.
pub fn create(
    deps: Deps,
    executor: SubscriptionTaskExecutor,
) -> Result<RpcModule<()>, Box<dyn std::error::Error + Send + Sync>> {
    let Deps { client, pool, select_chain, chain_spec, keystore, babe_worker, grandpa } = deps;
    let mut module = RpcModule::new(());

    module.merge(System::new(client.clone(), pool).into_rpc())?;
    module.merge(TransactionPayment::new(client.clone()).into_rpc())?;
    module.merge(Babe::new(client.clone(), babe_worker.clone(), keystore, select_chain).into_rpc())?;
    module.merge(
        Grandpa::new(
            executor,
            grandpa.shared_authority_set.clone(),
            grandpa.shared_voter_state,
            grandpa.justification_stream,
            grandpa.finality_provider,
        )
        .into_rpc(),
    )?;
    module.merge(SyncState::new(chain_spec, client.clone(), grandpa.shared_authority_set, babe_worker)?.into_rpc())?;
    module.merge(Dev::new(client).into_rpc())?;

    Ok(module)
}

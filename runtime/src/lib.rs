//! The runtime of Assay: composition only.
//!
//! What a pallet does is in its crate; what this chain asks of it is in [`configs`], one file per concern. Pallet
//! indices are part of the chain's encoding and never change; the gaps are for pallets to come.
#![cfg_attr(not(feature = "std"), no_std)]
// What the runtime macros generate carries no documentation; the modules that are written by hand ask for it again.
#![allow(missing_docs)]
// `#[frame_support::runtime]` recurses over every call of every pallet.
#![recursion_limit = "512"]

extern crate alloc;

pub mod apis;
#[cfg(feature = "runtime-benchmarks")]
mod benchmarks;
pub mod configs;
pub mod constants;
pub mod genesis;
mod inference_api;
#[cfg(test)]
mod tests;

use alloc::{borrow::Cow, vec::Vec};
use polkadot_sdk::{
    frame_executive, frame_metadata_hash_extension, frame_support, frame_system, pallet_authority_discovery,
    pallet_authorship, pallet_babe, pallet_balances, pallet_grandpa, pallet_multisig, pallet_offences,
    pallet_safe_mode, pallet_session, pallet_sudo, pallet_timestamp, pallet_transaction_payment, pallet_utility,
    sp_runtime::{
        generic, impl_opaque_keys,
        traits::{BlakeTwo256, IdentifyAccount, Verify},
        MultiAddress, MultiSignature,
    },
    sp_version::{self, RuntimeVersion},
};

pub use apis::RuntimeApi;

#[cfg(feature = "std")]
include!(concat!(env!("OUT_DIR"), "/wasm_binary.rs"));

/// The compiled Wasm of this runtime, for the native node.
///
/// # Errors
///
/// `SKIP_WASM_BUILD` was set when the crate was built, so there is none.
#[cfg(feature = "std")]
pub fn wasm_binary() -> Result<&'static [u8], &'static str> {
    WASM_BINARY.ok_or("this build has no runtime Wasm: build again without SKIP_WASM_BUILD")
}

/// A signature of any of the three schemes that a wallet may use.
pub type Signature = MultiSignature;
/// The public key's account.
pub type AccountId = <<Signature as Verify>::Signer as IdentifyAccount>::AccountId;
/// An amount of planck; one ASY is 10^12 of them.
pub type Balance = u128;
/// Height of a block.
pub type BlockNumber = u32;
/// How many transactions an account has made.
pub type Nonce = u32;
/// The chain's hash: BLAKE2b-256.
pub type Hash = polkadot_sdk::sp_core::H256;
/// What a transaction may name as the receiver of something.
pub type Address = MultiAddress<AccountId, ()>;
/// A block's header.
pub type Header = generic::Header<BlockNumber, BlakeTwo256>;
/// A block with decoded transactions.
pub type Block = generic::Block<Header, UncheckedExtrinsic>;

/// What every transaction carries besides its call. The order is part of the encoding.
pub type TxExtension = (
    frame_system::AuthorizeCall<Runtime>,
    frame_system::CheckNonZeroSender<Runtime>,
    frame_system::CheckSpecVersion<Runtime>,
    frame_system::CheckTxVersion<Runtime>,
    frame_system::CheckGenesis<Runtime>,
    frame_system::CheckMortality<Runtime>,
    frame_system::CheckNonce<Runtime>,
    frame_system::CheckWeight<Runtime>,
    pallet_transaction_payment::ChargeTransactionPayment<Runtime>,
    frame_metadata_hash_extension::CheckMetadataHash<Runtime>,
    frame_system::WeightReclaim<Runtime>,
);
/// A transaction as it travels.
pub type UncheckedExtrinsic = generic::UncheckedExtrinsic<Address, RuntimeCall, Signature, TxExtension>;
/// What the sender of a transaction signs.
pub type SignedPayload = generic::SignedPayload<RuntimeCall, TxExtension>;
/// Dispatches blocks to the pallets.
pub type Executive =
    frame_executive::Executive<Runtime, Block, frame_system::ChainContext<Runtime>, Runtime, AllPalletsWithSystem>;

/// Types that know no call: what the node handles.
pub mod opaque {
    use super::{generic, BlakeTwo256, BlockNumber};
    pub use polkadot_sdk::sp_runtime::OpaqueExtrinsic as UncheckedExtrinsic;

    /// A block's header.
    pub type Header = generic::Header<BlockNumber, BlakeTwo256>;
    /// A block whose transactions are bytes.
    pub type Block = generic::Block<Header, UncheckedExtrinsic>;
}

impl_opaque_keys! {
    /// The keys with which a validator's node signs. A worker's key is not among them: no pallet handles it per
    /// session, it is registered with the provider.
    pub struct SessionKeys {
        /// Block production.
        pub babe: Babe,
        /// Finality.
        pub grandpa: Grandpa,
        /// Finding the other validators' addresses.
        pub authority_discovery: AuthorityDiscovery,
    }
}

/// The runtime's version. `spec_version` rises with every change of behaviour, `transaction_version` with every
/// change of a call's encoding or of [`TxExtension`].
#[sp_version::runtime_version]
pub const VERSION: RuntimeVersion = RuntimeVersion {
    spec_name: Cow::Borrowed("assay"),
    impl_name: Cow::Borrowed("assay"),
    authoring_version: 1,
    spec_version: 2,
    impl_version: 1,
    apis: apis::RUNTIME_API_VERSIONS,
    transaction_version: 2,
    system_version: 1,
};

#[frame_support::runtime]
mod runtime {
    #[runtime::runtime]
    #[runtime::derive(
        RuntimeCall,
        RuntimeEvent,
        RuntimeError,
        RuntimeOrigin,
        RuntimeFreezeReason,
        RuntimeHoldReason,
        RuntimeSlashReason,
        RuntimeLockId,
        RuntimeTask,
        RuntimeViewFunction
    )]
    pub struct Runtime;

    #[runtime::pallet_index(0)]
    pub type System = frame_system;
    #[runtime::pallet_index(1)]
    pub type Timestamp = pallet_timestamp;
    // Hooks run in the order of the indices, so Authorship before Session: in an epoch's first block it looks up in the
    // old set an index that counts in the new one, and can credit the block to somebody else. What must not err there
    // asks Session after it has rotated, as the beacon does.
    #[runtime::pallet_index(2)]
    pub type Babe = pallet_babe;
    #[runtime::pallet_index(3)]
    pub type Authorship = pallet_authorship;

    #[runtime::pallet_index(10)]
    pub type Balances = pallet_balances;
    #[runtime::pallet_index(11)]
    pub type TransactionPayment = pallet_transaction_payment;

    // Elects for the session pallet, but not the first set: genesis too is built in the order of the indices, so that
    // there are no candidates yet when the session pallet asks, and whoever has keys in its genesis state validates. Its
    // own genesis then enters that set into the history of sessions.
    #[runtime::pallet_index(52)]
    pub type Staking = pallet_assay_staking;

    #[runtime::pallet_index(20)]
    pub type Session = pallet_session;
    #[runtime::pallet_index(21)]
    pub type Historical = pallet_session::historical;
    #[runtime::pallet_index(22)]
    pub type Grandpa = pallet_grandpa;
    #[runtime::pallet_index(23)]
    pub type Offences = pallet_offences;
    #[runtime::pallet_index(24)]
    pub type AuthorityDiscovery = pallet_authority_discovery;

    #[runtime::pallet_index(30)]
    pub type Utility = pallet_utility;
    #[runtime::pallet_index(31)]
    pub type Multisig = pallet_multisig;
    #[runtime::pallet_index(32)]
    pub type SafeMode = pallet_safe_mode;
    #[runtime::pallet_index(33)]
    pub type Sudo = pallet_sudo;

    #[runtime::pallet_index(50)]
    pub type Models = pallet_assay_models;
    #[runtime::pallet_index(51)]
    pub type Providers = pallet_assay_providers;
    #[runtime::pallet_index(53)]
    pub type Jobs = pallet_assay_jobs;
    #[runtime::pallet_index(54)]
    pub type Verification = pallet_assay_verification;
    #[runtime::pallet_index(55)]
    pub type Slashing = pallet_assay_slashing;

    // 50 Models, 51 Providers, 52 Staking, 53 Jobs, 54 Verification, 55 Slashing.
}

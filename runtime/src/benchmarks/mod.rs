//! Which pallets are benchmarked, for `frame-omni-bencher`.

mod world;

pub use world::InferenceWorld;

use crate::*;
use alloc::{string::String, vec::Vec};
use polkadot_sdk::{
    frame_benchmarking::{define_benchmarks, BenchmarkBatch, BenchmarkConfig, BenchmarkList},
    frame_support::traits::{StorageInfo, StorageInfoTrait, WhitelistedStorageKeys},
    frame_system_benchmarking::{self, extensions::Pallet as SystemExtensionsBench, Pallet as SystemBench},
};

define_benchmarks!(
    [pallet_assay_jobs, Jobs]
    [pallet_assay_models, Models]
    [pallet_assay_providers, Providers]
    [pallet_assay_slashing, Slashing]
    [pallet_assay_staking, Staking]
    [pallet_assay_verification, Verification]
    [frame_system, SystemBench::<Runtime>]
    [frame_system_extensions, SystemExtensionsBench::<Runtime>]
    [pallet_balances, Balances]
    [pallet_multisig, Multisig]
    [pallet_safe_mode, SafeMode]
    [pallet_sudo, Sudo]
    [pallet_timestamp, Timestamp]
    [pallet_transaction_payment, TransactionPayment]
    [pallet_utility, Utility]
);

impl frame_system_benchmarking::Config for Runtime {}
impl pallet_transaction_payment::BenchmarkConfig for Runtime {}

/// The list of benchmarks, and the storage that they may touch.
pub fn metadata(extra: bool) -> (Vec<BenchmarkList>, Vec<StorageInfo>) {
    let mut list = Vec::new();
    list_benchmarks!(list, extra);
    (list, AllPalletsWithSystem::storage_info())
}

/// Runs the benchmark that `config` selects.
///
/// # Errors
///
/// The benchmark's own failure.
pub fn dispatch(config: BenchmarkConfig) -> Result<Vec<BenchmarkBatch>, String> {
    let whitelist = AllPalletsWithSystem::whitelisted_storage_keys();
    let mut batches = Vec::new();
    let params = (&config, &whitelist);
    add_benchmarks!(params, batches);
    Ok(batches)
}

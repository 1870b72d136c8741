//! Which chain the node belongs to.

use assay_runtime::{
    constants::currency::{SS58_PREFIX, TOKEN_DECIMALS, TOKEN_SYMBOL},
    genesis::TESTNET_RUNTIME_PRESET,
    opaque::Block,
};
use polkadot_sdk::{
    sc_chain_spec::{
        self, construct_genesis_block, resolve_state_version_from_wasm, ChainType, GenericChainSpec, Properties,
    },
    sc_client_api::{BadBlocks, ForkBlocks},
    sc_executor::RuntimeVersionOf,
    sc_sync_state_rpc::LightSyncStateExtension,
    sp_blockchain,
    sp_core::storage::Storage,
    sp_genesis_builder::{DEV_RUNTIME_PRESET, LOCAL_TESTNET_RUNTIME_PRESET},
    sp_runtime::traits::{BlakeTwo256, Block as BlockT, Hash as HashT},
};
use std::path::{Path, PathBuf};

/// What a spec says besides the genesis state and the network's name.
#[derive(Default, Clone, serde::Serialize, serde::Deserialize, sc_chain_spec::ChainSpecExtension)]
#[serde(rename_all = "camelCase")]
pub struct Extensions {
    /// Blocks whose hash is known: at a height in this list, no other block is imported.
    pub fork_blocks: ForkBlocks<Block>,
    /// Blocks that are never imported.
    pub bad_blocks: BadBlocks<Block>,
    /// Where a light client may start to sync.
    pub light_sync_state: LightSyncStateExtension,
}

/// A chain spec of Assay.
pub type ChainSpec = GenericChainSpec<Extensions>;

/// The spec that `--chain <id>` means: one of the runtime's presets, or a file.
///
/// A preset's genesis holds the runtime of this very build, so two builds may give two different networks. Networks
/// that outlive a build are named by a raw spec file.
///
/// # Errors
///
/// No preset and no file has that name, or the file is no chain spec.
pub fn load(id: &str) -> Result<ChainSpec, String> {
    match id {
        "dev" => preset("Assay Development", "assay_dev", ChainType::Development, DEV_RUNTIME_PRESET),
        "" | "local" => preset("Assay Local", "assay_local", ChainType::Local, LOCAL_TESTNET_RUNTIME_PRESET),
        "testnet" => preset("Assay Testnet", "assay_testnet", ChainType::Live, TESTNET_RUNTIME_PRESET),
        path => file(Path::new(path)),
    }
}

fn preset(name: &str, id: &str, chain_type: ChainType, preset: &str) -> Result<ChainSpec, String> {
    Ok(ChainSpec::builder(assay_runtime::wasm_binary()?, Extensions::default())
        .with_name(name)
        .with_id(id)
        .with_protocol_id(id)
        .with_chain_type(chain_type)
        .with_properties(properties())
        .with_genesis_config_preset_name(preset)
        .build())
}

fn file(path: &Path) -> Result<ChainSpec, String> {
    if !path.is_file() {
        return Err(format!(
            "there is no chain `{}`: give `dev`, `local`, `testnet`, or the path of a chain spec file",
            path.display()
        ));
    }
    ChainSpec::from_json_file(PathBuf::from(path))
        .map_err(|error| format!("`{}` is not a chain spec of Assay: {error}", path.display()))
}

/// What wallets and explorers show.
fn properties() -> Properties {
    let mut properties = Properties::new();
    properties.insert("tokenSymbol".into(), TOKEN_SYMBOL.into());
    properties.insert("tokenDecimals".into(), TOKEN_DECIMALS.into());
    properties.insert("ss58Format".into(), SS58_PREFIX.into());
    properties
}

/// The block that the genesis state `storage` leads to.
///
/// # Errors
///
/// The state holds no runtime, or one whose version cannot be read.
pub fn genesis_block(storage: &Storage, executor: &impl RuntimeVersionOf) -> sp_blockchain::Result<Block> {
    let version = resolve_state_version_from_wasm::<_, BlakeTwo256>(storage, executor)?;
    let children = storage.children_default.values().map(|child| {
        let root = BlakeTwo256::trie_root(child.data.clone().into_iter().collect(), version);
        (child.child_info.prefixed_storage_key().into_inner(), root.as_ref().to_vec())
    });
    let root = BlakeTwo256::trie_root(storage.top.clone().into_iter().chain(children).collect(), version);
    Ok(construct_genesis_block::<Block>(root, version))
}

/// The hash of [`genesis_block`].
pub fn genesis_hash(
    storage: &Storage,
    executor: &impl RuntimeVersionOf,
) -> sp_blockchain::Result<<Block as BlockT>::Hash> {
    Ok(genesis_block(storage, executor)?.hash())
}

#[cfg(test)]
mod tests {
    use super::*;
    use polkadot_sdk::{sc_executor::WasmExecutor, sp_io, sp_runtime::BuildStorage};

    fn executor() -> WasmExecutor<sp_io::SubstrateHostFunctions> {
        WasmExecutor::builder().build()
    }

    #[test]
    fn load_preset_names_the_token() {
        for id in ["dev", "local", "testnet"] {
            let spec = load(id).unwrap();
            assert_eq!(spec.properties()["tokenSymbol"], "ASY", "{id}");
            assert_eq!(spec.properties()["tokenDecimals"], 12, "{id}");
        }
    }

    #[test]
    fn load_raw_spec_has_genesis_of_plain_spec() {
        let plain = load("local").unwrap();
        let raw = ChainSpec::from_json_bytes(plain.as_json(true).unwrap().into_bytes()).unwrap();
        assert_eq!(
            genesis_hash(&plain.build_storage().unwrap(), &executor()).unwrap(),
            genesis_hash(&raw.build_storage().unwrap(), &executor()).unwrap(),
        );
    }

    #[test]
    fn load_unknown_name_says_what_to_give() {
        let error = load("locall").err().unwrap();
        assert!(error.contains("`locall`") && error.contains("path of a chain spec"), "{error}");
    }

    #[test]
    fn load_file_that_is_no_spec_names_it() {
        let error = load(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")).err().unwrap();
        assert!(error.contains("is not a chain spec of Assay"), "{error}");
    }
}

//! Presets of the genesis state.
//!
//! All of them use keys derived from the well-known development phrase, so none may hold value. A network for the
//! public starts from a preset's patch in which the operators have put their own keys.
#![warn(missing_docs)]

use crate::{
    configs::consensus::BABE_GENESIS_EPOCH_CONFIG, constants::currency::UNITS, AccountId, BabeConfig, Balance,
    BalancesConfig, JobsConfig, ModelsConfig, Multisig, ProvidersConfig, RuntimeGenesisConfig, SessionConfig,
    SessionKeys, StakingConfig, SudoConfig,
};
use alloc::{format, vec, vec::Vec};
use assay_primitives::{ModelId, Params};
use pallet_assay_models::GenesisModel;
use pallet_assay_providers::{GenesisAsk, GenesisProvider};
use pallet_assay_staking::GenesisBond;
use polkadot_sdk::{
    frame_support::build_struct_json_patch,
    sp_authority_discovery::AuthorityId as AuthorityDiscoveryId,
    sp_consensus_babe::AuthorityId as BabeId,
    sp_consensus_grandpa::AuthorityId as GrandpaId,
    sp_core::{crypto::get_public_from_string_or_panic, sr25519, H256},
    sp_genesis_builder::{PresetId, DEV_RUNTIME_PRESET, LOCAL_TESTNET_RUNTIME_PRESET},
};
use serde_json::Value;

/// The preset of the public test network.
pub const TESTNET_RUNTIME_PRESET: &str = "testnet";

/// Endowment of a development account.
pub const ENDOWMENT: Balance = 1_000_000 * UNITS;

/// Endowment of a development worker: the float from which it pays the fees of its answers.
pub const WORKER_FLOAT: Balance = 1_000 * UNITS;

/// The people of every development network, in the order in which they join it.
const DEVELOPERS: [&str; 6] = ["Alice", "Bob", "Charlie", "Dave", "Eve", "Ferdie"];

/// Those who together hold the root key, and how many of them must agree.
const ROOT_SIGNATORIES: [&str; 3] = ["Alice", "Bob", "Charlie"];
const ROOT_THRESHOLD: u16 = 2;

/// The account of `//<path>`.
pub fn development_account(path: &str) -> AccountId {
    get_public_from_string_or_panic::<sr25519::Public>(path).into()
}

/// The worker's account of a development provider: `//<name>//worker`.
pub fn development_worker(name: &str) -> AccountId {
    development_account(&format!("{name}//worker"))
}

/// The account that holds root in every preset: two of alice, bob and charlie.
pub fn root_multisig() -> AccountId {
    let mut signatories = ROOT_SIGNATORIES.map(development_account);
    signatories.sort();
    Multisig::multi_account_id(&signatories, ROOT_THRESHOLD)
}

/// Header of the demo model's package, and the manifest that lists its entries' roots.
const DEMO_HEADER: &[u8] = include_bytes!("../../models/demo/header.bin");
const DEMO_MANIFEST: &str = include_str!("../../models/demo/manifest.json");

/// The demo model as the manifest beside its package states it: its id, and the genesis entry to register. The chain computes the id
/// anew from header and roots, so a manifest that does not fit registers another model than the one that the asks name, which
/// a test below would show.
///
/// Template 0 cuts it into two stages, template 1 leaves it whole.
pub fn demo_model() -> (ModelId, GenesisModel) {
    let manifest: Value =
        serde_json::from_str(DEMO_MANIFEST).expect("the manifest in the tree is JSON, as the tests show; qed");
    let root = |value: &Value| {
        let hex = value.as_str().unwrap_or_default();
        serde_json::from_value::<H256>(format!("0x{hex}").into())
            .expect("roots are 64 hex digits, as the tests show; qed")
    };
    let entries = manifest["entries"].as_array().map_or(&[][..], Vec::as_slice);
    let model = GenesisModel {
        name: "demo".into(),
        header: DEMO_HEADER.to_vec(),
        // The header's own root is what the chain computes.
        entries: entries.iter().skip(1).map(|entry| root(&entry["root"])).collect(),
        cuts: vec![vec![DEMO_LAYERS / 2], vec![]],
    };
    (root(&manifest["model_root"]), model)
}

/// Layers of the demo model.
const DEMO_LAYERS: u16 = 8;

/// A development provider: everything of the demo model, at one price for all, so that the auction's tie-break chooses.
fn provider(name: &str, model: ModelId) -> GenesisProvider {
    let ask = |first, end| GenesisAsk {
        model,
        first,
        end,
        price: DEVELOPMENT_PRICE,
        slots: 8,
        check_slots: 32,
        rate: DEVELOPMENT_RATE,
    };
    GenesisProvider {
        controller: development_account(name),
        worker: development_worker(name),
        asks: vec![ask(0, DEMO_LAYERS / 2), ask(DEMO_LAYERS / 2, DEMO_LAYERS), ask(0, DEMO_LAYERS)],
    }
}

/// Planck per work unit that the development providers ask: half of the reserve price.
const DEVELOPMENT_PRICE: Balance = 50_000_000;
/// Work units (millions of multiply-accumulates) per tick that four nodes sustain on two shared cores, with a wide margin.
const DEVELOPMENT_RATE: u64 = 200;
/// Each part of a development validator's bond.
pub const DEVELOPMENT_BOND: Balance = 10_000 * UNITS;

fn session_keys(name: &str) -> SessionKeys {
    SessionKeys {
        babe: get_public_from_string_or_panic::<BabeId>(name),
        grandpa: get_public_from_string_or_panic::<GrandpaId>(name),
        authority_discovery: get_public_from_string_or_panic::<AuthorityDiscoveryId>(name),
    }
}

/// A network whose validators are the first `validators` developers, all developers and their workers endowed.
fn development_network(validators: usize, params: Params) -> Value {
    let endowed = DEVELOPERS.iter().map(|name| (development_account(name), ENDOWMENT));
    let floats = DEVELOPERS.iter().map(|name| (development_worker(name), WORKER_FLOAT));
    let keys = DEVELOPERS.iter().take(validators).map(|name| {
        let account = development_account(name);
        (account.clone(), account, session_keys(name))
    });

    let (id, model) = demo_model();
    let bonds = DEVELOPERS.iter().take(validators).map(|name| GenesisBond {
        account: development_account(name),
        validator: DEVELOPMENT_BOND,
        provider: DEVELOPMENT_BOND,
    });
    let providers = DEVELOPERS.iter().take(validators).map(|name| provider(name, id));

    build_struct_json_patch!(RuntimeGenesisConfig {
        balances: BalancesConfig { balances: endowed.chain(floats).collect::<Vec<_>>() },
        babe: BabeConfig { epoch_config: BABE_GENESIS_EPOCH_CONFIG },
        session: SessionConfig { keys: keys.collect::<Vec<_>>() },
        sudo: SudoConfig { key: Some(root_multisig()) },
        models: ModelsConfig { models: vec![model] },
        staking: StakingConfig { bonds: bonds.collect::<Vec<_>>() },
        providers: ProvidersConfig { providers: providers.collect::<Vec<_>>() },
        jobs: JobsConfig { params },
    })
}

/// The patch of the default genesis configuration that the preset `id` stands for, as JSON.
pub fn get_preset(id: &PresetId) -> Option<Vec<u8>> {
    let patch = match id.as_ref() {
        DEV_RUNTIME_PRESET => development_network(1, Params::local()),
        LOCAL_TESTNET_RUNTIME_PRESET => development_network(4, Params::local()),
        TESTNET_RUNTIME_PRESET => development_network(4, Params::public()),
        _ => return None,
    };
    serde_json::to_vec(&patch).ok()
}

/// The presets that [`get_preset`] knows.
pub fn preset_names() -> Vec<PresetId> {
    vec![
        PresetId::from(DEV_RUNTIME_PRESET),
        PresetId::from(LOCAL_TESTNET_RUNTIME_PRESET),
        PresetId::from(TESTNET_RUNTIME_PRESET),
    ]
}

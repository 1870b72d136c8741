//! What the composition promises, tried on the genesis of the local network.

use crate::{
    configs::{inference::BabeVrf, money::BurnHalfPayAuthor, system::RuntimeBlockWeights},
    constants::{currency::UNITS, time::EPOCH_DURATION_IN_SLOTS},
    genesis::{
        development_account, development_worker, get_preset, preset_names, root_multisig, ENDOWMENT, WORKER_FLOAT,
    },
    *,
};
use alloc::boxed::Box;
use assay_primitives::traits::AuthorVrf;
use codec::Encode;
use polkadot_sdk::{
    frame_support::{
        assert_noop, assert_ok,
        traits::{
            fungible::{Balanced, Inspect},
            OnFinalize, OnInitialize, OnUnbalanced, PalletInfoAccess,
        },
    },
    sp_consensus_babe::{
        digests::{PreDigest, SecondaryPlainPreDigest, SecondaryVRFPreDigest},
        make_vrf_sign_data, AllowedSlots, Slot, BABE_ENGINE_ID,
    },
    sp_core::{crypto::VrfSecret, sr25519, Pair},
    sp_genesis_builder::LOCAL_TESTNET_RUNTIME_PRESET,
    sp_io::TestExternalities,
    sp_runtime::{
        traits::{BlakeTwo256, Dispatchable, Hash as _},
        BuildStorage, Digest, DigestItem,
    },
};
use serde_json::Value;

/// Lays `patch` over `base`, object by object.
fn merge(base: &mut Value, patch: Value) {
    match (base, patch) {
        (Value::Object(base), Value::Object(patch)) => {
            for (key, value) in patch {
                merge(base.entry(key).or_insert(Value::Null), value);
            }
        }
        (base, patch) => *base = patch,
    }
}

fn genesis_of(preset: &str) -> TestExternalities {
    let patch = get_preset(&preset.into()).expect("the preset exists");
    let mut config = serde_json::to_value(RuntimeGenesisConfig::default()).unwrap();
    merge(&mut config, serde_json::from_slice(&patch).unwrap());
    let config: RuntimeGenesisConfig = serde_json::from_value(config).unwrap();
    config.build_storage().unwrap().into()
}

/// Begins a block with this claim to its slot.
fn begin_block(number: BlockNumber, claim: PreDigest) {
    let digest = Digest { logs: [DigestItem::PreRuntime(BABE_ENGINE_ID, claim.encode())].into() };
    System::initialize(&number, &Hash::zero(), &digest);
}

/// Block 1 of the local network, authored by the validator with the index `author`.
fn block_of(author: u32) -> TestExternalities {
    let mut ext = genesis_of(LOCAL_TESTNET_RUNTIME_PRESET);
    ext.execute_with(|| {
        begin_block(1, PreDigest::SecondaryPlain(SecondaryPlainPreDigest { authority_index: author, slot: 1.into() }));
    });
    ext
}

fn signed(name: &str) -> RuntimeOrigin {
    RuntimeOrigin::signed(development_account(name))
}

/// `call` by the root multisig, as signed by `first` and then by `second`.
fn as_root_multisig(first: &str, second: &str, call: RuntimeCall) {
    let mut signatories = ["Alice", "Bob", "Charlie"].map(development_account).to_vec();
    signatories.sort();
    let others = |name: &str| {
        signatories.iter().filter(|account| **account != development_account(name)).cloned().collect::<Vec<_>>()
    };
    let max_weight = RuntimeBlockWeights::get().max_block;
    let hash = BlakeTwo256::hash_of(&call).0;

    assert_ok!(Multisig::approve_as_multi(signed(first), 2, others(first), None, hash, max_weight));
    let timepoint = Some(Multisig::timepoint());
    assert_ok!(Multisig::as_multi(signed(second), 2, others(second), timepoint, Box::new(call), max_weight));
}

#[test]
fn pallet_indices_are_those_of_the_encoding() {
    let indices = [
        (System::index(), 0),
        (Timestamp::index(), 1),
        (Babe::index(), 2),
        (Authorship::index(), 3),
        (Balances::index(), 10),
        (TransactionPayment::index(), 11),
        (Session::index(), 20),
        (Historical::index(), 21),
        (Grandpa::index(), 22),
        (Offences::index(), 23),
        (AuthorityDiscovery::index(), 24),
        (Utility::index(), 30),
        (Multisig::index(), 31),
        (SafeMode::index(), 32),
        (Sudo::index(), 33),
    ];
    for (index, expected) in indices {
        assert_eq!(index, expected);
    }
}

#[test]
fn block_executes_for_half_a_second_at_most() {
    assert_eq!(RuntimeBlockWeights::get().max_block.ref_time(), 500_000_000_000);
}

#[test]
fn every_preset_builds_with_root_at_the_multisig() {
    for preset in preset_names() {
        genesis_of(preset.as_ref()).execute_with(|| {
            assert_eq!(pallet_sudo::Key::<Runtime>::get(), Some(root_multisig()), "{preset}");
            assert!(!Session::validators().is_empty(), "{preset}");
            assert_eq!(
                Babe::epoch_config().map(|config| config.allowed_slots),
                Some(AllowedSlots::PrimaryAndSecondaryVRFSlots),
                "{preset}"
            );
        });
    }
}

#[test]
fn local_preset_has_four_validators_and_floats() {
    genesis_of(LOCAL_TESTNET_RUNTIME_PRESET).execute_with(|| {
        assert_eq!(Session::validators(), ["Alice", "Bob", "Charlie", "Dave"].map(development_account));
        assert_eq!(Balances::total_balance(&development_account("Ferdie")), ENDOWMENT);
        assert_eq!(Balances::total_balance(&development_worker("Dave")), WORKER_FLOAT);
    });
}

#[test]
fn safe_mode_by_anyone_fails() {
    block_of(0).execute_with(|| {
        assert_noop!(SafeMode::enter(signed("Alice")), pallet_safe_mode::Error::<Runtime>::NotConfigured);
        assert_noop!(SafeMode::force_enter(signed("Alice")), polkadot_sdk::sp_runtime::DispatchError::BadOrigin);
        assert!(!SafeMode::is_entered());
    });
}

#[test]
fn safe_mode_by_root_stops_transfers_until_root_ends_it() {
    block_of(0).execute_with(|| {
        let transfer = RuntimeCall::Balances(pallet_balances::Call::transfer_keep_alive {
            dest: development_account("Bob").into(),
            value: UNITS,
        });
        let sudo = |call| {
            let call = RuntimeCall::SafeMode(call);
            RuntimeCall::Sudo(pallet_sudo::Call::sudo { call: Box::new(call) })
        };

        as_root_multisig("Alice", "Bob", sudo(pallet_safe_mode::Call::force_enter {}));
        assert!(SafeMode::is_entered());
        let refused = transfer.clone().dispatch(signed("Alice")).unwrap_err();
        assert_eq!(refused.error, frame_system::Error::<Runtime>::CallFiltered.into());

        as_root_multisig("Charlie", "Alice", sudo(pallet_safe_mode::Call::force_exit {}));
        assert!(!SafeMode::is_entered());
        assert_ok!(transfer.dispatch(signed("Alice")));
    });
}

#[test]
fn sudo_by_one_signatory_fails() {
    block_of(0).execute_with(|| {
        let call = Box::new(RuntimeCall::System(frame_system::Call::remark { remark: Vec::new() }));
        assert_noop!(Sudo::sudo(signed("Alice"), call), pallet_sudo::Error::<Runtime>::RequireSudo);
    });
}

#[test]
fn fee_is_half_burned_and_tip_goes_to_the_author() {
    block_of(2).execute_with(|| {
        let author = development_account("Charlie");
        let before = (Balances::total_issuance(), Balances::total_balance(&author));

        BurnHalfPayAuthor::on_unbalanceds([Balances::issue(100 * UNITS), Balances::issue(7 * UNITS)].into_iter());

        // 107 were issued here, 50 burned.
        assert_eq!(Balances::total_issuance(), before.0 + 57 * UNITS);
        assert_eq!(Balances::total_balance(&author), before.1 + 57 * UNITS);
    });
}

#[test]
fn full_block_costs_half_a_token() {
    genesis_of(LOCAL_TESTNET_RUNTIME_PRESET).execute_with(|| {
        assert_eq!(TransactionPayment::weight_to_fee(RuntimeBlockWeights::get().max_block), UNITS / 2);
    });
}

/// The first block of an epoch, by the validator with the index 0.
fn begin_epoch(number: BlockNumber, epoch: u64) {
    let slot = Slot::from(1 + epoch * EPOCH_DURATION_IN_SLOTS);
    begin_block(number, PreDigest::SecondaryPlain(SecondaryPlainPreDigest { authority_index: 0, slot }));
    AllPalletsWithSystem::on_initialize(number);
    Babe::on_finalize(number);
    Authorship::on_finalize(number);
}

#[test]
fn key_ownership_of_the_first_two_sessions_can_be_proven_later() {
    use polkadot_sdk::{
        frame_support::traits::KeyOwnerProofSystem,
        sp_consensus_grandpa::AuthorityId as GrandpaId,
        sp_core::crypto::{get_public_from_string_or_panic, key_types::GRANDPA},
    };
    block_of(0).execute_with(|| {
        AllPalletsWithSystem::on_initialize(1);
        Babe::on_finalize(1);
        Authorship::on_finalize(1);
        let owner = |name: &str| {
            let key = (GRANDPA, get_public_from_string_or_panic::<GrandpaId>(name));
            let proof = Historical::prove(key.clone()).expect("a validator's key");
            (development_account(name), key, proof)
        };
        let first = ["Alice", "Dave"].map(owner);
        begin_epoch(2, 1);
        assert_eq!(Session::current_index(), 1);
        let second = ["Bob", "Dave"].map(owner);
        begin_epoch(3, 2);
        begin_epoch(4, 3);
        assert_eq!(Session::current_index(), 3);
        for (session, proofs) in [(0, first), (1, second)] {
            assert!(Historical::historical_root(session).is_some());
            for (who, key, proof) in proofs {
                assert_eq!(proof.session, session);
                let proven = <Historical as KeyOwnerProofSystem<_>>::check_proof(key, proof);
                assert_eq!(proven, Some((who, ())), "session {session}");
            }
        }
    });
}

#[test]
fn vrf_of_an_epochs_first_block_belongs_to_its_author() {
    block_of(0).execute_with(|| {
        AllPalletsWithSystem::on_initialize(1);
        Babe::on_finalize(1);
        Authorship::on_finalize(1);
        // The same validators in another order: an index then means somebody else in the next session.
        pallet_session::QueuedKeys::<Runtime>::mutate(|queued| queued.reverse());

        let slot = Slot::from(1 + EPOCH_DURATION_IN_SLOTS);
        let key = sr25519::Pair::from_string("//Dave", None).unwrap();
        // Nobody checks the proof here.
        let vrf_signature = key.vrf_sign(&make_vrf_sign_data(&Default::default(), slot, 1));
        begin_block(2, PreDigest::SecondaryVRF(SecondaryVRFPreDigest { authority_index: 0, slot, vrf_signature }));
        AllPalletsWithSystem::on_initialize(2);

        assert_eq!(Session::current_index(), 1);
        assert_eq!(Authorship::author(), Some(development_account("Alice")), "looked up before the session began");
        assert_eq!(BabeVrf::current().map(|(author, _)| author), Some(development_account("Dave")));
    });
}

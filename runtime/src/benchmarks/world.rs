//! The world in which the pallets of inference are benchmarked: a model, its holders with their bonds and keys, and jobs.

use crate::{
    configs::inference::PresentParams, constants::currency::UNITS, AccountId, Balance, Balances, Jobs, Runtime,
    RuntimeOrigin, Staking, System,
};
use alloc::{vec, vec::Vec};
use assay_primitives::{
    JobHash, JobTask, ModelId, Params, SamplingParams, Span, SpanKey, MAX_INPUT_IDS, MAX_NEW_TOKENS, WORKER_KEY_TYPE,
};
use codec::{Decode, Encode};
use pallet_assay_jobs::benchmarking::{dearest_job, BenchmarkHelper as _};
use pallet_assay_models::{fixtures, GenesisModel};
use pallet_assay_providers::{GenesisAsk, GenesisProvider};
use pallet_assay_staking::Part;
use polkadot_sdk::{
    frame_benchmarking::account,
    frame_support::{
        assert_ok,
        traits::{fungible::Mutate, BuildGenesisConfig, Get},
    },
    pallet_babe,
    sp_consensus_babe::{digests::PreDigest, BABE_ENGINE_ID},
    sp_io,
    sp_runtime::{Digest, DigestItem},
};

/// Prepares models, providers and jobs for the benchmarks of the pallets.
pub struct InferenceWorld;

/// One span for each layer.
fn spans(stages: u32) -> Vec<Span> {
    (0..stages as u16).map(|first| Span { first, end: first + 1 }).collect()
}

fn rich(name: &'static str, n: u32) -> AccountId {
    let who = account(name, n, 0);
    assert_ok!(Balances::mint_into(&who, Balance::MAX / 10_000));
    who
}

/// Registers a model of that many layers, each of them a stage of template 0, with room for the longest job.
fn model(stages: u32) -> ModelId {
    let mut header = fixtures::decoder(stages);
    header.context = MAX_INPUT_IDS + MAX_NEW_TOKENS;
    let entries = fixtures::entries(&header);
    let id = pallet_assay_models::model_root(&header.encode(), &entries);
    let model = GenesisModel {
        name: "benchmark".into(),
        header: header.encode(),
        entries: entries.into_inner(),
        cuts: vec![(1..stages as u16).collect()],
    };
    pallet_assay_models::GenesisConfig::<Runtime> { models: vec![model], ..Default::default() }.build();
    assert!(pallet_assay_models::Models::<Runtime>::contains_key(id));
    id
}

fn bond(who: &AccountId, amount: Balance) {
    assert_ok!(Balances::mint_into(who, amount.saturating_mul(2)));
    assert_ok!(Staking::bond(RuntimeOrigin::signed(who.clone()), Part::Provider, amount));
}

/// A bond that backs anything.
const LARGE: Balance = Balance::MAX / 10_000;

impl pallet_assay_providers::benchmarking::BenchmarkHelper for InferenceWorld {
    fn span() -> SpanKey {
        SpanKey { model: model(1), span: Span { first: 0, end: 1 } }
    }

    fn bond(who: &AccountId) {
        bond(who, LARGE);
    }
}

impl pallet_assay_slashing::benchmarking::BenchmarkHelper for InferenceWorld {
    fn bond(who: &AccountId, amount: Balance) {
        bond(who, amount.max(1_000_000 * UNITS));
    }
}

impl pallet_assay_jobs::benchmarking::BenchmarkHelper for InferenceWorld {
    fn world(stages: u32, holders: u32) -> ModelId {
        let model = model(stages);
        let rate = PresentParams::get().min_rate.saturating_mul(1_000);
        let ask = |Span { first, end }| GenesisAsk { model, first, end, price: 1, slots: 64, check_slots: 64, rate };
        let providers = (0..holders).map(|n| {
            let controller = rich("holder", n);
            bond(&controller, LARGE);
            let worker = sp_io::crypto::sr25519_generate(WORKER_KEY_TYPE, None);
            GenesisProvider {
                controller,
                worker: AccountId::new(worker.0),
                asks: spans(stages).into_iter().map(ask).collect(),
            }
        });
        pallet_assay_providers::GenesisConfig::<Runtime> { providers: providers.collect(), ..Default::default() }
            .build();
        model
    }
}

/// The standard encoding of Ristretto's basepoint: a valid VRF output of nobody.
const VRF_PRE_OUTPUT: [u8; 32] = [
    0xe2, 0xf2, 0xae, 0x0a, 0x6a, 0xbc, 0x4e, 0x71, 0xa8, 0x84, 0xa9, 0x61, 0xc5, 0x00, 0x51, 0x5f, 0x58, 0xe3, 0x0b,
    0x6a, 0xa5, 0x82, 0xdd, 0x8d, 0xb6, 0xa6, 0x59, 0x45, 0xe0, 0x8d, 0x2d, 0x76,
];

impl pallet_assay_verification::benchmarking::BenchmarkHelper for InferenceWorld {
    fn job(stages: u32, holders: u32, k: u8, prompt: u32, tokens: u32) -> JobHash {
        let params = Params { relaxed: true, hold_ticks: 0, max_attempts: 8, ..Params::public() };
        assert_ok!(Jobs::set_params(RuntimeOrigin::root(), params));
        let mut spec = dearest_job(Self::world(stages, holders), k);
        spec.input = assay_primitives::JobInput::Inline(
            vec![1; prompt as usize].try_into().expect("benchmarks keep to the longest prompt"),
        );
        spec.task = JobTask::Generate { max_new_tokens: tokens, sampling: SamplingParams::GREEDY };
        assert_ok!(Jobs::submit(RuntimeOrigin::signed(rich("client", 0)), spec));
        pallet_assay_jobs::Jobs::<Runtime>::iter_keys().next().expect("the only job is open")
    }

    fn author() {
        // A primary slot of the first authority; nobody checks the proof here.
        let mut encoded = 0u32.encode();
        encoded.insert(0, 1);
        encoded.extend(1u64.encode());
        encoded.extend(VRF_PRE_OUTPUT);
        encoded.extend([0; 64]);
        let claim = PreDigest::decode(&mut &encoded[..]).expect("a primary slot is claimed so");
        let digest = Digest { logs: vec![DigestItem::PreRuntime(BABE_ENGINE_ID, encoded)] };
        System::initialize(&1, &Default::default(), &digest);
        pallet_babe::Initialized::<Runtime>::put(Some(claim));
    }
}

//! The world of the benchmarks.

use super::{runtime::*, workers, world};
use assay_primitives::{
    traits::{ModelInfo, ModelKind},
    *,
};
use frame::{deps::sp_io, prelude::*, testing_prelude::assert_ok};

/// Prepares models, providers and jobs.
pub struct Helper;

fn bench_spans(stages: u32) -> Vec<Span> {
    (0..stages as u16).map(|s| Span { first: s, end: s + 1 }).collect()
}

impl pallet_assay_jobs::benchmarking::BenchmarkHelper for Helper {
    fn world(stages: u32, holders: u32) -> ModelId {
        let info = ModelInfo {
            id: MODEL,
            name: b"benchmark".to_vec(),
            spec_id: SPEC_ID,
            vocab: VOCAB,
            context: MAX_INPUT_IDS + MAX_NEW_TOKENS,
            layers: stages as u16,
            kind: ModelKind::Decoder,
            width: WIDTH,
            eos: vec![EOS],
            active: true,
        };
        world::Models::<Test>::insert(MODEL, world::Model { info, templates: vec![bench_spans(stages)], users: 0 });
        for i in 0..holders as u8 {
            let who = controller(i);
            let key = sp_io::crypto::sr25519_generate(WORKER_KEY_TYPE, None);
            let worker = AccountId::new(key.0);
            world::WorkerOf::<Test>::insert(&who, &worker);
            world::ControllerOf::<Test>::insert(&worker, &who);
            world::Bonds::<Test>::insert(&who, Balance::MAX / 1_000);
            for span in bench_spans(stages) {
                let ask = Ask { price: 1, slots: 64, check_slots: 64, rate: 1_000 };
                let entry =
                    world::Entry { ask, since: 0, usable: true, executing: 0, checking: 0, penalty_permille: 0 };
                world::Book::<Test>::insert(SpanKey { model: MODEL, span }, &who, entry);
            }
        }
        MODEL
    }
}

impl pallet_assay_verification::benchmarking::BenchmarkHelper for Helper {
    fn job(stages: u32, holders: u32, k: u8, prompt: u32, tokens: u32) -> JobHash {
        use pallet_assay_jobs::benchmarking::BenchmarkHelper as _;
        let model = Self::world(stages, holders);
        let spec = JobSpec {
            input: JobInput::Inline(vec![1; prompt as usize].try_into().expect("a prompt within the bound")),
            task: JobTask::Generate { max_new_tokens: tokens, sampling: SamplingParams::GREEDY },
            max_price: 1,
            ..workers::spec(0, k)
        };
        let who = client(0);
        assert_ok!(<Balances as fungible::Mutate<AccountId>>::mint_into(&who, Balance::MAX / 1_000));
        workers::submit(&who, JobSpec { model, ..spec })
    }

    fn author() {
        world::CurrentAuthor::<Test>::put((controller(0), [7; 32]));
    }
}

/// The externalities of a benchmark: the usual world, and a keystore.
pub fn bench_ext() -> frame::testing_prelude::TestState {
    use polkadot_sdk::sp_keystore::{testing::MemoryKeystore, KeystoreExt};
    let mut ext = Setup::default().build();
    // A benchmark starts from what is committed, again for every size.
    ext.commit_all().expect("the world is a state");
    ext.register_extension(KeystoreExt::new(MemoryKeystore::new()));
    ext
}

//! The test runtime, its genesis and its blocks.

use super::world;
use assay_primitives::{
    params,
    traits::{ModelInfo, ModelKind},
    AccountId, Ask, BackingId, Balance, ModelId, Params, Role, SlotKind, Span, SpanKey, StageRef, Tick, SPEC_ID,
};
use frame::{
    deps::{
        frame_support::weights::WeightMeter,
        sp_core::{sr25519, Pair},
    },
    testing_prelude::*,
    traits::{OnInitialize, OnPoll},
};
use polkadot_sdk::pallet_balances;
use std::collections::BTreeMap;

/// Existential deposit.
pub const ED: Balance = params::UNIT / 1_000;
/// What every client starts with.
pub const FUNDS: Balance = 1_000 * params::UNIT;
/// Provider bond of everyone.
pub const BOND: Balance = 1_000_000 * params::UNIT;
/// Layers of the model.
pub const LAYERS: u16 = 8;
/// Ids in its vocabulary.
pub const VOCAB: u32 = 100;
/// Its longest sequence.
pub const CONTEXT: u32 = 64;
/// Ends generation.
pub const EOS: u32 = 99;
/// The decoder.
pub const MODEL: ModelId = H256([0x4d; 32]);
/// The encoder: of the same shape, cut in the same ways.
pub const ENCODER: ModelId = H256([0x45; 32]);
/// Entries of its vector.
pub const WIDTH: u32 = 6;
/// Genesis hash.
pub const GENESIS: H256 = H256([0x69; 32]);

construct_runtime!(
    pub struct Test {
        System: frame_system,
        Balances: pallet_balances,
        World: world,
        Jobs: pallet_assay_jobs,
        Verification: pallet_assay_verification,
    }
);

#[derive_impl(frame_system::config_preludes::TestDefaultConfig)]
impl frame_system::Config for Test {
    type Block = MockBlock<Test>;
    type AccountId = AccountId;
    type Lookup = IdentityLookup<AccountId>;
    type AccountData = pallet_balances::AccountData<Balance>;
}

#[derive_impl(pallet_balances::config_preludes::TestDefaultConfig)]
impl pallet_balances::Config for Test {
    type AccountStore = System;
    type Balance = Balance;
    type ExistentialDeposit = ConstU128<ED>;
    type FreezeIdentifier = u8;
    type MaxFreezes = ConstU32<4>;
}

impl world::Config for Test {}

impl pallet_assay_jobs::Config for Test {
    type Currency = Balances;
    type RuntimeHoldReason = RuntimeHoldReason;
    type AdminOrigin = EnsureRoot<AccountId>;
    type Models = World;
    type Providers = World;
    type Bonds = World;
    type Verifier = Verification;
    type Paused = World;
    type MaxOpenJobs = ConstU32<32>;
    type MaxJobsPerClient = ConstU32<8>;
    type MaxReceipts = ConstU32<16>;
    type MaxExtraTicks = ConstU32<100>;
    type WeightInfo = pallet_assay_jobs::weights::SubstrateWeight<Test>;
    #[cfg(feature = "runtime-benchmarks")]
    type BenchmarkHelper = super::benchmarks::Helper;
}

impl pallet_assay_verification::Config for Test {
    type Market = Jobs;
    type Models = World;
    type Providers = World;
    type Bonds = World;
    type Offences = World;
    type Arbiter = pallet_assay_verification::HolderArbiter<Test>;
    type Beacon = Verification;
    type AuthorVrf = World;
    type BeaconDepth = ConstU32<64>;
    type WeightInfo = pallet_assay_verification::weights::SubstrateWeight<Test>;
    #[cfg(feature = "runtime-benchmarks")]
    type BenchmarkHelper = super::benchmarks::Helper;
}

/// A client.
pub fn client(i: u8) -> AccountId {
    AccountId::new([0xc0 | i; 32])
}

/// A provider's controller.
pub fn controller(i: u8) -> AccountId {
    AccountId::new([i + 1; 32])
}

/// The worker key of a provider.
pub fn worker_pair(i: u8) -> sr25519::Pair {
    sr25519::Pair::from_seed(&[i + 1; 32])
}

/// The worker account of a provider.
pub fn worker(i: u8) -> AccountId {
    AccountId::new(worker_pair(i).public().0)
}

/// Which provider a controller is.
pub fn index_of(who: &AccountId) -> u8 {
    let bytes: &[u8; 32] = who.as_ref();
    bytes[0] - 1
}

/// What of an account is on hold, for any reason.
pub fn held(who: &AccountId) -> Balance {
    <Balances as fungible::InspectHold<AccountId>>::total_balance_on_hold(who)
}

/// The spans of a template with `1 << template` stages.
pub fn spans(template: u8) -> Vec<Span> {
    let stages = 1u16 << template;
    let each = LAYERS / stages;
    (0..stages).map(|s| Span { first: s * each, end: (s + 1) * each }).collect()
}

/// A world to test in.
pub struct Setup {
    /// Providers; every one holds every span, validates, and asks for 10 more per unit than the one before it.
    pub providers: u8,
    /// Parameters of the chain.
    pub params: Params,
}

impl Default for Setup {
    fn default() -> Self {
        Self { providers: 4, params: Params::local() }
    }
}

impl Setup {
    /// So many providers, under the parameters of a local network.
    pub fn with(providers: u8) -> Self {
        Self { providers, ..Default::default() }
    }

    /// Builds the world and stands in its first block.
    pub fn build(self) -> TestState {
        let mut storage = frame_system::GenesisConfig::<Test>::default().build_storage().unwrap();
        pallet_balances::GenesisConfig::<Test> {
            balances: (0..4)
                .map(|i| (client(i), FUNDS))
                .chain((0..self.providers).map(|i| (controller(i), FUNDS)))
                .collect(),
            ..Default::default()
        }
        .assimilate_storage(&mut storage)
        .unwrap();
        pallet_assay_jobs::GenesisConfig::<Test> { params: self.params, ..Default::default() }
            .assimilate_storage(&mut storage)
            .unwrap();
        let mut ext = TestState::new(storage);
        ext.execute_with(|| {
            frame_system::BlockHash::<Test>::insert(0u64, GENESIS);
            for kind in [ModelKind::Decoder, ModelKind::Encoder] {
                let (id, eos) = match kind {
                    ModelKind::Decoder => (MODEL, vec![EOS]),
                    ModelKind::Encoder => (ENCODER, vec![]),
                };
                let info = ModelInfo {
                    id,
                    name: b"made up".to_vec(),
                    spec_id: SPEC_ID,
                    vocab: VOCAB,
                    context: CONTEXT,
                    layers: LAYERS,
                    kind,
                    width: WIDTH,
                    eos,
                    active: true,
                };
                let templates = (0..3).map(spans).collect();
                world::Models::<Test>::insert(id, world::Model { info, templates, users: 0 });
            }
            for i in 0..self.providers {
                add_provider(i);
            }
            world::Validators::<Test>::put((0..self.providers).map(controller).collect::<Vec<_>>());
            next_block();
        });
        ext
    }
}

/// Registers a provider that holds every span.
pub fn add_provider(i: u8) {
    world::WorkerOf::<Test>::insert(controller(i), worker(i));
    world::ControllerOf::<Test>::insert(worker(i), controller(i));
    world::Bonds::<Test>::insert(controller(i), BOND);
    for key in keys() {
        world::Book::<Test>::insert(
            key,
            controller(i),
            world::Entry {
                ask: Ask { price: 1_000 + 10 * Balance::from(i), slots: 8, check_slots: 8, rate: 1_000 },
                since: 0,
                usable: true,
                executing: 0,
                checking: 0,
                penalty_permille: 0,
            },
        );
    }
}

/// Every span of both models.
fn keys() -> impl Iterator<Item = SpanKey> {
    [MODEL, ENCODER].into_iter().flat_map(|model| (0..3).flat_map(spans).map(move |span| SpanKey { model, span }))
}

/// Changes a provider's entry for every span.
pub fn change_asks(i: u8, change: impl Fn(&mut world::Entry)) {
    for key in keys() {
        world::Book::<Test>::mutate(key, controller(i), |e| change(e.as_mut().expect("it holds every span")));
    }
}

/// The next block, by the validators in turn. Checks every invariant at its end of the block before.
pub fn next_block() {
    let validators = world::Validators::<Test>::get();
    let n = System::block_number() + 1;
    next_block_by(&validators[n as usize % validators.len().max(1)].clone())
}

/// The next block, by this author.
pub fn next_block_by(author: &AccountId) {
    check_invariants();
    let n = System::block_number() + 1;
    System::set_block_number(n);
    let vrf = frame::hashing::blake2_256(&(author, n).encode());
    world::CurrentAuthor::<Test>::put((author.clone(), vrf));
    AllPalletsWithSystem::on_initialize(n);
    AllPalletsWithSystem::on_poll(n, &mut WeightMeter::new());
    check_invariants();
}

/// So many blocks.
pub fn run_blocks(n: u32) {
    for _ in 0..n {
        next_block();
    }
}

/// Blocks until the service tick is past this one.
pub fn run_past(tick: Tick) {
    while pallet_assay_jobs::Now::<Test>::get() <= tick {
        next_block();
    }
}

/// Every invariant of protocol section 9 that two pallets and the ledgers of the world can show.
pub fn check_invariants() {
    Jobs::do_try_state().expect("the market's invariants hold");
    Verification::do_try_state().expect("verification's invariants hold");
    // Backings, slots and users of models are exactly those of open jobs.
    let mut backings: BTreeMap<(AccountId, BackingId), Balance> = BTreeMap::new();
    let mut slots: BTreeMap<(SpanKey, AccountId, bool), u16> = BTreeMap::new();
    let mut users: BTreeMap<ModelId, u32> = [(MODEL, 0), (ENCODER, 0)].into();
    for (job, record) in pallet_assay_jobs::Jobs::<Test>::iter() {
        let model = pallet_assay_jobs::Specs::<Test>::get(job).expect("every job has its specification").model;
        *users.entry(model).or_default() += 1;
        for (s, a) in record.stages.iter().enumerate() {
            let at = StageRef { job, attempt: record.attempt, stage: s as u8 };
            let key = SpanKey { model, span: a.span };
            backings.insert((a.executor.clone(), BackingId { at, role: Role::Executor }), a.backing);
            *slots.entry((key, a.executor.clone(), true)).or_default() += 1;
            let stage = pallet_assay_verification::Stages::<Test>::get(job, s as u8).expect("checked above");
            for seat in stage.seats {
                backings.insert((seat.controller.clone(), BackingId { at, role: Role::Checker }), seat.backing);
                *slots.entry((key, seat.controller, false)).or_default() += 1;
            }
        }
    }
    let reserved: BTreeMap<_, _> = world::Backings::<Test>::iter().map(|(who, id, b)| ((who, id), b)).collect();
    assert_eq!(reserved, backings, "backings are those of open jobs");
    for (model, users) in users {
        assert_eq!(
            world::Models::<Test>::get(model).map(|m| m.users),
            Some(users),
            "a model's users are the open jobs"
        );
    }
    let mut taken = BTreeMap::new();
    for (key, who, entry) in world::Book::<Test>::iter() {
        for (kind, n) in [(SlotKind::Execute, entry.executing), (SlotKind::Check, entry.checking)] {
            if n > 0 {
                taken.insert((key, who.clone(), kind == SlotKind::Execute), n);
            }
        }
    }
    assert_eq!(taken, slots, "slots are those of open jobs");
    let mut backed: BTreeMap<AccountId, Balance> = BTreeMap::new();
    for ((who, _), b) in reserved {
        *backed.entry(who).or_default() += b;
    }
    for (who, sum) in backed {
        assert!(sum <= world::Bonds::<Test>::get(&who), "backings within the bond");
    }
}

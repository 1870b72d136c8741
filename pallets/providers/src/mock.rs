//! A chain with balances and the directory, over a registry and bonds that tests set by hand.

use crate as pallet_assay_providers;
use crate::*;
use assay_primitives::{
    digest,
    traits::{BondManager, ModelDirectory, ModelInfo, ModelKind},
    AccountId, Ask, BackingId, Balance, HardwareProfile, ModelId, Params, Span, SpanKey, Tick, WorkUnits, SPEC_ID,
};
use frame::{
    deps::{
        sp_core::{sr25519, Pair},
        sp_io,
    },
    testing_prelude::*,
};
use polkadot_sdk::pallet_balances;

type Block = frame_system::mocking::MockBlock<Test>;

construct_runtime!(
    pub enum Test {
        System: frame_system,
        Balances: pallet_balances,
        Directory: pallet_assay_providers,
    }
);

#[derive_impl(frame_system::config_preludes::TestDefaultConfig)]
impl frame_system::Config for Test {
    type Block = Block;
    type AccountId = AccountId;
    type Lookup = IdentityLookup<AccountId>;
    type AccountData = pallet_balances::AccountData<Balance>;
}

parameter_types! {
    pub const ExistentialDeposit: Balance = 10;
    pub const RegistrationDeposit: Balance = 100;
    pub const AskDeposit: Balance = 20;
    pub const PointPrice: Balance = 1_000;
    pub static Clock: Tick = 10;
    pub static FreeExposure: Balance = Balance::MAX;
    pub static Unbonded: Vec<AccountId> = vec![];
    pub static FullyReserved: Vec<AccountId> = vec![];
    pub TestParams: Params = Params { ask_delay: 2, min_rate: 100, base_price: 1_000, ..Params::public() };
}

#[derive_impl(pallet_balances::config_preludes::TestDefaultConfig)]
impl pallet_balances::Config for Test {
    type Balance = Balance;
    type ExistentialDeposit = ExistentialDeposit;
    type AccountStore = System;
    type RuntimeHoldReason = RuntimeHoldReason;
}

/// One model of eight layers, cut in one, in two and in four; another one of spec id 2 in one stage.
pub struct Registry;

pub fn model() -> ModelId {
    H256::repeat_byte(0xaa)
}

pub fn other_spec() -> ModelId {
    H256::repeat_byte(0xbb)
}

pub fn key(first: u16, end: u16) -> SpanKey {
    SpanKey { model: model(), span: Span { first, end } }
}

impl ModelDirectory for Registry {
    fn info(id: ModelId) -> Option<ModelInfo> {
        let spec_id = if id == model() { SPEC_ID } else { 2 };
        (id == model() || id == other_spec()).then(|| ModelInfo {
            id,
            name: vec![],
            spec_id,
            vocab: 10,
            context: 10,
            layers: 8,
            kind: ModelKind::Decoder,
            width: 4,
            eos: vec![],
            active: true,
        })
    }
    fn template(_: ModelId, _: u8) -> Option<Vec<Span>> {
        None
    }
    fn has_span(key: &SpanKey) -> bool {
        let Span { first, end } = key.span;
        Self::info(key.model).is_some()
            && [(0, 8), (0, 4), (4, 8), (0, 2), (2, 4), (4, 6), (6, 8)].contains(&(first, end))
    }
    fn work(key: &SpanKey, from: u32, to: u32, _: u32) -> Option<WorkUnits> {
        Some(u64::from(key.span.end - key.span.first) * u64::from(to - from))
    }
    fn add_user(_: ModelId) -> DispatchResult {
        Ok(())
    }
    fn remove_user(_: ModelId) {}
}

/// Everybody has the same bond, and all of it free, unless a test says otherwise.
pub struct Bonds;

impl BondManager for Bonds {
    fn bond(who: &AccountId) -> Balance {
        if Unbonded::get().contains(who) {
            0
        } else {
            1_000_000
        }
    }
    fn free_exposure(who: &AccountId) -> Balance {
        if Unbonded::get().contains(who) || FullyReserved::get().contains(who) {
            0
        } else {
            FreeExposure::get()
        }
    }
    fn reserve(_: &AccountId, _: &BackingId, _: Balance) -> DispatchResult {
        Ok(())
    }
    fn release(_: &AccountId, _: &BackingId) {}
    fn claim(_: &AccountId, amount: Balance) -> Balance {
        amount
    }
    fn unclaim(_: &AccountId, _: Balance) {}
    fn slash_claimed(_: &AccountId, amount: Balance, _: &[(AccountId, Balance)]) -> Balance {
        amount
    }
}

impl crate::Config for Test {
    type RuntimeHoldReason = RuntimeHoldReason;
    type Currency = Balances;
    type Models = Registry;
    type Bonds = Bonds;
    type Params = TestParams;
    type Clock = Clock;
    type RegistrationDeposit = RegistrationDeposit;
    type AskDeposit = AskDeposit;
    type PointPrice = PointPrice;
    #[cfg(feature = "runtime-benchmarks")]
    type BenchmarkHelper = Helper;
    type WeightInfo = ();
}

#[cfg(feature = "runtime-benchmarks")]
pub struct Helper;
#[cfg(feature = "runtime-benchmarks")]
impl crate::benchmarking::BenchmarkHelper for Helper {
    fn span() -> SpanKey {
        key(0, 8)
    }
    fn bond(_: &AccountId) {}
}

pub const RICH: Balance = 100_000;

pub fn id(n: u8) -> AccountId {
    AccountId::new([n; 32])
}

pub fn signed(n: u8) -> RuntimeOrigin {
    RuntimeOrigin::signed(id(n))
}

/// Key number `epoch` of a provider's worker.
pub fn pair(n: u8, epoch: u32) -> sr25519::Pair {
    let mut seed = [n; 32];
    seed[0] = epoch as u8;
    sr25519::Pair::from_seed(&seed)
}

pub fn worker(n: u8, epoch: u32) -> AccountId {
    AccountId::new(pair(n, epoch).public().0)
}

pub fn proof(n: u8, epoch: u32) -> sr25519::Signature {
    let message = digest::worker_proof(System::block_hash(0), &id(n), epoch);
    pair(n, epoch).sign(message.as_bytes())
}

pub fn register(n: u8) {
    let profile = HardwareProfile { threads: 4, ..Default::default() };
    assert_ok!(Directory::register(signed(n), worker(n, 0), proof(n, 0), profile, 1 << SPEC_ID));
}

pub fn ask() -> Ask {
    Ask { price: 500, slots: 2, check_slots: 3, rate: 200 }
}

pub fn ext(providers: Vec<GenesisProvider>) -> sp_io::TestExternalities {
    let mut storage = frame_system::GenesisConfig::<Test>::default().build_storage().unwrap();
    let balances = (1..=100).map(|n| (id(n), RICH)).chain([(id(101), 50)]).collect();
    pallet_balances::GenesisConfig::<Test> { balances, ..Default::default() }.assimilate_storage(&mut storage).unwrap();
    crate::GenesisConfig::<Test> { providers, ..Default::default() }.assimilate_storage(&mut storage).unwrap();
    let mut ext = sp_io::TestExternalities::from(storage);
    ext.execute_with(|| {
        System::set_block_number(1);
        Clock::set(10);
        FreeExposure::set(Balance::MAX);
        Unbonded::set(vec![]);
        FullyReserved::set(vec![]);
    });
    ext
}

/// Runs a test and checks the invariants after it.
pub fn test(body: impl FnOnce()) {
    ext(Vec::new()).execute_with(|| {
        body();
        Directory::do_try_state().unwrap();
    });
}

pub fn provider(n: u8) -> Provider {
    crate::Providers::<Test>::get(id(n)).expect("registered")
}

pub fn held(n: u8, reason: HoldReason) -> Balance {
    use frame::token::fungible::InspectHold;
    Balances::balance_on_hold(&reason.into(), &id(n))
}

pub fn events() -> Vec<crate::Event<Test>> {
    let of_providers = |record: frame_system::EventRecord<_, _>| match record.event {
        RuntimeEvent::Directory(event) => Some(event),
        _ => None,
    };
    System::events().into_iter().filter_map(of_providers).collect()
}

pub fn last_event() -> crate::Event<Test> {
    events().pop().expect("an event of providers")
}

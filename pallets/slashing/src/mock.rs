//! A chain with balances, the real bond ledger and slashing.

use crate as pallet_assay_slashing;
use assay_primitives::{
    traits::{BondManager, ProviderDirectory},
    AccountId, BackingId, Balance, Holder, Offence, OffenceKind, Params, Role, SlotKind, SpanKey, StageRef, Tick,
};
use frame::{
    deps::{
        frame_support::weights::WeightMeter,
        sp_io,
        sp_runtime::{testing::UintAuthorityId, traits::ConvertInto},
    },
    prelude::*,
    testing_prelude::*,
};
use pallet_assay_staking::GenesisBond;
use polkadot_sdk::{
    pallet_balances,
    pallet_session::{self, disabling::UpToLimitWithReEnablingDisablingStrategy, historical, TestSessionHandler},
};

type Block = frame_system::mocking::MockBlock<Test>;

construct_runtime!(
    pub enum Test {
        System: frame_system,
        Balances: pallet_balances,
        Staking: pallet_assay_staking,
        Session: pallet_session,
        Historical: historical,
        Slashing: pallet_assay_slashing,
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
    pub const SlashingPalletId: PalletId = PalletId(*b"asy/slsh");
    pub static MaxPending: u32 = 8;
    pub static MaxRemembered: u32 = 16;
    pub const MemoryTicks: Tick = 20;
    pub static Clock: Tick = 100;
    pub static Faults: Vec<(AccountId, OffenceKind)> = vec![];
}

#[derive_impl(pallet_balances::config_preludes::TestDefaultConfig)]
impl pallet_balances::Config for Test {
    type Balance = Balance;
    type ExistentialDeposit = ExistentialDeposit;
    type AccountStore = System;
    type RuntimeHoldReason = RuntimeHoldReason;
}

pub struct NoIdentification;
impl Convert<AccountId, Option<()>> for NoIdentification {
    fn convert(_: AccountId) -> Option<()> {
        Some(())
    }
}

impl pallet_session::Config for Test {
    type RuntimeEvent = RuntimeEvent;
    type ValidatorId = AccountId;
    type ValidatorIdOf = ConvertInto;
    type ShouldEndSession = pallet_session::PeriodicSessions<ConstU64<1_000_000>, ConstU64<1_000_000>>;
    type NextSessionRotation = ();
    type SessionManager = historical::NoteHistoricalRoot<Self, Staking>;
    type SessionHandler = TestSessionHandler;
    type Keys = UintAuthorityId;
    type DisablingStrategy = UpToLimitWithReEnablingDisablingStrategy;
    type WeightInfo = ();
    type Currency = Balances;
    type KeyDeposit = ConstU128<0>;
}

impl historical::Config for Test {
    type RuntimeEvent = RuntimeEvent;
    type FullIdentification = ();
    type FullIdentificationOf = NoIdentification;
}

impl pallet_assay_staking::Config for Test {
    type RuntimeHoldReason = RuntimeHoldReason;
    type Currency = Balances;
    type Session = Session;
    type History = historical::NoteHistoricalRoot<Self, Staking>;
    type AdminOrigin = EnsureRoot<AccountId>;
    type SlashCancelOrigin = EnsureRoot<AccountId>;
    type MinValidatorBond = ConstU128<100>;
    type MinProviderBond = ConstU128<50>;
    type UnbondingSessions = ConstU32<5>;
    type SessionsPerElection = ConstU32<3>;
    type SlashDeferSessions = ConstU32<2>;
    type BarSessions = ConstU32<4>;
    type IdleSessions = ConstU32<2>;
    type MaxValidators = ConstU32<8>;
    type MaxCandidates = ConstU32<10>;
    type WeightInfo = ();
}

/// Remembers the faults that it is told of.
pub struct Directory;

impl ProviderDirectory for Directory {
    fn controller_of(_: &AccountId) -> Option<AccountId> {
        None
    }
    fn worker_of(_: &AccountId) -> Option<AccountId> {
        None
    }
    fn peer_of(_: &AccountId) -> Vec<u8> {
        vec![]
    }
    fn holders(_: &SpanKey) -> Vec<Holder> {
        vec![]
    }
    fn take(_: &AccountId, _: &SpanKey, _: SlotKind) -> DispatchResult {
        Ok(())
    }
    fn give_back(_: &AccountId, _: &SpanKey, _: SlotKind) {}
    fn note_fault(controller: &AccountId, kind: OffenceKind) {
        Faults::mutate(|f| f.push((controller.clone(), kind)));
    }
    fn note_settled(_: &AccountId, _: Balance) {}
}

impl crate::Config for Test {
    type Currency = Balances;
    type Bonds = Staking;
    type Providers = Directory;
    type Clock = Clock;
    type SlashCancelOrigin = EnsureRoot<AccountId>;
    type PalletId = SlashingPalletId;
    type MaxPending = MaxPending;
    type MemoryTicks = MemoryTicks;
    type MaxRemembered = MaxRemembered;
    #[cfg(feature = "runtime-benchmarks")]
    type BenchmarkHelper = Helper;
    type WeightInfo = crate::weights::SubstrateWeight<Test>;
}

#[cfg(feature = "runtime-benchmarks")]
pub struct Helper;
#[cfg(feature = "runtime-benchmarks")]
impl crate::benchmarking::BenchmarkHelper for Helper {
    fn bond(who: &AccountId, amount: Balance) {
        assert_ok!(Staking::bond(RuntimeOrigin::signed(who.clone()), pallet_assay_staking::Part::Provider, amount));
    }
}

/// The weight of that many storage reads.
pub fn reads(n: u64) -> Weight {
    use frame::deps::frame_support::weights::RuntimeDbWeight;
    <<Test as frame_system::Config>::DbWeight as Get<RuntimeDbWeight>>::get().reads(n)
}

pub const RICH: Balance = 100_000;

pub fn id(n: u8) -> AccountId {
    AccountId::new([n; 32])
}

pub fn signed(n: u8) -> RuntimeOrigin {
    RuntimeOrigin::signed(id(n))
}

/// A deferral of ten ticks; liveness costs a tenth of the pay, at most 50.
pub fn params() -> Params {
    Params { slash_defer: 10, liveness_cap: 50, ..Params::public() }
}

pub fn at(job: u8) -> StageRef {
    StageRef { job: H256::repeat_byte(job), attempt: 0, stage: 0 }
}

/// A fault of provider `n` in job `job`, whose backing is 600 and whose pay 200; account 20 is the client, insured for 100.
pub fn offence(n: u8, job: u8, kind: OffenceKind) -> Offence {
    Offence {
        at: at(job),
        role: Role::Executor,
        offender: id(n),
        kind,
        backing: 600,
        pay: 200,
        insured: 100,
        client: id(20),
        reporter: None,
    }
}

pub fn reserve(n: u8, job: u8) {
    assert_ok!(<Staking as BondManager>::reserve(&id(n), &backing(job), 600));
}

pub fn backing(job: u8) -> BackingId {
    BackingId { at: at(job), role: Role::Executor }
}

pub fn report(offence: Offence) -> Balance {
    <Slashing as assay_primitives::traits::OffenceSink>::report(&params(), offence)
}

pub fn bond(n: u8) -> Balance {
    <Staking as BondManager>::bond(&id(n))
}

/// Accounts 1 to 4 validate and have a provider bond of 2,000; 1 to 30 are rich; 31 and above do not exist.
pub fn ext() -> sp_io::TestExternalities {
    let mut storage = frame_system::GenesisConfig::<Test>::default().build_storage().unwrap();
    let config = RuntimeGenesisConfig {
        balances: pallet_balances::GenesisConfig {
            balances: (1..=30).map(|n| (id(n), RICH)).collect(),
            ..Default::default()
        },
        staking: pallet_assay_staking::GenesisConfig {
            bonds: (1..=4).map(|n| GenesisBond { account: id(n), validator: 1_000, provider: 2_000 }).collect(),
            counts: Some(pallet_assay_staking::ValidatorCounts { minimum: 1, target: 8 }),
            ..Default::default()
        },
        session: pallet_session::GenesisConfig {
            keys: (1..=4).map(|n| (id(n), id(n), UintAuthorityId(n.into()))).collect(),
            ..Default::default()
        },
        ..Default::default()
    };
    config.assimilate_storage(&mut storage).unwrap();
    let mut ext = sp_io::TestExternalities::from(storage);
    ext.execute_with(|| {
        System::set_block_number(1);
        Clock::set(100);
        Faults::set(vec![]);
        MaxPending::set(8);
        MaxRemembered::set(16);
    });
    ext
}

pub fn check() {
    Slashing::do_try_state().unwrap();
    Staking::do_try_state().unwrap();
    // What waits is exactly what the ledger keeps for it.
    for n in 1..=30 {
        let waiting: Balance =
            crate::Pending::<Test>::iter_values().filter(|s| s.key.offender == id(n)).map(|s| s.amount).sum();
        assert_eq!(pallet_assay_staking::Ledgers::<Test>::get(id(n)).claimed, waiting);
    }
}

/// Runs a test and checks the invariants of both pallets after it.
pub fn test(body: impl FnOnce()) {
    ext().execute_with(|| {
        body();
        check();
    });
}

pub fn poll_at(tick: Tick) {
    Clock::set(tick);
    Slashing::on_poll(System::block_number(), &mut WeightMeter::new());
}

pub fn events() -> Vec<crate::Event<Test>> {
    let of_slashing = |record: frame_system::EventRecord<_, _>| match record.event {
        RuntimeEvent::Slashing(event) => Some(event),
        _ => None,
    };
    System::events().into_iter().filter_map(of_slashing).collect()
}

pub fn last_event() -> crate::Event<Test> {
    events().pop().expect("an event of slashing")
}

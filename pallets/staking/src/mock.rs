//! A chain with balances, sessions with their history, and the ledger.

use crate as pallet_assay_staking;
use crate::*;
use assay_primitives::{AccountId, BackingId, Balance, Role, StageRef};
use frame::{
    deps::{
        frame_support::weights::WeightMeter,
        sp_io,
        sp_runtime::{testing::UintAuthorityId, traits::ConvertInto},
    },
    testing_prelude::*,
};
use polkadot_sdk::{
    pallet_balances,
    pallet_session::{self, disabling::UpToLimitWithReEnablingDisablingStrategy, historical, TestSessionHandler},
};

type Block = frame_system::mocking::MockBlock<Test>;

construct_runtime!(
    pub enum Test {
        System: frame_system,
        Balances: pallet_balances,
        // Before the sessions, so that the first set can be elected.
        Staking: pallet_assay_staking,
        Session: pallet_session,
        Historical: historical,
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
    pub const MinValidatorBond: Balance = 100;
    pub const MinProviderBond: Balance = 50;
    pub const UnbondingSessions: u32 = 5;
    pub const SessionsPerElection: u32 = 3;
    pub const SlashDeferSessions: u32 = 2;
    pub const BarSessions: u32 = 4;
    pub const IdleSessions: u32 = 2;
    pub const MaxValidators: u32 = 8;
    pub const MaxCandidates: u32 = 10;
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
    // Tests rotate by hand.
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

impl crate::Config for Test {
    type RuntimeHoldReason = RuntimeHoldReason;
    type Currency = Balances;
    type Session = Session;
    type History = historical::NoteHistoricalRoot<Self, Staking>;
    type AdminOrigin = EnsureRoot<AccountId>;
    type SlashCancelOrigin = EnsureRoot<AccountId>;
    type MinValidatorBond = MinValidatorBond;
    type MinProviderBond = MinProviderBond;
    type UnbondingSessions = UnbondingSessions;
    type SessionsPerElection = SessionsPerElection;
    type SlashDeferSessions = SlashDeferSessions;
    type BarSessions = BarSessions;
    type IdleSessions = IdleSessions;
    type MaxValidators = MaxValidators;
    type MaxCandidates = MaxCandidates;
    type WeightInfo = crate::weights::SubstrateWeight<Test>;
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

pub fn ids(n: &[u8]) -> Vec<AccountId> {
    n.iter().map(|n| id(*n)).collect()
}

pub fn signed(n: u8) -> RuntimeOrigin {
    RuntimeOrigin::signed(id(n))
}

/// Accounts 1 to 20 are rich, 21 owns 60. Of them 1 to `validators` validate with a validator part of 1,000 and a provider part
/// of 500.
pub fn ext(validators: u8, counts: ValidatorCounts) -> sp_io::TestExternalities {
    let mut storage = frame_system::GenesisConfig::<Test>::default().build_storage().unwrap();
    let config = RuntimeGenesisConfig {
        balances: pallet_balances::GenesisConfig {
            balances: (1..=20).map(|n| (id(n), RICH)).chain([(id(21), 60)]).collect(),
            ..Default::default()
        },
        staking: crate::GenesisConfig {
            bonds: (1..=validators).map(|n| GenesisBond { account: id(n), validator: 1_000, provider: 500 }).collect(),
            counts: Some(counts),
            ..Default::default()
        },
        session: pallet_session::GenesisConfig {
            keys: (1..=validators).map(|n| (id(n), id(n), UintAuthorityId(n.into()))).collect(),
            ..Default::default()
        },
        ..Default::default()
    };
    config.assimilate_storage(&mut storage).unwrap();
    let mut ext = sp_io::TestExternalities::from(storage);
    ext.execute_with(|| System::set_block_number(1));
    ext
}

/// Runs a test on a chain of four validators with eight seats, and checks the invariants after it.
pub fn test(body: impl FnOnce()) {
    test_with(4, ValidatorCounts { minimum: 2, target: 8 }, body)
}

pub fn test_with(validators: u8, counts: ValidatorCounts, body: impl FnOnce()) {
    ext(validators, counts).execute_with(|| {
        body();
        Staking::do_try_state().unwrap();
    });
}

/// Ends as many sessions. Every validator authors a fair share of blocks in each but those in `idle`.
pub fn rotate_without(sessions: u32, idle: &[u8]) {
    for _ in 0..sessions {
        for _ in 0..20 {
            for who in Session::validators() {
                if !ids(idle).contains(&who) {
                    Staking::authored(who);
                }
            }
        }
        Session::rotate_session();
        poll();
        Staking::do_try_state().unwrap();
    }
}

pub fn rotate(sessions: u32) {
    rotate_without(sessions, &[])
}

pub fn poll() {
    Staking::on_poll(System::block_number(), &mut WeightMeter::new());
}

pub fn bond(n: u8, validator: Balance, provider: Balance) {
    for (part, amount) in [(Part::Validator, validator), (Part::Provider, provider)] {
        if amount > 0 {
            assert_ok!(Staking::bond(signed(n), part, amount));
        }
    }
}

/// Gives an account session keys.
pub fn set_keys(n: u8) {
    use polkadot_sdk::pallet_session::SessionInterface;
    assert_ok!(<Session as SessionInterface>::set_keys(&id(n), UintAuthorityId(n.into())));
}

/// Bonds, sets keys and stands.
pub fn stand(n: u8, validator: Balance) {
    bond(n, validator, 500);
    set_keys(n);
    assert_ok!(Staking::validate(signed(n)));
}

pub fn ledger(n: u8) -> Ledger {
    Ledgers::<Test>::get(id(n))
}

pub fn backing(n: u8) -> BackingId {
    BackingId { at: StageRef { job: H256::repeat_byte(n), attempt: 0, stage: 0 }, role: Role::Executor }
}

pub fn events() -> Vec<crate::Event<Test>> {
    let of_staking = |record: frame_system::EventRecord<_, _>| match record.event {
        RuntimeEvent::Staking(event) => Some(event),
        _ => None,
    };
    System::events().into_iter().filter_map(of_staking).collect()
}

pub fn last_event() -> crate::Event<Test> {
    events().pop().expect("an event of staking")
}

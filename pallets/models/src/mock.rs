//! A chain with balances and the registry.

use crate as pallet_assay_models;
use crate::fixtures::*;
use assay_primitives::{AccountId, Balance, ModelId};
use frame::{deps::sp_io, testing_prelude::*};
use polkadot_sdk::pallet_balances;

type Block = frame_system::mocking::MockBlock<Test>;

construct_runtime!(
    pub enum Test {
        System: frame_system,
        Balances: pallet_balances,
        Registry: pallet_assay_models,
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
    pub const DepositBase: Balance = 1_000;
    pub const DepositPerByte: Balance = 2;
}

#[derive_impl(pallet_balances::config_preludes::TestDefaultConfig)]
impl pallet_balances::Config for Test {
    type Balance = Balance;
    type ExistentialDeposit = ExistentialDeposit;
    type AccountStore = System;
    type RuntimeHoldReason = RuntimeHoldReason;
}

impl crate::Config for Test {
    type RuntimeHoldReason = RuntimeHoldReason;
    type Currency = Balances;
    type AdminOrigin = EnsureRoot<AccountId>;
    type DepositBase = DepositBase;
    type DepositPerByte = DepositPerByte;
    type WeightInfo = ();
}

pub const RICH: Balance = 1_000_000;

pub fn alice() -> AccountId {
    AccountId::new([1; 32])
}

pub fn bob() -> AccountId {
    AccountId::new([2; 32])
}

pub fn poor() -> AccountId {
    AccountId::new([3; 32])
}

pub fn ext(models: Vec<crate::GenesisModel>) -> sp_io::TestExternalities {
    let mut storage = frame_system::GenesisConfig::<Test>::default().build_storage().unwrap();
    pallet_balances::GenesisConfig::<Test> {
        balances: vec![(alice(), RICH), (bob(), RICH), (poor(), 100)],
        ..Default::default()
    }
    .assimilate_storage(&mut storage)
    .unwrap();
    crate::GenesisConfig::<Test> { models, ..Default::default() }.assimilate_storage(&mut storage).unwrap();
    let mut ext = sp_io::TestExternalities::from(storage);
    ext.execute_with(|| System::set_block_number(1));
    ext
}

/// Runs a test and checks the invariants after it.
pub fn test(body: impl FnOnce()) {
    ext(Vec::new()).execute_with(|| {
        body();
        Registry::do_try_state().unwrap();
    });
}

/// Registers an eight-layer decoder of alice's, in one stage, two stages and four.
pub fn register_demo() -> ModelId {
    let header = decoder(8);
    let cuts = templates(&[&[], &[4], &[2, 4, 6]], 8);
    assert_ok!(Registry::register(RuntimeOrigin::signed(alice()), name(), bytes(&header), entries(&header), cuts));
    crate::model_root(&header.encode(), &entries(&header))
}

pub fn held(who: &AccountId) -> Balance {
    use frame::token::fungible::InspectHold;
    Balances::balance_on_hold(&crate::HoldReason::Model.into(), who)
}

pub fn last_event() -> crate::Event<Test> {
    match System::events().pop().map(|record| record.event) {
        Some(RuntimeEvent::Registry(event)) => event,
        other => panic!("no event of the registry: {other:?}"),
    }
}

//! Who validates, and what happens to a validator that misbehaves.

use crate::{
    constants::currency::deposit, AccountId, Babe, Balance, Balances, Runtime, RuntimeEvent, SessionKeys, Staking,
};
use polkadot_sdk::{
    frame_support::parameter_types,
    pallet_offences, pallet_session,
    sp_runtime::traits::{Convert, ConvertInto, OpaqueKeys},
};

parameter_types! {
    // Two entries: the keys of an account, and the owner of each of its keys.
    pub const SessionKeyDeposit: Balance = deposit(4, 4 * 32 + 3 * 32);
}

impl pallet_session::Config for Runtime {
    type RuntimeEvent = RuntimeEvent;
    type ValidatorId = AccountId;
    type ValidatorIdOf = ConvertInto;
    type ShouldEndSession = Babe;
    type NextSessionRotation = Babe;
    // The bond ledger elects, the historical pallet remembers who was elected.
    type SessionManager = pallet_session::historical::NoteHistoricalRoot<Self, Staking>;
    type SessionHandler = <SessionKeys as OpaqueKeys>::KeyTypeIdProviders;
    type Keys = SessionKeys;
    type DisablingStrategy = pallet_session::disabling::UpToLimitWithReEnablingDisablingStrategy;
    type WeightInfo = pallet_session::weights::SubstrateWeight<Runtime>;
    type Currency = Balances;
    type KeyDeposit = SessionKeyDeposit;
}

/// What a historical session remembers of a validator besides its account: nothing, because a bond is slashed where it
/// lies, unbonding chunks included, whatever it was when the offence happened.
pub struct NoFurtherIdentification;

impl Convert<AccountId, Option<()>> for NoFurtherIdentification {
    fn convert(_: AccountId) -> Option<()> {
        Some(())
    }
}

impl pallet_session::historical::Config for Runtime {
    type RuntimeEvent = RuntimeEvent;
    type FullIdentification = ();
    type FullIdentificationOf = NoFurtherIdentification;
}

impl pallet_offences::Config for Runtime {
    type RuntimeEvent = RuntimeEvent;
    type IdentificationTuple = pallet_session::historical::IdentificationTuple<Self>;
    // Where consensus offences meet the bonds. It must be idempotent: earlier offenders are reported again.
    type OnOffenceHandler = Staking;
}
